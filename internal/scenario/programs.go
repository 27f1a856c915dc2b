package scenario

import (
	"net/netip"
	"time"
)

const (
	explorer = `C:\Windows\explorer.exe`
	services = `C:\Windows\System32\services.exe`
	cmdExe   = `C:\Windows\System32\cmd.exe`
)

// tool returns a program of the system directory called with a command line.
func tool(exe, cmd string) process { return process{image: `C:\Windows\System32\` + exe, cmd: cmd} }

// adminCommands is what technicians type to see where they are and what is wrong. Who comes to look around uses no
// other words.
var adminCommands = []process{
	tool("whoami.exe", "whoami /all"), tool("ipconfig.exe", "ipconfig /all"), tool("net.exe", `net group "Domain Admins" /domain`),
	tool("nltest.exe", "nltest /domain_trusts"), tool("nltest.exe", "nltest /dclist:"), tool("quser.exe", "quser"), tool("systeminfo.exe", "systeminfo"),
	tool("net.exe", "net view /all"), tool("net.exe", "net localgroup administrators"), tool("tasklist.exe", "tasklist /svc"),
	tool("NETSTAT.EXE", "netstat -ano"), tool("ARP.EXE", "arp -a"), tool("ROUTE.EXE", "route print"), tool("gpresult.exe", "gpresult /r"),
	tool("net.exe", "net share"), tool("net.exe", "net use"),
}

var serverPrograms = []process{
	{image: `C:\Windows\System32\svchost.exe`, cmd: `C:\Windows\system32\svchost.exe -k netsvcs -p -s gpsvc`, parent: services, parentCmd: services},
	{image: `C:\Windows\System32\gpupdate.exe`, cmd: "gpupdate.exe /target:computer", parent: `C:\Windows\System32\svchost.exe`, parentCmd: `C:\Windows\system32\svchost.exe -k netsvcs -p -s gpsvc`},
	{image: `C:\Windows\System32\taskhostw.exe`, cmd: "taskhostw.exe SYSTEM", parent: `C:\Windows\System32\svchost.exe`, parentCmd: `C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule`},
	{image: `C:\Windows\System32\wbem\WmiPrvSE.exe`, cmd: `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`, parent: `C:\Windows\System32\svchost.exe`, parentCmd: `C:\Windows\system32\svchost.exe -k DcomLaunch -p`},
	{image: `C:\Windows\System32\vssadmin.exe`, cmd: "vssadmin list shadows", parent: `C:\Windows\System32\taskeng.exe`, parentCmd: "taskeng.exe {backup}"},
}

var userPrograms = []process{
	{image: `C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE`, original: "Outlook.exe", cmd: `"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE"`},
	{image: `C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE`, original: "Excel.exe", cmd: `"C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE"`},
	{image: `C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE`, original: "WinWord.exe", cmd: `"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE" /n`},
	{image: `C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`, original: "msedge.exe", cmd: `"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe" --profile-directory=Default`},
	{image: `C:\Windows\System32\notepad.exe`, original: "NOTEPAD.EXE", cmd: "notepad.exe"},
	{image: `C:\Windows\System32\mstsc.exe`, original: "mstsc.exe", cmd: `"C:\Windows\system32\mstsc.exe"`},
}

const edge = `C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`

// userProcess writes what somebody's desktop does: a program started, a file saved, a connection, a look-up.
func (s *scribe) userProcess(o *org, t time.Time, p *person) {
	who := o.short + `\` + p.login
	switch s.r.IntN(8) {
	case 0:
		s.wrote(o, p.desk, t, edge, `C:\Users\`+p.login+`\Downloads\`+pick(s.r, []string{"Rechnung.pdf", "figures.xlsx", "support.Client.exe", "setup.exe", "scan0012.pdf", "drawing.dwg"}))
	case 1:
		st := pick(s.r, s.w.sites)
		s.connects(o, p.desk, t, edge, who, st.ip, st.name, 443)
	case 2, 3:
		st := pick(s.r, s.w.sites)
		s.resolved(o, p.desk, t, pick(s.r, []string{edge, `C:\Windows\System32\svchost.exe`}), st.name, st.ip)
	case 4:
		s.registry(o, p.desk, t, explorer, `HKU\`+o.sidOf(p.login)+`\Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs\MRUListEx`, "Binary Data")
	default:
		c := pick(s.r, userPrograms)
		c.user, c.parent, c.parentCmd = who, explorer, explorer
		s.process(o, p.desk, t, c)
		if s.r.chance(0.4) {
			s.created(o, p.desk, t, c)
		}
	}
}

// commands writes what an administrator types into a shell on a host.
func (s *scribe) commands(o *org, h *host, t time.Time, user, logonID string, list []process) {
	if len(list) == 0 {
		return
	}
	who := o.short + `\` + user
	shell := `"C:\Windows\System32\cmd.exe" `
	guid := s.process(o, h, t, process{image: cmdExe, original: "Cmd.Exe", cmd: shell, user: who, logon: logonID, parent: explorer, parentCmd: explorer})
	for i, c := range list {
		c.user, c.logon, c.parent, c.parentCmd, c.parentGUID = who, logonID, cmdExe, shell, guid
		s.process(o, h, t.Add(time.Duration(i+1)*s.n.span(6*time.Second, 50*time.Second)), c)
	}
}

// installs writes the arrival of a remote-support agent on a host: file, service, first call home.
func (s *scribe) installs(o *org, h *host, t time.Time, a agent, by string, relay netip.Addr) {
	file := `C:\Users\` + by + `\Downloads\support.Client.exe`
	s.wrote(o, h, t, edge, file)
	t = t.Add(s.n.span(20*time.Second, 4*time.Minute))
	guid := s.process(o, h, t, process{image: file, original: "ScreenConnect.ClientSetup.exe", company: "ScreenConnect Software", product: "ScreenConnect", cmd: `"` + file + `"`,
		user: o.short + `\` + by, parent: explorer, parentCmd: explorer})
	s.process(o, h, t.Add(3*time.Second), process{image: `C:\Windows\System32\msiexec.exe`, cmd: `"C:\Windows\System32\msiexec.exe" /i "C:\Users\` + by + `\AppData\Local\Temp\ScreenConnect\24.2\setup.msi"`,
		user: o.short + `\` + by, parent: file, parentCmd: `"` + file + `"`, parentGUID: guid})
	s.service(o, h, t.Add(9*time.Second), a.product(), a.command())
	s.process(o, h, t.Add(10*time.Second), process{image: a.exe(), original: "ScreenConnect.ClientService.exe", company: "ScreenConnect Software", product: "ScreenConnect", cmd: a.command(),
		user: `NT AUTHORITY\SYSTEM`, parent: services, parentCmd: services})
	s.resolved(o, h, t.Add(11*time.Second), a.exe(), a.relay, relay)
	s.connects(o, h, t.Add(11*time.Second), a.exe(), `NT AUTHORITY\SYSTEM`, relay, a.relay, 443)
	s.visit(o, t.Add(11*time.Second), h.ip, a.relay, relay, s.n.between(4000, 40000), s.n.between(4000, 90000))
}
