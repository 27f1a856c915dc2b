package scenario

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// hard has all options at once.
func hard(o Options) Options {
	o.Overlap, o.SharedNAT, o.Skew, o.Late, o.IPv6 = true, true, 7*time.Minute, true, true
	return o
}

// networkKinds are the kinds whose sensors log the directory's protocols.
func networkKinds() []string {
	var out []string
	for _, k := range kinds {
		if k.directory {
			out = append(out, k.name)
		}
	}
	return out
}

func TestNetworkScenariosAreFair(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2}
	list := networkKinds()
	if sampled {
		seeds, list = seeds[:1], []string{"small-supplier"}
	}
	for _, name := range list {
		for i, seed := range seeds {
			o := small(name, seed)
			if i%2 == 0 {
				o = hard(o)
			}
			dir, truth := write(t, o)
			r, err := Check(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() || r.Attack < 20 || len(truth.Campaigns) == 0 {
				t.Errorf("%s, seed %d, hard %v: %d records of the intruder\n%s", name, seed, i%2 == 0, r.Attack, r.String())
			}
		}
	}
}

// TestOldKindsTakeTheOptions writes the first kinds with every option.
func TestOldKindsTakeTheOptions(t *testing.T) {
	t.Parallel()
	list := []string{"island-hop", "delegated-admin", "false-alarm"}
	if sampled {
		list = list[:1]
	}
	for _, name := range list {
		dir, _ := write(t, hard(small(name, 3)))
		r, err := Check(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() {
			t.Errorf("%s:\n%s", name, r.String())
		}
	}
}

// TestOptionsKeepTheBackground takes the intruder's records out of a folder with every option, as the same test does
// without.
func TestOptionsKeepTheBackground(t *testing.T) {
	t.Parallel()
	list := networkKinds()[3:]
	if sampled {
		list = list[:1]
	}
	for _, name := range list {
		o := hard(small(name, 2))
		dir, _ := write(t, o)
		again, _ := write(t, o)
		if digest(tree(t, dir)) != digest(tree(t, again)) {
			t.Errorf("%s: two runs of one seed differ", name)
		}
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

func TestEveryTenantIsNamedAndEveryWayIsATrust(t *testing.T) {
	t.Parallel()
	list := networkKinds()
	if sampled {
		list = list[4:]
	}
	for _, name := range list {
		for seed := uint64(1); seed <= map[bool]uint64{true: 1, false: 3}[sampled]; seed++ {
			o := small(name, seed)
			o.Clients = 6
			_, truth := write(t, o)
			for _, c := range truth.Campaigns {
				seen := map[tenant.ID]bool{}
				for _, x := range c.Tenants {
					seen[x.Tenant] = true
				}
				if len(seen) != len(c.Tenants) || len(seen) < o.Clients+1 {
					t.Errorf("%s, seed %d: %d tenants named, %d of them different", name, seed, len(c.Tenants), len(seen))
				}
				if (c.FirstFoothold == nil) == (c.Ask == nil) {
					t.Errorf("%s, seed %d: first foothold %v, ask %v", name, seed, c.FirstFoothold, c.Ask)
				}
				if c.Ask != nil && (c.Ask.Ask == "" || c.Ask.For == "" || !c.Ask.From.Before(c.Ask.To)) {
					t.Errorf("%s, seed %d: nobody can answer %+v", name, seed, *c.Ask)
				}
			}
		}
	}
}

func TestBothProvidersAreGuiltyInSomeSeeds(t *testing.T) {
	t.Parallel()
	var n [3]int
	for seed := range uint64(800) {
		switch first, second := (&world{o: Options{Seed: seed}}).guilty(); {
		case first && second:
			n[2]++
		case second:
			n[1]++
		default:
			n[0]++
		}
	}
	if n[0] < 240 || n[1] < 240 || n[2] < 140 {
		t.Errorf("of 800 seeds the first is guilty in %d, the second in %d, both in %d", n[0], n[1], n[2])
	}
}

func TestRenamedNetworkScenariosTellTheSameStory(t *testing.T) {
	t.Parallel()
	steps := func(o Options) (string, *Truth) {
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
	list := networkKinds()
	if sampled {
		list = list[3:4]
	}
	for _, name := range list {
		o := small(name, 3)
		a, before := steps(o)
		o.Rename = 77
		b, after := steps(o)
		if a != b {
			t.Errorf("%s: the intruder did %s and then %s", name, a, b)
		}
		for i, c := range before.Campaigns {
			for k, x := range c.Tenants {
				if y := after.Campaigns[i].Tenants[k]; x.Outcome != y.Outcome || x.Tenant == y.Tenant {
					t.Errorf("%s: tenant %v became %v", name, x, y)
				}
			}
		}
	}
}

// TestClocksAreOffByNoMoreThanAsked compares the times of each record of a network sensor with and without skew.
func TestClocksAreOffByNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	o := small("two-hops", 5)
	o.WithoutLayers = []tenant.Layer{tenant.LayerMail, tenant.LayerEndpoint, tenant.LayerCloud, tenant.LayerAccess}
	right, _ := write(t, o)
	o.Skew = 10 * time.Minute
	wrong, truth := write(t, o)
	if truth.Skew != "10m0s" {
		t.Errorf("the truth tells a skew of %q", truth.Skew)
	}
	moved := 0
	a, b := tree(t, right), tree(t, wrong)
	for name := range a {
		if !strings.HasSuffix(name, "zeek/ntlm.log") {
			continue
		}
		x, y := stamps(t, a[name]), stamps(t, b[name])
		if len(x) < len(y)-20 || len(x) > len(y)+20 {
			t.Errorf("%s: %d records, %d with skew", name, len(x), len(y))
		}
		if !slices.IsSorted(y) {
			t.Errorf("%s: a clock that drifts turned records round", name)
		}
		if off := y[0] - x[0]; off != 0 {
			moved++
			if off > 600 || off < -600 {
				t.Errorf("%s is off by %v s", name, off)
			}
		}
	}
	if moved == 0 {
		t.Error("no sensor's clock is off")
	}
}

func stamps(t *testing.T, b []byte) (out []float64) {
	t.Helper()
	for _, line := range strings.Split(string(b), "\n") {
		line = strings.TrimPrefix(line, `{"ts":`)
		if len(line) < 17 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[:17], 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestLateRecordsStandInLaterFiles: a late source's files are named for the day of arrival, nothing arrives before it
// happened, and some records arrive on a later day.
func TestLateRecordsStandInLaterFiles(t *testing.T) {
	t.Parallel()
	o := small("two-providers", 4)
	o.Late = true
	dir, _ := write(t, o)
	later, turned, plain := 0, 0, 0
	for name, b := range tree(t, dir) {
		if !strings.Contains(name, "/zeek/conn") {
			continue
		}
		day, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(name), ".log"), "conn-")
		if !ok {
			plain++
			continue
		}
		arrived, err := time.Parse("20060102", day)
		if err != nil {
			t.Fatal(err)
		}
		last := 0.0
		for _, ts := range stamps(t, b) {
			at := time.Unix(int64(ts), 0)
			if at.After(arrived.Add(24 * time.Hour)) {
				t.Fatalf("%s: a record of %v", name, at)
			}
			if at.Before(arrived) {
				later++
			}
			if ts < last {
				turned++
			}
			last = ts
		}
	}
	if later == 0 || turned == 0 || plain == 0 {
		t.Errorf("%d records on a later day, %d out of order, %d sensors on time", later, turned, plain)
	}
}

func TestSharedAddressesHideWhoItWas(t *testing.T) {
	t.Parallel()
	o := small("two-providers", 2)
	o.SharedNAT = true
	dir, _ := write(t, o)
	translated, kept, without := false, 0, 0
	for name, b := range tree(t, dir) {
		if strings.Contains(name, "/firewall/") {
			if bytes.Contains(b, []byte("transip=")) || bytes.Contains(b, []byte("%ASA-6-305011")) {
				translated = true
				kept++
			}
		}
		if strings.Contains(name, "/vpn/") && bytes.Contains(b, []byte("-")) {
			without++
		}
	}
	if !translated || kept >= without {
		t.Errorf("translations at %d of %d gateways", kept, without)
	}
}

func TestDualStackIsDeclaredAndSpoken(t *testing.T) {
	t.Parallel()
	o := small("two-hops", 2)
	o.IPv6 = true
	dir, _ := write(t, o)
	files := tree(t, dir)
	if !bytes.Contains(files["breakwater.yaml"], []byte("/64")) {
		t.Error("no IPv6 network is declared")
	}
	spoken := 0
	for name, b := range files {
		if strings.HasSuffix(name, "/zeek/conn.log") && bytes.Contains(b, []byte("2a02:")) {
			spoken++
		}
	}
	if spoken == 0 {
		t.Error("nobody speaks IPv6")
	}
}

// TestSlowEspionageStaysSmall: weeks of it are to be written and read in seconds, and most of its days hold nothing of
// the intruder at any client.
func TestSlowEspionageStaysSmall(t *testing.T) {
	t.Parallel()
	if sampled {
		t.Skip("a scenario of 45 days takes long under the race detector")
	}
	dir, _ := write(t, Options{Kind: "slow-espionage", Seed: 1})
	r, err := Check(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Events < 150_000 || r.Events > 450_000 || r.Attack > r.Events/200 || !r.OK() {
		t.Errorf("%d events, %d of the intruder\n%s", r.Events, r.Attack, r.String())
	}
}

func TestKindsThatNeedMoreSaySo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"three clients for a supplier": {Options{Kind: "small-supplier", Clients: 3}, "4 to 40"},
		"a week of slow espionage":     {Options{Kind: "slow-espionage", Days: 7}, "10 to 366"},
		"a clock a day off":            {Options{Skew: 24 * time.Hour}, "0s to 1h0m0s"},
		"a negative skew":              {Options{Skew: -time.Second}, "0s to 1h0m0s"},
	} {
		if err := c.o.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
