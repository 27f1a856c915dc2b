package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BenchmarkPostureRound judges 60 tenants of 200 facts each by every control, as a round of serve does.
func BenchmarkPostureRound(b *testing.B) {
	s := openPostureSite(b)
	for i := range 60 {
		id := fmt.Sprintf("t%02d", i)
		s.conf.Model.Tenants = append(s.conf.Model.Tenants, tenant.Tenant{ID: tenant.ID(id), Name: id})
		var text strings.Builder
		for k := range 200 {
			text.WriteString(doorFact(fmt.Sprint("door ", k), k%7 > 0, june))
		}
		s.write(filepath.Join(s.folder, id, "doors.jsonl"), text.String())
	}
	s.after(time.Minute) // rules are loaded once
	for b.Loop() {
		s.after(6 * time.Hour)
	}
}

// BenchmarkPostureLook looks for changes among the same tenants and finds none, as serve does once a minute.
func BenchmarkPostureLook(b *testing.B) {
	s := openPostureSite(b)
	for i := range 60 {
		id := fmt.Sprintf("t%02d", i)
		s.conf.Model.Tenants = append(s.conf.Model.Tenants, tenant.Tenant{ID: tenant.ID(id), Name: id})
		for k := range 20 {
			s.write(filepath.Join(s.folder, id, fmt.Sprint(k, ".jsonl")), doorFact("front", true, june))
		}
	}
	s.after(time.Minute)
	for b.Loop() {
		s.looked = time.Time{}
		s.step(b.Context(), s.clock)
	}
}
