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
	s := &sums{tenant: id, now: now, people: map[string]*person{}, results: map[shot]*evidence.Item{}, courses: map[string]*courses{}}
	var mine []*evidence.Item
	for i := range items {
		if it := &items[i]; it.Tenant == id && !it.At.After(now) && strings.HasPrefix(it.Kind, "training.") {
			mine = append(mine, it)
		}
	}
	older := func(a, b *evidence.Item) int { // the newest word on somebody's team counts
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if c := strings.Compare(a.From.File, b.From.File); c != 0 {
			return c
		}
		return int(a.From.Line - b.From.Line)
	}
	if !slices.IsSortedFunc(mine, older) { // a million rows of one file are
		slices.SortStableFunc(mine, older)
	}
	for _, it := range mine {
		s.add(it)
	}
	var out []evidence.Item
	for _, t := range s.teams() {
		for _, one := range [...]func(*team) *evidence.Item{s.simulations, s.coursesOf, s.repeatClickers} {
			if it := one(t); it != nil {
				it.Tenant, it.Subject = id, t.name
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

// person is what is known of one.
type person struct {
	team     string
	rostered bool // on a roster, which knows the team better than a simulator's list of addresses
	settled  bool // a roster has said the team
	left     bool
}

// team is what is summed up together: a team that is large enough, or everybody.
type team struct {
	name    string
	people  []string // who should have done courses: those of the roster, or whom the learning platform names
	results []given
}

// given is one simulated message that arrived.
type given struct {
	shot
	it *evidence.Item
}

type sums struct {
	tenant   tenant.ID
	now      time.Time
	people   map[string]*person
	roster   bool // somebody is on one
	rosterAt time.Time
	results  map[shot]*evidence.Item
	courses  map[string]*courses
	reports  []*evidence.Item
}

func (s *sums) add(it *evidence.Item) {
	who := it.Subject
	p := s.people[who]
	if p == nil {
		p = &person{}
		s.people[who] = p
	}
	if t, ok := it.Values["team"].(string); ok && (it.Kind == KindPerson || !p.settled) {
		p.team, p.settled = t, p.settled || it.Kind == KindPerson
	}
	switch it.Kind {
	case KindPerson:
		left, ok := it.Values["left"].(time.Time)
		p.rostered, p.left = true, ok && !left.After(s.now)
		s.roster, s.rosterAt = true, it.At
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

// teams returns everybody, and then the teams that are large enough to be spoken of, by name. Each person and result is
// looked at once, however many teams there are.
func (s *sums) teams() []*team {
	count := map[string]int{}
	for _, p := range s.people {
		if !p.left && p.team != "" {
			count[p.team]++
		}
	}
	all := &team{name: Everybody}
	out, by := []*team{all}, map[string]*team{}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if count[name] >= SmallestTeam && name != Everybody {
			by[name] = &team{name: name}
			out = append(out, by[name])
		}
	}
	for k, it := range s.results {
		if !is(it, "delivered") {
			continue
		}
		all.results = append(all.results, given{k, it})
		if t := by[s.people[k.person].team]; t != nil {
			t.results = append(t.results, given{k, it})
		}
	}
	for who, p := range s.people {
		if p.left || s.roster && !p.rostered || !s.roster && s.courses[who] == nil {
			continue
		}
		all.people = append(all.people, who)
		if t := by[p.team]; t != nil {
			t.people = append(t.people, who)
		}
	}
	return out
}

// few reports whether a sum over a team would be over so few of its people that it says what a person did: a team may be
// large, and a campaign have gone to two of it.
func (t *team) few(people int) bool { return t.name != Everybody && people < SmallestTeam }

func is(it *evidence.Item, name string) bool {
	v, _ := it.Values[name].(bool)
	return v
}

func (s *sums) simulations(t *team) *evidence.Item {
	by := map[string][]*evidence.Item{} // by campaign
	for _, g := range t.results {
		by[g.campaign] = append(by[g.campaign], g.it)
	}
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
	if all == 0 || t.few(len(who)) {
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
func (s *sums) coursesOf(t *team) *evidence.Item {
	if len(s.courses) == 0 {
		return nil
	}
	var all, done, overdue int
	var at time.Time // of what the platform says; a new roster makes old completions no newer
	for _, who := range t.people {
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
	if all == 0 || t.few(all) {
		return nil
	}
	if at.IsZero() {
		at = s.rosterAt
	}
	return &evidence.Item{Kind: KindCourses, At: at, Values: map[string]any{"people": int64(all), "completed": int64(done), "share": float64(done) / float64(all), "overdue": int64(overdue)}}
}

func (s *sums) repeatClickers(t *team) *evidence.Item {
	by := map[string][]*evidence.Item{}
	var last time.Time
	for _, g := range t.results {
		if s.people[g.person].left {
			continue
		}
		by[g.person] = append(by[g.person], g.it)
		if g.it.At.After(last) {
			last = g.it.At
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
	if len(by) == 0 || t.few(len(by)) {
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
