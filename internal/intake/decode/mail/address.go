package mail

import "strings"

// address is one mailbox of an address header.
type address struct{ name, addr string }

// parseAddresses reads an address list (RFC 5322 3.4) as tolerantly as mail programs do: groups, comments,
// unquoted display names and stray text are met daily. At most max mailboxes are returned.
func parseAddresses(v string, max int) []address {
	var out []address
	v = decodeAddressWords(v)
	start, quoted, angle, comment := 0, false, false, 0
	at := false // an "@" since start
	flush := func(end int) {
		if len(out) < max {
			if a, ok := parseMailbox(v[start:end]); ok {
				out = append(out, a)
			}
		}
		start, at = end+1, false
	}
	for i := 0; i < len(v) && len(out) < max; i++ {
		switch c := v[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
		case comment > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case angle:
		case c == ',' || c == ';':
			flush(i)
		case c == '@':
			at = true
		case c == ':' && !at:
			start = i + 1 // a group's name
		}
	}
	if start < len(v) {
		flush(len(v))
	}
	return out
}

// decodeAddressWords makes raw bytes UTF-8; encoded words stay until each name is known, since a decoded name may
// hold commas and brackets that belong to no syntax.
func decodeAddressWords(v string) string { return toUTF8(v) }

func parseMailbox(s string) (address, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return address{}, false
	}
	if open := strings.LastIndexByte(s, '<'); open >= 0 {
		addr := s[open+1:]
		if end := strings.IndexByte(addr, '>'); end >= 0 {
			addr = addr[:end]
		}
		a := address{name: displayName(s[:open]), addr: normAddress(addr)}
		return a, a.addr != ""
	}
	name := ""
	if open := strings.IndexByte(s, '('); open >= 0 { // addr (Name), the oldest form
		name = strings.TrimRight(strings.TrimSpace(s[open+1:]), ")")
		s = strings.TrimSpace(s[:open])
	}
	for _, w := range strings.Fields(s) {
		if a := normAddress(w); a != "" {
			if name == "" {
				name = strings.Replace(s, w, "", 1)
			}
			return address{name: displayName(name), addr: a}, true
		}
	}
	return address{}, false
}

func displayName(s string) string {
	s = clip(strings.TrimSpace(s), 1<<10)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	if strings.IndexByte(s, '\\') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, `\"`, `"`), `\\`, `\`)
	}
	return strings.Trim(decodeWords(s), `"' <>`)
}

// normAddress returns the address in lower case, without brackets and the trailing dot, or "" where it is none.
func normAddress(s string) string {
	s = strings.Trim(strings.TrimSpace(s), `<>"',;`)
	s = strings.TrimPrefix(strings.ToLower(s), "mailto:")
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > 320 || strings.ContainsAny(s, " \t\r\n<>") {
		return ""
	}
	return strings.TrimSuffix(s, ".")
}
