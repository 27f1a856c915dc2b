package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Token is what is kept of a token: not its secret, but the secret's hash.
type Token struct {
	ID      string
	Hash    []byte // SHA-256 of the whole token
	Role    string
	All     bool        // sees every tenant
	Tenants []tenant.ID // what it sees; empty where All is set, and for senders
	Sensor  string      // of a sender
	Tenant  tenant.ID   // of a sender that speaks for one tenant
	By      string      // who made it
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it holds
	Used    time.Time // last use, to a minute or so; zero: never
}

type tokenRow struct {
	bun.BaseModel `bun:"table:tokens"`
	ID            string `bun:"id,pk"`
	Hash          []byte `bun:"hash,notnull"`
	Role          string `bun:"role,notnull"`
	AllTenants    bool   `bun:"all_tenants,notnull"`
	Tenants       string `bun:"tenants,notnull"` // JSON
	Sensor        string `bun:"sensor,notnull"`
	Tenant        string `bun:"tenant,notnull"`
	MadeBy        string `bun:"made_by,notnull"`
	Created       int64  `bun:"created,notnull"`
	Expires       int64  `bun:"expires,notnull"`
	Revoked       int64  `bun:"revoked,notnull"`
	Changed       int64  `bun:"changed,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *tokenRow) seenBy(scope tenant.Scope) bool {
	t, err := r.token()
	if err != nil || t.All || len(t.Tenants) == 0 && t.Tenant == "" {
		return scope.Sees(nobody)
	}
	if t.Tenant != "" && !scope.Sees(t.Tenant) {
		return false
	}
	return seesEach(scope, t.Tenants)
}

func seesEach(scope tenant.Scope, ids []tenant.ID) bool {
	for _, id := range ids {
		if !scope.Sees(id) {
			return false
		}
	}
	return true
}

func (r *tokenRow) token() (Token, error) {
	ids, err := tenantList(r.Tenants)
	return Token{
		ID: r.ID, Hash: r.Hash, Role: r.Role, All: r.AllTenants, Tenants: ids, Sensor: r.Sensor, Tenant: tenant.ID(r.Tenant), By: r.MadeBy,
		Created: moment(r.Created), Expires: moment(r.Expires), Revoked: moment(r.Revoked),
	}, err
}

// tokenUseRow stands apart, so that a use never rewrites what a token may do.
type tokenUseRow struct {
	bun.BaseModel `bun:"table:token_uses"`
	ID            string `bun:"id,pk"`
	Used          int64  `bun:"used,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*tokenUseRow) ofTheInstallation() {}

type stubTenantRow struct {
	bun.BaseModel `bun:"table:stub_tenants"`
	Tenant        string `bun:"tenant,pk"`
	Token         string `bun:"token,notnull"`
	Declared      int64  `bun:"declared,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *stubTenantRow) seenBy(scope tenant.Scope) bool { return scope.Sees(tenant.ID(r.Tenant)) }

// Binding ties a sensor to the tenant that it speaks for, as a token declared it.
type Binding struct {
	Sensor   string
	Tenant   tenant.ID // empty where the sensor's declared map decides
	Token    string    // id of the token
	Declared time.Time
}

type bindingRow struct {
	bun.BaseModel `bun:"table:bindings"`
	Token         string `bun:"token,pk"`
	Sensor        string `bun:"sensor,notnull"`
	Tenant        string `bun:"tenant,notnull"`
	Declared      int64  `bun:"declared,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *bindingRow) seenBy(scope tenant.Scope) bool {
	return r.Tenant == "" && scope.Sees(nobody) || r.Tenant != "" && scope.Sees(tenant.ID(r.Tenant))
}

// CheckTenant says why an id can't be a tenant's; nil where it can. Ids are at most 128 bytes of printable UTF-8
// without blanks at the ends.
func CheckTenant(id tenant.ID) error { return checkName("a tenant's id", string(id)) }

// CheckName says why a name can't be a sensor's or a user's; the rules are those of CheckTenant.
func CheckName(what, name string) error { return checkName(what, name) }

func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s can't be empty", what)
	case len(name) > 128:
		return fmt.Errorf("%s can't be longer than 128 bytes; this one has %d", what, len(name))
	case !utf8.ValidString(name):
		return fmt.Errorf("%s must be UTF-8: %q", what, name)
	case name[0] == ' ' || name[len(name)-1] == ' ':
		return fmt.Errorf("%s can't begin or end with a blank: %q", what, name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s can't hold %U: %q", what, r, name)
		}
	}
	return nil
}

// AddToken stores a token, and with it the sensor's binding and the tenants that it is the first to name.
func (s *Store) AddToken(ctx context.Context, t Token) error {
	ids := t.Tenants
	if t.Tenant != "" {
		ids = append([]tenant.ID{t.Tenant}, ids...)
	}
	for _, id := range ids {
		if err := CheckTenant(id); err != nil {
			return err
		}
	}
	now := micros(s.opt.Now())
	return s.write(ctx, "storing the token "+t.ID, func(ctx context.Context, tx bun.Tx) error {
		row := &tokenRow{
			ID: t.ID, Hash: t.Hash, Role: t.Role, AllTenants: t.All, Tenants: tenantJSON(t.Tenants), Sensor: t.Sensor, Tenant: string(t.Tenant),
			MadeBy: t.By, Created: micros(t.Created), Expires: micros(t.Expires), Revoked: micros(t.Revoked), Changed: now,
		}
		if _, err := put(ctx, tx, refuse, row); err != nil {
			return err
		}
		if t.Sensor != "" {
			if _, err := put(ctx, tx, replace, &bindingRow{Token: t.ID, Sensor: t.Sensor, Tenant: string(t.Tenant), Declared: now}); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if _, err := put(ctx, tx, ignore, &stubTenantRow{Tenant: string(id), Token: t.ID, Declared: now}); err != nil {
				return err
			}
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: t.By, What: "token create", Of: t.ID, Tenant: t.Tenant})
	})
}

// Tokens lists the tokens all of whose tenants the scope sees, oldest first; those of all tenants only where the
// scope is everything.
func (s *Store) Tokens(ctx context.Context, scope tenant.Scope) ([]Token, error) {
	used := map[string]int64{}
	err := every(ctx, s, s.r, func(q *bun.SelectQuery) *bun.SelectQuery { return q }, func(u *tokenUseRow) bool {
		used[u.ID] = u.Used
		return true
	})
	if err != nil {
		return nil, err
	}
	var out []Token
	err = few(ctx, s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("created", "id") }, func(r *tokenRow) bool {
		t, err := r.token()
		if err == nil {
			t.Used = moment(used[t.ID])
			out = append(out, t)
		}
		return true
	})
	return out, err
}

// TokensVersion changes whenever a token was made or revoked, by any process. It costs two steps in an index.
func (s *Store) TokensVersion(ctx context.Context) (string, error) {
	var n, newest int64
	err := s.r.NewSelect().Model((*tokenRow)(nil)).ColumnExpr("count(*), coalesce(max(changed), 0)").Scan(ctx, &n, &newest)
	if err != nil {
		return "", fmt.Errorf("asking for the newest token: %w", err)
	}
	return fmt.Sprintf("%d.%d", n, newest), nil
}

// RevokeToken ends a token for good. ErrNotFound: there is none, or the scope does not see it. Revoking twice keeps
// the first time.
func (s *Store) RevokeToken(ctx context.Context, scope tenant.Scope, id, by string) error {
	return s.write(ctx, "revoking the token "+id, func(ctx context.Context, tx bun.Tx) error {
		row, err := one(ctx, few[tokenRow], s, tx, scope, byKey("id", id))
		if err != nil || row.Revoked != 0 {
			return err
		}
		var newest int64
		if err := tx.NewSelect().Model((*tokenRow)(nil)).ColumnExpr("coalesce(max(changed), 0)").Scan(ctx, &newest); err != nil {
			return err
		}
		row.Revoked = micros(s.opt.Now())
		row.Changed = max(row.Revoked, newest+1) // the version must change, even where the clock went back
		if _, err := put(ctx, tx, replace, row); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: by, What: "token revoke", Of: id, Tenant: tenant.ID(row.Tenant)})
	})
}

// UseTokens notes when tokens were last used, by id.
func (s *Store) UseTokens(ctx context.Context, used map[string]time.Time) error {
	rows := make([]*tokenUseRow, 0, len(used))
	for id, at := range used {
		rows = append(rows, &tokenUseRow{ID: id, Used: micros(at)})
	}
	return s.write(ctx, "noting the use of tokens", func(ctx context.Context, tx bun.Tx) error {
		_, err := put(ctx, tx, replace, rows...)
		return err
	})
}

// StubTenants lists the tenants that tokens have named, whether a configuration declares them or not.
func (s *Store) StubTenants(ctx context.Context, scope tenant.Scope) ([]tenant.ID, error) {
	var out []tenant.ID
	err := scoped(ctx, s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("tenant") }, func(r *stubTenantRow) bool {
		out = append(out, tenant.ID(r.Tenant))
		return true
	})
	return out, err
}

// Bindings lists which sensors speak for which tenants, as tokens declared them; those of several tenants only
// where the scope is everything.
func (s *Store) Bindings(ctx context.Context, scope tenant.Scope) ([]Binding, error) {
	var out []Binding
	err := scoped(ctx, s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("sensor", "token") }, func(r *bindingRow) bool {
		out = append(out, Binding{r.Sensor, tenant.ID(r.Tenant), r.Token, moment(r.Declared)})
		return true
	})
	return out, err
}

// one reads the row of a key; ErrNotFound where there is none, or the scope does not see it.
func one[T any](ctx context.Context, reader func(context.Context, *Store, bun.IDB, tenant.Scope, narrow, func(*T) bool) error,
	s *Store, db bun.IDB, scope tenant.Scope, q narrow,
) (*T, error) {
	var found *T
	err := reader(ctx, s, db, scope, q, func(r *T) bool { found = r; return false })
	if err == nil && found == nil {
		err = ErrNotFound
	}
	return found, err
}

// byKey narrows to one key. A key that can't be stored finds nothing.
func byKey(column, key string) narrow {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if !storable(key) {
			return q.Where("1 = 0")
		}
		return q.Where("? = ?", bun.Ident(column), key)
	}
}

func storable(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(s)
}

func tenantJSON(ids []tenant.ID) string {
	if len(ids) == 0 {
		return "[]"
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(b)
}

func tenantList(text string) ([]tenant.ID, error) {
	var ids []tenant.ID
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		return nil, errors.New("the list of tenants can't be read")
	}
	return ids, nil
}
