package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// counted is what the server says of a sensor.
type counted struct{ events, unparsed int64 }

// get reads one of the server's answers.
func (o *options) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	r.Header.Set("Authorization", "Bearer "+o.reader)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", answer.StatusCode, text)
	}
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	return text, nil
}

// coverage reads how many events of each sensor the server counted.
func (o *options) coverage(ctx context.Context) (map[sensorKey]counted, error) {
	text, err := o.get(ctx, "/api/v1/coverage")
	if err != nil {
		return nil, err
	}
	var got struct {
		Coverage []struct {
			Tenant, Sensor   string
			Events, Unparsed int64
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return nil, fmt.Errorf("reading the coverage: %w", err)
	}
	out := map[sensorKey]counted{}
	for _, row := range got.Coverage {
		k := sensorKey{row.Tenant, row.Sensor}
		c := out[k]
		c.events += row.Events
		c.unparsed += row.Unparsed
		out[k] = c
	}
	return out, nil
}

// verdict is whether every acknowledged event is counted once.
type verdict struct {
	Acknowledged int64   `json:"acknowledged"`
	Counted      int64   `json:"counted"`
	Lost         int64   `json:"lost"`
	Twice        int64   `json:"twice"`
	Unparsed     int64   `json:"unparsed"`
	Settled      float64 `json:"settled_after_seconds"` // after the last acknowledgement
	Rate         float64 `json:"events_per_second"`     // from the first request until all are counted
}

// check compares what was acknowledged with what is counted, until they are equal or nothing changes any more.
func (o *options) check(ctx context.Context, t *tally, before map[sensorKey]counted) (*verdict, error) {
	changed := time.Now()
	for counted := int64(-1); ; {
		now, err := o.coverage(ctx)
		if err != nil {
			return nil, err
		}
		v := &verdict{}
		for k, c := range now {
			n := c.events - before[k].events
			v.Counted += n
			v.Unparsed += c.unparsed - before[k].unparsed
			v.Twice += max(0, n-t.bySensor[k])
		}
		for k, n := range t.bySensor {
			v.Acknowledged += n
			v.Lost += max(0, n-(now[k].events-before[k].events))
		}
		if v.Counted != counted {
			counted, changed = v.Counted, time.Now()
		}
		if v.Lost == 0 || time.Since(changed) > o.settle {
			v.Settled = changed.Sub(t.lastAcknowledged).Seconds()
			v.Rate = float64(v.Counted) / changed.Sub(t.firstSent).Seconds()
			return v, nil
		}
		if !pause(ctx, 250*time.Millisecond) {
			return v, ctx.Err()
		}
	}
}
