package sigma

import (
	"bytes"
	"unicode/utf8"
)

// match reports whether the pattern fits the whole of v. What lies between two stars is looked for from left to
// right and the first place is taken, which never loses a match; so the time is that of one search for each part.
func (p pattern) match(v []byte) bool {
	first := p.star()
	if first < 0 {
		n, ok := p.fit(v)
		return ok && n == len(v)
	}
	n, ok := p[:first].fit(v)
	if !ok {
		return false
	}
	v, p = v[n:], p[first+1:]
	for {
		next := p.star()
		if next < 0 {
			return p.fitEnd(v)
		}
		end, ok := p[:next].find(v)
		if !ok {
			return false
		}
		v, p = v[end:], p[next+1:]
	}
}

// star returns the place of the first star, or -1.
func (p pattern) star() int {
	for i := range p {
		if p[i].kind == tokStar {
			return i
		}
	}
	return -1
}

// fit reports whether tokens without a star fit the beginning of v, and how many bytes they take.
func (p pattern) fit(v []byte) (int, bool) {
	at := 0
	for i := range p {
		if t := &p[i]; t.kind == tokLiteral {
			if len(v)-at < len(t.text) || string(v[at:at+len(t.text)]) != t.text {
				return 0, false
			}
			at += len(t.text)
			continue
		}
		r, n := utf8.DecodeRune(v[at:])
		if n == 0 || p[i].kind == tokDash && !isDash(r) {
			return 0, false
		}
		at += n
	}
	return at, true
}

// fitEnd reports whether tokens without a star fit the end of v.
func (p pattern) fitEnd(v []byte) bool {
	for i := len(p) - 1; i >= 0; i-- {
		if t := &p[i]; t.kind == tokLiteral {
			n := len(v) - len(t.text)
			if n < 0 || string(v[n:]) != t.text {
				return false
			}
			v = v[:n]
			continue
		}
		r, n := utf8.DecodeLastRune(v)
		if n == 0 || p[i].kind == tokDash && !isDash(r) {
			return false
		}
		v = v[:len(v)-n]
	}
	return true
}

// find returns where the first place ends at which tokens without a star fit.
func (p pattern) find(v []byte) (end int, ok bool) {
	if len(p) == 0 {
		return 0, true
	}
	lead := []byte(nil)
	if p[0].kind == tokLiteral {
		lead = []byte(p[0].text)
	}
	for at := 0; ; {
		if lead != nil {
			i := bytes.Index(v[at:], lead)
			if i < 0 {
				return 0, false
			}
			at += i
		}
		if n, ok := p.fit(v[at:]); ok {
			return at + n, true
		}
		_, n := utf8.DecodeRune(v[at:])
		if n == 0 {
			return 0, false
		}
		at += n
	}
}
