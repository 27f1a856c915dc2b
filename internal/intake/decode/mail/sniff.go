package mail

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// magics are the beginnings by which files are told, whatever their name says.
var magics = []struct{ prefix, what string }{
	{"PK\x03\x04", "zip"}, {"PK\x05\x06", "zip"}, {"PK\x07\x08", "zip"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"},
	{"Rar!\x1a\x07", "rar"}, {"7z\xbc\xaf\x27\x1c", "7z"},
	{"\x1f\x8b\x08", "gzip"}, {"BZh", "bzip2"}, {"MSCF\x00\x00\x00\x00", "cab"},
	{"MZ", "program"}, {"\x7fELF", "program"}, {"\xcf\xfa\xed\xfe", "program"}, {"\xca\xfe\xba\xbe", "program"},
	{"{\\rt", "rtf"},
	{"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F", "lnk"},
	{"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "onenote"},
	{"\x78\x9f\x3e\x22", "tnef"},
	{"\x89PNG\r\n\x1a\n", "picture"}, {"\xff\xd8\xff", "picture"}, {"GIF87a", "picture"}, {"GIF89a", "picture"},
	{"vhdxfile", "disk"}, {"conectix", "disk"},
}

// sniff tells what a file is by its content: zip, ole, rar, 7z, gzip, bzip2, cab, tar, iso, disk, program, pdf, rtf,
// lnk, onenote, tnef, picture, html, calendar, message, or "" for everything else.
func sniff(data []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.prefix)) {
			if m.prefix == "MZ" && len(data) > 64 && plain(string(data[:64])) {
				return "" // a text that begins with these letters
			}
			return m.what
		}
	}
	head := data[:min(len(data), 1024)]
	if bytes.Contains(head, []byte("%PDF-")) { // readers allow rubbish before it (ISO 32000-1 annex H.3.4.1)
		return "pdf"
	}
	if len(data) > 32768+6 && string(data[32769:32774]) == "CD001" {
		return "iso"
	}
	if len(data) > 265 && string(data[257:262]) == "ustar" {
		return "tar"
	}
	if n := len(data); n >= 1024 && n%512 == 0 && string(data[n-512:n-504]) == "conectix" || n > 512 && data[510] == 0x55 && data[511] == 0xaa && (data[0] == 0xeb || data[0] == 0xe9) {
		return "disk"
	}
	text := head
	if len(head) > 3 && (head[0] == 0xff && head[1] == 0xfe || head[0] == 0xfe && head[1] == 0xff) {
		text = bytes.ReplaceAll(head[2:], []byte{0}, nil)
	}
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n\x00")
	switch {
	case len(text) > 11 && (bytes.EqualFold(text[:11], []byte("BEGIN:VCALE")) || bytes.EqualFold(text[:11], []byte("BEGIN:VCARD"))):
		return "calendar"
	case looksHTML(text):
		return "html"
	case len(text) > 40 && (bytes.HasPrefix(text, []byte("Received:")) || bytes.HasPrefix(text, []byte("Return-Path:")) || bytes.HasPrefix(text, []byte("MIME-Version:"))):
		return "message"
	}
	return ""
}

// looksHTML reports whether a browser would take the beginning for a page (WHATWG MIME Sniffing 7.1), or an SVG.
func looksHTML(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) < 5 || text[0] != '<' {
		return false
	}
	low := bytes.ToLower(text[:min(len(text), 600)])
	for _, tag := range [...]string{"<!doctype html", "<html", "<head", "<script", "<iframe", "<body", "<form", "<meta", "<svg", "<table", "<div", "<title", "<style", "<a ", "<img", "<embed", "<object"} {
		if bytes.HasPrefix(low, []byte(tag)) {
			return true
		}
	}
	return (bytes.HasPrefix(low, []byte("<?xml")) || bytes.HasPrefix(low, []byte("<!--")) || bytes.HasPrefix(low, []byte("<!doctype"))) &&
		(bytes.Contains(low, []byte("<svg")) || bytes.Contains(low, []byte("<html")) || bytes.Contains(low, []byte("xhtml")))
}

// promises are endings and what a file with them may be. Those of documents may be a few kinds by custom.
var promises = map[string]string{
	".pdf": "pdf", ".docx": "zip ole", ".xlsx": "zip ole", ".pptx": "zip ole", ".doc": "ole rtf zip html message", ".xls": "ole zip html message", ".ppt": "ole zip",
	".jpg": "picture", ".jpeg": "picture", ".png": "picture", ".gif": "picture", ".bmp": "picture", ".txt": "html message calendar", ".csv": "", ".rtf": "rtf",
	".mp3": "", ".wav": "", ".mp4": "", ".zip": "zip", ".ics": "calendar", ".vcf": "calendar", ".eml": "message html", ".msg": "ole",
}

// nameTricks notes names that show another kind than the file has.
func (b *body) nameTricks(full, name, what, declared string) {
	low := strings.ToLower(strings.TrimRight(name, " ."))
	if i := strings.LastIndexAny(low, `/\`); i >= 0 {
		low = low[i+1:]
	}
	dot := strings.LastIndexByte(low, '.')
	if strings.ContainsFunc(low, turning) || strings.Contains(low, "        ") {
		b.trait("attachment.disguised", full)
	}
	if dot <= 0 {
		return
	}
	ext := low[dot:]
	before := strings.TrimRight(low[:dot], " _\u00a0")
	if i := strings.LastIndexByte(before, '.'); i > 0 && opens(ext) {
		if _, document := promises[before[i:]]; document {
			b.trait("attachment.disguised", full)
		}
	}
	allowed, known := promises[ext]
	if !known || what == "" || strings.Contains(" "+allowed+" ", " "+what+" ") {
		return
	}
	b.trait("attachment.mismatch", clip(full, 200)+": "+what)
}

// opens reports whether a file of that ending runs, or opens in a browser where its script runs.
func opens(ext string) bool {
	return hasSuffix(ext, programSuffixes...) || hasSuffix(ext, shortcutSuffixes...) || ext == ".html" || ext == ".htm" || ext == ".shtml" || ext == ".xhtml" || ext == ".svg"
}

// stringsIn collects links and names in binary data, in ASCII and UTF-16.
func (b *body) stringsIn(data []byte) {
	data = data[:min(len(data), inspectLimit)]
	b.rawLinks(data, 1)
	b.rawLinks(data, 2)
}

// rawLinks finds "http" in bytes that are no text, each character being as wide as given.
func (b *body) rawLinks(data []byte, width int) {
	pattern := []byte("://")
	if width == 2 {
		pattern = []byte(":\x00/\x00/\x00")
	}
	at := 0
	for range 200 {
		i := bytes.Index(data[at:], pattern)
		if i < 0 {
			return
		}
		i += at
		start, end := i, i
		for start-width >= 0 && i-start < 6*width && printable(data, start-width, width) {
			start -= width
		}
		for end+width <= len(data) && end-i < 2*MaxURL && printable(data, end, width) {
			end += width
		}
		var s []byte
		for k := start; k < end; k += width {
			s = append(s, data[k])
		}
		for u := range urlsIn(string(s)) {
			if !schemaHost(u) {
				b.link(u, "")
			}
		}
		at = max(end, i+len(pattern))
	}
}

func printable(data []byte, i, width int) bool {
	return data[i] > ' ' && data[i] < 0x7f && data[i] != '"' && data[i] != '<' && data[i] != '>' && (width == 1 || data[i+1] == 0)
}

// schemaHost reports whether an address names a format, as files of Office and Adobe are full of, and leads nobody.
func schemaHost(u string) bool {
	_, host, _ := canonical(u)
	switch host {
	case "schemas.microsoft.com", "schemas.openxmlformats.org", "www.w3.org", "purl.org", "ns.adobe.com", "schemas.xmlsoap.org", "purl.oclc.org", "iptc.org", "www.iec.ch", "cipa.jp", "ns.useplus.org", "xmlns.com":
		return true
	}
	return false
}

func le16(b []byte, at int) int {
	if at < 0 || at+2 > len(b) {
		return 0
	}
	return int(binary.LittleEndian.Uint16(b[at:]))
}

func le32(b []byte, at int) int64 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(b[at:]))
}

// part returns data[from:from+n] as far as it is there.
func part(data []byte, from, n int64) []byte {
	if from < 0 || n <= 0 || from >= int64(len(data)) {
		return nil
	}
	return data[from:min(int64(len(data)), from+min(n, int64(len(data))))]
}
