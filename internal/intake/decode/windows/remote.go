package windows

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// remote fills the remote-tool session of events that show one: the tools' own entries in the Application
// channel, services that install an agent, processes that an agent starts, and the start of the tool itself
// (act "run").
func (r *record) remote() {
	e := r.e
	switch {
	case e.Source == "windows/application":
		r.screenConnect()
	case strings.HasPrefix(r.channel, "splashtop-splashtop streamer-remote session"):
		r.splashtop()
	case e.Class == ocsf.ClassWindowsService && e.Activity == "create":
		r.installed()
	case e.Class == ocsf.ClassProcessActivity && e.Activity == "launch" && e.Process != nil:
		r.launched()
	}
	if e.Remote == nil {
		return
	}
	e.Remote.Target = e.Device
	if e.Remote.Instance != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "rmm-instance", Value: e.Remote.Instance})
	}
	if e.Remote.SessionID != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "rmm-session", Value: e.Remote.SessionID})
	}
}

func program(line string) string { return remotetool.Program(line) }

// screenConnect reads the client's entries in the Application channel. Its provider is "ScreenConnect" or
// "ScreenConnect Client (<instance>)"; older versions put every message under one id, so that the message
// decides. The text of a command is never there, only its length.
func (r *record) screenConnect() {
	e := r.e
	provider := r.s("Provider_Name")
	if !hasPrefixFold(provider, "ScreenConnect") {
		return
	}
	rs := &ocsf.RemoteSession{Tool: "screenconnect", Instance: remotetool.ScreenConnectInstance(provider)}
	e.Remote = rs
	message, _, _ := strings.Cut(r.s("Message", "Data", "param1"), "\n")
	message = strings.TrimSpace(message)
	switch {
	case strings.HasSuffix(message, " Disconnected") || r.id == 101:
		rs.Act, rs.Operator = "disconnect", operator(strings.TrimSuffix(message, " Disconnected"))
		r.what(ocsf.ClassTunnelActivity, "close")
	case strings.HasSuffix(message, " Connected") || r.id == 100:
		rs.Act, rs.Operator = "connect", operator(strings.TrimSuffix(message, " Connected"))
		r.what(ocsf.ClassTunnelActivity, "open")
	case strings.HasPrefix(message, "Executed command") || r.id == 200:
		rs.Act = "command"
		r.what(ocsf.ClassProcessActivity, "remote command")
	case strings.HasPrefix(message, "Transferred files") || r.id == 201:
		rs.Act = "file"
		r.what(ocsf.ClassFileActivity, "transfer")
		if _, name, ok := strings.Cut(message, "': "); ok {
			e.File = &ocsf.File{Path: name}
		}
	default:
		e.Remote = nil
		return
	}
	e.Actor.Name = rs.Operator
	e.Status = ocsf.StatusSuccess
}

// operator returns the person of "Cloud Account Administrator (Hanna Lemke)", else the name as it is.
func operator(name string) string {
	if i := strings.IndexByte(name, '('); i > 0 && strings.HasSuffix(name, ")") {
		if inner := strings.TrimSpace(name[i+1 : len(name)-1]); inner != "" {
			return inner
		}
	}
	return name
}

func (r *record) splashtop() {
	act := map[int]string{1000: "connect", 1001: "disconnect"}[r.id]
	if act == "" {
		return
	}
	r.e.Remote = &ocsf.RemoteSession{Tool: "splashtop", Act: act}
	r.what(ocsf.ClassTunnelActivity, map[string]string{"connect": "open", "disconnect": "close"}[act])
}

func (r *record) installed() {
	path := r.s("ImagePath", "ServiceFileName")
	tool, instance, ok := remotetool.ByService(r.s("ServiceName"), path)
	if !ok {
		return
	}
	r.e.Remote = &ocsf.RemoteSession{Tool: tool, Instance: instance, Act: "install", CommandLine: path}
	r.launchArgs(path)
}

// launched reads a process that an agent started, or the agent itself. What an agent's own programs start of
// one another is upkeep and no command.
func (r *record) launched() {
	p := r.e.Process
	own, ownInstance, isTool := remotetool.ByProcess(p.Image)
	tool, instance, ok := remotetool.ByProcess(p.ParentImage)
	switch {
	case ok && !(isTool && own == tool) && !upkeep(p.Image):
		r.e.Remote = &ocsf.RemoteSession{Tool: tool, Instance: instance, Act: "command", CommandLine: p.CommandLine}
		r.launchArgs(p.ParentLine)
	case isTool && !ok:
		r.e.Remote = &ocsf.RemoteSession{Tool: own, Instance: ownInstance, Act: "run", CommandLine: p.CommandLine}
		r.launchArgs(p.CommandLine)
	case isTool && own == "teamviewer" && strings.Contains(p.CommandLine, "--IPCport"):
		r.e.Remote = &ocsf.RemoteSession{Tool: own, Act: "connect", CommandLine: p.CommandLine}
	}
}

// upkeep names the system's own companions of any program.
func upkeep(image string) bool {
	switch strings.ToLower(image[strings.LastIndexByte(image, '\\')+1:]) {
	case "conhost.exe", "werfault.exe", "wermgr.exe", "":
		return true
	}
	return false
}

// launchArgs adds relay and session of a ScreenConnect command line.
func (r *record) launchArgs(line string) {
	rs := r.e.Remote
	if rs.Tool != "screenconnect" {
		return
	}
	if a, ok := remotetool.ParseScreenConnectArgs(line); ok {
		rs.Relay, rs.SessionID, rs.Company = a.Relay, a.Session, a.Company()
		if rs.Instance == "" {
			rs.Instance = a.Instance
		}
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
