package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Posture is what a running server judged of its tenants' doors. It answers ErrNotFound where the configuration has no
// section for it.
type Posture interface {
	// Board returns the tenants of the scope, those that need a look first.
	Board(ctx context.Context, scope tenant.Scope) (PostureBoard, error)
	// Tenant returns one tenant with all controls and what is behind them; ErrNotFound outside the scope.
	Tenant(ctx context.Context, scope tenant.Scope, id tenant.ID) (PostureTenant, error)
	// Add keeps a fact of a tenant that the scope sees; f.By is set.
	Add(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, f posture.Fact) error
	// Statement signs what clients may see of a tenant; to is for whom, empty: for anybody.
	Statement(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, to string) ([]byte, error)
}

// PostureBoard is how all tenants of a scope stand.
type PostureBoard struct {
	At       time.Time       `json:"at"`  // when it was asked for
	KEV      PostureKEV      `json:"kev"` // what remote tools are held against
	Controls int             `json:"controls"`
	Tenants  []PostureTenant `json:"tenants"`            // without controls
	Problems []string        `json:"problems,omitempty"` // of the installation; for callers who see every tenant
}

// PostureKEV says how old the catalogue of exploited vulnerabilities is. Version is empty where there is none.
type PostureKEV struct {
	Version  string     `json:"version"`
	Released *time.Time `json:"released"`
	AgeDays  int        `json:"age_days"`
	Old      bool       `json:"old"`
	Says     string     `json:"says"`
}

// PostureTenant is how one tenant stands.
type PostureTenant struct {
	Tenant     tenant.ID          `json:"tenant"`
	Name       string             `json:"name"`
	At         *time.Time         `json:"at"` // when it was judged; null: not yet
	Pillars    []PosturePillar    `json:"pillars"`
	Controls   []PostureControl   `json:"controls,omitempty"`
	Files      []PostureFile      `json:"files,omitempty"`
	Statements []PostureStatement `json:"statements,omitempty"` // of partners that have a trust into it
	Problem    string             `json:"problem,omitempty"`    // why the newest judgement could not be made
	LeftOut    int                `json:"left_out"`             // records and files that could not be read
}

// PosturePillar is one pillar of a tenant.
type PosturePillar struct {
	Pillar evidence.Pillar        `json:"pillar"`
	Status posture.Status         `json:"status"` // the worst of its controls
	Counts map[posture.Status]int `json:"counts"`
	Trend  PostureTrend           `json:"trend"`
}

// PostureTrend is the share of controls that passed or were excepted, day by day, the newest last. A day on which
// nothing was judged is null.
type PostureTrend struct {
	Days     []*float64 `json:"days"`      // at most 90
	Change30 *float64   `json:"change_30"` // against 30 days before, or the first day of the last 30; null: one day is known
	Change90 *float64   `json:"change_90"`
}

// PostureControl is one control of a tenant.
type PostureControl struct {
	Control    string                 `json:"control"`
	Title      string                 `json:"title"`
	Pillar     evidence.Pillar        `json:"pillar"`
	Severity   ocsf.Severity          `json:"severity"`
	Status     posture.Status         `json:"status"`
	Reason     string                 `json:"reason"`
	Since      *time.Time             `json:"since"` // when it came to that status
	About      string                 `json:"about"`
	Where      string                 `json:"where,omitempty"`
	Require    string                 `json:"require,omitempty"`
	Expect     string                 `json:"expect,omitempty"`
	Reads      []string               `json:"reads"`
	FreshHours int                    `json:"fresh_hours"`
	References []posture.Reference    `json:"references"`
	Settings   map[string]any         `json:"settings,omitempty"`
	Facts      map[posture.Status]int `json:"facts"`
	Oldest     *time.Time             `json:"oldest"`
	Newest     *time.Time             `json:"newest"`
	Exceptions []posture.Exception    `json:"exceptions,omitempty"`
	Lapsed     []posture.Exception    `json:"lapsed_exceptions,omitempty"`
	Items      []PostureItem          `json:"items"` // the worst first
	More       int                    `json:"more"`  // that are not in items
	Days       []posture.Status       `json:"days"`  // of the last 90 days, the newest last; empty: not judged
	File       string                 `json:"file"`  // that defines it
}

// PostureItem is one fact under a control. Accounts stand under pseudonyms.
type PostureItem struct {
	Status  posture.Status   `json:"status"`
	Subject string           `json:"subject"`
	Kind    string           `json:"kind"`
	Partner tenant.PartnerID `json:"partner,omitempty"`
	Trust   tenant.TrustID   `json:"trust,omitempty"`
	At      *time.Time       `json:"at"`
	File    string           `json:"file,omitempty"` // empty: drawn from telemetry or from other facts
	Line    int64            `json:"line,omitempty"`
	SHA256  string           `json:"sha256,omitempty"`
	Says    string           `json:"says,omitempty"`
}

// PostureFile is what became of one file of evidence.
type PostureFile struct {
	File     string   `json:"file"`
	Format   string   `json:"format,omitempty"`
	Facts    int      `json:"facts"`
	LeftOut  int      `json:"left_out"`
	Problems []string `json:"problems,omitempty"`
}

// PostureStatement is a partner's signed statement and what our own evidence says of it.
type PostureStatement struct {
	Partner      tenant.PartnerID       `json:"partner"`
	Issuer       string                 `json:"issuer"`
	Signer       string                 `json:"signer"`
	At           time.Time              `json:"at"`
	Expires      time.Time              `json:"expires"`
	Expired      bool                   `json:"expired"`
	Claims       map[posture.Status]int `json:"claims"`       // as they are worth now
	Contradicted []string               `json:"contradicted"` // controls whose passing claim is spoken against
}

func (h *Handler) postureBoard(c *call) error {
	b, err := h.boardOf(c.Context(), c.who.Scope)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, b)
	return nil
}

// boardOf asks for the board, and lets nothing through that lies outside the scope.
func (h *Handler) boardOf(ctx context.Context, scope tenant.Scope) (PostureBoard, error) {
	if h.opt.Posture == nil {
		return PostureBoard{}, ErrNotFound
	}
	b, err := h.opt.Posture.Board(ctx, scope)
	if err != nil {
		return PostureBoard{}, err
	}
	b.Tenants = slices.DeleteFunc(b.Tenants, func(t PostureTenant) bool { return !scope.Sees(t.Tenant) })
	if b.Tenants == nil {
		b.Tenants = []PostureTenant{}
	}
	if !scope.Sees("") {
		b.Problems = nil
	}
	return b, nil
}

// postureOf asks for the path's tenant; one outside the scope is not there.
func (h *Handler) postureOf(c *call) (PostureTenant, error) {
	id := tenant.ID(c.PathValue("tenant"))
	if h.opt.Posture == nil || id == "" || !c.who.Scope.Sees(id) {
		return PostureTenant{}, ErrNotFound
	}
	t, err := h.opt.Posture.Tenant(c.Context(), c.who.Scope, id)
	if err == nil && t.Tenant != id {
		return PostureTenant{}, errors.New("another tenant's posture was given than was asked for")
	}
	return t, err
}

func (h *Handler) postureTenant(c *call) error {
	t, err := h.postureOf(c)
	if err != nil {
		return err
	}
	if t.Controls == nil {
		t.Controls = []PostureControl{}
	}
	h.reply(c.w, c.Request, http.StatusOK, t)
	return nil
}

func (h *Handler) postureAdd(c *call) error {
	id := tenant.ID(c.PathValue("tenant"))
	if h.opt.Posture == nil || id == "" || !c.who.Scope.Sees(id) {
		return ErrNotFound
	}
	var in posture.Fact
	if err := decode(c.Request, &in); err != nil {
		return err
	}
	if in.Tenant != "" && in.Tenant != id {
		return misuse("tenant: leave it out, or name the tenant of the path")
	}
	in.Tenant = id
	if in.By = strings.TrimSpace(in.By); in.By == "" {
		in.By = c.who.ID
	}
	if err := h.opt.Posture.Add(c.Context(), c.who.Scope, c.who, id, in); err != nil {
		return err
	}
	h.opt.Log.Info("a fact of posture is taken", "tenant", id, "kind", in.Kind, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, map[string]string{"says": "kept; it is judged within two minutes"})
	return nil
}

// maxIssuedFor is how long the name may be to whom a statement is made, in bytes.
const maxIssuedFor = 200

func (h *Handler) postureStatement(c *call) error {
	id := tenant.ID(c.PathValue("tenant"))
	if h.opt.Posture == nil || id == "" || !c.who.Scope.Sees(id) {
		return ErrNotFound
	}
	to := strings.TrimSpace(c.URL.Query().Get("for"))
	if len(to) > maxIssuedFor || strings.ContainsFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return misuse("for: write one line of at most 200 bytes")
	}
	doc, err := h.opt.Posture.Statement(c.Context(), c.who.Scope, c.who, id, to)
	if err != nil {
		return err
	}
	h.opt.Log.Info("a statement of posture is signed", "tenant", id, "by", c.who.ID)
	h.send(c.w, c.Request, http.StatusOK, "application/json", doc)
	return nil
}

// postureRoutes are the operations on posture.
func postureRoutes() []route {
	return []route{
		{"GET", "/posture", authz.RoleViewer, "List the caller's tenants by the four pillars of posture, worst first, with the trend of 90 days", nil, nil, "PostureBoard", false, (*Handler).postureBoard},
		{"GET", "/posture/{tenant}", authz.RoleViewer, "Show one tenant's controls with the facts behind them, by file and line", nil, nil, "PostureTenant", false, (*Handler).postureTenant},
		{"POST", "/posture/{tenant}/evidence", authz.RoleAnalyst, "Write a fact down that no export tells (docs/schema/posture-fact.schema.json)", nil, []param{
			{Name: "kind", Type: "string", Says: "the kind of fact, as a control names it under reads", Needed: true},
			{Name: "subject", Type: "string", Says: "what it is about", Needed: true},
			{Name: "at", Type: "string", Says: "when it was true, RFC 3339", Needed: true},
			{Name: "tenant", Type: "string", Says: "the path's"}, {Name: "partner", Type: "string", Says: "whose access it is about"}, {Name: "trust", Type: "string", Says: "the trust that it is about"},
			{Name: "by", Type: "string", Says: "who says so; the caller where left out"},
			{Name: "attachment", Type: "string", Says: "the name of a file that shows it"}, {Name: "sha256", Type: "string", Says: "of that file"},
			{Name: "values", Type: "object", Says: "what the control's expression looks at"},
		}, "Taken", false, (*Handler).postureAdd},
		{"GET", "/posture/{tenant}/statement", authz.RoleAnalyst, "Sign what clients may see of a tenant's posture: claims, their age and the hashes of files", []param{
			{Name: "for", Type: "string", Says: "to whom it is made"}}, nil, "PostureDocument", false, (*Handler).postureStatement},
	}
}

// postureSchemas describe posture for OpenAPI.
func postureSchemas(text, whole, yes, moment, maybe, texts object, list func(string) object, ref func(string) object, shape func(object, ...string) object) object {
	status := object{"type": "string", "enum": posture.Statuses}
	days := object{"type": "array", "items": object{"type": "string"}}
	counts := object{"type": "object", "additionalProperties": whole}
	share := object{"type": []string{"number", "null"}}
	return object{
		"Taken": shape(object{"says": text}, "says"),
		"PostureBoard": shape(object{"at": moment, "kev": ref("PostureKEV"), "controls": whole, "tenants": list("PostureTenant"), "problems": texts},
			"at", "kev", "controls", "tenants"),
		"PostureKEV": shape(object{"version": text, "released": maybe, "age_days": whole, "old": yes, "says": text}, "version", "released", "age_days", "old", "says"),
		"PostureTenant": shape(object{"tenant": text, "name": text, "at": maybe, "pillars": list("PosturePillar"), "controls": list("PostureControl"), "files": list("PostureFile"),
			"statements": list("PostureStatement"), "problem": text, "left_out": whole}, "tenant", "name", "at", "pillars", "left_out"),
		"PosturePillar": shape(object{"pillar": object{"type": "string", "enum": evidence.Pillars}, "status": status, "counts": counts, "trend": ref("PostureTrend")}, "pillar", "status", "counts", "trend"),
		"PostureTrend":  shape(object{"days": object{"type": "array", "items": share}, "change_30": share, "change_90": share}, "days", "change_30", "change_90"),
		"PostureControl": shape(object{"control": text, "title": text, "pillar": text, "severity": text, "status": status, "reason": text, "since": maybe, "about": text, "where": text, "require": text,
			"expect": text, "reads": texts, "fresh_hours": whole, "references": list("PostureReference"), "settings": object{"type": "object"}, "facts": counts, "oldest": maybe, "newest": maybe,
			"exceptions": list("PostureException"), "lapsed_exceptions": list("PostureException"), "items": list("PostureItem"), "more": whole, "days": days, "file": text},
			"control", "title", "pillar", "severity", "status", "reason", "about", "reads", "fresh_hours", "references", "facts", "items", "more", "days", "file"),
		"PostureReference": shape(object{"source": text, "id": text}, "source", "id"),
		"PostureException": shape(object{"control": text, "tenant": text, "subject": text, "owner": text, "reason": text, "expires": moment}, "control", "owner", "reason", "expires"),
		"PostureItem": shape(object{"status": status, "subject": text, "kind": text, "partner": text, "trust": text, "at": maybe, "file": text, "line": whole, "sha256": text, "says": text},
			"status", "subject", "kind", "at"),
		"PostureFile": shape(object{"file": text, "format": text, "facts": whole, "left_out": whole, "problems": texts}, "file", "facts", "left_out"),
		"PostureStatement": shape(object{"partner": text, "issuer": text, "signer": text, "at": moment, "expires": moment, "expired": yes, "claims": counts, "contradicted": texts},
			"partner", "issuer", "signer", "at", "expires", "expired", "claims", "contradicted"),
		"PostureDocument": object{"type": "object", "description": "a signed statement; `breakwater posture verify` reads it"},
	}
}
