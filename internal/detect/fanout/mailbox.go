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
	MailboxWarm   = 48 * time.Hour // how long a tenant must have been seen before an account without a past says something
)

// opened is a host at which a logon failed.
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
	s := d.spreads(overMailboxes, actorKey{ocsf.EntityUser, strings.ToLower(e.User.Name)}, e.Partner, e.Tenant)
	if s.Burst == nil {
		g := d.guesses[e.Tenant]
		s.Warm = g != nil && e.Time.Sub(g.First) < MailboxWarm
		s.Known = true
	}
	s.Known = s.Known && e.Src.IP.IsValid() && d.atHome(e) && !d.declared(e, e.Src.IP)
	d.touched(s, e, who, emit)
}

// mailboxesRule is a partner's account that opens several people's mail or files.
var mailboxesRule = rule{
	window: MailboxWindow,
	ripe: func(s *spreading, n int) bool {
		return n >= MinMailboxes && n >= 2*s.Habit.highest()
	},
	begin: func(s *spreading, _ *ocsf.Event) *ocsf.Finding {
		f := &ocsf.Finding{Rule: "fanout/mailboxes", Title: "A partner's account opens several people's mail or files", Technique: "T1114.002"}
		f.AddEntity(ocsf.EntityUser, s.Value, ocsf.RoleActor)
		return f
	},
	add: func(d *Detector, f *ocsf.Finding, t *touch) {
		if a := t.Event.Src.IP; a.IsValid() {
			role := ocsf.RoleInfrastructure
			if d.declared(t.Event, a) || d.atHome(t.Event) {
				role = ocsf.RoleSource
			}
			f.AddEntity(ocsf.EntityIP, a.String(), role)
		}
		f.AddEntity(ocsf.EntityMailbox, t.What, ocsf.RoleTarget)
	},
	finish: func(s *spreading, f *ocsf.Finding) {
		b := s.Burst
		f.Severity, f.Confidence, f.Outcome = ocsf.SeverityMedium, 65, ocsf.OutcomeSucceeded
		f.Reason = fmt.Sprintf("%s opened the mail or files of %d people within %s; its own most so far is %d.", s.Value, b.Most, MailboxWindow, b.Highest)
		switch {
		case s.Known: // a partner's declared network is a jump host's, too; an undeclared one of long standing is where people sit
			f.Severity, f.Confidence = ocsf.SeverityLow, 40
			f.Reason += " It came from the network from which this partner's people have come for days."
		case s.Warm:
			f.Severity, f.Confidence = ocsf.SeverityLow, 35
			f.Reason += " The watch had just begun: warm-up, nobody has a habit yet."
		}
	},
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
