package firewall

import (
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isNetfilter wants the date of whatever carried the line right before the kernel's message: a line of a log file,
// with host and program, is syslog's.
func isNetfilter(line string) bool {
	word, rest, _ := strings.Cut(line, " ")
	if len(word) < 19 || !strings.Contains(rest, " SRC=") || !strings.Contains(rest, " DST=") {
		return false
	}
	_, ok := decode.ParseTime(word)
	at := packetStart(rest)
	return ok && at >= 0 && at <= farthest && !strings.Contains(rest[:at], "kernel:")
}

// packetStart returns where "IN=" begins a word, or -1; a rule's prefix may stand right before it.
func packetStart(s string) int {
	for from := 0; ; {
		i := strings.Index(s[from:], "IN=")
		if i < 0 {
			return -1
		}
		if i += from; i == 0 || !keyByte(s[i-1]) || strings.Contains(s[i:min(i+45, len(s))], " OUT=") {
			return i
		}
		from = i + 3
	}
}

// netfilterLine reads a packet that a LOG rule saw. What became of it only the rule's prefix tells (ufw's BLOCK and
// ALLOW, firewalld's DROP and REJECT, administrators' words of the same kind); one that has none of these accuses
// nobody. One packet is no connection: the flow holds what the packet was.
func netfilterLine(c clock, line string) (*ocsf.Event, error) {
	word, rest, _ := strings.Cut(line, " ")
	when, ok := decode.ParseTime(word)
	if !ok {
		return nil, errors.New("no date before the packet")
	}
	at := packetStart(rest)
	if at < 0 {
		return nil, errors.New("no IN= in the line: it is no packet of a LOG rule")
	}
	prefix := strings.TrimSpace(rest[:at])
	if strings.HasPrefix(prefix, "[") { // seconds since the machine's start
		if up, after, ok := strings.Cut(prefix[1:], "]"); ok && strings.Trim(up, " .0123456789") == "" {
			prefix = strings.TrimSpace(after)
		}
	}
	e := newEvent("netfilter", when)
	addField(e, "prefix", prefix)
	r := &reader{}
	packet := rest[at:]
	if i := strings.Index(packet, " [SRC="); i >= 0 { // the packet that an ICMP error is about
		addField(e, "inner", strings.Trim(packet[i+1:], "[] "))
		packet = packet[:i]
	}
	var x pairs
	var flags []string
	for w := range strings.FieldsSeq(packet) {
		if len(x)+len(flags) >= maxFields {
			return nil, fmt.Errorf("more than %d fields", maxFields)
		}
		if k, v, ok := strings.Cut(w, "="); ok {
			x = append(x, ocsf.Field{Name: k, Value: v})
		} else {
			flags = append(flags, w)
		}
	}
	for _, f := range x {
		addField(e, f.Name, f.Value)
	}
	addField(e, "flags", strings.Join(flags, " "))
	e.Src.IP, e.Dst.IP = r.addr("SRC", x.get("SRC")), r.addr("DST", x.get("DST"))
	proto := x.get("PROTO")
	if ports(proto) {
		e.Src.Port, e.Dst.Port = r.port("SPT", x.get("SPT")), r.port("DPT", x.get("DPT"))
	} else {
		addField(e, "icmp_type", x.get("TYPE"))
	}
	v := prefixVerdict(prefix)
	settle(e, proto, v, counts{orig: r.count("LEN", x.get("LEN")), origPkts: 1}, 0, "")
	e.Flow.OrigBytes = 0 // LEN is the packet with its headers
	if e.Flow.Proto == "tcp" {
		packetHistory(e, flags)
	}
	return e, r.err
}

// prefixVerdict reads the words of a rule's prefix.
func prefixVerdict(prefix string) verdict {
	v := unsaid
	for w := range strings.FieldsFuncSeq(strings.ToLower(prefix), func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		for part := range strings.SplitSeq(w, "_") {
			switch verdictOf(part) {
			case refused:
				return refused
			case passed:
				v = passed
			}
		}
	}
	return v
}

// packetHistory writes the packet's flags as Zeek's letters. A packet that is no first one (an answer, a late FIN or
// RST of a connection that was forgotten) is no probe, whoever refused it.
func packetHistory(e *ocsf.Event, flags []string) {
	has := func(name string) bool {
		for _, f := range flags {
			if f == name {
				return true
			}
		}
		return false
	}
	f := e.Flow
	switch {
	case has("SYN") && has("ACK"):
		f.History, f.State = "H", "OTH"
	case has("SYN"):
		f.History = "S"
	case has("RST"):
		f.History, f.State = "R", "OTH"
	case has("ACK"):
		f.History, f.State = "A", "OTH"
	case has("FIN"):
		f.History, f.State = "F", "OTH"
	case f.State == "REJ":
		f.State = "OTH" // NULL
	}
}
