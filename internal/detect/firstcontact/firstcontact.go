// Package firstcontact finds what a trust relationship has never done before: an account from a new place, an
// app's key from a new address, a source that meets many new hosts within an hour. The score is rarity against
// the partner's own learned past, over all its tenants, and not a fixed list; a warm-up is told in the reason.
//
// In: attributed sign-ins, VPN and remote-tool sessions, logons and established connections in event time.
// Out: findings, most of them low: first contact alone is daily life, and becomes evidence beside others.
package firstcontact

import (
	"fmt"
	"maps"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Warm-up, thresholds and bounds.
const (
	WarmEvents  = 10                   // sessions of an account or app before its places mean something
	WarmTime    = 24 * time.Hour       // and the time since its first
	YoungTrust  = 7 * 24 * time.Hour   // a trust this new meets hosts for the first time by nature
	HitList     = 8                    // hosts met for the first time by one source within HitWindow
	HitWindow   = time.Hour            //
	ForgetAfter = 45 * 24 * time.Hour  // a place unused this long is new again
	HabitAfter  = 180 * 24 * time.Hour // who was unseen this long has no habit any more
	MaxKeys     = 500_000              // of each kind; beyond, those unused longest go
	MaxPlaces   = 4096                 // of one account or partner
	maxNew      = 256                  // first contacts of one source within HitWindow
)

// habit is the places that one account, app or partner was seen at.
type habit struct {
	First  time.Time
	Count  int
	Places map[string]time.Time // place → last seen
	Last   int64                // when it was last seen
	Tidied int64                // when places unused for long were last thrown away for want of room
}

// Detector implements detect.Detector.
type Detector struct {
	model    *tenant.Model
	accounts map[string]*habit
	partners map[string]*habit
	pairs    map[string]time.Time
	sources  map[string]*meeting
	swept    time.Time             // when what was forgotten was last thrown away
	held     map[*meeting]struct{} // those whose finding grew since it was last emitted
	pending  uint64
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	return &Detector{model: ctx.Model, accounts: map[string]*habit{}, partners: map[string]*habit{}, pairs: map[string]time.Time{}, sources: map[string]*meeting{}, held: map[*meeting]struct{}{}}
}

// Name returns "firstcontact".
func (d *Detector) Name() string { return "firstcontact" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if who, place, ok := session(e); ok {
		d.place(e, who, place, emit)
	}
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		if c, ok := met(e); ok {
			d.meet(c, emit)
		}
	}
}

// Advance emits what was held back, and throws away once a day what is forgotten by then: no later event can tell
// whether it was kept.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	d.Conclude(emit)
	for m := range d.held {
		m.Held = false
	}
	clear(d.held)
	if now.Sub(d.swept) < 24*time.Hour {
		return
	}
	d.swept = now
	for k, last := range d.pairs {
		if now.Sub(last) >= ForgetAfter {
			delete(d.pairs, k)
		}
	}
	for k, m := range d.sources {
		if now.Sub(m.New[len(m.New)-1].Event.Time) > 24*time.Hour+HitWindow {
			delete(d.sources, k)
		}
	}
	for _, habits := range [...]map[string]*habit{d.accounts, d.partners} {
		for k, h := range habits {
			if now.Unix()-h.Last > int64(HabitAfter/time.Second) {
				delete(habits, k)
				continue
			}
			maps.DeleteFunc(h.Places, func(_ string, last time.Time) bool { return now.Sub(last) >= ForgetAfter })
		}
	}
}

// Conclude emits the findings of the day that grew since they were last emitted.
func (d *Detector) Conclude(emit detect.Emit) {
	for m := range d.held {
		m.tell(emit)
	}
}

// Pending counts what was held back.
func (d *Detector) Pending() uint64 { return d.pending }

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	if who, from, ok := session(e); ok {
		return []string{fmt.Sprintf("%s comes from %s: compared with the places of its own past (%d sessions and %s are the warm-up)", who, network(from), WarmEvents, WarmTime)}
	}
	if c, ok := met(e); ok && e.Partner != "" {
		return []string{fmt.Sprintf("partner %s reaches %s: counted if nobody of it did before", e.Partner, c.way)}
	}
	return []string{"no session with a known origin, and no partner that reached a host"}
}

type snapshot struct {
	Accounts, Partners map[string]*habit
	Pairs              map[string]time.Time
	Sources            map[string]*meeting
	Swept              time.Time
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.accounts, d.partners, d.pairs, d.sources, d.swept})
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := snapshot{map[string]*habit{}, map[string]*habit{}, map[string]time.Time{}, map[string]*meeting{}, time.Time{}}
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	for id, m := range s.Sources {
		if m == nil || len(m.New) == 0 || m.Held && m.Finding == nil {
			return fmt.Errorf("reading the state of firstcontact: source %q met nobody", id)
		}
		if m.count(); m.Held {
			d.held[m] = struct{}{}
			d.pending++
		}
	}
	d.accounts, d.partners, d.pairs, d.sources, d.swept = s.Accounts, s.Partners, s.Pairs, s.Sources, s.Swept
	for _, habits := range [...]map[string]*habit{d.accounts, d.partners} {
		for _, h := range habits {
			if h.Places == nil {
				h.Places = map[string]time.Time{}
			}
		}
	}
	return nil
}
