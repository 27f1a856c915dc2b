package netconfig

// shadow is what lies before a rule and takes everything from it.
type shadow struct {
	by       []*rule
	contrary bool // some of them do the opposite of what the rule says
}

// shadows finds the rules that can never match, because earlier rules of the policy take every packet from them.
// undecided counts those for which that would have taken too long.
func (p *policy) shadows() (found map[*rule]shadow, comparisons int64, undecided int) {
	found = map[*rule]shadow{}
	if !p.ordered {
		return found, 0, 0
	}
	x := newIndex()
	reached := map[int64]bool{} // lines of which one copy is reached: a chain may be jumped to from several places
	for i, r := range p.rules {
		if !r.counts() || r.def {
			continue
		}
		var by []*rule
		covered, decided := false, true
		if len(r.under) == 0 {
			if by, covered, decided = x.coveredBy(r.boxes); !decided {
				undecided++
			}
		}
		if covered {
			s := shadow{by: by}
			for _, b := range by {
				s.contrary = s.contrary || b.action != r.action
			}
			found[r] = s
			continue // what it would take is taken already
		}
		reached[r.line] = true
		if len(r.over) == 0 {
			for j := range r.boxes {
				x.add(&r.boxes[j], r, i)
			}
		}
	}
	for r := range found {
		if reached[r.line] {
			delete(found, r)
		}
	}
	return found, x.looked, undecided
}

// counts reports whether a rule decides anything.
func (r *rule) counts() bool { return r.enabled && r.action != other && len(r.boxes) > 0 }

// widely reports whether sources are the internet rather than somebody on it: at least as much as a /8 of IPv4 or a
// /16 of IPv6, far more than any one company has. Lists of addresses that are barred leave the rest this wide.
func widely(s set) bool {
	v4, v6 := intersect(s, publicV4).size(), intersect(s, publicV6).size()
	return v4.lo >= 1<<24 || v4.hi > 0 || v6.hi >= 1<<(112-64)
}

var (
	publicV4 = intersect(public, v4All)
	publicV6 = intersect(public, v6All)
)

// openness is what of a rule strangers reach.
type openness uint8

const (
	closed openness = iota
	open
	undecided
)

// gates answers what of a policy the internet reaches, less what earlier rules deny.
type gates struct {
	p        *policy
	denies   *index
	at       map[*rule]int
	siblings []*gates // policies that a packet passes besides; all must let it through
	all      *index   // every rule that decides, for first matches
	outer    set
}

// newGates prepares the answers for a policy; outer are the interfaces with strangers behind them.
func newGates(p *policy, outer set) *gates {
	g := &gates{p: p, denies: newIndex(), at: map[*rule]int{}, outer: outer}
	for i, r := range p.rules {
		g.at[r] = i
		if r.counts() && r.action == deny && len(r.over) == 0 {
			for j := range r.boxes {
				g.denies.add(&r.boxes[j], r, i)
			}
		}
	}
	return g
}

// widest returns a packet of the box whose source lies in the middle of its widest range of public addresses; of a
// box without any, its corner.
func widest(b *box) point {
	p := b.corner()
	sources := intersect(b[dimSrc], public)
	if len(sources) == 0 {
		return p
	}
	best := 0
	for i, sp := range sources {
		if sources[best].hi.minus(sources[best].lo).less(sp.hi.minus(sp.lo)) {
			best = i
		}
	}
	sp := sources[best]
	p[dimSrc] = sp.lo.plus(sp.hi.minus(sp.lo).shiftRight(1))
	return p
}

// reach tells whether packets of the part of a rule's boxes that lies in want get past the rules before it. A packet
// is its witness: one that no earlier rule denies. With wide set it is about the internet: what is left must be as
// wide (see widely), and come in from outside.
func (g *gates) reach(r *rule, want box, wide bool) openness {
	if wide {
		want[dimIn] = intersect(want[dimIn], g.outer)
	}
	var rest []box
	for i := range r.boxes {
		if b, ok := intersectBox(&r.boxes[i], &want); ok {
			rest = append(rest, b)
		}
	}
	order := g.at[r]
	for steps := 0; len(rest) > 0; steps++ {
		if steps == maxSteps || g.denies.looked > maxLooked {
			return undecided
		}
		piece := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		p := piece.corner()
		if wide {
			if !widely(piece[dimSrc]) {
				continue
			}
			p = widest(&piece)
		}
		var by *indexed
		g.denies.each(&p, func(i indexed) bool {
			if i.order < order && (by == nil || i.order < by.order) {
				by = &i
			}
			return true
		})
		if by == nil {
			if !wide || g.passed(&p, &piece) {
				return open
			}
			continue
		}
		if rest = subtractBox(rest, &piece, by.box); len(rest) > maxPieces {
			return undecided
		}
	}
	return closed
}

// passed reports whether the other policies at the same door let a packet of the piece through too.
func (g *gates) passed(p *point, piece *box) bool {
	for _, s := range g.siblings {
		if s.decide(p) == accept {
			continue
		}
		found := false
		for _, r := range s.p.rules {
			if r.action != accept || !r.enabled || r.answers {
				continue
			}
			for i := range r.boxes {
				b, ok := intersectBox(&r.boxes[i], piece)
				if !ok || !widely(b[dimSrc]) {
					continue
				}
				if q := widest(&b); s.decide(&q) == accept {
					found = true
				}
			}
			if found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// decide is what the policy does with the first packet of a connection; a rule with conditions that nobody knows is
// passed over.
func (g *gates) decide(p *point) action {
	if g.all == nil {
		g.all = newIndex()
		for i, r := range g.p.rules {
			if r.counts() && !r.answers && (len(r.over) == 0 || r.action == accept && len(r.asks) == 0) {
				for j := range r.boxes {
					g.all.add(&r.boxes[j], r, i)
				}
			}
		}
	}
	if i := g.all.first(p); i != nil {
		return i.rule.action
	}
	return accept // a chain that decides nothing lets through what reaches its end
}
