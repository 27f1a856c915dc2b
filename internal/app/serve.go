package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// ServeOptions are what a user says to serve.
type ServeOptions struct {
	Data       string   // folder of everything that is kept
	Config     string   // applied at the start and whenever it changes; empty: what was applied before
	Rules      string   // folder or zip of Sigma rules beside our own
	Indicators []string // files of indicators
	Listen     string   // host:port; empty: the configuration's
	Version    string
	Log        *slog.Logger
	Ready      func(*Running) // told when requests are taken
}

// Running is a serve that takes requests.
type Running struct {
	URL       string
	Submit    listen.Submitter
	Authority *authz.Authority
	w         *watch
}

// Answer returns the newest answer.
func (r *Running) Answer() *Answer { a, _ := r.w.board.read(); return a }

// Setup returns what is declared.
func (r *Running) Setup() *Setup { return r.w.live.current.Load() }

// Watched reports whether anybody could log in: a person, or a token that may see something.
func (r *Running) Watched(ctx context.Context) (bool, error) {
	users, err := r.w.store.Users(ctx, tenant.ScopeAll())
	if err != nil || len(users) > 0 {
		return len(users) > 0, err
	}
	tokens, err := r.w.store.Tokens(ctx, tenant.ScopeAll())
	return slices.ContainsFunc(tokens, func(t state.Token) bool { return t.Role != string(authz.RoleSensor) && t.Revoked.IsZero() }), err
}

// Door returns a link that logs one browser in with a token, once, within ten minutes.
func (r *Running) Door(token string) string { return r.URL + openPath + r.w.doors.add(token) }

// Last returns the place of the newest message on the bus.
func (r *Running) Last() uint64 { _, last := r.w.bus.Span(); return last }

// horizon is how long detectors and the hop graph remember.
const horizon = 90 * 24 * time.Hour

// stopWithin is how long an orderly stop may take.
const stopWithin = 20 * time.Second

// watch is a running serve.
//
//	senders ─ http, syslog, tail, drop ─ gate ─ bus ─ live pipeline ─ answers ─┬─ board ─ API, page
//	                                                       │                   └─ teller ─ state, levels, outbox ─ notify
//	                                                       └─ checkpoints, dead letters
type watch struct {
	opt       ServeOptions
	log       *slog.Logger
	started   time.Time
	settings  *config.Serve
	store     *state.Store
	authority *authz.Authority
	bus       *bus.JetStream
	declared  *declared
	listener  net.Listener
	live      *live
	gate      *listen.Gate
	board     *board
	teller    *teller
	intakes   *intakes
	mail      *mailGate        // nil: no mail is judged on its way
	held      *quarantine.Desk // nil likewise
	posture   *postureWatch
	damage    damageLog
	doors     doors
}

// damageLog counts what was found damaged and mended.
type damageLog struct {
	mu    sync.Mutex
	count int64
}

// Serve takes telemetry in and answers until the context ends; then it stops in order.
func Serve(ctx context.Context, o ServeOptions) error {
	w := &watch{opt: o, log: o.Log, started: time.Now().UTC(), board: newBoard()}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	lock, err := lockFolder(o.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	defer w.close()
	if err := w.open(ctx); err != nil {
		return err
	}
	return w.run(ctx)
}

func (w *watch) damaged(what string) {
	w.damage.mu.Lock()
	w.damage.count++
	w.damage.mu.Unlock()
	w.log.Warn("damage was found and mended as far as it could be", "what", what)
}

// open opens everything that is kept, in the order in which one needs the other.
func (w *watch) open(ctx context.Context) (err error) {
	key, err := installationKey(w.opt.Data)
	if err != nil {
		return err
	}
	if w.store, err = state.Open(w.opt.Data, state.Options{Damage: w.damaged}); err != nil {
		return fmt.Errorf("opening the state in %s: %w", w.opt.Data, err)
	}
	w.authority = authz.New(w.store, nil)
	w.declared = &declared{store: w.store, file: w.opt.Config, rules: w.opt.Rules, indicators: w.opt.Indicators}
	if err := w.declared.applyFile(ctx); err != nil {
		return err
	}
	setup, settings, err := w.declared.setup(ctx)
	if err != nil {
		return err
	}
	w.settings = settings
	if w.opt.Listen != "" {
		w.settings.Listen = w.opt.Listen
	}
	if settings.TLS == nil && !loopbackOnly(settings.Listen) {
		return fmt.Errorf("listening on %s without TLS would show passwords, tokens and telemetry to the network: set serve.tls in the configuration, or listen on 127.0.0.1", settings.Listen)
	}
	if w.listener, err = net.Listen("tcp", settings.Listen); err != nil {
		return fmt.Errorf("listening on %s: %w", settings.Listen, err)
	}
	debug.SetMemoryLimit(settings.Limits.Memory)
	dir := filepath.Join(w.opt.Data, "checkpoints")
	checkpoints, err := openCheckpoints(dir, w.damaged)
	if err != nil {
		return err
	}
	var floor uint64
	if n := len(checkpoints.list); n > 0 {
		floor = checkpoints.list[n-1].Seq
	}
	if w.bus, err = bus.Open(filepath.Join(w.opt.Data, "bus"), bus.Options{MinFree: settings.Limits.MinFree, Floor: floor, Damage: w.damaged, Log: w.log}); err != nil {
		return fmt.Errorf("opening the bus: %w", err)
	}
	w.gate = listen.NewGate(w.bus, listen.GateOptions{Quota: func(string) listen.Quota {
		return listen.Quota{EventsPerSecond: float64(settings.Limits.TenantEventsPerSecond), BytesPerSecond: float64(settings.Limits.TenantBytesPerSecond)}
	}})
	w.openPosture(setup)
	w.live, err = newLive(liveOptions{setup: setup, bus: w.bus, checkpoints: checkpoints, dir: dir, key: key, settle: settings.Reorder.Settle,
		busBytes: settings.Limits.BusBytes, horizon: horizon, log: w.log, bad: w.keepBad, progressed: w.gate.Progress, answered: w.board.post,
		observe: w.posture.exposed.take, beside: w.posture.standing})
	if err != nil {
		return err
	}
	if w.teller, err = newTeller(ctx, w, settings.Alert.For); err != nil {
		return err
	}
	if w.mail, err = w.openMail(setup); err != nil {
		return err
	}
	w.openHeld()
	return nil
}

// close lets go of what open opened, as far as it came.
func (w *watch) close() {
	if w.listener != nil {
		w.listener.Close()
	}
	w.mail.close()
	if w.bus != nil {
		w.bus.Close()
	}
	if w.store != nil {
		w.store.Close()
	}
}

// run runs every part until the context ends or one of them fails.
func (w *watch) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	listener := w.listener
	server, handler, err := w.server(listener)
	if err != nil {
		return err
	}
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	var group sync.WaitGroup
	part := func(name string, f func() error) {
		group.Go(func() {
			if err := f(); err != nil {
				fail(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part("the pipeline", func() error { return w.live.run(inner) })
	part("keeping answers", func() error { w.teller.run(inner); return nil })
	part("watching what is declared", func() error { w.followDeclared(ctx); return nil })
	part("expiry of held mail", func() error { w.expireHeld(ctx); return nil })
	part("posture", func() error { w.posture.run(ctx); return nil })
	part("notifications", func() error { return w.teller.send(inner) })
	if w.intakes, err = w.startIntakes(ctx); err != nil {
		fail(err)
	}
	if err := w.mail.start(ctx, fail); err != nil {
		fail(err)
	}
	part("HTTP", func() error {
		if err := server.serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	url := w.url(listener)
	w.log.Info("ready", "url", url, "data", w.opt.Data, "took", time.Since(w.started).Round(time.Millisecond).String())
	if w.opt.Ready != nil && ctx.Err() == nil {
		w.opt.Ready(&Running{URL: url, Submit: w.gate, Authority: w.authority, w: w})
	}
	<-ctx.Done()
	w.log.Info("stopping: no new telemetry is taken, what was accepted is on disk")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	w.intakes.stop(stopping)
	w.mail.stop(stopping)
	handler.Close()
	if err := server.shutdown(stopping); err != nil {
		w.log.Warn("some requests were cut off", "err", err)
	}
	if err := w.gate.Close(stopping); err != nil {
		w.log.Warn("some of what waited for the disk was refused", "err", err)
	}
	stopInner()
	group.Wait()
	if err := w.authority.Close(stopping); err != nil {
		w.log.Warn("when tokens were last used was not kept", "err", err)
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (w *watch) url(l net.Listener) string {
	scheme := "http"
	if w.settings.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + l.Addr().String()
}

// followDeclared takes what was applied, and what changed in watched files, without a gap.
func (w *watch) followDeclared(ctx context.Context) {
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		if !w.declared.changed(ctx) {
			continue
		}
		if err := w.declared.applyFile(ctx); err != nil {
			w.declared.stamp = w.declared.stamps()
			w.log.Error("the changed configuration is not taken; the one before it holds", "err", err)
			continue
		}
		setup, settings, err := w.declared.setup(ctx)
		if err != nil {
			w.declared.stamp = w.declared.stamps()
			w.log.Error("what changed is not taken; what was before it holds", "err", err)
			continue
		}
		if settings.Listen = w.settings.Listen; !reflect.DeepEqual(settings, w.settings) {
			w.log.Warn("the serve section of the configuration takes a restart; the rest of it is taken now")
		}
		w.declareMail(setup)
		w.live.do(func() {
			if err := w.live.reload(setup); err != nil {
				w.log.Error("what changed is not taken; what was before it holds", "err", err)
				return
			}
			w.log.Info("taken what changed", "snapshot", setup.Model.Version, "rules", setup.Rules.Len(), "tenants", len(setup.Model.Tenants))
		})
	}
}

// keepBad stores the bad records of a message as dead letters.
func (w *watch) keepBad(list []badRecord, seq uint64) error {
	letters := make([]state.DeadLetter, len(list))
	for i, b := range list {
		letters[i] = state.DeadLetter{ID: state.DeadLetterID{Seq: seq, Index: uint32(b.index)}, Tenant: b.tenant, Sensor: b.sensor,
			Time: b.frame.Received, Reason: b.reason, Raw: b.raw[:min(len(b.raw), state.MaxDeadLetter)], Cut: len(b.raw) > state.MaxDeadLetter}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.store.AddDeadLetters(ctx, letters)
}

// loopbackOnly reports whether an address to listen on is reached from this machine alone.
func loopbackOnly(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
