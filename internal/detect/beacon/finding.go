package beacon

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Limits of what is told.
const (
	MinContacts = 12   // before a pair is scored
	MinScore    = 0.8  // told from there on
	HighScore   = 0.9  // medium needs it, and so does anything from the Internet's side
	Settled     = 24   // hours that a tenant must have been watched before a destination counts as new
	LongHours   = 8    // hours with contacts that medium needs
	ManyHosts   = 10   // hosts of the house that must be known before one of them means rarity
	common      = 5    // hosts that make a destination everybody's
	rare        = 2    // hosts up to which a new destination is rare
	pollsMany   = 4    // hosts that one source asks in rhythm over a trust: a poller
	tellsMost   = 8    // destinations of one source that are told without being rare
	inwardMost  = 8    // pairs of the Internet's side that are told of one tenant at a time
	inwardLeast = 24   // contacts that such a pair needs: one for each hour of a day
	inwardEven  = 0.75 // score of the intervals that it needs
	fastest     = 1000 // milliseconds: below, it is one conversation cut in pieces
)

// teller is whose findings are counted together: the source, or the tenant for what comes from the Internet.
func (k pairKey) teller(w way) destKey {
	if w == inward {
		return destKey{Meta: uint64(k.tenant()) << 32}
	}
	return destKey{k.Src, k.SrcLow, uint64(k.tenant())<<32 | 1}
}

// rarity is what is known of a destination's use.
type rarity struct {
	hosts uint32 // that use it, up to common
	fresh bool   // it was first contacted when the tenant had long been watched
	known bool   // enough was seen for one host to mean something
	many  bool   // it is everybody's
}

func (d *Detector) rarity(p *place, k pairKey, w way) (r rarity) {
	if w == inward {
		return r
	}
	u, _ := d.users.get(k.destination(w == outward))
	r.hosts = max(1, u.Count)
	r.fresh = u.First-p.First >= Settled*hourMillis
	r.known = len(p.Hosts) >= ManyHosts
	r.many = u.Count >= common || u.Count > rare && 2*int(u.Count) >= len(p.Hosts)
	return r
}

// judge scores a pair and tells of it, or tells again what has grown.
func (d *Detector) judge(p *place, k pairKey, s *series, w way, e *ocsf.Event, emit detect.Emit) {
	if s.Count < MinContacts || len(s.Gaps) < MinContacts-repeats {
		return
	}
	if !k.named() && 2*s.Named >= s.Count {
		return // the pair that knows the destination by its name speaks for it
	}
	sample := s.sample(p.First)
	if median(sample.Intervals) < fastest/1000 {
		return
	}
	score, r := Score(sample), d.rarity(p, k, w)
	if s.Told == nil && !d.worth(k, s, w, score, r) {
		return
	}
	f := d.grow(k, s, w, e)
	tool := d.relay(p, e, s.Name)
	explained := d.explained(p, k, s, w, e)
	f.Severity, f.Confidence = ocsf.SeverityInformational, 30
	switch lone := r.hosts == 1 && w == outward; {
	case w == inward || explained != nil || r.many:
	case lone && r.fresh && r.known && score.Total >= HighScore && hoursSeen(sample.Hours) >= LongHours:
		f.Severity, f.Confidence = ocsf.SeverityMedium, 50
	case lone && r.known || r.fresh && r.hosts <= rare || tool != "":
		f.Severity, f.Confidence = ocsf.SeverityLow, 40
	}
	f.Suppressed = explained
	f.Reason = reason(k, s, w, sample, score, r, tool)
	s.Told = f
	emit(f.Clone())
}

// worth reports whether a pair that was never told should be.
func (d *Detector) worth(k pairKey, s *series, w way, score Scores, r rarity) bool {
	n := d.told[k.teller(w)]
	switch {
	case score.Total < MinScore || r.many:
		return false
	case w == inward:
		return score.Total >= HighScore && score.Timestamps >= inwardEven && s.Count >= inwardLeast && n < inwardMost
	case w == across:
		return d.polled[k.source()] < pollsMany && n < tellsMost
	}
	return n < tellsMost || r.hosts <= rare && r.fresh && n < 4*tellsMost
}

// grow returns the finding with the newest contact, a new one where none was told.
func (d *Detector) grow(k pairKey, s *series, w way, e *ocsf.Event) *ocsf.Finding {
	dst := s.destination(k)
	var f *ocsf.Finding
	if s.Told != nil {
		f = s.Told.Clone()
	} else {
		f = &ocsf.Finding{Tenant: e.Tenant, Layer: e.Layer, Detector: "beacon", Rule: "beacon/regular-contact", Technique: "T1071", Outcome: ocsf.OutcomeUnknown,
			Title: fmt.Sprintf("%s contacts %s at even times", k.src(), dst)}
		f.Identify(time.UnixMilli(s.First).UTC(), k.src().String(), dst, k.service())
		d.told[k.teller(w)]++
		s.Way = w
		role := ocsf.RoleTarget
		if w == outward {
			role = ocsf.RoleInfrastructure
		}
		f.AddEntity(ocsf.EntityIP, k.src().String(), ocsf.RoleSource)
		if k.named() {
			f.AddEntity(ocsf.EntityDomain, s.Name, role)
			role = ocsf.RoleTarget
		}
		if !k.named() {
			f.AddEntity(ocsf.EntityIP, dst, role)
		}
		f.AddEntity(ocsf.EntityService, k.service(), ocsf.RoleTarget)
	}
	f.Trust, f.Partner = e.Trust, e.Partner
	if len(f.Evidence) < maxEvidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.UnixMilli(s.First).UTC(), time.UnixMilli(s.Last).UTC(), int(s.Count)
	return f
}

// maxEvidence is how many contacts a finding shows, an hour apart.
const maxEvidence = 8

func (s *series) destination(k pairKey) string {
	if k.named() {
		return s.Name
	}
	return k.dst().String()
}

func (k pairKey) service() string {
	t := "tcp"
	if k.proto() == udp {
		t = "udp"
	}
	return strconv.Itoa(int(k.port())) + "/" + t
}

// relay names the remote-support product whose relay the destination is, where no trust of the tenant declares it.
func (d *Detector) relay(p *place, e *ocsf.Event, name string) string {
	if name == "" {
		return ""
	}
	tool, _, ok := remotetool.ByDomain(name)
	if !ok {
		return ""
	}
	for _, t := range p.trusts {
		if t.ValidAt(e.Time) && slices.ContainsFunc(t.RemoteTools, func(r tenant.RemoteTool) bool { return r.Tool == tool }) {
			return ""
		}
	}
	return tool
}

// explained returns the declared trust that says why the pair talks: the destination is the partner's own address,
// relay or domain, or the partner was given that very destination.
func (d *Detector) explained(p *place, k pairKey, s *series, w way, e *ocsf.Event) *ocsf.Suppression {
	for _, t := range p.trusts {
		if !t.ValidAt(e.Time) {
			continue
		}
		why := ""
		switch addr := k.dst(); {
		case k.named() && within(s.Name, relays(t)):
			why = "a relay that the trust declares"
		case k.named() && within(s.Name, t.MailDomains):
			why = "a name of the partner's"
		case !k.named() && w == outward && containsAddr(t, k):
			why = "an address of the partner's"
		case w == across && t.ID == e.Trust && slices.Contains(t.Destinations, addr.String()):
			why = "a destination that the trust declares"
		}
		if why != "" {
			return &ocsf.Suppression{By: "trust", Owner: t.Owner, Reason: why + " (" + string(t.ID) + ")", Until: t.ValidUntil}
		}
	}
	return nil
}

func relays(t *tenant.Trust) (out []string) {
	for _, r := range t.RemoteTools {
		out = append(out, r.Hosts...)
	}
	return out
}

func within(name string, domains []string) bool {
	return slices.ContainsFunc(domains, func(x string) bool { return tenant.WithinDomain(name, strings.ToLower(x)) })
}

func containsAddr(t *tenant.Trust, k pairKey) bool {
	for _, p := range t.Networks {
		if p.Contains(k.dst()) {
			return true
		}
	}
	return false
}

func median(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return quantile(s, 0.5)
}

// reason says what was measured and which limits decided.
func reason(k pairKey, s *series, w way, x Sample, score Scores, r rarity, tool string) string {
	gaps := slices.Clone(x.Intervals)
	slices.Sort(gaps)
	var b strings.Builder
	fmt.Fprintf(&b, "%s contacted %s (%s) %d times in %s, in %d of the last %d hours: half of the newest intervals lie between %s and %s",
		k.src(), s.destination(k), k.service(), s.Count, span(s.Last-s.First), hoursSeen(x.Hours), len(x.Hours), pace(quantile(gaps, 0.25)), pace(quantile(gaps, 0.75)))
	if len(x.Sizes) > 0 {
		fmt.Fprintf(&b, ", with %.0f bytes sent at the median", median(x.Sizes))
	}
	fmt.Fprintf(&b, ". RITA's beacon score is %.3f (intervals %.3f, sizes %.3f, hours %.3f, duration %.3f); it is told from %.2f.",
		score.Total, score.Timestamps, score.Sizes, score.Histogram, score.Duration, MinScore)
	switch {
	case w == inward:
		b.WriteString(" It comes from the Internet, where much is regular.")
	case r.many:
		b.WriteString(" By now many hosts use the destination.")
	case r.hosts == 1:
		b.WriteString(" No other host of any tenant is known to use the destination")
	default:
		fmt.Fprintf(&b, " %d hosts of all tenants are known to use the destination", r.hosts)
	}
	if w != inward && !r.many {
		if r.fresh {
			fmt.Fprintf(&b, ", which was new after %d hours of watching.", Settled)
		} else {
			b.WriteString(", which was there when the watch began.")
		}
		if !r.known && w == outward {
			fmt.Fprintf(&b, " Fewer than %d hosts of this tenant were seen, so that this says little.", ManyHosts)
		}
	}
	if tool != "" {
		fmt.Fprintf(&b, " The name belongs to the remote tool %s, which no trust declares here.", tool)
	}
	return b.String()
}

func span(ms int64) string {
	return fmt.Sprintf("%.1f h", float64(ms)/float64(hourMillis))
}

func pace(s float64) string {
	if s < 600 {
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.1f min", s/60)
}
