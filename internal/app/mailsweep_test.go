package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/detect/indicator"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// onlyAsking is delivered mail that asks for sweeps and makes none.
func onlyAsking(t *testing.T, dir string, set *config.MailSweep) *deliveredMail {
	t.Helper()
	s := config.DefaultMailGate()
	s.Sweep = set
	s.Mailboxes = []config.Mailbox{{Name: "a", Tenant: "acme", Kind: config.MailboxSweep, Users: []string{"ana"}}, {Name: "r", Tenant: "borg", Kind: config.MailboxReports, Users: []string{"r"}}}
	m := &mailGate{log: slog.New(slog.DiscardHandler), settings: s, dir: dir, moved: make(chan struct{})}
	setup := &Setup{Model: &tenant.Model{Version: "1", Tenants: []tenant.Tenant{{ID: "acme", Domains: []string{"acme.example"}}, {ID: "borg", Domains: []string{"borg.example"}}}}}
	f, err := m.openDelivered(setup)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

func (f *deliveredMail) asked() (out []*wish) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	return slices.Clone(f.queue.waiting)
}

func TestTheQueueOfSweepsOutlivesARestart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "wanted.jsonl")
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	q, err := openSweepQueue(name, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []tenant.ID{"acme", "acme", "borg"} {
		if fresh, err := q.ask(wish{Key: fmt.Sprint("k", i), Tenant: id, Criteria: sweep.Criteria{Indicators: []string{"evil.example"}}}); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
	}
	if fresh, _ := q.ask(wish{Key: "k0", Tenant: "acme"}); fresh {
		t.Error("the same is asked for twice")
	}
	w := q.next(now, 1)
	if w == nil || w.Key != "k0" {
		t.Fatalf("the next is %+v", w)
	}
	if err := q.end(w, "applied", "r1", 3, now); err != nil {
		t.Fatal(err)
	}
	if w = q.next(now, 1); w == nil || w.Key != "k2" {
		t.Errorf("with acme's number of the hour reached the next is %+v", w)
	}
	if w = q.next(now.Add(sweepHour), 1); w == nil || w.Key != "k1" {
		t.Errorf("an hour later the next is %+v", w)
	}
	q.close()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"wish":{"key":"half`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if q, err = openSweepQueue(name, now); err != nil || q.size() != 2 {
		t.Fatalf("after a start: %v", err)
	}
	defer q.close()
	if fresh, _ := q.ask(wish{Key: "k0", Tenant: "acme"}); fresh {
		t.Error("what was done is asked for again after a start")
	}
	if w = q.next(now, 1); w == nil || w.Key != "k2" {
		t.Errorf("the number of the hour is forgotten: %+v", w)
	}
	if fresh, err := q.ask(wish{Key: "half", Tenant: "borg"}); err != nil || !fresh {
		t.Errorf("after half a line: %v, %v", fresh, err)
	}
	if !q.later(w, now) || q.next(now.Add(time.Second), 9).Key == "k2" || !q.later(w, now) || q.later(w, now) {
		t.Error("a sweep with problems is not tried three times with pauses")
	}
	for i := range maxWishes + 1 {
		if _, err = q.ask(wish{Key: fmt.Sprint("m", i), Tenant: "many"}); err != nil && i < maxWishes {
			t.Fatal(i, err)
		}
	}
	if err == nil {
		t.Error("the queue has no end")
	}
}

func TestALongQueueIsShortened(t *testing.T) {
	name := filepath.Join(t.TempDir(), "wanted.jsonl")
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	fmt.Fprintln(&b, `{"wish":{"key":"waits","tenant":"acme"}}`)
	for i := range maxWishLines {
		fmt.Fprintf(&b, `{"done":{"key":"d%d","tenant":"acme","time":"2026-05-01T00:00:00Z"}}`+"\n", i)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		q, err := openSweepQueue(name, now)
		if err != nil {
			t.Fatal(err)
		}
		if q.size() != 1 || !q.known["waits"] || !q.known[fmt.Sprint("d", maxWishLines-1)] || q.known["d0"] {
			t.Errorf("%d wait, %d known", q.size(), len(q.known))
		}
		q.close()
	}
}

func TestOnlyNewIndicatorsAreSweptForOnce(t *testing.T) {
	dir := t.TempDir()
	set := &config.MailSweep{On: []config.MailTrigger{config.SweepOnIndicator}, Act: config.SweepApply, Since: 48 * time.Hour}
	f := onlyAsking(t, dir, set)
	now := time.Now()
	load := func(f *deliveredMail, list string) {
		t.Helper()
		in, bad := indicator.Load(strings.NewReader(list), "list.txt")
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		if err := f.takeIndicators(&Setup{Indicators: &in}, now); err != nil {
			t.Fatal(err)
		}
	}
	load(f, "old.example\n")
	if n := len(f.asked()); n != 0 {
		t.Fatalf("what was there at the beginning is swept for: %d", n)
	}
	load(f, "old.example\nnew.example\nhttps://evil.example/x\nmail.acme.example\n192.0.2.1\nco.uk\n")
	list := f.asked()
	if len(list) != 1 || list[0].Tenant != "acme" || !list[0].Apply || !slices.Equal(list[0].Criteria.Indicators, []string{"https://evil.example/x", "new.example"}) {
		t.Fatalf("asked: %+v", list)
	}
	if since := list[0].Criteria.Since; now.Sub(since) != set.Since {
		t.Errorf("since %s", since)
	}
	load(f, "new.example\nhttps://evil.example/x\n")
	f.close()
	f = onlyAsking(t, dir, set)
	load(f, "old.example\nnew.example\n")
	if n := len(f.asked()); n != 1 {
		t.Errorf("after a start and known indicators %d wait", n)
	}
	load(f, "old.example\nthird.example\n")
	if n := len(f.asked()); n != 2 {
		t.Errorf("a third one: %d wait", n)
	}
	load(f, "type,value\nemail-subject,Your parcel waits\ndomain,last.example\n")
	if list := f.asked(); len(list) != 4 || !slices.Equal(list[2].Criteria.Indicators, []string{"last.example"}) || !slices.Equal(list[3].Criteria.Subjects, []string{"your parcel waits"}) || len(list[3].Criteria.Indicators) != 0 {
		t.Errorf("a subject beside a domain: %+v", list)
	}
	f.declared.Load().settings.Sweep = nil
	load(f, "fourth.example\n")
	if n := len(f.asked()); n != 4 {
		t.Errorf("with the trigger off: %d wait", n)
	}
}

// TestTheMailOfACampaignIsEachTenantsOwn: what a tenant's findings name, and what joins it, is looked for there alone.
func TestTheMailOfACampaignIsEachTenantsOwn(t *testing.T) {
	f := onlyAsking(t, t.TempDir(), &config.MailSweep{On: []config.MailTrigger{config.SweepOnCampaign}, Act: config.SweepList, Since: 48 * time.Hour})
	now := time.Now()
	finding := func(id string, who tenant.ID, apex string, s ocsf.Severity) *ocsf.Finding {
		return &ocsf.Finding{ID: id, Tenant: who, Layer: tenant.LayerMail, Severity: s, Entities: []ocsf.Entity{
			{Type: ocsf.EntityDomain, Value: apex, Role: ocsf.RoleInfrastructure}, {Type: ocsf.EntityMailbox, Value: "help@" + apex, Role: ocsf.RoleSource},
			{Type: ocsf.EntityMailbox, Value: "boss@borg.example", Role: ocsf.RoleActor}, {Type: ocsf.EntityMailbox, Value: "ana@acme.example", Role: ocsf.RoleTarget},
			{Type: ocsf.EntityDomain, Value: "shared.example"}, {Type: ocsf.EntityDomain, Value: "github.io", Role: ocsf.RoleInfrastructure}},
			Evidence: []ocsf.Evidence{{Event: &ocsf.Event{Mail: &ocsf.Mail{MessageID: id + "@x.example"}}}}}
	}
	r := &campaign.Result{
		Campaigns: []campaign.Campaign{{ID: "c1", End: now, Incidents: []string{"i1", "i2"}, JoinedBy: []campaign.Join{
			{Kind: "domain", Value: "joined.example", Tenants: []tenant.ID{"acme", "borg"}}, {Kind: "domain", Value: "others.example", Tenants: []tenant.ID{"borg", "cyan"}},
			{Kind: "account", Value: "svc", Tenants: []tenant.ID{"acme"}}}},
			{ID: "old", End: now.Add(-72 * time.Hour), Incidents: []string{"i1"}, JoinedBy: []campaign.Join{{Kind: "domain", Value: "past.example", Tenants: []tenant.ID{"acme"}}}}},
		Incidents: []campaign.Incident{{ID: "i1", Tenant: "acme", Findings: []string{"f1", "f3"}}, {ID: "i2", Tenant: "borg", Findings: []string{"f2"}}},
		List:      []*ocsf.Finding{finding("f1", "acme", "evil.example", ocsf.SeverityHigh), finding("f2", "borg", "secret.example", ocsf.SeverityHigh), finding("f3", "acme", "weak.example", ocsf.SeverityLow)},
	}
	for range 2 {
		f.campaigned(r)
	}
	list := f.asked()
	if len(list) != 1 || list[0].Tenant != "acme" || list[0].Apply {
		t.Fatalf("asked: %+v", list)
	}
	if got := list[0].Criteria.Indicators; !slices.Equal(got, []string{"<f1@x.example>", "evil.example", "help@evil.example", "joined.example"}) {
		t.Errorf("looked for: %q", got)
	}
	r.Campaigns[0].JoinedBy[0].Value = "later.example"
	f.campaigned(r)
	if list = f.asked(); len(list) != 2 || !slices.Equal(list[1].Criteria.Indicators, []string{"later.example"}) {
		t.Errorf("what is known later: %+v", list)
	}
}

func TestWhatWasNotJudgedIsAskedForAgain(t *testing.T) {
	dir := t.TempDir()
	f := onlyAsking(t, dir, &config.MailSweep{On: []config.MailTrigger{config.SweepOnVerdict}, Act: config.SweepApply, Since: 48 * time.Hour})
	now := time.Now().UTC()
	name := filepath.Join(dir, "unscanned.jsonl")
	put := func(u mailgate.Unscanned) {
		t.Helper()
		line, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		old, _ := os.ReadFile(name)
		if err := os.WriteFile(name, append(append(old, line...), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.unscanned(); err != nil {
			t.Fatal(err)
		}
	}
	put(mailgate.Unscanned{Time: now.Add(-72 * time.Hour), Tenant: "acme", MessageID: "<old@x.example>"})
	put(mailgate.Unscanned{Time: now, Tenant: "borg", MessageID: "<b@x.example>"})
	if n := len(f.asked()); n != 0 {
		t.Fatalf("old mail, or mail nobody reaches: %d", n)
	}
	put(mailgate.Unscanned{Time: now, Tenant: "acme", MessageID: "<a@x.example>"})
	list := f.asked()
	if len(list) != 1 || list[0].Tenant != "acme" || !list[0].Apply || list[0].Criteria.Verdict != "phish" || !slices.Equal(list[0].Criteria.MessageIDs, []string{"a@x.example"}) {
		t.Fatalf("asked: %+v", list)
	}
	put(mailgate.Unscanned{Time: now, Tenant: "acme", From: "e@x.example"})
	if list = f.asked(); len(list) != 2 || !slices.Equal(list[1].Criteria.From, []string{"e@x.example"}) {
		t.Errorf("without a Message-ID: %+v", list)
	}
	// The list is begun anew; what was not read of the one before is.
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := json.Marshal(mailgate.Unscanned{Time: now, Tenant: "acme", MessageID: "last@x.example"})
	if err := os.WriteFile(name+".1", append(append(old, rest...), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	put(mailgate.Unscanned{Time: now, Tenant: "acme", MessageID: "fresh@x.example"})
	if list = f.asked(); len(list) != 3 || !slices.Equal(list[2].Criteria.MessageIDs, []string{"fresh@x.example", "last@x.example"}) {
		t.Errorf("after the list was begun anew: %+v", list[len(list)-1])
	}
}

func TestAMessageThatLiesSomewhereIsTakenApart(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		raw     string
		headers int
		body    string
	}{
		"as in SMTP":         {"From: a@b.example\r\nSubject: x\r\n y\r\n\r\ntext\r\n", 2, "\r\ntext\r\n"},
		"with bare LF":       {"From: a@b.example\nSubject: x\n y\n\ntext\n", 2, "\r\ntext\r\n"},
		"from an mbox":       {"From a@b.example Mon Jun  1\nFrom: a@b.example\n\ntext\n", 1, "\r\ntext\r\n"},
		"with a broken line": {"From: a@b.example\nno field\nSubject: x\n\ntext\n", 1, "no field\r\nSubject: x\r\n\r\ntext\r\n"},
		"without a header":   {"\ntext\n", 0, "\r\ntext\r\n"},
		"cut off":            {"From: a@b.exam", 0, "From: a@b.exam"},
		"nothing":            {"", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := mailMessage([]byte(test.raw), at)
			n := 0
			for _, f := range m.Headers {
				n += len(f.Name) + 1 + len(f.Value) + 2
			}
			if len(m.Headers) != test.headers || string(m.Raw[n:]) != test.body || !m.Received.Equal(at) {
				t.Errorf("%d fields, body %q", len(m.Headers), m.Raw[n:])
			}
		})
	}
}

func FuzzMailMessage(f *testing.F) {
	for _, s := range []string{"From: a@b.example\r\nSubject: x\r\n y\r\n\r\ntext\r\n", "From x\n: \n", "a:b\r\n\r", "\n\n", "a:\n\tb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := mailMessage(raw, time.Unix(0, 0))
		n := 0
		for _, x := range m.Headers {
			n += len(x.Name) + 1 + len(x.Value) + 2
		}
		if n > len(m.Raw) {
			t.Fatalf("the header has %d bytes of %d", n, len(m.Raw))
		}
	})
}
