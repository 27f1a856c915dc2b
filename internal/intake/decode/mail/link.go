package mail

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// trick is a set of ways in which a link hides where it leads; see "links.odd".
type trick uint16

const (
	trickBackslash trick = 1 << iota
	trickControl
	trickData
	trickDot
	trickEncoded
	trickHxxp
	trickMixed
	trickNumeric
	trickScript
	trickUserinfo
	trickWide
)

// trickNames are in the order of the bits, which is that of the alphabet.
var trickNames = [...]string{"backslash", "control", "data", "dot", "encoded", "hxxp", "mixed", "numeric", "script", "userinfo", "wide"}

func (t trick) String() string {
	var list []string
	for i, n := range trickNames {
		if t&(1<<i) != 0 {
			list = append(list, n)
		}
	}
	return strings.Join(list, ",")
}

// link keeps one hyperlink. The same target is kept once, where it was found first; the text of the first that has
// one is kept with it.
func (b *body) link(u, text string) {
	if len(b.mail.Links) >= MaxLinks {
		b.traits["links.more"] = "yes"
		return
	}
	if i, ok := b.links[u]; ok && b.mail.Links[i].Text != "" {
		return
	}
	u, host, odd := canonical(u)
	if u == "" {
		return
	}
	b.odd |= odd
	if odd&(trickData|trickScript) != 0 {
		b.dataLink(u)
	} else if host == "" {
		return
	}
	u = clip(u, MaxURL)
	if odd&(trickData|trickScript) != 0 {
		u = clip(u, 100)
	}
	text = clip(strings.Join(strings.Fields(text), " "), 200)
	if i, ok := b.links[u]; ok {
		if l := &b.mail.Links[i]; l.Text == "" {
			l.Text = text
		}
		return
	}
	b.links[u] = len(b.mail.Links)
	b.mail.Links = append(b.mail.Links, ocsf.Link{URL: u, Host: host, Text: text, From: b.from})
}

// textLinks keeps the links that plain text shows.
func (b *body) textLinks(s string) {
	for u := range urlsIn(s) {
		b.link(u, "")
	}
}

// maxDataLink is how much of a page in a data: link is read.
const maxDataLink = 256 << 10

// dataLink reads the page that a data: link holds and the addresses in a script link. They lead somewhere else, and
// that is what matters.
func (b *body) dataLink(u string) {
	if b.inData >= 2 {
		return
	}
	b.inData++
	defer func() { b.inData-- }()
	rest := strings.TrimPrefix(u, "data:")
	kind, data, ok := strings.Cut(clip(rest, maxDataLink), ",")
	if !ok {
		b.textLinks(rest)
		return
	}
	if strings.Contains(strings.ToLower(kind), ";base64") {
		if d, err := url.PathUnescape(data); err == nil {
			data = d
		}
		raw, _ := base64Bytes([]byte(data))
		data = string(raw)
	} else if d, err := url.PathUnescape(data); err == nil {
		data = d
	}
	low := strings.ToLower(kind)
	if strings.Contains(low, "html") || strings.Contains(low, "svg") || strings.Contains(low, "xml") || looksHTML([]byte(data)) {
		var out strings.Builder
		b.html(toUTF8(data), &out)
		b.attachedText(out.String())
		return
	}
	b.textLinks(clip(rest, 16<<10))
}

// canonical returns a web link as a browser would take it, its host in lower case and ASCII (punycode), and how it
// hides where it leads; "" where it is no web link. White space and control characters go, backslashes are slashes,
// "//host" and "www." get a scheme (WHATWG URL 4.4). A data: or script link comes back as "data:" and its content.
func canonical(u string) (clean, host string, odd trick) {
	if len(u) > 1<<20 {
		u = u[:1<<20]
	}
	u = strings.TrimFunc(u, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\u00a0' })
	if strings.IndexFunc(u, unseen) >= 0 {
		odd |= trickControl
		u = strings.Map(func(r rune) rune {
			if unseen(r) {
				return -1
			}
			return r
		}, u)
	}
	scheme, rest, ok := strings.Cut(u, ":")
	if ok && len(scheme) <= 12 {
		switch s := strings.ToLower(scheme); s {
		case "http", "https", "ftp":
			return webLink(s, rest, odd)
		case "hxxp", "hxxps", "h**p", "h**ps", "hxtp", "hxtps", "httx":
			if strings.HasPrefix(rest, "//") {
				return webLink("http"+strings.TrimPrefix(strings.TrimLeft(s[1:], "x*t"), "p"), rest, odd|trickHxxp)
			}
			return "", "", 0
		case "data":
			return "data:" + rest, "", odd | trickData
		case "javascript", "vbscript", "livescript":
			return "data:" + rest, "", odd | trickScript
		case "view-source":
			return canonicalOnce(rest, odd)
		}
	}
	if strings.HasPrefix(u, "//") || strings.HasPrefix(u, `\\`) || strings.HasPrefix(u, `/\`) {
		return webLink("http", u, odd)
	}
	if len(u) > 4 && strings.EqualFold(u[:4], "www.") {
		return webLink("http", u, odd)
	}
	return "", "", 0
}

// canonicalOnce reads the link behind a prefix, which may not have another prefix.
func canonicalOnce(u string, odd trick) (string, string, trick) {
	if scheme, rest, ok := strings.Cut(u, ":"); ok {
		if s := strings.ToLower(scheme); s == "http" || s == "https" {
			return webLink(s, rest, odd)
		}
	}
	return "", "", 0
}

// unseen reports whether a character inside a link is dropped by browsers, or seen by nobody.
func unseen(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '\u00ad' || r == '\u034f' || r >= '\u200b' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' ||
		r >= '\u2060' && r <= '\u2064' || r == '\ufeff'
}

func webLink(scheme, rest string, odd trick) (string, string, trick) {
	n := 0
	for n < len(rest) && (rest[n] == '/' || rest[n] == '\\') {
		if rest[n] == '\\' {
			odd |= trickBackslash
		}
		n++
	}
	rest = rest[n:]
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		end = len(rest)
	}
	auth, path := rest[:end], rest[end:]
	if strings.HasPrefix(path, `\`) {
		odd |= trickBackslash
		path = "/" + path[1:]
	}
	host, more := hostOf(auth)
	if host == "" {
		return "", "", 0
	}
	return scheme + "://" + auth + path, host, odd | more
}

// remote notes the host of something that is loaded when the message is shown.
func (b *body) remote(u string) {
	if len(b.remotes) >= 20 || u == "" || strings.HasPrefix(u, "cid:") || strings.HasPrefix(u, "data:") {
		return
	}
	if _, host, _ := canonical(u); host != "" && !slices.Contains(b.remotes, host) {
		b.remotes = append(b.remotes, host)
	}
}

// looksBase64 decodes s where it is base64 of some length.
func looksBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	if len(s) < 12 {
		return nil, false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			return nil, false
		}
	}
	d, err := base64.RawStdEncoding.DecodeString(s[:len(s)-b2i(len(s)%4 == 1)])
	return d, err == nil
}

func b2i(v bool) int {
	if v {
		return 1
	}
	return 0
}
