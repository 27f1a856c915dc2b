package beacon

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Explain says what is known of the pair of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	if e.Flow == nil || !e.Src.IP.IsValid() || !e.Dst.IP.IsValid() {
		return []string{"no answered TCP or UDP flow: no contact is counted"}
	}
	proto, ok := talked(e)
	switch {
	case !ok:
		return []string{"no answered TCP or UDP flow: no contact is counted"}
	case crowd(e.Src.IP) || crowd(e.Dst.IP):
		return []string{"an address of a group or of nobody: no contact is counted"}
	case clockwork(e.Flow, e.Dst.Port):
		return []string{"names and time are asked for at even times by what they are: not counted"}
	}
	networks := house(d.model, e.Tenant)
	if wayOf(networks, e, false) == unseen {
		return []string{"both ends lie in the house and no trust brings them together: not counted"}
	}
	p := d.places[e.Tenant]
	if p == nil {
		return []string{"the first contact of this tenant"}
	}
	k := pairOf(p.Number, e, proto)
	s := d.series[k]
	if s == nil {
		return []string{fmt.Sprintf("%s and %s met hardly ever: intervals are kept from the contact number %d on", k.src(), k.dst(), repeats)}
	}
	score := Score(s.sample(p.First))
	return []string{fmt.Sprintf("%s contacted %s (%s) %d times; the score is %.3f (intervals %.3f, sizes %.3f, hours %.3f, duration %.3f), told from %.2f and %d contacts on",
		k.src(), k.dst(), k.service(), s.Count, score.Total, score.Timestamps, score.Sizes, score.Histogram, score.Duration, MinScore, MinContacts)}
}
