package netconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// IP protocols by the numbers of IANA.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
	lastPort    = 65535
	lastService = 255<<16 | lastPort
)

// protocol numbers by the names that configurations use.
var protocols = map[string]uint64{
	"icmp": protoICMP, "igmp": 2, "ipip": 4, "ipinip": 4, "ipv4": 4, "tcp": protoTCP, "egp": 8, "igp": 9, "udp": protoUDP, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47,
	"esp": 50, "ah": 51, "icmp6": protoICMPv6, "icmpv6": protoICMPv6, "ipv6-icmp": protoICMPv6, "eigrp": 88, "ospf": 89, "nos": 94, "pim": 103, "pcp": 108, "snp": 109,
	"carp": 112, "vrrp": 112, "l2tp": 115, "pfsync": 240, "sctp": protoSCTP, "udplite": 136, "pptp": 47, "ipsec": 50,
}

// protocolNumber reads a protocol's name or number; ok is false for none.
func protocolNumber(s string) (n uint64, ok bool) {
	if n, ok = protocols[strings.ToLower(s)]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil
}

// protocolSet is every packet of a protocol.
func protocolSet(n uint64) set { return interval(n<<16, n<<16|lastPort) }

// portSet is the packets of a protocol to ports.
func portSet(protocol uint64, ports set) set {
	if ports.isFull() {
		return protocolSet(protocol)
	}
	out := make(set, 0, len(ports))
	for _, sp := range ports {
		if sp.lo.lo <= lastPort && sp.lo.hi == 0 {
			out = append(out, span{number(protocol<<16 | sp.lo.lo), number(protocol<<16 | min(sp.hi.lo, lastPort))})
		}
	}
	return out
}

// portsOf is the ports of one protocol in a set of services.
func portsOf(services set, protocol uint64) set {
	var out []span
	for _, sp := range intersect(services, protocolSet(protocol)) {
		out = append(out, span{number(sp.lo.lo & lastPort), number(sp.hi.lo & lastPort)})
	}
	return normal(out)
}

// portNames are the services that products write by name, as IANA, Cisco and Debian's /etc/services call them.
var portNames = map[string]uint64{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37, "tacacs": 49, "tacacs-ds": 49, "domain": 53, "dns": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
	"gopher": 70, "finger": 79, "http": 80, "www": 80, "kerberos": 88, "kerberos-sec": 88, "hostname": 101, "pop2": 109, "pop3": 110, "sunrpc": 111, "ident": 113, "nntp": 119,
	"ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap4": 143, "imap2": 143, "imap": 143, "snmp": 161, "snmptrap": 162, "xdmcp": 177, "bgp": 179, "irc": 194,
	"ldap": 389, "https": 443, "microsoft-ds": 445, "isakmp": 500, "exec": 512, "biff": 512, "login": 513, "who": 513, "cmd": 514, "rsh": 514, "syslog": 514, "lpd": 515, "printer": 515, "talk": 517,
	"rip": 520, "uucp": 540, "klogin": 543, "kshell": 544, "rtsp": 554, "submission": 587, "ldaps": 636, "rsync": 873, "ftps": 990, "imaps": 993, "pop3s": 995, "radius": 1645, "radius-acct": 1646,
	"lotusnotes": 1352, "ms-sql-s": 1433, "ms-sql-m": 1434, "citrix-ica": 1494, "sqlnet": 1521, "h323": 1720, "pptp": 1723, "ctiqbe": 2748, "nfs": 2049, "openvpn": 1194, "mysql": 3306,
	"ms-wbt-server": 3389, "rdp": 3389, "svn": 3690, "nat-t": 4500, "ipsec-nat-t": 4500, "sip": 5060, "sips": 5061, "aol": 5190, "secureid-udp": 5510, "postgresql": 5432, "pcanywhere-data": 5631,
	"pcanywhere-status": 5632, "vnc": 5900, "vnc-server": 5900, "x11": 6000, "http-alt": 8080, "winrm": 5985, "mobile-ip": 434, "nameserver": 42, "discard": 9, "echo": 7, "chargen": 19, "daytime": 13, "systat": 11, "whois": 43, "cifs": 445, "dnsix": 195,
	"smux": 199, "ldp": 646, "mdns": 5353, "zabbix-agent": 10050, "zabbix-trapper": 10051, "nrpe": 5666, "l2tp": 1701, "squid": 3128, "amqp": 5672, "git": 9418, "puppet": 8140, "iscsi-target": 3260, "radmin-port": 4899, "dameware": 6129,
}

// portNumber reads a port's number or name; ok is false for none.
func portNumber(s string) (n uint64, ok bool) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return n, true
	}
	n, ok = portNames[strings.ToLower(s)]
	return n, ok
}

// portRange reads a port or a range of ports, whose ends are parted by one of the characters of seps.
func portRange(s, seps string) (set, bool) {
	if n, ok := portNumber(s); ok { // names may hold a hyphen
		return one(n), true
	}
	i := strings.IndexAny(s, seps)
	if i < 0 {
		return nil, false
	}
	from, to := uint64(0), uint64(lastPort)
	var ok bool
	if s[:i] != "" {
		if from, ok = portNumber(s[:i]); !ok {
			return nil, false
		}
	}
	if s[i+1:] != "" {
		if to, ok = portNumber(s[i+1:]); !ok {
			return nil, false
		}
	}
	if to < from {
		return nil, false
	}
	return interval(from, to), true
}

// service is one entry of a list of services.
type service struct {
	services set // protocol<<16 | port
	sports   set // source ports; full where any
}

var anyService = service{full, full}

// addServices cuts boxes to services: a rule may list several whose source ports differ.
func addServices(boxes []box, list []service) []box {
	var plain set
	var out []box
	for _, s := range list {
		if s.sports.isFull() {
			plain = union(plain, s.services)
		}
	}
	if !plain.empty() {
		list = append([]service{{plain, full}}, list...)
	}
	for i, s := range list {
		if i > 0 && !plain.empty() && s.sports.isFull() {
			continue
		}
		for _, b := range boxes {
			if c := b.with(dimSvc, s.services).with(dimSport, s.sports); !c.empty() {
				out = append(out, c)
			}
		}
	}
	return out
}

// serviceText writes services as a person would, at most eight.
func serviceText(s set) string {
	if s.isFull() || s.covers(interval(0, lastService)) {
		return "any"
	}
	var out []string
	for _, sp := range s {
		for from := sp.lo.lo; from <= sp.hi.lo && from <= lastService; {
			proto := from >> 16
			to := min(sp.hi.lo, proto<<16|lastPort)
			if from&lastPort == 0 && sp.hi.lo >= proto<<16|lastPort && sp.hi.lo>>16 > proto+4 {
				out = append(out, fmt.Sprintf("protocols %d-%d", proto, (sp.hi.lo+1)>>16-1))
				to = (sp.hi.lo+1)>>16<<16 - 1
			} else {
				out = append(out, protocolText(proto, from&lastPort, to&lastPort))
			}
			if len(out) >= 8 {
				return strings.Join(append(out, "more"), ", ")
			}
			from = to + 1
		}
	}
	return strings.Join(out, ", ")
}

func protocolText(proto, from, to uint64) string {
	name := strconv.FormatUint(proto, 10)
	for _, n := range []string{"tcp", "udp", "icmp", "icmpv6", "sctp", "gre", "esp", "ah", "ospf", "igmp"} {
		if protocols[n] == proto {
			name = n
		}
	}
	switch {
	case from <= 1 && to == lastPort:
		return name
	case proto == protoICMP || proto == protoICMPv6:
		return fmt.Sprintf("%s type %d", name, from>>8)
	case from == to:
		return fmt.Sprintf("%s/%d", name, from)
	}
	return fmt.Sprintf("%s/%d-%d", name, from, to)
}

// door is a port through which machines are run from afar.
type door struct {
	protocol uint64
	port     uint64
	what     string
}

// doors are ports that nobody on the internet should reach: remote logons and consoles by IANA's registry of service
// names, and remote support products by their makers' documentation of what they listen on (LOLRMM lists the same).
// Ports that products share with the web (80, 443, 8080, 8443) are not among them.
var doors = []door{
	{protoTCP, 22, "SSH"}, {protoTCP, 23, "Telnet"}, {protoTCP, 135, "RPC"}, {protoTCP, 139, "NetBIOS"}, {protoTCP, 445, "SMB"}, {protoTCP, 512, "rexec"}, {protoTCP, 513, "rlogin"}, {protoTCP, 514, "rsh"},
	{protoUDP, 161, "SNMP"}, {protoUDP, 623, "IPMI"}, {protoTCP, 2179, "Hyper-V console"}, {protoTCP, 2375, "Docker"}, {protoTCP, 3283, "Apple Remote Desktop"},
	{protoTCP, 3389, "RDP"}, {protoUDP, 3389, "RDP"}, {protoTCP, 4899, "Radmin"}, {protoTCP, 5405, "NetSupport"}, {protoTCP, 5650, "Remote Utilities"}, {protoTCP, 5721, "Kaseya"}, {protoTCP, 5800, "VNC"},
	{protoTCP, 5900, "VNC"}, {protoTCP, 5901, "VNC"}, {protoTCP, 5938, "TeamViewer"}, {protoTCP, 5985, "WinRM"}, {protoTCP, 5986, "WinRM"}, {protoTCP, 6129, "DameWare"}, {protoTCP, 6443, "Kubernetes"},
	{protoTCP, 7070, "AnyDesk"}, {protoTCP, 8040, "ScreenConnect"}, {protoTCP, 8041, "ScreenConnect"}, {protoTCP, 8291, "Winbox"}, {protoTCP, 10000, "Webmin"}, {protoTCP, 16992, "Intel AMT"}, {protoTCP, 16993, "Intel AMT"},
}

var doorSet = func() (s set) {
	for _, d := range doors {
		s = union(s, one(d.protocol<<16|d.port))
	}
	return s
}()
