package fanout

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// MailboxWindow and MinMailboxes: support opens the one mailbox that a ticket names; who opens several people's
// within an hour, against their own habit, is looking for something (ATT&CK T1114.002).
const (
	MailboxWindow = time.Hour
	MinMailboxes  = 3
)

// reader is one partner identity at one tenant, with the mailboxes and files it opened of late.
type reader struct {
	Opened []opened
	Ripe   bool // whose they are were too many at the last event
	Habit  int  // most owners in a window up to the day before
	Today  int
	Day    int64
	Last   int64
	owners map[string]int // what was opened of each in the window
}

func (r *reader) count() {
	r.owners = map[string]int{}
	for i := range r.Opened {
		r.owners[r.Opened[i].Owner]++
	}
}

type opened struct {
	At    time.Time
	Owner string
	Event *ocsf.Event
}

// owner returns whose mailbox or files a partner's act opened, or "".
func owner(e *ocsf.Event) string {
	if e.Cloud == nil || e.Status == ocsf.StatusFailure {
		return ""
	}
	switch e.Cloud.Operation {
	case "MailItemsAccessed", "FileAccessed", "FileDownloaded", "FileSyncDownloadedFull", "Add-MailboxPermission", "MailboxLogin", "FolderBind", "MessageBind":
	default:
		return ""
	}
	for _, name := range [...]string{"MailboxOwnerUPN", "ObjectId"} {
		if v := e.Fields.Value(name); v != "" {
			return strings.ToLower(v)
		}
	}
	return strings.ToLower(e.Cloud.Resource)
}

func (d *Detector) mailboxes(e *ocsf.Event, emit detect.Emit) {
	who := owner(e)
	if who == "" || e.User.Name == "" {
		return
	}
	id := string(e.Tenant) + "\x00" + string(e.Partner) + "\x00" + strings.ToLower(e.User.Name)
	r := d.readers[id]
	if r == nil {
		detect.MakeRoom(d.readers, MaxKeys, func(r *reader) int64 { return r.Last })
		r = &reader{owners: map[string]int{}}
		d.readers[id] = r
	}
	day, habit := e.Time.Unix()/86400, r.Habit
	if day != r.Day {
		habit = max(r.Habit, r.Today)
	}
	first := 0
	for first < len(r.Opened) && e.Time.Sub(r.Opened[first].At) > MailboxWindow {
		first++
	}
	first = max(first, len(r.Opened)+1-maxTouches)
	r.owners[who]++
	for i := range r.Opened[:first] {
		subtract(r.owners, r.Opened[i].Owner)
	}
	n := len(r.owners)
	ripe := n >= MinMailboxes && n >= 2*habit
	if !ripe || day != r.Day {
		d.release(r, emit)
	}
	if day != r.Day {
		r.Habit, r.Today, r.Day = habit, 0, day
	}
	clear(r.Opened[:first])
	r.Opened = append(r.Opened[first:], opened{e.Time, who, e})
	r.Today, r.Ripe, r.Last = max(r.Today, n), ripe, max(r.Last, e.Time.Unix())
	if ripe {
		d.hold(r)
	}
}

// subtract takes one out of a count.
func subtract(m map[string]int, k string) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// tell says what the window shows as of the last event.
func (r *reader) tell(d *Detector, emit detect.Emit) {
	e := r.Opened[len(r.Opened)-1].Event
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "fanout/mailboxes",
		Title: "A partner's account opens several people's mail or files", Technique: "T1114.002", Severity: ocsf.SeverityMedium, Confidence: 65, Outcome: ocsf.OutcomeSucceeded}
	var owners []string
	known, addrs := map[string]bool{}, map[netip.Addr]bool{}
	for _, o := range r.Opened {
		f.AddEvidence(o.Event)
		if !known[o.Owner] {
			known[o.Owner] = true
			owners = append(owners, o.Owner)
		}
		if a := o.Event.Src.IP; a.IsValid() && !addrs[a] {
			addrs[a] = true
			role := ocsf.RoleInfrastructure
			if d.declared(e, a) {
				role = ocsf.RoleSource
			}
			f.AddEntity(ocsf.EntityIP, a.String(), role)
		}
	}
	f.Identify(time.Unix(r.Day*86400, 0), string(e.Partner), "mailboxes", strings.ToLower(e.User.Name))
	f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
	for _, o := range owners[:min(len(owners), 20)] {
		f.AddEntity(ocsf.EntityMailbox, o, ocsf.RoleTarget)
	}
	f.Reason = fmt.Sprintf("%s opened the mail or files of %d people within %s; its own most so far is %d.", e.User.Name, len(owners), MailboxWindow, r.Habit)
	emit(f)
}

// idle lets go of what no window holds any more, and reports whether the reader is forgotten as a whole.
func (r *reader) idle(now time.Time) bool {
	last := time.Unix(r.Last, 0)
	if now.Sub(last) > MailboxWindow+time.Minute && len(r.Opened) > 0 {
		r.Opened, r.Ripe = nil, false
		clear(r.owners)
	}
	return now.Sub(last) > ForgetAfter
}

// declared reports whether an address lies in a network that the partner's trusts declare.
func (d *Detector) declared(e *ocsf.Event, a netip.Addr) bool {
	for _, t := range d.model.TrustsOf(e.Partner) {
		if slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return true
		}
	}
	return false
}
