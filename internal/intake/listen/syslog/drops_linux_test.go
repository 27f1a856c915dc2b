package syslog

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

func TestWhatTheKernelDropsIsCounted(t *testing.T) {
	to := newCollector()
	entered, release := make(chan struct{}), make(chan struct{})
	first := true
	bind := func(from netip.AddrPort) (*listen.Binding, bool) { // called by the one reader, which stands still here
		if first {
			first = false
			close(entered)
			<-release
		}
		return anyone(from)
	}
	l := start(t, Config{Network: "udp", BySource: bind, SocketBuffer: 4096}, to)
	conn := dial(t, l)
	send(t, conn, "<1>first")
	<-entered
	const n = 500
	for range n {
		send(t, conn, "<1>"+strings.Repeat("x", 500))
	}
	close(release)
	to.until(t, "the count", func() bool { // the kernel tells with a later datagram
		send(t, conn, "<1>later")
		return l.Stats().KernelDropped > 0
	})
	came := int64(strings.Count(strings.Join(to.lines(), "\n"), "<1>x"))
	if s := l.Stats(); s.KernelDropped > n || came+s.KernelDropped < n {
		t.Errorf("%d came and %d were dropped of %d", came, s.KernelDropped, n)
	}
}
