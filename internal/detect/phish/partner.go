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
	p.req = requestsIn(x.text)
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
	req  *requests
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
	switch {
	case l.attached && l.coded: // no text shows it, and no file either
		p.add("partner-link-in-file", 8, true, "the new link stands only in a picture's code", l.apex)
	case l.attached:
		p.add("partner-link-in-file", 15, true, "the new link stands only inside an attached file", l.apex)
	}
	req := p.req
	if l.attached && x.fileText != "" {
		req = requestsIn(x.fileText)
	}
	switch c := firstName(wants.credential, wants.signIn, "your account"); {
	case wants.credential != "" && !req.together(1, ideaOwn|ideaElse, 0), req.asksSignIn():
		p.v.form = true
		p.addClass("partner-sign-in", "sign-in", 25, true, "a new link and a request to sign in (“"+c+"”)", l.apex)
	case wants.signIn != "" && req.together(1, ideaLogin, ideaNot|ideaElse):
		p.v.form = true
		p.addClass("partner-sign-in", "sign-in", 15, true, "a new link and talk of signing in (“"+c+"”)", l.apex)
	}
	if wants.credential == "" && wants.signIn == "" {
		switch {
		case req.together(2, ideaFactor|ideaLogin, ideaNot):
			p.v.form = true
			p.addClass("partner-sign-in", "sign-in", 25, true, "a new link and a request to register a second factor", l.apex)
		case req.together(1, ideaOwn, ideaNot|ideaElse):
			p.addClass("partner-sign-in", "sign-in", 15, true, "a new link and talk of the reader's account", l.apex)
		}
	}
	if req.together(1, ideaNotice, 0) {
		p.add("partner-notice-elsewhere", 25, true, "it tells of a message or a mailbox, as machines do, and leads to a place that is new for "+p.who, l.apex)
	}
	if u := wants.urgency; u != "" {
		p.addClass("partner-urgency", "urgency", 9, true, "a new link and pressure of time (“"+u+"”)", l.apex)
	}
	switch {
	case carriesRecipient(l.raw, x.e.Mail):
		p.add("partner-names-reader", 20, true, "the new link "+l.host+" carries the reader's address", l.apex)
	case p.namesTenant(l):
		p.add("partner-names-reader", 8, true, "the new link "+l.host+" carries the tenant's name", l.apex)
	}
	low := strings.ToLower(l.raw)
	switch {
	case strings.Contains(low, "client_id=") && (strings.Contains(low, "oauth2") || strings.Contains(low, "scope=")), strings.Contains(low, "prompt=consent"), strings.Contains(low, "/consent") && req.any(ideaGrant):
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

// namesTenant reports whether a link holds the tenant's name.
func (p *partnerScore) namesTenant(l *link) bool {
	low := strings.ToLower(l.raw)
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
	talk := x.ask.payment
	inText, inFile := p.newAccount(x.text), p.newAccount(x.fileText)
	if talk == "" && inFile { // an invoice always names its account: only a new one matters
		talk = asksOf(x.fileText).payment
	}
	share := 1
	if p.req.any(ideaVerify) && !inText { // who wants the number compared by another way does not send a false one
		share = 2
	}
	switch {
	case (inText || inFile) && talk != "":
		p.add("partner-payment-change", 50/share, true, fmt.Sprintf("it changes where money goes (“%s”) to an account that %s has not named before", talk, p.who), "")
	case inText && p.req.any(ideaMoney|ideaReplace), inText && p.req.any(ideaMoney):
		p.add("partner-payment-change", 50, true, "it speaks of payments and names an account that "+p.who+" has not named before", "")
	case inFile && p.req.any(ideaReplace):
		p.add("partner-payment-change", 50/share, true, "it replaces an earlier document, and the new one names an account that "+p.who+" has not named before", "")
	case inText:
		p.add("partner-new-account", 35, true, "it names a bank account that "+p.who+" has not named before", "")
	case inFile:
		p.add("partner-new-account", 20/share, true, "an attached document names a bank account that "+p.who+" has not named before", "")
	case len(x.ibans) > 0 && talk != "" && !p.req.any(ideaVerify):
		p.add("partner-payment-talk", 12, true, "it speaks of where money goes (“"+talk+"”) and names an account", "")
	case talk != "":
		p.add("partner-payment-talk", 12/share, true, "it speaks of where money goes (“"+talk+"”)", "")
	}
}

// newAccount reports whether a text names a bank account that the partner has not named before.
func (p *partnerScore) newAccount(text string) bool {
	for _, n := range ibansIn(text) {
		if !p.h.usesAccount(n, p.x.e.Time) && !readersOwn(text, n) {
			return true
		}
	}
	return false
}

// readersOwn reports whether a text calls an account the reader's: a refund is no change of where money goes.
func readersOwn(text, iban string) bool {
	i := strings.Index(text, strings.ToLower(iban[:4]))
	if i < 0 {
		return false
	}
	before := text[max(0, i-40):i]
	for _, w := range [...]string{"your account", "your iban", "your bank", "ihr konto", "ihrem konto", "ihre iban", "votre compte", "votre iban", "su cuenta", "suo conto", "sua conta", "uw rekening"} {
		if strings.Contains(before, w) {
			return true
		}
	}
	return false
}

func (p *partnerScore) talk() {
	x := p.x
	if p.req.asksApproval() {
		p.add("partner-approval", 50, true, "it says that a request will come to the telephone, and asks to approve it", "")
	} else if c := x.ask.code; c != "" && !p.req.any(ideaNot) {
		p.add("partner-approval", 15, true, "it asks for an approval or a one-time code (“"+c+"”)", "")
	}
	if p.req.asksForCode() {
		p.add("partner-code-handover", 50, true, "it says that a code will come, and asks to hand it over", "")
	} else if c := x.ask.handOver; c != "" {
		p.add("partner-code-handover", 30, true, "it asks to hand over a code (“"+c+"”)", "")
	}
	if p.req.asksForCards() {
		p.add("partner-gift-cards", 50, true, "it asks to buy gift cards and to send their codes", "")
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
	if (x.ask.scan != "" || p.req.any(ideaScan)) && pictured && (strings.Contains(x.text, "code") || strings.Contains(x.text, "qr")) {
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
	charge := p.req.together(2, ideaCharge, 0) && (money(x.text) || sum(x.text))
	another := p.req.together(2, ideaCallNew|ideaCall, 0)
	switch {
	case c != "":
	case charge, another:
		c = "call"
	default:
		return
	}
	for _, n := range x.phones {
		if p.h.Phones.has(n) {
			continue
		}
		p.add("partner-callback", 20, true, "it asks to call a number that "+p.who+" has not given before (“"+c+"”)", "")
		switch w := x.ask.scare; {
		case charge:
			p.add("partner-callback-scare", 30, true, "the number comes with a sum that is debited", "")
		case another:
			p.add("partner-new-number", 25, true, "it says that the sender has a new number, and asks to call it", "")
		case w != "":
			p.add("partner-callback-scare", 20, true, "the number comes with a charge or an incident (“"+w+"”)", "")
		}
		if w := x.ask.urgency; w != "" {
			p.addClass("partner-urgency", "urgency", 9, true, "the number comes with pressure of time (“"+w+"”)", "")
		} else if another && p.req.any(ideaNow) {
			p.addClass("partner-urgency", "urgency", 9, true, "it wants the call at once, or nothing by mail", "")
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
