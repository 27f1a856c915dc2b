package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The measures of the hop graph, in SVG user units (CSS pixels on screen).
const (
	gutter     = 176 // lane names
	axisHigh   = 44
	charWide   = 6.2 // an 11.5 px system font, measured generously so that labels never touch
	nameHigh   = 17  // from a track up to the top of its name
	labelDown  = 12  // from a track down to its first label's baseline
	labelHigh  = 13
	nameChars  = 30
	labelChars = 42
	groupOver  = 30  // more hops of one kind between two lanes become one arrow with a count
	mostArrows = 120 // above this, smaller groups collapse too
)

// graph is the hop graph laid out: lanes are tenants (the first is outside), x is time with long pauses
// shortened, each entity has a track in its lane, and each hop a column of its own.
type graph struct {
	W, H    int
	Lanes   []lane
	Tracks  []track
	Arrows  []arrow
	Ticks   []tick
	Pauses  []tick
	Grouped bool // some arrows stand for many hops
	Title   string
}

type lane struct {
	Tenant  tenant.ID
	Name    []string // wrapped to the gutter
	Outcome campaign.Outcome
	Y, High int
	Odd     bool
}

// track is the line of one entity in its lane.
type track struct {
	Name, Full     string
	X1, X2, Y      int
	lines          []int // end of the last label on each line below
	lane           int
	key            trackKey
	first, members int
}

type trackKey struct {
	tenant tenant.ID
	kind   ocsf.EntityType
	value  string
}

// arrow is one hop, or a group of them.
type arrow struct {
	Ref           string // id of the timeline entry it leads to
	N             int    // number shown, that of the timeline
	Label, Title  string
	X, Y1, Y2     int
	LabelX        int
	LabelY        int
	Head          string // path of the arrow head; "" where the hop stays on its track
	Shape         string // path of the marker, by kind
	Kind, Outcome string
	Crosses       bool // through a trust relationship into another organisation
	from, to      int  // tracks
	line          int
}

type tick struct {
	X    int
	Text string
}

// move is a hop or group before layout.
type move struct {
	campaign.Hop
	n, count int // number of the first hop in the timeline; hops it stands for
	end      time.Time
}

// layout draws one campaign's hops; nil where it has none.
func (n namer) layout(c *campaign.Campaign) *graph {
	moves := grouping(c.Hops)
	if len(moves) == 0 {
		return nil
	}
	g := &graph{Title: fmt.Sprintf("%s between %s and %s", count(len(c.Hops), "hop", "hops"), minute(moves[0].Time), minute(moves[len(moves)-1].Time))}
	xs := columns(moves)
	g.axis(moves, xs)
	g.lanes(n, c, moves)
	index := map[trackKey]int{}
	for i, m := range moves {
		a := arrow{Ref: hopRef(c.ID, m.n), N: m.n, X: xs[i], Kind: m.Kind, Outcome: m.Outcome,
			Crosses: m.Trust != "" && m.From.Tenant != m.To.Tenant, Shape: shape(m.Kind), Title: hopTitle(n, m)}
		a.Label = clip(strconv.Itoa(m.n)+" "+plain(m.Label), labelChars)
		if m.count > 1 {
			g.Grouped = true
			a.Label = clip(fmt.Sprintf("%d–… %d × %s", m.n, m.count, plain(m.Label)), labelChars)
		}
		a.from, a.to = g.track(index, m.From, m.count, xs[i]), g.track(index, m.To, m.count, xs[i])
		g.Arrows = append(g.Arrows, a)
	}
	g.place()
	return g
}

// grouping sorts the hops by time and collapses what is too many to draw: more than groupOver hops of one kind
// and outcome between the same two lanes, and smaller groups as long as there are more than mostArrows arrows.
func grouping(hops []campaign.Hop) []move {
	moves := make([]move, len(hops))
	for i, h := range numbered(hops) {
		moves[i] = move{Hop: h, n: i + 1, count: 1, end: h.Time}
	}
	type key struct {
		from, to      tenant.ID
		kind, outcome string
	}
	for limit := groupOver; ; limit /= 2 {
		sizes := map[key]int{}
		for _, m := range moves {
			sizes[key{m.From.Tenant, m.To.Tenant, m.Kind, m.Outcome}]++
		}
		var out []move
		at := map[key]int{}
		for _, m := range moves {
			k := key{m.From.Tenant, m.To.Tenant, m.Kind, m.Outcome}
			if sizes[k] <= limit {
				out = append(out, m)
				continue
			}
			i, ok := at[k]
			if !ok {
				at[k] = len(out)
				m.Label = m.Kind
				m.From.Entity, m.To.Entity = some(hops, m.From.Tenant, true), some(hops, m.To.Tenant, false)
				out = append(out, m)
				continue
			}
			out[i].count += m.count
			out[i].end = m.end
		}
		moves = out
		if len(moves) <= mostArrows || limit <= 1 {
			return moves
		}
	}
}

// some is the entity a collapsed group is drawn with.
func some(hops []campaign.Hop, t tenant.ID, from bool) ocsf.Entity {
	seen := map[ocsf.Entity]bool{}
	for _, h := range hops {
		e := h.To
		if from {
			e = h.From
		}
		if e.Tenant == t {
			seen[ocsf.Entity{Type: e.Entity.Type, Value: e.Entity.Value}] = true
		}
	}
	return ocsf.Entity{Value: count(len(seen), "end point", "end points")}
}

// numbered returns the hops in the order of the timeline.
func numbered(hops []campaign.Hop) []campaign.Hop {
	out := slices.Clone(hops)
	slices.SortStableFunc(out, func(a, b campaign.Hop) int { return a.Time.Compare(b.Time) })
	return out
}

func hopRef(id string, n int) string { return "hop-" + id + "-" + strconv.Itoa(n) }

func hopTitle(n namer, m move) string {
	s := minute(m.Time) + ": " + entity(m.From.Entity) + " at " + n.tenant(m.From.Tenant) + " → " + entity(m.To.Entity) + " at " + n.tenant(m.To.Tenant) + ", " + m.Label
	if m.count > 1 {
		s += fmt.Sprintf(", %d hops until %s", m.count, minute(m.end))
	}
	return plain(s)
}

func entity(e ocsf.Entity) string {
	if e.Type == "" {
		return e.Value
	}
	return spaced(string(e.Type)) + " " + e.Value
}

// columns gives each move an x that grows with time: a minute counts little, a week no more than six hours,
// so that months of dwell time leave room for what happened.
func columns(moves []move) []int {
	xs := make([]int, len(moves))
	x := gutter + 22.0
	for i := range moves {
		if i > 0 {
			dt := moves[i].Time.Sub(moves[i-1].Time).Minutes()
			x += math.Min(74, 24+4.5*math.Log2(1+math.Max(0, dt)))
		}
		xs[i] = int(x)
	}
	return xs
}

// axis writes the days, and how long the long pauses between two columns are.
func (g *graph) axis(moves []move, xs []int) {
	day, last := "", -1000
	for i, m := range moves {
		if d := m.Time.UTC().Format("2 Jan"); d != day {
			day = d
			if xs[i]-last >= 46 {
				text := d
				if i == 0 || m.Time.UTC().Year() != moves[i-1].Time.UTC().Year() {
					text = m.Time.UTC().Format("2 Jan 2006")
				}
				g.Ticks = append(g.Ticks, tick{xs[i], text})
				last = xs[i] + int(float64(max(0, len(text)-6))*charWide)
			} else {
				g.Ticks = append(g.Ticks, tick{xs[i], ""})
			}
		}
		if i > 0 {
			if d := m.Time.Sub(moves[i-1].Time); d >= 20*time.Hour {
				text := strconv.Itoa(int(math.Round(d.Hours()/24))) + " d"
				g.Pauses = append(g.Pauses, tick{(xs[i] + xs[i-1]) / 2, text})
			}
		}
	}
}

// lanes orders the tenants that the hops touch: outside, the partner's own, then by first touch.
func (g *graph) lanes(n namer, c *campaign.Campaign, moves []move) {
	var ids []tenant.ID
	for _, m := range moves {
		for _, id := range []tenant.ID{m.From.Tenant, m.To.Tenant} {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	rank := func(id tenant.ID) int {
		switch {
		case id == "":
			return 0
		case n.isPartner(id, c.Partner):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(ids, func(a, b tenant.ID) int { return rank(a) - rank(b) })
	for i, id := range ids {
		l := lane{Tenant: id, Name: wrap(clip(plain(n.tenant(id)), 57), 19), Odd: i%2 == 1}
		for _, t := range c.Tenants {
			if t.Tenant == id && id != "" {
				l.Outcome = t.Outcome
			}
		}
		g.Lanes = append(g.Lanes, l)
	}
}

// track returns the track of one end of a hop and stretches it to x.
func (g *graph) track(index map[trackKey]int, end campaign.HopEnd, members, x int) int {
	k := trackKey{end.Tenant, end.Entity.Type, end.Entity.Value}
	i, ok := index[k]
	if !ok {
		i = len(g.Tracks)
		index[k] = i
		full := plain(entity(end.Entity))
		g.Tracks = append(g.Tracks, track{Name: clip(plain(end.Entity.Value), nameChars), Full: full, X1: x, key: k, first: x, members: members,
			lane: slices.IndexFunc(g.Lanes, func(l lane) bool { return l.Tenant == end.Tenant })})
	}
	g.Tracks[i].X2 = x
	return i
}

// place gives every track and label its height: labels of one track are moved down a line until they touch no
// other, and lanes grow with their tracks.
func (g *graph) place() {
	for i := range g.Arrows {
		a := &g.Arrows[i]
		t := &g.Tracks[a.to]
		a.LabelX = a.X + 11
		end := a.LabelX + textWide(a.Label)
		a.line = slices.IndexFunc(t.lines, func(e int) bool { return e+8 < a.X })
		if a.line < 0 {
			a.line = len(t.lines)
			t.lines = append(t.lines, 0)
		}
		t.lines[a.line] = end
		g.W = max(g.W, end+16)
	}
	y := axisHigh
	for l := range g.Lanes {
		top := y
		y += 4
		for i := range g.Tracks {
			t := &g.Tracks[i]
			if t.lane != l {
				continue
			}
			t.Y = y + nameHigh
			y = t.Y + 5
			if n := len(t.lines); n > 0 {
				y = t.Y + labelDown + labelHigh*(n-1) + 4
			}
			g.W = max(g.W, t.first+textWide(t.Name)+26)
		}
		names := len(g.Lanes[l].Name)*15 + 14
		if g.Lanes[l].Outcome != "" {
			names += 15
		}
		y = max(y+6, top+names)
		g.Lanes[l].Y, g.Lanes[l].High = top, y-top
	}
	g.H = y + 8
	for i := range g.Arrows {
		a := &g.Arrows[i]
		a.Y1, a.Y2 = g.Tracks[a.from].Y, g.Tracks[a.to].Y
		a.LabelY = a.Y2 + labelDown + labelHigh*a.line
		switch {
		case a.Y1 < a.Y2:
			a.Head = fmt.Sprintf("M%d %dl-4 -7h8z", a.X, a.Y2-7)
		case a.Y1 > a.Y2:
			a.Head = fmt.Sprintf("M%d %dl-4 7h8z", a.X, a.Y2+7)
		}
	}
}

func textWide(s string) int { return int(float64(width(s))*charWide) + 1 }

// shape is the marker of a kind, around 0,0.
func shape(kind string) string {
	switch k := strings.ToLower(kind); {
	case strings.Contains(k, "mail"), strings.Contains(k, "phish"):
		return "M-7 -5h14v10h-14zM-7 -5l7 6l7 -6" // an envelope
	case strings.Contains(k, "rmm"), strings.Contains(k, "remote"):
		return "M-5.5 -5.5h11v11h-11z"
	case strings.Contains(k, "sign-in"), strings.Contains(k, "cloud"), strings.Contains(k, "role"), strings.Contains(k, "app"):
		return "M-6.5 0l3.2 -5.6h6.6l3.2 5.6l-3.2 5.6h-6.6z"
	case strings.Contains(k, "logon"):
		return "M-5.8 0a5.8 5.8 0 1 0 11.6 0a5.8 5.8 0 1 0 -11.6 0z"
	case strings.Contains(k, "probe"), strings.Contains(k, "scan"):
		return "M0 -6.5l6.5 11.5h-13z"
	}
	return "M0 -7l7 7l-7 7l-7 -7z" // session, and whatever else
}
