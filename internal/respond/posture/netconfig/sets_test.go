package netconfig

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Sets of small numbers are compared with plain maps.
func TestSetsAreExact(t *testing.T) {
	const most = 24
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() (set, map[uint64]bool) {
		m := map[uint64]bool{}
		var spans []span
		for range random.IntN(5) {
			from := uint64(random.IntN(most))
			to := min(from+uint64(random.IntN(5)), most-1)
			spans = append(spans, span{number(from), number(to)})
			for n := from; n <= to; n++ {
				m[n] = true
			}
		}
		return normal(spans), m
	}
	for range 20_000 {
		a, ma := draw()
		b, mb := draw()
		both, less, all := intersect(a, b), a.without(b), union(a, b)
		covers := true
		for n := uint64(0); n < most; n++ {
			p := number(n)
			covers = covers && (!mb[n] || ma[n])
			if both.contains(p) != (ma[n] && mb[n]) || less.contains(p) != (ma[n] && !mb[n]) || all.contains(p) != (ma[n] || mb[n]) || a.contains(p) != ma[n] {
				t.Fatalf("%v and %v: wrong at %d: both %v, less %v, all %v", a, b, n, both, less, all)
			}
		}
		if a.covers(b) != covers || a.size() != number(uint64(len(ma))) {
			t.Fatalf("%v covers %v: %v; it holds %v", a, b, a.covers(b), a.size())
		}
		for _, s := range []set{both, less, all} {
			for i := 1; i < len(s); i++ {
				if !s[i-1].hi.next().less(s[i].lo) {
					t.Fatalf("%v and %v: the spans of %v touch", a, b, s)
				}
			}
		}
	}
	if got := full.without(v4All).size(); got != v6All.size() || !union(v4All, v6All).isFull() || full.size() != top {
		t.Errorf("the families do not make up the whole: %v", got)
	}
}

func TestAddressesKeepTheirFamily(t *testing.T) {
	for prefix, want := range map[string]string{
		"0.0.0.0/0": "any IPv4", "::/0": "any IPv6", "10.0.0.0/8": "10.0.0.0/8", "192.0.2.7/32": "192.0.2.7", "2001:db8::/32": "2001:db8::/32", "::ffff:192.0.2.0/120": "192.0.2.0/24", "fe80::1/128": "fe80::1",
	} {
		if got := prefixSet(netip.MustParsePrefix(prefix)).addressText(); got != want {
			t.Errorf("%s is told as %q, want %q", prefix, got, want)
		}
	}
	if prefixSet(netip.MustParsePrefix("::/0")).meets(v4All) || prefixSet(netip.MustParsePrefix("::/64")).meets(v4All) {
		t.Error("a prefix of IPv6 holds addresses of IPv4")
	}
	s, _ := addressSet("198.51.100.5-198.51.100.9")
	if got := s.addressText(); got != "198.51.100.5-198.51.100.9" {
		t.Errorf("a range is told as %q", got)
	}
	if got := v4All.without(prefixes("203.0.113.0/24")).addressText(); got != "any IPv4 but 203.0.113.0/24" {
		t.Errorf("a negation is told as %q", got)
	}
}

// randomRules draws rules over few addresses and ports, so that many hide others.
func randomRules(random *rand.Rand, n, most int) []*rule {
	some := func() set {
		if random.IntN(6) == 0 {
			return full
		}
		from := uint64(random.IntN(most))
		s := interval(from, min(from+uint64(random.IntN(most/2+1)), uint64(most-1)))
		if random.IntN(4) == 0 {
			s = union(s, one(uint64(random.IntN(most))))
		}
		if random.IntN(8) == 0 {
			s = full.without(s)
		}
		return s
	}
	var out []*rule
	for i := range n {
		r := &rule{line: int64(i + 1), enabled: random.IntN(10) > 0, action: accept}
		if random.IntN(3) == 0 {
			r.action = deny
		}
		if random.IntN(10) == 0 {
			r.narrow("something")
		}
		for range 1 + random.IntN(2) {
			b := everything
			b[dimSrc], b[dimDst], b[dimSvc] = some(), some(), some()
			r.boxes = append(r.boxes, b)
		}
		out = append(out, r)
	}
	return out
}

// Whether a rule is hidden is compared with trying every packet of a small world.
func TestShadowsAreThoseOfEveryPacketTried(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const most = 6
	hidden := 0
	for round := range 400 {
		rules := randomRules(random, 8, most)
		p := &policy{ordered: true, rules: rules}
		found, _, undecided := p.shadows()
		if undecided > 0 {
			t.Fatal("a small policy is undecided")
		}
		for i, r := range rules {
			if !r.counts() {
				continue
			}
			covered := true
			for n := 0; covered && n < (most+1)*(most+1)*(most+1); n++ {
				var pt point // the number most stands for all beyond
				pt[dimSrc], pt[dimDst], pt[dimSvc] = number(uint64(n%(most+1))), number(uint64(n/(most+1)%(most+1))), number(uint64(n/(most+1)/(most+1)))
				in := slices.ContainsFunc(r.boxes, func(b box) bool { return b.contains(&pt) })
				if !in {
					continue
				}
				covered = slices.ContainsFunc(rules[:i], func(e *rule) bool {
					return e.counts() && len(e.over) == 0 && slices.ContainsFunc(e.boxes, func(b box) bool { return b.contains(&pt) })
				})
			}
			if s, got := found[r]; got != covered {
				t.Fatalf("round %d: rule %d is hidden: %v, found %v", round, i, covered, s)
			}
			if covered {
				hidden++
			}
		}
	}
	if hidden < 100 {
		t.Errorf("only %d rules were hidden: the test says little", hidden)
	}
}

// What is reached is compared with trying every packet too.
func TestReachIsThatOfEveryPacketTried(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const most = 5
	closedRules := 0
	for round := range 300 {
		rules := randomRules(random, 7, most)
		g := newGates(&policy{rules: rules}, full)
		for i, r := range rules {
			if !r.counts() || r.action != accept {
				continue
			}
			want := closed
			for n := 0; want == closed && n < (most+1)*(most+1)*(most+1); n++ {
				var pt point
				pt[dimSrc], pt[dimDst], pt[dimSvc] = number(uint64(n%(most+1))), number(uint64(n/(most+1)%(most+1))), number(uint64(n/(most+1)/(most+1)))
				holds := func(e *rule) bool {
					return slices.ContainsFunc(e.boxes, func(b box) bool { return b.contains(&pt) })
				}
				if holds(r) && !slices.ContainsFunc(rules[:i], func(e *rule) bool {
					return e.counts() && e.action == deny && len(e.over) == 0 && holds(e)
				}) {
					want = open
				}
			}
			if got := g.reach(r, everything, false); got != want {
				t.Fatalf("round %d, rule %d: %v, want %v", round, i, got, want)
			}
			if want == closed {
				closedRules++
			}
		}
	}
	if closedRules < 20 {
		t.Errorf("only %d rules were closed: the test says little", closedRules)
	}
}

// manyRules is a policy of n lines of a Cisco ASA: single addresses, networks, groups, ranges of ports, and hidden
// ones among them.
func manyRules(n int) string {
	random := rand.New(rand.NewPCG(7, 8))
	var b strings.Builder
	b.WriteString("ASA Version 9.16(4)\nhostname big\ninterface GigabitEthernet0/0\n nameif outside\n security-level 0\n")
	for g := range 200 {
		fmt.Fprintf(&b, "object-group network g%d\n", g)
		for range 1 + random.IntN(20) {
			fmt.Fprintf(&b, " network-object host 10.%d.%d.%d\n", random.IntN(200), random.IntN(256), random.IntN(256))
		}
	}
	end := func() string {
		switch random.IntN(4) {
		case 0:
			return fmt.Sprintf("object-group g%d", random.IntN(200))
		case 1:
			return fmt.Sprintf("10.%d.%d.0 255.255.255.0", random.IntN(200), random.IntN(256))
		case 2:
			return fmt.Sprintf("203.0.%d.%d 255.255.255.240", random.IntN(256), random.IntN(16)*16)
		}
		return fmt.Sprintf("host 10.%d.%d.%d", random.IntN(200), random.IntN(256), random.IntN(256))
	}
	for i := range n {
		what, port := "permit", fmt.Sprintf("eq %d", 1+random.IntN(20000))
		if random.IntN(10) == 0 {
			what = "deny"
		}
		if random.IntN(5) == 0 {
			from := 1000 + random.IntN(5000)
			port = fmt.Sprintf("range %d %d", from, from+random.IntN(2000))
		}
		if i%100 == 99 { // and some that everybody may use
			fmt.Fprintf(&b, "access-list OUT extended permit tcp any %s eq 443\n", end())
			continue
		}
		fmt.Fprintf(&b, "access-list OUT extended %s tcp %s %s %s\n", what, end(), end(), port)
	}
	b.WriteString("access-list OUT extended deny ip any any\naccess-group OUT in interface outside\n")
	return b.String()
}

// 50,000 rules are looked at with few comparisons each: a look at every pair would be 1.25 billion.
func TestManyRulesTakeFewComparisons(t *testing.T) {
	const n = 50_000
	data := manyRules(n)
	s := &source{ctx: t.Context(), data: []byte(data)}
	d, err := parseASA(s)
	if err != nil || s.broken > 0 {
		t.Fatal(err, s.broken)
	}
	f := d.analyse()
	if f.enabled != n+1 || f.undecided > 0 {
		t.Fatalf("%d rules, %d undecided", f.enabled, f.undecided)
	}
	if most := int64(100 * n); f.comparisons > most {
		t.Errorf("%d comparisons for %d rules: at most %d", f.comparisons, n, most)
	}
	t.Logf("%d rules, %d shadowed, %d comparisons", f.enabled, f.shadowed, f.comparisons)
}

// Rules that all name groups of any place, all ports, or each other's addresses stay within the bound on comparisons.
func TestTangledRulesAreBounded(t *testing.T) {
	p := &policy{ordered: true}
	for i := range 20_000 {
		b := everything.with(dimSvc, interval(protoTCP<<16|uint64(i%30_000), protoTCP<<16|uint64(i%30_000+30_000)))
		p.rules = append(p.rules, &rule{line: int64(i + 1), enabled: true, action: accept, boxes: []box{b}})
	}
	_, looked, _ := p.shadows()
	if looked > maxLooked+int64(len(p.rules)) {
		t.Errorf("%d comparisons, at most %d are allowed", looked, maxLooked)
	}
}

func BenchmarkFiftyThousandRules(b *testing.B) {
	data := []byte(manyRules(50_000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		f := Formats(nil)[5]
		if a, err := readAs(f, data, at); err != nil || a.config["rules"] != int64(50_001) {
			b.Fatal(err, a.config)
		}
	}
}
