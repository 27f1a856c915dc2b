package campaign

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Telemetry counts which layers of which tenant sent events, and on which days, so that silence can be told from
// calm. The zero value is not usable; see NewTelemetry.
type Telemetry struct {
	cells map[cell]*span
}

type cell struct {
	tenant tenant.ID
	layer  tenant.Layer
}

type span struct {
	from, to time.Time
	events   int64
	days     map[int64]bool
}

// NewTelemetry returns a count of nothing.
func NewTelemetry() *Telemetry { return &Telemetry{cells: map[cell]*span{}} }

// Add counts one event.
func (t *Telemetry) Add(e *ocsf.Event) {
	k := cell{e.Tenant, e.Layer}
	s := t.cells[k]
	if s == nil {
		s = &span{from: e.Time, to: e.Time, days: map[int64]bool{}}
		t.cells[k] = s
	}
	s.events++
	if e.Time.Before(s.from) {
		s.from = e.Time
	}
	if e.Time.After(s.to) {
		s.to = e.Time
	}
	s.days[e.Time.Unix()/86400] = true
}

// Rows returns a row for every tenant of the model and every layer.
func (t *Telemetry) Rows(m *tenant.Model) []Coverage {
	rows := make([]Coverage, 0, len(m.Tenants)*len(tenant.Layers))
	for i := range m.Tenants {
		for _, l := range tenant.Layers {
			r := Coverage{Tenant: m.Tenants[i].ID, Layer: l}
			if s := t.cells[cell{r.Tenant, l}]; s != nil {
				r.From, r.To, r.Events = s.from.UTC(), s.to.UTC(), s.events
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// Events returns how many events the tenant's layer sent; 0 means silent.
func (t *Telemetry) Events(id tenant.ID, l tenant.Layer) int64 {
	if s := t.cells[cell{id, l}]; s != nil {
		return s.events
	}
	return 0
}

// Sees reports whether one of the layers sent events around the span from–to: on at least a third of its days,
// where weekends make quiet layers silent.
func (t *Telemetry) Sees(id tenant.ID, from, to time.Time, layers ...tenant.Layer) bool {
	first, last := from.Unix()/86400, to.Unix()/86400
	for _, l := range layers {
		s := t.cells[cell{id, l}]
		if s == nil {
			continue
		}
		var with int64
		for d := first; d <= last; d++ {
			if s.days[d] {
				with++
			}
		}
		if with*3 >= last-first+1 || (with > 0 && last-first <= 2) {
			return true
		}
	}
	return false
}
