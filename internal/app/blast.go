package app

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BlastOptions say whose reach is asked for.
type BlastOptions struct {
	Subject string
	As      string // partner, account, tool or address; empty: whichever it is known as, in that order
	Since   string // as Case.When takes it; empty: from the beginning of the telemetry
}

// BlastRow is what was reached of one tenant.
type BlastRow struct {
	Tenant   tenant.ID        `json:"tenant"`
	Reach    hop.Reach        `json:"reach"` // reached, attempted or possible
	First    time.Time        `json:"first,omitzero"`
	Last     time.Time        `json:"last,omitzero"`
	Sessions int              `json:"sessions"`
	Trusts   []tenant.TrustID `json:"trusts"`
	Accounts []string         `json:"accounts"`
	Hosts    []BlastHost      `json:"hosts"`
	Findings []string         `json:"findings"` // ids of those about the subject there
}

// BlastHost is one host that was reached or tried.
type BlastHost struct {
	Host   string    `json:"host"`
	From   string    `json:"from,omitempty"`
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	User   string    `json:"user,omitempty"`
	Depth  int       `json:"depth"` // 0: by the subject itself; 1: from a host of depth 0 …
	Reach  hop.Reach `json:"reach"`
	File   string    `json:"file,omitempty"`
	Record int64     `json:"record,omitempty"`
}

// BlastAnswer is whom somebody could reach and did.
type BlastAnswer struct {
	Subject string     `json:"subject"`
	Since   time.Time  `json:"since,omitzero"`
	Tenants []BlastRow `json:"tenants"`
	Clocks  []string   `json:"clocks,omitempty"`
	Notes   []string   `json:"notes,omitempty"`
}

// Blast answers which tenants and hosts a partner, account, remote tool or address could reach, and did.
func (c *Case) Blast(o BlastOptions) (*BlastAnswer, error) {
	since := time.Time{}
	if o.Since != "" {
		var err error
		if since, err = c.When(o.Since); err != nil {
			return nil, fmt.Errorf("--since: %w", err)
		}
	}
	seed, err := c.seed(o)
	if err != nil {
		return nil, err
	}
	b := c.graph.Blast(c.Model, seed, since)
	out := &BlastAnswer{Subject: seed.String(), Since: since, Tenants: []BlastRow{}}
	about := c.findingsAbout(seed, since)
	for _, t := range b.Tenants {
		row := BlastRow{Tenant: t.Tenant, Reach: t.Reach, First: t.First, Last: t.Last, Sessions: t.Sessions, Trusts: orEmpty(t.Trusts), Accounts: orEmpty(t.Accounts), Hosts: []BlastHost{}, Findings: []string{}}
		for _, h := range t.Hosts {
			row.Hosts = append(row.Hosts, BlastHost{Host: h.Place.Name(), From: h.From.Name(), Time: h.Time, Kind: h.Kind, User: h.User, Depth: h.Depth, Reach: h.Reach, File: h.Evidence.File, Record: h.Evidence.Record})
		}
		out.Tenants = append(out.Tenants, row)
	}
	for _, f := range about {
		i := slices.IndexFunc(out.Tenants, func(r BlastRow) bool { return r.Tenant == f.Tenant })
		if i < 0 {
			i = len(out.Tenants)
			out.Tenants = append(out.Tenants, BlastRow{Tenant: f.Tenant, Reach: hop.ReachAttempted, Trusts: []tenant.TrustID{}, Accounts: []string{}, Hosts: []BlastHost{}, Findings: []string{}})
		}
		out.Tenants[i].add(f)
	}
	slices.SortStableFunc(out.Tenants, func(a, b BlastRow) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	for _, s := range b.Skews {
		out.Clocks = append(out.Clocks, clockText(s)+", save where a row's own times are told")
	}
	if b.Left > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d more hosts were left out, beyond the limit of %d", b.Left, hop.MaxReached))
	}
	if n := c.graph.FlowsLeft(); n > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d records of sessions were left out, so something may be missing", n))
	}
	return out, nil
}

func (r *BlastRow) add(f *ocsf.Finding) {
	r.Findings = append(r.Findings, f.ID)
	if r.Reach == hop.ReachPossible {
		r.Reach = hop.ReachAttempted
	}
	if f.Outcome == ocsf.OutcomeSucceeded {
		r.Reach = hop.ReachReached
	}
	if r.First.IsZero() || f.Time.Before(r.First) {
		r.First = f.Time.UTC()
	}
	if f.End.After(r.Last) {
		r.Last = f.End.UTC()
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// seed says what the subject is: what the model or the telemetry knows it as.
func (c *Case) seed(o BlastOptions) (hop.Seed, error) {
	low := strings.ToLower(o.Subject)
	is := func(kind string) bool { return o.As == "" || o.As == kind }
	if is("partner") && c.Model.Partner(tenant.PartnerID(o.Subject)) != nil {
		return hop.Seed{Partner: tenant.PartnerID(o.Subject)}, nil
	}
	if a, err := netip.ParseAddr(o.Subject); err == nil && is("address") {
		return hop.Seed{Addr: a.Unmap()}, nil
	}
	if is("tool") && (o.As == "tool" || c.tool(low)) {
		return hop.Seed{Tool: low}, nil
	}
	switch o.As {
	case "", "account":
		return hop.Seed{Account: low}, nil
	case "partner":
		return hop.Seed{}, fmt.Errorf("no partner %q is declared", o.Subject)
	}
	return hop.Seed{}, fmt.Errorf("%q is no address", o.Subject)
}

// tool reports whether a name is that of a remote tool or of an instance, declared or seen.
func (c *Case) tool(name string) bool {
	for i := range c.Model.Trusts {
		if slices.ContainsFunc(c.Model.Trusts[i].RemoteTools, func(r tenant.RemoteTool) bool { return r.Tool == name || strings.EqualFold(r.Instance, name) }) {
			return true
		}
	}
	return slices.ContainsFunc(c.graph.Sessions(), func(s *hop.Session) bool { return name != "" && (s.Tool == name || s.Instance == name) })
}

// findingsAbout returns the findings that nobody approved whose doing is the seed's.
func (c *Case) findingsAbout(s hop.Seed, since time.Time) []*ocsf.Finding {
	var out []*ocsf.Finding
	for _, f := range c.Result.List {
		if f.End.Before(since) || f.Suppressed != nil {
			continue
		}
		mine := s.Partner != "" && f.Partner == s.Partner
		for _, e := range f.Entities {
			switch {
			case e.Role == ocsf.RoleTarget:
			case s.Account != "":
				mine = mine || e.Type == ocsf.EntityUser && strings.EqualFold(e.Value, s.Account)
			case s.Tool != "":
				mine = mine || e.Type == ocsf.EntityRMM && strings.Contains(strings.ToLower(e.Value), s.Tool)
			case s.Addr.IsValid():
				mine = mine || e.Type == ocsf.EntityIP && e.Value == s.Addr.String()
			}
		}
		if mine {
			out = append(out, f)
		}
	}
	return out
}
