package bounded

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

const tooLongMark = "<too long>"

func lines(r io.Reader, max int) (out []string, err error) {
	l := NewLineReader(r, max)
	for want := int64(1); ; want++ {
		line, n, tooLong, err := l.Next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return out, err
		}
		if n != want {
			return out, errors.New("lines are not counted one by one")
		}
		if tooLong {
			out = append(out, tooLongMark)
			continue
		}
		out = append(out, string(line))
	}
}

func utf16Of(s string, little bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		if little {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return string(b)
}

func TestLineReader_tolerates(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for _, c := range []struct {
		name, in string
		max      int
		want     []string
	}{
		{"nothing", "", 0, nil},
		{"one line", "a\n", 0, []string{"a"}},
		{"no newline at the end", "a\nb", 0, []string{"a", "b"}},
		{"empty lines", "\n\na\n\n", 0, []string{"", "", "a", ""}},
		{"CRLF", "a\r\nb\r\n", 0, []string{"a", "b"}},
		{"CRLF and no end", "a\r\nb\r", 0, []string{"a", "b"}},
		{"a carriage return within", "a\rb\n", 0, []string{"a\rb"}},
		{"NULs around a line", "\x00\x00a\x00b\x00\n\x00\x00", 0, []string{"a\x00b", ""}},
		{"UTF-8 with a mark", "\xef\xbb\xbfä\nb\n", 0, []string{"ä", "b"}},
		{"UTF-16LE with a mark", utf16Of("ä\r\n😀\r\n", true), 0, []string{"ä", "😀"}},
		{"UTF-16BE with a mark", utf16Of("ä\n😀", false), 0, []string{"ä", "😀"}},
		{"UTF-16 cut in half a character", utf16Of("ab", true)[:5], 0, []string{"a\ufffd"}},
		{"a line as long as allowed", "1234\n12345\r\n1234567", 5, []string{"1234", "12345", tooLongMark}},
		{"too long, then fine", long + "\nb\n" + long + "\n", 1000, []string{tooLongMark, "b", tooLongMark}},
		{"longer than the buffer and allowed", long + "\r\nb", 200_000, []string{long, "b"}},
		{"one byte too long beyond the buffer", long + "\r\nb", 199_999, []string{tooLongMark, "b"}},
		{"NULs before a line don't count", strings.Repeat("\x00", 300_000) + "a\n", 10, []string{"a"}},
		{"only a mark", "\xef\xbb\xbf", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{"whole": strings.NewReader(c.in), "bytewise": iotest.OneByteReader(strings.NewReader(c.in))} {
				got, err := lines(r, c.max)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, how, got, c.want)
			}
		})
	}
}

func TestLineReader_givesWhatCameBeforeAnError(t *testing.T) {
	boom := errors.New("boom")
	got, err := lines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(boom)), 0)
	equal(t, "lines", got, []string{"a", "b"})
	if err != boom {
		t.Errorf("err %v", err)
	}
}

func TestLineReader_offsetsPointAtTheirLines(t *testing.T) {
	text := "a\r\nbb\n\nccc"
	l := NewLineReader(strings.NewReader("\xef\xbb\xbf"+text), 0)
	for _, want := range []int64{0, 3, 6, 7} {
		line, _, _, err := l.Next()
		if err != nil || l.Offset() != want || !strings.HasPrefix(text[l.Offset():], string(line)) {
			t.Errorf("offset %d, want %d (%q, %v)", l.Offset(), want, line, err)
		}
	}
	if l.Lines() != 4 {
		t.Errorf("%d lines", l.Lines())
	}
}

func TestBomb_longLineIsNotHeld(t *testing.T) {
	endless := io.LimitReader(zeroless{}, 256<<20)
	l := NewLineReader(endless, 1<<20)
	if _, n, tooLong, err := l.Next(); err != nil || !tooLong || n != 1 {
		t.Fatalf("n %d, tooLong %v, err %v", n, tooLong, err)
	}
	if cap(l.buf) > 4<<20 {
		t.Errorf("%d bytes held", cap(l.buf))
	}
}

type zeroless struct{}

func (zeroless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzLineReader(f *testing.F) {
	for _, s := range []string{"", "a\nb", "a\r\n\x00b\n", "\xef\xbb\xbfa", utf16Of("a\nb", true), utf16Of("a\nb", false), strings.Repeat("x", 70_000) + "\n"} {
		f.Add([]byte(s), 10)
	}
	f.Fuzz(func(t *testing.T, data []byte, max int) {
		max = 1 + max&0xffff
		got, err := lines(bytes.NewReader(data), max)
		if err != nil {
			t.Fatal(err)
		}
		bytewise, err := lines(iotest.OneByteReader(bytes.NewReader(data)), max)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "bytewise and whole", bytewise, got)
		for _, line := range got {
			if line != tooLongMark && (len(line) > max || strings.Contains(line, "\n")) {
				t.Errorf("a line of %d bytes where %d are allowed", len(line), max)
			}
		}
	})
}

func BenchmarkLineReader(b *testing.B) {
	data := bytes.Repeat([]byte(strings.Repeat("x", 300)+"\n"), 10_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		l := NewLineReader(bytes.NewReader(data), 0)
		for {
			if _, _, _, err := l.Next(); err != nil {
				break
			}
		}
	}
}
