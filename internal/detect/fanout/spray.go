package fanout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// failure is an account that failed from a place where nobody was known, and has not got in since.
type failure struct {
	At     time.Time
	User   string
	Source string
	Event  *ocsf.Event
}

// guesses is what one tenant saw of guessing: failures that nobody explained, the places that people sign in
// from, and the spraying that goes on.
type guesses struct {
	Failures []failure
	Places   map[string]int // source → successes
	Spray    *ocsf.Finding
	Last     time.Time       // last failure of the spraying
	Sources  map[string]bool // sources that took part in it
	Users    map[string]bool // accounts it tried
	Hits     []string        // accounts it got into
	Lands    map[string]int  // country → successes
	First    time.Time       // when this tenant's sign-ins were first seen
	Usual    int             // most accounts that failed unexplained within a window, up to the day before
	Today    int
	Day      int64
}

// spray looks for one hand that tries many accounts, from one address or from a few that it takes turns with.
// Somebody who mistypes gets in soon after from the same place, and an office's address is known from its
// successes; neither is counted.
func (d *Detector) spray(e *ocsf.Event, emit detect.Emit) {
	g := d.guesses[e.Tenant]
	if g == nil {
		g = &guesses{Places: map[string]int{}, Sources: map[string]bool{}, Users: map[string]bool{}, Lands: map[string]int{}, First: e.Time}
		d.guesses[e.Tenant] = g
	}
	src, user := e.Src.IP.String(), strings.ToLower(e.User.Name)
	if e.Status == ocsf.StatusSuccess {
		g.success(src, user, e, emit)
		return
	}
	if g.Places[src] >= KnownSuccess {
		return
	}
	i := 0
	for i < len(g.Failures) && e.Time.Sub(g.Failures[i].At) > SprayWindow {
		i++
	}
	g.Failures = append(g.Failures[i:], failure{e.Time, user, src, e})
	if len(g.Failures) > maxTouches {
		g.Failures = slices.Clone(g.Failures[len(g.Failures)-maxTouches:])
	}
	if g.Spray != nil && e.Time.Sub(g.Last) > SprayWindow {
		g.Spray, g.Sources, g.Users, g.Hits = nil, map[string]bool{}, map[string]bool{}, nil
	}
	if g.Spray != nil {
		if g.Sources[src] || len(d.shared(g)) > 0 {
			g.grow(e, src, user, emit)
		}
		return
	}
	if !g.begin(d.shared(g), SprayUsers, e, emit) && g.unusual(e.Time) {
		all := map[string]bool{}
		for _, f := range g.Failures {
			all[f.Source] = true
		}
		g.begin(all, WideUsers, e, emit)
	}
}

// strange reports whether hardly anybody was seen to sign in from the event's country.
func (g *guesses) strange(e *ocsf.Event) bool {
	return e.Cloud != nil && e.Cloud.Country != "" && g.Lands[e.Cloud.Country] < KnownSuccess
}

// FruitWindow is how long after a spray a sign-in of one of its accounts from an unknown place is its fruit.
const FruitWindow = 6 * time.Hour

// WideUsers is how many accounts must fail where no source tries two of them: an address for each guess.
const WideUsers = 8

// unusual reports whether far more accounts fail unexplained than they ever did within a window at this tenant.
func (g *guesses) unusual(at time.Time) bool {
	if day := at.Unix() / 86400; day != g.Day {
		g.Usual, g.Today, g.Day = max(g.Usual, g.Today), 0, day
	}
	users := map[string]bool{}
	for _, f := range g.Failures {
		users[f.User] = true
	}
	g.Today = max(g.Today, len(users))
	return at.Sub(g.First) >= 24*time.Hour && len(users) >= WideUsers && len(users) >= 3*max(g.Usual, 2)
}

// shared returns the sources that failed at more than one account within the window.
func (d *Detector) shared(g *guesses) map[string]bool {
	users := map[string]map[string]bool{}
	for _, f := range g.Failures {
		if users[f.Source] == nil {
			users[f.Source] = map[string]bool{}
		}
		users[f.Source][f.User] = true
	}
	out := map[string]bool{}
	for s, u := range users {
		if len(u) > 1 {
			out[s] = true
		}
	}
	return out
}

// begin makes a finding once the sources have together tried enough accounts.
func (g *guesses) begin(shared map[string]bool, enough int, e *ocsf.Event, emit detect.Emit) bool {
	users := map[string]bool{}
	for _, f := range g.Failures {
		if shared[f.Source] {
			users[f.User] = true
		}
	}
	if len(users) < enough {
		return false
	}
	g.Spray = &ocsf.Finding{Tenant: e.Tenant, Layer: e.Layer, Detector: "fanout", Rule: "fanout/password-spray",
		Title: "Many accounts are tried from few places", Technique: "T1110.003", Severity: ocsf.SeverityMedium, Confidence: 70, Outcome: ocsf.OutcomeAttempted}
	for _, f := range g.Failures {
		if shared[f.Source] {
			g.Sources[f.Source], g.Users[f.User], g.Last = true, true, f.At
			g.Spray.AddEvidence(f.Event)
			g.Spray.AddEntity(ocsf.EntityIP, f.Source, ocsf.RoleSource)
		}
	}
	g.Spray.Identify(g.Spray.Time.Truncate(time.Hour), "spray")
	g.tell(emit)
	return true
}

func (g *guesses) grow(e *ocsf.Event, src, user string, emit detect.Emit) {
	if len(g.Users) < maxSprayed {
		g.Users[user] = true
	}
	if len(g.Sources) < maxSprayed {
		g.Sources[src] = true
	}
	g.Last = e.Time
	g.Spray.AddEvidence(e)
	if len(g.Spray.Entities) < 40 {
		g.Spray.AddEntity(ocsf.EntityIP, src, ocsf.RoleSource)
	}
	g.tell(emit)
}

// success clears the failures of somebody who got in from the same place, unless the place was part of a
// spraying: then it got in.
func (g *guesses) success(src, user string, e *ocsf.Event, emit detect.Emit) {
	from := g.Spray != nil && g.Sources[src] && e.Time.Sub(g.Last) < HitWindow
	// Who guesses from rented addresses comes in by yet another: an account just tried, from an address and a
	// country from which nobody was known to sign in. A telephone on the road has the one and not the other.
	elsewhere := g.Spray != nil && g.Users[user] && g.Places[src] == 0 && e.Time.Sub(g.Last) < FruitWindow && g.strange(e)
	if (from || elsewhere) && !g.mistyped(src, user) {
		g.Sources[src] = true
		g.Spray.AddEvidence(e)
		if g.Spray.Outcome != ocsf.OutcomeSucceeded { // the evidence must hold what the finding says
			g.Spray.Evidence[len(g.Spray.Evidence)-1] = ocsf.Evidence{File: e.Raw.File, Record: e.Raw.Record, Event: e}
		}
		g.Spray.Outcome, g.Spray.Severity, g.Spray.Confidence = ocsf.OutcomeSucceeded, ocsf.SeverityHigh, 85
		g.Spray.AddEntity(ocsf.EntityUser, user, ocsf.RoleActor)
		g.Spray.AddEntity(ocsf.EntityIP, src, ocsf.RoleInfrastructure) // rented addresses guess everywhere; this one got in
		if !slices.Contains(g.Hits, user) {
			g.Hits = append(g.Hits, user)
		}
		g.tell(emit)
		return
	}
	if len(g.Places) < MaxKeys {
		g.Places[src]++
	}
	if e.Cloud != nil && e.Cloud.Country != "" && len(g.Lands) < 400 {
		g.Lands[e.Cloud.Country]++
	}
	g.Failures = slices.DeleteFunc(g.Failures, func(f failure) bool { return f.Source == src && f.User == user })
}

// mistyped reports whether the account failed nowhere but at this place, and nobody else did there: that is a person,
// and no guessing.
func (g *guesses) mistyped(src, user string) bool {
	own := false
	for _, f := range g.Failures {
		if (f.Source == src) != (f.User == user) {
			return false
		}
		own = own || f.Source == src
	}
	return own
}

func (g *guesses) tell(emit detect.Emit) {
	g.Spray.Reason = fmt.Sprintf("%d accounts failed from %d addresses from which nobody was known to sign in.", len(g.Users), len(g.Sources))
	if len(g.Hits) > 0 {
		g.Spray.Reason += " One of the addresses then got in as " + strings.Join(g.Hits, ", ") + "."
	}
	emit(g.Spray.Clone())
}

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	var out []string
	for _, k := range actorKeys(e) {
		if e.Partner == "" {
			out = append(out, fmt.Sprintf("%s %s is no partner's: spread over tenants is not counted", k.kind, k.value))
			continue
		}
		out = append(out, fmt.Sprintf("%s %s counts towards %d tenants within %s", k.kind, k.value, MinTenants, Window))
	}
	if guessable(e) {
		out = append(out, fmt.Sprintf("a sign-in of a person: counts towards %d accounts within %s, or makes %s a known place", SprayUsers, SprayWindow, e.Src.IP))
	}
	if len(out) == 0 {
		out = append(out, "no session of a partner, and no sign-in of a person from a known address")
	}
	return out
}

// guessable reports whether the event is a person's sign-in whose outcome and source are known.
func guessable(e *ocsf.Event) bool {
	return e.Class == ocsf.ClassAuthentication && e.Src.IP.IsValid() && e.User.Name != "" && e.Status != ocsf.StatusUnknown &&
		(e.Cloud != nil && !e.Cloud.ServicePrin || e.Layer == tenant.LayerAccess)
}
