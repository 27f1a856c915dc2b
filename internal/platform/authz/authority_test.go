package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

func newAuthority(t testing.TB) (*Authority, *clock, string) {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	return authorityOn(t, dir, c), c, dir
}

func authorityOn(t testing.TB, dir string, c *clock) *Authority {
	t.Helper()
	s, err := state.Open(dir, state.Options{Now: c.now, Damage: func(line string) { t.Errorf("damage: %s", line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(s, c.now)
}

func TestATokenSaysWhoSendsAndWhoAsks(t *testing.T) {
	a, c, _ := newAuthority(t)
	ctx := t.Context()
	sender, kept, err := a.CreateToken(ctx, Grant{Role: RoleSensor, Sensor: "fw", Tenant: "acme", Expires: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(ctx, sender)
	if err != nil || p.ID != kept.ID || p.Sensor != "fw" || p.Tenant != "acme" || p.Scope.Sees("acme") || p.May(RoleViewer) {
		t.Errorf("sender: %+v, %v", p, err)
	}
	viewer, _, err := a.CreateToken(ctx, Grant{Role: RoleViewer, Tenants: []tenant.ID{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := a.Authenticate(ctx, viewer); err != nil || !p.Scope.Sees("acme") || p.Scope.Sees("borg") || !p.May(RoleViewer) || p.May(RoleAnalyst) {
		t.Errorf("viewer: %+v, %v", p, err)
	}
	admin, _, err := a.CreateToken(ctx, Grant{Role: RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := a.Authenticate(ctx, admin); err != nil || !p.Scope.Sees("borg") || !p.May(RoleAdmin) {
		t.Errorf("admin: %+v, %v", p, err)
	}
	if len(sender) != len(tokenPrefix)+43 || strings.Contains(string(kept.Hash), sender) {
		t.Errorf("a token of %d characters, kept as %x", len(sender), kept.Hash)
	}
	c.add(time.Hour)
	if _, err := a.Authenticate(ctx, sender); !errors.Is(err, ErrDenied) {
		t.Errorf("after its end: %v", err)
	}
	for _, wrong := range []string{"", "bw_", sender[:len(sender)-1], sender + "A", strings.ToUpper(sender), strings.Repeat("bw_", 1000), "bw_\x00"} {
		if _, err := a.Authenticate(ctx, wrong); !errors.Is(err, ErrDenied) {
			t.Errorf("%.50q: %v", wrong, err)
		}
	}
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := a.store.Tokens(ctx, tenant.ScopeAll())
	if err != nil || len(list) != 3 || list[2].Used.IsZero() && list[1].Used.IsZero() {
		t.Errorf("uses are not noted: %+v, %v", list, err)
	}
}

func TestGrantsThatMakeNoSenseAreRefused(t *testing.T) {
	a, _, _ := newAuthority(t)
	for name, g := range map[string]Grant{
		"no role":                     {},
		"unknown role":                {Role: "root"},
		"a sender without a sensor":   {Role: RoleSensor, Tenant: "acme"},
		"a sender that sees":          {Role: RoleSensor, Sensor: "fw", Tenants: []tenant.ID{"acme"}},
		"a viewer with a sensor":      {Role: RoleViewer, Sensor: "fw"},
		"a tenant that can't be":      {Role: RoleSensor, Sensor: "fw", Tenant: "a\nb"},
		"a scope that can't be":       {Role: RoleViewer, Tenants: []tenant.ID{""}},
		"a sensor that can't be":      {Role: RoleSensor, Sensor: "f\x1bw", Tenant: "acme"},
		"one that has expired before": {Role: RoleAdmin, Expires: -1},
	} {
		if secret, _, err := a.CreateToken(t.Context(), g); err == nil {
			t.Errorf("%s: %s", name, secret[:3])
		}
	}
}

func TestARevocationByAnotherProcessIsSeenWithinTwoSeconds(t *testing.T) {
	a, c, dir := newAuthority(t)
	ctx := t.Context()
	other := authorityOn(t, dir, c)
	secret, kept, err := other.CreateToken(ctx, Grant{Role: RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(ctx, secret); err != nil {
		t.Fatalf("a new token is not known at once: %v", err)
	}
	if err := other.store.RevokeToken(ctx, tenant.ScopeAll(), kept.ID, "test"); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	for {
		_, err := a.Authenticate(ctx, secret)
		if errors.Is(err, ErrDenied) {
			break
		}
		if err != nil || time.Since(revoked) > 2*time.Second {
			t.Fatalf("%s after its revocation: %v", time.Since(revoked), err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func TestWhereTheStateIsSilentNothingIsBelievedForLong(t *testing.T) {
	a, _, _ := newAuthority(t)
	ctx := t.Context()
	secret, _, err := a.CreateToken(ctx, Grant{Role: RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(ctx, secret); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel() // the state refuses a context that has ended
	a.tokens.asked = a.tokens.asked.Add(-freshFor)
	if _, err := a.Authenticate(over, secret); err != nil {
		t.Errorf("one question without an answer refuses a token: %v", err)
	}
	a.tokens.asked = a.tokens.asked.Add(-staleAfter)
	if _, err := a.Authenticate(over, secret); err == nil || errors.Is(err, ErrDenied) {
		t.Errorf("after long silence: %v, want an error that is no refusal", err)
	}
}

func TestLogin(t *testing.T) {
	a, c, _ := newAuthority(t)
	ctx := t.Context()
	const password = "correct horse battery"
	if err := a.AddUser(ctx, "ann", password, RoleAnalyst, []tenant.ID{"acme"}, "test"); err != nil {
		t.Fatal(err)
	}
	session, p, err := a.Login(ctx, "ann", password, "192.0.2.1")
	if err != nil || p.ID != "ann" || !p.May(RoleAnalyst) || p.May(RoleAdmin) || !p.Scope.Sees("acme") || p.Scope.Sees("borg") {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err := a.Session(ctx, session); err != nil || p.ID != "ann" {
		t.Errorf("session: %+v, %v", p, err)
	}
	for _, wrong := range []string{"", session + "x", strings.Repeat("x", 10000)} {
		if _, err := a.Session(ctx, wrong); !errors.Is(err, ErrDenied) {
			t.Errorf("session %.20q: %v", wrong, err)
		}
	}
	for _, x := range [][2]string{{"ann", password + "x"}, {"bob", password}, {"ann", strings.Repeat("x", 5000)}, {"a\x00n", ""}} {
		if _, _, err := a.Login(ctx, x[0], x[1], "192.0.2.1"); !errors.Is(err, ErrDenied) {
			t.Errorf("%q with a wrong password: %v", x[0], err)
		}
	}
	if err := a.Logout(ctx, session); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(ctx, session); !errors.Is(err, ErrDenied) {
		t.Errorf("after logout: %v", err)
	}
	session, _, err = a.Login(ctx, "ann", password, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	c.add(SessionLife)
	if _, err := a.Session(ctx, session); !errors.Is(err, ErrDenied) {
		t.Errorf("after its life: %v", err)
	}
	if err := a.AddUser(ctx, "eve", "short", RoleViewer, nil, ""); err == nil {
		t.Error("a short password is taken")
	}
	if err := a.AddUser(ctx, "eve", password, RoleSensor, nil, ""); err == nil {
		t.Error("a person is a sensor")
	}
	log, err := a.store.AuditLog(ctx, tenant.ScopeAll(), 100)
	if err != nil || len(log) != 3 || strings.Contains(fmt.Sprint(log), password) {
		t.Errorf("audit: %+v, %v", log, err)
	}
}

func TestFailedLoginsAreLimited(t *testing.T) {
	now := time.Now()
	f := failures{of: map[string]*failure{}}
	tries := func(name, addr string, fail bool, n int) (refused int) {
		for range n {
			settle, err := f.try(name, addr, now)
			if err != nil {
				refused++
				continue
			}
			settle(fail)
		}
		return refused
	}
	if n := tries("ann", "a", false, 1000); n != 0 || len(f.of) != 0 {
		t.Errorf("%d right logins refused, %d remembered", n, len(f.of))
	}
	if n := tries("ann", "a", true, 10); n != 5 {
		t.Errorf("%d of 10 failed logins refused, want 5", n)
	}
	if n := tries("ann", "b", false, 1); n != 0 {
		t.Error("somebody else's failures lock the user out")
	}
	for i := range 100 {
		tries(fmt.Sprint("u", i), "a", true, 1)
	}
	if n := tries("bob", "a", true, 1); n != 1 {
		t.Error("an address may try one password with each user")
	}
	for i := range 200 {
		tries("ann", fmt.Sprint("x", i), true, 1)
	}
	if n := tries("ann", "fresh", true, 1); n != 1 {
		t.Error("a user's password may be tried from each address")
	}
	for i := range maxRemembered {
		tries(fmt.Sprint("n", i), fmt.Sprint("y", i), true, 1)
	}
	if len(f.of) > maxRemembered {
		t.Errorf("%d failures remembered", len(f.of))
	}
	now = now.Add(failedWindow)
	if n := tries("ann", "a", true, 1); n != 0 {
		t.Error("refused after the window")
	}
}

func TestALoginFloodIsTurnedAway(t *testing.T) {
	a, _, _ := newAuthority(t)
	var leaves []func()
	for range hashing {
		leave, err := a.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, waiting)
	for range waiting {
		go func() {
			_, err := a.enter(ctx)
			errs <- err
		}()
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(a.queue) < hashing+waiting && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if _, err := a.HashPassword(t.Context(), "a long password"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	cancel()
	for range waiting {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("one who gave up: %v", err)
		}
	}
	for _, leave := range leaves {
		leave()
	}
	if len(a.queue)+len(a.hashing) != 0 {
		t.Errorf("%d wait and %d hash after all have left", len(a.queue), len(a.hashing))
	}
}

func TestRolesByAnyName(t *testing.T) {
	for text, want := range map[string]Role{"sensor": RoleSensor, "ingest": RoleSensor, "sender": RoleSensor, "writer": RoleSensor, "write": RoleSensor,
		"viewer": RoleViewer, "reader": RoleViewer, "read": RoleViewer, "analyst": RoleAnalyst, "operator": RoleAnalyst, "admin": RoleAdmin, "": "", "root": "", "Admin": ""} {
		if got, err := ParseRole(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	for _, s := range []string{
		"$argon2id$v=19$m=32768,t=3,p=1$c2FsdHNhbHRzYWx0$MDEyMzQ1Njc4OWFiY2RlZg", "$argon2id$v=19$m=4294967295,t=3,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=0,p=0$$", "$argon2i$v=19$m=8,t=1,p=1$a$b", "", "$$$$$",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err == nil && (h.time < 1 || h.time > 10 || h.threads < 1 || h.memory > 256<<10 || len(h.key) < 16 || len(h.salt) < 8) {
			t.Errorf("%q: %+v", text, h.argonCost)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	a, _, _ := newAuthority(b)
	secret, _, err := a.CreateToken(b.Context(), Grant{Role: RoleAdmin})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
