package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// appOrKey: the provider's application, or the key by which it takes a role in its clients' AWS accounts, is used by
// somebody else from elsewhere. Who consented is exposed; where the key was lost is not in anybody's telemetry here.
var appOrKey = kind{name: "app-or-key", cast: castAppOrKey, plan: planAppOrKey, minClients: 4, apps: true, extra: appsBenign}

func castAppOrKey(w *world) {
	r := newRNG(w.o.Seed, "cast")
	cloud := []tenant.Layer{tenant.LayerCloud}
	first := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Exposed, Exposed, Clear, Succeeded, Clear, Attempted}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: cloud}
		c.reach.app = outcome != Clear
		c.layers[tenant.LayerCloud] = outcome != Blind
		switch outcome {
		case Clear:
			c.part.shows = nil
		case Attempted:
			c.part.seen, c.part.way = cloud, "refused"
		case Succeeded:
			c.part.seen, c.part.success, c.part.way = cloud, cloud, "mail"
			if c.apps = map[string]bool{}; r.chance(0.5) {
				c.apps["aws"], c.part.way = true, pick(r, []string{"storage", "mail and storage"})
			}
		}
	}
	w.neighbour.part = part{outcome: Clear}
	w.provider.tenant = false
	w.provider.part = part{outcome: Blind}
}

func planAppOrKey(w *world) {
	x := w.intrusion("attack", &w.foe)
	p := w.provider
	key, known := w.appKey, x.r.chance(0.6)
	own := x.foe.own()
	if !known { // issued in the provider's own directory: no client ever saw it
		key = newRNG(w.names, "intruder's key").guid()
		own = append(own, key)
	}
	from := where{x.foe.exit, x.foe.asn, x.foe.place}
	agent := pick(x.r, awsAgents)
	habit, slow := pick(x.r, habits), x.r.chance(0.5)
	t := x.hour(w.workday(w.o.Days/5+x.r.IntN(max(1, w.o.Days/3))), habit)
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
		if latest := w.end().Add(-5 * time.Hour); t.After(latest) {
			t = latest
		}
		x.withKey(c, t, key, from, agent)
		if t = t.Add(x.r.span(3*time.Minute, 50*time.Minute)); slow {
			t = x.hour(min(int(t.Sub(w.start)/(24*time.Hour))+1, w.o.Days-1), habit)
		}
	}
	w.campaign(true, x.acts, Ask{Ask: p.id, For: w.appID, From: w.start, To: x.earliest()}, own)
}

// earliest is when the intruder first did anything.
func (x *intrusion) earliest() time.Time {
	first := x.w.end()
	for _, a := range x.acts {
		if a.at.Before(first) {
			first = a.at
		}
	}
	return first
}

// withKey is what is done at one client with the application's key or the role.
func (x *intrusion) withKey(c *org, t time.Time, key string, from where, agent string) {
	w := x.w
	honest := w.planner("control application " + strconv.Itoa(c.idx))
	x.did(t, c, tenant.LayerCloud, "app", w.appID, from.ip)
	if c.part.way == "refused" {
		x.as("T1550.001", func(s *scribe) {
			for i := range s.r.between(2, 4) {
				if c.apps["aws"] && i > 0 {
					s.assumes(c, t.Add(time.Duration(i)*time.Minute), "PartnerBackup", from.ip, agent, "AccessDenied")
					continue
				}
				s.appRefused(c, t.Add(time.Duration(i)*s.n.span(20*time.Second, 5*time.Minute)), key, from)
			}
		})
		return
	}
	if c.part.way != "storage" {
		s := honest
		s.appSignIn(c, w.otherDay(s.r, t), w.appKey, w.provider.office())
		s.appReads(c, w.otherDay(s.r, t), w.provider.office(), some(s.r, c.people, 6))
		x.as("T1550.001", func(s *scribe) { s.appSignIn(c, t, key, from) })
		x.as("T1114.002", func(s *scribe) {
			for i := range s.r.between(1, 3) {
				s.appReads(c, t.Add(time.Duration(i)*s.r.span(9*time.Minute, 30*time.Minute)), from, some(s.r, c.people[:9], s.r.between(3, 8)))
			}
		})
	}
	if c.part.way != "mail" {
		at := t.Add(x.r.span(4*time.Minute, time.Hour))
		var role identity
		x.as("T1078.004", func(s *scribe) { role = s.assumes(c, at, "PartnerBackup", from.ip, agent, "") })
		x.as("T1530", func(s *scribe) {
			s.reads(c, at.Add(time.Minute), role, from.ip, agent, some(s.r, c.buckets(), s.r.between(2, 4)), s.r.between(3, 8))
		})
	}
}
