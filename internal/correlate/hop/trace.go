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
	Share      float64       // of all sessions that may explain the same, 0 to 1
	For        []string      // what tells for it as the cause, in plain words
	Against    []string      // what tells against it
	Told       bool          // another organisation answered so; no record of ours shows it
	JoinKey    ocsf.JoinKey  // id that both sides log; empty where there is none
	Evidence   ocsf.Evidence // File and Record of one of its records; no event
}

// TraceRequest is what another organisation must look up, so that the trace can go on.
type TraceRequest struct {
	Organisation string // a partner's id; a tenant's id where no partner is declared for it
	Place        Place
	Target       Place        // where it reached us; zero where that is not known
	Port         uint16       // on which; 0 where that is not known
	User         string       // the account that was used; "" where no record tells
	JoinKey      ocsf.JoinKey // id that its own logs have too
	At           time.Time    // when what is to be explained began
	From, To     time.Time
}

// Trace is a path back in time. Where Ask is set, Origin is not where it began but how far our telemetry leads.
type Trace struct {
	Source Place      // the point it started from
	Hops   []TraceHop // the first is the farthest back; none where nobody was in the source
	Origin Place
	Ask    *TraceRequest
	Shared bool   // others may stand behind Origin: it is a translated or lent address
	Reason string // why it ends there, in plain words
	Skews  []Skew // clocks that were set right on the way; all times are the asking tenant's
}

// Trace walks back from a point over paths that respect time: which session was open into that host then, which into
// the host it came from when it was opened, and so on, at most MaxTraceHops times and never to a place twice. As in
// Hopper (Ho et al., USENIX Security 2021, section 4), the causal session is inferred, not known: of several, see
// weights. It crosses into another tenant where the declared networks say whose an address is, with the clocks of
// the two set right by what both saw. The answer is the same for the same model and telemetry in any order.
func (g *Graph) Trace(m *tenant.Model, from TracePoint) Trace {
	ix := g.traceIndex(m)
	w := ix.start(from)
	return g.trace(ix, from, w.step.at, ix.follow(w))
}

// trace tells a walk in the time of the tenant that asked.
func (g *Graph) trace(ix *traceIndex, from TracePoint, source Place, w *walk) Trace {
	t := Trace{Source: source, Hops: slices.Clone(w.hops), Origin: w.step.at}
	for i := range t.Hops {
		h := &t.Hops[i]
		h.Start, h.End = ix.local(from.Tenant, h.Start).UTC(), ix.local(from.Tenant, h.End).UTC()
	}
	slices.Reverse(t.Hops)
	t.Skews = ix.told(from.Tenant, &t)
	if len(t.Hops) == MaxTraceHops {
		t.Reason = fmt.Sprintf("the trace was left after %d sessions", MaxTraceHops)
		return t
	}
	at, when := w.step.at, w.step.when
	end := ix.ending(at, when, from.Partner, len(t.Hops) == 0)
	t.Reason, t.Shared = end.reason, end.shared
	if end.ask != "" {
		at := ix.local(from.Tenant, when)
		t.Ask = &TraceRequest{Organisation: end.ask, Place: t.Origin, At: at.UTC(), From: at.Add(-Gap).UTC(), To: ix.local(from.Tenant, w.step.until).UTC(), User: w.step.user}
		if len(t.Hops) > 0 {
			h := &t.Hops[0]
			t.Ask.Target, t.Ask.Port, t.Ask.JoinKey = h.To, h.Port, h.JoinKey
		}
	}
	if g.flows.left > 0 {
		t.Reason += fmt.Sprintf("; %d records of sessions were left out, so one may be missing", g.flows.left)
	}
	return t
}

// told returns the clocks that had to be set right for a trace.
func (ix *traceIndex) told(against tenant.ID, t *Trace) []Skew {
	return slices.DeleteFunc(skews(ix.shifts, against), func(s Skew) bool {
		return t.Source.Tenant != s.Tenant && !slices.ContainsFunc(t.Hops, func(h TraceHop) bool {
			return h.From.Tenant == s.Tenant || slices.Contains(h.Seen, s.Tenant)
		})
	})
}

// ending is why a trace ends at a place.
type ending struct {
	ask    string // who must be asked, by a partner's or tenant's id; "" where it began there, as far as anyone can say
	reason string
	shared bool // others may stand behind the address
}

// ending says why a trace ends at a place.
func (ix *traceIndex) ending(at Place, when time.Time, through tenant.PartnerID, first bool) ending {
	name := at.Name()
	switch {
	case at.Tenant == "" && at.Partner != "":
		return ending{ask: string(at.Partner), reason: fmt.Sprintf("%s belongs to %s, whose telemetry is not held", name, at.Partner)}
	case at.Tenant == "" && first && through != "":
		return ending{ask: string(through), reason: fmt.Sprintf("nobody declares %s, and it came through %s", name, through)}
	case at.Tenant == "":
		return ending{reason: fmt.Sprintf("nobody declares %s", name)}
	case at.Partner != "":
		return ending{ask: string(at.Partner), reason: fmt.Sprintf("%s lends %s to %s, and no session log says who held it", at.Tenant, name, at.Partner), shared: true}
	}
	ask := string(at.Tenant)
	if p := ix.model.PartnerOf(at.Tenant); p != nil {
		ask = string(p.ID)
	}
	h, own := ix.flows.heard[at.Tenant], ix.local(at.Tenant, when)
	if h == nil || own.Before(h.from.Add(-HeardSlack)) || own.After(h.to.Add(HeardSlack)) {
		return ending{ask: ask, reason: fmt.Sprintf("%s belongs to %s, of which no telemetry of that time is held", name, at.Tenant)}
	}
	if _, seen := ix.flows.seen[tenantAddr{at.Tenant, at.Addr}]; at.Addr.IsValid() && h.network && !seen {
		return ending{ask: ask, reason: fmt.Sprintf("%s belongs to %s, but its own sensors never saw that address: others may stand behind it", name, at.Tenant), shared: true}
	}
	return ending{reason: fmt.Sprintf("no session into %s was open at %s", name, own.UTC().Format(time.RFC3339))}
}
