package hop

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// layout is the first byte of a snapshot; another layout is another number.
const layout = 3

// errState is returned for a snapshot that is not whole.
var errState = errors.New("the state of the hop graph is truncated or damaged")

// Snapshot returns the whole graph. Words that come again and again are written once.
func (g *Graph) Snapshot() ([]byte, error) {
	c := &coder{write: true, known: map[string]uint64{}}
	c.buf = append(make([]byte, 0, 1<<16), layout)
	g.code(c)
	return c.buf, nil
}

// Restore takes what Snapshot returned; the graph must be new.
func (g *Graph) Restore(b []byte) error {
	if len(b) == 0 || b[0] != layout {
		return fmt.Errorf("reading the state of the hop graph: it is of no known layout")
	}
	c := &coder{in: string(b[1:])}
	fresh := NewGraph()
	fresh.code(c)
	if c.err != nil || c.in != "" {
		return errState
	}
	*g = *fresh
	return nil
}

// code walks the graph either way, so that writing and reading cannot drift apart.
func (g *Graph) code(c *coder) {
	var list []*Session
	at := map[*Session]int{}
	if c.write {
		list = g.Sessions()
		for i, s := range list {
			at[s] = i
		}
	}
	slice(c, &list, func(s **Session) {
		if !c.write {
			*s = &Session{Layers: map[tenant.Layer]bool{}}
		}
		(*s).code(c)
	})
	if !c.write {
		for _, s := range list {
			g.sessions[s.ID] = s
		}
	}
	for _, m := range [...]map[string]*Session{g.running, g.logons} {
		table(c, m, c.str, func(s **Session) {
			i := at[*s]
			c.int(&i)
			if c.write {
				return
			}
			if i < 0 || i >= len(list) || g.sessions[list[i].ID] != list[i] {
				c.fail()
				*s = &Session{}
				return
			}
			*s = list[i]
		})
	}
	c.num(&g.Left)
	g.flows.code(c)
}

func (s *Session) code(c *coder) {
	c.str(&s.ID)
	str(c, &s.Kind)
	str(c, &s.Tenant)
	str(c, &s.Trust)
	str(c, &s.Partner)
	c.str(&s.User)
	c.addr(&s.Addr)
	c.addr(&s.Public)
	c.str(&s.Origin)
	c.str(&s.Tool)
	c.str(&s.Instance)
	c.str(&s.App)
	c.time(&s.Start)
	c.time(&s.End)
	c.num(&s.Events)
	slice(c, &s.Acts, func(a *Act) {
		c.time(&a.Time)
		c.str(&a.Kind)
		c.str(&a.Target)
		c.str(&a.User)
		c.str(&a.Detail)
		str(c, &a.Layer)
		c.bool(&a.Got)
		c.str(&a.File)
		c.num(&a.Record)
		c.str(&a.Session)
	})
	c.time(&s.Success)
	table(c, s.Layers, func(l *tenant.Layer) { str(c, l) }, c.bool)
	c.str(&s.Opened.File)
	c.num(&s.Opened.Record)
	c.bool(&s.Out)
}

func (fs *flows) code(c *coder) {
	slice(c, &fs.list, func(f *flow) {
		str(c, &f.tenant)
		c.addr(&f.src)
		c.addr(&f.dst)
		c.str(&f.srcHost)
		c.str(&f.dstHost)
		c.port(&f.sport)
		c.port(&f.dport)
		c.time(&f.start)
		c.time(&f.end)
		c.num(&f.packets)
		c.str(&f.kind)
		c.str(&f.user)
		c.str(&f.file)
		c.num(&f.record)
	})
	table(c, fs.logons, func(k *logonID) {
		c.host(&k.tenantHost)
		c.addr(&k.src)
		c.str(&k.from)
		c.str(&k.user)
		c.str(&k.kind)
	}, func(i *int) {
		if c.int(i); *i < 0 || *i >= len(fs.list) {
			c.fail()
		}
	})
	fs.settle()
	table(c, fs.seen, func(k *tenantAddr) { str(c, &k.tenant); c.addr(&k.addr) }, c.num)
	table(c, fs.names, c.host, func(n *name) { c.addr(&n.addr); c.num(&n.last) })
	table(c, fs.hosts, c.host, c.num)
	table(c, fs.machines, func(k *tenantAddr) { str(c, &k.tenant); c.addr(&k.addr) }, func(m *machine) { c.str(&m.host); c.num(&m.last) })
	table(c, fs.heard, func(id *tenant.ID) { str(c, id) }, func(h **heard) {
		if !c.write {
			*h = new(heard)
		}
		c.time(&(*h).from)
		c.time(&(*h).to)
		c.bool(&(*h).network)
	})
	c.num(&fs.left)
	fs.clocks.code(c)
	if !c.write {
		for _, w := range c.words {
			fs.words[w] = w
		}
	}
}

func (k *clocks) code(c *coder) {
	list := k.seen.inOrder()
	slice(c, &list, func(s *sighting) {
		c.packed(&s.key.src)
		c.packed(&s.key.dst)
		c.port(&s.key.sport)
		c.port(&s.key.dport)
		c.str(&s.key.id)
		str(c, &s.tenant)
		str(c, &s.matched)
		c.num(&s.at)
		c.bool(&s.spoiled)
	})
	oldest := 0 // where a ring was written as it stood
	if c.int(&oldest); oldest < 0 || oldest > 0 && oldest >= len(list) || len(list) > maxSightings {
		c.fail()
		return
	}
	if !c.write {
		k.restore(append(list[oldest:len(list):len(list)], list[:oldest]...), c)
	}
	table(c, k.pairs, func(p *[2]tenant.ID) { str(c, &p[0]); str(c, &p[1]) }, func(p **pairClock) {
		if !c.write {
			*p = &pairClock{stale: true}
		}
		slice(c, &(*p).samples, c.num)
		c.int(&(*p).next)
		c.num(&(*p).count)
		if n := len((*p).samples); n == 0 || n > maxSamples || (*p).next < 0 || (*p).next >= n {
			c.fail()
		}
	})
}

// restore takes the sightings of a snapshot, the oldest first.
func (k *clocks) restore(list []sighting, c *coder) {
	for _, s := range list {
		if s.hash = k.seen.hash(s.key); k.seen.find(s.key, s.hash) != nil {
			c.fail()
			return
		}
		k.seen.add(s)
	}
}

// coder writes to buf or reads from in. A string is written in full the first time and by its number after that.
type coder struct {
	buf   []byte
	in    string
	write bool
	known map[string]uint64 // writing: number of each string
	words []string          // reading: strings by number
	err   error
}

func (c *coder) fail() { c.err, c.in = errState, "" }

func (c *coder) uvarint(n uint64) uint64 {
	if c.write {
		for n >= 0x80 {
			c.buf, n = append(c.buf, byte(n)|0x80), n>>7
		}
		c.buf = append(c.buf, byte(n))
		return n
	}
	var v uint64
	for i := 0; i < len(c.in) && i < 10; i++ {
		b := c.in[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.in = c.in[i+1:]
			return v
		}
	}
	c.fail()
	return 0
}

// str codes a string: 0 and its length before one that is new, else its number.
func (c *coder) str(s *string) {
	if c.write {
		if n, ok := c.known[*s]; ok {
			c.uvarint(n)
			return
		}
		c.known[*s] = uint64(len(c.known) + 1)
		c.uvarint(0)
		c.uvarint(uint64(len(*s)))
		c.buf = append(c.buf, *s...)
		return
	}
	switch n := c.uvarint(0); {
	case c.err != nil:
	case n > uint64(len(c.words)):
		c.fail()
	case n > 0:
		*s = c.words[n-1]
	default:
		size := c.uvarint(0)
		if size > uint64(len(c.in)) {
			c.fail()
			return
		}
		*s, c.in = string([]byte(c.in[:size])), c.in[size:] // a copy, so that one word does not hold the whole snapshot
		c.words = append(c.words, *s)
	}
}

func str[S ~string](c *coder, s *S) {
	v := string(*s)
	c.str(&v)
	*s = S(v)
}

func (c *coder) num(n *int64) {
	v := c.uvarint(uint64(*n<<1) ^ uint64(*n>>63))
	if !c.write {
		*n = int64(v>>1) ^ -int64(v&1)
	}
}

func (c *coder) int(n *int) {
	v := int64(*n)
	c.num(&v)
	*n = int(v)
}

func (c *coder) port(n *uint16) {
	v := int64(*n)
	c.num(&v)
	*n = uint16(v)
}

func (c *coder) bool(b *bool) {
	n := uint64(0)
	if *b {
		n = 1
	}
	if v := c.uvarint(n); !c.write {
		*b = v == 1
	}
}

func (c *coder) time(t *time.Time) {
	sec, nsec := t.Unix(), int64(t.Nanosecond())
	c.num(&sec)
	c.num(&nsec)
	if !c.write {
		if *t = time.Unix(sec, nsec).UTC(); t.IsZero() {
			*t = time.Time{}
		}
	}
}

func (c *coder) addr(a *netip.Addr) {
	var b [24]byte
	var raw []byte
	if c.write {
		raw, _ = a.AppendBinary(b[:0]) // an address always encodes
	}
	n := len(raw)
	if c.int(&n); c.write {
		c.buf = append(c.buf, raw...)
		return
	}
	if n < 0 || n > len(c.in) || n > 64 || a.UnmarshalBinary([]byte(c.in[:n])) != nil {
		c.fail()
		return
	}
	c.in = c.in[n:]
}

// packed codes an address that is held as two numbers.
func (c *coder) packed(p *[2]uint64) {
	var a netip.Addr
	if *p != [2]uint64{} {
		a = unpack(*p)
	}
	if c.addr(&a); !c.write {
		*p = pack(a)
	}
}

func (c *coder) host(k *tenantHost) {
	str(c, &k.tenant)
	c.str(&k.host)
}

func slice[T any](c *coder, l *[]T, each func(*T)) {
	n := len(*l)
	if c.int(&n); !c.write {
		if n < 0 || n > len(c.in) {
			c.fail()
			return
		}
		*l = nil
		if n > 0 {
			*l = make([]T, n)
		}
	}
	for i := range *l {
		if each(&(*l)[i]); c.err != nil {
			*l = nil
			return
		}
	}
}

// table codes a map, in any order.
func table[K comparable, V any](c *coder, m map[K]V, key func(*K), value func(*V)) {
	n := len(m)
	c.int(&n)
	if c.write {
		for k, v := range m {
			key(&k)
			value(&v)
		}
		return
	}
	for range n {
		var k K
		var v V
		key(&k)
		if value(&v); c.err != nil {
			return
		}
		m[k] = v
	}
}
