package authz

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Errors that callers branch on.
var (
	// ErrDenied: the token, password or session does not hold. It never says why.
	ErrDenied = errors.New("not allowed: the token, password or session does not hold")
	// ErrBusy: too many logins at once; try again in a few seconds.
	ErrBusy = errors.New("too many logins at once: try again in a few seconds")
	// ErrTooMany: too many failed logins of this user or from this address.
	ErrTooMany = errors.New("too many failed logins: wait for some minutes")
)

// SessionLife is how long a browser stays logged in.
const SessionLife = 12 * time.Hour

// Authority verifies who asks. Its methods may be called by several goroutines.
type Authority struct {
	store   *state.Store
	now     func() time.Time
	tokens  tokenCache
	failed  failures
	queue   chan struct{} // who hashes or waits for it
	hashing chan struct{}
}

// New returns the authority over a store. Now is the clock; nil is time.Now.
func New(store *state.Store, now func() time.Time) *Authority {
	if now == nil {
		now = time.Now
	}
	return &Authority{
		store: store, now: now,
		tokens:  tokenCache{used: map[string]time.Time{}},
		failed:  failures{of: map[string]*failure{}},
		queue:   make(chan struct{}, hashing+waiting),
		hashing: make(chan struct{}, hashing),
	}
}

// Close writes down what is only in memory: when tokens were last used.
func (a *Authority) Close(ctx context.Context) error { return a.tokens.flush(ctx, a.store) }

// AddUser stores a person with a password. Without tenants the user sees all of them.
func (a *Authority) AddUser(ctx context.Context, name, password string, role Role, tenants []tenant.ID, by string) error {
	if role == RoleSensor {
		return fmt.Errorf("adding the user %s: the role sensor is for tokens; a person is viewer, analyst or admin", name)
	}
	hash, err := a.HashPassword(ctx, password)
	if err != nil {
		return fmt.Errorf("adding the user %s: %w", name, err)
	}
	return a.store.AddUser(ctx, state.User{Name: name, Password: hash, Role: string(role), All: len(tenants) == 0, Tenants: tenants}, by)
}

// SetPassword replaces a user's password and ends the user's sessions.
func (a *Authority) SetPassword(ctx context.Context, scope tenant.Scope, name, password, by string) error {
	hash, err := a.HashPassword(ctx, password)
	if err != nil {
		return fmt.Errorf("changing the password of %s: %w", name, err)
	}
	return a.store.SetPassword(ctx, scope, name, hash, by)
}

// Login verifies a password and opens a session, whose secret is for the browser alone. The address is the sender's,
// without a port.
func (a *Authority) Login(ctx context.Context, name, password, addr string) (session string, p *Principal, err error) {
	settle, err := a.failed.try(name, addr, a.now())
	if err != nil {
		return "", nil, err
	}
	u, err := a.store.User(ctx, tenant.ScopeAll(), name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		settle(false)
		return "", nil, fmt.Errorf("looking for the user: %w", err)
	}
	right, err := a.verify(ctx, password, u.Password) // no user, no hash: takes as long
	if err != nil {
		settle(false)
		return "", nil, err
	}
	settle(!right)
	if !right {
		return "", nil, ErrDenied
	}
	secret := newSecret("bs_")
	now := a.now()
	if err := a.store.AddSession(ctx, state.Session{Hash: secretHash(secret), User: u.Name, Created: now, Expires: now.Add(SessionLife)}); err != nil {
		return "", nil, err
	}
	if err := a.store.Audit(ctx, state.AuditEntry{At: now, Who: u.Name, What: "login", Of: addr}); err != nil {
		return "", nil, err
	}
	return secret, userPrincipal(u), nil
}

// Session returns who a browser's session belongs to, with the role and tenants that the user has now.
func (a *Authority) Session(ctx context.Context, secret string) (*Principal, error) {
	if len(secret) > maxSecret || secret == "" {
		return nil, ErrDenied
	}
	x, err := a.store.Session(ctx, secretHash(secret))
	if err != nil {
		return nil, denied(err)
	}
	u, err := a.store.User(ctx, tenant.ScopeAll(), x.User)
	if err != nil {
		return nil, denied(err)
	}
	return userPrincipal(u), nil
}

// Logout ends a session; there need not be one.
func (a *Authority) Logout(ctx context.Context, secret string) error {
	if len(secret) > maxSecret {
		return nil
	}
	return a.store.EndSession(ctx, secretHash(secret))
}

func userPrincipal(u state.User) *Principal {
	return &Principal{ID: u.Name, Role: Role(u.Role), Scope: scopeOf(u.All, u.Tenants)}
}

func scopeOf(all bool, ids []tenant.ID) tenant.Scope {
	if all {
		return tenant.ScopeAll()
	}
	return tenant.ScopeOf(ids...)
}

func denied(err error) error {
	if errors.Is(err, state.ErrNotFound) {
		return ErrDenied
	}
	return err
}

func secretHash(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}
