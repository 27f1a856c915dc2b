package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// delivery is one message of the bus, decoded. The same message gives the same delivery whenever it is read.
type delivery struct {
	seq     uint64
	at      time.Time // when the bus took it
	lane    string
	records int
	bytes   int
	events  []*ocsf.Event // in order of delivery
	sender  []sender      // of each event
	bad     []badRecord
}

// sender is what is known of who sent a record.
type sender struct {
	sensor        string
	authenticated bool
}

// badRecord is a record that could not be read, or that is nobody's.
type badRecord struct {
	sender
	tenant tenant.ID
	reason string
	raw    []byte
	frame  bus.Frame // without its data: what a replay needs
	index  int       // among the bad records of its message
}

// frameDecoder makes events of frames. It is not safe for concurrent use; each goroutine has its own.
type frameDecoder struct {
	setup   *Setup
	formats []decode.Stream
}

func newFrameDecoder(s *Setup) *frameDecoder { return &frameDecoder{setup: s, formats: s.formats()} }

// message decodes every frame of a message.
func (d *frameDecoder) message(m *bus.Message) *delivery {
	out := &delivery{seq: m.Seq, at: m.At, lane: m.Lane}
	for i := range m.Frames {
		f := &m.Frames[i]
		out.records += f.Records
		out.bytes += len(f.Data)
		d.frame(f, out)
	}
	return out
}

func (d *frameDecoder) frame(f *bus.Frame, out *delivery) {
	s := &frameSink{d: d, out: out, frame: f, heads: int64(bytes.Count(f.Head, []byte("\n")))}
	if f.Tenant == "" {
		s.sensor, _ = d.setup.named(f.Sensor)
	}
	defer func() {
		if p := recover(); p != nil { // one record must not make everybody blind, now and at each restart
			s.Bad(0, fmt.Sprintf("our decoder failed on it, which is a bug: %v", p), f.Data)
		}
	}()
	name := f.Name
	if i := strings.LastIndexAny(name, "/!"); i >= 0 {
		name = name[i+1:]
	}
	format, head, err := recognise(d.formats, name, io.MultiReader(bytes.NewReader(f.Head), bytes.NewReader(f.Data)))
	switch {
	case err != nil:
		s.Bad(0, err.Error(), f.Data)
	case format == nil && len(bytes.TrimSpace(f.Data)) == 0:
	case format == nil:
		s.unknown()
	default:
		rest := io.MultiReader(bytes.NewReader(f.Head), bytes.NewReader(f.Data))
		if _, err := io.CopyN(io.Discard, rest, int64(len(head))); err != nil {
			s.Bad(0, err.Error(), f.Data)
			return
		}
		if err := format.Read(decode.WithReceived(context.Background(), f.Received), name, io.MultiReader(bytes.NewReader(head), rest), s); err != nil {
			s.Bad(0, err.Error(), f.Data)
		}
	}
}

// frameSink takes what a decoder makes of one frame.
type frameSink struct {
	d      *frameDecoder
	out    *delivery
	frame  *bus.Frame
	sensor *config.Sensor // nil where the frame has its tenant, or each record is asked
	heads  int64
	equal  map[equalRecords]int // how often the frame had a record that has no id of its own
}

// equalRecords are records of one moment and content.
type equalRecords struct {
	id    ocsf.EventID
	nanos int64
}

// unknown refuses what no format recognises, each line for itself where it is lines.
func (s *frameSink) unknown() {
	const reason = "the content is of no known format"
	if s.frame.Whole {
		s.Bad(1, reason, s.frame.Data)
		return
	}
	var n int64
	for line := range bytes.Lines(s.frame.Data) {
		n++
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			s.Bad(n, reason, line)
		}
	}
}

// Event takes an event for the tenant that our side bound the sender to.
func (s *frameSink) Event(e *ocsf.Event, record int64, raw []byte) {
	f := s.frame
	record = max(1, record-s.heads) + max(1, f.First) - 1
	e.Raw = ocsf.RawRef{File: f.Name, Record: record}
	if f.Name == "" {
		e.Raw.File = fmt.Sprintf("%s#%d", f.Sensor, s.out.seq)
	}
	e.Seen = f.Received
	if reason := s.assign(e); reason != "" {
		s.Bad(record, reason, raw)
		return
	}
	if reason := impossible(e.Time); reason != "" {
		s.Bad(record, reason, raw)
		return
	}
	key := f.Key
	if f.Name != "" {
		key = "" // a file's records are told apart as scan does, by what they hold
	}
	order.IdentifyIn(e, raw, f.Sensor, key, record)
	if e.SourceID == "" && key == "" {
		if s.equal == nil {
			s.equal = map[equalRecords]int{}
		}
		k := equalRecords{e.ID, e.Time.UnixNano()}
		order.Again(e, s.equal[k])
		s.equal[k]++
	}
	s.out.events = append(s.out.events, e)
	s.out.sender = append(s.out.sender, sender{f.Sensor, f.Authenticated})
}

// assign sets the tenant of an event, or says why it is nobody's.
func (s *frameSink) assign(e *ocsf.Event) (reason string) {
	f := s.frame
	e.Sensor = f.Sensor
	if f.Tenant != "" {
		e.Tenant = f.Tenant
		if f.Layer != "" {
			e.Layer = f.Layer
		}
		return ""
	}
	sensor := s.sensor
	if sensor == nil {
		if f.Sensor != "" { // who sends may not choose among the patterns of others by a file's name
			return "the configuration has no sensor " + f.Sensor + " that speaks for several tenants"
		}
		if s.d.setup.Config == nil {
			return noSensor
		}
		peer := f.Peer
		if i := strings.LastIndexByte(peer, ':'); i > 0 {
			peer = strings.Trim(peer[:i], "[]")
		}
		var ok bool
		if sensor, ok = s.d.setup.Config.SensorOf(config.Origin{Path: f.Name, Exporter: peer, Field: e.Fields.Value}); !ok {
			return noSensor
		}
	}
	id, ok := sensor.TenantFor(e.Fields.Value)
	if !ok {
		return "the sensor's map names no tenant for this record's " + sensor.By
	}
	e.Tenant = id
	if layer := firstLayer(f.Layer, sensor.Layer); layer != "" {
		e.Layer = layer
	}
	return ""
}

func firstLayer(list ...tenant.Layer) tenant.Layer {
	for _, l := range list {
		if l != "" {
			return l
		}
	}
	return ""
}

// Bad takes a record that could not be read; it is kept with its reason.
func (s *frameSink) Bad(_ int64, reason string, raw []byte) {
	f := *s.frame
	f.Data = nil
	s.out.bad = append(s.out.bad, badRecord{sender: sender{f.Sensor, f.Authenticated}, tenant: f.Tenant, reason: oneLine(reason),
		raw: bytes.Clone(raw), frame: f, index: len(s.out.bad)})
}

var _ decode.Sink = (*frameSink)(nil)
