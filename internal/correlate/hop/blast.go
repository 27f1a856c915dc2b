package hop

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxReached bounds the hosts of one answer; beyond, the rest are counted in Blast.Left.
const MaxReached = 20_000

// Seed is whose reach is asked for; exactly one field is set.
type Seed struct {
	Partner tenant.PartnerID
	Account string // lower case
	Tool    string // a remote tool's product or instance, lower case
	Addr    netip.Addr
}

// Reach is how far somebody came.
type Reach string

// The reaches, least first.
const (
	ReachPossible  Reach = "possible"  // a declared trust leads there; nobody was seen to use it
	ReachAttempted Reach = "attempted" // what was tried got nothing
	ReachReached   Reach = "reached"
)

// Reached is one host that was reached or tried.
type Reached struct {
	Place    Place
	From     Place // where it was reached from; zero where the session does not tell
	Time     time.Time
	Kind     string
	User     string
	Depth    int // 0: by the seed itself, 1: from a host of depth 0 …
	Reach    Reach
	Evidence ocsf.Evidence
}

// BlastTenant is what was reached of one tenant.
type BlastTenant struct {
	Tenant      tenant.ID
	Trusts      []tenant.TrustID // by which the seed comes in, declared or used
	Reach       Reach
	First, Last time.Time // of what was seen; zero where nothing was
	Sessions    int       // of the seed itself
	Accounts    []string
	Hosts       []Reached // by depth, time and name
}

// Blast is what a seed could reach and did, since a time.
type Blast struct {
	Tenants []BlastTenant // every tenant that the seed was seen in, or has a declared trust into; by id
	Left    int           // hosts beyond MaxReached
	Skews   []Skew        // clocks that were set right, against the first of them
}

// Blast walks the graph forwards: from the sessions of a seed since a time to the hosts in which they were at work, and
// from each, in time, to where somebody went on from there, at most MaxTraceHops times. Whether it was the same person
// who went on is not known: what is told is what could have been reached. Times are each tenant's own. The
// answer is the same for the same model and telemetry in any order.
func (g *Graph) Blast(m *tenant.Model, seed Seed, since time.Time) Blast {
	b := &blast{g: g, ix: g.traceIndex(m), seed: seed, since: since, tenants: map[tenant.ID]*BlastTenant{}, reached: map[Place]*Reached{}, accounts: map[[2]string]bool{}}
	b.sessions()
	b.edges()
	b.spread()
	return b.answer()
}

type blast struct {
	g        *Graph
	ix       *traceIndex
	seed     Seed
	since    time.Time
	tenants  map[tenant.ID]*BlastTenant
	reached  map[Place]*Reached
	accounts map[[2]string]bool // tenant, account
	left     int
}

func (b *blast) tenant(id tenant.ID) *BlastTenant {
	t := b.tenants[id]
	if t == nil {
		t = &BlastTenant{Tenant: id, Reach: ReachPossible}
		b.tenants[id] = t
	}
	return t
}

func (t *BlastTenant) at(when time.Time) {
	if t.First.IsZero() || when.Before(t.First) {
		t.First = when.UTC()
	}
	if when.After(t.Last) {
		t.Last = when.UTC()
	}
}

// mine reports whether a session is the seed's.
func (b *blast) mine(s *Session) bool {
	switch {
	case s.Out:
		return false
	case b.seed.Partner != "":
		return s.Partner == b.seed.Partner
	case b.seed.Account != "":
		return sameAccount(s.User, b.seed.Account) || slices.ContainsFunc(s.Acts, func(a Act) bool { return sameAccount(a.User, b.seed.Account) })
	case b.seed.Tool != "":
		return s.Tool == b.seed.Tool || s.Instance == b.seed.Tool
	}
	return s.Addr.Unmap() == b.seed.Addr || s.Public.Unmap() == b.seed.Addr
}

// sameAccount compares accounts without case and domain, where only one of them has a domain.
func sameAccount(a, b string) bool {
	bare := func(s string) string {
		if _, after, ok := strings.Cut(s, `\`); ok {
			s = after
		}
		s, _, _ = strings.Cut(s, "@")
		return s
	}
	if a == "" || b == "" {
		return false
	}
	return strings.EqualFold(a, b) || (strings.ContainsAny(a, `\@`) != strings.ContainsAny(b, `\@`) && strings.EqualFold(bare(a), bare(b)))
}

// sessions takes what the seed's sessions did themselves.
func (b *blast) sessions() {
	for _, s := range b.g.Sessions() {
		if !b.mine(s) || s.End.Before(b.since) {
			continue
		}
		t := b.tenant(s.Tenant)
		t.Sessions++
		t.at(latest2(s.Start, b.since))
		t.at(s.End)
		b.trust(t, s.Trust)
		b.account(s.Tenant, s.User)
		reach := ReachAttempted
		if !s.Success.IsZero() && !s.End.Before(b.since) {
			reach = ReachReached
		}
		t.Reach = most(t.Reach, reach)
		from := Place{}
		if s.Addr.IsValid() {
			from = b.ix.place(s.Tenant, s.Addr)
		}
		for i := range s.Acts {
			a := &s.Acts[i]
			if a.Target == "" || a.Time.Before(b.since) || s.Kind == KindCloud || (b.seed.Account != "" && a.User != "" && !sameAccount(a.User, b.seed.Account) && !sameAccount(s.User, b.seed.Account)) {
				continue
			}
			b.account(s.Tenant, a.User)
			reach := ReachAttempted
			if a.Got {
				reach = ReachReached
			}
			b.reach(Reached{Place: b.ix.host(s.Tenant, a.Target), From: from, Time: b.ix.common(s.Tenant, a.Time), Kind: a.Kind, User: firstOf(a.User, s.User), Reach: reach,
				Evidence: ocsf.Evidence{File: a.File, Record: a.Record}})
		}
	}
}

func latest2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func most(a, b Reach) Reach {
	order := []Reach{ReachPossible, ReachAttempted, ReachReached}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

func (b *blast) account(id tenant.ID, user string) {
	if user != "" && user != "-" {
		b.accounts[[2]string{string(id), user}] = true
	}
}

func (b *blast) trust(t *BlastTenant, id tenant.TrustID) {
	if id != "" && !slices.Contains(t.Trusts, id) {
		t.Trusts = append(t.Trusts, id)
	}
}

// edges takes connections and logons that are the seed's, whether or not they belong to a session.
func (b *blast) edges() {
	home, homes := tenant.ID(""), map[tenant.ID]bool{}
	if p := b.ix.model.Partner(b.seed.Partner); p != nil {
		home = p.Tenant
	}
	for _, t := range b.ix.model.TrustsOf(b.seed.Partner) {
		homes[t.Tenant] = true
	}
	b.ix.each(func(e *edge) {
		mine := false
		switch {
		case e.kind == flowNAT:
		case b.seed.Partner != "":
			mine = homes[e.to.Tenant] && e.to.Tenant != home && (e.from.Partner == b.seed.Partner || home != "" && e.from.Tenant == home)
		case b.seed.Account != "":
			mine = sameAccount(e.user, b.seed.Account)
		case b.seed.Addr.IsValid():
			mine = e.from.Addr == b.seed.Addr
		}
		if !mine || b.local(e.to, e.end).Before(b.since) {
			return
		}
		b.edge(e, 0, latest2(e.start, b.ix.common(e.to.Tenant, b.since)))
	})
}

func (b *blast) local(p Place, t time.Time) time.Time { return b.ix.local(p.Tenant, t) }

func (b *blast) edge(e *edge, depth int, when time.Time) bool {
	fresh := b.reach(Reached{Place: e.to, From: e.from, Time: when, Kind: e.kind, User: e.user, Depth: depth, Reach: ReachReached,
		Evidence: ocsf.Evidence{File: e.file, Record: e.record}})
	if e.to.Tenant != "" {
		b.account(e.to.Tenant, e.user)
	}
	return fresh
}

// reach notes a host, and reports whether it is known to be reached earlier than was known before, or only now. Of
// several ways the most telling, then the earliest, is kept.
func (b *blast) reach(r Reached) bool {
	old := b.reached[r.Place]
	if old == nil {
		if len(b.reached) >= MaxReached {
			b.left++
			return false
		}
		b.reached[r.Place] = &r
		return true
	}
	better := most(old.Reach, r.Reach) != old.Reach
	if !better && old.Reach == r.Reach {
		better = cmp.Or(r.Time.Compare(old.Time), cmp.Compare(r.Depth, old.Depth), cmp.Compare(r.vague(), old.vague()), comparePlaces(r.From, old.From), cmp.Compare(r.Kind, old.Kind), cmp.Compare(r.User, old.User),
			cmp.Compare(r.Evidence.File, old.Evidence.File), cmp.Compare(r.Evidence.Record, old.Evidence.Record)) < 0
	}
	if better {
		earlier := r.Time.Before(old.Time) || old.Reach != r.Reach
		*old = r
		return earlier
	}
	return false
}

// vague is 1 where the kind does not say by what.
func (r *Reached) vague() int {
	if r.Kind == "connection" {
		return 1
	}
	return 0
}

// spread follows who went on from what was reached. A mounted share or a logon over the network is followed only
// under an account that came in.
func (b *blast) spread() {
	out := map[Place][]*edge{}
	b.ix.each(func(e *edge) {
		if e.kind != flowNAT {
			out[e.from] = append(out[e.from], e)
		}
	})
	for _, list := range out {
		slices.SortFunc(list, compareEdges)
	}
	queue := slices.SortedFunc(maps.Keys(b.reached), comparePlaces)
	for depth := 1; depth <= MaxTraceHops && len(queue) > 0; depth++ {
		next := map[Place]bool{}
		for _, p := range queue {
			r := *b.reached[p]
			if r.Reach != ReachReached {
				continue
			}
			for _, e := range out[p] {
				if e.end.Before(r.Time) || (e.weak() && (e.user == "" || !sameAccount(e.user, r.User))) || (b.seed.Addr.IsValid() && e.to.Addr == b.seed.Addr) {
					continue
				}
				if b.edge(e, r.Depth+1, latest2(e.start, r.Time)) {
					next[e.to] = true
				}
			}
		}
		queue = slices.SortedFunc(maps.Keys(next), comparePlaces)
	}
}

// each calls with every session that the index has.
func (ix *traceIndex) each(do func(*edge)) {
	for _, w := range [...]*ways{&ix.worked, &ix.held} {
		for _, a := range w.to {
			for _, e := range a.list {
				do(e)
			}
		}
	}
}

func (b *blast) answer() Blast {
	for i := range b.ix.model.Trusts {
		t := &b.ix.model.Trusts[i]
		if b.seed.Partner != "" && t.Partner == b.seed.Partner {
			b.trust(b.tenant(t.Tenant), t.ID)
		}
		for _, r := range t.RemoteTools {
			if b.seed.Tool != "" && (strings.EqualFold(r.Instance, b.seed.Tool) || r.Tool == b.seed.Tool) {
				b.trust(b.tenant(t.Tenant), t.ID)
			}
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(b.reached), comparePlaces) {
		r := *b.reached[p]
		if p.Tenant == "" {
			continue // somebody else's host, of which we can't say more than the trace does
		}
		r.Time = b.local(p, r.Time).UTC()
		t := b.tenant(p.Tenant)
		t.Hosts = append(t.Hosts, r)
		t.Reach = most(t.Reach, r.Reach)
		t.at(r.Time)
	}
	out := Blast{Left: b.left}
	for _, id := range slices.Sorted(maps.Keys(b.tenants)) {
		t := b.tenants[id]
		slices.Sort(t.Trusts)
		for k := range b.accounts {
			if k[0] == string(id) {
				t.Accounts = append(t.Accounts, k[1])
			}
		}
		slices.Sort(t.Accounts)
		slices.SortStableFunc(t.Hosts, func(x, y Reached) int {
			return cmp.Or(cmp.Compare(x.Depth, y.Depth), x.Time.Compare(y.Time), strings.Compare(x.Place.Name(), y.Place.Name()))
		})
		out.Tenants = append(out.Tenants, *t)
	}
	if len(out.Tenants) > 0 {
		out.Skews = skews(b.ix.shifts, out.Tenants[0].Tenant)
	}
	return out
}

// String names the seed.
func (s Seed) String() string {
	switch {
	case s.Partner != "":
		return fmt.Sprintf("partner %s", s.Partner)
	case s.Account != "":
		return fmt.Sprintf("account %s", s.Account)
	case s.Tool != "":
		return fmt.Sprintf("remote tool %s", s.Tool)
	}
	return fmt.Sprintf("address %s", s.Addr)
}

// Behind returns the places of a tenant's that had a session to a target then: who may have stood behind a
// translated address. Port 0 is any. The result is sorted by time, then place, at most MaxCandidates long.
func (g *Graph) Behind(m *tenant.Model, id tenant.ID, target netip.Addr, port uint16, from, to time.Time) []TraceHop {
	if !target.IsValid() {
		return nil
	}
	return g.during(m, id, from, to, func(e *edge) bool {
		return e.to.Addr == target.Unmap() && e.from.Tenant == id && (port == 0 || e.port == port)
	})
}

// Used returns the sessions of a tenant's that ran under an account then, sorted and bounded as those of Behind.
func (g *Graph) Used(m *tenant.Model, id tenant.ID, account string, from, to time.Time) []TraceHop {
	return g.during(m, id, from, to, func(e *edge) bool {
		return sameAccount(e.user, account) && (e.from.Tenant == id || slices.Contains(e.seen, id))
	})
}

func (g *Graph) during(m *tenant.Model, id tenant.ID, from, to time.Time, want func(*edge) bool) []TraceHop {
	ix := g.traceIndex(m)
	a, b := ix.common(id, from), ix.common(id, to)
	var list []*edge
	ix.each(func(e *edge) {
		if !e.told && want(e) && Overlaps(e.start, e.end, a, b, e.slack()) {
			list = append(list, e)
		}
	})
	slices.SortFunc(list, func(x, y *edge) int { return cmp.Or(compareEdges(x, y), comparePlaces(x.from, y.from)) })
	var out []TraceHop
	for _, e := range list[:min(len(list), MaxCandidates)] {
		out = append(out, TraceHop{From: e.from, To: e.to, Start: ix.local(id, e.start).UTC(), End: ix.local(id, e.end).UTC(), Kind: e.kind, Port: e.port, Packets: e.packets,
			User: e.user, Seen: slices.Clone(e.seen), Others: len(list) - 1, Share: 1 / float64(len(list)), Evidence: ocsf.Evidence{File: e.file, Record: e.record}})
	}
	return out
}

// SeenBy returns the tenants whose telemetry has an address as its own, or a session from it; sorted.
func (g *Graph) SeenBy(m *tenant.Model, a netip.Addr) []tenant.ID {
	a = a.Unmap()
	out := map[tenant.ID]bool{}
	for k := range g.flows.seen {
		if k.addr == a {
			out[k.tenant] = true
		}
	}
	g.traceIndex(m).each(func(e *edge) {
		if e.from.Addr == a || e.to.Addr == a {
			for _, id := range e.seen {
				out[id] = true
			}
		}
	})
	return slices.Sorted(maps.Keys(out))
}
