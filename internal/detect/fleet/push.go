package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// PushWindow is how long after the last sign on one host signs on others belong to the same push.
const PushWindow = 2 * time.Hour

// StoppedHosts is on how many hosts the antivirus must stop what one agent brought for that to be more than an installer
// that it mistook.
const StoppedHosts = 3

// maxHosts bounds the hosts of one push that are told apart.
const maxHosts = 512

// push is what one platform's agent brought to the hosts of one tenant.
type push struct {
	Hosts   map[string]kind // those with signs that weigh
	Last    int64
	Finding *ocsf.Finding
	Told    string // of severity, outcome, hosts and kinds: what was last emitted
}

// weighs reports whether what happened below an agent on one host is more than work: an order may fetch a program, run
// it, or stop the protection for an installation; it doesn't destroy recovery, rewrite files, or bring malware.
func weighs(k kind) bool {
	return k&(destroys|rewrites|alerts|installs) != 0 || k&weakens != 0 && k&(decodes|fetches) != 0 && k&runs != 0
}

// strong reports whether one host alone weighs medium.
func strong(k kind) bool { return k&(destroys|rewrites|weakens) != 0 }

// lands reports whether what was ordered did its work on the host. Malware that was put away did not.
func lands(k kind) bool {
	return k&(destroys|rewrites|installs) != 0 || k&weakens != 0 && k&runs != 0
}

// pushed takes a sign on a host into the push of its tenant and platform.
func (d *Detector) pushed(e *ocsf.Event, c *chain, k, before kind, emit detect.Emit) {
	if !weighs(c.Did) {
		return
	}
	a := d.approved(c.Trust, e.Time)
	if a != nil && c.Did&(rewrites|alerts) != 0 {
		a = nil // whoever may take the old protection away may not bring malware
	}
	key := string(e.Tenant) + "\x00" + c.Tool
	if a != nil {
		key += "\x00approved"
	}
	p := d.s.Pushes[key]
	if p == nil || e.Time.Unix()-p.Last > int64(PushWindow/time.Second) {
		detect.MakeRoom(d.s.Pushes, MaxPushes, func(p *push) int64 { return p.Last })
		p = &push{Hosts: map[string]kind{}}
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: c.Trust, Layer: tenant.LayerEndpoint, Detector: d.Name(), Rule: "fleet/push", Technique: "T1072",
			Title: "The agent of a partner's platform brings what no order of work does"}
		if t := d.model.Trust(c.Trust); t != nil {
			f.Partner = t.Partner
		}
		f.AddEntity(ocsf.EntityRMM, d.instance(c), "platform")
		f.Identify(time.Unix(c.Began, 0), c.Tool, key)
		if a != nil {
			f.Suppressed = &ocsf.Suppression{By: "approval", Owner: a.Owner, Reason: a.Reason, Until: a.Until}
		}
		p.Finding = f
		d.s.Pushes[key] = p
	}
	p.Last = max(p.Last, e.Time.Unix())
	host := hostName(e.Device)
	if old, ok := p.Hosts[host]; ok && old == c.Did {
		p.Finding.Count++
		p.Finding.End = e.Time
		return
	} else if !ok && len(p.Hosts) >= maxHosts {
		return
	}
	p.Hosts[strings.Clone(host)] = c.Did
	f := p.Finding
	f.AddEvidence(e)
	if len(f.Entities) < 40 {
		f.AddEntity(ocsf.EntityHost, host, ocsf.RoleTarget)
	}
	p.tell(c, emit)
}

// instance names the platform as a trust declares it: tool, a slash, and the instance where it has one.
func (d *Detector) instance(c *chain) string {
	if t := d.model.Trust(c.Trust); t != nil {
		for _, r := range t.RemoteTools {
			if r.Tool == c.Tool && r.Instance != "" {
				return c.Tool + "/" + strings.ToLower(r.Instance)
			}
		}
	}
	return c.Tool + "/"
}

// approved returns an approval of work on the hosts of a trust at that time; approvals of scans and exercises are for
// something else.
func (d *Detector) approved(id tenant.TrustID, at time.Time) *tenant.Approval {
	for i := range d.model.Approvals {
		a := &d.model.Approvals[i]
		if a.Trust == id && (a.Kind == "maintenance" || a.Kind == "work" || a.Kind == "change") && !at.Before(a.From) && at.Before(a.Until) {
			return a
		}
	}
	return nil
}

func (p *push) tell(c *chain, emit detect.Emit) {
	f := p.Finding
	var all kind
	alone, landed, brought := 0, 0, 0
	for _, k := range p.Hosts {
		all |= k
		if strong(k) {
			alone++
		}
		if k&installs != 0 {
			brought++
		}
		if lands(k) {
			landed++
		}
	}
	f.Severity, f.Confidence, f.Outcome = ocsf.SeverityLow, 40, ocsf.OutcomeAttempted
	switch {
	case alone >= 2 && all&(rewrites|decodes|fetches|runs) != 0 || brought >= 2 || all&(destroys|rewrites) == destroys|rewrites:
		f.Severity, f.Confidence = ocsf.SeverityHigh, 85
	case alone >= 1 || len(p.Hosts) >= StoppedHosts:
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	}
	if landed > 0 {
		f.Outcome = ocsf.OutcomeSucceeded
	}
	told := fmt.Sprint(f.Severity, f.Outcome, len(p.Hosts), all)
	if told == p.Told {
		return
	}
	p.Told = told
	names := make([]string, 0, 3)
	for h := range p.Hosts {
		names = append(names, h)
	}
	slices.Sort(names)
	f.Reason = fmt.Sprintf("The agent of %s, by which %s runs these machines, started on %d hosts (%s) what did this: %s. On %d of them it did its work, on the others nothing shows that it did.",
		c.Tool, f.Partner, len(p.Hosts), strings.Join(names[:min(3, len(names))], ", "), strings.Join(all.words(), ", "), landed)
	emit(f.Clone())
}
