package campaign

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Evidence is everything that conclusions are drawn from.
type Evidence struct {
	Model     *tenant.Model
	Findings  []*ocsf.Finding // by time
	Graph     *hop.Graph
	Telemetry *Telemetry
}

// Draw draws the conclusions. It changes nothing it is given, and the same evidence gives the same result.
func Draw(in Evidence) *Result {
	in.Findings = slices.Clone(in.Findings)
	slices.SortFunc(in.Findings, func(a, b *ocsf.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(string(a.Tenant), string(b.Tenant)), strings.Compare(a.ID, b.ID))
	})
	r := &Result{Schema: SchemaVersion, Incidents: incidents(in.Findings), Coverage: in.Telemetry.Rows(in.Model), List: in.Findings,
		Campaigns: []Campaign{}, Unparsed: []Unparsed{}}
	if r.Incidents == nil {
		r.Incidents = []Incident{}
	}
	traceIncidents(in, r.Incidents)
	r.Findings = totals(in.Findings)
	var seen []map[cell]Outcome
	for _, g := range gather(in) {
		c := g.conclude(in)
		seen = append(seen, g.layers())
		c.attach(r.Incidents)
		r.Campaigns = append(r.Campaigns, *c)
	}
	slices.SortStableFunc(r.Campaigns, func(a, b Campaign) int { return a.began().Compare(b.began()) })
	r.Matrix = matrix(in, r.Campaigns, seen)
	return r
}

// began is the time by which campaigns are ordered: the foothold's, or what a trace request asks from.
func (c *Campaign) began() time.Time {
	if !c.FirstFoothold.Time.IsZero() {
		return c.FirstFoothold.Time
	}
	return c.FirstFoothold.From
}

func totals(findings []*ocsf.Finding) FindingTotals {
	t := FindingTotals{BySeverity: map[string]int{}}
	for s := ocsf.SeverityInformational; s <= ocsf.SeverityCritical; s++ {
		t.BySeverity[s.String()] = 0
	}
	for _, f := range findings {
		t.Total++
		if f.Suppressed != nil {
			t.Suppressed++
			continue
		}
		t.BySeverity[f.Severity.String()]++
	}
	return t
}

// attach names the campaign at the incidents that share findings with it, and the incidents at the campaign.
func (c *Campaign) attach(list []Incident) {
	mine := map[string]bool{}
	for _, t := range c.Tenants {
		for _, id := range t.Findings {
			mine[id] = true
		}
	}
	c.Incidents = []string{}
	for i := range list {
		if slices.ContainsFunc(list[i].Findings, func(id string) bool { return mine[id] }) {
			list[i].Campaign = c.ID
			c.Incidents = append(c.Incidents, list[i].ID)
		}
	}
}

// matrix says for each tenant and layer what happened there, over all campaigns: the worst that was seen in the
// layer, else the tenant's own outcome where nothing was seen, and blind where nothing could be.
func matrix(in Evidence, campaigns []Campaign, sessions []map[cell]Outcome) []MatrixRow {
	byID := map[string]*ocsf.Finding{}
	for _, f := range in.Findings {
		byID[f.ID] = f
	}
	outcomes := map[tenant.ID][]TenantOutcome{}
	for i := range campaigns {
		for _, t := range campaigns[i].Tenants {
			outcomes[t.Tenant] = append(outcomes[t.Tenant], t)
		}
	}
	var rows []MatrixRow
	for i := range in.Model.Tenants {
		id := in.Model.Tenants[i].ID
		for _, l := range tenant.Layers {
			row := MatrixRow{Tenant: id, Layer: l, Outcome: Clear, Events: in.Telemetry.Events(id, l)}
			for _, t := range outcomes[id] {
				row.add(t, byID)
			}
			for _, m := range sessions {
				if o, ok := m[cell{id, l}]; ok && rank(o) < rank(row.Outcome) {
					row.Outcome = o
				}
			}
			if row.Events == 0 && row.Findings == 0 {
				row.Outcome = Blind
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// layers tells what the intruder's sessions did, by tenant and layer.
func (g *group) layers() map[cell]Outcome {
	out := map[cell]Outcome{}
	for _, s := range g.tainted {
		if s.Out {
			continue
		}
		for l := range s.Layers {
			k := cell{s.Tenant, l}
			if _, ok := out[k]; !ok {
				out[k] = Attempted
			}
		}
		for _, a := range s.Acts {
			if a.Got {
				out[cell{s.Tenant, a.Layer}] = Succeeded
			}
		}
	}
	return out
}

func (row *MatrixRow) add(t TenantOutcome, byID map[string]*ocsf.Finding) {
	out := Clear
	if t.Outcome == Exposed || t.Outcome == Blind {
		out = Exposed
	}
	for _, fid := range t.Findings {
		f := byID[fid]
		if f == nil || f.Layer != row.Layer {
			continue
		}
		row.Findings++
		if f.Outcome == ocsf.OutcomeSucceeded {
			out = Succeeded
		} else if out != Succeeded {
			out = Attempted
		}
	}
	if rank(out) < rank(row.Outcome) {
		row.Outcome = out
	}
}

// rank orders outcomes, worst first.
func rank(o Outcome) int {
	return slices.Index([]Outcome{Succeeded, Attempted, Exposed, Blind, Clear}, o)
}
