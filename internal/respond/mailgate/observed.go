package mailgate

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// ObservedFrom is the score from which a message is written down in observe mode though nothing would be done with it,
// so that thresholds below today's can be tried on what was seen.
const ObservedFrom = 0.2

// Observed is a message that was judged in observe mode: what would have been done with it.
type Observed struct {
	Time       time.Time         `json:"time"`
	Tenant     tenant.ID         `json:"tenant"`
	Direction  string            `json:"direction"`
	Recipients []string          `json:"recipients"`
	From       string            `json:"from"`
	Subject    string            `json:"subject"`
	MessageID  string            `json:"message_id,omitempty"`
	QueueID    string            `json:"queue_id,omitempty"`
	Partner    tenant.PartnerID  `json:"partner,omitempty"`
	Verdict    string            `json:"verdict"`
	Score      float64           `json:"score"`
	Threshold  float64           `json:"threshold"`
	Would      string            `json:"would"` // pass, tag, hold, reject or tempfail
	Reasons    []ocsf.MailReason `json:"reasons,omitempty"`
}

// maxObservedReasons is how many reasons of a message are written down.
const maxObservedReasons = 6

// observe tells what would have been done with a part of a message that no policy of it acted on; near is false where it
// is one of the many that nobody asks about, of which only the number counts.
func (g *Gate) observe(m *milter.Message, p *part, would string) {
	if g.opt.Observed == nil {
		return
	}
	o := Observed{Time: m.Received.UTC(), Tenant: p.tenant, Direction: string(p.direction), Verdict: p.verdict.Verdict, Score: p.verdict.Score, Would: would}
	near := would != "pass" || o.Score >= ObservedFrom
	if near {
		e := p.event
		o.Recipients, o.From, o.Subject, o.MessageID, o.QueueID = p.recipients, e.Mail.From, e.Mail.Subject, e.Mail.MessageID, m.QueueID
		o.Threshold, o.Partner = p.verdict.Threshold, e.Partner
		o.Reasons = p.verdict.Reasons[:min(len(p.verdict.Reasons), maxObservedReasons)]
	}
	g.opt.Observed(o, near)
}
