package scenario

import (
	"net/netip"
	"strings"
	"time"
)

// scribe writes native records for one component: r decides what happens, n draws what nobody chooses (ids,
// ports, bytes), so that a renamed scenario tells the same story.
type scribe struct {
	w    *world
	r, n *rng
	put  func(o *org, file string, r rec)
	step string // technique, while the intruder acts
	only int    // at a dual stack client: the family that is spoken, 4 or 6; 0: as its hosts like
	// behind tells the address lent to whom an address shared by translation stands for, in the session written last.
	behind map[netip.Addr]netip.Addr
}

// scribe returns a scribe with its own streams of chance, named by component, organisation and day.
func (w *world) scribe(component string, o *org, day int, put func(*org, string, rec)) *scribe {
	return &scribe{w: w, r: newRNG(w.o.Seed, component, o.idx, day), n: newRNG(w.names, "noise", component, o.idx, day), put: put}
}

// planner returns a scribe whose records wait for their day; components that touch several organisations use it.
func (w *world) planner(component string) *scribe {
	return &scribe{w: w, r: newRNG(w.o.Seed, component), n: newRNG(w.names, "noise", component), put: w.place}
}

func (w *world) place(o *org, file string, r rec) {
	d := int(r.t.Sub(w.start) / (24 * time.Hour))
	if r.t.Before(w.start) || d >= w.o.Days {
		return
	}
	if r.step != "" {
		w.cells[cell{file, o.shown(file, r.t).Hour(), o.idx}] = true
		if w.o.WithoutAttack {
			return
		}
	}
	w.plan[o][d] = append(w.plan[o][d], placed{file, r})
}

// line puts a record that is one line.
func (s *scribe) line(o *org, file string, t time.Time, text string) {
	s.put(o, file, rec{t: t, line: text, step: s.step})
}

func upper(s string) string { return strings.ToUpper(s) }

func lower(s string) string { return strings.ToLower(s) }
