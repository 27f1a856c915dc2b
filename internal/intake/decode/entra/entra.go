// Package entra decodes what cloud control planes log: Entra sign-ins and audit entries, the Microsoft 365
// unified audit log, the Azure activity log, and AWS CloudTrail. Each comes in several wrappings (Graph,
// diagnostic settings, Log Analytics, CSV-born JSON), which differ in case and in what is JSON inside a string;
// all are read, and the parts inside strings stand among the event's fields like the others.
//
// Out come events of layer cloud whose Cloud says which tenant the principal is at home in and which one it
// entered, and the join keys entra-request and entra-token, by which both tenants' logs name the same sign-in.
// A record without a time is refused with the reason.
package entra

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the formats of this package. No record matches two of them.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "entra/signin", Match: isSignin, Decode: signin},
		{Name: "entra/audit", Match: isAudit, Decode: audit},
		{Name: "m365/audit", Match: isM365, Decode: m365},
		{Name: "azure/activity", Match: isActivity, Decode: activity},
		{Name: "aws/cloudtrail", Match: isTrail, Decode: trail},
	}
}

// view reads fields by their Graph names in any of the wrappings.
type view struct {
	e      *ocsf.Event
	prefix string // "properties." inside diagnostic settings
	pascal bool   // Log Analytics and PowerShell write UserPrincipalName
}

// s returns the first of the named fields that has a value.
func (v *view) s(names ...string) string {
	for _, n := range names {
		if x := v.get(n); x != "" && x != "null" {
			return x
		}
	}
	return ""
}

func (v *view) get(name string) string {
	f := v.e.Fields
	if v.prefix != "" {
		if x, ok := f.Get(v.prefix + name); ok {
			return x
		}
	}
	if x, ok := f.Get(name); ok {
		return x
	}
	if !v.pascal {
		return ""
	}
	if x, ok := f.Get(pascal(name)); ok {
		return x
	}
	return f.Value(strings.ToUpper(name[:1]) + name[1:]) // JSON of Graph inside a column of Log Analytics
}

// pascal turns status.errorCode into Status.ErrorCode.
func pascal(name string) string {
	b := []byte(name)
	up := true
	for i, c := range b {
		if up && c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
		up = c == '.'
	}
	return string(b)
}

// category returns the table that a record of diagnostic settings or Log Analytics belongs to.
func category(o *decode.JSON) string { return o.First("category", "Category") }

// expand adds the fields of JSON objects and lists that the exporter wrote as strings.
func expand(e *ocsf.Event, names ...string) {
	n := len(e.Fields)
	for _, name := range names {
		text := strings.TrimSpace(e.Fields[:n].Value(name))
		if len(text) < 2 || text[0] != '{' && text[0] != '[' || len(text) > decode.MaxRecord {
			continue
		}
		raw := []byte(`{"` + name + `":` + text + `}`)
		if decode.DeeperThan(raw, decode.MaxDepth) {
			continue
		}
		var p fastjson.Parser
		o, err := decode.ParseJSON(&p, raw)
		if err != nil {
			continue
		}
		for _, f := range o.Fields() {
			if _, there := e.Fields[:n].Get(f.Name); !there {
				e.Fields = append(e.Fields, f)
			}
		}
	}
	if len(e.Fields) > n {
		e.Fields.Sort()
	}
}

// start begins an event; it fails where none of the named fields holds a time.
func start(o *decode.JSON, e *ocsf.Event, source, provider string, times ...string) error {
	t, err := o.Time(times...)
	if err != nil {
		return err
	}
	e.Time, e.Source, e.Layer = t, source, tenant.LayerCloud
	e.Cloud = &ocsf.Cloud{Provider: provider}
	return nil
}

// addr reads an address as cloud logs write it: plain, with a port, in brackets with a port.
func addr(s string) (netip.Addr, uint16) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), 0
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), ap.Port()
	}
	return netip.Addr{}, 0
}

func (v *view) src(names ...string) {
	v.e.Src.IP, v.e.Src.Port = addr(v.s(names...))
}

// number reads an integer; text that is none gives 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// key adds a join key once.
func key(e *ocsf.Event, kind, value string) {
	if value == "" || value == "00000000-0000-0000-0000-000000000000" {
		return
	}
	k := ocsf.JoinKey{Kind: kind, Value: value}
	for _, have := range e.JoinKeys {
		if have == k {
			return
		}
	}
	e.JoinKeys = append(e.JoinKeys, k)
}

// result reads the words that these logs use for how an act ended.
func result(s string) ocsf.Status {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "success", "succeeded", "successful", "true", "0", "partiallysucceeded":
		return ocsf.StatusSuccess
	case "failure", "failed", "fail", "false", "timeout", "unauthorized", "denied":
		return ocsf.StatusFailure
	}
	return ocsf.StatusUnknown
}

// verbs are the words that begin or stand in an operation's name, and what OCSF's API activity calls them.
var verbs = []struct{ word, activity string }{
	{"add", "create"}, {"create", "create"}, {"new", "create"}, {"put", "update"}, {"invite", "create"}, {"run", "create"},
	{"consent", "create"}, {"update", "update"}, {"set", "update"}, {"modify", "update"}, {"change", "update"},
	{"reset", "update"}, {"attach", "update"}, {"enable", "update"}, {"write", "update"}, {"remove", "delete"},
	{"delete", "delete"}, {"terminate", "delete"}, {"detach", "update"}, {"disable", "update"}, {"stop", "update"},
	{"harddelete", "delete"}, {"softdelete", "delete"}, {"get", "read"}, {"list", "read"}, {"describe", "read"},
	{"head", "read"}, {"lookup", "read"}, {"search", "read"}, {"mailitemsaccessed", "read"}, {"fileaccessed", "read"},
	{"filedownloaded", "read"}, {"read", "read"},
}

// activityOf names what an operation does: create, read, update, delete or other.
func activityOf(operation string) string {
	op := strings.ToLower(operation)
	if i := strings.LastIndexByte(op, '/'); i >= 0 { // MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE
		op = op[i+1:]
	}
	for _, v := range verbs {
		if strings.HasPrefix(op, v.word) {
			return v.activity
		}
	}
	return "other"
}
