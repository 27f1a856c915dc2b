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

// TestAnswersArePrintedAsOtherLists: in the order of reading, and to the letter as printList prints what it holds whole.
func TestAnswersArePrintedAsOtherLists(t *testing.T) {
	rows := []mailLine{
		{File: "=f0.eml", MessageID: "a@b", Verdict: "clean", Reasons: []mailReason{}},
		{File: "ein langer Name äöü 😀.eml", Verdict: "suspicious", Score: .51, Reasons: []mailReason{{"odd", 1.25, "it is <odd>"}, {"more", -1, "a\tb\nc"}}},
		{File: "f2\x1b[31m", MessageID: "a very long message id, longer than the others@host.example", Verdict: "phish", Score: 1, Reasons: []mailReason{{"x", 9, "\u202eturned"}}},
		{File: "f3", Verdict: "clean", Reasons: []mailReason{}},
	}
	for n := range len(rows) + 1 {
		a, err := newAnswers(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := n - 1; i >= 0; i-- {
			if err := a.put(i, &rows[i]); err != nil {
				t.Fatal(err)
			}
		}
		for _, format := range []string{"table", "json", "jsonl", "csv"} {
			var got, want bytes.Buffer
			if err := a.print(&got, format); err != nil {
				t.Fatal(err)
			}
			if err := printList(&want, format, rows[:n], mailColumns); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("%d rows as %s:\n%s\nwant\n%s", n, format, got.String(), want.String())
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
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
