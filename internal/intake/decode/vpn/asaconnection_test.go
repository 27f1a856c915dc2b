package vpn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// The messages are the examples and formats of "Cisco Secure Firewall ASA Series Syslog Messages", with the
// documentation's addresses.
func TestASAConnections(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a beginning has no flow": {
			"%ASA-6-302013: Built outbound TCP connection 88 for outside:198.51.100.7/443 (198.51.100.7/443) to inside:10.1.1.5/51000 (203.0.113.1/40000)",
			"open success 10.1.1.5:51000 198.51.100.7:443 - tcp 10.1.1.5:51000>203.0.113.1:40000 true-false 0s"},
		"the caller's address is translated inwards": {
			"%ASA-6-302013: Built inbound TCP connection 89 for outside:10.99.0.5/51000 (10.1.9.8/40001)(LOCAL\\isl-a) to inside:10.1.1.9/445 (10.1.1.9/445) (isl-a)",
			"open success 10.99.0.5:51000 10.1.1.9:445 - tcp 10.99.0.5:51000>10.1.9.8:40001 true-false 0s"},
		"nobody's address is translated": {
			"%ASA-6-302015: Built inbound UDP connection 90 for outside:198.51.100.9/5000 (198.51.100.9/5000) to dmz:10.2.2.2/53 (203.0.113.4/53)",
			"open success 198.51.100.9:5000 10.2.2.2:53 -"},
		"a port is translated": {
			"%ASA-6-305011: Built dynamic TCP translation from inside:10.1.1.5/51000(LOCAL\\isl-a) to outside:203.0.113.1/40000",
			"open success 10.1.1.5:51000 invalid IP - tcp 10.1.1.5:51000>203.0.113.1:40000 true-false 0s"},
		"and no more": {
			"%ASA-6-305012: Teardown dynamic UDP translation from inside:10.1.1.5/51000 to outside:203.0.113.1/40000 duration 0:02:30",
			"close success 10.1.1.5:51000 invalid IP - udp 10.1.1.5:51000>203.0.113.1:40000 true-true 2m30s"},
		"pings have no ports": {
			"%ASA-6-305011: Built dynamic ICMP translation from inside:10.1.1.5/7 to outside(acl):203.0.113.1/8",
			"open success 10.1.1.5 invalid IP - icmp 10.1.1.5:0>203.0.113.1:0 true-false 0s"},
		"a VPN user is known by the inner address": {
			"%ASA-5-746012: user-identity: Add IP-User mapping 10.99.0.5 - LOCAL\\isl-a Succeeded - VPN user",
			"open success invalid IP invalid IP - vpn 10.99.0.5 from invalid IP true-false by LOCAL\\isl-a"},
		"and no more by it": {
			"%ASA-5-746013: user-identity: Delete IP-User mapping 10.99.0.5 - LOCAL\\isl-a Succeeded - VPN user logout",
			"close unknown invalid IP invalid IP - vpn 10.99.0.5 from invalid IP false-true by LOCAL\\isl-a"},
		"one that a directory told of is no session": {
			"%ASA-5-746012: user-identity: Add IP-User mapping 10.1.1.5 - CORP\\anna Succeeded - AD Agent",
			"other unknown invalid IP invalid IP -"},
		"an end begins when the connection did": {
			"%ASA-6-302014: Teardown TCP connection 88 for outside:198.51.100.7/443 to inside:10.1.1.5/51000 duration 0:01:30 bytes 4711 TCP FINs",
			"close success 10.1.1.5:51000 198.51.100.7:443 tcp SF  1m30s 4711 08:58:30"},
		"nobody answered": {
			"%ASA-6-302014: Teardown TCP connection 89 for outside:198.51.100.9/51234 to dmz:10.2.2.2/22 duration 0:00:30 bytes 0 SYN Timeout",
			"close failure 198.51.100.9:51234 10.2.2.2:22 tcp S0  30s 0 08:59:30"},
		"the port was closed": {
			"%FTD-6-302014: Teardown TCP connection 90 for outside:198.51.100.9/51234(LOCAL\\isl-a) to dmz:10.2.2.2/23 duration 0:00:00 bytes 0 TCP Reset-I (isl-a)",
			"close failure 198.51.100.9:51234 10.2.2.2:23 tcp REJ  0s 0 09:00:00"},
		"UDP accuses nobody": {
			"%ASA-6-302016: Teardown UDP connection 91 for outside:2001:db8::7/53 to inside:2001:db8:1::5/40000 duration 0:02:01 bytes 30",
			"close success [2001:db8:1::5]:40000 [2001:db8::7]:53 udp SHR  2m1s 30 08:57:59"},
		"ICMP beginning": {
			"%ASA-6-302020: Built inbound ICMP connection for faddr 198.51.100.9/1 gaddr 203.0.113.4/0 laddr 10.2.2.2/0 type 8 code 0",
			"open success 198.51.100.9 10.2.2.2 -"},
		"ICMP end": {
			"%ASA-6-302021: Teardown ICMP connection for faddr 198.51.100.9/1 gaddr 203.0.113.4/0 laddr 10.2.2.2/0",
			"close success 198.51.100.9 10.2.2.2 -"},
		"denied by an access group": {
			`%ASA-4-106023: Deny tcp src outside:198.51.100.9/51235(LOCAL\x) dst dmz:10.2.2.2/3389 by access-group "outside_in" [0x0, 0x0]`,
			"refuse failure 198.51.100.9:51235 10.2.2.2:3389 tcp REJ  0s 0 09:00:00"},
		"denied echo": {
			`%ASA-4-106023: Deny icmp src outside:198.51.100.9 dst dmz:10.2.2.2 (type 8, code 0) by access-group "outside_in" [0x0, 0x0]`,
			"refuse failure 198.51.100.9 10.2.2.2 icmp REJ  0s 0 09:00:00"},
		"denied IPv6": {
			`%ASA-4-106023: Deny udp src outside:2001:db8::9/5000 dst dmz:2001:db8:2::2/161 by access-group "o" [0x0, 0x0]`,
			"refuse failure [2001:db8::9]:5000 [2001:db8:2::2]:161 udp REJ  0s 0 09:00:00"},
		"denied inbound": {
			"%ASA-2-106001: Inbound TCP connection denied from 198.51.100.9/1025 to 10.2.2.2/80 flags SYN on interface outside",
			"refuse failure 198.51.100.9:1025 10.2.2.2:80 tcp REJ  0s 0 09:00:00"},
		"denied inbound without rule": {
			"%ASA-2-106006: Deny inbound UDP from 198.51.100.9/1025 to 10.2.2.2/161 on interface outside",
			"refuse failure 198.51.100.9:1025 10.2.2.2:161 udp REJ  0s 0 09:00:00"},
		"late packets are no probes": {
			"%ASA-6-106015: Deny TCP (no connection) from 198.51.100.9/443 to 10.2.2.2/50000 flags RST ACK on interface outside",
			"refuse failure 198.51.100.9:443 10.2.2.2:50000 tcp OTH R 0s 0 09:00:00"},
		"answers to somebody else's SYN": {
			"%ASA-6-106015: Deny TCP (no connection) from 198.51.100.9/443 to 10.2.2.2/50000 flags SYN ACK on interface outside",
			"refuse failure 198.51.100.9:443 10.2.2.2:50000 tcp OTH H 0s 0 09:00:00"},
		"an access list denied": {
			"%ASA-4-106100: access-list outside_in denied tcp outside/198.51.100.9(51236) -> dmz/10.2.2.2(445) hit-cnt 1 first hit [0x1, 0x0]",
			"refuse failure 198.51.100.9:51236 10.2.2.2:445 tcp REJ  0s 0 09:00:00"},
		"an access list permitted": {
			"%ASA-6-106100: access-list outside_in permitted udp outside/198.51.100.9(51236) -> dmz/10.2.2.2(53) hit-cnt 1 first hit [0x1, 0x0]",
			"open success 198.51.100.9:51236 10.2.2.2:53 -"},
		"a translation has a holder": {
			"%ASA-6-305009: Built dynamic translation from inside:10.1.1.5 to outside:203.0.113.20",
			"open success 10.1.1.5 invalid IP - nat 203.0.113.20 from 10.1.1.5 true-false"},
		"and ends": {
			"%ASA-6-305010: Teardown static translation from inside:10.1.1.5 to outside:203.0.113.20 duration 1:00:00",
			"close success 10.1.1.5 invalid IP - nat 203.0.113.20 from 10.1.1.5 false-true"},
		"hostile: no pair": {"%ASA-4-106023: Deny tcp src " + strings.Repeat("(", 50) + " dst", "refuse failure invalid IP invalid IP -"},
		"hostile: huge":    {"%ASA-6-302014: Teardown TCP connection 1 for a:1.2.3.4/99999 to b:5.6.7.8/70000 duration 999999:99:99 bytes 999999999999999999 x", "close success 1.2.3.4 5.6.7.8 tcp SF  1000000h40m39s 999999999999999999 1912"},
	} {
		t.Run(name, func(t *testing.T) {
			var got decodetest.Collect
			if err := read(t, []byte("<166>Sep 24 2026 09:00:00 fw1 : "+c.text+"\n"), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Events) != 1 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			e := got.Events[0]
			side := func(s string) string { return strings.TrimSuffix(s, ":0") }
			show := func(ip fmt.Stringer, p uint16) string {
				if p == 0 {
					return ip.String()
				}
				if strings.Contains(ip.String(), ":") {
					return fmt.Sprintf("[%s]:%d", ip, p)
				}
				return side(fmt.Sprintf("%s:%d", ip, p))
			}
			s := fmt.Sprintf("%s %s %s %s", e.Activity, e.Status, show(e.Src.IP, e.Src.Port), show(e.Dst.IP, e.Dst.Port))
			if f := e.Flow; f != nil {
				s += fmt.Sprintf(" %s %s %s %s %d %s", f.Proto, f.State, f.History, f.Duration, f.OrigBytes, e.Time.Format("15:04:05"))
			} else {
				s += " -"
			}
			if l := e.Lease; l != nil {
				s += fmt.Sprintf(" %s %s from %s %v-%v", l.Kind, l.Addr, l.Public, l.Start, l.End)
				if l.Holder.Name != "" {
					s += " by " + l.Holder.String()
				}
			}
			if x := e.NAT; x != nil {
				s += fmt.Sprintf(" %s %s:%d>%s:%d %v-%v %s", x.Proto, x.Inside.IP, x.Inside.Port, x.Outside.IP, x.Outside.Port, x.Start, x.End, x.Lasted)
			}
			if e.Time.Year() < 2000 {
				s = strings.TrimSuffix(s, e.Time.Format("15:04:05")) + e.Time.Format("2006")
			} else {
				decodetest.Check(t, e)
			}
			if s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if len(e.Fields) < 3 || e.Time.Location() != time.UTC {
				t.Errorf("fields %v", e.Fields)
			}
		})
	}
}
