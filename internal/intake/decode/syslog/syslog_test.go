package syslog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/generic"
	"github.com/breakwater-project/breakwater/internal/intake/decode/vpn"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func inner() []decode.Stream {
	return append([]decode.Stream{decode.Objects([]decode.Object{generic.Object()})}, vpn.Streams()...)
}

var received = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func read(t testing.TB, live bool, text string) *decodetest.Collect {
	t.Helper()
	ctx := context.Background()
	if live {
		ctx = decode.WithReceived(ctx, received)
	}
	k := &decodetest.Collect{}
	if err := Lines(inner).Read(ctx, "", strings.NewReader(text), k); err != nil {
		t.Fatal(err)
	}
	for _, e := range k.Events {
		decodetest.Check(t, e)
	}
	return k
}

func show(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %s", e.Time.Format(time.RFC3339Nano), e.Source, e.Device)
	for _, name := range []string{"facility", "severity", "appname", "procid", "msgid", "message"} {
		if v := e.Fields.Value(name); v != "" {
			s += " " + name + "=" + v
		}
	}
	return s
}

func TestHeadersThatDevicesSendAreRead(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"RFC 5424", `<34>1 2026-10-11T22:14:15.003Z mymachine.example.com su 77 ID47 - 'su root' failed`,
			"2026-10-11T22:14:15.003Z syslog/su mymachine.example.com facility=auth severity=crit appname=su procid=77 msgid=ID47 message='su root' failed"},
		{"RFC 5424 with a zone and a mark", "<165>1 2026-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - \ufeff%% time to make the do-nuts",
			"2026-08-24T12:14:15.000003Z syslog/myproc 192.0.2.1 facility=local4 severity=notice appname=myproc procid=8710 message=%% time to make the do-nuts"},
		{"RFC 5424 with nothing", "<0>1 - - - - - -", "2026-01-02T03:04:05Z syslog  facility=kern severity=emerg"},
		{"RFC 5424 with broken data", `<13>1 2026-10-11T22:14:15Z h a - - [x@1 a="b" rest`, `2026-10-11T22:14:15Z syslog/a h facility=user severity=notice appname=a message=[x@1 a="b" rest`},
		{"RFC 3164, of last year", "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
			"2025-10-11T22:14:15Z syslog/su mymachine facility=auth severity=crit appname=su message='su root' failed for lonvick on /dev/pts/8"},
		{"RFC 3164, clock ahead over New Year", "<86>Jan  2 03:04:06 web1 sshd[4711]: Failed password for root from 203.0.113.9 port 4 ssh2",
			"2026-01-02T03:04:06Z syslog/sshd web1 facility=authpriv severity=info appname=sshd procid=4711 message=Failed password for root from 203.0.113.9 port 4 ssh2"},
		{"zero-padded day", "<13>Jan 02 03:04:06 web1 app: x", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=x"},
		{"no host", "<13>Jan  2 03:04:06 sshd[12]: hello", "2026-01-02T03:04:06Z syslog/sshd  facility=user severity=notice appname=sshd procid=12 message=hello"},
		{"no host, no pid", "<13>Jan  2 03:04:06 su: hello", "2026-01-02T03:04:06Z syslog/su  facility=user severity=notice appname=su message=hello"},
		{"no date", "<13>sshd[12]: hello", "2026-01-02T03:04:05Z syslog/sshd  facility=user severity=notice appname=sshd procid=12 message=hello"},
		{"no date, no tag", "<13>hello world", "2026-01-02T03:04:05Z syslog  facility=user severity=notice message=hello world"},
		{"no priority", "Jan  2 03:04:06 web1 app[1]: x", "2026-01-02T03:04:06Z syslog/app web1 appname=app procid=1 message=x"},
		{"a priority that is none", "<192>Jan  2 03:04:06 web1 app[1]: x", "2026-01-02T03:04:05Z syslog  message=<192>Jan  2 03:04:06 web1 app[1]: x"},
		{"ISO date", "<13>2026-01-02T03:04:06.5+01:00 web1 app[1]: x", "2026-01-02T02:04:06.5Z syslog/app web1 facility=user severity=notice appname=app procid=1 message=x"},
		{"year behind the day", "<13>Jan 02 2026 03:04:06 web1 app: x", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=x"},
		{"year first", "<13>2026 Jan  2 03:04:06 web1 app: x", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=x"},
		{"year last", "<13>Fri Jan  2 03:04:06 2026 web1 app: x", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=x"},
		{"a zone's name", "<13>Jan  2 03:04:06 CET web1 app: x", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=x"},
		{"Cisco IOS", "<189>237: *Jan  2 03:04:06.295: %SYS-5-CONFIG_I: Configured from console by console",
			"2026-01-02T03:04:06.295Z syslog/sys  facility=local7 severity=notice appname=SYS msgid=SYS-5-CONFIG_I message=%SYS-5-CONFIG_I: Configured from console by console"},
		{"Cisco IOS with sequence and origin", "<189>237: 000485: router1: .Jan  2 03:04:06.295 UTC: %LINEPROTO-5-UPDOWN: Line protocol down",
			"2026-01-02T03:04:06.295Z syslog/lineproto router1 facility=local7 severity=notice appname=LINEPROTO msgid=LINEPROTO-5-UPDOWN message=%LINEPROTO-5-UPDOWN: Line protocol down"},
		{"Cisco IOS without a counter", "<189>: Jan  2 03:04:06: %SYS-5-RESTART: x", "2026-01-02T03:04:06Z syslog/sys  facility=local7 severity=notice appname=SYS msgid=SYS-5-RESTART message=%SYS-5-RESTART: x"},
		{"Cisco NX-OS", "<189>: 2026 Jan  2 03:04:06 UTC: %ETHPORT-5-IF_UP: up", "2026-01-02T03:04:06Z syslog/ethport  facility=local7 severity=notice appname=ETHPORT msgid=ETHPORT-5-IF_UP message=%ETHPORT-5-IF_UP: up"},
		{"Meraki", "<134>1 1767323046.500000 MX84 flows src=10.0.0.1 dst=192.0.2.1", "2026-01-02T03:04:06.5Z syslog mx84 facility=local0 severity=info message=flows src=10.0.0.1 dst=192.0.2.1"},
		{"a message of two lines", "<13>Jan  2 03:04:06 web1 app: one#012two", "2026-01-02T03:04:06Z syslog/app web1 facility=user severity=notice appname=app message=one\ntwo"},
		{"a clock that was never set", "<13>1970-01-01T00:00:09Z web1 app: x", "2026-01-02T03:04:05Z syslog/app web1 facility=user severity=notice appname=app message=x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := read(t, true, c.line+"\n")
			if len(k.Events) != 1 || len(k.Reasons) > 0 {
				t.Fatalf("%d events, %q", len(k.Events), k.Reasons)
			}
			if d := cmp.Diff(c.want, show(k.Events[0])); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTheMessageGoesToTheFormatThatKnowsIt(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"Cisco ASA", `<166>Sep 24 2026 07:30:01 fw1-falkenau : %ASA-6-113039: Group <PARTNER> User <isl-novak> IP <203.0.113.60> AnyConnect parent session started.`,
			"2026-09-24T07:30:01Z cisco/asa fw1-falkenau"},
		{"Cisco ASA without a year and a host", `<166>Jan  2 03:04:06: %ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak`,
			"2026-01-02T03:04:06Z cisco/asa "},
		{"Cisco ASA without a date", `<166>%ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak`,
			"2026-01-02T03:04:05Z cisco/asa "},
		{"OpenVPN", `<29>Jan  2 03:04:06 gw1 ovpn-server[812]: 203.0.113.60:53592 TLS: Initial packet from [AF_INET]203.0.113.60:53592, sid=1`, "2026-01-02T03:04:06Z openvpn gw1"},
		{"OpenVPN by its name alone", `<29>1 2026-01-02T03:04:06Z gw1 openvpn 812 - - 203.0.113.60:53592 TLS Auth Error: Auth Username/Password verification failed for peer`, "2026-01-02T03:04:06Z openvpn gw1"},
		{"JSON", `<13>Jan  2 03:04:06 web1 app[1]: {"time":"2026-01-02T03:04:07Z","src_ip":"10.0.0.1","hostname":"inner"}`, "2026-01-02T03:04:07Z json inner"},
		{"JSON behind a cookie", `<13>Jan  2 03:04:06 web1 app[1]: @cee: {"time":"2026-01-02T03:04:07Z"}`, "2026-01-02T03:04:07Z json web1"},
		{"JSON of several lines", `<13>Jan  2 03:04:06 web1 app[1]: {#012 "time":#012"2026-01-02T03:04:07Z"}`, "2026-01-02T03:04:07Z json web1"},
		{"JSON without a date", `<13>Jan  2 03:04:06 web1 app[1]: {"colour":"red"}`, "2026-01-02T03:04:06Z syslog/app web1"},
		{"text in braces", `<13>Jan  2 03:04:06 web1 app[1]: {red}`, "2026-01-02T03:04:06Z syslog/app web1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := read(t, true, c.line+"\n")
			if len(k.Events) != 1 || len(k.Reasons) > 0 {
				t.Fatalf("%d events, %q", len(k.Events), k.Reasons)
			}
			e := k.Events[0]
			if got := fmt.Sprintf("%s %s %s", e.Time.Format(time.RFC3339Nano), e.Source, e.Device); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if e.Fields.Value("facility") == "" || k.Records[0] != 1 {
				t.Errorf("record %d, fields %v", k.Records[0], e.Fields)
			}
		})
	}
}

func TestTheRelaysHostStaysBesideTheMessagesOwn(t *testing.T) {
	e := read(t, true, `<13>Jan  2 03:04:06 web1 app[1]: {"time":"2026-01-02T03:04:07Z","hostname":"inner","syslog":{"hostname":"forged"}}`).Events[0]
	if e.Fields.Value("hostname") != "inner" || e.Fields.Value("syslog.hostname") != "web1" {
		t.Errorf("%v", e.Fields)
	}
	e = read(t, true, `<13>Jan  2 03:04:06 web1 app[1]: {"colour":"red","hostname":"inner","syslog":{"hostname":"forged"}}`).Events[0]
	if e.Fields.Value("hostname") != "web1" || e.Fields.Value("syslog.hostname") != "web1" || e.Fields.Value("colour") != "red" {
		t.Errorf("%v", e.Fields)
	}
	e = read(t, true, `<13>Jan  2 03:04:06 app[1]: {"colour":"red","syslog":{"hostname":"forged"}}`).Events[0]
	if got := e.Fields.Value("syslog.hostname"); got != "" {
		t.Errorf("a message set the relay's host: %q", got)
	}
}

func TestStructuredDataBecomesFields(t *testing.T) {
	e := read(t, true, `<165>1 2026-01-02T03:04:06Z h evntslog - ID47 [ex@32473 iut="3" src="a \"b\" \\ \]"][empty][x@1 y=""] text [no data]`).Events[0]
	for name, want := range map[string]string{"ex@32473.iut": "3", "ex@32473.src": `a "b" \ ]`, "message": "text [no data]"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAFileOfUnknownAgeTakesTheYearFromItsOwnLines(t *testing.T) {
	k := read(t, false, "<13>Dec 31 23:59:59 h a: 1\n<13>2026-01-01T00:00:01Z h a: 2\n<13>Jan  1 00:00:02 h a: 3\n")
	var got []string
	for i, e := range k.Events {
		got = append(got, fmt.Sprintf("%d %s", k.Records[i], e.Time.Format(time.DateOnly)))
	}
	if d := cmp.Diff([]string{"2 2026-01-01", "1 2025-12-31", "3 2026-01-01"}, got); d != "" {
		t.Error(d)
	}
	k = read(t, false, "<13>Dec 31 23:59:59 h a: 1\n<13>a: no date\n")
	if len(k.Events) != 0 || len(k.Reasons) != 2 {
		t.Errorf("%d events, %q: nobody knows the year", len(k.Events), k.Reasons)
	}
}

func TestAMessageThatWasCutSaysSo(t *testing.T) {
	e := read(t, true, "<13>Jan  2 03:04:06 web1 app: half"+CutMark).Events[0]
	if e.Fields.Value("syslog.cut") != "true" || e.Fields.Value("message") != "half" {
		t.Errorf("%v", e.Fields)
	}
}

func TestLinesAreRecognisedOneByOne(t *testing.T) {
	for head, want := range map[string]bool{
		"<13>Jan  2 03:04:06 web1 app: x\n": true, "<13>x": true, "<0>1 - - - - - -": true, "<191>abc\n<191>def\nthird": true,
		"": false, "<html>": false, "<192>x": false, "<13x>": false, "<1234>x": false, "<13>": false, "Jan  2 03:04:06 web1 app: x": false, `{"a":1}`: false,
		"<13>a\nb\nc\n": false,
	} {
		if got := Lines(inner).Recognise("", []byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
	for head, want := range map[string]bool{
		"Jan  2 03:04:06 web1 app: x\n": true, "2026-01-02T03:04:06.123456+00:00 web1 systemd[1]: Started x\n": true,
		"2026-01-02 03:04:06 something happened": false, "hello": false, "": false, "<13>Jan  2 03:04:06 web1 app: x": false, "From x@y Thu Jan  1 00:00:00 2026\n": false,
	} {
		if got := Files(inner).Recognise("", []byte(head)); got != want {
			t.Errorf("file %q: %v", head, got)
		}
	}
}

func TestAnyCutOfTheLinesGivesTheSameEvents(t *testing.T) {
	lines := []string{
		"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", `<166>Sep 24 2026 07:30:01 fw1 : %ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak`,
		`<13>Jan  2 03:04:06 web1 app[1]: {"time":"2026-01-02T03:04:07Z","src_ip":"10.0.0.1"}`, "<13>hello",
		"<29>Jan  2 03:04:06 gw1 openvpn[812]: 203.0.113.60:53592 TLS: Initial packet from [AF_INET]203.0.113.60:53592, sid=1",
	}
	events := func(k *decodetest.Collect) (out map[string]int) {
		out = map[string]int{}
		for _, e := range k.Events {
			b, err := e.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			out[string(b)]++
		}
		return out
	}
	whole := events(read(t, true, strings.Join(lines, "\n")+"\n"))
	single := map[string]int{}
	for _, l := range lines {
		for e, n := range events(read(t, true, l)) {
			single[e] += n
		}
	}
	if d := cmp.Diff(whole, single); d != "" || len(whole) != len(lines) {
		t.Errorf("%d events; together and one by one differ:\n%s", len(whole), d)
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{
		"<34>1 2026-10-11T22:14:15.003Z mymachine.example.com su 77 ID47 [a@1 b=\"c\\]\"] 'su root' failed", "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
		"<189>237: 000485: router1: .Jan  2 03:04:06.295 UTC: %LINEPROTO-5-UPDOWN: x", "<134>1 1767323046.5 MX84 flows src=10.0.0.1", "<13>{\"time\":\"2026-01-02T03:04:07Z\"}",
		"<166>Sep 24 2026 07:30:01 fw1 : %ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak", "<13>2026 Feb 29 03:04:06 web1 app: x",
		"<13>Jan  2 03:04:06 2026", "<13>[", "<13>: ", "<13>a[", "<13>%", "<13>%-a-:", "1 ", "<13>1 - - - - - [", "<13>1 9999999999 h",
		"<86>Sep 21 12:00:00 web1 sudo[1]: a : TTY=p ; USER=#-1 ; COMMAND=x ; y", "<13>Sep 21 12:00:00 h a: {\"time\":\"2026-09-21T12:00:01Z\"}\n<13>Sep 22 12:00:00 h a: b\n<13>c",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		Lines(inner).Recognise("", data)
		Files(inner).Recognise("", data)
		k := read(t, true, string(data))
		lines := 0
		for line := range strings.SplitSeq(string(data), "\n") {
			if strings.Trim(line, " \t\r\x00\ufeff") != "" {
				lines++
			}
		}
		if got := len(k.Events) + len(k.Reasons); got > lines || lines == 1 && len(data) < 3 && got > 1 {
			t.Fatalf("%d lines gave %d events and %d bad", lines, len(k.Events), len(k.Reasons))
		}
		if k := read(t, false, string(data)); len(k.Events)+len(k.Reasons) > lines {
			t.Fatalf("%d lines of a file gave %d events and %d bad", lines, len(k.Events), len(k.Reasons))
		}
	})
}

func BenchmarkLines(b *testing.B) {
	for name, line := range map[string]string{
		"sshd": "<86>Jan  2 03:04:06 web1 sshd[4711]: Failed password for root from 203.0.113.9 port 4 ssh2\n",
		"asa":  "<166>Sep 24 2026 07:30:01 fw1-falkenau : %ASA-6-113039: Group <PARTNER> User <isl-novak> IP <203.0.113.60> AnyConnect parent session started.\n",
		"json": "<13>Jan  2 03:04:06 web1 app[1]: {\"time\":\"2026-01-02T03:04:07Z\",\"src_ip\":\"10.0.0.1\"}\n",
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(line, 1000)
			b.ReportAllocs()
			for b.Loop() {
				read(b, true, text)
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
