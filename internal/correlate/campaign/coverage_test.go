package campaign

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestTelemetryGoesOnFromItsSnapshotAndForgetsDays(t *testing.T) {
	start := time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC)
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "a"}, {ID: "b"}}}
	whole, parts := NewTelemetry(), NewTelemetry()
	for day := range 40 {
		e := &ocsf.Event{Tenant: "a", Layer: tenant.LayerMail, Time: start.AddDate(0, 0, day)}
		if day%3 == 0 {
			e.Tenant, e.Layer = "b", tenant.LayerCloud
		}
		whole.Add(e)
		parts.Add(e)
		b, err := parts.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		parts = NewTelemetry()
		if err := parts.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(whole.Rows(m), parts.Rows(m)); d != "" {
		t.Error(d)
	}
	sees := func(from, to int) bool {
		return parts.Sees("a", start.AddDate(0, 0, from), start.AddDate(0, 0, to), tenant.LayerMail)
	}
	if !sees(1, 5) || !sees(30, 38) {
		t.Error("days that were heard are silent")
	}
	parts.Forget(start.AddDate(0, 0, 20))
	if sees(1, 5) || !sees(30, 38) {
		t.Error("not the days before the 20th were forgotten")
	}
	if d := cmp.Diff(whole.Rows(m), parts.Rows(m)); d != "" {
		t.Errorf("the count changed: %s", d)
	}
	if err := NewTelemetry().Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense was taken for a count")
	}
}
