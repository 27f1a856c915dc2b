package mail

import (
	"image"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// fuzzFile looks into a file and checks that every bound holds.
func fuzzFile(t *testing.T, name string, data []byte) {
	b := newBody(&ocsf.Mail{From: "a@a.example"})
	b.from, b.where = "file", name
	b.inspect(inside{name: name, data: data})
	b.readPictures()
	bounds(t, b)
}

func bounds(t *testing.T, b *body) {
	if len(b.mail.Links) > MaxLinks || b.inflated > MaxInflated || b.attached.Len() > maxAttached || b.hiddenText.Len() > maxHiddenText ||
		b.elsewhere.Len() > maxElsewhere || len(b.mail.ParseProblems) > MaxProblems {
		t.Fatalf("a bound does not hold: %d links, %d bytes unpacked", len(b.mail.Links), b.inflated)
	}
	for _, l := range b.mail.Links {
		if len(l.URL) > MaxURL || len(l.Text) > 200 || strings.ContainsAny(l.Host, "/@ \n") {
			t.Fatalf("link %q with host %q", l.URL, l.Host)
		}
	}
	for _, f := range b.fields(nil) {
		if len(f.Value) > 16<<10 {
			t.Fatalf("field %s of %d bytes", f.Name, len(f.Value))
		}
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		`<p style="color:#fff;font-size:0">x</p><a href="https://a.example/">y</a>`, `<style>.a{display:none}@media x{.b{}}</style><table><tr><td bgcolor=#000 colspan=3>`,
		`<!--[if mso]><a href="//x.example">z</a><![endif]--><iframe srcdoc="&lt;a&gt;">`, `<meta http-equiv=refresh content="0;url=x"><base href="http://b.example/"><form action="data:text/html,x">`,
		"<a href=\"javascript:location='http://0x7f.1/'\">p\u202ely\u0430\u200b</a>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		b := newBody(&ocsf.Mail{})
		b.showHTML(doc, 0)
		b.readPictures()
		if len(b.shown()) > MaxText {
			t.Fatal("more text than is kept")
		}
		bounds(t, b)
	})
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`<script>eval(atob("aHR0cHM6Ly94LmV4YW1wbGUv"));x=String.fromCharCode(104,116,116,112,58,47,47,97)</script>`))
	f.Add([]byte(`<svg onload="location='\x68ttp://x'"><a xlink:href='data:text/html;base64,PGE+'></svg>`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzFile(t, "a.html", data) })
}

func FuzzPDF(f *testing.F) {
	f.Add([]byte("%PDF-1.7\n5 0 obj<</S/URI/URI(https://x.example/\\)a)>>endobj\n6 0 obj<</Font<</F1 8 0 R>>>>endobj 8 0 obj<</ToUnicode 9 0 R>>endobj"))
	f.Add([]byte("%PDF-1.7\n9 0 obj<</CMapName/x>>stream\n1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfrange <0001> <0003> [<0041> <0042>] endbfrange\nendstream 3 0 obj<<>>stream\nBT /F1 9 Tf [<0001>-200(x)] TJ ET\nendstream"))
	f.Add([]byte("%PDF-1.7\n4 0 obj<</Subtype/Image/Width 50/Height 50/BitsPerComponent 1/Predictor 15>>stream\n" + strings.Repeat("\x02\xff\x00\xff\x00\xff\x00\xff", 60) + "\nendstream"))
	f.Add([]byte("%PDF-1.7\n4 0 obj<</Type/ObjStm/N 2/First 8/Filter[/ASCIIHexDecode/A85]>>stream\n3130\nendstream"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzFile(t, "a.pdf", append([]byte("%PDF-1.7\n"), data...)) })
}

func FuzzArchive(f *testing.F) {
	f.Add(zipOf(f, "a.html", "<a href=http://x.example/>", "b.zip", string(zipOf(f, "c.exe", "MZ"))))
	f.Add(zipOf(f, "[Content_Types].xml", "<x/>", "word/_rels/a.rels", `<Relationship TargetMode="External" Target="http://x.example/"/>`, "word/document.xml", "<w:p><w:t>x</w:t>"))
	f.Add([]byte(rar5Of("a.exe", "MZ", false)))
	f.Add([]byte("Rar!\x1a\x07\x00\x00\x00\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x74\x00\x80\x25\x00\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x30\x05\x00\x20\x00\x00\x00a.exeMZ"))
	f.Add([]byte(sevenOf(f, "a.exe", false, false)))
	f.Add([]byte(sevenOf(f, "a.exe", true, false)))
	f.Add(append(tarHeader("a.exe", 2), "MZ"...))
	f.Add(gzipOf(f, []byte("hello")))
	f.Add([]byte("MSCF\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x24\x00\x00\x00\x00\x00\x00\x00\x03\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 16) + "a.exe\x00"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzFile(t, "a.zip", data) })
}

func FuzzDiskImage(f *testing.F) {
	f.Add([]byte(isoOf("A.EXE", "MZ"))[16*2048:])
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzFile(t, "a.iso", append(make([]byte, 16*2048), data...))
	})
}

// FuzzDocument covers OLE, Outlook messages, TNEF, RTF, OneNote and shortcuts.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(lnkOf("/c http://x.example/")))
	f.Add(ringOLE())
	f.Add([]byte(oleOf(f, "__properties_version1.0", "x", "__substg1.0_1000001F", "a\x00", "Workbook", "\x85\x00\x08\x00\x00\x00\x00\x00\x01\x01\x01M")))
	f.Add([]byte(`{\rtf1\fromhtml {\*\htmltag <a href="http://x.example/">}\u8364?\'e4{\field{\*\fldinst HYPERLINK "http://y.example"}}{\object\objdata 0105}}`))
	f.Add([]byte("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3" + string(fileDataStore) + "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00MZ"))
	f.Add([]byte("\x78\x9f\x3e\x22\x00\x00\x01\x0f\x80\x06\x00\x02\x00\x00\x00MZ\x00\x00\x01\x03\x90\x06\x00\x18\x00\x00\x00\x01\x00\x00\x00\x02\x01\x13\x10\x01\x00\x00\x00\x03\x00\x00\x00<a>\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzFile(t, "a.doc", data) })
}

func FuzzCalendar(f *testing.F) {
	f.Add("BEGIN:VCALENDAR\nMETHOD:REQUEST\nORGANIZER;CN=\"a:b\":mailto:x@y.example\nDESCRIPTION:see https://x.example/\n y\\nz\nX-ALT-DESC;FMTTYPE=text/html:<a href=\"//q.example\">\n")
	f.Add("BEGIN:VCARD\nPHOTO;ENCODING=b:iVBORw0KGgo=\nitem1.URL:http://x.example\n")
	f.Fuzz(func(t *testing.T, text string) {
		b := newBody(&ocsf.Mail{From: "a@a.example"})
		b.calendar(text, true)
		bounds(t, b)
	})
}

func FuzzPicture(f *testing.F) {
	code := qrOf(f, "http://x.example/")
	f.Add(pngOf(f, code), uint8(0))
	f.Add(code.Pix, uint8(code.Rect.Dx()))
	f.Add([]byte("GIF89a\x40\x00\x40\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,"), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, w uint8) {
		if w == 0 {
			fuzzFile(t, "a.png", data)
			return
		}
		if h := len(data) / int(w); h > 0 && h < 600 {
			readQR(grey{int(w), h, data})
			img := image.Gray{Pix: data, Stride: int(w), Rect: image.Rect(0, 0, int(w), h)}
			if g := greyOf(&img); len(g.pix) != int(w)*h {
				t.Fatal("a picture lost rows")
			}
		}
	})
}

func FuzzTextCode(f *testing.F) {
	f.Add(strings.Repeat("██  ▀▄▀▄██  ▀▄▀▄██  ▀▄\n", 24))
	f.Fuzz(func(t *testing.T, text string) {
		b := newBody(&ocsf.Mail{})
		b.textCode(text)
		b.textLinks(text)
		if c := b.cleanText(text); len(c) > 12*len(text)+16 {
			t.Fatal("text grew")
		}
		bounds(t, b)
	})
}

func FuzzLink(f *testing.F) {
	for _, s := range []string{"https://a@b.example:1/x", `\\0x7f.1\x`, "hxxp://x。example", "data:text/html;base64,PGE+", "http://[::1]/", "http://%25%36%31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, u string) {
		clean, host, _ := canonical(u)
		if host != "" && clean == "" || strings.ContainsAny(host, "/\\ @") {
			t.Fatalf("%q: %q, host %q", u, clean, host)
		}
		if host != "" {
			if _, again, _ := canonical("http://" + host + "/"); again != host && !strings.Contains(host, ":") {
				t.Fatalf("%q: host %q becomes %q", u, host, again)
			}
		}
	})
}
