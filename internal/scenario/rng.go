package scenario

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"
)

// rng is one stream of chance. Each component of a scenario has its own, named by labels, so that what one
// component draws never moves what another writes.
type rng struct{ *rand.Rand }

func newRNG(seed uint64, labels ...any) *rng {
	h := fnv.New128a()
	fmt.Fprint(h, seed)
	for _, l := range labels {
		fmt.Fprintf(h, "/%v", l)
	}
	s := h.Sum(nil)
	var a, b uint64
	for i := range 8 {
		a, b = a<<8|uint64(s[i]), b<<8|uint64(s[8+i])
	}
	return &rng{rand.New(rand.NewPCG(a, b))}
}

// between draws from lo to hi, both included.
func (r *rng) between(lo, hi int) int {
	if hi <= lo {
		return lo
	}
	return lo + r.IntN(hi-lo+1)
}

func (r *rng) chance(p float64) bool { return r.Float64() < p }

// span draws a duration from lo to hi, to the microsecond.
func (r *rng) span(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Int64N(int64(hi-lo)/1000+1))*time.Microsecond
}

func (r *rng) hex(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return hex.EncodeToString(b)
}

func (r *rng) guid() string {
	h := r.hex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (r *rng) token(n int) string {
	const abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = abc[r.IntN(len(abc))]
	}
	return string(b)
}

// port draws an ephemeral source port.
func (r *rng) port() int { return r.between(49152, 65000) }

// public draws an address outside every reserved block (RFC 6890). It means nobody.
func (r *rng) public() netip.Addr {
	for {
		a, b := r.between(13, 217), r.IntN(256)
		if a == 100 || a == 127 || (a == 169 && b == 254) || (a == 172 && b >= 16 && b < 32) ||
			(a == 192 && (b == 0 || b == 168 || b == 88)) || (a == 198 && (b == 18 || b == 19 || b == 51)) || (a == 203 && b == 0) {
			continue
		}
		return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(r.IntN(256)), byte(r.between(2, 240))})
	}
}

func pick[T any](r *rng, xs []T) T { return xs[r.IntN(len(xs))] }

// some draws n different elements, in the order drawn.
func some[T any](r *rng, xs []T, n int) []T {
	n = min(n, len(xs))
	out := make([]T, 0, n)
	for _, i := range r.Perm(len(xs))[:n] {
		out = append(out, xs[i])
	}
	return out
}
