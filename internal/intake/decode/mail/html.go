package mail

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken is the longest tag or text the tokenizer may hold.
const maxToken = 4 << 20

// reader walks the tokens of one HTML part.
type reader struct {
	body   *body
	out    *strings.Builder
	skip   atom.Atom // element whose content is no text
	hide   string    // element that hides its content
	depth  int       // of elements of that name within it
	quote  int       // open blockquotes
	anchor struct {
		open bool
		url  string
		text strings.Builder
	}
	base string
}

// html writes the visible text of a document to out and collects its links. Quotations (blockquote) become lines
// that begin with "> ", so that old and new text stay apart. Text that styles hide is counted, not shown.
func (b *body) html(doc string, out *strings.Builder) {
	r := &reader{body: b, out: out}
	z := html.NewTokenizer(strings.NewReader(doc))
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				b.note("limit: an HTML tag longer than the reader holds")
			}
			r.closeAnchor()
			return
		case html.TextToken:
			r.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			r.start(string(name), attributes(z, more))
		case html.EndTagToken:
			name, _ := z.TagName()
			r.end(string(name))
		}
	}
}

type attrs struct {
	href, action, style, content, equiv, src string
	hidden                                   bool
}

func attributes(z *html.Tokenizer, more bool) (a attrs) {
	for n := 0; more && n < 200; n++ {
		var k, v []byte
		k, v, more = z.TagAttr()
		switch string(k) {
		case "href", "xlink:href":
			a.href = string(v)
		case "action", "formaction":
			a.action = string(v)
		case "style":
			a.style = string(v)
		case "content":
			a.content = string(v)
		case "http-equiv":
			a.equiv = string(v)
		case "src":
			a.src = string(v)
		case "hidden":
			a.hidden = true
		}
	}
	return a
}

// void elements have no end tag.
var void = map[string]bool{"area": true, "base": true, "br": true, "col": true, "embed": true, "hr": true, "img": true,
	"input": true, "link": true, "meta": true, "param": true, "source": true, "track": true, "wbr": true}

// block elements break a line.
var block = map[string]bool{"p": true, "div": true, "br": true, "tr": true, "li": true, "ul": true, "ol": true, "table": true,
	"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "blockquote": true, "hr": true, "pre": true,
	"section": true, "article": true, "header": true, "footer": true, "center": true, "body": true}

func (r *reader) start(name string, a attrs) {
	switch name {
	case "script", "style", "title", "noscript", "template":
		r.skip = atom.Lookup([]byte(name))
	case "a", "area":
		r.closeAnchor()
		r.anchor.open, r.anchor.url = true, a.href
		if name == "area" {
			r.closeAnchor()
		}
	case "form", "button":
		if a.action != "" {
			r.body.link(r.resolve(a.action), "")
			if name == "form" {
				r.body.traits["body.form"] = "yes"
			}
		}
	case "input":
		if r.hide == "" {
			r.body.traits["body.input"] = "yes"
		}
	case "base":
		r.base = a.href
	case "meta":
		if strings.EqualFold(a.equiv, "refresh") {
			if i := strings.Index(strings.ToLower(a.content), "url="); i >= 0 {
				r.body.link(strings.Trim(a.content[i+4:], `'" `), "")
			}
		}
	case "img":
		r.body.images++
		if strings.HasPrefix(a.src, "data:") {
			r.body.traits["body.dataimage"] = "yes"
		}
	case "iframe", "embed", "frame":
		if a.src != "" {
			r.body.link(r.resolve(a.src), "")
		}
	case "blockquote":
		r.quote++
	}
	if block[name] {
		r.newline()
	}
	if void[name] {
		return
	}
	switch {
	case r.hide == name:
		r.depth++
	case r.hide == "" && (a.hidden || hides(a.style)):
		r.hide, r.depth = name, 1
	}
}

func (r *reader) end(name string) {
	if r.skip != 0 && r.skip.String() == name {
		r.skip = 0
	}
	switch name {
	case "a":
		r.closeAnchor()
	case "blockquote":
		r.quote = max(0, r.quote-1)
	}
	if r.hide == name {
		if r.depth--; r.depth == 0 {
			r.hide = ""
		}
	}
	if block[name] {
		r.newline()
	}
}

func (r *reader) text(s string) {
	if r.skip != 0 {
		return
	}
	if r.hide != "" {
		r.body.hidden += len(strings.TrimSpace(s))
		return
	}
	if r.anchor.open && r.anchor.text.Len() < 300 {
		r.anchor.text.WriteString(clip(s, 300))
	}
	if r.out.Len() >= MaxText {
		return
	}
	s = clip(s, MaxText-r.out.Len())
	space := r.out.Len() == 0 || strings.HasSuffix(r.out.String()[r.out.Len()-1:], "\n")
	for _, c := range s {
		switch c {
		case ' ', '\t', '\n', '\r', '\u00a0':
			if !space {
				r.out.WriteByte(' ')
				space = true
			}
		case '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u034f':
			r.body.hidden++ // written to break words for filters, not for readers
		default:
			r.mark()
			r.out.WriteRune(c)
			space = false
		}
	}
}

func (r *reader) newline() {
	if n := r.out.Len(); n == 0 || n >= MaxText || strings.HasSuffix(r.out.String()[max(0, n-2):], "\n") {
		return
	}
	r.out.WriteByte('\n')
}

// mark writes what tells a quoted line from a new one.
func (r *reader) mark() {
	s := r.out.String()
	if r.quote > 0 && (s == "" || s[len(s)-1] == '\n') {
		r.out.WriteString(">>> "[3-min(r.quote, 3):])
	}
}

func (r *reader) closeAnchor() {
	if !r.anchor.open {
		return
	}
	r.body.link(r.resolve(r.anchor.url), r.anchor.text.String())
	r.anchor.open = false
	r.anchor.text.Reset()
}

// resolve makes a relative link absolute where the document names its base.
func (r *reader) resolve(u string) string {
	u = strings.TrimSpace(u)
	if r.base == "" || u == "" || strings.HasPrefix(u, "#") || strings.Contains(u, ":") || strings.HasPrefix(u, "//") {
		return u
	}
	return strings.TrimSuffix(r.base, "/") + "/" + strings.TrimPrefix(u, "/")
}

// hides reports whether an inline style makes its element invisible.
func hides(style string) bool {
	if style == "" {
		return false
	}
	s := strings.ToLower(strings.ReplaceAll(style, " ", ""))
	for _, w := range [...]string{"display:none", "visibility:hidden", "mso-hide:all", "opacity:0;", "font-size:0px", "font-size:0;", "font-size:0pt", "max-height:0"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return strings.HasSuffix(s, "opacity:0") || strings.HasSuffix(s, "font-size:0")
}
