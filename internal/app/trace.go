package app

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// TraceOptions say what is traced.
type TraceOptions struct {
	Subject string    // a finding's id, or an address or host
	Tenant  tenant.ID // whose telemetry names the address; may be empty where only one does
	At      string    // as Case.When takes it; needed for an address
	User    string    // the account that acted, where one is known
	Most    int       // paths a source
}

// Traced is one source with the ways in which it may have come.
type Traced struct {
	Subject string       `json:"subject"`
	Finding string       `json:"finding,omitempty"`
	Tenant  tenant.ID    `json:"tenant"` // whose clock the times are by
	At      time.Time    `json:"at"`
	Paths   []TracedPath `json:"paths"` // the likeliest first; the first is the one that reports draw
	Clocks  []string     `json:"clocks,omitempty"`
	Answers []string     `json:"answers,omitempty"` // what other organisations answered
}

// TracedPath is one way, from where it began to the source.
type TracedPath struct {
	Rank   int         `json:"rank"`
	Share  float64     `json:"share"` // of all ways that the telemetry shows, 0 to 1
	Origin TracedPlace `json:"origin"`
	Hops   []TracedHop `json:"hops"`
	Ask    *TracedAsk  `json:"ask,omitempty"` // who must look, so that it can go on
	Shared bool        `json:"shared,omitempty"`
	Reason string      `json:"reason"`
	Tied   string      `json:"tied,omitempty"` // why it can't be told from one before
}

// TracedPlace is an address or host, and whose it is.
type TracedPlace struct {
	Tenant  tenant.ID        `json:"tenant,omitempty"`
	Partner tenant.PartnerID `json:"partner,omitempty"`
	Name    string           `json:"name"`
}

// String returns whose it is and its name.
func (p TracedPlace) String() string {
	if whose := firstNonEmpty(string(p.Tenant), string(p.Partner)); whose != "" {
		return whose + "/" + p.Name
	}
	return p.Name
}

// TracedHop is one session of a path.
type TracedHop struct {
	From    TracedPlace `json:"from"`
	To      TracedPlace `json:"to"`
	Start   time.Time   `json:"start"`
	End     time.Time   `json:"end"`
	Kind    string      `json:"kind"`
	Port    uint16      `json:"port,omitempty"`
	Packets int64       `json:"packets,omitempty"`
	User    string      `json:"user,omitempty"`
	Seen    []tenant.ID `json:"seen,omitempty"`
	Score   float64     `json:"score"`
	Share   float64     `json:"share"` // of the sessions that may explain the same
	Others  int         `json:"others"`
	For     []string    `json:"for,omitempty"`
	Against []string    `json:"against,omitempty"`
	Told    bool        `json:"told,omitempty"` // from an answer, not from our telemetry
	File    string      `json:"file,omitempty"`
	Record  int64       `json:"record,omitempty"`
}

// TracedAsk says which organisation must look, for what and when.
type TracedAsk struct {
	Organisation string    `json:"organisation"`
	Address      string    `json:"address,omitempty"`
	Host         string    `json:"host,omitempty"`
	Account      string    `json:"account,omitempty"`
	Target       string    `json:"target,omitempty"`
	Port         uint16    `json:"port,omitempty"`
	JoinKey      string    `json:"join_key,omitempty"`
	At           time.Time `json:"at"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
}

// Question says in words what the organisation is asked.
func (a *TracedAsk) Question() string {
	what := "who was behind " + firstNonEmpty(a.Address, a.Host)
	if a.Account != "" {
		what += ", account " + a.Account
	}
	if a.Target != "" {
		what += ", which reached " + a.Target
	}
	if a.Port > 0 {
		what += fmt.Sprintf(" on port %d", a.Port)
	}
	if a.JoinKey != "" {
		what += ", " + a.JoinKey
	}
	return fmt.Sprintf("%s, between %s and %s?", what, a.From.Format(time.RFC3339), a.To.Format(time.RFC3339))
}

// Trace answers where a finding, or an address at a time, came from. Each source of a finding is traced by itself.
func (c *Case) Trace(o TraceOptions) ([]Traced, error) {
	points, finding, err := c.points(o)
	if err != nil {
		return nil, err
	}
	out := make([]Traced, len(points))
	for i, p := range points {
		out[i] = c.trace(p, o.Most)
		if finding != nil {
			out[i].Finding = finding.ID
		}
	}
	return out, nil
}

func (c *Case) points(o TraceOptions) ([]hop.TracePoint, *ocsf.Finding, error) {
	addr, err := netip.ParseAddr(o.Subject)
	if err != nil {
		f, err := c.finding(o.Subject)
		if err != nil {
			return nil, nil, err
		}
		if f != nil {
			points := sources(f)
			if len(points) == 0 {
				return nil, nil, fmt.Errorf("finding %s names no address or host that did it, so there is nothing to trace back", f.ID)
			}
			return points, f, nil
		}
		if len(o.Subject) == 24 && strings.Trim(o.Subject, "0123456789abcdef") == "" {
			return nil, nil, fmt.Errorf("%w %s; `breakwater scan -o jsonl` lists them", errNoFinding, o.Subject)
		}
	}
	if o.At == "" {
		return nil, nil, fmt.Errorf("%s is no finding, so --at is needed: when was it at work?", o.Subject)
	}
	p := hop.TracePoint{Tenant: o.Tenant, Addr: addr, User: strings.ToLower(o.User)}
	if !addr.IsValid() {
		p.Host = o.Subject
	}
	if p.Time, err = c.When(o.At); err != nil {
		return nil, nil, fmt.Errorf("--at: %w", err)
	}
	if p.Tenant == "" {
		if p.Tenant, err = c.whose(addr, o.Subject); err != nil {
			return nil, nil, err
		}
	} else if c.Model.Tenant(p.Tenant) == nil {
		return nil, nil, fmt.Errorf("--tenant: %q is not declared", o.Tenant)
	}
	return []hop.TracePoint{p}, nil, nil
}

func (c *Case) trace(p hop.TracePoint, most int) Traced {
	list := c.graph.Candidates(c.Model, p, max(1, most))
	t := Traced{Subject: list[0].Source.Name(), Tenant: p.Tenant, At: p.Time.UTC()}
	for i, x := range list {
		path := TracedPath{Rank: i + 1, Share: math.Round(x.Share*1e4) / 1e4, Origin: placed(x.Origin), Shared: x.Shared, Reason: x.Reason, Tied: x.Tied, Hops: []TracedHop{}}
		for _, h := range x.Hops {
			path.Hops = append(path.Hops, TracedHop{From: placed(h.From), To: placed(h.To), Start: h.Start, End: h.End, Kind: h.Kind, Port: h.Port, Packets: h.Packets,
				User: h.User, Seen: h.Seen, Score: h.Score, Share: math.Round(h.Share*1e4) / 1e4, Others: h.Others, For: h.For, Against: h.Against,
				Told: h.Told, File: h.Evidence.File, Record: h.Evidence.Record})
		}
		if why, known := c.closed[x.Origin.Name()]; known && x.Ask != nil {
			path.Reason, x.Ask = why, nil
		}
		if a := x.Ask; a != nil {
			path.Ask = &TracedAsk{Organisation: a.Organisation, Account: a.User, Port: a.Port, At: a.At, From: a.From, To: a.To, Target: a.Target.Name()}
			if a.Place.Addr.IsValid() {
				path.Ask.Address = a.Place.Name()
			} else {
				path.Ask.Host = a.Place.Name()
			}
			if a.JoinKey.Value != "" {
				path.Ask.JoinKey = a.JoinKey.Kind + " " + a.JoinKey.Value
			}
		}
		t.Paths = append(t.Paths, path)
		for _, s := range x.Skews {
			if text := clockText(s); !slices.Contains(t.Clocks, text) {
				t.Clocks = append(t.Clocks, text)
			}
		}
	}
	return t
}

func clockText(s hop.Skew) string {
	way := "ahead of"
	if s.Ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("%s's clock is %s s %s %s's, from %d common flows; times here are %s's",
		s.Tenant, trimSeconds(s.Ahead.Abs()), way, s.Against, s.Flows, s.Against)
}

func trimSeconds(d time.Duration) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0")
}

func placed(p hop.Place) TracedPlace {
	return TracedPlace{Tenant: p.Tenant, Partner: p.Partner, Name: p.Name()}
}

func firstNonEmpty(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
