package hop

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// machine is the host that an address is, as its own machine account says; empty where several said so.
type machine struct {
	host string
	last int64 // when it was last told, seconds since 1970
}

// machine learns whose an address is from a machine account that comes from it: a host of a Windows domain signs in to
// its directory and to servers as its own name and a dollar sign, from its own address ([MS-KILE] 3.3.5.6 names the
// account, the Security log's 4624, 4768 and 4769 its address). It is kept apart from the names that Trace walks over,
// in which a host has one address: a host may have several, an address has one host at a time.
func (fs *flows) machine(id tenant.ID, e *ocsf.Event) {
	account, _, _ := strings.Cut(e.User.Name, "@")
	host, ok := strings.CutSuffix(account, "$")
	a := e.Src.IP.Unmap()
	if !ok || e.Status == ocsf.StatusFailure || !a.IsValid() || a.IsLoopback() || a.IsUnspecified() {
		return
	}
	if host = Short(host); host == "" {
		return
	}
	k := tenantAddr{id, a}
	m, known := fs.machines[k]
	switch {
	case !known:
		crowd(fs.machines, fs.most, func(m machine) int64 { return m.last })
		m.host = fs.word(host)
	case m.host != host && e.Time.Unix()-m.last < int64(Gap/time.Second):
		m.host = "" // two at once: a translated address
	case m.host != host && m.host != "":
		m.host = fs.word(host) // the address was given to another host
	}
	m.last = max(m.last, e.Time.Unix())
	fs.machines[k] = m
}

// HostNames returns a function that tells which host of a tenant an address is, as a short name in lower case; "" where
// no telemetry says so or several hosts claim it. What it tells is as of the call of HostNames.
func (g *Graph) HostNames() func(tenant.ID, netip.Addr) string {
	names := make(map[tenantAddr]string, len(g.flows.machines))
	for k, n := range g.flows.names {
		if n.addr.IsValid() {
			at := tenantAddr{k.tenant, n.addr}
			if o, known := names[at]; known && o != k.host {
				names[at] = ""
			} else {
				names[at] = k.host
			}
		}
	}
	for k, m := range g.flows.machines {
		names[k] = m.host // who signs in from an address says more than who was once given it
	}
	return func(id tenant.ID, a netip.Addr) string { return names[tenantAddr{id, a.Unmap()}] }
}
