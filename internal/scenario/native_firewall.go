package scenario

import (
	"fmt"
	"net/netip"
	"time"
)

func firewallFile(o *org) string { return "firewall/" + o.firewall + ".log" }

var firewallService = map[int]string{22: "SSH", 53: "DNS", 80: "HTTP", 88: "KERBEROS", 135: "DCE-RPC", 161: "SNMP", 389: "LDAP", 443: "HTTPS",
	445: "SMB", 3389: "RDP", 5985: "tcp/5985", 8080: "HTTP-ALT"}

// passes writes what the gateway's firewall logs of a connection: those that come through a tunnel and those that knock
// from outside. inner is the caller's address before translation, where the flow shows the shared one.
func (s *scribe) passes(o *org, f flow, inner netip.Addr) {
	if o.firewall == "" {
		return
	}
	tunnelled := o.poolNet.Contains(f.src) || o.dual && o.nets6()[o.poolNet].Contains(f.src)
	if !tunnelled && o.local(f.src) || f.proto == "icmp" {
		return
	}
	nat := netip.Addr{}
	if inner.IsValid() && tunnelled {
		inner, _ = s.family(o, inner, o.servers[0].ip, false)
		if o.translates && inner.Is4() == f.src.Is4() {
			f.src, nat = inner, f.src
		}
	}
	if o.firewall == "asa" {
		s.asaPasses(o, f, tunnelled, nat)
		return
	}
	s.fortiGatePasses(o, f, tunnelled, nat)
}

func (s *scribe) fortiGatePasses(o *org, f flow, tunnelled bool, nat netip.Addr) {
	file := firewallFile(o)
	end := f.t.Add(f.dur) // FortiOS logs a session when it ends
	told := o.shown(file, end)
	action, policy, from := "close", 12, "ssl.root"
	if !tunnelled {
		policy, from = 4, "wan1"
	}
	switch {
	case f.state == "S0" && !tunnelled:
		action, policy = "deny", 0
	case f.state == "S0":
		action = "timeout"
	case f.state == "REJ":
		action = "server-rst"
	case f.state == "RSTO":
		action = "client-rst"
	case f.proto == "udp":
		action = "accept"
	}
	proto, service, op, ip := 6, firewallService[f.dport], 2+f.out/620, 1+f.in/1180
	if f.proto == "udp" {
		proto = 17
	}
	if service == "" {
		service = fmt.Sprintf("%s/%d", f.proto, f.dport)
	}
	sent, got := f.out+40*op, f.in+40*ip
	switch f.state {
	case "S0":
		op, ip, sent, got = 1, 0, 52, 0
	case "REJ":
		op, ip, sent, got = 1, 1, 52, 40
	}
	disp := `"noop"`
	if nat.IsValid() {
		disp = fmt.Sprintf(`"snat" transip=%s transport=%d`, nat, f.sport)
		f.sport = s.n.port()
	}
	s.line(o, file, end, fmt.Sprintf(`date=%s time=%s devname="fw1-%s" devid="FGT60F%s" eventtime=%d tz="+0000" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" `+
		`srcip=%s srcport=%d srcintf="%s" srcintfrole="undefined" dstip=%s dstport=%d dstintf="internal" dstintfrole="lan" sessionid=%d proto=%d action="%s" policyid=%d policytype="policy" `+
		`service="%s" trandisp=%s duration=%d sentbyte=%d rcvdbyte=%d sentpkt=%d rcvdpkt=%d appcat="unscanned"`,
		told.Format("2006-01-02"), told.Format("15:04:05"), o.id, o.serial, told.UnixNano(), f.src, f.sport, from, f.dst, f.dport, s.n.between(100_000, 9_000_000), proto, action, policy,
		service, disp, int(f.dur.Seconds()), sent, got, op, ip))
}

func (s *scribe) asaPasses(o *org, f flow, tunnelled bool, nat netip.Addr) {
	file := firewallFile(o)
	say := func(t time.Time, pri int, text string) {
		s.line(o, file, t, fmt.Sprintf("<%d>%s fw1-%s : %s", pri, o.shown(file, t).Format("Jan 02 2006 15:04:05"), o.id, text))
	}
	if f.state == "S0" && !tunnelled {
		say(f.t, 164, fmt.Sprintf(`%%ASA-4-106023: Deny %s src outside:%s/%d dst inside:%s/%d by access-group "outside_in" [0x0, 0x0]`, f.proto, f.src, f.sport, f.dst, f.dport))
		return
	}
	mapped := fmt.Sprintf("%s/%d", f.src, f.sport)
	if nat.IsValid() {
		mapped = fmt.Sprintf("%s/%d", nat, f.sport)
		f.sport = s.n.port()
		say(f.t, 166, fmt.Sprintf("%%ASA-6-305011: Built dynamic TCP translation from outside:%s/%d to inside:%s", f.src, f.sport, mapped))
	}
	id, up, down, proto := s.n.between(100_000, 9_000_000), "302013", "302014", "TCP"
	if f.proto == "udp" {
		up, down, proto = "302015", "302016", "UDP"
	}
	say(f.t, 166, fmt.Sprintf("%%ASA-6-%s: Built inbound %s connection %d for outside:%s/%d (%s) to inside:%s/%d (%s/%d)", up, proto, id, f.src, f.sport, mapped, f.dst, f.dport, f.dst, f.dport))
	why := map[string]string{"S0": " SYN Timeout", "REJ": " TCP Reset-I", "RSTO": " TCP Reset-O"}[f.state]
	if why == "" && proto == "TCP" {
		why = " TCP FINs"
	}
	lasts := f.dur
	if f.state == "S0" {
		lasts = 30 * time.Second
	}
	secs := int(lasts.Seconds())
	say(f.t.Add(lasts), 166, fmt.Sprintf("%%ASA-6-%s: Teardown %s connection %d for outside:%s/%d to inside:%s/%d duration %d:%02d:%02d bytes %d%s",
		down, proto, id, f.src, f.sport, f.dst, f.dport, secs/3600, secs/60%60, secs%60, f.out+f.in, why))
}
