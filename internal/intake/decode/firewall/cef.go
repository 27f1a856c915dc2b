package firewall

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Where a record may begin: behind a syslog header at most.
const farthest = 300

// begins returns where one of the marks stands, or -1.
func begins(line string, marks ...string) int {
	if line == "" || line[0] == '<' || line[0] == '{' {
		return -1 // syslog's and JSON's; they carry it
	}
	head := line[:min(len(line), farthest)]
	for _, m := range marks {
		if i := strings.Index(head, m); i >= 0 && (i == 0 || head[i-1] == ' ') {
			return i
		}
	}
	return -1
}

// dated reports whether a record can tell its time: by itself, or by the date before it. What carries a record
// without a date is asked for one (decode.Carried.Undated).
func dated(before string, own func(clock) (time.Time, error)) bool {
	c := clock{time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC)} // any year will do
	if _, _, err := c.header(before); err == nil {
		return true
	}
	_, err := own(c)
	return err == nil
}

func isCEF(line string) bool {
	at := begins(line, "CEF:0|", "CEF:1|")
	if at < 0 {
		return false
	}
	_, ext, err := cefHeader(line[at:])
	if err != nil {
		return at == 0 && strings.Count(line, "|") < 7
	}
	return dated(line[:at], func(c clock) (time.Time, error) { return cefTime(c, cefExtension(ext)) })
}

// cefNames are the header's fields, by the names that the format's document gives them.
var cefNames = [...]string{"cef.version", "deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity"}

// cefHeader splits at pipes; \| and \\ are escaped.
func cefHeader(s string) (head [7]string, ext string, err error) {
	s = strings.TrimPrefix(s, "CEF:")
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '|' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case c == '|':
			head[n] = strings.TrimSpace(b.String())
			b.Reset()
			if n++; n == len(head) {
				return head, s[i+1:], nil
			}
		default:
			b.WriteByte(c)
		}
	}
	if n == len(head)-1 { // no extension, and the last pipe left out
		head[n] = strings.TrimSpace(b.String())
		return head, "", nil
	}
	return head, "", fmt.Errorf("the header has %d of 7 fields", n)
}

// pairs are key=value fields of one record, in their order.
type pairs []ocsf.Field

func (p pairs) get(names ...string) string {
	for _, n := range names {
		for i := range p {
			if p[i].Name == n && p[i].Value != "" {
				return p[i].Value
			}
		}
	}
	return ""
}

// cefExtension reads key=value pairs whose values may hold spaces; \=, \\, \n and \r are escaped. A value ends where
// a space and the next key follow.
func cefExtension(s string) (out pairs) {
	at := 0
	for at < len(s) && len(out) < maxFields {
		eq := unescapedEquals(s, at)
		if eq < 0 {
			break
		}
		key := strings.TrimSpace(s[at:eq])
		end, next := len(s), len(s)
		if following := unescapedEquals(s, eq+1); following >= 0 {
			if space := strings.LastIndexByte(s[eq+1:following], ' '); space >= 0 {
				end, next = eq+1+space, eq+1+space+1
			} else { // a second "=" in one word, which some vendors leave unescaped
				end = valueEnd(s, eq+1)
				next = min(end+1, len(s))
			}
		}
		if key != "" {
			out = append(out, ocsf.Field{Name: key, Value: cefUnescape(strings.TrimSpace(s[eq+1 : end]))})
		}
		at = next
	}
	return out
}

func valueEnd(s string, from int) int {
	if i := strings.IndexByte(s[from:], ' '); i >= 0 {
		return from + i
	}
	return len(s)
}

// unescapedEquals finds the "=" behind a key: a word of letters, digits and _.-[] that begins the text or follows a
// space.
func unescapedEquals(s string, from int) int {
	for i := from; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '=':
			k := i
			for k > from && keyByte(s[k-1]) {
				k--
			}
			if k < i && (k == from || s[k-1] == ' ') {
				return i
			}
		}
	}
	return -1
}

func keyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-' || c == '[' || c == ']'
}

var cefEscapes = strings.NewReplacer(`\\`, `\`, `\=`, `=`, `\n`, "\n", `\r`, "\r", `\|`, "|")

func cefUnescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return cefEscapes.Replace(s)
}

func cefTime(c clock, x pairs) (time.Time, error) {
	if v := x.get("FTNTFGTeventtime"); v != "" {
		if t, ok := epoch(v); ok {
			return t, nil
		}
	}
	v := x.get("rt", "deviceReceiptTime", "end", "endTime", "start", "startTime")
	if v == "" {
		return time.Time{}, errors.New("no time in the record, and no date before it")
	}
	return c.parse(v)
}

func cefLine(c clock, line string) (*ocsf.Event, error) {
	at := begins(line, "CEF:0|", "CEF:1|")
	if at < 0 {
		return nil, errors.New("no CEF record in the line")
	}
	head, ext, err := cefHeader(line[at:])
	if err != nil {
		return nil, err
	}
	x := cefExtension(ext)
	if len(x) == maxFields {
		return nil, fmt.Errorf("more than %d fields", maxFields)
	}
	when, host, headErr := c.header(line[:at])
	if own, err := cefTime(c, x); err == nil {
		when = own
	} else if headErr != nil {
		return nil, fmt.Errorf("rt: %w", err)
	}
	e := newEvent("cef", when)
	for i, name := range cefNames {
		addField(e, name, head[i])
	}
	e.Fields = append(e.Fields, x...)
	e.Device = strings.ToLower(firstOf(x.get("dvchost", "deviceHostName"), host, x.get("dvc")))
	return e, cefMeaning(e, head, x)
}

// cefMeaning reads what the dictionary of the format says of a connection. In "in" are the bytes from source to
// destination; Fortinet writes them from its own side, the other way round.
func cefMeaning(e *ocsf.Event, head [7]string, x pairs) error {
	r := &reader{}
	e.Src.IP = r.addr("src", x.get("src", "c6a2"))
	e.Dst.IP = r.addr("dst", x.get("dst", "c6a3"))
	proto := x.get("proto", "transportProtocol")
	if ports(proto) {
		e.Src.Port, e.Dst.Port = r.port("spt", x.get("spt")), r.port("dpt", x.get("dpt"))
	}
	e.Src.Host, e.Dst.Host = strings.ToLower(x.get("shost")), strings.ToLower(x.get("dhost"))
	e.URL = x.get("request")
	e.Actor, e.User = account(x.get("suser")), account(firstOf(x.get("duser"), x.get("suser")))
	if id := x.get("externalId"); id != "" && e.Device != "" {
		e.SourceID = strings.Join([]string{head[1], head[2], e.Device, head[4], id, e.Time.Format(time.RFC3339Nano)}, "|")
	}
	known := head[1] == "Fortinet" || head[1] == "Palo Alto Networks"
	n := counts{orig: r.count("in", x.get("in", "bytesIn")), resp: r.count("out", x.get("out", "bytesOut"))}
	if head[1] == "Fortinet" {
		n.orig, n.resp = n.resp, n.orig
	}
	n.both = n.orig > 0 && n.resp > 0 || known && x.get("in") != "" && x.get("out") != ""
	v := verdictOf(firstOf(x.get("act"), x.get("outcome"), x.get("categoryOutcome")))
	traffic := e.Src.IP.IsValid() && e.Dst.IP.IsValid() && (proto != "" && (v != unsaid || n.any()))
	switch {
	case r.err != nil:
		return r.err
	case traffic:
		var lasted time.Duration
		if d := x.get("FTNTFGTduration"); d != "" {
			lasted = r.seconds("FTNTFGTduration", d)
		}
		settle(e, proto, v, n, lasted, "")
		if lasted > 0 && v != refused {
			e.Time = e.Time.Add(-lasted)
		}
		return r.err
	case !e.Src.IP.IsValid() || !e.Dst.IP.IsValid():
		e.Class, e.Layer = ocsf.ClassBase, tenant.LayerEndpoint
	}
	if v == refused {
		e.Status = ocsf.StatusFailure
	}
	return nil
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
