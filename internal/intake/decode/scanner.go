package decode

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// scan reads objects that span lines, follow one another, or stand in an array or a wrapper.
func (o *objectReader) scan(ctx context.Context, r io.Reader) error {
	var n int64
	bad := func(reason string, obj []byte) {
		n++
		o.sink.Bad(n, reason, obj[:min(len(obj), 200)])
	}
	s := scanner{unwrap: true,
		tooLong:  func(obj []byte) { bad(fmt.Sprintf("object is longer than %d bytes", MaxRecord), obj) },
		cutShort: func(obj []byte) { bad("the next object begins before this one ends", obj) },
	}
	emit := func(obj []byte) {
		n++
		if !o.record(n, obj) {
			_, err := o.parser.ParseBytes(obj)
			o.sink.Bad(n, badJSON(err), obj)
		}
	}
	buf := make([]byte, 64<<10)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k, err := r.Read(buf)
		left := s.feed(buf[:k], emit)
		if err == io.EOF {
			if left && !s.long {
				bad("the file ends inside an object", s.obj)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scanner cuts JSON objects out of a stream of bytes by their braces. A wrapper's list is opened and what the
// wrapper holds beside it is left out.
//
// An object that never ends is given up where a line begins with a brace that can't be the object's own, so that
// one broken record does not swallow those behind it.
type scanner struct {
	unwrap   bool             // wrappers are opened; off once the first object was none
	tooLong  func(obj []byte) // told once of an object beyond the limit; may be nil
	cutShort func(obj []byte) // told of an object that was given up; nil where nothing is given up

	obj     []byte
	depth   int // brackets open in the object at hand; 0 between objects
	quoted  bool
	escaped bool
	long    bool
	tried   bool // whether the object at hand is a wrapper was asked

	outer int  // brackets of a wrapper that are open around the object at hand
	past  bool // the wrapper's list is over

	prev, last byte // the byte before this one, and the last one that is no space
}

// telling are the bytes that change where the scanner is; all others of an object are taken in runs.
var telling = [256]bool{'{': true, '}': true, '[': true, ']': true, '"': true, '\\': true, '\n': true}

// feed takes more bytes and calls emit for each object that ends in them; it reports whether one is still open.
func (s *scanner) feed(b []byte, emit func([]byte)) bool {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case s.depth == 0:
			s.between(c)
		case !telling[c] && !s.escaped:
			n := i + 1
			for n < len(b) && !telling[b[n]] {
				n++
			}
			s.plain(b[i:n])
			i = n - 1
			continue
		case c == '{' && s.prev == '\n' && s.cutShort != nil && strings.IndexByte(insideObject, s.last) < 0:
			if !s.long {
				s.cutShort(s.obj)
			}
			s.open()
		default:
			s.within(c, emit)
		}
		s.prev = c
		if c > ' ' {
			s.last = c
		}
	}
	return s.depth > 0
}

// plain takes a run of bytes that change nothing.
func (s *scanner) plain(run []byte) {
	if !s.long {
		s.obj = append(s.obj, run...)
		s.limit()
	}
	s.prev = run[len(run)-1]
	for i := len(run) - 1; i >= 0; i-- {
		if run[i] > ' ' {
			s.last = run[i]
			break
		}
	}
}

// limit gives up an object that has become too long.
func (s *scanner) limit() {
	if len(s.obj) <= MaxRecord || s.long {
		return
	}
	s.long = true
	if s.tooLong != nil {
		s.tooLong(s.obj)
	}
}

func (s *scanner) open() {
	s.depth, s.obj, s.long, s.tried, s.quoted, s.escaped = 1, append(s.obj[:0], '{'), false, false, false, false
}

// between looks for the next object. Behind a wrapper's list there is none until the wrapper ends.
func (s *scanner) between(c byte) {
	if s.outer == 0 {
		if c == '{' {
			s.open()
		}
		return
	}
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = !s.quoted
	case c == '\n':
		s.quoted = false
	case s.quoted:
	case c == '{' && !s.past:
		s.open()
	case c == '{' || c == '[':
		s.outer++
	case c == '}' || c == ']':
		s.outer--
		s.past = s.outer > 0 && (s.past || s.outer == 1)
	}
}

func (s *scanner) within(c byte, emit func([]byte)) {
	if !s.long {
		s.obj = append(s.obj, c)
	}
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = !s.quoted
	case s.quoted:
	case c == '{' || c == '[':
		s.depth++
		if c == '{' && s.depth == 3 && s.unwrap && s.outer == 0 && !s.tried {
			s.openWrapper()
		}
	case c == '}' || c == ']':
		if s.depth--; s.depth == 0 {
			s.close(emit)
			return
		}
	}
	s.limit()
}

// openWrapper drops what was read of a wrapper when its list's first object begins.
func (s *scanner) openWrapper() {
	if s.tried = true; isWrapper(s.obj) {
		s.outer, s.past = 2, false
		s.open()
	}
}

func (s *scanner) close(emit func([]byte)) {
	switch {
	case s.long:
	case s.unwrap && s.outer == 0 && !s.tried && isWrapper(s.obj): // its list is empty
		return
	default:
		emit(s.obj)
	}
	if s.outer == 0 {
		s.unwrap = false
	}
}
