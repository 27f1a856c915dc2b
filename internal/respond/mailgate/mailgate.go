// Package mailgate decides about mail on its way. A message comes in with its envelope, as the milter or a journal
// took it; it is authenticated, decoded, attributed, matched against indicators and scored for each tenant that it
// concerns, and the tenant's policy says what is done. Out come a decision for the mail server, a record of the judged
// message for the pipeline, and a sealed copy of what is held.
//
// It promises an answer within its budget, whatever hangs: what could not be judged in time, or failed, is answered as
// the configuration says for unscanned mail. A message whose decision needs something kept (a copy that is held here)
// is answered so only when it is on disk. In observe mode nothing is done to mail but added headers.
//
// Tenants stay apart: each is scored with its own habits, its record and its held copy name its own recipients alone,
// and a message for several tenants carries no reasons of any.
package mailgate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/attribute"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// maxUnderWay is how many messages are examined at a time; further ones wait, within their budget.
const maxUnderWay = 256

// Sender is who brings a message, as the mail server saw it.
type Sender struct {
	Client   netip.Addr
	Helo     string
	MailFrom string // without brackets
}

// Proof is what is known of who sent a message.
type Proof interface {
	// Header returns the value of an Authentication-Results field of ours (RFC 8601).
	Header(authservID string) string
	// Apply writes the results into a mail, over those that it claims itself.
	Apply(m *ocsf.Mail)
}

// Match is an indicator that a message holds.
type Match struct {
	Value string // as the indicator spells it
	Text  string // a sentence for people
	// Unsure says that whoever states the indicator is not sure of it: it makes a message suspicious, and decides nothing.
	Unsure bool
}

// Unscanned is a message that was delivered, or sent back for now, without a verdict.
type Unscanned struct {
	Time       time.Time `json:"time"`
	Tenant     tenant.ID `json:"tenant"`
	Recipients []string  `json:"recipients"`
	From       string    `json:"from"`
	MessageID  string    `json:"message_id,omitempty"`
	QueueID    string    `json:"queue_id,omitempty"`
	Why        string    `json:"why"`
}

// Options are what a gate is made with. Settings, Model and Scorer are needed; what else is nil is left out.
type Options struct {
	Settings *config.MailGate
	Model    *tenant.Model
	Scorer   *Scorer
	// Authenticate proves who sent a message that came in; it must heed the context.
	Authenticate func(ctx context.Context, s Sender, raw []byte) Proof
	// Malware returns the name of what an antivirus found in a message, or "".
	Malware func(ctx context.Context, raw []byte) (string, error)
	Match   func(e *ocsf.Event) []Match
	// Heightened reports whether a tenant's alert level is heightened.
	Heightened func(id tenant.ID) bool
	Store      *quarantine.Store
	// Publish takes the record of a judged message, a line of JSON, for the pipeline. It must not wait.
	Publish func(id tenant.ID, at time.Time, record []byte)
	// Passed takes messages that were delivered unscanned, for a later sweep. It must not wait.
	Passed func(u Unscanned)
	// Observed takes each message that no policy acted on, with what would have been done; where near is false its
	// number alone counts. It must not wait.
	Observed func(o Observed, near bool)
	Log      *slog.Logger
}

// Gate judges messages. It is safe for concurrent use.
type Gate struct {
	opt   Options
	site  atomic.Pointer[site]
	slots chan struct{}
	count counters
}

// site is what is declared, as one message sees it.
type site struct {
	settings   *config.MailGate
	model      *tenant.Model
	attributor *attribute.Attributor
}

// New returns a gate.
func New(o Options) *Gate {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gate{opt: o, slots: make(chan struct{}, maxUnderWay)}
	g.Declare(o.Settings, o.Model)
	return g
}

// Declare takes what is declared from now on; messages under way keep what they began with.
func (g *Gate) Declare(settings *config.MailGate, m *tenant.Model) {
	g.site.Store(&site{settings: settings, model: m, attributor: attribute.New(m, nil)})
}

// Judge decides about a message of a mail server. It is the milter's Options.Judge.
func (g *Gate) Judge(ctx context.Context, m *milter.Message) milter.Decision {
	began := time.Now()
	s := g.site.Load()
	whole := s.settings.Budget.Whole
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	x, why := g.within(ctx, whole-min(whole/5, 500*time.Millisecond), s, m)
	var d milter.Decision
	if x == nil {
		d = g.unscanned(s, m, nil, why)
	} else {
		d = g.settle(ctx, s, m, x)
	}
	g.count.took(time.Since(began))
	return d
}

// Failed decides about a message whose handling failed outside of Judge. It is the milter's Options.Failed.
func (g *Gate) Failed(m *milter.Message, why string) milter.Decision {
	return g.unscanned(g.site.Load(), m, nil, reason{"failed", why})
}

// reason is why a message was not judged: a stable word for counters, and a sentence.
type reason struct{ word, text string }

// within examines a message for at most that long, on a goroutine of its own: whatever hangs there keeps its slot, and
// nobody else.
func (g *Gate) within(ctx context.Context, most time.Duration, s *site, m *milter.Message) (*examined, reason) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, reason{"overload", "too many messages are under way"}
	}
	type outcome struct {
		x   *examined
		why reason
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-g.slots }()
		defer func() {
			if p := recover(); p != nil {
				g.count.panics.Add(1)
				g.opt.Log.Error("judging a message failed, which is a bug of ours", "queue_id", m.QueueID, "what", p, "stack", string(debug.Stack()))
				done <- outcome{why: reason{"failed", "judging it failed in here"}}
			}
		}()
		x, err := g.examine(ctx, s, m)
		if err != nil {
			done <- outcome{why: reason{word(ctx, "failed"), err.Error()}}
			return
		}
		done <- outcome{x: x}
	}()
	select {
	case o := <-done:
		return o.x, o.why
	case <-ctx.Done():
		return nil, reason{word(ctx, "time"), fmt.Sprintf("no verdict within %s", most)}
	}
}

func word(ctx context.Context, otherwise string) string {
	if ctx.Err() != nil {
		return "time"
	}
	return otherwise
}

// Examine judges a message for one tenant and does nothing with it but learn and publish: for journal reports, and for
// what users report. The recipients are those of the tenant. What a user reports is not learned from: somebody doubts it,
// whatever the verdict.
func (g *Gate) Examine(ctx context.Context, id tenant.ID, m *milter.Message, direction string) (*ocsf.Event, error) {
	x, err := g.examineOne(ctx, id, m, direction)
	if err != nil {
		return nil, err
	}
	p := &x.parts[0]
	p.verdict.Action = "pass"
	if direction != Reported {
		g.learn(ctx, x)
	}
	g.publish(m, x, p, false)
	return p.event, nil
}

// Assess judges a message for one tenant as Examine does, by the thresholds of the first recipient's policy, and neither
// learns nor publishes: for mail that lies in mailboxes.
func (g *Gate) Assess(ctx context.Context, id tenant.ID, m *milter.Message, direction string) (ocsf.MailVerdict, error) {
	x, err := g.examineOne(ctx, id, m, direction)
	if err != nil {
		return ocsf.MailVerdict{}, err
	}
	recipient := ""
	if len(m.Recipients) > 0 {
		recipient = m.Recipients[0]
	}
	return apply(g.site.Load().settings.Policy(id, recipient), x.parts[0].verdict), nil
}

// examineOne examines a message for one tenant. A panic is an error, so that nobody's mail stops that of others.
func (g *Gate) examineOne(ctx context.Context, id tenant.ID, m *milter.Message, direction string) (x *examined, err error) {
	s := g.site.Load()
	if s.model.Tenant(id) == nil {
		return nil, fmt.Errorf("judging a mail of %q: no such tenant is declared", id)
	}
	defer g.caught(m, func() {
		x, err = nil, fmt.Errorf("judging a mail of %s: it failed in here, which is a bug of ours", id)
	})
	if x, err = g.examineFor(ctx, s, m, []part{{tenant: id, direction: direction, recipients: m.Recipients}}); err != nil {
		return nil, fmt.Errorf("judging a mail of %s: %w", id, err)
	}
	return x, nil
}

// reference names a message to people: the mail server's queue id, or the beginning of its hash.
func (x *examined) reference(m *milter.Message) string { return cmp.Or(m.QueueID, x.hash) }

func domainOf(address string) string {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return strings.TrimSuffix(strings.ToLower(address[i+1:]), ".")
	}
	return ""
}
