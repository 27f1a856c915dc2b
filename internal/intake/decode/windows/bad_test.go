package windows

import (
	"context"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	good := flat("Security", 4634, `"TargetUserName":"l.pohl"`)
	for name, c := range map[string]struct{ line, reason string }{
		"missing_time":      {`{"Channel":"Security","EventID":4634,"Hostname":"a"}`, "no time"},
		"time_is_text":      {`{"Channel":"Security","EventID":4634,"Hostname":"a","@timestamp":"yesterday"}`, "not a time"},
		"clock_of_1970":     {`{"Channel":"Security","EventID":4634,"Hostname":"a","@timestamp":"1970-01-01T00:00:00Z"}`, "not a time"},
		"clock_of_2100":     {`{"Channel":"Security","EventID":4634,"Hostname":"a","@timestamp":"2100-01-01T00:00:00Z"}`, "not a time"},
		"clock_of_1601":     {`{"Event":{"System":{"Channel":"Security","EventID":1,"TimeCreated":{"#attributes":{"SystemTime":"1601-01-01T00:00:00Z"}}}}}`, "not a time"},
		"id_is_text":        {`{"Channel":"Security","EventID":"logon","Hostname":"a","@timestamp":"2026-09-21T08:00:00Z"}`, "EventID is not a number"},
		"id_is_list":        {`{"Channel":"Security","EventID":[1,2],"Hostname":"a","@timestamp":"2026-09-21T08:00:00Z"}`, "EventID is not a number"},
		"id_is_huge":        {`{"Channel":"Security","EventID":99999999999999999999,"Hostname":"a","@timestamp":"2026-09-21T08:00:00Z"}`, "EventID is not a number"},
		"channel_is_object": {`{"Channel":{"x":1},"EventID":{"x":1},"@timestamp":"2026-09-21T08:00:00Z"}`, "EventID is not a number"},
		"not_windows":       {`{"hello":"world"}`, "no known source"},
		"truncated":         {`{"Channel":"Security","EventID":46`, "not JSON"},
		"line_too_long":     {`{"Channel":"Security","Message":"` + strings.Repeat("x", decode.MaxRecord) + `"}`, "longer than"},
		"nested_too_deep":   {`{"Channel":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 40) + `}`, "deeper than"},
	} {
		t.Run(name, func(t *testing.T) {
			c1 := decodeText(t, good+"\n"+c.line+"\n"+good+"\n")
			if len(c1.Events) != 2 || len(c1.Reasons) != 1 || !strings.Contains(c1.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want one bad with %q", len(c1.Events), c1.Reasons, c.reason)
			}
		})
	}
}

func TestOddTypesAreNoReasonToRefuse(t *testing.T) {
	for _, line := range []string{
		flat("Security", 4624, `"IpAddress":17,"IpPort":[1],"TargetUserName":{"a":1},"WorkstationName":null`),
		flat("Security", 4624, `"IpAddress":"999.1.1.1","IpPort":"70000","TargetUserName":"\ufffd"`),
		flat(sysmonChannel, 1, `"Image":"`+strings.Repeat("a", 70000)+`","ParentImage":"x","Hashes":","`),
		flat("Security", 4624, "\"TargetUserName\":\"\xff\xfe\""),
		flat("", 1, ""),
		`{"Channel":null,"EventID":1,"@timestamp":"1970-01-01T00:00:00Z","UtcTime":"2026-09-21 08:00:00.123","Channel":"Security"}`,
	} {
		c := decodeText(t, line)
		if len(c.Events)+len(c.Reasons) != 1 {
			t.Errorf("%d events and %q of %.100q", len(c.Events), c.Reasons, line)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, w := range wrappings {
		f.Add([]byte(strings.ReplaceAll(w, "\n", "")))
	}
	f.Add([]byte(flat("System", 7045, `"ServiceName":"ScreenConnect Client (d2f80b6a91c3e745)","ImagePath":"`+clientArgs+`"`)))
	f.Add([]byte(flat("Application", 100, `"SourceName":"ScreenConnect","Message":"(x) Connected"`)))
	f.Add([]byte(flat(sysmonChannel, 22, `"QueryResults":"type:;;;type:  5"`)))
	f.Add([]byte(flat("Security", 4728, `"MemberName":"CN=,OU=x"`)))
	f.Add([]byte(`{"Event":{"System":{"EventID":1,"Channel":"a"},"UserData":{"x":{"y":"z"}},"EventData":{"Data":["a",{"Name":"b"}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c decodetest.Collect
		if err := decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(string(b)), &c); err != nil {
			t.Skip()
		}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			e.Summary()
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	line := flat(sysmonChannel, 1, `"UtcTime":"2026-09-21 08:04:42.818","Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c run.cmd","ParentImage":"`+clientExe+`","ParentCommandLine":"`+clientArgs+`","User":"EX\\l.pohl","Hashes":"SHA256=00","ProcessId":"7","SourceName":"Microsoft-Windows-Sysmon"`)
	text := strings.Repeat(line+"\n", 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var c decodetest.Collect
		if err := decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(text), &c); err != nil || len(c.Events) != 1000 {
			b.Fatal(err, c.Reasons)
		}
	}
}
