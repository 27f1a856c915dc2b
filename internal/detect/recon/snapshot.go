package recon

import (
	"errors"
	"fmt"
	"math"
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

// sourceState is a source without nil groups, which gob does not take in arrays. It says things as they were first
// written, and not as they are kept, so that what an earlier version wrote is read.
type sourceState struct {
	Known  savedKnown
	Last   int64 // nanoseconds
	Class  class
	Grown  bool
	Walks  [lanes]savedWalks
	Groups []savedGroup
	Slow   slow
}

type savedKnown struct {
	Slots  []uint64
	Used   int
	Purged uint64 // in units of 4 s
}

type savedWalks struct{ Hosts, Services float32 } // logarithms

func (w walks) save() savedWalks {
	return savedWalks{walkStep * float32(w.steps(overHosts)), walkStep * float32(w.steps(overServices))}
}

// restore takes walks of any length: those that an earlier version kept beyond the limit say scanner all the same.
func (w savedWalks) restore() (out walks) {
	for which, x := range map[uint]float32{overHosts: w.Hosts, overServices: w.Services} {
		out.step(which, int(math.Round(float64(max(-walkLimit, min(x, 2*walkLimit))/walkStep))))
	}
	return out
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
		st := sourceState{Known: savedKnown{s.Known.slots, int(s.Known.used), uint64(s.Known.purged) << purgedShift},
			Last: int64(s.Known.last) * lastUnit, Class: s.Class, Grown: s.Grown, Slow: s.slow()}
		for i, w := range s.Walks {
			st.Walks[i] = w.save()
		}
		for a, g := range s.groups() {
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
		st := &x.State
		held := 0
		for _, w := range st.Known.Slots {
			held += int(min(w, 1))
		}
		if n := len(st.Known.Slots); st.Known.Used != held || held > maxContacts || !roomy(held, n) {
			return fmt.Errorf("reading the state of recon: a contact table of %d slots with %d used", n, st.Known.Used)
		}
		s := &source{Known: known{slots: st.Known.Slots, used: uint16(held), purged: uint16(st.Known.Purged >> purgedShift)}, Class: st.Class, Trust: x.Trust, Grown: st.Grown}
		s.Known.heard(st.Last)
		for i, w := range st.Walks {
			s.Walks[i] = w.restore()
		}
		if st.Slow != (slow{}) {
			s.failures().Slow = st.Slow
		}
		for _, g := range x.State.Groups {
			if g.Lane < 0 || g.Lane >= lanes || g.Group == nil || slices.Contains(g.Group.Told, nil) {
				return fmt.Errorf("reading the state of recon: a scan of no known kind")
			}
			s.failures().Groups[g.Lane] = g.Group
		}
		if !s.Known.sound() { // written by a version that kept them in another order, or damaged
			s.Known.rebuild(len(s.Known.slots), func(w uint64) uint64 { return w })
		}
		key := sourceKey{x.Addr, x.Trust}
		into[key] = s
		if s.open() {
			ts.active[key] = s
		}
	}
	return nil
}
