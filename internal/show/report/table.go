package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// tableWidth is the most columns that Table uses.
const tableWidth = 100

// The most rows of each list in a terminal; the rest is in the other outputs, and the table says how many.
const (
	mostIncidents = 25
	mostTopRules  = 15
	mostUnparsed  = 15
	mostNotes     = 20
	mostColumns   = 1200 // of one value or paragraph
)

// Table writes the answer for a terminal, at most 100 columns wide: the five questions of each campaign and what
// it did to each tenant, then incidents, counts of findings, coverage gaps, unparsed records and notes. Colours
// are used only where color is set; every word stands without them.
func Table(w io.Writer, res *campaign.Result, model *tenant.Model, color bool) error {
	if model == nil {
		model = &tenant.Model{}
	}
	t := &terminal{names: namer{model}, color: color}
	t.head(res)
	for i := range res.Campaigns {
		t.campaign(&res.Campaigns[i])
	}
	if len(res.Campaigns) == 0 {
		c := t.names.calm(res)
		t.title("NO CAMPAIGN", "")
		t.para("  ", c.Statement)
		for _, v := range c.Caveats {
			t.para("  ", v)
		}
	}
	t.incidents(res)
	t.findings(res)
	t.coverage(res, model)
	t.unparsed(res)
	t.notes(res)
	_, err := w.Write(t.buf.Bytes()) // every cell went through plain; the escapes left are our colours
	return err
}

// terminal collects the lines of a table.
type terminal struct {
	buf   bytes.Buffer
	names namer
	color bool
}

// The SGR sequences, chosen to read on dark and light backgrounds.
const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	yellow = "33"
	blue   = "34"
	green  = "32"
)

func (t *terminal) paint(code, s string) string {
	if !t.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func outcomeColor(o string) string {
	switch campaign.Outcome(o) {
	case campaign.Succeeded:
		return red
	case campaign.Attempted:
		return yellow
	case campaign.Exposed:
		return blue
	case campaign.Clear:
		return green
	}
	return dim
}

func severityColor(s string) string {
	switch s {
	case "critical", "high":
		return red
	case "medium":
		return yellow
	}
	return ""
}

func (t *terminal) line(s string) { t.buf.WriteString(strings.TrimRight(s, " ") + "\n") }

// title starts a block: an empty line, a word in capitals and what it is about.
func (t *terminal) title(word, about string) {
	t.line("")
	if about == "" {
		t.line(t.paint(bold, word))
		return
	}
	for i, l := range wrap(clip(plain(about), mostColumns), tableWidth-width(word)-2) {
		if i == 0 {
			t.line(t.paint(bold, word) + "  " + l)
		} else {
			t.line(strings.Repeat(" ", width(word)+2) + l)
		}
	}
}

// para writes wrapped text; lines after the first are indented as far as the lead is wide.
func (t *terminal) para(lead, s string) {
	for i, l := range wrap(clip(plain(s), mostColumns), tableWidth-width(lead)) {
		if i > 0 {
			lead = strings.Repeat(" ", width(lead))
		}
		t.line(lead + l)
	}
}

// column is one column of a table; Most limits its width (0: what is left of the line, wrapped).
type column struct {
	Head  string
	Most  int
	Color func(string) string
}

// rows writes a table. Cells of limited columns are clipped, the last column wraps.
func (t *terminal) rows(cols []column, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	wide := make([]int, len(cols))
	left := tableWidth - 2
	for i, c := range cols {
		wide[i] = width(c.Head)
		for _, r := range rows {
			r[i] = clip(plain(r[i]), mostColumns)
			wide[i] = max(wide[i], width(r[i]))
		}
		if c.Most > 0 {
			wide[i] = min(wide[i], max(c.Most, width(c.Head)))
			left -= wide[i] + 2
		} else {
			wide[i] = left
		}
	}
	head := "  "
	for i, c := range cols {
		head += pad(c.Head, wide[i]) + "  "
	}
	t.line(t.paint(dim, strings.TrimRight(head, " ")))
	for _, r := range rows {
		lines := [][]string{}
		for i, c := range cols {
			if c.Most > 0 {
				lines = append(lines, []string{clip(r[i], wide[i])})
			} else {
				lines = append(lines, wrap(r[i], wide[i]))
			}
		}
		deep := 0
		for _, l := range lines {
			deep = max(deep, len(l))
		}
		for k := range deep {
			s := "  "
			for i, c := range cols {
				v := ""
				if k < len(lines[i]) {
					v = lines[i][k]
				}
				cellText := pad(v, wide[i])
				if c.Color != nil && v != "" {
					cellText = t.paint(c.Color(r[i]), v) + strings.Repeat(" ", wide[i]-width(v))
				}
				s += cellText + "  "
			}
			t.line(s)
		}
	}
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

func (t *terminal) head(res *campaign.Result) {
	t.para("", fmt.Sprintf("%s, %s, %s. Read %s.", count(len(res.Campaigns), "campaign", "campaigns"),
		count(len(res.Incidents), "incident", "incidents"), count(standing(totals(res)), "finding", "findings"), read(res)))
	t.para("", "Time span "+span(res)+".")
}

func (t *terminal) campaign(c *campaign.Campaign) {
	about := c.ID
	if c.Partner != "" {
		about += "  through " + t.names.partner(c.Partner)
	}
	t.title("CAMPAIGN", about)
	if c.Summary != "" {
		t.para("  ", c.Summary)
	}
	a := t.names.answers(c)
	for _, qa := range [][2]string{{"Who through whom?", a.Who}, {"Where did it start?", a.Where}, {"Which clients?", a.Which},
		{"Since when?", a.Since}, {"Who has been told?", strings.TrimSuffix(a.Told, ".") + ", which -o html shows."}} {
		for i, l := range wrap(plain(qa[1]), tableWidth-23) {
			if i == 0 {
				t.line("  " + t.paint(bold, pad(qa[0], 19)) + "  " + l)
			} else {
				t.line(strings.Repeat(" ", 23) + l)
			}
		}
	}
	t.line("")
	var rows [][]string
	for _, o := range outcomes {
		for _, x := range c.Tenants {
			if x.Outcome == o {
				rows = append(rows, []string{string(x.Tenant), string(o), second(x.Since), string(x.Trust), x.Reason})
			}
		}
	}
	t.rows([]column{{Head: "TENANT", Most: 20}, {Head: "OUTCOME", Most: 9, Color: outcomeColor}, {Head: "SINCE (UTC)", Most: 19},
		{Head: "TRUST", Most: 16}, {Head: "WHY"}}, rows)
	for _, j := range c.JoinedBy {
		s := j.Kind + " " + j.Value
		if j.Reason != "" {
			s += ": " + j.Reason
		}
		t.para("  joined by ", s)
	}
}

func (t *terminal) incidents(res *campaign.Result) {
	if len(res.Incidents) == 0 {
		return
	}
	t.title("INCIDENTS", "those of campaigns first, then the most severe")
	worst := slices.Clone(res.Incidents)
	slices.SortStableFunc(worst, func(a, b campaign.Incident) int {
		if (a.Campaign != "") != (b.Campaign != "") {
			if a.Campaign != "" {
				return -1
			}
			return 1
		}
		return int(b.Severity) - int(a.Severity)
	})
	var rows [][]string
	for i, n := range worst {
		if i == mostIncidents {
			break
		}
		what := n.Title
		if back := t.names.traced(n.Trace); back != "" {
			what += "; " + back
		}
		rows = append(rows, []string{second(n.Start), string(n.Tenant), n.Severity.String(), string(n.Outcome),
			fmt.Sprint(len(n.Findings)), what})
	}
	t.rows([]column{{Head: "START (UTC)", Most: 19}, {Head: "TENANT", Most: 18}, {Head: "SEVERITY", Most: 13, Color: severityColor},
		{Head: "OUTCOME", Most: 9, Color: outcomeColor}, {Head: "N", Most: 5}, {Head: "WHAT"}}, rows)
	t.more(len(res.Incidents)-mostIncidents, "incident", "incidents")
}

func (t *terminal) more(n int, one, many string) {
	if n > 0 {
		t.line("  and " + count(n, "more "+one, "more "+many) + "; -o json has them all")
	}
}

func (t *terminal) findings(res *campaign.Result) {
	sum := totals(res)
	s := count(standing(sum), "finding", "findings")
	if by := severities(sum); by != "" {
		s += ": " + by
	}
	if sum.Suppressed > 0 {
		s += "; " + count(sum.Suppressed, "more is approved and not counted", "more are approved and not counted")
	}
	t.title("FINDINGS", s)
	type kind struct {
		rule, title string
		severity    ocsf.Severity
		n           int
		tenants     map[tenant.ID]bool
	}
	kinds := map[string]*kind{}
	for _, f := range res.List {
		if f.Suppressed != nil {
			continue
		}
		k := kinds[f.Rule]
		if k == nil {
			k = &kind{rule: f.Rule, title: f.Title, tenants: map[tenant.ID]bool{}}
			kinds[f.Rule] = k
		}
		k.n++
		k.severity = max(k.severity, f.Severity)
		k.tenants[f.Tenant] = true
	}
	var order []*kind
	for _, k := range kinds {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b *kind) int {
		if a.severity != b.severity {
			return int(b.severity) - int(a.severity)
		}
		if a.n != b.n {
			return b.n - a.n
		}
		return strings.Compare(a.rule, b.rule)
	})
	var rows [][]string
	for i, k := range order {
		if i == mostTopRules {
			break
		}
		rows = append(rows, []string{k.severity.String(), grouped(int64(k.n)), grouped(int64(len(k.tenants))), k.rule, k.title})
	}
	t.rows([]column{{Head: "SEVERITY", Most: 13, Color: severityColor}, {Head: "N", Most: 7}, {Head: "TENANTS", Most: 7},
		{Head: "RULE", Most: 28}, {Head: "WHAT"}}, rows)
	t.more(len(order)-mostTopRules, "rule", "rules")
}

func (t *terminal) coverage(res *campaign.Result, model *tenant.Model) {
	blind := gaps(res, model)
	if len(blind) == 0 {
		t.title("COVERAGE", "every tenant sent telemetry on all five layers")
		return
	}
	t.title("COVERAGE GAPS", "layers that sent nothing: there an intruder would not be seen")
	var rows [][]string
	for _, g := range blind {
		rows = append(rows, []string{string(g.Tenant), layers(g.Layers)})
	}
	t.rows([]column{{Head: "TENANT", Most: 24}, {Head: "BLIND"}}, rows)
}

func (t *terminal) unparsed(res *campaign.Result) {
	if len(res.Unparsed) == 0 {
		return
	}
	t.title("UNPARSED", count(unread(res), "record", "records")+" could not be read")
	var rows [][]string
	for i, u := range res.Unparsed {
		if i == mostUnparsed {
			break
		}
		rows = append(rows, []string{grouped(u.Count), u.File, u.Reason})
	}
	t.rows([]column{{Head: "N", Most: 9}, {Head: "FILE", Most: 48}, {Head: "REASON"}}, rows)
	t.more(len(res.Unparsed)-mostUnparsed, "row", "rows")
}

func (t *terminal) notes(res *campaign.Result) {
	if len(res.Notes) == 0 {
		return
	}
	t.title("NOTES", "")
	for i, n := range res.Notes {
		if i == mostNotes {
			break
		}
		t.para("  - ", n)
	}
	t.more(len(res.Notes)-mostNotes, "note", "notes")
}
