package coverage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Silence is a pause of one sensor that is longer than its rhythm allows.
type Silence struct {
	Tenant    tenant.ID    `json:"tenant"`
	Layer     tenant.Layer `json:"layer"`
	Sensor    string       `json:"sensor"`
	Since     time.Time    `json:"since"`          // when its last event came
	Until     time.Time    `json:"until,omitzero"` // when it came back; zero while it is silent
	Usual     Seconds      `json:"usual"`          // the pause that was allowed
	WarmingUp bool         `json:"warming_up,omitempty"`
}

// Silences that have ended are shown for a day, at most so many of them.
const (
	endedFor = 24 * time.Hour
	endedMax = 1000
)

// Silent moves the clock to now and returns the silences that run, and those that ended within the last day, by
// their beginning. Call it regularly, at least once a minute: time that passes without a call isn't counted.
func (t *Table) Silent(now time.Time) []Silence {
	t.tick(now)
	t.ended = slices.DeleteFunc(t.ended, func(s Silence) bool { return now.Sub(s.Until) > endedFor })
	out := slices.Clone(t.ended)
	for i := range t.rows {
		if r := &t.rows[i]; r.silent {
			out = append(out, t.silence(r))
		}
	}
	slices.SortFunc(out, func(a, b Silence) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(string(a.Tenant), string(b.Tenant)),
			cmp.Compare(layerRank(a.Layer), layerRank(b.Layer)), strings.Compare(a.Sensor, b.Sensor), a.Until.Compare(b.Until))
	})
	return out
}

func (t *Table) silence(r *row) Silence {
	limit, _ := t.limit(r)
	return Silence{Tenant: r.tenant, Layer: r.layer, Sensor: r.sensor, Since: r.sign,
		Usual: Seconds(limit), WarmingUp: r.rhythm.heard < WarmUp}
}

// end notes that a silent sensor is back.
func (t *Table) end(r *row, received time.Time) {
	s := t.silence(r)
	s.Until = received.UTC()
	if s.Until.Before(s.Since) {
		s.Until = s.Since // the wall clock was put back meanwhile
	}
	if len(t.ended) >= endedMax {
		t.ended = slices.Delete(t.ended, 0, 1)
	}
	t.ended = append(t.ended, s)
	r.silent = false
}
