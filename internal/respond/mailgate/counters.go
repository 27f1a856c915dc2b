package mailgate

import (
	"sync"
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of the histogram of answer times, in seconds.
var Bounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// MessageCount is how many messages had one verdict and action.
type MessageCount struct {
	Verdict   string // clean, suspicious, phish, or none where no tenant had the recipients
	Action    string // what was done, with "observe:" before it where it was not
	Direction string
	N         int64
}

// Stats counts since the start.
type Stats struct {
	Messages  []MessageCount
	Unscanned map[string]int64       // by reason: time, overload, failed, clamd, hold
	Buckets   [len(Bounds) + 1]int64 // answers by time, the last beyond all bounds; not cumulative
	Seconds   float64                // of all answers
	Panics    int64
	Lost      int64 // records of judged messages that never reached the pipeline
}

type messageKey struct{ verdict, action, direction string }

// counters are the gate's own.
type counters struct {
	panics, lost atomic.Int64

	mu       sync.Mutex
	messages map[messageKey]int64
	without  map[string]int64
	buckets  [len(Bounds) + 1]int64
	seconds  float64
}

func (c *counters) message(verdict, action, direction string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.messages == nil {
		c.messages = map[messageKey]int64{}
	}
	c.messages[messageKey{verdict, action, direction}]++
}

func (c *counters) unscanned(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.without == nil {
		c.without = map[string]int64{}
	}
	c.without[why]++
}

func (c *counters) took(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(Bounds) && s > Bounds[i] {
		i++
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buckets[i]++
	c.seconds += s
}

// Stats returns the counters.
func (g *Gate) Stats() Stats {
	c := &g.count
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Stats{Unscanned: map[string]int64{}, Buckets: c.buckets, Seconds: c.seconds, Panics: c.panics.Load(), Lost: c.lost.Load()}
	for k, n := range c.messages {
		out.Messages = append(out.Messages, MessageCount{k.verdict, k.action, k.direction, n})
	}
	for k, n := range c.without {
		out.Unscanned[k] = n
	}
	return out
}

// Lose counts records that Options.Publish could not bring to the pipeline.
func (g *Gate) Lose(n int64) { g.count.lost.Add(n) }
