package hop

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of a trace.
const (
	MaxTraceHops = 8               // sessions walked back; a path that is longer says so
	EndSlack     = 2 * time.Minute // a session that ended this long before still counts: who left a scan running left it
	HeardSlack   = 5 * time.Minute // telemetry that stops this long before is still taken for held
)

// Place is one end of a move: an address or host in the address space of a tenant, or of a partner whose telemetry
// is not held.
type Place struct {
	Tenant  tenant.ID        // whose address space; "" outside every tenant
	Partner tenant.PartnerID // whose it is where Tenant is "", or to whom a tenant's own pool address is lent
	Addr    netip.Addr       // invalid where only a host's name is known
	Host    string           // short name in lower case, where no address is known
	view    tenant.ID        // who told of it, where nobody is known to own it: private space differs from tenant to tenant
}

// Name returns the address, or the host's name where no address is known.
func (p Place) Name() string {
	if p.Addr.IsValid() {
		return p.Addr.String()
	}
	return p.Host
}

// TracePoint is where and when a trace starts: who did something (not to whom), as the tenant's telemetry names it.
type TracePoint struct {
	Tenant  tenant.ID // whose telemetry tells of it; decides what a private address means
	Addr    netip.Addr
	Host    string // used where Addr is invalid
	Time    time.Time
	End     time.Time        // end of what was done; zero: the same moment
	User    string           // account, where one is known
	Partner tenant.PartnerID // through whom it came, where attribution says so
}

// TraceHop is one session by which somebody came from one place to the next.
type TraceHop struct {
	From, To   Place
	Start, End time.Time
	Kind       string // ssh, rdp, vnc, winrm, telnet, smb, logon, network-logon, vpn, rmm
	Port       uint16
	Packets    int64         // 0 where the record does not count them
	User       string        // account, lower case; "" where no record tells one
	Seen       []tenant.ID   // whose telemetry has it, sorted
	Others     int           // other places with a session into To at that time, which scored less
	Score      float64       // comparable within one choice only
	Evidence   ocsf.Evidence // File and Record of one of its records; no event
}

// TraceRequest is what another organisation must look up, so that the trace can go on.
type TraceRequest struct {
	Organisation string // a partner's id; a tenant's id where no partner is declared for it
	Place        Place
	From, To     time.Time
}

// Trace is a path back in time. Where Ask is set, Origin is not where it began but how far our telemetry leads.
type Trace struct {
	Source Place      // the point it started from
	Hops   []TraceHop // the first is the farthest back; none where nobody was in the source
	Origin Place
	Ask    *TraceRequest
	Reason string // why it ends there, in plain words
}

// Trace walks back from a point over paths that respect time: which session was open into that host then, which into
// the host it came from when it was opened, and so on, at most MaxTraceHops times and never to a place twice. As in
// Hopper (Ho et al., USENIX Security 2021, section 4), the causal session is inferred, not known: of several, see
// score. It crosses into another tenant where the declared networks say whose an address is. The answer is the
// same for the same model and telemetry in any order.
func (g *Graph) Trace(m *tenant.Model, from TracePoint) Trace {
	ix := g.traceIndex(m)
	at := ix.point(from)
	t := Trace{Source: at}
	when, until, user := from.Time, from.End, from.User
	if until.Before(when) {
		until = when
	}
	passed := map[Place]bool{at: true}
	for len(t.Hops) < MaxTraceHops {
		e, others, score := ix.into(at, when, until, user, passed)
		if e == nil {
			break
		}
		t.Hops = append(t.Hops, TraceHop{From: e.from, To: at, Start: e.start.UTC(), End: e.end.UTC(), Kind: e.kind, Port: e.port, Packets: e.packets,
			User: e.user, Seen: slices.Clone(e.seen), Others: others, Score: score, Evidence: ocsf.Evidence{File: e.file, Record: e.record}})
		at, when, user = e.from, e.start, firstOf(e.user, user)
		if e.packets > 0 {
			until = e.end // of logons and leases the end is not always told: what came of it is the best that is known
		}
		passed[at] = true
	}
	slices.Reverse(t.Hops)
	t.Origin = at
	if len(t.Hops) == MaxTraceHops {
		t.Reason = fmt.Sprintf("the trace was left after %d sessions", MaxTraceHops)
		return t
	}
	ask, reason := ix.ending(at, when, from.Partner, len(t.Hops) == 0)
	t.Reason = reason
	if ask != "" {
		t.Ask = &TraceRequest{Organisation: ask, Place: at, From: when.Add(-Gap).UTC(), To: until.UTC()}
	}
	if g.flows.left > 0 {
		t.Reason += fmt.Sprintf("; %d records of sessions were left out, so one may be missing", g.flows.left)
	}
	return t
}

// ending says why a trace ends at a place: it began there, or somebody must be asked, by a partner's or tenant's id.
func (ix *traceIndex) ending(at Place, when time.Time, through tenant.PartnerID, first bool) (ask, reason string) {
	name := at.Name()
	switch {
	case at.Tenant == "" && at.Partner != "":
		return string(at.Partner), fmt.Sprintf("%s belongs to %s, whose telemetry is not held", name, at.Partner)
	case at.Tenant == "" && first && through != "":
		return string(through), fmt.Sprintf("nobody declares %s, and it came through %s", name, through)
	case at.Tenant == "":
		return "", fmt.Sprintf("nobody declares %s", name)
	case at.Partner != "":
		return string(at.Partner), fmt.Sprintf("%s lends %s to %s, and no session log says who held it", at.Tenant, name, at.Partner)
	}
	ask = string(at.Tenant)
	if p := ix.model.PartnerOf(at.Tenant); p != nil {
		ask = string(p.ID)
	}
	h := ix.flows.heard[at.Tenant]
	if h == nil || when.Before(h.from.Add(-HeardSlack)) || when.After(h.to.Add(HeardSlack)) {
		return ask, fmt.Sprintf("%s belongs to %s, of which no telemetry of that time is held", name, at.Tenant)
	}
	if _, seen := ix.flows.seen[tenantAddr{at.Tenant, at.Addr}]; at.Addr.IsValid() && h.network && !seen {
		return ask, fmt.Sprintf("%s belongs to %s, but its own sensors never saw that address: others may stand behind it", name, at.Tenant)
	}
	return "", fmt.Sprintf("no session into %s was open at %s", name, when.UTC().Format(time.RFC3339))
}
