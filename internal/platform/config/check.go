package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// check compares the parts of the file with one another.
func (d *declared) check(r *reader) {
	tenants := unique(d.tenants, func(i int) tenant.ID { return d.model.Tenants[i].ID })
	partners := unique(d.partners, func(i int) tenant.PartnerID { return d.model.Partners[i].ID })
	trusts := unique(d.trusts, func(i int) tenant.TrustID { return d.model.Trusts[i].ID })

	d.checkPartners(tenants)
	for i, t := range d.model.Trusts {
		o := d.trusts[i]
		refer(o, "partner", t.Partner, partners, "partners")
		refer(o, "tenant", t.Tenant, tenants, "tenants")
		refer(o, "through", t.Through, partners, "partners")
		if p, ok := partners[t.Partner]; ok && t.Tenant != "" && d.model.Partners[p].Tenant == t.Tenant {
			o.fail("partner", fmt.Sprintf("%q is the tenant %q itself", t.Partner, t.Tenant), "a trust leads into another organisation")
		}
	}
	for i, a := range d.model.Approvals {
		o := d.approvals[i]
		refer(o, "trust", a.Trust, trusts, "trusts")
		if t, ok := trusts[a.Trust]; ok && !overlap(a.From, a.Until, d.model.Trusts[t].ValidFrom, d.model.Trusts[t].ValidUntil) {
			o.warn("trust", fmt.Sprintf("%q doesn't hold at any time of the approval", a.Trust), "correct from and until, or the trust's validity")
		}
	}
	d.checkSensors(tenants)
	d.checkChains()
	d.checkTies()
	d.hints(r)
}

func sorted(p []Problem) []Problem { Errors(p).sort(); return p }

// unique returns the place of each id, and reports an id given twice or differing by case alone: ids become
// folder names, and not every file system tells A from a.
func unique[ID ~string](objects []*object, id func(int) ID) map[ID]int {
	at := make(map[ID]int, len(objects))
	folded := make(map[string]int, len(objects))
	for i, o := range objects {
		v := id(i)
		if v == "" {
			continue
		}
		low := strings.ToLower(string(v))
		if first, ok := folded[low]; ok {
			wrong := fmt.Sprintf("%q is already the id of the entry on line %d", v, objects[first].line)
			if id(first) != v {
				wrong = fmt.Sprintf("%q differs only by case from %q on line %d", v, id(first), objects[first].line)
			}
			o.fail("id", wrong, "choose another id")
			continue
		}
		folded[low] = i
		at[v] = i
	}
	return at
}

// refer reports a reference to something that isn't declared; an empty one was optional or is reported already.
func refer[ID ~string](o *object, key string, id ID, at map[ID]int, where string) {
	if id == "" {
		return
	}
	if _, ok := at[id]; ok {
		return
	}
	todo := fmt.Sprintf("declare it under %s or correct the name", where)
	for other := range at {
		if len(at) > maxShown {
			break // a look through all of them for each of many faults would take long
		}
		if strings.EqualFold(string(other), string(id)) {
			todo = fmt.Sprintf("write %s", other)
		}
	}
	o.fail(key, fmt.Sprintf("%q is not declared under %s", printable(string(id)), where), todo)
}

func (d *declared) checkPartners(tenants map[tenant.ID]int) {
	first := map[tenant.ID]int{}
	for i, p := range d.model.Partners {
		refer(d.partners[i], "tenant", p.Tenant, tenants, "tenants")
		if j, ok := first[p.Tenant]; ok && p.Tenant != "" {
			d.partners[i].fail("tenant", fmt.Sprintf("%q is already the partner %q on line %d", p.Tenant, d.model.Partners[j].ID, d.partners[j].line), "one organisation is one partner: use that one")
			continue
		}
		first[p.Tenant] = i
	}
}

// checkChains follows through: from partner to partner within each tenant and reports every circle once.
func (d *declared) checkChains() {
	type node struct {
		tenant  tenant.ID
		partner tenant.PartnerID
	}
	trusts := map[node][]int{}
	for i, t := range d.model.Trusts {
		n := node{t.Tenant, t.Partner}
		trusts[n] = append(trusts[n], i)
	}
	state := map[node]int{} // 1 on the way, 2 done
	var chain []tenant.PartnerID
	var walk func(n node)
	walk = func(n node) {
		state[n] = 1
		chain = append(chain, n.partner)
		for _, i := range trusts[n] {
			next := node{n.tenant, d.model.Trusts[i].Through}
			if next.partner == "" {
				continue
			}
			switch state[next] {
			case 1:
				circle := append(slices.Clone(chain[slices.Index(chain, next.partner):]), next.partner)
				d.trusts[i].fail("through", "the partners come through one another in a circle: "+join(circle, " → "), "name the partner who really opens the door and leave its through empty")
			case 0:
				walk(next)
			}
		}
		chain = chain[:len(chain)-1]
		state[n] = 2
	}
	for i, t := range d.model.Trusts {
		n := node{t.Tenant, t.Partner}
		if state[n] == 0 {
			walk(n)
		}
		if t.Through != "" && trusts[node{t.Tenant, t.Through}] == nil {
			d.trusts[i].warn("through", fmt.Sprintf("%q has no trust of its own into %q", t.Through, t.Tenant), "declare that trust too, so that the chain is complete")
		}
	}
}

func join[S ~string](words []S, sep string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = printable(string(w))
	}
	return strings.Join(out, sep)
}

// checkTies reports an access that two partners declare into one tenant at the same time: an event that comes
// by it could be laid at either door.
func (d *declared) checkTies() {
	type access struct {
		tenant      tenant.ID
		kind, value string
	}
	users := map[access][]int{}
	for i := range d.model.Trusts {
		t := &d.model.Trusts[i]
		claim := func(key, kind, value string, fatal bool) {
			a := access{t.Tenant, kind, value}
			for _, j := range users[a] {
				o := &d.model.Trusts[j]
				if o.Partner == t.Partner || !overlap(o.ValidFrom, o.ValidUntil, t.ValidFrom, t.ValidUntil) {
					continue
				}
				wrong := fmt.Sprintf("%s %s is declared by %q (line %d) and by %q (line %d) into %q at the same time",
					kind, printable(value), o.ID, d.trusts[j].line, t.ID, d.trusts[i].line, t.Tenant)
				todo := "keep it at one of them, narrow one, or end one with valid_until before the other begins"
				if fatal {
					d.trusts[i].fail(key, wrong, todo)
				} else {
					d.trusts[i].warn(key, wrong, todo)
				}
				break
			}
			users[a] = append(users[a], i)
		}
		for _, p := range t.Networks {
			claim("networks", "network", p.String(), true)
		}
		for _, p := range t.Accounts {
			if strings.HasPrefix(p, "*@") {
				p = p[1:] // both spellings mean all of the domain
			}
			claim("accounts", "account", p, true)
		}
		for _, m := range t.MailDomains {
			claim("mail_domains", "mail domain", m, false)
		}
		for _, r := range t.RemoteTools {
			if r.Instance == "" {
				claim("remote_tools", "remote tool", r.Tool, false)
			} else {
				claim("remote_tools", "remote-tool instance", r.Tool+" "+strings.ToLower(r.Instance), true)
			}
		}
		for _, c := range t.CloudPrincipals {
			claim("cloud_principals", "cloud principal", c.HomeTenant+c.AppID+c.AccountID+c.Role, false)
		}
	}
}

// overlap reports whether two validities share a moment; a zero time is open.
func overlap(fromA, untilA, fromB, untilB time.Time) bool {
	return (untilA.IsZero() || fromB.Before(untilA)) && (untilB.IsZero() || fromA.Before(untilB))
}

// hints warns of what is allowed and yet probably not meant.
func (d *declared) hints(r *reader) {
	trusted := map[tenant.PartnerID]bool{}
	for i, t := range d.model.Trusts {
		trusted[t.Partner] = true
		trusted[t.Through] = true
		if len(t.Networks)+len(t.Accounts)+len(t.MailDomains)+len(t.RemoteTools)+len(t.JumpHosts)+len(t.CloudPrincipals) == 0 {
			r.warn(d.trusts[i].line, d.trusts[i].path, "declares no access, so no event can be attributed to it", "add networks, accounts, mail_domains, remote_tools, jump_hosts or cloud_principals")
		}
		if t.Owner == "" {
			d.trusts[i].warn("owner", "missing: nobody answers for this trust", "name the person at the tenant")
		}
	}
	for i, p := range d.model.Partners {
		if p.ID != "" && !trusted[p.ID] {
			r.warn(d.partners[i].line, d.partners[i].path, "has no trust into any tenant", "declare one, or take the partner out")
		}
	}
	domains := map[string]int{}
	for i, t := range d.model.Tenants {
		for _, name := range t.Domains {
			if j, ok := domains[name]; ok {
				d.tenants[i].warn("domains", fmt.Sprintf("%s belongs to %q too and counts as that tenant's", name, d.model.Tenants[j].ID), "keep it at one")
				continue
			}
			domains[name] = i
		}
	}
	if len(d.sensors) == 0 {
		if len(d.model.Tenants) > 0 {
			r.warn(0, "sensors", "none is declared: no telemetry has a tenant, and every tenant is blind", "say which files or exporters are whose")
		}
		return
	}
	seen := map[tenant.ID]bool{}
	for i := range d.sensors {
		for _, id := range d.sensors[i].tenants() {
			seen[id] = true
		}
	}
	for i, t := range d.model.Tenants {
		if t.ID != "" && !seen[t.ID] {
			r.warn(d.tenants[i].line, d.tenants[i].path, "no sensor is this tenant's: it will be blind", "add a sensor for its telemetry")
		}
	}
}
