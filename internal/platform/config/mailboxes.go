package config

import (
	"net/netip"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MailboxKind is what a mailbox is read for.
type MailboxKind string

// The kinds.
const (
	MailboxSweep   MailboxKind = "sweep"   // delivered mail, from which phishing is moved away
	MailboxReports MailboxKind = "reports" // where users send mail that they take for phishing
	MailboxJournal MailboxKind = "journal" // where another system sends journal reports
)

// Mailbox is one account, or many accounts of one server, that are reached by IMAP. File names in it are absolute once
// read.
type Mailbox struct {
	Name     string
	Tenant   tenant.ID
	Kind     MailboxKind
	Host     string
	Port     int
	TLS      string   // MailTLS, MailStartTLS or MailPlain
	CA       string   // file of certificates (PEM) that are trusted instead of the system's; empty: the system's
	Pin      string   // SHA-256 of the server's certificate (DER) in 64 hex digits; empty: certificates are verified
	Users    []string // whose mailboxes
	Master   string   // signs in for each user as user*master, as Dovecot has it; empty: each user for itself
	Password string   // file of the password; empty where Token is given
	Token    string   // file of an OAuth 2 bearer token
	OAuth    string   // OAuthXOAuth2 or OAuthBearer, with Token
	// Quarantine is the folder that a sweep moves mail to, Handled the one that reports and journal mail go to when
	// they are done with. Both are made where they are missing.
	Quarantine string
	Handled    string
	Folders    []string // folders that are swept; empty: all but the quarantine, sent mail, drafts and views of all mail
	Thanks     *MailThanks
}

// The ways to sign in with a bearer token.
const (
	OAuthXOAuth2 = "xoauth2"
	OAuthBearer  = "oauthbearer" // RFC 7628
)

// MailThanks is how those who report mail are answered: an SMTP server, and the address that it comes from.
type MailThanks struct {
	From     string
	Host     string
	Port     int
	TLS      string
	Username string // empty: no authentication
	Password string // file
}

// MailJournal is the receiver of journal reports: the key journal of the mail section.
type MailJournal struct {
	Listen     string // host:port
	TLS        *TLS   // offered as STARTTLS; nil: none
	Bindings   []JournalBinding
	MaxMessage int64 // bytes
}

// JournalBinding says whose journal reports a sender brings.
type JournalBinding struct {
	Source netip.Prefix
	Tenant tenant.ID
}

// The names of the folders that a mailbox has where the file names none.
const (
	defaultQuarantine = "Breakwater Quarantine"
	defaultHandled    = "Handled"
)

// MailboxesOf returns the mailboxes of one kind that a tenant has, in the order of the file.
func (m *MailGate) MailboxesOf(id tenant.ID, kind MailboxKind) []Mailbox {
	var out []Mailbox
	for _, b := range m.Mailboxes {
		if b.Tenant == id && b.Kind == kind {
			out = append(out, b)
		}
	}
	return out
}
