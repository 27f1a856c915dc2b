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
	n := folded(name)
	if n == "" {
		return nil
	}
	first, _, _ := strings.Cut(n, " ")
	if list := c.generic[first]; list != nil {
		by, plain := folded(publisher), withoutTail(n)
		for _, g := range list {
			if begins(plain, g.name) && by != "" && strings.HasPrefix(by, g.publisher) {
				return g.p
			}
		}
	}
	if !c.words[first] && !c.starts[[2]byte{n[0], n[min(1, len(n)-1)]}] {
		return nil // most programs of an inventory end here
	}
	for _, e := range c.prefix {
		if hasWord(n, e.name) {
			return e.p
		}
	}
	if !c.words[first] {
		return nil
	}
	plain := withoutTail(n)
	if p := c.whole[plain]; p != nil {
		return p
	}
	if p := c.packages[plain]; p != nil {
		return p
	}
	return c.listed[plain]
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
func plainName(s string) string { return withoutTail(folded(s)) }

// folded is a name in lower case, without signs of trade and with single blanks.
func folded(s string) string {
	return strings.Trim(strings.Join(strings.FieldsFunc(nameSigns.Replace(strings.ToLower(s)), unicode.IsSpace), " "), ` "'`)
}

// withoutTail takes versions, architectures and languages off a folded name's end.
func withoutTail(s string) string {
	for range 3 {
		if last := s[max(len(s)-1, 0):]; !strings.ContainsAny(last, "0123456789)]t") {
			break
		}
		cut := nameTail.ReplaceAllString(s, "")
		if cut == s || cut == "" {
			break
		}
		s = cut
	}
	return strings.Trim(s, ` "'`)
}
