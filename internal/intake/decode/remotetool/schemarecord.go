package remotetool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Fields of events that were read by a schema.
const (
	FieldSchema   = "schema"          // its name
	FieldVerified = "schema.verified" // yes, or no where nobody held it against the product
)

// streams returns the text formats of the schemas.
func (s *Schemas) streams() []decode.Stream {
	var out []decode.Stream
	for _, x := range s.list {
		switch x.Kind {
		case "table":
			t := &decode.Table{Name: x.Name, Knows: func(h decode.Header) bool { return h.Has(x.Columns...) },
				Objects: []decode.Object{{Name: x.Name, Match: func(*decode.JSON) bool { return true }, Decode: x.decode}}}
			out = append(out, t.Stream())
		case "lines":
			out = append(out, decode.Stream{Name: x.Name, Recognise: x.recognise, Read: x.read})
		}
	}
	return out
}

// objects returns the JSON formats of the schemas.
func (s *Schemas) objects() []decode.Object {
	var out []decode.Object
	for _, x := range s.list {
		if x.Kind == "object" {
			out = append(out, decode.Object{Name: x.Name, Decode: x.decode, Match: func(o *decode.JSON) bool {
				for _, c := range x.Columns {
					if !o.Has(c) {
						return false
					}
				}
				return true
			}})
		}
	}
	return out
}

func (x *schema) decode(o *decode.JSON, e *ocsf.Event) error {
	return x.fill(o.Fields(), time.Time{}, e)
}

func (x *schema) recognise(_ string, head []byte) bool {
	head = utf8Text(head)
	for _, mark := range x.Marks {
		if bytes.Contains(head, []byte(mark)) {
			return mostLines(head, x.pattern.MatchString)
		}
	}
	return false
}

func (x *schema) read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	received, _ := decode.Received(ctx)
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimRight(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
		if line == "" {
			return nil
		}
		m := x.pattern.FindStringSubmatch(line)
		if m == nil {
			return errors.New("the line is not as the schema " + x.Name + " says")
		}
		var fields ocsf.Fields
		for i, name := range x.groups {
			if name != "" && m[i] != "" {
				fields = append(fields, ocsf.Field{Name: name, Value: m[i]})
			}
		}
		fields.Sort()
		e := &ocsf.Event{}
		if err := x.fill(fields, received, e); err != nil {
			return err
		}
		sink.Event(e, n, raw)
		return nil
	})
}

// fill makes the event of a record's fields. Received is when a line without a year came in; zero where nobody knows.
func (x *schema) fill(fields ocsf.Fields, received time.Time, e *ocsf.Event) error {
	by := make(map[string]string, len(fields))
	for _, f := range fields {
		if k := letters(f.Name); by[k] == "" {
			by[k] = strings.TrimSpace(f.Value)
		}
	}
	get := func(names []string) string {
		for _, n := range names {
			if v := by[letters(n)]; v != "" && v != "-" && v != "null" {
				return v
			}
		}
		return ""
	}
	c := &x.Fields
	at, err := x.time(get(c.Time), received)
	if err != nil {
		return err
	}
	r := &ocsf.RemoteSession{Tool: x.Tool, Instance: strings.ToLower(get(c.Instance)), SessionID: strings.ToLower(strings.Trim(get(c.Session), "{}")),
		Operator: get(c.Operator), Target: shortHost(get(c.Target)), Company: get(c.Company), Relay: strings.ToLower(get(c.Relay)), PeerID: get(c.Peer)}
	*e = *newEvent(x.Name, at, r)
	e.Fields = append(fields, ocsf.Field{Name: FieldSchema, Value: x.Name}, ocsf.Field{Name: FieldVerified, Value: map[bool]string{true: "yes", false: "no"}[x.Verified]})
	e.Device, e.Actor.Name, e.User.Name = r.Target, r.Operator, get(c.User)
	e.Src.IP, e.Src.Port = addr(get(c.Source))
	if a := x.act(get(c.Act)); a != "" {
		act(e, a)
	}
	e.Status = ocsf.StatusSuccess
	if x.failed(get(c.Status)) {
		e.Status = ocsf.StatusFailure
	}
	switch r.Act {
	case "command":
		r.CommandLine = get(c.Command)
	case "file":
		e.File = &ocsf.File{Path: get(c.File)}
	case "connect":
		if ended, err := x.time(get(c.End), received); err == nil && ended.After(at) {
			e.Flow = &ocsf.Flow{Duration: ended.Sub(at)}
		}
	}
	finish(e)
	return nil
}

// act returns what the text says happened.
func (x *schema) act(text string) string {
	text = strings.ToLower(text)
	for _, a := range x.Acts {
		for _, word := range a.Has {
			if text != "" && strings.Contains(text, strings.ToLower(word)) {
				return a.Act
			}
		}
	}
	return x.Act
}

func (x *schema) failed(status string) bool {
	words := x.Failed
	if len(words) == 0 {
		words = []string{"fail", "denied", "reject", "error"}
	}
	status = strings.ToLower(status)
	for _, w := range words {
		if status != "" && strings.Contains(status, strings.ToLower(w)) {
			return true
		}
	}
	return false
}

var errNoTime = errors.New("the time column holds no time that the schema knows; name its layout under times")

// time reads a time: with its zone, in the schema's layouts and zone, or a number since 1970.
func (x *schema) time(text string, received time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, errors.New("no time: the schema's time columns are empty")
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return sound(t)
	}
	zone := x.zone
	if zone == nil {
		zone = time.UTC
	}
	for _, layout := range [...]string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return sound(t)
		}
	}
	for _, layout := range x.Times {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if t.Year() == 0 {
			return inYear(t, received, zone)
		}
		return sound(t)
	}
	if t, ok := decode.ParseTime(text); ok && strings.Trim(text, "0123456789.") == "" {
		return t, nil
	}
	return time.Time{}, errNoTime
}

func sound(t time.Time) (time.Time, error) {
	if !plausible(t) {
		return time.Time{}, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	return t.UTC(), nil
}

// inYear puts a date without a year next to when its line was received.
func inYear(t, received time.Time, zone *time.Location) (time.Time, error) {
	if received.IsZero() {
		return t, errors.New("no year: the line's date has none, and nobody knows when it was received")
	}
	var best time.Time
	for year := received.Year() - 1; year <= received.Year()+1; year++ {
		at := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
		if at.Day() == t.Day() && (best.IsZero() || at.Sub(received).Abs() < best.Sub(received).Abs()) {
			best = at
		}
	}
	if best.IsZero() {
		return t, errors.New("no such day in the year in which the line was received")
	}
	return sound(best)
}
