package recon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// level is how sure an episode is.
type level uint8

const (
	levelNone       level = iota
	levelFew              // a walk's verdict on a handful of contacts, or a habit
	levelBorderline       // more than chance and staleness explain
	levelClear            // a scan
)

// The limits. A host that nobody answers on six ports, eight hosts that do not answer on one port within an
// hour, or a dozen failed pairs within five minutes are borderline; what is about twice that is clear. The
// Internet answers less often, so that only more speaks there.
const (
	hostsBorderline, hostsClear               = 8, 15
	portsBorderline, portsClear               = 6, 15
	burstBorderline, burstClear               = 12, 25
	outsideHostsBorderline, outsideHostsClear = 15, 25
	probesBorderline                          = 3 // handshakes cut half-open, among as many failures as ports are borderline
	walkMinHosts, walkMinPairs                = 4, 4
	slowClear                                 = 15
	ratioFew, ratioBorderline, ratioClear     = 0.5, 0.4, 0.25
	emitEvery                                 = 60 * second
)

// failRatio is the part of the episode's first contacts that failed.
func (ep *episode) failRatio() float64 {
	return float64(ep.Fails) / float64(max(1, ep.Fails+ep.Answered))
}

// habit reports whether nearly all that fails is retried like a stale poller's list.
func (ep *episode) habit() bool {
	return ep.Fails <= staleMost && ep.Stale*5 >= ep.Fails*4 && ep.Stale > 0
}

// topService returns the service with most failed hosts, and topTarget the host with most failed services.
func (ep *episode) topService(outside bool) (best serviceCount) {
	for _, s := range ep.Services {
		if s.Service.Outside == outside && s.Hosts > best.Hosts {
			best = s
		}
	}
	return best
}

func (ep *episode) topTarget() (best targetCount) {
	for _, t := range ep.Targets {
		if t.Ports > best.Ports {
			best = t
		}
	}
	return best
}

// measure says how sure the episode is by its present figures.
func (ep *episode) measure(s *source) level {
	hosts, outside, ports := ep.topService(false).Hosts, ep.topService(true).Hosts, ep.topTarget().Ports
	ratio := ep.failRatio()
	switch {
	case ratio >= ratioClear && (hosts >= hostsClear || ports >= portsClear || ep.Burst >= burstClear || outside >= outsideHostsClear):
		return levelClear
	case ratio >= ratioBorderline && (hosts >= hostsBorderline || ports >= portsBorderline || ep.Burst >= burstBorderline || outside >= outsideHostsBorderline || ep.Probes >= probesBorderline && ep.Fails >= portsBorderline):
		return levelBorderline
	case ratio >= ratioFew && (ep.WalkHosts && ep.Hosts >= walkMinHosts || ep.WalkPairs && ep.Inside >= walkMinPairs):
		return levelFew
	}
	if long := s.slow(); long.due() {
		ep.SlowStart = long.Start
		return levelBorderline
	}
	return levelNone
}

// judge emits where the episode became surer, doubled, or turned out to be a habit.
func (d *Detector) judge(ts *tenantState, s *source, a int, emit detect.Emit) {
	g := s.group(a)
	ep := g.Scan
	if ep == nil {
		return
	}
	now := ep.measure(s)
	if now != levelNone && ep.SlowStart == 0 && ep.Early != nil {
		rest, sure := g.split(s)
		switch {
		case rest != nil && sure != levelNone:
			if ep.Emitted > 0 {
				g.remember(ep)
			}
			g.Scan, ep, now = rest, rest, sure
		case rest != nil && ep.Emitted == 0:
			return // a few more of its own will tell
		}
	}
	rose := now > ep.Level
	ep.Level = max(ep.Level, now)
	if ep.Level == levelNone {
		return
	}
	if ep.Emitted == 0 && s.Class != partner && !ts.admit(d, ep, emit) {
		ep.Level = levelNone
		g.Scan, g.Early = nil, nil
		return
	}
	if rose || ep.Fails >= 2*ep.Emitted || ep.Last-ep.LastEmit >= emitEvery {
		d.emit(ts, s, ep, a, emit)
	}
}

func (ep *episode) severity(c class) ocsf.Severity {
	switch l := ep.Level; {
	case ep.habit() || l == levelFew:
		return ocsf.SeverityLow
	case c == partner && l == levelClear:
		return ocsf.SeverityHigh
	case c == partner || l == levelClear:
		return ocsf.SeverityMedium
	}
	return ocsf.SeverityLow
}

// rule names the strongest sign.
func (ep *episode) rule() string {
	top, outside, target := ep.topService(false), ep.topService(true), ep.topTarget()
	if outside.Hosts > top.Hosts {
		top = outside
	}
	switch {
	case ep.habit():
		return "recon/known-failing"
	case ep.Level == levelFew, top.Hosts < hostsBorderline && target.Ports < portsBorderline && top.Service.Proto == tcp && ep.SlowStart == 0 && top.Hosts < 2*target.Ports && target.Ports < 2*top.Hosts:
		return "recon/walk"
	case ep.SlowStart != 0 && top.Hosts < hostsBorderline && target.Ports < portsBorderline:
		return "recon/slow-sweep"
	case top.Hosts < hostsBorderline && target.Ports >= portsBorderline, target.Ports > top.Hosts:
		if top.Service.Proto == udp {
			return "recon/udp-sweep"
		}
		return "recon/vertical"
	case top.Service.Proto == icmp:
		return "recon/icmp-sweep"
	case top.Service.Proto == udp:
		return "recon/udp-sweep"
	}
	return "recon/horizontal"
}

var confidence = map[level]int{levelFew: 40, levelBorderline: 70, levelClear: 90}

// emit says what the episode has found so far. Its id rests on the source, the trust, whether it was approved
// and the episode's start, so that each saying replaces the one before.
func (d *Detector) emit(ts *tenantState, s *source, ep *episode, a int, emit detect.Emit) {
	ep.Emitted, ep.LastEmit, ep.Dirty = ep.Fails, ep.Last, false
	emit(d.finding(ts, s, ep, a))
}

// finding says what the episode has found so far.
func (d *Detector) finding(ts *tenantState, s *source, ep *episode, a int) *ocsf.Finding {
	first := ep.Evidence[0]
	src := first.Src.IP.Unmap()
	f := &ocsf.Finding{Tenant: ts.id, Layer: first.Layer, Detector: "recon", Technique: "T1046",
		Outcome: ocsf.OutcomeAttempted, Severity: ep.severity(s.Class), Confidence: confidence[ep.Level], Snapshot: d.model.Version}
	if s.Class == partner {
		f.Trust, f.Partner = first.Trust, first.Partner
	}
	start := ep.Start
	if ep.SlowStart != 0 {
		start = ep.SlowStart
	}
	f.Identify(time.Unix(0, start).UTC(), string(f.Trust), src.String(), fmt.Sprint(a))
	f.Rule = ep.rule()
	for _, e := range ep.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.Unix(0, start).UTC(), time.Unix(0, max(ep.Last, ep.Again)).UTC(), ep.Count
	f.AddEntity(ocsf.EntityIP, src.String(), ocsf.RoleSource)
	f.AddEntity(ocsf.EntityUser, first.Owner.String(), ocsf.RoleActor)
	f.AddEntity(ocsf.EntityHost, first.OwnerHost, ocsf.RoleSource)
	for _, t := range ep.sortedTargets(20) {
		f.AddEntity(ocsf.EntityIP, t.Addr.String(), ocsf.RoleTarget)
	}
	for _, x := range ep.sortedServices(20) {
		f.AddEntity(ocsf.EntityService, x.Service.String(), ocsf.RoleTarget)
	}
	f.Title = ep.title(s.Class, src, f)
	f.Reason = ep.reason(s, src)
	ep.behind(f)
	if p := ep.Approval; p != nil {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: p.Owner, Reason: p.Reason, Until: p.Until}
		f.Reason += fmt.Sprintf(" It is approved by %s until %s: %s.", p.Owner, p.Until.UTC().Format(time.RFC3339), p.Reason)
	}
	return f
}

// behind names who stood behind the source's address, as translation records tell, or says that nobody can.
func (ep *episode) behind(f *ocsf.Finding) {
	var inside []netip.Addr
	shared := 0
	for _, e := range ep.Evidence {
		if a := e.Inside; a.IsValid() && !slices.Contains(inside, a) {
			inside = append(inside, a)
		}
		shared = max(shared, int(e.SharedBy))
	}
	slices.SortFunc(inside, netip.Addr.Compare)
	names := make([]string, len(inside))
	for i, a := range inside {
		names[i] = a.String()
		f.AddEntity(ocsf.EntityIP, names[i], ocsf.RoleSource)
	}
	switch {
	case len(inside) > 0:
		f.Reason += " Behind this address was " + strings.Join(names, ", ") + ", as translation records tell by port and time."
	case shared > 1:
		f.Reason += fmt.Sprintf(" The address is shared by at least %d inside hosts, and no translation record tells which of them it was.", shared)
	}
}

func (ep *episode) sortedTargets(n int) []targetCount {
	list := slices.Clone(ep.Targets)
	slices.SortFunc(list, func(a, b targetCount) int {
		return cmp.Or(cmp.Compare(b.Ports, a.Ports), a.Addr.Compare(b.Addr))
	})
	return list[:min(n, len(list))]
}

func (ep *episode) sortedServices(n int) []serviceCount {
	list := slices.Clone(ep.Services)
	slices.SortFunc(list, func(a, b serviceCount) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.Service.Proto, b.Service.Proto), cmp.Compare(a.Service.Port, b.Service.Port))
	})
	return list[:min(n, len(list))]
}

func (ep *episode) title(c class, src netip.Addr, f *ocsf.Finding) string {
	from := "from " + src.String()
	switch {
	case c == partner:
		from = fmt.Sprintf("through partner %s (%s)", f.Partner, src)
	case c == internal:
		from = "by own host " + src.String()
	case c == foreign:
		from = "from undeclared network (" + src.String() + ")"
	}
	what := map[string]string{
		"recon/horizontal": fmt.Sprintf("Scan of %s on %d hosts", ep.topAny().Service, ep.topAny().Hosts),
		"recon/vertical":   fmt.Sprintf("Scan of %d ports of %s", ep.topTarget().Ports, ep.topTarget().Addr),
		"recon/udp-sweep":  "UDP scan of " + plural(ep.Hosts, "host"),
		"recon/icmp-sweep": fmt.Sprintf("Ping sweep of %d hosts", ep.topAny().Hosts),
		"recon/slow-sweep": "Slow sweep over days",
		"recon/walk":       fmt.Sprintf("%d unanswered first contacts", ep.Fails),
	}[f.Rule]
	if ep.habit() {
		what = fmt.Sprintf("Known failing pairs? %d dead targets polled again and again", ep.Fails)
	}
	return what + " " + from
}

func (ep *episode) topAny() serviceCount {
	top := ep.topService(false)
	if o := ep.topService(true); o.Hosts > top.Hosts {
		return o
	}
	return top
}

// reason says every sign in plain words, with its figure and its limit.
func (ep *episode) reason(s *source, src netip.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s failed on %d pairs of host and service (%d hosts) in %s, while %d first contacts were answered.",
		src, ep.Fails, ep.Hosts, span(ep.Last-ep.Start), ep.Answered)
	if top := ep.topAny(); top.Hosts*2 >= hostsBorderline {
		limit := hostsBorderline
		if top.Service.Outside {
			limit = outsideHostsBorderline
		}
		fmt.Fprintf(&b, " %s failed on %d hosts (%s).", top.Service, top.Hosts, against(top.Hosts, limit))
	}
	if t := ep.topTarget(); t.Ports*2 >= portsBorderline {
		fmt.Fprintf(&b, " Host %s failed on %d services (%s).", t.Addr, t.Ports, against(t.Ports, portsBorderline))
	}
	if ep.Burst*2 >= burstBorderline {
		fmt.Fprintf(&b, " %d new pairs failed within five minutes (%s).", ep.Burst, against(ep.Burst, burstBorderline))
	}
	if ep.Probes > 0 {
		fmt.Fprintf(&b, " %d handshakes were cut half-open (%s).", ep.Probes, against(ep.Probes, probesBorderline))
	}
	if ep.WalkHosts {
		b.WriteString(" The random walk over its first contacts with hosts says scanner (99 %).")
	}
	if ep.WalkPairs {
		b.WriteString(" The random walk over its first contacts with services says scanner (99 %).")
	}
	if ep.SlowStart != 0 {
		fmt.Fprintf(&b, " Since %s about %.0f hosts failed that it never reached before (limit %d).",
			time.Unix(0, ep.SlowStart).UTC().Format(time.RFC3339), s.slow().Fails, slowClear)
	}
	if ep.habit() {
		fmt.Fprintf(&b, " %d of these pairs are retried at regular distance, as a stale poller does.", ep.Stale)
	}
	return b.String()
}

func against(n, limit int) string {
	if n < limit {
		return fmt.Sprintf("below the limit of %d", limit)
	}
	return fmt.Sprintf("limit %d", limit)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span writes a duration as people say it.
func span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return "less than a second"
	case d < 2*time.Minute:
		return plural(int(d.Round(time.Second).Seconds()), "second")
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
