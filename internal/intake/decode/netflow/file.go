package netflow

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Stream returns the format of files of export datagrams, each behind its length in four bytes, big endian. The number
// of an event's record is its datagram's.
func Stream() decode.Stream {
	return decode.Stream{Name: "netflow", Recognise: recognise, Read: read}
}

func recognise(_ string, head []byte) bool {
	if len(head) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(head)
	if n < 16 || n > MaxDatagram {
		return false
	}
	p, whole := head[4:], false
	if uint32(len(p)) >= n {
		p, whole = p[:n], true
	}
	if !exported(p, int(n)) {
		return false
	}
	rest := head[4+len(p):]
	return !whole || len(rest) < 4 || binary.BigEndian.Uint32(rest) <= MaxDatagram
}

// exported reports whether the beginning of a datagram of n bytes looks like a flow export.
func exported(p []byte, n int) bool {
	if len(p) < 16 {
		return false
	}
	switch count := int(binary.BigEndian.Uint16(p[2:])); binary.BigEndian.Uint16(p) {
	case version5:
		return count > 0 && header5+count*record5 <= n
	case version9:
		return n >= 20 && (len(p) < 24 || binary.BigEndian.Uint16(p[20:]) < 2 || binary.BigEndian.Uint16(p[20:]) >= 256)
	case version10:
		return count == n && (len(p) < 20 || binary.BigEndian.Uint16(p[16:]) == 2 || binary.BigEndian.Uint16(p[16:]) == 3 || binary.BigEndian.Uint16(p[16:]) >= 256)
	}
	return isSFlow(p)
}

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	f := newFeed(ctx, sink)
	in := bufio.NewReaderSize(r, 64<<10)
	buf := make([]byte, MaxDatagram)
	for n := int64(1); ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err == io.EOF {
			break
		} else if err != nil {
			f.end()
			return fmt.Errorf("datagram %d: its length: %w", n, err)
		}
		length := binary.BigEndian.Uint32(size[:])
		if length > MaxDatagram { // what follows can't be found
			f.end()
			return fmt.Errorf("datagram %d: a length of %d bytes; at most %d", n, length, MaxDatagram)
		}
		p := buf[:length]
		if _, err := io.ReadFull(in, p); err != nil {
			f.end()
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("datagram %d: %w", n, err)
		}
		f.datagram(p)
	}
	f.end()
	return nil
}

// feed gives the flows of a file to a sink.
type feed struct {
	t      *Translator
	sink   decode.Sink
	parser fastjson.Parser
}

func newFeed(ctx context.Context, sink decode.Sink) *feed {
	f := &feed{sink: sink}
	f.t = New(Options{Hold: fileHold, Held: fileHeld, Emit: f.flow, refuse: func(reason string, raw []byte) {
		sink.Bad(f.t.stats.Datagrams, reason, raw)
	}})
	f.t.opt.each = eachOf(ctx)
	return f
}

// datagram takes one; the clock of the hold is the exporter's.
func (f *feed) datagram(p []byte) {
	if at := exportedAt(p); at > f.t.now {
		f.t.advance(at)
	}
	if err := f.t.datagram(netip.Addr{}, 0, p); err != nil {
		f.sink.Bad(f.t.stats.Datagrams, err.Error(), p)
	}
}

// exportedAt returns the time in a datagram's header in nanoseconds since 1970; 0 where it has none.
func exportedAt(p []byte) int64 {
	if len(p) < 12 {
		return 0
	}
	switch binary.BigEndian.Uint16(p) {
	case version5, version9:
		return int64(binary.BigEndian.Uint32(p[8:])) * 1e9
	case version10:
		return int64(binary.BigEndian.Uint32(p[4:])) * 1e9
	}
	return 0
}

// flow reads a line back, as whoever takes it from the bus does: a file and a collector must tell the same.
func (f *feed) flow(_ netip.Addr, line []byte) {
	o, err := decode.ParseJSON(&f.parser, line)
	if err != nil {
		f.sink.Bad(f.t.current, "our line of it: "+err.Error(), line)
		return
	}
	e := &ocsf.Event{Fields: o.Fields()}
	if err := fill(o, e); err != nil {
		f.sink.Bad(f.t.current, err.Error(), line)
		return
	}
	f.sink.Event(e, f.t.current, line)
}

func (f *feed) end() {
	for _, e := range f.t.exporters {
		f.t.expire(e, true)
	}
	f.t.flush()
}

type eachKey struct{}

// eachOf returns what sees the records of files before they are paired, which tests put into the context.
func eachOf(ctx context.Context) func(*record) {
	each, _ := ctx.Value(eachKey{}).(func(*record))
	return each
}
