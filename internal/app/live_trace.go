package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// Bounds of questions to a running server.
const (
	maxAsking   = 8                // questions that wait or are answered at a time
	askWithin   = 12 * time.Second // from the question to its answer
	copyPart    = 20               // copies take at most one part in this of the pipeline's time
	copyPays    = 2                // a copy serves for at least so many times as long as its index took to be built
	maxScopes   = 8                // views of one copy, each for a scope of tenants
	keepCopyFor = time.Minute      // without a question, before the memory of a copy is given back
)

// inquiries answers where from and how far over the graph of a running server. The pipeline's goroutine only copies the
// graph, and only where something came since the copy before; the index is built and walked on the goroutine of
// whoever asks, one question after the other.
type inquiries struct {
	live   *live
	places chan struct{} // taken by those who wait or are answered
	turn   chan struct{} // taken by the one who is answered; guards all below
	within time.Duration
	now    func() time.Duration
	taken  atomic.Pointer[[]*takenAnswer] // of other organisations, oldest first; it only grows

	made   time.Duration // when the newest copy was made, on the pipeline's clock
	took   time.Duration // how long it held the pipeline
	walked time.Duration // the longest that a question over it took, which is that of its index

	mu   sync.Mutex
	idle *time.Timer
}

func newInquiries(l *live) *inquiries {
	q := &inquiries{live: l, places: make(chan struct{}, maxAsking), turn: make(chan struct{}, 1), within: askWithin, now: l.now}
	q.taken.Store(&[]*takenAnswer{})
	return q
}

// heldGraph is a copy of a core's graph. Who has the turn owns it, and lends it to the pipeline's goroutine for as
// long as that is asked whether it is still good.
type heldGraph struct {
	graph   *hop.Graph
	model   *tenant.Model
	taken   int64     // events that the graph rests on; it grows with each
	at      time.Time // when the pipeline was last seen to have nothing newer
	settled bool
	learned int // of what others answered, how many the graph knows
	views   map[string]*graphView
}

// graphView is what a scope may see of a copy.
type graphView struct {
	model *tenant.Model
	graph *hop.Graph
	words func(string) string // replaces what names others
	whole bool
	left  int64 // records that were left out, of all tenants
}

// busy says that a question can't be answered now.
func busy(says string, retry time.Duration) error {
	return &api.Problem{Status: http.StatusServiceUnavailable, Says: says, Retry: max(retry, time.Second)}
}

// ask waits for the turn, and has the question answered over a copy that is as new as it may be.
func (q *inquiries) ask(ctx context.Context, scope tenant.Scope, answer func(*graphView, *heldGraph) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.within)
	defer cancel()
	select {
	case q.places <- struct{}{}:
		defer func() { <-q.places }()
	default:
		return busy("too many traces are asked for at once; try again", time.Second)
	}
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return busy("other traces took too long; try again", 2*time.Second)
	}
	h, err := q.copy(ctx)
	if err != nil {
		return err
	}
	q.linger()
	began := q.now()
	h.learn(*q.taken.Load())
	err = answer(h.view(scope), h)
	q.walked = max(q.walked, q.now()-began)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return busy("this took too long; try again", 5*time.Second)
	}
	return nil
}

// copy returns a copy of the graph: a new one where events came since and the pipeline may be held up again.
func (q *inquiries) copy(ctx context.Context) (*heldGraph, error) {
	var h *heldGraph
	var wait time.Duration
	err := q.live.doWithin(ctx, func() {
		c := q.live.core
		began := q.now()
		wait = q.made + max(copyPart*q.took, copyPays*q.walked) - began
		switch h = c.held; {
		case h != nil && h.taken == c.taking():
			h.at, h.settled = time.Now().UTC(), q.live.settled()
			return
		case wait > 0:
			return // what there is must do
		}
		c.held = &heldGraph{graph: c.graph.Copy(), model: c.setup.Model, taken: c.taking(), at: time.Now().UTC(), settled: q.live.settled(), views: map[string]*graphView{}}
		h, q.made, q.walked = c.held, q.now(), 0
		q.took = q.made - began
		q.live.stats.copyMicros.Store(q.took.Microseconds())
	})
	switch {
	case err != nil:
		return nil, err
	case h == nil:
		return nil, busy("the graph was copied a moment ago, and has been put in order since; try again", wait)
	}
	return h, nil
}

// learn takes what other organisations answered into the graph, each answer for the tenant that had asked.
func (h *heldGraph) learn(list []*takenAnswer) {
	if h.learned >= len(list) {
		return
	}
	for _, a := range list[h.learned:] {
		if a.holds(h.model, h.at) == nil {
			a.learn(h.graph)
		}
	}
	h.learned = len(list)
	clear(h.views)
}

// linger gives the memory of the copy back once nobody asks any more.
func (q *inquiries) linger() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle != nil {
		q.idle.Stop()
	}
	q.idle = time.AfterFunc(keepCopyFor, func() { q.live.do(func() { q.live.core.held = nil }) })
}

// view returns what a scope may see of the copy: for fewer than all tenants a graph of their telemetry alone, under the
// part of the model that is theirs. Nothing of others goes into an answer, and what their own telemetry tells of
// others loses its name.
func (h *heldGraph) view(scope tenant.Scope) *graphView {
	key := fmt.Sprint(scope)
	if v := h.views[key]; v != nil {
		return v
	}
	v := &graphView{model: h.model, graph: h.graph, words: campaign.WordsWithin(scope, h.model), whole: campaign.SeesAll(scope), left: h.graph.FlowsLeft()}
	if !v.whole {
		v.model, v.graph = campaign.ModelWithin(scope, h.model), h.graph.Within(func(id tenant.ID) bool { return id != "" && scope.Sees(id) })
	}
	if len(h.views) >= maxScopes {
		clear(h.views)
	}
	h.views[key] = v
	return v
}

// LiveTraces is what a running server answers to a trace.
type LiveTraces struct {
	AsOf    time.Time `json:"as_of"`   // what was taken in later is not in the graph
	Settled bool      `json:"settled"` // the graph is that of a scan of everything that was sent by then
	Traces  []Traced  `json:"traces"`
}

// LiveBlast is what a running server answers to a blast.
type LiveBlast struct {
	AsOf    time.Time    `json:"as_of"`
	Settled bool         `json:"settled"`
	Blast   *BlastAnswer `json:"blast"`
}

// Trace implements api.Investigator.
func (q *inquiries) Trace(ctx context.Context, scope tenant.Scope, r *campaign.Result, ask api.TraceQuery) (any, error) {
	var out *LiveTraces
	err := q.ask(ctx, scope, func(v *graphView, h *heldGraph) error {
		list, err := q.traces(ctx, v, r, ask)
		out = &LiveTraces{AsOf: h.at, Settled: h.settled, Traces: list}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// traces walks a view of the graph back from what is asked for.
func (q *inquiries) traces(ctx context.Context, v *graphView, r *campaign.Result, ask api.TraceQuery) ([]Traced, error) {
	c := &Case{Model: v.model, Result: r, graph: v.graph}
	o := TraceOptions{Subject: ask.Subject, Tenant: ask.Tenant, At: ask.At, User: ask.User, Most: cmp.Or(ask.Paths, 3)}
	points, finding, err := c.points(o)
	if err != nil {
		return nil, asked(err)
	}
	if finding == nil {
		if err := v.holds(points[0]); err != nil {
			return nil, err
		}
	}
	out := []Traced{}
	for _, p := range points {
		if ctx.Err() != nil {
			break // ask says so
		}
		var told []*takenAnswer
		c.closed = map[string]string{}
		for _, a := range *q.taken.Load() {
			if tenant.ID(a.r.Asker) == p.Tenant && a.holds(v.model, time.Now()) == nil {
				told = append(told, a)
				a.close(c.closed)
			}
		}
		t := c.trace(p, o.Most)
		if finding != nil {
			t.Finding = finding.ID
		}
		for _, a := range told {
			if a.addr.IsValid() && t.names(a.addr.String()) {
				t.Answers = append(t.Answers, a.text())
			}
		}
		v.traced(&t)
		out = append(out, t)
	}
	return out, nil
}

// names reports whether a place of that name lies on one of the ways.
func (t *Traced) names(name string) bool {
	for i := range t.Paths {
		p := &t.Paths[i]
		if p.Origin.Name == name || slices.ContainsFunc(p.Hops, func(h TracedHop) bool { return h.From.Name == name || h.To.Name == name }) {
			return true
		}
	}
	return false
}

// Blast implements api.Investigator.
func (q *inquiries) Blast(ctx context.Context, scope tenant.Scope, r *campaign.Result, ask api.BlastQuery) (any, error) {
	var out *LiveBlast
	err := q.ask(ctx, scope, func(v *graphView, h *heldGraph) error {
		c := &Case{Model: v.model, Result: r, graph: v.graph}
		b, err := c.Blast(BlastOptions{Subject: ask.Subject, As: ask.As, Since: ask.Since})
		if err != nil {
			return asked(err)
		}
		if from, to := v.span(); !b.Since.IsZero() && b.Since.After(to) {
			return nothingHeld("since", "", from, to)
		} else if !b.Since.IsZero() && b.Since.Before(from) {
			b.Notes = append(b.Notes, fmt.Sprintf("telemetry is held from %s on; what was before that is not known", from.Format(time.RFC3339)))
		}
		v.blasted(b)
		out = &LiveBlast{AsOf: h.at, Settled: h.settled, Blast: b}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// asked turns an error of a question into an answer. Another's finding is answered as one that does not exist.
func asked(err error) error {
	if errors.Is(err, errNoFinding) {
		return &api.Problem{Status: http.StatusNotFound, Says: "no finding that you may see has that id; `breakwater finding list` lists those that there are"}
	}
	return &api.Problem{Status: http.StatusBadRequest, Says: err.Error()}
}

func nothingHeld(what string, id tenant.ID, from, to time.Time) error {
	whose := ""
	if id != "" {
		whose = " of " + string(id)
	}
	if from.IsZero() {
		return &api.Problem{Status: http.StatusNotFound, Says: what + ": no telemetry" + whose + " in which a session would show is held"}
	}
	return &api.Problem{Status: http.StatusNotFound, Says: fmt.Sprintf("%s: telemetry%s in which a session would show is held from %s to %s; that time is not in it", what, whose, from.Format(time.RFC3339), to.Format(time.RFC3339))}
}

// holds refuses a time of which nothing is held of a tenant. One whose telemetry is not held at all is no mistake of
// who asks: the trace says whom to ask then.
func (v *graphView) holds(p hop.TracePoint) error {
	from, to, ok := v.graph.Held(p.Tenant)
	if !ok || !p.Time.Before(from.Add(-hop.HeardSlack)) && !p.Time.After(to.Add(hop.HeardSlack)) {
		return nil
	}
	return nothingHeld("at", p.Tenant, from, to)
}

// span is from when to when the telemetry of the view reaches.
func (v *graphView) span() (from, to time.Time) {
	for i := range v.model.Tenants {
		a, b, ok := v.graph.Held(v.model.Tenants[i].ID)
		if !ok {
			continue
		}
		if from.IsZero() || a.Before(from) {
			from = a
		}
		if b.After(to) {
			to = b
		}
	}
	return from, to
}

// traced takes others' names out of an answer to whoever may not see all.
func (v *graphView) traced(t *Traced) {
	if v.whole {
		return
	}
	for i := range t.Paths {
		p := &t.Paths[i]
		if x := v.words(p.Origin.Name); x == campaign.Elsewhere || v.others(p.Origin) {
			p.Origin, p.Ask, p.Reason, p.Shared = TracedPlace{Name: campaign.Elsewhere}, nil, "it leads on at "+campaign.Elsewhere, false
		} else if p.Origin.Name = x; p.Ask != nil && p.Origin.Tenant == "" && p.Origin.Partner != "" {
			p.Reason = fmt.Sprintf("%s belongs to %s, whose telemetry is not yours to see", p.Origin.Name, p.Ask.Organisation)
		}
		p.Reason, p.Tied = v.words(p.Reason), v.words(p.Tied)
		if v.left > 0 {
			p.Reason += "; some records of sessions were left out, so one may be missing"
		}
		for k := range p.Hops {
			h := &p.Hops[k]
			h.From, h.To = v.place(h.From), v.place(h.To)
			h.User, h.File = v.words(h.User), v.words(h.File)
			v.all(h.For)
			v.all(h.Against)
		}
		if a := p.Ask; a != nil {
			for _, s := range []*string{&a.Organisation, &a.Address, &a.Host, &a.Account, &a.Target, &a.JoinKey} {
				*s = v.words(*s)
			}
		}
	}
	v.all(t.Clocks)
	v.all(t.Answers)
}

// blasted takes others' names out of an answer.
func (v *graphView) blasted(b *BlastAnswer) {
	if v.whole {
		return
	}
	for i := range b.Tenants {
		t := &b.Tenants[i]
		v.all(t.Accounts)
		for k := range t.Hosts {
			h := &t.Hosts[k]
			h.Host, h.From, h.User, h.File = v.words(h.Host), v.words(h.From), v.words(h.User), v.words(h.File)
		}
	}
	if v.left > 0 {
		b.Notes = append(b.Notes, "some records of sessions were left out, so something may be missing")
	}
	v.all(b.Clocks)
	v.all(b.Notes)
}

func (v *graphView) all(list []string) {
	for i := range list {
		list[i] = v.words(list[i])
	}
}

// others reports whether a place lies with a tenant or partner that the view does not know.
func (v *graphView) others(p TracedPlace) bool {
	return p.Tenant != "" && v.model.Tenant(p.Tenant) == nil || p.Partner != "" && v.model.Partner(p.Partner) == nil
}

func (v *graphView) place(p TracedPlace) TracedPlace {
	if x := v.words(p.Name); x == campaign.Elsewhere || v.others(p) {
		return TracedPlace{Name: campaign.Elsewhere}
	}
	if _, err := netip.ParseAddr(p.Name); err != nil {
		p.Name = v.words(p.Name)
	}
	return p
}
