package sigma

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// savedCorrelator is the state of a correlator as a snapshot holds it.
type savedCorrelator struct {
	Serial, Used, Episodes uint64
	Swept                  map[string]int64 // by correlation
	Origins                []savedOrigin
	Tenants                []savedTenant
}

// savedTenant is that of one tenant.
type savedTenant struct {
	ID      tenant.ID
	Left    Left
	Windows []savedWindow
}

// savedOrigin is an origin; windows name it by its place in the list.
type savedOrigin struct {
	Rule   string
	Values [][]string
}

// savedWindow is one window. What follows from its matches is worked out again.
type savedWindow struct {
	Correlation, Print, Key string
	Group                   []string
	List                    []savedMatch
	Used                    uint64
	Last                    []int64
	Chains                  []savedChain
	Members                 []int // of the samples
	Samples                 []*ocsf.Event
	Held                    *savedHeld
	Fired, Began            int64
	Episode                 uint64
}

type savedMatch struct {
	At              int64
	Serial, Episode uint64
	Member, Weight  int
	Values          []string
	Number          float64
	Counted         bool
	Origins         []int
}

type savedChain struct {
	At          int64
	Begun, Past []int64
}

type savedHeld struct {
	From, Until int64
	Peak, Last  float64
	Kept        bool
}

// save returns the whole state, in an order of its own.
func (x *correlator) save() savedCorrelator {
	s := savedCorrelator{Serial: x.serial, Used: x.used, Episodes: x.episodes, Swept: map[string]int64{}}
	for i, c := range x.set.correlations {
		s.Swept[c.ID] = x.swept[i]
	}
	places := map[*origin]int{}
	place := func(o *origin) int {
		if i, ok := places[o]; ok {
			return i
		}
		places[o] = len(s.Origins)
		s.Origins = append(s.Origins, savedOrigin{o.rule.ID, o.values})
		return places[o]
	}
	for _, id := range slices.Sorted(maps.Keys(x.tenants)) {
		t := x.tenants[id]
		one := savedTenant{ID: id, Left: t.left}
		for _, m := range t.windows {
			for _, k := range slices.Sorted(maps.Keys(m)) {
				one.Windows = append(one.Windows, m[k].save(place))
			}
		}
		s.Tenants = append(s.Tenants, one)
	}
	return s
}

func (w *window) save(place func(*origin) int) savedWindow {
	s := savedWindow{Correlation: w.c.ID, Print: w.c.print, Key: w.key, Group: w.group, Used: w.used, Last: w.last, Fired: w.fired, Began: w.began, Episode: w.episode}
	for i := range w.list {
		m := &w.list[i]
		one := savedMatch{At: m.at, Serial: m.serial, Episode: m.episode, Member: m.member, Weight: m.weight, Values: m.values, Number: m.number, Counted: m.counted}
		for _, o := range m.origins {
			one.Origins = append(one.Origins, place(o))
		}
		s.List = append(s.List, one)
	}
	for i := range w.chains {
		s.Chains = append(s.Chains, savedChain{w.chains[i].at, w.chains[i].begun, w.chains[i].past})
	}
	for _, x := range w.samples {
		s.Members, s.Samples = append(s.Members, x.member), append(s.Samples, x.event)
	}
	if h := w.held; h != nil {
		s.Held = &savedHeld{h.from, h.until, h.peak, h.last, h.kept}
	}
	return s
}

// restore takes a saved state in. Windows of correlations that are gone or ask for something else now are left out.
func (x *correlator) restore(s savedCorrelator) error {
	x.serial, x.used, x.episodes = s.Serial, s.Used, s.Episodes
	byID := map[string]*Correlation{}
	for i, c := range x.set.correlations {
		byID[c.ID], x.swept[i] = c, s.Swept[c.ID]
	}
	origins := make([]*origin, len(s.Origins))
	for i, o := range s.Origins {
		r := x.set.Rule(o.Rule)
		if slots := x.set.carried[r]; r != nil && len(slots) == len(o.Values) {
			origins[i] = &origin{r, slots, o.Values}
		}
	}
	for _, st := range s.Tenants {
		t := x.tenant(st.ID)
		t.left = st.Left
		for i := range st.Windows {
			sw := &st.Windows[i]
			c := byID[sw.Correlation]
			if c == nil || c.print != sw.Print {
				continue
			}
			w, err := sw.restore(c, t, origins)
			if err != nil {
				return fmt.Errorf("windows of correlation %s: %w", c.ID, err)
			}
			t.windows[c.number][w.key] = w
			if w.held != nil {
				x.waiting = append(x.waiting, deadline{w.held.until, c.number, t.id, w.key, w.held})
			}
		}
	}
	heap.Init(&x.waiting)
	return nil
}

func (s *savedWindow) restore(c *Correlation, t *tenantWindows, origins []*origin) (*window, error) {
	w := newWindow(c, t, s.Key, s.Group)
	w.used, w.fired, w.began, w.episode = s.Used, s.Fired, s.Began, s.Episode
	if len(s.Group) != len(c.GroupBy) || len(s.Members) != len(s.Samples) || len(s.Chains) != len(w.chains) || w.last != nil && len(s.Last) != len(w.last) {
		return nil, fmt.Errorf("the stored window %q is of another shape", s.Key)
	}
	for i := range s.List {
		m := &s.List[i]
		in := inWindow{at: m.At, serial: m.Serial, episode: m.Episode, member: m.Member, weight: m.Weight, values: m.Values, number: m.Number, counted: m.Counted}
		if in.member < 0 || in.member >= len(c.members) {
			return nil, fmt.Errorf("the stored window %q names a rule that the correlation hasn't", s.Key)
		}
		for _, o := range m.Origins {
			if o >= 0 && o < len(origins) && origins[o] != nil {
				in.origins = append(in.origins, origins[o])
			}
		}
		w.remember(&in)
		w.list = append(w.list, in)
	}
	t.matches += len(w.list)
	copy(w.last, s.Last)
	for i, ch := range s.Chains {
		if len(ch.Begun) != len(w.chains[i].begun) || len(ch.Past) != len(ch.Begun) {
			return nil, fmt.Errorf("the stored window %q has chains of another length", s.Key)
		}
		w.chains[i] = chain{ch.At, ch.Begun, ch.Past}
	}
	for i, e := range s.Samples {
		if e == nil {
			return nil, fmt.Errorf("the stored window %q lacks an event", s.Key)
		}
		w.samples = append(w.samples, sample{s.Members[i], e})
	}
	t.samples += len(w.samples)
	if h := s.Held; h != nil {
		w.held = &held{h.From, h.Until, h.Peak, h.Last, h.Kept}
	}
	return w, nil
}

// concluded calls emit for the conditions that wait and would hold if the input ended now, and changes nothing: a
// copy is taken to its end.
func (x *correlator) concluded(emit func(hit)) {
	if len(x.waiting) == 0 {
		return
	}
	again := newCorrelator(x.set, emit)
	if err := again.restore(deepSaved(x.save())); err != nil {
		return // what was saved just now is of this set's shape
	}
	again.close(never + 1)
	again.close(1<<63 - 1)
}

// deepSaved copies the parts of a state that its owner goes on changing.
func deepSaved(s savedCorrelator) savedCorrelator {
	for i := range s.Tenants {
		for j := range s.Tenants[i].Windows {
			w := &s.Tenants[i].Windows[j]
			w.Last = slices.Clone(w.Last)
			for k := range w.Chains {
				w.Chains[k].Begun, w.Chains[k].Past = slices.Clone(w.Chains[k].Begun), slices.Clone(w.Chains[k].Past)
			}
		}
	}
	slices.SortFunc(s.Tenants, func(a, b savedTenant) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
