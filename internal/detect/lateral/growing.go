package lateral

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kind is what a finding is about.
type kind uint8

const (
	kindExecution kind = iota
	kindSwitch
	kindHop
	kindRelay
	kindDisarm
)

// open is a finding that may still grow: what is known of it, from which severity and words are made each time that it
// is told. Nothing of it depends on the order of acts with the same time.
type open struct {
	Finding *ocsf.Finding
	Kind    kind
	Key     string // of the source in Sources
	Last    int64
	Held    bool

	Source, From, Landed string
	Opener, Used         string
	Targets, Linked      []string
	Crossing, Facts      []string
	Details, Accounts    []string
	Ways                 map[mechanism]int
	More                 int // hosts beyond those named

	Signs, Writes, Opened, Calls, Made int
	Brought                            int // programs that came while protection was stopped
	HabitDays, HabitHosts, Others      int
	Newest                             mechanism // the order whose habit is judged
	Elsewhere                          int
	Person                             int   // days before on which the partner's person gave such orders
	Watched                            int64 // how long the tenant was watched, in nanoseconds

	Both, Known, Warm, Guessed, Privileged, Explicit bool
	Switched, Hopped, Executed, Ran                  bool // what else the source did in its session
	Unexplained, Declared, Jump, ByTool, Beyond      bool
}

// open takes a new finding in. Where there is no room what was held back is told first.
func (d *Detector) open(o *open, emit detect.Emit) {
	if len(d.s.Found) >= MaxFound {
		d.Conclude(emit)
		for id := range d.held {
			d.s.Found[id].Held = false
		}
		clear(d.held)
		detect.MakeRoom(d.s.Found, MaxFound, func(o *open) int64 { return o.Last })
	}
	d.s.Found[o.Finding.ID] = o
}

// ends names the source, and the target where there is one.
func (o *open) ends(from, to host) {
	if from.known() {
		o.Finding.AddEntity(entityOf(from), value(from), ocsf.RoleSource)
	}
	if to.known() {
		o.Finding.AddEntity(entityOf(to), value(to), ocsf.RoleTarget)
	}
}

func entityOf(h host) ocsf.EntityType {
	if h.Name != "" {
		return ocsf.EntityHost
	}
	return ocsf.EntityIP
}

func value(h host) string {
	first, _ := h.keys()
	return first
}

func (o *open) actor(account string) {
	if account != "" && len(o.Finding.Entities) < maxWords {
		o.Finding.AddEntity(ocsf.EntityUser, account, ocsf.RoleActor)
		o.Accounts = worded(o.Accounts, account, 8)
	}
}

// target names a host once, by whichever of its names came first.
func (o *open) target(h host) {
	if o.names(h) {
		return
	}
	if len(o.Targets) >= maxWords {
		o.More++
		return
	}
	o.Targets = worded(o.Targets, value(h), maxWords)
}

func (o *open) names(h host) bool {
	first, second := h.keys()
	return slices.Contains(o.Targets, first) || second != "" && slices.Contains(o.Targets, second)
}

// hosts counts the targets. One host may show by its address on the network and by its name in its own log, so that
// the two are not added up.
func (o *open) hosts() int {
	addrs := 0
	for _, t := range o.Targets {
		if _, err := netip.ParseAddr(t); err == nil {
			addrs++
		}
	}
	return max(addrs, len(o.Targets)-addrs) + o.More
}

// worded adds a word once, sorted, while there are fewer than most.
func worded(list []string, word string, most int) []string {
	i, there := slices.BinarySearch(list, word)
	if there || word == "" || len(list) >= most {
		return list
	}
	return slices.Insert(list, i, strings.Clone(word))
}

// combine tells the other findings of the same source what this one shows.
func (d *Detector) combine(o *open, a *act) {
	if a.event.Time.UnixNano() > o.Last {
		o.Last = a.event.Time.UnixNano()
	}
	if o.Key == "" {
		if s := d.source(a, false); s != nil {
			o.Key = s.Key
		}
	}
	s := d.s.Sources[o.Key]
	if s == nil || o.Finding.Suppressed != nil {
		return
	}
	o.Switched, o.Hopped, o.Executed, o.Ran = s.Switched, s.Hopped, s.Executed, s.Ran
	switch alone, _, _ := o.alone(); {
	case o.Kind == kindSwitch && alone >= ocsf.SeverityMedium:
		s.Switched = true
	case o.Kind == kindHop && alone >= ocsf.SeverityMedium:
		s.Hopped = true
	case o.Kind == kindExecution && o.Both && alone >= ocsf.SeverityMedium:
		s.Executed = true
	}
}

// grown tells a finding anew, and those of the same source that weigh more by it.
func (d *Detector) grown(o *open, emit detect.Emit) {
	d.tellOrHold(o, emit)
	s := d.s.Sources[o.Key]
	if s == nil {
		return
	}
	for _, id := range s.Growing {
		if x := d.s.Found[id]; x != nil && (x.Switched != s.Switched || x.Hopped != s.Hopped || x.Executed != s.Executed || x.Ran != s.Ran) {
			x.Switched, x.Hopped, x.Executed, x.Ran = s.Switched, s.Hopped, s.Executed, s.Ran
			d.tellOrHold(x, emit)
		}
	}
}

// tellOrHold emits a finding while it is small or weighs more than before, and holds it back until Advance in a flood.
func (d *Detector) tellOrHold(o *open, emit detect.Emit) {
	before := o.Finding.Severity
	o.grade()
	if o.Signs <= ocsf.MaxEvidence || o.Finding.Severity != before {
		o.tell(emit)
		delete(d.held, o.Finding.ID)
		o.Held = false
		return
	}
	o.Held = true
	d.held[o.Finding.ID] = struct{}{}
	d.pending++
}

// tell emits the finding as it stands; nothing where there is nothing to tell yet.
func (o *open) tell(emit detect.Emit) {
	o.grade()
	if o.Finding.Severity == ocsf.SeverityUnknown {
		return
	}
	f := o.Finding.Clone()
	f.Reason = o.reason()
	emit(f)
}
