package training

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Spans and sizes of the sums.
const (
	Year          = 365 * 24 * time.Hour
	ReportsWindow = 90 * 24 * time.Hour
	RepeatOf      = 3 // campaigns that a person got last
	RepeatFrom    = 2 // of these, clicked or entered: a repeat clicker
	SmallestTeam  = 5 // people; what a smaller team does says what a person does, and is summed up under everybody alone
)

// Everybody is the subject of the sums over a whole tenant.
const Everybody = "everybody"

// Summarise sums the facts about a tenant's persons up to now, by team and for everybody. Facts of other kinds, of
// other tenants and from later than now are passed by. The sums carry the time of the newest fact that they rest on.
// The answer doesn't depend on the order of the items.
func Summarise(id tenant.ID, items []evidence.Item, now time.Time) []evidence.Item {
	s := &sums{tenant: id, now: now, team: map[string]string{}, teamAt: map[string]time.Time{}, people: map[string]bool{}, left: map[string]bool{},
		results: map[shot]*evidence.Item{}, courses: map[string]*courses{}}
	mine := make([]*evidence.Item, 0, len(items))
	for i := range items {
		if it := &items[i]; it.Tenant == id && !it.At.After(now) && strings.HasPrefix(it.Kind, "training.") {
			mine = append(mine, it)
		}
	}
	slices.SortStableFunc(mine, func(a, b *evidence.Item) int { // the newest word on somebody's team counts
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if c := strings.Compare(a.From.File, b.From.File); c != 0 {
			return c
		}
		return int(a.From.Line - b.From.Line)
	})
	for _, it := range mine {
		s.add(it)
	}
	var out []evidence.Item
	for _, team := range s.teams() {
		for _, one := range [...]func(string) *evidence.Item{s.simulations, s.coursesOf, s.repeatClickers} {
			if it := one(team); it != nil {
				it.Tenant, it.Subject = id, team
				out = append(out, *it)
			}
		}
	}
	if it := s.realReports(); it != nil {
		it.Tenant, it.Subject = id, Everybody
		out = append(out, *it)
	}
	return out
}

// shot is one simulated message to one person.
type shot struct{ person, campaign string }

// courses are what one person has to do and has done.
type courses struct {
	done    bool // one at least within the year, or at an unknown time
	overdue bool
	open    map[string]time.Time // course → due
	at      time.Time
}

type sums struct {
	tenant   tenant.ID
	now      time.Time
	team     map[string]string // person → team
	teamAt   map[string]time.Time
	people   map[string]bool // of a roster
	left     map[string]bool
	rosterAt time.Time
	results  map[shot]*evidence.Item
	courses  map[string]*courses
	reports  []*evidence.Item
}

func (s *sums) add(it *evidence.Item) {
	who := it.Subject
	if t, ok := it.Values["team"].(string); ok && (it.Kind == KindPerson || s.teamAt[who].IsZero()) {
		s.team[who] = t
		if it.Kind == KindPerson { // the roster knows better than a simulator's list of addresses
			s.teamAt[who] = it.At
		}
	}
	switch it.Kind {
	case KindPerson:
		left, ok := it.Values["left"].(time.Time)
		s.people[who], s.left[who] = true, ok && !left.After(s.now)
		s.rosterAt = it.At
	case KindCompletion:
		s.course(it)
	case KindSimulationResult:
		if s.now.Sub(it.At) <= Year {
			s.shot(it)
		}
	case KindReport:
		if s.now.Sub(it.At) <= ReportsWindow {
			s.reports = append(s.reports, it)
		}
	}
}

func (s *sums) course(it *evidence.Item) {
	c := s.courses[it.Subject]
	if c == nil {
		c = &courses{open: map[string]time.Time{}}
		s.courses[it.Subject] = c
	}
	c.at = it.At
	name, _ := it.Values["course"].(string)
	if done, _ := it.Values["completed"].(bool); done {
		delete(c.open, name)
		at, dated := it.Values["completed_at"].(time.Time)
		c.done = c.done || !dated || !at.After(s.now) && s.now.Sub(at) <= Year
	} else if due, ok := it.Values["due"].(time.Time); ok {
		c.open[name] = due
	}
	c.overdue = false
	for _, due := range c.open {
		c.overdue = c.overdue || due.Before(s.now)
	}
}

// shot takes a result; what several files say of the same message is put together.
func (s *sums) shot(it *evidence.Item) {
	name, _ := it.Values["campaign"].(string)
	k := shot{it.Subject, name}
	old := s.results[k]
	if old == nil {
		c := *it
		c.Values = maps.Clone(it.Values)
		s.results[k] = &c
		return
	}
	for _, name := range [...]string{"delivered", "opened", "clicked", "entered", "reported"} {
		if v, ok := it.Values[name].(bool); ok {
			was, _ := old.Values[name].(bool)
			old.Values[name] = was || v
		}
	}
	for _, name := range [...]string{"report_minutes", "sent_at"} {
		if v, ok := it.Values[name]; ok && old.Values[name] == nil {
			old.Values[name] = v
		}
	}
}

// teams lists the teams that are large enough to be spoken of, after everybody.
func (s *sums) teams() []string {
	count := map[string]int{}
	for who, t := range s.team {
		if !s.left[who] {
			count[t]++
		}
	}
	out := []string{Everybody}
	for _, t := range slices.Sorted(maps.Keys(count)) {
		if count[t] >= SmallestTeam && t != Everybody {
			out = append(out, t)
		}
	}
	return out
}

// few reports whether a sum over a team would be over so few of its people that it says what a person did: a team may be
// large, and a campaign have gone to two of it.
func (s *sums) few(team string, people int) bool { return team != Everybody && people < SmallestTeam }

func (s *sums) of(team, who string) bool { return team == Everybody || s.team[who] == team }

func is(it *evidence.Item, name string) bool {
	v, _ := it.Values[name].(bool)
	return v
}

// delivered are the results of a team's people, by campaign.
func (s *sums) delivered(team string) map[string][]*evidence.Item {
	out := map[string][]*evidence.Item{}
	for k, it := range s.results {
		if is(it, "delivered") && s.of(team, k.person) {
			out[k.campaign] = append(out[k.campaign], it)
		}
	}
	return out
}

func (s *sums) simulations(team string) *evidence.Item {
	by := s.delivered(team)
	var all, reports, clicked, entered, prone int
	var firsts, each []float64
	var last time.Time
	knows := false
	who := map[string]bool{}
	for _, list := range by {
		var sent, first time.Time
		for _, it := range list {
			all++
			who[it.Subject] = true
			if is(it, "clicked") {
				clicked++
			}
			if is(it, "entered") {
				entered++
			}
			if is(it, "clicked") || is(it, "entered") {
				prone++
			}
			if _, ok := it.Values["reported"]; ok {
				knows = true
			}
			if is(it, "reported") {
				reports++
			}
			if it.At.After(last) {
				last = it.At
			}
			at, ok := it.Values["sent_at"].(time.Time)
			if ok && (sent.IsZero() || at.Before(sent)) {
				sent = at
			}
			if m, said := it.Values["report_minutes"].(float64); ok && said {
				each = append(each, m)
				if r := at.Add(time.Duration(m * float64(time.Minute))); first.IsZero() || r.Before(first) {
					first = r
				}
			}
		}
		if !first.IsZero() {
			firsts = append(firsts, first.Sub(sent).Minutes())
		}
	}
	if all == 0 || s.few(team, len(who)) {
		return nil
	}
	v := map[string]any{"campaigns": int64(len(by)), "delivered": int64(all), "clicked": int64(clicked), "entered": int64(entered),
		"phish_prone": float64(prone) / float64(all), "last": last.UTC(), "days_since": int64(s.now.Sub(last) / (24 * time.Hour))}
	if knows {
		v["reported"], v["report_rate"] = int64(reports), float64(reports)/float64(all)
	}
	if len(firsts) > 0 {
		v["first_report_minutes"], v["report_minutes"] = median(firsts), median(each)
	}
	return &evidence.Item{Kind: KindSimulations, At: last.UTC(), Values: v}
}

func median(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	if n%2 == 1 {
		return list[n/2]
	}
	return (list[n/2-1] + list[n/2]) / 2
}

// coursesOf counts a team's people who completed a course within the year. Where there is no roster, people are those
// whom the learning platform names.
func (s *sums) coursesOf(team string) *evidence.Item {
	if len(s.courses) == 0 {
		return nil
	}
	people := s.people
	if len(people) == 0 {
		people = map[string]bool{}
		for who := range s.courses {
			people[who] = true
		}
	}
	var all, done, overdue int
	var at time.Time // of what the platform says; a new roster makes old completions no newer
	for who := range people {
		if s.left[who] || !s.of(team, who) {
			continue
		}
		all++
		c := s.courses[who]
		if c == nil {
			continue
		}
		if c.at.After(at) {
			at = c.at
		}
		if c.done {
			done++
		}
		if c.overdue {
			overdue++
		}
	}
	if all == 0 || s.few(team, all) {
		return nil
	}
	if at.IsZero() {
		at = s.rosterAt
	}
	return &evidence.Item{Kind: KindCourses, At: at, Values: map[string]any{"people": int64(all), "completed": int64(done), "share": float64(done) / float64(all), "overdue": int64(overdue)}}
}

func (s *sums) repeatClickers(team string) *evidence.Item {
	by := map[string][]*evidence.Item{}
	var last time.Time
	for k, it := range s.results {
		if is(it, "delivered") && s.of(team, k.person) && !s.left[k.person] {
			by[k.person] = append(by[k.person], it)
			if it.At.After(last) {
				last = it.At
			}
		}
	}
	repeat := 0
	for _, list := range by {
		slices.SortFunc(list, func(a, b *evidence.Item) int {
			if c := b.At.Compare(a.At); c != 0 {
				return c
			}
			an, _ := a.Values["campaign"].(string)
			bn, _ := b.Values["campaign"].(string)
			return strings.Compare(an, bn)
		})
		fell := 0
		for _, it := range list[:min(RepeatOf, len(list))] {
			if is(it, "clicked") || is(it, "entered") {
				fell++
			}
		}
		if fell >= RepeatFrom {
			repeat++
		}
	}
	if len(by) == 0 || s.few(team, len(by)) {
		return nil
	}
	return &evidence.Item{Kind: KindRepeatClickers, At: last.UTC(), Values: map[string]any{"people": int64(len(by)), "repeat": int64(repeat), "share": float64(repeat) / float64(len(by))}}
}

func (s *sums) realReports() *evidence.Item {
	if len(s.reports) == 0 {
		return nil
	}
	who := map[string]bool{}
	var phish, thanked int64
	var last time.Time
	for _, it := range s.reports {
		who[it.Subject] = true
		if v, _ := it.Values["verdict"].(string); v == "phish" || v == "suspicious" {
			phish++
		}
		if is(it, "thanked") {
			thanked++
		}
		last = it.At
	}
	return &evidence.Item{Kind: KindRealReports, At: last.UTC(), Values: map[string]any{"reports": int64(len(s.reports)), "phish": phish, "reporters": int64(len(who)), "thanked": thanked}}
}
