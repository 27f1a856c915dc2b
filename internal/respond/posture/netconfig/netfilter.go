package netconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// nfChain is a chain of iptables or nftables.
type nfChain struct {
	line   int64
	table  string // family and name, or the table of iptables
	name   string
	family set    // v4All, v6All or full
	stage  string // of a base chain: input, forward, prerouting, output, translate, source (of translations); empty: it is jumped to
	filter bool   // its accepts are what lets in
	policy action // of a base chain: accept or deny
	rules  []*nfRule
}

// nfRule is one rule of a chain; rule.boxes is its own match alone.
type nfRule struct {
	rule
	verdict string // accept, drop, return, jump, goto, or empty
	target  string
	in      []string // interfaces that it names, not negated
	out     []string
	masks   bool // it hides sources behind an address of the interface out
}

// newNfRule is a rule that matches everything.
func newNfRule(line int64) *nfRule {
	return &nfRule{rule: rule{line: line, enabled: true, boxes: []box{everything}}}
}

// cut limits the rule's match in one dimension.
func (r *nfRule) cut(d int, s set) {
	for i := range r.boxes {
		r.boxes[i] = r.boxes[i].with(d, s)
	}
	r.boxes = slices.DeleteFunc(r.boxes, func(b box) bool { return b.empty() })
}

// cutBoxes limits the rule's match to boxes.
func (r *nfRule) cutBoxes(list []box) {
	if out, ok := product(r.boxes, list); ok {
		r.boxes = out
	} else {
		r.ask("too many pairs")
	}
}

// states limits the rule by the state of connections.
func (r *nfRule) states(list []string, not bool) {
	isNew, known := false, false
	for _, s := range list {
		switch strings.ToLower(s) {
		case "new", "untracked":
			isNew = true
		case "established", "related", "invalid":
			known = true
		case "dnat":
			r.answers = true
			r.narrow(translated)
			return
		}
	}
	switch {
	case isNew && known && !not, known && !isNew && not:
		r.narrow("state")
	case isNew != not:
		r.narrow("state new")
	default:
		r.narrow("state")
		r.answers = true
	}
}

// ruleset is what a dump of netfilter holds.
type ruleset struct {
	s      *source
	d      *device
	chains map[string]*nfChain // table + name
	order  []*nfChain
}

func (rs *ruleset) chain(table, name string, line int64, family set) *nfChain {
	key := table + " " + name
	if c := rs.chains[key]; c != nil {
		return c
	}
	c := &nfChain{line: line, table: table, name: name, family: family, policy: accept}
	if len(rs.order) < maxRules {
		rs.chains[key] = c
		rs.order = append(rs.order, c)
	}
	return c
}

// sides marks the interfaces by what the rules themselves tell: sources are hidden behind the way out, destinations
// are translated at the way in, and who is let in from an address of the internet comes from there.
func (rs *ruleset) sides() {
	z := rs.d.zones
	private, wide := map[string]bool{}, map[string]bool{}
	for _, c := range rs.order {
		for _, r := range c.rules {
			if r.masks && len(r.out) == 1 && sideOf(r.out[0]) != inner {
				z.mark(r.out[0], outer)
			}
			if len(r.in) != 1 || sideOf(r.in[0]) == inner {
				continue
			}
			if len(r.forward) > 0 {
				z.mark(r.in[0], outer)
			}
			if r.verdict != "accept" || r.answers {
				continue
			}
			for i := range r.boxes {
				switch src := r.boxes[i][dimSrc]; {
				case widely(src):
					wide[r.in[0]] = true
				case src.meets(public):
					z.mark(r.in[0], outer)
				case local.covers(src):
					private[r.in[0]] = true
				}
			}
		}
	}
	for _, name := range z.names {
		if private[name] && !wide[name] {
			z.mark(name, inner)
		}
	}
	z.guess()
}

// policies follows the jumps of every base chain.
func (rs *ruleset) policies() error {
	rs.sides()
	routes := false
	for _, c := range rs.order {
		for _, r := range c.rules {
			routes = routes || r.masks || len(r.forward) > 0 || c.stage == "forward"
		}
	}
	for _, c := range rs.order {
		if c.stage == "" || c.stage == "source" {
			continue
		}
		if err := rs.s.ctx.Err(); err != nil {
			return err
		}
		p := &policy{name: strings.TrimSpace(c.table + " " + c.name), stage: c.stage, ordered: true, inbound: c.filter && (c.stage == "input" || c.stage == "forward")}
		w := &walk{rs: rs, p: p, base: c, seen: map[int64][]*rule{}}
		w.chain(c, []box{everything.with(dimSrc, c.family).with(dimDst, c.family)}, &rule{}, 0)
		if c.stage != "translate" && (c.stage != "forward" || c.policy == deny || routes) {
			p.rules = append(p.rules, &rule{line: c.line, name: "policy " + map[action]string{accept: "accept", deny: "drop"}[c.policy], enabled: true, action: c.policy, def: true,
				boxes: byFamily([]box{everything.with(dimSrc, c.family).with(dimDst, c.family)})})
		}
		rs.d.policies = append(rs.d.policies, p)
	}
	return nil
}

// walk puts the chains that a base chain leads to into one list.
type walk struct {
	rs    *ruleset
	p     *policy
	base  *nfChain
	steps int
	told  bool
	seen  map[int64][]*rule // copies of a line so far
}

// chain adds the rules of a chain for the packets that come into it. What returns from it, or goes elsewhere for good,
// is not seen by its later rules.
func (w *walk) chain(c *nfChain, in []box, by *rule, depth int) {
	if depth > maxDepth {
		w.tell(c.line, "chains jump deeper than %d, perhaps in a circle: what lies deeper is not looked at", maxDepth)
		return
	}
	var gone []box
	maybeGone := false
	n, line := 0, int64(-1) // a map of verdicts is one rule, though it is several here
	for _, r := range c.rules {
		if r.line != line {
			n, line = n+1, r.line
		}
		if w.steps++; w.steps > maxRules {
			w.tell(r.line, "following all jumps gives more than %d rules: the rest is not looked at", maxRules)
			return
		}
		boxes, ok := product(in, r.boxes)
		left := r.rule
		left.over, left.asks, left.under = slices.Clone(r.over), slices.Clone(r.asks), slices.Clone(r.under)
		if !ok {
			boxes = in
			left.ask("too many pairs")
		}
		if len(gone) > 0 {
			if boxes, ok = without(boxes, gone); !ok {
				left.narrow("what returned before")
			}
		}
		if len(boxes) == 0 {
			continue
		}
		if maybeGone {
			left.narrow("what may have returned before")
		}
		left.boxes = boxes
		left.inherit(by)
		if left.name == "" {
			left.name = fmt.Sprintf("rule %d", n)
			if c != w.base {
				left.name = c.name + " " + left.name
			}
		}
		exact := len(left.over) == 0 && len(left.under) == 0
		switch r.verdict {
		case "accept", "drop":
			left.action = accept
			if r.verdict == "drop" {
				left.action = deny
			}
			w.add(&left)
		case "return":
			if exact {
				gone = append(gone, boxes...)
			} else {
				maybeGone = true
			}
		case "jump", "goto":
			to := w.rs.chains[c.table+" "+r.target]
			if to == nil {
				w.tell(r.line, "jumps to the chain %q, which is not there", r.target)
				continue
			}
			w.chain(to, boxes, &left, depth+1)
			if r.verdict == "goto" {
				if exact {
					gone = append(gone, boxes...)
				} else {
					maybeGone = true
				}
			}
		default:
			if len(left.forward) > 0 {
				w.add(&left)
			}
		}
	}
}

// add takes a rule into the list, unless an earlier copy of it, from another jump to its chain, matches all that this
// one does: then it never decides anything.
func (w *walk) add(r *rule) {
	r.boxes = byFamily(r.boxes)
	if len(r.boxes) == 0 {
		return
	}
	for _, e := range w.seen[r.line] {
		if e.name == r.name && e.action == r.action && slices.Equal(e.over, r.over) && slices.Equal(e.under, r.under) && covered(r.boxes, e.boxes) {
			return
		}
	}
	if len(w.seen[r.line]) < maxCopies {
		w.seen[r.line] = append(w.seen[r.line], r)
	}
	w.p.rules = append(w.p.rules, r)
}

// maxCopies bounds the copies of one line that another is compared with.
const maxCopies = 64

// covered reports whether each box lies in one of others.
func covered(boxes, others []box) bool {
	for i := range boxes {
		if !slices.ContainsFunc(others, func(o box) bool { return o.covers(&boxes[i]) }) {
			return false
		}
	}
	return true
}

// tell notes once for each base chain what cut it short.
func (w *walk) tell(line int64, format string, args ...any) {
	if !w.told {
		w.told = true
		w.rs.s.bad(line, format, args...)
	}
}

// inherit adds the conditions of the jump that led to a rule.
func (r *rule) inherit(by *rule) {
	for _, c := range by.over {
		r.narrow(c)
	}
	for _, c := range by.asks {
		r.ask(c)
	}
	for _, c := range by.under {
		r.unresolved(c)
	}
	r.answers = r.answers || by.answers
	if r.schedule == "" {
		r.schedule = by.schedule
	}
}

// icmpTypes are the types that iptables and nftables write by name: of ICMP (RFC 792), then of ICMPv6 (RFC 4443, 4861).
var icmpTypes = [2]map[string]uint64{
	{"echo-reply": 0, "pong": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8, "ping": 8, "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "ttl-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14},
	{"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132, "mld-listener-reduction": 132,
		"nd-router-solicit": 133, "router-solicitation": 133, "nd-router-advert": 134, "router-advertisement": 134, "nd-neighbor-solicit": 135, "neighbour-solicitation": 135, "neighbor-solicitation": 135, "nd-neighbor-advert": 136, "neighbour-advertisement": 136, "neighbor-advertisement": 136, "nd-redirect": 137, "redirect": 137, "mld2-listener-report": 143},
}

// icmpSet reads a type of ICMP, with a code behind a slash where one is given.
func icmpSet(protocol uint64, s string) (set, bool) {
	kind, code, coded := strings.Cut(s, "/")
	names := icmpTypes[0]
	if protocol == protoICMPv6 {
		names = icmpTypes[1]
	}
	n, ok := names[kind]
	if !ok {
		v, err := strconv.ParseUint(kind, 10, 8)
		if err != nil {
			return nil, false
		}
		n = v
	}
	if coded {
		c, err := strconv.ParseUint(code, 10, 8)
		return one(protocol<<16 | n<<8 | c), err == nil
	}
	return interval(protocol<<16|n<<8, protocol<<16|n<<8|255), true
}
