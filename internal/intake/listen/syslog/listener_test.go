package syslog

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// collector keeps frames, and says Busy while it is told to.
type collector struct {
	mu     sync.Mutex
	frames []bus.Frame
	busy   bool
	asked  int
	came   chan struct{}
}

func newCollector() *collector { return &collector{came: make(chan struct{}, 1)} }

func (c *collector) Submit(_ context.Context, frames ...bus.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	defer func() {
		select {
		case c.came <- struct{}{}:
		default:
		}
	}()
	if c.busy {
		return &listen.Busy{Reason: "test", Retry: 5 * time.Millisecond}
	}
	c.frames = append(c.frames, frames...)
	return nil
}

// oneBusy is busy for the tenant of that name until it is free.
type oneBusy struct {
	*collector
	free atomic.Bool
}

func (c *oneBusy) Submit(ctx context.Context, frames ...bus.Frame) error {
	if frames[0].Tenant == "busy" && !c.free.Load() {
		return &listen.Busy{Reason: "test", Retry: 5 * time.Millisecond}
	}
	return c.collector.Submit(ctx, frames...)
}

func (c *collector) setBusy(b bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = b
}

func (c *collector) lines() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		for line := range strings.Lines(string(f.Data)) {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

// until waits for a condition that Submit may bring about.
func (c *collector) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-c.came:
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not come about; got %q", what, c.lines())
		}
	}
}

func anyone(netip.AddrPort) (*listen.Binding, bool) {
	return &listen.Binding{Sensor: "fw", Tenant: "acme", Layer: "network", Authenticated: true}, true
}

func start(t *testing.T, c Config, to listen.Submitter) *Listener {
	t.Helper()
	c.Name, c.Address = "test", "127.0.0.1:0"
	l, err := Listen(c, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, l) })
	return l
}

func stop(t *testing.T, l *Listener) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesOverTCPBecomeFramesOfTheirSensor(t *testing.T) {
	to := newCollector()
	l := start(t, Config{Network: "tcp", BySource: anyone}, to)
	conn := dial(t, l)
	send(t, conn, "<1>one\n6 <2>two<3>th")
	send(t, conn, "ree\n")
	to.until(t, "three messages", func() bool { return len(to.lines()) == 3 })
	if got := to.lines(); !slices.Equal(got, []string{"<1>one", "<2>two", "<3>three"}) {
		t.Errorf("%q", got)
	}
	f := to.frames[0]
	if f.Sensor != "fw" || f.Tenant != "acme" || f.Layer != "network" || f.Authenticated || f.Peer != conn.LocalAddr().String() || f.Received.IsZero() || f.Records == 0 || f.First != 1 {
		t.Errorf("%+v: an address proves nothing, and the frame must say whose it is", f)
	}
	conn.Close()
	to.until(t, "the end of the connection", func() bool { return l.Stats().Connections == 0 })
	if s := l.Stats(); s.Messages != 3 || s.Frames != int64(len(to.frames)) {
		t.Errorf("%+v", s)
	}
}

func TestWhatComesAtOnceIsFewFrames(t *testing.T) {
	to := newCollector()
	l := start(t, Config{Network: "tcp", BySource: anyone}, to)
	const n = 5000
	send(t, dial(t, l), strings.Repeat("<1>message\n", n))
	to.until(t, "all messages", func() bool { return len(to.lines()) == n })
	to.mu.Lock()
	defer to.mu.Unlock()
	for _, f := range to.frames {
		if f.Records > bus.MaxRecords || strings.Count(string(f.Data), "\n") != f.Records {
			t.Errorf("a frame of %d records", f.Records)
		}
	}
	if len(to.frames) > 60 {
		t.Errorf("%d frames for %d messages", len(to.frames), n)
	}
}

func TestASenderWaitsWhileItsFramesCannotBeKept(t *testing.T) {
	to := newCollector()
	to.setBusy(true)
	l := start(t, Config{Network: "tcp", BySource: anyone}, to)
	conn := dial(t, l)
	const n = 200_000
	line := "<1>" + strings.Repeat("x", 100) + "\n"
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write([]byte(strings.Repeat(line, n)))
		sent <- err
	}()
	to.until(t, "a refusal", func() bool { return l.Stats().Busy > 2 })
	select {
	case err := <-sent:
		t.Fatalf("20 MB went through a listener that keeps nothing: %v", err)
	default:
	}
	to.setBusy(false)
	to.until(t, "everything", func() bool { return l.Stats().Messages == n })
	if err := <-sent; err != nil || l.Stats().Dropped != 0 {
		t.Errorf("%v, %+v", err, l.Stats())
	}
}

func TestAStopDrainsWhatHasArrived(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			to := newCollector()
			l := start(t, Config{Network: network, BySource: anyone, Gather: 50 * time.Millisecond}, to)
			conn := dial(t, l)
			send(t, conn, "<1>first\n")
			to.until(t, "the first", func() bool { return len(to.lines()) == 1 })
			for i := range 100 {
				send(t, conn, fmt.Sprintf("<1>%d\n", i))
			}
			stop(t, l)
			if got := to.lines(); len(got) != 101 {
				t.Errorf("%d of 101 messages", len(got))
			}
		})
	}
}

func TestAStopWithoutTimeCountsWhatItGivesUp(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			to := newCollector()
			to.setBusy(true)
			l, err := Listen(Config{Name: "t", Network: network, Address: "127.0.0.1:0", BySource: anyone}, to)
			if err != nil {
				t.Fatal(err)
			}
			send(t, dial(t, l), "<1>lost\n")
			to.until(t, "a refusal", func() bool { return l.Stats().Busy > 0 })
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
			defer cancel()
			if err := l.Close(ctx); err == nil || l.Stats().Dropped != 1 {
				t.Errorf("%v, %+v", err, l.Stats())
			}
		})
	}
}

func TestSendersWithoutABindingAreRefused(t *testing.T) {
	nobody := func(netip.AddrPort) (*listen.Binding, bool) { return nil, false }
	for _, network := range []string{"tcp", "udp"} {
		to := newCollector()
		l := start(t, Config{Network: network, BySource: nobody}, to)
		conn := dial(t, l)
		_, _ = conn.Write([]byte("<1>x\n"))
		to.until(t, "a refusal", func() bool { return l.Stats().Unbound == 1 })
		if len(to.lines()) != 0 {
			t.Errorf("%s: %q", network, to.lines())
		}
	}
}

func TestMoreConnectionsThanAllowedAreRefused(t *testing.T) {
	to := newCollector()
	l := start(t, Config{Network: "tcp", BySource: anyone, MaxConnections: 1}, to)
	first := dial(t, l)
	send(t, first, "<1>one\n")
	to.until(t, "the first", func() bool { return len(to.lines()) == 1 })
	second := dial(t, l)
	_ = second.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := second.Read(make([]byte, 1)); err == nil || l.Stats().Refused != 1 {
		t.Errorf("%v, %+v", err, l.Stats())
	}
	send(t, first, "<1>two\n")
	to.until(t, "the second message of the first", func() bool { return len(to.lines()) == 2 })
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	to := newCollector()
	l := start(t, Config{Network: "tcp", BySource: anyone, Idle: 30 * time.Millisecond}, to)
	conn := dial(t, l)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("%v", err)
	}
}

func TestDatagramsBecomeFramesBySender(t *testing.T) {
	to := newCollector()
	l := start(t, Config{Network: "udp", BySource: anyone}, to)
	conn := dial(t, l)
	for _, m := range []string{"<1>one", "<2>two\nlines\n", "", "\n", "<3>three\r\n\x00"} {
		send(t, conn, m)
	}
	to.until(t, "three messages", func() bool { return len(to.lines()) == 3 })
	if got := to.lines(); !slices.Equal(got, []string{"<1>one", "<2>two#012lines", "<3>three"}) {
		t.Errorf("%q", got)
	}
	if f := to.frames[0]; f.Peer != "127.0.0.1" || f.Authenticated {
		t.Errorf("%+v", f)
	}
}

func TestDatagramsBeyondTheQueueAreCounted(t *testing.T) {
	to := newCollector()
	to.setBusy(true)
	l := start(t, Config{Network: "udp", BySource: anyone, QueueBytes: 10_000, MaxMessage: 500}, to)
	conn := dial(t, l)
	const n = 200
	for range n {
		send(t, conn, "<1>"+strings.Repeat("x", 1000))
	}
	to.until(t, "drops", func() bool { return l.Stats().Cut == n && l.Stats().Dropped > 0 })
	dropped := l.Stats().Dropped
	to.setBusy(false)
	to.until(t, "the rest", func() bool { return l.Stats().Messages+dropped == n })
	for _, m := range to.lines() {
		if len(m) != 500+len(CutMark) {
			t.Fatalf("%d bytes", len(m))
		}
	}
}

func TestABusyTenantHoldsUpNoOther(t *testing.T) {
	to := &oneBusy{collector: newCollector()}
	sensor := func(from netip.AddrPort) (*listen.Binding, bool) {
		if from.Addr() == netip.MustParseAddr("127.0.0.1") {
			return &listen.Binding{Sensor: "a", Tenant: "busy"}, true
		}
		return &listen.Binding{Sensor: "b", Tenant: "calm"}, true
	}
	l := start(t, Config{Network: "udp", BySource: sensor}, to)
	send(t, dial(t, l), "<1>busy")
	to.until(t, "a refusal", func() bool { return l.Stats().Busy > 0 })
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, l.Addr().(*net.UDPAddr))
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer conn.Close()
	send(t, conn, "<1>calm")
	to.until(t, "the other's message", func() bool { return slices.Equal(to.lines(), []string{"<1>calm"}) })
	to.free.Store(true)
	to.until(t, "both", func() bool { return len(to.lines()) == 2 })
}

// authority signs certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestTLSClientsAreBoundByTheirCertificate(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	known, named, stranger := ours.issue(t, "known.example"), ours.issue(t, "named.example"), ours.issue(t, "stranger.example")
	forged := others.issue(t, "named.example")
	bindings := Certificates{
		Fingerprints: map[string]listen.Binding{Fingerprint(known.Leaf): {Sensor: "known", Tenant: "acme"}},
		Names:        map[string]listen.Binding{"named.example": {Sensor: "named", Tenant: "acme"}},
	}
	for _, c := range []struct {
		name     string
		clients  Clients
		verified bool
		cert     *tls.Certificate
		source   bool
		want     string // sensor; empty: refused
		proven   bool
	}{
		{"by fingerprint", ClientsMustHaveCertificates, true, &known, false, "known", true},
		{"by fingerprint, without authorities", ClientsMustHaveCertificates, false, &known, false, "known", true},
		{"by name", ClientsMustHaveCertificates, true, &named, false, "named", true},
		{"a name without authorities proves nothing", ClientsMustHaveCertificates, false, &named, false, "", false},
		{"a name of another authority", ClientsMustHaveCertificates, true, &forged, false, "", false},
		{"a stranger", ClientsMustHaveCertificates, true, &stranger, true, "", false},
		{"none where one is a must", ClientsMustHaveCertificates, true, nil, true, "", false},
		{"none where one may be", ClientsMayHaveCertificates, true, nil, true, "fw", false},
		{"none, and no address", ClientsMayHaveCertificates, true, nil, false, "", false},
		{"a known one where one may be", ClientsMayHaveCertificates, true, &known, true, "known", true},
		{"none is asked for", ClientsHaveNoCertificates, false, &known, true, "fw", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := newCollector()
			b := bindings
			b.Verified = c.verified
			conf := Config{Network: "tls", TLS: &TLS{Certificates: []tls.Certificate{ours.issue(t, "server.example")}, Clients: c.clients}, ByCertificate: b.Bind}
			if c.verified {
				conf.TLS.Authorities = ours.pool
			}
			if c.source {
				conf.BySource = anyone
			}
			l := start(t, conf, to)
			client := &tls.Config{RootCAs: ours.pool, ServerName: "server.example"}
			if c.cert != nil {
				client.Certificates = []tls.Certificate{*c.cert}
			}
			conn, err := tls.Dial("tcp", l.Addr().String(), client)
			if err == nil {
				defer conn.Close()
				_, _ = conn.Write([]byte("6 <1>one<2>two\n"))
			}
			if c.want == "" {
				to.until(t, "a refusal", func() bool { return l.Stats().Refused+l.Stats().Unbound > 0 })
				if len(to.lines()) > 0 {
					t.Errorf("%q", to.lines())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			to.until(t, "two messages", func() bool { return len(to.lines()) == 2 })
			if f := to.frames[0]; f.Sensor != c.want || f.Authenticated != c.proven {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestOldTLSAndSilentHandshakesAreRefused(t *testing.T) {
	ca := newAuthority(t)
	to := newCollector()
	l := start(t, Config{Network: "tls", TLS: &TLS{Certificates: []tls.Certificate{ca.issue(t, "server.example")}}, BySource: anyone, Handshake: 100 * time.Millisecond}, to)
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.pool, ServerName: "server.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	conn := dial(t, l)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a client that says nothing: %v", err)
	}
	to.until(t, "two refusals", func() bool { return l.Stats().Refused == 2 && l.Stats().Connections == 0 })
}

func TestListenersThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"network": {Network: "sctp", BySource: anyone}, "binding": {Network: "tcp"}, "certificate": {Network: "tls", BySource: anyone, TLS: &TLS{}},
		"tls": {Network: "tls", BySource: anyone}, "bytes": {Network: "udp", BySource: anyone, MaxMessage: 2 << 20}, "address": {Network: "udp", BySource: anyone, Address: "nowhere"},
	} {
		if l, err := Listen(c, newCollector()); err == nil {
			stop(t, l)
			t.Errorf("%s: it listens", name)
		}
	}
}
