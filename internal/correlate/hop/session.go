// Package hop holds the temporal hop graph: who moved from where to where, when, and how far they got. Its unit is
// the session: what one actor did in one tenant without a break, as a VPN lease, a remote-tool session, a
// sign-in, or, where no log names one, a run of activity of one address or account without a gap.
//
// In: attributed events in event time. Out: sessions with their acts, and links from a session to the partner's
// host that it came from. A session is kept only where it came through a partner, by a remote tool, or as a cloud
// sign-in; memory is bounded by MaxSessions, beyond which the oldest go and are counted.
package hop

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds and times.
const (
	MaxSessions = 500_000
	MaxActs     = 64               // acts kept of one session, first come
	Gap         = 30 * time.Minute // silence that ends a session which no log ends
	Interactive = 10 * time.Second // a connection this long on a remote-access port is somebody at work,
	MinPackets  = 20               // if it also carried this many packets (notes on trace back)
)

// Kind is what a session rests on.
type Kind string

// The kinds of session.
const (
	KindVPN    Kind = "vpn"
	KindSource Kind = "source" // an address of the partner, no session log
	KindUser   Kind = "user"   // an account of the partner at work, no address known
	KindRMM    Kind = "rmm"
	KindCloud  Kind = "cloud"
)

// Session is what one actor did in one tenant without a break.
type Session struct {
	ID       string
	Kind     Kind
	Tenant   tenant.ID
	Trust    tenant.TrustID
	Partner  tenant.PartnerID
	User     string     // account, lower case
	Addr     netip.Addr // inside address (VPN pool) or source address
	Public   netip.Addr // where it came from, as far as a log says
	Origin   string     // device that it came from, lower case short name
	Tool     string
	Instance string // remote-tool instance
	App      string // cloud app
	Start    time.Time
	End      time.Time
	Events   int64
	Acts     []Act
	Success  time.Time // first act that got something; zero if none
	Layers   map[tenant.Layer]bool
	Opened   ocsf.Evidence
	Out      bool // the partner's own record of what it did at somebody else's
}

// Act is one thing that was done in a session.
type Act struct {
	Time    time.Time
	Kind    string // logon, connection, command, install, file, sign-in, call, failure
	Target  string
	User    string
	Detail  string
	Layer   tenant.Layer
	Got     bool // it got something: a session, code run, data read, a changed setting
	File    string
	Record  int64
	Session string
}

// Short returns a host's name without its domain, in lower case; addresses stay whole.
func Short(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if i := strings.IndexByte(host, '.'); i > 0 {
		host = host[:i]
	}
	return strings.TrimPrefix(host, `\\`)
}

// act describes what an event did, or returns false where it did nothing worth keeping.
func act(e *ocsf.Event) (Act, bool) {
	a := Act{Time: e.Time, Layer: e.Layer, User: strings.ToLower(e.User.Name), File: e.Raw.File, Record: e.Raw.Record, Session: e.Session}
	switch {
	case e.Lease != nil:
		return a, false
	case e.Remote != nil:
		a.Kind, a.Target, a.Detail = e.Remote.Act, Short(firstOf(e.Device, e.Remote.Target)), e.Remote.CommandLine
		a.Got = e.Remote.Act != "disconnect" && e.Remote.Act != ""
		return a, a.Kind != "disconnect"
	case e.Cloud != nil && e.Class == ocsf.ClassAuthentication:
		a.Kind, a.Target, a.Detail = "sign-in", e.Cloud.AppName, e.Cloud.Country
		if a.Got = e.Status == ocsf.StatusSuccess; !a.Got {
			a.Kind, a.Detail = "failure", "sign-in refused "+e.Cloud.ErrorCode
		}
		return a, true
	case e.Cloud != nil:
		a.Kind, a.Target, a.Detail, a.Got = "call", e.Cloud.Resource, e.Cloud.Operation, e.Status != ocsf.StatusFailure
		return a, true
	case e.Class == ocsf.ClassAuthentication && e.Layer == tenant.LayerEndpoint:
		if e.Activity != "logon" {
			return a, false
		}
		a.Kind, a.Target, a.Detail = "logon", Short(e.Device), "logon type "+e.Fields.Value("LogonType")
		if a.Got = e.Status == ocsf.StatusSuccess; !a.Got {
			a.Kind = "failure"
		}
		return a, true
	case e.Flow != nil:
		return flowAct(e, a)
	case e.Class == ocsf.ClassProcessActivity && e.Process != nil:
		a.Kind, a.Target, a.Detail, a.Got = "command", Short(e.Device), e.Process.CommandLine, true
		return a, true
	case e.Class == ocsf.ClassAccountChange || e.Class == ocsf.ClassGroupManagement || e.Class == ocsf.ClassWindowsService || e.Class == ocsf.ClassScheduledJob:
		a.Kind, a.Target, a.Detail, a.Got = "change", Short(e.Device), e.Activity+" "+e.User.Name, true
		return a, true
	}
	return a, false
}

// flowAct keeps connections in which somebody was at work; probes are the findings' business.
func flowAct(e *ocsf.Event, a Act) (Act, bool) {
	f := e.Flow
	if f.Proto != "tcp" || !remoteAccess(e.Dst.Port) || f.Duration < Interactive || f.OrigPkts+f.RespPkts < MinPackets {
		return a, false
	}
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		a.Kind, a.Target, a.Detail, a.Got = "connection", e.Dst.IP.String(), e.Dst.String(), true
		return a, true
	}
	return a, false
}

// remoteAccess reports whether the port is one by which people and tools work on a host from afar.
func remoteAccess(port uint16) bool {
	switch port {
	case 22, 23, 3389, 5900, 5985, 5986:
		return true
	}
	return false
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
