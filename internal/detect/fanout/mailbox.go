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
	Habit  int // most owners in a window up to the day before
	Today  int
	Day    int64
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
		if len(d.readers) >= MaxKeys {
			return
		}
		r = &reader{}
		d.readers[id] = r
	}
	if day := e.Time.Unix() / 86400; day != r.Day {
		r.Habit, r.Today, r.Day = max(r.Habit, r.Today), 0, day
	}
	i := 0
	for i < len(r.Opened) && e.Time.Sub(r.Opened[i].At) > MailboxWindow {
		i++
	}
	r.Opened = append(r.Opened[i:], opened{e.Time, who, e})
	if len(r.Opened) > maxTouches {
		r.Opened = slices.Clone(r.Opened[len(r.Opened)-maxTouches:])
	}
	owners := r.owners()
	r.Today = max(r.Today, len(owners))
	if len(owners) < MinMailboxes || len(owners) < 2*r.Habit {
		return
	}
	d.reportMailboxes(e, r, owners, emit)
}

func (r *reader) owners() []string {
	var out []string
	for _, o := range r.Opened {
		if !slices.Contains(out, o.Owner) {
			out = append(out, o.Owner)
		}
	}
	return out
}

func (d *Detector) reportMailboxes(e *ocsf.Event, r *reader, owners []string, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "fanout/mailboxes",
		Title: "A partner's account opens several people's mail or files", Technique: "T1114.002", Severity: ocsf.SeverityMedium, Confidence: 65, Outcome: ocsf.OutcomeSucceeded}
	for _, o := range r.Opened {
		f.AddEvidence(o.Event)
		if o.Event.Src.IP.IsValid() {
			role := ocsf.RoleInfrastructure
			if d.declared(e, o.Event.Src.IP) {
				role = ocsf.RoleSource
			}
			f.AddEntity(ocsf.EntityIP, o.Event.Src.IP.String(), role)
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

// declared reports whether an address lies in a network that the partner's trusts declare.
func (d *Detector) declared(e *ocsf.Event, a netip.Addr) bool {
	for _, t := range d.model.TrustsOf(e.Partner) {
		if slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return true
		}
	}
	return false
}
