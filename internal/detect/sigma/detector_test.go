package sigma

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const certutil = `title: Certutil Renamed
id: 22222222-2222-4222-8222-222222222222
author: Somebody
status: test
level: high
tags: [attack.t1140, attack.defense-evasion, attack.t1036.003]
falsepositives: [Imaging]
logsource: {category: process_creation, product: windows}
detection:
  sel: {OriginalFileName: CertUtil.exe}
  filter: {Image|endswith: '\certutil.exe'}
  condition: sel and not filter
`

func ruleSet(t testing.TB, docs ...string) *RuleSet {
	t.Helper()
	var list []Document
	for i, d := range docs {
		list = append(list, Document{Name: fmt.Sprintf("%d.yml", i), Data: []byte(d)})
	}
	set, errs := Compile(list)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return set
}

var day = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// run is an event that the rule matches.
func run(tn tenant.ID, host, user string, at time.Time) *ocsf.Event {
	e := &ocsf.Event{Tenant: tn, Time: at, Device: host, Source: "windows/sysmon", Layer: tenant.LayerEndpoint, User: ocsf.User{Name: user},
		Class: ocsf.ClassProcessActivity, Process: &ocsf.Process{Image: `C:\Windows\cert.exe`},
		Src:    ocsf.Endpoint{IP: netip.MustParseAddr("192.0.2.7")},
		Fields: ocsf.Fields{{Name: "Image", Value: `C:\Windows\cert.exe`}, {Name: "OriginalFileName", Value: "CertUtil.exe"}, {Name: "EventID", Value: "1"}}}
	e.Trust, e.Partner, e.Attribution.Rule = "t1", "islander", "account isl-*"
	e.Fields.Sort()
	return e
}

func TestDetectorNamesWhatItFound(t *testing.T) {
	var got []*ocsf.Finding
	d := NewDetector(ruleSet(t, certutil), detect.Context{Model: &tenant.Model{Version: "v7"}})
	d.Process(run("acme", "SRV1", "isl-adm01", day), func(f *ocsf.Finding) { got = append(got, f) })
	if len(got) != 1 {
		t.Fatalf("%d findings", len(got))
	}
	f := got[0]
	for _, part := range []string{"Certutil Renamed", "Somebody", "SRV1", "isl-adm01", "islander", "Imaging"} {
		if !strings.Contains(f.Reason, part) {
			t.Errorf("reason doesn't tell %q: %s", part, f.Reason)
		}
	}
	f.Evidence, f.Reason, f.ID = nil, "", ""
	want := &ocsf.Finding{Time: day, End: day, Tenant: "acme", Trust: "t1", Partner: "islander", Layer: tenant.LayerEndpoint, Detector: "sigma",
		Rule: "22222222-2222-4222-8222-222222222222", Title: "Certutil Renamed", Technique: "T1036.003", Severity: ocsf.SeverityCritical, // high, and through a partner
		Confidence: 65, Outcome: ocsf.OutcomeSucceeded, Count: 1, Snapshot: "v7", Entities: []ocsf.Entity{
			{Type: ocsf.EntityHost, Value: "SRV1", Role: ocsf.RoleTarget}, {Type: ocsf.EntityUser, Value: "isl-adm01", Role: ocsf.RoleActor},
			{Type: ocsf.EntityIP, Value: "192.0.2.7", Role: ocsf.RoleSource}, {Type: ocsf.EntityProcess, Value: `C:\Windows\cert.exe`}}}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
}

func TestOneFindingATenantRuleDeviceUserAndDay(t *testing.T) {
	d := NewDetector(ruleSet(t, certutil), detect.Context{})
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	for range 30 {
		d.Process(run("acme", "SRV1", "ann", day), emit)
	}
	for _, e := range []*ocsf.Event{run("other", "SRV1", "ann", day), run("acme", "SRV2", "ann", day), run("acme", "SRV1", "bob", day), run("acme", "srv1", "ANN", day.Add(24*time.Hour))} {
		d.Process(e, emit)
	}
	d.Advance(day.Add(time.Hour), emit)
	if len(last) != 5 {
		t.Fatalf("%d findings, want 5", len(last))
	}
	counts := map[int]int{}
	for _, f := range last {
		counts[f.Count]++
		if len(f.Evidence) > ocsf.MaxEvidence {
			t.Errorf("%d events of evidence", len(f.Evidence))
		}
	}
	if counts[30] != 1 || counts[1] != 4 {
		t.Errorf("counts %v", counts)
	}
}

func TestIsolationFindingsOfTwoTenantsNeverShareEvidence(t *testing.T) {
	d := NewDetector(ruleSet(t, certutil), detect.Context{})
	d.Process(run("acme", "SRV1", "ann", day), func(*ocsf.Finding) {})
	d.Process(run("other", "SRV1", "ann", day), func(f *ocsf.Finding) {
		if f.Tenant != "other" || f.Count != 1 || f.Evidence[0].Event.Tenant != "other" {
			t.Errorf("finding of %s with evidence of %s", f.Tenant, f.Evidence[0].Event.Tenant)
		}
	})
}

func TestOutcomeFollowsRuleThenEvent(t *testing.T) {
	rule := head + "detection:\n  sel: {A: x}\n  condition: sel\n"
	for _, c := range []struct {
		name, extra string
		status      ocsf.Status
		want        ocsf.Outcome
	}{
		{"unknown", "", ocsf.StatusUnknown, ocsf.OutcomeUnknown},
		{"failed", "", ocsf.StatusFailure, ocsf.OutcomeAttempted},
		{"done", "", ocsf.StatusSuccess, ocsf.OutcomeSucceeded},
		{"rule says", "breakwater: {outcome: attempted}\n", ocsf.StatusSuccess, ocsf.OutcomeAttempted},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := winEvent("A", "x")
			e.Status = c.status
			d := NewDetector(ruleSet(t, rule+c.extra), detect.Context{})
			d.Process(e, func(f *ocsf.Finding) {
				if f.Outcome != c.want {
					t.Errorf("outcome %s, want %s", f.Outcome, c.want)
				}
			})
		})
	}
}

// TestRestoredDetectorGoesOn stops a run at every event and goes on from the snapshot: the findings are those
// of a run that never stopped.
func TestRestoredDetectorGoesOn(t *testing.T) {
	set := ruleSet(t, certutil)
	var events []*ocsf.Event
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		events = append(events, run("acme", fmt.Sprintf("SRV%d", r.IntN(2)), "ann", day.Add(time.Duration(i)*time.Hour)))
	}
	whole := findings(t, set, events, 1<<30)
	stopped := findings(t, set, events, 1)
	if d := cmp.Diff(whole, stopped); d != "" {
		t.Error(d)
	}
}

func findings(t *testing.T, set *RuleSet, events []*ocsf.Event, every int) map[string]string {
	t.Helper()
	out := map[string]string{}
	emit := func(f *ocsf.Finding) {
		b, err := f.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		out[f.ID] = string(b)
	}
	d := NewDetector(set, detect.Context{})
	for i, e := range events {
		d.Process(e, emit)
		if i%every == every-1 {
			state, err := d.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			d = NewDetector(set, detect.Context{})
			if err := d.Restore(state); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.Advance(day.AddDate(1, 0, 0), emit)
	return out
}

func TestExplainTellsTriedMatchedAndNear(t *testing.T) {
	d := NewDetector(ruleSet(t, certutil), detect.Context{}).(detect.Explainer)
	e := run("acme", "SRV1", "ann", day)
	if text := strings.Join(d.Explain(e), "\n"); !strings.Contains(text, "matches: Certutil Renamed") {
		t.Error(text)
	}
	e.Fields = ocsf.Fields{{Name: "EventID", Value: "1"}, {Name: "Image", Value: `C:\Windows\System32\certutil.exe`}, {Name: "OriginalFileName", Value: "CertUtil.exe"}}
	if text := strings.Join(d.Explain(e), "\n"); !strings.Contains(text, "no match: Certutil Renamed") || !strings.Contains(text, "holds: sel filter") {
		t.Error(text)
	}
	e.Source = "zeek/dns"
	if text := strings.Join(d.Explain(e), "\n"); !strings.Contains(text, "no Sigma rule is for events of zeek/dns") {
		t.Error(text)
	}
}
