package mail

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	maxPDF        = 32 << 20 // bytes of a PDF that are looked through
	maxPDFStreams = 2000
	maxPDFStream  = 2 << 20 // bytes that one stream may become
)

// pdfFile is what is collected while a PDF is read from front to back. The table of objects at its end is not used:
// readers rebuild it where it is wrong, so that it proves nothing, and a file that lies there would show others
// something else than us.
type pdfFile struct {
	b        *body
	in       inside
	fonts    map[int]cmap   // object number → its map from codes to letters
	toCode   map[int]int    // font object → object number of its map
	names    map[string]int // name in a page's resources → font object
	pages    [][]byte       // content streams, as they were sent
	pageSize int
	embedded int
}

// pdf reads a PDF (ISO 32000-1): where it leads, what it does when opened, what it says first, its pictures and the
// files in it. Streams are undone where they are Flate, ASCIIHex or ASCII85.
func (b *body) pdf(f inside) {
	was := b.from
	b.from = "pdf"
	defer func() { b.from = was }()
	data := f.data[:min(len(f.data), maxPDF)]
	p := &pdfFile{b: b, in: f, fonts: map[int]cmap{}, toCode: map[int]int{}, names: map[string]int{}}
	at, n := 0, 0
	for ; n < maxPDFStreams; n++ {
		i := nextStream(data, at)
		if i < 0 {
			break
		}
		p.objects(data[at:i], true)
		start := i + len("stream")
		if start < len(data) && data[start] == '\r' {
			start++
		}
		if start < len(data) && data[start] == '\n' {
			start++
		}
		end := bytes.Index(data[start:], []byte("endstream"))
		if end < 0 {
			p.stream(data, i, data[start:])
			at = len(data)
			break
		}
		p.stream(data, i, data[start:start+end])
		at = start + end + len("endstream")
	}
	if n == maxPDFStreams {
		b.note("limit: a PDF with more streams than are read")
	}
	if at < len(data) {
		p.objects(data[at:], true)
	}
	p.text()
}

// nextStream finds the keyword "stream" after a dictionary.
func nextStream(data []byte, at int) int {
	for at < len(data) {
		i := bytes.Index(data[at:], []byte("stream"))
		if i < 0 {
			return -1
		}
		i += at
		after := i + 6
		if after < len(data) && (data[after] == '\r' || data[after] == '\n') && (i < 3 || !bytes.Equal(data[i-3:i], []byte("end"))) {
			return i
		}
		at = i + 6
	}
	return -1
}

// stream reads one stream, whose keyword stands at i.
func (p *pdfFile) stream(data []byte, i int, raw []byte) {
	dict := data[max(0, i-4096):i]
	number := 0
	if o := bytes.LastIndex(dict, []byte(" obj")); o >= 0 {
		number = objectNumber(dict[:o])
		dict = dict[o+4:]
	}
	d := string(nameEscapes(dict))
	filter := filters(d)
	switch {
	case strings.Contains(d, "/FontFile") || strings.Contains(d, "/Length1") || strings.Contains(d, "/Type1C") || strings.Contains(d, "/CIDFontType0C") || strings.Contains(d, "/OpenType"):
		return
	case hasName(d, "/Subtype", "/Image"):
		p.image(d, filter, raw)
		return
	case hasName(d, "/Type", "/XRef") || hasName(d, "/Type", "/Metadata") || strings.Contains(d, "/FunctionType") || strings.Contains(d, "/ShadingType"):
		return
	case hasName(d, "/Type", "/EmbeddedFile"):
		p.embeddedFile(filter, raw)
		return
	case hasName(d, "/Type", "/ObjStm"):
		out := p.undo(filter, raw, maxPDFStream)
		p.objectStream(out, intAfter(d, "/N"), intAfter(d, "/First"))
		return
	case strings.Contains(d, "/CMapName") || strings.Contains(d, "/CIDSystemInfo"):
		p.addMap(number, p.undo(filter, raw, 512<<10))
		return
	}
	if p.pageSize > maxPDFStream*2 {
		return
	}
	out := p.undo(filter, raw, maxPDFStream/2)
	head := out[:min(len(out), 2048)]
	switch {
	case bytes.Contains(head, []byte("begincmap")):
		p.addMap(number, out)
	case bytes.Contains(out, []byte("Tj")) || bytes.Contains(out, []byte("TJ")):
		p.pageSize += len(out)
		p.pages = append(p.pages, out)
	case bytes.Contains(out, []byte("app.")) || bytes.Contains(out, []byte("this.")) || bytes.Contains(out, []byte("function")):
		p.b.textLinks(toUTF8(string(out[:min(len(out), 64<<10)]))) // a script's text
	}
}

// undo applies the filters of a stream.
func (p *pdfFile) undo(filter []string, raw []byte, limit int64) []byte {
	for _, f := range filter {
		switch f {
		case "FlateDecode", "Fl":
			raw = p.b.zlibBytes(raw, limit)
		case "ASCIIHexDecode", "AHx":
			raw = hexBytes(string(raw[:min(len(raw), maxPDFStream)]))
		case "ASCII85Decode", "A85":
			raw = ascii85Bytes(raw[:min(len(raw), maxPDFStream)])
		default:
			return nil
		}
	}
	return raw[:min(int64(len(raw)), limit)]
}

// filters lists the filters of a stream's dictionary, in their order, at most four.
func filters(d string) (out []string) {
	i := strings.Index(d, "/Filter")
	if i < 0 {
		if i = strings.Index(d, "/F "); i < 0 {
			return nil
		}
		i -= 5
	}
	v := strings.TrimLeft(d[i+7:], " \r\n\t")
	end := 1
	if strings.HasPrefix(v, "[") {
		end = 4
		v = v[1:]
	}
	for range end {
		v = strings.TrimLeft(v, " \r\n\t")
		if !strings.HasPrefix(v, "/") {
			break
		}
		v = v[1:]
		n := strings.IndexAny(v, " /\r\n\t[]<>()")
		if n < 0 {
			n = len(v)
		}
		out = append(out, v[:n])
		v = v[n:]
	}
	return out
}

// objects looks through dictionaries and strings outside of streams.
func (p *pdfFile) objects(d []byte, top bool) {
	d = nameEscapes(d)
	if top && bytes.Contains(d, []byte("/Encrypt")) {
		p.b.trait("attachment.encrypted", p.in.name)
	}
	p.actions(d)
	p.addresses(d)
	if bytes.Contains(d, []byte("/ToUnicode")) || bytes.Contains(d, []byte("/Font")) {
		p.fontObjects(d)
	}
}

// objectStream reads the objects of an object stream (7.5.7): numbers and places first, then the objects.
func (p *pdfFile) objectStream(d []byte, n, first int) {
	p.objects(d, false)
	if first <= 0 || first > len(d) {
		return
	}
	head := bytes.Fields(d[:first])
	for i := 0; i+1 < len(head) && i < 2*min(n, 5000); i += 2 {
		number, err1 := strconv.Atoi(string(head[i]))
		at, err2 := strconv.Atoi(string(head[i+1]))
		if err1 != nil || err2 != nil || at < 0 || first+at >= len(d) {
			continue
		}
		end := len(d)
		if i+3 < len(head) {
			if next, err := strconv.Atoi(string(head[i+3])); err == nil && next > at && first+next <= len(d) {
				end = first + next
			}
		}
		p.font(number, d[first+at:min(end, first+at+4096)])
	}
}

func (p *pdfFile) actions(d []byte) {
	for _, a := range [...]struct{ name, what string }{{"/JavaScript", "javascript"}, {"/JS ", "javascript"}, {"/JS(", "javascript"}, {"/Launch", "launch"}, {"/SubmitForm", "submit"}, {"/ImportData", "submit"}, {"/GoToR", "open-remote"}, {"/GoToE", "open-remote"}} {
		if bytes.Contains(d, []byte(a.name)) {
			if _, ok := p.b.traits["attachment.action"]; !ok {
				p.b.traits["attachment.action"] = a.what
			}
		}
	}
	if bytes.Contains(d, []byte("/EmbeddedFile")) {
		p.b.trait("attachment.embedded", "pdf")
	}
}

// addresses finds links: /URI with its string, and any string that begins like an address, since a target may stand
// in an object of its own.
func (p *pdfFile) addresses(d []byte) {
	for at, n := 0, 0; n < MaxLinks; n++ {
		i := bytes.Index(d[at:], []byte("/URI"))
		if i < 0 {
			break
		}
		at += i + 4
		if v := pdfString(bytes.TrimLeft(d[at:min(len(d), at+16<<10)], " \r\n\t")); v != "" {
			if !strings.Contains(v, ":") && strings.Contains(v, ".") {
				v = "http://" + v // readers add it
			}
			p.b.link(v, "")
		}
	}
	for _, start := range [...]string{"(http", "(HTTP", "<68747470", "(javascript:", "(\\150", "(www."} {
		for at, n := 0, 0; n < MaxLinks; n++ {
			i := bytes.Index(d[at:], []byte(start))
			if i < 0 {
				break
			}
			at += i
			p.b.textLinks(pdfString(d[at:min(len(d), at+16<<10)]))
			at += len(start)
		}
	}
}

// embeddedFile opens a file that a PDF carries.
func (p *pdfFile) embeddedFile(filter []string, raw []byte) {
	p.b.trait("attachment.embedded", "pdf")
	if p.embedded++; p.embedded > 8 {
		return
	}
	p.b.member(p.in, "file", func() []byte { return p.undo(filter, raw, maxMember) })
	p.b.from = "pdf"
}
