package mail

import (
	"bytes"
	"encoding/binary"

	"github.com/ulikunitz/xz/lzma"
)

// maxSevenHeader is the largest directory of a 7z archive that is read, packed or not.
const maxSevenHeader = 1 << 20

// sevenZip lists a 7z archive (7zFormat.txt of the LZMA SDK). Its directory is usually compressed with LZMA, which
// is undone; members are opened where they are stored as they are.
func (b *body) sevenZip(f inside) {
	if f.level > 0 {
		b.trait("attachment.nested", f.name)
	}
	d := f.data
	if len(d) < 32 {
		b.trait("attachment.broken", f.name)
		return
	}
	at, size := int64(binary.LittleEndian.Uint64(d[12:])&(1<<62-1)), int64(binary.LittleEndian.Uint64(d[20:])&(1<<62-1))
	head := part(d, 32+at, min(size, maxSevenHeader))
	for range 4 {
		if len(head) < 2 {
			b.trait("attachment.broken", f.name)
			return
		}
		s := &sevenHeader{d: head[1:]}
		switch head[0] {
		case 1:
			s.files(b, f)
			return
		case 0x17: // the directory itself is packed
			s.streams()
			if s.encrypted {
				b.trait("attachment.encrypted", f.name)
				return
			}
			if s.bad || len(s.packed) == 0 {
				b.trait("attachment.broken", f.name)
				return
			}
			head = b.lzma(part(d, 32+s.packedAt, s.packed[0]), s.props, s.unpacked)
		default:
			b.trait("attachment.broken", f.name)
			return
		}
	}
}

// lzma undoes LZMA with a window no larger than what comes out.
func (b *body) lzma(raw, props []byte, size int64) []byte {
	if len(props) < 5 || size <= 0 || size > maxSevenHeader || len(raw) == 0 {
		return nil
	}
	size = b.room(size)
	head := make([]byte, 13)
	head[0] = props[0]
	binary.LittleEndian.PutUint32(head[1:], uint32(max(4096, size)))
	binary.LittleEndian.PutUint64(head[5:], uint64(size))
	r, err := lzma.ReaderConfig{DictCap: int(max(4096, size))}.NewReader(bytes.NewReader(append(head, raw...)))
	if err != nil {
		return nil
	}
	return b.drain(r, size, int64(len(raw)))
}

// sevenHeader reads the properties of a 7z directory.
type sevenHeader struct {
	d         []byte
	bad       bool
	packedAt  int64
	packed    []int64
	props     []byte
	unpacked  int64
	encrypted bool
}

func (s *sevenHeader) byte() byte {
	if len(s.d) == 0 {
		s.bad = true
		return 0
	}
	c := s.d[0]
	s.d = s.d[1:]
	return c
}

func (s *sevenHeader) take(n int64) []byte {
	if n < 0 || n > int64(len(s.d)) {
		s.bad = true
		s.d = nil
		return nil
	}
	out := s.d[:n]
	s.d = s.d[n:]
	return out
}

// number reads an integer whose first byte tells by its leading ones how many follow.
func (s *sevenHeader) number() int64 {
	first := s.byte()
	var v uint64
	mask := byte(0x80)
	for i := uint(0); i < 8; i++ {
		if first&mask == 0 {
			return int64((v | uint64(first&(mask-1))<<(8*i)) & (1<<62 - 1))
		}
		v |= uint64(s.byte()) << (8 * i)
		mask >>= 1
	}
	return int64(v & (1<<62 - 1))
}

// streams reads PackInfo and UnpackInfo (3.5, 3.6), as far as they are needed: sizes, coders, and whether one of
// them encrypts.
func (s *sevenHeader) streams() {
	for !s.bad {
		switch id := s.byte(); id {
		case 0:
			return
		case 6: // PackInfo
			s.packedAt = s.number()
			n := s.number()
			for !s.bad {
				id := s.byte()
				if id == 0 {
					break
				}
				switch id {
				case 9:
					for i := int64(0); i < n && !s.bad; i++ {
						if v := s.number(); len(s.packed) < 64 {
							s.packed = append(s.packed, v)
						}
					}
				case 10:
					s.digests(n)
				default:
					s.bad = true
				}
			}
		case 7:
			s.folders()
		case 8:
			return // SubStreamsInfo: not needed, and nothing after it is
		default:
			s.bad = true
		}
	}
}

func (s *sevenHeader) digests(n int64) {
	defined := n
	if s.byte() == 0 {
		defined = 0
		for _, c := range s.take((n + 7) / 8) {
			for ; c != 0; c &= c - 1 {
				defined++
			}
		}
	}
	s.take(4 * defined)
}

func (s *sevenHeader) folders() {
	if s.byte() != 11 {
		s.bad = true
		return
	}
	n := s.number()
	if s.byte() != 0 || n > 10_000 { // kept elsewhere: never seen
		s.bad = true
		return
	}
	var outs int64
	for range n {
		outs += s.folder()
		if s.bad {
			return
		}
	}
	for !s.bad {
		switch s.byte() {
		case 0:
			return
		case 12:
			for i := range outs {
				if v := s.number(); i == 0 {
					s.unpacked = v
				}
				if s.bad {
					return
				}
			}
		case 10:
			s.digests(n)
		default:
			s.bad = true
		}
	}
}

func (s *sevenHeader) folder() (outs int64) {
	coders := s.number()
	if coders > 32 {
		s.bad = true
		return 0
	}
	var ins int64
	for i := range coders {
		flags := s.byte()
		id := s.take(int64(flags & 0xf))
		in, out := int64(1), int64(1)
		if flags&0x10 != 0 {
			in, out = s.number(), s.number()
		}
		var props []byte
		if flags&0x20 != 0 {
			props = s.take(s.number())
		}
		if bytes.Equal(id, []byte{6, 0xf1, 7, 1}) { // AES-256 with SHA-256
			s.encrypted = true
		}
		if i == 0 {
			s.props = props
		}
		if in > 64 || out > 64 {
			s.bad = true
			return 0
		}
		ins, outs = ins+in, outs+out
	}
	for range max(0, outs-1) {
		s.number()
		s.number()
	}
	if packed := ins - (outs - 1); packed > 1 {
		for range packed {
			s.number()
		}
	}
	return outs
}

// files reads the names in a directory (3.7).
func (s *sevenHeader) files(b *body, f inside) {
	for !s.bad {
		switch s.byte() {
		case 0:
			return
		case 4: // MainStreamsInfo
			before := s.d
			s.streams()
			if s.encrypted {
				b.trait("attachment.encrypted", f.name)
			}
			s.d = afterStreams(before, s.d)
		case 5:
			s.names(b, f)
			return
		case 2: // ArchiveProperties
			for !s.bad && s.byte() != 0 {
				s.take(s.number())
			}
		default:
			return
		}
	}
}

// afterStreams finds the FilesInfo block: SubStreamsInfo before it is of no interest, and its length is written
// nowhere. FilesInfo is an id, a count, and properties of which names are one.
func afterStreams(all, rest []byte) []byte {
	for i := 0; i+4 < len(rest) && i < 64<<10; i++ {
		if rest[i] != 0 || rest[i+1] != 5 {
			continue
		}
		s := &sevenHeader{d: rest[i+2:]}
		n := s.number()
		if n <= 0 || n > 100_000 {
			continue
		}
		for range 16 {
			id := s.byte()
			size := s.number()
			if s.bad || id == 0 {
				break
			}
			if id == 0x11 && size > 2 && size <= int64(len(s.d)) && s.d[0] == 0 {
				return rest[i+1:]
			}
			s.take(size)
		}
	}
	if len(all) == len(rest) {
		return nil
	}
	return rest
}

func (s *sevenHeader) names(b *body, f inside) {
	n := s.number()
	for range 64 {
		id := s.byte()
		if s.bad || id == 0 {
			return
		}
		data := s.take(s.number())
		if id != 0x11 || len(data) < 3 {
			continue
		}
		data = data[1:]
		for range min(n, MaxMembers) {
			end := 0
			for end+1 < len(data) && (data[end] != 0 || data[end+1] != 0) {
				end += 2
			}
			if name := utf16Text(data[:min(end, len(data))], false); name != "" && len(name) < 2000 {
				b.member(f, name, nil)
			}
			if end+2 >= len(data) {
				return
			}
			data = data[end+2:]
		}
	}
}
