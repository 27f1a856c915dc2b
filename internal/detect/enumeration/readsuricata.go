package enumeration

import (
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// eveDNS reads Suricata's dns events: version 1 and 2 name the question at the top, version 3 in a list.
func (d *Detector) eveDNS(e *ocsf.Event) {
	q := question{name: e.Dst.Domain, answered: e.Status == ocsf.StatusSuccess}
	if e.Dst.Port == 5353 || e.Src.Port == 5353 {
		return
	}
	for _, name := range [...]string{"dns.rrtype", "dns.queries.0.rrtype", "dns.query.0.rrtype"} {
		if q.kind = strings.ToUpper(e.Fields.Value(name)); q.kind != "" {
			break
		}
	}
	q.missing = e.Status == ocsf.StatusFailure && e.Fields.Value("dns.rcode") == "NXDOMAIN"
	d.question(e, q)
}

// eveKerberos reads Suricata's krb5 events; an answer is written from the client's side, an error may be from the
// server's.
func (d *Detector) eveKerberos(e *ocsf.Event) {
	t := ticket{client: e.User.Name, service: field(e, "krb5.sname"), cipher: field(e, "krb5.encryption"), failure: field(e, "krb5.error_code"), ok: e.Status == ocsf.StatusSuccess}
	kind := field(e, "krb5.msg_type")
	if kind == "KRB_ERROR" {
		kind = field(e, "krb5.failed_request")
	}
	switch {
	case strings.HasPrefix(kind, "KRB_AS"):
		t.first = true
	case strings.HasPrefix(kind, "KRB_TGS"):
	default:
		return
	}
	a := ends(e, 88)
	d.tenant(e.Tenant).sawController(a.target, "")
	d.ticket(e, a, t)
}

// eveSMB reads Suricata's smb events: opened shares, and remote procedures within pipes.
func (d *Detector) eveSMB(e *ocsf.Event) {
	if e.Activity == "tree_connect" || e.Activity == "tree_connect_andx" {
		d.opened(e, field(e, "smb.share"))
		return
	}
	d.eveCall(e, "smb.dcerpc.", 445)
}

// eveRPC reads Suricata's dcerpc events.
func (d *Detector) eveRPC(e *ocsf.Event) { d.eveCall(e, "dcerpc.", 0) }

// maxInterfaces is of how many bound interfaces of a connection the operation is looked for.
const maxInterfaces = 8

// eveCall names an operation by its interface. Where several are bound, it is the one that knows the number and was
// accepted; a call that two could mean is left out.
func (d *Detector) eveCall(e *ocsf.Event, prefix string, port uint16) {
	if r := e.Fields.Value(prefix + "request"); r != "" && r != "REQUEST" {
		return
	}
	v := e.Fields.Value(prefix + "req.opnum")
	if v == "" {
		v = e.Fields.Value(prefix + "opnum")
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return
	}
	name := ""
	for i := range maxInterfaces {
		p := prefix + "interfaces." + strconv.Itoa(i)
		uuid, there := e.Fields.Get(p + ".uuid")
		if !there {
			break
		}
		uuid = strings.ToLower(uuid)
		op, ack := opnums[uuid][n], e.Fields.Value(p+".ack_result")
		if uuid == netlogonInterface && (ack == "" || ack == "0") && onSecureChannel("", n) {
			a := ends(e, port)
			d.tenant(e.Tenant).sawMember(a.src, a.target)
			return
		}
		if op == "" || ack != "" && ack != "0" {
			continue
		}
		if name != "" && name != op {
			return
		}
		name = op
	}
	endpoint, operation, ok := strings.Cut(name, "::")
	if !ok {
		return
	}
	if a, ok := callOf(ends(e, port), endpoint, operation, e.Time.UnixNano()/1e8); ok {
		d.call(e, a)
	}
}
