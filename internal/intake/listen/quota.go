package listen

import "time"

// Quota is what a lane may send in the long run; zero: as much as it wants.
type Quota struct {
	EventsPerSecond float64
	BytesPerSecond  float64
}

// burst is how much of its quota a lane that was silent may send at once, in seconds.
const burst = 2

// bucket holds what a lane may send now. A submission passes while there is anything in it, and may leave a debt,
// so that one larger than the burst passes too and is paid for afterwards.
type bucket struct {
	quota  Quota
	events float64
	bytes  float64
	at     time.Time
}

// wait fills the bucket and returns how long until it holds something.
func (b *bucket) wait(q Quota, now time.Time) time.Duration {
	if q != b.quota {
		*b = bucket{quota: q, events: burst * q.EventsPerSecond, bytes: burst * q.BytesPerSecond, at: now}
	}
	passed := max(0, now.Sub(b.at).Seconds()) // a clock that steps back gives nothing
	b.at = now
	b.events = min(burst*q.EventsPerSecond, b.events+passed*q.EventsPerSecond)
	b.bytes = min(burst*q.BytesPerSecond, b.bytes+passed*q.BytesPerSecond)
	return max(until(b.events, q.EventsPerSecond), until(b.bytes, q.BytesPerSecond))
}

func (b *bucket) take(records int, bytes int64) {
	b.events -= float64(records)
	b.bytes -= float64(bytes)
}

func until(level, perSecond float64) time.Duration {
	if perSecond <= 0 || level > 0 {
		return 0
	}
	return min(time.Duration(-level/perSecond*float64(time.Second))+time.Millisecond, time.Minute)
}
