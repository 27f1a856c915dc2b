package lateral

import (
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// fromWindows reads what hosts say of themselves: the channels Security, System, Sysmon and those of remote desktop.
func fromWindows(e *ocsf.Event, channel string) (act, bool) {
	switch channel {
	case "security":
		return fromSecurity(e)
	case "system":
		if e.Class == ocsf.ClassWindowsService && e.Activity == "create" {
			return made(e, byService, e.Fields.Value("ServiceName"), ""), e.Device != "" && ownProgram(e)
		}
	case "sysmon":
		switch {
		case e.Class == ocsf.ClassProcessActivity && e.Activity == "launch":
			return child(e, e.Fields.Value("LogonId"))
		case e.Flow != nil && e.Fields.Value("Initiated") != "false":
			return fromFlow(e)
		}
	case "terminalservices-localsessionmanager", "terminalservices-remoteconnectionmanager":
		ok := e.Activity == "logon" || e.Activity == "session reconnect" || e.Activity == "connect"
		return act{how: byRDP, step: stepLogon, source: host{Addr: e.Src.IP}, target: host{Name: short(e.Device)}, account: person(e.User.Name)},
			ok && e.Device != "" && remote(e.Src.IP) && e.Status == ocsf.StatusSuccess
	}
	return act{}, false
}

func fromSecurity(e *ocsf.Event) (act, bool) {
	a := act{source: host{Addr: e.Src.IP}, target: host{Name: short(e.Device)}}
	switch e.Activity {
	case "logon":
		return a.logon(e)
	case "logoff":
		a.step, a.account, a.logonID = stepLogoff, person(e.User.Name), e.Fields.Value("TargetLogonId")
		return a, a.target.Name != "" && a.account != ""
	case "account switch":
		return a.explicit(e)
	case "assign privileges":
		a.step, a.account = stepPrivileged, person(e.User.Name)
		return a, a.account != ""
	case "share", "share file":
		return a.share(e)
	case "launch":
		id := e.Fields.Value("TargetLogonId")
		if id == "" || id == "0x0" {
			id = e.Fields.Value("SubjectLogonId")
		}
		return child(e, id)
	case "create":
		switch e.Class {
		case ocsf.ClassWindowsService:
			return made(e, byService, e.Fields.Value("ServiceName"), e.Fields.Value("SubjectLogonId")), e.Device != "" && ownProgram(e)
		case ocsf.ClassScheduledJob:
			return made(e, byTask, e.Fields.Value("TaskName"), e.Fields.Value("SubjectLogonId")), e.Device != ""
		}
	case "update":
		if e.Class == ocsf.ClassScheduledJob {
			return made(e, byTask, e.Fields.Value("TaskName"), e.Fields.Value("SubjectLogonId")), e.Device != ""
		}
	case "open":
		if e.Flow != nil {
			return fromFlow(e)
		}
	}
	return act{}, false
}

// logon reads 4624. Who is let in at the console or by remote desktop stands there from then on; a network logon is
// somebody at work from elsewhere.
func (a act) logon(e *ocsf.Event) (act, bool) {
	if e.Status != ocsf.StatusSuccess || a.target.Name == "" {
		return act{}, false
	}
	a.step, a.account, a.logonID, a.security = stepLogon, person(e.User.Name), e.Fields.Value("TargetLogonId"), true
	if !remote(a.source.Addr) {
		a.source = host{}
	}
	switch e.Fields.Value("LogonType") {
	case "3":
		a.how = byLogon
	case "10":
		a.how = byRDP
	case "2", "11":
		a.how, a.source = byConsole, host{}
		return a, a.account != ""
	default:
		return act{}, false
	}
	return a, a.account != "" && a.source.known()
}

// explicit reads 4648: on this host one account used another's credentials for a service of a third host.
func (a act) explicit(e *ocsf.Event) (act, bool) {
	to := short(e.Dst.Host)
	a.how, a.step, a.security = byLogon, stepExplicit, true
	a.source, a.target = host{Name: a.target.Name}, host{Name: to}
	a.account, a.opener, a.detail = person(e.User.Name), person(e.Actor.Name), "explicit credentials"
	return a, a.source.Name != "" && to != "" && to != a.source.Name && a.account != "" && a.opener != ""
}

// share reads 5140 and 5145.
func (a act) share(e *ocsf.Event) (act, bool) {
	if e.Status == ocsf.StatusFailure || !remote(a.source.Addr) || a.target.Name == "" {
		return act{}, false
	}
	a.account, a.logonID = person(e.User.Name), e.Fields.Value("SubjectLogonId")
	name, rest := e.Fields.Value("ShareName"), e.Fields.Value("RelativeTargetName")
	if strings.HasSuffix(strings.ToUpper(name), "IPC$") {
		return a.pipe(rest)
	}
	share, ok := adminShare(name)
	if !ok {
		return act{}, false
	}
	a.how, a.step, a.detail = bySMB, stepShare, share
	if rest != "" && rest != `\` {
		a.detail += `\` + strings.TrimPrefix(rest, `\`)
		if writes(e) {
			a.step = stepWrite
		}
	}
	return a, true
}

// writes reports whether the access that was asked for and granted writes data (WriteData 0x2, AppendData 0x4;
// MS-DTYP 2.4.3 with the file rights of MS-SMB2 2.2.13.1.1).
func writes(e *ocsf.Event) bool {
	if mask, err := strconv.ParseUint(strings.TrimPrefix(e.Fields.Value("AccessMask"), "0x"), 16, 64); err == nil {
		return mask&0x6 != 0
	}
	list := e.Fields.Value("AccessList")
	return strings.Contains(list, "%%4417") || strings.Contains(list, "%%4418")
}

func made(e *ocsf.Event, how mechanism, what, logonID string) act {
	return act{how: how, step: stepMade, target: host{Name: short(e.Device)}, account: person(e.Actor.Name), logonID: logonID, detail: strings.TrimSpace(how.String() + " " + what)}
}

// ownProgram reports whether the service is one that the remote-tool detector does not judge already.
func ownProgram(e *ocsf.Event) bool { return e.Remote == nil || e.Remote.Tool == execTool }

// child reads a process whose parent is a server for orders from afar.
func child(e *ocsf.Event, logonID string) (act, bool) {
	if e.Process == nil || e.Device == "" {
		return act{}, false
	}
	how := byNone
	switch base(e.Process.ParentImage) {
	case "wmiprvse.exe":
		how = byWMI
	case "wsmprovhost.exe", "winrshost.exe":
		how = byWinRM
	case "psexesvc.exe", "paexec.exe":
		how = byService
	case "mmc.exe":
		if strings.Contains(strings.ToLower(e.Process.ParentLine), "-embedding") {
			how = byDCOM
		}
	}
	switch base(e.Process.Image) {
	case "conhost.exe", "werfault.exe", "wmiprvse.exe", "wsmprovhost.exe", "winrshost.exe", "":
		return act{}, false
	}
	a := made(e, how, base(e.Process.Image), logonID)
	a.account = person(e.User.Name)
	return a, how != byNone
}

func base(path string) string {
	return strings.ToLower(path[strings.LastIndexByte(path, '\\')+1:])
}
