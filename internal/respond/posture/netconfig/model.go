package netconfig

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// action is what a rule does with a packet.
type action uint8

const (
	other action = iota // it counts, logs, marks or translates; the packet goes on to the next rule
	accept
	deny
)

// rule is one line of a policy in the words that all products share.
type rule struct {
	line    int64  // of the file, from 1; the entry's number in formats without lines
	name    string // what its owner calls it: a number, a name, a comment
	enabled bool
	action  action
	boxes   []box

	// over names conditions that boxes don't hold (an application, a user, a rate): the rule matches less than its
	// boxes. asks are those of them that a stranger can't meet at will, so that nobody can say whether it is open.
	over, asks []string
	// under names members that could not be resolved (a host's name, a list kept elsewhere): it matches more.
	under []string

	answers  bool      // it lets only answers through: packets of connections that another rule let in
	schedule string    // when it holds, in the words of the configuration; empty: always
	ends     time.Time // of a schedule that happens once
	comment  string    // what its owner wrote beside it
	def      bool      // no rule: what happens where no rule matches
	forward  []forward // the destination translation that it is
	whole    *extent   // once it was asked for
}

// extent is what the boxes of a rule reach over in each dimension, taken together.
type extent struct{ in, src, dst, svc set }

// extent joins the boxes of a rule, once.
func (r *rule) extent() *extent {
	if r.whole == nil {
		e := &extent{}
		for i := range r.boxes {
			b := &r.boxes[i]
			e.in, e.src, e.dst, e.svc = union(e.in, b[dimIn]), union(e.src, b[dimSrc]), union(e.dst, b[dimDst]), union(e.svc, b[dimSvc])
		}
		r.whole = e
	}
	return r.whole
}

// forward is what a translation makes of what it matches.
type forward struct {
	to   set // addresses inside; nil: unchanged
	port set // port inside, 1..65535; nil: unchanged
}

// name limits, so that an export can't fill the answer.
const (
	maxName    = 120
	maxMembers = 12 // names told of one rule
)

// policy is an ordered list of rules, of which the first that matches decides.
type policy struct {
	name    string // as the product says it: a chain, an access list, a security group
	stage   string // which door it stands at: input, forward, prerouting; policies of one stage must all accept
	inbound bool   // it decides on what comes in from elsewhere
	ordered bool   // false: all rules count, whatever their order (security groups)
	rules   []*rule
}

// device is what one file configures.
type device struct {
	name      string // its own, where the file tells
	policies  []*policy
	zones     *zones
	named     map[string]set // addresses by the names that the configuration gives them, lower case
	accounts  map[string]int64
	whole     bool // the file is all that filters: what it does not mention is not filtered
	instances []instance
	now       time.Time
}

// instance is a machine of a cloud with the groups that guard it.
type instance struct {
	line   int64
	id     string
	public []string // its addresses on the internet
	groups []string
}

func newDevice() *device {
	return &device{zones: newZones(), named: map[string]set{}, accounts: map[string]int64{}}
}

// narrow notes a condition that the boxes don't hold but which any stranger can meet: a rate, a flag of TCP.
func (r *rule) narrow(what string) { r.over = appendName(r.over, what) }

// ask notes a condition that a stranger may not be able to meet.
func (r *rule) ask(what string) {
	r.over, r.asks = appendName(r.over, what), appendName(r.asks, what)
}

// unresolved notes a member whose addresses or ports are not known.
func (r *rule) unresolved(what string) { r.under = appendName(r.under, what) }

func appendName(list []string, what string) []string {
	what = short(what)
	if len(list) >= maxMembers || slices.Contains(list, what) {
		return list
	}
	return append(list, what)
}

// short cuts what somebody wrote to what is shown of it.
func short(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxName {
		return s
	}
	cut := maxName
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}

// title is what a person would look for in the configuration.
func (r *rule) title() string {
	if r.name != "" {
		return short(r.name)
	}
	return fmt.Sprintf("line %d", r.line)
}

// atoms of interfaces. The first stands for every interface that the configuration never names.
const othersAtom = 0

// outside says whether strangers are behind an interface.
type outside uint8

const (
	unknownSide outside = iota
	outer
	inner
)

// zones numbers the interfaces and zones of a configuration, so that sets of them are sets of numbers. Names must be
// collected before the first set is asked for.
type zones struct {
	exact    map[string]uint64
	patterns map[string]uint64 // eth* as "eth": those that begin so and that nobody names more closely
	side     map[uint64]outside
	names    []string
}

const maxZones = 10_000

func newZones() *zones {
	return &zones{exact: map[string]uint64{}, patterns: map[string]uint64{}, side: map[uint64]outside{}, names: []string{"others"}}
}

// collect makes a name known; a trailing * or + stands for any ending.
func (z *zones) collect(name string) {
	if stem, ok := pattern(name); ok {
		if _, known := z.patterns[stem]; !known && len(z.names) < maxZones {
			z.patterns[stem] = uint64(len(z.names))
			z.names = append(z.names, name)
		}
		return
	}
	if _, known := z.exact[name]; !known && len(z.names) < maxZones {
		z.exact[name] = uint64(len(z.names))
		z.names = append(z.names, name)
	}
}

func pattern(name string) (stem string, ok bool) {
	if strings.HasSuffix(name, "*") || strings.HasSuffix(name, "+") {
		return name[:len(name)-1], true
	}
	return name, false
}

// set returns the interfaces that a name or pattern stands for; known is false for a name never collected.
func (z *zones) set(name string) (s set, known bool) {
	stem, wild := pattern(name)
	if !wild {
		n, ok := z.exact[name]
		return one(n), ok
	}
	var spans []span
	for _, names := range []map[string]uint64{z.exact, z.patterns} {
		for n, id := range names {
			if strings.HasPrefix(n, stem) {
				spans = append(spans, span{number(id), number(id)})
			}
		}
	}
	if stem == "" {
		spans = append(spans, span{number(othersAtom), number(othersAtom)})
	}
	return normal(spans), len(spans) > 0
}

// mark says on which side an interface lies, unless that was said before.
func (z *zones) mark(name string, s outside) {
	if n, ok := z.exact[name]; ok {
		if z.side[n] == unknownSide {
			z.side[n] = s
		}
		return
	}
	if stem, ok := pattern(name); ok {
		if n, known := z.patterns[stem]; known && z.side[n] == unknownSide {
			z.side[n] = s
		}
	}
}

// sides are the interfaces with strangers behind them, and those of which nobody can say. Where no interface is known
// to lie outside, one that is never named may; and if but one is named, it is the way in.
func (z *zones) sides() (out, unsure set) {
	var outs, unsures []span
	for id := range z.names {
		if id == othersAtom {
			continue
		}
		n := number(uint64(id))
		switch z.side[uint64(id)] {
		case outer:
			outs = append(outs, span{n, n})
		case unknownSide:
			unsures = append(unsures, span{n, n})
		}
	}
	if len(outs) > 0 {
		return normal(outs), union(normal(unsures), one(othersAtom))
	}
	if len(unsures) == 1 {
		outs, unsures = unsures, nil
	}
	return union(normal(outs), set{{number(othersAtom), number(othersAtom)}, {number(maxZones + 1), top}}), normal(unsures)
}

// guess marks interfaces by what their name says in so many words. It is asked last, after what the configuration
// itself tells (a default route, a translation of sources).
func (z *zones) guess() {
	for _, name := range z.names[1:] {
		z.mark(name, sideOf(name))
	}
}

func sideOf(name string) outside {
	name = strings.ToLower(strings.TrimRight(name, "*+"))
	if name == "lo" || name == "lo0" || name == "loopback" {
		return inner
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return !(r >= 'a' && r <= 'z') })
	for _, w := range words {
		switch w {
		case "wan", "outside", "untrust", "untrusted", "external", "internet", "ppp", "pppoe", "isp", "wwan", "uplink":
			return outer
		}
	}
	for _, w := range words {
		switch w {
		case "lan", "inside", "trust", "trusted", "internal", "dmz", "mgmt", "management", "docker", "veth", "virbr", "vnet", "lxc", "lxdbr", "cni", "wg", "tun", "tap", "ipsec", "vpn", "servers", "clients", "guest", "voice":
			return inner
		}
	}
	return unknownSide
}
