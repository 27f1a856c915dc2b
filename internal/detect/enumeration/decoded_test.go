package enumeration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/eve"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// sink keeps decoded events.
type sink struct {
	t      testing.TB
	events []*ocsf.Event
}

func (s *sink) Event(e *ocsf.Event, n int64, _ []byte) {
	e.Raw = ocsf.RawRef{File: "log", Record: n}
	e.ID[0], e.ID[1] = byte(n>>8), byte(n)
	s.events = append(s.events, e)
}

func (s *sink) Bad(record int64, reason string, _ []byte) {
	s.t.Errorf("record %d can't be decoded: %s", record, reason)
}

// TestWhatSensorsWriteIsUnderstood takes the way that events really go: lines as the sensors write them, through the
// decoder, to a finding. Each line is written n times with the number in it.
func TestWhatSensorsWriteIsUnderstood(t *testing.T) {
	zeekID := `"ts":%[2]d.5,"uid":"C%[1]d","id.orig_h":"10.9.0.4","id.orig_p":%[3]d,"id.resp_h":"10.1.2.%[1]d",`
	eveID := `{"timestamp":"%[4]s","flow_id":%[1]d,"src_ip":"10.9.0.4","src_port":%[3]d,"dest_ip":"10.1.2.%[1]d",`
	win := `{"EventTime":"%[4]s","@timestamp":"%[4]s","Channel":"Security","Hostname":"DC1.client.local","EventRecordID":%[1]d,`
	for _, c := range []struct {
		name, file, line string
		n                int
		want             string
	}{
		{"zeek dns", "dns.log", `{` + zeekID + `"id.resp_p":53,"proto":"udp","trans_id":7,"query":"%[1]d.3.1.10.in-addr.arpa","qclass":1,"qtype":12,"qtype_name":"PTR","rcode":3,"rcode_name":"NXDOMAIN","rejected":false}`, 60, "names high T1018"},
		{"zeek kerberos", "kerberos.log", `{` + zeekID + `"id.resp_p":88,"request_type":"AS","client":"user%[1]d/CLIENT.LOCAL","service":"krbtgt/CLIENT.LOCAL","success":false,"error_msg":"KDC_ERR_C_PRINCIPAL_UNKNOWN"}`, 30, "kerberos high T1589"},
		{"zeek ldap_search", "ldap_search.log", `{` + zeekID + `"id.resp_p":389,"message_id":%[1]d,"scope":"tree","deref_aliases":"never","base_object":"dc=client","result_count":%[1]d,"result":"success",` +
			`"filter":"(|(adminCount=1)(servicePrincipalName=*)(objectClass=trustedDomain)(ms-Mcs-AdmPwd=*)(msDS-AllowedToDelegateTo=*))"}`, 2, "directory high T1087.002"},
		{"zeek dce_rpc", "dce_rpc.log", `{` + zeekID + `"id.resp_p":445,"rtt":0.001,"named_pipe":"\\pipe\\srvsvc","endpoint":"srvsvc","operation":"NetrShareEnum"}`, 25, "hosts high T1135"},
		{"zeek smb_mapping", "smb_mapping.log", `{` + zeekID + `"id.resp_p":445,"path":"\\\\10.1.2.%[1]d\\C$","share_type":"DISK"}`, 45, "hosts low T1135"},
		{"zeek smb_files", "smb_files.log", `{` + zeekID + `"id.resp_p":445,"action":"SMB::FILE_OPEN","path":"\\\\h%[1]d\\ADMIN$","name":"x","size":0}`, 45, "hosts low T1135"},
		{"zeek ntlm", "ntlm.log", `{` + zeekID + `"id.resp_p":445,"server_nb_computer_name":"H%[1]d","success":false}`, 45, "hosts low T1018"},
		{"suricata dns 2", "eve.json", eveID + `"dest_port":53,"proto":"UDP","event_type":"dns","dns":{"version":2,"type":"query","id":1,"rrname":"%[1]d.3.1.10.in-addr.arpa","rrtype":"PTR"}}`, 60, "names high T1018"},
		{"suricata dns 3", "eve.json", eveID + `"dest_port":53,"proto":"UDP","event_type":"dns","dns":{"version":3,"type":"request","id":1,"queries":[{"rrname":"%[1]d.3.1.10.in-addr.arpa","rrtype":"PTR"}]}}`, 60, "names high T1018"},
		{"suricata krb5", "eve.json", eveID + `"dest_port":88,"proto":"TCP","event_type":"krb5","krb5":{"msg_type":"KRB_TGS_REP","cname":"isl-anna","realm":"CLIENT","sname":"MSSQLSvc/sql%[1]d","encryption":"rc4-hmac","weak_encryption":true}}`, 10, "kerberos high T1558.003"},
		{"suricata dcerpc", "eve.json", eveID + `"dest_port":135,"proto":"TCP","event_type":"dcerpc","dcerpc":{"request":"REQUEST","req":{"opnum":2,"frag_cnt":1,"stub_data_size":4},"interfaces":[{"uuid":"e1af8308-5d1f-11c9-91a4-08002b14a0fa","version":"3.0","ack_result":0}],"call_id":2,"rpc_version":"5.0"}}`, 15, "hosts high T1046"},
		{"suricata smb", "eve.json", eveID + `"dest_port":445,"proto":"TCP","event_type":"smb","smb":{"id":4,"dialect":"3.11","command":"SMB2_COMMAND_TREE_CONNECT","status":"STATUS_SUCCESS","share":"\\\\h\\C$","share_type":"DISK"}}`, 45, "hosts low T1135"},
		{"suricata smb with a call", "eve.json", eveID + `"dest_port":445,"proto":"TCP","event_type":"smb","smb":{"id":4,"command":"SMB2_COMMAND_IOCTL","status":"STATUS_SUCCESS","dcerpc":{"request":"REQUEST","opnum":12,"req":{"frag_cnt":1},"interfaces":[{"uuid":"4b324fc8-1670-01d3-1278-5a47bf6ee188","version":"3.0","ack_result":0}]}}}`, 20, "hosts high T1049"},
		{"windows 4768", "security.json", win + `"EventID":4768,"TargetUserName":"user%[1]d","TargetDomainName":"CLIENT","ServiceName":"krbtgt/CLIENT","Status":"0x6","TicketEncryptionType":"0xffffffff","IpAddress":"::ffff:10.9.0.4","IpPort":"%[3]d"}`, 30, "kerberos high T1589"},
		{"windows 4769", "security.json", win + `"EventID":4769,"TargetUserName":"isl-anna@CLIENT.LOCAL","ServiceName":"svc%[1]d","Status":"0x0","TicketEncryptionType":"0x17","IpAddress":"::ffff:10.9.0.4","IpPort":"%[3]d"}`, 10, "kerberos high T1558.003"},
		{"windows 5140", "security.json", strings.Replace(win, "DC1", "ws%[1]d", 1) + `"EventID":5140,"SubjectUserName":"isl-anna","ObjectType":"File","IpAddress":"10.9.0.4","IpPort":"%[3]d","ShareName":"\\\\*\\C$","AccessMask":"0x1"}`, 45, "hosts low T1135"},
		{"windows 5145", "security.json", strings.Replace(win, "DC1", "ws%[1]d", 1) + `"EventID":5145,"SubjectUserName":"isl-anna","ObjectType":"File","IpAddress":"10.9.0.4","IpPort":"%[3]d","ShareName":"\\\\*\\IPC$","RelativeTargetName":"srvsvc","AccessMask":"0x1"}`, 55, "hosts low T1135"},
		{"windows 4662", "security.json", win + `"EventID":4662,"SubjectUserName":"eva","SubjectDomainName":"CLIENT","ObjectServer":"DS","AccessMask":"0x100","Properties":"%%%%7688 {1131f6ad-9c07-11d1-f79f-00c04fc2dcd2} {19195a5b-6da0-11d0-afd3-00c04fd930c9}"}`, 1, "replication low T1003.006"},
		{"windows 1644", "ds.json", `{"@timestamp":"%[4]s","winlog":{"channel":"Directory Service","event_id":1644,"record_id":%[1]d,"computer_name":"DC1.client.local","provider_name":"Microsoft-Windows-ActiveDirectory_DomainService","event_data":{"param1":"DC=client,DC=local",` +
			`"param2":" ( |  (adminCount=1)  (servicePrincipalName=*)  (objectClass=trustedDomain)  (ms-Mcs-AdmPwd=*)  (msDS-AllowedToDelegateTo=*) ) ","param3":"4000","param4":"1200","param5":"10.9.0.4:%[3]d","param6":"subtree","param7":"[all]"}}}`, 2, "directory high T1087.002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			for i := range c.n {
				at := monday.Add(time.Duration(i) * time.Second)
				fmt.Fprintf(&b, c.line+"\n", i+1, at.Unix(), 40000+i, at.Format("2006-01-02T15:04:05.000000Z"))
			}
			text := strip(b.String())
			s := &sink{t: t}
			formats := decode.Objects(slices.Concat(zeek.Objects(), eve.Objects(), windows.Objects()))
			if err := formats.Read(context.Background(), c.file, strings.NewReader(text), s); err != nil {
				t.Fatal(err)
			}
			if len(s.events) != c.n {
				t.Fatalf("%d events of %d lines:\n%.300s", len(s.events), c.n, text)
			}
			g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
			for _, e := range s.events {
				e.Tenant = "client"
				if e.Src.IP.IsValid() || e.Source == "windows/directory-service" {
					e.Trust, e.Partner, e.Direction = "isl-client", "isl", ocsf.DirectionIn
				}
				g.Process(e)
			}
			g.Finish()
			if got := brief(g.Findings()); got != c.want {
				t.Errorf("got  %q\nwant %q\n%s: %.400s", got, c.want, s.events[0].Source, text)
			}
		})
	}
}

// strip takes away what fmt adds of values that a line does not use.
func strip(s string) string {
	var out []string
	for _, line := range strings.Split(s, "\n") {
		line, _, _ = strings.Cut(line, "%!(EXTRA")
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
