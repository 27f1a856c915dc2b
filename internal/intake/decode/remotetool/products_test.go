package remotetool

import (
	"fmt"
	"strings"
	"testing"
)

func TestProductsByProcessServiceAndDomain(t *testing.T) {
	for in, want := range map[string]string{
		`C:\Program Files (x86)\ScreenConnect Client (D2F80B6A91C3E745)\ScreenConnect.ClientService.exe`: "screenconnect d2f80b6a91c3e745",
		`C:\Program Files (x86)\ScreenConnect Client (d2f80b6a91c3e745)\renamed.exe`:                     "screenconnect d2f80b6a91c3e745",
		`/opt/x/anydesk`:                       "anydesk ",
		`C:\Users\a\Downloads\AnyDesk (1).exe`: "anydesk ",
		`C:\ProgramData\JWrapper-Remote Access\JWAppsSharedConfig\x.exe`: "simplehelp ",
		`C:\Program Files\Level\level.exe`:                               "level ",
		`C:\games\level.exe`:                                             "",
		`C:\Program Files\Vendor\agent.exe`:                              "",
		`C:\Windows\System32\svchost.exe`:                                "",
		`C:\Windows\Action1\action1_agent.exe`:                           "action1 ",
		`C:\Temp\syncrosetup.exe`:                                        "",
		strings.Repeat("a", 1<<20):                                       "",
		``:                                                               "",
	} {
		if tool, instance, ok := ByProcess(in); trim(tool, instance, ok) != want {
			t.Errorf("process %.80q: %q, want %q", in, trim(tool, instance, ok), want)
		}
	}
	for in, want := range map[[2]string]string{
		{"ScreenConnect Client (d2f80b6a91c3e745)", ""}:                               "screenconnect d2f80b6a91c3e745",
		{"AnyDesk Service", `"C:\Program Files (x86)\AnyDesk\AnyDesk.exe" --service`}: "anydesk ",
		{"TeamViewer", `"C:\Program Files\TeamViewer\TeamViewer_Service.exe"`}:        "teamviewer ",
		{"AteraAgent", ""}: "atera ",
		{"Splashtop® Remote Service", `"C:\Program Files (x86)\Splashtop\Splashtop Remote\Server\SRService.exe"`}: "splashtop ",
		{"NinjaRMMAgent", ""}: "ninjaone ",
		{"Remote Access Service", `"C:\ProgramData\JWrapper-Remote Access\bin\SimpleService.exe"`}: "simplehelp ",
		{"WinRing0_1_2_0", `"C:\Program Files (x86)\ATERA Networks\AteraAgent\Packages\x.sys"`}:    "atera ",
		{"Spooler", `C:\Windows\System32\spoolsv.exe`}:                                             "",
	} {
		if tool, instance, ok := ByService(in[0], in[1]); trim(tool, instance, ok) != want {
			t.Errorf("service %q: %q, want %q", in, trim(tool, instance, ok), want)
		}
	}
	for in, want := range map[string]string{
		"instance-ab12cd-relay.screenconnect.com":   "screenconnect ab12cd",
		"Acme.ScreenConnect.com.":                   "screenconnect acme",
		"screenconnect.com":                         "screenconnect ",
		"www.screenconnect.com":                     "screenconnect ",
		"notscreenconnect.com":                      "",
		"screenconnect.com.evil.example":            "",
		"relay-1a2b3c4d.net.anydesk.com":            "anydesk ",
		"router15.teamviewer.com":                   "teamviewer ",
		"agent-api.atera.com":                       "atera ",
		"acme.beyondtrustcloud.com":                 "beyondtrust acme",
		"dronemaker.org":                            "",
		"user_managed":                              "",
		"com":                                       "",
		"":                                          "",
		strings.Repeat("a.", 1<<16) + "anydesk.com": "",
	} {
		if tool, instance, ok := ByDomain(in); trim(tool, instance, ok) != want {
			t.Errorf("domain %.60q: %q, want %q", in, trim(tool, instance, ok), want)
		}
	}
	for in, want := range map[string]string{"ConnectWise Control": "screenconnect", "ScreenConnect": "screenconnect", "NinjaRMM": "ninjaone", "Bomgar": "beyondtrust",
		"N-able N-central": "ncentral", "Datto RMM": "dattormm", "Any Desk": "anydesk", "Our Own Tool": "ourowntool"} {
		if got := Normalise(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func trim(tool, instance string, ok bool) string {
	if !ok {
		return tool + instance
	}
	return tool + " " + instance
}

// TestProductTable holds what the table promises: lower case, no name claimed twice, no generic name.
func TestProductTable(t *testing.T) {
	owner := map[string]string{}
	claim := func(kind, name, tool string) {
		if name != strings.ToLower(name) || strings.TrimSpace(name) != name || len(strings.Trim(name, "*")) < 3 {
			t.Errorf("%s: %s %q", tool, kind, name)
		}
		if o, twice := owner[kind+name]; twice {
			t.Errorf("%s %q belongs to %s and %s", kind, name, o, tool)
		}
		owner[kind+name] = tool
	}
	for i := range products {
		p := &products[i]
		if letters(p.tool) != p.tool {
			t.Errorf("tool name %q", p.tool)
		}
		for _, n := range append([]string{p.tool}, p.aliases...) {
			claim("name", n, p.tool)
		}
		for _, n := range p.processes {
			claim("process", n, p.tool)
			switch n {
			case "agent.exe", "service.exe", "connect.exe", "client.exe", "desktop.exe", "remote.exe", "setup.exe":
				t.Errorf("%s: %q is nobody's own name", p.tool, n)
			}
		}
		for _, n := range p.services {
			claim("service", n, p.tool)
		}
		for _, n := range p.domains {
			claim("domain", n, p.tool)
			if !strings.Contains(n, ".") || strings.ContainsAny(n, "*/_ ") {
				t.Errorf("%s: domain %q", p.tool, n)
			}
		}
		for _, n := range p.paths {
			claim("path", n, p.tool)
			if !strings.HasPrefix(n, `\`) {
				t.Errorf("%s: path %q could begin inside a name", p.tool, n)
			}
		}
	}
	if n := len(Tools()); n < 50 {
		t.Errorf("%d products", n)
	}
}

func TestScreenConnectArguments(t *testing.T) {
	const id = `"C:\Program Files (x86)\ScreenConnect Client (d2f80b6a91c3e745)\ScreenConnect.ClientService.exe" `
	for in, want := range map[string]string{
		id + `"?e=Access&y=Guest&h=Hilfe.example.net&p=443&s=C37B&k=BgIA&c=Acme%20GmbH&c=Wien"`: "true d2f80b6a91c3e745 hilfe.example.net 443 c37b Access Guest Acme GmbH",
		id: "true d2f80b6a91c3e745      ",
		`msiexec /i x.msi "?e=Support&y=Guest&h=relay.example.net&p=8041&s=1-2&k=x"`: "true  relay.example.net 8041 1-2 Support Guest ",
		`x "&h=relay.example.net&s=%zz"`:                                             "true  relay.example.net  %zz   ",
		`cmd /c "copy a?e=b"`:                                                        "false       ",
		`ScreenConnect Client (xyz)`:                                                 "false       ",
		``:                                                                           "false       ",
	} {
		a, ok := ParseScreenConnectArgs(in)
		if got := fmt.Sprintf("%v %s %s %s %s %s %s %s", ok, a.Instance, a.Relay, a.Port, a.Session, a.Kind, a.Role, a.Company()); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func TestProgramOfALine(t *testing.T) {
	for in, want := range map[string]string{
		`"C:\a b\c.exe" --x`:     `C:\a b\c.exe`,
		`C:\a b\c.exe --x`:       `C:\a b\c.exe`,
		`C:\a b\c.EXE`:           `C:\a b\c.EXE`,
		`system32\drivers\x.sys`: `system32\drivers\x.sys`,
		`"C:\open`:               `C:\open`,
		``:                       ``,
	} {
		if got := Program(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzLookups(f *testing.F) {
	for _, s := range []string{`"C:\ScreenConnect Client (d2f80b6a91c3e745)\x" "?e=a&h=b&s=%41&c=d"`, "screenconnect client (", "a.screenconnect.com", `\\\`, "..", "&h=", "?e="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ByProcess(s)
		ByService(s, s)
		ByDomain(s)
		Normalise(s)
		Program(s)
		a, _ := ParseScreenConnectArgs(s)
		if a.Instance != "" && len(a.Instance) != 16 || a.Instance != strings.ToLower(a.Instance) {
			t.Errorf("instance %q", a.Instance)
		}
	})
}

func BenchmarkByProcess(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ByProcess(`C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`)
	}
}
