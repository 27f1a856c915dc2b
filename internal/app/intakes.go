package app

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/intake/listen/drop"
	"github.com/breakwater-project/breakwater/internal/intake/listen/syslog"
	"github.com/breakwater-project/breakwater/internal/intake/listen/tail"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
)

// intakes are the senders other than HTTP.
type intakes struct {
	syslog     []*syslog.Listener
	collectors []*collector
	cancel     context.CancelFunc
	group      sync.WaitGroup
}

// startIntakes starts what the configuration declares.
func (w *watch) startIntakes(ctx context.Context) (*intakes, error) {
	ctx, cancel := context.WithCancel(ctx)
	in := &intakes{cancel: cancel}
	for i := range w.settings.Syslog {
		l, err := w.listenSyslog(&w.settings.Syslog[i])
		if err != nil {
			return in, err
		}
		in.syslog = append(in.syslog, l)
	}
	for i := range w.settings.NetFlow {
		c, err := w.collect(&w.settings.NetFlow[i])
		if err != nil {
			return in, err
		}
		in.collectors = append(in.collectors, c)
		in.group.Go(func() { c.keepTemplates(ctx) })
	}
	if len(w.settings.Tail) > 0 {
		t, err := w.tailer()
		if err != nil {
			return in, err
		}
		in.group.Go(func() {
			if err := t.Run(ctx); err != nil {
				w.log.Error("following files", "err", err)
			}
		})
	}
	if folder := w.settings.Drop; folder != "" {
		d, err := drop.New(drop.Config{Dir: folder, Bind: w.bindPath, Log: w.log}, w.gate)
		if err != nil {
			return in, err
		}
		in.group.Go(func() {
			if err := d.Run(ctx); err != nil {
				w.log.Error("taking dropped files", "err", err)
			}
		})
	}
	return in, nil
}

func (in *intakes) stop(ctx context.Context) {
	if in == nil {
		return
	}
	in.cancel()
	for _, l := range in.syslog {
		in.group.Go(func() { _ = l.Close(ctx) }) // it tells what it dropped in its counters
	}
	for _, c := range in.collectors {
		in.group.Go(func() { c.close(ctx) })
	}
	in.group.Wait()
}

// bindPath is the binding of a dropped file: the sensor whose path pattern matches, as in a scan.
func (w *watch) bindPath(rel string) (*listen.Binding, bool) {
	s := w.live.current.Load()
	if s.Config == nil {
		return nil, false
	}
	if s.byField() {
		return &listen.Binding{Authenticated: true}, true // each record is asked
	}
	x, ok := s.Config.SensorFor(rel)
	if !ok {
		return nil, false
	}
	return &listen.Binding{Sensor: x.Name, Tenant: x.Tenant, Layer: x.Layer, Authenticated: true}, true
}

func bound(b *config.Binding, authenticated bool) listen.Binding {
	return listen.Binding{Sensor: b.Sensor, Tenant: b.Tenant, Layer: b.Layer, Authenticated: authenticated}
}

// sourceBindings binds senders by their addresses; the longest prefix decides.
type sourceBindings []sourceBinding

type sourceBinding struct {
	prefix  netip.Prefix
	binding listen.Binding
}

func (s *sourceBindings) add(b *config.Binding) error {
	p, err := netip.ParsePrefix(b.Source)
	if err != nil {
		a, err := netip.ParseAddr(b.Source)
		if err != nil {
			return fmt.Errorf("its source %q: %w", b.Source, err)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	*s = append(*s, sourceBinding{p.Masked(), bound(b, false)})
	return nil
}

func (s sourceBindings) find(from netip.AddrPort) (*listen.Binding, bool) {
	var best *sourceBinding
	for i := range s {
		if x := &s[i]; x.prefix.Contains(from.Addr().Unmap().WithZone("")) && (best == nil || x.prefix.Bits() > best.prefix.Bits()) {
			best = x
		}
	}
	if best == nil {
		return nil, false
	}
	b := best.binding
	return &b, true
}

func (w *watch) listenSyslog(s *config.Syslog) (*syslog.Listener, error) {
	c := syslog.Config{Name: s.Transport + " " + s.Address, Network: s.Transport, Address: s.Address, MaxMessage: int(s.MaxMessage),
		MaxConnections: w.settings.Limits.Connections, Log: w.log}
	certificates := syslog.Certificates{Fingerprints: map[string]listen.Binding{}, Names: map[string]listen.Binding{}}
	var sources sourceBindings
	for i := range s.Bindings {
		b := &s.Bindings[i]
		switch {
		case b.Source != "":
			if err := sources.add(b); err != nil {
				return nil, fmt.Errorf("a syslog binding: %w", err)
			}
		case len(b.Certificate) == 64 && strings.Trim(b.Certificate, "0123456789abcdef") == "":
			certificates.Fingerprints[b.Certificate] = bound(b, true)
		default:
			certificates.Names[strings.ToLower(b.Certificate)] = bound(b, true)
		}
	}
	c.BySource = sources.find
	if s.Transport == config.TransportTLS {
		t, err := w.syslogTLS()
		if err != nil {
			return nil, err
		}
		certificates.Verified = t.Authorities != nil
		if len(sources) == 0 {
			t.Clients = syslog.ClientsMustHaveCertificates
		}
		c.TLS = t
		c.ByCertificate = func(cert *x509.Certificate) (*listen.Binding, error) { return certificates.Bind(cert) }
	}
	return syslog.Listen(c, w.gate)
}

func (w *watch) syslogTLS() (*syslog.TLS, error) {
	t := w.settings.TLS
	if t == nil {
		return nil, fmt.Errorf("syslog over TLS needs a certificate: set serve.tls in the configuration")
	}
	c := &certificate{cert: t.Cert, key: t.Key}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	out := &syslog.TLS{Get: c.get}
	if t.ClientCA != "" {
		pool, err := authorities(t.ClientCA)
		if err != nil {
			return nil, err
		}
		out.Authorities = pool
	}
	return out, nil
}

func (w *watch) tailer() (*tail.Tailer, error) {
	var sources []tail.Source
	for _, t := range w.settings.Tail {
		for _, p := range t.Paths {
			sources = append(sources, tail.Source{Pattern: p, Binding: listen.Binding{Sensor: t.Sensor, Tenant: t.Tenant, Layer: t.Layer, Authenticated: true}})
		}
	}
	return tail.New(tail.Config{Sources: sources, Offsets: offsets{w.store}, Log: w.log}, w.gate)
}

// offsets keeps the places of followed files in the state.
type offsets struct{ store *state.Store }

// Load implements tail.Offsets.
func (o offsets) Load(sensor, path string) (tail.Place, bool, error) {
	list, err := o.store.TailOffsets(context.Background(), sensor)
	if err != nil {
		return tail.Place{}, false, err
	}
	for _, x := range list {
		var p tail.Place
		if x.Path == path && json.Unmarshal(x.Head, &p) == nil {
			return p, true, nil
		}
	}
	return tail.Place{}, false, nil
}

// Save implements tail.Offsets.
func (o offsets) Save(sensor string, places map[string]tail.Place) error {
	var list []state.TailOffset
	for path, p := range places {
		head, err := json.Marshal(p)
		if err != nil {
			return err
		}
		list = append(list, state.TailOffset{Sensor: sensor, Path: path, Identity: "place", Offset: p.Offset, Head: head})
	}
	return o.store.PutTailOffsets(context.Background(), list)
}
