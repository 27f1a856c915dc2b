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
	held   ways                // of leases and of remote tools' sessions, which grow
	grown  int64
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
		a.until = make([]time.Time, len(a.list))
		for i, e := range a.list {
			a.until[i] = e.end.Add(e.slack())
			if i > 0 && a.until[i-1].After(a.until[i]) {
				a.until[i] = a.until[i-1]
			}
		}
	}
}

// traceIndex returns the index, of which it builds anew what no longer holds: what records say, or what sessions do.
func (g *Graph) traceIndex(m *tenant.Model) *traceIndex {
	ix, shifts := g.flows.index, g.flows.clocks.shifts()
	if ix == nil || ix.model != m || !sameClocks(ix.shifts, shifts) {
		ix = &traceIndex{model: m, flows: g.flows, shifts: shifts, trusts: map[tenant.ID][]*tenant.Trust{}, places: map[tenantAddr]Place{}, worked: newWays(), grown: -1}
		for i := range m.Trusts {
			t := &m.Trusts[i]
			ix.trusts[t.Tenant] = append(ix.trusts[t.Tenant], t)
		}
		for _, e := range ix.join(g.flows.list) {
			ix.worked.add(e)
		}
		for _, t := range g.flows.told {
			ix.worked.add(ix.answered(t))
		}
		ix.worked.sort()
		g.flows.index = ix
	}
	if ix.grown != g.grown {
		ix.held, ix.grown = newWays(), g.grown
		for _, s := range g.Sessions() {
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

// join makes edges of records. Up to four sensors of two tenants see one connection: equal addresses and ports, and
// starts within a second. A tenant that can't tell whose an address is learns it from the one that can.
func (ix *traceIndex) join(list []flow) []*edge {
	order := make([]*flow, len(list))
	if len(ix.shifts) > 0 { // by one clock
		list = slices.Clone(list)
		for i := range list {
			f := &list[i]
			f.start, f.end = ix.common(f.tenant, f.start), ix.common(f.tenant, f.end)
		}
	}
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortFunc(order, func(a, b *flow) int {
		if c := a.compareTuple(b); c != 0 {
			return c
		}
		if c := a.start.Compare(b.start); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(string(a.tenant), string(b.tenant)),
			a.end.Compare(b.end), cmp.Compare(a.packets, b.packets), strings.Compare(a.file, b.file), cmp.Compare(a.record, b.record))
	})
	var out []*edge
	group := 0 // first edge of the connection at hand
	for i, f := range order {
		if i > 0 && (f.sport == 0 || order[i-1].compareTuple(f) != 0) {
			group = len(out)
		}
		e := &edge{from: ix.end(f.tenant, f.src, f.srcHost, ix.named), to: ix.end(f.tenant, f.dst, f.dstHost, ix.host), start: f.start, end: f.end, port: f.dport,
			packets: f.packets, kind: f.kind, user: f.user, seen: []tenant.ID{f.tenant}, file: f.file, record: f.record}
		if o := latest(out[group:], e); o != nil {
			o.merge(e)
			continue
		}
		out = append(out, e)
	}
	return out
}

// latest returns the edge of the same connection among those of its 5-tuple, which are sorted by start.
func latest(list []*edge, e *edge) *edge {
	for _, o := range slices.Backward(list) {
		if e.start.Sub(o.start) > sameFlow {
			return nil
		}
		if agree(e.from, o.from) && agree(e.to, o.to) {
			return o
		}
	}
	return nil
}

func (f *flow) compareTuple(o *flow) int {
	if c := f.src.Compare(o.src); c != 0 {
		return c
	}
	if c := f.dst.Compare(o.dst); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(f.sport, o.sport), cmp.Compare(f.dport, o.dport),
		strings.Compare(f.srcHost, o.srcHost), strings.Compare(f.dstHost, o.dstHost))
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
		strings.Compare(a.user, b.user), cmp.Compare(a.packets, b.packets))
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
