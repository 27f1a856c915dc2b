package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Outcome is what the intruder got at one tenant, in the words of the campaign scope.
type Outcome string

// The five outcomes.
const (
	Succeeded Outcome = "succeeded"
	Attempted Outcome = "attempted"
	Exposed   Outcome = "exposed"
	Clear     Outcome = "clear"
	Blind     Outcome = "blind"
)

// Outcomes lists the five in the order of gravity.
var Outcomes = []Outcome{Succeeded, Attempted, Exposed, Blind, Clear}

// Truth is what really happens in a scenario: the content of truth.json.
type Truth struct {
	Kind          string         `json:"kind"`
	Seed          uint64         `json:"seed"`
	Rename        uint64         `json:"rename,omitempty"`
	WithoutAttack bool           `json:"without_attack,omitempty"`
	WithoutLayers []tenant.Layer `json:"without_layers,omitempty"`
	Overlap       bool           `json:"overlap,omitempty"`
	SharedNAT     bool           `json:"shared_nat,omitempty"`
	Skew          string         `json:"skew,omitempty"` // as time.Duration writes it
	Late          bool           `json:"late,omitempty"`
	IPv6          bool           `json:"ipv6,omitempty"`
	Campaigns     []Campaign     `json:"campaigns"`
	Mail          []MailTruth    `json:"mail,omitempty"` // each message of the telemetry, or of a folder of partner's mail
}

// MailTruth is what a message really is.
type MailTruth struct {
	File     string `json:"file"`  // relative to the scenario's folder
	Label    string `json:"label"` // lure: the intruder's; spam: commodity spam and phish; clean
	Kind     string `json:"kind"`  // what sort of lure or of honest mail
	Language string `json:"language"`
}

// Campaign is one intrusion: through whom it came, where it began and what it did to each tenant.
type Campaign struct {
	Partner       tenant.PartnerID `json:"partner"`
	FirstFoothold *Foothold        `json:"first_foothold,omitempty"` // nil where the telemetry does not hold it
	Ask           *Ask             `json:"ask,omitempty"`
	Tenants       []TenantOutcome  `json:"tenants"`
	// Infrastructure lists the values that are the intruder's own, so that they may stand in its records alone.
	Infrastructure []string `json:"infrastructure,omitempty"`
}

// Foothold is the earliest act of the intruder that the telemetry holds.
type Foothold struct {
	Time   time.Time    `json:"time"` // UTC
	Tenant tenant.ID    `json:"tenant"`
	Entity Entity       `json:"entity"`
	Layer  tenant.Layer `json:"layer"`
}

// Entity is a typed value, as ocsf names the types.
type Entity struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Ask is what another organisation must look up where the first foothold is not in the telemetry.
type Ask struct {
	Ask  string    `json:"ask"`  // the partner's id, or the organisation
	For  string    `json:"for"`  // address or account
	From time.Time `json:"from"` // UTC
	To   time.Time `json:"to"`   // UTC
}

// TenantOutcome is what a campaign did to one tenant.
type TenantOutcome struct {
	Tenant  tenant.ID `json:"tenant"`
	Outcome Outcome   `json:"outcome"`
}

func (t *Truth) write(dir string) error {
	b, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return fmt.Errorf("writing truth.json: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "truth.json"), append(b, '\n'), 0o644)
}

func readTruth(dir string) (*Truth, error) {
	b, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	t := &Truth{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	return t, nil
}
