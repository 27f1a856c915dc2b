// Package training reads what shows whether people know phishing when they see it: the roster, completed courses,
// results of simulated phishing, and what people really reported. It gives facts about persons, under pseudonyms, and
// sums them up by tenant and team.
//
// Nobody's name or address is in a fact. A person is named by the first 16 hexadecimal digits of the SHA-256 of the
// tenant's id and the address, so that the same person is the same in all of a tenant's files and in no other
// tenant's. That keeps names out of reports and statements; it hides nobody from somebody who has the roster. What is
// said of a broken row gives its line and not what stands in it, and an address in any other column is taken for none.
//
// Kinds of facts about persons, whose subject is the pseudonym:
//
//   - training.person: team (string), since (time), left (time), of a roster
//   - training.completion: course (string), team, completed (bool), completed_at (time), due (time)
//   - training.simulation-result: campaign, team (string); sent_at (time); delivered, opened, clicked, entered, reported
//     (bool); report_minutes (float64), from sending to the report
//   - training.report: verdict (string: clean, suspicious, phish), thanked (bool), of a real report
//
// A value that the file doesn't hold is absent. What Summarise makes of them:
//
//   - training.simulations, subject the team or "everybody": campaigns, delivered, clicked, entered, phish_prone (share
//     that clicked or entered), reported, report_rate (share), first_report_minutes (median over campaigns of the time
//     from the first message to the first report), report_minutes (median over reports), last (time of the newest
//     campaign), days_since
//   - training.courses, subject the team or "everybody": people, completed, share, overdue
//   - training.repeat-clickers, subject the team or "everybody": people (simulated), repeat (who clicked or entered in at
//     least two of the last three campaigns that they got), share
//   - training.real-reports, subject "everybody": reports, phish, reporters, thanked, in the 90 days before
package training

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// The kinds of facts that this package gives.
const (
	KindPerson           = "training.person"
	KindCompletion       = "training.completion"
	KindSimulationResult = "training.simulation-result"
	KindReport           = "training.report"
	KindSimulations      = "training.simulations"
	KindCourses          = "training.courses"
	KindRepeatClickers   = "training.repeat-clickers"
	KindRealReports      = "training.real-reports"
)

// Formats returns the readers of this package.
func Formats() []evidence.Format {
	return []evidence.Format{gophishJSON, gophishEvents, simulationTable, completionTable, rosterTable, mailReports}
}

// Pseudonym names a person of a tenant without saying who it is; the same address gives the same pseudonym whatever its
// case and the spaces around it.
func Pseudonym(id tenant.ID, address string) string {
	sum := sha256.Sum256([]byte(string(id) + "\x00" + strings.ToLower(strings.TrimSpace(address))))
	return "person " + hex.EncodeToString(sum[:8])
}

// maxText bounds the names of teams, courses and campaigns, in bytes.
const maxText = 200

func text(v string) (string, error) {
	v = strings.TrimSpace(v)
	if len(v) > maxText {
		return "", fmt.Errorf("a name of %d bytes; %d are allowed", len(v), maxText)
	}
	return v, nil
}

// put sets a text value unless it is empty. An address where a team, course or campaign should stand is nobody's to see:
// of a team it is left out (some directories put the chief's there), of anything else it is an error.
func put(values map[string]any, name, v string) error {
	v, err := text(v)
	if err == nil && strings.Contains(v, "@") {
		if name == "team" {
			return nil
		}
		err = fmt.Errorf("an address stands where the %s should: are the row's cells shifted?", name)
	}
	if err == nil && v != "" {
		values[name] = v
	}
	return err
}

// withoutContent says why JSON cannot be read, without what stands in it: the library's own words quote texts.
func withoutContent(err error) string {
	var syntax *json.SyntaxError
	var form *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("broken JSON at byte %d", syntax.Offset)
	case errors.As(err, &form) && form.Field != "":
		return "a value of the wrong form under " + clip(form.Field)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON is cut off"
	}
	return "a value of the wrong form"
}
