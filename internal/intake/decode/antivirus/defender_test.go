package antivirus

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const (
	detectionRow = `{"Timestamp":"2026-09-21T10:10:20.123Z","DeviceId":"d-1","DeviceName":"PC1.client.example","ActionType":"AntivirusDetection","FileName":"x.exe","FolderPath":"C:\\Temp","SHA256":"ab","ReportId":7,"InitiatingProcessAccountName":"Eve","AdditionalFields":"{\"ThreatName\":\"HackTool:Win32/Mimikatz\",\"WasRemediated\":true}"}`
	processRow   = `{"time":"2026-09-21T10:11:20Z","tenantId":"t","operationName":"Publish","category":"AdvancedHunting-DeviceProcessEvents","properties":{"Timestamp":"2026-09-21T10:10:20Z","DeviceName":"pc1","DeviceId":"d-1","ActionType":"ProcessCreated","FileName":"cmd.exe","FolderPath":"C:\\Windows\\System32\\cmd.exe","ProcessCommandLine":"cmd /c whoami","ProcessVersionInfoOriginalFileName":"Cmd.Exe","ProcessId":12,"AccountName":"Eve","AccountDomain":"CLIENT","InitiatingProcessFolderPath":"c:\\windows\\explorer.exe","InitiatingProcessFileName":"explorer.exe","InitiatingProcessCommandLine":"explorer","ReportId":8}}`
	connection   = `{"TimeGenerated":"2026-09-21T10:10:20Z","DeviceName":"srv","ActionType":"ConnectionSuccess","RemoteIP":"203.0.113.60","RemotePort":443,"RemoteUrl":"Relay.example","LocalIP":"10.0.0.1","LocalPort":50000,"Protocol":"Tcp","InitiatingProcessFolderPath":"/usr/bin","InitiatingProcessFileName":"curl"}`
	registryRow  = `{"Timestamp":"2026-09-21T10:10:20Z","DeviceName":"pc1","ActionType":"RegistryValueSet","RegistryKey":"HKEY_LOCAL_MACHINE\\SOFTWARE\\Run","RegistryValueName":"x","RegistryValueData":"c:\\x.exe","InitiatingProcessFolderPath":"c:\\windows\\regedit.exe","InitiatingProcessFileName":"regedit.exe"}`
)

func TestRowsGetTheNamesOfTheirCategory(t *testing.T) {
	for name, c := range map[string]struct {
		text, source string
		class        ocsf.ClassUID
		fields       map[string]string
	}{
		"a detection": {detectionRow, "defender/antivirus", ocsf.ClassBase, map[string]string{"Signature": "HackTool:Win32/Mimikatz", "Filename": `C:\Temp\x.exe`, "AdditionalFields.WasRemediated": "true"}},
		"a process":   {processRow, "defender/process_creation", ocsf.ClassProcessActivity, map[string]string{"ProcessCommandLine": "cmd /c whoami"}},
		"a connection": {connection, "linux/network_connection", ocsf.ClassNetworkActivity, map[string]string{"DestinationIp": "203.0.113.60", "DestinationPort": "443",
			"DestinationHostname": "Relay.example", "Image": "/usr/bin/curl"}},
		"a registry value": {registryRow, "defender/registry_set", ocsf.ClassRegistryKey, map[string]string{"TargetObject": `HKEY_LOCAL_MACHINE\SOFTWARE\Run\x`, "Details": `c:\x.exe`}},
		"another event":    {`{"Timestamp":"2026-09-21T10:10:20Z","DeviceName":"pc1","ActionType":"ScreenshotTaken"}`, "defender/event", ocsf.ClassBase, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := decodetest.One(t, Objects(), c.text)
			if e.Source != c.source || e.Class != c.class || e.Device == "" {
				t.Errorf("source %s, class %d, device %q", e.Source, e.Class, e.Device)
			}
			for name, want := range c.fields {
				if got := e.Fields.Value(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestAProcessIsFilledIn(t *testing.T) {
	e := decodetest.One(t, Objects(), processRow)
	p := e.Process
	if p == nil || p.Image != `C:\Windows\System32\cmd.exe` || p.ParentImage != `c:\windows\explorer.exe` || p.CommandLine != "cmd /c whoami" || p.OriginalName != "Cmd.Exe" || p.PID != "12" {
		t.Errorf("process %+v", p)
	}
	if e.User.Name != "eve" || e.User.Domain != "client" || e.SourceID != "d-1 8 2026-09-21T10:10:20Z" {
		t.Errorf("user %v, id %q", e.User, e.SourceID)
	}
}

const huntingCSV = "\xef\xbb\xbfTimestamp,DeviceId,DeviceName,ActionType,FileName,FolderPath,AdditionalFields,ReportId\r\n" +
	`2026-09-21T10:10:20Z,d-1,pc1,AntivirusDetection,x.exe,C:\Temp,"{""ThreatName"":""Trojan:Win32/Wacatac""}",7` + "\r\n" +
	"noon,d-1,pc1,AntivirusDetection,x.exe,C:\\Temp,,8\r\n"

func TestExportOfTheHuntingPage(t *testing.T) {
	c := decodetest.File(t, Streams(), "New query.csv", huntingCSV)
	if len(c.Events) != 1 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], "not a time") {
		t.Fatalf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	if e := c.Events[0]; e.Source != "defender/antivirus" || e.Fields.Value("Signature") != "Trojan:Win32/Wacatac" {
		t.Errorf("source %s, fields %v", e.Source, e.Fields)
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), detectionRow, map[string]decodetest.BadRecord{
		"no_time":       {`{"Timestamp":"noon","ActionType":"ProcessCreated","DeviceName":"pc1"}`, "not a time"},
		"of_other_kind": {`{"ActionType":"x","Timestamp":"2026-09-21T10:10:20Z"}`, "no known source"},
		"too_deep":      {`{"ActionType":"x","x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
	})
}

func FuzzDecode(f *testing.F) {
	decodetest.Fuzz(f, Objects(), Streams(), detectionRow, processRow, connection, registryRow, huntingCSV)
}
