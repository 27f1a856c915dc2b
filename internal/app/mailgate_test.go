package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect/indicator"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// TestTheGateIsToldWhichIndicatorsAMailHolds: by what was found, whatever the words of the mail; and which of them their
// source is not sure of.
func TestTheGateIsToldWhichIndicatorsAMailHolds(t *testing.T) {
	set, bad := indicator.Load(strings.NewReader("type,value,confidence\ndomain,evil.example,80\ndomain,maybe.example,20\nurl,https://x.example/a%20matches%20b,\nemail-subject,Your parcel waits,\n"), "list.csv")
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	m := &mailGate{log: slog.New(slog.DiscardHandler)}
	m.indicate(&Setup{Model: &tenant.Model{Version: "1"}, Indicators: &set})
	e := &ocsf.Event{Tenant: "acme", Time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC), Mail: &ocsf.Mail{From: "a matches b@quiet.example", Subject: "YOUR parcel waits",
		Links: []ocsf.Link{{URL: "https://www.evil.example/", Host: "www.evil.example"}, {URL: "https://maybe.example/", Host: "maybe.example"}, {URL: "https://x.example/a%20matches%20b", Host: "x.example"}}}}
	got := map[string]bool{}
	for _, h := range m.match(e) {
		got[h.Value] = h.Unsure
		if !strings.Contains(h.Text, h.Value) || !strings.Contains(h.Text, "list.csv") {
			t.Errorf("the sentence is %q", h.Text)
		}
	}
	want := map[string]bool{"evil.example": false, "maybe.example": true, "https://x.example/a%20matches%20b": false, "your parcel waits": false}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for v, unsure := range want {
		if u, ok := got[v]; !ok || u != unsure {
			t.Errorf("%s: found %v, unsure %v", v, ok, u)
		}
	}
	if m.indicate(&Setup{}); m.match(e) != nil {
		t.Error("without indicators some are found")
	}
}
