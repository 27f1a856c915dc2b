package syslog

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cutUp feeds text in pieces of n bytes.
func cutUp(text string, max, n int, closed bool) (out []string) {
	f := framer{max: max}
	emit := func(msg []byte, cut bool) {
		out = append(out, strings.TrimSuffix(string(appendRecord(nil, msg, cut)), "\n"))
	}
	for p := []byte(text); len(p) > 0; {
		k := min(n, len(p))
		f.feed(p[:k], emit)
		p = p[k:]
	}
	f.end(closed, emit)
	return out
}

func TestMessagesAreCutOutOfAConnection(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"newlines", "<1>one\n<2>two\n", []string{"<1>one", "<2>two"}},
		{"CR LF", "<1>one\r\n<2>two\r\n", []string{"<1>one", "<2>two"}},
		{"NUL", "<1>one\x00<2>two\x00\n", []string{"<1>one", "<2>two"}},
		{"empty lines", "\n\n<1>one\n\r\n\x00<2>two", []string{"<1>one", "<2>two"}},
		{"a last line without newline", "<1>one\n<2>two", []string{"<1>one", "<2>two"}},
		{"counted", "6 <1>one6 <2>two", []string{"<1>one", "<2>two"}},
		{"counted, with a newline in and behind", "10 <1>one\ntwo7 <2>two\n\n6 <3>end", []string{"<1>one#012two", "<2>two", "<3>end"}},
		{"mixed", "6 <1>one<2>two\n8 <3>three<4>four\n", []string{"<1>one", "<2>two", "<3>three", "<4>four"}},
		{"text that begins with a number", "12 monkeys\n2026 is a year\n7\n<1>x\n", []string{"12 monkeys", "2026 is a year", "7", "<1>x"}},
		{"counted without priority, once it is known to count", "6 <1>one5 hello", []string{"<1>one", "hello"}},
		{"a count that nobody means", "99999999 <1>one\n999999999 <2>two\n", []string{"99999999 <1>one", "999999999 <2>two"}},
		{"a count that breaks off", "20 <1>one", []string{"<1>one" + CutMark}},
		{"too long", "<1>0123456789012345678901\n<2>x\n", []string{"<1>01234567890123456" + CutMark, "<2>x"}},
		{"too long, counted", "25 <1>01234567890123456789016 <2>two", []string{"<1>01234567890123456" + CutMark, "<2>two"}},
		{"a number alone", "12", []string{"12"}},
		{"zero", "0 <1>x\n", []string{"0 <1>x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1000} {
				if d := cmp.Diff(c.want, cutUp(c.text, 20, n, true)); d != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", n, d)
				}
			}
		})
	}
}

func TestALineThatAStopBreaksOffSaysSo(t *testing.T) {
	if d := cmp.Diff([]string{"<1>one", "<2>tw" + CutMark}, cutUp("<1>one\n<2>tw", 20, 5, false)); d != "" {
		t.Error(d)
	}
}

func TestARecordIsAlwaysOneLine(t *testing.T) {
	if got := string(appendRecord(nil, []byte("a\nb\r\nc\x00d\te"), false)); got != "a#012b#015#012c#000d\te\n" {
		t.Errorf("%q", got)
	}
}

// FuzzFraming holds that the pieces in which bytes come change nothing, that messages are bounded and one line each,
// and that what is sent counted comes out.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{"<1>one\n<2>two\n", "6 <1>one6 <2>two", "10 <1>one\ntwo7 <2>two\n\n6 <3>end", "12 monkeys\n", "99999999 <1>", "0 ", "\x00\r\n 1", "1 <", "16777216 <x"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		const max = 64
		whole := cutUp(string(data), max, len(data)+1, true)
		if d := cmp.Diff(whole, cutUp(string(data), max, int(n)+1, true)); d != "" {
			t.Fatalf("in pieces of %d:\n%s", int(n)+1, d)
		}
		for _, m := range whole {
			if strings.ContainsAny(m, "\n\x00") || len(m) > 4*max+len(CutMark) {
				t.Fatalf("%q", m)
			}
		}
		msg := append([]byte("<1>x"), bytes.Trim(data, "\r\n\x00")...)
		if len(msg) > max {
			return
		}
		sent := fmt.Sprintf("%d %s", len(msg), msg)
		want := strings.TrimSuffix(string(appendRecord(nil, bytes.TrimRight(msg, "\r\n\x00"), false)), "\n")
		if d := cmp.Diff([]string{want, want}, cutUp(sent+sent, max, int(n)+1, true)); d != "" {
			t.Fatal(d)
		}
	})
}

func BenchmarkFraming(b *testing.B) {
	line := "<134>1 2026-01-02T03:04:05.678Z web1 app 4711 ID47 - " + strings.Repeat("x", 200)
	for name, text := range map[string]string{"lines": strings.Repeat(line+"\n", 1000), "counted": strings.Repeat(fmt.Sprintf("%d %s", len(line), line), 1000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			f := framer{max: DefaultMaxMessage}
			n := 0
			for b.Loop() {
				for p := []byte(text); len(p) > 0; {
					k := min(readSize, len(p))
					f.feed(p[:k], func([]byte, bool) { n++ })
					p = p[k:]
				}
			}
			if n != b.N*1000 {
				b.Fatalf("%d messages of %d", n, b.N*1000)
			}
		})
	}
}
