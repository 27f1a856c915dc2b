package lateral

import (
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// justMade is how little a file's time of creation and the record of its opening may lie apart for the opening to have
// made it. Zeek logs openings, and writes only where its site asks for them (SMB::logged_file_actions).
const justMade = 5 * time.Second

// fromZeek reads Zeek's logs: smb_mapping, smb_files, dce_rpc, ntlm, kerberos, ssh, rdp and conn.
func fromZeek(e *ocsf.Event, log string) (act, bool) {
	a := act{source: host{Addr: e.Src.IP}, target: host{Addr: e.Dst.IP, Name: short(e.Dst.Host)}}
	switch log {
	case "conn":
		return fromFlow(e)
	case "smb_mapping":
		a.how, a.step = bySMB, stepShare
		var ok bool
		a.detail, ok = adminShare(e.Fields.Value("path"))
		return a, ok && both(e)
	case "smb_files":
		return a.zeekFile(e), both(e) && a.zeekFile(e).step != stepNone
	case "dce_rpc":
		return a.zeekRPC(e)
	case "ntlm":
		a.how, a.step, a.account, a.security = byLogon, stepLogon, person(e.User.Name), true
		return a, both(e) && e.Status == ocsf.StatusSuccess && a.account != ""
	case "kerberos":
		return a.zeekTicket(e)
	case "ssh":
		a.how, a.step, a.account = bySSH, stepLogon, person(e.User.Name)
		return a, both(e) && e.Status == ocsf.StatusSuccess
	case "rdp":
		a.how, a.step = byRDP, stepReach
		return a, both(e)
	}
	return act{}, false
}

func both(e *ocsf.Event) bool { return remote(e.Src.IP) && remote(e.Dst.IP) && e.Src.IP != e.Dst.IP }

// zeekFile reads a file on an administrative share.
func (a act) zeekFile(e *ocsf.Event) act {
	share, ok := adminShare(e.Fields.Value("path"))
	if !ok {
		return act{}
	}
	a.how, a.detail = bySMB, share+`\`+strings.TrimPrefix(e.Fields.Value("name"), `\`)
	switch e.Activity {
	case "write", "rename":
		a.step = stepWrite
	case "open":
		a.step = stepShare
		made, err := strconv.ParseFloat(e.Fields.Value("times.created"), 64)
		if gap := float64(e.Time.UnixMicro())/1e6 - made; err == nil && gap > -justMade.Seconds() && gap < justMade.Seconds() {
			a.step = stepWrite
		}
	default:
		a.step = stepShare
	}
	return a
}

// zeekRPC reads an RPC operation by the names of interface and operation.
func (a act) zeekRPC(e *ocsf.Event) (act, bool) {
	endpoint, operation := e.Fields.Value("endpoint"), e.Fields.Value("operation")
	m, ok := orderOf(endpoint, operation)
	if ok {
		a.how, a.step, a.detail = m, stepCall, endpoint+"::"+operation
	}
	return a, ok && both(e)
}

// zeekTicket reads a ticket for a service of another host that lets somebody administer it.
func (a act) zeekTicket(e *ocsf.Event) (act, bool) {
	service, name, ok := strings.Cut(e.Fields.Value("service"), "/")
	if !ok || e.Status != ocsf.StatusSuccess || !remote(e.Src.IP) {
		return act{}, false
	}
	switch strings.ToLower(service) {
	case "cifs", "host", "rpcss":
		a.how = byLogon
	case "termsrv":
		a.how = byRDP
	case "wsman":
		a.how = byWinRM
	default:
		return act{}, false
	}
	name, _, _ = strings.Cut(name, "/")
	// The ticket comes from the domain controller; the service named in it is where it leads.
	a.step, a.target, a.account, a.security, a.detail = stepLogon, host{Name: short(name)}, person(e.User.Name), true, "ticket for "+service
	return a, a.target.Name != "" && a.account != ""
}
