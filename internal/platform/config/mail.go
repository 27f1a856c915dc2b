package config

import (
	"os"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MailGate is how mail is judged on its way: the mail section of the file. File names in it are absolute once read.
type MailGate struct {
	ID         string   // our name in Authentication-Results (authserv-id, RFC 8601 2.5)
	TrustedIDs []string // whose Authentication-Results are believed, lower case
	Milter     []Milter
	Budget     MailBudget
	Unscanned  MailAction // MailTempFail or MailPass: what happens to mail that could not be judged in time
	Clamd      string     // unix:/path or host:port of clamd; empty: none
	Model      string     // file that `breakwater mail train` wrote; empty: the shipped priors alone
	Mode       MailMode
	Policies   []MailPolicy // the first that names tenant and recipient holds
	Several    MailSeveral
	Hold       MailHold
	Mailboxes  []Mailbox
	Journal    *MailJournal  // nil: no journal reports are taken in by SMTP
	Poll       time.Duration // between two looks at a mailbox of kind reports or journal
	Sweep      *MailSweep    // nil: no sweep starts by itself
}

// Milter is one place to listen for a mail server.
type Milter struct {
	Listen   string // host:port, or unix:/path
	Outbound bool   // what comes here goes out
}

// MailBudget is how long an answer to the mail server may take: the whole, and parts of it.
type MailBudget struct {
	Whole time.Duration
	DNS   time.Duration // SPF, DKIM and DMARC together
	Clamd time.Duration
}

// MailMode says whether verdicts are acted on.
type MailMode string

// The modes.
const (
	MailObserve MailMode = "observe" // score, add headers, say what would have been done
	MailEnforce MailMode = "enforce"
)

// MailAction is what is done with a message.
type MailAction string

// The actions, from the mildest to the strictest.
const (
	MailPass     MailAction = "pass"
	MailTag      MailAction = "tag"
	MailTempFail MailAction = "tempfail"
	MailHeld     MailAction = "hold"
	MailReject   MailAction = "reject"
)

// MailActions lists the actions from the mildest to the strictest.
var MailActions = []MailAction{MailPass, MailTag, MailTempFail, MailHeld, MailReject}

// MailSeveral says what happens to a message whose recipients have different policies.
type MailSeveral string

// The ways to deal with several policies.
const (
	MailStrictest MailSeveral = "strictest" // the strictest action holds for all recipients
	MailSplit     MailSeveral = "split"     // each recipient has their own; what cannot be done for some alone is held apart
)

// MailPolicy is what to do with the mail of a tenant, or of some of its recipients.
type MailPolicy struct {
	Tenant     tenant.ID
	Recipients []string // addresses with * for any characters, lower case; empty: all of the tenant
	Mode       MailMode
	Suspicious MailAction
	Phish      MailAction
	Heightened MailAction // a partner's mail that asks for anything, while the tenant's alert level is heightened
	// Threshold is the score from which a message counts as phishing, SuspiciousThreshold as suspicious; 0: the
	// scorer's own.
	Threshold           float64
	SuspiciousThreshold float64
}

// MailHold is where held mail waits and how it goes on.
type MailHold struct {
	In        string        // "mta": in the mail server's hold queue; "store": here
	Release   []string      // program and arguments that release a message of the mail server; {id} is its queue id
	Delete    []string      // that delete it
	Reinject  string        // host:port of SMTP where mail that is kept here is given back when released; empty: it can't be
	Retention time.Duration // how long held mail is kept
}

// The places of held mail.
const (
	HoldMTA   = "mta"
	HoldStore = "store"
)

// DefaultMailGate returns what holds where the mail section leaves a key out. Who only observes delays no mail either:
// Unscanned is MailPass there, and MailTempFail where mode is enforce and the section says nothing else.
func DefaultMailGate() *MailGate {
	host, err := os.Hostname()
	if err != nil || !isHostName(host) {
		host = "localhost"
	}
	return &MailGate{
		ID: strings.ToLower(host), Budget: MailBudget{Whole: 5 * time.Second, DNS: 2 * time.Second, Clamd: 2 * time.Second},
		Unscanned: MailPass, Mode: MailObserve, Several: MailStrictest, Poll: time.Minute,
		Hold: MailHold{In: HoldMTA, Release: []string{"postsuper", "-H", "{id}"}, Delete: []string{"postsuper", "-d", "{id}"}, Retention: 30 * 24 * time.Hour},
	}
}

// DefaultPolicy returns the policy of a tenant that the section names none for.
func (m *MailGate) DefaultPolicy(id tenant.ID) MailPolicy {
	return MailPolicy{Tenant: id, Mode: m.Mode, Suspicious: MailTag, Phish: MailHeld, Heightened: MailHeld}
}

// Policy returns the policy of a tenant's recipient: the first that fits, or the default.
func (m *MailGate) Policy(id tenant.ID, recipient string) MailPolicy {
	recipient = strings.ToLower(recipient)
	for _, p := range m.Policies {
		if p.Tenant != id {
			continue
		}
		if len(p.Recipients) == 0 {
			return p
		}
		for _, pattern := range p.Recipients {
			if matchName(pattern, recipient) {
				return p
			}
		}
	}
	return m.DefaultPolicy(id)
}
