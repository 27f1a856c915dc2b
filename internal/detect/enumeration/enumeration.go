// Package enumeration finds those who list what a network holds: names, directory objects, accounts, tickets,
// shares and sessions. In come events of Zeek (dns, kerberos, ldap_search, dce_rpc, smb_mapping, smb_files, ntlm),
// of Suricata (dns, krb5, smb, dcerpc) and of Windows (Security 4662, 4768, 4769, 5140, 5145; Directory Service
// 1644); out come findings, one for each source and episode.
//
//	event ─ read by its source's file ─ act: kind, thing, whom ─ distinct things within ten minutes, and a day ─┐
//	                                                                                                            ▼
//	   finding ◄─ severity: whose source, how clear ◄─ several kinds at once? ◄─ more than the source's own habit?
//
// The kinds, their ATT&CK techniques and limits stand in one table (traits); the calls of Windows' RPC interfaces
// follow MITRE's BZAR. A count means nothing alone: it is held against what the source, or the partner's sources
// together, did on earlier days. For the first three days of a tenant that is unknown, which the reason tells and the
// severity respects. What was reported as more than a remark is never learned, nor what an approval of kind scan
// covers; the latter is kept apart and shown as suppressed. Sources in the Internet are counted once a day.
//
// Domain controllers replicate among themselves; who is one is learned from what it does for others (controllers.go),
// and a replication that was told before that was known is then told again as what it was.
//
// State is bounded: at most maxSources sources a tenant, maxThings things of a kind, habitDays days of habit. A
// source that is forgotten is judged anew. Nothing here fails on any event; what can't be read is not looked at.
package enumeration

import (
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const (
	name       = "enumeration"
	second     = int64(time.Second) // all times are nanoseconds since 1970 where nothing else is said
	hour       = int64(time.Hour)
	purgeEvery = 6 * hour
)

// Detector finds enumeration. It is a detect.Detector and a detect.Explainer.
type Detector struct {
	model     *tenant.Model
	approvals map[tenant.TrustID][]*tenant.Approval // by the trust they are of
	outgoing  map[tenant.ID][]*tenant.Approval      // by the tenant that is the partner
	tenants   map[tenant.ID]*tenantState
	acts      []act // of the event at hand
	counted   bool  // the event at hand was counted in an episode
	nextPurge int64
	pending   uint64 // may have changed what Conclude says
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, approvals: map[tenant.TrustID][]*tenant.Approval{}, outgoing: map[tenant.ID][]*tenant.Approval{},
		tenants: map[tenant.ID]*tenantState{}}
	if d.model == nil {
		d.model = &tenant.Model{}
	}
	for i := range d.model.Approvals {
		a := &d.model.Approvals[i]
		if a.Kind != "scan" {
			continue
		}
		d.approvals[a.Trust] = append(d.approvals[a.Trust], a)
		if t := d.model.Trust(a.Trust); t != nil {
			if p := d.model.Partner(t.Partner); p != nil && p.Tenant != "" {
				d.outgoing[p.Tenant] = append(d.outgoing[p.Tenant], a)
			}
		}
	}
	return d
}

// Name returns "enumeration".
func (d *Detector) Name() string { return name }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if !d.read(e) {
		return
	}
	for i := range d.acts {
		d.take(d.tenant(e.Tenant), e, &d.acts[i], emit)
	}
}

// read fills d.acts from an event and learns what it tells of who serves whom; false where there is nothing.
func (d *Detector) read(e *ocsf.Event) bool {
	reader, ok := readerOf(e.Source)
	if !ok {
		return false
	}
	if ts := d.tenant(e.Tenant); ts.first == 0 {
		ts.first = e.Time.UnixNano()
	}
	d.acts, d.counted = d.acts[:0], false
	reader(d, e)
	if ts := d.tenants[e.Tenant]; ts.learned {
		ts.settle(d, e.Time.UnixNano())
	}
	return len(d.acts) > 0
}

// readerOf returns what reads the events of a source. Most events are of none, which a comparison of a few bytes says.
func readerOf(source string) (func(*Detector, *ocsf.Event), bool) {
	switch source {
	case "zeek/dns":
		return (*Detector).zeekDNS, true
	case "zeek/kerberos":
		return (*Detector).zeekKerberos, true
	case "zeek/ldap_search":
		return (*Detector).zeekSearch, true
	case "zeek/dce_rpc":
		return (*Detector).zeekRPC, true
	case "zeek/smb_mapping":
		return (*Detector).zeekMapping, true
	case "zeek/smb_files":
		return (*Detector).zeekFile, true
	case "zeek/ntlm":
		return (*Detector).zeekNTLM, true
	case "suricata/dns":
		return (*Detector).eveDNS, true
	case "suricata/krb5":
		return (*Detector).eveKerberos, true
	case "suricata/smb":
		return (*Detector).eveSMB, true
	case "suricata/dcerpc":
		return (*Detector).eveRPC, true
	case "windows/security":
		return (*Detector).security, true
	case "windows/directory-service":
		return (*Detector).directoryService, true
	}
	return nil, false
}

// put keeps an act of the event at hand.
func (d *Detector) put(a act) {
	if a.usable() && len(d.acts) < 2*maxLeaves {
		d.acts = append(d.acts, a)
	}
}

func (d *Detector) tenant(id tenant.ID) *tenantState {
	ts := d.tenants[id]
	if ts == nil {
		ts = newTenant(id, d.model)
		d.tenants[id] = ts
	}
	return ts
}

// approval returns the approval that covers the act, or nil. A question for an address is covered by the scope that
// holds the address, whichever server was asked. A partner whose telemetry we hold sees its own acts leave; what its
// client approved is approved there too.
func (d *Detector) approval(c class, e *ocsf.Event, a *act) *tenant.Approval {
	covers := func(p *tenant.Approval, trust tenant.TrustID) bool {
		return p.Covers("scan", trust, a.src, a.target, e.Time) || a.about.IsValid() && p.Covers("scan", trust, a.src, a.about, e.Time)
	}
	for _, p := range d.approvals[e.Trust] {
		if covers(p, e.Trust) {
			return p
		}
	}
	if c == partner {
		return nil
	}
	for _, p := range d.outgoing[e.Tenant] {
		if covers(p, p.Trust) {
			return p
		}
	}
	return nil
}

// Advance tells what was held back, closes the episodes and days that no later event can extend, and forgets idle
// sources.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	at := int64(1<<62 - 1)
	if now.Year() < 2100 {
		at = now.UnixNano()
	}
	for _, id := range sortedTenants(d.tenants) {
		ts := d.tenants[id]
		for _, k := range ts.activeKeys() {
			s := ts.active[k]
			switch ep := s.Episode; {
			case at-ep.Last > episodeGap:
				d.close(ts, k, s, emit)
			case ep.Dirty:
				d.emit(ts, k, s, emit)
			}
		}
		ts.closeDoubts(d, at, func(k sourceKey, s *source) { emit(d.finding(ts, k, s)) })
		ts.closeNoise(d, at, emit)
		ts.release(at)
	}
	if at >= d.nextPurge {
		d.nextPurge = at + purgeEvery
		for _, ts := range d.tenants {
			ts.purge(at)
		}
	}
}

// purge forgets what no later event can make use of, so that nobody can tell when it was done.
func (ts *tenantState) purge(at int64) {
	for k, s := range ts.sources {
		if at-s.Last > sourceTTL {
			ts.drop(k)
		}
	}
	for k, h := range ts.trusts {
		if at/dayLength-int64(h.Today.Day) > habitForget {
			delete(ts.trusts, k)
		}
	}
}

// Conclude tells of every open episode, and of the day's noise, what Advance would tell.
func (d *Detector) Conclude(emit detect.Emit) {
	for _, id := range sortedTenants(d.tenants) {
		ts := d.tenants[id]
		for _, k := range ts.activeKeys() {
			if s := ts.active[k]; s.Episode.Dirty {
				emit(d.finding(ts, k, s))
			}
		}
		for _, k := range ts.doubtKeys() {
			x := ts.doubts[k]
			for _, ep := range x.Episodes {
				if ep.Explained && ep.Dirty {
					emit(d.finding(ts, k, &source{Class: x.Class, Episode: ep}))
				}
			}
		}
		if n := ts.noise; n.untold() {
			emit(ts.noiseFinding(d))
		}
	}
}

// Pending counts the acts that went into episodes and the day's noise.
func (d *Detector) Pending() uint64 { return d.pending }

func (ts *tenantState) activeKeys() []sourceKey {
	if len(ts.active) == 0 {
		return nil
	}
	keys := make([]sourceKey, 0, len(ts.active))
	for k := range ts.active {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, sourceKey.compare)
	return keys
}

func sortedTenants(m map[tenant.ID]*tenantState) []tenant.ID {
	keys := make([]tenant.ID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
