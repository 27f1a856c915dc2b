package listen

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// Reason says why records were refused.
type Reason int

// The reasons, with their names in metrics.
const (
	ReasonQuota    Reason = iota // quota: the lane is over its own
	ReasonShare                  // share: the lane holds more than its share of a pipeline that is behind
	ReasonWaiting                // waiting: too much waits for the disk
	ReasonFull                   // full: the disk has no room
	ReasonStopping               // stopping: the gate is being closed
	ReasonTooLarge               // too_large: a record fits into no message
	ReasonFailed                 // failed: the bus could not write
	reasons
)

// String is the reason's name in metrics.
func (r Reason) String() string {
	return [...]string{"quota", "share", "waiting", "full", "stopping", "too_large", "failed"}[r]
}

// Reasons lists all reasons.
func Reasons() []Reason {
	out := make([]Reason, reasons)
	for i := range out {
		out[i] = Reason(i)
	}
	return out
}

// Stats is what a gate did since it was made.
type Stats struct {
	Lanes        map[string]LaneStats
	Batches      uint64  // written
	Failed       uint64  // batches that the bus could not write, for other reasons than room
	Repeated     uint64  // records acknowledged again because their key had been
	WaitingBytes int64   // of frames that wait for the bus
	Unfinished   int     // records on the bus that the pipeline has yet to do
	Rate         float64 // records a second of the pipeline in its best recent second; 0 while it stands still
	Full         bool    // the bus takes nothing for want of room
}

// LaneStats is a lane's part of Stats.
type LaneStats struct {
	Records      uint64          // acknowledged
	Bytes        uint64          // acknowledged
	Refused      [reasons]uint64 // records, by Reason
	WaitingBytes int64
	Unfinished   int
	Seen         time.Time // the last submission, taken or not
}

// Stats returns the counters as they stand.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{
		Lanes: make(map[string]LaneStats, len(g.lanes)), Batches: g.batches, Failed: g.failed, Repeated: g.repeated,
		WaitingBytes: g.waiting, Unfinished: g.unfinished, Rate: g.pace.rate(time.Now()), Full: g.disk.full,
	}
	for name, l := range g.lanes {
		s.Lanes[name] = LaneStats{
			Records: l.accepted.records, Bytes: l.accepted.bytes, Refused: l.refused,
			WaitingBytes: l.bytes, Unfinished: l.unfinished, Seen: l.seen,
		}
	}
	return s
}

func (g *Gate) refuseTooLarge(frames []bus.Frame) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range frames {
		g.lane(laneOf(&frames[i])).refused[ReasonTooLarge] += uint64(frames[i].Records)
	}
}
