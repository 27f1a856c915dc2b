package scenario

import (
	"fmt"
	"net/netip"
	"time"
)

// tunnel is one VPN session at a client's gateway.
type tunnel struct {
	user      string
	from      netip.Addr // public address of the caller
	pool      netip.Addr // address that the inside sees
	lent      netip.Addr // address lent for the session, where a translation hides it; else it is pool
	machine   string
	machineID string
	country   string
	group     string // ASA: connection profile
	start     time.Time
	end       time.Time
	out, in   int
}

func vpnFile(o *org) string {
	switch o.vpn {
	case "openvpn":
		return "vpn/openvpn.log"
	case "asa":
		return "vpn/asa.log"
	default:
		return "vpn/globalprotect.csv"
	}
}

const globalProtectHeader = "Receive Time,Serial #,Type,Threat/Content Type,Generate Time,Virtual System,Event ID,Stage,Auth Method,Tunnel Type,Source User,Source Region,Machine Name,Public IP,Public IPv6,Private IP,Private IPv6,Host ID,Serial Number,Client Version,Client OS,Client OS Version,Repeat Count,Reason,Error,Description,Status,Location,Login Duration,Connect Method,Error Code,Portal,Sequence Number,Action Flags\n"

// tunnel writes a VPN session in the words of the client's product.
func (s *scribe) tunnel(o *org, v tunnel) {
	file := vpnFile(o)
	if v.lent.IsValid() {
		s.behindOf(v)
		v.pool = v.lent
	}
	six, openSix, asaSix, gpSix := o.twinAddr(v.pool), "(Not enabled)", "::", ""
	if six.IsValid() {
		openSix, asaSix, gpSix = six.String(), six.String(), six.String()
	}
	sec := func(i int) time.Time { return v.start.Add(time.Duration(i) * time.Second) }
	lasts := v.end.Sub(v.start)
	switch o.vpn {
	case "openvpn":
		peer := netip.AddrPortFrom(v.from, uint16(s.n.port())).String()
		both := v.user + "/" + peer
		say := func(t time.Time, text string) {
			s.line(o, file, t, o.shown(file, t).Format("2006-01-02 15:04:05 ")+text)
		}
		sid := s.n.hex(8)
		say(sec(0), fmt.Sprintf("%s TLS: Initial packet from [AF_INET]%s, sid=%s %s", peer, peer, sid[:8], sid[8:]))
		say(sec(1), fmt.Sprintf("%s TLS: Username/Password authentication succeeded for username '%s'", peer, v.user))
		say(sec(1), fmt.Sprintf("%s [%s] Peer Connection Initiated with [AF_INET]%s", peer, v.user, peer))
		say(sec(2), fmt.Sprintf("%s MULTI_sva: pool returned IPv4=%s, IPv6=%s", both, v.pool, openSix))
		say(sec(2), fmt.Sprintf("%s MULTI: Learn: %s -> %s", both, v.pool, both))
		if six.IsValid() {
			say(sec(2), fmt.Sprintf("%s MULTI: Learn: %s -> %s", both, six, both))
		}
		say(sec(2), fmt.Sprintf("%s MULTI: primary virtual IP for %s: %s", both, both, v.pool))
		say(sec(3), both+" PUSH: Received control message: 'PUSH_REQUEST'")
		say(v.end, both+" SIGTERM[soft,remote-exit] received, client-instance exiting")
	case "asa":
		say := func(t time.Time, pri int, text string) {
			s.line(o, file, t, fmt.Sprintf("<%d>%s fw1-%s : %s", pri, o.shown(file, t).Format("Jan 02 2006 15:04:05"), o.id, text))
		}
		who := fmt.Sprintf("Group <%s> User <%s> IP <%s>", v.group, v.user, v.from)
		say(sec(0), 166, fmt.Sprintf("%%ASA-6-113004: AAA user authentication Successful : server = %s : user = %s", o.servers[0].ip, v.user))
		say(sec(1), 166, "%ASA-6-113039: "+who+" AnyConnect parent session started.")
		say(sec(2), 164, fmt.Sprintf("%%ASA-4-722051: %s IPv4 Address <%s> IPv6 address <%s> assigned to session", who, v.pool, asaSix))
		say(sec(2), 166, "%ASA-6-722022: "+who+" TCP SVC connection established without compression")
		say(v.end, 164, fmt.Sprintf("%%ASA-4-113019: Group = %s, Username = %s, IP = %s, Session disconnected. Session Type: AnyConnect-Parent, Duration: %dh:%02dm:%02ds, Bytes xmt: %d, Bytes rcv: %d, Reason: User Requested",
			v.group, v.user, v.from, int(lasts.Hours()), int(lasts.Minutes())%60, int(lasts.Seconds())%60, v.in, v.out))
	default:
		row := func(t time.Time, event, stage, auth, tun, private, private6 string, login int) {
			told := o.shown(file, t)
			gen := told.Add(-3 * time.Second)
			s.line(o, file, t, fmt.Sprintf(`%s,%s,GLOBALPROTECT,0,%s,vsys1,%s,%s,%s,%s,%s,%s,%s,%s,,%s,%s,%s,,6.1.4,Windows,"Microsoft Windows 11 Pro, 64-bit",1,,,,success,,%d,on-demand,0,gp-%s,%d,0x8000000000000000`,
				told.Format("2006/01/02 15:04:05"), o.serial, gen.Format("2006/01/02 15:04:05"), event, stage, auth, tun, v.user, v.country, v.machine, v.from, private, private6, v.machineID, login, o.id, s.n.between(1000000, 9999999)))
		}
		row(sec(3), "portal-auth", "login", "LDAP", "", "0.0.0.0", "", 0)
		row(sec(5), "gateway-auth", "login", "LDAP", "", "0.0.0.0", "", 0)
		row(sec(7), "gateway-connected", "connected", "", "IPSec", v.pool.String(), gpSix, 0)
		row(v.end, "gateway-logout", "logout", "", "IPSec", v.pool.String(), gpSix, int(lasts.Seconds()))
	}
}

// refused writes a VPN logon with a wrong password.
func (s *scribe) refused(o *org, t time.Time, v tunnel) {
	file := vpnFile(o)
	switch o.vpn {
	case "openvpn":
		peer := netip.AddrPortFrom(v.from, uint16(s.n.port())).String()
		sid := s.n.hex(8)
		s.line(o, file, t, fmt.Sprintf("%s %s TLS: Initial packet from [AF_INET]%s, sid=%s %s", o.shown(file, t).Format("2006-01-02 15:04:05"), peer, peer, sid[:8], sid[8:]))
		t = t.Add(time.Second)
		s.line(o, file, t, fmt.Sprintf("%s %s TLS Auth Error: Auth Username/Password verification failed for peer", o.shown(file, t).Format("2006-01-02 15:04:05"), peer))
	case "asa":
		s.line(o, file, t, fmt.Sprintf("<166>%s fw1-%s : %%ASA-6-113005: AAA user authentication Rejected : reason = AAA failure : server = %s : user = %s : user IP = %s",
			o.shown(file, t).Format("Jan 02 2006 15:04:05"), o.id, o.servers[0].ip, v.user, v.from))
	default:
		s.line(o, file, t, fmt.Sprintf(`%s,%s,GLOBALPROTECT,0,%s,vsys1,gateway-auth,login,LDAP,,%s,%s,%s,%s,,0.0.0.0,,%s,,6.1.4,Windows,"Microsoft Windows 11 Pro, 64-bit",1,Authentication failed: Invalid username or password,,,failure,,0,on-demand,0,gp-%s,%d,0x8000000000000000`,
			o.shown(file, t).Format("2006/01/02 15:04:05"), o.serial, o.shown(file, t).Add(-3*time.Second).Format("2006/01/02 15:04:05"), v.user, v.country, v.machine, v.from, v.machineID, o.id, s.n.between(1000000, 9999999)))
	}
}

// fileHeader and fileFooter frame the formats that have a frame.
func fileHeader(file string, o *org, open time.Time) string {
	if l, ok := zeekLayout(file); ok && !o.jsonZeek {
		return zeekHeader(l, open)
	}
	switch file {
	case "vpn/globalprotect.csv":
		return globalProtectHeader
	case webFile:
		return webHeader
	}
	return ""
}

func fileFooter(file string, o *org, end time.Time) string {
	if _, ok := zeekLayout(file); ok && !o.jsonZeek {
		return "#close\t" + end.Format("2006-01-02-15-04-05") + "\n"
	}
	return ""
}
