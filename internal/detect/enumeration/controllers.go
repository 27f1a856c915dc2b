package enumeration

import (
	"net/netip"
	"slices"
	"strings"
)

// Bounds of what is learned of domain controllers and of names.
const (
	memberAsks   = 2              // distinct hosts that ask a host what members ask of their controller: it is one
	maxNamed     = 4096           // names of a tenant whose addresses are remembered
	maxAddresses = 8              // of one name
	maxNames     = 4              // of one address
	maxDoubts    = 64             // sources that replicated and may turn out to be controllers
	maxDoubtful  = 8              // episodes of one of them
	doubtTTL     = 14 * dayLength // after which nothing explains an episode any more
)

// A domain controller is known by what it does for others, and never by what it asks: who has stolen a controller's
// account can sign in as it from anywhere. So an address is a controller's where
//
//   - it answers for Kerberos, or is asked by a controller's protocol to replicate,
//   - several hosts ask it what members of a domain ask of their controller: its SYSVOL or NETLOGON share (MS-GPOL
//     1.3.3), to find out whether it is alive (LDAP ping, MS-ADTS 6.3.3), or to prove somebody's password over the
//     secure channel (MS-NRPC 3.5.4.5),
//   - a name server of the tenant's gives it as an address of a name that is a controller's, or of the same host of
//     which another address is known to be one.

// shortName is a host's name without its domain, in lower case, as its account has it.
func shortName(name string) string {
	short, _, _ := strings.Cut(strings.ToLower(name), ".")
	return short
}

// sawController notes a domain controller by address or by name.
func (ts *tenantState) sawController(a netip.Addr, name string) {
	if a.IsValid() && len(ts.controllers) < maxServers && ts.own(a) {
		if _, known := ts.controllers[a]; !known {
			ts.controllers[a] = struct{}{}
			ts.learned = true
		}
	}
	if name == "" || len(ts.controllerNames) >= maxServers {
		return
	}
	if short := shortName(name); !ts.controlsName(short) {
		ts.controllerNames[short] = struct{}{}
		ts.learned = true
	}
}

// sawMember notes that one host asked another what members of a domain ask of their controller.
func (ts *tenantState) sawMember(member, asked netip.Addr) {
	if !member.IsValid() || !asked.IsValid() || member == asked || ts.controls(asked) || !ts.own(asked) {
		return
	}
	r := ts.members[asked]
	if r == nil {
		if len(ts.members) >= maxServers {
			return
		}
		r = &askers{}
		ts.members[asked] = r
	}
	if who := hashAddr(member); len(r.Hosts) < memberAsks && !slices.Contains(r.Hosts, who) {
		r.Hosts = append(r.Hosts, who)
	}
	if len(r.Hosts) >= memberAsks {
		ts.sawController(asked, "")
		if ts.isController(asked) {
			delete(ts.members, asked)
		}
	}
}

// sawAddress notes an address that a name server of the tenant's gave for one of the tenant's hosts.
func (ts *tenantState) sawAddress(name string, a netip.Addr) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	list := ts.named[name]
	if slices.Contains(list, a) || len(list) >= maxAddresses || len(list) == 0 && len(ts.named) >= maxNamed ||
		len(ts.names[a]) >= maxNames || len(ts.names) >= 2*maxNamed {
		return
	}
	ts.named[name] = append(list, a)
	ts.names[a] = append(ts.names[a], name)
	ts.learned = true
}

// controls reports whether an address is a domain controller's.
func (ts *tenantState) controls(a netip.Addr) bool {
	if ts.isController(a) {
		return true
	}
	for _, name := range ts.names[a] {
		if ts.controlsName(shortName(name)) || ts.dualStack(name) && slices.ContainsFunc(ts.named[name], ts.isController) {
			return true
		}
	}
	return false
}

// dualStack reports whether all addresses of a name are one host's, as far as one can tell: a service that several
// hosts share has several of the same kind.
func (ts *tenantState) dualStack(name string) bool {
	four, six := 0, 0
	for _, a := range ts.named[name] {
		if a.Is4() {
			four++
		} else {
			six++
		}
	}
	return four == 1 && six == 1
}

func (ts *tenantState) isController(a netip.Addr) bool { _, ok := ts.controllers[a]; return ok }

func (ts *tenantState) controlsName(short string) bool { _, ok := ts.controllerNames[short]; return ok }

// learnNames learns from an answer of a name server: which of the tenant's hosts have which addresses, and which are
// controllers (the names that members find them by, MS-ADTS 6.3.2.3).
func (ts *tenantState) learnNames(q question, server netip.Addr, answers []string) {
	if !ts.own(server) {
		return
	}
	switch q.kind {
	case "SRV":
		if !locatesController(q.name) {
			return
		}
		for _, x := range answers[:min(len(answers), maxAddresses)] {
			if x = strings.TrimSuffix(x, "."); parentOf(x) != "" {
				ts.sawController(netip.Addr{}, x)
			}
		}
	case "", "A", "AAAA":
		if !ts.ownZone(parentOf(q.name)) {
			return
		}
		for _, x := range answers[:min(len(answers), maxAddresses)] {
			if a, err := netip.ParseAddr(x); err == nil && ts.own(a.Unmap()) {
				ts.sawAddress(q.name, a.Unmap())
			}
		}
	}
}

// locatesController reports whether an SRV name is one that only domain controllers register.
func locatesController(name string) bool {
	service, rest, ok := strings.Cut(strings.ToLower(name), "._tcp.")
	if !ok || service != "_ldap" && service != "_kerberos" {
		return false
	}
	return strings.HasPrefix(rest, "dc._msdcs.") || strings.HasPrefix(rest, "pdc._msdcs.") || strings.Contains(rest, "._sites.dc._msdcs.")
}

// secureChannel are the calls of the netlogon interface that members make to their controllers (MS-NRPC 3.5.4.4 and
// 3.5.4.5), with their numbers; others are made to members too.
var secureChannel = map[string]int{"netrlogonsamlogon": 2, "netrserverauthenticate": 5, "netrserverauthenticate2": 15, "netrlogongetcapabilities": 21,
	"netrserverauthenticate3": 26, "netrlogongetdomaininfo": 29, "netrlogonsamlogonex": 39, "netrlogonsamlogonwithflags": 45}

const netlogonInterface = "12345678-1234-abcd-ef00-01234567cffb"

// onSecureChannel reports whether an operation of the netlogon interface, or its number, is one of these.
func onSecureChannel(operation string, number int) bool {
	if operation != "" {
		_, ok := secureChannel[strings.ToLower(operation)]
		return ok
	}
	for _, n := range secureChannel {
		if n == number {
			return true
		}
	}
	return false
}

// doubts are the episodes of a source that replicated before the tenant was known, and is nothing else than that.
type doubts struct {
	Class    class
	Episodes []*episode // oldest first, at most maxDoubtful
}

// doubtful reports whether the episode is nothing but replication by a host that no trust brings, of which too little is
// known yet.
func (ep *episode) doubtful(c class) bool {
	return c != partner && !ep.Warm && len(ep.Kinds) == 1 && ep.Kinds[0].Kind == kindReplication
}

// doubt keeps an episode that ended, since the source may turn out to be a controller.
func (ts *tenantState) doubt(key sourceKey, s *source) {
	ep := s.Episode
	if ep.Explained || !ep.doubtful(s.Class) || !key.Addr.IsValid() {
		return
	}
	x := ts.doubts[key]
	if x == nil {
		if len(ts.doubts) >= maxDoubts {
			return
		}
		x = &doubts{Class: s.Class}
		ts.doubts[key] = x
	}
	if len(x.Episodes) < maxDoubtful {
		x.Episodes = append(x.Episodes, ep)
	}
}

// settle looks, where something new was learned of controllers, for episodes which that explains.
func (ts *tenantState) settle(d *Detector, at int64) {
	ts.learned = false
	explain := func(ep *episode) {
		if !ep.Explained && at-ep.Last <= doubtTTL {
			ep.Explained, ep.Dirty = true, true
			d.pending++
		}
	}
	for key, x := range ts.doubts {
		if ts.controls(key.Addr) {
			for _, ep := range x.Episodes {
				explain(ep)
			}
		}
	}
	for key, s := range ts.active {
		if s.Episode.doubtful(s.Class) && ts.controls(key.Addr) {
			explain(s.Episode)
		}
	}
}

func (ts *tenantState) doubtKeys() []sourceKey {
	if len(ts.doubts) == 0 {
		return nil
	}
	keys := make([]sourceKey, 0, len(ts.doubts))
	for k := range ts.doubts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, sourceKey.compare)
	return keys
}

// closeDoubts tells of what was explained, and forgets what nothing explains any more.
func (ts *tenantState) closeDoubts(d *Detector, at int64, tell func(sourceKey, *source)) {
	for _, key := range ts.doubtKeys() {
		x := ts.doubts[key]
		x.Episodes = slices.DeleteFunc(x.Episodes, func(ep *episode) bool {
			if ep.Explained && ep.Dirty {
				ep.Dirty = false
				tell(key, &source{Class: x.Class, Episode: ep})
			}
			return ep.Explained || at-ep.Last > doubtTTL
		})
		if len(x.Episodes) == 0 {
			delete(ts.doubts, key)
		}
	}
}
