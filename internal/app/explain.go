package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Explanation is one record's way through every stage.
type Explanation struct {
	File       string
	Record     int64
	Format     string
	Bad        string // why the record could not be read; the rest is empty then
	Events     []*ocsf.Event
	Detectors  map[string][]string
	Findings   []*ocsf.Finding // that rest on the record
	Windows    []Window        // of those of them that correlations made
	Sensor     string
	NoSensor   bool
	Raw        string
	Duplicates bool
}

// Window is what a correlation held when it became a finding.
type Window struct {
	Finding     string // its id
	Correlation *sigma.Correlation
	Events      []ocsf.Evidence // that are kept of it, in the order of their times
	Count       int             // of all
}

// windows tells of each finding that a correlation made which events made it.
func (x *Explanation) windows(set *sigma.RuleSet) {
	if set == nil {
		return
	}
	for _, f := range x.Findings {
		c := set.Correlation(f.Rule)
		if c == nil {
			continue
		}
		w := Window{Finding: f.ID, Correlation: c, Events: slices.Clone(f.Evidence), Count: f.Count}
		slices.SortStableFunc(w.Events, func(a, b ocsf.Evidence) int { return a.Event.Time.Compare(b.Event.Time) })
		x.Windows = append(x.Windows, w)
	}
}

// Explain runs the context (and the file) through the pipeline and tells what became of one record of the file;
// record 0 is the first that the file has. Findings need their context: what was seen before decides.
func Explain(ctx context.Context, s *Setup, file string, record int64, paths []string) (*Explanation, error) {
	x := &Explanation{Record: record}
	p, err := newPipeline(s)
	if err != nil {
		return nil, err
	}
	defer p.sorter.Close()
	if err := x.find(ctx, p, file); err != nil {
		return nil, err
	}
	if x.Record == 0 {
		return nil, fmt.Errorf("%s has no record that could be explained", file)
	}
	if x.Bad != "" || x.NoSensor {
		return x, nil
	}
	if len(paths) == 0 {
		paths = []string{file}
	}
	if err := p.read(ctx, paths); err != nil {
		return nil, err
	}
	return x, x.follow(p)
}

// tap keeps what a decoder makes of one record.
type tap struct{ x *Explanation }

func (t tap) mine(record int64) bool {
	if t.x.Record == 0 {
		t.x.Record = record
	}
	return record == t.x.Record
}

func (t tap) Event(e *ocsf.Event, record int64, raw []byte) {
	if t.mine(record) {
		t.x.Events = append(t.x.Events, e)
		t.x.Raw = string(bytes.ToValidUTF8(raw[:min(len(raw), 2000)], []byte("?")))
	}
}

func (t tap) Bad(record int64, reason string, raw []byte) {
	if t.mine(record) {
		t.x.Bad = reason
		t.x.Raw = string(bytes.ToValidUTF8(raw[:min(len(raw), 2000)], []byte("?")))
	}
}

// find decodes the file alone and picks the record.
func (x *Explanation) find(ctx context.Context, p *pipeline, file string) error {
	formats := p.setup.formats()
	limits := p.setup.Limits
	limits.Problem = func(_, reason string) {
		if len(x.Events) == 0 {
			x.Bad = reason
		}
	}
	_, err := bounded.Walk(ctx, []string{file}, limits, func(f bounded.File) error {
		x.File = p.setup.rel(f.Path)
		if p.setup.Config != nil && !p.setup.byField() {
			sensor, ok := p.setup.Config.SensorFor(x.File)
			x.NoSensor = !ok
			if ok {
				x.Sensor = fmt.Sprintf("%s → tenant %s", sensor.Path, sensor.Tenant)
				if sensor.Layer != "" {
					x.Sensor += ", layer " + string(sensor.Layer)
				}
			}
		}
		format, head, err := recognise(formats, f.Name, f.Reader)
		if err != nil || format == nil {
			x.Format, x.Bad, x.Record = "unknown", "the content is of no known format", max(x.Record, 1)
			return err
		}
		x.Format = format.Name
		return format.Read(ctx, f.Name, io.MultiReader(bytes.NewReader(head), f.Reader), tap{x})
	})
	if err == nil && x.Bad == "" && len(x.Events) == 0 && x.Record > 0 {
		return fmt.Errorf("%s has no record %d (headers and empty lines are none)", file, x.Record)
	}
	return err
}

// follow runs everything that was read and keeps what became of the record's events.
func (x *Explanation) follow(p *pipeline) error {
	p.sessions.Seal()
	x.Events = nil
	err := p.sorter.Merge(func(e *ocsf.Event) error {
		p.attributor.Attribute(e)
		p.graph.Add(e)
		if e.Raw.File == x.File && e.Raw.Record == x.Record {
			x.Events = append(x.Events, e)
			if x.Detectors == nil {
				x.Detectors = p.engine.Explain(e)
			}
		}
		p.engine.Process(e)
		return nil
	})
	if err != nil {
		return err
	}
	p.engine.Finish()
	x.Duplicates = len(x.Events) == 0
	for _, f := range p.engine.Findings() {
		for _, ev := range f.Evidence {
			if ev.File == x.File && ev.Record == x.Record {
				x.Findings = append(x.Findings, f)
				break
			}
		}
	}
	x.windows(p.setup.Rules)
	return nil
}

var _ decode.Sink = tap{}
