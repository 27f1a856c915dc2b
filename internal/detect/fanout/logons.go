package fanout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// LogonWindow and MinHosts: a job with an old password fails at the host it runs against again and again; an
// account that fails at several hosts within an hour is being tried on them (ATT&CK T1110).
const (
	LogonWindow = time.Hour
	MinHosts    = 3
	ManyHosts   = 6
)

// doors is where one partner identity failed to log on of late.
type doors struct {
	Tried   []opened
	Finding *ocsf.Finding
	Usual   map[string]bool // hosts at which it failed on an earlier day
	Day     int64
}

// logons counts the hosts at which a partner's account or address fails to log on.
func (d *Detector) logons(e *ocsf.Event, emit detect.Emit) {
	if e.Class != ocsf.ClassAuthentication || e.Layer != tenant.LayerEndpoint || e.Device == "" || e.Activity != "logon" {
		return
	}
	who := strings.ToLower(e.User.Name)
	if e.Src.IP.IsValid() {
		who = e.Src.IP.String()
	}
	id := string(e.Tenant) + "\x00" + string(e.Partner) + "\x00" + who
	x := d.doors[id]
	if e.Status != ocsf.StatusFailure {
		if x != nil && e.Status == ocsf.StatusSuccess && x.Finding == nil {
			// Who gets in where it failed before mistyped, or its first try went without a password.
			x.Tried = slices.DeleteFunc(x.Tried, func(o opened) bool { return o.Owner == e.Device })
		}
		return
	}
	if x == nil {
		if len(d.doors) >= MaxKeys {
			return
		}
		x = &doors{Usual: map[string]bool{}}
		d.doors[id] = x
	}
	if day := e.Time.Unix() / 86400; day != x.Day {
		for _, o := range x.Tried {
			x.Usual[o.Owner] = true
		}
		x.Day = day
	}
	if x.Usual[e.Device] {
		return
	}
	i := 0
	for i < len(x.Tried) && e.Time.Sub(x.Tried[i].At) > LogonWindow {
		i++
	}
	if i == len(x.Tried) {
		x.Finding = nil
	}
	x.Tried = append(x.Tried[i:], opened{e.Time, e.Device, e})
	if len(x.Tried) > maxTouches {
		x.Tried = slices.Clone(x.Tried[len(x.Tried)-maxTouches:])
	}
	hosts := map[string]bool{}
	for _, o := range x.Tried {
		hosts[o.Owner] = true
	}
	if len(hosts) >= MinHosts {
		d.reportLogons(x, e, who, hosts, emit)
	}
}

func (d *Detector) reportLogons(x *doors, e *ocsf.Event, who string, hosts map[string]bool, emit detect.Emit) {
	if x.Finding == nil {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "fanout/logon-failures",
			Title: "A partner's logons fail at several hosts", Technique: "T1110", Severity: ocsf.SeverityMedium, Confidence: 55, Outcome: ocsf.OutcomeAttempted}
		for _, o := range x.Tried[:len(x.Tried)-1] {
			f.AddEvidence(o.Event)
		}
		f.Identify(x.Tried[0].At, string(e.Partner), who)
		x.Finding = f
	}
	f := x.Finding
	f.AddEvidence(e)
	for _, o := range x.Tried {
		if len(f.Entities) < 30 {
			f.AddEntity(ocsf.EntityHost, o.Owner, ocsf.RoleTarget)
			f.AddEntity(ocsf.EntityUser, strings.ToLower(o.Event.User.Name), ocsf.RoleActor)
		}
	}
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleSource)
	}
	f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
	if len(hosts) >= ManyHosts {
		f.Severity = ocsf.SeverityHigh
	}
	f.Reason = fmt.Sprintf("%s failed to log on at %d hosts within %s at which it had not failed before.", who, len(hosts), LogonWindow)
	emit(f.Clone())
}
