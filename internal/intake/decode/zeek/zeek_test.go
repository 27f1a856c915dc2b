package zeek

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kept is a sink that keeps everything.
type kept struct {
	events  []*ocsf.Event
	records []int64
	bad     []string
}

func (k *kept) Event(e *ocsf.Event, n int64, _ []byte) {
	k.events, k.records = append(k.events, e), append(k.records, n)
}
func (k *kept) Bad(n int64, reason string, _ []byte) {
	k.bad = append(k.bad, fmt.Sprintf("%d: %s", n, reason))
}

const connHeader = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n" +
	"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\tresp_pkts\ttunnel_parents\n" +
	"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tstring\tcount\tcount\tset[string]\n"

func readAll(t testing.TB, name, text string) *kept {
	t.Helper()
	k := &kept{}
	if err := read(context.Background(), name, strings.NewReader(text), k); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConnLineBecomesOneFlow(t *testing.T) {
	k := readAll(t, "conn.log", connHeader+
		"1713484795.943239\tCYl7H53iN6mY9NyXJ8\t192.0.2.7\t25320\t2001:db8::5\t445\ttcp\tsmb,gssapi\t0.403788\t54\t957\tSF\tShADadFf\t5\t6\tCa,Cb\n"+
		"1713484796.000001\tCYl7H53iN6mY9NyXJ9\t192.0.2.7\t8\t192.0.2.9\t0\ticmp\t-\t-\t-\t-\tOTH\t(empty)\t1\t0\t(empty)\n#close\t2024\n")
	if len(k.events) != 2 || len(k.bad) != 0 {
		t.Fatalf("%d events, bad %v", len(k.events), k.bad)
	}
	e := k.events[0]
	if got, want := e.Src.String()+" "+e.Dst.String(), "192.0.2.7:25320 [2001:db8::5]:445"; got != want {
		t.Errorf("endpoints %s, want %s", got, want)
	}
	want := ocsf.Flow{Proto: "tcp", Service: "smb,gssapi", State: "SF", History: "ShADadFf", Duration: 403788 * time.Microsecond,
		OrigBytes: 54, RespBytes: 957, OrigPkts: 5, RespPkts: 6}
	if d := cmp.Diff(want, *e.Flow); d != "" {
		t.Error(d)
	}
	if e.Time.UnixMicro() != 1713484795943239 || e.Source != "zeek/conn" || e.SourceID != "CYl7H53iN6mY9NyXJ8|conn|1713484795.943239" {
		t.Errorf("time %v, source %s, id %s", e.Time, e.Source, e.SourceID)
	}
	if v := e.Fields.Value("tunnel_parents"); v != "Ca, Cb" {
		t.Errorf("a set reads %q, want it joined as JSON sets are", v)
	}
	e = k.events[1]
	if _, there := e.Fields.Get("service"); there || e.Src.Port != 0 || e.Flow.Duration != 0 {
		t.Errorf("unset columns and ICMP types must not show: %+v", e)
	}
	if v, there := e.Fields.Get("history"); !there || v != "" {
		t.Errorf("an empty column is %q, %v; want it there and empty", v, there)
	}
}

func TestEachLogFillsWhatOthersNeed(t *testing.T) {
	ids := "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\t"
	row := "1713484795.5\tCabcdefgh\t10.0.0.1\t40000\t10.0.0.2\t80\t"
	for _, c := range []struct{ path, fields, values, want string }{
		{"dns", ids + "query\tqtype\tanswers\trcode_name", row + "a.example\t1\t192.0.2.1,b.example\tNOERROR", "4003 query success domain=a.example answers=[192.0.2.1 b.example]"},
		{"http", ids + "method\thost\turi\tstatus_code", row + "GET\tx.example\t/p?q\t404", "4002 get failure domain=x.example url=http://x.example/p?q"},
		{"http", ids + "method\thost\turi\tstatus_code", row + "CONNECT\t-\ty.example:443\t200", "4002 connect success domain=y.example"},
		{"http", ids + "method\thost\turi\tstatus_code", row + "GET\tz.example:8080\t/\t-", "4002 get unknown domain=z.example url=http://z.example:8080/"},
		{"ssl", ids + "server_name\testablished", row + "s.example\tT", "4001 open success domain=s.example"},
		{"ssh", ids + "auth_success", row + "F", "4007 open failure"},
		{"rdp", ids + "cookie\tresult\tclient_name", row + "CORP\\anna\tencrypted\tWS07", `4005 connect unknown user=CORP\anna src=WS07`},
		{"smb_files", ids + "action\tpath\tname\tsize", row + "SMB::FILE_OPEN\t\\\\fs\\c$\ta.exe\t12", `4006 open unknown file=\\fs\c$\a.exe`},
		{"ntlm", ids + "username\thostname\tdomainname\tserver_nb_computer_name\tsuccess", row + "anna\tWS07\tCORP\tFS1\tF", `3002 logon failure user=CORP\anna src=WS07`},
		{"kerberos", ids + "request_type\tclient\tservice\tsuccess", row + "TGS\tanna/CORP.EXAMPLE\tcifs/fs1\tT", `3002 service ticket request success user=CORP.EXAMPLE\anna`},
		{"dhcp", "ts\tuids\tclient_addr\tserver_addr\thost_name\tassigned_addr\tmsg_types", "1713484795.5\tCa,Cb\t-\t10.0.0.2\tWS07\t10.0.0.9\tREQUEST,ACK", "4004 assign unknown src=WS07 lease=10.0.0.9 WS07 start"},
		{"files", "ts\tfuid\ttx_hosts\trx_hosts\tfilename\tmd5\tseen_bytes", "1713484795.5\tFabc\t10.0.0.2\t10.0.0.1\tx.zip\td41d8cd98f00b204e9800998ecf8427e\t9", "1001 send unknown file=x.zip"},
		{"notice", "ts\tnote\tmsg\tsrc\tdst\tp", "1713484795.5\tScan::Port_Scan\tm\t10.0.0.7\t10.0.0.8\t22", "0 notice unknown"},
		{"ftp", ids + "user\tcommand", row + "bob\tRETR", "4001 traffic unknown user=bob"},
		{"brand_new", ids + "colour", row + "blue", "0  unknown"},
	} {
		t.Run(c.path, func(t *testing.T) {
			header := "#separator \\x09\n#path\t" + c.path + "\n#fields\t" + c.fields + "\n#types" +
				strings.Repeat("\tstring", strings.Count(c.fields, "\t")+1) + "\n"
			k := readAll(t, "x.log", header+c.values+"\n")
			if len(k.events) != 1 {
				t.Fatalf("bad: %v", k.bad)
			}
			if got := show(k.events[0]); got != c.want || k.events[0].Source != "zeek/"+c.path {
				t.Errorf("%s: got %q, want %q", k.events[0].Source, got, c.want)
			}
		})
	}
}

// show is what other stages look at beyond the endpoints, in one line.
func show(e *ocsf.Event) string {
	s := fmt.Sprintf("%d %s %s", e.Class, e.Activity, e.Status)
	if e.Dst.Domain != "" {
		s += " domain=" + e.Dst.Domain
	}
	if e.Answers != nil {
		s += fmt.Sprintf(" answers=%v", e.Answers)
	}
	if e.URL != "" {
		s += " url=" + e.URL
	}
	if e.User.Name != "" {
		s += " user=" + e.User.String()
	}
	if e.Src.Host != "" {
		s += " src=" + e.Src.Host
	}
	if e.File != nil {
		s += " file=" + e.File.Path
	}
	if l := e.Lease; l != nil {
		s += " lease=" + l.Addr.String() + " " + l.Device
		if l.Start {
			s += " start"
		}
	}
	return s
}

func TestBadInputIsCountedWithItsReason(t *testing.T) {
	good := "1713484795.5\tCabcdefgh\t10.0.0.1\t4\t10.0.0.2\t80\ttcp\t-\t-\t-\t-\tS0\tS\t1\t0\t-\n"
	for _, c := range []struct {
		name, text, bad string
		events          int
	}{
		{"no header", good, "1: no #fields header before this record", 0},
		{"header in the middle", good + connHeader + good, "1: no #fields header before this record", 1},
		{"too few columns", connHeader + "1713484795.5\tCx\n" + good, "8: 2 columns where the #fields header names 16", 1},
		{"truncated last line", connHeader + good + good[:40], "9: 5 columns where the #fields header names 16", 1},
		{"time is text", connHeader + strings.Replace(good, "1713484795.5", "yesterday", 1), `8: ts: "yesterday" is not a time`, 0},
		{"clock never set", connHeader + strings.Replace(good, "1713484795.5", "12.5", 1), `8: ts: "12.5" is not a time`, 0},
		{"address is a name", connHeader + strings.Replace(good, "10.0.0.1", "host", 1), `8: id.orig_h: "host" is not an address`, 0},
		{"port over 65535", connHeader + strings.Replace(good, "\t80\t", "\t65536\t", 1), `8: id.resp_p: "65536" is not a number up to 65535`, 0},
		{"count is negative", connHeader + strings.Replace(good, "\t1\t0\t", "\t-1\t0\t", 1), `8: orig_pkts: "-1" is not a number up to 9223372036854775807`, 0},
		{"types do not match fields", "#separator \\x09\n#fields\tts\tuid\n#types\ttime\n1713484795.5\tCx\n", "4: the header has 2 #fields and 1 #types", 0},
		{"a column twice", "#separator \\x09\n#fields\tts\tts\n1713484795.5\t1\n", `3: the #fields header names "ts" twice`, 0},
		{"no ts column", "#separator \\x09\n#fields\tuid\tx\nCx\t1\n", "3: the #fields header has no ts column", 0},
		{"line over the limit", connHeader + strings.Repeat("x", decode.MaxRecord+1) + "\n" + good, "8: line longer than 1048576 bytes", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := readAll(t, "conn.log", c.text)
			if len(k.events) != c.events || len(k.bad) != 1 || k.bad[0] != c.bad {
				t.Errorf("%d events, bad %q; want %d, %q", len(k.events), k.bad, c.events, c.bad)
			}
		})
	}
}

func TestRecordsAreNumberedAsAnEditorShowsTheLines(t *testing.T) {
	row := "1713484795.5\tCabcdefgh\t10.0.0.1\t4\t10.0.0.2\t80\ttcp\t-\t-\t-\t-\tS0\tS\t1\t0\t-\n"
	text := connHeader + row + "\n" + row + "#close\t2024-04-19-00-00-00\n" + connHeader + row + strings.TrimSuffix(row, "\n")
	k := readAll(t, "conn.log", text)
	var want []int64
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "1713484795.5") {
			want = append(want, int64(i+1))
		}
	}
	if d := cmp.Diff(want, k.records); d != "" || len(k.bad) != 0 {
		t.Errorf("bad %v, records (-lines +got):\n%s", k.bad, d)
	}
}

func TestHeadersMayChangeInTheMiddle(t *testing.T) {
	k := readAll(t, "all.log", "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tquery\n1713484795.5\tCabcdefgh\ta\\x2cb.example\n"+
		"#separator \\x7c\n#set_separator|;\n#path|ssl\n#fields|ts|uid|server_name\n1713484796.5|Cabcdefgi|c.example\r\n")
	if len(k.events) != 2 || k.events[0].Dst.Domain != "a,b.example" || k.events[1].Source != "zeek/ssl" || k.events[1].Dst.Domain != "c.example" {
		t.Fatalf("events %d, bad %v", len(k.events), k.bad)
	}
}

func TestRecogniseNeedsMoreThanTheName(t *testing.T) {
	for _, c := range []struct {
		name, head string
		want       bool
	}{
		{"x", connHeader, true},
		{"x", "#fields\tts\tuid\n", true},
		{"conn.log", "1713484795.94\tCYl7H53iN6mY9NyXJ8\t192.0.2.7\t25320\t192.0.2.8\t445\ttcp\n", true},
		{"conn.log", "# a comment\nhello\n", false},
		{"conn.log", "", false},
		{"conn.log", `{"ts":1,"uid":"C1"}`, false},
	} {
		if got := recognise(c.name, []byte(c.head)); got != c.want {
			t.Errorf("recognise(%q, %q) = %v", c.name, c.head, got)
		}
	}
}

func decodeLine(t testing.TB, line string) (*ocsf.Event, bool, error) {
	t.Helper()
	o, err := decode.ParseJSON(&fastjson.Parser{}, []byte(line))
	if err != nil {
		return nil, false, err
	}
	f := Objects()[0]
	e := &ocsf.Event{Fields: o.Fields()}
	if !f.Match(o) {
		return e, false, nil
	}
	return e, true, f.Decode(o, e)
}

func TestJSONWithoutPathIsRecognisedByItsColumns(t *testing.T) {
	for _, c := range []struct{ line, source, want string }{
		{`{"ts":1795354247.439949,"uid":"Cc0","id.orig_h":"10.0.0.1","id.orig_p":52161,"id.resp_h":"10.0.0.2","id.resp_p":443,"proto":"tcp","duration":7.7e-05,"conn_state":"REJ","history":"Sr"}`, "zeek/conn", "4001 refuse failure"},
		{`{"ts":"2026-11-22T13:30:12.123456Z","uid":"Cc0","id":{"orig_h":"10.0.0.1","orig_p":1},"query":"a.example","qtype":1,"answers":["1.2.3.4","b.example"]}`, "zeek/dns", "4003 query unknown domain=a.example answers=[1.2.3.4 b.example]"},
		{`{"ts":1795354247.4,"uid":"Cc0","id.orig_h":"10.0.0.1","version":"TLSv12","cipher":"x","server_name":"s.example","established":true}`, "zeek/ssl", "4001 open success domain=s.example"},
		{`{"ts":1795354247.4,"uids":["C1"],"assigned_addr":"10.0.0.9","host_name":"WS1","msg_types":["DISCOVER","ACK"]}`, "zeek/dhcp", "4004 assign unknown src=WS1 lease=10.0.0.9 WS1 start"},
		{`{"_path":"Weird_Stuff","ts":1795354247.4,"x":1}`, "zeek/weird_stuff", "0  unknown"},
	} {
		e, ok, err := decodeLine(t, c.line)
		if !ok || err != nil || e.Source != c.source || show(e) != c.want {
			t.Errorf("%s: matched %v, %v: %s %q, want %s %q", c.line, ok, err, e.Source, show(e), c.source, c.want)
		}
	}
	for _, line := range []string{`{"ts":1,"msg":"started"}`, `{"uid":"C1","id.orig_h":"1.2.3.4"}`, `{"event_type":"flow","src_ip":"1.2.3.4"}`} {
		if _, ok, _ := decodeLine(t, line); ok {
			t.Errorf("%s is taken for Zeek", line)
		}
	}
	if _, _, err := decodeLine(t, `{"ts":1795354247.4,"uid":"C1","id.orig_h":"nonsense"}`); err == nil {
		t.Error("a bad address passes in JSON")
	}
}

func TestTSVAndJSONGiveTheSameEvent(t *testing.T) {
	k := readAll(t, "conn.log", connHeader+"1713484795.943239\tCYl7H53iN6\t192.0.2.7\t25320\t192.0.2.8\t445\ttcp\t-\t0.403788\t54\t957\tSF\tShADadFf\t5\t6\tCa,Cb\n")
	e, _, err := decodeLine(t, `{"ts":1713484795.943239,"uid":"CYl7H53iN6","id.orig_h":"192.0.2.7","id.orig_p":25320,"id.resp_h":"192.0.2.8","id.resp_p":445,"proto":"tcp","duration":0.403788,"orig_bytes":54,"resp_bytes":957,"conn_state":"SF","history":"ShADadFf","orig_pkts":5,"resp_pkts":6,"tunnel_parents":["Ca","Cb"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(k.events[0], e, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

// data opens the folder of recorded telemetry that tests may use; see docs.
func data(t testing.TB, folder string) string {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, folder)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recorded telemetry at %s: set BREAKWATER_DATA", dir)
	}
	return dir
}

func TestRecordedLogsReadWithoutLoss(t *testing.T) {
	cases := 0
	for _, folder := range []string{"scenario", "network"} {
		err := filepath.WalkDir(data(t, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			zeek := strings.Contains(path, "/zeek/") || strings.Contains(filepath.Base(path), "conn.")
			if !zeek || strings.HasSuffix(path, ".pcap") {
				return nil
			}
			cases++
			checkFile(t, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("no Zeek log found")
	}
}

func checkFile(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	br := bufio.NewReaderSize(r, decode.MaxHead)
	head, _ := br.Peek(decode.MaxHead)
	k := &kept{}
	if recognise(filepath.Base(path), head) {
		if err := read(context.Background(), filepath.Base(path), br, k); err != nil {
			t.Fatal(err)
		}
	} else {
		sc := bufio.NewScanner(br)
		for n := int64(1); sc.Scan(); n++ {
			if e, ok, err := decodeLine(t, sc.Text()); err != nil || !ok {
				k.Bad(n, fmt.Sprint(ok, err), nil)
			} else {
				k.Event(e, n, nil)
			}
		}
	}
	if len(k.bad) > 0 || len(k.events) == 0 {
		t.Errorf("%s: %d events, bad %v", path, len(k.events), k.bad[:min(3, len(k.bad))])
	}
	for _, e := range k.events {
		if e.Time.IsZero() || e.Source == "zeek/unknown" || !(e.Src.IP.IsValid() || e.Lease != nil) {
			t.Fatalf("%s: incomplete %+v", path, e)
		}
	}
}

func FuzzTSV(f *testing.F) {
	f.Add([]byte(connHeader + "1713484795.5\tCabcdefgh\t10.0.0.1\t4\t10.0.0.2\t80\ttcp\t-\t-\t-\t-\tS0\tS\t1\t0\t-\n"))
	f.Add([]byte("#separator \\x2c\n#fields,ts,uid\n1.5,C\n"))
	f.Add([]byte("#separator\n#fields\n\n#types\tx\n1"))
	f.Add([]byte("#separator \\x5c\\x78\n#fields\\xts\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := &kept{}
		if err := read(context.Background(), "conn.log", bytes.NewReader(b), k); err != nil {
			t.Fatal(err)
		}
		for _, e := range k.events {
			if e.Time.IsZero() || !strings.HasPrefix(e.Source, "zeek/") {
				t.Fatalf("incomplete event %+v", e)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"ts":1795354247.4,"uid":"C1","id.orig_h":"10.0.0.1","duration":1e308,"conn_state":"S0"}`)
	f.Add(`{"ts":-1,"_path":"dhcp","uids":[],"msg_types":["RELEASE"]}`)
	f.Fuzz(func(t *testing.T, s string) {
		if e, ok, err := decodeLine(t, s); ok && err == nil && e.Time.IsZero() {
			t.Fatal("an event without time")
		}
	})
}

func BenchmarkConnTSV(b *testing.B) {
	line := "1713484795.943239\tCYl7H53iN6mY9NyXJ8\t192.0.2.7\t25320\t192.0.2.8\t445\ttcp\t-\t0.403788\t54\t957\tSF\tShADadFf\t5\t6\t-\n"
	text := []byte(connHeader + strings.Repeat(line, 10_000))
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	start := cpu()
	for b.Loop() {
		if err := read(context.Background(), "conn.log", bytes.NewReader(text), discard{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/(cpu()-start).Seconds(), "flows/CPU-s")
}

type discard struct{}

func (discard) Event(*ocsf.Event, int64, []byte) {}
func (discard) Bad(int64, string, []byte)        {}

// cpu returns the processor time of this process, since the clock on the wall says little on a shared machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
