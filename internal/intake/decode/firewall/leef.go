package firewall

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func isLEEF(line string) bool {
	at := begins(line, "LEEF:1.0|", "LEEF:2.0|")
	if at < 0 {
		return false
	}
	_, x, err := leefParts(line[at:])
	if err != nil {
		return at == 0
	}
	return dated(line[:at], func(c clock) (time.Time, error) { return leefTime(c, x) })
}

var leefNames = [...]string{"leef.version", "vendor", "product", "productVersion", "eventID"}

// leefParts splits LEEF:1.0|Vendor|Product|Version|EventID|a=1<tab>b=2, and version 2 with a delimiter before the
// attributes: a character, or its code as x5E or 0x5E.
func leefParts(s string) (head [5]string, x pairs, err error) {
	parts := strings.SplitN(strings.TrimPrefix(s, "LEEF:"), "|", 6)
	if len(parts) < 6 {
		return head, nil, fmt.Errorf("the header has %d of 5 fields", len(parts)-1)
	}
	copy(head[:], parts)
	rest, delimiter := parts[5], "\t"
	if head[0] == "2.0" {
		mark, after, ok := strings.Cut(rest, "|")
		d, known := leefDelimiter(mark)
		switch {
		case strings.HasPrefix(rest, "||"): // the delimiter is the pipe itself
			delimiter, rest = "|", rest[2:]
		case ok && known:
			delimiter, rest = d, after
		case !strings.Contains(mark, "="):
			return head, nil, fmt.Errorf("delimiter: %s is neither a character nor its code", quote(mark))
		}
	}
	if delimiter == "\t" { // relays write the tab as an escape
		rest = strings.ReplaceAll(strings.ReplaceAll(rest, "#011", "\t"), `\t`, "\t")
	}
	for part := range strings.SplitSeq(rest, delimiter) {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || key == "" {
			continue
		}
		if len(x) >= maxFields {
			return head, nil, fmt.Errorf("more than %d fields", maxFields)
		}
		x = append(x, ocsf.Field{Name: key, Value: strings.TrimSpace(value)})
	}
	return head, x, nil
}

func leefDelimiter(s string) (string, bool) {
	switch hex, isHex := strings.CutPrefix(strings.TrimPrefix(strings.ToLower(s), "0"), "x"); {
	case s == "":
		return "\t", true
	case isHex && len(hex) > 0:
		n, err := strconv.ParseUint(hex, 16, 16)
		return string(rune(n)), err == nil && n > 0
	case len([]rune(s)) == 1:
		return s, true
	}
	return "", false
}

func leefTime(c clock, x pairs) (time.Time, error) {
	v := x.get("devTime")
	if v == "" {
		return time.Time{}, errors.New("no time in the record, and no date before it")
	}
	return c.parse(v)
}

func leefLine(c clock, line string) (*ocsf.Event, error) {
	at := begins(line, "LEEF:1.0|", "LEEF:2.0|")
	if at < 0 {
		return nil, errors.New("no LEEF record in the line")
	}
	head, x, err := leefParts(line[at:])
	if err != nil {
		return nil, err
	}
	when, host, headErr := c.header(line[:at])
	if own, err := leefTime(c, x); err == nil {
		when = own
	} else if headErr != nil {
		return nil, fmt.Errorf("devTime: %w", err)
	}
	e := newEvent("leef", when)
	for i, name := range leefNames {
		addField(e, name, head[i])
	}
	e.Fields = append(e.Fields, x...)
	e.Device = strings.ToLower(firstOf(x.get("devName", "identHostName"), host))
	r := &reader{}
	e.Src.IP, e.Dst.IP = r.addr("src", x.get("src")), r.addr("dst", x.get("dst"))
	proto := x.get("proto")
	if ports(proto) {
		e.Src.Port, e.Dst.Port = r.port("srcPort", x.get("srcPort")), r.port("dstPort", x.get("dstPort"))
	}
	e.User, e.URL = account(x.get("usrName", "accountName")), x.get("url")
	n := counts{orig: r.count("srcBytes", x.get("srcBytes")), resp: r.count("dstBytes", x.get("dstBytes")),
		origPkts: r.count("srcPackets", x.get("srcPackets")), respPkts: r.count("dstPackets", x.get("dstPackets"))}
	n.both = x.get("srcBytes") != "" && x.get("dstBytes") != "" || x.get("srcPackets") != "" && x.get("dstPackets") != ""
	v := verdictOf(firstOf(x.get("action"), x.get("Action"), x.get("act"), head[4]))
	switch {
	case !e.Src.IP.IsValid() || !e.Dst.IP.IsValid():
		e.Class, e.Layer = ocsf.ClassBase, tenant.LayerEndpoint
	case proto != "" && (v != unsaid || n.any()):
		settle(e, proto, v, n, 0, "")
	case v == refused:
		e.Status = ocsf.StatusFailure
	}
	return e, r.err
}
