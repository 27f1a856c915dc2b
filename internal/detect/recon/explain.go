package recon

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Explain says what a flow means for its source and what its source still lacks to be called a scanner.
func (d *Detector) Explain(e *ocsf.Event) []string {
	if e.Flow == nil {
		return []string{"no network flow, not looked at"}
	}
	c, ok := contactOf(e)
	if !ok {
		return []string{fmt.Sprintf("a %s flow of state %q and history %q tells nothing of who asks whom (half seen, an answer, or to a group), not looked at",
			e.Flow.Proto, e.Flow.State, e.Flow.History)}
	}
	out := []string{fmt.Sprintf("%s asked %s of %s: %s", c.src, service{Proto: c.proto, Port: c.port}, c.dst,
		map[answer]string{answered: "answered", failed: "not answered", probed: "cut in the handshake, a probe"}[c.answer])}
	ts := d.tenants[e.Tenant]
	if ts == nil {
		return append(out, "nothing of this tenant was seen yet")
	}
	cl := ts.classify(e, c.src)
	if cl == internet {
		return append(out, "the source is in the Internet and came through no trust: only counted, recon/internet-noise")
	}
	key := sourceKey{addr: c.src.As16()}
	if cl == partner {
		key.trust = ts.trusts[e.Trust]
	}
	s := ts.peek(key)
	if s == nil {
		return append(out, "nothing of this source was seen yet")
	}
	if w := s.Known.find(c.pairHash()); w != nil {
		switch {
		case *w&flagOK != 0:
			out = append(out, "this service answered the source before, so a failure is no evidence")
		case *w&flagStale != 0:
			out = append(out, "this pair fails as a habit, so a failure is no evidence")
		}
	}
	if a := d.approval(s, e, &c); a != nil {
		out = append(out, fmt.Sprintf("covered by the approval of %s: %s", a.Owner, a.Reason))
	}
	for a, g := range s.groups() {
		if g == nil {
			continue
		}
		ep := g.Scan
		if ep == nil {
			ep = g.begin(g.Early)
			ep.Answered = g.Answered
		}
		out = append(out, fmt.Sprintf("episode %s: %s", [...]string{"without approval", "approved"}[a&approved], ep.reason(s, c.src)),
			fmt.Sprintf("walk over hosts %.1f, over services %.1f of %.1f; %.0f %% of the first contacts failed (limit %.0f %%)",
				walkStep*float32(s.Walks[a].steps(overHosts)), walkStep*float32(s.Walks[a].steps(overServices)), walkLimit, 100*ep.failRatio(), 100*ratioBorderline))
	}
	if !s.open() {
		out = append(out, "nothing new failed for this source within the last hour")
	}
	return out
}
