package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func batches() map[string]*Batch {
	many := &Batch{Lane: "sensor:all"}
	for n := range 100 {
		many.Frames = append(many.Frames, batch(n, n).Frames...)
	}
	return map[string]*Batch{
		"one frame":   batch(1, 100),
		"many frames": many,
		"no frame":    {Lane: "acme", Frames: []Frame{}},
		"empty frame": {Frames: []Frame{{Received: received}}},
		"no time":     {Frames: []Frame{{Whole: true, Authenticated: true}}},
	}
}

func TestBatchesComeBackAsTheyWere(t *testing.T) {
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for name, b := range batches() {
		msg, err := s.seal(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := s.open(bytes.Clone(msg))
		s.release(msg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(*b, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAppendingToOneFrameLeavesTheNextAlone(t *testing.T) {
	b := &Batch{Frames: append(batch(1, 10).Frames, batch(2, 10).Frames...)}
	plain, err := appendBatch(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseBatch(plain)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got.Frames[0].Data, strings.Repeat("X", 200)...)
	if diff := cmp.Diff(b.Frames[1], got.Frames[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryFlippedBitOfABatchIsNoticed(t *testing.T) {
	plain, err := appendBatch(nil, batch(1, 30))
	if err != nil {
		t.Fatal(err)
	}
	for i := range plain {
		for bit := range 8 {
			bad := bytes.Clone(plain)
			bad[i] ^= 1 << bit
			if _, err := parseBatch(bad); !errors.Is(err, errBatch) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
		if _, err := parseBatch(plain[:i]); !errors.Is(err, errBatch) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestOversizeBatchesAreRefused(t *testing.T) {
	for name, b := range map[string]*Batch{
		"frames": {Frames: make([]Frame, MaxRecords+1)},
		"data":   {Frames: []Frame{{Data: make([]byte, maxPlain)}}},
		"name":   {Frames: []Frame{{Name: strings.Repeat("n", maxWord+1)}}},
		"lane":   {Lane: strings.Repeat("n", maxWord+1)},
	} {
		if _, err := appendBatch(nil, b); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	if _, err := appendBatch(nil, &Batch{Frames: []Frame{{Records: -1}}}); err == nil || errors.Is(err, ErrTooLarge) {
		t.Errorf("a negative count: %v", err)
	}
}

// TestBombInAMessage: what unpacks to more than a batch may have is refused, and does not take its size in memory.
func TestBombInAMessage(t *testing.T) {
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	msg := append([]byte(mark), make([]byte, seedLen)...)
	msg = s.enc.EncodeAll(make([]byte, maxPlain*4), msg)
	if len(msg) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(msg))
	}
	if err := masked(msg); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(msg); !errors.Is(err, errBatch) {
		t.Errorf("a bomb gives %v", err)
	}
}

// A sender that could choose bytes on disk could write what looks like a record of another's.
func TestSendersCannotChooseBytesOnDisk(t *testing.T) {
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	forged := bytes.Repeat([]byte("raw.victim"+mark), 100)
	b := batch(1, 10)
	b.Frames[0].Data = append(noise(1000, 7), append(forged, noise(1000, 8)...)...)
	seen := map[string]bool{}
	for range 50 {
		msg, err := s.seal(b)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(msg, []byte(subjectPrefix)) {
			t.Fatal("the sender's bytes stand in the message")
		}
		seen[string(msg[sealHead:sealHead+16])] = true
		s.release(msg)
	}
	if len(seen) != 50 {
		t.Errorf("%d masks for 50 messages", len(seen))
	}
}

func FuzzParseBatch(f *testing.F) {
	for _, b := range batches() {
		plain, err := appendBatch(nil, b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain[4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum is put right, or fuzzing would stop at it.
		plain := binary.LittleEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
		plain = append(plain, body...)
		b, err := parseBatch(plain)
		if err != nil {
			return
		}
		again, err := appendBatch(nil, &b)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		b2, err := parseBatch(again)
		if err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		if diff := cmp.Diff(b, b2); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzOpenMessage(f *testing.F) {
	s, err := newSealer()
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range batches() {
		msg, err := s.seal(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(msg))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if b, err := s.open(bytes.Clone(msg)); err != nil && b.Frames != nil {
			t.Error("a refused message gives frames")
		}
	})
}

func FuzzLookAtBlock(f *testing.F) {
	fr, err := newFrame(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(block(f, fr, 3), uint64(0))
	f.Add(fr.appendMarker(nil, 700, 1), uint64(9))
	f.Fuzz(func(t *testing.T, buf []byte, before uint64) {
		s := fr.look(buf, before)
		covered := 0
		for _, p := range append(append([]span(nil), s.good...), s.bad...) {
			if p.from >= p.to || p.to > len(buf) {
				t.Fatalf("span %+v of %d bytes", p, len(buf))
			}
			covered += p.to - p.from
		}
		if covered != len(buf) {
			t.Fatalf("%d of %d bytes are accounted for", covered, len(buf))
		}
	})
}
