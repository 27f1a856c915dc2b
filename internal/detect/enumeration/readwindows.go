package enumeration

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// security reads Windows' Security channel. Most of it is told apart by what the decoder named it, without a look
// into the fields.
func (d *Detector) security(e *ocsf.Event) {
	switch e.Activity {
	case "authentication ticket", "service ticket request":
		d.windowsTicket(e)
	case "share":
		d.share(d.fromHost(e), e.Fields.Value("ShareName"))
	case "share file":
		d.sharedFile(e)
	case "":
		if e.Class == ocsf.ClassBase && e.Fields.Value("EventID") == "4662" {
			d.objectAccess(e)
		}
	}
}

// fromHost is an act against the host that reports it.
func (d *Detector) fromHost(e *ocsf.Event) act {
	return act{src: e.Src.IP.Unmap(), host: strings.ToLower(e.Device), actor: e.Actor.Name, byName: true}
}

// sharedFile reads event 5145: an admin share, or a pipe by which hosts are asked.
func (d *Detector) sharedFile(e *ocsf.Event) {
	share := e.Fields.Value("ShareName")
	a := d.fromHost(e)
	switch {
	case adminShare(share):
		d.share(a, share)
	case strings.HasSuffix(share, "IPC$") && pipeKinds[strings.ToLower(e.Fields.Value("RelativeTargetName"))]:
		a.kind = kindPipes
		d.put(a.atHost())
	}
}

// windowsTicket reads events 4768 and 4769 of domain controllers (Microsoft, "Audit Kerberos Authentication
// Service" and "Audit Kerberos Service Ticket Operations").
func (d *Detector) windowsTicket(e *ocsf.Event) {
	id := e.Fields.Value("EventID")
	t := ticket{client: e.User.Name, service: e.Fields.Value("ServiceName"), cipher: e.Fields.Value("TicketEncryptionType"),
		failure: e.Fields.Value("Status"), byName: true, first: id == "4768"}
	if id != "4768" && id != "4769" {
		return
	}
	t.ok = t.failure == "0x0" || t.failure == "0"
	t.open = t.ok && e.Fields.Value("PreAuthType") == "0"
	a := d.fromHost(e)
	a.actor = ""
	d.tenant(e.Tenant).sawController(netip.Addr{}, e.Device)
	d.ticket(e, a, t)
}

// replicationRights are the control access rights that let an account replicate secrets (MS-ADTS 5.1.3.2.1):
// DS-Replication-Get-Changes-All and -In-Filtered-Set. Get-Changes alone gives none.
var replicationRights = [...]string{"1131f6ad-9c07-11d1-f79f-00c04fc2dcd2", "89e95b76-444d-4c62-991a-0facbeda640c"}

// objectAccess reads event 4662 of a domain controller. It names an account and no address; controllers replicate
// with machine accounts.
func (d *Detector) objectAccess(e *ocsf.Event) {
	properties := strings.ToLower(e.Fields.Value("Properties"))
	for _, right := range replicationRights {
		if !strings.Contains(properties, right) {
			continue
		}
		who := strings.ToLower(e.Fields.Value("SubjectUserName"))
		if name, machine := strings.CutSuffix(who, "$"); who == "" || machine && d.tenant(e.Tenant).controlsName(shortName(name)) {
			return
		} else if machine && shortName(name) == shortName(e.Device) {
			return // the controller to itself
		}
		a := act{kind: kindReplication, account: who, actor: who, host: strings.ToLower(e.Device), byName: true, granted: true}
		d.tenant(e.Tenant).sawController(netip.Addr{}, e.Device)
		d.put(a.atHost())
		return
	}
}

// directoryService reads event 1644 of a domain controller's Directory Service channel (Microsoft, "Field
// engineering" diagnostics). Its fields have no names: each is known by its form.
func (d *Detector) directoryService(e *ocsf.Event) {
	if e.Fields.Value("EventID") != "1644" {
		return
	}
	var l listing
	a := act{host: strings.ToLower(e.Device), byName: true}
	counts := make([]int, 0, 2)
	base := false
	for _, f := range e.Fields {
		if !strings.Contains(f.Name, "param") && !strings.Contains(f.Name, "Data") {
			continue
		}
		v := strings.TrimSpace(f.Value)
		switch {
		case v == "":
		case v[0] == '(' && l.filter == "":
			l.filter = v
		case strings.EqualFold(v, "base"):
			base = true
		case strings.EqualFold(v, "onelevel") || strings.EqualFold(v, "one level"):
			l.level = true
		case strings.Contains(strings.ToLower(v), "ntsecuritydescriptor"):
			l.attributes = v
		default:
			if ap, err := netip.ParseAddrPort(v); err == nil && !a.src.IsValid() {
				a.src = ap.Addr().Unmap()
			} else if n, err := strconv.Atoi(v); err == nil && len(counts) < cap(counts) {
				counts = append(counts, n) // visited entries, then returned ones
			}
		}
	}
	if base || l.filter == "" || !a.src.IsValid() {
		return
	}
	if len(counts) == 2 {
		l.results = counts[1]
	}
	a.byName = false // searches are named alike by everybody
	d.listing(a, l)
}
