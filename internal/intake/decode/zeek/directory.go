package zeek

import (
	"math"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func smbFiles(r record, e *ocsf.Event) (err error) {
	e.File = &ocsf.File{Path: r.get(colName)}
	if share := r.get(colPath); share != "" {
		e.File.Path = strings.TrimSuffix(share, `\`) + `\` + r.get(colName)
	}
	action := r.get(colAction)
	if i := strings.LastIndexAny(action, "_:"); i >= 0 {
		action = action[i+1:] // SMB::FILE_OPEN
	}
	e.Activity = strings.ToLower(action)
	e.File.Size, err = number(r, colSize, math.MaxInt64)
	return err
}

// smbCommand reads the log of single SMB commands, which Zeek writes where policy/protocols/smb/log-cmds is loaded.
func smbCommand(r record, e *ocsf.Event) error {
	e.Activity = strings.ToLower(r.get(colCommand))
	e.User = account(r.get(colUsername))
	if tree := r.get(colTree); tree != "" {
		e.File = &ocsf.File{Path: tree}
	}
	switch status := r.get(colStatus); {
	case status == "SUCCESS" || status == "STATUS_SUCCESS":
		e.Status = ocsf.StatusSuccess
	case status == "" || strings.Contains(status, "MORE_PROCESSING") || strings.Contains(status, "PENDING"):
	default:
		e.Status = ocsf.StatusFailure
	}
	return nil
}

func ntlm(r record, e *ocsf.Event) error {
	e.User = ocsf.User{Name: r.get(colUsername), Domain: r.get(colDomainname)}
	e.Src.Host = r.get(colHostname)
	e.Dst.Host = either(r.get(colServerName2), r.get(colServerDNSName))
	e.Status = truth(r.get(colSuccess))
	return nil
}

// kerberos reads what a domain controller was asked for. Zeek writes the client as name/REALM, where a service's name
// has slashes of its own, and as REALM alone where the request names nobody. A demand for pre-authentication is an
// ordinary first answer, and no failure.
func kerberos(r record, e *ocsf.Event) error {
	client := r.get(colClient)
	if i := strings.LastIndexByte(client, '/'); i >= 0 {
		e.User = ocsf.User{Name: client[:i], Domain: client[i+1:]}
	} else if strings.Contains(client, ".") && strings.ToUpper(client) == client {
		e.User.Domain = client
	} else {
		e.User.Name = client
	}
	e.Activity = "authentication ticket"
	switch service := r.get(colKrbService); r.get(colRequestType) {
	case "TGS":
		e.Activity = "service ticket request"
	case "AS":
	default:
		if service != "" && !strings.HasPrefix(service, "krbtgt/") {
			e.Activity = "service ticket request"
		}
	}
	e.Status = truth(r.get(colSuccess))
	switch r.get(colErrorMsg) {
	case "NEEDED_PREAUTH", "KDC_ERR_PREAUTH_REQUIRED", "Need to use PA-ENC-TIMESTAMP/PA-PK-AS-REQ":
		e.Status = ocsf.StatusUnknown
	}
	return nil
}

// ldap reads the operations of LDAP that are no searches. A simple bind names its account and is a logon; one by SASL
// is the business of the mechanism inside, whose own log has the account. Zeek 6.0 and the package before it wrote
// sets where later versions write one value (opcodes, objects): the field of the later name is there in both, and
// message_type names the operation too.
func ldap(r record, e *ocsf.Event) error {
	op := either(r.get(colOpcode), r.get(colOpcodes))
	object, result := either(r.get(colObject), r.get(colObjects)), either(r.get(colResult), r.get(colResults))
	alias(e, "message_type", op)
	alias(e, "opcode", op)
	alias(e, "object", object)
	alias(e, "result", result)
	e.Fields.Sort()
	if strings.HasPrefix(op, "bind") {
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
		e.User = account(object)
	}
	e.Status = ldapResult(result)
	return nil
}

func ldapSearch(r record, e *ocsf.Event) error {
	for _, name := range [...][2]string{{"scopes", "scope"}, {"base_objects", "base_object"}, {"derefs", "deref_aliases"}, {"results", "result"}} {
		alias(e, name[1], e.Fields.Value(name[0]))
	}
	e.Fields.Sort()
	e.Status = ldapResult(either(r.get(colResult), r.get(colResults)))
	return nil
}

// alias gives a value a second name, where the log has no field of that name. The fields must be sorted when it is
// called; the caller sorts them again.
func alias(e *ocsf.Event, name, value string) {
	if value == "" {
		return
	}
	for _, f := range e.Fields {
		if f.Name == name {
			return
		}
	}
	e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
}

// ldapResult reads the result codes that Zeek spells out (RFC 4511 4.1.9). A referral or the next step of a bind
// decides nothing.
func ldapResult(result string) ocsf.Status {
	switch strings.ToLower(result) {
	case "":
		return ocsf.StatusUnknown
	case "success", "compare true", "compare false", "size limit exceeded", "time limit exceeded", "no such object":
		return ocsf.StatusSuccess // the question was answered
	case "sasl bind in progress", "referral":
		return ocsf.StatusUnknown
	}
	return ocsf.StatusFailure
}

// radius reads what an access server was told of a logon. An address that was assigned with it is held by the account
// from then on; the log does not tell its end.
func radius(r record, e *ocsf.Event) (err error) {
	e.Layer = tenant.LayerAccess
	e.User = account(r.get(colUsername))
	switch strings.ToLower(r.get(colResult)) {
	case "success":
		e.Status = ocsf.StatusSuccess
	case "failed":
		e.Status = ocsf.StatusFailure
	}
	framed, err := address(r, colFramedAddr)
	if err != nil {
		return err
	}
	if framed.IsValid() && !framed.IsUnspecified() && e.Status == ocsf.StatusSuccess && e.User.Name != "" {
		l := &ocsf.Lease{Kind: "vpn", Addr: framed, Holder: e.User, Start: true}
		if a, err := parseAddr(r.get(colTunnelClient), colTunnelClient); err == nil { // a name is allowed there
			l.Public = a
		}
		e.Lease = l
	}
	return nil
}
