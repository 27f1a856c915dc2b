package recon

import (
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
	Noise   *noise
	Heard   []uint32 // the sources of the noise
}

type savedSource struct {
	Addr  [16]byte
	Trust uint16
	State sourceState
}

// sourceState is a source without nil episodes, which gob does not take in arrays.
type sourceState struct {
	Known    known
	Last     int64
	Class    class
	Walks    [2]walks
	Episodes []savedEpisode
	Slow     slow
}

type savedEpisode struct {
	Approved int
	Episode  *episode
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
	keys := make([]sourceKey, 0, len(ts.sources))
	for k := range ts.sources {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, sourceKey.compare)
	for _, k := range keys {
		s := ts.sources[k]
		st := sourceState{Known: s.Known, Last: s.Last, Class: s.Class, Walks: s.Walks, Slow: s.Slow}
		for a, ep := range s.Episodes {
			if ep != nil {
				st.Episodes = append(st.Episodes, savedEpisode{a, ep})
			}
		}
		out.Sources = append(out.Sources, savedSource{k.addr, k.trust, st})
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
		for _, x := range st.Sources {
			s := &source{Known: x.State.Known, Last: x.State.Last, Class: x.State.Class, Trust: x.Trust, Walks: x.State.Walks, Slow: x.State.Slow}
			for _, ep := range x.State.Episodes {
				if ep.Approved != unapproved && ep.Approved != approved || ep.Episode == nil {
					return fmt.Errorf("reading the state of recon: an episode of no known kind")
				}
				s.Episodes[ep.Approved] = ep.Episode
			}
			if n := len(s.Known.Slots); s.Known.Used < 0 || !roomy(s.Known.Used, n) {
				return fmt.Errorf("reading the state of recon: a contact table of %d slots with %d used", n, s.Known.Used)
			}
			ts.sources[sourceKey{x.Addr, x.Trust}] = s
			if s.open() {
				ts.active[sourceKey{x.Addr, x.Trust}] = s
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
