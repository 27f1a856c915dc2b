package posture

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of a statement.
const (
	MaxStatement  = 4 << 20             // bytes
	StatementLife = 35 * 24 * time.Hour // for which a statement holds where nobody says otherwise
	maxLife       = 400 * 24 * time.Hour
	maxHashes     = 32 // of the files behind one claim
	maxName       = 200
)

// KindStatement is what a statement's document is called.
const KindStatement = "breakwater/posture-statement/1"

// Statement is what an organisation tells others of its posture: claims, and nothing of what is behind them but the
// hashes of files and their age. No subject, host, person, address or reason is in it.
type Statement struct {
	Issuer  string    `json:"issuer"`         // organisation, as it names itself
	For     string    `json:"for,omitempty"`  // to whom it is made; empty: to anybody
	At      time.Time `json:"at"`             // as of which the controls were judged
	Issued  time.Time `json:"issued"`         // when it was signed
	Expires time.Time `json:"expires"`        // from then on it claims nothing
	Claims  []Claim   `json:"claims"`         // by pillar, then control
	Partial bool      `json:"part,omitempty"` // controls were left out by whoever made it
}

// Claim is what one control came to.
type Claim struct {
	Control  string          `json:"control"`
	Title    string          `json:"title"`
	Pillar   evidence.Pillar `json:"pillar"`
	Severity ocsf.Severity   `json:"severity"`
	Status   Status          `json:"status"`
	Judged   string          `json:"judged"`           // SHA-256 of the control's file, so that both sides know whether they speak of the same
	Facts    int             `json:"facts"`            // how many counted
	Oldest   *time.Time      `json:"oldest,omitempty"` // of the facts that counted
	Newest   *time.Time      `json:"newest,omitempty"`
	Hours    int             `json:"fresh_hours"`     // for how long facts are taken
	Until    *time.Time      `json:"until,omitempty"` // where it is excepted: the first day on which that ends
	Evidence []string        `json:"evidence"`        // SHA-256 of the files behind it, at most 32, in order
	Files    int             `json:"files"`           // how many there are
}

// State makes a statement of a report; it signs nothing. Only the named controls are in it; none: all of them.
func (r *Report) State(issuer, to string, issued time.Time, life time.Duration, only ...string) (*Statement, error) {
	if issuer == "" {
		issuer = r.Tenant.Name
	}
	if issuer == "" {
		issuer = string(r.Tenant.ID)
	}
	s := &Statement{Issuer: issuer, For: to, At: r.At.UTC(), Issued: issued.UTC().Truncate(time.Second),
		Expires: issued.UTC().Truncate(time.Second).Add(life), Claims: []Claim{}, Partial: len(only) > 0}
	for _, x := range r.Results {
		if len(only) == 0 || slices.Contains(only, x.Control.ID) {
			s.Claims = append(s.Claims, x.claim())
		}
	}
	slices.SortFunc(s.Claims, func(a, b Claim) int {
		if x := slices.Index(evidence.Pillars, a.Pillar) - slices.Index(evidence.Pillars, b.Pillar); x != 0 {
			return x
		}
		return strings.Compare(a.Control, b.Control)
	})
	if err := s.form(); err != nil {
		return nil, fmt.Errorf("making a statement: %w", err)
	}
	return s, nil
}

func (x *Result) claim() Claim {
	c := Claim{Control: x.Control.ID, Title: x.Control.Title, Pillar: x.Control.Pillar, Severity: x.Control.Severity, Status: x.Status,
		Judged: x.Control.Digest, Hours: int(x.Control.Fresh / time.Hour), Evidence: []string{}}
	for _, n := range x.Counts {
		c.Facts += n
	}
	if !x.Newest.IsZero() {
		c.Oldest, c.Newest = &x.Oldest, &x.Newest
	}
	if x.Status == Excepted {
		for i := range x.Exceptions {
			if c.Until == nil || x.Exceptions[i].Expires.Before(*c.Until) {
				c.Until = &x.Exceptions[i].Expires
			}
		}
	}
	var files []string
	for _, i := range x.Items {
		if i.Item.From.SHA256 != "" {
			files = append(files, i.Item.From.SHA256)
		}
		if h, ok := i.Item.Values["sha256"].(string); ok && isSHA256(h) { // a file that was attached to the fact
			files = append(files, h)
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	c.Files = len(files)
	c.Evidence = append(c.Evidence, files[:min(len(files), maxHashes)]...)
	return c
}

// Sign writes the statement as it travels.
func (s *Statement) Sign(key ed25519.PrivateKey) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing a statement: %w", err)
	}
	doc, err := signing.Seal(key, KindStatement, payload, MaxStatement)
	if err != nil {
		return nil, fmt.Errorf("signing a statement: %w", err)
	}
	return doc, nil
}

// Verified is a statement whose signature holds.
type Verified struct {
	Statement
	Signer string // fingerprint of the key; whose it is, only a pinned fingerprint tells
	SHA256 string // of the payload, hexadecimal
}

// VerifyStatement reads a statement, checks its signature and its form. Whether its signer is anybody we know, and
// whether it still holds, is not asked here.
func VerifyStatement(data []byte) (*Verified, error) {
	doc, err := signing.Open(data, MaxStatement, KindStatement)
	if err != nil {
		return nil, fmt.Errorf("verifying the statement: %w", err)
	}
	sum := sha256.Sum256(doc.Payload)
	v := &Verified{Signer: signing.Fingerprint(doc.Key), SHA256: hex.EncodeToString(sum[:])}
	if err := signing.Strict(doc.Payload, &v.Statement); err != nil {
		return nil, fmt.Errorf("verifying the statement of %s: its payload is no statement: %w", v.Signer, err)
	}
	if err := v.form(); err != nil {
		return nil, fmt.Errorf("verifying the statement of %s: %w", v.Signer, err)
	}
	return v, nil
}

// form checks what holds of every statement, whoever wrote it.
func (s *Statement) form() error {
	switch {
	case !named(s.Issuer) || s.For != "" && !named(s.For):
		return fmt.Errorf("issuer and for are one line of at most %d bytes", maxName)
	case s.At.IsZero() || s.Issued.IsZero() || !s.Expires.After(s.Issued) || s.Expires.Sub(s.Issued) > maxLife || s.At.After(s.Issued.Add(clockSlack)):
		return errors.New("its times contradict one another, or it holds for more than 400 days")
	case len(s.Claims) == 0 || len(s.Claims) > maxControls:
		return fmt.Errorf("it makes %d claims; one to %d are taken", len(s.Claims), maxControls)
	}
	seen := map[string]bool{}
	for i := range s.Claims {
		c := &s.Claims[i]
		bad := !idForm.MatchString(c.Control) || len(c.Control) > 80 || seen[c.Control] || !named(c.Title) || !slices.Contains(evidence.Pillars, c.Pillar) ||
			!slices.Contains(Statuses, c.Status) || !isSHA256(c.Judged) || c.Severity == ocsf.SeverityUnknown || c.Hours <= 0 ||
			time.Duration(c.Hours) > maxAge/time.Hour || c.Facts < 0 || c.Files < len(c.Evidence) || len(c.Evidence) > maxHashes ||
			(c.Newest == nil) != (c.Oldest == nil) || c.Newest != nil && c.Newest.Before(*c.Oldest)
		for _, h := range c.Evidence {
			bad = bad || !isSHA256(h)
		}
		if bad {
			return fmt.Errorf("the claim %d (%s) contradicts itself", i+1, cut(oneLine(c.Control), 80))
		}
		seen[c.Control] = true
	}
	return nil
}

// named reports whether a text is one short line that a terminal may show.
func named(s string) bool {
	return s != "" && len(s) <= maxName && oneLine(s) == s && strings.TrimSpace(s) != ""
}

// StandingAt says what a claim is worth at a time: a pass whose evidence has aged meanwhile is stale, an exception that
// has ended is a failure, and of a statement that has expired nothing passes.
func (s *Statement) StandingAt(c *Claim, now time.Time) (Status, string) {
	switch {
	case c.Status != Pass && c.Status != Excepted:
		return c.Status, ""
	case !now.Before(s.Expires):
		return Stale, "the statement has expired"
	case c.Status == Excepted && c.Until != nil && !now.Before(*c.Until):
		return Fail, "the exception has ended on " + c.Until.Format(time.DateOnly)
	case c.Status == Excepted:
		return Excepted, ""
	case c.Newest == nil:
		return Unknown, "it does not say how old its evidence is"
	case now.Sub(*c.Newest) > time.Duration(c.Hours)*time.Hour:
		return Stale, fmt.Sprintf("its evidence is %s old, and %s are taken", ageText(now.Sub(*c.Newest)), ageText(time.Duration(c.Hours)*time.Hour))
	case c.Newest.Sub(now) > clockSlack:
		return Unknown, "its evidence is dated in the future"
	}
	return Pass, ""
}
