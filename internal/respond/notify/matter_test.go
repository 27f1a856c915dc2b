package notify

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestAMatterGoesToThoseWhoMayKnowIt(t *testing.T) {
	p := NewPlanner([]Channel{{Name: "all", All: true, Scope: tenant.ScopeAll()}, {Name: "acme", Scope: tenant.ScopeOf("acme")}, {Name: "borg", Scope: tenant.ScopeOf("borg")},
		{Name: "quiet", Scope: tenant.ScopeOf("acme"), Min: ocsf.SeverityCritical}}, Rules{})
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	b := Body{Kind: KindMail, Subject: "s1", Severity: ocsf.SeverityHigh, Title: "a\r\nBcc: x", Text: []string{"one\nline"}}
	got := p.Matter("acme", b, now)
	if len(got) != 2 || got[0].Channel != "all" || got[0].Tenant != "" || got[1].Channel != "acme" || got[1].Tenant != "acme" {
		t.Fatalf("told: %+v", got)
	}
	var body Body
	if err := json.Unmarshal(got[1].Body, &body); err != nil || body.Title != "a Bcc: x" && body.Title != "a  Bcc: x" || len(body.Tenants) != 1 || body.Text[0] != "one line" {
		t.Errorf("the body is %+v, %v", body, err)
	}
	if again := p.Matter("acme", b, now.Add(time.Hour)); again[0].ID != got[0].ID {
		t.Error("the same matter has two ids")
	}
	if b.Subject = "s2"; p.Matter("acme", b, now)[0].ID == got[0].ID {
		t.Error("two matters have one id")
	}
}
