package phish

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// contentReasons are what anybody's phishing shows, whoever it is sent to. They make the probability and no points:
// findings of a scan stay with what uses the names or the mail of declared organisations, and a mailbox's daily
// spam is not told there.
func (d *Detector) contentReasons(v *verdict, x *message, s *mailState) {
	if x.report() {
		return // a bounce repeats what somebody else wrote
	}
	c := &content{d: d, v: v, x: x, s: s, m: x.e.Mail, f: x.e.Fields}
	c.links()
	c.sender()
	c.subject()
	if !x.bounce() {
		c.stories()
	}
	c.body()
	c.files()
}

// report says whether the message is a delivery report (RFC 3464).
func (x *message) report() bool {
	return strings.HasPrefix(strings.ToLower(x.e.Fields.Value("header.content-type")), "multipart/report")
}

// bounce says whether the message says that another could not be delivered, in whatever form: its words are the
// mail system's and those of the mail returned.
func (x *message) bounce() bool {
	local, _, _ := strings.Cut(x.e.Mail.From, "@")
	switch local {
	case "mailer-daemon", "postmaster", "mail-daemon", "mdaemon":
		return true
	}
	shown := strings.ToLower(x.e.Mail.FromName)
	return x.report() || x.e.Mail.From == "" && (strings.Contains(shown, "mail delivery") || strings.Contains(shown, "mailer-daemon") || strings.Contains(shown, "postmaster"))
}

type content struct {
	d       *Detector
	v       *verdict
	x       *message
	s       *mailState
	m       *ocsf.Mail
	f       ocsf.Fields
	foreign *link // the first link to a place that neither the sender nor the tenant's mail knows
	sites   int   // different sites linked
}

// sameAs names the class that a reason shares with one of score.go: they see the same thing, which counts once.
var sameAs = map[string]string{"image-only": "picture", "text-hidden": "hidden"}

func (c *content) say(name string, share float64, text string) {
	if c.m.Bulk {
		share /= 2
	}
	class := name
	if other := sameAs[name]; other != "" {
		class = other
	}
	c.v.add(reason{name: name, class: class, weight: prior(name) * share, text: text})
}

// sender: an address made by a program, on a free host, or of the wrong kind for the name it bears.
func (c *content) sender() {
	x, m := c.x, c.m
	if x.from != nil {
		return
	}
	local, _, _ := strings.Cut(m.From, "@")
	name, tld := splitApex(apexOf(x.fromDomain))
	low := strings.ToLower(m.FromName)
	switch {
	case m.From == "" && !x.bounce():
		c.say("from-none", 1, "it names no sender")
	case m.From == "": // a bounce
	case onFreeHost(x.fromDomain) && !within(x.fromDomain, "amazonaws.com"): // whose notices come from there
		c.say("from-free-host", 1, "its sender's address lies on a free host: "+x.fromDomain)
	case randomLabel(name):
		c.say("from-random", 1, "the sender's domain looks made by a program: "+x.fromDomain)
	case digits(name) >= 2 && len(name) > 4:
		c.say("from-digits", 1, "the sender's domain holds digits: "+x.fromDomain)
	}
	if randomLabel(local) {
		c.say("from-random-name", 1, "the sender's address looks made by a program: "+m.From)
	}
	if abusedTLD[lastLabel(tld)] {
		c.say("from-odd-tld", 1, "the sender's top-level domain ."+tld+" is one that abuse prefers")
	}
	if strings.Count(x.fromDomain, ".") >= 3 && len(x.fromDomain) > 30 {
		c.say("from-deep", 1, "the sender's domain is long and deep: "+x.fromDomain)
	}
	if b := brandInHost(x.fromDomain); b != nil {
		c.say("from-brand-host", 1, "the sender's domain "+x.fromDomain+" carries the name of "+b.name)
	} else if b := brandIn(wordMarks.Replace(local)); b != nil && len(b.name) >= 4 {
		if own, holds := b.owns(x.fromDomain); !own && !holds && !freemail[x.fromDomain] {
			c.say("from-brand-local", 1, "the sender's address "+m.From+" carries the name of "+b.name)
		}
	}
	c.displayed(low)
	if freemail[x.fromDomain] && (companyName(low) || companyName(local)) {
		c.say("from-personal-mailbox", 1, "it speaks for an office and comes from a personal mailbox, "+m.From)
	}
	if len(m.To) > 0 && m.From == m.To[0] {
		c.say("from-self", 1, "it says it is from its own recipient")
	}
	c.identity()
}

// wordMarks divide the words of a local part.
var wordMarks = strings.NewReplacer(".", " ", "-", " ", "_", " ")

// displayed: what the display name shows.
func (c *content) displayed(low string) {
	m := c.m
	if i := strings.IndexByte(low, '@'); i > 0 && i < len(low)-3 && strings.IndexByte(low[i:], '.') > 0 && !strings.Contains(low, m.From) {
		if shown := strings.Trim(wordAround(low, i), `<>"'()[],;:`); siteOf(domainOf(shown)) != c.x.fromSite {
			c.say("from-shows-address", 1, "its display name shows another address, "+shown)
		}
	}
	if disguised(m.FromName) {
		c.say("from-disguised-letters", 1, "its display name mixes alphabets or holds letters nobody sees")
	} else if hasEmoji(m.FromName) {
		c.say("from-emoji", 1, "its display name holds a pictogram")
	}
	for i, to := range m.To {
		local, dom, _ := strings.Cut(to, "@")
		if i == 3 || len(local) < 4 {
			break
		}
		if own, _ := splitApex(apexOf(dom)); len(own) >= 5 && c.x.fromSite != siteOf(dom) && strings.Contains(low, own) {
			c.say("from-shows-recipient", 1, "its display name shows the recipient's own organisation, "+own)
			break
		}
	}
}

// identity: the Message-ID that the sender's system gave, and the time it says it was sent.
func (c *content) identity() {
	m, x := c.m, c.x
	_, dom, ok := strings.Cut(m.MessageID, "@")
	dom = strings.ToLower(strings.Trim(dom, "[]"))
	switch {
	case m.MessageID == "":
		c.say("id-none", 1, "it has no Message-ID")
	case !ok || strings.IndexByte(dom, '.') < 0:
		c.say("id-odd", 1, "its Message-ID names no host: "+clipText(m.MessageID, 60))
	case x.fromSite != "" && siteOf(dom) != x.fromSite && !freemail[dom] && !platformID(dom):
		c.say("id-foreign", 1, "its Message-ID was given by "+siteOf(dom)+", not by the sender's system")
	}
	if sent, err := time.Parse(time.RFC3339, c.f.Value("date.sent")); err == nil && !x.e.Time.IsZero() {
		if off := sent.Sub(x.e.Time); off > 24*time.Hour || off < -7*24*time.Hour {
			c.say("date-off", 1, "its Date lies "+(off.Abs()/(24*time.Hour)*24).String()+" from its receipt")
		}
	}
}

// platformID are hosts of mail programs and services that give Message-IDs for everybody's domains.
func platformID(dom string) bool {
	for _, p := range [...]string{"outlook.com", "google.com", "gmail.com", "amazonses.com", "sendgrid.net", "mailgun.net", "mailgun.org", "mcsv.net", "mandrillapp.com", "exacttarget.com", "sparkpostmail.com",
		"salesforce.com", "hubspot.com", "mailjet.com", "sendinblue.com", "brevo.com", "yahoo.com", "icloud.com", "apple.com", "mktomail.com", "postmarkapp.com", "mtasv.net", "zendesk.com", "protonmail.com", "javamail", "local", "localdomain", "lan", "internal"} {
		if within(dom, p) {
			return true
		}
	}
	return false
}

// subject: its shape. Emoji, capitals and codes are everyday in advertising, so each weighs little.
func (c *content) subject() {
	m := c.m
	subj := m.Subject
	low := strings.ToLower(subj)
	if disguised(subj) {
		c.say("subject-disguised-letters", 1, "its subject mixes alphabets or holds letters nobody sees")
	}
	if hasEmoji(subj) {
		c.say("subject-emoji", 1, "its subject holds a pictogram")
	}
	if l, u := letters(subj); l > 12 && u*2 > l {
		c.say("subject-capitals", 1, "its subject shouts")
	}
	if strings.Contains(subj, "!!") || strings.Contains(subj, "!") && len(subj) > 8 {
		c.say("subject-exclaims", 1, "its subject exclaims")
	}
	for i, to := range m.To {
		local, dom, _ := strings.Cut(to, "@")
		if i == 3 {
			break
		}
		if strings.Contains(low, to) || len(dom) > 5 && strings.Contains(low, dom) || len(local) >= 5 && containsWords(foldName(low), foldName(local)) {
			c.say("subject-recipient", 1, "its subject carries the recipient's address")
			break
		}
	}
	if r := c.f.Value("header.references"); isReply(low) && m.InReplyTo == "" && r == "" {
		c.say("subject-false-reply", 1, "it pretends to answer, and names no earlier mail")
	}
	if n := strings.Count(low, "#"); n > 0 && digits(low) >= 4 || longCode(low) {
		c.say("subject-code", 1, "its subject carries a case number")
	}
	if m.FromName == "" || strings.EqualFold(m.FromName, m.From) {
		if b := brandIn(low); b != nil {
			if own, holds := b.owns(c.x.fromDomain); !own && !holds && !isReply(low) {
				c.say("subject-brand", 1, "its subject names "+b.name+", and its sender is nameless at "+c.x.fromDomain)
			}
		}
	}
}

func isReply(low string) bool {
	for _, p := range [...]string{"re:", "aw:", "sv:", "antw:", "rv:", "res:", "tr:", "fw:", "fwd:", "wg:"} {
		if strings.HasPrefix(low, p) {
			return true
		}
	}
	return false
}

// stories: the lures that the text tells, and to whom. A story without any way to answer it weighs less.
func (c *content) stories() {
	x := c.x
	answered := c.m.InReplyTo != "" && c.f.Value("header.references") != ""
	way := c.foreign != nil || len(c.m.Attachments) > 0 || x.e.Fields.Value("body.form") != ""
	personal := x.ask.credential != ""
	for i := range lures {
		l := &lures[i]
		hits := x.found.hits[lists+i]
		if hits == 0 {
			continue
		}
		share := [...]float64{0, 0.5, 0.9, 1.1, 1.2, 1.3}[min(int(hits), 5)]
		switch {
		case l.alone && hits < 2: // one phrase of these stands in any text
			continue
		case !l.alone && !way:
			share *= 0.3
		}
		if answered {
			share *= 0.4 // a thread that speaks of such things speaks of its own matters more often
		}
		personal = personal || l.personal
		c.say(l.name, share*x.lengthShare(), fmt.Sprintf("it tells a story that scams tell (“%s”%s)", x.found.first[lists+i], more(int(hits)-1)))
	}
	if g := x.found.first[listGreeting]; g != "" && !answered {
		c.say("greeting-nobody", 1, "it greets nobody by name (“"+g+"”)")
	} else if len(c.m.To) > 0 && !answered {
		if local, _, _ := strings.Cut(c.m.To[0], "@"); len(local) >= 3 {
			for _, g := range [...]string{"dear ", "hello ", "hi ", "hallo ", "bonjour ", "hola ", "olá ", "ciao ", "liebe/r ", "guten tag ", "attention "} {
				if i := strings.Index(x.text, g+local); i >= 0 && i < 400 {
					c.say("greeting-mailbox", 1, "it greets the mailbox instead of a person")
					break
				}
			}
		}
	}
	if h := x.found.hits[listRun]; h >= 2 || h == 1 && x.ask.command != "" {
		c.say("text-run-command", 1, "it says how to paste and run a command (“"+x.found.first[listRun]+"”)")
	}
	if money(x.text) && !answered {
		c.say("text-money", 1, "it speaks of a sum of money")
	}
	if b := brandIn(clipBytes(x.text, 600)); b != nil && !answered && c.foreign != nil && personal && len(x.text) < 3000 && !x.linksSender() {
		if own, holds := b.owns(x.fromDomain); !own && !holds {
			if mine, _ := b.owns(c.foreign.host); !mine {
				c.say("text-brand", 1, "it speaks of "+b.name+" and leads to "+c.foreign.site)
			}
		}
	}
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return " and " + strconv.Itoa(n) + " more"
}

// body: how it is made.
func (c *content) body() {
	m, x := c.m, c.x
	kind := strings.ToLower(c.f.Value("header.content-type"))
	links := len(x.links)
	short := len(m.Text) < 300
	if strings.HasPrefix(kind, "text/html") {
		c.say("html-only", 1, "it is HTML without a plain part")
		if strings.EqualFold(strings.TrimSpace(c.f.Value("header.content-transfer-encoding")), "base64") && ascii(m.Text) {
			c.say("base64-without-need", 1, "its text is encoded as if it were a file")
		}
	}
	images, _ := strconv.Atoi(c.f.Value("body.images"))
	if images > 0 && len(m.Text) < 200 && c.foreign != nil && m.InReplyTo == "" {
		c.say("image-only", 1, "it shows pictures and hardly any text, with a link to "+c.foreign.site)
	}
	if c.f.Value("body.dataimage") != "" {
		c.say("image-inside-link", 1, "it carries a picture inside its HTML")
	}
	if c.f.Value("body.form") != "" || c.f.Value("body.input") != "" {
		c.say("form-in-body", 1, "it holds a form to fill in")
	}
	if n, _ := strconv.Atoi(c.f.Value("body.hidden")); n > 250 { // newsletters hide a line of preview
		c.say("text-hidden", 1, "it holds "+strconv.Itoa(n)+" bytes of text nobody sees")
	}
	if short && c.foreign != nil && c.sites <= 2 && links <= 4 && m.InReplyTo == "" {
		c.say("short-with-link", 1, "it is short and leads to "+c.foreign.site)
	}
	c.written()
	if disguised(clipBytes(m.Text, 4000)) || atoi(c.f.Value("body.mixed")) > 1 {
		c.say("text-disguised-letters", 1, "its text mixes alphabets within words")
	}
}

// written: how text and links are written so that a filter reads something else than a person.
func (c *content) written() {
	f := c.f
	if n := atoi(f.Value("body.split")); n > 2 {
		c.say("text-cut", 1, "invisible characters cut "+strconv.Itoa(n)+" of its words")
	}
	if n := atoi(f.Value("body.bidi")); n > 0 && !rightToLeft(c.m.Text) {
		c.say("text-turned", 1, "signs turn the direction of its writing")
	}
	if n := atoi(f.Value("body.fancy")); n > 8 {
		c.say("text-fancy", 1, strconv.Itoa(n)+" of its letters are mathematical or circled signs")
	}
	if v := f.Value("body.charset"); v != "" {
		share := 1.0
		if !strings.EqualFold(v, "utf-7") {
			share = 0.5
		}
		c.say("text-unusual-charset", share, "its character set "+v+" hides text from filters")
	}
	if f.Value("body.input") == "password" {
		c.say("body-asks-password", 1, "it has a field for a password")
	}
	if h := f.Value("body.refresh"); h != "" {
		c.say("body-moves-on", 1, "it moves on to "+h+" by itself")
	}
	if f.Value("body.script") != "" {
		c.say("body-script", 1, "it holds a script")
	}
	if c.f.Value("body.textqr") != "" {
		c.say("link-drawn-code", 1, "a code is drawn with characters instead of a picture")
	}
	if n := f.Value("qr.unread"); n != "" && len(c.m.Text) < 600 {
		c.say("link-qr-unread", 1, "a picture has the corners of a code that cannot be read: "+clipText(n, 80))
	}
	for _, w := range [...]struct {
		word  string
		share float64
	}{{"backslash", 1}, {"mixed", 1}, {"encoded", 0.8}, {"wide", 0.8}, {"numeric", 0.8}, {"hxxp", 0.2}, {"control", 0.2}, {"dot", 0.2}} { // old newsletters break long links into lines
		if containsField(f.Value("links.odd"), w.word) {
			c.say("link-disguised", w.share, "a link is written so that it hides where it leads ("+w.word+")")
			break
		}
	}
}

// containsField reports whether a list joined by commas has the word.
func containsField(list, word string) bool {
	for list != "" {
		var one string
		if one, list, _ = strings.Cut(list, ","); strings.TrimSpace(one) == word {
			return true
		}
	}
	return false
}

// rightToLeft reports whether a text has letters of an alphabet that is written from the right, where signs of
// direction are no disguise.
func rightToLeft(s string) bool {
	for _, r := range clipBytes(s, 4000) {
		if unicode.Is(unicode.Hebrew, r) || unicode.Is(unicode.Arabic, r) {
			return true
		}
	}
	return false
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// files: kinds of attachments beyond those that run.
func (c *content) files() {
	c.documents()
	for i := range c.m.Attachments {
		a := &c.m.Attachments[i]
		switch ext := extension(a.Name); {
		case ext == "pdf" && len(c.m.Text) < 300 && c.m.InReplyTo == "":
			c.say("file-pdf-alone", 1, "it says little and carries "+a.Name)
		case ext == "ics" && c.foreign != nil:
			c.say("file-calendar", 1, "it carries an invitation with a link to "+c.foreign.site)
		}
	}
	for i := range c.m.Links {
		switch c.m.Links[i].From {
		case "calendar":
			if c.f.Value("calendar.foreign") != "" && c.foreign != nil {
				c.say("link-calendar-foreign", 1, "an invitation of "+clipText(c.f.Value("calendar.organizer"), 80)+" leads to "+c.m.Links[i].Host)
			}
		case "qr":
			c.say("link-qr", 1, "a picture holds a code that leads to "+c.m.Links[i].Host)
		case "pdf":
			c.say("link-pdf", 1, "an attached PDF leads to "+c.m.Links[i].Host)
		}
	}
}

// documents: what attached documents ask for, where they lead somewhere or give a number.
func (c *content) documents() {
	x := c.x
	if x.fileText == "" {
		return
	}
	ask := asksOf(x.fileText)
	switch {
	case c.foreign != nil && (ask.credential != "" || ask.scan != ""):
		c.say("file-asks", 1, "an attached document asks for a sign-in (“"+firstName(ask.credential, ask.scan)+"”) and leads to "+c.foreign.site)
	case ask.callback != "" && ask.scare != "" && len(phonesIn(x.fileText)) > 0:
		c.say("file-asks", 0.9, "an attached document speaks of a charge (“"+ask.scare+"”) and gives a number to call")
	}
}

// sum reports whether a text names a sum of money by the currency's name.
func sum(text string) bool {
	for _, w := range [...]string{"eur ", "usd ", "gbp ", "chf ", " euro", " dollar", " pounds", " franken", " francs", " €", " eur"} {
		for rest := text; ; {
			i := strings.Index(rest, w)
			if i < 0 {
				break
			}
			if i > 0 && isDigit(rest[i-1]) || i+len(w) < len(rest) && isDigit(rest[i+len(w)]) {
				return true
			}
			rest = rest[i+len(w):]
		}
	}
	return false
}

func clipBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func wordAround(s string, i int) string {
	from := strings.LastIndexAny(s[:i], " \t<\"(") + 1
	if end := strings.IndexAny(s[i:], " \t>\")"); end >= 0 {
		return s[from : i+end]
	}
	return s[from:]
}

// companyName reports whether a name is that of an office and not of a person.
func companyName(low string) bool {
	for _, w := range strings.FieldsFunc(low, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if officeWords[w] {
			return true
		}
	}
	return false
}

var officeWords = set("support", "service", "services", "team", "billing", "account", "accounts", "department", "dept", "admin", "administrator", "security", "helpdesk", "customer", "bank", "office", "hr", "payroll",
	"invoice", "delivery", "notification", "notifications", "alert", "alerts", "noreply", "info", "winner", "claims", "lottery", "foundation", "compensation", "kundenservice", "kundendienst", "rechnung", "paket", "client", "facture", "livraison",
	"soporte", "cliente", "clientes", "banco", "assistenza", "servizio", "suporte", "atendimento", "klantenservice", "government", "ministry", "fbi", "irs", "customs", "express", "ltd", "inc", "gmbh", "corporation")
