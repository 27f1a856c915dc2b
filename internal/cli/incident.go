package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
)

func newIncident(c *console) *cobra.Command {
	return noun("incident", "What belongs together at one tenant of a running server",
		newServerList(c, incidents), newServerShow(c, incidents), newServerWatch(c, incidents))
}

var incidents = things[campaign.Incident]{
	name: "incident", plural: "incidents", example: "84598286021d3557", present: true,
	columns: []listColumn[campaign.Incident]{
		{"id", func(x campaign.Incident) string { return x.ID }},
		{"start", func(x campaign.Incident) string { return utcText(x.Start) }},
		{"tenant", func(x campaign.Incident) string { return string(x.Tenant) }},
		{"partner", func(x campaign.Incident) string { return string(x.Partner) }},
		{"severity", func(x campaign.Incident) string { return x.Severity.String() }},
		{"outcome", func(x campaign.Incident) string { return string(x.Outcome) }},
		{"findings", func(x campaign.Incident) string { return strconv.Itoa(len(x.Findings)) }},
		{"campaign", func(x campaign.Incident) string { return x.Campaign }},
		{"title", func(x campaign.Incident) string { return x.Title }},
	},
	details: func(x campaign.Incident) string {
		if x.Trace == nil {
			return ""
		}
		var b strings.Builder
		b.WriteString("\nTraced back:\n")
		for _, h := range x.Trace.Hops {
			b.WriteString(utcText(h.Time) + "  " + h.From.Entity.Value + " → " + h.To.Entity.Value + "  " + h.Label + "\n")
		}
		if x.Trace.Ask != "" {
			b.WriteString("Ask " + x.Trace.Ask + " for " + x.Trace.For + " between " + utcText(x.Trace.From) + " and " + utcText(x.Trace.To) + ".\n")
		}
		return b.String()
	},
}
