package training

import (
	"errors"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// result is what one person did with one simulated message.
type result struct {
	campaign, team                               string
	sent, reportedAt                             time.Time
	delivered, opened, clicked, entered, reports bool
	knowsOpened, knowsEntered, knowsReports      bool
}

// item makes a fact of a result. Who entered something has clicked, and who clicked has opened.
func (r *result) item(person string, at time.Time) (evidence.Item, error) {
	v := map[string]any{"delivered": r.delivered, "clicked": r.clicked || r.entered}
	if err := errors.Join(put(v, "campaign", r.campaign), put(v, "team", r.team)); err != nil {
		return evidence.Item{}, err
	}
	if r.knowsOpened {
		v["opened"] = r.opened || r.clicked || r.entered
	}
	if r.knowsEntered {
		v["entered"] = r.entered
	}
	if r.knowsReports {
		v["reported"] = r.reports
	}
	if !r.sent.IsZero() {
		v["sent_at"], at = r.sent.UTC(), r.sent.UTC()
		if d := r.reportedAt.Sub(r.sent); r.reports && !r.reportedAt.IsZero() && d >= 0 {
			v["report_minutes"] = d.Minutes()
		}
	}
	return evidence.Item{Kind: KindSimulationResult, Subject: person, At: at, Values: v}, nil
}

// gophishStatus takes what GoPhish calls the state of a recipient; its states are steps, each of which implies those
// before. Source: GoPhish, models/models.go (event names).
func (r *result) gophishStatus(status string) error {
	switch strings.ToLower(strings.TrimSpace(status)) {
	case "submitted data", "success":
		r.entered, r.clicked, r.opened, r.delivered = true, true, true, true
	case "clicked link":
		r.clicked, r.opened, r.delivered = true, true, true
	case "email opened":
		r.opened, r.delivered = true, true
	case "email sent", "email reported":
		r.delivered = true
	case "sending", "scheduled", "queued", "retrying", "error", "error sending email", "unknown", "":
	default:
		return errors.New("a status that GoPhish has not")
	}
	return nil
}

var simulations = &tableReader{
	columns: map[string][]string{"mail": mailColumns, "team": append([]string{"position"}, teamColumns...), "campaign": campaignColumns, "status": {"status"},
		"sent": sentColumns, "opened": openedColumns, "clicked": clickedColumns, "entered": enteredColumns, "reported": reportedColumns},
	row: func(in *evidence.Input, at columns, cells []string) (evidence.Item, error) {
		who, err := at.person(in, cells)
		if err != nil {
			return evidence.Item{}, err
		}
		r := result{campaign: at.cell("campaign", cells), team: at.cell("team", cells)}
		if r.campaign == "" {
			r.campaign, _ = campaignOf(in.Name) // GoPhish writes a file a campaign and names it nowhere inside
		}
		if at.in["clicked"] < 0 { // GoPhish
			if err := r.gophishStatus(at.cell("status", cells)); err != nil {
				return evidence.Item{}, err
			}
			r.knowsOpened, r.knowsEntered = true, true
		} else {
			known := false
			if r.clicked, known, _ = happened(at, "clicked", cells); !known {
				return evidence.Item{}, errors.New("the cell for clicks does not say whether the link was clicked")
			}
			r.opened, r.knowsOpened, _ = happened(at, "opened", cells)
			r.entered, r.knowsEntered, _ = happened(at, "entered", cells)
			delivered, says, _ := happened(at, "sent", cells)
			r.delivered = delivered || !says || r.clicked || r.entered
		}
		r.reports, r.knowsReports, r.reportedAt = happened(at, "reported", cells)
		if t, ok := when(at.cell("sent", cells)); ok {
			r.sent = t
		}
		return r.item(who, in.At)
	},
}

// simulationTable is a table of results of simulated phishing: GoPhish's own, or one with a column for clicks.
var simulationTable = evidence.Format{
	Name:  "phishing-simulation",
	About: "results of simulated phishing as a table: GoPhish's results, or any with columns for address and clicks",
	Recognise: func(_ string, head []byte) bool {
		h := decode.HeaderOf(head)
		return has(h, mailColumns) && (has(h, clickedColumns) || h.Has("status", "send_date", "reported"))
	},
	Read: simulations.read,
}

// stem is a file's name without folders, archive and extension, and without what a browser adds to a second download.
func stem(name string) string {
	name = name[strings.LastIndexAny(name, "/\\!")+1:]
	for _, ext := range [...]string{".gz", ".zst", ".csv", ".json", ".jsonl", ".txt"} {
		name = strings.TrimSuffix(name, ext)
	}
	if before, number, ok := cutLast(name, " ("); ok && strings.Trim(number, "0123456789") == ")" {
		name = before
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// campaignOf is the campaign that a file of GoPhish's is called after: "NAME - Results.csv" and "NAME - Events.csv", with
// which what both say of one message comes together; exact is false where the file is called otherwise.
// Source: GoPhish, static/js/src/app/campaign_results.js (exportAsCSV).
func campaignOf(file string) (name string, exact bool) {
	name = stem(file)
	for _, scope := range [...]string{" - Results", " - Events"} {
		if before, ok := strings.CutSuffix(name, scope); ok && strings.TrimSpace(before) != "" {
			return strings.TrimSpace(before), true
		}
	}
	return name, false
}
