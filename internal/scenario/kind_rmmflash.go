package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// rmmFlash: a flaw of the provider's own management server, and within the same two hours an order to the hosts of the
// clients that are on. The server's web log and its console's audit are gone: nobody signed in, and the folder was wiped.
var rmmFlash = kind{name: "rmm-flash", cast: func(w *world) { castFleet(w, false) }, plan: planRMMFlash, minClients: 4, platforms: managers, extra: fleetBenign}

func planRMMFlash(w *world) {
	outside, _ := w.foothold()
	x := w.intrusion("attack", &w.foe)
	p := w.provider
	host, _ := w.platformHost()
	begin := x.hour(w.workday(1+x.r.IntN(max(1, w.o.Days-1))), pick(x.r, habits))
	if latest := w.end().Add(-4 * time.Hour); begin.After(latest) {
		begin = latest
	}
	x.as("T1190", func(s *scribe) {
		for i := range s.r.between(2, 4) {
			s.tls(p, begin.Add(time.Duration(i)*s.n.span(2*time.Second, 40*time.Second)), x.foe.exit, p.gateway, w.platform.port, host, s.n.span(time.Second, 9*time.Second), s.n.between(2000, 90_000), s.n.between(900, 9000))
		}
	})
	x.did(begin, p, tenant.LayerNetwork, "ip", x.foe.exit.String(), x.foe.exit)
	inside := begin.Add(x.r.span(20*time.Second, 3*time.Minute))
	x.as("T1059.003", func(s *scribe) { s.serverRuns(inside, chores[1]) })
	x.did(inside, p, tenant.LayerEndpoint, "host", w.managementServer().name, x.foe.exit)
	x.as("T1070.004", func(s *scribe) {
		s.serverRuns(inside.Add(s.r.span(time.Minute, 12*time.Minute)), `cmd.exe /c rmdir /s /q C:\inetpub\logs\LogFiles`)
	})
	pk, order := pick(x.r, packs), inside.Add(x.r.span(3*time.Minute, 20*time.Minute))
	calls := pick(x.r, disarms)
	x.supervised(begin, pk, calls)
	for _, c := range x.struck() {
		c.part.way = flashWay(c.part.way)
		x.strikes(c, order.Add(x.r.span(0, 10*time.Minute)), pk, calls, x.r.span(5*time.Minute, 45*time.Minute))
	}
	w.campaign(outside, x.acts, x.firstAt(p.id, host, w.start), x.foe.own())
}

// flashWay: there is no time to steal.
func flashWay(way string) string {
	if way == "refused" {
		return way
	}
	return "encrypt"
}
