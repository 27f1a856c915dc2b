package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

var tenants = []tenant.ID{"acme", "nord", "south"}

var model = &tenant.Model{
	Tenants:  []tenant.Tenant{{ID: "acme", Name: "Acme Ltd"}, {ID: "nord", Name: "Nord AG"}, {ID: "south", Name: "South SA"}},
	Partners: []tenant.Partner{{ID: "msp", Name: "Northwind IT"}},
	Trusts:   []tenant.Trust{{ID: "ma", Partner: "msp", Tenant: "acme"}, {ID: "mn", Partner: "msp", Tenant: "nord"}, {ID: "ms", Partner: "msp", Tenant: "south"}},
}

// drawn makes a campaign with outcomes such as acme=succeeded; each tenant has one finding, f-acme.
func drawn(id string, last time.Time, outcomes ...string) *campaign.Result {
	c := campaign.Campaign{ID: id, Partner: "msp", Start: noon, End: last, Drawn: last, Summary: "somebody came through msp"}
	for _, o := range outcomes {
		name, out, _ := strings.Cut(o, "=")
		t := campaign.TenantOutcome{Tenant: tenant.ID(name), Outcome: campaign.Outcome(out), Reason: "a session"}
		if out != "clear" && out != "exposed" && out != "blind" {
			t.Findings = []string{"f-" + name}
		}
		c.Tenants = append(c.Tenants, t)
	}
	return &campaign.Result{Campaigns: []campaign.Campaign{c}}
}

func view(r *campaign.Result) View {
	return View{Result: r, Tenants: tenants,
		Within:    func(r *campaign.Result, s tenant.Scope) *campaign.Result { return r.Within(s, model) },
		Threshold: func(tenant.ID) ocsf.Severity { return ocsf.SeverityHigh }}
}

func all(name string) Channel { return Channel{Name: name, All: true} }

func one(name string, ids ...tenant.ID) Channel {
	return Channel{Name: name, Scope: tenant.ScopeOf(ids...)}
}

func body(t *testing.T, m Message) Body {
	t.Helper()
	var b Body
	if err := json.Unmarshal(m.Body, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// told says in short what messages tell.
func says(t *testing.T, list []Message) string {
	t.Helper()
	var out []string
	for _, m := range list {
		b := body(t, m)
		s := fmt.Sprintf("%s %s %s", m.Channel, b.Kind, b.Step)
		for _, o := range b.Outcomes {
			s += fmt.Sprintf(" %s=%s", o.Tenant, o.Outcome)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestACampaignIsToldOnceAndAgainWhenItGetsWorse(t *testing.T) {
	p := NewPlanner([]Channel{all("soc")}, Rules{})
	for _, c := range []struct {
		name    string
		minutes int
		result  *campaign.Result
		want    string
	}{
		{"nothing", 0, &campaign.Result{}, ""},
		{"new", 1, drawn("c", noon, "acme=attempted", "nord=clear"), "soc campaign new acme=attempted"},
		{"the same", 2, drawn("c", noon, "acme=attempted", "nord=clear"), ""},
		{"more of the same", 3, drawn("c", noon.Add(time.Minute), "acme=attempted"), ""},
		{"a worse outcome", 5, drawn("c", noon, "acme=succeeded", "nord=clear"), "soc campaign worse acme=succeeded"},
		{"another tenant, too soon after", 5, drawn("c", noon, "acme=succeeded", "nord=exposed"), ""},
		{"and one more, in one message", 6, drawn("c", noon, "acme=succeeded", "nord=exposed", "south=blind"), "soc campaign worse acme=succeeded nord=exposed south=blind"},
		{"under another id, by an earlier finding", 10, drawn("c0", noon, "acme=succeeded", "nord=exposed", "south=blind"), ""},
		{"revised", 20, drawn("c0", noon, "acme=attempted", "nord=exposed", "south=blind"), ""},
		{"and back", 30, drawn("c0", noon, "acme=succeeded", "nord=exposed", "south=blind"), ""},
		{"still so a day later", 25 * 60, drawn("c0", noon.Add(24*time.Hour), "acme=succeeded", "nord=exposed", "south=blind"), "soc campaign again acme=succeeded nord=exposed south=blind"},
		{"and no more", 26 * 60, drawn("c0", noon.Add(24*time.Hour), "acme=succeeded", "nord=exposed", "south=blind"), ""},
		{"another campaign", 27 * 60, drawn("d", noon.Add(26*time.Hour), "south=attempted"), "soc campaign new south=attempted"},
	} {
		if got := says(t, p.Plan(view(c.result), noon.Add(time.Duration(c.minutes)*time.Minute))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestIsolationAChannelGetsNothingOfOthers(t *testing.T) {
	r := drawn("c", noon, "acme=succeeded", "nord=attempted", "south=clear")
	r.Campaigns[0].Summary = "acme (Acme Ltd) and nord (Nord AG) were entered"
	r.Campaigns[0].Tenants[0].Reason = "the account nw-1 came from nord"
	r.Incidents = []campaign.Incident{{ID: "i", Tenant: "nord", Severity: ocsf.SeverityCritical, Title: "at nord", Start: noon, End: noon, Findings: []string{"f-i"}}}
	r.List = []*ocsf.Finding{
		{ID: "f-acme", Tenant: "acme", Severity: ocsf.SeverityHigh, Time: noon, End: noon, Reason: "from nord.example to acme"},
		{ID: "f-lone", Tenant: "nord", Severity: ocsf.SeverityCritical, Time: noon, End: noon, Rule: "r", Reason: "lone"},
	}
	v := view(r)
	v.Findings = []*ocsf.Finding{{ID: "cov", Tenant: "nord", Severity: ocsf.SeverityHigh, Time: noon, End: noon, Rule: "coverage/partner-silence"}}
	v.Levels = []alertlevel.Entry{{ID: "l", Tenant: "nord", Level: alertlevel.Heightened, By: "ann", Reason: "r", From: noon, Until: noon.Add(time.Hour)}}
	p := NewPlanner([]Channel{one("a", "acme"), one("n", "nord"), one("s", "south"), one("both", "acme", "nord"), one("none"), all("soc")}, Rules{})
	got := p.Plan(v, noon.Add(time.Minute))
	count := map[string]int{}
	for _, m := range got {
		count[m.Channel]++
		b := body(t, m)
		switch m.Channel {
		case "a":
			if m.Tenant != "acme" || !slices.Equal(b.Tenants, []tenant.ID{"acme"}) {
				t.Errorf("%s: %s", m.Channel, m.Body)
			}
		case "soc":
			if m.Tenant != "" {
				t.Errorf("soc: of %s", m.Tenant)
			}
			continue
		case "both", "n":
			if m.Tenant == "" || len(b.Tenants) != 1 || b.Tenants[0] != m.Tenant {
				t.Errorf("%s: a message of %v: %s", m.Channel, b.Tenants, m.Body)
			}
		}
		for _, x := range model.Tenants {
			if x.ID != m.Tenant && (bytes.Contains(bytes.ToLower(m.Body), []byte(x.ID)) || bytes.Contains(m.Body, []byte(x.Name)) || strings.Contains(m.Subject, string(x.ID))) {
				t.Errorf("the message on %s of %s names %s:\n%s", m.Channel, m.Tenant, x.ID, m.Body)
			}
		}
	}
	if count["a"] != 1 || count["n"] < 4 || count["both"] != count["a"]+count["n"] || count["s"] != 0 || count["none"] != 0 || count["soc"] < 5 {
		t.Errorf("messages %v", count)
	}
}

func TestIncidentsAndFindingsAreToldFromTheTenantsThreshold(t *testing.T) {
	f := func(id string, s ocsf.Severity) *ocsf.Finding {
		return &ocsf.Finding{ID: id, Tenant: "acme", Detector: "d", Rule: "rule-" + s.String(), Severity: s, Time: noon, End: noon, Title: "t", Reason: "r"}
	}
	r := &campaign.Result{
		Incidents: []campaign.Incident{
			{ID: "hi", Tenant: "acme", Severity: ocsf.SeverityHigh, End: noon, Findings: []string{"1"}, Outcome: ocsf.OutcomeAttempted},
			{ID: "mi", Tenant: "acme", Severity: ocsf.SeverityMedium, End: noon, Findings: []string{"2"}},
		},
		List: []*ocsf.Finding{f("1", ocsf.SeverityCritical), f("3", ocsf.SeverityLow), f("4", ocsf.SeverityHigh), f("5", ocsf.SeverityHigh)},
	}
	r.List[3].Suppressed = &ocsf.Suppression{By: "approval"}
	for _, c := range []struct {
		level alertlevel.Level
		min   ocsf.Severity
		want  int
	}{{alertlevel.Normal, 0, 2}, {alertlevel.Elevated, 0, 3}, {alertlevel.Heightened, 0, 4}, {alertlevel.Heightened, ocsf.SeverityHigh, 2}, {alertlevel.Normal, ocsf.SeverityCritical, 0}} {
		v := view(r)
		v.Threshold = func(tenant.ID) ocsf.Severity { return alertlevel.Threshold(c.level) }
		p := NewPlanner([]Channel{{Name: "soc", All: true, Min: c.min}}, Rules{})
		if got := p.Plan(v, noon); len(got) != c.want {
			t.Errorf("%s, at least %s: %d messages: %s", c.level, c.min, len(got), says(t, got))
		}
	}
}

func TestAnIncidentOfACampaignIsNotToldBesideIt(t *testing.T) {
	r := drawn("c", noon, "acme=succeeded")
	r.Incidents = []campaign.Incident{{ID: "i", Tenant: "acme", Severity: ocsf.SeverityCritical, End: noon, Findings: []string{"f-acme"}, Campaign: "c"}}
	p := NewPlanner([]Channel{all("soc"), one("a", "acme")}, Rules{})
	if got := says(t, p.Plan(view(r), noon)); got != "soc campaign new acme=succeeded; a campaign new acme=succeeded" {
		t.Error(got)
	}
}

func TestOneRuleThatSpeaksAgainIsNotRepeatedWithinADay(t *testing.T) {
	p := NewPlanner([]Channel{all("soc")}, Rules{})
	r := &campaign.Result{}
	n := 0
	for h := range 50 {
		at := noon.Add(time.Duration(h) * time.Hour)
		r.List = append(r.List, &ocsf.Finding{ID: fmt.Sprint(h), Tenant: "acme", Rule: "r", Severity: ocsf.SeverityHigh, Time: at, End: at})
		n += len(p.Plan(view(r), at))
	}
	if n != 3 {
		t.Errorf("%d messages in 50 hours, want 3", n)
	}
}

func TestBackfillAndReplayAreQuiet(t *testing.T) {
	p := NewPlanner([]Channel{all("soc")}, Rules{})
	r := drawn("c", noon, "acme=succeeded")
	v := view(r)
	v.Replaying = true
	if got := p.Plan(v, noon); len(got) != 0 {
		t.Errorf("while replaying: %s", says(t, got))
	}
	later := noon.AddDate(0, 2, 0)
	if got := p.Plan(view(r), later); len(got) != 0 {
		t.Errorf("history that was read in: %s", says(t, got))
	}
	// It wakes up: new evidence in an old campaign is news.
	if got := says(t, p.Plan(view(drawn("c", later, "acme=succeeded", "nord=attempted")), later.Add(time.Hour))); got != "soc campaign worse acme=succeeded nord=attempted" {
		t.Error(got)
	}
}

func TestARestartTellsNothingTwice(t *testing.T) {
	channels := []Channel{all("soc"), one("n", "nord")}
	steps := []*campaign.Result{
		drawn("c", noon, "acme=attempted"), drawn("c", noon, "acme=succeeded", "nord=exposed"), drawn("c0", noon, "acme=succeeded", "nord=succeeded", "south=blind"),
	}
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Hour) }
	p := NewPlanner(channels, Rules{})
	var want []string
	var outbox []Message
	for i, r := range steps {
		for _, m := range p.Plan(view(r), at(i)) {
			want = append(want, m.ID)
			outbox = append(outbox, m)
		}
	}
	if len(want) != 5 {
		t.Fatalf("%d messages: %s", len(want), says(t, outbox))
	}
	// Killed after each of the messages was queued, and started again at any later step.
	for cut := range len(outbox) + 1 {
		for from := range steps {
			p := NewPlanner(channels, Rules{})
			kept := slices.Clone(outbox[:cut])
			slices.Reverse(kept)
			p.Recall(kept)
			seen := map[string]string{}
			for _, m := range outbox[:cut] {
				seen[m.ID] = "before"
			}
			for i := from; i < len(steps); i++ {
				for _, m := range p.Plan(view(steps[i]), at(i).Add(time.Minute)) {
					if was := seen[m.ID]; was == "after" {
						t.Errorf("cut %d, from %d: planned twice: %s", cut, from, m.Body)
					}
					seen[m.ID] = "after"
				}
			}
			if got := p.Plan(view(steps[2]), at(9)); len(got) != 0 {
				t.Errorf("cut %d, from %d: not done: %s", cut, from, says(t, got))
			}
			if cut == len(outbox) && len(seen) != len(want) {
				t.Errorf("all was queued, and yet from step %d there are %d ids, want %d", from, len(seen), len(want))
			}
		}
	}
	// The same steps once more give the same ids: the outbox keeps each once.
	p = NewPlanner(channels, Rules{})
	var again []string
	for i, r := range steps {
		for _, m := range p.Plan(view(r), at(i).Add(5*time.Minute)) {
			again = append(again, m.ID)
		}
	}
	if !slices.Equal(want, again) {
		t.Errorf("ids differ:\n%v\n%v", want, again)
	}
}

func TestAStormEndsInOneSummaryAndLeavesRoomForCampaigns(t *testing.T) {
	p := NewPlanner([]Channel{all("soc")}, Rules{PerHour: 8})
	r := &campaign.Result{}
	for i := range 500 {
		r.List = append(r.List, &ocsf.Finding{ID: fmt.Sprint(i), Tenant: "acme", Rule: fmt.Sprint("r", i), Severity: ocsf.SeverityHigh, Time: noon, End: noon, Title: "t"})
	}
	count := map[Kind]int{}
	held := 0
	add := func(list []Message) {
		for _, m := range list {
			b := body(t, m)
			count[b.Kind]++
			held += b.Held
		}
	}
	add(p.Plan(view(r), noon))
	if count[KindFinding] != 6 || count[KindSummary] != 1 || held != 494 {
		t.Errorf("%v, %d held", count, held)
	}
	for i := range 30 {
		r.List = append(r.List, &ocsf.Finding{ID: fmt.Sprint("x", i), Tenant: "acme", Rule: fmt.Sprint("x", i), Severity: ocsf.SeverityHigh, Time: noon, End: noon, Title: "t"})
		add(p.Plan(view(r), noon.Add(time.Duration(i)*time.Minute)))
	}
	if count[KindFinding] != 6 || count[KindSummary] != 1 {
		t.Errorf("within the hour: %v", count)
	}
	c := drawn("c", noon, "acme=succeeded")
	c.List = r.List
	add(p.Plan(view(c), noon.Add(40*time.Minute)))
	if count[KindCampaign] != 1 {
		t.Errorf("the campaign drowned: %v", count)
	}
	add(p.Plan(view(c), noon.Add(61*time.Minute)))
	if count[KindSummary] != 2 || held != 524 {
		t.Errorf("an hour later: %v, %d held", count, held)
	}
}

func TestBodiesKeepTheirSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "schema", "notification.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	c.AssertFormat()
	schema, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	r := drawn("c", noon, "acme=succeeded", "nord=blind")
	for i := range 60 {
		r.List = append(r.List, &ocsf.Finding{ID: fmt.Sprint(i), Tenant: "south", Rule: fmt.Sprint("r", i%20), Severity: ocsf.SeverityHigh, Time: noon, End: noon,
			Title: "a\x1b[31m\u202eb\r\nBcc: x", Reason: strings.Repeat("long ", 1000)})
	}
	r.Incidents = []campaign.Incident{{ID: "i", Tenant: "acme", Severity: ocsf.SeverityHigh, Outcome: ocsf.OutcomeAttempted, End: noon}}
	v := view(r)
	v.Levels = []alertlevel.Entry{{ID: "l", Tenant: "nord", Level: alertlevel.Elevated, By: "ann", Reason: "r", From: noon, Until: noon.Add(time.Hour)}}
	kinds := map[Kind]bool{}
	for _, m := range NewPlanner([]Channel{all("soc"), one("s", "south")}, Rules{PerHour: 10}).Plan(v, noon) {
		kinds[body(t, m).Kind] = true
		x, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(x); err != nil {
			t.Errorf("%v\n%s", err, m.Body)
		}
		if strings.ContainsAny(m.Subject, "\r\n\x1b\u202e") || bytes.Contains(m.Body, []byte("\\u001b")) || len(m.Body) > MaxBody {
			t.Errorf("%q, %d bytes", m.Subject, len(m.Body))
		}
	}
	if len(kinds) != 5 {
		t.Errorf("kinds seen: %v", kinds)
	}
}

func FuzzRecall(f *testing.F) {
	for _, m := range NewPlanner([]Channel{all("soc")}, Rules{}).Plan(view(drawn("c", noon, "acme=succeeded")), noon) {
		f.Add(m.Body)
	}
	f.Add([]byte(`{"channel":"soc","kind":"summary"}`))
	f.Add([]byte(`{"channel":"soc","outcomes":[{"tenant":"a","outcome":"x"}],"findings":[""]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := NewPlanner([]Channel{all("soc")}, Rules{})
		m := Message{ID: "x", Channel: "soc", Body: data, Created: noon, Subject: string(data)}
		p.Recall([]Message{m, m})
		for _, m := range p.Plan(view(drawn("c", noon, "acme=succeeded")), noon.Add(time.Hour)) {
			if !json.Valid(m.Body) {
				t.Fatalf("%q", m.Body)
			}
		}
		mail := &Mail{Host: "h", TLS: TLS, From: "a@b.example", To: []string{"c@d.example"}}
		if text, err := mail.compose(&m); err == nil {
			head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
			if n := bytes.Count(head, []byte("\r\n")); n != 8+bytes.Count(head, []byte("\r\n ")) {
				t.Fatalf("headers of our own making: %q", head)
			}
		}
	})
}

func BenchmarkPlanOf20000FindingsForAllAndForEachOf3(b *testing.B) {
	r := drawn("c", noon, "acme=succeeded", "nord=attempted")
	for i := range 20_000 {
		r.List = append(r.List, &ocsf.Finding{ID: fmt.Sprint(i), Tenant: tenants[i%3], Rule: fmt.Sprint("r", i%50), Severity: ocsf.Severity(2 + i%4), Time: noon, End: noon, Reason: "r"})
	}
	p := NewPlanner([]Channel{all("soc"), one("a", "acme")}, Rules{})
	v := view(r)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Plan(v, noon.Add(time.Duration(i)*time.Second))
	}
}
