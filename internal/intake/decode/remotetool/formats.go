package remotetool

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the text logs of remote tools: TeamViewer's lists of connections and its log, AnyDesk's connection
// trace and program trace, ScreenConnect's audit export, Kaseya's endpoint log, BeyondTrust's syslog messages, and
// those of the schemas. Each recognises its own files by their content only. Site has schemas that take the place of
// the built-in ones; nil: there are none.
func Streams(site *Schemas) []decode.Stream {
	all := BuiltInSchemas().With(site)
	return append([]decode.Stream{
		{Name: "teamviewer/incoming", Recognise: isTeamViewer, Read: readTeamViewer},
		{Name: "teamviewer/outgoing", Recognise: isTeamViewerOutgoing, Read: readTeamViewerOutgoing},
		{Name: "teamviewer/log", Recognise: isTeamViewerLog, Read: teamViewerLog(all.zone)},
		{Name: "anydesk/connection", Recognise: isConnectionTrace, Read: readConnectionTrace},
		{Name: "anydesk/trace", Recognise: isTrace, Read: readTrace},
		{Name: "kaseya/endpoint", Recognise: isKaseyaEndpoint, Read: readKaseyaEndpoint},
		{Name: "beyondtrust/audit", Recognise: isAppliance, Read: readAppliance},
		{Name: "screenconnect/audit", Recognise: isAuditCSV, Read: readAuditCSV},
	}, all.streams()...)
}

// Objects returns the JSON formats: session events of a ScreenConnect server, NinjaOne's activities, and those of the
// schemas.
func Objects(site *Schemas) []decode.Object {
	return append([]decode.Object{
		{Name: "screenconnect/session", Match: isSessionEvent, Decode: sessionEvent},
		{Name: "ninjaone/activity", Match: isNinjaActivity, Decode: ninjaActivity},
	}, BuiltInSchemas().With(site).objects()...)
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
	case "login", "logout":
		e.Class, e.Activity = ocsf.ClassAuthentication, map[string]string{"login": "logon", "logout": "logoff"}[a]
	case "settings":
		e.Class, e.Activity = ocsf.ClassBase, "settings"
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
