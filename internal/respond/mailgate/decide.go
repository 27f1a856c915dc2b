package mailgate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// strictness ranks actions.
func strictness(a config.MailAction) int { return slices.Index(config.MailActions, a) }

func stricter(a, b config.MailAction) config.MailAction {
	if strictness(b) > strictness(a) {
		return b
	}
	return a
}

// plan is what is to be done with each recipient of a message.
type plan struct {
	actions map[string]config.MailAction // by recipient: what is done
	wanted  []config.MailAction          // by part: what its policies would have
	acted   []bool                       // by part: some policy of it enforces
}

// plan applies the policies. Each part's verdict is that under the strictest policy of its recipients.
func (s *site) plan(m *milter.Message, x *examined) plan {
	pl := plan{actions: map[string]config.MailAction{}, wanted: make([]config.MailAction, len(x.parts)), acted: make([]bool, len(x.parts))}
	for _, r := range m.Recipients {
		pl.actions[r] = config.MailPass
	}
	for i := range x.parts {
		p := &x.parts[i]
		judged, wanted := p.verdict, config.MailPass
		judged.Verdict = ""
		for _, r := range p.recipients {
			policy := s.settings.Policy(p.tenant, r)
			v := apply(policy, p.verdict)
			a := config.MailPass
			switch v.Verdict {
			case phish:
				a = policy.Phish
			case suspicious:
				a = policy.Suspicious
			}
			if p.heightened != "" {
				a = stricter(a, policy.Heightened)
			}
			if judged.Verdict == "" || strictness(a) > strictness(wanted) || a == wanted && rank(v.Verdict) > rank(judged.Verdict) {
				judged, wanted = v, a
			}
			if policy.Mode == config.MailEnforce {
				pl.acted[i] = true
				pl.actions[r] = stricter(pl.actions[r], a)
			}
		}
		if judged.Verdict == "" {
			judged = p.verdict
		}
		if p.heightened != "" {
			judged.Reasons = append([]ocsf.MailReason{{Name: "heightened", Text: p.heightened}}, judged.Reasons...)
			if judged.Verdict == clean {
				judged.Verdict = suspicious
			}
		}
		p.verdict, pl.wanted[i] = judged, wanted
	}
	if s.settings.Several == config.MailStrictest {
		most := config.MailPass
		for _, a := range pl.actions {
			most = stricter(most, a)
		}
		for r := range pl.actions {
			pl.actions[r] = most
		}
	}
	return pl
}

func rank(verdict string) int { return slices.Index([]string{clean, suspicious, phish}, verdict) }

// settle carries out what is in our hands, and says what is in the mail server's.
func (g *Gate) settle(ctx context.Context, s *site, m *milter.Message, x *examined) milter.Decision {
	if len(x.parts) == 0 {
		g.count.message("none", "pass", Inbound)
		return milter.Decision{Action: milter.Pass, Remove: strip(m.Headers, s.settings.ID),
			Insert: []milter.Field{{Name: "X-Breakwater-Verdict", Value: "none; no tenant has these recipients"}}}
	}
	pl := s.plan(m, x)
	var apart []string // recipients that don't get it
	deliver, most, least := false, config.MailPass, config.MailReject
	for _, r := range m.Recipients {
		a := pl.actions[r]
		most = stricter(most, a)
		if strictness(a) < strictness(least) {
			least = a
		}
		if a == config.MailPass || a == config.MailTag {
			deliver = true
		} else {
			apart = append(apart, r)
		}
	}
	if len(m.Recipients) == 0 {
		deliver = true
	}
	mixed := len(apart) > 0 && (deliver || least != most)
	if mixed && g.opt.Store == nil { // nobody could keep the copies of those who may not have it
		mixed, deliver, apart = false, false, m.Recipients
	}
	if x.missing.word != "" && deliver {
		return g.unscanned(s, m, x, x.missing)
	}
	d := milter.Decision{Action: milter.Pass, Remove: strip(m.Headers, s.settings.ID)}
	switch {
	case mixed:
		if err := g.keep(ctx, s, m, x, pl, apart, quarantine.PlaceStore); err != nil {
			return g.unscanned(s, m, x, reason{"hold", err.Error()})
		}
		if !deliver {
			d = milter.Decision{Action: milter.Discard}
			break
		}
		d.RemoveRecipients = apart
	case deliver:
	case most == config.MailHeld && s.settings.Hold.In == config.HoldStore && g.opt.Store != nil:
		if err := g.keep(ctx, s, m, x, pl, apart, quarantine.PlaceStore); err != nil {
			return g.unscanned(s, m, x, reason{"hold", err.Error()})
		}
		d = milter.Decision{Action: milter.Discard}
	case most == config.MailHeld:
		d.Action, d.Text = milter.Hold, "Breakwater: "+x.worst().Verdict+", "+strongest(x)
		if err := g.keep(ctx, s, m, x, pl, apart, quarantine.PlaceMTA); err != nil {
			g.opt.Log.Error("no copy of a held message could be kept; the mail server holds it all the same", "queue_id", m.QueueID, "err", err)
		}
	case most == config.MailReject:
		d = milter.Decision{Action: milter.Reject, Text: "refused as suspected phishing; if it is not, give your contact this reference: " + x.reference(m)}
	case most == config.MailTempFail:
		d = milter.Decision{Action: milter.TempFail, Text: "not taken for now; reference " + x.reference(m)}
	}
	if d.Action == milter.Pass || d.Action == milter.Hold {
		d.Insert = x.insert(s, s.shown(m, x, most, !pl.acted[0] || most == config.MailTag || most == config.MailHeld))
	}
	g.conclude(ctx, s, m, x, pl)
	return d
}

// worst returns the strictest verdict of all parts.
func (x *examined) worst() *ocsf.MailVerdict {
	best := &x.parts[0].verdict
	for i := range x.parts {
		if v := &x.parts[i].verdict; rank(v.Verdict) > rank(best.Verdict) || rank(v.Verdict) == rank(best.Verdict) && v.Score > best.Score {
			best = v
		}
	}
	return best
}

// strongest names the reason that speaks loudest.
func strongest(x *examined) string {
	if v := x.worst(); len(v.Reasons) > 0 {
		return ascii(v.Reasons[0].Name)
	}
	return "score " + fmt.Sprintf("%.2f", x.worst().Score)
}

// shown says what the header of a message tells. Mail that goes out tells of no verdict, unless it is tagged; of several
// tenants' verdicts the worst is told, without its reasons.
func (s *site) shown(m *milter.Message, x *examined, most config.MailAction, reasons bool) *shown {
	inbound := slices.ContainsFunc(x.parts, func(p part) bool { return p.direction == Inbound })
	if !inbound && most != config.MailTag {
		return nil
	}
	v := x.worst()
	out := &shown{verdict: v.Verdict, score: v.Score, reference: x.reference(m)}
	if reasons && len(x.parts) == 1 && v.Verdict != clean {
		for i, r := range v.Reasons {
			if i == 12 {
				break
			}
			out.reasons = append(out.reasons, fmt.Sprintf("%s %+.2f", strings.ReplaceAll(r.Name, ",", " "), r.Weight))
		}
	}
	return out
}

// keep stores a copy for each tenant of some recipients. Recipients of no tenant go with the strictest tenant's copy, so
// that no one's mail is lost.
func (g *Gate) keep(ctx context.Context, s *site, m *milter.Message, x *examined, pl plan, recipients []string, place quarantine.Place) error {
	if g.opt.Store == nil {
		return nil
	}
	left := slices.Clone(recipients)
	byPart := make([][]string, len(x.parts))
	for i := range x.parts {
		if x.parts[i].direction != Inbound {
			continue
		}
		for _, r := range x.parts[i].recipients {
			if j := slices.Index(left, r); j >= 0 {
				byPart[i] = append(byPart[i], r)
				left = slices.Delete(left, j, j+1)
			}
		}
	}
	if len(left) > 0 { // of no tenant, or of a message that goes out
		i := slices.IndexFunc(x.parts, func(p part) bool { return p.direction == Outbound })
		if i < 0 {
			i = 0
			for j := range x.parts {
				if strictness(pl.wanted[j]) > strictness(pl.wanted[i]) {
					i = j
				}
			}
		}
		byPart[i] = append(byPart[i], left...)
	}
	done := make(chan error, 1)
	go func() { done <- g.keepParts(ctx, m, x, byPart, place) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("keeping a copy took too long: %w", ctx.Err())
	}
}

// keepParts stores the copies. Where time has run out meanwhile, the mail server was told that nothing is kept, and what
// was kept goes again.
func (g *Gate) keepParts(ctx context.Context, m *milter.Message, x *examined, byPart [][]string, place quarantine.Place) error {
	type kept struct {
		box  *quarantine.Box
		name string
	}
	var list []kept
	undo := func(why error) error {
		for _, k := range list {
			if err := k.box.Delete(context.WithoutCancel(ctx), k.name, "breakwater: "+oneLine(why.Error()), m.Received, nothing{}); err != nil {
				g.opt.Log.Error("a copy of a message that the mail server still has could not be removed", "name", k.name, "err", err)
			}
		}
		return why
	}
	for i, recipients := range byPart {
		if len(recipients) == 0 {
			continue
		}
		p := &x.parts[i]
		box, err := g.opt.Store.Box(p.tenant)
		if err != nil {
			return undo(fmt.Errorf("keeping a copy for %s: %w", p.tenant, err))
		}
		name, err := box.Keep(item(m, p, recipients, place), m.Raw)
		if err != nil {
			return undo(fmt.Errorf("keeping a copy for %s: %w", p.tenant, err))
		}
		list = append(list, kept{box, name})
		p.verdict.HeldAs = name
	}
	if err := ctx.Err(); err != nil {
		return undo(fmt.Errorf("the mail server was told before it was kept: %w", err))
	}
	return nil
}

// nothing is a mover of messages that wait nowhere else.
type nothing struct{}

func (nothing) Release(context.Context, quarantine.Item, []byte) error { return nil }
func (nothing) Delete(context.Context, quarantine.Item) error          { return nil }

func item(m *milter.Message, p *part, recipients []string, place quarantine.Place) quarantine.Item {
	e := p.event
	v := p.verdict
	var hosts []string
	for _, l := range e.Mail.Links {
		if _, host, _ := l.Target(); host != "" && len(hosts) < 50 && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return quarantine.Item{Time: m.Received.UTC(), Place: place, QueueID: m.QueueID, EnvelopeFrom: m.From, Recipients: recipients,
		MessageID: e.Mail.MessageID, From: e.Mail.From, FromName: e.Mail.FromName, Subject: e.Mail.Subject, BodyHash: e.Mail.BodyHash, Hosts: hosts, Verdict: &v}
}

// conclude learns from the message, publishes what was judged, and counts it.
func (g *Gate) conclude(ctx context.Context, s *site, m *milter.Message, x *examined, pl plan) {
	for i := range x.parts {
		p := &x.parts[i]
		done := config.MailPass
		for _, r := range p.recipients {
			done = stricter(done, pl.actions[r])
		}
		blocked := strictness(done) >= strictness(config.MailTempFail)
		p.verdict.Action = string(done)
		if done != pl.wanted[i] && !pl.acted[i] {
			p.verdict.Action = "observe:" + string(pl.wanted[i])
		}
		if !pl.acted[i] {
			g.observe(m, p, string(pl.wanted[i]))
		}
		g.publish(m, x, p, blocked)
		g.count.message(p.verdict.Verdict, p.verdict.Action, p.direction)
	}
	if !slices.ContainsFunc(x.parts, func(p part) bool { return p.verdict.Action == string(config.MailTempFail) }) {
		g.learn(ctx, x) // the sender of the others comes again
	}
}

func (g *Gate) learn(ctx context.Context, x *examined) {
	for i := range x.parts {
		if err := g.opt.Scorer.Learn(ctx, x.parts[i].event, x.parts[i].verdict); err != nil {
			g.opt.Log.Warn("a message was judged and not learned from", "tenant", x.parts[i].tenant, "err", err)
		}
	}
}

// unscanned decides about a message without a verdict, or with a part of it missing: what x knows is told all the same.
func (g *Gate) unscanned(s *site, m *milter.Message, x *examined, why reason) milter.Decision {
	g.count.unscanned(why.word)
	g.opt.Log.Warn("a message could not be judged", "queue_id", m.QueueID, "why", why.text, "action", s.settings.Unscanned)
	if s.settings.Unscanned == config.MailTempFail || why.word == "hold" {
		return milter.Decision{Action: milter.TempFail, Text: "it could not be looked at; try again later"}
	}
	d := milter.Decision{Action: milter.Pass, Remove: strip(m.Headers, s.settings.ID),
		Insert: []milter.Field{{Name: "X-Breakwater-Unscanned", Value: why.word}}}
	parts := s.route(m)
	if x != nil {
		d.Insert = append(d.Insert, x.insert(s, s.shown(m, x, config.MailPass, true))...)
	}
	if g.opt.Passed != nil {
		byTenant := map[tenant.ID]bool{}
		for _, p := range parts {
			if p.direction != Inbound || byTenant[p.tenant] {
				continue
			}
			byTenant[p.tenant] = true
			g.opt.Passed(Unscanned{Time: m.Received.UTC(), Tenant: p.tenant, Recipients: p.recipients, From: m.From, MessageID: headerMessageID(m.Headers),
				QueueID: m.QueueID, Why: oneLine(why.text)})
		}
	}
	return d
}

// headerMessageID returns the Message-ID as it stands, without brackets.
func headerMessageID(list []milter.Field) string {
	for _, f := range list {
		if strings.EqualFold(f.Name, "message-id") {
			return oneLine(strings.Trim(strings.TrimSpace(f.Value), "<>"))
		}
	}
	return ""
}
