package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// helpDeskReset: somebody calls the outsourced help desk and is believed: password and second factor of one person are
// reset, a day later of one with more rights. What follows comes over no path of the partner's: sign-ins from a new place,
// the client's own VPN, tunnels, the directory's database.
var helpDeskReset = kind{name: "help-desk-reset", cast: castHelpDeskReset, plan: planHelpDeskReset, minClients: 4, apps: true,
	extra: append(appsBenign[:len(appsBenign):len(appsBenign)], twin{"reset-wave", resetWave}, twin{"tunnels", developersTunnels})}

func castHelpDeskReset(w *world) {
	outside, _ := w.foothold()
	r := newRNG(w.o.Seed, "cast")
	cloud := []tenant.Layer{tenant.LayerCloud}
	shows := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint}
	first := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Exposed, Exposed, Exposed, Attempted, Clear, Succeeded, Exposed}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: shows}
		c.reach.gdap = true
		switch outcome {
		case Blind:
			c.layers = map[tenant.Layer]bool{tenant.LayerMail: r.chance(0.5)}
		case Clear:
			c.reach = reach{app: true}
			watched(c, tenant.LayerCloud)
		case Attempted:
			watched(c, shows...)
			c.part.seen, c.part.way = cloud, "blocked"
		case Succeeded:
			watched(c, shows...)
			c.part.seen, c.part.success, c.part.way = cloud, cloud, "account"
			if r.chance(0.6) {
				watched(c, inside...)
				c.part.seen, c.part.way = append(inside[:3:3], tenant.LayerCloud), "domain"
				c.part.success = []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint}
			}
		default:
			watched(c, shows...)
		}
	}
	w.neighbour.part = part{outcome: Clear}
	// The desk is deceived, not entered: nothing on its own systems is the intruder's.
	w.provider.part = part{outcome: Exposed, shows: shows}
	w.provider.tenant = !outside
}

// tunnelTools are programs that lead out of a house by the web.
var tunnelTools = []struct{ name, args, host string }{
	{"ngrok.exe", " tcp 3389", "connect.ngrok-agent.com"}, {"cloudflared.exe", " tunnel run", "region1.v2.argotunnel.com"}, {"tailscaled.exe", " --tun=userspace-networking", "controlplane.tailscale.com"},
}

// tunnelsOut is one of them at work on a host.
func (s *scribe) tunnelsOut(o *org, h *host, t time.Time, user string, which int) {
	x := tunnelTools[which]
	ip := newRNG(s.w.names, x.host).public()
	file := `C:\ProgramData\tools\` + x.name
	s.wrote(o, h, t, edge, file)
	s.process(o, h, t.Add(time.Minute), process{image: file, original: x.name, company: "-", product: "-", cmd: `"` + file + `"` + x.args, user: o.short + `\` + user, parent: cmdExe, parentCmd: `"C:\Windows\System32\cmd.exe" `})
	s.resolved(o, h, t.Add(61*time.Second), file, x.host, ip)
	s.visit(o, t.Add(61*time.Second), h.ip, x.host, ip, s.n.between(9000, 900_000), s.n.between(9000, 900_000))
}

// developersTunnels: people who write software show it to others by such tools; administrators reach a site so.
func developersTunnels(w *world, s *scribe) {
	for k, c := range w.reached(s.r, func(c *org) bool { return c.layers[tenant.LayerEndpoint] }) {
		if k > 1 {
			break
		}
		for i := range tunnelTools {
			for range 3 {
				p := c.people[s.r.IntN(4)]
				s.tunnelsOut(c, p.desk, w.clock(s.r, s.r.IntN(w.o.Days), 5, 22), p.login, i)
			}
		}
		if k == 0 { // a move of the directory to new hardware copies its database, by hand
			s.directoryCopied(c, w.clock(s.r, s.r.IntN(w.o.Days), 5, 22), c.people[len(c.people)-1].login, `D:\Move\`)
		}
	}
}

// directoryCopied takes the directory's database from a shadow copy.
func (s *scribe) directoryCopied(o *org, t time.Time, user, to string) {
	list := []process{tool("vssadmin.exe", "vssadmin create shadow /for=C:"), {image: cmdExe, original: "Cmd.Exe", cmd: `cmd.exe /c copy \\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy1\Windows\NTDS\ntds.dit ` + to}}
	s.commands(o, o.servers[0], t, user, s.logonID(), list)
	s.wrote(o, o.servers[0], t.Add(3*time.Minute), cmdExe, to+`ntds.dit`)
}

func planHelpDeskReset(w *world) {
	outside, _ := w.foothold()
	x := w.intrusion("attack", &w.foe)
	p := w.provider
	tech := x.r.IntN(p.techs)
	t := x.hour(w.workday(w.o.Days/5), pick(x.r, habits[:2]))
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
		if latest := w.end().Add(-26 * time.Hour); t.After(latest) {
			t = latest
		}
		desk := tech
		if x.r.chance(0.5) { // whoever takes the call
			desk = x.r.IntN(p.techs)
		}
		x.called(c, t, desk, outside)
		t = t.Add(x.r.span(40*time.Minute, 9*time.Hour))
		if x.r.chance(0.4) {
			t = t.Add(18 * time.Hour)
		}
	}
	w.campaign(outside, x.acts, x.firstAt(p.id, p.people[tech].mail, w.start), x.foe.own())
}

// resetBy is what the desk does for a caller, in the client's directory, in Okta where it has that, or in both.
func (x *intrusion) resetBy(c *org, t time.Time, desk int, p *person) {
	who := x.w.provider.people[desk]
	x.as("T1556.006", func(s *scribe) {
		if c.apps["okta"] {
			s.oktaResets(c, t, who.actor(), x.w.provider.office(), p, true)
		}
		if !c.apps["okta"] || s.r.chance(0.5) {
			s.resets(c, t.Add(30*time.Second), guest(x.w.provider, who), x.w.provider.egress, p, true)
		}
	})
}

// called is the story at one client, from the first call on.
func (x *intrusion) called(c *org, t time.Time, desk int, seated bool) {
	w := x.w
	who := w.provider.people[desk]
	victim, chief := c.people[x.r.IntN(8)], c.people[len(c.people)-1]
	honest := w.planner("control call " + strconv.Itoa(c.idx))
	w.honestDelegation(c, t, desk)
	at := w.otherDay(honest.r, t)
	for i, p := range []*person{victim, chief} { // who forget things on other days too
		honest.resets(c, at.Add(time.Duration(i)*time.Hour/4), guest(w.provider, who), w.provider.egress, p, true)
		if c.apps["okta"] {
			honest.oktaResets(c, at.Add(time.Duration(i)*time.Hour/4), who.actor(), w.provider.office(), p, true)
		}
	}
	if seated { // not a call: the desk's own seat was taken
		x.as("T1199", func(s *scribe) {
			s.delegatedSignIn(c, delegated{tech: desk, start: t.Add(-4 * time.Minute), ask: -1, vm: -1, app: appPortal, id: s.n.guid()}, w.provider.office())
		})
	}
	x.resetBy(c, t, desk, victim)
	x.did(t, c, tenant.LayerCloud, "user", victim.mail, w.provider.egress)
	from := where{x.foe.exit, x.foe.asn, x.foe.place}
	t = t.Add(x.r.span(4*time.Minute, 40*time.Minute))
	if c.part.way == "blocked" {
		x.as("T1078.004", func(s *scribe) {
			for i := range s.r.between(2, 4) {
				at := t.Add(time.Duration(i) * s.n.span(30*time.Second, 4*time.Minute))
				s.signIn(c, signIn{t: at, who: victim, app: pick(s.r, userApps), from: from, interactive: true, err: pick(s.r, []int{53003, 50076})})
				if c.apps["okta"] {
					s.okta(c, at.Add(9*time.Second), "user.session.start", victim.actor(), from, "idx"+s.n.token(20), "INVALID_CREDENTIALS", nil)
				}
			}
		})
		honest.resets(c, t.Add(20*time.Minute), chief.mail, c.egress, victim, true) // somebody at the client noticed
		return
	}
	x.signsInAnew(c, t, victim, from)
	if x.r.chance(0.7) || c.part.way == "domain" { // the second call, for somebody with more rights
		t = t.Add(x.r.span(time.Hour, 19*time.Hour))
		x.resetBy(c, t, desk, chief)
		t = t.Add(x.r.span(4*time.Minute, 30*time.Minute))
		x.signsInAnew(c, t, chief, from)
	}
	if c.part.way == "domain" {
		x.inByVPN(c, t.Add(x.r.span(10*time.Minute, 2*time.Hour)), chief)
	}
}

func (x *intrusion) signsInAnew(c *org, t time.Time, p *person, from where) {
	x.as("T1098.005", func(s *scribe) {
		if c.apps["okta"] {
			s.oktaRegisters(c, t, p, from, 3)
		}
		s.registers(c, t.Add(3*time.Minute), p, from)
	})
	x.as("T1114.002", func(s *scribe) {
		for i := range s.r.between(2, 5) {
			s.m365(c, t.Add(time.Duration(i+9)*s.n.span(time.Minute, 2*time.Minute)), pick(s.r, []string{"MailItemsAccessed", "FileDownloaded", "FileAccessed"}), p.mail, from.ip, p)
		}
	})
}

// inByVPN comes in as the client's own administrator and ends with the directory's database.
func (x *intrusion) inByVPN(c *org, t time.Time, p *person) {
	if latest := x.w.end().Add(-3 * time.Hour); t.After(latest) {
		t = latest
	}
	s := x.w.planner("control administrator " + strconv.Itoa(c.idx))
	home := newRNG(x.w.names, "home", p.mail)
	tn := tunnel{user: p.login, from: home.public(), pool: lentTo(c, 52), machine: p.desk.name, machineID: home.guid(), country: c.place.country, group: "STAFF"}
	for i := range 8 { // who works from home like that now and then, once from abroad
		own := tn
		if i == 0 {
			own.country = x.foe.place.country
		}
		own.start = x.w.otherDay(s.r, t)
		own.end, own.out, own.in = own.start.Add(90*time.Minute), s.n.between(300_000, 3_000_000), s.n.between(1_000_000, 40_000_000)
		s.tunnel(c, own)
		for i, h := range some(s.r, c.servers, 3) {
			s.rdpLogon(c, h, own.start.Add(time.Duration(2+20*i)*time.Minute), own, 12*time.Minute, some(s.r, adminCommands, 3), false)
		}
	}
	tn.start, tn.end = t, t.Add(x.r.span(100*time.Minute, 160*time.Minute))
	x.enters(c, x.fromOutside(tn))
	tn = x.fromOutside(tn)
	for i, h := range append([]*host{c.servers[0]}, some(x.r, c.servers[2:], x.r.between(1, 2))...) {
		x.desktop(c, h, t.Add(time.Duration(3+20*i)*time.Minute), tn, x.r.span(6*time.Minute, 15*time.Minute))
	}
	x.as("T1572", func(s *scribe) {
		s.tunnelsOut(c, pick(s.r, c.servers), t.Add(70*time.Minute), p.login, s.r.IntN(len(tunnelTools)))
	})
	x.as("T1003.003", func(s *scribe) {
		s.directoryCopied(c, t.Add(80*time.Minute), p.login, pick(s.r, []string{`C:\PerfLogs\`, `C:\Windows\Temp\`, `C:\ProgramData\`}))
	})
}
