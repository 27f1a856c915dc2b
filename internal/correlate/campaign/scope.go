package campaign

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// conclude turns a group into a campaign: scope, accesses, foothold, hops.
func (g *group) conclude(in Evidence) *Campaign {
	c := &Campaign{Partner: g.partner, Accesses: g.accesses(), JoinedBy: g.joinList()}
	c.Start, c.End = g.span()
	c.Drawn = c.End
	from, to := g.clientSpan()
	findings, sessions := map[tenant.ID][]*ocsf.Finding{}, map[tenant.ID][]*hop.Session{}
	for _, f := range g.findings {
		findings[f.Tenant] = append(findings[f.Tenant], f)
	}
	for _, s := range g.sortedTaint() {
		sessions[s.Tenant] = append(sessions[s.Tenant], s)
	}
	for i := range in.Model.Tenants {
		t := &in.Model.Tenants[i]
		c.Tenants = append(c.Tenants, g.scope(t, findings[t.ID], sessions[t.ID], c.Accesses, from, to))
	}
	slices.SortFunc(c.Tenants, func(a, b TenantOutcome) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	c.FirstFoothold = g.foothold(c)
	began := c.began()
	if began.IsZero() || c.FirstFoothold.Time.IsZero() {
		began = c.Start
	}
	c.DwellDays = float64(int(c.End.Sub(began).Hours()/24*10+0.5)) / 10
	c.Hops = g.hops()
	c.ID = shortHash("campaign", string(g.partner), string(g.findings[0].Tenant), g.findings[0].ID)
	c.Summary = c.summary(in.Model)
	return c
}

func (g *group) span() (from, to time.Time) {
	for _, f := range g.findings {
		if from.IsZero() || f.Time.Before(from) {
			from = f.Time
		}
		if f.End.After(to) {
			to = f.End
		}
	}
	for _, s := range g.tainted {
		if s.Start.Before(from) {
			from = s.Start
		}
		if s.End.After(to) {
			to = s.End
		}
	}
	return from.UTC(), to.UTC()
}

// clientSpan is when the intruder was at work outside the partner's own house; where he was not, the whole span.
func (g *group) clientSpan() (from, to time.Time) {
	widen := func(a, b time.Time) {
		if from.IsZero() || a.Before(from) {
			from = a
		}
		if b.After(to) {
			to = b
		}
	}
	for _, f := range g.findings {
		if f.Tenant != g.home {
			widen(f.Time, f.End)
		}
	}
	for _, s := range g.tainted {
		if s.Tenant != g.home {
			widen(s.Start, s.End)
		}
	}
	if from.IsZero() {
		return g.span()
	}
	return from, to
}

// accesses are the ways in that the intruder was seen to hold.
func (g *group) accesses() []Access {
	have := map[Access]bool{}
	for _, s := range g.tainted {
		if !g.ways(s.Partner) || s.Tenant == g.home {
			continue
		}
		t := g.in.Model.Trust(s.Trust)
		switch {
		case t == nil:
		case s.Kind == hop.KindCloud:
			for _, p := range t.CloudPrincipals {
				switch {
				case p.AppID != "" && strings.EqualFold(p.AppID, s.App) && strings.HasPrefix(s.User, "app "):
					have[Access{"cloud-app", strings.ToLower(p.AppID)}] = true
				case p.HomeTenant != "" && !strings.HasPrefix(s.User, "app "):
					have[Access{"cloud-principal", strings.ToLower(p.HomeTenant)}] = true
				case p.AccountID != "" && !strings.Contains(s.User, "@"): // a person's session in another cloud is none of it
					have[Access{"cloud-account", p.AccountID}] = true
				}
			}
			if len(t.CloudPrincipals) == 0 && slices.ContainsFunc(t.Accounts, func(p string) bool { return tenant.MatchAccount(p, s.User) }) {
				have[Access{"cloud-user", s.User}] = true // a person's account at each client, and nothing else is declared
			}
		case s.Kind == hop.KindRMM:
			have[Access{"remote-tool", s.Tool + "/" + s.Instance}] = true
		case s.User != "" && !strings.Contains(s.User, "$"):
			have[Access{"account", s.User}] = true
		case s.Addr.IsValid():
			have[Access{"network", s.Addr.String()}] = true
		}
	}
	for _, f := range g.findings {
		if a, ok := ordersBy(f); ok && g.ways(f.Partner) && f.Tenant != g.home {
			have[a] = true
		}
	}
	if p := g.in.Model.Partner(g.partner); p != nil {
		for _, f := range g.findings {
			if onlyWayIn(f, p, g.in.Model) || commonCause(f, p, g.in.Model) {
				have[Access{"partner-path", string(p.ID)}] = true
			}
		}
	}
	for _, f := range g.findings {
		if f.Layer == tenant.LayerMail && f.Partner == g.partner && f.Partner != "" && f.Tenant != g.home {
			for _, ev := range f.Evidence {
				if m := ev.Event.Mail; m != nil && g.realSender(m) {
					if _, domain, ok := strings.Cut(m.From, "@"); ok {
						have[Access{"mail", domain}] = true
					}
				}
			}
		}
	}
	if len(have) == 0 && g.homeDetectors() >= 2 { // nothing tells yet by which of its ways the intruder will go on
		have[Access{"partner-path", string(g.partner)}] = true
	}
	out := []Access{}
	for a := range have {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Access) int { return strings.Compare(a.Kind+a.Value, b.Kind+b.Value) })
	return out
}

// realSender reports whether a message really came from the partner's mail system, as authentication says.
func (g *group) realSender(m *ocsf.Mail) bool {
	return m.DMARC == "pass" || (m.DMARC == "" && (m.SPF == "pass" || m.DKIM == "pass"))
}

// reaches returns the trust of the campaign's partners by which an access reaches a tenant, or nil.
func (g *group) reaches(a Access, id tenant.ID, from, to time.Time) *tenant.Trust {
	for _, t := range g.in.Model.TrustsInto(id) {
		if !g.ways(t.Partner) || !(t.ValidAt(from) || t.ValidAt(to)) {
			continue
		}
		if grants(t, a) {
			return t
		}
	}
	return nil
}

func grants(t *tenant.Trust, a Access) bool {
	switch a.Kind {
	case "account", "cloud-user":
		return slices.ContainsFunc(t.Accounts, func(p string) bool { return tenant.MatchAccount(p, a.Value) })
	case "network":
		addr, err := netip.ParseAddr(a.Value)
		return err == nil && (slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(addr) }) || slices.Contains(t.JumpHosts, a.Value))
	case "partner-path": // somebody came in by it, and the log that would name the account is missing
		return len(t.Accounts) > 0 || len(t.Networks) > 0 || len(t.JumpHosts) > 0
	case "mail":
		return slices.ContainsFunc(t.MailDomains, func(d string) bool { return tenant.WithinDomain(a.Value, strings.ToLower(d)) })
	case "remote-tool":
		return slices.ContainsFunc(t.RemoteTools, func(r tenant.RemoteTool) bool {
			return r.Tool+"/"+strings.ToLower(r.Instance) == a.Value || (r.Instance == "" && strings.HasPrefix(a.Value, r.Tool+"/"))
		})
	case "agent":
		tool, instance, _ := strings.Cut(a.Value, "/")
		return slices.ContainsFunc(t.RemoteTools, func(r tenant.RemoteTool) bool {
			return remotetool.Normalise(r.Tool) == tool && (instance == "" || r.Instance == "" || strings.EqualFold(r.Instance, instance))
		})
	case "cloud-principal":
		return slices.ContainsFunc(t.CloudPrincipals, func(c tenant.CloudPrincipal) bool { return strings.EqualFold(c.HomeTenant, a.Value) })
	case "cloud-app":
		return slices.ContainsFunc(t.CloudPrincipals, func(c tenant.CloudPrincipal) bool { return strings.EqualFold(c.AppID, a.Value) })
	case "cloud-account":
		return slices.ContainsFunc(t.CloudPrincipals, func(c tenant.CloudPrincipal) bool { return c.AccountID == a.Value })
	}
	return false
}

// String tells an access in words.
func (a Access) String() string {
	switch a.Kind {
	case "partner-path":
		return "an unknown way of " + a.Value + "'s into its clients"
	case "mail":
		return "mail from " + a.Value
	case "agent":
		return "orders to the agent " + strings.TrimSuffix(a.Value, "/")
	}
	return strings.ReplaceAll(a.Kind, "-", " ") + " " + a.Value
}

// shows are the layers of which one at least must send telemetry for the use of an access to be seen.
func shows(a Access) []tenant.Layer {
	switch a.Kind {
	case "mail":
		return []tenant.Layer{tenant.LayerMail}
	case "cloud-principal", "cloud-app", "cloud-account", "cloud-user":
		return []tenant.Layer{tenant.LayerCloud}
	case "agent":
		return []tenant.Layer{tenant.LayerEndpoint} // on the wire an order looks like every other word to the agent
	case "remote-tool":
		return []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork}
	}
	return []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint}
}

// scope gives one tenant its outcome, with the reason, from its findings and the intruder's sessions there.
func (g *group) scope(t *tenant.Tenant, findings []*ocsf.Finding, sessions []*hop.Session, held []Access, from, to time.Time) TenantOutcome {
	o := TenantOutcome{Tenant: t.ID, Outcome: Clear, Findings: []string{}}
	for _, f := range findings {
		o.Findings = append(o.Findings, f.ID)
		if o.Since.IsZero() || f.Time.Before(o.Since) {
			o.Since = f.Time.UTC()
		}
		if o.Trust == "" {
			o.Trust = f.Trust
			if r := g.index.relays[f.ID]; r != nil && o.Trust == "" {
				o.Trust = r.session.Trust
			}
		}
		if f.Detector == "recon" && t.ID == g.home {
			o.Outcome, o.Reason = Succeeded, "the intruder works from its system "+source(f)
		} else if f.Outcome == ocsf.OutcomeSucceeded && (f.Severity >= ocsf.SeverityMedium || g.index.relays[f.ID] != nil) {
			o.Outcome, o.Reason = Succeeded, f.Title
		} else if o.Outcome == Clear {
			o.Outcome, o.Reason = Attempted, f.Title
		}
	}
	means := resetSessions(findings)
	maps.Copy(means, g.cameToRelay())
	for _, s := range sessions {
		if s.Out {
			continue
		}
		if o.Since.IsZero() || s.Start.Before(o.Since) {
			o.Since = s.Start.UTC()
		}
		if o.Trust == "" || s.Trust != "" && g.ways(s.Partner) {
			o.Trust = s.Trust
		}
		switch {
		case !s.Success.IsZero() && !onlyKnocked(s) && !means[s.ID] && !g.onlyReset(s) && o.Outcome != Succeeded:
			o.Outcome, o.Reason = Succeeded, g.successReason(s)
		case o.Outcome == Clear:
			o.Outcome, o.Reason = Attempted, "a session of the intruder's reached it ("+g.why[s.ID]+"), and nothing shows that it got anything"
		}
	}
	if o.Outcome == Clear {
		g.reach(&o, held, from, to)
	}
	return o
}

// resetSessions are a partner's sessions in which credentials were reset that somebody then used: how the intruder came,
// and not yet something that he got. What came of the reset, the finding says.
func resetSessions(list []*ocsf.Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range list {
		if f.Rule != "fanout/reset-takeover" {
			continue
		}
		for _, ev := range f.Evidence {
			if ev.Event.Partner != "" && ev.Event.Session != "" {
				out[ev.Event.Session] = true
			}
		}
	}
	return out
}

// onlyKnocked reports whether a session was refused at several hosts and got no further than a network logon elsewhere,
// as every question to a directory makes one. A desktop, a command, a changed setting or a connection in which somebody
// worked is more.
func onlyKnocked(s *hop.Session) bool {
	refused := map[string]bool{}
	for _, a := range s.Acts {
		switch {
		case a.Kind == "failure":
			refused[a.Target] = true
		case a.Got && !(a.Kind == "logon" && a.Detail == "logon type 3"):
			return false
		}
	}
	return s.Kind != hop.KindCloud && len(refused) >= 2
}

func (g *group) successReason(s *hop.Session) string {
	for _, a := range s.Acts {
		if a.Got {
			return strings.TrimSpace(fmt.Sprintf("%s at %s by %s: %s", a.Kind, firstText(a.Target, "the tenant"), firstText(a.User, s.User, "the intruder"), clip(a.Detail, 80)))
		}
	}
	return "a session of the intruder's got something there"
}

// reach tells exposed, blind and clear apart for a tenant in which nothing of the intruder was seen.
func (g *group) reach(o *TenantOutcome, held []Access, from, to time.Time) {
	if o.Tenant == g.home {
		if s, p := g.workedFrom(); s != nil {
			o.Outcome, o.Since = Succeeded, s.Start.UTC()
			o.Reason = fmt.Sprintf("the intruder works from its system %s: the session into %s left it", p.Name(), s.Tenant)
			return
		}
		o.Reason = "the partner's own house: nothing of the intruder was seen in its telemetry"
		o.Outcome = Exposed
		for _, a := range held {
			if !g.in.Telemetry.Sees(o.Tenant, from, to, shows(a)...) {
				o.Outcome, o.Reason = Blind, fmt.Sprintf("the partner's own house, and the telemetry that would show the use of %s %s is missing (%s)", a.Kind, a.Value, layerNames(shows(a)))
				return
			}
		}
		return
	}
	for _, a := range held {
		t := g.reaches(a, o.Tenant, from, to)
		if t == nil {
			continue
		}
		if !g.in.Telemetry.Sees(o.Tenant, from, to, shows(a)...) {
			o.Trust, o.Outcome = t.ID, Blind
			o.Reason = fmt.Sprintf("%s reaches it by %s, and the telemetry that would show its use is missing (%s)", a, t.ID, layerNames(shows(a)))
			return
		}
		if o.Outcome == Clear {
			o.Trust, o.Outcome = t.ID, Exposed
			o.Reason = fmt.Sprintf("%s reaches it by %s; its telemetry shows nothing of the intruder", a, t.ID)
		}
	}
	if o.Outcome == Clear {
		o.Reason = "no access that the intruder holds reaches it"
	}
}

func layerNames(l []tenant.Layer) string {
	s := make([]string, len(l))
	for i := range l {
		s[i] = string(l[i])
	}
	return strings.Join(s, ", ")
}

// sortedTaint returns the intruder's sessions by start, then id. They only become more, never others.
func (g *group) sortedTaint() []*hop.Session {
	if len(g.ordered) == len(g.tainted) {
		return g.ordered
	}
	out := make([]*hop.Session, 0, len(g.tainted))
	for _, s := range g.tainted {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *hop.Session) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	g.ordered = out
	return out
}

func firstText(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// summary tells the campaign in one sentence.
func (c *Campaign) summary(m *tenant.Model) string {
	count := map[Outcome]int{}
	for _, t := range c.Tenants {
		count[t.Outcome]++
	}
	who := "an unknown way"
	if p := m.Partner(c.Partner); p != nil {
		who = firstText(p.Name, string(p.ID))
	}
	return fmt.Sprintf("An intruder comes through %s: %d tenants entered, %d attempted, %d exposed, %d blind, %d clear.",
		who, count[Succeeded], count[Attempted], count[Exposed], count[Blind], count[Clear])
}
