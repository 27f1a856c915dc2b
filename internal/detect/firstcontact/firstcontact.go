// Package firstcontact finds what a trust relationship has never done before, in one engine for every layer: an
// account, app, device, tool instance, network, program, resource, hour, host or service that is new, measured
// against the learned past of the trust, of the partner over all its tenants, and of the account or app itself.
// The score is rarity and not a fixed list: minus the binary logarithm of how likely the subject is to meet something new
// at all, so that a technician's twentieth new host is nothing and a monitoring account's first is something.
// Dimensions that bring one another (a new network and its country) are counted as one; only several independent
// ones, or an unusual rate of first contacts, come to more than low. Who is too young to judge is told as such.
//
// In: attributed sign-ins, cloud acts, VPN and remote-tool sessions, logons and established connections in event
// time. Out: findings, most of them low or informational: first contact alone is daily life, and becomes evidence
// beside others. Events without a partner cost a look at their kind; of the tenant's own people only the places of
// sign-ins, VPN and remote-tool sessions are learned.
package firstcontact

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

// Warm-up, thresholds and bounds.
const (
	WarmEvents   = 10                  // acts of an account or app before what is new to it means something
	WarmTime     = 24 * time.Hour      // and the time since its first
	YoungTrust   = 7 * 24 * time.Hour  // a trust this new meets everything for the first time by nature
	StrangeFor   = 24 * time.Hour      // how long a network is strange after its first use
	HitWindow    = time.Hour           // in which first contacts are counted
	HitList      = 5                   // hosts met for the first time within HitWindow, below which nothing is told
	HitBits      = 8.0                 // surprise of that many hosts, by the trust's own distribution
	ReachWindow  = 10 * time.Minute    // in which tenants are counted that an app enters from a strange network
	ReachTenants = 3                   // and how many of them are told
	GroupBits    = 3.5                 // surprise at which something is rare in one independent respect: one visit in eleven
	AppBits      = 5.0                 // surprise at which a program's new network is more than low: one visit in 32
	NoteBits     = 7.0                 // surprise at which one respect alone is noted: one visit in 128
	MediumBits   = 10.0                // of two respects together: one visit in a thousand
	HighBits     = 18.0                // of three respects together
	ForgetAfter  = 45 * 24 * time.Hour // a value unused this long is new again
	HabitAfter   = 180 * 24 * time.Hour
	MaxActors    = 32_768 // of one partner or tenant; beyond, those that are not warm go, the longest unused first
	MaxNetworks  = 4096   // of one account, partner or tenant
	MaxPairs     = 65_536 // hosts with a service that are remembered of one partner at one tenant
	MaxSources   = 256    // of one partner at one tenant that meet new hosts within a day
	MaxStories   = 1024   // findings that still grow
	storyFor     = 24 * time.Hour
)

// actor is an account, an app or an operator.
type actor struct {
	Begun  minute
	Last   minute
	Visits uint32 // acts, told in the warm-up
	Order  uint32 // of the house's actors, which came when
	Past   map[dimension]*past
	Hours  *hours // only of partners' actors
	Use    *reach // only of partners' programs
}

// house is a partner over all tenants that it enters, or a tenant with its own people.
type house struct {
	Begun  minute
	Last   minute
	Visits uint32
	Past   map[dimension]*past
	Hours  hours
	Actors map[uint64]*actor
	Came   uint32 // actors so far
}

// relationKey names a partner at one tenant.
type relationKey struct {
	Tenant  tenant.ID
	Partner tenant.PartnerID
}

// Detector implements detect.Detector.
type Detector struct {
	model     *tenant.Model
	trusts    map[tenant.TrustID]*tenant.Trust
	houses    map[string]*house
	relations map[relationKey]*relation
	stories   map[string]*story
	swept     time.Time // when what was forgotten was last thrown away
	held      map[*story]struct{}
	pending   uint64
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, trusts: map[tenant.TrustID]*tenant.Trust{}, houses: map[string]*house{}, relations: map[relationKey]*relation{},
		stories: map[string]*story{}, held: map[*story]struct{}{}}
	for i := range ctx.Model.Trusts {
		d.trusts[ctx.Model.Trusts[i].ID] = &ctx.Model.Trusts[i]
	}
	return d
}

// Name returns "firstcontact".
func (d *Detector) Name() string { return "firstcontact" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if a, ok := actOf(e); ok {
		d.act(&a, emit)
	}
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		if c, ok := met(e); ok {
			d.meet(&c, emit)
		}
	}
}

// Advance emits what was held back, and throws away once a day what is forgotten by then.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	d.Conclude(emit)
	for s := range d.held {
		s.Held = false
	}
	clear(d.held)
	if now.Sub(d.swept) < 24*time.Hour {
		return
	}
	d.swept = now
	at := minuteOf(now)
	maps.DeleteFunc(d.stories, func(_ string, s *story) bool { return now.Sub(s.Finding.Time) >= storyFor })
	for k, r := range d.relations {
		r.forget(now)
		if at.since(r.Last) > minutes(HabitAfter) {
			delete(d.relations, k)
		}
	}
	for k, h := range d.houses {
		if at.since(h.Last) > minutes(HabitAfter) {
			delete(d.houses, k)
			continue
		}
		forget(h.Past, at)
		for k, a := range h.Actors {
			if at.since(a.Last) > minutes(HabitAfter) {
				delete(h.Actors, k)
				continue
			}
			forget(a.Past, at)
			if a.Use != nil && a.Use.over(now) {
				a.Use = nil
			}
		}
	}
}

func forget(pasts map[dimension]*past, at minute) {
	for _, p := range pasts {
		p.forget(at)
	}
}

// Conclude emits the findings that grew since they were last emitted.
func (d *Detector) Conclude(emit detect.Emit) {
	for s := range d.held {
		s.tell(emit)
	}
}

// Pending counts what was held back.
func (d *Detector) Pending() uint64 { return d.pending }

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	var out []string
	if a, ok := actOf(e); ok {
		var told []string
		for i, v := range a.vals {
			if dim := dimension(i); v != 0 && dim != dimWho && dim != dimUse && dim != dimTenant {
				told = append(told, phrase[i]+" "+a.value(dim))
			}
		}
		out = append(out, fmt.Sprintf("%s: compared with its own past and that of the %s: %s (%s)", a.who, a.owner, strings.Join(told, ", "), d.warmth(&a)))
	}
	if c, ok := met(e); ok && e.Partner != "" {
		out = append(out, fmt.Sprintf("partner %s reaches %s: counted if nobody of it did before", e.Partner, c.way()))
	}
	if len(out) == 0 {
		out = append(out, "no session or cloud act that says who acts, and no partner that reached a host")
	}
	return out
}

// warmth tells how much is known of an act's subject.
func (d *Detector) warmth(a *act) string {
	now := minuteOf(a.event.Time)
	var x *actor
	if h := d.houses[a.owner]; h != nil {
		x = h.Actors[a.key]
	}
	if x == nil {
		return "never seen before"
	}
	return x.warmth(now)
}

// warm reports whether enough was seen for something new to mean something.
func (x *actor) warm(now minute) bool {
	return x.Visits >= WarmEvents && now.since(x.Begun) >= minutes(WarmTime)
}

// warmth tells how far the warm-up is.
func (x *actor) warmth(now minute) string {
	if x.warm(now) {
		return fmt.Sprintf("%d acts in %d days known", x.Visits, now.since(x.Begun)/1440)
	}
	return fmt.Sprintf("%d of %d acts and %d of %d hours seen: too young to judge", min(x.Visits, WarmEvents), WarmEvents,
		min(now.since(x.Begun), minutes(WarmTime))/60, int(WarmTime.Hours()))
}

// warm is the same of a house.
func (h *house) warm(now minute) bool {
	return h.Visits >= WarmEvents && now.since(h.Begun) >= minutes(WarmTime)
}

func (d *Detector) house(key string, now minute) *house {
	h := d.houses[key]
	if h == nil {
		h = &house{Begun: now, Past: map[dimension]*past{}, Actors: map[uint64]*actor{}}
		d.houses[key] = h
	}
	h.Last = max(h.Last, now)
	return h
}

// actor returns the house's actor. Who is warm is never driven out by a flood of others.
func (h *house) actor(key uint64, now minute, partner bool) *actor {
	x := h.Actors[key]
	if x == nil {
		detect.MakeRoom(h.Actors, MaxActors, func(x *actor) int64 {
			last := int64(x.Last)
			if x.Visits >= WarmEvents {
				last += int64(minutes(HabitAfter))
			}
			return last<<31 | int64(x.Order)
		})
		h.Came = (h.Came + 1) & (1<<31 - 1)
		x = &actor{Begun: now, Order: h.Came, Past: map[dimension]*past{}}
		if partner {
			x.Hours = &hours{}
		}
		h.Actors[key] = x
	}
	x.Last = max(x.Last, now)
	return x
}

func pastOf(m map[dimension]*past, d dimension) *past {
	p := m[d]
	if p == nil {
		p = &past{}
		m[d] = p
	}
	return p
}

// young reports whether the trust is so new that it meets everything for the first time by nature.
func (d *Detector) young(e *ocsf.Event) bool {
	t := d.trusts[e.Trust]
	return t != nil && !t.ValidFrom.IsZero() && e.Time.Sub(t.ValidFrom) < YoungTrust
}

type snapshot struct {
	Houses    map[string]*house
	Relations map[relationKey]*relation
	Stories   map[string]*story
	Swept     time.Time
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.houses, d.relations, d.stories, d.swept})
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	var s snapshot
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	damaged := func(what, id string) error {
		return fmt.Errorf("reading the state of firstcontact: %s %q is damaged: begin from an older checkpoint", what, id)
	}
	for id, h := range s.Houses {
		if h == nil || !whole(h.Past) {
			return damaged("house", id)
		}
		h.Past, h.Actors = some(h.Past), some(h.Actors)
		for _, a := range h.Actors {
			if a == nil || !whole(a.Past) {
				return damaged("an actor of", id)
			}
			a.Past = some(a.Past)
		}
	}
	for id, r := range s.Relations {
		if r == nil || !r.restored() {
			return damaged("trust of", string(id.Partner))
		}
	}
	d.houses, d.relations, d.stories, d.swept = some(s.Houses), some(s.Relations), some(s.Stories), s.Swept
	clear(d.held)
	for _, id := range slices.Sorted(maps.Keys(d.stories)) {
		x := d.stories[id]
		if x == nil || x.Finding == nil {
			return damaged("finding", id)
		}
		if x.Held {
			d.held[x] = struct{}{}
			d.pending++
		}
	}
	return nil
}

func whole(m map[dimension]*past) bool {
	for d, p := range m {
		if d >= nDims || p == nil {
			return false
		}
	}
	return true
}

// some returns the map, or an empty one where gob left none.
func some[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}
