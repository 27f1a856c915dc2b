package decode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// cellSink writes what it gets as lines: the record's number and its fields, or what was bad.
type cellSink struct{ lines []string }

func (s *cellSink) Event(e *ocsf.Event, n int64, _ []byte) {
	var parts []string
	for _, f := range e.Fields {
		parts = append(parts, f.Name+"="+f.Value)
	}
	s.lines = append(s.lines, fmt.Sprintf("%d: %s", n, strings.Join(parts, "|")))
}

func (s *cellSink) Bad(n int64, reason string, _ []byte) {
	s.lines = append(s.lines, fmt.Sprintf("%d! %s", n, reason))
}

// cells is a table that keeps what it reads.
func cells() *Table {
	return &Table{Name: "cells", Knows: func(h Header) bool { return h.Has("a", "b") },
		Objects: []Object{{Name: "cells", Match: func(*JSON) bool { return true }, Decode: func(*JSON, *ocsf.Event) error { return nil }}}}
}

func TestTableRows(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"commas", "a,b\n1,2\n", "2: a=1|b=2"},
		{"semicolons behind a spreadsheet's line", "sep=;\r\na;b\r\n1,5;2\r\n", "3: a=1,5|b=2"},
		{"tabs and a type line", "#TYPE X\na\tb\n1\t2", "3: a=1|b=2"},
		{"UTF-8 with a mark", "\xef\xbb\xbf\"a\",\"b\"\n1,2\n", "2: a=1|b=2"},
		{"quotes within and separators", "a,b\n\"1,\"\"x\"\"\",\"2\n3\"\n4,5\n", "2: a=1,\"x\"|b=2\n3\n4: a=4|b=5"},
		{"spaces before quotes", "a, b\n1, \"2, 3\"\n", "2: a=1|b=2, 3"},
		{"a quote inside a plain cell", "a,b\n5\" disk,2\n1,2\n", "2: a=5\" disk|b=2\n3: a=1|b=2"},
		{"JSON in a cell", "a,b\n1,\"{\"\"x\"\":{\"\"y\"\":[1,2]}}\"\n", "2: a=1|b={\"x\":{\"y\":[1,2]}}|b.x.y=1, 2"},
		{"broken JSON in a cell stays", "a,b\n1,\"{\"\"x\"\":}\"\n", "2: a=1|b={\"x\":}"},
		{"fewer cells", "a,b\n1\n", "2: a=1"},
		{"more cells that are empty", "a,b\n1,2,,\n", "2: a=1|b=2"},
		{"more cells", "a,b\n1,2,3\n4,5\n", "2! a row of more cells than the header's 2\n3: a=4|b=5"},
		{"a quote that never closes", "a,b\n\"1,2\n3,4\n5,6\n", "2! a quote opens and does not close\n3: a=3|b=4\n4: a=5|b=6"},
		{"a quote that the next row would close", "a,b\n\"1,2\n\"3\",4\n", "2! a quote opens and does not close\n3: a=3|b=4"},
		{"the header again", "a,b\n1,2\na,b\n3,4\n", "2: a=1|b=2\n4: a=3|b=4"},
		{"columns of one name", "a,b,b\n1,,3\n4,5,6\n", "2: a=1|b=3\n3: a=4|b=5"},
		{"no text but bytes", "a,b\n\xff\xfe,2\n", "2: a=\uFFFD|b=2"},
		{"a time in UTC as a spreadsheet shows it", "a [UTC],b\n\"9/21/2026, 1:10:20.500 PM\",2\n\"21/9/2026, 1:10:20 PM\",2\n", "2: a=2026-09-21T13:10:20.5Z|b=2\n3: a=21/9/2026, 1:10:20 PM|b=2"},
		{"nothing but a header", "a,b\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, tab := &cellSink{}, cells()
			for _, oneByte := range []bool{false, true} {
				s.lines = nil
				var err error
				if oneByte {
					err = tab.read(context.Background(), "x", iotest.OneByteReader(strings.NewReader(c.text)), s)
				} else {
					err = tab.read(context.Background(), "x", strings.NewReader(c.text), s)
				}
				if got := strings.Join(s.lines, "\n"); err != nil || got != c.want {
					t.Errorf("got %v\n%s\nwant\n%s", err, got, c.want)
				}
			}
		})
	}
}

func TestTablesAreToldByTheirHeader(t *testing.T) {
	s := cells().Stream()
	for text, want := range map[string]bool{"a,b\n1,2\n": true, "x;B;A\n": true, "sep=;\na;b": true, "a\n": false, "": false, "b,c\n": false,
		`{"a":1,"b":2}`: false, "1,2\na,b\n": false, strings.Repeat("a,b,", maxColumns) + "\n": false, "\xff\xfea\x00,\x00b\x00\n\x00": true} {
		if got := s.Recognise("x.csv", []byte(text)); got != want {
			t.Errorf("%.20q: %v", text, got)
		}
	}
}

// What comes before an error of the source is read, and the error is told.
func TestATableThatEndsInAnErrorGivesWhatCameBefore(t *testing.T) {
	s, broken := &cellSink{}, errors.New("disk")
	err := cells().read(context.Background(), "x", iotest.DataErrReader(&cutReader{"a,b\n1,2\n3,\"4", broken}), s)
	want := "2: a=1|b=2\n3! a quote opens and does not close"
	if got := strings.Join(s.lines, "\n"); !errors.Is(err, broken) || got != want {
		t.Errorf("error %v, lines\n%s\nwant\n%s", err, got, want)
	}
}

type cutReader struct {
	text string
	err  error
}

func (r *cutReader) Read(b []byte) (int, error) {
	if r.text == "" {
		return 0, r.err
	}
	n := copy(b, r.text)
	r.text = r.text[n:]
	return n, nil
}

func TestBombTablesStayWithinTheirLimits(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		most    int
		problem string
	}{
		"a line without end":        {"a,b\n" + strings.Repeat("x", MaxRecord+1) + "\n1,2\n", 1, "longer than"},
		"a cell over many lines":    {"a,b\n\"" + strings.Repeat("x\n", maxRowLines+10) + "1,2\n", maxRowLines + 20, "does not close"},
		"open quotes one by one":    {"a,b\n" + strings.Repeat("\"x,\n", 5000), 5000, "does not close"},
		"columns without end":       {"a,b\n" + strings.Repeat("1,", maxColumns+10) + "1\n1,2\n", 1, "more cells"},
		"JSON nested without end":   {"a,b\n1,\"" + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "\"\n", 1, ""},
		"JSON of too many in cells": {"a,b\n1,\"[" + strings.Repeat("{\"\"x\"\":1},", MaxFields+5) + "{}]\"\n", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &cellSink{}
			if err := cells().read(context.Background(), "x", strings.NewReader(c.text), s); err != nil {
				t.Fatal(err)
			}
			events, told := 0, false
			for _, l := range s.lines {
				told = told || c.problem != "" && strings.Contains(l, c.problem)
				if !strings.Contains(l, "! ") {
					events++
				}
			}
			if events > c.most || told != (c.problem != "") {
				t.Errorf("%d events, at most %d; told %v", events, c.most, told)
			}
		})
	}
}

func TestLiftAndExpandReplaceNothing(t *testing.T) {
	e := &ocsf.Event{Fields: ocsf.Fields{{Name: "a", Value: "own"}, {Name: "j", Value: `{"x":1,"y":{"z":2}}`}, {Name: "j.x", Value: "own"}, {Name: "p.a", Value: "lent"}, {Name: "p.b", Value: "lent"}}}
	Expand(e, "j", "missing")
	Lift(e, "p.")
	AddFields(e, ocsf.Field{Name: "b", Value: "late"}, ocsf.Field{Name: "c", Value: ""})
	for name, want := range map[string]string{"a": "own", "b": "lent", "j.x": "own", "j.y.z": "2", "p.b": "lent"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, there := e.Fields.Get("c"); there {
		t.Error("a field without a value was added")
	}
}

func FuzzTable(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "sep=;\na;b\n\"x\";\"{\"\"y\"\":1}\"\n", "a,b\n\"x\n\"y\",\n", "\xff\xfea\x00,\x00b\x00\n\x00", "a,b\n5\" x,2\n,,,\n\"\"\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &cellSink{}
		if err := cells().read(context.Background(), "x", strings.NewReader(string(b)), s); err != nil {
			return // a file without a header; nothing may panic
		}
		if lines := strings.Count(string(b), "\n") + 1; len(s.lines) > lines {
			t.Errorf("%d records of %d lines", len(s.lines), lines)
		}
	})
}
