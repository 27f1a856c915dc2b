// Package decode turns raw input into events. Each format is a package of its own below this one; this package
// holds what they share: the two kinds of format (a stream format reads a whole file, an object format reads
// one JSON object), the sink they write to, and the framing of lines and JSON objects under limits.
//
// A decoder never stops a stream over one bad record: it calls Sink.Bad with the reason and goes on. It returns
// an error only where nothing more can be read (the input is truncated, a limit of the whole file is reached).
package decode

import (
	"context"
	"io"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Limits on what one record may be. They hold for every decoder.
const (
	MaxRecord = 1 << 20  // bytes of one line or JSON object
	MaxMail   = 64 << 20 // bytes of one message
	MaxFields = 4096     // flattened fields of one record
	MaxDepth  = 32       // nesting of one record
	MaxHead   = 64 << 10 // bytes shown to Recognise
)

// Sink takes what a decoder makes. The number of a record is its line's where a format has a record a line, header
// lines and empty ones counted, so that an editor agrees; else it counts the records, good or bad, from 1. The
// event is the sink's from then on. Raw is the record's bytes; it is valid only during the call.
type Sink interface {
	Event(e *ocsf.Event, record int64, raw []byte)
	Bad(record int64, reason string, raw []byte)
}

// Stream is a format that is recognised by the beginning of a file and read as a whole.
type Stream struct {
	Name string // zeek, openvpn, mail …
	// Recognise reports whether the file is of this format, from its name (base name only, a hint, never enough
	// by itself) and its first bytes, at most MaxHead.
	Recognise func(name string, head []byte) bool
	// Read decodes r to its end.
	Read func(ctx context.Context, name string, r io.Reader, sink Sink) error

	objects []Object // of the stream that Objects returns, so that single ones can be read
}

// Object is a format whose records are JSON objects. Files of JSON lines, concatenated objects, arrays, and
// {"Records":[…]} or {"value":[…]} wrappers are framed alike; each object goes to the first format that matches
// it, so that one file may mix sources.
type Object struct {
	Name string
	// Match reports whether the object is of this format.
	Match func(o *JSON) bool
	// Decode fills the event from the object. The event comes with Fields already flattened and sorted.
	Decode func(o *JSON, e *ocsf.Event) error
	// Carries, where set, returns the record of another format that the object carries in a string, and the formats
	// it may be of. What they make of it takes the place of the event that Decode made. An empty Line: it carries
	// none. Only Name, Line, Field and Prefix need be filled.
	Carries func(o *JSON) (Carried, []Stream)
}
