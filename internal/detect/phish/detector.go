// Package phish finds phishing that uses the names, the mail and the trust of organisations we know: island hopping
// begins with it and moves on by it. Mail events go in; out comes one finding a message, with points and a plain
// sentence for each reason. DNS, TLS and HTTP events are looked at for two things: a declared domain as labels under
// a foreign apex, and a place that a high finding in the same tenant's mail leads to. Either means that somebody
// followed the link.
//
// The detector learns in event time what mail each organisation sends to each tenant (links, pairs, programs,
// accounts) and compares authenticated mail with that; content alone cannot see one bad sentence in a good thread.
// SPF, DKIM and DMARC are read from the event, never evaluated here; links are never fetched. All state is bounded,
// and equal input gives equal findings.
package phish

import (
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Detector implements detect.Detector and detect.Explainer.
type Detector struct {
	model *tenant.Model
	names *names
	state state

	learned   *learned.Model // nil: hand-set priors alone
	threshold float64        // probability from which a message is phish
}

// state is everything that Snapshot carries.
type state struct {
	Mail     map[tenant.ID]*mailState
	Open     map[string]*open    // findings that may still grow, by tenant, rule and key
	Fan      map[string]*cluster // messages with one text, by hash
	Contacts map[string]*open
	Swept    time.Time
}

var (
	_ detect.Detector  = (*Detector)(nil)
	_ detect.Explainer = (*Detector)(nil)
)

// New returns a detector that knows the declared model.
func New(c detect.Context) *Detector {
	return &Detector{model: c.Model, names: newNames(c.Model), state: newState(), threshold: Threshold}
}

func newState() state {
	return state{Mail: map[tenant.ID]*mailState{}, Open: map[string]*open{}, Fan: map[string]*cluster{}, Contacts: map[string]*open{}}
}

// Name returns "phish".
func (d *Detector) Name() string { return "phish" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	switch {
	case e.Mail != nil:
		s := d.tenantState(e.Tenant)
		x := d.read(e)
		var v *verdict
		if e.Mail.Verdict != nil { // a gateway has judged it; a second opinion would only differ
			v = given(e.Mail.Verdict)
			v.authentic = x.authentic && x.from != nil
		} else {
			v = d.score(x, s)
			d.fanOut(x, v, emit)
			v.called = d.judge(x, v).Verdict
			v.atLeastLow()
		}
		if v.severity >= ocsf.SeverityLow {
			d.report(x, v, emit)
		}
		d.learn(s, x, v)
	case e.Dst.Domain != "" || e.URL != "":
		d.contact(e, emit)
	}
}

// Advance forgets what can no longer grow, and once a day what was not seen for long.
func (d *Detector) Advance(now time.Time, _ detect.Emit) {
	for k, o := range d.state.Open {
		if now.Sub(o.Since) > openFor {
			delete(d.state.Open, k)
		}
	}
	for k, o := range d.state.Contacts {
		if now.Sub(o.Since) > openFor {
			delete(d.state.Contacts, k)
		}
	}
	for k, c := range d.state.Fan {
		if now.Sub(c.Last) > fanWindow {
			delete(d.state.Fan, k)
		}
	}
	if now.Sub(d.state.Swept) >= 24*time.Hour {
		d.state.Swept = now
		for _, s := range d.state.Mail {
			s.forget(now.Add(-rememberFor).Unix())
		}
	}
}

// Conclude does nothing: what is found is emitted at once.
func (d *Detector) Conclude(detect.Emit) {}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) { return detect.EncodeState(d.state) }

// Restore takes a state that Snapshot wrote.
func (d *Detector) Restore(b []byte) error {
	s := newState()
	if err := detect.DecodeState(b, &s); err != nil {
		return fmt.Errorf("reading phish state: %w", err)
	}
	if err := s.complete(); err != nil {
		return fmt.Errorf("reading phish state: %w", err)
	}
	d.state = s
	return nil
}

// Explain returns every reason with its points, and what was looked at where there is none.
func (d *Detector) Explain(e *ocsf.Event) []string {
	if e.Mail == nil {
		return d.explainContact(e)
	}
	s := d.state.Mail[e.Tenant]
	if s == nil {
		s = nothingKnown
	}
	x := d.read(e)
	v := d.score(x, s)
	j := d.judge(x, v)
	out := []string{fmt.Sprintf("%s: probability of phishing %.3f (phish from %.3f)", j.Verdict, j.Score, j.Threshold), fmt.Sprintf("%d points: %s (low from %d, medium from %d, high from %d)", v.points, severityWord(v.severity), PointsLow, PointsMedium, PointsHigh)}
	for _, r := range v.reasons {
		if r.points > 0 {
			out = append(out, fmt.Sprintf("+%d %s", r.points, r.text))
		} else {
			out = append(out, fmt.Sprintf("+%.1f (log odds, no points) %s", r.weight, r.text))
		}
	}
	switch {
	case x.from == nil:
		out = append(out, fmt.Sprintf("the sender's domain %q is declared by nobody", x.fromDomain))
	case !x.authentic:
		out = append(out, "the sender's domain belongs to "+x.from.name+", and nothing proves the message is theirs")
	default:
		h := s.Orgs[x.from.key]
		n := 0
		if h != nil {
			n = h.Count
		}
		line := fmt.Sprintf("proven mail of %s; %d earlier mails known", x.from.name, n)
		if !h.warm(e.Time) {
			line += fmt.Sprintf(", too few to call anything new (%d, or %d over %d days)", warmMails, warmDaysMails, warmDays)
		}
		out = append(out, line)
	}
	return append(out, fmt.Sprintf("%d links, %d attachments looked at; SPF %s, DKIM %s, DMARC %s", len(x.links), len(e.Mail.Attachments), orNone(e.Mail.SPF), orNone(e.Mail.DKIM), orNone(e.Mail.DMARC)))
}

func severityWord(s ocsf.Severity) string {
	if s == ocsf.SeverityUnknown {
		return "nothing told"
	}
	return s.String()
}

func orNone(s string) string {
	if s == "" {
		return "not evaluated"
	}
	return s
}
