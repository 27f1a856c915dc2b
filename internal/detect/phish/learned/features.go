package learned

import (
	"math"
	"strconv"
	"strings"
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

// Vector are the features of one message.
type Vector struct {
	index []uint32
	value []float32
	words int // how many of the first entries are single words, for novelty
}

// Limits on what of one message becomes features.
const (
	maxWords = 400
	maxLinks = 40
	sizeBits = 20
	size     = 1 << sizeBits
)

// The norms of the groups of features: each group as a whole has about this length, however many features it has, so
// that a long text doesn't drown the shape of the message.
const (
	textNorm    = 3.0
	subjectNorm = 1.5
	linkNorm    = 1.5
	shapeValue  = 0.4 // of each feature of shape
)

// builder collects hashed features of one message, each once.
type builder struct {
	v    Vector
	seen map[uint32]bool
	buf  []byte
}

// add hashes a feature (FNV-1a, folded to the size of the table).
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
	if !b.seen[h] {
		b.seen[h] = true
		b.v.index = append(b.v.index, h)
	}
}

// scale gives the features since from the norm as a group.
func (b *builder) scale(from int, norm float64) {
	n := len(b.v.index) - from
	if n == 0 {
		return
	}
	for range n {
		b.v.value = append(b.v.value, float32(norm/math.Sqrt(float64(n))))
	}
}

// Features draws the features of a message: its new text (in lower case, quotations left out), its links, and its
// shape. What a receiver's system writes (Received, Authentication-Results, list headers, To) is left out, since it
// tells which collection a message is from and nothing of the message.
func Features(e *ocsf.Event, text string, links []Link) *Vector {
	b := &builder{seen: make(map[uint32]bool, 512)}
	subject := words(strings.ToLower(e.Mail.Subject), 40)
	body := text
	if _, rest, ok := strings.Cut(text, " | "); ok {
		body = rest
	}
	tokens := words(body, maxWords)
	for _, w := range tokens {
		b.add("w", w)
	}
	b.v.words = len(b.v.index)
	for i := 1; i < len(tokens); i++ {
		b.add("b", tokens[i-1], tokens[i])
	}
	b.scale(0, textNorm)
	from := len(b.v.index)
	for i, w := range subject {
		b.add("s", w)
		if i > 0 {
			b.add("t", subject[i-1], w)
		}
	}
	b.scale(from, subjectNorm)
	from = len(b.v.index)
	linkFeatures(b, links)
	b.scale(from, linkNorm)
	from = len(b.v.index)
	shape(b, e, len(tokens), links)
	for range len(b.v.index) - from {
		b.v.value = append(b.v.value, shapeValue)
	}
	return &b.v
}

// words cuts a text at what is no letter or digit. Numbers become their length, since their value is no habit.
func words(s string, limit int) []string {
	out := make([]string, 0, min(limit, len(s)/5+1))
	for len(s) > 0 && len(out) < limit {
		start := strings.IndexFunc(s, wordRune)
		if start < 0 {
			break
		}
		s = s[start:]
		end := strings.IndexFunc(s, func(r rune) bool { return !wordRune(r) })
		if end < 0 {
			end = len(s)
		}
		w := s[:end]
		s = s[end:]
		if w[0] >= '0' && w[0] <= '9' {
			w = "0" + strconv.Itoa(min(len(w), 9))
		}
		if len(w) > 24 {
			n := 24
			for n > 0 && !utf8.RuneStart(w[n]) {
				n--
			}
			w = w[:n]
		}
		out = append(out, w)
	}
	return out
}

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '\''
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func linkFeatures(b *builder, links []Link) {
	for i, l := range links {
		if i == maxLinks {
			break
		}
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
		b.add("lp", bucket(strings.Count(path, "/")), strconv.FormatBool(strings.Contains(path, "?")), strconv.FormatBool(strings.Contains(path, "#")))
		for _, w := range words(strings.ToLower(l.Text), 6) {
			b.add("la", w)
		}
	}
}

// shapeHeaders are headers whose presence the sender's system decides.
var shapeHeaders = []string{"in-reply-to", "references", "x-mailer", "user-agent", "x-priority", "importance", "x-msmail-priority", "reply-to", "cc", "content-language"}

func shape(b *builder, e *ocsf.Event, n int, links []Link) {
	m, f := e.Mail, e.Fields
	for _, h := range shapeHeaders {
		b.add("h", h, strconv.FormatBool(f.Value("header."+h) != ""))
	}
	kind, params, _ := strings.Cut(strings.ToLower(f.Value("header.content-type")), ";")
	b.add("ct", strings.TrimSpace(kind))
	if _, cs, ok := strings.Cut(params, "charset="); ok {
		b.add("cs", strings.Trim(firstWord(cs), `"';`))
	}
	b.add("te", strings.ToLower(strings.TrimSpace(f.Value("header.content-transfer-encoding"))))
	_, dom, _ := strings.Cut(m.From, "@")
	b.add("fd", dom)
	b.add("ft", dom[strings.LastIndexByte(dom, '.')+1:])
	b.add("fl", bucket(len(dom)/4), bucket(strings.Count(dom, ".")))
	b.add("fn", bucket(len(words(m.FromName, 10))))
	_, id, _ := strings.Cut(m.MessageID, "@")
	b.add("id", strconv.FormatBool(id == ""), strconv.FormatBool(sameEnd(id, dom)), bucket(len(m.MessageID)/8))
	_, rp, _ := strings.Cut(m.ReplyTo, "@")
	b.add("rp", strconv.FormatBool(rp == ""), strconv.FormatBool(rp == dom))
	b.add("nt", bucket(n/10))
	b.add("nl", bucket(len(links)))
	b.add("ni", bucket(atoi(f.Value("body.images"))))
	b.add("nh", bucket(atoi(f.Value("body.hidden"))/20))
	b.add("na", bucket(len(m.Attachments)))
	for i, a := range m.Attachments {
		if i == 8 {
			break
		}
		b.add("at", a.Type)
	}
	b.add("sl", bucket(len(m.Subject)/8))
	b.add("sx", strconv.FormatBool(strings.Contains(m.Subject, "!")), strconv.FormatBool(strings.Contains(m.Subject, "?")), strconv.FormatBool(strings.Contains(strings.ToLower(m.Subject), "re:")))
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
	if name := words(strings.ToLower(f.Value("header.x-mailer")+" "+f.Value("header.user-agent")), 1); len(name) > 0 {
		b.add("xm", name[0])
	}
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t;\r\n"); i >= 0 {
		return s[:i]
	}
	return s
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
		return strconv.Itoa(max(n, 0))
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
