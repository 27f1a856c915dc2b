package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is kept for callers: scopes with a view of their own, and the changes that a watch may lag behind.
const (
	maxSights  = 64
	maxChanges = 16 << 10
	maxRest    = 2 * time.Second // the longest that a view of a very large result is used beside a newer one
)

// seen is what one scope may see of one version. It is never changed.
type seen struct {
	Version  uint64
	Result   *campaign.Result // nil while there is none
	Model    *tenant.Model
	findings map[string]*ocsf.Finding
	places   map[string]int // of campaigns and incidents in the result
	rows     []Row
	levels   []Level
}

// change names what is new or different; its content is looked up when it is sent, so that a slow reader gets the
// newest and not every step.
type change struct {
	seq      uint64
	kind, id string
}

// sight is one scope's view, drawn anew when somebody asks and the answer has changed. Once it was watched it knows
// what changed since.
type sight struct {
	live   Live
	scope  tenant.Scope
	levels Levels
	boot   string // tells the sequence numbers of this sight from those of another run

	mu      sync.Mutex
	now     *seen
	drawn   time.Time
	rest    time.Duration // before it is drawn again: drawing must not take all of a core
	listed  time.Time     // when coverage and levels were last asked for
	digests map[[2]string]uint64
	changes []change
	seq     uint64 // of the last change
	used    time.Time
	rate    float64 // events a second, between the last two looks at coverage
	events  int64
	busy    int  // watches
	based   bool // digests know coverage and levels
	quiet   bool
}

type sights struct {
	live   Live
	levels Levels
	mu     sync.Mutex
	by     map[string]*sight
}

func newSights(live Live, levels Levels) *sights {
	return &sights{live: live, levels: levels, by: map[string]*sight{}}
}

// of returns the view of a scope. The one that was not used for longest makes room for another.
func (s *sights) of(scope tenant.Scope) *sight {
	key := fmt.Sprint(scope)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.by[key]
	if v == nil {
		if len(s.by) >= maxSights {
			oldest := ""
			for k, x := range s.by {
				if x.busy == 0 && (oldest == "" || x.used.Before(s.by[oldest].used)) {
					oldest = k
				}
			}
			delete(s.by, oldest)
		}
		var b [6]byte
		_, _ = rand.Read(b[:]) // never fails, see crypto/rand
		v = &sight{live: s.live, scope: scope, levels: s.levels, boot: hex.EncodeToString(b[:])}
		s.by[key] = v
	}
	v.used = time.Now()
	return v
}

// hold counts a watch of the sight, so that it is not taken away under it.
func (s *sights) hold(v *sight, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.busy += by
}

// current returns the newest view.
func (v *sight) current() *seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draw()
	return v.now
}

func (v *sight) draw() {
	r, m, version := v.live.Result()
	if v.now != nil && (v.now.Version == version || time.Since(v.drawn) < v.rest) {
		return
	}
	start := time.Now()
	n := &seen{Version: version, Model: m, findings: map[string]*ocsf.Finding{}, places: map[string]int{}}
	if v.now != nil {
		n.rows, n.levels = v.now.rows, v.now.levels
	}
	if m != nil {
		n.Model = campaign.ModelWithin(v.scope, m)
	}
	if r != nil && m != nil {
		n.Result = r.Within(v.scope, m).Complete()
		for _, f := range n.Result.List {
			n.findings[f.ID] = f
		}
		for i := range n.Result.Campaigns {
			n.places[n.Result.Campaigns[i].ID] = i
		}
		for i := range n.Result.Incidents {
			n.places[n.Result.Incidents[i].ID] = i
		}
	}
	v.now = n
	if v.digests != nil {
		v.note(n)
	}
	v.drawn = time.Now()
	v.rest = min(4*v.drawn.Sub(start), maxRest)
}

// watch begins to note changes, and returns what is seen now and its place.
func (v *sight) watch() (*seen, uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draw()
	if v.digests == nil {
		v.digests = map[[2]string]uint64{}
		v.quiet = true // what is there at the beginning is no change
		v.note(v.now)
		v.quiet = false
	}
	return v.now, v.seq
}

// look asks for coverage and levels, at most once in a while, and returns how many events a second came since.
func (v *sight) look(ctx context.Context, pause time.Duration) (rate float64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	took := time.Since(v.listed)
	if took < pause || v.now == nil {
		return v.rate, nil
	}
	n := *v.now
	n.rows = nil
	for _, row := range v.live.Coverage(v.scope) {
		if v.scope.Sees(row.Tenant) {
			n.rows = append(n.rows, row)
		}
	}
	if v.levels != nil {
		list, err := v.levels.List(ctx, v.scope)
		if err != nil {
			return 0, fmt.Errorf("listing alert levels: %w", err)
		}
		n.levels = nil
		for _, l := range list {
			if v.scope.Sees(l.Tenant) {
				n.levels = append(n.levels, l)
			}
		}
	}
	var events int64
	for _, row := range n.rows {
		events += row.Events
	}
	if !v.listed.IsZero() {
		v.rate = max(0, float64(events-v.events)/took.Seconds())
	}
	first := !v.based
	v.based = v.digests != nil
	v.listed, v.events, v.now = time.Now(), events, &n
	if v.digests != nil {
		v.quiet = first
		v.noteRows(&n)
		v.quiet = false
	}
	return v.rate, nil
}

// since returns the changes after a place, at most most, and the place they lead to; false where they are no
// longer known.
func (v *sight) since(seq uint64, most int) (list []change, to uint64, now *seen, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if seq > v.seq {
		return nil, v.seq, v.now, false
	}
	if len(v.changes) == 0 {
		return nil, v.seq, v.now, seq == v.seq
	}
	if seq+1 < v.changes[0].seq {
		return nil, v.seq, v.now, false
	}
	for _, c := range v.changes {
		if c.seq > seq && len(list) < most {
			list = append(list, c)
		}
	}
	if len(list) > 0 {
		seq = list[len(list)-1].seq
	}
	return list, seq, v.now, true
}

// note compares what is seen with what was, and keeps what differs.
func (v *sight) note(n *seen) {
	if n.Result == nil {
		return
	}
	there := make(map[[2]string]bool, len(n.findings)+len(n.places))
	for _, f := range n.Result.List {
		v.noteOne(there, "finding", f.ID, digestFinding(f))
	}
	for i := range n.Result.Incidents {
		v.noteOne(there, "incident", n.Result.Incidents[i].ID, digest(&n.Result.Incidents[i]))
	}
	for i := range n.Result.Campaigns {
		v.noteOne(there, "campaign", n.Result.Campaigns[i].ID, digest(&n.Result.Campaigns[i]))
	}
	v.gone(there, "finding", "incident", "campaign")
}

func (v *sight) noteRows(n *seen) {
	there := map[[2]string]bool{}
	for i := range n.rows {
		v.noteOne(there, "coverage", n.rows[i].key(), digest(&n.rows[i]))
	}
	for i := range n.levels {
		v.noteOne(there, "level", string(n.levels[i].Tenant), digest(&n.levels[i]))
	}
	v.gone(there, "coverage", "level")
}

func (v *sight) noteOne(there map[[2]string]bool, kind, id string, sum uint64) {
	k := [2]string{kind, id}
	there[k] = true
	if old, ok := v.digests[k]; !ok || old != sum {
		v.digests[k] = sum
		v.add(kind, id)
	}
}

func (v *sight) gone(there map[[2]string]bool, kinds ...string) {
	for k := range v.digests {
		for _, kind := range kinds {
			if k[0] == kind && !there[k] {
				delete(v.digests, k)
				v.add(kind, k[1])
			}
		}
	}
}

func (v *sight) add(kind, id string) {
	if v.quiet {
		return
	}
	v.seq++
	if len(v.changes) >= maxChanges {
		v.changes = append(v.changes[:0], v.changes[len(v.changes)-maxChanges/2:]...)
	}
	v.changes = append(v.changes, change{v.seq, kind, id})
}

// find returns what a change is about, as it stands now; removed where it is no longer there.
func (n *seen) find(kind, id string) any {
	switch kind {
	case "finding":
		if f := n.findings[id]; f != nil {
			return f
		}
	case "incident":
		if n.Result != nil {
			if i, ok := n.places[id]; ok && i < len(n.Result.Incidents) && n.Result.Incidents[i].ID == id {
				return &n.Result.Incidents[i]
			}
		}
	case "campaign":
		if n.Result != nil {
			if i, ok := n.places[id]; ok && i < len(n.Result.Campaigns) && n.Result.Campaigns[i].ID == id {
				return &n.Result.Campaigns[i]
			}
		}
	case "coverage":
		for i := range n.rows {
			if n.rows[i].key() == id {
				return &n.rows[i]
			}
		}
		return nil
	case "level":
		for i := range n.levels {
			if string(n.levels[i].Tenant) == id {
				return &n.levels[i]
			}
		}
		return nil
	}
	return removed{id, true}
}

// removed is sent of what is there no more, such as a campaign that another took in.
type removed struct {
	ID      string `json:"id"`
	Removed bool   `json:"removed"`
}

func (r *Row) key() string { return string(r.Tenant) + "\x00" + string(r.Layer) + "\x00" + r.Sensor }

func digest(v any) uint64 {
	h := fnv.New64a()
	if err := json.NewEncoder(h).Encode(v); err != nil {
		return 0
	}
	return h.Sum64()
}

// digestFinding covers what grows or is judged anew in a finding; the rest is fixed by its id.
func digestFinding(f *ocsf.Finding) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %d %d %s %s %s %s %d %v", f.End.UnixNano(), f.Count, f.Severity, f.Confidence, f.Outcome, f.Title, f.Reason, f.Trust, len(f.Entities), f.Suppressed != nil)
	return h.Sum64()
}
