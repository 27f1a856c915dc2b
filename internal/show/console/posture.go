package console

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

//go:embed posture.html
var postureHTML string

//go:embed posture.css
var ownPostureCSS string

// postureCSS is what the pages of held mail have, and more.
var postureCSS = quarantineCSS + ownPostureCSS

// posturePolicy allows the one style and the logout. Nothing runs on the page, and nothing is loaded.
var posturePolicy = "default-src 'none'; style-src '" + hash(postureCSS) + "'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

var pillarNames = map[evidence.Pillar]string{
	evidence.PillarRemoteAccess: "Remote access", evidence.PillarNetwork: "Network", evidence.PillarTraining: "Training", evidence.PillarBackup: "Backup",
}

var postureTemplate = template.Must(template.New("posture").Funcs(template.FuncMap{
	"p":    quarantine.Printable,
	"when": func(t *time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"day": func(t any) string {
		switch t := t.(type) {
		case time.Time:
			return t.UTC().Format(time.DateOnly)
		case *time.Time:
			return t.UTC().Format(time.DateOnly)
		}
		return ""
	},
	"days": func(n int) string {
		if n == 1 {
			return "1 day"
		}
		return strconv.Itoa(n) + " days"
	},
	"div": func(a, b int) int { return a / b },
	"pillars": func() []string {
		out := make([]string, len(evidence.Pillars))
		for i, p := range evidence.Pillars {
			out[i] = pillarNames[p]
		}
		return out
	},
	"pillar":   func(p evidence.Pillar) string { return pillarNames[p] },
	"held":     heldShare,
	"tally":    tally,
	"place":    factPlace,
	"settings": settingsText,
	"spark":    spark,
	"moved":    moved,
	"strip":    strip,
}).Parse(postureHTML))

// heldShare says how many of a pillar's controls hold.
func heldShare(counts map[posture.Status]int) string {
	all := 0
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return "no controls"
	}
	return fmt.Sprintf("%d of %d hold", counts[posture.Pass]+counts[posture.Excepted], all)
}

func tally(counts map[posture.Status]int) string {
	var parts []string
	for _, s := range posture.Statuses {
		if counts[s] > 0 {
			parts = append(parts, strconv.Itoa(counts[s])+" "+string(s))
		}
	}
	return strings.Join(parts, ", ")
}

// factPlace says where a fact was read.
func factPlace(i api.PostureItem) string {
	switch {
	case i.File == "":
		return "telemetry"
	case i.Line == 0:
		return quarantine.Printable(i.File)
	}
	return quarantine.Printable(i.File) + ":" + strconv.FormatInt(i.Line, 10)
}

func settingsText(m map[string]any) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m) // in the order of their names
	if err != nil {
		return ""
	}
	return string(b)
}

// sparkline is the trend of a pillar: lines over days that were judged one after another, and dots for single ones and
// the newest.
type sparkline struct {
	Lines []string
	Dots  []point
	Says  string
}

type point struct{ X, Y string }

// spark draws 90 days from left to right, the newest at the right edge; nil where nothing is known.
func spark(t api.PostureTrend) *sparkline {
	n := len(t.Days)
	if n == 0 {
		return nil
	}
	s := &sparkline{}
	var line []point
	end := func() {
		switch {
		case len(line) == 1:
			s.Dots = append(s.Dots, line[0])
		case len(line) > 1:
			var b strings.Builder
			for i, p := range line {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(p.X + "," + p.Y)
			}
			s.Lines = append(s.Lines, b.String())
		}
		line = nil
	}
	for i, v := range t.Days {
		if v == nil {
			end()
			continue
		}
		x := 90 - float64(n-1-i)*88/89 - 1
		line = append(line, point{number(x), number(18 - 16*min(1, max(0, *v)))})
	}
	last := t.Days[n-1]
	if last != nil && len(line) > 1 {
		s.Dots = append(s.Dots, line[len(line)-1])
	}
	end()
	if last != nil {
		s.Says = fmt.Sprintf("%.0f %% of the controls hold", *last*100)
		if t.Change30 != nil {
			s.Says += fmt.Sprintf(", %+.0f points in 30 days", *t.Change30*100)
		}
		if t.Change90 != nil {
			s.Says += fmt.Sprintf(", %+.0f in 90", *t.Change90*100)
		}
	}
	return s
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// movement is how a share changed.
type movement struct{ Way, Says string }

// moved words a change within 30 days; nil where there is none to tell of.
func moved(change *float64) *movement {
	if change == nil {
		return nil
	}
	points := int(math.Round(*change * 100))
	switch {
	case points > 0:
		return &movement{"up", fmt.Sprintf("\u25b2 %d in 30 d", points)}
	case points < 0:
		return &movement{"down", fmt.Sprintf("\u25bc %d in 30 d", -points)}
	}
	return &movement{"", "as 30 d ago"}
}

// dayStrip is how a control stood day by day.
type dayStrip struct {
	Runs []dayRun
	Says string
}

type dayRun struct {
	Status     posture.Status
	X, Y, W, H int
}

// strip draws 90 days of four units each; what fails stands higher than what holds, so that colour is not all that
// tells. Days that were not judged are left out.
func strip(days []posture.Status) *dayStrip {
	if len(days) == 0 {
		return nil
	}
	s := &dayStrip{}
	heights := map[posture.Status]int{posture.Fail: 12, posture.Stale: 9, posture.Unknown: 3, posture.Excepted: 5, posture.Pass: 6}
	counts := map[posture.Status]int{}
	for i, d := range days {
		if heights[d] == 0 {
			continue
		}
		counts[d]++
		x := (90 - len(days) + i) * 4
		if k := len(s.Runs) - 1; k >= 0 && s.Runs[k].Status == d && s.Runs[k].X+s.Runs[k].W == x {
			s.Runs[k].W += 4
			continue
		}
		s.Runs = append(s.Runs, dayRun{d, x, 12 - heights[d], 4, heights[d]})
	}
	s.Says = "days: " + tally(counts)
	return s
}

// posturePage is what both pages have.
type posturePage struct {
	Title string
	CSS   template.CSS
	Top   bool
}

type boardPage struct {
	posturePage
	api.PostureBoardView
}

type tenantPage struct {
	posturePage
	api.PostureTenantView
}

// Controls are those of one pillar, in the order in which they were judged: worst first.
func (t tenantPage) Controls(p evidence.Pillar) []api.PostureControl {
	var out []api.PostureControl
	for _, c := range t.Of.Controls {
		if c.Pillar == p {
			out = append(out, c)
		}
	}
	return out
}

// Age says how long ago a time was, when the page was drawn.
func (t tenantPage) Age(at *time.Time) string {
	d := t.At.Sub(*at)
	switch days := int(d / (24 * time.Hour)); {
	case d < -24*time.Hour:
		return "in the future"
	case days < 1:
		return "today"
	case days == 1:
		return "1 day old"
	default:
		return strconv.Itoa(days) + " days old"
	}
}

// PostureBoard draws tenants by the four pillars.
func (p *Pages) PostureBoard(v api.PostureBoardView) (api.Page, error) {
	return drawPosture("board", boardPage{posturePage{"Posture - Breakwater", template.CSS(postureCSS), true}, v})
}

// PostureTenant draws one tenant's controls with what is behind them.
func (p *Pages) PostureTenant(v api.PostureTenantView) (api.Page, error) {
	title := "Posture - Breakwater"
	if v.Found {
		title = quarantine.Printable(v.Of.Name) + " - posture - Breakwater"
	}
	return drawPosture("tenant", tenantPage{posturePage{title, template.CSS(postureCSS), false}, v})
}

func drawPosture(name string, data any) (api.Page, error) {
	var buf bytes.Buffer
	if err := postureTemplate.ExecuteTemplate(&buf, name, data); err != nil {
		return api.Page{}, fmt.Errorf("drawing the page of posture: %w", err)
	}
	return api.Page{Body: buf.Bytes(), Policy: posturePolicy}, nil
}
