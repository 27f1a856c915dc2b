package fanout

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// tenantsRule is one identity of a partner at many tenants.
var tenantsRule = rule{
	window: Window,
	ripe: func(s *spreading, n int) bool {
		return n >= MinTenants && n >= s.Habit.highest()+HabitMargin
	},
	begin: func(*spreading, *ocsf.Event) *ocsf.Finding {
		return &ocsf.Finding{Rule: "fanout/tenants", Title: "One partner identity at many tenants within minutes", Technique: "T1199"}
	},
	add: func(_ *Detector, f *ocsf.Finding, t *touch) {
		if t.Event.Src.IP.IsValid() {
			f.AddEntity(ocsf.EntityIP, t.Event.Src.IP.String(), ocsf.RoleSource)
		}
	},
	finish: func(s *spreading, f *ocsf.Finding) {
		b := s.Burst
		f.Severity, f.Confidence = ocsf.SeverityLow, 40
		if b.Learned && b.Most >= b.Highest+HabitMargin+2 {
			f.Severity, f.Confidence = ocsf.SeverityMedium, 60
		}
		f.AddEntity(s.Kind, s.Value, ocsf.RoleActor)
		f.Reason = fmt.Sprintf("%s %s reached %d tenants within %s; %s.", s.Kind, s.Value, b.Most, Window, b.habit())
	},
}

// habit says what the identity is used to.
func (b *burst) habit() string {
	if !b.Learned {
		return "it is too new to have a habit"
	}
	return fmt.Sprintf("its own highest so far is %d, and nine of ten of its days saw at most %d", b.Highest, b.Usual)
}
