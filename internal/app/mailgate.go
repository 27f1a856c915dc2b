package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/indicator"
	"github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/mailauth"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// The sensor as which the gateway's records are counted, and the bounds of what waits for the bus.
const (
	mailSensor      = "mailgate"
	maxMailRecords  = 4096
	maxMailBytes    = 64 << 20
	mailBatch       = 200
	mailSaveEvery   = time.Minute
	maxUnscannedLog = 16 << 20
	sureIndicator   = 50 // stated confidence from which an indicator decides about a message; one that states none does too
)

// mailGate is the mail gateway of a running serve: milter listeners, the gate behind them, and what it keeps in the
// data folder below mail.
//
//	mail server ─ milter ─ gate ─┬─ decision ─ mail server
//	                             ├─ sealed copy ─ quarantine
//	                             └─ record ─ queue ─ bus ─ pipeline
type mailGate struct {
	w        *watch
	log      *slog.Logger
	settings *config.MailGate // as it was when serve started
	gate     *mailgate.Gate
	scorer   *mailgate.Scorer
	store    *quarantine.Store
	checker  *mailauth.Checker
	servers  []*milter.Server
	dir      string

	observed  *observedMail
	delivered *deliveredMail // nil where the quarantine is opened without serve

	mu         sync.Mutex
	queue      []mailRecord
	bytes      int
	queued     int64         // records that came to the queue since the start
	sent       int64         // those of them that have left it
	moved      chan struct{} // closed when some have left
	wake       chan struct{}
	indicators *indicator.Detector
	group      sync.WaitGroup
}

type mailRecord struct {
	tenant tenant.ID
	at     time.Time
	data   []byte
}

// openMail makes the gateway where the configuration has a mail section; nil where it has none.
func (w *watch) openMail(setup *Setup) (*mailGate, error) {
	if setup.Config == nil || setup.Config.Mail == nil {
		return nil, nil
	}
	m := &mailGate{w: w, log: w.log, settings: setup.Config.Mail, dir: filepath.Join(w.opt.Data, "mail"), wake: make(chan struct{}, 1), moved: make(chan struct{})}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the mail gateway: %w", err)
	}
	var err error
	if m.scorer, err = mailgate.NewScorer(setup.Model, filepath.Join(m.dir, "habits"), m.detector(setup.Config.Mail.Model), w.damaged); err != nil {
		return nil, err
	}
	if m.store, err = quarantine.Open(filepath.Join(w.opt.Data, "quarantine"), m.settings.Hold.Retention); err != nil {
		return nil, err
	}
	for _, name := range m.store.Set {
		w.damaged("a file of the quarantine was set aside: " + name)
	}
	if m.observed, err = openObserved(m.dir, w.damaged); err != nil {
		return nil, err
	}
	m.checker = mailauth.New(mailauth.Options{Budget: m.settings.Budget.DNS})
	m.indicate(setup)
	o := mailgate.Options{Settings: m.settings, Model: setup.Model, Scorer: m.scorer, Store: m.store, Log: w.log, Authenticate: m.authenticate, Match: m.match,
		Heightened: m.heightened, Publish: m.publish, Passed: m.passed, Observed: m.observed.take}
	if m.settings.Clamd != "" {
		o.Malware = mailgate.Clamd(m.settings.Clamd)
	}
	m.gate = mailgate.New(o)
	m.delivered, err = m.openDelivered(setup)
	return m, err
}

// detector returns what makes a scorer of mail, with a trained model where the site has one.
func (m *mailGate) detector(file string) func(*tenant.Model) (mailgate.Detector, error) {
	return func(model *tenant.Model) (mailgate.Detector, error) {
		d := phish.New(detect.Context{Model: model})
		if file == "" {
			return d, nil
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the trained mail model: %w", err)
		}
		defer f.Close()
		trained, err := learned.Read(f)
		if err != nil {
			return nil, fmt.Errorf("reading the trained mail model %s: %w", file, err)
		}
		d.UseModel(trained)
		return d, nil
	}
}

func (m *mailGate) indicate(s *Setup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.indicators = nil
	if s.Indicators != nil {
		m.indicators = indicator.New(detect.Context{Model: s.Model}, *s.Indicators)
	}
}

// match says which indicators a mail holds.
func (m *mailGate) match(e *ocsf.Event) []mailgate.Match {
	m.mu.Lock()
	d := m.indicators
	m.mu.Unlock()
	if d == nil {
		return nil
	}
	var out []mailgate.Match
	for _, h := range d.Hits(e) {
		out = append(out, mailgate.Match{Value: h.Indicator.Value, Text: fmt.Sprintf("%s is the %s %s of %s", h.Seen, h.Indicator.Type, h.Indicator.Value, h.Indicator.Source),
			Unsure: h.Indicator.Confidence > 0 && h.Indicator.Confidence < sureIndicator})
	}
	return out
}

func (m *mailGate) authenticate(ctx context.Context, s mailgate.Sender, raw []byte) mailgate.Proof {
	r := m.checker.Check(ctx, mailauth.Envelope{Client: s.Client, Helo: s.Helo, MailFrom: s.MailFrom}, raw)
	return &r
}

func (m *mailGate) heightened(id tenant.ID) bool {
	t := m.w.teller
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.book.At(id, time.Now()) == alertlevel.Heightened
}

// start listens for mail servers, and begins to publish and to save.
func (m *mailGate) start(ctx context.Context, failed func(error)) error {
	if m == nil {
		return nil
	}
	for _, l := range m.settings.Milter {
		s, err := milter.Listen(l.Listen, milter.Options{Judge: m.gate.Judge, Failed: m.gate.Failed, Outbound: l.Outbound, Log: m.log,
			MaxConnections: m.w.settings.Limits.Connections})
		if err != nil {
			return err
		}
		m.servers = append(m.servers, s)
		m.group.Go(func() {
			if err := s.Serve(); err != nil {
				failed(err)
			}
		})
		m.log.Info("listening for a mail server", "address", s.Addr().String(), "mode", string(m.settings.Mode), "outbound", l.Outbound)
	}
	m.group.Go(func() { m.send(ctx) })
	m.group.Go(func() { m.save(ctx) })
	m.delivered.start(ctx, m.w.live.current.Load(), failed)
	return nil
}

// stop answers what is under way, brings what waits to the bus, and keeps what was learned.
func (m *mailGate) stop(stopping context.Context) {
	if m == nil {
		return
	}
	for _, s := range m.servers {
		if err := s.Close(stopping); err != nil {
			m.log.Warn("stopping the milter", "err", err)
		}
	}
	m.delivered.stop()
	m.group.Wait()
	for m.sendSome(stopping) {
	}
	if n := len(m.queue); n > 0 {
		m.gate.Lose(int64(n))
		m.log.Error("records of judged mail did not reach the bus in time", "records", n)
	}
	if err := m.scorer.Save(time.Now()); err != nil {
		m.log.Error("the next start begins with older habits of mail senders", "err", err)
	}
	if err := m.observed.save(); err != nil {
		m.log.Error("what was observed last is not kept", "err", err)
	}
}

// close lets go of what openMail opened.
func (m *mailGate) close() {
	if m == nil {
		return
	}
	m.delivered.close()
	if m.checker != nil {
		m.checker.Close()
	}
	if m.store != nil {
		m.store.Close()
	}
}

// declareMail goes on with what is declared now. Listeners, and what else is made at the start, take a restart.
func (w *watch) declareMail(s *Setup) {
	m := w.mail
	if s.Config == nil {
		return
	}
	next := s.Config.Mail
	switch {
	case m == nil && next == nil:
		return
	case m == nil:
		w.log.Warn("the configuration has a mail section now; judging mail takes a restart")
		return
	case next == nil:
		w.log.Warn("the mail section is gone from the configuration; the gateway goes on as it was until a restart")
		return
	}
	if !slices.Equal(next.Milter, m.settings.Milter) || !reflect.DeepEqual(next.Journal, m.settings.Journal) || next.Clamd != m.settings.Clamd || next.Hold.Retention != m.settings.Hold.Retention || next.Model != m.settings.Model {
		m.log.Warn("milter, journal, clamd, model and hold.retention of the mail section take a restart; the rest of it is taken now")
	}
	if err := m.scorer.Declare(s.Model); err != nil {
		m.log.Error("what changed is not taken by the scorer of mail", "err", err)
		return
	}
	m.indicate(s)
	if !reflect.DeepEqual(next, m.settings) {
		m.log.Info("the mail section is taken", "mode", string(next.Mode), "policies", len(next.Policies))
	}
	m.gate.Declare(next, s.Model)
	w.declareHeld(s)
	m.delivered.declare(next, s)
}

// publish queues a record for the bus. A full queue loses the record, and counts it: mail must not wait for telemetry.
func (m *mailGate) publish(id tenant.ID, at time.Time, record []byte) {
	m.mu.Lock()
	full := len(m.queue) >= maxMailRecords || m.bytes+len(record) > maxMailBytes
	if !full {
		m.queue = append(m.queue, mailRecord{id, at, record})
		m.bytes += len(record)
		m.queued++
	}
	m.mu.Unlock()
	if full {
		m.gate.Lose(1)
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailGate) send(ctx context.Context) {
	for {
		for m.sendSome(ctx) {
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
	}
}

// sendSome brings some of what waits to the bus, and reports whether it did.
func (m *mailGate) sendSome(ctx context.Context) bool {
	m.mu.Lock()
	list := slices.Clone(m.queue[:min(len(m.queue), mailBatch)])
	m.mu.Unlock()
	if len(list) == 0 {
		return false
	}
	byTenant := map[tenant.ID]*bus.Frame{}
	var frames []bus.Frame
	for _, r := range list {
		f := byTenant[r.tenant]
		if f == nil {
			f = &bus.Frame{Sensor: mailSensor, Tenant: r.tenant, Layer: tenant.LayerMail, Authenticated: true, Received: time.Now().UTC(), First: 1}
			byTenant[r.tenant] = f
		}
		f.Data = append(f.Data, r.data...)
		f.Records++
	}
	for _, f := range byTenant {
		frames = append(frames, *f)
	}
	slices.SortFunc(frames, func(a, b bus.Frame) int { return cmp.Compare(a.Tenant, b.Tenant) })
	for {
		err := m.w.gate.Submit(ctx, frames...)
		var busy *listen.Busy
		switch {
		case err == nil:
			m.mu.Lock()
			m.queue = slices.Delete(m.queue, 0, len(list))
			for _, r := range list {
				m.bytes -= len(r.data)
			}
			m.wasSent(len(list))
			m.mu.Unlock()
			return true
		case errors.As(err, &busy):
		case ctx.Err() != nil:
			return false
		default:
			m.log.Error("records of judged mail are not on the bus yet", "err", err)
		}
		wait := time.Second
		if busy != nil {
			wait = busy.Retry
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// save keeps what was learned, each minute.
func (m *mailGate) save(ctx context.Context) {
	clock := time.NewTicker(mailSaveEvery)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		if err := m.scorer.Save(time.Now()); err != nil {
			m.log.Error("what was learned of mail senders is not kept yet", "err", err)
		}
		if err := m.observed.save(); err != nil {
			m.log.Error("what was observed is not kept yet", "err", err)
		}
	}
}

// passed lists a message that was delivered unscanned, a JSON object a line, for a later sweep. Beyond maxUnscannedLog
// the list begins anew and the one before it is kept.
func (m *mailGate) passed(u mailgate.Unscanned) {
	line, err := json.Marshal(u)
	if err != nil {
		m.log.Error("listing a message that was not judged", "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := filepath.Join(m.dir, "unscanned.jsonl")
	if st, err := os.Stat(name); err == nil && st.Size() > maxUnscannedLog {
		if err := os.Rename(name, name+".1"); err != nil {
			m.log.Error("putting the list of unscanned mail aside", "err", err)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(append(line, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		m.log.Error("listing a message that was not judged", "queue_id", u.QueueID, "err", err)
	}
}

// expose writes the gateway's counters.
func (m *mailGate) expose(x *exposition) {
	if m == nil {
		return
	}
	s := m.gate.Stats()
	slices.SortFunc(s.Messages, func(a, b mailgate.MessageCount) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Direction, b.Direction))
	})
	for _, c := range s.Messages {
		x.write("mail_messages_total", "counter", "messages judged", c.N, "verdict", c.Verdict, "action", c.Action, "direction", c.Direction)
	}
	for _, why := range []string{"time", "overload", "failed", "clamd", "hold"} {
		x.write("mail_unscanned_total", "counter", "messages that could not be judged, or not in whole", s.Unscanned[why], "reason", why)
	}
	var n int64
	for i, b := range mailgate.Bounds {
		n += s.Buckets[i]
		x.write("mail_answer_seconds_bucket", "counter", "answers to the mail server within a time", n, "le", fmt.Sprint(b))
	}
	n += s.Buckets[len(mailgate.Bounds)]
	x.write("mail_answer_seconds_bucket", "counter", "answers to the mail server within a time", n, "le", "+Inf")
	x.write("mail_answer_seconds_sum", "counter", "time of all answers", s.Seconds)
	x.write("mail_answer_seconds_count", "counter", "answers", n)
	x.write("mail_panics_total", "counter", "bugs of ours that a message has shown", s.Panics)
	x.write("mail_records_lost_total", "counter", "records of judged messages that never reached the pipeline", s.Lost)
	m.mu.Lock()
	x.write("mail_records_waiting", "gauge", "records of judged messages that wait for the bus", len(m.queue))
	m.mu.Unlock()
	open := 0
	for _, l := range m.servers {
		open += l.Stats().Connections
	}
	x.write("mail_connections", "gauge", "connections of mail servers", open)
	m.delivered.exposeDelivered(x)
}
