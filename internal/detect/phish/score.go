package phish

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func knownTLD(h string) bool {
	_, icann := publicsuffix.PublicSuffix(h)
	return icann
}

// score draws every reason from a message. It reads the learned state and changes nothing.
func (d *Detector) score(x *message, s *mailState) *verdict {
	v := &verdict{authentic: x.authentic && x.from != nil}
	d.borrowedNames(v, x, s)
	d.senderReasons(v, x, s)
	d.linkReasons(v, x, s)
	attachmentReasons(v, x)
	wordReasons(v, x, s)
	parseReasons(v, x)
	if x.authentic && x.from != nil {
		d.partnerReasons(v, x, s)
	}
	d.contentReasons(v, x, s)
	v.sum()
	return v
}

// borrowedNames: declared domains under a foreign apex, and domains made to look like declared ones.
func (d *Detector) borrowedNames(v *verdict, x *message, s *mailState) {
	near := d.names.near[x.e.Tenant]
	check := func(host, what string, under, alike int, known bool) {
		if host == "" || isIP(host) {
			return
		}
		if decl, apex, ok := d.names.underApex(host); ok {
			v.add(reason{name: "victim-domain-under-apex", class: "under", kind: kindUnderApex, points: under, targeted: true, apex: apex,
				text: fmt.Sprintf("%s %s carries %s as labels under %s, which nobody declared", what, host, decl, apex)})
			return
		}
		apex := apexOf(host)
		if d.names.declared(apex) || d.names.declared(host) || commonSites[apex] {
			return
		}
		l, ok := lookalike(apex, near)
		if !ok {
			return
		}
		kind := kindLookalike
		switch {
		case l.chance:
			kind, alike = kindContext, alike/5
		case !l.strong:
			alike /= 2
		}
		if known {
			alike = min(alike/3, 15)
		}
		v.add(reason{name: "lookalike-domain", class: "alike", kind: kind, points: alike, targeted: l.strong && !known, apex: apex,
			text: fmt.Sprintf("%s %s resembles %s: %s", what, apex, l.declared, l.how)})
	}
	m := x.e.Mail
	check(x.fromDomain, "the sender's domain", 80, 70, common(s.Domains, x.fromSite, x.e.Time))
	if r := domainOf(m.ReplyTo); r != x.fromDomain {
		check(r, "the reply address's domain", 70, 60, false)
	}
	for i := range x.links {
		l := &x.links[i]
		check(l.host, "a link to", 80, 60, common(s.Sites, l.site, x.e.Time))
	}
}

// senderReasons: who it says it is from, against who it can be from.
func (d *Detector) senderReasons(v *verdict, x *message, s *mailState) {
	m := x.e.Mail
	if x.from != nil && !x.authentic {
		switch {
		case m.DMARC == "fail":
			v.add(reason{name: "known-name-dmarc-fail", kind: kindSpoof, points: half(45, m.Bulk), targeted: true, text: "it says it is from " + m.From + ", and DMARC for that domain failed"})
		case (m.SPF == "fail" || m.SPF == "softfail") && m.DKIM != "pass":
			v.add(reason{name: "known-name-spf-fail", kind: kindSpoof, points: half(30, m.Bulk), targeted: true, text: "it says it is from " + m.From + ", and SPF says " + m.SPF + " without a signature"})
		}
	} else if m.DMARC == "fail" {
		v.add(reason{name: "dmarc-fail", points: half(15, m.Bulk), text: "DMARC failed for " + x.fromDomain})
	} else if m.SPF == "fail" || m.SPF == "softfail" {
		v.add(reason{name: "spf-fail", points: half(10, m.Bulk), text: "SPF says " + m.SPF})
	} else if m.SPF != "" && m.SPF != "pass" && m.DKIM != "pass" && m.DMARC != "pass" {
		v.add(reason{name: "unproven-sender", points: half(8, m.Bulk), text: "nothing proves that it is from " + x.fromDomain})
	}
	if x.from == nil {
		d.displayName(v, x, s)
	}
	if r := domainOf(m.ReplyTo); r != "" && !m.Bulk && siteOf(r) != x.fromSite && (x.from == nil || !x.authentic && d.names.owner(r) != x.from) {
		p := 8
		if freemail[r] && !freemail[x.fromDomain] {
			p = 15
		}
		v.add(reason{name: "reply-elsewhere", kind: kindCommodity, points: p, text: "answers go to " + m.ReplyTo + ", another organisation than the sender's"})
	}
	if b := brandIn(strings.ToLower(skeletonFold(m.FromName))); b != nil && !m.Bulk {
		switch own, holds := b.owns(x.fromDomain); {
		case own:
		case holds:
			v.add(reason{name: "brand-like-sender", weight: 1, text: "it shows the name of " + b.name + ", and comes from " + x.fromDomain + ", which only resembles its domain"})
		default:
			v.add(reason{name: "brand-name", kind: kindCommodity, points: 25, text: "it shows the name of " + b.name + ", and comes from " + x.fromDomain})
		}
	}
}

func half(p int, cond bool) int {
	if cond {
		return p / 3
	}
	return p
}

// displayName: the name people see is a declared organisation's or person's, the address is not.
func (d *Detector) displayName(v *verdict, x *message, s *mailState) {
	m := x.e.Mail
	shown := strings.ToLower(m.FromName)
	if i := strings.IndexByte(shown, '@'); i >= 0 {
		if f := strings.FieldsFunc(shown[i+1:], func(r rune) bool { return r == ' ' || r == '>' || r == ')' || r == ',' || r == '"' || r == ']' }); len(f) > 0 {
			if o := d.names.owner(f[0]); o != nil {
				v.add(reason{name: "display-known-address", class: "display", kind: kindSpoof, points: 45, targeted: true, text: fmt.Sprintf("the display name shows an address at %s, the sender is %s", f[0], m.From)})
			}
		}
	}
	known := common(s.Domains, x.fromSite, x.e.Time)
	name := foldName(m.FromName)
	if name == "" {
		return
	}
	if key, ok := s.People[name]; ok && !m.Bulk {
		v.add(reason{name: "display-known-person", class: "display", kind: kindSpoof, points: half(25, known), targeted: !known, text: fmt.Sprintf("the display name %q is known from %s, the sender is %s", m.FromName, d.names.nameOf(key), m.From)})
	}
	for _, o := range d.names.near[x.e.Tenant] {
		for _, n := range o.names {
			if (strings.Contains(n, " ") || len(n) >= 6) && containsWords(name, n) {
				v.add(reason{name: "display-known-organisation", class: "display", kind: kindSpoof, points: half(30, known || m.Bulk), targeted: !known && !m.Bulk,
					text: fmt.Sprintf("the display name %q names %s, the sender is %s", m.FromName, o.name, m.From)})
				return
			}
		}
	}
}

func containsWords(s, words string) bool { return strings.Contains(" "+s+" ", " "+words+" ") }

// nameOf returns the name of an organisation by its key.
func (n *names) nameOf(key string) string {
	for _, o := range n.orgs {
		if o.key == key {
			return o.name
		}
	}
	return key
}

// linkReasons: where links lead and what they show.
func (d *Detector) linkReasons(v *verdict, x *message, s *mailState) {
	m := x.e.Mail
	for i := range x.links {
		l := &x.links[i]
		if shown := d.shownHost(l.text); shown != "" && siteOf(shown) != l.site {
			d.mismatch(v, x, s, l, shown)
		}
		if l.declared {
			continue
		}
		if tool := remoteTool(l); tool != "" {
			v.add(reason{name: "remote-tool-link", class: "rmm", kind: kindCommodity, points: 45, apex: l.host, text: fmt.Sprintf("a link to %s loads a remote-support program (%s) that nobody declared", l.host, tool)})
		}
		if publicIP(l.host) {
			v.add(reason{name: "link-bare-address", class: "ip", kind: kindCommodity, points: 20, apex: l.host, text: "a link goes to the bare address " + l.host})
		}
		if strings.HasPrefix(l.host, "xn--") || strings.Contains(l.host, ".xn--") {
			v.add(reason{name: "link-punycode", class: "punycode", kind: kindCommodity, points: 15, apex: l.apex, text: "a link's host " + l.host + " is written in punycode"})
		}
		if shorteners[l.apex] {
			v.add(reason{name: "link-shortened", class: "short", points: 10, text: "a link is shortened by " + l.apex})
		} else if onFreeHost(l.host) && x.rare(l, s) {
			v.add(reason{name: "link-free-host", class: "free", points: half(15, m.Bulk), apex: l.host, text: "a link goes to a place where anybody can put a page: " + l.host})
		}
		if x.rare(l, s) && carriesRecipient(l.raw, m) && !m.Bulk && !strings.Contains(strings.ToLower(l.raw), "subscri") {
			v.add(reason{name: "link-carries-recipient", class: "carries", kind: kindCommodity, points: 20, apex: l.apex, text: "a link to " + l.host + " carries the recipient's address"})
		}
		if user, _, ok := strings.Cut(beforePath(l.raw), "@"); ok && strings.Contains(user, ".") && !privateIP(l.host) {
			v.add(reason{name: "link-user-name", class: "userinfo", kind: kindCommodity, points: 20, apex: l.apex, text: "a link hides its host behind a user name: " + l.host})
		}
	}
	for i := range m.Links {
		if m.Links[i].Host == "" {
			v.add(reason{name: "link-holds-page", kind: kindCommodity, points: 20, text: "a link holds its whole page or a script"})
			break
		}
	}
}

func (d *Detector) mismatch(v *verdict, x *message, s *mailState, l *link, shown string) {
	m := x.e.Mail
	owner := d.names.owner(shown)
	if o := d.names.owner(l.host); owner != nil && o != nil || l.declared {
		return // both are declared
	}
	text := fmt.Sprintf("a link shows %s and goes to %s", shown, l.host)
	switch {
	case common(s.Sites, l.site, x.e.Time) || commonSites[l.apex], siteOf(shown) == x.fromSite, owner == nil && d.tracks(x, l.site):
		v.add(reason{name: "link-shows-other-known", class: "mismatch", points: 4, text: text})
	case owner != nil || d.names.declared(shown):
		v.add(reason{name: "link-shows-known-organisation", class: "mismatch", kind: kindSpoof, points: half(45, m.Bulk && x.authentic), targeted: !m.Bulk, apex: l.apex, text: text})
	default:
		share := 1.0
		if x.broad() {
			share = 0.5
		}
		v.add(reason{name: "link-shows-other", class: "mismatch", kind: kindCommodity, points: half(20, m.Bulk), weight: x.words("link-shows-other", share), apex: l.apex, text: text})
	}
}

// tracks reports whether links that show three or more different places all lead to the site: it counts clicks, as
// newsletters have it.
func (d *Detector) tracks(x *message, site string) bool {
	var shown [3]string
	n := 0
	for i := range x.links {
		if x.links[i].site != site {
			continue
		}
		h := d.shownHost(x.links[i].text)
		if h == "" || slices.Contains(shown[:n], h) {
			continue
		}
		if shown[n] = h; n == 2 {
			return true
		}
		n++
	}
	return false
}

func beforePath(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// carriesRecipient reports whether a link holds a recipient's address, plainly or escaped.
func carriesRecipient(raw string, m *ocsf.Mail) bool {
	low := strings.ToLower(raw)
	if !strings.Contains(low, "@") && !strings.Contains(low, "%40") {
		return false
	}
	low = strings.ReplaceAll(low, "%40", "@")
	for i, to := range m.To {
		if i == 20 {
			break
		}
		if strings.Contains(low, to) {
			return true
		}
	}
	return false
}

// remoteTool recognises the download of a remote-support program by its address: intruders install one instead of
// their own implant, since it is signed and used by providers every day. Names after LOLRMM.
func remoteTool(l *link) string {
	low := strings.ToLower(l.raw)
	path := low
	if _, rest, ok := strings.Cut(low, "://"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			path = rest[i:]
		} else {
			path = ""
		}
	}
	if strings.Contains(path, "clientsetup") || strings.Contains(path, "e=access&y=guest") || strings.Contains(path, "e=support&y=guest") || strings.Contains(path, "screenconnect") || supportCode(path) {
		return "ScreenConnect"
	}
	for _, t := range remoteTools {
		for _, h := range t.hosts {
			if within(l.host, h) {
				return t.name
			}
		}
		for _, f := range t.files {
			if strings.Contains(path, f) {
				return t.name
			}
		}
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if installer[extension(path)] {
		for _, w := range remoteWords {
			if strings.Contains(path, w) {
				return "installer " + path[strings.LastIndexByte(path, '/')+1:]
			}
		}
	}
	return ""
}

// installer are the endings of files that install something.
var installer = set("msi", "exe", "msix", "appinstaller", "dmg", "pkg")

// remoteWords name remote support in the file name of an installer.
var remoteWords = []string{"agent", "remote", "support", "rmm", "helpdesk", "teamview", "connect", "assist", "anydesk", "rustdesk", "splashtop", "atera", "ninja",
	"simplehelp", "logmein", "bomgar", "dattormm", "unattended", "quick"}

// supportCode recognises the guest's entrance of a ScreenConnect server: /?Code= and digits.
func supportCode(path string) bool {
	_, code, ok := strings.Cut(path, "/?code=")
	if !ok || len(code) < 4 || len(code) > 12 {
		return false
	}
	return strings.Trim(code, "0123456789") == ""
}

var remoteTools = []struct {
	name         string
	hosts, files []string
}{
	{"ScreenConnect", []string{"screenconnect.com", "hostedrmm.com"}, nil},
	{"AnyDesk", []string{"download.anydesk.com"}, []string{"/anydesk.exe", "/anydesk.msi", "anydesk-"}},
	{"TeamViewer", []string{"get.teamviewer.com", "download.teamviewer.com", "customdesignservice.teamviewer.com"}, []string{"teamviewer_setup", "teamviewerqs", "teamviewer_host"}},
	{"Atera", []string{"atera.com"}, []string{"ateraagent", "atera_agent", "getagent/msi"}},
	{"Splashtop", []string{"my.splashtop.com", "download.splashtop.com"}, []string{"splashtop_streamer", "sos_win", "splashtopsos"}},
	{"NinjaOne", []string{"app.ninjarmm.com"}, []string{"ninjaone-agent", "ninjarmm"}},
	{"SimpleHelp", nil, []string{"remote access-windows", "remoteaccess-windows", "simplehelp"}},
	{"N-able", []string{"swi-rc.com", "beanywhere.com"}, []string{"takecontrol", "windowsagentsetup"}},
	{"LogMeIn", []string{"logmein123.com", "logmeinrescue.com", "fastsupport.com", "gotoassist.com", "gotoresolve.com"}, []string{"logmein.msi", "lmirescue", "gotoresolve", "g2a_"}},
	{"RustDesk", nil, []string{"rustdesk"}}, {"Zoho Assist", []string{"assist.zoho.com", "assist.zoho.eu"}, []string{"za_connect", "zohoassist"}},
	{"BeyondTrust", nil, []string{"bomgar-scc", "sra-scc"}}, {"Datto RMM", nil, []string{"agentsetup_", "dattormm", "centrastage"}},
	{"Level", []string{"downloads.level.io"}, []string{"install_windows.exe?token"}}, {"Action1", nil, []string{"action1_agent"}},
	{"MeshCentral", nil, []string{"meshagent", "meshcentral"}}, {"UltraViewer", []string{"ultraviewer.net"}, []string{"ultraviewer"}},
	{"Syncro", []string{"syncromsp.com"}, []string{"syncrosetup"}}, {"PDQ Connect", nil, []string{"pdqconnectagent"}}, {"Fleetdeck", []string{"fleetdeck.io"}, nil},
	{"Supremo", nil, []string{"supremo.exe"}}, {"DWService", []string{"dwservice.net"}, []string{"dwagent"}}, {"ISL Online", []string{"islonline.net"}, []string{"isllight"}},
}
