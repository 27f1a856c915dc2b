package phish

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// link is one link of a message with what it leads to once rewriting is undone.
type link struct {
	raw, host  string // the target
	site, apex string
	text       string
	declared   bool // within something declared
	rewritten  bool
	attached   bool // seen only inside an attached file
	coded      bool // or in the code of a picture
}

// message is one mail with what its reasons are drawn from.
type message struct {
	e           *ocsf.Event
	from        *org // the declared organisation of the From domain, or nil
	own         bool // which is the receiving tenant itself
	trust       *tenant.Trust
	fromDomain  string
	fromSite    string
	authentic   bool // the From domain is proven by DMARC, or by an aligned SPF or DKIM pass
	links       []link
	text        string // new text with the subject, lower case
	fileText    string // what attached documents say, lower case
	ask         ask
	found       *found
	undisclosed bool
	mailer, net string
	ibans       []string
	phones      []string
}

// maxLinks is how many links of one message are scored.
const maxLinks = 200

// read draws from a mail event what the reasons need.
func (d *Detector) read(e *ocsf.Event) *message {
	m := e.Mail
	x := &message{e: e, fromDomain: domainOf(m.From)}
	x.from = d.names.owner(x.fromDomain)
	if x.fromDomain != "" {
		x.fromSite = siteOf(x.fromDomain)
	}
	x.own = x.from != nil && x.from.tenant == e.Tenant && e.Tenant != ""
	x.authentic = authentic(m, x.fromDomain)
	if x.from != nil && !x.own {
		x.trust = d.trustOf(e, x.from, x.fromDomain)
	}
	inFiles := len(m.Links)
	if n, err := strconv.Atoi(e.Fields.Value("links.body")); err == nil {
		inFiles = n
	}
	for i := range m.Links {
		if i == maxLinks {
			break
		}
		raw, host, rewritten := unwrap(m.Links[i].URL, m.Links[i].Host)
		if host == "" {
			continue
		}
		x.links = append(x.links, link{raw: raw, host: host, site: siteOf(host), apex: apexOf(host), text: m.Links[i].Text,
			declared: d.names.declared(host), rewritten: rewritten,
			attached: i >= inFiles, coded: m.Links[i].From == "qr"})
	}
	x.text = newText(m.Subject, m.Text)
	x.ask, x.found = asksAndLures(x.text)
	x.fileText = strings.ToLower(e.Fields.Value("attachment.text"))
	x.ibans, x.phones = ibansIn(x.text), phonesIn(x.text)
	if x.fileText != "" {
		x.ibans = append(x.ibans, ibansIn(x.fileText)...)
		x.phones = append(x.phones, phonesIn(x.fileText)...)
	}
	x.mailer = program(e.Fields.Value("header.x-mailer") + e.Fields.Value("header.user-agent"))
	x.net = network(e.Fields.Value("origin.ip"), m.SendingIP)
	x.undisclosed = d.undisclosed(e)
	return x
}

// authentic reports whether the From domain is proven. Where the border evaluated DMARC that decides; elsewhere an
// SPF or DKIM pass must be aligned with the From domain (RFC 7489 3.1, relaxed).
func authentic(m *ocsf.Mail, fromDomain string) bool {
	switch m.DMARC {
	case "pass":
		return true
	case "fail":
		return false
	}
	if fromDomain == "" {
		return false
	}
	apex := apexOf(fromDomain)
	return m.DKIM == "pass" && m.DKIMDomain != "" && apexOf(m.DKIMDomain) == apex ||
		m.SPF == "pass" && m.EnvelopeFrom != "" && apexOf(domainOf(m.EnvelopeFrom)) == apex
}

// trustOf returns the trust by which the organisation's mail comes to the tenant at that time, or nil.
func (d *Detector) trustOf(e *ocsf.Event, o *org, domain string) *tenant.Trust {
	if d.model == nil {
		return nil
	}
	var first *tenant.Trust
	for _, t := range d.model.TrustsInto(e.Tenant) {
		if t.Partner != o.partner || o.partner == "" || !t.ValidAt(e.Time) {
			continue
		}
		for _, m := range t.MailDomains {
			if within(domain, strings.ToLower(strings.TrimLeft(m, "@*."))) {
				return t
			}
		}
		if first == nil {
			first = t
		}
	}
	return first
}

// program returns the name of a mail program without its version.
func program(v string) string {
	v = strings.ToLower(strings.TrimSpace(v))
	if i := strings.IndexFunc(v, func(r rune) bool { return r >= '0' && r <= '9' || r == '(' || r == '/' }); i > 0 {
		v = v[:i]
	}
	if len(v) > 60 {
		v = v[:60]
	}
	return strings.TrimRight(v, " .-")
}

// network returns the block of the address a message was written at: /24 or /48, "private" inside a site.
func network(origin string, sending netip.Addr) string {
	ip := sending
	if origin != "" {
		if from, err := netip.ParseAddr(origin); err == nil {
			ip = from
		}
	}
	switch {
	case !ip.IsValid():
		return ""
	case ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast():
		return "private"
	}
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// undisclosed reports whether the message names none of the tenant's own addresses as recipients.
func (d *Detector) undisclosed(e *ocsf.Event) bool {
	to := strings.ToLower(e.Fields.Value("header.to") + " " + e.Fields.Value("header.cc"))
	if strings.TrimSpace(to) == "" || !strings.Contains(to, "@") {
		return true
	}
	t := d.names.byTenant(e.Tenant)
	if t == nil {
		return false
	}
	for _, dom := range t.domains {
		if strings.Contains(to, dom) {
			return false
		}
	}
	return len(t.domains) > 0 && len(to) < 1000
}

func (n *names) byTenant(id tenant.ID) *org {
	for _, o := range n.orgs {
		if o.tenant == id && id != "" {
			return o
		}
	}
	return nil
}

// rare reports whether a link leads somewhere that neither the declared world nor the tenant's mail knows.
func (x *message) rare(l *link, s *mailState) bool {
	return !l.declared && !commonSites[l.apex] && !common(s.Sites, l.site, x.e.Time)
}

// shownHost returns the host that a link's text shows, or "": an address with a scheme, or a bare name whose end is
// a real top-level domain and no file name.
func (d *Detector) shownHost(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(text) < 4 || len(text) > 200 || strings.ContainsAny(text, " @") || strings.IndexByte(text, '.') < 0 {
		return ""
	}
	schemed := strings.Contains(text, "://")
	if !schemed {
		text = "http://" + text
	}
	h := hostIn(text)
	if i := strings.LastIndexByte(h, '.'); i <= 0 || i == len(h)-1 || strings.ContainsAny(h, "…%&=\"'<>,;()[]") {
		return ""
	}
	withPath := strings.Contains(text[len("http://"):], "/")
	if !schemed && !withPath && !d.names.declared(h) && (fileLike[extension(h)] || !knownTLD(h)) {
		return ""
	}
	return h
}

var fileLike = set("zip", "md", "sh", "py", "pl", "rs", "mov", "app", "ps", "cc", "mk", "so", "pub", "bz", "info", "name", "rpm", "in", "do", "st", "la", "am", "it", "is")
