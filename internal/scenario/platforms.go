package scenario

import (
	"fmt"
	"net/netip"
	"time"
)

// platform is a product with an agent on every host that does what its console says: remote management, or one that
// is not called so and can do the same: endpoint protection, backup, patches.
type platform struct {
	tool, service           string
	exe                     string // the agent, which starts what it is told
	original, company       string
	work                    string   // where jobs' files lie
	hosts                   []string // the maker's, to which agents speak; none: the provider's own server
	port                    int
	login, check, give, hit string // paths of its own server: the sign-in page, agents' calls, files for agents, what the flaw is in
	server                  string // the server's own program
}

// managers are products for remote management that providers run on a server of their own.
var managers = []platform{
	{tool: "kaseya", service: "Kaseya Agent", exe: `C:\Program Files (x86)\Kaseya\KASRV01\AgentMon.exe`, original: "AgentMon.exe", company: "Kaseya", work: `C:\kworking\`, port: 5721,
		login: "/vsapres/web20/core/login.aspx", check: "/cgi-bin/KUpload.dll", give: "/dl.asp", hit: "/userFilterTableRpt.asp", server: `C:\Windows\System32\inetsrv\w3wp.exe`},
	{tool: "automate", service: "LTService", exe: `C:\Windows\LTSvc\LTSVC.exe`, original: "LTSVC.exe", company: "ConnectWise", work: `C:\Windows\LTSvc\packages\`, port: 443,
		login: "/automate/login", check: "/LabTech/agent.aspx", give: "/LabTech/Transfer/package.zip", hit: "/LabTech/Deployment.aspx", server: `C:\Windows\System32\inetsrv\w3wp.exe`},
	{tool: "manageengine", service: "ManageEngine UEMS - Agent", exe: `C:\Program Files (x86)\ManageEngine\UEMS_Agent\bin\dcagentservice.exe`, original: "dcagentservice.exe", company: "ZOHO Corp", work: `C:\Program Files (x86)\ManageEngine\UEMS_Agent\downloads\`, port: 8383,
		login: "/configurations.do", check: "/emsapi/agent/status", give: "/swrepository/package.zip", hit: "/SamlResponseServlet", server: `C:\Program Files\UEMS_CentralServer\jre\bin\java.exe`},
	{tool: "screenconnect", service: "ScreenConnect", exe: "", original: "ScreenConnect.ClientService.exe", company: "ScreenConnect Software", work: `C:\Windows\Temp\ScreenConnect\`, port: 443,
		login: "/Login", check: "/Services/PageService.ashx/GetLiveData", give: "/Bin/ScreenConnect.Client.exe", hit: "/SetupWizard.aspx/", server: `C:\Program Files (x86)\ScreenConnect\bin\ScreenConnect.Service.exe`},
}

// uncalled are products that nobody calls remote management.
var uncalled = []platform{
	{tool: "webroot", service: "WRSVC", exe: `C:\Program Files\Webroot\WRSA.exe`, original: "WRSA.exe", company: "Webroot", work: `C:\ProgramData\WRData\`, hosts: []string{"g1.p4.webrootcloudav.com"}, port: 443},
	{tool: "sophos", service: "Sophos Live Response", exe: `C:\Program Files\Sophos\Live Terminal\SophosLiveTerminal.exe`, original: "SophosLiveTerminal.exe", company: "Sophos Limited", work: `C:\ProgramData\Sophos\Live Terminal\`, hosts: []string{"mcs2-cloudstation-eu-central-1.prod.hydra.sophos.com"}, port: 443},
	{tool: "veeam", service: "Veeam Agent for Microsoft Windows", exe: `C:\Program Files\Veeam\Endpoint Backup\Veeam.EndPoint.Service.exe`, original: "Veeam.EndPoint.Service.exe", company: "Veeam Software Group GmbH", work: `C:\ProgramData\Veeam\Scripts\`, port: 6180},
	{tool: "cove", service: "Backup Service Controller", exe: `C:\Program Files\Backup Manager\BackupFP.exe`, original: "BackupFP.exe", company: "N-able", work: `C:\ProgramData\MXB\Scripts\`, hosts: []string{"backup.management"}, port: 443},
	{tool: "pdqconnect", service: "PDQConnectAgent", exe: `C:\Program Files\PDQ\PDQConnectAgent\pdq-connect-agent.exe`, original: "pdq-connect-agent.exe", company: "PDQ.com", work: `C:\ProgramData\PDQ\PDQConnectAgent\Downloads\`, hosts: []string{"app.pdq.com"}, port: 443},
}

// setPlatform draws the product, and puts its agent on the hosts of those who have remote management, unless the kind
// has said who has it.
func (w *world) setPlatform() {
	if len(w.kind.platforms) == 0 {
		return
	}
	pl := pick(newRNG(w.o.Seed, "platform"), w.kind.platforms)
	w.platform = &pl
	said := false
	for _, c := range w.clients {
		said = said || c.fleet
	}
	for _, c := range w.clients {
		c.fleet = c.fleet || !said && c.reach.rmm
	}
}

// platformHost is what agents speak to.
func (w *world) platformHost() (string, netip.Addr) {
	if pl := w.platform; len(pl.hosts) > 0 {
		return pl.hosts[0], newRNG(w.names, "platform").public()
	}
	if w.platform.tool == "screenconnect" {
		return w.relay, w.provider.gateway
	}
	return "rmm." + w.provider.domain, w.provider.gateway
}

func (w *world) declaredPlatform() []toolConf {
	if w.platform.tool == "screenconnect" {
		return nil // declared by its instance
	}
	host, _ := w.platformHost()
	return []toolConf{{Tool: w.platform.tool, Hosts: []string{host}}}
}

// managementServer is the provider's host on which the platform's own server runs.
func (w *world) managementServer() *host { return w.provider.servers[len(w.provider.servers)-1] }

const system32 = `NT AUTHORITY\SYSTEM`

// job writes what a host sees of an order from the console: the agent fetches it, a shell below the agent, and what the
// shell starts.
func (s *scribe) job(o *org, h *host, t time.Time, list []process) {
	pl := s.w.platform
	host, ip := s.w.platformHost()
	s.tls(o, t.Add(-2*time.Second), h.ip, ip, pl.port, host, s.n.span(300*time.Millisecond, 9*time.Second), s.n.between(900, 9000), s.n.between(2000, 900_000))
	if pl.tool == "screenconnect" {
		s.runs(o, h, t, s.w.providerAgent(h), list)
		return
	}
	shell := `"C:\Windows\System32\cmd.exe" /c "` + pl.work + s.n.guid() + `.cmd"`
	guid := s.process(o, h, t, process{image: cmdExe, original: "Cmd.Exe", cmd: shell, user: system32, parent: pl.exe, parentCmd: `"` + pl.exe + `"`})
	for i, c := range list {
		c.user, c.parent, c.parentCmd, c.parentGUID = system32, cmdExe, shell, guid
		s.process(o, h, t.Add(time.Duration(i+1)*s.n.span(300*time.Millisecond, 4*time.Second)+time.Second), c)
	}
}

// pack is a file that a job brings along and runs.
type pack struct{ name, args string }

var packs = []pack{{"agent.exe", ""}, {"setup.exe", " /quiet"}, {"update.exe", " -s"}, {"collector.exe", " /run"}}

func (w *world) packed(p pack) (file, cmd string) {
	file = w.platform.work + p.name
	return file, file + p.args
}

// unpacks are the steps by which a script turns text that it carries into a program and runs it.
func (s *scribe) unpacks(p pack) []process {
	file, cmd := s.w.packed(p)
	decode := tool("certutil.exe", "certutil -decode "+s.w.platform.work+s.n.hex(4)+".crt "+file)
	decode.original = "CertUtil.exe"
	return []process{decode, {image: file, original: "-", company: "-", product: "-", cmd: cmd}}
}

// waits is how a script sleeps, so that not all hosts begin at once.
func (s *scribe) waits(least, most int) process {
	return tool("PING.EXE", fmt.Sprintf("ping.exe 127.0.0.1 -n %d", s.n.between(least, most)))
}

// installsPack is an honest job with such a file, whose program calls the installer.
func (s *scribe) installsPack(o *org, h *host, t time.Time, p pack) {
	file, cmd := s.w.packed(p)
	s.job(o, h, t, append([]process{s.waits(3, 900)}, s.unpacks(p)...))
	s.wrote(o, h, t.Add(9*time.Second), file, `C:\Windows\Temp\`+s.n.hex(4)+`.msi`)
	msi := tool("msiexec.exe", `msiexec.exe /i C:\Windows\Temp\package.msi /qn`)
	msi.user, msi.parent, msi.parentCmd = system32, file, cmd
	s.process(o, h, t.Add(10*time.Second), msi)
}
