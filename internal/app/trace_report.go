package app

import (
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

// Bounds of the ways in a report.
const (
	maxTracedReport = 200 // sources that are traced
	maxWaysReport   = 4   // ways of each
)

// Ways traces who did what the incidents show, each in several ways, for the report. A source that leads nowhere is in
// it, too.
func (c *Case) Ways() []report.Traced {
	var out []report.Traced
	for i := range c.Result.Incidents {
		n := &c.Result.Incidents[i]
		if n.Trace == nil {
			continue
		}
		for _, t := range append([]campaign.IncidentTrace{*n.Trace}, n.Trace.Others...) {
			if len(t.Findings) == 0 || len(out) >= maxTracedReport {
				continue
			}
			f, err := c.finding(t.Findings[0])
			if f == nil || err != nil {
				continue
			}
			for _, p := range sources(f) {
				if p.Addr.IsValid() && p.Addr.Unmap().String() != t.Source.Entity.Value {
					continue
				}
				if x := c.trace(p, maxWaysReport); x.Subject == t.Source.Entity.Value {
					out = append(out, reported(f.ID, x))
					break
				}
			}
		}
	}
	return out
}

func reported(finding string, t Traced) report.Traced {
	out := report.Traced{Finding: finding, Source: t.Subject, Tenant: t.Tenant, Clocks: t.Clocks}
	for i := range t.Paths {
		p := &t.Paths[i]
		w := report.Way{Share: p.Share, Origin: report.Place(p.Origin), Ends: p.Reason, Tied: p.Tied, Shared: p.Shared}
		if p.Ask != nil {
			w.Ask = p.Ask.Organisation + ": " + p.Ask.Question()
		}
		for _, h := range p.Hops {
			w.Hops = append(w.Hops, report.WayHop{From: report.Place(h.From), To: report.Place(h.To), Start: h.Start, End: h.End, Kind: h.Kind, Port: h.Port, User: h.User,
				Score: h.Score, Share: h.Share, For: h.For, Against: h.Against, Told: h.Told, File: h.File, Record: h.Record})
		}
		out.Ways = append(out.Ways, w)
	}
	return out
}
