package mail

import (
	"bytes"
	"strings"
)

// proof says how a header of that name looks when it is really mail's.
var proof = map[string]func(v string) bool{
	"received":      func(v string) bool { return strings.Contains(v, "by ") || strings.Contains(v, "from ") },
	"return-path":   func(v string) bool { return strings.ContainsAny(v, "<@") },
	"message-id":    func(v string) bool { return strings.ContainsAny(v, "<@") },
	"delivered-to":  func(v string) bool { return strings.Contains(v, "@") },
	"x-original-to": func(v string) bool { return strings.Contains(v, "@") },
	"from":          func(v string) bool { return strings.ContainsAny(v, "@<") },
	"to":            func(v string) bool { return strings.ContainsAny(v, "@<:") },
	"reply-to":      func(v string) bool { return strings.Contains(v, "@") },
	"date":          func(v string) bool { _, ok := parseDate(v); return ok },
	"mime-version":  func(v string) bool { return strings.HasPrefix(v, "1.") },
	"dkim-signature": func(v string) bool {
		return strings.Contains(v, "b=") || strings.Contains(v, "v=")
	},
}

// recognise reports whether head begins with a mail header: lines of "Name: value" and their continuations, at
// least two of them headers that only mail has, written as mail writes them. The file's name decides nothing.
func recognise(_ string, head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	head = bytes.TrimLeft(head, "\r\n")
	if i := bytes.IndexByte(head, '\n'); i > 0 && isFromLine(head[:i]) {
		head = head[i+1:]
	} else if bytes.HasPrefix(head, []byte("From ")) {
		return false
	}
	var (
		known, odd, lines int
		upper             bool
		seen              = map[string]bool{}
	)
	var name, value string
	count := func() {
		if check := proof[strings.ToLower(name)]; check != nil && !seen[strings.ToLower(name)] && check(value) {
			seen[strings.ToLower(name)] = true
			known++
			upper = upper || name != strings.ToLower(name)
		}
	}
	for len(head) > 0 && lines < 2_000 {
		line := head
		i := bytes.IndexByte(head, '\n')
		if i >= 0 {
			line, head = head[:i], head[i+1:]
		} else {
			head = nil
		}
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			break
		}
		lines++
		if line[0] == ' ' || line[0] == '\t' {
			if lines == 1 {
				return false
			}
			if len(value) < 1000 {
				value += " " + string(bytes.TrimSpace(line))
			}
			continue
		}
		n, v, ok := cutHeader(line)
		if !ok {
			if lines == 1 || i < 0 && known < 2 {
				return false
			}
			odd++
			if odd > 3 {
				return false
			}
			continue
		}
		count()
		name, value = n, string(bytes.TrimSpace(v))
	}
	count()
	return upper && known >= 2 && (odd == 0 || known >= 4)
}

// cutHeader splits a header line. A field name is printable ASCII without a colon or a space (RFC 5322 3.6.8);
// spaces before the colon are obsolete but met.
func cutHeader(line []byte) (name string, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || i > 256 {
		return "", nil, false
	}
	n := bytes.TrimRight(line[:i], " \t")
	if len(n) == 0 {
		return "", nil, false
	}
	for _, c := range n {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '{' || c == '[' || c == '<' || c == ',' {
			return "", nil, false
		}
	}
	return string(n), line[i+1:], true
}
