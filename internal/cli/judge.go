package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// footholdSlack is how far a foothold's time may lie from the truth's.
const footholdSlack = 2 * time.Hour

// truth is a scenario's truth.json, of whoever wrote it.
type truth struct {
	Kind      string          `json:"kind"`
	Seed      json.Number     `json:"seed"`
	Campaigns []truthCampaign `json:"campaigns"`
}

type truthCampaign struct {
	Partner       string          `json:"partner"`
	FirstFoothold *truthFoothold  `json:"first_foothold"`
	Ask           json.RawMessage `json:"ask"`
	Tenants       []struct {
		Tenant  string `json:"tenant"`
		Outcome string `json:"outcome"`
	} `json:"tenants"`
}

type truthFoothold struct {
	Time   time.Time   `json:"time"`
	Tenant string      `json:"tenant"`
	Entity ocsf.Entity `json:"entity"`
	Layer  string      `json:"layer"`
	Ask    string      `json:"ask"`
}

// ask returns whom the truth says to ask, whichever way it says so; "" where the foothold is in the telemetry.
func (t *truthCampaign) ask() string {
	if t.FirstFoothold != nil && t.FirstFoothold.Ask != "" {
		return t.FirstFoothold.Ask
	}
	var plain string
	if json.Unmarshal(t.Ask, &plain) == nil {
		return plain
	}
	var o struct {
		Ask string `json:"ask"`
	}
	if json.Unmarshal(t.Ask, &o) == nil {
		return o.Ask
	}
	return ""
}

// verdict is how one scan compares with the truth.
type verdict struct {
	Name        string
	Kind        string
	Events      int64
	Want, Got   int // campaigns
	Provider    int // campaigns with the right partner
	Foothold    int // campaigns with the right foothold or trace request
	Right       int // tenants with the right outcome
	Tenants     int
	Wrong       []string // what was wrong, in words
	High        int
	WorstWeek   int // most high findings of one tenant in seven days
	TenantWeeks float64
	Took        time.Duration
	Result      *campaign.Result
}

// ok reports whether everything is right.
func (v *verdict) ok() bool {
	return v.Got == v.Want && v.Provider == v.Want && v.Foothold == v.Want && v.Right == v.Tenants && (v.Want > 0 || v.WorstWeek <= 1)
}

// judge scans a folder and compares the answer with its truth.json.
func judge(ctx context.Context, dir string) (*verdict, error) {
	data, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the truth of %s: %w", dir, err)
	}
	var t truth
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, "truth.json"), err)
	}
	start := time.Now()
	s, err := app.NewSetup(app.Options{ConfigPath: filepath.Join(dir, app.ConfigName), Paths: []string{dir}})
	if err != nil {
		return nil, err
	}
	r, err := app.Scan(ctx, s, []string{dir})
	if err != nil {
		return nil, fmt.Errorf("scanning %s: %w", dir, err)
	}
	v := compare(&t, r)
	v.Name, v.Took = filepath.Base(dir), time.Since(start)
	return v, nil
}

func compare(t *truth, r *campaign.Result) *verdict {
	v := &verdict{Kind: t.Kind, Events: r.Input.Events, Want: len(t.Campaigns), Got: len(r.Campaigns), Result: r}
	used := map[int]bool{}
	for i := range t.Campaigns {
		want := &t.Campaigns[i]
		v.Tenants += len(want.Tenants)
		k := v.match(want, r.Campaigns, used)
		if k < 0 {
			v.Wrong = append(v.Wrong, "no campaign through "+want.Partner)
			continue
		}
		used[k] = true
		v.compareCampaign(want, &r.Campaigns[k])
	}
	v.countHigh(r)
	return v
}

// match finds the campaign that answers for a true one: the one with its partner, else the first left.
func (v *verdict) match(want *truthCampaign, got []campaign.Campaign, used map[int]bool) int {
	other := -1
	for k := range got {
		if used[k] {
			continue
		}
		if string(got[k].Partner) == want.Partner {
			return k
		}
		if other < 0 {
			other = k
		}
	}
	return other
}

func (v *verdict) compareCampaign(want *truthCampaign, got *campaign.Campaign) {
	if string(got.Partner) == want.Partner {
		v.Provider++
	} else {
		v.Wrong = append(v.Wrong, fmt.Sprintf("provider %q, not %q", got.Partner, want.Partner))
	}
	if why := compareFoothold(want, &got.FirstFoothold); why == "" {
		v.Foothold++
	} else {
		v.Wrong = append(v.Wrong, why)
	}
	outcome := map[string]campaign.Outcome{}
	for _, o := range got.Tenants {
		outcome[string(o.Tenant)] = o.Outcome
	}
	for _, w := range want.Tenants {
		if string(outcome[w.Tenant]) == w.Outcome {
			v.Right++
		} else {
			v.Wrong = append(v.Wrong, fmt.Sprintf("%s is %s, not %s", w.Tenant, outcome[w.Tenant], w.Outcome))
		}
	}
}

func compareFoothold(want *truthCampaign, got *campaign.Foothold) string {
	if ask := want.ask(); ask != "" || want.FirstFoothold == nil {
		if got.Ask == ask {
			return ""
		}
		return fmt.Sprintf("asks %q (foothold at %q), not %q", got.Ask, got.Tenant, ask)
	}
	w := want.FirstFoothold
	if string(got.Tenant) != w.Tenant {
		return fmt.Sprintf("foothold at %q (asks %q), not %q", got.Tenant, got.Ask, w.Tenant)
	}
	if d := time.Duration(math.Abs(float64(got.Time.Sub(w.Time)))); d > footholdSlack {
		e := ""
		if got.Entity != nil {
			e = string(got.Entity.Type) + " " + got.Entity.Value
		}
		return fmt.Sprintf("foothold %s off: %s (%s), not %s (%s %s)", d.Round(time.Minute), got.Time.Format(time.RFC3339), e, w.Time.Format(time.RFC3339), w.Entity.Type, w.Entity.Value)
	}
	return ""
}

func (v *verdict) countHigh(r *campaign.Result) {
	weeks := map[string]int{}
	for _, f := range r.List {
		if f.Suppressed == nil && f.Severity >= ocsf.SeverityHigh {
			v.High++
			k := fmt.Sprintf("%s %d", f.Tenant, f.Time.Unix()/(7*86400))
			weeks[k]++
			v.WorstWeek = max(v.WorstWeek, weeks[k])
		}
	}
	v.TenantWeeks = r.Input.To.Sub(r.Input.From).Hours() / (7 * 24) * float64(len(r.Coverage)/5)
}
