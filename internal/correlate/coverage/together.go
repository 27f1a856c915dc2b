package coverage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The detector and rules under which silence is told.
const (
	Detector       = "coverage"
	RuleSensor     = "coverage/sensor-silent"
	RulePartner    = "coverage/partner-silence"
	techniqueBlind = ocsf.Technique("T1562") // Impair Defenses
)

// TogetherWithin is how close the silences of one partner's tenants must begin to be one matter.
const TogetherWithin = 15 * time.Minute

// Findings returns what silences are worth by themselves: one low finding for each, with an end once it is over.
func Findings(silences []Silence) []*ocsf.Finding {
	var out []*ocsf.Finding
	for _, s := range silences {
		f := &ocsf.Finding{
			Time: s.Since, End: s.Until, Tenant: s.Tenant, Layer: s.Layer, Detector: Detector, Rule: RuleSensor,
			Title: "A sensor has fallen silent", Technique: techniqueBlind, Severity: ocsf.SeverityLow,
			Confidence: confidence(s.WarmingUp), Outcome: ocsf.OutcomeUnknown,
		}
		f.Reason = fmt.Sprintf("%s has sent nothing since %s, longer than the %s that it may pause at this hour",
			sensorName(s), stamp(s.Since), time.Duration(s.Usual).Round(time.Second))
		if !s.Until.IsZero() {
			f.Reason = fmt.Sprintf("%s sent nothing from %s to %s, longer than the %s that it may pause at that hour",
				sensorName(s), stamp(s.Since), stamp(s.Until), time.Duration(s.Usual).Round(time.Second))
		} else {
			f.End = s.Since
		}
		if s.WarmingUp {
			f.Reason += "; it has been heard for less than a week, so its rhythm isn't known well"
		}
		f.AddEntity(ocsf.EntityService, s.Sensor, ocsf.RoleTarget)
		f.Identify(s.Since, string(s.Layer), s.Sensor)
		out = append(out, f)
	}
	return out
}

func confidence(warming bool) int {
	if warming {
		return 40
	}
	return 80
}

func sensorName(s Silence) string {
	if s.Layer == "" {
		return fmt.Sprintf("sensor %q", s.Sensor)
	}
	return fmt.Sprintf("sensor %q (%s)", s.Sensor, s.Layer)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Together returns a finding for each tenant of a partner several of whose tenants fell silent together, while
// others go on. It takes the rows of all tenants, what is silent, and the declared trusts.
//
// It wants two tenants at least, by sensors of their own: a sensor that speaks for several tenants is one, and its
// end says nothing of theirs. A tenth of the partner's tenants at least, and three times the share of the other
// tenants that fell silent in the same minutes, must be concerned; and somebody must go on: where everything is
// silent, the fault is more likely ours. Findings name the partner, and no tenant but their own.
func Together(rows []Row, silences []Silence, m *tenant.Model) []*ocsf.Finding {
	running := slices.DeleteFunc(slices.Clone(silences), func(s Silence) bool { return !s.Until.IsZero() || s.Tenant == "" })
	running = ownSensors(running, rows)
	slices.SortStableFunc(running, func(a, b Silence) int { return a.Since.Compare(b.Since) })
	heard := map[tenant.ID]bool{}
	for _, r := range rows {
		if r.Events > 0 && r.Tenant != "" {
			heard[r.Tenant] = true
		}
	}
	for _, s := range running {
		heard[s.Tenant] = true
	}
	var out []*ocsf.Finding
	for i := range m.Partners {
		p := &m.Partners[i]
		for _, g := range groups(running, p, m) {
			if g.moreThanChance(p, m, heard, running) {
				out = append(out, g.findings(p, m)...)
			}
		}
	}
	return out
}

// ownSensors leaves out the silences of sensors that speak for several tenants.
func ownSensors(silences []Silence, rows []Row) []Silence {
	speaks := map[string]map[tenant.ID]bool{}
	note := func(sensor string, id tenant.ID) {
		if speaks[sensor] == nil {
			speaks[sensor] = map[tenant.ID]bool{}
		}
		speaks[sensor][id] = true
	}
	for _, r := range rows {
		note(r.Sensor, r.Tenant)
	}
	for _, s := range silences {
		note(s.Sensor, s.Tenant)
	}
	return slices.DeleteFunc(silences, func(s Silence) bool { return len(speaks[s.Sensor]) > 1 })
}

// group is the silences of one partner's tenants that began together: the earliest of each tenant.
type group struct {
	tenants []tenant.ID
	first   map[tenant.ID]Silence
	sensors map[tenant.ID]int
	from    time.Time
	warming bool
}

// groups returns the partner's silences that began together, from the earliest on; of two tenants at least.
func groups(running []Silence, p *tenant.Partner, m *tenant.Model) []*group {
	var out []*group
	var g *group
	for _, s := range running {
		if trustAt(m, p.ID, s.Tenant, s.Since) == nil {
			continue
		}
		if g == nil || s.Since.Sub(g.from) > TogetherWithin {
			g = &group{first: map[tenant.ID]Silence{}, sensors: map[tenant.ID]int{}, from: s.Since}
			out = append(out, g)
		}
		if _, ok := g.first[s.Tenant]; !ok {
			g.first[s.Tenant] = s
			g.tenants = append(g.tenants, s.Tenant)
		}
		g.sensors[s.Tenant]++
		g.warming = g.warming || s.WarmingUp
	}
	return slices.DeleteFunc(out, func(g *group) bool { return len(g.tenants) < 2 })
}

func trustAt(m *tenant.Model, p tenant.PartnerID, id tenant.ID, at time.Time) *tenant.Trust {
	for _, t := range m.TrustsInto(id) {
		if t.Partner == p && t.ValidAt(at) {
			return t
		}
	}
	return nil
}

func (g *group) moreThanChance(p *tenant.Partner, m *tenant.Model, heard map[tenant.ID]bool, running []Silence) bool {
	theirs, others, othersSilent := 0, 0, 0
	for id := range heard {
		switch {
		case trustAt(m, p.ID, id, g.from) != nil:
			theirs++
		default:
			others++
			if slices.ContainsFunc(running, func(s Silence) bool {
				return s.Tenant == id && s.Since.Sub(g.from).Abs() <= TogetherWithin
			}) {
				othersSilent++
			}
		}
	}
	k := len(g.tenants)
	goOn := theirs - k + others - othersSilent
	return goOn > 0 && k*10 >= theirs && (othersSilent == 0 || k*others >= 3*othersSilent*theirs)
}

func (g *group) findings(p *tenant.Partner, m *tenant.Model) []*ocsf.Finding {
	name := p.Name
	if name == "" {
		name = string(p.ID)
	}
	var out []*ocsf.Finding
	for _, id := range slices.Sorted(slices.Values(g.tenants)) {
		s := g.first[id]
		f := &ocsf.Finding{
			Time: s.Since, End: s.Since, Tenant: id, Trust: trustAt(m, p.ID, id, s.Since).ID, Partner: p.ID, Layer: s.Layer,
			Detector: Detector, Rule: RulePartner, Title: "Several organisations of one partner fell silent together",
			Technique: techniqueBlind, Severity: ocsf.SeverityHigh, Confidence: 70, Outcome: ocsf.OutcomeUnknown, Count: g.sensors[id],
		}
		if g.warming || len(g.tenants) < 3 {
			f.Severity = ocsf.SeverityMedium
		}
		if g.warming {
			f.Confidence = 40
		}
		parts := []string{
			fmt.Sprintf("%s has sent nothing since %s", sensorName(s), stamp(s.Since)),
			fmt.Sprintf("sensors of %d organisations to which %s has access fell silent within %s, and others go on", len(g.tenants), name, shortMinutes(TogetherWithin)),
		}
		if g.warming {
			parts = append(parts, "some of the sensors have been heard for less than a week, so their rhythm isn't known well")
		}
		f.Reason = strings.Join(parts, "; ")
		f.AddEntity(ocsf.EntityService, s.Sensor, ocsf.RoleTarget)
		f.Identify(s.Since, string(p.ID))
		out = append(out, f)
	}
	return out
}

func shortMinutes(d time.Duration) string { return fmt.Sprintf("%d minutes", int(d.Minutes())) }
