package indicator

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// hit is one indicator found in an event.
type hit struct {
	entry uint32
	seen  string // as the event has it
}

// matcher looks up the observables of events, one after the other. It is not for use by several goroutines.
type matcher struct {
	set  *Set
	hits []hit
}

// match returns the indicators found in the event, each once; the list is valid until the next call.
func (m *matcher) match(e *ocsf.Event) []hit {
	m.hits = m.hits[:0]
	if len(m.set.entries) == 0 {
		return nil
	}
	at := e.Time.Unix()
	for o := range e.Observables {
		m.observable(o, at)
	}
	if e.Mail != nil {
		if s := subject(e.Mail.Subject); len(s) <= maxValue {
			m.exact(kindSubject, s, e.Mail.Subject, at)
		}
	}
	if len(m.hits) > 0 {
		m.hits = slices.DeleteFunc(m.hits, func(h hit) bool { return !m.complete(e, h) })
	}
	return m.hits
}

func (m *matcher) observable(o ocsf.Observable, at int64) {
	switch o.Type {
	case ocsf.EntityIP:
		m.address(o.Value, at)
	case ocsf.EntityDomain, ocsf.EntityHost:
		m.domain(o.Value, o.Value, at)
	case ocsf.EntityHash:
		m.exact(kindHash, o.Value, o.Value, at)
	case ocsf.EntityMailbox:
		m.exact(kindMailbox, o.Value, o.Value, at)
		if _, host, ok := strings.Cut(o.Value, "@"); ok {
			m.domain(host, o.Value, at)
		}
	case ocsf.EntityUser:
		if strings.Contains(o.Value, "@") {
			m.exact(kindMailbox, o.Value, o.Value, at)
		}
	case ocsf.EntityURL:
		v, ok := link(o.Value)
		if !ok {
			return
		}
		m.exact(kindURL, v, o.Value, at)
		if u, err := url.Parse(v); err == nil {
			host := u.Hostname()
			if _, err := netip.ParseAddr(host); err == nil {
				m.address(host, at)
			} else {
				m.domain(host, host, at)
			}
		}
	}
}

// exact looks one value up. Of several indicators of that value the surest that was valid then is taken.
func (m *matcher) exact(kind uint8, value, seen string, at int64) bool {
	best := int64(-1)
	m.set.find(kind, value, func(i uint32) bool {
		if m.valid(i, at) && (best < 0 || m.set.entries[i].conf > m.set.entries[best].conf) {
			best = int64(i)
		}
		return true
	})
	if best >= 0 {
		m.add(uint32(best), seen)
	}
	return best >= 0
}

func (m *matcher) valid(i uint32, at int64) bool {
	until := m.set.shared[m.set.entries[i].shared].until
	return until == 0 || at < until
}

func (m *matcher) add(i uint32, seen string) {
	for _, h := range m.hits {
		if h.entry == i {
			return
		}
	}
	m.hits = append(m.hits, hit{i, strings.Clone(seen)})
}

func (m *matcher) address(v string, at int64) {
	if m.exact(kindIP, v, v, at) || m.set.nets == nil {
		return
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return
	}
	list, _ := m.set.nets.Lookup(a.Unmap())
	for _, i := range list {
		if m.valid(i, at) {
			m.add(i, v)
			return
		}
	}
}

// domain looks up a name, then its parents down to two labels; the most specific one counts.
func (m *matcher) domain(name, seen string, at int64) {
	name = strings.TrimSuffix(name, ".")
	for strings.Contains(name, ".") {
		if m.exact(kindDomain, name, seen, at) {
			return
		}
		_, name, _ = strings.Cut(name, ".")
	}
}

// complete reports whether the event shows everything else that the indicator's pattern asks for.
func (m *matcher) complete(e *ocsf.Event, h hit) bool {
	w := m.set.entries[h.entry].with
	if w == 0 {
		return true
	}
	for _, t := range m.set.with[w-1] {
		if !shows(e, t) {
			return false
		}
	}
	return true
}

func shows(e *ocsf.Event, t Term) bool {
	if t.Type == ocsf.EntitySubject {
		return e.Mail != nil && subject(e.Mail.Subject) == t.Value
	}
	for o := range e.Observables {
		switch {
		case t.Type == ocsf.EntityDomain && (o.Type == ocsf.EntityDomain || o.Type == ocsf.EntityHost):
			if o.Value == t.Value || strings.HasSuffix(o.Value, "."+t.Value) {
				return true
			}
		case t.Type != o.Type:
		case t.Type == ocsf.EntityURL:
			if v, ok := link(o.Value); ok && v == t.Value {
				return true
			}
		case t.Type == ocsf.EntityIP && strings.Contains(t.Value, "/"):
			p, err := netip.ParsePrefix(t.Value)
			if a, err2 := netip.ParseAddr(o.Value); err == nil && err2 == nil && p.Contains(a.Unmap()) {
				return true
			}
		case o.Value == t.Value:
			return true
		}
	}
	return false
}
