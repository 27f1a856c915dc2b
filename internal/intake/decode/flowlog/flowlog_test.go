package flowlog

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// readAll reads text as the product does: the first format that knows it.
func readAll(t testing.TB, text string) (c decodetest.Collect) {
	t.Helper()
	for _, s := range append(Streams(), decode.Objects(Objects())) {
		if s.Recognise("x.log", []byte(text)[:min(len(text), decode.MaxHead)]) {
			if err := s.Read(context.Background(), "x.log", strings.NewReader(text), &c); err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	return c
}

func told(t testing.TB, c decodetest.Collect) (out []string) {
	for _, e := range c.Events {
		decodetest.Check(t, e)
		s := fmt.Sprintf("%s %s %s %s %s:%d>%s:%d", e.Time.Format("2006-01-02T15:04:05.999999999"), e.Source, e.Activity, e.Status, e.Src.IP, e.Src.Port, e.Dst.IP, e.Dst.Port)
		if f := e.Flow; f != nil {
			s += fmt.Sprintf(" %s/%s/%s %s %d/%d %d/%d", f.Proto, f.State, f.History, f.Duration, f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts)
		}
		out = append(out, s)
	}
	for _, r := range c.Reasons {
		out = append(out, "bad: "+r)
	}
	return out
}

// The records are those of the documents named at each, with addresses for documentation.
var samples = []struct {
	name, text string
	want       []string
}{
	{"Flow log record examples: accepted, rejected, no data, skipped", // Amazon VPC User Guide
		"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n" +
			"2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK\n" +
			"2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA\n" +
			"2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA\n" +
			"2 123456789010 eni-1235b8ca123456789 203.0.113.12 172.31.16.139 0 0 1 4 336 1432917027 1432917142 ACCEPT OK\n" +
			"2 123456789010 eni-f41c42bf 2001:db8:1234:a100:8d6e:3477:df66:f105 2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK\n" +
			"2 123456789010 eni-f41c42bf 10.0.0.1 10.0.0.2 50000 53 17 1 70 1477913708 1477913820 ACCEPT OK\n",
		[]string{
			"2014-12-14T04:06:50 aws/vpcflow open success 172.31.16.139:20641>172.31.16.21:22 tcp/OTH/ 1m0s 4249/0 20/0",
			"2014-12-14T04:06:50 aws/vpcflow refuse failure 172.31.9.69:49761>172.31.9.12:3389 tcp/REJ/ 1m0s 4249/0 20/0",
			"2015-05-29T16:30:27 aws/vpcflow open success 203.0.113.12:0>172.31.16.139:0 icmp// 1m55s 336/0 4/0",
			"2016-10-31T11:35:08 aws/vpcflow open success 2001:db8:1234:a100:8d6e:3477:df66:f105:34892>2001:db8:1234:a102:3304:8879:34cf:4071:22 tcp/S1/ 1m52s 8855/0 54/0",
			"2016-10-31T11:35:08 aws/vpcflow open success 10.0.0.1:50000>10.0.0.2:53 udp/SHR/ 1m52s 70/0 1/0",
		}},
	{"custom format with TCP flags and packet addresses", // the same, "TCP flag sequence" and "Traffic through a NAT gateway"
		"version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr pkt-dstaddr protocol bytes packets start end action tcp-flags log-status\n" +
			"3 vpc-1 subnet-1 i-01234567890123456 eni-1 123456789010 IPv4 10.0.1.5 10.0.0.220 43418 5001 10.0.1.5 203.0.113.5 6 568 8 1566848875 1566848933 ACCEPT 2 OK\n" +
			"3 vpc-1 subnet-1 i-01234567890123456 eni-1 123456789010 IPv4 203.0.113.5 10.0.1.5 5001 43418 203.0.113.5 10.0.1.5 6 376 7 1566848875 1566848933 ACCEPT 18 OK\n" +
			"3 vpc-1 subnet-1 - eni-1 123456789010 IPv4 10.0.1.5 10.0.0.9 43419 22 - - 6 44 1 1566848875 1566848875 ACCEPT 2 OK\n" +
			"3 vpc-1 subnet-1 - eni-1 123456789010 IPv4 10.0.1.5 10.0.0.9 43420 22 - - 6 40 1 1566848875 1566848875 REJECT 4 OK\n" +
			"3 vpc-1 subnet-1 - eni-1\n",
		[]string{
			"2019-08-26T19:47:55 aws/vpcflow open success 10.0.1.5:43418>203.0.113.5:5001 tcp/S1/ 58s 568/0 8/0",
			"2019-08-26T19:47:55 aws/vpcflow open success 203.0.113.5:5001>10.0.1.5:43418 tcp/OTH/H 58s 376/0 7/0",
			"2019-08-26T19:47:55 aws/vpcflow open unknown 10.0.1.5:43419>10.0.0.9:22 tcp/S0/S 0s 44/0 1/0",
			"2019-08-26T19:47:55 aws/vpcflow refuse failure 10.0.1.5:43420>10.0.0.9:22 tcp/OTH/A 0s 40/0 1/0",
			"bad: 5 fields where the header names 21",
		}},
	{"exported from CloudWatch Logs",
		`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1418530010000,"message":"2 1 eni-1 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK"}]}`,
		[]string{"2014-12-14T04:06:50 aws/vpcflow refuse failure 172.31.9.69:49761>172.31.9.12:3389 tcp/REJ/ 1m0s 4249/0 20/0"}},
	{"NSG flow log, version 1", // Microsoft "Flow logging for network security groups"
		`{"records":[{"time":"2017-02-16T22:00:32.8950000Z","systemId":"2c002c16","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/1/NSG","operationName":"NetworkSecurityGroupFlowEvents","properties":{"Version":1,"flows":[{"rule":"DefaultRule_DenyAllInBound","flows":[{"mac":"000D3AF8801A","flowTuples":["1487282421,42.119.146.95,10.1.0.4,51529,5358,T,I,D"]}]},{"rule":"UserRule_default-allow-rdp","flows":[{"mac":"000D3AF8801A","flowTuples":["1487282370,163.28.66.17,10.1.0.4,61771,3389,T,I,A","1487282393,5.39.218.34,10.1.0.4,58596,161,U,I,A"]}]}]}}]}`,
		[]string{
			"2017-02-16T22:00:21 azure/nsgflow refuse failure 42.119.146.95:51529>10.1.0.4:5358 tcp/REJ/ 0s 0/0 1/0",
			"2017-02-16T21:59:30 azure/nsgflow open success 163.28.66.17:61771>10.1.0.4:3389 tcp/OTH/ 0s 0/0 0/0",
			"2017-02-16T21:59:53 azure/nsgflow open success 5.39.218.34:58596>10.1.0.4:161 udp/SHR/ 0s 0/0 0/0",
		}},
	{"NSG flow log, version 2", // the same
		`{"records":[{"time":"2018-11-13T12:00:35.3899262Z","category":"NetworkSecurityGroupFlowEvent","macAddress":"000D3AF87856","resourceId":"/NSG","properties":{"Version":2,"flows":[{"rule":"r","flows":[{"mac":"000D3AF87856","flowTuples":["1542110402,94.102.49.190,10.5.16.4,28746,443,U,I,D,B,,,,","1542110424,10.0.0.4,13.67.143.118,44931,443,T,O,A,B,,,,","1542110425,10.0.0.4,13.67.143.118,44931,443,T,O,A,E,25,4021,19,4111","1542110426,10.0.0.4,10.0.0.9,44932,22,T,O,A,E,3,180,0,0","1542110427,10.0.0.4,10.0.0.9,44932,22,T,O,A,E,3,180,0,0","x,1,2"]}]}]}}]}`,
		[]string{
			"2018-11-13T12:00:02 azure/nsgflow refuse failure 94.102.49.190:28746>10.5.16.4:443 udp/REJ/ 0s 0/0 1/0",
			"2018-11-13T12:00:24 azure/nsgflow open success 10.0.0.4:44931>13.67.143.118:443",
			"2018-11-13T12:00:25 azure/nsgflow close success 10.0.0.4:44931>13.67.143.118:443 tcp/SF/ 0s 4021/4111 25/19",
			"2018-11-13T12:00:26 azure/nsgflow close failure 10.0.0.4:44932>10.0.0.9:22 tcp/S0/ 0s 180/0 3/0",
			"2018-11-13T12:00:27 azure/nsgflow close failure 10.0.0.4:44932>10.0.0.9:22 tcp/S0/ 0s 180/0 3/0",
			"2018-11-13T12:00:35.3899262 azure/nsgflow other unknown invalid IP:0>invalid IP:0",
		}},
	{"VNet flow log", // Microsoft "Virtual network flow logs"
		`{"records":[{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"flowLogGUID":"a","macAddress":"112233445566","category":"FlowLogFlowEvent","flowLogResourceID":"/F","targetResourceID":"/V","operationName":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"0","flowGroups":[{"rule":"DefaultRule_AllowInternetOutBound","flowTuples":["1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0","1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580","1663146003637,2001:db8::6,2001:db8::7,22730,443,6,O,C,NX,12,705,14,8000"]},{"rule":"Deny","flowTuples":["1663145998065,101.33.218.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0"]}]}]}}]}`,
		[]string{
			"2022-09-14T09:00:03.599 azure/vnetflow open success 10.0.0.6:23956>192.0.2.180:443",
			"2022-09-14T09:00:03.606 azure/vnetflow close success 10.0.0.6:23956>192.0.2.180:443 tcp/SF/ 0s 767/1580 3/2",
			"2022-09-14T09:00:03.637 azure/vnetflow open success 2001:db8::6:22730>2001:db8::7:443 tcp/S1/ 0s 705/8000 12/14",
			"2022-09-14T08:59:58.065 azure/vnetflow refuse failure 101.33.218.153:55188>10.0.0.6:22 tcp/REJ/ 0s 0/0 1/0",
		}},
	{"GCP VPC flow log and firewall rule log", // Google Cloud "VPC Flow Logs record format", "Firewall Rules Logging"
		`{"insertId":"i1","logName":"projects/p/logs/compute.googleapis.com%2Fvpc_flows","jsonPayload":{"bytes_sent":"8800","packets_sent":"40","reporter":"SRC","start_time":"2026-09-24T09:00:00.123456789Z","end_time":"2026-09-24T09:00:10.123456789Z","connection":{"src_ip":"10.0.0.3","dest_ip":"10.0.0.4","src_port":50000,"dest_port":22,"protocol":6},"src_instance":{"vm_name":"VM-1"}},"timestamp":"2026-09-24T09:01:00Z"}` + "\n" +
			`{"insertId":"i2","jsonPayload":{"connection":{"src_ip":"2001:db8::1","dest_ip":"2001:db8::2","src_port":50000,"dest_port":23,"protocol":6},"disposition":"DENIED","rule_details":{"action":"DENY"}},"timestamp":"2026-09-24T09:01:00Z"}` + "\n" +
			`{"reporter":"DEST","bytes_sent":"60","packets_sent":"1","start_time":"2026-09-24T09:00:00Z","connection":{"src_ip":"10.0.0.3","dest_ip":"10.0.0.4","src_port":50000,"dest_port":161,"protocol":17}}` + "\n" +
			`{"reporter":"DEST","start_time":"2026-09-24T09:00:00Z","connection":{"src_ip":"10.0.0","dest_ip":"10.0.0.4","protocol":17}}`,
		[]string{
			"2026-09-24T09:00:00.123456789 gcp/vpcflow open success 10.0.0.3:50000>10.0.0.4:22 tcp/S1/ 10s 8800/0 40/0",
			"2026-09-24T09:01:00 gcp/firewall refuse failure 2001:db8::1:50000>2001:db8::2:23 tcp/REJ/ 0s 0/0 1/0",
			"2026-09-24T09:00:00 gcp/vpcflow open success 10.0.0.3:50000>10.0.0.4:161 udp/SHR/ 0s 60/0 1/0",
			`bad: gcp/vpcflow: connection.src_ip: "10.0.0" is not an address`,
		}},
}

func TestDocumentedRecords(t *testing.T) {
	for _, c := range samples {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, c.text)
			if d := cmp.Diff(c.want, told(t, got)); d != "" {
				t.Error(d)
			}
			ids := map[string]bool{}
			for _, e := range got.Events {
				if strings.HasPrefix(e.Source, "azure/") && (e.SourceID == "" || ids[e.SourceID]) {
					t.Errorf("the flows of one record share the id %q", e.SourceID)
				}
				ids[e.SourceID] = true
			}
		})
	}
}

func TestAzureEventsHaveTheirTupleNotTheRecords(t *testing.T) {
	for _, e := range readAll(t, samples[4].text).Events {
		if len(e.Fields) > 16 || strings.Count(e.Fields.Value("flowTuple"), ",") > 12 || e.Fields.Value("rule") != "r" || e.Fields.Value("resourceId") != "/NSG" {
			t.Errorf("%v", e.Fields)
		}
	}
}

func TestWrongRecordsAreNamed(t *testing.T) {
	good := "2 1 eni-1 10.0.0.1 10.0.0.2 49761 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n"
	for line, reason := range map[string]string{
		"2 1 eni-1 10.0.0 10.0.0.2 49761 22 6 20 4249 1418530010 1418530070 ACCEPT OK":              `srcaddr: "10.0.0" is not an address`,
		"2 1 eni-1 10.0.0.1 10.0.0.2 99999 22 6 20 4249 1418530010 1418530070 ACCEPT OK":            `srcport: "99999" is not a number`,
		"2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 99999999999999999999 4249 1418530010 1418530070 MAY OK": `packets: `,
		"2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 2 4249 1418530010 1418530070 MAY OK":                    `action: "MAY" is not ACCEPT or REJECT`,
		"2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 2 4249 5 1418530070 ACCEPT OK":                          `start: "5" is not a time`,
		"2 1 eni-1 10.0.0.1 10.0.0.2 1 22 6 2 4249 - 1418530070 ACCEPT OK":                          "start: the record has none",
	} {
		c := readAll(t, good+line+"\n"+good)
		if len(c.Events) != 2 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], reason) {
			t.Errorf("%s: %d events, bad %q, want %q", line, len(c.Events), c.Reasons, reason)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, s := range samples {
		f.Add(s.text)
	}
	f.Add(azureMark + "nsg\tr\t2\tx\ty\t1,2,3")
	f.Fuzz(func(t *testing.T, text string) {
		streams := append(Streams(), decode.Objects(Objects()), azureTuples())
		for _, s := range streams {
			s.Recognise("x", []byte(text))
			var c decodetest.Collect
			_ = s.Read(context.Background(), "x", strings.NewReader(text), &c)
			for _, e := range c.Events {
				if e.Source == "" || e.Layer == "" {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}

func BenchmarkAWS(b *testing.B) {
	text := strings.Repeat("2 1 eni-1 10.0.0.1 10.0.0.2 49761 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if c := readAll(b, text); len(c.Events) != 1000 {
			b.Fatal(len(c.Events))
		}
	}
}
