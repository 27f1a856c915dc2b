package product

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is whether something is so, as far as one can tell.
type State int8

// The states.
const (
	NotKnown State = iota
	Yes
	No
)

// Bool returns the state as a boolean; known is false for NotKnown.
func (s State) Bool() (value, known bool) { return s == Yes, s != NotKnown }

// Assessment is what is known of one version of a product.
type Assessment struct {
	BelowFixed   State     // Yes: at least one known flaw is in it; No: none of those in the table
	FirstFixed   Version   // the first version without any of the open flaws; zero: none open, or not told
	Open         []string  // CVEs that are in this version, sorted
	KEV          []string  // those of them that are known to be exploited, sorted
	KEVUnjudged  []string  // exploited flaws of the product of which the table can't say whether this version has them
	KEVClear     State     // No: KEV has entries; Yes: no exploited flaw is in it; NotKnown: unjudged or no version
	Supported    State     // whether the maker still mends it
	SupportEnds  time.Time // the end of its last day; zero: not told
	Why          string    // where BelowFixed is not known: the reason
	Sources      []string  // of the lines that decided about flaws
	Unverified   bool      // one of them is from general knowledge
	SupportBy    string    // the source of what Supported says; "" where that is not known
	TableEntries int       // lines about flaws that the table has for the product
}

// Assess says what is known of a version on a platform. The text is as the inventory has it. KEV's catalogue may be
// nil: then the table's own dates of KEV count alone. Support is judged at the given time.
func (p *Product) Assess(version string, on Platform, kev *KEV, at time.Time) Assessment {
	var out Assessment
	out.TableEntries = len(p.Flaws)
	v, ok := ParseVersion(version)
	switch {
	case p.anyAffected():
		out.BelowFixed = Yes
		for _, f := range p.Flaws {
			out.open(f)
		}
	case len(p.Flaws) == 0:
		out.Why = "the table has no versions of " + p.Name
	case !ok && strings.TrimSpace(version) == "":
		out.Why = "the inventory has no version"
	case !ok:
		out.Why = "the version can't be read"
	case v.OfDistribution():
		out.Why = "a distribution's package: flaws are mended in it under older versions"
	default:
		p.judge(v, on, &out)
	}
	p.exploited(&out, kev, ok)
	p.support(v, ok, at, &out)
	slices.Sort(out.Open)
	slices.Sort(out.KEV)
	slices.Sort(out.Sources)
	out.Sources = slices.Compact(out.Sources)
	return out
}

func (p *Product) anyAffected() bool {
	return slices.ContainsFunc(p.Flaws, func(f Flaw) bool { return f.Any })
}

func (a *Assessment) open(f Flaw) {
	if !slices.Contains(a.Open, f.CVE) {
		a.Open = append(a.Open, f.CVE)
	}
	a.cite(f.Source)
	if f.Fixed.Compare(a.FirstFixed) > 0 {
		a.FirstFixed = f.Fixed
	}
}

func (a *Assessment) cite(source string) {
	a.Sources = append(a.Sources, source)
	a.Unverified = a.Unverified || strings.HasPrefix(source, GeneralKnowledge)
}

// judge goes through the flaws, each vulnerability by the line that speaks of this version.
func (p *Product) judge(v Version, on Platform, out *Assessment) {
	unknown, fixedTold := "", true
	var cited []string
	for i, f := range p.Flaws {
		if slices.ContainsFunc(p.Flaws[:i], func(o Flaw) bool { return o.CVE == f.CVE }) {
			continue // with the first line of its vulnerability
		}
		switch line, state := p.lineFor(f.CVE, v, on); state {
		case Yes:
			out.open(line)
			fixedTold = fixedTold && !line.Fixed.IsZero()
		case NotKnown:
			if unknown == "" {
				unknown = "not known for " + f.CVE + ": " + line.Source
			}
		default:
			if line.CVE != "" {
				cited = append(cited, line.Source)
			}
		}
	}
	switch {
	case len(out.Open) > 0:
		out.BelowFixed = Yes
		if !fixedTold {
			out.FirstFixed = Version{}
		}
	case unknown != "":
		out.Why = unknown
	case len(cited) == 0:
		out.Why = "the table has no versions of " + p.Name + " on " + string(on)
	default:
		out.BelowFixed = No
		for _, s := range cited {
			out.cite(s)
		}
	}
}

// lineFor decides about one vulnerability. No with an empty line: it doesn't concern the platform.
func (p *Product) lineFor(cve string, v Version, on Platform) (Flaw, State) {
	var whole *Flaw
	var last Flaw
	branches, above, below := 0, true, true
	for i := range p.Flaws {
		f := &p.Flaws[i]
		if f.CVE != cve || on != "" && len(f.Platforms) > 0 && !slices.Contains(f.Platforms, on) {
			continue
		}
		switch {
		case !f.Branch.IsZero():
			if v.has(f.Branch) {
				return *f, f.holds(v)
			}
			branches++
			last = *f
			above = above && v.Compare(f.Branch) > 0
			below = below && v.Compare(f.Branch) < 0
		case !f.From.IsZero():
			if v.Compare(f.From) >= 0 {
				return *f, f.holds(v)
			}
		default:
			whole = f
		}
	}
	switch {
	case whole != nil:
		return *whole, whole.holds(v)
	case branches == 0:
		return Flaw{}, No
	case above:
		return last, No
	case below:
		last.Source = "the version is older than all that its advisory names"
		return last, NotKnown
	}
	last.Source = "the version lies between those that its advisory names"
	return last, NotKnown
}

// holds reports whether the flaw is in the version, whose branch and platform were looked at.
func (f *Flaw) holds(v Version) State {
	if v.IsZero() {
		return NotKnown
	}
	if f.NumberedFrom > 0 && v.first() < f.NumberedFrom {
		return NotKnown
	}
	if f.Build {
		b, ok := v.buildNumber()
		if !ok {
			return NotKnown
		}
		v = b
	}
	affected, known := f.Affected.Holds(v)
	switch {
	case !known:
		return NotKnown
	case affected:
		return Yes
	}
	return No
}

// buildNumber returns the build as a version of its own: that beside the version, or a version that is a single
// number of at least four digits.
func (v Version) buildNumber() (Version, bool) {
	if v.build >= 0 {
		return ParseVersion(strconv.FormatInt(v.build, 10))
	}
	if v.segments == 1 && v.first() >= 1000 {
		return v, true
	}
	return Version{}, false
}

// exploited holds the assessment against KEV.
func (p *Product) exploited(out *Assessment, kev *KEV, readable bool) {
	for _, cve := range out.Open {
		if p.inKEV(cve, kev) {
			out.KEV = append(out.KEV, cve)
		}
	}
	judged := map[string]bool{}
	for _, f := range p.Flaws {
		judged[f.CVE] = true
	}
	if kev != nil {
		for _, e := range kev.of(p) {
			if !judged[e.CVE] || out.BelowFixed == NotKnown {
				out.KEVUnjudged = append(out.KEVUnjudged, e.CVE)
			}
		}
	}
	slices.Sort(out.KEVUnjudged)
	out.KEVUnjudged = slices.Compact(out.KEVUnjudged)
	switch {
	case len(out.KEV) > 0:
		out.KEVClear = No
	case kev == nil || !readable || len(out.KEVUnjudged) > 0 || out.BelowFixed == NotKnown && len(p.Flaws) > 0:
		// Without the catalogue nobody knows what was added to it since the table was written.
	default:
		out.KEVClear = Yes
	}
}

func (p *Product) inKEV(cve string, kev *KEV) bool {
	if kev != nil {
		if _, ok := kev.Entries[cve]; ok {
			return true
		}
	}
	return slices.ContainsFunc(p.Flaws, func(f Flaw) bool { return f.CVE == cve && !f.KEVAdded.IsZero() })
}

// support says whether the maker still mends the version at a time.
func (p *Product) support(v Version, readable bool, at time.Time, out *Assessment) {
	for _, s := range p.Support {
		var end time.Time
		switch {
		case !s.Ended.IsZero():
			end = s.Ended
		case !readable || at.IsZero():
			continue
		case !s.Below.IsZero():
			if v.Compare(s.Below) >= 0 {
				continue
			}
			end = s.Ends
		case !s.Branch.IsZero():
			if !v.has(s.Branch) {
				continue
			}
			end = s.Ends
			if s.Current {
				out.Supported = Yes
			}
		case s.Policy == PolicyYears:
			end = p.yearsEnd(s, v, at, out)
		case s.Policy == PolicyCurrent && out.BelowFixed == Yes && !out.FirstFixed.IsZero():
			out.Supported = No // a newer version is known, so that this one isn't the current
		default:
			continue
		}
		if !end.IsZero() {
			out.SupportEnds = end.AddDate(0, 0, 1)
			out.Supported = No
			if at.IsZero() || at.Before(out.SupportEnds) {
				out.Supported = Yes
			}
		}
		if out.Supported != NotKnown {
			out.SupportBy = s.Source
		}
		return
	}
}

// yearsEnd is the last day on which a version may still be mended that was released some day in the year that its
// first number tells. Within the last of these years it is not known: then there is neither end nor answer.
func (p *Product) yearsEnd(s Support, v Version, at time.Time, out *Assessment) time.Time {
	year := int(v.first())
	if year < 100 {
		year += 2000
	}
	if year < 2000 || year > 2100 {
		return time.Time{}
	}
	latest := time.Date(year+s.Years, 12, 31, 0, 0, 0, 0, time.UTC)
	if at.Year() == year+s.Years {
		return time.Time{}
	}
	if at.Before(latest) {
		out.Supported = Yes
		return time.Time{}
	}
	return latest
}
