package phish

import (
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// org is one declared organisation as mail shows it. Key is "tenant:<id>" or "partner:<id>"; a partner that is a
// tenant has the tenant's key, so that it has one history.
type org struct {
	key     string
	name    string
	tenant  tenant.ID
	partner tenant.PartnerID
	domains []string // declared, lower case, shortest first
	names   []string // normalised names and aliases by which people know it
	marks   []mark   // what look-alikes are compared with
	token   string   // the distinctive word of its name that its domain holds too
}

// names is the index of everything declared, built once from the model. It is read-only.
type names struct {
	orgs    []*org
	domains map[string]*org   // declared mail and web domains
	hosts   map[string]string // other declared hosts (remote-tool servers, destinations) → trust
	dashed  map[string]string // "wipro-com" → "wipro.com"
	labels  []int             // label counts that declared domains have
	near    map[tenant.ID][]*org
}

func newNames(m *tenant.Model) *names {
	n := &names{domains: map[string]*org{}, hosts: map[string]string{}, dashed: map[string]string{}, near: map[tenant.ID][]*org{}}
	if m == nil {
		return n
	}
	byTenant, byPartner := map[tenant.ID]*org{}, map[tenant.PartnerID]*org{}
	for i := range m.Tenants {
		t := &m.Tenants[i]
		o := &org{key: "tenant:" + string(t.ID), name: t.Name, tenant: t.ID}
		o.addNames(append([]string{t.Name}, t.Aliases...)...)
		n.orgs, byTenant[t.ID] = append(n.orgs, o), o
		for _, d := range t.Domains {
			n.declare(o, d)
		}
	}
	for i := range m.Partners {
		p := &m.Partners[i]
		o := byTenant[p.Tenant]
		if o == nil || p.Tenant == "" {
			o = &org{key: "partner:" + string(p.ID), name: p.Name}
			n.orgs = append(n.orgs, o)
		}
		o.partner = p.ID
		o.addNames(p.Name)
		byPartner[p.ID] = o
	}
	for i := range m.Trusts {
		t := &m.Trusts[i]
		o := byPartner[t.Partner]
		if o == nil {
			continue
		}
		for _, d := range t.MailDomains {
			n.declare(o, d)
		}
		for _, tool := range t.RemoteTools {
			for _, h := range tool.Hosts {
				n.hosts[strings.ToLower(h)] = string(t.ID)
			}
		}
		for _, d := range t.Destinations {
			if d = strings.TrimPrefix(strings.ToLower(d), "*."); strings.Contains(d, ".") && !isIP(d) && !strings.Contains(d, "/") {
				n.hosts[d] = string(t.ID)
			}
		}
		n.relate(t.Tenant, o)
		if c := byTenant[t.Tenant]; c != nil && o.tenant != "" {
			n.relate(o.tenant, c) // a provider must know its clients' names too
		}
	}
	for _, o := range n.orgs {
		if o.tenant != "" {
			n.relate(o.tenant, o)
		}
		slices.SortFunc(o.domains, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})
		o.token = o.distinctive()
		for _, d := range o.domains {
			if k := markOf(d); len(k.name) >= 4 {
				o.marks = append(o.marks, k)
			}
		}
	}
	slices.Sort(n.labels)
	return n
}

func (n *names) relate(id tenant.ID, o *org) {
	if !slices.Contains(n.near[id], o) {
		n.near[id] = append(n.near[id], o)
	}
}

func (n *names) declare(o *org, d string) {
	d = strings.Trim(strings.ToLower(strings.TrimSpace(d)), ".@*")
	if d == "" || n.domains[d] != nil {
		return
	}
	n.domains[d] = o
	o.domains = append(o.domains, d)
	if strings.Count(d, ".") >= 1 && len(d) >= 6 {
		n.dashed[strings.ReplaceAll(d, ".", "-")] = d
	}
	if c := strings.Count(d, ".") + 1; c >= 2 && !slices.Contains(n.labels, c) {
		n.labels = append(n.labels, c)
	}
}

// distinctive returns the first word of the organisation's name that its own domain holds and that is no word of
// every second firm, or "".
func (o *org) distinctive() string {
	for _, name := range o.names {
		for _, w := range strings.Fields(name) {
			if len(w) < 5 || plainWords[w] {
				continue
			}
			for _, d := range o.domains {
				own, _ := splitApex(apexOf(d))
				if own == w || hasWord(own, w) {
					return w
				}
			}
		}
	}
	return ""
}

// plainWords stand in the names of many firms.
var plainWords = set("group", "global", "international", "services", "service", "solutions", "systems", "system", "technologies", "technology", "digital", "consulting",
	"partner", "partners", "holding", "industries", "instruments", "managed", "cloud", "network", "networks", "security", "software", "support", "union", "united",
	"general", "first", "national", "american", "european", "deutsche", "german", "france", "north", "south", "central", "capital", "finance", "health", "energy",
	"media", "design", "engineering", "logistics", "transport", "motors", "foods", "hotel", "hotels", "medical", "pharma", "insurance", "testing", "royal", "house")

func (o *org) addNames(list ...string) {
	for _, s := range list {
		if s = foldName(s); len(s) >= 4 && !slices.Contains(o.names, s) {
			o.names = append(o.names, s)
		}
	}
}

// foldName brings a display name or organisation's name to letters and single spaces, without its legal form.
func foldName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f:
			return r
		case r == '\'' || r == '’':
			return -1
		}
		return ' '
	}, skeletonFold(strings.ToLower(s)))
	f := strings.Fields(s)
	for len(f) > 1 && legalForms[f[len(f)-1]] {
		f = f[:len(f)-1]
	}
	return strings.Join(f, " ")
}

var legalForms = set("gmbh", "ag", "kg", "se", "inc", "ltd", "llc", "plc", "co", "corp", "sa", "sarl", "sas", "bv", "nv", "ab", "oy", "as", "srl", "spa", "limited")

// owner returns the organisation that declared the host's domain, or nil.
func (n *names) owner(host string) *org {
	for h := host; h != ""; {
		if o := n.domains[h]; o != nil {
			return o
		}
		_, rest, ok := strings.Cut(h, ".")
		if !ok {
			return nil
		}
		h = rest
	}
	return nil
}

// declared reports whether the host lies within anything declared: domains, remote-tool hosts, destinations.
func (n *names) declared(host string) bool {
	if n.owner(host) != nil {
		return true
	}
	for h := host; h != ""; {
		if _, ok := n.hosts[h]; ok {
			return true
		}
		_, rest, ok := strings.Cut(h, ".")
		if !ok {
			return false
		}
		h = rest
	}
	return false
}

// infrastructure are apexes under which customers' own domains stand as labels by design: content delivery, mail
// protection, block lists, directory and resolver artefacts. A match below them is no sign.
var infrastructure = []string{"edgekey.net", "edgesuite.net", "akamaized.net", "akamai.net", "akadns.net", "akamaiedge.net", "cloudflare.net", "cdn.cloudflare.net",
	"fastly.net", "fastlylb.net", "azureedge.net", "azurefd.net", "trafficmanager.net", "cloudapp.net", "cloudfront.net", "awsdns.com", "elb.amazonaws.com",
	"outlook.com", "office.com", "office365.com", "onmicrosoft.com", "microsoft", "sharepoint.com", "googlehosted.com", "ghs.googlehosted.com", "pphosted.com",
	"ppe-hosted.com", "mimecast.com", "messagelabs.com", "iphmx.com", "barracudanetworks.com", "hornetsecurity.com", "retarus.com", "trendmicro.com",
	"trendmicro.eu", "mailcontrol.com", "antispamcloud.com", "sophos.com", "spamhaus.org", "surbl.org", "uribl.com", "spamhaus.net", "sorbs.net", "invaluement.com",
	"spameatingmonkey.net", "mailspike.net", "dnswl.org", "hostedemail.com", "dkim.amazonses.com", "sendgrid.net", "mailgun.org", "mcsv.net", "mktomail.com",
	"exacttarget.com", "hubspotemail.net", "zendesk.com", "statuspage.io", "incapdns.net", "impervadns.net", "edgecastcdn.net", "llnwd.net", "stackpathdns.com",
	"fritz.box", "home.arpa", "in-addr.arpa", "ip6.arpa", "attlocal.net", "local", "localdomain", "lan", "home", "internal", "intranet", "private", "corp",
	"consul", "svc.cluster.local", "google.com", "microsoftonline.com", "msappproxy.net", "ns.cloudflare.com", "dmarcian.com", "agari.com", "valimail.com",
	"ondmarc.com", "easydmarc.com", "hosted.exchange", "apple-dns.net", "avast.com", "avqs.mcafee.com", "sophosxl.net", "webcfs03.com", "brightcloud.com"}

// underApex looks for a declared domain as labels left of a foreign registered domain: securemail.wipro.com.x.app,
// or wipro-com.x.app. It returns the declared domain and the part the foreign side owns.
func (n *names) underApex(host string) (declared, apex string, ok bool) {
	if len(n.domains) == 0 || len(host) < 8 || strings.IndexByte(host, '_') >= 0 {
		return "", "", false
	}
	for start := 0; start < len(host); {
		end, have := start, 0
		for _, c := range n.labels {
			for ; have < c && end < len(host); have++ {
				if have > 0 {
					end++
				}
				if i := strings.IndexByte(host[end:], '.'); i >= 0 {
					end += i
				} else {
					end = len(host)
				}
			}
			if end >= len(host) {
				break
			}
			if n.domains[host[start:end]] != nil {
				return n.foreign(host, host[start:end], host[end+1:])
			}
		}
		i := strings.IndexByte(host[start:], '.')
		if i < 0 {
			break
		}
		if label := host[start : start+i]; len(label) >= 6 && strings.IndexByte(label, '-') > 0 {
			if d := n.dashedIn(label); d != "" {
				return n.foreign(host, d, host[start+i+1:])
			}
		}
		start += i + 1
	}
	return "", "", false
}

// dashedIn finds a declared domain written with dashes as whole words of a label.
func (n *names) dashedIn(label string) string {
	if d := n.dashed[label]; d != "" {
		return d
	}
	for start := 0; start < len(label); {
		for end := len(label); end > start+5; {
			if d := n.dashed[label[start:end]]; d != "" {
				return d
			}
			i := strings.LastIndexByte(label[start:end], '-')
			if i < 0 {
				break
			}
			end = start + i
		}
		i := strings.IndexByte(label[start:], '-')
		if i < 0 {
			break
		}
		start += i + 1
	}
	return ""
}

func (n *names) foreign(host, declared, rest string) (string, string, bool) {
	if n.declared(host) {
		return "", "", false
	}
	for _, d := range infrastructure {
		if within(host, d) {
			return "", "", false
		}
	}
	if strings.IndexByte(rest, '.') < 0 { // "wipro.com.de": one label is a top-level domain, a look-alike at most
		if strings.HasSuffix(host, declared+"."+rest) {
			return "", "", false
		}
	}
	apex := apexOf(host)
	if len(apex) > len(rest) && strings.IndexByte(rest, '.') >= 0 {
		apex = host // the foreign side is a hosting suffix that many share
	}
	return declared, apex, true
}
