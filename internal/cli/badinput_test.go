package cli

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// The good records that lie beside, or in, every broken input.
const (
	zeekHead = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n" +
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\n"
	zeekRow  = "1772413200.000000\tCGood%d\t203.0.113.4\t51000\t10.20.1.5\t22\ttcp\tSF\n"
	goodMail = "From: a@b.example\nTo: jo@acme.example\nSubject: hello\nDate: Mon, 02 Mar 2026 01:10:00 +0000\nMessage-ID: <1@b.example>\n\nhello\n"
)

func zeekRows(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, zeekRow, i)
	}
	return b.String()
}

// inputTime is how long one broken input may take at most, on a busy machine with the race detector on.
const inputTime = 60 * time.Second

// lineBytes is the length of a line without an end.
func lineBytes() int64 {
	switch {
	case os.Getenv("BREAKWATER_LONG") != "":
		return 1 << 30
	case raceEnabled:
		return 64 << 20
	}
	return 256 << 20
}

func TestBombAndBrokenInputIsOneLineAndTheRestGoesOn(t *testing.T) {
	lineBytes := lineBytes()
	for _, c := range []struct {
		name, file string
		write      func(t *testing.T, name string)
		reason     string // what the line says
		count      int64
		events     int64 // of the broken input itself
	}{
		{"truncated gz", "conn.log.gz", bytesOf(truncated(gzipped(zeekHead + zeekRows(5000)))), "truncated", 1, -1},
		{"damaged gz", "conn.log.gz", bytesOf(damaged(gzipped(zeekHead + zeekRows(5000)))), "checksum", 1, 5000},
		{"zip bomb", "logs.zip", zipBomb, "zip bomb", 1, 0},
		{"mail of 5,000 levels", "deep.eml", text(deepMail(5000)), "nested deeper", 0, 1},
		{"mail of 200,000 headers", "wide.eml", text(strings.Replace(goodMail, "\n\n", "\n"+strings.Repeat("X-Filler: nothing\n", 200_000)+"\n", 1)), "header section longer", 0, 1},
		{"a line without an end in a log", "conn.log", longLine(zeekHead+"17724132", "\n"+zeekRows(2), lineBytes), "longer than", 1, 2},
		{"a line without an end in JSON", "events.json", longLine(`{"@timestamp":"2026-03-02T01:02:03Z","message":"`, "\"}\n{\"@timestamp\":\"2026-03-02T01:02:03Z\",\"message\":\"good\"}\n", lineBytes), "longer than", 1, 1},
		{"bytes that are no UTF-8", "events.json", text("{\"@timestamp\":\"2026-03-02T01:02:03Z\",\"message\":\"\xff\xfe\xc0\"}\n"), "", 0, 1},
		{"no text at all", "noise.bin", text("\x00\x01\xff\xfe\x80\x81\x00\x00PE\x00"), "no known format", 1, 0},
		{"values of wrong types", "conn.log", text(`{"ts":"yesterday","uid":["x"],"id.orig_h":5,"id.orig_p":"many","id.resp_h":{},"id.resp_p":-1,"proto":null}` + "\n"), "", 1, 0},
		{"too few columns", "conn.log", text(zeekHead + "1772413200.0\tCx\n" + zeekRows(1)), "columns", 1, 1},
		{"half an object", "events.json", text(`{"@timestamp":"2026-03-02T01:02:03Z","winlog":{"channel":` + "\n"), "", 1, 0},
		{"a clock in 1970", "conn.log", text(zeekHead + strings.Replace(zeekRows(1), "1772413200", "12", 1) + zeekRows(1)), "not a time", 1, 1},
		{"a clock in 2100", "conn.log", text(zeekHead + strings.Replace(zeekRows(1), "1772413200", "4102444801", 1) + zeekRows(1)), "not a time", 1, 1},
		{"an empty file", "empty.log", text(""), "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			good := filepath.Join(dir, "good.log")
			if err := os.WriteFile(good, []byte(zeekHead+strings.ReplaceAll(zeekRows(3), "CGood", "CBeside")), 0o644); err != nil {
				t.Fatal(err)
			}
			c.write(t, filepath.Join(dir, c.file))
			start := time.Now()
			r := scanOnly(t, dir)
			if took := time.Since(start); took > inputTime {
				t.Errorf("it took %v", took)
			}
			var lines []campaign.Unparsed
			for _, u := range r.Unparsed {
				if u.File == "good.log" {
					t.Errorf("the good file beside is said to be broken: %s", u.Reason)
				}
				lines = append(lines, u)
			}
			want := 1
			if c.count == 0 {
				want = 0
			}
			if len(lines) != want {
				t.Fatalf("%d lines tell of it, want %d: %+v", len(lines), want, lines)
			}
			if want == 1 && (lines[0].Count != c.count || !strings.Contains(lines[0].Reason, c.reason) || strings.ContainsAny(lines[0].Reason, "\n\r\x00")) {
				t.Errorf("it is told as %d × %q, want %d × … %q …", lines[0].Count, lines[0].Reason, c.count, c.reason)
			}
			if want == 0 && c.reason != "" && !findingSays(r, c.file, c.reason) { // mail that can't be read in full is suspicious, not clean
				t.Errorf("no finding on %s says %q", c.file, c.reason)
			}
			if got := r.Input.Events - 3; c.events >= 0 && got != c.events || got < 0 {
				t.Errorf("%d events were read of it, want %d, and 3 of the good file beside", got, c.events)
			}
		})
	}
}

func TestBombLineNeedsLittleMemory(t *testing.T) {
	dir := t.TempDir()
	longLine(zeekHead+"17724132", "\n"+zeekRows(2), lineBytes())(t, filepath.Join(dir, "conn.log"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	scanOnly(t, dir)
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 32 {
		t.Errorf("reading a line of %d MiB allocated %d MiB", lineBytes()>>20, mib)
	}
}

func findingSays(r *campaign.Result, file, words string) bool {
	return slices.ContainsFunc(r.List, func(f *ocsf.Finding) bool {
		return strings.Contains(f.Reason, words) && len(f.Evidence) > 0 && f.Evidence[0].File == file
	})
}

func scanOnly(t *testing.T, dir string) *campaign.Result {
	t.Helper()
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Scan(t.Context(), s, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(s string) func(*testing.T, string) { return bytesOf([]byte(s)) }

func bytesOf(data []byte) func(*testing.T, string) {
	return func(t *testing.T, name string) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

func truncated(b []byte) []byte { return b[:len(b)*2/3] }

func damaged(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-8] ^= 0xff // RFC 1952 2.3.1: the checksum is the first of the last eight bytes
	return b
}

// zipBomb writes half a GiB of empty lines into half a MiB; of longer ones where the race detector makes a line
// take long. The deflated bytes of one chunk stand there again and again.
func zipBomb(t *testing.T, name string) {
	t.Helper()
	line, times := "\n", 512
	if sampled {
		line = "#" + strings.Repeat(" ", 1022) + "\n"
	}
	chunk := []byte(strings.Repeat(line, 1<<20/len(line)))
	packed := slices.Concat(deflated(t, []byte(zeekHead)), bytes.Repeat(deflated(t, chunk), times), []byte{1, 0, 0, 0xff, 0xff}) // RFC 1951 3.2.4: an empty last block
	sum := crc32.NewIEEE()
	io.WriteString(sum, zeekHead)
	for range times {
		sum.Write(chunk)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "conn.log", Method: zip.Deflate, CRC32: sum.Sum32(),
		CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(zeekHead) + times*len(chunk))})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(packed)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	bytesOf(b.Bytes())(t, name)
}

// deflated returns blocks that end on a byte and refer to nothing before them.
func deflated(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	w.Flush()
	return b.Bytes()
}

// longLine writes a sparse file: a beginning, a hole, an end.
func longLine(head, tail string, size int64) func(*testing.T, string) {
	return func(t *testing.T, name string) {
		t.Helper()
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(head); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(tail), size); err != nil {
			t.Fatal(err)
		}
	}
}

// deepMail is a message of parts in parts.
func deepMail(levels int) string {
	var b strings.Builder
	b.WriteString("From: a@b.example\nTo: jo@acme.example\nSubject: deep\nDate: Mon, 02 Mar 2026 01:10:00 +0000\nMessage-ID: <2@b.example>\nMIME-Version: 1.0\n")
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n", i, i)
	}
	b.WriteString("Content-Type: text/plain\n\ndeep\n")
	for i := levels - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--b%d--\n", i)
	}
	return b.String()
}

func TestBrokenConfigurationNamesItsLine(t *testing.T) {
	const tenants = "tenants:\n  - {id: acme, role: client}\npartners:\n  - {id: one}\n  - {id: two}\n"
	bomb := "tenants:\n  - {id: a, role: client, aliases: &a [x,x,x,x,x,x,x,x,x]}\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("  - {id: %c, role: client, aliases: &%c [%s]}\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for _, c := range []struct{ name, yaml, line, says string }{
		{"a tie", tenants + "trusts:\n  - {id: a, partner: one, tenant: acme, networks: [203.0.113.0/28]}\n  - {id: b, partner: two, tenant: acme, networks: [203.0.113.0/28]}\n", "8", "203.0.113.0/28"},
		{"a loop", tenants + "trusts:\n  - {id: a, partner: one, tenant: acme, through: two, accounts: [x]}\n  - {id: b, partner: two, tenant: acme, through: one, accounts: [y]}\n", "8", "circle"},
		{"an unknown key", "tenants:\n  - {id: acme, role: client}\nsensor: []\n", "3", "sensor"},
		{"an alias bomb", bomb, "3", "alias"},
		{"no YAML", "tenants:\n  - {id: acme\n\t}}\n", "", ""},
		{"a value of the wrong type", "tenants:\n  - {id: acme, role: client, domains: {a: b}}\n", "2", "domains"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "breakwater.yaml")
			text(c.yaml)(t, name)
			text(zeekHead+zeekRows(1))(t, filepath.Join(dir, "conn.log"))
			var out, words bytes.Buffer
			start := time.Now()
			code := run(t.Context(), []string{"scan", "--config", name, dir}, &console{strings.NewReader(""), &out, &words})
			if code != exitError || out.Len() != 0 {
				t.Errorf("exit code %d with %d bytes of output: a broken configuration must give no answer", code, out.Len())
			}
			first, _, _ := strings.Cut(words.String(), "\n")
			if !strings.Contains(first, "breakwater.yaml:"+c.line) || !strings.Contains(first, c.says) {
				t.Errorf("it says %q; want breakwater.yaml:%s and %q", first, c.line, c.says)
			}
			if took := time.Since(start); took > inputTime {
				t.Errorf("it took %v", took)
			}
		})
	}
}
