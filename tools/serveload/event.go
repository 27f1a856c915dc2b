package main

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// writer writes the records of one connection. Every record is its own: it has an id of its source where its format
// knows one.
type writer struct {
	run   uint64 // of this process
	conn  uint64
	count uint64 // records written
	size  int    // bytes that a record is padded to
	rng   *rand.Rand
	pad   string
}

func newWriter(run, conn uint64, size int) *writer {
	w := &writer{run: run, conn: conn, size: size, rng: rand.New(rand.NewPCG(run, conn))}
	var b []byte
	for len(b) < 64<<10 {
		b = append(append(b, words[w.rng.IntN(len(words))]...), ' ')
		if w.rng.IntN(6) == 0 {
			b = append(w.hex(b, 8), ' ')
		}
	}
	w.pad = string(b)
	return w
}

// record appends one record of a sensor, with its line end.
func (w *writer) record(b []byte, o *org, sensor string, at time.Time) []byte {
	w.count++
	start := len(b)
	var filler string
	switch n := w.rng.IntN(100); {
	case sensor == "zeek" && n < 60:
		b, filler = w.connection(b, o, at), "note"
	case sensor == "zeek" && n < 85:
		b, filler = w.dns(b, o, at), "note"
	case sensor == "zeek":
		b, filler = w.http(b, o, at), "note"
	case sensor == "windows" && n < 40:
		b, filler = w.beatLogon(b, o, at), "message"
	case sensor == "windows" && n < 70:
		b, filler = w.sysmon(b, o, at), "message"
	case sensor == "windows":
		b, filler = w.nxlog(b, o, at), "Message"
	case sensor == "cloud" && n < 50:
		b, filler = w.signin(b, o, at), "additionalDetails"
	case sensor == "cloud":
		b, filler = w.audit(b, o, at), "ExtendedProperties"
	default:
		b, filler = w.syslog(b, o, at), "structured-data"
	}
	if left := w.size - (len(b) - start) - len(filler) - 8; left > 0 { // ,"":"" and } and the line end
		at := w.rng.IntN(len(w.pad) - left)
		b = append(append(append(append(append(b, `,"`...), filler...), `":"`...), w.pad[at:at+left]...), '"')
	}
	return append(b, '}', '\n')
}

const digits = "0123456789abcdef"

func (w *writer) hex(b []byte, n int) []byte {
	x := w.rng.Uint64()
	for range n {
		b = append(b, digits[x&15])
		x >>= 4
	}
	return b
}

// unique appends 32 hexadecimal digits that no other record of any run has.
func (w *writer) unique(b []byte, dashes bool) []byte {
	for i, x := range [2]uint64{w.run, w.conn<<40 | w.count} {
		for k := 60; k >= 0; k -= 4 {
			b = append(b, digits[x>>k&15])
			if n := i*16 + (60-k)/4; dashes && (n == 7 || n == 11 || n == 15 || n == 19) {
				b = append(b, '-')
			}
		}
	}
	return b
}

func str(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(b, s...)
	}
	return b
}

func num(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

const milli = "2006-01-02T15:04:05.000Z"

// host picks a workstation and its user: both nearly always the same pair.
func (w *writer) host(o *org) (host int, user string) {
	host = serversOf + w.rng.IntN(hostsOf-serversOf)
	return host, o.users[host%usersOf]
}

func (w *writer) zeek(b []byte, path string, o *org, host int, at time.Time, to string, port int, proto string) []byte {
	b = str(b, `{"_path":"`, path, `","ts":`)
	b = strconv.AppendFloat(b, float64(at.UnixMicro())/1e6, 'f', 6, 64)
	b = w.unique(str(b, `,"uid":"C`), false)
	b = num(str(b, `","id.orig_h":"`, o.addresses[host], `","id.orig_p":`), 49152+w.rng.IntN(16000))
	b = num(str(b, `,"id.resp_h":"`, to, `","id.resp_p":`), port)
	return str(b, `,"proto":"`, proto, `"`)
}

func (w *writer) connection(b []byte, o *org, at time.Time) []byte {
	host, _ := w.host(o)
	to, port, service := o.siteAddresses[(host*7+w.rng.IntN(8))%sitesOf], 443, "ssl"
	if w.rng.IntN(3) == 0 { // within: each host has its servers
		server := host % serversOf
		to, port, service = o.addresses[server], []int{445, 389, 88}[server%3], []string{"gssapi,smb", "ldap_tcp", "krb_tcp"}[server%3]
	}
	b = w.zeek(b, "conn", o, host, at, to, port, "tcp")
	b = str(b, `,"service":"`, service, `","duration":`)
	b = strconv.AppendFloat(b, w.rng.ExpFloat64(), 'f', 6, 64)
	b = num(str(b, `,"orig_bytes":`), w.rng.IntN(4000))
	b = num(str(b, `,"resp_bytes":`), w.rng.IntN(40000))
	b = str(b, `,"conn_state":"SF","local_orig":true,"local_resp":false,"missed_bytes":0,"history":"ShADadFf","orig_pkts":`)
	b = num(b, 4+w.rng.IntN(40))
	b = num(str(b, `,"orig_ip_bytes":`), 300+w.rng.IntN(5000))
	b = num(str(b, `,"resp_pkts":`), 4+w.rng.IntN(60))
	return num(str(b, `,"resp_ip_bytes":`), 300+w.rng.IntN(50000))
}

func (w *writer) dns(b []byte, o *org, at time.Time) []byte {
	host, _ := w.host(o)
	site := (host*7 + w.rng.IntN(8)) % sitesOf
	b = w.zeek(b, "dns", o, host, at, o.addresses[0], 53, "udp")
	b = num(str(b, `,"trans_id":`), w.rng.IntN(1<<16))
	b = str(b, `,"rtt":0.01`)
	b = num(b, w.rng.IntN(1000))
	return str(b, `,"query":"`, o.sites[site], `","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"answers":["`,
		o.siteAddresses[site], `"],"TTLs":[120.0],"rejected":false`)
}

func (w *writer) http(b []byte, o *org, at time.Time) []byte {
	host, _ := w.host(o)
	site := (host*7 + w.rng.IntN(8)) % sitesOf
	b = w.zeek(b, "http", o, host, at, o.siteAddresses[site], 80, "tcp")
	b = str(b, `,"trans_depth":1,"method":"GET","host":"`, o.sites[site], `","uri":"/`, words[w.rng.IntN(len(words))], `/`)
	b = w.hex(b, 12)
	b = str(b, `.html","version":"1.1","user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36","request_body_len":0,"response_body_len":`)
	return str(num(b, w.rng.IntN(90000)), `,"status_code":200,"status_msg":"OK","tags":[],"resp_fuids":["F`, string(w.hex(nil, 16)), `"],"resp_mime_types":["text/html"]`)
}

// beatLogon is a logon as winlogbeat sends it.
func (w *writer) beatLogon(b []byte, o *org, at time.Time) []byte {
	host, user := w.host(o)
	from, server := o.addresses[host], host%serversOf
	if w.rng.IntN(200) == 0 { // a technician of the provider
		user, from = o.techs[w.rng.IntN(len(o.techs))], "203.0.113.5"
		server = w.rng.IntN(3)
	}
	b = at.AppendFormat(str(b, `{"@timestamp":"`), milli)
	b = str(b, `","agent":{"type":"winlogbeat","version":"8.14.1","name":"`, o.hosts[server], `"},"ecs":{"version":"8.0.0"},"event":{"code":"4624","kind":"event","provider":"Microsoft-Windows-Security-Auditing","action":"logged-in","outcome":"success"},"host":{"name":"`,
		o.hosts[server], ".", o.domain, `"},"winlog":{"channel":"Security","event_id":"4624","provider_name":"Microsoft-Windows-Security-Auditing","task":"Logon","keywords":["Audit Success"],"computer_name":"`, o.hosts[server], ".", o.domain, `","record_id":`)
	b = strconv.AppendUint(b, w.number(), 10)
	b = str(b, `,"event_data":{"SubjectUserSid":"S-1-0-0","SubjectUserName":"-","SubjectDomainName":"-","SubjectLogonId":"0x0","TargetUserName":"`, user, `","TargetDomainName":"CORP","TargetLogonId":"0x`)
	b = w.hex(b, 7)
	b = str(b, `","LogonType":"3","LogonProcessName":"Kerberos","AuthenticationPackageName":"Kerberos","WorkstationName":"-","IpAddress":"`, from, `","IpPort":"`)
	return str(num(b, 49152+w.rng.IntN(16000)), `","LogonGuid":"{`, string(w.unique(nil, true)), `}","ElevatedToken":"%%1843"}}`)
}

// number is a record number that no other record of this host and channel has.
func (w *writer) number() uint64 { return w.run%1_000_000*1_000_000_000 + w.conn*10_000_000 + w.count }

var programs = []struct{ image, line, parent string }{
	{`C:\\Windows\\System32\\svchost.exe`, `svchost.exe -k netsvcs -p -s Schedule`, `C:\\Windows\\System32\\services.exe`},
	{`C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe`, `\"chrome.exe\" --type=renderer --lang=en`, `C:\\Windows\\explorer.exe`},
	{`C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE`, `\"WINWORD.EXE\" /n \"Report.docx\"`, `C:\\Windows\\explorer.exe`},
	{`C:\\Windows\\System32\\conhost.exe`, `conhost.exe 0xffffffff -ForceV1`, `C:\\Windows\\System32\\cmd.exe`},
	{`C:\\Windows\\System32\\taskhostw.exe`, `taskhostw.exe SYSTEM`, `C:\\Windows\\System32\\svchost.exe`},
	{`C:\\Program Files\\Windows Defender\\MpCmdRun.exe`, `\"MpCmdRun.exe\" SignatureUpdate -ScheduleJob`, `C:\\Windows\\System32\\svchost.exe`},
}

// sysmon is the start of a process as winlogbeat sends it.
func (w *writer) sysmon(b []byte, o *org, at time.Time) []byte {
	host, user := w.host(o)
	p := programs[w.rng.IntN(len(programs))]
	return w.process(b, o, o.hosts[host], user, p.image, p.line, p.parent, "", at)
}

func (w *writer) process(b []byte, o *org, host, user, image, line, parent, original string, at time.Time) []byte {
	b = at.AppendFormat(str(b, `{"@timestamp":"`), milli)
	b = str(b, `","event":{"code":"1","kind":"event","provider":"Microsoft-Windows-Sysmon"},"host":{"name":"`, host, ".", o.domain, `"},"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1","provider_name":"Microsoft-Windows-Sysmon","computer_name":"`,
		host, ".", o.domain, `","record_id":`)
	b = strconv.AppendUint(b, w.number(), 10)
	b = at.AppendFormat(str(b, `,"event_data":{"UtcTime":"`), "2006-01-02 15:04:05.000")
	b = str(b, `","ProcessGuid":"{`, string(w.unique(nil, true)), `}","ProcessId":"`)
	b = num(b, 1000+w.rng.IntN(30000))
	return str(b, `","Image":"`, image, `","OriginalFileName":"`, original, `","CommandLine":"`, line, `","CurrentDirectory":"C:\\Windows\\system32\\","User":"CORP\\`, user, `","IntegrityLevel":"Medium","Hashes":"SHA256=`,
		string(w.hex(w.hex(nil, 16), 16)), `","ParentImage":"`, parent, `"}}`)
}

// nxlog is a logon or logoff as nxlog sends it.
func (w *writer) nxlog(b []byte, o *org, at time.Time) []byte {
	host, user := w.host(o)
	server := host % serversOf
	id, task, category := 4624, 12544, "Logon"
	if w.rng.IntN(2) == 0 {
		id, task, category = 4634, 12545, "Logoff"
	}
	b = at.AppendFormat(str(b, `{"@timestamp":"`), milli)
	b = at.AppendFormat(str(b, `","EventTime":"`), "2006-01-02 15:04:05")
	b = num(str(b, `","Hostname":"`, o.hosts[server], ".", o.domain, `","Channel":"Security","EventID":`), id)
	b = num(str(b, `,"SourceName":"Microsoft-Windows-Security-Auditing","Severity":"INFO","Task":`), task)
	b = strconv.AppendUint(str(b, `,"RecordNumber":`), w.number(), 10)
	b = str(b, `,"SourceModuleType":"im_msvistalog","TargetUserName":"`, user, `","TargetDomainName":"CORP","TargetLogonId":"0x`)
	b = w.hex(b, 7)
	b = str(b, `","LogonType":"3","EventType":"AUDIT_SUCCESS","Category":"`, category, `"`)
	if id == 4624 {
		b = str(b, `,"SubjectUserSid":"S-1-0-0","SubjectUserName":"-","LogonProcessName":"Kerberos","AuthenticationPackageName":"Kerberos","WorkstationName":"-","IpAddress":"`, o.addresses[host], `","IpPort":"`)
		b = str(num(b, 49152+w.rng.IntN(16000)), `"`)
	}
	return b
}

// signin is a sign-in of Entra ID.
func (w *writer) signin(b []byte, o *org, at time.Time) []byte {
	host, user := w.host(o)
	b = w.unique(str(b, `{"id":"`), true)
	b = at.AppendFormat(str(b, `","createdDateTime":"`), "2006-01-02T15:04:05.000Z")
	b = str(b, `","appId":"1fec8e78-bce4-4aaf-ab1b-5451cc387264","appDisplayName":"Microsoft Teams","ipAddress":"198.19.`)
	b = num(b, o.index)
	b = num(str(b, "."), 1+host%4)
	return str(b, `","clientAppUsed":"Browser","conditionalAccessStatus":"success","isInteractive":true,"resourceDisplayName":"Office 365 Exchange Online","resourceTenantId":"`, o.entra, `","homeTenantId":"`, o.entra,
		`","crossTenantAccessType":"none","status":{"errorCode":0},"location":{"city":"Leipzig","countryOrRegion":"DE"},"userPrincipalName":"`, user, "@", o.domain, `","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64)","authenticationRequirement":"multiFactorAuthentication","deviceDetail":{"operatingSystem":"Windows10","isCompliant":true}`)
}

// audit is a record of the unified audit log of Microsoft 365, whose times are whole seconds.
func (w *writer) audit(b []byte, o *org, at time.Time) []byte {
	host, user := w.host(o)
	b = at.AppendFormat(str(b, `{"CreationTime":"`), "2006-01-02T15:04:05")
	b = w.unique(str(b, `","Id":"`), true)
	b = str(b, `","Operation":"`, []string{"FileAccessed", "FileModified", "MailItemsAccessed", "UserLoggedIn"}[w.rng.IntN(4)], `","OrganizationId":"`, o.entra, `","RecordType":6,"ResultStatus":"Succeeded","UserType":0,"Version":1,"Workload":"SharePoint","ClientIP":"198.19.`)
	b = num(b, o.index)
	b = num(str(b, "."), 1+host%4)
	return str(b, `","UserId":"`, user, "@", o.domain, `","ObjectId":"https://`, o.id, `.sharepoint.example/sites/team/Shared Documents/`, string(w.hex(nil, 8)), `.docx"`)
}

// syslog is a line as rsyslog forwards it in JSON. It has no id of its own.
func (w *writer) syslog(b []byte, o *org, at time.Time) []byte {
	server := w.rng.IntN(serversOf)
	b = at.AppendFormat(str(b, `{"timereported":"`), "2006-01-02T15:04:05.000000Z07:00")
	b = str(b, `","fromhost":"lx-`, o.hosts[server], `","fromhost-ip":"`, o.addresses[server], `","syslogtag":"sshd[`)
	b = num(b, 1000+w.rng.IntN(30000))
	b = str(b, `]:","programname":"sshd","syslogfacility-text":"auth","syslogseverity-text":"info","message":"Accepted publickey for `, o.users[server], ` from `, o.addresses[serversOf+server], ` port `)
	return str(num(b, 49152+w.rng.IntN(16000)), ` ssh2: ED25519 SHA256:`, string(w.hex(w.hex(nil, 16), 16)), `"`)
}

// marker is a record that one of our own rules finds on a host of its own: a port probe named as a part of Windows,
// run by an account of the provider.
func (w *writer) marker(b []byte, o *org, host string, at time.Time) []byte {
	w.count++
	b = w.process(b, o, host, o.techs[0], `C:\\ProgramData\\rund1132.exe`, `rund1132.exe 10.1.2.3 445`, `C:\\Windows\\System32\\cmd.exe`, "tcping.exe", at)
	return append(b, '}', '\n')
}
