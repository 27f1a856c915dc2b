package scenario

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// castFleet casts the clients of a provider whose platform is used against them. Whether a client's hosts have the agent
// decides who is exposed: where without is true, some of the provider's clients don't have it and are clear.
func castFleet(w *world, without bool) {
	outside, _ := w.foothold()
	r := newRNG(w.o.Seed, "cast", w.kind.name)
	hosts := []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork}
	first := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Succeeded, Exposed, Attempted, Exposed, Clear, Blind}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: hosts}
		c.fleet = outcome != Clear
		switch outcome {
		case Blind:
			quiet(c, r)
		case Clear:
			if without {
				watched(c, hosts...)
				c.part.shows = nil
			} else {
				c.reach = reach{app: true}
				watched(c, tenant.LayerCloud)
			}
		default:
			watched(c, hosts...)
		}
		switch outcome {
		case Succeeded:
			c.part.seen, c.part.success, c.part.way = hosts, hosts[:1], pick(r, []string{"encrypt", "encrypt", "steal", "tool"})
		case Attempted:
			c.part.seen, c.part.way = hosts, "refused"
		}
	}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork, tenant.LayerAccess}
	p.part = part{outcome: Succeeded, shows: all, seen: all, success: all}
	p.tenant = !outside
}

// struck lists the clients to whom something is done, in the intruder's order.
func (x *intrusion) struck() []*org {
	return x.w.reached(x.r, func(c *org) bool { return c.part.way != "" })
}

// online are the hosts that an order reaches: servers, and by day some desks.
func (x *intrusion) online(c *org, t time.Time, n int) []*host {
	list := c.servers[:len(c.servers):len(c.servers)]
	if h := t.Hour(); h >= 6 && h < 17 && x.w.works(int(t.Sub(x.w.start)/(24*time.Hour))) {
		list = append(list, c.desks[:min(len(c.desks), 8)]...)
	}
	return some(x.r, list, n)
}

// ordinary writes honest work with the same package on another day, refused here and there, so that the file alone is
// not the intruder's.
func (x *intrusion) ordinary(c *org, t time.Time, p pack, threat string) {
	w := x.w
	s := w.planner("control package " + strconv.Itoa(c.idx))
	at := w.otherDay(s.r, t)
	tech := s.r.IntN(w.provider.techs)
	s.consoleSignIn(at.Add(-3*time.Minute), tech)
	s.console(at, order{user: w.operator(tech), event: "run procedure", object: pick(s.r, procedures), from: w.provider.people[tech].desk.ip, client: c, hosts: 3})
	for _, h := range some(s.r, c.servers, 3) {
		s.installsPack(c, h, at.Add(s.r.span(9*time.Second, 4*time.Minute)), p)
	}
	s.refusedPack(c, c.desks[s.r.IntN(8)], at.Add(9*time.Minute), p, threat)
}

// supervised is honest work at one client, approved beforehand: the same package with protection off while it is
// installed, as makers ask for, and the package alone.
func (x *intrusion) supervised(t time.Time, p pack, calls string) {
	w := x.w
	s := w.planner("control installation")
	clients := w.reached(s.r, func(c *org) bool { return c.fleet && c.part.way == "" && c.layers[tenant.LayerEndpoint] })
	if len(clients) == 0 {
		clients = w.withFleet(s)
	}
	c, at := clients[0], w.otherDay(s.r, t)
	w.window(c, at, 2*time.Hour, "new version, protection off while it is installed")
	_, cmd := w.packed(p)
	for i, h := range some(s.r, c.servers, 3) {
		t := at.Add(time.Duration(15+i) * time.Minute)
		wait := []process{s.waits(3, 9), s.waits(10, 99), s.waits(100, 900)}[i]
		s.job(c, h, t, append([]process{wait, disarm(calls)}, s.unpacks(p)...))
		s.off(c, h, t.Add(5*time.Second))
		s.job(c, h, t.Add(20*time.Minute), []process{{image: w.platform.work + p.name, original: "-", company: "-", product: "-", cmd: cmd}})
	}
}

// strikes gives a client's hosts an order through the platform and does there what the client's part says.
func (x *intrusion) strikes(c *org, t time.Time, p pack, calls string, spread time.Duration) {
	threat := pick(x.r, threats)
	x.ordinary(c, t, p, threat)
	hosts := x.online(c, t, x.r.between(4, 8))
	if c.part.way == "tool" || c.part.way == "steal" {
		hosts = hosts[:2]
	}
	disarmed := x.r.chance(0.7)
	for i, h := range hosts {
		at := t.Add(time.Duration(x.r.Float64() * float64(spread)))
		if i == 0 {
			x.did(at, c, tenant.LayerEndpoint, "host", h.name, netip.Addr{}) // an agent does not tell whence its orders come
		}
		switch c.part.way {
		case "refused":
			x.as("T1072", func(s *scribe) { s.refusedPack(c, h, at, p, threat) })
			continue
		case "tool":
			x.plants(c, h, at, p)
			continue
		}
		x.as("T1072", func(s *scribe) {
			list := []process{s.waits(3, 900)}
			if disarmed {
				list = append(list, disarm(calls))
			}
			s.job(c, h, at, append(list, s.unpacks(p)...))
			if disarmed {
				s.off(c, h, at.Add(7*time.Second))
			}
		})
		if c.part.way == "encrypt" {
			x.encrypts(c, h, at.Add(x.r.span(30*time.Second, 6*time.Minute)), p)
		} else {
			x.carriesOff(c, h, at.Add(x.r.span(4*time.Minute, 40*time.Minute)), p)
		}
	}
}

var documents = []string{`D:\Daten\Angebote\`, `D:\Shares\Projects\`, `C:\Users\Public\Documents\`, `D:\Home\`, `E:\SQL\Backup\`}

// encrypts writes a host's files under new names, with a note, after the way back is gone.
func (x *intrusion) encrypts(c *org, h *host, t time.Time, p pack) {
	file, cmd := x.w.packed(p)
	x.as("T1490", func(s *scribe) {
		for i, step := range some(s.r, shadowsGone, s.r.between(1, 2)) {
			step.user, step.parent, step.parentCmd = system32, file, cmd
			s.process(c, h, t.Add(time.Duration(i)*time.Second), step)
		}
	})
	x.as("T1486", func(s *scribe) {
		ending := lower(s.n.token(s.r.between(5, 8)))
		for i := range s.r.between(6, 11) {
			s.wrote(c, h, t.Add(3*time.Second+time.Duration(i)*s.n.span(100*time.Millisecond, 2*time.Second)), file, pick(s.r, documents)+s.n.hex(3)+pick(s.r, []string{".docx.", ".xlsx.", ".pdf.", ".mdf."})+ending)
		}
		s.wrote(c, h, t.Add(30*time.Second), file, pick(s.r, documents)+ending+"-readme.txt")
	})
}

// carriesOff packs files and sends them to the intruder's server.
func (x *intrusion) carriesOff(c *org, h *host, t time.Time, p pack) {
	file, _ := x.w.packed(p)
	x.as("T1560.001", func(s *scribe) {
		for i := range s.r.between(2, 4) {
			s.wrote(c, h, t.Add(time.Duration(i)*s.n.span(20*time.Second, 4*time.Minute)), file, pick(s.r, []string{`C:\PerfLogs\`, `C:\ProgramData\`, `C:\Windows\Temp\`})+s.n.hex(4)+".7z")
		}
	})
	x.sends(c, h, t.Add(x.r.span(15*time.Minute, 50*time.Minute)), x.r.between(80, 900)*1_000_000)
}

// plants puts the intruder's own remote tool on a host by way of the platform, and looks round with it.
func (x *intrusion) plants(c *org, h *host, t time.Time, p pack) {
	a := x.w.foeAgent(h)
	file, cmd := x.w.packed(p)
	x.as("T1219.002", func(s *scribe) {
		s.job(c, h, t, []process{{image: file, original: "ScreenConnect.ClientSetup.exe", company: "ScreenConnect Software", product: "ScreenConnect", cmd: cmd}})
		s.service(c, h, t.Add(9*time.Second), a.product(), a.command())
		s.process(c, h, t.Add(10*time.Second), process{image: a.exe(), original: "ScreenConnect.ClientService.exe", company: "ScreenConnect Software", product: "ScreenConnect", cmd: a.command(), user: system32, parent: services, parentCmd: services})
		s.resolved(c, h, t.Add(11*time.Second), a.exe(), a.relay, x.foe.relayIP)
		s.visit(c, t.Add(11*time.Second), h.ip, a.relay, x.foe.relayIP, s.n.between(4000, 40_000), s.n.between(4000, 90_000))
		s.runs(c, h, t.Add(s.r.span(4*time.Minute, 30*time.Minute)), a, some(s.r, adminCommands, s.r.between(2, 4)))
	})
}
