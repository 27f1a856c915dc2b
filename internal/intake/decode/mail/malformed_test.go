package mail

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"runtime"
	"strings"
	"testing"
	"time"
)

// attached makes a message with one attachment.
func attached(name, kind string, data []byte) string {
	return head + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSee the file.\n--b\nContent-Type: " + kind + "; name=\"" + name +
		"\"\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(data) + "\n--b--\n"
}

func zipOf(t testing.TB, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i+1 < len(members); i += 2 {
		f, err := w.Create(members[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func deflated(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMalformedMail: a bounded effort whatever a message is made of. The time is that of the processor, on a quiet
// core at most 100 ms; the limit here leaves room for slow machines. What is live afterwards beyond the message
// itself stays below 16 MB.
func TestMalformedMail(t *testing.T) {
	zeros := strings.Repeat("\x00", 40<<20)
	nested := func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String() + "Content-Type: text/plain\n\nhello\n"
	}
	var bomb bytes.Buffer
	if err := png.Encode(&bomb, image.NewPaletted(image.Rect(0, 0, 12000, 12000), color.Palette{color.White, color.Black})); err != nil {
		t.Fatal(err)
	}
	inner := zipOf(t, "z.bin", zeros[:10<<20])
	pdf := func(n int, obj string) []byte { return []byte("%PDF-1.7\n" + strings.Repeat(obj, n)) }
	flate := "1 0 obj<</Filter/FlateDecode/Length 1>>stream\n" + deflated(t, zeros[:4<<20]) + "\nendstream endobj\n"
	mixed := head + "Content-Type: multipart/mixed; boundary=b\n"
	tests := map[string]struct{ raw, problem string }{
		"nested 10000 deep":            {nested(10_000), "limit: parts nested"},
		"200000 headers":               {head + strings.Repeat("X-A: b\n", 200_000) + "\nhello", "limit: header section"},
		"200000 headers in a part":     {mixed + "\n--b\n" + strings.Repeat("X-A: b\n", 200_000) + "\nhello\n--b--\n", "limit: header section"},
		"zip bomb":                     {attached("a.zip", "application/zip", zipOf(t, "a.html", zeros[:30<<20])), "limit: a compressed part"},
		"zip of zip bombs":             {attached("a.zip", "application/zip", zipOf(t, "1.zip", string(inner), "2.zip", string(inner), "3.zip", string(inner))), "limit: a compressed part"},
		"gzip bomb":                    {attached("a.gz", "application/gzip", gzipOf(t, []byte(zeros))), "limit: a compressed part"},
		"image bomb":                   {attached("a.png", "image/png", bomb.Bytes()), "limit: a picture"},
		"PDF of bombs":                 {attached("a.pdf", "application/pdf", pdf(30, flate)), "limit:"},
		"PDF of streams without end":   {attached("a.pdf", "application/pdf", pdf(200_000, "<</Filter/FlateDecode>>stream\nx")), ""},
		"PDF of 10000 streams":         {attached("a.pdf", "application/pdf", pdf(10_000, "1 0 obj<<>>stream\nx\nendstream\n")), "limit: a PDF"},
		"PDF of parentheses":           {attached("a.pdf", "application/pdf", pdf(1, "/URI "+strings.Repeat("(", 3<<20))), ""},
		"PDF of addresses":             {attached("a.pdf", "application/pdf", pdf(200_000, "/URI(http://x.example/)")), ""},
		"PDF page of arrays":           {attached("a.pdf", "application/pdf", pdf(1, "1 0 obj<<>>stream\nTj "+strings.Repeat("[<", 500_000)+"\nendstream")), ""},
		"zip with 100000 names":        {attached("a.zip", "application/zip", []byte(strings.Repeat("PK\x03\x04"+strings.Repeat("\x00", 22)+"\x05\x00\x00\x00a.exe", 100_000))), ""},
		"RTF of braces":                {attached("a.rtf", "application/rtf", []byte("{\\rtf1"+strings.Repeat("{\\object", 200_000))), ""},
		"script of brackets":           {attached("a.html", "text/html", []byte("<script>"+strings.Repeat("(1,[", 300_000))), ""},
		"script of quotes":             {attached("a.html", "text/html", []byte("<script>"+strings.Repeat("'\"\n`", 300_000))), ""},
		"page in pages":                {attached("a.html", "text/html", []byte("<iframe srcdoc=\""+strings.Repeat("&lt;iframe srcdoc=&quot;", 50_000))), ""},
		"base64 garbage of 10 MB":      {head + "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("!@#$%^&*()\n", 1<<20), ""},
		"quoted-printable of 10 MB":    {head + "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=", 10<<20), ""},
		"a line of 10 MB":              {head + "\n" + strings.Repeat("x", 10<<20), ""},
		"a line of slashes":            {head + "\n" + strings.Repeat("a.com/", 2<<20), ""},
		"a line of ww.":                {head + "\n" + strings.Repeat("ww.", 3<<20), ""},
		"words of one letter":          {head + "Content-Type: text/html\n\n" + strings.Repeat("<b style='color:#fff;font-size:0'>x</b>", 250_000), ""},
		"styles without end":           {head + "Content-Type: text/html\n\n<style>" + strings.Repeat(".a{@media{", 100_000), ""},
		"table of tables":              {head + "Content-Type: text/html\n\n" + strings.Repeat("<table><tr><td bgcolor=#000>", 100_000), ""},
		"calendar of folds":            {head + "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nDESCRIPTION:" + strings.Repeat("x\n ", 1<<20), ""},
		"calendar of properties":       {head + "Content-Type: text/calendar\n\n" + strings.Repeat("URL:http://x.example/\n", 300_000), ""},
		"blocks without a code":        {head + "\n" + strings.Repeat(strings.Repeat("█ ", 40)+"\n", 20_000), ""},
		"cab of names":                 {attached("a.cab", "application/x", []byte("MSCF\x00\x00\x00\x00"+strings.Repeat("\xff", 1<<20))), ""},
		"OLE whose chain is a ring":    {attached("a.doc", "application/msword", ringOLE()), ""},
		"7z of rubbish":                {attached("a.7z", "application/x", []byte("7z\xbc\xaf\x27\x1c\x00\x04"+strings.Repeat("\x00", 24)+"\x17"+strings.Repeat("\x06\x00\xff", 1<<18))), ""},
		"tar of empty files":           {attached("a.tar", "application/x-tar", bytes.Repeat(tarHeader("a.exe", 0), 5000)), ""},
		"boundary that nobody names":   {mixed + "\npreamble\n--other\nContent-Type: text/html\n\n<a href=https://evil.example/>x</a>\n--other--\n--b\n\nhello\n--b--\n", "broken: parts under a boundary"},
		"boundary never comes":         {mixed + "\n--other\nContent-Type: text/html\n\n<a href=https://evil.example/>x</a>\n--other--\n", "broken:"},
		"two boundaries":               {head + "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\nContent-Type: text/html\n\n<a href=https://evil.example/>x</a>\n--b--\n", "broken: a multipart with two"},
		"two Content-Types":            {head + "Content-Type: text/plain\nContent-Type: text/html\n\n<a href=https://evil.example/>x</a>", "broken: two Content-Types"},
		"NULs and 8-bit in the header": {head + "Subject: gr\xfcn\x00\x00\nX: \xff\xfe\n\nhello", ""},
		"bare CR":                      {strings.ReplaceAll(head, "\n", "\r\n") + "X: a\rSubject: b\r\n\r\nhello\rworld", ""},
	}
	limit := 400 * time.Millisecond
	if raceEnabled {
		limit *= 20
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			raw := []byte(tt.raw)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start, wall := cpuTime(), time.Now()
			e, reason := Message(raw)
			used := cpuTime() - start
			if start == 0 {
				used = time.Since(wall)
			}
			if e == nil {
				t.Fatal(reason)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if live := int64(after.HeapAlloc) - int64(before.HeapAlloc); live > 16<<20 {
				t.Errorf("%d bytes stay allocated", live)
			}
			t.Logf("%s: %s, %d KiB allocated in all, problems %q", name, used, (after.TotalAlloc-before.TotalAlloc)>>10, e.Mail.ParseProblems)
			if used > limit {
				t.Errorf("took %s of the processor", used)
			}
			if all := strings.Join(e.Mail.ParseProblems, "; "); !strings.Contains(all, tt.problem) {
				t.Errorf("problems %q, want %q", all, tt.problem)
			}
			if strings.Contains(tt.raw, "https://evil.example/") && len(e.Mail.Links) == 0 {
				t.Error("a part that some programs show was not read")
			}
		})
	}
}

// ringOLE is a compound file whose sectors follow each other in a ring.
func ringOLE() []byte {
	d := make([]byte, 512*8)
	copy(d, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	d[30], d[32] = 9, 6
	for i := 76; i < 512; i += 4 {
		copy(d[i:], "\x00\x00\x00\x00")
	}
	for i := 512; i < 1024; i += 4 {
		d[i] = byte((i/4 + 1) % 8)
	}
	return d
}

func tarHeader(name string, size int64) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[124:], fmt.Sprintf("%011o", size))
	copy(h[257:], "ustar")
	h[156] = '0'
	return h
}
