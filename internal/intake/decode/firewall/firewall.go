// Package firewall decodes what firewalls log as lines: CEF, LEEF 1 and 2, FortiGate's key=value, Palo Alto's CSV
// (TRAFFIC, THREAT, GLOBALPROTECT), the LOG lines of Linux netfilter (iptables, nftables, ufw) and the events of its
// connection tracking. Cisco ASA is package vpn's. Lines come alone, or as the message of a syslog line or an
// envelope; a frame may hold a single one.
//
// Out come network events whose Flow says what the firewall knows:
//
//   - refused (deny, drop, reset before an answer): state REJ, status failure, activity "refuse";
//   - passed and counted both ways: SF, S1, RSTO or RSTR where something came back, S0 where nothing did;
//   - passed, without counts of both ways: no state. Nothing says whether it was answered, so nobody is accused:
//     UDP has the state SHR and ICMP the field icmp_type "unknown", neither of which a detector takes for a failure.
//
// A record that is written when a session ends has the time of its beginning (the end less the duration), as Zeek's
// have; the record's own time stays in Fields. Where the source was translated, Event.NAT says to which address and
// port; several share one address at a time, so a traffic record makes nobody the holder of all of it. Tunnels of FortiGate and GlobalProtect carry a Lease as package vpn's do.
//
// The source's fields keep their names, those of Palo Alto are the variable names of its "Syslog Field Descriptions".
// Times without a zone are UTC; a date without a year takes that of the line's arrival, and is refused where nobody
// knows it. A line holds at most 512 fields. One that can't be read goes to the sink with the reason.
//
// Sources: "Implementing ArcSight Common Event Format" 25; IBM "LEEF overview" 2.0; Fortinet "FortiOS Log Message
// Reference" 5.6 to 7.4; Palo Alto "PAN-OS Administrator's Guide", "Syslog Field Descriptions" 8.1 to 11.0; Linux
// net/netfilter/nf_log_syslog.c.
package firewall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxFields is how many fields one line may have.
const maxFields = 512

// Streams returns the formats of this package. Each recognises its lines by marks that no other format has; they
// come before the formats of syslog lines.
func Streams() []decode.Stream {
	return []decode.Stream{
		stream("cef", isCEF, cefLine),
		stream("leef", isLEEF, leefLine),
		stream("fortigate", isFortiGate, fortiGateLine),
		stream("paloalto", isPaloAlto, paloAltoLine),
		stream("conntrack", isConntrack, conntrackLine),
		stream("netfilter", isNetfilter, netfilterLine),
	}
}

// clock says when the lines were received; zero where nobody knows.
type clock struct{ received time.Time }

func stream(name string, is func(line string) bool, read func(clock, string) (*ocsf.Event, error)) decode.Stream {
	return decode.Stream{
		Name:      name,
		Recognise: func(_ string, head []byte) bool { return mostly(head, is) },
		Read: func(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
			at, _ := decode.Received(ctx)
			c := clock{at}
			return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
				line := trimmed(raw)
				if line == "" {
					return nil
				}
				e, err := read(c, line)
				if err != nil {
					return err
				}
				e.Fields.Sort()
				sink.Event(e, n, raw)
				return nil
			})
		},
	}
}

func trimmed(raw []byte) string {
	return strings.Trim(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), " \t\r\n\x00")
}

// lookAt is how many lines of a file are looked at to recognise it.
const lookAt = 60

// mostly reports whether more than half of the lines that are not empty are as asked. The last line of a head that
// was cut may be half a line.
func mostly(head []byte, is func(line string) bool) bool {
	yes, total := 0, 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		text := trimmed(line)
		if text == "" {
			continue
		}
		if total++; total > lookAt {
			break
		}
		if is(text) {
			yes++
		}
	}
	return yes*2 > min(total, lookAt)
}

func newEvent(source string, t time.Time) *ocsf.Event {
	return &ocsf.Event{Time: t, Source: source, Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Activity: "other"}
}

func addField(e *ocsf.Event, name, value string) {
	if value != "" {
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
	}
}

// verdict is what a firewall did with a packet or a session.
type verdict int

const (
	unsaid verdict = iota
	passed         // nothing says whether the session is over
	ended          // passed, and over
	refused
)

// verdictOf reads the words by which firewalls name what they did.
func verdictOf(action string) verdict {
	a := strings.ToLower(strings.TrimSpace(action))
	switch a {
	case "deny", "denied", "drop", "dropped", "block", "blocked", "reject", "rejected", "drop-icmp", "reset-client", "reset-server", "reset-both",
		"reset", "silent drop", "discard", "discarded", "refuse", "refused", "drop-all-packets", "block-ip", "block-url", "random-drop", "sinkhole", "prevent", "terminate", "terminated":
		return refused
	case "allow", "allowed", "accept", "accepted", "permit", "permitted", "pass", "passed", "start", "built", "open", "opened":
		return passed
	case "close", "closed", "teardown", "end", "timeout", "server-rst", "client-rst":
		return ended
	}
	return unsaid
}

// counts is what was counted of a session.
type counts struct {
	orig, resp, origPkts, respPkts int64
	both                           bool // each way was counted: nothing in one is told, and not unknown
}

func (c counts) answered() bool { return c.resp > 0 || c.respPkts > 0 }
func (c counts) any() bool      { return c.answered() || c.orig > 0 || c.origPkts > 0 }

// settle gives the event its flow. State is what the record itself says of how an answered session ended; "" is SF.
func settle(e *ocsf.Event, proto string, v verdict, c counts, lasted time.Duration, state string) {
	f := &ocsf.Flow{Proto: protocol(proto), Duration: lasted, OrigBytes: c.orig, RespBytes: c.resp, OrigPkts: c.origPkts, RespPkts: c.respPkts}
	e.Flow = f
	switch {
	case v == refused:
		e.Activity, e.Status = "refuse", ocsf.StatusFailure
		f.State, f.OrigPkts = "REJ", max(f.OrigPkts, 1)
		if c.answered() && f.Proto == "tcp" { // what was let through first was answered
			f.State = "RSTR"
		}
	case c.both && c.any():
		e.Activity, e.Status = "close", ocsf.StatusSuccess
		if v == passed && state == "" {
			e.Activity = "open"
		}
		switch {
		case c.answered() && state != "":
			f.State = state
		case c.answered():
			f.State = "SF"
		default:
			f.State, e.Status = "S0", ocsf.StatusFailure
		}
	case v == unsaid:
		unknown(e)
	default:
		e.Activity, e.Status = "open", ocsf.StatusSuccess
		if v == ended {
			e.Activity = "close"
		}
		if c.any() && v == ended && f.Proto == "tcp" {
			f.State = "SF"
		}
		unknown(e)
	}
}

// unknown marks a flow of which nobody knows whether it was answered, so that it is taken for no failure.
func unknown(e *ocsf.Event) {
	switch e.Flow.Proto {
	case "udp":
		e.Flow.State = "SHR"
	case "icmp", "icmp6":
		for _, f := range e.Fields {
			if f.Name == "icmp_type" {
				e.Fields = without(e.Fields, "icmp_type")
				addField(e, "icmp_type.seen", f.Value)
				break
			}
		}
		addField(e, "icmp_type", "unknown")
	}
}

func without(fields ocsf.Fields, name string) ocsf.Fields {
	out := fields[:0]
	for _, f := range fields {
		if f.Name != name {
			out = append(out, f)
		}
	}
	return out
}

// protocol returns the name of a protocol that is given by number or name.
func protocol(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if name, ok := protocols[s]; ok {
		return name
	}
	return s
}

// protocols are IANA's numbers, as far as a flow of them says something, and other spellings.
var protocols = map[string]string{"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "51": "ah", "58": "icmp6", "132": "sctp",
	"icmpv6": "icmp6", "ipv6-icmp": "icmp6"}

// addr reads an address; the unspecified one is none.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(s, "[] "))
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// reader reads values of one record and keeps the first that was wrong.
type reader struct{ err error }

func (r *reader) wrong(name, value, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s is not %s", name, quote(value), want)
	}
}

func (r *reader) addr(name, v string) netip.Addr {
	if v == "" || v == "N/A" || v == "(null)" || v == "-" {
		return netip.Addr{}
	}
	a := addr(v)
	if !a.IsValid() && strings.Trim(v, "[]") != "0.0.0.0" && strings.Trim(v, "[]") != "::" {
		r.wrong(name, v, "an address")
	}
	return a
}

func (r *reader) port(name, v string) uint16 { return uint16(r.number(name, v, 1<<16-1)) }

func (r *reader) count(name, v string) int64 { return r.number(name, v, 1<<62) }

func (r *reader) number(name, v string, limit int64) int64 {
	if v == "" || v == "N/A" || v == "-" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > limit {
		r.wrong(name, v, "a number up to "+strconv.FormatInt(limit, 10))
		return 0
	}
	return n
}

// seconds reads a whole number of seconds; a session of more than ten years is a broken counter.
func (r *reader) seconds(name, v string) time.Duration {
	return time.Duration(r.number(name, v, 10*366*86400)) * time.Second
}

func quote(v string) string {
	if len(v) > 40 {
		v = v[:40]
	}
	return strconv.QuoteToASCII(v)
}

func ports(proto string) bool { p := protocol(proto); return p != "icmp" && p != "icmp6" }

// account splits DOMAIN\name; a principal name stays whole.
func account(s string) ocsf.User {
	if s == "" || s == "N/A" || s == "unknown" {
		return ocsf.User{}
	}
	if domain, name, ok := strings.Cut(s, `\`); ok {
		return ocsf.User{Name: name, Domain: domain}
	}
	return ocsf.User{Name: s}
}
