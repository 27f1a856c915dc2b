package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxTracedShown bounds the traces whose ways a page shows; it tells how many more there are.
const maxTracedShown = 100

// Traced is who did what a finding shows, with the ways in which they may have come.
type Traced struct {
	Finding string    // id of the finding that was traced
	Source  string    // address or host that did it
	Tenant  tenant.ID // by whose clock the times are
	Clocks  []string  // clocks that were set right, in words
	Ways    []Way     // the likeliest first
}

// Way is one way, from where it began to the source.
type Way struct {
	Share  float64 // of all ways that the telemetry shows, 0 to 1
	Origin Place
	Hops   []WayHop
	Ends   string // why it ends there
	Ask    string // whom to ask, for what; empty: nobody
	Tied   string // why it can't be told from one before; empty where it can
	Shared bool   // others may stand behind the origin
}

// Place is an address or host, and whose it is as far as that is known.
type Place struct {
	Tenant  tenant.ID
	Partner tenant.PartnerID
	Name    string
}

// WayHop is one session of a way.
type WayHop struct {
	From, To     Place
	Start, End   time.Time
	Kind         string
	Port         uint16 // 0: not known
	User         string
	Score        float64 // one more is twice as likely
	Share        float64 // of the sessions that may explain the same, 0 to 1
	For, Against []string
	Told         bool   // another organisation answered so; no record of ours shows it
	File         string // of the record; empty where there is none
	Record       int64
}

// tracedView is one source of an incident's findings.
type tracedView struct {
	*Traced
	Ref      string // id on the page
	Incident *campaign.Incident
	Whose    string
	Clock    string // by whose clock the times are
	Ways     []wayView
}

type wayView struct {
	*Way
	Percent string
	Wide    int // of the bar that shows the share, 0 to 100
	Whose   string
	Over    string
	Hops    []wayHopView
}

type wayHopView struct {
	*WayHop
	FromWhose, ToWhose string
	What               string
	Percent            string // empty where nothing else may explain it
	Points             string
}

// ways draws the ways of each source that the incidents' traces name and that leads somewhere.
func (p *page) ways(res *campaign.Result, list []Traced) {
	type key struct{ finding, source string }
	known := map[key]*Traced{}
	for i := range list {
		known[key{list[i].Finding, list[i].Source}] = &list[i]
	}
	p.Led = map[string]string{}
	for i := range res.Incidents {
		n := &res.Incidents[i]
		if n.Trace == nil {
			continue
		}
		for k, t := range p.Traces(n.Trace) {
			if len(t.Findings) == 0 {
				continue
			}
			x := known[key{t.Findings[0], t.Source.Entity.Value}]
			if x == nil || !slices.ContainsFunc(x.Ways, func(w Way) bool { return len(w.Hops) > 0 }) {
				continue
			}
			if len(p.Sources) == maxTracedShown {
				p.SourcesLeft++
				continue
			}
			v := p.names.way(x)
			v.Incident, v.Ref, v.Whose = n, fmt.Sprintf("way-%s-%d", n.ID, k+1), p.names.whose(Place{Tenant: t.Source.Tenant, Name: t.Source.Entity.Value})
			p.Sources = append(p.Sources, v)
			if p.Led[n.ID] == "" {
				p.Led[n.ID] = v.Ref
			}
		}
	}
}

func (n namer) way(x *Traced) tracedView {
	v := tracedView{Traced: x, Clock: n.tenant(x.Tenant)}
	for i := range x.Ways {
		w := &x.Ways[i]
		y := wayView{Way: w, Percent: percent(w.Share), Wide: int(math.Round(100 * min(max(w.Share, 0), 1))), Whose: n.whose(w.Origin), Over: count(len(w.Hops), "session", "sessions")}
		for k := range w.Hops {
			h := &w.Hops[k]
			z := wayHopView{WayHop: h, FromWhose: n.whose(h.From), ToWhose: n.whose(h.To), What: h.Kind, Points: fmt.Sprintf("%.1f", h.Score)}
			if h.Share < 1 {
				z.Percent = percent(h.Share)
			}
			if h.Port > 0 {
				z.What += fmt.Sprintf(", port %d", h.Port)
			}
			if h.User != "" {
				z.What += ", as " + h.User
			}
			y.Hops = append(y.Hops, z)
		}
		v.Ways = append(v.Ways, y)
	}
	return v
}

// whose names who owns a place; a partner is named where no tenant is.
func (n namer) whose(p Place) string {
	if p.Tenant == "" && p.Partner != "" {
		return n.partner(p.Partner)
	}
	return n.tenant(p.Tenant)
}

// percent writes a share; what is not nothing is not written as 0, nor what is not all as 100.
func percent(share float64) string {
	switch p := math.Round(100 * share); {
	case p < 1 && share > 0:
		return "under 1 %"
	case p >= 100 && share < 1:
		return "over 99 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}
