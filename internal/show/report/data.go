package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// JSON writes the result as one indented object (docs/schema/result.schema.json) and a line end. Lists are
// never null and times are UTC.
func JSON(w io.Writer, res *campaign.Result) error {
	b, err := json.MarshalIndent(normal(res), "", "  ")
	if err != nil {
		return err
	}
	return write(w, append(b, '\n'))
}

// JSONL writes every finding, suppressed ones too, as one JSON object a line (docs/schema/finding.schema.json).
func JSONL(w io.Writer, res *campaign.Result) error {
	for _, f := range res.List {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := write(w, append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

var csvHeader = []string{"id", "time", "end", "tenant", "trust", "partner", "layer", "detector", "rule", "title", "technique",
	"severity", "confidence", "outcome", "entities", "reason", "count", "evidence",
	"suppressed_by", "suppressed_owner", "suppressed_reason", "suppressed_until", "snapshot"}

// CSV writes every finding as one row under a header row (RFC 4180). A cell that a spreadsheet would read as a
// formula gets a leading apostrophe.
func CSV(w io.Writer, res *campaign.Result) error {
	var buf bytes.Buffer
	out := csv.NewWriter(&buf)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	for _, f := range res.List {
		if err := out.Write(csvRow(f)); err != nil {
			return err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	return write(w, buf.Bytes())
}

func csvRow(f *ocsf.Finding) []string {
	entities := make([]string, len(f.Entities))
	for i, e := range f.Entities {
		entities[i] = string(e.Type) + ":" + e.Value
	}
	evidence := make([]string, len(f.Evidence))
	for i, e := range f.Evidence {
		evidence[i] = e.File + "#" + strconv.FormatInt(e.Record, 10)
	}
	row := []string{f.ID, stamp(f.Time), stamp(f.End), string(f.Tenant), string(f.Trust), string(f.Partner), string(f.Layer),
		f.Detector, f.Rule, f.Title, string(f.Technique), f.Severity.String(), strconv.Itoa(f.Confidence), string(f.Outcome),
		strings.Join(entities, "; "), f.Reason, strconv.Itoa(f.Count), strings.Join(evidence, "; "), "", "", "", "", f.Snapshot}
	if s := f.Suppressed; s != nil {
		copy(row[18:], []string{s.By, s.Owner, s.Reason, stamp(s.Until)})
	}
	for i, c := range row {
		row[i] = cell(c)
	}
	return row
}

// cell disarms a spreadsheet formula (OWASP, CSV injection); full-width signs count, since some programs fold them.
func cell(s string) string {
	p := plain(s)
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return "'" + p
	}
	return p
}

// normal returns a copy of the result as JSON promises it, totals counted where the caller left them out.
func normal(res *campaign.Result) *campaign.Result {
	r := res.Complete()
	r.Findings = totals(res)
	return r
}

// totals returns the result's totals, or counts them where the caller left them empty; every severity is named.
func totals(res *campaign.Result) campaign.FindingTotals {
	t := campaign.FindingTotals{Total: res.Findings.Total, Suppressed: res.Findings.Suppressed, BySeverity: map[string]int{}}
	for s := ocsf.SeverityInformational; s <= ocsf.SeverityCritical; s++ {
		t.BySeverity[s.String()] = 0
	}
	for name, n := range res.Findings.BySeverity {
		t.BySeverity[name] = n
	}
	if t.Total != 0 || t.Suppressed != 0 {
		return t
	}
	for _, f := range res.List {
		t.Total++
		if f.Suppressed != nil {
			t.Suppressed++
			continue
		}
		t.BySeverity[f.Severity.String()]++
	}
	return t
}

// standing is how many findings nobody approved: what a reader means by their number.
func standing(t campaign.FindingTotals) (n int) {
	for _, k := range t.BySeverity {
		n += k
	}
	return n
}

// gap is a tenant with the layers that sent nothing.
type gap struct {
	Tenant tenant.ID
	Layers []tenant.Layer
}

// gaps lists what was blind over the whole input: no event of that tenant and layer.
func gaps(res *campaign.Result, model *tenant.Model) []gap {
	type key struct {
		t tenant.ID
		l tenant.Layer
	}
	seen := map[key]int64{}
	for _, c := range res.Coverage {
		seen[key{c.Tenant, c.Layer}] += c.Events
	}
	var out []gap
	for _, id := range tenantsOf(res, model) {
		g := gap{Tenant: id}
		for _, l := range tenant.Layers {
			if seen[key{id, l}] == 0 {
				g.Layers = append(g.Layers, l)
			}
		}
		if len(g.Layers) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// tenantsOf lists every tenant: the declared ones in their order, then others that the result names, by id.
func tenantsOf(res *campaign.Result, model *tenant.Model) []tenant.ID {
	var ids, more []tenant.ID
	for _, t := range model.Tenants {
		ids = append(ids, t.ID)
	}
	add := func(id tenant.ID) {
		if id != "" && !slices.Contains(ids, id) && !slices.Contains(more, id) {
			more = append(more, id)
		}
	}
	for _, c := range res.Coverage {
		add(c.Tenant)
	}
	for _, m := range res.Matrix {
		add(m.Tenant)
	}
	for _, c := range res.Campaigns {
		for _, t := range c.Tenants {
			add(t.Tenant)
		}
	}
	for _, n := range res.Incidents {
		add(n.Tenant)
	}
	slices.Sort(more)
	return append(ids, more...)
}
