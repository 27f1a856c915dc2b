package vpn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isStatus wants the first lines of OpenVPN's status file, of any version.
func isStatus(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n "), []byte("\n"))
	if !bytes.HasPrefix(line, []byte("OpenVPN ")) && !bytes.HasPrefix(line, []byte("TITLE")) {
		return false
	}
	s := strings.TrimSpace(string(line[:min(len(line), 200)]))
	return s == "OpenVPN CLIENT LIST" || strings.HasPrefix(s, "TITLE,OpenVPN ") || strings.HasPrefix(s, "TITLE\tOpenVPN ")
}

// maxClients is how many clients of a status file of version 1 are remembered until their addresses come.
const maxClients = 1 << 16

// status reads OpenVPN's status file: who is connected since when with which address. Versions 2 and 3 tell that in
// one line (man openvpn, --status-version); version 1 names the client in one list and its address in another. A
// client is told of again by every state of the file; its id makes it one. A state that no longer has it tells no
// end: that is in the log.
type status struct {
	sink    decode.Sink
	dates   calendar
	columns []string // of CLIENT_LIST, by HEADER
	routing bool     // version 1: behind ROUTING TABLE
	clients map[string]connected
}

type connected struct {
	name  string
	since time.Time
}

func readStatus(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &status{sink: sink, clients: map[string]connected{}}
	return decode.Lines(ctx, r, sink, d.line)
}

func (d *status) line(n int64, raw []byte) error {
	line := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
	sep := ","
	if strings.Contains(line, "\t") {
		sep = "\t"
	}
	cols := strings.Split(line, sep)
	if len(cols) > 64 {
		return errors.New("more than 64 columns")
	}
	switch cols[0] {
	case "OpenVPN CLIENT LIST":
		d.routing, d.clients = false, map[string]connected{}
	case "ROUTING TABLE":
		d.routing = true
	case "", "Updated", "Common Name", "Virtual Address", "GLOBAL STATS", "GLOBAL_STATS", "Max bcast/mcast queue length", "END", "TITLE", "TIME", "ROUTING_TABLE", "HEADER":
		if cols[0] == "HEADER" && len(cols) > 2 && cols[1] == "CLIENT_LIST" {
			d.columns = cols[2:]
		}
	case "CLIENT_LIST":
		return d.client(n, raw, cols[1:])
	default:
		return d.old(n, raw, cols)
	}
	return nil
}

// client reads a CLIENT_LIST of version 2 or 3.
func (d *status) client(n int64, raw []byte, cols []string) error {
	get := func(name string) string {
		for i, c := range d.columns {
			if c == name && i < len(cols) {
				return cols[i]
			}
		}
		return ""
	}
	if d.columns == nil {
		return errors.New("CLIENT_LIST before its HEADER")
	}
	since, ok := decode.ParseTime(get("Connected Since (time_t)"))
	if !ok {
		var err error
		if since, err = d.date(get("Connected Since")); err != nil {
			return err
		}
	}
	name := get("Username")
	if name == "" || name == "UNDEF" {
		name = get("Common Name")
	}
	e, err := d.session(name, get("Real Address"), since, get("Virtual Address"), get("Virtual IPv6 Address"))
	if err != nil {
		return err
	}
	for i, c := range d.columns {
		if i < len(cols) {
			field(e, c, cols[i])
		}
	}
	e.Fields.Sort()
	d.sink.Event(e, n, raw)
	return nil
}

// old reads the lists of version 1.
func (d *status) old(n int64, raw []byte, cols []string) error {
	switch {
	case !d.routing && len(cols) == 5:
		since, err := d.date(cols[4])
		if err != nil {
			return err
		}
		if len(d.clients) >= maxClients {
			return fmt.Errorf("more than %d clients in one state of the file", maxClients)
		}
		d.clients[cols[1]] = connected{cols[0], since}
		return nil
	case d.routing && len(cols) == 4:
		c, known := d.clients[cols[2]]
		if !known {
			return errors.New("the address of a client that is not in the list")
		}
		if !addr(strings.TrimSuffix(cols[0], "C")).IsValid() {
			return nil // a network behind the client, or a hardware address
		}
		e, err := d.session(c.name, cols[2], c.since, cols[0], "")
		if err != nil {
			return err
		}
		field(e, "Common Name", c.name)
		field(e, "Real Address", cols[2])
		field(e, "Virtual Address", cols[0])
		e.Fields.Sort()
		d.sink.Event(e, n, raw)
		return nil
	}
	return errors.New("no line of OpenVPN's status file")
}

// date reads "2026-09-24 07:30:00" and "Thu Sep 24 07:30:00 2026".
func (d *status) date(s string) (time.Time, error) {
	st, _, ok := parseStamp(s)
	if !ok || st.noYear {
		return time.Time{}, errors.New("column Connected Since is not a date")
	}
	return d.dates.date(st)
}

// session makes the event of a client that is connected. Its session is the one that the log names by the same
// address and port.
func (d *status) session(name, real string, since time.Time, virtual ...string) (*ocsf.Event, error) {
	real = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(real, "udp4:"), "tcp4-server:"), "udp6:")
	host, prt := cutPort(real)
	if a, err := netip.ParseAddrPort(real); err == nil {
		host, prt = a.Addr().String(), strconv.Itoa(int(a.Port()))
	}
	e := newEvent("openvpn/status", since)
	e.Src.IP, e.Src.Port = addr(host), port(prt)
	if !e.Src.IP.IsValid() {
		return nil, errors.New("column Real Address is not an address and a port")
	}
	e.User = named(name)
	e.SourceID = "openvpn/status|" + real + "|" + since.Format(time.RFC3339) + "|" + strings.Join(virtual, "|")
	e.Activity, e.Status = "open", ocsf.StatusSuccess
	l := &ocsf.Lease{Kind: "vpn", ID: netip.AddrPortFrom(e.Src.IP, e.Src.Port).String(), Public: e.Src.IP, Holder: e.User}
	for _, v := range virtual {
		if l.Addr = addr(strings.TrimSuffix(v, "C")); l.Addr.IsValid() {
			opened(e, l)
			break
		}
	}
	return e, nil
}

// isManagement wants the notifications about clients of OpenVPN's management interface.
func isManagement(_ string, head []byte) bool {
	return bytes.HasPrefix(head, []byte(">CLIENT:")) || bytes.Contains(head, []byte("\n>CLIENT:"))
}

// maxEnv is how many lines of environment one notification has.
const maxEnv = 256

// readManagement reads >CLIENT: notifications (OpenVPN doc/management-notes.txt): a line that says what happened, the
// environment, and ENV,END. Other lines of the interface are passed over: they have no time.
func readManagement(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	var kind string
	var env map[string]string
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		text, ok := strings.CutPrefix(strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD")), ">CLIENT:")
		if !ok {
			return nil
		}
		word, rest, _ := strings.Cut(text, ",")
		switch {
		case word == "CONNECT" || word == "REAUTH" || word == "ESTABLISHED" || word == "DISCONNECT":
			kind, env = word, map[string]string{}
		case word != "ENV" || env == nil:
		case rest == "END":
			e, err := notification(kind, env)
			kind, env = "", nil
			if err != nil {
				return err
			}
			sink.Event(e, n, raw)
		case len(env) >= maxEnv:
			env = nil
			return fmt.Errorf("more than %d lines of environment", maxEnv)
		default:
			k, v, _ := strings.Cut(rest, "=")
			env[k] = v
		}
		return nil
	})
}

func notification(kind string, env map[string]string) (*ocsf.Event, error) {
	at, ok := decode.ParseTime(env["time_unix"])
	if !ok {
		return nil, errors.New("no time_unix in the environment of a client")
	}
	lasted, _ := strconv.ParseInt(env["time_duration"], 10, 64)
	lasted = min(max(lasted, 0), 366*86400)
	e := newEvent("openvpn/management", at)
	for k, v := range env {
		if k != "password" && !strings.HasPrefix(k, "auth_") {
			field(e, k, v)
		}
	}
	field(e, "notification", kind)
	e.Fields.Sort()
	e.Src.IP, e.Src.Port = addr(firstOf(env["trusted_ip"], env["trusted_ip6"], env["untrusted_ip"], env["untrusted_ip6"])), port(firstOf(env["trusted_port"], env["untrusted_port"]))
	e.User = named(firstOf(env["username"], env["common_name"]))
	l := &ocsf.Lease{Kind: "vpn", ID: netip.AddrPortFrom(e.Src.IP, e.Src.Port).String(), Public: e.Src.IP, Holder: e.User,
		Addr: addr(firstOf(env["ifconfig_pool_remote_ip"], env["ifconfig_pool_remote_ip6"]))}
	switch kind {
	case "ESTABLISHED":
		opened(e, l)
	case "DISCONNECT":
		count := func(name string) int64 { v, _ := strconv.ParseInt(env[name], 10, 62); return max(v, 0) }
		e.Flow = &ocsf.Flow{Duration: time.Duration(lasted) * time.Second, OrigBytes: count("bytes_received"), RespBytes: count("bytes_sent")}
		e.Time = e.Time.Add(e.Flow.Duration)
		closed(e, l)
	default: // what comes of it is told by ESTABLISHED
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
	}
	return e, nil
}
