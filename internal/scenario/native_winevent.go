package scenario

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

const winFile = "windows/events.jsonl"

const (
	security    = "Security"
	system      = "System"
	application = "Application"
	sysmon      = "Microsoft-Windows-Sysmon/Operational"
)

// win writes one Windows event as the collector forwards it: flat JSON, system fields first. Its record number is
// filled in when the day is written.
func (s *scribe) win(o *org, h *host, t time.Time, channel, source string, id, task int, kv ...string) {
	t = t.Truncate(time.Millisecond)
	told := o.shown(winFile, t)
	var b strings.Builder
	fmt.Fprintf(&b, `{"@timestamp":%q,"EventTime":%q,"Hostname":"%s.%s","Channel":%q,"EventID":%d,"SourceName":%q,"Severity":"INFO","Task":%d,"RecordNumber":`,
		told.Format("2006-01-02T15:04:05.000Z"), told.Format("2006-01-02 15:04:05"), h.name, o.ad, channel, id, source, task)
	pre := b.String()
	b.Reset()
	fmt.Fprintf(&b, `,"SourceModuleType":"im_msvistalog","host":"wec.%s"`, o.ad)
	for i := 0; i+1 < len(kv); i += 2 {
		fmt.Fprintf(&b, `,%q:%s`, kv[i], jsonOf(kv[i+1]))
	}
	b.WriteByte('}')
	s.put(o, winFile, rec{t: t, line: pre, post: b.String(), host: h.name + "." + o.ad + "/" + channel, step: s.step})
}

// sidOf is the SID of an account of the organisation's domain.
func (o *org) sidOf(login string) string {
	r := newRNG(uint64(len(login)), o.sid, login)
	return fmt.Sprintf("%s-%d", o.sid, 1104+r.IntN(900))
}

// logon is one session of a user on a Windows host.
type logon struct {
	host        *host
	user        string
	kind        int // logon type: 2, 3, 10 …
	workstation string
	ip          netip.Addr
	id          string // set by scribe.logon
}

const auditing = "Microsoft-Windows-Security-Auditing"

func (s *scribe) logonID() string { return fmt.Sprintf("0x%x", s.n.between(0x500000, 0x9ffffff)) }

// logon writes 4624, and 4672 for an administrator, and fills in the session's id.
func (s *scribe) logon(o *org, t time.Time, l *logon, admin bool) {
	l.id = s.logonID()
	proc, pkg, ws, ip, port := "NtLmSsp ", "NTLM", l.workstation, "-", "-"
	if l.kind == 2 || l.kind == 10 {
		proc, pkg = "User32 ", "Negotiate"
	} else if l.kind == 8 { // a password given to a web page
		proc, pkg = "Advapi  ", "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"
	} else if s.n.chance(0.6) {
		proc, pkg, ws = "Kerberos", "Kerberos", "-"
	}
	if l.ip.IsValid() {
		from, _ := s.family(o, l.ip, l.host.ip, false)
		ip, port = from.String(), fmt.Sprint(s.n.port())
	} else if l.kind == 2 {
		ip, port = "127.0.0.1", "0"
	}
	if ws == "" {
		ws = l.host.name
	}
	name := "-"
	if l.kind != 3 {
		name = `C:\Windows\System32\svchost.exe`
	}
	elevated := "%%1843"
	if admin {
		elevated = "%%1842"
	}
	s.win(o, l.host, t, security, auditing, 4624, 12544, "SubjectUserSid", "S-1-0-0", "SubjectUserName", "-", "SubjectDomainName", "-", "SubjectLogonId", "0x0",
		"TargetUserName", l.user, "TargetDomainName", o.short, "LogonType", fmt.Sprint(l.kind), "LogonProcessName", proc, "AuthenticationPackageName", pkg,
		"WorkstationName", ws, "IpAddress", ip, "IpPort", port, "ProcessName", name, "TargetUserSid", o.sidOf(l.user), "TargetLogonId", l.id,
		"LogonGuid", "{"+s.n.guid()+"}", "ElevatedToken", elevated, "ImpersonationLevel", "%%1833", "EventType", "AUDIT_SUCCESS", "Category", "Logon")
	if admin {
		s.win(o, l.host, t.Add(time.Millisecond), security, auditing, 4672, 12548, "SubjectUserSid", o.sidOf(l.user), "SubjectUserName", l.user, "SubjectDomainName", o.short,
			"SubjectLogonId", l.id, "PrivilegeList", "SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege\r\n\t\t\tSeRestorePrivilege\r\n\t\t\tSeDebugPrivilege",
			"EventType", "AUDIT_SUCCESS", "Category", "Special Logon")
	}
}

func (s *scribe) logoff(o *org, t time.Time, l *logon) {
	s.win(o, l.host, t, security, auditing, 4634, 12545, "TargetUserSid", o.sidOf(l.user), "TargetUserName", l.user, "TargetDomainName", o.short,
		"TargetLogonId", l.id, "LogonType", fmt.Sprint(l.kind), "EventType", "AUDIT_SUCCESS", "Category", "Logoff")
}

// denied writes 4625: a logon with a wrong password.
func (s *scribe) denied(o *org, t time.Time, l logon) {
	ws := l.workstation
	if ws == "" {
		ws = l.host.name
	}
	ip := "127.0.0.1"
	if l.ip.IsValid() {
		from, _ := s.family(o, l.ip, l.host.ip, false)
		ip = from.String()
	}
	s.win(o, l.host, t, security, auditing, 4625, 12544, "SubjectUserSid", "S-1-0-0", "SubjectUserName", "-", "SubjectDomainName", "-", "SubjectLogonId", "0x0",
		"TargetUserName", l.user, "TargetDomainName", o.short, "LogonType", fmt.Sprint(l.kind), "LogonProcessName", "NtLmSsp ", "AuthenticationPackageName", "NTLM",
		"WorkstationName", ws, "IpAddress", ip, "IpPort", fmt.Sprint(s.n.port()), "ProcessName", "-", "TargetUserSid", "S-1-0-0",
		"Status", "0xc000006d", "SubStatus", "0xc000006a", "FailureReason", "%%2313", "EventType", "AUDIT_FAILURE", "Category", "Logon")
}

// account writes one of the account management events: 4720 made, 4724 password reset, 4728 added to a group.
func (s *scribe) account(o *org, t time.Time, id int, by, target, group string) {
	kv := []string{"TargetUserName", target, "TargetDomainName", o.short, "TargetSid", o.sidOf(target)}
	if id == 4728 {
		kv = []string{"MemberName", "CN=" + target + ",OU=Admins,DC=" + strings.ReplaceAll(o.ad, ".", ",DC="), "TargetUserName", group, "TargetDomainName", o.short}
	}
	kv = append(kv, "SubjectUserName", by, "SubjectDomainName", o.short, "SubjectUserSid", o.sidOf(by), "SubjectLogonId", s.logonID(),
		"EventType", "AUDIT_SUCCESS", "Category", "User Account Management")
	s.win(o, o.servers[0], t, security, auditing, id, 13824, kv...)
}

// process is what Sysmon 1 says of one.
type process struct {
	image, original, company, product string
	cmd                               string
	user                              string // DOMAIN\login, NT AUTHORITY\SYSTEM
	logon                             string
	parent, parentCmd, parentGUID     string
}

// utc is how Sysmon writes a time.
func (o *org) utc(t time.Time) string {
	return o.shown(winFile, t.Truncate(time.Millisecond)).Format("2006-01-02 15:04:05.000")
}

func hashOf(image string) string {
	return fmt.Sprintf("SHA256=%X", sha256.Sum256([]byte(lower(path.Base(strings.ReplaceAll(image, `\`, "/"))))))
}

// process writes Sysmon 1, at some hosts 4688 too, and returns the process's GUID.
func (s *scribe) process(o *org, h *host, t time.Time, p process) string {
	guid := "{" + s.n.guid() + "}"
	if p.parentGUID == "" {
		p.parentGUID = "{" + s.n.guid() + "}"
	}
	if p.company == "" {
		p.company, p.product = "Microsoft Corporation", "Microsoft® Windows® Operating System"
	}
	if p.original == "" {
		p.original = path.Base(strings.ReplaceAll(p.image, `\`, "/"))
	}
	level := "Medium"
	if strings.Contains(p.user, "SYSTEM") {
		level, p.logon = "System", "0x3e7"
	} else if p.logon == "" {
		p.logon = s.logonID()
	}
	tm := o.utc(t)
	s.win(o, h, t, sysmon, "Microsoft-Windows-Sysmon", 1, 1, "UtcTime", tm, "ProcessGuid", guid, "ProcessId", fmt.Sprint(s.n.between(500, 9000)),
		"Image", p.image, "OriginalFileName", p.original, "Company", p.company, "Product", p.product, "CommandLine", p.cmd, "CurrentDirectory", `C:\Windows\system32\`,
		"User", p.user, "LogonId", p.logon, "IntegrityLevel", level, "Hashes", hashOf(p.image), "ParentProcessGuid", p.parentGUID,
		"ParentProcessId", fmt.Sprint(s.n.between(500, 9000)), "ParentImage", p.parent, "ParentCommandLine", p.parentCmd, "RuleName", "-",
		"EventType", "INFO", "Category", "Process Create (rule: ProcessCreate)")
	return guid
}

// created writes 4688 for a process.
func (s *scribe) created(o *org, h *host, t time.Time, p process) {
	who := p.user[strings.LastIndexByte(p.user, '\\')+1:]
	if who == "SYSTEM" {
		who = h.name + "$"
	}
	s.win(o, h, t, security, auditing, 4688, 13312, "SubjectUserSid", o.sidOf(who), "SubjectUserName", who, "SubjectDomainName", o.short, "SubjectLogonId", s.logonID(),
		"NewProcessId", fmt.Sprintf("0x%x", s.n.between(400, 9000)), "NewProcessName", p.image, "TokenElevationType", "%%1936", "ProcessId", fmt.Sprintf("0x%x", s.n.between(400, 9000)),
		"CommandLine", p.cmd, "TargetUserSid", "S-1-0-0", "TargetUserName", "-", "TargetDomainName", "-", "TargetLogonId", "0x0", "ParentProcessName", p.parent,
		"MandatoryLabel", "S-1-16-8192", "EventType", "AUDIT_SUCCESS", "Category", "Process Creation")
}

// connects writes Sysmon 3.
func (s *scribe) connects(o *org, h *host, t time.Time, image, user string, dst netip.Addr, dstHost string, port int) {
	s.win(o, h, t, sysmon, "Microsoft-Windows-Sysmon", 3, 3, "UtcTime", o.utc(t), "ProcessGuid", "{"+s.n.guid()+"}",
		"ProcessId", fmt.Sprint(s.n.between(500, 9000)), "Image", image, "User", user, "Protocol", "tcp", "Initiated", "true", "SourceIsIpv6", "false", "SourceIp", h.ip.String(),
		"SourceHostname", h.name+"."+o.ad, "SourcePort", fmt.Sprint(s.n.port()), "DestinationIsIpv6", "false", "DestinationIp", dst.String(), "DestinationHostname", dstHost,
		"DestinationPort", fmt.Sprint(port), "RuleName", "-", "EventType", "INFO", "Category", "Network connection detected (rule: NetworkConnect)")
}

// wrote writes Sysmon 11: a file made.
func (s *scribe) wrote(o *org, h *host, t time.Time, image, target string) {
	tm := o.utc(t)
	s.win(o, h, t, sysmon, "Microsoft-Windows-Sysmon", 11, 11, "UtcTime", tm, "ProcessGuid", "{"+s.n.guid()+"}", "ProcessId", fmt.Sprint(s.n.between(500, 9000)),
		"Image", image, "TargetFilename", target, "CreationUtcTime", tm, "RuleName", "-", "EventType", "INFO", "Category", "File created (rule: FileCreate)")
}

// registry writes Sysmon 13: a value set.
func (s *scribe) registry(o *org, h *host, t time.Time, image, object, details string) {
	s.win(o, h, t, sysmon, "Microsoft-Windows-Sysmon", 13, 13, "UtcTime", o.utc(t), "ProcessGuid", "{"+s.n.guid()+"}",
		"ProcessId", fmt.Sprint(s.n.between(500, 9000)), "Image", image, "TargetObject", object, "Details", details, "RuleName", "-", "EventType", "SetValue",
		"Category", "Registry value set (rule: RegistryEvent)")
}

// resolved writes Sysmon 22.
func (s *scribe) resolved(o *org, h *host, t time.Time, image, query string, answer netip.Addr) {
	s.win(o, h, t, sysmon, "Microsoft-Windows-Sysmon", 22, 22, "UtcTime", o.utc(t), "ProcessGuid", "{"+s.n.guid()+"}",
		"ProcessId", fmt.Sprint(s.n.between(500, 9000)), "QueryName", query, "QueryStatus", "0", "QueryResults", "::ffff:"+answer.String()+";", "Image", image,
		"RuleName", "-", "EventType", "INFO", "Category", "Dns query (rule: DnsQuery)")
}

// service writes 7045.
func (s *scribe) service(o *org, h *host, t time.Time, name, image string) {
	s.win(o, h, t, system, "Service Control Manager", 7045, 0, "ServiceName", name, "ImagePath", image, "ServiceType", "user mode service", "StartType", "auto start",
		"AccountName", "SYSTEM", "ServiceAccount", "LocalSystem", "EventType", "INFO", "ProviderGuid", "{555908D1-A6D7-4695-8E1E-26931D2012F4}")
}

// state writes 7036: a service stopped or running.
func (s *scribe) state(o *org, h *host, t time.Time, name, state string) {
	s.win(o, h, t, system, "Service Control Manager", 7036, 0, "param1", name, "param2", state, "EventType", "INFO")
}
