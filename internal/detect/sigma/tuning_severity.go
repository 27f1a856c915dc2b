package sigma

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// alike is how close in time the same must be seen at two tenants of a partner to raise the severity of both.
const alike = 7 * 24 * time.Hour

// maxSightings bounds the pairs of partner and rule that are remembered, and maxSighted the tenants of one.
const (
	maxSightings = 20_000
	maxSighted   = 256
)

// twoTenants is added to the reason of a finding whose rule matched at another tenant of the partner too. It names
// nobody: findings are shown to their own tenant.
const twoTenants = "; the same rule matched at another tenant of this partner within 7 days"

// sightKey is a rule that matched what came through a partner.
type sightKey struct {
	Partner tenant.PartnerID
	Rule    string
}

// sighting says at which tenants it was seen last, and in which finding.
type sighting struct {
	Used int64 // number of the last use, for dropping the one used longest ago
	At   map[tenant.ID]sighted
}

type sighted struct {
	Time    time.Time
	Finding findingKey
}

// sightings raises severity by what is seen at several tenants of one partner. It holds partners, rules and times and
// nothing of what was seen.
type sightings struct {
	list map[sightKey]*sighting
	used int64
}

func newSightings() *sightings { return &sightings{list: map[sightKey]*sighting{}} }

// see notes a match and returns the keys of the findings at the other tenants.
func (s *sightings) see(k sightKey, id tenant.ID, at time.Time, f findingKey) (others []findingKey) {
	x := s.list[k]
	if x == nil {
		detect.MakeRoom(s.list, maxSightings, func(x *sighting) int64 { return x.Used })
		x = &sighting{At: map[tenant.ID]sighted{}}
		s.list[k] = x
	}
	s.used++
	x.Used = s.used
	others = x.others(id, at)
	if was, ok := x.At[id]; !ok && len(x.At) >= maxSighted {
		return others
	} else if !at.Before(was.Time) {
		x.At[id] = sighted{at, f}
	}
	return others
}

// others returns the findings at tenants other than that one, in the order of tenants.
func (x *sighting) others(id tenant.ID, at time.Time) (out []findingKey) {
	for _, other := range slices.Sorted(maps.Keys(x.At)) {
		if v := x.At[other]; other != id && at.Sub(v.Time).Abs() <= alike {
			out = append(out, v.Finding)
		}
	}
	return out
}

// clone copies what see changes.
func (s *sightings) clone() *sightings {
	out := &sightings{list: make(map[sightKey]*sighting, len(s.list)), used: s.used}
	for k, x := range s.list {
		out.list[k] = &sighting{x.Used, maps.Clone(x.At)}
	}
	return out
}

// forget drops what is too old to be like anything that comes.
func (s *sightings) forget(now time.Time) {
	for k, x := range s.list {
		maps.DeleteFunc(x.At, func(_ tenant.ID, v sighted) bool { return now.Sub(v.Time) > alike+reopen })
		if len(x.At) == 0 {
			delete(s.list, k)
		}
	}
}

// savedSighting is one sighting as a snapshot holds it.
type savedSighting struct {
	Key  sightKey
	Used int64
	At   map[tenant.ID]sighted
}

func (s *sightings) save() []savedSighting {
	var out []savedSighting
	for k, x := range s.list {
		out = append(out, savedSighting{k, x.Used, x.At})
	}
	slices.SortFunc(out, func(a, b savedSighting) int {
		return cmp.Or(cmp.Compare(a.Key.Partner, b.Key.Partner), cmp.Compare(a.Key.Rule, b.Key.Rule))
	})
	return out
}

func (s *sightings) restore(list []savedSighting) {
	for _, x := range list {
		if x.At == nil {
			x.At = map[tenant.ID]sighted{}
		}
		s.list[x.Key] = &sighting{x.Used, x.At}
		s.used = max(s.used, x.Used)
	}
}

// raise sets a finding's severity: the rule's, one step more where a partner's trust was the way, one more again
// where two of its tenants see the same. It never falls. It reports whether something changed.
func raise(f *ocsf.Finding, base ocsf.Severity, partner, two bool) bool {
	to := base
	if partner {
		if to++; two {
			to++
		}
		if two && !strings.HasSuffix(f.Reason, twoTenants) {
			f.Reason += twoTenants
		}
	}
	if to = min(to, ocsf.SeverityCritical); to <= f.Severity {
		return false
	}
	f.Severity = to
	return true
}

// weigh raises a finding's severity by a match, and those of other tenants that the match makes graver.
func (d *detector) weigh(k findingKey, f *ocsf.Finding, at time.Time) {
	d.weighBy(d.seen, k, f, at, func(o findingKey) *ocsf.Finding { return d.open[o] }, func(o findingKey, other *ocsf.Finding) {
		d.dirty[o] = other
		d.pending++
	})
}

// weighBy is weigh with a memory of its own: find returns an open finding, raised takes one that became graver.
func (d *detector) weighBy(seen *sightings, k findingKey, f *ocsf.Finding, at time.Time, find func(findingKey) *ocsf.Finding, raised func(findingKey, *ocsf.Finding)) {
	base := d.base(f.Rule)
	if f.Partner == "" || f.Suppressed != nil || d.ofPartners(f.Rule) {
		raise(f, base, false, false)
		return
	}
	others := seen.see(sightKey{f.Partner, f.Rule}, f.Tenant, at, k)
	raise(f, base, true, len(others) > 0)
	for _, o := range others {
		if other := find(o); other != nil && raise(other, base, true, true) {
			raised(o, other)
		}
	}
}

// ofPartners reports whether a rule is about trusted relationships itself (T1199): its level weighs the partner already,
// and what a partner does daily at all its tenants must not become graver by being daily.
func (d *detector) ofPartners(id string) bool {
	r := d.set.Rule(id)
	if c := d.set.Correlation(id); c != nil {
		r = &c.Rule
	}
	return r != nil && slices.Contains(r.Techniques(), "T1199")
}

// base returns the severity that a rule or correlation has by itself.
func (d *detector) base(id string) ocsf.Severity {
	if r := d.set.Rule(id); r != nil {
		return r.severity()
	}
	if c := d.set.Correlation(id); c != nil {
		return c.severity()
	}
	return ocsf.SeverityInformational
}
