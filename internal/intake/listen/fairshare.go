package listen

import "time"

const (
	recently  = 5 * time.Second // how long a lane counts as active, and a pipeline as working
	overEven  = 1.5             // times the even share that a lane may hold
	retryMost = 5 * time.Second
	paceSpan  = 10 // seconds over which the pipeline's rate is looked at
)

// Progress tells that the pipeline is done with records of a lane. Where it never does, the bus takes whatever
// comes, and is the buffer. Records that were on the bus before the gate was made may be told too.
func (g *Gate) Progress(lane string, records int) {
	if records <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.add(time.Now(), records)
	if l := g.lanes[lane]; l != nil {
		g.doneWith(l, records)
	}
}

// doneWith takes records off those that are not finished: at most those that are counted, since a pipeline also
// tells of what earlier runs left to it.
func (g *Gate) doneWith(l *lane, records int) {
	records = min(records, l.unfinished)
	l.unfinished -= records
	g.unfinished -= records
}

// overShare returns how long a lane should wait because it holds more than its share of a working pipeline that
// is behind; zero where it need not.
func (g *Gate) overShare(l *lane, now time.Time) time.Duration {
	rate := g.pace.rate(now)
	if rate == 0 || g.unfinished <= g.ahead(rate) {
		return 0
	}
	active := 0
	for _, other := range g.lanes {
		if now.Sub(other.seen) <= recently {
			active++
		}
	}
	allowed := overEven * float64(g.unfinished) / float64(active)
	if active < 2 || float64(l.unfinished) <= allowed {
		return 0
	}
	wait := time.Duration((float64(l.unfinished) - allowed) / rate * float64(time.Second))
	return min(max(wait, 50*time.Millisecond), retryMost)
}

// ahead is how many records may be unfinished before shares are looked at.
func (g *Gate) ahead(rate float64) int {
	return max(g.opt.AheadLeast, int(rate*g.opt.Ahead.Seconds()))
}

// pace remembers how many records the pipeline finished in each of the last seconds.
type pace struct {
	second [paceSpan]int64
	done   [paceSpan]int
	last   time.Time
}

func (p *pace) add(now time.Time, records int) {
	s := now.Unix()
	i := s % paceSpan
	if p.second[i] != s {
		p.second[i], p.done[i] = s, 0
	}
	p.done[i] += records
	p.last = now
}

// rate is the best of the last seconds in records a second: what the pipeline can do, rather than what it was
// given to do. It is zero where nothing was finished within the last 5 s.
func (p *pace) rate(now time.Time) float64 {
	if p.last.IsZero() || now.Sub(p.last) > recently {
		return 0
	}
	best := 0
	for i, s := range p.second {
		if now.Unix()-s < paceSpan {
			best = max(best, p.done[i])
		}
	}
	return float64(best)
}
