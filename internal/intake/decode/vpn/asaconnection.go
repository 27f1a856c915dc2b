package vpn

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isConnection reports whether the message is the firewall's own of a connection or a packet ("ASA Series Syslog
// Messages").
func isConnection(id string) bool {
	switch id {
	case "302013", "302014", "302015", "302016", "302020", "302021", "305009", "305010", "305011", "305012",
		"106001", "106006", "106007", "106010", "106014", "106015", "106021", "106023", "106100":
		return true
	}
	return false
}

var (
	builtOrTorn = regexp.MustCompile(`^(Built|Teardown) (?:(inbound|outbound) )?(TCP|UDP) connection (\d+) for (\S+)(?: \(([^) ]+)\))?.{0,160}? to (\S+)(?: \(([^) ]+)\))?`)
	icmpPair    = regexp.MustCompile(`^(Built|Teardown) (?:(inbound|outbound) )?ICMP connection (?:\d+ )?for faddr (\S+).{0,120}? gaddr (\S+) laddr (\S+)`)
	deniedPair  = regexp.MustCompile(`(?:src|from) (\S+: ?\S+|\S+)(?: ?\([^)]*\))? (?:dst|to) (?:(\S+): )?(\S+)`)
	listedPair  = regexp.MustCompile(`^access-list \S+ (permitted|denied|est-allowed) (\S+) (\S+) -> (\S+)`)
	icmpKind    = regexp.MustCompile(`\(type (\d+), code \d+\)| type (\d+) code \d+`)
	tornAfter   = regexp.MustCompile(` duration (\d{1,6}):(\d{1,2}):(\d{1,2}) bytes (\d{1,18}) ?(.{0,80})`)
	translation = regexp.MustCompile(`^(Built|Teardown) (static|dynamic) translation from (\S+?)(?:\(.*?\))? to (\S+)`)
	portMapping = regexp.MustCompile(`^(Built|Teardown) (static|dynamic) (TCP|UDP|ICMP) translation from (\S+?)(?:\([^)]{0,120}\))? to (\S+?)(?:\([^)]{0,120}\))?(?: duration (\d{1,6}):(\d{1,2}):(\d{1,2}))?$`)
)

// connection reads the records of connections and packets. One that only begins has no Flow: nothing was counted yet.
// At the end the ASA tells the bytes of both ways as one number, which stands as the caller's; a UDP flow therefore
// has the state SHR, which is taken neither for answered nor for failed. The time of a connection that ended is that
// of its beginning; the field logged holds the record's own.
func connection(e *ocsf.Event, id, text string) {
	e.Layer, e.Class, e.Activity = tenant.LayerNetwork, ocsf.ClassNetworkActivity, "open"
	switch id {
	case "302013", "302014", "302015", "302016":
		tcpOrUDP(e, text)
	case "302020", "302021":
		icmpConnection(e, text)
	case "305009", "305010":
		translated(e, text)
	case "305011", "305012":
		portTranslated(e, text)
	case "106100":
		listed(e, text)
	default:
		refusal(e, id, text)
	}
}

// endpoint reads "outside:198.51.100.9/51234", "198.51.100.9/51234(DOMAIN\user)" and "outside/198.51.100.9(51234)".
func endpoint(s string) ocsf.Endpoint {
	s = strings.TrimRight(s, ",")
	inside := ""
	if i := strings.IndexByte(s, '('); i >= 0 {
		inside = strings.TrimRight(s[i+1:], ")")
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		if a := addr(s[i+1:]); a.IsValid() { // interface/address(port)
			return ocsf.Endpoint{IP: a, Port: port(inside)}
		}
		return ocsf.Endpoint{IP: placed(s[:i]), Port: port(s[i+1:])}
	}
	return ocsf.Endpoint{IP: placed(s)}
}

// placed cuts the interface off an address.
func placed(s string) (a netip.Addr) {
	if a = addr(s); a.IsValid() {
		return a
	}
	_, after, _ := strings.Cut(s, ":")
	return addr(after)
}

func field(e *ocsf.Event, name, value string) {
	if value != "" {
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
	}
}

func tcpOrUDP(e *ocsf.Event, text string) {
	m := builtOrTorn.FindStringSubmatch(text)
	if m == nil {
		return
	}
	e.Src, e.Dst = endpoint(m[5]), endpoint(m[7])
	field(e, "connection", m[4])
	e.Status = ocsf.StatusSuccess
	if m[1] == "Built" {
		field(e, "direction", m[2])
		field(e, "mapped.src", m[6])
		field(e, "mapped.dst", m[8])
		if m[2] == "outbound" { // the first is the outer side, which is called
			e.Src, e.Dst = e.Dst, e.Src
			e.Fields[len(e.Fields)-1].Name, e.Fields[len(e.Fields)-2].Name = swapMapped(e.Fields[len(e.Fields)-1].Name), swapMapped(e.Fields[len(e.Fields)-2].Name)
			m[6] = m[8]
		}
		mapped(e, m[3], endpoint(m[6]), true, false, 0)
		return
	}
	if e.Src.Port < e.Dst.Port && e.Src.Port < 32768 && e.Dst.Port >= 1024 { // the end does not say who called
		e.Src, e.Dst = e.Dst, e.Src
	}
	e.Activity = "close"
	f := &ocsf.Flow{Proto: strings.ToLower(m[3])}
	e.Flow = f
	t := tornAfter.FindStringSubmatch(text)
	if t == nil {
		if f.State = "OTH"; f.Proto == "udp" {
			f.State = "SHR"
		}
		return
	}
	f.Duration = clockSpan(t[1], t[2], t[3])
	f.OrigBytes, _ = strconv.ParseInt(t[4], 10, 64)
	field(e, "reason", t[5])
	field(e, "logged", e.Time.Format(time.RFC3339Nano))
	e.Time = e.Time.Add(-f.Duration)
	f.State = tornState(f, t[5])
	if f.State == "S0" || f.State == "REJ" {
		e.Status = ocsf.StatusFailure
	}
}

func swapMapped(name string) string {
	switch name {
	case "mapped.src":
		return "mapped.dst"
	case "mapped.dst":
		return "mapped.src"
	}
	return name
}

// tornState reads the reason by which a connection ended.
func tornState(f *ocsf.Flow, reason string) string {
	reset := strings.Contains(reason, "Reset")
	switch {
	case f.Proto == "udp":
		return "SHR"
	case strings.HasPrefix(reason, "SYN Timeout"):
		return "S0"
	case f.OrigBytes == 0 && reset:
		return "REJ"
	case f.OrigBytes == 0:
		return "OTH"
	case reset:
		return "RSTR"
	}
	return "SF"
}

func icmpConnection(e *ocsf.Event, text string) {
	m := icmpPair.FindStringSubmatch(text)
	if m == nil {
		return
	}
	e.Src.IP, e.Dst.IP = endpoint(m[3]).IP, endpoint(m[5]).IP
	if m[2] == "outbound" {
		e.Src, e.Dst = e.Dst, e.Src
	}
	e.Status = ocsf.StatusSuccess
	field(e, "gaddr", m[4])
	if m[1] == "Teardown" {
		e.Activity = "close"
	}
}

// translated reads translations of a whole address, one to one: who held the outer address, and until when.
func translated(e *ocsf.Event, text string) {
	m := translation.FindStringSubmatch(text)
	if m == nil {
		return
	}
	inner, outer := endpoint(m[3]).IP, endpoint(m[4]).IP
	field(e, "translation", m[2])
	e.Src.IP, e.Status = inner, ocsf.StatusSuccess
	if !inner.IsValid() || !outer.IsValid() {
		return
	}
	l := &ocsf.Lease{Kind: "nat", ID: "nat/" + inner.String() + "/" + outer.String(), Addr: outer, Public: inner}
	l.Start, l.End = m[1] == "Built", m[1] == "Teardown"
	if e.Lease = l; l.End {
		e.Activity = "close"
	}
}

// portTranslated reads translations of single ports. The end tells the whole of one: the event's time is that of the
// beginning then, as with connections.
func portTranslated(e *ocsf.Event, text string) {
	m := portMapping.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return
	}
	e.Src, e.Status = endpoint(m[4]), ocsf.StatusSuccess
	to := m[5]
	if i, j := strings.IndexByte(to, '('), strings.Index(to, "):"); i > 0 && j > i { // interface(access list):address
		to = to[:i] + to[j+1:]
	}
	outside := endpoint(to)
	field(e, "translation", m[2])
	field(e, "mapped.src", to)
	ends := m[1] == "Teardown"
	var lasted time.Duration
	if ends {
		e.Activity = "close"
		lasted = clockSpan(m[6], m[7], m[8])
	}
	if m[6] != "" && ends {
		field(e, "logged", e.Time.Format(time.RFC3339Nano))
		e.Time = e.Time.Add(-lasted)
	}
	mapped(e, m[3], outside, !ends || m[6] != "", ends, lasted)
	if m[3] == "ICMP" {
		e.Src.Port = 0 // an identifier
	}
}

// mapped says as which outside address and port the firewall shows the event's source.
func mapped(e *ocsf.Event, proto string, outside ocsf.Endpoint, begins, ends bool, lasted time.Duration) {
	if !e.Src.IP.IsValid() || !outside.IP.IsValid() || outside.IP == e.Src.IP {
		return
	}
	in := e.Src
	if proto == "ICMP" {
		in.Port, outside.Port = 0, 0
	}
	e.NAT = &ocsf.Translation{Proto: strings.ToLower(proto), Inside: in, Outside: outside, Start: begins, End: ends, Lasted: lasted}
}

// clockSpan reads hours, minutes and seconds.
func clockSpan(h, m, s string) time.Duration {
	n := func(v string) time.Duration { i, _ := strconv.Atoi(v); return time.Duration(i) }
	return n(h)*time.Hour + n(m)*time.Minute + n(s)*time.Second
}

// listed reads what an access list counted. "permitted" says nothing of an answer.
func listed(e *ocsf.Event, text string) {
	m := listedPair.FindStringSubmatch(text)
	if m == nil {
		return
	}
	e.Src, e.Dst = endpoint(m[3]), endpoint(m[4])
	if m[1] != "denied" {
		e.Status = ocsf.StatusSuccess
		return
	}
	refuse(e, m[2], text)
}

func refuse(e *ocsf.Event, proto, text string) {
	e.Activity, e.Status = "refuse", ocsf.StatusFailure
	proto = strings.ToLower(proto)
	e.Flow = &ocsf.Flow{Proto: proto, State: "REJ", OrigPkts: 1}
	if !strings.HasPrefix(proto, "icmp") {
		return
	}
	if k := icmpKind.FindStringSubmatch(text); k != nil {
		field(e, "icmp_type", firstOf(k[1], k[2]))
	} else if e.Src.Port != 0 { // access lists write type and code where the ports are
		field(e, "icmp_type", strconv.Itoa(int(e.Src.Port)))
	}
	e.Src.Port, e.Dst.Port = 0, 0
}

// refusal reads packets that were thrown away. One that belongs to no connection (106015) is a late or forged answer
// as often as a probe: only a lone FIN, or no flag at all, is a probe.
func refusal(e *ocsf.Event, id, text string) {
	e.Activity, e.Status = "refuse", ocsf.StatusFailure
	m := deniedPair.FindStringSubmatch(text)
	if m == nil {
		return
	}
	e.Src, e.Dst = endpoint(strings.ReplaceAll(m[1], ": ", ":")), endpoint(m[3])
	proto := ""
	for w := range strings.FieldsSeq(text) {
		if w = strings.ToLower(w); w == "tcp" || w == "udp" || w == "icmp" || w == "icmp6" {
			proto = w
			break
		}
		if w == "src" || w == "from" {
			break
		}
	}
	if proto == "" {
		return
	}
	refuse(e, proto, text)
	_, flags, has := strings.Cut(text, " flags ")
	flags, _, _ = strings.Cut(flags, " on interface")
	if flags = strings.TrimSpace(flags); has && flags != "SYN" {
		e.Flow.State = "OTH"
		switch {
		case strings.Contains(flags, "SYN"):
			e.Flow.History = "H"
		case strings.Contains(flags, "RST"):
			e.Flow.History = "R"
		case strings.Contains(flags, "ACK"):
			e.Flow.History = "A"
		case strings.HasPrefix(flags, "FIN"):
			e.Flow.History = "F"
		}
		field(e, "flags", flags)
	}
	if id == "106007" { // an answer of a name server that came late, or a question
		e.Flow.State = "SHR"
	}
}
