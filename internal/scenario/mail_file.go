package scenario

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"html"
	"image"
	"image/color"
	"image/png"
	"strings"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// attachment is one file of a message.
type attachment struct {
	name, mime string
	content    []byte
	inline     bool // a picture shown in the text
	calendar   bool // an invitation, which stands beside the text
}

// attach makes the file that a script names. Payloads are inert.
func attach(r *rng, kind string, w words, t time.Time, from *mailer) []attachment {
	ref := strings.ReplaceAll(w["ref"], " ", "")
	switch kind {
	case "":
		return nil
	case "pdf-iban":
		return []attachment{{name: pick(r, []string{ref, "invoice_" + ref, from.house.short + "_" + ref}) + ".pdf", mime: "application/pdf",
			content: makePDF([]string{from.house.name, from.house.street, "", ref, w["amount"], "", "IBAN " + w["iban"], w["bank"]}, nil)}}
	case "pdf-report":
		return []attachment{{name: pick(r, []string{"report_", "scan_", ""}) + ref + ".pdf", mime: "application/pdf",
			content: makePDF([]string{from.house.name, w["project"], ref, w["month"], w["device"] + " 99.9 %", w["num"] + " tickets"}, nil)}}
	case "html-form":
		page := `<html><head><title>` + html.EscapeString(ref) + `</title></head><body><h3>` + html.EscapeString(ref) + `.pdf</h3><form method="post" action="` + html.EscapeString(w["link"]) +
			`"><input name="email" value="` + html.EscapeString(w["toMail"]) + `"><input type="password" name="pass"><button>OK</button></form></body></html>` + "\n"
		return []attachment{{name: ref + ".html", mime: "text/html", content: []byte(page)}}
	case "html-report":
		page := `<html><head><title>` + html.EscapeString(ref) + `</title><style>td{padding:4px}</style></head><body><h3>` + html.EscapeString(w["client"]) + `</h3><table><tr><td>` + w["device"] +
			`</td><td>OK</td><td>` + w["num"] + ` GB</td></tr></table></body></html>` + "\n"
		return []attachment{{name: "report_" + ref + ".html", mime: "text/html", content: []byte(page)}}
	case "zip-script":
		return []attachment{{name: ref + ".zip", mime: "application/zip", content: lockedZip(r, ref+pick(r, []string{".js", ".lnk", ".vbs", ".iso"}), []byte("inert "+r.token(200)), w["pw"], t)}}
	case "zip-text":
		return []attachment{{name: ref + ".zip", mime: "application/zip", content: lockedZip(r, pick(r, []string{"export.txt", "list.csv", w["device"] + ".cfg"}), []byte(strings.Repeat(w["device"]+" "+r.token(8)+"\n", 12)), w["pw"], t)}}
	case "ics-link":
		return []attachment{{name: "invite.ics", mime: "text/calendar", calendar: true, content: invitation(r, w, t, from)}}
	case "qr":
		return []attachment{{name: pick(r, []string{"code", "image001", "qr"}) + ".png", mime: "image/png", inline: true, content: qrPNG(w["link"], r.between(4, 7))}}
	case "qr-pdf":
		return []attachment{{name: ref + ".pdf", mime: "application/pdf", content: makePDF([]string{from.house.name, ref}, qrMatrix(w["link"], 5))}}
	}
	panic("scenario: no attachment " + kind)
}

// qrMatrix renders a code as grey pixels, scale pixels a module, with the quiet zone of four modules.
func qrMatrix(text string, scale int) *image.Gray {
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, nil)
	if err != nil {
		panic(fmt.Sprintf("scenario: no code for %q: %v", text, err)) // links of this package are far shorter than a code holds
	}
	img := image.NewGray(image.Rect(0, 0, m.GetWidth()*scale, m.GetHeight()*scale))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if !m.Get(x/scale, y/scale) {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

func qrPNG(text string, scale int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, qrMatrix(text, scale)); err != nil {
		panic(err) // a buffer doesn't fail
	}
	return b.Bytes()
}

// makePDF writes one page with lines of text (ISO 32000-1, 7.5) and, where given, a picture.
func makePDF(lines []string, picture *image.Gray) []byte {
	var page strings.Builder
	page.WriteString("BT /F1 12 Tf 60 780 Td 16 TL\n")
	for _, l := range lines {
		page.WriteString("(" + pdfText(l) + ") Tj T*\n")
	}
	page.WriteString("ET\n")
	resources, objects := "/Font << /F1 4 0 R >>", []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>", "",
	}
	if picture != nil {
		page.WriteString("q 200 0 0 200 60 400 cm /Im1 Do Q\n")
		resources += " /XObject << /Im1 6 0 R >>"
		d := deflate(picture.Pix)
		objects = append(objects, fmt.Sprintf("<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream",
			picture.Rect.Dx(), picture.Rect.Dy(), len(d), d))
	}
	objects[2] = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << " + resources + " >> >>"
	d := deflate([]byte(page.String()))
	objects[4] = fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", len(d), d)
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

// pdfText escapes a string of the page and writes Latin-1 as octal.
func pdfText(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '(' || c == ')' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < 0x80:
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&b, "\\%03o", c)
		case c == '€':
			b.WriteString("\\200")
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func deflate(p []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(p)
	z.Close()
	return b.Bytes()
}

// lockedZip packs one file, encrypted as PKWARE's APPNOTE 6.1 says, which every unpacker knows.
func lockedZip(r *rng, name string, content []byte, password string, t time.Time) []byte {
	k := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	step := func(c byte) {
		k[0] = crc32.IEEETable[byte(k[0])^c] ^ k[0]>>8
		k[1] = (k[1]+k[0]&0xff)*134775813 + 1
		k[2] = crc32.IEEETable[byte(k[2])^byte(k[1]>>24)] ^ k[2]>>8
	}
	for i := range len(password) {
		step(password[i])
	}
	sum := crc32.ChecksumIEEE(content)
	head := make([]byte, 12, 12+len(content))
	for i := range 11 {
		head[i] = byte(r.Uint32())
	}
	head[11] = byte(sum >> 24)
	data := append(head, content...)
	for i, c := range data {
		x := uint16(k[2] | 2)
		data[i] = c ^ byte(x*(x^1)>>8)
		step(c)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name, Method: zip.Store, Flags: 1, CRC32: sum, CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(content)), Modified: t}
	if f, err := z.CreateRaw(h); err == nil { // a buffer doesn't fail
		f.Write(data)
	}
	z.Close()
	return b.Bytes()
}

// invitation is a meeting (RFC 5545, RFC 5546 3.2.2).
func invitation(r *rng, w words, t time.Time, from *mailer) []byte {
	const form = "20060102T150405Z"
	start := t.UTC().Truncate(time.Hour).Add(time.Duration(r.between(18, 140)) * time.Hour)
	lines := []string{"BEGIN:VCALENDAR", "PRODID:-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN", "VERSION:2.0", "METHOD:REQUEST", "BEGIN:VEVENT",
		"UID:" + upper(r.hex(28)), "DTSTAMP:" + t.UTC().Format(form), "DTSTART:" + start.Format(form), "DTEND:" + start.Add(time.Hour).Format(form),
		"ORGANIZER;CN=" + from.name + ":mailto:" + from.addr, "ATTENDEE;RSVP=TRUE:mailto:" + w["toMail"], "SUMMARY:" + icsText(w["subject"]),
		"LOCATION:" + icsText(w["link"]), "DESCRIPTION:" + icsText(w["project"]+"\n"+w["link"]), "SEQUENCE:0", "END:VEVENT", "END:VCALENDAR"}
	return []byte(strings.Join(lines, "\n") + "\n")
}

var icsEscapes = strings.NewReplacer("\\", "\\\\", ";", "\\;", ",", "\\,", "\n", "\\n")

func icsText(s string) string { return icsEscapes.Replace(s) }

// base64Lines encodes in lines of 76 characters (RFC 2045 6.8).
func base64Lines(p []byte) string {
	s := base64.StdEncoding.EncodeToString(p)
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76])
		b.WriteByte('\n')
		s = s[76:]
	}
	b.WriteString(s)
	b.WriteByte('\n')
	return b.String()
}
