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

func (p *partnerScore) add(points int, novel bool, text string, apex string) {
	if novel && !p.warm {
		return
	}
	p.v.add(reason{kind: kindPartner, points: points, targeted: true, novel: novel, text: text, apex: apex})
}

// context adds weight without making a finding by itself.
func (p *partnerScore) context(points int, text string) {
	if p.warm {
		p.v.add(reason{points: points, novel: true, text: text})
	}
}

func (p *partnerScore) linksAndAsks() {
	x := p.x
	for i := range x.links {
		l := &x.links[i]
		if tool := remoteTool(l); tool != "" && !l.declared {
			p.add(30, false, fmt.Sprintf("%s's mail hands out a remote-support program (%s) from %s, which no trust declares", p.who, tool, l.host), l.host)
		}
		if l.declared || p.h.Sites.has(l.site) {
			continue
		}
		if p.s.recentlyFlagged(l.apex, x.e.Time) {
			p.add(40, false, "a link to "+l.host+", which an earlier finding named", l.apex)
			p.new = l
			continue
		}
		if known, how := p.twin(l.apex); known != "" {
			p.add(45, true, fmt.Sprintf("a link to %s, which resembles %s that %s's mail has linked before: %s", l.apex, known, p.who, how), l.apex)
		}
		if commonSites[l.apex] || common(p.s.Sites, l.site, x.e.Time) {
			continue
		}
		if p.new == nil {
			p.new = l
			p.add(25, true, fmt.Sprintf("a link to %s, where no mail of %s has led before", l.site, p.who), l.apex)
		}
	}
	if p.new == nil {
		return
	}
	if c := x.ask.credential; c != "" {
		p.v.form = true
		p.add(12, true, "a new link and a request to sign in or confirm (“"+c+"”)", p.new.apex)
	}
	if u := x.ask.urgency; u != "" {
		p.add(8, true, "a new link and pressure of time (“"+u+"”)", p.new.apex)
	}
	if p.namesReader(p.new) {
		p.add(12, true, "the new link "+p.new.host+" carries the reader's or the tenant's name", p.new.apex)
	}
}

// twin returns a site of the partner's habit that the apex resembles without being it.
func (p *partnerScore) twin(apex string) (string, string) {
	best, how := "", ""
	name, tld := splitApex(apex)
	if len(name) < 6 || p.h.Sites.has(apex) {
		return "", ""
	}
	skel := skeleton(name)
	for site := range p.h.Sites {
		if site == apex || strings.Count(site, ".") == 0 {
			continue
		}
		own, ownTLD := splitApex(site)
		if len(own) < 6 || own == name && commonSites[site] {
			continue
		}
		if l, ok := compare(name, skel, tld, own, ownTLD); ok && (l.strong || own == name) && (best == "" || site < best) {
			best, how = site, l.how
		}
	}
	return best, how
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
	for _, n := range x.ibans {
		if !p.h.IBANs.has(n) {
			newIBAN = n
		}
	}
	switch {
	case newIBAN != "" && x.ask.payment != "":
		p.add(45, true, fmt.Sprintf("it changes where money goes (“%s”) to an account that %s has not named before", x.ask.payment, p.who), "")
	case newIBAN != "":
		p.add(18, true, "it names a bank account that "+p.who+" has not named before", "")
	case x.ask.payment != "":
		p.add(15, true, "it speaks of a change of where money goes (“"+x.ask.payment+"”)", "")
	}
}

func (p *partnerScore) talk() {
	x := p.x
	if c := x.ask.code; c != "" {
		p.add(20, true, "it asks for an approval or a one-time code (“"+c+"”)", "")
	}
	if c := x.ask.secrecy; c != "" {
		p.add(12, true, "it asks for secrecy, a favour or no calls (“"+c+"”)", "")
	}
	if c := x.ask.callback; c != "" {
		for _, n := range x.phones {
			if !p.h.Phones.has(n) {
				p.add(20, true, "it asks to call a number that "+p.who+" has not given before (“"+c+"”)", "")
				break
			}
		}
	}
	if r := domainOf(x.e.Mail.ReplyTo); r != "" && p.d.names.owner(r) != x.from && !p.h.Replies.has(r) {
		p.add(30, true, "answers go to "+x.e.Mail.ReplyTo+", where "+p.who+" has not sent answers before", apexOf(r))
	}
	if firstPhrase(x.text, []string{"powershell", "iex ", "irm ", "mshta", "cmd.exe", "win+r", "windows+r", "curl "}) != "" {
		p.add(20, true, "it gives a command to run", "")
	}
	if strings.Contains(x.text, "qr") && x.e.Fields.Value("body.images") != "" && firstPhrase(x.text, []string{"scan", "scannen", "scannez"}) != "" {
		p.add(18, true, "it asks to scan a code in a picture", "")
	}
}

func (p *partnerScore) files() {
	for i := range p.x.e.Mail.Attachments {
		a := &p.x.e.Mail.Attachments[i]
		ext := extension(a.Name)
		if ext == "" || p.h.Files.has(ext) {
			continue
		}
		switch ext {
		case "html", "htm", "shtml", "svg", "zip", "rar", "7z", "iso", "img", "lnk", "exe", "msi", "js", "vbs", "docm", "xlsm", "one", "eml", "ics", "vhd", "hta":
			p.add(12, true, "it carries a kind of file that "+p.who+" has not sent before: "+a.Name, "")
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
		p.context(8, "the first mail of "+m.From)
	case w.Count >= 3:
		if x.mailer != "" && len(w.Mailers) > 0 && !w.Mailers.has(x.mailer) {
			p.context(8, "written with "+x.mailer+", which "+m.From+" has not used before")
		}
		if x.net != "" && !w.Nets.has(x.net) {
			p.context(8, "sent from "+x.net+", where "+m.From+" has not written before")
		}
	}
	for i, to := range m.To {
		if i == 50 {
			break
		}
		if o := p.d.names.owner(domainOf(to)); o != nil && o.tenant == x.e.Tenant && !p.h.Pairs.has(m.From+" "+to) {
			p.context(6, m.From+" has not written to "+to+" before")
			break
		}
	}
	if x.undisclosed && !p.h.Hidden.has(m.From) {
		p.context(8, "recipients are hidden, which is not "+m.From+"'s habit")
	}
	low := strings.ToLower(m.Subject)
	if (strings.HasPrefix(low, "re:") || strings.HasPrefix(low, "aw:")) && m.InReplyTo == "" && x.e.Fields.Value("header.references") == "" {
		p.context(8, "it pretends to answer, and names no earlier mail")
	}
}
