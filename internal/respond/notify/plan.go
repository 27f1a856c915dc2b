package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Channel is a receiver, with the tenants whose matters it may carry.
type Channel struct {
	Name  string
	All   bool         // its scope is every tenant: one message may speak of several
	Scope tenant.Scope // not used where All is set
	Min   ocsf.Severity
}

// Rules are the limits of telling; a zero field takes the default.
type Rules struct {
	RepeatAfter time.Duration // the same subject isn't told again before, unless it got worse; 24 h
	Interval    time.Duration // what gets worse within it is told in one message; 1 min
	Fresh       time.Duration // what ended longer ago is history that was read in, and isn't told; 72 h
	PerHour     int           // messages of one channel, a quarter of them kept for campaigns; 30
}

// View is what is concluded at a moment.
type View struct {
	Result *campaign.Result
	// Within cuts a result to a scope; what one tenant is told is made from nothing else.
	Within    func(*campaign.Result, tenant.Scope) *campaign.Result
	Tenants   []tenant.ID
	Findings  []*ocsf.Finding               // beside the result: of coverage
	Threshold func(tenant.ID) ocsf.Severity // from the tenant's alert level
	Levels    []alertlevel.Entry            // that run
	Replaying bool                          // the pipeline still works off what it has seen before: nothing is told yet
}

// Planner decides what to tell. It belongs to one goroutine. Its memory is what the outbox holds: after a restart,
// give it the newest messages by Recall, and it goes on where it was.
type Planner struct {
	rules    Rules
	channels []Channel
	told     map[string]*told            // by channel, audience, kind and subject
	sent     map[string][]time.Time      // by channel: messages of the last hour
	held     map[string][]Body           // by channel and audience: beyond the limit
	summary  map[string]time.Time        // by channel and audience: the last
	byID     map[string]map[string]*told // by channel, audience and kind: which findings are told, under what
}

// told is what a channel knows of a subject.
type told struct {
	at       time.Time
	severity ocsf.Severity
	outcomes map[tenant.ID]int // the worst that was told: rank of outcome
	lowered  bool              // it has got better since
	findings map[string]bool
}

// NewPlanner returns a Planner of channels that have been told nothing.
func NewPlanner(channels []Channel, rules Rules) *Planner {
	rules.RepeatAfter = cmp.Or(rules.RepeatAfter, 24*time.Hour)
	rules.Interval = cmp.Or(rules.Interval, time.Minute)
	rules.Fresh = cmp.Or(rules.Fresh, 72*time.Hour)
	rules.PerHour = cmp.Or(rules.PerHour, 30)
	return &Planner{rules: rules, channels: channels, told: map[string]*told{}, sent: map[string][]time.Time{},
		held: map[string][]Body{}, summary: map[string]time.Time{}, byID: map[string]map[string]*told{}}
}

// Recall takes note of messages that were queued before a restart, in any order.
func (p *Planner) Recall(messages []Message) {
	messages = slices.Clone(messages)
	slices.SortStableFunc(messages, func(a, b Message) int { return a.Created.Compare(b.Created) })
	for _, m := range messages {
		var b Body
		if json.Unmarshal(m.Body, &b) != nil || b.Channel != m.Channel {
			continue // not ours, or altered: at worst its subject is told once more
		}
		if b.Kind == KindSummary {
			p.summary[key(m.Channel, m.Tenant)] = m.Created
			continue
		}
		p.note(m.Tenant, b, m.Created)
		p.sent[m.Channel] = append(p.sent[m.Channel], m.Created)
	}
}

// Plan returns the messages that are due now. Call it whenever conclusions change, and at least each minute. Queue
// what it returns before it is called again.
func (p *Planner) Plan(v View, now time.Time) []Message {
	if v.Replaying || v.Result == nil {
		return nil
	}
	p.forget(now)
	own := map[tenant.ID]*campaign.Result{}
	var out []Message
	for _, ch := range p.channels {
		if ch.All {
			out = append(out, p.tell(ch, "", v.Result, tenant.ScopeAll(), v, now)...)
			continue
		}
		for _, id := range v.Tenants {
			if !ch.Scope.Sees(id) {
				continue
			}
			if own[id] == nil {
				own[id] = v.Within(v.Result, tenant.ScopeOf(id))
			}
			out = append(out, p.tell(ch, id, own[id], tenant.ScopeOf(id), v, now)...)
		}
	}
	return out
}

// tell returns what one audience of a channel is told: the matters, the gravest first, then the summary.
func (p *Planner) tell(ch Channel, audience tenant.ID, r *campaign.Result, scope tenant.Scope, v View, now time.Time) []Message {
	matters := matters(r, scope, v, ch, now)
	slices.SortStableFunc(matters, func(a, b Body) int {
		return cmp.Or(cmp.Compare(kindRank(a.Kind), kindRank(b.Kind)), cmp.Compare(b.Severity, a.Severity), a.Last.Compare(b.Last), strings.Compare(a.Subject, b.Subject))
	})
	at := key(ch.Name, audience)
	var out []Message
	for _, b := range matters {
		b.Channel = ch.Name
		step, due := p.due(audience, &b, now)
		if !due {
			continue
		}
		b.Step = step
		fresh := now.Sub(b.Last) <= p.rules.Fresh
		switch {
		case !fresh:
		case p.room(ch.Name, b.Kind):
			p.sent[ch.Name] = append(p.sent[ch.Name], now)
			out = append(out, b.message(audience, now, mark(&b)))
		default:
			p.held[at] = append(p.held[at], b)
		}
		p.note(audience, b, now)
	}
	if held := p.held[at]; len(held) > 0 && now.Sub(p.summary[at]) >= time.Hour {
		out = append(out, summarise(ch.Name, audience, held, now))
		delete(p.held, at)
		p.summary[at] = now
	}
	return out
}

func key(channel string, audience tenant.ID) string { return channel + "\x00" + string(audience) }

func kindRank(k Kind) int {
	return slices.Index([]Kind{KindCampaign, KindLevel, KindIncident, KindFinding}, k)
}

// mark tells the steps of one subject apart: what is new about it.
func mark(b *Body) string {
	parts := []string{b.Severity.String()}
	for _, o := range b.Outcomes {
		parts = append(parts, string(o.Tenant)+"="+string(o.Outcome))
	}
	if b.Step == StepAgain {
		parts = append(parts, b.Last.UTC().Format(time.RFC3339Nano))
	}
	return strings.Join(parts, " ")
}

// due reports whether a matter is news to an audience.
func (p *Planner) due(audience tenant.ID, b *Body, now time.Time) (Step, bool) {
	t := p.known(audience, b)
	if t == nil {
		return StepNew, true
	}
	worse, level, lower := b.Severity > t.severity, true, false
	for _, o := range b.Outcomes {
		peak, known := t.outcomes[o.Tenant]
		worse = worse || !known || outcomeRank(o.Outcome) > peak
		level = level && known && outcomeRank(o.Outcome) >= peak
	}
	current := map[tenant.ID]int{}
	for _, o := range b.Outcomes {
		current[o.Tenant] = outcomeRank(o.Outcome)
	}
	for id, peak := range t.outcomes {
		lower = lower || current[id] < peak
	}
	since := now.Sub(t.at)
	switch {
	case worse:
		return StepWorse, since < 0 || since >= p.rules.Interval
	case lower:
		t.lowered = true
		return "", false
	case t.lowered && level:
		return StepAgain, since < 0 || since >= p.rules.RepeatAfter
	case b.Kind == KindFinding && slices.ContainsFunc(b.Findings, func(id string) bool { return !t.findings[id] }):
		return StepAgain, since < 0 || since >= p.rules.RepeatAfter
	}
	return "", false
}

// known finds what an audience was told of a subject. The id of a campaign or an incident comes from its first
// finding, and may change when an earlier one turns up; any finding in common says that it is the same.
func (p *Planner) known(audience tenant.ID, b *Body) *told {
	at := key(b.Channel, audience) + "\x00" + string(b.Kind)
	if t := p.told[at+"\x00"+b.Subject]; t != nil {
		return t
	}
	if b.Kind != KindCampaign && b.Kind != KindIncident {
		return nil
	}
	var found *told
	for _, id := range b.Findings {
		if t := p.byID[at][id]; t != nil && t != found {
			if found == nil {
				found = t
				continue
			}
			found.merge(t) // two that were told apart have become one
		}
	}
	if found != nil {
		p.told[at+"\x00"+b.Subject] = found
	}
	return found
}

func (t *told) merge(o *told) {
	if o.at.After(t.at) {
		t.at = o.at
	}
	t.severity = max(t.severity, o.severity)
	for id, rank := range o.outcomes {
		t.outcomes[id] = max(t.outcomes[id], rank)
	}
	for id := range o.findings {
		t.findings[id] = true
	}
}

// note remembers that a matter was told, or will be by a summary, or is history.
func (p *Planner) note(audience tenant.ID, b Body, at time.Time) {
	t := p.known(audience, &b)
	if t == nil {
		t = &told{outcomes: map[tenant.ID]int{}, findings: map[string]bool{}}
		p.told[key(b.Channel, audience)+"\x00"+string(b.Kind)+"\x00"+b.Subject] = t
	}
	if at.After(t.at) {
		t.at = at
	}
	t.severity, t.lowered = max(t.severity, b.Severity), false
	for _, o := range b.Outcomes {
		t.outcomes[o.Tenant] = max(t.outcomes[o.Tenant], outcomeRank(o.Outcome))
	}
	group := key(b.Channel, audience) + "\x00" + string(b.Kind)
	if p.byID[group] == nil {
		p.byID[group] = map[string]*told{}
	}
	for _, id := range b.Findings[:min(len(b.Findings), MaxFindings)] {
		t.findings[id] = true
		p.byID[group][id] = t
	}
}

// room reports whether the channel may send one more within the hour.
func (p *Planner) room(channel string, k Kind) bool {
	limit := p.rules.PerHour
	if k != KindCampaign {
		limit = max(limit-limit/4, 1)
	}
	return len(p.sent[channel]) < limit
}

// forgetAfter is how long a subject that nobody spoke of is remembered. What ended so long ago isn't told anyway.
const forgetAfter = 45 * 24 * time.Hour

func (p *Planner) forget(now time.Time) {
	for name, list := range p.sent {
		// A time ahead of now is from before the clock was put back; kept, it would block the channel.
		p.sent[name] = slices.DeleteFunc(list, func(t time.Time) bool { return now.Sub(t) >= time.Hour || t.After(now.Add(time.Minute)) })
	}
	for at, last := range p.summary {
		if last.After(now.Add(time.Minute)) {
			delete(p.summary, at)
		}
	}
	old := func(t *told) bool { return now.Sub(t.at) > max(forgetAfter, 2*p.rules.Fresh) }
	for k, t := range p.told {
		if old(t) {
			delete(p.told, k)
		}
	}
	for _, group := range p.byID {
		for id, t := range group {
			if old(t) {
				delete(group, id)
			}
		}
	}
}

// summarise makes one message of what was held back.
func summarise(channel string, audience tenant.ID, held []Body, now time.Time) Message {
	b := Body{Kind: KindSummary, Step: StepBeyond, Channel: channel, Held: len(held)}
	ids := make([]string, 0, len(held))
	slices.SortStableFunc(held, func(x, y Body) int { return cmp.Compare(y.Severity, x.Severity) })
	for _, h := range held {
		b.Severity = max(b.Severity, h.Severity)
		if h.Last.After(b.Last) {
			b.Last = h.Last
		}
		ids = append(ids, string(h.Kind)+h.Subject+mark(&h))
		if len(b.Text) < maxLines-1 {
			b.Text = append(b.Text, h.subjectLine())
		}
		for _, id := range h.Tenants {
			if !slices.Contains(b.Tenants, id) {
				b.Tenants = append(b.Tenants, id)
			}
		}
	}
	slices.Sort(ids)
	slices.Sort(b.Tenants)
	b.Title = fmt.Sprintf("%d more matters, beyond the messages an hour that this channel may carry", len(held))
	if n := len(held) - len(b.Text); n > 0 {
		b.Text = append(b.Text, fmt.Sprintf("and %d more", n))
	}
	b.Subject = hash(ids...)
	return b.message(audience, now, "")
}
