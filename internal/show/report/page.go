package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

//go:embed page.css
var css string

//go:embed page.js
var js string

//go:embed page.html
var pageHTML string

// MaxRows is how many findings the page shows unless Options says otherwise; it tells how many there are.
const MaxRows = 5000

// Options are what a caller may set of the page; the zero value is good.
type Options struct {
	Title   string    // shown at the top; "" says Breakwater report
	Version string    // of the program, for the foot of the page
	Made    time.Time // when it was written, for the foot; zero: not said
	MaxRows int       // findings shown at most; 0: MaxRows
	Posture *Doors    // whether doors were locked; nil: nobody judged
	Traced  []Traced  // ways in which sources of incidents may have come; nil: the likeliest alone is shown, as the result has it
}

// policy is the page's Content-Security-Policy: nothing but the one style and the one script, by hash (CSP 3 §6.7).
var policy = "default-src 'none'; style-src '" + hash(css) + "'; script-src '" + hash(js) +
	"'; img-src data:; require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'"

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"minute": minute, "second": second, "stamp": stamp, "plain": plain, "spaced": spaced, "entity": entity, "layers": layers,
	"grouped": func(n any) string {
		switch n := n.(type) {
		case int:
			return grouped(int64(n))
		case int64:
			return grouped(n)
		}
		return ""
	},
	"add":      func(a, b int) int { return a + b },
	"laneText": func(l lane, i int) int { return l.Y + 17 + 15*i },
	"dict": func(kv ...any) map[string]any {
		m := make(map[string]any, len(kv)/2)
		for i := 0; i+1 < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	},
}).Parse(pageHTML))

// HTML writes report.html: one file that needs nothing else, works without script and on paper, and runs only
// the style and script whose hashes its Content-Security-Policy names.
func HTML(w io.Writer, res *campaign.Result, model *tenant.Model, opt Options) error {
	if model == nil {
		model = &tenant.Model{}
	}
	p, err := newPage(res, model, opt)
	if err != nil {
		return err
	}
	return p.write(w)
}

func (p *page) write(w io.Writer) error {
	var buf bytes.Buffer
	if err := pageTemplate.Execute(&buf, p); err != nil {
		return err
	}
	return write(w, buf.Bytes())
}

// page is everything that the template shows.
type page struct {
	Opt         Options
	Live        *LiveOptions // nil for a report that stands by itself
	Fragment    bool         // what the page on screen takes in, without style and script
	Policy      template.HTMLAttr
	CSS         template.CSS
	JS          template.JS
	Data        template.JS
	Res         *campaign.Result
	Span, Read  string
	Totals      campaign.FindingTotals
	Standing    int // findings that nobody approved
	Severities  string
	Names       map[tenant.ID]string
	Tenants     []tenant.ID
	Campaigns   []campaignView
	Calm        *calm
	Doors       *doorsView // nil: nobody judged posture
	Layers      []tenant.Layer
	Matrix      []matrixView
	Meaning     []meaningView
	Findings    []findingView
	Left        int // findings not shown
	Approved    []findingView
	ApprovedN   int
	Evidence    int // records shown a finding
	Blind       int // layers without telemetry
	Sources     []tracedView
	SourcesLeft int               // traces whose ways are not shown
	Led         map[string]string // incident → the first of its traces whose ways are shown
	names       namer
}

type campaignView struct {
	*campaign.Campaign
	Headline string
	Answers  answers
	Told     []telling
	Graph    *graph
	Quiet    []campaign.TenantOutcome // concerned, but no hop leads there
	Timeline []momentView
	More     int // timeline entries not shown
	Scope    []campaign.TenantOutcome
}

// momentView is one entry of a timeline: a hop, or a finding that no hop carries.
type momentView struct {
	Ref     string
	N       int
	Time    time.Time
	Hop     *campaign.Hop
	Finding *ocsf.Finding
	Shape   string
	Crosses bool
}

type matrixView struct {
	Tenant tenant.ID
	Cells  []campaign.MatrixRow
}

type meaningView struct {
	Word  campaign.Outcome
	Means string
}

type findingView struct {
	*ocsf.Finding
	Shown []ocsf.Evidence
	More  int
	Text  string // what search looks in, lower case
}

func newPage(res *campaign.Result, model *tenant.Model, opt Options) (*page, error) {
	if opt.Title == "" {
		opt.Title = "Breakwater report"
	}
	if opt.MaxRows <= 0 {
		opt.MaxRows = MaxRows
	}
	n := namer{model}
	clean := normal(res)
	p := &page{Opt: opt, Policy: template.HTMLAttr(`content="` + policy + `"`), CSS: template.CSS(css), JS: template.JS(js),
		Res: clean, Span: span(res), Read: read(res), Totals: clean.Findings, Standing: standing(clean.Findings), Severities: severities(clean.Findings),
		Names: map[tenant.ID]string{"": "outside"}, Tenants: tenantsOf(res, model), Layers: tenant.Layers, names: n}
	for _, id := range p.Tenants {
		p.Names[id] = n.tenant(id)
	}
	for _, o := range outcomes {
		p.Meaning = append(p.Meaning, meaningView{o, meaning[o]})
	}
	for i := range clean.Campaigns {
		p.Campaigns = append(p.Campaigns, newCampaign(n, clean, &clean.Campaigns[i]))
	}
	if len(p.Campaigns) == 0 {
		c := n.calm(res)
		p.Calm = &c
	}
	p.Doors = newDoors(opt.Posture)
	p.ways(clean, opt.Traced)
	p.matrix(clean)
	p.findings(clean)
	return p, p.data(clean)
}

// matrix fills every cell; one that the result does not state is clear only where telemetry exists.
func (p *page) matrix(res *campaign.Result) {
	type key struct {
		t tenant.ID
		l tenant.Layer
	}
	stated, events := map[key]campaign.MatrixRow{}, map[key]int64{}
	for _, m := range res.Matrix {
		stated[key{m.Tenant, m.Layer}] = m
	}
	for _, c := range res.Coverage {
		events[key{c.Tenant, c.Layer}] += c.Events
	}
	for _, id := range p.Tenants {
		row := matrixView{Tenant: id}
		for _, l := range tenant.Layers {
			m, ok := stated[key{id, l}]
			if !ok {
				m = campaign.MatrixRow{Tenant: id, Layer: l, Outcome: campaign.Clear, Events: events[key{id, l}]}
				if m.Events == 0 {
					m.Outcome = campaign.Blind
				}
			}
			if events[key{id, l}] == 0 && m.Events == 0 {
				p.Blind++
			}
			row.Cells = append(row.Cells, m)
		}
		p.Matrix = append(p.Matrix, row)
	}
}

// data writes the JSON block: the result and the findings that the page shows, for export and for other programs.
func (p *page) data(res *campaign.Result) error {
	list := make([]*ocsf.Finding, 0, len(p.Findings)+len(p.Approved))
	for _, rows := range [][]findingView{p.Findings, p.Approved} {
		for _, v := range rows {
			f := *v.Finding
			f.Evidence = v.Shown
			list = append(list, &f)
		}
	}
	b, err := json.Marshal(struct {
		Result   *campaign.Result `json:"result"`
		Findings []*ocsf.Finding  `json:"findings"`
		Of       int              `json:"of"`
	}{res, list, len(res.List)})
	p.Data = template.JS(b) // Marshal writes <, > and & as \u003c, \u003e and \u0026
	return err
}
