package campaign

import "time"

// Complete returns a copy of the result as its JSON promises it: no list is null, and times are in UTC. The original
// is untouched.
func (r *Result) Complete() *Result {
	out := *r
	if out.Schema == "" {
		out.Schema = SchemaVersion
	}
	out.Campaigns, out.Incidents = each(out.Campaigns), each(out.Incidents)
	out.Coverage, out.Unparsed, out.Matrix = each(out.Coverage), each(out.Unparsed), each(out.Matrix)
	utc(&out.Input.From, &out.Input.To)
	for i := range out.Campaigns {
		c := &out.Campaigns[i]
		c.Tenants, c.Incidents, c.JoinedBy = each(c.Tenants), each(c.Incidents), each(c.JoinedBy)
		c.Hops, c.Accesses = completeHops(c.Hops), each(c.Accesses)
		utc(&c.Start, &c.End, &c.Drawn, &c.FirstFoothold.Time, &c.FirstFoothold.From, &c.FirstFoothold.To)
		for j := range c.Tenants {
			c.Tenants[j].Findings = each(c.Tenants[j].Findings)
			utc(&c.Tenants[j].Since)
		}
		for j := range c.JoinedBy {
			c.JoinedBy[j].Tenants = each(c.JoinedBy[j].Tenants)
		}
	}
	for i := range out.Incidents {
		n := &out.Incidents[i]
		n.Layers, n.Techniques, n.Findings = each(n.Layers), each(n.Techniques), each(n.Findings)
		utc(&n.Start, &n.End)
		n.Trace = n.Trace.complete()
	}
	for i := range out.Coverage {
		utc(&out.Coverage[i].From, &out.Coverage[i].To)
	}
	return &out
}

// complete copies a trace likewise; nil stays nil.
func (t *IncidentTrace) complete() *IncidentTrace {
	if t == nil {
		return nil
	}
	c := *t
	c.Hops, c.Findings = completeHops(c.Hops), each(c.Findings)
	utc(&c.From, &c.To)
	c.Others = nil
	for i := range t.Others {
		c.Others = append(c.Others, *t.Others[i].complete())
	}
	return &c
}

func completeHops(list []Hop) []Hop {
	list = each(list)
	for i := range list {
		list[i].Evidence = each(list[i].Evidence)
		utc(&list[i].Time)
	}
	return list
}

// each returns a copy of a list that is never nil.
func each[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }

func utc(times ...*time.Time) {
	for _, t := range times {
		*t = t.UTC()
	}
}
