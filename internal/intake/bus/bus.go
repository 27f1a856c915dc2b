// Package bus keeps what senders sent until the pipeline is done with it. A batch that Publish returned for is on
// disk, in order, and is given again after any restart until it is trimmed. The embedded engine is NATS JetStream
// in this process; a cluster's would stand behind the same interface.
//
// On failure: a damaged record is found by its checksum, reported, set aside and passed over, and every other one
// keeps its place; a full disk stops Publish with ErrFull and nothing else, until there is room again.
package bus

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Limits of one message.
const (
	MaxRecords = 1000    // records of a batch
	MaxBytes   = 1 << 20 // bytes of a batch before compression, unless it is one record
	MaxPayload = 8 << 20 // bytes of a message as it is stored
)

// Frame is a run of whole records of one sensor, as they came.
type Frame struct {
	Sensor        string       // the binding on our side: token, certificate, listener or path; never from the payload
	Tenant        tenant.ID    // whose telemetry it is; empty where the sensor's declared map decides by a field
	Layer         tenant.Layer // as the sensor declares; empty: the decoder's own
	Authenticated bool         // the sender proved who it is
	Received      time.Time
	Peer          string // address of the sender; empty for files
	Name          string // the file's name, a hint for its format; empty on streams
	Head          []byte // what decoders need before Data: the header lines of a file of which this is a part
	First         int64  // number of Data's first record in its file or request, from 1
	Key           string // the request's idempotency key; empty: it had none
	Data          []byte // the records, each with its line end
	Records       int    // how many Data holds, as the intake counted them
	Whole         bool   // Data is one whole file (a mail, say), and not lines
}

// Batch is what one message carries: frames of one lane.
type Batch struct {
	Lane   string // a tenant's id, or the name of a sensor that speaks for several
	Frames []Frame
}

// Message is a batch with its place in the order of the bus.
type Message struct {
	Seq uint64 // from 1, growing by 1; gaps where a record was lost to corruption
	At  time.Time
	Batch
}

// ErrFull is returned by Publish while the disk has less room than the bus must leave.
var ErrFull = errors.New("the disk has no room left for the bus")

// Bus is a durable queue with one order over all lanes.
type Bus interface {
	// Publish returns when the batch is on disk (fsync), with its place. It may be called by several goroutines.
	Publish(ctx context.Context, b *Batch) (seq uint64, err error)
	// Read gives the messages after a place in order, and waits for more until the context ends, or returns at
	// the end of what there is where follow is false.
	Read(ctx context.Context, after uint64, follow bool, each func(*Message) error) error
	// Span returns the first place that is not trimmed and the last one held; first is last+1 where nothing is.
	Span() (first, last uint64)
	// Trim lets go of everything up to and including a place.
	Trim(ctx context.Context, upTo uint64) error
	// Bytes is what the bus takes on disk.
	Bytes() int64
	Close() error
}
