package firewall

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/syslog"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var arrival = time.Date(2026, 9, 24, 9, 0, 0, 0, time.UTC)

// all are this package's formats among those of syslog, in the order in which files are asked.
func all() []decode.Stream {
	var list []decode.Stream
	inner := func() []decode.Stream { return list }
	list = append(Streams(), syslog.Lines(inner), syslog.Files(inner))
	return list
}

// readAs reads text as the first format that knows it; "" where none does.
func readAs(t testing.TB, ctx context.Context, text string, c *decodetest.Collect) string {
	t.Helper()
	for _, s := range all() {
		if s.Recognise("x.log", []byte(text)[:min(len(text), decode.MaxHead)]) {
			if err := s.Read(ctx, "x.log", strings.NewReader(text), c); err != nil {
				t.Fatal(err)
			}
			return s.Name
		}
	}
	return ""
}

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %s %s %s>%s", e.Time.Format("2006-01-02T15:04:05.999999999"), e.Source, e.Activity, e.Status, e.Src, e.Dst)
	if f := e.Flow; f != nil {
		s += fmt.Sprintf(" %s/%s/%s %s %d/%d %d/%d", f.Proto, f.State, f.History, f.Duration, f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts)
	}
	if l := e.Lease; l != nil {
		s += fmt.Sprintf(" lease=%s %v-%v %s %s from %s by %s", l.Kind, l.Start, l.End, l.ID, l.Addr, l.Public, l.Holder)
	}
	if x := e.NAT; x != nil {
		s += fmt.Sprintf(" nat=%s %v-%v %s>%s %s", x.Proto, x.Start, x.End, x.Inside, x.Outside, x.Lasted)
	}
	return s
}

func TestDocumentedLines(t *testing.T) {
	for _, c := range samples {
		t.Run(c.name, func(t *testing.T) {
			var got decodetest.Collect
			ctx := context.Background()
			if c.live {
				ctx = decode.WithReceived(ctx, arrival)
			}
			if readAs(t, ctx, c.line+"\n", &got) == "" {
				t.Fatal("no format knows it")
			}
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			e := got.Events[0]
			decodetest.Check(t, e)
			if s := tell(e); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			for name, want := range c.fields {
				if v := e.Fields.Value(name); v != want {
					t.Errorf("field %s: %q, want %q", name, v, want)
				}
			}
		})
	}
}

func TestSyslogAroundALineChangesNothingButWhatItAdds(t *testing.T) {
	for _, c := range samples {
		if strings.HasPrefix(c.line, "<") || c.live || strings.Contains(c.line[:min(len(c.line), 40)], " host ") || strings.HasPrefix(c.line, "20") {
			continue
		}
		var plain, carried decodetest.Collect
		readAs(t, context.Background(), c.line+"\n", &plain)
		for _, head := range []string{"<134>1 2026-09-24T09:00:00Z fw1 app 1 - - ", "<134>Sep 24 09:00:00 fw1 "} {
			carried = decodetest.Collect{}
			if name := readAs(t, decode.WithReceived(context.Background(), arrival), head+c.line+"\n", &carried); name != "syslog" {
				t.Fatalf("%s: read as %q", c.name, name)
			}
			if len(carried.Events) != 1 || len(plain.Events) != 1 || tell(carried.Events[0]) != tell(plain.Events[0]) {
				t.Errorf("%s: %d events %q: %s", c.name, len(carried.Events), carried.Reasons, tell(carried.Events[0]))
				continue
			}
			if v := carried.Events[0].Fields.Value("syslog.hostname"); v != "fw1" {
				t.Errorf("%s: syslog.hostname %q", c.name, v)
			}
		}
	}
}

func TestRecordsWithoutATimeTakeTheirCarriers(t *testing.T) {
	for _, c := range []struct{ body, source string }{
		{"CEF:0|V|P|1|100|n|5|src=192.0.2.1 dst=192.0.2.2 proto=TCP dpt=22 act=deny", "cef"},
		{"LEEF:2.0|V|P|1|deny|^|src=192.0.2.1^dst=192.0.2.2^proto=TCP^dstPort=22", "leef"},
		{"kernel: [ 12.5] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=40 PROTO=TCP SPT=1 DPT=22 SYN URGP=0", "netfilter"},
	} {
		for _, head := range []string{"<134>1 2026-09-24T08:00:00.25Z fw1 kernel - - - ", "<134>Sep 24 08:00:00 fw1 "} {
			var got decodetest.Collect
			body := c.body
			if strings.HasPrefix(head, "<134>1") {
				body = strings.TrimPrefix(body, "kernel: ")
			}
			readAs(t, decode.WithReceived(context.Background(), arrival), head+body+"\n", &got)
			if len(got.Events) != 1 {
				t.Fatalf("%d events, %q", len(got.Events), got.Reasons)
			}
			e := got.Events[0]
			if e.Source != c.source || e.Time.Truncate(time.Second) != arrival.Add(-time.Hour) || e.Device != "fw1" || e.Flow == nil || e.Flow.State != "REJ" || e.Dst.Port != 22 {
				t.Errorf("%s: %s device %s", head+body, tell(e), e.Device)
			}
		}
	}
}

func TestWrongValuesAreNamed(t *testing.T) {
	for _, c := range []struct{ line, reason string }{
		{"CEF:0|V|P|1|100|n|5|rt=1758700000000 src=not-an-address dst=192.0.2.2", `src: "not-an-address" is not an address`},
		{"CEF:0|V|P|1|100|n|5|rt=1758700000000 src=192.0.2.1 dst=192.0.2.2 dpt=99999", `dpt: "99999" is not a number up to 65535`},
		{"CEF:0|V|P|1", "the header has 3 of 7 fields"},
		{"LEEF:2.0|V|P|1|E|long|a", "neither a character nor its code"},
		{"LEEF:1.0|V|P|1|E|devTime=1758700000000\tsrc=1.2.3", `src: "1.2.3" is not an address`},
		{`date=2026-09-24 time=09:00:00 logid="1" type="traffic" srcip=x`, `srcip: "x" is not an address`},
		{`date=2026-09-24 time=09:00:00 logid="1" type="traffic" srcip=192.0.2.1 msg="open`, `"msg": the quote is not closed`},
		{`date=2026-09-24 time=09:00:00 logid="1" type="traffic" duration=-5`, `duration: "-5" is not a number`},
		{`date=1970-01-01 time=00:00:00 logid="1" type="traffic"`, `date: `},
		{"1,2026/09/24 09:00:00,0,TRAFFIC,end,1,x,a", "at least 15"},
		{"2026-09-24T09:00:00Z IN=eth0 OUT= SRC=bad DST=192.0.2.2 PROTO=TCP", `SRC: "bad" is not an address`},
	} {
		var got decodetest.Collect
		if readAs(t, context.Background(), c.line+"\n", &got) == "" {
			t.Errorf("nobody knows %q", c.line)
			continue
		}
		if len(got.Events) != 0 || len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], c.reason) {
			t.Errorf("%q: %d events, bad %q, want %q", c.line, len(got.Events), got.Reasons, c.reason)
		}
	}
}

func TestBombManyFieldsAreRefused(t *testing.T) {
	many := strings.Repeat("a=1 ", 100_000)
	for _, line := range []string{
		"CEF:0|V|P|1|100|n|5|rt=1758700000000 " + many,
		"LEEF:1.0|V|P|1|E|devTime=1758700000000\t" + strings.ReplaceAll(many, " ", "\t"),
		`date=2026-09-24 time=09:00:00 logid="1" type="traffic" ` + many,
		"1,2026/09/24 09:00:00,0,TRAFFIC,end,1,2026/09/24 09:00:00," + strings.Repeat(",", 10_000),
		"2026-09-24T09:00:00Z IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 PROTO=TCP " + many,
		"2026-09-24T09:00:00Z " + strings.Repeat("aIN=", 250_000),
		"CEF:0|" + strings.Repeat(`\`, 500_000) + "|" + strings.Repeat("=", 400_000),
	} {
		var got decodetest.Collect
		begin := time.Now()
		for _, s := range Streams() {
			if err := s.Read(context.Background(), "", strings.NewReader(line), &got); err != nil {
				t.Fatal(err)
			}
		}
		if len(got.Events) != 0 {
			t.Errorf("%.60q: %d events", line, len(got.Events))
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%.60q took %s", line, took)
		}
	}
}

func TestOtherTextIsNobodys(t *testing.T) {
	for _, line := range []string{"", "CEF", "CEF:2|a", "date=today", "1,2,3,TRAFFIC", "IN= OUT=", "2026-09-24T09:00:00Z fw kernel: IN=a OUT= SRC=1 DST=2",
		"2026-09-24 09:00:00 something SRC=1", "LEEF:3.0|a|b|c|d|e=1", `{"a":"CEF:0|"}`, "src,dst,LEEF:1.0|"} {
		for _, s := range Streams() {
			if s.Recognise("x", []byte(line)) {
				t.Errorf("%s takes %q", s.Name, line)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, c := range samples {
		f.Add(c.line)
	}
	f.Add(`CEF:0|\||\\|\|=|a|b|c| = \= a=\`)
	f.Add("LEEF:2.0|a|b|c|d|0x|x=1")
	f.Add(`date= time= type="\" logid=`)
	f.Add(`1,2026/09/24 09:00:00,0,THREAT,"a""`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, ctx := range []context.Context{context.Background(), decode.WithReceived(context.Background(), arrival)} {
			for _, s := range Streams() {
				s.Recognise("x", []byte(line))
				var got decodetest.Collect
				if err := s.Read(ctx, "x", strings.NewReader(line), &got); err != nil {
					t.Fatal(err)
				}
				for _, e := range got.Events {
					if e.Time.Location() != time.UTC || e.Source == "" || e.Layer == "" {
						t.Errorf("%+v", e)
					}
				}
			}
		}
	})
}

func BenchmarkFortiGate(b *testing.B) {
	line := samples[0].line
	for _, c := range samples {
		if strings.HasPrefix(c.name, "FortiOS 6.2") {
			line = c.line
		}
	}
	text := strings.Repeat(line+"\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var got decodetest.Collect
		if err := Streams()[2].Read(context.Background(), "", strings.NewReader(text), &got); err != nil || len(got.Events) != 1000 {
			b.Fatal(err, len(got.Events))
		}
	}
}
