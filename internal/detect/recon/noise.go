package recon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// noise is what the Internet asked of one tenant on one UTC day. It is a statistic and pages nobody.
type noise struct {
	Day         int64 // days since 1970
	First, Last int64
	Probes      int
	sources     map[uint32]struct{} // hashes, at most maxNoiseSources
	Full        bool
	Services    []serviceCount // probes of each service
	Busiest     []talker
	Targets     []netip.Addr
	Evidence    []*ocsf.Event
	Emitted     int
}

type talker struct {
	Addr   netip.Addr
	Probes int
}

const (
	maxNoiseSources = 1 << 16
	maxTalkers      = 16
	noiseLeast      = 5 // probes of a day before anything is said
	loudTalker      = 5 // probes from which a source is named
)

// internetProbe counts an unanswered contact from the Internet.
func (ts *tenantState) internetProbe(d *Detector, e *ocsf.Event, c *contact, emit detect.Emit) {
	day := c.time / (24 * hour)
	if ts.noise != nil && ts.noise.Day != day {
		ts.emitNoise(d, emit)
		ts.noise = nil
	}
	n := ts.noise
	if n == nil {
		n = &noise{Day: day, First: c.time, sources: map[uint32]struct{}{}}
		ts.noise = n
	}
	n.Probes++
	n.Last = c.time
	b := c.src.As16()
	if h := hash32(b[:]); len(n.sources) < maxNoiseSources {
		n.sources[h] = struct{}{}
	} else if _, ok := n.sources[h]; !ok {
		n.Full = true
	}
	n.countService(service{Proto: c.proto, Port: c.port})
	n.countTalker(c.src)
	if len(n.Targets) < 20 && !slices.Contains(n.Targets, c.dst) {
		n.Targets = append(n.Targets, c.dst)
	}
	if len(n.Evidence) < ocsf.MaxEvidence {
		n.Evidence = append(n.Evidence, e)
	}
	if n.Probes >= noiseLeast && n.Probes >= 4*n.Emitted {
		ts.emitNoise(d, emit)
	}
}

// countService and countTalker keep the most frequent ones (Misra and Gries 1982).
func (n *noise) countService(svc service) {
	for i := range n.Services {
		if n.Services[i].Service == svc {
			n.Services[i].Hosts++
			return
		}
	}
	if len(n.Services) < maxCounters {
		n.Services = append(n.Services, serviceCount{svc, 1})
		return
	}
	for i := range n.Services {
		n.Services[i].Hosts--
	}
	n.Services = slices.DeleteFunc(n.Services, func(s serviceCount) bool { return s.Hosts == 0 })
}

func (n *noise) countTalker(a netip.Addr) {
	for i := range n.Busiest {
		if n.Busiest[i].Addr == a {
			n.Busiest[i].Probes++
			return
		}
	}
	if len(n.Busiest) < maxTalkers {
		n.Busiest = append(n.Busiest, talker{a, 1})
		return
	}
	for i := range n.Busiest {
		n.Busiest[i].Probes--
	}
	n.Busiest = slices.DeleteFunc(n.Busiest, func(t talker) bool { return t.Probes == 0 })
}

func (ts *tenantState) closeNoise(d *Detector, at int64, emit detect.Emit) {
	if ts.noise != nil && at/(24*hour) > ts.noise.Day {
		ts.emitNoise(d, emit)
		ts.noise = nil
	}
}

func (ts *tenantState) emitNoise(d *Detector, emit detect.Emit) {
	if n := ts.noise; n.untold() {
		n.Emitted = n.Probes
		emit(ts.noiseFinding(d))
	}
}

// untold reports whether there is something to say that was not said.
func (n *noise) untold() bool { return n.Probes >= noiseLeast && n.Probes != n.Emitted }

func (ts *tenantState) noiseFinding(d *Detector) *ocsf.Finding {
	n := ts.noise
	f := &ocsf.Finding{Tenant: ts.id, Layer: n.Evidence[0].Layer, Detector: "recon", Rule: "recon/internet-noise", Technique: "T1595",
		Severity: ocsf.SeverityInformational, Confidence: 60, Outcome: ocsf.OutcomeAttempted, Snapshot: d.model.Version}
	f.Identify(time.Unix(n.Day*86400, 0).UTC())
	for _, e := range n.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.Unix(0, n.First).UTC(), time.Unix(0, n.Last).UTC(), n.Probes
	services := slices.Clone(n.Services)
	slices.SortFunc(services, func(a, b serviceCount) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.Service.Proto, b.Service.Proto), cmp.Compare(a.Service.Port, b.Service.Port))
	})
	loud := slices.Clone(n.Busiest)
	slices.SortFunc(loud, func(a, b talker) int { return cmp.Or(cmp.Compare(b.Probes, a.Probes), a.Addr.Compare(b.Addr)) })
	var loudest []string
	for _, t := range loud[:min(5, len(loud))] {
		if t.Probes >= loudTalker {
			f.AddEntity(ocsf.EntityIP, t.Addr.String(), ocsf.RoleSource)
			loudest = append(loudest, fmt.Sprintf("%s (%d)", t.Addr, t.Probes))
		}
	}
	for _, a := range n.Targets {
		f.AddEntity(ocsf.EntityIP, a.String(), ocsf.RoleTarget)
	}
	var asked []string
	for _, s := range services[:min(5, len(services))] {
		asked = append(asked, s.Service.String())
	}
	count := plural(len(n.sources), "source")
	if n.Full {
		count = "more than " + count
	}
	f.Title = "Scanning from the Internet: " + count
	f.Reason = fmt.Sprintf("%s of the Internet made %d contacts that nobody answered on this UTC day; most asked for: %s. No declared partner is among them.",
		count, n.Probes, strings.Join(asked, ", "))
	if len(loudest) > 0 {
		f.Reason += " Loudest: " + strings.Join(loudest, ", ") + "."
	}
	return f
}
