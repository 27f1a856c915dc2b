package posture

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Checker judges one tenant. It keeps nothing between checks and serves several goroutines.
type Checker struct {
	library *Library
	policy  *Policy // nil: no settings of its own, no exceptions
	tenant  tenant.Tenant
}

// For returns the checker of one tenant; a nil policy says nothing.
func (l *Library) For(t tenant.Tenant, p *Policy) *Checker { return &Checker{l, p, t} }

// Report is what all controls come to for one tenant.
type Report struct {
	Tenant  tenant.Tenant
	At      time.Time
	Results []*Result // by pillar, worst first, then by severity, highest first
}

// Check holds a tenant's facts, and what is drawn from them, against every control, as of now. The items are not changed. A fact of another tenant
// is an error and nothing is judged: whoever called has mixed up whose it is.
func (c *Checker) Check(ctx context.Context, items []evidence.Item, now time.Time) (*Report, error) {
	read := map[string]bool{}
	for _, ctl := range c.library.order {
		for _, k := range ctl.Reads {
			read[k] = true
		}
	}
	kinds := map[string][]*evidence.Item{}
	for i := range items {
		it := &items[i]
		if it.Tenant != c.tenant.ID {
			return nil, fmt.Errorf("judging the posture of %s: a fact of another tenant is among the evidence", c.tenant.ID)
		}
		if read[it.Kind] { // a roster of a million, which only sums are drawn from, need not be put in order
			kinds[it.Kind] = append(kinds[it.Kind], it)
		}
	}
	sums := drawn(c.tenant.ID, items, now)
	for i := range sums {
		kinds[sums[i].Kind] = append(kinds[sums[i].Kind], &sums[i])
	}
	for _, list := range kinds {
		inOrder(list)
	}
	rep := &Report{Tenant: c.tenant, At: now.UTC()}
	for _, ctl := range c.library.order {
		var mine []*evidence.Item
		for _, k := range slices.Compact(slices.Sorted(slices.Values(ctl.Reads))) {
			mine = append(mine, kinds[k]...)
		}
		r, err := ctl.judge(ctx, c.tenant, c.policy.settings(ctl, c.tenant.ID), c.policy.exceptions(ctl.ID, c.tenant.ID), mine, now)
		if err != nil {
			return nil, fmt.Errorf("judging the posture of %s: %w", c.tenant.ID, err)
		}
		rep.Results = append(rep.Results, r)
	}
	slices.SortStableFunc(rep.Results, func(a, b *Result) int {
		for _, x := range [...]int{
			slices.Index(evidence.Pillars, a.Control.Pillar) - slices.Index(evidence.Pillars, b.Control.Pillar),
			a.Status.rank() - b.Status.rank(), int(b.Control.Severity) - int(a.Control.Severity),
		} {
			if x != 0 {
				return x
			}
		}
		return 0
	})
	return rep, nil
}

// Pillar is one pillar of a report.
type Pillar struct {
	Pillar evidence.Pillar
	Status Status // the worst of its controls
	Counts map[Status]int
}

// Pillars sums a report up by pillar, in the order in which they are shown. A pillar without controls is unknown.
func (r *Report) Pillars() []Pillar {
	out := make([]Pillar, len(evidence.Pillars))
	for i, p := range evidence.Pillars {
		out[i] = Pillar{Pillar: p, Counts: map[Status]int{}}
		for _, x := range r.Results {
			if x.Control.Pillar == p {
				out[i].Counts[x.Status]++
				out[i].Status = worse(out[i].Status, x.Status)
			}
		}
		if out[i].Status == "" {
			out[i].Status = Unknown
		}
	}
	return out
}
