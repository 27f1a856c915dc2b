package netconfig

import "slices"

// facts are what the analysis finds of one rule.
type facts struct {
	policy *policy
	rule   *rule

	side      string // internet, elsewhere; empty: it can't be told where the rule's packets come in
	internet  openness
	anyAny    openness
	doors     []door // open to the internet
	doorsOpen openness
	shadow    *shadow
	ipv6      set // services that are open to the internet by IPv6 and closed by IPv4
}

// findings are what the analysis finds of a device.
type findings struct {
	rules       []*facts // those that let something in from outside, or that have something the matter
	enabled     int
	disabled    int
	expired     int
	shadowed    int
	undecided   int
	unsure      int // rules of which it is not known from where they let in
	comparisons int64
	gates       map[*policy]*gates
}

// analyse looks at every policy of a device.
func (d *device) analyse() *findings {
	f := &findings{gates: map[*policy]*gates{}}
	outer, unsure := d.zones.sides()
	byStage := map[string][]*gates{}
	var all []*gates
	for _, p := range d.policies {
		g := newGates(p, outer)
		all, f.gates[p] = append(all, g), g
		byStage[p.stage] = append(byStage[p.stage], g)
	}
	for _, g := range all {
		for _, s := range byStage[g.p.stage] {
			if s != g {
				g.siblings = append(g.siblings, s)
			}
		}
	}
	for _, g := range all {
		found, comparisons, open := g.p.shadows()
		f.comparisons += comparisons
		f.undecided += open
		f.shadowed += lines(found)
		seen := map[int64]*facts{} // a chain's rule stands once for each way that leads to it
		for _, r := range g.p.rules {
			if !r.def {
				f.count(r)
			}
			x := &facts{policy: g.p, rule: r}
			if s, ok := found[r]; ok {
				x.shadow = &s
			}
			if g.p.inbound && r.counts() && r.action == accept && !r.answers {
				g.look(x, unsure)
				if x.side == "" {
					f.unsure++
				}
			}
			if x.shadow == nil && (r.action != accept || !r.enabled || r.answers || !g.p.inbound || r.def && x.internet == closed) {
				continue
			}
			if before := seen[r.line]; before != nil && before.rule.name == r.name {
				before.merge(x)
				continue
			}
			seen[r.line] = x
			f.rules = append(f.rules, x)
		}
	}
	d.throughForwards(f, byStage)
	d.forgottenIPv6(f, byStage, unsure)
	f.comparisons += compared(all)
	return f
}

func lines(found map[*rule]shadow) int {
	seen := map[int64]bool{}
	for r := range found {
		seen[r.line] = true
	}
	return len(seen)
}

func compared(all []*gates) (n int64) {
	for _, g := range all {
		n += g.denies.looked
	}
	return n
}

func (f *findings) count(r *rule) {
	switch {
	case r.enabled:
		f.enabled++
	case !r.ends.IsZero():
		f.expired++
	default:
		f.disabled++
	}
}

// merge adds what holds of another copy of the same line.
func (x *facts) merge(y *facts) {
	x.internet, x.anyAny, x.doorsOpen = wider(x.internet, y.internet), wider(x.anyAny, y.anyAny), wider(x.doorsOpen, y.doorsOpen)
	if y.side == "internet" || x.side == "elsewhere" {
		x.side = y.side
	}
	for _, d := range y.doors {
		if !slices.Contains(x.doors, d) {
			x.doors = append(x.doors, d)
		}
	}
	x.rule = joined(x.rule, y.rule)
	if x.shadow == nil {
		x.shadow = y.shadow
	}
}

// joined is a rule that matches what either copy of it does.
func joined(a, b *rule) *rule {
	if len(a.boxes) > maxPieces { // enough to tell of; each copy was looked at by itself
		return a
	}
	c := *a
	c.boxes, c.whole = slices.Concat(a.boxes, b.boxes), nil
	return &c
}

// wider prefers open to undecided to closed.
func wider(a, b openness) openness {
	if a == open || b == open {
		return open
	}
	return max(a, b)
}

// anyAnyShape reports whether a rule names neither ends nor services, but for a few.
func (x *facts) anyAnyShape() bool {
	for i := range x.rule.boxes {
		b := &x.rule.boxes[i]
		if widely(b[dimSrc]) && halfOf(b[dimDst]) && portsOf(b[dimSvc], protoTCP).size().lo > lastPort/2 {
			return true
		}
	}
	return false
}

// halfOf reports whether addresses are more than half of IPv4 or of IPv6: everything but a few.
func halfOf(s set) bool {
	return s.isFull() || intersect(s, v4All).size().lo > 1<<31 || intersect(s, v6All).size().hi > 1<<63
}

// look finds out what the internet reaches through one rule.
func (g *gates) look(x *facts, unsure set) {
	r := x.rule
	e := r.extent()
	in, src, svc := e.in, e.src, e.svc
	switch {
	case in.meets(g.outer):
		x.side = "internet"
	case !in.meets(unsure):
		x.side = "elsewhere"
		return
	}
	if len(r.under) > 0 { // a country, a list kept elsewhere: it may be wide
		defer func() {
			x.internet, x.doorsOpen, x.anyAny = unsureOf(x.internet), unsureOf(x.doorsOpen), unsureOf(x.anyAny)
		}()
	}
	if !widely(src) {
		return
	}
	if len(r.asks) > 0 || x.side == "" {
		x.internet, x.doorsOpen, x.anyAny = undecided, undecided, undecided
		if !svc.meets(doorSet) {
			x.doorsOpen = closed
		}
		if !x.anyAnyShape() {
			x.anyAny = closed
		}
		return
	}
	if x.internet = g.reach(r, everything, true); x.internet == closed {
		return
	}
	if x.anyAnyShape() {
		x.anyAny = g.reach(r, everything.with(dimSvc, protocolSet(protoTCP).without(doorSet)), true)
	}
	for _, d := range doors {
		n := d.protocol<<16 | d.port
		if !svc.contains(number(n)) {
			continue
		}
		switch g.reach(r, everything.with(dimSvc, one(n)), true) {
		case open:
			x.doors = append(x.doors, d)
			x.doorsOpen = open
		case undecided:
			x.doorsOpen = wider(x.doorsOpen, undecided)
		case closed:
		}
	}
}

// unsureOf is undecided for what would be told as closed.
func unsureOf(o openness) openness {
	if o == closed {
		return undecided
	}
	return o
}

// maxForwards bounds the translations that are followed inside.
const maxForwards = 2_000

// throughForwards follows destinations that are translated at the door: what the filter behind lets through is open at
// the address outside.
func (d *device) throughForwards(f *findings, byStage map[string][]*gates) {
	filters := byStage["forward"]
	followed := 0
	for _, p := range d.policies {
		if p.stage != "translate" {
			continue
		}
		for _, r := range p.rules {
			if !r.enabled || len(r.forward) == 0 || followed == maxForwards {
				continue
			}
			followed++
			x := &facts{policy: p, rule: r, side: "internet"}
			for _, to := range r.forward {
				for i := range r.boxes {
					d.follow(x, &r.boxes[i], to, filters)
				}
			}
			if x.internet == open {
				f.rules = append(f.rules, x)
			}
		}
	}
}

// follow takes one box through a translation and the filters behind it.
func (d *device) follow(x *facts, from *box, to forward, filters []*gates) {
	outer, _ := d.zones.sides()
	b := from.with(dimIn, outer)
	if to.to != nil {
		b[dimDst] = to.to
	}
	if to.port != nil {
		svc := union(portSet(protoTCP, to.port), portSet(protoUDP, to.port))
		var protocols set
		for _, sp := range b[dimSvc] {
			protocols = union(protocols, interval(sp.lo.lo>>16<<16, min(sp.hi.lo, lastService)>>16<<16|lastPort))
		}
		b[dimSvc] = intersect(svc, protocols)
	}
	if b.empty() || !widely(b[dimSrc]) {
		return
	}
	for _, g := range filters {
		p := widest(&b)
		if g.decideForwarded(&p) != accept {
			return
		}
	}
	x.internet = open
	for _, w := range doors {
		if n := number(w.protocol<<16 | w.port); b[dimSvc].contains(n) && !slices.Contains(x.doors, w) {
			x.doors, x.doorsOpen = append(x.doors, w), open
		}
	}
}

// translated is the condition of rules that let through whatever was translated at the door.
const translated = "translated destination"

// decideForwarded is what a policy does with the first packet of a connection whose destination was translated.
func (g *gates) decideForwarded(p *point) action {
	for _, r := range g.p.rules {
		if !r.counts() || r.answers {
			continue
		}
		for _, c := range r.over {
			if c != translated {
				goto next
			}
		}
		for i := range r.boxes {
			if r.boxes[i].contains(p) {
				return r.action
			}
		}
	next:
	}
	return accept
}

// forgottenIPv6 finds services that the internet reaches by IPv6 where the same door restricts IPv4: somebody closed
// one and forgot the other.
func (d *device) forgottenIPv6(f *findings, byStage map[string][]*gates, unsure set) {
	type families struct {
		open4, limited4 set
		limited         []span
		has4            bool
	}
	if !slices.ContainsFunc(f.rules, func(x *facts) bool { return x.internet == open && x.rule.extent().src.meets(v6All) }) {
		return
	}
	known := map[string]*families{}
	everyone := map[*rule]bool{} // what is open to all for everything says nothing of who restricts what
	for _, x := range f.rules {
		everyone[x.rule] = x.anyAny == open
	}
	for stage, list := range byStage {
		k := &families{}
		known[stage] = k
		for _, g := range list {
			for _, r := range g.p.rules {
				if !r.counts() || !g.p.inbound {
					continue
				}
				var svc, src set
				for i := range r.boxes {
					if v4 := intersect(r.boxes[i][dimSrc], v4All); !v4.empty() {
						svc, src, k.has4 = union(svc, r.boxes[i][dimSvc]), union(src, v4), true
					}
				}
				switch {
				case r.action != accept || r.answers || svc.empty():
				case widely(src):
					if everyone[r] || k.open4.covers(svc) {
						continue
					}
					if g.reach(r, everything.with(dimSrc, v4All), true) != closed || r.boxes[0][dimIn].meets(unsure) && !r.boxes[0][dimIn].meets(g.outer) {
						k.open4 = union(k.open4, svc)
					}
				default:
					k.limited = append(k.limited, svc...)
				}
			}
		}
		k.limited4 = normal(k.limited)
	}
	for _, x := range f.rules {
		k := known[x.policy.stage]
		if x.internet != open || x.rule.action != accept || k == nil || !k.has4 {
			continue
		}
		var svc, own set
		for i := range x.rule.boxes {
			b := &x.rule.boxes[i]
			if widely(intersect(b[dimSrc], v6All)) {
				svc = union(svc, b[dimSvc])
			}
			if widely(intersect(b[dimSrc], v4All)) {
				own = union(own, b[dimSvc])
			}
		}
		if everyone[x.rule] { // open by both, unless IPv4 is denied before
			svc = svc.without(own)
		}
		svc = intersect(svc.without(k.open4), union(k.limited4, doorSet))
		if svc.empty() {
			continue
		}
		for _, g := range byStage[x.policy.stage] {
			if g.p == x.policy && g.reach(x.rule, everything.with(dimSrc, v6All).with(dimSvc, svc), true) == open {
				x.ipv6 = svc
			}
		}
	}
}
