package hop

import (
	"maps"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Copy returns a graph that answers as this one does now (Trace, Candidates, Blast, Behind, Used, SeenBy, Skews and
// Held) while this one goes on. It takes no events. It costs about as long as the memory takes to be copied: the
// index that a trace walks over is left to whoever asks the copy first.
func (g *Graph) Copy() *Graph {
	return g.part(nil)
}

// Within returns a copy that holds what the telemetry of some tenants told and nothing of others, so that no answer of
// it can rest on theirs. How many records were left out is not told by tenant: FlowsLeft is 0.
func (g *Graph) Within(sees func(tenant.ID) bool) *Graph {
	out := g.part(sees)
	out.Left, out.flows.left = 0, 0
	return out
}

// part copies what the telemetry of the tenants told that are seen; nil sees all.
func (g *Graph) part(sees func(tenant.ID) bool) *Graph {
	all := sees == nil
	out := &Graph{sessions: map[string]*Session{}, most: g.most, grown: g.grown, Left: g.Left, flows: g.flows.part(sees)}
	n, acts := 0, 0
	for _, s := range g.sessions {
		if all || sees(s.Tenant) {
			n, acts = n+1, acts+len(s.Acts)
		}
	}
	out.sessions = make(map[string]*Session, n)
	room, done := make([]Session, 0, n), make([]Act, 0, acts)
	for id, s := range g.sessions {
		if !all && !sees(s.Tenant) {
			continue
		}
		room = append(room, *s)
		c := &room[len(room)-1]
		done = append(done, s.Acts...)
		c.Acts, c.Layers = done[len(done)-len(s.Acts):len(done):len(done)], nil // no trace asks for the layers
		out.sessions[id] = c
	}
	return out
}

func (fs *flows) part(sees func(tenant.ID) bool) *flows {
	out := newFlows()
	out.most, out.left = fs.most, fs.left
	if all := sees == nil; all {
		sees = func(tenant.ID) bool { return true }
		out.list, out.seen, out.names, out.hosts = slices.Clone(fs.list), maps.Clone(fs.seen), maps.Clone(fs.names), maps.Clone(fs.hosts)
	} else {
		for i := range fs.list {
			if sees(fs.list[i].tenant) {
				out.list = append(out.list, fs.list[i])
			}
		}
		pick(out.seen, fs.seen, func(k tenantAddr) bool { return sees(k.tenant) })
		pick(out.names, fs.names, func(k tenantHost) bool { return sees(k.tenant) })
		pick(out.hosts, fs.hosts, func(k tenantHost) bool { return sees(k.tenant) })
	}
	for id, h := range fs.heard {
		if sees(id) {
			c := *h
			out.heard[id] = &c
		}
	}
	for pair, p := range fs.clocks.pairs {
		if sees(pair[0]) && sees(pair[1]) {
			c := *p
			c.samples = slices.Clone(p.samples)
			out.clocks.pairs[pair] = &c
		}
	}
	for _, t := range fs.told {
		if sees(t.Tenant) {
			out.told = append(out.told, t)
		}
	}
	return out
}

func pick[K comparable, V any](into, from map[K]V, want func(K) bool) {
	for k, v := range from {
		if want(k) {
			into[k] = v
		}
	}
}

// Held returns from when to when a tenant sent telemetry in which a session would show, by its own clock; false where
// none is held.
func (g *Graph) Held(id tenant.ID) (from, to time.Time, ok bool) {
	h := g.flows.heard[id]
	if h == nil {
		return time.Time{}, time.Time{}, false
	}
	return h.from.UTC(), h.to.UTC(), true
}
