package fanout

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// mailboxesOpened is one partner account that opens n people's mailboxes, three a minute, each twice.
func mailboxesOpened(at time.Time, id tenant.ID, who string, n int) (out []*ocsf.Event) {
	for i := range 2 * n {
		e := &ocsf.Event{Time: at.Add(time.Duration(i) * 10 * time.Second), Tenant: id, Layer: tenant.LayerCloud, Class: ocsf.ClassAPIActivity,
			User: ocsf.User{Name: who}, Src: ocsf.Endpoint{IP: netip.MustParseAddr("198.51.100.40")},
			Cloud:  &ocsf.Cloud{Provider: "m365", Operation: "MailItemsAccessed"},
			Fields: ocsf.Fields{{Name: "MailboxOwnerUPN", Value: fmt.Sprintf("Person-%d@client.example", i/2)}},
			Raw:    ocsf.RawRef{File: "audit.json", Record: at.Unix() + int64(i)}}
		ofPartner(e)
		out = append(out, e)
	}
	return out
}

func TestWhoOpensManyPeoplesMail(t *testing.T) {
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	migration := func(n int) []*ocsf.Event {
		past := mailboxesOpened(monday.AddDate(0, 0, -1), "client-0", "migration@isl.example", 40)
		return append(past, mailboxesOpened(monday, "client-0", "migration@isl.example", n)...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		from   time.Time
		want   string
	}{
		{"three within an hour", mailboxesOpened(monday, "client-0", "kim@isl.example", 3), monday, "client-0 mailboxes medium succeeded"},
		{"support opens the one of its ticket", mailboxesOpened(monday, "client-0", "kim@isl.example", 1), monday, ""},
		{"support has two tickets", mailboxesOpened(monday, "client-0", "kim@isl.example", 2), monday, ""},
		{"a ticket an hour", slices.Concat(mailboxesOpened(monday, "client-0", "kim", 1), each(mailboxesOpened(monday.Add(2*time.Hour), "client-0", "kim", 1), func(e *ocsf.Event) { e.Fields[0].Value = "b" }),
			each(mailboxesOpened(monday.Add(4*time.Hour), "client-0", "kim", 1), func(e *ocsf.Event) { e.Fields[0].Value = "c" })), monday, ""},
		{"a migration with a large habit", migration(60), monday, ""},
		{"a migration that doubles", migration(80), monday, "client-0 mailboxes medium succeeded"},
		{"refused", each(mailboxesOpened(monday, "client-0", "kim", 9), func(e *ocsf.Event) { e.Status = ocsf.StatusFailure }), monday, ""},
		{"the client's own people", each(mailboxesOpened(monday, "client-0", "kim", 9), func(e *ocsf.Event) { e.Partner, e.Trust = "", "" }), monday, ""},
		{"another operation", each(mailboxesOpened(monday, "client-0", "kim", 9), func(e *ocsf.Event) { e.Cloud.Operation = "Get-Mailbox" }), monday, ""},
		{"rights on mailboxes given to oneself", each(mailboxesOpened(monday, "client-0", "kim", 3), func(e *ocsf.Event) {
			e.Cloud.Operation, e.Cloud.Resource, e.Fields = "Add-MailboxPermission", e.Fields[0].Value, nil
		}), monday, "client-0 mailboxes medium succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := run(model(), c.events)
			for id, f := range found {
				if f.Time.Before(c.from) {
					delete(found, id) // the first day of a migration has no habit
				}
			}
			if got := brief(found); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAddressOfAReaderIsTheIntrudersUnlessItIsDeclared(t *testing.T) {
	for from, role := range map[string]string{"198.51.100.40": ocsf.RoleInfrastructure, "203.0.113.40": ocsf.RoleSource} {
		events := mailboxesOpened(monday, "client-0", "kim", 3)
		for _, e := range events {
			e.Src.IP = netip.MustParseAddr(from)
		}
		f := sorted(run(model(), events))[0]
		if want := (ocsf.Entity{Type: ocsf.EntityIP, Value: from, Role: role}); !slices.Contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
		if want := (ocsf.Entity{Type: ocsf.EntityMailbox, Value: "person-2@client.example", Role: ocsf.RoleTarget}); !slices.Contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
}

// knocking is logons from a partner's address that fail, one host a minute.
func knocking(at time.Time, id tenant.ID, from string, hosts int) (out []*ocsf.Event) {
	for i := range hosts {
		e := &ocsf.Event{Time: at.Add(time.Duration(i) * time.Minute), Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication,
			Activity: "logon", Status: ocsf.StatusFailure, User: ocsf.User{Name: "ISL-Svc"}, Device: fmt.Sprintf("srv-%d", i),
			Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)}, Raw: ocsf.RawRef{File: "security.json", Record: int64(i)}}
		ofPartner(e)
		out = append(out, e)
	}
	return out
}

func TestWhereAPartnersLogonsFail(t *testing.T) {
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	again := func(days, hosts int) (out []*ocsf.Event) {
		for d := range days {
			out = append(out, knocking(monday.AddDate(0, 0, d-days), "client-0", "203.0.113.9", hosts)...)
		}
		return out
	}
	slow := knocking(monday, "client-0", "203.0.113.9", 6)
	for i, e := range slow {
		e.Time = monday.Add(time.Duration(i) * 45 * time.Minute)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"at two hosts is nothing", knocking(monday, "client-0", "203.0.113.9", 2), ""},
		{"at three hosts within an hour", knocking(monday, "client-0", "203.0.113.9", 3), "client-0 logon-failures medium attempted"},
		{"at six hosts", knocking(monday, "client-0", "203.0.113.9", 6), "client-0 logon-failures high attempted"},
		{"a broken job retries one host", each(knocking(monday, "client-0", "203.0.113.9", 1000), func(e *ocsf.Event) { e.Device = "srv-1" }), ""},
		{"a broken job that fails at the same hosts every day", append(again(3, 2), again(2, 2)...), ""},
		{"yesterday's hosts and two more", append(again(1, 2), knocking(monday, "client-0", "203.0.113.9", 4)...), ""},
		{"yesterday's hosts and three more", append(again(1, 2), knocking(monday, "client-0", "203.0.113.9", 5)...), "client-0 logon-failures medium attempted"},
		{"one host in 45 minutes", slow, ""},
		{"an account with no address", each(knocking(monday, "client-0", "203.0.113.9", 3), func(e *ocsf.Event) { e.Src = ocsf.Endpoint{} }), "client-0 logon-failures medium attempted"},
		{"the client's own people", each(knocking(monday, "client-0", "203.0.113.9", 9), func(e *ocsf.Event) { e.Partner, e.Trust = "", "" }), ""},
		{"logons that succeed don't count here", each(knocking(monday, "client-0", "203.0.113.9", 4), func(e *ocsf.Event) { e.Status = ocsf.StatusSuccess }), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(model(), c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestLogonFailuresNameAccountsAndHosts(t *testing.T) {
	f := sorted(run(model(), knocking(monday, "client-0", "203.0.113.9", 4)))[0]
	for _, want := range []ocsf.Entity{
		{Type: ocsf.EntityHost, Value: "srv-0", Role: ocsf.RoleTarget}, {Type: ocsf.EntityHost, Value: "srv-3", Role: ocsf.RoleTarget},
		{Type: ocsf.EntityUser, Value: "isl-svc", Role: ocsf.RoleActor}, {Type: ocsf.EntityIP, Value: "203.0.113.9", Role: ocsf.RoleSource},
	} {
		if !slices.Contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
	if f.Count != 4 || len(f.Evidence) != 4 || f.Technique != "T1110" || f.Trust != "isl-client-0" {
		t.Errorf("%+v", f)
	}
}

func TestFloodOfReadersAndLogonsKeepsALimitedPast(t *testing.T) {
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	for _, e := range mailboxesOpened(monday, "client-0", "kim", 700) {
		e.Time = monday.Add(time.Duration(e.Time.Sub(monday)) / 3600)
		d.Process(e, quiet)
	}
	for _, e := range knocking(monday, "client-0", "203.0.113.9", 1000) {
		e.Time = monday.Add(time.Duration(e.Time.Sub(monday)) / 3600)
		d.Process(e, quiet)
	}
	for _, r := range d.spreadings {
		if len(r.Touches) > maxTouches {
			t.Errorf("a reader keeps %d", len(r.Touches))
		}
	}
	for _, x := range d.doors {
		if len(x.Tried) > maxTouches {
			t.Errorf("a source keeps %d", len(x.Tried))
		}
	}
}
