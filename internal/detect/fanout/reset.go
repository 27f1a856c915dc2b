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

// A help desk of a partner resets passwords and second factors all day, and people then sign in from where they always
// sat. Who talked the desk into it, or took its place, signs in from elsewhere (ATT&CK T1556.006, T1098.005).
const (
	ResetFor   = 24 * time.Hour      // how long after a reset a sign-in from an unknown place is its fruit
	ShareFor   = 30 * 24 * time.Hour // how long an address that used reset credentials abroad is compared with others' uses
	SettledIn  = 24 * time.Hour      // how long a tenant's sign-ins must have been seen before a place can be unknown
	MaxResets  = 4096                // of one tenant that are waited for
	maxUses    = ocsf.MaxEvidence - 4
	maxSharing = 1000
)

// reset is what a partner's account did to somebody's credentials, and what came of it.
type reset struct {
	At       time.Time // the last of it
	By       string
	Partner  tenant.PartnerID
	Trust    tenant.TrustID
	Password bool
	Factor   bool
	Events   []*ocsf.Event // at most two, of each kind the last
	Finding  *ocsf.Finding // nil while nothing came of it
	Strange  bool          // from a country from which hardly anybody signs in
	Got      bool
	Froms    []origin
	Shared   string // the address of which Sharing tells
	Uses     int
	Sharing  int // people whose reset credentials were used from the same address, at all tenants
}

// origin is an address from which reset credentials were used.
type origin struct {
	Addr string
	Got  bool
}

func (r *reset) from(addr string) *origin {
	for i := range r.Froms {
		if r.Froms[i].Addr == addr {
			return &r.Froms[i]
		}
	}
	return nil
}

// resetOf tells whose password or second factor a partner's account has reset; "" where the event is no such thing.
func resetOf(e *ocsf.Event) (who string, password, factor bool) {
	if e.Partner == "" || e.Direction == ocsf.DirectionOut || e.Class != ocsf.ClassAccountChange || e.Status == ocsf.StatusFailure ||
		e.User.Name == "" || strings.EqualFold(e.User.Name, e.Actor.Name) {
		return "", false, false
	}
	password, factor = e.Activity == "password reset", ofFactor(e)
	if !password && !factor {
		return "", false, false
	}
	return localPart(e.User.Name), password, factor
}

// ofFactor reports whether a directory operation concerns a second factor.
func ofFactor(e *ocsf.Event) bool {
	if e.Cloud == nil {
		return false
	}
	op := strings.ToLower(e.Cloud.Operation)
	return strings.Contains(op, "security info") || strings.Contains(op, "strong authentication") || strings.Contains(op, "authentication method") ||
		strings.HasPrefix(op, "user.mfa.factor.") // Okta
}

func localPart(user string) string {
	user, _, _ = strings.Cut(strings.ToLower(user), "@")
	if _, after, ok := strings.Cut(user, `\`); ok {
		user = after
	}
	return strings.Clone(user)
}

// enrols reports whether somebody registers a second factor for themselves.
func enrols(e *ocsf.Event) bool {
	return e.Class == ocsf.ClassAccountChange && e.Partner == "" && ofFactor(e) && e.Src.IP.IsValid() && e.User.Name != "" && strings.EqualFold(e.User.Name, e.Actor.Name)
}

// reset notes a partner's resets, and looks at what the people do next. It must see a sign-in before its place is
// learned.
func (d *Detector) reset(e *ocsf.Event, emit detect.Emit) {
	if who, password, factor := resetOf(e); who != "" {
		d.noteReset(who, password, factor, e)
		return
	}
	if e.Partner != "" || !(guessable(e) && (e.Status == ocsf.StatusSuccess || passwordRight(e)) || enrols(e)) {
		return // everybody's accounts are guessed at all day; a wrong password says nothing of a reset
	}
	list := d.resets[e.Tenant]
	r := list[localPart(e.User.Name)]
	if r == nil || e.Time.Before(r.At) || e.Time.Sub(r.At) > ResetFor || r.Uses >= maxUses {
		return
	}
	g := d.guesses[e.Tenant]
	if g == nil || e.Time.Sub(g.First) < SettledIn || !g.unknownPlace(e) && r.from(e.Src.IP.String()) == nil {
		return
	}
	r.use(e, g)
	for _, o := range d.sharing(e, r) {
		o.tell(emit)
	}
}

// sharing counts the people whose reset credentials were used from the event's address, and returns those of whom that
// tells something new, the one at hand among them.
func (d *Detector) sharing(e *ocsf.Event, r *reset) []*reset {
	from := e.Src.IP.String()
	var same []*reset
	got := false // somebody got in from it; where nobody did, it guesses at everybody
	for _, id := range slices.Sorted(maps.Keys(d.resets)) {
		list := d.resets[id]
		for _, who := range slices.Sorted(maps.Keys(list)) {
			o := list[who]
			// Telephones of one carrier share addresses; on other days only an address abroad says something.
			if x := o.from(from); x != nil && o.Partner == r.Partner && (e.Time.Sub(o.At) <= ResetFor || o.Strange && r.Strange && e.Time.Sub(o.At) <= ShareFor) {
				same, got = append(same, o), got || x.Got
			}
		}
	}
	var told []*reset
	for _, o := range same {
		n := 1
		if got {
			n = min(len(same), maxSharing)
		}
		if o == r || n > o.Sharing && o.Sharing <= 1 {
			told = append(told, o)
		}
		if n > o.Sharing {
			o.Sharing, o.Shared = n, from
		}
	}
	return told
}

func (r *reset) tell(emit detect.Emit) {
	r.weigh()
	r.places()
	f := r.Finding.Clone()
	f.Reason = r.reason()
	emit(f)
}

// passwordRight reports whether a refused sign-in shows that its password was right: what was refused was the place,
// the device or the missing second factor (Microsoft Entra authentication error codes, "AADSTS error codes").
func passwordRight(e *ocsf.Event) bool {
	if e.Status != ocsf.StatusFailure || e.Cloud == nil {
		return false
	}
	switch e.Cloud.ErrorCode {
	case "50055", "50072", "50074", "50076", "50079", "50158", "53000", "53001", "53002", "53003", "53004", "500121":
		return true
	}
	return false
}

func (d *Detector) noteReset(who string, password, factor bool, e *ocsf.Event) {
	list := d.resets[e.Tenant]
	if list == nil {
		list = map[string]*reset{}
		d.resets[e.Tenant] = list
	}
	by := strings.ToLower(e.Actor.Name)
	r := list[who]
	if r == nil || r.By != by || e.Time.Sub(r.At) > ResetFor || r.Finding != nil {
		detect.MakeRoom(list, MaxResets, func(r *reset) int64 { return r.At.Unix() })
		r = &reset{By: strings.Clone(by), Partner: e.Partner, Trust: e.Trust}
		list[who] = r
	}
	if e.Time.After(r.At) {
		r.At = e.Time
	}
	if len(r.Events) < 2 && !(password && r.Password || factor && r.Factor) {
		r.Events = append(r.Events, e)
	}
	r.Password, r.Factor = r.Password || password, r.Factor || factor
}

// unknownPlace reports whether nobody of the tenant, and not this account from the network around it, was known to
// get in from the event's address.
func (g *guesses) unknownPlace(e *ocsf.Event) bool {
	if g.known(e.Src.IP.String()) > 0 {
		return false
	}
	h := g.Homes[strings.ToLower(e.User.Name)]
	near := network(e.Src.IP)
	return h == nil || !slices.ContainsFunc(h.Places, func(u used) bool { return u.What == near })
}

// use takes in one thing that was done with the reset credentials.
func (r *reset) use(e *ocsf.Event, g *guesses) {
	r.Uses++
	r.Got = r.Got || e.Status != ocsf.StatusFailure // one who registers a factor is in
	r.Strange = r.Strange || g.strange(e)
	got := e.Status != ocsf.StatusFailure
	if x := r.from(e.Src.IP.String()); x == nil {
		r.Froms = append(r.Froms, origin{e.Src.IP.String(), got})
	} else {
		x.Got = x.Got || got
	}
	f := r.Finding
	if f == nil {
		f = &ocsf.Finding{Tenant: e.Tenant, Trust: r.Trust, Partner: r.Partner, Layer: tenant.LayerCloud, Detector: "fanout", Rule: "fanout/reset-takeover",
			Title: "A sign-in from an unknown place with credentials that a partner had just reset", Technique: "T1556.006"}
		for _, x := range r.Events {
			f.AddEvidence(x)
		}
		f.AddEntity(ocsf.EntityUser, r.By, ocsf.RoleActor)
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleTarget)
		f.Identify(r.At, r.By, localPart(e.User.Name))
		r.Finding = f
	}
	f.AddEvidence(e)
}

// places names the addresses. What got in is somebody else's; where several people's credentials were used from one
// address, the others are where these people sit.
func (r *reset) places() {
	f := r.Finding
	f.Entities = slices.DeleteFunc(slices.Clone(f.Entities), func(e ocsf.Entity) bool { return e.Type == ocsf.EntityIP })
	for _, x := range r.Froms {
		if x.Got && (r.Sharing <= 1 || x.Addr == r.Shared) {
			f.AddEntity(ocsf.EntityIP, x.Addr, ocsf.RoleInfrastructure)
		} else {
			f.AddEntity(ocsf.EntityIP, x.Addr, ocsf.RoleSource)
		}
	}
}

// weigh sets how much the finding weighs. One person with a new telephone on the road looks alike; one address that
// uses the fresh credentials of several people doesn't.
func (r *reset) weigh() {
	f := r.Finding
	f.Severity, f.Confidence = ocsf.SeverityInformational, 30
	switch {
	case r.Sharing > 1 && r.Got:
		f.Severity, f.Confidence = ocsf.SeverityHigh, 85
	case r.Strange && r.Password && r.Factor && r.Got:
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	case r.Sharing > 1:
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	case r.Strange:
		f.Severity, f.Confidence = ocsf.SeverityLow, 45
	}
	f.Outcome = ocsf.OutcomeAttempted
	if x := r.from(r.Shared); r.Got && (r.Sharing <= 1 || x == nil || x.Got) {
		f.Outcome = ocsf.OutcomeSucceeded // of an address that several people's credentials were used from, what it got decides
	}
}

func (r *reset) reason() string {
	what := "the password"
	switch {
	case r.Password && r.Factor:
		what = "the password and a second factor"
	case r.Factor:
		what = "a second factor"
	}
	did := "tried to sign in and was refused"
	if r.Got {
		did = "got in"
	}
	var from []string
	for _, x := range r.Froms[:min(3, len(r.Froms))] {
		from = append(from, x.Addr)
	}
	out := fmt.Sprintf("%s reset %s; within %s somebody %s from %s, where nobody of this organisation was known to sign in.", r.By, what, ResetFor, did, strings.Join(from, ", "))
	if r.Strange {
		out += fmt.Sprintf(" Fewer than %d sign-ins came from that country before.", KnownSuccess)
	}
	if r.Sharing > 1 {
		out += fmt.Sprintf(" The same address used the credentials of %d people that this partner had reset, each used within %s, at all organisations together.", r.Sharing, ResetFor)
	}
	return out
}

// forgetResets lets go of resets of which nothing came, and later of the others.
func (d *Detector) forgetResets(now time.Time) {
	for id, list := range d.resets {
		for who, r := range list {
			if after := now.Sub(r.At); after > ShareFor || after > ResetFor && !(r.Finding != nil && r.Strange) {
				delete(list, who)
			}
		}
		if len(list) == 0 {
			delete(d.resets, id)
		}
	}
}
