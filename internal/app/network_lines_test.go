package app

import (
	"strings"
	"testing"
)

// TestNetworkLinesAreRecognisedAlone asks every format in the product's order for single lines, as frames hold them.
func TestNetworkLinesAreRecognisedAlone(t *testing.T) {
	for line, want := range map[string]string{
		"2 1 eni-1 10.0.0.1 10.0.0.2 49761 22 6 20 4249 1418530010 1418530070 ACCEPT OK":                      "aws/vpcflow",
		"account-id srcaddr dstaddr srcport dstport protocol start action":                                    "aws/vpcflow",
		"CEF:0|V|P|1|100|n|5|rt=1758700000000 src=192.0.2.1 dst=192.0.2.2":                                    "cef",
		"Sep 19 08:26:10 fw1 CEF:0|V|P|1|100|n|5|src=192.0.2.1":                                               "cef",
		"LEEF:1.0|V|P|1|E|devTime=1758700000000\tsrc=192.0.2.1":                                               "leef",
		`date=2026-09-24 time=09:00:00 devid="FG1" logid="0000000013" type="traffic"`:                         "fortigate",
		`<189>date=2026-09-24 time=09:00:00 devid="FG1" logid="0000000013" type="traffic"`:                    "fortigate",
		"1,2026/09/24 09:01:07,0128,TRAFFIC,end,2304,2026/09/24 09:01:05,192.0.2.1,192.0.2.2":                 "paloalto",
		"<14>Sep 24 09:00:00 fw1 1,2026/09/24 09:01:07,0128,TRAFFIC,end,2304,2026/09/24 09:01:05,192.0.2.1,x": "syslog",
		"<166>Sep 24 2026 09:00:00 fw1 : %ASA-6-302013: Built inbound TCP connection":                         "syslog",
		"Sep 24 2026 09:00:00 fw1 : %ASA-6-302013: Built inbound TCP connection":                              "cisco/asa",
		"Sep 24 09:00:00 gw kernel: [ 1.2] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 PROTO=TCP":    "syslog/file",
		"2026-09-24T09:00:00+00:00 gw kernel: [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 PROTO=TCP": "syslog/file",
		`{"category":"FlowLogFlowEvent","time":"2026-09-24T09:00:00Z","flowRecords":{"flows":[]}}`:            "json",
		"Event ID,Source User,Public IP,Private IP,Generate Time":                                             "globalprotect",
	} {
		format, _, err := recognise(Formats(), "x.log", strings.NewReader(line+"\n"))
		got := "nothing"
		if format != nil {
			got = format.Name
		}
		if err != nil || got != want {
			t.Errorf("%q is read as %s, want %s (%v)", line, got, want, err)
		}
	}
}
