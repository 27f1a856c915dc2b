// Package app wires the stages into a running pipeline: configuration in, answer out, orderly stop.
package app

import (
	"bytes"
	"context"
	"io"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

//	files ─ walk ─ recognise ─ decode ─ sensor → tenant ─┬─ order (sorted runs) ─ merge by event time ─┐
//	                              │                      └─ sessions (who held which address when) ─┐  │
//	                              └─ bad records: counted, with reason                              │  │
//	                                                                                                ▼  ▼
//	   result ◄─ campaign ◄─ hop graph, coverage ◄─ detect (every detector) ◄─────────────────── attribute

// pipeline is one run over a set of files.
type pipeline struct {
	*stages
	sorter     *order.Sorter
	unparsed   *unparsed
	unverified schemaCount // events of schemas that nobody verified
	input      campaign.Input
	observe    func(*ocsf.Event) // told of each event once it is attributed; nil where nobody asks
}

func newPipeline(s *Setup) (*pipeline, error) {
	st, err := newStages(s)
	if err != nil {
		return nil, err
	}
	return &pipeline{
		stages:     st,
		sorter:     order.NewSorter(s.TempDir, s.SortBudget),
		unparsed:   newUnparsed(),
		unverified: schemaCount{},
		input:      campaign.Input{Snapshot: s.Model.Version},
	}, nil
}

// read is the first half: every record of every file becomes an event in the sorter, or is counted with what is
// wrong with it.
func (p *pipeline) read(ctx context.Context, paths []string) error {
	formats := p.setup.formats()
	limits := p.setup.Limits
	limits.Problem = func(path, reason string) { p.unparsed.add(p.setup.rel(path), reason, 1) }
	limits.Progress = p.setup.Progress
	stats, err := bounded.Walk(ctx, paths, limits, func(f bounded.File) error {
		return p.readFile(ctx, formats, f)
	})
	p.input.Bytes = stats.Bytes
	return err
}

func (p *pipeline) readFile(ctx context.Context, formats []decode.Stream, f bounded.File) error {
	rel := p.setup.rel(f.Path)
	s := &fileSink{p: p, file: rel}
	if p.setup.Config != nil && !p.setup.byField() {
		sensor, ok := p.setup.Config.SensorFor(rel)
		if !ok {
			if !p.setup.ours(rel) {
				p.unparsed.add(rel, noSensor, 1)
			}
			return nil
		}
		s.sensor = sensor
	} else if p.setup.Config != nil && p.setup.ours(rel) {
		return nil
	}
	p.input.Files++
	format, head, err := recognise(formats, f.Name, f.Reader)
	if err != nil {
		return ctxErr(ctx, p, rel, err)
	}
	if format == nil {
		if len(head) > 0 {
			p.unparsed.add(rel, "the content is of no known format", 1)
		}
		return nil
	}
	if err := format.Read(ctx, f.Name, io.MultiReader(bytes.NewReader(head), f.Reader), s); err != nil {
		return ctxErr(ctx, p, rel, err)
	}
	return s.err
}

// ctxErr passes on that the run was cancelled, and counts anything else against the file.
func ctxErr(ctx context.Context, p *pipeline, file string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.unparsed.add(file, err.Error(), 1)
	return nil
}

// fileSink takes what a decoder makes of one file.
type fileSink struct {
	p      *pipeline
	file   string
	sensor *config.Sensor // nil where each record is asked, or there is no configuration
	err    error
}

// noSensor is why a file or record is left out that no sensor claims.
const noSensor = "no sensor of the configuration matches, so nobody knows whose it is"

// Event identifies the event and hands it on.
func (s *fileSink) Event(e *ocsf.Event, record int64, raw []byte) {
	e.Raw = ocsf.RawRef{File: s.file, Record: record}
	if reason := s.p.setup.assign(s.sensor, e); reason != "" {
		s.Bad(record, reason, raw)
		return
	}
	if reason := impossible(e.Time); reason != "" {
		s.Bad(record, reason, raw)
		return
	}
	order.Identify(e, raw)
	s.p.attributor.Learn(e)
	s.p.unverified.see(e)
	s.p.input.Events++
	if err := s.p.sorter.Add(e); err != nil && s.err == nil {
		s.err = err
	}
}

// Bad counts a record that could not be read.
func (s *fileSink) Bad(_ int64, reason string, _ []byte) { s.p.unparsed.add(s.file, reason, 1) }

// conclude is the second half: events in event time through attribution and detection into the answer.
func (p *pipeline) conclude(ctx context.Context) (*campaign.Result, error) {
	p.sessions.Seal()
	var n int64
	err := p.sorter.Merge(func(e *ocsf.Event) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if p.input.From.IsZero() {
			p.input.From = e.Time
		}
		p.input.To = e.Time
		p.take(e)
		if p.observe != nil {
			p.observe(e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.engine.Finish()
	p.input.Events -= p.sorter.Duplicates
	r := campaign.Draw(campaign.Evidence{Model: p.setup.Model, Findings: p.engine.Findings(), Graph: p.graph, Telemetry: p.telemetry})
	r.Unparsed = p.unparsed.list()
	r.Input = p.input
	r.Notes = p.notes()
	return r, nil
}
