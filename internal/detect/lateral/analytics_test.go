package lateral

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// psexec is a transfer and an order on one host.
func psexec(after int, with ...change) []*ocsf.Event {
	return []*ocsf.Event{write(after, with...), rpc(after+5, "svcctl", "CreateServiceW", with...)}
}

const dayInSeconds = 86400

func TestDailyAdministrationIsHabit(t *testing.T) {
	var inside, provider []*ocsf.Event
	for night := -6; night <= -1; night++ { // a management server, and the provider's person, on six hosts night by night
		for h := range 6 {
			with := []change{to(fmt.Sprintf("10.20.1.%d", 20+h))}
			inside = append(inside, psexec(night*dayInSeconds+h*60, append(with, from("10.20.1.90"))...)...)
			provider = append(provider, psexec(night*dayInSeconds+h*60, append(with, partner("nw-kim"))...)...)
		}
	}
	for _, c := range []struct {
		name   string
		past   []*ocsf.Event
		with   []change
		want   string
		reason string
	}{
		{"the management server as ever", inside, []change{from("10.20.1.90"), to("10.20.1.21")}, "informational", "It is a habit: this source did it by service on 6 days before, to 6 hosts. It was done to this host, too."},
		{"the management server on a new host", inside, []change{from("10.20.1.90"), to("10.20.1.99")}, "informational", "To this host never."},
		{"a workstation that never did it", inside, []change{from("10.20.2.44"), to("10.20.1.21")}, "medium", "It is the first day on which this source does it here by service. 1 other sources of this tenant do the same."},
		{"the provider's person as ever", provider, []change{partner("nw-kim"), to("10.20.1.21")}, "low", "It was done to this host, too."},
		{"on a new host, from another address of the pool", provider, []change{partner("nw-kim"), from("10.99.0.31"), to("10.20.1.99")}, "low", "habit"},
		{"another person of the provider, where it is habit", provider, []change{partner("nw-sam"), from("10.99.0.31"), to("10.20.1.21")}, "low", "This person gave such orders on no day before."},
		{"a provider that never did it", inside, []change{partner("nw-sam"), from("10.99.0.31"), to("10.20.1.21")}, "medium", "It is the first day on which anybody of northwind does it here by service."},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := run(t, append(append(psexec(0, c.with...), watched()), c.past...)...)
			f := list[len(list)-1]
			if f.Time.Before(monday) || f.Severity.String() != c.want || !strings.Contains(f.Reason, c.reason) {
				t.Errorf("got %s at %s: %s", f.Severity, f.Time, f.Reason)
			}
		})
	}
}

func TestInsideWithoutAPastIsLow(t *testing.T) {
	list := run(t, psexec(0, from("10.20.2.44"))...)
	if got := brief(list); got != "admin-share-exec low succeeded" || !strings.Contains(list[0].Reason, "less than 72h0m0s") {
		t.Errorf("%s: %s", got, list[0].Reason)
	}
}

func TestCredentialSwitch(t *testing.T) {
	admin := func(after int, account, device string, with ...change) *ocsf.Event {
		return logon(after, "3", account, append([]change{partner("nw-kim"), on(device)}, with...)...)
	}
	privileged := func(after int, account string) *ocsf.Event {
		return event(after, "windows/security", ocsf.ClassAuthentication, "assign privileges", on("srv1"), as(account))
	}
	rdpLanding := logon(0, "10", "nw-kim", partner("nw-kim"), on("app9"))
	hop := func(after int, kind, account, device string) *ocsf.Event {
		return logon(after, kind, account, from("10.20.1.77"), on(device), fields("x", ""))
	}
	named := event(-3600, "zeek/ntlm", ocsf.ClassAuthentication, "logon", from("10.20.2.1"), to("10.20.1.77"), as("clerk"), func(e *ocsf.Event) { e.Dst.Host = "APP9" })
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"the technician's own account", []*ocsf.Event{admin(0, "nw-kim", "srv1"), admin(9, "NW-KIM@acme.example", "srv2")}, ""},
		{"then a domain administrator's on two new hosts", []*ocsf.Event{admin(0, "nw-kim", "srv1"), admin(60, "da-root", "srv2"), privileged(60, "da-root"), admin(90, "da-root", "srv3")}, "credential-switch high succeeded"},
		{"on one", []*ocsf.Event{admin(60, "da-root", "srv2"), privileged(60, "da-root")}, "credential-switch medium succeeded"},
		{"an ordinary one on two", []*ocsf.Event{admin(60, "clerk", "srv2"), admin(90, "clerk", "srv3")}, "credential-switch medium succeeded"},
		{"one that others use elsewhere, on two", []*ocsf.Event{logon(-4*dayInSeconds, "3", "svc-erp", from("10.20.1.8"), on("srv9")), admin(60, "svc-erp", "srv2"), admin(90, "svc-erp", "srv3")}, "credential-switch high succeeded"},
		{"the second account that the trust declares", []*ocsf.Event{admin(60, "adm-lee", "srv2"), admin(90, "adm-lee", "srv3")}, "credential-switch low succeeded suppressed"},
		{"the two-account habit of other days", []*ocsf.Event{admin(-5*dayInSeconds, "da-root", "srv2"), admin(-4*dayInSeconds, "da-root", "srv2"), admin(60, "da-root", "srv3"), admin(90, "da-root", "srv2"), privileged(60, "da-root")},
			"credential-switch low succeeded"}, // told on its first day, and never again
		{"a failed logon", []*ocsf.Event{admin(60, "clerk", "srv2", func(e *ocsf.Event) { e.Status = ocsf.StatusFailure })}, ""},
		{"a host's own account", []*ocsf.Event{admin(60, "SRV1$", "srv2")}, ""},
		{"within an approved test of days", []*ocsf.Event{admin(60, "da-root", "srv2", from("10.99.0.66")), privileged(60, "da-root"), admin(90, "da-root", "srv3", from("10.99.0.66"))}, "credential-switch high succeeded suppressed"},
		{"within an approved scan of an hour, which may have credentials", []*ocsf.Event{admin(60, "clerk", "srv2", from("10.99.0.67"))}, "credential-switch medium succeeded suppressed"},
		{"when it was over", []*ocsf.Event{admin(60, "clerk", "srv2", from("10.99.0.67")), admin(3700, "clerk", "srv3", from("10.99.0.67"))}, "credential-switch medium succeeded"},
		{"from the host of a landing, by remote desktop", []*ocsf.Event{named, rdpLanding, hop(60, "10", "clerk2", "srv2")}, "onward-hop high succeeded; credential-switch high succeeded"},
		{"from the host of a landing, a service's network logon", []*ocsf.Event{named, rdpLanding, hop(60, "3", "svc-erp", "srv2")}, ""},
		{"explicit credentials of somebody who sits there", []*ocsf.Event{event(60, "windows/security", ocsf.ClassAuthentication, "account switch", on("ws1"), as("clerk2"),
			func(e *ocsf.Event) { e.Actor.Name, e.Dst.Host = "clerk1", "srv2.acme.example" })}, "credential-switch low succeeded"},
		{"explicit credentials for the host itself", []*ocsf.Event{event(60, "windows/security", ocsf.ClassAuthentication, "account switch", on("ws1"), as("clerk2"),
			func(e *ocsf.Event) { e.Actor.Name, e.Dst.Host = "clerk1", "ws1" })}, ""},
		{"a terminal server with many people", []*ocsf.Event{hop(1, "3", "a", "srv1"), hop(2, "3", "b", "srv1"), hop(3, "3", "c", "srv2"), hop(4, "3", "d", "srv3")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, append(c.events, watched())...)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWriteExecutionAndSwitchTogetherAreHigh(t *testing.T) {
	p := partner("nw-kim")
	list := run(t, append(psexec(0, p), watched(), logon(300, "3", "clerk", p, on("srv2")))...)
	if got := brief(list); got != "admin-share-exec high succeeded; credential-switch high succeeded" {
		t.Fatal(got)
	}
	if f := list[0]; !strings.Contains(f.Reason, "In the same session from there: another account came into use.") || f.Partner != "northwind" || f.Technique != "T1021.002" {
		t.Errorf("%+v", f)
	}
	// The order in which they come changes nothing.
	if got := brief(run(t, append(psexec(300, p), watched(), logon(0, "3", "clerk", p, on("srv2")))...)); got != "credential-switch high succeeded; admin-share-exec high succeeded" {
		t.Error(got)
	}
}

func TestOnwardFromTheHostOfALanding(t *testing.T) {
	flow := func(after int, src, dst string, port uint16, with ...change) *ocsf.Event {
		return event(after, "zeek/conn", ocsf.ClassNetworkActivity, "close", append([]change{from(src), to(dst), func(e *ocsf.Event) {
			e.Dst.Port, e.Flow = port, &ocsf.Flow{Proto: "tcp", State: "SF", OrigBytes: 900, RespBytes: 900, OrigPkts: 20, RespPkts: 20, Duration: time.Hour}
		}}, with...)...)
	}
	landing := flow(0, vpn, "10.20.1.77", 22, partner("nw-kim"))
	tool := event(0, "screenconnect", ocsf.ClassTunnelActivity, "open", on("ws7"), partner(""), func(e *ocsf.Event) {
		e.Remote = &ocsf.RemoteSession{Tool: "screenconnect", Act: "connect", Operator: "Kim"}
	})
	ended := event(60, "screenconnect", ocsf.ClassTunnelActivity, "close", on("ws7"), partner(""), func(e *ocsf.Event) {
		e.Remote = &ocsf.RemoteSession{Tool: "screenconnect", Act: "disconnect", Operator: "Kim"}
	})
	named := event(-99, "zeek/ntlm", ocsf.ClassAuthentication, "logon", from("10.20.2.1"), to("10.20.2.7"), as("clerk"), func(e *ocsf.Event) { e.Dst.Host = "WS7" })
	jump := event(-99, "zeek/ntlm", ocsf.ClassAuthentication, "logon", from("10.20.2.1"), to("10.20.1.77"), as("clerk"), func(e *ocsf.Event) { e.Dst.Host = "jump1" })
	many := []*ocsf.Event{landing}
	for i := range manyHosts {
		many = append(many, flow(60+i, "10.20.1.77", fmt.Sprintf("10.20.1.%d", 100+i), 445))
	}
	var habit []*ocsf.Event
	for day := -6; day <= -1; day++ {
		habit = append(habit, flow(day*dayInSeconds, vpn, "10.20.1.77", 22, partner("nw-kim")), flow(day*dayInSeconds+60, "10.20.1.77", fmt.Sprintf("10.20.1.%d", 200+day), 22))
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"by SSH to a host it never reached", []*ocsf.Event{landing, flow(60, "10.20.1.77", srv, 22)}, "onward-hop medium succeeded"},
		{"to a host that it reached before", []*ocsf.Event{flow(-2*dayInSeconds, "10.20.1.77", srv, 22), landing, flow(60, "10.20.1.77", srv, 22)}, ""},
		{"when the session was over", []*ocsf.Event{landing, flow(2*3600, "10.20.1.77", srv, 22)}, ""},
		{"connections that tell no account", slices.Clone(many[:manyHosts]), ""},
		{"many of them", many, "onward-hop medium succeeded"},
		{"probes that nobody answers", []*ocsf.Event{landing, flow(60, "10.20.1.77", srv, 22, func(e *ocsf.Event) { e.Flow = &ocsf.Flow{Proto: "tcp", State: "S0", OrigPkts: 1} })}, ""},
		{"back to where it came from", []*ocsf.Event{landing, flow(60, "10.20.1.77", vpn, 22)}, ""},
		{"into another tenant", []*ocsf.Event{landing, flow(60, "10.20.1.77", "10.30.1.9", 445)}, "onward-hop medium succeeded"},
		{"into another partner's network", []*ocsf.Event{landing, flow(60, "10.20.1.77", "198.51.100.3", 3389)}, "onward-hop medium succeeded"},
		{"with a transfer and an order", append([]*ocsf.Event{landing}, psexec(60, from("10.20.1.77"))...), "onward-hop high succeeded; admin-share-exec high succeeded"},
		{"from a declared jump host", []*ocsf.Event{jump, landing, flow(60, "10.20.1.77", srv, 22)}, "onward-hop low succeeded suppressed"},
		{"from a declared jump host into another tenant", []*ocsf.Event{jump, landing, flow(60, "10.20.1.77", "10.30.1.9", 22)}, "onward-hop medium succeeded"},
		{"from where they go on day by day", append(habit, landing, flow(60, "10.20.1.77", srv, 22)), "onward-hop low succeeded"},
		{"from a workstation that is helped by a tool", []*ocsf.Event{named, tool, flow(30, "10.20.2.7", srv, 3389)}, "onward-hop low succeeded"},
		{"after the help", []*ocsf.Event{named, tool, ended, flow(3600, "10.20.2.7", srv, 3389)}, ""},
		{"inside, from a server to the next", []*ocsf.Event{flow(0, "10.20.2.2", "10.20.1.77", 22), flow(60, "10.20.1.77", srv, 22)}, "onward-hop informational succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := run(t, append(c.events, watched())...)
			var last []*ocsf.Finding // of the day that is judged
			for _, f := range list {
				if !f.End.Before(monday) {
					last = append(last, f)
				}
			}
			if got := brief(last); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	f := run(t, watched(), landing, flow(60, "10.20.1.77", "10.30.1.9", 22))[0]
	for _, want := range []string{"landed on 10.20.1.77 by SSH from 10.99.0.7", "somebody reached 10.30.1.9 (SSH)", "The way leads into the network of tenant borg."} {
		if !strings.Contains(f.Reason, want) {
			t.Errorf("%q is missing: %s", want, f.Reason)
		}
	}
	if f.Partner != "northwind" || f.Trust != "nw-acme" || f.Technique != "T1199" {
		t.Errorf("the partner of the landing is lost: %+v", f)
	}
}

func TestUseOutsideOfTheTrustIsStated(t *testing.T) {
	f := run(t, append(psexec(14*3600, partner("nw-kim"), to("172.16.9.9")), watched())...)[0]
	for _, want := range []string{"outside of the hours that the trust declares", "172.16.9.9 is none of the destinations that the trust declares", "The rights that the trust declares (reset-password) do not name the administration of hosts."} {
		if !strings.Contains(f.Reason, want) {
			t.Errorf("%q is missing: %s", want, f.Reason)
		}
	}
}

func TestFindingTellsWhoWhatAndWhere(t *testing.T) {
	f := run(t, append(psexec(0, partner("nw-kim"), as("nw-kim")), watched())...)[0]
	var got []string
	for _, e := range f.Entities {
		got = append(got, fmt.Sprintf("%s %s %s", e.Role, e.Type, e.Value))
	}
	if want := "source ip 10.99.0.7; target ip 10.20.1.5; actor user nw-kim"; strings.Join(got, "; ") != want {
		t.Errorf("got %s", strings.Join(got, "; "))
	}
	if want := `10.99.0.7 wrote to an administrative share of 10.20.1.5 (once) and within 10m0s made it execute something (service; once). Seen: ADMIN$\x.exe, svcctl::CreateServiceW.`; !strings.HasPrefix(f.Reason, want) {
		t.Errorf("got %s", f.Reason)
	}
	if f.Count != 2 || len(f.Evidence) != 2 {
		t.Errorf("%d events behind it", f.Count)
	}
}

func TestNewRelayIsNotSanctionedHere(t *testing.T) {
	ask := func(after int, src, name string) *ocsf.Event {
		return event(after, "zeek/ssl", ocsf.ClassNetworkActivity, "open", from(src), func(e *ocsf.Event) { e.Dst.Domain = name })
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"after a week without", []*ocsf.Event{watched(), ask(0, "10.20.2.9", "relay-1.net.anydesk.com"), ask(60, "10.20.2.10", "relay-2.net.anydesk.com")}, "new-relay low unknown"},
		{"from the first day on", []*ocsf.Event{ask(0, "10.20.2.9", "relay-1.net.anydesk.com"), ask(9*dayInSeconds, "10.20.2.9", "relay-1.net.anydesk.com")}, "new-relay informational unknown"},
		{"what the remote-tool detector judges itself", []*ocsf.Event{watched(), ask(0, "10.20.2.9", "instance-ab12-relay.screenconnect.com")}, ""},
		{"any other name", []*ocsf.Event{watched(), ask(0, "10.20.2.9", "www.example.com")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, c.events...)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestARunOverManyHostsByANewPersonIsHigh(t *testing.T) {
	var one, onboarding []*ocsf.Event
	for h := range RunHosts {
		onboarding = append(onboarding, psexec(h*120, partner("nw-sam"), to(fmt.Sprintf("10.20.1.%d", 40+h)))...)
	}
	for day := -3; day <= -2; day++ { // another person of the provider, on one host a day
		one = append(one, psexec(day*dayInSeconds, partner("nw-kim"), from("10.99.0.9"), to("10.20.1.20"))...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   ocsf.Severity
	}{
		{"where others of the provider go host by host", append(slices.Clone(one), onboarding...), ocsf.SeverityHigh},
		{"where nobody of it did, as on its first day", onboarding, ocsf.SeverityMedium},
		{"on fewer hosts", append(slices.Clone(one), onboarding[:2*(RunHosts-1)]...), ocsf.SeverityMedium},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range run(t, append(slices.Clone(c.events), watched())...) {
				if !f.Time.Before(monday) && f.Severity != c.want {
					t.Errorf("%s, want %s: %s", f.Severity, c.want, f.Reason)
				}
			}
		})
	}
}
