package app

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/inventory"
	"github.com/breakwater-project/breakwater/internal/respond/posture/netconfig"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// Bounds of what telemetry tells posture.
const (
	maxUses      = 100_000 // of one tenant's ways in
	maxReached   = 16      // machines that one session reached
	exposureWeek = 7 * 24 * time.Hour
	exposureLife = 35 * 24 * time.Hour // what nobody tried for so long is no longer told
	maxExposed   = 5_000               // facts of this kind kept of one tenant
)

// used is how the ways into one tenant were used, with the time in which that would have been seen.
type used struct {
	uses    []netconfig.Use
	watched netconfig.Window
}

// usesOf draws from the hop graph who came into each tenant, and by which trust. What a partner's own telemetry tells
// of its work elsewhere is left out, as are sign-ins of a tenant's own people.
func usesOf(g *hop.Graph, m *tenant.Model) map[tenant.ID]*used {
	out := map[tenant.ID]*used{}
	declared := map[tenant.ID]*inventory.Declared{}
	for i := range m.Tenants {
		id := m.Tenants[i].ID
		u := &used{}
		if from, to, ok := g.Held(id); ok {
			if least := to.Add(-horizon); from.Before(least) {
				from = least
			}
			u.watched = netconfig.Window{From: from, To: to}
		}
		out[id] = u
		declared[id] = inventory.NewDeclared(m, id)
	}
	for _, s := range g.Sessions() {
		u := out[s.Tenant]
		if u == nil || s.Out || len(u.uses) >= maxUses || s.Partner == "" && !strange(declared[s.Tenant], s) {
			continue
		}
		u.uses = append(u.uses, usesIn(s)...)
	}
	return out
}

// strange reports whether a session that nobody's trust explains is one of a remote tool that the tenant has not declared.
func strange(d *inventory.Declared, s *hop.Session) bool {
	if s.Kind != hop.KindRMM || s.Tool == "" {
		return false
	}
	yes, known := d.Judge(s.Tool, s.Instance, "", s.Start).Sanctioned.Bool()
	return known && !yes
}

// usesIn is one use for each machine that a session reached, or one where none is known.
func usesIn(s *hop.Session) []netconfig.Use {
	u := netconfig.Use{Tenant: s.Tenant, Trust: s.Trust, Partner: s.Partner, Account: s.User, Src: s.Public, First: s.Start.UTC(), Last: s.End.UTC(),
		Count: 1, File: s.Opened.File, Record: s.Opened.Record}
	if !u.Src.IsValid() && (s.Kind == hop.KindSource || s.Kind == hop.KindCloud) {
		u.Src = s.Addr // that of a VPN's pool says nothing of where somebody came from
	}
	if s.Kind == hop.KindCloud && strings.HasPrefix(s.User, "app ") {
		u.Src = netip.Addr{} // an application runs where its vendor's cloud does; networks are where people come from
	}
	var out []netconfig.Use
	seen := map[string]bool{}
	for _, a := range s.Acts {
		if !a.Got || a.Target == "" || a.Kind == "sign-in" || a.Kind == "call" || seen[a.Target] || len(out) >= maxReached {
			continue
		}
		seen[a.Target] = true
		x := u
		if addr, err := netip.ParseAddr(a.Target); err == nil {
			x.Dst = addr
		} else {
			x.Host = a.Target
		}
		if a.File != "" {
			x.File, x.Record = a.File, a.Record
		}
		out = append(out, x)
	}
	if len(out) == 0 {
		out = append(out, u)
	}
	return out
}

// exposures collects, tenant by tenant, which consoles answered the internet. A week's flows are one collection, so that
// an open door is told until it has not answered for exposureLife, and not for ever. It serves several goroutines.
type exposures struct {
	mu    sync.Mutex
	model *tenant.Model
	by    map[tenant.ID]*exposed
}

type exposed struct {
	week int64
	now  *inventory.Exposures
	past []evidence.Item // of weeks that are over
}

func newExposures(m *tenant.Model) *exposures {
	return &exposures{model: m, by: map[tenant.ID]*exposed{}}
}

func weekOf(t time.Time) int64 { return t.Unix() / int64(exposureWeek/time.Second) }

// take looks at one event, once it is attributed.
func (x *exposures) take(e *ocsf.Event) {
	if e.Flow == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	week := weekOf(e.Time)
	o := x.by[e.Tenant]
	if o == nil {
		if x.model.Tenant(e.Tenant) == nil {
			return
		}
		o = &exposed{week: week}
		x.by[e.Tenant] = o
	}
	if week > o.week && o.now != nil {
		o.past = keepExposed(o.past, o.now.Items(), e.Time)
		o.now = nil
	}
	if o.now == nil {
		o.now = inventory.NewExposures(x.model, e.Tenant, product.Default())
	}
	o.week = max(o.week, week)
	o.now.Add(e)
}

// declare goes on with another model; what was seen under the one before is kept.
func (x *exposures) declare(m *tenant.Model) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.model == m {
		return
	}
	x.model = m
	for id, o := range x.by {
		if m.Tenant(id) == nil {
			delete(x.by, id)
			continue
		}
		if o.now != nil {
			o.past = keepExposed(o.past, o.now.Items(), time.Time{})
			o.now = nil
		}
	}
}

// items returns what was seen at one tenant, with what was kept of it before, as of a time; zero: all of it.
func (x *exposures) items(id tenant.ID, before []evidence.Item, at time.Time) []evidence.Item {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.by[id]
	if o == nil {
		return keepExposed(nil, before, at)
	}
	list := slices.Concat(before, o.past)
	if o.now != nil {
		list = append(list, o.now.Items()...)
	}
	return keepExposed(nil, list, at)
}

// keepExposed adds facts to those that are kept: of one address and port, or of the looking itself, one a week. What is
// too old at a time goes, and the oldest where there are too many.
func keepExposed(kept, more []evidence.Item, at time.Time) []evidence.Item {
	type key struct {
		kind, subject string
		week          int64
	}
	by := map[key]evidence.Item{}
	for _, list := range [...][]evidence.Item{kept, more} {
		for _, it := range list {
			k := key{it.Kind, it.Subject, weekOf(it.At)}
			if !at.IsZero() && at.Sub(it.At) > exposureLife {
				continue
			}
			if old, ok := by[k]; ok {
				it = sameDoor(old, it)
			}
			by[k] = it
		}
	}
	out := slices.SortedFunc(maps.Values(by), func(a, b evidence.Item) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(a.Kind+a.Subject, b.Kind+b.Subject)
	})
	return out[:min(len(out), maxExposed)]
}

// sameDoor makes one fact of two about the same door in the same week. The collections may overlap, as after a restart,
// so that counts are the larger and not the sum.
func sameDoor(a, b evidence.Item) evidence.Item {
	if b.At.Before(a.At) {
		a, b = b, a
	}
	v := maps.Clone(b.Values)
	for _, name := range []string{"sources", "undeclared", "answered", "flows"} {
		x, okA := a.Values[name].(int64)
		y, okB := v[name].(int64)
		if okA && (!okB || x > y) {
			v[name] = x
			if name == "undeclared" {
				v["example"] = a.Values["example"]
			}
		}
	}
	for _, name := range []string{"first", "from"} {
		if x, ok := a.Values[name].(time.Time); ok {
			if y, ok := v[name].(time.Time); !ok || x.Before(y) {
				v[name] = x
			}
		}
	}
	b.Values = v
	return b
}
