package inventory

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Limits on text.
const (
	maxLine  = 1 << 20
	maxHead  = 64 << 10
	sniffed  = 4 << 10
	tellTale = 8 // lines of a head that are looked at
)

// decoded returns a reader of UTF-8: byte order marks are taken away and UTF-16 is turned, also where it has no mark,
// as PowerShell's and regedit's exports lose it on the way.
func decoded(r io.Reader) io.Reader {
	br := bufio.NewReaderSize(r, maxHead)
	head, _ := br.Peek(sniffed)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = br.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(br)
	default:
		if order, ok := wide(head); ok {
			return unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder().Reader(br)
		}
	}
	return br
}

// wide tells UTF-16 without a mark by where its zero bytes are: most of one half and none of the other.
func wide(head []byte) (unicode.Endianness, bool) {
	var zeros [2]int
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case half < 8:
	case zeros[1] > half*3/4 && zeros[0] == 0:
		return unicode.LittleEndian, true
	case zeros[0] > half*3/4 && zeros[1] == 0:
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

// headText returns the beginning of a file as text, without what was cut off at its end.
func headText(head []byte) string {
	head = head[:min(len(head), maxHead)]
	out, _ := io.ReadAll(io.LimitReader(decoded(bytes.NewReader(head)), 2*maxHead))
	return latin(string(out))
}

// headLines returns the first lines of a head that are not empty.
func headLines(head []byte, n int) []string {
	var out []string
	for line := range strings.Lines(headText(head)) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
		if len(out) == n {
			break
		}
	}
	return out
}

// latin reads text that is no UTF-8 as Windows-1252, which holds ISO 8859-1's letters. A character that was cut in
// two at the end of a head doesn't make it so.
func latin(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	for cut := 1; cut <= 3 && cut < len(s); cut++ {
		if utf8.ValidString(s[:len(s)-cut]) {
			return s[:len(s)-cut]
		}
	}
	out, err := charmap.Windows1252.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "�")
	}
	return out
}

// lines reads a file's lines.
type lines struct {
	r    *bounded.LineReader
	held []heldLine // given back
}

type heldLine struct {
	text string
	n    int64
}

func newLines(r io.Reader) *lines { return &lines{r: bounded.NewLineReader(decoded(r), maxLine)} }

// next returns the next line and its number; io.EOF at the end. A line that is too long is empty with tooLong set.
func (l *lines) next() (text string, n int64, tooLong bool, err error) {
	if len(l.held) > 0 {
		h := l.held[0]
		l.held = l.held[1:]
		return h.text, h.n, false, nil
	}
	raw, n, tooLong, err := l.r.Next()
	if err != nil || tooLong {
		return "", n, tooLong, err
	}
	s := string(raw)
	if !utf8.ValidString(s) {
		if s2, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = s2
		}
	}
	return s, n, false, nil
}

// back gives lines back, in their order.
func (l *lines) back(h []heldLine) { l.held = append(h, l.held...) }
