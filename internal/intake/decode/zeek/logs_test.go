package zeek

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// logLine is one record of a log: its columns with their types and values, as Zeek's reference ("Log Files") has them.
type logLine struct {
	path    string
	columns string // name:type, separated by spaces; # is ts, uid and id
	values  string // separated by |
	want    string
	fields  map[string]string // that detectors read
	named   bool              // JSON needs _path: nothing else tells the log
}

const idColumns = "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port"

var logLines = []logLine{
	{path: "kerberos", columns: "# request_type:string client:string service:string success:bool error_msg:string from:time till:time cipher:string forwardable:bool renewable:bool",
		values: "TGS|RonHD/CONTOSO.LOCAL|HOST/admin-pc|T|-|-|2136422885.000000|aes256-cts-hmac-sha1-96|T|T",
		want:   `3002 service ticket request success user=CONTOSO.LOCAL\RonHD`, fields: map[string]string{"request_type": "TGS", "service": "HOST/admin-pc", "success": "true"}},
	{path: "kerberos", columns: "# request_type:string client:string service:string success:bool error_msg:string",
		values: "AS|guess/CONTOSO.LOCAL|krbtgt/CONTOSO.LOCAL|F|KDC_ERR_C_PRINCIPAL_UNKNOWN",
		want:   `3002 authentication ticket failure user=CONTOSO.LOCAL\guess`, fields: map[string]string{"error_msg": "KDC_ERR_C_PRINCIPAL_UNKNOWN", "success": "false"}},
	{path: "kerberos", columns: "# request_type:string client:string service:string success:bool error_msg:string",
		values: "AS|HTTP/web.contoso.local/CONTOSO.LOCAL|krbtgt/CONTOSO.LOCAL|F|KDC_ERR_PREAUTH_REQUIRED",
		want:   `3002 authentication ticket unknown user=CONTOSO.LOCAL\HTTP/web.contoso.local`},
	{path: "kerberos", columns: "# request_type:string client:string service:string success:bool error_msg:string",
		values: "TGS|CONTOSO.LOCAL|MSSQLSvc/db:1433|F|KDC_ERR_S_PRINCIPAL_UNKNOWN", want: `3002 service ticket request failure`},
	{path: "ntlm", columns: "# username:string hostname:string domainname:string server_nb_computer_name:string server_dns_computer_name:string server_tree_name:string success:bool",
		values: "RonHD|ADMIN-PC|CONTOSO|VICTIM-PC|Victim-PC.contoso.local|contoso.local|T",
		want:   `3002 logon success user=CONTOSO\RonHD src=ADMIN-PC dst=VICTIM-PC`, fields: map[string]string{"username": "RonHD", "hostname": "ADMIN-PC", "domainname": "CONTOSO", "server_nb_computer_name": "VICTIM-PC"}},
	{path: "ntlm", columns: "# username:string hostname:string domainname:string server_dns_computer_name:string success:bool", values: "-|-|-|dc.contoso.local|F",
		want: `3002 logon failure dst=dc.contoso.local`},
	{path: "dce_rpc", columns: "# rtt:interval named_pipe:string endpoint:string operation:string", values: `0.000497|\pipe\lsass|samr|SamrEnumerateUsersInDomain`,
		want: "4001 traffic unknown", fields: map[string]string{"operation": "SamrEnumerateUsersInDomain", "endpoint": "samr", "named_pipe": `\pipe\lsass`}},
	{path: "smb_files", columns: "# fuid:string action:enum path:string name:string size:count prev_name:string times.modified:time", values: `-|SMB::FILE_RENAME|\\\\10.0.0.2\\ADMIN$|b.exe|12|a.exe|1507565599.607777`,
		want: `4006 rename unknown file=\\10.0.0.2\ADMIN$\b.exe`, fields: map[string]string{"action": "SMB::FILE_RENAME", "path": `\\10.0.0.2\ADMIN$`, "name": "b.exe"}},
	{path: "smb_mapping", columns: "# path:string service:string native_file_system:string share_type:string", values: `\\\\dc\\IPC$|IPC|-|PIPE`,
		want: "4006 open unknown", fields: map[string]string{"path": `\\dc\IPC$`, "share_type": "PIPE", "service": "IPC"}},
	{path: "smb_cmd", columns: "# command:string sub_command:string argument:string status:string rtt:interval version:string username:string tree:string tree_service:string",
		values: `TREE_CONNECT|-|-|ACCESS_DENIED|0.002000|SMB2|CORP\anna|\\\\dc\\C$|DISK`, want: `4006 tree_connect failure user=CORP\anna file=\\dc\C$`},
	{path: "ldap", columns: "# message_id:int version:int opcode:string result:string diagnostic_message:string object:string argument:string",
		values: "1|3|bind simple|invalid credentials|80090308: LdapErr|CN=anna,DC=corp|REDACTED", want: "3002 logon failure user=CN=anna,DC=corp",
		fields: map[string]string{"message_type": "bind simple", "object": "CN=anna,DC=corp", "opcode": "bind simple"}},
	{path: "ldap", columns: "# message_id:int version:int opcode:string result:string", values: "2|3|bind SASL|SASL bind in progress", want: "3002 logon unknown"},
	{path: "ldap", columns: "# message_id:int version:int opcode:string object:string result:string", values: "4|3|delete|CN=x|success", want: "4001 traffic success"},
	{path: "ldap", columns: "# message_id:int opcodes:set[string] results:set[string] objects:vector[string]", values: "4|modify|success|CN=y", want: "4001 traffic success",
		fields: map[string]string{"message_type": "modify", "object": "CN=y", "result": "success", "opcodes": "modify"}},
	{path: "ldap_search", columns: "# message_id:int scope:string deref_aliases:string base_object:string result_count:count result:string diagnostic_message:string filter:string attributes:vector[string]",
		values: "5|tree|never|dc=corp,dc=example|1500|size limit exceeded|-|(&(objectCategory=person)(servicePrincipalName=*))|cn,member", want: "4001 traffic success",
		fields: map[string]string{"scope": "tree", "base_object": "dc=corp,dc=example", "filter": "(&(objectCategory=person)(servicePrincipalName=*))", "result_count": "1500", "attributes": "cn, member"}},
	{path: "ldap_search", columns: "# message_id:int scope:string base_object:string result_count:count result:string filter:string", values: "6|base|-|0|insufficient access rights|(objectClass=*)", want: "4001 traffic failure"},
	{path: "dns", columns: "# proto:enum trans_id:count query:string qclass:count qclass_name:string qtype:count qtype_name:string rcode:count rcode_name:string AA:bool answers:vector[string] rejected:bool",
		values: "udp|7|9.2.0.192.in-addr.arpa|1|C_INTERNET|12|PTR|3|NXDOMAIN|F|-|F", want: "4003 query failure domain=9.2.0.192.in-addr.arpa",
		fields: map[string]string{"qtype_name": "PTR", "query": "9.2.0.192.in-addr.arpa", "rcode_name": "NXDOMAIN"}},
	{path: "dns", columns: "# proto:enum trans_id:count query:string qclass:count qtype:count qtype_name:string rejected:bool", values: "tcp|8|corp.example|1|252|AXFR|T", want: "4003 query failure domain=corp.example",
		fields: map[string]string{"qtype_name": "AXFR"}},
	{path: "dns", columns: "# proto:enum trans_id:count query:string qtype:count qtype_name:string rcode_name:string answers:vector[string]", values: "udp|9|_ldap._tcp.dc._msdcs.corp.example|33|SRV|NOERROR|dc1.corp.example,dc2.corp.example",
		want: "4003 query success domain=_ldap._tcp.dc._msdcs.corp.example answers=[dc1.corp.example dc2.corp.example]"},
	{path: "files", columns: "ts:time fuid:string uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port source:string depth:count analyzers:set[string] mime_type:string filename:string is_orig:bool seen_bytes:count sha256:string",
		values: "1713484795.500000|Fabc|Cabcdefgh|10.0.0.1|40000|10.0.0.2|445|SMB|0|SHA256,PE|application/x-dosexec|psexesvc.exe|F|9|00ff", want: "1001 send unknown file=psexesvc.exe from 10.0.0.2:445"},
	{path: "notice", columns: "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port fuid:string proto:enum note:enum msg:string sub:string src:addr dst:addr p:port actions:set[enum] suppress_for:interval",
		values: "1713484795.500000|-|-|-|-|-|-|-|Scan::Address_Scan|10.0.0.7 scanned|remote|10.0.0.7|-|445|Notice::ACTION_LOG|3600.000000", want: "0 notice unknown from 10.0.0.7"},
	{path: "known_hosts", columns: "ts:time host:addr", values: "1713484795.500000|10.0.0.9", want: "0 known host unknown to 10.0.0.9", named: true},
	{path: "known_services", columns: "ts:time host:addr port_num:port port_proto:enum service:set[string]", values: "1713484795.500000|10.0.0.9|445|tcp|SMB,GSSAPI", want: "0 known service unknown to 10.0.0.9:445",
		fields: map[string]string{"service": "SMB, GSSAPI"}},
	{path: "known_devices", columns: "ts:time mac:string dhcp_host_name:string", values: "1713484795.500000|00:11:22:33:44:55|WS07", want: "0 known device unknown dst=WS07"},
	{path: "known_certs", columns: "ts:time host:addr port_num:port subject:string issuer_subject:string serial:string", values: "1713484795.500000|10.0.0.9|443|CN=a|CN=ca|01", want: "0 known certificate unknown to 10.0.0.9:443"},
	{path: "software", columns: "ts:time host:addr host_p:port software_type:enum name:string version.major:count unparsed_version:string", values: "1713484795.500000|10.0.0.9|22|SSH::SERVER|OpenSSH|9|OpenSSH_9.2p1", want: "0 software unknown to 10.0.0.9:22"},
	{path: "ssh", columns: "# version:count auth_success:bool auth_attempts:count direction:enum client:string server:string", values: "2|T|1|-|SSH-2.0-Go|SSH-2.0-OpenSSH_9.2", want: "4007 open success"},
	{path: "rdp", columns: "# cookie:string result:string security_protocol:string client_channels:vector[string] client_name:string", values: "CORP\\anna|Success|HYBRID|rdpdr,cliprdr|WS07", want: `4005 connect success user=CORP\anna src=WS07`},
	{path: "rfb", columns: "# client_major_version:string server_major_version:string authentication_method:string authentication_success:bool desktop_name:string", values: "003|003|VNC|F|-", want: "4001 open failure"},
	{path: "vpn", columns: "# proto:enum vpn_type:enum service:string server_name:string client_info:string duration:interval", values: "udp|VPN::WireGuard|wireguard|vpn.example|-|12.500000", want: "4014 open unknown domain=vpn.example"},
	{path: "ssl", columns: "# version:string cipher:string server_name:string resumed:bool established:bool", values: "TLSv13|TLS_AES_128_GCM_SHA256|relay.example|F|T", want: "4001 open success domain=relay.example"},
	{path: "socks", columns: "# version:count user:string status:string request.host:addr request.name:string request_p:port bound.host:addr bound_p:port", values: "5|bob|succeeded|-|inner.example|3389|192.0.2.1|0", want: "4001 open success domain=inner.example user=bob"},
	{path: "socks", columns: "# version:count status:string request.host:addr request_p:port", values: "5|general SOCKS server failure|192.0.2.77|445", want: "4001 open failure domain=192.0.2.77"},
	{path: "tunnel", columns: "# tunnel_type:enum action:enum", values: "Tunnel::VXLAN|Tunnel::CLOSE", want: "4014 close unknown"},
	{path: "radius", columns: "# username:string mac:string framed_addr:addr tunnel_client:string connect_info:string reply_msg:string result:string ttl:interval", values: "CORP\\anna|-|10.99.0.7|203.0.113.8|-|-|success|0.010000",
		want: `3002 logon success user=CORP\anna lease=10.99.0.7  start from 203.0.113.8`},
	{path: "radius", columns: "# username:string mac:string framed_addr:addr connect_info:string result:string", values: "anna|-|-|x|failed", want: "3002 logon failure user=anna"},
	{path: "ftp", columns: "# user:string password:string command:string arg:string mime_type:string file_size:count reply_code:count reply_msg:string data_channel.passive:bool", values: "bob|<hidden>|RETR|ftp://10.0.0.2/a/dump.zip|application/zip|77|226|ok|T",
		want: "4001 traffic success url=ftp://10.0.0.2/a/dump.zip user=bob file=dump.zip"},
	{path: "ftp", columns: "# user:string command:string arg:string reply_code:count", values: "bob|STOR|-|550", want: "4001 traffic failure user=bob"},
	{path: "weird", columns: "# name:string addl:string notice:bool peer:string source:string", values: "active_connection_reuse|-|F|zeek|TCP", want: "0 weird unknown"},
	{path: "intel", columns: "# seen.indicator:string seen.indicator_type:enum seen.where:enum matched:set[enum] sources:set[string]", values: "bad.example|Intel::DOMAIN|DNS::IN_REQUEST|Intel::DOMAIN|feed", want: "0 indicator unknown"},
	{path: "x509", columns: "ts:time fingerprint:string certificate.version:count certificate.serial:string certificate.subject:string san.dns:vector[string]", values: "1713484795.500000|ab|3|01|CN=a|a.example,b.example", want: "0 certificate unknown"},
	{path: "dhcp", columns: "ts:time uids:set[string] client_addr:addr server_addr:addr mac:string host_name:string assigned_addr:addr lease_time:interval msg_types:vector[string]",
		values: "1713484795.500000|Ca,Cb|10.0.0.9|10.0.0.2|00:11:22:33:44:55|WS07|10.0.0.9|691200.000000|REQUEST,ACK", want: "4004 assign unknown src=WS07 lease=10.0.0.9 WS07 start"},
}

// tsv and json write the record in Zeek's two encodings.
func (l *logLine) parts() (names, types, values []string) {
	for c := range strings.FieldsSeq(strings.Replace(l.columns, "#", idColumns, 1)) {
		name, typ, _ := strings.Cut(c, ":")
		names, types = append(names, name), append(types, typ)
	}
	v := l.values
	if strings.HasPrefix(l.columns, "#") {
		v = "1713484795.500000|Cabcdefgh|10.0.0.1|40000|10.0.0.2|445|" + v
	}
	return names, types, strings.Split(v, "|")
}

func (l *logLine) tsv() string {
	names, types, values := l.parts()
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = strings.ReplaceAll(v, `\\`, `\x5c`) // a backslash doubled here is one that Zeek escapes
	}
	return "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t" + l.path + "\n#fields\t" + strings.Join(names, "\t") +
		"\n#types\t" + strings.Join(types, "\t") + "\n" + strings.Join(escaped, "\t") + "\n"
}

func (l *logLine) json(path string) string {
	names, types, values := l.parts()
	var out []string
	if path != "" {
		out = append(out, `"_path":`+strconv.Quote(path))
	}
	for i, v := range values {
		v = strings.ReplaceAll(v, `\\`, `\`)
		switch t := types[i]; {
		case v == "-":
			continue
		case t == "bool":
			v = map[string]string{"T": "true", "F": "false"}[v]
		case strings.HasPrefix(t, "set[") || strings.HasPrefix(t, "vector["):
			var q []string
			for x := range strings.SplitSeq(v, ",") {
				q = append(q, strconv.Quote(x))
			}
			v = "[" + strings.Join(q, ",") + "]"
		case t == "count" || t == "int" || t == "port" || t == "time" || t == "interval":
		default:
			v = strconv.Quote(v)
		}
		out = append(out, strconv.Quote(names[i])+":"+v)
	}
	return "{" + strings.Join(out, ",") + "}"
}

// told is show with what it leaves out.
func told(e *ocsf.Event) string {
	s := show(e)
	if e.Dst.Host != "" {
		s += " dst=" + e.Dst.Host
	}
	if l := e.Lease; l != nil && l.Public.IsValid() {
		s += " from " + l.Public.String()
	}
	if _, conn := e.Fields.Get("id.resp_h"); !conn || e.Source == "zeek/files" {
		if e.Source == "zeek/dhcp" {
			return s
		}
		if e.Src.IP.IsValid() {
			s += " from " + place(e.Src)
		} else if e.Dst.IP.IsValid() {
			s += " to " + place(e.Dst)
		}
	}
	return s
}

func place(p ocsf.Endpoint) string {
	if p.Port == 0 {
		return p.IP.String()
	}
	return netip.AddrPortFrom(p.IP, p.Port).String()
}

// TestEveryLogReadsAlikeInBothEncodings holds what detectors rely on: Zeek's own names and values in Fields, and the
// same event whether the log was written as TSV, as JSON with _path (Corelight) or as JSON without.
func TestEveryLogReadsAlikeInBothEncodings(t *testing.T) {
	for i := range logLines {
		l := &logLines[i]
		t.Run(fmt.Sprintf("%d %s", i, l.path), func(t *testing.T) {
			k := readAll(t, "x.log", l.tsv())
			if len(k.events) != 1 {
				t.Fatalf("bad: %v", k.bad)
			}
			e := k.events[0]
			decodetest.Check(t, e)
			if got := told(e); got != l.want || e.Source != "zeek/"+l.path {
				t.Errorf("%s: got %q, want %q", e.Source, got, l.want)
			}
			for name, want := range l.fields {
				if got := e.Fields.Value(name); got != want {
					t.Errorf("field %s is %q, want %q", name, got, want)
				}
			}
			for _, path := range [...]string{l.path, ""} {
				if path == "" && l.named {
					continue
				}
				j, ok, err := decodeLine(t, l.json(path))
				if !ok || err != nil {
					t.Fatalf("%s: matched %v, %v", l.json(path), ok, err)
				}
				decodetest.Check(t, j)
				without := *j
				without.Fields = nil
				for _, f := range j.Fields {
					if f.Name != "_path" {
						without.Fields = append(without.Fields, f)
					}
				}
				want := *e
				want.SourceID, without.SourceID = "", "" // their digests are of the fields
				if d := cmp.Diff(&want, &without, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
					t.Errorf("JSON with _path %q differs (-TSV +JSON):\n%s", path, d)
				}
			}
		})
	}
}

func TestRecordsOfOnePacketAreSeveral(t *testing.T) {
	header := "#separator \\x09\n#path\tsmb_files\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\taction\tpath\tname\n"
	row := "1713484795.5\tCabcdefgh\t10.0.0.1\t40000\t10.0.0.2\t445\t"
	k := readAll(t, "smb_files.log", header+row+"SMB::FILE_OPEN\t\\\\fs\\c$\ta.exe\n"+row+"SMB::FILE_WRITE\t\\\\fs\\c$\ta.exe\n"+row+"SMB::FILE_OPEN\t\\\\fs\\c$\ta.exe\n")
	if len(k.events) != 3 {
		t.Fatalf("bad: %v", k.bad)
	}
	if a, b, c := k.events[0].SourceID, k.events[1].SourceID, k.events[2].SourceID; a == b || a != c || !strings.HasPrefix(a, "Cabcdefgh|smb_files|1713484795.5|") {
		t.Errorf("ids %s, %s, %s: want the first two apart and the third as the first", a, b, c)
	}
}

func FuzzEveryLog(f *testing.F) {
	for i := range logLines {
		f.Add(logLines[i].tsv(), logLines[i].json(logLines[i].path))
	}
	f.Fuzz(func(t *testing.T, tsv, json string) {
		for _, e := range readAll(t, "x.log", tsv).events {
			decodetest.Check(t, e)
		}
		if e, ok, err := decodeLine(t, json); ok && err == nil {
			decodetest.Check(t, e)
		}
	})
}
