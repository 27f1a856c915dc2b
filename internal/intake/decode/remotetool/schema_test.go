package remotetool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// mine is a site's schema that takes the place of a built-in one.
const mine = `schemas:
  - name: splashtop/sessions
    tool: splashtop
    kind: table
    verified: true
    columns: [Start Time, End Time, User]
    fields: {time: [Start Time], operator: [User], target: [Computer]}
    act: file
`

func parsed(t *testing.T, text string) *Schemas {
	t.Helper()
	s, err := ParseSchemas("tools.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBuiltInSchemasAreSound(t *testing.T) {
	s, err := ParseSchemas("schemas.yaml", BuiltInSchemaFile())
	if err != nil {
		t.Fatal(err)
	}
	tools := Tools()
	for _, x := range s.list {
		if x.Of == "" || x.Verified {
			t.Errorf("%s: of %q, verified %v: nobody has held these against their products", x.Name, x.Of, x.Verified)
		}
		if !slices.Contains(tools, x.Tool) && x.Tool != "console" { // the audit names its product itself
			t.Errorf("%s: tool %q is not known", x.Name, x.Tool)
		}
	}
	if len(BuiltInSchemas().list) != len(s.list) || len(s.list) < 8 {
		t.Errorf("%d schemas are built in, %d stand in the file", len(BuiltInSchemas().list), len(s.list))
	}
}

func TestASiteReplacesSchemas(t *testing.T) {
	site := parsed(t, mine)
	all := BuiltInSchemas().With(site)
	if len(all.list) != len(BuiltInSchemas().list) || all.list[0] != site.list[0] {
		t.Errorf("%d schemas, the first %s", len(all.list), all.list[0].Name)
	}
	for _, f := range Streams(site) {
		if !f.Recognise("x", []byte(splashCSV)) {
			continue
		}
		var s decodetest.Collect
		if err := f.Read(context.Background(), "x", strings.NewReader(splashCSV), &s); err != nil || len(s.Events) != 1 {
			t.Fatalf("%d events, %v", len(s.Events), err)
		}
		if e := s.Events[0]; e.Remote.Act != "file" || e.Remote.SessionID != "" || e.Fields.Value(FieldVerified) != "yes" {
			t.Errorf("act %s, session %q, verified %s", e.Remote.Act, e.Remote.SessionID, e.Fields.Value(FieldVerified))
		}
		return
	}
	t.Error("not recognised")
}

func TestDatesWithoutAYearWaitForWhoReceivedThem(t *testing.T) {
	const text = "Dec 31 23:59:50 SRServer new session opened\nJan  1 00:00:10 SRServer session ended\n"
	for name, c := range map[string]struct {
		received time.Time
		want     string
	}{
		"nobody knows":    {time.Time{}, "[] 2 bad"},
		"after new year":  {time.Date(2027, 1, 1, 0, 1, 0, 0, time.UTC), "[2026-12-31 connect 2027-01-01 disconnect] 0 bad"},
		"before new year": {time.Date(2026, 12, 31, 23, 59, 55, 0, time.UTC), "[2026-12-31 connect 2027-01-01 disconnect] 0 bad"},
	} {
		ctx := context.Background()
		if !c.received.IsZero() {
			ctx = decode.WithReceived(ctx, c.received)
		}
		var s decodetest.Collect
		for _, f := range Streams(nil) {
			if f.Recognise("x", []byte(text)) {
				if err := f.Read(ctx, "x", strings.NewReader(text), &s); err != nil {
					t.Fatal(err)
				}
			}
		}
		var got []string
		for _, e := range s.Events {
			got = append(got, e.Time.Format(time.DateOnly)+" "+e.Remote.Act)
		}
		if g := fmt.Sprint(got, " ", len(s.Reasons), " bad"); g != c.want {
			t.Errorf("%s: %s, want %s", name, g, c.want)
		}
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	const head = "schemas:\n  - {name: atera/xy, tool: atera, "
	for in, wrong := range map[string]string{
		"zone: Middle/Earth\n":                     "no zone",
		"zone: '+2'\n":                             "no offset",
		"unknown: 1\n":                             "unknown",
		"schemas:\n  - {name: Atera}\n":            "name must be",
		"schemas:\n  -\n":                          "is empty",
		head + "kind: table}\n":                    "fields.time is missing",
		head + "kind: csv, fields: {time: [a]}}\n": "kind is",
		head + "kind: table, columns: [a], fields: {time: [a]}}\n":                                                                                          "at least two",
		head + "kind: lines, pattern: x, fields: {time: [a]}}\n":                                                                                            "marks is missing",
		head + "kind: lines, marks: [a], fields: {time: [a]}}\n":                                                                                            "pattern is missing",
		head + "kind: lines, marks: [a], pattern: '(', fields: {time: [a]}}\n":                                                                              "pattern: ",
		head + "kind: table, columns: [a, b], act: jump, fields: {time: [a]}}\n":                                                                            "act is",
		head + "kind: table, columns: [a, b], acts: [{act: file}], fields: {time: [a]}}\n":                                                                  "acts[0]",
		"schemas:\n  - {name: atera/xy, tool: kaseya, kind: table, columns: [a, b], fields: {time: [a]}}":                                                   "tool must be",
		head + "kind: table, columns: [a, b], fields: {time: [a]}}\n  - {name: atera/xy, tool: atera, kind: table, columns: [a, b], fields: {time: [a]}}\n": "stands twice",
		strings.Repeat("#", MaxSchemaBytes+1):                                                                                                               "keep it under",
	} {
		if _, err := ParseSchemas("tools.yaml", []byte(in)); err == nil || !strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), "tools.yaml") {
			t.Errorf("%.80q: %v, want %q", in, err, wrong)
		}
	}
	if s, err := ParseSchemas("empty.yaml", nil); err != nil || len(s.list) != 0 {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzSchemas(f *testing.F) {
	f.Add(string(embedded), splashCSV)
	f.Add(mine, "a,b\n")
	f.Add("zone: UTC\nschemas: [{name: atera/xy, tool: atera, kind: lines, marks: [a], pattern: '(?P<time>.*)', fields: {time: [time]}}]", "a 2026-01-01\n")
	f.Fuzz(func(t *testing.T, file, text string) {
		s, err := ParseSchemas("x", []byte(file))
		if err != nil {
			return
		}
		for _, stream := range append(s.streams(), decode.Objects(s.objects())) {
			var c decodetest.Collect
			if err := stream.Read(context.Background(), "x", strings.NewReader(text), &c); err != nil {
				continue
			}
			for _, e := range c.Events {
				decodetest.Check(t, e)
			}
		}
	})
}
