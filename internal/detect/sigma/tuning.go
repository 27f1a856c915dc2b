package sigma

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Allow is one entry of a tenant's or partner's allow-list: matches of one rule that somebody answers for. Parts that
// are empty fit anything, all others must fit. A match that it covers becomes a suppressed finding of its own, so
// that it never hides another.
type Allow struct {
	Rule    string // id or name of a rule or correlation
	Tenant  tenant.ID
	Partner tenant.PartnerID // through whose trust the event came
	Tool    string           // remote tool, lower case without spaces
	Hosts   []string         // on which it happened, in lower case; * stands for any characters
	Hours   tenant.Hours
	Until   time.Time // exclusive; zero: no end
	Owner   string
	Reason  string
}

// ended reports whether the entry is over at that time.
func (a *Allow) ended(at time.Time) bool { return !a.Until.IsZero() && !at.Before(a.Until) }

// covers reports whether the entry, ended or not, is about the event.
func (a *Allow) covers(e *ocsf.Event) bool {
	return (a.Tenant == "" || a.Tenant == e.Tenant) &&
		(a.Partner == "" || a.Partner == e.Partner) &&
		(a.Tool == "" || usesTool(e, a.Tool)) &&
		(len(a.Hosts) == 0 || slices.ContainsFunc(a.Hosts, func(h string) bool { return hostIs(h, device(e)) })) &&
		a.Hours.Contains(e.Time)
}

// hostIs reports whether a host is meant by a pattern; a name alone means that host with whatever domain.
func hostIs(want, host string) bool {
	host = strings.ToLower(host)
	if host == "" {
		return false
	}
	var p pattern
	for i, part := range strings.Split(want, "*") {
		if i > 0 && (len(p) == 0 || p[len(p)-1].kind != tokStar) {
			p = append(p, token{kind: tokStar})
		}
		if part != "" {
			p = append(p, token{tokLiteral, part})
		}
	}
	short, _, _ := strings.Cut(host, ".")
	return p.match([]byte(host)) || !strings.Contains(want, ".") && p.match([]byte(short))
}

// usesTool reports whether an event is one of a remote tool: as its decoder says, or by the name of the program or
// of the one that started it. A folder of that name says nothing: anybody makes one.
func usesTool(e *ocsf.Event, tool string) bool {
	if e.Remote != nil {
		return e.Remote.Tool == tool
	}
	if e.Process == nil {
		return false
	}
	for _, path := range [...]string{e.Process.Image, e.Process.OriginalName, e.Process.ParentImage} {
		name := path[strings.LastIndexAny(path, `\/`)+1:]
		if strings.Contains(strings.ToLower(strings.ReplaceAll(name, " ", "")), tool) {
			return true
		}
	}
	return false
}

// tuning decides which matches somebody answers for.
type tuning struct {
	allow map[string][]*Allow // by id of the rule
	model *tenant.Model
}

// newTuning sorts the entries by the rules that they name.
func newTuning(set *RuleSet, model *tenant.Model, list []Allow) *tuning {
	t := &tuning{allow: map[string][]*Allow{}, model: model}
	for i := range list {
		a := &list[i]
		for _, id := range set.named(a.Rule) {
			t.allow[id] = append(t.allow[id], a)
		}
	}
	return t
}

// named returns the ids of the rules and correlations with that id or name.
func (s *RuleSet) named(name string) []string {
	var out []string
	take := func(r *Rule) {
		if strings.EqualFold(r.ID, name) || r.Name == name && name != "" {
			out = append(out, r.ID)
		}
	}
	for _, r := range s.rules {
		take(r)
	}
	for _, c := range s.correlations {
		take(&c.Rule)
	}
	return out
}

// Unknown returns the rules that entries name and the set has not: such an entry acts on nothing.
func (s *RuleSet) Unknown(list []Allow) []string {
	var out []string
	for i := range list {
		if len(s.named(list[i].Rule)) == 0 && !slices.Contains(out, list[i].Rule) {
			out = append(out, list[i].Rule)
		}
	}
	return out
}

// explains returns who answers for a match, and a sentence on an entry that did and has ended. All events behind the
// match must be covered by one entry.
func (t *tuning) explains(r *Rule, events ...*ocsf.Event) (s *ocsf.Suppression, ended string) {
	for _, a := range t.allow[r.ID] {
		if slices.ContainsFunc(events, func(e *ocsf.Event) bool { return !a.covers(e) }) {
			continue
		}
		if a.ended(events[len(events)-1].Time) {
			if ended == "" {
				ended = endedText("an allow-list entry", a.Owner, a.Until)
			}
			continue
		}
		return &ocsf.Suppression{By: "allow-list", Owner: a.Owner, Reason: a.Reason, Until: a.Until}, ""
	}
	return t.sanctioned(r, events), ended
}

func endedText(what, owner string, until time.Time) string {
	if owner != "" {
		what += " of " + owner
	}
	return fmt.Sprintf("%s that would have suppressed this ended on %s", what, until.UTC().Format("2006-01-02 15:04"))
}

// remoteTools is the technique of rules that find the mere presence of a remote tool (ATT&CK T1219, Remote Access
// Tools, with its sub-techniques).
const remoteTools = "T1219"

// sanctioned returns the trust that declares the remote tool which a rule found at work. Rules that find more than
// its presence, as their other techniques say, are not explained by it.
func (t *tuning) sanctioned(r *Rule, events []*ocsf.Event) *ocsf.Suppression {
	if t.model == nil || slices.ContainsFunc(events, func(e *ocsf.Event) bool { return e.Remote == nil || e.Trust == "" }) {
		return nil
	}
	techniques := r.Techniques()
	if len(techniques) == 0 {
		return nil
	}
	for _, x := range techniques {
		if id, _, _ := strings.Cut(string(x), "."); id != remoteTools {
			return nil
		}
	}
	var by *tenant.Trust
	for _, e := range events {
		trust := t.model.Trust(e.Trust)
		if trust == nil || by != nil && by != trust || trust.Tenant != e.Tenant || !declares(trust, e) {
			return nil
		}
		by = trust
	}
	if by == nil {
		return nil
	}
	return &ocsf.Suppression{By: "trust", Owner: by.Owner, Reason: fmt.Sprintf("the trust %s declares this instance of the remote tool", by.ID), Until: by.ValidUntil}
}

// declares reports whether a trust declares the instance of the remote tool that an event shows, at that time. A
// product without an instance is nobody's in particular and explains nothing.
func declares(t *tenant.Trust, e *ocsf.Event) bool {
	if e.Remote == nil || e.Remote.Instance == "" || !t.ValidAt(e.Time) || !t.Hours.Contains(e.Time) {
		return false
	}
	return slices.ContainsFunc(t.RemoteTools, func(d tenant.RemoteTool) bool {
		return d.Tool == e.Remote.Tool && strings.EqualFold(d.Instance, e.Remote.Instance)
	})
}

// byOf names a suppression in the key of a finding, so that what is suppressed for one reason never takes in what is
// not, or is for another.
func byOf(s *ocsf.Suppression) string {
	if s == nil {
		return ""
	}
	return s.By + "\x00" + s.Owner + "\x00" + s.Reason
}
