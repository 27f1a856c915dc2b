package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// TestAWrongClockSpoilsNobodyElse sends a scenario while a tenant of its own, and a second sensor of one of the
// scenario's tenants, tell wrong times. What is found at the others, and by the right clocks, stays as it was.
func TestAWrongClockSpoilsNobodyElse(t *testing.T) {
	t.Parallel()
	dir := story(t, "island-hop")
	want, feed := scanAnswer(t, dir), feedOf(t, dir)
	data, tokens := applied(t, dir, "")
	wrong := map[string]string{}
	var own string
	for _, f := range feed {
		own = string(f.Frame.Tenant)
	}
	wrong["stranger"], _ = tokenFor(t, data, "sensor", "--sensor", "broken-clock", "--tenant", "stranger")
	wrong[own], _ = tokenFor(t, data, "sensor", "--sensor", "broken-clock-within", "--tenant", own)
	s := begin(t, data, false)
	list, sent, impossible := parcels(feed), 0, 0
	now := time.Now().UTC()
	times := []time.Time{time.Unix(0, 0), time.Date(1970, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), now.Add(-time.Hour), now.Add(24 * time.Hour), now.Add(20 * 365 * 24 * time.Hour),
		time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
	for i, p := range list {
		s.send(p.path, tokens[p.sensor], p.body)
		if i%max(1, len(list)/9) != 0 {
			continue
		}
		for whose, token := range wrong {
			at := times[sent/2%len(times)]
			s.send("/ingest/ndjson", token, fmt.Sprintf("{\"@timestamp\":%q,\"n\":%d,\"whose\":%q}\n", at.Format(time.RFC3339), sent, whose))
			if at.Year() < 1971 || at.Year() >= 2100 {
				impossible++
			}
			sent++
		}
	}
	if sent < 2*len(times) {
		t.Fatalf("%d wrong times were sent, of %d", sent, len(times))
	}
	s.quiet()
	got := s.concluded()
	for _, part := range []string{"findings", "incidents", "campaigns"} {
		for _, v := range []any{want[part], got[part]} {
			forget(v, "tenants", "summary", "snapshot") // the stranger is in them
		}
		if diff := cmp.Diff(want[part], got[part]); diff != "" {
			t.Errorf("%s with a wrong clock beside (+) are not those without (-):\n%.3000s", part, diff)
		}
	}
	eventually(t, "what can't be right is a dead letter", patience, func() bool { return len(s.deadletters()) == impossible })
	for _, d := range s.deadletters() {
		if !strings.Contains(d.Reason, "time") {
			t.Errorf("%+v", d)
		}
	}
	rows := s.rows()
	if n := events(rows, func(r api.Row) bool { return strings.HasPrefix(r.Sensor, "broken-clock") }); n != int64(sent-impossible) {
		t.Errorf("%d events of wrong clocks, %d were sent", n, sent-impossible)
	}
	if n := events(rows, func(r api.Row) bool { return !strings.HasPrefix(r.Sensor, "broken-clock") }); float64(n) != want["events"] {
		t.Errorf("%d events of right clocks, the scan has %v", n, want["events"])
	}
	for _, r := range rows {
		if !strings.HasPrefix(r.Sensor, "broken-clock") && r.Last != nil && r.Last.After(now) {
			t.Errorf("the wrong clock moved another sensor's row: %+v", r)
		}
	}
}
