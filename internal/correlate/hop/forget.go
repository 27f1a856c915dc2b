package hop

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// roomPart is the part that goes at once where a bound is reached, so that each newcomer does not cost a search.
const roomPart = 16

// Forget drops what ended before the time: sessions, records of remote work, and the addresses, names and hosts that
// nothing told of since. A trace that leads there says that no telemetry of that time is held.
func (g *Graph) Forget(before time.Time) {
	for id, s := range g.sessions {
		if s.End.Before(before) {
			delete(g.sessions, id)
		}
	}
	g.unlink()
	g.flows.forget(before)
	g.flows.rewrite(g.sessions)
}

// makeRoom drops the sessions that ended first.
func (g *Graph) makeRoom() {
	list := slices.SortedFunc(maps.Values(g.sessions), func(a, b *Session) int {
		return cmp.Or(a.End.Compare(b.End), strings.Compare(a.ID, b.ID))
	})
	for _, s := range list[:min(len(list), g.most/roomPart+1)] {
		g.Left += s.Events
		delete(g.sessions, s.ID)
	}
	g.unlink()
	g.flows.rewrite(g.sessions)
}

// unlink forgets sessions that were dropped wherever they are still named.
func (g *Graph) unlink() {
	dropped := func(_ string, s *Session) bool { return g.sessions[s.ID] != s }
	maps.DeleteFunc(g.running, dropped)
	maps.DeleteFunc(g.logons, dropped)
	g.grown++
}

func (fs *flows) forget(before time.Time) {
	fs.drop(func(_ int, f *flow) bool { return f.end.Before(before) })
	at := before.Unix()
	fs.settle()
	maps.DeleteFunc(fs.seen, func(_ tenantAddr, last int64) bool { return last < at })
	fs.at = house{}
	maps.DeleteFunc(fs.hosts, func(_ tenantHost, last int64) bool { return last < at })
	maps.DeleteFunc(fs.machines, func(_ tenantAddr, m machine) bool { return m.last < at })
	maps.DeleteFunc(fs.names, func(_ tenantHost, n name) bool { return n.last < at })
	maps.DeleteFunc(fs.heard, func(_ tenant.ID, h *heard) bool { return h.to.Before(before) })
	fs.clocks.forget(before)
	for _, h := range fs.heard {
		if h.from.Before(before) {
			h.from = before // what was heard earlier can't be asked any more
		}
	}
}

// makeRoom drops the records that ended first.
func (fs *flows) makeRoom() {
	order := make([]int, len(fs.list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(fs.list[a].end.Compare(fs.list[b].end), cmp.Compare(a, b)) })
	gone := make([]bool, len(fs.list))
	for _, i := range order[:min(len(order), fs.most/roomPart+1)] {
		gone[i] = true
		fs.left++
	}
	fs.drop(func(i int, _ *flow) bool { return gone[i] })
}

// drop takes records out of the list; those that stay keep their order.
func (fs *flows) drop(gone func(int, *flow) bool) {
	moved := make([]int, len(fs.list))
	kept := fs.list[:0]
	for i := range fs.list {
		moved[i] = -1
		if !gone(i, &fs.list[i]) {
			moved[i] = len(kept)
			kept = append(kept, fs.list[i])
		}
	}
	clear(fs.list[len(kept):])
	fs.list, fs.index, fs.touched = kept, nil, nil
	for k, i := range fs.logons {
		if moved[i] < 0 {
			delete(fs.logons, k)
		} else {
			fs.logons[k] = moved[i]
		}
	}
}

// rewrite keeps of the words only those that are still used.
func (fs *flows) rewrite(sessions map[string]*Session) {
	words := make(map[string]string, len(fs.words)/2)
	use := func(s string) { words[s] = s }
	for i := range fs.list {
		f := &fs.list[i]
		for _, s := range [...]string{string(f.tenant), f.srcHost, f.dstHost, f.user, f.file} {
			use(s)
		}
	}
	for k := range fs.logons {
		use(k.host)
	}
	for k := range fs.seen {
		use(string(k.tenant))
	}
	for k := range fs.hosts {
		use(k.host)
	}
	for k := range fs.names {
		use(k.host)
	}
	for k, m := range fs.machines {
		use(string(k.tenant))
		use(m.host)
	}
	for id := range fs.heard {
		use(string(id))
	}
	for _, s := range sessions {
		for _, w := range [...]string{string(s.Tenant), string(s.Trust), string(s.Partner), s.Opened.File} {
			use(w)
		}
		for l := range s.Layers {
			use(string(l))
		}
		for i := range s.Acts {
			a := &s.Acts[i]
			for _, w := range [...]string{a.Kind, a.Target, a.User, a.File} {
				use(w)
			}
		}
	}
	fs.settle() // it holds words that may be gone
	fs.words, fs.at = words, house{}
}

// crowd makes room in a map that is full: those go that were told of longest ago.
func crowd[K comparable, V any](m map[K]V, most int, last func(V) int64) {
	if len(m) < most {
		return
	}
	times := make([]int64, 0, len(m))
	for _, v := range m {
		times = append(times, last(v))
	}
	slices.Sort(times)
	n := min(len(times), most/roomPart+1)
	limit := times[n-1]
	for k, v := range m {
		if n > 0 && last(v) <= limit {
			delete(m, k)
			n--
		}
	}
}
