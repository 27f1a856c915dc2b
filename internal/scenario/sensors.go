package scenario

import (
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// fewHave are the sources that only some kinds have.
var fewHave = []string{"web", "console", "okta", "aws", "github"}

// equip settles what the organisations' sensors are like: their clocks, the families and translations of addresses,
// which firewalls' logs are kept, which sensors deliver late. Each draws from a stream of its own, so that an option
// changes nothing else.
func (w *world) equip() {
	w.setClocks()
	w.setFamilies()
	if w.kind.directory {
		for _, o := range w.orgs {
			if newRNG(w.o.Seed, "firewall", o.idx).chance(0.6) {
				o.firewall = o.product()
			}
		}
	}
	w.setNAT()
	w.setPlatform()
	w.setApps()
	w.setLate()
}

// setLate draws which sources are delivered late: about a third of those that are lines in files, at least the
// network sensor of one client. Messages arrive when they arrive.
func (w *world) setLate() {
	if !w.o.Late {
		return
	}
	any := false
	for _, o := range w.orgs {
		r := newRNG(w.o.Seed, "late", o.idx)
		o.late = map[string]bool{}
		for _, f := range folders {
			if slices.Contains(fewHave, f.name) && !o.hasFolder(w, f.name) {
				continue
			}
			if late := r.chance(0.35); late && f.layer != tenant.LayerMail {
				o.late[f.name] = true
				any = any || o.client
			}
		}
	}
	if !any {
		w.clients[0].late["zeek"] = true
	}
}
