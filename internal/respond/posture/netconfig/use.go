package netconfig

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Use is one use of a way in, or several alike: a session, or the flows of one source to one destination.
type Use struct {
	Tenant  tenant.ID
	Trust   tenant.TrustID   // empty: no trust explains it
	Partner tenant.PartnerID // empty: nobody knows whose it was
	Account string           // as logged; empty: not told
	Src     netip.Addr       // where it came from; invalid: not told
	Dst     netip.Addr       // what it reached; invalid: not told
	Host    string           // the name of what it reached; may be empty
	Port    uint16           // of Dst; 0: not told
	First   time.Time        // UTC
	Last    time.Time
	Count   int64 // sessions or flows that it stands for; 0 counts as 1

	// Hours counts the uses by hour of the week, UTC, from Sunday 0 to 1 o'clock. Where all are zero, First alone is
	// held against the declared hours. An hour that is declared in part counts as declared.
	Hours [7 * 24]int64

	File   string // the evidence: where the first record lies
	Record int64
}

// Window is the time that telemetry was watched for a tenant.
type Window struct{ From, To time.Time }

// When a way in counts as unused, and an account as shared.
const (
	UnusedAfter   = 90 * 24 * time.Hour
	sharedAtOnce  = 2              // sources that one account is used from at the same time
	sharedOnADay  = 5              // or on one day
	minOverlap    = time.Minute    // less at the same time is a change of address
	maxFlowsTold  = 5              // of each thing that is told
	maxStrangers  = 500            // uses that nobody declared, told one by one
	hourOfAnHour  = 60             // minutes
	maxUseSources = 10_000         // sources kept for one account
	day           = 24 * time.Hour // as UTC has them
)

// UseFacts tells how the declared ways into a tenant are used, and which are used that nobody declared: one item of
// kind network.use for each trust into the tenant and for each stranger. Uses of other tenants are left out. Access
// is what configurations let in (items of kind network.access), so that the answer can name their lines; items of
// other kinds or tenants are passed over.
func UseFacts(m *tenant.Model, id tenant.ID, uses []Use, watched Window, access []evidence.Item) []evidence.Item {
	if m == nil {
		return nil
	}
	byTrust := map[tenant.TrustID][]*Use{}
	strangers := map[string][]*Use{}
	var order []string
	for i := range uses {
		u := &uses[i]
		if u.Tenant != id {
			continue
		}
		if t := m.Trust(u.Trust); t != nil && t.Tenant == id {
			byTrust[u.Trust] = append(byTrust[u.Trust], u)
			continue
		}
		key := string(u.Partner)
		if key == "" && u.Src.IsValid() {
			key = u.Src.Unmap().String()
		}
		if key == "" {
			key = strings.ToLower(u.Account)
		}
		if key == "" {
			continue
		}
		if strangers[key] == nil {
			order = append(order, key)
		}
		strangers[key] = append(strangers[key], u)
	}
	lines := linesOf(id, access)
	var out []evidence.Item
	for _, t := range m.TrustsInto(id) {
		out = append(out, useOf(m, t, byTrust[t.ID], watched, lines))
	}
	slices.Sort(order)
	for i, key := range order {
		if i == maxStrangers {
			break
		}
		out = append(out, stranger(id, key, strangers[key], watched, lines))
	}
	return out
}

// permit is a rule of a configuration that lets somebody in.
type permit struct {
	trust tenant.TrustID
	src   set
	text  string
}

func linesOf(id tenant.ID, access []evidence.Item) (out []permit) {
	for i := range access {
		it := &access[i]
		if it.Tenant != id || it.Kind != KindAccess {
			continue
		}
		p := permit{trust: it.Trust, text: fmt.Sprintf("%s:%d %s", it.From.File, it.From.Line, it.Subject)}
		source, _ := it.Values["source"].(string)
		for _, part := range strings.Split(source, ", ") {
			if s, ok := addressSet(part); ok {
				p.src = union(p.src, s)
			}
		}
		out = append(out, p)
	}
	return out
}

// rulesFor names the lines that let uses in: those for the trust, or whose sources hold theirs.
func rulesFor(lines []permit, trust tenant.TrustID, list []*Use) []any {
	var out []any
	for _, p := range lines {
		fits := trust != "" && p.trust == trust
		if trust == "" {
			fits = slices.ContainsFunc(list, func(u *Use) bool { return u.Src.IsValid() && p.src.contains(address(u.Src.Unmap())) })
		}
		if fits && len(out) < maxMembers {
			out = append(out, p.text)
		}
	}
	return out
}

// text tells one use in a line.
func (u *Use) text() string {
	var b strings.Builder
	b.WriteString(u.First.UTC().Format("2006-01-02 15:04"))
	for _, part := range []string{u.Account, fromText(u)} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	to := u.Host
	if u.Dst.IsValid() {
		to = u.Dst.String()
	}
	if to != "" {
		b.WriteString(" to " + to)
		if u.Port != 0 {
			fmt.Fprintf(&b, " port %d", u.Port)
		}
	}
	if u.File != "" {
		fmt.Fprintf(&b, " (%s:%d)", u.File, u.Record)
	}
	return short(b.String())
}

func fromText(u *Use) string {
	if !u.Src.IsValid() {
		return ""
	}
	return "from " + u.Src.Unmap().String()
}

// told collects uses that are told of, the first few of each sort.
type told map[string][]any

func (t told) add(what string, u *Use) {
	if len(t[what]) < maxFlowsTold {
		t[what] = append(t[what], u.text())
	}
}

// useOf sums the uses of one trust up.
func useOf(m *tenant.Model, t *tenant.Trust, list []*Use, watched Window, lines []permit) evidence.Item {
	it := evidence.Item{Tenant: t.Tenant, Partner: t.Partner, Trust: t.ID, Kind: KindUse, Subject: string(t.ID), At: watched.To}
	slices.SortStableFunc(list, func(a, b *Use) int { return a.First.Compare(b.First) })
	d := newDeclared(m, t.Tenant, nil, watched.To)
	mine := &d.trusts[slices.IndexFunc(d.trusts, func(x declaredTrust) bool { return x.trust == t })]
	var sessions, outside, after, before, past, beyond int64
	var first, last time.Time
	accounts := map[string]bool{}
	notes := told{}
	for _, u := range list {
		n := max(u.Count, 1)
		sessions += n
		if first.IsZero() || u.First.Before(first) {
			first = u.First
		}
		end := u.Last
		if end.Before(u.First) {
			end = u.First
		}
		if end.After(last) {
			last = end
		}
		if u.Account != "" {
			accounts[strings.ToLower(u.Account)] = true
		}
		if k := u.outside(t.Hours); k > 0 {
			outside += k
			notes.add("out_of_hours_flows", u)
		}
		if !t.ValidUntil.IsZero() && !end.Before(t.ValidUntil) {
			after += n
			notes.add("after_end_flows", u)
		} else if !t.ValidFrom.IsZero() && u.First.Before(t.ValidFrom) {
			before += n
			notes.add("before_start_flows", u)
		}
		if u.Src.IsValid() && !mine.nets.empty() && !mine.nets.contains(address(u.Src.Unmap())) && !jump(t, u) {
			past += n
			notes.add("wider_source_flows", u)
		}
		if reached, known := u.reaches(mine); known && !reached {
			beyond += n
			notes.add("wider_destination_flows", u)
		}
	}
	v := map[string]any{"declared": true, "used": len(list) > 0, "sessions": sessions, "accounts": int64(len(accounts))}
	if !watched.To.IsZero() {
		v["valid"] = t.ValidAt(watched.To)
		if !watched.From.IsZero() {
			v["watched_days"] = int64(watched.To.Sub(watched.From) / day)
		}
	}
	v["after_end"], v["before_start"] = after, before
	if t.Hours.Restricted {
		v["out_of_hours"] = outside
	}
	if !mine.nets.empty() {
		v["wider_source"] = past
	}
	if len(t.Destinations) > 0 {
		v["wider_destination"] = beyond
	}
	switch {
	case len(list) > 0:
		v["first_use"], v["last_use"] = first.UTC(), last.UTC()
		if !watched.To.IsZero() {
			v["unused_days"] = max(int64(watched.To.Sub(last)/day), 0)
		}
	case !watched.From.IsZero() && watched.To.Sub(watched.From) >= UnusedAfter:
		v["unused_days"] = int64(watched.To.Sub(watched.From) / day)
	}
	shared := sharedAccounts(list, notes)
	v["shared_accounts"] = int64(len(shared))
	putNames(v, "shared_account_names", shared)
	for what, flows := range notes {
		v[what] = flows
	}
	if rules := rulesFor(lines, t.ID, list); rules != nil {
		v["configuration"] = rules
	}
	it.Values = v
	return it
}

// jump reports whether a use came by one of the trust's jump hosts, which are no networks of the partner's.
func jump(t *tenant.Trust, u *Use) bool {
	return slices.ContainsFunc(t.JumpHosts, func(h string) bool { s, ok := addressSet(h); return ok && s.contains(address(u.Src.Unmap())) })
}

// outside counts the uses outside of the declared hours.
func (u *Use) outside(h tenant.Hours) (n int64) {
	if !h.Restricted {
		return 0
	}
	counted := false
	sunday := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC) // a Sunday; any would do
	for i, k := range u.Hours {
		if k == 0 {
			continue
		}
		counted = true
		at, within := sunday.Add(time.Duration(i)*time.Hour), false
		for m := range hourOfAnHour {
			if h.Contains(at.Add(time.Duration(m) * time.Minute)) {
				within = true
				break
			}
		}
		if !within {
			n += k
		}
	}
	if !counted && !h.Contains(u.First) {
		return max(u.Count, 1)
	}
	return n
}

// reaches reports whether a use stayed within the declared destinations; known is false where it can't be told.
func (u *Use) reaches(t *declaredTrust) (within, known bool) {
	if len(t.trust.Destinations) == 0 || !u.Dst.IsValid() && u.Host == "" {
		return false, false
	}
	if u.Dst.IsValid() && t.reach.contains(address(u.Dst.Unmap())) {
		return true, true
	}
	for _, name := range t.unknown {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		label, _, _ := strings.Cut(name, ".")
		host := strings.ToLower(strings.TrimSuffix(u.Host, "."))
		if host == name || host == label {
			return true, true
		}
	}
	if len(t.unknown) > 0 && u.Host == "" {
		return false, false // the address may be that of a host that is declared by name
	}
	return false, u.Dst.IsValid() || len(t.reach) == 0
}

// sharedAccounts are those that were used from several sources at once, or from many on one day. Addresses of IPv6
// within a /64 are one source.
func sharedAccounts(list []*Use, notes told) []string {
	type seen struct {
		at    *Use
		src   netip.Addr
		until time.Time
	}
	byAccount := map[string][]seen{}
	for _, u := range list {
		if u.Account == "" || !u.Src.IsValid() {
			continue
		}
		name, src := strings.ToLower(u.Account), u.Src.Unmap()
		if src.Is6() {
			p, _ := src.WithZone("").Prefix(64)
			src = p.Addr()
		}
		if len(byAccount[name]) < maxUseSources {
			byAccount[name] = append(byAccount[name], seen{u, src, u.Last})
		}
	}
	var out []string
	for name, all := range byAccount {
		slices.SortStableFunc(all, func(a, b seen) int {
			return cmp.Or(a.at.First.Compare(b.at.First), a.src.Compare(b.src))
		})
		perDay := map[int64]map[netip.Addr]bool{}
		var open []seen
		shared := false
		for _, s := range all {
			open = slices.DeleteFunc(open, func(o seen) bool { return o.until.Sub(s.at.First) < minOverlap })
			others := map[netip.Addr]bool{s.src: true}
			for _, o := range open {
				others[o.src] = true
			}
			if s.until.Sub(s.at.First) >= minOverlap {
				if len(others) >= sharedAtOnce {
					shared = true
				}
				if !slices.ContainsFunc(open, func(o seen) bool { return o.src == s.src && !o.until.Before(s.until) }) {
					open = append(open, s)
				}
			}
			k := s.at.First.Unix() / int64(day/time.Second)
			if perDay[k] == nil {
				perDay[k] = map[netip.Addr]bool{}
			}
			perDay[k][s.src] = true
			if len(perDay[k]) >= sharedOnADay {
				shared = true
			}
		}
		if shared {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	for _, u := range list {
		if slices.Contains(out, strings.ToLower(u.Account)) {
			notes.add("shared_account_flows", u)
		}
	}
	return out
}

// stranger sums the uses up that no declared trust explains.
func stranger(id tenant.ID, who string, list []*Use, watched Window, lines []permit) evidence.Item {
	slices.SortStableFunc(list, func(a, b *Use) int { return a.First.Compare(b.First) })
	it := evidence.Item{Tenant: id, Partner: list[0].Partner, Kind: KindUse, Subject: short(who), At: watched.To}
	var sessions int64
	last := list[0].Last
	notes := told{}
	for _, u := range list {
		sessions += max(u.Count, 1)
		if u.Last.After(last) {
			last = u.Last
		}
		notes.add("flows", u)
	}
	it.Values = map[string]any{"declared": false, "used": true, "sessions": sessions, "first_use": list[0].First.UTC(), "last_use": last.UTC(), "flows": notes["flows"]}
	if rules := rulesFor(lines, "", list); rules != nil {
		it.Values["configuration"] = rules
	}
	return it
}
