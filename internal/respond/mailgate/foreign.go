package mailgate

import (
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/mailauth"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// stated is what a server in front of ours has found. It saw the sender, and we don't.
type stated struct{ claims mailauth.Claims }

// Header returns nothing: the field of the server that found it stands in the message.
func (stated) Header(string) string { return "" }

// Apply writes the results into a mail, over those that it claims itself.
func (p stated) Apply(m *ocsf.Mail) {
	m.DKIMDomain, m.ARCDomain = "", ""
	word := func(method string) string {
		if i := slices.IndexFunc(p.claims, func(c mailauth.Claim) bool { return c.Method == method }); i >= 0 {
			return string(p.claims[i].Result)
		}
		return ""
	}
	m.SPF, m.DMARC, m.ARC, m.DKIM = word("spf"), word("dmarc"), word("arc"), word("dkim")
	from := domainOf(m.From)
	for _, c := range p.claims { // of several signatures the sender's own counts
		if c.Method != "dkim" || c.Result != mailauth.Pass {
			continue
		}
		d := strings.ToLower(strings.TrimPrefix(c.Props["header.d"], "@"))
		if d == "" {
			d = domainOf(c.Props["header.i"])
		}
		if m.DKIM != "pass" || m.DKIMDomain == "" || tenant.WithinDomain(from, d) && !tenant.WithinDomain(from, m.DKIMDomain) {
			m.DKIM, m.DKIMDomain = "pass", d
		}
	}
}

// foreign returns what a listed server in front of ours has found. It is asked for only where the message came from that
// server or from within: anybody may write its name into a message that they bring themselves.
func (s *site) foreign(m *milter.Message) (Proof, bool) {
	ids := s.settings.TrustedIDs
	if len(ids) == 0 {
		return nil, false
	}
	name := strings.TrimSuffix(strings.ToLower(m.ClientName), ".")
	local := m.Client.IsValid() && m.Client.IsLoopback()
	if !local && !slices.Contains(ids, name) && len(owners(s.model, m.Client)) == 0 {
		return nil, false
	}
	fields := make([]mailauth.Field, len(m.Headers))
	for i, f := range m.Headers {
		fields[i] = mailauth.Field(f)
	}
	claims := mailauth.Trusted(fields, ids, 1)
	return stated{claims}, len(claims) > 0
}
