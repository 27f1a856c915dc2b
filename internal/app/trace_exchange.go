package app

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
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
func (x *Exchange) note(e tracing.Entry) error {
	if x.Dir == "" {
		return nil
	}
	l, err := tracing.OpenLedger(x.Dir)
	if err != nil {
		return err
	}
	defer l.Close()
	e.Time = x.Now
	return l.Note(e)
}

// Request writes the signed request by which the likeliest path of a trace can go on.
func (c *Case) Request(x *Exchange, t *Traced, tlp string) ([]byte, error) {
	a := t.Paths[0].Ask
	if a == nil {
		return nil, fmt.Errorf("there is nobody to ask: %s", t.Paths[0].Reason)
	}
	peer, ok := tracing.PeerFor(c.Model, t.Tenant, a.Organisation, x.Now)
	if !ok {
		return nil, fmt.Errorf("no trust between %s and %s pins a key to ask: let them send you the fingerprint of `breakwater trace key show` and declare it as trace.peer of the trust", t.Tenant, a.Organisation)
	}
	r := tracing.Request{ID: tracing.NewNonce()[:16], Asker: string(t.Tenant), Asked: a.Organisation, Peer: peer, Address: a.Address, Account: a.Account, Port: a.Port,
		JoinKey: a.JoinKey, At: a.At, From: a.From, To: a.To, Nonce: tracing.NewNonce(), Issued: x.Now.UTC().Truncate(time.Second), TLP: tlp}
	if r.Address == "" && r.Account == "" {
		return nil, fmt.Errorf("all that is known is the host name %s; a request needs an address or an account", a.Host)
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
		return nil, err
	}
	s, err := tracing.Read(doc)
	if err != nil {
		return nil, fmt.Errorf("the request would be refused: %w", err)
	}
	return doc, x.note(tracing.Entry{What: "asked", Peer: peer, Request: s.Hash, Subject: subject(&r)})
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
	l, err := tracing.OpenLedger(x.Dir)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	entry := tracing.Entry{Time: x.Now, By: yes.By, Reason: yes.Reason}
	doc, err := answer(ctx, s, paths, raw, x, yes, l, &entry)
	var no *tracing.Refusal
	if errors.As(err, &no) {
		entry.What, entry.Code, entry.Reason = "refused", no.Code, no.Reason
		if err := l.Note(entry); err != nil {
			return nil, err
		}
	}
	return doc, err
}

func answer(ctx context.Context, s *Setup, paths []string, raw []byte, x *Exchange, yes Approval, l *tracing.Ledger, entry *tracing.Entry) ([]byte, error) {
	d, err := tracing.Read(raw)
	if d != nil {
		entry.Peer, entry.Request = d.Signer, d.Hash
		if d.Request != nil {
			entry.Subject = subject(d.Request)
		}
	}
	if err != nil {
		return nil, err
	}
	terms, err := tracing.Judge(s.Model, x.own(), d, x.Now)
	if err != nil {
		return nil, err
	}
	if err := l.Admit(d, x.Now); err != nil {
		return nil, err
	}
	if !terms.Auto && (yes.By == "" || yes.Reason == "") {
		return nil, &tracing.Refusal{Code: tracing.CodeNeedsApproval, Reason: fmt.Sprintf("%s asks who was behind %s; a person must agree with --approve and --reason", d.Request.Asker, subject(d.Request))}
	}
	c, err := Investigate(ctx, s, paths, nil)
	if err != nil {
		return nil, err
	}
	a := c.nextHop(d.Request, terms)
	a.ID, a.Answerer, a.Request, a.Asked = tracing.NewNonce()[:16], string(terms.Tenant), d.Hash, d.Raw()
	a.Issued, a.TLP = x.Now.UTC().Truncate(time.Second), d.Request.TLP
	doc, err := tracing.Sign(x.key(), a)
	if err != nil {
		return nil, err
	}
	if err := l.Answered(d, x.Now); err != nil {
		return nil, err
	}
	entry.What = "answered"
	entry.Subject += ": " + a.Outcome
	return doc, l.Note(*entry)
}

// nextHop looks for where somebody came from to what was asked for. Places of third organisations are not named.
func (c *Case) nextHop(r *tracing.Request, terms tracing.Terms) tracing.Answer {
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
		if !tracing.Visible(c.Model, terms.Trust, h.From.Tenant, h.From.Partner) {
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
func (c *Case) Accept(x *Exchange, docs map[string][]byte) ([]string, error) {
	var out []string
	names := make([]string, 0, len(docs))
	for name := range docs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s, err := tracing.Read(docs[name])
		if err != nil {
			return nil, fmt.Errorf("reading the answer %s: %w", name, err)
		}
		r, err := tracing.Accept(x.own(), s)
		if err != nil {
			return nil, fmt.Errorf("reading the answer %s: %w", name, err)
		}
		if peer, ok := tracing.PeerFor(c.Model, tenant.ID(r.Asker), r.Asked, x.Now); !ok || peer != s.Signer {
			return nil, fmt.Errorf("reading the answer %s: %w", name, &tracing.Refusal{Code: tracing.CodeUnknownPeer, Reason: fmt.Sprintf("no trust with %s pins the key %s any more", r.Asked, s.Signer)})
		}
		addr, _ := netip.ParseAddr(r.Address)
		if len(s.Answer.Hops) == 0 && addr.IsValid() {
			c.closed[addr.Unmap().String()] = fmt.Sprintf("%s answered for %s: %s, %s", r.Asked, r.Address, s.Answer.Outcome, s.Answer.Reason)
		}
		for _, h := range s.Answer.Hops {
			t := hop.Told{By: r.Asked, Tenant: tenant.ID(r.Asker), To: addr.Unmap(), Partner: tenant.PartnerID(r.Asked),
				Start: earlier(h.Start, r.At), End: h.End, Kind: h.Kind, Port: h.Port, User: strings.ToLower(h.Account), File: name, Share: float64(h.Confidence) / 100}
			if t.From, err = netip.ParseAddr(h.From); err != nil {
				t.FromHost = h.From
			}
			if addr.IsValid() {
				c.graph.Learn(t)
			}
		}
		text := fmt.Sprintf("%s answered for %s: %s, %s", r.Asked, subject(r), s.Answer.Outcome, s.Answer.Reason)
		for _, h := range s.Answer.Hops {
			text += fmt.Sprintf("; %s by %s, %d %%", h.From, h.Kind, h.Confidence)
		}
		out = append(out, text)
		if err := x.note(tracing.Entry{What: "accepted", Peer: s.Signer, Request: s.Answer.Request, Subject: subject(r) + ": " + s.Answer.Outcome}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// earlier keeps a clock that is ahead from hiding what was answered.
func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}
