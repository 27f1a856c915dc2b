package enumeration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const (
	noiseLeast      = 5       // acts of a day before anything is said
	maxNoiseSources = 1 << 16 // distinct sources that are counted
	maxNoiseNamed   = 5       // sources that are named
)

// noise is what the Internet wanted to know of one tenant on one UTC day. It is a statistic and pages nobody.
type noise struct {
	Day         int64 // days since 1970
	First, Last int64
	Counts      [kinds]int
	Total, Told int
	sources     map[uint32]struct{} // hashes, at most maxNoiseSources
	Full        bool
	Named       []netip.Addr // the first ones
	Evidence    []*ocsf.Event
}

// untold reports whether there is something to say that was not said.
func (n *noise) untold() bool { return n != nil && n.Total >= noiseLeast && n.Total != n.Told }

// fromInternet counts an act of a source in the Internet.
func (ts *tenantState) fromInternet(d *Detector, e *ocsf.Event, a *act, emit detect.Emit) {
	at := e.Time.UnixNano()
	if ts.noise != nil && ts.noise.Day != at/dayLength {
		ts.tellNoise(d, emit)
		ts.noise = nil
	}
	n := ts.noise
	if n == nil {
		n = &noise{Day: at / dayLength, First: at, sources: map[uint32]struct{}{}}
		ts.noise = n
	}
	d.pending++
	n.Last = max(n.Last, at)
	n.Total++
	n.Counts[a.kind]++
	if h := hashAddr(a.src); len(n.sources) < maxNoiseSources {
		n.sources[h] = struct{}{}
	} else if _, there := n.sources[h]; !there {
		n.Full = true
	}
	if len(n.Named) < maxNoiseNamed && !slices.Contains(n.Named, a.src) {
		n.Named = append(n.Named, a.src)
	}
	if len(n.Evidence) < ocsf.MaxEvidence {
		n.Evidence = append(n.Evidence, e)
	}
	if n.Total >= noiseLeast && n.Total >= 4*n.Told {
		ts.tellNoise(d, emit)
	}
}

func (ts *tenantState) closeNoise(d *Detector, at int64, emit detect.Emit) {
	if ts.noise == nil {
		return
	}
	ts.tellNoise(d, emit)
	if at/dayLength > ts.noise.Day {
		ts.noise = nil
	}
}

func (ts *tenantState) tellNoise(d *Detector, emit detect.Emit) {
	if n := ts.noise; n.untold() {
		n.Told = n.Total
		emit(ts.noiseFinding(d))
	}
}

func (ts *tenantState) noiseFinding(d *Detector) *ocsf.Finding {
	n := ts.noise
	f := &ocsf.Finding{Tenant: ts.id, Layer: n.Evidence[0].Layer, Detector: name, Rule: "enumeration/internet-noise", Technique: "T1590",
		Severity: ocsf.SeverityInformational, Confidence: 60, Outcome: ocsf.OutcomeAttempted, Snapshot: d.model.Version}
	f.Identify(time.Unix(n.Day*86400, 0).UTC())
	for _, e := range n.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.Unix(0, n.First).UTC(), time.Unix(0, n.Last).UTC(), n.Total
	for _, a := range n.Named {
		f.AddEntity(ocsf.EntityIP, a.String(), ocsf.RoleSource)
	}
	var what []string
	for k, c := range n.Counts {
		if c > 0 {
			what = append(what, fmt.Sprintf("%s: %d", titles[k], c))
		}
	}
	count := plural(len(n.sources), "source")
	if n.Full {
		count = "more than " + count
	}
	f.Title = "Names and services asked for from the Internet: " + count
	f.Reason = fmt.Sprintf("%s of the Internet wanted to know %d things on this UTC day. %s. No declared partner is among them.", count, n.Total, strings.Join(what, "; "))
	return f
}
