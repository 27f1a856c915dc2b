package evtx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Types of values.
const (
	typeNull     = 0x00
	typeString   = 0x01
	typeANSI     = 0x02
	typeInt8     = 0x03
	typeUint8    = 0x04
	typeInt16    = 0x05
	typeUint16   = 0x06
	typeInt32    = 0x07
	typeUint32   = 0x08
	typeInt64    = 0x09
	typeUint64   = 0x0a
	typeFloat    = 0x0b
	typeDouble   = 0x0c
	typeBool     = 0x0d
	typeBinary   = 0x0e
	typeGUID     = 0x0f
	typeSize     = 0x10
	typeFiletime = 0x11
	typeSystem   = 0x12
	typeSID      = 0x13
	typeHex32    = 0x14
	typeHex64    = 0x15
	typeBinXML   = 0x21
	typeArray    = 0x80
)

// value is one value of a template instance: its type and where it stands in the chunk.
type value struct {
	kind     byte
	from, to int
}

// width is the size of one element of an array.
func width(kind byte) int {
	switch kind {
	case typeInt8, typeUint8:
		return 1
	case typeInt16, typeUint16:
		return 2
	case typeInt32, typeUint32, typeFloat, typeBool, typeHex32:
		return 4
	case typeInt64, typeUint64, typeDouble, typeFiletime, typeHex64:
		return 8
	case typeGUID, typeSystem:
		return 16
	}
	return 0
}

// appendValue writes a value as evtx_dump does. Arrays are joined with a comma and a space. A value that is too short
// for its type is written as bytes in hex, so that nothing is lost.
func appendValue(out []byte, kind byte, b []byte) []byte {
	if kind&typeArray != 0 {
		return appendArray(out, kind&^typeArray, b)
	}
	if w := width(kind); len(b) < w {
		if len(b) == 0 {
			return out
		}
		return appendHex(out, b)
	}
	le := binary.LittleEndian
	switch kind {
	case typeNull:
		return out
	case typeString:
		return appendUTF16(out, b)
	case typeANSI:
		for _, x := range b {
			if x == 0 {
				break
			}
			out = utf8.AppendRune(out, windows1252(x))
		}
		return out
	case typeInt8:
		return strconv.AppendInt(out, int64(int8(b[0])), 10)
	case typeUint8:
		return strconv.AppendUint(out, uint64(b[0]), 10)
	case typeInt16:
		return strconv.AppendInt(out, int64(int16(le.Uint16(b))), 10)
	case typeUint16:
		return strconv.AppendUint(out, uint64(le.Uint16(b)), 10)
	case typeInt32:
		return strconv.AppendInt(out, int64(int32(le.Uint32(b))), 10)
	case typeUint32:
		return strconv.AppendUint(out, uint64(le.Uint32(b)), 10)
	case typeInt64:
		return strconv.AppendInt(out, int64(le.Uint64(b)), 10)
	case typeUint64:
		return strconv.AppendUint(out, le.Uint64(b), 10)
	case typeFloat:
		return strconv.AppendFloat(out, float64(math.Float32frombits(le.Uint32(b))), 'g', -1, 32)
	case typeDouble:
		return strconv.AppendFloat(out, math.Float64frombits(le.Uint64(b)), 'g', -1, 64)
	case typeBool:
		return strconv.AppendBool(out, le.Uint32(b) != 0)
	case typeGUID:
		return appendGUID(out, b)
	case typeSize:
		switch len(b) {
		case 4:
			return appendHexNumber(out, uint64(le.Uint32(b)))
		case 8:
			return appendHexNumber(out, le.Uint64(b))
		}
		return appendHex(out, b)
	case typeFiletime:
		return appendTime(out, filetime(le.Uint64(b)))
	case typeSystem:
		return appendTime(out, systemTime(b))
	case typeSID:
		return appendSID(out, b)
	case typeHex32:
		return appendHexNumber(out, uint64(le.Uint32(b)))
	case typeHex64:
		return appendHexNumber(out, le.Uint64(b))
	}
	return appendHex(out, b)
}

func appendArray(out []byte, kind byte, b []byte) []byte {
	first := true
	comma := func() {
		if !first {
			out = append(out, ", "...)
		}
		first = false
	}
	if kind == typeString { // each ends in two zeros
		for len(b) >= 2 {
			n := 0
			for n+1 < len(b) && (b[n] != 0 || b[n+1] != 0) {
				n += 2
			}
			comma()
			out = appendUTF16(out, b[:min(n, len(b))])
			b = b[min(n+2, len(b)):]
		}
		return out
	}
	w := width(kind)
	if kind == typeSID {
		for len(b) >= 8 {
			n := min(8+4*int(b[1]), len(b))
			comma()
			out = appendSID(out, b[:n])
			b = b[n:]
		}
		return out
	}
	if w == 0 {
		return appendHex(out, b)
	}
	for ; len(b) >= w; b = b[w:] {
		comma()
		out = appendValue(out, kind, b[:w])
	}
	return out
}

func appendHex(out, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return out
}

func appendHexNumber(out []byte, n uint64) []byte {
	return strconv.AppendUint(append(out, "0x"...), n, 16)
}

func appendGUID(out, b []byte) []byte {
	le := binary.LittleEndian
	var flat [16]byte
	binary.BigEndian.PutUint32(flat[:], le.Uint32(b))
	binary.BigEndian.PutUint16(flat[4:], le.Uint16(b[4:]))
	binary.BigEndian.PutUint16(flat[6:], le.Uint16(b[6:]))
	copy(flat[8:], b[8:16])
	for i, n := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			out = append(out, '-')
		}
		from := [...]int{0, 4, 6, 8, 10}[i]
		out = appendHex(out, flat[from:n])
	}
	return out
}

// appendSID writes S-1-…: revision, authority (48 bits, big-endian), sub-authorities.
func appendSID(out, b []byte) []byte {
	if len(b) < 8 || len(b) < 8+4*int(b[1]) {
		return appendHex(out, b)
	}
	out = append(out, "S-"...)
	out = strconv.AppendUint(out, uint64(b[0]), 10)
	var authority uint64
	for _, x := range b[2:8] {
		authority = authority<<8 | uint64(x)
	}
	out = append(out, '-')
	out = strconv.AppendUint(out, authority, 10)
	for i := range int(b[1]) {
		out = append(out, '-')
		out = strconv.AppendUint(out, uint64(binary.LittleEndian.Uint32(b[8+4*i:])), 10)
	}
	return out
}

// filetime is a count of 100 ns since 1601; the zero time where it is none.
func filetime(n uint64) time.Time {
	const toUnix = 116444736000000000
	if n > math.MaxInt64 || n == 0 {
		return time.Time{}
	}
	d := int64(n) - toUnix
	return time.Unix(d/1e7, d%1e7*100).UTC()
}

// systemTime reads year, month, day of week, day, hour, minute, second and millisecond.
func systemTime(b []byte) time.Time {
	u := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
	if u(1) < 1 || u(1) > 12 {
		return time.Time{}
	}
	return time.Date(u(0), time.Month(u(1)), u(3), u(4), u(5), u(6), u(7)*1e6, time.UTC)
}

// appendTime writes a time to the microsecond, as evtx_dump does; Event.Time keeps all of it.
func appendTime(out []byte, t time.Time) []byte {
	if t.IsZero() {
		return out
	}
	return t.AppendFormat(out, "2006-01-02T15:04:05.000000Z")
}

// appendUTF16 writes little-endian UTF-16 as UTF-8, without zeros at its end; a lone surrogate becomes U+FFFD.
func appendUTF16(out, b []byte) []byte {
	n := len(b) / 2
	for n > 0 && b[2*n-2] == 0 && b[2*n-1] == 0 {
		n--
	}
	for i := 0; i < n; i++ {
		c := rune(b[2*i]) | rune(b[2*i+1])<<8
		switch {
		case c < utf8.RuneSelf:
			out = append(out, byte(c))
			continue
		case utf16.IsSurrogate(c):
			next := rune(0)
			if i+1 < n {
				next = rune(b[2*i+2]) | rune(b[2*i+3])<<8
			}
			if c = utf16.DecodeRune(c, next); c != utf8.RuneError {
				i++
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return out
}

// windows1252 is the character of a byte; the 27 that differ from Latin-1 stand in the table.
func windows1252(x byte) rune {
	if x < 0x80 || x > 0x9f {
		return rune(x)
	}
	return [...]rune{'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
		0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ'}[x-0x80]
}

// String names the value for messages.
func (v value) String() string { return fmt.Sprintf("type 0x%02x, %d bytes", v.kind, v.to-v.from) }
