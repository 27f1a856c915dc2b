package campaign

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// index is the hop graph's sessions by what taint looks them up by; it is built once for all groups, so that a
// group costs what belongs to it and not what the whole telemetry holds. Every list is by start, then id.
type index struct {
	all        []*hop.Session
	byUser     map[string][]*hop.Session // tenant and account
	byPublic   map[string][]*hop.Session // address that it came from
	byInstance map[string][]*hop.Session // remote-tool instance
	rmm        map[tenant.ID][]*hop.Session
	seats      map[string]tenant.PartnerID // findings that show together that a partner's seat is taken → the partner
	relays     map[string]*relayed         // finding of a client's own host → the partner's session that came to that host
}

func newIndex(g *hop.Graph) *index {
	x := &index{all: g.Sessions(), byUser: map[string][]*hop.Session{}, byPublic: map[string][]*hop.Session{},
		byInstance: map[string][]*hop.Session{}, rmm: map[tenant.ID][]*hop.Session{}}
	for _, s := range x.all {
		if s.User != "" {
			k := userKey(s)
			x.byUser[k] = append(x.byUser[k], s)
		}
		if s.Public.IsValid() {
			k := s.Public.String()
			x.byPublic[k] = append(x.byPublic[k], s)
		}
		if s.Instance != "" {
			x.byInstance[s.Instance] = append(x.byInstance[s.Instance], s)
		}
		if s.Kind == hop.KindRMM {
			x.rmm[s.Tenant] = append(x.rmm[s.Tenant], s)
		}
	}
	return x
}

func userKey(s *hop.Session) string { return string(s.Tenant) + "\x00" + s.User }

// sameUser returns the sessions of a session's account at its tenant, itself among them.
func (x *index) sameUser(s *hop.Session) []*hop.Session { return x.byUser[userKey(s)] }

// ofInfra returns the sessions that use the thing an infrastructure key names.
func (x *index) ofInfra(key string) []*hop.Session {
	kind, value, _ := strings.Cut(key, "\x00")
	switch kind {
	case "ip":
		return x.byPublic[value]
	case "rmm-instance":
		return x.byInstance[value]
	}
	return nil
}
