package learned

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Link is one link of a message with rewriting undone.
type Link struct {
	URL, Host, TLD, Text string
	Own                  bool // at the sender's own site
	Free                 bool // where anybody may put a page
	Common               bool // at a place that all kinds of honest mail link
}

// Vector are the features of one message: words first, then links, then shape.
type Vector struct {
	index []uint32
	value []float32
	words int   // how many of the first entries are single words, for novelty
	links int   // where the features of links begin
	shape int   // where those of shape begin
	cell  uint8 // how the message is made; see cellOf
	seat  uint8 // of the sender's organisation; see seatOf
}

// Limits on what of one message becomes features.
const (
	maxWords = 400
	maxLinks = 40
	maxMarks = 64
	sizeBits = 20
	size     = 1 << sizeBits
)

// The norms of the groups of features: each group as a whole has about this length, however many features it has, so
// that a long text doesn't drown the shape of the message.
const (
	textNorm    = 4.5
	subjectNorm = 1.5
	linkNorm    = 1.5
	shapeValue  = 0.4 // of each feature of shape
)

// builder collects hashed features of one message, each once. seen is a table of open addressing, of which stamp says
// what belongs to this message.
type builder struct {
	v     *Vector
	seen  [4096]uint64 // stamp and feature
	stamp uint32
	own   [16]string
	owns  int
}

var builders = sync.Pool{New: func() any { return new(builder) }}

// add hashes a feature (FNV-1a, folded to the size of the table). No message has more features than the table of those
// seen has room for.
func (b *builder) add(parts ...string) {
	h := uint32(2166136261)
	for i, p := range parts {
		if i > 0 {
			h = (h ^ 0x1f) * 16777619
		}
		for j := range len(p) {
			h = (h ^ uint32(p[j])) * 16777619
		}
	}
	h = (h>>sizeBits ^ h) & (size - 1)
	entry := uint64(b.stamp)<<32 | uint64(h)
	for i := h * 2654435769 >> 20; ; i = (i + 1) % uint32(len(b.seen)) {
		if b.seen[i] == entry {
			return
		}
		if uint32(b.seen[i]>>32) != b.stamp {
			b.seen[i] = entry
			b.v.index = append(b.v.index, h)
			return
		}
	}
}

// scale gives the features since from the norm as a group.
func (b *builder) scale(from int, norm float64) {
	n := len(b.v.index) - from
	if n == 0 {
		return
	}
	x := float32(norm / math.Sqrt(float64(n)))
	for range n {
		b.v.value = append(b.v.value, x)
	}
}

// Features draws the features of a message: its new text (in lower case, quotations left out), its links, its shape, and
// marks, the names of the reasons drawn by hand, of which training learns which honest mail gives as well. Pairs of words
// are left out: they tell the training mail apart, and little of mail of another kind. What a receiver's system writes (Received, Authentication-Results, list headers, To) is left out, and the
// words of the recipient's address too, since they tell which collection a message is from and nothing of the message;
// so are headers that are missing, character sets and encodings, which tell its year.
func Features(e *ocsf.Event, text string, links []Link, marks []string) *Vector {
	b := builders.Get().(*builder)
	defer builders.Put(b)
	if b.stamp++; b.stamp == 0 {
		clear(b.seen[:])
		b.stamp = 1
	}
	v := &Vector{index: make([]uint32, 0, 640), value: make([]float32, 0, 640)}
	b.v = v
	b.recipients(e.Mail.To)
	body := text
	if _, rest, ok := strings.Cut(text, " | "); ok {
		body = rest
	}
	n := b.text(body)
	b.subject(strings.ToLower(e.Mail.Subject))
	v.links = len(v.index)
	b.addLinks(links)
	b.scale(v.links, linkNorm)
	v.shape = len(v.index)
	b.addShape(e, n, links)
	b.addAgreement(e.Mail, body, links)
	for i := 0; i < len(marks) && i < maxMarks; i++ {
		b.add("re", marks[i])
	}
	for range len(v.index) - v.shape {
		v.value = append(v.value, shapeValue)
	}
	_, dom, _ := strings.Cut(e.Mail.From, "@")
	v.cell, v.seat = cellOf(e, len(links), n), seatOf(dom)
	b.v = nil
	return v
}

// recipients notes the words of the recipients' addresses.
func (b *builder) recipients(to []string) {
	b.owns = 0
	for i := 0; i < len(to) && i < 8; i++ {
		eachWord(to[i], 8, func(w string) {
			if b.owns < len(b.own) {
				b.own[b.owns] = w
				b.owns++
			}
		})
	}
}

func (b *builder) isOwn(w string) bool {
	for _, o := range b.own[:b.owns] {
		if o == w {
			return true
		}
	}
	return false
}

// text adds words, and returns how many there are.
func (b *builder) text(body string) int {
	n := eachWord(body, maxWords, func(w string) {
		if !b.isOwn(w) {
			b.add("w", w)
		}
	})
	b.v.words = len(b.v.index)
	b.scale(0, textNorm)
	return n
}

func (b *builder) subject(subject string) {
	from := len(b.v.index)
	eachWord(subject, 40, func(w string) {
		if !b.isOwn(w) {
			b.add("s", w)
		}
	})
	b.scale(from, subjectNorm)
}

// numbers are what digits become: their count, since their value is no habit.
var numbers = [...]string{"0", "01", "02", "03", "04", "05", "06", "07", "08", "09"}

// eachWord cuts a text at what is no letter or digit, and returns how many words it visited, at most limit.
func eachWord(s string, limit int, visit func(string)) int {
	n := 0
	for i := 0; i < len(s) && n < limit; {
		start := i
		for i < len(s) {
			r, size := rune(s[i]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(s[i:])
			}
			if !wordRune(r) {
				if i == start {
					i += size
					start = i
					continue
				}
				break
			}
			i += size
		}
		w := s[start:i]
		if w == "" {
			break
		}
		if w[0] >= '0' && w[0] <= '9' {
			w = numbers[min(len(w), 9)]
		}
		if len(w) > 24 {
			end := 24
			for end > 0 && !utf8.RuneStart(w[end]) {
				end--
			}
			w = w[:end]
		}
		visit(w)
		n++
	}
	return n
}

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '\''
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func (b *builder) addLinks(links []Link) {
	for i := range links {
		if i == maxLinks {
			break
		}
		l := &links[i]
		kind := "other"
		switch {
		case l.Own:
			kind = "own"
		case l.Free:
			kind = "free"
		case l.Common:
			kind = "common"
		}
		b.add("lk", kind)
		b.add("lt", l.TLD)
		if !l.Own {
			b.add("lh", l.Host)
		}
		b.add("ld", bucket(strings.Count(l.Host, ".")))
		b.add("ll", bucket(len(l.URL)/20))
		path := ""
		if _, rest, ok := strings.Cut(l.URL, "://"); ok {
			if j := strings.IndexByte(rest, '/'); j >= 0 {
				path = rest[j:]
			}
		}
		b.add("lp", bucket(strings.Count(path, "/")), yesNo(strings.Contains(path, "?")), yesNo(strings.Contains(path, "#")))
		eachWord(strings.ToLower(clip(l.Text, 200)), 6, func(w string) { b.add("la", w) })
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// shapeHeaders are headers that the sender's system writes where it does. That one is missing is no feature: programs
// that send mail of all kinds leave them out.
var shapeHeaders = [...][2]string{{"in-reply-to", "header.in-reply-to"}, {"references", "header.references"}, {"x-mailer", "header.x-mailer"}, {"user-agent", "header.user-agent"}, {"x-priority", "header.x-priority"},
	{"importance", "header.importance"}, {"x-msmail-priority", "header.x-msmail-priority"}, {"reply-to", "header.reply-to"}, {"cc", "header.cc"}, {"content-language", "header.content-language"}}

func (b *builder) addShape(e *ocsf.Event, n int, links []Link) {
	m, f := e.Mail, e.Fields
	for i := range shapeHeaders {
		if f.Value(shapeHeaders[i][1]) != "" {
			b.add("h", shapeHeaders[i][0])
		}
	}
	_, dom, _ := strings.Cut(m.From, "@")
	b.add("fd", dom)
	b.add("ft", dom[strings.LastIndexByte(dom, '.')+1:])
	b.add("fl", bucket(len(dom)/4), bucket(strings.Count(dom, ".")))
	b.add("fn", bucket(eachWord(m.FromName, 10, func(string) {})))
	_, id, _ := strings.Cut(m.MessageID, "@")
	b.add("id", yesNo(id == ""), yesNo(sameEnd(id, dom)), bucket(len(m.MessageID)/8))
	_, rp, _ := strings.Cut(m.ReplyTo, "@")
	b.add("rp", yesNo(rp == ""), yesNo(rp == dom))
	b.add("nt", bucket(n/10))
	b.add("nl", bucket(len(links)))
	b.add("ni", bucket(atoi(f.Value("body.images"))))
	b.add("nh", bucket(atoi(f.Value("body.hidden"))/20))
	b.add("na", bucket(len(m.Attachments)))
	for i := range m.Attachments {
		if i == 8 {
			break
		}
		b.add("at", m.Attachments[i].Type)
	}
	b.add("sl", bucket(len(m.Subject)/8))
	b.add("sx", yesNo(strings.Contains(m.Subject, "!")), yesNo(strings.Contains(m.Subject, "?")), yesNo(strings.Contains(strings.ToLower(m.Subject), "re:")))
	up, all, wide := 0, 0, 0
	for _, r := range m.Subject {
		all++
		if unicode.IsUpper(r) {
			up++
		}
		if r > 0x2000 {
			wide++
		}
	}
	b.add("su", bucket(10*up/max(all, 1)), bucket(wide))
	first := ""
	eachWord(strings.ToLower(clip(f.Value("header.x-mailer")+" "+f.Value("header.user-agent"), 200)), 1, func(w string) { first = w })
	if first != "" {
		b.add("xm", first)
	}
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func sameEnd(a, b string) bool {
	return a != "" && b != "" && (strings.HasSuffix(a, b) || strings.HasSuffix(b, a))
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// bucket brings a count to its order of magnitude, in steps of two.
func bucket(n int) string {
	switch {
	case n <= 3:
		return numbers[max(n, 0)]
	case n <= 5:
		return "5"
	case n <= 9:
		return "9"
	case n <= 17:
		return "17"
	case n <= 33:
		return "33"
	case n <= 65:
		return "65"
	}
	return "more"
}
