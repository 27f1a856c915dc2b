package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// access is a sensor's token, as `breakwater token create -o json` prints it.
type access struct {
	Token  string `json:"token"`
	Tenant string `json:"tenant"`
	Sensor string `json:"sensor"`
	Role   string `json:"role"`
}

// sender is one connection of an organisation.
type sender struct {
	o      *options
	t      *tally
	org    *org
	noisy  bool
	tokens map[string]string // by sensor
	w      *writer
	rate   float64 // events a second; 0: as fast as accepted
	batch  int
	client *http.Client

	packed bytes.Buffer
	zip    *gzip.Writer
}

func newSender(o *options, t *tally, of *org, tokens map[string]string, conn uint64) *sender {
	return &sender{o: o, t: t, org: of, tokens: tokens, w: newWriter(o.run, conn, o.size), batch: o.batch, client: oneConnection()}
}

// oneConnection returns a client that keeps one connection open and gives up on an answer after half a minute.
func oneConnection() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, WriteBufferSize: 64 << 10}}
}

// run sends until the writing context ends, and then until the last request is acknowledged or the other ends.
func (s *sender) run(writing, ctx context.Context) error {
	defer s.client.CloseIdleConnections()
	var body []byte
	due := time.Now()
	if s.rate > 0 { // senders do not march in step
		due = due.Add(time.Duration(rand.Float64() * float64(s.batch) / s.rate * float64(time.Second)))
	}
	cutAt := time.Now().Add(jitter(s.o.cut))
	for n := 0; ; n++ {
		var span time.Duration
		if s.rate > 0 {
			span = time.Duration(float64(s.batch) / s.rate * float64(time.Second))
			if late := time.Since(due); late > time.Second {
				lost := int64(late/span) * int64(s.batch)
				s.t.add(func() { s.t.missed += lost })
				due = time.Now()
			}
			if !pause(writing, time.Until(due)) {
				return nil
			}
		}
		if writing.Err() != nil {
			return nil
		}
		sensor := s.pick()
		body = s.fill(body[:0], sensor, span)
		began := due
		if s.rate == 0 {
			began = time.Now()
		}
		cut := s.o.cut > 0 && time.Now().After(cutAt)
		if cut {
			cutAt = time.Now().Add(jitter(s.o.cut))
		}
		if err := s.deliver(ctx, sensor, fmt.Sprintf("%x-%d-%d", s.o.run, s.w.conn, n), body, began, cut); err != nil {
			return err
		}
		due = due.Add(span)
	}
}

func jitter(d time.Duration) time.Duration { return time.Duration((0.5 + rand.Float64()) * float64(d)) }

// pause waits, and reports whether the context still holds.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *sender) pick() string {
	n := s.w.rng.IntN(100)
	for _, x := range sensors {
		if n -= x.share; n < 0 {
			return x.name
		}
	}
	return sensors[0].name
}

// fill writes a batch of what happened during the time since the last one.
func (s *sender) fill(b []byte, sensor string, span time.Duration) []byte {
	step := min(span, time.Second) / time.Duration(s.batch)
	at := time.Now().UTC().Add(-step * time.Duration(s.batch))
	for range s.batch {
		at = at.Add(step)
		b = s.w.record(b, s.org, sensor, at)
	}
	return b
}

// deliver sends a request until it is acknowledged.
func (s *sender) deliver(ctx context.Context, sensor, key string, body []byte, began time.Time, cut bool) error {
	events := int64(bytes.Count(body, []byte("\n")))
	s.t.add(func() {
		s.t.sent += events
		s.t.bytes += int64(len(body))
		s.t.requests++
		if s.t.firstSent.IsZero() {
			s.t.firstSent = time.Now()
		}
	})
	if s.o.gzip {
		body = s.pack(body)
	}
	for first := true; ; first = false {
		if !first {
			s.t.add(func() { s.t.resent++ })
		}
		retry, err := s.once(ctx, sensor, key, body, events, cut && first)
		if err != nil {
			return err
		}
		if retry == 0 {
			break
		}
		if !pause(ctx, retry) {
			return fmt.Errorf("a request of %s/%s was never acknowledged", s.org.id, sensor)
		}
	}
	now := time.Now()
	s.t.add(func() {
		s.t.acknowledged += events
		s.t.bySensor[sensorKey{s.org.id, sensor}] += events
		s.t.lastAcknowledged = now
	})
	if s.noisy {
		s.t.noisy.add(now.Sub(began))
	} else {
		s.t.others.add(now.Sub(began))
	}
	return nil
}

func (s *sender) pack(body []byte) []byte {
	if s.zip == nil {
		s.zip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that exists
	}
	s.packed.Reset()
	s.zip.Reset(&s.packed)
	_, _ = s.zip.Write(body) // a buffer takes everything
	_ = s.zip.Close()
	return s.packed.Bytes()
}

// once sends a request. It returns when to send it again; 0 where it was acknowledged.
func (s *sender) once(ctx context.Context, sensor, key string, body []byte, events int64, cut bool) (retry time.Duration, err error) {
	if cut {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(rand.Float64()*float64(20*time.Millisecond)))
		defer stop()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.url+"/ingest/ndjson", bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens[sensor])
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Idempotency-Key", key)
	if s.o.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := s.client.Do(r)
	if err != nil { // nobody knows whether it arrived
		if cut {
			s.t.add(func() { s.t.cut++ })
			return time.Millisecond, nil
		}
		return jitter(100 * time.Millisecond), nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	switch {
	case err != nil:
		return jitter(100 * time.Millisecond), nil
	case answer.StatusCode == http.StatusOK:
		var got struct{ Accepted int64 }
		if err := json.Unmarshal(text, &got); err != nil || got.Accepted != events {
			return 0, fmt.Errorf("%d events were sent, and the answer is %s", events, text)
		}
		return 0, nil
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable:
		s.t.add(func() { s.t.refused[answer.StatusCode]++ })
		after, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil || after < 1 {
			return 0, fmt.Errorf("status %d without Retry-After: %s", answer.StatusCode, text)
		}
		return jitter(time.Duration(after) * time.Second), nil
	}
	return 0, fmt.Errorf("status %d: %s", answer.StatusCode, text)
}
