package sigma

import "encoding/binary"

// index finds, in one pass over a value in lower case, every literal that the rules of a group look for in one
// field. Whole values are found by hash, beginnings and ends by a hash of their outer eight bytes, and inner
// literals by the rarest four bytes in them: a bitmap says where such four bytes stand in the value, and only
// there literals are compared. The tables are small enough to stay in the processor's cache.
type index struct {
	equal    map[string][]int32
	prefixes map[uint64][]literal
	suffixes map[uint64][]literal
	outer    []literal // prefixes shorter than eight bytes
	ends     []literal // suffixes shorter than eight bytes
	grams    map[uint32][]literal
	bitmap   []uint64
	shift    uint
}

const (
	gramLen  = 4
	outerLen = 8
)

// literal is a text that settles, or hints at, some atoms.
type literal struct {
	text  string
	off   int // of its gram
	atoms []int32
}

// wanted is a literal before the index is built.
type wanted struct {
	kind  kind // equal, prefix, suffix or contains
	text  string
	atoms []int32
}

func newIndex(list []wanted) *index {
	x := &index{equal: map[string][]int32{}, prefixes: map[uint64][]literal{}, suffixes: map[uint64][]literal{}, grams: map[uint32][]literal{}}
	freq := map[uint32]int{}
	for _, w := range list {
		if w.kind == kindContains {
			for i := 0; i+gramLen <= len(w.text); i++ {
				freq[gramAt(w.text, i)]++
			}
		}
	}
	for _, w := range list {
		l := literal{text: w.text, atoms: w.atoms}
		switch {
		case w.kind == kindEqual:
			x.equal[w.text] = append(x.equal[w.text], w.atoms...)
		case w.kind == kindPrefix && len(w.text) < outerLen:
			x.outer = append(x.outer, l)
		case w.kind == kindPrefix:
			k := outer(w.text[:outerLen])
			x.prefixes[k] = append(x.prefixes[k], l)
		case w.kind == kindSuffix && len(w.text) < outerLen:
			x.ends = append(x.ends, l)
		case w.kind == kindSuffix:
			k := outer(w.text[len(w.text)-outerLen:])
			x.suffixes[k] = append(x.suffixes[k], l)
		default:
			l.off = rarest(w.text, freq)
			k := gramAt(w.text, l.off)
			x.grams[k] = append(x.grams[k], l)
		}
	}
	bits := uint(10)
	for 1<<bits < 16*len(x.grams) && bits < 20 {
		bits++
	}
	x.bitmap, x.shift = make([]uint64, 1<<bits/64), 32-bits
	for g := range x.grams {
		h := x.hash(g)
		x.bitmap[h>>6] |= 1 << (h & 63)
	}
	return x
}

func (x *index) hash(g uint32) uint32 { return g * 0x9E3779B1 >> x.shift }

func gramAt(s string, i int) uint32 {
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

func outer(s string) uint64 {
	return uint64(gramAt(s, 0)) | uint64(gramAt(s, 4))<<32
}

// commonGrams stand in nearly every Windows path or command line; they are taken only where nothing else is.
var commonGrams = [...]string{
	".exe", "c:\\w", ":\\wi", "\\win", "wind", "indo", "ndow", "dows", "ows\\", "\\sys", "syst", "yste", "stem", "tem3", "em32", "m32\\",
	"prog", "rogr", "ogra", "gram", "file", "iles", "user", "sers", "hklm", "soft", "oftw", "ftwa", "twar", "ware", "micr", "icro",
	"cros", "roso", "osof", "c:\\p", "c:\\u", "\\mic", "\\sof", "ion\\", "vers", "rsio", "sion", "curr", "urre", "rren", "rent", "http", ".com", ".dll",
}

// rarest returns the place of the four bytes of the text that the fewest other literals share.
func rarest(text string, freq map[uint32]int) int {
	best, bestCost := 0, 1<<30
	for i := 0; i+gramLen <= len(text); i++ {
		cost := freq[gramAt(text, i)]
		for _, c := range commonGrams {
			if text[i:i+gramLen] == c {
				cost += 1 << 20
			}
		}
		if cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}

// find calls hit with the atoms of every literal of the index that stands in v where it must.
func (x *index) find(v []byte, hit func(atoms []int32)) {
	if a, ok := x.equal[string(v)]; ok {
		hit(a)
	}
	for i := range x.outer {
		if l := &x.outer[i]; hasAt(v, 0, l.text) {
			hit(l.atoms)
		}
	}
	for i := range x.ends {
		if l := &x.ends[i]; hasAt(v, len(v)-len(l.text), l.text) {
			hit(l.atoms)
		}
	}
	if len(v) >= outerLen {
		x.findOuter(v, hit)
	}
	if len(x.grams) == 0 {
		return
	}
	bitmap, shift := x.bitmap, x.shift
	for i := 0; i+gramLen <= len(v); i++ {
		g := binary.LittleEndian.Uint32(v[i:])
		h := g * 0x9E3779B1 >> shift
		if bitmap[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		list := x.grams[g]
		for j := range list {
			if l := &list[j]; hasAt(v, i-l.off, l.text) {
				hit(l.atoms)
			}
		}
	}
}

func (x *index) findOuter(v []byte, hit func(atoms []int32)) {
	if len(x.prefixes) > 0 {
		list := x.prefixes[binary.LittleEndian.Uint64(v)]
		for i := range list {
			if l := &list[i]; hasAt(v, 0, l.text) {
				hit(l.atoms)
			}
		}
	}
	if len(x.suffixes) > 0 {
		list := x.suffixes[binary.LittleEndian.Uint64(v[len(v)-outerLen:])]
		for i := range list {
			if l := &list[i]; hasAt(v, len(v)-len(l.text), l.text) {
				hit(l.atoms)
			}
		}
	}
}

func hasAt(v []byte, i int, text string) bool {
	return i >= 0 && len(v)-i >= len(text) && string(v[i:i+len(text)]) == text
}
