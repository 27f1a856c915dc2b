package lateral

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// pair is what one host does to another within an episode.
type pair struct {
	Source, Target host
	Who            actor
	Transfers      []sign
	Orders         []sign
	Counted        []mechanism // orders that were counted into the habits in this episode
	Finding        string
	Start, Last    int64
}

// sign is one act of a pair.
type sign struct {
	How   mechanism
	Step  step
	At    int64
	As    string // account
	What  string
	Event *ocsf.Event
}

// target is who lately acted on a host, and what its own log says that belongs to nobody yet.
type target struct {
	Recent []recent
	Loose  []sign
	Last   int64
}

// recent is one source that lately acted on a target in a way that orders something.
type recent struct {
	Source host
	At     int64
	Who    actor
}

// execution takes a transfer or an order. What only the target's own log tells goes to the source of the logon that it
// names, else to who lately wrote to the host or called its services.
func (d *Detector) execution(a *act, who actor, emit detect.Emit) {
	e := a.event
	x := d.target(a)
	if a.step == stepMade && !a.source.known() {
		if l, ok := d.s.Logons[logonKey(a)]; ok && a.logonID != "" && e.Time.UnixNano()-l.Last <= int64(24*time.Hour) {
			if l.How.session() || !l.Source.known() {
				return // somebody at the console or on remote desktop does it there
			}
			a.source, who = l.Source, l.Who
			d.complete(e.Tenant, &a.source)
		} else if r := x.latest(e.Time); r != nil {
			a.source, who = r.Source, r.Who
		} else {
			x.Loose = limited(x.Loose, a.sign(), e.Time)
			return
		}
	}
	if !a.source.known() || a.source.same(a.target) {
		return
	}
	if who.Partner == "" {
		who = d.landed(a, who)
	}
	switch a.step {
	case stepWrite, stepCall, stepPipe:
		x.note(recent{a.source, e.Time.UnixNano(), who})
	}
	p := d.pair(a, who)
	if a.step != stepPipe {
		d.add(p, a.sign(), a, emit)
	}
	if a.step != stepShare {
		for _, s := range x.Loose {
			if within(s.At, e.Time) {
				d.add(p, s, a, emit)
			}
		}
		x.Loose = nil
	}
}

func (a *act) sign() sign {
	return sign{a.how, a.step, a.event.Time.UnixNano(), a.account, a.detail, a.event}
}

func within(at int64, now time.Time) bool {
	gap := now.UnixNano() - at
	return gap <= int64(Window) && gap >= -int64(Window)
}

// limited adds a sign to those still within the window, and keeps the latest.
func limited(list []sign, s sign, now time.Time) []sign {
	list = slices.DeleteFunc(list, func(x sign) bool { return !within(x.At, now) })
	if len(list) >= maxSigns {
		list = slices.Delete(list, 0, len(list)-maxSigns+1)
	}
	return append(list, s)
}

func (d *Detector) target(a *act) *target {
	first, second := a.target.keys()
	stem := string(a.event.Tenant) + "\x00"
	at := a.event.Time.UnixNano()
	x := d.s.Targets[stem+first]
	if x == nil && second != "" {
		x = d.s.Targets[stem+second]
	}
	if x == nil {
		detect.MakeRoom(d.s.Targets, MaxTargets, func(x *target) int64 { return x.Last })
		x = &target{}
		d.s.Targets[stem+first] = x
	}
	x.Last = max(x.Last, at)
	return x
}

// note remembers a source once, by its latest act.
func (x *target) note(r recent) {
	x.Recent = slices.DeleteFunc(x.Recent, func(o recent) bool { return o.Source.same(r.Source) })
	if len(x.Recent) >= maxRecent {
		x.Recent = slices.Delete(x.Recent, 0, 1)
	}
	x.Recent = append(x.Recent, r)
}

func (x *target) latest(now time.Time) *recent {
	if n := len(x.Recent); n > 0 && within(x.Recent[n-1].At, now) {
		return &x.Recent[n-1]
	}
	return nil
}

// pair returns the episode of source and target, by whichever of their names it was begun.
func (d *Detector) pair(a *act, who actor) *pair {
	s1, s2 := a.source.keys()
	t1, t2 := a.target.keys()
	at := a.event.Time.UnixNano()
	stem := string(a.event.Tenant) + "\x00"
	first := stem + s1 + "\x00" + t1
	var p *pair
	for _, k := range [...]string{first, stem + s1 + "\x00" + t2, stem + s2 + "\x00" + t1, stem + s2 + "\x00" + t2} {
		if x := d.s.Pairs[k]; x != nil && at-x.Last <= int64(EpisodeGap) {
			p = x
			break
		}
	}
	if p == nil {
		detect.MakeRoom(d.s.Pairs, MaxPairs, func(p *pair) int64 { return p.Last })
		p = &pair{Source: a.source, Target: a.target, Who: who, Start: at}
		d.s.Pairs[first] = p
	}
	p.Last = max(p.Last, at)
	if p.Who.Partner == "" && who.Partner != "" {
		p.Who = who
	}
	return p
}

// add puts a sign into its half of the pair and tells what is there to tell.
func (d *Detector) add(p *pair, s sign, a *act, emit detect.Emit) {
	now := a.event.Time
	half := &p.Transfers
	if s.Step == stepCall || s.Step == stepMade {
		half = &p.Orders
	}
	*half = limited(*half, s, now)
	both := len(p.Transfers) > 0 && len(p.Orders) > 0 && slices.ContainsFunc(p.Transfers, func(t sign) bool {
		return slices.ContainsFunc(p.Orders, func(o sign) bool { gap := t.At - o.At; return gap <= int64(Window) && gap >= -int64(Window) })
	})
	o := d.s.Found[p.Finding]
	if o == nil {
		if len(p.Orders) == 0 {
			return
		}
		o = d.began(p, a, emit)
	}
	if o.Finding.Partner == "" && p.Who.Partner != "" { // a later act told through whom
		o.Finding.Partner, o.Finding.Trust = p.Who.Partner, p.Who.Trust
		o.actor(p.Who.Account)
	}
	if half == &p.Orders {
		d.count(p, o, s, a)
	}
	if both && !o.Both {
		o.Both = true
		d.ran(o, a)
	}
	told := o.Signs == 0
	if told { // the first finding of the pair: what led to it is its evidence
		for _, list := range [...][]sign{p.Transfers, p.Orders} {
			for _, x := range list {
				o.sign(x)
			}
		}
	} else {
		o.sign(s)
	}
	d.explainBy(o, a)
	d.combine(o, a)
	d.grown(o, emit)
}

// ran counts on how many hosts in a row a partner's person writes and executes. A run means something where the
// partner does such work here, but this person never did: where nobody did, it is mostly a partner's first day.
func (d *Detector) ran(o *open, a *act) {
	s := d.source(a, false)
	if s == nil || !o.Warm || o.Finding.Partner == "" || o.Person > 0 || o.HabitDays == 0 || o.Finding.Suppressed != nil {
		return
	}
	at := a.event.Time.UnixNano()
	s.Run = slices.DeleteFunc(s.Run, func(t int64) bool { return at-t > int64(RunTime) })
	if len(s.Run) < RunHosts {
		s.Run = append(s.Run, at)
	}
	s.Ran = s.Ran || len(s.Run) >= RunHosts
}

// began makes the finding of a pair.
func (d *Detector) began(p *pair, a *act, emit detect.Emit) *open {
	e := a.event
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: p.Who.Trust, Partner: p.Who.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "lateral/remote-exec"}
	s1, _ := p.Source.keys()
	t1, _ := p.Target.keys()
	f.Identify(time.Unix(0, p.Start), s1, t1)
	p.Finding = f.ID
	o := &open{Finding: f, Kind: kindExecution, Source: p.Source.String(), Warm: d.warm(e.Tenant, e.Time), Watched: e.Time.UnixNano() - d.s.First[e.Tenant]}
	o.ends(p.Source, p.Target)
	o.target(p.Target)
	o.actor(p.Who.Account)
	d.open(o, emit)
	if s := d.source(a, true); s != nil {
		s.grow(f.ID)
	}
	return o
}

// count takes an order into the habits, once an episode and mechanism.
func (d *Detector) count(p *pair, o *open, s sign, a *act) {
	if slices.Contains(p.Counted, s.How) {
		return
	}
	first := len(p.Counted) == 0
	p.Counted = append(p.Counted, s.How)
	e := a.event
	actor := habitual(p)
	fresh := !d.between(e.Time, "exec "+actor, e.Tenant, s.How.String(), host{}, p.Target)
	old := d.practise(e.Time, fresh, "exec", string(e.Tenant), actor, s.How.String())
	if p.Who.Partner != "" && p.Who.Account != "" {
		o.Person = max(o.Person, d.practise(e.Time, false, "person", string(e.Tenant), string(p.Who.Partner), p.Who.Account).before(e.Time))
	}
	if old.Last == 0 {
		d.practise(e.Time, true, "execs", string(e.Tenant), s.How.String())
	}
	others := d.s.Habits[digest("execs", string(e.Tenant), s.How.String())].Hosts - 1
	days, known := old.before(e.Time), !fresh
	// Of several mechanisms the least usual one is told; of equally unusual ones the one named first.
	less := cmp.Or(cmp.Compare(days, o.HabitDays), compareBool(known, o.Known), cmp.Compare(s.How, o.Newest)) < 0
	if first || less {
		o.Known, o.HabitDays, o.HabitHosts, o.Others, o.Newest = known, days, old.Hosts, max(others, 0), s.How
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// habitual is whose habit an act belongs to: the partner's, whose people stand in for each other and come from whatever
// address the day gives them; else the host's.
func habitual(p *pair) string {
	switch {
	case p.Who.Partner != "":
		return "partner " + string(p.Who.Partner)
	case p.Source.Addr.IsValid():
		return "host " + p.Source.Addr.String()
	}
	return "host " + p.Source.Name
}

// sign adds one act to the finding of a pair.
func (o *open) sign(s sign) {
	o.Signs++
	o.Finding.AddEvidence(s.Event)
	if s.Event.Time.Before(o.Finding.Time) || o.Signs == 1 {
		o.Finding.Layer = s.Event.Layer
	}
	switch s.Step {
	case stepWrite:
		o.Writes++
	case stepShare:
		o.Opened++
	case stepMade:
		o.Made++
	default:
		o.Calls++
	}
	if s.Step == stepCall || s.Step == stepMade {
		if o.Ways == nil {
			o.Ways = map[mechanism]int{}
		}
		o.Ways[s.How]++
	}
	if len(s.What) < 200 {
		o.Details = worded(o.Details, strings.ToValidUTF8(s.What, "?"), 6)
	}
	o.actor(s.As)
}
