package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
)

// Times of the watch over posture.
const (
	postureLook  = time.Minute      // between two looks for changes
	postureWait  = 30 * time.Second // for the pipeline to say how ways in are used
	postureItems = 100              // facts kept of one control, the worst
)

// postureOptions are what the watch over posture is given.
type postureOptions struct {
	dir     string // where ledgers lie
	data    string
	log     *slog.Logger
	setup   func() *Setup
	used    func(context.Context, *tenant.Model) (map[tenant.ID]*used, error) // how ways in are used; nil: not known
	exposed *exposures
	seen    func() []*ocsf.Finding // what the pipeline found, newest answer
	fell    func()                 // told where findings changed
	damaged func(string)
	audit   func(context.Context, state.AuditEntry) error // nil: nothing is noted
	now     func() time.Time                              // UTC
}

// postureWatch judges the posture of every tenant, one after the other, beside the pipeline.
//
//	folders ─ changed? due? ─ read (one tenant) ─┬─ judge ─┬─ ledger (days, falls) ─ findings ─ answer
//	hop sessions, flows ─────────────────────────┘         └─ board ─ API, page, statement
//	statements of partners ─ held against findings and facts ─ findings
//
// A tenant's evidence is let go of before the next one's is read. What fails at one tenant is told and does not keep
// others from being judged; what was judged before stays until it can be judged again.
type postureWatch struct {
	postureOptions

	// These are the judging goroutine's alone.
	section string // the rules were loaded from
	looked  time.Time
	judged  time.Time // when all were last judged
	ledgers map[tenant.ID]*postureLedger
	stamps  map[tenant.ID]string

	mu       sync.Mutex // guards what follows, which is read by others
	on       *config.Posture
	rules    *postureRules
	problem  string   // why rules could not be loaded
	strays   []string // what lies in the folders and is nobody's
	states   map[tenant.ID]*postureState
	findings map[tenant.ID][]*ocsf.Finding

	adding sync.Mutex // held while a fact is written
}

// postureState is what is known of one tenant. It is not changed once others may see it.
type postureState struct {
	report     *posture.Report // without names of accounts, each control with its worst facts
	statement  *posture.Statement
	files      []posture.FileRead
	hide       []string // what names of files begin with, and people need not see
	days       map[string]*controlLedger
	contradict map[string][]string // by a statement's SHA-256, the controls
	problem    string
}

func newPostureWatch(o postureOptions) *postureWatch {
	if o.now == nil {
		o.now = func() time.Time { return time.Now().UTC() }
	}
	return &postureWatch{postureOptions: o, ledgers: map[tenant.ID]*postureLedger{}, stamps: map[tenant.ID]string{},
		states: map[tenant.ID]*postureState{}, findings: map[tenant.ID][]*ocsf.Finding{}}
}

// recall takes up what was found before a restart, so that it is neither withdrawn nor found again.
func (p *postureWatch) recall() {
	s := p.setup()
	if s.Config == nil || s.Config.Posture == nil {
		return
	}
	for i := range s.Model.Tenants {
		id := s.Model.Tenants[i].ID
		l := p.ledger(id)
		p.mu.Lock()
		p.on = s.Config.Posture
		p.findings[id] = l.findings()
		p.mu.Unlock()
	}
}

func (p *postureWatch) ledger(id tenant.ID) *postureLedger {
	l := p.ledgers[id]
	if l == nil {
		l = openLedger(p.dir, id, p.damaged)
		p.ledgers[id] = l
	}
	return l
}

// run looks now, and then once a minute, until the context ends.
func (p *postureWatch) run(ctx context.Context) {
	clock := time.NewTicker(postureLook)
	defer clock.Stop()
	for {
		p.step(ctx, p.now())
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
	}
}

// step does what is due at a time: it takes changed rules, and judges the tenants whose evidence changed, or all of
// them where it is time.
func (p *postureWatch) step(ctx context.Context, now time.Time) {
	s := p.setup()
	if s.Config == nil || s.Config.Posture == nil {
		p.switchOff()
		return
	}
	if since := now.Sub(p.looked); !p.looked.IsZero() && since >= 0 && since < postureLook {
		return
	}
	p.looked = now
	section := s.Config.Posture
	all := p.load(section, s.Model.Version)
	p.mu.Lock()
	rules := p.rules
	p.mu.Unlock()
	if rules == nil {
		return
	}
	if since := now.Sub(p.judged); p.judged.IsZero() || since >= section.Every || since < 0 {
		all = true
	}
	var due []tenant.Tenant
	stamps := map[tenant.ID]string{}
	for _, t := range s.Model.Tenants {
		dirs, _ := postureRoots(section, p.data, t.ID)
		stamps[t.ID] = folderStamp(dirs)
		if all || p.stamps[t.ID] != stamps[t.ID] {
			due = append(due, t)
		}
	}
	p.forgetTenants(s.Model)
	p.stray(section, s.Model)
	if len(due) == 0 {
		return
	}
	uses := p.uses(ctx, s.Model)
	p.exposed.declare(s.Model)
	told := false
	for _, t := range due {
		if ctx.Err() != nil {
			return
		}
		changed, err := p.judge(ctx, s, rules, t, uses[t.ID], now)
		if ctx.Err() != nil {
			return
		}
		p.stamps[t.ID] = stamps[t.ID] // what fails is tried again when something changes, and with all
		if err != nil {
			p.log.Error("the posture of a tenant was not judged; what was judged before stays", "tenant", t.ID, "err", err)
			p.failed(t.ID, err)
		}
		told = told || changed
	}
	if all {
		p.judged = now
	}
	if told {
		p.fell()
	}
}

// uses asks the pipeline how the ways into tenants are used. Where it is busy, posture is judged without.
func (p *postureWatch) uses(ctx context.Context, m *tenant.Model) map[tenant.ID]*used {
	if p.used == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, postureWait)
	defer cancel()
	list, err := p.used(ctx, m)
	if err != nil {
		p.log.Warn("posture is judged without the use of ways in", "why", err)
	}
	return list
}

// switchOff forgets what was judged where the configuration has no section any more. Ledgers stay on disk.
func (p *postureWatch) switchOff() {
	p.mu.Lock()
	was := p.on != nil
	p.on, p.rules, p.problem = nil, nil, ""
	clear(p.states)
	clear(p.findings)
	p.mu.Unlock()
	if was {
		clear(p.ledgers)
		clear(p.stamps)
		p.section, p.looked, p.judged = "", time.Time{}, time.Time{}
		p.fell()
	}
}

// forgetTenants lets go of tenants that are declared no more.
func (p *postureWatch) forgetTenants(m *tenant.Model) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.states {
		if m.Tenant(id) == nil {
			delete(p.states, id)
			delete(p.findings, id)
			delete(p.ledgers, id)
			delete(p.stamps, id)
		}
	}
}

// load takes rules that changed, and reports whether all tenants are to be judged anew. Rules that don't load are told
// once and those before them hold.
func (p *postureWatch) load(section *config.Posture, version string) bool {
	stamp := version + "\n" + ruleStamp(section)
	if stamp == p.section {
		return false
	}
	p.section = stamp
	rules, err := loadPostureRules(section)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = section
	if err != nil {
		p.problem = err.Error()
		p.log.Error("what posture is judged by is not taken; what was before it holds", "err", err)
		return false
	}
	for _, what := range rules.problems {
		p.log.Error("posture is judged without a part of what was named", "why", what)
	}
	p.rules, p.problem = rules, ""
	return true
}

// failed notes why a tenant was not judged, beside what was judged before.
func (p *postureWatch) failed(id tenant.ID, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &postureState{}
	if old := p.states[id]; old != nil {
		*s = *old
	}
	s.problem = oneLineOf(err.Error())
	p.states[id] = s
}

// judge reads and judges one tenant, and reports whether its findings changed.
func (p *postureWatch) judge(ctx context.Context, s *Setup, rules *postureRules, t tenant.Tenant, use *used, now time.Time) (changed bool, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("judging failed, which is a bug of ours: %v", x)
		}
	}()
	k := posture.Knowledge{Model: s.Model, KEV: rules.kev, KEVFile: rules.kevFile}
	section := s.Config.Posture
	dirs, hide := postureRoots(section, p.data, t.ID)
	reading, err := readEvidence(ctx, k, dirs, t.ID, serveReading)
	if err != nil {
		return false, err
	}
	l := p.ledger(t.ID)
	exposed := p.exposed.items(t.ID, l.exposed(), now)
	items := slices.Concat(reading.items, k.Facts(t.ID), useItems(s.Model, t.ID, use, reading.items), exposed)
	checker := rules.library.For(t, rules.policy)
	report, err := checker.Check(ctx, items, now)
	if err != nil {
		return false, err
	}
	statement, err := report.State(section.Issuer, "", now, posture.StatementLife)
	if err != nil {
		return false, err
	}
	st := &postureState{statement: statement, files: reading.files, hide: hide, contradict: map[string][]string{}}
	var found []*ocsf.Finding
	for _, x := range rules.statements {
		list, err := p.against(ctx, s.Model, checker, x, t.ID, items, now)
		if err != nil {
			return false, err
		}
		for i := range list {
			st.contradict[x.SHA256] = append(st.contradict[x.SHA256], list[i].Claim.Control)
			f := list[i].Finding(x.Verified, x.partner, s.Model.Version)
			f.Reason = shorten(withoutNames(f.Reason, namesIn(list[i].Facts)))
			f.End = now // it is so now, however old what shows it
			found = append(found, f)
		}
	}
	st.report = forPeople(report, postureItems)
	falls := l.judged(st.report)
	for _, f := range falls {
		found = append(found, fallFinding(f, t.ID, s.Model.Version, hide, now))
	}
	changed = l.found(found)
	changed = l.forget(now) || changed
	l.keepExposed(exposed)
	if err := l.write(p.dir); err != nil {
		p.log.Error("what was judged is not kept; a restart may tell a fall again", "tenant", t.ID, "err", err)
	}
	st.days = l.copyControls()
	p.mu.Lock()
	p.states[t.ID] = st
	p.findings[t.ID] = l.findings()
	p.mu.Unlock()
	for _, f := range falls {
		p.log.Info("a control fell", "tenant", t.ID, "control", f.result.Control.ID, "status", f.result.Status, "before", f.before)
	}
	return changed, nil
}

// against holds a partner's statement against what is known at one of its clients. One that has expired claims nothing.
func (p *postureWatch) against(ctx context.Context, m *tenant.Model, c *posture.Checker, x partnerStatement, id tenant.ID, items []evidenceItem, now time.Time) ([]posture.Contradiction, error) {
	if !now.Before(x.Expires) || !slices.ContainsFunc(m.TrustsInto(id), func(t *tenant.Trust) bool { return t.Partner == x.partner }) {
		return nil, nil
	}
	var sightings []posture.Sighting
	for _, f := range p.seen() {
		if f.Tenant == id && f.Partner == x.partner && f.Detector != postureDetector {
			sightings = append(sightings, posture.SightingOf(f))
		}
	}
	return c.Against(ctx, x.Verified, x.partner, sightings, items, now)
}

// standing returns the findings of all tenants: what a fall or a contradicted claim is told as. They are never changed.
func (p *postureWatch) standing() []*ocsf.Finding {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*ocsf.Finding
	for _, list := range p.findings {
		out = append(out, list...)
	}
	return out
}

func oneLineOf(s string) string { return strings.Join(strings.Fields(s), " ") }

// maxStrays is how many things that are nobody's are named.
const maxStrays = 10

// stray notes what lies in the shared folders and is read by nobody: folders that name no tenant, and loose files.
func (p *postureWatch) stray(section *config.Posture, m *tenant.Model) {
	var out []string
	for _, root := range section.Folders {
		list, err := os.ReadDir(root)
		if err != nil {
			out = append(out, fmt.Sprintf("posture.folders: %s can't be read: %v", root, err))
			continue
		}
		for _, d := range list {
			name := filepath.Join(root, d.Name())
			switch {
			case strings.HasPrefix(d.Name(), "."):
			case !d.IsDir() && d.Type()&os.ModeSymlink == 0:
				out = append(out, name+" is not read: it lies in no tenant's folder")
			case m.Tenant(tenant.ID(d.Name())) == nil:
				out = append(out, name+" is not read: its name is no tenant's")
			}
		}
	}
	if more := len(out) - maxStrays; more > 0 {
		out = append(out[:maxStrays], fmt.Sprintf("and %d more things in the folders of evidence are nobody's", more))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strays = out
}
