package phish

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// likeness says how a foreign domain resembles a declared one.
type likeness struct {
	declared string
	how      string // plain words
	strong   bool   // hardly by chance
	added    bool   // by an added word
	chance   bool   // as likely by chance: short names, two letters
}

// lookalike compares a registered domain with the domains of the given organisations. It knows characters that look
// alike (also behind punycode), up to two typing errors, an added word, and another top-level domain.
func lookalike(apex string, orgs []*org) (likeness, bool) {
	name, tld := splitApex(apex)
	if len(name) < 4 {
		return likeness{}, false
	}
	shown := name
	if strings.HasPrefix(name, "xn--") {
		if u, err := idna.Punycode.ToUnicode(name); err == nil {
			shown = u
		}
	}
	skel := skeleton(shown)
	var weak likeness
	for _, o := range orgs {
		for i := range o.marks {
			own := &o.marks[i]
			l, ok := compare(shown, skel, tld, own)
			if !ok {
				continue
			}
			l.declared = own.domain
			if l.strong {
				return l, true
			}
			if weak.declared == "" {
				weak = l
			}
		}
		if weak.declared == "" && o.token != "" && hasWord(shown, o.token) {
			weak = likeness{declared: o.domains[0], how: "it carries the name “" + o.token + "”"}
		}
	}
	return weak, weak.declared != ""
}

// mark is a domain's name in the forms that look-alikes are compared with.
type mark struct {
	domain, name, tld string
	flat              string // without hyphens
	skeleton          string
}

func markOf(domain string) mark {
	name, tld := splitApex(apexOf(domain))
	return mark{domain: domain, name: name, tld: tld, flat: strings.ReplaceAll(name, "-", ""), skeleton: skeleton(name)}
}

func compare(shown, skel, tld string, m *mark) (likeness, bool) {
	own, flatOwn, flat := m.name, m.flat, shown
	if strings.IndexByte(flat, '-') >= 0 {
		flat = strings.ReplaceAll(shown, "-", "")
	}
	switch {
	case shown == own:
		if tld == m.tld || len(own) < 5 {
			return likeness{}, false
		}
		return likeness{how: "the same name under another top-level domain"}, true
	case len(own) >= 5 && flat == flatOwn:
		return likeness{how: "the same name with a hyphen moved", strong: true}, true
	case len(own) >= 5 && skel == m.skeleton:
		return likeness{how: "characters that look alike", strong: true}, true
	}
	if len(own) >= 5 {
		if word := addedWord(shown, own); word != "" {
			return likeness{added: true, how: "the name with “" + word + "” added", strong: lureWords[word] || strings.Contains(own, "-") || len(own) >= 9}, true
		}
	}
	if len(flatOwn) >= 6 {
		switch dist := distance(flat, flatOwn, 2); {
		case dist == 1 && flat[0] == flatOwn[0], dist == 1 && len(flatOwn) >= 8:
			return likeness{how: "one letter different", strong: true}, true
		case dist == 2 && len(flatOwn) >= 9:
			return likeness{how: "two letters different", strong: true}, true
		case dist == 1, dist == 2 && flat[0] == flatOwn[0]:
			return likeness{how: "nearly the same letters", chance: true}, true
		}
	}
	return likeness{}, false
}

// hasWord reports whether a domain's name holds the word between hyphens.
func hasWord(name, word string) bool {
	return strings.Contains("-"+name+"-", "-"+word+"-") && name != word
}

// lureWords are what intruders add to a name they borrow.
var lureWords = set("support", "login", "signin", "secure", "security", "mail", "webmail", "portal", "online", "service", "services", "team", "invoice",
	"invoices", "helpdesk", "help", "desk", "it", "cloud", "sso", "vpn", "office", "account", "accounts", "billing", "payroll", "hr", "admin", "auth", "verify",
	"update", "docs", "share", "sharing", "files", "remote", "connect", "access", "net", "corp", "group", "intern", "internal", "ticket", "tickets", "id", "my",
	"web", "app", "apps", "global", "payment", "payments", "pay", "mfa", "2fa", "reset", "password", "customer", "kunden", "konto", "rechnung", "m365", "o365")

// addedWord returns the word that makes shown out of own, set off by a hyphen or glued on, or "".
func addedWord(shown, own string) string {
	var rest string
	switch {
	case strings.HasPrefix(shown, own):
		rest = shown[len(own):]
	case strings.HasSuffix(shown, own):
		rest = shown[:len(shown)-len(own)]
	default:
		return ""
	}
	word := strings.Trim(rest, "-")
	if word == "" || len(word) > 20 {
		return ""
	}
	if len(word) == len(rest) && !lureWords[word] { // glued on: only words that lures use, or "wipronet" is anybody
		return ""
	}
	return word
}

func splitApex(apex string) (name, tld string) {
	suffix, _ := publicsuffix.PublicSuffix(apex)
	if len(suffix) >= len(apex) {
		return apex, ""
	}
	return apex[:len(apex)-len(suffix)-1], suffix
}

// distance is the optimal string alignment distance (insert, delete, replace, swap neighbours), or limit+1.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 63 || len(b) > 63 {
		return limit + 1
	}
	var rows [3][64]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur, prev, prev2 := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		best := i
		for j := 1; j <= len(b); j++ {
			cost := btoi(a[i-1] != b[j-1])
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
			best = min(best, cur[j])
		}
		if best > limit {
			return limit + 1
		}
	}
	return rows[len(a)%3][len(b)]
}

// confusable maps letters of other scripts to the Latin letter they look like (after UTS 39).
var confusable = map[rune]rune{'а': 'a', 'ạ': 'a', 'á': 'a', 'à': 'a', 'â': 'a', 'ä': 'a', 'å': 'a', 'ã': 'a', 'ɑ': 'a', 'α': 'a', 'Ь': 'b', 'ƅ': 'b', 'с': 'c', 'ç': 'c', 'ϲ': 'c',
	'ԁ': 'd', 'ɗ': 'd', 'đ': 'd', 'е': 'e', 'ё': 'e', 'é': 'e', 'è': 'e', 'ê': 'e', 'ë': 'e', 'ẹ': 'e', 'ė': 'e', 'ę': 'e', 'ғ': 'f', 'ƒ': 'f', 'ɡ': 'g', 'ġ': 'g', 'ğ': 'g', 'һ': 'h', 'ḥ': 'h',
	'і': 'i', 'ı': 'i', 'í': 'i', 'ì': 'i', 'î': 'i', 'ï': 'i', 'ɩ': 'i', 'ι': 'i', 'ј': 'j', 'ʝ': 'j', 'к': 'k', 'κ': 'k', 'ķ': 'k', 'ḳ': 'k', 'ӏ': 'l', 'ł': 'l', 'ļ': 'l', 'ḷ': 'l', 'м': 'm', 'ṃ': 'm',
	'ո': 'n', 'ń': 'n', 'ñ': 'n', 'ņ': 'n', 'ṇ': 'n', 'о': 'o', 'ο': 'o', 'օ': 'o', 'ó': 'o', 'ò': 'o', 'ô': 'o', 'ö': 'o', 'õ': 'o', 'ø': 'o', 'ọ': 'o', 'ө': 'o', 'р': 'p', 'ρ': 'p',
	'ԛ': 'q', 'г': 'r', 'ŕ': 'r', 'ṛ': 'r', 'ѕ': 's', 'ś': 's', 'š': 's', 'ş': 's', 'ș': 's', 'ṣ': 's', 'т': 't', 'τ': 't', 'ţ': 't', 'ț': 't', 'ṭ': 't', 'υ': 'u', 'ú': 'u', 'ù': 'u', 'û': 'u', 'ü': 'u', 'ս': 'u', 'ụ': 'u',
	'ν': 'v', 'ѵ': 'v', 'ԝ': 'w', 'ѡ': 'w', 'ẉ': 'w', 'х': 'x', 'χ': 'x', 'у': 'y', 'ý': 'y', 'ÿ': 'y', 'γ': 'y', 'ż': 'z', 'ž': 'z', 'ź': 'z', 'ẓ': 'z'}

// skeletonFold maps confusable letters to Latin ones.
func skeletonFold(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	return strings.Map(func(r rune) rune {
		if l, ok := confusable[r]; ok {
			return l
		}
		return r
	}, s)
}

var skeletonASCII = strings.NewReplacer("rn", "m", "vv", "w", "cl", "d", "0", "o", "1", "l", "i", "l", "5", "s", "3", "e", "-", "")

// skeleton brings a name to what the eye keeps of it.
func skeleton(s string) string { return skeletonASCII.Replace(skeletonFold(s)) }
