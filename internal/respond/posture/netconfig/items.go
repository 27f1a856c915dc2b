package netconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// The kinds of facts that this package gives; the package comment lists their values.
const (
	KindConfig            = "network.config"
	KindRule              = "network.rule"
	KindAccess            = "network.access"
	KindInstance          = "network.instance"
	KindConditionalAccess = "network.conditional-access"
	KindDelegation        = "network.delegation"
	KindUse               = "network.use"
)

// maxBroken is how many broken records of one file are told one by one; all are counted.
const maxBroken = 1000

// facts of a device become items: one for the file, one for each rule that lets in from elsewhere or can never
// match, one for each grant.
func (d *device) items(src *source, m *tenant.Model, format string) error {
	f := d.analyse()
	at := src.in.At
	if !d.now.IsZero() {
		at = d.now
	}
	declares := newDeclared(m, src.in.Tenant, d.named, at)
	total := map[string]int64{}
	for _, x := range f.rules {
		for name, is := range map[string]bool{"any_any": x.anyAny == open, "management_open": x.doorsOpen == open, "ipv6_forgotten": len(x.ipv6) > 0} {
			if is {
				total[name]++
			}
		}
	}
	config := map[string]any{
		"format": format, "rules": int64(f.enabled), "disabled": int64(f.disabled), "expired": int64(f.expired), "shadowed": int64(f.shadowed), "undecided": int64(f.undecided),
		"unknown_side": int64(f.unsure), "broken": src.broken, "any_any": total["any_any"], "management_open": total["management_open"], "ipv6_forgotten": total["ipv6_forgotten"],
	}
	if d.name != "" {
		config["device"] = short(d.name)
	}
	if d.whole {
		config["ipv6_filtered"] = d.filtersIPv6()
	}
	base := evidence.Item{Tenant: src.in.Tenant, At: at, From: evidence.Origin{File: src.in.Name}}
	whole := base
	whole.Kind, whole.Subject, whole.Values = KindConfig, d.subject(src, "", ""), config
	if err := src.sink.Item(whole); err != nil {
		return err
	}
	for _, x := range f.rules {
		if err := src.ctx.Err(); err != nil {
			return err
		}
		it := base
		it.Kind, it.Subject, it.Values, it.From.Line = KindRule, d.subject(src, x.policy.name, x.rule.title()), x.values(d), x.rule.line
		if err := src.sink.Item(it); err != nil {
			return err
		}
	}
	for _, g := range declares.grants(d, f) {
		it := base
		it.Kind, it.Subject, it.Values, it.From.Line = KindAccess, d.subject(src, g.facts.policy.name, g.facts.rule.title()), g.values(d), g.facts.rule.line
		if g.trust != nil {
			it.Partner, it.Trust = g.trust.Partner, g.trust.ID
		}
		if err := src.sink.Item(it); err != nil {
			return err
		}
	}
	if err := d.accountItems(src, base, m); err != nil {
		return err
	}
	return d.instanceItems(src, base, f)
}

// accountItems tells of other accounts of the cloud whose groups a rule lets in: declared where a trust names the
// account.
func (d *device) accountItems(src *source, base evidence.Item, m *tenant.Model) error {
	for _, account := range slices.Sorted(maps.Keys(d.accounts)) {
		it := base
		it.Kind, it.Subject, it.From.Line = KindAccess, d.subject(src, "account", short(account)), d.accounts[account]
		v := map[string]any{"policy": "account", "rule": short(account), "source": "account " + short(account), "declared": false}
		if m != nil {
			declareCloud(&it, v, src, m, func(p tenant.CloudPrincipal) bool { return p.AccountID == account })
			if ended, ok := v["trust_ended"]; ok {
				v["ended"] = ended
				delete(v, "trust_ended")
			}
		}
		it.Values = v
		if err := src.sink.Item(it); err != nil {
			return err
		}
	}
	return nil
}

// subject names a rule as a person would: the device, the list, the rule.
func (d *device) subject(src *source, policy, title string) string {
	name := d.name
	if name == "" {
		name = src.in.Name[strings.LastIndexAny(src.in.Name, `/\`)+1:]
	}
	parts := slices.DeleteFunc([]string{short(name), short(policy), title}, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

// filtersIPv6 reports whether anything decides on packets of IPv6 that come in.
func (d *device) filtersIPv6() bool {
	for _, p := range d.policies {
		if p.stage != "input" && p.stage != "forward" {
			continue
		}
		for _, r := range p.rules {
			for i := range r.boxes {
				if r.boxes[i][dimSrc].meets(v6All) {
					return true
				}
			}
		}
	}
	return false
}

// values of a rule.
func (x *facts) values(d *device) map[string]any {
	r := x.rule
	e := r.extent()
	src, dst, svc, in := e.src, e.dst, e.svc, e.in
	v := map[string]any{
		"policy": short(x.policy.name), "rule": r.title(), "action": actionText(r), "enabled": r.enabled, "default": r.def,
		"source": src.addressText(), "destination": dst.addressText(), "service": serviceText(svc), "shadowed": x.shadow != nil,
	}
	if d.name != "" {
		v["device"] = short(d.name)
	}
	if names := d.zones.text(in); names != "" {
		v["interface"] = names
	}
	if x.side != "" {
		v["from"] = x.side
	}
	putOpen(v, "internet", x.internet)
	putOpen(v, "any_any", x.anyAny)
	putOpen(v, "management_open", x.doorsOpen)
	if len(x.doors) > 0 {
		var ports, names []any
		for _, w := range x.doors {
			if p := any(int64(w.port)); !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
			if n := any(w.what); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		v["management_ports"], v["management_services"] = ports, names
	}
	if x.shadow != nil {
		var by []any
		var names []string
		for _, s := range x.shadow.by {
			if len(by) < maxMembers {
				by, names = append(by, s.line), append(names, fmt.Sprintf("%s (line %d)", s.title(), s.line))
			}
		}
		v["shadowed_by"], v["shadowed_by_text"], v["shadow_contrary"] = by, strings.Join(names, ", "), x.shadow.contrary
	}
	v["ipv6_forgotten"] = len(x.ipv6) > 0
	if len(x.ipv6) > 0 {
		v["ipv6_services"] = serviceText(x.ipv6)
	}
	if x.rule.action == accept && !x.rule.answers && x.side == "" {
		delete(v, "ipv6_forgotten")
	}
	putNames(v, "conditions", r.over)
	putNames(v, "unresolved", r.under)
	if r.schedule != "" {
		v["schedule"] = short(r.schedule)
	}
	if r.comment != "" {
		v["comment"] = short(r.comment)
	}
	return v
}

func actionText(r *rule) string {
	switch {
	case len(r.forward) > 0:
		return "forward"
	case r.action == accept:
		return "accept"
	case r.action == deny:
		return "deny"
	}
	return "other"
}

// putOpen says yes or no, and nothing where it is not known.
func putOpen(v map[string]any, name string, o openness) {
	if o != undecided {
		v[name] = o == open
	}
}

func putNames(v map[string]any, name string, list []string) {
	if len(list) == 0 {
		return
	}
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	v[name] = out
}

func putTruth(v map[string]any, name string, t truth) {
	if t != unknown {
		v[name] = t == yes
	}
}

// values of a grant.
func (g *grant) values(d *device) map[string]any {
	r := g.facts.rule
	v := map[string]any{"policy": short(g.facts.policy.name), "rule": r.title(), "declared": g.declared, "source": g.nets.addressText()}
	if d.name != "" {
		v["device"] = short(d.name)
	}
	if g.trust != nil {
		putTruth(v, "ended", g.ended)
		putTruth(v, "wider_source", g.source)
		putTruth(v, "wider_destination", g.dest)
		putTruth(v, "wider_service", g.service)
		if !g.trust.ValidUntil.IsZero() {
			v["valid_until"] = g.trust.ValidUntil.UTC().Truncate(time.Second)
		}
		if len(g.beyond[0]) > 0 {
			v["beyond_source"] = g.beyond[0].addressText()
		}
		if len(g.beyond[1]) > 0 {
			v["beyond_destination"] = g.beyond[1].addressText()
		}
		if len(g.beyond[2]) > 0 {
			v["beyond_service"] = serviceText(g.beyond[2])
		}
	}
	if g.facts.doorsIn(g.nets) {
		v["management"] = true
	} else {
		v["management"] = false
	}
	if r.schedule != "" {
		v["schedule"] = short(r.schedule)
	}
	v["any_time"] = r.schedule == ""
	return v
}

// doorsIn reports whether the rule lets sources reach a port by which machines are run.
func (x *facts) doorsIn(nets set) bool {
	for i := range x.rule.boxes {
		if b := &x.rule.boxes[i]; b[dimSrc].meets(nets) && b[dimSvc].meets(doorSet) {
			return true
		}
	}
	return false
}

// text lists the interfaces of a set; empty where it is all of them.
func (z *zones) text(s set) string {
	if s.isFull() {
		return ""
	}
	var names []string
	for id, name := range z.names {
		if s.contains(number(uint64(id))) {
			if names = append(names, short(name)); len(names) == maxMembers {
				break
			}
		}
	}
	return strings.Join(names, ", ")
}

// instanceItems tells of machines in a cloud what their groups leave open.
func (d *device) instanceItems(src *source, base evidence.Item, f *findings) error {
	byGroup := map[string][]*facts{}
	held := map[string]bool{}
	for _, x := range f.rules {
		byGroup[x.policy.stage] = append(byGroup[x.policy.stage], x)
	}
	for _, p := range d.policies {
		held[p.stage] = true
	}
	for _, in := range d.instances {
		it := base
		it.Kind, it.Subject, it.From.Line = KindInstance, short(in.id), in.line
		v := map[string]any{"public": len(in.public) > 0}
		putNames(v, "addresses", in.public)
		putNames(v, "groups", in.groups)
		known := true
		var ports, at []any
		for _, g := range in.groups {
			known = known && held[g]
			for _, x := range byGroup[g] {
				known = known && x.doorsOpen != undecided
				for _, w := range x.doors {
					if p := int64(w.port); !slices.Contains(ports, any(p)) {
						ports = append(ports, p)
					}
					if !slices.Contains(at, any(x.rule.line)) && len(at) < maxMembers {
						at = append(at, x.rule.line)
					}
				}
			}
		}
		switch {
		case len(in.public) == 0:
			v["management_open"] = false
		case len(ports) > 0:
			v["management_open"], v["management_ports"], v["rule_lines"] = true, ports, at
		case known:
			v["management_open"] = false
		}
		it.Values = v
		if err := src.sink.Item(it); err != nil {
			return err
		}
	}
	return nil
}
