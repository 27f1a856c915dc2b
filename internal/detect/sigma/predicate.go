package sigma

import (
	"bytes"
	"net/netip"
	"regexp"
	"strings"
)

// kind is what a predicate asks of a field.
type kind uint8

const (
	kindEqual    kind = iota // the whole value, pattern without wildcards
	kindPrefix               // the value begins with the literal
	kindSuffix               // the value ends with the literal
	kindContains             // the literal is anywhere in the value
	kindGlob                 // any other pattern
	kindRegex
	kindCIDR
	kindNull    // the field is absent
	kindExists  // the field is there, with whatever value
	kindCompare // the number, or the part of the time, that the value is
	kindFieldRef
)

// predicate is one question about one field. Predicates that ask the same share one atom.
type predicate struct {
	field   string // as the rule writes it; empty: keyword, any field
	kind    kind
	cased   bool
	pat     pattern // of equal, prefix, suffix, contains, glob; lower case unless cased
	lit     string  // the literal of equal, prefix, suffix, contains
	inner   []byte  // the same of contains
	re      *regexp.Regexp
	needs   []string // lower case literals, one of which a match of glob or regex must hold
	filter  *regexFilter
	net     netip.Prefix
	op      string // eq, lt, lte, gt, gte of compare; "", startswith, endswith, contains of fieldref
	part    string // of a time that compare looks at; "": the value is a number itself
	number  number
	other   string // field that a fieldref names
	otherID int32  // its slot, set when the rule set is compiled
}

// patternPredicate chooses the cheapest kind that means the pattern.
func patternPredicate(field string, p pattern, cased bool) *predicate {
	p = p.lower(cased)
	q := &predicate{field: field, pat: p, cased: cased, kind: kindGlob}
	star := func(i int) bool { return p[i].kind == tokStar }
	lit := func(i int) bool { return p[i].kind == tokLiteral }
	switch {
	case len(p) == 0:
		q.kind = kindEqual
	case len(p) == 1 && lit(0):
		q.kind, q.lit = kindEqual, p[0].text
	case len(p) == 1 && star(0):
		q.kind = kindExists
	case len(p) == 2 && lit(0) && star(1):
		q.kind, q.lit = kindPrefix, p[0].text
	case len(p) == 2 && star(0) && lit(1):
		q.kind, q.lit = kindSuffix, p[1].text
	case len(p) == 3 && star(0) && lit(1) && star(2):
		q.kind, q.lit, q.inner = kindContains, p[1].text, []byte(p[1].text)
	default:
		if lit := p.longest(); lit != "" {
			q.needs = []string{string(appendLower(nil, lit))}
		}
	}
	return q
}

// key identifies what the predicate asks, so that equal questions are answered once.
func (q *predicate) key() string {
	var b strings.Builder
	b.WriteString(canonical(q.field))
	b.WriteByte(0)
	b.WriteByte('a' + byte(q.kind))
	if q.cased {
		b.WriteByte('!')
	}
	b.WriteByte(0)
	switch q.kind {
	case kindRegex:
		b.WriteString(q.re.String())
	case kindCIDR:
		b.WriteString(q.net.String())
	case kindCompare:
		b.WriteString(q.op + q.part + q.number.String())
	case kindFieldRef:
		b.WriteString(q.op + "\x00" + canonical(q.other))
	case kindNull, kindExists:
	default:
		b.WriteString(q.pat.key())
	}
	return b.String()
}

// holds reports whether one value answers the predicate; low is the value in lower case. Null, exists and
// fieldref look at more than one value and are answered by the caller.
func (q *predicate) holds(raw string, low []byte) bool {
	switch q.kind {
	case kindRegex:
		may, does := q.filter.passes(raw, low)
		return does || may && q.re.MatchString(raw)
	case kindCIDR:
		a, err := netip.ParseAddr(raw)
		return err == nil && q.net.Contains(a.Unmap().WithZone(""))
	case kindCompare:
		return q.compare(raw)
	}
	if q.cased {
		return q.holdsCased(raw)
	}
	switch q.kind {
	case kindEqual:
		return string(low) == q.lit
	case kindPrefix:
		return len(low) >= len(q.lit) && string(low[:len(q.lit)]) == q.lit
	case kindSuffix:
		return len(low) >= len(q.lit) && string(low[len(low)-len(q.lit):]) == q.lit
	case kindContains:
		return bytes.Contains(low, q.inner)
	}
	return q.pat.match(low)
}

func (q *predicate) holdsCased(raw string) bool {
	switch q.kind {
	case kindEqual:
		return raw == q.lit
	case kindPrefix:
		return strings.HasPrefix(raw, q.lit)
	case kindSuffix:
		return strings.HasSuffix(raw, q.lit)
	case kindContains:
		return strings.Contains(raw, q.lit)
	}
	return q.pat.match([]byte(raw))
}

func (q *predicate) compare(raw string) bool {
	var n number
	var ok bool
	if q.part != "" {
		n.whole, ok = timePart(raw, q.part)
	} else {
		n, ok = parseNumber(raw)
	}
	if !ok {
		return false
	}
	c := n.compare(q.number)
	switch q.op {
	case "lt":
		return c < 0
	case "lte":
		return c <= 0
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	}
	return c == 0
}

// refers compares one value of the field with one of the field it refers to; both in lower case unless cased.
func (q *predicate) refers(v, other []byte) bool {
	switch q.op {
	case "startswith":
		return bytes.HasPrefix(v, other)
	case "endswith":
		return bytes.HasSuffix(v, other)
	case "contains":
		return bytes.Contains(v, other)
	}
	return bytes.Equal(v, other)
}
