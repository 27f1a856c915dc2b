// Package dhcp decodes what DHCP servers log themselves: ISC dhcpd and dnsmasq (syslog), Kea, and the audit log of
// Windows. What Zeek and Suricata see of DHCP is their own packages'. A lease that begins, is renewed or ends comes
// out with an ocsf.Lease of kind dhcp, which tells the device that has an address: its host name, or its hardware
// address where the record has none. Every other record comes out as an event "other", so that nothing is dropped
// silently.
//
// Times without a zone are UTC. A line that can't be read goes to the sink with its reason and the file goes on.
//
// Sources: ISC dhcpd 4.4 server/dhcp.c; dnsmasq 2.90 src/rfc2131.c; "Kea Messages Manual" 1.3 to 2.6; Microsoft
// "Analyze DHCP Server Log Files".
package dhcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the formats of this package. Each recognises its own records by their content; those of syslog come
// with the date that syslog took off them.
func Streams() []decode.Stream {
	return []decode.Stream{
		{Name: "dhcpd", Recognise: mostly(dhcpdMessage), Read: lines("dhcpd", dhcpd)},
		{Name: "dnsmasq-dhcp", Recognise: mostly(dnsmasqMessage), Read: lines("dnsmasq-dhcp", dnsmasq)},
		{Name: "kea-dhcp", Recognise: mostly(keaMessage), Read: lines("kea-dhcp", kea)},
		{Name: "windows/dhcp", Recognise: isAudit, Read: readAudit},
	}
}

// lookAt is how many lines of a file are looked at to recognise it.
const lookAt = 60

// mostly returns a test for heads of which more than half of the lines are dated messages of that form.
func mostly(form *regexp.Regexp) func(string, []byte) bool {
	return func(_ string, head []byte) bool {
		yes, total := 0, 0
		for line := range bytes.SplitSeq(head, []byte("\n")) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			if total++; total > lookAt {
				break
			}
			if len(line) < 20 || line[0] < '0' || line[0] > '9' || !bytes.Contains(line, []byte("DHCP")) {
				continue // carried lines are asked one by one
			}
			if _, text, ok := dated(string(line[:min(len(line), 1024)])); ok && form.MatchString(text) {
				yes++
			}
		}
		return yes*2 > min(total, lookAt)
	}
}

// dated cuts off the date, which is one word or two.
func dated(line string) (time.Time, string, bool) {
	word, rest, _ := strings.Cut(line, " ")
	if t, ok := decode.ParseTime(word); ok && len(word) >= len("2006-01-02T15:04:05") {
		return t, strings.TrimSpace(rest), true
	}
	second, rest, _ := strings.Cut(rest, " ")
	if len(word) != len("2006-01-02") || len(second) < len("15:04:05") {
		return time.Time{}, line, false
	}
	t, ok := decode.ParseTime(word + " " + second)
	return t, strings.TrimSpace(rest), ok
}

// lines returns a reader of dated messages.
func lines(source string, read func(e *ocsf.Event, text string)) func(context.Context, string, io.Reader, decode.Sink) error {
	return func(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
		return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
			line := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
			if line == "" {
				return nil
			}
			at, text, ok := dated(line)
			if !ok {
				return errors.New("no date at the beginning of the line")
			}
			e := newEvent(source, at)
			field(e, "message", text)
			read(e, text)
			e.Fields.Sort()
			sink.Event(e, n, raw)
			return nil
		})
	}
}

func newEvent(source string, at time.Time) *ocsf.Event {
	return &ocsf.Event{Time: at, Source: source, Layer: tenant.LayerNetwork, Class: ocsf.ClassDHCPActivity, Activity: "other"}
}

func field(e *ocsf.Event, name, value string) {
	if value != "" {
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
	}
}

// act is what a record says of a lease.
type act int

const (
	assigned act = iota
	ended
	refused
)

// lease makes the event one of a lease.
func lease(e *ocsf.Event, what act, address, mac, host string, lasts time.Duration) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.IsUnspecified() {
		return
	}
	addr = addr.Unmap().WithZone("")
	mac = strings.ToLower(mac)
	field(e, "mac", mac)
	field(e, "address", addr.String())
	field(e, "host_name", host)
	e.Src = ocsf.Endpoint{IP: addr, Host: host}
	if what == refused {
		e.Activity, e.Status = "refuse", ocsf.StatusFailure
		return
	}
	if host == "" {
		host = mac
	}
	e.Lease = &ocsf.Lease{Kind: "dhcp", Addr: addr, Device: host, Start: what == assigned, End: what == ended, Lasts: lasts}
	e.Activity = "assign"
	if what == ended {
		e.Activity = "release"
	}
}

var (
	dhcpdMessage = regexp.MustCompile(`^(?:DHCP(?:DISCOVER|OFFER|REQUEST|ACK|NAK|RELEASE|DECLINE|INFORM|EXPIRE) (?:from|on|for|to|of) )`)
	dhcpdLease   = regexp.MustCompile(`^DHCP(ACK|RELEASE|DECLINE|EXPIRE|NAK) (?:on|of) (\S+)(?: (?:to|from) (\S+))?(?: \(([^)]{1,255})\))?`)
)

// dhcpd reads "DHCPACK on 10.0.0.9 to 00:11:22:33:44:55 (WS07) via eth0" and its like. A client that only asks for
// options ("DHCPACK to") has its address from elsewhere.
func dhcpd(e *ocsf.Event, text string) {
	m := dhcpdLease.FindStringSubmatch(text)
	if m == nil {
		return
	}
	what := map[string]act{"ACK": assigned, "NAK": refused}
	kind, begins := what[m[1]]
	if !begins {
		kind = ended
	}
	lease(e, kind, m[2], m[3], m[4], 0)
}

var (
	dnsmasqMessage = regexp.MustCompile(`^(?:\d{1,12} )?DHCP[A-Z]{3,12}\(\S{1,32}\) `)
	dnsmasqLease   = regexp.MustCompile(`^(?:\d{1,12} )?DHCP(ACK|RELEASE|DECLINE|NAK)\(\S{1,32}\) (\S+) (\S+)(?: (\S{1,255}))?$`)
)

// dnsmasq reads "DHCPACK(eth0) 10.0.0.9 00:11:22:33:44:55 WS07".
func dnsmasq(e *ocsf.Event, text string) {
	m := dnsmasqLease.FindStringSubmatch(text)
	switch {
	case m == nil:
	case m[1] == "ACK":
		lease(e, assigned, m[2], m[3], m[4], 0)
	case m[1] == "NAK":
		lease(e, refused, m[2], m[3], "", 0)
	default:
		lease(e, ended, m[2], m[3], m[4], 0)
	}
}

var (
	keaMessage = regexp.MustCompile(`\b(?:DHCP[46]|ALLOC_ENGINE_V[46])_[A-Z0-9_]{3,60}\b`)
	keaAddress = regexp.MustCompile(`: (?:lease(?: for address)?|address) (\S+?)[,:]? (?:has been allocated|has been renewed|was released|has been released)|(?:lease|address) (\S+?):? (?:reclaiming|was reclaimed|has been reclaimed)`)
	keaDevice  = regexp.MustCompile(`hwtype=\d{1,3} ([0-9a-fA-F:]{2,60})`)
	keaLasts   = regexp.MustCompile(` for (\d{1,10}) seconds`)
)

// kea reads DHCP4_LEASE_ALLOC, DHCP4_RELEASE and their like; the messages name the device by its hardware address.
func kea(e *ocsf.Event, text string) {
	id := keaMessage.FindString(text)
	field(e, "id", id)
	what := ended
	switch id {
	case "DHCP4_LEASE_ALLOC", "DHCP6_LEASE_ALLOC", "DHCP4_LEASE_RENEW", "DHCP6_LEASE_RENEW":
		what = assigned
	case "DHCP4_RELEASE", "DHCP4_RELEASE_EXPIRED", "DHCP6_RELEASE_NA", "DHCP6_RELEASE_NA_EXPIRED", "ALLOC_ENGINE_V4_LEASE_RECLAIM", "ALLOC_ENGINE_V6_LEASE_RECLAIM":
	default:
		return
	}
	m := keaAddress.FindStringSubmatch(text)
	if m == nil {
		return
	}
	mac := ""
	if d := keaDevice.FindStringSubmatch(text); d != nil {
		mac = d[1]
	}
	var lasts time.Duration
	if s := keaLasts.FindStringSubmatch(text); s != nil && what == assigned {
		n, _ := strconv.ParseInt(s[1], 10, 64)
		lasts = seconds(n)
	}
	lease(e, what, m[1]+m[2], mac, "", lasts)
}

// seconds is a lease's time; 0xffffffff of them is for ever.
func seconds(n int64) time.Duration { return time.Duration(min(n, 366*86400)) * time.Second }
