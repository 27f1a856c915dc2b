package fanout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// touch is one session of an actor at one tenant.
type touch struct {
	At     time.Time
	Tenant tenant.ID
	Event  *ocsf.Event
}

// actor is one identity of a partner with the tenants that it touched of late.
type actor struct {
	Kind    ocsf.EntityType
	Value   string
	Touches []touch
	Reached int  // distinct tenants in the window
	Ripe    bool // they were too many at the last event
	Habit   int  // most distinct tenants in a window, up to the day before
	Today   int
	Day     int64
	Windows int // days on which it was seen
	Last    int64
	tenants map[tenant.ID]int // touches of each in the window
}

func (a *actor) count() {
	a.tenants = map[tenant.ID]int{}
	for i := range a.Touches {
		a.tenants[a.Touches[i].Tenant]++
	}
}

// spread counts the tenants that one actor touches within the window, one event after another: what leaves the
// window is told before it goes.
func (d *Detector) spread(k actorKey, e *ocsf.Event, emit detect.Emit) {
	id := string(e.Partner) + "\x00" + string(k.kind) + "\x00" + k.value
	a := d.actors[id]
	if a == nil {
		detect.MakeRoom(d.actors, MaxKeys, func(a *actor) int64 { return a.Last })
		a = &actor{Kind: k.kind, Value: k.value, tenants: map[tenant.ID]int{}}
		d.actors[id] = a
	}
	day, habit := e.Time.Unix()/86400, a.Habit
	if day != a.Day {
		habit = max(a.Habit, a.Today)
	}
	first := 0
	for before := e.Time.Add(-Window); first < len(a.Touches) && a.Touches[first].At.Before(before); {
		first++
	}
	first = max(first, len(a.Touches)+1-maxTouches)
	gone := a.leave(first, e.Tenant)
	reached := len(a.tenants)
	ripe := reached >= MinTenants && reached >= habit+HabitMargin
	switch _, held := d.held[a]; {
	case held && (!ripe || day != a.Day):
		d.release(a, emit)
	case held:
		for _, id := range gone {
			emit(a.finding(id))
		}
	}
	if day != a.Day {
		a.Habit, a.Today, a.Day = habit, 0, day
		a.Windows++
	}
	clear(a.Touches[:first])
	a.Touches = append(a.Touches[first:], touch{e.Time, e.Tenant, e})
	a.Reached, a.Ripe, a.Today, a.Last = reached, ripe, max(a.Today, reached), max(a.Last, e.Time.Unix())
	if ripe {
		d.hold(a)
	}
}

// leave takes the first touches out of the counts and puts one at a tenant in; it returns the tenants of which none
// is left.
func (a *actor) leave(first int, in tenant.ID) (gone []tenant.ID) {
	a.tenants[in]++
	for i := range a.Touches[:first] {
		id := a.Touches[i].Tenant
		if a.tenants[id]--; a.tenants[id] == 0 {
			delete(a.tenants, id)
			gone = append(gone, id)
		}
	}
	return gone
}

func (a *actor) tell(_ *Detector, emit detect.Emit) {
	at := map[tenant.ID][]int{}
	for i := range a.Touches {
		at[a.Touches[i].Tenant] = append(at[a.Touches[i].Tenant], i)
	}
	for _, id := range slices.Sorted(maps.Keys(at)) {
		f := a.newFinding(id)
		for _, i := range at[id] {
			a.add(f, i)
		}
		emit(a.finish(f))
	}
}

// finding is what there is to tell one tenant.
func (a *actor) finding(id tenant.ID) *ocsf.Finding {
	f := a.newFinding(id)
	for i := range a.Touches {
		if a.Touches[i].Tenant == id {
			a.add(f, i)
		}
	}
	return a.finish(f)
}

// learned reports whether the actor was seen long enough to have a habit.
func (a *actor) learned() bool { return a.Windows > 2 }

func (a *actor) newFinding(id tenant.ID) *ocsf.Finding {
	f := &ocsf.Finding{Tenant: id, Detector: "fanout", Rule: "fanout/tenants", Title: "One partner identity at many tenants within minutes",
		Technique: "T1199", Severity: ocsf.SeverityLow, Confidence: 40, Outcome: ocsf.OutcomeUnknown}
	if a.learned() && a.Reached >= a.Habit+HabitMargin+2 {
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	}
	return f
}

func (a *actor) add(f *ocsf.Finding, i int) {
	e := a.Touches[i].Event
	f.Trust, f.Partner, f.Layer = e.Trust, e.Partner, e.Layer
	f.AddEvidence(e)
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleSource)
	}
}

func (a *actor) finish(f *ocsf.Finding) *ocsf.Finding {
	f.Identify(time.Unix(a.Day*86400, 0), string(f.Partner), string(a.Kind), a.Value)
	f.AddEntity(a.Kind, a.Value, ocsf.RoleActor)
	habit := fmt.Sprintf("its own highest so far is %d", a.Habit)
	if !a.learned() {
		habit = "it is too new to have a habit"
	}
	f.Reason = fmt.Sprintf("%s %s reached %d tenants within %s; %s.", a.Kind, a.Value, a.Reached, Window, habit)
	return f
}

// idle lets go of touches that no window holds any more, and reports whether the actor is forgotten as a whole.
func (a *actor) idle(now time.Time) bool {
	last := time.Unix(a.Last, 0)
	if now.Sub(last) > Window+time.Minute && len(a.Touches) > 0 {
		a.Touches, a.Ripe = nil, false
		clear(a.tenants)
	}
	return now.Sub(last) > ForgetAfter
}
