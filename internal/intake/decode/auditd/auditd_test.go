package auditd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// execution is one execve in raw and enriched records: chmod 777 "my file".
const (
	execution = `type=SYSCALL msg=audit(1789992000.200:502): arch=c000003e syscall=59 success=yes exit=0 a0=5581 a1=5582 a2=5583 a3=8 items=2 ppid=901 pid=902 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm="chmod" exe="/usr/bin/chmod" key=(null)
type=EXECVE msg=audit(1789992000.200:502): argc=3 a0="chmod" a1="777" a2=6D792066696C65
type=CWD msg=audit(1789992000.200:502): cwd="/root"
type=PATH msg=audit(1789992000.200:502): item=0 name="/usr/bin/chmod" inode=1 mode=0100755 nametype=NORMAL
type=PROCTITLE msg=audit(1789992000.200:502): proctitle=63686D6F6400373737006D792066696C65
type=EOE msg=audit(1789992000.200:502): 
`
	enriched = "node=web1.example.net type=SYSCALL msg=audit(1789992001.200:503): arch=c00000b7 syscall=221 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 ppid=902 pid=903 auid=1000 uid=33 gid=33 euid=33 ses=3 comm=\"id\" exe=\"/usr/bin/id\" key=\"exec\"\x1dARCH=aarch64 SYSCALL=execve AUID=\"ana\" UID=\"www-data\" EUID=\"www-data\"\n" +
		"node=web1.example.net type=EXECVE msg=audit(1789992001.200:503): argc=1 a0=\"id\"\n"
	connection = `type=SYSCALL msg=audit(1789992002.200:504): arch=c000003e syscall=42 success=no exit=-115 a0=3 a1=ffff a2=10 a3=0 ppid=1 pid=904 auid=4294967295 uid=33 euid=33 ses=4294967295 comm="curl" exe="/usr/bin/curl" key="net"
type=SOCKADDR msg=audit(1789992002.200:504): saddr=020001BBCB0071050000000000000000
`
	created = `type=SYSCALL msg=audit(1789992003.200:505): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=7ff a2=241 a3=1b6 items=2 ppid=1 pid=905 auid=1000 uid=0 euid=0 ses=3 comm="vi" exe="/usr/bin/vi" key=(null)
type=CWD msg=audit(1789992003.200:505): cwd="/etc/systemd/system"
type=PATH msg=audit(1789992003.200:505): item=0 name="/etc/systemd/system/" nametype=PARENT
type=PATH msg=audit(1789992003.200:505): item=1 name=6120622E73657276696365 nametype=CREATE
`
	login   = `type=USER_LOGIN msg=audit(1789992004.200:506): pid=77 uid=0 auid=1000 ses=3 subj=system msg='op=login id=1000 exe="/usr/sbin/sshd" hostname=192.0.2.7 addr=192.0.2.7 terminal=ssh res=failed'` + "\x1dUID=\"root\" AUID=\"ana\" ID=\"ana\"\n"
	stopped = `type=SERVICE_STOP msg=audit(1789992005.200:507): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=firewalld comm="systemd" exe="/usr/lib/systemd/systemd" hostname=? addr=? terminal=? res=success'` + "\n"
	kernel  = `audit: type=1400 audit(1789992006.200:508): avc:  denied  { read } for  pid=99 comm="x" name="shadow" scontext=a tcontext=b tclass=file permissive=0` + "\n"
	command = `type=USER_CMD msg=audit(1789992007.200:509): pid=88 uid=1000 auid=1000 ses=3 msg='cwd="/" cmd=6C73202D6C terminal=pts/0 res=success'` + "\n"
)

func collect(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	var c decodetest.Collect
	if err := Stream().Read(context.Background(), "x", strings.NewReader(text), &c); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Events {
		decodetest.Check(t, e)
	}
	return &c
}

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %s %d %s %s user=%s actor=%s dev=%s", e.Fields.Value("type"), e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.User, e.Actor, e.Device)
	if p := e.Process; p != nil {
		s += fmt.Sprintf(" %s|%s|%s|parent %s", p.Image, p.CommandLine, p.PID, p.ParentImage)
	}
	if e.File != nil {
		s += " file=" + e.File.Path
	}
	if !e.Dst.IsZero() {
		s += fmt.Sprintf(" dst=%s", e.Dst)
	}
	return s
}

func lines(events []*ocsf.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, tell(e))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestRecordsOfOneSerialAreOneEvent(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"an execution": {execution, `EXECVE auditd/process_creation 2026-09-21T12:00:00.2Z 1007 launch success user=root actor=1000 dev= /usr/bin/chmod|chmod 777 my file|902|parent 
PATH auditd/record 2026-09-21T12:00:00.2Z 0 record success user=root actor=1000 dev= /usr/bin/chmod||902|parent  file=/usr/bin/chmod
SYSCALL auditd/record 2026-09-21T12:00:00.2Z 0 record success user=root actor=1000 dev= /usr/bin/chmod||902|parent `},
		"an execution that was enriched": {enriched, `EXECVE auditd/process_creation 2026-09-21T12:00:01.2Z 1007 launch success user=www-data actor=ana dev=web1 /usr/bin/id|id|903|parent 
SYSCALL auditd/record 2026-09-21T12:00:01.2Z 0 record success user=www-data actor=ana dev=web1 /usr/bin/id||903|parent `},
		"a connection that does not wait": {connection, `SYSCALL auditd/network_connection 2026-09-21T12:00:02.2Z 4001 open unknown user=33 actor= dev= /usr/bin/curl||904|parent  dst=203.0.113.5:443`},
		"a file made": {created, `PATH auditd/file_event 2026-09-21T12:00:03.2Z 1001 create success user=root actor=1000 dev= /usr/bin/vi||905|parent  file=/etc/systemd/system/a b.service
PATH auditd/record 2026-09-21T12:00:03.2Z 0 record success user=root actor=1000 dev= /usr/bin/vi||905|parent  file=/etc/systemd/system/
SYSCALL auditd/record 2026-09-21T12:00:03.2Z 0 openat success user=root actor=1000 dev= /usr/bin/vi||905|parent `},
		"a login that failed": {login, `USER_LOGIN auditd/record 2026-09-21T12:00:04.2Z 3002 logon failure user=ana actor=ana dev= /usr/sbin/sshd||77|parent `},
		"a service stopped":   {stopped, `SERVICE_STOP auditd/record 2026-09-21T12:00:05.2Z 0 service stop success user=root actor= dev= /usr/lib/systemd/systemd||1|parent `},
		"the kernel's own":    {kernel, `AVC auditd/record 2026-09-21T12:00:06.2Z 0 denied failure user= actor= dev=`},
		"sudo's command":      {command, `USER_CMD auditd/record 2026-09-21T12:00:07.2Z 0 sudo success user=1000 actor=1000 dev= |ls -l|88|parent `},
	} {
		t.Run(name, func(t *testing.T) {
			if !Stream().Recognise("x", []byte(c.in)) {
				t.Error("not recognised")
			}
			got := collect(t, c.in)
			if s := lines(got.Events); s != c.want || len(got.Reasons) != 0 {
				t.Errorf("bad %q, got\n%s\nwant\n%s", got.Reasons, s, c.want)
			}
		})
	}
}

func TestFieldsThatRulesAskFor(t *testing.T) {
	for name, c := range map[string]struct {
		in, typ string
		want    map[string]string
	}{
		"arguments and process": {execution, "EXECVE", map[string]string{"a0": "chmod", "a1": "777", "a2": "my file", "argc": "3", "CommandLine": "chmod 777 my file", "Image": "/usr/bin/chmod",
			"User": "root", "LogonId": "0", "CurrentDirectory": "/root", "ParentProcessId": "901", "SYSCALL": "execve", "proctitle": "chmod 777 my file", "key": ""}},
		"the call keeps its own": {execution, "SYSCALL", map[string]string{"a0": "5581", "SYSCALL": "execve", "exe": "/usr/bin/chmod", "euid": "0"}},
		"a path":                 {created, "PATH", map[string]string{"name": "a b.service", "nametype": "CREATE", "TargetFilename": "/etc/systemd/system/a b.service", "SYSCALL": "openat"}},
		"a connection":           {connection, "SYSCALL", map[string]string{"DestinationIp": "203.0.113.5", "DestinationPort": "443", "Initiated": "true", "Image": "/usr/bin/curl", "SYSCALL": "connect"}},
		"a unit":                 {stopped, "SERVICE_STOP", map[string]string{"unit": "firewalld", "res": "success"}},
		"a denial":               {kernel, "AVC", map[string]string{"comm": "x", "name": "shadow", "message": `avc:  denied  { read } for  pid=99 comm="x" name="shadow" scontext=a tcontext=b tclass=file permissive=0`}},
	} {
		t.Run(name, func(t *testing.T) {
			events := collect(t, c.in).Events
			i := slices.IndexFunc(events, func(e *ocsf.Event) bool {
				return e.Fields.Value("type") == c.typ && (c.want["nametype"] == "" || e.Fields.Value("nametype") == c.want["nametype"])
			})
			if i < 0 {
				t.Fatalf("no event of type %s", c.typ)
			}
			for name, want := range c.want {
				if got := events[i].Fields.Value(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestAnyOrderGivesTheSame shuffles the records of interleaved serials.
func TestAnyOrderGivesTheSame(t *testing.T) {
	all := strings.SplitAfter(strings.TrimRight(execution+connection+created+stopped+login, "\n"), "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], "\n") + "\n"
	}
	want := lines(collect(t, strings.Join(all, "")).Events)
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if got := lines(collect(t, strings.Join(all, "")).Events); got != want {
			t.Fatalf("got\n%s\nwant\n%s\nfrom\n%s", got, want, strings.Join(all, ""))
		}
	}
}

func TestLongArgumentsAreJoined(t *testing.T) {
	const head = "type=EXECVE msg=audit(1789992000.200:502): "
	e := collect(t, head+`argc=3 a0="sh" a1="-c" a2_len=12 a2[1]=776F726C64`+"\n"+head+`a2[0]=68656C6C6F20`+"\n").Events
	if len(e) != 1 || e[0].Process.CommandLine != "sh -c hello world" || e[0].Fields.Value("a2") != "hello world" {
		t.Fatalf("%d events, %+v", len(e), e[0].Process)
	}
}

func TestValuesAreDecoded(t *testing.T) {
	for in, want := range map[string]string{
		"2F746D70": "/tmp", "2f746d70": "2f746d70", "2F746D7": "2F746D7", "xyz": "xyz", "6100": "a", "FF61": "\uFFFDa", "(null)": "",
	} {
		r := &record{typ: "PATH"}
		if got := r.bare("name", in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
	if got := (&record{typ: "SYSCALL"}).bare("a0", "61"); got != "61" {
		t.Errorf("a call's argument became %q", got)
	}
	for in, want := range map[string]string{
		"020001BBCB0071050000000000000000":                         "203.0.113.5:443",
		"0A0001BB0000000020010DB800000000000000000000000500000000": "[2001:db8::5]:443",
		"01002F746D702F78":                                         "",
		"0200":                                                     "",
		"zz":                                                       "",
	} {
		at, ok := socketAddress(in)
		if got := map[bool]string{true: at.String()}[ok]; got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}

func TestParentsAreRemembered(t *testing.T) {
	child := strings.NewReplacer("pid=902", "pid=950", "ppid=901", "ppid=902", ":502)", ":602)", "chmod", "touch").Replace(execution)
	find := func(text string, ctx context.Context) string {
		var c decodetest.Collect
		if err := Stream().Read(ctx, "x", strings.NewReader(text), &c); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if e.Process != nil && e.Process.PID == "950" && e.Class == ocsf.ClassProcessActivity {
				return e.Process.ParentImage + "|" + e.Fields.Value("ParentCommandLine")
			}
		}
		return "none"
	}
	if got := find(execution+child, context.Background()); got != "/usr/bin/chmod|chmod 777 my file" {
		t.Errorf("parent %q", got)
	}
	carried := decode.WithReceived(context.Background(), time.Unix(1789992000, 0))
	if got := find(execution+child, carried); got != "|" {
		t.Errorf("records of unknown machines share parents: %q", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "type=CWD msg=audit(1789992000.200:%d): cwd=\"/%s\"\n", i, strings.Repeat("x", 2000))
	}
	j := &joiner{sink: &decodetest.Collect{}, open: map[string]*group{}}
	for n, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		if err := j.line(int64(n+1), []byte(line)); err != nil {
			t.Fatal(err)
		}
		if len(j.open) > maxOpen || j.waiting > maxWaiting || len(j.order) > maxOpen+1 {
			t.Fatalf("%d serials, %d bytes, %d in order wait", len(j.open), j.waiting, len(j.order))
		}
	}
	same := strings.Repeat("type=PATH msg=audit(1789992000.200:7): name=\"/x\"\n", maxRecords*2)
	if got := collect(t, same); len(got.Events) != maxRecords*2 {
		t.Errorf("%d events of one serial", len(got.Events))
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	for name, c := range map[string]struct{ line, reason string }{
		"no_record":      {"hello", "no audit record"},
		"no_serial":      {"type=CWD msg=audit(1789992000.200): cwd=\"/\"", "no audit record"},
		"no_seconds":     {"type=CWD msg=audit(x:1): cwd=\"/\"", "no audit record"},
		"clock_of_1970":  {"type=CWD msg=audit(0.1:1): cwd=\"/\"", "clock was never set"},
		"clock_of_2200":  {"type=CWD msg=audit(7289992000.1:1): cwd=\"/\"", "clock was never set"},
		"line_too_long":  {"type=CWD msg=audit(1789992000.2:1): cwd=\"" + strings.Repeat("x", decode.MaxRecord) + "\"", "longer than"},
		"two_points":     {"type=CWD msg=audit(1.2.3:1): cwd=\"/\"", "no audit record"},
		"sign_in_serial": {"type=CWD msg=audit(1789992000.2:-1): cwd=\"/\"", "no audit record"},
	} {
		t.Run(name, func(t *testing.T) {
			got := collect(t, stopped+c.line+"\n----\n"+login)
			if len(got.Events) != 2 || len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q", len(got.Events), got.Reasons)
			}
		})
	}
	for _, other := range []string{"", "hello\n", "Sep 21 10:00:00 web1 sshd[1]: x\n", `{"type":"SYSCALL"}`} {
		if Stream().Recognise("audit.log", []byte(other)) {
			t.Errorf("%q is taken for auditd's", other)
		}
	}
}

func FuzzRecords(f *testing.F) {
	decodetest.Fuzz(f, nil, []decode.Stream{Stream()}, execution, enriched, connection, created, login, stopped, kernel, command,
		"type=EXECVE msg=audit(1.1:1): a0[99999999999]=41 a=\"\x1d'", "type=X msg=audit(1789992000.2:1): msg='a={ b='")
}

func BenchmarkRecords(b *testing.B) {
	text := strings.Repeat(execution+connection+created+stopped, 200)
	var in strings.Builder
	n := 0
	for line := range strings.Lines(text) { // a serial of its own for each event
		if strings.HasPrefix(line, "type=SYSCALL") || strings.HasPrefix(line, "type=SERVICE") {
			n++
		}
		at := strings.Index(line, "):")
		in.WriteString(line[:at] + fmt.Sprint(n) + line[at:])
	}
	b.ReportAllocs()
	b.SetBytes(int64(in.Len()))
	events, records := 0, 0
	start := cpu()
	for b.Loop() {
		var c decodetest.Collect
		if err := Stream().Read(context.Background(), "x", strings.NewReader(in.String()), &c); err != nil {
			b.Fatal(err)
		}
		events += len(c.Events)
		records += strings.Count(in.String(), "\n")
	}
	b.ReportMetric(float64(events)/(cpu()-start).Seconds(), "events/CPU-s")
	b.ReportMetric(float64(records)/(cpu()-start).Seconds(), "records/CPU-s")
}
