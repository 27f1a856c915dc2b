package mailgate

import (
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// The directions of a message, seen from the tenant.
const (
	Inbound  = "inbound"
	Outbound = "outbound"
	Journal  = "journal"
	Reported = "report" // by a user who got it
)

// part is a message as one tenant is concerned with it.
type part struct {
	tenant     tenant.ID
	direction  string
	recipients []string // as they stand in the envelope
	event      *ocsf.Event
	verdict    ocsf.MailVerdict
	heightened string // why a partner's mail is held while the alert level is heightened; empty where it is not
}

// route says which tenants a message concerns: those of its recipients, and the one that sends it. Recipients of domains
// that no tenant declares are in no part.
func (s *site) route(m *milter.Message) []part {
	var out []part
	if id, ok := s.sender(m); ok {
		out = append(out, part{tenant: id, direction: Outbound, recipients: m.Recipients})
	}
	for _, r := range m.Recipients {
		id, _ := s.model.DomainOwner(domainOf(r))
		if id == "" {
			continue
		}
		found := false
		for i := range out {
			if out[i].tenant == id {
				if out[i].direction == Inbound {
					out[i].recipients = append(out[i].recipients, r)
				}
				found = true
			}
		}
		if !found {
			out = append(out, part{tenant: id, direction: Inbound, recipients: []string{r}})
		}
	}
	return out
}

// sender returns the tenant whose mail goes out: it came to a listener for outgoing mail, its sender has logged in, or
// it comes from the mail server itself or the tenant's own network; and it says that it is the tenant's. What comes from
// within and says that it is somebody else's belongs to whom its address belongs to.
func (s *site) sender(m *milter.Message) (tenant.ID, bool) {
	local := !m.Client.IsValid() || m.Client.IsLoopback()
	own := owners(s.model, m.Client)
	if !m.Outbound && m.Login == "" && !local && len(own) == 0 {
		return "", false
	}
	for _, address := range []string{m.From, headerFrom(m.Headers), m.Login} {
		id, _ := s.model.DomainOwner(domainOf(address))
		if id == "" {
			continue
		}
		if m.Outbound || m.Login != "" || local || contains(own, id) {
			return id, true
		}
	}
	if len(own) == 1 && (m.Outbound || m.Login != "") {
		return own[0], true
	}
	return "", false
}

func contains(list []tenant.ID, id tenant.ID) bool {
	for _, x := range list {
		if x == id {
			return true
		}
	}
	return false
}

// owners are the tenants within whose declared networks an address lies.
func owners(m *tenant.Model, a netip.Addr) []tenant.ID {
	if !a.IsValid() {
		return nil
	}
	var out []tenant.ID
	for i := range m.Tenants {
		for _, p := range m.Tenants[i].Networks {
			if p.Contains(a) {
				out = append(out, m.Tenants[i].ID)
				break
			}
		}
	}
	return out
}

// headerFrom returns the address of the From field as far as a domain needs it.
func headerFrom(list []milter.Field) string {
	for _, f := range list {
		if strings.EqualFold(f.Name, "from") {
			v := f.Value
			if i := strings.LastIndexByte(v, '<'); i >= 0 {
				v = v[i+1:]
				if j := strings.IndexByte(v, '>'); j >= 0 {
					v = v[:j]
				}
			}
			v = strings.TrimSpace(v)
			if i := strings.IndexAny(v, " \t\r\n("); i >= 0 {
				v = v[:i]
			}
			return v
		}
	}
	return ""
}
