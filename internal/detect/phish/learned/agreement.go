package learned

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// maxSqueezed is how many bytes of a text are searched for its sender's name.
const maxSqueezed = 8000

// addAgreement adds how far a message agrees with itself: whether the sender's domain is named by the display name and by
// the text, and whether the links lead there. Honest mail of all kinds and years names its sender; a lure names somebody
// else, or nobody. (Fette, Sadeh, Tomasic 2007, 3.1.4: links that are not where most links are.)
func (b *builder) addAgreement(m *ocsf.Mail, body string, links []Link) {
	_, dom, _ := strings.Cut(m.From, "@")
	label := mainLabel(dom)
	name, text, link := "none", "none", "none"
	if len(label) >= 3 {
		name, text = namedBy(m.FromName, label), "no"
		if strings.Contains(squeeze(body), label) {
			text = "yes"
		}
	}
	own, sites := 0, map[string]bool{}
	for i := 0; i < len(links) && i < maxLinks; i++ {
		if links[i].Own {
			own++
		}
		sites[mainLabel(links[i].Host)] = true
	}
	switch {
	case len(links) == 0:
	case own == min(len(links), maxLinks):
		link = "all"
	case own > 0:
		link = "some"
	default:
		link = "no"
	}
	b.add("an", name)
	b.add("ab", text)
	b.add("al", link)
	b.add("ax", name, text, link)
	b.add("as", bucket(len(sites)), link)
}

// namedBy says how a display name names a domain by its label: yes, by a word of it, no, or empty.
func namedBy(display, label string) string {
	if display == "" {
		return "empty"
	}
	if s := squeeze(display); strings.Contains(s, label) || len(s) >= 4 && strings.Contains(label, s) {
		return "yes"
	}
	how := "no"
	eachWord(strings.ToLower(clip(display, 200)), 6, func(w string) {
		if len(w) >= 4 && strings.Contains(label, w) {
			how = "word"
		}
	})
	return how
}

// squeeze keeps the letters and digits of a text, in lower case.
func squeeze(s string) string {
	s = clip(s, maxSqueezed)
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80 {
			out = append(out, c)
		}
	}
	return string(out)
}

// mainLabel is the label of a host that its owner chose: the one before the top-level domain, or before a short label of
// a country's (co.uk).
func mainLabel(host string) string {
	i := strings.LastIndexByte(host, '.')
	if i < 0 {
		return squeeze(host)
	}
	rest, top := host[:i], host[i+1:]
	j := strings.LastIndexByte(rest, '.')
	if j >= 0 && len(top) == 2 && len(rest)-j-1 <= 3 {
		rest = rest[:j]
		j = strings.LastIndexByte(rest, '.')
	}
	return squeeze(rest[j+1:])
}
