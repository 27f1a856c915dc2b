package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// outcomes lists the words for a tenant, worst first, as they are shown.
var outcomes = []campaign.Outcome{campaign.Succeeded, campaign.Attempted, campaign.Exposed, campaign.Blind, campaign.Clear}

// meaning says in a few words what each outcome states (DESIGN: scope of a campaign).
var meaning = map[campaign.Outcome]string{
	campaign.Succeeded: "the intruder got something there",
	campaign.Attempted: "intruder activity reached it; nothing shows success",
	campaign.Exposed:   "an access the intruder holds reaches it; nothing of the intruder is seen",
	campaign.Blind:     "the telemetry that would show it is missing",
	campaign.Clear:     "telemetry exists, and nothing of the intruder is there",
}

// nobodyTold is the honest answer to the fifth question for a scan: a scan sends nothing.
const nobodyTold = "Nobody yet. No advisory has been sent: advisories are drawn up per tenant from the list of what each would be told."

// answers are the five questions of one campaign in plain words.
type answers struct {
	Who, Where, Which, Since, Told string
}

// namer turns ids into the names that people use.
type namer struct{ model *tenant.Model }

func (n namer) tenant(id tenant.ID) string {
	if id == "" {
		return "outside"
	}
	if t := n.model.Tenant(id); t != nil && t.Name != "" {
		return t.Name
	}
	return string(id)
}

func (n namer) partner(id tenant.PartnerID) string {
	if p := n.model.Partner(id); p != nil && p.Name != "" && p.Name != string(id) {
		return p.Name + " (" + string(id) + ")"
	}
	return string(id)
}

// isPartner reports whether a tenant is the partner itself, seen by its own telemetry.
func (n namer) isPartner(id tenant.ID, p tenant.PartnerID) bool {
	if p == "" {
		return false
	}
	if partner := n.model.Partner(p); partner != nil && partner.Tenant != "" {
		return partner.Tenant == id
	}
	return false
}

func (n namer) answers(c *campaign.Campaign) answers {
	return answers{Who: n.who(c), Where: n.where(&c.FirstFoothold), Which: n.which(c), Since: n.since(c), Told: nobodyTold}
}

// who answers: who is coming through whom?
func (n namer) who(c *campaign.Campaign) string {
	var b strings.Builder
	into := func() string {
		clients := n.having(c, false, campaign.Succeeded, campaign.Attempted)
		if len(clients) == 0 {
			return "towards tenants that trust it"
		}
		return "into " + list(clients, 6)
	}
	if c.Partner == "" {
		b.WriteString("An intruder, not through a declared partner as far as the telemetry shows")
		if t := n.having(c, false, campaign.Succeeded, campaign.Attempted); len(t) > 0 {
			b.WriteString(", into " + list(t, 6))
		}
		b.WriteString(".")
	} else {
		fmt.Fprintf(&b, "An intruder is coming through %s %s.", n.partner(c.Partner), into())
		var through []string
		for _, t := range n.model.TrustsOf(c.Partner) {
			if t.Through != "" && !slices.Contains(through, n.partner(t.Through)) {
				through = append(through, n.partner(t.Through))
			}
		}
		if len(through) > 0 {
			fmt.Fprintf(&b, " That partner itself comes by way of %s.", list(through, 3))
		}
	}
	if len(c.Accesses) > 0 {
		var held []string
		for _, a := range c.Accesses {
			held = append(held, short(a.String()))
		}
		fmt.Fprintf(&b, " It holds: %s.", list(held, 5))
	}
	return b.String()
}

// where answers: where did it start? Not in our telemetry is an answer, with the request that goes on from it.
func (n namer) where(f *campaign.Foothold) string {
	var s string
	switch {
	case f.Ask != "":
		s = fmt.Sprintf("Not in our telemetry: the trace ends at %s. Ask them to look for %s", n.partner(tenant.PartnerID(f.Ask)), short(f.For))
		if !f.From.IsZero() || !f.To.IsZero() {
			s += " between " + minute(f.From) + " and " + minute(f.To)
		}
		s += "."
	case f.Entity != nil:
		s = fmt.Sprintf("At %s, with the %s %s", n.tenant(f.Tenant), spaced(string(f.Entity.Type)), short(f.Entity.Value))
		if f.Layer != "" {
			s += " (" + string(f.Layer) + ")"
		}
		s += ", at " + minute(f.Time) + "."
	case f.Tenant != "":
		s = fmt.Sprintf("At %s, at %s.", n.tenant(f.Tenant), minute(f.Time))
	default:
		s = "Not known."
	}
	return sentence(s, clip(plain(f.Reason), 320))
}

// which answers: which clients are hit?
func (n namer) which(c *campaign.Campaign) string {
	var parts []string
	for _, o := range outcomes[:4] {
		if t := n.having(c, false, o); len(t) > 0 {
			parts = append(parts, fmt.Sprintf("%s at %d: %s", o, len(t), list(t, 8)))
		}
	}
	s := "No client is hit as far as the telemetry shows"
	if len(parts) > 0 {
		s = capital(strings.Join(parts, "; "))
	}
	if k := len(n.having(c, false, campaign.Clear)); k > 0 {
		s += "; clear at " + count(k, "other", "others")
	}
	s += "."
	for _, t := range c.Tenants {
		if n.isPartner(t.Tenant, c.Partner) {
			s += fmt.Sprintf(" The partner's own systems: %s.", t.Outcome)
		}
	}
	return s
}

// since answers: since when?
func (n namer) since(c *campaign.Campaign) string {
	start := c.FirstFoothold.Time
	if start.IsZero() {
		start = c.Start
	}
	s := fmt.Sprintf("Since %s; dwell time %s.", minute(start), days(c.DwellDays))
	if !c.End.IsZero() {
		s += " Last seen " + minute(c.End) + "."
	}
	if !c.Drawn.IsZero() {
		s += " Drawn from events up to " + minute(c.Drawn) + "."
	}
	return s
}

// having names the tenants with one of the outcomes; the partner's own tenant only where asked.
func (n namer) having(c *campaign.Campaign, partner bool, which ...campaign.Outcome) []string {
	var out []string
	for _, t := range c.Tenants {
		if slices.Contains(which, t.Outcome) && (partner || !n.isPartner(t.Tenant, c.Partner)) {
			out = append(out, n.tenant(t.Tenant))
		}
	}
	return out
}

// calm is what stands where no campaign was found: the plain statement, and what it rests on.
type calm struct {
	Statement string
	Caveats   []string
}

func (n namer) calm(res *campaign.Result) calm {
	t := totals(res)
	c := calm{Statement: "No campaign was found: nothing that was read joins into an intruder coming through a partner."}
	if standing(t) > 0 || len(res.Incidents) > 0 {
		var words []string
		if k := len(res.Incidents); k > 0 {
			words = append(words, count(k, "incident", "incidents"))
		}
		words = append(words, count(standing(t), "finding", "findings"))
		c.Caveats = append(c.Caveats, "Below: "+list(words, 2)+". Each concerns one tenant alone.")
	}
	ids := tenantsOf(res, n.model)
	blind := gaps(res, n.model)
	cells := 0
	for _, g := range blind {
		cells += len(g.Layers)
	}
	switch {
	case res.Input.Events == 0:
		c.Caveats = append(c.Caveats, "Nothing was read, so this says nothing about any tenant.")
	case cells > 0:
		var words []string
		for _, g := range blind {
			words = append(words, n.tenant(g.Tenant)+" ("+layers(g.Layers)+")")
		}
		c.Caveats = append(c.Caveats, fmt.Sprintf("This is not an all-clear: %d of %d tenant layers sent nothing, and an intruder there would not be seen: %s.",
			cells, len(ids)*len(tenant.Layers), list(words, 12)))
	default:
		c.Caveats = append(c.Caveats, "Every tenant sent telemetry on all five layers.")
	}
	if n := unread(res); n > 0 {
		c.Caveats = append(c.Caveats, capital(count(n, "record", "records"))+" could not be read; they are listed under Unparsed.")
	}
	return c
}

func unread(res *campaign.Result) (n int64) {
	for _, u := range res.Unparsed {
		n += u.Count
	}
	return n
}

func layers(ls []tenant.Layer) string {
	w := make([]string, len(ls))
	for i, l := range ls {
		w[i] = string(l)
	}
	return strings.Join(w, ", ")
}

// sentence adds a second sentence, with its capital and its full stop.
func sentence(s, more string) string {
	more = strings.TrimSpace(more)
	if more == "" {
		return s
	}
	if !strings.HasSuffix(more, ".") {
		more += "."
	}
	return s + " " + capital(more)
}

// spaced writes a hyphenated kind as words.
func spaced(kind string) string { return strings.ReplaceAll(kind, "-", " ") }

// short is a value that somebody else chose, fit for a sentence.
func short(s string) string { return clip(plain(s), 100) }

func capital(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// read says what the result rests on, in one line.
func read(res *campaign.Result) string {
	in := res.Input
	s := count(in.Events, "event", "events")
	if in.Files > 0 || in.Bytes > 0 { // a live pipeline reads no files
		s += fmt.Sprintf(" from %s (%s)", count(in.Files, "file", "files"), bytesOf(in.Bytes))
	}
	if n := unread(res); n > 0 {
		s += ", " + count(n, "record", "records") + " unparsed"
	}
	return s
}

func span(res *campaign.Result) string {
	if res.Input.From.IsZero() && res.Input.To.IsZero() {
		return "no time span"
	}
	return minute(res.Input.From) + " to " + minute(res.Input.To)
}

// severities says the totals by severity, worst first, leaving out those without any.
func severities(t campaign.FindingTotals) string {
	var words []string
	for _, s := range []string{"critical", "high", "medium", "low", "informational", "unknown"} {
		if n := t.BySeverity[s]; n > 0 {
			words = append(words, grouped(int64(n))+" "+s)
		}
	}
	return strings.Join(words, ", ")
}
