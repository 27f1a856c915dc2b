package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// insider is an intrusion with the accounts of the provider's people: one to come in, a technician's to go on.
type insider struct {
	*intrusion
	tech  int
	jump  int
	who   *person // whose account opens the provider
	habit string
	lent  map[[2]int]bool // client and address for which an honest visit stands beside the intruder's
}

// insider draws whose accounts are used; lent staff's where the campaign began outside at their own firm.
func (w *world) insider(outside bool) *insider {
	x := &insider{intrusion: w.intrusion("attack", &w.foe), lent: map[[2]int]bool{}}
	p := w.provider
	x.tech, x.jump, x.habit = x.r.IntN(p.techs), x.r.IntN(2), pick(x.r, habits)
	x.who = p.people[x.tech]
	if outside && p.tenant {
		x.who = p.people[p.techs]
	}
	return x
}

// question is what remains to ask where the first foothold is not held: the firm that lends staff, or the provider.
func (x *insider) question(begin time.Time) Ask {
	if p := x.w.provider; !p.tenant {
		return x.firstAt(p.id, p.gateway.String(), x.w.start)
	}
	return Ask{Ask: x.w.lender, For: x.who.mail, From: x.w.start, To: begin}
}

// opens is the way in: a sign-in at the provider with somebody's password, from there to a desk and a jump host.
func (x *insider) opens(t time.Time) {
	p := x.w.provider
	from := where{x.foe.exit, x.foe.asn, x.foe.place}
	x.as("T1078.004", func(s *scribe) {
		s.signIn(p, signIn{t: t, who: x.who, app: appExchange, from: from, interactive: true, mfa: s.r.chance(0.4)})
		s.m365(p, t.Add(4*time.Minute), "MailItemsAccessed", x.who.mail, from.ip, x.who)
		s.m365(p, t.Add(9*time.Minute), "FileDownloaded", x.who.mail, from.ip, x.who)
	})
	x.did(t, p, tenant.LayerCloud, "user", x.who.mail, from.ip)
	x.ontoJump(t.Add(x.r.span(20*time.Minute, 3*time.Hour)), 40*time.Minute)
}

// ontoJump goes from the person's desk to the jump host, as the person would.
func (x *insider) ontoJump(t time.Time, dur time.Duration) {
	p := x.w.provider
	jump := p.servers[p.jumps[x.jump]]
	x.as("T1021.001", func(s *scribe) {
		s.rdp(p, t, x.who.desk.ip, jump.ip, x.who.login, x.who.desk.name, dur)
		l := &logon{host: jump, user: x.who.login, kind: 10, workstation: x.who.desk.name, ip: x.who.desk.ip}
		s.logon(p, t.Add(2*time.Second), l, true)
		s.commands(p, jump, t.Add(3*time.Minute), x.who.login, l.id, some(s.r, adminCommands, s.r.between(0, 2)))
		s.logoff(p, t.Add(dur), l)
	})
	x.did(t, p, tenant.LayerNetwork, "ip", x.who.desk.ip.String(), x.who.desk.ip)
}

// goesTo visits a client by the VPN as the technician does, from the jump host; the technician's own visits on other
// days stand beside it where honest says so.
func (x *insider) goesTo(c *org, t time.Time, dur time.Duration, honest bool) (tunnel, caller, *host) {
	w := x.w
	if latest := w.end().Add(-4 * time.Hour); t.After(latest) {
		t = latest
	}
	v := w.copySession(x.r, c, t, dur)
	v.tech, v.jump = x.tech, x.jump
	s := w.planner("control visit " + strconv.Itoa(c.idx) + " " + strconv.Itoa(v.pool))
	if honest {
		w.honestVisit(s, c, w.otherDay(s.r, t), &v)
	}
	if key := [2]int{c.idx, v.pool}; !x.lent[key] { // the address is lent to the technician on other days
		x.lent[key] = true
		w.honestRound(s, c, v)
	}
	tn := w.tunnelOf(c, v)
	jump := w.provider.servers[w.provider.jumps[v.jump]]
	x.ontoJump(t.Add(-time.Minute), dur)
	x.as("T1133", func(s *scribe) { s.tunnelOut(c, v, jump) })
	return tn, x.enters(c, tn), jump
}

// honestRound is a visit of the technician on another day, at the address lent to the intruder, with work in the
// directory.
func (w *world) honestRound(s *scribe, c *org, v session) {
	dur := 45 * time.Minute
	for range 20 {
		start := w.otherDay(s.r, v.start)
		free := !w.lentAt(c, start, start.Add(dur))[v.pool]
		if v.start, v.end = start, start.Add(dur); free {
			break
		}
	}
	w.lent[c] = append(w.lent[c], v)
	w.wayAndTunnel(s, c, v)
	tn := w.tunnelOf(c, v)
	s.rdpLogon(c, c.servers[2], v.start.Add(time.Minute), tn, 10*time.Minute, some(s.r, adminCommands, 2), false)
	s.directoryRound(c, v.start.Add(2*time.Minute), caller{tn.user, tn.machine, tn.pool})
}
