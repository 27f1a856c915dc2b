package lateral

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// source is a host from which somebody acts, and who stands on it.
type source struct {
	Key      string // in Sources
	Host     host
	Session  string // the VPN or tool session that holds its address
	Opener   string // the account that was used first, where nothing tells who opened the session
	Start    int64
	Last     int64
	Landings []landing
	Growing  []string // findings of this source that may still grow
	Use      map[string]string
	Switched bool    // an account was used that makes the rest weigh more
	Hopped   bool    // it went on to where it never was
	Executed bool    // it wrote to an administrative share and executed
	Ran      bool    // it did so on many hosts in a row, as nobody of it did before
	Run      []int64 // when it began to do so on a host, of the last RunHosts
}

// landing is somebody who came to a host and can go on from there.
type landing struct {
	Who     actor
	Account string // used on the host
	From    host
	How     mechanism
	Start   int64
	Until   int64
	Event   *ocsf.Event
	Finding string

	Disarmed      int64 // when the host's protection was stopped, in unix nanoseconds; 0: it was not
	DisarmFinding string
}

// source returns the state of the act's source.
func (d *Detector) source(a *act, create bool) *source {
	return d.stands(a, a.source, create)
}

// stands returns the state of a host as a source. A session that begins anew forgets what was before.
func (d *Detector) stands(a *act, h host, create bool) *source {
	if !h.known() {
		return nil
	}
	first, second := h.keys()
	stem := string(a.event.Tenant) + "\x00"
	at := a.event.Time.UnixNano()
	s := d.s.Sources[stem+first]
	if s == nil && second != "" {
		s = d.s.Sources[stem+second]
	}
	if s != nil && (at-s.Last > int64(SessionIdle) || h.same(a.source) && a.event.Session != "" && s.Session != "" && s.Session != a.event.Session) {
		*s = source{Key: s.Key, Host: h, Start: at}
	}
	if s == nil {
		if !create {
			return nil
		}
		detect.MakeRoom(d.s.Sources, MaxSources, func(s *source) int64 { return s.Last })
		s = &source{Key: stem + first, Host: h, Start: at}
		d.s.Sources[s.Key] = s
	}
	s.Last = max(s.Last, at)
	if h.same(a.source) && a.event.Session != "" {
		s.Session = a.event.Session
	}
	return s
}

// land remembers who came to a host by a way that lets a person go on from there.
func (d *Detector) land(a *act, who actor) {
	if !a.how.session() || a.step != stepLogon && a.step != stepReach || !a.target.known() || a.source.same(a.target) {
		return
	}
	e := a.event
	if a.step == stepReach && e.Flow == nil { // an attempt, as the protocol's own log has it
		return
	}
	stay := LandingTime
	if a.how == byTool && e.Remote.Act != "connect" {
		stay = EpisodeGap // a command opens no session
	}
	s := d.stands(a, a.target, true)
	at := e.Time.UnixNano()
	until := at + int64(stay)
	if e.Flow != nil && e.Flow.Duration > 0 {
		until = at + int64(e.Flow.Duration+Grace)
	}
	for i := range s.Landings {
		l := &s.Landings[i]
		if l.From.same(a.source) && (l.Account == a.account || l.Account == "" || a.account == "") {
			l.Until = max(l.Until, until)
			if l.Account == "" {
				l.Account = a.account
			}
			if l.Who.Partner == "" {
				l.Who = who
			}
			return
		}
	}
	s.Landings = slices.DeleteFunc(s.Landings, func(l landing) bool { return l.Until < at })
	if len(s.Landings) >= maxLandings {
		s.Landings = slices.Delete(s.Landings, 0, 1)
	}
	if who.Account == "" {
		who.Account = a.account
	}
	s.Landings = append(s.Landings, landing{Who: who, Account: a.account, From: a.source, How: a.how, Start: at, Until: until, Event: e})
}

// leave shortens the stay of an account that the host saw go.
func (d *Detector) leave(a *act) {
	if l, ok := d.s.Logons[logonKey(a)]; a.how != byTool && (!ok || !l.How.session()) {
		return
	}
	if s := d.stands(a, a.target, false); s != nil {
		for i := range s.Landings {
			if l := &s.Landings[i]; (l.How == byTool) == (a.how == byTool) && (l.Account == a.account || a.account == "") {
				l.Until = min(l.Until, a.event.Time.UnixNano()+int64(Grace))
			}
		}
	}
}

// landed is through whom somebody acts who stands on the source.
func (d *Detector) landed(a *act, who actor) actor {
	if s := d.source(a, false); s != nil {
		if l := s.on(a); l != nil && l.Who.Partner != "" {
			return l.Who
		}
	}
	return who
}

// on returns who of those that stand on the source acts: who has the account, else the last to come through a
// partner, else the last.
func (s *source) on(a *act) *landing {
	var best *landing
	rank := func(l *landing) int {
		switch {
		case a.account != "" && l.Account == a.account || a.opener != "" && l.Account == a.opener:
			return 2
		case l.Who.Partner != "":
			return 1
		}
		return 0
	}
	at := a.event.Time.UnixNano()
	for i := range s.Landings {
		l := &s.Landings[i]
		if l.Until < at || l.Start > at {
			continue
		}
		if best == nil || rank(l) >= rank(best) {
			best = l
		}
	}
	return best
}

// onward looks whether somebody who landed on the source goes on to a host that the source never reached.
func (d *Detector) onward(a *act, who *actor, s *source, fresh bool, emit detect.Emit) {
	l := s.on(a)
	if l == nil || l.How == byConsole || l.From.same(a.target) {
		return
	}
	if who.Partner == "" && l.Who.Partner != "" {
		*who = l.Who
	}
	e := a.event
	crossing := d.crossing(e.Tenant, a.target.Addr, l.Who.Partner)
	o := d.s.Found[l.Finding]
	linked := l.Account != "" && (a.account == l.Account || a.opener == l.Account) || a.how.session() || a.how == byWinRM || a.step == stepWrite || a.step == stepCall
	if !fresh && (o == nil || !o.names(a.target)) {
		return
	}
	if l.Who.Partner == "" && !a.how.session() {
		return // people of the house who work on from a host are told where they use remote desktop or SSH for it
	}
	if o == nil {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: l.Who.Trust, Partner: l.Who.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "lateral/onward-hop"}
		k, _ := s.Host.keys()
		from := ""
		if l.From.known() {
			from, _ = l.From.keys()
		}
		f.Identify(time.Unix(0, l.Start), k, from)
		o = &open{Finding: f, Kind: kindHop, Source: s.Host.String(), Warm: d.warm(e.Tenant, e.Time), Watched: e.Time.UnixNano() - d.s.First[e.Tenant], From: from,
			Landed: l.How.String(), ByTool: l.How == byTool, Opener: l.Account}
		if o.Opener == "" {
			o.Opener = l.Who.Account
		}
		o.ends(s.Host, host{})
		f.AddEntity(ocsf.EntityUser, l.Account, ocsf.RoleActor)
		f.AddEntity(ocsf.EntityUser, l.Who.Account, ocsf.RoleActor)
		if l.Event != nil {
			f.AddEvidence(l.Event)
		}
		l.Finding = f.ID
		o.HabitDays = d.practise(e.Time, false, "hop", string(e.Tenant), k, string(l.Who.Partner)).before(e.Time)
		d.open(o, emit)
		s.grow(f.ID)
	}
	o.Signs++
	o.Finding.AddEvidence(e)
	o.target(a.target)
	if len(o.Finding.Entities) < maxWords {
		o.Finding.AddEntity(entityOf(a.target), value(a.target), ocsf.RoleTarget)
	}
	if linked {
		o.Linked = worded(o.Linked, value(a.target), maxWords)
	}
	if crossing != "" {
		o.Crossing = worded(o.Crossing, crossing, 4)
	}
	o.actor(a.account)
	if o.Ways == nil {
		o.Ways = map[mechanism]int{}
	}
	o.Ways[a.how]++
	d.explainBy(o, a)
	d.jumpHost(o, l, s)
	d.combine(o, a)
	d.grown(o, emit)
}

// crossing names whose space an address is that is none of the tenant's own: another tenant's, or another partner's.
func (d *Detector) crossing(id tenant.ID, addr netip.Addr, through tenant.PartnerID) string {
	if !addr.IsValid() {
		return ""
	}
	within := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	if own := d.model.Tenant(id); own == nil || within(own.Networks) {
		return ""
	}
	found := ""
	for i := range d.model.Tenants {
		if t := &d.model.Tenants[i]; t.ID != id && within(t.Networks) {
			if found != "" {
				return "another tenant's network (several declare it)"
			}
			found = "the network of tenant " + string(t.ID)
		}
	}
	if found != "" {
		return found
	}
	for _, t := range d.model.TrustsInto(id) {
		if t.Partner != through && within(t.Networks) {
			return fmt.Sprintf("the network of partner %s", t.Partner)
		}
	}
	return ""
}
