package phish

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// links: where they lead, beyond what linkReasons says of single ones.
func (c *content) links() {
	x := c.x
	seenSites := map[string]bool{}
	foreign, plain, n := 0, 0, 0
	for i := range x.links {
		l := &x.links[i]
		if l.declared || isIP(l.host) && !publicIP(l.host) {
			continue
		}
		n++
		seenSites[l.site] = true
		if strings.HasPrefix(l.raw, "http:") {
			plain++
		}
		if l.site == x.fromSite || commonSites[l.apex] && !onFreeHost(l.host) || common(c.s.Sites, l.site, x.e.Time) {
			continue
		}
		foreign++
		if c.foreign == nil {
			c.foreign = l
		}
		c.link(l)
	}
	c.sites = len(seenSites)
	if foreign > 0 && len(seenSites) == 1 && c.m.InReplyTo == "" {
		c.say("link-one-foreign", 1, "every link leads to one place that is not the sender's, "+c.foreign.site)
	}
}

// link looks at one link to a place that is not the sender's.
func (c *content) link(l *link) {
	name, tld := splitApex(l.apex)
	path := ""
	if _, rest, ok := strings.Cut(l.raw, "://"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			path = rest[i:]
		}
	}
	low := strings.ToLower(path)
	switch {
	case onFreeHost(l.host), shorteners[l.apex]: // linkReasons has said so
	case randomLabel(name):
		c.say("link-random-host", 1, "a link's host looks made by a program: "+l.apex)
	}
	if abusedTLD[lastLabel(tld)] {
		c.say("link-odd-tld", 1, "a link's top-level domain ."+tld+" is one that abuse prefers")
	}
	if b := brandInHost(l.host); b != nil {
		c.say("link-brand-host", 1, "a link's host "+l.host+" carries the name of "+b.name)
	}
	if strings.Contains(low, "/wp-") || strings.Contains(low, "/.well-known/") || strings.Contains(low, "/cgi-bin/") || strings.HasSuffix(low, ".php") && strings.Count(low, "/") > 1 {
		c.say("link-broken-into", 1, "a link leads into the inside of somebody's web site: "+l.host)
	}
	if l.rewritten && openRedirect(l.raw) || strings.Count(strings.ToLower(l.raw), "http") >= 2 {
		c.say("link-redirects", 1, "a link is passed on to "+l.host+" by somebody else's address")
	}
	if i := strings.IndexByte(l.raw, '#'); i >= 0 && strings.Contains(l.raw[i:], "@") {
		c.say("link-fragment-address", 1, "a link to "+l.host+" carries an address behind its #")
	}
	if strings.Count(l.host, ".") >= 4 && len(l.host) > 40 {
		c.say("link-deep-host", 1, "a link's host is long and deep: "+clipText(l.host, 60))
	}
	if longToken(path) && strings.HasPrefix(l.raw, "http") {
		c.say("link-token", 1, "a link to "+l.site+" carries a long token")
	}
	if strings.HasPrefix(l.raw, "http:") {
		c.say("link-unencrypted", 1, "a link to "+l.site+" is not encrypted")
	}
	if rest := beforePath(l.raw); strings.LastIndexByte(rest, ':') > strings.LastIndexByte(rest, ']') && !strings.HasSuffix(rest, ":80") && !strings.HasSuffix(rest, ":443") {
		c.say("link-odd-port", 1, "a link names an unusual port: "+rest)
	}
	if t := strings.ToLower(strings.TrimSpace(l.text)); t != "" && len(t) < 40 {
		for _, w := range buttons {
			if strings.Contains(t, w) {
				c.say("link-button", 1, "a button “"+t+"” leads to "+l.site)
				break
			}
		}
	}
}

func openRedirect(raw string) bool { return strings.Contains(raw, "://") }

// buttons are what the link of a lure says.
var buttons = []string{"click here", "click", "verify", "confirm", "update", "review", "claim", "continue", "get started", "sign in", "log in", "login", "view document", "view message", "open", "download", "renew", "restore", "keep", "release", "unlock", "activate", "start now", "pay now", "schedule", "track", "get it", "unsubscribe here",
	"hier", "bestätigen", "anmelden", "jetzt", "weiter", "aktualisieren", "verifizieren", "cliquez", "confirmer", "vérifier", "accéder", "mettre à jour", "haga clic", "confirmar", "verificar", "actualizar", "clique", "acessar", "clicca", "conferma", "accedi", "aggiorna", "verifica", "klik", "bevestig", "inloggen"}

// abusedTLD are top-level domains that Spamhaus's and Interisle's reports name for their share of abuse; the free
// ones of Freenom among them.
var abusedTLD = set("top", "xyz", "tk", "ml", "ga", "cf", "gq", "buzz", "icu", "click", "link", "rest", "bid", "loan", "win", "men", "date", "racing", "review", "stream", "download", "trade", "party", "science", "work", "cam", "cyou", "sbs", "cfd", "bond", "shop", "store", "online", "site", "website", "space", "fun", "live", "monster", "quest", "best", "beauty", "hair", "makeup", "skin", "autos", "boats", "motorcycles", "homes", "yachts", "mom", "lol", "pics", "surf", "fit", "rent", "uno", "vip", "club", "life", "today", "world", "pw", "su", "zip", "mov", "country", "kim", "ooo", "okinawa", "casa", "support", "help", "finance", "digital", "agency", "email", "services", "solutions", "guru", "center", "one", "host", "press", "pro")

func lastLabel(tld string) string { return tld[strings.LastIndexByte(tld, '.')+1:] }

func digits(s string) (n int) {
	for i := range len(s) {
		n += btoi(isDigit(s[i]))
	}
	return n
}

// randomLabel reports whether a name looks made by a program: long, with digits between letters, or without the
// vowels that spoken names have.
func randomLabel(s string) bool {
	if len(s) < 7 || len(s) > 64 {
		return len(s) > 64
	}
	changes, vowels, lett, run, worst := 0, 0, 0, 0, 0
	for i := range len(s) {
		c := s[i] | 0x20
		isL := c >= 'a' && c <= 'z'
		if i > 0 && isDigit(s[i]) != isDigit(s[i-1]) && s[i] != '-' && s[i-1] != '-' && s[i] != '.' && s[i-1] != '.' {
			changes++
		}
		if !isL {
			run = 0
			continue
		}
		lett++
		if strings.IndexByte("aeiouy", c) >= 0 {
			vowels++
			run = 0
		} else if run++; run > worst {
			worst = run
		}
	}
	return changes >= 3 || lett >= 8 && vowels*6 < lett || worst >= 6 || lett >= 7 && worst >= 5 && digits(s) >= 2
}

// longToken reports whether a path or query holds an unbroken run of 24 letters and digits.
func longToken(path string) bool {
	run, dig, up := 0, 0, 0
	for i := range len(path) {
		c := path[i]
		switch {
		case isDigit(c):
			dig++
		case isLetter(c):
			up++
		case c >= 'a' && c <= 'z':
		default:
			run, dig, up = 0, 0, 0
			continue
		}
		if run++; run >= 24 && (dig >= 3 || up >= 3) {
			return true
		}
	}
	return false
}

// longCode reports whether a subject holds a word of letters and digits as case numbers have.
func longCode(low string) bool {
	for _, w := range strings.Fields(low) {
		if n := digits(w); n >= 3 && len(w) >= 8 && n < len(w) && strings.IndexByte(w, '/') < 0 && strings.IndexByte(w, ':') < 0 && strings.IndexByte(w, '.') < 0 {
			return true
		}
	}
	return false
}

func letters(s string) (all, upper int) {
	for _, r := range s {
		if unicode.IsLetter(r) {
			all++
			upper += btoi(unicode.IsUpper(r))
		}
	}
	return all, upper
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasEmoji(s string) bool {
	for _, r := range s {
		if r >= 0x1F300 && r <= 0x1FAFF || r >= 0x2600 && r <= 0x27BF || r >= 0x1F1E6 && r <= 0x1F1FF || r == 0x2B50 || r == 0x23F0 || r == 0x26A0 {
			return true
		}
	}
	return false
}

// disguised reports whether a text hides words from filters: letters of another alphabet within a Latin word,
// mathematical letters, or invisible characters between letters (Unicode TR 39).
func disguised(s string) bool {
	if ascii(s) {
		return false
	}
	latin, other, odd := false, false, 0
	var last rune
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if c := byte(r) | 0x20; c >= 'a' && c <= 'z' {
				latin = true
			} else {
				latin, other = false, false
			}
		case r >= 0x1D400 && r <= 0x1D7FF, r >= 0xFF21 && r <= 0xFF5A, r >= 0x24B6 && r <= 0x24E9:
			odd++
		case r == 0x200B || r == 0x200C || r == 0x2060 || r == 0x00AD || r == 0x034F || r == 0xFEFF:
			if unicode.IsLetter(last) {
				odd++
			}
		case unicode.Is(unicode.Cyrillic, r) || unicode.Is(unicode.Greek, r) && r != 'µ' && r != 'μ' && r != 'Ω':
			other = true
		case unicode.IsLetter(r):
			latin = true
		default:
			latin, other = false, false
		}
		if latin && other {
			odd++
			latin, other = false, false
		}
		last = r
	}
	return odd >= 2
}

// money reports whether a text names a sum of money.
func money(text string) bool {
	for i, r := range text {
		if r != '$' && r != '€' && r != '£' {
			continue
		}
		if rest := strings.TrimLeft(text[i+utf8.RuneLen(r):], " "); rest != "" && isDigit(rest[0]) {
			return true
		}
	}
	return false
}
