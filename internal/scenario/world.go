package scenario

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// host is a computer of an organisation.
type host struct {
	name    string
	role    string // DC, FS, ERP …; WS for a desktop
	ip      netip.Addr
	session string // the id of the provider's remote-support agent on this host
	mac     string
}

// person is somebody at a desk.
type person struct {
	given, family, login, mail string
	oid                        string // object id in the organisation's own directory
	desk                       *host
}

func (p *person) full() string { return p.given + " " + p.family }

// reach is what a client's trust in the provider declares.
type reach struct{ vpn, rmm, mail, gdap, app bool }

// part is what a kind casts an organisation for.
type part struct {
	outcome Outcome
	way     string         // how the intruder comes, in the kind's own words
	shows   []tenant.Layer // layers that would show the use of what the intruder holds
	success []tenant.Layer // layers that show the success
	seen    []tenant.Layer // layers that show anything of the intruder
}

// org is one organisation.
type org struct {
	idx        int // stable number in the story
	id, name   string
	short      string // NetBIOS domain
	ad         string
	domain     string
	prefix     string // accounts of a provider at its clients begin with it
	client     bool
	tenant     bool // whether telemetry of it is held
	layers     map[tenant.Layer]bool
	serverNet  netip.Prefix
	deskNet    netip.Prefix
	poolNet    netip.Prefix
	gateway    netip.Addr // VPN gateway and mail exchanger
	mx         netip.Addr
	egress     netip.Addr
	asn        int
	place      place
	people     []*person
	desks      []*host
	servers    []*host
	vpn        string
	jsonZeek   bool
	maildir    bool
	entra      string
	subscript  string
	sid        string
	serial     string // of its firewall
	reach      reach
	part       part
	second     part  // in the second campaign, where there are two
	techs      int   // the first people of a provider are its technicians
	jumps      []int // servers that are jump hosts
	adminLogin string
	hasVendor  bool
	sells      string // what a client sells, for its mail
	firewall   string // product whose log is kept: fortigate, asa; empty: none
	translates bool   // its gateway logs translations
	dual       bool   // dual stack
	v6         netip.Prefix
	clocks     map[string]clock // folder → how far its clock is off; nil: right
	late       map[string]bool  // folders whose records arrive late
	since      time.Time        // the first midnight
	hub        bool             // itself a partner of other clients
	fleet      bool             // the agent of the provider's platform is on its hosts
	apps       map[string]bool  // clouds beside Microsoft's: okta, aws, github
	aws        string           // its account there
}

// intruder is what the other side owns, in every scenario: where nobody attacks, its addresses are mere noise.
type intruder struct {
	apex      string // domain under which the victims' real domains become labels
	label     string
	web       netip.Addr
	exit      netip.Addr // address it signs in from
	exits     []netip.Addr
	asn       int
	place     place
	instance  string // of its own remote-support server
	relay     string
	relayIP   netip.Addr
	key       string
	machine   string // its own computer, as gateways see it
	machineID string
}

// vendor is a maker of business software that looks after its product with its own remote-support instance.
type vendor struct {
	id, name, domain, product, instance, relay string
	relayIP                                    netip.Addr
	techs                                      []string
}

// world is everything of one scenario that is settled before the first record is written.
type world struct {
	o          Options
	kind       *kind
	names      uint64 // seed of names, addresses and ids
	start      time.Time
	provider   *org
	clients    []*org
	neighbour  *org   // client of another provider
	orgs       []*org // all, the provider first
	instance   string // of the provider's remote-support server
	relay      string
	appID      string
	appKey     string
	lender     string // firm that lends the provider a member of its staff
	foe        intruder
	vendor     vendor
	firms      []*firm   // partners beside the provider whose people come to clients
	platform   *platform // with which the provider runs hosts; nil: only by remote support
	natPool    netip.Prefix
	lent       map[*org][]session // visits beside the background's, which hold an address too
	takenNames map[string]bool    // names that somebody has
	sites      []site
	guessers   []netip.Addr
	scale      float64 // how much more office traffic than is natural
	partners   []partnerConf
	trusts     []trustConf
	approvals  []approvalConf
	plan       map[*org][][]placed
	cells      map[cell]bool // where and when the intruder acts
	campaigns  []Campaign
	houses     map[*org]*mailHouse
	mailers    map[*person]*mailer
	threads    map[*org][]*message // client → conversations with the provider's people
	mailTruth  []MailTruth         // of the messages written so far
}

func newWorld(o Options, k *kind) *world {
	w := &world{o: o, kind: k, names: o.Seed ^ 0x9e3779b97f4a7c15, start: o.Start.UTC().Truncate(24 * time.Hour), scale: 1, plan: map[*org][][]placed{}, lent: map[*org][]session{}, cells: map[cell]bool{}, houses: map[*org]*mailHouse{}, mailers: map[*person]*mailer{}, threads: map[*org][]*message{}}
	if o.Rename != 0 {
		w.names = o.Rename
	}
	nr := newRNG(w.names, "names")
	if o.Start.IsZero() {
		w.start = defaultStart
		if o.Rename != 0 {
			w.start = w.start.AddDate(0, 0, 7*nr.between(-26, 52))
		}
	}
	n := &namer{nr, map[string]bool{}}
	story := newRNG(o.Seed, "world")
	if k.pace > 0 {
		w.scale = k.pace
	}
	desks := 0
	if o.Events > 0 {
		grown := max(1, float64(o.Events)/float64((o.Clients+2)*o.Days*600))
		desks = int(min(170, 12*math.Sqrt(grown)-12))
	}
	plans := addressPlans(nr, o.Clients+2)
	for i := range o.Clients + 2 {
		p := i
		if i > 1 && i%4 == 3 && i <= o.Clients { // overlapping private space
			p = i - 1
		}
		if o.Overlap && i > 0 { // the makers' default networks are few
			p = 1 + newRNG(o.Seed, "overlap", i).IntN(2)
		}
		b := &org{idx: i, client: i > 0, tenant: true, jsonZeek: story.chance(0.2), maildir: story.chance(0.7)}
		b.populate(n, story, plans[p], desks)
		b.since = w.start
		w.orgs = append(w.orgs, b)
	}
	w.provider, w.neighbour = w.orgs[0], w.orgs[o.Clients+1]
	w.clients = w.orgs[1 : o.Clients+1]
	w.castBase(story)
	w.nameOthers(n)
	w.takenNames = n.taken
	for _, b := range w.orgs {
		w.plan[b] = make([][]placed, o.Days)
	}
	return w
}

// grow sets how much office traffic is written so that about Options.Events records come out. The two constants are
// what bulk writes for one organisation on a working day and on a free one at scale 1; the third is all the rest.
func (w *world) grow() {
	if w.o.Events == 0 {
		return
	}
	rest, unit := 0.0, 0.0
	for _, o := range w.orgs {
		if !w.keeps(o, tenant.LayerNetwork) {
			continue
		}
		for d := range w.o.Days {
			rest += 440
			if w.works(d) {
				unit += 285
			} else {
				unit += 48
			}
		}
	}
	w.scale = max(w.scale, (float64(w.o.Events)-rest)/max(1, unit))
}

// castBase gives every client the usual trust and sensors; a kind changes them where its story needs it.
func (w *world) castBase(r *rng) {
	all := func() map[tenant.Layer]bool {
		m := map[tenant.Layer]bool{}
		for _, l := range tenant.Layers {
			m[l] = true
		}
		return m
	}
	for _, c := range w.orgs {
		c.layers = all()
		c.hasVendor = c.client && r.chance(0.5)
		c.reach = reach{vpn: true, rmm: true, mail: true, gdap: r.chance(0.55), app: r.chance(0.6)}
		c.layers[tenant.LayerCloud] = !c.client || r.chance(0.75)
	}
	w.clients[r.IntN(len(w.clients))].hasVendor = true
	w.neighbour.hasVendor = false
	w.neighbour.reach = reach{}
}

// addressPlans draws one private /16 or a pair of /24 a plan, each different.
func addressPlans(r *rng, n int) [][3]netip.Prefix {
	taken := map[string]bool{}
	var out [][3]netip.Prefix
	for len(out) < n {
		var a, b, c int
		switch r.IntN(4) {
		case 0:
			a, b, c = 192, 168, r.between(1, 60)*2
		case 1:
			a, b, c = 172, r.between(16, 31), r.between(0, 100)*2
		default:
			a, b, c = 10, r.between(1, 250), r.between(0, 60)*2
		}
		key := fmt.Sprint(a, b, c)
		if taken[key] {
			continue
		}
		taken[key] = true
		net := func(third int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a), byte(b), byte(third), 0}), 24)
		}
		out = append(out, [3]netip.Prefix{net(c), net(c + 1), net(c + 130 - c%4)})
	}
	return out
}

func at(p netip.Prefix, last int) netip.Addr {
	b := p.Addr().As4()
	b[3] = byte(last)
	return netip.AddrFrom4(b)
}

// populate names an organisation, its people and its hosts. How many there are is story; how they are called is not.
func (b *org) populate(n *namer, story *rng, nets [3]netip.Prefix, moreDesks int) {
	r := n.r
	b.serverNet, b.deskNet, b.poolNet = nets[0], nets[1], nets[2]
	stem := n.stem()
	b.id = strings.ToLower(stem)
	trade := pick(r, orgTrades)
	if !b.client {
		trade = pick(r, providerTrades)
	}
	b.name, b.sells = stem+" "+trade, strings.ToLower(trade)
	last := strings.ToLower(strings.Fields(trade)[0])
	b.domain = pick(r, []string{b.id + "-" + last, b.id + last, b.id, b.id + "-" + last[:2]}) + "." + pick(r, topLevels)
	b.short = n.free(func() string { return strings.ToUpper(b.id[:min(len(b.id), r.between(4, 8))]) })
	b.ad = strings.ToLower(b.short) + "." + pick(r, []string{"lan", "local", "intra", "corp"})
	b.prefix = n.free(func() string {
		return b.id[:1] + string(b.id[r.between(1, len(b.id)-1)]) + string(b.id[r.between(1, len(b.id)-1)])
	})
	b.gateway = r.public()
	b.mx, b.egress = at(netip.PrefixFrom(b.gateway, 24), int(b.gateway.As4()[3])+1), at(netip.PrefixFrom(b.gateway, 24), int(b.gateway.As4()[3])+2)
	b.asn, b.place = pick(r, accessASNs), pick(r, places)
	b.entra, b.subscript = r.guid(), r.guid()
	b.sid = fmt.Sprintf("S-1-5-21-%d-%d-%d", r.between(1e9, 4e9), r.between(1e9, 4e9), r.between(1e9, 4e9))
	b.serial = fmt.Sprintf("0132%08d", r.between(1e6, 9e7))
	b.vpn = pick(story, []string{"openvpn", "asa", "globalprotect"})
	style, logins := r.IntN(3), map[string]bool{}
	hostStyle := r.IntN(3)
	staff := story.between(9, 14)
	for i := range staff + moreDesks {
		g, f, l := n.person(logins, style)
		p := &person{given: g, family: f, login: l, mail: l + "@" + b.domain, oid: r.guid()}
		p.desk = &host{name: b.hostName(hostStyle, "WS", i+1), role: "WS", ip: at(b.deskNet, 20+i), session: r.guid(), mac: macOf(r)}
		b.people, b.desks = append(b.people, p), append(b.desks, p.desk)
	}
	b.adminLogin = b.people[len(b.people)-1].login
	roles := []string{"DC", "DC", "FS", "SQL", "ERP", "APP", "PRN", "BKP", "WEB", "TS"}
	seen := map[string]int{}
	for i, role := range append(roles[:4:4], some(story, roles[4:], story.between(3, 5))...) {
		seen[role]++
		b.servers = append(b.servers, &host{name: b.hostName(hostStyle, role, seen[role]), role: role,
			ip: at(b.serverNet, 10+3*i+r.IntN(3)), session: r.guid(), mac: macOf(r)})
	}
	if !b.client {
		b.techs = story.between(5, 6)
		for i, role := range []string{"JMP", "JMP", "RMM"} {
			b.servers = append(b.servers, &host{name: b.hostName(hostStyle, role, i+1), role: role, ip: at(b.serverNet, 50+3*i+r.IntN(3)), session: r.guid(), mac: macOf(r)})
		}
		b.jumps = []int{len(b.servers) - 3, len(b.servers) - 2}
	}
}

func (b *org) hostName(style int, role string, i int) string {
	switch style {
	case 0:
		if role == "WS" {
			return fmt.Sprintf("%s-WS%03d", b.short, i)
		}
		return fmt.Sprintf("%s-%s%02d", b.short, role, i)
	case 1:
		return fmt.Sprintf("%s%s%03d", b.short[:min(4, len(b.short))], role, i)
	default:
		return fmt.Sprintf("%s-%s-%d", role, b.short, i)
	}
}

func macOf(r *rng) string {
	h := r.hex(5)
	return "02:" + h[:2] + ":" + h[2:4] + ":" + h[4:6] + ":" + h[6:8] + ":" + h[8:]
}

// nameOthers names what lies between the organisations: tools, the vendor, the sites, the noise and the intruder.
func (w *world) nameOthers(n *namer) {
	r := n.r
	w.instance, w.relay = r.hex(8), pick(r, []string{"help", "remote", "support", "assist", "hilfe"})+"."+w.provider.domain
	w.appID, w.appKey = r.guid(), r.guid()
	v := n.stem()
	w.vendor = vendor{id: strings.ToLower(v), name: v + " Software", domain: strings.ToLower(v) + "-software." + pick(r, topLevels),
		product: v + " ERP", instance: r.hex(8), relay: "instance-" + strings.ToLower(r.token(6)) + "-relay.screenconnect.com", relayIP: r.public(),
		techs: []string{pick(r, givenNames) + " " + pick(r, familyNames), pick(r, givenNames) + " " + pick(r, familyNames)}}
	w.foe = intruder{apex: pick(r, phishStems) + "-" + pick(r, phishStems) + "." + pick(r, []string{"app", "com", "online", "net", "cloud", "link"}),
		label: pick(r, []string{"securemail", "message", "portal", "login", "docs", "mail"}), web: r.public(), exit: r.public(),
		asn: pick(r, hostingASNs), place: pick(r, farPlaces), instance: r.hex(8),
		relay: "instance-" + strings.ToLower(r.token(6)) + "-relay.screenconnect.com", relayIP: r.public(), key: r.token(20)}
	for range 6 {
		w.foe.exits = append(w.foe.exits, r.public())
	}
	own := newRNG(w.names, "intruder's computer")
	w.foe.machine, w.foe.machineID = "DESKTOP-"+upper(own.token(7)), own.guid()
	w.sites = makeSites(n)
	for range 24 {
		w.guessers = append(w.guessers, r.public())
	}
}

// day returns midnight of a day of the scenario.
func (w *world) day(d int) time.Time { return w.start.AddDate(0, 0, d) }

func (w *world) end() time.Time { return w.day(w.o.Days) }

// works reports whether people are at their desks that day. A window without any working day has only those.
func (w *world) works(d int) bool {
	weekend := func(d int) bool { wd := w.day(d).Weekday(); return wd == time.Saturday || wd == time.Sunday }
	if !weekend(d) {
		return true
	}
	for i := range w.o.Days {
		if !weekend(i) {
			return false
		}
	}
	return true
}

// workday returns the first working day at or after d, or else the last one before it.
func (w *world) workday(d int) int {
	for i := max(0, d); i < w.o.Days; i++ {
		if w.works(i) {
			return i
		}
	}
	for i := min(d, w.o.Days-1); i > 0; i-- {
		if w.works(i) {
			return i
		}
	}
	return 0
}

// clock returns a moment of a day drawn between two hours (UTC).
func (w *world) clock(r *rng, d int, from, to float64) time.Time {
	return w.day(d).Add(r.span(time.Duration(from*float64(time.Hour)), time.Duration(to*float64(time.Hour))))
}

// techAccount is the account of a technician of the provider at every client.
func (w *world) techAccount(tech int) string {
	return w.provider.prefix + "-" + strings.ToLower(w.provider.people[tech].family) + string('a'+rune(tech))
}
