package firstcontact

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// dimension is one respect in which an act can be new.
type dimension uint8

// The dimensions of sessions and cloud acts. Network, operator of the network and country are one inside another.
const (
	dimNetwork dimension = iota
	dimASN
	dimCountry
	dimDevice     // the device that the person works at
	dimAgent      // the program, by its user agent without version numbers
	dimTool       // remote tool with its instance or relay
	dimCredential // key of an app
	dimResource   // app, role or kind of resource that is opened
	dimTarget     // host that is operated
	dimTenant     // client that is entered
	dimUse        // address × program × resource together
	dimWho        // account, app or operator
	nDims
)

// phrase names a dimension in a finding.
var phrase = [nDims]string{"network", "network operator", "country", "device", "user agent", "tool instance", "credential",
	"resource", "target host", "client", "combination of network, user agent and resource", "account"}

// kept is how many values of a dimension one past keeps.
var kept = [nDims]int{MaxNetworks, 512, 256, 512, 512, 128, 128, 1024, 4096, 1024, 2048, 4096}

// act is one session or cloud act as a set of features.
type act struct {
	event *ocsf.Event
	owner string // whose people these are: "partner x" or "tenant y"
	who   string // account, app or operator as findings name it
	app   bool   // a program, which has few and fixed callers, and not a person
	from  netip.Addr
	key   uint64 // hash of who
	vals  [nDims]uint64
}

// hash is the key of a value; 0 is kept for values that are not told.
func hash(s string) uint64 {
	if s == "" {
		return 0
	}
	return xxh3.HashString(s) | 1
}

// actOf returns the features of an event that tells who acts. Of the tenant's own people only sign-ins and sessions
// with a known origin count, and of them only the place.
func actOf(e *ocsf.Event) (act, bool) {
	if e.Cloud == nil && e.Lease == nil && e.Remote == nil {
		return act{}, false
	}
	a := act{event: e, owner: "tenant " + string(e.Tenant)}
	who, from, ok := session(e)
	if a.app = ok && e.Cloud != nil && e.Cloud.ServicePrin; e.Partner != "" {
		if e.Direction == ocsf.DirectionOut && e.Remote == nil {
			return act{}, false
		}
		a.owner = "partner " + string(e.Partner)
		if w, app, cloud := principal(e); cloud {
			who, from, a.app, ok = w, e.Src.IP, app, true
		} else if !ok && e.Remote != nil && e.Remote.Act == "connect" && e.Remote.Operator != "" {
			who, ok = operator(e.Remote), true
		}
	}
	if !ok {
		return act{}, false
	}
	a.who, a.key, a.from = who, hash(who), from.Unmap()
	a.vals[dimWho] = a.key
	if a.from.IsValid() {
		a.vals[dimNetwork] = networkKey(a.from)
	}
	if e.Partner != "" {
		a.features()
	}
	return a, true
}

// session returns who signs in and from which network, for records that say both.
func session(e *ocsf.Event) (who string, place netip.Addr, ok bool) {
	switch {
	case e.Lease != nil && e.Lease.Kind == "vpn" && e.Lease.Start:
		return strings.ToLower(e.Lease.Holder.Name), e.Lease.Public, e.Lease.Holder.Name != "" && e.Lease.Public.IsValid()
	case e.Cloud != nil && e.Class == ocsf.ClassAuthentication && e.Status == ocsf.StatusSuccess:
		who = e.User.Name
		if e.Cloud.ServicePrin {
			who = "app " + e.Cloud.AppID
		}
		return strings.ToLower(who), e.Src.IP, who != "" && e.Src.IP.IsValid()
	case e.Remote != nil && e.Remote.Act == "connect" && e.Remote.Operator != "":
		return operator(e.Remote), e.Src.IP, e.Src.IP.IsValid()
	}
	return "", netip.Addr{}, false
}

func operator(r *ocsf.RemoteSession) string {
	return strings.ToLower(r.Tool + " operator " + r.Operator)
}

// principal returns who of a partner acts in a tenant's cloud: an app by its id, a principal of a foreign AWS account
// by what stays of it from session to session, a person by name. Only what succeeded counts, since guessed names and keys
// of the Internet are nobody's habit.
func principal(e *ocsf.Event) (who string, app, ok bool) {
	c := e.Cloud
	if c == nil || e.Status == ocsf.StatusFailure || !e.Src.IP.IsValid() || e.Class != ocsf.ClassAuthentication && e.Class != ocsf.ClassAPIActivity {
		return "", false, false
	}
	switch {
	case e.Class == ocsf.ClassAuthentication && e.Status != ocsf.StatusSuccess:
		return "", false, false
	case c.ServicePrin && c.AppID != "":
		return strings.ToLower("app " + c.AppID), true, true
	case c.Provider == "aws" && c.AccountID != "":
		return "aws " + strings.ToLower(c.AccountID+" "+stable(e.User.UID, e.User.Name)), true, true
	case e.User.Name != "":
		return strings.ToLower(e.User.Name), c.ServicePrin, true
	}
	return "", false, false
}

// stable cuts the session's name, which its holder chooses, from an AWS principal: AROAEXAMPLE:session and
// assumed-role/role/session (IAM User Guide, "IAM identifiers").
func stable(uid, name string) string {
	if i := strings.Index(uid, "assumed-role/"); i >= 0 {
		role, _, _ := strings.Cut(uid[i+len("assumed-role/"):], "/")
		return role
	}
	if strings.HasPrefix(uid, "AROA") {
		id, _, _ := strings.Cut(uid, ":")
		return id
	}
	if uid != "" {
		return uid
	}
	return name
}

// features fills in what a partner's act tells beside who and where.
func (a *act) features() {
	e := a.event
	a.vals[dimTenant] = hash(string(e.Tenant))
	a.vals[dimDevice] = hash(a.device())
	if l := e.Lease; l != nil {
		return
	}
	if r := e.Remote; r != nil {
		a.vals[dimTool], a.vals[dimTarget] = hash(toolOf(r)), hash(targetOf(e))
		return
	}
	c := e.Cloud
	if c == nil {
		return
	}
	if c.ASN != 0 {
		a.vals[dimASN] = hash(strconv.FormatInt(c.ASN, 10))
	}
	a.vals[dimCountry], a.vals[dimCredential] = hash(c.Country), hash(c.CredentialID)
	if strings.HasPrefix(c.CredentialID, "ASIA") {
		a.vals[dimCredential] = 0 // temporary: new by nature
	}
	a.vals[dimAgent], a.vals[dimResource] = hash(program(c.UserAgent)), hash(a.resource())
	if a.vals[dimNetwork] != 0 && a.vals[dimAgent] != 0 && a.vals[dimResource] != 0 {
		a.vals[dimUse] = (a.vals[dimNetwork]*0x9e3779b97f4a7c15 ^ a.vals[dimAgent]*0xbf58476d1ce4e5b9 ^ a.vals[dimResource]*0x94d049bb133111eb) | 1
	}
}

// device names what a person sits at, where the record tells: the VPN client's machine, the device of a sign-in.
func (a *act) device() string {
	e := a.event
	switch {
	case e.Lease != nil:
		return strings.ToLower(e.Lease.Device)
	case e.Cloud != nil && e.Class == ocsf.ClassAuthentication:
		return e.Device
	}
	return ""
}

// resource is what is opened, in the grain in which people and programs have habits: the app and resource of a sign-in,
// the service of an API call. Single mailboxes, files and client roles are no habit: each client has its own.
func (a *act) resource() string {
	c := a.event.Cloud
	switch {
	case c.Provider == "aws" && a.event.Class == ocsf.ClassAuthentication:
		return c.Operation
	case a.event.Class == ocsf.ClassAuthentication:
		return strings.ToLower(strings.Trim(c.AppName+" → "+c.Resource, " →"))
	}
	return strings.ToLower(c.Operation)
}

func toolOf(r *ocsf.RemoteSession) string {
	if r.Instance != "" {
		return strings.ToLower(r.Tool + " " + r.Instance)
	}
	return strings.ToLower(r.Tool + " @" + r.Relay)
}

func targetOf(e *ocsf.Event) string {
	if e.Remote.Target != "" {
		return strings.ToLower(e.Remote.Target)
	}
	return strings.ToLower(e.Device)
}

// program is a user agent without its version numbers, so that an update is not another program.
func program(agent string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' || r == '_' {
			return -1
		}
		return r
	}, agent[:min(len(agent), 512)])
}

// networkOf is the unit in which places are counted: /24 and /48, since providers and homes renumber within them.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return p
}

func networkKey(a netip.Addr) uint64 {
	b := networkOf(a).Addr().As16()
	return xxh3.Hash(b[:]) | 1
}

// value names the act's value of a dimension for people.
func (a *act) value(d dimension) string {
	e := a.event
	switch d {
	case dimNetwork:
		return networkOf(a.from).String()
	case dimASN:
		return "AS" + strconv.FormatInt(e.Cloud.ASN, 10)
	case dimCountry:
		return e.Cloud.Country
	case dimDevice:
		return a.device()
	case dimAgent:
		return e.Cloud.UserAgent[:min(len(e.Cloud.UserAgent), 80)]
	case dimTool:
		return toolOf(e.Remote)
	case dimCredential:
		return e.Cloud.CredentialID
	case dimResource:
		return a.resource()
	case dimTarget:
		return targetOf(e)
	case dimTenant:
		return string(e.Tenant)
	case dimWho:
		return a.who
	}
	return ""
}

// declares reports whether the trust names the value itself, so that it is known before it was seen. Patterns and home
// tenants name a crowd, and none of it in particular.
func (a *act) declares(t *tenant.Trust, d dimension) bool {
	e := a.event
	switch d {
	case dimWho:
		for _, acc := range t.Accounts {
			if strings.EqualFold(acc, a.who) {
				return true
			}
		}
		for _, c := range t.CloudPrincipals {
			if e.Cloud != nil && (c.AppID != "" && strings.EqualFold(c.AppID, e.Cloud.AppID) || c.Role != "" && strings.EqualFold(c.Role, e.Actor.Name)) {
				return true
			}
		}
	case dimTool:
		for _, r := range t.RemoteTools {
			if e.Remote != nil && r.Instance != "" && strings.EqualFold(r.Tool, e.Remote.Tool) && strings.EqualFold(r.Instance, e.Remote.Instance) {
				return true
			}
		}
	case dimDevice:
		for _, h := range t.JumpHosts {
			if strings.EqualFold(h, a.device()) {
				return true
			}
		}
	case dimTarget:
		return declaredTarget(t, netip.Addr{}, a.value(dimTarget))
	}
	return false
}

// declaredTarget reports whether the trust names the host, by address, network or name.
func declaredTarget(t *tenant.Trust, addr netip.Addr, name string) bool {
	for _, x := range t.Destinations {
		if name != "" && strings.EqualFold(x, name) {
			return true
		}
		if !addr.IsValid() {
			continue
		}
		if p, err := netip.ParsePrefix(x); err == nil && p.Contains(addr.Unmap()) {
			return true
		}
		if ip, err := netip.ParseAddr(x); err == nil && ip.Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}
