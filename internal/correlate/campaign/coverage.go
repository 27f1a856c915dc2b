package campaign

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
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

// savedSpan is a cell as a snapshot holds it.
type savedSpan struct {
	Tenant   tenant.ID
	Layer    tenant.Layer
	From, To time.Time
	Events   int64
	Days     map[int64]bool
}

// Snapshot returns the whole count.
func (t *Telemetry) Snapshot() ([]byte, error) {
	out := make([]savedSpan, 0, len(t.cells))
	for k, s := range t.cells {
		out = append(out, savedSpan{k.tenant, k.layer, s.from, s.to, s.events, s.days})
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(out); err != nil {
		return nil, fmt.Errorf("writing the count of telemetry: %w", err)
	}
	return b.Bytes(), nil
}

// Restore takes what Snapshot returned.
func (t *Telemetry) Restore(b []byte) error {
	var in []savedSpan
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&in); err != nil {
		return fmt.Errorf("reading the count of telemetry: %w", err)
	}
	t.cells = make(map[cell]*span, len(in))
	for _, s := range in {
		if s.Days == nil {
			s.Days = map[int64]bool{}
		}
		t.cells[cell{s.Tenant, s.Layer}] = &span{s.From, s.To, s.Events, s.Days}
	}
	return nil
}

// Forget drops the days before the time, so that Sees takes them for silent. What was counted stays counted.
func (t *Telemetry) Forget(before time.Time) {
	first := before.Unix() / 86400
	for _, s := range t.cells {
		maps.DeleteFunc(s.days, func(day int64, _ bool) bool { return day < first })
	}
}
