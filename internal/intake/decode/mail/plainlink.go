package mail

import (
	"iter"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// urlsIn yields the web links that plain text shows and mail programs make clickable: with a scheme, beginning with
// "www.", and a host with a path; and those whose scheme the reader is to mend (hxxp).
func urlsIn(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		at, www := 0, -2
		for n := 0; n < 4*MaxLinks && at < len(s); {
			slash := strings.IndexByte(s[at:], '/')
			if slash >= 0 {
				slash += at
			}
			if www != -1 && www < at {
				if www = indexWWW(s, at); www < 0 {
					www = -1
				}
			}
			if slash < 0 && www < 0 {
				return
			}
			start := www
			if www < 0 || slash >= 0 && slash < www {
				if start = linkBefore(s, at, slash); start < 0 {
					at = slash + 1
					continue
				}
			}
			u, end := linkFrom(s, start)
			n++
			if len(u) > 6 && !yield(u) {
				return
			}
			at = max(end, start+4)
		}
	}
}

func indexWWW(s string, at int) int {
	for at < len(s) {
		i := strings.Index(s[at:], "ww.")
		if i < 0 {
			if i = strings.Index(s[at:], "WW."); i < 0 {
				return -1
			}
		}
		p := at + i - 1
		if p >= 0 && (s[p] == 'w' || s[p] == 'W') && (p == 0 || !wordByte(s[p-1])) && p+4 < len(s) && wordByte(s[p+4]) {
			return p
		}
		at += i + 3
	}
	return -1
}

// linkBefore returns where the link begins to which the slash at p belongs, not before position at, or -1.
func linkBefore(s string, at, p int) int {
	if p > at && s[p-1] == ':' && p+1 < len(s) && s[p+1] == '/' {
		i := p - 1
		for i > at && p-i <= 6 && (s[i-1] >= 'a' && s[i-1] <= 'z' || s[i-1] >= 'A' && s[i-1] <= 'Z' || s[i-1] == '*') {
			i--
		}
		for ; i < p-1; i++ { // "xhttp://" is written where the space before was lost
			switch strings.ToLower(s[i : p-1]) {
			case "http", "https", "ftp", "hxxp", "hxxps", "h**p", "h**ps", "hxtp", "hxtps":
				return i
			}
		}
		return -1
	}
	i := p
	for i > at && p-i < 254 && (hostByte(s[i-1]) || s[i-1] == ':') {
		i--
	}
	if i < p && i > 0 && (wordByte(s[i-1]) || s[i-1] == '@' || s[i-1] == '=' || s[i-1] == '\\') || p-i < 4 {
		return -1
	}
	host, _, _ := strings.Cut(strings.TrimLeft(s[i:p], ".-:"), ":")
	if !bareHost(host) {
		return -1
	}
	return i + strings.Index(s[i:p], host)
}

func hostByte(c byte) bool {
	return c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// bareHost reports whether a word before a slash is a host: two labels or more under a public suffix, with letters
// in the last one.
func bareHost(h string) bool {
	dot := strings.LastIndexByte(h, '.')
	if dot <= 0 || len(h)-dot < 3 || strings.Contains(h, "..") {
		return false
	}
	for i := dot + 1; i < len(h); i++ {
		if c := h[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	_, icann := publicsuffix.PublicSuffix(strings.ToLower(h))
	return icann
}

// linkFrom returns the link that begins at start, and where it ends.
func linkFrom(s string, start int) (string, int) {
	s2 := s[start:]
	if len(s2) > 16<<10 {
		s2 = s2[:16<<10]
	}
	end := strings.IndexFunc(s2, func(r rune) bool {
		return r <= ' ' || r == '<' || r == '>' || r == '"' || r == '|' || r == '`' || r == '\u00a0' || r == '\ufffd' || r == '”' || r == '»' || r == '\u3000'
	})
	if end < 0 {
		end = len(s2)
	}
	u := strings.TrimRight(s2[:end], `.,;:!?'*_]}`)
	if strings.HasSuffix(u, ")") && !strings.Contains(u, "(") {
		u = strings.TrimRight(u, ").")
	}
	if i := strings.Index(u, ":"); i < 0 || i > 8 || !strings.HasPrefix(u[i:], "://") { // no scheme
		if len(u) > 4 && !strings.EqualFold(u[:4], "www.") {
			u = "http://" + u
		}
	}
	return u, start + end
}

func wordByte(c byte) bool {
	return c == '.' || c == '/' || c == '-' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
