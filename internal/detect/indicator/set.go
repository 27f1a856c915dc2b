package indicator

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gaissmai/bart"
	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Indicator is a value that somebody says is bad.
type Indicator struct {
	Type        ocsf.EntityType // ip (a network too), domain, url, mailbox, hash or subject
	Value       string          // as it is matched: lower case where case means nothing
	ID          string          // STIX id; empty where the list has none
	Source      string          // feed or list
	Confidence  int             // 0 to 100; 0 is not stated
	TLP         string          // TLP 2.0 label in lower case, e.g. amber+strict; empty is not stated
	Description string
	ValidFrom   time.Time // zero: not stated
	ValidUntil  time.Time // zero: no end; exclusive
	With        []Term    // further values that the same event must show (AND of a pattern)
}

// Term is one value of a pattern.
type Term struct {
	Type  ocsf.EntityType
	Value string
}

// Set is an immutable collection of indicators with look-up by value. The zero Set is empty. A million
// indicators take less than 100 MB: values lie in one block, what indicators share is kept once, and the hash
// table holds eight bytes a slot.
type Set struct {
	text    string
	entries []entry
	shared  []shared
	with    [][]Term
	slots   []slot // a power of two, at most three quarters full
	nets    *bart.Table[[]uint32]
}

// entry is one indicator; offsets are into Set.text.
type entry struct {
	value, id       uint32
	valueLen, idLen uint16
	kind, conf      uint8
	descrN          uint16
	shared, with    uint32 // with is 0 or one more than the index
	description     uint32
}

// shared is what many indicators have in common.
type shared struct {
	source, tlp string
	from, until int64 // seconds since 1970; 0 is not stated
}

// slot holds a part of the hash beside the entry, so that a miss touches nothing else.
type slot struct{ tag, entry uint32 } // entry is one more than the index; 0 is empty

// kinds number the types in entries.
var kinds = [...]ocsf.EntityType{ocsf.EntityIP, ocsf.EntityDomain, ocsf.EntityURL, ocsf.EntityMailbox, ocsf.EntityHash, ocsf.EntitySubject}

const (
	kindIP = iota
	kindDomain
	kindURL
	kindMailbox
	kindHash
	kindSubject
)

// Len returns how many indicators the set holds.
func (s Set) Len() int { return len(s.entries) }

// At returns the indicator with that number, from 0.
func (s Set) At(i int) Indicator {
	e := &s.entries[i]
	sh := &s.shared[e.shared]
	in := Indicator{Type: kinds[e.kind], Value: s.value(e), ID: s.text[e.id:][:e.idLen], Source: sh.source, TLP: sh.tlp,
		Confidence: int(e.conf), Description: s.text[e.description:][:e.descrN], ValidFrom: date(sh.from), ValidUntil: date(sh.until)}
	if e.with > 0 {
		in.With = s.with[e.with-1]
	}
	return in
}

func date(sec int64) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}

func (s *Set) value(e *entry) string { return s.text[e.value:][:e.valueLen] }

// find calls each with every indicator of exactly that value, until it returns false.
func (s *Set) find(kind uint8, value string, each func(i uint32) bool) {
	if len(s.slots) == 0 {
		return
	}
	h := xxh3.HashStringSeed(value, uint64(kind))
	tag := uint32(h >> 32)
	for i := h; ; i++ {
		sl := s.slots[i&uint64(len(s.slots)-1)]
		if sl.entry == 0 {
			return
		}
		if sl.tag == tag {
			if e := &s.entries[sl.entry-1]; e.kind == kind && s.value(e) == value && !each(sl.entry-1) {
				return
			}
		}
	}
}

// builder makes a Set.
type builder struct {
	set    Set
	text   strings.Builder
	known  map[shared]uint32
	hashes []uint64
}

const (
	maxIndicators = 8 << 20
	maxText       = 1 << 30 // bytes of all values, ids and descriptions
	maxValue      = 4096
	maxDescribed  = 512 // bytes kept of a description
)

func newBuilder() *builder { return &builder{known: map[shared]uint32{}} }

// add takes an indicator whose value is normalised already. It reports whether there was room.
func (b *builder) add(in Indicator) bool {
	if len(b.set.entries) >= maxIndicators || b.text.Len() > maxText-2*maxValue-maxDescribed {
		return false
	}
	kind := uint8(slices.Index(kinds[:], in.Type))
	sh := shared{source: in.Source, tlp: in.TLP}
	if !in.ValidFrom.IsZero() {
		sh.from = in.ValidFrom.Unix()
	}
	if !in.ValidUntil.IsZero() {
		sh.until = in.ValidUntil.Unix()
	}
	n, ok := b.known[sh]
	if !ok {
		n = uint32(len(b.set.shared))
		b.set.shared = append(b.set.shared, sh)
		b.known[sh] = n
	}
	e := entry{kind: kind, conf: uint8(min(max(in.Confidence, 0), 100)), shared: n}
	e.value, e.valueLen = b.put(in.Value), uint16(len(in.Value))
	in.ID = clip(in.ID, maxValue)
	e.id, e.idLen = b.put(in.ID), uint16(len(in.ID))
	in.Description = clip(in.Description, maxDescribed)
	e.description, e.descrN = b.put(in.Description), uint16(len(in.Description))
	if len(in.With) > 0 {
		b.set.with = append(b.set.with, in.With)
		e.with = uint32(len(b.set.with))
	}
	if kind == kindIP && strings.Contains(in.Value, "/") {
		b.addNet(in.Value, uint32(len(b.set.entries)))
	} else {
		b.hashes = append(b.hashes, xxh3.HashStringSeed(in.Value, uint64(kind)))
	}
	if len(b.hashes) <= len(b.set.entries) {
		b.hashes = append(b.hashes, 0)
	}
	b.set.entries = append(b.set.entries, e)
	return true
}

func (b *builder) addNet(value string, i uint32) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return
	}
	if b.set.nets == nil {
		b.set.nets = new(bart.Table[[]uint32])
	}
	list, _ := b.set.nets.Get(p)
	b.set.nets.Insert(p, append(list, i))
}

func (b *builder) put(s string) uint32 {
	off := b.text.Len()
	b.text.WriteString(s)
	return uint32(off)
}

// build makes the hash table and returns the set; the builder is used up.
func (b *builder) build() Set {
	s := b.set
	s.text = b.text.String()
	size := 8
	for size*3 < len(s.entries)*4 {
		size *= 2
	}
	s.slots = make([]slot, size)
	for i := range s.entries {
		if e := &s.entries[i]; e.kind == kindIP && strings.Contains(s.value(e), "/") {
			continue
		}
		h := b.hashes[i]
		for j := h; ; j++ {
			if sl := &s.slots[j&uint64(size-1)]; sl.entry == 0 {
				*sl = slot{uint32(h >> 32), uint32(i + 1)}
				break
			}
		}
	}
	return s
}

// Join makes one set of several; what is in more than one stays as often as it is.
func Join(sets ...Set) Set {
	if len(sets) == 1 {
		return sets[0]
	}
	b := newBuilder()
	for _, s := range sets {
		for i := range s.Len() {
			b.add(s.At(i))
		}
	}
	return b.build()
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
