package phish

import (
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestForgive(t *testing.T) {
	d := newTest()
	wrong := ocsf.MailVerdict{Verdict: Phish, Score: 0.97, Threshold: 0.5, Rule: "phish/commodity", Points: 42,
		Reasons: []ocsf.MailReason{{Name: "link-bare-address", Weight: 4.2, Text: "as the gateway saw it", Apex: "quiet.example"}}}
	for _, id := range []tenant.ID{"alder", "birch"} {
		e := mailTo(id, "ann@quiet.example", "joe@alderbrook.com", "Lunch", "https://lunch.quiet.example/x")
		d.Learn(e, wrong)
		if s := d.state.Mail[e.Tenant]; s.Flagged["quiet.example"] == 0 || len(s.Sites) != 0 {
			t.Fatalf("%s is not wary of what was called phishing: %v", id, s.Flagged)
		}
	}
	e := mailTo("alder", "ann@quiet.example", "joe@alderbrook.com", "Lunch", "https://lunch.quiet.example/x")
	d.Learn(e, ocsf.MailVerdict{Verdict: Clean})
	if len(d.state.Mail["alder"].Sites) != 0 {
		t.Error("a place that was called phishing is learned without being forgiven")
	}
	d.Forgive(e)
	d.Learn(e, ocsf.MailVerdict{Verdict: Clean})
	s := d.state.Mail["alder"]
	if s.Flagged["quiet.example"] != 0 || s.Lures["quiet.example"] != 0 || len(s.Sites) == 0 {
		t.Errorf("still wary: %v %v, learned %d places", s.Flagged, s.Lures, len(s.Sites))
	}
	if d.state.Mail["birch"].Flagged["quiet.example"] == 0 {
		t.Error("one tenant's word made another less wary")
	}
	d.Forgive(nil)
	d.Forgive(&ocsf.Event{Tenant: "alder"})
	d.Forgive(mailTo("nobody", "a@b.example", "c@d.example", "x", "y"))
	if d.state.Mail["nobody"] != nil {
		t.Error("forgiving made a state")
	}
}
