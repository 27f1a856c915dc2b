package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/mailauth"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

const (
	quarantineDir = "quarantine" // in the data folder
	expireEvery   = time.Hour
	learnWithin   = 10 * time.Second // for proof of who sent a message that was reported
)

// moversOf returns who lets held mail go on, and deletes it, as the mail section says.
func (g *mailGate) moversOf(s *config.MailGate, log *slog.Logger) quarantine.Movers {
	m := quarantine.Movers{Mailbox: sweep.Mover{Open: func(id tenant.ID) (*sweep.Sweeper, error) { return g.sweeperOf(s, id, nil) }}, MTA: &quarantine.Commands{ReleaseBy: s.Hold.Release, DeleteBy: s.Hold.Delete, Said: func(it quarantine.Item, program, output string) {
		log.Info("the mail server moved held mail", "tenant", it.Tenant, "name", it.Name, "program", program, "said", output)
	}}}
	if s.Hold.Reinject != "" {
		m.Store = mailgate.NewMover(s)
	}
	return m
}

// openHeld makes the desk over the gateway's quarantine, where there is one.
func (w *watch) openHeld() {
	if w.mail != nil {
		w.held = w.mail.newDesk()
	}
}

func (m *mailGate) newDesk() *quarantine.Desk {
	l := learner{scorer: m.scorer, prove: m.authenticate, log: m.log}
	return quarantine.NewDesk(m.store, m.moversOf(m.settings, m.log), quarantine.DeskOptions{Learn: l.learn, Told: l.told})
}

// heldMail returns the desk as the API takes it; nil where no mail is judged, so that nothing is there to ask.
func (w *watch) heldMail() api.Quarantine {
	if w.held == nil {
		return nil
	}
	return w.held
}

// declareHeld lets held mail go on as what is declared now says.
func (w *watch) declareHeld(s *Setup) {
	if w.held != nil && s.Config != nil && s.Config.Mail != nil {
		w.held.Use(w.mail.moversOf(s.Config.Mail, w.log))
	}
}

// expireHeld removes held mail that is older than its time, at the start and each hour.
func (w *watch) expireHeld(ctx context.Context) {
	if w.held == nil {
		return
	}
	clock := time.NewTicker(expireEvery)
	defer clock.Stop()
	for {
		n, err := w.held.Expire(ctx)
		if n > 0 {
			w.log.Info("held mail has expired", "messages", n)
		}
		if err != nil && ctx.Err() == nil {
			w.log.Error("some held mail could not expire; it is tried again in an hour", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
	}
}

// exposeHeld writes how much mail is held.
func (w *watch) exposeHeld(x *exposition) {
	if w.held == nil {
		return
	}
	for _, c := range w.held.Counts(tenant.ScopeAll()) {
		of := []string{"tenant", string(c.Tenant), "state", string(c.State)}
		x.write("mail_held_messages", "gauge", "messages in quarantine", c.Messages, of...)
		x.write("mail_held_bytes", "gauge", "their size", c.Bytes, of...)
	}
}

// learner lets the scorer learn from what people say of held mail.
type learner struct {
	scorer *mailgate.Scorer
	prove  func(ctx context.Context, s mailgate.Sender, raw []byte) mailgate.Proof
	log    *slog.Logger
}

// learn takes a message as what a person called it. Who sent it is proven anew: what a message says of itself is no
// proof, or one that was forged and called a false alarm would teach habits of whom it pretends to be.
func (l learner) learn(id tenant.ID, it quarantine.Item, feedback string, raw []byte) {
	e, reason := mail.Message(raw)
	if e == nil {
		l.log.Warn("a reported message can't be learned from", "tenant", id, "name", it.Name, "why", reason)
		return
	}
	e.Tenant = id
	ctx, cancel := context.WithTimeout(context.Background(), learnWithin)
	defer cancel()
	e.Mail.SPF, e.Mail.DKIM, e.Mail.DMARC, e.Mail.DKIMDomain, e.Mail.ARC, e.Mail.ARCDomain = "", "", "", "", "", ""
	if l.prove != nil {
		if p := l.prove(ctx, mailgate.Sender{MailFrom: it.EnvelopeFrom}, raw); p != nil {
			p.Apply(e.Mail)
		}
	}
	v, err := l.scorer.Judge(ctx, e)
	switch {
	case err != nil:
	case feedback == quarantine.FalseAlarm:
		err = l.scorer.Forgive(ctx, e, called(v, feedback))
	default:
		err = l.scorer.Learn(ctx, e, called(v, feedback))
	}
	if err != nil {
		l.log.Warn("a reported message was not learned from", "tenant", id, "name", it.Name, "err", err)
		return
	}
	l.log.Info("a reported message was learned from", "tenant", id, "name", it.Name, "as", feedback)
}

// called is a verdict as a person corrects it. Reasons of the scorer's own stay with what is phishing: they name the
// places to be wary of.
func called(v ocsf.MailVerdict, feedback string) ocsf.MailVerdict {
	if feedback == quarantine.FalseAlarm {
		return ocsf.MailVerdict{Verdict: phish.Clean, Threshold: v.Threshold}
	}
	v.Verdict = phish.Phish
	return v
}

func (l learner) told(it quarantine.Item, what string, err error) {
	l.log.Warn("held mail: "+what+" did not work", "tenant", it.Tenant, "name", it.Name, "queue_id", it.QueueID, "err", err)
}

// OpenQuarantine opens the held mail of a data folder whose server is stopped, for as long as the closer is open. File is
// the configuration that says how held mail goes on; empty: the one that was applied last. What was found damaged goes
// to damaged.
func OpenQuarantine(ctx context.Context, data, file string, log *slog.Logger, damaged func(string)) (*quarantine.Desk, io.Closer, error) {
	dir := filepath.Join(data, quarantineDir)
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return nil, nil, fmt.Errorf("%s holds no mail: it is no data folder of a `breakwater serve` with a mail section", data)
	}
	lock, err := lockFolder(data)
	if err != nil {
		return nil, nil, fmt.Errorf("a server is at work on %s: ask it, with --server (%w)", data, err)
	}
	c := &closers{lock}
	desk, err := openQuarantine(ctx, c, data, file, log, damaged)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return desk, c, nil
}

func openQuarantine(ctx context.Context, c *closers, data, file string, log *slog.Logger, damaged func(string)) (*quarantine.Desk, error) {
	f, err := appliedConfig(ctx, data, file, damaged)
	if err != nil {
		return nil, err
	}
	retention := config.DefaultMailGate().Hold.Retention
	if f.Mail != nil {
		retention = f.Mail.Hold.Retention
	}
	store, err := quarantine.Open(filepath.Join(data, quarantineDir), retention)
	if err != nil {
		return nil, err
	}
	*c = append(*c, store)
	for _, name := range store.Set {
		damaged("a file of the quarantine was set aside: " + name)
	}
	if f.Mail == nil {
		return quarantine.NewDesk(store, quarantine.Movers{}, quarantine.DeskOptions{}), nil
	}
	dir := filepath.Join(data, "mail")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the mail gateway: %w", err)
	}
	m := &mailGate{log: log, settings: f.Mail, store: store, dir: dir, checker: mailauth.New(mailauth.Options{Budget: f.Mail.Budget.DNS})}
	*c = append(*c, closer(m.checker.Close))
	if m.scorer, err = mailgate.NewScorer(f.Model, filepath.Join(dir, "habits"), m.detector(f.Mail.Model), damaged); err != nil {
		return nil, err
	}
	*c = append(*c, saver{m.scorer})
	return m.newDesk(), nil
}

// appliedConfig reads a configuration, or the one that was applied last.
func appliedConfig(ctx context.Context, data, file string, damaged func(string)) (*config.File, error) {
	if file != "" {
		return config.Load(file)
	}
	s, err := state.Open(data, state.Options{Damage: damaged})
	if err != nil {
		return nil, fmt.Errorf("opening the state in %s: %w", data, err)
	}
	defer s.Close()
	doc, err := s.LatestDocument(ctx)
	if errors.Is(err, state.ErrNotFound) {
		return nil, fmt.Errorf("no configuration was ever applied to %s; name one with --config", data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the applied configuration: %w", err)
	}
	f, err := config.Parse(doc.Name, doc.Text)
	if err != nil {
		return nil, fmt.Errorf("the applied configuration is not valid any more: %w", err)
	}
	return f, nil
}

// closers are closed in the other order.
type closers []io.Closer

// Close closes all of them.
func (c *closers) Close() error {
	var all []error
	for i := len(*c) - 1; i >= 0; i-- {
		all = append(all, (*c)[i].Close())
	}
	*c = nil
	return errors.Join(all...)
}

// closer is a function that closes.
type closer func()

// Close calls it.
func (c closer) Close() error {
	c()
	return nil
}

// saver keeps what was learned when it is closed.
type saver struct{ scorer *mailgate.Scorer }

// Close saves.
func (s saver) Close() error { return s.scorer.Save(time.Now()) }
