package app

import (
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Fed is one record of a folder as a sender would have sent it, at the time when it happened.
type Fed struct {
	At    time.Time
	Frame bus.Frame // of that one record
}

// ReadFeed reads a folder as scan does, and returns its records in event time, each bound to the sensor and tenant
// that the configuration gives its file. It is how the demo plays recorded telemetry to a running pipeline.
func ReadFeed(ctx context.Context, s *Setup, dir string) ([]Fed, error) {
	var out []Fed
	formats := s.formats()
	_, err := bounded.Walk(ctx, []string{dir}, s.Limits, func(f bounded.File) error {
		rel := s.rel(f.Path)
		sensor, ok := s.Config.SensorFor(rel)
		if !ok || s.ours(rel) {
			return nil
		}
		data, err := io.ReadAll(f.Reader)
		if err != nil {
			return err
		}
		format, _, err := recognise(formats, f.Name, bytes.NewReader(data))
		if err != nil || format == nil {
			return err
		}
		k := &feedSink{frame: bus.Frame{Sensor: sensor.Name, Tenant: sensor.Tenant, Layer: sensor.Layer, Authenticated: true, Name: rel,
			Whole: format.Name == "mail", Records: 1}, data: data}
		if err := format.Read(ctx, f.Name, bytes.NewReader(data), k); err != nil {
			return err
		}
		out = append(out, k.out...)
		return nil
	})
	slices.SortStableFunc(out, func(a, b Fed) int { return a.At.Compare(b.At) })
	return out, err
}

type feedSink struct {
	frame bus.Frame
	data  []byte
	heads bool
	out   []Fed
}

// Event takes one record. What stands before the first one of a file of lines is its head.
func (k *feedSink) Event(e *ocsf.Event, record int64, raw []byte) {
	if !k.heads {
		k.heads = true
		if lines := bytes.SplitAfterN(k.data, []byte("\n"), int(min(record, 64))); record > 1 && int64(len(lines)) == min(record, 64) && !k.frame.Whole && lines[0][0] != '{' && lines[0][0] != '[' {
			k.frame.Head = slices.Concat(lines[:record-1]...)
		}
	}
	f := k.frame
	f.First = record
	f.Data = bytes.Clone(raw)
	if !f.Whole {
		f.Data = append(bytes.TrimRight(f.Data, "\r\n"), '\n')
	}
	if n := len(k.out); n > 0 && k.out[n-1].Frame.First == record && bytes.Equal(k.out[n-1].Frame.Data, f.Data) {
		return // one record that gives several events
	}
	k.out = append(k.out, Fed{e.Time, f})
}

// Bad leaves out what could not be read.
func (k *feedSink) Bad(int64, string, []byte) {}

// Join makes frames of records that follow one another, as few as keep to a batch's limits.
func Join(list []Fed) []bus.Frame {
	var out []bus.Frame
	at := map[string]int{}
	for _, x := range list {
		f := x.Frame
		i, ok := at[f.Name]
		if ok && !f.Whole && f.First == out[i].First+int64(out[i].Records) && out[i].Records < bus.MaxRecords && len(out[i].Data)+len(f.Data) < bus.MaxBytes/2 {
			out[i].Data = append(out[i].Data, f.Data...)
			out[i].Records++
			continue
		}
		at[f.Name] = len(out)
		out = append(out, f)
	}
	return out
}
