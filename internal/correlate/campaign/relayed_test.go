package campaign

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// portal is a client at whose web server a supplier's account signs in.
type portal struct {
	*story
	id tenant.ID
}

// portal has the web server sign in to its directory, so that its address has a name.
func (s *story) portal(id tenant.ID) portal {
	s.event(id, -8*day, tenant.LayerEndpoint, from("10.0.0.7"), user("WEB-1$"), logon("", ocsf.StatusSuccess), on("dc-1"))
	return portal{s, id}
}

// signIn is a visit of a partner's account to the web server, so long after Monday morning.
func (p portal) signIn(by_ tenant.PartnerID, account, ip, kind string, after time.Duration) *ocsf.Event {
	return p.event(p.id, after, tenant.LayerEndpoint, by(by_), from(ip), user(account), logon("", ocsf.StatusSuccess), on("web-1"),
		func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "LogonType", Value: kind}} })
}

// scans is a scan by the web server.
func (p portal) scans(sev ocsf.Severity, after time.Duration) *ocsf.Finding {
	e := p.event(p.id, after, tenant.LayerNetwork, from("10.0.0.7"))
	return p.find("recon/horizontal", sev, ocsf.OutcomeAttempted, one(e), ocsf.Entity{Type: ocsf.EntityIP, Value: "10.0.0.7", Role: ocsf.RoleSource})
}

func TestWhatAServerDoesAfterASuppliersVisit(t *testing.T) {
	const home, abroad = "198.51.100.9", "45.77.1.2"
	visit := func(p portal, after time.Duration) { p.signIn("dark", "dark-billing", home, "8", after) }
	for _, c := range []struct {
		name  string
		story func(s *story, south, west portal)
		want  string
	}{
		{"the servers of two clients", func(s *story, south, west portal) {
			visit(south, -4*day)
			visit(south, 0)
			south.scans(ocsf.SeverityMedium, 40*time.Minute)
			visit(west, 2*day)
			west.scans(ocsf.SeverityLow, 2*day+time.Hour)
		}, "dark: south west"},
		{"one client, and the account came from where it never was", func(s *story, south, west portal) {
			e := south.signIn("dark", "dark-billing", abroad, "8", 0)
			s.find("firstcontact/source", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(e), actor("dark-billing"), infra(ocsf.EntityIP, abroad))
			south.scans(ocsf.SeverityMedium, 40*time.Minute)
		}, "dark: south"},
		{"one client alone may be an accident", func(s *story, south, west portal) {
			visit(south, 0)
			south.scans(ocsf.SeverityMedium, 40*time.Minute)
		}, ""},
		{"a supplier who comes all day was there before anything happens", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				for h := -8 * 24; h < 8*24; h += 2 {
					visit(p, time.Duration(h)*time.Hour)
				}
			}
			south.scans(ocsf.SeverityMedium, 40*time.Minute)
			west.scans(ocsf.SeverityMedium, day+100*time.Minute)
		}, ""},
		{"servers that scan at other times too", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				p.scans(ocsf.SeverityLow, -3*day)
				visit(p, 0)
				p.scans(ocsf.SeverityMedium, 40*time.Minute)
			}
		}, ""},
		{"servers that scan before the visit", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				p.scans(ocsf.SeverityMedium, 0)
				visit(p, 10*time.Minute)
			}
		}, ""},
		{"servers of which nothing was known yet", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				visit(p, -9*day+time.Hour)
				p.scans(ocsf.SeverityMedium, -9*day+2*time.Hour)
			}
		}, ""},
		{"scans that somebody approved", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				visit(p, 0)
				p.scans(ocsf.SeverityMedium, 40*time.Minute).Suppressed = &ocsf.Suppression{By: "approval"}
			}
		}, ""},
		{"visits to another host", func(s *story, south, west portal) {
			for _, p := range []portal{south, west} {
				e := p.signIn("dark", "dark-billing", home, "8", 0)
				e.Device = "web-2"
				p.scans(ocsf.SeverityMedium, 40*time.Minute)
			}
		}, ""},
	} {
		s := tell("south", "west", "north")
		c.story(s, s.portal("south"), s.portal("west"))
		if got := brief(s.draw()); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestTheRarestVisitorIsTheLikeliest holds that a provider who works on the server all day is not taken for who brought
// the intruder, where a supplier came once.
func TestTheRarestVisitorIsTheLikeliest(t *testing.T) {
	s := tell("south", "west")
	for _, p := range []portal{s.portal("south"), s.portal("west")} {
		for h := -8 * 24; h < 8*24; h += 6 {
			p.signIn("isl", "isl-kim", "203.0.113.9", "10", time.Duration(h)*time.Hour+20*time.Minute)
		}
		p.signIn("dark", "dark-billing", "198.51.100.9", "8", 0)
		p.scans(ocsf.SeverityMedium, 40*time.Minute)
	}
	c := s.only(t)
	if c.Partner != "dark" || c.FirstFoothold.Ask != "dark" || !strings.Contains(c.FirstFoothold.For, "dark-billing") {
		t.Errorf("through %q, asks %+v", c.Partner, c.FirstFoothold)
	}
	if o := outcomeOf(c, "south"); o.Outcome != Attempted || o.Trust != "dark-south" {
		t.Errorf("a sign-in at a portal and a scan are %s by %q: %s", o.Outcome, o.Trust, o.Reason)
	}
	found := false
	for _, h := range c.Hops {
		for _, e := range h.Evidence {
			found = found || strings.Contains(e.Text, "web-1 began to do what it never did 40m0s after dark came to it as dark-billing")
		}
	}
	if !found {
		t.Errorf("nothing says why the session is the intruder's: %s", asJSON(t, c.Hops))
	}
}

func TestAServerThatMovesOnIsAnEntry(t *testing.T) {
	s := tell("south", "west")
	for _, p := range []portal{s.portal("south"), s.portal("west")} {
		p.signIn("dark", "dark-billing", "198.51.100.9", "8", 0)
		p.scans(ocsf.SeverityMedium, 40*time.Minute)
	}
	e := s.event("south", time.Hour, tenant.LayerEndpoint, from("10.0.0.7"), on("srv-1"))
	s.find("lateral/admin-share-exec", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(e), ocsf.Entity{Type: ocsf.EntityHost, Value: "web-1", Role: ocsf.RoleSource}, actor("svc-backup"), target(ocsf.EntityHost, "srv-1"))
	c := s.only(t)
	if o := outcomeOf(c, "south"); o.Outcome != Succeeded {
		t.Errorf("south is %s: %s", o.Outcome, o.Reason)
	}
	if o := outcomeOf(c, "west"); o.Outcome != Attempted {
		t.Errorf("west is %s: %s", o.Outcome, o.Reason)
	}
}
