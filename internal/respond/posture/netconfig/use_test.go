package netconfig

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

func useModel() *tenant.Model {
	m := model()
	weekdays := tenant.Hours{Restricted: true, From: 7 * 60, To: 19 * 60}
	for d := time.Monday; d <= time.Friday; d++ {
		weekdays.Days[d] = true
	}
	m.Trusts[0].Hours = weekdays
	m.Trusts[0].Destinations = []string{"10.3.0.0/24", "erp.client.example"}
	m.Trusts[0].JumpHosts = []string{"10.9.9.9"}
	m.Trusts = append(m.Trusts, tenant.Trust{ID: "t-elsewhere", Partner: "msp", Tenant: "other"})
	return m
}

func TestUseIsHeldAgainstWhatIsDeclared(t *testing.T) {
	monday := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	addr := netip.MustParseAddr
	watched := Window{monday.AddDate(0, -6, 0), monday.AddDate(0, 0, 20)}
	base := Use{Tenant: "client", Trust: "t-msp", Partner: "msp", Account: "msp-anna", Src: addr("203.0.113.7"), Dst: addr("10.3.0.5"), Port: 3389, First: monday, Last: monday.Add(time.Hour), File: "conn.log", Record: 7}
	with := func(change func(*Use)) Use { u := base; change(&u); return u }
	for _, c := range []struct {
		name string
		uses []Use
		want map[string]any // of t-msp; nil: absent
	}{
		{"as declared", []Use{base}, map[string]any{"used": true, "sessions": int64(1), "out_of_hours": int64(0), "wider_source": int64(0), "wider_destination": int64(0), "after_end": int64(0), "shared_accounts": int64(0), "unused_days": int64(19), "out_of_hours_flows": nil, "valid": true, "watched_days": int64(201)}},
		{"never in half a year", nil, map[string]any{"used": false, "unused_days": int64(201), "last_use": nil, "sessions": int64(0)}},
		{"on a Sunday", []Use{with(func(u *Use) { u.First, u.Last = monday.AddDate(0, 0, -1), monday.AddDate(0, 0, -1) })}, map[string]any{"out_of_hours": int64(1), "out_of_hours_flows": []any{"2026-05-03 10:00 msp-anna from 203.0.113.7 to 10.3.0.5 port 3389 (conn.log:7)"}}},
		{"many, of which some at night", []Use{with(func(u *Use) { u.Count = 9; u.Hours[24+10], u.Hours[24+22] = 6, 3 })}, map[string]any{"out_of_hours": int64(3), "sessions": int64(9)}},
		{"from elsewhere", []Use{with(func(u *Use) { u.Src = addr("198.51.100.99") })}, map[string]any{"wider_source": int64(1)}},
		{"by the jump host", []Use{with(func(u *Use) { u.Src = addr("10.9.9.9") })}, map[string]any{"wider_source": int64(0)}},
		{"to elsewhere", []Use{with(func(u *Use) { u.Dst, u.Host = addr("10.4.0.1"), "dc1" })}, map[string]any{"wider_destination": int64(1)}},
		{"to a host declared by name", []Use{with(func(u *Use) { u.Dst, u.Host = addr("10.4.0.1"), "ERP" })}, map[string]any{"wider_destination": int64(0)}},
		{"to an address that may be that host", []Use{with(func(u *Use) { u.Dst = addr("10.4.0.1") })}, map[string]any{"wider_destination": int64(0)}},
		{"one account from two places at once", []Use{base, with(func(u *Use) { u.Src, u.First = addr("203.0.113.9"), monday.Add(30*time.Minute) })}, map[string]any{"shared_accounts": int64(1), "shared_account_names": []any{"msp-anna"}}},
		{"one account from one place after the other", []Use{base, with(func(u *Use) {
			u.Src, u.First, u.Last = addr("203.0.113.9"), monday.Add(2*time.Hour), monday.Add(3*time.Hour)
		})}, map[string]any{"shared_accounts": int64(0)}},
		{"one account from five places on a day", []Use{base, moved(base, 1), moved(base, 2), moved(base, 3), moved(base, 4)}, map[string]any{"shared_accounts": int64(1)}},
		{"two accounts at once", []Use{base, with(func(u *Use) { u.Src, u.Account = addr("203.0.113.9"), "msp-bert" })}, map[string]any{"shared_accounts": int64(0), "accounts": int64(2)}},
		{"of another tenant", []Use{with(func(u *Use) { u.Tenant, u.Trust = "other", "t-elsewhere" })}, map[string]any{"used": false}},
		{"a trust of another tenant", []Use{with(func(u *Use) { u.Trust = "t-elsewhere" })}, map[string]any{"used": false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			items := UseFacts(useModel(), "client", c.uses, watched, nil)
			for _, it := range items {
				if it.Tenant != "client" || it.Kind != KindUse {
					t.Errorf("a fact %s of %q", it.Kind, it.Tenant)
				}
				if it.Trust != "t-msp" {
					continue
				}
				for key, want := range c.want {
					if diff := cmp.Diff(want, it.Values[key]); diff != "" {
						t.Errorf("%s (-want +got):\n%s", key, diff)
					}
				}
			}
			if len(items) < 2 || items[0].Trust != "t-msp" {
				t.Fatalf("%v", items)
			}
		})
	}
}

// moved is the same account on the same day, from another address and not at the same time.
func moved(u Use, n int) Use {
	u.Src = netip.MustParseAddr(fmt.Sprintf("203.0.113.%d", 100+n))
	u.First = u.First.Add(time.Duration(2*n) * time.Hour)
	u.Last = u.First.Add(time.Hour)
	return u
}

func TestUseAfterTheEndAndByStrangersNamesLines(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	src := netip.MustParseAddr
	config := read(t, []byte("ASA Version 9\naccess-list O extended permit tcp host 192.0.2.200 any eq ssh\naccess-list O extended permit tcp host 198.51.100.77 any eq 3389\naccess-group O in interface outside\n"), useModel(), at)
	items := UseFacts(useModel(), "client", []Use{
		{Tenant: "client", Trust: "t-old", Account: "old-carl", Src: src("192.0.2.200"), First: now.AddDate(0, 0, -9), Last: now.AddDate(0, 0, -9)},
		{Tenant: "client", Src: src("198.51.100.77"), Account: "someone", First: now.AddDate(0, 0, -3), Last: now.AddDate(0, 0, -3), Count: 4},
		{Tenant: "client", Src: src("198.51.100.77"), First: now.AddDate(0, 0, -2), Last: now.AddDate(0, 0, -2)},
		{Tenant: "client", Partner: "msp", First: now, Last: now},
	}, Window{now.AddDate(0, 0, -30), now}, append(config.access, evidence.Item{Tenant: "other", Kind: KindAccess, Trust: "t-old"}))
	found := map[string]evidence.Item{}
	for _, it := range items {
		found[it.Subject] = it
	}
	old := found["t-old"].Values
	if old["after_end"] != int64(1) || old["valid"] != false || len(old["after_end_flows"].([]any)) != 1 {
		t.Errorf("the ended trust: %v", old)
	}
	if lines, _ := old["configuration"].([]any); len(lines) != 1 || !strings.HasPrefix(lines[0].(string), "a file:2 ") {
		t.Errorf("the line of the ended trust: %v", old["configuration"])
	}
	who := found["198.51.100.77"].Values
	if who["declared"] != false || who["sessions"] != int64(5) || len(who["flows"].([]any)) != 2 {
		t.Errorf("the stranger: %v", who)
	}
	if lines, _ := who["configuration"].([]any); len(lines) != 1 || !strings.HasPrefix(lines[0].(string), "a file:3 ") {
		t.Errorf("the line of the stranger: %v", who["configuration"])
	}
	if it := found["msp"]; it.Partner != "msp" || it.Values["declared"] != false {
		t.Errorf("a partner without a trust: %v", it)
	}
	if v := found["t-msp"].Values; v["used"] != false || v["unused_days"] != nil {
		t.Errorf("a trust never used within a month, of which nobody knows whether it is unused for 90 days: %v", v)
	}
}

func TestPoliciesAndDelegationsOfMicrosoft(t *testing.T) {
	m := model()
	m.Trusts[0].CloudPrincipals = []tenant.CloudPrincipal{{HomeTenant: "P1"}}
	values := func(data string) (map[string]evidence.Item, []string) {
		got := read(t, []byte(data), m, at)
		out := map[string]evidence.Item{}
		for _, it := range got.items {
			out[it.Subject] = it
		}
		return out, got.bad
	}
	ca, bad := values(caPolicies)
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "5: ") {
		t.Errorf("broken: %v", bad)
	}
	for subject, want := range map[string]map[string]any{
		"mfa for all":           {"mfa": true, "enabled": true, "all_users": true, "excluded": int64(1), "service_providers": true},
		"mfa or a known device": {"mfa": false},
		"no legacy":             {"block": true, "enabled": false, "only_legacy": true, "service_providers": false},
	} {
		for key, v := range want {
			if got := ca[subject].Values[key]; got != v {
				t.Errorf("%s: %s is %v, want %v", subject, key, got, v)
			}
		}
	}
	gdap, _ := values(gdapList)
	for subject, want := range map[string]map[string]any{
		"all of it": {"active": true, "global_administrator": true, "strong_roles": int64(1), "roles": int64(2), "auto_extend": true, "duration_days": int64(730), "ended": false, "declared": nil, "customer": "c1"},
		"help desk": {"active": false, "global_administrator": false, "auto_extend": false, "duration_days": int64(90), "ended": true, "declared": true, "trust_ended": false},
	} {
		for key, v := range want {
			if got := gdap[subject].Values[key]; got != v {
				t.Errorf("%s: %s is %v, want %v", subject, key, got, v)
			}
		}
	}
	cross, bad := values(crossList)
	if cross["p1"].Trust != "t-msp" || cross["p1"].Values["foreign_mfa_accepted"] != true || cross["p9"].Values["declared"] != false || len(bad) != 1 {
		t.Errorf("across tenants: %v %v", cross, bad)
	}
}
