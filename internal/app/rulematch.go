package app

import (
	"bytes"
	"context"
	"io"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// matchBatch is how many events are matched at once.
const matchBatch = 256

// RuleMatch is one rule that matches one record, or one correlation that a record completes.
type RuleMatch struct {
	File   string
	Record int64       // as decode.Sink numbers it: the line, or the record's place in the file, from 1
	Rule   *sigma.Rule // of a correlation: what its author says of it
}

// Unread is a file or record that could not be read, and why.
type Unread struct {
	File   string
	Record int64 // 0: the file as a whole, or from some point on
	Reason string
}

// MatchFiles decodes every record of the files and calls yield for each rule that matches it: files in the order
// given, records in theirs, rules by id. Nothing is grouped or attributed. When all files are read, the correlations
// are evaluated over all of them in the order of the events' times; each that holds is given once for as long as it
// goes on holding, with the record that completes it. What can't be read goes to unread, as does what correlations
// had to leave out, and the rest goes on. An error is of yield, of the context, or tells that a path is not there.
func MatchFiles(ctx context.Context, set *sigma.RuleSet, paths []string, limits bounded.Limits, yield func(RuleMatch) error, unread func(Unread)) error {
	formats := Formats()
	replay := set.NewReplay()
	limits.Problem = func(file, reason string) { unread(Unread{File: file, Reason: reason}) }
	_, err := bounded.Walk(ctx, paths, limits, func(f bounded.File) error {
		m := &matching{replay: replay, file: f.Path, yield: yield, unread: unread}
		if err := m.read(ctx, formats, f.Name, f.Reader); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	replay.Correlate(func(c *sigma.Correlation, e *ocsf.Event) {
		if err == nil {
			err = yield(RuleMatch{e.Raw.File, e.Raw.Record, &c.Rule})
		}
	})
	for _, line := range replay.Left().Lines() {
		unread(Unread{Reason: line})
	}
	return err
}

// matching matches one file's records as they are decoded.
type matching struct {
	replay  *sigma.Replay
	file    string
	yield   func(RuleMatch) error
	unread  func(Unread)
	events  []*ocsf.Event
	records []int64
	err     error // of yield
}

func (m *matching) read(ctx context.Context, formats []decode.Stream, name string, r io.Reader) error {
	format, head, err := recognise(formats, name, r)
	switch {
	case err != nil:
	case format == nil && len(head) == 0:
	case format == nil:
		m.unread(Unread{File: m.file, Reason: "the content is of no known format"})
	default:
		err = format.Read(ctx, name, io.MultiReader(bytes.NewReader(head), r), m)
	}
	m.flush()
	if m.err == nil && err != nil && ctx.Err() == nil {
		m.unread(Unread{File: m.file, Reason: err.Error()})
	}
	return m.err
}

// Event takes a decoded event.
func (m *matching) Event(e *ocsf.Event, record int64, _ []byte) {
	e.Tenant = LocalTenant
	e.Raw = ocsf.RawRef{File: m.file, Record: record}
	m.events, m.records = append(m.events, e), append(m.records, record)
	if len(m.events) >= matchBatch {
		m.flush()
	}
}

// Bad tells of a record that could not be read.
func (m *matching) Bad(record int64, reason string, _ []byte) {
	m.unread(Unread{File: m.file, Record: record, Reason: reason})
}

func (m *matching) flush() {
	m.replay.Match(m.events, func(i int, r *sigma.Rule) {
		if m.err == nil {
			m.err = m.yield(RuleMatch{m.file, m.records[i], r})
		}
	})
	clear(m.events)
	m.events, m.records = m.events[:0], m.records[:0]
}
