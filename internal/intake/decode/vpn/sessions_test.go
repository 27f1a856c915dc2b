package vpn

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

const (
	wgKey  = "923V/iAdcz8BcqB0Xo6pDJzARGBJCQ6fWe+peixQyB4="
	wgKey2 = "sUsR6xufQQ8Tf0FuyY9tfEeYdhVMeFelr4ZMUrj+B0E="
	secret = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
)

// sessionLogs are lines as the products' documents and sources show them.
var sessionLogs = []struct {
	name, text string
	want       []string // events, then "bad: " and reasons
}{
	{"WireGuard exporter", "# HELP wireguard_sent_bytes_total Bytes sent to the peer\n" +
		`wireguard_sent_bytes_total{interface="wg0",public_key="` + wgKey + `",allowed_ips="10.90.0.2/32"} 3208804` + "\n" +
		`wireguard_latest_handshake_seconds{interface="wg0",public_key="` + wgKey + `",allowed_ips="10.90.0.2/32,192.168.7.0/24,2001:db8::2/128",friendly_name="isl-\"a\"",remote_ip="198.51.100.7",remote_port="51820"} 1790235000` + "\n" +
		`wireguard_latest_handshake_seconds{interface="wg0",public_key="` + wgKey2 + `",remote_ip="198.51.100.8",allowed_ip_0="10.90.0.3",allowed_subnet_0="32",allowed_ip_1="10.0.1.0",allowed_subnet_1="24",remote_port="9"} 1790235060 1790235090000` + "\n" +
		`wireguard_latest_handshake_seconds{interface="wg0",public_key="x",allowed_ips="10.90.0.4/32"} 0` + "\n" +
		`wireguard_latest_handshake_seconds{interface="wg0",public_key="x",allowed_ips="10.90.0.4/32"} soon` + "\n" +
		`wireguard_latest_handshake_seconds{interface="wg0",public_key="x} 5` + "\n",
		[]string{
			`2026-09-24T07:30:00Z tunnel open success user=isl-"a" src=198.51.100.7:51820 lease=true-false wg0/` + wgKey + ` addr=10.90.0.2 public=198.51.100.7 holder=isl-"a" device=`,
			`2026-09-24T07:30:00Z tunnel open success user=isl-"a" src=198.51.100.7:51820 lease=true-false wg0/` + wgKey + ` addr=2001:db8::2 public=198.51.100.7 holder=isl-"a" device=`,
			`2026-09-24T07:31:00Z tunnel open success user=` + wgKey2 + ` src=198.51.100.8:9 lease=true-false wg0/` + wgKey2 + ` addr=10.90.0.3 public=198.51.100.8 holder=` + wgKey2 + ` device=`,
			`bad: the time of the handshake, "soon", is no number`, "bad: the quote of a label is not closed",
		}},
	{"WireGuard dump", "wg0\t" + secret + "\t" + wgKey + "\t51820\toff\n" +
		"wg0\t" + wgKey2 + "\t" + secret + "\t198.51.100.7:40000\t10.90.0.2/32\t1790235000\t10\t20\t25\n" +
		"wg0\t" + wgKey + "\t(none)\t(none)\t10.90.0.3/32\t0\t0\t0\toff\n" +
		"wg0\t" + wgKey2 + "\t" + secret + "\t[2001:db8::7]:40000\t(none)\t1790235120\t10\t20\t25\nnonsense\t" + secret + "\n",
		[]string{
			`2026-09-24T07:30:00Z tunnel open success user=` + wgKey2 + ` src=198.51.100.7:40000 lease=true-false wg0/` + wgKey2 + ` addr=10.90.0.2 public=198.51.100.7 holder=` + wgKey2 + ` device=`,
			`2026-09-24T07:32:00Z tunnel open success user=` + wgKey2 + ` src=[2001:db8::7]:40000`,
			"bad: neither a peer nor an interface of `wg show all dump`",
		}},
	{"WireGuard kernel", "2026-09-24T07:30:00Z gw kernel: [6305964.569633] wireguard: wg0: Receiving handshake initiation from peer 18 (198.51.100.7:61795)\n" +
		"2026-09-24T07:30:00Z gw kernel: [6305964.569642] wireguard: wg0: Sending handshake response to peer 18 (198.51.100.7:61795)\n" +
		"2026-09-24T07:30:01Z wireguard: wg0: Invalid handshake initiation from 203.0.113.9:4000\n" +
		"2026-09-24T07:39:00Z [  3.5] wireguard: wg0: Zeroing out all keys for peer 18 ([2001:db8::7]:61795), since we haven't received a new one in 540 seconds\n" +
		"yesterday wireguard: wg0: hello\n",
		[]string{
			"2026-09-24T07:30:00Z tunnel open success user= src=198.51.100.7:61795", "2026-09-24T07:30:00Z tunnel other unknown user= src=198.51.100.7:61795",
			"2026-09-24T07:30:01Z auth logon failure user= src=203.0.113.9:4000", "2026-09-24T07:39:00Z tunnel close unknown user= src=[2001:db8::7]:61795",
			"bad: no dated message of WireGuard's kernel module",
		}},
	{"OpenVPN status 1", "OpenVPN CLIENT LIST\nUpdated,2026-09-24 08:00:00\nCommon Name,Real Address,Bytes Received,Bytes Sent,Connected Since\n" +
		"isl-a,198.51.100.7:1194,3871,3924,Thu Sep 24 07:30:00 2026\nROUTING TABLE\nVirtual Address,Common Name,Real Address,Last Ref\n" +
		"10.8.0.6,isl-a,198.51.100.7:1194,Thu Sep 24 07:59:00 2026\n192.168.1.0/24,isl-a,198.51.100.7:1194,Thu Sep 24 07:59:00 2026\n10.8.0.7,isl-b,198.51.100.8:1,Thu Sep 24 07:59:00 2026\nGLOBAL STATS\nMax bcast/mcast queue length,0\nEND\n",
		[]string{"2026-09-24T07:30:00Z tunnel open success user=isl-a src=198.51.100.7:1194 lease=true-false 198.51.100.7:1194 addr=10.8.0.6 public=198.51.100.7 holder=isl-a device=",
			"bad: the address of a client that is not in the list"}},
	{"OpenVPN status 2", "TITLE,OpenVPN 2.6.3 x86_64-pc-linux-gnu\nTIME,2026-09-24 08:00:00,1790236800\n" +
		"HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher\n" +
		"CLIENT_LIST,laptop7,198.51.100.7:1194,10.8.0.6,,3871,3924,2026-09-24 09:30:00,1790235000,isl-a,0,0,AES-256-GCM\nCLIENT_LIST,laptop8,nowhere,10.8.0.7,,1,1,x,1790235000,UNDEF,0,0,x\n" +
		"HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)\nROUTING_TABLE,10.8.0.6,laptop7,198.51.100.7:1194,2026-09-24 08:00:00,1790236800\nGLOBAL_STATS,Max bcast/mcast queue length,0\nEND\n",
		[]string{"2026-09-24T07:30:00Z tunnel open success user=isl-a src=198.51.100.7:1194 lease=true-false 198.51.100.7:1194 addr=10.8.0.6 public=198.51.100.7 holder=isl-a device=",
			"bad: column Real Address is not an address and a port"}},
	{"OpenVPN management", ">INFO:OpenVPN Management Interface Version 5\n>CLIENT:CONNECT,0,1\n>CLIENT:ENV,untrusted_ip=198.51.100.7\n>CLIENT:ENV,untrusted_port=1194\n>CLIENT:ENV,username=isl-a\n>CLIENT:ENV,password=hunter2\n>CLIENT:ENV,time_unix=1790235000\n>CLIENT:ENV,END\n" +
		">CLIENT:ESTABLISHED,0\n>CLIENT:ENV,trusted_ip=198.51.100.7\n>CLIENT:ENV,trusted_port=1194\n>CLIENT:ENV,username=isl-a\n>CLIENT:ENV,ifconfig_pool_remote_ip=10.8.0.6\n>CLIENT:ENV,time_unix=1790235000\n>CLIENT:ENV,END\n>CLIENT:ADDRESS,0,10.8.0.6,1\n" +
		">CLIENT:DISCONNECT,0\n>CLIENT:ENV,trusted_ip=198.51.100.7\n>CLIENT:ENV,trusted_port=1194\n>CLIENT:ENV,common_name=isl-a\n>CLIENT:ENV,time_unix=1790235000\n>CLIENT:ENV,time_duration=600\n>CLIENT:ENV,END\n>CLIENT:DISCONNECT,1\n>CLIENT:ENV,END\n",
		[]string{"2026-09-24T07:30:00Z auth logon unknown user=isl-a src=198.51.100.7:1194",
			"2026-09-24T07:30:00Z tunnel open success user=isl-a src=198.51.100.7:1194 lease=true-false 198.51.100.7:1194 addr=10.8.0.6 public=198.51.100.7 holder=isl-a device=",
			"2026-09-24T07:40:00Z tunnel close unknown user=isl-a src=198.51.100.7:1194 lease=false-true 198.51.100.7:1194 addr=invalid IP public=198.51.100.7 holder=isl-a device=",
			"bad: no time_unix in the environment of a client"}},
	{"NPS as XML", `<Event><Timestamp data_type="4">09/24/2026 07:30:00.123</Timestamp><Computer-Name data_type="1">NPS1</Computer-Name><User-Name data_type="1">CORP\isl-a</User-Name><Tunnel-Client-Endpt data_type="1">198.51.100.7</Tunnel-Client-Endpt><Packet-Type data_type="0">3</Packet-Type><Reason-Code data_type="0">16</Reason-Code></Event>` + "\n" +
		`<Event><Timestamp data_type="4">09/24/2026 07:31:00.000</Timestamp><Packet-Type data_type="0">4` + "\n",
		[]string{`2026-09-24T07:30:00Z auth logon failure user=CORP\isl-a src=198.51.100.7`, "bad: not XML: the record is cut short or damaged"}},
	{"NPS in the database format", `"RRAS1","RAS",09/24/2026,07:30:00,4,"CORP\isl-a",,,"198.51.100.7",,10.8.0.6,"RRAS1",10.0.0.1,5,,,,,,5,,1,2,,,0,,,,,,1,0,,,"77",,,,,,,,,,,"198.51.100.7",` + "\n" +
		`"RRAS1","RAS",09/24/2026,08:30:00,4,"CORP\isl-a",,,"198.51.100.7",,,"RRAS1",10.0.0.1,5,,,,,,5,,1,2,,,0,,,,,,2,0,100,200,"77",,3600,,,,,,,,,"198.51.100.7",` + "\n" + `"RRAS1","RAS",today,08:30:00,4,"x"` + "\n",
		[]string{`2026-09-24T07:30:00Z tunnel open success user=CORP\isl-a src=198.51.100.7 lease=true-false rras1/77 addr=10.8.0.6 public=198.51.100.7 holder=CORP\isl-a device=`,
			`2026-09-24T08:30:00Z tunnel close unknown user=CORP\isl-a src=198.51.100.7 lease=false-true rras1/77 addr=invalid IP public=198.51.100.7 holder=CORP\isl-a device=`,
			"bad: no time: neither a Timestamp nor a Record-Date and Record-Time as in 09/24/2026 07:30:00"}},
}

func TestSessionsOfEveryProduct(t *testing.T) {
	for _, c := range sessionLogs {
		t.Run(c.name, func(t *testing.T) {
			var got decodetest.Collect
			if err := read(t, []byte(c.text), &got); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, e := range got.Events {
				decodetest.Check(t, e)
				lines = append(lines, tell(e))
				for _, f := range e.Fields {
					if strings.Contains(f.Value, secret) || strings.Contains(f.Value, "hunter2") {
						t.Errorf("the field %s holds a secret", f.Name)
					}
				}
			}
			for _, r := range got.Reasons {
				lines = append(lines, "bad: "+r)
			}
			if g, w := strings.Join(lines, "\n"), strings.Join(c.want, "\n"); g != w {
				t.Errorf("got:\n%s\nwant:\n%s", g, w)
			}
		})
	}
}

// TestAHandshakeIsOneHoweverOftenItIsTold holds that snapshots over time, which tell the same handshake until the next
// one, give it one id.
func TestAHandshakeIsOneHoweverOftenItIsTold(t *testing.T) {
	line := "wg0\t" + wgKey2 + "\t(none)\t198.51.100.7:40000\t10.90.0.2/32\t1790235000\t%\t20\t25\n"
	var got decodetest.Collect
	if err := read(t, []byte(strings.Replace(line, "%", "10", 1)+strings.Replace(line, "%", "99", 1)+strings.Replace(strings.Replace(line, "%", "99", 1), "5000", "5120", 1)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Events) != 3 || got.Events[0].SourceID != got.Events[1].SourceID || got.Events[0].SourceID == got.Events[2].SourceID || got.Events[0].SourceID == "" {
		t.Errorf("%d events, bad %v: want the first two of one id and the third of another", len(got.Events), got.Reasons)
	}
}
