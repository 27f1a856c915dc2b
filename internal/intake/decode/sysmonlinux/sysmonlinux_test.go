package sysmonlinux

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

// event writes an event of that id with EventData of name and value in turn.
func event(id int, data ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/><EventID>%d</EventID><Version>5</Version><TimeCreated SystemTime="2026-09-21T13:16:36.927819000Z"/><EventRecordID>581</EventRecordID><Correlation/><Execution ProcessID="4111" ThreadID="4111"/><Channel>Linux-Sysmon/Operational</Channel><Computer>web1.example.net</Computer><Security UserId="0"/></System><EventData>`, id)
	for i := 0; i+1 < len(data); i += 2 {
		fmt.Fprintf(&b, `<Data Name="%s">%s</Data>`, data[i], data[i+1])
	}
	return b.String() + "</EventData></Event>"
}

var (
	launched = event(1, "UtcTime", "2026-09-21 13:16:36.932", "ProcessGuid", "{a8fa}", "ProcessId", "8246", "Image", "/usr/bin/dash", "OriginalFileName", "-",
		"CommandLine", "sh -c id &amp;&amp; echo &lt;a&gt; &#x41; &quot;b&quot; &odd;", "User", "www-data", "LogonId", "33", "Hashes", "SHA256=AA", "ParentImage", "/usr/sbin/apache2", "ParentCommandLine", "apache2 -k", "ParentUser", "root")
	connected = event(3, "Image", "/bin/bash", "User", "root", "Protocol", "tcp", "Initiated", "true", "SourceIp", "10.0.0.5", "SourcePort", "40000", "DestinationIp", "203.0.113.5", "DestinationHostname", "-", "DestinationPort", "443")
	created   = event(11, "Image", "/usr/bin/wget", "Target Filename", "/tmp/x.sh")
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

func TestEventsEqualThoseOfWindows(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		fields   map[string]string
	}{
		"a process": {launched, `1007 launch success user=www-data actor=root /usr/bin/dash|sh -c id && echo <a> A "b" &odd;||/usr/sbin/apache2|apache2 -k [SHA256=AA]`,
			map[string]string{"Channel": "Linux-Sysmon/Operational", "EventID": "1", "Provider_Name": "Linux-Sysmon", "Computer": "web1.example.net", "EventRecordID": "581", "Execution_ProcessID": "4111",
				"Security_UserId": "0", "Image": "/usr/bin/dash", "CommandLine": `sh -c id && echo <a> A "b" &odd;`, "LogonId": "33", "OriginalFileName": "-"}},
		"a connection":               {connected, "4001 open unknown user=root actor= /bin/bash||||  [] 10.0.0.5:40000>203.0.113.5:443 tcp", map[string]string{"DestinationIp": "203.0.113.5", "Initiated": "true"}},
		"a file":                     {created, "1001 create unknown user= actor= /usr/bin/wget||||  [] file=/tmp/x.sh", map[string]string{"TargetFilename": "/tmp/x.sh"}},
		"one of no id that is known": {event(240, "X", ""), "0  unknown user= actor=", map[string]string{"X": "", "EventID": "240"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !Stream().Recognise("", []byte(c.in)) {
				t.Error("not recognised")
			}
			got := collect(t, c.in+"\n")
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			e := got.Events[0]
			if s := tell(e); strings.Join(strings.Fields(s), " ") != strings.Join(strings.Fields(c.want), " ") {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if e.Device != "web1" || e.Source != "linux/sysmon" || e.SourceID == "" || e.Time.Format(time.RFC3339Nano) != "2026-09-21T13:16:36.927819Z" {
				t.Errorf("device %s, source %s, id %s, time %s", e.Device, e.Source, e.SourceID, e.Time)
			}
			for name, want := range c.fields {
				if v, ok := e.Fields.Get(name); v != want || !ok {
					t.Errorf("%s is %q (%v), want %q", name, v, ok, want)
				}
			}
		})
	}
}

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%d %s %s user=%s actor=%s", e.Class, e.Activity, e.Status, e.User, e.Actor)
	if p := e.Process; p != nil {
		s += fmt.Sprintf(" %s|%s||%s|%s %v", p.Image, p.CommandLine, p.ParentImage, p.ParentLine, p.Hashes)
	}
	if e.Flow != nil {
		s += fmt.Sprintf(" %s>%s %s", e.Src, e.Dst, e.Flow.Proto)
	}
	if e.File != nil {
		s += " file=" + e.File.Path
	}
	return s
}

func TestEventsMaySpanLines(t *testing.T) {
	spread := strings.NewReplacer("><", ">\n  <").Replace(launched)
	for name, text := range map[string]string{
		"one a line":     launched + "\n" + created + "\n",
		"on one line":    launched + created,
		"over lines":     spread + "\n" + spread + "\n",
		"in a list":      "<?xml version=\"1.0\"?>\n<Events>\n" + spread + "\n" + spread + "\n</Events>\n",
		"with namespace": strings.ReplaceAll(launched+"\n"+created, "<Event>", `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">`),
	} {
		if !Stream().Recognise("", []byte(text)) {
			t.Errorf("%s: not recognised", name)
		}
		if got := collect(t, text); len(got.Events) != 2 || len(got.Reasons) != 0 {
			t.Errorf("%s: %d events, bad %q", name, len(got.Events), got.Reasons)
		}
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	for name, c := range map[string]struct{ line, reason string }{
		"text":            {"hello", "no event of Sysmon"},
		"other_provider":  {strings.Replace(launched, `"Linux-Sysmon"`, `"Other"`, 1), "provider"},
		"no_time":         {strings.ReplaceAll(strings.ReplaceAll(launched, "SystemTime=", "X="), `"UtcTime"`, `"Y"`), "no time"},
		"time_is_text":    {strings.Replace(launched, "2026-09-21T13:16:36.927819000Z", "yesterday", 1), "not a time"},
		"clock_of_1970":   {strings.Replace(launched, "2026-09-21T", "1970-01-01T", 1), "not a time"},
		"id_is_text":      {strings.Replace(launched, "<EventID>1<", "<EventID>x<", 1), "EventID"},
		"crossed_tags":    {strings.Replace(launched, "</System>", "</Other>", 1), "XML is broken"},
		"doctype":         {strings.Replace(launched, "<System>", "<!DOCTYPE a><System>", 1), "XML is broken"},
		"deep":            {strings.Replace(launched, "<Correlation/>", "<a><b><c></c></b></a>", 1), "XML is broken"},
		"unclosed_quote":  {strings.Replace(launched, `Name="Image"`, `Name="Image`, 1), "XML is broken"},
		"cut":             {launched[:400], "does not end"},
		"line_too_long":   {"<Event>" + strings.Repeat("x", decode.MaxRecord), "longer than"},
		"too_many_fields": {strings.Replace(launched, "</EventData>", strings.Repeat(`<Data Name="a"/>`, 5000)+"</EventData>", 1), "more than 4096 fields"},
	} {
		t.Run(name, func(t *testing.T) {
			got := collect(t, launched+"\n"+c.line+"\n"+created+"\n")
			if len(got.Events) != 2 || len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want one with %q", len(got.Events), got.Reasons, c.reason)
			}
		})
	}
	if got := collect(t, launched[:300]); len(got.Events) != 0 || len(got.Reasons) != 1 {
		t.Errorf("a file that ends in an event: %d events, bad %q", len(got.Events), got.Reasons)
	}
	for _, other := range []string{"", "<Event>", "<Event><System><Provider Name='Microsoft-Windows-Sysmon'/>", "<html>Linux-Sysmon", "Linux-Sysmon <Event>"} {
		if Stream().Recognise("sysmon.xml", []byte(other)) {
			t.Errorf("%q is taken for Sysmon's", other)
		}
	}
}

// TestBombEndlessEvent feeds an event that never ends in short lines: time and memory stay in proportion.
func TestBombEndlessEvent(t *testing.T) {
	got := collect(t, "<Event>\n"+strings.Repeat("<a>\n", 600_000))
	if len(got.Events) != 0 || len(got.Reasons) == 0 || !strings.Contains(got.Reasons[0], "longer than") {
		t.Errorf("%d events, %d bad", len(got.Events), len(got.Reasons))
	}
}

func FuzzEvents(f *testing.F) {
	decodetest.Fuzz(f, nil, []decode.Stream{Stream()}, launched, connected, created, "<Events>\n"+launched+"\n</Events>",
		"<Event><System><Provider Name=\"Linux-Sysmon\"/></System></Event>", "<Event a=\"Linux-Sysmon>\"></Event>", "<Event></Event></Event>Linux-Sysmon&#;")
}

func BenchmarkEvents(b *testing.B) {
	text := strings.Repeat(launched+"\n"+connected+"\n"+created+"\n", 300)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	events := 0
	start := cpu()
	for b.Loop() {
		var c decodetest.Collect
		if err := Stream().Read(context.Background(), "x", strings.NewReader(text), &c); err != nil {
			b.Fatal(err)
		}
		events += len(c.Events)
	}
	b.ReportMetric(float64(events)/(cpu()-start).Seconds(), "events/CPU-s")
}
