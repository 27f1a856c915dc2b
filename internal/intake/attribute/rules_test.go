package attribute

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// attribution is how an event should come out: trust, direction, rule; "" trust where nothing covers it.
type attribution struct {
	trust     tenant.TrustID
	direction ocsf.Direction
	rule      string
}

type claim struct {
	name  string
	event ocsf.Event
	want  attribution
}

func prove(t *testing.T, claims []claim) {
	for _, c := range claims {
		t.Run(c.name, func(t *testing.T) {
			e := attributed(t, model(), c.event)
			if got := (attribution{e.Trust, e.Direction, e.Rule}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if (e.Partner == "") != (e.Trust == "") {
				t.Errorf("trust %q with partner %q", e.Trust, e.Partner)
			}
		})
	}
}

func TestCloudPrincipalsAreKnownByWhatTheyNameThemselves(t *testing.T) {
	sign := func(c ocsf.Cloud) ocsf.Event { return ocsf.Event{Cloud: &c} }
	by := func(rule string) attribution { return attribution{"nw-acme", ocsf.DirectionIn, rule} }
	delegated := func(user string) ocsf.Event {
		return ocsf.Event{Cloud: &ocsf.Cloud{Provider: "m365"}, User: ocsf.User{Name: user}}
	}
	prove(t, []claim{
		{"a declared home tenant that enters another", sign(ocsf.Cloud{HomeTenant: homeTenant, ResourceTenant: ownTenant}), by("cloud principal home_tenant " + homeTenant)},
		{"ids are compared without case", sign(ocsf.Cloud{AppID: "44444444-AAAA-4BBB-8CCC-000000000004"}), by("cloud principal app_id 44444444-AAAA-4BBB-8CCC-000000000004")},
		{"a principal at home in the tenant it enters is nobody's partner", sign(ocsf.Cloud{HomeTenant: homeTenant, ResourceTenant: homeTenant}), attribution{}},
		{"a home tenant without a resource tenant is not taken for foreign", sign(ocsf.Cloud{HomeTenant: homeTenant}), attribution{}},
		{"an undeclared home tenant is nobody's", sign(ocsf.Cloud{HomeTenant: elsewhere, ResourceTenant: ownTenant}), attribution{}},
		{"a declared app, whoever owns it", sign(ocsf.Cloud{AppID: appID, AppOwnerTenant: elsewhere, ResourceTenant: ownTenant}), by("cloud principal app_id " + appID)},
		{"an app acting by itself is its owner's", sign(ocsf.Cloud{AppOwnerTenant: homeTenant, ResourceTenant: ownTenant, ServicePrin: true}), by("cloud principal home_tenant " + homeTenant)},
		{"a person who uses an app is not the app's owner", sign(ocsf.Cloud{AppOwnerTenant: homeTenant, ResourceTenant: ownTenant}), attribution{}},
		{"a declared account of the caller", sign(ocsf.Cloud{AccountID: "123456789012"}), by("cloud principal account_id 123456789012")},
		{"a declared role", ocsf.Event{Cloud: &ocsf.Cloud{}, Actor: ocsf.User{Name: "partneradmin"}}, by("cloud principal role partneradmin")},
		{"a delegated account of the partner's domain", delegated("user_" + hex32 + "@northwind.example"), by("delegated account of northwind.example")},
		{"a delegated account in capitals", delegated("USER_" + "0123456789ABCDEF0123456789ABCDEF" + "@Northwind.example"), by("delegated account of northwind.example")},
		{"a delegated account that resets another's password", ocsf.Event{Class: ocsf.ClassAccountChange, Cloud: &ocsf.Cloud{}, Actor: ocsf.User{Name: "user_" + hex32 + "@northwind.example"}, User: ocsf.User{Name: "eve@acme.example"}}, by("delegated account of northwind.example")},
		{"a delegated account that is changed by the client's own", ocsf.Event{Class: ocsf.ClassAccountChange, Cloud: &ocsf.Cloud{}, Actor: ocsf.User{Name: "adm@acme.example"}, User: ocsf.User{Name: "user_" + hex32 + "@northwind.example"}}, attribution{}},
		{"a partner's person who has the client's service account act", ocsf.Event{Cloud: &ocsf.Cloud{Provider: "gcp"}, Actor: ocsf.User{Name: "t@northwind.example"}, User: ocsf.User{Name: "ci@client.iam.gserviceaccount.com"}}, by("account *@northwind.example")},
		{"a delegated account of a stranger", delegated("user_" + hex32 + "@other.example"), attribution{}},
		{"31 digits are no delegated account, but an account of the domain", delegated("user_" + hex32[1:] + "@northwind.example"), by("account *@northwind.example")},
	})
}

func TestRemoteToolsAreKnownByInstanceThenHostThenProduct(t *testing.T) {
	tool := func(r ocsf.RemoteSession) ocsf.Event { return ocsf.Event{Remote: &r} }
	by := func(rule string) attribution { return attribution{"nw-acme", ocsf.DirectionIn, "remote tool " + rule} }
	prove(t, []claim{
		{"the declared instance", tool(ocsf.RemoteSession{Tool: "screenconnect", Instance: "abc123"}), by("screenconnect/abc123")},
		{"the declared instance behind a new relay", tool(ocsf.RemoteSession{Tool: "screenconnect", Instance: "abc123", Relay: "new.example"}), by("screenconnect/abc123")},
		{"another instance is somebody else's", tool(ocsf.RemoteSession{Tool: "screenconnect", Instance: "evil99"}), attribution{}},
		{"another instance behind the declared relay too", tool(ocsf.RemoteSession{Tool: "screenconnect", Instance: "evil99", Relay: "help.northwind.example"}), attribution{}},
		{"the declared relay where the record tells no instance", tool(ocsf.RemoteSession{Tool: "screenconnect", Relay: "Help.northwind.example"}), by("screenconnect/@help.northwind.example")},
		{"a host below the declared relay", tool(ocsf.RemoteSession{Tool: "screenconnect", Relay: "i7.help.northwind.example"}), by("screenconnect/@help.northwind.example")},
		{"a host beside the declared relay", tool(ocsf.RemoteSession{Tool: "screenconnect", Relay: "xhelp.northwind.example"}), attribution{}},
		{"a tool declared by its relay alone, whatever its instance", tool(ocsf.RemoteSession{Tool: "anydesk", Instance: "77", Relay: "relay.northwind.example"}), by("anydesk/@relay.northwind.example")},
		{"a tool declared by its relay, through another", tool(ocsf.RemoteSession{Tool: "anydesk", Relay: "relay.evil.example"}), attribution{}},
		{"a tool declared as a product", tool(ocsf.RemoteSession{Tool: "teamviewer"}), by("teamviewer")},
		{"a tool declared as a product, with an instance", tool(ocsf.RemoteSession{Tool: "teamviewer", Instance: "5"}), by("teamviewer")},
		{"a tool that nobody declared", tool(ocsf.RemoteSession{Tool: "rustdesk"}), attribution{}},
		{"a record that names no tool", tool(ocsf.RemoteSession{Relay: "relay.northwind.example"}), attribution{}},
	})
}

func TestAccountsAreKnownByNameGlobAndDomain(t *testing.T) {
	user := func(name, domain string) ocsf.Event {
		return ocsf.Event{Class: ocsf.ClassAuthentication, User: ocsf.User{Name: name, Domain: domain}}
	}
	by := func(pattern string) attribution {
		return attribution{"nw-acme", ocsf.DirectionUnknown, "account " + pattern}
	}
	claims := []claim{
		{"exact", user("svc-backup", ""), by("svc-backup")},
		{"exact, without case", user("SVC-Backup", "ACME"), by("svc-backup")},
		{"by a glob", user("NW-anna", ""), by("nw-*")},
		{"a glob with its domain before it", user(`ACME\nw-anna`, ""), by("nw-*")},
		{"all of a domain", user("anna@northwind.example", ""), by("*@northwind.example")},
		{"a domain that only ends alike", user("anna@xnorthwind.example", ""), attribution{}},
		{"a longer glob before a shorter", user("nw-plc-7", ""), attribution{"maker-acme", "", "account nw-plc-*"}},
		{"exact before a glob", user("operator@maker.example", ""), attribution{"maker-acme", "", "account operator@maker.example"}},
		{"declared with its directory domain", user("ext-bob", "ACME"), by(`acme\ext-*`)},
		{"declared with its directory domain and written so", user(`acme\EXT-bob`, ""), by(`acme\ext-*`)},
		{"the same name in another directory domain", user("ext-bob", "LAB"), attribution{}},
		{"the same name without a domain", user("ext-bob", ""), attribution{}},
		{"no name", user("", "ACME"), attribution{}},
		{"a dash for no name", user("-", ""), attribution{}},
		{"a change of a partner's account is its changer's act", ocsf.Event{Class: ocsf.ClassAccountChange, User: ocsf.User{Name: "nw-anna"}, Actor: ocsf.User{Name: "admin"}}, attribution{}},
		{"a partner who changes an account", ocsf.Event{Class: ocsf.ClassGroupManagement, User: ocsf.User{Name: "jo"}, Actor: ocsf.User{Name: "nw-anna"}}, by("nw-*")},
		{"who acts where nobody else is named", ocsf.Event{Actor: ocsf.User{Name: "nw-anna"}}, by("nw-*")},
		{"an event of mail is told by its domain alone", ocsf.Event{Mail: &ocsf.Mail{From: "x@other.example"}, User: ocsf.User{Name: "nw-anna"}}, attribution{"", ocsf.DirectionIn, ""}},
		{"the holder of a lease", ocsf.Event{Lease: &ocsf.Lease{Kind: "vpn", Holder: ocsf.User{Name: "nw-anna"}, Start: true}}, by("nw-*")},
	}
	for i := range claims {
		if claims[i].want.trust != "" {
			claims[i].want.direction = ocsf.DirectionIn
		}
	}
	prove(t, claims)
}

func TestGlobsMatchWholeNames(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"isl-*", "isl-", true},
		{"isl-*", "isl-x", true},
		{"isl-*", "xisl-x", false},
		{"*-adm", "bob-adm", true},
		{"*-adm", "bob-adm2", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"a**b", "ab", true},
		{"*", "", true},
		{"a", "a", true},
		{"a", "ab", false},
	} {
		if got := tenant.MatchAccount(c.glob, c.name); got != c.want {
			t.Errorf("%q and %q: %v, want %v", c.glob, c.name, got, c.want)
		}
	}
}

func TestNetworksAreKnownByTheLongestPrefixThatHolds(t *testing.T) {
	flow := func(when time.Time, src, dst string) ocsf.Event {
		e := ocsf.Event{Time: when, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{}, Src: ocsf.Endpoint{IP: ip(src)}}
		if dst != "" {
			e.Dst.IP = ip(dst)
		}
		return e
	}
	in := func(trust tenant.TrustID, p string) attribution {
		return attribution{trust, ocsf.DirectionIn, "network " + p}
	}
	prove(t, []claim{
		{"an address of a declared network", flow(day(10), "203.0.113.7", "10.20.0.1"), in("nw-acme", "203.0.113.0/24")},
		{"the longer of two prefixes", flow(day(10), "203.0.113.70", "10.20.0.1"), in("maker-acme", "203.0.113.64/28")},
		{"the shorter where the longer's trust is not yet valid", flow(day(4), "203.0.113.70", "10.20.0.1"), in("nw-acme", "203.0.113.0/24")},
		{"the longer from its first moment", flow(day(5), "203.0.113.70", "10.20.0.1"), in("maker-acme", "203.0.113.64/28")},
		{"the shorter from the moment at which the longer ends", flow(day(20), "203.0.113.70", "10.20.0.1"), in("nw-acme", "203.0.113.0/24")},
		{"IPv6", flow(day(10), "2001:db8:99::7", "2001:db8:20::1"), in("nw-acme", "2001:db8:99::/48")},
		{"an IPv4 address written as IPv6", flow(day(10), "::ffff:203.0.113.7", "10.20.0.1"), in("nw-acme", "203.0.113.0/24")},
		{"an address beside the network", flow(day(10), "203.0.114.7", "10.20.0.1"), attribution{"", ocsf.DirectionIn, ""}},
		{"the way out to a declared network", flow(day(10), "10.20.0.1", "203.0.113.7"), attribution{"nw-acme", ocsf.DirectionOut, "destination network 203.0.113.0/24"}},
		{"the way out to anybody", flow(day(10), "10.20.0.1", "192.0.2.1"), attribution{"", ocsf.DirectionOut, ""}},
		{"the way within", flow(day(10), "10.20.0.1", "10.20.0.2"), attribution{"", ocsf.DirectionInternal, ""}},
		{"a logon record says nothing of a way out", ocsf.Event{Class: ocsf.ClassAuthentication, Src: ocsf.Endpoint{IP: ip("10.20.0.1")}, Dst: ocsf.Endpoint{IP: ip("203.0.113.7")}}, attribution{"", ocsf.DirectionOut, ""}},
		{"no address", ocsf.Event{Class: ocsf.ClassNetworkActivity}, attribution{}},
	})
}

func TestJumpHostsAreKnownByNameOrAddressOutsideTheTenant(t *testing.T) {
	prove(t, []claim{
		{"by name", ocsf.Event{Src: ocsf.Endpoint{Host: "JUMP1.northwind.example", IP: ip("192.0.2.8")}}, attribution{"nw-acme", ocsf.DirectionIn, "jump host jump1.northwind.example"}},
		{"by name where there is no address", ocsf.Event{Src: ocsf.Endpoint{Host: "jump1.northwind.example"}}, attribution{"nw-acme", ocsf.DirectionIn, "jump host jump1.northwind.example"}},
		{"by address", ocsf.Event{Src: ocsf.Endpoint{IP: ip("198.51.100.9")}}, attribution{"nw-acme", ocsf.DirectionIn, "jump host 198.51.100.9"}},
		{"not a host of the tenant's own that took the name", ocsf.Event{Src: ocsf.Endpoint{Host: "jump1.northwind.example", IP: ip("10.20.0.8")}}, attribution{"", ocsf.DirectionInternal, ""}},
		{"not its neighbour", ocsf.Event{Src: ocsf.Endpoint{IP: ip("198.51.100.10")}}, attribution{"", ocsf.DirectionIn, ""}},
	})
}

func TestMailIsKnownByItsDomain(t *testing.T) {
	mail := func(from, envelope string) ocsf.Event {
		return ocsf.Event{Mail: &ocsf.Mail{From: from, EnvelopeFrom: envelope}}
	}
	yes := attribution{"nw-acme", ocsf.DirectionIn, "mail domain northwind.example"}
	no := attribution{"", ocsf.DirectionIn, ""}
	prove(t, []claim{
		{"the declared domain", mail("anna@northwind.example", ""), yes},
		{"a domain below it", mail("anna@de.mail.northwind.example", ""), yes},
		{"the envelope where the header says another", mail("news@list.example", "bounce@northwind.example"), yes},
		{"a domain that only ends alike", mail("anna@notnorthwind.example", ""), no},
		{"the domain as a label of another", mail("anna@northwind.example.evil.example", ""), no},
		{"the domain within a local part", mail("anna@northwind.example@evil.example", ""), no},
		{"a local part with an @ of its own", mail("anna@home@northwind.example", ""), yes},
		{"no domain", mail("northwind.example", ""), no},
		{"an empty sender", mail("", ""), no},
	})
}

func TestAProvidersOwnToolNamesItsClients(t *testing.T) {
	own := func(company string) ocsf.Event {
		return ocsf.Event{Tenant: "north", Remote: &ocsf.RemoteSession{Tool: "screenconnect", Instance: "abc123", Company: company}}
	}
	prove(t, []claim{
		{"by name", own("acme manufacturing"), attribution{"nw-acme", ocsf.DirectionOut, "remote tool company acme manufacturing"}},
		{"by alias", own("Acme-DE"), attribution{"nw-acme", ocsf.DirectionOut, "remote tool company Acme-DE"}},
		{"by id", own("borg"), attribution{"nw-borg", ocsf.DirectionOut, "remote tool company borg"}},
		{"not by a name that two clients bear", own("Group"), attribution{}},
		{"not by an unknown name", own("Other"), attribution{}},
		{"not by no name", own(""), attribution{}},
		{"not the provider itself", own("Northwind IT"), attribution{}},
		{"not at a client: there it is the instance that tells", ocsf.Event{Tenant: "borg", Remote: &ocsf.RemoteSession{Tool: "screenconnect", Company: "acme"}}, attribution{}},
	})
}

func TestWhatNamesItselfComesBeforeAnAddress(t *testing.T) {
	maker := ocsf.Endpoint{IP: ip("203.0.113.70")} // the maker's network
	lease := leased("acme", at("11:00:00"), "vpn", "203.0.113.70", "nw-anna")
	for _, c := range []struct {
		name, rule string
		event      ocsf.Event
	}{
		{"a cloud principal before an account", "cloud principal app_id " + appID, ocsf.Event{Cloud: &ocsf.Cloud{AppID: appID}, User: ocsf.User{Name: "nw-plc-1"}, Src: maker}},
		{"a remote tool before an account", "remote tool teamviewer", ocsf.Event{Remote: &ocsf.RemoteSession{Tool: "teamviewer"}, User: ocsf.User{Name: "nw-plc-1"}, Src: maker}},
		{"an account before a session", "account nw-plc-*", ocsf.Event{User: ocsf.User{Name: "nw-plc-1"}, Src: maker}},
		{"a session before a network", "session of nw-anna (account nw-*)", ocsf.Event{Src: maker}},
		{"a network before a jump host", "network 203.0.113.64/28", ocsf.Event{Time: day(12), Src: ocsf.Endpoint{IP: maker.IP, Host: "jump1.northwind.example"}}},
		{"a jump host before a destination", "jump host 198.51.100.9", ocsf.Event{Flow: &ocsf.Flow{}, Src: ocsf.Endpoint{IP: ip("198.51.100.9")}, Dst: maker}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e := attributed(t, model(), c.event, lease); e.Rule != c.rule {
				t.Errorf("by %q, want %q", e.Rule, c.rule)
			}
		})
	}
}

func TestATrustHoldsFromItsFirstMomentToItsEnd(t *testing.T) {
	m := model()
	for i := range m.Trusts {
		m.Trusts[i].ValidFrom, m.Trusts[i].ValidUntil = day(5), day(20)
	}
	for name, e := range map[string]ocsf.Event{
		"cloud":   {Cloud: &ocsf.Cloud{AppID: appID}},
		"tool":    {Remote: &ocsf.RemoteSession{Tool: "screenconnect", Instance: "abc123"}},
		"account": {User: ocsf.User{Name: "svc-backup"}},
		"glob":    {User: ocsf.User{Name: "nw-anna"}},
		"network": {Src: ocsf.Endpoint{IP: ip("203.0.113.7")}},
		"jump":    {Src: ocsf.Endpoint{Host: "jump1.northwind.example"}},
		"mail":    {Mail: &ocsf.Mail{From: "a@northwind.example"}},
		"out":     {Flow: &ocsf.Flow{}, Dst: ocsf.Endpoint{IP: ip("203.0.113.7")}},
		"company": {Tenant: "north", Remote: &ocsf.RemoteSession{Tool: "x", Company: "acme"}},
	} {
		for _, c := range []struct {
			name string
			time time.Time
			want tenant.TrustID
		}{
			{"not yet valid", day(5).Add(-1), ""},
			{"first moment", day(5), "nw-acme"},
			{"last moment", day(20).Add(-1), "nw-acme"},
			{"ended", day(20), ""},
		} {
			e.Time = c.time
			if got := attributed(t, m, e).Trust; got != c.want {
				t.Errorf("%s, %s: trust %q, want %q", name, c.name, got, c.want)
			}
		}
	}
}

func TestOfEqualDeclarationsTheNewestHolds(t *testing.T) {
	renewed := func(old, new tenant.Trust) *tenant.Model {
		old.ID, old.ValidFrom, new.ID, new.ValidFrom = "old", day(1), "new", day(9)
		old.Partner, new.Partner, old.Tenant, new.Tenant = "maker", "maker", "acme", "acme"
		return &tenant.Model{Tenants: []tenant.Tenant{{ID: "acme"}}, Partners: []tenant.Partner{{ID: "maker"}}, Trusts: []tenant.Trust{old, new}}
	}
	both := tenant.Trust{Accounts: []string{"mk-*", "mk"}, JumpHosts: []string{"j"}, MailDomains: []string{"maker.example"}}
	for name, e := range map[string]ocsf.Event{
		"exact account": {User: ocsf.User{Name: "mk"}},
		"glob":          {User: ocsf.User{Name: "mk-1"}},
		"jump host":     {Src: ocsf.Endpoint{Host: "j"}},
		"mail":          {Mail: &ocsf.Mail{From: "a@maker.example"}},
	} {
		for when, want := range map[time.Time]tenant.TrustID{day(8): "old", day(9): "new"} {
			e.Time = when
			if got := attributed(t, renewed(both, both), e).Trust; got != want {
				t.Errorf("%s on %s: %q, want %q", name, when.Format(time.DateOnly), got, want)
			}
		}
	}
	t.Run("whatever the order in which they are declared", func(t *testing.T) {
		m := renewed(tenant.Trust{Accounts: []string{"*ext"}}, tenant.Trust{Accounts: []string{"mk-*"}})
		m.Trusts[0], m.Trusts[1] = m.Trusts[1], m.Trusts[0]
		if e := attributed(t, m, ocsf.Event{User: ocsf.User{Name: "mk-ext"}}); e.Trust != "new" {
			t.Errorf("%q by %q", e.Trust, e.Rule)
		}
	})
	t.Run("with one validity the lowest id", func(t *testing.T) {
		m := renewed(both, both)
		m.Trusts[0].ValidFrom = m.Trusts[1].ValidFrom
		if e := attributed(t, m, ocsf.Event{User: ocsf.User{Name: "mk-1"}}); e.Trust != "new" {
			t.Errorf("%q by %q", e.Trust, e.Rule)
		}
	})
}
