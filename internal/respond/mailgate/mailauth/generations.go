package mailauth

import "sync"

// generations keeps values up to a number of bytes: what was used lately is in the young half, and when that is
// full, the old half is let go. It costs one map write a use and never a scan.
type generations[K comparable, V any] struct {
	mu         sync.Mutex
	half       int // bytes of one generation
	used       int
	young, old map[K]sized[V]
}

type sized[V any] struct {
	value V
	size  int
}

func newGenerations[K comparable, V any](bytes int) *generations[K, V] {
	return &generations[K, V]{half: bytes / 2, young: map[K]sized[V]{}}
}

func (g *generations[K, V]) get(k K) (v V, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s, ok := g.young[k]; ok {
		return s.value, true
	}
	if s, ok := g.old[k]; ok {
		g.add(k, s)
		return s.value, true
	}
	return v, false
}

// put keeps a value of that size in bytes; one that is larger than half of all is not kept.
func (g *generations[K, V]) put(k K, v V, size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if size <= g.half {
		g.add(k, sized[V]{v, size})
	}
}

func (g *generations[K, V]) add(k K, s sized[V]) {
	if before, ok := g.young[k]; ok {
		g.used -= before.size
	}
	if g.used+s.size > g.half {
		g.old, g.young, g.used = g.young, make(map[K]sized[V], len(g.young)), 0
	}
	g.young[k] = s
	g.used += s.size
}

// size returns how many bytes the young generation holds, and how many values both hold.
func (g *generations[K, V]) size() (bytes, values int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used, len(g.young) + len(g.old)
}
