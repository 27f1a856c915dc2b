package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Names that columns have in exports of directories, learning platforms and phishing simulators. Products rename and
// translate them; the first name that a header has counts.
var (
	mailColumns      = []string{"email", "e-mail", "mail", "email address", "e-mail address", "user email", "usermail", "user principal name", "userprincipalname", "upn", "work email", "e-mail-adresse", "adresse e-mail"}
	teamColumns      = []string{"team", "department", "group", "division", "business unit", "abteilung", "service", "équipe"}
	sinceColumns     = []string{"since", "start date", "hire date", "joined", "entry date", "created", "createddatetime", "eintritt"}
	leftColumns      = []string{"left", "end date", "leave date", "termination date", "austritt"}
	courseColumns    = []string{"course", "course name", "training", "training name", "module", "content", "assignment", "course title"}
	doneAtColumns    = []string{"completed at", "completed on", "completed date", "completion date", "date completed", "completion_date", "completed_at", "finished", "passed on"}
	statusColumns    = []string{"status", "training status", "completion status", "completed", "passed", "result"}
	dueColumns       = []string{"due", "due date", "due_date", "deadline"}
	campaignColumns  = []string{"campaign", "campaign name", "simulation", "simulation name", "campaign_id", "phishing campaign", "phishing test"}
	sentColumns      = []string{"send_date", "sent at", "sent", "delivered at", "delivered", "scheduled at", "send date", "message delivered", "delivery time"}
	openedColumns    = []string{"opened at", "opened", "open date", "message read"}
	clickedColumns   = []string{"clicked at", "clicked", "click date", "clicked link", "emaillinkclicked", "email link clicked", "link clicked", "emaillinkclicked_timestamp"}
	enteredColumns   = []string{"data entered at", "data entered", "entered", "entered credentials", "submitted data", "submitted", "compromised", "credsupplied"}
	reportedColumns  = []string{"reported at", "reported", "report date", "reportedphish", "reported phish", "reported message", "message reported"}
	completionWords  = []string{"completed", "complete", "passed", "done", "finished", "abgeschlossen", "bestanden", "terminé"}
	incompleteWords  = []string{"not started", "in progress", "incomplete", "not completed", "overdue", "failed", "assigned", "past due", "enrolled", "not passed"}
	affirmativeWords = []string{"true", "yes", "1", "y", "ja", "oui", "x"}
	negativeWords    = []string{"false", "no", "0", "n", "nein", "non", "-", ""}
)

// columns are where a table holds what is looked for.
type columns struct {
	in     map[string]int // -1: nowhere
	shared *sharing
}

// sharing lets facts that say the same of different people hold one map of values, which nobody changes: of a million
// people on a roster there are as many as teams and days.
type sharing struct{ held map[any]map[string]any }

// maxShared bounds how many maps are remembered; beyond, memory is begun anew.
const maxShared = 10_000

// values returns the values for a key that names all that they are made of; fill makes them where they are new.
func (s *sharing) values(key any, fill func(map[string]any) error) (map[string]any, error) {
	if v, ok := s.held[key]; ok {
		return v, nil
	}
	v := map[string]any{}
	if err := fill(v); err != nil {
		return nil, err
	}
	if s.held == nil || len(s.held) >= maxShared {
		s.held = map[any]map[string]any{}
	}
	s.held[key] = v
	return v, nil
}

// tableReader reads one sort of table: a fact a row.
type tableReader struct {
	columns map[string][]string
	row     func(in *evidence.Input, at columns, cells []string) (evidence.Item, error)
}

func (r *tableReader) read(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	rows, err := decode.NewRows(in.Reader, sink.Bad)
	if errors.Is(err, decode.ErrNoHeader) {
		return evidence.ErrNotThis
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.Name, err)
	}
	at := columns{map[string]int{}, &sharing{}}
	for name, names := range r.columns {
		at.in[name] = rows.Column(names...)
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		cells, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", in.Name, err)
		}
		if !slices.ContainsFunc(cells, func(c string) bool { return c != "" }) {
			continue
		}
		item, err := r.row(&in, at, cells)
		if err != nil {
			sink.Bad(line, err.Error())
			continue
		}
		item.Tenant = in.Tenant
		item.From = evidence.Origin{File: in.Name, Line: line}
		if err := sink.Item(item); err != nil {
			return err
		}
	}
}

// cell returns what stands in a column, or "".
func (c columns) cell(name string, cells []string) string {
	if i := c.in[name]; i >= 0 {
		return cells[i]
	}
	return ""
}

// person returns the pseudonym of a row's person.
func (c columns) person(in *evidence.Input, cells []string) (string, error) {
	mail := strings.TrimPrefix(c.cell("mail", cells), "'") // GoPhish writes that before what a spreadsheet would take for a formula
	local, domain, ok := strings.Cut(mail, "@")
	if !ok || local == "" || domain == "" || len(mail) > 320 {
		return "", errors.New("no address of a person in the column " + strings.Join(mailColumns[:3], ", ") + " …")
	}
	return Pseudonym(in.Tenant, mail), nil
}

// when reads a cell that may hold a time. Days and months are only told apart where the year comes first, or by
// points, with which the day stands first.
func when(cell string) (time.Time, bool) {
	if len(cell) < 8 { // numbers and words, which are many
		return time.Time{}, false
	}
	if len(cell) == len(time.DateOnly) && cell[4] == '-' {
		t, err := time.Parse(time.DateOnly, cell)
		return t, err == nil && t.Year() > 1971 && t.Year() < 2100
	}
	if t, ok := decode.ParseTime(cell); ok {
		return t, true
	}
	for _, layout := range [...]string{"02.01.2006 15:04:05", "02.01.2006 15:04", "02.01.2006", "2006/01/02", "Jan 2, 2006", "2 Jan 2006", "January 2, 2006"} {
		if t, err := time.Parse(layout, cell); err == nil && t.Year() > 1971 && t.Year() < 2100 {
			return t, true
		}
	}
	return time.Time{}, false
}

// happened reads a cell that holds a time where something happened, or yes and no; known is false where the column is
// missing or its text is neither.
func happened(c columns, name string, cells []string) (did, known bool, at time.Time) {
	if c.in[name] < 0 {
		return false, false, time.Time{}
	}
	cell := cells[c.in[name]]
	if t, ok := when(cell); ok {
		return true, true, t
	}
	low := strings.ToLower(cell)
	return slices.Contains(affirmativeWords, low), slices.Contains(affirmativeWords, low) || slices.Contains(negativeWords, low), time.Time{}
}

// has returns whether a header has one of these columns.
func has(h decode.Header, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return h.Has(n) })
}
