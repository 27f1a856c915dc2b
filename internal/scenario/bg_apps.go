package scenario

import "time"

// appsLife writes a day of a client in Okta, AWS and GitHub: its people, its own machines, and the provider's nightly
// copy by a role in the client's account.
func appsLife(s *scribe, o *org, day int) {
	w := s.w
	if !o.client {
		return
	}
	home := func(p *person) where {
		if s.r.chance(0.25) {
			return where{newRNG(w.names, "home", p.mail).public(), o.asn, o.place}
		}
		return o.office()
	}
	if o.apps["okta"] {
		for _, p := range o.people[:min(len(o.people), 14)] {
			if !w.works(day) && !s.r.chance(0.15) {
				continue
			}
			t, from := w.clock(s.r, day, 5, 20), home(p)
			if s.r.chance(0.05) {
				s.okta(o, t.Add(-20*time.Second), "user.session.start", p.actor(), from, "idx"+s.n.token(20), "INVALID_CREDENTIALS", nil)
			}
			s.oktaSignIn(o, t, p.actor(), from, s.r.chance(0.7), s.r.between(1, 3))
		}
		for range s.r.between(1, 3) { // guessed at from everywhere
			from := where{pick(s.n, w.guessers), pick(s.n, hostingASNs), pick(s.n, farPlaces)}
			s.okta(o, w.clock(s.r, day, 0, 23.9), "user.session.start", pick(s.r, o.people).actor(), from, "idx"+s.n.token(20), "INVALID_CREDENTIALS", nil)
		}
	}
	if o.apps["aws"] {
		admin := o.people[len(o.people)-1]
		nightly := s.iam(o, "svc-etl")
		s.reads(o, w.clock(s.r, day, 0, 5), nightly, o.egress, awsAgents[1], some(s.r, o.buckets(), 2), s.r.between(3, 9))
		if w.works(day) || s.r.chance(0.2) {
			s.awsLogin(o, w.clock(s.r, day, 6, 18), identity{user: admin.login, account: o.aws}, home(admin).ip, s.r.chance(0.7), s.r.chance(0.9))
			who := s.iam(o, admin.login)
			s.reads(o, w.clock(s.r, day, 6, 21), who, home(admin).ip, awsAgents[0], some(s.r, o.buckets(), 1), s.r.between(0, 4))
		}
		if o.reach.app {
			t := w.clock(s.r, day, 18, 23.5)
			role := s.assumes(o, t, "PartnerBackup", w.provider.egress, awsAgents[1+s.r.IntN(2)], "")
			s.reads(o, t.Add(9*time.Second), role, w.provider.egress, awsAgents[1], some(s.r, o.buckets(), s.r.between(1, 3)), s.r.between(2, 7))
			if s.r.chance(0.4) {
				at := w.clock(s.r, day, 0, 23.5)
				s.assumes(o, at, "PartnerBackup", w.provider.egress, awsAgents[1], "AccessDenied") // a policy that was tightened
			}
		}
	}
	if o.apps["github"] {
		for _, p := range o.people[:5] {
			if !w.works(day) && !s.r.chance(0.2) {
				continue
			}
			from := home(p)
			for range s.r.between(1, 3) {
				act := pick(s.r, [][2]string{{"git.clone", "access"}, {"git.fetch", "access"}, {"git.push", "modify"}})
				s.github(o, w.clock(s.r, day, 5, 21), act[0], act[1], p.handle(), pick(s.r, repos), from, w.tokenOf(o, p.handle()))
			}
		}
		t := w.clock(s.r, day, 0, 5) // the house's own copy of all of them
		for i, repo := range repos {
			s.github(o, t.Add(time.Duration(i)*s.n.span(2*time.Second, time.Minute)), "git.clone", "access", o.id+"-mirror", repo, o.office(), w.tokenOf(o, "mirror"))
		}
	}
	if o.reach.app && s.r.chance(0.6) { // the partner's application looks after mailboxes at night
		t := w.clock(s.r, day, 0, 23)
		s.appReads(o, t, w.provider.office(), some(s.r, o.people, s.r.between(2, 6)))
	}
}

// appReads is the partner's application reading mailboxes, under the name that its principal has at the client.
func (s *scribe) appReads(o *org, t time.Time, from where, boxes []*person) {
	name := "ServicePrincipal_" + newRNG(s.w.names, "sp", o.idx).guid()
	for i, p := range boxes {
		s.m365(o, t.Add(time.Duration(i+1)*s.n.span(5*time.Second, 3*time.Minute)), "MailItemsAccessed", name, from.ip, p)
	}
}
