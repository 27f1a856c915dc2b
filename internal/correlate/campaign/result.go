package campaign

import (
	"encoding/json"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// SchemaVersion is the version of Result's JSON; see docs/schema/result.schema.json.
const SchemaVersion = "1"

// Outcome is what a campaign did to one tenant; the words are those of docs/terms.md.
type Outcome string

// The outcomes, worst first.
const (
	Succeeded Outcome = "succeeded"
	Attempted Outcome = "attempted"
	Exposed   Outcome = "exposed"
	Blind     Outcome = "blind"
	Clear     Outcome = "clear"
)

// Result is the answer to a scan.
type Result struct {
	Schema    string          `json:"schema"`
	Campaigns []Campaign      `json:"campaigns"`
	Incidents []Incident      `json:"incidents"`
	Findings  FindingTotals   `json:"findings"`
	Coverage  []Coverage      `json:"coverage"`
	Unparsed  []Unparsed      `json:"unparsed"`
	Notes     []string        `json:"notes,omitempty"` // what could not be attributed and why a config would help
	Matrix    []MatrixRow     `json:"matrix"`          // tenant × layer, for the report
	Input     Input           `json:"input"`
	List      []*ocsf.Finding `json:"-"` // all findings, by time; the suppressed ones too
}

// Input says what was read.
type Input struct {
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Events   int64     `json:"events"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Snapshot string    `json:"snapshot"` // version of the declared model
}

// Campaign is incidents of several tenants that belong together, or of one tenant where the partner's side is seen.
type Campaign struct {
	ID            string           `json:"id"`
	Partner       tenant.PartnerID `json:"partner"` // "" where no partner is involved or known
	FirstFoothold Foothold         `json:"first_foothold"`
	DwellDays     float64          `json:"dwell_days"`
	Tenants       []TenantOutcome  `json:"tenants"` // every configured tenant, by id
	Incidents     []string         `json:"incidents"`
	JoinedBy      []Join           `json:"joined_by"`
	Start         time.Time        `json:"start"`
	End           time.Time        `json:"end"`
	Summary       string           `json:"summary"`
	Hops          []Hop            `json:"hops"`
	Accesses      []Access         `json:"accesses"` // what the intruder holds
	Drawn         time.Time        `json:"drawn"`    // time of the last event the conclusion rests on
}

// Foothold is where a campaign began, or what somebody else must look up to say so; exactly one half is set.
type Foothold struct {
	Time   time.Time    `json:"time,omitzero"`
	Tenant tenant.ID    `json:"tenant,omitempty"`
	Entity *ocsf.Entity `json:"entity,omitempty"`
	Layer  tenant.Layer `json:"layer,omitempty"`

	Ask  string    `json:"ask,omitempty"` // the organisation that must look: a partner's id
	For  string    `json:"for,omitempty"` // the address, account, key or session to look for
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`

	Reason string `json:"reason"`
}

// TenantOutcome is the scope of a campaign in one tenant.
type TenantOutcome struct {
	Tenant   tenant.ID      `json:"tenant"`
	Outcome  Outcome        `json:"outcome"`
	Since    time.Time      `json:"since,omitzero"`
	Trust    tenant.TrustID `json:"trust"`
	Reason   string         `json:"reason"`
	Findings []string       `json:"findings"`
}

// Join says why findings of different tenants are one campaign.
type Join struct {
	Kind    string      `json:"kind"` // rmm-instance, domain, ip, account, app, partner-path …
	Value   string      `json:"value"`
	Tenants []tenant.ID `json:"tenants"`
	Reason  string      `json:"reason"`
}

// Access is one way in that the intruder holds.
type Access struct {
	Kind  string `json:"kind"` // account, network, remote-tool, agent, cloud-principal, cloud-user, mail
	Value string `json:"value"`
}

// Hop is one observed move that the campaign's trace rests on.
type Hop struct {
	Time     time.Time        `json:"time"`
	From     HopEnd           `json:"from"`
	To       HopEnd           `json:"to"`
	Kind     string           `json:"kind"` // session, logon, rmm, mail, sign-in, phish …
	Label    string           `json:"label"`
	Trust    tenant.TrustID   `json:"trust,omitempty"`
	JoinKey  string           `json:"join_key,omitempty"`
	Outcome  string           `json:"outcome,omitempty"`
	Severity ocsf.Severity    `json:"severity"`
	Findings []string         `json:"findings,omitempty"`
	Evidence []HopEvidence    `json:"evidence"`
	Partner  tenant.PartnerID `json:"-"`
}

// HopEnd is one end of a hop: a thing in a tenant, or outside ("").
type HopEnd struct {
	Tenant tenant.ID   `json:"tenant"`
	Entity ocsf.Entity `json:"entity"`
}

// HopEvidence names one record behind a hop.
type HopEvidence struct {
	File   string `json:"file"`
	Record int64  `json:"record"`
	Text   string `json:"text"`
}

// Incident is the findings of one tenant that belong together.
type Incident struct {
	ID         string           `json:"id"`
	Tenant     tenant.ID        `json:"tenant"`
	Trust      tenant.TrustID   `json:"trust"`
	Partner    tenant.PartnerID `json:"partner"`
	Start      time.Time        `json:"start"`
	End        time.Time        `json:"end"`
	Severity   ocsf.Severity    `json:"severity"`
	Outcome    ocsf.Outcome     `json:"outcome"`
	Title      string           `json:"title"`
	Layers     []tenant.Layer   `json:"layers"`
	Techniques []ocsf.Technique `json:"techniques"`
	Findings   []string         `json:"findings"`
	Campaign   string           `json:"campaign,omitempty"`
	Trace      *IncidentTrace   `json:"trace,omitempty"` // nil where no finding names a source that could be traced
}

// FindingTotals counts findings; suppressed ones are counted apart.
type FindingTotals struct {
	Total      int            `json:"total"`
	BySeverity map[string]int `json:"by_severity"`
	Suppressed int            `json:"suppressed"`
}

// Coverage says what telemetry of one tenant and layer there is; events 0 means silent.
type Coverage struct {
	Tenant tenant.ID    `json:"tenant"`
	Layer  tenant.Layer `json:"layer"`
	From   time.Time    `json:"from,omitzero"`
	To     time.Time    `json:"to,omitzero"`
	Events int64        `json:"events"`
}

// MarshalJSON writes null for times that there are none of, so that every row has every key.
func (c Coverage) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Tenant tenant.ID    `json:"tenant"`
		Layer  tenant.Layer `json:"layer"`
		From   *time.Time   `json:"from"`
		To     *time.Time   `json:"to"`
		Events int64        `json:"events"`
	}{c.Tenant, c.Layer, moment(c.From), moment(c.To), c.Events})
}

// MarshalJSON writes null for a since that there is none of, so that every row has every key.
func (o TenantOutcome) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Tenant   tenant.ID      `json:"tenant"`
		Outcome  Outcome        `json:"outcome"`
		Since    *time.Time     `json:"since"`
		Trust    tenant.TrustID `json:"trust"`
		Reason   string         `json:"reason"`
		Findings []string       `json:"findings"`
	}{o.Tenant, o.Outcome, moment(o.Since), o.Trust, o.Reason, o.Findings})
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Unparsed counts records of one file that could not be read, by reason.
type Unparsed struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// MatrixRow is one cell of the tenant × layer matrix: what happened there, in the words of Outcome.
type MatrixRow struct {
	Tenant   tenant.ID    `json:"tenant"`
	Layer    tenant.Layer `json:"layer"`
	Outcome  Outcome      `json:"outcome"`
	Findings int          `json:"findings"`
	Events   int64        `json:"events"`
}
