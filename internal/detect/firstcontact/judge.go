package firstcontact

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// outsideHours is how likely an act outside of the trust's declared hours is taken to be at most.
const outsideHours = 1.0 / 32

// group is a respect in which an act is new independently of the others. What brings one another lies in one group,
// of which the most surprising counts.
type group uint8

const (
	groupPlace group = iota // network, its operator, its country
	groupHour
	groupHow   // device, program, tool instance, credential
	groupWhat  // resource, target, the combination of all
	groupWhere // client
	groupWho   // the account itself at this trust
	nGroups
)

// judgement is how rare an act is, by independent groups.
type judgement struct {
	bits    [nGroups]float64
	why     [nGroups]string
	strange bool // the network is new to the account, its house and the tenant, or was less than StrangeFor ago
	first   bool // new to the account just now
	opens   bool // new to the whole house just now
	ownSeat bool // the device is the account's own, whatever the network
}

// raise counts what is new in a group, if nothing in it was rarer. Why is asked only where it will be told.
func (j *judgement) raise(g group, b float64, why func() string) {
	if b <= j.bits[g] {
		return
	}
	if j.bits[g] = b; b >= GroupBits {
		j.why[g] = why()
	}
}

// sum returns the surprise of the groups that are rare, and how many they are. A new account is no respect of its own:
// everything about it is new.
func (j *judgement) sum() (total float64, groups int) {
	for g, b := range j.bits {
		if b >= GroupBits && group(g) != groupWho {
			total += b
			groups++
		}
	}
	return total, groups
}

// reasons tells what is rare, most surprising first.
func (j *judgement) reasons() string {
	var all []group
	for g, b := range j.bits {
		if b >= GroupBits {
			all = append(all, group(g))
		}
	}
	slices.SortStableFunc(all, func(a, b group) int {
		switch {
		case j.bits[a] > j.bits[b]:
			return -1
		case j.bits[a] < j.bits[b]:
			return 1
		}
		return 0
	})
	out := make([]string, len(all))
	for i, g := range all {
		out[i] = j.why[g]
	}
	return strings.Join(out, "; ")
}

// judge compares an act of a partner with its pasts, of which none is changed.
func (d *Detector) judge(a *act, h, site *house, x *actor, r *relation) judgement {
	j := d.place(a, h, site, x)
	if r == nil {
		return j
	}
	now, t := minuteOf(a.event.Time), d.trusts[a.event.Trust]
	new := func(dim dimension, pasts ...map[dimension]*past) bool {
		if a.vals[dim] == 0 || t != nil && a.declares(t, dim) {
			return false
		}
		for _, m := range pasts {
			if m[dim].is(a.vals[dim], now) != fresh {
				return false
			}
		}
		return true
	}
	raise := func(g group, dim dimension, own, behind *past, of string) {
		p := own.novelty(behind.novelty(ignorance))
		j.raise(g, bits(p), func() string {
			return fmt.Sprintf("%s %s is new (%s)", phrase[dim], clip(a.value(dim)), odds(p, own, of, behind, a.owner))
		})
	}
	for _, dim := range [...]dimension{dimDevice, dimAgent, dimTool, dimCredential} {
		if new(dim, x.Past, h.Past) {
			raise(groupHow, dim, x.Past[dim], h.Past[dim], a.who)
		}
	}
	if new(dimResource, x.Past, h.Past) {
		raise(groupWhat, dimResource, x.Past[dimResource], h.Past[dimResource], a.who)
	}
	if new(dimTarget, r.Past) {
		raise(groupWhat, dimTarget, r.Past[dimTarget], nil, "this trust")
	}
	if a.app && new(dimUse, x.Past) && j.bits[groupPlace] == 0 && j.bits[groupHow] == 0 && j.bits[groupWhat] == 0 {
		p := x.Past[dimUse].novelty(ignorance)
		j.raise(groupWhat, bits(p), func() string {
			return fmt.Sprintf("its network, user agent and resource were never seen together (%s)", odds(p, x.Past[dimUse], a.who, nil, ""))
		})
	}
	if x.warm(now) && new(dimTenant, x.Past) && !d.young(a.event) {
		raise(groupWhere, dimTenant, x.Past[dimTenant], h.Past[dimTenant], a.who)
	}
	if new(dimWho, r.Past) {
		raise(groupWho, dimWho, r.Past[dimWho], nil, "this trust")
	}
	j.hour(a, h, x, t)
	j.ownSeat = a.event.Cloud != nil && a.vals[dimDevice] != 0 && !new(dimDevice, x.Past)
	return j
}

// place compares the network.
func (d *Detector) place(a *act, h, site *house, x *actor) (j judgement) {
	v, now := a.vals[dimNetwork], minuteOf(a.event.Time)
	if v == 0 || d.declared(a.event.Tenant, a.event.Partner, a.from) {
		return j
	}
	own, all, here := x.Past[dimNetwork], h.Past[dimNetwork], site.Past[dimNetwork]
	j.first = own.is(v, now) == fresh
	j.opens = all.is(v, now) == fresh
	switch {
	case j.first && j.opens && here.is(v, now) == fresh:
		j.strange = h.warm(now) || site.warm(now)
	case !j.opens && a.event.Partner != "":
		since := all.Seen[v].First
		j.strange = now.since(since) < minutes(StrangeFor) && since.since(h.Begun) >= minutes(WarmTime) && h.warm(now) &&
			(here.is(v, now) == fresh || here.Seen[v].First >= since)
	}
	if !j.strange {
		return j
	}
	p := own.novelty(all.novelty(ignorance))
	why := fmt.Sprintf("network %s is new (%s)", networkOf(a.from), odds(p, own, a.who, all, a.owner))
	narrower := all
	for _, dim := range [...]dimension{dimASN, dimCountry} {
		if past := h.Past[dim]; a.vals[dim] != 0 {
			if past != nil && past.is(a.vals[dim], now) == fresh {
				p *= past.given(narrower)
				why += fmt.Sprintf(", in a new %s, %s", phrase[dim], a.value(dim))
			}
			narrower = past
		}
	}
	j.raise(groupPlace, bits(p), func() string { return why })
	return j
}

// hour compares the hour of the week with the account's, and with the house's where others work at that hour; the
// trust's declared hours count as known.
func (j *judgement) hour(a *act, h *house, x *actor, t *tenant.Trust) {
	at := a.event.Time.UTC()
	declared := t != nil && t.Hours.Restricted
	if declared && t.Hours.Contains(at) {
		return
	}
	p := max(x.Hours.tail(at), h.Hours.tail(at))
	if declared {
		p = min(p, outsideHours)
	}
	j.raise(groupHour, bits(p), func() string {
		when := fmt.Sprintf("%s at %s UTC", at.Weekday(), at.Format("15:04"))
		if declared {
			return when + " lies outside of the trust's declared hours"
		}
		return fmt.Sprintf("%s is rare (%s of its visits fall on hours as rare)", when, percent(p))
	})
}

// declared reports whether the address lies in a network that the partner's trusts or the tenant declare.
func (d *Detector) declared(id tenant.ID, partner tenant.PartnerID, from netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(from) }
	if t := d.model.Tenant(id); t != nil && slices.ContainsFunc(t.Networks, within) {
		return true
	}
	if partner == "" {
		return false
	}
	for i := range d.model.Trusts {
		if t := &d.model.Trusts[i]; t.Partner == partner && (slices.ContainsFunc(t.Networks, within) || slices.Contains(t.JumpHosts, from.String())) {
			return true
		}
	}
	return false
}

// odds tells a probability and the history that it rests on: the subject's own, or that of those behind it where it has
// none.
func odds(p float64, own *past, of string, behind *past, whose string) string {
	if own == nil || own.Visits < strength && behind != nil && behind.Visits > own.Visits {
		own, of = behind, whose
	}
	visits, news := 0.0, 0.0
	if own != nil {
		visits, news = own.Visits, own.News
	}
	return fmt.Sprintf("expected in %s of visits; %.0f of %.0f visits of %s met something new", percent(p), news, visits, of)
}

func percent(p float64) string {
	if p >= 0.0995 {
		return fmt.Sprintf("%.0f %%", 100*p)
	}
	return fmt.Sprintf("%.2g %%", 100*p)
}

// clip keeps a reason readable where a value is long.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}
