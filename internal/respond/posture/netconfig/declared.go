package netconfig

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// declared are the trusts into one tenant as sets of addresses.
type declared struct {
	tenant tenant.ID
	at     time.Time // of the configuration; zero: not known, and then nothing is said of validity
	own    set       // the tenant's own networks
	trusts []declaredTrust
	nets   set // of all trusts
	valid  set // of those that hold at the time
}

type declaredTrust struct {
	trust     *tenant.Trust
	nets      set
	reach     set      // declared destinations
	unknown   []string // destinations by name whose address the configuration doesn't tell
	services  set      // what its rights name; nil where they name no service
	holds     bool
	undecided bool // its validity can't be told, for want of a time
}

// newDeclared makes sets of what a model declares for a tenant. Names are looked up in the configuration itself;
// nothing asks the DNS.
func newDeclared(m *tenant.Model, id tenant.ID, named map[string]set, at time.Time) *declared {
	d := &declared{tenant: id, at: at}
	if m == nil {
		return d
	}
	if t := m.Tenant(id); t != nil {
		for _, p := range t.Networks {
			d.own = union(d.own, prefixSet(p))
		}
	}
	for _, t := range m.TrustsInto(id) {
		x := declaredTrust{trust: t, holds: !at.IsZero() && t.ValidAt(at), undecided: at.IsZero() && !(t.ValidFrom.IsZero() && t.ValidUntil.IsZero())}
		if at.IsZero() && !x.undecided {
			x.holds = true
		}
		for _, p := range t.Networks {
			x.nets = union(x.nets, prefixSet(p))
		}
		for _, to := range t.Destinations {
			if s, ok := addressSet(to); ok {
				x.reach = union(x.reach, s)
			} else if s, ok := lookUp(named, to); ok {
				x.reach = union(x.reach, s)
			} else {
				x.unknown = append(x.unknown, to)
			}
		}
		for _, right := range t.Rights {
			if s, ok := rightService(right); ok {
				x.services = union(x.services, s)
			}
		}
		d.nets = union(d.nets, x.nets)
		if x.holds || x.undecided {
			d.valid = union(d.valid, x.nets)
		}
		d.trusts = append(d.trusts, x)
	}
	return d
}

// lookUp finds a host by the names of the configuration: as it stands, or without its domain.
func lookUp(named map[string]set, host string) (set, bool) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if s, ok := named[host]; ok {
		return s, true
	}
	label, _, cut := strings.Cut(host, ".")
	s, ok := named[label]
	return s, ok && cut
}

// addressSet reads an address, a prefix or a range of addresses.
func addressSet(s string) (set, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return oneAddress(a), true
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return prefixSet(p), true
	}
	if from, to, ok := strings.Cut(s, "-"); ok {
		a, err := netip.ParseAddr(strings.TrimSpace(from))
		b, err2 := netip.ParseAddr(strings.TrimSpace(to))
		if err == nil && err2 == nil && a.Zone() == "" && b.Zone() == "" {
			if r := rangeSet(a, b); len(r) > 0 {
				return r, true
			}
		}
	}
	if addr, mask, ok := strings.Cut(s, "/"); ok {
		return maskedSet(addr, mask)
	}
	return nil, false
}

// maskedSet reads an IPv4 network written with its mask.
func maskedSet(addr, mask string) (set, bool) {
	a, err := netip.ParseAddr(addr)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return nil, false
	}
	bits, ok := maskBits(m)
	if !ok {
		return nil, false
	}
	return prefixSet(netip.PrefixFrom(a, bits)), true
}

// maskBits is the length of a contiguous IPv4 mask.
func maskBits(m netip.Addr) (int, bool) {
	b := m.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	ones := 0
	for n&(1<<31) != 0 {
		ones++
		n <<= 1
	}
	return ones, n == 0
}

// rightService is the services that a right names: a service's name (rdp, ssh, https), protocol/port or a port. Words
// that name what people may do (reset-password) are none.
func rightService(right string) (set, bool) {
	right = strings.ToLower(right)
	protocol, port, ok := strings.Cut(right, "/")
	if !ok {
		switch right {
		case "rdp":
			return union(one(protoTCP<<16|3389), one(protoUDP<<16|3389)), true
		case "winrm":
			return interval(protoTCP<<16|5985, protoTCP<<16|5986), true
		case "smb":
			return union(one(protoTCP<<16|445), one(protoTCP<<16|139)), true
		case "time", "login", "exec", "who", "cmd", "talk", "echo", "printer": // words of people before they are ports
			return nil, false
		}
		n, ok := portNumber(right)
		if !ok {
			return nil, false
		}
		return union(one(protoTCP<<16|n), one(protoUDP<<16|n)), true
	}
	p, ok := protocolNumber(protocol)
	if !ok {
		return nil, false
	}
	ports, ok := portRange(port, "-:")
	if !ok {
		return nil, false
	}
	return portSet(p, ports), true
}

// grant is a rule that lets a partner in, or somebody whom nobody declared.
type grant struct {
	facts *facts
	trust *tenant.Trust // nil: nobody declared who comes in
	nets  set           // the sources that it is about

	declared bool
	ended    truth // the trust's validity is over, or has not begun
	source   truth // wider than the trust's networks
	dest     truth // wider than its destinations
	service  truth // wider than the services among its rights
	beyond   [3]set
}

// truth is yes, no, or not known.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// grants holds the rules of a device against what is declared.
func (d *declared) grants(dev *device, f *findings) []grant {
	outer, unsure := dev.zones.sides()
	from := union(outer, unsure)
	var out []grant
	for _, x := range f.rules {
		r := x.rule
		if r.action != accept || r.answers || !r.enabled || r.def || !x.policy.inbound {
			continue
		}
		src, in := r.extent().src, r.extent().in
		if widely(src) {
			continue // what is open to everybody is nobody's grant
		}
		g := f.gates[x.policy]
		if _, ok := g.at[r]; !ok { // joined from several copies
			g.at[r] = len(x.policy.rules)
			for i, each := range x.policy.rules {
				if each.line == r.line {
					g.at[r] = i
					break
				}
			}
		}
		for i := range d.trusts {
			t := &d.trusts[i]
			if nets := intersect(src, t.nets); !nets.empty() && g.reach(r, everything.with(dimSrc, nets), false) != closed {
				out = append(out, d.grant(x, t, nets, src, g))
			}
		}
		strangers := intersect(src, public)
		if in.meets(outer) && !in.isFull() {
			strangers = union(strangers, intersect(src, union(local, shared)))
		}
		strangers = strangers.without(d.own).without(d.nets)
		if !in.meets(from) || strangers.empty() || d.besides(src, strangers) || g.reach(r, everything.with(dimSrc, strangers), false) == closed {
			continue
		}
		out = append(out, grant{facts: x, nets: strangers})
	}
	return out
}

// besides reports whether strangers are but the rest of a range that is wider than a declared network: that is told of
// the trust.
func (d *declared) besides(src, strangers set) bool {
	for _, sp := range src {
		if s := (set{sp}); s.meets(strangers) && !s.meets(d.nets) {
			return false
		}
	}
	return true
}

// grant compares a rule with one trust whose networks it lets in.
func (d *declared) grant(x *facts, t *declaredTrust, nets, src set, g *gates) grant {
	r := x.rule
	out := grant{facts: x, trust: t.trust, nets: nets, declared: true, source: no}
	switch {
	case t.undecided:
	case t.holds:
		out.ended = no
	default:
		out.ended = truthOf(!nets.without(d.valid).empty())
	}

	var around []span // the ranges of the rule that the trust's networks lie in
	for _, sp := range src {
		if (set{sp}).meets(nets) {
			around = append(around, sp)
		}
	}
	beyond := subtractSet(around, d.nets)
	if !nets.meets(d.own) {
		beyond = beyond.without(d.own)
	}
	out.source, out.beyond[0] = judge(g, r, everything.with(dimSrc, beyond), beyond)

	var dst, svc set
	for i := range r.boxes {
		if r.boxes[i][dimSrc].meets(nets) {
			dst, svc = union(dst, r.boxes[i][dimDst]), union(svc, r.boxes[i][dimSvc])
		}
	}
	mine := everything.with(dimSrc, nets)
	if len(t.trust.Destinations) > 0 && !(x.policy.stage == "input" && halfOf(dst)) {
		past := dst.without(t.reach)
		if len(t.unknown) > 0 && past.size().hi == 0 && past.size().lo <= uint64(16*len(t.unknown)) {
			out.dest = unknown // what is left over may be those that are declared by name
			if past.empty() {
				out.dest = no
			}
		} else {
			out.dest, out.beyond[1] = judge(g, r, mine.with(dimDst, past), past)
		}
	}
	if t.services != nil {
		past := svc.without(union(t.services, protocolSet(protoICMP), protocolSet(protoICMPv6)))
		past = intersect(past, interval(0, lastService))
		out.service, out.beyond[2] = judge(g, r, mine.with(dimSvc, past), past)
	}
	return out
}

// judge reports whether anything lies past what was declared, and gets in.
func judge(g *gates, r *rule, want box, past set) (truth, set) {
	if past.empty() {
		return no, nil
	}
	switch g.reach(r, want, false) {
	case closed:
		return no, nil
	case undecided:
		return unknown, nil
	case open:
		if len(r.asks) > 0 {
			return unknown, nil
		}
		return yes, past
	}
	return unknown, nil
}
