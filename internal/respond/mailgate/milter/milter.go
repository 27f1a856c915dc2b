// Package milter speaks the milter protocol with Postfix and Sendmail: messages come in as the mail server takes
// them, each with its envelope; a Decision goes out, and the mail server carries it out. What a message is, and what
// is to be done with it, others decide; the body of a message is never changed.
//
// It promises the mail server an answer to every message that it was given whole: what fails in here, by a panic
// too, is answered by Options.Failed. A message that is to be held is never accepted instead: where the mail server
// cannot hold, the sender is asked to come again (451). Sizes, times, recipients and connections are bounded.
package milter

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Limits on one message, and on what one connection may take.
const (
	DefaultMaxMessage     = 32 << 20         // bytes of a message that are kept
	DefaultMaxConnections = 256              // mail server connections at a time
	DefaultIdle           = 15 * time.Minute // until a silent mail server is taken for gone
	MaxRecipients         = 10_000           // of one message
	MaxHeaderBytes        = 4 << 20          // of one message's header
	MaxHeaders            = 20_000           // fields of one message's header
	writeWithin           = 30 * time.Second
)

// Field is one header field. Of a message, the value is all that follows the colon, a leading space and folds with
// CRLF included, since signatures cover them; of a Decision, it begins after the space.
type Field struct{ Name, Value string }

// Message is one message as the mail server took it, with its envelope. It must not be changed.
type Message struct {
	Client     netip.Addr // who brings it; invalid for mail that is submitted on the mail server itself
	ClientName string     // as the mail server resolved it, or the address in brackets
	Helo       string     // as the client greeted; empty for mail submitted locally
	From       string     // envelope sender without brackets; empty for bounces
	Recipients []string   // of the envelope, without brackets, in the order given
	QueueID    string     // the mail server's name of it; empty where it tells none
	Login      string     // SASL login of the sender; empty where there was none
	Outbound   bool       // the listener is for mail that goes out
	Headers    []Field
	Raw        []byte // header and body with CRLF line ends, at most Options.MaxMessage bytes
	Cut        bool   // it was longer, or its header was: Raw is the beginning
	Received   time.Time
}

// Action is what the mail server does with a message.
type Action string

// The actions.
const (
	Pass     Action = "pass"     // deliver
	Hold     Action = "hold"     // put it into the mail server's hold queue
	Reject   Action = "reject"   // refuse it to the sender, 550
	TempFail Action = "tempfail" // ask the sender to come again, 451
	Discard  Action = "discard"  // take it and deliver nothing: somebody else keeps it
)

// Place is a header field by its name and its place among the fields of that name, from 1.
type Place struct {
	Name  string
	Index int
}

// Decision says what is to be done with a message. Header changes and removed recipients count for Pass and Hold.
type Decision struct {
	Action           Action
	Text             string  // of the SMTP answer to Reject and TempFail, or the reason to Hold; ASCII, one line
	Insert           []Field // above all others, in this order
	Remove           []Place
	RemoveRecipients []string // as they stand in Message.Recipients
}

// Options are what a server is made with; zero fields take the defaults above.
type Options struct {
	// Judge decides about a message. It is called from many goroutines, and must come back: the mail server waits.
	// The context ends when the server closes.
	Judge func(ctx context.Context, m *Message) Decision
	// Failed decides about a message whose handling failed in here: why is a sentence for the log.
	Failed         func(m *Message, why string) Decision
	Outbound       bool // messages are marked as going out
	MaxMessage     int  // bytes
	MaxConnections int
	Idle           time.Duration
	Log            *slog.Logger
}
