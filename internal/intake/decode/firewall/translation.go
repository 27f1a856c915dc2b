package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var (
	errNoConntrack = errors.New("no event of connection tracking with a time and the addresses of both ways")
	errManyFields  = fmt.Errorf("more than %d fields", maxFields)
)

// translate says by which outside address and port the source of a session was seen beyond the firewall. A session
// that was refused was not translated; a record of its beginning tells no end.
func translate(e *ocsf.Event, proto string, v verdict, begins bool, lasted time.Duration, outside netip.Addr, port uint16) {
	if v == refused || !outside.IsValid() || !e.Src.IP.IsValid() || outside == e.Src.IP {
		return
	}
	x := &ocsf.Translation{Proto: protocol(proto), Inside: ocsf.Endpoint{IP: e.Src.IP, Port: e.Src.Port}, Outside: ocsf.Endpoint{IP: outside, Port: port}, Start: true}
	if !ports(proto) {
		x.Outside.Port = 0
	}
	if !begins {
		x.End, x.Lasted = true, lasted
	}
	e.NAT = x
}

// isConntrack wants the events of netfilter's connection tracking: `conntrack -E -o timestamp`, or ulogd's NFCT.
func isConntrack(line string) bool {
	_, rest, ok := conntrackTime(clock{time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC)}, line)
	if !ok {
		return false
	}
	_, _, ok = conntrackKind(rest)
	return ok
}

// conntrackTime cuts off the time: "[1758700000.123456]" of conntrack, or the date and host of a log file.
func conntrackTime(c clock, line string) (time.Time, string, bool) {
	at := strings.Index(line, "[NEW]")
	for _, mark := range [...]string{"[DESTROY]", "[UPDATE]"} {
		if i := strings.Index(line, mark); at < 0 || i >= 0 && i < at {
			at = i
		}
	}
	if at < 0 || at > farthest {
		return time.Time{}, line, false
	}
	before, rest := strings.TrimSpace(line[:at]), line[at:]
	if in, ok := strings.CutPrefix(before, "["); ok {
		if in, ok = strings.CutSuffix(in, "]"); ok {
			whole, frac, _ := strings.Cut(strings.TrimSpace(in), ".")
			if len(whole) != 10 || len(frac) > 6 {
				return time.Time{}, line, false
			}
			t, ok := epoch(whole + strings.Repeat("0", 6-len(frac)) + frac) // microseconds, without their zeros
			return t, rest, ok
		}
	}
	t, _, err := c.header(before)
	return t, rest, err == nil
}

// conntrackKind cuts off what the event is, and wants the addresses of both ways.
func conntrackKind(s string) (kind, rest string, ok bool) {
	kind, rest, ok = strings.Cut(strings.TrimPrefix(s, "["), "]")
	low := strings.ToLower(rest)
	return kind, rest, ok && strings.Count(low, "src=") == 2 && strings.Count(low, "dst=") == 2
}

// conntrackLine reads a connection that began (NEW) or was forgotten (DESTROY): the addresses of the way there, and
// those that answers are sent to, which are the translated ones. DESTROY tells the time by delta-time where the
// kernel keeps it (nf_conntrack_timestamp), and packets and bytes where it counts (nf_conntrack_acct); the event's
// time is that of the beginning then, and the record's own stays in the field logged. What is known of an answer is
// [UNREPLIED] and [ASSURED] (conntrack-tools 1.4; ulogd 2, output LOGEMU).
func conntrackLine(c clock, line string) (*ocsf.Event, error) {
	when, rest, ok := conntrackTime(c, line)
	if !ok {
		return nil, errNoConntrack
	}
	kind, rest, ok := conntrackKind(rest)
	if !ok {
		return nil, errNoConntrack
	}
	e := newEvent("conntrack", when)
	addField(e, "event", kind)
	var way [2]pairs
	n, proto := -1, ""
	var flags, once []string
	for w := range strings.FieldsSeq(strings.ReplaceAll(rest, ",", " ")) {
		k, v, pair := strings.Cut(w, "=")
		k = conntrackName(strings.ToLower(k))
		switch {
		case len(once) > maxFields:
			return nil, errManyFields
		case !pair && strings.HasPrefix(w, "["):
			flags = append(flags, strings.Trim(w, "[]"))
		case !pair && n < 0 && proto == "" && !strings.HasSuffix(w, ":"):
			if w != "ipv4" && w != "ipv6" && strings.Trim(w, "0123456789") != "" {
				proto = w
			}
		case !pair && n < 0 && strings.ToUpper(w) == w && strings.Trim(w, "0123456789") != "" && !strings.HasSuffix(w, ":"):
			addField(e, "state", w)
		case !pair:
		case k == "src":
			n = min(n+1, 1)
			way[n] = append(way[n], ocsf.Field{Name: k, Value: v})
		case n >= 0 && (k == "dst" || k == "sport" || k == "dport" || k == "packets" || k == "bytes" || k == "type"):
			way[n] = append(way[n], ocsf.Field{Name: k, Value: v})
		case k == "proto":
			proto = v
		default:
			once = append(once, k)
			addField(e, k, v)
		}
	}
	for i, prefix := range [...]string{"orig.", "reply."} {
		for _, f := range way[i] {
			addField(e, prefix+f.Name, f.Value)
		}
	}
	addField(e, "proto", protocol(proto))
	addField(e, "flags", strings.Join(flags, " "))
	return conntrackEvent(e, kind, proto, way, strings.Join(flags, " "))
}

func conntrackEvent(e *ocsf.Event, kind, proto string, way [2]pairs, flags string) (*ocsf.Event, error) {
	r := &reader{}
	orig, reply := way[0], way[1]
	e.Src.IP, e.Dst.IP = r.addr("src", orig.get("src")), r.addr("dst", orig.get("dst"))
	outside, outsidePort := r.addr("reply dst", reply.get("dst")), uint16(0)
	if ports(proto) {
		e.Src.Port, e.Dst.Port = r.port("sport", orig.get("sport")), r.port("dport", orig.get("dport"))
		outsidePort = r.port("reply dport", reply.get("dport"))
	} else {
		addField(e, "icmp_type", orig.get("type"))
	}
	n := counts{orig: r.count("bytes", orig.get("bytes")), resp: r.count("reply bytes", reply.get("bytes")),
		origPkts: r.count("packets", orig.get("packets")), respPkts: r.count("reply packets", reply.get("packets"))}
	n.both = orig.get("packets") != "" && reply.get("packets") != ""
	fields := pairs(e.Fields)
	lasted := r.seconds("delta-time", fields.get("delta-time"))
	begins := kind != "DESTROY"
	switch {
	case begins:
		e.Activity = "open"
	default:
		state := ""
		if strings.Contains(flags, "UNREPLIED") {
			n.resp, n.respPkts, n.both, state = 0, 0, true, "S0"
			n.origPkts = max(n.origPkts, 1)
		}
		if fields.get("delta-time") != "" {
			addField(e, "logged", e.Time.Format(time.RFC3339Nano))
			e.Time = e.Time.Add(-lasted)
		}
		settle(e, proto, ended, n, lasted, state)
	}
	translate(e, proto, passed, begins, lasted, outside, outsidePort)
	if x := e.NAT; x != nil && !begins && fields.get("delta-time") == "" {
		x.Start, x.Lasted = false, 0 // it tells the end alone
	}
	return e, r.err
}

// conntrackName returns conntrack's name for what ulogd calls otherwise.
func conntrackName(k string) string {
	switch k {
	case "spt":
		return "sport"
	case "dpt":
		return "dport"
	case "pkts":
		return "packets"
	}
	return k
}
