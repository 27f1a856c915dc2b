package app

import (
	"net"
	"net/netip"
	"sync"
)

// limited refuses connections beyond a number in all, and beyond a share of it from one address, at once: who waits
// for a slot that silent connections hold would wait with them.
type limited struct {
	net.Listener
	most    int
	mu      sync.Mutex
	open    int
	by      map[netip.Addr]int
	refused int64
}

// shareOfOne is what part of all connections one address may hold; loopback, where proxies and relays are, any.
const shareOfOne = 4

func limitConnections(l net.Listener, most int) *limited {
	return &limited{Listener: l, most: most, by: map[netip.Addr]int{}}
}

// Accept returns the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(c)
		if l.take(from) {
			return &slotted{Conn: c, done: sync.OnceFunc(func() { l.give(from) })}, nil
		}
		c.Close()
	}
}

func addressOf(c net.Conn) netip.Addr {
	p, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return p.Addr().Unmap().WithZone("")
}

func (l *limited) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most || !from.IsLoopback() && l.by[from] >= max(1, l.most/shareOfOne) {
		l.refused++
		return false
	}
	l.open++
	l.by[from]++
	return true
}

func (l *limited) give(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.by[from]--; l.by[from] <= 0 {
		delete(l.by, from)
	}
}

// slotted is a connection that gives its slot back when it is closed.
type slotted struct {
	net.Conn
	done func()
}

// Close closes the connection.
func (c *slotted) Close() error {
	defer c.done()
	return c.Conn.Close()
}
