package auditd

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// record is one line.
type record struct {
	n      int64 // of the line
	line   string
	node   string
	typ    string // SYSCALL, PATH … as the daemon names it
	key    string // node, time and serial: records that share it are one event
	serial string // time and serial as they stand in the line
	at     time.Time
	fields ocsf.Fields // as they stand in the line, decoded
}

// get returns the record's field, or "".
func (r *record) get(name string) string {
	if r == nil {
		return ""
	}
	for i := range r.fields {
		if r.fields[i].Name == name {
			return r.fields[i].Value
		}
	}
	return ""
}

// first returns the first of the fields that says something.
func (r *record) first(names ...string) string {
	for _, n := range names {
		if v := r.get(n); v != "" && v != "?" && v != "(none)" && v != "(null)" {
			return v
		}
	}
	return ""
}

var errNoRecord = errors.New("no audit record: type=… msg=audit(seconds.millis:serial): was expected")

// header cuts a line behind "audit(…):"; it takes node=, and the kernel's own writing, which lacks msg= and numbers
// the type.
func header(line string) (r record, rest string, ok bool) {
	if i := strings.Index(line, "audit: type="); i >= 0 && i < 40 && (i == 0 || line[0] == '[') {
		line = line[i+len("audit: "):]
	}
	if after, is := strings.CutPrefix(line, "node="); is {
		if r.node, line, is = strings.Cut(after, " "); !is || len(r.node) > 255 {
			return r, "", false
		}
	}
	line, ok = strings.CutPrefix(line, "type=")
	if !ok {
		return r, "", false
	}
	r.typ, rest, ok = strings.Cut(line, " ")
	if !ok || r.typ == "" || len(r.typ) > 40 {
		return r, "", false
	}
	if number, is := strings.CutPrefix(r.typ, "UNKNOWN["); is {
		r.typ = strings.TrimSuffix(number, "]")
	}
	if name, is := typeNames[r.typ]; is {
		r.typ = name
	}
	rest = strings.TrimPrefix(rest, "msg=")
	rest, ok = strings.CutPrefix(rest, "audit(")
	if !ok {
		return r, "", false
	}
	r.serial, rest, ok = strings.Cut(rest, ")")
	if !ok || len(r.serial) > 40 {
		return r, "", false
	}
	stamp, number, ok := strings.Cut(r.serial, ":")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" || strings.Trim(stamp, "0123456789.") != "" || stamp == "" {
		return r, "", false
	}
	r.key = r.node + "|" + r.serial
	rest = strings.TrimLeft(rest, " ")
	rest, ok = strings.CutPrefix(rest, ":")
	return r, strings.TrimLeft(rest, " "), ok
}

func parse(line string) (*record, error) {
	r, rest, ok := header(line)
	if !ok {
		return nil, errNoRecord
	}
	stamp, _, _ := strings.Cut(r.serial, ":")
	seconds, err := strconv.ParseFloat(stamp, 64)
	if err != nil {
		return nil, errNoRecord
	}
	if r.at, ok = decode.EpochTime(stamp, seconds); !ok {
		return nil, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	r.line = line
	r.scan(rest, false)
	return &r, nil
}

// endOfNative parts what the kernel wrote from what the daemon says it means.
const endOfNative = '\x1d'

// scan reads name=value pairs: values may be quoted, stand in braces, or be a message of a program's own pairs.
func (r *record) scan(s string, inner bool) {
	loose := false
	whole := s
	for s != "" && len(r.fields) < decode.MaxFields {
		s = strings.TrimLeft(s, " ,\x1d")
		end := strings.IndexAny(s, "= \x1d")
		if end < 0 || s[end] != '=' {
			loose = loose || s != ""
			if end < 0 {
				break
			}
			s = s[end:]
			continue
		}
		name := s[:end]
		s = s[end+1:]
		var value string
		bare := false
		switch {
		case strings.HasPrefix(s, `"`):
			value, s = upTo(s[1:], '"')
		case strings.HasPrefix(s, "{"):
			value, s = upTo(s[1:], '}')
			r.braces(value)
		case strings.HasPrefix(s, "'") && name == "msg" && !inner:
			native := s[1:]
			if i := strings.IndexByte(native, endOfNative); i >= 0 {
				native = native[:i]
			}
			if i := strings.LastIndexByte(native, '\''); i >= 0 {
				native = native[:i]
			}
			s = strings.TrimPrefix(s[1+len(native):], "'")
			r.scan(native, true)
			continue
		case strings.HasPrefix(s, "'"):
			value, s = upTo(s[1:], '\'')
		default:
			bare = true
			end := strings.IndexAny(s, " \x1d")
			if end < 0 {
				end = len(s)
			}
			value, s = s[:end], s[end:]
			value = strings.TrimSuffix(value, ",")
		}
		if bare {
			value = r.bare(name, value)
		}
		if name != "" && len(name) <= 64 {
			r.add(name, value)
		}
	}
	if loose && !inner { // SELinux, AppArmor and older programs write sentences
		r.add("message", strings.ReplaceAll(whole, string(endOfNative), " "))
	}
}

// upTo cuts at the next closing mark; where there is none, all is the value.
func upTo(s string, mark byte) (value, rest string) {
	if i := strings.IndexByte(s, mark); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// add keeps a field; of two with one name the first counts, since what a program adds stands behind.
func (r *record) add(name, value string) {
	for i := range r.fields {
		if r.fields[i].Name == name {
			return
		}
	}
	r.fields = append(r.fields, ocsf.Field{Name: name, Value: value})
}

// braces reads what the daemon says of an address: SADDR={ saddr_fam=inet laddr=192.0.2.1 lport=443 }.
func (r *record) braces(s string) {
	for pair := range strings.FieldsSeq(s) {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" && len(name) <= 64 {
			r.add(name, value)
		}
	}
}
