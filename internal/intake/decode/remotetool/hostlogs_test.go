package remotetool

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

const (
	kaseyaText = `[I 2026-09-21T04:46:16.419139Z +00:00  3160  f18] [AgentRemoteControlSession] Remote Control Session Jwt is valid
[I 2026-09-21T04:46:16.686197Z +00:00  3160  f1c] [RemoteControlApplicationService] Launching remote control host for request 47972bed-33bb-4422-a6f4-6ae0c244a96c with sessionId 92FB5231-0009-44af-bd31-425bf26b8060 ; currently have 0 instances
[I 2026-09-21T04:47:00.268159Z +00:00  3160  f1c] [RemoteControlApplicationService] Shutting down Remote Control Instance #92fb5231-0009-44af-bd31-425bf26b8060
`
	tvLogText = `Start:              2026/09/21 11:30:00.000 (UTC+2:00)
Version:            15.50.5
2026/09/21 11:35:27.433  5716       5840 D3   SessionManagerDesktop::IncomingConnection: Connection incoming, sessionID = -2102926010
2026/09/21 11:35:28.100  5716       5840 S0   UDPv4: punch received a=203.0.113.9:51234: (*)
2026/09/21 11:35:31.958  5716       2436 S0   CPersistentParticipantManager::AddParticipant: [1764218403,-2102926010] type=3 name=ACME-WS7
2026/09/21 11:35:31.958  5716       2436 S0   CPersistentParticipantManager::AddParticipant: [1761879737,-207968498] type=6 name=Greta Holm
2026/09/21 11:36:40.000  5716       2436 D3   Write file C:\Users\x\a.exe
2026/09/21 11:40:31.958  5716       2436 S0   CPersistentParticipantManager::RemoveParticipant: [1761879737,-207968498]
`
	tvOutText = "123456789\t21-09-2026 10:00:00\t21-09-2026 10:30:00\tl.pohl\tRemoteControl\t{A1B2-C3}\n"
	btText    = `2026-09-21T12:14:58+00:00 bt1 BG: 1234:01:01:site=support.example.com;who=John Smith(jsmith) using web/login;who_ip=192.0.2.1; event=login;target=web/login;status=failure
2026-09-21T12:15:58+00:00 bt1 BG[7]: 1234:01:02:site=support.example.com;when=1789992960;who=John Smith(jsmith);who_ip=192.0.2.1;event=user_added;new_
2026-09-21T12:15:58+00:00 bt1 BG[7]: 1234:02:02:username=user\;s\=name\\id;status=success
`
	ninjaLine = `{"id":7,"activityTime":1789992000.5,"deviceId":12,"activityType":"SPLASHTOP","statusCode":"SPLASHTOP_CONNECTION_ESTABLISHED","status":"Connection established","data":{"message":{"code":"a","params":{"appUserName":"Ana","deviceName":"ACME-WS7.acme.example","sessionId":"S1"}}}}`
	ninjaRun  = `{"id":8,"activityTime":1789992001,"deviceId":12,"activityType":"SCRIPTING","statusCode":"STARTED","activityResult":"FAILURE","message":"Run x.ps1","userName":"Ana"}`
	splashCSV = "Start Time,End Time,User,Computer,Local IP,Session ID\n2026-09-21 10:00:00,2026-09-21 10:30:00,ana@msp.example,ACME-WS7,198.51.100.7,{77AB}\n"
	anySess   = `{"sid":"99","from":{"cid":123456789,"alias":"greta@ad"},"to":{"cid":5,"alias":"acme-ws7@ad"},"active":false,"start-time":1789992000,"end-time":1789992060}`
	ateraText = "21/09/2026 10:00:00 AgentPackageRunCommandInteractive started\n03/04/2026 10:00:01 Executing command: whoami /all\n"
)

func TestHostLogsAndAudits(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"Kaseya": {kaseyaText, `kaseya/endpoint 2026-09-21T04:46:16.419139Z 4014 other unknown src= actor= kaseya act= session= op= target= company= peer= relay= cmd=
kaseya/endpoint 2026-09-21T04:46:16.686197Z 4014 open success src= actor= kaseya act=connect session=92fb5231-0009-44af-bd31-425bf26b8060 op= target= company= peer= relay= cmd=
kaseya/endpoint 2026-09-21T04:47:00.268159Z 4014 close unknown src= actor= kaseya act=disconnect session=92fb5231-0009-44af-bd31-425bf26b8060 op= target= company= peer= relay= cmd=`},
		"TeamViewer's log": {tvLogText, `teamviewer/log 2026-09-21T09:35:27.433Z 4014 other unknown src= actor= teamviewer act= session=-2102926010 op= target= company= peer= relay= cmd=
teamviewer/log 2026-09-21T09:35:28.1Z 4014 other unknown src=203.0.113.9:51234 actor= teamviewer act= session=-2102926010 op= target= company= peer= relay= cmd=
teamviewer/log 2026-09-21T09:35:31.958Z 0 other unknown src= actor=
teamviewer/log 2026-09-21T09:35:31.958Z 4014 open success src=203.0.113.9:51234 actor=Greta Holm teamviewer act=connect session=-2102926010 op=Greta Holm target= company= peer=1761879737 relay= cmd=
teamviewer/log 2026-09-21T09:36:40Z 1001 transfer success src=203.0.113.9:51234 actor=Greta Holm teamviewer act=file session=-2102926010 op=Greta Holm target= company= peer=1761879737 relay= cmd=
teamviewer/log 2026-09-21T09:40:31.958Z 4014 close unknown src=203.0.113.9:51234 actor=Greta Holm teamviewer act=disconnect session=-2102926010 op=Greta Holm target= company= peer=1761879737 relay= cmd=`},
		"TeamViewer's outgoing list": {tvOutText, `teamviewer/outgoing 2026-09-21T10:00:00Z 4014 open success src= actor=l.pohl teamviewer act=connect session=a1b2-c3 op=l.pohl target=123456789 company= peer=123456789 relay= cmd=
teamviewer/outgoing 2026-09-21T10:30:00Z 4014 close success src= actor=l.pohl teamviewer act=disconnect session=a1b2-c3 op=l.pohl target=123456789 company= peer=123456789 relay= cmd=`},
		"BeyondTrust": {btText, `beyondtrust/audit 2026-09-21T12:14:58Z 3002 logon failure src=192.0.2.1 actor=John Smith(jsmith) beyondtrust act=login session= op=John Smith(jsmith) target= company= peer= relay= cmd=
beyondtrust/audit 2026-09-21T12:16:00Z 0 settings success src=192.0.2.1 actor=John Smith(jsmith) beyondtrust act=settings session= op=John Smith(jsmith) target= company= peer= relay= cmd=`},
		"NinjaOne": {ninjaLine + "\n" + ninjaRun + "\n", `ninjaone/activity 2026-09-21T12:00:00.5Z 4014 open success src= actor=Ana ninjaone act=connect session=s1 op=Ana target=acme-ws7 company= peer= relay= cmd=
ninjaone/activity 2026-09-21T12:00:01Z 1007 remote command failure src= actor=Ana ninjaone act=command session= op=Ana target= company= peer= relay= cmd=Run x.ps1`},
		"Splashtop's sessions, by schema": {splashCSV, `splashtop/sessions 2026-09-21T10:00:00Z 4014 open success src=198.51.100.7 actor=ana@msp.example splashtop act=connect session=77ab op=ana@msp.example target=acme-ws7 company= peer= relay= cmd=`},
		"AnyDesk's sessions, by schema":   {anySess + "\n", `anydesk/sessions 2026-09-21T12:00:00Z 4014 open success src= actor=greta@ad anydesk act=connect session=99 op=greta@ad target=acme-ws7@ad company= peer=123456789 relay= cmd=`},
		"Atera's commands, by schema": {ateraText, `atera/commands 2026-09-21T10:00:00Z 4014 other success src= actor= atera act= session= op= target= company= peer= relay= cmd=
atera/commands 2026-04-03T10:00:01Z 1007 remote command success src= actor= atera act=command session= op= target= company= peer= relay= cmd=Executing command: whoami /all`},
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
				if _, bySchema := e.Fields.Get(FieldSchema); bySchema != strings.Contains(name, "by schema") {
					t.Errorf("by schema: %v", bySchema)
				}
			}
			if g := strings.Join(got, "\n"); g != c.want || len(s.Reasons) > 0 {
				t.Errorf("bad %q, got\n%s\nwant\n%s", s.Reasons, g, c.want)
			}
		})
	}
}

func TestPartsOfMessages(t *testing.T) {
	fields := pairs(`a=1;b=x\;y\=z\\;c=;=d;e`)
	if got := fmt.Sprint(fields); got != `[{a 1} {b x;y=z\} {c }]` {
		t.Errorf("fields %s", got)
	}
	var s decodetest.Collect
	lost := strings.SplitAfter(btText, "\n")
	if err := read(t, lost[0]+lost[2]+lost[0], &s); err != nil || len(s.Events) != 2 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], "without the one before") {
		t.Errorf("a lost segment: %d events, bad %q, %v", len(s.Events), s.Reasons, err)
	}
}

func TestZonesAreStatedOrConfigured(t *testing.T) {
	unstated := tvLogText[strings.Index(tvLogText, "2026/09/21 11:35:27"):]
	at := func(site *Schemas, text string) string {
		for _, f := range Streams(site) {
			if f.Recognise("x", []byte(text)) {
				var s decodetest.Collect
				if err := f.Read(context.Background(), "x", strings.NewReader(text), &s); err != nil || len(s.Events) == 0 {
					t.Fatalf("%v %q", err, s.Reasons)
				}
				return s.Events[0].Time.Format(time.RFC3339) + " " + s.Events[0].Fields.Value("zone")
			}
		}
		return "not recognised"
	}
	vienna := parsed(t, "zone: Europe/Vienna\n")
	for name, c := range map[string]struct{ got, want string }{
		"stated":                   {at(nil, tvLogText), "2026-09-21T09:35:27Z stated UTC+2:00"},
		"stated beats configured":  {at(vienna, strings.Replace(tvLogText, "+2:00", "-5:30", 1)), "2026-09-21T17:05:27Z stated UTC-5:30"},
		"neither":                  {at(nil, unstated), "2026-09-21T11:35:27Z assumed UTC"},
		"configured":               {at(vienna, unstated), "2026-09-21T09:35:27Z assumed Europe/Vienna"},
		"of a schema":              {at(parsed(t, mine+"    zone: '+02:00'\n"), splashCSV), "2026-09-21T08:00:00Z "},
		"of a schema, summer time": {at(parsed(t, mine+"    zone: America/New_York\n"), splashCSV), "2026-09-21T14:00:00Z "},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

func TestBadHostLogLines(t *testing.T) {
	for name, c := range map[string]struct{ good, line, reason string }{
		"kaseya/no_line":          {kaseyaText, "hello", "no line of the Kaseya endpoint"},
		"kaseya/clock_of_1970":    {kaseyaText, strings.Replace(strings.Split(kaseyaText, "\n")[0], "2026", "1970", 1), "no date"},
		"outgoing/month_13":       {tvOutText + tvOutText, strings.ReplaceAll(strings.TrimSpace(tvOutText), "21-09", "09-21"), "no date"},
		"outgoing/no_id":          {tvOutText + tvOutText, "x" + strings.TrimSpace(tvOutText), "no TeamViewer id"},
		"outgoing/clock_of_1970":  {tvOutText + tvOutText, strings.ReplaceAll(strings.TrimSpace(tvOutText), "2026", "1970"), "clock was never set"},
		"beyondtrust/no_event":    {btText, "2026-09-21T12:14:58+00:00 bt1 BG: 1234:01:01:who=x", "no event"},
		"beyondtrust/no_time":     {btText, "Sep 21 12:14:58 bt1 BG: 1234:01:01:who=x;event=login", "no time"},
		"beyondtrust/text":        {btText, "hello", "no message"},
		"ninjaone/clock_of_1970":  {ninjaLine + "\n", strings.Replace(ninjaLine, "1789992000.5", "1", 1), "not a time"},
		"schema/time_is_text":     {splashCSV, "yesterday,,ana,WS7,,", "holds no time"},
		"schema/clock_of_1970":    {splashCSV, "1970-01-01 10:00:00,,ana,WS7,,", "clock was never set"},
		"schema/no_time":          {splashCSV, ",,ana,WS7,,", "no time"},
		"schema/ambiguous_date":   {splashCSV, "03/04/2026 10:00,,ana,WS7,,", "holds no time"},
		"schema/not_as_it_says":   {ateraText, "AgentPackageRunCommandInteractive", "not as the schema"},
		"teamviewerlog/month_13":  {tvLogText, "2026/13/21 11:35:27.433  5716       5840 D3   x", "no date"},
		"teamviewerlog/from_1970": {tvLogText, "1970/01/01 11:35:27.433  5716       5840 D3   x", "no date"},
	} {
		t.Run(name, func(t *testing.T) {
			var want, s decodetest.Collect
			if err := read(t, c.good, &want); err != nil {
				t.Fatal(err)
			}
			if err := read(t, c.good+c.line+"\n", &s); err != nil {
				t.Fatal(err)
			}
			if len(s.Events) != len(want.Events) || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want %d and one bad with %q", len(s.Events), s.Reasons, len(want.Events), c.reason)
			}
		})
	}
}

func FuzzHostLogs(f *testing.F) {
	decodetest.Fuzz(f, Objects(nil), Streams(nil), kaseyaText, tvLogText, tvOutText, btText, ninjaLine, ninjaRun, splashCSV, anySess, ateraText,
		"1234:01:99:site=a;event=b", "BG: 1:1:2:event=\\", "Start: 2026/09/21 (UTC+99:99)\n2026/09/21 11:35:27.433  1 1 D3 TeamViewer Write file ")
}

func BenchmarkHostLogs(b *testing.B) {
	for name, text := range map[string]string{"kaseya": kaseyaText, "teamviewer": tvLogText, "beyondtrust": btText, "ninjaone": ninjaLine + "\n" + ninjaRun + "\n", "schema": splashCSV[strings.Index(splashCSV, "\n")+1:]} {
		b.Run(name, func(b *testing.B) {
			in := strings.Repeat(text, 500)
			if name == "schema" {
				in = splashCSV[:strings.Index(splashCSV, "\n")+1] + in
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			events := 0
			start := cpu()
			for b.Loop() {
				var c decodetest.Collect
				if err := read(b, in, &c); err != nil {
					b.Fatal(err)
				}
				events += len(c.Events)
			}
			b.ReportMetric(float64(events)/(cpu()-start).Seconds(), "events/CPU-s")
		})
	}
}
