package campaign

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// recorded reads a generated scenario's answer as `scan -o json` and `-o jsonl` printed it, with its declared model.
func recorded(t *testing.T, dir string) (*Result, *tenant.Model) {
	t.Helper()
	file, err := config.Load(filepath.Join(dir, "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "findings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		var f struct {
			ID, Detector, Rule, Title, Reason, Snapshot string
			Time, End                                   time.Time
			Tenant                                      tenant.ID
			Trust                                       tenant.TrustID
			Partner                                     tenant.PartnerID
			Layer                                       tenant.Layer
			Technique                                   ocsf.Technique
			Severity                                    ocsf.Severity
			Confidence, Count                           int
			Outcome                                     ocsf.Outcome
			Entities                                    []ocsf.Entity
			Suppressed                                  *ocsf.Suppression
			Evidence                                    []struct {
				File   string
				Record int64
				Event  ocsf.Summary
			}
		}
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		g := &ocsf.Finding{ID: f.ID, Time: f.Time, End: f.End, Tenant: f.Tenant, Trust: f.Trust, Partner: f.Partner, Layer: f.Layer, Detector: f.Detector,
			Rule: f.Rule, Title: f.Title, Technique: f.Technique, Severity: f.Severity, Confidence: f.Confidence, Outcome: f.Outcome, Entities: f.Entities,
			Reason: f.Reason, Count: f.Count, Suppressed: f.Suppressed, Snapshot: f.Snapshot}
		for _, e := range f.Evidence {
			s := e.Event
			ev := &ocsf.Event{Time: s.Time, Tenant: s.Tenant, Layer: s.Layer, Src: ocsf.Endpoint{Host: s.Src}, Dst: ocsf.Endpoint{Host: s.Dst}, Device: s.Device,
				User: ocsf.User{Name: s.User}, Actor: ocsf.User{Name: s.Actor}, URL: s.Detail, Source: s.Source, Raw: ocsf.RawRef{File: e.File, Record: e.Record}}
			ev.Trust, ev.Rule, ev.Owner.Name = s.Trust, s.TrustRule, s.Owner
			g.Evidence = append(g.Evidence, ocsf.Evidence{File: e.File, Record: e.Record, Event: ev})
		}
		r.List = append(r.List, g)
	}
	return &r, file.Model
}

var scenarios = []string{"testdata/within/island-hop", "testdata/within/delegated-admin"}

// everythingOf is all that a caller could be sent of a result: the result, and each finding.
func everythingOf(t *testing.T, r *Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.List {
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, '\n'), line...)
	}
	return string(b)
}

// gives are the words that give a tenant away, and the words of the partners and trusts that the reader declared.
func gives(m *tenant.Model, reader tenant.ID) (others map[string]tenant.ID, declared []string) {
	others = map[string]tenant.ID{}
	for _, x := range m.TrustsInto(reader) {
		declared = append(declared, string(x.ID), string(x.Partner), x.Owner)
		declared = append(declared, x.MailDomains...)
		if p := m.Partner(x.Partner); p != nil {
			declared = append(declared, p.Name)
		}
		for _, r := range x.RemoteTools {
			declared = append(declared, r.Hosts...)
		}
	}
	for _, x := range m.Tenants {
		if x.ID != reader {
			for _, w := range slices.Concat([]string{string(x.ID), x.Name}, x.Aliases, x.Domains) {
				others[strings.ToLower(w)] = x.ID
			}
		}
	}
	return others, declared
}

func TestIsolationAViewNamesNoOtherTenant(t *testing.T) {
	for _, dir := range scenarios {
		r, m := recorded(t, dir)
		before := everythingOf(t, r)
		shown := 0
		for _, who := range m.Tenants {
			v := r.Within(tenant.ScopeOf(who.ID), m)
			shown += len(v.Campaigns)
			text := strings.ToLower(everythingOf(t, v))
			others, declared := gives(m, who.ID)
			slices.SortFunc(declared, func(a, b string) int { return len(b) - len(a) })
			for _, w := range declared {
				text = strings.ReplaceAll(text, strings.ToLower(w), "§")
			}
			for w, id := range others {
				if i := strings.Index(text, w); i >= 0 {
					t.Errorf("%s: %s's view names %s by %q: …%s…", dir, who.ID, id, w, text[max(0, i-120):min(len(text), i+80)])
				}
			}
			foreignAddresses(t, dir, m, &who, text)
			for _, f := range v.List {
				if f.Tenant != who.ID {
					t.Errorf("%s: %s is shown a finding of %s", dir, who.ID, f.Tenant)
				}
			}
		}
		if shown < 3 {
			t.Errorf("%s: only %d views show a campaign, so this proves little", dir, shown)
		}
		if after := everythingOf(t, r); after != before {
			t.Errorf("%s: a view changes the result", dir)
		}
	}
}

// foreignAddresses holds that no address of another's own network is shown that is neither the reader's nor declared.
func foreignAddresses(t *testing.T, dir string, m *tenant.Model, who *tenant.Tenant, text string) {
	t.Helper()
	open := slices.Clone(who.Networks)
	for _, x := range m.TrustsInto(who.ID) {
		open = append(open, x.Networks...)
		for _, h := range x.JumpHosts {
			if a, err := netip.ParseAddr(h); err == nil {
				open = append(open, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	for _, s := range regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+`).FindAllString(text, -1) {
		a, err := netip.ParseAddr(s)
		holds := func(n netip.Prefix) bool { return n.Contains(a) }
		if err != nil || slices.ContainsFunc(open, holds) {
			continue
		}
		for _, other := range m.Tenants {
			if other.ID != who.ID && slices.ContainsFunc(other.Networks, holds) {
				t.Errorf("%s: %s is shown %s, an address of %s's own", dir, who.ID, a, other.ID)
			}
		}
	}
}

func TestIsolationOfAModel(t *testing.T) {
	for _, dir := range scenarios {
		_, m := recorded(t, dir)
		for _, who := range m.Tenants {
			v := ModelWithin(tenant.ScopeOf(who.ID), m)
			if len(v.Tenants) != 1 || v.Tenants[0].ID != who.ID {
				t.Errorf("%s: %s sees the tenants %v", dir, who.ID, v.Tenants)
			}
			if len(v.Trusts) != len(m.TrustsInto(who.ID)) {
				t.Errorf("%s: %s sees %d trusts, declared are %d", dir, who.ID, len(v.Trusts), len(m.TrustsInto(who.ID)))
			}
			for _, x := range v.Trusts {
				if x.Tenant != who.ID {
					t.Errorf("%s: %s sees the trust %s", dir, who.ID, x.ID)
				}
				if v.Partner(x.Partner) == nil {
					t.Errorf("%s: %s is not told who its partner %s is", dir, who.ID, x.Partner)
				}
			}
			for _, p := range v.Partners {
				if p.Tenant != "" && p.Tenant != who.ID {
					t.Errorf("%s: %s learns that %s is a tenant", dir, who.ID, p.ID)
				}
			}
		}
	}
}

func TestAViewKeepsWhatIsOnesOwn(t *testing.T) {
	r, m := recorded(t, scenarios[0])
	c := r.Campaigns[0]
	v := r.Within(tenant.ScopeOf("corvinland"), m)
	if len(v.Campaigns) != 1 {
		t.Fatalf("corvinland, where the intruder got in, is shown %d campaigns", len(v.Campaigns))
	}
	got := v.Campaigns[0]
	if got.ID != c.ID || got.Partner != "meransee" || len(got.Tenants) != 1 || got.Tenants[0].Outcome != Succeeded || got.Tenants[0].Trust != "meransee-corvinland" {
		t.Errorf("its campaign is %+v", got)
	}
	if got.FirstFoothold.Ask != "meransee" || got.FirstFoothold.Entity != nil || got.FirstFoothold.Tenant != "" {
		t.Errorf("the partner's mailbox is not corvinland's to see, and the partner is whom to ask: %+v", got.FirstFoothold)
	}
	if len(got.Hops) == 0 || got.Hops[0].From.Tenant != "" || got.Hops[0].To.Tenant != "corvinland" {
		t.Errorf("its hops are %+v", got.Hops)
	}
	if want := []Access{{"account", "msr-jensenc"}, {"mail", "meransee.com"}}; !slices.Equal(got.Accesses, want) {
		t.Errorf("the accesses that reach it are %v, want %v", got.Accesses, want)
	}
	if got.Start.Before(c.Start.Add(time.Hour)) {
		t.Errorf("its campaign begins at %s, before anything was seen there", got.Start)
	}
	home := r.Within(tenant.ScopeOf("meransee"), m).Campaigns
	if len(home) != 1 || home[0].FirstFoothold.Entity == nil || home[0].FirstFoothold.Entity.Value != c.FirstFoothold.Entity.Value {
		t.Errorf("the partner is not told of its own mailbox: %+v", home)
	}
	if n := len(r.Within(tenant.ScopeOf("weselweg"), m).Campaigns); n != 0 {
		t.Errorf("a tenant that is clear is shown %d campaigns", n)
	}
	if n := len(r.Within(tenant.ScopeOf("heroneck"), m).Campaigns); n != 1 {
		t.Errorf("a tenant that is exposed is shown %d campaigns", n)
	}
	both := r.Within(tenant.ScopeOf("corvinland", "varntor"), m)
	if len(both.Campaigns) != 1 || len(both.Campaigns[0].Tenants) != 2 || !slices.ContainsFunc(both.Campaigns[0].JoinedBy, func(j Join) bool { return j.Kind == "account" && len(j.Tenants) == 2 }) {
		t.Errorf("a scope of two sees what joins them: %+v", both.Campaigns)
	}
}

func TestAScopeOfEverythingChangesNothing(t *testing.T) {
	r, m := recorded(t, scenarios[0])
	if r.Within(tenant.ScopeAll(), m) != r || ModelWithin(tenant.ScopeAll(), m) != m {
		t.Error("a scope of everything gets something else")
	}
	for name, scope := range map[string]tenant.Scope{"the zero scope": {}, "a scope of nobody": tenant.ScopeOf(), "a scope of the tenant without a name": tenant.ScopeOf("")} {
		v := r.Within(scope, m)
		if len(v.Campaigns)+len(v.Incidents)+len(v.List)+len(v.Coverage)+len(v.Matrix) != 0 || v.Findings.Total != 0 {
			t.Errorf("%s sees something", name)
		}
	}
}

func TestIsolationReplacesWords(t *testing.T) {
	m := &tenant.Model{
		Tenants: []tenant.Tenant{
			{ID: "ash", Name: "Ash Foods", Aliases: []string{"AFD"}, Domains: []string{"ash.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8:1::/48")}},
			{ID: "castell-holding", Name: "Castell Holding", Domains: []string{"castell.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.4.0/24"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("2001:db8:2::/48")}},
			{ID: "msp", Name: "Harbour IT", Domains: []string{"harbour.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "harbour", Name: "Harbour IT", Tenant: "msp"}, {ID: "perldal", Name: "Perldal Software"}},
		Trusts: []tenant.Trust{
			{ID: "harbour-ash", Partner: "harbour", Tenant: "ash", MailDomains: []string{"harbour.example"}, JumpHosts: []string{"10.9.0.50"}},
			{ID: "t2", Partner: "perldal", Tenant: "castell-holding", MailDomains: []string{"perldal.example"}},
		},
	}
	v := newView(tenant.ScopeOf("ash"), m)
	const x = Elsewhere
	for in, want := range map[string]string{
		"":                                     "",
		"hash of msplayer":                     "hash of msplayer",
		"Castell Holding was hit":              x + " was hit",
		"CASTELL HOLDING":                      x,
		"SRVCASTELL-HOLDING01":                 x,
		"securemail.castell.example.evil.test": x + ".evil.test",
		"jo@castell.example":                   x,
		"see castell.example.":                 "see " + x + ".",
		"by perldal, t2":                       "by " + x + ", " + x,
		"jo@perldal.example":                   x,
		"harbour-ash by Harbour IT":            "harbour-ash by Harbour IT",
		"a@harbour.example":                    "a@harbour.example",
		"msp":                                  x,
		"10.1.4.9":                             "10.1.4.9", // the reader's own meaning of a shared space
		"10.2.4.9:3389":                        x + ":3389",
		"10.9.0.50 and 10.9.0.51":              "10.9.0.50 and " + x,
		"[2001:db8:2::7]:443":                  "[" + x + "]:443",
		"2001:db8:1::7":                        "2001:db8:1::7",
		"telemetry/castell-holding/a.log":      "telemetry/" + x + "/a.log",
		"8.8.8.8, 12:30:01, 1.2.3":             "8.8.8.8, 12:30:01, 1.2.3",
		"İ castell.example":                    "i " + x,
	} {
		if got := v.text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if d := cmp.Diff(HopEnd{Entity: ocsf.Entity{Type: ocsf.EntityHost, Value: "Harbour IT"}},
		v.end(HopEnd{Tenant: "msp", Entity: ocsf.Entity{Type: ocsf.EntityHost, Value: "JUMP7"}})); d != "" {
		t.Errorf("an end in the partner's house: %s", d)
	}
	if got := v.end(HopEnd{Tenant: "msp", Entity: ocsf.Entity{Type: ocsf.EntityIP, Value: "10.9.0.50"}}); got.Tenant != "" || got.Entity.Value != "10.9.0.50" {
		t.Errorf("a declared jump host: %+v", got)
	}
	if got := v.end(HopEnd{Tenant: "castell-holding", Entity: ocsf.Entity{Type: ocsf.EntityUser, Value: "jo", Role: "actor"}}); got.Entity.Value != x || got.Tenant != "" || got.Entity.Role != "" {
		t.Errorf("an end in another's house: %+v", got)
	}
}

func FuzzIsolationReplace(f *testing.F) {
	for _, s := range []string{"jo@castell.example", "SRVCASTELL-HOLDING01", "\xff\xfecastell-holding\xff", "İİcastell-holding.", "10.2.0.1", "::ffff:10.2.0.1"} {
		f.Add(s)
	}
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "ash"}, {ID: "castell-holding", Domains: []string{"castell.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}}}}
	v := newView(tenant.ScopeOf("ash"), m)
	f.Fuzz(func(t *testing.T, s string) {
		got := v.text(s)
		for _, w := range []string{"castell-holding", "castell.example"} {
			if strings.Contains(strings.ToLower(got), w) {
				t.Errorf("%q still names %s: %q", s, w, got)
			}
		}
		if v.text(got) != got {
			t.Errorf("%q: a second look finds more in %q", s, got)
		}
	})
}

func BenchmarkWithin(b *testing.B) {
	t := &testing.T{}
	r, m := recorded(t, scenarios[0])
	full := *r
	for len(full.List) < 100_000 {
		full.List = append(full.List, r.List...)
	}
	scope := tenant.ScopeOf("corvinland", "varntor", "meransee")
	b.ReportAllocs()
	for b.Loop() {
		full.Within(scope, m)
	}
}
