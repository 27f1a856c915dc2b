package campaign

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxTraces bounds the traces of one incident; what was found first among the most severe is kept.
const maxTraces = 8

// IncidentTrace is where the source of an incident's findings was led from, session by session. Where Ask is set,
// Origin is how far our telemetry leads, and that organisation must look For it, From when To when.
type IncidentTrace struct {
	Source HopEnd `json:"source"` // whose doing the findings show
	Origin HopEnd `json:"origin"`
	Hops   []Hop  `json:"hops"` // from the origin on; the last is the finding itself, so 1 means that the source is the origin

	Ask  string    `json:"ask,omitempty"` // a partner's id, or a tenant's where no partner is declared for it
	For  string    `json:"for,omitempty"`
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`

	Reason   string          `json:"reason"`
	Findings []string        `json:"findings"`         // ids of those that this trace explains
	Others   []IncidentTrace `json:"others,omitempty"` // of the incident's other sources, without others of their own
}

// traceIncidents fills the trace of each incident that has a finding with a source address or host.
func traceIncidents(in Evidence, list []Incident) {
	byID := map[string]*ocsf.Finding{}
	for _, f := range in.Findings {
		byID[f.ID] = f
	}
	for i := range list {
		list[i].Trace = traceIncident(in, &list[i], byID)
	}
}

func traceIncident(in Evidence, n *Incident, byID map[string]*ocsf.Finding) *IncidentTrace {
	findings := make([]*ocsf.Finding, 0, len(n.Findings))
	for _, id := range n.Findings {
		if f := byID[id]; f != nil {
			findings = append(findings, f)
		}
	}
	slices.SortStableFunc(findings, func(a, b *ocsf.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
	})
	var traces []IncidentTrace
	at := map[string]int{} // path → trace
	for _, f := range findings {
		for _, p := range points(f) {
			t := in.Graph.Trace(in.Model, p)
			if len(t.Hops) == 0 && t.Ask == nil && t.Origin.Tenant == "" {
				continue // an address of the Internet: all that is known of it stands in the finding
			}
			key := pathKey(t)
			if k, known := at[key]; known {
				if !slices.Contains(traces[k].Findings, f.ID) {
					traces[k].Findings = append(traces[k].Findings, f.ID)
				}
				continue
			}
			if len(traces) < maxTraces {
				at[key] = len(traces)
				traces = append(traces, newTrace(in, f, t))
			}
		}
	}
	if len(traces) == 0 {
		return nil
	}
	traces[0].Others = traces[1:]
	return &traces[0]
}

// points are the sources of a finding. A finding that names many has a common cause that is none of them.
func points(f *ocsf.Finding) []hop.TracePoint {
	p := hop.TracePoint{Tenant: f.Tenant, Time: f.Time, End: f.End, Partner: f.Partner}
	var out []hop.TracePoint
	for _, e := range f.Entities {
		switch {
		case e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && p.User == "":
			p.User = strings.ToLower(e.Value)
		case e.Role == ocsf.RoleSource && e.Type == ocsf.EntityIP:
			if a, err := netip.ParseAddr(e.Value); err == nil {
				out = append(out, hop.TracePoint{Addr: a})
			}
		case e.Role == ocsf.RoleSource && e.Type == ocsf.EntityHost:
			out = append(out, hop.TracePoint{Host: e.Value})
		}
	}
	for i := range out {
		addr, host := out[i].Addr, out[i].Host
		out[i] = p
		out[i].Addr, out[i].Host = addr, host
	}
	return out[:min(len(out), maxTraces)]
}

// pathKey is equal for traces that went the same way.
func pathKey(t hop.Trace) string {
	parts := []string{string(t.Source.Tenant), t.Source.Name()}
	for _, h := range t.Hops {
		parts = append(parts, string(h.From.Tenant), h.From.Name(), h.Start.String())
	}
	if t.Ask != nil {
		parts = append(parts, t.Ask.Organisation)
	}
	return strings.Join(parts, "\x00")
}

func newTrace(in Evidence, f *ocsf.Finding, t hop.Trace) IncidentTrace {
	out := IncidentTrace{Source: end(t.Source), Origin: end(t.Origin), Reason: t.Reason, Findings: []string{f.ID}}
	for i := range t.Hops {
		out.Hops = append(out.Hops, traceHop(in.Model, &t.Hops[i]))
	}
	last := Hop{Time: f.Time.UTC(), From: end(t.Source), Kind: f.Detector, Label: f.Title, Trust: f.Trust, Outcome: string(f.Outcome),
		Severity: f.Severity, Findings: []string{f.ID}, Evidence: []HopEvidence{}}
	last.To.Tenant = f.Tenant
	for _, e := range f.Entities {
		if e.Role == ocsf.RoleTarget {
			last.To.Entity = ocsf.Entity{Type: e.Type, Value: e.Value}
			break
		}
	}
	for _, ev := range f.Evidence[:min(len(f.Evidence), 1)] {
		last.Evidence = append(last.Evidence, HopEvidence{ev.File, ev.Record, ev.Event.Detail()})
	}
	out.Hops = append(out.Hops, last)
	if t.Ask != nil {
		out.Ask, out.From, out.To = t.Ask.Organisation, t.Ask.From, t.Ask.To
		out.For = fmt.Sprintf("who worked on %s", t.Ask.Place.Name())
		if t.Ask.Place.Addr.IsValid() {
			out.For = fmt.Sprintf("address %s", t.Ask.Place.Name())
		}
	}
	return out
}

func traceHop(m *tenant.Model, h *hop.TraceHop) Hop {
	label := h.Kind + " session"
	if h.Kind == "logon" || h.Kind == "network-logon" {
		label = strings.ReplaceAll(h.Kind, "-", " ")
	}
	if h.User != "" {
		label += " as " + h.User
	}
	text := "from " + h.Start.Format(time.RFC3339)
	if h.Packets > 0 { // the ends of others are not always told
		text += fmt.Sprintf(" to %s, %d packets", h.End.Format(time.RFC3339), h.Packets)
	}
	seen := make([]string, len(h.Seen))
	for i, id := range h.Seen {
		seen[i] = string(id)
	}
	text += ", seen by " + strings.Join(seen, " and ")
	if h.Others > 0 {
		text += fmt.Sprintf("; chosen before sessions from %d other places", h.Others)
	}
	return Hop{Time: h.Start, From: end(h.From), To: end(h.To), Kind: h.Kind, Label: label, Trust: crossed(m, h), Outcome: string(ocsf.OutcomeSucceeded), Severity: ocsf.SeverityInformational,
		Evidence: []HopEvidence{{h.Evidence.File, h.Evidence.Record, text}}}
}

// crossed returns the trust by which a hop leads from one organisation into another, or "". Of several the one that
// declares the address is named.
func crossed(m *tenant.Model, h *hop.TraceHop) tenant.TrustID {
	out := tenant.TrustID("")
	for _, t := range m.TrustsInto(h.To.Tenant) {
		p := m.Partner(t.Partner)
		if p == nil || h.From.Tenant == h.To.Tenant || (t.Partner != h.From.Partner && (p.Tenant == "" || p.Tenant != h.From.Tenant)) {
			continue
		}
		if slices.ContainsFunc(t.Networks, func(n netip.Prefix) bool { return n.Contains(h.From.Addr) }) {
			return t.ID
		}
		if out == "" {
			out = t.ID
		}
	}
	return out
}

func end(p hop.Place) HopEnd {
	e := HopEnd{Tenant: p.Tenant, Entity: ocsf.Entity{Type: ocsf.EntityHost, Value: p.Name()}}
	if p.Addr.IsValid() {
		e.Entity.Type = ocsf.EntityIP
	}
	return e
}
