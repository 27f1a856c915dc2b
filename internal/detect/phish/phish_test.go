package phish

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/idna"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// testModel: the provider Marrowstone serves three clients; Quillfeather is a supplier whose telemetry we lack.
func testModel() *tenant.Model {
	m := &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "marrow", Name: "Marrowstone IT", Role: tenant.RoleProvider, Domains: []string{"marrowstone-it.com"}},
			{ID: "alder", Name: "Alderbrook Mills", Aliases: []string{"Alderbrook"}, Role: tenant.RoleClient, Domains: []string{"alderbrook.com"}},
			{ID: "birch", Name: "Birchgate", Role: tenant.RoleClient, Domains: []string{"birchgate.de"}},
			{ID: "cedar", Name: "Cedarhall", Role: tenant.RoleClient, Domains: []string{"cedarhall.fr"}}},
		Partners: []tenant.Partner{{ID: "marrow", Name: "Marrowstone IT", Tenant: "marrow"}, {ID: "quill", Name: "Quillfeather Paper Ltd"}}}
	for _, c := range []tenant.ID{"alder", "birch", "cedar"} {
		m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("marrow-" + c), Partner: "marrow", Tenant: c, MailDomains: []string{"marrowstone-it.com"},
			RemoteTools:  []tenant.RemoteTool{{Tool: "screenconnect", Instance: "aa", Hosts: []string{"help.marrowstone-it.com", "relay.marrow-tools.net"}}},
			Destinations: []string{"trainer-campaigns.net"}})
	}
	m.Trusts = append(m.Trusts, tenant.Trust{ID: "quill-alder", Partner: "quill", Tenant: "alder", MailDomains: []string{"quillfeather.co.uk"}})
	return m
}

func newTest() *Detector { return New(detect.Context{Model: testModel()}) }

var day0 = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// mailTo makes an authenticated mail event; change alters it.
func mailTo(id tenant.ID, from, to, subject, text string, change ...func(*ocsf.Event)) *ocsf.Event {
	m := &ocsf.Mail{MessageID: fmt.Sprintf("%x@x", text+subject+from), From: from, EnvelopeFrom: from, To: []string{to}, Subject: subject, Text: text,
		SPF: "pass", DKIM: "pass", DMARC: "pass", DKIMDomain: domainOf(from), BodyHash: fmt.Sprintf("%x", text)}
	for _, w := range strings.Fields(text) {
		if strings.Contains(w, "://") {
			m.Links = append(m.Links, ocsf.Link{URL: w, Host: hostIn(w)})
		}
	}
	e := &ocsf.Event{Time: day0, Tenant: id, Layer: tenant.LayerMail, Class: ocsf.ClassEmailActivity, Source: "mail", Mail: m, User: ocsf.User{Name: to}, Actor: ocsf.User{Name: from},
		Fields: ocsf.Fields{{Name: "header.to", Value: to}}}
	copy(e.ID[:], fmt.Sprintf("%.16s", m.MessageID))
	for _, c := range change {
		c(e)
	}
	return e
}

func at(t time.Time) func(*ocsf.Event)      { return func(e *ocsf.Event) { e.Time = t } }
func bulk(e *ocsf.Event)                    { e.Mail.Bulk = true }
func named(name string) func(*ocsf.Event)   { return func(e *ocsf.Event) { e.Mail.FromName = name } }
func dmarc(result string) func(*ocsf.Event) { return func(e *ocsf.Event) { e.Mail.DMARC = result } }
func shown(text string) func(*ocsf.Event)   { return func(e *ocsf.Event) { e.Mail.Links[0].Text = text } }
func replyTo(addr string) func(*ocsf.Event) { return func(e *ocsf.Event) { e.Mail.ReplyTo = addr } }
func problem(p string) func(*ocsf.Event) {
	return func(e *ocsf.Event) { e.Mail.ParseProblems = []string{p} }
}
func field(name, v string) func(*ocsf.Event) {
	return func(e *ocsf.Event) { e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: v}); e.Fields.Sort() }
}
func file(name string) func(*ocsf.Event) {
	return func(e *ocsf.Event) { e.Mail.Attachments = []ocsf.Attachment{{Name: name, SHA256: "ab"}} }
}

// findings runs events through a detector and returns what stands at the end, in the order of first telling.
func findings(d *Detector, events ...*ocsf.Event) []*ocsf.Finding {
	var order []string
	last := map[string]*ocsf.Finding{}
	for _, e := range events {
		d.Process(e, func(f *ocsf.Finding) {
			if last[f.ID] == nil {
				order = append(order, f.ID)
			}
			last[f.ID] = f
		})
	}
	var out []*ocsf.Finding
	for _, id := range order {
		out = append(out, last[id])
	}
	return out
}

// usualMail is 25 ordinary mails of the provider to one client over a month.
func usualMail(id tenant.ID, domain string) []*ocsf.Event {
	var out []*ocsf.Event
	for i := range 25 {
		out = append(out, mailTo(id, "ana@marrowstone-it.com", "joe@"+domain, "Ticket", fmt.Sprintf("Ticket %d is done, see https://help.marrowstone-it.com/t/%d and https://wiki.papertrail.example/p", i, i),
			at(day0.Add(time.Duration(i)*24*time.Hour)), field("header.x-mailer", "TicketDesk 9.2")))
	}
	return out
}

var later = day0.Add(40 * 24 * time.Hour)

// punycode writes a label in ASCII.
func punycode(label string) string {
	s, err := idna.Punycode.ToASCII(label)
	if err != nil {
		panic(err)
	}
	return s
}

func TestMessages(t *testing.T) {
	const own = "joe@alderbrook.com"
	tests := []struct {
		name  string
		event *ocsf.Event
		rule  string // "" no finding at medium or above
		sev   ocsf.Severity
	}{
		{"the tenant's domain under a foreign apex", mailTo("alder", "it@secure-note.app", own, "Secure mail", "Read it: https://securemail.alderbrook.com.internal-note.app/x"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"another tenant's domain under a foreign apex", mailTo("alder", "it@secure-note.app", own, "x", "https://birchgate.de.internal-note.app/x"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"with dashes for dots", mailTo("alder", "it@secure-note.app", own, "x", "https://login-quillfeather-co-uk.internal-note.app/x"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"as the sender's domain", mailTo("alder", "it@alderbrook.com.internal-note.app", own, "x", "hello"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"on a hosting suffix", mailTo("alder", "it@secure-note.app", own, "x", "https://alderbrook.com.web.app/x"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"behind a link rewriter", mailTo("alder", "it@secure-note.app", own, "x", "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Falderbrook.com.internal-note.app%2Fx&data=1"), "phish/victim-domain-under-apex", ocsf.SeverityHigh},
		{"a declared trainer's apex", mailTo("alder", "it@trainer-campaigns.net", own, "x", "https://alderbrook.com.trainer-campaigns.net/x"), "", 0},
		{"a mail protection's host name", mailTo("alder", "a@b.example", own, "x", "https://alderbrook-com.mail.protection.outlook.com/x"), "", 0},
		{"look-alike of the provider as sender", mailTo("alder", "ana@rnarrowstone-it.com", own, "Ticket", "hello"), "phish/lookalike-domain", ocsf.SeverityHigh},
		{"one letter off", mailTo("alder", "ana@marowstone-it.com", own, "Ticket", "hello"), "phish/lookalike-domain", ocsf.SeverityHigh},
		{"name with support added", mailTo("alder", "ana@marrowstone-it-support.com", own, "Ticket", "hello"), "phish/lookalike-domain", ocsf.SeverityHigh},
		{"Cyrillic letter", mailTo("alder", "ana@"+punycode("m\u0430rrowstone-it")+".com", own, "Ticket", "hello"), "phish/lookalike-domain", ocsf.SeverityHigh},
		{"look-alike in a link with a sign-in", mailTo("alder", "x@news.example", own, "Ticket", "please log in to https://quilfeather.co.uk/x today"), "phish/lookalike-domain", ocsf.SeverityHigh},
		{"a client's partner is nobody's at another client", mailTo("birch", "x@quilfeather.co.uk", "x@birchgate.de", "Ticket", "hello"), "", 0},
		{"provider's name, foreign address, unproven", mailTo("alder", "desk@helpful.example", own, "Ticket", "please log in to https://helpful.example/x", named("Marrowstone IT Service Desk"), dmarc("none")), "phish/impersonation", ocsf.SeverityMedium},
		{"the tenant's own domain, DMARC fails", mailTo("alder", "boss@alderbrook.com", own, "Invoice", "please see", dmarc("fail")), "phish/impersonation", ocsf.SeverityMedium},
		{"the same by a mailing list", mailTo("alder", "boss@alderbrook.com", own, "Invoice", "please see", dmarc("fail"), bulk), "", 0},
		{"address in the display name", mailTo("alder", "x@freebox.example", own, "x", "hello", named("boss@alderbrook.com")), "phish/impersonation", ocsf.SeverityMedium},
		{"link text shows the provider", mailTo("alder", "x@freebox.example", own, "x", "https://freebox.example/x", shown("help.marrowstone-it.com")), "phish/impersonation", ocsf.SeverityMedium},
		{"commodity sign-in phish", mailTo("alder", "x@freebox.example", own, "Mailbox full", "verify your mailbox at https://mailbox-quota.web.app/x within 24 hours", dmarc("fail")), "phish/commodity", ocsf.SeverityMedium},
		{"commodity stays below high", mailTo("alder", "x@freebox.example", own, "Mailbox full", "verify your mailbox at https://login.web.app/?joe@alderbrook.com within 24 hours, congratulations", dmarc("fail"), named("PayPal"), replyTo("a@gmail.com"), file("a.exe")), "phish/commodity", ocsf.SeverityMedium},
		{"remote support from elsewhere", mailTo("alder", "x@freebox.example", own, "x", "https://sc.freebox.example/Bin/Client.ClientSetup.exe?e=Access&y=Guest"), "phish/commodity", ocsf.SeverityMedium},
		{"remote support from the declared host", mailTo("alder", "ana@marrowstone-it.com", own, "Session", "https://help.marrowstone-it.com/Bin/Client.ClientSetup.exe?e=Support&y=Guest"), "", 0},
		{"unread to its end", mailTo("alder", "x@freebox.example", own, "x", "hello", problem("limit: more than 512 parts")), "phish/unparsable", ocsf.SeverityMedium},
		{"a little malformed", mailTo("alder", "x@freebox.example", own, "x", "hello", problem("odd: a header line that is none")), "", 0},
		{"page with a password form", mailTo("alder", "x@freebox.example", own, "x", "see attached", file("doc.html"), field("attachment.form", "password")), "phish/commodity", ocsf.SeverityMedium},
		{"newsletter of a service", mailTo("alder", "news@parcels.example", own, "Your account news", "view it online https://track.mailer.example/x or sign in to https://parcels.example/", bulk, shown("parcels.example")), "", 0},
		{"honest password reset of a service", mailTo("alder", "no-reply@ledger.example", own, "Reset your password", "reset your password: https://ledger.example/reset?t=1 it expires in 24 hours"), "", 0},
		{"merger notice", mailTo("alder", "ceo@birchgate.de", own, "We become one company", "Questions and answers: https://intranet.birchgate.de/merger"), "", 0},
		{"provider's mass mail", mailTo("alder", "noc@marrowstone-it.com", own, "Updates this week", "we install updates on Tuesday, https://status.marrowstone-it.com/m/1", bulk), "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findings(newTest(), tt.event)
			got = slices.DeleteFunc(got, func(f *ocsf.Finding) bool { return f.Severity < ocsf.SeverityMedium })
			if tt.rule == "" {
				for _, f := range got {
					t.Errorf("%s %s: %s", f.Severity, f.Rule, f.Reason)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d findings; %s", len(got), strings.Join(newTest().Explain(tt.event), "\n"))
			}
			if f := got[0]; f.Rule != tt.rule || f.Severity != tt.sev || f.Outcome != ocsf.OutcomeAttempted || f.Snapshot != "v1" || f.Count != 1 {
				t.Errorf("%s %s %s: %s", f.Rule, f.Severity, f.Outcome, f.Reason)
			}
		})
	}
}

func TestPartnerLure(t *testing.T) {
	lure := func(id tenant.ID, to string, when time.Time) *ocsf.Event {
		return mailTo(id, "ana@marrowstone-it.com", to, "Re: Ticket", "please log in with your company account by tonight: https://files.sharevault.example/d/1", at(when))
	}
	const to = "joe@alderbrook.com"
	tests := []struct {
		name   string
		before []*ocsf.Event
		event  *ocsf.Event
		sev    ocsf.Severity
	}{
		{"new place and a sign-in", usualMail("alder", "alderbrook.com"), lure("alder", to, later), ocsf.SeverityMedium},
		{"before the habit is known nothing is new", usualMail("alder", "alderbrook.com")[:3], lure("alder", to, day0.Add(72*time.Hour)), 0},
		{"known place", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Re: Ticket", "please log in with your company account: https://wiki.papertrail.example/x", at(later)), 0},
		{"new place alone", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Photos", "the photos are at https://album.example/x", at(later)), ocsf.SeverityLow},
		{"near copy of a known place", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Wiki", "https://wiki.papertrial.example/p", at(later)), ocsf.SeverityHigh},
		{"new bank account", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Invoice", "our bank details have changed, pay to the new account DE89 3704 0044 0532 0130 00", at(later)), ocsf.SeverityMedium},
		{"hand over a code", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Check", "please approve the sign-in request and send me the number", at(later)), ocsf.SeverityMedium},
		{"answers to elsewhere and secrecy", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "Hello", "are you at your desk? answer here only", at(later), replyTo("ana@marrow-office.example")), ocsf.SeverityMedium},
		{"unproven mail is no partner's", usualMail("alder", "alderbrook.com"), mailTo("alder", "ana@marrowstone-it.com", to, "x", "hello", at(later), dmarc("none"), func(e *ocsf.Event) { e.Mail.SPF, e.Mail.DKIM = "none", "none" }), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newTest()
			for _, f := range findings(d, tt.before...) {
				t.Errorf("in the usual mail: %s", f.Reason)
			}
			why := d.Explain(tt.event)
			got := findings(d, tt.event)
			sev := ocsf.SeverityUnknown
			if len(got) > 0 {
				sev = got[0].Severity
			}
			if sev != tt.sev && (tt.sev != 0 || sev >= ocsf.SeverityMedium) {
				t.Fatalf("%s, want %s\n%s", sev, tt.sev, strings.Join(why, "\n"))
			}
			if sev >= ocsf.SeverityMedium {
				f := got[0]
				if f.Rule != "phish/partner-lure" || f.Technique != "T1534" || f.Trust != "marrow-alder" || f.Partner != "marrow" {
					t.Errorf("%s %s %s %s", f.Rule, f.Technique, f.Trust, f.Partner)
				}
				if !slices.Contains(f.Entities, ocsf.Entity{Type: ocsf.EntityMailbox, Value: "ana@marrowstone-it.com", Role: ocsf.RoleActor}) {
					t.Errorf("the account is no actor: %v", f.Entities)
				}
			}
		})
	}
}

func TestOneLureAtThreeTenants(t *testing.T) {
	d := newTest()
	domains := map[tenant.ID]string{"alder": "alderbrook.com", "birch": "birchgate.de", "cedar": "cedarhall.fr"}
	for id, dom := range domains {
		findings(d, usualMail(id, dom)...)
	}
	var lures []*ocsf.Event
	for i, id := range []tenant.ID{"alder", "birch", "cedar"} {
		e := mailTo(id, "ana@marrowstone-it.com", "joe@"+domains[id], "New portal", "please log in with your company account: https://files.sharevault.example/d/1", at(later.Add(time.Duration(i)*time.Minute)))
		e.ID[0] = byte(i)
		lures = append(lures, e)
	}
	got := findings(d, lures...)
	if len(got) != 3 {
		t.Fatalf("%d findings", len(got))
	}
	for _, f := range got {
		if f.Severity != ocsf.SeverityHigh || !strings.Contains(f.Reason, "3 or more organisations") {
			t.Errorf("%s %s: %s", f.Tenant, f.Severity, f.Reason)
		}
		for _, o := range []string{"Alderbrook", "Birchgate", "Cedarhall"} {
			if strings.Contains(f.Reason, o) {
				t.Errorf("the reason names a tenant: %s", f.Reason)
			}
		}
		if !slices.Contains(f.Entities, ocsf.Entity{Type: ocsf.EntityDomain, Value: "sharevault.example", Role: ocsf.RoleInfrastructure}) {
			t.Errorf("the apex is no infrastructure: %v", f.Entities)
		}
	}
}

func TestCopiesAreOneFinding(t *testing.T) {
	first := mailTo("alder", "it@secure-note.app", "joe@alderbrook.com", "x", "https://alderbrook.com.internal-note.app/x")
	second := mailTo("alder", "it@secure-note.app", "max@alderbrook.com", "x", "https://alderbrook.com.internal-note.app/x", at(day0.Add(time.Minute)))
	second.ID[0] = 9
	got := findings(newTest(), first, first, second)
	if len(got) != 1 || got[0].Count != 2 {
		t.Fatalf("%d findings", len(got))
	}
	for _, to := range []string{"joe@alderbrook.com", "max@alderbrook.com"} {
		if !slices.Contains(got[0].Entities, ocsf.Entity{Type: ocsf.EntityMailbox, Value: to, Role: ocsf.RoleTarget}) {
			t.Errorf("%s is missing", to)
		}
	}
}

func TestContact(t *testing.T) {
	ev := func(class ocsf.ClassUID, host string, minute int, method string) *ocsf.Event {
		e := &ocsf.Event{Time: day0.Add(time.Duration(minute) * time.Minute), Tenant: "alder", Layer: tenant.LayerNetwork, Class: class, Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.1.7")},
			Dst: ocsf.Endpoint{IP: netip.MustParseAddr("198.18.7.7"), Domain: host}}
		if class == ocsf.ClassDNSActivity {
			e.Answers, e.Dst.IP = []string{"198.18.7.7"}, netip.MustParseAddr("10.1.1.1")
		}
		if method != "" {
			e.Fields = ocsf.Fields{{Name: "method", Value: method}}
		}
		e.ID[0] = byte(minute)
		return e
	}
	const evil = "SecureMail.alderbrook.com.internal-note.app."
	got := findings(newTest(), ev(ocsf.ClassDNSActivity, evil, 1, ""), ev(ocsf.ClassNetworkActivity, evil, 2, ""), ev(ocsf.ClassHTTPActivity, evil, 3, "GET"))
	if len(got) != 1 || got[0].Rule != "phish/victim-domain-contact" || got[0].Outcome != ocsf.OutcomeAttempted || got[0].Severity != ocsf.SeverityHigh || got[0].Count != 3 {
		t.Fatalf("%+v", got)
	}
	for _, want := range []ocsf.Entity{{Type: ocsf.EntityDomain, Value: "internal-note.app", Role: ocsf.RoleInfrastructure}, {Type: ocsf.EntityIP, Value: "198.18.7.7", Role: ocsf.RoleInfrastructure},
		{Type: ocsf.EntityIP, Value: "10.1.1.7", Role: ocsf.RoleTarget}} {
		if !slices.Contains(got[0].Entities, want) {
			t.Errorf("%v is missing in %v", want, got[0].Entities)
		}
	}
	got = findings(newTest(), ev(ocsf.ClassDNSActivity, evil, 1, ""), ev(ocsf.ClassHTTPActivity, evil, 3, "POST"))
	if len(got) != 1 || got[0].Outcome != ocsf.OutcomeSucceeded {
		t.Fatalf("a POST is no success: %+v", got)
	}
	for _, host := range []string{"www.alderbrook.com", "alderbrook.com.fritz.box", "alderbrook.com.lan", "alderbrook.com.dbl.spamhaus.org", "alderbrook.com.edgekey.net", "alderbrook-com.mail.protection.outlook.com",
		"alderbrook.com._report._dmarc.rua.example", "notalderbrook.com.x.app", "alderbrook.example", "com.x.app", "alderbrook.com.trainer-campaigns.net", "", "x", "alderbrook.com.alderbrook.com", strings.Repeat("a.", 120) + "de", "..", "alderbrook.com."} {
		if got := findings(newTest(), ev(ocsf.ClassDNSActivity, host, 1, "")); len(got) != 0 {
			t.Errorf("%s: %s", host, got[0].Reason)
		}
	}
}

func TestLinkFollowed(t *testing.T) {
	d := newTest()
	findings(d, usualMail("alder", "alderbrook.com")...)
	lure := mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", "Re: Wiki", "please log in with your company account by tonight: https://wiki.papertrial.example/p", at(later))
	if f := findings(d, lure); len(f) != 1 || f[0].Severity != ocsf.SeverityHigh {
		t.Fatalf("%+v", f)
	}
	visit := func(host string, after time.Duration, method string) *ocsf.Event {
		return &ocsf.Event{Time: later.Add(after), Tenant: "alder", Class: ocsf.ClassHTTPActivity, Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.1.7")}, Dst: ocsf.Endpoint{Domain: host}, Activity: method}
	}
	got := findings(d, visit("wiki.papertrail.example", time.Hour, "post"), visit("wiki.papertrial.example", time.Hour, "get"), visit("wiki.papertrial.example", 2*time.Hour, "post"))
	if len(got) != 1 || got[0].Rule != "phish/link-followed" || got[0].Outcome != ocsf.OutcomeSucceeded || got[0].Severity != ocsf.SeverityHigh || got[0].Count != 2 {
		t.Fatalf("%+v", got)
	}
	if got := findings(d, visit("wiki.papertrial.example", 30*24*time.Hour, "get")); len(got) != 0 {
		t.Errorf("after a month: %s", got[0].Reason)
	}
	other := visit("wiki.papertrial.example", time.Hour, "get")
	other.Tenant = "birch"
	if got := findings(d, other); len(got) != 0 {
		t.Errorf("at a tenant that got no mail: %s", got[0].Reason)
	}
}

func TestLookalike(t *testing.T) {
	n := newNames(testModel())
	tests := map[string]string{ // apex → what it is said to be
		"rnarrowstone-it.com": "characters", "marrowstoneit.com": "hyphen", "marrowstone-it.net": "top-level", "marrowstone-it-portal.com": "added", "my-marrowstone-it.com": "added",
		"marrowstnoe-it.com": "one letter", "marrowst0ne-it.com": "characters", "marrowstoen-id.com": "two letters", "marrowstone-shop.com": "carries the name", "alderbrooklogin.com": "added", "alderbr0ok.org": "characters",
		"aldebrook.com": "one letter", "marrowstone-it.com": "", "example.com": "", "alder.com": "", "brookside.com": "", "elderbrooks.com": "two letters", "stone-it.com": "", "marrow.com": "", punycode("\u0430lderbrook") + ".com": "characters", "alderbrookville.com": "",
	}
	for apex, want := range tests {
		l, ok := lookalike(apex, n.near["alder"])
		if n.declared(apex) {
			ok = false
		}
		if !ok {
			l.how = ""
		}
		if (want == "") != (l.how == "") || !strings.Contains(l.how, want) {
			t.Errorf("%s: %q, want %q", apex, l.how, want)
		}
	}
}

func TestUnwrap(t *testing.T) {
	tests := map[string]string{
		"https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Freal.example%2Fa&data=x":                                              "real.example",
		"https://urldefense.com/v3/__https://real.example/a__;!!abc$":                                                                            "real.example",
		"https://urldefense.com/v3/__https:/real.example/a__;!!abc$":                                                                             "real.example",
		"https://urldefense.proofpoint.com/v2/url?u=https-3A__real.example_a&d=x":                                                                "real.example",
		"https://www.google.com/url?q=https://real.example/&sa=D":                                                                                "real.example",
		"https://protect-eu.mimecast.com/s/abc?domain=real.example":                                                                              "real.example",
		"https://secure-web.cisco.com/1abc/https%3A%2F%2Freal.example%2Fa":                                                                       "real.example",
		"https://linkprotect.cudasvc.com/url?a=https%3a%2f%2freal.example%2f&c=E":                                                                "real.example",
		"https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.google.com%2Furl%3Fq%3Dhttps%253A%252F%252Freal.example%252F&x=1": "real.example",
		"https://shop.example/?url=https://other.example/":                                                                                       "shop.example",
		"https://www.google.com/search?q=hello":                                                                                                  "www.google.com",
		"https://real.example/":                                                                                                                  "real.example",
	}
	for raw, want := range tests {
		if _, got, _ := unwrap(raw, hostIn(raw)); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestRestoreGoesOn(t *testing.T) {
	events := append(usualMail("alder", "alderbrook.com"), usualMail("birch", "birchgate.de")...)
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	lure := mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", "Re: Ticket", "please log in with your company account: https://alderbrook.com.note.app/d/1", at(later))
	again := mailTo("alder", "ana@marrowstone-it.com", "max@alderbrook.com", "Re: Ticket", "please log in with your company account: https://alderbrook.com.note.app/d/1", at(later.Add(time.Minute)))
	again.ID[3] = 7
	events = append(events, lure, again)
	whole := newTest()
	want := findings(whole, events...)
	for cut := range events {
		a := newTest()
		first := findings(a, events[:cut]...)
		snap, err := a.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		b := newTest()
		if err := b.Restore(snap); err != nil {
			t.Fatal(err)
		}
		got := findings(b, events[cut:]...)
		if len(got) == 0 {
			got = first
		}
		if len(got) != len(want) || got[0].Reason != want[0].Reason || got[0].Count != want[0].Count || !cmp.Equal(got[0].Entities, want[0].Entities) || got[0].ID != want[0].ID {
			t.Fatalf("cut at %d: %+v\nwant %+v", cut, got, want)
		}
		if d := cmp.Diff(whole.state, b.state, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Fatalf("cut at %d: the states differ: %s", cut, d)
		}
	}
}

func TestRestoreRefusesWhatIsBroken(t *testing.T) {
	whole := func(edit func(*state)) []byte {
		s := newState()
		s.Mail["a"] = newMailState()
		s.Mail["a"].org("o")
		edit(&s)
		b, err := detect.EncodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := newTest().Restore(whole(func(*state) {})); err != nil {
		t.Errorf("what is whole is refused: %v", err)
	}
	for name, b := range map[string][]byte{
		"no encoding":       []byte("x"),
		"no contents":       nil,
		"tenant half there": whole(func(s *state) { s.Mail["a"].Lures = nil }),
		"habit half there":  whole(func(s *state) { s.Mail["a"].Orgs["o"].Pairs = nil }),
		"no finding":        whole(func(s *state) { s.Open["a"] = &open{Points: 1} }),
	} {
		if err := newTest().Restore(b); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
}

func TestExplainChangesNothing(t *testing.T) {
	d := newTest()
	findings(d, usualMail("alder", "alderbrook.com")...)
	before := newTest()
	findings(before, usualMail("alder", "alderbrook.com")...)
	e := mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", "x", "please log in with your company account: https://new.example/", at(later))
	lines := d.Explain(e)
	d.Explain(mailTo("unknown", "a@b.example", "c@d.example", "x", "hello"))
	d.Explain(&ocsf.Event{Dst: ocsf.Endpoint{Domain: "alderbrook.com.x.app"}})
	if d := cmp.Diff(before.state, d.state, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("Explain changed the state: %s", d)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "points") || !strings.Contains(all, "new.example") || !strings.Contains(all, "25 earlier mails") {
		t.Errorf("%s", all)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := memory{}
	for i := range 10_000 {
		m.touch(fmt.Sprint(i), day0.Add(time.Duration(i)*time.Second), 100)
	}
	if len(m) > 100 || !m.has("9999") || m.has("0") {
		t.Errorf("%d entries", len(m))
	}
	d := newTest()
	for i := range 3 * maxOpen {
		e := mailTo("alder", "x@secure-note.app", "joe@alderbrook.com", fmt.Sprint(i), fmt.Sprintf("https://alderbrook.com.n%d.app/", i), at(day0.Add(time.Duration(i)*time.Second)))
		d.Process(e, func(*ocsf.Finding) {})
	}
	if len(d.state.Open) > maxOpen || len(d.state.Fan) > maxClusters {
		t.Errorf("%d open findings, %d clusters", len(d.state.Open), len(d.state.Fan))
	}
	d.Advance(day0.Add(365*24*time.Hour), func(*ocsf.Finding) {})
	if len(d.state.Open)+len(d.state.Fan)+len(d.state.Contacts) != 0 {
		t.Error("nothing was forgotten")
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"securemail.alderbrook.com.note.app", "login-alderbrook-com.x.de", "xn--a.com", "..", "a", "alderbrook-com", "1.2.3.4", "co.uk", "alderbrook.com.web.app"} {
		f.Add(s)
	}
	n := newNames(testModel())
	f.Fuzz(func(t *testing.T, host string) {
		if decl, apex, ok := n.underApex(host); ok && (n.domains[decl] == nil || apex == "" || n.declared(apex)) {
			t.Errorf("%q: %q under %q", host, decl, apex)
		}
		lookalike(apexOf(host), n.orgs)
		unwrap("https://"+host, hostIn("https://"+host))
		siteOf(host)
		ibansIn(host)
		phonesIn(host)
		newText(host, host)
	})
}

func BenchmarkProcess(b *testing.B) {
	d := newTest()
	events := usualMail("alder", "alderbrook.com")
	for i := range 500 {
		events = append(events, mailTo("alder", fmt.Sprintf("p%d@shop%d.example", i%50, i%80), "joe@alderbrook.com", "News", strings.Repeat("Ordinary words about orders and meetings. ", 40)+fmt.Sprintf("https://shop%d.example/x", i%80), at(day0.Add(time.Duration(i)*time.Minute))))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d.Process(events[i%len(events)], func(*ocsf.Finding) {})
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkContact(b *testing.B) {
	d := newTest()
	e := &ocsf.Event{Class: ocsf.ClassDNSActivity, Dst: ocsf.Endpoint{Domain: "outlook.ha.office365.com"}}
	b.ReportAllocs()
	for b.Loop() {
		d.Process(e, func(*ocsf.Finding) {})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
}
