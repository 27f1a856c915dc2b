package coverage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func resealed(data []byte) []byte {
	body := data[:max(len(data)-4, 0)]
	return binary.BigEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, castagnoli))
}

// life plays a sensor: sends says for each moment of a grid whether an event comes; it returns when silence began
// to be told, and for how long it was told.
type life struct {
	*Table
	now  time.Time
	step time.Duration
}

func (l *life) until(end time.Time, sends func(time.Time) bool) (told []time.Time) {
	was := len(l.running()) > 0
	for ; l.now.Before(end); l.now = l.now.Add(l.step) {
		if sends(l.now) {
			l.Event("acme", "network", "fw", true, l.now, l.now)
		}
		l.Silent(l.now)
		is := len(l.running()) > 0
		if is && !was {
			told = append(told, l.now)
		}
		was = is
	}
	return told
}

func (l *life) running() (out []Silence) {
	for _, s := range l.Clone().Silent(l.ticked) {
		if s.Until.IsZero() {
			out = append(out, s)
		}
	}
	return out
}

func born() *life { return &life{NewTable(Options{}), monday, 20 * time.Second} }

func always(time.Time) bool { return true }
func never(time.Time) bool  { return false }

func office(at time.Time) bool {
	return at.Weekday() >= time.Monday && at.Weekday() <= time.Friday && at.Hour() >= 8 && at.Hour() < 18 && at.Hour() != 12
}

func every(d, lasting time.Duration) func(time.Time) bool {
	return func(at time.Time) bool { return at.Sub(at.Truncate(d)) < lasting }
}

const day = 24 * time.Hour

func TestSilenceIsToldByTheSensorsOwnRhythm(t *testing.T) {
	at := func(days int, clock string) time.Time {
		c, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return monday.Add(time.Duration(days)*day + time.Duration(c.Hour())*time.Hour + time.Duration(c.Minute())*time.Minute)
	}
	for _, c := range []struct {
		name         string
		sends        func(time.Time) bool
		quiet        time.Time // from when on nothing comes, in the fourth week
		first, after time.Time // between which it must be told
	}{
		{"a steady one within minutes", always, at(22, "10:30"), at(22, "10:35"), at(22, "10:37")},
		{"a steady one at night too", always, at(22, "03:10"), at(22, "03:15"), at(22, "03:17")},
		{"one of office hours, in them", office, at(22, "10:00"), at(22, "10:05"), at(22, "10:07")},
		{"one of office hours that doesn't come back in the morning", office, at(22, "17:59"), at(23, "08:00"), at(23, "09:02")},
		{"one of office hours that doesn't come back after the weekend", office, at(25, "17:59"), at(28, "08:00"), at(28, "09:02")},
		{"one that sends each hour, after three", every(time.Hour, 40*time.Second), at(22, "10:30"), at(22, "12:45"), at(22, "13:30")},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := born()
			l.until(monday.Add(8*day), c.sends) // while it warms up, nights may be told
			if told := l.until(c.quiet, c.sends); len(told) > 0 {
				t.Errorf("told while it sends as ever: %v", told)
			}
			told := l.until(c.quiet.Add(4*day), never)
			if len(told) != 1 || told[0].Before(c.first.Add(-l.step)) || told[0].After(c.after) {
				t.Fatalf("told %v, want once between %s and %s", told, c.first, c.after)
			}
			s := l.running()
			if len(s) != 1 || s[0].WarmingUp || s[0].Since.After(c.quiet) || c.quiet.Sub(s[0].Since) > time.Hour {
				t.Errorf("%+v", s)
			}
			l.until(l.now.Add(time.Hour), always)
			if s := l.running(); len(s) != 0 {
				t.Errorf("back, and still silent: %+v", s)
			}
		})
	}
}

func TestSilenceOfAnIrregularSensorIsNotToldInItsUsualPauses(t *testing.T) {
	l := born()
	rng := rand.New(rand.NewPCG(1, 2))
	next := monday
	sends := func(at time.Time) bool {
		if at.Before(next) {
			return false
		}
		next = at.Add(time.Duration(rng.ExpFloat64() * float64(25*time.Minute)))
		return true
	}
	l.until(monday.Add(21*day), sends)
	if told := l.until(monday.Add(49*day), sends); len(told) > 4 {
		t.Errorf("told %d times in 4 weeks: %v", len(told), told)
	}
	if told := l.until(monday.Add(50*day), never); len(told) != 1 {
		t.Errorf("gone for a day: told %v", told)
	}
}

func TestSilenceWhileWarmingUpSaysSo(t *testing.T) {
	l := born()
	l.until(monday.Add(2*time.Hour), always)
	told := l.until(monday.Add(3*time.Hour), never)
	if s := l.running(); len(told) != 1 || told[0].Sub(monday) > 2*time.Hour+6*time.Minute || len(s) != 1 || !s[0].WarmingUp {
		t.Errorf("told %v, %+v", told, s)
	}
	if r := l.Rows(tenant.ScopeAll())[0]; !r.WarmingUp || r.SilentSince.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestOneDeliveryIsNoRhythm(t *testing.T) {
	l := born()
	for range 10_000 {
		l.Event("acme", "network", "fw", true, monday, monday)
	}
	if told := l.until(monday.Add(3*day), never); len(told) > 0 {
		t.Errorf("a file that was given once is missed: %v", told)
	}
}

func TestOneOutageDoesNotHideTheNext(t *testing.T) {
	l := born()
	l.until(monday.Add(14*day), always)
	l.until(monday.Add(15*day), never)
	l.until(monday.Add(21*day), always)
	for week := range 2 {
		from := l.now
		told := l.until(from.Add(2*time.Hour), never)
		if len(told) != 1 || told[0].Sub(from) > 13*time.Minute {
			t.Errorf("outage %d after the long one: told %v", week+1, told)
		}
		l.until(from.Add(7*day), always)
	}
}

func TestBackfillAndReplayTeachNoRhythmAndEndNoSilence(t *testing.T) {
	l := born()
	l.until(monday.Add(9*day), every(time.Hour, 40*time.Second))
	// Two days of history in one minute, between two ticks and over some.
	for i := range 200_000 {
		l.Event("acme", "network", "fw", true, monday.Add(-30*day).Add(time.Duration(i)*time.Second), l.now)
		if i%50_000 == 0 {
			l.Silent(l.now)
			l.now = l.now.Add(l.step)
		}
	}
	if told := l.until(monday.Add(11*day), every(time.Hour, 40*time.Second)); len(told) > 0 {
		t.Errorf("after a backfill, its usual pauses are told: %v", told)
	}
	l.until(l.now.Add(12*time.Hour), never)
	if len(l.running()) != 1 {
		t.Fatal("not silent")
	}
	l.Event("acme", "network", "fw", true, monday.Add(-day), l.now)
	if len(l.running()) != 1 {
		t.Error("a backlog counts as a sign of life")
	}
}

func TestClockStepsAndRestartsMakeNobodySilent(t *testing.T) {
	for _, c := range []struct {
		name string
		jump time.Duration
	}{{"an hour back", -time.Hour}, {"a day ahead", day}, {"a year ahead", 365 * day}, {"to before all", -30 * 365 * day}} {
		for _, restart := range []bool{false, true} {
			l := born()
			l.until(monday.Add(9*day), always)
			if restart {
				o := NewTable(Options{})
				if err := o.Restore(l.Snapshot()); err != nil {
					t.Fatal(err)
				}
				l.Table = o
			}
			l.now = l.now.Add(c.jump)
			l.Silent(l.now)
			if s := l.running(); len(s) > 0 {
				t.Errorf("%s (restart %v): silent at once: %+v", c.name, restart, s)
			}
			if told := l.until(l.now.Add(2*time.Hour), always); len(told) > 0 {
				t.Errorf("%s (restart %v): told %v", c.name, restart, told)
			}
			// And real silence is noticed on the new clock as on the old.
			from := l.now
			if told := l.until(from.Add(time.Hour), never); len(told) != 1 || told[0].Sub(from) > 11*time.Minute {
				t.Errorf("%s (restart %v): silent since %s, told %v", c.name, restart, from, told)
			}
		}
	}
}

// partners has two clients and a third of the partner msp, and others of other.
func partners(theirs, others int) *tenant.Model {
	m := &tenant.Model{Partners: []tenant.Partner{{ID: "msp", Name: "Northwind IT"}, {ID: "other"}}}
	add := func(p tenant.PartnerID, prefix string, n int) {
		for i := range n {
			id := tenant.ID(fmt.Sprint(prefix, i))
			m.Tenants = append(m.Tenants, tenant.Tenant{ID: id})
			m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID(string(p) + "-" + string(id)), Partner: p, Tenant: id})
		}
	}
	add("msp", "m", theirs)
	add("other", "o", others)
	return m
}

func TestTogether(t *testing.T) {
	type silent struct {
		tenant tenant.ID
		sensor string
		minute int
	}
	for _, c := range []struct {
		name           string
		theirs, others int
		silent         []silent
		want           string
	}{
		{"one alone is no matter of the partner's", 3, 2, []silent{{"m0", "", 0}}, ""},
		{"two of three, and others go on", 3, 2, []silent{{"m0", "", 0}, {"m1", "", 14}}, "m0 m1 medium"},
		{"all three, and others go on", 3, 2, []silent{{"m0", "", 0}, {"m1", "", 3}, {"m2", "", 9}}, "m0 m1 m2 high"},
		{"two sensors of one tenant", 3, 2, []silent{{"m0", "a", 0}, {"m0", "b", 1}}, ""},
		{"far apart", 3, 2, []silent{{"m0", "", 0}, {"m1", "", 16}}, ""},
		{"one sensor that speaks for both", 3, 2, []silent{{"m0", "relay", 0}, {"m1", "relay", 0}}, ""},
		{"that one, and sensors of their own", 3, 2, []silent{{"m0", "relay", 0}, {"m1", "relay", 0}, {"m0", "", 1}, {"m1", "", 1}}, "m0 m1 medium"},
		{"everything is silent: the fault is ours", 2, 2, []silent{{"m0", "", 0}, {"m1", "", 0}, {"o0", "", 0}, {"o1", "", 1}}, ""},
		{"as many of the others", 4, 4, []silent{{"m0", "", 0}, {"m1", "", 0}, {"o0", "", 0}, {"o1", "", 1}}, ""},
		{"two of very many", 40, 5, []silent{{"m0", "", 0}, {"m1", "", 1}}, ""},
		{"nobody else, but the partner's others go on", 4, 0, []silent{{"m0", "", 0}, {"m1", "", 1}}, "m0 m1 medium"},
		{"an older pair doesn't hide a newer one", 4, 2, []silent{{"m0", "", 0}, {"m1", "", 1}, {"m2", "", 300}, {"m3", "", 301}}, ""},
	} {
		m := partners(c.theirs, c.others)
		var rows []Row
		for _, x := range m.Tenants {
			rows = append(rows, Row{Tenant: x.ID, Layer: "network", Sensor: "own-" + string(x.ID), Events: 1})
		}
		var list []Silence
		for _, s := range c.silent {
			if s.sensor == "" {
				s.sensor = "own-" + string(s.tenant)
			}
			list = append(list, Silence{Tenant: s.tenant, Layer: "network", Sensor: s.sensor, Since: monday.Add(time.Duration(s.minute) * time.Minute)})
		}
		if strings.HasPrefix(c.name, "an older pair") {
			c.want = "m0 m1 m2 m3 medium"
		}
		found := Together(rows, list, m)
		var words []string
		for _, f := range found {
			words = append(words, string(f.Tenant))
			for _, x := range m.Tenants {
				if x.ID != f.Tenant && strings.Contains(f.Reason+f.Title, string(x.ID)) {
					t.Errorf("%s: the finding of %s names %s: %s", c.name, f.Tenant, x.ID, f.Reason)
				}
			}
			if !strings.Contains(f.Reason, "Northwind IT") || f.Partner != "msp" || f.Trust == "" || f.Technique != "T1562" || f.Rule != "coverage/partner-silence" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if len(found) > 0 {
			words = append(words, found[0].Severity.String())
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		slices.Reverse(list)
		again := Together(rows, list, m)
		for i := range again {
			if again[i].ID != found[i].ID {
				t.Errorf("%s: the order of silences changes the finding", c.name)
			}
		}
	}
}

func TestTogetherEndsAndIsUnsureWhileWarmingUp(t *testing.T) {
	m := partners(3, 2)
	rows := []Row{{Tenant: "o0", Sensor: "x", Events: 1}}
	list := []Silence{{Tenant: "m0", Sensor: "a", Since: monday, WarmingUp: true}, {Tenant: "m1", Sensor: "b", Since: monday}, {Tenant: "m2", Sensor: "c", Since: monday}}
	f := Together(rows, list, m)
	if len(f) != 3 || f[0].Severity != ocsf.SeverityMedium || f[0].Confidence != 40 || !strings.Contains(f[0].Reason, "less than a week") {
		t.Fatalf("%+v", f)
	}
	list[0].Until, list[1].Until = monday.Add(time.Hour), monday.Add(time.Hour)
	if f := Together(rows, list, m); len(f) != 0 {
		t.Errorf("two are back: %+v", f)
	}
}

func TestFindingsKeepTheirIdAndGetAnEnd(t *testing.T) {
	s := Silence{Tenant: "acme", Layer: "mail", Sensor: "mx", Since: monday, Usual: Seconds(5 * time.Minute), WarmingUp: true}
	running := Findings([]Silence{s})[0]
	s.Until, s.WarmingUp = monday.Add(3*time.Hour), false
	over := Findings([]Silence{s})[0]
	if running.ID != over.ID || !over.End.Equal(s.Until) || running.Severity != ocsf.SeverityLow || running.Rule != "coverage/sensor-silent" {
		t.Errorf("%+v\n%+v", running, over)
	}
	const want = `sensor "mx" (mail) has sent nothing since 2026-03-02 00:00:00 UTC, longer than the 5m0s that it may pause at this hour; it has been heard for less than a week, so its rhythm isn't known well`
	if running.Reason != want {
		t.Error(running.Reason)
	}
}
