package app

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/coverage"
	"github.com/breakwater-project/breakwater/internal/intake/attribute"
	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// core is everything that the live pipeline knows after the messages up to seq: what a checkpoint holds, and what a
// rebuild makes anew. One goroutine owns it.
//
//	message ─ decode ─ known before? ─ counts, lateness ─ window (settles) ─ in event time: attribute ─ detect ─ …
//	                                                  └ late: what keeps no order
//
// Events that leave the window behind others of their tenant, and records of sessions that change who an address
// belonged to, make a debt: the answer is no longer certain to be that of a scan, and a rebuild from an earlier
// checkpoint, in full order, pays it.
type core struct {
	*stages
	coverage *coverage.Table
	seen     *order.Seen
	window   order.Window
	seq      uint64
	records  int64 // of all messages so far
	events   int64 // taken, repeats not counted
	repeats  int64
	from, to time.Time               // event times, for the answer's head
	clock    map[tenant.ID]time.Time // latest event time taken, of clocks that can be right
	leads    map[string]bool         // by sensor, whether its last event was ahead of our own clock
	leading  int                     // how many were
	active   map[lookup]time.Time    // last event of an address whose holder was asked for
	debt     debt
	failed   func(*ocsf.Event, any) // told of a bug that an event has shown
	observe  func(*ocsf.Event)      // told of each event that was taken; nil where nobody asks
	silences []coverage.Silence
	held     *heldGraph // the newest copy of the graph that somebody asked over; nil where there is none
}

// lookup is an address of a tenant.
type lookup struct {
	tenant tenant.ID
	addr   netip.Addr
}

// maxActive bounds the addresses that are remembered for the sake of sessions that are told of late.
const maxActive = 100_000

// skew is how far ahead of our own clock an event may be and still move its tenant's.
const skew = 2 * time.Minute

// maxLeads bounds the sensors whose clocks are compared with ours.
const maxLeads = 10_000

// debt is how far the order in which events were taken strayed from event time.
type debt struct {
	Since  time.Time // the earliest moment whose conclusions may differ
	Events int64
}

func (d *debt) add(t time.Time) {
	if d.Events == 0 || t.Before(d.Since) {
		d.Since = t
	}
	d.Events++
}

func newCore(s *Setup, key [16]byte) (*core, error) {
	st, err := newStages(s)
	if err != nil {
		return nil, err
	}
	return &core{stages: st, coverage: coverage.NewTable(coverage.Options{Window: s.late}), seen: order.NewSeen(key, 0),
		clock: map[tenant.ID]time.Time{}, leads: map[string]bool{}, active: map[lookup]time.Time{}, failed: s.failed}, nil
}

// accept takes a delivery at a moment of the pipeline's monotonic clock.
func (c *core) accept(d *delivery, now time.Duration) {
	c.seq = d.seq
	c.records += int64(d.records)
	for i, e := range d.events {
		if !c.seen.First(e, order.PlaceOf(d.seq, i)) {
			c.repeats++
			continue
		}
		c.events++
		late := c.coverage.Event(e.Tenant, e.Layer, d.sender[i].sensor, d.sender[i].authenticated, e.Time, e.Seen)
		c.attributor.Learn(e)
		if late {
			c.span(e)
			c.debt.add(e.Time)
			c.guardedLate(e)
			continue
		}
		c.window.Add(e, now)
	}
	for _, b := range d.bad {
		c.coverage.Unparsed(b.tenant, b.sensor, 1)
	}
}

// release takes what has settled, in event time.
func (c *core) release(settled time.Duration) int {
	list := c.window.Release(settled)
	if len(list) == 0 {
		return 0
	}
	c.refresh()
	for _, e := range list {
		c.guarded(e)
	}
	return len(list)
}

// guarded takes an event, and goes on without it where that fails: whoever finds a way to stop a detector must not
// stop the watch.
func (c *core) guarded(e *ocsf.Event) {
	defer func() {
		if p := recover(); p != nil {
			c.failed(e, p)
		}
	}()
	c.takeNow(e)
}

// refresh makes what was learned of sessions known, and notes whose past it changes.
func (c *core) refresh() {
	for _, x := range c.sessions.Refresh() {
		if last, ok := c.active[lookup{x.Tenant, x.Addr.Unmap()}]; ok && !last.Before(x.From) {
			c.debt.add(x.From)
		}
	}
}

func (c *core) takeNow(e *ocsf.Event) {
	if e.Src.IP.IsValid() {
		c.remember(e)
	}
	if c.impossiblyEarly(e) {
		c.attributor.Attribute(e)
		c.telemetry.Add(e)
		c.graph.Add(e)
		c.engine.Feed(e)
		return
	}
	if c.observe != nil {
		defer c.observe(e) // once it is attributed
	}
	c.span(e)
	if e.Time.Before(c.clock[e.Tenant]) {
		c.debt.add(e.Time)
	} else {
		c.clock[e.Tenant] = e.Time
	}
	c.take(e)
}

// impossiblyEarly reports whether an event's time is ahead of ours while others' are not: its sensor's clock is wrong.
// Where most sensors are ahead, it is our own clock that is.
func (c *core) impossiblyEarly(e *ocsf.Event) bool {
	if e.Seen.IsZero() {
		return false
	}
	ahead := e.Time.After(e.Seen.Add(skew))
	c.lead(e.Sensor, ahead)
	return ahead && (c.leading < 2 || 2*c.leading <= len(c.leads))
}

func (c *core) lead(sensor string, ahead bool) {
	was, known := c.leads[sensor]
	if !known && len(c.leads) >= maxLeads {
		return
	}
	c.leads[sensor] = ahead
	switch {
	case ahead && !was:
		c.leading++
	case was && !ahead:
		c.leading--
	}
}

func (c *core) guardedLate(e *ocsf.Event) {
	defer func() {
		if p := recover(); p != nil {
			c.failed(e, p)
		}
	}()
	c.takeLate(e)
	if c.observe != nil {
		c.observe(e)
	}
}

func (c *core) remember(e *ocsf.Event) {
	k := lookup{e.Tenant, e.Src.IP.Unmap()}
	if _, ok := c.active[k]; !ok && len(c.active) >= maxActive {
		horizon := e.Time.Add(-2 * attribute.Around)
		for k, t := range c.active {
			if t.Before(horizon) {
				delete(c.active, k)
			}
		}
		if len(c.active) >= maxActive {
			clear(c.active)
		}
	}
	if t := c.active[k]; e.Time.After(t) {
		c.active[k] = e.Time
	}
}

func (c *core) span(e *ocsf.Event) {
	if c.from.IsZero() || e.Time.Before(c.from) {
		c.from = e.Time
	}
	if e.Time.After(c.to) {
		c.to = e.Time
	}
}

// taking is how many events the graph rests on.
func (c *core) taking() int64 { return c.events - int64(c.window.Len()) }

// taken is the latest event time that was taken, of clocks that can be right.
func (c *core) taken() (latest time.Time) {
	for _, t := range c.clock {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// draw concludes as if the input ended now.
func (c *core) draw() (*campaign.Result, []coverage.Row) {
	rows := c.coverage.Rows(tenant.ScopeAll())
	findings := c.engine.Current()
	if len(c.silences) > 0 {
		findings = slices.Concat(findings, coverage.Findings(c.silences), coverage.Together(rows, c.silences, c.setup.Model))
	}
	r := campaign.Draw(campaign.Evidence{Model: c.setup.Model, Findings: findings, Graph: c.graph, Telemetry: c.telemetry})
	blind(r.Matrix, rows)
	for _, row := range rows {
		if row.Unparsed > 0 {
			r.Unparsed = append(r.Unparsed, campaign.Unparsed{File: row.Sensor, Reason: "could not be read; see breakwater deadletter list", Count: row.Unparsed})
		}
	}
	r.Input = campaign.Input{Events: c.events, From: c.from, To: c.to, Snapshot: c.setup.Model.Version}
	r.Notes = c.notes()
	return r, rows
}

// blind shows a tenant's layer as blind where nothing was found and all its sensors are silent now.
func blind(matrix []campaign.MatrixRow, rows []coverage.Row) {
	type cell struct {
		tenant tenant.ID
		layer  tenant.Layer
	}
	speaks, silent := map[cell]bool{}, map[cell]bool{}
	for _, row := range rows {
		k := cell{row.Tenant, row.Layer}
		if row.SilentSince.IsZero() {
			speaks[k] = true
		} else {
			silent[k] = true
		}
	}
	for i := range matrix {
		if k := (cell{matrix[i].Tenant, matrix[i].Layer}); matrix[i].Outcome == campaign.Clear && silent[k] && !speaks[k] {
			matrix[i].Outcome = campaign.Blind
		}
	}
}

// notes tells what the reader of the answer should know of it.
func (c *core) notes() []string {
	var out []string
	if c.setup.Config == nil {
		out = append(out, "No configuration was applied, so nothing could be attributed to a partner: write one with `breakwater config init`, name your partners and their accesses, and apply it.")
	} else {
		for _, w := range c.setup.Config.Warnings() {
			out = append(out, w.String())
		}
	}
	if n := len(c.setup.RuleErrors); n > 0 {
		out = append(out, fmt.Sprintf("%d rules were not loaded; `breakwater rule check` lists them.", n))
	}
	out = append(out, c.ruleNotes()...)
	if c.graph.Left > 0 {
		out = append(out, fmt.Sprintf("%d events belonged to sessions beyond the limit of the hop graph and were left out of traces.", c.graph.Left))
	}
	return out
}

// settle takes everything that waits, as at the end of a rebuild.
func (c *core) settle() {
	list := c.window.Drain()
	slices.SortFunc(list, order.Compare)
	c.refresh()
	for _, e := range list {
		c.guarded(e)
	}
}
