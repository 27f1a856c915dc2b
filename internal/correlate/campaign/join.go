package campaign

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// infraKeys are the intruder's own things that a finding names. Private addresses mean another thing in every
// tenant and never join.
func infraKeys(f *ocsf.Finding) []string {
	var keys []string
	for _, e := range f.Entities {
		if e.Role != ocsf.RoleInfrastructure || (e.Type == ocsf.EntityIP && !joinable(e.Value)) {
			continue
		}
		keys = append(keys, string(e.Type)+"\x00"+strings.ToLower(e.Value))
	}
	return keys
}

// shared is the space behind carriers' and overlay networks' translation (RFC 6598), which is everybody's.
var (
	shared    = netip.MustParsePrefix("100.64.0.0/10")
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

func joinable(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && !shared.Contains(a.Unmap()) && !a.IsMulticast() && a.Unmap() != broadcast && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
}

func joinByInfrastructure(s sets, list []*ocsf.Finding) {
	first := map[string]int{}
	for i, f := range list {
		for _, k := range infraKeys(f) {
			if j, ok := first[k]; ok {
				s.join(j, i)
			} else {
				first[k] = i
			}
		}
	}
}

// joinByAccount joins what the same account of a partner did, in its own house and in others'.
func joinByAccount(s sets, list []*ocsf.Finding, m *tenant.Model, names map[string]string) {
	last := map[string]int{}
	for i, f := range list {
		p := f.Partner
		if own := m.PartnerOf(f.Tenant); p == "" && own != nil {
			p = own.ID
		}
		if p == "" {
			continue
		}
		for _, e := range f.Entities {
			if e.Role != ocsf.RoleActor || e.Type != ocsf.EntityUser {
				continue
			}
			k := string(p) + "\x00" + canonical(names, e.Value)
			if j, ok := last[k]; ok && f.Time.Sub(list[j].End) <= PathGap {
				s.join(j, i)
			}
			last[k] = i
		}
	}
}

// aliases learns which person of a partner stands behind the nameless accounts that delegated administration
// shows in a customer's audit log: who signed in to the same tenant from the same address at the same time.
func aliases(x *index) map[string]string {
	type place struct {
		tenant tenant.ID
		addr   netip.Addr
	}
	people := map[place][]*hop.Session{}
	for _, s := range x.all {
		if s.Kind == hop.KindCloud && s.Partner != "" && !nameless(s.User) && !strings.HasPrefix(s.User, "app ") {
			k := place{s.Tenant, s.Addr}
			people[k] = append(people[k], s)
		}
	}
	votes := map[string]map[string]int{}
	for _, s := range x.all {
		if s.Kind != hop.KindCloud || s.Partner == "" || !nameless(s.User) {
			continue
		}
		for _, p := range people[place{s.Tenant, s.Addr}] {
			if hop.Overlaps(s.Start, s.End, p.Start, p.End, SittingGap) {
				if votes[s.User] == nil {
					votes[s.User] = map[string]int{}
				}
				votes[s.User][p.User]++
			}
		}
	}
	out := map[string]string{}
	for who, v := range votes {
		best := ""
		for p, n := range v {
			if best == "" || n > v[best] || (n == v[best] && p < best) {
				best = p
			}
		}
		out[who] = best
	}
	return out
}

func nameless(user string) bool {
	return strings.HasPrefix(user, "user_") && strings.Contains(user, "@")
}

func canonical(names map[string]string, user string) string {
	user = strings.ToLower(user)
	if n, ok := names[user]; ok {
		return n
	}
	return user
}

// joinByPartner joins what weighs most and came through the same partner, or was found in its own house. What
// weighs less is daily work too, and needs the intruder's own things or account in common.
func joinByPartner(s sets, list []*ocsf.Finding, m *tenant.Model) {
	for p := range m.Partners {
		partner := &m.Partners[p]
		last := -1
		var entered time.Time // since when the partner's own house is known to be entered
		for i, f := range list {
			if atHome(f, partner) && f.Severity >= ocsf.SeverityHigh && entered.IsZero() {
				entered = f.Time
			}
			if !joinsByPath(f, partner, m) && !(commonCause(f, partner, m) && !entered.IsZero() && f.Time.Sub(entered) <= CauseWindow) {
				continue
			}
			if last >= 0 && f.Time.Sub(list[last].End) <= PathGap {
				s.join(last, i)
			}
			last = i
		}
	}
}

// joinsByPath reports whether a finding may be joined to others by the partner alone.
func joinsByPath(f *ocsf.Finding, p *tenant.Partner, m *tenant.Model) bool {
	switch {
	case atHome(f, p):
		return f.Severity >= ocsf.SeverityHigh
	case onPath(f, p):
		return f.Severity >= ocsf.SeverityHigh || f.Detector == "recon" || f.Rule == "fanout/logon-failures"
	}
	return onlyWayIn(f, p, m)
}

// CauseWindow is how long after a partner's house was entered a scan inside one of its clients is taken to have
// the same cause.
const CauseWindow = 30 * 24 * time.Hour

// commonCause reports whether a finding is a scan that nobody approved inside a tenant into which the partner has
// a way, seen without its origin: the gateway's log that would tell is missing.
func commonCause(f *ocsf.Finding, p *tenant.Partner, m *tenant.Model) bool {
	if f.Detector != "recon" || f.Partner != "" || f.Tenant == p.Tenant {
		return false
	}
	return slices.ContainsFunc(m.TrustsInto(f.Tenant), func(x *tenant.Trust) bool {
		return x.Partner == p.ID && x.ValidAt(f.Time) && len(x.Accounts) > 0
	})
}

// onlyWayIn reports whether a scan came from a private address that is none of the tenant's own, at a tenant into
// which no other partner has a way than this one: a pool or a tunnel whose log is missing. The finding's own
// attribution stays empty; the campaign says that it is by elimination.
func onlyWayIn(f *ocsf.Finding, p *tenant.Partner, m *tenant.Model) bool {
	if f.Detector != "recon" || f.Partner != "" || f.Tenant == p.Tenant {
		return false
	}
	t := m.Tenant(f.Tenant)
	if t == nil {
		return false
	}
	for _, e := range f.Entities {
		a, err := netip.ParseAddr(e.Value)
		if e.Role == ocsf.RoleSource && e.Type == ocsf.EntityIP &&
			(err != nil || !a.IsPrivate() || slices.ContainsFunc(t.Networks, func(n netip.Prefix) bool { return n.Contains(a) })) {
			return false
		}
	}
	ways := 0
	for _, x := range m.TrustsInto(f.Tenant) {
		if !x.ValidAt(f.Time) || (len(x.Accounts) == 0 && len(x.Networks) == 0 && len(x.JumpHosts) == 0) {
			continue
		}
		if x.Partner != p.ID {
			return false
		}
		ways++
	}
	return ways > 0
}

// onPath reports whether a finding came through the partner into somebody else's house.
func onPath(f *ocsf.Finding, p *tenant.Partner) bool {
	return f.Partner == p.ID && f.Tenant != p.Tenant
}

// atHome reports whether a finding lies in the partner's own house and is an intruder's doing there, not a
// partner's who in turn comes in.
func atHome(f *ocsf.Finding, p *tenant.Partner) bool {
	return p.Tenant != "" && f.Tenant == p.Tenant && f.Partner == "" && intrusive(f)
}

// intrusive findings show somebody getting in, not noise that a house has anyway.
func intrusive(f *ocsf.Finding) bool {
	switch f.Detector {
	case "recon":
		return f.Severity >= ocsf.SeverityHigh
	case "sigma", "indicator":
		return f.Severity >= ocsf.SeverityHigh
	}
	return true
}
