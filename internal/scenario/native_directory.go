package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ends is the part of a Zeek record that names the connection.
func ends(uid string, src netip.Addr, sport int, dst netip.Addr, dport int) []string {
	return []string{uid, src.String(), strconv.Itoa(sport), dst.String(), strconv.Itoa(dport)}
}

func realm(o *org) string { return strings.ToUpper(o.ad) }

// caller is who speaks to a directory or a file service, and from where.
type caller struct {
	user, machine string
	ip            netip.Addr
}

func (p *person) caller() caller { return caller{p.login, p.desk.name, p.desk.ip} }

func (h *host) caller() caller { return caller{h.name + "$", h.name, h.ip} }

// ticket writes one Kerberos exchange: without a target the ticket-granting ticket, else a service's. wrong is the
// KDC's error, empty where the ticket was given.
func (s *scribe) ticket(o *org, t time.Time, who caller, service string, target *host, wrong string) {
	dc := o.servers[0]
	src, dst := s.family(o, who.ip, dc.ip, false)
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 88, service: "krb_tcp", dur: s.n.span(3*time.Millisecond, 40*time.Millisecond), out: s.n.between(1300, 1900), in: s.n.between(1400, 1900)})
	kind, spn, ok, fault := "AS", "krbtgt/"+realm(o), "T", "-"
	if target != nil {
		kind, spn = "TGS", service+"/"+target.name+"."+o.ad
	}
	till := o.shown("zeek/", t).Add(10 * time.Hour)
	from, until, cipher := "-", seconds(till), "aes256-cts-hmac-sha1-96"
	if wrong != "" {
		ok, fault, until, cipher = "F", wrong, "-", "-"
	}
	s.zeek(o, "kerberos", t.Add(2*time.Millisecond), append(ends(uid, src, sport, dst, 88), kind, who.user+"/"+realm(o), spn, ok, fault, from, until, cipher, "T", "T", "-", "-", "-", "-")...)
	ip := src.String()
	if src.Is4() {
		ip = "::ffff:" + ip // as the KDC writes it
	}
	common := []string{"IpAddress", ip, "IpPort", fmt.Sprint(sport)}
	switch {
	case wrong != "":
		s.win(o, dc, t, security, auditing, 4771, 14339, append([]string{"TargetUserName", who.user, "TargetSid", o.sidOf(who.user), "ServiceName", "krbtgt/" + o.short,
			"TicketOptions", "0x40810010", "Status", "0x18", "PreAuthType", "2", "EventType", "AUDIT_FAILURE", "Category", "Kerberos Authentication Service"}, common...)...)
	case target == nil:
		s.win(o, dc, t, security, auditing, 4768, 14339, append([]string{"TargetUserName", who.user, "TargetDomainName", realm(o), "TargetSid", o.sidOf(who.user), "ServiceName", "krbtgt",
			"ServiceSid", o.sid + "-502", "TicketOptions", "0x40810010", "Status", "0x0", "TicketEncryptionType", "0x12", "PreAuthType", "2",
			"EventType", "AUDIT_SUCCESS", "Category", "Kerberos Authentication Service"}, common...)...)
	default:
		s.win(o, dc, t, security, auditing, 4769, 14337, append([]string{"TargetUserName", who.user + "@" + realm(o), "TargetDomainName", realm(o), "ServiceName", target.name + "$",
			"ServiceSid", o.sidOf(target.name + "$"), "TicketOptions", "0x40810000", "TicketEncryptionType", "0x12", "Status", "0x0", "LogonGuid", "{" + s.n.guid() + "}",
			"TransmittedServices", "-", "EventType", "AUDIT_SUCCESS", "Category", "Kerberos Service Ticket Operations"}, common...)...)
	}
}

// smbSession is one connection to a host's port 445 in which several things happen.
type smbSession struct {
	s        *scribe
	o        *org
	h        *host
	who      caller
	src, dst netip.Addr
	uid      string
	sport    int
	logon    string
}

// smb opens a session: the connection, NTLM or a ticket, the logon at the host; admin gives it special rights.
func (s *scribe) smb(o *org, t time.Time, who caller, h *host, ntlm, admin bool, bytes int) *smbSession {
	src, dst := s.family(o, who.ip, h.ip, false)
	service := "gssapi,smb,krb"
	if ntlm {
		service = "gssapi,smb,ntlm"
	}
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 445, service: service + ",dce_rpc", dur: s.n.span(3*time.Second, 4*time.Minute), out: s.n.between(3000, 30000), in: s.n.between(4000, 40000) + bytes})
	x := &smbSession{s, o, h, who, src, dst, uid, sport, ""}
	if ntlm {
		s.zeek(o, "ntlm", t.Add(20*time.Millisecond), append(ends(uid, src, sport, dst, 445), who.user, who.machine, o.short, h.name, h.name+"."+o.ad, o.ad, "T")...)
	} else {
		s.ticket(o, t.Add(-30*time.Millisecond), who, "cifs", h, "")
	}
	l := &logon{host: h, user: who.user, kind: 3, workstation: who.machine, ip: who.ip}
	s.logon(o, t.Add(30*time.Millisecond), l, admin)
	s.logoff(o, t.Add(s.n.span(5*time.Minute, 12*time.Minute)), l)
	x.logon = l.id
	return x
}

var shareKinds = map[string][3]string{ // share → Zeek's kind and file system, local path
	"IPC$": {"PIPE", "-", ""}, "ADMIN$": {"DISK", "NTFS", `\??\C:\Windows`}, "C$": {"DISK", "NTFS", `\??\C:\`},
}

// open maps a share: Zeek's smb_mapping and the host's 5140.
func (x *smbSession) open(t time.Time, share string) {
	kind, ok := shareKinds[share]
	if !ok {
		kind = [3]string{"DISK", "NTFS", `\??\D:\` + share}
	}
	x.s.zeek(x.o, "smb_mapping", t, append(ends(x.uid, x.src, x.sport, x.dst, 445), `\\`+x.h.name+`\`+share, "-", kind[1], kind[0])...)
	x.s.win(x.o, x.h, t, security, auditing, 5140, 12808, "SubjectUserSid", x.o.sidOf(x.who.user), "SubjectUserName", x.who.user, "SubjectDomainName", x.o.short,
		"SubjectLogonId", x.logon, "ObjectType", "File", "IpAddress", x.src.String(), "IpPort", fmt.Sprint(x.sport), "ShareName", `\\*\`+share, "ShareLocalPath", kind[2],
		"AccessMask", "0x1", "AccessList", "%%4416", "EventType", "AUDIT_SUCCESS", "Category", "File Share")
}

// file writes what is done with a file or pipe on a share: Zeek's smb_files (not for pipes) and the host's 5145.
func (x *smbSession) file(t time.Time, share, action, name string, size int) {
	if share != "IPC$" {
		at := seconds(x.o.shown("zeek/", t))
		x.s.zeek(x.o, "smb_files", t, append(ends(x.uid, x.src, x.sport, x.dst, 445), "-", action, `\\`+x.h.name+`\`+share, name, strconv.Itoa(size), "-", at, at, at, at)...)
	}
	mask, list := "0x120089", "%%1538 %%1541 %%4416 %%4419 %%4423"
	if action == "SMB::FILE_WRITE" || action == "SMB::FILE_DELETE" {
		mask, list = "0x130197", "%%1537 %%1538 %%1541 %%4417 %%4418"
	}
	if share == "IPC$" {
		mask, list = "0x12019f", "%%1538 %%1541 %%4416 %%4417 %%4418"
	}
	x.s.win(x.o, x.h, t.Add(time.Millisecond), security, auditing, 5145, 12811, "SubjectUserSid", x.o.sidOf(x.who.user), "SubjectUserName", x.who.user, "SubjectDomainName", x.o.short,
		"SubjectLogonId", x.logon, "ObjectType", "File", "IpAddress", x.src.String(), "IpPort", fmt.Sprint(x.sport), "ShareName", `\\*\`+share,
		"ShareLocalPath", shareKinds[share][2], "RelativeTargetName", name, "AccessMask", mask, "AccessList", list, "AccessReason", "-",
		"EventType", "AUDIT_SUCCESS", "Category", "Detailed File Share")
}

// calls writes remote procedure calls over a named pipe.
func (x *smbSession) calls(t time.Time, pipe, endpoint string, operations ...string) time.Time {
	x.file(t, "IPC$", "SMB::FILE_OPEN", pipe, 0)
	for _, op := range operations {
		t = t.Add(x.s.n.span(3*time.Millisecond, 60*time.Millisecond))
		x.s.zeek(x.o, "dce_rpc", t, append(ends(x.uid, x.src, x.sport, x.dst, 445), interval(x.s.n.span(300*time.Microsecond, 9*time.Millisecond)), `\PIPE\`+pipe, endpoint, op)...)
	}
	return t
}

// rpc writes calls over TCP, first to the endpoint mapper and then to the port it names.
func (s *scribe) rpc(o *org, t time.Time, who caller, h *host, endpoint string, operations ...string) {
	src, dst := s.family(o, who.ip, h.ip, false)
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 135, service: "dce_rpc", dur: s.n.span(9*time.Millisecond, 200*time.Millisecond), out: s.n.between(300, 900), in: s.n.between(300, 900)})
	s.zeek(o, "dce_rpc", t.Add(4*time.Millisecond), append(ends(uid, src, sport, dst, 135), "0.000700", "135", "epmapper", "ept_map")...)
	port := 49152 + 7*int(h.ip.As4()[3])
	t = t.Add(30 * time.Millisecond)
	uid, sport = s.conn(o, flow{t: t, src: src, dst: dst, dport: port, service: "gssapi,dce_rpc", dur: s.n.span(time.Second, 20*time.Second), out: s.n.between(900, 9000), in: s.n.between(900, 90000)})
	for _, op := range operations {
		t = t.Add(s.n.span(4*time.Millisecond, 90*time.Millisecond))
		s.zeek(o, "dce_rpc", t, append(ends(uid, src, sport, dst, port), interval(s.n.span(300*time.Microsecond, 9*time.Millisecond)), strconv.Itoa(port), endpoint, op)...)
	}
}

// search is a question to the directory.
type search struct {
	scope, base, filter, attributes string
	least, most                     int // entries that answer
}

// ldap writes one bind's searches at the first domain controller.
func (s *scribe) ldap(o *org, t time.Time, who caller, list ...search) {
	dc := o.servers[0]
	src, dst := s.family(o, who.ip, dc.ip, false)
	s.ticket(o, t.Add(-20*time.Millisecond), who, "ldap", dc, "")
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 389, service: "gssapi,ldap_tcp", dur: s.n.span(time.Second, 40*time.Second), out: 900 + 300*len(list), in: s.n.between(2000, 9000) * (1 + len(list))})
	root := "DC=" + strings.ReplaceAll(o.ad, ".", ",DC=")
	for i, q := range list {
		t = t.Add(s.n.span(5*time.Millisecond, 900*time.Millisecond))
		base := strings.TrimPrefix(q.base+","+root, ",")
		s.zeek(o, "ldap_search", t, append(ends(uid, src, sport, dst, 389), strconv.Itoa(i+2), q.scope, "never", base, strconv.Itoa(s.n.between(q.least, q.most)), "success", "-", q.filter, q.attributes)...)
	}
}

// ptr writes a reverse look-up; nobody is the answer to most addresses.
func (s *scribe) ptr(o *org, t time.Time, src, about netip.Addr, name string) {
	dc, sport, rtt := o.servers[0].ip, s.n.port(), s.n.span(time.Millisecond, 30*time.Millisecond)
	src, dc = s.family(o, src, dc, false)
	b := about.As4()
	query := fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	uid, _ := s.conn(o, flow{t: t, src: src, dst: dc, sport: sport, dport: 53, proto: "udp", service: "dns", dur: rtt, out: 30 + len(query), in: 60 + 2*len(query)})
	code, rcode, ans, ttl, aa := "0", "NOERROR", name, "3600.000000", "T"
	if name == "" {
		code, rcode, ans, ttl = "3", "NXDOMAIN", "-", "-"
	}
	s.zeek(o, "dns", t, uid, src.String(), strconv.Itoa(sport), dc.String(), "53", "udp", strconv.Itoa(s.n.IntN(65536)), interval(rtt), query, "1", "C_INTERNET", "12", "PTR",
		code, rcode, aa, "F", "T", "T", "0", ans, ttl, "F")
}

// explicit writes 4648: somebody on a host uses another account towards a server.
func (s *scribe) explicit(o *org, t time.Time, at *host, by, as string, server *host, program string) {
	s.win(o, at, t, security, auditing, 4648, 12544, "SubjectUserSid", o.sidOf(by), "SubjectUserName", by, "SubjectDomainName", o.short, "SubjectLogonId", s.logonID(),
		"LogonGuid", "{00000000-0000-0000-0000-000000000000}", "TargetUserName", as, "TargetDomainName", o.short, "TargetLogonGuid", "{00000000-0000-0000-0000-000000000000}",
		"TargetServerName", server.name+"."+o.ad, "TargetInfo", server.name+"."+o.ad, "ProcessId", fmt.Sprintf("0x%x", s.n.between(400, 9000)), "ProcessName", program,
		"IpAddress", "-", "IpPort", "-", "EventType", "AUDIT_SUCCESS", "Category", "Logon")
}

// replicated writes 4662 at a domain controller: directory changes were asked for.
func (s *scribe) replicated(o *org, t time.Time, by string) {
	s.win(o, o.servers[0], t, security, auditing, 4662, 14080, "SubjectUserSid", o.sidOf(by), "SubjectUserName", by, "SubjectDomainName", o.short, "SubjectLogonId", s.logonID(),
		"ObjectServer", "DS", "ObjectType", "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}", "ObjectName", "%{"+newRNG(s.w.names, "root object", o.idx).guid()+"}",
		"OperationType", "Object Access", "AccessMask", "0x100", "AccessList", "%%7688", "Properties", "%%7688 {1131f6aa-9c07-11d1-f79f-00c04fc2dcd2} {19195a5b-6da0-11d0-afd3-00c04fd930c9}",
		"EventType", "AUDIT_SUCCESS", "Category", "Directory Service Access")
}

// audit writes a record of the directory's own log about a person's credentials.
func (s *scribe) audit(o *org, t time.Time, what, by string, from netip.Addr, target *person, changed ...pair) {
	props := make([]map[string]string, 0, len(changed))
	for _, c := range changed {
		props = append(props, map[string]string{"displayName": c.Name, "newValue": c.Value})
	}
	service, result := "Core Directory", "success"
	if strings.Contains(what, "security info") {
		service = "Authentication Methods"
	}
	s.line(o, auditFile, t, string(jsonOf(map[string]any{"id": "Directory_" + s.n.guid(), "activityDateTime": t.Format(time.RFC3339), "activityDisplayName": what, "category": "UserManagement",
		"correlationId": s.n.guid(), "result": result, "loggedByService": service, "operationType": "Update",
		"initiatedBy":     map[string]any{"user": map[string]string{"userPrincipalName": by, "ipAddress": from.String()}},
		"targetResources": []any{map[string]any{"displayName": target.full(), "userPrincipalName": target.mail, "id": target.oid, "type": "User", "modifiedProperties": props}}})))
}
