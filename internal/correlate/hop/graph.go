package hop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Graph collects sessions from events in event time. It is not safe for concurrent use.
type Graph struct {
	sessions map[string]*Session
	running  map[string]*Session // the session that an address, account or instance has open
	logons   map[string]*Session // tenant, device, account → the session that logged on there last
	Left     int64               // events of sessions that had to go because MaxSessions was reached
	most     int                 // MaxSessions, but for tests
	grown    int64               // rises where a session changes that Trace walks over
	flows    *flows              // what Trace walks over
}

// NewGraph returns an empty graph.
func NewGraph() *Graph {
	return &Graph{sessions: map[string]*Session{}, running: map[string]*Session{}, logons: map[string]*Session{}, most: MaxSessions, flows: newFlows()}
}

// Add takes one event, names the session it belongs to in e.Session, and keeps what was done.
func (g *Graph) Add(e *ocsf.Event) {
	g.flows.add(e)
	s := g.session(e)
	if s == nil {
		return
	}
	e.Session = s.ID
	if s.Kind == KindVPN || s.Kind == KindRMM {
		g.grown++
	}
	s.Events++
	if e.Time.After(s.End) {
		s.End = e.Time
	}
	if !s.Layers[e.Layer] {
		s.Layers[tenant.Layer(g.flows.word(string(e.Layer)))] = true
	}
	s.learn(e)
	if a, ok := act(e); ok {
		s.keep(a, g.flows.word)
		if a.Kind == "logon" && a.Got && s.Kind != KindUser {
			g.logons[logonKey(e.Tenant, e.Device, e.User.Name)] = s
		}
	}
}

func logonKey(t tenant.ID, device, user string) string {
	user = strings.ToLower(user)
	if _, after, ok := strings.Cut(user, `\`); ok {
		user = after
	}
	return string(t) + "\x00" + Short(device) + "\x00" + user
}

// learn fills what later records of a session tell of where it came from.
func (s *Session) learn(e *ocsf.Event) {
	if s.Origin == "" || s.Origin == "-" {
		set(&s.Origin, Short(firstOf(e.OwnerHost, e.Src.Host)))
	}
	if !s.Public.IsValid() {
		s.Public = e.OwnerFrom
	}
	if s.User == "" && e.User.Name != "" && e.Partner != "" {
		set(&s.User, strings.ToLower(e.User.Name))
	}
	if s.Partner == "" {
		s.Partner, s.Trust = e.Partner, e.Trust
	}
}

// set gives a field of a session a copy of its own, so that no event's memory is held by it.
func set(field *string, v string) {
	if *field != v {
		*field = strings.Clone(v)
	}
}

// keep takes an act in, with words for what is said again and again.
func (s *Session) keep(a Act, word func(string) string) {
	if a.Got && (s.Success.IsZero() || a.Time.Before(s.Success)) {
		s.Success = a.Time
	}
	for i := range s.Acts {
		if s.Acts[i].Kind == a.Kind && s.Acts[i].Target == a.Target && s.Acts[i].Detail == a.Detail {
			if a.Got && !s.Acts[i].Got {
				s.Acts[i] = a.own(s, word) // refused at first, and then not
			}
			return
		}
	}
	switch n := len(s.Acts); {
	case n < MaxActs:
		s.Acts = append(s.Acts, a.own(s, word))
	case a.Got && a.Time.Equal(s.Success) && !slices.ContainsFunc(s.Acts, func(o Act) bool { return o.Got }):
		s.Acts[n-1] = a.own(s, word) // what it got at last says more than one more try
	}
}

// own returns the act with strings that hold no event's memory.
func (a Act) own(s *Session, word func(string) string) Act {
	a.Kind, a.Target, a.User, a.File, a.Layer = word(a.Kind), word(a.Target), word(a.User), word(a.File), tenant.Layer(word(string(a.Layer)))
	a.Detail = strings.Clone(a.Detail)
	if a.Session == s.ID {
		a.Session = s.ID
	}
	return a
}

// session finds or opens the session of an event; nil where it belongs to none that matters here.
func (g *Graph) session(e *ocsf.Event) *Session {
	switch {
	case e.Session != "": // a lease names it
		if e.Partner == "" {
			return nil
		}
		s := g.open(e.Session, KindVPN, e)
		if s != nil && e.Lease != nil {
			s.Addr, s.Public = e.Lease.Addr, e.Lease.Public
			set(&s.User, strings.ToLower(e.Lease.Holder.Name))
			if e.Lease.Device != "" {
				set(&s.Origin, Short(e.Lease.Device))
			}
		} else if s != nil && s.User == "" {
			s.Addr = e.Src.IP
			set(&s.User, strings.ToLower(e.Owner.Name))
		}
		return s
	case e.Remote != nil && e.Remote.Tool == "console" && e.Device == "" && e.Remote.Target == "":
		return nil // a line of a console's audit: it names a customer, and no host on which a session is
	case e.Remote != nil && e.Remote.Tool != "":
		return g.remote(e)
	case e.Cloud != nil:
		return g.cloud(e)
	case e.Mail != nil || e.Partner == "" || e.Direction == ocsf.DirectionOut:
		return nil
	case e.Src.IP.IsValid() && !e.Src.IP.IsLoopback():
		s := g.run("source\x00"+string(e.Tenant)+"\x00"+e.Src.IP.String(), KindSource, e)
		if s != nil {
			s.Addr = e.Src.IP
		}
		return s
	case e.User.Name != "" || e.Actor.Name != "":
		user := firstOf(e.User.Name, e.Actor.Name)
		if s := g.logons[logonKey(e.Tenant, e.Device, user)]; s != nil && e.Time.Sub(s.End) < Gap {
			return s
		}
		return g.run("user\x00"+string(e.Tenant)+"\x00"+strings.ToLower(user), KindUser, e)
	}
	return nil
}

func (g *Graph) remote(e *ocsf.Event) *Session {
	r := e.Remote
	key := fmt.Sprintf("rmm\x00%s\x00%s\x00%s\x00%s", e.Tenant, r.Tool, strings.ToLower(r.Instance), Short(firstOf(e.Device, r.Target)))
	s := g.run(key, KindRMM, e)
	if s == nil {
		return nil
	}
	set(&s.Tool, r.Tool)
	s.Out = e.Direction == ocsf.DirectionOut
	if r.Instance != "" {
		set(&s.Instance, strings.ToLower(r.Instance))
	}
	if r.Operator != "" {
		set(&s.User, strings.ToLower(r.Operator))
	}
	if e.Src.IP.IsValid() {
		s.Addr = e.Src.IP
	}
	return s
}

func (g *Graph) cloud(e *ocsf.Event) *Session {
	who := strings.ToLower(firstOf(e.User.Name, e.Actor.Name))
	if e.Actor.Name != "" && (e.Class == ocsf.ClassAccountChange || e.Class == ocsf.ClassGroupManagement) {
		who = strings.ToLower(e.Actor.Name) // the user is whom it was done to
	}
	if e.Cloud.ServicePrin {
		who = "app " + strings.ToLower(e.Cloud.AppID)
	}
	if who == "" {
		return nil
	}
	s := g.run(fmt.Sprintf("cloud\x00%s\x00%s\x00%s", e.Tenant, who, e.Src.IP), KindCloud, e)
	if s != nil {
		s.Addr, s.Public = e.Src.IP, e.Src.IP
		set(&s.User, who)
		set(&s.App, strings.ToLower(e.Cloud.AppID))
	}
	return s
}

// run returns the session that the key has open, or opens one after a gap.
func (g *Graph) run(key string, kind Kind, e *ocsf.Event) *Session {
	if s := g.running[key]; s != nil && e.Time.Sub(s.End) < Gap {
		return s
	}
	parts := strings.SplitN(key, "\x00", 3)
	s := g.open(fmt.Sprintf("%s:%s:%s@%d", parts[1], parts[0], strings.ReplaceAll(parts[2], "\x00", "/"), e.Time.Unix()), kind, e)
	if s != nil {
		g.running[key] = s
	}
	return s
}

func (g *Graph) open(id string, kind Kind, e *ocsf.Event) *Session {
	if s := g.sessions[id]; s != nil {
		return s
	}
	if len(g.sessions) >= g.most {
		g.makeRoom()
	}
	w := g.flows.word
	s := &Session{ID: strings.Clone(id), Kind: kind, Tenant: tenant.ID(w(string(e.Tenant))), Trust: tenant.TrustID(w(string(e.Trust))), Partner: tenant.PartnerID(w(string(e.Partner))),
		Start: e.Time, End: e.Time, Layers: map[tenant.Layer]bool{}, Opened: ocsf.Evidence{File: w(e.Raw.File), Record: e.Raw.Record}}
	g.sessions[s.ID] = s
	return s
}

// Session returns the session with that id, or nil.
func (g *Graph) Session(id string) *Session { return g.sessions[id] }

// Sessions returns all sessions, by start, then id.
func (g *Graph) Sessions() []*Session {
	out := make([]*Session, 0, len(g.sessions))
	for _, s := range g.sessions {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Session) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Overlaps reports whether two spans share time, give or take slack.
func Overlaps(aFrom, aTo, bFrom, bTo time.Time, slack time.Duration) bool {
	return !aFrom.After(bTo.Add(slack)) && !bFrom.After(aTo.Add(slack))
}
