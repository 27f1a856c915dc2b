package mailgate

import (
	"github.com/breakwater-project/breakwater/internal/intake/decode/mailverdict"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// publish gives the pipeline the record of a part; blocked: the message did not reach the part's recipients.
func (g *Gate) publish(m *milter.Message, x *examined, p *part, blocked bool) {
	v := p.verdict
	p.event.Mail.Verdict = &v
	p.event.Status = ocsf.StatusSuccess
	if blocked {
		p.event.Status = ocsf.StatusFailure
	}
	if g.opt.Publish == nil {
		return
	}
	line, err := mailverdict.Append(nil, p.event, mailverdict.Envelope{Direction: p.direction, Client: m.Client, Helo: m.Helo, From: m.From, To: p.recipients,
		QueueID: m.QueueID, Login: m.Login, Results: x.results})
	if err != nil {
		g.count.lost.Add(1)
		g.opt.Log.Error("the record of a judged message could not be written", "queue_id", m.QueueID, "err", err)
		return
	}
	g.opt.Publish(p.tenant, p.event.Time, line)
}
