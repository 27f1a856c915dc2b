package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// outcomeRank orders outcomes, the worst highest; clear is 0.
func outcomeRank(o campaign.Outcome) int {
	return max(0, 1+slices.Index([]campaign.Outcome{campaign.Blind, campaign.Exposed, campaign.Attempted, campaign.Succeeded}, o))
}

// matters lists what of a result an audience might be told, each as a body without channel and step.
func matters(r *campaign.Result, scope tenant.Scope, v View, ch Channel, now time.Time) []Body {
	var out []Body
	within := map[string]bool{} // findings that a campaign or an incident speaks of
	campaigns := map[string]bool{}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		b := campaignBody(c, scope)
		if len(b.Outcomes) == 0 {
			continue
		}
		campaigns[c.ID] = true
		for _, id := range b.Findings {
			within[id] = true
		}
		if b.Severity >= ch.Min {
			out = append(out, b)
		}
	}
	for i := range r.Incidents {
		in := &r.Incidents[i]
		if !scope.Sees(in.Tenant) {
			continue
		}
		for _, id := range in.Findings {
			within[id] = true
		}
		if !campaigns[in.Campaign] && in.Severity >= max(v.Threshold(in.Tenant), ch.Min) {
			out = append(out, incidentBody(in))
		}
	}
	out = append(out, findingBodies(slices.Concat(r.List, v.Findings), within, scope, v, ch)...)
	for i := range v.Levels {
		e := &v.Levels[i]
		if b := levelBody(e); scope.Sees(e.Tenant) && e.By != alertlevel.ByCampaign && e.Runs(now) && b.Severity >= ch.Min {
			out = append(out, b)
		}
	}
	return out
}

func campaignBody(c *campaign.Campaign, scope tenant.Scope) Body {
	b := Body{Kind: KindCampaign, Subject: c.ID, Last: latest(c.End, c.Drawn), Partner: c.Partner, Text: []string{c.Summary}}
	worst, hit := 0, 0
	for _, o := range c.Tenants {
		rank := outcomeRank(o.Outcome)
		if !scope.Sees(o.Tenant) {
			continue
		}
		b.Findings = append(b.Findings, o.Findings...)
		if rank == 0 {
			continue
		}
		worst = max(worst, rank)
		if rank >= outcomeRank(campaign.Attempted) {
			hit++
		}
		b.Outcomes = append(b.Outcomes, Outcome{o.Tenant, o.Outcome, o.Reason})
		b.Tenants = append(b.Tenants, o.Tenant)
		b.Text = append(b.Text, fmt.Sprintf("%s: %s. %s", o.Tenant, o.Outcome, o.Reason))
	}
	slices.SortFunc(b.Outcomes, func(x, y Outcome) int { return strings.Compare(string(x.Tenant), string(y.Tenant)) })
	slices.Sort(b.Tenants)
	b.Severity = [...]ocsf.Severity{ocsf.SeverityLow, ocsf.SeverityMedium, ocsf.SeverityMedium, ocsf.SeverityHigh, ocsf.SeverityCritical}[worst]
	who := "an unknown way"
	if c.Partner != "" {
		who = "the partner " + string(c.Partner)
	}
	switch {
	case len(b.Outcomes) == 1:
		b.Title = fmt.Sprintf("Campaign through %s: %s %s", who, b.Outcomes[0].Tenant, b.Outcomes[0].Outcome)
	case hit == 0:
		b.Title = fmt.Sprintf("Campaign through %s: %d organisations within its reach", who, len(b.Outcomes))
	default:
		b.Title = fmt.Sprintf("Campaign through %s: it reached %d organisations, %d within its reach", who, hit, len(b.Outcomes))
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a.UTC()
}

func incidentBody(in *campaign.Incident) Body {
	b := Body{Kind: KindIncident, Subject: in.ID, Last: in.End.UTC(), Severity: in.Severity, Partner: in.Partner,
		Title: fmt.Sprintf("Incident at %s: %s", in.Tenant, in.Title), Tenants: []tenant.ID{in.Tenant}, Findings: slices.Clone(in.Findings)}
	b.Text = append(b.Text, fmt.Sprintf("%d findings from %s to %s, outcome %s", len(in.Findings), stamp(in.Start), stamp(in.End), in.Outcome))
	switch in.Outcome {
	case ocsf.OutcomeSucceeded:
		b.Outcomes = []Outcome{{Tenant: in.Tenant, Outcome: campaign.Succeeded}}
	case ocsf.OutcomeAttempted:
		b.Outcomes = []Outcome{{Tenant: in.Tenant, Outcome: campaign.Attempted}}
	}
	return b
}

// findingBodies groups findings that stand alone by tenant and rule: what one rule says again and again is one matter.
func findingBodies(list []*ocsf.Finding, within map[string]bool, scope tenant.Scope, v View, ch Channel) []Body {
	at := map[string]int{}
	var out []Body
	for _, f := range list {
		if f.Suppressed != nil || within[f.ID] || !scope.Sees(f.Tenant) || f.Tenant == "" || f.Severity < max(v.Threshold(f.Tenant), ch.Min) {
			continue
		}
		subject := hash(string(f.Tenant), f.Detector, f.Rule)
		i, ok := at[subject]
		if !ok {
			i = len(out)
			at[subject] = i
			out = append(out, Body{Kind: KindFinding, Subject: subject, Partner: f.Partner, Tenants: []tenant.ID{f.Tenant},
				Title: fmt.Sprintf("Finding at %s: %s", f.Tenant, f.Title)})
		}
		b := &out[i]
		b.Severity, b.Last = max(b.Severity, f.Severity), latest(b.Last, latest(f.Time, f.End))
		b.Findings = append(b.Findings, f.ID)
		b.Text = append(b.Text, fmt.Sprintf("%s: %s", stamp(f.Time), f.Reason))
	}
	for i := range out {
		// The newest are those that aren't told yet.
		b := &out[i]
		b.Findings = b.Findings[max(len(b.Findings)-MaxFindings, 0):]
		if n := len(b.Text); n > maxLines {
			b.Text = append([]string{fmt.Sprintf("%d findings; the last of them:", n)}, b.Text[n-maxLines+1:]...)
		}
	}
	return out
}

func levelBody(e *alertlevel.Entry) Body {
	b := Body{Kind: KindLevel, Subject: e.ID, Last: e.From.UTC(), Severity: ocsf.SeverityMedium, Tenants: []tenant.ID{e.Tenant}, Partner: e.Partner,
		Title: fmt.Sprintf("Alert level of %s is %s until %s", e.Tenant, e.Level, stamp(e.Until)),
		Text:  []string{fmt.Sprintf("Raised by %s: %s", e.By, e.Reason)}}
	if e.Level == alertlevel.Heightened {
		b.Severity = ocsf.SeverityHigh
	}
	return b
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
