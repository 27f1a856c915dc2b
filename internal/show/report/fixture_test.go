package report

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// hostile holds what an intruder would put into a name: every one of them must come out as text.
var hostile = []string{
	`<script>window.pwned=1</script>`,
	`"><img src=x onerror="window.pwned=1">`,
	`</script><script>window.pwned=1</script>`,
	`</style><svg onload=window.pwned=1>`,
	`javascript:window.pwned=1`,
	"invoice\u202Efdp.exe",
	"pay\u2066roll\u2069\u200b.docx",
	"\x1b[31mred\x1b[0m\x07",
	"line\nbreak\ttab\u2028sep",
	"' onmouseover='window.pwned=1",
	"{{.Data}} ${7*7} <!-- -->",
	"=HYPERLINK(\"http://evil.example\",\"x\")",
	"bad\xffutf8",
}

var t0 = time.Date(2026, 3, 2, 7, 41, 0, 0, time.UTC)

func at(d, h, m int) time.Time {
	return t0.Add(time.Duration(d)*24*time.Hour + time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}

// fixtureModel is a provider with eleven clients.
func fixtureModel() *tenant.Model {
	m := &tenant.Model{Version: "7f3a9c21", Partners: []tenant.Partner{
		{ID: "harbour", Name: "Harbour Managed IT", Tenant: "harbour-it"},
		{ID: "printco", Name: "Printco Service"},
	}}
	names := [][2]string{{"harbour-it", "Harbour Managed IT Ltd"}, {"aldgate", "Aldgate Insurance"}, {"birchwood", "Birchwood Clinics"},
		{"castell", "Castell Brewing"}, {"dunmore", "Dunmore Logistics"}, {"elmswell", "Elmswell Borough Council"},
		{"farrow", "Farrow & Pike Solicitors"}, {"gorsedale", "Gorsedale Dairy"}, {"hexham", "Hexham Foundry"},
		{"inverlay", "Inverlay Shipping and Forwarding (Scotland and Northern Isles) Holdings"}, {"jarrold", "Jarrold Press"}, {"keswick", "Keswick Outdoor"}}
	for i, n := range names {
		t := tenant.Tenant{ID: tenant.ID(n[0]), Name: n[1], Role: tenant.RoleClient, Domains: []string{n[0] + ".example"}}
		if i == 0 {
			t.Role = tenant.RoleProvider
		} else {
			m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("harbour-" + n[0]), Partner: "harbour", Tenant: t.ID,
				Owner: "it-lead@" + n[0] + ".example", Accounts: []string{"hmi-*"}})
		}
		m.Tenants = append(m.Tenants, t)
	}
	return m
}

var layerOf = map[string]tenant.Layer{"phish": tenant.LayerMail, "mail": tenant.LayerMail, "sign-in": tenant.LayerCloud,
	"session": tenant.LayerAccess, "logon": tenant.LayerEndpoint, "rmm": tenant.LayerAccess, "probe": tenant.LayerNetwork}

// fixture is one campaign with 25 hops through Harbour, 60 findings, and hostile strings in every field.
func fixture() (*campaign.Result, *tenant.Model) {
	m := fixtureModel()
	res := &campaign.Result{Schema: "1", Input: campaign.Input{Files: 148, Bytes: 3_481_220_119, Events: 18_204_556,
		From: at(-20, 0, 0), To: at(52, 3, 0), Snapshot: m.Version}}
	c := campaign.Campaign{ID: "c-5be1d0", Partner: "harbour", DwellDays: 46.8, Start: at(0, 0, 0), End: at(46, 19, 30), Drawn: at(46, 19, 30),
		Summary: "A technician of Harbour Managed IT was phished; with the stolen account and a remote-tool instance of the intruder's own, clients were entered one after the other.",
		FirstFoothold: campaign.Foothold{Time: at(0, 0, 0), Tenant: "harbour-it", Layer: tenant.LayerMail,
			Entity: &ocsf.Entity{Type: ocsf.EntityMailbox, Value: "p.quill@harbour-it.example"},
			Reason: "the earliest hop of the trace is a phishing mail whose link was opened 4 minutes later"},
		Accesses: []campaign.Access{{Kind: "account", Value: "hmi-pquill"}, {Kind: "remote-tool", Value: "screenconnect 9c41f0aa7be2d155"}, {Kind: "network", Value: "203.0.113.56/29"}},
		JoinedBy: []campaign.Join{
			{Kind: "rmm-instance", Value: "9c41f0aa7be2d155", Tenants: []tenant.ID{"harbour-it", "aldgate", "castell", "farrow"}, Reason: "the same ScreenConnect instance, which no trust declares, runs at four tenants"},
			{Kind: "account", Value: "hmi-pquill", Tenants: []tenant.ID{"aldgate", "birchwood", "dunmore"}, Reason: "one partner account with new sources at three tenants within 31 hours"},
			{Kind: "domain", Value: "securemail.example.test", Tenants: []tenant.ID{"harbour-it", "elmswell"}, Reason: "mail of both tenants links to hosts under one foreign apex"}},
		Incidents: []string{"i-01", "i-02", "i-03"},
	}
	hops := []struct {
		d, h, min      int
		ft, fe, fv     string
		tt, te, tv     string
		kind, label    string
		trust, outcome string
		key            string
		sev            ocsf.Severity
	}{
		{0, 0, 0, "", "domain", "securemail.example.test", "harbour-it", "mailbox", "p.quill@harbour-it.example", "phish", "phishing mail, link opened", "", "succeeded", "message-id <8f1c@securemail.example.test>", 4},
		{0, 0, 4, "harbour-it", "mailbox", "p.quill@harbour-it.example", "harbour-it", "user", "hmi-pquill", "sign-in", "sign-in, new country", "", "succeeded", "entra-request 51b0", 4},
		{1, 2, 10, "", "ip", "198.51.100.77", "harbour-it", "user", "hmi-pquill", "session", "VPN, first from this AS", "", "succeeded", "vpn-session 77120", 3},
		{1, 2, 31, "harbour-it", "user", "hmi-pquill", "harbour-it", "host", "HMI-JUMP02", "logon", "RDP to jump host", "", "succeeded", "", 3},
		{1, 3, 2, "harbour-it", "host", "HMI-JUMP02", "harbour-it", "host", "HMI-RMM01", "logon", "RDP", "", "succeeded", "", 3},
		{6, 11, 0, "", "rmm-instance", "9c41f0aa7be2d155", "harbour-it", "host", "HMI-JUMP02", "rmm", "foreign ScreenConnect installed", "", "succeeded", "rmm-session a81", 5},
		{9, 14, 20, "harbour-it", "host", "HMI-JUMP02", "aldgate", "host", "ALD-FS01", "session", "RDP over client VPN", "harbour-aldgate", "succeeded", "vpn-session 90233", 4},
		{9, 14, 41, "aldgate", "host", "ALD-FS01", "aldgate", "host", "ALD-DC01", "logon", "admin logon", "", "succeeded", "", 4},
		{9, 15, 5, "aldgate", "host", "ALD-DC01", "aldgate", "host", "ALD-SQL03", "logon", "admin logon", "", "succeeded", "", 4},
		{9, 15, 30, "", "rmm-instance", "9c41f0aa7be2d155", "aldgate", "host", "ALD-DC01", "rmm", "foreign ScreenConnect", "", "succeeded", "rmm-instance 9c41f0aa7be2d155", 5},
		{10, 9, 0, "harbour-it", "host", "HMI-JUMP02", "birchwood", "host", "BIR-TS04", "session", "RDP, 3 failed", "harbour-birchwood", "attempted", "vpn-session 90311", 3},
		{10, 9, 12, "harbour-it", "user", "hmi-pquill", "birchwood", "user", "hmi-pquill", "sign-in", "blocked by MFA", "harbour-birchwood", "attempted", "entra-request 88aa", 3},
		{10, 9, 30, "harbour-it", "host", "HMI-JUMP02", "birchwood", "ip", "10.20.0.0/22", "probe", "port sweep, 212 hosts", "harbour-birchwood", "attempted", "", 3},
		{17, 1, 0, "harbour-it", "host", "HMI-RMM01", "castell", "host", "CAS-WS118", "rmm", "RMM session, off hours", "harbour-castell", "succeeded", "rmm-session c12", 4},
		{17, 1, 22, "castell", "host", "CAS-WS118", "castell", "host", "CAS-SRV02", "logon", "SMB + service", "", "succeeded", "", 4},
		{17, 1, 50, "castell", "host", "CAS-SRV02", "castell", "host", "CAS-DC1", "logon", "admin logon", "", "succeeded", "", 4},
		{17, 2, 5, "", "rmm-instance", "9c41f0aa7be2d155", "castell", "host", "CAS-DC1", "rmm", "foreign ScreenConnect", "", "succeeded", "rmm-instance 9c41f0aa7be2d155", 5},
		{24, 5, 0, "harbour-it", "user", "hmi-pquill", "dunmore", "user", "hmi-pquill", "sign-in", "guest sign-in, new app", "harbour-dunmore", "succeeded", "entra-request 0c44", 4},
		{24, 5, 30, "dunmore", "user", "hmi-pquill", "dunmore", "mailbox", "finance@dunmore.example", "mail", "mailbox rule made", "", "succeeded", "", 4},
		{30, 8, 0, "harbour-it", "mailbox", "p.quill@harbour-it.example", "elmswell", "mailbox", "reception@elmswell.example", "mail", "partner mail with link, held", "harbour-elmswell", "attempted", "message-id <aa10@harbour-it.example>", 3},
		{30, 8, 2, "harbour-it", "mailbox", "p.quill@harbour-it.example", "elmswell", "mailbox", "planning@elmswell.example", "mail", "partner mail with link, held", "harbour-elmswell", "attempted", "message-id <aa11@harbour-it.example>", 3},
		{38, 3, 0, "harbour-it", "host", "HMI-RMM01", "farrow", "host", hostile[0], "rmm", hostile[1], "harbour-farrow", "succeeded", "rmm-session f77", 5},
		{38, 3, 14, "farrow", "host", hostile[0], "farrow", "host", "FAR-DMS invoice\u202Efdp.exe", "logon", "admin logon " + hostile[5], "", "succeeded", "", 4},
		{46, 19, 0, "farrow", "host", "FAR-DMS invoice\u202Efdp.exe", "", "ip", "198.51.100.201", "session", "41 GB out", "", "succeeded", "", 5},
		{46, 19, 30, "harbour-it", "host", "HMI-JUMP02", "gorsedale", "host", "GOR-GW1", "probe", "refused", "harbour-gorsedale", "attempted", "", 2},
	}
	for i, h := range hops {
		c.Hops = append(c.Hops, campaign.Hop{Time: at(h.d, h.h, h.min),
			From: campaign.HopEnd{Tenant: tenant.ID(h.ft), Entity: ocsf.Entity{Type: ocsf.EntityType(h.fe), Value: h.fv}},
			To:   campaign.HopEnd{Tenant: tenant.ID(h.tt), Entity: ocsf.Entity{Type: ocsf.EntityType(h.te), Value: h.tv}},
			Kind: h.kind, Label: h.label, Trust: tenant.TrustID(h.trust), JoinKey: h.key, Outcome: h.outcome, Severity: h.sev,
			Evidence: []campaign.HopEvidence{{File: h.tt + "/windows/security.evtx", Record: int64(1000 + i*7), Text: h.fv + " → " + h.tv}}})
	}
	res.List = fixtureFindings(c.Hops)
	for i, o := range []campaign.Outcome{"succeeded", "succeeded", "attempted", "succeeded", "succeeded", "attempted", "succeeded", "attempted", "exposed", "blind", "exposed", "clear"} {
		id := m.Tenants[i].ID
		to := campaign.TenantOutcome{Tenant: id, Outcome: o, Reason: reasonFor(o)}
		if i > 0 && o != "clear" {
			to.Trust = tenant.TrustID("harbour-" + id)
		}
		for _, f := range res.List {
			if f.Tenant == id && f.Suppressed == nil {
				to.Findings = append(to.Findings, f.ID)
				if to.Since.IsZero() {
					to.Since = f.Time
				}
			}
		}
		c.Tenants = append(c.Tenants, to)
	}
	res.Campaigns = []campaign.Campaign{c}
	for i, id := range []tenant.ID{"harbour-it", "aldgate", "farrow"} {
		res.Incidents = append(res.Incidents, campaign.Incident{ID: fmt.Sprintf("i-%02d", i+1), Tenant: id, Trust: tenant.TrustID("harbour-" + id), Partner: "harbour",
			Start: at(i*9, 0, 0), End: at(i*9+2, 4, 0), Severity: ocsf.SeverityCritical, Outcome: ocsf.OutcomeSucceeded, Campaign: c.ID,
			Title:  []string{"Technician's account taken over and foreign remote tool on jump host", "Partner session leads to domain controller", hostile[2]}[i],
			Layers: []tenant.Layer{tenant.LayerMail, tenant.LayerAccess, tenant.LayerEndpoint}, Techniques: []ocsf.Technique{"T1199", "T1219"}, Findings: []string{res.List[i].ID}})
	}
	res.Incidents = append(res.Incidents, campaign.Incident{ID: "i-04", Tenant: "jarrold", Start: at(12, 0, 0), End: at(12, 1, 0), Severity: ocsf.SeverityLow,
		Outcome: ocsf.OutcomeAttempted, Title: "Commodity phishing, five mails", Layers: []tenant.Layer{tenant.LayerMail}, Techniques: []ocsf.Technique{"T1566"}})
	trace(res)
	fixtureCoverage(res, m)
	res.Unparsed = []campaign.Unparsed{{File: "castell/zeek/conn.log.gz!conn.log", Reason: "line has 19 fields, header names 21", Count: 14},
		{File: "farrow/mail/new/" + hostile[1], Reason: hostile[8], Count: 1}}
	res.Notes = []string{"412 RDP sessions into keswick come from 192.0.2.14, which no trust declares: declare it or ask keswick who that is.",
		"Evidence named " + hostile[2] + " was taken as it is."}
	res.Findings = totals(res)
	return res, m
}

// trace gives the second incident a trace over three hops and one more source, whose holder must be asked.
func trace(res *campaign.Result) {
	n, hops := &res.Incidents[1], res.Campaigns[0].Hops
	n.Trace = &campaign.IncidentTrace{Source: hops[7].From, Origin: hops[4].From, Hops: []campaign.Hop{hops[4], hops[6], hops[7]},
		Reason: "no session into HMI-JUMP02 was open at 2026-01-02T03:02:00Z", Findings: n.Findings,
		Others: []campaign.IncidentTrace{{Source: hops[21].To, Origin: campaign.HopEnd{Entity: ocsf.Entity{Type: "ip", Value: "198.51.100.77"}}, Hops: hops[21:22],
			Ask: "harbour", For: "address 198.51.100.77", From: at(9, 0, 0), To: at(9, 1, 0), Reason: hostile[0], Findings: n.Findings}}}
}

func reasonFor(o campaign.Outcome) string {
	switch o {
	case campaign.Succeeded:
		return "a session of the intruder got in and code ran there"
	case campaign.Attempted:
		return "intruder activity reached it and was refused; sign-ins and endpoints show no success"
	case campaign.Exposed:
		return "account hmi-pquill is valid there and telemetry shows no use since the foothold"
	case campaign.Blind:
		return "account hmi-pquill is valid there and no access or endpoint telemetry exists"
	}
	return "no access that the intruder holds reaches it"
}

func fixtureFindings(hops []campaign.Hop) []*ocsf.Finding {
	var out []*ocsf.Finding
	add := func(i int, id tenant.ID, kind, title, reason string, when time.Time, sev ocsf.Severity, outcome ocsf.Outcome, entity ocsf.Entity) *ocsf.Finding {
		f := &ocsf.Finding{Tenant: id, Layer: layerOf[kind], Detector: "sigma", Rule: "bw-" + kind, Title: title, Technique: "T1199",
			Severity: sev, Confidence: 50 + i%50, Outcome: outcome, Entities: []ocsf.Entity{entity}, Reason: reason, Snapshot: "7f3a9c21"}
		if id != "harbour-it" {
			f.Trust, f.Partner = tenant.TrustID("harbour-"+id), "harbour"
		}
		for k := range 1 + i%4 {
			e := &ocsf.Event{Time: when.Add(time.Duration(k) * time.Second), Tenant: id, Layer: f.Layer, Class: ocsf.ClassAuthentication, Activity: "logon",
				Src: ocsf.Endpoint{IP: netip.MustParseAddr("198.51.100.77"), Port: 50211}, Dst: ocsf.Endpoint{Host: entity.Value}, Device: entity.Value,
				User: ocsf.User{Name: "hmi-pquill"}, Source: "windows/security", URL: hostile[(i+k)%len(hostile)],
				Raw: ocsf.RawRef{File: string(id) + "/windows/security.evtx", Record: int64(4000 + i*10 + k)}}
			sum := sha256.Sum256(fmt.Append(nil, i, k))
			copy(e.ID[:], sum[:])
			f.AddEvidence(e)
		}
		f.Identify(when, kind, fmt.Sprint(i))
		return f
	}
	for i, h := range hops {
		id := h.To.Tenant
		if id == "" {
			id = h.From.Tenant
		}
		f := add(i, id, h.Kind, h.Label, "The partner's account comes from an address it never used, at an hour outside its habit.", h.Time, h.Severity, ocsf.Outcome(h.Outcome), h.To.Entity)
		f.AddEntity(ocsf.EntityRMM, "9c41f0aa7be2d155", ocsf.RoleInfrastructure)
		hops[i].Findings = []string{f.ID}
		out = append(out, f)
	}
	ids := []tenant.ID{"aldgate", "birchwood", "castell", "farrow", "jarrold", "keswick"}
	for i := len(out); i < 57; i++ {
		title := "Unsigned tool run from a user's folder"
		if i%3 == 0 {
			title = hostile[i%len(hostile)]
		}
		out = append(out, add(i, ids[i%len(ids)], []string{"logon", "probe", "mail", "session"}[i%4], title, "Reason with "+hostile[(i*5)%len(hostile)],
			at(i%40, i%24, i), ocsf.Severity(1+i%4), ocsf.OutcomeUnknown, ocsf.Entity{Type: ocsf.EntityHost, Value: "WS-" + hostile[(i*7)%len(hostile)]}))
	}
	for i := 57; i < 60; i++ {
		f := add(i, "keswick", "probe", "Approved inventory scan", "212 hosts asked on 40 ports", at(i-40, 20, 0), ocsf.SeverityMedium, ocsf.OutcomeAttempted,
			ocsf.Entity{Type: ocsf.EntityIP, Value: "192.0.2.14"})
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: "it-lead@keswick.example", Reason: "yearly inventory " + hostile[9], Until: at(60, 0, 0)}
		out = append(out, f)
	}
	return out
}

func fixtureCoverage(res *campaign.Result, m *tenant.Model) {
	worst := map[tenant.ID]map[tenant.Layer]campaign.Outcome{}
	n := map[tenant.ID]map[tenant.Layer]int{}
	for _, f := range res.List {
		if f.Suppressed != nil {
			continue
		}
		if worst[f.Tenant] == nil {
			worst[f.Tenant], n[f.Tenant] = map[tenant.Layer]campaign.Outcome{}, map[tenant.Layer]int{}
		}
		n[f.Tenant][f.Layer]++
		if f.Outcome == "succeeded" || (f.Outcome == "attempted" && worst[f.Tenant][f.Layer] == "") {
			worst[f.Tenant][f.Layer] = campaign.Outcome(f.Outcome)
		}
	}
	for i, t := range m.Tenants {
		for k, l := range tenant.Layers {
			cov := campaign.Coverage{Tenant: t.ID, Layer: l, From: at(-20, 0, i), To: at(52, 2, i), Events: int64(1000 + 7919*i*(k+1))}
			o := worst[t.ID][l]
			if o == "" {
				o = campaign.Clear
				if len(res.Campaigns) > 0 && (i == 8 || i == 10) {
					o = campaign.Exposed
				}
			}
			if t.ID == "inverlay" && l != tenant.LayerMail || t.ID == "hexham" && l == tenant.LayerCloud {
				cov.From, cov.To, cov.Events, o = time.Time{}, time.Time{}, 0, campaign.Blind
			}
			res.Coverage = append(res.Coverage, cov)
			res.Matrix = append(res.Matrix, campaign.MatrixRow{Tenant: t.ID, Layer: l, Outcome: o, Findings: n[t.ID][l], Events: cov.Events})
		}
	}
}

// fixtureQuiet is a scan without a campaign.
func fixtureQuiet() (*campaign.Result, *tenant.Model) {
	m := fixtureModel()
	res := &campaign.Result{Schema: "1", Input: campaign.Input{Files: 12, Bytes: 88_204, Events: 17_392, From: at(0, 0, 0), To: at(11, 0, 0), Snapshot: m.Version}}
	full, _ := fixture()
	for _, f := range full.List {
		if f.Tenant == "jarrold" || f.Suppressed != nil {
			res.List = append(res.List, f)
		}
	}
	fixtureCoverage(res, m)
	res.Findings = totals(res)
	return res, m
}

var fixtures = map[string]func() (*campaign.Result, *tenant.Model){"campaign": fixture, "quiet": fixtureQuiet}
