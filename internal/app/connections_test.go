package app

import (
	"net"
	"net/netip"
	"testing"
)

func TestConnectionsBeyondTheLimitAreRefusedAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	limit := limitConnections(l, 2)
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := limit.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is kept")
	}
	first.Close()
	first.Close() // twice gives one slot back
	dial()
	<-accepted
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("one slot was given back twice")
	}
}

func TestOneAddressHoldsAShareOfTheConnections(t *testing.T) {
	l := limitConnections(nil, 8)
	far, near := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("::1")
	for i, want := range []bool{true, true, false} {
		if l.take(far) != want {
			t.Errorf("connection %d of one address: a quarter of 8 is 2", i+1)
		}
	}
	for range 6 {
		if !l.take(near) {
			t.Fatal("loopback is held to a share")
		}
	}
	if l.take(near) || l.refused != 2 {
		t.Errorf("beyond the limit; %d refused", l.refused)
	}
	l.give(far)
	if !l.take(netip.MustParseAddr("203.0.113.10")) {
		t.Error("a slot that was given back is not given out")
	}
}
