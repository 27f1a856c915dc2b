package mail

import (
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxToken = 2 << 20 // the longest tag or text the tokenizer may hold
	maxOpen  = 256     // open elements whose style is remembered
)

// element is an open element: what its style does to the text in it.
type element struct {
	name string
	look look
}

// reader walks the tokens of one HTML part.
type reader struct {
	body   *body
	out    *strings.Builder
	skip   string // element whose content is no text
	open   []element
	look   look // of the text that comes next
	sheet  sheet
	quote  int // open blockquotes
	cells  cells
	hidden int // bytes hidden in this document
	anchor struct {
		open bool
		url  string
		alt  string // of a picture in it
		text strings.Builder
	}
	base    string
	outlook bool // in a conditional comment: nothing is shown
}

// html writes the visible text of a document to out and collects its links. Quotations (blockquote) become lines
// that begin with "> ", so that old and new text stay apart. Text that styles hide is counted, not shown.
func (b *body) html(doc string, out *strings.Builder) {
	if b.nesting >= 4 {
		return
	}
	b.nesting++
	defer func() { b.nesting-- }()
	r := &reader{body: b, out: out}
	r.walk(doc)
	r.cells.finish(b)
	if r.hidden > 40 && len(strings.TrimSpace(out.String())) < 20 && b.hiddenText.Len() > 0 {
		out.WriteString("\n" + b.hiddenText.String()) // who hides everything hides nothing: a style that we read wrongly
	}
}

func (r *reader) walk(doc string) {
	z := html.NewTokenizer(strings.NewReader(doc))
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				r.body.note("limit: an HTML tag longer than the reader holds")
			}
			r.closeAnchor()
			return
		case html.TextToken:
			r.text(z.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			a := attributes(z, more)
			r.start(tagName(name), &a)
		case html.EndTagToken:
			name, _ := z.TagName()
			r.end(tagName(name))
		case html.CommentToken:
			r.comment(z.Text())
		}
	}
}

func tagName(b []byte) string {
	if a := atom.Lookup(b); a != 0 {
		return a.String()
	}
	return string(b[:min(len(b), 40)])
}

type attrs struct {
	href, action, style, content, equiv, src, data, srcdoc, class, id, background, alt, kind string
	bgcolor, color, colspan                                                                  string
	handler                                                                                  string // the first on… attribute that names an address
	handlers, hidden                                                                         bool
}

func attributes(z *html.Tokenizer, more bool) (a attrs) {
	for n := 0; more && n < 200; n++ {
		var k, v []byte
		k, v, more = z.TagAttr()
		switch string(k) {
		case "href", "xlink:href", "to":
			if a.href == "" {
				a.href = string(v)
			}
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
		case "data":
			a.data = string(v)
		case "srcdoc":
			a.srcdoc = string(v)
		case "class":
			a.class = string(v)
		case "id":
			a.id = string(v)
		case "background":
			a.background = string(v)
		case "alt":
			a.alt = string(v)
		case "type":
			a.kind = string(v)
		case "bgcolor":
			a.bgcolor = string(v)
		case "color":
			a.color = string(v)
		case "colspan":
			a.colspan = string(v)
		case "hidden":
			a.hidden = true
		default:
			if len(k) > 3 && k[0] == 'o' && k[1] == 'n' && len(v) > 0 {
				a.handlers = true
				if a.handler == "" && len(v) < 64<<10 {
					a.handler = string(v)
				}
			}
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
	"section": true, "article": true, "header": true, "footer": true, "center": true, "body": true, "option": true, "dt": true, "dd": true}

// selfClosing elements end where another of their name begins.
var selfClosing = map[string]bool{"p": true, "li": true, "td": true, "th": true, "tr": true, "option": true, "dt": true, "dd": true}

func (r *reader) start(name string, a *attrs) {
	switch name {
	case "script", "style", "title", "noscript", "template", "xml":
		r.skip = name
		if name == "script" {
			r.note("body.script", "yes")
			r.body.remote(a.src)
		}
		return
	case "a", "area", "v:roundrect", "v:rect", "v:shape", "animate", "set":
		if name == "animate" || name == "set" { // SVG may set a link's target late
			r.link(a.href)
			break
		}
		r.closeAnchor()
		r.anchor.open, r.anchor.url, r.anchor.alt = true, a.href, a.alt
		if name == "area" {
			r.closeAnchor()
		}
	case "form", "button":
		if a.action != "" {
			r.link(a.action)
		}
		if name == "form" {
			r.note("body.form", "yes")
		}
	case "input", "textarea", "select":
		r.input(a)
	case "base":
		if r.base == "" {
			r.base = a.href
		}
	case "meta":
		r.meta(a)
	case "link":
		r.body.remote(r.resolve(a.href))
	case "img", "image", "v:fill", "v:imagedata":
		r.picture(name, a)
	case "iframe", "embed", "frame", "object", "portal":
		r.frame(a)
	case "blockquote":
		r.quote++
	case "td", "th", "tr", "table":
		r.cells.start(name, a)
	}
	if a.handlers {
		r.handler(a.handler)
	}
	if block[name] {
		r.newline()
	}
	if void[name] {
		return
	}
	r.push(name, a)
}

func (r *reader) note(field, value string) {
	if r.body.from == "" && !r.outlook {
		r.body.traits[field] = value
	}
}

func (r *reader) input(a *attrs) {
	if r.look.unseen() || strings.EqualFold(a.kind, "hidden") || strings.EqualFold(a.kind, "submit") || strings.EqualFold(a.kind, "button") {
		if a.action != "" {
			r.link(a.action)
		}
		return
	}
	switch {
	case strings.EqualFold(a.kind, "password"):
		r.note("body.input", "password")
	case r.body.traits["body.input"] == "":
		r.note("body.input", "yes")
	}
	if a.action != "" {
		r.link(a.action)
	}
}

func (r *reader) meta(a *attrs) {
	if !strings.EqualFold(strings.TrimSpace(a.equiv), "refresh") {
		return
	}
	low := strings.ToLower(a.content)
	i := strings.Index(low, "url")
	if i < 0 {
		i = strings.IndexAny(low, ";,")
		if i < 0 {
			return
		}
		i -= 2
	}
	u := strings.Trim(strings.TrimLeft(a.content[min(len(a.content), i+3):], " \t\r\n=;,"), `'" `)
	r.link(u)
	if _, host, _ := canonical(r.resolve(u)); host != "" {
		r.note("body.refresh", host)
	}
}

func (r *reader) picture(name string, a *attrs) {
	src := firstOf(a.src, a.href)
	if name == "img" {
		r.body.images++
		if r.anchor.open && r.anchor.alt == "" {
			r.anchor.alt = a.alt
		}
	}
	if len(src) > 5 && strings.EqualFold(src[:5], "data:") {
		r.note("body.dataimage", "yes")
		r.body.dataPicture(src)
		return
	}
	r.body.remote(r.resolve(src))
}

func (r *reader) frame(a *attrs) {
	for _, u := range [...]string{a.src, a.data} {
		if u != "" {
			r.link(u)
		}
	}
	if a.srcdoc != "" && r.body.nesting < 3 {
		var out strings.Builder
		r.body.html(a.srcdoc, &out)
		r.newline()
		r.text([]byte(out.String()))
	}
}

// handler collects the addresses in what a script would do on a click.
func (r *reader) handler(code string) {
	r.note("body.script", "yes")
	if strings.Contains(code, "//") {
		for u := range urlsIn(code) {
			r.body.link(u, "")
		}
	}
}

func (r *reader) link(u string) { r.body.link(r.resolve(u), "") }

// push opens an element and works out how text in it looks.
func (r *reader) push(name string, a *attrs) {
	if selfClosing[name] && len(r.open) > 0 && r.open[len(r.open)-1].name == name {
		r.pop(len(r.open) - 1)
	}
	was := r.look
	if a.hidden || a.style != "" || a.bgcolor != "" || a.color != "" || a.background != "" || a.class != "" || a.id != "" {
		r.restyle(name, a)
	}
	if len(r.open) < maxOpen {
		r.open = append(r.open, element{name, was})
	} else {
		r.look = was // deeper elements cannot be closed again, so that they change nothing
	}
}

func (r *reader) restyle(name string, a *attrs) {
	if a.hidden {
		r.look.hidden = true
	}
	if r.sheet != nil {
		r.sheet.apply(&r.look, a)
	}
	if a.bgcolor != "" {
		r.look.background(a.bgcolor)
	}
	if a.background != "" {
		r.look.bgKnown = false
		r.body.remote(r.resolve(a.background))
	}
	if a.color != "" && name == "font" {
		r.look.colour(a.color)
	}
	if a.style != "" {
		r.look.style(a.style)
		if i := strings.Index(a.style, "url("); i >= 0 {
			u, _, _ := strings.Cut(a.style[i+4:], ")")
			r.body.remote(r.resolve(strings.Trim(u, `'" `)))
		}
	}
}

func (r *reader) pop(i int) {
	r.look = r.open[i].look
	r.open = r.open[:i]
}

func (r *reader) end(name string) {
	if r.skip == name {
		r.skip = ""
	}
	switch name {
	case "a", "v:roundrect", "v:rect", "v:shape":
		r.closeAnchor()
	case "blockquote":
		r.quote = max(0, r.quote-1)
	case "tr", "table":
		r.cells.end(name, r.body)
	}
	for i := len(r.open) - 1; i >= max(0, len(r.open)-32); i-- {
		if r.open[i].name == name {
			r.pop(i)
			break
		}
		if r.open[i].name == "table" && name != "table" { // an end tag inside of a table closes nothing around it
			break
		}
	}
	if block[name] {
		r.newline()
	}
}

func (r *reader) text(raw []byte) {
	if r.skip != "" {
		if r.skip == "style" && len(raw) < 256<<10 {
			r.readSheet(string(raw))
		}
		return
	}
	s := string(raw)
	if r.outlook {
		r.body.keepElsewhere(s)
	} else if r.look.unseen() {
		r.hide(s)
		return
	}
	if r.anchor.open {
		if r.anchor.text.Len() < 300 {
			r.anchor.text.WriteString(clip(s, 300))
		}
	} else if strings.IndexByte(s, '/') >= 0 || strings.Contains(s, "www.") { // programs make it clickable
		for u := range urlsIn(clip(s, 1<<20)) {
			r.body.link(u, "")
		}
	}
	if r.outlook || r.out.Len() >= MaxText {
		return
	}
	r.write(r.body.cleanText(clip(s, MaxText-r.out.Len())))
}

func (r *reader) hide(s string) {
	t := strings.TrimSpace(s)
	if t == "" {
		return
	}
	r.hidden += len(t)
	r.body.hidden += len(t)
	keep(&r.body.hiddenText, t, maxHiddenText)
}

// write adds text with white space folded.
func (r *reader) write(s string) {
	space := r.out.Len() == 0 || strings.HasSuffix(r.out.String()[r.out.Len()-1:], "\n")
	start := -1 // of a run that goes out as it is
	for i, c := range s {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\u00a0' {
			if start < 0 {
				r.mark()
				start = i
			}
			space = false
			continue
		}
		if start >= 0 {
			r.out.WriteString(s[start:i])
			start = -1
		}
		if !space {
			r.out.WriteByte(' ')
			space = true
		}
	}
	if start >= 0 {
		r.out.WriteString(s[start:])
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
	if r.quote == 0 {
		return
	}
	if s := r.out.String(); s == "" || s[len(s)-1] == '\n' {
		r.out.WriteString(">>> "[3-min(r.quote, 3):])
	}
}

func (r *reader) closeAnchor() {
	if !r.anchor.open {
		return
	}
	text := r.anchor.text.String()
	if strings.TrimSpace(text) == "" {
		text = clip(r.anchor.alt, 200)
	} else if !plain(text) {
		text = strings.Map(func(c rune) rune {
			if invisible(c) || turning(c) {
				return -1
			}
			return c
		}, text)
	}
	r.body.link(r.resolve(r.anchor.url), text)
	r.anchor.open, r.anchor.alt = false, ""
	r.anchor.text.Reset()
}

// comment reads what Outlook alone shows: <!--[if mso]> … <![endif]-->.
func (r *reader) comment(text []byte) {
	s := string(text)
	if len(s) < 8 || !strings.HasPrefix(s, "[if ") || r.outlook || r.body.nesting > 3 {
		return
	}
	cond, rest, ok := strings.Cut(s, "]>")
	if !ok || strings.Contains(cond, "!") || rest == "" {
		return
	}
	inner := &reader{body: r.body, out: &strings.Builder{}, base: r.base, outlook: true}
	rest = strings.TrimSuffix(rest, "<![endif]")
	if !strings.Contains(rest, "href") && !strings.Contains(strings.Map(letters, rest), "  ") {
		return
	}
	inner.walk(rest)
}

// letters keeps what could be text.
func letters(r rune) rune {
	if r == '<' || r == '>' {
		return ' '
	}
	return r
}

// resolve makes a relative link absolute where the document names its base.
func (r *reader) resolve(u string) string {
	u = strings.TrimSpace(u)
	if r.base == "" || u == "" || strings.HasPrefix(u, "#") || strings.Contains(u, ":") || strings.HasPrefix(u, "//") {
		return u
	}
	return strings.TrimSuffix(r.base, "/") + "/" + strings.TrimPrefix(u, "/")
}
