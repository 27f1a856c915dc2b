// Package evtx decodes Windows event logs in the form in which Windows keeps them (.evtx), straight into the fields of
// an event: no tree of XML is built in between. Written from the format's description by the libevtx project
// ("Windows XML Event Log (EVTX)") and MS-EVEN6 (BinXml).
//
// An event from an .evtx equals the event from its JSON as evtx_dump writes it, field by field, and is filled by
// package windows like that one. Chunks are read one at a time and each for itself: a torn or dirty file gives every
// record that is whole, and each place that isn't goes to Sink.Bad with its offset. What lies behind the end of a
// chunk's records (older records that were overwritten in part) is not read.
package evtx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Sizes of the format.
const (
	chunkSize    = 64 << 10
	headerSize   = 4 << 10
	chunkHeader  = 512
	recordHeader = 24
)

// Limits on one record, beyond those of package decode.
const (
	maxDepth  = 32   // nesting of elements, of templates in values
	maxValues = 4096 // of one template instance
	maxOps    = 8192 // elements and attributes of one template
)

var (
	fileMagic   = []byte("ElfFile\x00")
	chunkMagic  = []byte("ElfChnk\x00")
	recordMagic = []byte("**\x00\x00")
)

// Stream returns the format as intake sees it. A file whose header is lost is recognised by its first chunk.
func Stream() decode.Stream {
	files := sync.Pool{New: func() any {
		f := &file{}
		f.c.buf = make([]byte, chunkSize)
		return f
	}}
	return decode.Stream{
		Name: "evtx",
		Recognise: func(name string, head []byte) bool {
			return bytes.HasPrefix(head, fileMagic) || bytes.HasPrefix(head, chunkMagic) ||
				len(head) > headerSize && bytes.HasPrefix(head[headerSize:], chunkMagic) && strings.HasSuffix(strings.ToLower(name), ".evtx")
		},
		Read: func(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
			f := files.Get().(*file)
			defer files.Put(f)
			f.sink, f.n = sink, 0
			defer func() { f.sink = nil }()
			return f.read(ctx, r)
		},
	}
}

func (f *file) read(ctx context.Context, r io.Reader) error {
	head := f.c.buf[:headerSize]
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("reading the file's header: %w", err)
	}
	at := int64(headerSize)
	switch {
	case bytes.HasPrefix(head, chunkMagic): // chunks without a header, as they are carved from a disk
		r = io.MultiReader(bytes.NewReader(bytes.Clone(head[:n])), r)
		at = 0
	case n < headerSize:
		return fmt.Errorf("the file ends in its header, after %d bytes", n)
	case !bytes.HasPrefix(head, fileMagic):
		f.bad("the file's header is damaged; its chunks are read all the same", head[:16])
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, f.c.buf[:chunkSize])
		if errors.Is(err, io.EOF) {
			return nil
		}
		torn := errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !torn {
			return fmt.Errorf("reading the chunk at offset %d: %w", at, err)
		}
		if torn {
			clear(f.c.buf[n:])
		}
		f.chunk(at, n)
		if torn {
			f.bad(fmt.Sprintf("the file ends within the chunk at offset %d: %d of %d bytes are there", at, n, chunkSize), nil)
			return nil
		}
		at += chunkSize
	}
}

// file is one file on its way to events. What it learned of names and kinds of events serves the next one.
type file struct {
	sink   decode.Sink
	n      int64 // records so far, good or bad
	c      chunk
	shapes windows.Shapes
}

func (f *file) bad(reason string, raw []byte) {
	f.n++
	f.sink.Bad(f.n, reason, raw)
}

// chunk reads the records of one chunk of which n bytes are there.
func (f *file) chunk(at int64, n int) {
	c := &f.c
	c.reset()
	if !bytes.HasPrefix(c.buf, chunkMagic) {
		if used(c.buf[:n]) { // an unused one is zeros, or was never written
			f.bad(fmt.Sprintf("the chunk at offset %d is damaged: it does not begin as one", at), c.buf[:16])
		}
		return
	}
	end := int(binary.LittleEndian.Uint32(c.buf[48:]))
	sound := end >= chunkHeader && end <= n &&
		crc32.ChecksumIEEE(c.buf[chunkHeader:end]) == binary.LittleEndian.Uint32(c.buf[52:])
	if !sound {
		// A dirty file's last chunk has the sums of an earlier time: records are read while they follow each other.
		end = n
	}
	var last uint64
	pos := chunkHeader
	for first := true; pos+recordHeader+4 <= end; first = false {
		if !bytes.HasPrefix(c.buf[pos:], recordMagic) {
			if sound || used(c.buf[pos:min(pos+recordHeader, end)]) && !f.stale(pos, last, first) {
				f.bad(fmt.Sprintf("at offset %d, where a record should begin, there is none; the rest of its chunk is left out", at+int64(pos)), c.buf[pos:pos+16])
			}
			return
		}
		size := int(binary.LittleEndian.Uint32(c.buf[pos+4:]))
		id := binary.LittleEndian.Uint64(c.buf[pos+8:])
		if size < recordHeader+4 || size > end-pos {
			f.bad(fmt.Sprintf("the record at offset %d says it has %d bytes where at most %d are; the rest of its chunk is left out", at+int64(pos), size, end-pos), c.buf[pos:pos+16])
			return
		}
		if !sound && !first && id != last+1 {
			return // what follows was written before, and overwritten in part
		}
		last = id
		raw := c.buf[pos : pos+size]
		if int(binary.LittleEndian.Uint32(raw[size-4:])) != size {
			f.bad(fmt.Sprintf("the record at offset %d was cut: its end does not tell its size", at+int64(pos)), raw)
			pos += size
			continue
		}
		f.record(at+int64(pos), pos+recordHeader, pos+size-4, raw)
		pos += size
	}
}

// stale reports whether what stands at pos is the remains of an older record, in a chunk whose sums are not to be
// relied on: then the records before it were all.
func (f *file) stale(pos int, last uint64, first bool) bool {
	next := binary.LittleEndian.Uint64(f.c.buf[32:])
	return !first && last >= next && pos > chunkHeader
}

func used(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return true
		}
	}
	return false
}

// record decodes one record whose BinXml stands from begin to end.
func (f *file) record(at int64, begin, end int, raw []byte) {
	f.n++
	c := &f.c
	native, when, err := c.event(begin, end)
	if err != nil {
		f.sink.Bad(f.n, fmt.Sprintf("the record at offset %d: %v", at, err), raw)
		return
	}
	e := &ocsf.Event{}
	if err := f.shapes.Event(native, when, e); err != nil {
		f.sink.Bad(f.n, fmt.Sprintf("the record at offset %d: %v", at, err), raw)
		return
	}
	f.sink.Event(e, f.n, raw)
}
