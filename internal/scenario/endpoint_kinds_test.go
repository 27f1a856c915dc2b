package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// endpointKinds are the kinds of intrusion by tools, keys and desks rather than by networks.
var endpointKinds = []string{"rmm-flash", "rmm-server-takeover", "console-not-called-rmm", "app-or-key", "help-desk-reset", "contractor-laptop", "trojan-update"}

// someEndpointKinds are all of them, or one under the race detector.
func someEndpointKinds(i int) []string {
	if sampled {
		return endpointKinds[i : i+1]
	}
	return endpointKinds
}

func TestEndpointScenariosAreFair(t *testing.T) {
	t.Parallel()
	for _, name := range someEndpointKinds(1) {
		for _, seed := range []uint64{1, 2} {
			o := small(name, seed)
			if seed == 2 {
				o = hard(o)
			}
			dir, truth := write(t, o)
			r, err := Check(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() || r.Attack < 5 || len(truth.Campaigns) != 1 {
				t.Errorf("%s, seed %d: %d campaigns, %d records of the intruder\n%s", name, seed, len(truth.Campaigns), r.Attack, r.String())
			}
		}
	}
}

// TestEndpointBackgroundDoesNotKnowTheAttack takes the intruder's records out of a folder with every option, and out of a
// plain one.
func TestEndpointBackgroundDoesNotKnowTheAttack(t *testing.T) {
	t.Parallel()
	for i, name := range someEndpointKinds(4) {
		o := small(name, 3)
		if i%2 == 0 {
			o = hard(o)
		}
		dir, _ := write(t, o)
		o.WithoutAttack = true
		bare, truth := write(t, o)
		if len(truth.Campaigns) != 0 {
			t.Errorf("%s: a scenario without attack has a campaign", name)
		}
		attack, err := readAttack(filepath.Join(dir, "attack.tsv"))
		if err != nil || len(attack) == 0 {
			t.Fatalf("%s: attack.tsv: %d files, %v", name, len(attack), err)
		}
		full, rest := tree(t, dir), tree(t, bare)
		if len(full) != len(rest) { // no file is the intruder's alone
			t.Errorf("%s: %d files, %d without attack", name, len(full), len(rest))
		}
		for file, b := range full {
			if file == "truth.json" || file == "attack.tsv" {
				continue
			}
			if !bytes.Equal(without(b, attack[file], file), rest[file]) {
				t.Errorf("%s: %s differs beyond the intruder's records", name, file)
			}
		}
	}
}

func TestRenamedEndpointScenariosTellTheSameStory(t *testing.T) {
	t.Parallel()
	for _, name := range someEndpointKinds(2) {
		o := small(name, 5)
		a, before := stepsOf(t, o)
		o.Rename = 91
		b, after := stepsOf(t, o)
		if a != b {
			t.Errorf("%s: the intruder did %s and then %s", name, a, b)
		}
		for i, x := range before.Campaigns[0].Tenants {
			if y := after.Campaigns[0].Tenants[i]; x.Outcome != y.Outcome || x.Tenant == y.Tenant {
				t.Errorf("%s: tenant %v became %v", name, x, y)
			}
		}
	}
}

// stepsOf counts the techniques of a scenario's intruder.
func stepsOf(t *testing.T, o Options) (string, *Truth) {
	t.Helper()
	dir, truth := write(t, o)
	m, err := readAttack(filepath.Join(dir, "attack.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range m {
		for _, s := range r {
			out[s]++
		}
	}
	return fmt.Sprint(out), truth
}

// TestTruthOfEndpointKinds holds what must be concluded from each kind, over seeds.
func TestTruthOfEndpointKinds(t *testing.T) {
	t.Parallel()
	seeds := uint64(6)
	if sampled {
		seeds = 1
	}
	for _, name := range endpointKinds {
		held, asked := 0, 0
		for seed := uint64(4); seed < 4+seeds; seed++ {
			w, c := story(t, small(name, seed))
			if (c.FirstFoothold == nil) == (c.Ask == nil) {
				t.Errorf("%s, seed %d: first foothold %v, ask %v", name, seed, c.FirstFoothold, c.Ask)
			}
			if c.Ask == nil {
				held++
			} else {
				asked++
				if c.Ask.For == "" || !c.Ask.From.Before(c.Ask.To) {
					t.Errorf("%s, seed %d: nobody can answer %+v", name, seed, *c.Ask)
				}
			}
			got := map[Outcome]int{}
			for _, x := range c.Tenants {
				got[x.Outcome]++
			}
			for _, o := range Outcomes {
				if got[o] == 0 {
					t.Errorf("%s, seed %d: nobody is %s", name, seed, o)
				}
			}
			switch name {
			case "app-or-key":
				if c.Partner != tenant.PartnerID(w.provider.id) || c.Ask == nil {
					t.Errorf("%s, seed %d: through %s, ask %v: the key was lost at the provider, where nobody looks", name, seed, c.Partner, c.Ask)
				}
			case "contractor-laptop":
				if c.Ask == nil || string(c.Partner) == w.provider.id || c.Ask.Ask != string(c.Partner) {
					t.Errorf("%s, seed %d: through %s, ask %v", name, seed, c.Partner, c.Ask)
				}
			case "trojan-update":
				if string(c.Partner) != w.vendor.id {
					t.Errorf("%s, seed %d: through %s, not the maker", name, seed, c.Partner)
				}
			case "console-not-called-rmm":
				for i, x := range w.clients {
					if has := x.fleet; has != (outcomeOf(c, x) != Clear) {
						t.Errorf("%s, seed %d: client %d has the product: %v, and is %s", name, seed, i, has, outcomeOf(c, x))
					}
				}
			case "rmm-flash":
				first, last := span(w)
				if last.Sub(first) > 2*time.Hour {
					t.Errorf("%s, seed %d: it took %v", name, seed, last.Sub(first))
				}
			}
		}
		if !sampled && !strings.Contains("app-or-key contractor-laptop trojan-update", name) && (held == 0 || asked == 0) {
			t.Errorf("%s: of %d seeds, %d have a first foothold and %d a question", name, seeds, held, asked)
		}
	}
}

// story plans a scenario without writing it.
func story(t *testing.T, o Options) (*world, Campaign) {
	t.Helper()
	k, err := o.normalise()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(o, k)
	w.tell()
	if len(w.campaigns) != 1 {
		t.Fatalf("%s, seed %d: %d campaigns", o.Kind, o.Seed, len(w.campaigns))
	}
	return w, w.campaigns[0]
}

func outcomeOf(c Campaign, o *org) Outcome {
	for _, x := range c.Tenants {
		if string(x.Tenant) == o.id {
			return x.Outcome
		}
	}
	return ""
}

// span is when the intruder's first and last records are, but for what he carries off.
func span(w *world) (first, last time.Time) {
	for _, days := range w.plan {
		for _, list := range days {
			for _, p := range list {
				if p.step == "" {
					continue
				}
				if first.IsZero() || p.t.Before(first) {
					first = p.t
				}
				if p.t.After(last) {
					last = p.t
				}
			}
		}
	}
	return first, last
}

// TestTheUpdateSleeps: nothing of the intruder stands before the twelfth day after the update.
func TestTheUpdateSleeps(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 4; seed++ {
		w, c := story(t, small("trojan-update", seed))
		first, _ := span(w)
		if gone := first.Sub(w.day(w.released())); gone < 12*24*time.Hour || gone > 15*24*time.Hour {
			t.Errorf("seed %d: it slept %v", seed, gone)
		}
		if c.Ask == nil || c.Ask.Ask != w.vendor.id {
			t.Errorf("seed %d: ask %v", seed, c.Ask)
		}
	}
}

func TestToolsAndDoorsVaryBySeed(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		if len(k.platforms) == 0 {
			continue
		}
		tools := map[string]bool{}
		for seed := range uint64(24) {
			w := &world{o: Options{Seed: seed}, kind: &k}
			w.setPlatform()
			tools[w.platform.tool] = true
		}
		if len(tools) != len(k.platforms) {
			t.Errorf("%s: 24 seeds draw %d of %d products", k.name, len(tools), len(k.platforms))
		}
	}
}

// TestCloudLogsAreWhatTheMakersWrite reads the JSON of the new cloud sources and looks for what a decoder needs.
func TestCloudLogsAreWhatTheMakersWrite(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, small("contractor-laptop", 2))
	need := map[string][]string{
		"okta/system.jsonl": {"uuid", "published", "eventType", "actor", "client", "outcome"}, "aws/cloudtrail.jsonl": {"eventTime", "eventSource", "eventName", "userIdentity", "sourceIPAddress", "recipientAccountId"},
		"github/audit.jsonl": {"action", "actor", "created_at", "org", "_document_id"},
	}
	seen := map[string]int{}
	for name, b := range tree(t, dir) {
		for suffix, fields := range need {
			if !strings.HasSuffix(name, suffix) {
				continue
			}
			seen[suffix]++
			for line := range bytes.Lines(b) {
				var row map[string]any
				if err := json.Unmarshal(line, &row); err != nil {
					t.Fatalf("%s: %v in %s", name, err, line)
				}
				for _, f := range fields {
					if row[f] == nil {
						t.Fatalf("%s: no %s in %s", name, f, line)
					}
				}
			}
		}
	}
	for suffix := range need {
		if seen[suffix] == 0 {
			t.Errorf("nobody has %s", suffix)
		}
	}
}

func TestTheWebServersLogSaysWhatItsColumnsAre(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, small("rmm-server-takeover", 2))
	requests := 0
	for name, b := range tree(t, dir) {
		if !strings.HasSuffix(name, "/web/iis.log") {
			continue
		}
		columns := 0
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "#Fields: "); ok {
				columns = len(strings.Fields(rest))
			}
			if strings.HasPrefix(line, "#") {
				continue
			}
			requests++
			if n := len(strings.Fields(line)); n != columns {
				t.Fatalf("%s: %d columns, the header names %d: %s", name, n, columns, line)
			}
		}
	}
	if requests < 20 {
		t.Errorf("%d requests", requests)
	}
}
