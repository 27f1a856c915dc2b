package enumeration

import (
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// field returns a source's field, or the first element where it is a list.
func field(e *ocsf.Event, name string) string {
	if v, ok := e.Fields.Get(name); ok {
		return v
	}
	return e.Fields.Value(name + ".0")
}

// ends returns who asked whom; a record that was written from the server's side is turned round.
func ends(e *ocsf.Event, port uint16) act {
	src, dst := e.Src, e.Dst
	if src.Port == port && dst.Port != port && port != 0 {
		src, dst = dst, src
	}
	return act{src: src.IP.Unmap(), target: dst.IP.Unmap(), host: strings.ToLower(dst.Host)}
}

// question is one DNS question with how it was answered, as any sensor tells it.
type question struct {
	name, kind string // kind is the type's name: A, PTR, AXFR …; "" where it was not needed
	missing    bool   // NXDOMAIN
	answered   bool
}

// zeekDNS reads a record of Zeek's dns.log.
func (d *Detector) zeekDNS(e *ocsf.Event) {
	q := question{name: e.Dst.Domain, answered: e.Status == ocsf.StatusSuccess}
	if q.name == "" && e.Status == ocsf.StatusUnknown {
		return
	}
	if e.Dst.Port == 5353 || e.Dst.Port == 5355 || e.Dst.Port == 137 {
		return // mDNS, LLMNR and NetBIOS ask everybody
	}
	if q.kind = field(e, "qtype_name"); q.kind == "" || q.kind == "-" {
		q.kind = typeName(field(e, "qtype"))
	}
	if e.Status == ocsf.StatusFailure {
		rcode := field(e, "rcode_name")
		q.missing = rcode == "NXDOMAIN" || rcode == "" && field(e, "rcode") == "3"
		q.answered = false
	}
	if r := field(e, "rejected"); r == "T" || r == "true" {
		q.answered = false
	}
	d.question(e, q)
}

// typeName names the types of question that matter, by their number (IANA's registry of DNS parameters).
func typeName(n string) string {
	switch n {
	case "12":
		return "PTR"
	case "33":
		return "SRV"
	case "252":
		return "AXFR"
	case "251":
		return "IXFR"
	}
	return n
}

// question makes an act of a DNS question and learns who answers them.
func (d *Detector) question(e *ocsf.Event, q question) {
	a := ends(e, 53)
	ts := d.tenant(e.Tenant)
	ts.sawQuestion(a.src, a.target)
	if q.answered && len(e.Answers) > 0 {
		ts.learnNames(q, a.target, e.Answers)
	}
	switch q.kind {
	case "PTR", "*", "ANY":
		addr, ok := reverseAddr(q.name)
		if !ok {
			return
		}
		if !ts.own(addr) && e.Trust == "" {
			return // mail servers and monitors ask for the names of the Internet all day
		}
		a.kind, a.object, a.about = kindReverse, addr.String(), addr
	case "SRV":
		name := serviceName(q.name)
		if name == "" {
			return
		}
		a.kind, a.object = kindService, name
	case "AXFR", "IXFR":
		if !ts.own(a.target) && !ts.ownDomain(strings.ToLower(q.name)) {
			return // a zone of the Internet, from the Internet
		}
		a.kind, a.object, a.objType, a.granted = kindTransfer, strings.ToLower(q.name), ocsf.EntityDomain, q.answered
	default:
		if q.answered {
			ts.learnZone(q.name, e.Answers)
			return
		}
		parent := ""
		if q.missing {
			parent = parentOf(q.name)
		}
		if parent == "" || !ts.ownZone(parent) {
			return
		}
		a.kind, a.object = kindGuess, strings.ToLower(q.name)
	}
	a = a.ofObject()
	d.put(a)
	if a.kind == kindTransfer && a.granted { // a zone that was given weighs twice
		a.thing = hashThing(false, a.object, "granted")
		d.put(a)
	}
}

// zeekKerberos reads a record of Zeek's kerberos.log.
func (d *Detector) zeekKerberos(e *ocsf.Event) {
	client, _, _ := strings.Cut(field(e, "client"), "/")
	t := ticket{client: client, service: field(e, "service"), cipher: field(e, "cipher"), failure: field(e, "error_msg"), ok: e.Status == ocsf.StatusSuccess}
	switch strings.ToUpper(field(e, "request_type")) {
	case "AS":
		t.first = true
	case "TGS":
	default:
		return
	}
	a := ends(e, 88)
	d.tenant(e.Tenant).sawController(a.target, "")
	d.ticket(e, a, t)
}

// ticket is one request for a Kerberos ticket with its answer.
type ticket struct {
	client, service, cipher, failure string
	first                            bool // AS: a first ticket
	open                             bool // given without a password being proved
	byName                           bool // services are told by account, not by service name
	ok                               bool
}

// weakCipher reports whether a ticket is sealed by a cipher that guesses quickly (RFC 8429).
func weakCipher(c string) bool {
	switch c = strings.ToLower(c); {
	case strings.HasPrefix(c, "rc4") || strings.HasPrefix(c, "arcfour") || strings.HasPrefix(c, "des-cbc"):
		return true
	case c == "0x17" || c == "0x18" || c == "0x1" || c == "0x3" || c == "23" || c == "24":
		return true
	}
	return false
}

// hostServices are service classes that a machine's own account runs: asking for them is how hosts are visited, and
// its long random password makes their tickets worthless.
var hostServices = map[string]bool{"host": true, "cifs": true, "rpcss": true, "wsman": true, "restrictedkrbhost": true, "termsrv": true, "ldap": true,
	"gc": true, "dns": true, "krbtgt": true, "kadmin": true, "rpc": true, "nfs": true, "e3514235-4b06-11d1-ab04-00c04fc2dcd2": true}

// ticket makes acts of a request for a ticket.
func (d *Detector) ticket(e *ocsf.Event, a act, t ticket) {
	client := strings.ToLower(t.client)
	client, _, _ = strings.Cut(client, "@")
	machine := strings.HasSuffix(client, "$")
	if t.first {
		if client == "" {
			if a.kind = kindUsers; t.failure != "" && unknownPrincipal(t.failure) {
				a.object = "of unknown name, from port " + strconv.Itoa(int(e.Src.Port))
				d.put(a.ofObject())
			}
			return
		}
		a.object, a.objType = client, ocsf.EntityUser
		switch {
		case machine:
		case t.ok:
			a.kind, a.undo = kindPreauth, true
			d.put(a.ofObject())
			if t.open {
				a.kind, a.undo, a.granted = kindASREP, false, true
				d.put(a.ofObject())
			}
		case unknownPrincipal(t.failure):
			a.kind = kindUsers
			d.put(a.ofObject())
		case preauthWanted(t.failure):
			a.kind = kindPreauth
			d.put(a.ofObject())
		}
		return
	}
	service := strings.ToLower(t.service)
	class, _, named := strings.Cut(service, "/")
	if named && hostServices[class] || strings.HasSuffix(class, "$") || class == "krbtgt" || class == "" {
		return
	}
	ts := d.tenant(e.Tenant)
	weak := weakCipher(t.cipher)
	ts.sawCipher(a.src, weak)
	a.object, a.objType, a.actor, a.byName, a.granted = service, ocsf.EntityService, client, t.byName, t.ok
	a.kind = kindTickets
	if weak && !ts.weakIsUsual(a.src) {
		a.kind = kindRoast
	}
	d.put(a.ofObject())
}

// unknownPrincipal reads KDC_ERR_C_PRINCIPAL_UNKNOWN (RFC 4120 section 7.5.9) as the sensors write it.
func unknownPrincipal(s string) bool {
	return s == "0x6" || s == "6" || strings.Contains(strings.ToUpper(s), "C_PRINCIPAL_UNKNOWN")
}

func preauthWanted(s string) bool {
	return s == "0x19" || s == "25" || strings.Contains(strings.ToUpper(s), "PREAUTH_REQUIRED")
}

// zeekSearch reads a record of Zeek's ldap_search.log.
func (d *Detector) zeekSearch(e *ocsf.Event) {
	scope := strings.ToLower(field(e, "scope"))
	if filter := field(e, "filter"); ldapPing(filter) {
		a := ends(e, 389)
		d.tenant(e.Tenant).sawMember(a.src, a.target)
		return
	}
	if scope == "base" || strings.HasSuffix(scope, "_base") {
		return
	}
	many, _ := strconv.Atoi(field(e, "result_count"))
	a := ends(e, 389)
	d.listing(a, listing{filter: field(e, "filter"), level: strings.Contains(scope, "single") || strings.Contains(scope, "one"),
		attributes: field(e, "attributes"), results: many})
}

// ldapPing reports whether a filter is that by which members find out whether a controller is alive (MS-ADTS 6.3.3.1).
func ldapPing(filter string) bool {
	const sign = "(ntver="
	for i := 0; i+len(sign) <= min(len(filter), maxFilter); i++ {
		if filter[i] == '(' && strings.EqualFold(filter[i:i+len(sign)], sign) {
			return true
		}
	}
	return false
}

// listing is one LDAP search, as any source tells it.
type listing struct {
	filter, attributes string
	level              bool // one level below a node, as consoles browse
	results            int
}

// manyResults is how many entries one search gives to those who list a directory, and not to those who look
// something up: the size of one page (MS-ADTS 3.1.1.3.4.6, MaxPageSize).
const manyResults = 1000

// listing makes acts of a search: one for each thing it lists.
func (d *Detector) listing(a act, l listing) {
	for _, s := range searches(l.filter) {
		if l.level && !s.pointed {
			continue
		}
		a.kind, a.object = kindDirectory, s.what
		if s.pointed {
			a.kind = kindPointed
		}
		b := a.ofObject()
		if s.pointed && s.what == "domain trusts" {
			b.technique = "T1482"
		} else if s.what == "computers" {
			b.technique = "T1018"
		} else if s.what == "groups" {
			b.technique = "T1069.002"
		}
		d.put(b)
	}
	if l.results >= manyResults {
		a.kind, a.object = kindDirectory, "a page of results or more"
		d.put(a.ofObject())
	}
	if strings.Contains(strings.ToLower(l.attributes), "ntsecuritydescriptor") && !l.level && len(searches(l.filter)) > 0 {
		a.kind, a.object = kindPointed, "rights on objects"
		d.put(a.ofObject())
	}
}

// zeekRPC reads a record of Zeek's dce_rpc.log.
func (d *Detector) zeekRPC(e *ocsf.Event) {
	endpoint, operation := field(e, "endpoint"), field(e, "operation")
	a := ends(e, 0)
	if strings.EqualFold(endpoint, "netlogon") && onSecureChannel(operation, 0) {
		d.tenant(e.Tenant).sawMember(a.src, a.target)
		return
	}
	if a, ok := callOf(a, endpoint, operation, e.Time.UnixNano()/1e8); ok {
		d.call(e, a)
	}
}

// call puts an act of a remote procedure, unless it is what domain controllers do among themselves.
func (d *Detector) call(e *ocsf.Event, a act) {
	if a.kind == kindReplication {
		ts := d.tenant(e.Tenant)
		if ts.controls(a.src) {
			return
		}
		ts.sawController(a.target, "")
		a.granted = true
	}
	d.put(a)
}

// zeekMapping reads a record of Zeek's smb_mapping.log.
func (d *Detector) zeekMapping(e *ocsf.Event) {
	d.opened(e, field(e, "path"))
}

// opened reads a share that was opened, as a sensor saw it.
func (d *Detector) opened(e *ocsf.Event, path string) {
	a := ends(e, 445)
	if name := path[strings.LastIndexByte(path, '\\')+1:]; strings.EqualFold(name, "SYSVOL") || strings.EqualFold(name, "NETLOGON") {
		if e.Status != ocsf.StatusFailure {
			d.tenant(e.Tenant).sawMember(a.src, a.target)
		}
		return // every member opens these by itself
	}
	d.share(a, path)
}

// zeekFile reads a record of Zeek's smb_files.log: only what lies on an admin share is a sign.
func (d *Detector) zeekFile(e *ocsf.Event) {
	if share := field(e, "path"); strings.Contains(share, "$") {
		if a := ends(e, 445); adminShare(share) {
			d.share(a, share)
		}
	}
}

// share makes an act of an opened share.
func (d *Detector) share(a act, path string) {
	name := strings.ToUpper(strings.TrimRight(path, `\`))
	name = name[strings.LastIndexByte(name, '\\')+1:]
	switch {
	case name == "" || name == "PRINT$" || name == "SYSVOL" || name == "NETLOGON":
		return // every member opens these by itself
	case name == "IPC$":
		a.kind = kindIPC
		a = a.atHost()
	case adminShare(name):
		a.kind = kindAdmin
		a = a.atHost()
	default:
		a.kind, a.object = kindCrawl, name
		a = a.ofCall(name)
	}
	d.put(a)
}

// adminShare reports whether a share is one that Windows makes for administrators: ADMIN$ or a drive.
func adminShare(path string) bool {
	name := path[strings.LastIndexByte(path, '\\')+1:]
	return strings.EqualFold(name, "ADMIN$") || len(name) == 2 && name[1] == '$' && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z'
}

// zeekNTLM reads a record of Zeek's ntlm.log: hosts are asked for their names with an account that is none.
func (d *Detector) zeekNTLM(e *ocsf.Event) {
	if e.User.Name != "" && e.User.Name != "-" && e.Status != ocsf.StatusFailure {
		return
	}
	a := ends(e, 445)
	a.kind = kindAnonymous
	d.put(a.atHost())
}
