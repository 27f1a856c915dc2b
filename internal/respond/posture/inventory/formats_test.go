package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/unicode"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

const osqueryPrograms = `[
  {"identifying_number":"{A}","install_date":"20260101","install_location":"","install_source":"C:\\x","language":"1033","name":"ScreenConnect Client (0A1B2C3D4E5F6071)","publisher":"ScreenConnect Software","uninstall_string":"MsiExec.exe /X{A}","version":"23.9.7.8804"},
  {"identifying_number":"","install_date":"","install_location":"","install_source":"","language":"","name":"7-Zip 23.01 (x64)","publisher":"Igor Pavlov","uninstall_string":"","version":"23.01"}
]
`

const osqueryDeb = `[{"admindir":"/var/lib/dpkg","arch":"amd64","maintainer":"philandro Software","name":"anydesk","revision":"","section":"net","size":"1","source":"","status":"install ok installed","version":"6.3.0"},
{"admindir":"/var/lib/dpkg","arch":"amd64","maintainer":"x","name":"xrdp","revision":"1","section":"net","size":"1","source":"","status":"deinstall ok config-files","version":"0.9.21.1-1"}]`

const osqueryApps = `[{"bundle_identifier":"com.teamviewer.TeamViewer","bundle_name":"TeamViewer","bundle_short_version":"15.61.3","bundle_version":"1","name":"TeamViewer.app","path":"/Applications/TeamViewer.app"}]`

const fleetAnswer = `{"status":"ok","results":[{"hostname":"Mac-1","rows_":1,"bundle_identifier":"com.philandro.anydesk","bundle_short_version":"9.0.0","name":"AnyDesk.app"}]}`

const uninstallJSON = `[{"DisplayName":"AnyDesk","DisplayVersion":"ad 9.0.4","Publisher":"AnyDesk Software GmbH","UninstallString":"x","PSComputerName":"PC-9"},
 {"DisplayName":null,"DisplayVersion":null},{"DisplayName":"Atera Agent","DisplayVersion":"1.8.4.4","Publisher":"Atera","PSComputerName":"PC-9"}]`

func TestJSONInventories(t *testing.T) {
	k := Knowledge{Model: declaredModel()}
	programs := []string{"2 pc.json: ConnectWise ScreenConnect (0a1b2c3d4e5f6071) 23.9.7.8804 below_fixed=true sanctioned=true foreign_instance=false by t1",
		"software inventory: 2 rows 1 found <nil> hosts 0 bad complete=true"}
	for name, text := range map[string]string{
		"as it is": osqueryPrograms, "UTF-16": utf16le(t, osqueryPrograms, unicode.UseBOM), "UTF-16 without a mark": utf16le(t, osqueryPrograms, unicode.IgnoreBOM), "byte order mark": "\ufeff" + osqueryPrograms,
	} {
		t.Run("programs, "+name, func(t *testing.T) { same(t, read(t, k, "dir/pc.json", text), "software-json", programs) })
	}
	same(t, read(t, k, "deb.json", osqueryDeb), "software-json", []string{"1 deb.json: AnyDesk 6.3.0 sanctioned=true foreign_instance=false by t1", "software inventory: 1 rows 1 found <nil> hosts 0 bad complete=true"})
	same(t, read(t, k, "apps.json", osqueryApps), "software-json", []string{"1 apps.json: TeamViewer 15.61.3 below_fixed=false sanctioned=false", "software inventory: 1 rows 1 found <nil> hosts 0 bad complete=true"})
	same(t, read(t, k, "fleet.json", fleetAnswer), "software-json", []string{"1 mac-1: AnyDesk 9.0.0 sanctioned=true foreign_instance=false by t1", "software inventory of mac-1: 1 rows 1 found 1 hosts 0 bad complete=true"})
	same(t, read(t, k, "keys.json", uninstallJSON), "software-json", []string{"1 pc-9: AnyDesk ad 9.0.4 sanctioned=true foreign_instance=false by t1", "2 pc-9: Atera Agent 1.8.4.4 below_fixed=true sanctioned=false",
		"software inventory of pc-9: 2 rows 2 found 1 hosts 0 bad complete=true"})
}

func TestJSONThatIsBrokenCostsItsRecords(t *testing.T) {
	inv := "software inventory: %d rows %d found <nil> hosts %d bad complete=<nil>"
	cut := osqueryPrograms[:strings.Index(osqueryPrograms, "7-Zip")]
	r := read(t, Knowledge{}, "pc.json", cut)
	if got := r.tell(); len(got) != 2 || got[1] != fmt.Sprintf(inv, 1, 1, 1) || len(r.bad) != 1 || !strings.Contains(r.bad[0], "cut short") {
		t.Errorf("cut: %q %q", got, r.bad)
	}
	stray := strings.Replace(osqueryPrograms, `"language":"1033"`, `"language":"1033`, 1)
	r = read(t, Knowledge{}, "pc.json", stray)
	if r.format == "" { // its first record doesn't tell the format; the reader must still cope
		for _, f := range Formats(Knowledge{}) {
			if f.Name == "software-json" {
				_ = f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "pc.json", Reader: strings.NewReader(stray)}, evidence.Sink{
					Item: func(i evidence.Item) error { r.items = append(r.items, i); return nil }, Bad: func(n int64, s string) { r.bad = append(r.bad, s) }})
			}
		}
	}
	if got := r.tell(); len(r.bad) != 1 || len(got) == 0 || got[len(got)-1] != fmt.Sprintf(inv, 1, 0, 1) {
		t.Errorf("a missing quote: %q %q", got, r.bad)
	}
	deep := `[{"name":"AnyDesk","version":"9","publisher":"x","y":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `},{"name":"AnyDesk","version":"9.1.0","publisher":"x"}]`
	r = result{}
	for _, f := range Formats(Knowledge{}) {
		if f.Name == "software-json" {
			_ = f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "pc.json", Reader: strings.NewReader(deep)}, evidence.Sink{
				Item: func(i evidence.Item) error { r.items = append(r.items, i); return nil }, Bad: func(n int64, s string) { r.bad = append(r.bad, s) }})
		}
	}
	if len(r.bad) != 1 || len(r.items) != 2 {
		t.Errorf("nested: %q %q", r.tell(), r.bad)
	}
}

const resultsLogText = `{"name":"pack_it_programs","hostIdentifier":"PC-1","unixTime":1795000000,"columns":{"name":"AnyDesk","version":"8.0.9","publisher":"x"},"action":"added"}
{"name":"pack_it_programs","hostIdentifier":"PC-1","unixTime":1795000100,"columns":{"name":"AnyDesk","version":"8.0.9","publisher":"x"},"action":"removed"}
{"name":"pack_it_programs","hostIdentifier":"PC-1","unixTime":1795000100,"columns":{"name":"AnyDesk","version":"9.1.0","publisher":"x"},"action":"added"}
{"name":"uptime","hostIdentifier":"PC-1","unixTime":1795009999,"columns":{"days":"1"},"action":"added"}
{"name":"snap","hostIdentifier":"PC-2","unixTime":1795000000,"snapshot":[{"name":"TeamViewer","version":"15.70.6","publisher":"x"},{"name":"RustDesk","version":"1.2.3","publisher":"x"}],"action":"snapshot"}
not JSON {"a"
{"name":"snap","hostIdentifier":"PC-2","unixTime":1795000500,"snapshot":[{"name":"TeamViewer","version":"15.70.6","publisher":"x"}],"action":"snapshot"}
{"name":"batch","hostIdentifier":"PC-3","unixTime":1795000500,"diffResults":{"added":[{"name":"anydesk","version":"6.3.0","arch":"amd64","maintainer":"m","revision":""}],"removed":[]}}
{"name":"batch","unixTime":1795000500,"columns":{}}
`

func TestAResultsLogSaysWhatWasThereInTheEnd(t *testing.T) {
	r := read(t, Knowledge{}, "osqueryd.results.log", resultsLogText)
	same(t, r, "osquery-log", []string{
		"3 pc-1: AnyDesk 9.1.0 below_fixed=false", "7 pc-2: TeamViewer 15.70.6 below_fixed=false", "8 pc-3: AnyDesk 6.3.0",
		"software inventory: 7 rows 3 found 3 hosts 2 bad complete=<nil>"}, "6:", "9: no hostIdentifier")
	if got := r.items[0].At.Unix(); got != 1795009999 {
		t.Errorf("it was last there at %d: a host that still reports still has it", got)
	}
}

const wingetTable = "\r   - \r   \\ \r                      \rName                           Id                          Version         Available Source\n" +
	"------------------------------------------------------------------------------------------\n" +
	"AnyDesk                        AnyDesk.AnyDesk             9.1.0           9.5.6     winget\n" +
	"ScreenConnect Client (ffffff…  ScreenConnect Client (fff…  23.9.7.8804\n" +
	"微软 Edge                      Microsoft.Edge              131.0.2903.51             winget\n" +
	"TeamViewer                     TeamViewer.TeamVi…          < 15.70.6                 winget\n" +
	"\n2 upgrades available.\n"

const wingetGerman = "Name         ID                   Version  Verfügbar Quelle\n-----------------------------------------------------------\n" +
	"Größe XY     Firma.Größe          1.0                winget\nRustDesk     RustDesk.RustDesk    1.2.3    1.4.0     winget\n"

const wingetJSON = `{"$schema":"https://aka.ms/winget-packages.schema.2.0.json","CreationDate":"2026-11-20T08:00:00.000-00:00","Sources":[{"Packages":[
 {"PackageIdentifier":"AnyDesk.AnyDesk","Version":"9.1.0"},{"PackageIdentifier":"Git.Git"},{"PackageIdentifier":"uvncbvba.UltraVNC"}],"SourceDetails":{"Name":"winget"}}],"WinGetVersion":"1.9.2"}`

func TestWinget(t *testing.T) {
	k := Knowledge{}
	same(t, read(t, k, "winget.txt", wingetTable), "winget-list", []string{"3 winget.txt: AnyDesk 9.1.0 below_fixed=false", "4 winget.txt: ConnectWise ScreenConnect 23.9.7.8804 below_fixed=true",
		"6 winget.txt: TeamViewer < 15.70.6", "software inventory: 4 rows 3 found <nil> hosts 0 bad complete=true"})
	same(t, read(t, k, "winget.txt", utf16le(t, wingetGerman, unicode.UseBOM)), "winget-list", []string{"4 winget.txt: RustDesk 1.2.3", "software inventory: 2 rows 1 found <nil> hosts 0 bad complete=true"})
	same(t, read(t, k, "winget.json", wingetJSON), "winget-export", []string{"1 winget.json: AnyDesk 9.1.0 below_fixed=false", "1 winget.json: UltraVNC <nil>", "software inventory: 3 rows 2 found <nil> hosts 0 bad complete=true"})
}

const regExport = "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall]\r\n\r\n" +
	"[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{11111111-2222-3333-4444-555555555555}]\r\n" +
	"\"DisplayName\"=\"ScreenConnect Client (ffffffffffffffff)\"\r\n\"DisplayVersion\"=\"25.2.4.9229\"\r\n\"Publisher\"=\"ScreenConnect Software\"\r\n\"EstimatedSize\"=dword:0000279a\r\n" +
	"\"UninstallString\"=hex(2):4d,00,73,00,69,00,\\\r\n  45,00,78,00\r\n\r\n" +
	"[HKEY_LOCAL_MACHINE\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\KB123]\r\n\"ParentKeyName\"=\"OperatingSystem\"\r\n\r\n" +
	"[HKEY_LOCAL_MACHINE\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\AnyDesk]\r\n\"DisplayName\"=\"AnyDesk\"\r\n\"DisplayVersion\"=\"ad 8.0.9\"\r\n\"InstallLocation\"=\"\\\"C:\\\\Program Files (x86)\\\\AnyDesk\\\"\"\r\n"

func TestRegistryExports(t *testing.T) {
	want := []string{"5 pc.reg: ConnectWise ScreenConnect (ffffffffffffffff) 25.2.4.9229 below_fixed=false", "16 pc.reg: AnyDesk ad 8.0.9", "software inventory: 2 rows 2 found <nil> hosts 0 bad complete=true"}
	for name, text := range map[string]string{
		"UTF-16": utf16le(t, regExport, unicode.UseBOM), "UTF-8": regExport, "UTF-16 without a mark": utf16le(t, regExport, unicode.IgnoreBOM),
		"REGEDIT4": strings.Replace(regExport, "Windows Registry Editor Version 5.00", "REGEDIT4", 1),
	} {
		t.Run(name, func(t *testing.T) { same(t, read(t, Knowledge{}, "pc.reg", text), "windows-uninstall-reg", want) })
	}
	cut := regExport[:strings.Index(regExport, "AnyDesk\"\r\n\"DisplayVersion")+3]
	r := read(t, Knowledge{}, "pc.reg", cut)
	same(t, r, "windows-uninstall-reg", []string{want[0], "software inventory: 1 rows 1 found <nil> hosts 1 bad complete=<nil>"}, "17: a value without its end")
}

const dpkgTable = `Desired=Unknown/Install/Remove/Purge/Hold
| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend
|/ Err?=(none)/Reinst-required (Status,Err: uppercase=bad)
||/ Name           Version              Architecture Description
+++-==============-====================-============-=================================
ii  adduser        3.134                all          add and remove users and groups
ii  anydesk        6.3.0                amd64        AnyDesk
rc  teamviewer     15.40.8              amd64        Remote control
ii  libvncserver1:amd64 0.9.14+dfsg-1   amd64        API to write one's own VNC server
ii  guacd          1.3.0-1.1+deb12u1    amd64        Guacamole
`

func TestPackageLists(t *testing.T) {
	same(t, read(t, Knowledge{}, "dpkg.txt", dpkgTable), "dpkg-list", []string{"7 dpkg.txt: AnyDesk 6.3.0", "10 dpkg.txt: Apache Guacamole 1.3.0-1.1+deb12u1", "software inventory: 4 rows 2 found <nil> hosts 0 bad complete=true"})
	same(t, read(t, Knowledge{}, "q.txt", "adduser\t3.134\nanydesk\t6.3.0\nlibc6:amd64\t2.36-9\nremoved\t\nrustdesk\t1.2.3\nzip\t3.0-13\nzsh\t5.9-4\nxz-utils\t5.4.1\n%%%\n"), "dpkg-query", []string{"2 q.txt: AnyDesk 6.3.0", "5 q.txt: RustDesk 1.2.3", "software inventory: 7 rows 2 found <nil> hosts 1 bad complete=<nil>"}, "9: not a line")
	same(t, read(t, Knowledge{}, "rpm.txt", "bash-5.1.8-6.el9.x86_64\ntigervnc-server-1.13.1-8.el9.x86_64\ngpg-pubkey-8483c65d-5ccc5b19\nanydesk-6.3.0-1.x86_64\nbasesystem-11-13.el9.noarch\n"), "rpm-list",
		[]string{"2 rpm.txt: TigerVNC 1.13.1-8.el9", "4 rpm.txt: AnyDesk 6.3.0-1", "software inventory: 4 rows 2 found <nil> hosts 0 bad complete=true"})
}

func TestKEVAmongTheEvidence(t *testing.T) {
	text := `{"catalogVersion":"2026.11.20","dateReleased":"2026-11-20T12:00:00.0Z","count":1,"vulnerabilities":[{"cveID":"CVE-2024-1709","vendorProject":"ConnectWise","product":"ScreenConnect","vulnerabilityName":"n","dateAdded":"2024-02-22","shortDescription":"s","requiredAction":"r","dueDate":"2024-02-29"}]}`
	r := read(t, Knowledge{}, "kev.json", text)
	if r.format != "kev-catalogue" || len(r.items) != 1 || r.items[0].Values["products"] != int64(1) || r.items[0].At.Day() != 20 {
		t.Errorf("%s %v %v", r.format, r.items, r.err)
	}
	if r := read(t, Knowledge{}, "kev.json", text[:200]); r.err == nil || len(r.items) != 0 {
		t.Errorf("cut: %v %v", r.err, r.items)
	}
}

func TestAnErrorOfTheDiskIsNoEnd(t *testing.T) {
	broken := func(s string) io.Reader {
		return io.MultiReader(strings.NewReader(s), iotest.ErrReader(errors.New("disk")))
	}
	for name, c := range map[string]string{"software-csv": rmmCSV, "software-json": osqueryPrograms[:len(osqueryPrograms)-3], "osquery-log": resultsLogText, "winget-list": wingetTable, "windows-uninstall-reg": regExport, "dpkg-list": dpkgTable} {
		for _, f := range Formats(Knowledge{}) {
			if f.Name != name {
				continue
			}
			var last evidence.Item
			bad := 0
			err := f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "x", Reader: broken(c)}, evidence.Sink{Item: func(i evidence.Item) error { last = i; return nil }, Bad: func(int64, string) { bad++ }})
			if err != nil || bad == 0 || last.Values["complete"] != nil || last.Kind != KindInventory {
				t.Errorf("%s: %v, %d bad, %v", name, err, bad, last.Values)
			}
		}
	}
}

func TestWhatTheSinkRefusesEndsTheReading(t *testing.T) {
	stop := errors.New("enough")
	for name, c := range map[string]string{"software-csv": rmmCSV, "software-json": osqueryPrograms, "osquery-log": resultsLogText, "winget-list": wingetTable, "windows-uninstall-reg": regExport, "dpkg-list": dpkgTable, "account-csv": usersCSV} {
		for _, f := range Formats(Knowledge{}) {
			if f.Name != name {
				continue
			}
			if err := f.Read(context.Background(), evidence.Input{Name: "x", Reader: strings.NewReader(c)}, evidence.Sink{Item: func(evidence.Item) error { return stop }}); !errors.Is(err, stop) {
				t.Errorf("%s: %v", name, err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := f.Read(ctx, evidence.Input{Name: "x", Reader: strings.NewReader(c)}, evidence.Sink{Item: func(evidence.Item) error { return nil }}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, cancelled: %v", name, err)
			}
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{rmmCSV, osqueryPrograms, osqueryDeb, osqueryApps, uninstallJSON, resultsLogText, wingetTable, wingetGerman, wingetJSON, regExport, dpkgTable, usersCSV, graphUsers, registrationJSON,
		"adduser\t3.134\nanydesk\t6.3.0\n", "bash-5.1.8-6.el9.x86_64\n", utf16le(f, regExport, unicode.UseBOM), "\"\n\"", "[{\"name\":\"\\", "a,b\n\"x"} {
		f.Add([]byte(s))
	}
	k := Knowledge{Model: declaredModel()}
	formats := Formats(k)
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, format := range formats {
			known := format.Recognise("x", raw[:min(len(raw), maxHead)])
			items := 0
			err := format.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "x", At: fileTime, Reader: strings.NewReader(string(raw))}, evidence.Sink{
				Item: func(i evidence.Item) error {
					items++
					if i.Tenant != "acme" || i.Kind == "" || i.Subject == "" || i.At.After(fileTime.AddDate(80, 0, 0)) {
						t.Errorf("%s: %+v", format.Name, i)
					}
					for n, v := range i.Values {
						if s, ok := v.(string); ok && len(s) > 8*maxText {
							t.Errorf("%s: %s has %d bytes", format.Name, n, len(s))
						}
					}
					return nil
				},
				Bad: func(line int64, reason string) {
					if reason == "" || line < 0 {
						t.Errorf("%s: bad without a reason", format.Name)
					}
				},
			})
			if errors.Is(err, evidence.ErrNotThis) && items > 0 {
				t.Errorf("%s: facts of a file that is of another format", format.Name)
			}
			if known && errors.Is(err, evidence.ErrNotThis) && format.Name == "software-csv" {
				t.Errorf("%s recognises what it doesn't read", format.Name)
			}
		}
	})
}
