package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Limits of what a message may unpack to. Publish refuses what the other side would not take.
const (
	maxPlain = 64 << 20 // bytes of a batch in its binary form, before compression
	maxWord  = 64 << 10 // bytes of a lane, sensor, tenant, layer, peer, name or key
)

// ErrTooLarge is returned by Publish for a batch that no message may carry. Sending it again does not help.
var ErrTooLarge = errors.New("the batch is too large for the bus")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	flagAuthenticated = 1 << iota
	flagWhole
	flagsKnown = flagAuthenticated | flagWhole
)

// appendBatch appends the binary form of a batch: a CRC32C of what follows, then every field in turn, strings and
// bytes with their length in front, numbers as varints.
func appendBatch(dst []byte, b *Batch) ([]byte, error) {
	if len(b.Frames) > MaxRecords {
		return nil, fmt.Errorf("%d frames, at most %d are allowed: %w", len(b.Frames), MaxRecords, ErrTooLarge)
	}
	head := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendWord(dst, b.Lane)
	longest := len(b.Lane)
	dst = binary.AppendUvarint(dst, uint64(len(b.Frames)))
	for i := range b.Frames {
		f := &b.Frames[i]
		if f.Records < 0 || f.First < 0 {
			return nil, fmt.Errorf("frame %d counts %d records from %d: numbers below 0 have no meaning", i, f.Records, f.First)
		}
		var flags byte
		if f.Authenticated {
			flags |= flagAuthenticated
		}
		if f.Whole {
			flags |= flagWhole
		}
		dst = append(dst, flags)
		for _, s := range [...]string{f.Sensor, string(f.Tenant), string(f.Layer), f.Peer, f.Name, f.Key} {
			dst = appendWord(dst, s)
			longest = max(longest, len(s))
		}
		dst = binary.AppendVarint(dst, f.Received.Unix())
		dst = binary.AppendUvarint(dst, uint64(f.Received.Nanosecond()))
		dst = binary.AppendUvarint(dst, uint64(f.First))
		dst = binary.AppendUvarint(dst, uint64(f.Records))
		if len(dst)-head+len(f.Head)+len(f.Data) > maxPlain {
			return nil, fmt.Errorf("more than %d MiB before compression: %w", maxPlain>>20, ErrTooLarge)
		}
		dst = appendWord(dst, f.Head)
		dst = appendWord(dst, f.Data)
	}
	if longest > maxWord {
		return nil, fmt.Errorf("a name of %d bytes, at most %d are allowed: %w", longest, maxWord, ErrTooLarge)
	}
	if len(dst)-head > maxPlain {
		return nil, fmt.Errorf("more than %d MiB before compression: %w", maxPlain>>20, ErrTooLarge)
	}
	binary.LittleEndian.PutUint32(dst[head:], crc32.Checksum(dst[head+4:], castagnoli))
	return dst, nil
}

func appendWord[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

var errBatch = errors.New("not a batch")

// parseBatch reads what appendBatch wrote. The frames' bytes are parts of src.
func parseBatch(src []byte) (Batch, error) {
	if len(src) < 4 || len(src) > maxPlain {
		return Batch{}, fmt.Errorf("%w: it has %d bytes", errBatch, len(src))
	}
	if crc32.Checksum(src[4:], castagnoli) != binary.LittleEndian.Uint32(src) {
		return Batch{}, fmt.Errorf("%w: its checksum does not match", errBatch)
	}
	p := cursor{rest: src[4:]}
	b := Batch{Lane: p.word()}
	n := p.number(MaxRecords)
	if p.bad || n > len(p.rest) { // a frame takes more than a byte
		return Batch{}, fmt.Errorf("%w: it counts more frames than it has", errBatch)
	}
	b.Frames = make([]Frame, n)
	for i := range b.Frames {
		f := &b.Frames[i]
		flags := p.flags()
		f.Authenticated = flags&flagAuthenticated != 0
		f.Whole = flags&flagWhole != 0
		f.Sensor = p.word()
		f.Tenant = tenant.ID(p.word())
		f.Layer = tenant.Layer(p.word())
		f.Peer = p.word()
		f.Name = p.word()
		f.Key = p.word()
		seconds := p.signed()
		f.Received = time.Unix(seconds, int64(p.number(int(time.Second)-1))).UTC()
		f.First = int64(p.number(math.MaxInt))
		f.Records = p.number(math.MaxInt)
		f.Head = p.bytes()
		f.Data = p.bytes()
		if p.bad {
			return Batch{}, fmt.Errorf("%w: frame %d ends early or holds what none may", errBatch, i)
		}
	}
	if len(p.rest) > 0 {
		return Batch{}, fmt.Errorf("%w: %d bytes follow its last frame", errBatch, len(p.rest))
	}
	return b, nil
}

// cursor takes values off the front; once bad, it gives zeros.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) fail() {
	c.bad, c.rest = true, nil
}

func (c *cursor) flags() byte {
	if len(c.rest) == 0 || c.rest[0]&^flagsKnown != 0 {
		c.fail()
		return 0
	}
	f := c.rest[0]
	c.rest = c.rest[1:]
	return f
}

func (c *cursor) number(most int) int {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 || v > uint64(most) {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return int(v)
}

func (c *cursor) signed() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) bytes() []byte {
	n := c.number(maxPlain)
	if n > len(c.rest) {
		c.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	// The capacity ends with the bytes: whoever appends to them does not write into the next frame.
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) word() string {
	n := c.number(maxWord)
	if n > len(c.rest) {
		c.fail()
		return ""
	}
	s := string(c.rest[:n])
	c.rest = c.rest[n:]
	return s
}
