package phish

import (
	"fmt"
	"strings"
)

// partnerReasons scores authenticated mail of a declared organisation by what differs from its own habit: known
// partner and DMARC pass never speak for a message, they only say whose habit to compare it with. Nothing is called
// new before the habit is known (see warm).
func (d *Detector) partnerReasons(v *verdict, x *message, s *mailState) {
	h := s.Orgs[x.from.key]
	p := &partnerScore{d: d, v: v, x: x, s: s, h: h, warm: h.warm(x.e.Time), who: x.from.name}
	if h == nil {
		p.h = newHabit()
	}
	x.ask.widen(x.text, len(x.phones) > 0, len(x.ibans) > 0)
	p.linksAndAsks()
	p.money()
	p.talk()
	p.files()
	p.habits()
}

type partnerScore struct {
	d    *Detector
	v    *verdict
	x    *message
	s    *mailState
	h    *habit
	warm bool
	who  string
	new  *link // the first link to a place new to the partner
}

func (p *partnerScore) add(name string, points int, novel bool, text string, apex string) {
	p.addClass(name, "", points, novel, text, apex)
}

func (p *partnerScore) addClass(name, class string, points int, novel bool, text string, apex string) {
	if novel && !p.warm {
		return
	}
	p.v.add(reason{name: name, class: class, kind: kindPartner, points: points, targeted: true, novel: novel, text: text, apex: apex})
}

// context adds weight without making a finding by itself.
func (p *partnerScore) context(name string, points int, text string) {
	if p.warm {
		p.v.add(reason{name: name, points: points, novel: true, text: text})
	}
}

func (p *partnerScore) linksAndAsks() {
	x := p.x
	for i := range x.links {
		l := &x.links[i]
		if tool := remoteTool(l); tool != "" && !l.declared {
			p.add("partner-remote-tool", 30, false, fmt.Sprintf("%s's mail hands out a remote-support program (%s) from %s, which no trust declares", p.who, tool, l.host), l.host)
		}
		if l.declared || p.h.Sites.has(l.site) {
			continue
		}
		if p.s.recentlyFlagged(l.apex, x.e.Time) {
			p.add("partner-flagged-link", 40, false, "a link to "+l.host+", which an earlier finding named", l.apex)
			p.new = l
			continue
		}
		if known, l := p.twin(l.apex); known != "" {
			points := 45
			if l.added { // a supplier of theirs may well have a second domain
				points = 12
			}
			p.addClass("partner-twin-host", "twin", points, true, fmt.Sprintf("a link to %s, which resembles %s that %s's mail has linked before: %s", p.apexAt(i), known, p.who, l.how), p.apexAt(i))
		}
		if commonSites[l.apex] || common(p.s.Sites, l.site, x.e.Time) {
			continue
		}
		if p.new == nil {
			p.new = l
			p.add("partner-new-host", 25, true, fmt.Sprintf("a link to %s, where no mail of %s has led before", l.site, p.who), l.apex)
		}
	}
	if p.new != nil && p.warm {
		p.atNewPlace(p.new)
	}
}

func (p *partnerScore) apexAt(i int) string { return p.x.links[i].apex }

// atNewPlace weighs what a message wants at a place that is new to its sender.
func (p *partnerScore) atNewPlace(l *link) {
	x := p.x
	wants := x.ask
	if quoted := quotedOnly(l.raw, x); quoted {
		wants = asksOf(strings.ToLower(x.e.Mail.Subject + " " + x.e.Mail.Text))
		p.add("partner-link-in-quote", 12, true, "the new link stands only in a quotation, and no earlier mail had it", l.apex)
	}
	if l.attached && wants.credential == "" && wants.signIn == "" {
		wants = asksOf(x.fileText)
	}
	if l.attached && !l.pictured { // the code in a picture is a reason of its own
		p.add("partner-link-in-file", 15, true, "the new link stands only inside an attached file", l.apex)
	}
	if invites(x.text) && registers[wants.signIn] {
		wants.terms, wants.signIn = firstName(wants.terms, wants.signIn), ""
	}
	if c := firstName(wants.credential, wants.signIn); c != "" {
		p.v.form = true
		p.addClass("partner-sign-in", "sign-in", 25, true, "a new link and talk of signing in (“"+c+"”)", l.apex)
	}
	if c := firstName(wants.sign, wants.consent, wants.terms, wants.account); c != "" {
		p.addClass("partner-link-act", "sign-in", 12, true, "a new link and something to confirm, sign or open there (“"+c+"”)", l.apex)
	}
	if u := wants.urgency; u != "" {
		p.addClass("partner-urgency", "urgency", 9, true, "a new link and pressure of time (“"+u+"”)", l.apex)
	}
	if p.namesReader(l) {
		p.add("partner-names-reader", 8, true, "the new link "+l.host+" carries the reader's or the tenant's name", l.apex)
	}
	low := strings.ToLower(l.raw)
	switch {
	case strings.Contains(low, "client_id=") && strings.Contains(low, "oauth2"):
		p.add("partner-oauth-consent", 25, true, "the new link asks to grant an application rights (OAuth consent)", l.apex)
	case strings.Contains(low, "devicelogin"), strings.Contains(low, "/device/") && x.ask.code != "", strings.Contains(low, "deviceauth"):
		p.add("partner-device-code", 25, true, "the new link signs in somebody else's device (device code)", l.apex)
	}
	path := low
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if installer[extension(path)] {
		p.add("partner-program-link", 20, true, "the new link loads a program: "+path[strings.LastIndexByte(path, '/')+1:], l.apex)
	}
}

// quotedOnly reports whether the link's host stands in quoted text and not in what the sender wrote.
func quotedOnly(raw string, x *message) bool {
	h := hostIn(raw)
	return h != "" && !strings.Contains(x.text, h) && strings.Contains(strings.ToLower(x.e.Mail.Text), h)
}

// twin returns a site of the partner's habit that the apex resembles without being it.
func (p *partnerScore) twin(apex string) (string, likeness) {
	var like likeness
	best := ""
	name, tld := splitApex(apex)
	if len(name) < 6 || p.h.Sites.has(apex) {
		return "", like
	}
	skel := skeleton(name)
	for site := range p.h.Sites {
		if site == apex || strings.Count(site, ".") == 0 {
			continue
		}
		own := markOf(site)
		if len(own.name) < 6 || own.name == name && commonSites[site] {
			continue
		}
		if l, ok := compare(name, skel, tld, &own); ok && (l.strong || own.name == name) && (best == "" || site < best) {
			best, like = site, l
		}
	}
	return best, like
}

// namesReader reports whether a link holds the recipient's local part or address, or the tenant's name.
func (p *partnerScore) namesReader(l *link) bool {
	low := strings.ToLower(l.raw)
	if carriesRecipient(l.raw, p.x.e.Mail) {
		return true
	}
	if t := p.d.names.byTenant(p.x.e.Tenant); t != nil {
		for _, d := range t.domains {
			if name, _ := splitApex(apexOf(d)); len(name) >= 5 && strings.Contains(low, name) {
				return true
			}
		}
	}
	return false
}

func (p *partnerScore) money() {
	x := p.x
	newIBAN := ""
	if x.ask.payment == "" && x.fileText != "" { // an invoice always names its account: only a new one matters
		x.ask.payment = asksOf(x.fileText).payment
		if !p.namesNewAccount() {
			x.ask.payment = ""
		}
	}
	for _, n := range x.ibans {
		if !p.h.IBANs.has(n) {
			newIBAN = n
		}
	}
	switch {
	case newIBAN != "" && x.ask.payment != "":
		p.add("partner-payment-change", 45, true, fmt.Sprintf("it changes where money goes (“%s”) to an account that %s has not named before", x.ask.payment, p.who), "")
	case newIBAN != "":
		p.add("partner-new-account", 20, true, "it names a bank account that "+p.who+" has not named before", "")
	case len(x.ibans) > 0 && x.ask.payment != "":
		p.add("partner-payment-talk", 25, true, "it speaks of a change of where money goes (“"+x.ask.payment+"”) and names an account", "")
	case x.ask.payment != "":
		p.add("partner-payment-talk", 12, true, "it speaks of where money goes (“"+x.ask.payment+"”)", "")
	}
}

func (p *partnerScore) namesNewAccount() bool {
	for _, n := range p.x.ibans {
		if !p.h.IBANs.has(n) {
			return true
		}
	}
	return false
}

func (p *partnerScore) talk() {
	x := p.x
	if c := x.ask.code; c != "" {
		p.addClass("partner-approval", "approval", 15, true, "it asks for an approval or a one-time code (“"+c+"”)", "")
	}
	if c := x.ask.handOver; c != "" {
		p.addClass("partner-code-handover", "approval", 40, true, "it asks to hand over a code (“"+c+"”)", "")
	}
	if c := x.ask.push; c != "" {
		p.addClass("partner-push-approval", "approval", 30, true, "it asks to approve a request that comes to a telephone (“"+c+"”)", "")
	}
	if c := x.ask.giftCard; c != "" {
		p.add("partner-gift-card", 42, true, "it asks to buy gift cards (“"+c+"”)", "")
	}
	if c := x.ask.secrecy; c != "" {
		p.add("partner-secrecy", 10, true, "it asks for secrecy, a favour or no calls (“"+c+"”)", "")
	}
	p.callback()
	if r := domainOf(x.e.Mail.ReplyTo); r != "" && p.d.names.owner(r) != x.from && !p.h.Replies.has(r) {
		points := 30
		if p.new != nil && siteOf(r) == p.new.site {
			points = 8 // the same new place as the link, said once already
		}
		p.add("partner-reply-elsewhere", points, true, "answers go to "+x.e.Mail.ReplyTo+", where "+p.who+" has not sent answers before", apexOf(r))
	}
	if x.ask.command != "" {
		p.add("partner-command", 20, true, "it gives a command to run", "")
	}
	pictured := x.e.Fields.Value("body.images") != "" || len(x.e.Mail.Attachments) > 0
	if x.ask.scan != "" && pictured && (strings.Contains(x.text, "code") || strings.Contains(x.text, "qr")) {
		p.add("partner-scan-code", 25, true, "it asks to scan a code in a picture or file, so that the link is seen by no filter", "")
		if w := x.ask.signIn; w != "" {
			p.add("partner-scan-sign-in", 20, true, "the code leads to a sign-in (“"+w+"”)", "")
		}
	}
}

// callback: a number that is new, and a reason to be frightened (call-back phishing).
func (p *partnerScore) callback() {
	x := p.x
	c := x.ask.callback
	if c == "" {
		return
	}
	for _, n := range x.phones {
		if p.h.Phones.has(n) {
			continue
		}
		p.add("partner-callback", 20, true, "it asks to call a number that "+p.who+" has not given before (“"+c+"”)", "")
		if w := x.ask.scare; w != "" {
			p.add("partner-callback-scare", 20, true, "the number comes with a charge or an incident (“"+w+"”)", "")
		}
		if w := x.ask.urgency; w != "" {
			p.addClass("partner-urgency", "urgency", 9, true, "the number comes with pressure of time (“"+w+"”)", "")
		}
		return
	}
}

func (p *partnerScore) files() {
	w := p.h.Senders[p.x.e.Mail.From]
	for i := range p.x.e.Mail.Attachments {
		a := &p.x.e.Mail.Attachments[i]
		ext := extension(a.Name)
		if w != nil && w.Count >= 3 && (ext == "html" || ext == "htm" || ext == "svg" || ext == "zip") && !w.Files.has(ext) {
			p.addClass("partner-file-kind", "kind", 8, true, "it carries a kind of file that "+p.x.e.Mail.From+" has not sent before: "+a.Name, "")
		}
		if ext == "" || p.h.Files.has(ext) {
			continue
		}
		switch ext {
		case "html", "htm", "shtml", "svg", "zip", "rar", "7z", "iso", "img", "lnk", "exe", "msi", "js", "vbs", "docm", "xlsm", "one", "eml", "ics", "vhd", "hta":
			p.addClass("partner-file-kind", "kind", 12, true, "it carries a kind of file that "+p.who+" has not sent before: "+a.Name, "")
		}
	}
}

// habits: what differs from the sender's own way. Each is honest most days (travel, a new telephone), so none makes
// a finding alone.
func (p *partnerScore) habits() {
	x, m := p.x, p.x.e.Mail
	w := p.h.Senders[m.From]
	switch {
	case w == nil:
		p.context("partner-first-mail", 8, "the first mail of "+m.From)
	case w.Count >= 3:
		if x.mailer != "" && len(w.Mailers) > 0 && !w.Mailers.has(x.mailer) {
			p.context("partner-new-program", 8, "written with "+x.mailer+", which "+m.From+" has not used before")
		}
		if x.net != "" && !w.Nets.has(x.net) {
			p.context("partner-new-network", 8, "sent from "+x.net+", where "+m.From+" has not written before")
		}
	}
	for i, to := range m.To {
		if i == 50 {
			break
		}
		if o := p.d.names.owner(domainOf(to)); o != nil && o.tenant == x.e.Tenant && !p.h.Pairs.has(m.From+" "+to) {
			p.context("partner-new-pair", 6, m.From+" has not written to "+to+" before")
			break
		}
	}
	if x.undisclosed && !p.h.Hidden.has(m.From) {
		p.context("partner-hidden-recipients", 8, "recipients are hidden, which is not "+m.From+"'s habit")
	}
	low := strings.ToLower(m.Subject)
	if (strings.HasPrefix(low, "re:") || strings.HasPrefix(low, "aw:")) && m.InReplyTo == "" && x.e.Fields.Value("header.references") == "" {
		p.context("partner-false-reply", 8, "it pretends to answer, and names no earlier mail")
	}
}
