package scenario

import (
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// intrusion is one campaign while it is planned: who acts, through whom, and what was done so far.
type intrusion struct {
	w    *world
	s    *scribe
	r    *rng
	foe  *intruder
	acts []act
	// outcome is what the campaign leads to at a client; two campaigns differ there.
	outcome func(*org) Outcome
}

func (w *world) intrusion(label string, foe *intruder) *intrusion {
	s := w.planner(label)
	return &intrusion{w: w, s: s, r: s.r, foe: foe, outcome: func(o *org) Outcome { return o.part.outcome }}
}

// otherFoe names a second intruder, who has nothing in common with the first.
func (w *world) otherFoe() *intruder {
	r := newRNG(w.names, "other intruder")
	f := &intruder{apex: pick(r, phishStems) + "-" + pick(r, orgStems) + ".net", label: "files", web: r.public(), exit: r.public(), asn: pick(r, hostingASNs), place: pick(r, farPlaces)}
	f.apex = lower(f.apex)
	f.machine, f.machineID = "DESKTOP-"+upper(r.token(7)), r.guid()
	for range 3 {
		f.exits = append(f.exits, r.public())
	}
	return f
}

// own lists what is an intruder's own.
func (f *intruder) own() []string {
	out := []string{f.apex, f.web.String(), f.exit.String(), f.machine, f.machineID}
	for _, v := range []string{f.instance, f.relay} {
		if v != "" {
			out = append(out, v)
		}
	}
	if f.relayIP.IsValid() {
		out = append(out, f.relayIP.String())
	}
	for _, e := range f.exits {
		out = append(out, e.String())
	}
	return out
}

func (x *intrusion) as(step string, run func(s *scribe)) {
	x.s.step = step
	run(x.s)
	x.s.step = ""
}

func (x *intrusion) did(at time.Time, o *org, layer tenant.Layer, kind, value string, from netip.Addr) {
	x.acts = append(x.acts, act{at: at, org: o, layer: layer, entity: Entity{kind, value}, from: from})
}

// enters writes a VPN session at a client.
func (x *intrusion) enters(c *org, tn tunnel) caller {
	tn.out, tn.in = x.s.n.between(300_000, 3_000_000), x.s.n.between(1_000_000, 40_000_000)
	x.as("T1133", func(s *scribe) { s.tunnel(c, tn) })
	x.did(tn.start, c, tenant.LayerAccess, "user", tn.user, tn.from)
	return caller{tn.user, tn.machine, tn.pool}
}

// fromOutside turns a partner's session into one from the intruder's own machine and exit.
func (x *intrusion) fromOutside(tn tunnel) tunnel {
	tn.from, tn.machine, tn.machineID, tn.country = x.foe.exit, x.foe.machine, x.foe.machineID, x.foe.place.country
	return tn
}

// sweeps tries n addresses of the servers' network on few ports; most are nobody.
func (x *intrusion) sweeps(c *org, src netip.Addr, t time.Time, n int, ports []int, pace time.Duration) time.Time {
	alive := map[netip.Addr]bool{}
	for _, h := range c.servers {
		alive[h.ip] = true
	}
	x.as("T1046", func(s *scribe) {
		for _, i := range s.r.Perm(sweepLast)[:min(n, sweepLast)] {
			for _, port := range ports {
				t = t.Add(time.Duration(float64(pace) * (0.4 + 1.2*s.r.Float64())))
				s.knock(c, t, src, at(c.serverNet, i+1), port, alive[at(c.serverNet, i+1)])
			}
		}
	})
	return t
}

// maps asks the directory, its users and its names, as much as level says (1 to 3).
func (x *intrusion) maps(c *org, who caller, t time.Time, level int) time.Time {
	x.as("T1087.002", func(s *scribe) {
		s.ticket(c, t, who, "", nil, "")
		switch s.r.IntN(3) {
		case 0:
			s.listsPeople(c, t.Add(20*time.Second), who, s.r.chance(0.5))
		default:
			s.asks(c, t.Add(20*time.Second), who, s.r.between(1, level+1))
		}
	})
	t = t.Add(x.r.span(2*time.Minute, 9*time.Minute))
	if level > 1 {
		x.as("T1018", func(s *scribe) {
			s.reverses(c, t, who.ip, s.r.between(3, 5*level), s.r.span(2*time.Second, 40*time.Second))
		})
		t = t.Add(x.r.span(2*time.Minute, 9*time.Minute))
	}
	if level > 2 {
		x.as("T1135", func(s *scribe) {
			for i, h := range some(s.r, c.servers, s.r.between(2, 4)) {
				s.listsShares(c, t.Add(time.Duration(i)*s.r.span(20*time.Second, 4*time.Minute)), who, h, s.r.chance(0.5), "")
			}
		})
		t = t.Add(15 * time.Minute)
	}
	return t
}

// refusedAt tries passwords on servers; none fits.
func (x *intrusion) refusedAt(c *org, who caller, t time.Time, n int) {
	x.as("T1110", func(s *scribe) {
		for i, h := range some(s.r, c.servers, 3) {
			for k := range s.r.between(1, n) {
				at := t.Add(time.Duration(i*5+k) * s.r.span(20*time.Second, 50*time.Second))
				s.conn(c, flow{t: at.Add(-time.Second), src: who.ip, dst: h.ip, dport: 445, state: "RSTO", dur: s.n.span(300*time.Millisecond, 3*time.Second), out: s.n.between(700, 1200), in: s.n.between(500, 900)})
				s.denied(c, at, logon{host: h, user: who.user, kind: 3, workstation: who.machine, ip: who.ip})
			}
		}
	})
}

// desktop opens a remote desktop and looks around.
func (x *intrusion) desktop(c *org, h *host, t time.Time, tn tunnel, dur time.Duration) {
	x.as("T1021.001", func(s *scribe) {
		s.rdpLogon(c, h, t, tn, dur, some(s.r, adminCommands, s.r.between(1, 4)), false)
	})
}

// service runs commands on a host by way of a service made over the network.
func (x *intrusion) service(c *org, who caller, h *host, t time.Time) {
	d, n := deployers[0], 3
	if x.r.chance(0.5) {
		d, n = passing(x.s.n), 2
	}
	x.as("T1569.002", func(s *scribe) {
		s.remoteService(c, t, who, h, d, s.r.chance(0.6), some(s.r, adminCommands, s.r.between(1, n)))
	})
}

// copies the directory from a domain controller (T1003.006).
func (x *intrusion) copies(c *org, who caller, t time.Time) {
	x.as("T1003.006", func(s *scribe) {
		s.rpc(c, t, who, c.servers[0], "drsuapi", "DRSBind", "DRSGetNCChanges", "DRSGetNCChanges", "DRSUnbind")
		s.replicated(c, t.Add(40*time.Millisecond), who.user)
	})
}

// takes files from a server through the session.
func (x *intrusion) takes(c *org, who caller, h *host, t time.Time, bytes int) {
	x.as("T1039", func(s *scribe) {
		s.takes(c, t, who, h, []string{`$Recycle.Bin\` + s.n.hex(3) + `.rar`, `PerfLogs\` + s.n.hex(3) + `.zip`}, bytes)
	})
}

// sends files from a host of o to the intruder's server.
func (x *intrusion) sends(o *org, h *host, t time.Time, bytes int) {
	x.as("T1048.002", func(s *scribe) {
		s.visit(o, t, h.ip, x.foe.label+"."+x.foe.apex, x.foe.web, bytes, s.n.between(9000, 90_000))
	})
}

// firstAt returns the intruder's first act at any client, for the question to who holds what lies before.
func (x *intrusion) firstAt(partner string, account string, from time.Time) Ask {
	ask := Ask{Ask: partner, For: account, From: from, To: x.w.end()}
	for _, a := range x.acts {
		if a.org.client && a.at.Before(ask.To) {
			ask.To = a.at
			if a.from.IsValid() {
				ask.For = a.from.String()
			}
		}
	}
	return ask
}

// hour draws when an intruder acts on a day: in the partner's office hours, in the evening, or at night.
func (x *intrusion) hour(day int, habit string) time.Time {
	switch habit {
	case "office":
		return x.w.clock(x.r, day, 7, 14.5)
	case "evening":
		return x.w.clock(x.r, day, 16.5, 20.5)
	}
	return x.w.clock(x.r, day, 0.5, 5)
}

var habits = []string{"office", "evening", "night"}

// quiet takes a client's sensors away, but for the cloud's by chance.
func quiet(c *org, r *rng) {
	c.layers = map[tenant.Layer]bool{tenant.LayerCloud: r.chance(0.5)}
	c.reach.gdap = false
}

// watched makes sure that a client has the sensors that its part needs.
func watched(c *org, layers ...tenant.Layer) {
	for _, l := range layers {
		c.layers[l] = true
	}
}

var inside = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint}

// tries is a visit to a client that leads to nothing: addresses and passwords are tried.
func (x *intrusion) tries(c *org, who caller, t time.Time) {
	end := x.sweeps(c, who.ip, t, x.r.between(14, 40), some(x.r, probePorts, x.r.between(1, 3)), x.r.span(300*time.Millisecond, 15*time.Second))
	if x.r.chance(0.5) {
		x.maps(c, who, end.Add(time.Minute), 1)
	}
	x.refusedAt(c, who, end.Add(10*time.Minute), 3)
}

// takesHold is a visit that succeeds: the house is mapped, loudly or by asking the directory, then servers are entered
// and something is carried off.
func (x *intrusion) takesHold(c *org, tn tunnel, who caller, t time.Time) {
	if x.r.chance(0.6) {
		t = x.sweeps(c, who.ip, t, x.r.between(12, 45), some(x.r, probePorts, x.r.between(1, 3)), x.r.span(200*time.Millisecond, 12*time.Second)).Add(3 * time.Minute)
	}
	t = x.maps(c, who, t, x.r.between(1, 3))
	list := some(x.r, c.servers[1:], x.r.between(2, 3))
	for i, h := range list {
		at := t.Add(time.Duration(i) * x.r.span(6*time.Minute, 15*time.Minute))
		if i%2 == 0 {
			x.service(c, who, h, at)
		} else {
			x.desktop(c, h, at, tn, x.r.span(4*time.Minute, 12*time.Minute))
		}
	}
	t = t.Add(50 * time.Minute)
	if x.r.chance(0.5) {
		x.copies(c, who, t)
	}
	h := list[0]
	bytes := x.r.between(60, 900) * 1_000_000
	x.takes(c, who, h, t.Add(5*time.Minute), bytes/4)
	x.sends(c, h, t.Add(x.r.span(20*time.Minute, 2*time.Hour)), bytes)
}
