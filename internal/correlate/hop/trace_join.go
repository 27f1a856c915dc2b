package hop

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// fewFresh is how many new records are put among the sorted ones each by itself; more are merged in at once.
const fewFresh = 64

// joined is which record became which edge. Records of connections are kept in an order in which those of one
// connection lie side by side; those without a source port are each by itself and in no order.
type joined struct {
	hashes []uint64 // of what makes a connection, by place in the list of records
	edges  []*edge  // by place in the list of records
	order  []int32  // places of records with a source port
}

// joinAll makes edges of all records. Up to four sensors of two tenants see one connection: equal addresses and ports,
// and starts within a second by one clock. A tenant that can't tell whose an address is learns it from the one that can.
func (ix *traceIndex) joinAll() {
	n := len(ix.flows.list)
	ix.joined = joined{hashes: make([]uint64, 0, n), edges: make([]*edge, 0, n)}
	ix.grow()
	for i := range ix.flows.list {
		if ix.flows.list[i].sport != 0 {
			ix.order = append(ix.order, int32(i))
		}
	}
	slices.SortFunc(ix.order, ix.compare)
	for i := range ix.flows.list {
		if ix.flows.list[i].sport == 0 {
			ix.edges[i] = ix.edge(int32(i))
			ix.worked.add(ix.edges[i])
		}
	}
	for from := 0; from < len(ix.order); {
		to := from + 1
		for to < len(ix.order) && ix.sameTuple(ix.order[from], ix.order[to]) {
			to++
		}
		for _, e := range ix.join(ix.order[from:to]) {
			ix.worked.add(e)
		}
		from = to
	}
}

// joinFresh joins the records that came, or were told to last longer, since the last time.
func (ix *traceIndex) joinFresh() {
	for _, i := range ix.flows.touched {
		if i < len(ix.edges) {
			ix.worked.remove(ix.edges[i])
			ix.edges[i] = ix.edge(int32(i)) // logons and translations, each by itself
			ix.worked.insert(ix.edges[i])
		}
	}
	first := len(ix.edges)
	ix.grow()
	var fresh []int32
	for i := first; i < len(ix.edges); i++ {
		if ix.flows.list[i].sport != 0 {
			fresh = append(fresh, int32(i))
			continue
		}
		ix.edges[i] = ix.edge(int32(i))
		ix.worked.insert(ix.edges[i])
	}
	ix.sortIn(fresh)
	for _, i := range fresh {
		if ix.edges[i] == nil { // else one before has joined it
			ix.rejoin(i)
		}
	}
}

// behind reports whether so much is new that it costs less to join everything anew.
func (ix *traceIndex) behind() bool {
	n := len(ix.edges)
	return len(ix.flows.list)-n+len(ix.flows.touched) > n/8+1024
}

// grow makes room for records that came since.
func (ix *traceIndex) grow() {
	for i := len(ix.edges); i < len(ix.flows.list); i++ {
		ix.hashes, ix.edges = append(ix.hashes, ix.flows.list[i].hash()), append(ix.edges, nil)
	}
}

// sortIn puts records among the sorted ones.
func (ix *traceIndex) sortIn(fresh []int32) {
	if len(fresh) <= fewFresh {
		for _, i := range fresh {
			at, _ := slices.BinarySearchFunc(ix.order, i, ix.compare)
			ix.order = slices.Insert(ix.order, at, i)
		}
		return
	}
	list := slices.SortedFunc(slices.Values(fresh), ix.compare)
	old := ix.order
	ix.order = make([]int32, 0, len(old)+len(list)+len(old)/8)
	for len(old) > 0 && len(list) > 0 {
		if ix.compare(old[0], list[0]) <= 0 {
			ix.order, old = append(ix.order, old[0]), old[1:]
		} else {
			ix.order, list = append(ix.order, list[0]), list[1:]
		}
	}
	ix.order = append(append(ix.order, old...), list...)
}

// rejoin joins a record with those about it: no connection reaches over a second in which none of its records starts.
func (ix *traceIndex) rejoin(i int32) {
	at, _ := slices.BinarySearchFunc(ix.order, i, ix.compare)
	from, to := at, at+1
	near := func(a, b int32) bool { return ix.sameTuple(a, b) && ix.startOf(b).Sub(ix.startOf(a)) <= sameFlow }
	for from > 0 && near(ix.order[from-1], ix.order[from]) {
		from--
	}
	for to < len(ix.order) && near(ix.order[to-1], ix.order[to]) {
		to++
	}
	run := ix.order[from:to]
	gone := map[*edge]bool{}
	for _, k := range run {
		if e := ix.edges[k]; e != nil && !gone[e] {
			gone[e] = true
			ix.worked.remove(e)
		}
	}
	for _, e := range ix.join(run) {
		ix.worked.insert(e)
	}
}

// join makes edges of records of one 5-tuple, which are sorted by start.
func (ix *traceIndex) join(run []int32) []*edge {
	var out []*edge
	for _, i := range run {
		e := ix.edge(i)
		if o := latest(out, e); o != nil {
			o.merge(e)
			e = o
		} else {
			out = append(out, e)
		}
		ix.edges[i] = e
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

// edge is what one record tells, by the clock that its tenant's group is measured by.
func (ix *traceIndex) edge(i int32) *edge {
	f := &ix.flows.list[i]
	return &edge{from: ix.end(f.tenant, f.src, f.srcHost, ix.named), to: ix.end(f.tenant, f.dst, f.dstHost, ix.host), start: ix.common(f.tenant, f.start), end: ix.common(f.tenant, f.end), port: f.dport,
		packets: f.packets, kind: f.kind, user: f.user, seen: []tenant.ID{f.tenant}, file: f.file, record: f.record}
}

func (ix *traceIndex) startOf(i int32) time.Time {
	f := &ix.flows.list[i]
	if len(ix.shifts) == 0 {
		return f.start
	}
	return ix.common(f.tenant, f.start)
}

func (ix *traceIndex) sameTuple(a, b int32) bool {
	return ix.hashes[a] == ix.hashes[b] && ix.flows.list[a].compareTuple(&ix.flows.list[b]) == 0
}

// compare orders records by connection, then by start.
func (ix *traceIndex) compare(i, j int32) int {
	if c := cmp.Compare(ix.hashes[i], ix.hashes[j]); c != 0 {
		return c
	}
	a, b := &ix.flows.list[i], &ix.flows.list[j]
	if c := a.compareTuple(b); c != 0 {
		return c
	}
	if c := ix.startOf(i).Compare(ix.startOf(j)); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(string(a.tenant), string(b.tenant)), a.end.Compare(b.end), cmp.Compare(a.packets, b.packets),
		strings.Compare(a.file, b.file), cmp.Compare(a.record, b.record), cmp.Compare(i, j))
}

// hash is equal for records of one connection. It only brings them together: what they are is compared.
func (f *flow) hash() uint64 {
	h := uint64(f.sport)<<16 | uint64(f.dport)
	for _, a := range [...][16]byte{f.src.As16(), f.dst.As16()} {
		for _, w := range [...]uint64{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])} {
			h = (h ^ w) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
	}
	return h
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
