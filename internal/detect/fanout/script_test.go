package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// ran is a process with that line on n hosts, one a minute, by somebody of the house.
func ran(at time.Time, id tenant.ID, line string, n int, with ...change) (out []*ocsf.Event) {
	for i := range n {
		e := &ocsf.Event{Time: at.Add(time.Duration(i) * time.Minute), Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassProcessActivity, Device: fmt.Sprintf("%s-pc-%d", id, i),
			User: ocsf.User{Name: "anna"}, Process: &ocsf.Process{CommandLine: line}, Raw: ocsf.RawRef{File: "sysmon.json", Record: at.Unix() + int64(i)}}
		for _, w := range with {
			w(e)
		}
		out = append(out, e)
	}
	return out
}

func TestWhatRunsOnManyHosts(t *testing.T) {
	agent := func(e *ocsf.Event) { e.Process.ParentImage = `C:\Program Files\AnyDesk\AnyDesk.exe` }
	life := ran(monday.AddDate(0, 0, -3), "client-0", `explorer.exe /idle`, 1)
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	hosts := func(list []*ocsf.Event, line string) []*ocsf.Event {
		return each(list, func(e *ocsf.Event) {
			e.Remote.CommandLine = strings.ReplaceAll(line, "HOST", strings.ToUpper(e.Device))
		})
	}
	nightly := func(at time.Time) []*ocsf.Event {
		return remote(at, "client-0", "command", "Install-Updates.ps1 -All", 30)
	}
	script := "client-0 script low succeeded"
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a new script on five hosts", slices.Concat(life, remote(monday, "client-0", "command", "evil.ps1 -q", 5)), script},
		{"on four", slices.Concat(life, remote(monday, "client-0", "command", "evil.ps1 -q", 4)), ""},
		{"on one host of three tenants", byTime(slices.Concat(life, remote(monday, "client-0", "command", "evil.ps1 -q", 1), remote(monday, "client-1", "command", "evil.ps1 -q", 1), remote(monday, "client-2", "command", "evil.ps1 -q", 1))),
			script + "; client-1 script low succeeded; client-2 script low succeeded"},
		{"with another host name, number, id and case each time", slices.Concat(life, hosts(remote(monday, "client-0", "command", "", 5), `C:\x.exe  --name HOST --id 6E081C94-7b04-4c9d-a07e-00d28e18e57d --ticket 4711`)), script},
		{"in the first hours it is warm-up", remote(monday, "client-0", "command", "evil.ps1 -q", 5), "client-0 script informational succeeded"},
		{"a nightly script is habit", slices.Concat(life, onDays(2, nightly), nightly(monday)), ""},
		{"the wrapper of a remote tool says nothing", slices.Concat(life, remote(monday, "client-0", "command", `"cmd.exe" /c "C:\Windows\TEMP\ScreenConnect\24.2\6e081c94-7b04-4c9d-a07e-00d28e18e57drun.cmd"`, 9)), ""},
		{"by a remote tool that nobody declared", slices.Concat(life, ran(monday, "client-0", "powershell -enc QUJD", 6, agent)), script},
		{"by the house's own people", slices.Concat(life, ran(monday, "client-0", "powershell -enc QUJD", 9)), ""},
		{"by a partner's account", slices.Concat(life, ran(monday, "client-0", "powershell -enc QUJD", 6, ofPartner)), script},
		{"a program without arguments", slices.Concat(life, ran(monday, "client-0", `"C:\Windows\explorer.exe"`, 9, ofPartner)), ""},
		{"what the house runs every day, by a partner", slices.Concat(life, ran(monday.AddDate(0, 0, -2), "client-1", "gpupdate /force", 2), ran(monday, "client-0", "gpupdate /force", 9, ofPartner)), ""},
		{"but on ten hosts", slices.Concat(life, ran(monday.AddDate(0, 0, -2), "client-1", "gpupdate /force", 2), ran(monday, "client-0", "gpupdate /force", 10, ofPartner)), script},
		{"a file that is pushed", slices.Concat(life, each(remote(monday, "client-0", "file", "", 5), func(e *ocsf.Event) { e.File = &ocsf.File{Path: `C:\x.exe`, Hashes: []string{"MD5=1", "SHA256=AB"}} })), script},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := map[string]*ocsf.Finding{}
			for id, f := range since(run(model(), c.events), monday) {
				if f.Rule == "fanout/script" {
					found[id] = f
				}
			}
			if got := brief(found); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestScriptFindingNamesHashFirstLineAndHosts(t *testing.T) {
	events := slices.Concat(ran(monday.AddDate(0, 0, -3), "client-0", "explorer.exe /idle", 1), remote(monday, "client-0", "command", "Evil.ps1 -q\nsecond line", 5))
	for _, f := range run(model(), events) {
		if f.Rule != "fanout/script" {
			continue
		}
		for _, want := range []ocsf.Entity{{Type: ocsf.EntityProcess, Value: "Evil.ps1 -q", Role: "indicator"}, {Type: ocsf.EntityHost, Value: "client-0-ws-4", Role: ocsf.RoleTarget},
			{Type: ocsf.EntityRMM, Value: "screenconnect 0123456789abcdef", Role: ocsf.RoleActor}} {
			if !slices.Contains(f.Entities, want) {
				t.Errorf("no %v in %v", want, f.Entities)
			}
		}
		if f.Entities[0].Type != ocsf.EntityHash || len(f.Entities[0].Value) != 64 || f.Technique != "T1072" {
			t.Errorf("%+v", f)
		}
		if want := "One script was on 5 hosts of 1 tenant since 2026-09-07 09:00:00 (5 here), on 5 of them within 30m0s; nobody was seen to run it more than 24h0m0s before. It begins: Evil.ps1 -q"; f.Reason != want {
			t.Errorf("got  %s\nwant %s", f.Reason, want)
		}
		return
	}
	t.Error("nothing is found")
}

func TestNormaliseMakesRunsEqual(t *testing.T) {
	for _, c := range []struct{ line, device, want string }{
		{"  A.exe\t -X \n", "", "a.exe -x"},
		{`c:\t\6E081C94-7b04-4c9d-a07e-00d28e18e57drun.cmd`, "", `c:\t\<id>run.cmd`},
		{"6e081c94-7b04-4c9d-a07e", "", "6e081c94-7b04-4c9d-a07e"},
		{"kb5044281 v1.203 port 443", "", "kb# v1.203 port 443"},
		{`"C:\Users\Anna Berg\x.ps1" \users\`, "", `"c:\users\<user>\x.ps1" \users\`},
		{"ping SRV-01.client.example", "srv-01.client.example", "ping <host>.client.example"},
		{"ping pc", "pc", "ping pc"},
		{"", "", ""},
	} {
		if got := normalise(c.line, c.device); got != c.want {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
}

func TestMemoryOfLinesIsBounded(t *testing.T) {
	l := newLines()
	for i := range 3 * maxLines {
		l.first(uint64(i), int64(i))
	}
	if n := len(l.Young) + len(l.Old); n > maxLines {
		t.Errorf("%d lines are remembered", n)
	}
	if got := l.first(3*maxLines-1, 1<<40); got != 3*maxLines-1 {
		t.Errorf("the newest line was first seen at %d", got)
	}
	l.age(time.Unix(1<<40, 0))
	l.age(time.Unix(1<<41, 0))
	if n := len(l.Young) + len(l.Old); n > 0 {
		t.Errorf("%d lines are remembered for ever", n)
	}
}

func FuzzNormalise(f *testing.F) {
	for _, line := range []string{"", " ", `"cmd.exe" /c "C:\Windows\TEMP\6e081c94-7b04-4c9d-a07e-00d28e18e57drun.cmd"`, `C:\Users\Anna Berg\x.ps1 -n 12345`, "\xff\x00 \n\t", strings.Repeat("9", 5000)} {
		f.Add(line, "srv-1.client.example")
	}
	f.Fuzz(func(t *testing.T, line, device string) {
		got := normalise(line, device)
		if len(got) > 8*maxLine {
			t.Errorf("%d bytes become %d", len(line), len(got))
		}
		if strings.Contains(got, "  ") || got != strings.TrimSpace(got) {
			t.Errorf("%q has spaces left", got)
		}
		e := ran(monday, "client-0", line, 1, ofPartner)[0]
		e.Device = device
		scriptOf(e)
		firstLine(line)
	})
}
