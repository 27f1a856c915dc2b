package sigma

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestAllowListsCoverWhatTheySay(t *testing.T) {
	night := tenant.Hours{Restricted: true, From: 22 * 60, To: 6 * 60, Days: [7]bool{true, true, true, true, true, true, true}}
	later := day.AddDate(0, 1, 0)
	remote := func(e *ocsf.Event) { e.Remote = &ocsf.RemoteSession{Tool: "anydesk"} }
	process := func(image, parent string) func(*ocsf.Event) {
		return func(e *ocsf.Event) { e.Process = &ocsf.Process{Image: image, ParentImage: parent} }
	}
	for _, c := range []struct {
		name  string
		allow Allow
		event string
		with  func(*ocsf.Event)
		want  bool
	}{
		{"the rule by name", Allow{Rule: "a"}, "0 a", nil, true},
		{"the rule by id", Allow{Rule: "00000000-0000-4000-8000-00000000000A"}, "0 a", nil, true},
		{"another rule", Allow{Rule: "b"}, "0 a", nil, false},
		{"the tenant", Allow{Rule: "a", Tenant: "acme"}, "0 a", nil, true},
		{"another tenant", Allow{Rule: "a", Tenant: "acme"}, "0 a tenant=other", nil, false},
		{"the partner", Allow{Rule: "a", Partner: "isl"}, "0 a partner=isl", nil, true},
		{"no partner", Allow{Rule: "a", Partner: "isl"}, "0 a", nil, false},
		{"the host", Allow{Rule: "a", Hosts: []string{"srv1"}}, "0 a device=SRV1", nil, true},
		{"the host in its domain", Allow{Rule: "a", Hosts: []string{"srv1"}}, "0 a device=srv1.acme.example", nil, true},
		{"the host in another domain", Allow{Rule: "a", Hosts: []string{"srv1.acme.example"}}, "0 a device=srv1.evil.example", nil, false},
		{"hosts by pattern", Allow{Rule: "a", Hosts: []string{"wks-*"}}, "0 a device=WKS-17", nil, true},
		{"another host", Allow{Rule: "a", Hosts: []string{"wks-*"}}, "0 a device=SRV1", nil, false},
		{"no host", Allow{Rule: "a", Hosts: []string{"wks-*"}}, "0 a", nil, false},
		{"the hours", Allow{Rule: "a", Hours: night}, "50400 a", nil, true}, // ten in the morning and 14 hours
		{"other hours", Allow{Rule: "a", Hours: night}, "0 a", nil, false},
		{"the tool as the source names it", Allow{Rule: "a", Tool: "anydesk"}, "0 a", remote, true},
		{"another tool", Allow{Rule: "a", Tool: "screenconnect"}, "0 a", remote, false},
		{"the tool as a program", Allow{Rule: "a", Tool: "anydesk"}, "0 a", process(`C:\Program Files\AnyDesk.exe`, ""), true},
		{"the tool as the parent", Allow{Rule: "a", Tool: "screenconnect"}, "0 a", process(`C:\Windows\cmd.exe`, `C:\x\ScreenConnect.ClientService.exe`), true},
		{"a folder of the tool's name", Allow{Rule: "a", Tool: "anydesk"}, "0 a", process(`C:\anydesk\evil.exe`, ""), false},
		{"no tool", Allow{Rule: "a", Tool: "anydesk"}, "0 a", nil, false},
		{"before its end", Allow{Rule: "a", Until: later}, "0 a", nil, true},
		{"after its end", Allow{Rule: "a", Until: day}, "0 a", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.allow.Owner, c.allow.Reason = "Ann", "agreed"
			e := eventOf(t, 0, c.event)
			if c.with != nil {
				c.with(e)
			}
			var got *ocsf.Finding
			NewDetector(ruleSet(t, base), detect.Context{}, c.allow).Process(e, func(f *ocsf.Finding) { got = f })
			if got == nil {
				t.Fatal("the match is lost")
			}
			if s := got.Suppressed; (s != nil) != c.want || s != nil && (s.By != "allow-list" || s.Owner != "Ann" || s.Reason != "agreed") {
				t.Errorf("suppressed by %+v, want %v", s, c.want)
			}
			if told := strings.Contains(got.Reason, "an allow-list entry of Ann that would have suppressed this ended on"); told != (c.name == "after its end") {
				t.Errorf("reason %q", got.Reason)
			}
		})
	}
}

func TestAllowedMatchesHideNoOthersAndFeedCorrelations(t *testing.T) {
	corr := correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 2}\ngenerate: true")
	allow := Allow{Rule: "a", Hosts: []string{"srv1"}, Owner: "Ann"}
	events := "0 a User=u device=srv1;1 a User=u device=srv1;2 b User=u device=srv1;3 a User=u device=srv2"
	got := strings.Join(judged(t, NewDetector(ruleSet(t, base+corr), detect.Context{}, allow), eventsOf(t, events)), ",")
	if want := "A 1 -,A 2 allow-list Ann,B 1 -,T x 3 -"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// A correlation is covered where all of its events are.
	allow = Allow{Rule: "x", Hosts: []string{"srv1"}, Owner: "Ann"}
	got = strings.Join(judged(t, NewDetector(ruleSet(t, base+corr), detect.Context{}, allow), eventsOf(t, events)), ",")
	if want := "A 1 -,A 2 -,B 1 -,T x 2 allow-list Ann,T x 3 -"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownNamesEntriesThatActOnNothing(t *testing.T) {
	if got := ruleSet(t, base).Unknown([]Allow{{Rule: "a"}, {Rule: "nobody"}, {Rule: "nobody"}}); len(got) != 1 || got[0] != "nobody" {
		t.Errorf("got %v", got)
	}
}

func TestRemoteToolsThatATrustDeclaresAreSanctioned(t *testing.T) {
	rule := func(tags string) string {
		return "title: Tool\nid: tool\nlevel: medium\ntags: [" + tags + "]\nlogsource: {product: windows, service: security}\ndetection: {sel: {Kind: a}, condition: sel}\n"
	}
	model := &tenant.Model{Trusts: []tenant.Trust{{ID: "isl-acme", Partner: "isl", Tenant: "acme", Owner: "Ann", ValidUntil: day.AddDate(1, 0, 0),
		RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Instance: "0123456789ABCDEF"}, {Tool: "anydesk"}}}}}
	for _, c := range []struct {
		name, tags, tool, instance, event string
		want                              bool
	}{
		{"its instance", "attack.t1219.002", "screenconnect", "0123456789abcdef", "0 a partner=isl", true},
		{"beside a tactic", "attack.command-and-control, attack.t1219", "screenconnect", "0123456789abcdef", "0 a partner=isl", true},
		{"another instance", "attack.t1219", "screenconnect", "fedcba9876543210", "0 a partner=isl", false},
		{"no instance", "attack.t1219", "screenconnect", "", "0 a partner=isl", false},
		{"declared without an instance", "attack.t1219", "anydesk", "1", "0 a partner=isl", false},
		{"not through the trust", "attack.t1219", "screenconnect", "0123456789abcdef", "0 a", false},
		{"a rule that finds more", "attack.t1219, attack.t1562.001", "screenconnect", "0123456789abcdef", "0 a partner=isl", false},
		{"a rule without a technique", "", "screenconnect", "0123456789abcdef", "0 a partner=isl", false},
		{"after the trust ended", "attack.t1219", "screenconnect", "0123456789abcdef", "99999999 a partner=isl", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := eventOf(t, 0, c.event)
			e.Remote = &ocsf.RemoteSession{Tool: c.tool, Instance: c.instance}
			var got *ocsf.Finding
			NewDetector(ruleSet(t, rule(c.tags)), detect.Context{Model: model}).Process(e, func(f *ocsf.Finding) { got = f })
			if got == nil || (got.Suppressed != nil) != c.want || got.Suppressed != nil && (got.Suppressed.By != "trust" || got.Suppressed.Owner != "Ann") {
				t.Errorf("got %+v, want suppressed %v", got, c.want)
			}
		})
	}
}

func TestSeverityRisesByPartnerAndByTenants(t *testing.T) {
	for _, c := range []struct {
		name, events string
		want         string // severity of A's finding at each tenant
	}{
		{"nobody's partner", "0 a", "acme low"},
		{"a partner", "0 a partner=isl", "acme medium"},
		{"two tenants of a partner", "0 a partner=isl;1 a partner=isl tenant=other", "acme high,other high"},
		{"two tenants of two partners", "0 a partner=isl;1 a partner=mid tenant=other", "acme medium,other medium"},
		{"twice at one tenant", "0 a partner=isl;1 a partner=isl", "acme medium"},
		{"long after", "0 a partner=isl;700000 a partner=isl tenant=other", "acme medium,other medium"},
		{"another rule", "0 a partner=isl;1 b partner=isl tenant=other", "acme medium"},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := map[string]*ocsf.Finding{}
			emit := func(f *ocsf.Finding) { last[string(f.Tenant)+f.Title] = f }
			d := NewDetector(ruleSet(t, base), detect.Context{})
			for _, e := range eventsOf(t, c.events) {
				d.Process(e, emit)
			}
			d.Conclude(emit)
			var got []string
			for _, id := range []string{"acme", "other"} {
				if f := last[id+"A"]; f != nil {
					got = append(got, id+" "+f.Severity.String())
					if f.Severity == ocsf.SeverityHigh && !strings.Contains(f.Reason, "at another tenant of this partner") || strings.Contains(f.Reason, "acme") || strings.Contains(f.Reason, "other ten") && f.Severity != ocsf.SeverityHigh {
						t.Errorf("reason %q", f.Reason)
					}
				}
			}
			if strings.Join(got, ",") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestSuppressedMatchesRaiseNothing(t *testing.T) {
	allow := Allow{Rule: "a", Tenant: "acme", Owner: "Ann"}
	last := map[tenant.ID]*ocsf.Finding{}
	d := NewDetector(ruleSet(t, base), detect.Context{}, allow)
	for _, e := range eventsOf(t, "0 a partner=isl;1 a partner=isl tenant=other") {
		d.Process(e, func(f *ocsf.Finding) { last[f.Tenant] = f })
	}
	if last["acme"].Severity != ocsf.SeverityLow || last["other"].Severity != ocsf.SeverityMedium {
		t.Errorf("severities %s and %s", last["acme"].Severity, last["other"].Severity)
	}
}

func TestWhatWasSeenWhereStaysBounded(t *testing.T) {
	s := newSightings()
	for i := range 3 * maxSightings {
		s.see(sightKey{"isl", fmt.Sprint(i)}, "acme", day, findingKey{})
	}
	if len(s.list) > maxSightings {
		t.Errorf("%d are remembered", len(s.list))
	}
	for i := range 3 * maxSighted {
		s.see(sightKey{"isl", "one"}, tenant.ID(fmt.Sprint(i)), day, findingKey{})
	}
	if n := len(s.list[sightKey{"isl", "one"}].At); n > maxSighted {
		t.Errorf("%d tenants are remembered", n)
	}
	s.forget(day.Add(30 * 24 * time.Hour))
	if len(s.list) != 0 {
		t.Errorf("%d are left a month later", len(s.list))
	}
}
