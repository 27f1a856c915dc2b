package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var everything = tenant.ScopeAll()

// open opens a folder whose damage fails the test.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Damage: func(line string) { t.Errorf("damage: %s", line) }, Now: func() time.Time { return t0 }, DeadLettersPerSensor: 700})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	ok(t, s.AddToken(t.Context(), Token{ID: "t1", Hash: []byte{1}, Role: "viewer", All: true, Created: t0}))
	found := 0
	ok(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		found++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o: others can reach it", path, info.Mode().Perm())
		}
		return nil
	}))
	if found < 4 {
		t.Errorf("%d files, want the folder, the database, its log and the lock at least", found)
	}
}

func TestConnectionsAreSafe(t *testing.T) {
	s := open(t, t.TempDir())
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1", "busy_timeout": "10000", "page_size": "4096"} {
		var got string
		ok(t, s.w.NewRaw("PRAGMA "+pragma).Scan(t.Context(), &got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if _, err := s.r.ExecContext(t.Context(), "DELETE FROM tokens"); err == nil {
		t.Error("a reading connection can write")
	}
}

func TestTokensAreKeptAndRevoked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := t.Context()
	a := Token{ID: "a", Hash: []byte("hash a"), Role: "sensor", Sensor: "fw", Tenant: "acme", By: "cli", Created: t0, Expires: t0.Add(time.Hour)}
	b := Token{ID: "b", Hash: []byte("hash b"), Role: "viewer", Tenants: []tenant.ID{"acme", "borg"}, Created: t0.Add(1)}
	c := Token{ID: "c", Hash: []byte("hash c"), Role: "admin", All: true, Created: t0.Add(2 * time.Second)}
	for _, tok := range []Token{a, b, c} {
		ok(t, s.AddToken(ctx, tok))
	}
	b.Created = t0 // microseconds are kept
	if err := s.AddToken(ctx, Token{ID: "d", Hash: []byte("hash a")}); !errors.Is(err, ErrExists) {
		t.Errorf("a second token of the same hash: %v", err)
	}
	before := must(s.TokensVersion(ctx))(t)
	other := open(t, dir) // as another process would
	ok(t, other.RevokeToken(ctx, everything, "a", "root"))
	ok(t, other.RevokeToken(ctx, everything, "a", "root"))
	if after := must(s.TokensVersion(ctx))(t); after == before {
		t.Error("the version of the tokens did not change with a revocation")
	}
	ok(t, s.UseTokens(ctx, map[string]time.Time{"b": t0.Add(time.Minute)}))
	a.Revoked, b.Used = t0, t0.Add(time.Minute)
	nilTenants := cmp.Transformer("nil", func(ids []tenant.ID) string { return fmt.Sprint(len(ids), ids) })
	if d := cmp.Diff([]Token{a, b, c}, must(s.Tokens(ctx, everything))(t), nilTenants); d != "" {
		t.Error(d)
	}
	equal(t, "stub tenants", must(s.StubTenants(ctx, everything))(t), []tenant.ID{"acme", "borg"})
	equal(t, "bindings", must(s.Bindings(ctx, tenant.ScopeOf("acme")))(t), []Binding{{"fw", "acme", "a", t0}})
	if err := s.RevokeToken(ctx, everything, "nobody's", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoking what isn't there: %v", err)
	}
	if err := s.RevokeToken(ctx, everything, "b\x00", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoking what can't be there: %v", err)
	}
}

func TestTenantIDsAreChecked(t *testing.T) {
	for id, want := range map[tenant.ID]bool{
		"acme": true, "Zürich AG": true, "": false, " acme": false, "a\nb": false, "a\x00": false, "\x1b[2J": false,
		"a\u202eb": false, "\xff": false, tenant.ID(bytes.Repeat([]byte("a"), 128)): true, tenant.ID(bytes.Repeat([]byte("a"), 129)): false,
	} {
		if err := CheckTenant(id); (err == nil) != want {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestUsersAndTheirSessions(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	ok(t, s.AddUser(ctx, User{Name: "ann", Password: "hash", Role: "admin", All: true}, "cli"))
	if err := s.AddUser(ctx, User{Name: "ann"}, "cli"); !errors.Is(err, ErrExists) {
		t.Errorf("a second ann: %v", err)
	}
	ok(t, s.AddUser(ctx, User{Name: "bob", Password: "hash", Role: "viewer", Tenants: []tenant.ID{"acme"}}, "cli"))
	session := func(h string, until time.Time) {
		t.Helper()
		ok(t, s.AddSession(ctx, Session{Hash: []byte(h), User: "ann", Created: t0, Expires: until}))
	}
	has := func(h string) bool {
		t.Helper()
		_, err := s.Session(ctx, []byte(h))
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	session("one", t0.Add(time.Hour))
	session("over", t0)
	if !has("one") || has("over") || has("none") {
		t.Errorf("sessions: %v %v %v", has("one"), has("over"), has("none"))
	}
	ok(t, s.EndSession(ctx, []byte("one")))
	session("two", t0.Add(time.Hour))
	ok(t, s.SetPassword(ctx, everything, "ann", "other", "cli"))
	if has("one") || has("two") {
		t.Error("a session outlives its logout or a new password")
	}
	if u := must(s.User(ctx, everything, "ann"))(t); u.Password != "other" {
		t.Errorf("password %q", u.Password)
	}
	session("three", t0.Add(time.Hour))
	ok(t, s.RemoveUser(ctx, everything, "ann", "cli"))
	if has("three") {
		t.Error("a session outlives its user")
	}
	if err := s.AddSession(ctx, Session{Hash: []byte("four"), User: "ann", Expires: t0.Add(time.Hour)}); err == nil {
		t.Error("a session of nobody is stored")
	}
}

func TestDocumentsKeepTheirHistory(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	if _, err := s.LatestDocument(ctx); !errors.Is(err, ErrNotFound) {
		t.Errorf("before the first: %v", err)
	}
	for i, text := range []string{"a: 1\n", "a: '?'\n", "a: '?'\n"} {
		if n := must(s.ApplyDocument(ctx, Document{Version: "v", Name: "b.yaml", Text: []byte(text), By: "ann"}))(t); n != int64(min(i+1, 2)) {
			t.Errorf("document %d has number %d", i, n)
		}
	}
	equal(t, "history", must(s.Documents(ctx, 10))(t), []Document{
		{2, "v", "b.yaml", []byte("a: '?'\n"), t0, "ann"}, {1, "v", "b.yaml", []byte("a: 1\n"), t0, "ann"},
	})
	big := bytes.Repeat([]byte("x"), MaxDocument)
	if n := must(s.ApplyDocument(ctx, Document{Text: big}))(t); n != 3 {
		t.Errorf("number %d", n)
	}
	if got := must(s.LatestDocument(ctx))(t); !bytes.Equal(got.Text, big) {
		t.Error("a document of the largest size came back altered")
	}
	if _, err := s.ApplyDocument(ctx, Document{Text: append(big, 'x')}); err == nil {
		t.Error("a document over the limit is stored")
	}
}

func TestAlertLevelsHoldForTheirTime(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	l := AlertLevel{ID: "c1", Tenant: "acme", Level: "heightened", From: t0, Until: t0.Add(time.Hour), Reason: "a campaign", By: "campaign c1"}
	must(s.RaiseAlertLevel(ctx, l))(t)
	for at, want := range map[time.Duration]int{-time.Second: 0, 0: 1, time.Hour - time.Microsecond: 1, time.Hour: 0} {
		if got := must(s.AlertLevels(ctx, everything, t0.Add(at)))(t); len(got) != want {
			t.Errorf("after %s: %v", at, got)
		}
	}
	l.Until = t0.Add(2 * time.Hour)
	must(s.RaiseAlertLevel(ctx, l))(t)
	equal(t, "prolonged", must(s.AlertLevels(ctx, everything, t0.Add(90*time.Minute)))(t), []AlertLevel{l})
	if err := s.EndAlertLevel(ctx, tenant.ScopeOf("borg"), "c1", "eve"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ended by who may not see it: %v", err)
	}
	ok(t, s.EndAlertLevel(ctx, tenant.ScopeOf("acme"), "c1", "ann"))
	l.Until = t0.Add(3 * time.Hour)
	must(s.RaiseAlertLevel(ctx, l))(t)
	if got := must(s.AlertLevels(ctx, everything, t0.Add(time.Minute)))(t); len(got) != 0 {
		t.Errorf("ended by hand, and holds again: %v", got)
	}
	l.Tenant = "borg"
	if _, err := s.RaiseAlertLevel(ctx, l); err == nil {
		t.Error("a level went over to another tenant")
	}
	if _, err := s.RaiseAlertLevel(ctx, AlertLevel{Tenant: "acme", From: t0, Until: t0}); err == nil {
		t.Error("a level without an end is stored")
	}
}

func TestDeadLettersAreKeptOnceAndBounded(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	var batch []DeadLetter
	for i := range 1000 {
		batch = append(batch, DeadLetter{ID: DeadLetterID{Seq: uint64(i / 10), Index: uint32(i % 10)}, Tenant: "acme", Sensor: "fw", Time: t0, Reason: "no \x00 'JSON'?", Raw: []byte{0, byte(i), '\''}})
	}
	batch[0].Raw = bytes.Repeat([]byte("x"), MaxDeadLetter+1)
	for range 3 { // as after a restart
		ok(t, s.AddDeadLetters(ctx, batch))
	}
	equal(t, "counts", must(s.DeadLetterCounts(ctx, everything))(t), []DeadLetterCount{{"acme", "fw", 700, 700, 300}})
	page := must(s.DeadLetters(ctx, everything, DeadLetterQuery{Sensor: "fw", Limit: 3}))(t)
	if len(page) != 3 || !page[0].Cut || len(page[0].Raw) != MaxDeadLetter || page[1].Reason != "no \uFFFD 'JSON'?" || !bytes.Equal(page[1].Raw, batch[1].Raw) {
		t.Errorf("%d letters: %+v", len(page), page[1:])
	}
	next := must(s.DeadLetters(ctx, everything, DeadLetterQuery{After: &page[2].ID, Limit: 1}))(t)
	equal(t, "the page after", next[0].ID, DeadLetterID{0, 3})
	if n := must(s.MarkReplayed(ctx, tenant.ScopeOf("borg"), []DeadLetterID{{0, 3}}, "eve"))(t); n != 0 {
		t.Error("marked by who may not see it")
	}
	if n := must(s.MarkReplayed(ctx, everything, []DeadLetterID{{0, 3}, {9999, 1}}, "ann"))(t); n != 1 {
		t.Errorf("%d marked", n)
	}
	ok(t, s.AddDeadLetters(ctx, batch[:10]))
	if l := must(s.DeadLetter(ctx, everything, DeadLetterID{0, 3}))(t); !l.Replayed.Equal(t0) {
		t.Errorf("a letter read again lost that it was replayed: %v", l.Replayed)
	}
	if w := must(s.DeadLetters(ctx, everything, DeadLetterQuery{Waiting: true}))(t); len(w) != 699 {
		t.Errorf("%d wait", len(w))
	}
}

func FuzzParseDeadLetterID(f *testing.F) {
	for _, s := range []string{"1f-3", "0-0", "-", "ffffffffffffffff-4294967295", "1f-3-1", "+1-2", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseDeadLetterID(text)
		if err != nil {
			return
		}
		if again, err := ParseDeadLetterID(id.String()); err != nil || again != id {
			t.Errorf("%q is %v, whose text is %v, %v", text, id, again, err)
		}
	})
}

func TestNotificationsAreQueuedOnce(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	n := Notification{ID: "n1", Tenant: "acme", Channel: "hook", Subject: "s", Body: []byte(`{"a":1}`)}
	for i, want := range []int{1, 0, 0} {
		if got := must(s.QueueNotifications(ctx, []Notification{n, n}))(t); got != want {
			t.Errorf("time %d: %d added", i, got)
		}
	}
	if due := must(s.DueNotifications(ctx, t0, 10))(t); len(due) != 1 || due[0].ID != "n1" || string(due[0].Body) != `{"a":1}` {
		t.Fatalf("due: %+v", due)
	}
	if !must(s.BeginNotification(ctx, "n1"))(t) || must(s.BeginNotification(ctx, "n1"))(t) {
		t.Error("two senders have the same notification")
	}
	if due := must(s.DueNotifications(ctx, t0, 10))(t); len(due) != 0 {
		t.Errorf("due while it is being sent: %v", due)
	}
	if got := must(s.ResumeNotifications(ctx))(t); got != 1 {
		t.Errorf("%d resumed", got)
	}
	must(s.BeginNotification(ctx, "n1"))(t)
	ok(t, s.EndNotification(ctx, "n1", Pending, "refused", t0.Add(time.Minute)))
	if due := must(s.DueNotifications(ctx, t0, 10))(t); len(due) != 0 {
		t.Errorf("due before its time: %v", due)
	}
	must(s.BeginNotification(ctx, "n1"))(t)
	ok(t, s.EndNotification(ctx, "n1", Sent, "", time.Time{}))
	got := must(s.Notifications(ctx, everything, 10))(t)
	n.State, n.Attempts, n.Created = Sent, 3, t0
	equal(t, "at last", got, []Notification{n})
}

func TestFilesAreKnownAgain(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	o := TailOffset{"fw", "/var/log/\xff", "8:1", 100, []byte("head"), t0}
	ok(t, s.PutTailOffsets(ctx, []TailOffset{o}))
	o.Offset = 200
	ok(t, s.PutTailOffsets(ctx, []TailOffset{o, {"fw", "/b", "8:2", 0, nil, t0}}))
	got := must(s.TailOffsets(ctx, "fw"))(t)
	if len(got) != 2 || got[1].Offset != 200 || string(got[1].Head) != "head" {
		t.Errorf("%+v", got)
	}
	ok(t, s.DropTailOffset(ctx, "fw", "/b", "8:2"))
	if got := must(s.TailOffsets(ctx, "fw"))(t); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	ok(t, s.TakeFile(ctx, "/drop/a", []byte{1}))
	if at := must(s.FileTaken(ctx, "/drop/a", []byte{1}))(t); !at.Equal(t0) {
		t.Errorf("taken at %v", at)
	}
	if at := must(s.FileTaken(ctx, "/drop/a", []byte{2}))(t); !at.IsZero() {
		t.Errorf("another content is taken for the same: %v", at)
	}
}

func answer(kind Kind, id string, changed time.Time, tenants ...tenant.ID) Answer {
	return Answer{AnswerID{kind, id}, tenants, t0, changed, "h" + id, []byte(`{"id":"` + id + `"}`)}
}

func TestAnswersChangeTogether(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	a, b, c := answer(Finding, "a", t0, "acme"), answer(Finding, "b", t0.Add(time.Second), "borg"), answer(Campaign, "c", t0, "acme", "borg")
	ok(t, s.ChangeAnswers(ctx, []Answer{a, b, c}, nil))
	equal(t, "findings", must(s.Answers(ctx, everything, AnswerQuery{Kind: Finding}))(t), []Answer{b, a})
	a.Hash, a.Body, a.Changed = "h2", []byte("{}"), t0.Add(time.Minute)
	ok(t, s.ChangeAnswers(ctx, []Answer{a}, []AnswerID{b.AnswerID}))
	equal(t, "findings then", must(s.Answers(ctx, everything, AnswerQuery{Kind: Finding}))(t), []Answer{a})
	equal(t, "hashes", must(s.AnswerHashes(ctx))(t), map[AnswerID]string{a.AnswerID: "h2", c.AnswerID: "hc"})
	bad := answer(Finding, "bad", t0, "acme", "")
	if err := s.ChangeAnswers(ctx, []Answer{answer(Finding, "d", t0, "acme"), bad}, []AnswerID{a.AnswerID}); err == nil {
		t.Error("an answer of a tenant without a name is stored")
	}
	equal(t, "none of a refused change", must(s.Answers(ctx, everything, AnswerQuery{Kind: Finding}))(t), []Answer{a})
}

// TestIsolation: each reader is asked with every scope, and gives what the scope sees.
func TestIsolation(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	for i, id := range []tenant.ID{"acme", "borg"} {
		x := string(id)
		ok(t, s.AddToken(ctx, Token{ID: x, Hash: []byte(x), Role: "sensor", Sensor: "fw " + x, Tenant: id}))
		ok(t, s.AddUser(ctx, User{Name: x, Role: "viewer", Tenants: []tenant.ID{id}}, ""))
		must(s.RaiseAlertLevel(ctx, AlertLevel{Tenant: id, ID: x, From: t0, Until: t0.Add(time.Hour)}))(t)
		ok(t, s.AddDeadLetters(ctx, []DeadLetter{{ID: DeadLetterID{uint64(i), 0}, Tenant: id, Sensor: x}}))
		must(s.QueueNotifications(ctx, []Notification{{ID: x, Tenant: id}}))(t)
		ok(t, s.ChangeAnswers(ctx, []Answer{answer(Finding, x, t0, id), answer(Campaign, x, t0, id)}, nil))
	}
	ok(t, s.AddToken(ctx, Token{ID: "all", Hash: []byte("all"), Role: "sensor", Sensor: "all"}))
	ok(t, s.AddUser(ctx, User{Name: "all", All: true}, ""))
	ok(t, s.AddDeadLetters(ctx, []DeadLetter{{ID: DeadLetterID{9, 0}, Sensor: "all"}}))
	must(s.QueueNotifications(ctx, []Notification{{ID: "all"}}))(t)
	ok(t, s.ChangeAnswers(ctx, []Answer{answer(Campaign, "shared", t0.Add(1), "acme", "borg")}, nil))

	readers := map[string]func(context.Context, tenant.Scope) (int, error){
		"tokens": func(ctx context.Context, x tenant.Scope) (int, error) { v, err := s.Tokens(ctx, x); return len(v), err },
		"bindings": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.Bindings(ctx, x)
			return len(v), err
		},
		"users": func(ctx context.Context, x tenant.Scope) (int, error) { v, err := s.Users(ctx, x); return len(v), err },
		"stub tenants": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.StubTenants(ctx, x)
			return len(v), err
		},
		"alert levels": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.AlertLevels(ctx, x, t0)
			return len(v), err
		},
		"alert history": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.AlertLevelHistory(ctx, x, 10)
			return len(v), err
		},
		"dead letters": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.DeadLetters(ctx, x, DeadLetterQuery{})
			return len(v), err
		},
		"dead letter counts": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.DeadLetterCounts(ctx, x)
			return len(v), err
		},
		"notifications": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.Notifications(ctx, x, 10)
			return len(v), err
		},
		"findings": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.Answers(ctx, x, AnswerQuery{Kind: Finding})
			return len(v), err
		},
		"campaigns": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.Answers(ctx, x, AnswerQuery{Kind: Campaign})
			return len(v), err
		},
		"campaigns in part": func(ctx context.Context, x tenant.Scope) (int, error) {
			v, err := s.Answers(ctx, x, AnswerQuery{Kind: Campaign, Partly: true})
			return len(v), err
		},
	}
	scopes := []struct {
		name  string
		scope tenant.Scope
	}{{"nothing", tenant.Scope{}}, {"a stranger", tenant.ScopeOf("north", "")}, {"one", tenant.ScopeOf("borg")}, {"both", tenant.ScopeOf("acme", "borg")}, {"everything", everything}}
	want := map[string][5]int{
		"tokens": {0, 0, 1, 2, 3}, "bindings": {0, 0, 1, 2, 3}, "users": {0, 0, 1, 2, 3}, "stub tenants": {0, 0, 1, 2, 2},
		"alert levels": {0, 0, 1, 2, 2}, "alert history": {0, 0, 1, 2, 2}, "dead letters": {0, 0, 1, 2, 3}, "dead letter counts": {0, 0, 1, 2, 3},
		"notifications": {0, 0, 1, 2, 3}, "findings": {0, 0, 1, 2, 2}, "campaigns": {0, 0, 1, 3, 3}, "campaigns in part": {0, 0, 2, 3, 3},
	}
	for name, read := range readers {
		for i, x := range scopes {
			got, err := read(ctx, x.scope)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got != want[name][i] {
				t.Errorf("%s seen by %s: %d, want %d", name, x.name, got, want[name][i])
			}
		}
	}
	if _, err := s.Answer(ctx, tenant.ScopeOf("borg"), AnswerID{Finding, "acme"}, true); !errors.Is(err, ErrNotFound) {
		t.Errorf("another's finding by its id: %v", err)
	}
	if _, err := s.Answer(ctx, tenant.ScopeOf("borg"), AnswerID{Campaign, "shared"}, false); !errors.Is(err, ErrNotFound) {
		t.Errorf("a shared campaign as a whole: %v", err)
	}
	if _, err := s.DeadLetter(ctx, tenant.ScopeOf("borg"), DeadLetterID{9, 0}); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody's letter: %v", err)
	}
	for _, e := range must(s.AuditLog(ctx, tenant.ScopeOf("borg"), 100))(t) {
		if e.Tenant != "borg" {
			t.Errorf("borg reads of %+v", e)
		}
	}
	if n := len(must(s.AuditLog(ctx, everything, 100))(t)); n < 6 {
		t.Errorf("%d entries in the audit", n)
	}
}
