package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// rmmServerTakeover: the server of the provider's remote management is taken, by a flaw of its web pages or with an
// operator's password; a new operator reads about several clients first, and over hours or days gives orders to some.
var rmmServerTakeover = kind{name: "rmm-server-takeover", cast: func(w *world) { castFleet(w, false) }, plan: planRMMServerTakeover, minClients: 4, platforms: managers, web: true, extra: fleetBenign}

// consoleWord is what an operator that the intruder made is called.
func (w *world) consoleWord() string {
	n := newRNG(w.names, "intruder's operator")
	return pick(n, []string{"svc", "adm", "support", "sync", "monitor"}) + "-" + lower(n.token(5))
}

func planRMMServerTakeover(w *world) {
	outside, _ := w.foothold()
	x := w.intrusion("attack", &w.foe)
	p, pl := w.provider, w.platform
	begin := x.hour(w.workday(w.o.Days/5+x.r.IntN(max(1, w.o.Days/3))), pick(x.r, habits))
	if latest := w.end().Add(-20 * time.Hour); begin.After(latest) {
		begin = latest
	}
	who := w.consoleWord()
	own := append(x.foe.own(), who)
	host, _ := w.platformHost()
	agent := pick(x.r, agents)
	if x.r.chance(0.6) {
		x.as("T1190", func(s *scribe) {
			for i := range s.r.between(1, 2) {
				t := begin.Add(time.Duration(i) * s.n.span(4*time.Second, time.Minute))
				s.asked(t, x.foe.exit, []string{"GET", "POST"}[i], pl.hit, agent, 200)
				s.tls(p, t, x.foe.exit, p.gateway, pl.port, host, s.n.span(time.Second, 9*time.Second), s.n.between(2000, 90_000), s.n.between(900, 9000))
			}
		})
		x.did(begin, p, tenant.LayerAccess, "ip", x.foe.exit.String(), x.foe.exit)
		x.as("T1136", func(s *scribe) {
			s.console(begin.Add(3*time.Minute), order{user: "system", event: "create operator", object: who, from: x.foe.exit})
			if s.r.chance(0.5) {
				s.serverRuns(begin.Add(4*time.Minute), chores[1])
			}
		})
	} else {
		thief := order{user: w.operator(x.r.IntN(p.techs)), event: "login", from: x.foe.exit}
		x.as("T1078", func(s *scribe) {
			if s.r.chance(0.5) {
				bad := thief
				bad.failed = true
				s.console(begin.Add(-2*time.Minute), bad)
			}
			s.console(begin, thief)
		})
		x.did(begin, p, tenant.LayerAccess, "user", thief.user, x.foe.exit)
		x.as("T1136", func(s *scribe) {
			s.console(begin.Add(6*time.Minute), order{user: thief.user, event: "create operator", object: who, from: x.foe.exit})
		})
	}
	at := begin.Add(x.r.span(7*time.Minute, 3*time.Hour))
	x.as("T1078", func(s *scribe) {
		s.asked(at.Add(-9*time.Second), x.foe.exit, "GET", pl.login, agent, 200)
		s.asked(at, x.foe.exit, "POST", pl.login, agent, 302)
		s.console(at, order{user: who, event: "login", from: x.foe.exit})
	})
	all := w.reached(x.r, func(c *org) bool { return c.fleet })
	x.as("T1018", func(s *scribe) { // what there is to get, and where
		for i, c := range all[:max(len(all)*2/3, min(3, len(all)))] {
			for _, list := range some(s.r, consoleLists, s.r.between(1, 3)) {
				s.console(at.Add(time.Duration(i+1)*s.n.span(10*time.Second, 2*time.Minute)), order{user: who, event: "list hosts", object: list, from: x.foe.exit, client: c})
			}
		}
	})
	pk, t := pick(x.r, packs), at.Add(x.r.span(40*time.Minute, 6*time.Hour))
	calls := pick(x.r, disarms)
	x.supervised(begin, pk, calls)
	slow := x.r.chance(0.5)
	for _, c := range x.struck() {
		if latest := w.end().Add(-3 * time.Hour); t.After(latest) {
			t = latest
		}
		x.orders(c, t, who, "run procedure", pick(x.r, procedures))
		x.strikes(c, t, pk, calls, x.r.span(10*time.Minute, 50*time.Minute))
		t = t.Add(x.r.span(9*time.Minute, 90*time.Minute))
		if slow {
			t = t.Add(x.r.span(2*time.Hour, 20*time.Hour))
		}
	}
	w.campaign(outside, x.acts, x.firstAt(p.id, host, w.start), own)
}

// orders is what the console keeps of an order to a client's hosts.
func (x *intrusion) orders(c *org, t time.Time, who, event, object string) {
	x.as("T1072", func(s *scribe) {
		s.console(t.Add(-8*time.Second), order{user: who, event: event, object: object, from: x.foe.exit, client: c, hosts: s.r.between(2, 8)})
	})
}
