package sigma

import (
	"math"
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxReplayed bounds the matches that a Replay keeps for its correlations.
const MaxReplayed = 1 << 20

// Replay matches events in whatever order they come, as files lie in a folder, and evaluates the correlations over all
// of them at the end, in the order of their times. It keeps of each match what correlations ask and nothing else of
// the event. Matches that filters leave out and those without a plausible time don't count for correlations.
//
// A Replay serves one goroutine.
type Replay struct {
	set  *RuleSet
	work *scratch
	kept []replayed
	left Left
}

// replayed is a match that some correlation looks at.
type replayed struct {
	event  *ocsf.Event // its tenant, time and place alone
	rule   *Rule
	origin *origin
}

// NewReplay returns a Replay of the rules.
func (s *RuleSet) NewReplay() *Replay { return &Replay{set: s, work: newScratch(s)} }

// Match calls yield for each rule that matches an event of the batch, as RuleSet.Match does, and keeps what
// correlations ask.
func (p *Replay) Match(batch []*ocsf.Event, yield func(event int, r *Rule)) {
	w := p.work
	for i, e := range batch {
		w.load(e)
		var slim *ocsf.Event
		for _, pos := range w.match() {
			r := p.set.rules[pos]
			yield(i, r)
			if len(p.set.feeds[r]) == 0 {
				continue
			}
			if acts, _ := w.filtered(r); acts != nil {
				p.left.Filtered++
				continue
			}
			if y := e.Time.Year(); y < 1700 || y > 2250 {
				p.left.Untimely++
				continue
			}
			if len(p.kept) >= MaxReplayed {
				p.left.Matches++
				continue
			}
			if slim == nil {
				slim = &ocsf.Event{Tenant: e.Tenant, Time: e.Time, Raw: e.Raw}
			}
			p.kept = append(p.kept, replayed{slim, r, w.origin(r)})
		}
	}
	w.forget()
}

// Correlate calls yield for each correlation that holds, quiet ones too, once for as long as it goes on holding, with
// the event that completes it: where further matches could have undone it, the last one before its timespan was over.
// Of the event only tenant, time and place are there. It may be called once.
func (p *Replay) Correlate(yield func(c *Correlation, e *ocsf.Event)) {
	type once struct {
		c      *Correlation
		tenant tenant.ID
		key    string
		began  int64
	}
	told := map[once]bool{}
	x := newCorrelator(p.set, func(h hit) {
		k := once{h.c, h.tenant, h.key, h.began}
		if len(h.samples) == 0 || told[k] {
			return
		}
		told[k] = true
		yield(h.c, h.last())
	})
	slices.SortStableFunc(p.kept, func(a, b replayed) int { return a.event.Time.Compare(b.event.Time) })
	var last *ocsf.Event
	for i := range p.kept {
		m := &p.kept[i]
		if m.event != last {
			x.begin(m.event.Time.UnixNano())
			last = m.event
		}
		x.match(m.rule, m.event, m.origin)
	}
	x.close(math.MaxInt64)
	p.left.add(x.left())
	p.kept = nil
}

// Left returns what the correlations left out.
func (p *Replay) Left() Left { return p.left }
