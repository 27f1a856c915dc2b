package alertlevel

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestRaiseNeedsAReasonANameAndAnEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		tenant tenant.ID
		level  Level
		reason string
		by     string
		until  time.Time
		want   string
	}{
		{"all of it", "acme", Elevated, "pen test", "ann", noon.Add(time.Hour), ""},
		{"no tenant", "", Elevated, "r", "ann", noon.Add(time.Hour), "no tenant is named"},
		{"normal", "acme", Normal, "r", "ann", noon.Add(time.Hour), "is no raised level"},
		{"an unknown level", "acme", "red", "r", "ann", noon.Add(time.Hour), `"red" is no raised level`},
		{"no reason", "acme", Elevated, "  ", "ann", noon.Add(time.Hour), "a reason"},
		{"a novel", "acme", Elevated, strings.Repeat("x", 1001), "ann", noon.Add(time.Hour), "a reason"},
		{"nobody", "acme", Elevated, "r", "", noon.Add(time.Hour), "who raises it"},
		{"in a campaign's name", "acme", Elevated, "r", ByCampaign, noon.Add(time.Hour), "who raises it"},
		{"no end", "acme", Elevated, "r", "ann", time.Time{}, "an end after the beginning"},
		{"for ever", "acme", Elevated, "r", "ann", noon.AddDate(1, 0, 0), "more than 90 days"},
	} {
		var b Book
		e, err := b.Raise(c.tenant, c.level, c.reason, c.by, noon, c.until)
		if c.want == "" {
			if err != nil || e.ID == "" || len(b.Entries()) != 1 {
				t.Errorf("%s: %v %+v", c.name, err, e)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || len(b.Entries()) != 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func raise(t *testing.T, b *Book, id tenant.ID, l Level, from, until time.Time) Entry {
	t.Helper()
	e, err := b.Raise(id, l, "r", "ann", from, until)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTheHighestThatRunsHoldsAndFallsBackByItself(t *testing.T) {
	var b Book
	h := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	raise(t, &b, "acme", Elevated, h(0), h(10))
	high := raise(t, &b, "acme", Heightened, h(2), h(4))
	raise(t, &b, "nord", Heightened, h(0), h(1))
	for _, c := range []struct {
		at   int
		want Level
	}{{-1, Normal}, {0, Elevated}, {1, Elevated}, {2, Heightened}, {3, Heightened}, {4, Elevated}, {9, Elevated}, {10, Normal}} {
		if got := b.At("acme", h(c.at)); got != c.want {
			t.Errorf("after %d h: %s, want %s", c.at, got, c.want)
		}
	}
	if _, ok := b.End(tenant.ScopeOf("nord"), high.ID, "bob", h(3)); ok {
		t.Error("ended by somebody who may not see it")
	}
	e, ok := b.End(tenant.ScopeOf("acme"), high.ID, "bob", h(3))
	if !ok || e.EndedBy != "bob" || b.At("acme", h(3)) != Elevated || b.At("acme", h(2)) != Heightened {
		t.Errorf("%v %+v", ok, e)
	}
	if _, ok := b.End(tenant.ScopeAll(), high.ID, "eve", h(3)); ok {
		t.Error("ended twice")
	}
	if l, why := b.Why("acme", h(3)); l != Elevated || why.Until != h(10) {
		t.Errorf("%s %+v", l, why)
	}
	if ids := b.Forget(h(5)); len(ids) != 2 || len(b.Entries()) != 1 {
		t.Errorf("forgot %v, kept %+v", ids, b.Entries())
	}
}

func TestIsolationListIsOfTheScope(t *testing.T) {
	var b Book
	raise(t, &b, "acme", Elevated, noon, noon.Add(time.Hour))
	raise(t, &b, "nord", Elevated, noon, noon.Add(time.Hour))
	if l := b.List(tenant.ScopeOf("nord")); len(l) != 1 || l[0].Tenant != "nord" {
		t.Errorf("%+v", l)
	}
	if l := b.List(tenant.Scope{}); len(l) != 0 {
		t.Errorf("%+v", l)
	}
}

func TestThresholds(t *testing.T) {
	for l, want := range map[Level]ocsf.Severity{Normal: ocsf.SeverityHigh, Elevated: ocsf.SeverityMedium, Heightened: ocsf.SeverityLow, "": ocsf.SeverityHigh} {
		if got := Threshold(l); got != want {
			t.Errorf("%q: %s", l, got)
		}
	}
	if _, err := Parse("red"); err == nil {
		t.Error("red is a level")
	}
	if l, err := Parse("elevated"); err != nil || l != Elevated {
		t.Errorf("%s %v", l, err)
	}
}

func model() *tenant.Model {
	return &tenant.Model{
		Tenants:  []tenant.Tenant{{ID: "acme"}, {ID: "nord"}, {ID: "south"}, {ID: "west"}, {ID: "past"}, {ID: "free"}},
		Partners: []tenant.Partner{{ID: "msp", Name: "Northwind IT"}},
		Trusts: []tenant.Trust{{Partner: "msp", Tenant: "acme"}, {Partner: "msp", Tenant: "nord"}, {Partner: "msp", Tenant: "south"},
			{Partner: "msp", Tenant: "west"}, {Partner: "msp", Tenant: "past", ValidUntil: noon.AddDate(-1, 0, 0)}},
	}
}

func drawn(hours int, outcomes ...string) *campaign.Result {
	c := campaign.Campaign{ID: "c1", Partner: "msp", Start: noon, End: noon.Add(time.Duration(hours) * time.Hour)}
	for _, o := range outcomes {
		id, out, _ := strings.Cut(o, "=")
		c.Tenants = append(c.Tenants, campaign.TenantOutcome{Tenant: tenant.ID(id), Outcome: campaign.Outcome(out)})
	}
	return &campaign.Result{Campaigns: []campaign.Campaign{c}}
}

func levels(b *Book, at time.Time) string {
	var out []string
	for _, t := range model().Tenants {
		if l := b.At(t.ID, at); l != Normal {
			out = append(out, string(t.ID)+"="+string(l))
		}
	}
	return strings.Join(out, " ")
}

func TestACampaignRaisesThePartnersTenants(t *testing.T) {
	var b Book
	r := drawn(1, "acme=succeeded", "nord=attempted", "south=exposed", "west=blind", "past=exposed", "free=succeeded")
	changed := b.Follow(r, model(), 0, noon.Add(2*time.Hour))
	if got := levels(&b, noon.Add(2*time.Hour)); got != "acme=heightened nord=heightened south=elevated west=elevated" {
		t.Error(got)
	}
	for _, e := range changed {
		if !strings.Contains(e.Reason, "Northwind IT") || e.Partner != "msp" || e.Campaign != "c1" || e.By != ByCampaign || !e.Until.Equal(noon.Add(73*time.Hour)) {
			t.Errorf("%+v", e)
		}
		for _, x := range model().Tenants {
			if strings.Contains(e.Reason, string(x.ID)) {
				t.Errorf("the reason of %s names a tenant: %s", e.Tenant, e.Reason)
			}
		}
	}
	if again := b.Follow(r, model(), 0, noon.Add(3*time.Hour)); len(changed) != 4 || len(again) != 0 {
		t.Errorf("%d changed, then again %+v", len(changed), again)
	}
	if got := levels(&b, noon.Add(73*time.Hour)); got != "" {
		t.Errorf("after its end: %s", got)
	}
	// More evidence moves the end.
	if c := b.Follow(drawn(50, "acme=succeeded"), model(), 0, noon.Add(51*time.Hour)); len(c) != 4 {
		t.Errorf("%+v", c)
	}
	if got := levels(&b, noon.Add(100*time.Hour)); got != "acme=heightened" {
		t.Error(got)
	}
}

func TestARevisedOutcomeMovesTheLevel(t *testing.T) {
	var b Book
	at := noon.Add(2 * time.Hour)
	b.Follow(drawn(1, "acme=succeeded", "nord=exposed"), model(), 0, at)
	b.Follow(drawn(1, "acme=exposed", "nord=clear"), model(), 0, at)
	if got := levels(&b, at); got != "acme=elevated" {
		t.Error(got)
	}
	b.Follow(drawn(1, "acme=exposed", "nord=succeeded"), model(), 0, at)
	if got := levels(&b, at); got != "acme=elevated nord=heightened" {
		t.Error(got)
	}
	b.Follow(&campaign.Result{}, model(), 0, at)
	if got := levels(&b, at); got != "" {
		t.Errorf("without the campaign: %s", got)
	}
}

func TestWhatAPersonEndedStaysEndedUntilThereIsNews(t *testing.T) {
	var b Book
	at := noon.Add(2 * time.Hour)
	e := b.Follow(drawn(1, "acme=exposed"), model(), 0, at)[0]
	if _, ok := b.End(tenant.ScopeAll(), e.ID, "ann", at); !ok {
		t.Fatal("not ended")
	}
	b.Follow(drawn(1, "acme=exposed"), model(), 0, at)
	if got := levels(&b, at); got != "" {
		t.Errorf("the same evidence raises it again: %s", got)
	}
	earlier := drawn(1, "acme=exposed")
	earlier.Campaigns[0].ID = "c0"
	b.Follow(earlier, model(), 0, at)
	if got := levels(&b, at); got != "" {
		t.Errorf("the same evidence under another id raises it again: %s", got)
	}
	b.Follow(drawn(1, "acme=succeeded"), model(), 0, at)
	if got := levels(&b, at); got != "acme=heightened" {
		t.Errorf("a worse outcome: %q", got)
	}
}

func TestAnOldCampaignRaisesNothingNow(t *testing.T) {
	var b Book
	b.Follow(drawn(1, "acme=succeeded"), model(), 0, noon.AddDate(0, 3, 0))
	if got := levels(&b, noon.AddDate(0, 3, 0)); got != "" {
		t.Errorf("months later: %s", got)
	}
}

func TestARestartRaisesNothingTwice(t *testing.T) {
	var b Book
	r := drawn(1, "acme=succeeded")
	b.Follow(r, model(), 0, noon.Add(time.Hour))
	raise(t, &b, "nord", Elevated, noon, noon.Add(time.Hour))
	data, err := json.Marshal(b.Entries())
	if err != nil {
		t.Fatal(err)
	}
	var kept []Entry
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	n := NewBook(kept)
	raise(t, n, "nord", Elevated, noon, noon.Add(time.Hour))
	if c := n.Follow(r, model(), 0, noon.Add(time.Hour)); len(c) != 0 {
		t.Errorf("%+v", c)
	}
	if d := cmp.Diff(b.Entries(), n.Entries()); d != "" {
		t.Error(d)
	}
	// A crash before the entry was kept gives the same id.
	var lost Book
	if lost.Follow(r, model(), 0, noon.Add(5*time.Hour))[0].ID != b.Follow(drawn(2, "acme=succeeded"), model(), 0, noon)[0].ID {
		t.Error("another id after a replay")
	}
}
