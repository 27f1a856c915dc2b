package enumeration

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestExplainSaysWhatCountsAndTeachesNothing(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for _, e := range sweep(monday, time.Second, techie, 60) {
		d.Process(e, func(*ocsf.Finding) {})
	}
	before, err := d.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"no source of ours", record(monday, "zeek/conn", desk, server, 80), "not looked at"},
		{"an ordinary question", dns(monday, desk, "A", "www.good.example", "NOERROR", "93.184.1.2"), "nothing in it lists"},
		{"one of a sweep", dns(monday.Add(2*time.Minute), techie, "PTR", reverse("10.1.9.9"), "NXDOMAIN"), "told: 10.9.0.4 asked for the names of 60 addresses"},
		{"another source", dns(monday, desk, "PTR", reverse("10.1.9.9"), "NXDOMAIN"), "nothing of this source was seen yet"},
		{"the Internet", dns(monday, abroad, "AXFR", "client.example", "REFUSED"), "only counted"},
		{"an approved one", dns(monday, tester, "PTR", reverse("10.1.9.9"), "NXDOMAIN"), "covered by the approval of it@client.example: yearly test"},
	} {
		if got := strings.Join(d.Explain(c.event), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q does not say %q", c.name, got, c.want)
		}
	}
	after, err := d.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("explaining changed the state")
	}
}

func TestAFindingSaysWhoDidWhatToWhom(t *testing.T) {
	events := sorted(watched(5), each(12, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
		return kerberos(at, techie, "TGS", "isl-anna", "MSSQLSvc/sql"+string(rune('a'+i))+".client.local", rc4, "")
	}))
	found := run(t, events)
	if len(found) != 1 {
		t.Fatal(brief(found))
	}
	f := found[0]
	for _, want := range []ocsf.Entity{{Type: ocsf.EntityIP, Value: techie, Role: ocsf.RoleSource}, {Type: ocsf.EntityUser, Value: "isl-anna", Role: ocsf.RoleActor},
		{Type: ocsf.EntityHost, Value: "ISL-WS3", Role: ocsf.RoleSource}, {Type: ocsf.EntityService, Value: "mssqlsvc/sqld.client.local", Role: ocsf.RoleTarget}} {
		found := false
		for _, x := range f.Entities {
			found = found || x == want
		}
		if !found {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
	if f.Count != 12 || f.Outcome != ocsf.OutcomeSucceeded || f.Trust != "isl-client" || !f.Time.Equal(monday) || !f.End.Equal(monday.Add(11*time.Second)) {
		t.Errorf("%d events, %s, trust %s, %s to %s", f.Count, f.Outcome, f.Trust, f.Time, f.End)
	}
	for _, want := range []string{"asked for tickets of 12 services under RC4 within ten minutes (limit 4, clear from 8), 12 of them within a minute", "Techniques: T1558.003"} {
		if !strings.Contains(f.Reason, want) {
			t.Errorf("the reason %q does not say %q", f.Reason, want)
		}
	}
}

func TestAFindingGrowsUnderOneID(t *testing.T) {
	ids := map[string]int{}
	d := New(detect.Context{Model: model()})
	for _, e := range sweep(monday, time.Second, techie, 200) {
		d.Process(e, func(f *ocsf.Finding) { ids[f.ID] = f.Count })
	}
	d.Advance(monday.Add(time.Hour), func(f *ocsf.Finding) { ids[f.ID] = f.Count })
	if len(ids) != 1 {
		t.Errorf("%d findings of one episode", len(ids))
	}
	for id, n := range ids {
		if n != 200 {
			t.Errorf("finding %s tells of %d events, not 200", id, n)
		}
	}
}

func TestAResolverAsksForOthers(t *testing.T) {
	clients := each(10, monday.Add(-time.Hour), time.Second, func(i int, at time.Time) *ocsf.Event {
		e := dns(at, "10.1.2."+string(rune('1'+i%9)), "A", "www.good.example", "NOERROR", "93.184.1.2")
		e.Dst.IP = record(at, "", "10.1.1.53", "", 0).Src.IP
		return e
	})
	found := run(t, sorted(watched(5), clients, sweep(monday, 100*time.Millisecond, "10.1.1.53", 200)))
	if got := brief(found); got != "names low T1018" || !strings.Contains(found[0].Reason, "answers questions for names itself") {
		t.Errorf("got %s", got)
	}
}

func TestZonesAreLearnedFromAnswers(t *testing.T) {
	guesses := each(60, monday, 50*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
		return dns(at, techie, "A", "h"+string(rune('a'+i%26))+string(rune('a'+i/26))+".corp.lan", "NXDOMAIN")
	})
	if got := brief(run(t, guesses)); got != "" {
		t.Errorf("guesses below a name of nobody: %s", got)
	}
	known := []*ocsf.Event{dns(monday.Add(-time.Hour), desk, "A", "fs1.corp.lan", "NOERROR", "10.1.1.20"), dns(monday.Add(-time.Minute), desk, "A", "fs2.corp.lan", "NOERROR", "fs9.corp.lan", "10.1.1.21")}
	if got := brief(run(t, sorted(known, guesses))); got != "names high T1590.002" {
		t.Errorf("guesses below a name of the tenant's: %q", got)
	}
}

// TestEveryCallHasAKind holds the table of calls against the numbers that name the same calls.
func TestEveryCallHasAKind(t *testing.T) {
	for uuid, list := range opnums {
		for n, name := range list {
			if _, ok := operations[name]; !ok {
				t.Errorf("%s %d: %s is no known call", uuid, n, name)
			}
		}
	}
	for name, op := range operations {
		if name != strings.ToLower(name) || op.technique == "" || op.kind >= kinds {
			t.Errorf("%s: %+v", name, op)
		}
	}
	for k := range traits {
		x := &traits[k]
		if x.what == "" || x.unit == "" || x.technique == "" || titles[k] == "" || x.hint < 1 || x.few < x.hint || x.many < x.few || x.many > maxThings {
			t.Errorf("kind %d: %+v", k, x)
		}
	}
}
