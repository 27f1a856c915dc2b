package training

import (
	"errors"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var roster = &tableReader{
	columns: map[string][]string{"mail": mailColumns, "team": teamColumns, "since": sinceColumns, "left": leftColumns},
	row: func(in *evidence.Input, at columns, cells []string) (evidence.Item, error) {
		who, err := at.person(in, cells)
		if err != nil {
			return evidence.Item{}, err
		}
		key := [3]string{at.cell("team", cells), at.cell("since", cells), at.cell("left", cells)}
		v, err := at.shared.values(key, func(v map[string]any) error {
			if t, ok := when(key[1]); ok {
				v["since"] = t
			}
			if t, ok := when(key[2]); ok {
				v["left"] = t
			}
			return put(v, "team", key[0])
		})
		if err != nil {
			return evidence.Item{}, err
		}
		return evidence.Item{Kind: KindPerson, Subject: who, At: in.At, Values: v}, nil
	},
}

// rosterTable is a list of the people who are there. It is tried after the other tables, whose headers say more.
var rosterTable = evidence.Format{
	Name:  "training-roster",
	About: "a table of people with an address and a team or department, as directories export it",
	Recognise: func(_ string, head []byte) bool {
		h := decode.HeaderOf(head)
		return has(h, mailColumns) && has(h, teamColumns) && !has(h, clickedColumns) && !has(h, courseColumns) &&
			!has(h, []string{"accountenabled", "account enabled", "mfa", "ismfaregistered", "last login", "last sign-in"}) // accounts, not people
	},
	Read: roster.read,
}

var completions = &tableReader{
	columns: map[string][]string{"mail": mailColumns, "team": teamColumns, "course": courseColumns, "done": doneAtColumns, "status": statusColumns, "due": dueColumns},
	row: func(in *evidence.Input, at columns, cells []string) (evidence.Item, error) {
		who, err := at.person(in, cells)
		if err != nil {
			return evidence.Item{}, err
		}
		// What a row says of its person is the same for many.
		v, err := at.shared.values([5]string{at.cell("course", cells), at.cell("team", cells), at.cell("due", cells), at.cell("done", cells), at.cell("status", cells)},
			func(v map[string]any) error { return completed(v, at, cells) })
		if err != nil {
			return evidence.Item{}, err
		}
		return evidence.Item{Kind: KindCompletion, Subject: who, At: in.At, Values: v}, nil
	},
}

// completed reads what a row says of a course.
func completed(v map[string]any, at columns, cells []string) error {
	if err := errors.Join(put(v, "course", at.cell("course", cells)), put(v, "team", at.cell("team", cells))); err != nil {
		return err
	}
	due, dated := when(at.cell("due", cells))
	if dated {
		v["due"] = due
	}
	done, isDone := when(at.cell("done", cells))
	status := strings.ToLower(at.cell("status", cells))
	switch {
	case slices.Contains(incompleteWords, status):
		v["completed"] = false
	case isDone:
		v["completed"], v["completed_at"] = true, done
	case at.cell("done", cells) != "":
		return errors.New("what stands for the day of completion is no date; write it as 2026-05-31")
	case slices.Contains(completionWords, status) || slices.Contains(affirmativeWords, status):
		v["completed"] = true
	case at.in["done"] >= 0 || slices.Contains(negativeWords, status):
		v["completed"] = false
	default:
		return errors.New("the status does not say whether the course was completed")
	}
	return nil
}

var completionTable = evidence.Format{
	Name:  "training-completions",
	About: "a table of who completed which course, as learning platforms export it",
	Recognise: func(_ string, head []byte) bool {
		h := decode.HeaderOf(head)
		return has(h, mailColumns) && has(h, courseColumns) && (has(h, doneAtColumns) || has(h, statusColumns)) && !has(h, clickedColumns)
	},
	Read: completions.read,
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
