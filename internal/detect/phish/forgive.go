package phish

import "github.com/breakwater-project/breakwater/internal/record/ocsf"

// Forgive stops being wary, for the tenant of a mail, of where the mail leads and of its sender's place: what an earlier
// verdict on it left behind, which would keep it from being learned as the clean mail that a person calls it. Other
// tenants stay as wary as they were.
func (d *Detector) Forgive(e *ocsf.Event) {
	if e == nil || e.Mail == nil {
		return
	}
	s := d.state.Mail[e.Tenant]
	if s == nil {
		return
	}
	x := d.read(e)
	for _, apex := range append(x.apexes(), apexOf(x.fromDomain)) {
		delete(s.Flagged, apex)
		delete(s.Lures, apex)
	}
}

// apexes are those of the links.
func (x *message) apexes() []string {
	out := make([]string, 0, len(x.links)+1)
	for _, l := range x.links {
		out = append(out, l.apex)
	}
	return out
}
