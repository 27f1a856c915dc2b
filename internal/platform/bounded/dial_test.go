package bounded

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestSSRFAddressesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		addr            string
		public, private bool // who may reach it
	}{
		{"203.0.114.9", true, true}, {"2606:4700::1", true, true}, {"::ffff:8.8.8.8", true, true}, {"64:ff9b::808:808", true, true}, {"2002:808:808::1", true, true},
		{"127.0.0.1", false, true}, {"127.9.9.9", false, true}, {"::1", false, true}, {"::ffff:127.0.0.1", false, true}, {"10.1.2.3", false, true},
		{"172.16.0.1", false, true}, {"192.168.1.1", false, true}, {"fd12::1", false, true}, {"100.64.0.1", false, true}, {"198.18.0.1", false, true},
		{"64:ff9b::7f00:1", false, true}, {"2002:7f00:1::", false, true}, {"2002:a00:1::1", false, true},
		{"169.254.169.254", false, false}, {"::ffff:169.254.169.254", false, false}, {"64:ff9b::a9fe:a9fe", false, false}, {"fe80::1%eth0", false, false},
		{"fd00:ec2::254", false, false}, {"100.100.100.200", false, false}, {"168.63.129.16", false, false}, {"192.0.0.192", false, false},
		{"0.0.0.0", false, false}, {"0.1.2.3", false, false}, {"::", false, false}, {"224.0.0.1", false, false}, {"ff02::1", false, false}, {"255.255.255.255", false, false},
		{"2001:0:1::1", false, false}, {"fec0::1", false, false},
	} {
		a := netip.MustParseAddr(c.addr)
		if got := (&Dialer{}).Reaches(a); got != c.public {
			t.Errorf("%s: %v", c.addr, got)
		}
		if got := (&Dialer{Private: true}).Reaches(a); got != c.private {
			t.Errorf("%s, private allowed: %v", c.addr, got)
		}
	}
	if (&Dialer{Private: true}).Reaches(netip.Addr{}) {
		t.Error("no address at all")
	}
}

func TestSSRFNamesAndRedirectsAreJudgedByTheAddressDialled(t *testing.T) {
	hits := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer inside.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// A name that resolves to loopback is what a rebinding name is at the moment of the dial.
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		c, err := (&Dialer{}).DialContext(ctx, "tcp", host+":"+port)
		if err == nil {
			c.Close()
			t.Errorf("%s: connected", host)
		} else if !errors.Is(err, ErrAddressRefused) && !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%s: %v", host, err)
		}
	}
	// The redirect comes from a server that may be reached, by a dialer that is allowed there for the first hop only.
	moved := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer moved.Close()
	dials := 0
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return (&Dialer{Private: dials == 1}).DialContext(ctx, network, addr)
	}}}
	resp, err := client.Get(moved.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrAddressRefused) || dials != 2 {
		t.Errorf("after %d dials: %v", dials, err)
	}
	if hits > 0 {
		t.Errorf("the inside was reached %d times", hits)
	}
	if _, err := (&Dialer{Private: true}).DialContext(ctx, "unix", "/tmp/x"); err == nil {
		t.Error("a socket file was dialled")
	}
}

func TestADialerReachesWhatItMay(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: (&Dialer{Private: true}).DialContext}}
	resp, err := client.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := ReadAll(resp.Body, 100); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
}
