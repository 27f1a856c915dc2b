package mailauth

import "strings"

// fromField is what DMARC needs of the From header.
type fromField struct {
	domains []string // different domains, in their order
	problem string   // why the field is not what RFC 5322 3.6.2 asks
}

const (
	maxFromBytes = 64 << 10
	maxFromRead  = 5 // From fields that are read; one is allowed
)

// order returns 0 for a domain of From's organisation and 1 for others.
func (f fromField) order(domain string) int {
	for _, d := range f.domains {
		if aligned(domain, d, false) {
			return 0
		}
	}
	return 1
}

// from reads all From fields. A mail program shows one of them and one of their addresses; which one is its own
// choice, so every domain counts.
func (m *message) from() fromField {
	at, n := m.all("from", maxFromRead)
	var f fromField
	switch {
	case n == 0:
		f.problem = "there is no From field"
		return f
	case n > 1:
		f.problem = "more than one From field"
	}
	for _, i := range at {
		v := m.fields[i].value()
		if len(v) > maxFromBytes {
			f.problem = "a From field of more than 64 KiB"
			return f
		}
		f.read(string(v))
	}
	if len(f.domains) == 0 && f.problem == "" {
		f.problem = "no address with a domain name in From"
	}
	if len(f.domains) > MaxFromDomains {
		f.problem = "From has addresses of more than 4 domains"
	}
	return f
}

// read takes the addresses of one field value: mailboxes and groups (RFC 5322 3.4), also in the forms that are
// wrong and yet met. Of a mailbox with angle brackets, what is inside them counts; if there are several, each.
func (f *fromField) read(v string) {
	var (
		word   strings.Builder // of the present mailbox: what stands outside of comments, quotes and brackets
		inside strings.Builder
		angle  bool
		angled bool // the mailbox had brackets
	)
	end := func() {
		if !angled {
			f.take(word.String())
		}
		word.Reset()
		angled = false
	}
	for i := 0; i < len(v); i++ {
		to := &word
		if angle {
			to = &inside
		}
		switch c := v[i]; {
		case c == '(':
			i = skipComment(v, i)
		case c == '"':
			i = skipQuoted(v, i)
			to.WriteByte('q') // a quoted local part; its text says nothing of the domain
		case c == '<' && !angle:
			angle, angled = true, true
			inside.Reset()
		case c == '>' && angle:
			angle = false
			f.take(inside.String())
		case (c == ',' || c == ';') && !angle:
			end()
		case c == ':' && !angle:
			word.Reset() // the name of a group
		default:
			to.WriteByte(c)
		}
	}
	if angle { // a bracket that was never closed
		f.take(inside.String())
	}
	end()
}

// take adds the domain of one address.
func (f *fromField) take(addr string) {
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		if strings.TrimSpace(addr) != "" && f.problem == "" {
			f.problem = "something in From is no address"
		}
		return
	}
	d := domainOf(noSpace(addr[at+1:]))
	if d == "" {
		f.problem = "an address in From without a domain name"
		return
	}
	if !contains(f.domains, d) && len(f.domains) <= MaxFromDomains {
		f.domains = append(f.domains, d)
	}
}

// skipComment returns where the comment that begins at i ends; they nest. An open one reaches to the end.
func skipComment(v string, i int) int {
	depth := 0
	for ; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(v)
}

// skipQuoted returns where the quoted string that begins at i ends.
func skipQuoted(v string, i int) int {
	for i++; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(v)
}
