package state

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// User is a person who logs in with a password.
type User struct {
	Name     string
	Password string // the hash, with its parameters
	Role     string
	All      bool // sees every tenant
	Tenants  []tenant.ID
	Created  time.Time
	Changed  time.Time // of the password
}

type userRow struct {
	bun.BaseModel `bun:"table:users"`
	Name          string `bun:"name,pk"`
	Password      string `bun:"password,notnull"`
	Role          string `bun:"role,notnull"`
	AllTenants    bool   `bun:"all_tenants,notnull"`
	Tenants       string `bun:"tenants,notnull"` // JSON
	Created       int64  `bun:"created,notnull"`
	Changed       int64  `bun:"changed,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *userRow) seenBy(scope tenant.Scope) bool {
	u, err := r.user()
	if err != nil || u.All || len(u.Tenants) == 0 {
		return scope.Sees(nobody)
	}
	return seesEach(scope, u.Tenants)
}

func (r *userRow) user() (User, error) {
	ids, err := tenantList(r.Tenants)
	return User{r.Name, r.Password, r.Role, r.AllTenants, ids, moment(r.Created), moment(r.Changed)}, err
}

// Session is a browser that logged in.
type Session struct {
	Hash    []byte // SHA-256 of the session's secret
	User    string
	Created time.Time
	Expires time.Time
}

type sessionRow struct {
	bun.BaseModel `bun:"table:sessions"`
	Hash          string `bun:"hash,pk"` // hexadecimal
	User          string `bun:"user,notnull"`
	Created       int64  `bun:"created,notnull"`
	Expires       int64  `bun:"expires,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*sessionRow) ofTheInstallation() {}

// AddUser stores a new user; ErrExists where the name is taken.
func (s *Store) AddUser(ctx context.Context, u User, by string) error {
	if err := CheckName("a user's name", u.Name); err != nil {
		return err
	}
	for _, id := range u.Tenants {
		if err := CheckTenant(id); err != nil {
			return err
		}
	}
	return s.write(ctx, "adding the user "+u.Name, func(ctx context.Context, tx bun.Tx) error {
		now := s.opt.Now()
		row := &userRow{Name: u.Name, Password: u.Password, Role: u.Role, AllTenants: u.All, Tenants: tenantJSON(u.Tenants), Created: micros(now), Changed: micros(now)}
		if _, err := put(ctx, tx, refuse, row); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: now, Who: by, What: "user add", Of: u.Name})
	})
}

// User returns one user all of whose tenants the scope sees; ErrNotFound else.
func (s *Store) User(ctx context.Context, scope tenant.Scope, name string) (User, error) {
	row, err := one(ctx, few[userRow], s, s.r, scope, byKey("name", name))
	if err != nil {
		return User{}, err
	}
	return row.user()
}

// Users lists the users all of whose tenants the scope sees, by name.
func (s *Store) Users(ctx context.Context, scope tenant.Scope) ([]User, error) {
	var out []User
	err := few(ctx, s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("name") }, func(r *userRow) bool {
		if u, err := r.user(); err == nil {
			out = append(out, u)
		}
		return true
	})
	return out, err
}

// SetPassword replaces a user's hash and ends the user's sessions.
func (s *Store) SetPassword(ctx context.Context, scope tenant.Scope, name, hash, by string) error {
	return s.write(ctx, "changing the password of "+name, func(ctx context.Context, tx bun.Tx) error {
		row, err := one(ctx, few[userRow], s, tx, scope, byKey("name", name))
		if err != nil {
			return err
		}
		row.Password, row.Changed = hash, micros(s.opt.Now())
		if _, err := put(ctx, tx, replace, row); err != nil {
			return err
		}
		if _, err := remove[sessionRow](ctx, tx, `"user" = ?`, name); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: by, What: "user password", Of: name})
	})
}

// RemoveUser takes a user out, with all sessions.
func (s *Store) RemoveUser(ctx context.Context, scope tenant.Scope, name, by string) error {
	return s.write(ctx, "removing the user "+name, func(ctx context.Context, tx bun.Tx) error {
		if _, err := one(ctx, few[userRow], s, tx, scope, byKey("name", name)); err != nil {
			return err
		}
		if _, err := remove[userRow](ctx, tx, "name = ?", name); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: by, What: "user remove", Of: name})
	})
}

// AddSession stores a session and forgets those that have ended.
func (s *Store) AddSession(ctx context.Context, x Session) error {
	return s.write(ctx, "storing a session", func(ctx context.Context, tx bun.Tx) error {
		if _, err := remove[sessionRow](ctx, tx, "expires <= ?", micros(s.opt.Now())); err != nil {
			return err
		}
		_, err := put(ctx, tx, refuse, &sessionRow{Hash: hexadecimal(x.Hash), User: x.User, Created: micros(x.Created), Expires: micros(x.Expires)})
		return err
	})
}

// Session returns the session with that hash, unless it has ended; ErrNotFound else.
func (s *Store) Session(ctx context.Context, hash []byte) (Session, error) {
	var found *Session
	now := s.opt.Now()
	err := every(ctx, s, s.r, byKey("hash", hexadecimal(hash)), func(r *sessionRow) bool {
		if r.Hash == hexadecimal(hash) && now.Before(moment(r.Expires)) {
			found = &Session{hash, r.User, moment(r.Created), moment(r.Expires)}
		}
		return true
	})
	if err != nil {
		return Session{}, err
	}
	if found == nil {
		return Session{}, ErrNotFound
	}
	return *found, nil
}

// EndSession forgets a session; there need not be one.
func (s *Store) EndSession(ctx context.Context, hash []byte) error {
	return s.write(ctx, "ending a session", func(ctx context.Context, tx bun.Tx) error {
		_, err := remove[sessionRow](ctx, tx, "hash = ?", hexadecimal(hash))
		return err
	})
}

func hexadecimal(b []byte) string { return fmt.Sprintf("%x", b) }
