package netconfig

import (
	"strings"
)

// book holds the objects of a configuration by name: addresses, services, and groups of either, in one another.
type book struct {
	s     *source
	addrs map[string]*entry
	svcs  map[string]*entry
}

// entry is an object or a group.
type entry struct {
	line     int64
	set      set       // its own addresses
	services []service // its own services
	unknown  string    // why its own addresses or services are not known: a host's name, a country
	members  []string
	except   []string

	busy, done bool
	found      resolved
}

// resolved is what a name stands for.
type resolved struct {
	set      set
	services []service
	unknown  []string // names that could not be resolved
}

func newBook(s *source) *book {
	return &book{s: s, addrs: map[string]*entry{}, svcs: map[string]*entry{}}
}

// put takes an object in; of two with one name the later counts, as it does on the machine.
func (b *book) put(to map[string]*entry, name string, e *entry) {
	if b.s.room(e.line) {
		to[name] = e
	}
}

// resolve looks a name up, with all that its group holds. Groups that hold themselves, or lie too deep, are told of
// and left out.
func (b *book) resolve(in map[string]*entry, name string, depth int) resolved {
	e := in[name]
	shown := bare(name)
	if e == nil {
		return resolved{unknown: []string{shown}}
	}
	if e.done {
		return e.found
	}
	if e.busy || depth > maxDepth {
		b.s.bad(e.line, "the group %q holds itself, or lies deeper than %d groups", shown, maxDepth)
		return resolved{unknown: []string{shown}}
	}
	e.busy = true
	out := resolved{services: e.services}
	spans := append([]span(nil), e.set...)
	if e.unknown != "" {
		out.unknown = append(out.unknown, shown+" ("+e.unknown+")")
	}
	for _, m := range e.members {
		if len(out.services) > maxBoxes {
			break
		}
		r := b.resolve(in, m, depth+1)
		spans = append(spans, r.set...)
		out.services = append(out.services[:len(out.services):len(out.services)], r.services...)
		for _, u := range r.unknown {
			out.unknown = appendName(out.unknown, u)
		}
	}
	out.set = normal(spans)
	for _, m := range e.except {
		r := b.resolve(in, m, depth+1)
		out.set = out.set.without(r.set)
		for _, u := range r.unknown {
			out.unknown = appendName(out.unknown, "not "+u)
		}
	}
	e.busy, e.done, e.found = false, true, out
	return out
}

// bare is an object's name without the scope that stands before it, parted by a zero byte.
func bare(name string) string { return name[strings.LastIndexByte(name, 0)+1:] }

// names gives the addresses of objects by their lower-case names, for destinations that are declared by name.
func (b *book) names() map[string]set {
	out := map[string]set{}
	for name := range b.addrs {
		if r := b.resolve(b.addrs, name, 0); len(r.unknown) == 0 && len(r.set) > 0 {
			out[strings.ToLower(bare(name))] = r.set
		}
	}
	return out
}

// side is what a rule matches from its resolved sides. Members that could not be resolved are named; a negated side
// of which a member is unknown matches less than what is left, and a side without any known member matches nothing
// that is known.
func (r *rule) side(x resolved, not bool) set {
	s := x.set
	for _, u := range x.unknown {
		if not {
			r.ask(u)
		} else {
			r.unresolved(u)
		}
	}
	if not {
		s = full.without(s)
	}
	return s
}
