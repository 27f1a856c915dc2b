package lateral

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// fromSuricata reads EVE records: smb, dcerpc, ssh, rdp and flow. An RPC request tells its operation by number, and its
// interface mostly only where the connection was bound: the detector keeps that by flow_id.
func fromSuricata(e *ocsf.Event, kind string) (act, bool) {
	a := act{source: host{Addr: e.Src.IP}, target: host{Addr: e.Dst.IP}}
	switch kind {
	case "flow":
		return fromFlow(e)
	case "smb":
		if e.Fields.Value("smb.dcerpc.request") != "" {
			return a.suricataRPC(e, "smb.dcerpc.")
		}
		return a.suricataSMB(e)
	case "dcerpc":
		return a.suricataRPC(e, "dcerpc.")
	case "ssh": // no word of whether the logon worked; the flow tells whether there was a session
		return act{}, false
	case "rdp":
		a.how, a.step = byRDP, stepReach
		return a, both(e)
	}
	return act{}, false
}

func (a act) suricataSMB(e *ocsf.Event) (act, bool) {
	if !both(e) || e.Status == ocsf.StatusFailure {
		return act{}, false
	}
	if pipe := e.Fields.Value("smb.named_pipe"); pipe != "" {
		return a.pipe(pipe)
	}
	share, ok := adminShare(e.Fields.Value("smb.share"))
	if !ok {
		if strings.EqualFold(e.Fields.Value("smb.share_type"), "PIPE") {
			return a.pipe(e.Fields.Value("smb.filename"))
		}
		return act{}, false
	}
	a.how, a.step, a.detail = bySMB, stepShare, share
	if name := e.Fields.Value("smb.filename"); name != "" {
		a.detail += `\` + strings.TrimPrefix(name, `\`)
		switch e.Activity {
		case "write", "write_andx":
			a.step = stepWrite
		case "create", "nt_create_andx":
			// The client says what is to become of the file: what makes or replaces it writes.
			switch strings.TrimPrefix(e.Fields.Value("smb.disposition"), "FILE_") {
			case "CREATE", "SUPERSEDE", "OVERWRITE", "OVERWRITE_IF":
				a.step = stepWrite
			}
		}
	}
	return a, true
}

// pipe reads a pipe that was opened.
func (a act) pipe(name string) (act, bool) {
	name = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(name, `\`), `pipe\`))
	if m, ok := adminPipes[name]; ok {
		a.how, a.step, a.detail = m, stepPipe, "pipe "+name
		return a, true
	}
	if toolPipe(name) {
		a.how, a.step, a.detail = byService, stepCall, "pipe "+name
		return a, true
	}
	return act{}, false
}

// suricataRPC reads a binding or a request.
func (a act) suricataRPC(e *ocsf.Event, prefix string) (act, bool) {
	uuid := interfaceOf(e, prefix)
	if strings.HasPrefix(e.Fields.Value(prefix+"request"), "BIND") || strings.HasPrefix(e.Fields.Value(prefix+"request"), "ALTER") {
		a.step, a.detail = stepBind, uuid
		return a, uuid != "" && both(e)
	}
	number := e.Fields.Value(prefix + "opnum")
	if number == "" {
		number = e.Fields.Value(prefix + "req.opnum")
	}
	a.step, a.detail = stepCall, number
	if uuid != "" {
		return a.numbered(uuid, number), both(e) && a.numbered(uuid, number).how != byNone
	}
	return a, number != "" && both(e)
}

// numbered names the operation of an interface; it has no mechanism where the operation orders nothing.
func (a act) numbered(uuid, number string) act {
	i := interfaces[uuid]
	a.how, _ = orderOf(i.name, i.ops[number])
	a.detail = i.name + "::" + i.ops[number]
	return a
}

// interfaceOf returns the interface that an RPC record names, in lower case: the first that the table knows.
func interfaceOf(e *ocsf.Event, prefix string) string {
	for _, n := range [...]string{"interface.uuid", "interfaces.0.uuid", "interfaces.1.uuid", "interfaces.2.uuid"} {
		u := strings.ToLower(e.Fields.Value(prefix + n))
		if _, ok := interfaces[u]; ok {
			return u
		}
	}
	return ""
}
