package enumeration

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is learned of one tenant. What comes beyond them is not learned.
const (
	maxServers    = 4096 // resolvers, and domain controllers
	maxZones      = 512  // names under which the tenant's own hosts stand
	maxCiphers    = 64   // sources by the cipher of their tickets
	resolverAsks  = 3    // distinct hosts that ask a host for names: it asks others on their behalf
	pairsSeen     = 1 << 9
	zoneNames     = 2 // distinct hosts of the tenant's below a name: it is the tenant's own
	weakUsualFrom = 3 // other sources with tickets under RC4, and as many as half of all: RC4 is usual there
)

// tenantState is what is remembered of one tenant.
type tenantState struct {
	id       tenant.ID
	networks []netip.Prefix
	domains  []string
	sources  map[place]*source
	active   map[sourceKey]*source // those with an episode
	trusts   map[trustKind]*habit
	noise    *noise // of the day at hand; nil before the first
	ahead    aheadBudget
	waiting  []waiting // those that hold first events, oldest first

	trustNumbers map[tenant.TrustID]uint16 // as places have them, from 1
	trustIDs     []tenant.TrustID
	accounts     map[[16]byte]string // those of sources without an address, by their hash
	first        int64               // time of the first event that was looked at; 0 before

	resolvers       map[netip.Addr]*askers
	controllers     map[netip.Addr]struct{}
	controllerNames map[string]struct{}
	members         map[netip.Addr]*askers // who was asked as a controller is, and is not known to be one
	named           map[string][]netip.Addr
	names           map[netip.Addr][]string // the other way round
	doubts          map[sourceKey]*doubts
	learned         bool // something new of controllers that was not looked at by settle
	zones           map[string]*zone
	strong, weak    []uint32          // sources that got tickets under a strong and a weak cipher
	pairs           [pairsSeen]uint64 // who asked whom lately; saves work and decides nothing
}

// trustKind is one kind of act as anybody of a trust does it.
type trustKind struct {
	trust tenant.TrustID
	kind  kind
}

// askers are the first few hosts that asked a host for names.
type askers struct{ Hosts []uint32 }

// zone is a name under which addresses of the tenant were found.
type zone struct{ Names []uint32 }

func newTenant(id tenant.ID, m *tenant.Model) *tenantState {
	ts := &tenantState{id: id, sources: map[place]*source{}, trustNumbers: map[tenant.TrustID]uint16{}, accounts: map[[16]byte]string{}, active: map[sourceKey]*source{}, trusts: map[trustKind]*habit{},
		resolvers: map[netip.Addr]*askers{}, controllers: map[netip.Addr]struct{}{}, controllerNames: map[string]struct{}{}, zones: map[string]*zone{},
		members: map[netip.Addr]*askers{}, named: map[string][]netip.Addr{}, names: map[netip.Addr][]string{}, doubts: map[sourceKey]*doubts{}}
	if t := m.Tenant(id); t != nil {
		ts.networks, ts.domains = t.Networks, t.Domains
	}
	return ts
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func private(a netip.Addr) bool { return a.IsPrivate() || a.IsLinkLocalUnicast() }

// own reports whether an address is the tenant's as far as anybody declared or can see.
func (ts *tenantState) own(a netip.Addr) bool { return private(a) || within(ts.networks, a) }

// ownDomain reports whether a name in lower case is or lies below one of the tenant's own, declared or learned.
func (ts *tenantState) ownDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	for _, d := range ts.domains {
		if tenant.WithinDomain(name, d) {
			return true
		}
	}
	z := ts.zones[name]
	return z != nil && len(z.Names) >= zoneNames
}

// ownZone reports whether a name in lower case is itself one of the tenant's own, and not merely below one: searching
// programs append the domain to every name of the Internet.
func (ts *tenantState) ownZone(name string) bool {
	if slices.Contains(ts.domains, name) {
		return true
	}
	z := ts.zones[name]
	return z != nil && len(z.Names) >= zoneNames
}

// learnZone notes that a name has an address of the tenant's.
func (ts *tenantState) learnZone(name string, answers []string) {
	if len(answers) == 0 {
		return
	}
	parent := parentOf(name)
	if parent == "" {
		return
	}
	z := ts.zones[parent]
	if z != nil && len(z.Names) >= zoneNames || z == nil && len(ts.zones) >= maxZones {
		return
	}
	last := answers[len(answers)-1] // behind aliases
	a, err := netip.ParseAddr(last)
	if err != nil || !ts.own(a.Unmap()) {
		return
	}
	if z == nil {
		z = &zone{}
		ts.zones[parent] = z
	}
	if h := uint32(xxh3.HashString(strings.ToLower(name))); !slices.Contains(z.Names, h) {
		z.Names = append(z.Names, h)
	}
}

func hashAddr(a netip.Addr) uint32 {
	b := a.As16()
	return uint32(xxh3.Hash(b[:]))
}

// sawQuestion notes that one host asked another for names.
func (ts *tenantState) sawQuestion(from, to netip.Addr) {
	if !from.IsValid() || !to.IsValid() {
		return
	}
	var b [32]byte
	f, t := from.As16(), to.As16()
	copy(b[:], f[:])
	copy(b[16:], t[:])
	h := xxh3.Hash(b[:])
	if slot := &ts.pairs[h%pairsSeen]; *slot == h {
		return
	} else {
		*slot = h
	}
	if !ts.own(to) {
		return
	}
	r := ts.resolvers[to]
	if r == nil {
		if len(ts.resolvers) >= maxServers {
			return
		}
		r = &askers{}
		ts.resolvers[to] = r
	}
	if who := hashAddr(from); len(r.Hosts) < resolverAsks && !slices.Contains(r.Hosts, who) {
		r.Hosts = append(r.Hosts, who)
	}
}

// asksForOthers reports whether a host was seen to be asked for names by several: what it asks, others may want.
func (ts *tenantState) asksForOthers(a netip.Addr) bool {
	r := ts.resolvers[a]
	return r != nil && len(r.Hosts) >= resolverAsks
}

// sawCipher notes which sources get tickets under which ciphers.
func (ts *tenantState) sawCipher(src netip.Addr, weak bool) {
	list := &ts.strong
	if weak {
		list = &ts.weak
	}
	if h := hashAddr(src); len(*list) < maxCiphers && !slices.Contains(*list, h) {
		*list = append(*list, h)
	}
}

// weakIsUsual reports whether others than this source get tickets under weak ciphers as a rule.
func (ts *tenantState) weakIsUsual(src netip.Addr) bool {
	h := hashAddr(src)
	others := len(ts.weak)
	if slices.Contains(ts.weak, h) {
		others--
	}
	return others >= weakUsualFrom && others >= len(ts.strong)
}

// class is whose source it is.
type class uint8

const (
	partner  class = iota + 1 // comes through a trust
	internal                  // the tenant's own
	foreign                   // private space that nobody declared
	internet                  // everybody else
)

func (ts *tenantState) classify(e *ocsf.Event, a *act) class {
	switch {
	case e.Trust != "" && e.Direction != ocsf.DirectionOut:
		return partner
	case !a.src.IsValid() || within(ts.networks, a.src):
		return internal
	case private(a.src):
		if len(ts.networks) == 0 {
			return internal
		}
		return foreign
	case e.Direction == ocsf.DirectionOut || e.Direction == ocsf.DirectionInternal:
		return internal
	}
	return internet
}

// copyLearned returns a tenant's state that knows who serves whom as this one does, and no source.
func (ts *tenantState) copyLearned() *tenantState {
	c := newTenant(ts.id, &tenant.Model{})
	c.networks, c.domains, c.first = ts.networks, ts.domains, ts.first
	maps.Copy(c.controllers, ts.controllers)
	maps.Copy(c.controllerNames, ts.controllerNames)
	for k, v := range ts.resolvers {
		c.resolvers[k] = &askers{slices.Clone(v.Hosts)}
	}
	for k, v := range ts.members {
		c.members[k] = &askers{slices.Clone(v.Hosts)}
	}
	for k, v := range ts.named {
		c.named[k] = slices.Clone(v)
	}
	for k, v := range ts.names {
		c.names[k] = slices.Clone(v)
	}
	for k, v := range ts.zones {
		c.zones[k] = &zone{slices.Clone(v.Names)}
	}
	c.strong, c.weak = slices.Clone(ts.strong), slices.Clone(ts.weak)
	return c
}
