package tracing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Code names why a request or an answer was refused.
type Code string

// The codes.
const (
	CodeBadDocument   Code = "bad-document"
	CodeBadSignature  Code = "bad-signature"
	CodeUnknownPeer   Code = "unknown-peer"
	CodeNotForUs      Code = "not-for-us"
	CodeNotYetValid   Code = "not-yet-valid"
	CodeExpired       Code = "expired"
	CodeReplayed      Code = "replayed"
	CodeOverBroad     Code = "over-broad"
	CodeOutOfScope    Code = "out-of-scope"
	CodeRateLimited   Code = "rate-limited"
	CodeNeedsApproval Code = "needs-approval"
	CodeDeclined      Code = "declined"
)

// Refusal is why a document gets no answer.
type Refusal struct {
	Code   Code
	Reason string
}

// Error returns the code and the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("refused (%s): %s", r.Code, r.Reason) }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of a refusal, or "" for another error.
func CodeOf(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// Terms are what the trusts with a peer allow for one request.
type Terms struct {
	Trust   tenant.TrustID // by which the asker may ask
	Tenant  tenant.ID      // whose address or account it is
	Auto    bool
	Account bool
}

// Judge holds a request against the declared trusts: signed by a pinned peer, meant for us (by our own key's
// fingerprint), valid now, and about an address that belongs to a trust with that peer. An account is taken for a tenant
// of such a trust. Replays and rates are the ledger's. Who answers acts for the tenants that sees reports (nil: all): a
// trust of others is none, and their addresses belong to nobody.
func Judge(m *tenant.Model, sees func(tenant.ID) bool, own string, s *Signed, now time.Time) (Terms, error) {
	if s.Request == nil {
		return Terms{}, refuse(CodeBadDocument, "it is an answer and no request")
	}
	if sees == nil {
		sees = func(tenant.ID) bool { return true }
	}
	r := s.Request
	trusts := pinned(m, sees, s.Signer, now)
	switch {
	case len(trusts) == 0:
		return Terms{}, refuse(CodeUnknownPeer, "no trust that holds pins the key %s, which signed for %q", s.Signer, r.Asker)
	case r.Peer != own:
		return Terms{}, refuse(CodeNotForUs, "it asks the key %s, and ours is %s", r.Peer, own)
	case r.Issued.After(now.Add(ClockSlack)):
		return Terms{}, refuse(CodeNotYetValid, "it was issued at %s, which is still to come", r.Issued.UTC().Format(time.RFC3339))
	case !now.Before(r.Expires):
		return Terms{}, refuse(CodeExpired, "it expired at %s", r.Expires.UTC().Format(time.RFC3339))
	}
	a, _ := netip.ParseAddr(r.Address) // form has seen to it that it is one, or empty
	for _, t := range trusts {
		if id, ok := side(m, sees, t, a); ok {
			return Terms{Trust: t.ID, Tenant: id, Auto: t.Trace.Auto, Account: t.Trace.Account}, nil
		}
	}
	return Terms{}, refuse(CodeOutOfScope, "%s is no address of a trust with that peer", r.Address)
}

// pinned returns the trusts that pin a key and hold, and of which a side is seen, in declared order.
func pinned(m *tenant.Model, sees func(tenant.ID) bool, fingerprint string, now time.Time) []*tenant.Trust {
	var out []*tenant.Trust
	for i := range m.Trusts {
		t := &m.Trusts[i]
		if t.Trace.Peer != fingerprint || fingerprint == "" || !t.ValidAt(now) {
			continue
		}
		if p := m.Partner(t.Partner); sees(t.Tenant) || p != nil && p.Tenant != "" && sees(p.Tenant) {
			out = append(out, t)
		}
	}
	return out
}

// side returns the tenant of a trust whose the address is: the partner's own where the trust or the partner declares
// it, else the one that the trust leads into. No address is the partner's side, if its telemetry is held. A side that is
// not seen is none.
func side(m *tenant.Model, sees func(tenant.ID) bool, t *tenant.Trust, a netip.Addr) (tenant.ID, bool) {
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
	}
	if p := m.Partner(t.Partner); p != nil && p.Tenant != "" && sees(p.Tenant) {
		home := m.Tenant(p.Tenant)
		if !a.IsValid() || in(t.Networks) || home != nil && in(home.Networks) {
			return p.Tenant, true
		}
	}
	if into := m.Tenant(t.Tenant); into != nil && sees(t.Tenant) && (!a.IsValid() || in(into.Networks)) {
		return t.Tenant, true
	}
	return "", false
}

// Visible reports whether an answer about a trust may name a place of that tenant: one of the two sides, or nobody's.
// What came from a third organisation is that one's business.
func Visible(m *tenant.Model, trust tenant.TrustID, id tenant.ID, partner tenant.PartnerID) bool {
	t := m.Trust(trust)
	if t == nil {
		return false
	}
	if id == "" {
		return partner == "" || partner == t.Partner
	}
	p := m.Partner(t.Partner)
	return id == t.Tenant || p != nil && p.Tenant == id
}

// PeerFor returns the fingerprint that is pinned for asking an organisation about what came into a tenant (or out of
// it), by the id of a partner or tenant; ok is false where no trust that holds pins one.
func PeerFor(m *tenant.Model, into tenant.ID, organisation string, now time.Time) (fingerprint string, ok bool) {
	for i := range m.Trusts {
		t := &m.Trusts[i]
		if t.Trace.Peer == "" || !t.ValidAt(now) {
			continue
		}
		home := tenant.ID("")
		if p := m.Partner(t.Partner); p != nil {
			home = p.Tenant
		}
		switch {
		case t.Tenant == into && (string(t.Partner) == organisation || home != "" && string(home) == organisation):
			return t.Trace.Peer, true
		case home != "" && home == into && string(t.Tenant) == organisation:
			return t.Trace.Peer, true
		}
	}
	return "", false
}

// Accept holds an answer against the request that it answers: that request must be our own, and the signer the peer
// that it asked.
func Accept(own string, s *Signed) (*Request, error) {
	if s.Answer == nil {
		return nil, refuse(CodeBadDocument, "it is a request and no answer")
	}
	asked, err := Read(s.Answer.Asked)
	if err != nil {
		return nil, fmt.Errorf("the request within the answer: %w", err)
	}
	switch {
	case asked.Request == nil || asked.Hash != s.Answer.Request:
		return nil, refuse(CodeBadDocument, "the request within the answer is not the one that it names")
	case asked.Signer != own:
		return nil, refuse(CodeNotForUs, "it answers a request of the key %s, and ours is %s", asked.Signer, own)
	case asked.Request.Peer != s.Signer:
		return nil, refuse(CodeUnknownPeer, "the key %s was asked, and %s answered", asked.Request.Peer, s.Signer)
	}
	return asked.Request, nil
}

// Raw returns the document as it came.
func (s *Signed) Raw() []byte { return slices.Clone(s.raw) }
