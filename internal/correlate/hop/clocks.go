package hop

import (
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is learned of clocks that disagree.
const (
	MaxSkew       = 10 * time.Minute // clocks that lie farther apart are not compared: too much would look alike
	MinCommon     = 5                // flows seen by both sides before their clocks are set right by one another
	maxSightings  = 16_384           // connections remembered for the sake of the other side, which may see them later
	maxSamples    = 255              // offsets kept of two tenants, the latest
	clockAgrees   = time.Second      // clocks that differ by less are taken for equal
	clockJitter   = 2 * time.Second  // the middle half of the offsets lies this close together, or nothing is said
	ephemeralFrom = 1024             // source ports below come again and again, and would pair two different flows
)

// Skew says that a tenant's clock runs ahead of another's, by the flows (or sessions with one id) that both saw.
type Skew struct {
	Tenant  tenant.ID
	Against tenant.ID
	Ahead   time.Duration // negative: behind
	Flows   int64         // common to the two, or to those by way of whom they were compared
}

// clocks learns how far the clocks of tenants lie apart: a connection that two of them saw began at one moment.
// Sensors of one tenant are taken to share a clock.
type clocks struct {
	seen  sightings
	pairs map[[2]tenant.ID]*pairClock // the smaller id first
}

// sightKey is what both sides see alike: a connection's addresses and ports, or the id of a session.
// Fixed numbers hash and compare faster than addresses.
type sightKey struct {
	src, dst     [2]uint64
	sport, dport uint16
	id           string
}

// flowKey is the key of a connection. An address with a zone means something on one link only, so its zone belongs to
// what the sides see.
func flowKey(src, dst ocsf.Endpoint) sightKey {
	k := sightKey{src: pack(src.IP), dst: pack(dst.IP), sport: src.Port, dport: dst.Port}
	if a, b := src.IP.Zone(), dst.IP.Zone(); a != "" || b != "" {
		k.id = strings.Clone(a + "%" + b)
	}
	return k
}

// pack returns an address as two numbers, that of an IPv4 address as its mapped one; both are 0 where there is none.
func pack(a netip.Addr) [2]uint64 {
	if !a.IsValid() {
		return [2]uint64{}
	}
	b := a.As16()
	return [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// pairClock holds by how much the second tenant's clock was ahead of the first's, in milliseconds.
type pairClock struct {
	samples []int64
	next    int
	count   int64
	median  int64 // of the samples, where sure
	sure    bool
	stale   bool
}

func unpack(p [2]uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], p[0])
	binary.BigEndian.PutUint64(b[8:], p[1])
	return netip.AddrFrom16(b).Unmap()
}

func newClocks() *clocks {
	return &clocks{pairs: map[[2]tenant.ID]*pairClock{}}
}

// add compares a connection, or a session with an id, with what others told of it.
func (c *clocks) add(id tenant.ID, e *ocsf.Event) {
	if e.Flow != nil && e.Layer == tenant.LayerNetwork && (e.Direction == ocsf.DirectionIn || e.Direction == ocsf.DirectionOut) &&
		e.Src.Port >= ephemeralFrom && e.Src.IP.IsValid() && e.Dst.IP.IsValid() {
		c.sight(flowKey(e.Src, e.Dst), id, e.Time)
	}
	for _, k := range e.JoinKeys {
		switch k.Kind {
		case "rmm-session", "vpn-session", "entra-request": // told once by each side when it begins; other ids come again
			if k.Value != "" && len(k.Value) <= 128 {
				c.sight(sightKey{id: strings.Clone(k.Kind + " " + k.Value + " " + e.Activity)}, id, e.Time)
			}
		}
	}
}

func (c *clocks) sight(k sightKey, id tenant.ID, t time.Time) {
	at, hash := t.UnixNano(), c.seen.hash(k)
	s := c.seen.find(k, hash)
	if s == nil {
		c.seen.add(sighting{key: k, hash: hash, tenant: id, at: at})
		return
	}
	apart := time.Duration(at - s.at).Abs()
	switch {
	case apart > MaxSkew:
		*s = sighting{key: k, hash: hash, tenant: id, at: at}
	case s.tenant == id && apart > sameFlow:
		s.spoiled = true
	case s.tenant != id && s.matched == "" && !s.spoiled:
		s.matched = id
		pair, ahead := [2]tenant.ID{s.tenant, id}, at-s.at
		if pair[0] > pair[1] {
			pair, ahead = [2]tenant.ID{id, s.tenant}, -ahead
		}
		p := c.pairs[pair]
		if p == nil {
			p = &pairClock{}
			c.pairs[pair] = p
		}
		p.add(int64(math.Round(float64(ahead) / 1e6)))
	}
}

func (p *pairClock) add(ms int64) {
	p.count++
	p.stale = true
	if len(p.samples) < maxSamples {
		p.samples = append(p.samples, ms)
		return
	}
	p.samples[p.next] = ms
	p.next = (p.next + 1) % maxSamples
}

// offset returns by how much the second clock is ahead of the first; ok is false where too few flows tell, or they
// tell different things.
func (p *pairClock) offset() (time.Duration, bool) {
	if p.stale {
		list := slices.Sorted(slices.Values(p.samples))
		n := len(list)
		p.median = list[n/2]
		p.sure = n >= MinCommon && time.Duration(list[n*3/4]-list[n/4])*time.Millisecond <= clockJitter
		p.stale = false
	}
	return (time.Duration(p.median) * time.Millisecond).Round(100 * time.Millisecond), p.sure
}

// shift is how far a tenant's clock is ahead of the one that its group is measured by.
type shift struct {
	by    time.Duration
	root  tenant.ID
	flows int64 // of the weakest comparison on the way to root
}

// shifts measures every tenant that can be compared against the one with the smallest id among those. Of several
// ways of comparing, that with the fewest steps and then the most flows counts.
func (c *clocks) shifts() map[tenant.ID]shift {
	type arrow struct {
		to    tenant.ID
		by    time.Duration
		count int64
	}
	next := map[tenant.ID][]arrow{}
	for pair, p := range c.pairs {
		by, ok := p.offset()
		if !ok {
			continue
		}
		if by.Abs() < clockAgrees {
			by = 0
		}
		next[pair[0]] = append(next[pair[0]], arrow{pair[1], by, p.count})
		next[pair[1]] = append(next[pair[1]], arrow{pair[0], -by, p.count})
	}
	out := map[tenant.ID]shift{}
	for _, root := range slices.Sorted(maps.Keys(next)) {
		if _, known := out[root]; known {
			continue
		}
		out[root] = shift{root: root, flows: math.MaxInt64}
		for queue := []tenant.ID{root}; len(queue) > 0; queue = queue[1:] {
			from := out[queue[0]]
			arrows := next[queue[0]]
			slices.SortFunc(arrows, func(a, b arrow) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.to, b.to)) })
			for _, a := range arrows {
				if _, known := out[a.to]; !known {
					out[a.to] = shift{by: from.by + a.by, root: root, flows: min(from.flows, a.count)}
					queue = append(queue, a.to)
				}
			}
		}
	}
	return out
}

// Skews returns how far the clocks of tenants are ahead of one's, as far as they can be compared and differ, by id.
func (g *Graph) Skews(against tenant.ID) []Skew { return skews(g.flows.clocks.shifts(), against) }

func skews(all map[tenant.ID]shift, against tenant.ID) []Skew {
	var out []Skew
	own, known := all[against]
	for _, id := range slices.Sorted(maps.Keys(all)) {
		s := all[id]
		if by := s.by - own.by; known && id != against && s.root == own.root && by.Abs() >= clockAgrees {
			out = append(out, Skew{Tenant: id, Against: against, Ahead: by, Flows: min(s.flows, own.flows)})
		}
	}
	return out
}

func (c *clocks) forget(before time.Time) {
	at := before.UnixNano()
	c.seen.keep(func(s *sighting) bool { return s.at >= at })
}
