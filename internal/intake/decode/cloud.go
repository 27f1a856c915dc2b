package decode

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BeginCloud begins an event of a cloud service; it fails where none of the named fields holds a time.
func BeginCloud(o *JSON, e *ocsf.Event, source, provider string, times ...string) error {
	t, err := o.Time(times...)
	if err != nil {
		return err
	}
	e.Time, e.Source, e.Layer = t, source, tenant.LayerCloud
	e.Cloud = &ocsf.Cloud{Provider: provider}
	return nil
}

// View reads an event's fields by the names of a source's API, in any of the wrappings in which they come.
type View struct {
	Event  *ocsf.Event
	Prefix string // under which the wrapping keeps them: "properties."
	Pascal bool   // names may begin with a capital: UserPrincipalName
	Lower  bool   // names may be in lower case: userprincipalname
}

// Value returns the first of the named fields that has a value other than null and "-".
func (v *View) Value(names ...string) string {
	for _, n := range names {
		if x := v.get(n); x != "" && x != "null" && x != "-" {
			return x
		}
	}
	return ""
}

func (v *View) get(name string) string {
	f := v.Event.Fields
	if v.Prefix != "" {
		if x, ok := f.Get(v.Prefix + name); ok {
			return x
		}
	}
	if x, ok := f.Get(name); ok {
		return x
	}
	if v.Lower {
		if x, ok := f.Get(strings.ToLower(name)); ok {
			return x
		}
	}
	if !v.Pascal {
		return ""
	}
	if x, ok := f.Get(pascal(name)); ok {
		return x
	}
	return f.Value(strings.ToUpper(name[:1]) + name[1:]) // an API's JSON inside a column of another's name
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

// Source sets the event's source address from the first of the named fields that has a value.
func (v *View) Source(names ...string) {
	v.Event.Src.IP, v.Event.Src.Port = Address(v.Value(names...))
}

// Address reads an address as cloud logs write it: plain, with a port, in brackets with a port. It is invalid
// where the text is none.
func Address(s string) (netip.Addr, uint16) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), 0
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), ap.Port()
	}
	return netip.Addr{}, 0
}

// Number reads an integer; text that is none gives 0.
func Number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// AddJoinKey adds a join key once; an empty value and the empty GUID are none.
func AddJoinKey(e *ocsf.Event, kind, value string) {
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

// StatusOf reads the words that cloud logs use for how an act ended.
func StatusOf(s string) ocsf.Status {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "success", "succeeded", "successful", "true", "0", "partiallysucceeded", "allow":
		return ocsf.StatusSuccess
	case "failure", "failed", "fail", "false", "timeout", "unauthorized", "denied", "deny":
		return ocsf.StatusFailure
	}
	return ocsf.StatusUnknown
}

// verbs are the words that begin or stand in an operation's name, and what OCSF's API activity calls them.
var verbs = []struct{ word, activity string }{
	{"add", "create"}, {"create", "create"}, {"insert", "create"}, {"new", "create"}, {"put", "update"}, {"invite", "create"}, {"run", "create"},
	{"consent", "create"}, {"update", "update"}, {"set", "update"}, {"modify", "update"}, {"change", "update"},
	{"reset", "update"}, {"attach", "update"}, {"enable", "update"}, {"write", "update"}, {"patch", "update"}, {"remove", "delete"},
	{"delete", "delete"}, {"destroy", "delete"}, {"terminate", "delete"}, {"detach", "update"}, {"disable", "update"}, {"stop", "update"},
	{"harddelete", "delete"}, {"softdelete", "delete"}, {"get", "read"}, {"list", "read"}, {"describe", "read"},
	{"head", "read"}, {"lookup", "read"}, {"search", "read"}, {"watch", "read"}, {"mailitemsaccessed", "read"}, {"fileaccessed", "read"},
	{"filedownloaded", "read"}, {"read", "read"}, {"download", "read"},
}

// ActivityOf names what an operation does: create, read, update, delete or other. It looks at the last part of a
// name that is a path: MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE.
func ActivityOf(operation string) string {
	op := strings.ToLower(operation)
	if i := strings.LastIndexByte(op, '/'); i >= 0 {
		op = op[i+1:]
	}
	for _, v := range verbs {
		if strings.HasPrefix(op, v.word) {
			return v.activity
		}
	}
	return "other"
}
