package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// contractorLaptop: a contractor works for several clients in their clouds from a laptop of his own, on which a stealer
// was; months later somebody signs in with the passwords alone and copies what is there. Nothing joins the clients but
// the contractor; the clients' provider has no part in it.
var contractorLaptop = kind{name: "contractor-laptop", cast: castContractorLaptop, plan: planContractorLaptop, minClients: 4, apps: true, extra: append(appsBenign[:len(appsBenign):len(appsBenign)], twin{"contractor", contractorWork})}

func castContractorLaptop(w *world) {
	r := newRNG(w.o.Seed, "cast")
	cloud := []tenant.Layer{tenant.LayerCloud}
	first := []Outcome{Succeeded, Attempted, Exposed, Blind, Succeeded}
	rest := []Outcome{Clear, Exposed, Clear, Attempted, Clear}
	var with []*org
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: cloud}
		c.layers[tenant.LayerCloud] = outcome != Blind
		if outcome == Clear {
			c.part.shows = nil
			continue
		}
		with = append(with, c)
		switch outcome {
		case Attempted:
			c.part.seen, c.part.way = cloud, "refused"
		case Succeeded:
			c.part.seen, c.part.success, c.part.way = cloud, cloud, "copied"
		}
		c.apps = map[string]bool{pick(r, []string{"okta", "aws", "github"}): true}
	}
	w.neighbour.part, w.provider.part = part{outcome: Clear}, part{outcome: Clear}
	w.newFirm("contractor", "contractor", 2, 40, with)
}

// contractor is who works where: the firm, and the name that its person has in the clients' clouds.
func (w *world) contractor(who int) (f *firm, login string, p actor) {
	f = w.firms[len(w.firms)-1]
	login = f.accounts[who]
	return f, login, actor{login + "@" + f.domain, login}
}

// contractorWork is the contractor's own work: from home or on the way, mostly without a second factor, since nobody asks
// for one; now and then a large copy for a test.
func contractorWork(w *world, s *scribe) {
	f, _, _ := w.contractor(0)
	for _, c := range f.clients {
		for d := range w.o.Days {
			for who := range f.accounts {
				if !w.works(d) && !s.r.chance(0.4) || s.r.chance(0.2) && d > 0 {
					continue
				}
				_, login, p := w.contractor(who)
				from := where{f.gateway, pick(newRNG(w.names, "contractor's line"), accessASNs), f.place}
				if s.r.chance(0.2) {
					from = where{newRNG(w.names, "contractor's home", who).public(), from.asn, f.place}
				}
				t := w.clock(s.r, d, 5, 22.5)
				amount := s.r.between(1, 4)
				if s.r.chance(0.15) || d == who {
					amount = 8
				}
				s.atClient(c, t, login, p, from, awsAgents[(who+d)%len(awsAgents)], amount, s.r.chance(0.3))
				if s.r.chance(0.1) || d == 1 {
					s.mistyped(c, t.Add(-time.Minute), login, p, from)
				}
			}
		}
	}
}

// atClient is a visit of a contractor to the clouds that a client has: sign-in, a look at what there is, amount copied.
func (s *scribe) atClient(c *org, t time.Time, login string, p actor, from where, agent string, amount int, factor bool) {
	if c.apps["okta"] {
		s.oktaSignIn(c, t, p, from, factor, min(amount, 3))
	}
	t = t.Add(s.n.span(20*time.Second, 5*time.Minute))
	if c.apps["aws"] {
		s.awsLogin(c, t, identity{user: login, account: c.aws}, from.ip, factor, true)
		s.reads(c, t.Add(time.Minute), s.iam(c, login), from.ip, agent, c.buckets()[:1+amount/3], amount)
	}
	if c.apps["github"] {
		for i, repo := range some(s.r, repos, amount) {
			s.github(c, t.Add(time.Duration(i+1)*s.n.span(9*time.Second, 3*time.Minute)), "git.clone", "access", login, repo, from, s.w.tokenOf(c, login))
		}
	}
	// In Microsoft's cloud the contractor is a guest.
	guest := &person{given: login, family: "(extern)", login: login, mail: p.mail, oid: newRNG(s.w.names, "guest", c.idx, login).guid()}
	s.signIn(c, signIn{t: t.Add(-9 * time.Second), who: guest, app: appSharePoint, from: from, interactive: true, mfa: factor})
	for i := range amount {
		s.m365(c, t.Add(time.Duration(i+1)*s.n.span(20*time.Second, 2*time.Minute)), "FileDownloaded", p.mail, from.ip, c.people[i%9])
	}
}

// mistyped is a sign-in that fails.
func (s *scribe) mistyped(c *org, t time.Time, login string, p actor, from where) {
	if c.apps["okta"] {
		s.okta(c, t, "user.session.start", p, from, "idx"+s.n.token(20), "INVALID_CREDENTIALS", nil)
	}
	if c.apps["aws"] {
		s.awsLogin(c, t, identity{user: login, account: c.aws}, from.ip, false, false)
	}
	guest := &person{given: login, family: "(extern)", login: login, mail: p.mail, oid: newRNG(s.w.names, "guest", c.idx, login).guid()}
	s.signIn(c, signIn{t: t, who: guest, app: appSharePoint, from: from, interactive: true, err: pick(s.r, []int{50126, 53003, 50076})})
}

func planContractorLaptop(w *world) {
	x := w.intrusion("attack", &w.foe)
	who := x.r.IntN(2)
	f, login, p := w.contractor(who)
	habit, agent := pick(x.r, habits), pick(x.r, awsAgents)
	day := w.workday(w.o.Days / 5)
	places := append([]where{{x.foe.exit, x.foe.asn, x.foe.place}}, where{pick(x.r, x.foe.exits), x.foe.asn, x.foe.place}, where{pick(x.r, x.foe.exits), pick(x.r, hostingASNs), pick(x.r, farPlaces)})
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
		t := x.hour(min(day+x.r.IntN(max(1, w.o.Days-day)), w.o.Days-1), habit)
		if latest := w.end().Add(-5 * time.Hour); t.After(latest) {
			t = latest
		}
		from := pick(x.r, places) // another way out for each client, if he likes
		x.did(t, c, tenant.LayerCloud, "user", p.mail, from.ip)
		if c.part.way == "refused" {
			x.as("T1078.004", func(s *scribe) {
				for i := range s.r.between(2, 5) {
					s.mistyped(c, t.Add(time.Duration(i)*s.n.span(20*time.Second, 9*time.Minute)), login, p, from)
				}
			})
			continue
		}
		for range x.r.between(1, 2) {
			x.as("T1530", func(s *scribe) { s.atClient(c, t, login, p, from, agent, s.r.between(6, 8), false) })
			t = t.Add(x.r.span(20*time.Minute, 2*time.Hour))
		}
	}
	w.campaignThrough(f.id, func(o *org) part { return o.part }, true, x.acts, Ask{Ask: f.id, For: p.mail, From: w.start, To: x.earliest()}, x.foe.own())
}
