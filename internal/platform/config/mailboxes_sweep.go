package config

import (
	"fmt"
	"slices"
	"time"
)

// MailTrigger is what starts a sweep by itself.
type MailTrigger string

// The triggers.
const (
	SweepOnIndicator MailTrigger = "indicator" // an indicator that was not among those loaded before
	SweepOnCampaign  MailTrigger = "campaign"  // a campaign whose mail is known
	SweepOnVerdict   MailTrigger = "verdict"   // mail that was delivered without a verdict
)

// MailTriggers lists the triggers.
var MailTriggers = []MailTrigger{SweepOnIndicator, SweepOnCampaign, SweepOnVerdict}

// The acts of a sweep that starts by itself.
const (
	SweepList  = "list"  // a dry run, kept as an offer
	SweepApply = "apply" // messages are moved
)

// MailSweep is how sweeps start by themselves: the key sweep of the mail section.
type MailSweep struct {
	On      []MailTrigger
	Act     string        // SweepList or SweepApply
	Since   time.Duration // how old delivered mail may be
	PerHour int           // sweeps of one tenant; further ones wait
	Most    int           // messages that one sweep may move; one that finds more is offered instead
}

// mailFollow reads what is done with delivered mail.
func (o *object) mailFollow(m *MailGate) {
	o.duration("poll", &m.Poll, time.Second, 24*time.Hour)
	if sub, ok := o.section("thanks", "from", "host", "port", "tls", "username", "password_file"); ok {
		t := sub.thanks()
		for i := range m.Mailboxes {
			if b := &m.Mailboxes[i]; b.Kind == MailboxReports && b.Thanks == nil {
				b.Thanks = t
			}
		}
	}
	sub, ok := o.section("sweep", "on", "act", "since", "per_hour", "most")
	if !ok {
		return
	}
	s := &MailSweep{On: MailTriggers, Act: SweepList, Since: 48 * time.Hour}
	if sub.has("on") {
		s.On = nil
		for _, it := range sub.texts("on") {
			switch t := MailTrigger(it.text); {
			case !slices.Contains(MailTriggers, t):
				it.fail(fmt.Sprintf("%q starts no sweep", printable(it.text)), "write one of "+join(MailTriggers, ", "))
			case !slices.Contains(s.On, t):
				s.On = append(s.On, t)
			}
		}
	}
	switch it := sub.text("act"); it.text {
	case "", SweepList:
	case SweepApply:
		s.Act = SweepApply
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is no act of a sweep", printable(it.text)), "write list (say what would be moved) or apply (move it)")
		}
	}
	sub.duration("since", &s.Since, time.Hour, 90*24*time.Hour)
	perHour, most := int64(20), int64(200)
	sub.count("per_hour", &perHour, 1, 10_000)
	sub.count("most", &most, 1, 10_000)
	s.PerHour, s.Most = int(perHour), int(most)
	m.Sweep = s
	if len(s.On) > 0 && m.Journal == nil && !slices.ContainsFunc(m.Mailboxes, func(b Mailbox) bool { return b.Kind != MailboxReports }) {
		sub.r.warn(sub.line, sub.path, "there is no mailbox of kind sweep and no journal, so that nothing is swept", "add one under mail.mailboxes")
	}
}
