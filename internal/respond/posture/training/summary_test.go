package training

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func day(month, d int) time.Time { return time.Date(2026, time.Month(month), d, 9, 0, 0, 0, time.UTC) }

// shotAt is one simulated message: what is "c" was clicked, "e" entered, "r12" reported after 12 minutes, "x" never arrived.
func shotAt(id tenant.ID, who int, team, campaign string, sent time.Time, did string) evidence.Item {
	v := map[string]any{"campaign": campaign, "delivered": did != "x", "clicked": did == "c" || did == "e", "entered": did == "e", "reported": false, "sent_at": sent}
	if team != "" {
		v["team"] = team
	}
	var minutes float64
	if n, _ := fmt.Sscanf(did, "r%f", &minutes); n == 1 {
		v["reported"], v["report_minutes"] = true, minutes
	}
	return evidence.Item{Tenant: id, Kind: KindSimulationResult, Subject: fmt.Sprintf("person %d", who), At: sent, Values: v}
}

func sumOf(t *testing.T, items []evidence.Item, kind, subject string) map[string]any {
	t.Helper()
	for _, it := range items {
		if it.Kind == kind && it.Subject == subject {
			return it.Values
		}
	}
	return nil
}

func TestSummariseSimulations(t *testing.T) {
	items := []evidence.Item{
		// Spring: ten people, two teams; one click, one entered, reports after 12 and 3 minutes, one message never arrived.
		shotAt("acme", 1, "Accounts", "spring", day(3, 2), "c"), shotAt("acme", 2, "Accounts", "spring", day(3, 2), "e"),
		shotAt("acme", 3, "Accounts", "spring", day(3, 2), "r12"), shotAt("acme", 4, "Accounts", "spring", day(3, 2), ""), shotAt("acme", 5, "Accounts", "spring", day(3, 2), ""),
		shotAt("acme", 6, "Support", "spring", day(3, 2), "r3"), shotAt("acme", 7, "Support", "spring", day(3, 2), ""), shotAt("acme", 8, "Support", "spring", day(3, 2), "x"),
		// Summer: the same person clicks again; a first report after 21 minutes.
		shotAt("acme", 1, "Accounts", "summer", day(5, 4), "c"), shotAt("acme", 2, "Accounts", "summer", day(5, 4), "r21"),
		// Passed by: another tenant's, one of two years ago, one of tomorrow.
		shotAt("other", 1, "Accounts", "spring", day(3, 2), "e"), shotAt("acme", 1, "Accounts", "old", day(3, 2).AddDate(-2, 0, 0), "e"), shotAt("acme", 1, "Accounts", "next", now.Add(time.Hour), "e"),
	}
	got := Summarise("acme", items, now)
	want := map[string]any{"campaigns": int64(2), "delivered": int64(9), "clicked": int64(3), "entered": int64(1), "phish_prone": 3.0 / 9, "reported": int64(3), "report_rate": 3.0 / 9,
		"first_report_minutes": 12.0, "report_minutes": 12.0, "last": day(5, 4), "days_since": int64(27)}
	if d := cmp.Diff(want, sumOf(t, got, KindSimulations, Everybody)); d != "" {
		t.Error(d)
	}
	if v := sumOf(t, got, KindSimulations, "Accounts"); v == nil || v["delivered"] != int64(7) || v["clicked"] != int64(3) {
		t.Errorf("Accounts: %v", v)
	}
	if v := sumOf(t, got, KindSimulations, "Support"); v != nil {
		t.Errorf("a team of three is spoken of: %v", v)
	}
	if d := cmp.Diff(map[string]any{"people": int64(7), "repeat": int64(1), "share": 1.0 / 7}, sumOf(t, got, KindRepeatClickers, Everybody)); d != "" {
		t.Error(d)
	}
	if n := len(Summarise("acme", nil, now)); n != 0 {
		t.Errorf("%d sums of nothing", n)
	}
}

func TestARepeatClickerIsOneOfTheLastThree(t *testing.T) {
	var items []evidence.Item
	for i, did := range []string{"c", "c", "", "", ""} { // two clicks in winter, then three times well
		items = append(items, shotAt("acme", 1, "", fmt.Sprint("c", i), day(1+i, 2), did))
	}
	for i, did := range []string{"", "", "e", "", "c"} {
		items = append(items, shotAt("acme", 2, "", fmt.Sprint("c", i), day(1+i, 2), did))
	}
	v := sumOf(t, Summarise("acme", items, now), KindRepeatClickers, Everybody)
	if v["people"] != int64(2) || v["repeat"] != int64(1) {
		t.Errorf("%v", v)
	}
}

func TestSummariseCourses(t *testing.T) {
	person := func(n int, v map[string]any) evidence.Item {
		return evidence.Item{Tenant: "acme", Kind: KindPerson, Subject: fmt.Sprint("person ", n), At: day(5, 30), Values: v}
	}
	course := func(n int, v map[string]any) evidence.Item {
		return evidence.Item{Tenant: "acme", Kind: KindCompletion, Subject: fmt.Sprint("person ", n), At: day(5, 20), Values: v}
	}
	items := []evidence.Item{
		person(1, map[string]any{}), person(2, map[string]any{}), person(3, map[string]any{}), person(4, map[string]any{"left": day(2, 1)}), person(5, map[string]any{}),
		course(1, map[string]any{"course": "a", "completed": true, "completed_at": day(2, 3)}),
		course(2, map[string]any{"course": "a", "completed": true, "completed_at": day(2, 3).AddDate(-2, 0, 0)}), // too long ago
		course(3, map[string]any{"course": "a", "completed": false, "due": day(4, 1)}),
		course(4, map[string]any{"course": "a", "completed": false, "due": day(4, 1)}), // has left
		course(9, map[string]any{"course": "a", "completed": true}),                    // is on no roster
		course(5, map[string]any{"course": "a", "completed": false, "due": day(4, 1)}), course(5, map[string]any{"course": "a", "completed": true, "completed_at": day(4, 20)}),
	}
	got := Summarise("acme", items, now)
	if d := cmp.Diff(map[string]any{"people": int64(4), "completed": int64(2), "share": 0.5, "overdue": int64(1)}, sumOf(t, got, KindCourses, Everybody)); d != "" {
		t.Error(d)
	}
	for _, it := range got {
		if it.Kind == KindCourses && !it.At.Equal(day(5, 20)) {
			t.Errorf("a new roster made old completions new: %v", it.At)
		}
	}
	bare := Summarise("acme", items[5:], now)
	if v := sumOf(t, bare, KindCourses, Everybody); v["people"] != int64(6) {
		t.Errorf("without a roster: %v", v)
	}
}

func TestSummariseReports(t *testing.T) {
	report := func(n int, at time.Time, verdict string, thanked bool) evidence.Item {
		return evidence.Item{Tenant: "acme", Kind: KindReport, Subject: fmt.Sprint("person ", n), At: at, Values: map[string]any{"verdict": verdict, "thanked": thanked}}
	}
	got := Summarise("acme", []evidence.Item{report(1, day(5, 1), "phish", true), report(1, day(5, 2), "clean", false), report(2, day(5, 3), "suspicious", true), report(3, day(1, 1), "phish", true)}, now)
	if d := cmp.Diff(map[string]any{"reports": int64(3), "phish": int64(2), "reporters": int64(2), "thanked": int64(2)}, sumOf(t, got, KindRealReports, Everybody)); d != "" {
		t.Error(d)
	}
}

// TestSummariseKnowsNoOrder shuffles the facts, of which two files tell the same campaign.
func TestSummariseKnowsNoOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var items []evidence.Item
	for i := range 200 {
		team := []string{"Accounts", "Support", "Warehouse"}[r.IntN(3)]
		for c := range 4 {
			it := shotAt("acme", i, team, fmt.Sprint("c", c), day(1+c, 3), []string{"c", "e", "r7", "", "", "x"}[r.IntN(6)])
			it.From = evidence.Origin{File: fmt.Sprint("f", c), Line: int64(i)}
			items = append(items, it)
			if r.IntN(4) == 0 {
				it.From.File, it.Values = "again", map[string]any{"campaign": it.Values["campaign"], "delivered": true, "clicked": true}
				items = append(items, it)
			}
		}
	}
	want := Summarise("acme", items, now)
	if len(want) < 8 {
		t.Fatalf("%d sums", len(want))
	}
	for range 10 {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		if d := cmp.Diff(want, Summarise("acme", items, now)); d != "" {
			t.Fatal(d)
		}
	}
}

// TestALargeTeamOfWhichFewWereAsked has a team of six on the roster of which two got the message.
func TestALargeTeamOfWhichFewWereAsked(t *testing.T) {
	var items []evidence.Item
	for i := range 6 {
		items = append(items, evidence.Item{Tenant: "acme", Kind: KindPerson, Subject: fmt.Sprintf("person %d", i), At: day(3, 1), Values: map[string]any{"team": "Board"}})
	}
	items = append(items, shotAt("acme", 1, "Board", "spring", day(3, 2), "e"), shotAt("acme", 2, "Board", "spring", day(3, 2), ""))
	got := Summarise("acme", items, now)
	for _, kind := range []string{KindSimulations, KindRepeatClickers} {
		if v := sumOf(t, got, kind, "Board"); v != nil {
			t.Errorf("%s tells what two people did: %v", kind, v)
		}
		if sumOf(t, got, kind, Everybody) == nil {
			t.Errorf("%s: nothing of everybody", kind)
		}
	}
}
