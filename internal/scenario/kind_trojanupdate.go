package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// trojanUpdate: the maker of a product that some clients run sends all of them a signed update with something in it. It
// sleeps twelve to fourteen days, then calls a name that says where it is; few of those who took it get more than that.
var trojanUpdate = kind{name: "trojan-update", cast: castTrojanUpdate, plan: planTrojanUpdate, days: 20, minDays: 17, minClients: 4, pace: 0.6, maker: true, extra: []twin{{"product-at-work", productAtWork}}}

func castTrojanUpdate(w *world) {
	r := newRNG(w.o.Seed, "cast")
	hosts := []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}
	first := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Exposed, Exposed, Exposed, Clear, Attempted, Exposed, Clear}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: hosts}
		c.hasVendor = outcome != Clear
		switch outcome {
		case Clear:
			c.part.shows = nil
		case Blind:
			quiet(c, r)
		default:
			watched(c, hosts...)
		}
		switch outcome {
		case Attempted:
			c.part.seen, c.part.way = hosts, "calls"
		case Succeeded:
			c.part.seen, c.part.success, c.part.way = hosts, hosts, "hands"
		}
	}
	w.neighbour.part, w.provider.part = part{outcome: Clear}, part{outcome: Clear}
}

// productHost is the server on which a client runs the maker's product.
func (o *org) productHost() *host { return o.servers[3] }

// productExe is the product's service, signed by its maker.
func (w *world) productExe() string {
	return `C:\Program Files\` + w.vendor.product + `\BusinessLayerHost.exe`
}

// released is the day on which the maker's update comes.
func (w *world) released() int { return newRNG(w.o.Seed, "release").IntN(2) }

// productLife is the maker's product at a client: it polls the house, calls the maker, and updates itself.
func productLife(s *scribe, o *org, day int) {
	w := s.w
	if !o.hasVendor {
		return
	}
	h, exe := o.productHost(), w.productExe()
	update := "update." + w.vendor.domain
	ip := newRNG(w.names, update).public()
	for range s.r.between(4, 7) {
		t := w.clock(s.r, day, 0, 23.9)
		s.resolved(o, h, t, exe, update, ip)
		s.visit(o, t, h.ip, update, ip, s.n.between(900, 9000), s.n.between(900, 90_000))
	}
	for range s.r.between(5, 9) {
		to := pick(s.r, o.servers)
		s.conn(o, flow{t: w.clock(s.r, day, 0, 23.9), src: h.ip, dst: to.ip, dport: pick(s.r, []int{445, 135, 1433, 5985}), service: "gssapi,smb", dur: s.n.span(time.Second, time.Minute), out: s.n.between(900, 90_000), in: s.n.between(900, 90_000)})
	}
	if n := w.released(); day == n || day == n+9 { // the second one is a small one
		t := w.clock(s.r, day, 0, 22)
		msp := `C:\Windows\Installer\` + s.n.hex(4) + ".msp"
		s.visit(o, t, h.ip, update, ip, 4000, s.n.between(9_000_000, 60_000_000))
		s.wrote(o, h, t.Add(time.Minute), exe, msp)
		s.process(o, h, t.Add(2*time.Minute), process{image: `C:\Windows\System32\msiexec.exe`, cmd: `msiexec.exe /p ` + msp + ` /qn`, user: system32, parent: exe, parentCmd: `"` + exe + `"`})
		s.wrote(o, h, t.Add(3*time.Minute), `C:\Windows\System32\msiexec.exe`, `C:\Program Files\`+w.vendor.product+`\Core.BusinessLayer.dll`)
		s.state(o, h, t.Add(4*time.Minute), w.vendor.product, "stopped")
		s.state(o, h, t.Add(5*time.Minute), w.vendor.product, "running")
	}
}

// productRuns is a shell below the product's service, as its own jobs have it.
func (s *scribe) productRuns(o *org, t time.Time, list []process) {
	exe := s.w.productExe()
	shell := `cmd.exe /c "C:\Windows\Temp\` + s.n.guid() + `-0000.cmd"`
	guid := s.process(o, o.productHost(), t, process{image: cmdExe, original: "Cmd.Exe", cmd: shell, user: system32, parent: exe, parentCmd: `"` + exe + `"`})
	for i, c := range list {
		c.user, c.parent, c.parentCmd, c.parentGUID = system32, cmdExe, shell, guid
		s.process(o, o.productHost(), t.Add(time.Duration(i+1)*s.n.span(time.Second, 9*time.Second)), c)
	}
}

// productAtWork: the product's jobs ask their host and the house about themselves, and it looks in at other servers by
// its own account; it calls services in the Internet under names that carry a customer's number.
func productAtWork(w *world, s *scribe) {
	for _, c := range w.clients {
		if !c.hasVendor {
			continue
		}
		h := c.productHost()
		for d := range w.o.Days {
			if s.r.chance(0.5) && d > 2 {
				continue
			}
			t := w.clock(s.r, d, 0, 22)
			s.productRuns(c, t, some(s.r, adminCommands, s.r.between(1, 3)))
			s.productReaches(c, t.Add(9*time.Minute), pick(s.r, c.servers))
			name, ip := numbered(s.n, "metrics."+w.sites[len(wellKnown)+d%5].name), w.sites[len(wellKnown)+d%5].ip
			s.resolved(c, h, t.Add(20*time.Minute), w.productExe(), name, ip)
			s.visit(c, t.Add(20*time.Minute), h.ip, name, ip, s.n.between(900, 9000), s.n.between(900, 40_000))
			if s.r.chance(0.3) || d < 2 { // a dump for the maker's support
				s.wrote(c, h, t.Add(30*time.Minute), w.productExe(), `C:\ProgramData\`+w.vendor.product+`\`+s.n.hex(3)+".zip")
			}
		}
	}
}

// productReaches is the product's account at another server.
func (s *scribe) productReaches(o *org, t time.Time, to *host) {
	h := o.productHost()
	s.share(o, t, h.ip, to, true, "ADMIN$")
	l := &logon{host: to, user: "svc-monitor", kind: 3, workstation: h.name, ip: h.ip}
	s.logon(o, t.Add(time.Second), l, true)
	s.logoff(o, t.Add(s.n.span(time.Minute, 9*time.Minute)), l)
}

// numbered is a name that says who calls.
func numbered(n *rng, under string) string { return fmt.Sprintf("%s.%s", lower(n.token(18)), under) }

func planTrojanUpdate(w *world) {
	x := w.intrusion("attack", &w.foe)
	v := w.vendor
	released := w.day(w.released())
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
		t := released.Add(x.r.span(12*24*time.Hour, 14*24*time.Hour))
		x.wakes(c, t)
		if c.part.way == "hands" {
			x.handsOn(c, t.Add(x.r.span(8*time.Hour, 30*time.Hour)))
		}
	}
	w.campaignThrough(v.id, func(o *org) part { return o.part }, true, x.acts, Ask{Ask: v.id, For: "update." + v.domain, From: released, To: x.earliest()}, x.foe.own())
}

// wakes calls home: a few names under the intruder's own, that carry who it is, an answer, and then again hours later.
func (x *intrusion) wakes(c *org, t time.Time) {
	h, exe := c.productHost(), x.w.productExe()
	id := x.s.n.token(6)
	x.did(t, c, tenant.LayerNetwork, "ip", h.ip.String(), netip.Addr{})
	x.as("T1071.004", func(s *scribe) {
		for range s.r.between(3, 6) {
			name := numbered(s.n, lower(id)+".api."+x.foe.apex)
			s.dns(c, t, h.ip, name, x.foe.web)
			s.resolved(c, h, t, exe, name, x.foe.web)
			t = t.Add(s.r.span(30*time.Minute, 4*time.Hour))
		}
	})
}

// handsOn is what happens at the few: another server by the product's account, questions, files out.
func (x *intrusion) handsOn(c *org, t time.Time) {
	w := x.w
	h, exe := c.productHost(), w.productExe()
	s := w.planner("control product " + strconv.Itoa(c.idx))
	s.productRuns(c, w.otherDay(s.r, t), some(s.r, adminCommands, 4))
	if latest := w.end().Add(-9 * time.Hour); t.After(latest) {
		t = latest
	}
	x.as("T1071.001", func(s *scribe) {
		for i := range s.r.between(3, 6) {
			s.visit(c, t.Add(time.Duration(i)*s.r.span(5*time.Minute, 20*time.Minute)), h.ip, numbered(s.n, "api."+x.foe.apex), x.foe.web, s.n.between(900, 9000), s.n.between(2000, 60_000))
		}
	})
	x.as("T1059.003", func(s *scribe) {
		for i := range s.r.between(1, 3) {
			s.productRuns(c, t.Add(time.Duration(9+20*i)*time.Minute), some(s.r, adminCommands, s.r.between(2, 4)))
		}
	})
	x.as("T1021.002", func(s *scribe) {
		for i, to := range some(s.r, c.servers, s.r.between(2, 4)) {
			s.productReaches(c, t.Add(time.Hour+time.Duration(i)*s.r.span(3*time.Minute, 20*time.Minute)), to)
		}
	})
	x.as("T1560.001", func(s *scribe) {
		s.wrote(c, h, t.Add(3*time.Hour), exe, `C:\ProgramData\`+w.vendor.product+`\`+s.n.hex(3)+".zip")
	})
	x.sends(c, h, t.Add(4*time.Hour), x.r.between(40, 600)*1_000_000)
}
