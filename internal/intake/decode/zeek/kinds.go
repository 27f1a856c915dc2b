package zeek

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kinds are the logs of which more is read than the endpoints; any other log comes out as "zeek/<path>".
var kinds = map[string]kind{
	"conn":        {class: ocsf.ClassNetworkActivity, flow: true, fill: conn},
	"conn_long":   {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"dns":         {class: ocsf.ClassDNSActivity, activity: "query", fill: dns},
	"http":        {class: ocsf.ClassHTTPActivity, fill: http},
	"ssl":         {class: ocsf.ClassNetworkActivity, activity: "open", fill: ssl},
	"ssh":         {class: ocsf.ClassSSHActivity, activity: "open", fill: ssh},
	"rdp":         {class: ocsf.ClassRDPActivity, activity: "connect", fill: rdp},
	"smb_mapping": {class: ocsf.ClassSMBActivity, activity: "open"},
	"smb_files":   {class: ocsf.ClassSMBActivity, fill: smbFiles},
	"dhcp":        {class: ocsf.ClassDHCPActivity, fill: dhcp},
	"ntlm":        {class: ocsf.ClassAuthentication, activity: "logon", fill: ntlm},
	"kerberos":    {class: ocsf.ClassAuthentication, fill: kerberos},
	"dce_rpc":     {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"files":       {class: ocsf.ClassFileActivity, activity: "send", fill: files},
	"notice":      {class: ocsf.ClassBase, fill: notice},
	"tunnel":      {class: ocsf.ClassTunnelActivity, activity: "open"},
	"ftp":         {class: ocsf.ClassNetworkActivity, activity: "traffic"},
	"smtp":        {class: ocsf.ClassEmailActivity, activity: "send"},
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

func smbFiles(r record, e *ocsf.Event) (err error) {
	e.File = &ocsf.File{Path: r.get(colName)}
	if share := r.get(colPath); share != "" {
		e.File.Path = strings.TrimSuffix(share, `\`) + `\` + r.get(colName)
	}
	action := r.get(colAction)
	if i := strings.LastIndexAny(action, "_:"); i >= 0 {
		action = action[i+1:] // SMB::FILE_OPEN
	}
	e.Activity = strings.ToLower(action)
	e.File.Size, err = number(r, colSize, math.MaxInt64)
	return err
}

func dhcp(r record, e *ocsf.Event) (err error) {
	for _, x := range [...]struct {
		c   column
		dst *ocsf.Endpoint
	}{{colClientAddr, &e.Src}, {colServerAddr, &e.Dst}} {
		if x.dst.IP.IsValid() {
			continue
		}
		if x.dst.IP, err = address(r, x.c); err != nil {
			return err
		}
	}
	addr, err := address(r, colAssignedAddr)
	if err == nil && !addr.IsValid() {
		addr, err = address(r, colAssignedIP)
	}
	if err != nil {
		return err
	}
	e.Src.Host = either(r.get(colHostName), r.get(colClientFQDN))
	lease := &ocsf.Lease{Kind: "dhcp", Addr: addr, Device: e.Src.Host}
	types := r.list(colMsgTypes)
	for _, t := range types {
		switch t {
		case "ACK":
			lease.Start, e.Activity = true, "assign"
		case "RELEASE":
			lease.End, e.Activity = true, "release"
			if !addr.IsValid() {
				addr = e.Src.IP
				lease.Addr = addr
			}
		}
	}
	if len(types) == 0 && addr.IsValid() { // Zeek before 2.6 writes one line a lease
		lease.Start, e.Activity = true, "assign"
	}
	if addr.IsValid() && (lease.Start || lease.End) {
		e.Lease = lease
	}
	return nil
}

func ntlm(r record, e *ocsf.Event) error {
	e.User = ocsf.User{Name: r.get(colUsername), Domain: r.get(colDomainname)}
	e.Src.Host = r.get(colHostname)
	e.Dst.Host = r.get(colServerName2)
	e.Status = truth(r.get(colSuccess))
	return nil
}

func kerberos(r record, e *ocsf.Event) error {
	name, realm, _ := strings.Cut(r.get(colClient), "/")
	e.User = ocsf.User{Name: name, Domain: realm}
	e.Activity = "authentication ticket"
	if s := r.get(colKrbService); s != "" && !strings.HasPrefix(s, "krbtgt/") {
		e.Activity = "service ticket request"
	}
	e.Status = truth(r.get(colSuccess))
	return nil
}

func files(r record, e *ocsf.Event) (err error) {
	e.File = &ocsf.File{Path: r.get(colFilename)}
	if e.File.Size, err = number(r, colSeenBytes, math.MaxInt64); err != nil {
		return err
	}
	for _, h := range [...]struct {
		name string
		c    column
	}{{"MD5=", colMD5}, {"SHA1=", colSHA1}, {"SHA256=", colSHA256}} {
		if v := r.get(h.c); v != "" {
			e.File.Hashes = append(e.File.Hashes, h.name+v)
		}
	}
	// The sender of a file is its source, whichever side opened the connection.
	for _, x := range [...]struct {
		c   column
		dst *ocsf.Endpoint
	}{{colTxHosts, &e.Src}, {colRxHosts, &e.Dst}} {
		if hosts := r.list(x.c); len(hosts) > 0 {
			a, err := parseAddr(hosts[0], x.c)
			if err != nil {
				return err
			}
			*x.dst = ocsf.Endpoint{IP: a}
		}
	}
	return nil
}

func notice(r record, e *ocsf.Event) (err error) {
	if !e.Src.IP.IsValid() {
		if e.Src.IP, err = address(r, colSrc); err != nil {
			return err
		}
	}
	if !e.Dst.IP.IsValid() {
		if e.Dst.IP, err = address(r, colDst); err != nil {
			return err
		}
		p, err := number(r, colP, 1<<16-1)
		if err != nil {
			return err
		}
		e.Dst.Port = uint16(p)
	}
	e.Activity = "notice"
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
