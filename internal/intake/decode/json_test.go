package decode

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"
)

func parse(t testing.TB, text string) *JSON {
	t.Helper()
	o, err := ParseJSON(new(fastjson.Parser), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectsAreFlattened(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain values as they are written", `{"s":"x","n":1.50,"e":1e3,"t":true,"f":false}`, "e=1e3 f=false n=1.50 s=x t=true"},
		{"null is left out, and an empty text is not", `{"a":null,"b":""}`, "b="},
		{"objects with dots", `{"a":{"b":{"c":1}},"d":2}`, "a.b.c=1 d=2"},
		{"lists of plain values in one", `{"a":["x",1,true,null]}`, "a=x, 1, true, null"},
		{"lists of objects by their place", `{"a":[{"b":1},{"b":2}]}`, "a.0.b=1 a.1.b=2"},
		{"lists of both", `{"a":["x",{"b":1},"y"]}`, "a=x, y a.1.b=1"},
		{"lists in lists", `{"a":[[1,2],[3]]}`, "a.0=1, 2 a.1=3"},
		{"empty objects and lists", `{"a":{},"b":[],"c":[{}]}`, ""},
		{"names with dots of their own", `{"a.b":1,"a":{"c":2}}`, "a.b=1 a.c=2"},
		{"escapes", `{"\u0061\t":"\u00e4\n\ud83d\ude00"}`, "a\t=ä\n😀"},
		{"sorted, whatever the order", `{"b":1,"a":2,"B":3}`, "B=3 a=2 b=1"},
		{"of a name given twice the first comes first", `{"a":1,"a":2}`, "a=1 a=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range parse(t, c.text).Fields() {
				got = append(got, f.Name+"="+f.Value)
			}
			if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatIsNoObjectIsRefusedWithOneReason(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "not JSON: it ends too early"},
		{"a list", "[1]", "a JSON array where an object was expected"},
		{"a number", "1", "a JSON number where an object was expected"},
		{"cut short", `{"a":{"b":[1,`, "not JSON: it ends too early"},
		{"something behind it", `{"a":1} x`, "not JSON: unexpected tail"},
		{"a value that is none, whatever it says", `{"a":treason: "x"}`, "not JSON: unexpected value found"},
		{"too deep", strings.Repeat(`{"a":`, MaxDepth+1) + "1" + strings.Repeat("}", MaxDepth+1), "nested deeper than 32"},
		{"too many fields", `{"a":[` + strings.Repeat(`{"b":1},`, MaxFields) + `{"b":1}]}`, "more than 4096 fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseJSON(new(fastjson.Parser), []byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestFieldsAreAskedByName(t *testing.T) {
	o := parse(t, `{"a":"-","b":"","c":"x","n":"4624","h":"0x1F4","z":"010","f":"1.5","neg":-3,"o":{"p":1},"l":[1,2],"none":null}`)
	for got, want := range map[string]string{
		o.Str("c"): "x", o.Str("missing") + "!": "!", o.First("a", "b", "missing", "c", "n"): "x", o.First("a", "b") + "?": "?",
		fmt.Sprint("has ", o.Has("c"), o.Has("b"), o.Has("o"), o.Has("o.p"), o.Has("none"), o.Has("missing")):          "has true true true true true false",
		fmt.Sprint("int ", o.Int("n"), o.Int("h"), o.Int("z"), o.Int("f"), o.Int("neg"), o.Int("c"), o.Int("missing")): "int 4624 500 10 0 -3 0 0",
		fmt.Sprint("list ", len(o.Array("l")), len(o.Array("o")), len(o.Array("missing"))):                             "list 2 0 0",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTimesAreRead(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"RFC 3339", "2026-03-02T01:02:03Z", "2026-03-02T01:02:03Z"},
		{"RFC 3339 with a zone", "2026-03-02T01:02:03.5+02:00", "2026-03-01T23:02:03.5Z"},
		{"nine decimals", "2026-03-02T01:02:03.123456789Z", "2026-03-02T01:02:03.123456789Z"},
		{"no zone is UTC", "2026-03-02T01:02:03.123", "2026-03-02T01:02:03.123Z"},
		{"a space for the T", "2026-03-02 01:02:03", "2026-03-02T01:02:03Z"},
		{"a space, and a comma before the decimals", "2026-03-02 01:02:03,250", "2026-03-02T01:02:03.25Z"},
		{"a space, and a zone", "2026-03-02 01:02:03-05:00", "2026-03-02T06:02:03Z"},
		{"spaces around it", " 2026-03-02T01:02:03Z\n", "2026-03-02T01:02:03Z"},
		{"seconds", "1772413323", "2026-03-02T01:02:03Z"},
		{"seconds with microseconds, exactly", "1772413323.123457", "2026-03-02T01:02:03.123457Z"},
		{"seconds with more digits than a clock has", "1772413323.1234567891", "2026-03-02T01:02:03.123456789Z"},
		{"seconds with an exponent", "1.772413323e9", "2026-03-02T01:02:03Z"},
		{"seconds with an exponent and a part", "1.7724133235e+09", "2026-03-02T01:02:03.5Z"},
		{"milliseconds", "1772413323456", "2026-03-02T01:02:03.456Z"},
		{".NET", "/Date(1772413323456)/", "2026-03-02T01:02:03.456Z"},
		{".NET with the writer's zone", "/Date(1772413323456+0100)/", "2026-03-02T01:02:03.456Z"},
		{"the first second that is believed", "1971-01-01T00:00:00Z", "1971-01-01T00:00:00Z"},
		{"the last second that is believed", "2099-12-31T23:59:59Z", "2099-12-31T23:59:59Z"},
		{"a clock that was never set", "1970-01-01T00:00:12Z", ""},
		{"a clock that was never set, in seconds", "12.5", ""},
		{"a clock that was never set, in seconds with an exponent", "1.25e1", ""},
		{"2100", "2100-01-01T00:00:00Z", ""},
		{"2100 in seconds", "4102444800", ""},
		{"2100 in milliseconds", "4102444800000", ""},
		{"microseconds", "1772413323456789", ""},
		{"before 1970", "-1772413323", ""},
		{".NET before 1970", "/Date(-62135596800000)/", ""},
		{".NET with nothing", "/Date()/", ""},
		{"the last moment of a day that there is not", "2026-02-30T00:00:00Z", ""},
		{"a day alone", "2026-03-02", ""},
		{"words", "yesterday", ""},
		{"not a number", "NaN", ""},
		{"without end", "+Inf", ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ParseTime(c.text)
			if ok != (c.want != "") || ok && got.Format(time.RFC3339Nano) != c.want {
				t.Errorf("%q is %s, %v; want %q", c.text, got.Format(time.RFC3339Nano), ok, c.want)
			}
		})
	}
}

func TestTheFirstFieldThatHoldsATimeIsTaken(t *testing.T) {
	o := parse(t, `{"bad":"soon","none":null,"ok":"2026-03-02T01:02:03Z","n":1772413324,"long":"`+strings.Repeat("ä", 40)+`"}`)
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"missing", "ok", "n"}, "2026-03-02T01:02:03Z"},
		{[]string{"n", "ok"}, "2026-03-02T01:02:04Z"},
		{[]string{"bad", "ok"}, "2026-03-02T01:02:03Z"},
		{[]string{"missing", "none"}, "no time: none of missing, none is there"},
		{[]string{"missing", "bad"}, `field bad: "soon" is not a time`},
		{[]string{"long"}, `field long: "` + strings.Repeat("ä", 20) + `…" is not a time`},
	} {
		got, err := o.Time(c.names...)
		shown := got.Format(time.RFC3339)
		if err != nil {
			shown = err.Error()
		}
		if shown != c.want {
			t.Errorf("%v: %s, want %s", c.names, shown, c.want)
		}
	}
}

func TestAReasonIsNeverCutInsideACharacter(t *testing.T) {
	for n := range 9 {
		if s := shorten("aäöü€", n); !utf8.ValidString(s) || len(s) > n+len("…") {
			t.Errorf("%d: %q", n, s)
		}
	}
}

func TestDepthIsCountedOutsideStrings(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  bool
	}{
		{`{"a":[1]}`, 2, false}, {`{"a":[[1]]}`, 2, true}, {`{"a":"[[[["}`, 1, false}, {`{"a":"\"[[["}`, 1, false}, {`{"a":"\\"}[[`, 1, true}, {"", 0, false}, {"{", 0, true},
	} {
		if got := DeeperThan([]byte(c.text), c.limit); got != c.want {
			t.Errorf("%s and %d: %v", c.text, c.limit, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-03-02T01:02:03.5+02:00", "2026-03-02 01:02:03,25", "1772413323.123457", "1772413323456", "/Date(1772413323456+0100)/", "1e9", "0x1p30", "1.7e9", "-1", "NaN", "9223372036854775807", "1772413323.", ".5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime(s)
		if !ok {
			return
		}
		if got.Location() != time.UTC || got.Year() < 1971 || got.Year() >= 2100 {
			t.Fatalf("%q is %v", s, got)
		}
		if again, ok := ParseTime(got.Format(time.RFC3339Nano)); !ok || !again.Equal(got) {
			t.Fatalf("%q is %v, and that written out is %v", s, got, again)
		}
	})
}
