package fanout

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestContractorsWhoCopyMuch(t *testing.T) {
	at := time.Date(2025, 6, 2, 8, 0, 0, 0, time.UTC)
	type visit struct {
		after  time.Duration
		from   string
		factor string
		reads  int
	}
	home := visit{0, "192.0.2.10", "singleFactorAuthentication", 40}
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		visits []visit
		want   int
	}{
		"from where they sit":                      {[]visit{home, {3 * day, "192.0.2.11", "singleFactorAuthentication", 200}}, 0},
		"a password alone from a new network":      {[]visit{home, {3 * day, "203.0.113.5", "singleFactorAuthentication", 30}}, 1},
		"the same with two factors":                {[]visit{home, {3 * day, "203.0.113.5", "multiFactorAuthentication", 30}}, 0},
		"a look at a few things":                   {[]visit{home, {3 * day, "203.0.113.5", "singleFactorAuthentication", TakeoutReads - 1}}, 0},
		"while the partner is new":                 {[]visit{home, {day, "203.0.113.5", "singleFactorAuthentication", 30}}, 0},
		"a network seen with two factors before":   {[]visit{home, {3 * day, "203.0.113.5", "multiFactorAuthentication", 0}, {4 * day, "203.0.113.6", "singleFactorAuthentication", 30}}, 0},
		"a service without factors an hour before": {[]visit{home, {3 * day, "203.0.113.5", "", 0}, {3*day + time.Hour, "203.0.113.5", "singleFactorAuthentication", 30}}, 1},
	} {
		d := New(detect.Context{Model: &tenant.Model{Partners: []tenant.Partner{{ID: "p"}}, Tenants: []tenant.Tenant{{ID: "a"}}}})
		found := map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) {
			if f.Rule == "fanout/takeout" {
				found[f.ID] = f
			}
		}
		n := 0
		send := func(when time.Time, v visit, class ocsf.ClassUID, operation string) {
			n++
			e := &ocsf.Event{Time: when, Tenant: "a", Layer: tenant.LayerCloud, Class: class, Activity: "logon", Status: ocsf.StatusSuccess, User: ocsf.User{Name: "kim@p.example"},
				Cloud: &ocsf.Cloud{Operation: operation, MFA: v.factor, Resource: fmt.Sprint("object ", n)}, Raw: ocsf.RawRef{Record: int64(n)}}
			e.Partner, e.Trust = "p", "p-a"
			e.Src.IP = netip.MustParseAddr(v.from)
			d.Process(e, emit)
			d.Advance(when, emit)
		}
		for _, v := range c.visits {
			send(at.Add(v.after), v, ocsf.ClassAuthentication, "sign-in")
			for i := range v.reads {
				send(at.Add(v.after+time.Duration(i+1)*time.Second), v, ocsf.ClassAPIActivity, "GetObject")
			}
		}
		if len(found) != c.want {
			t.Errorf("%s: %d findings, want %d", name, len(found), c.want)
		}
		for _, f := range found {
			if f.Severity != ocsf.SeverityMedium || f.Outcome != ocsf.OutcomeSucceeded || f.Partner != "p" || f.Count < TakeoutReads {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

func TestRolesThatCopyMuch(t *testing.T) {
	at := time.Date(2025, 6, 2, 8, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		from string
		want int
	}{"from the partner's declared network": {"192.0.2.30", 0}, "from elsewhere": {"203.0.113.5", 1}} {
		d := New(detect.Context{Model: &tenant.Model{Partners: []tenant.Partner{{ID: "p"}}, Tenants: []tenant.Tenant{{ID: "a"}},
			Trusts: []tenant.Trust{{ID: "p-a", Partner: "p", Tenant: "a", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}}})
		found := map[string]*ocsf.Finding{}
		send := func(when time.Time, from, operation string, class ocsf.ClassUID, partner tenant.PartnerID) {
			e := &ocsf.Event{Time: when, Tenant: "a", Layer: tenant.LayerCloud, Class: class, Status: ocsf.StatusSuccess, User: ocsf.User{Name: "backup"}, Cloud: &ocsf.Cloud{Provider: "aws", Operation: operation}}
			e.Partner, e.Src.IP = partner, netip.MustParseAddr(from)
			d.Process(e, func(f *ocsf.Finding) {
				if f.Rule == "fanout/takeout" {
					found[f.ID] = f
				}
			})
		}
		send(at, "192.0.2.30", "AssumeRole", ocsf.ClassAuthentication, "p")
		send(at.Add(72*time.Hour), c.from, "AssumeRole", ocsf.ClassAuthentication, "p")
		for i := range 2 * TakeoutReads {
			send(at.Add(72*time.Hour+time.Duration(i)*time.Second), c.from, "GetObject", ocsf.ClassAPIActivity, "")
		}
		if len(found) != c.want {
			t.Errorf("%s: %d findings, want %d", name, len(found), c.want)
		}
		for _, f := range found {
			if f.Partner != "p" || f.Trust == "" && f.Tenant != "a" {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

func TestReadersFromWhereTheySitWeighLittle(t *testing.T) {
	at := time.Date(2025, 6, 2, 8, 0, 0, 0, time.UTC)
	for from, want := range map[string]ocsf.Severity{"192.0.2.11": ocsf.SeverityLow, "203.0.113.5": ocsf.SeverityMedium} {
		d := New(detect.Context{Model: &tenant.Model{Partners: []tenant.Partner{{ID: "p"}}, Tenants: []tenant.Tenant{{ID: "a"}}}})
		var last *ocsf.Finding
		send := func(when time.Time, ip string, class ocsf.ClassUID, operation, owner string) {
			e := &ocsf.Event{Time: when, Tenant: "a", Layer: tenant.LayerCloud, Class: class, Activity: "logon", Status: ocsf.StatusSuccess, User: ocsf.User{Name: "kim@p.example"},
				Cloud: &ocsf.Cloud{Operation: operation, Resource: owner}}
			e.Partner, e.Src.IP = "p", netip.MustParseAddr(ip)
			d.Process(e, func(f *ocsf.Finding) {
				if f.Rule == "fanout/mailboxes" {
					last = f
				}
			})
		}
		send(at, "192.0.2.10", ocsf.ClassAuthentication, "sign-in", "")
		for i := range 5 {
			send(at.Add(96*time.Hour+time.Duration(i)*time.Minute), from, ocsf.ClassAPIActivity, "MailItemsAccessed", fmt.Sprint("owner ", i))
		}
		if last == nil || last.Severity != want {
			t.Errorf("from %s: %+v, want severity %s", from, last, want)
		}
	}
}
