package ocsf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Severity is the OCSF severity of a finding.
type Severity uint8

// The severities, weakest first.
const (
	SeverityUnknown Severity = iota
	SeverityInformational
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"unknown", "informational", "low", "medium", "high", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// MarshalText writes the severity in lower case.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity as String writes it.
func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSeverity(string(b))
	return err
}

// ParseSeverity reads a severity by name, in any case.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if strings.EqualFold(n, name) {
			return Severity(i), nil
		}
	}
	return SeverityUnknown, fmt.Errorf("unknown severity %q: use informational, low, medium, high or critical", name)
}

// Outcome says how far what was found got.
type Outcome string

// The outcomes of a finding.
const (
	OutcomeUnknown   Outcome = "unknown"
	OutcomeAttempted Outcome = "attempted"
	OutcomeSucceeded Outcome = "succeeded"
)

// Technique is an ATT&CK technique id, e.g. T1199 or T1566.002.
type Technique string

// EntityType names the type of an entity, in the field's own words.
type EntityType string

// The entity and observable types.
const (
	EntityIP       EntityType = "ip"
	EntityHost     EntityType = "host"
	EntityUser     EntityType = "user"
	EntityMailbox  EntityType = "mailbox"
	EntityDomain   EntityType = "domain"
	EntityURL      EntityType = "url"
	EntityHash     EntityType = "hash"
	EntityProcess  EntityType = "process"
	EntityRMM      EntityType = "rmm-instance"
	EntitySession  EntityType = "rmm-session"
	EntityApp      EntityType = "app"
	EntityMessage  EntityType = "message-id"
	EntitySubject  EntityType = "subject" // of a mail
	EntityCertKey  EntityType = "credential"
	EntityService  EntityType = "service"
	EntityResource EntityType = "resource"
)

// Entity is a typed value that a finding or a hop is about. Role says what it is there: source, target,
// actor, indicator, infrastructure …
type Entity struct {
	Type  EntityType `json:"type"`
	Value string     `json:"value"`
	Role  string     `json:"role,omitempty"`
}

// Roles that detectors give to entities. Correlation joins tenants only by infrastructure and actors.
const (
	RoleSource         = "source"
	RoleTarget         = "target"
	RoleActor          = "actor"          // an account or operator that acts
	RoleInfrastructure = "infrastructure" // something the intruder brought: apex domain, foreign instance, address
)

// Suppression says who allowed what a finding shows; a suppressed finding is counted and shown, never lost.
type Suppression struct {
	By     string    `json:"by"` // approval, filter
	Owner  string    `json:"owner"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// Evidence is one event behind a finding.
type Evidence struct {
	File   string `json:"file"`
	Record int64  `json:"record"`
	Event  *Event `json:"event"`
}

// MaxEvidence is how many events a finding carries; Finding.Count tells how many there were.
const MaxEvidence = 20

// Finding is what a detector says (OCSF Detection Finding 2004).
type Finding struct {
	ID         string
	Time       time.Time // first event
	End        time.Time // last event
	Tenant     tenant.ID
	Trust      tenant.TrustID
	Partner    tenant.PartnerID
	Layer      tenant.Layer
	Detector   string
	Rule       string
	Title      string
	Technique  Technique
	Severity   Severity
	Confidence int // 0 to 100
	Outcome    Outcome
	Entities   []Entity
	Reason     string // in plain words
	Evidence   []Evidence
	Count      int // events behind it
	Suppressed *Suppression
	Snapshot   string // version of the declared model it was made with
}

// Identify sets the id from the tenant, the detector, the rule, the key entities and the window's start. It
// never depends on the growing evidence, so that writing a finding again replaces it.
func (f *Finding) Identify(windowStart time.Time, key ...string) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d", f.Tenant, f.Detector, f.Rule, windowStart.UnixNano())
	for _, k := range key {
		fmt.Fprintf(h, "\x00%s", k)
	}
	f.ID = hex.EncodeToString(h.Sum(nil)[:12])
}

// AddEvidence counts an event and keeps it while there is room; it widens the finding's time span.
func (f *Finding) AddEvidence(e *Event) {
	f.Count++
	if f.Time.IsZero() || e.Time.Before(f.Time) {
		f.Time = e.Time
	}
	if e.Time.After(f.End) {
		f.End = e.Time
	}
	if len(f.Evidence) < MaxEvidence {
		f.Evidence = append(f.Evidence, Evidence{File: e.Raw.File, Record: e.Raw.Record, Event: e})
	}
}

// AddEntity adds an entity once; empty values are left out.
func (f *Finding) AddEntity(t EntityType, value, role string) {
	if value == "" {
		return
	}
	e := Entity{Type: t, Value: value, Role: role}
	for _, x := range f.Entities {
		if x == e {
			return
		}
	}
	f.Entities = append(f.Entities, e)
}

// MarshalJSON writes the finding as `scan -o jsonl` prints it; see docs/output-format.md.
func (f *Finding) MarshalJSON() ([]byte, error) {
	type evidence struct {
		File   string   `json:"file"`
		Record int64    `json:"record"`
		Event  *Summary `json:"event"`
	}
	ev := make([]evidence, len(f.Evidence))
	for i, x := range f.Evidence {
		ev[i] = evidence{x.File, x.Record, x.Event.Summary()}
	}
	ents := f.Entities
	if ents == nil {
		ents = []Entity{}
	}
	return json.Marshal(struct {
		ID         string           `json:"id"`
		Time       time.Time        `json:"time"`
		End        time.Time        `json:"end"`
		Tenant     tenant.ID        `json:"tenant"`
		Trust      tenant.TrustID   `json:"trust"`
		Partner    tenant.PartnerID `json:"partner"`
		Layer      tenant.Layer     `json:"layer"`
		Detector   string           `json:"detector"`
		Rule       string           `json:"rule"`
		Title      string           `json:"title"`
		Technique  Technique        `json:"technique"`
		Severity   Severity         `json:"severity"`
		Confidence int              `json:"confidence"`
		Outcome    Outcome          `json:"outcome"`
		Entities   []Entity         `json:"entities"`
		Reason     string           `json:"reason"`
		Count      int              `json:"count"`
		Evidence   []evidence       `json:"evidence"`
		Suppressed *Suppression     `json:"suppressed,omitempty"`
		Snapshot   string           `json:"snapshot"`
	}{f.ID, f.Time.UTC(), f.End.UTC(), f.Tenant, f.Trust, f.Partner, f.Layer, f.Detector, f.Rule, f.Title, f.Technique,
		f.Severity, f.Confidence, f.Outcome, ents, f.Reason, f.Count, ev, f.Suppressed, f.Snapshot})
}
