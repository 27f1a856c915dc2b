package sigma

import (
	"encoding/binary"
	"slices"
)

// index finds, in one pass over a value in lower case, every literal that the rules of a plan look for in one field.
// Whole values are found by a hash, beginnings and ends by their outer eight bytes or by all of a shorter text, and
// inner literals by the rarest four bytes in them: a bitmap says where such four bytes stand in the value, and only
// there literals are compared. The tables are small enough to stay in the processor's cache.
type index struct {
	literals []literal // those with one key lie together
	equal    table
	longest  int // of the whole values
	begin    outer
	end      outer
	grams    table
	bitmap   []uint64
	shift    uint
	stride   int  // every which place of a value is looked at for grams: 1, or gramLen where all inner literals are long
	inside   bool // there are inner literals only
}

// outer finds beginnings or ends.
type outer struct {
	table
	lengths []int // of the texts shorter than outerLen that there are, and outerLen for all others
}

const (
	gramLen  = 4
	outerLen = 8
	longLen  = 2*gramLen - 1 // a text of that length has a whole gram at every fourth place, wherever it begins
	gramHash = 0x9E3779B1    // 2^32 by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)
)

// literal is a text that settles, or hints at, some atoms.
type literal struct {
	text  string
	off   int32 // of its gram
	atoms []int32
}

// wanted is a literal before the index is built.
type wanted struct {
	kind  kind // equal, prefix, suffix or contains
	text  string
	atoms []int32
}

func newIndex(list []wanted) *index {
	x := &index{stride: gramLen, inside: true}
	freq := map[uint32]int{}
	for _, w := range list {
		if w.kind != kindContains {
			x.inside = false
		} else {
			if len(w.text) < longLen {
				x.stride = 1
			}
			for i := 0; i+gramLen <= len(w.text); i++ {
				freq[gramAt(w.text, i)]++
			}
		}
	}
	equal, begin, end, grams := map[uint64][]literal{}, map[uint64][]literal{}, map[uint64][]literal{}, map[uint64][]literal{}
	put := func(m map[uint64][]literal, key uint64, l literal) { m[key] = append(m[key], l) }
	for _, w := range list {
		l := literal{text: w.text, atoms: w.atoms}
		n := min(len(w.text), outerLen)
		switch w.kind {
		case kindEqual:
			x.longest = max(x.longest, len(w.text))
			put(equal, hashAll([]byte(w.text)), l)
		case kindPrefix:
			put(begin, keyOf([]byte(w.text[:n])), l)
			x.begin.add(n)
		case kindSuffix:
			put(end, keyOf([]byte(w.text[len(w.text)-n:])), l)
			x.end.add(n)
		default:
			at := rarest(w.text, freq, x.stride)
			for k := range x.stride {
				l.off = int32(at + k)
				put(grams, uint64(gramAt(w.text, at+k)), l)
			}
		}
	}
	x.equal, x.begin.table, x.end.table, x.grams = x.table(equal), x.table(begin), x.table(end), x.table(grams)
	bits := uint(10)
	for 1<<bits < 16*len(grams) && bits < 20 {
		bits++
	}
	x.bitmap, x.shift = make([]uint64, 1<<bits/64), 32-bits
	for g := range grams {
		h := x.hash(uint32(g))
		x.bitmap[h>>6] |= 1 << (h & 63)
	}
	return x
}

func (o *outer) add(n int) {
	if at, there := slices.BinarySearch(o.lengths, n); !there {
		o.lengths = slices.Insert(o.lengths, at, n)
	}
}

func (x *index) hash(g uint32) uint32 { return g * gramHash >> x.shift }

func gramAt(s string, i int) uint32 {
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

// keyOf packs up to eight bytes, and how many they are where they are fewer: shorter texts end in zeros, and a text
// of seven bytes and a zero is compared like all.
func keyOf(b []byte) uint64 {
	if len(b) >= outerLen {
		return binary.LittleEndian.Uint64(b)
	}
	key := uint64(len(b)) << 56
	for i, c := range b {
		key |= uint64(c) << (8 * i)
	}
	return key
}

// hashAll hashes a whole value, eight bytes at a time (multiply and fold).
func hashAll(b []byte) uint64 {
	h := uint64(len(b)) * 0x9E3779B97F4A7C15
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ binary.LittleEndian.Uint64(b)) * 0xD6E8FEB86659FD93
		h ^= h >> 32
	}
	return (h^keyOf(b))*0xD6E8FEB86659FD93 + 1
}

// table gives the literals of a key: open addressing, at most half full.
type table struct {
	keys  []uint64
	spans []span
	shift uint
}

// span is where the literals of a key lie.
type span struct{ from, to int32 }

// table moves literals into the index, in the order of their keys.
func (x *index) table(m map[uint64][]literal) table {
	if len(m) == 0 {
		return table{}
	}
	bits := uint(1)
	for 1<<bits < 2*len(m) {
		bits++
	}
	t := table{make([]uint64, 1<<bits), make([]span, 1<<bits), 64 - bits}
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		from := int32(len(x.literals))
		x.literals = append(x.literals, m[k]...)
		i := t.slot(k)
		for t.spans[i].to != 0 {
			i = (i + 1) & (len(t.keys) - 1)
		}
		t.keys[i], t.spans[i] = k, span{from, int32(len(x.literals))}
	}
	return t
}

func (t *table) slot(key uint64) int { return int(key * 0x9E3779B97F4A7C15 >> t.shift) }

func (t *table) find(key uint64) span {
	for i := t.slot(key); ; i = (i + 1) & (len(t.keys) - 1) {
		if s := t.spans[i]; s.to == 0 || t.keys[i] == key {
			return s
		}
	}
}

// commonGrams stand in nearly every Windows path or command line; they are taken only where nothing else is.
var commonGrams = [...]string{
	".exe", "c:\\w", ":\\wi", "\\win", "wind", "indo", "ndow", "dows", "ows\\", "\\sys", "syst", "yste", "stem", "tem3", "em32", "m32\\",
	"prog", "rogr", "ogra", "gram", "file", "iles", "user", "sers", "hklm", "soft", "oftw", "ftwa", "twar", "ware", "micr", "icro",
	"cros", "roso", "osof", "c:\\p", "c:\\u", "\\mic", "\\sof", "ion\\", "vers", "rsio", "sion", "curr", "urre", "rren", "rent", "http", ".com", ".dll",
}

// rarest returns where in the text those four bytes begin, or n times four bytes one place apart, that the fewest other
// literals share.
func rarest(text string, freq map[uint32]int, n int) int {
	best, bestCost := 0, 1<<30
	for i := 0; i+n-1+gramLen <= len(text); i++ {
		cost := 0
		for k := i; k < i+n; k++ {
			cost += freq[gramAt(text, k)]
			for _, c := range commonGrams {
				if text[k:k+gramLen] == c {
					cost += 1 << 20
				}
			}
		}
		if cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}

// find appends the atoms of every literal of the index that stands in v where it must; some may come twice.
func (x *index) find(v []byte, out []int32) []int32 {
	if len(v) <= x.longest && len(x.equal.keys) > 0 {
		s := x.equal.find(hashAll(v))
		for i := s.from; i < s.to; i++ {
			if l := &x.literals[i]; string(v) == l.text {
				out = append(out, l.atoms...)
			}
		}
	}
	for _, n := range x.begin.lengths {
		if n > len(v) {
			break
		}
		s := x.begin.find(keyOf(v[:n]))
		for i := s.from; i < s.to; i++ {
			if l := &x.literals[i]; hasAt(v, 0, l.text) {
				out = append(out, l.atoms...)
			}
		}
	}
	for _, n := range x.end.lengths {
		if n > len(v) {
			break
		}
		s := x.end.find(keyOf(v[len(v)-n:]))
		for i := s.from; i < s.to; i++ {
			if l := &x.literals[i]; hasAt(v, len(v)-len(l.text), l.text) {
				out = append(out, l.atoms...)
			}
		}
	}
	if len(x.grams.keys) == 0 {
		return out
	}
	bitmap, shift := x.bitmap, x.shift&31
	i := 0
	if x.stride == gramLen {
		for ; i+gramLen <= len(v); i += gramLen {
			g := binary.LittleEndian.Uint32(v[i:])
			if h := g * gramHash >> shift; bitmap[h>>6]>>(h&63)&1 != 0 {
				out = x.inner(v, i, g, out)
			}
		}
		return out
	}
	for ; i+8 <= len(v); i += 4 { // four places at a time: most have nothing
		w := binary.LittleEndian.Uint64(v[i:])
		h0, h1, h2, h3 := uint32(w)*gramHash>>shift, uint32(w>>8)*gramHash>>shift, uint32(w>>16)*gramHash>>shift, uint32(w>>24)*gramHash>>shift
		b0, b1, b2, b3 := bitmap[h0>>6]>>(h0&63)&1, bitmap[h1>>6]>>(h1&63)&1, bitmap[h2>>6]>>(h2&63)&1, bitmap[h3>>6]>>(h3&63)&1
		if b0|b1|b2|b3 == 0 {
			continue
		}
		if b0 != 0 {
			out = x.inner(v, i, uint32(w), out)
		}
		if b1 != 0 {
			out = x.inner(v, i+1, uint32(w>>8), out)
		}
		if b2 != 0 {
			out = x.inner(v, i+2, uint32(w>>16), out)
		}
		if b3 != 0 {
			out = x.inner(v, i+3, uint32(w>>24), out)
		}
	}
	for ; i+gramLen <= len(v); i++ {
		g := binary.LittleEndian.Uint32(v[i:])
		if h := g * gramHash >> shift; bitmap[h>>6]>>(h&63)&1 != 0 {
			out = x.inner(v, i, g, out)
		}
	}
	return out
}

// mayHold reports false where a value surely holds none of the literals, as the event has it: it need not be brought
// into lower case then. It can tell so only of an index of long inner literals, and of values of ASCII.
func (x *index) mayHold(s string) bool {
	if x.stride != gramLen || !x.inside {
		return true
	}
	bitmap, shift := x.bitmap, x.shift&31
	var all, found uint64
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		all |= w
		w |= ((w + fromA) &^ (w + pastZ) & high) >> 2
		h0, h1 := uint32(w)*gramHash>>shift, uint32(w>>32)*gramHash>>shift
		found |= bitmap[h0>>6]>>(h0&63) | bitmap[h1>>6]>>(h1&63)
	}
	for i := 0; i < len(s); i++ {
		all |= uint64(s[i])
	}
	if len(s) >= gramLen {
		w := uint64(gramAt(s, 0))
		w |= ((w + fromA) &^ (w + pastZ) & high) >> 2
		h := uint32(w) * gramHash >> shift
		found |= bitmap[h>>6] >> (h & 63)
	}
	return found&1 != 0 || all&high != 0
}

// inner compares the literals whose rarest four bytes are g, which stand at i.
func (x *index) inner(v []byte, i int, g uint32, out []int32) []int32 {
	s := x.grams.find(uint64(g))
	for j := s.from; j < s.to; j++ {
		if l := &x.literals[j]; hasAt(v, i-int(l.off), l.text) {
			out = append(out, l.atoms...)
		}
	}
	return out
}

func hasAt(v []byte, i int, text string) bool {
	return i >= 0 && len(v)-i >= len(text) && string(v[i:i+len(text)]) == text
}
