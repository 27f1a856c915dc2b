package windows

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// fill sets class, activity, status and the parts of the event by its channel and id. Events that no table
// names keep class 0; their fields tell what they are.
func (r *record) fill() {
	switch kind := r.e.Source[len("windows/"):]; kind {
	case "security":
		r.security()
	case "sysmon":
		r.sysmon()
	case "system":
		r.system()
	case "terminalservices-localsessionmanager", "terminalservices-remoteconnectionmanager",
		"terminalservices-rdpclient", "remotedesktopservices-rdpcorets":
		r.terminal(kind)
	case "taskscheduler":
		r.task()
	case "powershell":
		r.powershell()
	case "defender":
		if path := strings.TrimPrefix(r.s("Path"), "file:_"); path != "" {
			r.e.File = &ocsf.File{Path: path}
		}
		r.e.User = account(r.s("Detection User", "Remediation User", "User"))
	}
}

func (r *record) system() {
	switch {
	case r.id == 7045:
		r.service("create")
		r.e.User = account(r.s("AccountName"))
	case r.id == 7040 || r.id == 7036:
		r.what(ocsf.ClassWindowsService, "update")
	case r.id == 104:
		r.what(ocsf.ClassBase, "log cleared")
		r.e.Actor = r.user("Subject")
		r.e.User = r.e.Actor
	}
}

// service fills a service installation; the program it starts stands as the event's process.
func (r *record) service(activity string) {
	r.what(ocsf.ClassWindowsService, activity)
	r.e.Status = ocsf.StatusSuccess
	r.e.Process = &ocsf.Process{CommandLine: r.s("ImagePath", "ServiceFileName"), Image: program(r.s("ImagePath", "ServiceFileName"))}
}

// terminal fills the remote-desktop channels. 1102 of the client's channel is a connection and no cleared log.
func (r *record) terminal(kind string) {
	e := r.e
	switch {
	case strings.HasSuffix(kind, "localsessionmanager"):
		e.User = account(r.s("User"))
		e.Src.IP = addr(r.s("Address"))
		switch r.id {
		case 21:
			r.what(ocsf.ClassAuthentication, "logon")
			e.Status = ocsf.StatusSuccess
		case 25:
			r.what(ocsf.ClassAuthentication, "session reconnect")
			e.Status = ocsf.StatusSuccess
		case 24:
			r.what(ocsf.ClassAuthentication, "session disconnect")
		case 23:
			r.what(ocsf.ClassAuthentication, "logoff")
		}
	case strings.HasSuffix(kind, "remoteconnectionmanager"):
		if r.id == 1149 {
			r.what(ocsf.ClassRDPActivity, "connect")
			e.User = ocsf.User{Name: r.s("Param1", "param1"), Domain: r.s("Param2", "param2")}
			e.Src.IP = addr(r.s("Param3", "param3"))
			e.Status = ocsf.StatusSuccess
		}
	case strings.HasSuffix(kind, "rdpcorets"):
		if r.id == 131 || r.id == 140 {
			r.what(ocsf.ClassRDPActivity, "connect")
			e.Src = hostPort(r.s("ClientIP", "IPString"))
			if r.id == 140 {
				e.Status = ocsf.StatusFailure
			}
		}
	case r.id == 1024 || r.id == 1102:
		r.what(ocsf.ClassRDPActivity, "initiate")
		if dst := r.s("Value"); addr(dst).IsValid() {
			e.Dst.IP = addr(dst)
		} else {
			e.Dst.Host = strings.ToLower(dst)
		}
	}
}

// hostPort reads 192.0.2.7:51234 and [2001:db8::7]:51234.
func hostPort(s string) ocsf.Endpoint {
	if i := strings.LastIndexByte(s, ':'); i > 0 && !addr(s).IsValid() {
		return ocsf.Endpoint{IP: addr(strings.Trim(s[:i], "[]")), Port: port(s[i+1:])}
	}
	return ocsf.Endpoint{IP: addr(s)}
}

func (r *record) task() {
	activity := map[int]string{106: "create", 140: "update", 141: "delete", 200: "start", 100: "start"}[r.id]
	if activity == "" {
		return
	}
	r.what(ocsf.ClassScheduledJob, activity)
	r.e.User = account(r.s("UserContext", "UserName"))
	if action := r.s("ActionName"); action != "" {
		r.e.Process = &ocsf.Process{Image: action}
	}
}

func (r *record) powershell() {
	switch r.id {
	case 4104:
		r.what(ocsf.ClassProcessActivity, "script")
		if path := r.s("Path"); path != "" {
			r.e.File = &ocsf.File{Path: path}
		}
	case 4103, 800:
		r.what(ocsf.ClassProcessActivity, "script")
	case 400:
		r.what(ocsf.ClassProcessActivity, "engine start")
	case 403:
		r.what(ocsf.ClassProcessActivity, "engine stop")
	}
}
