// Package detecttest holds what the tests of every detector share: a stream of events in which there is something
// to find for each of them, and the promises of detect.Detector as checks over it. It is for tests only.
package detecttest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Start is the time of the first event.
var Start = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

// Clients is how many clients the provider has; they are c0, c1 and so on.
const Clients = 7

// Model is a provider that enters its clients, with an approval for one scanner.
func Model() *tenant.Model {
	m := &tenant.Model{Version: "v7", Partners: []tenant.Partner{{ID: "isl", Name: "Islander", Tenant: "provider"}},
		Tenants: []tenant.Tenant{{ID: "provider", Role: tenant.RoleProvider, Domains: []string{"isl.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.200.0.0/16")}}}}
	for i := range Clients {
		id := tenant.ID(fmt.Sprintf("c%d", i))
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: id, Role: tenant.RoleClient, Domains: []string{fmt.Sprintf("client%d.example", i)},
			Networks: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i))}})
		m.Trusts = append(m.Trusts, tenant.Trust{ID: trust(id), Partner: "isl", Tenant: id, Accounts: []string{"isl-*"}, MailDomains: []string{"isl.example"},
			Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/29")}, RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Instance: "0123456789abcdef"}}})
	}
	m.Approvals = []tenant.Approval{{Trust: "isl-c0", Src: netip.MustParsePrefix("203.0.113.2/32"), Kind: "scan", From: Start, Until: Start.AddDate(1, 0, 0), Owner: "ann", Reason: "test"}}
	return m
}

func trust(id tenant.ID) tenant.TrustID { return tenant.TrustID("isl-" + id) }

// writer makes events one after another.
type writer struct {
	r     *rand.Rand
	at    time.Time
	n     uint64
	fresh string // stands in names that are new to whoever remembers names
	out   []*ocsf.Event
}

// Events returns n events in event time, in bursts of one kind with gaps of up to a few hours between them.
func Events(seed uint64, n int) []*ocsf.Event {
	w := &writer{r: rand.New(rand.NewPCG(seed, 1)), at: Start}
	for len(w.out) < n {
		w.at = w.at.Add(time.Duration(w.r.ExpFloat64() * float64(20*time.Minute)))
		kind, pace := w.r.IntN(kinds), time.Duration(1+w.r.IntN(120))*time.Second
		who := w.r.IntN(4)
		for range 1 + w.r.IntN(40) {
			w.at = w.at.Add(time.Duration(w.r.Int64N(int64(pace))))
			w.event(kind, who)
		}
	}
	return w.out[:n]
}

// Day returns events of one day in which every name is new: accounts, addresses, hosts, apps, instances, senders.
func Day(day, each int) []*ocsf.Event {
	w := &writer{r: rand.New(rand.NewPCG(uint64(day), 2)), at: Start.AddDate(0, 0, day), n: uint64(day) << 32, fresh: fmt.Sprintf("d%d", day)}
	for i := range each {
		for kind := range kinds {
			w.at = w.at.Add(24 * time.Hour / time.Duration(2*each*kinds))
			w.fresh = fmt.Sprintf("d%dn%d", day, i)
			w.event(kind, day*each+i)
		}
	}
	return w.out
}

const kinds = 12

func (w *writer) add(e *ocsf.Event) {
	w.n++
	binary.BigEndian.PutUint64(e.ID[:], w.n)
	e.Time, e.Seen, e.Raw = w.at, w.at, ocsf.RawRef{File: "events.log", Record: int64(w.n)}
	if e.Partner != "" {
		e.Trust, e.Rule, e.Direction = trust(e.Tenant), "account isl-*", ocsf.DirectionIn
	}
	w.out = append(w.out, e)
}

func (w *writer) client() tenant.ID { return tenant.ID(fmt.Sprintf("c%d", w.r.IntN(Clients))) }

func (w *writer) status() ocsf.Status { return ocsf.Status(1 + w.r.IntN(2)) }

// addr is one of a few addresses below a prefix, or one of its own for fresh names.
func (w *writer) addr(a, b byte, who, among int) netip.Addr {
	if w.fresh != "" {
		return netip.AddrFrom4([4]byte{a, b, byte(who >> 8), byte(who)})
	}
	return netip.AddrFrom4([4]byte{a, b, byte(w.r.IntN(among)), 1})
}

func (w *writer) name(stem string, among int) string {
	if w.fresh != "" {
		return stem + w.fresh
	}
	return fmt.Sprintf("%s%d", stem, w.r.IntN(among))
}

func (w *writer) event(kind, who int) {
	c := w.client()
	e := &ocsf.Event{Tenant: c, Layer: tenant.LayerEndpoint}
	switch kind {
	case 0: // a VPN session of the partner's
		e.Partner, e.Layer, e.Class = "isl", tenant.LayerAccess, ocsf.ClassTunnelActivity
		e.Lease = &ocsf.Lease{Kind: "vpn", Start: true, Holder: ocsf.User{Name: w.name("isl-", 3)}, Public: w.addr(198, 51, who, 5), Addr: w.addr(10, 99, who, 9)}
	case 1, 2: // people sign in, and somebody guesses
		e.Layer, e.Class, e.Status, e.User.Name = tenant.LayerCloud, ocsf.ClassAuthentication, w.status(), w.name("user", 25)+"@client.example"
		e.Src.IP = w.addr(192, 0, who, 12)
		e.Cloud = &ocsf.Cloud{Country: []string{"DE", "US", "KP"}[w.r.IntN(3)], ErrorCode: "50126", AppName: "Mail"}
		if kind == 2 {
			e.Status, e.Src.IP = ocsf.StatusFailure, w.addr(100, 10, who, 2)
		}
	case 3: // an app of the partner's, or its people
		e.Partner, e.Layer, e.Class, e.Status, e.Src.IP = "isl", tenant.LayerCloud, ocsf.ClassAuthentication, ocsf.StatusSuccess, w.addr(203, 0, who, 9)
		if e.Cloud = (&ocsf.Cloud{ServicePrin: who%2 == 0, AppID: w.name("app", 2)}); !e.Cloud.ServicePrin {
			e.User.Name = w.name("isl-", 3)
		}
	case 4: // the partner opens mail
		e.Partner, e.Layer, e.Class, e.Status, e.User.Name = "isl", tenant.LayerCloud, ocsf.ClassAPIActivity, ocsf.StatusSuccess, w.name("isl-", 3)
		e.Src.IP, e.Fields = w.addr(203, 0, who, 5), ocsf.Fields{{Name: "MailboxOwnerUPN", Value: w.name("owner", 20)}}
		e.Cloud = &ocsf.Cloud{Operation: "MailItemsAccessed"}
	case 5, 6: // somebody asks many hosts: the partner, a host of the house, the Internet
		e.Layer, e.Class = tenant.LayerNetwork, ocsf.ClassNetworkActivity
		e.Flow = &ocsf.Flow{Proto: "tcp", State: []string{"S0", "REJ", "SF", "S0"}[w.r.IntN(4)], History: "S", OrigPkts: 1}
		if e.Flow.State == "SF" {
			e.Flow.History, e.Flow.RespPkts, e.Flow.Duration = "ShADdFf", 30, time.Minute
		}
		e.Dst = ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, c[1] - '0', byte(w.r.IntN(3)), byte(w.r.IntN(60))}), Port: uint16(20 + w.r.IntN(6))}
		e.Src = ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, c[1] - '0', 9, byte(who)}), Port: uint16(40000 + w.r.IntN(20000))}
		if kind == 6 && who%2 == 0 {
			e.Partner, e.Src.IP = "isl", netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + who%4)})
		} else if kind == 6 {
			e.Src.IP = w.addr(45, 9, who, 200)
		}
	case 7: // the partner logs on to hosts
		e.Partner, e.Class, e.Status, e.Activity, e.Device = "isl", ocsf.ClassAuthentication, w.status(), "logon", w.name("HOST", 15)
		e.User.Name, e.Src.IP = w.name("isl-", 3), w.addr(203, 0, who, 4)
	case 8: // a remote tool at work
		e.Class, e.Device, e.Src.IP = ocsf.ClassWindowsService, w.name("WS", 5), w.addr(203, 0, who, 4)
		e.Remote = &ocsf.RemoteSession{Tool: "screenconnect", Instance: w.name("fedcba98", 3), Relay: w.name("relay", 3) + ".example", Act: []string{"connect", "command", "install", "disconnect"}[w.r.IntN(4)], Operator: w.name("Op ", 4)}
		if who%2 == 0 {
			e.Partner = "isl"
		}
	case 9: // names that mean something
		e.Layer, e.Class, e.Device = tenant.LayerNetwork, ocsf.ClassDNSActivity, w.name("WS", 5)
		e.Src.IP = netip.AddrFrom4([4]byte{10, c[1] - '0', 8, byte(who)})
		e.Dst.Domain = []string{"client2.example." + w.name("evil", 3) + ".app", "instance-" + w.name("x", 3) + "-relay.screenconnect.com", "bad.example", "www.good.example"}[w.r.IntN(4)]
	case 10: // mail: the partner's usual, and lures
		e.Layer, e.Class, e.Direction = tenant.LayerMail, ocsf.ClassEmailActivity, ocsf.DirectionIn
		from, link := w.name("tech", 4)+"@isl.example", "https://www.isl.example/ticket"
		if w.r.IntN(3) == 0 {
			link = fmt.Sprintf("https://client%c.example.%s.app/login", c[1], w.name("evil", 3))
		}
		host := link[len("https://"):]
		for i := range host {
			if host[i] == '/' {
				host = host[:i]
				break
			}
		}
		e.User.Name = w.name("user", 9) + fmt.Sprintf("@client%c.example", c[1])
		e.Mail = &ocsf.Mail{MessageID: fmt.Sprintf("<%d.%s@isl.example>", w.n/2, w.fresh), From: from, FromName: w.name("Tech ", 4), To: []string{e.User.Name}, Subject: "Ticket",
			Text: "please log in with your company account", BodyHash: host, Links: []ocsf.Link{{URL: link, Host: host}}, SPF: "pass", DKIM: "pass", DMARC: "pass", DKIMDomain: "isl.example"}
	case 11: // a program that a rule knows
		e.Class, e.Source, e.Device, e.User.Name = ocsf.ClassProcessActivity, "windows/sysmon", w.name("WS", 3), w.name("user", 2)
		e.Process = &ocsf.Process{Image: `C:\Windows\cert.exe`}
		e.Fields = ocsf.Fields{{Name: "EventID", Value: "1"}, {Name: "Image", Value: `C:\Windows\cert.exe`}, {Name: "OriginalFileName", Value: "CertUtil.exe"}}
	}
	w.add(e)
}
