package mail

import (
	"iter"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// link keeps one hyperlink. The same target is kept once; the text of the first that has one is kept with it.
func (b *body) link(u, text string) {
	if len(b.mail.Links) >= MaxLinks {
		b.traits["links.more"] = "yes"
		return
	}
	if i, ok := b.links[u]; ok && b.mail.Links[i].Text != "" {
		return
	}
	u = cleanURL(u)
	if u == "" {
		return
	}
	h := hostOf(u)
	if h == "" && !strings.HasPrefix(u, "data:") {
		return
	}
	text = clip(strings.Join(strings.Fields(text), " "), 200)
	if i, ok := b.links[u]; ok {
		if l := &b.mail.Links[i]; l.Text == "" {
			l.Text = text
		}
		return
	}
	b.links[u] = len(b.mail.Links)
	b.mail.Links = append(b.mail.Links, ocsf.Link{URL: u, Host: h, Text: text})
}

// cleanURL returns a web link as a browser would take it, or "" where it is none: white space and control
// characters go, backslashes are slashes, "//host" and "www." get a scheme.
func cleanURL(u string) string {
	if len(u) > 16<<10 {
		u = u[:16<<10]
	}
	u = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || r == '\u200b' || r == '\u00ad' || r == '\u2060' {
			return -1
		}
		return r
	}, u)
	scheme, rest, ok := strings.Cut(u, ":")
	switch strings.ToLower(scheme) {
	case "http", "https", "ftp":
		if !ok {
			return ""
		}
		rest = strings.TrimLeft(strings.ReplaceAll(rest[:min(len(rest), 8)], `\`, "/")+rest[min(len(rest), 8):], "/")
		return clip(strings.ToLower(scheme)+"://"+rest, MaxURL)
	case "data", "javascript":
		return clip("data:"+rest, 100)
	}
	if strings.HasPrefix(u, "//") {
		return clip("http:"+u, MaxURL)
	}
	if len(u) > 4 && strings.EqualFold(u[:4], "www.") {
		return clip("http://"+u, MaxURL)
	}
	return ""
}

// hostOf returns the host a browser would go to, in lower case and ASCII (punycode); whatever stands before "@"
// is only for show.
func hostOf(u string) string {
	_, rest, ok := strings.Cut(u, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if strings.HasPrefix(rest, "[") {
		rest, _, _ = strings.Cut(rest[1:], "]")
		if ip, err := netip.ParseAddr(rest); err == nil {
			return ip.String()
		}
		return ""
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		rest = rest[:i]
	}
	if strings.IndexByte(rest, '%') >= 0 {
		if d, err := url.PathUnescape(rest); err == nil {
			rest = d
		}
	}
	h := strings.TrimSuffix(strings.ToLower(rest), ".")
	if h == "" || len(h) > 253 || strings.ContainsAny(h, " \"'<>{}|") {
		return ""
	}
	if n, err := strconv.ParseUint(h, 0, 32); err == nil { // http://3232235777/
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
	}
	for i := range len(h) {
		if h[i] >= 0x80 {
			if a, err := idna.Lookup.ToASCII(h); err == nil {
				return a
			}
			return strings.ToValidUTF8(h, "")
		}
	}
	return h
}

// urlsIn yields the web links that plain text shows.
func urlsIn(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n := 0; n < 4*MaxLinks; n++ {
			i := nextURL(s)
			if i < 0 {
				return
			}
			s = s[i:]
			end := strings.IndexFunc(s, func(r rune) bool {
				return r <= ' ' || r == '<' || r == '>' || r == '"' || r == '|' || r == '`' || r == '\u00a0' || r == '\ufffd' || r == '”' || r == '»'
			})
			if end < 0 {
				end = len(s)
			}
			u := strings.TrimRight(s[:end], `.,;:!?'*_]}`)
			if strings.HasSuffix(u, ")") && !strings.Contains(u, "(") {
				u = strings.TrimRight(u, ").")
			}
			if len(u) > 9 && !yield(u) {
				return
			}
			s = s[max(end, 4):]
		}
	}
}

// nextURL finds the first "http://", "https://" or "www." at the start of a word.
func nextURL(s string) int {
	at := 0
	for at < len(s) {
		i := strings.Index(s[at:], "://")
		near := s[at:]
		if i >= 0 {
			near = near[:i]
		}
		w := strings.Index(near, "www.")
		if i < 0 && w < 0 {
			return -1
		}
		if w >= 0 {
			p := at + w
			if p == 0 || !wordByte(s[p-1]) {
				return p
			}
			at = p + 4
			continue
		}
		p := at + i
		for _, scheme := range [...]string{"https", "http", "ftp"} {
			if p >= len(scheme) && strings.EqualFold(s[p-len(scheme):p], scheme) {
				return p - len(scheme)
			}
		}
		at = p + 3
	}
	return -1
}

func wordByte(c byte) bool {
	return c == '.' || c == '/' || c == '-' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
