package dhcp

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

const auditHead = "\t\tMicrosoft DHCP Service Activity Log\n\n\nEvent ID  Meaning\n00\tThe log was started.\n10\tA new IP address was leased to a client.\n\n" +
	auditHeader + ",User Name, TransactionID, QResult,Probationtime, CorrelationID,Dhcid,VendorClass(Hex),VendorClass(ASCII),UserClass(Hex),UserClass(ASCII),RelayAgentInformation,DnsRegError.\n"

var samples = []struct{ name, text, want string }{
	{"dhcpd assigns", "2026-09-24T07:30:00Z gw dhcpd[812]: DHCPACK on 10.0.0.9 to 00:11:22:33:44:55 (WS07) via eth0", "07:30:00 dhcpd assign 10.0.0.9 WS07 start 0s"},
	{"dhcpd knows no name", "2026-09-24T07:30:00Z gw dhcpd: DHCPACK on 10.0.0.9 to 00:11:22:33:44:55 via 10.0.0.1", "07:30:00 dhcpd assign 10.0.0.9 00:11:22:33:44:55 start 0s"},
	{"dhcpd is told of the end", "2026-09-24T07:30:00Z gw dhcpd: DHCPRELEASE of 10.0.0.9 from 00:11:22:33:44:55 (WS07) via eth0 (found)", "07:30:00 dhcpd release 10.0.0.9 WS07 end 0s"},
	{"dhcpd sees the end", "2026-09-24T07:30:00Z gw dhcpd: DHCPEXPIRE on 10.0.0.9 to 00:11:22:33:44:55", "07:30:00 dhcpd release 10.0.0.9 00:11:22:33:44:55 end 0s"},
	{"dhcpd gives options alone", "2026-09-24T07:30:00Z gw dhcpd: DHCPACK to 10.0.0.9 (00:11:22:33:44:55) via eth0", "07:30:00 dhcpd other"},
	{"dhcpd refuses", "2026-09-24T07:30:00Z gw dhcpd: DHCPNAK on 10.9.0.9 to 00:11:22:33:44:55 via eth0", "07:30:00 dhcpd refuse from 10.9.0.9"},
	{"dhcpd is asked", "2026-09-24T07:30:00Z gw dhcpd: DHCPDISCOVER from 00:11:22:33:44:55 via eth0", "07:30:00 dhcpd other"},
	{"dnsmasq assigns", "<30>1 2026-09-24T07:30:00Z gw dnsmasq-dhcp 55 - - DHCPACK(br0) 192.168.1.5 AA:BB:cc:dd:ee:ff phone", "07:30:00 dnsmasq-dhcp assign 192.168.1.5 phone start 0s"},
	{"dnsmasq with transaction", "<30>1 2026-09-24T07:30:00Z gw dnsmasq-dhcp 55 - - 1234567 DHCPACK(br0) 192.168.1.5 aa:bb:cc:dd:ee:ff", "07:30:00 dnsmasq-dhcp assign 192.168.1.5 aa:bb:cc:dd:ee:ff start 0s"},
	{"dnsmasq is told of the end", "<30>1 2026-09-24T07:30:00Z gw dnsmasq-dhcp 55 - - DHCPRELEASE(br0) 192.168.1.5 aa:bb:cc:dd:ee:ff", "07:30:00 dnsmasq-dhcp release 192.168.1.5 aa:bb:cc:dd:ee:ff end 0s"},
	{"Kea assigns", "2026-04-13 11:33:02.083 INFO  [kea-dhcp4.leases/605] DHCP4_LEASE_ALLOC [hwtype=1 08:00:27:CD:12:44], cid=[01:08:00:27:cd:12:44], tid=0x1a2b3c: lease 192.168.30.2 has been allocated for 4000 seconds", "11:33:02 kea-dhcp assign 192.168.30.2 08:00:27:cd:12:44 start 1h6m40s"},
	{"Kea of old does not say for how long", "2018-04-13 11:33:02.083 INFO  [kea-dhcp4.leases/1] DHCP4_LEASE_ALLOC [hwtype=1 08:00:27:72:c6:76], cid=[no info], tid=0xf192aa47: lease 192.168.0.10 has been allocated", "11:33:02 kea-dhcp assign 192.168.0.10 08:00:27:72:c6:76 start 0s"},
	{"Kea offers", "2018-04-13 11:33:02.082 INFO  [kea-dhcp4.leases/1] DHCP4_LEASE_ADVERT [hwtype=1 08:00:27:72:c6:76], cid=[no info], tid=0xf192aa47: lease 192.168.0.10 will be advertised", "11:33:02 kea-dhcp other"},
	{"Kea is told of the end", "2026-04-13 11:34:02.083 INFO  [kea-dhcp4.leases/605] DHCP4_RELEASE [hwtype=1 08:00:27:cd:12:44], cid=[01:08:00:27:cd:12:44], tid=0x1a2b3c: address 192.168.30.2 was released properly.", "11:34:02 kea-dhcp release 192.168.30.2 08:00:27:cd:12:44 end 0s"},
	{"Kea in syslog", "<30>1 2026-09-24T07:30:00Z gw kea-dhcp4 55 - - INFO  DHCP4_LEASE_ALLOC [hwtype=1 08:00:27:cd:12:44], cid=[no info], tid=0x1: lease 192.168.30.2 has been allocated for 4294967295 seconds", "07:30:00 kea-dhcp assign 192.168.30.2 08:00:27:cd:12:44 start 8784h0m0s"},
	{"Kea for IPv6", "2026-04-13 11:33:02.083 INFO  [kea-dhcp6.leases/605] DHCP6_LEASE_ALLOC duid=[00:01:00:01], tid=0x1: lease for address 2001:db8::9 has been allocated for 300 seconds", "11:33:02 kea-dhcp assign 2001:db8::9  start 5m0s"},
	{"Windows assigns", auditHead + "10,09/24/26,07:30:00,Assign,10.0.0.9,WS07.corp.example,001122334455,,4127,0,,,,0x4D53,MSFT 5.0,,,,0", "07:30:00 windows/dhcp assign 10.0.0.9 WS07.corp.example start 0s"},
	{"Windows renews", auditHead + "11,09/24/26,07:30:00,Renew,10.0.0.9,,001122334455,,4127,0,,,,,,,,,0", "07:30:00 windows/dhcp assign 10.0.0.9 00:11:22:33:44:55 start 0s"},
	{"Windows is told of the end", auditHead + "12,09/24/26,07:30:00,Release,10.0.0.9,WS07,001122334455,,1,6,,,,,,,,,0", "07:30:00 windows/dhcp release 10.0.0.9 WS07 end 0s"},
	{"Windows cleans up", auditHead + "24,09/24/26,07:30:00,Database Cleanup Begin,,,,,0,6,,,,,,,,,0", "07:30:00 windows/dhcp other"},
}

// all are this package's formats among those of syslog, in the order in which files are asked.
func all() []decode.Stream {
	var list []decode.Stream
	inner := func() []decode.Stream { return list }
	list = append(list, syslog.Lines(inner))
	list = append(list, Streams()...)
	return append(list, syslog.Files(inner))
}

func readAs(t testing.TB, text string, c *decodetest.Collect) string {
	t.Helper()
	for _, s := range all() {
		if s.Recognise("x.log", []byte(text)[:min(len(text), decode.MaxHead)]) {
			if err := s.Read(context.Background(), "x.log", strings.NewReader(text), c); err != nil {
				t.Fatal(err)
			}
			return s.Name
		}
	}
	return ""
}

func tell(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %s", e.Time.Format(time.TimeOnly), e.Source, e.Activity)
	if l := e.Lease; l != nil {
		s += fmt.Sprintf(" %s %s %s %s", l.Addr, l.Device, map[bool]string{true: "start", false: "end"}[l.Start], l.Lasts)
		if l.Kind != "dhcp" || l.Start == l.End {
			s += fmt.Sprintf(" %+v", l)
		}
	} else if e.Src.IP.IsValid() {
		s += " from " + e.Src.IP.String()
	}
	return s
}

func TestEveryServerTellsWhoHasAnAddress(t *testing.T) {
	for _, c := range samples {
		t.Run(c.name, func(t *testing.T) {
			var got decodetest.Collect
			if readAs(t, c.text+"\n", &got) == "" {
				t.Fatal("no format knows it")
			}
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			decodetest.Check(t, got.Events[0])
			if s := tell(got.Events[0]); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	good := "10,09/24/26,07:30:00,Assign,10.0.0.9,WS07,001122334455,,4127,0\n"
	const kea = "2026-04-13 11:33:02.083 INFO  [kea-dhcp4.leases/605] DHCP4_LEASE_ALLOC x: lease 192.168.30.2 has been allocated\n"
	for name, c := range map[string]struct{ text, reason string }{
		"windows/no_date":      {auditHead + good + "10,today,07:30:00,Assign,10.0.0.9,WS07,001122334455\n" + good, "date and time"},
		"windows/cut_short":    {auditHead + good + "10,09/24/26,07\n" + good, "the record has 3 columns"},
		"windows/many_columns": {auditHead + good + "10,09/24/26,07:30:00" + strings.Repeat(",", 200) + "\n" + good, "columns"},
		"kea/no_date":          {kea + "DHCP4_LEASE_ALLOC lease 1.2.3.4 has been allocated\n" + kea, "no date"},
		"kea/too_long":         {kea + kea + strings.Repeat("x", decode.MaxRecord+1) + "\n", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			var got decodetest.Collect
			readAs(t, c.text, &got)
			if len(got.Events) != 2 || len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want one bad with %q", len(got.Events), got.Reasons, c.reason)
			}
		})
	}
}

func TestOthersLogsAreNotTaken(t *testing.T) {
	for name, head := range map[string]string{
		"empty":       "",
		"application": "2026-09-21 14:58:56 server started\n2026-09-21 14:58:57 ready\n",
		"csv":         "ID,Date,Time\n1,2,3\n",
		"syslog":      "2026-09-21T14:58:56Z gw sshd[1]: Accepted publickey for x\n",
		"zeek":        "#separator \\x09\n#path\tdhcp\n",
	} {
		for _, s := range Streams() {
			if s.Recognise("DhcpSrvLog-Mon.log", []byte(head)) {
				t.Errorf("%s is taken for %s", name, s.Name)
			}
		}
	}
}

func FuzzStreams(f *testing.F) {
	for _, c := range samples {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range Streams() {
			s.Recognise("", b[:min(len(b), decode.MaxHead)])
			var c decodetest.Collect
			if err := s.Read(context.Background(), "", strings.NewReader(string(b)), &c); err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Events {
				decodetest.Check(t, e)
			}
		}
	})
}
