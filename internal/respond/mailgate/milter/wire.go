package milter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-milter"
)

// offer is what a mail server says it can do.
type offer struct {
	version  uint32
	actions  milter.OptAction
	protocol milter.OptProtocol
}

// wire is a connection to a mail server, with deadlines. The library reads it packet by packet.
type wire struct {
	net.Conn
	in     *bufio.Reader
	replay []byte // packets that are read again, or that we say to the library ourselves
	idle   time.Duration
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	busy   bool // a message is under way
	ending bool // close as soon as none is
}

func newWire(c net.Conn, idle time.Duration) *wire {
	return &wire{Conn: c, in: bufio.NewReaderSize(c, 64<<10), idle: idle, closed: make(chan struct{})}
}

// negotiation reads the mail server's first packet (SMFIC_OPTNEG) and puts it back.
func (w *wire) negotiation() (offer, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.idle)); err != nil {
		return offer{}, err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(w.in, head); err != nil {
		return offer{}, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 13 || n > 1024 {
		return offer{}, fmt.Errorf("its first packet has %d bytes", n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(w.in, data); err != nil {
		return offer{}, fmt.Errorf("reading its first packet: %w", err)
	}
	if data[0] != byte(milter.CodeOptNeg) {
		return offer{}, fmt.Errorf("it begins with command %q", data[0])
	}
	w.replay = append(head, data...)
	return offer{binary.BigEndian.Uint32(data[1:]), milter.OptAction(binary.BigEndian.Uint32(data[5:])), milter.OptProtocol(binary.BigEndian.Uint32(data[9:]))}, nil
}

// gone reports whether an error is only that the other side, or ours, has closed.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

// Read gives what is to be read again first. Every error is told as the end of the connection: the library would
// write others into the standard log.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.replay) > 0 {
		n := copy(p, w.replay)
		w.replay = w.replay[n:]
		return n, nil
	}
	if w.in.Buffered() == 0 {
		if err := w.SetReadDeadline(time.Now().Add(w.idle)); err != nil {
			return 0, io.EOF
		}
	}
	n, err := w.in.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// Write writes within a time, so that a mail server that reads nothing holds nobody.
func (w *wire) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// forget lets the library forget a message that was answered, as an abort does; otherwise it would keep the header
// fields of every message of a connection.
func (w *wire) forget() { w.replay = append(w.replay, 0, 0, 0, 1, byte(milter.CodeAbort)) }

// Close closes the connection once.
func (w *wire) Close() error {
	var err error
	w.once.Do(func() { close(w.closed); err = w.Conn.Close() })
	return err
}

// work marks that a message is under way, or no more. A connection that is to end, ends between two messages.
func (w *wire) work(on bool) {
	w.mu.Lock()
	w.busy = on
	over := !on && w.ending
	w.mu.Unlock()
	if over {
		w.Close()
	}
}

// finish closes the connection as soon as no message is under way.
func (w *wire) finish() {
	w.mu.Lock()
	w.ending = true
	over := !w.busy
	w.mu.Unlock()
	if over {
		w.Close()
	}
}

// single is a listener that gives one connection, and then waits for its end.
type single struct {
	wire  *wire
	given bool
}

// Accept returns the connection, and at the second call waits for its end.
func (l *single) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.wire, nil
	}
	<-l.wire.closed
	return nil, net.ErrClosed
}

// Close does nothing: the connection is the server's.
func (l *single) Close() error { return nil }

// Addr returns the address of our side.
func (l *single) Addr() net.Addr { return l.wire.LocalAddr() }

// lines makes every line end CRLF; mail servers give folded header fields with LF alone.
func lines(s string) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	out := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' && (i == 0 || s[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, s[i])
	}
	return string(out)
}
