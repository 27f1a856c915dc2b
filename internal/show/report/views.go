package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// The bounds of what the page shows of one campaign and one finding.
const (
	mostMoments  = 400
	mostApproved = 1000
	manyFindings = 500 // from here on a finding shows only fewEvidence records
	fewEvidence  = 3
)

// newCampaign prepares one campaign for the page.
func newCampaign(n namer, res *campaign.Result, c *campaign.Campaign) campaignView {
	v := campaignView{Campaign: c, Headline: headline(n, c), Answers: n.answers(c), Told: n.tellings(res, c), Graph: n.layout(c)}
	if len(v.Told) == 0 {
		v.Answers.Told = "Nobody. No advisory has been sent, and no tenant is concerned."
	}
	for _, o := range outcomes {
		for _, t := range c.Tenants {
			if t.Outcome == o {
				v.Scope = append(v.Scope, t)
			}
		}
	}
	drawn := map[string]bool{}
	if v.Graph != nil {
		for _, l := range v.Graph.Lanes {
			drawn[string(l.Tenant)] = true
		}
		for _, t := range v.Scope {
			if !drawn[string(t.Tenant)] && t.Outcome != campaign.Clear {
				v.Quiet = append(v.Quiet, t)
			}
		}
	}
	v.Timeline, v.More = timeline(res, c)
	return v
}

// headline says the whole campaign in a few words.
func headline(n namer, c *campaign.Campaign) string {
	through := "An intruder"
	if c.Partner != "" {
		through = "An intruder comes through " + n.partner(c.Partner)
	}
	hit, tried := len(n.having(c, false, campaign.Succeeded)), len(n.having(c, false, campaign.Attempted))
	switch {
	case hit > 0 && tried > 0:
		return fmt.Sprintf("%s: in at %s, tried at %d more", through, count(hit, "client", "clients"), tried)
	case hit > 0:
		return fmt.Sprintf("%s: in at %s", through, count(hit, "client", "clients"))
	case tried > 0:
		return fmt.Sprintf("%s: tried at %s", through, count(tried, "client", "clients"))
	case c.Partner != "":
		return through
	}
	return "A campaign of several incidents"
}

// timeline is the campaign in order: its hops, and those of its findings that no hop carries.
func timeline(res *campaign.Result, c *campaign.Campaign) (moments []momentView, more int) {
	carried := map[string]bool{}
	hops := numbered(c.Hops)
	for i := range hops {
		h := &hops[i]
		for _, id := range h.Findings {
			carried[id] = true
		}
		moments = append(moments, momentView{Ref: hopRef(c.ID, i+1), N: i + 1, Time: h.Time, Hop: h, Shape: shape(h.Kind),
			Crosses: h.Trust != "" && h.From.Tenant != h.To.Tenant})
	}
	mine := map[string]bool{}
	for _, t := range c.Tenants {
		if t.Outcome == campaign.Clear {
			continue
		}
		for _, id := range t.Findings {
			mine[id] = !carried[id]
		}
	}
	for _, f := range res.List {
		if mine[f.ID] && f.Suppressed == nil {
			moments = append(moments, momentView{Time: f.Time, Finding: f})
		}
	}
	slices.SortStableFunc(moments, func(a, b momentView) int { return a.Time.Compare(b.Time) })
	if len(moments) <= mostMoments {
		return moments, 0
	}
	// Hops stay before findings where not all fit, since the graph leads to them.
	kept := make([]momentView, 0, mostMoments)
	room := max(0, mostMoments-len(hops))
	for _, m := range moments {
		if m.Hop == nil {
			if room == 0 {
				continue
			}
			room--
		}
		kept = append(kept, m)
	}
	return kept, len(moments) - len(kept)
}

// findings chooses the rows: all by time where they fit, else the campaigns' own and the worst.
func (p *page) findings(res *campaign.Result) {
	mine := map[string]bool{}
	for _, c := range res.Campaigns {
		for _, t := range c.Tenants {
			for _, id := range t.Findings {
				mine[id] = true
			}
		}
		for _, h := range c.Hops {
			for _, id := range h.Findings {
				mine[id] = true
			}
		}
	}
	var rows, approved []*ocsf.Finding
	for _, f := range res.List {
		if f.Suppressed != nil {
			approved = append(approved, f)
		} else {
			rows = append(rows, f)
		}
	}
	p.Evidence = ocsf.MaxEvidence
	if len(rows) > manyFindings {
		p.Evidence = fewEvidence
	}
	byTime := func(a, b *ocsf.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
	}
	if len(rows) > p.Opt.MaxRows {
		slices.SortStableFunc(rows, func(a, b *ocsf.Finding) int {
			if mine[a.ID] != mine[b.ID] {
				if mine[a.ID] {
					return -1
				}
				return 1
			}
			return cmp.Or(cmp.Compare(b.Severity, a.Severity), byTime(a, b))
		})
		p.Left = len(rows) - p.Opt.MaxRows
		rows = rows[:p.Opt.MaxRows]
	}
	slices.SortStableFunc(rows, byTime)
	p.ApprovedN = len(approved)
	approved = approved[:min(len(approved), mostApproved)]
	p.Findings, p.Approved = p.views(rows), p.views(approved)
}

func (p *page) views(rows []*ocsf.Finding) []findingView {
	out := make([]findingView, len(rows))
	for i, f := range rows {
		v := findingView{Finding: f, Shown: f.Evidence[:min(len(f.Evidence), p.Evidence)]}
		v.More = max(f.Count, len(f.Evidence)) - len(v.Shown)
		words := []string{f.ID, f.Rule, f.Detector, string(f.Trust), string(f.Technique)}
		for _, e := range f.Entities {
			words = append(words, e.Value)
		}
		v.Text = strings.ToLower(strings.Join(words, " "))
		out[i] = v
	}
	return out
}
