package fanout

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// What counts as reaching many hosts (ATT&CK T1021, T1072). Patch runs, backup and inventory reach every host too:
// the first time they are told as such, and then they are habit.
const (
	HostWindow      = 30 * time.Minute
	MinHostsReached = 5 // hosts of one tenant
	MinHostsOfMany  = 8 // hosts of MinTenants tenants or more
)

// host returns the host on which an event shows a session of somebody, or "".
func host(e *ocsf.Event) string {
	switch r := e.Remote; {
	case r != nil && (r.Act == "connect" || r.Act == "command" || r.Act == "file"):
		name := r.Target
		if name == "" {
			name = e.Device
		}
		if e.Direction == ocsf.DirectionOut && r.Company != "" && name != "" {
			return strings.ToLower(r.Company) + "/" + hostName(name)
		}
		return hostName(name)
	case r == nil && e.Class == ocsf.ClassAuthentication && e.Status == ocsf.StatusSuccess && e.Activity == "logon" && e.Layer == tenant.LayerEndpoint:
		return hostName(e.Device)
	case e.Cloud != nil && e.Cloud.ServicePrin && e.Device != "" && e.Status != ocsf.StatusFailure:
		return hostName(e.Device) // a command that an app runs on a machine
	}
	return ""
}

// hostName is a host's name without its domain, in lower case: logs give it with and without.
func hostName(s string) string {
	s = strings.ToLower(s)
	if _, err := netip.ParseAddr(s); err == nil {
		return s
	}
	s, _, _ = strings.Cut(s, ".")
	return s
}

// hands are the identities behind a session on a host: the account, the address, the app, the tool's operator and
// instance.
func hands(e *ocsf.Event) (keys []actorKey) {
	if r := e.Remote; r != nil {
		if r.Operator != "" {
			keys = append(keys, actorKey{ocsf.EntityUser, strings.ToLower(r.Tool + " operator " + r.Operator)})
		}
		if r.Instance != "" {
			keys = append(keys, actorKey{ocsf.EntityRMM, strings.ToLower(r.Tool + " " + r.Instance)})
		}
		return keys
	}
	if c := e.Cloud; c != nil && c.ServicePrin {
		if c.AppID != "" {
			keys = append(keys, actorKey{ocsf.EntityApp, strings.ToLower(c.AppID)})
		}
		return keys
	}
	if e.User.Name != "" {
		keys = append(keys, actorKey{ocsf.EntityUser, strings.ToLower(e.User.Name)})
	}
	if e.Src.IP.IsValid() {
		keys = append(keys, actorKey{ocsf.EntityIP, e.Src.IP.Unmap().String()})
	}
	return keys
}

// hosts counts the hosts that each identity of a partner reaches, in one tenant and over all of them.
func (d *Detector) hosts(e *ocsf.Event, emit detect.Emit) {
	name := host(e)
	if name == "" {
		return
	}
	for _, k := range hands(e) {
		d.touched(d.spreads(overHosts, k, e.Partner, e.Tenant), e, name, emit)
		if e.Direction != ocsf.DirectionOut {
			d.touched(d.spreads(overHostsOfMany, k, e.Partner, ""), e, string(e.Tenant)+"\x00"+name, emit)
		}
	}
}

// above reports whether a window is clearly above an identity's habit.
func above(s *spreading, n int) bool {
	h := s.Habit.highest()
	return n >= h+max(HabitMargin, h/2)
}

// oneAccount reports whether all that came from an address was one account: then the account's own finding says it.
func oneAccount(s *spreading) bool {
	return s.Kind == ocsf.EntityIP && len(s.people) == 1 && s.people[""] == 0
}

var hostsRule = rule{
	window: HostWindow,
	ripe:   func(s *spreading, n int) bool { return n >= MinHostsReached && above(s, n) && !oneAccount(s) },
	begin: func(s *spreading, _ *ocsf.Event) *ocsf.Finding {
		f := &ocsf.Finding{Rule: "fanout/hosts", Title: "One partner identity on many hosts within minutes", Technique: "T1021"}
		f.AddEntity(s.Kind, s.Value, s.role())
		return f
	},
	add: addHost,
	finish: func(s *spreading, f *ocsf.Finding) {
		b := s.Burst
		s.weigh(f)
		f.Reason = fmt.Sprintf("%s %s had sessions on %d hosts within %s, and on %d since %s; %s.", s.Kind, s.Value, b.Most, HostWindow, len(b.All), b.Start.UTC().Format(time.DateTime), b.first())
	},
}

var hostsOfManyRule = rule{
	window: HostWindow,
	ripe: func(s *spreading, n int) bool {
		return n >= MinHostsOfMany && len(s.tenants) >= MinTenants && above(s, n) && !oneAccount(s)
	},
	begin: func(s *spreading, _ *ocsf.Event) *ocsf.Finding {
		f := &ocsf.Finding{Rule: "fanout/hosts-of-many", Title: "One partner identity on hosts of several tenants within minutes", Technique: "T1199"}
		f.AddEntity(s.Kind, s.Value, s.role())
		return f
	},
	add: addHost,
	finish: func(s *spreading, f *ocsf.Finding) {
		b := s.Burst
		s.weigh(f)
		f.Reason = fmt.Sprintf("%s %s had sessions on %d hosts of %d tenants since %s (%d here), on %d of them within %s; %s.", s.Kind, s.Value, len(b.All), b.Tenants, b.Start.UTC().Format(time.DateTime),
			b.Here[f.Tenant], b.Most, HostWindow, b.first())
	},
}

// role is what the identity is to its finding. An address is where it came from.
func (s *spreading) role() string {
	if s.Kind == ocsf.EntityIP {
		return ocsf.RoleSource
	}
	return ocsf.RoleActor
}

// weigh gives what reaches many hosts its severity. It is low at the most: whether a rollout is honest shows in what
// it does and who does it, and this joins with that.
func (s *spreading) weigh(f *ocsf.Finding) {
	f.Severity, f.Confidence = ocsf.SeverityLow, 40
	if !s.Burst.Learned {
		f.Severity, f.Confidence = ocsf.SeverityInformational, 30
	}
}

// first says what the identity is used to, or that this is the warm-up.
func (b *burst) first() string {
	if b.Learned {
		return b.habit()
	}
	return "this is its first time, or nearly so: warm-up, it is too new to have a habit"
}

func addHost(_ *Detector, f *ocsf.Finding, t *touch) {
	name := t.What
	if _, after, ok := strings.Cut(name, "\x00"); ok {
		name = after
	}
	f.AddEntity(ocsf.EntityHost, name, ocsf.RoleTarget)
	if t.Event.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, t.Event.Src.IP.String(), ocsf.RoleSource)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
