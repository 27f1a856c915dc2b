package main

import (
	"math"
	"sync"
	"time"
)

// latencies counts durations in buckets that are 4 % wide, so that memory is bounded however many there are.
type latencies struct {
	mu      sync.Mutex
	buckets [400]int64
	n       int64
	most    time.Duration
}

const bucketWidth = 1.04

func (l *latencies) add(d time.Duration) {
	i := 0
	if us := float64(d.Microseconds()); us > 10 {
		i = min(len(l.buckets)-1, int(math.Log(us/10)/math.Log(bucketWidth)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buckets[i]++
	l.n++
	l.most = max(l.most, d)
}

// at returns the latency that a part of all stayed below, in milliseconds.
func (l *latencies) at(part float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum int64
	for i, n := range l.buckets {
		if sum += n; n > 0 && float64(sum) >= part*float64(l.n) {
			return min(10*math.Pow(bucketWidth, float64(i+1))/1000, float64(l.most.Microseconds())/1000)
		}
	}
	return 0
}

// spread is how long things took, in milliseconds.
type spread struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (l *latencies) spread() *spread {
	round := func(ms float64) float64 { return math.Round(ms*10) / 10 }
	l.mu.Lock()
	n, most := l.n, l.most
	l.mu.Unlock()
	return &spread{n, round(l.at(.5)), round(l.at(.95)), round(l.at(.99)), round(float64(most.Microseconds()) / 1000)}
}

// sensorKey names a sensor of a tenant.
type sensorKey struct{ tenant, sensor string }

// tally is what a run counts.
type tally struct {
	mu                                sync.Mutex
	sent, acknowledged, missed, bytes int64 // events; sent counts each once; missed ones were due and never written
	requests, resent, cut             int64 // requests
	refused                           map[int]int64
	bySensor                          map[sensorKey]int64 // acknowledged
	noisy, others                     latencies
	firstSent, lastAcknowledged       time.Time
}

func newTally() *tally { return &tally{refused: map[int]int64{}, bySensor: map[sensorKey]int64{}} }

func (t *tally) add(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}
