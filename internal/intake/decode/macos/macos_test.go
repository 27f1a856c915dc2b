package macos

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

// esMessage writes an Endpoint Security message that holds the event.
func esMessage(event string) string {
	return `{"schema_version":1,"mach_time":518281374289,"event_type":9,"time":"2026-09-21T04:15:22.123456Z","version":8,"seq_num":1204,"process":{"ppid":1,"audit_token":{"pid":501,"euid":501,"auid":501},"executable":{"path":"/bin/zsh","path_truncated":false}},"event":{` + event + `}}`
}

const (
	execEvent = `"exec":{"script":null,"args":["curl","-s","https://example.com/a, b"],"env":["A=1"],"cwd":{"path":"/Users/ana"},"target":{"ppid":501,"audit_token":{"pid":502,"euid":0},"team_id":null,"cdhash":"AABB","executable":{"path":"/usr/bin/curl"}}}`
	osMac     = `{"name":"pack_x_es_process_events","hostIdentifier":"MAC7.local","unixTime":1789964125,"columns":{"pid":"77","path":"/usr/bin/dscl","parent":"70","cmdline":"dscl . -create /Users/x","uid":"0","euid":"0","username":"root","time":"1789964120","event_type":"exec","signing_id":"com.apple.dscl"},"action":"added"}`
	osLinux   = `{"name":"process_events","hostIdentifier":"web1","unixTime":"1789964125","columns":{"pid":"78","path":"/usr/bin/chattr","parent":"70","cmdline":"chattr -i /etc/passwd","cwd":"\"/root\"","auid":"1000","uid":"0","euid":"0","syscall":"execve"},"action":"added"}`
	osSocket  = `{"name":"socket_events","hostIdentifier":"web1","unixTime":1789964125,"decorations":{"platform":"ubuntu"},"columns":{"action":"connect","pid":"78","path":"/bin/bash","remote_address":"203.0.113.5","remote_port":"443","local_address":"0.0.0.0","local_port":"0","status":"succeeded"},"action":"added"}`
	osFile    = `{"name":"file_events","hostIdentifier":"web1","unixTime":1789964125,"decorations":{"platform":"darwin"},"columns":{"target_path":"/Library/LaunchDaemons/a.plist","action":"CREATED","sha256":"AA"},"action":"added"}`
	logEntry  = `{"timestamp":"2026-09-21 10:00:00.000001+0200","eventMessage":"   ana : TTY=ttys001 ; PWD=/Users/ana ; USER=root ; COMMAND=/bin/ls -l ; id","processImagePath":"/usr/bin/sudo","processID":99,"userID":0,"eventType":"logEvent"}`
)

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %d %s %s user=%s actor=%s dev=%s", e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.User, e.Actor, e.Device)
	if p := e.Process; p != nil {
		s += fmt.Sprintf(" %s|%s|%s|%s", p.Image, p.CommandLine, p.PID, p.ParentImage)
	}
	if e.File != nil {
		s += " file=" + e.File.Path
	}
	return s + fmt.Sprintf(" %s>%s", e.Src, e.Dst)
}

func TestRecords(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		fields   map[string]string
	}{
		"exec": {esMessage(execEvent), "macos/process_creation 2026-09-21T04:15:22.123456Z 1007 launch success user=root actor=501 dev= /usr/bin/curl|curl -s https://example.com/a, b|502|/bin/zsh >",
			map[string]string{"Image": "/usr/bin/curl", "CommandLine": "curl -s https://example.com/a, b", "ParentImage": "/bin/zsh", "CurrentDirectory": "/Users/ana", "User": "root", "ParentProcessId": "501"}},
		"exec without arguments": {esMessage(strings.Replace(execEvent, `["curl","-s","https://example.com/a, b"]`, `[]`, 1)),
			"macos/process_creation 2026-09-21T04:15:22.123456Z 1007 launch success user=root actor=501 dev= /usr/bin/curl|/usr/bin/curl|502|/bin/zsh >", nil},
		"create": {esMessage(`"create":{"destination":{"new_path":{"dir":{"path":"/Library/StartupItems"},"filename":"a.plist"}}}`),
			"macos/file_event 2026-09-21T04:15:22.123456Z 1001 create unknown user=501 actor=501 dev= /bin/zsh||501| file=/Library/StartupItems/a.plist >",
			map[string]string{"TargetFilename": "/Library/StartupItems/a.plist", "Image": "/bin/zsh"}},
		"rename over a file": {esMessage(`"rename":{"source":{"path":"/tmp/a"},"destination":{"existing_file":{"path":"/etc/b"}}}`),
			"macos/file_event 2026-09-21T04:15:22.123456Z 1001 rename unknown user=501 actor=501 dev= /bin/zsh||501| file=/etc/b >", map[string]string{"SourceFilename": "/tmp/a"}},
		"unlink": {esMessage(`"unlink":{"target":{"path":"/var/log/x"}}`),
			"macos/file_delete 2026-09-21T04:15:22.123456Z 1001 delete unknown user=501 actor=501 dev= /bin/zsh||501| file=/var/log/x >", nil},
		"close without a write": {esMessage(`"close":{"modified":false,"target":{"path":"/x"}}`),
			"macos/endpoint_security 2026-09-21T04:15:22.123456Z 0 close unknown user=501 actor=501 dev= /bin/zsh||501| >", nil},
		"ssh refused": {esMessage(`"openssh_login":{"success":false,"source_address":"192.0.2.7","username":"ana"}`),
			"macos/authentication 2026-09-21T04:15:22.123456Z 3002 logon failure user=ana actor=501 dev= /bin/zsh||501| 192.0.2.7>", map[string]string{"SourceIp": "192.0.2.7"}},
		"an event of its own": {esMessage(`"mount":{"statfs":{"f_mntonname":"/Volumes/X"}}`),
			"macos/endpoint_security 2026-09-21T04:15:22.123456Z 0 mount unknown user=501 actor=501 dev= /bin/zsh||501| >", map[string]string{"es_event": "mount"}},
		"osquery on macOS": {osMac, "macos/process_creation 2026-09-21T04:15:20Z 1007 launch success user=root actor= dev=mac7 /usr/bin/dscl|dscl . -create /Users/x|77| >",
			map[string]string{"Image": "/usr/bin/dscl", "ParentProcessId": "70"}},
		"osquery on Linux": {osLinux, "linux/process_creation 2026-09-21T04:15:25Z 1007 launch success user=root actor=1000 dev=web1 /usr/bin/chattr|chattr -i /etc/passwd|78| >",
			map[string]string{"CurrentDirectory": "/root", "LogonId": "0"}},
		"osquery's sockets": {osSocket, "linux/network_connection 2026-09-21T04:15:25Z 4001 open success user= actor= dev=web1 /bin/bash||78| >203.0.113.5:443",
			map[string]string{"DestinationIp": "203.0.113.5", "DestinationPort": "443", "Initiated": "true"}},
		"osquery's files": {osFile, "macos/file_event 2026-09-21T04:15:25Z 1001 create unknown user= actor= dev=web1 file=/Library/LaunchDaemons/a.plist >", map[string]string{"TargetFilename": "/Library/LaunchDaemons/a.plist"}},
		"osquery's state": {strings.Replace(osMac, `"added"`, `"removed"`, 1), "osquery/row 2026-09-21T04:15:20Z 0 row unknown user= actor= dev=mac7 >", nil},
		"the unified log": {logEntry, "macos/unified 2026-09-21T08:00:00.000001Z 0 sudo unknown user=root actor=ana dev= /usr/bin/sudo|/bin/ls -l ; id|99| >", map[string]string{"COMMAND": "/bin/ls -l ; id", "USER": "root"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := decodetest.One(t, Objects(), c.in)
			if got := tell(e); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for name, want := range c.fields {
				if got := e.Fields.Value(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			n := 0
			for _, f := range Objects() {
				n += len(decodetest.Read(t, []decode.Object{f}, c.in).Events)
			}
			if n != 1 {
				t.Errorf("the record matches %d formats", n)
			}
		})
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), esMessage(execEvent), map[string]decodetest.BadRecord{
		"es/time_is_text":       {Line: strings.Replace(esMessage(execEvent), "2026-09-21T04:15:22.123456Z", "now", 1), Reason: "not a time"},
		"es/clock_of_1970":      {Line: strings.Replace(esMessage(execEvent), "2026-", "1970-", 1), Reason: "not a time"},
		"es/missing_time":       {Line: strings.Replace(esMessage(execEvent), `"time"`, `"tim"`, 1), Reason: "no time"},
		"osquery/no_time":       {Line: strings.NewReplacer(`"unixTime":1789964125`, `"unixTime":""`, `"time":"1789964120"`, `"t":""`).Replace(osMac), Reason: "no time"},
		"osquery/clock_of_1970": {Line: strings.NewReplacer(`"unixTime":1789964125`, `"unixTime":1`, `"time":"1789964120"`, `"t":""`).Replace(osMac), Reason: "unixTime is not a time"},
		"unified/time_is_text":  {Line: strings.Replace(logEntry, "2026-09-21 10", "x", 1), Reason: "not a time"},
		"unified/clock_of_1970": {Line: strings.Replace(logEntry, "2026-", "1970-", 1), Reason: "not a time"},
		"of_no_source":          {Line: `{"schema_version":1}`, Reason: "no known source"},
	})
}

func FuzzRecords(f *testing.F) {
	decodetest.Fuzz(f, Objects(), nil, esMessage(execEvent), osMac, osLinux, osSocket, osFile, logEntry, esMessage(`"sudo":{"success":true,"to_username":"root","command":"id"}`),
		esMessage(`"exec":{"args":[1,{"a":2},null]}`), esMessage(`"clone":{"target_dir":{"path":"/a"},"target_name":"b"}`), esMessage(`"btm_launch_item_add":{"item":{"item_url":"file:///a"}}`))
}

func BenchmarkRecords(b *testing.B) {
	text := strings.Repeat(esMessage(execEvent)+"\n"+osLinux+"\n"+esMessage(`"create":{"destination":{"new_path":{"dir":{"path":"/tmp"},"filename":"a"}}}`)+"\n", 300)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	events := 0
	start := cpu()
	for b.Loop() {
		var c decodetest.Collect
		if err := decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(text), &c); err != nil {
			b.Fatal(err)
		}
		events += len(c.Events)
	}
	b.ReportMetric(float64(events)/(cpu()-start).Seconds(), "events/CPU-s")
}
