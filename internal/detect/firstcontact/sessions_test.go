package firstcontact

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const browser = "Mozilla/5.0 (Windows NT 10.0) Chrome/126.0"

// workdays is four weeks of work up to Monday: three acts on each workday, between eight and four.
func workdays(make func(at time.Time) *ocsf.Event) (out []*ocsf.Event) {
	for i := range 28 {
		at := monday.Truncate(day).Add(time.Duration(i-28) * day)
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			continue
		}
		for n := range 3 {
			out = append(out, make(at.Add(time.Duration(8+4*n)*time.Hour)))
		}
	}
	return out
}

func agent(s string) change { return func(e *ocsf.Event) { e.Cloud.UserAgent = s } }

func resource(s string) change { return func(e *ocsf.Event) { e.Cloud.Resource = s } }

func at(id tenant.ID) change {
	return func(e *ocsf.Event) { e.Tenant, e.Trust = id, tenant.TrustID("isl-"+id) }
}

func app(e *ocsf.Event) {
	e.User, e.Cloud.ServicePrin, e.Cloud.AppID, e.Cloud.CredentialID = ocsf.User{}, true, "APP-1", "key-1"
}

// role is a principal of the partner's AWS account that takes a role at the client; the session's name changes each time.
func role(e *ocsf.Event) {
	e.Cloud.Provider, e.Cloud.AccountID, e.Cloud.HomeTenant, e.Cloud.Operation = "aws", "111122223333", "111122223333", "AssumeRole"
	e.Activity, e.User = "account switch", ocsf.User{Name: fmt.Sprintf("s-%d", e.Time.Unix()), UID: fmt.Sprintf("AROAEXAMPLE:s-%d", e.Time.Unix())}
	e.Cloud.CredentialID, e.Cloud.Resource = "ASIA"+e.User.Name, "arn:aws:iam::444455556666:role/partner"
}

// support is a technician's remote-tool session on a client's host.
func support(at time.Time, instance, host string, with ...change) *ocsf.Event {
	e := signIn(at, "", "198.51.100.7")
	e.Cloud, e.User, e.Src, e.Layer, e.Class = nil, ocsf.User{}, ocsf.Endpoint{}, tenant.LayerAccess, ocsf.ClassBase
	e.Remote = &ocsf.RemoteSession{Tool: "screenconnect", Act: "connect", Operator: "Kim", Instance: instance, Target: host}
	return made(e, with)
}

func TestWhatIsRareInASession(t *testing.T) {
	kim := func(at time.Time) *ocsf.Event {
		return signIn(at, "kim", "198.51.100.7", agent(browser), resource("mail"))
	}
	night := monday.Add(-6 * time.Hour) // Monday, three in the morning
	usual := func() []*ocsf.Event { return workdays(kim) }
	hotel := func(at time.Time, with ...change) *ocsf.Event {
		return signIn(at, "kim", "100.20.30.40", append([]change{agent(browser), resource("mail")}, with...)...)
	}
	abroad := func(e *ocsf.Event) { e.Cloud.Country, e.Cloud.ASN = "BR", 64500 }
	laptop := func(e *ocsf.Event) { e.Device = "lap-kim" }
	tool := func(at time.Time) *ocsf.Event { return support(at, "aaaa", "srv-1") }
	vpn := func(device, from string) change {
		return func(e *ocsf.Event) {
			e.Lease = &ocsf.Lease{Kind: "vpn", Start: true, Holder: ocsf.User{Name: "isl-kim"}, Public: netip.MustParseAddr(from), Device: device}
			e.Cloud, e.Src, e.Layer, e.User = nil, ocsf.Endpoint{}, tenant.LayerAccess, ocsf.User{}
		}
	}
	move := func() (out []*ocsf.Event) { // six people, all of whom work from the new office within three days
		for n := range 6 {
			who := fmt.Sprintf("tech%d", n)
			out = append(out, workdays(func(at time.Time) *ocsf.Event {
				return signIn(at.Add(time.Duration(n)*time.Minute), who, "198.51.100.7", agent(browser))
			})...)
			out = append(out, signIn(monday.Add(time.Duration(n/2)*day+time.Duration(n)*time.Hour), who, "100.20.30.40", agent(browser)))
		}
		return byTime(out)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"stolen session: new place, odd hour", append(usual(), hotel(night)), "source medium"},
		{"stolen session: new place, odd hour, other program and resource", append(usual(), hotel(night, agent("python-requests/2.31"), resource("vault"))), "source high"},
		{"travel in working hours, abroad", append(usual(), hotel(monday, abroad)), "source low"},
		{"travel, odd hour, the account's own device", append(workdays(func(at time.Time) *ocsf.Event { e := kim(at); laptop(e); return e }), hotel(night, laptop)), "source low"},
		{"an odd hour alone", append(usual(), kim(night)), ""},
		{"an updated program", append(usual(), hotel(monday, agent(strings.ReplaceAll(browser, "126", "131")), func(e *ocsf.Event) { e.Src.IP = netip.MustParseAddr("198.51.100.8") })), ""},
		{"a new program alone", append(usual(), signIn(monday, "kim", "198.51.100.7", agent("python-requests/2.31"), resource("mail"))), "session informational"},
		{"a new program and resource at an odd hour from the usual place", append(usual(), signIn(night, "kim", "198.51.100.7", agent("python-requests/2.31"), resource("vault"))), "session medium"},
		{"a new technician's first day", append(usual(), signIn(monday, "lee", "198.51.100.7", agent(browser), resource("mail"))), ""},
		{"a new technician's first day from home at night", append(usual(), signIn(night, "lee", "100.20.30.40", agent("Safari"), resource("vault"))), "source low"},
		{"the office moves", move(), "source low"},
		{"onboarding of a client", append(usual(), signIn(monday, "kim", "198.51.100.7", agent(browser), resource("mail"), at("second"))), ""},
		{"a new tool instance in working hours", append(workdays(tool), support(monday, "bbbb", "srv-1")), "session informational"},
		{"a declared tool instance that was never used", append(workdays(tool), support(monday, "d00d", "srv-1")), ""},
		{"a new tool instance at an odd hour on a host it never operated", append(workdays(tool), support(night, "bbbb", "dc-1")), "session medium"},
		{"the declared instance at an odd hour on a host it never operated", append(workdays(tool), support(night, "d00d", "dc-1")), "session low"},
		{"VPN from a new place and device at an odd hour", append(workdays(func(at time.Time) *ocsf.Event { return signIn(at, "", "198.51.100.7", vpn("jump-1", "198.51.100.7")) }),
			signIn(night, "", "198.51.100.7", vpn("kali", "100.20.30.40"))), "source high"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found := run(t, c.events); brief(found) != c.want {
				t.Errorf("got  %s\nwant %s\n%s", brief(found), c.want, reasons(found))
			}
		})
	}
}

func reasons(found []*ocsf.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Reason)
	}
	return strings.Join(out, "\n")
}

func TestDeclaredHoursAreKnownAndOthersAreNot(t *testing.T) {
	m := model()
	m.Trusts[0].Hours = tenant.Hours{Restricted: true, Days: [7]bool{false, true, true, true, true, true, false}, From: 60, To: 17 * 60}
	for name, c := range map[string]struct {
		at   time.Time
		want ocsf.Severity
	}{
		"inside, though never seen": {monday.Add(-6 * time.Hour), ocsf.SeverityLow},
		"outside":                   {monday.Add(-9 * time.Hour).Add(30 * time.Minute), ocsf.SeverityMedium},
	} {
		d, last := New(detect.Context{Model: m}), (*ocsf.Finding)(nil)
		for _, e := range append(workdays(func(at time.Time) *ocsf.Event { return signIn(at, "kim", "198.51.100.7") }), signIn(c.at, "kim", "100.20.30.40")) {
			d.Process(e, func(f *ocsf.Finding) { last = f })
		}
		if last == nil || last.Severity != c.want {
			t.Errorf("%s: %+v", name, last)
		}
		if c.want == ocsf.SeverityMedium && !strings.Contains(last.Reason, "outside of the trust's declared hours") {
			t.Error(last.Reason)
		}
	}
}

// clients are tenants that the partner enters.
var clients = []tenant.ID{"client", "second", "third", "fourth", "fifth"}

func fiveClients() *tenant.Model {
	m := model()
	m.Trusts = m.Trusts[:1]
	for _, id := range clients[1:] {
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: id})
		m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("isl-" + id), Partner: "isl", Tenant: id})
	}
	return m
}

func TestAStolenSecretIsFoundByItsReach(t *testing.T) {
	for kind, who := range map[string]change{"Entra sign-in of an app": app, "CloudTrail AssumeRole": role} {
		// The program's own life: each client every six hours, all within a few minutes.
		life := func() (out []*ocsf.Event) {
			for i := range 4 * 14 {
				for n, id := range clients {
					out = append(out, signIn(monday.Add(time.Duration(i-4*14)*6*time.Hour).Add(time.Duration(n)*time.Minute), "", "198.51.100.7", who, at(id)))
				}
			}
			return out
		}
		tries := func(from string, pace time.Duration, with ...change) (out []*ocsf.Event) {
			for n, id := range clients {
				out = append(out, signIn(monday.Add(2*time.Hour).Add(time.Duration(n)*pace), "", from, append([]change{who, at(id)}, with...)...))
			}
			return out
		}
		colleague := func() (out []*ocsf.Event) { // somebody of the partner's who worked there for a week
			for i := range 14 {
				out = append(out, signIn(monday.Add(time.Duration(i-14)*12*time.Hour), "kim", "100.20.30.40"))
			}
			return out
		}
		for _, c := range []struct {
			name   string
			events []*ocsf.Event
			reach  ocsf.Severity
			told   int // tenants
		}{
			{"one strange address at five clients within seconds", append(life(), tries("100.20.30.40", time.Second)...), ocsf.SeverityMedium, 5},
			{"and with another program", append(life(), tries("100.20.30.40", time.Second, agent("curl/8.1"))...), ocsf.SeverityMedium, 5},
			{"at leisure", append(life(), tries("100.20.30.40", time.Hour)...), ocsf.SeverityUnknown, 0},
			{"its own address", append(life(), tries("198.51.100.9", time.Second)...), ocsf.SeverityUnknown, 0},
			{"a declared network", append(life(), tries("203.0.113.9", time.Second)...), ocsf.SeverityUnknown, 0},
			{"where its people work", append(byTime(append(life(), colleague()...)), tries("100.20.30.40", time.Second)...), ocsf.SeverityUnknown, 0},
			{"a program on its first day", append(workdays(func(at time.Time) *ocsf.Event { return signIn(at, "kim", "198.51.100.7") }), tries("100.20.30.40", time.Second)...), ocsf.SeverityLow, 5},
			{"refused everywhere", append(life(), tries("100.20.30.40", time.Second, func(e *ocsf.Event) { e.Status = ocsf.StatusFailure })...), ocsf.SeverityUnknown, 0},
		} {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				d, last := New(detect.Context{Model: fiveClients()}), map[string]*ocsf.Finding{}
				for i, e := range c.events {
					binary.BigEndian.PutUint64(e.ID[:], uint64(i))
					d.Process(e, func(f *ocsf.Finding) { last[f.ID] = f })
				}
				d.Advance(monday.Add(day), func(f *ocsf.Finding) { last[f.ID] = f })
				told, worst := map[tenant.ID]bool{}, ocsf.SeverityUnknown
				for _, f := range last {
					if f.Rule == "firstcontact/app-reach" {
						told[f.Tenant], worst = true, max(worst, f.Severity)
						if !strings.Contains(f.Reason, "from 100.20.30.40, which it never used before") {
							t.Error(f.Reason)
						}
					}
				}
				if len(told) != c.told || worst < c.reach || c.reach < ocsf.SeverityMedium && worst > c.reach {
					t.Errorf("%s at %d tenants, want %s at %d", worst, len(told), c.reach, c.told)
				}
				for _, f := range last {
					if c.told == 0 && c.name != "at leisure" && f.Severity >= ocsf.SeverityMedium {
						t.Errorf("%s %s: %s", f.Rule, f.Severity, f.Reason)
					}
				}
			})
		}
	}
}

func TestACombinationIsNewWhereItsPartsAreNot(t *testing.T) {
	events := workdays(func(at time.Time) *ocsf.Event {
		return signIn(at, "", "198.51.100.7", app, agent("poller"), resource("graph"))
	})
	for i, e := range workdays(func(at time.Time) *ocsf.Event {
		return signIn(at.Add(time.Hour), "", "203.0.113.7", app, agent("backup"), resource("vault"))
	}) {
		if i >= 0 {
			events = append(events, e)
		}
	}
	events = append(byTime(events), signIn(monday, "", "198.51.100.7", app, agent("backup"), resource("graph")))
	found := run(t, events)
	if brief(found) != "session informational" && brief(found) != "" {
		t.Fatalf("%s\n%s", brief(found), reasons(found))
	}
	d := New(detect.Context{Model: model()})
	for _, e := range events[:len(events)-1] {
		d.Process(e, func(*ocsf.Finding) {})
	}
	a, ok := actOf(events[len(events)-1])
	if !ok {
		t.Fatal("no act")
	}
	now := minuteOf(a.event.Time)
	h, site := d.house(a.owner, now), d.house("site client", now)
	j := d.judge(&a, h, site, h.actor(a.key, now, true), d.relation(a.event, now))
	if j.bits[groupWhat] < GroupBits || !strings.Contains(j.reasons(), "never seen together") {
		t.Errorf("%.1f bits: %s", j.bits[groupWhat], j.reasons())
	}
}

func TestAdvanceInAnyRhythmGivesTheSame(t *testing.T) {
	want := ""
	for _, rhythm := range []int{1, 7, 100, 1 << 30} {
		d, last := New(detect.Context{Model: model()}), map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) { last[f.ID] = f }
		for i, e := range everything() {
			if i%rhythm == 0 {
				d.Advance(e.Time, emit)
			}
			d.Process(e, emit)
		}
		d.Advance(monday.Add(300*day), emit)
		if got := asJSON(t, last); want == "" {
			want = got
		} else if got != want {
			t.Errorf("another answer where time advances every %d events", rhythm)
		}
	}
}

// intrusion is a partner's ordinary weeks, then a secret that is stolen, a session that is, and their echoes.
func intrusion() []*ocsf.Event {
	var events []*ocsf.Event
	for _, id := range clients {
		events = append(events, workdays(func(t time.Time) *ocsf.Event { return signIn(t, "", "198.51.100.7", app, at(id)) })...)
		events = append(events, workdays(func(t time.Time) *ocsf.Event {
			return signIn(t.Add(time.Minute), "kim", "198.51.100.7", agent(browser), at(id))
		})...)
	}
	for n, id := range clients {
		for k := range 3 {
			events = append(events, signIn(monday.Add(time.Duration(5*k+n)*time.Minute), "", "100.20.30.40", app, agent("curl"), at(id)))
		}
		events = append(events, signIn(monday.Add(-6*time.Hour).Add(time.Duration(n)*time.Minute), "kim", "100.20.31.40", agent("curl"), at(id)),
			signIn(monday.Add(day-6*time.Hour).Add(time.Duration(n)*time.Minute), "kim", "198.51.100.7", agent(fmt.Sprint("tool", 'a'+n)), resource(fmt.Sprint("r", n)), at(id)))
	}
	events = byTime(events)
	for i, e := range events {
		e.Raw.Record = int64(i)
		binary.BigEndian.PutUint64(e.ID[:], uint64(i))
	}
	return events
}

func TestAnIntrusionIsTheSameAfterRestarts(t *testing.T) {
	answer := func(every int) (string, map[string]bool) {
		d, last, rules := New(detect.Context{Model: fiveClients()}), map[string]*ocsf.Finding{}, map[string]bool{}
		emit := func(f *ocsf.Finding) { last[f.ID], rules[f.Rule] = f, true }
		for i, e := range intrusion() {
			d.Advance(e.Time.Truncate(time.Minute), emit)
			d.Process(e, emit)
			if every == 0 || i%every != 0 {
				continue
			}
			b, err := d.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			d = New(detect.Context{Model: fiveClients()})
			if err := d.Restore(b); err != nil {
				t.Fatal(err)
			}
		}
		d.Advance(monday.Add(30*day), emit)
		return asJSON(t, last), rules
	}
	want, rules := answer(0)
	for _, rule := range []string{"firstcontact/source", "firstcontact/app-source", "firstcontact/app-reach", "firstcontact/session"} {
		if !rules[rule] {
			t.Errorf("the intrusion does not show %s", rule)
		}
	}
	for _, every := range []int{1, 3, 50} {
		if got, _ := answer(every); got != want {
			t.Errorf("another answer after a restart every %d events", every)
		}
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	d := New(detect.Context{Model: fiveClients()})
	for _, e := range intrusion() {
		d.Process(e, func(*ocsf.Finding) {})
	}
	good, err := d.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
		if err := New(detect.Context{Model: fiveClients()}).Restore(good[:n]); err == nil {
			t.Errorf("%d of %d bytes are restored", n, len(good))
		}
	}
}
