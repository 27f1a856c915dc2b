package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Doors is what the page shows of posture: whether the doors were locked when the report was made. Who makes it has
// taken out what must not be shown, such as names of accounts.
type Doors struct {
	Reports []*posture.Report
	KEV     string // which catalogue of exploited vulnerabilities was asked, and how old it is
}

// doorsView is the section of posture: tenants by pillars, worst first, then each tenant's controls.
type doorsView struct {
	At      time.Time
	KEV     string
	Pillars []string
	Rows    []doorRow
}

type doorRow struct {
	ID, Name string
	Cells    []doorCell
	Controls []doorControl
	Holding  int // controls that hold, of which nothing more is shown
}

type doorCell struct {
	Status posture.Status
	Held   string
}

type doorControl struct {
	*posture.Result
	Pillar   string
	Settings string
	Facts    []doorFact
	More     int
}

type doorFact struct {
	Status               posture.Status
	Subject, Says, Place string
	At                   time.Time
	Age                  string
}

// doorFacts is how many facts one control shows.
const doorFacts = 20

var doorNames = map[evidence.Pillar]string{
	evidence.PillarRemoteAccess: "Remote access", evidence.PillarNetwork: "Network", evidence.PillarTraining: "Training", evidence.PillarBackup: "Backup",
}

// newDoors draws the section up; nil where there is nothing to show.
func newDoors(d *Doors) *doorsView {
	if d == nil || len(d.Reports) == 0 {
		return nil
	}
	v := &doorsView{KEV: d.KEV}
	for _, p := range evidence.Pillars {
		v.Pillars = append(v.Pillars, doorNames[p])
	}
	list := slices.Clone(d.Reports)
	count := func(r *posture.Report, s posture.Status) (n int) {
		for _, x := range r.Results {
			if x.Status == s {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b *posture.Report) int {
		for _, s := range posture.Statuses[:3] {
			if x := count(b, s) - count(a, s); x != 0 {
				return x
			}
		}
		return strings.Compare(string(a.Tenant.ID), string(b.Tenant.ID))
	})
	for _, r := range list {
		if r.At.After(v.At) {
			v.At = r.At
		}
		v.Rows = append(v.Rows, doorsOf(r))
	}
	return v
}

func doorsOf(r *posture.Report) doorRow {
	row := doorRow{ID: string(r.Tenant.ID), Name: r.Tenant.Name}
	if row.Name == "" {
		row.Name = row.ID
	}
	for _, p := range r.Pillars() {
		all := 0
		for _, n := range p.Counts {
			all += n
		}
		c := doorCell{Status: p.Status, Held: "no controls"}
		if all > 0 {
			c.Held = fmt.Sprintf("%d of %d hold", p.Counts[posture.Pass]+p.Counts[posture.Excepted], all)
		}
		row.Cells = append(row.Cells, c)
	}
	for _, x := range r.Results {
		if x.Status == posture.Pass {
			row.Holding++
			continue
		}
		row.Controls = append(row.Controls, doorControlOf(r, x))
	}
	return row
}

func doorControlOf(r *posture.Report, x *posture.Result) doorControl {
	c := doorControl{Result: x, Pillar: doorNames[x.Control.Pillar]}
	if len(x.Settings) > 0 {
		if b, err := json.Marshal(x.Settings); err == nil {
			c.Settings = string(b)
		}
	}
	all := 0
	for _, n := range x.Counts {
		all += n
	}
	for _, j := range x.Items[:min(len(x.Items), doorFacts)] {
		f := doorFact{Status: j.Status, Subject: j.Item.Subject, Says: j.Says, Place: j.Item.From.File, At: j.Item.At}
		if j.Item.From.Line > 0 {
			f.Place = fmt.Sprintf("%s:%d", f.Place, j.Item.From.Line)
		}
		if f.Place == "" {
			f.Place = "telemetry"
		}
		if days := int(r.At.Sub(f.At) / (24 * time.Hour)); !f.At.IsZero() && days >= 0 {
			f.Age = fmt.Sprintf("%d days old", days)
			if days == 1 {
				f.Age = "1 day old"
			}
		}
		c.Facts = append(c.Facts, f)
	}
	c.More = max(0, all-len(c.Facts))
	return c
}
