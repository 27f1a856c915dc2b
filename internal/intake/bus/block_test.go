package bus

import (
	"encoding/binary"
	"testing"
)

// appendRecord writes a record as the server does.
func (f frame) appendRecord(dst []byte, place uint64, time int64, subject string, payload []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(recordMin+len(subject)+len(payload)))
	dst = binary.LittleEndian.AppendUint64(dst, place)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(time))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(subject)))
	dst = append(append(dst, subject...), payload...)
	f.sum.Reset()
	_, _ = f.sum.Write(dst[start+4 : start+20])
	_, _ = f.sum.Write(dst[start+recordHead:])
	return f.sum.Sum(dst)
}

func block(t testing.TB, f frame, messages int) []byte {
	t.Helper()
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var buf []byte
	for n := range messages {
		b := batch(n, 40)
		msg, err := s.seal(b)
		if err != nil {
			t.Fatal(err)
		}
		buf = f.appendRecord(buf, uint64(n+1), int64(n), subjectOf(b.Lane), msg)
		s.release(msg)
	}
	return buf
}

func TestEachFlippedBitOfABlockCostsOneRecord(t *testing.T) {
	f, err := newFrame(7)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 4
	buf := block(t, f, messages)
	var ends []int
	for at := 0; at < len(buf); {
		e, err := f.parse(buf[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += e.size
		ends = append(ends, at)
	}
	for i := range buf {
		hit := 0
		for ends[hit] <= i {
			hit++
		}
		for bit := range 8 {
			buf[i] ^= 1 << bit
			s := f.look(buf, 0)
			buf[i] ^= 1 << bit
			if s.messages != messages-1 || len(s.bad) != 1 {
				t.Fatalf("byte %d, bit %d (record %d): %d good messages, %d bad spans", i, bit, hit+1, s.messages, len(s.bad))
			}
			if b := s.bad[0]; b.before != uint64(hit) || b.to != ends[hit] {
				t.Fatalf("byte %d, bit %d: the bad span %+v is not record %d, which ends at %d", i, bit, b, hit+1, ends[hit])
			}
		}
	}
}

func TestATornBlockKeepsWhatIsWhole(t *testing.T) {
	f, err := newFrame(1)
	if err != nil {
		t.Fatal(err)
	}
	buf := block(t, f, 4)
	for cut := range buf {
		s := f.look(buf[:cut], 0)
		whole := 0
		for at := 0; ; whole++ {
			e, err := f.parse(buf[at:])
			if err != nil || at+e.size > cut {
				if (at == cut) != (len(s.bad) == 0) {
					t.Fatalf("cut at %d: bad spans %+v", cut, s.bad)
				}
				break
			}
			at += e.size
		}
		if s.messages != whole {
			t.Fatalf("cut at %d: %d messages, want %d", cut, s.messages, whole)
		}
	}
}
