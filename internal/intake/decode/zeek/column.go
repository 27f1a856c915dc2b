package zeek

// column is one of the columns that are read into an event; all others only stay in its Fields.
type column uint8

const (
	colTS column = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colProto
	colService
	colDuration
	colOrigBytes
	colRespBytes
	colConnState
	colHistory
	colOrigPkts
	colRespPkts
	colQuery
	colAnswers
	colRcode
	colRcodeName
	colMethod
	colHost
	colURI
	colStatusCode
	colServerName
	colEstablished
	colAuthSuccess
	colCookie
	colClientName
	colResult
	colPath
	colName
	colAction
	colSize
	colUIDs
	colClientAddr
	colServerAddr
	colAssignedAddr
	colAssignedIP
	colHostName
	colClientFQDN
	colMsgTypes
	colUsername
	colUser
	colHostname
	colDomainname
	colServerName2
	colSuccess
	colClient
	colKrbService
	colFUID
	colFilename
	colMD5
	colSHA1
	colSHA256
	colSeenBytes
	colTxHosts
	colRxHosts
	colConnUIDs
	colNote
	colSrc
	colDst
	colP
	colOpcode
	colOpcodes
	colObject
	colObjects
	colResults
	colRequestType
	colErrorMsg
	colStatus
	colRequestName
	colRequestHost
	colFramedAddr
	colTunnelClient
	colReplyCode
	colArg
	colCommand
	colPortNum
	colDHCPHostName
	colHostP
	colAuthenticationSuccess
	colServerDNSName
	colServerTreeName
	colLeaseTime
	colIsOrig
	colRejected
	colIndicator
	colTree
	colFileSize
	colLog
	columns
)

// columnNames are Zeek's names for the columns.
var columnNames = [columns]string{
	colTS: "ts", colUID: "uid", colOrigH: "id.orig_h", colOrigP: "id.orig_p", colRespH: "id.resp_h",
	colRespP: "id.resp_p", colProto: "proto", colService: "service", colDuration: "duration",
	colOrigBytes: "orig_bytes", colRespBytes: "resp_bytes", colConnState: "conn_state", colHistory: "history",
	colOrigPkts: "orig_pkts", colRespPkts: "resp_pkts", colQuery: "query", colAnswers: "answers",
	colRcode: "rcode", colRcodeName: "rcode_name", colMethod: "method", colHost: "host", colURI: "uri",
	colStatusCode: "status_code", colServerName: "server_name", colEstablished: "established",
	colAuthSuccess: "auth_success", colCookie: "cookie", colClientName: "client_name", colResult: "result",
	colPath: "path", colName: "name", colAction: "action", colSize: "size", colUIDs: "uids",
	colClientAddr: "client_addr", colServerAddr: "server_addr", colAssignedAddr: "assigned_addr",
	colAssignedIP: "assigned_ip", colHostName: "host_name", colClientFQDN: "client_fqdn",
	colMsgTypes: "msg_types", colUsername: "username", colUser: "user", colHostname: "hostname",
	colDomainname: "domainname", colServerName2: "server_nb_computer_name", colSuccess: "success",
	colClient: "client", colKrbService: "service", colFUID: "fuid", colFilename: "filename", colMD5: "md5",
	colSHA1: "sha1", colSHA256: "sha256", colSeenBytes: "seen_bytes", colTxHosts: "tx_hosts",
	colRxHosts: "rx_hosts", colConnUIDs: "conn_uids", colNote: "note", colSrc: "src", colDst: "dst", colP: "p",
	colOpcode: "opcode", colOpcodes: "opcodes", colObject: "object", colObjects: "objects", colResults: "results", colRequestType: "request_type", colErrorMsg: "error_msg", colStatus: "status", colRequestName: "request.name", colRequestHost: "request.host", colFramedAddr: "framed_addr", colTunnelClient: "tunnel_client", colReplyCode: "reply_code", colArg: "arg", colCommand: "command", colPortNum: "port_num", colDHCPHostName: "dhcp_host_name", colHostP: "host_p", colAuthenticationSuccess: "authentication_success", colServerDNSName: "server_dns_computer_name", colServerTreeName: "server_tree_name", colLeaseTime: "lease_time", colIsOrig: "is_orig", colRejected: "rejected", colIndicator: "seen.indicator", colTree: "tree", colFileSize: "file_size", colLog: "_path",
}

// record is one line of a log, in either form.
type record interface {
	get(column) string    // the value; "" where it is unset, empty or there is no such column
	list(column) []string // the elements of a set or vector
}

// signatures tell the log of a record that does not name it: the first whose columns are all there.
var signatures = []struct {
	path    string
	columns []string
}{
	{"conn", []string{"conn_state"}},
	{"dns", []string{"query", "qtype"}},
	{"dns", []string{"trans_id", "rcode"}},
	{"dns", []string{"trans_id", "rejected"}},
	{"dns", []string{"query", "qclass_name"}},
	{"http", []string{"trans_depth", "method"}},
	{"http", []string{"method", "uri"}},
	{"http", []string{"trans_depth", "status_code"}},
	{"rdp", []string{"security_protocol"}},
	{"rdp", []string{"cookie", "result"}},
	{"kerberos", []string{"request_type"}},
	{"kerberos", []string{"client", "till"}},
	{"kerberos", []string{"client", "cipher"}},
	{"ssl", []string{"cipher"}},
	{"ssl", []string{"server_name", "established"}},
	{"ssh", []string{"auth_attempts"}},
	{"ssh", []string{"auth_success"}},
	{"dhcp", []string{"msg_types"}},
	{"dhcp", []string{"assigned_addr"}},
	{"dhcp", []string{"assigned_ip"}},
	{"dce_rpc", []string{"endpoint", "operation"}},
	{"dce_rpc", []string{"named_pipe", "rtt"}},
	{"dce_rpc", []string{"endpoint", "named_pipe"}},
	{"smb_mapping", []string{"share_type"}},
	{"smb_cmd", []string{"sub_command", "command"}},
	{"smb_cmd", []string{"command", "tree_service"}},
	{"smb_files", []string{"action", "name"}},
	{"smb_files", []string{"action", "path"}},
	{"ntlm", []string{"server_nb_computer_name"}},
	{"ntlm", []string{"server_dns_computer_name"}},
	{"ntlm", []string{"domainname", "hostname"}},
	{"ntlm", []string{"domainname", "username"}},
	{"ldap_search", []string{"base_object"}},
	{"ldap_search", []string{"deref_aliases"}},
	{"ldap_search", []string{"filter", "result_count"}},
	{"ldap_search", []string{"base_objects"}},
	{"ldap", []string{"message_id", "opcode"}},
	{"ldap", []string{"message_id", "opcodes"}},
	{"ldap", []string{"message_id", "object"}},
	{"notice", []string{"note", "msg"}},
	{"known_services", []string{"port_num", "port_proto"}},
	{"known_certs", []string{"port_num", "issuer_subject"}},
	{"known_devices", []string{"mac", "dhcp_host_name"}},
	{"software", []string{"software_type"}},
	{"socks", []string{"request_p"}},
	{"socks", []string{"bound_p"}},
	{"tunnel", []string{"tunnel_type"}},
	{"rfb", []string{"client_major_version"}},
	{"rfb", []string{"authentication_method"}},
	{"radius", []string{"framed_addr"}},
	{"radius", []string{"connect_info"}},
	{"radius", []string{"username", "result", "ttl"}},
	{"vpn", []string{"vpn_type"}},
	{"ftp", []string{"reply_code", "command"}},
	{"ftp", []string{"data_channel.passive"}},
	{"snmp", []string{"community"}},
	{"intel", []string{"seen.indicator"}},
	{"x509", []string{"certificate.serial"}},
	{"smtp", []string{"mailfrom"}},
	{"files", []string{"fuid", "analyzers"}},
	{"files", []string{"fuid", "tx_hosts"}},
	{"weird", []string{"name", "notice"}},
	{"weird", []string{"name", "peer"}},
	{"ssl", []string{"established"}},
}

func infer(has func(string) bool) string {
next:
	for _, s := range signatures {
		for _, c := range s.columns {
			if !has(c) {
				continue next
			}
		}
		return s.path
	}
	return "unknown"
}
