package mail

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// inspectLimit is how many bytes of an attachment are looked at for its traits.
const inspectLimit = 1 << 20

// inspect notes what an attachment is beyond its name, as event fields: "attachment.encrypted" (an archive, PDF or
// Office file under a password), "attachment.macro", "attachment.form" (HTML that asks for input, "password" where
// it asks for one), "attachment.script", "attachment.program" and "attachment.member" (a dangerous member of an archive).
func (b *body) inspect(name, kind string, data []byte, charset string) {
	head := data[:min(len(data), inspectLimit)]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		b.inspectZip(name, head, data)
	case bytes.HasPrefix(head, []byte("MZ")):
		b.trait("attachment.program", name)
	case bytes.HasPrefix(head, []byte("%PDF")):
		if bytes.Contains(data, []byte("/Encrypt ")) {
			b.trait("attachment.encrypted", name)
		}
		for u := range urlsIn(pdfURIs(data)) {
			b.link(u, "")
		}
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")): // compound file: old Office, or encrypted new
		if bytes.Contains(head, utf16("EncryptedPackage")) {
			b.trait("attachment.encrypted", name)
		}
		if bytes.Contains(head, utf16("_VBA_PROJECT")) {
			b.trait("attachment.macro", name)
		}
	case bytes.HasPrefix(head, []byte("Rar!\x1a\x07\x01\x00")) && len(head) > 12 && head[12] == 4:
		b.trait("attachment.encrypted", name)
	case kind == "text/html" || kind == "image/svg+xml" || hasSuffix(name, ".html", ".htm", ".xhtml", ".shtml", ".svg"):
		b.inspectHTML(name, utf8Of(head, charset, func(string) {}))
	}
}

func (b *body) trait(key, name string) {
	if _, ok := b.traits[key]; !ok {
		b.traits[key] = firstOf(clip(name, 255), "unnamed")
	}
}

func (b *body) inspectHTML(name, text string) {
	low := strings.ToLower(text)
	switch {
	case strings.Contains(low, `type="password"`), strings.Contains(low, "type='password'"), strings.Contains(low, "type=password"):
		b.traits["attachment.form"] = "password"
	case strings.Contains(low, "<form"), strings.Contains(low, "<input"):
		b.trait("attachment.form", "form")
	}
	for _, w := range [...]string{"atob(", "fromcharcode", "unescape(", "document.write", "mssaveoropenblob", "createobjecturl", "location.href", "location.replace", "eval("} {
		if strings.Contains(low, w) {
			b.trait("attachment.script", name)
			break
		}
	}
	var shown strings.Builder
	b.html(text, &shown)
}

// inspectZip reads the local headers in order (APPNOTE 4.3.7); an archive that lies about them is at least not
// read wrongly for long.
func (b *body) inspectZip(name string, head, data []byte) {
	if bytes.Contains(data, []byte("vbaProject.bin")) {
		b.trait("attachment.macro", name)
	}
	for range 256 {
		if len(head) < 30 || !bytes.HasPrefix(head, []byte("PK\x03\x04")) {
			return
		}
		flags := binary.LittleEndian.Uint16(head[6:])
		size := int64(binary.LittleEndian.Uint32(head[18:]))
		n, extra := int(binary.LittleEndian.Uint16(head[26:])), int(binary.LittleEndian.Uint16(head[28:]))
		if len(head) < 30+n {
			return
		}
		member := strings.ToLower(string(head[30 : 30+n]))
		if flags&1 != 0 {
			b.trait("attachment.encrypted", name)
		}
		if hasSuffix(member, programSuffixes...) {
			b.trait("attachment.member", toUTF8(member))
		}
		next := int64(30+n+extra) + size
		if flags&8 != 0 && size == 0 || next >= int64(len(head)) {
			i := bytes.Index(head[30:], []byte("PK\x03\x04"))
			if i < 0 {
				return
			}
			next = int64(30 + i)
		}
		head = head[next:]
	}
}

// programSuffixes are the names Windows runs or opens into something that runs.
var programSuffixes = []string{".exe", ".scr", ".com", ".pif", ".bat", ".cmd", ".ps1", ".vbs", ".vbe", ".js", ".jse", ".wsf",
	".hta", ".lnk", ".msi", ".msix", ".iso", ".img", ".vhd", ".vhdx", ".jar", ".cpl", ".chm", ".reg", ".url", ".application", ".library-ms"}

func hasSuffix(s string, list ...string) bool {
	for _, x := range list {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}

func utf16(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

// pdfURIs returns the plain link targets of an uncompressed PDF, one a line.
func pdfURIs(data []byte) string {
	var out strings.Builder
	for n := 0; n < MaxLinks; n++ {
		i := bytes.Index(data, []byte("/URI"))
		if i < 0 {
			break
		}
		data = bytes.TrimLeft(data[i+4:], " ")
		if len(data) == 0 || data[0] != '(' {
			continue
		}
		if end := bytes.IndexByte(data[:min(len(data), MaxURL)], ')'); end > 0 {
			out.Write(data[1:end])
			out.WriteByte('\n')
		}
	}
	return out.String()
}
