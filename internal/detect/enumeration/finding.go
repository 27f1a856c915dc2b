package enumeration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// tell emits an episode that became more severe or doubled; what grows more slowly is told by the next Advance.
func (d *Detector) tell(ts *tenantState, key sourceKey, s *source, emit detect.Emit) {
	if ep := s.Episode; ep.Told == 0 || ep.Count >= 2*ep.Told {
		d.emit(ts, key, s, emit)
	}
}

func (d *Detector) emit(ts *tenantState, key sourceKey, s *source, emit detect.Emit) {
	s.Episode.Told, s.Episode.Dirty = s.Episode.Count, false
	emit(d.finding(ts, key, s))
}

// close ends the source's episode.
func (d *Detector) close(ts *tenantState, key sourceKey, s *source, emit detect.Emit) {
	if s.Episode.Dirty {
		d.emit(ts, key, s, emit)
	}
	ts.doubt(key, s)
	s.Episode = nil
	delete(ts.active, key)
}

// ordered returns the kinds, those that say most first.
func (ep *episode) ordered() []kindPeak {
	list := slices.Clone(ep.Kinds)
	rank := func(k kindPeak) int {
		t := &traits[k.Kind]
		r := 8 * int(k.Level)
		if t.hostile {
			r += 4
		}
		if t.weak {
			r -= 8
		}
		return r + t.points
	}
	slices.SortFunc(list, func(a, b kindPeak) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// technique returns the kind's own technique where it was seen, else the first by number: not the first that came.
func (k *kindPeak) technique() ocsf.Technique {
	if own := traits[k.Kind].technique; slices.Contains(k.Techniques, own) {
		return own
	}
	return slices.Min(k.Techniques)
}

// confidence is how sure a finding is, by its severity.
var confidence = map[ocsf.Severity]int{ocsf.SeverityLow: 40, ocsf.SeverityMedium: 65, ocsf.SeverityHigh: 85}

// finding says what the episode has found so far. Its id rests on the source, the trust, whether it was approved and
// the episode's start, so that each saying replaces the one before.
func (d *Detector) finding(ts *tenantState, key sourceKey, s *source) *ocsf.Finding {
	ep := s.Episode
	first := ep.Evidence[0]
	list := ep.ordered()
	f := &ocsf.Finding{Tenant: ts.id, Layer: first.Layer, Detector: name, Technique: list[0].technique(), Severity: ep.Severity,
		Confidence: confidence[ep.Severity], Outcome: ocsf.OutcomeAttempted, Snapshot: d.model.Version}
	if ep.Granted {
		f.Outcome = ocsf.OutcomeSucceeded
	}
	if s.Class == partner {
		f.Trust, f.Partner = first.Trust, first.Partner
	}
	f.Identify(time.Unix(0, ep.Start).UTC(), string(key.Trust), key.name(), fmt.Sprint(key.Approved))
	broad := breadthLevel(ep.Breadth) > list[0].Level || breadthLevel(ep.Breadth) > levelNone && traits[list[0].Kind].weak
	if f.Rule = ruleOf[traits[list[0].Kind].family]; broad {
		f.Rule = "enumeration/broad"
	}
	for _, e := range ep.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.Unix(0, ep.Start).UTC(), time.Unix(0, ep.Last).UTC(), ep.Count
	if key.Addr.IsValid() {
		f.AddEntity(ocsf.EntityIP, key.name(), ocsf.RoleSource)
	}
	f.AddEntity(ocsf.EntityUser, first.Owner.String(), ocsf.RoleActor)
	f.AddEntity(ocsf.EntityHost, first.OwnerHost, ocsf.RoleSource)
	for _, who := range ep.Actors {
		f.AddEntity(ocsf.EntityUser, who, ocsf.RoleActor)
	}
	for _, t := range ep.Targets {
		f.AddEntity(t.Type, t.Value, t.Role)
	}
	f.Title = ep.title(s.Class, key, f, list, broad)
	f.Reason = ep.reason(s.Class, key, list)
	if ep.Explained && ep.doubtful(s.Class) {
		f.Severity, f.Confidence = ocsf.SeverityInformational, confidence[ocsf.SeverityLow]
		f.Title = "Domain controllers replicate, as " + key.name() + " turned out to be one"
		f.Reason += " Since then it was seen to serve others as a domain controller, or its name and other addresses did, so that this is what controllers do among themselves."
	}
	if p := ep.Approval; p != nil {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: p.Owner, Reason: p.Reason, Until: p.Until}
		f.Reason += fmt.Sprintf(" It is approved by %s until %s: %s.", p.Owner, p.Until.UTC().Format(time.RFC3339), p.Reason)
	}
	return f
}

// titles are the findings' titles by the kind that says most.
var titles = [kinds]string{
	kindReverse: "Names of many addresses asked for", kindService: "Services looked for by name", kindGuess: "Host names guessed", kindTransfer: "Zone transfer asked for",
	kindDirectory: "Directory searched broadly", kindPointed: "Directory searched for ways in", kindUsers: "Account names tried at Kerberos",
	kindPreauth: "Accounts tried for tickets without a password", kindASREP: "Tickets taken without a password", kindRoast: "Service tickets collected (Kerberoasting)",
	kindTickets: "Many service tickets collected", kindShares: "Shares of many hosts listed", kindAdmin: "Admin shares of many hosts opened", kindIPC: "IPC$ of many hosts opened",
	kindCrawl: "Many shares opened", kindAccounts: "Accounts listed", kindGroups: "Groups and their members listed", kindTrusts: "Domain trusts listed",
	kindPolicy: "Domain information read", kindLookups: "Names and SIDs looked up in bulk", kindSessions: "Sessions of many hosts listed", kindFiles: "Open files of many hosts listed",
	kindHost: "Many hosts asked what they are", kindConfig: "Services or registry of many hosts listed", kindEndpoints: "RPC endpoints of many hosts dumped",
	kindReplication: "Directory replicated by a host that is no domain controller (DCSync)", kindAnonymous: "Many hosts asked over NTLM without an account", kindPipes: "Discovery pipes of many hosts opened",
}

func (ep *episode) title(c class, key sourceKey, f *ocsf.Finding, list []kindPeak, broad bool) string {
	from := "by " + key.name()
	switch {
	case c == partner:
		from = fmt.Sprintf("through partner %s (%s)", f.Partner, key.name())
	case c == foreign:
		from = "from undeclared network (" + key.name() + ")"
	case key.Addr.IsValid():
		from = "by own host " + key.name()
	}
	if broad {
		return fmt.Sprintf("Directory and hosts enumerated in %d ways %s", len(list), from)
	}
	return titles[list[0].Kind] + " " + from
}

// reason says every sign in plain words, with its figure and its limit.
func (ep *episode) reason(c class, key sourceKey, list []kindPeak) string {
	var b strings.Builder
	var techniques []string
	for i, k := range list {
		for _, t := range slices.Sorted(slices.Values(k.Techniques)) {
			if !slices.Contains(techniques, string(t)) {
				techniques = append(techniques, string(t))
			}
		}
		if i == 0 {
			b.WriteString(key.name() + " ")
		} else {
			b.WriteString(" It ")
		}
		ep.describe(&b, k)
	}
	if l := breadthLevel(ep.Breadth); l >= levelFew {
		fmt.Fprintf(&b, " Together these kinds weigh %d points within ten minutes (limit %d, clear from %d).", ep.Breadth, breadthFew, breadthMany)
	}
	if slices.ContainsFunc(list, func(k kindPeak) bool { return k.Kind == kindReplication }) {
		b.WriteString(" No domain controller was seen at this address or under this name, and nothing that replicated on earlier days.")
	}
	if ep.ForOthers {
		b.WriteString(" It answers questions for names itself, so it may have asked for others.")
	}
	if !ep.Warm && ep.Approval == nil {
		fmt.Fprintf(&b, " This tenant was watched for %s only (warm-up %s), so what is usual is not known yet.", span(ep.Age), span(warmUp))
	}
	fmt.Fprintf(&b, " Techniques: %s.", strings.Join(techniques, ", "))
	if c != partner {
		b.WriteString(" No partner's access was used.")
	}
	return b.String()
}

// singular mends what the kinds' texts say of one.
var singular = strings.NewReplacer("1 addresses", "1 address", "1 kinds", "1 kind", "1 names that don't", "1 name that doesn't", "1 things", "1 thing",
	"1 accounts that don't", "1 account that doesn't", "1 accounts and", "1 account and", "with them", "with it", "1 accounts that need", "1 account that needs", "1 services", "1 service",
	"1 hosts who", "1 host who", "1 hosts what they are", "1 host what it is", "1 hosts", "1 host", "1 shares", "1 share", "1 times", "once", "1 domain controllers", "1 domain controller")

// describe says one kind in words, with its figures and limits.
func (ep *episode) describe(b *strings.Builder, k kindPeak) {
	t := &traits[k.Kind]
	n, period, factor := k.Peak, "ten minutes", 1
	if k.Day > 0 && k.Level < levelMany && k.Peak < t.few {
		n, period, factor = k.Day, "a day", longFactor
	}
	what := fmt.Sprintf(t.what, n)
	if n == 1 {
		what = singular.Replace(what)
	}
	b.WriteString(what)
	if n >= maxThings {
		b.WriteString(" or more")
	}
	fmt.Fprintf(b, " within %s (limit %d", period, t.few*factor)
	if t.many > t.few {
		fmt.Fprintf(b, ", clear from %d", t.many*factor)
	}
	b.WriteString(")")
	if k.Fast > 1 && k.Fast*2 >= k.Peak && factor == 1 {
		fmt.Fprintf(b, ", %d of them within a minute", k.Fast)
	}
	if k.Usual > 0 {
		fmt.Fprintf(b, "; on %s before it was at most %d", plural(k.Days, "day"), k.Usual)
	}
	if len(k.Objects) > 0 {
		b.WriteString(", such as " + strings.Join(k.Objects, ", "))
	}
	b.WriteString(".")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span writes a duration in nanoseconds as people say it.
func span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < 2*time.Minute:
		return plural(int(d.Round(time.Second).Seconds()), "second")
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
