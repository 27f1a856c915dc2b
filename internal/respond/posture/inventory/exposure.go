package inventory

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// Exposures finds consoles and remote tools that the internet reaches, from the flows that sensors saw. It never
// scans: what nobody tried is not known to be open, and a tried door that didn't answer is not open. An Exposures
// belongs to one tenant and passes over the flows of others.
//
// # remote-access.exposure
//
// One address and port of the tenant that answered somebody from outside. Subject: "ADDRESS:PORT".
//
//	address     string
//	port        int
//	host        string     name that was asked for, where a sensor saw it; absent else
//	products    []string   whose console or server listens on that port, by the table; empty: a declared host
//	sources     int        addresses outside that got an answer, counted up to 1,000
//	undeclared  int        of them those in no network of a trust into the tenant
//	example     string     one of the undeclared, else one of the declared
//	answered    int        flows with an answer
//	first, last timestamp  of these flows
//
// # remote-access.exposure-watch
//
// That flows from outside were looked at. Subject: "flows from outside".
//
//	flows       int        that came from outside
//	from, until timestamp  of them
type Exposures struct {
	id       tenant.ID
	products *product.Catalogue
	inside   []netip.Prefix
	declared []netip.Prefix  // of trusts into the tenant
	hosts    map[string]bool // that trusts name as hosts of remote tools, lower case
	found    map[netip.AddrPort]*exposure
	flows    int64
	from     time.Time
	until    time.Time
	dropped  int64
}

type exposure struct {
	host        string
	sources     map[netip.Addr]bool // true: declared
	example     netip.Addr
	exampleIs   bool // declared
	answered    int64
	first, last time.Time
}

// Limits on what is held.
const (
	maxExposures = 20_000
	maxSources   = 1_000
)

// commonPorts are those of remote operation that come with systems, and whose name says what they are.
var commonPorts = map[uint16]string{3389: "Remote Desktop", 5900: "VNC", 5985: "WinRM", 5986: "WinRM"}

// NewExposures returns an Exposures of one tenant; a nil catalogue is the one that ships.
func NewExposures(m *tenant.Model, id tenant.ID, c *product.Catalogue) *Exposures {
	if c == nil {
		c = product.Default()
	}
	x := &Exposures{id: id, products: c, hosts: map[string]bool{}, found: map[netip.AddrPort]*exposure{}}
	if m == nil {
		return x
	}
	if t := m.Tenant(id); t != nil {
		x.inside = t.Networks
	}
	for _, t := range m.TrustsInto(id) {
		x.declared = append(x.declared, t.Networks...)
		for _, r := range t.RemoteTools {
			for _, h := range r.Hosts {
				x.hosts[strings.ToLower(h)] = true
			}
		}
	}
	return x
}

// Add looks at one event. Those that are no connection from outside to inside are passed over.
func (x *Exposures) Add(e *ocsf.Event) {
	if e.Tenant != x.id || e.Flow == nil || e.Dst.Port == 0 || !strings.EqualFold(e.Flow.Proto, "tcp") {
		return
	}
	src, dst := e.Src.IP.Unmap().WithZone(""), e.Dst.IP.Unmap().WithZone("")
	if !src.IsValid() || !dst.IsValid() || !x.outside(src) || x.outside(dst) && e.Direction != ocsf.DirectionIn {
		return
	}
	x.flows++
	if x.from.IsZero() || e.Time.Before(x.from) {
		x.from = e.Time
	}
	if e.Time.After(x.until) {
		x.until = e.Time
	}
	host := strings.ToLower(e.Dst.Domain)
	if !answered(e.Flow) || !x.console(e.Dst.Port, host) {
		return
	}
	key := netip.AddrPortFrom(dst, e.Dst.Port)
	f := x.found[key]
	if f == nil {
		if len(x.found) >= maxExposures {
			x.dropped++
			return
		}
		f = &exposure{sources: map[netip.Addr]bool{}, first: e.Time}
		x.found[key] = f
	}
	f.note(src, within(x.declared, src), host, e.Time)
}

func (f *exposure) note(src netip.Addr, declared bool, host string, at time.Time) {
	if _, seen := f.sources[src]; seen || len(f.sources) < maxSources {
		f.sources[src] = declared
	}
	if !f.example.IsValid() || f.exampleIs && !declared || f.exampleIs == declared && src.Less(f.example) {
		f.example, f.exampleIs = src, declared
	}
	if host != "" && (f.host == "" || host < f.host) {
		f.host = host
	}
	f.answered++
	if at.Before(f.first) {
		f.first = at
	}
	if at.After(f.last) {
		f.last = at
	}
}

// outside reports whether an address is one of the internet that the tenant doesn't call its own.
func (x *Exposures) outside(a netip.Addr) bool {
	return !within(x.inside, a) && a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // of carriers, RFC 6598

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// console reports whether a port is one of a remote tool, or the name one that a trust declares.
func (x *Exposures) console(port uint16, host string) bool {
	if commonPorts[port] != "" || port != 443 && port != 80 && len(x.products.ByPort(port)) > 0 {
		return true
	}
	for h := range x.hosts {
		if host != "" && tenant.WithinDomain(host, h) {
			return true
		}
	}
	return false
}

// answered reports whether the other side let the connection be made: by Zeek's state where there is one, else by
// what it sent.
func answered(f *ocsf.Flow) bool {
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		return true
	case "":
		return f.RespBytes > 0
	}
	return false
}

// Items returns what was found, in the order of addresses, as of the last flow that shows it.
func (x *Exposures) Items() []evidence.Item {
	keys := slices.SortedFunc(maps.Keys(x.found), func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	var out []evidence.Item
	for _, key := range keys {
		f := x.found[key]
		var names []any
		for _, p := range x.products.ByPort(key.Port()) {
			names = append(names, p.Name)
		}
		if n := commonPorts[key.Port()]; n != "" {
			names = append([]any{n}, names...)
		}
		undeclared := int64(0)
		for _, declared := range f.sources {
			if !declared {
				undeclared++
			}
		}
		v := map[string]any{
			"address": key.Addr().String(), "port": int64(key.Port()), "products": names, "sources": int64(len(f.sources)), "undeclared": undeclared,
			"example": f.example.String(), "answered": f.answered, "first": f.first.UTC(), "last": f.last.UTC(),
		}
		if names == nil {
			v["products"] = []any{}
		}
		set(v, "host", clip(f.host))
		out = append(out, evidence.Item{Tenant: x.id, Kind: KindExposure, Subject: key.String(), At: f.last.UTC(), Values: v})
	}
	if x.flows > 0 {
		v := map[string]any{"flows": x.flows, "from": x.from.UTC(), "until": x.until.UTC()}
		out = append(out, evidence.Item{Tenant: x.id, Kind: KindExposureWatch, Subject: "flows from outside", At: x.until.UTC(), Values: v})
	}
	return out
}

// Dropped returns how many flows to further addresses came after the limit of 20,000.
func (x *Exposures) Dropped() int64 { return x.dropped }
