package cli

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func spooledMail(n int, at time.Time, text string) message {
	return message{file: fmt.Sprintf("m%d.eml", n), event: &ocsf.Event{Time: at, Mail: &ocsf.Mail{MessageID: fmt.Sprint(n), Text: text, ParseProblems: []string{"odd: x"}}, Fields: ocsf.Fields{{Name: "header.to", Value: "a@b.example"}}}}
}

func TestSpooledMessagesComeInTheOrderOfTheirTimes(t *testing.T) {
	s, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, m := range []message{spooledMail(0, day.Add(3*time.Hour), "three"), {file: "broken.eml", broken: "no header"}, spooledMail(2, day, "zero"), spooledMail(3, day, "zero again")} {
		if err := s.put(m); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err = s.inOrder(func(n int, m *message) error {
		line := fmt.Sprint(n, " ", m.file, " ", m.broken)
		if m.event != nil {
			line += m.event.Mail.Text + m.event.Mail.ParseProblems[0] + m.event.Fields.Value("header.to")
		}
		got = append(got, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 broken.eml no header", "2 m2.eml zeroodd: xa@b.example", "3 m3.eml zero againodd: xa@b.example", "0 m0.eml threeodd: xa@b.example"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	name := s.file.Name()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", name, err)
	}
}

func TestAnswersComeInTheOrderOfReading(t *testing.T) {
	a, err := newAnswers(3)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, n := range []int{2, 0, 1} {
		if err := a.put(n, &mailLine{File: fmt.Sprint("f", n), Verdict: "clean", Reasons: []mailReason{}}); err != nil {
			t.Fatal(err)
		}
	}
	for format, want := range map[string][]string{"jsonl": {`"f0"`, `"f1"`, `"f2"`}, "csv": {"file,", "f0,", "f1,", "f2,"}, "table": {"", "f0", "f1", "f2"}} {
		var out bytes.Buffer
		if err := a.print(&out, format); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s: %q", format, lines)
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("%s: line %d is %q, want %s", format, i, lines[i], want[i])
			}
		}
	}
}

// TestSpoolHoldsLittle: what many large messages say is not in memory.
func TestSpoolHoldsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MiB")
	}
	s, err := newSpool()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := strings.Repeat("some words of a long message ", 2_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 3_500
	for i := range n {
		if err := s.put(spooledMail(i, time.Unix(int64(n-i), 0), text)); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	if err := s.inOrder(func(int, *message) error { seen++; return nil }); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); seen != n || s.end < 190<<20 || grown > 8<<20 {
		t.Errorf("%d messages of %d MiB, the heap grew by %d KiB", seen, s.end>>20, grown>>10)
	}
}
