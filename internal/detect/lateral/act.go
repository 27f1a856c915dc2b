package lateral

import (
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// mechanism is the way by which one host acts on another.
type mechanism uint8

const (
	byNone     mechanism = iota
	bySMB                // administrative shares
	byService            // the service control manager
	byTask               // the task scheduler
	byWMI                // Windows Management Instrumentation
	byDCOM               // a program's automation interface
	byRegistry           // the remote registry
	byLoader             // print monitors and processors, secondary logon
	byWinRM              // Windows Remote Management and PowerShell remoting
	byRDP                // remote desktop
	bySSH                // secure shell
	byTool               // a remote-support tool
	byLogon              // a network logon, for what is not told
	byConsole            // somebody sits at the host
)

// ways says of each mechanism how people call it and which technique of ATT&CK it is.
var ways = [...]struct {
	name      string
	technique ocsf.Technique
}{
	byNone: {"unknown", "T1021"}, bySMB: {"admin share", "T1021.002"}, byService: {"service", "T1569.002"}, byTask: {"scheduled task", "T1053.005"},
	byWMI: {"WMI", "T1047"}, byDCOM: {"DCOM", "T1021.003"}, byRegistry: {"remote registry", "T1112"}, byLoader: {"autostart through RPC", "T1547"},
	byWinRM: {"WinRM", "T1021.006"}, byRDP: {"RDP", "T1021.001"}, bySSH: {"SSH", "T1021.004"}, byTool: {"remote tool", "T1219"},
	byLogon: {"network logon", "T1021"}, byConsole: {"console", "T1078"},
}

func (m mechanism) String() string { return ways[m].name }

// session reports whether a person can work on from a host that was reached this way.
func (m mechanism) session() bool {
	return m == byRDP || m == bySSH || m == byTool || m == byConsole
}

// step is how far an act went.
type step uint8

const (
	stepNone       step = iota
	stepReach           // a connection to an administrative service in which both sides spoke
	stepShare           // an administrative share was opened
	stepPipe            // the pipe of an administrative service, or a tool's own, was opened
	stepWrite           // a file was written to an administrative share
	stepCall            // the network shows an order to execute something
	stepMade            // the host itself says that a service, task or process came about
	stepLogon           // an account was let in
	stepLogoff          // an account left
	stepExplicit        // another account's credentials were used on the source
	stepPrivileged      // an account got an administrator's privileges
	stepBind            // a connection was bound to an RPC interface
)

var stepNames = [...]string{"nothing", "connection", "share opened", "pipe opened", "file written", "order to execute", "execution", "logon", "logoff", "explicit credentials", "privileges", "binding"}

func (s step) String() string { return stepNames[s] }

// host is one side of an act: its address, its name, or both. Names are short and in lower case.
type host struct {
	Addr netip.Addr
	Name string
}

func (h host) known() bool { return h.Addr.IsValid() || h.Name != "" }

// keys returns what a host may be remembered by, best first.
func (h host) keys() (first, second string) {
	switch {
	case h.Name == "":
		return h.Addr.String(), ""
	case !h.Addr.IsValid():
		return h.Name, ""
	}
	return h.Name, h.Addr.String()
}

// String is how the host is shown.
func (h host) String() string {
	a, b := h.keys()
	if b != "" {
		return a + " (" + b + ")"
	}
	return a
}

// same reports whether two hosts are one as far as is known.
func (h host) same(o host) bool {
	return h.Addr.IsValid() && h.Addr == o.Addr || h.Name != "" && h.Name == o.Name
}

// act is what one event shows of somebody who works on another host; every format is read into it.
type act struct {
	event    *ocsf.Event
	how      mechanism
	step     step
	source   host // from where; unknown where only the target tells
	target   host // on which
	account  string
	opener   string // who used the explicit credentials
	logonID  string // the target's own id of the logon
	security bool   // the account is judged: it was let in, or its credentials were used
	detail   string // share, file, service, operation
}

// execTool is the product among the remote tools that is no session, but one order to execute something.
const execTool = "psexec"

// read turns an event into an act; false where it shows none.
func read(e *ocsf.Event) (a act, ok bool) {
	switch {
	case e.Remote != nil && e.Remote.Tool != execTool:
		a, ok = fromTool(e)
	case strings.HasPrefix(e.Source, "zeek/"):
		a, ok = fromZeek(e, e.Source[len("zeek/"):])
	case strings.HasPrefix(e.Source, "windows/"):
		a, ok = fromWindows(e, e.Source[len("windows/"):])
	case strings.HasPrefix(e.Source, "suricata/"):
		a, ok = fromSuricata(e, e.Source[len("suricata/"):])
	case e.Flow != nil:
		a, ok = fromFlow(e)
	case e.Class == ocsf.ClassAuthentication || e.Class == ocsf.ClassSSHActivity:
		a, ok = fromLogon(e)
	}
	a.event = e
	return a, ok
}

// fromTool reads a remote-support session: who operates it stands on the host from then on.
func fromTool(e *ocsf.Event) (act, bool) {
	r := e.Remote
	went := stepLogon
	switch r.Act {
	case "connect", "command":
	case "disconnect":
		went = stepLogoff
	default:
		return act{}, false
	}
	if e.Direction == ocsf.DirectionOut {
		return act{}, false
	}
	name := e.Device
	if name == "" {
		name = r.Target
	}
	return act{how: byTool, step: went, target: host{Name: short(name)}, source: host{Addr: e.Src.IP}, account: canonical(r.Operator), detail: r.Tool}, name != ""
}

// fromLogon reads logons that no other file knows: hosts' own records of who was let in from where.
func fromLogon(e *ocsf.Event) (act, bool) {
	if e.Cloud != nil || e.Lease != nil || e.Status != ocsf.StatusSuccess || e.Device == "" || !remote(e.Src.IP) {
		return act{}, false
	}
	if e.Activity != "logon" && e.Activity != "open" {
		return act{}, false
	}
	how := byLogon
	if e.Class == ocsf.ClassSSHActivity || e.Dst.Port == 22 {
		how = bySSH
	}
	return act{how: how, step: stepLogon, source: host{Addr: e.Src.IP}, target: host{Name: short(e.Device), Addr: e.Dst.IP}, account: person(e.User.Name), security: true}, true
}

// remote reports whether an address can be another host's.
func remote(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast()
}

// short is a host's name without its domain, in lower case; "" for what is no name.
func short(name string) string {
	name = strings.ToLower(strings.Trim(name, `\ `))
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	if name == "-" || name == "localhost" || name == "*" || len(name) > 63 {
		return ""
	}
	return name
}

// canonical is an account's name alone, in lower case: DOMAIN\name, name@realm and name are one.
func canonical(name string) string {
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	if i := strings.IndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	if len(name) > 128 {
		name = name[:128]
	}
	return strings.ToLower(strings.TrimSpace(name))
}

// person is the account, or "" where the host itself or the system acts.
func person(name string) string {
	name = canonical(name)
	switch name {
	case "-", "system", "local service", "network service", "anonymous logon", "anonymous", "iusr", "guest", "(empty)", "<empty>":
		return ""
	}
	if strings.HasSuffix(name, "$") || strings.HasPrefix(name, "dwm-") || strings.HasPrefix(name, "umfd-") {
		return ""
	}
	return name
}

// adminShare reports whether a share is one that only administrators may open: ADMIN$ or a drive's.
func adminShare(path string) (string, bool) {
	path = strings.TrimRight(path, `\`)
	if i := strings.LastIndexByte(path, '\\'); i >= 0 {
		path = path[i+1:]
	}
	if strings.EqualFold(path, "ADMIN$") {
		return "ADMIN$", true
	}
	if len(path) == 2 && path[1] == '$' {
		if c := path[0] &^ 0x20; c >= 'A' && c <= 'Z' {
			return string([]byte{c, '$'}), true
		}
	}
	return "", false
}
