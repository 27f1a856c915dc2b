package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
)

// Exchange is where trace requests are signed and remembered.
type Exchange struct {
	Key []byte // an ed25519.PrivateKey
	Dir string // of the ledger; empty: what is asked and accepted is not noted, and nothing can be answered
	Now time.Time
}

// ExchangeDir is the folder of trace requests within a data folder.
func ExchangeDir(data string) string { return filepath.Join(data, "trace") }

// ExchangeKey is the key file within a data folder.
func ExchangeKey(data string) string { return filepath.Join(ExchangeDir(data), "key.pem") }

func (x *Exchange) key() ed25519.PrivateKey { return ed25519.PrivateKey(x.Key) }

func (x *Exchange) own() string { return tracing.Fingerprint(x.key().Public().(ed25519.PublicKey)) }

// note writes a line of the ledger where there is one.
func (x *Exchange) note(ctx context.Context, e tracing.Entry) error {
	if x.Dir == "" {
		return nil
	}
	return x.locked(ctx, func(l *tracing.Ledger) error {
		e.Time = x.Now
		return l.Note(e)
	})
}

// locked does something with the ledger, and lets go of it.
func (x *Exchange) locked(ctx context.Context, do func(*tracing.Ledger) error) error {
	l, err := tracing.OpenLedger(ctx, x.Dir)
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}

// Request writes the signed request by which the likeliest path of a trace can go on.
func (c *Case) Request(ctx context.Context, x *Exchange, t *Traced, tlp string) ([]byte, error) {
	doc, s, err := c.request(x, t, tlp)
	if err != nil {
		return nil, err
	}
	return doc, x.note(ctx, tracing.Entry{What: "asked", Peer: s.Request.Peer, Request: s.Hash, Subject: subject(s.Request)})
}

// request signs, and notes nothing.
func (c *Case) request(x *Exchange, t *Traced, tlp string) ([]byte, *tracing.Signed, error) {
	a := t.Paths[0].Ask
	if a == nil {
		return nil, nil, fmt.Errorf("there is nobody to ask: %s", t.Paths[0].Reason)
	}
	peer, ok := tracing.PeerFor(c.Model, t.Tenant, a.Organisation, x.Now)
	if !ok {
		return nil, nil, fmt.Errorf("no trust between %s and %s pins a key to ask: let them send you the fingerprint of `breakwater trace key show` and declare it as trace.peer of the trust", t.Tenant, a.Organisation)
	}
	r := tracing.Request{ID: tracing.NewNonce()[:16], Asker: string(t.Tenant), Asked: a.Organisation, Peer: peer, Address: a.Address, Account: a.Account, Port: a.Port,
		JoinKey: a.JoinKey, At: a.At, From: a.From, To: a.To, Nonce: tracing.NewNonce(), Issued: x.Now.UTC().Truncate(time.Second), TLP: tlp}
	if r.Address == "" && r.Account == "" {
		return nil, nil, fmt.Errorf("all that is known is the host name %s; a request needs an address or an account", a.Host)
	}
	if _, err := netip.ParseAddr(a.Target); err == nil {
		r.Target = a.Target
	}
	if r.To.Before(r.At) {
		r.To = r.At
	}
	if r.To.Sub(r.From) > tracing.MaxSpan {
		r.To = r.From.Add(tracing.MaxSpan)
	}
	r.Expires = r.Issued.Add(tracing.Life)
	doc, err := tracing.Sign(x.key(), r)
	if err != nil {
		return nil, nil, err
	}
	s, err := tracing.Read(doc)
	if err != nil {
		return nil, nil, fmt.Errorf("the request would be refused: %w", err)
	}
	return doc, s, nil
}

func subject(r *tracing.Request) string {
	parts := []string{}
	for _, s := range []string{r.Address, r.Account, r.JoinKey} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return fmt.Sprintf("%s at %s", strings.Join(parts, " "), r.At.UTC().Format(time.RFC3339))
}

// Approval is a person's yes to one answer.
type Approval struct{ By, Reason string }

// AnswerRequest answers a request from the telemetry in the paths, or refuses it with a tracing.Refusal. What was decided is in
// the ledger before the answer is returned.
func AnswerRequest(ctx context.Context, s *Setup, paths []string, raw []byte, x *Exchange, yes Approval) ([]byte, error) {
	d, terms, err := x.admit(ctx, s.Model, nil, raw)
	if err == nil && !terms.Auto && (yes.By == "" || yes.Reason == "") {
		err = &tracing.Refusal{Code: tracing.CodeNeedsApproval, Reason: fmt.Sprintf("%s asks who was behind %s; a person must agree with --approve and --reason", d.Request.Asker, subject(d.Request))}
	}
	if err != nil {
		return nil, x.refused(ctx, d, yes, err)
	}
	c, err := Investigate(ctx, s, paths, nil)
	if err != nil {
		return nil, err
	}
	a := c.nextHop(d.Request, terms, between(c.Model, terms.Trust))
	doc, err := x.give(ctx, d, terms, a, yes, nil, nil)
	return doc, x.refused(ctx, d, yes, err)
}

// admit reads a request and holds it against the trusts of the tenants that sees reports (nil: all), and against the
// ledger. What could be read of a document that is refused is returned beside the refusal.
func (x *Exchange) admit(ctx context.Context, m *tenant.Model, sees func(tenant.ID) bool, raw []byte) (*tracing.Signed, tracing.Terms, error) {
	d, err := tracing.Read(raw)
	if err != nil {
		return d, tracing.Terms{}, err
	}
	terms, err := tracing.Judge(m, sees, x.own(), d, x.Now)
	if err != nil {
		return d, terms, err
	}
	return d, terms, x.locked(ctx, func(l *tracing.Ledger) error { return l.Admit(d, x.Now) })
}

// give signs an answer and remembers that it was given. May, where it is not nil, is asked once the ledger is held, and
// keep told before it is let go.
func (x *Exchange) give(ctx context.Context, d *tracing.Signed, terms tracing.Terms, a tracing.Answer, yes Approval, may func() error, keep func(*tracing.Ledger, []byte) error) ([]byte, error) {
	a.ID, a.Answerer, a.Request, a.Asked = tracing.NewNonce()[:16], string(terms.Tenant), d.Hash, d.Raw()
	a.Issued, a.TLP = x.Now.UTC().Truncate(time.Second), d.Request.TLP
	doc, err := tracing.Sign(x.key(), a)
	if err != nil {
		return nil, err
	}
	err = x.locked(ctx, func(l *tracing.Ledger) error {
		if may != nil {
			if err := may(); err != nil {
				return err
			}
		}
		if err := l.Admit(d, x.Now); err != nil { // another may have answered it since
			return err
		}
		if err := l.Answered(d, x.Now); err != nil {
			return err
		}
		e := tracing.Entry{Time: x.Now, What: "answered", Peer: d.Signer, Request: d.Hash, Subject: subject(d.Request) + ": " + a.Outcome, By: yes.By, Reason: yes.Reason}
		if err := l.Note(e); err != nil || keep == nil {
			return err
		}
		return keep(l, doc)
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// refused notes a refusal in the ledger, and returns the error it was given, or why it could not be noted.
func (x *Exchange) refused(ctx context.Context, d *tracing.Signed, yes Approval, err error) error {
	var no *tracing.Refusal
	if !errors.As(err, &no) {
		return err
	}
	e := tracing.Entry{What: "refused", Code: no.Code, Reason: no.Reason, By: yes.By}
	if d != nil {
		e.Peer, e.Request = d.Signer, d.Hash
		if d.Request != nil {
			e.Subject = subject(d.Request)
		}
	}
	if noted := x.note(ctx, e); noted != nil {
		return noted
	}
	return err
}

// between reports which places lie with the two sides of a trust, or with nobody: an answer names no others.
func between(m *tenant.Model, trust tenant.TrustID) func(hop.Place) bool {
	return func(p hop.Place) bool { return tracing.Visible(m, trust, p.Tenant, p.Partner) }
}

// nextHop looks for where somebody came from to what was asked for. Places that may not be named are counted alone.
func (c *Case) nextHop(r *tracing.Request, terms tracing.Terms, named func(hop.Place) bool) tracing.Answer {
	id := terms.Tenant
	target, _ := netip.ParseAddr(r.Target)
	addr, _ := netip.ParseAddr(r.Address)
	out := c.graph.Behind(c.Model, id, target, r.Port, r.From, r.To)
	p := hop.TracePoint{Tenant: id, Addr: addr, Time: r.At, End: r.To, User: strings.ToLower(r.Account)}
	for _, h := range out { // our own record of the session tells its time by our own clock
		if h.From.Addr == addr.Unmap() && (p.Time.Equal(r.At) || h.Start.Sub(r.At).Abs() < p.Time.Sub(r.At).Abs()) {
			p.Time = h.Start
		}
	}
	var hops []hop.TraceHop
	a := tracing.Answer{Outcome: tracing.OutcomeOrigin, Reason: "no session into it was open then"}
	if addr.IsValid() {
		list := c.graph.Candidates(c.Model, p, hop.MaxCandidates)
		for _, x := range list {
			if n := len(x.Hops); n > 0 {
				hops = append(hops, x.Hops[n-1])
			}
		}
		if len(hops) == 0 && list[0].Ask != nil {
			a.Outcome, a.Shared, a.Reason = tracing.OutcomeUnknown, list[0].Shared, "our telemetry does not show it at that time"
			if a.Shared {
				a.Reason = "it is a shared address, and no record tells who was behind it"
				hops = out
				for i := range hops {
					hops[i].Kind = "nat"
				}
			}
		}
	} else {
		hops = c.graph.Used(c.Model, id, r.Account, r.From, r.To)
		a.Outcome, a.Reason = tracing.OutcomeUnknown, "our telemetry does not show that account then"
	}
	hidden := 0
	for _, h := range hops {
		if !named(h.From) {
			hidden++
			continue
		}
		x := tracing.Hop{From: h.From.Name(), Kind: h.Kind, Port: h.Port, Start: h.Start, End: h.End, Confidence: int(math.Round(h.Share * 100))}
		if terms.Account {
			x.Account = h.User
		}
		if !slices.ContainsFunc(a.Hops, func(o tracing.Hop) bool { return o.From == x.From }) {
			a.Hops = append(a.Hops, x)
		}
	}
	slices.SortStableFunc(a.Hops, func(x, y tracing.Hop) int { return cmp.Compare(y.Confidence, x.Confidence) })
	a.Hops = a.Hops[:min(len(a.Hops), tracing.MaxHops)]
	switch {
	case len(a.Hops) > 0:
		a.Outcome, a.Reason = tracing.OutcomeHop, fmt.Sprintf("%d places had a session there then", len(a.Hops)+hidden)
		if a.Shared {
			a.Reason = fmt.Sprintf("it is a shared address; %d hosts behind it had a session to the target then", len(a.Hops)+hidden)
		}
	case hidden > 0:
		a.Outcome, a.Reason = tracing.OutcomeElsewhere, "it came to us from another organisation, which we ask ourselves"
	}
	return a
}

// Accept takes answers to requests of ours into the graph, so that Trace goes on from there. It returns what each
// answer says, in words.
func (c *Case) Accept(ctx context.Context, x *Exchange, docs map[string][]byte) ([]string, error) {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		s, err := tracing.Read(docs[name])
		if err != nil {
			return nil, fmt.Errorf("reading the answer %s: %w", name, err)
		}
		a, err := accepted(c.Model, x, name, s)
		if err != nil {
			return nil, fmt.Errorf("reading the answer %s: %w", name, err)
		}
		a.learn(c.graph)
		a.close(c.closed)
		out = append(out, a.text())
		if err := x.note(ctx, a.entry()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// takenAnswer is an answer to a request of ours.
type takenAnswer struct {
	name string // by which evidence names it
	s    *tracing.Signed
	r    *tracing.Request
	addr netip.Addr // that was asked for; invalid where it was an account
}

// accepted holds an answer against the request that it answers and against the trusts as they are declared now.
func accepted(m *tenant.Model, x *Exchange, name string, s *tracing.Signed) (*takenAnswer, error) {
	a, err := taken(x, name, s)
	if err != nil {
		return nil, err
	}
	return a, a.holds(m, x.Now)
}

// taken holds an answer against the request that it answers alone.
func taken(x *Exchange, name string, s *tracing.Signed) (*takenAnswer, error) {
	r, err := tracing.Accept(x.own(), s)
	if err != nil {
		return nil, err
	}
	a := &takenAnswer{name: name, s: s, r: r}
	if addr, err := netip.ParseAddr(r.Address); err == nil {
		a.addr = addr.Unmap()
	}
	return a, nil
}

// holds refuses the answer of a peer that is no longer pinned.
func (a *takenAnswer) holds(m *tenant.Model, now time.Time) error {
	if peer, ok := tracing.PeerFor(m, tenant.ID(a.r.Asker), a.r.Asked, now); !ok || peer != a.s.Signer {
		return &tracing.Refusal{Code: tracing.CodeUnknownPeer, Reason: fmt.Sprintf("no trust with %s pins the key %s any more", a.r.Asked, a.s.Signer)}
	}
	return nil
}

// learn takes the hops of an answer into a graph.
func (a *takenAnswer) learn(g *hop.Graph) {
	if !a.addr.IsValid() {
		return
	}
	for _, h := range a.s.Answer.Hops {
		t := hop.Told{By: a.r.Asked, Tenant: tenant.ID(a.r.Asker), To: a.addr, Partner: tenant.PartnerID(a.r.Asked),
			Start: earlier(h.Start, a.r.At), End: h.End, Kind: h.Kind, Port: h.Port, User: strings.ToLower(h.Account), File: a.name, Share: float64(h.Confidence) / 100}
		var err error
		if t.From, err = netip.ParseAddr(h.From); err != nil {
			t.FromHost = h.From
		}
		g.Learn(t)
	}
}

// close notes the address that nobody needs to be asked for again, and why.
func (a *takenAnswer) close(closed map[string]string) {
	if len(a.s.Answer.Hops) == 0 && a.addr.IsValid() {
		closed[a.addr.String()] = fmt.Sprintf("%s answered for %s: %s, %s", a.r.Asked, a.r.Address, a.s.Answer.Outcome, a.s.Answer.Reason)
	}
}

func (a *takenAnswer) text() string {
	text := fmt.Sprintf("%s answered for %s: %s, %s", a.r.Asked, subject(a.r), a.s.Answer.Outcome, a.s.Answer.Reason)
	for _, h := range a.s.Answer.Hops {
		text += fmt.Sprintf("; %s by %s, %d %%", h.From, h.Kind, h.Confidence)
	}
	return text
}

func (a *takenAnswer) entry() tracing.Entry {
	return tracing.Entry{What: "accepted", Peer: a.s.Signer, Request: a.s.Answer.Request, Subject: subject(a.r) + ": " + a.s.Answer.Outcome}
}

// earlier keeps a clock that is ahead from hiding what was answered.
func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}
