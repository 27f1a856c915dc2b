package eve

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func decoded(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	c := &decodetest.Collect{}
	if err := decode.Objects(Objects()).Read(context.Background(), "eve.json", strings.NewReader(text), c); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Events {
		decodetest.Check(t, e)
	}
	return c
}

// record makes an object of the type with the usual head.
func record(kind, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"timestamp":"2026-11-01T13:00:00.123456+0100","flow_id":1234567890123456,"in_iface":"eth0","event_type":"` + kind +
		`","src_ip":"192.0.2.10","src_port":40000,"dest_ip":"198.51.100.20","dest_port":443,"proto":"TCP"` + more + "}\n"
}

const counts = `"flow":{"pkts_toserver":6,"pkts_toclient":4,"bytes_toserver":600,"bytes_toclient":900,"start":"2026-11-01T12:59:50.5+0100","end":"2026-11-01T12:59:52.75+0100","age":2,"state":"closed","reason":"timeout","alerted":false}`

func TestFlowBecomesAZeekState(t *testing.T) {
	for _, c := range []struct{ name, more, want string }{
		{"closed", `"app_proto":"tls",` + counts + `,"tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","state":"closed"}`,
			`192.0.2.10:40000 > 198.51.100.20:443 tcp tls SF "ShADadFf" 6/4 600/900 2.25s close success`},
		{"refused", strings.Replace(counts, "6,", "1,", 1) + `,"tcp":{"tcp_flags_ts":"02","tcp_flags_tc":"14"}`,
			`192.0.2.10:40000 > 198.51.100.20:443 tcp  REJ "Sr" 1/4 0/0 2.25s refuse failure`},
		{"not answered", `"app_proto":"failed",` + counts + `,"tcp":{"tcp_flags_ts":"02","tcp_flags_tc":"00"}`,
			`192.0.2.10:40000 > 198.51.100.20:443 tcp  S0 "S" 6/4 0/0 2.25s fail failure`},
		{"half-open probe", counts + `,"tcp":{"tcp_flags_ts":"06","tcp_flags_tc":"12"}`,
			`192.0.2.10:40000 > 198.51.100.20:443 tcp  RSTO "ShR" 6/4 0/0 2.25s reset success`},
		{"backscatter", counts + `,"tcp":{"tcp_flags_ts":"12","tcp_flags_tc":"04"}`,
			`198.51.100.20:443 > 192.0.2.10:40000 tcp  OTH "^hR" 4/6 0/0 2.25s traffic unknown`},
		{"without flags", counts, `192.0.2.10:40000 > 198.51.100.20:443 tcp  SF "" 6/4 600/900 2.25s close success`},
		{"without flags, new", `"flow":{"pkts_toserver":1,"pkts_toclient":0,"state":"new"}`, `192.0.2.10:40000 > 198.51.100.20:443 tcp  S0 "" 1/0 0/0 0s fail failure`},
		{"UDP", counts + `,"proto":"UDP"`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := record("flow", c.more)
			if c.want == "" {
				text = strings.Replace(record("flow", counts), `"TCP"`, `"UDP"`, 1)
				c.want = `192.0.2.10:40000 > 198.51.100.20:443 udp  SF "Dd" 6/4 600/900 2.25s close success`
			}
			got := decoded(t, text)
			if len(got.Events) != 1 {
				t.Fatalf("bad %v", got.Reasons)
			}
			e := got.Events[0]
			f := e.Flow
			if s := fmt.Sprintf("%s > %s %s %s %s %q %d/%d %d/%d %v %s %s", e.Src, e.Dst, f.Proto, f.Service, f.State, f.History, f.OrigPkts, f.RespPkts, f.OrigBytes, f.RespBytes, f.Duration, e.Activity, e.Status); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
	e := decoded(t, record("flow", counts)).Events[0]
	if got, want := e.SourceID, "1234567890123456|flow|2026-11-01T11:59:50.5Z"; got != want || e.Fields.Value("flow.reason") != "timeout" {
		t.Errorf("id %s, want %s; fields %v", got, want, e.Fields)
	}
}

func TestICMPFlowsSayWhatWasAsked(t *testing.T) {
	text := strings.Replace(record("flow", `"icmp_type":8,"icmp_code":0,"flow":{"pkts_toserver":1,"pkts_toclient":1}`), `"TCP"`, `"IPv6-ICMP"`, 1)
	e := decoded(t, text).Events[0]
	if e.Flow.Proto != "icmp" || e.Flow.State != "OTH" || e.Flow.History != "Dd" || e.Src.Port != 0 || e.Fields.Value("icmp_type") != "8" {
		t.Errorf("%+v %+v", e, e.Flow)
	}
}

// show is what other stages look at beyond the endpoints, in one line.
func show(e *ocsf.Event) string {
	s := fmt.Sprintf("%d %s %s", e.Class, e.Activity, e.Status)
	for _, x := range []struct{ name, v string }{{"domain", e.Dst.Domain}, {"url", e.URL}, {"user", e.User.String()}, {"src", e.Src.Host}, {"answers", strings.Join(e.Answers, " ")}} {
		if x.v != "" {
			s += " " + x.name + "=" + x.v
		}
	}
	if e.File != nil {
		s += fmt.Sprintf(" file=%s %d %v", e.File.Path, e.File.Size, e.File.Hashes)
	}
	if l := e.Lease; l != nil {
		s += fmt.Sprintf(" lease=%s %s %s start=%v end=%v", l.Kind, l.Addr, l.Device, l.Start, l.End)
	}
	if e.Flow != nil {
		s += " flow"
	}
	return s
}

func TestEachTypeFillsWhatOthersNeed(t *testing.T) {
	for _, c := range []struct{ kind, more, want string }{
		{"dns", `"dns":{"type":"query","id":1,"rrname":"a.example","rrtype":"A","tx_id":0}`, "4003 query unknown domain=a.example"},
		{"dns", `"dns":{"type":"answer","id":1,"rcode":"NOERROR","rrname":"a.example","rrtype":"A","ttl":9,"rdata":"192.0.2.1"}`, "4003 response success domain=a.example answers=192.0.2.1"},
		{"dns", `"dns":{"version":2,"type":"answer","rcode":"NOERROR","rrname":"a.example","answers":[{"rrname":"a.example","rrtype":"CNAME","rdata":"b.example"},{"rrname":"b.example","rrtype":"A","rdata":"192.0.2.1"}],"grouped":{"A":["192.0.2.1"]}}`,
			"4003 response success domain=a.example answers=b.example 192.0.2.1"},
		{"dns", `"dns":{"version":3,"type":"request","queries":[{"rrname":"a.example","rrtype":"PTR"}]}`, "4003 query unknown domain=a.example"},
		{"dns", `"dns":{"version":3,"type":"response","rcode":"NXDOMAIN","queries":[{"rrname":"a.example."}]}`, "4003 response failure domain=a.example"},
		{"http", `"http":{"hostname":"x.example","url":"/p?q","http_port":8080,"http_method":"GET","status":404}`, "4002 get failure domain=x.example url=http://x.example:8080/p?q"},
		{"http", `"http":{"url":"y.example:443","http_method":"CONNECT","status":200}`, "4002 connect success domain=y.example"},
		{"tls", `"tls":{"sni":"s.example","version":"TLS 1.3","ja3":{"hash":"aa"},"ja4":"t13d"}`, "4001 open unknown domain=s.example"},
		{"tls", `"tls":{"subject":"CN=s.example","sni":"s.example"}`, "4001 open success domain=s.example"},
		{"smb", `"smb":{"command":"SMB2_COMMAND_CREATE","status":"STATUS_SUCCESS","share":"\\\\fs\\ADMIN$","filename":"a.exe","size":12}`, `4006 create success file=\\fs\ADMIN$\a.exe 12 []`},
		{"smb", `"smb":{"command":"SMB2_COMMAND_SESSION_SETUP","status":"STATUS_LOGON_FAILURE","ntlmssp":{"domain":"CORP","user":"anna","host":"WS07"}}`, `4006 session_setup failure user=CORP\anna src=WS07`},
		{"rdp", `"rdp":{"event_type":"connect_request","cookie":"anna","client":{"client_name":"WS07"}}`, "4005 connect unknown user=anna src=WS07"},
		{"ssh", `"ssh":{"client":{"software_version":"OpenSSH_9.7"}}`, "4007 open unknown"},
		{"krb5", `"krb5":{"msg_type":"KRB_TGS_REP","cname":"anna","realm":"CORP.EXAMPLE","sname":"cifs/fs1"}`, `3002 service ticket request success user=CORP.EXAMPLE\anna`},
		{"krb5", `"krb5":{"msg_type":"KRB_ERROR","failed_request":"KRB_AS_REQ","error_code":"KDC_ERR_C_PRINCIPAL_UNKNOWN","cname":"<empty>","realm":"CORP","sname":"krbtgt/CORP"}`, `3002 authentication ticket failure`},
		{"dcerpc", `"dcerpc":{"request":"REQUEST","req":{"opnum":12}}`, "4001 traffic unknown"},
		{"dhcp", `"dhcp":{"type":"reply","dhcp_type":"ack","assigned_ip":"10.0.0.9","client_ip":"0.0.0.0","hostname":"WS07"}`, "4004 assign unknown src=WS07 lease=dhcp 10.0.0.9 WS07 start=true end=false"},
		{"dhcp", `"dhcp":{"type":"request","dhcp_type":"release","client_ip":"10.0.0.9"}`, "4004 release unknown lease=dhcp 10.0.0.9  start=false end=true"},
		{"dhcp", `"dhcp":{"type":"request","dhcp_type":"discover"}`, "4004 discover unknown"},
		{"fileinfo", `"fileinfo":{"filename":"/x.zip","sha256":"ab","size":9},"http":{"hostname":"x.example"}`, "1001 send unknown domain=x.example file=/x.zip 9 [SHA256=ab]"},
		{"netflow", `"netflow":{"pkts":1,"bytes":60}`, "4001 traffic unknown"},
		{"anomaly", `"anomaly":{"type":"stream","event":"stream.pkt_invalid_ack"}`, "4001 traffic unknown"},
		{"alert", `"alert":{"signature":"ET SCAN x","severity":2},"http":{"hostname":"x.example","url":"/a","http_method":"GET","status":500},` + counts, "4001 traffic unknown domain=x.example url=http://x.example:443/a"},
		{"alert", `"alert":{"signature":"ET DNS x"},"dns":{"query":[{"type":"query","rrname":"a.example"}]}`, "4001 traffic unknown domain=a.example"},
		{"brand_new", `"colour":"blue"`, "0  unknown"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			got := decoded(t, record(c.kind, c.more))
			if len(got.Events) != 1 {
				t.Fatalf("bad %v", got.Reasons)
			}
			e := got.Events[0]
			if s := show(e); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if e.Source != "suricata/"+c.kind || e.SourceID == "" {
				t.Errorf("source %s, id %s", e.Source, e.SourceID)
			}
		})
	}
}

func TestAnswersComeOutAsWhatTheClientAsked(t *testing.T) {
	text := strings.NewReplacer(`"src_port":40000`, `"src_port":53`, `"dest_port":443`, `"dest_port":40000`).
		Replace(record("dns", `"dns":{"type":"answer","rrname":"a.example","rcode":"NOERROR"}`))
	e := decoded(t, text).Events[0]
	if e.Src.String() != "198.51.100.20:40000" || e.Dst.Port != 53 || e.Dst.Domain != "a.example" || e.Src.Domain != "" {
		t.Errorf("%+v > %+v", e.Src, e.Dst)
	}
}

func TestRecordsOfOneMomentHaveIdsOfTheirOwn(t *testing.T) {
	answer := func(rdata string) string {
		return record("dns", `"dns":{"type":"answer","rrname":"a.example","rdata":"`+rdata+`"}`)
	}
	got := decoded(t, answer("192.0.2.1")+answer("192.0.2.2")+answer("192.0.2.1")).Events
	if len(got) != 3 || got[0].SourceID == got[1].SourceID || got[0].SourceID != got[2].SourceID {
		t.Errorf("ids %v", got)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	good := record("flow", counts+`,"tcp":{"tcp_flags_ts":"02"}`)
	for _, c := range []struct{ from, to, want string }{
		{"2026-11-01T13:00:00.123456+0100", "yesterday", `suricata: field timestamp: "yesterday" is not a time`},
		{`"192.0.2.10"`, `"host"`, `suricata: src_ip: "host" is not an address`},
		{`40000`, `-1`, `suricata: src_port: "-1" is not a port`},
		{`"pkts_toserver":6`, `"pkts_toserver":"six"`, `suricata: flow.pkts_toserver: "six" is not a count`},
		{`"02"`, `"zz"`, `suricata: tcp.tcp_flags_ts: "zz" are not TCP flags in hexadecimal`},
		{"2026-11-01T12:59:50.5+0100", "0001-01-01T00:00:00+0000", `suricata: field flow.start: "0001-01-01T00:00:00+0000" is not a time`},
		{`"timestamp"`, `"when"`, `JSON of no known source`},
		{`"event_type":"flow"`, `"event_type":""`, `JSON of no known source`},
	} {
		got := decoded(t, strings.Replace(good, c.from, c.to, 1))
		if len(got.Events) != 0 || len(got.Reasons) != 1 || got.Reasons[0] != c.want {
			t.Errorf("%s: bad %q, want %q", c.to, got.Reasons, c.want)
		}
	}
}

func TestOtherSourcesAreLeftToTheirFormats(t *testing.T) {
	for _, text := range []string{`{"event_type":"login","timestamp":"2026-11-01T12:00:00Z"}`, `{"event_type":"flow","timestamp":"2026-11-01T12:00:00Z"}`, `{"timestamp":"2026-11-01T12:00:00Z","flow_id":1}`} {
		if got := decoded(t, text); len(got.Events) != 0 {
			t.Errorf("%s is taken for Suricata's", text)
		}
	}
	if got := decoded(t, `{"timestamp":"2026-11-01T12:00:00.5+0000","event_type":"stats","stats":{"uptime":9}}`); len(got.Events) != 1 || got.Events[0].SourceID != "" {
		t.Errorf("statistics: %v", got.Reasons)
	}
}

func FuzzEVE(f *testing.F) {
	f.Add([]byte(record("flow", counts+`,"tcp":{"tcp_flags_ts":"1b","tcp_flags_tc":"1b"}`)))
	f.Add([]byte(record("dns", `"dns":{"version":2,"type":"answer","answers":[{"rrname":"a","rdata":"b"}]}`)))
	f.Add([]byte(record("dhcp", `"dhcp":{"dhcp_type":"ack","assigned_ip":"10.0.0.9"}`)))
	f.Add([]byte(record("http", `"http":{"hostname":"[::1","url":"/","http_method":"GET"}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &decodetest.Collect{}
		_ = decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(string(b)), c)
		for _, e := range c.Events {
			decodetest.Check(t, e)
		}
	})
}
