package hop

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// edge is one session from place to place: the records that several sensors made of it, joined.
type edge struct {
	from, to   Place
	start, end time.Time
	port       uint16
	packets    int64
	kind       string
	user       string
	seen       []tenant.ID // sorted
	key        ocsf.JoinKey
	told       bool    // another organisation's answer
	share      float64 // and how sure it is
	by         string
	file       string
	record     int64
}

// traceIndex is what was collected, with the model's word on whose each address is.
type traceIndex struct {
	model  *tenant.Model
	flows  *flows
	trusts map[tenant.ID][]*tenant.Trust
	places map[tenantAddr]Place
	shifts map[tenant.ID]shift // of the tenants' clocks
	worked ways                // of records
	joined                     // which record became which edge
	held   ways                // of leases and of remote tools' sessions, which grow
	grown  int64
	looked int // sessions weighed since the last search began
}

// ways are sessions from place to place by where they lead.
type ways struct {
	to    map[Place]*arrivals
	pairs map[[2]Place]int // sessions of a pair
}

// arrivals are the sessions into one place, by start, and until when one of them or of those before it may have been
// open.
type arrivals struct {
	list  []*edge
	until []time.Time
}

func newWays() ways { return ways{to: map[Place]*arrivals{}, pairs: map[[2]Place]int{}} }

func (w *ways) add(e *edge) {
	if e.from == e.to || e.from.Name() == "" {
		return
	}
	a := w.to[e.to]
	if a == nil {
		a = &arrivals{}
		w.to[e.to] = a
	}
	a.list = append(a.list, e)
	w.pairs[[2]Place{e.from, e.to}]++
}

func (w *ways) sort() {
	for _, a := range w.to {
		slices.SortFunc(a.list, compareEdges)
		a.lasting(0)
	}
}

// lasting tells anew until when sessions may have been open, from one of them on.
func (a *arrivals) lasting(from int) {
	a.until = slices.Grow(a.until[:from], len(a.list)-from)
	for i, e := range a.list[from:] {
		t := e.end.Add(e.slack())
		if i += from; i > 0 && a.until[i-1].After(t) {
			t = a.until[i-1]
		}
		a.until = append(a.until, t)
	}
}

// insert adds a session to sorted ones.
func (w *ways) insert(e *edge) {
	if e.from == e.to || e.from.Name() == "" {
		return
	}
	a := w.to[e.to]
	if a == nil {
		a = &arrivals{}
		w.to[e.to] = a
	}
	i, _ := slices.BinarySearchFunc(a.list, e, compareEdges)
	a.list = slices.Insert(a.list, i, e)
	a.lasting(i)
	w.pairs[[2]Place{e.from, e.to}]++
}

// remove takes a session out of sorted ones.
func (w *ways) remove(e *edge) {
	a := w.to[e.to]
	if a == nil {
		return
	}
	i, _ := slices.BinarySearchFunc(a.list, e, compareEdges)
	for ; i < len(a.list) && a.list[i] != e; i++ {
		if compareEdges(a.list[i], e) != 0 {
			return // it leads nowhere, so it was never in
		}
	}
	if i == len(a.list) {
		return
	}
	a.list = slices.Delete(a.list, i, i+1)
	a.lasting(i)
	k := [2]Place{e.from, e.to}
	if w.pairs[k]--; w.pairs[k] == 0 {
		delete(w.pairs, k)
	}
}

// traceIndex returns the index. Records that came since the last time are joined to those that are in; all is built
// anew only where it means something else: another model, other clocks, hosts that became known, records that went.
func (g *Graph) traceIndex(m *tenant.Model) *traceIndex {
	ix, shifts := g.flows.index, g.flows.clocks.shifts()
	if ix == nil || ix.model != m || ix.behind() || !sameClocks(ix.shifts, shifts) {
		ix = &traceIndex{model: m, flows: g.flows, shifts: shifts, trusts: map[tenant.ID][]*tenant.Trust{}, places: map[tenantAddr]Place{}, worked: newWays(), grown: -1}
		for i := range m.Trusts {
			t := &m.Trusts[i]
			ix.trusts[t.Tenant] = append(ix.trusts[t.Tenant], t)
		}
		ix.joinAll()
		for _, t := range g.flows.told {
			ix.worked.add(ix.answered(t))
		}
		ix.worked.sort()
		g.flows.index = ix
	} else {
		ix.joinFresh()
	}
	g.flows.touched = nil
	if ix.grown != g.grown {
		ix.held, ix.grown = newWays(), g.grown
		for _, s := range g.sessions {
			for _, e := range ix.session(s) {
				ix.held.add(e)
			}
		}
		ix.held.sort()
	}
	return ix
}

// sameClocks reports whether two comparisons of clocks come to the same.
func sameClocks(a, b map[tenant.ID]shift) bool {
	if len(a) != len(b) {
		return false
	}
	for id, s := range a {
		if o, known := b[id]; !known || o.by != s.by || o.root != s.root {
			return false
		}
	}
	return true
}

// open calls each with the sessions into a place that may have been open at a time, the last first.
func (ix *traceIndex) open(at Place, when time.Time, each func(*edge)) {
	var lists [2]arrivals
	var next [2]int
	for k, w := range [...]*ways{&ix.worked, &ix.held} {
		if a := w.to[at]; a != nil {
			lists[k] = *a
			next[k], _ = slices.BinarySearchFunc(a.list, when, func(e *edge, t time.Time) int {
				if e.start.After(t) {
					return 1
				}
				return -1
			})
		}
		next[k]--
	}
	for {
		best := -1
		for k := range lists {
			if i := next[k]; i < 0 || when.After(lists[k].until[i]) {
				continue
			}
			if best < 0 || compareEdges(lists[k].list[next[k]], lists[best].list[next[best]]) >= 0 {
				best = k
			}
		}
		if best < 0 {
			return
		}
		each(lists[best].list[next[best]])
		next[best]--
	}
}

func (ix *traceIndex) end(id tenant.ID, a netip.Addr, host string, named func(tenant.ID, string) Place) Place {
	if a.IsValid() {
		return ix.place(id, a)
	}
	return named(id, host)
}

// agree reports whether two tenants may mean the same place.
func agree(a, b Place) bool { return a == b || a.view != "" || b.view != "" }

func (e *edge) merge(o *edge) {
	if e.from.view != "" {
		e.from = o.from
	}
	if e.to.view != "" {
		e.to = o.to
	}
	if o.end.After(e.end) {
		e.end = o.end
	}
	e.packets = max(e.packets, o.packets)
	if k, there := slices.BinarySearch(e.seen, o.seen[0]); !there {
		e.seen = slices.Insert(e.seen, k, o.seen[0])
	}
}

func compareEdges(a, b *edge) int {
	if c := a.start.Compare(b.start); c != 0 {
		return c
	}
	return cmp.Or(a.end.Compare(b.end), strings.Compare(a.from.Name(), b.from.Name()),
		strings.Compare(string(a.from.Tenant), string(b.from.Tenant)), cmp.Compare(a.port, b.port), strings.Compare(a.kind, b.kind),
		strings.Compare(a.user, b.user), cmp.Compare(a.packets, b.packets), strings.Compare(a.file, b.file), cmp.Compare(a.record, b.record),
		comparePlaces(a.from, b.from), slices.Compare(a.seen, b.seen))
}

// session makes edges of a VPN lease (from where it came to the address it was given) and of a remote tool's session
// (to each host it worked on).
func (ix *traceIndex) session(s *Session) []*edge {
	if s.Out || (s.Kind != KindVPN && s.Kind != KindRMM) {
		return nil
	}
	e := edge{start: ix.common(s.Tenant, s.Start), end: ix.common(s.Tenant, s.End), kind: string(s.Kind), user: s.User, seen: []tenant.ID{s.Tenant}, file: s.Opened.File, record: s.Opened.Record}
	home := tenant.ID("")
	if p := ix.model.Partner(s.Partner); p != nil {
		home = p.Tenant
	}
	public := s.Public
	if s.Kind == KindRMM {
		public = s.Addr
		if s.Instance != "" {
			e.key = ocsf.JoinKey{Kind: "rmm-instance", Value: s.Instance}
		}
	}
	switch {
	case s.Kind == KindVPN && s.Origin != "" && s.Origin != "-" && home != "":
		e.from = ix.host(home, s.Origin)
	case !public.IsValid():
		return nil
	default:
		if e.from = ix.place(s.Tenant, public); e.from.Tenant == "" && e.from.Partner == "" {
			e.from.Partner = s.Partner // its account, from an address nobody declares
		}
	}
	if s.Kind == KindVPN {
		if !s.Addr.IsValid() {
			return nil
		}
		e.to = ix.place(s.Tenant, s.Addr)
		return []*edge{&e}
	}
	var out []*edge
	for _, a := range s.Acts {
		if a.Target != "" && a.Got {
			x := e
			x.to = ix.host(s.Tenant, a.Target)
			out = append(out, &x)
		}
	}
	return out
}

func (e *edge) weak() bool { return e.kind == flowSMB || e.kind == flowNet }

// slack is how long after its last record a session may still have been open.
func (e *edge) slack() time.Duration {
	if e.packets == 0 {
		return Gap // a logon or lease, whose end is not always told
	}
	return EndSlack
}
