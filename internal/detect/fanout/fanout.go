// Package fanout finds one thing that touches many within minutes, against its own habit: one person, address,
// app or remote-tool operator at many tenants (ATT&CK T1199), one source that fails at many accounts
// (password spraying, T1110.003), and one partner's account that opens many people's mail (T1114.002). It fires while the spread is still going on.
//
// In: sign-ins, VPN and remote-tool sessions of all tenants in event time. Out: findings for each tenant that
// was touched. State is a window of touches and a habit for each key, bounded by MaxKeys.
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

// Window, thresholds and bounds.
const (
	Window       = 30 * time.Minute // in which distinct tenants are counted
	MinTenants   = 3                // never fires below
	HabitMargin  = 2                // tenants above the key's own highest window so far
	SprayWindow  = 3 * time.Hour    // in which the accounts that a few sources fail at are counted
	SprayUsers   = 5                // distinct accounts that failed
	HitWindow    = 7 * 24 * time.Hour
	KnownSuccess = 3 // earlier successes that make a source a known place
	MaxKeys      = 200_000
	maxTouches   = 512
	maxSprayed   = 10_000 // accounts and sources of one spraying that are told apart
)

type touch struct {
	At     time.Time
	Tenant tenant.ID
	Event  *ocsf.Event
}

type actor struct {
	Touches []touch
	Habit   int // most distinct tenants in a window, up to the day before
	Today   int
	Day     int64
	First   time.Time
	Windows int
}

// Detector implements detect.Detector.
type Detector struct {
	model   *tenant.Model
	actors  map[string]*actor
	guesses map[tenant.ID]*guesses
	readers map[string]*reader
	doors   map[string]*doors
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	return &Detector{model: ctx.Model, actors: map[string]*actor{}, guesses: map[tenant.ID]*guesses{}, readers: map[string]*reader{}, doors: map[string]*doors{}}
}

// Name returns "fanout".
func (d *Detector) Name() string { return "fanout" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		for _, k := range actorKeys(e) {
			d.spread(k, e, emit)
		}
		d.mailboxes(e, emit)
		d.logons(e, emit)
	}
	if guessable(e) {
		d.spray(e, emit)
	}
}

type actorKey struct {
	kind  ocsf.EntityType
	value string
}

// actorKeys are the things whose spread over tenants means something: who acts, and with what.
func actorKeys(e *ocsf.Event) []actorKey {
	var keys []actorKey
	session := e.Class == ocsf.ClassAuthentication && e.Status != ocsf.StatusFailure && e.Activity != "logoff" && (e.Cloud != nil || e.Layer == tenant.LayerAccess)
	if l := e.Lease; l != nil && l.Kind == "vpn" && l.Start && l.Holder.Name != "" {
		keys = append(keys, actorKey{ocsf.EntityUser, strings.ToLower(l.Holder.Name)})
	} else if session && e.User.Name != "" && !(e.Cloud != nil && e.Cloud.ServicePrin) {
		keys = append(keys, actorKey{ocsf.EntityUser, strings.ToLower(e.User.Name)})
	}
	if c := e.Cloud; c != nil && session && c.ServicePrin && c.AppID != "" && e.Src.IP.IsValid() {
		keys = append(keys, actorKey{ocsf.EntityApp, strings.ToLower(c.AppID) + " from " + e.Src.IP.String()})
	}
	if r := e.Remote; r != nil && r.Operator != "" && (r.Act == "connect" || r.Act == "command") {
		keys = append(keys, actorKey{ocsf.EntityUser, strings.ToLower(r.Tool + " operator " + r.Operator)})
	}
	return keys
}

func (d *Detector) spread(k actorKey, e *ocsf.Event, emit detect.Emit) {
	id := string(e.Partner) + "\x00" + string(k.kind) + "\x00" + k.value
	a := d.actors[id]
	if a == nil {
		if len(d.actors) >= MaxKeys {
			return
		}
		a = &actor{First: e.Time}
		d.actors[id] = a
	}
	if day := e.Time.Unix() / 86400; day != a.Day {
		a.Habit, a.Today, a.Day = max(a.Habit, a.Today), 0, day
		a.Windows++
	}
	a.Touches = append(expire(a.Touches, e.Time.Add(-Window)), touch{e.Time, e.Tenant, e})
	if len(a.Touches) > maxTouches {
		a.Touches = slices.Clone(a.Touches[len(a.Touches)-maxTouches:])
	}
	n := distinctTenants(a.Touches)
	a.Today = max(a.Today, n)
	if n < MinTenants || n < a.Habit+HabitMargin {
		return
	}
	learned := a.Windows > 2
	for _, id := range tenantsOf(a.Touches) {
		d.reportSpread(k, a, id, n, learned, emit)
	}
}

func (d *Detector) reportSpread(k actorKey, a *actor, id tenant.ID, n int, learned bool, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: id, Detector: d.Name(), Rule: "fanout/tenants", Title: "One partner identity at many tenants within minutes",
		Technique: "T1199", Severity: ocsf.SeverityLow, Confidence: 40, Outcome: ocsf.OutcomeUnknown}
	if learned && n >= a.Habit+HabitMargin+2 {
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	}
	for _, t := range a.Touches {
		if t.Tenant == id {
			f.Trust, f.Partner, f.Layer = t.Event.Trust, t.Event.Partner, t.Event.Layer
			f.AddEvidence(t.Event)
			if t.Event.Src.IP.IsValid() {
				f.AddEntity(ocsf.EntityIP, t.Event.Src.IP.String(), ocsf.RoleSource)
			}
		}
	}
	f.Identify(time.Unix(a.Day*86400, 0), string(f.Partner), string(k.kind), k.value)
	f.AddEntity(k.kind, k.value, ocsf.RoleActor)
	habit := fmt.Sprintf("its own highest so far is %d", a.Habit)
	if !learned {
		habit = "it is too new to have a habit"
	}
	f.Reason = fmt.Sprintf("%s %s reached %d tenants within %s; %s.", k.kind, k.value, n, Window, habit)
	emit(f)
}

func expire(list []touch, before time.Time) []touch {
	i := 0
	for i < len(list) && list[i].At.Before(before) {
		i++
	}
	return list[i:]
}

func tenantsOf(list []touch) []tenant.ID {
	var ids []tenant.ID
	for _, t := range list {
		if !slices.Contains(ids, t.Tenant) {
			ids = append(ids, t.Tenant)
		}
	}
	slices.Sort(ids)
	return ids
}

func distinctTenants(list []touch) int { return len(tenantsOf(list)) }

// Advance does nothing: windows are cut when they are looked at.
func (d *Detector) Advance(time.Time, detect.Emit) {}

// Conclude does nothing: what is found is emitted at once.
func (d *Detector) Conclude(detect.Emit) {}

type snapshot struct {
	Actors  map[string]*actor
	Guesses map[tenant.ID]*guesses
	Readers map[string]*reader
	Doors   map[string]*doors
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.actors, d.guesses, d.readers, d.doors})
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := snapshot{map[string]*actor{}, map[tenant.ID]*guesses{}, map[string]*reader{}, map[string]*doors{}}
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	d.actors, d.guesses, d.readers, d.doors = s.Actors, s.Guesses, s.Readers, s.Doors
	return nil
}
