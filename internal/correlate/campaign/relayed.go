package campaign

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// A partner may have no more than an account at a portal, a file server or a terminal of its client. Who comes by it and
// goes on from there appears as the client's own server and under its service accounts, and the findings name no
// partner (Target 2013 through a supplier's billing portal). What then joins them is the host, the time, and that the
// host never did so before.
const (
	RelayWindow = 24 * time.Hour // how long after a partner's visit what a host does may still be its fruit
	RelayChance = 0.05           // how likely a visit lies so close by accident, at most, where something else says the same
	RelayEach   = 0.15           // and of each where several hosts tell of the same partner
	RelayAll    = 0.005          // and of all of them together
	RelayHabit  = 12 * time.Hour // what a host did at another time, so far apart, it does by itself
	RelayWarm   = 24 * time.Hour // a tenant heard for less has no past in which a host never did so
)

// relayed is a finding of a client's own host that is taken for the doing of a partner's account which came to that host
// shortly before.
type relayed struct {
	finding *ocsf.Finding
	session *hop.Session
	host    string
	at      time.Time // when the session came to the host
	chance  float64   // that a session of that partner came so shortly before by accident
	visits  int       // of that partner to that host, in all
}

func (r *relayed) why() string {
	return fmt.Sprintf("%s began to do what it never did %s after %s came to it as %s, who came %d times in all",
		r.host, r.finding.Time.Sub(r.at).Round(time.Minute), r.session.Partner, firstText(r.session.User, "somebody"), r.visits)
}

// visit is a session's first success on a host.
type visit struct {
	at      time.Time
	session *hop.Session
}

// relays returns by finding what came through a partner by way of a client's own host, as far as it is believed.
func relays(in Evidence, x *index) map[string]*relayed {
	names := in.Graph.HostNames()
	habits := map[string][]time.Time{} // tenant, rule, source → when it was found
	var suspects []*ocsf.Finding
	for _, f := range in.Findings {
		host := ownSource(f, names)
		if host == "" {
			continue
		}
		k := string(f.Tenant) + "\x00" + f.Rule + "\x00" + host
		habits[k] = append(habits[k], f.Time)
		// What a directory's own servers ask of one another is low until it is learned.
		if weighs(f) && !commodity(f) && f.Partner == "" && (f.Detector != "enumeration" || f.Severity >= ocsf.SeverityMedium) {
			suspects = append(suspects, f)
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	visits, observed := x.visits(names), spans(in)
	byPartner := map[tenant.PartnerID][]*relayed{}
	for _, f := range suspects {
		host := ownSource(f, names)
		own := slices.ContainsFunc(habits[string(f.Tenant)+"\x00"+f.Rule+"\x00"+host], func(t time.Time) bool {
			return t.Sub(f.Time).Abs() >= RelayHabit
		})
		o := observed[f.Tenant]
		if own || f.Time.Sub(o.from) < RelayWarm {
			continue
		}
		if r := likeliest(f, host, visits[string(f.Tenant)+"\x00"+host], o.to.Sub(o.from)); r != nil {
			byPartner[r.session.Partner] = append(byPartner[r.session.Partner], r)
		}
	}
	out := map[string]*relayed{}
	for p, list := range byPartner {
		for _, r := range believed(in, p, list) {
			out[r.finding.ID] = r
		}
	}
	return out
}

// ownSource is the one host of a tenant's own that a finding of movement or reconnaissance accuses, as a short name or
// an address; "" where it accuses several, or is of another kind.
func ownSource(f *ocsf.Finding, names func(tenant.ID, netip.Addr) string) string {
	switch f.Detector {
	case "recon", "lateral", "enumeration":
	default:
		return ""
	}
	out := ""
	for _, e := range f.Entities {
		if e.Role != ocsf.RoleSource || e.Type != ocsf.EntityIP && e.Type != ocsf.EntityHost {
			continue
		}
		h := hop.Short(e.Value)
		if a, err := netip.ParseAddr(h); err == nil {
			if joinable(h) {
				return "" // an address of the Internet is no host of the house
			}
			h = firstText(names(f.Tenant, a), a.Unmap().String())
		}
		if out != "" && out != h {
			return ""
		}
		out = h
	}
	return out
}

// visits returns by tenant and host the sessions of partners that got something on it, by time.
func (x *index) visits(names func(tenant.ID, netip.Addr) string) map[string][]visit {
	out := map[string][]visit{}
	for _, s := range x.all {
		if s.Partner == "" || s.Out || s.Kind == hop.KindCloud {
			continue
		}
		seen := map[string]bool{}
		for _, a := range s.Acts { // in the order in which they came
			host := a.Target
			if addr, err := netip.ParseAddr(host); err == nil {
				host = firstText(names(s.Tenant, addr), addr.Unmap().String())
			}
			if a.Got && host != "" && !seen[host] {
				seen[host] = true
				k := string(s.Tenant) + "\x00" + host
				out[k] = append(out[k], visit{a.Time, s})
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b visit) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.session.ID, b.session.ID)) })
	}
	return out
}

// spans is from when to when each tenant's hosts, networks and accesses were heard.
func spans(in Evidence) map[tenant.ID]span {
	out := map[tenant.ID]span{}
	for _, row := range in.Telemetry.Rows(in.Model) {
		if row.Events == 0 || row.Layer != tenant.LayerEndpoint && row.Layer != tenant.LayerNetwork && row.Layer != tenant.LayerAccess {
			continue
		}
		s, known := out[row.Tenant]
		if !known || row.From.Before(s.from) {
			s.from = row.From
		}
		if row.To.After(s.to) {
			s.to = row.To
		}
		out[row.Tenant] = s
	}
	return out
}

// likeliest returns the partner's visit that explains best what a host began to do: the one whose closeness is the least
// likely to be an accident. Whoever comes all day was there shortly before whatever happens.
func likeliest(f *ocsf.Finding, host string, list []visit, observed time.Duration) *relayed {
	last, count := map[tenant.PartnerID]visit{}, map[tenant.PartnerID]int{}
	for _, v := range list {
		p := v.session.Partner
		count[p]++
		if !v.at.After(f.Time) && f.Time.Sub(v.at) <= RelayWindow {
			last[p] = v
		}
	}
	var best *relayed
	for p, v := range last {
		rate := float64(count[p]) / observed.Seconds()
		chance := 1 - math.Exp(-rate*f.Time.Sub(v.at).Seconds())
		if best == nil || chance < best.chance || chance == best.chance && p < best.session.Partner {
			best = &relayed{f, v.session, host, v.at, chance, count[p]}
		}
	}
	if best == nil || best.chance > RelayEach {
		return nil
	}
	return best
}

// believed returns those of a partner's that are no accident: on several hosts or days, which are too many accidents
// together; or with something else that a detector says of the same account of the partner's.
func believed(in Evidence, p tenant.PartnerID, list []*relayed) []*relayed {
	var out []*relayed
	all := 1.0
	seen := map[string]bool{} // one visit to one host counts once, whatever was found of it
	for _, r := range list {
		if k := string(r.finding.Tenant) + "\x00" + r.host + "\x00" + r.session.ID; !seen[k] {
			seen[k] = true
			all *= r.chance
		}
	}
	for _, r := range list {
		if len(seen) >= 2 && all <= RelayAll || r.chance <= RelayChance && accused(in, p, r) {
			out = append(out, r)
		}
	}
	return out
}

// accused reports whether a detector that compares with the past says something of the account by which a partner came to
// the host: it came from where it never was, or it scans or is refused elsewhere.
func accused(in Evidence, p tenant.PartnerID, r *relayed) bool {
	for _, f := range in.Findings {
		if f.Partner != p || !weighs(f) || commodity(f) || underApproval(in.Model, f) || f.Time.Sub(r.at).Abs() > PathGap {
			continue
		}
		strange := f.Rule == "firstcontact/source" && (f.Severity >= ocsf.SeverityMedium || slices.Contains(sessionsOf(f), r.session.ID))
		if !strange && !seeds(f) {
			continue
		}
		if r.session.User != "" && slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool {
			return e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && strings.EqualFold(e.Value, r.session.User)
		}) {
			return true
		}
	}
	return false
}

// joinByRelay joins what a partner's account did by way of clients' own hosts, and what it did itself.
func joinByRelay(s sets, list []*ocsf.Finding, relays map[string]*relayed) {
	last := map[tenant.PartnerID]int{}
	accounts := map[string]bool{} // partner and account that came to such a host
	for _, r := range relays {
		accounts[string(r.session.Partner)+"\x00"+r.session.User] = true
	}
	for i, f := range list {
		p := f.Partner
		if r := relays[f.ID]; r != nil {
			p = r.session.Partner
		} else if !slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool {
			return e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && accounts[string(p)+"\x00"+strings.ToLower(e.Value)]
		}) {
			continue
		}
		if j, ok := last[p]; ok && f.Time.Sub(list[j].End) <= PathGap {
			s.join(j, i)
		}
		last[p] = i
	}
}

// through is the partner that a finding came by: the one that it names, else the one whose account came to the host
// that it accuses.
func (g *group) through(f *ocsf.Finding) tenant.PartnerID {
	if f.Partner == "" {
		if r := g.index.relays[f.ID]; r != nil {
			return r.session.Partner
		}
	}
	return f.Partner
}

// relaysOf returns what came by way of clients' own hosts, of those findings that the group holds.
func (g *group) relaysOf() []*relayed {
	var out []*relayed
	for _, f := range g.findings {
		if r := g.index.relays[f.ID]; r != nil && r.session.Partner == g.partner && f.Tenant != g.home {
			out = append(out, r)
		}
	}
	return out
}

// cameToRelay are the sessions by which the intruder came to a client's host and then went on from it, as far as they did
// no more there than sign in to a service: that is what the account is for. What came of it, the findings say.
func (g *group) cameToRelay() map[string]bool {
	out := map[string]bool{}
	for _, r := range g.relaysOf() {
		if !slices.ContainsFunc(r.session.Acts, func(a hop.Act) bool {
			return a.Got && !(a.Kind == "logon" && (a.Detail == "logon type 3" || a.Detail == "logon type 8"))
		}) {
			out[r.session.ID] = true
		}
	}
	return out
}
