package bounded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ErrAddressRefused is returned by a Dialer for an address that it may not reach.
var ErrAddressRefused = errors.New("the address is not a public one")

// Dialer is the only way out: it opens TCP connections to public addresses, and to private and loopback ones where
// that is allowed. It looks at the address that is really dialled, after the name was resolved, so that neither a
// redirect nor a name that changes its mind leads inside. Link-local addresses, among them the metadata services of
// clouds, and multicast are always refused. The zero Dialer allows public addresses alone.
type Dialer struct {
	Private bool          // also loopback and private networks
	Timeout time.Duration // of one connection; 0: 10 s
}

// DialContext connects to host:port. The network is tcp, tcp4 or tcp6.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, fmt.Errorf("dialling %s: the network %q is not TCP", address, network)
	}
	n := net.Dialer{Timeout: cmp.Or(d.Timeout, 10*time.Second), Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrAddressRefused, address)
		}
		if !d.Reaches(at.Addr()) {
			return fmt.Errorf("%w: %s", ErrAddressRefused, at.Addr())
		}
		return nil
	}}
	return n.DialContext(ctx, network, address)
}

// nat64 and sixTo carry an IPv4 address, and what that is counts.
var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo = netip.MustParsePrefix("2002::/16")    // RFC 3056
	never = []netip.Prefix{                       // not routed, or never a single receiver
		netip.MustParsePrefix("0.0.0.0/8"),          // RFC 1122 3.2.1.3
		netip.MustParsePrefix("169.254.0.0/16"),     // link-local, and the metadata of clouds
		netip.MustParsePrefix("192.0.0.0/24"),       // RFC 6890, with the metadata of one more cloud
		netip.MustParsePrefix("240.0.0.0/4"),        // reserved, and broadcast
		netip.MustParsePrefix("168.63.129.16/32"),   // the wire server of a cloud
		netip.MustParsePrefix("100.100.100.200/32"), // metadata
		netip.MustParsePrefix("fd00:ec2::254/128"),  // metadata
		netip.MustParsePrefix("100::/64"),           // discard, RFC 6666
		netip.MustParsePrefix("2001::/32"),          // Teredo: it hides an IPv4 address
		netip.MustParsePrefix("64:ff9b:1::/48"),     // local NAT64, RFC 8215
		netip.MustParsePrefix("fec0::/10"),          // site-local, RFC 3879
	}
	inside = []netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers, RFC 6598
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
	}
)

// Reaches reports whether the Dialer may connect to an address.
func (d *Dialer) Reaches(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return false
	case nat64.Contains(a):
		b := a.As16()
		return d.Reaches(netip.AddrFrom4([4]byte(b[12:])))
	case sixTo.Contains(a):
		b := a.As16()
		return d.Reaches(netip.AddrFrom4([4]byte(b[2:6])))
	}
	for _, p := range never {
		if p.Contains(a) {
			return false
		}
	}
	private := a.IsLoopback() || a.IsPrivate()
	for _, p := range inside {
		private = private || p.Contains(a)
	}
	return d.Private || !private
}

// LimitConn returns a connection from which at most max bytes are read; then it fails with ErrTooLarge. It is for
// conversations whose answers are short.
func LimitConn(c net.Conn, max int64) net.Conn { return &limitedConn{c, NewReader(c, max)} }

type limitedConn struct {
	net.Conn
	r *Reader
}

// Read implements net.Conn.
func (c *limitedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
