package mail

import (
	"bytes"
	"strings"
)

// rar lists an archive of RAR 4 or 5 by its headers (RAR 5.0 archive format, rarlab.com/technote.htm); members that
// are stored without compression are opened, compressed ones are not.
func (b *body) rar(f inside) {
	if f.level > 0 {
		b.trait("attachment.nested", f.name)
	}
	if bytes.HasPrefix(f.data, []byte("Rar!\x1a\x07\x01\x00")) {
		b.rar5(f, f.data[8:])
	} else {
		b.rar4(f, f.data[min(7, len(f.data)):])
	}
}

func (b *body) rar5(f inside, d []byte) {
	for n := 0; n < MaxMembers && len(d) > 7; n++ {
		r := varints{d: d[4:]} // after the checksum
		size := r.next()
		start := r.at
		kind, flags := r.next(), r.next()
		if r.bad || size == 0 || size > 2<<20 {
			return
		}
		var extra, packed uint64
		if flags&1 != 0 {
			extra = r.next()
		}
		if flags&2 != 0 {
			packed = r.next()
		}
		end := 4 + start + int(size)
		if end > len(d) {
			return
		}
		switch kind {
		case 4: // the headers that follow are encrypted
			b.trait("attachment.encrypted", f.name)
			return
		case 5:
			return
		case 2:
			b.rar5File(f, d[:end], r, extra, part(d, int64(end), int64(packed)))
		}
		if packed > uint64(len(d)-end) {
			return
		}
		d = d[end+int(packed):]
	}
}

func (b *body) rar5File(f inside, h []byte, r varints, extra uint64, data []byte) {
	flags := r.next()
	r.next() // size
	r.next() // attributes
	if flags&2 != 0 {
		r.skip(4)
	}
	if flags&4 != 0 {
		r.skip(4)
	}
	method := r.next()
	r.next() // system
	n := r.next()
	at := 4 + r.at
	if r.bad || n > 4096 || at+int(n) > len(h) || flags&1 != 0 {
		return
	}
	name := string(h[at : at+int(n)])
	if extra > 0 && extra <= uint64(len(h)-at-int(n)) {
		x := varints{d: h[len(h)-int(extra):]}
		for range 16 {
			size := x.next()
			from := x.at
			if x.bad || size == 0 || size > uint64(len(x.d)) {
				break
			}
			if x.next() == 1 { // file encryption record
				b.trait("attachment.encrypted", f.name)
				data = nil
			}
			x.at = from + int(size)
		}
	}
	b.storedMember(f, name, method>>7&7 == 0, data)
}

func (b *body) storedMember(f inside, name string, stored bool, data []byte) {
	if !stored || len(data) == 0 || b.members > maxOpened {
		b.member(f, name, nil)
		return
	}
	b.member(f, name, func() []byte { return data[:min(len(data), maxMember)] })
}

func (b *body) rar4(f inside, d []byte) {
	for n := 0; n < MaxMembers && len(d) >= 7; n++ {
		kind, flags, size := d[2], le16(d, 3), le16(d, 5)
		if size < 7 || size > len(d) {
			return
		}
		var packed int64
		if flags&0x8000 != 0 || kind == 0x74 {
			packed = le32(d, 7)
		}
		switch kind {
		case 0x73:
			if flags&0x80 != 0 {
				b.trait("attachment.encrypted", f.name)
				return
			}
		case 0x74:
			nameLen, at := le16(d, 26), 32
			if flags&0x100 != 0 {
				at += 8
			}
			if size < 32 || at+nameLen > size {
				return
			}
			name, _, _ := strings.Cut(string(d[at:at+nameLen]), "\x00")
			stored := d[25] == 0x30
			if flags&4 != 0 {
				b.trait("attachment.encrypted", f.name)
				stored = false
			}
			if flags&0xe0 != 0xe0 {
				b.storedMember(f, name, stored, part(d, int64(size), packed))
			}
		case 0x7b:
			return
		}
		step := int64(size) + packed
		if step >= int64(len(d)) {
			return
		}
		d = d[step:]
	}
}

// varints reads the numbers of variable length of RAR 5: seven bits a byte, the lowest first.
type varints struct {
	d   []byte
	at  int
	bad bool
}

func (r *varints) next() (v uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		if r.at >= len(r.d) {
			break
		}
		c := r.d[r.at]
		r.at++
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *varints) skip(n int) {
	if r.at += n; r.at > len(r.d) {
		r.at, r.bad = len(r.d), true
	}
}
