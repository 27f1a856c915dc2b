package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/intake/listen/httpin"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
	"github.com/breakwater-project/breakwater/internal/show/console"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

// httpServer is the one server of page, API and HTTP intake.
type httpServer struct {
	server      *http.Server
	tls         *tls.Config
	connections int
}

func (s *httpServer) serve(l net.Listener) error {
	l = limitConnections(l, s.connections)
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	return s.server.Serve(l)
}

func (s *httpServer) shutdown(ctx context.Context) error {
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

func (w *watch) server(l net.Listener) (*httpServer, *api.Handler, error) {
	in := httpin.New(httpin.Options{Submit: w.gate, Authenticate: w.sender, Log: w.log, MaxBody: w.settings.Limits.RequestBytes})
	access := w.authenticator()
	asked := newInquiries(w.live)
	handler := api.New(api.Options{Live: w, Authz: access, Deadletters: &letters{w.store, w.gate, w}, Levels: levels{w.teller},
		Investigator: asked, Exchanger: newExchange(asked, w.opt.Data, w.store.Audit, w.log),
		Quarantine: w.heldMail(), Posture: w.posture, Pages: console.New(console.Options{Draw: w.drawPage, Policy: report.LivePolicy}), Version: w.opt.Version, Log: w.log})
	mux := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case httpin.Wants(r):
			in.ServeHTTP(rw, r)
		case r.URL.Path == "/healthz":
			w.healthz(rw)
		case r.URL.Path == "/readyz":
			w.readyz(rw)
		case r.URL.Path == "/metrics":
			w.metrics(rw, r)
		case strings.HasPrefix(r.URL.Path, "/debug/pprof/"):
			w.profile(rw, r)
		case strings.HasPrefix(r.URL.Path, openPath):
			w.enter(rw, r, handler, access)
		default:
			handler.ServeHTTP(rw, r)
		}
	})
	s := &httpServer{connections: w.settings.Limits.Connections, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: quietLog(w.log)}}
	if t := w.settings.TLS; t != nil {
		cfg, err := serverTLS(t)
		if err != nil {
			return nil, nil, err
		}
		cfg.NextProtos = []string{"http/1.1"}
		s.tls = cfg
	}
	return s, handler, nil
}

// drawPage draws the live page, or the part of it that a page on screen takes in.
func (w *watch) drawPage(out io.Writer, v api.View, fragment bool) error {
	return report.Live(out, v.Result, v.Model, report.LiveOptions{Options: report.Options{Version: w.opt.Version}, Version: v.Version,
		At: v.At, Who: v.Who, Role: v.Role, Fragment: fragment, Held: v.Held, Posture: v.Posture})
}

// serverTLS makes the configuration of everything that is listened on with TLS.
func serverTLS(t *config.TLS) (*tls.Config, error) {
	c := &certificate{cert: t.Cert, key: t.Key}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if t.ClientCA != "" {
		pool, err := authorities(t.ClientCA)
		if err != nil {
			return nil, err
		}
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

func authorities(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the authority of client certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", name)
	}
	return pool, nil
}

// certificate reads a certificate again when its file has changed, so that a renewal needs no restart.
type certificate struct {
	cert, key string
	mu        sync.Mutex
	looked    time.Time
	stamp     time.Time
	current   *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.looked) < 10*time.Second {
		return c.current, nil
	}
	c.looked = time.Now()
	st, err := os.Stat(c.cert)
	if err == nil && (c.current == nil || !st.ModTime().Equal(c.stamp)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.current, c.stamp = &pair, st.ModTime()
		}
	}
	if c.current == nil {
		return nil, fmt.Errorf("reading the certificate %s: %w", c.cert, err)
	}
	return c.current, nil // a broken renewal must not close the door
}

// sender is the binding of a sender's token.
func (w *watch) sender(ctx context.Context, token string) (*listen.Binding, error) {
	p, err := w.authority.Authenticate(ctx, token)
	switch {
	case errors.Is(err, authz.ErrDenied):
		return nil, httpin.ErrUnknown
	case err != nil:
		return nil, err
	case p.Role != authz.RoleSensor:
		return nil, httpin.ErrNotSender
	}
	return w.bindingOf(p), nil
}

// observer reports whether a request may see what concerns the whole installation; it answers where it may not.
func (w *watch) observer(rw http.ResponseWriter, r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, basic := r.BasicAuth(); basic {
		token, ok = password, true
	}
	if ok {
		p, err := w.authority.Authenticate(r.Context(), token)
		if err == nil && p.May(authz.RoleViewer) && p.Scope.Sees(tenant.ID("")) {
			return true
		}
	}
	rw.Header().Set("WWW-Authenticate", `Bearer realm="breakwater"`)
	http.Error(rw, "metrics need the token of a viewer of all tenants", http.StatusUnauthorized)
	return false
}
