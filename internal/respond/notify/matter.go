package notify

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// KindMail is a message about delivered mail: a sweep, or a journal that can't be read.
const KindMail Kind = "mail"

// Matter returns the messages that tell of one matter of one tenant that lies beside the conclusions: to each channel that
// may carry it, once for each Body.Subject. It changes nothing of the planner, and may be called beside Plan.
func (p *Planner) Matter(id tenant.ID, b Body, now time.Time) []Message {
	var out []Message
	for _, ch := range p.channels {
		if b.Severity < ch.Min || !ch.All && !ch.Scope.Sees(id) {
			continue
		}
		audience := id
		if ch.All {
			audience = ""
		}
		one := b
		one.Channel, one.Step, one.Tenants = ch.Name, StepNew, []tenant.ID{id}
		one.Text = append([]string(nil), b.Text...)
		out = append(out, one.message(audience, now, ""))
	}
	return out
}
