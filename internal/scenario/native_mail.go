package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// mailFile stands for the folder of messages: each is a file of its own.
const mailFile = "mail/"

// letter is one received message whose text is written where it is needed.
type letter struct {
	t        time.Time
	who      *mailer // the sender, where it is one of the organisations' people
	from     string  // display name
	addr     string
	helo     string // sending host
	ip       netip.Addr
	to       *person
	subject  string
	text     string // whole, with greeting and closing
	link     string // optional
	linkText string
	dmarc    string // pass (default), fail, none
	bulk     bool   // carries List-Unsubscribe
	kind     string // for the truth; empty: notice
	lang     string // of the text; empty: en
}

// letter writes a message as the recipient's mail server stored it.
func (s *scribe) letter(o *org, l letter) {
	_, domain, _ := strings.Cut(l.addr, "@")
	from := l.who
	if from == nil {
		from = outsider(l.from, l.addr, l.ip)
	}
	m := &message{t: l.t, from: from, to: s.w.mailer(o, l.to), subject: l.subject, lang: orElse(l.lang, "en"), text: l.text, prog: from.prog, auth: l.dmarc, kind: orElse(l.kind, "notice")}
	if l.bulk {
		m.bulk = "https://" + domain + "/unsubscribe"
	}
	if l.link != "" {
		m.text += "\n\n" + string(linkOpen) + l.linkText + string(linkMid) + l.link + string(linkClose)
	}
	s.mail(o, m)
}

// mail puts a message into the mailboxes of o.
func (s *scribe) mail(o *org, m *message) {
	if m.id == "" {
		m.identify(s.n)
	}
	m.inbound = true
	truth := &MailTruth{Label: "clean", Kind: m.kind, Language: m.lang}
	switch {
	case s.step != "":
		truth.Label = "lure"
	case m.kind == "spam":
		truth.Label = "spam"
	}
	name := fmt.Sprintf("%d.M%06dP%d.mx1", m.t.Unix(), s.n.IntN(1_000_000), s.n.between(1000, 99999))
	if !o.maildir {
		name = fmt.Sprintf("%s-%06d%05d.eml", m.t.Format("20060102-150405"), s.n.IntN(1_000_000), s.n.between(10000, 99999))
	}
	s.put(o, mailFile, rec{t: m.t, line: string(m.write(s.n)), name: name, step: s.step, mail: truth})
}

// fromPerson fills in a sender inside an organisation, sent through its own mail server.
func (w *world) fromPerson(l letter, o *org, p *person) letter {
	l.who, l.from, l.addr, l.helo, l.ip = w.mailer(o, p), p.full(), p.mail, "mail."+o.domain, o.mx
	return l
}

// stranger fills in a sender whose own domain has the given address.
func (l letter) stranger(name, addr string, ip netip.Addr) letter {
	_, domain, _ := strings.Cut(addr, "@")
	l.from, l.addr, l.helo, l.ip = name, addr, "mail."+domain, ip
	return l
}

// language is what an organisation writes among itself, and what its partners write to it.
func (w *world) language(o *org) string {
	return pick(newRNG(w.o.Seed, "language", o.idx), []string{"en", "en", "de", "de", "fr"})
}

// mailHouse is an organisation as its mail shows it.
func (w *world) mailHouse(o *org) *mailHouse {
	if h := w.houses[o]; h != nil {
		return h
	}
	n := newRNG(w.names, "mail house", o.domain)
	short, _, _ := strings.Cut(o.name, " ")
	h := &mailHouse{name: o.name, short: short, domain: o.domain, gateway: "mx1." + o.domain, out: "mail." + o.domain, outIP: o.mx, notice: n.chance(0.3),
		street: pick(n, familyNames) + "straße " + fmt.Sprint(n.between(1, 99)) + ", " + o.place.city, phone: "+49 30 23125 " + fmt.Sprint(n.between(100, 899)),
		inner: upper(o.short) + "-EX01." + o.ad, innerIP: at(o.serverNet, 9)}
	w.houses[o] = h
	return h
}

// mailer is one of the organisations' people with habits of writing.
func (w *world) mailer(o *org, p *person) *mailer {
	if m := w.mailers[p]; m != nil {
		return m
	}
	n := newRNG(w.names, "writes", p.mail)
	i := slices.Index(o.people, p)
	m := &mailer{name: p.full(), given: p.given, addr: p.mail, house: w.mailHouse(o), lang: w.language(o), prog: pick(n, usualPrograms), greet: n.IntN(60), close: n.IntN(60), desk: p.desk.ip, home: n.public()}
	m.role = pick(n, tongues[m.lang].roles)
	switch i {
	case 6:
		m.part = "hr"
	case 7, 8:
		m.part = "finance"
	}
	w.mailers[p] = m
	return m
}

// outsider is a sender of whom nothing but the address is known.
func outsider(name, addr string, ip netip.Addr) *mailer {
	_, domain, _ := strings.Cut(addr, "@")
	return &mailer{name: name, addr: addr, lang: "en", prog: progMachine,
		house: &mailHouse{name: name, short: name, domain: domain, out: "mail." + domain, outIP: ip, gateway: "mx." + domain}}
}

// mailWords draws the words of a message between two people of the scenario.
func (w *world) mailWords(r *rng, lang string, t time.Time, from, to *mailer, link string) words {
	p := w.provider
	return wordsAt(r, lang, t).with(words{"to": orElse(to.given, to.name), "toMail": to.addr, "from": from.name, "client": to.house.short, "partner": from.house.short,
		"owner": "IT", "colleague": pick(r, p.people).full(), "colleague2": pick(r, givenNames), "partnerMail": "accounts@" + from.house.domain, "street": from.house.street,
		"known": "https://share." + p.domain + "/p/" + r.token(6), "link": link, "foehost": w.foe.label + "." + w.foe.apex})
}

// says writes a script's message from one to another; link is where its link leads.
func (s *scribe) says(o *org, sc *script, lang string, from, to *mailer, t time.Time, link string, answers *message) {
	w := s.w.mailWords(s.r, lang, t, from, to, link)
	m := &message{t: t, from: from, to: to, lang: lang, kind: sc.kind, prog: from.prog, answers: answers}
	switch {
	case answers != nil:
		m.subject = tongues[from.lang].reply + bareSubject(answers.subject)
		m.refs = append(slices.Clone(answers.refs), answers.id)
		w["project"], w["device"] = answers.topic["project"], answers.topic["device"]
	default:
		m.subject = capital(w.say(s.r, orElse(sc.subject, "{project}")))
	}
	m.topic = w
	m.files = attach(s.r, sc.file, w.with(words{"subject": m.subject}), t, from)
	m.sign(s.r, w.say(s.r, sc.body), from.robot)
	s.mail(o, m)
}

// chat makes up a conversation between two people as far as its turn at t, and returns that message; what was said
// before lies earlier.
func (s *scribe) chat(tk *talk, lang string, from, to *mailer, turn int, t time.Time, kind string) *message {
	turn = min(turn, len(tk.turns)-1)
	at := t
	times := make([]time.Time, turn+1)
	for i := turn; i >= 0; i-- {
		times[i] = at
		at = at.Add(-s.r.span(10*time.Minute, 20*time.Hour))
	}
	w := s.w.mailWords(s.r, lang, times[0], from, to, "")
	subject := capital(w.say(s.r, tk.subject))
	var last *message
	for i := range turn + 1 {
		a, b := from, to
		if (turn-i)%2 == 1 {
			a, b = to, from
		}
		m := &message{t: times[i], from: a, to: b, subject: subject, lang: lang, answers: last, prog: a.prog, kind: kind, topic: w}
		if last != nil {
			m.subject, m.refs = tongues[a.lang].reply+subject, append(slices.Clone(last.refs), last.id)
		} else if tk.file != "" {
			m.files = attach(s.r, tk.file, w.with(words{"subject": subject}), times[i], a)
		}
		m.identify(s.n)
		m.sign(s.r, w.say(s.r, tk.turns[i]), false)
		last = m
	}
	return last
}
