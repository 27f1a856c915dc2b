package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kept is a sink that keeps what it is given as "number: field a" or "number! reason".
type kept struct {
	got []string
	raw []string
}

func (k *kept) Event(e *ocsf.Event, n int64, raw []byte) {
	k.got = append(k.got, fmt.Sprintf("%d: %s", n, e.Fields.Value("a")))
	k.raw = append(k.raw, string(raw))
}

func (k *kept) Bad(n int64, reason string, raw []byte) {
	k.got = append(k.got, fmt.Sprintf("%d! %s", n, reason))
	k.raw = append(k.raw, string(raw))
}

// formats knows objects that have a; those whose a is "bad" it refuses.
var formats = []Object{{Name: "test", Match: func(o *JSON) bool { return o.Has("a") }, Decode: func(o *JSON, e *ocsf.Event) error {
	if o.Str("a") == "bad" {
		return errors.New("a is bad")
	}
	e.Time = time.Unix(1772413200, 0)
	return nil
}}}

func readText(t testing.TB, text string) *kept {
	t.Helper()
	k := &kept{}
	if err := Objects(formats).Read(context.Background(), "x.json", strings.NewReader(text), k); err != nil {
		t.Fatal(err)
	}
	return k
}

// utf16Of writes a text as PowerShell does, with its mark.
func utf16Of(s string, little bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		if little {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		} else {
			b.WriteByte(byte(u >> 8))
			b.WriteByte(byte(u))
		}
	}
	return b.String()
}

const (
	bom     = "\xef\xbb\xbf"
	pretty1 = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      1\n    ]\n  }\n}\n"
	pretty2 = "{\n  \"a\": 2,\n  \"b\":\n  {\"c\": 1}\n}\n"
)

func TestObjectsAreFound(t *testing.T) {
	one2three := "1: 1\n2: 2\n3: 3"
	for _, c := range []struct{ name, text, want string }{
		{"one a line", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", one2three},
		{"one a line, numbered as an editor does", "\n{\"a\":1}\n\n  {\"a\":2}\n", "2: 1\n4: 2"},
		{"without an end of the last line", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", one2three},
		{"behind a byte order mark", bom + "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", one2three},
		{"with CRLF", "{\"a\":1}\r\n{\"a\":2}\r\n{\"a\":3}\r\n", one2three},
		{"two on one line", "{\"a\":1}{\"a\":2}\n{\"a\":3}\n", one2three},
		{"two on one line among lines", "{\"a\":1}\n{\"a\":2}{\"a\":3}\n", "1: 1\n2: 2\n2: 3"},
		{"one behind the other", `{"a":1}{"a":2} {"a":3}`, one2three},
		{"pretty-printed", pretty1 + pretty2 + pretty1, "1: 1\n2: 2\n3: 1"},
		{"pretty-printed with CRLF and a mark", bom + strings.ReplaceAll(pretty1+pretty2, "\n", "\r\n"), "1: 1\n2: 2"},
		{"a short one behind pretty-printed ones", pretty1 + "{\"a\":2}\n", "1: 1\n2: 2"},
		{"in an array", `[{"a":1},{"a":2},{"a":3}]`, one2three},
		{"in an array, one a line", "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]\n", one2three},
		{"in an array of one line", "[\n  {\"a\":1}\n]\n", "1: 1"},
		{"in an array with commas in front", "[{\"a\":1}\n,{\"a\":2}\n,{\"a\":3}\n]", one2three},
		{"in an array, pretty-printed", "[\n" + pretty1 + "," + pretty2 + "]", "1: 1\n2: 2"},
		{"in Records", `{"Records":[{"a":1},{"a":2},{"a":3}]}`, one2three},
		{"in Records, one a line", "{\"Records\":[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]}\n", one2three},
		{"in Records with one, pretty-printed", "{\n  \"Records\": [\n    {\"a\": 1}\n  ]\n}\n", "1: 1"},
		{"in Records of several files in one", `{"Records":[{"a":1}]}{"Records":[{"a":2}]}` + "\n" + `{"Records":[{"a":3}]}`, one2three},
		{"in Records, a wrapper a line among other lines", "{\"a\":1}\n{\"records\":[{\"a\":2},{\"a\":3}]}\n", "1: 1\n2: 2\n2: 3"},
		{"in value behind @odata.context", `{"@odata.context":"https://graph.example/v1.0/$metadata#auditLogs/signIns","@odata.count":2,"value":[{"a":1},{"a":2}]}`, "1: 1\n2: 2"},
		{"in value behind a text with escapes", `{"@odata.context":"https:\/\/graph.example\/\"x\"","value":[{"a":1}]}`, "1: 1"},
		{"in value before a next link", `{"value":[{"a":1}],"@odata.nextLink":"https://graph.example/?$skiptoken={x}","meta":{"a":{"b":[{}]}}}` + `{"value":[{"a":2}]}`, "1: 1\n2: 2"},
		{"in logEvents behind a list of names", `{"messageType":"DATA_MESSAGE","subscriptionFilters":["x","y"],"logEvents":[{"a":1},{"a":2}]}`, "1: 1\n2: 2"},
		{"in a wrapper with nothing in it", `{"@odata.context":"x","value":[]}`, ""},
		{"in a wrapper with nothing in it, then one with something", `{"value":[ ]}` + "\n" + `{"value":[{"a":1}]}`, "1: 1"},
		{"a list of Kubernetes", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[{"a":1},{"a":2}]}`, "1: 1\n2: 2"},
		{"a record with a list of its own is no wrapper", `{"a":1,"x":{},"events":[{"a":2}]}` + "\n" + `{"a":3,"events":[{"a":4}]}`, "1: 1\n2: 3"},
		{"in UTF-16", utf16Of("{\"a\":1}\r\n{\"a\":\"ä😀\"}\r\n", true), "1: 1\n2: ä😀"},
		{"in UTF-16, pretty-printed", utf16Of("[\r\n"+pretty1+"]", false), "1: 1"},
		{"braces and quotes inside strings", `{"a":"}{\"}"}` + "\n" + `{"a":"\\"}` + "\n", "1: }{\"}\n2: \\"},
		{"braces inside strings, pretty-printed", "{\n\"a\":\"}]{\\\"\"\n}\n{\n\"a\":\"\\\\\"\n}", "1: }]{\"\n2: \\"},
		{"nothing", "", ""},
		{"nothing but spaces", " \r\n\n", ""},
		{"nothing but a mark", bom, ""},
		{"an empty array", "[]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, strings.Join(readText(t, c.text).got, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			k := &kept{}
			if err := Objects(formats).Read(context.Background(), "", iotest.OneByteReader(strings.NewReader(c.text)), k); err != nil || strings.Join(k.got, "\n") != c.want {
				t.Errorf("byte by byte: %q, %v", k.got, err)
			}
		})
	}
}

func TestABrokenRecordIsOneBadAndTheRestIsRead(t *testing.T) {
	big := strings.Repeat("x", MaxRecord)
	deep := func(n int) string { return strings.Repeat(`{"d":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	for _, c := range []struct{ name, text, want string }{
		{"a line cut short", "{\"a\":1}\n{\"a\":2,\"b\":\"cu\n{\"a\":3}\n", "1: 1\n2! not JSON: missing closing '\"'\n3: 3"},
		{"the first line cut short", "{\"a\":1,\"b\":\"cu\n{\"a\":2}\n{\"a\":3}\n", "1! not JSON: missing closing '\"'\n2: 2\n3: 3"},
		{"six lines cut short, then good ones", strings.Repeat("{\"a\":\"cu\n", 6) + "{\"a\":7}\n", strings.Join([]string{"1! not JSON: missing closing '\"'", "2! not JSON: missing closing '\"'", "3! not JSON: missing closing '\"'",
			"4! not JSON: missing closing '\"'", "5! not JSON: missing closing '\"'", "6! not JSON: missing closing '\"'", "7: 7"}, "\n")},
		{"the last line cut short", "{\"a\":1}\n{\"a\":2", "1: 1\n2! not JSON: unexpected end of object"},
		{"a line that is no JSON", "{\"a\":1}\nhello\n{\"a\":3}\n", "1: 1\n2! not JSON: unexpected char\n3: 3"},
		{"a line that is another value", "{\"a\":1}\n[1,2]\n\"x\"\n", "1: 1\n2! a JSON value where an object was expected\n3! a JSON value where an object was expected"},
		{"two on one line, one broken", "{\"a\":1}\n{\"a\":2}{\"a\":}\n", "1: 1\n2: 2\n2! not JSON"},
		{"a fault deep inside has the fault's name alone", "{\"a\":1}\n{\"a\":[{\"b\":{\"c\" 1}}]}\n", "1: 1\n2! not JSON: missing ':' after object key"},
		{"a record that its format refuses", "{\"a\":1}\n{\"a\":\"bad\"}\n{\"a\":3}\n", "1: 1\n2! test: a is bad\n3: 3"},
		{"a record of no known source", "{\"a\":1}\n{\"b\":1}\n", "1: 1\n2! JSON of no known source"},
		{"a pretty-printed one cut short", pretty1 + "{\n  \"a\": 2,\n  \"b\": \"cu\n" + pretty1 + pretty1, "1: 1\n2! the next object begins before this one ends\n3: 1\n4: 1"},
		{"the last pretty-printed one cut short", pretty1 + "{\n  \"a\": 2,\n", "1: 1\n2! the file ends inside an object"},
		{"one of an array", `[{"a":1},{"a":},{"a":3}]`, "1: 1\n2! not JSON: unexpected char\n3: 3"},
		{"one of a wrapper", `{"Records":[{"a":1},{"a":},{"a":3}]}`, "1: 1\n2! not JSON: unexpected char\n3: 3"},
		{"a wrapper cut short", "{\"Records\":[{\"a\":1},{\"a\":\"cu\n{\"Records\":[{\"a\":3}]}\n", "1: 1\n2! the next object begins before this one ends\n3: 3"},
		{"a line over the limit", "{\"a\":1}\n{\"a\":\"" + big + "\"}\n{\"a\":3}\n", "1: 1\n2! line is longer than 1048576 bytes\n3: 3"},
		{"an object over the limit", pretty1 + "{\n\"a\":\"" + big + "\"\n}\n" + pretty2, "1: 1\n2! object is longer than 1048576 bytes\n3: 2"},
		{"an object over the limit that never ends", pretty1 + "{\n\"a\":\"" + big, "1: 1\n2! object is longer than 1048576 bytes"},
		{"an object over the limit that never ends, and good ones", pretty1 + "{\n\"a\":\"" + big + "\n" + pretty2, "1: 1\n2! object is longer than 1048576 bytes\n3: 2"},
		{"one of an array over the limit", `[{"a":1},{"a":"` + big + `"},{"a":3}]`, "1: 1\n2! object is longer than 1048576 bytes\n3: 3"},
		{"a line nested too deep", "{\"a\":1}\n" + deep(MaxDepth+1) + "\n{\"a\":3}\n", "1: 1\n2! nested deeper than 32\n3: 3"},
		{"an object nested too deep", pretty1 + deep(MaxDepth+1) + "\n" + pretty2, "1: 1\n2! nested deeper than 32\n3: 2"},
		{"too many fields", "{\"a\":1}\n{\"a\":{" + strings.Repeat(`"x":1,`, MaxFields) + "\"y\":1}}\n", "1: 1\n2! more than 4096 fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := readText(t, c.text)
			if d := cmp.Diff(c.want, strings.Join(k.got, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestAnObjectAsLargeAndAsDeepAsAllowedIsRead(t *testing.T) {
	for name, text := range map[string]string{
		"large line":   `{"a":1,"b":"` + strings.Repeat("x", MaxRecord-14) + `"}`,
		"large object": "{\n\"a\":1,\"b\":\"" + strings.Repeat("x", MaxRecord-15) + `"}`,
		"deep":         `{"a":1,"d":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + "}",
	} {
		if got := readText(t, text).got; len(got) != 1 || got[0] != "1: 1" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestBombBracketsWithoutEndAreRefusedAtOnce(t *testing.T) {
	for name, text := range map[string]string{
		"a line that closes nothing": `{"a":` + strings.Repeat("[", 60_000) + "}",
		"a line that closes all":     `{"a":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + "}",
		"many lines":                 strings.Repeat(`{"a":`+strings.Repeat("[", 1000)+"}\n", 60),
		"an object":                  "{\n\"a\":" + strings.Repeat("{\"a\":", 100_000),
	} {
		begin := time.Now()
		k := readText(t, text)
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s took %s", name, d)
		}
		for _, s := range k.got {
			if !strings.Contains(s, "!") {
				t.Errorf("%s: an event %s", name, s)
			}
		}
	}
}

func TestBadRecordsShowWhatTheyAre(t *testing.T) {
	k := readText(t, "{\"a\":1}\n{\"a\": oops}\n")
	if len(k.raw) != 2 || k.raw[1] != `{"a": oops}` {
		t.Errorf("%q", k.raw)
	}
}

func TestFilesOfObjectsAreRecognised(t *testing.T) {
	o := Objects(nil)
	for head, want := range map[string]bool{
		`{"a":1}`: true, "{}": true, " \r\n{ \"a\"": true, "[{\"a\":1}]": true, "[\n  {\n": false, "[\n  {\n \"a\"": true, bom + `{"a":1}`: true,
		utf16Of(`{"a":1}`, true): true, utf16Of("[\r\n{\r\n\"a\"", false): true, utf16Of("a,b\n1,2\n", true): false,
		"": false, "{": false, "{a:1}": false, "[1,2]": false, "[]": false, "hello": false, "<134>1 {": false, "\xff\xfe": false, "\xff": false,
	} {
		if got := o.Recognise("x.json", []byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

func TestReadingStopsWithTheContextAndAtAFault(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, text := range map[string]string{"lines": "{\"a\":1}\n", "objects": pretty1} {
		if err := Objects(formats).Read(ctx, "", strings.NewReader(strings.Repeat(text, 5000)), &kept{}); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		for _, fault := range []error{errors.New("boom"), io.ErrUnexpectedEOF} { // the latter is how a gz that was cut short ends
			for _, n := range []int{0, 1, 5000} {
				k := &kept{}
				r := io.MultiReader(strings.NewReader(strings.Repeat(text, n)), iotest.ErrReader(fault))
				if err := Objects(formats).Read(context.Background(), "", r, k); err != fault || len(k.got) != n {
					t.Errorf("%s: %v after %d of %d records", name, err, len(k.got), n)
				}
			}
		}
	}
}

func TestLinesGoOnBehindABadOne(t *testing.T) {
	k := &kept{}
	err := Lines(context.Background(), strings.NewReader("one\r\n"+strings.Repeat("x", MaxRecord+1)+"\nbad\n\nfive"), k, func(n int64, line []byte) error {
		if string(line) == "bad" {
			return errors.New("no good")
		}
		k.got = append(k.got, fmt.Sprintf("%d: %s", n, line))
		return nil
	})
	if d := cmp.Diff([]string{"1: one", "2! line is longer than 1048576 bytes", "3! no good", "4: ", "5: five"}, k.got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
}

// FuzzObjects holds that reading never fails or panics, that whole and byte by byte give the same, and that
// objects which are written one a line come out again.
func FuzzObjects(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"a\":2}", pretty1 + pretty2, `[{"a":1},{"a":2}]`, `{"Records":[{"a":1}]}{"Records":[]}`, "{\"a\":\"cu\n{\"a\":2}\n{\n",
		`{"value":[{"a":1}],"x":{"y":["{"]}}`, bom + `{"a":1}`, utf16Of(`{"a":1}`, true), `{"a":"\"}{"}`, "]}{", `{"a":[1}`, `{"records":[{"records":[{"a":1}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Objects(formats)
		o.Recognise("", data[:min(len(data), MaxHead)])
		whole, bytewise := &kept{}, &kept{}
		if err := o.Read(context.Background(), "", strings.NewReader(string(data)), whole); err != nil {
			t.Fatal(err)
		}
		if err := o.Read(context.Background(), "", iotest.OneByteReader(strings.NewReader(string(data))), bytewise); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(whole.got, bytewise.got); d != "" {
			t.Fatalf("whole and byte by byte differ:\n%s", d)
		}
		for _, s := range whole.got {
			if n, _, ok := strings.Cut(s, "! "); ok && strings.TrimSpace(s[len(n)+2:]) == "" {
				t.Fatalf("a bad record without a reason: %q", s)
			}
		}
	})
}

func BenchmarkObjects(b *testing.B) {
	object := `{"a":1,"time":"2026-03-02T01:02:03Z","user":{"name":"jo","id":"S-1-5-21-1"},"addresses":["10.0.0.1","10.0.0.2"],"message":"` + strings.Repeat("x", 200) + "\"}\n"
	unknown := strings.Replace(object, `"a"`, `"x"`, 1)
	for name, text := range map[string]string{"lines": strings.Repeat(object, 5000), "array": "[" + strings.Repeat(object+",", 4999) + object + "]", "lines of no known source": strings.Repeat(unknown, 5000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Objects(formats).Read(context.Background(), "", strings.NewReader(text), nothing{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type nothing struct{}

func (nothing) Event(*ocsf.Event, int64, []byte) {}
func (nothing) Bad(int64, string, []byte)        {}
