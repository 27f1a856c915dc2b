package quarantine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// mover counts what is asked of it, and fails as told.
type mover struct {
	mu                sync.Mutex
	released, deleted []string
	fail              error
}

func (m *mover) Release(_ context.Context, it Item, raw []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released = append(m.released, it.QueueID+" "+string(raw))
	return m.fail
}

func (m *mover) Delete(_ context.Context, it Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deleted = append(m.deleted, it.QueueID)
	return m.fail
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func box(t *testing.T, s *Store, id string) *Box {
	t.Helper()
	b, err := s.Box(tenant.ID(id))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keep(t *testing.T, b *Box, it Item, raw string) string {
	t.Helper()
	if it.Time.IsZero() {
		it.Time = noon
	}
	name, err := b.Keep(it, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWhatIsHeldIsThereAfterAStart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := Item{QueueID: "4Xa", Place: PlaceMTA, From: "a@partner.example", Subject: "Invoice", Recipients: []string{"bo@acme.example"},
		Verdict: &ocsf.MailVerdict{Verdict: "phish", Score: 0.97, Reasons: []ocsf.MailReason{{Name: "new-link", Weight: 2, Text: "a new link"}}}}
	name := keep(t, box(t, s, "acme"), want, "Subject: x\r\n\r\nbody\r\n")
	if again := keep(t, box(t, s, "acme"), want, "Subject: x\r\n\r\nbody\r\n"); again != name {
		t.Errorf("the same message of the same queue id is kept as %s and %s", name, again)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := box(t, open(t, dir), "acme")
	got, err := b.Get(name[:6])
	if err != nil || got.Subject != "Invoice" || got.Verdict == nil || got.Verdict.Reasons[0].Weight != 2 || !got.Expires.Equal(noon.Add(30*24*time.Hour)) {
		t.Errorf("after a start it is %+v, %v", got, err)
	}
	raw, err := b.Raw(name)
	if err != nil || string(raw) != "Subject: x\r\n\r\nbody\r\n" {
		t.Errorf("its text is %q, %v", raw, err)
	}
}

func TestMailLiesSealed(t *testing.T) {
	dir := t.TempDir()
	keep(t, box(t, open(t, dir), "acme"), Item{}, "Subject: quite secret words\r\n\r\n")
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte("quite secret")) {
			t.Errorf("%s holds the text in clear", path)
		}
		if st, serr := d.Info(); serr == nil && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", path, st.Mode())
		}
		n++
		return err
	})
	if err != nil || n < 4 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestATenantSeesItsOwnAlone(t *testing.T) {
	s := open(t, t.TempDir())
	name := keep(t, box(t, s, "acme"), Item{}, "a")
	other := box(t, s, "borg")
	if _, err := other.Get(name); !errors.Is(err, ErrNotFound) {
		t.Errorf("another tenant's box gives it: %v", err)
	}
	if _, err := other.Raw(name); !errors.Is(err, ErrNotFound) {
		t.Errorf("another tenant's box reads it: %v", err)
	}
	if err := other.Release(t.Context(), name, "eve", noon, &mover{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("another tenant's box releases it: %v", err)
	}
	if l := other.List(Filter{}); len(l) != 0 {
		t.Errorf("another tenant's box lists %v", l)
	}
	if a, err := other.Audit(10); err != nil || len(a) != 0 {
		t.Errorf("another tenant's box audits %v, %v", a, err)
	}
	if _, err := s.Box(""); err == nil {
		t.Error("a box of no tenant was given")
	}
}

func TestFolderNamesHoldAnyTenant(t *testing.T) {
	for _, id := range []tenant.ID{"acme", "a_b-2", "../../etc", "Ä b", "=41", "."} {
		f := folderOf(id)
		back, ok := tenantOf(f)
		if !ok || back != id || strings.ContainsAny(f, "/\\.") {
			t.Errorf("%q becomes %q and comes back as %q", id, f, back)
		}
	}
	for _, f := range []string{"A", "=4", "=zz", "=61", ""} {
		if id, ok := tenantOf(f); ok {
			t.Errorf("%q is read as %q", f, id)
		}
	}
}

func TestActs(t *testing.T) {
	s := open(t, t.TempDir())
	b := box(t, s, "acme")
	one := keep(t, b, Item{QueueID: "Q1", Place: PlaceMTA}, "one")
	two := keep(t, b, Item{QueueID: "Q2", Place: PlaceMTA}, "two")
	m := &mover{fail: errors.New("the mail server does not answer")}
	if err := b.Release(t.Context(), one, "ana", noon, m); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a release that failed says %v", err)
	}
	if it, _ := b.Get(one); it.State != StateHeld || !strings.Contains(it.Problem, "does not answer") {
		t.Errorf("after a release that failed it is %s (%s)", it.State, it.Problem)
	}
	m.fail = nil
	if err := b.Release(t.Context(), one, "ana", noon, m); err != nil {
		t.Fatal(err)
	}
	if err := b.Release(t.Context(), one, "ana", noon, m); !errors.Is(err, ErrState) {
		t.Errorf("a second release says %v", err)
	}
	if err := b.Release(t.Context(), two, "", noon, m); err == nil {
		t.Error("a release by nobody was done")
	}
	if err := b.Delete(t.Context(), two, "bo", noon, m); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.released, []string{"Q1 one", "Q1 one"}) || !slices.Equal(m.deleted, []string{"Q2"}) {
		t.Errorf("released %q, deleted %q", m.released, m.deleted)
	}
	if _, err := b.Raw(two); !errors.Is(err, ErrState) {
		t.Errorf("the text of a deleted message: %v", err)
	}
	if err := b.Report(one, FalseAlarm, "ana", noon); err != nil {
		t.Fatal(err)
	}
	if err := b.Report(one, "nice", "ana", noon); err == nil {
		t.Error("an unknown word was taken for feedback")
	}
	list, err := b.Audit(100)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, e := range list {
		acts = append(acts, e.Act+" "+e.By)
	}
	want := []string{"held breakwater", "held breakwater", "release ana", "failed ana", "release ana", "released ana", "delete bo", "deleted bo", "false-alarm ana"}
	if !slices.Equal(acts, want) {
		t.Errorf("audit %q, want %q", acts, want)
	}
}

func TestASharedTextOutlivesOneOfItsMessages(t *testing.T) {
	b := box(t, open(t, t.TempDir()), "acme")
	one := keep(t, b, Item{QueueID: "Q1"}, "same")
	two := keep(t, b, Item{QueueID: "Q2"}, "same")
	if err := b.Delete(t.Context(), one, "bo", noon, &mover{}); err != nil {
		t.Fatal(err)
	}
	if raw, err := b.Raw(two); err != nil || string(raw) != "same" {
		t.Errorf("the other's text is %q, %v", raw, err)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	b := box(t, open(t, dir), "acme")
	old := keep(t, b, Item{QueueID: "Q1", Place: PlaceMTA}, "old")
	young := keep(t, b, Item{QueueID: "Q2", Place: PlaceMTA, Time: noon.Add(20 * 24 * time.Hour)}, "young")
	m := &mover{fail: errors.New("busy")}
	later := noon.Add(31 * 24 * time.Hour)
	if n, err := b.Expire(t.Context(), later, m); n != 0 || err == nil {
		t.Errorf("while the mail server is busy %d expired, %v", n, err)
	}
	if _, err := b.Get(old); err != nil {
		t.Errorf("what could not be deleted is gone: %v", err)
	}
	m.fail = nil
	if n, err := b.Expire(t.Context(), later, m); n != 1 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
	if _, err := b.Get(old); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := b.Raw(young); err != nil {
		t.Errorf("the young one: %v", err)
	}
	if !slices.Contains(m.deleted, "Q1") {
		t.Error("the mail server was not told to delete what expired")
	}
}

func TestDamageIsSetAsideAndTold(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := box(t, s, "acme")
	bad := keep(t, b, Item{QueueID: "Q1"}, "one")
	good := keep(t, b, Item{QueueID: "Q2"}, "two")
	cut := keep(t, b, Item{QueueID: "Q3"}, "three")
	it, _ := b.Get(cut)
	if err := os.WriteFile(b.bodyPath(it.SHA256), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if err := os.WriteFile(filepath.Join(dir, "tenants", "acme", "items", bad+".json"), []byte(`{"name":`), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	b = box(t, s, "acme")
	if len(s.Set) != 1 || !strings.Contains(s.Set[0], bad) {
		t.Errorf("set aside: %q", s.Set)
	}
	if raw, err := b.Raw(good); err != nil || string(raw) != "two" {
		t.Errorf("the good one: %q, %v", raw, err)
	}
	if _, err := b.Raw(cut); err == nil || !strings.Contains(err.Error(), "seal") {
		t.Errorf("a damaged text: %v", err)
	}
}

func TestAChangedAuditIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := box(t, s, "acme")
	keep(t, b, Item{QueueID: "Q1"}, "one")
	keep(t, b, Item{QueueID: "Q2"}, "two")
	_ = s.Close()
	path := filepath.Join(dir, "audit.jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := append(slices.Clone(raw), `{"seq":3,"ti`...)
	if err := os.WriteFile(path, half, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir) // half a line is what a stopped process leaves
	keep(t, box(t, s, "acme"), Item{QueueID: "Q3"}, "three")
	if l, err := box(t, s, "acme").Audit(10); err != nil || len(l) != 3 {
		t.Errorf("after half a line: %v, %v", l, err)
	}
	_ = s.Close()
	if err := os.WriteFile(path, bytes.Replace(raw, []byte("acme"), []byte("borg"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, time.Hour); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("a changed audit file: %v", err)
	}
}

func TestSimilar(t *testing.T) {
	s := open(t, t.TempDir())
	a, b, c := box(t, s, "acme"), box(t, s, "borg"), box(t, s, "cyan")
	of := Item{QueueID: "1", From: "x@partner.example", Subject: "Re: Invoice 4711 overdue", BodyHash: "h", Hosts: []string{"evil.example"}}
	name := keep(t, a, of, "1")
	keep(t, a, Item{QueueID: "2", Subject: "lunch today", From: "y@z.example"}, "2")
	keep(t, b, Item{QueueID: "3", Subject: "Invoice 12 overdue", Hosts: []string{"evil.example"}}, "3")
	keep(t, c, Item{QueueID: "4", BodyHash: "h", From: "x@partner.example"}, "4")
	it, _ := a.Get(name)
	var got []string
	for _, l := range Similar(it, []*Box{a, b, c}, 10) {
		got = append(got, string(l.Item.Tenant)+": "+strings.Join(l.Why, ", "))
	}
	want := []string{"cyan: same text, same sender", "borg: same link host evil.example, like subject"}
	if !slices.Equal(got, want) {
		t.Errorf("similar are %q, want %q", got, want)
	}
	if l := Similar(it, []*Box{a}, 10); len(l) != 0 {
		t.Errorf("a box that was not given was looked at: %v", l)
	}
}

func TestKeptAndActedOnAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	b := box(t, s, "acme")
	m := &mover{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name, err := b.Keep(Item{QueueID: string(rune('a' + i)), Time: noon}, []byte{byte(i)})
			if err == nil {
				err = b.Release(context.Background(), name, "ana", noon, m)
			}
			if err != nil {
				t.Error(err)
			}
			b.List(Filter{State: StateReleased})
		})
	}
	wg.Wait()
	if l := b.List(Filter{State: StateReleased}); len(l) != 8 || len(m.released) != 8 {
		t.Errorf("%d released, the mover %d", len(l), len(m.released))
	}
}
