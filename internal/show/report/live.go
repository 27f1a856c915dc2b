package report

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

//go:embed live.css
var liveCSS string

//go:embed live.js
var liveJS string

// LiveRows is how many findings a live page shows unless Options says otherwise: it is drawn anew with each change.
const LiveRows = 300

// LivePolicy is the Content-Security-Policy of a live page, for the header of the answer: as the report's, with one
// address more to ask, our own, and one form, the logout's. Markup is parsed by one named policy (Trusted Types).
var LivePolicy = livePolicy + "; frame-ancestors 'none'"

var livePolicy = "default-src 'none'; style-src '" + hash(css+liveCSS) + "'; script-src '" + hash(js+liveJS) +
	"'; img-src data:; connect-src 'self'; require-trusted-types-for 'script'; trusted-types breakwater; base-uri 'none'; form-action 'self'"

// LiveOptions are what a live page shows beside the result.
type LiveOptions struct {
	Options
	Version  uint64    // of the result: where the watch tells another, the page fetches itself anew
	At       time.Time // when it was drawn
	Who      string    // who is logged in
	Role     string
	Fragment bool // only what a page on screen takes in: no style, no script
	Held     bool // there is a page of held mail to lead to
	Posture  bool // likewise of posture
}

// Live writes the page of a result that goes on: the report's page, which keeps itself up to date by the server-sent
// events of /api/v1/watch. The result may be nil while nothing is concluded yet.
func Live(w io.Writer, res *campaign.Result, model *tenant.Model, opt LiveOptions) error {
	if res == nil {
		res = &campaign.Result{}
	}
	if model == nil {
		model = &tenant.Model{}
	}
	if opt.Title == "" {
		opt.Title = "Constant watch"
	}
	if opt.MaxRows <= 0 {
		opt.MaxRows = LiveRows
	}
	p, err := newPage(res, model, opt.Options)
	if err != nil {
		return err
	}
	p.Live, p.Fragment = &opt, opt.Fragment
	p.Policy = template.HTMLAttr(`content="` + livePolicy + `"`)
	p.CSS, p.JS = template.CSS(css+liveCSS), template.JS(js+liveJS)
	return p.write(w)
}
