package coverage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// monday is 2 March 2026, 00:00 UTC.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func TestRowsCountExactly(t *testing.T) {
	c := NewTable(Options{})
	at := func(min int) time.Time { return monday.Add(time.Duration(min) * time.Minute) }
	c.Event("nord", "mail", "mx", true, at(5), at(6))
	c.Event("acme", "network", "fw", true, at(10), at(11))
	c.Event("acme", "endpoint", "fw", true, at(3), at(12))
	c.Event("acme", "network", "fw", false, at(9), at(13))
	c.Late("acme", "network", "fw", 2)
	c.Unparsed("acme", "fw", 3)
	c.Unparsed("", "rmm", 4)
	c.Unparsed("nord", "new", 5)
	want := []Row{
		{Sensor: "rmm", Unparsed: 4},
		{Tenant: "acme", Layer: "network", Sensor: "fw", Events: 2, First: at(9), Last: at(10), Late: 2, Unparsed: 3, Received: at(13), WarmingUp: true},
		{Tenant: "acme", Layer: "endpoint", Sensor: "fw", Authenticated: true, Events: 1, First: at(3), Last: at(3), Late: 1, Received: at(12), WarmingUp: true},
		{Tenant: "nord", Layer: "mail", Sensor: "mx", Authenticated: true, Events: 1, First: at(5), Last: at(5), Received: at(6), WarmingUp: true},
		{Tenant: "nord", Sensor: "new", Unparsed: 5},
	}
	if d := cmp.Diff(want, c.Rows(tenant.ScopeAll())); d != "" {
		t.Error(d)
	}
	// What could not be read is shown with the first layer that could.
	c.Event("nord", "cloud", "new", true, at(1), at(2))
	rows := c.Rows(tenant.ScopeOf("nord"))
	if len(rows) != 2 || rows[1].Layer != "cloud" || rows[1].Unparsed != 5 || rows[1].Events != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestIsolationRowsAreThoseOfTheScope(t *testing.T) {
	c := NewTable(Options{})
	for _, id := range []tenant.ID{"a", "b", ""} {
		c.Event(id, "mail", "s", true, monday, monday)
	}
	for _, x := range []struct {
		scope tenant.Scope
		want  string
	}{{tenant.Scope{}, ""}, {tenant.ScopeOf("b"), "b "}, {tenant.ScopeAll(), " a b "}} {
		got := ""
		for _, r := range c.Rows(x.scope) {
			got += string(r.Tenant) + " "
		}
		if got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

func TestLateIsWhatLiesBehindItsOwnSensor(t *testing.T) {
	c := NewTable(Options{})
	at := func(s int) time.Time { return monday.Add(time.Duration(s) * time.Second) }
	for _, x := range []struct {
		name   string
		tenant tenant.ID
		sensor string
		time   time.Time
		want   bool
	}{
		{"the first", "a", "s", at(1000), false},
		{"at the edge of the window", "a", "s", at(880), false},
		{"behind it", "a", "s", at(879), true},
		{"another sensor", "a", "o", at(10), false},
		{"another tenant of the sensor", "b", "s", at(10), false},
		{"from 1970", "a", "s", time.Unix(0, 0), true},
		{"a day ahead", "a", "o", at(86400), false},
		{"from 2100", "a", "s", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"after that one, in its time", "a", "s", at(1001), false},
		{"a year beyond all", "a", "s", time.Date(292277026, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"and still in its time", "a", "s", at(1002), false},
	} {
		if got := c.Event(x.tenant, "mail", x.sensor, true, x.time, at(1000)); got != x.want {
			t.Errorf("%s: late %v", x.name, got)
		}
	}
}

// busy is a table with something of everything.
func busy() *Table {
	c := NewTable(Options{})
	for i := range 700 {
		now := monday.Add(time.Duration(i) * 30 * time.Second)
		if i < 200 {
			c.Event("acme", "network", "fw", true, now.Add(-time.Duration(i%7)*time.Minute), now)
		}
		if i < 150 || i > 600 {
			c.Event("nord", "mail", "mx", false, now, now)
		}
		c.Silent(now)
	}
	c.Unparsed("", "rmm", 4)
	c.Unparsed("acme", "fw", 2)
	return c
}

func TestASnapshotIsTheTable(t *testing.T) {
	c := busy()
	rows, silences := c.Rows(tenant.ScopeAll()), c.Clone().Silent(c.ticked)
	if len(silences) != 2 || silences[0].Until.IsZero() || !silences[1].Until.IsZero() {
		t.Fatalf("the table shows too little to compare: %+v", silences)
	}
	o := NewTable(Options{})
	if err := o.Restore(c.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(rows, o.Rows(tenant.ScopeAll())); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(silences, o.Clone().Silent(c.ticked)); d != "" {
		t.Error(d)
	}
	// They also go on alike.
	for i := range 5000 {
		now := c.ticked.Add(time.Minute)
		if i%9 == 0 {
			a, b := c.Event("acme", "network", "fw", true, now, now), o.Event("acme", "network", "fw", true, now, now)
			if a != b {
				t.Fatalf("late %v %v", a, b)
			}
		}
		c.Silent(now)
		o.Silent(now)
	}
	if !bytes.Equal(c.Snapshot(), o.Snapshot()) {
		t.Error("restored, the table goes another way")
	}
}

func TestATornOrAlteredSnapshotIsRefused(t *testing.T) {
	good := busy().Snapshot()
	c := busy()
	before := c.Snapshot()
	for i := range good {
		if err := c.Restore(good[:i]); err == nil {
			t.Fatalf("torn at %d: taken", i)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if err := c.Restore(bad); err == nil {
			t.Fatalf("altered at %d: taken", i)
		}
	}
	if !bytes.Equal(before, c.Snapshot()) {
		t.Error("a refused snapshot changed the table")
	}
	future := bytes.Clone(good)
	future[len(magic)-1] = 9
	if err := c.Restore(future); err == nil || !strings.Contains(err.Error(), "version 9 is unknown") {
		t.Errorf("%v", err)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add(NewTable(Options{}).Snapshot())
	f.Add(busy().Snapshot())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum would keep the fuzzer outside.
		for _, d := range [][]byte{data, resealed(data)} {
			c := NewTable(Options{})
			if err := c.Restore(d); err != nil {
				if len(c.rows) > 0 {
					t.Fatal("refused, and yet taken in part")
				}
				continue
			}
			c.Rows(tenant.ScopeAll())
			c.Event("a", "mail", "s", true, monday, monday)
			c.Silent(monday)
			o := NewTable(Options{})
			if err := o.Restore(c.Snapshot()); err != nil {
				t.Fatalf("its own snapshot is refused: %v", err)
			}
		}
	})
}

func TestACloneStandsStill(t *testing.T) {
	c := NewTable(Options{})
	c.Event("a", "mail", "s", true, monday, monday)
	k := c.Clone()
	want := k.Rows(tenant.ScopeAll())
	for i := range 50 {
		c.Event("a", "mail", "s", true, monday, monday)
		c.Event("a", "mail", fmt.Sprint("s", i), true, monday, monday)
		c.Unparsed("a", "s", 1)
	}
	if d := cmp.Diff(want, k.Rows(tenant.ScopeAll())); d != "" {
		t.Error(d)
	}
	k.Event("a", "mail", "of the clone", true, monday, monday)
	if n := len(c.Rows(tenant.ScopeAll())); n != 51 {
		t.Errorf("%d rows; the clone wrote into the table", n)
	}
}

func TestRowsAsJSON(t *testing.T) {
	c := NewTable(Options{})
	c.Event("a", "mail", "s", true, monday, monday)
	got, err := json.Marshal(c.Rows(tenant.ScopeAll()))
	const want = `[{"tenant":"a","layer":"mail","sensor":"s","authenticated":true,"events":1,"first":"2026-03-02T00:00:00Z","last":"2026-03-02T00:00:00Z","late":0,"unparsed":0,"received":"2026-03-02T00:00:00Z","warming_up":true}]`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\n%s", err, got, want)
	}
}

func BenchmarkEvent(b *testing.B) {
	c := NewTable(Options{})
	for i := 0; b.Loop(); i++ {
		at := monday.Add(time.Duration(i) * time.Millisecond)
		c.Event("acme", "network", "fw", true, at, at)
	}
}

func BenchmarkCloneAndTickOf1000Sensors(b *testing.B) {
	c := NewTable(Options{})
	for i := range 1000 {
		c.Event("acme", "network", fmt.Sprint("fw", i), true, monday, monday)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Silent(monday.Add(time.Duration(i) * time.Second))
		c.Clone()
	}
}
