package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// What the first phish and the declared exercise have in common.
var (
	spamSubjects = []string{"Your mailbox is almost full", "You have a new voice message", "Unpaid invoice 88231", "Parcel could not be delivered", "Exclusive gift card for you", "Secure message waiting"}
	spamTexts    = []string{"Your account will be closed today. Confirm your details now.", "A parcel is waiting for you, the fee of 1,99 is still open.", "You have one unread secure message. Sign in to read it."}
)

// letters writes what arrives in an organisation's mailboxes in a day.
func letters(s *scribe, o *org, day int) {
	w := s.w
	lang := w.language(o)
	hours := func() time.Time { return w.clock(s.r, day, 5.5, 18) }
	count := 0
	if w.works(day) {
		count = s.r.between(3, 5)
	}
	for range count {
		two := some(s.r, o.people, 2)
		tk := pick(s.r, talks[lang])
		s.mail(o, s.chat(&tk, lang, w.mailer(o, two[0]), w.mailer(o, two[1]), s.r.IntN(4), hours(), "colleague"))
	}
	for range count / 2 { // business with other organisations, some of them here too
		s.business(o, hours())
	}
	for range s.r.IntN(3) {
		site := w.sites[len(wellKnown)+s.r.IntN(len(w.sites)-len(wellKnown))]
		from := outsider("Newsletter", "news@"+lastLabels(site.name), site.ip)
		to := w.mailer(o, pick(s.r, o.people))
		from.robot = true
		sc := pick(s.r, newsletters[lang])
		words := w.mailWords(s.r, lang, w.day(day), from, to, "https://"+site.name+"/n/"+s.n.token(6))
		m := &message{t: w.clock(s.r, day, 4, 20), from: from, to: to, lang: lang, kind: sc.kind, prog: progMachine, bulk: "https://" + from.house.domain + "/unsubscribe", subject: capital(words.say(s.r, sc.subject))}
		m.sign(s.r, words.say(s.r, sc.body), true)
		s.mail(o, m)
	}
	if s.r.chance(0.7) { // commodity spam and phish
		site := pick(s.n, w.sites[len(wellKnown):])
		from := outsider("Service", "service@"+lower(pick(s.n, orgStems))+fmt.Sprint(s.n.between(10, 99))+"."+pick(s.n, topLevels), pick(s.n, w.guessers))
		to := w.mailer(o, pick(s.r, o.people))
		sc := pick(s.r, spamMails[lang])
		words := w.mailWords(s.r, lang, w.day(day), from, to, "https://"+site.name+"/"+s.n.token(10))
		m := &message{t: w.clock(s.r, day, 0, 23.9), from: from, to: to, lang: lang, kind: sc.kind, prog: progMachine, auth: pick(s.r, []string{"fail", "none", "pass", "pass"}), subject: capital(words.say(s.r, sc.subject))}
		m.sign(s.r, words.say(s.r, sc.body), true)
		s.mail(o, m)
	}
	if o.client && o.reach.mail {
		s.fromProvider(o, day, lang)
	}
}

// business is mail from outside about orders, deliveries and invoices.
func (s *scribe) business(o *org, t time.Time) {
	w, lang := s.w, s.w.language(o)
	to := w.mailer(o, pick(s.r, o.people))
	other := pick(s.r, w.orgs[1:])
	var from *mailer
	link := ""
	if other == o || s.r.chance(0.4) {
		site := w.sites[len(wellKnown)+s.r.IntN(len(w.sites)-len(wellKnown))]
		domain := lastLabels(site.name)
		r := newRNG(w.names, "contact", domain, s.r.IntN(3))
		given, family := pick(r, givenNames), pick(r, familyNames)
		from = outsider(given+" "+family, lower(given)+"@"+domain, site.ip)
		from.given, from.prog, from.greet, from.close, from.desk = given, pick(r, usualPrograms), r.IntN(60), r.IntN(60), site.ip
		link = "https://" + site.name + "/d/" + s.n.token(8)
	} else {
		from = w.mailer(other, pick(s.r, other.people[:6]))
	}
	switch x := s.r.IntN(10); {
	case x < 2:
		sc := machineMails[lang][len(machineMails[lang])-2] // an invoice, or the like
		for i := range machineMails[lang] {
			if machineMails[lang][i].kind == "invoice" {
				sc = machineMails[lang][i]
			}
		}
		s.says(o, &sc, lang, from, to, t, link, nil)
	case x < 4 && link != "":
		s.says(o, &script{kind: "share-new-host", subject: "{project} {ref}", body: map[string]string{"en": "[the document you asked for|our price list]: {link}", "de": "[das gewünschte Dokument|unsere Preisliste]: {link}", "fr": "[le document demandé|notre tarif] : {link}"}[lang]}, lang, from, to, t, link, nil)
	default:
		tk := pick(s.r, talks[lang])
		s.mail(o, s.chat(&tk, lang, from, to, s.r.IntN(4), t, "business"))
	}
}

// fromProvider is what the provider writes: every few days a notice to all, most days somebody about a ticket.
func (s *scribe) fromProvider(o *org, day int, lang string) {
	w := s.w
	p := w.provider
	desk := outsider(p.name+" NOC", "noc@"+p.domain, p.mx)
	desk.house, desk.robot = w.mailHouse(p), true
	if day%3 == 0 { // one text to all of a language
		r := newRNG(w.o.Seed, "notice", day, lang)
		to := w.mailer(o, o.people[o.idx%len(o.people)])
		words := w.mailWords(r, lang, w.day(day), desk, to, "https://status."+p.domain+"/m/"+fmt.Sprint(300+day))
		list := ofKind(honest[lang], "maintenance-many")
		sc := list[day/3%len(list)]
		m := &message{t: w.day(day).Add(9*time.Hour + time.Duration(o.idx)*7*time.Second), from: desk, to: to, lang: lang, kind: sc.kind, prog: progMachine, bulk: "https://" + p.domain + "/unsubscribe", subject: capital(words.say(r, sc.subject))}
		m.sign(r, words.say(r, sc.body), true)
		s.mail(o, m)
	}
	for i := range 1 + s.r.IntN(2) {
		if i > 0 && !w.works(day) {
			break
		}
		t := w.clock(s.r, day, 5.5, 18)
		from, to := w.mailer(p, p.people[(o.idx*3+day+i)%(p.techs+2)]), w.mailer(o, pick(s.r, o.people))
		link := "https://" + pick(s.r, []string{"tickets.", "share.", "status."}) + p.domain + "/t/" + s.n.token(6)
		switch x := s.r.IntN(20); {
		case x < 4:
			list := ofKind(machineMails[lang], "ticket")
			s.says(o, &list[0], lang, desk, to, t, link, nil)
		case x < 12:
			list := ofKind(machineMails[lang], "share-known-host")
			s.says(o, &list[0], lang, from, to, t, link, nil)
		case x < 14:
			sc := pick(s.r, honest[lang])
			for sc.mass || sc.reply || sc.style == "new" {
				sc = pick(s.r, honest[lang])
			}
			s.says(o, &sc, lang, from, to, t, s.honestLink(&sc, link), nil)
		default:
			tk := pick(s.r, talks[lang])
			s.mail(o, s.chat(&tk, lang, from, to, s.r.IntN(4), t, "correspondence"))
		}
	}
	if o.hasVendor && s.r.chance(0.15) {
		l := letter{t: w.clock(s.r, day, 5.5, 18), to: pick(s.r, o.people), subject: "Update for " + w.vendor.product, text: "Dear customer,\n\nthe new version is available for you.", link: "https://www." + w.vendor.domain + "/v", linkText: "Release notes", kind: "vendor"}
		s.letter(o, l.stranger(w.vendor.name, "support@"+w.vendor.domain, newRNG(w.names, "vendor mx").public()))
	}
}

// honestLink is where an honest message's link leads: as known, to the declared tool, or to somebody's service.
func (s *scribe) honestLink(sc *script, known string) string {
	switch sc.host {
	case hostNew:
		site := s.w.sites[len(wellKnown)+s.r.IntN(len(s.w.sites)-len(wellKnown))]
		return "https://" + site.name + "/s/" + s.n.token(8)
	case hostTool:
		return "https://" + s.w.relay + "/?Session=" + s.n.token(10)
	}
	return known
}

func ofKind(list []script, kind string) []script {
	var out []script
	for _, sc := range list {
		if sc.kind == kind {
			out = append(out, sc)
		}
	}
	return out
}

// conversations lets each of the provider's people talk with somebody at each client early in the scenario: threads
// that honest work goes on in, and that whoever takes a mailbox over can answer.
func (w *world) conversations() {
	p := w.provider
	for _, c := range w.clients {
		if !c.reach.mail || !c.layers[tenant.LayerMail] {
			continue
		}
		s := w.planner("conversations " + fmt.Sprint(c.idx))
		lang := w.language(c)
		for i := range p.techs + 2 {
			tk := pick(s.r, talks[lang])
			d := w.workday(i % max(1, w.o.Days/4))
			t := w.clock(s.r, d, 5.5, 12)
			a, b := w.mailer(p, p.people[i]), w.mailer(c, c.people[(i*2+s.r.IntN(2))%9])
			last := s.chat(&tk, lang, a, b, s.r.between(1, 2)*2-1, t.Add(3*time.Hour), "correspondence")
			for m := last; m != nil; m = m.answers {
				to := c
				if m.to.house == a.house {
					to = p
				}
				s.mail(to, m)
			}
			w.threads[c] = append(w.threads[c], last)
		}
	}
}

// lateralMail writes an intruder's mail from a real mailbox to people of a client: one text to all, or to each another,
// in the thread that there is. The first gets a link in any case.
func (s *scribe) lateralMail(c *org, who *person, to []*person, t time.Time, link func() string) {
	w := s.w
	r := newRNG(w.o.Seed, "lateral mail", c.idx)
	inner := &scribe{w: w, r: r, n: s.n, put: s.put, step: s.step}
	lang, from := w.language(c), w.mailer(w.provider, who)
	var linked []script
	for _, sc := range lures[lang] {
		if sc.path != "" && !sc.reply && sc.file == "" && sc.from == "" && sc.toRole == "" {
			linked = append(linked, sc)
		}
	}
	var thread *message
	for _, m := range w.threads[c] {
		if m.t.Before(t) && (m.from == from || m.to == from) {
			thread = m
		}
	}
	first, mass := pick(r, linked), r.chance(0.5)
	texts := newRNG(w.o.Seed, "lateral text", c.idx).Uint64()
	for i, p := range to {
		at := t.Add(time.Duration(i) * s.r.span(time.Second, 20*time.Second))
		if mass || i == 0 { // the same words for all
			inner.r = newRNG(texts)
			inner.says(c, &first, lang, from, w.mailer(c, p), at, link(), nil)
			continue
		}
		inner.r = r
		sc := pick(r, lures[lang])
		rcpt, old := w.mailer(c, p), (*message)(nil)
		if sc.reply && thread != nil && i == 1 {
			if old, rcpt = thread, thread.to; rcpt.house == from.house {
				rcpt = thread.from
			}
		}
		inner.says(c, &sc, lang, from, rcpt, at, link(), old)
	}
	if mass { // honest people send one text to many too, under the same title
		twin := w.planner("control mass mail " + fmt.Sprint(c.idx))
		sc := first
		sc.kind, sc.body = "announcement", map[string]string{"en": "[for your information, the new version is in our usual place|as announced]: {link}", "de": "[zur Kenntnis, die neue Fassung liegt am üblichen Ort|wie angekündigt]: {link}", "fr": "[pour information, la nouvelle version est à l'endroit habituel|comme annoncé] : {link}"}[lang]
		sender := w.provider.people[(c.idx+1)%(w.provider.techs+2)]
		day := w.otherDay(twin.r, t)
		for i, p := range to {
			twin.r = newRNG(texts) // so that the title is drawn alike
			twin.says(c, &sc, lang, w.mailer(w.provider, sender), w.mailer(c, p), day.Add(time.Duration(i)*time.Minute), "https://share."+w.provider.domain+"/c/"+twin.n.token(6), nil)
		}
	}
}

// lastLabels returns the last two labels of a name.
func lastLabels(name string) string {
	parts := strings.Split(name, ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}
