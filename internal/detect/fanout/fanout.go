// Package fanout finds one thing that touches many within minutes, against its own habit: one person, address,
// app or remote-tool operator at many tenants (ATT&CK T1199); one account, address, app, operator or tool instance on
// many hosts of one tenant or of several (T1021); one script or file that nobody had seen on many hosts (T1072); one
// source that fails at many accounts (password spraying, T1110.003); and one partner's account that opens many
// people's mail (T1114.002). Of a partner's help desk it also tells a reset whose
// credentials are then used from an unknown place (T1556.006). It fires while the spread is still going on, and what it found grows under one id.
//
// In: sign-ins, logons, VPN and remote-tool sessions and processes of all tenants in event time. Out: findings for
// each tenant that was touched, which name that tenant's hosts and people only. Windows slide; a habit is the highest
// window of each of the last active days, and what is younger than a night is none. State is a window of touches and
// a habit for each key, bounded by MaxKeys.
package fanout

import (
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
	KnownSuccess = 3                   // earlier successes that make a source a known place
	MaxKeys      = 200_000             // of each kind; beyond, those unused longest go
	ForgetAfter  = 90 * 24 * time.Hour // what was unused this long begins anew
	maxTouches   = 512
	maxSprayed   = 10_000 // accounts and sources of one spraying that are told apart
)

// Detector implements detect.Detector.
type Detector struct {
	model      *tenant.Model
	spreadings map[string]*spreading
	guesses    map[tenant.ID]*guesses
	doors      map[string]*doors
	lines      lines
	resets     map[tenant.ID]map[string]*reset // by whose credentials
	takeouts   takeouts
	held       map[teller]struct{} // those that know more than they last told
	pending    uint64
	swept      time.Time
}

// teller has something to tell that grows with every event of a flood, and is told now and then.
type teller interface {
	// tell emits what there is to tell as of the last event, and changes nothing.
	tell(d *Detector, emit detect.Emit)
}

func (d *Detector) hold(t teller) {
	d.held[t] = struct{}{}
	d.pending++
}

// release tells at once what is held back, before it changes to something else.
func (d *Detector) release(t teller, emit detect.Emit) {
	if _, ok := d.held[t]; ok {
		t.tell(d, emit)
		delete(d.held, t)
	}
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	return &Detector{model: ctx.Model, spreadings: map[string]*spreading{}, guesses: map[tenant.ID]*guesses{}, doors: map[string]*doors{}, lines: newLines(), resets: map[tenant.ID]map[string]*reset{}, takeouts: newTakeouts(), held: map[teller]struct{}{}}
}

// Name returns "fanout".
func (d *Detector) Name() string { return "fanout" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		for _, k := range actorKeys(e) {
			d.touched(d.spreads(overTenants, k, e.Partner, ""), e, string(e.Tenant), emit)
		}
		d.mailboxes(e, emit)
		d.logons(e, emit)
	}
	if e.Partner != "" {
		d.hosts(e, emit)
	}
	d.scripts(e, emit)
	d.reset(e, emit)
	d.takeout(e, emit)
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

// Advance tells what was held back, and forgets once an hour what can't matter any more.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	d.Conclude(emit)
	clear(d.held)
	if now.Sub(d.swept) < time.Hour {
		return
	}
	d.swept = now
	for k, s := range d.spreadings {
		if s.idle(now) {
			delete(d.spreadings, k)
		}
	}
	d.lines.age(now)
	d.forgetResets(now)
	d.forgetTakeouts(now)
	for k, x := range d.doors {
		if x.idle(now) {
			delete(d.doors, k)
		}
	}
	for _, g := range d.guesses {
		g.sweep(now)
	}
}

// Conclude tells what is held back.
func (d *Detector) Conclude(emit detect.Emit) {
	for t := range d.held {
		t.tell(d, emit)
	}
}

// Pending counts what was held back.
func (d *Detector) Pending() uint64 { return d.pending }

type snapshot struct {
	Spreadings map[string]*spreading
	Guesses    map[tenant.ID]*guesses
	Doors      map[string]*doors
	Lines      lines
	Resets     map[tenant.ID]map[string]*reset
	Takeouts   takeouts
	Swept      time.Time
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.spreadings, d.guesses, d.doors, d.lines, d.resets, d.takeouts, d.swept})
}

// Restore takes what Snapshot returned. What may have been held back is told again.
func (d *Detector) Restore(b []byte) error {
	s := snapshot{Spreadings: map[string]*spreading{}, Guesses: map[tenant.ID]*guesses{}, Doors: map[string]*doors{}, Lines: newLines(), Resets: map[tenant.ID]map[string]*reset{}, Takeouts: newTakeouts()}
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	d.spreadings, d.guesses, d.doors, d.lines, d.resets, d.takeouts, d.swept = s.Spreadings, s.Guesses, s.Doors, s.Lines, s.Resets, s.Takeouts, s.Swept
	for _, x := range d.spreadings {
		if x.Burst != nil {
			d.hold(x)
		}
	}
	for _, x := range d.doors {
		if x.count(); x.Finding != nil {
			d.hold(x)
		}
	}
	for _, g := range d.guesses {
		if g.count(); g.Spray != nil {
			d.hold(g)
		}
	}
	return nil
}
