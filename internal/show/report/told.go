package report

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// telling is what one concerned tenant would be told: its own part of a campaign and nothing of any other's.
type telling struct {
	Tenant     tenant.ID
	Outcome    campaign.Outcome
	Says       string   // what happened there
	Seen       []string // its own findings, at most mostSeen
	Indicators []string // what the intruder brought, at most mostSeen
	Asks       string   // what it is asked to do
}

const mostSeen = 5

// tellings draws up what each tenant that the campaign concerns (every one but the clear) would be told.
func (n namer) tellings(res *campaign.Result, c *campaign.Campaign) []telling {
	byID := make(map[string]*ocsf.Finding, len(res.List))
	for _, f := range res.List {
		byID[f.ID] = f
	}
	others := n.others(res)
	var out []telling
	for _, o := range outcomes[:4] {
		for _, t := range c.Tenants {
			if t.Outcome == o {
				out = append(out, n.telling(res, c, t, byID, others))
			}
		}
	}
	return out
}

func (n namer) telling(res *campaign.Result, c *campaign.Campaign, t campaign.TenantOutcome, byID map[string]*ocsf.Finding, others map[tenant.ID][]string) telling {
	out := telling{Tenant: t.Tenant, Outcome: t.Outcome}
	via := "a partner's access"
	if t.Trust != "" { // the partner is its own, so the tenant knows it by name
		via = "the access that you gave " + n.partner(c.Partner) + " (" + string(t.Trust) + ")"
		if tr := n.model.Trust(t.Trust); c.Partner == "" || tr != nil && tr.Partner != c.Partner {
			via = "the access declared as " + string(t.Trust)
		}
	}
	since := ""
	if !t.Since.IsZero() {
		since = " since " + minute(t.Since)
	}
	self := n.isPartner(t.Tenant, c.Partner)
	switch {
	case self:
		out.Says = "Your own systems and accounts are used to reach organisations that trust you" + since + "."
		out.Asks = "Disable the accounts and tools named, keep all logs, and answer the trace requests you are sent."
	case t.Outcome == campaign.Succeeded:
		out.Says = "An intruder got in by " + via + since + "."
		out.Asks = "Suspend that access, reset the accounts named, keep the logs from that time on, and acknowledge."
	case t.Outcome == campaign.Attempted:
		out.Says = "An intruder tried " + via + since + "; nothing shows that it got anything."
		out.Asks = "Suspend or watch that access, check the findings named, and acknowledge."
	case t.Outcome == campaign.Exposed:
		out.Says = "An intruder holds " + via + ". Your telemetry shows no use of it."
		out.Asks = "Suspend or watch that access until it is cleared, and acknowledge."
	default:
		out.Says = "An intruder holds " + via + ". We have no telemetry that would show its use" + n.missing(res, t.Tenant) + "."
		out.Asks = "Suspend that access, look in your own logs for its use, and acknowledge."
	}
	for _, id := range t.Findings {
		f := byID[id]
		if f == nil || f.Tenant != t.Tenant {
			continue
		}
		if line := second(f.Time) + " " + plain(f.Title); len(out.Seen) < mostSeen && !names(line, t.Tenant, others) {
			out.Seen = append(out.Seen, line)
		}
		for _, e := range f.Entities {
			if e.Role != ocsf.RoleInfrastructure || names(e.Value, t.Tenant, others) {
				continue
			}
			if line := spaced(string(e.Type)) + " " + short(e.Value); len(out.Indicators) < mostSeen && !slices.Contains(out.Indicators, line) {
				out.Indicators = append(out.Indicators, line)
			}
		}
	}
	return out
}

func (n namer) missing(res *campaign.Result, id tenant.ID) string {
	for _, g := range gaps(res, n.model) {
		if g.Tenant == id {
			return " (" + layers(g.Layers) + ")"
		}
	}
	return ""
}

// others lists by tenant the words that give it away: its id, name, aliases and domains, in lower case.
func (n namer) others(res *campaign.Result) map[tenant.ID][]string {
	words := map[tenant.ID][]string{}
	for _, id := range tenantsOf(res, n.model) {
		w := []string{string(id)}
		if t := n.model.Tenant(id); t != nil {
			w = append(append(append(w, t.Name), t.Aliases...), t.Domains...)
		}
		for _, x := range w {
			if x = strings.ToLower(strings.TrimSpace(x)); x != "" {
				words[id] = append(words[id], x)
			}
		}
	}
	return words
}

// names reports whether a text gives away any tenant but the one it is for: as a whole word, so that the tenant
// "ash" is not found in "hash".
func names(text string, reader tenant.ID, others map[tenant.ID][]string) bool {
	low := strings.ToLower(text)
	for id, words := range others {
		if id == reader {
			continue
		}
		for _, w := range words {
			if hasWord(low, w) {
				return true
			}
		}
	}
	return false
}

func hasWord(text, word string) bool {
	inside := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for i := 0; ; {
		k := strings.Index(text[i:], word)
		if k < 0 {
			return false
		}
		k += i
		before, _ := utf8.DecodeLastRuneInString(text[:k]) // RuneError at the ends, which is no letter
		after, _ := utf8.DecodeRuneInString(text[k+len(word):])
		if !inside(before) && !inside(after) {
			return true
		}
		i = k + len(word)
	}
}
