package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// consoleNotCalledRMM: the console of a product that is not called remote management (endpoint protection, backup,
// patches) is entered with an operator's password and no second factor; it can order hosts about all the same. Only
// where the product is installed there is danger, whatever else the provider can reach.
var consoleNotCalledRMM = kind{name: "console-not-called-rmm", cast: func(w *world) { castFleet(w, true) }, plan: planConsoleNotCalledRMM, minClients: 4, platforms: uncalled, extra: fleetBenign}

func planConsoleNotCalledRMM(w *world) {
	outside, _ := w.foothold()
	x := w.intrusion("attack", &w.foe)
	p := w.provider
	begin := x.hour(w.workday(w.o.Days/4+x.r.IntN(max(1, w.o.Days/3))), pick(x.r, habits))
	if latest := w.end().Add(-14 * time.Hour); begin.After(latest) {
		begin = latest
	}
	tech := x.r.IntN(p.techs)
	thief := order{user: w.operator(tech), event: "login", from: x.foe.exit}
	x.as("T1110", func(s *scribe) {
		for i := range s.r.between(0, 5) {
			bad := thief
			bad.failed, bad.from = true, pick(s.r, x.foe.exits)
			s.console(begin.Add(-time.Duration(i+1)*s.n.span(20*time.Second, 4*time.Minute)), bad)
		}
	})
	x.as("T1078", func(s *scribe) { s.console(begin, thief) })
	x.did(begin, p, tenant.LayerAccess, "user", thief.user, x.foe.exit)
	x.as("T1018", func(s *scribe) {
		for i, c := range some(s.r, w.reached(s.r, func(c *org) bool { return c.fleet }), s.r.between(2, 5)) {
			s.console(begin.Add(time.Duration(i+1)*s.n.span(20*time.Second, 3*time.Minute)), order{user: thief.user, event: "list hosts", object: "all hosts", from: x.foe.exit, client: c})
		}
	})
	t, which, pk := begin.Add(x.r.span(15*time.Minute, 9*time.Hour)), x.r.IntN(len(fetchers)), pick(x.r, packs)
	calls := pick(x.r, disarms)
	x.supervised(begin, pk, calls)
	script := x.r.chance(0.6)
	for _, c := range x.struck() {
		if c.part.way == "tool" && script {
			c.part.way = "encrypt"
		}
		x.orders(c, t, thief.user, "run procedure", pick(x.r, procedures))
		if script && c.part.way != "refused" {
			for _, h := range some(x.r, c.servers, x.r.between(2, 4)) {
				x.as("T1059.001", func(s *scribe) { s.fetches(c, h, t.Add(s.r.span(0, 5*time.Minute)), which) })
			}
		}
		x.strikes(c, t.Add(x.r.span(time.Minute, 9*time.Minute)), pk, calls, x.r.span(3*time.Minute, 30*time.Minute))
		t = t.Add(x.r.span(20*time.Second, 20*time.Minute))
	}
	w.campaign(outside, x.acts, x.firstAt(p.id, thief.user, w.start), x.foe.own())
}
