package zeek

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kinds are the logs of which more is read than the endpoints; any other log comes out as "zeek/<path>". The columns
// are those of the Info records in Zeek's reference, "Log Files", 4 to 8, of its LDAP and Corelight's VPN package.
var kinds = named(map[string]kind{
	"conn":           {class: ocsf.ClassNetworkActivity, single: true, flow: true, fill: conn},
	"conn_long":      {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"dns":            {class: ocsf.ClassDNSActivity, activity: "query", fill: dns},
	"http":           {class: ocsf.ClassHTTPActivity, fill: http},
	"ssl":            {class: ocsf.ClassNetworkActivity, activity: "open", single: true, fill: ssl},
	"quic":           {class: ocsf.ClassNetworkActivity, activity: "open", fill: ssl},
	"ssh":            {class: ocsf.ClassSSHActivity, activity: "open", single: true, fill: ssh},
	"rdp":            {class: ocsf.ClassRDPActivity, activity: "connect", single: true, fill: rdp},
	"rfb":            {class: ocsf.ClassNetworkActivity, activity: "open", single: true, fill: rfb},
	"smb_mapping":    {class: ocsf.ClassSMBActivity, activity: "open"},
	"smb_files":      {class: ocsf.ClassSMBActivity, fill: smbFiles},
	"smb_cmd":        {class: ocsf.ClassSMBActivity, fill: smbCommand},
	"dhcp":           {class: ocsf.ClassDHCPActivity, fill: dhcp},
	"ntlm":           {class: ocsf.ClassAuthentication, activity: "logon", fill: ntlm},
	"kerberos":       {class: ocsf.ClassAuthentication, fill: kerberos},
	"ldap":           {class: ocsf.ClassNetworkActivity, activity: "traffic", fill: ldap},
	"ldap_search":    {class: ocsf.ClassNetworkActivity, activity: "traffic", fill: ldapSearch},
	"radius":         {class: ocsf.ClassAuthentication, activity: "logon", fill: radius},
	"dce_rpc":        {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"files":          {class: ocsf.ClassFileActivity, activity: "send", fill: files},
	"notice":         {class: ocsf.ClassBase, fill: notice},
	"weird":          {class: ocsf.ClassBase, activity: "weird", fill: nothing},
	"intel":          {class: ocsf.ClassBase, activity: "indicator", fill: nothing},
	"x509":           {class: ocsf.ClassBase, activity: "certificate", fill: nothing},
	"known_hosts":    {class: ocsf.ClassBase, activity: "known host", fill: known},
	"known_services": {class: ocsf.ClassBase, activity: "known service", fill: known},
	"known_devices":  {class: ocsf.ClassBase, activity: "known device", fill: known},
	"known_certs":    {class: ocsf.ClassBase, activity: "known certificate", fill: known},
	"software":       {class: ocsf.ClassBase, activity: "software", fill: known},
	"tunnel":         {class: ocsf.ClassTunnelActivity, activity: "open", fill: tunnel},
	"vpn":            {class: ocsf.ClassTunnelActivity, activity: "open", fill: ssl},
	"socks":          {class: ocsf.ClassNetworkActivity, activity: "open", fill: socks},
	"ftp":            {class: ocsf.ClassNetworkActivity, activity: "traffic", fill: ftp},
	"smtp":           {class: ocsf.ClassEmailActivity, activity: "send"},
})

// named gives each kind the source of its events.
func named(list map[string]kind) map[string]kind {
	for path, k := range list {
		k.source = "zeek/" + path
		list[path] = k
	}
	return list
}

func conn(r record, e *ocsf.Event) (err error) {
	f := e.Flow
	f.Proto, f.Service = r.get(colProto), r.get(colService)
	if f.Proto == "icmp6" {
		f.Proto = "icmp"
	}
	f.State, f.History = r.get(colConnState), r.get(colHistory)
	if f.Duration, err = seconds(r, colDuration); err != nil {
		return err
	}
	for _, x := range [...]struct {
		c   column
		dst *int64
	}{{colOrigBytes, &f.OrigBytes}, {colRespBytes, &f.RespBytes}, {colOrigPkts, &f.OrigPkts}, {colRespPkts, &f.RespPkts}} {
		if *x.dst, err = number(r, x.c, math.MaxInt64); err != nil {
			return err
		}
	}
	switch f.State {
	case "S0", "SH", "RSTOS0":
		e.Activity, e.Status = "fail", ocsf.StatusFailure
	case "REJ":
		e.Activity, e.Status = "refuse", ocsf.StatusFailure
	case "SF":
		e.Activity, e.Status = "close", ocsf.StatusSuccess
	case "S1", "S2", "S3":
		e.Activity, e.Status = "open", ocsf.StatusSuccess
	case "RSTO", "RSTR":
		e.Activity, e.Status = "reset", ocsf.StatusSuccess
	default: // OTH, SHR, RSTRH: only a part was seen
		e.Activity = "traffic"
	}
	return nil
}

func dns(r record, e *ocsf.Event) error {
	e.Dst.Domain = strings.TrimSuffix(r.get(colQuery), ".")
	e.Answers = r.list(colAnswers)
	switch rcode := either(r.get(colRcodeName), r.get(colRcode)); rcode {
	case "":
		if truth(r.get(colRejected)) == ocsf.StatusSuccess { // the server would not answer the question
			e.Status = ocsf.StatusFailure
		}
	case "NOERROR", "0":
		e.Status = ocsf.StatusSuccess
	default:
		e.Status = ocsf.StatusFailure
	}
	return nil
}

func http(r record, e *ocsf.Event) error {
	method, host, uri := r.get(colMethod), r.get(colHost), r.get(colURI)
	e.Activity = strings.ToLower(method)
	switch {
	case strings.EqualFold(method, "CONNECT"):
		host = either(uri, host) // a proxy is asked for host:port
	case strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://"):
		e.URL = uri
	case host != "" && strings.HasPrefix(uri, "/"):
		e.URL = "http://" + withPort(host, e.Dst.Port) + uri
	}
	e.Dst.Domain = hostOnly(host)
	if code, err := strconv.Atoi(r.get(colStatusCode)); err == nil {
		e.Status = ocsf.StatusSuccess
		if code >= 400 {
			e.Status = ocsf.StatusFailure
		}
	}
	return nil
}

// withPort adds a port that the Host header left out though it is not 80.
func withPort(host string, port uint16) string {
	if port == 0 || port == 80 || hostOnly(host) != host {
		return host
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

func hostOnly(h string) string {
	if strings.Count(h, ":") > 1 && !strings.HasPrefix(h, "[") {
		return h // a bare IPv6 address
	}
	return (&url.URL{Host: h}).Hostname()
}

func ssl(r record, e *ocsf.Event) error {
	e.Dst.Domain = strings.TrimSuffix(r.get(colServerName), ".")
	e.Status = truth(r.get(colEstablished))
	return nil
}

func ssh(r record, e *ocsf.Event) error {
	e.Status = truth(r.get(colAuthSuccess))
	return nil
}

// rdp takes the account from the cookie, which the client cuts to nine characters where it names a domain too.
func rdp(r record, e *ocsf.Event) error {
	e.User = account(r.get(colCookie))
	e.Src.Host = r.get(colClientName)
	if strings.HasPrefix(r.get(colResult), "Succ") || strings.HasPrefix(r.get(colResult), "SUCC") {
		e.Status = ocsf.StatusSuccess
	}
	return nil
}

// truth reads Zeek's T and F, and JSON's true and false.
func truth(v string) ocsf.Status {
	switch v {
	case "T", "true":
		return ocsf.StatusSuccess
	case "F", "false":
		return ocsf.StatusFailure
	}
	return ocsf.StatusUnknown
}

func account(name string) ocsf.User {
	if domain, user, ok := strings.Cut(name, `\`); ok {
		return ocsf.User{Name: user, Domain: domain}
	}
	return ocsf.User{Name: name}
}
