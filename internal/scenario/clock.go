package scenario

import (
	"strings"
	"time"
)

// clock is how far a sensor's clock is off: at the first midnight, and how much that grows each day.
type clock struct{ off, drift time.Duration }

// setClocks puts the clocks of about half of the sensors wrong, by no more than Options.Skew at any time. The clouds'
// and the mail servers' clocks are right: theirs are looked after by others.
func (w *world) setClocks() {
	if w.o.Skew == 0 {
		return
	}
	for _, o := range w.orgs {
		r := newRNG(w.o.Seed, "clock", o.idx)
		o.clocks = map[string]clock{}
		for _, folder := range []string{"zeek", "windows", "vpn", "firewall", "screenconnect"} {
			off := time.Duration((r.Float64()*1.6 - 0.8) * float64(w.o.Skew))
			drift := time.Duration((r.Float64()*0.4 - 0.2) * float64(w.o.Skew) / float64(w.o.Days))
			if r.chance(0.5) {
				o.clocks[folder] = clock{off.Truncate(time.Millisecond), drift.Truncate(time.Millisecond)}
			}
		}
	}
}

// shown is what the sensor's clock says at t. Files stay in the order of what happened: an offset and a slow drift do
// not turn two records of one sensor round.
func (o *org) shown(file string, t time.Time) time.Time {
	if o.clocks == nil {
		return t
	}
	folder, _, _ := strings.Cut(file, "/")
	c, ok := o.clocks[folder]
	if !ok {
		return t
	}
	gone := t.Sub(o.since)
	return t.Add(c.off + time.Duration(float64(c.drift)*gone.Hours()/24).Truncate(time.Microsecond))
}
