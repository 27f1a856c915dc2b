package scenario

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// PartnerMail is the kind that writes the mail of one partner to one tenant instead of telemetry: history to learn
// habits from, later clean mail, and lures from the partner's real domain among it.
const PartnerMail = "partner-mail"

// The size of a folder of partner's mail.
const (
	historyWeeks  = 9
	judgedWeeks   = 4
	historyMails  = 350
	cleanMails    = 150
	lureMails     = 60
	honestJudged  = 52 // of the clean mail, those that look like lures
	honestHistory = 26
)

// exchange is the mail between a partner and a tenant while it is made up.
type exchange struct {
	r, n            *rng
	names           *namer
	start, cut, end time.Time
	tenant, partner *mailHouse
	ours            []*mailer // the tenant's people
	theirs          []*mailer // the partner's
	desks           []*mailer // the partner's desks and machines
	hosts           []string  // the partner's web hosts, by what they are for
	services        []string  // hosts of others that honest messages lead to
	tool            string    // its remote-support server
	instance        string
	account         iban
	threads         []*message // the last message of each conversation
	mails           []*letterOut
}

// letterOut is a message with what labels.tsv says of it.
type letterOut struct {
	*message
	lure, odd bool
	note      string
}

func newExchange(o Options) *exchange {
	names := o.Seed ^ 0x6d61696c
	if o.Rename != 0 {
		names = o.Rename
	}
	x := &exchange{r: newRNG(o.Seed, "partner mail"), n: newRNG(names, "partner mail names")}
	x.names = &namer{x.n, map[string]bool{}}
	x.start = o.Start.UTC().Truncate(24 * time.Hour)
	if o.Start.IsZero() {
		x.start = defaultStart.AddDate(0, 0, 7*x.n.between(-20, 30))
	}
	x.cut = x.start.AddDate(0, 0, 7*historyWeeks)
	x.end = x.cut.AddDate(0, 0, 7*judgedWeeks)
	x.tenant, x.partner = x.house(pick(x.n, orgTrades), "+49 40 66969 "), x.house(pick(x.n, providerTrades), "+49 30 23125 ")
	x.ours = x.staff(x.tenant, 13, []string{"manager", "finance", "finance", "hr"})
	x.theirs = x.staff(x.partner, 10, []string{"manager", "finance", "finance"})
	for i, p := range x.ours { // at least three of each language
		p.lang = []string{"en", "de", "fr", "en", "en", "de", "fr", "en", "de", "en", "fr", "de", "en"}[i]
	}
	for _, d := range []struct{ name, box, part string }{{"Service Desk", "servicedesk", "desk"}, {"Monitoring", "monitoring", "desk"}, {"Accounts", "accounts", "finance"}} {
		x.desks = append(x.desks, &mailer{name: x.partner.short + " " + d.name, addr: d.box + "@" + x.partner.domain, part: d.part, house: x.partner, lang: "en", prog: progMachine, robot: true, desk: x.partner.innerIP})
	}
	for _, label := range []string{pick(x.n, []string{"tickets", "desk", "helpdesk"}), pick(x.n, []string{"share", "files", "data"}), pick(x.n, []string{"status", "info"}), pick(x.n, []string{"phone", "meet"})} {
		x.hosts = append(x.hosts, label+"."+x.partner.domain)
	}
	x.tool, x.instance = pick(x.n, []string{"support", "remote", "assist"})+"."+x.partner.domain, x.n.hex(8)
	x.account = pick(x.n, ibans)
	return x
}

// house names an organisation with its mail servers.
func (x *exchange) house(trade, phone string) *mailHouse {
	n := x.n
	stem := x.names.stem()
	h := &mailHouse{name: stem + " " + trade + " " + pick(n, []string{"GmbH", "AG", "Ltd", "SA", "GmbH & Co. KG"}), short: stem, zone: zoneAt(x.start), notice: n.chance(0.4)}
	h.domain = lower(stem) + pick(n, []string{"", "-" + lower(strings.Fields(trade)[0]), "-group"}) + "." + pick(n, topLevels)
	h.street = pick(n, familyNames) + "straße " + fmt.Sprint(n.between(1, 120)) + ", " + pick(n, places).city
	h.phone = phone + fmt.Sprint(n.between(100, 899))
	h.gateway, h.out = "mx1."+h.domain, pick(n, []string{"mail.", "out.", "relay1.", "smtp."})+h.domain
	h.outIP = n.public()
	h.inner, h.innerIP = upper(stem[:3])+"-EX01."+lower(stem)+".local", netip.AddrFrom4([4]byte{10, byte(n.between(1, 200)), 4, byte(n.between(5, 40))})
	return h
}

// zoneAt is Central European time as it holds at the beginning; mail over a change of the clocks keeps it.
func zoneAt(t time.Time) *time.Location {
	if m := t.Month(); m >= time.April && m <= time.October {
		return time.FixedZone("CEST", 2*60*60)
	}
	return time.FixedZone("CET", 60*60)
}

func (x *exchange) staff(h *mailHouse, count int, parts []string) []*mailer {
	style, logins := x.n.IntN(3), map[string]bool{}
	var out []*mailer
	for i := range count {
		given, family, login := x.names.person(logins, style)
		p := &mailer{name: given + " " + family, given: given, addr: login + "@" + h.domain, house: h, lang: pick(x.n, languages), prog: pick(x.n, usualPrograms),
			greet: x.n.IntN(60), close: x.n.IntN(60), desk: netip.AddrFrom4([4]byte{10, h.innerIP.As4()[1], 20, byte(20 + i)}), home: x.n.public()}
		p.role = pick(x.n, tongues["en"].roles)
		if i < len(parts) {
			p.part = parts[i]
			p.role = map[string]string{"manager": "Managing Director", "finance": "Accounts", "hr": "Human Resources"}[p.part]
		}
		out = append(out, p)
	}
	return out
}

// office draws a working moment between two times.
func (x *exchange) office(from, to time.Time) time.Time {
	for {
		t := from.Add(x.r.span(0, to.Sub(from)))
		t = t.Truncate(24 * time.Hour).Add(x.r.span(5*time.Hour+30*time.Minute, 15*time.Hour+40*time.Minute)) // UTC; two hours later on the clock
		if wd := t.Weekday(); wd != time.Saturday && wd != time.Sunday && t.Before(to) {
			return t
		}
	}
}

// after draws when somebody answers: in minutes, hours or days, within working hours.
func (x *exchange) after(t time.Time) time.Time {
	switch x.r.IntN(4) {
	case 0:
		t = t.Add(x.r.span(4*time.Minute, 50*time.Minute))
	case 1, 2:
		t = t.Add(x.r.span(time.Hour, 6*time.Hour))
	default:
		t = t.Add(x.r.span(20*time.Hour, 70*time.Hour))
	}
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday || t.Hour() > 15 || t.Hour() < 5 {
		t = t.Add(x.r.span(2*time.Hour, 5*time.Hour))
	}
	return t
}

func of(people []*mailer, part string) []*mailer {
	var out []*mailer
	for _, p := range people {
		if part == "" || p.part == part {
			out = append(out, p)
		}
	}
	return out
}

func speaking(people []*mailer, lang string) []*mailer {
	return slices.DeleteFunc(slices.Clone(people), func(p *mailer) bool { return p.lang != lang })
}

// words draws the words of a message between two people.
func (x *exchange) words(lang string, t time.Time, from, to *mailer) words {
	w := wordsAt(x.r, lang, t)
	colleague := from
	for colleague == from {
		colleague = pick(x.r, x.theirs)
	}
	return w.with(words{"to": orElse(to.given, to.name), "toMail": to.addr, "from": from.name, "client": x.tenant.short, "partner": x.partner.short, "owner": x.ours[0].name,
		"colleague": colleague.name, "colleague2": pick(x.r, x.ours).name, "partnerMail": x.desks[2].addr, "street": x.partner.street,
		"known": "https://" + x.hosts[1] + "/p/" + x.r.token(6), "foehost": "", "link": ""})
}

// converse makes up one conversation that begins between two times.
func (x *exchange) converse(begin, end time.Time) {
	to := pick(x.r, x.ours)
	list := talks[to.lang]
	from := pick(x.r, x.theirs)
	tk := pick(x.r, list)
	if tk.money {
		from, to = pick(x.r, of(x.theirs, "finance")), pick(x.r, of(x.ours, "finance"))
		if i := slices.IndexFunc(talks[to.lang], func(t talk) bool { return t.money }); i >= 0 {
			tk = talks[to.lang][i]
		}
	}
	t := x.office(begin, end)
	w := x.words(to.lang, t, from, to)
	subject := capital(w.say(x.r, tk.subject))
	a, b := from, to
	if tk.tenant {
		a, b = to, from
	}
	var last *message
	for i, turn := range tk.turns[:x.r.between(2, len(tk.turns))] {
		m := &message{t: t, from: a, to: b, subject: subject, lang: to.lang, answers: last, prog: a.prog, kind: "correspondence", topic: w}
		if last != nil {
			m.subject = tongues[a.lang].reply + subject
			m.refs = append(slices.Clone(last.refs), last.id)
		}
		if i == 0 && tk.file != "" {
			m.files = attach(x.r, tk.file, w.with(words{"subject": subject}), t, a)
		}
		if x.r.chance(0.15) {
			m.cc = append(m.cc, pick(x.r, map[bool][]*mailer{true: x.ours, false: x.theirs}[x.r.chance(0.5)]))
		}
		x.elsewhere(m, 0.1)
		m.identify(x.r)
		m.sign(x.r, w.say(x.r, turn), false)
		x.keep(&letterOut{message: m, odd: m.origin != nil, note: map[bool]string{true: "sent from home or mobile"}[m.origin != nil]})
		last, t = m, x.after(t)
		a, b = b, a
	}
	x.threads = append(x.threads, last)
}

// elsewhere lets a part of the mail come from home or a phone.
func (x *exchange) elsewhere(m *message, share float64) {
	if !x.r.chance(share) {
		return
	}
	m.origin = &origin{ip: m.from.home, name: "p" + x.r.hex(2) + ".dip.access-net.example", helo: "[192.168.178." + fmt.Sprint(x.r.between(20, 60)) + "]"}
	if x.r.chance(0.5) {
		m.prog, m.origin.helo = progPhone, "iPhone"
	}
}

func (x *exchange) keep(l *letterOut) {
	if l.t.Before(x.end) {
		x.mails = append(x.mails, l)
	}
}

// newHost draws a web host that nobody here has used before; honest people and intruders draw from the same.
func (x *exchange) newHost() string {
	stem := lower(x.names.stem())
	return pick(x.r, []string{"files.", "app.", "", "", "my.", "portal.", "docs.", "go.", "eu1."}) + stem + pick(x.r, []string{"", "", "-cloud", "share", "-docs", "online", "-app", "hub"}) + "." + pick(x.r, []string{"com", "net", "eu", "io", "app", "de", "fr", "cloud", "online"})
}

// service draws somebody else's web host for an honest message: services that were used once are often used again.
func (x *exchange) service() string {
	if len(x.services) > 0 && x.r.chance(0.4) {
		return pick(x.r, x.services)
	}
	x.services = append(x.services, x.newHost())
	return x.services[len(x.services)-1]
}

// foeHost draws where a lure leads: mostly something new, else the partner's name under another apex or a look-alike.
func (x *exchange) foeHost() string {
	switch x.r.IntN(6) {
	case 0:
		return pick(x.r, []string{"securemail.", "portal.", "docs.", "login."}) + pick(x.r, []string{x.partner.domain, x.tenant.domain}) + "." + lower(pick(x.r, phishStems)) + "-" + lower(x.names.stem()) + ".com"
	case 1:
		name, tld, _ := strings.Cut(x.partner.domain, ".")
		host, _, _ := strings.Cut(pick(x.r, x.hosts), ".")
		return pick(x.r, []string{host + "-" + name + "." + tld, host + "." + name + "-" + pick(x.r, []string{"online", "services", tld}) + ".com", host + "." + strings.Replace(name, "l", "1", 1) + "." + tld + ".com"})
	}
	return x.newHost()
}

// sender draws who writes a script's message.
func (x *exchange) sender(sc *script) *mailer {
	switch sc.from {
	case "desk":
		return x.desks[x.r.IntN(2)]
	case "finance":
		return pick(x.r, append(of(x.theirs, "finance"), x.desks[2]))
	case "manager":
		return x.theirs[0]
	}
	return pick(x.r, x.theirs[1:])
}

// thread draws a conversation of that language that a script's reply can stand in: its sender's last word or the
// tenant's, before t.
func (x *exchange) thread(sc *script, lang string, t time.Time) *message {
	var fits, other []*message
	for _, m := range x.threads {
		them, us := m.from, m.to
		if us.house != x.tenant {
			them, us = us, them
		}
		if m.lang != lang || !m.t.Before(t.Add(-10*time.Minute)) || sc.toRole != "" && us.part != sc.toRole && !x.r.chance(0.2) {
			continue
		}
		if sc.from == "" || them.part == sc.from {
			fits = append(fits, m)
		} else {
			other = append(other, m)
		}
	}
	if len(fits) == 0 {
		fits = other
	}
	if len(fits) == 0 {
		return nil
	}
	slices.SortStableFunc(fits, func(a, b *message) int { return cmp.Compare(b.t.Unix(), a.t.Unix()) })
	return fits[min(x.r.IntN(len(fits)), x.r.IntN(len(fits)))] // rather a late one
}

// compose writes a script's message at t.
func (x *exchange) compose(sc *script, lang string, t time.Time) *message {
	from := x.sender(sc)
	list := speaking(of(x.ours, sc.toRole), lang)
	if len(list) == 0 {
		list = of(x.ours, sc.toRole)
	}
	to := pick(x.r, list)
	m := &message{t: t, lang: lang, kind: sc.kind}
	if sc.reply {
		m.answers = x.thread(sc, lang, t)
	}
	if old := m.answers; old != nil {
		from, to = old.from, old.to
		if to.house != x.tenant {
			from, to = to, from
		}
		m.refs = append(slices.Clone(old.refs), old.id)
		m.subject = tongues[from.lang].reply + bareSubject(old.subject)
	}
	if sc.style == "new" {
		from = x.joiner()
	}
	m.from, m.to, m.prog = from, to, from.prog
	w := x.words(lang, t, from, to)
	if m.answers != nil {
		w["project"], w["device"], w["system"] = m.answers.topic["project"], m.answers.topic["device"], m.answers.topic["system"]
	}
	w["foehost"] = x.foeHost()
	host := w["foehost"]
	switch sc.host {
	case hostPartner:
		host = pick(x.r, x.hosts)
	case hostNew:
		host = x.service()
	case hostTool:
		host = x.tool
	}
	w["link"] = "https://" + host + w.say(x.r, sc.path)
	if sc.kind == "invoice" {
		w["iban"], w["bank"] = x.account.number, x.account.bank
	}
	for w["iban"] == x.account.number && sc.kind != "invoice" {
		b := pick(x.r, ibans)
		w["iban"], w["bank"] = b.number, b.bank
	}
	if m.subject == "" {
		m.subject = capital(w.say(x.r, orElse(sc.subject, "{project}")))
	}
	m.topic = w
	m.hidden = sc.mass && x.r.chance(0.6)
	m.files = attach(x.r, sc.file, w.with(words{"subject": m.subject}), t, from)
	if sc.style == "away" {
		x.elsewhere(m, 1)
	}
	m.identify(x.r)
	m.sign(x.r, w.say(x.r, sc.body), from.robot)
	return m
}

// joiner is somebody who began at the partner lately.
func (x *exchange) joiner() *mailer {
	given, family, login := x.names.person(map[string]bool{}, 1)
	p := *pick(x.r, x.theirs[3:])
	p.name, p.given, p.addr, p.home = given+" "+family, given, login+"@"+x.partner.domain, x.n.public()
	return &p
}
