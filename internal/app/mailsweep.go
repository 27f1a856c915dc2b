package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
	"github.com/breakwater-project/breakwater/internal/respond/notify"
)

// byItself is who asks for a sweep that nobody started by hand.
const byItself = "breakwater"

// Times and bounds of following what lies in files.
const (
	followEvery  = 10 * time.Second
	maxUnscanned = 1_000            // Message-IDs of one sweep
	unscannedLag = 15 * time.Second // until a message that was passed is taken to lie in its mailbox
)

// sweeperOf makes the sweeper of a tenant's mailboxes.
func (m *mailGate) sweeperOf(s *config.MailGate, id tenant.ID, judge sweep.Judge) (*sweep.Sweeper, error) {
	return sweep.New(sweep.Options{Tenant: id, Mailboxes: s.MailboxesOf(id, config.MailboxSweep), State: sweepsDir(m.dir), Judge: judge, Log: m.log})
}

// ask puts a sweep into the queue. What can't wait any more is told and left out: the sweeps before it are of the same day.
func (f *deliveredMail) ask(w wish) error {
	w.Asked = time.Now().UTC()
	fresh, err := f.queue.ask(w)
	if errors.Is(err, errManyWishes) {
		f.counts.add("sweep", w.Tenant, "refused", 1)
		f.log.Error("a sweep is left out", "tenant", w.Tenant, "why", w.Why, "err", err)
		return nil
	}
	if fresh {
		f.log.Info("a sweep is asked for", "tenant", w.Tenant, "trigger", w.Trigger, "why", w.Why, "apply", w.Apply)
	}
	return err
}

// sweepQueued works the queue, one sweep at a time, until the context ends.
func (f *deliveredMail) sweepQueued(ctx context.Context) {
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	f.keepSwept(ctx)
	for {
		perHour := 20
		if s := f.declared.Load().settings.Sweep; s != nil {
			perHour = s.PerHour
		}
		for w := f.queue.next(time.Now(), perHour); w != nil && ctx.Err() == nil; w = f.queue.next(time.Now(), perHour) {
			f.sweepOne(ctx, w)
		}
		select {
		case <-ctx.Done():
			return
		case <-f.queue.wake:
		case <-clock.C:
		}
	}
}

// swept is what came of a sweep that started by itself.
type swept struct {
	outcome  string // applied, offered, listed, nothing or failed
	run      string
	messages int
	problems []string
	why      string // in addition
	early    bool   // nothing was there yet; it may come
}

// sweepOne makes one sweep and tells what came of it.
func (f *deliveredMail) sweepOne(ctx context.Context, w *wish) {
	out, err := f.perform(ctx, w)
	if ctx.Err() != nil {
		return // it is begun again after the next start
	}
	if err != nil {
		out.problems = append(out.problems, err.Error())
		out.outcome = cmp.Or(out.outcome, "failed")
	}
	if (len(out.problems) > 0 && out.outcome != "offered" || out.early) && f.queue.later(w, time.Now()) {
		f.log.Info("a sweep is tried again", "tenant", w.Tenant, "why", w.Why, "problems", strings.Join(out.problems, "; "))
		if out.outcome != "applied" || out.messages == 0 {
			return
		}
		f.tellSwept(w, out)
		return
	}
	if out.outcome == "nothing" && len(out.problems) > 0 {
		out.outcome = "failed"
	}
	if err := f.queue.end(w, out.outcome, out.run, out.messages, time.Now()); err != nil {
		f.log.Error("a sweep may be made once more after a restart", "err", err)
	}
	f.tellSwept(w, out)
}

func (f *deliveredMail) tellSwept(w *wish, out swept) {
	f.counts.add("sweep", w.Tenant, out.outcome, 1)
	f.counts.add("swept", w.Tenant, out.outcome, int64(out.messages))
	f.log.Info("a sweep has ended", "tenant", w.Tenant, "trigger", w.Trigger, "why", w.Why, "outcome", out.outcome, "run", out.run, "messages", out.messages, "problems", strings.Join(out.problems, "; "))
	if out.outcome == "nothing" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	of := fmt.Sprintf("%s %s (%s: %s)", out.outcome, out.run, w.Trigger, w.Why)
	if err := f.m.w.store.Audit(ctx, state.AuditEntry{At: time.Now().UTC(), Who: byItself, What: "mail.sweep", Of: of, Tenant: w.Tenant}); err != nil {
		f.log.Error("a sweep is not in the audit", "run", out.run, "err", err)
	}
	b := notify.Body{Subject: "sweep " + w.Key + " " + out.run, Severity: ocsf.SeverityHigh, Text: []string{"What started it: " + w.Trigger + ", " + w.Why + "."}}
	switch out.outcome {
	case "applied":
		b.Title = fmt.Sprintf("%d delivered messages of %s were moved to quarantine", out.messages, w.Tenant)
		b.Text = append(b.Text, fmt.Sprintf("This is run %s. `breakwater mail sweep show` lists them, `breakwater mail sweep undo` puts them back.", out.run))
	case "offered":
		b.Title = fmt.Sprintf("%d delivered messages of %s may be swept", out.messages, w.Tenant)
		b.Text = append(b.Text, fmt.Sprintf("Nothing was moved. `breakwater mail sweep show %s` lists them, `breakwater mail sweep accept %s` moves them.", out.run, out.run))
	case "listed":
		b.Title = fmt.Sprintf("%d delivered copies at %s are like it", out.messages, w.Tenant)
		b.Text = append(b.Text, "The mailboxes are not reached from here. `breakwater mail sweep --list csv`, or `--list graph`, with the same indicators writes them down.")
	default:
		b.Title = fmt.Sprintf("A sweep of the mail of %s did not work", w.Tenant)
	}
	if out.why != "" {
		b.Text = append(b.Text, out.why)
	}
	for _, p := range out.problems[:min(len(out.problems), 5)] {
		b.Text = append(b.Text, "Problem: "+p)
	}
	f.tell(w.Tenant, b)
}

// perform makes a sweep: of mailboxes, or where the tenant has none that is reached, of the list of what was delivered.
func (f *deliveredMail) perform(ctx context.Context, w *wish) (swept, error) {
	d := f.declared.Load()
	most := 200
	if d.settings.Sweep != nil {
		most = d.settings.Sweep.Most
	}
	if d.model.Tenant(w.Tenant) == nil {
		return swept{outcome: "nothing"}, nil
	}
	if len(d.settings.MailboxesOf(w.Tenant, config.MailboxSweep)) == 0 {
		l, err := f.ledger(w.Tenant)
		if err != nil {
			return swept{}, err
		}
		list, err := l.Find(w.Criteria, 0)
		if err != nil || len(list) == 0 {
			return swept{outcome: "nothing"}, err
		}
		return swept{outcome: "listed", messages: len(list)}, nil
	}
	s, err := f.m.sweeperOf(d.settings, w.Tenant, f.judge)
	if err != nil {
		return swept{}, err
	}
	req := sweep.Request{Criteria: w.Criteria, By: byItself, Why: w.Trigger + ": " + w.Why}
	look := req
	if w.Apply {
		look.Limits.Messages = most + 1 // one more says that it is too many
	}
	res, err := s.Run(ctx, look)
	if err != nil {
		return swept{}, err
	}
	early := w.Trigger == string(config.SweepOnVerdict) && res.Looked == 0
	last, many := w.tries+1 >= sweepTries, w.Apply && len(res.Messages) > most
	switch {
	case w.Apply && !many:
		// Also where nothing is found: a run that was cut off is finished by it.
		req.Apply = true
		if res, err = s.Run(ctx, req); err != nil {
			return swept{}, err
		}
		out := swept{outcome: "applied", run: res.Run, problems: res.Problems, early: early && len(res.Messages) == 0}
		for _, m := range res.Messages {
			if m.State == sweep.Moved {
				out.messages++
			}
		}
		if out.messages+res.Finished == 0 {
			out.outcome = "nothing"
		}
		out.messages += res.Finished
		f.keepSwept(ctx)
		return out, nil
	case len(res.Messages) == 0 || len(res.Problems) > 0 && !last && !many:
		return swept{outcome: "nothing", problems: res.Problems, early: early}, nil
	}
	why := ""
	if many {
		why = fmt.Sprintf("More than mail.sweep.most (%d) messages were found, so that a person is to decide.", most)
	}
	if res, err = s.Offer(ctx, req); err != nil {
		return swept{}, err
	}
	if res.Run == "" {
		return swept{outcome: "nothing", problems: res.Problems}, nil
	}
	return swept{outcome: "offered", run: res.Run, messages: len(res.Messages), problems: res.Problems, why: why}, nil
}

// keepSwept puts what was swept into quarantine, by whomever it was swept, and notes there what was put back.
func (f *deliveredMail) keepSwept(ctx context.Context) {
	f.keeping.Lock()
	defer f.keeping.Unlock()
	d := f.declared.Load()
	for i := range d.model.Tenants {
		id := d.model.Tenants[i].ID
		if ctx.Err() != nil || len(d.settings.MailboxesOf(id, config.MailboxSweep)) == 0 {
			continue
		}
		if err := f.keepSweptOf(ctx, d, id); err != nil && ctx.Err() == nil {
			f.log.Warn("swept mail is not in quarantine yet; it is tried again", "tenant", id, "err", err)
		}
	}
}

func (f *deliveredMail) keepSweptOf(ctx context.Context, d *mailDeclared, id tenant.ID) error {
	s, err := f.m.sweeperOf(d.settings, id, nil)
	if err != nil {
		return err
	}
	key := func(run string) string { return "run\x00" + string(id) + "\x00" + run }
	runs, err := s.Ended(func(run string) bool { return f.kept.Has(key(run), "kept") })
	if err != nil {
		return err
	}
	box, err := f.m.store.Box(id)
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		switch {
		case time.Since(r.Ended) > d.settings.Hold.Retention:
		case r.Kind == sweep.KindUndo:
			err = f.noteUndone(ctx, box, r)
		default:
			err = s.Copies(ctx, r, func(m sweep.Move, raw []byte) error { return f.keepOne(ctx, box, id, r, &m, raw) })
		}
		if err == nil {
			err = f.kept.Note(key(r.ID), "kept", time.Now())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *deliveredMail) keepOne(ctx context.Context, box *quarantine.Box, id tenant.ID, r *sweep.Run, m *sweep.Move, raw []byte) error {
	it := sweep.ItemOf(r, m, r.Began)
	msg := mailMessage(raw, timeOf(raw, time.Now()))
	msg.Recipients = it.Recipients
	if v, err := f.m.gate.Assess(ctx, id, msg, mailgate.Reported); err == nil {
		it.Verdict = &v
	}
	_, err := box.Keep(it, raw)
	if errors.Is(err, quarantine.ErrFull) {
		f.log.Error("swept mail lies in the mailboxes' quarantine folders alone", "tenant", id, "run", r.ID, "err", err)
		return nil
	}
	return err
}

// back is the mover of what was put back already.
type back struct{}

// Release has nothing to do.
func (back) Release(context.Context, quarantine.Item, []byte) error { return nil }

// Delete is never asked.
func (back) Delete(context.Context, quarantine.Item) error {
	return errors.New("it was put back, and is not deleted")
}

// noteUndone calls those messages released that an undo has put back.
func (f *deliveredMail) noteUndone(ctx context.Context, box *quarantine.Box, r *sweep.Run) error {
	put := map[string]bool{}
	for i := range r.Moves {
		if r.Moves[i].State == sweep.Moved {
			put[sweep.Reference(r.Of, r.Moves[i].Seq)] = true
		}
	}
	for _, it := range box.List(quarantine.Filter{State: quarantine.StateHeld, Limit: quarantine.MaxItems}) {
		if it.Place != quarantine.PlaceMailbox || !put[it.QueueID] {
			continue
		}
		if err := box.Release(ctx, it.Name, cmp.Or(r.By, byItself), time.Now(), back{}); err != nil && !errors.Is(err, quarantine.ErrState) {
			return err
		}
	}
	return nil
}

// followFiles reads what was delivered unscanned, and looks for runs that others made, until the context ends.
func (f *deliveredMail) followFiles(ctx context.Context) {
	clock := time.NewTicker(followEvery)
	defer clock.Stop()
	for {
		if err := f.unscanned(); err != nil {
			f.log.Error("what was delivered without a verdict is not judged again yet", "err", err)
		}
		f.keepSwept(ctx)
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
	}
}

// triggered returns the settings of sweeps that start by themselves, where that trigger is on; nil where it is not.
func (d *mailDeclared) triggered(on config.MailTrigger) *config.MailSweep {
	if s := d.settings.Sweep; s != nil && slices.Contains(s.On, on) {
		return s
	}
	return nil
}

// swept lists the tenants whose delivered mail is known: by mailboxes, or by a journal.
func (d *mailDeclared) swept() []tenant.ID {
	var out []tenant.ID
	for i := range d.model.Tenants {
		id := d.model.Tenants[i].ID
		known := slices.ContainsFunc(d.settings.Mailboxes, func(b config.Mailbox) bool { return b.Tenant == id && b.Kind != config.MailboxReports })
		if j := d.settings.Journal; j != nil {
			known = known || slices.ContainsFunc(j.Bindings, func(b config.JournalBinding) bool { return b.Tenant == id })
		}
		if known {
			out = append(out, id)
		}
	}
	return out
}

// place is how far the list of unscanned mail was read.
type place struct {
	Offset int64 `json:"offset"`
}

// unscanned asks for sweeps of what was delivered without a verdict since the last time.
func (f *deliveredMail) unscanned() error {
	d := f.declared.Load()
	set := d.triggered(config.SweepOnVerdict)
	name := filepath.Join(f.m.dir, "unscanned.jsonl")
	at := filepath.Join(f.dir, "unscanned.place")
	var from place
	raw, err := os.ReadFile(at)
	first := errors.Is(err, os.ErrNotExist)
	if err != nil && !first || err == nil && json.Unmarshal(raw, &from) != nil {
		return fmt.Errorf("reading how far unscanned mail was judged: %s: %w", at, cmp.Or(err, errors.New("it is damaged; remove it, and the list is gone through again")))
	}
	st, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of unscanned mail: %w", err)
	}
	if set == nil { // what comes while nobody asks is not gone through later
		if from.Offset == st.Size() {
			return nil
		}
		return f.keepPlace(at, place{st.Size()})
	}
	var list []mailgate.Unscanned
	if from.Offset > st.Size() { // the list was begun anew
		rest, _, err := unscannedFrom(name+".1", from.Offset)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		list, from.Offset = rest, 0
	}
	more, end, err := unscannedFrom(name, from.Offset)
	if err != nil {
		return err
	}
	if end == from.Offset && len(list) == 0 {
		return nil
	}
	if err := f.askUnscanned(d, set, append(list, more...)); err != nil {
		return err
	}
	return f.keepPlace(at, place{end})
}

func (f *deliveredMail) keepPlace(name string, p place) error {
	raw, err := json.Marshal(p)
	if err == nil {
		err = writeWhole(name, raw)
	}
	if err != nil {
		return fmt.Errorf("noting how far unscanned mail was judged: %w", err)
	}
	return nil
}

// unscannedFrom reads whole lines from a place on, and returns where they end.
func unscannedFrom(name string, from int64) ([]mailgate.Unscanned, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, from, fmt.Errorf("reading the list of unscanned mail: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.NewSectionReader(f, from, 2*maxUnscannedLog))
	if err != nil {
		return nil, from, fmt.Errorf("reading the list of unscanned mail: %w", err)
	}
	n := bytes.LastIndexByte(raw, '\n') + 1
	var out []mailgate.Unscanned
	for line := range bytes.Lines(raw[:n]) {
		var u mailgate.Unscanned
		if json.Unmarshal(line, &u) == nil && u.Tenant != "" {
			out = append(out, u)
		}
	}
	return out, from + int64(n), nil
}

// askUnscanned asks for one sweep of each tenant that finds what of its mail is phishing now. What has no Message-ID is
// looked for by its sender within the hour.
func (f *deliveredMail) askUnscanned(d *mailDeclared, set *config.MailSweep, list []mailgate.Unscanned) error {
	byTenant := map[tenant.ID][]mailgate.Unscanned{}
	for _, u := range list {
		if time.Since(u.Time) < set.Since {
			byTenant[u.Tenant] = append(byTenant[u.Tenant], u)
		}
	}
	for _, id := range sortedTenants(byTenant) {
		if len(d.settings.MailboxesOf(id, config.MailboxSweep)) == 0 {
			continue // a copy in a journal was judged when it came
		}
		for chunk := range slices.Chunk(byTenant[id], maxUnscanned) {
			var ids []string
			since := chunk[0].Time
			for _, u := range chunk {
				if u.Time.Before(since) {
					since = u.Time
				}
				mid := strings.Trim(u.MessageID, "<> ")
				switch {
				case mid != "" && !strings.ContainsAny(mid, " \t\r\n\x00"):
					ids = append(ids, mid)
				case strings.Contains(u.From, "@") && !strings.ContainsAny(u.From, " \t\r\n\x00"):
					c := sweep.Criteria{From: []string{u.From}, Verdict: "phish", Since: u.Time.Add(-time.Minute), Until: u.Time.Add(time.Hour)}
					if err := f.askJudged(id, set, []string{u.From, u.Time.String()}, c, 1); err != nil {
						return err
					}
				}
			}
			if len(ids) == 0 {
				continue
			}
			slices.Sort(ids)
			ids = slices.Compact(ids)
			c := sweep.Criteria{MessageIDs: ids, Verdict: "phish", Since: since.Add(-time.Hour)}
			if err := f.askJudged(id, set, append([]string{since.String()}, ids...), c, len(ids)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *deliveredMail) askJudged(id tenant.ID, set *config.MailSweep, values []string, c sweep.Criteria, n int) error {
	return f.ask(wish{Key: wishKey("verdict", id, values), Tenant: id, Trigger: string(config.SweepOnVerdict), Apply: set.Act == config.SweepApply, Criteria: c,
		Why: fmt.Sprintf("%d messages that were delivered without a verdict", n), after: time.Now().Add(unscannedLag)})
}
