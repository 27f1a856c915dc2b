package app

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// pinned are the islands, where acme's Breakwater is a peer of the provider's.
type pinned struct {
	*exchange
	own   string
	peer  ed25519.PrivateKey
	at    time.Time
	mu    sync.Mutex
	audit []state.AuditEntry
}

func exchanging(t *testing.T, terms string) *pinned {
	t.Helper()
	dir := t.TempDir()
	own, err := tracing.CreateKey(ExchangeKey(dir))
	if err != nil {
		t.Fatal(err)
	}
	_, peer, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	mark := func(k ed25519.PrivateKey) string { return tracing.Fingerprint(k.Public().(ed25519.PublicKey)) }
	conf := strings.Replace(islands, `networks: [10.5.0.0/16]}
  - {id: dairy-nw`, `networks: [10.5.0.0/16], trace: {peer: "`+mark(peer)+`", answer: `+terms+`, account: true}}
  - {id: dairy-nw`, 1)
	if conf == islands {
		t.Fatal("the trust with acme is not where it was")
	}
	l, _, send := running(t, setupOf(t, conf), nil)
	p := &pinned{own: mark(own), peer: peer, at: time.Now().Add(-2 * time.Hour).Truncate(time.Second)}
	send(lines("fw-nw", "northwind", "", ssh("C1", "10.30.0.9", "10.5.0.51", 50001, p.at), ssh("C2", "10.5.0.51", "10.20.1.5", 50002, p.at.Add(time.Minute)),
		ssh("C6", "10.5.0.77", "10.5.0.60", 50006, p.at), ssh("C7", "10.5.0.60", "10.20.1.6", 50007, p.at.Add(time.Minute))))
	p.exchange = newExchange(newInquiries(l), dir, func(_ context.Context, e state.AuditEntry) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.audit = append(p.audit, e)
		return nil
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	return p
}

// ask signs a request of acme's about an address of the provider's.
func (p *pinned) ask(t *testing.T, address, target string) []byte {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	doc, err := tracing.Sign(p.peer, tracing.Request{ID: "r", Asker: "acme", Asked: "nw", Peer: p.own, Address: address, Target: target, Port: 22, At: p.at.Add(time.Minute), From: p.at.Add(-time.Minute),
		To: p.at.Add(time.Hour), Nonce: tracing.NewNonce(), Issued: now, Expires: now.Add(time.Hour), TLP: "TLP:AMBER"})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var jo = &authz.Principal{ID: "jo", Role: authz.RoleAnalyst}

func TestIsolationAnAnswerIsOfTheScopeOfWhoGivesIt(t *testing.T) {
	p := exchanging(t, "auto")
	for name, c := range map[string]struct {
		scope   tenant.Scope
		address string
		outcome string
		from    string
		refused string
	}{
		"who sees all names no third organisation":  {tenant.ScopeAll(), "10.5.0.51", "elsewhere", "", ""},
		"the provider's own knows of no third":      {tenant.ScopeOf("northwind"), "10.5.0.51", "elsewhere", "", ""},
		"the provider's own host is named":          {tenant.ScopeOf("northwind"), "10.5.0.60", "hop", "10.5.0.77", ""},
		"by who sees both sides, too":               {tenant.ScopeOf("northwind", "acme"), "10.5.0.60", "hop", "10.5.0.77", ""},
		"the client's side has no such address":     {tenant.ScopeOf("acme"), "10.5.0.60", "", "", "refused (out-of-scope)"},
		"another client knows nothing of the peer":  {tenant.ScopeOf("borg"), "10.5.0.60", "", "", "refused (unknown-peer)"},
		"nor of an address that is its own":         {tenant.ScopeOf("borg"), "10.30.0.9", "", "", "refused (unknown-peer)"},
		"an address of a third is nobody's to tell": {tenant.ScopeAll(), "10.30.0.9", "", "", "refused (out-of-scope)"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := p.Receive(t.Context(), c.scope, jo, p.ask(t, c.address, ""))
			if c.refused != "" {
				if x := problemOf(t, err); x.Status != http.StatusUnprocessableEntity || !strings.HasPrefix(x.Says, c.refused) || strings.Contains(x.Says, "northwind") || strings.Contains(x.Says, "nw-acme") {
					t.Errorf("%d %s", x.Status, x.Says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if r.Reply.Outcome != c.outcome || !r.Reply.Settled || c.from != "" && (len(r.Reply.Hops) != 1 || r.Reply.Hops[0].From != c.from) {
				t.Errorf("the answer is %s", text)
			}
			for _, s := range []string{"borg", "Borg", "dairy", "10.30."} {
				if strings.Contains(string(text), s) {
					t.Errorf("the answer names %q: %s", s, text)
				}
			}
			if s, err := tracing.Read(r.Answer); err != nil || s.Signer != p.own || s.Answer.Outcome != c.outcome {
				t.Errorf("what is signed: %v", err)
			}
			for _, other := range []tenant.ID{"borg", "acme", "crown"} {
				if _, err := p.Request(t.Context(), tenant.ScopeOf(other), r.ID); err != api.ErrNotFound {
					t.Errorf("%s is shown the request: %v", other, err)
				}
			}
		})
	}
}

// TestOneOfManyApprovalsAnswers has several people agree at the same moment.
func TestOneOfManyApprovalsAnswers(t *testing.T) {
	p := exchanging(t, "approve")
	r, err := p.Receive(t.Context(), tenant.ScopeAll(), jo, p.ask(t, "10.5.0.60", "10.20.1.6"))
	if err != nil || r.State != tracing.StateWaiting {
		t.Fatalf("%v: %+v", err, r)
	}
	if shown, err := p.Request(t.Context(), tenant.ScopeAll(), r.ID); err != nil || shown.Reply == nil || shown.Reply.Hops[0].From != "10.5.0.77" || shown.Answer != nil {
		t.Fatalf("before: %v, %+v", err, shown)
	}
	var group sync.WaitGroup
	got := make([]error, 4)
	for i := range got {
		group.Go(func() {
			_, got[i] = p.Decide(t.Context(), tenant.ScopeAll(), jo, r.ID, api.Decision{Answer: i < 3, By: "Jo Doe", Reason: "incident 17"})
		})
	}
	group.Wait()
	done := 0
	for _, err := range got {
		if err == nil {
			done++
		} else if x := problemOf(t, err); !strings.Contains(x.Says, "already") {
			t.Errorf("%d %s", x.Status, x.Says)
		}
	}
	list, err := p.Requests(t.Context(), tenant.ScopeAll())
	if err != nil || len(list) != 1 || list[0].State == tracing.StateWaiting || list[0].DecidedBy != "Jo Doe, by jo" {
		t.Fatalf("%v: %+v", err, list)
	}
	if done != 1 || len(p.audit) != 1 {
		t.Errorf("%d were done, %d stand in the audit", done, len(p.audit))
	}
	if list[0].State == tracing.StateAnswered {
		if shown, err := p.Request(t.Context(), tenant.ScopeOf("northwind"), r.ID); err != nil || len(shown.Answer) == 0 {
			t.Errorf("the answer is lost: %v", err)
		}
	}
}

// TestAnAnswerToAServerIsTakenWithinTheScopeOfWhoAsked lets the provider's server ask and its partner answer.
func TestAnAnswerToAServerIsTakenWithinTheScopeOfWhoAsked(t *testing.T) {
	p := exchanging(t, "approve")
	raw := p.ask(t, "10.5.0.60", "10.20.1.6")
	if _, err := p.Take(t.Context(), tenant.ScopeAll(), jo, raw); problemOf(t, err).Status != http.StatusUnprocessableEntity {
		t.Errorf("a request is taken for an answer: %v", err)
	}
	x, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	peer := tracing.Fingerprint(p.peer.Public().(ed25519.PublicKey))
	asked, err := tracing.Sign(x.key(), tracing.Request{ID: "r", Asker: "northwind", Asked: "acme", Peer: peer, Address: "10.20.1.6", At: p.at, From: p.at, To: p.at.Add(time.Hour),
		Nonce: tracing.NewNonce(), Issued: now, Expires: now.Add(time.Hour), TLP: "TLP:AMBER"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tracing.Read(asked)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(key ed25519.PrivateKey) []byte {
		doc, err := tracing.Sign(key, tracing.Answer{ID: "a", Answerer: "acme", Request: s.Hash, Asked: asked, Outcome: tracing.OutcomeOrigin, Reason: "nobody was there", Issued: now, TLP: "TLP:AMBER"})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	if _, err := p.Take(t.Context(), tenant.ScopeOf("borg", "acme"), jo, answer(p.peer)); err != api.ErrNotFound {
		t.Errorf("another's answer is taken: %v", err)
	}
	if _, err := p.Take(t.Context(), tenant.ScopeAll(), jo, answer(x.key())); !strings.HasPrefix(problemOf(t, err).Says, "refused (unknown-peer)") {
		t.Errorf("an answer that we signed ourselves: %v", err)
	}
	for range 2 {
		if says, err := p.Take(t.Context(), tenant.ScopeOf("northwind"), jo, answer(p.peer)); err != nil || !strings.Contains(says, "acme answered for 10.20.1.6") {
			t.Errorf("%v: %s", err, says)
		}
	}
	if n := len(*p.q.taken.Load()); n != 1 {
		t.Errorf("%d answers are known", n)
	}
	again := newExchange(newInquiries(p.q.live), p.data, p.exchange.audit, p.log)
	if n := len(*again.q.taken.Load()); n != 1 {
		t.Errorf("%d answers are known after a restart", n)
	}
}
