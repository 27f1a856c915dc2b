package campaign

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Elsewhere stands where a view leaves out whom something else concerns.
const Elsewhere = "another organisation"

// Within returns what a caller with that scope may see: the outcomes, incidents, findings, coverage and matrix of
// its own tenants, and the campaigns that concern one of them (succeeded, attempted, exposed, blind, or with a
// finding). What would name or hint at others is left out or replaced by Elsewhere; a partner is named to those who
// declared a trust with it. Spans, dwell time and totals are those of the caller's own tenants. Unparsed records and
// notes belong to no tenant and are left out. The result is a copy; a scope of everything gets r itself.
func (r *Result) Within(scope tenant.Scope, m *tenant.Model) *Result {
	if SeesAll(scope) {
		return r
	}
	v := newView(scope, m)
	out := &Result{Schema: r.Schema, Campaigns: []Campaign{}, Incidents: []Incident{}, Coverage: []Coverage{},
		Unparsed: []Unparsed{}, Matrix: []MatrixRow{}}
	out.Input.Snapshot = r.Input.Snapshot
	own := map[string]*ocsf.Finding{}
	for _, f := range r.List {
		if v.sees(f.Tenant) {
			c := v.finding(f)
			out.List = append(out.List, c)
			own[f.ID] = c
		}
	}
	out.Findings = totals(out.List)
	for _, c := range r.Coverage {
		if v.sees(c.Tenant) {
			out.Coverage = append(out.Coverage, c)
			out.Input.Events += c.Events
			widen(&out.Input.From, &out.Input.To, c.From, c.To)
		}
	}
	for _, row := range r.Matrix {
		if v.sees(row.Tenant) {
			out.Matrix = append(out.Matrix, row)
		}
	}
	// A result that was read from JSON has no list of findings; then the incidents' say which are whose.
	mine := map[string]bool{}
	for id := range own {
		mine[id] = true
	}
	for i := range r.Incidents {
		if v.sees(r.Incidents[i].Tenant) {
			for _, id := range r.Incidents[i].Findings {
				mine[id] = true
			}
		}
	}
	shown := map[string]bool{}
	for i := range r.Campaigns {
		if c, ok := v.campaign(&r.Campaigns[i], r.Incidents, mine, own); ok {
			out.Campaigns = append(out.Campaigns, c)
			shown[c.ID] = true
		}
	}
	for i := range r.Incidents {
		if v.sees(r.Incidents[i].Tenant) {
			out.Incidents = append(out.Incidents, v.incident(&r.Incidents[i], mine, shown))
		}
	}
	return out
}

// ModelWithin returns what of the declared model a caller with that scope may see: its own tenants, the trusts into
// them, the partners of those trusts, and the approvals. A scope of everything gets m itself.
func ModelWithin(scope tenant.Scope, m *tenant.Model) *tenant.Model {
	if SeesAll(scope) {
		return m
	}
	v := newView(scope, m)
	out := &tenant.Model{Version: m.Version}
	for _, t := range m.Tenants {
		if v.sees(t.ID) {
			out.Tenants = append(out.Tenants, t)
		}
	}
	for _, p := range m.Partners {
		if v.known[p.ID] {
			if !v.sees(p.Tenant) {
				p.Tenant = "" // that its telemetry is held, too, is between it and us
			}
			out.Partners = append(out.Partners, p)
		}
	}
	for _, t := range m.Trusts {
		if v.sees(t.Tenant) {
			out.Trusts = append(out.Trusts, t)
		}
	}
	for _, a := range m.Approvals {
		if v.trusts[a.Trust] {
			out.Approvals = append(out.Approvals, a)
		}
	}
	return out
}

// SeesAll reports whether a scope is tenant.ScopeAll; a scope cannot be asked for a tenant that stands for all.
func SeesAll(s tenant.Scope) bool { return reflect.DeepEqual(s, tenant.ScopeAll()) }

func widen(from, to *time.Time, a, b time.Time) {
	if !a.IsZero() && (from.IsZero() || a.Before(*from)) {
		*from = a
	}
	if b.After(*to) {
		*to = b
	}
}

// view is one scope's sight of a model.
type view struct {
	scope  tenant.Scope
	model  *tenant.Model
	known  map[tenant.PartnerID]bool // partners that its tenants declared a trust with, or are
	trusts map[tenant.TrustID]bool   // into its tenants
	words  wordSet                   // of others
	spared wordSet                   // its own and its partners': nothing within them is taken for another's
	nets   []netip.Prefix            // others' own address space
	open   []netip.Prefix            // its own, and what its trusts declare
	seen   map[netip.Addr]bool       // address → another's; a memory of at most maxSeen
}

// maxSeen bounds the addresses that a view remembers an answer for.
const maxSeen = 1 << 16

func newView(scope tenant.Scope, m *tenant.Model) *view {
	v := &view{scope: scope, model: m, known: map[tenant.PartnerID]bool{}, trusts: map[tenant.TrustID]bool{}, seen: map[netip.Addr]bool{}}
	for i := range m.Trusts {
		if t := &m.Trusts[i]; v.sees(t.Tenant) {
			v.trusts[t.ID] = true
			v.known[t.Partner] = true
			if t.Through != "" {
				v.known[t.Through] = true
			}
			v.spared.add(string(t.ID), t.Owner)
			v.spared.add(t.MailDomains...)
			v.spared.add(t.Destinations...)
			v.open = append(v.open, t.Networks...)
			for _, tool := range t.RemoteTools {
				v.spared.add(tool.Hosts...)
			}
			for _, h := range t.JumpHosts {
				if a, err := netip.ParseAddr(h); err == nil {
					v.open = append(v.open, netip.PrefixFrom(a, a.BitLen()))
				} else {
					v.spared.add(h)
				}
			}
		}
	}
	for i := range m.Tenants {
		t := &m.Tenants[i]
		set, nets := &v.words, &v.nets
		if v.sees(t.ID) {
			set, nets = &v.spared, &v.open
		}
		set.add(string(t.ID), t.Name)
		set.add(t.Aliases...)
		set.domain(t.Domains...)
		*nets = append(*nets, t.Networks...)
	}
	for i := range m.Partners {
		p := &m.Partners[i]
		if v.sees(p.Tenant) {
			v.known[p.ID] = true
		}
		set := &v.words
		if v.known[p.ID] {
			set = &v.spared
		}
		set.add(string(p.ID), p.Name)
	}
	for i := range m.Trusts {
		if t := &m.Trusts[i]; !v.trusts[t.ID] {
			v.words.add(string(t.ID))
			if !v.known[t.Partner] {
				v.words.domain(t.MailDomains...)
			}
		}
	}
	return v
}

func (v *view) sees(id tenant.ID) bool { return id != "" && v.scope.Sees(id) }

func (v *view) partner(id tenant.PartnerID) tenant.PartnerID {
	if v.known[id] {
		return id
	}
	return ""
}

func (v *view) trust(id tenant.TrustID) tenant.TrustID {
	if v.trusts[id] {
		return id
	}
	return ""
}

// campaign returns what the scope may see of a campaign; false where it concerns none of its tenants.
func (v *view) campaign(c *Campaign, incidents []Incident, mine map[string]bool, own map[string]*ocsf.Finding) (Campaign, bool) {
	out := Campaign{ID: c.ID, Partner: v.partner(c.Partner), Tenants: []TenantOutcome{}, Incidents: []string{}, JoinedBy: []Join{}, Hops: []Hop{}, Accesses: []Access{}}
	concerned := false
	for _, t := range c.Tenants {
		if !v.sees(t.Tenant) {
			continue
		}
		concerned = concerned || t.Outcome != Clear || len(t.Findings) > 0
		t.Trust, t.Reason, t.Findings = v.trust(t.Trust), v.text(t.Reason), slices.Clone(t.Findings)
		widen(&out.Start, &out.End, t.Since, t.Since)
		for _, id := range t.Findings {
			mine[id] = true
			if f := own[id]; f != nil {
				widen(&out.Start, &out.End, f.Time.UTC(), f.End.UTC())
			}
		}
		out.Tenants = append(out.Tenants, t)
	}
	if !concerned {
		return out, false
	}
	for i := range incidents {
		if n := &incidents[i]; v.sees(n.Tenant) && n.Campaign == c.ID {
			out.Incidents = append(out.Incidents, n.ID)
			widen(&out.Start, &out.End, n.Start, n.End)
		}
	}
	for i := range c.Hops {
		if h, ok := v.hop(&c.Hops[i], mine); ok {
			out.Hops = append(out.Hops, h)
			widen(&out.Start, &out.End, h.Time, h.Time)
		}
	}
	home := v.model.Partner(c.Partner)
	for _, a := range c.Accesses {
		if home != nil && v.sees(home.Tenant) || v.reached(c.Partner, a) {
			out.Accesses = append(out.Accesses, Access{a.Kind, v.text(a.Value)})
		}
	}
	for _, j := range c.JoinedBy {
		if k, ok := v.join(j); ok {
			out.JoinedBy = append(out.JoinedBy, k)
		}
	}
	out.Drawn = out.End
	if out.Start.IsZero() { // exposed and blind tenants have nothing of their own, and must know from when on to look
		out.Start, out.End, out.Drawn = c.Start, c.End, c.Drawn
	}
	out.FirstFoothold = v.foothold(c, &out)
	out.DwellDays = dwell(out.Start, out.End)
	if at := out.FirstFoothold.Time; !at.IsZero() {
		out.DwellDays = dwell(at, out.End)
	}
	out.Summary = v.summary(&out)
	return out, true
}

// dwell rounds as conclude does.
func dwell(from, to time.Time) float64 {
	return max(0, float64(int(to.Sub(from).Hours()/24*10+0.5))/10)
}

func (v *view) summary(c *Campaign) string {
	words := c.summary(v.model)
	if c.Partner == "" {
		words = strings.Replace(words, "an unknown way", Elsewhere, 1)
	}
	return v.text(words)
}

// reached reports whether an access that the intruder holds leads into one of the scope's tenants.
func (v *view) reached(p tenant.PartnerID, a Access) bool {
	for i := range v.model.Trusts {
		if t := &v.model.Trusts[i]; t.Partner == p && v.trusts[t.ID] && grants(t, a) {
			return true
		}
	}
	return false
}

// foothold tells a campaign's beginning to those in whose house it lies; others are given whom to ask, and for what
// they saw themselves.
func (v *view) foothold(c *Campaign, out *Campaign) Foothold {
	f := c.FirstFoothold
	if v.sees(f.Tenant) {
		f.Reason = v.text(f.Reason)
		return f
	}
	if f.Tenant == "" && f.Ask == "" {
		return Foothold{Reason: v.text(f.Reason)}
	}
	ask := tenant.PartnerID(f.Ask)
	if f.Tenant != "" {
		ask = c.Partner
	}
	if !v.known[ask] {
		return Foothold{Reason: "it began at " + Elsewhere}
	}
	held := make([]string, 0, len(out.Accesses))
	for _, a := range out.Accesses {
		held = append(held, a.String())
	}
	return Foothold{Ask: string(ask), For: cmp.Or(strings.Join(held, ", "), "how the intruder came by its access"),
		From: out.Start.Add(-AskBefore), To: out.End, Reason: "nothing in your own telemetry shows how the intruder got there"}
}

// join keeps of a join what one of the scope's tenants has part in.
func (v *view) join(j Join) (Join, bool) {
	all := len(j.Tenants)
	j.Tenants = slices.DeleteFunc(slices.Clone(j.Tenants), func(id tenant.ID) bool { return !v.sees(id) })
	if len(j.Tenants) == 0 {
		return j, false
	}
	if len(j.Tenants) < all {
		j.Reason = "seen at " + Elsewhere + " too"
	}
	j.Value, j.Reason = v.text(j.Value), v.text(j.Reason)
	return j, true
}

// hop keeps the moves that end in one of the scope's tenants, or leave one for the world. What others' telemetry
// shows of a move onwards is theirs.
func (v *view) hop(h *Hop, mine map[string]bool) (Hop, bool) {
	if !v.sees(h.To.Tenant) && (h.To.Tenant != "" || !v.sees(h.From.Tenant)) {
		return Hop{}, false
	}
	out := *h
	out.From, out.To = v.end(h.From), v.end(h.To)
	out.Label, out.Trust, out.Partner, out.JoinKey = v.text(h.Label), v.trust(h.Trust), v.partner(h.Partner), v.text(h.JoinKey)
	out.Findings = slices.DeleteFunc(slices.Clone(h.Findings), func(id string) bool { return !mine[id] })
	out.Evidence = v.evidence(h.Evidence)
	return out, true
}

// evidence keeps the records whose place names nobody else.
func (v *view) evidence(list []HopEvidence) []HopEvidence {
	out := []HopEvidence{}
	for _, e := range list {
		if !v.tells(e.File) {
			out = append(out, HopEvidence{e.File, e.Record, v.text(e.Text)})
		}
	}
	return out
}

// end hides an end of a hop that lies with somebody else, save what a trust declares to the scope anyway.
func (v *view) end(e HopEnd) HopEnd {
	if e.Tenant == "" || v.sees(e.Tenant) {
		e.Entity.Value = v.text(e.Entity.Value)
		return e
	}
	value := Elsewhere
	if p := v.model.PartnerOf(e.Tenant); p != nil && v.known[p.ID] {
		value = cmp.Or(p.Name, string(p.ID))
		if v.declared(p.ID, e.Entity) {
			value = e.Entity.Value
		}
	}
	return HopEnd{Entity: ocsf.Entity{Type: e.Entity.Type, Value: value}}
}

// declared reports whether a trust into the scope names the thing itself.
func (v *view) declared(p tenant.PartnerID, e ocsf.Entity) bool {
	for i := range v.model.Trusts {
		t := &v.model.Trusts[i]
		if t.Partner != p || !v.trusts[t.ID] {
			continue
		}
		if slices.Contains(t.JumpHosts, e.Value) {
			return true
		}
		switch e.Type {
		case ocsf.EntityIP:
			a, err := netip.ParseAddr(e.Value)
			if err == nil && slices.ContainsFunc(t.Networks, func(n netip.Prefix) bool { return n.Contains(a) }) {
				return true
			}
		case ocsf.EntityUser:
			if slices.ContainsFunc(t.Accounts, func(p string) bool { return tenant.MatchAccount(p, e.Value) }) {
				return true
			}
		case ocsf.EntityRMM:
			if slices.ContainsFunc(t.RemoteTools, func(r tenant.RemoteTool) bool { return strings.EqualFold(r.Instance, e.Value) }) {
				return true
			}
		}
	}
	return false
}

func (v *view) incident(n *Incident, mine, shown map[string]bool) Incident {
	out := *n
	out.Trust, out.Partner, out.Title, out.Trace = v.trust(n.Trust), v.partner(n.Partner), v.text(n.Title), v.trace(n.Trace, mine)
	if !shown[n.Campaign] {
		out.Campaign = ""
	}
	return out
}

func (v *view) trace(t *IncidentTrace, mine map[string]bool) *IncidentTrace {
	if t == nil {
		return nil
	}
	out := *t
	out.Source, out.Origin, out.For, out.Reason = v.end(t.Source), v.end(t.Origin), v.text(t.For), v.text(t.Reason)
	if t.Ask != "" && !v.known[tenant.PartnerID(t.Ask)] && !v.sees(tenant.ID(t.Ask)) {
		out.Ask = Elsewhere
	}
	out.Hops = []Hop{}
	for i := range t.Hops {
		h, ok := v.hop(&t.Hops[i], mine)
		if !ok {
			continue
		}
		if len(h.Findings) == 0 && t.Hops[i].From.Tenant != t.Hops[i].To.Tenant && t.Hops[i].From.Tenant != "" {
			h.Evidence = []HopEvidence{} // a session between two houses may be told from the other's log
		}
		out.Hops = append(out.Hops, h)
	}
	if len(out.Hops) < len(t.Hops) { // the way before the first hop that is left lies with others
		out.Reason = "it leads on at " + Elsewhere
		if p := v.model.PartnerOf(t.Origin.Tenant); t.Ask == "" && p != nil && v.known[p.ID] && len(out.Hops) > 0 {
			out.Ask, out.For = string(p.ID), string(out.Hops[0].From.Entity.Type)+" "+out.Hops[0].From.Entity.Value
			out.From, out.To = out.Hops[0].Time.Add(-AskBefore), out.Hops[0].Time
		}
	}
	out.Findings = slices.DeleteFunc(slices.Clone(t.Findings), func(id string) bool { return !mine[id] })
	out.Others = nil
	for i := range t.Others {
		out.Others = append(out.Others, *v.trace(&t.Others[i], mine))
	}
	return &out
}

// finding copies a finding of one of the scope's tenants without others' words. Of its events it keeps what
// evidence shows, and not every field of the source.
func (v *view) finding(f *ocsf.Finding) *ocsf.Finding {
	out := *f
	out.Trust, out.Partner, out.Title, out.Reason = v.trust(f.Trust), v.partner(f.Partner), v.text(f.Title), v.text(f.Reason)
	out.Entities = slices.Clone(f.Entities)
	for i := range out.Entities {
		out.Entities[i].Value = v.text(out.Entities[i].Value)
	}
	out.Evidence = make([]ocsf.Evidence, len(f.Evidence))
	for i, e := range f.Evidence {
		out.Evidence[i] = ocsf.Evidence{File: v.text(e.File), Record: e.Record, Event: v.event(e.Event)}
	}
	if s := f.Suppressed; s != nil {
		out.Suppressed = &ocsf.Suppression{By: s.By, Owner: v.text(s.Owner), Reason: v.text(s.Reason), Until: s.Until}
	}
	return &out
}

func (v *view) event(e *ocsf.Event) *ocsf.Event {
	if e == nil {
		return nil
	}
	user := func(u ocsf.User) ocsf.User {
		return ocsf.User{Name: v.text(u.Name), Domain: v.text(u.Domain), UID: v.text(u.UID)}
	}
	out := &ocsf.Event{ID: e.ID, Time: e.Time, Seen: e.Seen, Tenant: e.Tenant, Layer: e.Layer, Class: e.Class, Activity: e.Activity, Status: e.Status,
		Src: v.endpoint(e.Src), Dst: v.endpoint(e.Dst), Device: v.text(e.Device), User: user(e.User), Actor: user(e.Actor), Source: e.Source,
		Raw: ocsf.RawRef{File: v.text(e.Raw.File), Record: e.Raw.Record}}
	out.Trust, out.Partner, out.Rule, out.Direction, out.Owner = v.trust(e.Trust), v.partner(e.Partner), v.text(e.Rule), e.Direction, user(e.Owner)
	out.URL = v.text(e.Detail()) // which is where Detail looks when nothing else is known
	return out
}

func (v *view) endpoint(e ocsf.Endpoint) ocsf.Endpoint {
	e.Host, e.Domain = v.text(e.Host), v.text(e.Domain)
	if e.IP.IsValid() && v.anothers(e.IP) {
		e.IP, e.Host = netip.Addr{}, Elsewhere
	}
	return e
}
