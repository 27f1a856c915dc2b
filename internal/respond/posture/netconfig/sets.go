package netconfig

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// u128 is a number of 128 bits: an address, or in hi = 0 a port, a service or an interface's number.
type u128 struct{ hi, lo uint64 }

func (a u128) compare(b u128) int {
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	return cmp.Compare(a.lo, b.lo)
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) next() u128 {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return u128{a.hi + carry, lo}
}

func (a u128) prev() u128 {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return u128{a.hi - borrow, lo}
}

func (a u128) minus(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return u128{hi, lo}
}

func (a u128) plus(b u128) u128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return u128{hi, lo}
}

func (a u128) shiftRight(n uint) u128 {
	switch {
	case n == 0:
		return a
	case n >= 128:
		return u128{}
	case n >= 64:
		return u128{0, a.hi >> (n - 64)}
	}
	return u128{a.hi >> n, a.hi<<(64-n) | a.lo>>n}
}

// span is a range of numbers, both ends included.
type span struct{ lo, hi u128 }

// set is a set of numbers: spans in ascending order that neither overlap nor touch. It is never changed once made.
type set []span

var (
	top    = u128{^uint64(0), ^uint64(0)}
	full   = set{{u128{}, top}}                                                    // everything, in any dimension
	v4All  = set{{u128{0, 0xffff00000000}, u128{0, 0xffffffffffff}}}               // IPv4, as IPv4-mapped IPv6 (RFC 4291 2.5.5.2)
	v6All  = subtractSet(full, v4All)                                              // no packet carries a mapped address
	public = subtractSet(union(v4All, prefixes("2000::/3")), special)              // what the internet routes
	local  = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7") // RFC 1918, RFC 4193
	here   = prefixes("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")     // this host and this wire
	never  = prefixes("0.0.0.0/8", "224.0.0.0/3", "ff00::/8", "::/128")            // no host's address
	shared = prefixes("100.64.0.0/10")                                             // RFC 6598
	// special are addresses that no stranger on the internet can send from. The networks for documentation (RFC 5737)
	// are not among them: in an example they stand for the internet.
	special = union(local, here, never, shared)
)

func number(n uint64) u128         { return u128{0, n} }
func one(n uint64) set             { return set{{number(n), number(n)}} }
func interval(from, to uint64) set { return set{{number(from), number(to)}} }
func (s set) isFull() bool         { return len(s) == 1 && s[0].lo == u128{} && s[0].hi == top }
func (s set) empty() bool          { return len(s) == 0 }
func (s set) meets(b set) bool     { return !intersect(s, b).empty() }
func (s set) without(b set) set    { return subtractSet(s, b) }
func (s set) equal(b set) bool     { return slices.Equal(s, b) }
func sameBacking(a, b set) bool    { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
func address(a netip.Addr) u128    { return fromBytes(a.As16()) }
func oneAddress(a netip.Addr) set  { n := address(a.Unmap()); return set{{n, n}} }
func (s set) contains(n u128) bool { _, ok := s.at(n); return ok }
func prefixes(list ...string) (s set) {
	for _, p := range list {
		s = union(s, prefixSet(netip.MustParsePrefix(p)))
	}
	return s
}

func (s set) at(n u128) (int, bool) {
	if len(s) == 1 {
		return 0, !n.less(s[0].lo) && !s[0].hi.less(n)
	}
	i, _ := slices.BinarySearchFunc(s, n, func(sp span, n u128) int { return sp.hi.compare(n) })
	return i, i < len(s) && !n.less(s[i].lo)
}

func fromBytes(b [16]byte) u128 {
	var n u128
	for i := range 8 {
		n.hi, n.lo = n.hi<<8|uint64(b[i]), n.lo<<8|uint64(b[i+8])
	}
	return n
}

// toAddress is the way back from address.
func toAddress(n u128) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i], b[i+8] = byte(n.hi>>(56-8*i)), byte(n.lo>>(56-8*i))
	}
	return netip.AddrFrom16(b).Unmap()
}

// prefixSet is the addresses of a prefix. An IPv6 prefix never holds the addresses of IPv4.
func prefixSet(p netip.Prefix) set {
	if !p.IsValid() {
		return nil
	}
	length := p.Bits()
	if p.Addr().Is4() {
		length += 96
	}
	size := top.shiftRight(uint(length))
	if length == 128 {
		size = u128{}
	}
	lo := address(p.Masked().Addr())
	s := set{{lo, lo.plus(size)}}
	if p.Addr().Is4() || p.Addr().Is4In6() && length >= 96 {
		return s
	}
	return subtractSet(s, v4All)
}

// rangeSet is the addresses from a to b, of one family; empty where they are not, or stand the wrong way round.
func rangeSet(a, b netip.Addr) set {
	a, b = a.Unmap(), b.Unmap()
	if a.Is4() != b.Is4() || b.Less(a) {
		return nil
	}
	s := set{{address(a), address(b)}}
	if a.Is4() {
		return s
	}
	return subtractSet(s, v4All)
}

// union joins sets.
func union(sets ...set) set {
	var only set
	used, total := 0, 0
	for _, s := range sets {
		if s.isFull() {
			return s
		}
		if len(s) > 0 && !sameBacking(s, only) {
			only = s
			used++
			total += len(s)
		}
	}
	if used < 2 {
		return only
	}
	spans := make([]span, 0, total)
	for _, s := range sets {
		spans = append(spans, s...)
	}
	return normal(spans)
}

// normal sorts and joins spans.
func normal(spans []span) set {
	slices.SortFunc(spans, func(a, b span) int { return a.lo.compare(b.lo) })
	out := spans[:0]
	for _, sp := range spans {
		if n := len(out); n > 0 && (!out[n-1].hi.less(sp.lo) || out[n-1].hi.next() == sp.lo) {
			if out[n-1].hi.less(sp.hi) {
				out[n-1].hi = sp.hi
			}
			continue
		}
		out = append(out, sp)
	}
	return out
}

// intersect is what lies in both.
func intersect(a, b set) set {
	switch {
	case len(a) == 0 || len(b) == 0:
		return nil
	case a.isFull() || sameBacking(a, b):
		return b
	case b.isFull():
		return a
	}
	var out set
	for i, j := 0, 0; i < len(a) && j < len(b); {
		lo, hi := a[i].lo, a[i].hi
		if lo.less(b[j].lo) {
			lo = b[j].lo
		}
		if b[j].hi.less(hi) {
			hi = b[j].hi
		}
		if !hi.less(lo) {
			out = append(out, span{lo, hi})
		}
		if a[i].hi.less(b[j].hi) {
			i++
		} else {
			j++
		}
	}
	return out
}

// subtractSet is what lies in a and not in b.
func subtractSet(a, b set) set {
	if len(b) == 0 {
		return a
	}
	if b.isFull() || sameBacking(a, b) {
		return nil
	}
	var out set
	j := 0
	for _, sp := range a {
		lo, whole := sp.lo, true
		for j > 0 && !b[j-1].hi.less(sp.lo) {
			j-- // a span of b may reach over several of a
		}
		for ; j < len(b) && !sp.hi.less(b[j].lo); j++ {
			if b[j].hi.less(lo) {
				continue
			}
			if lo.less(b[j].lo) {
				out = append(out, span{lo, b[j].lo.prev()})
			}
			if !b[j].hi.less(sp.hi) {
				whole = false
				break
			}
			lo = b[j].hi.next()
		}
		if whole {
			out = append(out, span{lo, sp.hi})
		}
	}
	return out
}

// covers reports whether b lies within s.
func (s set) covers(b set) bool {
	if s.isFull() || sameBacking(s, b) {
		return true
	}
	i := 0
	for _, sp := range b {
		for i < len(s) && s[i].hi.less(sp.lo) {
			i++
		}
		if i == len(s) || sp.lo.less(s[i].lo) || s[i].hi.less(sp.hi) {
			return false
		}
	}
	return true
}

// size is how many numbers the set holds; at most 2^128-1.
func (s set) size() u128 {
	var n u128
	for _, sp := range s {
		more := sp.hi.minus(sp.lo)
		if top.minus(n).less(more) || top.minus(n) == more {
			return top
		}
		n = n.plus(more).next()
	}
	return n
}

// addressText writes addresses as a person would, at most eight prefixes or ranges.
func (s set) addressText() string {
	switch {
	case s.isFull():
		return "any"
	case len(s) == 0:
		return "none"
	case s.equal(v4All):
		return "any IPv4"
	case s.equal(v6All):
		return "any IPv6"
	}
	if rest := full.without(s); len(rest) <= 2 && len(rest) > 0 && s.size().hi > 0 && !intersect(s, v4All).empty() {
		return "any but " + rest.addressText()
	}
	if v4 := intersect(s, v4All); v4.equal(s) {
		if rest := v4All.without(s); len(rest) < len(s) && v4.size().lo > 1<<31 {
			return "any IPv4 but " + rest.addressText()
		}
	}
	var out []string
	for _, sp := range s {
		if len(out) == 8 {
			out = append(out, strconv.Itoa(len(s)-8)+" more")
			break
		}
		out = append(out, spanText(sp))
	}
	return strings.Join(out, ", ")
}

func spanText(sp span) string {
	a, b := toAddress(sp.lo), toAddress(sp.hi)
	if sp.lo == sp.hi {
		return a.String()
	}
	size := sp.hi.minus(sp.lo)
	if length := bits.LeadingZeros64(size.hi); size.hi != 0 || size.lo != 0 {
		if size.hi == 0 {
			length += bits.LeadingZeros64(size.lo)
		}
		if a.Is4() {
			length -= 96
		}
		if p, err := a.Prefix(length); err == nil && prefixSet(p).equal(set{sp}) {
			return p.String()
		}
	}
	return a.String() + "-" + b.String()
}
