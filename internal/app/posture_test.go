package app

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

var june = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

// postureSite is a server's watch over posture with a clock of its own, and the folders that it looks into.
type postureSite struct {
	*postureWatch
	t       testing.TB
	folder  string
	clock   time.Time
	conf    *Setup
	found   []*ocsf.Finding // by the pipeline
	fells   int
	damages []string
	audits  []state.AuditEntry
}

func openPostureSite(t testing.TB) *postureSite {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir()) // nothing that posture update has kept on this machine
	t.Setenv("HOME", t.TempDir())
	s := &postureSite{t: t, folder: t.TempDir(), clock: june}
	own := filepath.Join(t.TempDir(), "controls")
	s.write(filepath.Join(own, "locked.yaml"), `id: door-locked
title: The door is locked
pillar: network
severity: high
about: A door that stands open lets anybody in. Lock it.
references: [{source: "CIS v8", id: "12.2"}]
reads: [test.door]
fresh: 35d
require: item.values.locked
says: '"the door " + item.subject + " is open to " + item.values.user'
examples:
  - {name: locked, want: pass, now: 2026-06-01T00:00:00Z, evidence: [{kind: test.door, subject: front, at: 2026-05-31T00:00:00Z, values: {locked: true}}]}
  - {name: open, want: fail, now: 2026-06-01T00:00:00Z, evidence: [{kind: test.door, subject: front, at: 2026-05-31T00:00:00Z, values: {locked: false, user: jo}}]}
  - {name: long ago, want: stale, now: 2026-06-01T00:00:00Z, evidence: [{kind: test.door, subject: front, at: 2026-01-01T00:00:00Z, values: {locked: true}}]}
`)
	m := &tenant.Model{Version: "v1", Tenants: []tenant.Tenant{{ID: "acme", Name: "Acme", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}, {ID: "borg", Name: "Borg"}, {ID: "msp", Name: "North MSP"}},
		Partners: []tenant.Partner{{ID: "north", Name: "North MSP", Tenant: "msp"}},
		Trusts:   []tenant.Trust{{ID: "north-acme", Partner: "north", Tenant: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}}}}
	p := config.DefaultPosture()
	p.Folders, p.Controls = []string{s.folder}, own
	s.conf = &Setup{Model: m, Config: &config.File{Model: m, Posture: p}}
	s.restart(t.TempDir())
	return s
}

// restart goes on as another process would, on what the one before kept.
func (s *postureSite) restart(data string) {
	s.postureWatch = newPostureWatch(postureOptions{dir: filepath.Join(data, "posture"), data: data, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		setup: func() *Setup { return s.conf }, exposed: newExposures(s.conf.Model), seen: func() []*ocsf.Finding { return s.found },
		fell: func() { s.fells++ }, damaged: func(what string) { s.damages = append(s.damages, what) },
		audit: func(_ context.Context, e state.AuditEntry) error { s.audits = append(s.audits, e); return nil },
		now:   func() time.Time { return s.clock }})
	s.recall()
}

func (s *postureSite) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// door writes what is known of a tenant's door.
func (s *postureSite) door(id string, locked bool, at time.Time) {
	s.write(filepath.Join(s.folder, id, "sub", "doors.jsonl"), "\n"+doorFact("front", locked, at))
}

func doorFact(subject string, locked bool, at time.Time) string {
	return fmt.Sprintf(`{"kind":"test.door","subject":%q,"at":%q,"values":{"locked":%v,"user":"jo.doe@acme.example"}}`+"\n", subject, at.Format(time.RFC3339), locked)
}

// after lets time pass and what is due be done.
func (s *postureSite) after(d time.Duration) {
	s.clock = s.clock.Add(d)
	s.step(s.t.Context(), s.clock)
}

// doors are the findings about doors, in words.
func (s *postureSite) doors() []string {
	var out []string
	for _, f := range s.standing() {
		if f.Rule == "door-locked" {
			out = append(out, fmt.Sprintf("%s %s %s", f.Tenant, f.Time.Format(time.DateOnly), f.Title))
		}
	}
	return out
}

func (s *postureSite) status(id tenant.ID, control string) posture.Status {
	s.t.Helper()
	x, err := s.Tenant(s.t.Context(), tenant.ScopeAll(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range x.Controls {
		if c.Control == control {
			return c.Status
		}
	}
	return ""
}

func TestAFallIsToldOnceUntilItHoldsAgain(t *testing.T) {
	s := openPostureSite(t)
	data := s.data
	day := 24 * time.Hour
	for i, c := range []struct {
		what    string
		locked  string // yes, no; empty: nothing new is known
		pass    time.Duration
		restart bool
		status  posture.Status
		told    int
	}{
		{"it holds", "yes", time.Minute, false, posture.Pass, 0},
		{"it fails", "no", 2 * time.Minute, false, posture.Fail, 1},
		{"it still fails", "", 7 * time.Hour, false, posture.Fail, 1},
		{"a restart tells nothing again", "", 7 * time.Hour, true, posture.Fail, 1},
		{"it holds again", "yes", 2 * time.Minute, false, posture.Pass, 1},
		{"it fails again", "no", 2 * time.Minute, false, posture.Fail, 2},
		{"it holds", "yes", 2 * time.Minute, false, posture.Pass, 2},
		{"its evidence grows old", "", 36 * day, false, posture.Stale, 3},
		{"it stays old", "", day, true, posture.Stale, 3},
		{"what was stale fails", "no", 2 * time.Minute, false, posture.Fail, 4},
		{"and its evidence grows old", "", 40 * day, false, posture.Fail, 4},
	} {
		if c.restart {
			s.restart(data)
			if n := len(s.doors()); n != c.told {
				t.Errorf("%d %s: before it is judged %d findings stand, want %d", i, c.what, n, c.told)
			}
		}
		if c.locked != "" {
			s.door("acme", c.locked == "yes", s.clock.Add(time.Duration(i)*time.Second))
		}
		s.after(c.pass)
		if got := s.status("acme", "door-locked"); got != c.status {
			t.Errorf("%d %s: %s, want %s", i, c.what, got, c.status)
		}
		if got := s.doors(); len(got) != c.told {
			t.Errorf("%d %s: told %q, want %d", i, c.what, got, c.told)
		}
	}
	ids := map[string]bool{}
	for _, f := range s.standing() {
		if f.Rule == "door-locked" {
			ids[f.ID] = true
		}
	}
	if len(ids) != 4 {
		t.Errorf("4 falls have %d ids", len(ids))
	}
}

func TestAFallSaysWhatAndWhereAndNoName(t *testing.T) {
	s := openPostureSite(t)
	s.door("acme", false, june)
	s.after(time.Minute)
	var f *ocsf.Finding
	for _, x := range s.standing() {
		if x.Rule == "door-locked" {
			f = x
		}
	}
	if f == nil {
		t.Fatal("a first failure is no finding")
	}
	if f.Detector != "posture" || f.Tenant != "acme" || f.Severity != ocsf.SeverityHigh || f.Layer != tenant.LayerNetwork || f.Count != 1 || f.Snapshot != "v1" {
		t.Errorf("%+v", f)
	}
	if want := "front: the door front is open to person "; !strings.HasPrefix(f.Reason, want) || !strings.Contains(f.Reason, "judged for the first time") || !strings.Contains(f.Reason, "acme/sub/doors.jsonl:2") {
		t.Errorf("reason %q", f.Reason)
	}
	if len(f.Evidence) != 1 || f.Evidence[0].File != "acme/sub/doors.jsonl" || f.Evidence[0].Record != 2 {
		t.Errorf("evidence %+v", f.Evidence)
	}
	x, err := s.Tenant(t.Context(), tenant.ScopeAll(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"jo.doe", s.folder} {
		if strings.Contains(string(body), no) || strings.Contains(f.Reason, no) {
			t.Errorf("the answer holds %q", no)
		}
	}
	b, err := f.MarshalJSON()
	if err != nil || strings.Contains(string(b), "jo.doe") {
		t.Errorf("the finding as JSON: %v %s", err, b)
	}
}

func TestOnlyWhatChangedIsJudgedBetweenTwoRounds(t *testing.T) {
	s := openPostureSite(t)
	s.door("acme", true, june)
	s.door("borg", true, june)
	s.after(time.Minute)
	judged := func(id tenant.ID) time.Time { return s.states[id].report.At }
	first := judged("borg")
	s.door("acme", false, june.Add(time.Second))
	s.after(30 * time.Second)
	if !judged("acme").Equal(first) {
		t.Error("it looked twice within a minute")
	}
	s.after(31 * time.Second)
	if !judged("acme").Equal(s.clock) || !judged("borg").Equal(first) {
		t.Errorf("acme was judged at %s, borg at %s", judged("acme"), judged("borg"))
	}
	s.after(6 * time.Hour)
	if !judged("borg").Equal(s.clock) {
		t.Errorf("borg was judged at %s, and it is %s", judged("borg"), s.clock)
	}
	s.after(-48 * time.Hour) // a clock that is set back
	if !judged("borg").Equal(s.clock) {
		t.Errorf("after the clock was set back borg is of %s", judged("borg"))
	}
}

func TestIsolationOneTenantsFolderTellsNothingOfAnother(t *testing.T) {
	s := openPostureSite(t)
	s.write(filepath.Join(s.folder, "acme", "doors.jsonl"), doorFact("front", true, june)+strings.Replace(doorFact("back", false, june), `{`, `{"tenant":"borg",`, 1))
	s.write(filepath.Join(s.folder, "stranger", "doors.jsonl"), doorFact("front", false, june))
	s.write(filepath.Join(s.folder, "loose.jsonl"), strings.Replace(doorFact("back", false, june), `{`, `{"tenant":"borg",`, 1))
	if err := os.Symlink(filepath.Join(s.folder, "acme"), filepath.Join(s.folder, "acme", "loop")); err != nil {
		t.Fatal(err)
	}
	s.after(time.Minute)
	if got := s.status("borg", "door-locked"); got != posture.Unknown {
		t.Errorf("borg is %s by the evidence of others", got)
	}
	if got := s.status("acme", "door-locked"); got != posture.Pass {
		t.Errorf("acme is %s", got)
	}
	if got := s.doors(); len(got) != 0 {
		t.Errorf("told %q", got)
	}
	b, err := s.Board(t.Context(), tenant.ScopeAll())
	if said := strings.Join(b.Problems, "\n"); err != nil || !strings.Contains(said, "stranger is not read") || !strings.Contains(said, "loose.jsonl is not read") {
		t.Errorf("%v: %s", err, said)
	}
	if b, err = s.Board(t.Context(), tenant.ScopeOf("borg")); err != nil || len(b.Tenants) != 1 || b.Tenants[0].Tenant != "borg" || b.Problems != nil {
		t.Errorf("borg's board: %v %+v", err, b)
	}
	if _, err := s.Tenant(t.Context(), tenant.ScopeOf("borg"), "acme"); err != api.ErrNotFound {
		t.Errorf("acme by borg: %v", err)
	}
	if _, err := s.Statement(t.Context(), tenant.ScopeOf("borg"), &authz.Principal{}, "acme", ""); err != api.ErrNotFound {
		t.Errorf("acme's statement by borg: %v", err)
	}
	if err := s.Add(t.Context(), tenant.ScopeOf("borg"), &authz.Principal{}, "acme", posture.Fact{}); err != api.ErrNotFound {
		t.Errorf("acme's evidence by borg: %v", err)
	}
}

func TestAHostileFolderKeepsNobodyFromBeingJudged(t *testing.T) {
	s := openPostureSite(t)
	acme := filepath.Join(s.folder, "acme")
	s.door("acme", false, june)
	s.door("borg", true, june)
	s.write(filepath.Join(acme, "broken.jsonl"), `{"kind":"test.door","subject":"x"`+"\n"+strings.Repeat("[", 100_000))
	s.write(filepath.Join(acme, "nul.bin"), strings.Repeat("\x00", 1<<20))
	s.write(filepath.Join(acme, strings.Repeat("n", 200)+".csv"), "\xff\xfe;;;\n")
	s.write(filepath.Join(acme, "<script>alert(1)</script>.txt"), "hello")
	deep := acme
	for range 60 {
		deep = filepath.Join(deep, "d")
	}
	s.write(filepath.Join(deep, "x.jsonl"), doorFact("deep", true, june))
	if err := os.Symlink("/etc/passwd", filepath.Join(acme, "passwd")); err != nil {
		t.Fatal(err)
	}
	s.after(time.Minute)
	if got := s.status("acme", "door-locked"); got != posture.Fail {
		t.Errorf("acme is %s", got)
	}
	if got := s.status("borg", "door-locked"); got != posture.Pass {
		t.Errorf("borg is %s", got)
	}
	x, err := s.Tenant(t.Context(), tenant.ScopeAll(), "acme")
	if err != nil || x.LeftOut < 4 {
		t.Errorf("left out %d: %v", x.LeftOut, err)
	}
}

func TestAThousandFactsTooManyAreTold(t *testing.T) {
	formats := factsOf(posture.Formats(posture.Knowledge{}), "acme", 5)
	dir := t.TempDir()
	var b strings.Builder
	for i := range 9 {
		b.WriteString(doorFact(fmt.Sprint("door ", i), true, june))
	}
	if err := os.WriteFile(filepath.Join(dir, "doors.jsonl"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	f := posture.Folder{Dirs: []string{dir}, Formats: formats, Loose: "acme"}
	r, err := f.Read(t.Context())
	if err != nil || len(r.Of("acme").Items) != 5 || r.Bad != 1 || !strings.Contains(r.Files[0].Problems[0].Reason, "not read by serve") {
		t.Errorf("%v: %d facts, %+v", err, len(r.Of("acme").Items), r.Files)
	}
}

func TestEvidenceThatTakesTooLongLeavesWhatWasJudged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "doors.jsonl"), []byte(doorFact("front", true, june)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readEvidence(t.Context(), posture.Knowledge{}, []string{dir}, "acme", 0); err == nil || !strings.Contains(err.Error(), "was not read within") {
		t.Errorf("%v", err)
	}
}

func TestAFactOverTheAPIIsJudgedWithinTheNextLook(t *testing.T) {
	s := openPostureSite(t)
	s.after(time.Minute)
	by := &authz.Principal{ID: "ann"}
	add := func(f posture.Fact) error { return s.Add(t.Context(), tenant.ScopeOf("acme"), by, "acme", f) }
	good := posture.Fact{Kind: "test.door", Subject: "back", At: june, By: "ann", Values: map[string]any{"locked": true}}
	if err := add(good); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]posture.Fact{
		"no kind":           {Subject: "a", At: june},
		"no time":           {Kind: "test.door", Subject: "a"},
		"a foreign trust":   {Kind: "test.door", Subject: "a", At: june, Trust: "other"},
		"a foreign partner": {Kind: "test.door", Subject: "a", At: june, Partner: "other"},
	} {
		if err := add(f); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	s.after(time.Minute)
	if got := s.status("acme", "door-locked"); got != posture.Pass {
		t.Errorf("acme is %s", got)
	}
	if len(s.audits) != 1 || s.audits[0].Who != "ann" || s.audits[0].Tenant != "acme" {
		t.Errorf("noted %+v", s.audits)
	}
}

func TestALedgerThatIsDamagedIsToldAndBegunAnew(t *testing.T) {
	s := openPostureSite(t)
	s.door("acme", true, june)
	s.after(time.Minute)
	name := ledgerFile(s.dir, "acme")
	for what, text := range map[string]string{"cut short": `{"tenant":"acme","controls":{`, "another's": `{"tenant":"borg","controls":{}}`,
		"a day that is none": `{"tenant":"acme","controls":{"a":{"first":"x","days":"p"}}}`, "null": `null`, "a null control": `{"tenant":"acme","controls":{"a":null}}`} {
		s.damages = nil
		s.write(name, text)
		s.restart(s.data)
		s.after(time.Minute)
		if len(s.damages) != 1 || s.status("acme", "door-locked") != posture.Pass {
			t.Errorf("%s: damages %q, status %s", what, s.damages, s.status("acme", "door-locked"))
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"tenant":"acme","controls":{"a":{"status":"pass","first":"2026-06-01","days":"pf-"}}}`))
	f.Add([]byte(`{"tenant":"acme","controls":{},"findings":[{"control":"a","body":"AAAA"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &postureLedger{Tenant: "acme"}
		if l.decode(data) != nil {
			return
		}
		for _, c := range l.Controls {
			c.day(june, 'p')
			if len(c.Days) > keptDays || c.on(june, 0) != posture.Pass && c.First <= "2026-06-01" && len(c.Days) == 0 {
				t.Errorf("%+v", c)
			}
		}
		l.forget(june)
	})
}

func TestDaysAreKeptAndBounded(t *testing.T) {
	c := &controlLedger{}
	c.day(june, 'f')
	c.day(june.Add(time.Hour), 'p')
	c.day(june.AddDate(0, 0, 3), 's')
	c.day(june.AddDate(0, 0, 1), 'f') // an older day changes nothing
	if c.First != "2026-06-01" || c.Days != "p--s" {
		t.Errorf("%s %q", c.First, c.Days)
	}
	for before, want := range []posture.Status{posture.Stale, "", "", posture.Pass, ""} {
		if got := c.on(june.AddDate(0, 0, 3), before); got != want {
			t.Errorf("%d days before: %q, want %q", before, got, want)
		}
	}
	for i := range 500 {
		c.day(june.AddDate(0, 0, 4+i), 'p')
	}
	if len(c.Days) != keptDays || c.on(june.AddDate(0, 0, 503), 0) != posture.Pass {
		t.Errorf("%d days", len(c.Days))
	}
	c.day(june.AddDate(5, 0, 0), 'f')
	if c.Days != "f" {
		t.Errorf("after years %q", c.Days)
	}
}

func TestAContradictedStatementIsAFindingAtTheClient(t *testing.T) {
	s := openPostureSite(t)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	library, _, err := posture.Load(posture.Shipped(), posture.Source{Files: os.DirFS(s.conf.Config.Posture.Controls), Shown: "own", Own: true})
	if err != nil {
		t.Fatal(err)
	}
	item, err := posture.ParseFact([]byte(doorFact("front", true, june)))
	if err != nil {
		t.Fatal(err)
	}
	item.Tenant = "msp"
	report, err := library.For(tenant.Tenant{ID: "msp", Name: "North MSP"}, nil).Check(t.Context(), []evidenceItem{item}, june)
	if err != nil {
		t.Fatal(err)
	}
	st, err := report.State("North MSP", "", june, posture.StatementLife, "door-locked")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := st.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "north.json")
	s.write(file, string(doc))
	section := s.conf.Config.Posture
	section.Statements = []config.PostureStatement{{Partner: "north", File: file, Key: signing.Fingerprint(key.Public().(ed25519.PublicKey))}}
	s.write(filepath.Join(s.folder, "acme", "d.jsonl"), strings.Replace(doorFact("their door", false, june), `{`, `{"partner":"north",`, 1))
	s.after(time.Minute)
	s.after(7 * time.Hour)
	s.restart(s.data)
	s.after(7 * time.Hour)
	count := map[tenant.ID]int{}
	for _, f := range s.standing() {
		if f.Rule == "statement-contradicted" {
			count[f.Tenant]++
			if f.Partner != "north" || strings.Contains(f.Reason, "jo.doe") {
				t.Errorf("%+v", f)
			}
		}
	}
	if len(count) != 1 || count["acme"] != 1 {
		t.Errorf("told at %v", count)
	}
	x, err := s.Tenant(t.Context(), tenant.ScopeOf("acme"), "acme")
	if err != nil || len(x.Statements) != 1 || len(x.Statements[0].Contradicted) != 1 || x.Statements[0].Claims[posture.Pass] != 1 {
		t.Errorf("%v: %+v", err, x.Statements)
	}
	section.Statements[0].Key = "SHA256:" + strings.Repeat("A", 43) // another pin: the statement is not taken
	s.after(7 * time.Hour)
	if b, err := s.Board(t.Context(), tenant.ScopeAll()); err != nil || !strings.Contains(strings.Join(b.Problems, " "), "not by the pinned") {
		t.Errorf("%v: %v", err, b.Problems)
	}
}

func TestRulesThatDoNotLoadLeaveThoseBefore(t *testing.T) {
	s := openPostureSite(t)
	s.door("acme", true, june)
	s.after(time.Minute)
	s.conf.Config.Posture.Policy = filepath.Join(t.TempDir(), "policy.yaml")
	s.write(s.conf.Config.Posture.Policy, "settings: {no-such-control: {a: 1}}\n")
	s.door("acme", false, june.Add(time.Minute))
	s.after(2 * time.Minute)
	if got := s.status("acme", "door-locked"); got != posture.Fail {
		t.Errorf("acme is %s: the rules before do not hold", got)
	}
	b, err := s.Board(t.Context(), tenant.ScopeAll())
	if err != nil || !strings.Contains(strings.Join(b.Problems, " "), "no-such-control") {
		t.Errorf("%v: %v", err, b.Problems)
	}
	s.write(s.conf.Config.Posture.Policy, "exceptions: [{control: door-locked, owner: ann, reason: new lock ordered, expires: 2026-07-01}]\n")
	s.after(2 * time.Minute)
	if got := s.status("acme", "door-locked"); got != posture.Excepted {
		t.Errorf("acme is %s with an exception", got)
	}
	s.clock = time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC)
	s.after(time.Minute)
	if got := s.doors(); len(got) != 2 {
		t.Errorf("when the exception ends it is told again: %q", got)
	}
}

func TestASectionThatIsTakenAwayTakesItsFindingsAlong(t *testing.T) {
	s := openPostureSite(t)
	s.door("acme", false, june)
	s.after(time.Minute)
	section := s.conf.Config.Posture
	s.conf.Config.Posture = nil
	s.after(time.Minute)
	if _, err := s.Board(t.Context(), tenant.ScopeAll()); err != api.ErrNotFound || len(s.standing()) != 0 {
		t.Errorf("%v, %d findings", err, len(s.standing()))
	}
	s.conf.Config.Posture = section
	s.after(time.Minute)
	if got := s.doors(); len(got) != 1 {
		t.Errorf("back again: %q", got)
	}
}
