package tenant

import (
	"net/netip"
	"testing"
	"time"
)

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func days(list ...time.Weekday) (out [7]bool) {
	for _, d := range list {
		out[d] = true
	}
	return out
}

// 2 March 2026 is a Monday.
func TestHoursContainWhatTheySay(t *testing.T) {
	working := Hours{Restricted: true, From: 7 * 60, To: 19 * 60, Days: days(time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday)}
	night := Hours{Restricted: true, From: 22 * 60, To: 6 * 60, Days: days(time.Monday, time.Friday)}
	whole := Hours{Restricted: true, To: 24 * 60, Days: days(time.Saturday)}
	saturdayNight := Hours{Restricted: true, From: 22 * 60, To: 6 * 60, Days: days(time.Saturday)}
	for _, c := range []struct {
		name  string
		hours Hours
		time  string
		want  bool
	}{
		{"no restriction, ever", Hours{}, "2026-03-08T03:00:00Z", true},
		{"restricted to nothing, never", Hours{Restricted: true}, "2026-03-02T00:00:00Z", false},
		{"before the first minute", working, "2026-03-02T06:59:59Z", false},
		{"from the first minute", working, "2026-03-02T07:00:00Z", true},
		{"to the end of the last minute", working, "2026-03-02T18:59:59Z", true},
		{"not at the end", working, "2026-03-02T19:00:00Z", false},
		{"not on another day", working, "2026-03-07T12:00:00Z", false},
		{"in UTC, wherever the clock stands", working, "2026-03-02T21:30:00+03:00", true},
		{"in UTC, also where that is another day", working, "2026-03-09T01:00:00+10:00", false},
		{"past midnight, the evening", night, "2026-03-02T22:00:00Z", true},
		{"past midnight, the morning of the next day", night, "2026-03-03T05:59:59Z", true},
		{"past midnight, not its end", night, "2026-03-03T06:00:00Z", false},
		{"past midnight, not the morning of its own day", night, "2026-03-02T05:00:00Z", false},
		{"past midnight, not the evening of the next day", night, "2026-03-03T22:00:00Z", false},
		{"past midnight, into a day that is not named", night, "2026-03-07T03:00:00Z", true},
		{"past midnight, from the last day of the week into the first", saturdayNight, "2026-03-08T03:00:00Z", true},
		{"a whole day from its first minute", whole, "2026-03-07T00:00:00Z", true},
		{"a whole day to its last", whole, "2026-03-07T23:59:59Z", true},
		{"a whole day and no more", whole, "2026-03-08T00:00:00Z", false},
	} {
		if got := c.hours.Contains(moment(c.time)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestATrustHoldsFromItsFirstMomentAndNotAtItsEnd(t *testing.T) {
	from, until := moment("2026-03-02T00:00:00Z"), moment("2026-04-01T00:00:00Z")
	for _, c := range []struct {
		name  string
		trust Trust
		at    time.Time
		want  bool
	}{
		{"since ever and without end", Trust{}, from, true},
		{"before", Trust{ValidFrom: from, ValidUntil: until}, from.Add(-1), false},
		{"first", Trust{ValidFrom: from, ValidUntil: until}, from, true},
		{"last", Trust{ValidFrom: from, ValidUntil: until}, until.Add(-1), true},
		{"end", Trust{ValidFrom: from, ValidUntil: until}, until, false},
		{"without end", Trust{ValidFrom: from}, until.AddDate(50, 0, 0), true},
		{"since ever", Trust{ValidUntil: until}, from.AddDate(-50, 0, 0), true},
	} {
		if got := c.trust.ValidAt(c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAnApprovalCoversOneActForATime(t *testing.T) {
	from, until := moment("2026-03-02T20:00:00Z"), moment("2026-03-02T22:00:00Z")
	narrow := Approval{Trust: "t", Kind: "scan", Src: netip.MustParsePrefix("203.0.113.0/28"), Dst: netip.MustParsePrefix("10.0.0.0/8"), From: from, Until: until}
	wide := narrow
	wide.Dst = netip.Prefix{}
	none := narrow
	none.Src = netip.Prefix{}
	src, dst := netip.MustParseAddr("203.0.113.4"), netip.MustParseAddr("10.1.2.3")
	for _, c := range []struct {
		name     string
		approval Approval
		kind     string
		trust    TrustID
		src, dst netip.Addr
		at       time.Time
		want     bool
	}{
		{"what it says", narrow, "scan", "t", src, dst, from, true},
		{"to its last moment", narrow, "scan", "t", src, dst, until.Add(-1), true},
		{"not before", narrow, "scan", "t", src, dst, from.Add(-1), false},
		{"not at its end", narrow, "scan", "t", src, dst, until, false},
		{"not another act", narrow, "reset", "t", src, dst, from, false},
		{"not another trust", narrow, "scan", "u", src, dst, from, false},
		{"not from another address", narrow, "scan", "t", netip.MustParseAddr("203.0.113.16"), dst, from, false},
		{"not from nowhere", narrow, "scan", "t", netip.Addr{}, dst, from, false},
		{"not to another address", narrow, "scan", "t", src, netip.MustParseAddr("192.168.0.1"), from, false},
		{"to an address that is not told", narrow, "scan", "t", src, netip.Addr{}, from, true},
		{"to any address where it names none", wide, "scan", "t", src, netip.MustParseAddr("192.168.0.1"), from, true},
		{"nothing where it names no source", none, "scan", "t", src, dst, from, false},
		{"nothing where it is empty", Approval{}, "", "", src, dst, from, false},
	} {
		if got := c.approval.Covers(c.kind, c.trust, c.src, c.dst, c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func sample() *Model {
	return &Model{
		Tenants:  []Tenant{{ID: "acme", Domains: []string{"acme.example", "shared.example"}}, {ID: "borg", Domains: []string{"borg.example", "lab.acme.example"}}},
		Partners: []Partner{{ID: "north", Tenant: "borg"}, {ID: "maker"}},
		Trusts: []Trust{{ID: "n-a", Partner: "north", Tenant: "acme", MailDomains: []string{"north.example", "shared.example"}}, {ID: "m-a", Partner: "maker", Tenant: "acme", MailDomains: []string{"maker.example", "help.borg.example"}},
			{ID: "n-b", Partner: "north", Tenant: "borg"}},
	}
}

func TestADomainBelongsToWhoDeclaredItOrItsParent(t *testing.T) {
	for _, c := range []struct {
		host    string
		tenant  ID
		partner PartnerID
	}{
		{"acme.example", "acme", ""},
		{"mx1.de.ACME.example.", "acme", ""},
		{"borg.example", "borg", ""},
		{"www.north.example", "", "north"},
		{"maker.example", "", "maker"},
		{"mx.lab.acme.example", "borg", ""},    // a name below another tenant's
		{"www.help.borg.example", "", "maker"}, // a partner's below a tenant's
		{"shared.example", "acme", ""},         // a tenant before a partner
		{"notacme.example", "", ""},
		{"acme.example.evil.example", "", ""},
		{"example", "", ""},
		{".", "", ""},
		{"", "", ""},
	} {
		if id, p := sample().DomainOwner(c.host); id != c.tenant || p != c.partner {
			t.Errorf("%q belongs to %q %q, want %q %q", c.host, id, p, c.tenant, c.partner)
		}
	}
}

func TestWithinDomainTakesWholeLabels(t *testing.T) {
	for _, c := range []struct {
		host, domain string
		want         bool
	}{
		{"a.example", "a.example", true}, {"x.a.example", "a.example", true}, {"xa.example", "a.example", false},
		{"example", "a.example", false}, {".a.example", "a.example", true}, {"a.example", "x.a.example", false},
	} {
		if got := WithinDomain(c.host, c.domain); got != c.want {
			t.Errorf("%s within %s: %v", c.host, c.domain, got)
		}
	}
}

func TestAModelIsAskedById(t *testing.T) {
	m := sample()
	if x := m.Tenant("borg"); x == nil || x.ID != "borg" || m.Tenant("BORG") != nil || m.Tenant("") != nil {
		t.Errorf("tenant %v", x)
	}
	if x := m.Partner("maker"); x == nil || x.ID != "maker" || m.Partner("acme") != nil {
		t.Errorf("partner %v", x)
	}
	if x := m.Trust("m-a"); x == nil || x.ID != "m-a" || m.Trust("") != nil {
		t.Errorf("trust %v", x)
	}
	if x := m.PartnerOf("borg"); x == nil || x.ID != "north" || m.PartnerOf("acme") != nil || m.PartnerOf("") != nil {
		t.Errorf("partner of borg %v", x)
	}
	ids := func(list []*Trust) (s string) {
		for _, t := range list {
			s += string(t.ID) + " "
		}
		return s
	}
	if got := ids(m.TrustsInto("acme")) + "| " + ids(m.TrustsOf("north")) + "| " + ids(m.TrustsInto("x")) + ids(m.TrustsOf("x")); got != "n-a m-a | n-a n-b | " {
		t.Errorf("trusts %s", got)
	}
}
