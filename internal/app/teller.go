package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/notify"
)

// teller does with each answer what is to be done beside the pipeline: it keeps findings, incidents and campaigns,
// moves alert levels, and queues notifications. It takes the newest answer and skips those it had no time for.
type teller struct {
	w       *watch
	log     *slog.Logger
	lasting time.Duration // of levels that campaigns raise

	mu   sync.Mutex
	book *alertlevel.Book

	planner  *notify.Planner // nil: nobody is to be told
	sender   *notify.Sender
	caughtUp bool // what was accepted before the start has been concluded

	hashes map[state.AnswerID]string
	kept   map[string]*ocsf.Finding // as they were when they were kept last: what is the same needs no second look
}

// tellLeast is the time between two answers that are kept.
const tellLeast = time.Second

func newTeller(ctx context.Context, w *watch, lasting time.Duration) (*teller, error) {
	t := &teller{w: w, log: w.log, lasting: lasting, kept: map[string]*ocsf.Finding{}}
	var err error
	if t.hashes, err = w.store.AnswerHashes(ctx); err != nil {
		return nil, fmt.Errorf("reading what was answered before: %w", err)
	}
	list, err := w.store.AlertLevelHistory(ctx, tenant.ScopeAll(), 10_000)
	if err != nil {
		return nil, fmt.Errorf("reading alert levels: %w", err)
	}
	var entries []alertlevel.Entry
	for _, l := range list {
		level, err := alertlevel.Parse(l.Level)
		if err != nil {
			t.log.Warn("an alert level is left out", "tenant", l.Tenant, "why", err)
			continue
		}
		e := alertlevel.Entry{ID: l.ID, Tenant: l.Tenant, Level: level, Reason: l.Reason, By: l.By, From: l.From, Until: l.Until, Ended: l.Ended, EndedBy: l.EndedBy}
		if rest, ok := strings.CutPrefix(l.By, alertlevel.ByCampaign+" "); ok {
			var partner string
			e.By = alertlevel.ByCampaign
			e.Campaign, partner, _ = strings.Cut(rest, " ")
			e.Partner = tenant.PartnerID(partner)
		}
		entries = append(entries, e)
	}
	t.book = alertlevel.NewBook(entries)
	return t, t.channels(ctx, &w.settings.Notify)
}

// keepLevel stores an entry of the book.
func (t *teller) keepLevel(ctx context.Context, e *alertlevel.Entry) error {
	by := e.By
	if e.Campaign != "" {
		by = fmt.Sprintf("%s %s %s", alertlevel.ByCampaign, e.Campaign, e.Partner)
	}
	_, err := t.w.store.RaiseAlertLevel(ctx, state.AlertLevel{ID: e.ID, Tenant: e.Tenant, Level: string(e.Level), From: e.From, Until: e.Until,
		Reason: e.Reason, By: by, Ended: e.Ended, EndedBy: e.EndedBy})
	if err == nil && !e.Ended.IsZero() {
		err = t.w.store.EndAlertLevel(ctx, tenant.ScopeAll(), e.ID, e.EndedBy)
	}
	if err != nil {
		return fmt.Errorf("keeping the alert level of %s: %w", e.Tenant, err)
	}
	return nil
}

// run tells answers until the context ends; the last one too.
func (t *teller) run(ctx context.Context) {
	var told uint64
	for {
		a, changed := t.w.board.read()
		if a != nil && a.Version > told {
			told = a.Version
			if err := t.tell(context.WithoutCancel(ctx), a); err != nil {
				t.log.Error("keeping what was concluded; it is tried again with the next answer", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellLeast):
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (t *teller) tell(ctx context.Context, a *Answer) error {
	if err := t.keep(ctx, a.Result); err != nil {
		return err
	}
	if t.w.mail != nil {
		t.w.mail.delivered.campaigned(a.Result)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.book.Follow(a.Result, a.Model, t.lasting, time.Now().UTC()) {
		if err := t.keepLevel(ctx, &e); err != nil {
			return err
		}
	}
	return t.notify(ctx, a)
}

// keep stores what changed of findings, incidents and campaigns, and deletes what is concluded no more.
func (t *teller) keep(ctx context.Context, r *campaign.Result) error {
	var changed []state.Answer
	now := time.Now().UTC()
	hashes := make(map[state.AnswerID]string, len(t.hashes))
	put := func(kind state.Kind, id string, first time.Time, tenants []tenant.ID, v any) error {
		body, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding %s %s: %w", kind, id, err)
		}
		sum := sha256.Sum256(body)
		key, hash := state.AnswerID{Kind: kind, ID: id}, hex.EncodeToString(sum[:16])
		hashes[key] = hash
		if t.hashes[key] != hash {
			changed = append(changed, state.Answer{AnswerID: key, Tenants: tenants, FirstSeen: first, Changed: now, Hash: hash, Body: body})
		}
		return nil
	}
	kept := make(map[string]*ocsf.Finding, len(r.List))
	for _, f := range r.List {
		kept[f.ID] = f
		key := state.AnswerID{Kind: state.Finding, ID: f.ID}
		if h, ok := t.hashes[key]; ok && t.kept[f.ID] == f {
			hashes[key] = h
			continue
		}
		if err := put(state.Finding, f.ID, f.Time, []tenant.ID{f.Tenant}, f); err != nil {
			return err
		}
	}
	for i := range r.Incidents {
		x := &r.Incidents[i]
		if err := put(state.Incident, x.ID, x.Start, []tenant.ID{x.Tenant}, x); err != nil {
			return err
		}
	}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		var ids []tenant.ID
		for _, x := range c.Tenants {
			if x.Outcome != campaign.Clear {
				ids = append(ids, x.Tenant)
			}
		}
		if len(ids) == 0 {
			continue
		}
		slices.Sort(ids)
		if err := put(state.Campaign, c.ID, c.Start, ids, c); err != nil {
			return err
		}
	}
	var withdrawn []state.AnswerID
	for key := range t.hashes {
		if _, ok := hashes[key]; !ok {
			withdrawn = append(withdrawn, key)
		}
	}
	if len(changed) > 0 || len(withdrawn) > 0 {
		if err := t.w.store.ChangeAnswers(ctx, changed, withdrawn); err != nil {
			return err
		}
	}
	t.hashes, t.kept = hashes, kept
	return nil
}
