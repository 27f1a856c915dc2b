package report

import (
	"fmt"
	"testing"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// crowded is a campaign of n hops over as many lanes as asked.
func crowded(n, lanes int) *campaign.Campaign {
	c := &campaign.Campaign{ID: "c", Partner: "harbour"}
	kinds := []string{"session", "rmm", "logon", "mail"}
	for i := range n {
		to := tenant.ID(fmt.Sprintf("tenant-with-a-rather-long-name-%02d", i%lanes))
		c.Hops = append(c.Hops, campaign.Hop{Time: at(i/5, 0, i), Kind: kinds[i%len(kinds)], Label: fmt.Sprintf("hop with a label number %d", i), Trust: "t",
			From: campaign.HopEnd{Tenant: "", Entity: ocsf.Entity{Type: "ip", Value: fmt.Sprintf("198.51.100.%d", i%7)}},
			To:   campaign.HopEnd{Tenant: to, Entity: ocsf.Entity{Type: "host", Value: fmt.Sprintf("HOST-%d", i%11)}}})
	}
	return c
}

type box struct {
	x1, y1, x2, y2 int
	text           string
}

func texts(g *graph) (out []box) {
	for _, t := range g.Tracks {
		out = append(out, box{t.X1 + 11, t.Y - 16, t.X1 + 11 + textWide(t.Name), t.Y - 5, t.Name})
	}
	for _, a := range g.Arrows {
		out = append(out, box{a.LabelX, a.LabelY - 9, a.LabelX + textWide(a.Label), a.LabelY + 2, a.Label})
	}
	return out
}

func TestGraphTextNeverOverlaps(t *testing.T) {
	full, m := fixture()
	for name, c := range map[string]*campaign.Campaign{"fixture": &full.Campaigns[0], "8 lanes": crowded(60, 8), "20 lanes": crowded(110, 20), "one instant": instant()} {
		g := namer{m}.layout(c)
		boxes := texts(g)
		for i, a := range boxes {
			if a.x2 > g.W || a.y2 > g.H || a.x1 < gutter {
				t.Errorf("%s: %q leaves the drawing", name, a.text)
			}
			for _, b := range boxes[i+1:] {
				if a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2 {
					t.Errorf("%s: %q and %q overlap", name, a.text, b.text)
				}
			}
		}
		for i := 1; i < len(g.Arrows); i++ {
			if g.Arrows[i].X <= g.Arrows[i-1].X {
				t.Errorf("%s: arrow %d does not stand right of the one before", name, i)
			}
		}
		for _, tr := range g.Tracks {
			l := g.Lanes[tr.lane]
			if tr.Y < l.Y || tr.Y > l.Y+l.High {
				t.Errorf("%s: track %q leaves its lane", name, tr.Name)
			}
		}
	}
}

func instant() *campaign.Campaign {
	c := crowded(12, 3)
	for i := range c.Hops {
		c.Hops[i].Time = at(0, 0, 0)
	}
	return c
}

func TestGraphCollapsesGroupsOver30(t *testing.T) {
	c := crowded(20, 4)
	for i := range 200 {
		c.Hops = append(c.Hops, campaign.Hop{Time: at(3, 0, i), Kind: "rmm", Label: "session", To: campaign.HopEnd{Tenant: "victim",
			Entity: ocsf.Entity{Type: "host", Value: fmt.Sprint("H", i)}}})
	}
	g := namer{fixtureModel()}.layout(c)
	if len(g.Arrows) != 21 || !g.Grouped {
		t.Fatalf("%d arrows, want 21", len(g.Arrows))
	}
	found := false
	for _, a := range g.Arrows {
		found = found || a.Label == "16–… 200 × rmm"
	}
	if !found {
		t.Errorf("no arrow counts the 200 hops: %+v", g.Arrows)
	}
	if g := (namer{fixtureModel()}).layout(crowded(3000, 20)); len(g.Arrows) > mostArrows {
		t.Errorf("%d arrows drawn", len(g.Arrows))
	}
	if (namer{fixtureModel()}).layout(&campaign.Campaign{}) != nil {
		t.Error("a campaign without hops has a graph")
	}
}
