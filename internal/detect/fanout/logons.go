package fanout

import (
	"fmt"
	"maps"
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

// maxUsual is how many hosts are remembered at which one identity fails day by day.
const maxUsual = 4096

// doors is where one partner identity failed to log on of late.
type doors struct {
	Who     string
	Tried   []opened
	Finding *ocsf.Finding    // what was found, without its reason; nil also once no window holds it any more
	Found   bool             // something was found since the window was last empty
	Hosts   int              // hosts in the window when the finding last grew
	Named   int              // how many of Tried the finding has heard of, from the first
	Usual   map[string]int64 // hosts at which it failed on an earlier day, and the day on which it last did
	Day     int64
	Last    int64
	hosts   map[string]int // failures at each in Tried
}

func (x *doors) count() {
	x.hosts = map[string]int{}
	for i := range x.Tried {
		x.hosts[x.Tried[i].Owner]++
	}
	if x.Usual == nil {
		x.Usual = map[string]int64{}
	}
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
		if x != nil && e.Status == ocsf.StatusSuccess && !x.Found && x.hosts[e.Device] > 0 {
			// Who gets in where it failed before mistyped, or its first try went without a password.
			x.Tried = slices.DeleteFunc(x.Tried, func(o opened) bool { return o.Owner == e.Device })
			delete(x.hosts, e.Device)
		}
		return
	}
	if x == nil {
		detect.MakeRoom(d.doors, MaxKeys, func(x *doors) int64 { return x.Last })
		x = &doors{Who: who, Usual: map[string]int64{}, hosts: map[string]int{}}
		d.doors[id] = x
	}
	x.Last = max(x.Last, e.Time.Unix())
	day := e.Time.Unix() / 86400
	if day != x.Day {
		for host := range x.hosts {
			if len(x.Usual) < maxUsual {
				x.Usual[host] = day
			}
		}
		x.Day = day
	}
	if _, usual := x.Usual[e.Device]; usual {
		x.Usual[e.Device] = day
		return
	}
	first := 0
	for first < len(x.Tried) && (x.Tried[first].Event == nil || e.Time.Sub(x.Tried[first].At) > LogonWindow) {
		first++
	}
	if first == len(x.Tried) {
		d.release(x, emit)
		x.Finding, x.Found, x.Named = nil, false, 0
	}
	first = max(first, len(x.Tried)+1-maxTouches)
	for i := range x.Tried[:first] {
		subtract(x.hosts, x.Tried[i].Owner)
	}
	clear(x.Tried[:first])
	x.Tried, x.Named = append(x.Tried[first:], opened{e.Time, e.Device, e}), max(0, x.Named-first)
	x.hosts[e.Device]++
	if len(x.hosts) >= MinHosts {
		d.growLogons(x, e)
	}
}

// growLogons makes the finding, or lets it grow by the last failure.
func (d *Detector) growLogons(x *doors, e *ocsf.Event) {
	if x.Finding == nil {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "fanout/logon-failures",
			Title: "A partner's logons fail at several hosts", Technique: "T1110", Severity: ocsf.SeverityMedium, Confidence: 55, Outcome: ocsf.OutcomeAttempted}
		for _, o := range x.Tried[:len(x.Tried)-1] {
			f.AddEvidence(o.Event)
		}
		f.Identify(x.Tried[0].At, string(e.Partner), x.Who)
		x.Finding, x.Found, x.Named = f, true, 0
	}
	f := x.Finding
	f.AddEvidence(e)
	for _, o := range x.Tried[x.Named:] {
		if len(f.Entities) < 30 {
			f.AddEntity(ocsf.EntityHost, o.Owner, ocsf.RoleTarget)
			f.AddEntity(ocsf.EntityUser, strings.ToLower(o.Event.User.Name), ocsf.RoleActor)
		}
	}
	x.Named = len(x.Tried)
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleSource)
	}
	if len(f.Entities) < maxLogonEntities {
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
	}
	if x.Hosts = len(x.hosts); x.Hosts >= ManyHosts {
		f.Severity = ocsf.SeverityHigh
	}
	d.hold(x)
}

// maxLogonEntities is where a finding stops to name who held the source's address.
const maxLogonEntities = 200

func (x *doors) tell(_ *Detector, emit detect.Emit) {
	f := x.Finding.Clone()
	f.Reason = fmt.Sprintf("%s failed to log on at %d hosts within %s at which it had not failed before.", x.Who, x.Hosts, LogonWindow)
	emit(f)
}

// idle lets go of events that no window holds any more, and reports whether the identity is forgotten as a whole.
// The hosts are kept: they become usual on the next day on which it fails.
func (x *doors) idle(now time.Time) bool {
	last := time.Unix(x.Last, 0)
	if now.Sub(last) > LogonWindow+time.Minute {
		x.Finding = nil
		for i := range x.Tried {
			x.Tried[i].Event = nil
		}
	}
	limit := now.Add(-ForgetAfter).Unix() / 86400
	maps.DeleteFunc(x.Usual, func(_ string, day int64) bool { return day < limit })
	return now.Sub(last) > ForgetAfter
}
