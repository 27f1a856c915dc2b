package eve

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kind is how one event type becomes events.
type kind struct {
	class    ocsf.ClassUID
	activity string
	fill     func(o *decode.JSON, e *ocsf.Event) error // beyond what all share; may be nil
}

var kinds = map[string]kind{
	"flow":     {class: ocsf.ClassNetworkActivity, fill: flow},
	"netflow":  {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"alert":    {class: ocsf.ClassNetworkActivity, activity: "traffic", fill: alert},
	"drop":     {class: ocsf.ClassNetworkActivity, activity: "refuse"},
	"anomaly":  {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"dns":      {class: ocsf.ClassDNSActivity, activity: "query", fill: dns},
	"http":     {class: ocsf.ClassHTTPActivity, fill: http},
	"tls":      {class: ocsf.ClassNetworkActivity, activity: "open", fill: tls},
	"smb":      {class: ocsf.ClassSMBActivity, fill: smb},
	"rdp":      {class: ocsf.ClassRDPActivity, activity: "connect", fill: rdp},
	"ssh":      {class: ocsf.ClassSSHActivity, activity: "open"},
	"krb5":     {class: ocsf.ClassAuthentication, activity: "authentication ticket", fill: krb5},
	"dcerpc":   {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"dhcp":     {class: ocsf.ClassDHCPActivity, fill: dhcp},
	"fileinfo": {class: ocsf.ClassFileActivity, activity: "send", fill: fileinfo},
	"smtp":     {class: ocsf.ClassEmailActivity, activity: "send"},
	"ftp":      {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"stats":    {class: ocsf.ClassBase},
}

// alert takes what the record quotes of the application, without the flow: that comes in a record of its own.
func alert(o *decode.JSON, e *ocsf.Event) error {
	switch {
	case o.Has("http"):
		_ = http(o, e) // reads text alone and never fails
		e.Status = ocsf.StatusUnknown
	case o.Has("tls"):
		_ = tls(o, e)
	case o.Has("dns"):
		e.Dst.Domain = domain(o.First("dns.query.0.rrname", "dns.queries.0.rrname", "dns.rrname", "dns.answer.rrname"))
	}
	e.Activity = "traffic"
	return nil
}

func domain(s string) string { return strings.TrimSuffix(s, ".") }

// dns reads version 1 (an answer a record), 2 (answers in a list) and 3 (questions in a list, too). Answers may be
// written from the server to the client; they come out as what the client asked.
func dns(o *decode.JSON, e *ocsf.Event) error {
	e.Dst.Domain = domain(o.First("dns.rrname", "dns.queries.0.rrname", "dns.query.0.rrname", "dns.answers.0.rrname"))
	switch o.Str("dns.type") {
	case "answer", "response":
		if e.Src.Port == 53 && e.Dst.Port != 53 {
			name := e.Dst.Domain
			e.Dst.Domain = ""
			e.Src, e.Dst = e.Dst, e.Src
			e.Dst.Domain = name
		}
		e.Activity = "response"
	}
	if v := o.Str("dns.rdata"); v != "" {
		e.Answers = append(e.Answers, v)
	}
	for i := 0; ; i++ {
		prefix := "dns.answers." + strconv.Itoa(i)
		v, there := o.Fields().Get(prefix + ".rdata")
		if !there && o.Str(prefix+".rrname") == "" {
			break
		}
		if v != "" {
			e.Answers = append(e.Answers, v)
		}
	}
	switch rcode := o.Str("dns.rcode"); rcode {
	case "":
	case "NOERROR":
		e.Status = ocsf.StatusSuccess
	default:
		e.Status = ocsf.StatusFailure
	}
	return nil
}

func http(o *decode.JSON, e *ocsf.Event) error {
	host, uri := o.Str("http.hostname"), o.Str("http.url")
	e.Activity = strings.ToLower(o.Str("http.http_method"))
	switch {
	case e.Activity == "connect":
		if host == "" {
			host = uri
		}
	case strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://"):
		e.URL = uri
	case host != "" && strings.HasPrefix(uri, "/"):
		e.URL = "http://" + withPort(host, o.Str("http.http_port"), e.Dst.Port) + uri
	}
	e.Dst.Domain = hostOnly(host)
	if code, err := strconv.Atoi(o.Str("http.status")); err == nil {
		e.Status = ocsf.StatusSuccess
		if code >= 400 {
			e.Status = ocsf.StatusFailure
		}
	}
	return nil
}

// withPort adds the port that Suricata writes apart from the host's name.
func withPort(host, told string, port uint16) string {
	if hostOnly(host) != host {
		return host
	}
	if told == "" && port != 0 {
		told = strconv.Itoa(int(port))
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if told == "" || told == "80" {
		return host
	}
	return host + ":" + told
}

func hostOnly(h string) string {
	if strings.Count(h, ":") > 1 && !strings.HasPrefix(h, "[") {
		return h // a bare IPv6 address
	}
	return (&url.URL{Host: h}).Hostname()
}

// tls takes the server's name; ja3, ja3s and ja4 stay in Fields.
func tls(o *decode.JSON, e *ocsf.Event) error {
	e.Dst.Domain = domain(o.Str("tls.sni"))
	if o.First("tls.subject", "tls.fingerprint", "tls.session_resumed") != "" {
		e.Status = ocsf.StatusSuccess
	}
	return nil
}

func smb(o *decode.JSON, e *ocsf.Event) error {
	e.Activity = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(o.Str("smb.command"), "SMB2_COMMAND_"), "SMB1_COMMAND_"))
	e.User = ocsf.User{Name: o.Str("smb.ntlmssp.user"), Domain: o.Str("smb.ntlmssp.domain")}
	e.Src.Host = o.Str("smb.ntlmssp.host")
	if name, share := o.Str("smb.filename"), o.Str("smb.share"); name != "" {
		e.File = &ocsf.File{Path: name, Size: max(o.Int("smb.size"), 0)}
		if share != "" {
			e.File.Path = strings.TrimSuffix(share, `\`) + `\` + strings.TrimPrefix(name, `\`)
		}
	}
	switch status := o.Str("smb.status"); status {
	case "":
	case "STATUS_SUCCESS":
		e.Status = ocsf.StatusSuccess
	case "STATUS_MORE_PROCESSING_REQUIRED", "STATUS_PENDING": // no end yet
	default:
		e.Status = ocsf.StatusFailure
	}
	return nil
}

// rdp takes the account from the cookie, which the client cuts to nine characters where it names a domain too.
func rdp(o *decode.JSON, e *ocsf.Event) error {
	e.User.Name = strings.TrimPrefix(o.Str("rdp.cookie"), "mstshash=")
	if d, name, ok := strings.Cut(e.User.Name, `\`); ok {
		e.User = ocsf.User{Domain: d, Name: name}
	}
	e.Src.Host = o.Str("rdp.client.client_name")
	return nil
}

func krb5(o *decode.JSON, e *ocsf.Event) error {
	e.User = ocsf.User{Name: o.First("krb5.cname"), Domain: o.First("krb5.realm")}
	if e.User.Name == "<empty>" {
		e.User.Name = ""
	}
	if s := o.First("krb5.sname"); s != "" && !strings.HasPrefix(s, "krbtgt/") {
		e.Activity = "service ticket request"
	}
	switch kind := o.Str("krb5.msg_type"); {
	case kind == "KRB_ERROR" || o.Str("krb5.error_code") != "":
		e.Status = ocsf.StatusFailure
	case strings.HasSuffix(kind, "_REP"):
		e.Status = ocsf.StatusSuccess
	}
	return nil
}

// dhcp makes a lease of an acknowledgement and of a release. The answer comes from the server; the event is the
// client's, as Zeek writes it.
func dhcp(o *decode.JSON, e *ocsf.Event) error {
	if e.Src.Port == 67 && e.Dst.Port == 68 {
		e.Src, e.Dst = e.Dst, e.Src
	}
	e.Src.Host = o.First("dhcp.hostname")
	lease := &ocsf.Lease{Kind: "dhcp", Device: e.Src.Host}
	name := ""
	switch o.Str("dhcp.dhcp_type") {
	case "ack":
		name, lease.Start, e.Activity = "dhcp.assigned_ip", true, "assign"
	case "release":
		name, lease.End, e.Activity = "dhcp.client_ip", true, "release"
	default:
		e.Activity = o.Str("dhcp.dhcp_type")
		return nil
	}
	v := o.First(name)
	if v == "0.0.0.0" || v == "" {
		if name, v = "dhcp.client_ip", o.First("dhcp.client_ip"); v == "0.0.0.0" || v == "" {
			return nil // an answer to DHCPINFORM gives no address
		}
	}
	addr, err := address(name, v)
	if err != nil {
		return err
	}
	lease.Addr, e.Lease = addr, lease
	return nil
}

func fileinfo(o *decode.JSON, e *ocsf.Event) error {
	e.File = &ocsf.File{Path: o.Str("fileinfo.filename"), Size: max(o.Int("fileinfo.size"), 0)}
	for _, h := range [...]string{"md5", "sha1", "sha256"} {
		if v := o.Str("fileinfo." + h); v != "" {
			e.File.Hashes = append(e.File.Hashes, strings.ToUpper(h)+"="+v)
		}
	}
	e.Dst.Domain = hostOnly(o.Str("http.hostname"))
	return nil
}
