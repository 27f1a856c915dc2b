package remotetool

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

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %d %s %s src=%s actor=%s", e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.Src, e.Actor)
	if r := e.Remote; r != nil {
		s += fmt.Sprintf(" %s act=%s session=%s op=%s target=%s company=%s peer=%s relay=%s cmd=%s", r.Tool, r.Act, r.SessionID, r.Operator, r.Target, r.Company, r.PeerID, r.Relay, r.CommandLine)
	}
	return s
}

const (
	sessionLine = `{"EventTime":"2026-09-21T11:10:40.798Z","EventType":"RanCommand","SessionID":"29CA3523-9d1a-3e47-af2d-b31063d406f7","SessionName":"HEIDKA-WS045","SessionType":"Access","SessionCustomProperty1":"Heidkamp Verpackung","SessionConnectionProcessType":"Host","ParticipantName":"Greta Holm","SessionConnectionNetworkAddress":"10.5.2.23","Data":"timeout=30000 whoami /all","ConnectionID":"e1f2"}`
	auditText   = "SessionID,SessionName,CustomProperty1,EventType,EventTime,ParticipantName,ConnectionNetworkAddress,Data\n29ca,HEIDKA-WS045,Heidkamp,Connected,2026-09-21T11:10:40Z,Greta Holm,10.5.2.23,\n29ca,HEIDKA-WS045,Heidkamp,RanCommand,9/21/2026 11:11:40 AM,Greta Holm,10.5.2.23,\"whoami, all\"\n29ca,HEIDKA-WS045,Heidkamp,Disconnected,9/9/2026 11:12:40 PM,Greta Holm,10.5.2.23,\n"
	teamLine    = "123456789\tGreta Holm\t21-09-2026 10:00:00\t21-09-2026 10:30:00\tEX\\l.pohl\tRemoteControl\t{A1B2-C3}"
	traceText   = "* * * * * * * * * * * * * * * * * *\n" +
		"   info 2026-09-21 10:00:00.123       gsvc   4608   4624   32            anynet.relay_conn - External address: 203.0.113.4:1234.\n" +
		"   info 2026-09-21 10:00:01.123       gsvc   4608   4624   32         app.backend_session - Incoming session request: Greta Holm (123456789)\n" +
		"   info 2026-09-21 10:00:02.123       gsvc   4608   4624   32            anynet.any_socket - Logged in from 198.51.100.9:52113 on relay 1a2b3c4d.\n" +
		"   info 2026-09-21 10:00:03.123       back   4608   4624   32                 app.session - Authenticated with permanent token.\n" +
		"   info 2026-09-21 10:01:03.123       ctrl   4608   4624                  app.prepare_task - Preparing files in 'C:\\x'.\n" +
		"   info 2026-09-21 10:05:03.123       gsvc   4608   4624   32                 app.session - Session closed by user.\n"
	connText = "Incoming    2026-09-21, 10:00    Passwd                         greta@ad                          123456789\n" +
		"Incoming    2026-09-21, 10:02    REJECTED                       foe@ad                            987654321\n"
)

func TestSessionsInEveryFormat(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"ScreenConnect command": {sessionLine, "screenconnect/session 2026-09-21T11:10:40.798Z 1007 remote command success src=10.5.2.23 actor=Greta Holm screenconnect act=command session=29ca3523-9d1a-3e47-af2d-b31063d406f7 op=Greta Holm target=heidka-ws045 company=Heidkamp Verpackung peer= relay= cmd=timeout=30000 whoami /all"},
		"ScreenConnect agent calls": {strings.NewReplacer("RanCommand", "Connected", `"Host"`, `"Guest"`).Replace(sessionLine),
			"screenconnect/session 2026-09-21T11:10:40.798Z 4014 other success src=10.5.2.23 actor= screenconnect act= session=29ca3523-9d1a-3e47-af2d-b31063d406f7 op= target=heidka-ws045 company=Heidkamp Verpackung peer= relay= cmd="},
		"ScreenConnect audit": {auditText, `screenconnect/audit 2026-09-21T11:10:40Z 4014 open success src=10.5.2.23 actor=Greta Holm screenconnect act=connect session=29ca op=Greta Holm target=heidka-ws045 company=Heidkamp peer= relay= cmd=
screenconnect/audit 2026-09-21T11:11:40Z 1007 remote command success src=10.5.2.23 actor=Greta Holm screenconnect act=command session=29ca op=Greta Holm target=heidka-ws045 company=Heidkamp peer= relay= cmd=whoami, all
screenconnect/audit 2026-09-09T23:12:40Z 4014 close success src=10.5.2.23 actor=Greta Holm screenconnect act=disconnect session=29ca op=Greta Holm target=heidka-ws045 company=Heidkamp peer= relay= cmd=`},
		"TeamViewer": {teamLine, `teamviewer/incoming 2026-09-21T10:00:00Z 4014 open success src= actor=Greta Holm teamviewer act=connect session=a1b2-c3 op=Greta Holm target= company= peer=123456789 relay= cmd=
teamviewer/incoming 2026-09-21T10:30:00Z 4014 close success src= actor=Greta Holm teamviewer act=disconnect session=a1b2-c3 op=Greta Holm target= company= peer=123456789 relay= cmd=`},
		"AnyDesk connections": {connText, `anydesk/connection 2026-09-21T10:00:00Z 4014 open success src= actor=greta@ad anydesk act=connect session= op=greta@ad target= company= peer=123456789 relay= cmd=
anydesk/connection 2026-09-21T10:02:00Z 4014 open failure src= actor=foe@ad anydesk act=connect session= op=foe@ad target= company= peer=987654321 relay= cmd=`},
		"AnyDesk connections in UTF-16": {utf16(connText[:strings.Index(connText, "\n")+1]), `anydesk/connection 2026-09-21T10:00:00Z 4014 open success src= actor=greta@ad anydesk act=connect session= op=greta@ad target= company= peer=123456789 relay= cmd=`},
		"AnyDesk trace": {traceText, `anydesk/trace 2026-09-21T10:00:00.123Z 4014 other unknown src= actor= anydesk act= session= op= target= company= peer= relay= cmd=
anydesk/trace 2026-09-21T10:00:01.123Z 4014 other unknown src= actor=Greta Holm anydesk act= session= op=Greta Holm target= company= peer=123456789 relay= cmd=
anydesk/trace 2026-09-21T10:00:02.123Z 4014 other unknown src=198.51.100.9:52113 actor=Greta Holm anydesk act= session= op=Greta Holm target= company= peer=123456789 relay=relay-1a2b3c4d.net.anydesk.com cmd=
anydesk/trace 2026-09-21T10:00:03.123Z 4014 open success src=198.51.100.9:52113 actor=Greta Holm anydesk act=connect session= op=Greta Holm target= company= peer=123456789 relay= cmd=
anydesk/trace 2026-09-21T10:01:03.123Z 1001 transfer success src=198.51.100.9:52113 actor=Greta Holm anydesk act=file session= op=Greta Holm target= company= peer=123456789 relay= cmd=
anydesk/trace 2026-09-21T10:05:03.123Z 4014 close unknown src=198.51.100.9:52113 actor=Greta Holm anydesk act=disconnect session= op=Greta Holm target= company= peer=123456789 relay= cmd=`},
	} {
		t.Run(name, func(t *testing.T) {
			var s decodetest.Collect
			if err := read(t, c.in, &s); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range s.Events {
				decodetest.Check(t, e)
				got = append(got, tell(e))
			}
			if g := strings.Join(got, "\n"); g != c.want || len(s.Reasons) > 0 {
				t.Errorf("bad %q, got\n%s\nwant\n%s", s.Reasons, g, c.want)
			}
		})
	}
}

func utf16(s string) string {
	out := []byte("\xff\xfe")
	for _, r := range s {
		out = append(out, byte(r), byte(r>>8))
	}
	return string(out)
}

func TestJoinKeysNameSessionAndInstance(t *testing.T) {
	var s decodetest.Collect
	if err := read(t, strings.Replace(sessionLine, `"Data"`, `"InstanceID":"D2F80B6A91C3E745","Data"`, 1), &s); err != nil || len(s.Events) != 1 {
		t.Fatal(err, s.Reasons)
	}
	if got := fmt.Sprint(s.Events[0].JoinKeys); got != "[{rmm-session 29ca3523-9d1a-3e47-af2d-b31063d406f7} {rmm-instance d2f80b6a91c3e745}]" {
		t.Error(got)
	}
}

func TestAmbiguousDatesAreNotGuessed(t *testing.T) {
	head := "SessionID,EventType,EventTime\n"
	for in, want := range map[string]string{
		"s,Connected,9/8/2026 1:00:00 PM\n":                                   "[] [ambiguous",
		"s,Connected,9/21/2026 1:00:00 PM\ns,Connected,9/8/2026 1:00:00 PM\n": "[2026-09-21 2026-09-08] [",
		"s,Connected,21/9/2026 13:00\ns,Connected,9/8/2026 13:00\n":           "[2026-09-21 2026-08-09] [",
		"s,Connected,31/31/2026 13:00\n":                                      "[] [ambiguous",
		"s,Connected,21/9/1960 13:00\n":                                       "[] [the time column",
	} {
		var s decodetest.Collect
		if err := read(t, head+in, &s); err != nil {
			t.Fatal(err)
		}
		var days []string
		for _, e := range s.Events {
			days = append(days, e.Time.Format(time.DateOnly))
		}
		if got := fmt.Sprint(days, " ", s.Reasons); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s…", in, got, want)
		}
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	long := strings.Repeat("x", decode.MaxRecord+1)
	conn := connText[:strings.Index(connText, "\n")]
	trace := strings.Split(traceText, "\n")[1]
	for name, c := range map[string]struct{ good, line, reason string }{
		"session/missing_time":     {sessionLine, `{"EventTime":"","EventType":"Connected","SessionID":"x","SessionName":"y"}`, "time"},
		"session/clock_of_1970":    {sessionLine, `{"EventTime":"1970-01-01T00:00:00Z","EventType":"Connected","SessionID":"x","SessionName":"y"}`, "not a time"},
		"session/clock_of_2100":    {sessionLine, `{"EventTime":"2100-01-01T00:00:00Z","EventType":"Connected","SessionID":"x","SessionName":"y"}`, "not a time"},
		"session/time_is_list":     {sessionLine, `{"EventTime":[{"a":1}],"EventType":"Connected","SessionID":"x","SessionName":"y"}`, "no time"},
		"session/line_too_long":    {sessionLine, `{"EventTime":"` + long + `"}`, "longer than"},
		"teamviewer/few_columns":   {teamLine, "123456789\tGreta", "columns"},
		"teamviewer/no_id":         {teamLine, strings.Replace(teamLine, "123456789", "greta", 1), "no TeamViewer id"},
		"teamviewer/month_first":   {teamLine, strings.ReplaceAll(teamLine, "21-09", "09-21"), "no date"},
		"teamviewer/clock_of_1970": {teamLine, strings.ReplaceAll(teamLine, "2026", "1970"), "clock was never set"},
		"teamviewer/line_too_long": {teamLine, teamLine + long, "longer than"},
		"connection/no_connection": {conn, "hello", "no connection"},
		"connection/month_13":      {conn, strings.Replace(conn, "-09-", "-13-", 1), "no date"},
		"connection/clock_of_1970": {conn, strings.Replace(conn, "2026", "1970", 1), "no date"},
		"trace/no_trace_line":      {trace, "hello", "no trace line"},
		"trace/clock_of_1970":      {trace, strings.Replace(trace, "2026", "1970", 1), "no date"},
		"trace/line_too_long":      {trace, trace + long, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			var want decodetest.Collect
			if err := read(t, strings.Repeat(c.good+"\n", 3), &want); err != nil {
				t.Fatal(err)
			}
			var s decodetest.Collect
			if err := read(t, strings.Repeat(c.good+"\n", 2)+c.line+"\n"+c.good+"\n", &s); err != nil {
				t.Fatal(err)
			}
			if len(s.Events) != len(want.Events) || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want %d and one bad with %q", len(s.Events), s.Reasons, len(want.Events), c.reason)
			}
		})
	}
	for _, text := range []string{teamLine + "\xff", trace + "\xff", strings.Replace(sessionLine, "Greta", "\xff", 1)} {
		var s decodetest.Collect
		if err := read(t, text+"\n", &s); err != nil || len(s.Events) == 0 {
			t.Errorf("invalid UTF-8 in %.60q: %v %v", text, err, s.Reasons)
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{sessionLine, auditText, teamLine, traceText, connText, utf16(connText)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range append(Streams(nil), decode.Objects(Objects(nil))) {
			s.Recognise("", b[:min(len(b), decode.MaxHead)])
			var c decodetest.Collect
			if err := s.Read(context.Background(), "", strings.NewReader(string(b)), &c); err != nil {
				t.Skip()
			}
			for _, e := range c.Events {
				decodetest.Check(t, e)
				e.Summary()
			}
		}
	})
}
