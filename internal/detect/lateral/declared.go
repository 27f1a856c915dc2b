package lateral

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// explainBy looks what the declared model says of an act: an approval suppresses while it covers all acts of the
// finding; use outside of what the trust declares is stated as a fact.
func (d *Detector) explainBy(o *open, a *act) {
	f := o.Finding
	t := d.model.Trust(f.Trust)
	if t == nil {
		return
	}
	if p := d.approval(f.Trust, a); p == nil {
		o.Unexplained = true
		if f.Suppressed != nil && f.Suppressed.By == "approval" {
			f.Suppressed = nil
		}
	} else if !o.Unexplained && f.Suppressed == nil {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: p.Owner, Reason: p.Reason, Until: p.Until}
	}
	if !t.Hours.Contains(a.event.Time) {
		o.Beyond = true
		o.Facts = worded(o.Facts, "It lies outside of the hours that the trust declares.", 6)
	}
	if len(t.Destinations) > 0 && o.Kind != kindRelay && !matches(t.Destinations, a.target) {
		o.Beyond = true
		o.Facts = worded(o.Facts, fmt.Sprintf("%s is none of the destinations that the trust declares.", value(a.target)), 6)
	}
	if len(t.Rights) > 0 && !slices.ContainsFunc(t.Rights, administers) {
		o.Facts = worded(o.Facts, fmt.Sprintf("The rights that the trust declares (%s) do not name the administration of hosts.", strings.Join(t.Rights[:min(len(t.Rights), 4)], ", ")), 6)
	}
}

// administers reports whether a right speaks of work on hosts. Rights are single words of the operator's own.
func administers(right string) bool {
	right = strings.ToLower(right)
	return slices.ContainsFunc([]string{"admin", "patch", "deploy", "install", "maint", "backup", "operate", "all", "*"}, func(w string) bool { return strings.Contains(right, w) })
}

// approval returns what covers source, target and time of an act, of whatever kind: a scan with credentials writes,
// executes and logs on, and who may test does so too; the campaigns take it likewise.
func (d *Detector) approval(id tenant.TrustID, a *act) *tenant.Approval {
	for i := range d.model.Approvals {
		p := &d.model.Approvals[i]
		if p.Covers(p.Kind, id, a.source.Addr, a.target.Addr, a.event.Time) {
			return p
		}
	}
	return nil
}

// declaredAccount suppresses the switch to an account that the trust itself declares: technicians have two, one for
// mail and one for servers.
func (d *Detector) declaredAccount(o *open, a *act) {
	t := d.model.Trust(o.Finding.Trust)
	if t == nil || o.Declared || !covers(t.Accounts, a) {
		return
	}
	o.Declared = true
	if o.Finding.Suppressed == nil {
		o.Finding.Suppressed = &ocsf.Suppression{By: "trust", Owner: t.Owner, Reason: "the trust declares the account " + a.account, Until: t.ValidUntil}
	}
}

func covers(patterns []string, a *act) bool {
	full := a.event.User.Name
	if d := a.event.User.Domain; d != "" && !strings.Contains(full, `\`) {
		full = d + `\` + full
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		return tenant.MatchAccount(p, a.account) || tenant.MatchAccount(p, a.event.User.Name) && a.event.User.Name != "" || strings.Contains(p, `\`) && tenant.MatchAccount(p, full)
	})
}

// jumpHost suppresses going on from a host that the trust declares for just that, unless it leads to somebody
// else, or beyond the hours or destinations of the trust.
func (d *Detector) jumpHost(o *open, l *landing, s *source) {
	t := d.model.Trust(l.Who.Trust)
	if t == nil || !matches(t.JumpHosts, s.Host) {
		return
	}
	o.Jump = true
	f := o.Finding
	if len(o.Crossing) > 0 || o.Beyond {
		if f.Suppressed != nil && f.Suppressed.By == "trust" {
			f.Suppressed = nil
		}
		return
	}
	if f.Suppressed == nil {
		f.Suppressed = &ocsf.Suppression{By: "trust", Owner: t.Owner, Reason: "the trust declares " + value(s.Host) + " as a jump host", Until: t.ValidUntil}
	}
}

// matches reports whether a host is named by one of the prefixes, addresses or names.
func matches(list []string, h host) bool {
	return slices.ContainsFunc(list, func(x string) bool {
		if p, err := netip.ParsePrefix(x); err == nil {
			return h.Addr.IsValid() && p.Contains(h.Addr)
		}
		if a, err := netip.ParseAddr(x); err == nil {
			return h.Addr == a
		}
		return h.Name != "" && short(x) == h.Name
	})
}
