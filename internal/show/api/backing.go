package api

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// What the interfaces below return where they can't do what was asked. Other errors are logged and answered with 500.
var (
	ErrNotFound = errors.New("there is no such thing, or it is not yours to see")
	ErrRefused  = errors.New("the credentials are not valid")
)

// Live is what the pipeline concludes, as it stands.
type Live interface {
	// Result returns the newest answer with the model it was drawn with, and its version, which grows with each
	// change. Neither is changed afterwards. The result is nil while there is none yet.
	Result() (*campaign.Result, *tenant.Model, uint64)
	// Wait returns the newest version as soon as it is past since, or the context's error.
	Wait(ctx context.Context, since uint64) (uint64, error)
	// Coverage returns what each sensor of the scope sent, by tenant, layer and sensor.
	Coverage(scope tenant.Scope) []Row
	// Status returns how the pipeline does.
	Status() Status
}

// Row is what one sensor sent for one tenant and layer.
type Row struct {
	Tenant        tenant.ID    `json:"tenant"`
	Layer         tenant.Layer `json:"layer"`
	Sensor        string       `json:"sensor"`
	Events        int64        `json:"events"`
	First         *time.Time   `json:"first"` // event time; null where nothing came
	Last          *time.Time   `json:"last"`
	Late          int64        `json:"late"`     // events that came after their window
	Unparsed      int64        `json:"unparsed"` // records that could not be read
	Authenticated bool         `json:"authenticated"`
	SilentSince   *time.Time   `json:"silent_since"` // null while it sends in its own rhythm
}

// Status is how the pipeline does. Counters are those of the whole installation, by name; a caller with a scope
// is not shown them.
type Status struct {
	Ready     bool             `json:"ready"`
	Reason    string           `json:"reason,omitempty"` // why it is not ready, or takes nothing in
	Started   time.Time        `json:"started"`
	LastEvent *time.Time       `json:"last_event"`  // receive time of the newest event
	Lag       Duration         `json:"lag_seconds"` // from accepted to concluded, of the newest that is done
	Waiting   int64            `json:"waiting"`     // messages on the bus that are not done
	Counters  map[string]int64 `json:"counters,omitempty"`
}

// Duration is written as seconds.
type Duration time.Duration

// MarshalJSON writes seconds with at most three decimals.
func (d Duration) MarshalJSON() ([]byte, error) {
	return seconds(time.Duration(d)), nil
}

// TraceQuery asks where something came from.
type TraceQuery struct {
	Subject string    // a finding's id, or its beginning, or an address or host
	Tenant  tenant.ID // whose telemetry names the address; empty where only one does
	At      string    // RFC 3339, a day, or so long before the end of the telemetry; needed for an address
	User    string    // the account that acted; empty where it is not known
	Paths   int       // ways of each source, 1 to MaxPaths; 0: 3
}

// BlastQuery asks how far somebody came.
type BlastQuery struct {
	Subject string // a partner, account, remote tool or address
	As      string // which of these; empty: whichever it is known as
	Since   string // as TraceQuery.At; empty: from the beginning of what is held
}

// Investigator walks the hop graph that stands behind the result. What it answers is written as JSON; it must hold
// nothing that lies outside the scope. r is what the scope may see of the result. Where it can't answer in time it
// returns a Problem with 503.
type Investigator interface {
	Trace(ctx context.Context, scope tenant.Scope, r *campaign.Result, q TraceQuery) (any, error)
	Blast(ctx context.Context, scope tenant.Scope, r *campaign.Result, q BlastQuery) (any, error)
}

// Deadletter is a record that could not be taken in, with the reason.
type Deadletter struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Tenant tenant.ID `json:"tenant"` // empty where nobody knows whose it is: shown to callers without a scope alone
	Sensor string    `json:"sensor"`
	Source string    `json:"source,omitempty"` // file or peer, as far as known
	Record int64     `json:"record,omitempty"`
	Reason string    `json:"reason"`
	Bytes  int64     `json:"bytes"`
	Raw    []byte    `json:"raw,omitempty"` // what came, as base64; only where one is shown
}

// DeadletterQuery asks for dead letters, oldest first.
type DeadletterQuery struct {
	Tenant tenant.ID // empty: of all in the scope
	Sensor string
	After  string // the id after which to begin
	Limit  int    // 1 to MaxPage
}

// Deadletters are the records that wait for somebody to mend what refused them.
type Deadletters interface {
	List(ctx context.Context, scope tenant.Scope, q DeadletterQuery) (list []Deadletter, more bool, err error)
	// Show returns one with its Raw; ErrNotFound where the scope has none of that id.
	Show(ctx context.Context, scope tenant.Scope, id string) (Deadletter, error)
	// Replay hands those back to the pipeline, all or none, and returns how many.
	Replay(ctx context.Context, scope tenant.Scope, by *authz.Principal, ids []string) (int, error)
}

// Level is how watchful to be at one tenant.
type Level struct {
	Tenant   tenant.ID  `json:"tenant"`
	Level    string     `json:"level"` // normal, elevated, heightened
	Reason   string     `json:"reason"`
	By       string     `json:"by,omitempty"`       // who set it
	Campaign string     `json:"campaign,omitempty"` // which campaign raised it
	Since    *time.Time `json:"since"`
	Until    *time.Time `json:"until"` // when it falls back by itself
}

// LevelNames are the alert levels, calmest first.
var LevelNames = []string{"normal", "elevated", "heightened"}

// Levels are the alert levels of all tenants.
type Levels interface {
	// List returns one for each tenant of the scope, by tenant.
	List(ctx context.Context, scope tenant.Scope) ([]Level, error)
	// Set raises a tenant's level; l has its tenant, level, reason and end.
	Set(ctx context.Context, scope tenant.Scope, by *authz.Principal, l Level) (Level, error)
	// End lets a tenant fall back to normal now, with the reason.
	End(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, reason string) (Level, error)
}

// Credentials are what somebody logs in with: a name and a password, or a token. They are never kept or logged.
type Credentials struct {
	Name, Password string
	Token          string
	Peer           string // where the login comes from, for the audit
}

// Session is a login that a browser holds as a cookie.
type Session struct {
	ID  string // the cookie's value, a secret
	End time.Time
}

// Authenticator tells who asks. Its errors are ErrRefused for credentials that are not valid.
type Authenticator interface {
	Token(ctx context.Context, token string) (*authz.Principal, error)
	Login(ctx context.Context, c Credentials) (Session, error)
	Session(ctx context.Context, id string) (*authz.Principal, error)
	Logout(ctx context.Context, id string) error
}
