package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// zeekLog is the layout of one Zeek log; types as Zeek writes them.
type zeekLog struct{ path, fields, types string }

var zeekLogs = []zeekLog{
	{"conn", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
		"time string addr port addr port enum string interval count count string bool bool count string count count count count set[string]"},
	{"dns", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected",
		"time string addr port addr port enum count interval string count string count string count string bool bool bool bool count vector[string] vector[interval] bool"},
	{"http", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri referrer version user_agent request_body_len response_body_len status_code status_msg resp_mime_types",
		"time string addr port addr port count string string string string string string count count count string vector[string]"},
	{"ssl", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version cipher curve server_name resumed next_protocol established ja3 ja3s",
		"time string addr port addr port string string string string bool string bool string string"},
	{"ssh", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version auth_success auth_attempts direction client server cipher_alg mac_alg kex_alg host_key_alg",
		"time string addr port addr port count bool count enum string string string string string string"},
	{"rdp", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p cookie result security_protocol client_channels keyboard_layout client_build client_name cert_type cert_count",
		"time string addr port addr port string string string vector[string] string string string string count"},
	{"smb_mapping", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p path service native_file_system share_type",
		"time string addr port addr port string string string string"},
	{"dhcp", "ts uids client_addr server_addr mac host_name client_fqdn domain requested_addr assigned_addr lease_time msg_types duration",
		"time set[string] addr addr string string string string addr addr interval vector[string] interval"},
	{"kerberos", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p request_type client service success error_msg from till cipher forwardable renewable client_cert_subject client_cert_fuid server_cert_subject server_cert_fuid",
		"time string addr port addr port string string string bool string time time string bool bool string string string string"},
	{"ntlm", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p username hostname domainname server_nb_computer_name server_dns_computer_name server_tree_name success",
		"time string addr port addr port string string string string string string bool"},
	{"dce_rpc", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p rtt named_pipe endpoint operation",
		"time string addr port addr port interval string string string"},
	{"smb_files", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p fuid action path name size prev_name times.modified times.accessed times.created times.changed",
		"time string addr port addr port string enum string string count string time time time time"},
	{"ldap_search", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p message_id scope deref_aliases base_object result_count result_code diagnostic_message filter attributes",
		"time string addr port addr port int string string string count string string string vector[string]"},
}

func zeekLayout(file string) (zeekLog, bool) {
	name := strings.TrimSuffix(strings.TrimPrefix(file, "zeek/"), ".log")
	for _, l := range zeekLogs {
		if strings.HasPrefix(file, "zeek/") && l.path == name {
			return l, true
		}
	}
	return zeekLog{}, false
}

func zeekHeader(l zeekLog, open time.Time) string {
	return "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t" + l.path + "\n#open\t" +
		open.Format("2006-01-02-15-04-05") + "\n#fields\t" + strings.ReplaceAll(l.fields, " ", "\t") + "\n#types\t" + strings.ReplaceAll(l.types, " ", "\t") + "\n"
}

func seconds(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

func interval(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }

// zeek writes one row in the layout of the log: TSV, or JSON at organisations whose sensor is set so.
func (s *scribe) zeek(o *org, log string, t time.Time, values ...string) {
	file := "zeek/" + log + ".log"
	values = append([]string{seconds(o.shown(file, t))}, values...)
	if !o.jsonZeek {
		s.line(o, file, t, strings.Join(values, "\t"))
		return
	}
	l, _ := zeekLayout(file)
	names, types := strings.Fields(l.fields), strings.Fields(l.types)
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range values {
		if v == "-" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", names[i])
		switch typ := types[i]; {
		case typ == "bool":
			b.WriteString(strconv.FormatBool(v == "T"))
		case typ == "time" || typ == "port" || typ == "count" || typ == "interval" || typ == "int":
			b.WriteString(v)
		case strings.HasPrefix(typ, "set") || strings.HasPrefix(typ, "vector"):
			parts := strings.Split(v, ",")
			if strings.Contains(typ, "string") {
				b.Write(jsonOf(parts))
			} else {
				b.WriteString("[" + v + "]")
			}
		default:
			b.Write(jsonOf(v))
		}
	}
	b.WriteByte('}')
	s.line(o, file, t, b.String())
}

func (s *scribe) uid() string { return "C" + s.n.token(17) }

// flow is what Zeek's conn.log says of one connection.
type flow struct {
	t            time.Time
	src, dst     netip.Addr
	sport, dport int // sport 0: drawn
	proto        string
	service      string
	state        string // default SF
	dur          time.Duration
	out, in      int // bytes
}

var zeekHistory = map[string]string{"SF": "ShADadfF", "S0": "S", "REJ": "Sr", "RSTO": "ShADadR", "RSTR": "ShADadr", "OTH": "-", "S1": "ShADad"}

// conn writes a connection and returns its uid and source port.
func (s *scribe) conn(o *org, f flow) (string, int) {
	uid := s.uid()
	if f.proto == "" {
		f.proto = "tcp"
	}
	if f.state == "" {
		f.state = "SF"
	}
	if f.sport == 0 {
		f.sport = s.n.port()
	}
	inner := s.behind[f.src]
	probe := f.state == "S0" || f.state == "REJ" || f.state == "RSTO"
	f.src, f.dst = s.family(o, f.src, f.dst, probe)
	if f.proto == "icmp" && f.src.Is6() { // echo request and reply, RFC 4443 4
		f.sport, f.dport = 128, 129
	}
	service, dur, out, in := f.service, interval(f.dur), strconv.Itoa(f.out), strconv.Itoa(f.in)
	if service == "" {
		service = "-"
	}
	hist, op, ip := zeekHistory[f.state], 2+f.out/620, 1+f.in/1180
	switch {
	case f.state == "S0":
		dur, out, in, op, ip = "-", "-", "-", 1, 0
	case f.state == "REJ":
		op, ip = 1, 1
	case f.proto == "udp":
		hist, op, ip = "Dd", max(1, f.out/900), max(1, f.in/900)
	case f.proto == "icmp":
		op, ip = max(1, f.out/56), max(1, f.in/56)
	}
	if f.proto == "udp" && f.state == "S0" {
		hist = "D"
	}
	head := 40
	if f.proto != "tcp" {
		head = 28
	}
	if f.src.Is6() {
		head += 20
	}
	s.passes(o, f, inner)
	local := func(a netip.Addr) string {
		if o.local(a) {
			return "T"
		}
		return "F"
	}
	s.zeek(o, "conn", f.t, uid, f.src.String(), strconv.Itoa(f.sport), f.dst.String(), strconv.Itoa(f.dport), f.proto, service, dur, out, in, f.state,
		local(f.src), local(f.dst), "0", hist, strconv.Itoa(op), strconv.Itoa(f.out+head*op), strconv.Itoa(ip), strconv.Itoa(f.in+head*ip), "-")
	return uid, f.sport
}

// dns writes a look-up through the organisation's resolver; no answer means that the name does not exist.
func (s *scribe) dns(o *org, t time.Time, src netip.Addr, query string, answer netip.Addr) {
	dc, sport, rtt := o.servers[0].ip, s.n.port(), s.n.span(time.Millisecond, 40*time.Millisecond)
	src, dc = s.family(o, src, dc, false)
	uid, _ := s.conn(o, flow{t: t, src: src, dst: dc, sport: sport, dport: 53, proto: "udp", service: "dns", dur: rtt, out: 30 + len(query), in: 60 + 2*len(query)})
	code, name, ans, ttl := "0", "NOERROR", answer.String(), strconv.Itoa(pick(s.n, []int{60, 120, 300, 600, 3600}))+".000000"
	if !answer.IsValid() {
		code, name, ans, ttl = "3", "NXDOMAIN", "-", "-"
	}
	s.zeek(o, "dns", t, uid, src.String(), strconv.Itoa(sport), dc.String(), "53", "udp", strconv.Itoa(s.n.IntN(65536)), interval(rtt), query, "1", "C_INTERNET", "1", "A",
		code, name, "F", "F", "T", "T", "0", ans, ttl, "F")
}

var (
	ja3s = []string{"a0e9f5d64349fb13191bc781f81f42e1", "b32309a26951912be7dba376398abc3b", "771a4bdcbc4a5c9d8fd6f6f0e3d4c111",
		"28a2c9bd18a11de089ef85a160da29e4", "3b5074b1b5d032e5620f69f9f700ff0e", "cd08e31494f9531f560d64c695473da9"}
	ja3ss = []string{"eb1d94daa7e0344597e756a1fb6e7054", "15af977ce25de452b96affa2addb1036", "907bf3ecef1c987c889946b737b43de8", "f4febc55ea12b31ae17cfb7e614afda8"}
)

// tls writes an encrypted connection with its handshake.
func (s *scribe) tls(o *org, t time.Time, src, dst netip.Addr, port int, name string, dur time.Duration, out, in int) {
	src, dst = s.family(o, src, dst, false)
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: port, service: "ssl", dur: dur, out: out, in: in})
	version, cipher, curve := "TLSv13", "TLS_AES_256_GCM_SHA384", "x25519"
	if s.n.chance(0.3) {
		version, cipher, curve = "TLSv12", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "secp256r1"
	}
	resumed := "F"
	if s.n.chance(0.25) {
		resumed = "T"
	}
	s.zeek(o, "ssl", t.Add(20*time.Millisecond), uid, src.String(), strconv.Itoa(sport), dst.String(), strconv.Itoa(port), version, cipher, curve, name, resumed,
		pick(s.n, []string{"h2", "http/1.1", "-"}), "T", pick(s.n, ja3s), pick(s.n, ja3ss))
}

// visit writes a look-up and the page behind it.
func (s *scribe) visit(o *org, t time.Time, src netip.Addr, name string, dst netip.Addr, out, in int) {
	s.dns(o, t, src, name, dst)
	s.tls(o, t.Add(s.n.span(40*time.Millisecond, 120*time.Millisecond)), src, dst, 443, name, s.n.span(200*time.Millisecond, 9*time.Second), out, in)
}

// rdp writes a remote desktop connection: the connection and its negotiation.
func (s *scribe) rdp(o *org, t time.Time, src, dst netip.Addr, user, clientName string, dur time.Duration) {
	src, dst = s.family(o, src, dst, false)
	secs := int(dur.Seconds())
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 3389, service: "ssl", dur: dur, out: 9000 + secs*s.n.between(150, 420), in: 60000 + secs*s.n.between(900, 6000)})
	s.zeek(o, "rdp", t.Add(30*time.Millisecond), uid, src.String(), strconv.Itoa(sport), dst.String(), "3389", user, "encrypted", "HYBRID", "-", "-", "-", clientName, "-", "0")
}

// share writes a connection to a file share.
func (s *scribe) share(o *org, t time.Time, src netip.Addr, dst *host, byName bool, share string) {
	server := dst.ip.String()
	src, to := s.family(o, src, dst.ip, false)
	uid, sport := s.conn(o, flow{t: t, src: src, dst: to, dport: 445, service: "gssapi,smb", dur: s.n.span(2*time.Second, 5*time.Minute), out: s.n.between(600, 90000), in: s.n.between(900, 900000)})
	if byName {
		server = dst.name
	}
	fs, kind := "NTFS", "DISK"
	if share == "IPC$" {
		fs, kind = "-", "PIPE"
	}
	s.zeek(o, "smb_mapping", t.Add(80*time.Millisecond), uid, src.String(), strconv.Itoa(sport), to.String(), "445", `\\`+server+`\`+share, "-", fs, kind)
}

// ssh writes an SSH session.
func (s *scribe) ssh(o *org, t time.Time, src, dst netip.Addr, dur time.Duration) {
	src, dst = s.family(o, src, dst, false)
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 22, service: "ssh", dur: dur, out: s.n.between(3000, 40000), in: s.n.between(5000, 90000)})
	s.zeek(o, "ssh", t.Add(60*time.Millisecond), uid, src.String(), strconv.Itoa(sport), dst.String(), "22", "2", "T", "1", "-", "SSH-2.0-OpenSSH_9.3",
		"SSH-2.0-OpenSSH_9.2p1 Debian-2", "chacha20-poly1305@openssh.com", "umac-64-etm@openssh.com", "curve25519-sha256", "ssh-ed25519")
}

// http writes a plain request.
func (s *scribe) http(o *org, t time.Time, src, dst netip.Addr, name, uri, agent string, size int) {
	uid, sport := s.conn(o, flow{t: t, src: src, dst: dst, dport: 80, service: "http", dur: s.n.span(30*time.Millisecond, 2*time.Second), out: 250 + len(uri), in: size + 300})
	s.zeek(o, "http", t.Add(10*time.Millisecond), uid, src.String(), strconv.Itoa(sport), dst.String(), "80", "1", "GET", name, uri, "-", "1.1", agent, "0", strconv.Itoa(size), "200", "OK", "text/html")
}

// lease writes the morning's DHCP renewal of a desktop.
func (s *scribe) lease(o *org, t time.Time, h *host) {
	s.zeek(o, "dhcp", t, s.uid(), h.ip.String(), o.servers[0].ip.String(), h.mac, h.name, h.name+"."+o.ad, o.ad, h.ip.String(), h.ip.String(), "28800.000000", "REQUEST,ACK", "0.002000")
}
