package mailgate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// marks is a detector that scores by a word in the subject, so that tests say what a message is.
type marks struct {
	mu      sync.Mutex
	learned []string
	block   chan struct{} // Judge waits for it where it is set
	panics  bool
}

func (d *marks) Judge(e *ocsf.Event) ocsf.MailVerdict {
	if d.block != nil {
		<-d.block
	}
	if d.panics {
		panic("a bug")
	}
	v := ocsf.MailVerdict{Verdict: clean, Score: .01, Threshold: .9}
	switch s := strings.ToLower(e.Mail.Subject); {
	case strings.Contains(s, "phish"):
		v = ocsf.MailVerdict{Verdict: phish, Score: .97, Threshold: .9, Reasons: []ocsf.MailReason{{Name: "link-mismatch", Weight: 2.5, Text: "a link shows one place and leads to another"}}}
	case strings.Contains(s, "odd") || len(e.Mail.ParseProblems) > 0:
		v = ocsf.MailVerdict{Verdict: suspicious, Score: .6, Threshold: .9, Reasons: []ocsf.MailReason{{Name: "odd-subject", Weight: 1, Text: "odd"}}}
	}
	return v
}

func (d *marks) Learn(e *ocsf.Event, v ocsf.MailVerdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.learned = append(d.learned, fmt.Sprintf("%s %s %s", e.Tenant, v.Verdict, v.Action))
}
func (d *marks) seen() []string                 { d.mu.Lock(); defer d.mu.Unlock(); return slices.Clone(d.learned) }
func (d *marks) Advance(time.Time, detect.Emit) {}
func (d *marks) Snapshot() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []byte(strings.Join(d.learned, "\n")), nil
}
func (d *marks) Restore(b []byte) error {
	if string(b) == "bad" {
		return errors.New("not a state")
	}
	d.learned = strings.Split(string(b), "\n")
	return nil
}

const declared = `tenants:
  - {id: acme, role: client, domains: [acme.example], networks: [10.20.0.0/16]}
  - {id: borg, role: client, domains: [borg.example], networks: [10.30.0.0/16]}
  - {id: northwind, role: provider, domains: [northwind.example], networks: [10.5.0.0/16]}
partners: [{id: northwind, name: Northwind IT, tenant: northwind}]
trusts: [{id: n-a, partner: northwind, tenant: acme, owner: it@acme.example, networks: [203.0.113.0/28], mail_domains: [northwind.example]}]
`

// bench is a gate under test with everything that it does.
type bench struct {
	*Gate
	detector *marks
	mu       sync.Mutex
	records  []string
	passed   []Unscanned
	store    *quarantine.Store
}

func settings(t testing.TB, section string) *config.File {
	t.Helper()
	f, err := config.Parse("breakwater.yaml", []byte(declared+section))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// gate makes a gate for the mail section of a configuration.
func gate(t testing.TB, section string, change ...func(*Options)) *bench {
	t.Helper()
	f := settings(t, section)
	b := &bench{detector: &marks{}}
	scorer, err := NewScorer(f.Model, "", func(*tenant.Model) (Detector, error) { return b.detector, nil }, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if b.store, err = quarantine.Open(t.TempDir(), 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.store.Close() })
	o := Options{Settings: f.Mail, Model: f.Model, Scorer: scorer, Store: b.store,
		Publish: func(id tenant.ID, _ time.Time, record []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.records = append(b.records, string(id)+" "+string(record))
		},
		Passed: func(u Unscanned) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.passed = append(b.passed, u)
		}}
	for _, c := range change {
		c(&o)
	}
	b.Gate = New(o)
	return b
}

// movers are who carries out what is decided about held mail, as in service.
func (b *bench) movers() quarantine.Mover {
	s := b.site.Load().settings
	return quarantine.Movers{MTA: &quarantine.Commands{ReleaseBy: s.Hold.Release, DeleteBy: s.Hold.Delete}, Store: NewMover(s)}
}

const enforce = "mail:\n  id: mx.acme.example\n  mode: enforce\n"

// message makes a message from outside.
func message(subject string, to ...string) *milter.Message {
	m := &milter.Message{Client: netip.MustParseAddr("192.0.2.7"), ClientName: "mail.sender.example", Helo: "mail.sender.example", From: "eve@sender.example",
		Recipients: to, QueueID: "4XYZ", Received: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}
	header(m, "From", "Eve <eve@sender.example>", "To", strings.Join(to, ", "), "Subject", subject, "Message-ID", "<1@sender.example>", "Date", "Mon, 4 May 2026 09:59:00 +0000")
	m.Raw = append(m.Raw, "\r\nhello there, this is a text\r\n"...)
	return m
}

func header(m *milter.Message, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		f := milter.Field{Name: pairs[i], Value: " " + pairs[i+1]}
		m.Headers = append(m.Headers, f)
		m.Raw = append(m.Raw, f.Name+":"+f.Value+"\r\n"...)
	}
}

// with puts fields on top of a message.
func with(m *milter.Message, pairs ...string) *milter.Message {
	old, raw := m.Headers, m.Raw
	m.Headers, m.Raw = nil, nil
	header(m, pairs...)
	m.Headers, m.Raw = append(m.Headers, old...), append(m.Raw, raw...)
	return m
}

func field(d milter.Decision, name string) string {
	for _, f := range d.Insert {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (b *bench) held(t *testing.T, id tenant.ID) []quarantine.Item {
	t.Helper()
	box, err := b.store.Box(id)
	if err != nil {
		t.Fatal(err)
	}
	return box.List(quarantine.Filter{})
}

func TestPolicyDecidesAboutEachVerdict(t *testing.T) {
	const ann = "ann@acme.example"
	for name, c := range map[string]struct {
		section, subject string
		want             milter.Action
		verdict          string // of the header
		action           string // of the record
	}{
		"clean mail passes":                         {enforce, "hello", milter.Pass, "clean", `"Action":"pass"`},
		"phish is held by default":                  {enforce, "phish", milter.Hold, "phish", `"Action":"hold"`},
		"the suspicious is tagged by default":       {enforce, "odd", milter.Pass, "suspicious", `"Action":"tag"`},
		"phish is rejected where the policy says":   {enforce + "  policies: [{tenant: acme, phish: reject}]\n", "phish", milter.Reject, "", `"Action":"reject"`},
		"the suspicious is sent back for now":       {enforce + "  policies: [{tenant: acme, suspicious: tempfail}]\n", "odd", milter.TempFail, "", `"Action":"tempfail"`},
		"observing does nothing and tells":          {"mail: {mode: observe}\n", "phish", milter.Pass, "phish", `"Action":"observe:hold"`},
		"a tenant may observe while others don't":   {enforce + "  policies: [{tenant: acme, mode: observe, phish: reject}]\n", "phish", milter.Pass, "phish", `"Action":"observe:reject"`},
		"a tenant may enforce while others don't":   {"mail:\n  policies: [{tenant: acme, mode: enforce, phish: reject}]\n", "phish", milter.Reject, "", `"Action":"reject"`},
		"a lower threshold makes more phish":        {enforce + "  policies: [{tenant: acme, phish: reject, threshold: 0.5}]\n", "odd", milter.Reject, "", `"Verdict":"phish"`},
		"a higher threshold makes less":             {enforce + "  policies: [{tenant: acme, phish: reject, threshold: 0.99}]\n", "phish", milter.Pass, "suspicious", `"Action":"tag"`},
		"a threshold for the suspicious":            {enforce + "  policies: [{tenant: acme, suspicious: hold, suspicious_threshold: 0.005}]\n", "hello", milter.Hold, "suspicious", `"Action":"hold"`},
		"other recipients of the tenant: default":   {enforce + "  policies: [{tenant: acme, recipients: [\"ceo@acme.example\"], phish: reject}]\n", "phish", milter.Hold, "phish", `"Action":"hold"`},
		"another tenant's policy says nothing":      {enforce + "  policies: [{tenant: borg, phish: reject}]\n", "phish", milter.Hold, "phish", `"Action":"hold"`},
		"recipients match whatever their case":      {enforce + "  policies: [{tenant: acme, recipients: [\"ANN@acme.example\"], phish: reject}]\n", "phish", milter.Reject, "", `"Action":"reject"`},
		"a policy may let phish pass with a header": {enforce + "  policies: [{tenant: acme, phish: pass}]\n", "phish", milter.Pass, "phish", `"Action":"pass"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := gate(t, c.section)
			d := b.Judge(t.Context(), message(c.subject, ann))
			if d.Action != c.want {
				t.Fatalf("got %+v, want %s", d, c.want)
			}
			if v, _, _ := strings.Cut(field(d, "X-Breakwater-Verdict"), ";"); v != c.verdict {
				t.Errorf("the header says %q, want %q", v, c.verdict)
			}
			if len(b.records) != 1 || !strings.HasPrefix(b.records[0], "acme {\"breakwater_mail\":1") || !strings.Contains(b.records[0], c.action) {
				t.Errorf("the record is %s, want %s in it", b.records, c.action)
			}
			if (d.Action == milter.Reject || d.Action == milter.TempFail) && !strings.Contains(d.Text, "4XYZ") {
				t.Errorf("the answer %q has no reference", d.Text)
			}
		})
	}
}

func TestReasonsAreShownWhereTheMessageIsTagged(t *testing.T) {
	b := gate(t, enforce)
	d := b.Judge(t.Context(), message("odd", "ann@acme.example"))
	if got := field(d, "X-Breakwater-Reasons"); got != "odd-subject +1.00" {
		t.Errorf("reasons are %q", got)
	}
	d = b.Judge(t.Context(), message("hello", "ann@acme.example"))
	if got := field(d, "X-Breakwater-Reasons"); got != "" || field(d, "X-Breakwater-Score") != "0.0100" {
		t.Errorf("clean mail has %+v", d.Insert)
	}
}

func TestRecipientsOfNoTenantPassWithAHeader(t *testing.T) {
	b := gate(t, enforce)
	d := b.Judge(t.Context(), with(message("phish", "x@elsewhere.example"), "X-Breakwater-Verdict", "clean"))
	if d.Action != milter.Pass || !strings.HasPrefix(field(d, "X-Breakwater-Verdict"), "none") || len(d.Remove) != 1 || len(b.records) != 0 {
		t.Errorf("got %+v, records %v", d, b.records)
	}
}

func TestIsolationOfTwoTenantsInOneMessage(t *testing.T) {
	both := []string{"ann@acme.example", "bob@borg.example", "amy@acme.example", "x@elsewhere.example"}
	policies := "  policies: [{tenant: acme, phish: hold}, {tenant: borg, phish: pass}]\n"
	t.Run("strictest", func(t *testing.T) {
		b := gate(t, enforce+policies)
		d := b.Judge(t.Context(), message("phish", both...))
		if d.Action != milter.Hold || len(d.RemoveRecipients) != 0 {
			t.Errorf("got %+v", d)
		}
		if field(d, "X-Breakwater-Reasons") != "" {
			t.Error("the reasons of one tenant are shown to the other")
		}
	})
	t.Run("split", func(t *testing.T) {
		b := gate(t, enforce+"  several: split\n"+policies)
		m := message("phish", both...)
		d := b.Judge(t.Context(), m)
		if d.Action != milter.Pass || !slices.Equal(d.RemoveRecipients, []string{"ann@acme.example", "amy@acme.example"}) {
			t.Errorf("got %+v", d)
		}
		held := b.held(t, "acme")
		if len(held) != 1 || !slices.Equal(held[0].Recipients, d.RemoveRecipients) || held[0].Place != quarantine.PlaceStore {
			t.Errorf("held for acme: %+v", held)
		}
		if held := b.held(t, "borg"); len(held) != 0 {
			t.Errorf("held for borg: %+v", held)
		}
		box, _ := b.store.Box("acme")
		if raw, err := box.Raw(held[0].Name); err != nil || string(raw) != string(m.Raw) {
			t.Errorf("the copy is not the message: %v", err)
		}
	})
	for _, several := range []string{"strictest", "split"} {
		b := gate(t, enforce+"  several: "+several+"\n"+policies)
		b.Judge(t.Context(), message("phish", both...))
		if len(b.records) != 2 {
			t.Fatalf("%s: records %v", several, b.records)
		}
		for _, r := range b.records {
			id, r, _ := strings.Cut(r, " ")
			to := r[strings.Index(r, `"to":[`):]
			to = to[:strings.IndexByte(to, ']')]
			if other := map[string]string{"acme": "borg.example", "borg": "acme.example"}[id]; strings.Contains(to, other) || strings.Contains(to, "elsewhere") {
				t.Errorf("%s: the envelope in the record of %s is %s", several, id, to)
			}
		}
	}
}

func TestSplitWithoutAnybodyLeft(t *testing.T) {
	b := gate(t, enforce+"  several: split\n  policies: [{tenant: acme, phish: hold}, {tenant: borg, phish: reject}]\n")
	d := b.Judge(t.Context(), message("phish", "ann@acme.example", "bob@borg.example"))
	if d.Action != milter.Discard || len(b.held(t, "acme")) != 1 || len(b.held(t, "borg")) != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestWithoutAStoreTheStrictestHolds(t *testing.T) {
	b := gate(t, enforce+"  several: split\n  policies: [{tenant: acme, phish: hold}, {tenant: borg, phish: pass}]\n", func(o *Options) { o.Store = nil })
	if d := b.Judge(t.Context(), message("phish", "ann@acme.example", "bob@borg.example")); d.Action != milter.Hold {
		t.Errorf("got %+v", d)
	}
}

func TestMailHeldHereLeavesTheMailServerAndIsKept(t *testing.T) {
	b := gate(t, enforce+"  hold: {in: store, reinject: \"127.0.0.1:10025\"}\n")
	d := b.Judge(t.Context(), message("phish", "ann@acme.example", "x@elsewhere.example"))
	held := b.held(t, "acme")
	if d.Action != milter.Discard || len(held) != 1 || len(held[0].Recipients) != 2 || held[0].Verdict.Verdict != phish {
		t.Fatalf("got %+v, held %+v", d, held)
	}
	if !strings.Contains(b.records[0], `"HeldAs":"`+held[0].Name) || !strings.Contains(b.records[0], `"blocked":true`) {
		t.Errorf("the record doesn't name it: %s", b.records[0])
	}
}

func TestMailThatCannotBeKeptIsNotTaken(t *testing.T) {
	b := gate(t, enforce+"  unscanned: accept\n  hold: {in: store, reinject: \"127.0.0.1:10025\"}\n")
	b.store.Close()
	d := b.Judge(t.Context(), message("phish", "ann@acme.example"))
	if d.Action != milter.TempFail || b.Stats().Unscanned["hold"] != 1 || len(b.records) != 0 {
		t.Errorf("got %+v, %+v", d, b.Stats())
	}
}

func TestWhatHangsIsAnsweredWithinTheBudget(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	hang := map[string]func(*bench, *Options){
		"the scorer": func(b *bench, _ *Options) { b.detector.block = forever },
		"the antivirus": func(_ *bench, o *Options) {
			o.Malware = func(context.Context, []byte) (string, error) { <-forever; return "", nil }
		},
		"an indicator": func(_ *bench, o *Options) {
			o.Match = func(*ocsf.Event) []Match { <-forever; return nil }
		},
	}
	for what, set := range hang {
		for _, mode := range []string{"tempfail", "accept"} {
			t.Run(what+", "+mode, func(t *testing.T) {
				var o *Options
				b := gate(t, enforce+"  budget: 200ms\n  unscanned: "+mode+"\n", func(opt *Options) { o = opt })
				opt := *o
				set(b, &opt)
				b.Gate = New(opt)
				began := time.Now()
				d := b.Judge(t.Context(), with(message("phish", "ann@acme.example"), "X-Breakwater-Verdict", "clean"))
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %s", took)
				}
				switch {
				case mode == "tempfail" && d.Action != milter.TempFail:
					t.Errorf("got %+v", d)
				case mode == "accept" && (d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "time" || len(d.Remove) != 1):
					t.Errorf("got %+v", d)
				case mode == "accept" && (len(b.passed) != 1 || b.passed[0].MessageID != "1@sender.example" || b.passed[0].Tenant != "acme"):
					t.Errorf("listed for a sweep: %+v", b.passed)
				}
				if n := b.Stats().Unscanned["time"]; n != 1 {
					t.Errorf("counted %d", n)
				}
			})
		}
	}
}

func TestDNSThatNeverAnswersLeavesTheSenderUnproven(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	b := gate(t, enforce+"  budget: {whole: 5s, dns: 100ms}\n", func(o *Options) {
		o.Authenticate = func(context.Context, Sender, []byte) Proof { <-forever; return nil }
	})
	d := b.Judge(t.Context(), message("phish", "ann@acme.example"))
	if d.Action != milter.Hold || field(d, "Authentication-Results") != "" {
		t.Errorf("got %+v", d)
	}
}

func TestAPanicIsAnsweredAsUnscanned(t *testing.T) {
	for what, set := range map[string]func(*bench, *Options){
		"in the scorer": func(b *bench, _ *Options) { b.detector.panics = true },
		"in the antivirus": func(_ *bench, o *Options) {
			o.Malware = func(context.Context, []byte) (string, error) { panic("a bug") }
		},
	} {
		t.Run(what, func(t *testing.T) {
			var o *Options
			b := gate(t, enforce, func(opt *Options) { o = opt })
			opt := *o
			set(b, &opt)
			b.Gate = New(opt)
			if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.TempFail || b.Stats().Panics != 1 {
				t.Errorf("got %+v, %+v", d, b.Stats())
			}
			b.detector.panics = false
			b.Gate.opt.Malware = nil
			if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.Pass {
				t.Errorf("the next message got %+v", d)
			}
		})
	}
}

func TestTheAntivirusHasItsSay(t *testing.T) {
	found := func(name string, err error) func(*Options) {
		return func(o *Options) {
			o.Malware = func(context.Context, []byte) (string, error) { return name, err }
		}
	}
	b := gate(t, enforce, found("Win.Test.EICAR", nil))
	d := b.Judge(t.Context(), message("hello", "ann@acme.example"))
	if d.Action != milter.Hold || !strings.Contains(field(d, "X-Breakwater-Reasons"), "malware +9") || !strings.Contains(b.records[0], "Win.Test.EICAR") {
		t.Errorf("got %+v", d)
	}
	b = gate(t, enforce, found("", errors.New("no socket")))
	if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.TempFail {
		t.Errorf("without an answer: %+v", d)
	}
	if d := b.Judge(t.Context(), message("phish", "ann@acme.example")); d.Action != milter.Hold {
		t.Errorf("phish without an answer: %+v", d)
	}
	b = gate(t, enforce+"  unscanned: accept\n", found("", errors.New("no socket")))
	if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "clamd" || !strings.HasPrefix(field(d, "X-Breakwater-Verdict"), "clean") {
		t.Errorf("without an answer: %+v", d)
	}
}

func TestAnIndicatorDecides(t *testing.T) {
	b := gate(t, enforce+"  policies: [{tenant: acme, phish: reject, threshold: 0.999}]\n", func(o *Options) {
		o.Match = func(e *ocsf.Event) []Match {
			if e.Tenant != "acme" {
				t.Errorf("asked for %q", e.Tenant)
			}
			return []Match{{Value: "sender.example", Text: "the sender's domain sender.example is on a list"}}
		}
	})
	d := b.Judge(t.Context(), message("hello", "ann@acme.example"))
	if d.Action != milter.Reject || !strings.Contains(b.records[0], "indicator-match") {
		t.Errorf("got %+v", d)
	}
	b = gate(t, enforce, func(o *Options) {
		o.Match = func(*ocsf.Event) []Match { return []Match{{Value: "sender.example", Text: "maybe bad", Unsure: true}} }
	})
	if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.Pass || !strings.HasPrefix(field(d, "X-Breakwater-Verdict"), suspicious) || !strings.Contains(field(d, "X-Breakwater-Reasons"), "indicator-unsure") {
		t.Errorf("an indicator that its source is not sure of: %+v", d)
	}
}

func TestHeightenedHoldsAPartnersRequests(t *testing.T) {
	raised := func(o *Options) { o.Heightened = func(id tenant.ID) bool { return id == "acme" } }
	partner := func(text string, to string) *milter.Message {
		m := message("Re: visit", to)
		m.From = "tom@northwind.example"
		for i := range m.Headers {
			if m.Headers[i].Name == "From" {
				m.Headers[i].Value = " Tom <tom@northwind.example>"
			}
		}
		m.Raw = nil
		for _, f := range m.Headers {
			m.Raw = append(m.Raw, f.Name+":"+f.Value+"\r\n"...)
		}
		m.Raw = append(m.Raw, "\r\n"+text+"\r\n"...)
		return m
	}
	for name, c := range map[string]struct {
		text, to string
		want     milter.Action
	}{
		"a link":                        {"see https://files.example/x", "ann@acme.example", milter.Hold},
		"a question":                    {"have you got a minute?", "ann@acme.example", milter.Hold},
		"a request in another language": {"Bitte um kurze Rückmeldung", "ann@acme.example", milter.Hold},
		"nothing asked":                 {"the visit is done, all went well", "ann@acme.example", milter.Pass},
		"a tenant at the normal level":  {"see https://files.example/x", "bob@borg.example", milter.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			b := gate(t, enforce, raised)
			if d := b.Judge(t.Context(), partner(c.text, c.to)); d.Action != c.want {
				t.Errorf("got %+v, want %s", d, c.want)
			}
		})
	}
	b := gate(t, enforce, raised)
	if d := b.Judge(t.Context(), message("have you got a minute?", "ann@acme.example")); d.Action != milter.Pass {
		t.Errorf("a stranger's mail: %+v", d)
	}
	b = gate(t, "mail: {mode: observe}\n", raised)
	if d := b.Judge(t.Context(), partner("please call me", "ann@acme.example")); d.Action != milter.Pass || !strings.Contains(b.records[0], "observe:hold") {
		t.Errorf("observed: %+v, %s", d, b.records)
	}
}

func TestMailThatGoesOutIsJudgedForItsSender(t *testing.T) {
	out := func(change func(*milter.Message)) *milter.Message {
		m := message("phish", "x@elsewhere.example")
		m.From = "ann@acme.example"
		m.Headers[0].Value = " Ann <ann@acme.example>"
		change(m)
		return m
	}
	for name, c := range map[string]struct {
		m    *milter.Message
		want milter.Action
		id   string
	}{
		"with a login":                  {out(func(m *milter.Message) { m.Login = "ann" }), milter.Hold, "acme"},
		"on a listener for it":          {out(func(m *milter.Message) { m.Outbound = true }), milter.Hold, "acme"},
		"from the tenant's network":     {out(func(m *milter.Message) { m.Client = netip.MustParseAddr("10.20.1.1") }), milter.Hold, "acme"},
		"submitted on the mail server":  {out(func(m *milter.Message) { m.Client = netip.Addr{} }), milter.Hold, "acme"},
		"forged from outside":           {out(func(*milter.Message) {}), milter.Pass, ""},
		"from another tenant's network": {out(func(m *milter.Message) { m.Client = netip.MustParseAddr("10.30.1.1") }), milter.Pass, ""},
		"a login that writes as a stranger": {out(func(m *milter.Message) {
			m.Login, m.From, m.Headers[0].Value = "ann@acme.example", "e@x.example", " e@x.example"
		}), milter.Hold, "acme"},
	} {
		t.Run(name, func(t *testing.T) {
			b := gate(t, enforce)
			d := b.Judge(t.Context(), c.m)
			if d.Action != c.want {
				t.Fatalf("got %+v, want %s", d, c.want)
			}
			if c.id == "" {
				return
			}
			if len(b.records) != 1 || !strings.HasPrefix(b.records[0], c.id+" ") || !strings.Contains(b.records[0], `"activity":"send"`) {
				t.Errorf("records %v", b.records)
			}
			if field(d, "Authentication-Results") != "" {
				t.Error("mail that goes out bears results of ours")
			}
		})
	}
	b := gate(t, enforce)
	m := out(func(m *milter.Message) { m.Login = "ann"; m.Recipients = []string{"bob@borg.example"} })
	if b.Judge(t.Context(), m); len(b.records) != 2 {
		t.Errorf("mail from one tenant to another has records %v", b.records)
	}
}

func TestLearningFollowsWhatWasDone(t *testing.T) {
	b := gate(t, enforce+"  policies: [{tenant: acme, suspicious: tempfail}]\n")
	for _, s := range []string{"hello", "phish", "odd"} {
		b.Judge(t.Context(), message(s, "ann@acme.example"))
	}
	if want := []string{"acme clean pass", "acme phish hold"}; !slices.Equal(b.detector.learned, want) {
		t.Errorf("learned %q, want %q", b.detector.learned, want)
	}
}

func TestAMessageWithoutAUsableHeaderIsSuspicious(t *testing.T) {
	b := gate(t, enforce)
	m := message("hello", "ann@acme.example")
	m.Cut = true
	if d := b.Judge(t.Context(), m); !strings.HasPrefix(field(d, "X-Breakwater-Verdict"), "suspicious") {
		t.Errorf("a message that is cut: %+v", d)
	}
	m = &milter.Message{Recipients: []string{"ann@acme.example"}, Received: time.Now(), Raw: []byte("\r\n\x00\xff"), Client: netip.MustParseAddr("192.0.2.1")}
	if d := b.Judge(t.Context(), m); d.Action != milter.Pass {
		t.Errorf("an empty message: %+v", d)
	}
}

func TestExamineActsOnNothing(t *testing.T) {
	b := gate(t, enforce)
	e, err := b.Examine(t.Context(), "acme", message("phish", "ann@acme.example"), Journal)
	if err != nil || e.Mail.Verdict.Verdict != phish || e.Mail.Verdict.Action != "pass" || len(b.records) != 1 || len(b.held(t, "acme")) != 0 {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := b.Examine(t.Context(), "nobody", message("phish"), Journal); err == nil {
		t.Error("a tenant that is not declared was served")
	}
}
