package syslog

import (
	"bytes"
	"slices"
)

// framer cuts the bytes of one connection into messages (RFC 6587 3.4): octet-counted ones ("31 <13>…"), and ones
// that a newline or a NUL ends. Each message may be either, since relays mix what they pass on. It never holds more
// than one message of at most max bytes.
type framer struct {
	max     int
	held    []byte // the beginning of a message whose framing can't be told yet
	msg     []byte // what came so far of the message at hand
	state   framing
	need    int  // bytes of a counted message still to come
	long    bool // the message at hand was cut
	counted bool // the connection has sent counted messages
}

type framing uint8

const (
	between framing = iota
	inCounted
	inLine
)

// A count has at most eight digits: nobody sends a message of more than 16 MiB, and what looks like one is text.
const (
	maxCountDigits = 8
	maxCount       = 16 << 20
)

// open reports whether a message has begun and not ended.
func (f *framer) open() bool { return f.state != between || len(f.held) > 0 }

// feed takes bytes, and emits the messages that end in them; they are valid during the call.
func (f *framer) feed(p []byte, emit func(msg []byte, cut bool)) {
	if len(f.held) > 0 {
		p = append(slices.Clip(f.held), p...)
		f.held = nil
	}
	for len(p) > 0 {
		switch f.state {
		case between:
			if p = f.begin(p); p == nil {
				return
			}
		case inCounted:
			n := min(f.need, len(p))
			f.need -= n
			f.take(p[:n], f.need == 0, emit)
			p = p[n:]
		case inLine:
			i := bytes.IndexAny(p, "\n\x00")
			if i < 0 {
				f.take(p, false, emit)
				return
			}
			f.take(p[:i], true, emit)
			p = p[i+1:]
		}
	}
}

// begin finds the next message's first byte and its framing. It returns nil where more bytes are needed.
func (f *framer) begin(p []byte) []byte {
	p = bytes.TrimLeft(p, "\r\n\x00 ")
	if len(p) == 0 {
		return nil
	}
	n, digits := 0, 0
	for digits < len(p) && digits <= maxCountDigits && p[digits] >= '0' && p[digits] <= '9' {
		n = n*10 + int(p[digits]-'0')
		digits++
	}
	undecided := digits == len(p) || digits+1 == len(p) && p[digits] == ' ' && !f.counted
	if p[0] != '0' && digits > 0 && digits <= maxCountDigits && n <= maxCount {
		if undecided {
			f.held = bytes.Clone(p)
			return nil
		}
		// A line of text may begin with a number too; what is counted begins with a priority, but for senders
		// that have shown that they count.
		if p[digits] == ' ' && (f.counted || p[digits+1] == '<') {
			f.state, f.need, f.counted = inCounted, n, true
			return p[digits+1:]
		}
	}
	f.state = inLine
	return p
}

// take adds bytes to the message at hand.
func (f *framer) take(p []byte, last bool, emit func(msg []byte, cut bool)) {
	if room := f.max - len(f.msg); len(p) > room {
		p, f.long = p[:room], true
	}
	if !last {
		f.msg = append(f.msg, p...)
		return
	}
	msg := p
	if len(f.msg) > 0 {
		f.msg = append(f.msg, p...)
		msg = f.msg
	}
	if msg = bytes.TrimRight(msg, "\r\n\x00"); len(msg) > 0 {
		emit(msg, f.long)
	}
	if f.msg = f.msg[:0]; cap(f.msg) > keepBuffer {
		f.msg = nil
	}
	f.state, f.need, f.long = between, 0, false
}

// keepBuffer is how large a buffer an idle connection keeps.
const keepBuffer = 4 << 10

// end emits what came of a message whose connection is over. A line is whole then where its sender closed the
// connection; a counted message is not.
func (f *framer) end(closed bool, emit func(msg []byte, cut bool)) {
	if len(f.held) > 0 {
		f.state, f.msg, f.held = inLine, append(f.msg, f.held...), nil
	}
	if f.state == inCounted || !closed {
		f.long = true
	}
	if f.state != between {
		f.take(nil, true, emit)
	}
}

// CutMark ends a record whose message was longer than the limit, or whose connection broke within it.
const CutMark = " [cut by breakwater]"

// appendRecord adds a message as one line. Line breaks and NULs within it are written as rsyslog does, #012, #015
// and #000, so that a message stays one record.
func appendRecord(dst, msg []byte, cut bool) []byte {
	if !bytes.ContainsAny(msg, "\n\r\x00") {
		dst = append(dst, msg...)
	} else {
		for _, c := range msg {
			switch c {
			case '\n':
				dst = append(dst, "#012"...)
			case '\r':
				dst = append(dst, "#015"...)
			case 0:
				dst = append(dst, "#000"...)
			default:
				dst = append(dst, c)
			}
		}
	}
	if cut {
		dst = append(dst, CutMark...)
	}
	return append(dst, '\n')
}
