package firewall

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isFortiGate wants date, time and the ids that every FortiOS record has. A priority before them is taken off: the
// record has its own date, which syslog readers don't find.
func isFortiGate(line string) bool {
	_, line = cutPriority(line)
	if !strings.HasPrefix(line, "date=") && !strings.HasPrefix(line, "timestamp=") && !strings.HasPrefix(line, "logver=") && !strings.HasPrefix(line, "itime=") {
		return false
	}
	head := line[:min(len(line), 600)]
	return (strings.Contains(head, " time=") || strings.Contains(head, "timestamp=")) && strings.Contains(head, "type=") &&
		(strings.Contains(head, "logid=") || strings.Contains(head, "log_id=") || strings.Contains(head, "devid="))
}

func cutPriority(line string) (priority, rest string) {
	if strings.HasPrefix(line, "<") {
		if i := strings.IndexByte(line, '>'); i > 1 && i < 5 && strings.Trim(line[1:i], "0123456789") == "" {
			return line[1:i], line[i+1:]
		}
	}
	return "", line
}

// keyValues reads a=1 b="two words" c='x'; \" is escaped in quotes.
func keyValues(s string) (out pairs, err error) {
	for {
		s = strings.TrimLeft(s, " \t,")
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return out, nil
		}
		if i := strings.LastIndexAny(key, " \t"); i >= 0 { // words that are no pair
			key = key[i+1:]
		}
		if len(out) >= maxFields {
			return nil, fmt.Errorf("more than %d fields", maxFields)
		}
		value := ""
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = quoted(rest[1:]); !ok {
				return nil, fmt.Errorf("%s: the quote is not closed", quote(key))
			}
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			value, rest = rest[:i], rest[i:]
		} else {
			value, rest = rest, ""
		}
		if key != "" {
			out = append(out, ocsf.Field{Name: key, Value: value})
		}
		s = rest
	}
}

var quoteEscapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

func quoted(s string) (value, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			value = s[:i]
			if strings.IndexByte(value, '\\') >= 0 {
				value = quoteEscapes.Replace(value)
			}
			return value, s[i+1:], true
		}
	}
	return "", "", false
}

// fortiGateTime is the eventtime where it is there (seconds, in newer versions nanoseconds), else date and time of
// the zone tz, else in UTC.
func fortiGateTime(c clock, x pairs) (time.Time, error) {
	for _, name := range [...]string{"eventtime", "timestamp"} {
		if t, ok := epoch(x.get(name)); ok {
			return t, nil
		}
	}
	v := x.get("date") + " " + x.get("time")
	if tz := strings.ReplaceAll(x.get("tz"), ":", ""); len(tz) == 5 {
		v += " " + tz
	}
	t, err := c.parse(v)
	if err != nil {
		return t, fmt.Errorf("date: %w", err)
	}
	return t, nil
}

func fortiGateLine(c clock, line string) (*ocsf.Event, error) {
	pri, line := cutPriority(line)
	x, err := keyValues(line)
	if err != nil {
		return nil, err
	}
	if x.get("type") == "" {
		return nil, errors.New("no type: the line is no FortiOS record")
	}
	when, err := fortiGateTime(c, x)
	if err != nil {
		return nil, err
	}
	e := newEvent("fortigate/"+tame(x.get("type")), when)
	e.Fields = append(e.Fields, x...)
	addField(e, "syslog.priority", pri)
	e.Device = strings.ToLower(firstOf(x.get("devname"), x.get("devid"), x.get("device_id")))
	r := &reader{}
	e.User = account(firstOf(x.get("user"), x.get("xauthuser")))
	switch x.get("type") {
	case "traffic":
		fortiGateTraffic(e, x, r)
	case "event":
		fortiGateEvent(e, x, r)
	default:
		fortiGateEnds(e, x, r)
		e.Dst.Domain, e.URL = strings.ToLower(firstOf(x.get("hostname"), x.get("qname"))), x.get("url")
		if verdictOf(x.get("action")) == refused {
			e.Status = ocsf.StatusFailure
		}
	}
	return e, r.err
}

// tame keeps a kind to what a source may be called.
func tame(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
	return s[:min(len(s), 32)]
}

func fortiGateEnds(e *ocsf.Event, x pairs, r *reader) {
	e.Src.IP, e.Dst.IP = r.addr("srcip", x.get("srcip", "src")), r.addr("dstip", x.get("dstip", "dst"))
	if ports(x.get("proto")) {
		e.Src.Port, e.Dst.Port = r.port("srcport", x.get("srcport", "src_port")), r.port("dstport", x.get("dstport", "dst_port"))
	}
	e.Src.Host = strings.ToLower(x.get("srcname"))
	if s, d, id := x.get("devid"), x.get("eventtime"), x.get("sessionid"); s != "" && d != "" && id != "" && id != "0" {
		e.SourceID = strings.Join([]string{s, x.get("vd"), x.get("logid"), id, d}, "|")
	}
}

func fortiGateTraffic(e *ocsf.Event, x pairs, r *reader) {
	fortiGateEnds(e, x, r)
	n := counts{orig: r.count("sentbyte", x.get("sentbyte")), resp: r.count("rcvdbyte", x.get("rcvdbyte")),
		origPkts: r.count("sentpkt", x.get("sentpkt")), respPkts: r.count("rcvdpkt", x.get("rcvdpkt"))}
	n.both = x.get("sentbyte") != "" && x.get("rcvdbyte") != ""
	lasted := r.seconds("duration", x.get("duration"))
	action := strings.ToLower(x.get("action"))
	v, state := verdictOf(action), ""
	switch action {
	case "ip-conn": // allowed, and nobody was reached
		v, state = ended, "S0"
		n.resp, n.respPkts, n.both = 0, 0, true
		n.origPkts = max(n.origPkts, 1)
	case "timeout":
		state = "S1"
	case "client-rst":
		state = "RSTO"
	case "server-rst":
		if state = "RSTR"; n.respPkts <= 1 && n.resp <= 60 && n.orig <= 3*60 { // a single RST, and no data before it
			state = "REJ"
		}
	case "start":
		n.both = false
	}
	if strings.HasSuffix(x.get("logid", "log_id"), "0000000020") { // a session that goes on
		state = "S1"
	}
	if p := protocol(x.get("proto")); p == "icmp" || p == "icmp6" {
		if kind, ok := strings.CutPrefix(strings.ToLower(x.get("service")), "ping"); ok && kind == "" || kind == "6" {
			addField(e, "icmp_type", map[string]string{"icmp": "8", "icmp6": "128"}[p])
		}
	}
	settle(e, x.get("proto"), v, n, lasted, state)
	if state == "REJ" && n.any() {
		e.Status = ocsf.StatusFailure
	}
	e.Flow.Service = strings.ToLower(x.get("app"))
	if v != refused && action != "start" {
		e.Time = e.Time.Add(-lasted)
	}
	if x.get("trandisp") != "dnat" { // transip is the source's, tranip the destination's
		translate(e, x.get("proto"), v, action == "start", lasted, r.addr("transip", x.get("transip")), r.port("transport", x.get("transport")))
	}
}

// fortiGateEvent reads tunnels and logons; every other event is kept with its fields.
func fortiGateEvent(e *ocsf.Event, x pairs, r *reader) {
	e.Layer, e.Class = tenant.LayerAccess, ocsf.ClassBase
	from := r.addr("remip", x.get("remip", "rem_ip"))
	if !from.IsValid() {
		from = addr(x.get("srcip"))
	}
	e.Src.IP = from
	switch strings.ToLower(x.get("status")) {
	case "success":
		e.Status = ocsf.StatusSuccess
	case "failure", "failed":
		e.Status = ocsf.StatusFailure
	}
	switch action := strings.ToLower(x.get("action")); action {
	case "tunnel-up", "tunnel-down":
		e.Class = ocsf.ClassTunnelActivity
		l := &ocsf.Lease{Kind: "vpn", ID: tunnelID(x, e.User, from.String()), Addr: addr(x.get("tunnelip", "tunnel_ip", "assignip")), Public: from, Holder: e.User}
		l.Start, l.End = action == "tunnel-up", action == "tunnel-down"
		e.Activity = map[bool]string{true: "open", false: "close"}[l.Start]
		if l.Start {
			e.Status = ocsf.StatusSuccess
		} else {
			e.Flow = &ocsf.Flow{Duration: r.seconds("duration", x.get("duration")), OrigBytes: r.count("rcvdbyte", x.get("rcvdbyte")), RespBytes: r.count("sentbyte", x.get("sentbyte"))}
		}
		if l.ID != "" || l.Addr.IsValid() {
			e.Lease = l
		}
	case "login", "authentication", "auth-logon", "ssl-login", "ssl-login-fail":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
		if action == "ssl-login-fail" {
			e.Status = ocsf.StatusFailure
		}
	default:
		if x.get("subtype") == "vpn" {
			e.Class = ocsf.ClassTunnelActivity
		}
	}
}

// tunnelID names a tunnel in its start and its end alike; empty where the record names neither it nor its holder.
func tunnelID(x pairs, who ocsf.User, from string) string {
	if id := x.get("tunnelid", "tunnel_id"); id != "" && id != "0" {
		return strings.ToLower(firstOf(x.get("devid"), x.get("devname"))) + "/" + x.get("vd") + "/" + id
	}
	if who.Name == "" {
		return ""
	}
	return strings.ToLower(who.Name) + "/" + from
}
