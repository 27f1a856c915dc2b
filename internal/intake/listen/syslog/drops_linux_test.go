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
	came := func() int64 { return int64(strings.Count(strings.Join(to.lines(), "\n"), "<1>x")) }
	to.until(t, "all to be taken or counted", func() bool { // the kernel tells with a later datagram
		send(t, conn, "<1>later")
		dropped := l.Stats().KernelDropped
		return dropped > 0 && came()+dropped >= n
	})
	if s := l.Stats(); came() == 0 || came() > n {
		t.Errorf("%d came and %d were dropped of %d", came(), s.KernelDropped, n)
	}
}
