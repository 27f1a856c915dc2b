package phish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// openFor is how long a finding may grow: copies of one message to more mailboxes, more contacts with one name.
const openFor = 24 * time.Hour

// Bounds of what may be open at once.
const (
	maxOpen       = 2_000
	maxClusters   = 5_000
	maxClusterLen = 500
	maxRecipients = 1_000 // mailboxes that the finding of one message names
)

// fanWindow is the time in which one text reaching many tenants is one act; fanTenants is how many.
const (
	fanWindow  = time.Hour
	fanTenants = 3
)

// open is a finding that may still grow.
type open struct {
	Since   time.Time
	Points  int
	Finding *ocsf.Finding
}

// cluster is one text on its way to many.
type cluster struct {
	Last    time.Time
	Tenants []tenant.ID
	Keys    []string // of open findings
	Told    bool
}

// fanOut counts one text with a lure over tenants. When it has reached enough of them within the hour, this message
// and the earlier ones gain points.
func (d *Detector) fanOut(x *message, v *verdict, emit detect.Emit) {
	m := x.e.Mail
	lure := slices.ContainsFunc(v.reasons, func(r reason) bool { return r.kind >= kindSpoof && r.apex != "" })
	if m.BodyHash == "" || !lure {
		return
	}
	c := d.state.Fan[m.BodyHash]
	if c == nil || x.e.Time.Sub(c.Last) > fanWindow {
		if len(d.state.Fan) >= maxClusters {
			d.forgetFan()
		}
		c = &cluster{}
		d.state.Fan[m.BodyHash] = c
	}
	c.Last = x.e.Time
	if !slices.Contains(c.Tenants, x.e.Tenant) {
		c.Tenants = append(c.Tenants, x.e.Tenant)
	}
	if len(c.Tenants) < fanTenants {
		if len(c.Keys) < maxClusterLen && !slices.Contains(c.Keys, x.key()) {
			c.Keys = append(c.Keys, x.key())
		}
		return
	}
	r := reason{name: "fan-out", kind: kindPartner, points: 25, targeted: true, text: fmt.Sprintf("the same text reached %d or more organisations within an hour", fanTenants)}
	v.add(r)
	v.sum()
	if c.Told {
		return
	}
	c.Told = true
	for _, k := range c.Keys {
		if o := d.state.Open[k]; o != nil {
			o.Points += r.points
			f := o.Finding
			f.Reason += "; " + r.text + fmt.Sprintf(" (+%d)", r.points)
			f.Severity = max(f.Severity, severityOf(o.Points))
			emit(f.Clone())
		}
	}
}

func severityOf(points int) ocsf.Severity {
	switch {
	case points >= PointsHigh:
		return ocsf.SeverityHigh
	case points >= PointsMedium:
		return ocsf.SeverityMedium
	case points >= PointsLow:
		return ocsf.SeverityLow
	}
	return ocsf.SeverityUnknown
}

func (d *Detector) forgetFan() {
	mem := memory{}
	for k, c := range d.state.Fan {
		mem[k] = c.Last.Unix()
	}
	mem.touch(slices.Min(keysOf(mem)), time.Unix(0, 0), len(mem)-1)
	for k := range d.state.Fan {
		if !mem.has(k) {
			delete(d.state.Fan, k)
		}
	}
}

// key names a message within its tenant; copies in several mailboxes have one.
func (x *message) key() string {
	id := x.e.Mail.MessageID
	if id == "" {
		id = x.e.ID.String()
	}
	return string(x.e.Tenant) + "\x00" + id
}

// report emits the finding of one message, or grows the one its earlier copy made.
func (d *Detector) report(x *message, v *verdict, emit detect.Emit) {
	m, e := x.e.Mail, x.e
	if o := d.state.Open[x.key()]; o != nil && e.Time.Sub(o.Since) <= openFor {
		f := o.Finding
		if slices.ContainsFunc(f.Evidence, func(ev ocsf.Evidence) bool { return ev.Event.ID == e.ID && !e.ID.IsZero() }) {
			return
		}
		f.AddEvidence(e)
		if len(f.Entities) < maxRecipients {
			f.AddEntity(ocsf.EntityMailbox, e.User.Name, ocsf.RoleTarget)
		}
		if v.points > o.Points { // a copy may tell more than the first did
			o.Points, f.Severity, f.Reason = v.points, v.severity, sentenceOf(m, v)
		}
		emit(f.Clone())
		return
	}
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: tenant.LayerMail, Detector: "phish", Rule: v.rule.id, Title: v.rule.title,
		Technique: v.rule.technique, Severity: v.severity, Confidence: v.rule.confidence, Outcome: ocsf.OutcomeAttempted, Reason: sentenceOf(m, v)}
	if d.model != nil {
		f.Snapshot = d.model.Version
	}
	if x.authentic && x.trust != nil {
		f.Trust, f.Partner = x.trust.ID, x.trust.Partner
	}
	if v.rule.id == "phish/victim-domain-under-apex" && v.form {
		f.Technique = "T1598.003"
	}
	d.entities(f, x, v)
	f.AddEvidence(e)
	f.Identify(time.Time{}, "message", x.key())
	if v.severity >= ocsf.SeverityLow {
		d.open(d.state.Open, x.key(), &open{Since: e.Time, Points: v.points, Finding: f})
	}
	emit(f.Clone())
}

func sentenceOf(m *ocsf.Mail, v *verdict) string {
	return fmt.Sprintf("Mail from %s, subject “%s”: %s.", orNone(m.From), clipText(m.Subject, 80), v.sentence())
}

func clipText(s string, n int) string {
	r := []rune(s)
	if len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// entities names who sent, who received, and what the intruder brought: only the apex, never a shared platform.
func (d *Detector) entities(f *ocsf.Finding, x *message, v *verdict) {
	m := x.e.Mail
	role := ocsf.RoleSource
	if x.from != nil && x.authentic {
		role = ocsf.RoleActor
	}
	f.AddEntity(ocsf.EntityMailbox, m.From, role)
	for i, to := range append([]string{x.e.User.Name}, m.To...) {
		if i > 50 {
			break
		}
		if strings.Contains(to, "@") && (d.names.owner(domainOf(to)) == nil || d.names.owner(domainOf(to)).tenant == x.e.Tenant) {
			f.AddEntity(ocsf.EntityMailbox, to, ocsf.RoleTarget)
		}
	}
	for _, r := range v.reasons {
		if r.apex == "" || d.names.declared(r.apex) || commonSites[r.apex] || shorteners[r.apex] || freemail[r.apex] {
			continue
		}
		if isIP(r.apex) {
			f.AddEntity(ocsf.EntityIP, r.apex, ocsf.RoleInfrastructure)
			continue
		}
		f.AddEntity(ocsf.EntityDomain, r.apex, ocsf.RoleInfrastructure)
	}
	for i := range x.links {
		l := &x.links[i]
		if slices.ContainsFunc(v.reasons, func(r reason) bool { return r.apex != "" && (r.apex == l.apex || r.apex == l.host) }) && i < 20 {
			f.AddEntity(ocsf.EntityURL, clipText(l.raw, 500), "")
		}
	}
	if v.attached {
		for i := range m.Attachments {
			if i < 10 {
				f.AddEntity(ocsf.EntityHash, m.Attachments[i].SHA256, "")
			}
		}
	}
	f.AddEntity(ocsf.EntityMessage, m.MessageID, "")
}

// open keeps a finding that may grow; above the bound the oldest are let go, they stay as they were told.
func (d *Detector) open(m map[string]*open, key string, o *open) {
	if len(m) >= maxOpen {
		mem := memory{}
		for k, x := range m {
			mem[k] = x.Since.Unix()
		}
		mem.touch(slices.Min(keysOf(mem)), time.Unix(0, 0), len(mem)-1)
		for k := range m {
			if !mem.has(k) {
				delete(m, k)
			}
		}
	}
	m[key] = o
}

// complete checks that a restored state holds everything the detector writes into.
func (s *state) complete() error {
	if s.Mail == nil || s.Open == nil || s.Fan == nil || s.Contacts == nil {
		return errors.New("a part of the state is missing")
	}
	for id, m := range s.Mail {
		if m == nil || m.Orgs == nil || m.Sites == nil || m.People == nil || m.Flagged == nil || m.Lures == nil || m.Domains == nil || m.Known == nil {
			return fmt.Errorf("the state of tenant %s is incomplete", id)
		}
		for key, h := range m.Orgs {
			if h == nil || slices.ContainsFunc([]memory{h.Sites, h.Pairs, h.IBANs, h.Phones, h.Files, h.Replies, h.Hidden}, func(x memory) bool { return x == nil }) || h.Senders == nil {
				return fmt.Errorf("the habit of %s is incomplete", key)
			}
			if h.Named == nil { // states written before accounts were watched
				h.Named = memory{}
			}
			for addr, w := range h.Senders {
				if w == nil || w.Mailers == nil || w.Nets == nil || w.Files == nil {
					return fmt.Errorf("the habit of %s is incomplete", addr)
				}
			}
		}
	}
	for _, open := range [...]map[string]*open{s.Open, s.Contacts} {
		for _, o := range open {
			if o == nil || o.Finding == nil {
				return errors.New("an open finding is incomplete")
			}
		}
	}
	return nil
}
