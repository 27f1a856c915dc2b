package learned

import (
	"math"
	"math/bits"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// A message is of a form (first mail, answer, bounce) and of a body (plain, with HTML beside, HTML alone, of several
// parts), which together are its sort, and within a sort of a length and of a number of links, which is its cell.
const (
	sorts     = 12
	cellsEach = 16
	cells     = sorts * cellsEach
)

// cellOf sorts a message of n words by how it is made. No word and no name enters.
func cellOf(e *ocsf.Event, links, n int) uint8 {
	m, f := e.Mail, e.Fields
	kind := f.Value("header.content-type")
	form := 0
	switch {
	case hasPrefixFold(kind, "multipart/report"), m.From == "", strings.HasPrefix(m.From, "mailer-daemon@"), strings.HasPrefix(m.From, "postmaster@"):
		form = 2
	case m.InReplyTo != "" || f.Value("header.references") != "":
		form = 1
	}
	body := 0
	switch {
	case hasPrefixFold(kind, "text/html"):
		body = 2
	case hasPrefixFold(kind, "multipart/alternative"), hasPrefixFold(kind, "multipart/related"):
		body = 1
	case hasPrefixFold(kind, "multipart/"):
		body = 3
	}
	return uint8((form*4+body)*cellsEach + step(n, 50, 130, 300)*4 + step(links, 2, 6, 16))
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// step says below which of three limits a number lies.
func step(n, a, b, c int) int {
	switch {
	case n < a:
		return 0
	case n < b:
		return 1
	case n < c:
		return 2
	}
	return 3
}

// seatOf draws one of 64 seats for a sender's organisation, so that 64 bits count how many organisations were seen
// (linear counting: Whang, Vander-Zanden and Taylor, A Linear-Time Probabilistic Counting Algorithm, 1990).
func seatOf(domain string) uint8 {
	if i := strings.LastIndexByte(domain, '.'); i > 0 {
		if j := strings.LastIndexByte(domain[:i], '.'); j >= 0 {
			domain = domain[j+1:]
		}
	}
	h := uint32(2166136261)
	for i := range len(domain) {
		h = (h ^ uint32(domain[i])) * 16777619
	}
	return uint8((h ^ h>>13 ^ h>>22) & 63)
}

// loneFrom is the number of organisations with which a message counts half as one of a lone make.
const loneFrom = 1.0

// lone is how far training shows no legitimate mail that is made like the message, 0 to 1. Organisations are counted, since
// one sender's mail, however much, says little of the next sender's: those of the cell, and those of the cells one step
// longer or shorter, of which the geometric mean counts. Phishing alone shows what such a message can be, and not what it is.
func (m *Model) lone(v *Vector) float64 {
	n := math.Sqrt(organisations(m.seats[v.cell]) * organisations(m.around(v.cell)))
	return loneFrom * loneFrom / (n*n + loneFrom*loneFrom)
}

// around joins the seats of a cell with those of its neighbours within the sort.
func (m *Model) around(cell uint8) uint64 {
	var all uint64
	first := cell - cell%cellsEach
	words, links := int(cell%cellsEach)/4, int(cell)%4
	for w := max(0, words-1); w <= min(3, words+1); w++ {
		for l := max(0, links-1); l <= min(3, links+1); l++ {
			all |= m.seats[int(first)+w*4+l]
		}
	}
	return all
}

// organisations estimates how many organisations took the seats.
func organisations(seats uint64) float64 {
	return -64 * math.Log(1-float64(min(63, bits.OnesCount64(seats)))/64)
}
