package recon

import (
	"errors"
	"fmt"
	"slices"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// saved is the whole state as it is written: lists in a fixed order, so that equal states are equal bytes.
type saved struct {
	Tenants   []savedTenant
	Sightings []savedSighting
	NextClose int64
	NextPurge int64
}

type savedTenant struct {
	ID      tenant.ID
	Trusts  []tenant.TrustID // by their number, which begins with 1
	Sources []savedSource
	Young   [4][]savedSource // the older and the newer generation of each kind
	Flood   *flood
	Noise   *noise
	Heard   []uint32 // the sources of the noise
}

type savedSource struct {
	Addr  [16]byte
	Trust uint16
	State sourceState
}

// sourceState is a source without nil groups, which gob does not take in arrays.
type sourceState struct {
	Known  known
	Last   int64
	Class  class
	Grown  bool
	Walks  [lanes]walks
	Groups []savedGroup
	Slow   slow
}

type savedGroup struct {
	Lane  int
	Group *group
}

type savedSighting struct {
	Slot, Hash uint64
	Time       int64
	Answer     answer
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	var out saved
	out.NextClose, out.NextPurge = d.nextClose, d.nextPurge
	newest := int64(-1 << 62)
	for i := range d.seen {
		newest = max(newest, d.seen[i].time)
	}
	for i, s := range d.seen {
		if s.hash != 0 && newest-s.time <= sameFlow {
			out.Sightings = append(out.Sightings, savedSighting{uint64(i), s.hash, s.time, s.answer})
		}
	}
	for _, id := range sortedKeys(d.tenants) {
		out.Tenants = append(out.Tenants, d.tenants[id].save())
	}
	return detect.EncodeState(&out)
}

func (ts *tenantState) save() savedTenant {
	out := savedTenant{ID: ts.id, Noise: ts.noise, Trusts: make([]tenant.TrustID, len(ts.trusts))}
	for id, n := range ts.trusts {
		out.Trusts[n-1] = id
	}
	if ts.noise != nil {
		for h := range ts.noise.sources {
			out.Heard = append(out.Heard, h)
		}
		slices.Sort(out.Heard)
	}
	out.Flood = ts.flood
	out.Sources = saveSources(ts.sources)
	for i := range ts.young {
		out.Young[2*i], out.Young[2*i+1] = saveSources(ts.young[i].old), saveSources(ts.young[i].fresh)
	}
	return out
}

func saveSources(sources map[sourceKey]*source) []savedSource {
	keys := make([]sourceKey, 0, len(sources))
	for k := range sources {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, sourceKey.compare)
	out := make([]savedSource, 0, len(keys))
	for _, k := range keys {
		s := sources[k]
		st := sourceState{Known: s.Known, Last: s.Last, Class: s.Class, Grown: s.Grown, Walks: s.Walks, Slow: s.Slow}
		for a, g := range s.Groups {
			if g != nil {
				st.Groups = append(st.Groups, savedGroup{a, g})
			}
		}
		out = append(out, savedSource{k.addr, k.trust, st})
	}
	return out
}

// Restore takes a state that Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	var in saved
	if err := detect.DecodeState(b, &in); err != nil {
		return err
	}
	d.nextClose, d.nextPurge = in.NextClose, in.NextPurge
	for _, s := range in.Sightings {
		d.seen[s.Slot%uint64(len(d.seen))] = sighting{s.Hash, s.Time, s.Answer}
	}
	for _, st := range in.Tenants {
		ts := d.tenant(st.ID)
		for i, id := range st.Trusts {
			ts.trusts[id] = uint16(i + 1)
		}
		ts.flood = st.Flood
		if err := ts.restoreSources(ts.sources, st.Sources); err != nil {
			return err
		}
		for i := range ts.young {
			g := &ts.young[i]
			g.old, g.fresh = map[sourceKey]*source{}, map[sourceKey]*source{}
			if err := errors.Join(ts.restoreSources(g.old, st.Young[2*i]), ts.restoreSources(g.fresh, st.Young[2*i+1])); err != nil {
				return err
			}
		}
		if ts.noise = st.Noise; ts.noise != nil {
			ts.noise.sources = make(map[uint32]struct{}, len(st.Heard))
			for _, h := range st.Heard {
				ts.noise.sources[h] = struct{}{}
			}
		}
	}
	return nil
}

func (ts *tenantState) restoreSources(into map[sourceKey]*source, list []savedSource) error {
	for _, x := range list {
		s := &source{Known: x.State.Known, Last: x.State.Last, Class: x.State.Class, Trust: x.Trust, Grown: x.State.Grown, Walks: x.State.Walks, Slow: x.State.Slow}
		for _, g := range x.State.Groups {
			if g.Lane < 0 || g.Lane >= lanes || g.Group == nil || slices.Contains(g.Group.Told, nil) {
				return fmt.Errorf("reading the state of recon: a scan of no known kind")
			}
			s.Groups[g.Lane] = g.Group
		}
		held := 0
		for _, w := range s.Known.Slots {
			held += int(min(w, 1))
		}
		if n := len(s.Known.Slots); s.Known.Used != held || !roomy(held, n) {
			return fmt.Errorf("reading the state of recon: a contact table of %d slots with %d used", n, s.Known.Used)
		}
		if !s.Known.sound() { // written by a version that kept them in another order, or damaged
			s.Known.rebuild(len(s.Known.Slots), func(w uint64) uint64 { return w })
		}
		key := sourceKey{x.Addr, x.Trust}
		into[key] = s
		if s.open() {
			ts.active[key] = s
		}
	}
	return nil
}
