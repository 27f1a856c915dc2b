package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// tokenLogin is how long a browser that logged in by a token stays logged in, while the token holds.
const tokenLogin = 12 * time.Hour

// maxTokenLogins bounds the browsers that are logged in by tokens.
const maxTokenLogins = 1000

// tokenSession begins the ids of sessions that rest on a token, so that they are told from those of passwords.
const tokenSession = "token."

// access implements api.Authenticator: tokens and passwords by package authz, and browsers that log in by a token.
type access struct {
	authority *authz.Authority
	mu        sync.Mutex
	byToken   map[[32]byte]tokenEntry // by the hash of the session's id
}

type tokenEntry struct {
	token string
	end   time.Time
}

func (w *watch) authenticator() *access {
	return &access{authority: w.authority, byToken: map[[32]byte]tokenEntry{}}
}

// refused makes of a denial what the API answers; other errors are the caller's to log.
func refused(err error) error {
	if errors.Is(err, authz.ErrDenied) {
		return api.ErrRefused
	}
	return err
}

// Token implements api.Authenticator.
func (a *access) Token(ctx context.Context, token string) (*authz.Principal, error) {
	p, err := a.authority.Authenticate(ctx, token)
	return p, refused(err)
}

// Login implements api.Authenticator.
func (a *access) Login(ctx context.Context, c api.Credentials) (api.Session, error) {
	if c.Token == "" {
		id, _, err := a.authority.Login(ctx, c.Name, c.Password, c.Peer)
		return api.Session{ID: id, End: time.Now().Add(tokenLogin)}, refused(err)
	}
	p, err := a.authority.Authenticate(ctx, c.Token)
	if err != nil {
		return api.Session{}, refused(err)
	}
	if !p.May(authz.RoleViewer) {
		return api.Session{}, api.ErrRefused
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return api.Session{}, err
	}
	s := api.Session{ID: tokenSession + base64.RawURLEncoding.EncodeToString(secret[:]), End: time.Now().Add(tokenLogin)}
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, e := range a.byToken {
		if time.Now().After(e.end) || len(a.byToken) >= maxTokenLogins {
			delete(a.byToken, k)
		}
	}
	a.byToken[sha256.Sum256([]byte(s.ID))] = tokenEntry{c.Token, s.End}
	return s, nil
}

// Session implements api.Authenticator.
func (a *access) Session(ctx context.Context, id string) (*authz.Principal, error) {
	if !strings.HasPrefix(id, tokenSession) {
		p, err := a.authority.Session(ctx, id)
		return p, refused(err)
	}
	a.mu.Lock()
	e, ok := a.byToken[sha256.Sum256([]byte(id))]
	a.mu.Unlock()
	if !ok || time.Now().After(e.end) {
		return nil, api.ErrRefused
	}
	p, err := a.authority.Authenticate(ctx, e.token)
	return p, refused(err)
}

// Logout implements api.Authenticator.
func (a *access) Logout(ctx context.Context, id string) error {
	if !strings.HasPrefix(id, tokenSession) {
		return a.authority.Logout(ctx, id)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byToken, sha256.Sum256([]byte(id)))
	return nil
}
