package product

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	goversion "github.com/hashicorp/go-version"
)

// maxVersion is the longest text that is looked at as a version or a bound.
const maxVersion = 200

// Version is one version of a product, from whatever spelling an inventory or an advisory has for it. The zero
// Version is no version; Compare orders the others.
type Version struct {
	text     string             // as it was written, without blanks around it
	main     *goversion.Version // the dotted numbers, and alpha, beta or rc behind them
	segments int                // dotted numbers that were written
	patch    int64              // of a hotfix, service pack or patch behind them; 0: none
	build    int64              // of a build number beside them: "(1234)", "build 1234"; -1: none
	distro   bool               // a Linux distribution's revision of it, which may hold mended flaws
}

// The parts of a version, each as it is spelled in the wild.
var (
	versionLead  = regexp.MustCompile(`(?i)^(?:version|ver\.?|release|v\.?|r)\s*(\d)`)
	versionEpoch = regexp.MustCompile(`^\d{1,3}:(\d)`) // Debian Policy 5.6.12, RPM
	versionMain  = regexp.MustCompile(`^\d+(?:\.\d+)*`)
	versionComma = regexp.MustCompile(`^\d+(?:,\s*\d+){1,5}$`) // VS_FIXEDFILEINFO as resource compilers print it
	versionPre   = regexp.MustCompile(`(?i)^[.\-_ ~]?(alpha|beta|rc|pre|preview|dev|nightly|snapshot)[.\-_ ]?(\d*)$`)
	versionFix   = regexp.MustCompile(`(?i)^[.\-_ ]?(?:hf|hotfix|sp|su|service pack|service update|patch|update|mr|cu)[.\-_ #]?(\d{1,6})$`)
	versionBuild = regexp.MustCompile(`(?i)^[.\-_ ]?(?:\((?:build\s*)?(\d{1,12})\)|build[.\-_ :]?(\d{1,12})|\+(\d{1,12}))$`)
	versionArch  = regexp.MustCompile(`(?i)\s*[\[(]?(?:x64|x86|x86_64|amd64|64-bit|32-bit|64 bit|32 bit|arm64|stable|final|ga|release)[\])]?$`)
	versionRev   = regexp.MustCompile(`(?i)^-[0-9][0-9a-z.+~]*$`)
	versionDist  = regexp.MustCompile(`(?i)(?:deb\d|ubuntu|\.el\d|\.fc\d|\.amzn\d|\.sles|\.suse|\+dfsg|~bpo|\+b\d|\.rhel|\.mga\d|\.oe\d)`)
	versionMeta  = regexp.MustCompile(`(?i)^\+[0-9a-z.\-+]*$`)
)

// ParseVersion reads a version as inventories spell it: 23.9.7.8804, v15.62.4, "7.0.14 (1234)", "24.1 HF2", "10.0
// build 10012", 1:6.3.0-1, "15, 62, 4, 0". It reports false for text that is none: "", n/a, latest, <25.2.3,
// "25.2.3 and earlier", and whatever has a tail whose meaning isn't known, since a guess could make an open door
// look locked.
func ParseVersion(text string) (Version, bool) {
	if len(text) > maxVersion {
		return Version{}, false
	}
	s := strings.Trim(text, " \t\r\n\x00\u00a0\"'")
	out := Version{text: s, build: -1}
	s = versionLead.ReplaceAllString(s, "$1")
	s = versionEpoch.ReplaceAllString(s, "$1")
	if versionComma.MatchString(s) {
		s = strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), ",", ".")
	}
	s = versionArch.ReplaceAllString(s, "")
	main := versionMain.FindString(s)
	if main == "" {
		return Version{}, false
	}
	rest := s[len(main):]
	if rest != "" && rest[0] == '-' && versionDist.MatchString(rest) || strings.Contains(strings.ToLower(rest), "+dfsg") {
		out.distro = true
	}
	pre := ""
	for part := rest; part != ""; {
		switch {
		case versionPre.MatchString(part):
			m := versionPre.FindStringSubmatch(part)
			pre, part = "-"+strings.ToLower(m[1])+"."+cmp.Or(m[2], "0"), ""
		case versionFix.MatchString(part):
			out.patch, _ = strconv.ParseInt(versionFix.FindStringSubmatch(part)[1], 10, 64)
			part = ""
		case versionBuild.MatchString(part):
			m := versionBuild.FindStringSubmatch(part)
			out.build, _ = strconv.ParseInt(cmp.Or(m[1], m[2], m[3]), 10, 64)
			part = ""
		case versionRev.MatchString(part), versionMeta.MatchString(part), out.distro:
			part = "" // a packager's revision says nothing of the maker's version
		default:
			// "24.1 HF2 (1234)": the last word is looked at by itself once.
			i := strings.LastIndexAny(part, " (")
			if i <= 0 || out.build >= 0 {
				return Version{}, false
			}
			if part[i] == ' ' {
				i++
			}
			m := versionBuild.FindStringSubmatch(part[i:])
			if m == nil {
				return Version{}, false
			}
			out.build, _ = strconv.ParseInt(cmp.Or(m[1], m[2], m[3]), 10, 64)
			part = strings.TrimRight(part[:i], " ")
		}
	}
	v, err := goversion.NewVersion(main + pre)
	if err != nil {
		return Version{}, false
	}
	out.main, out.segments = v, strings.Count(main, ".")+1
	if isNothing(v) {
		return Version{}, false // 0.0.0.0 is what installers write that don't know their version
	}
	return out, true
}

func isNothing(v *goversion.Version) bool {
	for _, s := range v.Segments64() {
		if s != 0 {
			return false
		}
	}
	return v.Prerelease() == ""
}

// String returns the version as it was written.
func (v Version) String() string { return v.text }

// IsZero reports whether there is no version.
func (v Version) IsZero() bool { return v.main == nil }

// OfDistribution reports whether a Linux distribution's revision stands behind the version. Distributions mend flaws
// without taking the maker's next version, so that the version doesn't tell which are open.
func (v Version) OfDistribution() bool { return v.distro }

// Compare returns -1, 0 or 1 as v is older than, equal to or newer than w: by the dotted numbers first, missing ones
// being 0, then by hotfix, then, where both have one, by build number.
func (v Version) Compare(w Version) int {
	if v.main == nil || w.main == nil {
		return cmp.Compare(btoi(v.main != nil), btoi(w.main != nil))
	}
	if c := v.main.Compare(w.main); c != 0 {
		return c
	}
	if c := cmp.Compare(v.patch, w.patch); c != 0 {
		return c
	}
	if v.build >= 0 && w.build >= 0 {
		return cmp.Compare(v.build, w.build)
	}
	return 0
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// within compares v with w as exactly as w was written: 23.9.7.8804 is 23.9.7 where an advisory says "23.9.7 and
// earlier", since its makers count builds in a fourth number that the advisory leaves out.
func (v Version) within(w Version) int {
	a, b := v.main.Segments64(), w.main.Segments64()
	for i := range min(w.segments, len(b)) {
		x := int64(0)
		if i < len(a) {
			x = a[i]
		}
		if c := cmp.Compare(x, b[i]); c != 0 {
			return c
		}
	}
	if v.main.Prerelease() != w.main.Prerelease() && v.segments <= w.segments {
		return v.main.Compare(w.main)
	}
	if c := cmp.Compare(v.patch, w.patch); c != 0 {
		return c
	}
	if v.build >= 0 && w.build >= 0 {
		return cmp.Compare(v.build, w.build)
	}
	return 0
}

// has reports whether v belongs to the branch b: 9.4.0.36 to 9.4.
func (v Version) has(b Version) bool {
	a, c := v.main.Segments64(), b.main.Segments64()
	for i := range b.segments {
		if i >= len(a) && c[i] != 0 || i < len(a) && a[i] != c[i] {
			return false
		}
	}
	return true
}

// first returns the first dotted number; -1 where there is no version.
func (v Version) first() int64 {
	if v.main == nil {
		return -1
	}
	return v.main.Segments64()[0]
}

// Bound is which versions an advisory calls affected: those before a version, or up to and with it.
type Bound struct {
	Version Version
	With    bool // the version itself too
}

// The ways in which advisories say it.
var (
	boundBefore  = regexp.MustCompile(`(?i)^(?:all |any )?(?:versions? )?(?:<|before|prior to|earlier than|older than|lower than|less than)\s*(?:version\s+)?(.+)$`)
	boundThrough = regexp.MustCompile(`(?i)^(?:all |any )?(?:versions? )?(?:<=|=<|≤|through|up to and including|up to|until)\s*(?:version\s+)?(.+)$`)
	boundAnd     = regexp.MustCompile(`(?i)^(?:versions? )?(.+?)\s+(?:and|or)\s+(?:earlier|prior|before|below|older|lower|previous)(?: versions?)?$`)
)

// ParseBound reads "<25.2.3", "<= 5.5.7", "before 2025.3.1", "25.2.3 and earlier versions", "versions up to and
// including 12.1.0.89". A version alone is no bound, and neither is n/a.
func ParseBound(text string) (Bound, bool) {
	if len(text) > maxVersion {
		return Bound{}, false
	}
	s := strings.Trim(text, " \t\r\n\x00\u00a0\"'.")
	for _, kind := range []struct {
		form *regexp.Regexp
		with bool
	}{{boundThrough, true}, {boundBefore, false}, {boundAnd, true}} {
		if m := kind.form.FindStringSubmatch(s); m != nil {
			v, ok := ParseVersion(m[1])
			return Bound{v, kind.with}, ok
		}
	}
	return Bound{}, false
}

// Holds reports whether v is among the affected. It is not known where v was written with too few numbers to tell:
// "15" may be any version of 15.
func (b Bound) Holds(v Version) (affected, known bool) {
	if v.IsZero() || b.Version.IsZero() {
		return false, false
	}
	if v.segments < b.Version.segments && v.patch == 0 && v.build < 0 && v.main.Prerelease() == "" && b.Version.has(v) {
		if !b.With && v.Compare(b.Version) >= 0 {
			return false, true // what is left of the bound is zeros
		}
		return false, false
	}
	if b.With {
		return v.within(b.Version) <= 0, true
	}
	return v.Compare(b.Version) < 0, true
}

// String returns the bound with < or <=.
func (b Bound) String() string {
	if b.With {
		return "<=" + b.Version.String()
	}
	return "<" + b.Version.String()
}

// UnmarshalYAML reads a bound from a table.
func (b *Bound) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	var ok bool
	if *b, ok = ParseBound(text); !ok {
		return fmt.Errorf("%q is no bound: write <1.2.3 or <=1.2.3", text)
	}
	return nil
}

// UnmarshalYAML reads a version from a table.
func (v *Version) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	var ok bool
	if *v, ok = ParseVersion(text); !ok {
		return fmt.Errorf("%q is no version", text)
	}
	return nil
}
