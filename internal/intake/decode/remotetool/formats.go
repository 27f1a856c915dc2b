package remotetool

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the text logs of remote tools: TeamViewer's list of incoming connections, AnyDesk's connection
// trace and program trace, and ScreenConnect's audit export. Each recognises its own files by their content only.
func Streams() []decode.Stream {
	return []decode.Stream{
		{Name: "teamviewer/incoming", Recognise: isTeamViewer, Read: readTeamViewer},
		{Name: "anydesk/connection", Recognise: isConnectionTrace, Read: readConnectionTrace},
		{Name: "anydesk/trace", Recognise: isTrace, Read: readTrace},
		{Name: "screenconnect/audit", Recognise: isAuditCSV, Read: readAuditCSV},
	}
}

// Objects returns the JSON formats: session events of a ScreenConnect server.
func Objects() []decode.Object {
	return []decode.Object{{Name: "screenconnect/session", Match: isSessionEvent, Decode: sessionEvent}}
}

// newEvent returns an access event of a remote session.
func newEvent(source string, t time.Time, r *ocsf.RemoteSession) *ocsf.Event {
	return &ocsf.Event{Time: t.UTC(), Source: source, Layer: tenant.LayerAccess, Class: ocsf.ClassTunnelActivity, Activity: "other", Remote: r}
}

// act sets what happened in the session, in the words of RemoteSession and of OCSF.
func act(e *ocsf.Event, a string) {
	e.Remote.Act = a
	switch a {
	case "connect":
		e.Class, e.Activity = ocsf.ClassTunnelActivity, "open"
	case "disconnect":
		e.Class, e.Activity = ocsf.ClassTunnelActivity, "close"
	case "command":
		e.Class, e.Activity = ocsf.ClassProcessActivity, "remote command"
	case "file":
		e.Class, e.Activity = ocsf.ClassFileActivity, "transfer"
	case "install":
		e.Class, e.Activity = ocsf.ClassWindowsService, "create"
	}
}

// finish sorts the fields and sets the join keys of the session.
func finish(e *ocsf.Event) {
	if id := e.Remote.SessionID; id != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "rmm-session", Value: id})
	}
	if id := e.Remote.Instance; id != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "rmm-instance", Value: id})
	}
	e.Fields.Sort()
}

// addr reads an address with or without a port.
func addr(s string) (netip.Addr, uint16) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), 0
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), ap.Port()
	}
	return netip.Addr{}, 0
}

// shortHost returns a host name up to its first dot, in lower case; addresses stay whole.
func shortHost(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	if short, _, _ := strings.Cut(s, "."); short != "" {
		return short
	}
	return s
}

// plausible keeps out clocks that were never set.
func plausible(t time.Time) bool { return t.Year() >= 1971 && t.Year() < 2100 }
