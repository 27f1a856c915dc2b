package order

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Place says where an event was first delivered: the message of the bus, and which of its events.
type Place uint64

// PlaceOf returns the place of the nth event of a message.
func PlaceOf(seq uint64, n int) Place { return Place(seq<<24 | uint64(min(n, 1<<24-1))) }

// Seen remembers the events of the last while, so that one that is delivered again is known. It holds between one
// and two generations; the older is let go as a whole. Events are told apart by 64 bits of a keyed hash: who writes
// logs can't look for two that collide.
//
// It may be used by several goroutines.
type Seen struct {
	mu   sync.Mutex
	key  [16]byte
	size int // events of a generation
	cur  places
	prev places
}

// places is a hash table with open addressing; a fingerprint is never 0.
type places struct {
	slots []slot
	used  int
}

type slot struct {
	mark uint64
	at   Place
}

// DefaultSeen is how many events a generation holds: a minute of retries at full load, and in a pause as long as it lasts.
const DefaultSeen = 1 << 19

// NewSeen returns an empty memory; the key is this installation's own, and size 0 is DefaultSeen.
func NewSeen(key [16]byte, size int) *Seen {
	if size <= 0 {
		size = DefaultSeen
	}
	return &Seen{key: key, size: size}
}

// First reports whether this place is the one at which the event came first, and remembers it if it is new.
func (s *Seen) First(e *ocsf.Event, at Place) bool {
	mark := s.mark(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range []*places{&s.cur, &s.prev} {
		if was, ok := p.find(mark); ok {
			return was == at
		}
	}
	if s.cur.used >= s.size {
		spare := s.prev.slots // as large as the next generation will need: memory stays as it is
		clear(spare)
		s.prev, s.cur = s.cur, places{slots: spare}
	}
	s.cur.put(mark, at)
	return true
}

// Repeats reports whether the event was first delivered at another place. It remembers nothing.
func (s *Seen) Repeats(e *ocsf.Event, at Place) bool {
	mark := s.mark(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range []*places{&s.cur, &s.prev} {
		if was, ok := p.find(mark); ok {
			return was != at
		}
	}
	return false
}

// mark is of id and time: as in a scan, a source that gives one id to two moments tells of two events.
func (s *Seen) mark(e *ocsf.Event) uint64 {
	var b [40]byte
	copy(b[:], s.key[:])
	copy(b[16:], e.ID[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(e.Time.UnixNano()))
	sum := sha256.Sum256(b[:])
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

func (p *places) find(mark uint64) (Place, bool) {
	if p.used == 0 {
		return 0, false
	}
	for i := mark & uint64(len(p.slots)-1); ; i = (i + 1) & uint64(len(p.slots)-1) {
		switch p.slots[i].mark {
		case 0:
			return 0, false
		case mark:
			return p.slots[i].at, true
		}
	}
}

func (p *places) put(mark uint64, at Place) {
	if (p.used+1)*4 > len(p.slots)*3 {
		old := p.slots
		p.slots, p.used = make([]slot, max(1024, 2*len(old))), 0
		for _, x := range old {
			if x.mark != 0 {
				p.put(x.mark, x.at)
			}
		}
	}
	i := mark & uint64(len(p.slots)-1)
	for p.slots[i].mark != 0 {
		i = (i + 1) & uint64(len(p.slots)-1)
	}
	p.slots[i] = slot{mark, at}
	p.used++
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot returns the memory; Restore takes it.
func (s *Seen) Snapshot() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]byte, 0, 16*(s.cur.used+s.prev.used)+16)
	for _, p := range []*places{&s.prev, &s.cur} {
		out = binary.LittleEndian.AppendUint32(out, uint32(p.used))
		for _, x := range p.slots {
			if x.mark != 0 {
				out = binary.LittleEndian.AppendUint64(out, x.mark)
				out = binary.LittleEndian.AppendUint64(out, uint64(x.at))
			}
		}
	}
	return binary.LittleEndian.AppendUint32(out, s.sum(out))
}

// sum is a checksum of a snapshot and of the key, without which its marks say nothing.
func (s *Seen) sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(s.key[:], castagnoli), castagnoli, b)
}

// Restore takes what Snapshot returned, of the same key. What is damaged is an error, and the memory stays as it was.
func (s *Seen) Restore(b []byte) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b[len(b)-4:]) != s.sum(b[:len(b)-4]) {
		return fmt.Errorf("the memory of delivered events (%d bytes) is damaged, or the installation's key is", len(b))
	}
	b = b[:len(b)-4]
	var got [2]places
	for g := range got {
		if len(b) < 4 {
			return fmt.Errorf("the memory of delivered events is cut short")
		}
		n := int(binary.LittleEndian.Uint32(b))
		if b = b[4:]; n > len(b)/16 {
			return fmt.Errorf("the memory of delivered events is cut short: %d of %d", len(b)/16, n)
		}
		for ; n > 0; n-- {
			got[g].put(binary.LittleEndian.Uint64(b), Place(binary.LittleEndian.Uint64(b[8:])))
			b = b[16:]
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prev, s.cur = got[0], got[1]
	return nil
}
