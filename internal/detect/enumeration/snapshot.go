package enumeration

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// saved is the whole state as it is written: lists in a fixed order, so that equal states are equal bytes.
type saved struct {
	Tenants   []savedTenant
	NextPurge int64
}

type savedTenant struct {
	ID              tenant.ID
	First           int64
	Sources         []savedSource
	Trusts          []savedTrust
	Resolvers       []savedResolver
	Controllers     []netip.Addr
	ControllerNames []string
	Members         []savedResolver
	Named           []savedName
	Doubts          []savedDoubt
	Ahead           aheadBudget
	Zones           []savedZone
	Strong, Weak    []uint32
	Noise           *noise
	Heard           []uint32 // the sources of the noise
}

// savedSource and savedKind say things as they were first written, and not as they are kept, so that what an earlier
// version wrote is read.
type savedSource struct {
	Key    sourceKey
	Source savedState
}

type savedState struct {
	Class   class
	Last    int64
	Kinds   []savedKind
	Ahead   []*ocsf.Event
	Before  int
	Episode *episode
}

type savedKind struct {
	Kind        kind
	Things      []thing
	Habit, Long habit
	Level       level
	At          int64
	Beyond      bool
}

func (s *source) save() savedState {
	out := savedState{Class: s.Class, Last: s.Last, Episode: s.Episode}
	if s.recent != nil {
		out.Ahead, out.Before = s.recent.Ahead, s.recent.Before
	}
	for i := range s.Kinds {
		x := &s.Kinds[i]
		out.Kinds = append(out.Kinds, savedKind{x.Kind, x.Things, x.habit(), x.long(), x.Level, int64(x.At), x.Beyond})
	}
	return out
}

func (st *savedState) restore() *source {
	s := &source{Class: st.Class, Last: st.Last, Episode: st.Episode}
	if len(st.Ahead) > 0 || st.Before > 0 {
		s.recent = &recent{st.Ahead, st.Before}
	}
	for _, x := range st.Kinds {
		k := kindState{Kind: x.Kind, Things: x.Things, Level: x.Level, At: uint32(max(x.At, 0)), Beyond: x.Beyond}
		k.keep(x.Habit, x.Long)
		s.Kinds = append(s.Kinds, k)
	}
	return s
}

type savedTrust struct {
	Trust tenant.TrustID
	Kind  kind
	Habit habit
}

type savedResolver struct {
	Addr  netip.Addr
	Hosts []uint32
}

type savedName struct {
	Name      string
	Addresses []netip.Addr
}

type savedDoubt struct {
	Key    sourceKey
	Doubts doubts
}

type savedZone struct {
	Name  string
	Names []uint32
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	out := saved{NextPurge: d.nextPurge}
	for _, id := range sortedTenants(d.tenants) {
		out.Tenants = append(out.Tenants, d.tenants[id].save())
	}
	return detect.EncodeState(&out)
}

func (ts *tenantState) save() savedTenant {
	out := savedTenant{ID: ts.id, First: ts.first, Strong: ts.strong, Weak: ts.weak, Noise: ts.noise, Ahead: ts.ahead}
	for p, s := range ts.sources {
		out.Sources = append(out.Sources, savedSource{ts.key(p), s.save()})
	}
	slices.SortFunc(out.Sources, func(a, b savedSource) int { return a.Key.compare(b.Key) })
	for k, h := range ts.trusts {
		out.Trusts = append(out.Trusts, savedTrust{k.trust, k.kind, *h})
	}
	slices.SortFunc(out.Trusts, func(a, b savedTrust) int {
		if c := strings.Compare(string(a.Trust), string(b.Trust)); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
	for a, r := range ts.resolvers {
		out.Resolvers = append(out.Resolvers, savedResolver{a, r.Hosts})
	}
	slices.SortFunc(out.Resolvers, func(a, b savedResolver) int { return a.Addr.Compare(b.Addr) })
	for a := range ts.controllers {
		out.Controllers = append(out.Controllers, a)
	}
	slices.SortFunc(out.Controllers, netip.Addr.Compare)
	for n := range ts.controllerNames {
		out.ControllerNames = append(out.ControllerNames, n)
	}
	slices.Sort(out.ControllerNames)
	for a, r := range ts.members {
		out.Members = append(out.Members, savedResolver{a, r.Hosts})
	}
	slices.SortFunc(out.Members, func(a, b savedResolver) int { return a.Addr.Compare(b.Addr) })
	for n, list := range ts.named {
		out.Named = append(out.Named, savedName{n, list})
	}
	slices.SortFunc(out.Named, func(a, b savedName) int { return strings.Compare(a.Name, b.Name) })
	for _, k := range ts.doubtKeys() {
		out.Doubts = append(out.Doubts, savedDoubt{k, *ts.doubts[k]})
	}
	for n, z := range ts.zones {
		out.Zones = append(out.Zones, savedZone{n, z.Names})
	}
	slices.SortFunc(out.Zones, func(a, b savedZone) int { return strings.Compare(a.Name, b.Name) })
	if ts.noise != nil {
		for h := range ts.noise.sources {
			out.Heard = append(out.Heard, h)
		}
		slices.Sort(out.Heard)
	}
	return out
}

// Restore takes a state that Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	var in saved
	if err := detect.DecodeState(b, &in); err != nil {
		return err
	}
	d.nextPurge = in.NextPurge
	for _, st := range in.Tenants {
		ts := d.tenant(st.ID)
		ts.first, ts.strong, ts.weak, ts.ahead = st.First, st.Strong, st.Weak, st.Ahead
		for _, x := range st.Sources {
			s := x.Source.restore()
			if err := s.check(); err != nil {
				return fmt.Errorf("reading the state of enumeration: source %s of tenant %s: %w", x.Key.name(), st.ID, err)
			}
			ts.put(x.Key, s)
			if s.recent != nil {
				ts.waiting = append(ts.waiting, waiting{ts.place(x.Key), s.Last})
			}
			if s.Episode != nil {
				ts.active[x.Key] = s
			}
		}
		slices.SortFunc(ts.waiting, func(a, b waiting) int { return cmp.Compare(a.last, b.last) })
		for _, x := range st.Trusts {
			ts.trusts[trustKind{x.Trust, x.Kind}] = &x.Habit
		}
		for _, x := range st.Resolvers {
			ts.resolvers[x.Addr] = &askers{x.Hosts}
		}
		for _, a := range st.Controllers {
			ts.controllers[a] = struct{}{}
		}
		for _, n := range st.ControllerNames {
			ts.controllerNames[shortName(n)] = struct{}{} // earlier versions kept whole names
		}
		for _, x := range st.Members {
			ts.members[x.Addr] = &askers{x.Hosts}
		}
		for _, x := range st.Named {
			for _, a := range x.Addresses {
				ts.sawAddress(x.Name, a)
			}
		}
		for _, x := range st.Doubts {
			for _, ep := range x.Doubts.Episodes {
				if ep == nil {
					return fmt.Errorf("reading the state of enumeration: an empty episode of tenant %s", st.ID)
				}
				if err := (&source{Episode: ep}).check(); err != nil {
					return fmt.Errorf("reading the state of enumeration: tenant %s: %w", st.ID, err)
				}
			}
			ts.doubts[x.Key] = &x.Doubts
		}
		ts.learned = false
		for _, z := range st.Zones {
			ts.zones[z.Name] = &zone{z.Names}
		}
		if ts.noise = st.Noise; ts.noise != nil {
			if len(ts.noise.Evidence) == 0 {
				return fmt.Errorf("reading the state of enumeration: noise of tenant %s without an event", st.ID)
			}
			ts.noise.sources = make(map[uint32]struct{}, len(st.Heard))
			for _, h := range st.Heard {
				ts.noise.sources[h] = struct{}{}
			}
		}
	}
	return nil
}

// check refuses a source that no detector could have written.
func (s *source) check() error {
	for _, x := range s.Kinds {
		if x.Kind >= kinds || len(x.Things) > maxThings {
			return fmt.Errorf("a kind of act that is not known, or too much of it")
		}
	}
	ep := s.Episode
	if ep == nil {
		return nil
	}
	if len(ep.Evidence) == 0 || len(ep.Kinds) == 0 {
		return fmt.Errorf("an episode of nothing")
	}
	for _, k := range ep.Kinds {
		if k.Kind >= kinds || len(k.Techniques) == 0 {
			return fmt.Errorf("an episode of no known kind")
		}
	}
	return nil
}
