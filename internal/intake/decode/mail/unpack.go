package mail

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// inflate undoes deflate (RFC 1951), at most limit bytes and within what the message may still unpack. Of a damaged
// stream it returns what came before the damage.
func (b *body) inflate(raw []byte, limit int64) []byte {
	limit = b.room(limit)
	if limit <= 0 || len(raw) == 0 {
		return nil
	}
	z := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(z)
	in := bytes.NewReader(raw)
	if err := z.(flate.Resetter).Reset(in, nil); err != nil {
		return nil
	}
	out := b.drain(z, limit, int64(len(raw)))
	if used := len(raw) - in.Len(); int64(len(out)) == limit && limit >= 1<<20 && len(out) > 200*used {
		b.note("limit: a compressed part that grows more than two hundredfold")
	}
	return out
}

// room returns how much may still be unpacked, at most limit, and says when that is nothing.
func (b *body) room(limit int64) int64 {
	left := MaxInflated - b.inflated
	if left <= 0 {
		b.note(fmt.Sprintf("limit: compressed parts of more than %d bytes", MaxInflated))
	}
	return min(limit, left)
}

// drain reads at most limit bytes; what a reader says of damage is of no interest.
func (b *body) drain(r io.Reader, limit, packed int64) (out []byte) {
	defer func() {
		b.inflated += int64(len(out))
		if recover() != nil { // a decompressor that does not withstand what it was given
			b.note("broken: a compressed part")
		}
	}()
	out = make([]byte, 0, min(limit, max(512, packed*3)))
	for int64(len(out)) < limit {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):min(int64(cap(out)), limit)])
		out = out[:len(out)+n]
		if err != nil {
			if !errors.Is(err, io.EOF) && len(out) == 0 {
				return nil
			}
			return out
		}
	}
	return out
}

// zlibBytes undoes zlib (RFC 1950) without regard to its checksum.
func (b *body) zlibBytes(raw []byte, limit int64) []byte {
	if len(raw) > 2 && raw[0]&0x0f == 8 && (int(raw[0])<<8|int(raw[1]))%31 == 0 {
		raw = raw[2:]
	}
	return b.inflate(raw, limit)
}

// unpackStream reads a file that holds one other file: gzip and bzip2.
func (b *body) unpackStream(f inside, what string) {
	var out []byte
	name := f.name[strings.LastIndexByte(f.name, '!')+1:]
	for _, s := range [...]string{".gz", ".bz2", ".tgz", ".tbz"} {
		if strings.HasSuffix(strings.ToLower(name), s) {
			name = name[:len(name)-len(s)]
			if s[1] == 't' {
				name += ".tar"
			}
			break
		}
	}
	if f.level > 0 {
		b.trait("attachment.nested", f.name)
	}
	if what == "gzip" {
		raw, inner := gzipBody(f.data)
		if inner != "" {
			name = inner
		}
		out = b.inflate(raw, maxMember)
	} else if limit := b.room(maxMember / 4); limit > 0 { // bzip2 is slow
		out = b.drain(bzip2.NewReader(bytes.NewReader(f.data)), limit, int64(len(f.data)))
	}
	if out == nil {
		b.trait("attachment.broken", f.name)
		return
	}
	if sniff(out) == "tar" {
		f.data = out
		b.tar(f)
		return
	}
	b.member(f, firstOf(name, "file"), func() []byte { return out })
}

// gzipBody returns the deflated data and the name in a gzip header (RFC 1952).
func gzipBody(d []byte) (raw []byte, name string) {
	if len(d) < 18 {
		return nil, ""
	}
	flags, at := d[3], 10
	if flags&4 != 0 {
		at += 2 + le16(d, 10)
	}
	for _, bit := range [...]byte{8, 16} {
		if flags&bit == 0 || at >= len(d) {
			continue
		}
		end := bytes.IndexByte(d[at:], 0)
		if end < 0 {
			return nil, ""
		}
		if bit == 8 {
			name = string(d[at : at+end])
		}
		at += end + 1
	}
	if flags&2 != 0 {
		at += 2
	}
	if at >= len(d) {
		return nil, name
	}
	return d[at:], name
}

// tar lists a tape archive (POSIX ustar).
func (b *body) tar(f inside) {
	d, long := f.data, ""
	for n := 0; n < MaxMembers && len(d) >= 512 && d[0] != 0; n++ {
		name := cString(d[:100])
		if prefix := cString(d[345:500]); prefix != "" && string(d[257:262]) == "ustar" {
			name = prefix + "/" + name
		}
		size := octal(d[124:136])
		content := part(d, 512, size)
		switch d[156] {
		case 'L':
			long = cString(content[:min(len(content), 4096)])
		case 0, '0', '7':
			if long != "" {
				name, long = long, ""
			}
			data := content
			if n >= maxOpened {
				b.member(f, name, nil)
			} else {
				b.member(f, name, func() []byte { return data[:min(len(data), maxMember)] })
			}
		}
		step := 512 + (size+511)/512*512
		if step >= int64(len(d)) {
			return
		}
		d = d[step:]
	}
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func octal(b []byte) (n int64) {
	for _, c := range b {
		if c >= '0' && c <= '7' && n < 1<<40 {
			n = n<<3 | int64(c-'0')
		}
	}
	return n
}
