package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// body collects what the parts of one message hold.
type body struct {
	mail     *ocsf.Mail
	texts    []segment // what each text part shows, in order
	textSize int
	from     string // where links that are found now stand; see ocsf.Link
	where    string // name of the file that is being looked into
	inBody   int    // links of the text itself
	links    map[string]int
	traits   map[string]string
	odd      trick
	remotes  []string

	hidden     int             // bytes of text that HTML hides
	hiddenText strings.Builder // the first of it
	elsewhere  strings.Builder // text that only some programs show
	attached   strings.Builder // text of attached documents
	glyphs     glyphs
	images     int // pictures in the text

	parts    int
	decoded  int64
	inflated int64 // bytes that compressed things became
	members  int
	files    []file // attachments to look into once the text is read
	pictures []picture
	waiting  int // bytes of those pictures
	skipped  int // pictures that were not searched
	qr       int
	inData   int // open data: links
	nesting  int // open documents within a document
}

// groupCalendar is the group of an invitation: it often repeats the text beside it.
const groupCalendar = -1

// segment is what one text part shows.
type segment struct {
	html  bool
	group int // the multipart/alternative it is a part of; 0: none
	text  string
}

// file is an attachment that waits to be looked into: its bytes as they were sent.
type file struct {
	name, kind, charset, disposition, encoding string
	raw                                        []byte
	index                                      int // in mail.Attachments; -1: not among them
	depth                                      int
	message                                    bool
}

func newBody(m *ocsf.Mail) *body {
	return &body{mail: m, links: map[string]int{}, traits: map[string]string{}}
}

// note adds a parse problem once.
func (b *body) note(p string) {
	if len(b.mail.ParseProblems) < MaxProblems && !slices.Contains(b.mail.ParseProblems, p) {
		b.mail.ParseProblems = append(b.mail.ParseProblems, p)
	}
}

// place is where a part stands.
type place struct {
	within string // media type of the parent
	depth  int
	group  int // multipart/alternative around it
}

// entity walks one part (RFC 2046). Depth, parts and decoded bytes are bounded; each level reads its bytes once.
// Where a part has two different types, programs differ in which they take, so that it is read as both.
func (b *body) entity(h header, raw []byte, at place) {
	kind := h.get("content-type")
	b.entityAs(h, kind, raw, at)
	if h.count("content-type") > 1 {
		last := h.last("content-type")
		if k1, p1 := mediaType(kind); !sameType(k1, p1, last) {
			b.note("broken: two Content-Types, of which programs take either")
			b.entityAs(h, last, raw, at)
		}
	}
}

func sameType(kind string, params map[string]string, other string) bool {
	k, p := mediaType(other)
	return k == kind && p["boundary"] == params["boundary"]
}

func (b *body) entityAs(h header, contentType string, raw []byte, at place) {
	if b.parts++; b.parts > MaxParts {
		b.note(fmt.Sprintf("limit: more than %d parts", MaxParts))
		return
	}
	kind, params := mediaType(contentType)
	if kind == "" || !strings.Contains(kind, "/") {
		if contentType != "" {
			b.note("odd: a Content-Type that is none")
		}
		kind = "text/plain"
		if at.within == "multipart/digest" {
			kind = "message/rfc822"
		}
	}
	if strings.HasPrefix(kind, "multipart/") {
		b.multipart(kind, boundaries(contentType, params), raw, at)
		return
	}
	disposition, dparams := mediaType(h.get("content-disposition"))
	name := decodeWords(firstOf(dparams["filename"], params["name"]))
	encoding := h.get("content-transfer-encoding")
	if kind == "message/rfc822" || kind == "message/global" {
		if at.within != "multipart/report" {
			b.attach(file{name: firstOf(name, "message.eml"), kind: "message/rfc822", encoding: encoding, raw: raw, depth: at.depth, message: true})
		} else { // what a bounce returns is the reader's own mail, not something shown to them
			b.checkDepth(at.depth)
		}
		return
	}
	shown := disposition != "attachment" && (kind == "text/plain" || kind == "text/html" && (name == "" || disposition == "inline"))
	if kind == "text/plain" && name != "" && disposition == "" {
		shown = false
	}
	attached := disposition == "attachment" || name != ""
	if kind == "text/calendar" { // shown by mail programs as a part of the text; its links come after those of the text
		b.files = append(b.files, file{kind: kind, charset: params["charset"], encoding: encoding, raw: raw, index: -1, depth: at.depth})
	} else if shown {
		b.textPart(h, kind, params["charset"], raw, at)
	}
	if attached || !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "message/") {
		b.attach(file{name: name, kind: kind, charset: params["charset"], disposition: disposition, encoding: encoding, raw: raw, depth: at.depth})
	}
}

// maxTextPart is how many bytes of one text are read, as they were sent.
const maxTextPart = 2 << 20

// textPart reads a part that mail programs show.
func (b *body) textPart(h header, kind, charset string, raw []byte, at place) {
	if len(raw) > maxTextPart {
		b.note(fmt.Sprintf("limit: a text of more than %d bytes", maxTextPart))
		raw = raw[:maxTextPart]
	}
	data, ok := b.decode(h.get("content-transfer-encoding"), raw)
	if !ok {
		return
	}
	if kind == "text/html" {
		b.showHTML(b.utf8Of(data, charset, true), at.group)
		return
	}
	text := b.utf8Of(data, charset, false)
	text = b.uuencoded(text, at.depth)
	b.show(false, b.cleanText(text), at.group)
	b.textLinks(clip(text, 1<<20))
	b.textCode(text)
}

func (b *body) showHTML(doc string, group int) {
	var out strings.Builder
	b.html(doc, &out)
	b.show(true, out.String(), group)
	b.textCode(out.String())
}

// show keeps the text of a part.
func (b *body) show(html bool, text string, group int) {
	if text = strings.TrimSpace(text); text == "" || len(b.texts) >= 64 || b.textSize > 4*MaxText {
		return
	}
	text = strings.Clone(clip(text, MaxText))
	b.textSize += len(text)
	b.texts = append(b.texts, segment{html, group, text})
}

// shown returns what a reader sees, of alternatives the HTML where it shows anything, and keeps a plain alternative
// that says something else, since programs for plain text show that.
func (b *body) shown() string {
	var out strings.Builder
	for _, s := range b.texts {
		if s.group == groupCalendar && out.Len() > 0 && !differs(s.text, out.String()) {
			continue
		}
		if !s.html && s.group > 0 {
			rich := ""
			for _, o := range b.texts {
				if o.html && o.group == s.group {
					rich = o.text
					break
				}
			}
			if rich != "" {
				if differs(s.text, rich) {
					b.keepElsewhere(s.text)
				}
				continue
			}
		}
		if out.Len() < MaxText {
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(s.text)
		}
	}
	return clip(strings.TrimSpace(out.String()), MaxText)
}

// differs reports whether most words of a plain text are missing in the HTML beside it.
func differs(plain, rich string) bool {
	seen := map[string]bool{}
	for w := range strings.FieldsSeq(rich) {
		if len(seen) < 4000 {
			seen[wordKey(w)] = true
		}
	}
	n, miss := 0, 0
	for w := range strings.FieldsSeq(plain) {
		k := wordKey(w)
		if len(k) < 4 || strings.Contains(w, "://") || strings.HasPrefix(w, ">") {
			continue
		}
		if n++; !seen[k] {
			miss++
		}
		if n >= 400 {
			break
		}
	}
	return n >= 5 && miss*2 > n
}

func wordKey(w string) string {
	return strings.ToLower(strings.Trim(w, ".,;:!?*_()[]<>\"'"))
}

const (
	maxElsewhere  = 4 << 10
	maxHiddenText = 2 << 10
	maxAttached   = 8 << 10
)

func (b *body) keepElsewhere(s string) { keep(&b.elsewhere, s, maxElsewhere) }

// attachedText keeps what an attached document says.
func (b *body) attachedText(s string) { keep(&b.attached, s, maxAttached) }

func keep(to *strings.Builder, s string, limit int) {
	if s = strings.TrimSpace(s); s == "" || to.Len() >= limit-1 {
		return
	}
	if to.Len() > 0 {
		to.WriteByte('\n')
	}
	to.WriteString(clip(s, limit-to.Len()))
}

// attach keeps a file for lookInside.
func (b *body) attach(f file) {
	if strings.HasPrefix(f.kind, "image/") && f.disposition != "attachment" {
		b.images++
	}
	f.index = len(b.mail.Attachments)
	b.mail.Attachments = append(b.mail.Attachments, ocsf.Attachment{Name: clip(f.name, 255), Type: clip(f.kind, 100)})
	b.files = append(b.files, f)
}

// lookInside decodes and inspects the attachments, one at a time; their links come after those of the text. What
// they hold may add more.
func (b *body) lookInside() {
	b.inBody = len(b.mail.Links)
	for i := 0; i < len(b.files); i++ {
		f := b.files[i]
		b.files[i].raw = nil
		data, ok := b.decode(f.encoding, f.raw)
		if f.index >= 0 && ok {
			sum := sha256.Sum256(data)
			a := &b.mail.Attachments[f.index]
			a.Size, a.SHA256 = int64(len(data)), hex.EncodeToString(sum[:])
		}
		if !ok {
			continue
		}
		b.from, b.where = "file", f.name
		if f.index < 0 {
			b.calendar(b.utf8Of(data, f.charset, false), true)
			continue
		}
		if f.message {
			b.nested(f.name, data, f.depth)
			continue
		}
		b.inspect(inside{name: f.name, kind: f.kind, charset: f.charset, data: data, depth: f.depth})
	}
	b.files = nil
	b.readPictures()
	b.from = ""
}

// checkDepth reports whether one more level of parts may be read.
func (b *body) checkDepth(depth int) bool {
	if depth >= MaxDepth {
		b.note(fmt.Sprintf("limit: parts nested deeper than %d", MaxDepth))
		return false
	}
	return true
}

// nested reads an attached message: what it says and where it leads belongs to the message it came in.
func (b *body) nested(name string, data []byte, depth int) {
	if !b.checkDepth(depth) {
		return
	}
	b.trait("attachment.message", name)
	inner, rest := splitMessage(data, b.note)
	if len(inner) == 0 && len(bytes.TrimSpace(rest)) == 0 {
		return
	}
	if s := decodeWords(inner.get("subject")); s != "" {
		b.attachedText(s)
	}
	b.entity(inner, rest, place{within: "message/rfc822", depth: depth + 1, group: 0})
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// clip cuts s to n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
