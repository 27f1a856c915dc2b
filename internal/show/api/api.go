// Package api is every operation on what Breakwater concluded, once, over HTTP: JSON under /api/v1/, and the doors to
// the pages (/, /login, /logout) that show/console draws. What is read and changed stands behind the small interfaces
// of this package.
//
// Every operation takes the principal's tenant.Scope. An object outside it answers exactly as one that does not
// exist: 404 with the same body. A sender's token sees nothing (403). Bodies, watchers and concurrent logins are
// bounded; every request but a watch ends within Options.Timeout. Secrets are neither logged nor sent back.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Limits of what a caller may ask for.
const (
	MaxBody     = 64 << 10 // bytes of a request's body
	MaxPage     = 1000     // findings or dead letters of one answer
	MaxWatchers = 256      // watches open at once
	MaxLogins   = 4        // passwords checked at once: each costs memory and time
)

// Options say what stands behind the API. Live and Authz must be set; what else is nil answers 404.
type Options struct {
	Live         Live
	Authz        Authenticator
	Deadletters  Deadletters
	Levels       Levels
	Investigator Investigator
	Exchanger    Exchanger
	Quarantine   Quarantine
	Posture      Posture
	Pages        Pages // nil: no pages, JSON alone
	Version      string
	Log          *slog.Logger  // nil: slog.Default()
	Timeout      time.Duration // of a request that is no watch; 0: 15 s
	Secure       bool          // a proxy in front speaks TLS: cookies are for TLS alone
	Heartbeat    time.Duration // at most this long a watch is silent; 0: 10 s
	Trust        []string      // origins beside our own that browsers may send changes from, such as https://soc.example
}

// Handler is the API. Close it before the server is shut down, so that watches end.
type Handler struct {
	opt    Options
	mux    *http.ServeMux
	cross  *http.CrossOriginProtection
	sights *sights
	logins chan struct{}
	spec   []byte
	slow   time.Duration // how long a watch may take to be written to
	done   context.Context
	close  context.CancelFunc

	mu       sync.Mutex
	watchers int
}

// New returns the API over what the options name.
func New(opt Options) *Handler {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 15 * time.Second
	}
	if opt.Heartbeat <= 0 {
		opt.Heartbeat = 10 * time.Second
	}
	h := &Handler{opt: opt, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection(), logins: make(chan struct{}, MaxLogins), slow: watchSlow}
	h.done, h.close = context.WithCancel(context.Background())
	h.sights = newSights(opt.Live, opt.Levels)
	for _, origin := range opt.Trust {
		if err := h.cross.AddTrustedOrigin(origin); err != nil {
			opt.Log.Warn("an origin is not trusted, since it is none", "origin", origin, "error", err)
		}
	}
	h.spec = openAPI(opt.Version)
	h.routes()
	return h
}

// Close ends all watches; requests under way are answered.
func (h *Handler) Close() { h.close() }

// ServeHTTP answers a request with the headers that every answer bears.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("X-Frame-Options", "DENY")
	if h.secure(r) {
		head.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if err := h.cross.Check(r); err != nil {
		h.fail(w, r, &Problem{Status: http.StatusForbidden, Says: "a page of another site may not change anything here"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	h.mux.ServeHTTP(w, r)
}

// secure reports whether the caller reached us by TLS, through a proxy of ours or straight.
func (h *Handler) secure(r *http.Request) bool { return r.TLS != nil || h.opt.Secure }
