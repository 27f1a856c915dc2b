// Package coverage knows which sensors of which tenant send, and which have fallen silent. It takes every event's
// time and receive time, and gives exact counts for each (tenant, layer, sensor), says which events are late, and
// notices silence: each sensor's against its own rhythm, and that of several tenants through one partner.
//
// Silence is measured on a clock of the Table's own, which moves only as far as regular ticks carry it. A step of the
// wall clock, a sleeping machine or a restart therefore makes nobody silent, and a backlog that arrives in one burst
// teaches no rhythm. What it doesn't know is told: a sensor heard for less than a week is marked as warming up.
//
// A Table belongs to one goroutine; others read a Clone. The same calls in the same order give the same Table. A
// snapshot that is torn or altered is refused by Restore, and the Table is left as it was.
package coverage

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Row is what one sensor sent of one layer of one tenant.
type Row struct {
	Tenant        tenant.ID    `json:"tenant"`
	Layer         tenant.Layer `json:"layer"` // empty where nothing of the sensor could be read yet
	Sensor        string       `json:"sensor"`
	Authenticated bool         `json:"authenticated"` // every one of its events came from a sender that proved who it is
	Events        int64        `json:"events"`
	First         time.Time    `json:"first,omitzero"` // event time
	Last          time.Time    `json:"last,omitzero"`  // event time
	Late          int64        `json:"late"`
	Unparsed      int64        `json:"unparsed"`               // of the sensor, at the first of its rows
	Received      time.Time    `json:"received,omitzero"`      // when the last event came
	SilentSince   time.Time    `json:"silent_since,omitzero"`  // when the last event came, where it is silent now
	WarmingUp     bool         `json:"warming_up,omitempty"`   // heard for less than WarmUp: its rhythm isn't known yet
	SilentAfter   Seconds      `json:"silent_after,omitempty"` // how long it may pause at this hour; 0 while nothing is known
}

// Seconds is a duration that JSON writes in whole seconds.
type Seconds time.Duration

// MarshalJSON writes whole seconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(int64(time.Duration(s) / time.Second))
}

// UnmarshalJSON reads whole seconds.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	*s = Seconds(time.Duration(n) * time.Second)
	return nil
}

// Options set what counts as late and as silent; a zero field takes the default.
type Options struct {
	Window time.Duration // an event further than this behind its sensor's latest is late; 2 min
	Floor  time.Duration // no pause below this is silence; 5 min
	Cap    time.Duration // every pause beyond this is silence; 8 days
}

// farAhead is how far an event's time may lie beyond its receive time and still move the sensor's clock: beyond it,
// the sender's clock is wrong, and believing it would make everything that follows late.
const farAhead = 24 * time.Hour

// Table counts. The zero value is not usable; see NewTable.
type Table struct {
	opt     Options
	rows    []row
	at      map[place]int // into rows
	sensors map[source]int
	sources []sourceState
	shared  bool // the maps are a clone's too

	clock  time.Duration // what ticks have carried it to
	ticked time.Time     // wall time of the last tick
	ended  []Silence     // the last ones, oldest first
}

type place struct {
	tenant tenant.ID
	layer  tenant.Layer
	sensor string
}

// source is a sensor as far as it speaks for one tenant: what a tenant's machines say of the time is no other's.
type source struct {
	tenant tenant.ID
	sensor string
}

type sourceState struct {
	latest   time.Time // by which lateness is judged
	unparsed int64
	first    int // the row that shows unparsed
}

type row struct {
	place
	unproven      bool
	events, late  int64
	first, last   time.Time
	received      time.Time
	sign          time.Time // when the last event came that wasn't backlog
	rhythm        rhythm
	silent, alive bool // alive: sign is set
}

// NewTable returns a count of nothing.
func NewTable(opt Options) *Table {
	opt.Window = cmp.Or(opt.Window, 2*time.Minute)
	opt.Floor = cmp.Or(opt.Floor, 5*time.Minute)
	opt.Cap = max(cmp.Or(opt.Cap, 8*24*time.Hour), opt.Floor)
	return &Table{opt: opt, at: map[place]int{}, sensors: map[source]int{}}
}

// Event counts one event and reports whether it is late: further behind the latest event of its sensor, in that
// tenant, than the window allows. It depends on the order of arrival alone.
func (t *Table) Event(id tenant.ID, layer tenant.Layer, sensor string, authenticated bool, at, received time.Time) (late bool) {
	r, s := t.row(place{id, layer, sensor})
	r.events++
	r.unproven = r.unproven || !authenticated
	if r.first.IsZero() || at.Before(r.first) {
		r.first = at.UTC()
	}
	if at.After(r.last) {
		r.last = at.UTC()
	}
	if at.Before(s.latest.Add(-t.opt.Window)) {
		late = true
		r.late++
	}
	if at.After(s.latest) && (received.IsZero() || !at.After(received.Add(farAhead))) {
		s.latest = at
	}
	t.heard(r, at, received)
	return late
}

// Late counts n events that others found late: of the reorder window, say. Event counts those that it reports.
func (t *Table) Late(id tenant.ID, layer tenant.Layer, sensor string, n int64) {
	r, _ := t.row(place{id, layer, sensor})
	r.late += max(n, 0)
}

// Unparsed counts n records that could not be read. The tenant is empty where a map didn't name one.
func (t *Table) Unparsed(id tenant.ID, sensor string, n int64) {
	i, ok := t.sensors[source{id, sensor}]
	if !ok {
		t.row(place{id, "", sensor})
		i = t.sensors[source{id, sensor}]
	}
	t.sources[i].unparsed += max(n, 0)
}

// row returns the row of a place and the state of its source, both made where they are new.
func (t *Table) row(p place) (*row, *sourceState) {
	if i, ok := t.at[p]; ok {
		return &t.rows[i], &t.sources[t.sensors[source{p.tenant, p.sensor}]]
	}
	if t.shared {
		t.at, t.sensors, t.shared = maps.Clone(t.at), maps.Clone(t.sensors), false
	}
	from := source{p.tenant, p.sensor}
	j, known := t.sensors[from]
	if !known {
		j = len(t.sources)
		t.sensors[from] = j
		t.sources = append(t.sources, sourceState{first: len(t.rows)})
	} else if i := t.sources[j].first; t.rows[i].layer == "" {
		// The row that held only what couldn't be read becomes the first that could.
		delete(t.at, t.rows[i].place)
		t.rows[i].place = p
		t.at[p] = i
		return &t.rows[i], &t.sources[j]
	}
	t.at[p] = len(t.rows)
	t.rows = append(t.rows, row{place: p})
	return &t.rows[len(t.rows)-1], &t.sources[j]
}

// Rows returns what the scope may see, by tenant, layer and sensor. Rows of no tenant are for a scope of all.
func (t *Table) Rows(scope tenant.Scope) []Row {
	out := []Row{}
	for i := range t.rows {
		r := &t.rows[i]
		if !scope.Sees(r.tenant) {
			continue
		}
		x := Row{
			Tenant: r.tenant, Layer: r.layer, Sensor: r.sensor, Authenticated: r.events > 0 && !r.unproven, Events: r.events,
			First: r.first, Last: r.last, Late: r.late, Received: r.received,
			WarmingUp: r.alive && r.rhythm.heard < WarmUp,
		}
		if s := &t.sources[t.sensors[source{r.tenant, r.sensor}]]; s.first == i {
			x.Unparsed = s.unparsed
		}
		if r.silent {
			x.SilentSince = r.sign
		}
		if limit, ok := t.limit(r); ok {
			x.SilentAfter = Seconds(limit.Truncate(time.Second))
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(strings.Compare(string(a.Tenant), string(b.Tenant)), cmp.Compare(layerRank(a.Layer), layerRank(b.Layer)),
			strings.Compare(string(a.Layer), string(b.Layer)), strings.Compare(a.Sensor, b.Sensor))
	})
	return out
}

func layerRank(l tenant.Layer) int {
	if i := slices.Index(tenant.Layers, l); i >= 0 {
		return i
	}
	return len(tenant.Layers)
}

// Clone returns a copy that another goroutine may read. It costs a copy of the rows, about 300 bytes each.
func (t *Table) Clone() *Table {
	c := *t
	c.rows, c.sources, c.ended = slices.Clone(t.rows), slices.Clone(t.sources), slices.Clone(t.ended)
	t.shared, c.shared = true, true
	return &c
}
