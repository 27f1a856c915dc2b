package phish

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Thresholds of the points model. A message's reasons are added up; the sum decides whether and how loudly it is
// told. Without a targeted reason (one that uses the names or the mail of a declared organisation) the sum
// stops at CapCommodity, since phishing that anybody may get is daily life.
const (
	PointsLow    = 25
	PointsMedium = 40
	PointsHigh   = 70
	CapCommodity = PointsHigh - 1
)

// pointsPerUnit is how many points one unit of log odds is: PointsMedium and the base rate together come to an even
// chance.
const pointsPerUnit = 10

// kind groups reasons; the strongest kind present names the rule.
type kind uint8

const (
	kindContext    kind = iota // adds weight, never a finding by itself
	kindCommodity              // phishing as anybody gets it
	kindUnparsable             // what cannot be read cannot be called clean
	kindSpoof                  // a declared organisation's name without its mail system
	kindPartner                // authenticated mail of a partner that differs from its habit
	kindLookalike              // a domain made to look like a declared one
	kindUnderApex              // a declared domain as labels under a foreign apex
)

// rule is what a kind of reason is called in findings.
type rule struct {
	id, title  string
	technique  ocsf.Technique
	confidence int
}

var rules = map[kind]rule{
	kindCommodity:  {"phish/commodity", "Phishing mail", "T1566.002", 50},
	kindUnparsable: {"phish/unparsable", "Mail that cannot be read in full", "T1566.001", 40},
	kindSpoof:      {"phish/impersonation", "Mail in a known organisation's name from elsewhere", "T1566.002", 65},
	kindPartner:    {"phish/partner-lure", "Lure in authenticated mail of a partner", "T1534", 65},
	kindLookalike:  {"phish/lookalike-domain", "Look-alike of a known organisation's domain", "T1566.002", 75},
	kindUnderApex:  {"phish/victim-domain-under-apex", "Known organisation's domain under a foreign apex", "T1566.002", 90},
}

// reason is one observation with its points and a sentence for people.
type reason struct {
	name     string // stable, a row of Priors
	kind     kind
	class    string // one class counts once, by its strongest reason
	points   int
	weight   float64 // log odds; where it is 0 the points tell them
	text     string
	targeted bool   // uses the names or the mail of a declared organisation
	novel    bool   // rests on learned habits
	apex     string // the intruder's registered domain, or the host on a shared platform
}

// verdict is what the reasons of one message come to.
type verdict struct {
	reasons   []reason
	points    int
	severity  ocsf.Severity
	rule      rule
	attached  bool    // the lure is an attachment
	form      bool    // it asks for credentials
	authentic bool    // from the organisation it says it is from
	learned   float64 // log odds that a trained model adds
	called    string  // Clean, Suspicious or Phish, once judged
}

func (v *verdict) add(r reason) {
	if r.weight == 0 {
		r.weight = float64(r.points) / pointsPerUnit
	}
	if r.weight <= 0 {
		return
	}
	for i := range v.reasons {
		old := &v.reasons[i]
		if old.text == r.text {
			return
		}
		if r.class != "" && old.class == r.class {
			if r.weight > old.weight {
				*old = r
			}
			return
		}
	}
	v.reasons = append(v.reasons, r)
}

// sum adds the points, applies the cap and names severity and rule.
func (v *verdict) sum() {
	slices.SortStableFunc(v.reasons, func(a, b reason) int {
		if a.weight != b.weight {
			return cmp.Compare(b.weight, a.weight)
		}
		return strings.Compare(a.text, b.text)
	})
	v.points = 0
	top, targeted := kindContext, false
	for _, r := range v.reasons {
		v.points += r.points
		top = max(top, r.kind)
		targeted = targeted || r.targeted
	}
	switch {
	case top == kindContext:
		v.points = min(v.points, PointsLow-1)
	case !targeted:
		v.points = min(v.points, CapCommodity)
	}
	v.severity = ocsf.SeverityUnknown
	switch {
	case v.points >= PointsHigh:
		v.severity = ocsf.SeverityHigh
	case v.points >= PointsMedium:
		v.severity = ocsf.SeverityMedium
	case v.points >= PointsLow:
		v.severity = ocsf.SeverityLow
	}
	v.rule = rules[max(top, kindCommodity)]
	if top == kindCommodity && v.attached {
		v.rule.technique = "T1566.001"
	}
}

// sentence joins the reasons, strongest first.
func (v *verdict) sentence() string {
	var b strings.Builder
	list := slices.Clone(v.reasons)
	slices.SortStableFunc(list, func(a, b reason) int { return b.points - a.points })
	for i, r := range list {
		if i == 8 {
			b.WriteString("; and " + strconv.Itoa(len(list)-i) + " lesser reasons")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.text)
		if r.points > 0 {
			b.WriteString(" (+" + strconv.Itoa(r.points) + ")")
		}
	}
	return b.String()
}
