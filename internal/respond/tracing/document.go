// Package tracing writes, signs, reads and judges trace requests and their answers: the two small documents by which
// a trace goes on at an organisation whose telemetry we don't hold.
//
// In: bytes that another organisation wrote, the declared model with the pinned peers, a clock. Out: a document whose
// signer and content are known, or a Refusal with its code. Nothing here looks into telemetry. Whatever was answered or
// refused stands in the ledger of the data folder before the answer leaves.
//
// A document travels as package signing says.
package tracing

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/signing"
)

// Bounds of a document.
const (
	MaxDocument = 64 << 10           // bytes
	MaxRequest  = 16 << 10           // bytes of a request: its answer holds it, in base64 twice
	MaxSpan     = 24 * time.Hour     // that a request may ask about
	MaxLife     = 7 * 24 * time.Hour // from issue to expiry of a request
	Life        = 72 * time.Hour     // of the requests that we write
	ClockSlack  = 5 * time.Minute    // by which an asker's clock may be ahead of ours
	MaxHops     = 4                  // candidates of an answer for the one next hop
	maxText     = 200                // bytes of a name
)

// The kinds of document.
const (
	KindRequest = "breakwater/trace-request/1"
	KindAnswer  = "breakwater/trace-answer/1"
)

// Request asks one organisation who was behind one address or account at a time.
type Request struct {
	ID      string    `json:"id"`
	Asker   string    `json:"asker"` // organisation, as it names itself
	Asked   string    `json:"asked"` // organisation, as the asker names it
	Peer    string    `json:"peer"`  // fingerprint of the key that is asked; nobody else's Breakwater answers
	Address string    `json:"address,omitempty"`
	Account string    `json:"account,omitempty"`
	Target  string    `json:"target,omitempty"` // the asker's own address that was reached
	Port    uint16    `json:"port,omitempty"`   // on which
	JoinKey string    `json:"join_key,omitempty"`
	At      time.Time `json:"at"` // when what is to be explained began
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Nonce   string    `json:"nonce"` // 32 hexadecimal digits, never used twice
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	TLP     string    `json:"tlp"`
}

// The outcomes of an answer.
const (
	OutcomeHop       = "hop"       // it came from Hops
	OutcomeOrigin    = "origin"    // nobody had a session there: it began at that place, as far as the telemetry tells
	OutcomeElsewhere = "elsewhere" // it came to us from another organisation, whom we do not name
	OutcomeUnknown   = "unknown"   // no telemetry of that time, or none that shows it
)

// Answer says where it came from: the next hop and nothing beyond.
type Answer struct {
	ID       string    `json:"id"`
	Answerer string    `json:"answerer"`
	Request  string    `json:"request"` // SHA-256 of the request's payload, hexadecimal
	Asked    []byte    `json:"asked"`   // the request as it came, so that who asked needs no memory of it
	Outcome  string    `json:"outcome"`
	Hops     []Hop     `json:"hops,omitempty"` // candidates for the one next hop, the likeliest first
	Shared   bool      `json:"shared,omitempty"`
	Reason   string    `json:"reason"`
	Issued   time.Time `json:"issued"`
	TLP      string    `json:"tlp"`
}

// Hop is from where somebody came to the place that was asked for.
type Hop struct {
	From       string    `json:"from"` // address or host
	Kind       string    `json:"kind"`
	Port       uint16    `json:"port,omitempty"`
	Account    string    `json:"account,omitempty"` // only where the trust allows it
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Confidence int       `json:"confidence"` // per cent, among the candidates
}

// Signed is a document whose signature holds.
type Signed struct {
	Kind    string
	Signer  string // fingerprint
	Hash    string // SHA-256 of the payload, hexadecimal
	Request *Request
	Answer  *Answer
	raw     []byte
}

// Sign writes a request or an answer as it travels.
func Sign(key ed25519.PrivateKey, what any) ([]byte, error) {
	kind := ""
	switch what.(type) {
	case Request:
		kind = KindRequest
	case Answer:
		kind = KindAnswer
	default:
		return nil, fmt.Errorf("signing a trace document: %T is none", what)
	}
	payload, err := json.Marshal(what)
	if err != nil {
		return nil, fmt.Errorf("writing a trace document: %w", err)
	}
	out, err := signing.Seal(key, kind, payload, MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("signing a trace document: %w", err)
	}
	return out, nil
}

// Read reads a document and checks its signature and form. Whether its signer is anybody we know is not asked here. A
// document whose signature holds is returned beside its refusal, so that the refusal can name the signer.
func Read(data []byte) (*Signed, error) {
	e, err := signing.Open(data, MaxDocument, KindRequest, KindAnswer)
	switch {
	case errors.Is(err, signing.ErrSignature):
		return nil, refuse(CodeBadSignature, "%v", err)
	case err != nil:
		return nil, refuse(CodeBadDocument, "%v", err)
	case e.Kind == KindRequest && len(data) > MaxRequest:
		return nil, refuse(CodeBadDocument, "it is a request of more than %d bytes", MaxRequest)
	}
	sum := sha256.Sum256(e.Payload)
	s := &Signed{Kind: e.Kind, Signer: Fingerprint(e.Key), Hash: hex.EncodeToString(sum[:]), raw: bytes.Clone(data)}
	if e.Kind == KindRequest {
		s.Request = new(Request)
		if err := signing.Strict(e.Payload, s.Request); err != nil {
			return nil, refuse(CodeBadDocument, "the payload is no request: %v", err)
		}
		return s, s.Request.form()
	}
	s.Answer = new(Answer)
	if err := signing.Strict(e.Payload, s.Answer); err != nil {
		return nil, refuse(CodeBadDocument, "the payload is no answer: %v", err)
	}
	return s, s.Answer.form()
}

// plain reports whether a text is one short line that a terminal may show.
func plain(s string) bool {
	return len(s) <= maxText && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd || (r >= 0x80 && r < 0xa0) })
}

// form checks what holds for every request, whoever sent it.
func (r *Request) form() error {
	for _, s := range []string{r.ID, r.Asker, r.Asked, r.Peer, r.Address, r.Account, r.Target, r.JoinKey, r.TLP} {
		if !plain(s) {
			return refuse(CodeBadDocument, "a text is too long, or is no text")
		}
	}
	switch raw, err := hex.DecodeString(r.Nonce); {
	case err != nil || len(raw) != 16:
		return refuse(CodeBadDocument, "the nonce is not 32 hexadecimal digits")
	case r.ID == "" || r.Asker == "" || r.Asked == "" || r.Peer == "":
		return refuse(CodeBadDocument, "it does not say who asks whom")
	case r.At.IsZero() || r.From.IsZero() || r.To.IsZero() || r.Issued.IsZero() || r.Expires.IsZero():
		return refuse(CodeBadDocument, "a time is missing")
	case r.To.Before(r.From) || r.At.Before(r.From) || r.At.After(r.To):
		return refuse(CodeBadDocument, "its times contradict one another")
	}
	return r.narrow()
}

// narrow checks that the request asks for one thing within a day.
func (r *Request) narrow() error {
	if r.Address == "" && r.Account == "" {
		return refuse(CodeOverBroad, "it names neither an address nor an account")
	}
	for _, s := range []string{r.Address, r.Target} {
		if s == "" {
			continue
		}
		a, err := netip.ParseAddr(s)
		if _, prefix := netip.ParsePrefix(s); prefix == nil || err == nil && (a.IsUnspecified() || a.IsMulticast()) {
			return refuse(CodeOverBroad, "%s is more than one address", s)
		}
		if err != nil || a.Zone() != "" {
			return refuse(CodeBadDocument, "%q is no address", s)
		}
	}
	if strings.ContainsAny(r.Account, "*?% ,;") || strings.HasPrefix(r.Account, "@") {
		return refuse(CodeOverBroad, "%q is more than one account", r.Account)
	}
	if d := r.To.Sub(r.From); d > MaxSpan {
		return refuse(CodeOverBroad, "it asks about %s where %s are the limit", d, MaxSpan)
	}
	if d := r.Expires.Sub(r.Issued); d <= 0 || d > MaxLife {
		return refuse(CodeBadDocument, "it holds for %s; a request holds for at most %s", d, MaxLife)
	}
	return nil
}

func (a *Answer) form() error {
	bad := !plain(a.ID) || !plain(a.Answerer) || len(a.Reason) > 4*maxText || !plain(a.TLP) || len(a.Hops) > MaxHops || a.Issued.IsZero()
	for _, h := range a.Hops {
		bad = bad || !plain(h.From) || h.From == "" || !plain(h.Kind) || !plain(h.Account) || h.Start.IsZero() || h.End.Before(h.Start) || h.Confidence < 0 || h.Confidence > 100
	}
	switch a.Outcome {
	case OutcomeHop:
		bad = bad || len(a.Hops) == 0
	case OutcomeOrigin, OutcomeElsewhere, OutcomeUnknown:
		bad = bad || len(a.Hops) > 0
	default:
		bad = true
	}
	if bad {
		return refuse(CodeBadDocument, "the answer's members contradict one another")
	}
	return nil
}
