package product

import (
	"regexp"
	"strings"
	"unicode"
)

// maxName is the longest name of a program that is looked at.
const maxName = 512

// Match names the product that a program in an inventory is, from its display name and, where given, its publisher.
// Versions, architectures, languages and signs of trade in the name don't matter. nil: no remote tool that is known.
func (c *Catalogue) Match(name, publisher string) *Product {
	if len(name) > maxName || len(publisher) > maxName {
		return nil
	}
	n := plainName(name)
	if n == "" {
		return nil
	}
	if p := c.whole[n]; p != nil {
		return p
	}
	by := plainName(publisher)
	first, _, _ := strings.Cut(n, " ")
	for _, g := range c.generic[first] {
		if begins(n, g.name) && by != "" && strings.HasPrefix(by, g.publisher) {
			return g.p
		}
	}
	for _, e := range c.prefix {
		if hasWord(n, e.name) {
			return e.p
		}
	}
	if p := c.packages[n]; p != nil {
		return p
	}
	return c.listed[n]
}

// MatchPackage names the product of a dpkg, rpm or winget package, or of a macOS bundle, by the name that packages
// have.
func (c *Catalogue) MatchPackage(name string) *Product {
	if len(name) > maxName {
		return nil
	}
	n := strings.ToLower(strings.TrimSpace(name))
	n, _, _ = strings.Cut(n, ":") // dpkg's architecture
	if p := c.packages[n]; p != nil {
		return p
	}
	// Winget names packages Publisher.Product, and shortens what is long with an ellipsis.
	if cut := strings.TrimRight(n, "…"); cut != n && len(cut) >= 8 {
		for k, p := range c.packages {
			if strings.HasPrefix(k, cut) && strings.Contains(k, ".") {
				return p
			}
		}
	}
	return nil
}

// begins compares a name with a spelling that may end with a star.
func begins(n, spelling string) bool {
	if rest, ok := strings.CutSuffix(spelling, "*"); ok {
		return hasWord(n, rest)
	}
	return n == spelling
}

// hasWord reports whether n begins with the spelling, and not within a word: "anydesk msi" begins with anydesk and
// "anydesktop" doesn't. A spelling that ends with other than a letter takes any rest.
func hasWord(n, spelling string) bool {
	if !strings.HasPrefix(n, spelling) {
		return false
	}
	if len(n) == len(spelling) {
		return true
	}
	last := spelling[len(spelling)-1]
	next := n[len(spelling)]
	if !letter(last) {
		return true
	}
	if !letter(next) {
		return true
	}
	// Makers write their own names together: AteraAgent, NinjaRMMAgent, LogMeInRescue, RustDeskQS.
	for _, w := range []string{"agent", "client", "host", "rmm", "rescue", "qs", "msi", "service", "streamer", "viewer", "server", "vnc", "unattended", "control", "one"} {
		if strings.HasPrefix(n[len(spelling):], w) {
			return true
		}
	}
	return false
}

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 0x80 }

// What names carry beside the name.
var (
	nameSigns = strings.NewReplacer("®", "", "™", "", "(r)", "", "(tm)", "", "\u00a0", " ", "\x00", "")
	nameTail  = regexp.MustCompile(`(?i)(?:\s+[-–]?\s*(?:v|version|ver\.?)?\s*\d+(?:\.\d+)+(?:[-.+~]\S*)?|\s*[\[(](?:x64|x86|64[- ]?bit|32[- ]?bit|amd64|arm64|[a-z]{2}-[a-z]{2}|user|machine|remove only)[\])]|\s+(?:x64|x86|64-bit|32-bit|amd64|arm64))\s*$`)
)

// plainName brings a display name into the form in which the table has them.
func plainName(s string) string {
	s = nameSigns.Replace(strings.ToLower(s))
	s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
	for range 3 {
		cut := nameTail.ReplaceAllString(s, "")
		if cut == s || cut == "" {
			break
		}
		s = cut
	}
	return strings.Trim(s, ` "'`)
}
