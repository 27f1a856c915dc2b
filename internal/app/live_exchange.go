package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// farBehind is how far the pipeline may be behind what it accepted before an answer that its newest telemetry might
// change has to wait: an answer is given once.
const farBehind = 2 * time.Second

// exchange implements api.Exchanger: trace requests of a running server, by the key and the ledger of its data folder.
// Telemetry is looked at as for any trace, within the scope of who decides; the ledger is held for moments alone.
type exchange struct {
	q     *inquiries
	data  string
	audit func(context.Context, state.AuditEntry) error
	log   *slog.Logger
	now   func() time.Time
}

// newExchange takes up the answers that were kept.
func newExchange(q *inquiries, data string, audit func(context.Context, state.AuditEntry) error, log *slog.Logger) *exchange {
	e := &exchange{q: q, data: data, audit: audit, log: log, now: time.Now}
	list, err := tracing.Answers(ExchangeDir(data))
	if err != nil {
		log.Warn("some answers to trace requests can't be read", "err", err)
	}
	if len(list) == 0 {
		return e
	}
	x, err := e.open()
	if err != nil {
		log.Warn("answers to trace requests are kept, and the key that had asked is missing", "err", err)
		return e
	}
	for _, s := range list {
		if a, err := taken(x, answerName(s), s); err != nil {
			log.Warn("an answer to a trace request is not taken", "err", err)
		} else {
			e.remember(a)
		}
	}
	return e
}

// answerName names an answer as the evidence of a hop.
func answerName(s *tracing.Signed) string { return "answer " + tracing.RequestID(s)[:8] }

// remember lets traces go on through an answer.
func (e *exchange) remember(a *takenAnswer) {
	for {
		old := e.q.taken.Load()
		if slices.ContainsFunc(*old, func(b *takenAnswer) bool { return b.s.Hash == a.s.Hash }) {
			return
		}
		grown := append(slices.Clip(*old), a)
		if e.q.taken.CompareAndSwap(old, &grown) {
			return
		}
	}
}

// open reads the server's key.
func (e *exchange) open() (*Exchange, error) {
	key, err := tracing.ReadKey(ExchangeKey(e.data))
	if _, missing := os.Stat(ExchangeKey(e.data)); errors.Is(missing, os.ErrNotExist) {
		return nil, &api.Problem{Status: http.StatusConflict, Says: "this server has no key for trace requests; make one with `breakwater trace key create` and the server's data folder"}
	}
	if err != nil {
		return nil, err
	}
	return &Exchange{Key: key, Dir: ExchangeDir(e.data), Now: e.now()}, nil
}

// model is what is declared now.
func (e *exchange) model() *tenant.Model { return e.q.live.current.Load().Model }

// seeing is a scope as the judge of requests takes it.
func seeing(scope tenant.Scope) func(tenant.ID) bool {
	if campaign.SeesAll(scope) {
		return nil
	}
	return func(id tenant.ID) bool { return id != "" && scope.Sees(id) }
}

// says turns a refusal into an answer of the API; other errors stay as they are.
func says(err error) error {
	var no *tracing.Refusal
	if !errors.As(err, &no) {
		return err
	}
	status := http.StatusUnprocessableEntity
	if no.Code == tracing.CodeRateLimited {
		status = http.StatusTooManyRequests
	}
	return &api.Problem{Status: status, Says: no.Error()}
}

// Ask implements api.Exchanger.
func (e *exchange) Ask(ctx context.Context, scope tenant.Scope, by *authz.Principal, r *campaign.Result, ask api.TraceQuery, tlp string) (api.TraceAsk, error) {
	x, err := e.open()
	if err != nil {
		return api.TraceAsk{}, err
	}
	var list []Traced
	c := &Case{}
	err = e.q.ask(ctx, scope, func(v *graphView, _ *heldGraph) (err error) {
		c.Model = v.model
		list, err = e.q.traces(ctx, v, r, ask)
		return err
	})
	if err != nil {
		return api.TraceAsk{}, err
	}
	t := AskOf(list)
	if t == nil {
		return api.TraceAsk{}, &api.Problem{Status: http.StatusUnprocessableEntity, Says: "there is nothing to trace back"}
	}
	doc, s, err := c.request(x, t, tlp)
	if err != nil {
		return api.TraceAsk{}, &api.Problem{Status: http.StatusUnprocessableEntity, Says: err.Error()}
	}
	if err := x.note(ctx, tracing.Entry{What: "asked", Peer: s.Request.Peer, Request: s.Hash, Subject: subject(s.Request), By: by.ID}); err != nil {
		return api.TraceAsk{}, err
	}
	return api.TraceAsk{Organisation: s.Request.Asked, Document: doc}, e.told(ctx, by, "signed a trace request for "+s.Request.Asked, s.Hash, t.Tenant)
}

// AskOf returns the first trace whose likeliest way ends at somebody to ask, else the last, whose reason says why there
// is nobody; nil of none.
func AskOf(list []Traced) *Traced {
	for i := range list {
		if len(list[i].Paths) > 0 && list[i].Paths[0].Ask != nil || i == len(list)-1 {
			return &list[i]
		}
	}
	return nil
}

// told writes the audit of the installation.
func (e *exchange) told(ctx context.Context, by *authz.Principal, what, hash string, id tenant.ID) error {
	return e.audit(ctx, state.AuditEntry{At: e.now().UTC(), Who: by.ID, What: what, Of: hash, Tenant: id})
}

// Take implements api.Exchanger.
func (e *exchange) Take(ctx context.Context, scope tenant.Scope, by *authz.Principal, doc []byte) (string, error) {
	x, err := e.open()
	if err != nil {
		return "", err
	}
	s, err := tracing.Read(doc)
	if err != nil {
		return "", says(err)
	}
	a, err := taken(x, answerName(s), s)
	if err != nil {
		return "", says(err)
	}
	if id := tenant.ID(a.r.Asker); id == "" || !scope.Sees(id) {
		return "", api.ErrNotFound
	}
	if err := a.holds(e.model(), x.Now); err != nil {
		return "", says(err)
	}
	if slices.ContainsFunc(*e.q.taken.Load(), func(b *takenAnswer) bool { return b.s.Hash == s.Hash }) {
		return a.text(), nil
	}
	err = x.locked(ctx, func(l *tracing.Ledger) error {
		n := a.entry()
		n.Time, n.By = x.Now, by.ID
		if err := l.Note(n); err != nil {
			return err
		}
		return l.KeepAnswer(s, x.Now)
	})
	if err != nil {
		return "", err
	}
	e.remember(a)
	return a.text(), e.told(ctx, by, "took the answer of "+a.r.Asked+" to a trace request", s.Answer.Request, tenant.ID(a.r.Asker))
}

// Receive implements api.Exchanger.
func (e *exchange) Receive(ctx context.Context, scope tenant.Scope, by *authz.Principal, doc []byte) (api.TraceRequest, error) {
	x, err := e.open()
	if err != nil {
		return api.TraceRequest{}, err
	}
	who := Approval{By: by.ID}
	d, terms, err := x.admit(ctx, e.model(), seeing(scope), doc)
	if err != nil {
		return api.TraceRequest{}, says(x.refused(ctx, d, who, err))
	}
	a := tracing.Asked{ID: tracing.RequestID(d), Tenant: terms.Tenant, Trust: terms.Trust, Peer: d.Signer, Received: x.Now.UTC(), By: by.ID, Document: d.Raw()}
	if terms.Auto {
		return e.answer(ctx, x, scope, by, d, terms, a, Approval{By: by.ID, Reason: "the trust says answer: auto"})
	}
	err = x.locked(ctx, func(l *tracing.Ledger) error {
		kept, err := l.Wait(a, x.Now)
		if err != nil || !kept.Received.Equal(a.Received) { // it waits already
			a = kept
			return err
		}
		a = kept
		return l.Note(tracing.Entry{Time: x.Now, What: "waiting", Peer: d.Signer, Request: d.Hash, Subject: subject(d.Request), By: by.ID})
	})
	if err != nil {
		return api.TraceRequest{}, says(x.refused(ctx, d, who, err))
	}
	e.log.Warn("a trace request waits for a person", "request", a.ID, "tenant", a.Tenant, "asker", d.Request.Asker, "subject", subject(d.Request))
	return shownRequest(&a, x.Now)
}

// answer looks, signs, keeps and returns what was answered.
func (e *exchange) answer(ctx context.Context, x *Exchange, scope tenant.Scope, by *authz.Principal, d *tracing.Signed, terms tracing.Terms, a tracing.Asked, yes Approval) (api.TraceRequest, error) {
	reply, settled, err := e.look(ctx, scope, d.Request, terms, true)
	if err != nil {
		return api.TraceRequest{}, err
	}
	a.Decided, a.DecidedBy, a.Reason = x.Now.UTC(), yes.By, yes.Reason
	may := func() error { // another may have decided while this one looked
		if now, err := e.find(scope, a.ID); err == nil && now.State != tracing.StateWaiting {
			return decided(now)
		}
		return nil
	}
	_, err = x.give(ctx, d, terms, reply, yes, may, func(l *tracing.Ledger, doc []byte) error {
		a.State, a.Answer = tracing.StateAnswered, doc
		return l.Keep(a, x.Now)
	})
	if err != nil {
		return api.TraceRequest{}, says(x.refused(ctx, d, yes, err))
	}
	if err := e.told(ctx, by, "answered a trace request of "+d.Request.Asker, d.Hash, terms.Tenant); err != nil {
		return api.TraceRequest{}, err
	}
	out, err := shownRequest(&a, x.Now)
	if err == nil && out.Reply != nil {
		out.Reply.Settled = settled
	}
	return out, err
}

// look finds the next hop in the telemetry that the scope may see. What goes out must not be of telemetry that is about
// to change it, as far as that is known.
func (e *exchange) look(ctx context.Context, scope tenant.Scope, r *tracing.Request, terms tracing.Terms, out bool) (a tracing.Answer, settled bool, err error) {
	err = e.q.ask(ctx, scope, func(v *graphView, h *heldGraph) error {
		_, to, ok := v.graph.Held(terms.Tenant)
		_, last := e.q.live.bus.Span()
		if behind := e.q.live.lag(last); out && !h.settled && (!ok || to.Before(r.To)) && behind > farBehind {
			return busy(fmt.Sprintf("telemetry is %s behind, and an answer is given once; try again", behind.Round(time.Second)), 5*time.Second)
		}
		settled = h.settled
		named := between(h.model, terms.Trust)
		c := &Case{Model: v.model, graph: v.graph, closed: map[string]string{}}
		a = c.nextHop(r, terms, func(p hop.Place) bool { return named(p) && v.place(placed(p)).Name != campaign.Elsewhere })
		for i := range a.Hops {
			a.Hops[i].Account = v.words(a.Hops[i].Account)
		}
		return nil
	})
	return a, settled, err
}

// Requests implements api.Exchanger.
func (e *exchange) Requests(_ context.Context, scope tenant.Scope) ([]api.TraceRequest, error) {
	list, err := e.kept()
	if err != nil {
		return nil, err
	}
	out := []api.TraceRequest{}
	for i := range list {
		if !scope.Sees(list[i].Tenant) {
			continue
		}
		if r, err := shownRequest(&list[i], e.now()); err == nil {
			out = append(out, r)
		}
	}
	return out, nil
}

// kept reads the requests that are kept. A damaged one is logged, and is none.
func (e *exchange) kept() ([]tracing.Asked, error) {
	list, err := tracing.Requests(ExchangeDir(e.data))
	if list == nil {
		return nil, err
	}
	if err != nil {
		e.log.Warn("some trace requests can't be read", "err", err)
	}
	return list, nil
}

// find returns the request of an id that the scope may see.
func (e *exchange) find(scope tenant.Scope, id string) (*tracing.Asked, error) {
	list, err := e.kept()
	if err != nil {
		return nil, err
	}
	for i := range list {
		if a := &list[i]; a.ID == id && scope.Sees(a.Tenant) {
			return a, nil
		}
	}
	return nil, api.ErrNotFound
}

// Request implements api.Exchanger.
func (e *exchange) Request(ctx context.Context, scope tenant.Scope, id string) (api.TraceRequest, error) {
	a, err := e.find(scope, id)
	if err != nil {
		return api.TraceRequest{}, err
	}
	out, err := shownRequest(a, e.now())
	if err != nil || out.State != tracing.StateWaiting {
		return out, err
	}
	x, err := e.open()
	if err != nil {
		return out, nil // it is shown although nobody could answer it
	}
	d, err := tracing.Read(a.Document)
	if err != nil {
		return out, nil
	}
	if terms, err := tracing.Judge(e.model(), seeing(scope), x.own(), d, x.Now); err == nil {
		if reply, settled, err := e.look(ctx, scope, d.Request, terms, false); err == nil {
			out.Reply = replied(&reply, settled)
		}
	}
	return out, nil
}

// Decide implements api.Exchanger.
func (e *exchange) Decide(ctx context.Context, scope tenant.Scope, by *authz.Principal, id string, say api.Decision) (api.TraceRequest, error) {
	a, err := e.find(scope, id)
	if err != nil {
		return api.TraceRequest{}, err
	}
	x, err := e.open()
	if err != nil {
		return api.TraceRequest{}, err
	}
	if a.State != tracing.StateWaiting {
		return api.TraceRequest{}, decided(a)
	}
	who := Approval{By: by.ID, Reason: say.Reason}
	if say.By != "" {
		who.By = say.By + ", by " + by.ID
	}
	d, terms, err := x.admit(ctx, e.model(), seeing(scope), a.Document)
	if say.Answer {
		if err != nil {
			return api.TraceRequest{}, says(x.refused(ctx, d, who, err))
		}
		return e.answer(ctx, x, scope, by, d, terms, *a, who)
	}
	if d == nil || d.Request == nil {
		return api.TraceRequest{}, says(err)
	}
	err = x.locked(ctx, func(l *tracing.Ledger) error {
		if now, err := e.find(scope, id); err != nil {
			return err
		} else if now.State != tracing.StateWaiting {
			return decided(now)
		}
		n := tracing.Entry{Time: x.Now, What: "refused", Code: tracing.CodeDeclined, Peer: d.Signer, Request: d.Hash, Subject: subject(d.Request), By: who.By, Reason: who.Reason}
		if err := l.Note(n); err != nil {
			return err
		}
		a.State, a.Decided, a.DecidedBy, a.Reason = tracing.StateDeclined, x.Now.UTC(), who.By, who.Reason
		return l.Keep(*a, x.Now)
	})
	if err != nil {
		return api.TraceRequest{}, err
	}
	if err := e.told(ctx, by, "declined a trace request of "+d.Request.Asker, d.Hash, a.Tenant); err != nil {
		return api.TraceRequest{}, err
	}
	return shownRequest(a, x.Now)
}

func decided(a *tracing.Asked) error {
	return &api.Problem{Status: http.StatusConflict, Says: fmt.Sprintf("%s has %s it already, at %s", a.DecidedBy, a.State, a.Decided.UTC().Format(time.RFC3339))}
}

// shownRequest is a request as the API shows it, with what was answered.
func shownRequest(a *tracing.Asked, now time.Time) (api.TraceRequest, error) {
	d, err := tracing.Read(a.Document)
	if err != nil || d.Request == nil {
		return api.TraceRequest{}, fmt.Errorf("reading the trace request %s: %w", a.ID, errors.Join(err, errors.New("what is kept of it is damaged")))
	}
	r := d.Request
	out := api.TraceRequest{ID: a.ID, State: a.State, Tenant: a.Tenant, Trust: a.Trust, Asker: r.Asker, Peer: a.Peer, Address: r.Address, Account: r.Account, Target: r.Target, Port: r.Port,
		JoinKey: r.JoinKey, At: r.At, From: r.From, To: r.To, Expires: r.Expires, TLP: r.TLP, Received: a.Received, By: a.By, Decided: some(a.Decided), DecidedBy: a.DecidedBy, Reason: a.Reason}
	if a.State == tracing.StateWaiting && !now.Before(r.Expires) {
		out.State = "expired"
	}
	if len(a.Answer) > 0 {
		s, err := tracing.Read(a.Answer)
		if err != nil || s.Answer == nil {
			return api.TraceRequest{}, fmt.Errorf("reading the answer to the trace request %s: %w", a.ID, errors.Join(err, errors.New("what is kept of it is damaged")))
		}
		out.Answer, out.Reply = a.Answer, replied(s.Answer, true)
	}
	return out, nil
}

func replied(a *tracing.Answer, settled bool) *api.TraceReply {
	out := &api.TraceReply{Outcome: a.Outcome, Reason: a.Reason, Shared: a.Shared, Settled: settled, Hops: []api.TraceReplyHop{}}
	for _, h := range a.Hops {
		out.Hops = append(out.Hops, api.TraceReplyHop(h))
	}
	return out
}
