package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Events that no rule is for are left out by their source and field names alone; a field that tells another source must
// bring them back, whatever came before.
func TestEventsThatNoRuleIsForAreLeftOutAndNoOthers(t *testing.T) {
	set, problems := Compile([]Document{{Name: "r.yml", Data: []byte(`
title: a log was cleared
id: 6c0a7755-6d31-44fa-80e1-133e57752680
logsource: {product: windows, service: security}
detection: {s: {EventID: 1102}, condition: s}
`)}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	w := newScratch(set)
	event := func(source string, fields ...string) *ocsf.Event {
		e := &ocsf.Event{Source: source}
		for i := 0; i < len(fields); i += 2 {
			e.Fields = append(e.Fields, ocsf.Field{Name: fields[i], Value: fields[i+1]})
		}
		e.Fields.Sort()
		return e
	}
	for i, c := range []struct {
		e       *ocsf.Event
		unasked bool
		matches int
	}{
		{event("zeek/conn", "uid", "C1", "ts", "1"), false, 0},
		{event("zeek/conn", "uid", "C2", "ts", "2"), true, 0},
		{event("zeek/conn", "uid", "C2"), true, 0},
		{event("zeek/conn"), true, 0},
		{event("zeek/conn", "uid", "C2", "service", "x", "ts", "2"), false, 0},
		{event("zeek/conn", "uid", "C2", "service", "x", "ts", "2"), true, 0},
		{event("zeek/conn", "uid", "C2", "ts", "2"), true, 0},
		{event("zeek/dns", "uid", "C2", "ts", "2"), false, 0},
		{event("zeek/conn", "uid", "C2", "EventID", "1102", "Channel", "Security"), false, 1},
		{event("zeek/conn", "event_id", "1102", "log_name", "Security"), false, 1},
		{event("zeek/conn", "event_id", "1102", "log_name", "Security"), false, 1},
		{event("windows/security", "EventID", "1102"), false, 1},
		{event("windows/security", "EventID", "1"), false, 0},
		{event("windows/security", "EventID", "1102"), false, 1},
		{&ocsf.Event{Source: "zeek/conn", Fields: ocsf.Fields{{Name: "uid"}, {Name: "ts"}}}, false, 0}, // out of order
	} {
		if got := w.unasked(c.e); got != c.unasked {
			t.Errorf("event %d: left out is %v", i, got)
		}
		w.load(c.e)
		if got := len(w.match()); got != c.matches {
			t.Errorf("event %d: %d rules match", i, got)
		}
		w.forget()
	}
	for i := range 3 * maxIdle {
		e := event(fmt.Sprintf("source/%d", i), fmt.Sprint("n", i), "x", strings.Repeat("n", maxIdleName+1), "y")
		w.load(e)
		w.match()
		e = event("zeek/conn", fmt.Sprint("n", i), "x")
		w.load(e)
		w.match()
	}
	if len(w.idle) > maxIdle || len(w.idle["zeek/conn"]) > maxIdleNames {
		t.Errorf("%d sources and %d names are kept", len(w.idle), len(w.idle["zeek/conn"]))
	}
	for source, names := range w.idle {
		for _, name := range names {
			if len(name) > maxIdleName {
				t.Fatalf("a name of %d bytes of %s is kept", len(name), source)
			}
		}
	}
}
