package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// smallSupplier: a small supplier with one account at a few clients' VPN or portal loses it. No telemetry of the
// supplier is held, so the trace ends with a question. The clients' own provider has nothing to do with it.
var smallSupplier = kind{name: "small-supplier", cast: castSmallSupplier, plan: planSmallSupplier, minClients: 4, directory: true}

func castSmallSupplier(w *world) {
	r := newRNG(w.o.Seed, "cast")
	first := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Clear, Clear, Clear, Clear, Exposed, Exposed, Attempted}
	var with []*org
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: inside}
		if outcome == Clear {
			c.part.shows = nil
			continue
		}
		with = append(with, c)
		switch outcome {
		case Blind:
			quiet(c, r)
		case Exposed:
			watched(c, inside...)
		default:
			watched(c, inside...)
			c.part.seen, c.part.success = inside, []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}
			c.part.way = pick(r, []string{"tunnel", "tunnel", "portal"})
			if c.part.way == "portal" {
				c.part.seen = []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}
			}
		}
	}
	w.neighbour.part, w.provider.part = part{outcome: Clear}, part{outcome: Clear}
	w.castSecond(r, 30)
	w.newFirm("supplier", "supplier", 1, 40, with)
}

func planSmallSupplier(w *world) {
	f := w.firms[len(w.firms)-1]
	x := w.intrusion("attack", &w.foe)
	abroad, habit := x.r.chance(0.6), pick(x.r, habits)
	day := w.workday(w.o.Days / 5)
	for _, i := range x.r.Perm(len(w.clients)) {
		c := w.clients[i]
		if c.part.way == "" {
			continue
		}
		d := min(day+x.r.IntN(max(1, w.o.Days-day)), w.o.Days-1)
		t := x.hour(d, habit)
		if latest := w.end().Add(-6 * time.Hour); t.After(latest) {
			t = latest
		}
		if c.part.way == "portal" {
			x.throughPortal(c, f, t, abroad)
			continue
		}
		x.throughFirm(c, f, 0, t, abroad)
	}
	w.campaignThrough(f.id, func(o *org) part { return o.part }, true, x.acts, x.firstAt(f.id, f.accounts[0], w.start), x.foe.own())
}

// throughFirm uses an account of a firm at a client's VPN: from the intruder's own machine, or from the firm's.
func (x *intrusion) throughFirm(c *org, f *firm, who int, t time.Time, abroad bool) {
	v := visit{firm: f, who: who, pool: f.pools + x.r.IntN(4), start: t, end: t.Add(x.r.span(2*time.Hour, 4*time.Hour))}
	for i := 0; i < 4 && x.w.taken(c, v); i++ {
		v.pool = f.pools + (v.pool-f.pools+1)%4
	}
	tn := x.w.tunnelOfFirm(c, v)
	if abroad {
		tn = x.fromOutside(tn)
	} else if f.org != nil {
		p := f.org.people[who]
		x.as("T1021.001", func(s *scribe) {
			s.rdp(f.org, t.Add(-40*time.Second), p.desk.ip, f.jump.ip, p.login, p.desk.name, v.end.Sub(t))
			l := &logon{host: f.jump, user: p.login, kind: 10, workstation: p.desk.name, ip: p.desk.ip}
			s.logon(f.org, t.Add(-38*time.Second), l, true)
			s.logoff(f.org, v.end, l)
			s.wayTo(f.org, c, f.jump, t, v.end.Sub(t))
		})
	}
	x.honestly(c, v)
	caller := x.enters(c, tn)
	x.on(c, tn, caller, t.Add(x.r.span(2*time.Minute, 15*time.Minute)))
}

// on goes on at a client as its part says.
func (x *intrusion) on(c *org, tn tunnel, who caller, t time.Time) {
	if x.outcome(c) == Succeeded {
		x.takesHold(c, tn, who, t)
		return
	}
	x.tries(c, who, t)
}

// honestly writes two visits of the same person of a firm to the same client on other days, at about that hour.
func (x *intrusion) honestly(c *org, like visit) {
	s := x.w.planner("control firm " + like.firm.seed + c.id[:1] + string('a'+rune(c.idx)))
	for i := range 2 {
		v := like
		for range 20 {
			v.start = x.w.otherDay(s.r, like.start)
			v.end = v.start.Add(s.r.span(30*time.Minute, 70*time.Minute))
			if !x.w.taken(c, v) {
				break
			}
		}
		s.firmVisit(c, v)
		if i == 0 {
			tn := x.w.tunnelOfFirm(c, v)
			s.directoryRound(c, v.start.Add(3*time.Minute), caller{tn.user, tn.machine, tn.pool})
		}
		if like.firm.org != nil {
			s.houseOut(c, v)
		}
	}
}

// throughPortal signs in at the portal with the supplier's account, puts a program there, and goes on from the portal's
// server with accounts that lie on it.
func (x *intrusion) throughPortal(c *org, f *firm, t time.Time, abroad bool) {
	h := c.portalHost()
	s := x.w.planner("control portal " + strconv.Itoa(c.idx))
	for range 4 { // the supplier itself, on other days
		s.portal(c, x.w.otherDay(s.r, t), f.accounts[0], f.gateway, true)
	}
	from := f.gateway
	if abroad {
		from = x.foe.exit
	}
	x.as("T1199", func(s *scribe) { s.portal(c, t, f.accounts[0], from, true) })
	x.did(t, c, tenant.LayerEndpoint, "user", f.accounts[0], from)
	t = t.Add(x.r.span(5*time.Minute, 40*time.Minute))
	x.as("T1505.003", func(s *scribe) {
		const worker = `C:\Windows\System32\inetsrv\w3wp.exe`
		s.wrote(c, h, t, worker, `C:\inetpub\portal\upload\`+s.n.hex(3)+".aspx")
		p := process{image: cmdExe, original: "Cmd.Exe", cmd: "cmd.exe /c whoami", user: `IIS APPPOOL\portal`, parent: worker, parentCmd: worker + ` -ap "portal"`}
		s.process(c, h, t.Add(time.Minute), p)
	})
	who := h.caller()
	t = t.Add(4 * time.Minute)
	if x.outcome(c) != Succeeded {
		end := x.sweeps(c, who.ip, t, x.r.between(12, 35), some(x.r, probePorts, x.r.between(1, 2)), x.r.span(300*time.Millisecond, 15*time.Second))
		x.maps(c, who, end, 1)
		x.refusedAt(c, caller{"svc-backup", h.name, h.ip}, end.Add(15*time.Minute), 2)
		return
	}
	t = x.maps(c, who, t, 3)
	if x.r.chance(0.5) {
		t = x.sweeps(c, who.ip, t, x.r.between(8, 30), some(x.r, []int{445, 1433, 3389, 135}, 2), x.r.span(time.Second, 20*time.Second))
	}
	stolen := caller{"svc-backup", h.name, h.ip}
	for i, srv := range some(x.r, c.servers[:4], 3) {
		x.service(c, stolen, srv, t.Add(time.Duration(i+1)*x.r.span(4*time.Minute, 20*time.Minute)))
	}
	t = t.Add(80 * time.Minute)
	x.as("T1136.002", func(s *scribe) {
		name := pick(s.r, []string{"svc-monitor", "sql_agent", "bestuser1", "backup_op"})
		s.account(c, t, 4720, stolen.user, name, "")
		s.account(c, t.Add(4*time.Second), 4728, stolen.user, name, "Server Operators")
	})
	bytes := x.r.between(40, 700) * 1_000_000
	x.takes(c, stolen, c.servers[3], t.Add(10*time.Minute), bytes)
	x.sends(c, h, t.Add(time.Hour), bytes)
}
