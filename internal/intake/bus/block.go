package bus

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// Records as nats-server 2 writes them into its block files (server/filestore.go, writeMsgRecordLocked), little
// endian: length 4, place 8, time 8, subject's length 2, subject, payload, checksum 8. TestServerReadsAndWritesOurFrames
// holds both sides together.
const (
	recordHead = 22
	recordSum  = 8
	recordMin  = recordHead + recordSum
	recordMax  = recordMin + maxSubject + MaxPayload

	flagHeaders   = 1 << 31 // of the length: a header precedes the payload; we never write one
	flagErased    = 1 << 63 // of the place: the message was taken out
	flagTombstone = 1 << 62 // of the place: a message elsewhere was taken out

	streamName    = "RAW"
	subjectPrefix = "raw."
	maxSubject    = 128
	blockSuffix   = ".blk"
	blockMost     = 64 << 20 // bytes of a block file that are read; the server begins a new one at 8 MiB
)

// entry is a record found in a block.
type entry struct {
	place   uint64
	time    int64 // nanoseconds since 1970
	marker  bool  // no message, but a note that the place is used up
	payload []byte
	size    int
}

var (
	errShort  = errors.New("the block ends within the record")
	errRecord = errors.New("the record does not match its checksum")
)

// frame knows the checksum's key of one block.
type frame struct{ sum hash.Hash64 }

func newFrame(block uint32) (frame, error) {
	h, err := hashOf(streamName + "-" + strconv.FormatUint(uint64(block), 10))
	return frame{h}, err
}

func hashOf(name string) (hash.Hash64, error) {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("preparing the checksum of %s: %w", name, err)
	}
	return h, nil
}

// size reads the record's length from its head. errShort: there is no whole head.
func size(head []byte) (int, error) {
	if len(head) < recordHead {
		return 0, errShort
	}
	n := binary.LittleEndian.Uint32(head)
	if n&flagHeaders != 0 || n < recordMin || n > recordMax {
		return 0, errRecord
	}
	return int(n), nil
}

// parse reads the record at the front of buf and checks it.
func (f frame) parse(buf []byte) (entry, error) {
	n, err := size(buf)
	if err != nil {
		return entry{}, err
	}
	if n > len(buf) {
		return entry{}, errShort
	}
	subject := int(binary.LittleEndian.Uint16(buf[20:]))
	if subject > n-recordMin {
		return entry{}, errRecord
	}
	f.sum.Reset()
	_, _ = f.sum.Write(buf[4:20]) // a hash's Write does not fail
	_, _ = f.sum.Write(buf[recordHead : n-recordSum])
	var have [recordSum]byte
	if !bytes.Equal(f.sum.Sum(have[:0]), buf[n-recordSum:n]) {
		return entry{}, errRecord
	}
	place := binary.LittleEndian.Uint64(buf[4:])
	e := entry{place: place &^ (flagErased | flagTombstone), time: int64(binary.LittleEndian.Uint64(buf[12:])), size: n}
	if place&(flagErased|flagTombstone) != 0 {
		e.marker = true
		return e, nil
	}
	// The checksum does not cover where the subject ends; the mark after it does, as no subject has its first byte.
	e.payload = buf[recordHead+subject : n-recordSum]
	if !bytes.HasPrefix(buf[recordHead:recordHead+subject], []byte(subjectPrefix)) || !bytes.HasPrefix(e.payload, []byte(mark)) {
		return entry{}, errRecord
	}
	return e, nil
}

// find gives the first offset not before from where a whole message's record with a place after begins; len(buf)
// if there is none.
func (f frame) find(buf []byte, from int, after uint64) int {
	for at := from + recordHead; at < len(buf); {
		i := bytes.Index(buf[at:], []byte(subjectPrefix))
		if i < 0 {
			break
		}
		at += i
		if e, err := f.parse(buf[at-recordHead:]); err == nil && !e.marker && e.place > after {
			return at - recordHead
		}
		at++
	}
	return len(buf)
}

// appendMarker appends a record that says that a place is used up.
func (f frame) appendMarker(dst []byte, place uint64, time int64) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, recordMin)
	dst = binary.LittleEndian.AppendUint64(dst, place|flagTombstone)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(time))
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	f.sum.Reset()
	_, _ = f.sum.Write(dst[start+4 : start+20])
	return f.sum.Sum(dst)
}

// span is a run of bytes of a block; for bad ones, before and next are the places of the messages around it, next 0
// at the block's end.
type span struct {
	from, to     int
	before, next uint64
}

// survey is what a block holds.
type survey struct {
	good, bad []span
	messages  int
	first     uint64      // place of the first message; 0: none
	used      uint64      // the last place that is used up, by a message or a note
	time      int64       // the last record's
	gaps      [][2]uint64 // places that have no message
}

// look walks a block and tells good records from bad bytes. Places after the one given before the block count as
// missing where no message has them.
func (f frame) look(buf []byte, before uint64) survey {
	s := survey{used: before}
	for at := 0; at < len(buf); {
		e, err := f.parse(buf[at:])
		if err != nil {
			next := f.find(buf, at+1, s.used)
			bad := span{from: at, to: next, before: s.used}
			if next < len(buf) {
				bad.next = binary.LittleEndian.Uint64(buf[next+4:])
			}
			s.bad = append(s.bad, bad)
			at = next
			continue
		}
		if n := len(s.good); n > 0 && s.good[n-1].to == at {
			s.good[n-1].to = at + e.size
		} else {
			s.good = append(s.good, span{from: at, to: at + e.size})
		}
		at += e.size
		s.time = e.time
		missing := e.place // a note's own place has no message either
		if !e.marker {
			missing--
			s.messages++
			if s.first == 0 {
				s.first = e.place
			}
		}
		if s.used > 0 && missing > s.used {
			s.gaps = append(s.gaps, [2]uint64{s.used + 1, missing})
		}
		s.used = max(s.used, e.place)
	}
	return s
}

// blockFile is a block's place on disk.
type blockFile struct {
	index uint32
	path  string
	size  int64
}

// blocks lists the block files of a directory in order. A directory that is not there has none.
func blocks(dir string) ([]blockFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the bus's blocks: %w", err)
	}
	var list []blockFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), blockSuffix)
		if !ok {
			continue
		}
		index, err := strconv.ParseUint(name, 10, 32)
		if err != nil || strconv.FormatUint(index, 10) != name {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("looking at block %s of the bus: %w", e.Name(), err)
		}
		if info.Mode().IsRegular() {
			list = append(list, blockFile{uint32(index), filepath.Join(dir, e.Name()), info.Size()})
		}
	}
	slices.SortFunc(list, func(a, b blockFile) int { return cmp.Compare(a.index, b.index) })
	return list, nil
}
