package fanout

import (
	"fmt"
	"maps"
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
	Places   map[string]*place // by source
	Spray    *ocsf.Finding     // without its reason
	Last     time.Time         // last failure of the spraying
	Sources  map[string]bool   // sources that took part in it
	Users    map[string]bool   // accounts it tried
	Hits     []string          // accounts it got into
	Lands    map[string]int    // country → successes
	Homes    map[string]*home  // by account
	First    time.Time         // when this tenant's sign-ins were first seen
	Usual    int               // most accounts that failed unexplained within a window, up to the day before
	Today    int
	Day      int64
	tally    tally // of Failures
}

// place is where people sign in from.
type place struct {
	Successes int
	Last      int64
}

func (g *guesses) count() {
	g.tally = newTally()
	for i := range g.Failures {
		g.tally.add(g.Failures[i].Source, g.Failures[i].User)
	}
	for _, m := range [...]*map[string]bool{&g.Sources, &g.Users} {
		if *m == nil {
			*m = map[string]bool{}
		}
	}
	if g.Places == nil {
		g.Places = map[string]*place{}
	}
	if g.Lands == nil {
		g.Lands = map[string]int{}
	}
	if g.Homes == nil {
		g.Homes = map[string]*home{}
	}
}

// maxNamed is where a spraying's finding stops to name the accounts that it got into.
const maxNamed = 200

// spray looks for one hand that tries many accounts, from one address or from a few that it takes turns with.
// Somebody who mistypes gets in soon after from the same place, and an office's address is known from its
// successes; neither is counted.
func (d *Detector) spray(e *ocsf.Event, emit detect.Emit) {
	g := d.guesses[e.Tenant]
	if g == nil {
		g = &guesses{First: e.Time}
		g.count()
		d.guesses[e.Tenant] = g
	}
	src, user := e.Src.IP.String(), strings.ToLower(e.User.Name)
	if e.Status == ocsf.StatusSuccess {
		if g.success(src, user, e) {
			d.hold(g)
		}
		return
	}
	if g.known(src) >= KnownSuccess || !g.Sources[src] && g.Homes[user].explains(e) {
		return
	}
	first := 0
	for first < len(g.Failures) && e.Time.Sub(g.Failures[first].At) > SprayWindow {
		first++
	}
	first = max(first, len(g.Failures)+1-maxTouches)
	for i := range g.Failures[:first] {
		g.tally.remove(g.Failures[i].Source, g.Failures[i].User)
	}
	clear(g.Failures[:first])
	g.Failures = append(g.Failures[first:], failure{e.Time, user, src, e})
	g.tally.add(src, user)
	if g.Spray != nil && e.Time.Sub(g.Last) > SprayWindow {
		d.release(g, emit)
		g.over()
	}
	switch {
	case g.Spray != nil:
		if g.Sources[src] || g.tally.sharing > 0 {
			g.grow(e, src, user)
			d.hold(g)
		}
	case g.tally.sharedUsers >= SprayUsers:
		g.begin(g.tally.shares, e)
		d.hold(g)
	case g.unusual(e.Time):
		g.begin(func(string) bool { return true }, e)
		d.hold(g)
	}
}

// over ends a spraying.
func (g *guesses) over() {
	g.Spray, g.Sources, g.Users, g.Hits = nil, map[string]bool{}, map[string]bool{}, nil
}

func (g *guesses) known(src string) int {
	if p := g.Places[src]; p != nil {
		return p.Successes
	}
	return 0
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
	users := len(g.tally.users)
	g.Today = max(g.Today, users)
	return at.Sub(g.First) >= 24*time.Hour && users >= WideUsers && users >= 3*max(g.Usual, 2)
}

// begin makes a finding of the failures of those sources.
func (g *guesses) begin(of func(source string) bool, e *ocsf.Event) {
	g.Spray = &ocsf.Finding{Tenant: e.Tenant, Layer: e.Layer, Detector: "fanout", Rule: "fanout/password-spray",
		Title: "Many accounts are tried from few places", Technique: "T1110.003", Severity: ocsf.SeverityMedium, Confidence: 70, Outcome: ocsf.OutcomeAttempted}
	for _, f := range g.Failures {
		if of(f.Source) {
			if !g.Sources[f.Source] {
				g.Spray.AddEntity(ocsf.EntityIP, f.Source, ocsf.RoleSource)
			}
			g.Sources[f.Source], g.Users[f.User], g.Last = true, true, f.At
			g.Spray.AddEvidence(f.Event)
		}
	}
	g.Spray.Identify(g.Spray.Time.Truncate(time.Hour), "spray")
}

func (g *guesses) grow(e *ocsf.Event, src, user string) {
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
}

// success clears the failures of somebody who got in from the same place, unless the place was part of a
// spraying: then it got in, and success reports so.
func (g *guesses) success(src, user string, e *ocsf.Event) bool {
	from := g.Spray != nil && g.Sources[src] && e.Time.Sub(g.Last) < HitWindow
	// Who guesses from rented addresses comes in by yet another: an account just tried, from an address and a
	// country from which nobody was known to sign in. A telephone on the road has the one and not the other.
	elsewhere := g.Spray != nil && g.Users[user] && g.known(src) == 0 && e.Time.Sub(g.Last) < FruitWindow && g.strange(e)
	if (from || elsewhere) && !g.tally.alone(src, user) {
		g.hit(src, user, e)
		return true
	}
	p := g.Places[src]
	if p == nil {
		detect.MakeRoom(g.Places, MaxKeys, func(p *place) int64 { return p.Last })
		p = &place{}
		g.Places[src] = p
	}
	p.Successes, p.Last = p.Successes+1, max(p.Last, e.Time.Unix())
	g.settle(user, e)
	if e.Cloud != nil && e.Cloud.Country != "" && len(g.Lands) < 400 {
		g.Lands[e.Cloud.Country]++
	}
	if g.tally.sources[src][user] > 0 {
		g.Failures = slices.DeleteFunc(g.Failures, func(f failure) bool { return f.Source == src && f.User == user })
		for g.tally.sources[src][user] > 0 {
			g.tally.remove(src, user)
		}
	}
	return false
}

// hit notes that the spraying got into an account.
func (g *guesses) hit(src, user string, e *ocsf.Event) {
	if len(g.Sources) < maxSprayed {
		g.Sources[src] = true
	}
	g.Spray.AddEvidence(e)
	if g.Spray.Outcome != ocsf.OutcomeSucceeded { // the evidence must hold what the finding says
		g.Spray.Evidence[len(g.Spray.Evidence)-1] = ocsf.Evidence{File: e.Raw.File, Record: e.Raw.Record, Event: e}
	}
	g.Spray.Outcome, g.Spray.Severity, g.Spray.Confidence = ocsf.OutcomeSucceeded, ocsf.SeverityHigh, 85
	if len(g.Hits) >= maxNamed {
		return
	}
	g.Spray.AddEntity(ocsf.EntityUser, user, ocsf.RoleActor)
	g.Spray.AddEntity(ocsf.EntityIP, src, ocsf.RoleInfrastructure) // rented addresses guess everywhere; this one got in
	if !slices.Contains(g.Hits, user) {
		g.Hits = append(g.Hits, user)
	}
}

func (g *guesses) tell(_ *Detector, emit detect.Emit) {
	f := g.Spray.Clone()
	f.Reason = fmt.Sprintf("%d accounts failed from %d addresses from which nobody was known to sign in.", len(g.Users), len(g.Sources))
	switch n := len(g.Hits); {
	case n >= maxNamed:
		f.Reason += fmt.Sprintf(" One of the addresses then got in as %s and more.", strings.Join(g.Hits, ", "))
	case n > 0:
		f.Reason += " One of the addresses then got in as " + strings.Join(g.Hits, ", ") + "."
	}
	emit(f)
}

// sweep lets go of a spraying of which no success can be the fruit any more, and of places unused for long.
func (g *guesses) sweep(now time.Time) {
	if g.Spray != nil && now.Sub(g.Last) > HitWindow {
		g.over()
	}
	limit := now.Add(-ForgetAfter).Unix()
	maps.DeleteFunc(g.Places, func(_ string, p *place) bool { return p.Last < limit })
	maps.DeleteFunc(g.Homes, func(_ string, h *home) bool { return h.Last < limit })
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
