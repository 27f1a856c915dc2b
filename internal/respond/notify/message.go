// Package notify tells people what is worth knowing, once, and no others than those concerned. The Planner compares
// what is concluded with what each channel has been told, and gives messages; their ids come from channel, subject
// and step alone. The caller queues them in an outbox that keeps every id once; the Sender works the outbox, by signed
// webhook or e-mail.
//
// Nothing here holds the pipeline up: planning is a pure computation, and sending goes on beside it with time-outs
// and growing pauses. A receiver that is dead for hours costs nothing but rows of the outbox. A message is delivered
// at least once: after a crash in the middle of a delivery the receiver may get it again, with the same id.
//
// A channel carries matters of the tenants in its scope only. A channel whose scope isn't everything gets a message
// of its own for each tenant, made from what that tenant may see, so that no message speaks of two.
package notify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// SchemaVersion is the version of Body's JSON; see docs/schema/notification.schema.json.
const SchemaVersion = "1"

// Message is what one channel is told, as it lies in the outbox.
type Message struct {
	ID       string    // stable: channel, subject and step
	Tenant   tenant.ID // whose matter it is; empty on a channel of all tenants
	Channel  string
	Subject  string // one line
	Body     []byte // a Body as JSON, at most MaxBody
	Attempts int    // deliveries that were begun, by the outbox
	Created  time.Time
}

// MaxBody bounds the JSON of a message, in bytes.
const MaxBody = 128 << 10

// Kind says what a message is about.
type Kind string

// The kinds of messages.
const (
	KindCampaign Kind = "campaign"
	KindIncident Kind = "incident"
	KindFinding  Kind = "finding"
	KindLevel    Kind = "alert-level"
	KindSummary  Kind = "summary" // of what was beyond the channel's messages an hour
)

// Step says what is new about the subject.
type Step string

// The steps of a subject.
const (
	StepNew    Step = "new"
	StepWorse  Step = "worse"  // a tenant's outcome or the severity rose
	StepAgain  Step = "again"  // it had got better, or a while has passed
	StepBeyond Step = "beyond" // of a summary
)

// Outcome is what happened in one tenant.
type Outcome struct {
	Tenant  tenant.ID        `json:"tenant"`
	Outcome campaign.Outcome `json:"outcome"`
	Reason  string           `json:"reason"`
}

// Body is a message as webhooks send it.
type Body struct {
	Schema   string           `json:"schema"`
	ID       string           `json:"id"` // the same in every delivery
	Kind     Kind             `json:"kind"`
	Step     Step             `json:"step"`
	Subject  string           `json:"subject"` // id of the campaign, incident or entry; of a finding's rule in a tenant
	Channel  string           `json:"channel"`
	Created  time.Time        `json:"created"`
	Last     time.Time        `json:"last"` // time of the last evidence
	Severity ocsf.Severity    `json:"severity"`
	Title    string           `json:"title"`
	Text     []string         `json:"text"` // paragraphs
	Tenants  []tenant.ID      `json:"tenants"`
	Partner  tenant.PartnerID `json:"partner,omitempty"`
	Outcomes []Outcome        `json:"outcomes"`
	Findings []string         `json:"findings"` // ids, at most MaxFindings
	Held     int              `json:"held,omitempty"`
}

// MaxFindings is how many ids of findings a message names.
const MaxFindings = 200

// maxLine and maxLines bound what attackers may have written into a message.
const (
	maxLine  = 1000
	maxLines = 40
)

// message closes a body into a message; audience is the tenant whose it is, if it is one's alone.
func (b Body) message(audience tenant.ID, now time.Time, mark string) Message {
	b.Schema, b.Created = SchemaVersion, now.UTC()
	b.ID = hash("notification", b.Channel, string(audience), string(b.Kind), b.Subject, string(b.Step), mark)
	b.Title = oneLine(b.Title)
	for i, line := range b.Text[:min(len(b.Text), maxLines)] {
		b.Text[i] = oneLine(line)
	}
	b.Text = b.Text[:min(len(b.Text), maxLines)]
	b.Findings = b.Findings[:min(len(b.Findings), MaxFindings)]
	if b.Outcomes == nil {
		b.Outcomes = []Outcome{}
	}
	for i := range b.Outcomes {
		b.Outcomes[i].Reason = oneLine(b.Outcomes[i].Reason)
	}
	if b.Findings == nil {
		b.Findings = []string{}
	}
	if b.Tenants == nil {
		b.Tenants = []tenant.ID{}
	}
	body := b.encode()
	for len(body) > MaxBody && len(b.Outcomes) > 0 {
		b.Outcomes = b.Outcomes[:len(b.Outcomes)/2]
		b.Tenants = b.Tenants[:len(b.Tenants)/2]
		body = b.encode()
	}
	return Message{ID: b.ID, Tenant: audience, Channel: b.Channel, Subject: b.subjectLine(), Body: body, Created: b.Created}
}

// encode can't fail: times are of our own making and the rest is text.
func (b *Body) encode() []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return []byte("{}")
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

func (b *Body) subjectLine() string { return "[" + b.Severity.String() + "] " + b.Title }

// oneLine makes text safe to stand on one line of a mail or a terminal: no control or invisible format characters.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c), c == unicode.ReplacementChar:
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return strings.TrimSpace(s)
}

func hash(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:16])
}
