package mailauth

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// relaxedField appends a header field in the relaxed canonicalisation (RFC 6376 3.4.2), with its line end.
func relaxedField(dst []byte, f *headerField) []byte {
	return append(relaxedValue(dst, f, 0, 0), '\r', '\n')
}

// relaxedValue appends the field without a line end. The bytes of its value from cut to end, a signature's own
// b=, are left out where end is not 0.
func relaxedValue(dst []byte, f *headerField, cut, end int) []byte {
	dst = append(lowerName(dst, f.raw[:f.colon]), ':')
	start, space := len(dst), false
	for i, c := range f.value() {
		if end > 0 && i >= cut && i < end {
			continue
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			space = true
			continue
		}
		if space && len(dst) > start {
			dst = append(dst, ' ')
		}
		space = false
		dst = append(dst, c)
	}
	return dst
}

// simpleField appends a header field as it is (RFC 6376 3.4.1), with its line end.
func simpleField(dst []byte, f *headerField) []byte {
	return append(simpleValue(dst, f, 0, 0), '\r', '\n')
}

func simpleValue(dst []byte, f *headerField, cut, end int) []byte {
	if end > 0 {
		dst = appendCRLF(dst, f.raw[:f.colon+1+cut])
		return appendCRLF(dst, f.raw[f.colon+1+end:])
	}
	return appendCRLF(dst, f.raw)
}

// appendCRLF appends the bytes with each lone LF made CRLF: that is how they were sent.
func appendCRLF(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return append(dst, b...)
		}
		end := i
		if end > 0 && b[end-1] == '\r' {
			end--
		}
		dst = append(append(dst, b[:end]...), '\r', '\n')
		b = b[i+1:]
	}
}

// bodySum hashes the canonical body (RFC 6376 3.4.3, 3.4.4), and tells its length. The hash of the whole body is
// made once for each canonicalisation; with a limit (l=), only that many octets are hashed.
func (m *message) bodySum(relaxed bool, limit int64) ([sha256.Size]byte, int64) {
	kept := &m.hashes[0]
	if relaxed {
		kept = &m.hashes[1]
	}
	if limit < 0 && kept.done {
		return kept.sum, kept.length
	}
	w := bodyHash{h: sha256.New(), left: limit}
	if relaxed {
		w.relaxed(m.body)
	} else {
		w.simple(m.body)
	}
	var sum [sha256.Size]byte
	w.h.Sum(sum[:0])
	if limit < 0 {
		kept.sum, kept.length, kept.done = sum, w.length, true
	}
	return sum, w.length
}

// bodyHash hashes the first octets that it is given and counts all.
type bodyHash struct {
	h      hash.Hash
	left   int64 // octets still to hash; below 0: all
	length int64
}

func (w *bodyHash) write(b []byte) {
	w.length += int64(len(b))
	if w.left >= 0 {
		b = b[:min(int64(len(b)), w.left)]
		w.left -= int64(len(b))
	}
	w.h.Write(b)
}

var crlf = []byte("\r\n")

func (w *bodyHash) simple(body []byte) {
	for len(body) > 0 && body[len(body)-1] == '\n' {
		body = body[:len(body)-1]
		if n := len(body); n > 0 && body[n-1] == '\r' {
			body = body[:n-1]
		}
	}
	if bytes.Count(body, crlf[1:]) == bytes.Count(body, crlf) {
		w.write(body)
	} else {
		for len(body) > 0 {
			end, next := lineEnd(body)
			w.write(body[:end])
			if next > end {
				w.write(crlf)
			}
			body = body[next:]
		}
	}
	w.write(crlf)
}

// flushAt is how many canonical bytes are gathered before they are hashed.
const flushAt = 8 << 10

func (w *bodyHash) relaxed(body []byte) {
	buf := make([]byte, 0, flushAt+1024)
	empty := 0
	for len(body) > 0 {
		end, next := lineEnd(body)
		line := bytes.TrimRight(body[:end], " \t")
		body = body[next:]
		if len(line) == 0 {
			empty++
			continue
		}
		for ; empty > 0; empty-- { // empty lines count only where something follows
			if buf = append(buf, crlf...); len(buf) >= flushAt {
				w.write(buf)
				buf = buf[:0]
			}
		}
		if len(line) > flushAt {
			w.write(buf)
			buf = buf[:0]
		}
		buf = append(squeeze(buf, line), crlf...)
		if len(buf) >= flushAt {
			w.write(buf)
			buf = buf[:0]
		}
	}
	w.write(buf)
}

// squeeze appends the line with each run of spaces and tabs made one space.
func squeeze(dst, line []byte) []byte {
	if bytes.IndexByte(line, ' ') < 0 && bytes.IndexByte(line, '\t') < 0 {
		return append(dst, line...)
	}
	space := false
	for _, c := range line {
		if c == ' ' || c == '\t' {
			if !space {
				dst = append(dst, ' ')
			}
			space = true
			continue
		}
		space = false
		dst = append(dst, c)
	}
	return dst
}
