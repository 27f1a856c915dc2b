package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Case is what a run over files knows, kept for those who ask on: where from, how far, by whose trust.
type Case struct {
	Model  *tenant.Model
	Result *campaign.Result
	graph  *hop.Graph
	closed map[string]string // addresses of others, and why asking again for them is of no use
}

// Investigate runs the paths through the pipeline as Scan does, and keeps the hop graph. Observe, where it is not nil,
// is called with every event once it is attributed, in event time; it must not keep the event.
func Investigate(ctx context.Context, s *Setup, paths []string, observe func(*ocsf.Event)) (*Case, error) {
	p, err := newPipeline(s)
	if err != nil {
		return nil, err
	}
	defer p.sorter.Close()
	p.observe = observe
	if err := p.read(ctx, paths); err != nil {
		return nil, err
	}
	r, err := p.conclude(ctx)
	if err != nil {
		return nil, err
	}
	return &Case{Model: s.Model, Result: r, graph: p.graph, closed: map[string]string{}}, nil
}

// errNoFinding says that no finding has an id.
var errNoFinding = errors.New("no finding has the id")

// finding returns the finding with that id, or with the only id that begins so.
func (c *Case) finding(id string) (*ocsf.Finding, error) {
	var found []*ocsf.Finding
	for _, f := range c.Result.List {
		if f.ID == id {
			return f, nil
		}
		if len(id) >= 6 && strings.HasPrefix(f.ID, id) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, nil
	}
	return nil, fmt.Errorf("%d findings begin with %s; give more of the id", len(found), id)
}

// sources are the points that a finding is traced from: whose doing it shows.
func sources(f *ocsf.Finding) []hop.TracePoint {
	p := hop.TracePoint{Tenant: f.Tenant, Time: f.Time, End: f.End, Partner: f.Partner}
	var out []hop.TracePoint
	for _, e := range f.Entities {
		if e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && p.User == "" {
			p.User = strings.ToLower(e.Value)
		}
	}
	for _, e := range f.Entities {
		if e.Role != ocsf.RoleSource {
			continue
		}
		x := p
		switch a, err := netip.ParseAddr(e.Value); {
		case e.Type == ocsf.EntityIP && err == nil:
			x.Addr = a
		case e.Type == ocsf.EntityHost && e.Value != "" && e.Value != campaign.Elsewhere:
			x.Host = e.Value
		default:
			continue
		}
		if len(out) < hop.MaxCandidates {
			out = append(out, x)
		}
	}
	return out
}

// whose returns the tenant whose telemetry is meant by an address or host that was named without one.
func (c *Case) whose(a netip.Addr, name string) (tenant.ID, error) {
	if len(c.Model.Tenants) == 1 {
		return c.Model.Tenants[0].ID, nil
	}
	var list []tenant.ID
	if a.IsValid() {
		for i := range c.Model.Tenants {
			t := &c.Model.Tenants[i]
			if slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
				list = append(list, t.ID)
			}
		}
		if len(list) == 0 {
			list = c.graph.SeenBy(c.Model, a)
		}
	}
	switch len(list) {
	case 1:
		return list[0], nil
	case 0:
		return "", fmt.Errorf("no telemetry of a single tenant is known to name %s; say whose telemetry is meant with --tenant", name)
	}
	words := make([]string, len(list))
	for i, id := range list {
		words[i] = string(id)
	}
	return "", fmt.Errorf("%s means something to %s; say whose telemetry is meant with --tenant", name, strings.Join(words, ", "))
}

// When reads a time as commands take it: RFC 3339, or a length of time before the end of the telemetry, such as 24h.
func (c *Case) When(text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return c.Result.Input.To.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: use 2026-03-02T15:04:05Z, 2026-03-02, or a length such as 24h before the end of the telemetry", text)
}
