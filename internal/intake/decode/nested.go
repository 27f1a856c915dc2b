package decode

import (
	"bytes"
	"context"
	"path"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Limits on records within records.
const (
	maxNesting   = 4       // a shipper's envelope, a syslog line, an object in it, and one to spare
	nestedBytes  = 1 << 20 // carried records that wait for one reading
	nestedEvents = 4096
	nestedSpan   = 30 * 24 * time.Hour // of carriers whose records are read together: one year serves all of them
)

// Carried is a record that another one carries: the line in a shipper's envelope, the body of a syslog message.
type Carried struct {
	// Outer is the event of the carrier. It stands where no format knows the record; else it lends the events of
	// the record what they lack: device, time, and fields under their own names.
	Outer   *ocsf.Event
	Number  int64  // the carrier's number
	Raw     []byte // the carrier's bytes
	Name    string // file name that the carrier tells, a hint for the record's format
	Line    string
	Field   string // field of Outer that holds the record; it isn't lent
	Prefix  string // fields whose name begins so are the carrier's alone; others that the record has too come under it
	Program string // that wrote the record, where the carrier tells; a format of its name is taken at its word
	Undated bool   // the record may lack a date, which formats ask for: the carrier's is put before it then
	Problem string // filled where a format knew the record and could not read it
}

// Nest decodes records that other records carry. Records of one format are read together, so that a format is
// begun once for many. Nothing is lost: a record that no format knows or can read is its carrier's event.
type Nest struct {
	ctx     context.Context
	sink    Sink
	streams []Stream
	waiting []nestBuffer // one a stream
	objects *objectReader
	current *Carried // what the objects' reader is at
	given   bool
}

type nestBuffer struct {
	data  bytes.Buffer
	items []Carried
}

// NewNest returns a Nest that writes to sink. Beyond four levels it knows no format any more.
func NewNest(ctx context.Context, formats []Stream, sink Sink) *Nest {
	n := &Nest{ctx: deeper(ctx), sink: sink}
	if nesting(n.ctx) > maxNesting {
		return n
	}
	for _, f := range formats {
		if f.objects != nil {
			n.objects = &objectReader{ctx: n.ctx, formats: f.objects, workspace: &workspace{}, sink: nestedObject{n}}
			continue
		}
		n.streams = append(n.streams, f)
	}
	n.waiting = make([]nestBuffer, len(n.streams))
	return n
}

// Add takes one record. Its events come at once, or with Flush.
func (n *Nest) Add(c Carried) error {
	line := strings.Trim(c.Line, "\x00\r\n ")
	if strings.HasPrefix(line, "{") && n.objects != nil && n.object(&c, line) {
		return nil
	}
	i := n.format(c.Name, "", line)
	if i < 0 && c.Undated && !c.Outer.Time.IsZero() {
		line = c.Outer.Time.Format(time.RFC3339Nano) + " " + line
		i = n.format(c.Name, c.Program, line)
	}
	if i >= 0 && len(line) < MaxRecord {
		return n.wait(i, c, line)
	}
	n.stand(&c)
	return nil
}

// object decodes a record that is one JSON object; false where it is none, or one of no known source.
func (n *Nest) object(c *Carried, line string) bool {
	n.current, n.given = c, false
	defer func() { n.current = nil }()
	raw := []byte(line)
	is := n.objects.record(c.Number, raw)
	if !is && strings.Contains(line, newline) {
		raw = []byte(strings.ReplaceAll(line, newline, "\n"))
		is = n.objects.record(c.Number, raw)
	}
	// What the object carries in turn is read at once, while its carrier is at hand. Only the context ends it early.
	_ = n.objects.flush()
	if is && !n.given {
		n.objects.keepFields(c, raw)
	}
	return n.given
}

// keepFields gives the carrier's event the fields of an object that no format knows.
func (o *objectReader) keepFields(c *Carried, raw []byte) {
	if DeeperThan(raw, MaxDepth) {
		return
	}
	obj, err := ParseJSON(&o.parser, raw)
	if err != nil {
		return
	}
	own := c.Outer.Fields
	for _, f := range obj.Fields() {
		if _, have := own.Get(f.Name); !have && (c.Prefix == "" || !strings.HasPrefix(f.Name, c.Prefix)) {
			c.Outer.Fields = append(c.Outer.Fields, f)
		}
	}
	c.Outer.Fields.Sort()
}

// newline is how listeners and relays write a line break within a record (rsyslog's escape of control characters).
const newline = "#012"

// format returns the stream that knows the line, or -1.
func (n *Nest) format(name, program, line string) int {
	if line == "" {
		return -1
	}
	program = strings.ToLower(program)
	head := []byte(line[:min(len(line), MaxHead)])
	for i := range n.streams {
		if program != "" && strings.Contains(program, n.streams[i].Name) || n.streams[i].Recognise(name, head) {
			return i
		}
	}
	return -1
}

func (n *Nest) wait(i int, c Carried, line string) error {
	w := &n.waiting[i]
	if len(w.items) > 0 {
		first := &w.items[0]
		apart := c.Outer.Time.Sub(first.Outer.Time)
		if w.data.Len()+len(line) > nestedBytes || len(w.items) >= nestedEvents || max(apart, -apart) > nestedSpan || first.Name != c.Name {
			if err := n.flush(i); err != nil {
				return err
			}
		}
	}
	c.Raw, c.Line = bytes.Clone(c.Raw), ""
	w.items = append(w.items, c)
	for {
		part, rest, more := strings.Cut(line, "\n")
		w.data.WriteString(strings.TrimSuffix(part, "\r"))
		if !more {
			break
		}
		w.data.WriteString(newline)
		line = rest
	}
	w.data.WriteByte('\n')
	return nil
}

// Flush reads what waits. It returns an error only where the context has ended.
func (n *Nest) Flush() error {
	for i := range n.waiting {
		if err := n.flush(i); err != nil {
			return err
		}
	}
	if n.objects != nil {
		return n.objects.flush()
	}
	return nil
}

func (n *Nest) flush(i int) error {
	w := &n.waiting[i]
	if len(w.items) == 0 {
		return nil
	}
	items, data := w.items, bytes.Clone(w.data.Bytes())
	w.items = nil
	w.data.Reset()
	ctx := n.ctx
	if at := items[0].Outer.Time; !at.IsZero() {
		ctx = WithReceived(ctx, at)
	}
	s := &nestedLines{sink: n.sink, items: items, given: make([]bool, len(items))}
	err := n.streams[i].Read(ctx, items[0].Name, bytes.NewReader(data), s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for k := range items {
		if !s.given[k] {
			if err != nil && items[k].Problem == "" {
				items[k].Problem = n.streams[i].Name + ": " + err.Error()
			}
			n.stand(&items[k])
		}
	}
	return nil
}

// stand gives the carrier's own event.
func (n *Nest) stand(c *Carried) {
	if at, ok := Received(n.ctx); ok && c.Outer.Time.IsZero() {
		c.Outer.Time = at.UTC()
	}
	if c.Outer.Time.IsZero() {
		n.sink.Bad(c.Number, "no date: neither the record nor what carries it has one", c.Raw)
		return
	}
	if c.Problem != "" {
		c.Outer.Fields = append(c.Outer.Fields, ocsf.Field{Name: c.Prefix + "problem", Value: shorten(c.Problem, 200)})
		c.Outer.Fields.Sort()
	}
	n.sink.Event(c.Outer, c.Number, c.Raw)
}

// nestedObject takes what an object format makes of the record at hand. The reader's own nest, for what that
// record carries in turn, comes here later with records of its own.
type nestedObject struct{ n *Nest }

func (s nestedObject) Event(e *ocsf.Event, number int64, raw []byte) {
	if c := s.n.current; c != nil {
		s.n.given = true
		lend(e, c)
		s.n.sink.Event(e, c.Number, c.Raw)
		return
	}
	s.n.sink.Event(e, number, raw)
}

func (s nestedObject) Bad(_ int64, reason string, _ []byte) {
	if c := s.n.current; c != nil && reason != unknownObject {
		c.Problem = reason
	}
}

// nestedLines takes what a stream makes of records that were read together, a line each.
type nestedLines struct {
	sink  Sink
	items []Carried
	given []bool
}

func (s *nestedLines) at(record int64) int { return int(min(max(record, 1), int64(len(s.items)))) - 1 }

func (s *nestedLines) Event(e *ocsf.Event, record int64, _ []byte) {
	i := s.at(record)
	s.given[i] = true
	lend(e, &s.items[i])
	s.sink.Event(e, s.items[i].Number, s.items[i].Raw)
}

func (s *nestedLines) Bad(record int64, reason string, _ []byte) {
	s.items[s.at(record)].Problem = reason
}

// lend gives an event of the carried record what its carrier knows.
func lend(e *ocsf.Event, c *Carried) {
	if e.Device == "" {
		e.Device = c.Outer.Device
	}
	if e.Time.IsZero() {
		e.Time = c.Outer.Time
	}
	own := e.Fields
	for _, f := range c.Outer.Fields {
		if f.Name == c.Field {
			continue
		}
		have, ok := own.Get(f.Name)
		switch {
		case !ok:
			e.Fields = append(e.Fields, f)
		case c.Prefix != "" && strings.HasPrefix(f.Name, c.Prefix):
			e.Fields = replaced(e.Fields, len(own), f)
		case have != f.Value && c.Prefix != "":
			e.Fields = append(e.Fields, ocsf.Field{Name: c.Prefix + f.Name, Value: f.Value})
		}
	}
	e.Fields.Sort()
}

// replaced sets a field that is among the first n.
func replaced(fields ocsf.Fields, n int, f ocsf.Field) ocsf.Fields {
	for i := range fields[:n] {
		if fields[i].Name == f.Name {
			fields[i].Value = f.Value
		}
	}
	return fields
}

type receivedKey struct{}
type nestingKey struct{}

// WithReceived says when the records that are to be read came in. Formats take from it the year of dates that have
// none, and the time of records without a date.
func WithReceived(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, receivedKey{}, at)
}

// Received returns what WithReceived was told; false for files, whose records may be of any age.
func Received(ctx context.Context) (time.Time, bool) {
	at, ok := ctx.Value(receivedKey{}).(time.Time)
	return at, ok
}

func nesting(ctx context.Context) int {
	n, _ := ctx.Value(nestingKey{}).(int)
	return n
}

func deeper(ctx context.Context) context.Context {
	return context.WithValue(ctx, nestingKey{}, nesting(ctx)+1)
}

// BaseName returns the last element of a path of any system, as the hint for a format.
func BaseName(name string) string {
	if name == "" {
		return ""
	}
	return path.Base(strings.ReplaceAll(name, `\`, "/"))
}
