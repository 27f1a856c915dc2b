package posture

import (
	"context"
	"fmt"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Tested is what one example of a control came to.
type Tested struct {
	Control string `json:"control"`
	Example string `json:"example"`
	Want    Status `json:"want"`
	Got     Status `json:"got"`
	Reason  string `json:"-"`
	File    string `json:"-"`
	Line    int    `json:"-"`
}

// Passed reports whether the example came to what it must.
func (t Tested) Passed() bool { return t.Want == t.Got }

// Test runs every example of every control, in their order.
func (l *Library) Test(ctx context.Context) ([]Tested, error) {
	var out []Tested
	for _, c := range l.order {
		for _, e := range c.Examples {
			items := make([]*evidence.Item, len(e.Evidence))
			for i := range e.Evidence {
				items[i] = &e.Evidence[i]
			}
			who := tenant.Tenant{ID: exampleTenant, Name: "Example", Role: tenant.RoleProvider}
			r, err := c.judge(ctx, who, e.Settings, e.Exceptions, items, e.Now)
			if err != nil {
				return nil, fmt.Errorf("running the example %q of %s: %w", e.Name, c.ID, err)
			}
			out = append(out, Tested{c.ID, e.Name, e.Want, r.Status, r.Reason, c.File, e.Line})
		}
	}
	return out, nil
}
