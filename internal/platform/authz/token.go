package authz

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const (
	tokenPrefix = "bw_"
	secretBytes = 32
	maxSecret   = 256 // bytes of a token or session that are looked at at all

	// freshFor is how long what is known of tokens is believed without asking the state.
	freshFor = time.Second
	// staleAfter is when it is believed no more, where the state does not answer.
	staleAfter = 2 * time.Second
	// unknownEvery is how often unknown tokens ask the state: they may be new, so each has an answer that is newer
	// than itself.
	unknownEvery = 20 * time.Millisecond
	// usedEvery is how coarsely uses are noted.
	usedEvery = time.Minute
)

// Grant is what a new token may do.
type Grant struct {
	Role    Role
	Tenants []tenant.ID   // what it sees; none: all. Not for senders
	Tenant  tenant.ID     // whose telemetry a sender sends; empty where its sensor's declared map decides
	Sensor  string        // of a sender
	Expires time.Duration // 0: never
	By      string        // who makes it
}

// CreateToken makes a token and returns it, this once, with what is kept of it.
func (a *Authority) CreateToken(ctx context.Context, g Grant) (secret string, kept state.Token, err error) {
	switch {
	case g.Role == RoleSensor && g.Sensor == "":
		return "", kept, errors.New("making a token: one for sending needs the name of its sensor")
	case g.Role == RoleSensor && len(g.Tenants) > 0:
		return "", kept, errors.New("making a token: one for sending has one tenant, or none where its sensor's map decides")
	case g.Role != RoleSensor && (g.Sensor != "" || g.Tenant != ""):
		return "", kept, fmt.Errorf("making a token: a sensor is for the role sensor, not for %s", g.Role)
	case g.Expires < 0:
		return "", kept, errors.New("making a token: it would have expired already")
	}
	if _, err := ParseRole(string(g.Role)); err != nil {
		return "", kept, fmt.Errorf("making a token: %w", err)
	}
	if g.Sensor != "" {
		if err := state.CheckName("a sensor's name", g.Sensor); err != nil {
			return "", kept, err
		}
	}
	secret = newSecret(tokenPrefix)
	now := a.now()
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	kept = state.Token{
		ID: hex.EncodeToString(id[:]), Hash: secretHash(secret), Role: string(g.Role), Sensor: g.Sensor, Tenant: g.Tenant, Tenants: g.Tenants,
		All: g.Role != RoleSensor && len(g.Tenants) == 0, By: g.By, Created: now,
	}
	if g.Expires > 0 {
		kept.Expires = now.Add(g.Expires)
	}
	if err := a.store.AddToken(ctx, kept); err != nil {
		return "", kept, err
	}
	return secret, kept, nil
}

func newSecret(prefix string) string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// Authenticate returns who a bearer token belongs to. It asks the state about once a second, however many ask it.
func (a *Authority) Authenticate(ctx context.Context, bearer string) (*Principal, error) {
	if !strings.HasPrefix(bearer, tokenPrefix) || len(bearer) > maxSecret {
		return nil, ErrDenied
	}
	// The look-up is by hash: what its time tells of the hash tells nothing of the token.
	hash := secretHash(bearer)
	t, err := a.tokens.find(ctx, a.store, string(hash))
	if err != nil {
		return nil, err
	}
	now := a.now()
	if t == nil || subtle.ConstantTimeCompare(t.Hash, hash) != 1 || !t.Revoked.IsZero() || !t.Expires.IsZero() && !now.Before(t.Expires) {
		return nil, ErrDenied
	}
	a.tokens.note(ctx, a.store, t.ID, now)
	p := &Principal{ID: t.ID, Role: Role(t.Role), Tenant: t.Tenant, Sensor: t.Sensor}
	if p.Role != RoleSensor {
		p.Scope = scopeOf(t.All, t.Tenants)
	}
	return p, nil
}

// tokenCache is every token by its hash, read again when the state says that one has changed. Its times are of the
// process's own clock and not of a wall that may jump.
type tokenCache struct {
	mu      sync.Mutex // held while the state is asked: all who come then wait for one answer
	known   sync.RWMutex
	byHash  map[string]*state.Token
	version string
	asked   time.Time // when the state last answered

	uses    sync.Mutex
	used    map[string]time.Time
	flushed time.Time
}

func (c *tokenCache) get(hash string) (t *state.Token, age time.Duration) {
	c.known.RLock()
	defer c.known.RUnlock()
	if c.asked.IsZero() {
		return nil, staleAfter
	}
	return c.byHash[hash], time.Since(c.asked)
}

func (c *tokenCache) find(ctx context.Context, store *state.Store, hash string) (*state.Token, error) {
	came := time.Now()
	t, age := c.get(hash)
	if t != nil && age < freshFor {
		return t, nil
	}
	if t == nil || age >= staleAfter {
		c.mu.Lock()
	} else if !c.mu.TryLock() {
		return t, nil // somebody asks already
	}
	defer c.mu.Unlock()
	if t, age := c.get(hash); time.Since(came) > age {
		return t, nil // somebody asked after this one came
	} else if age < unknownEvery {
		select { // a flood of unknown tokens asks no more often than this
		case <-time.After(unknownEvery - age):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	err := c.ask(ctx, store)
	t, age = c.get(hash)
	if err != nil && (t == nil || age >= staleAfter) {
		return nil, fmt.Errorf("looking for a token: %w", err)
	}
	return t, nil
}

func (c *tokenCache) ask(ctx context.Context, store *state.Store) error {
	began := time.Now()
	version, err := store.TokensVersion(ctx)
	if err != nil {
		return err
	}
	if version == c.version {
		c.known.Lock()
		c.asked = began
		c.known.Unlock()
		return nil
	}
	list, err := store.Tokens(ctx, tenant.ScopeAll())
	if err != nil {
		return err
	}
	byHash := make(map[string]*state.Token, len(list))
	for i := range list {
		byHash[string(list[i].Hash)] = &list[i]
	}
	c.known.Lock()
	c.byHash, c.version, c.asked = byHash, version, began
	c.known.Unlock()
	return nil
}

// note remembers a use and writes all uses down once a minute. A use that can't be noted stops nobody.
func (c *tokenCache) note(ctx context.Context, store *state.Store, id string, now time.Time) {
	c.uses.Lock()
	_, known := c.used[id]
	if !known {
		c.used[id] = now
	}
	due := time.Since(c.flushed) >= usedEvery
	if due {
		c.flushed = time.Now()
	}
	c.uses.Unlock()
	if due {
		_ = c.flush(ctx, store)
	}
}

func (c *tokenCache) flush(ctx context.Context, store *state.Store) error {
	c.uses.Lock()
	used := c.used
	c.used = map[string]time.Time{}
	c.uses.Unlock()
	if len(used) == 0 {
		return nil
	}
	return store.UseTokens(ctx, used)
}
