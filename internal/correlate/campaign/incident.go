package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// IncidentGap is how far apart in time two findings of one tenant may lie and still be one incident by a shared
// account, host or partner; what shares an intruder's own infrastructure is one incident at any distance.
const IncidentGap = 24 * time.Hour

// sets is a union-find over small integers.
type sets []int

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func (s sets) find(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

// join merges two sets; the lower index stays the root, so that the outcome depends on the order of the input
// list only, which is sorted.
func (s sets) join(a, b int) {
	a, b = s.find(a), s.find(b)
	if a > b {
		a, b = b, a
	}
	s[b] = a
}

func (s sets) groups() [][]int {
	at := map[int]int{}
	var out [][]int
	for i := range s {
		r := s.find(i)
		k, ok := at[r]
		if !ok {
			k = len(out)
			at[r] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// weighs reports whether a finding counts towards incidents and campaigns: what was approved does not.
func weighs(f *ocsf.Finding) bool {
	return f.Suppressed == nil && f.Severity >= ocsf.SeverityLow
}

// incidents groups the findings of each tenant. A group becomes an incident where one of it is at least medium.
func incidents(findings []*ocsf.Finding) []Incident {
	byTenant := map[tenant.ID][]*ocsf.Finding{}
	for _, f := range findings {
		if weighs(f) {
			byTenant[f.Tenant] = append(byTenant[f.Tenant], f)
		}
	}
	var out []Incident
	for id, list := range byTenant {
		s := newSets(len(list))
		last := map[string]int{}
		for i, f := range list {
			for _, k := range incidentKeys(f) {
				j, ok := last[k.text]
				if ok && (k.always || f.Time.Sub(list[j].End) <= IncidentGap) {
					s.join(i, j)
				}
				if !ok || f.End.After(list[j].End) {
					last[k.text] = i
				}
			}
		}
		for _, g := range s.groups() {
			if in, ok := newIncident(id, list, g); ok {
				out = append(out, in)
			}
		}
	}
	slices.SortFunc(out, func(a, b Incident) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

type incidentKey struct {
	text   string
	always bool
}

func incidentKeys(f *ocsf.Finding) []incidentKey {
	var keys []incidentKey
	for _, e := range f.Entities {
		switch e.Role {
		case ocsf.RoleInfrastructure:
			keys = append(keys, incidentKey{"infra\x00" + string(e.Type) + "\x00" + e.Value, true})
		case ocsf.RoleActor, ocsf.RoleSource:
			keys = append(keys, incidentKey{"actor\x00" + string(e.Type) + "\x00" + e.Value, false})
		case ocsf.RoleTarget:
			if e.Type == ocsf.EntityHost && f.Severity >= ocsf.SeverityMedium {
				keys = append(keys, incidentKey{"host\x00" + e.Value, false})
			}
		}
	}
	for _, s := range sessionsOf(f) {
		keys = append(keys, incidentKey{"session\x00" + s, true})
	}
	if f.Partner != "" && f.Severity >= ocsf.SeverityMedium {
		keys = append(keys, incidentKey{"partner\x00" + string(f.Partner), false})
	}
	return keys
}

// sessionsOf returns the sessions that the finding's evidence belongs to.
func sessionsOf(f *ocsf.Finding) []string {
	var out []string
	for _, ev := range f.Evidence {
		if ev.Event != nil && ev.Event.Session != "" && !slices.Contains(out, ev.Event.Session) {
			out = append(out, ev.Event.Session)
		}
	}
	return out
}

func newIncident(id tenant.ID, list []*ocsf.Finding, group []int) (Incident, bool) {
	in := Incident{Tenant: id, Outcome: ocsf.OutcomeUnknown}
	var title *ocsf.Finding
	for _, i := range group {
		f := list[i]
		if in.Start.IsZero() || f.Time.Before(in.Start) {
			in.Start = f.Time.UTC()
		}
		if f.End.After(in.End) {
			in.End = f.End.UTC()
		}
		if title == nil || f.Severity > title.Severity {
			title = f
		}
		if in.Partner == "" {
			in.Partner, in.Trust = f.Partner, f.Trust
		}
		if f.Outcome == ocsf.OutcomeSucceeded || (f.Outcome == ocsf.OutcomeAttempted && in.Outcome == ocsf.OutcomeUnknown) {
			in.Outcome = f.Outcome
		}
		if !slices.Contains(in.Layers, f.Layer) {
			in.Layers = append(in.Layers, f.Layer)
		}
		if f.Technique != "" && !slices.Contains(in.Techniques, f.Technique) {
			in.Techniques = append(in.Techniques, f.Technique)
		}
		in.Findings = append(in.Findings, f.ID)
	}
	if in.Techniques == nil {
		in.Techniques = []ocsf.Technique{}
	}
	slices.Sort(in.Layers)
	slices.Sort(in.Techniques)
	in.Severity, in.Title = title.Severity, title.Title
	if len(group) > 1 {
		in.Title = fmt.Sprintf("%s, and %d more", title.Title, len(group)-1)
	}
	in.ID = shortHash("incident", string(id), in.Findings[0])
	return in, in.Severity >= ocsf.SeverityMedium
}

func shortHash(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:8])
}
