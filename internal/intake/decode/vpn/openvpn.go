package vpn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sort"
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
	table *sessions
}

func readOpenVPN(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &openVPN{sink: sink, table: newSessions()}
	return decode.Lines(ctx, r, sink, d.line)
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
		d.server(n, raw, e, text)
	} else {
		d.client(e, name, peer, text)
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
func (d *openVPN) client(e *ocsf.Event, name, peer, text string) {
	host, prt := cutPort(peer)
	e.Src.IP, e.Src.Port = addr(host), port(prt)
	if strings.HasPrefix(text, "TLS: Initial packet from") {
		d.table.end(peer)
	}
	if strings.Contains(text, "client-instance exiting") || strings.Contains(text, "client-instance restarting") {
		d.end(e, name, peer)
		return
	}
	s := d.table.get(peer)
	if s.public = e.Src.IP; s.holder.Name == "" && name != "" {
		s.holder = account(name)
	}
	auth := func(status ocsf.Status) {
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", status
	}
	switch {
	case strings.HasPrefix(text, "TLS: Username/Password authentication succeeded"):
		auth(ocsf.StatusSuccess)
		s.holder = account(quoted(text))
	case strings.HasPrefix(text, "SENT CONTROL") && strings.Contains(text, "AUTH_FAILED"):
		if cn, ok := bracketed(text[len("SENT CONTROL "):]); ok && s.holder.Name == "" && cn != "UNDEF" {
			s.holder = account(cn)
		}
		if !s.failed { // else the line that said why came before
			auth(ocsf.StatusFailure)
		}
	case strings.HasPrefix(text, "TLS Auth Error") || strings.HasPrefix(text, "TLS: Username/Password authentication failed"),
		strings.HasPrefix(text, "VERIFY ERROR"):
		auth(ocsf.StatusFailure)
		s.failed = true
		if u := account(quoted(text)); u.Name != "" {
			s.holder = u
		}
	case strings.Contains(text, "Peer Connection Initiated with"):
		if cn, ok := bracketed(text); ok && s.holder.Name == "" {
			s.holder = account(cn)
		}
		e.Status = ocsf.StatusSuccess
	default:
		if inner := innerAddr(text); inner.IsValid() && (!s.open || s.addr != inner) {
			d.begin(e, s, inner)
		}
	}
	e.User = s.holder
}

func (d *openVPN) begin(e *ocsf.Event, s *session, inner netip.Addr) {
	s.addr = inner
	if s.id == "" {
		s.begun = e.Time
		s.id = sessionID(s.holder.Name, netip.AddrPortFrom(e.Src.IP, e.Src.Port).String(), e.Time)
	}
	opened(e, s)
}

func (d *openVPN) end(e *ocsf.Event, name, peer string) {
	s := d.table.end(peer)
	switch {
	case s == nil && name != "": // it began before the file does
		s = &session{holder: account(name), public: e.Src.IP}
	case s == nil:
		return
	case !s.open: // it never got an address
		e.User = s.holder
		return
	}
	closed(e, s)
}

// innerAddr reads the inner address of the three messages that tell one.
func innerAddr(text string) netip.Addr {
	if rest, ok := strings.CutPrefix(text, "MULTI_sva: pool returned IPv4="); ok {
		v4, v6, _ := strings.Cut(rest, ", IPv6=")
		if a := addr(v4); a.IsValid() {
			return a
		}
		return addr(v6)
	}
	if rest, ok := strings.CutPrefix(text, "MULTI: Learn: "); ok {
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

// server reads a line of the server itself. When it exits, every open session ends with it.
func (d *openVPN) server(n int64, raw []byte, e *ocsf.Event, text string) {
	e.Class = ocsf.ClassBase
	if !strings.Contains(text, "process exiting") && !strings.Contains(text, "process restarting") {
		return
	}
	e.Activity = "stop"
	open := make([]string, 0, len(d.table.byKey))
	for peer, s := range d.table.byKey {
		if s.open {
			open = append(open, peer)
		}
	}
	sort.Strings(open)
	for _, peer := range open {
		s := d.table.end(peer)
		c := newEvent("openvpn", e.Time)
		c.SourceID = s.id + "/stop"
		c.Fields = ocsf.Fields{{Name: "message", Value: text}, {Name: "peer", Value: peer}}
		_, prt := cutPort(peer)
		c.Src.Port = port(prt)
		closed(c, s)
		d.sink.Event(c, n, raw)
	}
	d.table = newSessions()
}
