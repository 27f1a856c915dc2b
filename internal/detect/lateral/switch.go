package lateral

import (
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// switched looks whether a session uses another account than the one that opened it. The account that opened it is the
// one that a VPN, a tool or the logon at the source names; where nothing names it, it is guessed as the first that the
// source used, and weighs less.
func (d *Detector) switched(a *act, who actor, s *source, emit detect.Emit) {
	e := a.event
	if a.account == "" {
		return
	}
	tenantID := string(e.Tenant)
	from, _ := a.source.keys()
	elsewhere := d.practise(e.Time, !d.seen(e.Time, "from", tenantID, a.account, from), "account", tenantID, a.account).Hosts
	shared := d.practise(e.Time, !d.seen(e.Time, "used", tenantID, from, a.account), "accounts of", tenantID, from).Hosts > 2
	opener, guessed := a.opener, false
	if opener == "" && e.Owner.Name != "" {
		opener = person(e.Owner.Name)
	}
	if opener == "" {
		if l := s.on(a); l != nil && theirs(l, a) {
			opener = l.Account
		}
	}
	if opener == "" {
		if s.Opener == "" {
			s.Opener = a.account
		}
		opener, guessed = s.Opener, true
	}
	fresh := !d.between(e.Time, "reached", e.Tenant, opener, host{}, a.target)
	if opener == a.account {
		return
	}
	o := d.s.Found[s.Use[opener+"\x00"+a.account]]
	known := d.seen(e.Time, "switch", tenantID, opener, a.account)
	if o == nil {
		if known || !fresh || guessed && (shared || who.Partner == "") {
			return
		}
		o = d.use(a, who, s, opener, guessed, emit)
		o.Elsewhere = elsewhere
	}
	o.Signs++
	o.Finding.AddEvidence(e)
	if fresh || o.Targets == nil {
		o.target(a.target)
		if len(o.Finding.Entities) < maxWords {
			o.Finding.AddEntity(entityOf(a.target), value(a.target), ocsf.RoleTarget)
		}
	}
	o.Explicit = o.Explicit || a.step == stepExplicit
	o.Privileged = o.Privileged || d.isPrivileged(a)
	d.explainBy(o, a)
	d.declaredAccount(o, a)
	d.combine(o, a)
	d.grown(o, emit)
}

// theirs reports whether an act from a host can be laid to an account that stands on it. On a host with several users
// and services, network logons are mostly those of services; who opens a session from there, or gives credentials
// explicitly, is a person. Who comes by a remote tool works as whoever sits there, so that its accounts say nothing.
func theirs(l *landing, a *act) bool {
	switch l.How {
	case byConsole:
		return true
	case byTool:
		return false
	}
	return a.how.session() || a.step == stepExplicit
}

// use begins the finding of one account in one session.
func (d *Detector) use(a *act, who actor, s *source, opener string, guessed bool, emit detect.Emit) *open {
	e := a.event
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: who.Trust, Partner: who.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "lateral/credential-switch"}
	k, _ := s.Host.keys()
	f.Identify(time.Unix(0, s.Start), k, opener, a.account)
	o := &open{Finding: f, Kind: kindSwitch, Source: s.Host.String(), Warm: d.warm(e.Tenant, e.Time), Watched: e.Time.UnixNano() - d.s.First[e.Tenant],
		Opener: opener, Used: a.account, Guessed: guessed}
	o.ends(s.Host, host{})
	f.AddEntity(ocsf.EntityUser, opener, ocsf.RoleActor)
	f.AddEntity(ocsf.EntityUser, a.account, ocsf.RoleActor)
	d.open(o, emit)
	s.grow(f.ID)
	if s.Use == nil {
		s.Use = map[string]string{}
	}
	if len(s.Use) < maxWords {
		s.Use[opener+"\x00"+a.account] = f.ID
	}
	detect.MakeRoom(d.s.Switches, MaxFound, func(p latest) int64 { return p.Last })
	d.s.Switches[digest(string(e.Tenant), a.account)] = latest{f.ID, e.Time.UnixNano()}
	return o
}

// isPrivileged reports whether an account is an administrator's by what hosts said of it, by its well-known relative
// id (500, MS-DTYP 2.4.2.4) or by the name that systems give their own.
func (d *Detector) isPrivileged(a *act) bool {
	switch a.account {
	case "administrator", "root":
		return true
	}
	if strings.HasPrefix(a.event.User.UID, "S-1-5-21-") && strings.HasSuffix(a.event.User.UID, "-500") {
		return true
	}
	return d.knows(a.event.Time, "privileged", string(a.event.Tenant), a.account)
}

// privileged remembers who got an administrator's privileges, and tells it of a switch that came just before.
func (d *Detector) privileged(a *act, emit detect.Emit) {
	e := a.event
	d.seen(e.Time, "privileged", string(e.Tenant), a.account)
	p, ok := d.s.Switches[digest(string(e.Tenant), a.account)]
	if o := d.s.Found[p.Finding]; ok && o != nil && !o.Privileged && within(p.Last, e.Time) {
		o.Privileged = true
		d.combine(o, a)
		d.grown(o, emit)
	}
}

// grow remembers a finding of the source that may still grow.
func (s *source) grow(id string) {
	if !slices.Contains(s.Growing, id) && len(s.Growing) < maxGrowing {
		s.Growing = append(s.Growing, id)
	}
}
