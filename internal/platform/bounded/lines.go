package bounded

import (
	"bufio"
	"bytes"
	"io"

	"golang.org/x/text/encoding/unicode"
)

// DefaultMaxLine is the longest line that a LineReader returns where no other is asked for: 1 MiB.
const DefaultMaxLine = 1 << 20

// LineReader reads text line by line and never holds more than one line of at most max bytes. It takes \n and
// \r\n, a last line without either, a byte order mark, and UTF-16 where the mark says so, which it turns into
// UTF-8. NUL bytes around a line, which a crash leaves in preallocated logs, are taken away.
type LineReader struct {
	src     io.Reader
	r       *bufio.Reader // nil until the first line
	max     int
	buf     []byte
	n       int64
	begin   int64
	next    int64
	pending error
}

// NewLineReader returns a LineReader of r; a max of zero or less means DefaultMaxLine.
func NewLineReader(r io.Reader, max int) *LineReader {
	if max <= 0 {
		max = DefaultMaxLine
	}
	return &LineReader{src: r, max: max}
}

// Next returns the next line without its end, and its number, the first being 1. The line is valid until the
// next call. A longer line than allowed is skipped to its end and counted: line is nil and tooLong true. At
// the end err is io.EOF; an error of the source comes after the bytes before it were returned.
func (l *LineReader) Next() (line []byte, n int64, tooLong bool, err error) {
	if l.r == nil {
		l.start()
	}
	if l.pending != nil {
		return nil, l.n, false, l.pending
	}
	l.begin = l.next
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.next += int64(len(part))
		if err != nil && err != bufio.ErrBufferFull {
			l.pending = err
			if l.next == l.begin {
				return nil, l.n, false, err
			}
		}
		ended := err != bufio.ErrBufferFull
		if err == nil {
			part = part[:len(part)-1]
		}
		if len(l.buf) == 0 {
			part = bytes.TrimLeft(part, "\x00")
		}
		switch {
		case tooLong:
		case ended && len(l.buf) == 0:
			line = trimEnd(part) // no copy where the line lies in the read buffer whole
			tooLong = len(line) > l.max
		case len(l.buf)+len(part) > l.max+1: // the one may be a \r
			tooLong = true
		default:
			l.buf = append(l.buf, part...)
			line = l.buf
			if ended {
				line = trimEnd(l.buf)
				tooLong = len(line) > l.max
			}
		}
		if ended {
			break
		}
	}
	l.n++
	if tooLong {
		return nil, l.n, true, nil
	}
	return line, l.n, false, nil
}

// Offset returns where the last line began, in bytes of the UTF-8 text after any byte order mark.
func (l *LineReader) Offset() int64 { return l.begin }

// Lines returns how many lines were read, those too long included.
func (l *LineReader) Lines() int64 { return l.n }

// start looks for a byte order mark.
func (l *LineReader) start() {
	const buffer = 64 << 10
	l.r = bufio.NewReaderSize(l.src, buffer)
	mark, _ := l.r.Peek(3)
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, _ = l.r.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		utf16 := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		l.r = bufio.NewReaderSize(utf16.Reader(l.r), buffer)
	}
}

// trimEnd takes the carriage return and the NULs at the end of a line away.
func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\r"))
	return bytes.TrimRight(line, "\x00")
}
