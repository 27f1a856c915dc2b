package vpn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// openVPNMarks are what only OpenVPN writes.
var openVPNMarks = [][]byte{[]byte("TLS: Initial packet from [AF_INET"), []byte("Peer Connection Initiated with [AF_INET"),
	[]byte("MULTI_sva: pool returned"), []byte("MULTI: Learn:"), []byte("MULTI: primary virtual IP"), []byte("MULTI: multi_create_instance called"),
	[]byte("client-instance exiting"), []byte("client-instance restarting"), []byte("PUSH: Received control message"),
	[]byte("TLS: Username/Password authentication"), []byte("SENT CONTROL ["), []byte("VERIFY OK: depth="), []byte("Control Channel: TLSv1"),
	[]byte("Initialization Sequence Completed"), []byte("OpenVPN 2.")}

// isOpenVPN wants dated lines, at least one thing that only OpenVPN writes, and no other syslog product.
func isOpenVPN(_ string, head []byte) bool {
	if bytes.Contains(head, []byte("%ASA-")) || bytes.Contains(head, []byte("%FTD-")) {
		return false
	}
	dated, total, marked := 0, 0, false
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if total++; total > 60 {
			break
		}
		if _, _, ok := openVPNStamp(string(line[:min(len(line), 200)])); ok {
			dated++
		}
		for _, m := range openVPNMarks {
			marked = marked || bytes.Contains(line, m)
		}
	}
	return marked && dated*3 >= total*2
}

// openVPNStamp reads the date of a line of OpenVPN's own log file or of a syslog file.
func openVPNStamp(line string) (stamp, string, bool) {
	st, rest, ok := parseStamp(line)
	if !ok || !strings.HasPrefix(rest, " ") {
		return st, rest, false
	}
	rest = rest[1:]
	host, after, more := strings.Cut(rest, " ") // "gw1 ovpn-server[812]: …" behind a syslog date
	if tag, msg, is := strings.Cut(after, "]: "); more && is && !strings.ContainsAny(host, "/:[") && strings.Contains(strings.ToLower(tag), "vpn") && strings.Contains(tag, "[") && !strings.Contains(tag, " ") {
		rest = msg
	} else if st.noYear {
		return st, rest, false
	}
	return st, rest, true
}

type openVPN struct {
	sink  decode.Sink
	dates calendar
}

func readOpenVPN(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &openVPN{sink: sink}
	return d.dates.lines(ctx, r, sink, d.line)
}

func (d *openVPN) line(n int64, raw []byte) error {
	line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), " \r")
	if line == "" {
		return nil
	}
	st, msg, ok := openVPNStamp(line)
	if !ok {
		return errors.New("no date at the beginning of the line")
	}
	at, err := d.dates.date(st)
	if err != nil {
		return err
	}
	e := newEvent("openvpn", at)
	name, peer, text := splitPeer(msg)
	e.Fields = ocsf.Fields{{Name: "message", Value: text}}
	field := func(k, v string) {
		if v != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: k, Value: v})
		}
	}
	field("peer", peer)
	field("common_name", name)
	if peer == "" {
		server(e, text)
	} else {
		client(e, name, peer, text)
	}
	e.Fields.Sort()
	d.sink.Event(e, n, raw)
	return nil
}

// splitPeer cuts "isl-lemke/203.0.113.60:53592 text", "203.0.113.60:53592 text" and "tcp4-server …".
func splitPeer(msg string) (name, peer, text string) {
	head, text, ok := strings.Cut(msg, " ")
	if !ok {
		return "", "", msg
	}
	peer = head
	if i := strings.LastIndexByte(head, '/'); i >= 0 {
		name, peer = head[:i], head[i+1:]
	}
	host, prt := cutPort(peer)
	if !addr(host).IsValid() || prt == "" {
		return "", "", msg
	}
	return name, peer, text
}

// cutPort cuts an address and its port; OpenVPN writes IPv6 without brackets or behind [AF_INET6].
func cutPort(s string) (host, prt string) {
	if i := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[AF_INET") && i > 0 {
		s = s[i+1:]
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// client reads a line about one client. Its sessions are told apart by the client's address and port.
func client(e *ocsf.Event, name, peer, text string) {
	host, prt := cutPort(peer)
	e.Src.IP, e.Src.Port = addr(host), port(prt)
	e.User = named(name)
	l := &ocsf.Lease{Kind: "vpn", ID: netip.AddrPortFrom(e.Src.IP, e.Src.Port).String(), Public: e.Src.IP, Holder: e.User}
	auth := func(status ocsf.Status) {
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", status
	}
	switch {
	case strings.Contains(text, "client-instance exiting") || strings.Contains(text, "client-instance restarting"):
		closed(e, l)
	case strings.HasPrefix(text, "TLS: Username/Password authentication succeeded"):
		auth(ocsf.StatusSuccess)
		logon(e, l, text)
	case strings.HasPrefix(text, "TLS: Username/Password authentication deferred"): // what comes of it is told later
		logon(e, l, text)
	case strings.HasPrefix(text, "TLS Auth Error") || strings.HasPrefix(text, "TLS: Username/Password authentication failed"),
		strings.HasPrefix(text, "VERIFY ERROR"):
		auth(ocsf.StatusFailure)
		if u := account(quoted(text)); u.Name != "" {
			e.User = u
		}
	case strings.HasPrefix(text, "SENT CONTROL") && strings.Contains(text, "AUTH_FAILED"):
		refused(e, text, auth)
	case strings.Contains(text, "Peer Connection Initiated with"):
		if cn, ok := bracketed(text); ok && e.User.Name == "" {
			e.User = named(cn)
		}
		e.Status = ocsf.StatusSuccess
	default:
		if l.Addr = innerAddr(text); l.Addr.IsValid() {
			e.Lease = l
			if strings.HasPrefix(text, learned) {
				opened(e, l)
			}
		}
	}
}

// logon makes the event one that says whose session it is, by the account that was asked for.
func logon(e *ocsf.Event, l *ocsf.Lease, text string) {
	if u := account(quoted(text)); u.Name != "" {
		e.User, l.Holder, e.Lease = u, u, l
	}
}

// refused reads what the client was told. It counts as a refused logon where it names the account; the line that
// says why ("TLS Auth Error") names none, so that the two are not two guesses at one account.
func refused(e *ocsf.Event, text string, auth func(ocsf.Status)) {
	e.Status = ocsf.StatusFailure
	if cn, ok := bracketed(text[len("SENT CONTROL "):]); ok && e.User.Name == "" {
		e.User = named(cn)
	}
	if e.User.Name != "" {
		auth(ocsf.StatusFailure)
	}
}

// named returns the account of a client's common name; UNDEF is what OpenVPN calls one that it does not know.
func named(cn string) ocsf.User {
	if cn == "UNDEF" {
		return ocsf.User{}
	}
	return account(cn)
}

// learned begins the message of the server's routing table, which is there for every client's inner address,
// whether it came from a pool or was set for the client.
const learned = "MULTI: Learn: "

// innerAddr reads the inner address of the three messages that tell one.
func innerAddr(text string) netip.Addr {
	if rest, ok := strings.CutPrefix(text, "MULTI_sva: pool returned IPv4="); ok {
		v4, v6, _ := strings.Cut(rest, ", IPv6=")
		if a := addr(v4); a.IsValid() {
			return a
		}
		return addr(v6)
	}
	if rest, ok := strings.CutPrefix(text, learned); ok {
		inner, _, _ := strings.Cut(rest, " -> ")
		return addr(inner)
	}
	if strings.HasPrefix(text, "MULTI: primary virtual IP") {
		if i := strings.LastIndex(text, ": "); i >= 0 {
			return addr(text[i+2:])
		}
	}
	return netip.Addr{}
}

// bracketed returns the text in brackets at the beginning.
func bracketed(s string) (string, bool) {
	s, ok := strings.CutPrefix(s, "[")
	if !ok {
		return "", false
	}
	s, _, ok = strings.Cut(s, "]")
	return s, ok
}

// quoted returns the text between the first single quotes.
func quoted(s string) string {
	_, rest, _ := strings.Cut(s, "'")
	name, _, _ := strings.Cut(rest, "'")
	return name
}

// server reads a line of the server itself. When it exits its sessions end with it; nobody holds their addresses
// then, and the next start of each address ends them in the store.
func server(e *ocsf.Event, text string) {
	e.Class = ocsf.ClassBase
	if strings.Contains(text, "process exiting") || strings.Contains(text, "process restarting") {
		e.Activity = "stop"
	}
}
