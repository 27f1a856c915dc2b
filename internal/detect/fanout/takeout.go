package fanout

import (
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Passwords of contractors, taken on their own computers, open each of their customers: a sign-in with one factor, from
// a network in which nobody of the partner was seen, and from there what can be had is copied (ATT&CK T1530, T1567.002;
// customers of Snowflake, 2024). People copy much, too, but from where they sit.
const (
	TakeoutFor    = 24 * time.Hour      // after the sign-in
	TakeoutReads  = 10                  // objects, mails, files or repositories
	TakeoutWarm   = 48 * time.Hour      // how long a partner's people must have been seen before a network is new
	placesFor     = 90 * 24 * time.Hour // how long a network is remembered
	maxPlaces     = 100_000
	maxTakeouts   = 10_000
	takeoutSource = "fanout/takeout"
)

// takeouts is what is remembered of networks, and of sign-ins from new ones.
type takeouts struct {
	Places map[string]int64           // partner and network → Unix seconds of the last success
	Began  map[tenant.PartnerID]int64 // Unix seconds of the partner's first sign-in
	First  map[string]int64           // partner and network → Unix seconds of the first success of all
	Maybe  map[string]int64           // networks that were new when a service that tells no factor let somebody in
	Open   map[string]*takeout        // tenant, account and address
}

type takeout struct {
	Since   int64
	Partner tenant.PartnerID
	Network string
	Reads   int
	Finding *ocsf.Finding
}

func newTakeouts() takeouts {
	return takeouts{Places: map[string]int64{}, Began: map[tenant.PartnerID]int64{}, First: map[string]int64{}, Maybe: map[string]int64{}, Open: map[string]*takeout{}}
}

// oneFactor reports whether a sign-in tells that a password alone was enough.
func oneFactor(e *ocsf.Event) bool {
	return strings.EqualFold(e.Cloud.MFA, "singleFactorAuthentication") || strings.EqualFold(e.Fields.Value("additionalEventData.MFAUsed"), "No")
}

// copies reports whether an act takes something out: an object, a file, a mail, a repository.
func copies(e *ocsf.Event) bool {
	switch e.Cloud.Operation {
	case "GetObject", "git.clone", "git.fetch", "repo.download_zip", "FileDownloaded", "FileSyncDownloadedFull", "MailItemsAccessed", "storage.objects.get":
		return e.Status != ocsf.StatusFailure
	}
	return false
}

// takeout looks at one act of a partner's person in a cloud.
func (d *Detector) takeout(e *ocsf.Event, emit detect.Emit) {
	c := e.Cloud
	if c == nil || c.ServicePrin || e.Partner == "" && !(c.Provider == "aws" && copies(e)) || e.Direction == ocsf.DirectionOut || !e.Src.IP.IsValid() || e.User.Name == "" {
		return
	}
	t, now := &d.takeouts, e.Time.Unix()
	who := localPart(e.User.Name)
	role := c.Provider == "aws" && strings.HasPrefix(c.Operation, "AssumeRole")
	if role || e.Partner == "" {
		who = "a role of the tenant" // the partner's account takes it; what it does then bears the tenant's own account
	}
	key := string(e.Tenant) + "\x00" + who + "\x00" + e.Src.IP.Unmap().String()
	if e.Class == ocsf.ClassAuthentication {
		if e.Status != ocsf.StatusSuccess {
			return
		}
		if t.Began[e.Partner] == 0 {
			t.Began[e.Partner] = now
		}
		near := network(e.Src.IP)
		place := string(e.Partner) + "\x00" + near
		_, known := t.Places[place]
		if _, ok := t.First[place]; !ok {
			detect.MakeRoom(t.First, maxPlaces, func(at int64) int64 { return at })
			t.First[place] = now
		}
		if !known && (oneFactor(e) || role) && now-t.Began[e.Partner] >= int64(TakeoutWarm/time.Second) && !d.declared(e, e.Src.IP) {
			if t.Open[key] == nil {
				detect.MakeRoom(t.Open, maxTakeouts, func(o *takeout) int64 { return o.Since })
				f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: tenant.LayerCloud, Detector: "fanout", Rule: takeoutSource, Technique: "T1530",
					Severity: ocsf.SeverityMedium, Confidence: 65, Outcome: ocsf.OutcomeSucceeded, Title: "Somebody of a partner from a new network, with one factor or a role alone, copies much"}
				f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
				f.AddEntity(ocsf.EntityIP, e.Src.IP.Unmap().String(), ocsf.RoleInfrastructure)
				f.AddEvidence(e)
				f.Identify(e.Time, who, e.Src.IP.String())
				t.Open[strings.Clone(key)] = &takeout{Since: now, Partner: e.Partner, Network: near, Finding: f}
			}
			return
		}
		if first, ok := t.Maybe[place]; known || c.MFA == "multiFactorAuthentication" || strings.EqualFold(e.Fields.Value("additionalEventData.MFAUsed"), "Yes") || now-t.Began[e.Partner] < int64(TakeoutWarm/time.Second) || ok && now-first >= int64(TakeoutFor/time.Second) {
			detect.MakeRoom(t.Places, maxPlaces, func(at int64) int64 { return at })
			t.Places[place] = now
			delete(t.Maybe, place)
		} else if !ok { // a service that tells no factor says of a new network only that somebody is there
			detect.MakeRoom(t.Maybe, maxPlaces, func(at int64) int64 { return at })
			t.Maybe[place] = now
		}
		return
	}
	o := t.Open[key]
	if o == nil || !copies(e) || now-o.Since > int64(TakeoutFor/time.Second) {
		return
	}
	o.Reads++
	o.Finding.AddEvidence(e)
	if n := o.Reads; n == TakeoutReads || n > TakeoutReads && n%TakeoutReads == 0 && n <= 1000 {
		how := "signed in with a password alone"
		if e.Partner == "" {
			who, how = "An account of the partner's", "took a role"
		}
		o.Finding.Reason = fmt.Sprintf("%s %s from %s, a network in which nobody of %s was seen before, and copied %d things from there within %s.",
			who, how, e.Src.IP.Unmap(), o.Partner, o.Reads, TakeoutFor)
		emit(o.Finding.Clone())
	}
}

// atHome reports whether a partner's people have come from the network of an event's address for some days.
func (d *Detector) atHome(e *ocsf.Event) bool {
	first, ok := d.takeouts.First[string(e.Partner)+"\x00"+network(e.Src.IP)]
	return ok && e.Time.Unix()-first >= int64(TakeoutWarm/time.Second)
}

// forgetTakeouts makes the network of a sign-in that came to nothing a known place, and lets go of old ones.
func (d *Detector) forgetTakeouts(now time.Time) {
	t := &d.takeouts
	for k, o := range t.Open {
		if now.Unix()-o.Since <= int64(TakeoutFor/time.Second) {
			continue
		}
		if o.Reads < TakeoutReads {
			t.Places[string(o.Partner)+"\x00"+o.Network] = o.Since
		}
		delete(t.Open, k)
	}
	for k, at := range t.First { // a year later it is new again
		if now.Unix()-at > 4*int64(placesFor/time.Second) {
			delete(t.First, k)
		}
	}
	for k, at := range t.Maybe {
		if now.Unix()-at > int64(placesFor/time.Second) {
			delete(t.Maybe, k)
		}
	}
	for k, at := range t.Places {
		if now.Unix()-at > int64(placesFor/time.Second) {
			delete(t.Places, k)
		}
	}
}
