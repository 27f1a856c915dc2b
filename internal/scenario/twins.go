package scenario

import "net/netip"

// sweepLast is the last host address that inventories look at.
const sweepLast = 90

// twin is an honest thing that looks like an intrusion. All of them lie in the background of every kind.
type twin struct {
	name string
	run  func(w *world, s *scribe)
}

var benign = []twin{
	{"patch-night", patchNight}, {"tool-change", toolChange}, {"help-desk", helpDesk}, {"reset-storm", resetStorm},
	{"penetration-test", penetrationTest}, {"inventory", inventory}, {"onboarding", onboarding}, {"merger", merger},
	{"backup", backupNights}, {"renewal", renewal}, {"delegation-change", delegationChange}, {"mass-mail", massMail},
}

func (w *world) twins() {
	list := benign
	if w.kind.directory {
		list = append(list[:len(list):len(list)], directoryBenign...)
	} else if w.o.SharedNAT { // the firewalls' logs are kept
		list = append(list[:len(list):len(list)], twin{"discovery", discovery})
	}
	for _, t := range append(list[:len(list):len(list)], w.kind.extra...) {
		t.run(w, w.planner("twin "+t.name))
	}
}

// reached returns the clients whose trust fits, in an order drawn by the story.
func (w *world) reached(r *rng, fits func(c *org) bool) []*org {
	var out []*org
	for _, i := range r.Perm(len(w.clients)) {
		if fits(w.clients[i]) {
			out = append(out, w.clients[i])
		}
	}
	return out
}

func (c *org) managed() bool { return c.reach.rmm && c.reach.vpn }

func (w *world) trustID(c *org) string { return w.provider.id + "-" + c.id }

func (w *world) approve(trust string, src netip.Addr, dst netip.Prefix, v session, owner, reason string) {
	w.approvals = append(w.approvals, approvalConf{Trust: trust, Src: src.String(), Dst: dst.String(), Kind: "scan", From: stamp(v.start), Until: stamp(v.end), Owner: owner, Reason: reason})
}
