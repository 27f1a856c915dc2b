package scenario

import (
	"net/netip"
	"time"
)

// deployer is a program that puts itself on other hosts as a service to run something there.
type deployer struct {
	service, file, image, exe, original, company, product string
}

// deployers are what administrators use. The first is PsExec, which intruders use too.
var deployers = []deployer{
	{"PSEXESVC", "PSEXESVC.exe", `%SystemRoot%\PSEXESVC.exe`, `C:\Windows\PSEXESVC.exe`, "psexesvc.exe", "Sysinternals", "Sysinternals PsExec"},
	{"PDQDeployRunner-1", `AdminArsenal\PDQDeployRunner\service-1\PDQDeployRunner-1.exe`, `%windir%\AdminArsenal\PDQDeployRunner\service-1\PDQDeployRunner-1.exe`,
		`C:\Windows\AdminArsenal\PDQDeployRunner\service-1\PDQDeployRunner-1.exe`, "PDQDeployRunner.exe", "PDQ.com", "PDQ Deploy"},
}

// passing is a deployer that calls itself otherwise on every host, as vulnerability scanners and Impacket do.
func passing(r *rng) deployer {
	name := r.token(r.between(4, 8))
	return deployer{service: name, file: name + ".exe", image: `%systemroot%\` + name + ".exe", exe: `C:\Windows\` + name + ".exe", original: "-", company: "-", product: "-"}
}

// registryLook is what a scanner with a login does on a host: it starts the remote registry and reads what is installed.
func (s *scribe) registryLook(o *org, t time.Time, who caller, h *host) {
	x := s.smb(o, t, who, h, true, true, 0)
	x.open(t.Add(90*time.Millisecond), "IPC$")
	at := x.calls(t.Add(200*time.Millisecond), "svcctl", "svcctl", "OpenSCManagerW", "OpenServiceW", "QueryServiceStatus", "StartServiceW", "CloseServiceHandle")
	s.state(o, h, at.Add(time.Second), "Remote Registry", "running")
	at = x.calls(at.Add(2*time.Second), "winreg", "winreg", "OpenLocalMachine", "OpenKey", "EnumKey", "EnumKey", "QueryValue", "CloseKey")
	x.open(at.Add(time.Second), "ADMIN$")
	x.file(at.Add(2*time.Second), "ADMIN$", "SMB::FILE_OPEN", `System32\ntoskrnl.exe`, s.n.between(9_000_000, 12_000_000))
	s.state(o, h, at.Add(5*time.Minute), "Remote Registry", "stopped")
}

// remoteService runs commands on a host by way of a service made over the network: file to ADMIN$, service control
// manager, the service itself, and the traces taken away again.
func (s *scribe) remoteService(o *org, t time.Time, who caller, h *host, d deployer, ntlm bool, list []process) {
	x := s.smb(o, t, who, h, ntlm, true, 0)
	x.open(t.Add(90*time.Millisecond), "ADMIN$")
	if d.original != "-" { // looked for first by those who keep it there
		x.file(t.Add(200*time.Millisecond), "ADMIN$", "SMB::FILE_OPEN", d.file, 0)
	}
	x.file(t.Add(400*time.Millisecond), "ADMIN$", "SMB::FILE_WRITE", d.file, s.n.between(180_000, 720_000))
	x.open(t.Add(700*time.Millisecond), "IPC$")
	at := x.calls(t.Add(800*time.Millisecond), "svcctl", "svcctl", "OpenSCManagerW", "CreateServiceW", "StartServiceW", "CloseServiceHandle")
	s.service(o, h, at.Add(5*time.Millisecond), d.service, d.image)
	guid := s.process(o, h, at.Add(60*time.Millisecond), process{image: d.exe, original: d.original, company: d.company, product: d.product,
		cmd: d.exe, user: `NT AUTHORITY\SYSTEM`, parent: services, parentCmd: services})
	for i, c := range list {
		c.user, c.parent, c.parentCmd, c.parentGUID = `NT AUTHORITY\SYSTEM`, d.exe, d.exe, guid
		s.process(o, h, at.Add(time.Duration(i+1)*s.n.span(time.Second, 9*time.Second)), c)
	}
	end := at.Add(time.Duration(len(list)+1) * 10 * time.Second)
	x.calls(end, "svcctl", "svcctl", "OpenServiceW", "DeleteService", "CloseServiceHandle")
	x.file(end.Add(time.Second), "ADMIN$", "SMB::FILE_DELETE", d.file, 0)
}

// listsShares asks a server for its shares, as every file window does that opens a server by name, and opens one.
func (s *scribe) listsShares(o *org, t time.Time, who caller, h *host, ntlm bool, share string) {
	x := s.smb(o, t, who, h, ntlm, false, 0)
	x.open(t.Add(80*time.Millisecond), "IPC$")
	at := x.calls(t.Add(100*time.Millisecond), "srvsvc", "srvsvc", "NetrShareEnum", "NetrServerGetInfo")
	if share != "" {
		x.open(at.Add(300*time.Millisecond), share)
		x.file(at.Add(500*time.Millisecond), share, "SMB::FILE_OPEN", pick(s.r, shareFiles), s.n.between(0, 900_000))
	}
}

var shareFiles = []string{"Plan.xlsx", `Angebote\2026\Offer 0114.docx`, `IT\network.vsdx`, `Vertraege\frame.pdf`, `Scans\0007.pdf`, `Invoices\2026-02.xlsx`, "desktop.ini"}

// listsPeople asks a domain controller for users and groups over SAMR, as the old administration tools and net.exe do.
func (s *scribe) listsPeople(o *org, t time.Time, who caller, ntlm bool) {
	x := s.smb(o, t, who, o.servers[0], ntlm, false, 0)
	x.open(t.Add(80*time.Millisecond), "IPC$")
	at := x.calls(t.Add(100*time.Millisecond), "samr", "samr", "SamrConnect5", "SamrLookupDomainInSamServer", "SamrOpenDomain")
	for _, op := range some(s.r, [][]string{{"SamrEnumerateUsersInDomain"}, {"SamrOpenGroup", "SamrGetMembersInGroup", "SamrLookupIdsInDomain"}, {"SamrEnumerateAliasesInDomain", "SamrGetMembersInAlias"}}, s.r.between(1, 3)) {
		at = x.calls(at.Add(20*time.Millisecond), "samr", "samr", op...)
	}
	if s.r.chance(0.5) {
		x.calls(at.Add(40*time.Millisecond), "lsarpc", "lsarpc", "LsarOpenPolicy2", "LsarQueryInformationPolicy", "LsarLookupSids")
	}
}

// adminSearches are questions that administrators' tools put to the directory.
var adminSearches = []search{
	{"wholeSubtree", "", "(objectCategory=computer)", "name,operatingSystem,dNSHostName", 14, 40},
	{"wholeSubtree", "", "(&(objectCategory=person)(objectClass=user))", "sAMAccountName,displayName,lastLogonTimestamp", 12, 60},
	{"wholeSubtree", "", "(&(objectCategory=group)(cn=Domain Admins))", "member", 1, 1},
	{"wholeSubtree", "", "(servicePrincipalName=*)", "sAMAccountName,servicePrincipalName", 8, 30},
	{"wholeSubtree", "CN=System", "(objectClass=trustedDomain)", "name,trustDirection", 0, 2},
	{"baseObject", "", "(objectClass=*)", "defaultNamingContext,dnsHostName", 1, 1},
}

// asks puts n of the administrators' questions.
func (s *scribe) asks(o *org, t time.Time, who caller, n int) {
	s.ldap(o, t, who, some(s.r, adminSearches, n)...)
}

// reverses looks up the names of addresses, n of them from the servers' and desks' networks.
func (s *scribe) reverses(o *org, t time.Time, src netip.Addr, n int, pace time.Duration) {
	names := map[netip.Addr]string{}
	for _, h := range append(o.servers[:len(o.servers):len(o.servers)], o.desks...) {
		names[h.ip] = h.name + "." + o.ad
	}
	net := o.serverNet
	if s.r.chance(0.3) {
		net = o.deskNet
	}
	for _, i := range s.r.Perm(sweepLast)[:min(n, sweepLast)] {
		t = t.Add(time.Duration(float64(pace) * (0.3 + 1.4*s.r.Float64())))
		s.ptr(o, t, src, at(net, i+1), names[at(net, i+1)])
	}
}

// directoryRound is a little of everything that a partner's person asks the directory and a file server in one visit.
func (s *scribe) directoryRound(o *org, t time.Time, who caller) {
	s.ticket(o, t, who, "", nil, "")
	s.asks(o, t.Add(time.Minute), who, 2)
	for i, h := range some(s.r, o.servers[1:], 2) {
		s.only = []int{4, 6}[i] // once by address and once by name, at a dual stack client
		s.listsShares(o, t.Add(time.Duration(5+i)*time.Minute), who, h, true, pick(s.r, []string{"C$", "Projects"}))
	}
	s.only = 0
	s.knock(o, t.Add(12*time.Minute), who.ip, pick(s.r, o.servers).ip, pick(s.r, probePorts), true) // behind a host's firewall
	s.reverses(o, t.Add(16*time.Minute), who.ip, 2, time.Minute)
}
