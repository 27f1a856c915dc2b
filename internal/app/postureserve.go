package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// maxAdded bounds the facts that came over the API of one tenant, in bytes.
const maxAdded = 64 << 20

// trendDays is over how many days a trend goes.
const trendDays = 90

// openPosture makes the watch over posture and takes up what was found before; it judges nothing yet.
func (w *watch) openPosture(setup *Setup) {
	w.posture = newPostureWatch(postureOptions{
		dir: filepath.Join(w.opt.Data, "posture"), data: w.opt.Data, log: w.log, damaged: w.damaged,
		exposed: newExposures(setup.Model),
		setup: func() *Setup {
			if w.live == nil {
				return setup
			}
			return w.live.current.Load()
		},
		used: func(ctx context.Context, m *tenant.Model) (out map[tenant.ID]*used, err error) {
			err = w.live.doWithin(ctx, func() { out = usesOf(w.live.core.graph, m) })
			return out, err
		},
		seen: func() []*ocsf.Finding {
			if a, _ := w.board.read(); a != nil {
				return a.Result.List
			}
			return nil
		},
		fell: func() { w.live.do(func() { w.live.changed = true }) },
	})
	w.posture.recall()
	w.posture.audit = w.store.Audit
}

// Board implements api.Posture.
func (p *postureWatch) Board(_ context.Context, scope tenant.Scope) (api.PostureBoard, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on == nil {
		return api.PostureBoard{}, api.ErrNotFound
	}
	now := p.now()
	b := api.PostureBoard{At: now, Tenants: []api.PostureTenant{}, KEV: kevOf(nil, now)}
	if p.rules != nil {
		b.KEV, b.Controls = kevOf(p.rules.kev, now), len(p.rules.library.Controls())
	}
	m := p.setup().Model
	for i := range m.Tenants {
		if t := &m.Tenants[i]; scope.Sees(t.ID) {
			b.Tenants = append(b.Tenants, p.summary(t, now))
		}
	}
	worstTenants(b.Tenants)
	if campaign.SeesAll(scope) {
		if p.problem != "" {
			b.Problems = append(b.Problems, p.problem)
		}
		b.Problems = append(b.Problems, p.strays...)
		if p.rules != nil {
			b.Problems = append(b.Problems, p.rules.problems...)
		}
	}
	return b, nil
}

func kevOf(k *product.KEV, now time.Time) api.PostureKEV {
	out := api.PostureKEV{Says: k.AgeInWords(now)}
	if k != nil {
		out.Version, out.Released, out.Old, out.AgeDays = k.Version, some(k.Released), k.Old(now), max(0, int(k.Age(now)/(24*time.Hour)))
	}
	return out
}

// worstTenants orders by how many controls fail, then are stale, then are unknown; those that were not judged come first.
func worstTenants(list []api.PostureTenant) {
	count := func(t *api.PostureTenant, s posture.Status) (n int) {
		for _, p := range t.Pillars {
			n += p.Counts[s]
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b api.PostureTenant) int {
		if (a.At == nil) != (b.At == nil) {
			if a.At == nil {
				return -1
			}
			return 1
		}
		for _, s := range posture.Statuses[:3] {
			if x := count(&b, s) - count(&a, s); x != 0 {
				return x
			}
		}
		return strings.Compare(string(a.Tenant), string(b.Tenant))
	})
}

// summary is how a tenant stands, without controls. The caller holds the lock.
func (p *postureWatch) summary(t *tenant.Tenant, now time.Time) api.PostureTenant {
	out := api.PostureTenant{Tenant: t.ID, Name: t.Name, Pillars: []api.PosturePillar{}}
	s := p.states[t.ID]
	if s != nil {
		out.Problem = s.problem
	}
	if s == nil || s.report == nil {
		for _, x := range evidence.Pillars {
			out.Pillars = append(out.Pillars, api.PosturePillar{Pillar: x, Status: posture.Unknown, Counts: map[posture.Status]int{}, Trend: api.PostureTrend{Days: []*float64{}}})
		}
		return out
	}
	out.At = some(s.report.At)
	for _, f := range s.files {
		out.LeftOut += f.Bad
	}
	for _, x := range s.report.Pillars() {
		out.Pillars = append(out.Pillars, api.PosturePillar{Pillar: x.Pillar, Status: x.Status, Counts: x.Counts, Trend: s.trend(x.Pillar, now)})
	}
	return out
}

// trend is the share of a pillar's controls that held, day by day.
func (s *postureState) trend(pillar evidence.Pillar, now time.Time) api.PostureTrend {
	t := api.PostureTrend{Days: []*float64{}}
	for before := trendDays - 1; before >= 0; before-- {
		all, held := 0, 0
		for _, x := range s.report.Results {
			c := s.days[x.Control.ID]
			if x.Control.Pillar != pillar || c == nil {
				continue
			}
			switch c.on(now, before) {
			case "":
				continue
			case posture.Pass, posture.Excepted:
				held++
			}
			all++
		}
		switch {
		case all > 0:
			v := float64(held) / float64(all)
			t.Days = append(t.Days, &v)
		case len(t.Days) > 0:
			t.Days = append(t.Days, nil)
		}
	}
	for len(t.Days) > 0 && t.Days[len(t.Days)-1] == nil {
		t.Days = t.Days[:len(t.Days)-1]
	}
	t.Change30, t.Change90 = change(t.Days, 30), change(t.Days, trendDays)
	return t
}

// change is the newest value against the earliest of the last so many days.
func change(days []*float64, last int) *float64 {
	if over := len(days) - last - 1; over > 0 {
		days = days[over:]
	}
	first := slices.IndexFunc(days, func(v *float64) bool { return v != nil })
	if first < 0 || first == len(days)-1 {
		return nil
	}
	d := *days[len(days)-1] - *days[first]
	return &d
}

// Tenant implements api.Posture.
func (p *postureWatch) Tenant(_ context.Context, scope tenant.Scope, id tenant.ID) (api.PostureTenant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.setup().Model.Tenant(id)
	if p.on == nil || t == nil || !scope.Sees(id) {
		return api.PostureTenant{}, api.ErrNotFound
	}
	now := p.now()
	out := p.summary(t, now)
	s := p.states[id]
	if s == nil || s.report == nil {
		return out, nil
	}
	for _, x := range s.report.Results {
		out.Controls = append(out.Controls, s.control(x, now))
	}
	for _, f := range s.files {
		y := api.PostureFile{File: hidden(f.File, s.hide), Format: f.Format, Facts: f.Items, LeftOut: f.Bad}
		for _, x := range f.Problems {
			y.Problems = append(y.Problems, posture.Problem{File: hidden(x.File, s.hide), Line: x.Line, Reason: x.Reason}.Error())
		}
		out.Files = append(out.Files, y)
	}
	if p.rules != nil {
		m := p.setup().Model
		for _, x := range p.rules.statements {
			if slices.ContainsFunc(m.TrustsInto(id), func(t *tenant.Trust) bool { return t.Partner == x.partner }) {
				out.Statements = append(out.Statements, statementOf(x, s.contradict[x.SHA256], now))
			}
		}
	}
	return out, nil
}

func statementOf(x partnerStatement, contradicted []string, now time.Time) api.PostureStatement {
	out := api.PostureStatement{Partner: x.partner, Issuer: x.Issuer, Signer: x.Signer, At: x.At, Expires: x.Expires, Expired: !now.Before(x.Expires),
		Claims: map[posture.Status]int{}, Contradicted: append([]string{}, contradicted...)}
	for i := range x.Claims {
		status, _ := x.StandingAt(&x.Claims[i], now)
		out.Claims[status]++
	}
	return out
}

// control shows one control with what is behind it.
func (s *postureState) control(x *posture.Result, now time.Time) api.PostureControl {
	d := x.Control
	out := api.PostureControl{Control: d.ID, Title: d.Title, Pillar: d.Pillar, Severity: d.Severity, Status: x.Status, Reason: x.Reason, About: d.About, Where: d.Where, Require: d.Require,
		Expect: d.Expect, Reads: d.Reads, FreshHours: int(d.Fresh / time.Hour), References: append([]posture.Reference{}, d.References...), Settings: x.Settings, Facts: x.Counts,
		Oldest: some(x.Oldest), Newest: some(x.Newest), Exceptions: x.Exceptions, Lapsed: x.Lapsed, Items: []api.PostureItem{}, Days: []posture.Status{}, File: d.File}
	if !strings.HasPrefix(d.File, "controls/") {
		out.File = filepath.Base(d.File)
	}
	all := 0
	for _, n := range x.Counts {
		all += n
	}
	out.More = max(0, all-len(x.Items))
	if c := s.days[d.ID]; c != nil {
		out.Since = some(c.Since)
		for before := trendDays - 1; before >= 0; before-- {
			if v := c.on(now, before); v != "" || len(out.Days) > 0 {
				out.Days = append(out.Days, v)
			}
		}
	}
	for _, j := range x.Items {
		i := j.Item
		out.Items = append(out.Items, api.PostureItem{Status: j.Status, Subject: i.Subject, Kind: i.Kind, Partner: i.Partner, Trust: i.Trust, At: some(i.At),
			File: hidden(i.From.File, s.hide), Line: i.From.Line, SHA256: i.From.SHA256, Says: j.Says})
	}
	return out
}

// Add implements api.Posture: the fact goes into a folder of the tenant's own, on disk before it is acknowledged.
func (p *postureWatch) Add(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, f posture.Fact) error {
	p.mu.Lock()
	on := p.on != nil
	p.mu.Unlock()
	m := p.setup().Model
	if !on || !scope.Sees(id) || m.Tenant(id) == nil || filepath.Base(string(id)) != string(id) || strings.ContainsAny(string(id), `/\`) || id == "." || id == ".." {
		return api.ErrNotFound
	}
	f.Tenant = id
	if f.Trust != "" && !slices.ContainsFunc(m.TrustsInto(id), func(t *tenant.Trust) bool { return t.ID == f.Trust }) {
		return &api.Problem{Status: http.StatusBadRequest, Says: "trust: there is none of that id into the tenant"}
	}
	if f.Partner != "" && !slices.ContainsFunc(m.TrustsInto(id), func(t *tenant.Trust) bool { return t.Partner == f.Partner }) {
		return &api.Problem{Status: http.StatusBadRequest, Says: "partner: there is none of that id with a trust into the tenant"}
	}
	line, err := json.Marshal(f)
	if err != nil {
		return &api.Problem{Status: http.StatusBadRequest, Says: "the fact can't be written as JSON: " + err.Error()}
	}
	if _, err := posture.ParseFact(line); err != nil {
		return &api.Problem{Status: http.StatusBadRequest, Says: "the fact is not taken: " + err.Error()}
	}
	p.adding.Lock()
	defer p.adding.Unlock()
	if err := appendFact(filepath.Join(addedFolder(p.data), string(id), "facts.jsonl"), line); err != nil {
		return err
	}
	if p.audit == nil {
		return nil
	}
	return p.audit(ctx, state.AuditEntry{At: p.now(), Who: by.ID, What: "added evidence of " + f.Kind, Of: f.Subject, Tenant: id})
}

// appendFact adds one whole line and waits until it is on disk.
func appendFact(name string, line []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("making the folder of added evidence: %w", err)
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing a fact: %w", err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return fmt.Errorf("writing a fact: %w", err)
	}
	if st.Size()+int64(len(line)) > maxAdded {
		return &api.Problem{Status: http.StatusInsufficientStorage, Says: fmt.Sprintf("more than %d MiB of facts were added for this tenant: put what is old away from the server's posture/evidence folder", maxAdded>>20)}
	}
	var last [1]byte
	if st.Size() > 0 {
		if _, err := file.ReadAt(last[:], st.Size()-1); err == nil && last[0] != '\n' {
			line = append([]byte("\n"), line...) // what a crash cut short must not become part of it
		}
	}
	_, err = file.Write(append(line, '\n'))
	if err := errors.Join(err, file.Sync()); err != nil {
		return fmt.Errorf("writing a fact: %w", err)
	}
	return nil
}

// Statement implements api.Posture: what was judged last, signed with the server's key.
func (p *postureWatch) Statement(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, to string) ([]byte, error) {
	p.mu.Lock()
	s := p.states[id]
	p.mu.Unlock()
	if !scope.Sees(id) || p.setup().Model.Tenant(id) == nil {
		return nil, api.ErrNotFound
	}
	if s == nil || s.statement == nil {
		return nil, &api.Problem{Status: http.StatusConflict, Says: "its posture was not judged yet; try again in a minute", Retry: time.Minute}
	}
	key, err := signing.ReadKey(ExchangeKey(p.data))
	if err != nil {
		if _, missing := os.Stat(ExchangeKey(p.data)); errors.Is(missing, os.ErrNotExist) {
			return nil, &api.Problem{Status: http.StatusConflict, Says: "this server has no key to sign with; make one with `breakwater trace key create` and the server's data folder"}
		}
		return nil, err
	}
	x := *s.statement
	x.For, x.Issued = to, p.now().Truncate(time.Second)
	if x.Issued.Before(x.At) {
		x.Issued = x.At.Truncate(time.Second)
	}
	x.Expires = x.Issued.Add(posture.StatementLife)
	doc, err := x.Sign(key)
	if err != nil {
		return nil, err
	}
	if p.audit != nil {
		if err := p.audit(ctx, state.AuditEntry{At: p.now(), Who: by.ID, What: "signed a statement of posture", Of: to, Tenant: id}); err != nil {
			return nil, err
		}
	}
	return doc, nil
}
