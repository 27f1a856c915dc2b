package windows

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// audits says what the Security channel's events are: class, activity, and how their parts are filled. The ids
// are those of Microsoft's "Appendix L: Events to Monitor".
var audits = map[int]struct {
	class    ocsf.ClassUID
	activity string
	fill     func(*record)
}{
	1102: {ocsf.ClassBase, "log cleared", (*record).bySubject},

	4624: {ocsf.ClassAuthentication, "logon", (*record).logon},
	4625: {ocsf.ClassAuthentication, "logon", (*record).logon},
	4634: {ocsf.ClassAuthentication, "logoff", (*record).onTarget},
	4647: {ocsf.ClassAuthentication, "logoff", (*record).onTarget},
	4648: {ocsf.ClassAuthentication, "account switch", (*record).explicit},
	4672: {ocsf.ClassAuthentication, "assign privileges", (*record).bySubject},
	4768: {ocsf.ClassAuthentication, "authentication ticket", (*record).ticket},
	4769: {ocsf.ClassAuthentication, "service ticket request", (*record).ticket},
	4770: {ocsf.ClassAuthentication, "service ticket renew", (*record).ticket},
	4771: {ocsf.ClassAuthentication, "preauth", (*record).ticket},
	4776: {ocsf.ClassAuthentication, "credential validation", (*record).ticket},
	4778: {ocsf.ClassAuthentication, "session reconnect", (*record).session},
	4779: {ocsf.ClassAuthentication, "session disconnect", (*record).session},
	4740: {ocsf.ClassAccountChange, "lock", (*record).onTarget},

	4720: {ocsf.ClassAccountChange, "create", (*record).onTarget},
	4722: {ocsf.ClassAccountChange, "enable", (*record).onTarget},
	4723: {ocsf.ClassAccountChange, "password change", (*record).onTarget},
	4724: {ocsf.ClassAccountChange, "password reset", (*record).onTarget},
	4725: {ocsf.ClassAccountChange, "disable", (*record).onTarget},
	4726: {ocsf.ClassAccountChange, "delete", (*record).onTarget},
	4738: {ocsf.ClassAccountChange, "update", (*record).onTarget},
	4741: {ocsf.ClassAccountChange, "create", (*record).onTarget},
	4742: {ocsf.ClassAccountChange, "update", (*record).onTarget},
	4743: {ocsf.ClassAccountChange, "delete", (*record).onTarget},
	4765: {ocsf.ClassAccountChange, "update", (*record).onTarget},
	4767: {ocsf.ClassAccountChange, "unlock", (*record).onTarget},
	4781: {ocsf.ClassAccountChange, "rename", (*record).onTarget},

	4727: {ocsf.ClassGroupManagement, "create", (*record).bySubject},
	4731: {ocsf.ClassGroupManagement, "create", (*record).bySubject},
	4754: {ocsf.ClassGroupManagement, "create", (*record).bySubject},
	4728: {ocsf.ClassGroupManagement, "add user", (*record).member},
	4732: {ocsf.ClassGroupManagement, "add user", (*record).member},
	4756: {ocsf.ClassGroupManagement, "add user", (*record).member},
	4729: {ocsf.ClassGroupManagement, "remove user", (*record).member},
	4733: {ocsf.ClassGroupManagement, "remove user", (*record).member},
	4757: {ocsf.ClassGroupManagement, "remove user", (*record).member},
	4730: {ocsf.ClassGroupManagement, "delete", (*record).bySubject},
	4734: {ocsf.ClassGroupManagement, "delete", (*record).bySubject},
	4758: {ocsf.ClassGroupManagement, "delete", (*record).bySubject},
	4735: {ocsf.ClassGroupManagement, "update", (*record).bySubject},
	4737: {ocsf.ClassGroupManagement, "update", (*record).bySubject},
	4755: {ocsf.ClassGroupManagement, "update", (*record).bySubject},

	4697: {ocsf.ClassWindowsService, "create", (*record).serviceAudit},
	4698: {ocsf.ClassScheduledJob, "create", (*record).bySubject},
	4699: {ocsf.ClassScheduledJob, "delete", (*record).bySubject},
	4700: {ocsf.ClassScheduledJob, "enable", (*record).bySubject},
	4701: {ocsf.ClassScheduledJob, "disable", (*record).bySubject},
	4702: {ocsf.ClassScheduledJob, "update", (*record).bySubject},

	4688: {ocsf.ClassProcessActivity, "launch", (*record).launchAudit},
	4689: {ocsf.ClassProcessActivity, "terminate", (*record).exitAudit},
	4656: {ocsf.ClassBase, "open", (*record).object},
	4657: {ocsf.ClassRegistryKey, "set", (*record).object},
	4658: {ocsf.ClassBase, "close", (*record).object},
	4660: {ocsf.ClassBase, "delete", (*record).object},
	4663: {ocsf.ClassBase, "access", (*record).object},
	4670: {ocsf.ClassBase, "set permissions", (*record).object},
	5140: {ocsf.ClassSMBActivity, "share", (*record).share},
	5145: {ocsf.ClassSMBActivity, "share file", (*record).share},

	5154: {ocsf.ClassNetworkActivity, "listen", (*record).filter},
	5156: {ocsf.ClassNetworkActivity, "open", (*record).filter},
	5157: {ocsf.ClassNetworkActivity, "refuse", (*record).filter},
	5158: {ocsf.ClassNetworkActivity, "bind", (*record).filter},
	5159: {ocsf.ClassNetworkActivity, "refuse", (*record).filter},
}

func (r *record) security() {
	r.e.Status = r.audited()
	a, ok := audits[r.id]
	if !ok {
		r.bySubject()
		return
	}
	r.what(a.class, a.activity)
	a.fill(r)
}

// bySubject fills events that say only who acted.
func (r *record) bySubject() {
	r.e.Actor = r.user("Subject")
	r.e.User = r.e.Actor
}

// onTarget fills events in which one account acts on another.
func (r *record) onTarget() {
	r.e.User = r.user("Target")
	if r.e.User.Name == "" {
		r.e.User.Name = r.s("SamAccountName", "NewTargetUserName")
	}
	r.e.Actor = r.user("Subject")
}

func (r *record) logon() {
	e := r.e
	r.onTarget()
	e.Status = ocsf.StatusSuccess
	if r.id == 4625 {
		e.Status = ocsf.StatusFailure
	}
	e.Src = r.endpoint("IpAddress", "IpPort")
	e.Src.Host = shortHost(r.s("WorkstationName"))
	r.by("ProcessName", "ProcessId")
}

// by sets the process that did it.
func (r *record) by(image, id string) {
	if path := r.s(image); path != "" {
		r.e.Process = &ocsf.Process{Image: path, PID: pid(r.s(id))}
	}
}

func (r *record) explicit() {
	r.onTarget()
	r.e.Src = r.endpoint("IpAddress", "IpPort")
	if server := r.s("TargetServerName"); server != "" && !strings.EqualFold(server, "localhost") {
		r.e.Dst.Host = strings.ToLower(server)
	}
	r.by("ProcessName", "ProcessId")
}

// ticket fills what domain controllers say of Kerberos tickets and NTLM validations.
func (r *record) ticket() {
	e := r.e
	r.onTarget()
	if name, realm, ok := strings.Cut(e.User.Name, "@"); ok && realm != "" {
		e.User.Name = name
	}
	e.Src = r.endpoint("IpAddress", "IpPort")
	e.Src.Host = shortHost(r.s("Workstation"))
	if s := code(r.s("Status")); s != ocsf.StatusUnknown {
		e.Status = s
	}
}

func (r *record) session() {
	r.e.User = ocsf.User{Name: r.s("AccountName"), Domain: r.s("AccountDomain")}
	r.e.Src = ocsf.Endpoint{IP: addr(r.s("ClientAddress")), Host: shortHost(r.s("ClientName"))}
}

// member fills group changes: the user is the member, the group stands in TargetUserName.
func (r *record) member() {
	name := r.s("MemberName")
	for part := range strings.SplitSeq(name, ",") {
		if cn, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			name = cn
			break
		}
	}
	r.e.User = account(name)
	r.e.User.UID = sid(r.s("MemberSid"))
	r.e.Actor = r.user("Subject")
}

func (r *record) serviceAudit() {
	r.service("create")
	r.bySubject()
}

func (r *record) launchAudit() {
	e := r.e
	e.Actor = r.user("Subject")
	if e.User = r.user("Target"); e.User.Name == "" {
		e.User = e.Actor
	}
	e.Process = &ocsf.Process{Image: r.s("NewProcessName"), CommandLine: r.s("CommandLine", "ProcessCommandLine"),
		PID: pid(r.s("NewProcessId")), ParentImage: r.s("ParentProcessName")}
}

func (r *record) exitAudit() {
	r.bySubject()
	r.by("ProcessName", "ProcessId")
}

// object fills accesses to audited objects.
func (r *record) object() {
	r.bySubject()
	r.by("ProcessName", "ProcessId")
	switch r.s("ObjectType") {
	case "File":
		r.e.Class = ocsf.ClassFileActivity
		r.e.File = &ocsf.File{Path: r.s("ObjectName")}
	case "Key":
		r.e.Class = ocsf.ClassRegistryKey
	}
}

func (r *record) share() {
	r.bySubject()
	r.e.Src = r.endpoint("IpAddress", "IpPort")
	path := r.s("ShareName")
	if rest := r.s("RelativeTargetName"); rest != "" {
		path += `\` + rest
	}
	r.e.File = &ocsf.File{Path: path}
}

// filter fills what the Windows Filtering Platform says of connections.
func (r *record) filter() {
	e := r.e
	e.Src = r.endpoint("SourceAddress", "SourcePort")
	e.Dst = r.endpoint("DestAddress", "DestPort")
	e.Flow = &ocsf.Flow{Proto: protocol(r.s("Protocol"))}
	r.by("Application", "ProcessId")
}
