package auditd

import (
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// told says what records mean that programs write: sshd, sudo, systemd, useradd.
var told = map[string]struct {
	class    ocsf.ClassUID
	activity string
}{
	"USER_LOGIN": {ocsf.ClassAuthentication, "logon"}, "USER_LOGOUT": {ocsf.ClassAuthentication, "logoff"},
	"USER_AUTH": {ocsf.ClassAuthentication, "preauth"}, "GRP_AUTH": {ocsf.ClassAuthentication, "preauth"},
	"USER_START": {ocsf.ClassAuthentication, "session open"}, "USER_END": {ocsf.ClassAuthentication, "session close"},
	"ADD_USER": {ocsf.ClassAccountChange, "create"}, "DEL_USER": {ocsf.ClassAccountChange, "delete"},
	"USER_MGMT": {ocsf.ClassAccountChange, "update"}, "USER_CHAUTHTOK": {ocsf.ClassAccountChange, "password change"},
	"ACCT_LOCK": {ocsf.ClassAccountChange, "lock"}, "ACCT_UNLOCK": {ocsf.ClassAccountChange, "unlock"},
	"ADD_GROUP": {ocsf.ClassGroupManagement, "create"}, "DEL_GROUP": {ocsf.ClassGroupManagement, "delete"}, "GRP_MGMT": {ocsf.ClassGroupManagement, "update"},
	"USER_CMD":      {ocsf.ClassBase, "sudo"},
	"SERVICE_START": {ocsf.ClassBase, "service start"}, "SERVICE_STOP": {ocsf.ClassBase, "service stop"},
	"CONFIG_CHANGE": {ocsf.ClassBase, "audit configuration"}, "DAEMON_END": {ocsf.ClassBase, "audit stop"}, "DAEMON_START": {ocsf.ClassBase, "audit start"},
}

// alone makes the event of a record that has no system call beside it.
func (a *assembly) alone(r *record) {
	e := a.begin(r, nil)
	if t, ok := told[r.typ]; ok {
		e.Class, e.Activity = t.class, t.activity
	}
	e.Actor = account(r.first("AUID"), r.first("auid"))
	e.User = account(r.first("acct", "ID", "UID", "OUID"), r.first("id", "uid", "ouid"))
	switch r.first("res", "success") {
	case "success", "yes", "1":
		e.Status = ocsf.StatusSuccess
	case "failed", "no", "0":
		e.Status = ocsf.StatusFailure
	}
	if from, err := netip.ParseAddr(r.first("addr")); err == nil {
		e.Src.IP = from.Unmap().WithZone("")
	}
	if host := r.first("hostname"); host != "" && host != e.Src.IP.String() {
		e.Src.Host = strings.ToLower(host)
	}
	if exe := r.first("exe"); exe != "" {
		e.Process = &ocsf.Process{Image: exe, PID: r.get("pid")}
	}
	denial(e, r)
	if r.typ == "USER_CMD" {
		e.User = account(r.first("UID"), r.first("uid"))
		if e.Process == nil {
			e.Process = &ocsf.Process{PID: r.get("pid")}
		}
		e.Process.CommandLine = r.get("cmd")
	}
	a.finish(e, r)
}

// parents remembers the programs that were started, for their children. A process number means something on one
// machine only: where records of several machines may come together and don't say whose they are, nothing is
// remembered.
type parents struct {
	mixed   bool
	started map[parentKey]ocsf.Process
}

type parentKey struct{ node, pid string }

func (p *parents) knows(call *record) bool { return call != nil && (call.node != "" || !p.mixed) }

// learn remembers a program under its process number.
func (p *parents) learn(call *record, started *ocsf.Process) {
	if !p.knows(call) || started.PID == "" {
		return
	}
	if p.started == nil || len(p.started) >= maxParents {
		p.started = map[parentKey]ocsf.Process{}
	}
	line := started.CommandLine
	if len(line) > maxParentLine {
		line = line[:maxParentLine]
	}
	p.started[parentKey{call.node, started.PID}] = ocsf.Process{Image: started.Image, CommandLine: strings.ToValidUTF8(line, "")}
}

// maxParentLine is how much of a parent's command line is kept, in bytes.
const maxParentLine = 1 << 10

// of returns program and command line of the call's parent, or nothing.
func (p *parents) of(call *record) (image, line string) {
	if !p.knows(call) {
		return "", ""
	}
	s := p.started[parentKey{call.node, call.get("ppid")}]
	return s.Image, s.CommandLine
}
