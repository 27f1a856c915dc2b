package windows

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// decodeText decodes text that holds JSON objects.
func decodeText(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	var c decodetest.Collect
	if err := decode.Objects(Objects()).Read(context.Background(), "x.json", strings.NewReader(text), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func one(t testing.TB, text string) *ocsf.Event {
	t.Helper()
	c := decodeText(t, text)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q from %s", len(c.Events), c.Reasons, text)
	}
	decodetest.Check(t, c.Events[0])
	return c.Events[0]
}

// The same logon in every wrapping that is read.
var wrappings = map[string]string{
	"nxlog": `{"@timestamp":"2026-09-21T08:04:42.818Z","EventTime":"2026-09-21 10:04:42","Hostname":"FS01.example.lan","Channel":"Security","EventID":4624,"SourceName":"Microsoft-Windows-Security-Auditing","RecordNumber":353094,"EventType":"AUDIT_SUCCESS","SubjectUserName":"-","TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":"3","IpAddress":"::ffff:10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}`,
	"winlogbeat": `{"@timestamp":"2026-09-21T08:04:42.818Z","host":{"name":"FS01.example.lan"},"message":"An account was logged on.","winlog":{"channel":"Security","event_id":"4624","provider_name":"Microsoft-Windows-Security-Auditing","record_id":353094,"computer_name":"FS01.example.lan","keywords":["Audit Success"],
"event_data":{"SubjectUserName":"-","TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":"3","IpAddress":"::ffff:10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}}}`,
	"winlogbeat 6": `{"@timestamp":"2026-09-21T08:04:42.818Z","computer_name":"FS01.example.lan","log_name":"Security","event_id":4624,"source_name":"Microsoft-Windows-Security-Auditing","record_number":"353094",
"event_data":{"TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":"3","IpAddress":"10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}}`,
	"evtx dumper": `{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":4624,"Keywords":"0x8020000000000000","TimeCreated":{"#attributes":{"SystemTime":"2026-09-21T08:04:42.818Z"}},"EventRecordID":353094,"Channel":"Security","Computer":"FS01.example.lan"},
"EventData":{"TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":3,"IpAddress":"10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}}}`,
	"evtx dumper, attributes apart": `{"Event":{"System":{"Provider_attributes":{"Name":"Microsoft-Windows-Security-Auditing"},"EventID":{"#text":4624,"#attributes":{"Qualifiers":0}},"TimeCreated_attributes":{"SystemTime":"2026-09-21T08:04:42.818Z"},"EventRecordID":353094,"Channel":"Security","Computer":"FS01.example.lan"},
"EventData":{"TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":3,"IpAddress":"10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}}}`,
	"no outer object, id with value": `{"System":{"Provider":{"Name":"Microsoft-Windows-Security-Auditing"},"EventID":{"Value":4624},"TimeCreated":{"SystemTime":1789977882.818},"EventRecordID":353094,"Channel":"Security","Computer":"FS01.example.lan"},
"EventData":{"TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-5-21-1","LogonType":3,"IpAddress":"10.19.2.23","IpPort":"49536","WorkstationName":"WS7"}}`,
	"XML converter": `{"Event":{"System":{"Provider":{"@Name":"Microsoft-Windows-Security-Auditing"},"EventID":"4624","TimeCreated":{"@SystemTime":"2026-09-21T08:04:42.8180000Z"},"EventRecordID":"353094","Channel":"Security","Computer":"FS01.example.lan"},
"EventData":{"Data":[{"@Name":"TargetUserName","#text":"l.pohl"},{"@Name":"TargetDomainName","#text":"EX"},{"@Name":"TargetUserSid","#text":"S-1-5-21-1"},{"@Name":"LogonType","#text":"3"},{"@Name":"IpAddress","#text":"10.19.2.23"},{"@Name":"IpPort","#text":"49536"},{"@Name":"WorkstationName","#text":"WS7"}]}}}`,
	"EvtxECmd": `{"TimeCreated":"2026-09-21T08:04:42.8180000+00:00","EventId":4624,"Channel":"Security","Provider":"Microsoft-Windows-Security-Auditing","Computer":"FS01.example.lan","EventRecordId":"353094","Payload":"{\"EventData\":{\"Data\":[{\"@Name\":\"TargetUserName\",\"#text\":\"l.pohl\"},{\"@Name\":\"TargetDomainName\",\"#text\":\"EX\"},{\"@Name\":\"TargetUserSid\",\"#text\":\"S-1-5-21-1\"},{\"@Name\":\"LogonType\",\"#text\":\"3\"},{\"@Name\":\"IpAddress\",\"#text\":\"10.19.2.23\"},{\"@Name\":\"IpPort\",\"#text\":\"49536\"},{\"@Name\":\"WorkstationName\",\"#text\":\"WS7\"}]}}"}`,
}

func TestEveryWrappingGivesTheSameEvent(t *testing.T) {
	for name, text := range wrappings {
		t.Run(name, func(t *testing.T) {
			e := one(t, strings.ReplaceAll(text, "\n", ""))
			got := fmt.Sprintf("%s %s %d %s %s %s %s:%d %s %s", e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.User, e.Src.IP, e.Src.Port, e.Src.Host, e.Device)
			if want := `windows/security 2026-09-21T08:04:42.818Z 3002 logon success EX\l.pohl 10.19.2.23:49536 ws7 fs01`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if want := "fs01.example.lan|security|353094|2026-09-21T08:04:42.818Z"; e.SourceID != want {
				t.Errorf("source id %s, want %s", e.SourceID, want)
			}
			for f, want := range map[string]string{"Channel": "Security", "EventID": "4624", "Provider_Name": "Microsoft-Windows-Security-Auditing",
				"Computer": "FS01.example.lan", "EventRecordID": "353094", "TargetUserName": "l.pohl", "LogonType": "3"} {
				if v := e.Fields.Value(f); v != want {
					t.Errorf("field %s is %q, want %q", f, v, want)
				}
			}
		})
	}
}

// flat builds a line as nxlog writes it.
func flat(channel string, id int, fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return fmt.Sprintf(`{"@timestamp":"2026-09-21T08:04:42.818Z","Hostname":"WS7.example.lan","Channel":%q,"EventID":%d,"RecordNumber":7%s}`, channel, id, fields)
}

const sysmonChannel = "Microsoft-Windows-Sysmon/Operational"

func TestEventsByID(t *testing.T) {
	subject := `"SubjectUserName":"a.banks","SubjectDomainName":"EX","SubjectUserSid":"S-1-5-21-9"`
	for _, c := range []struct {
		channel string
		id      int
		fields  string
		want    string // class activity status user actor src dst
	}{
		{"Security", 4625, `"TargetUserName":"l.pohl","TargetDomainName":"EX","TargetUserSid":"S-1-0-0","IpAddress":"10.1.1.1","IpPort":"5","EventType":"AUDIT_FAILURE"`, `3002 logon failure user=EX\l.pohl actor= src=10.1.1.1:5 dst=`},
		{"security", 4634, `"TargetUserName":"l.pohl","EventType":"AUDIT_SUCCESS"`, `3002 logoff success user=l.pohl actor= src= dst=`},
		{"Security", 4648, subject + `,"TargetUserName":"adm","TargetDomainName":"EX","TargetServerName":"FS01.example.lan","IpAddress":"-","ProcessName":"C:\\x.exe"`, `3002 account switch unknown user=EX\adm actor=EX\a.banks src= dst=fs01.example.lan`},
		{"Security", 4672, subject, `3002 assign privileges unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"Security", 4769, `"TargetUserName":"svc@EX.LAN","TargetDomainName":"EX.LAN","IpAddress":"::ffff:10.1.1.2","IpPort":"5","Status":"0x0"`, `3002 service ticket request success user=EX.LAN\svc actor= src=10.1.1.2:5 dst=`},
		{"Security", 4776, `"TargetUserName":"l.pohl","Workstation":"WS9","Status":"0xc000006a"`, `3002 credential validation failure user=l.pohl actor= src=ws9 dst=`},
		{"Security", 4720, subject + `,"TargetUserName":"isl-novak","TargetDomainName":"EX","EventType":"AUDIT_SUCCESS"`, `3001 create success user=EX\isl-novak actor=EX\a.banks src= dst=`},
		{"Security", 4724, subject + `,"TargetUserName":"g.haddad","TargetDomainName":"EX","TargetSid":"S-1-5-21-8"`, `3001 password reset unknown user=EX\g.haddad actor=EX\a.banks src= dst=`},
		{"Security", 4728, subject + `,"MemberName":"CN=isl-novak,OU=Partner,DC=example,DC=lan","TargetUserName":"Domain Admins"`, `3006 add user unknown user=isl-novak actor=EX\a.banks src= dst=`},
		{"Security", 4698, subject + `,"TaskName":"\\x"`, `1006 create unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"Security", 4688, subject + `,"NewProcessName":"C:\\cmd.exe","NewProcessId":"0x17a4","TargetUserName":"-"`, `1007 launch unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"Security", 5140, subject + `,"ShareName":"\\\\*\\IPC$","IpAddress":"10.1.1.3","IpPort":"50767"`, `4006 share unknown user=EX\a.banks actor=EX\a.banks src=10.1.1.3:50767 dst=`},
		{"Security", 5156, `"SourceAddress":"10.1.1.3","SourcePort":"50742","DestAddress":"10.1.1.4","DestPort":"5985","Protocol":"6"`, `4001 open unknown user= actor= src=10.1.1.3:50742 dst=10.1.1.4:5985`},
		{"Security", 5158, `"SourceAddress":"0.0.0.0","SourcePort":"50742","Protocol":"17"`, `4001 bind unknown user= actor= src=:50742 dst=`},
		{"Security", 1102, subject, `0 log cleared unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"Security", 9999, subject, `0  unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"System", 104, subject, `0 log cleared unknown user=EX\a.banks actor=EX\a.banks src= dst=`},
		{"System", 7045, `"ServiceName":"NdisCap","ImagePath":"C:\\ndis.sys","AccountName":"LocalSystem"`, `201004 create success user=LocalSystem actor= src= dst=`},
		{sysmonChannel, 3, `"Image":"C:\\x.exe","User":"EX\\l.pohl","SourceIp":"10.1.1.3","SourcePort":"5","DestinationIp":"192.0.2.7","DestinationPort":"443","DestinationHostname":"Relay.example.net","Protocol":"tcp"`, `4001 open unknown user=EX\l.pohl actor= src=10.1.1.3:5 dst=relay.example.net (192.0.2.7:443)`},
		{sysmonChannel, 7, `"Image":"C:\\x.exe","ImageLoaded":"C:\\y.dll","Hashes":"SHA1=00,MD5=11"`, `1005 load unknown user= actor= src= dst=`},
		{sysmonChannel, 12, `"EventType":"DeleteKey","TargetObject":"HKLM\\x"`, `201001 delete unknown user= actor= src= dst=`},
		{sysmonChannel, 22, `"QueryName":"Relay.Example.net.","QueryStatus":"0","QueryResults":"type:  5 a.example.net;::ffff:192.0.2.7;"`, `4003 query success user= actor= src= dst=relay.example.net`},
		{"Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", 21, `"User":"EX\\l.pohl","Address":"10.1.1.3"`, `3002 logon success user=EX\l.pohl actor= src=10.1.1.3 dst=`},
		{"Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", 24, `"User":"EX\\l.pohl","Address":"LOCAL"`, `3002 session disconnect unknown user=EX\l.pohl actor= src= dst=`},
		{"Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational", 1149, `"Param1":"l.pohl","Param2":"EX","Param3":"10.1.1.3"`, `4005 connect success user=EX\l.pohl actor= src=10.1.1.3 dst=`},
		{"Microsoft-Windows-TerminalServices-RDPClient/Operational", 1102, `"Value":"10.1.1.9"`, `4005 initiate unknown user= actor= src= dst=10.1.1.9`},
		{"Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational", 131, `"ClientIP":"[2001:db8::7]:51234"`, `4005 connect unknown user= actor= src=[2001:db8::7]:51234 dst=`},
	} {
		t.Run(fmt.Sprintf("%s %d", c.channel, c.id), func(t *testing.T) {
			e := one(t, flat(c.channel, c.id, c.fields))
			src := e.Src.String()
			if !e.Src.IP.IsValid() && e.Src.Port != 0 {
				src = fmt.Sprintf(":%d", e.Src.Port)
			}
			got := fmt.Sprintf("%d %s %s user=%s actor=%s src=%s dst=%s", e.Class, e.Activity, e.Status, e.User, e.Actor, src, e.Dst)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPartsOfTheEvent(t *testing.T) {
	e := one(t, flat(sysmonChannel, 22, `"QueryName":"x.example","QueryStatus":"0","QueryResults":"type:  5 a.example.net;::ffff:192.0.2.7;"`))
	if got := strings.Join(e.Answers, " "); got != "a.example.net 192.0.2.7" {
		t.Errorf("answers %q", got)
	}
	e = one(t, flat(sysmonChannel, 1, `"Image":"C:\\cmd.exe","CommandLine":"cmd /c x","ProcessId":"7","ProcessGuid":"{g}","OriginalFileName":"Cmd.Exe","ParentImage":"C:\\p.exe","ParentCommandLine":"p -x","Hashes":"MD5=1,SHA256=2","User":"EX\\l.pohl"`))
	if p := e.Process; p == nil || p.Image != `C:\cmd.exe` || p.CommandLine != "cmd /c x" || p.PID != "7" || p.ParentLine != "p -x" || len(p.Hashes) != 2 || e.Remote != nil {
		t.Errorf("process %+v remote %+v", e.Process, e.Remote)
	}
	e = one(t, flat("Security", 4688, `"NewProcessName":"C:\\cmd.exe","NewProcessId":"0x17a4","ParentProcessName":"C:\\p.exe","CommandLine":"cmd"`))
	if p := e.Process; p.PID != "6052" || p.ParentImage != `C:\p.exe` {
		t.Errorf("process %+v", p)
	}
	e = one(t, flat(sysmonChannel, 11, `"Image":"C:\\x.exe","TargetFilename":"C:\\y.dll"`))
	if e.File == nil || e.File.Path != `C:\y.dll` || e.Process.Image != `C:\x.exe` {
		t.Errorf("file %+v", e.File)
	}
	e = one(t, flat("Windows PowerShell", 400, `"SourceName":"PowerShell","Message":"HostApplication=powershell -nop"`))
	if e.Source != "windows/powershell" || e.Fields.Value("Data") != "HostApplication=powershell -nop" {
		t.Errorf("%s %v", e.Source, e.Fields)
	}
}

func TestSourceNamesTheChannel(t *testing.T) {
	for channel, want := range map[string]string{
		"Application": "application", "Microsoft-Windows-Sysmon/Operational": "sysmon", "Windows PowerShell": "powershell",
		"Microsoft-Windows-PowerShell/Operational": "powershell", "Microsoft-Windows-Windows Defender/Operational": "defender",
		"Directory Service": "directory-service", "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
	} {
		if e := one(t, flat(channel, 1, "")); e.Source != "windows/"+want {
			t.Errorf("%s: source %s, want windows/%s", channel, e.Source, want)
		}
	}
}
