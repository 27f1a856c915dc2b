// Package vpn decodes what VPN gateways log: OpenVPN servers, Cisco ASA (syslog) and Palo Alto GlobalProtect
// (CSV export). Logons come out as authentication events, sessions as tunnel events "open" and "close" that
// carry an ocsf.Lease: who held which inner address from when to when, and from where they came. Every other
// line comes out as an event "other", so that nothing is dropped silently.
//
// Times without a zone are UTC. A line that cannot be read goes to the sink with its reason and the file goes
// on. The sessions of a file are kept in memory, at most 65,536 at a time; beyond that the oldest is forgotten,
// and its end comes out without its start.
package vpn

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the formats of this package. Each recognises its own files by their content only.
func Streams() []decode.Stream {
	return []decode.Stream{
		{Name: "openvpn", Recognise: isOpenVPN, Read: readOpenVPN},
		{Name: "cisco/asa", Recognise: isASA, Read: readASA},
		{Name: "globalprotect", Recognise: isGlobalProtect, Read: readGlobalProtect},
	}
}

// maxSessions is how many open sessions of one file are remembered.
const maxSessions = 65536

// session is one tunnel from its start to its end.
type session struct {
	id     string
	holder ocsf.User
	addr   netip.Addr
	public netip.Addr
	device string
	begun  time.Time
	open   bool // an "open" event with a lease was made
	failed bool // a refused logon was told already
}

// lease returns what the session says of its inner address.
func (s *session) lease() *ocsf.Lease {
	return &ocsf.Lease{Kind: "vpn", ID: s.id, Addr: s.addr, Public: s.public, Holder: s.holder, Device: s.device}
}

// sessions keeps what is open, by the key under which a product's lines name a session.
type sessions struct {
	byKey map[string]*session
	order []string // keys in the order of their start; may hold keys that are gone
}

func newSessions() *sessions { return &sessions{byKey: map[string]*session{}} }

// get returns the session of that key, beginning one where there is none.
func (t *sessions) get(key string) *session {
	if s := t.byKey[key]; s != nil {
		return s
	}
	if len(t.order) >= 2*maxSessions {
		t.compact()
	}
	for len(t.byKey) >= maxSessions && len(t.order) > 0 {
		delete(t.byKey, t.order[0])
		t.order = t.order[1:]
	}
	s := &session{}
	t.byKey[key] = s
	t.order = append(t.order, key)
	return s
}

func (t *sessions) compact() {
	seen := make(map[string]bool, len(t.byKey))
	kept := make([]string, 0, len(t.byKey))
	for _, k := range t.order {
		if t.byKey[k] != nil && !seen[k] {
			seen[k] = true
			kept = append(kept, k)
		}
	}
	t.order = kept
}

// end forgets the session and returns it, or nil where it was never seen.
func (t *sessions) end(key string) *session {
	s := t.byKey[key]
	delete(t.byKey, key)
	return s
}

// sessionID names a session by what identifies it to a reader: who, from where, since when.
func sessionID(user, from string, begun time.Time) string {
	return strings.ToLower(user) + "/" + from + "@" + begun.UTC().Format(time.RFC3339)
}

// newEvent returns an access event; its class is tunnel activity "other" until a message says better.
func newEvent(source string, t time.Time) *ocsf.Event {
	return &ocsf.Event{Time: t, Source: source, Layer: tenant.LayerAccess, Class: ocsf.ClassTunnelActivity, Activity: "other"}
}

// opened makes the event the start of the session.
func opened(e *ocsf.Event, s *session) {
	e.Class, e.Activity, e.Status = ocsf.ClassTunnelActivity, "open", ocsf.StatusSuccess
	e.Lease = s.lease()
	e.Lease.Start = true
	s.open = true
	joined(e, s)
}

// closed makes the event the end of the session.
func closed(e *ocsf.Event, s *session) {
	e.Class, e.Activity = ocsf.ClassTunnelActivity, "close"
	e.Lease = s.lease()
	e.Lease.End = true
	joined(e, s)
}

func joined(e *ocsf.Event, s *session) {
	e.User = s.holder
	if s.public.IsValid() {
		e.Src.IP = s.public
	}
	if e.Device == "" {
		e.Src.Host = s.device
	}
	if s.id != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "vpn-session", Value: s.id})
	}
}

// account splits DOMAIN\name; a principal name stays whole.
func account(s string) ocsf.User {
	s = strings.Trim(s, "'\"<> ")
	if s == "" || strings.Trim(s, "*") == "" { // gateways mask names they do not know
		return ocsf.User{}
	}
	if domain, name, ok := strings.Cut(s, `\`); ok {
		return ocsf.User{Name: name, Domain: domain}
	}
	return ocsf.User{Name: s}
}

// addr reads an address; the unspecified one is none.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(s, "<>[]() ,"))
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
