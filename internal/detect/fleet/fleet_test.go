package fleet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var start = time.Date(2025, 5, 5, 8, 0, 0, 0, time.UTC)

func model() *tenant.Model {
	m := &tenant.Model{Version: "1", Partners: []tenant.Partner{{ID: "msp", Tenant: "msp"}}, Tenants: []tenant.Tenant{
		{ID: "msp", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, {ID: "a"}, {ID: "b"}}}
	for _, id := range []tenant.ID{"a", "b"} {
		m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("msp-" + id), Partner: "msp", Tenant: id,
			RemoteTools: []tenant.RemoteTool{{Tool: "ncentral"}, {Tool: "webroot"}, {Tool: "screenconnect", Instance: "aaaaaaaaaaaaaaaa"}}})
	}
	m.Approvals = []tenant.Approval{{Trust: "msp-b", Kind: "maintenance", From: start.Add(100 * time.Hour), Until: start.Add(104 * time.Hour), Owner: "it", Reason: "new product"}}
	return m
}

// story writes events one after another.
type story struct{ events []*ocsf.Event }

func (s *story) add(after time.Duration, e *ocsf.Event) *story {
	e.Time = start.Add(after)
	e.Raw.Record = int64(len(s.events) + 1)
	s.events = append(s.events, e)
	return s
}

func process(id tenant.ID, host, parent, parentLine, image, line string) *ocsf.Event {
	return &ocsf.Event{Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassProcessActivity, Device: host,
		Process: &ocsf.Process{Image: image, CommandLine: line, ParentImage: parent, ParentLine: parentLine}}
}

const (
	agent  = `C:\Program Files (x86)\N-able Technologies\Windows Agent\bin\agent.exe`
	cmd    = `C:\Windows\System32\cmd.exe`
	order  = `cmd.exe /c "C:\Temp\nable\job1.cmd"`
	loader = `C:\Temp\nable\svc.exe`
)

// order writes what the agent of one host is told, and the lines that its shell starts.
func (s *story) order(at time.Duration, id tenant.ID, host string, lines ...string) *story {
	s.add(at, process(id, host, agent, agent, cmd, order))
	for i, line := range lines {
		image, _, _ := strings.Cut(line, " ")
		s.add(at+time.Duration(i+1)*time.Second, process(id, host, cmd, order, image, line))
	}
	return s
}

const (
	disarm = `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe Set-MpPreference -DisableRealtimeMonitoring $true`
	decode = `C:\Windows\System32\certutil.exe -decode C:\Temp\nable\x.crt C:\Temp\nable\svc.exe`
)

func (s *story) stopped(at time.Duration, id tenant.ID, host string) *story {
	e := &ocsf.Event{Tenant: id, Layer: tenant.LayerEndpoint, Device: host, Fields: ocsf.Fields{{Name: "Action Name", Value: "Quarantine"},
		{Name: "Channel", Value: "Microsoft-Windows-Windows Defender/Operational"}, {Name: "EventID", Value: "1117"}, {Name: "Path", Value: `file:_` + loader}}}
	return s.add(at, e)
}

func (s *story) wiped(at time.Duration, id tenant.ID, host string) *story {
	s.add(at, process(id, host, loader, loader+" -s", `C:\Windows\System32\vssadmin.exe`, "vssadmin.exe delete shadows /all /quiet"))
	for i := range RewriteFiles + 2 {
		s.add(at+time.Second, &ocsf.Event{Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassFileActivity, Device: host, Process: &ocsf.Process{Image: loader},
			File: &ocsf.File{Path: fmt.Sprintf(`D:\data\%d.docx.q7zz`, i)}})
	}
	return s
}

func found(t *testing.T, events []*ocsf.Event) map[string]*ocsf.Finding {
	t.Helper()
	d := New(detect.Context{Model: model()})
	out := map[string]*ocsf.Finding{}
	for _, e := range events {
		d.Process(e, func(f *ocsf.Finding) { out[f.ID] = f })
		d.Advance(e.Time, func(*ocsf.Finding) { t.Error("Advance told something") })
	}
	return out
}

func words(list map[string]*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		w := fmt.Sprintf("%s %s %s %s", f.Rule, f.Tenant, f.Severity, f.Outcome)
		if f.Suppressed != nil {
			w += " approved"
		}
		out = append(out, w)
	}
	if len(out) == 2 && out[0] > out[1] {
		out[0], out[1] = out[1], out[0]
	}
	return strings.Join(out, "; ")
}

func TestWhatAgentsBring(t *testing.T) {
	for name, c := range map[string]struct {
		s    *story
		want string
	}{
		"an order that installs": {(&story{}).order(0, "a", "h1", decode, loader+" /quiet"), ""},
		"the chain of July 2021 on two hosts": {(&story{}).order(0, "a", "h1", disarm, decode, loader+" -s").order(time.Minute, "a", "h2", disarm, decode, loader+" -s"),
			"fleet/push a high succeeded"},
		"the same on one host":                       {(&story{}).order(0, "a", "h1", disarm, decode, loader+" -s"), "fleet/push a medium succeeded"},
		"recovery and files on one host":             {(&story{}).order(0, "a", "h1", decode, loader+" -s").wiped(time.Minute, "a", "h1"), "fleet/push a high succeeded"},
		"the same by somebody else":                  {(&story{}).wiped(time.Minute, "a", "h1"), ""},
		"long after the order":                       {(&story{}).order(0, "a", "h1", decode, loader+" -s").wiped(3*time.Hour, "a", "h1"), ""},
		"stopped on one host":                        {(&story{}).order(0, "a", "h1", decode).stopped(5*time.Second, "a", "h1"), "fleet/push a low attempted"},
		"malware that the agent did not bring":       {(&story{}).stopped(5*time.Second, "a", "h1"), ""},
		"stopped on three hosts":                     {(&story{}).order(0, "a", "h1", decode).stopped(5*time.Second, "a", "h1").order(time.Minute, "a", "h2", decode).stopped(61*time.Second, "a", "h2").order(2*time.Minute, "a", "h3", decode).stopped(122*time.Second, "a", "h3"), "fleet/push a medium attempted"},
		"approved work":                              {(&story{}).order(101*time.Hour, "b", "h1", disarm, decode, loader+" -s").order(101*time.Hour+time.Minute, "b", "h2", disarm, decode, loader+" -s"), "fleet/push b high succeeded approved"},
		"the same where nobody approved it":          {(&story{}).order(101*time.Hour, "a", "h1", disarm, decode, loader+" -s").order(101*time.Hour+time.Minute, "a", "h2", disarm, decode, loader+" -s"), "fleet/push a high succeeded"},
		"files rewritten in the time of an approval": {(&story{}).order(101*time.Hour, "b", "h1", disarm, decode, loader+" -s").wiped(101*time.Hour+time.Minute, "b", "h1"), "fleet/push b high succeeded; fleet/push b medium succeeded approved"},
		"a platform that no trust declares": {(&story{}).add(0, process("a", "h1", `C:\Program Files\AnyDesk\AnyDesk.exe`, "x", cmd, order)).
			add(time.Second, process("a", "h1", cmd, order, loader, disarm)).add(time.Second, process("a", "h1", cmd, order, loader, decode)), ""},
		"an antivirus whose console gives orders": {(&story{}).add(0, process("a", "h1", `C:\Program Files\Webroot\WRSA.exe`, "wrsa", cmd, order)).
			add(time.Second, process("a", "h1", cmd, order, loader, loader+" -s")).wiped(time.Minute, "a", "h1"), "fleet/push a high succeeded"},
	} {
		if got := words(found(t, c.s.events)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func audit(operator, ip, act, company, factor string) *ocsf.Event {
	e := &ocsf.Event{Tenant: "msp", Layer: tenant.LayerAccess, Class: ocsf.ClassBase, Status: ocsf.StatusSuccess, Remote: &ocsf.RemoteSession{Tool: "console", Operator: operator, Act: act, Company: company},
		Fields: ocsf.Fields{{Name: "event", Value: "create operator"}, {Name: "mfa", Value: factor}, {Name: "object", Value: "x"}}}
	e.Src.IP = netip.MustParseAddr(ip)
	return e
}

func TestOperatorsFromNewPlaces(t *testing.T) {
	day := 24 * time.Hour
	before := func() *story { return (&story{}).add(0, audit("eve", "198.51.100.1", "login", "", "true")) }
	for name, c := range map[string]struct {
		s    *story
		want string
	}{
		"reads out and orders": {before().add(2*day, audit("eve", "203.0.113.9", "login", "", "false")).add(2*day+time.Minute, audit("eve", "203.0.113.9", "", "A", "false")).
			add(2*day+2*time.Minute, audit("eve", "203.0.113.9", "", "B", "false")).add(2*day+3*time.Minute, audit("eve", "203.0.113.9", "command", "A", "")).
			add(2*day+4*time.Minute, audit("eve", "203.0.113.9", "command", "B", "")), "fleet/operator msp high succeeded"},
		"makes an operator":              {before().add(2*day, audit("eve", "203.0.113.9", "login", "", "false")).add(2*day+time.Minute, audit("eve", "203.0.113.9", "settings", "", "false")), "fleet/operator msp medium succeeded"},
		"one customer's work":            {before().add(2*day, audit("eve", "203.0.113.9", "login", "", "false")).add(2*day+time.Minute, audit("eve", "203.0.113.9", "command", "A", "false")), "fleet/operator msp low succeeded"},
		"with a second factor":           {before().add(2*day, audit("eve", "203.0.113.9", "login", "", "true")).add(2*day+time.Minute, audit("eve", "203.0.113.9", "settings", "", "false")), ""},
		"from the house":                 {before().add(2*day, audit("eve", "10.9.1.1", "login", "", "false")).add(2*day+time.Minute, audit("eve", "10.9.1.1", "settings", "", "false")), ""},
		"from a known place":             {before().add(2*day, audit("eve", "198.51.100.1", "login", "", "no")).add(2*day+time.Minute, audit("eve", "198.51.100.1", "settings", "", "false")), ""},
		"on the first day":               {before().add(time.Hour, audit("eve", "203.0.113.9", "login", "", "false")).add(2*time.Hour, audit("eve", "203.0.113.9", "settings", "", "false")), ""},
		"a console that tells no factor": {before().add(2*day, audit("eve", "203.0.113.9", "login", "", "?")).add(2*day+time.Minute, audit("eve", "203.0.113.9", "settings", "", "")), ""},
	} {
		if got := words(found(t, c.s.events)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func call(ip string, port uint16, answered bool) *ocsf.Event {
	e := &ocsf.Event{Tenant: "msp", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{Proto: "tcp", State: "SF", RespBytes: 900, RespPkts: 4}}
	if !answered {
		e.Flow = &ocsf.Flow{Proto: "tcp", State: "S0"}
	}
	e.Src.IP, e.Dst.IP, e.Dst.Port = netip.MustParseAddr(ip), netip.MustParseAddr("192.0.2.1"), port
	return e
}

func TestShellsUnderServers(t *testing.T) {
	shell := func() *ocsf.Event {
		return process("msp", "rmm1", `c:\windows\system32\inetsrv\w3wp.exe`, "w3wp", cmd, "cmd.exe /c whoami")
	}
	agents := func() *story { return (&story{}).add(0, call("198.51.100.20", 443, true)).add(time.Hour, shell()) }
	day := 25 * time.Hour
	for name, c := range map[string]struct {
		s    *story
		want string
	}{
		"after a new caller":            {agents().add(day, call("203.0.113.9", 443, true)).add(day+30*time.Second, shell()), "fleet/server msp medium succeeded"},
		"after a caller that is known":  {agents().add(day, call("198.51.100.20", 443, true)).add(day+30*time.Second, shell()), ""},
		"long after a new caller":       {agents().add(day, call("203.0.113.9", 443, true)).add(day+10*time.Minute, shell()), ""},
		"after one that got no answer":  {agents().add(day, call("203.0.113.9", 443, false)).add(day+30*time.Second, shell()), ""},
		"while the service is new":      {agents().add(2*time.Hour, call("203.0.113.9", 443, true)).add(2*time.Hour+30*time.Second, shell()), ""},
		"at a house that serves nobody": {(&story{}).add(0, call("198.51.100.20", 443, true)), ""},
	} {
		if got := words(found(t, c.s.events)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRestartsChangeNothing(t *testing.T) {
	s := (&story{}).add(0, audit("eve", "198.51.100.1", "login", "", "true")).add(0, call("198.51.100.20", 443, true))
	s.add(30*time.Hour, call("203.0.113.9", 443, true)).add(30*time.Hour+time.Second, process("msp", "rmm1", `c:\inetsrv\w3wp.exe`, "w", cmd, "cmd /c dir"))
	s.add(31*time.Hour, audit("eve", "203.0.113.9", "login", "", "false")).add(31*time.Hour+time.Minute, audit("eve", "203.0.113.9", "settings", "", "false"))
	s.order(32*time.Hour, "a", "h1", disarm, decode, loader+" -s").wiped(32*time.Hour+time.Minute, "a", "h1").order(33*time.Hour, "b", "h9", decode).stopped(33*time.Hour+time.Minute, "b", "h9")
	want := found(t, s.events)
	if len(want) != 4 {
		t.Fatalf("%s", words(want))
	}
	got := map[string]*ocsf.Finding{}
	var state []byte
	for _, e := range s.events {
		d := New(detect.Context{Model: model()})
		if state != nil {
			if err := d.Restore(state); err != nil {
				t.Fatal(err)
			}
		}
		d.Process(e, func(f *ocsf.Finding) { got[f.ID] = f })
		var err error
		if state, err = d.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	for id, f := range want {
		if g := got[id]; g == nil || g.Severity != f.Severity || g.Outcome != f.Outcome || g.Reason != f.Reason || g.Count != f.Count {
			t.Errorf("%s at %s: %+v after restarts, %+v without", f.Rule, f.Tenant, g, f)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d findings after restarts, %d without", len(got), len(want))
	}
}

func TestIsolationOfPushes(t *testing.T) {
	s := (&story{}).order(0, "a", "host-of-a", disarm, decode, loader+" -s").order(time.Minute, "b", "host-of-b", disarm, decode, loader+" -s")
	list := found(t, s.events)
	if len(list) != 2 {
		t.Fatalf("%s", words(list))
	}
	for _, f := range list {
		other := map[tenant.ID]string{"a": "host-of-b", "b": "host-of-a"}[f.Tenant]
		if text := fmt.Sprintf("%s %+v", f.Reason, f.Entities); strings.Contains(text, other) {
			t.Errorf("the finding of %s tells of the other: %s", f.Tenant, text)
		}
	}
}

func TestForgetting(t *testing.T) {
	d := New(detect.Context{Model: model()})
	s := (&story{}).order(0, "a", "h1", disarm, decode, loader+" -s").add(time.Minute, audit("eve", "198.51.100.1", "login", "", "true")).add(time.Minute, call("198.51.100.20", 443, true))
	for _, e := range s.events {
		d.Process(e, func(*ocsf.Finding) {})
	}
	d.Advance(start.Add(ForgetAfter+48*time.Hour), func(*ocsf.Finding) {})
	if n := len(d.s.Chains) + len(d.s.Pushes) + len(d.s.Places) + len(d.s.Callers) + len(d.s.Sits); n != 0 {
		t.Errorf("%d things are still remembered: %+v", n, d.s)
	}
}
