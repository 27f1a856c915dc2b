package vpn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// WireGuard has no sessions. A peer proves its key by a handshake, which is made anew about every two minutes while
// there is traffic; what it agreed on is forgotten after nine (Donenfeld, "WireGuard: Next Generation Kernel Network
// Tunnel", 2017, 6.1 and 6.2: three times Reject-After-Time). Each handshake is a tunnel event "open" whose lease
// says that much; those that follow one another are one session (attribute). The inner addresses of a peer are those
// of its allowed addresses that are single ones, and nobody else can have them.
const handshakeLasts = 9 * time.Minute

// maxInner is how many inner addresses of one peer are read.
const maxInner = 8

// handshake is what one line tells of a peer.
type handshake struct {
	iface, key, name string
	remote           ocsf.Endpoint
	allowed          string // prefixes, separated by commas
}

// isMetrics wants the metric of prometheus_wireguard_exporter, or of a textfile of the same names.
func isMetrics(_ string, head []byte) bool {
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if bytes.HasPrefix(line, []byte(handshakeMetric)) {
			return true
		}
	}
	return false
}

const handshakeMetric = "wireguard_latest_handshake_seconds{"

// readMetrics reads scrapes, one after the other. Only the time of the last handshake tells when something was; the
// byte counters and other metrics are passed over, since they have no time.
func readMetrics(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.ToValidUTF8(string(bytes.TrimSpace(raw)), "\uFFFD")
		if !strings.HasPrefix(line, handshakeMetric) {
			return nil
		}
		labels, rest, err := metricLabels(line[len(handshakeMetric):])
		if err != nil {
			return err
		}
		h := handshake{iface: firstOf(labels["interface"], labels["inteface"]), key: labels["public_key"], name: firstOf(labels["friendly_name"], labels["name"]),
			remote: ocsf.Endpoint{IP: addr(labels["remote_ip"]), Port: port(labels["remote_port"])}, allowed: firstOf(labels["allowed_ips"], labels["local_ip"])}
		if h.allowed == "" { // told one by one (-s)
			for i := range maxInner {
				if ip := labels["allowed_ip_"+strconv.Itoa(i)]; ip != "" {
					h.allowed += "," + ip + "/" + labels["allowed_subnet_"+strconv.Itoa(i)]
				}
			}
		}
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ") // a time of the scrape may follow
		return h.events(sink, n, raw, "wireguard/exporter", value)
	})
}

// metricLabels reads a="b",c="d" up to the brace; \", \\ and \n are escaped (Prometheus' text format 0.0.4).
func metricLabels(s string) (labels map[string]string, rest string, err error) {
	labels = map[string]string{}
	for len(labels) < 64 {
		s = strings.TrimLeft(s, ", ")
		if after, ok := strings.CutPrefix(s, "}"); ok {
			return labels, after, nil
		}
		name, after, ok := strings.Cut(s, `="`)
		if !ok {
			return nil, "", errors.New("a label is not name=\"value\"")
		}
		end := 0
		for end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(after) {
			return nil, "", errors.New("the quote of a label is not closed")
		}
		labels[name], s = unquoted.Replace(after[:end]), after[end+1:]
	}
	return nil, "", errors.New("more than 64 labels")
}

var unquoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

var wireGuardKey = regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`)

// dumpColumns cuts a line of `wg show all dump`, or of `wg show IFACE dump`, which has no interface. It returns nil
// where the line is neither a peer's nor an interface's.
func dumpColumns(line string) (peer []string, iface bool) {
	cols := strings.Split(line, "\t")
	switch {
	case len(cols) == 9 && wireGuardKey.MatchString(cols[1]):
		return cols, false
	case len(cols) == 8 && wireGuardKey.MatchString(cols[0]):
		return append([]string{""}, cols...), false
	case len(cols) == 5 && wireGuardKey.MatchString(cols[2]), len(cols) == 4 && wireGuardKey.MatchString(cols[1]):
		return nil, true
	}
	return nil, false
}

func isDump(_ string, head []byte) bool {
	if bytes.IndexByte(head, '\t') < 0 {
		return false // carried lines are asked one by one
	}
	yes, total := 0, 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if line = bytes.TrimRight(line, "\r"); len(line) == 0 {
			continue
		}
		if total++; total > 60 {
			break
		}
		if peer, iface := dumpColumns(string(line[:min(len(line), 4096)])); peer != nil || iface {
			yes++
		}
	}
	return yes*2 > min(total, 60)
}

// readDump reads snapshots, one after the other. Keys that are secret go nowhere: neither the interface's private key
// nor a peer's preshared one.
func readDump(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	hidden := &secretive{sink}
	return decode.Lines(ctx, r, hidden, func(n int64, raw []byte) error {
		line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), "\r")
		peer, iface := dumpColumns(line)
		switch {
		case iface || strings.TrimSpace(line) == "":
			return nil
		case peer == nil:
			return errors.New("neither a peer nor an interface of `wg show all dump`")
		}
		h := handshake{iface: peer[0], key: peer[1], allowed: peer[4]}
		if p, err := netip.ParseAddrPort(peer[3]); err == nil {
			h.remote = ocsf.Endpoint{IP: p.Addr().Unmap().WithZone(""), Port: p.Port()}
		}
		return h.events(hidden, n, raw, "wireguard/dump", peer[5])
	})
}

// secretive is a sink that shows no record's bytes, which hold keys, but what identifies one.
type secretive struct{ decode.Sink }

func (s *secretive) Event(e *ocsf.Event, n int64, _ []byte) { s.Sink.Event(e, n, []byte(e.SourceID)) }
func (s *secretive) Bad(n int64, reason string, _ []byte) {
	s.Sink.Bad(n, reason, []byte("(not shown: it may hold a key)"))
}

// events makes the events of a handshake: one for each inner address, or one where there is none. The same handshake
// is told by every snapshot until the next one; its id makes it one.
func (h *handshake) events(sink decode.Sink, n int64, raw []byte, source, seconds string) error {
	f, err := strconv.ParseFloat(seconds, 64)
	if err != nil || f != f {
		return fmt.Errorf("the time of the handshake, %.40q, is no number", seconds)
	}
	if f == 0 {
		return nil // there was none yet
	}
	at, ok := decode.EpochTime(seconds, f)
	if f < 0 || f > 1e10 || !ok {
		return errors.New("the clock was never set: the handshake was before 1971 or after 2099")
	}
	if h.key == "" {
		return errors.New("no public key")
	}
	inner := []netip.Addr{{}}
	for p := range strings.SplitSeq(h.allowed, ",") {
		if a := single(strings.TrimSpace(p)); a.IsValid() && len(inner) <= maxInner {
			inner = append(inner, a)
		}
	}
	if len(inner) > 1 {
		inner = inner[1:]
	}
	for _, a := range inner {
		e := newEvent(source, at.UTC())
		for _, x := range [...]ocsf.Field{{Name: "interface", Value: h.iface}, {Name: "public_key", Value: h.key}, {Name: "friendly_name", Value: h.name}, {Name: "allowed_ips", Value: strings.Trim(h.allowed, ",")}} {
			field(e, x.Name, x.Value)
		}
		e.Fields.Sort()
		e.User = ocsf.User{Name: firstOf(h.name, h.key), UID: h.key}
		e.Src = h.remote
		e.Activity, e.Status = "open", ocsf.StatusSuccess
		e.SourceID = strings.Join([]string{"wireguard", h.iface, h.key, strconv.FormatInt(at.Unix(), 10), a.String()}, "|")
		if a.IsValid() {
			opened(e, &ocsf.Lease{Kind: "vpn", ID: h.iface + "/" + h.key, Addr: a, Public: h.remote.IP, Holder: e.User, Lasts: handshakeLasts})
		}
		sink.Event(e, n, raw)
	}
	return nil
}

// single returns the address of a prefix that is a single one.
func single(s string) netip.Addr {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.IsSingleIP() {
			return addr(p.Addr().String())
		}
		return netip.Addr{}
	}
	return addr(s)
}

// kernelLine is what the kernel's module says with dynamic debugging on (drivers/net/wireguard), behind the date that
// carried it and, in a file, host and program.
var kernelLine = regexp.MustCompile(`^(\S+) (?:\S{1,255} kernel: )?(?:\[ *[0-9.]{1,20}\] )?(?:wireguard:\w{1,60}:\d{1,6}: )?wireguard: (\S{1,32}): (.{1,512})$`)

var (
	kernelPeer = regexp.MustCompile(`(?:peer|Peer) (\d{1,20})(?: \(([^)\s]{1,64})\))?`)
	kernelFrom = regexp.MustCompile(` from (\[?[0-9a-fA-F.:]{2,45}\]?:\d{1,5})$`)
)

func isKernel(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.Contains(line, []byte("wireguard: ")) {
		return false
	}
	_, _, ok := kernelText(strings.TrimSpace(string(line[:min(len(line), 1024)])))
	return ok
}

func kernelText(line string) (at time.Time, m []string, ok bool) {
	if !strings.Contains(line, "wireguard: ") {
		return at, nil, false
	}
	if m = kernelLine.FindStringSubmatch(line); m == nil || len(m[1]) < len("2006-01-02T15:04:05") {
		return at, nil, false
	}
	at, ok = decode.ParseTime(m[1])
	return at, m, ok
}

// readKernel reads the kernel's lines. They name peers by number and tell no inner address: they are handshakes,
// refused ones and ends, without a lease. The first message of a handshake that the kernel answers is one whose key
// it knows; one that it calls invalid is of a key that it does not know, or was forged.
func readKernel(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
		if line == "" {
			return nil
		}
		at, m, ok := kernelText(line)
		if !ok {
			return errors.New("no dated message of WireGuard's kernel module")
		}
		e := newEvent("wireguard/kernel", at)
		text := m[3]
		field(e, "interface", m[2])
		field(e, "message", text)
		if p := kernelPeer.FindStringSubmatch(text); p != nil {
			field(e, "peer", p[1])
			if from, err := netip.ParseAddrPort(p[2]); err == nil {
				e.Src = ocsf.Endpoint{IP: from.Addr().Unmap().WithZone(""), Port: from.Port()}
			}
		} else if p := kernelFrom.FindStringSubmatch(text); p != nil {
			if from, err := netip.ParseAddrPort(p[1]); err == nil {
				e.Src = ocsf.Endpoint{IP: from.Addr().Unmap().WithZone(""), Port: from.Port()}
			}
		}
		switch {
		case strings.HasPrefix(text, "Receiving handshake initiation from peer"), strings.HasPrefix(text, "Receiving handshake response from peer"):
			e.Activity, e.Status = "open", ocsf.StatusSuccess
		case strings.HasPrefix(text, "Invalid handshake initiation"), strings.HasPrefix(text, "Invalid MAC of handshake"):
			e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusFailure
		case strings.HasPrefix(text, "Zeroing out all keys for peer"), strings.HasPrefix(text, "Peer ") && strings.HasSuffix(text, " destroyed"):
			e.Activity = "close"
		}
		e.Fields.Sort()
		sink.Event(e, n, raw)
		return nil
	})
}
