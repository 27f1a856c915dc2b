package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// small keeps the tests short: the fewest clients and days that a story fits in.
func small(name string, seed uint64) Options {
	o := Options{Kind: name, Seed: seed, Clients: 3 + int(seed%2), Days: 3}
	for _, k := range kinds {
		if k.name == name {
			o.Clients, o.Days = max(o.Clients, k.minClients), max(o.Days, k.minDays)
		}
	}
	return o
}

func write(t *testing.T, o Options) (string, *Truth) {
	t.Helper()
	dir := t.TempDir()
	truth, err := Write(context.Background(), o, dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, truth
}

// tree returns the content of every file of a folder.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func digest(files map[string][]byte) string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		fmt.Fprintf(h, "%s %d\n", n, len(files[n]))
		h.Write(files[n])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestSameOptionsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	kinds := Kinds()
	if sampled {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		a, _ := write(t, small(kind, 9))
		b, _ := write(t, small(kind, 9))
		if digest(tree(t, a)) != digest(tree(t, b)) {
			t.Errorf("%s: two runs of one seed differ", kind)
		}
	}
}

// sampled is set where the race detector makes scenarios take long: then fewer of them are written.
var sampled = raceEnabled && os.Getenv("BREAKWATER_LONG") == ""

func TestScenariosAreFair(t *testing.T) {
	t.Parallel()
	outside := 0
	for i, kind := range []string{"island-hop", "delegated-admin"} {
		seeds := []uint64{1, 7, 2, 8, 3, 4} // 7 and 8 begin outside the telemetry
		if sampled {
			seeds = seeds[i : i+1]
		}
		for _, seed := range seeds {
			dir, truth := write(t, small(kind, seed))
			r, err := Check(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() {
				t.Errorf("%s, seed %d:\n%s", kind, seed, r.String())
			}
			if r.Attack == 0 || len(truth.Campaigns) != 1 {
				t.Fatalf("%s, seed %d: %d records of the intruder, %d campaigns", kind, seed, r.Attack, len(truth.Campaigns))
			}
			if truth.Campaigns[0].Ask != nil {
				outside++
			}
		}
	}
	if outside == 0 {
		t.Error("every first foothold lies in the telemetry")
	}
}

func TestAThirdOfTheFootholdsLiesOutside(t *testing.T) {
	t.Parallel()
	n := 0
	for seed := range uint64(3000) {
		w := &world{o: Options{Seed: seed}}
		if outside, _ := w.foothold(); outside {
			n++
		}
	}
	if n < 900 || n > 1100 {
		t.Errorf("%d of 3000 seeds begin outside the telemetry, about 1000 are wanted", n)
	}
}

func TestFalseAlarmHasNoCampaign(t *testing.T) {
	t.Parallel()
	dir, truth := write(t, small("false-alarm", 4))
	r, err := Check(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(truth.Campaigns) != 0 || r.Attack != 0 || !r.OK() || r.Events < 5000 {
		t.Errorf("%d campaigns, %s", len(truth.Campaigns), r.String())
	}
}

// TestBackgroundDoesNotKnowTheAttack takes the intruder's records out of one folder and compares the rest with the
// folder that was written without them.
func TestBackgroundDoesNotKnowTheAttack(t *testing.T) {
	t.Parallel()
	kinds := []string{"island-hop", "delegated-admin"}
	if sampled {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		o := small(kind, 7)
		dir, _ := write(t, o)
		o.WithoutAttack = true
		bare, truth := write(t, o)
		if len(truth.Campaigns) != 0 {
			t.Errorf("%s: a scenario without attack has a campaign", kind)
		}
		attack, err := readAttack(filepath.Join(dir, "attack.tsv"))
		if err != nil || len(attack) == 0 {
			t.Fatalf("%s: attack.tsv: %d files, %v", kind, len(attack), err)
		}
		if none, err := readAttack(filepath.Join(bare, "attack.tsv")); err != nil || len(none) != 0 {
			t.Errorf("%s: without attack, attack.tsv names %d files, %v", kind, len(none), err)
		}
		full, rest := tree(t, dir), tree(t, bare)
		for name, b := range full {
			if name == "truth.json" || name == "attack.tsv" {
				continue
			}
			left := without(b, attack[name], name)
			if !bytes.Equal(left, rest[name]) {
				t.Errorf("%s: %s differs beyond the intruder's records", kind, name)
			}
			delete(rest, name)
		}
		delete(rest, "truth.json")
		delete(rest, "attack.tsv")
		for name := range rest {
			t.Errorf("%s: only without attack there is %s", kind, name)
		}
	}
}

func without(b []byte, records map[int]string, name string) []byte {
	if len(records) == 0 {
		return b
	}
	if strings.Contains(name, "/mail/") {
		return nil
	}
	var out []byte
	n := 0
	for i, line := range bytes.SplitAfter(b, []byte("\n")) {
		head := bytes.HasPrefix(line, []byte("#")) || (strings.HasSuffix(name, ".csv") && i == 0)
		if !head && len(line) > 0 {
			n++
			if records[n] != "" {
				continue
			}
		}
		out = append(out, line...)
	}
	return out
}

func TestRenamingKeepsTheStory(t *testing.T) {
	t.Parallel()
	o := small("island-hop", 3)
	dir, before := write(t, o)
	o.Rename = 77
	renamed, after := write(t, o)
	a, b := before.Campaigns[0], after.Campaigns[0]
	if len(a.Tenants) != len(b.Tenants) || (a.FirstFoothold == nil) != (b.FirstFoothold == nil) {
		t.Fatalf("another story: %+v and %+v", a, b)
	}
	for i := range a.Tenants {
		if a.Tenants[i].Outcome != b.Tenants[i].Outcome || a.Tenants[i].Tenant == b.Tenants[i].Tenant {
			t.Errorf("tenant %d: %v became %v", i, a.Tenants[i], b.Tenants[i])
		}
	}
	steps := func(dir string) map[string]int {
		out := map[string]int{}
		m, err := readAttack(filepath.Join(dir, "attack.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m {
			for _, s := range r {
				out[s]++
			}
		}
		return out
	}
	if x, y := fmt.Sprint(steps(dir)), fmt.Sprint(steps(renamed)); x != y {
		t.Errorf("the intruder did %s and then %s", x, y)
	}
	for name, content := range tree(t, renamed) {
		for _, x := range a.Tenants {
			if bytes.Contains(content, []byte(x.Tenant)) {
				t.Fatalf("%s still names %s", name, x.Tenant)
			}
		}
	}
	if r, err := Check(context.Background(), renamed); err != nil || !r.OK() {
		t.Errorf("renamed: %v\n%s", err, r.String())
	}
}

func TestWithoutALayerTheTruthKnowsLess(t *testing.T) {
	t.Parallel()
	o := small("delegated-admin", 1)
	o.WithoutLayers = []tenant.Layer{tenant.LayerCloud}
	dir, truth := write(t, o)
	for _, x := range truth.Campaigns[0].Tenants {
		if x.Outcome != Blind && x.Outcome != Clear {
			t.Errorf("%s is %s without any cloud telemetry", x.Tenant, x.Outcome)
		}
	}
	if truth.Campaigns[0].FirstFoothold != nil {
		t.Error("a first foothold without the layer that would hold it")
	}
	for name := range tree(t, dir) {
		if strings.Contains(name, "/entra/") || strings.Contains(name, "/m365/") {
			t.Errorf("%s was written", name)
		}
	}
}

func TestMoreEventsAreBackground(t *testing.T) {
	t.Parallel()
	o := small("island-hop", 2)
	o.Events = 60_000
	if sampled {
		o.Events = 30_000
	}
	dir, _ := write(t, o)
	r, err := Check(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Events < o.Events*2/3 || r.Events > o.Events*3/2 || !r.OK() {
		t.Errorf("%d events asked for:\n%s", o.Events, r.String())
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    Options
		dir  string
		want string
	}{
		"an unknown kind":       {Options{Kind: "heist"}, "", "unknown kind"},
		"too few clients":       {Options{Clients: 2}, "", "2 clients"},
		"too many clients":      {Options{Clients: 41}, "", "41 clients"},
		"too few days":          {Options{Days: 1}, "", "1 days"},
		"negative events":       {Options{Events: -1}, "", "-1 events"},
		"an unknown layer":      {Options{WithoutLayers: []tenant.Layer{"smell"}}, "", "unknown layer"},
		"a folder that is full": {Options{Clients: 3, Days: 3}, full, "not empty"},
	} {
		dir := c.dir
		if dir == "" {
			dir = t.TempDir()
		}
		if _, err := Write(context.Background(), c.o, dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACancelledWriteStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := Write(ctx, small("island-hop", 1), dir); err == nil {
		t.Error("nothing stopped")
	}
	if _, err := os.Stat(filepath.Join(dir, "truth.json")); err == nil {
		t.Error("an incomplete folder has a truth")
	}
}

func TestCheckSeesWhatIsUnfair(t *testing.T) {
	t.Parallel()
	o := small("island-hop", 5)
	dir, truth := write(t, o)
	truth.Campaigns[0].Infrastructure = nil
	truth.Campaigns[0].Tenants = truth.Campaigns[0].Tenants[1:]
	if err := truth.write(dir); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "attack.tsv"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "telemetry/nobody/zeek/conn.log\t1\tT1046")
	f.Close()
	r, err := Check(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"does not name the tenant", "do not exist", "in no other"} {
		if !strings.Contains(r.String(), "problem: ") || !strings.Contains(r.String(), want) {
			t.Errorf("no complaint %q in\n%s", want, r.String())
		}
	}
}

func TestFilesAreInOrderOfTime(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, small("island-hop", 8))
	for name, b := range tree(t, dir) {
		if !strings.HasSuffix(name, "/conn.log") {
			continue
		}
		last := ""
		for _, line := range strings.Split(string(b), "\n") {
			if len(line) < 17 || line[0] == '#' {
				continue
			}
			ts := strings.TrimPrefix(line, `{"ts":`)[:17]
			if ts < last {
				t.Fatalf("%s: %s after %s", name, ts, last)
			}
			last = ts
		}
	}
}

func TestStartIsKept(t *testing.T) {
	t.Parallel()
	o := small("false-alarm", 1)
	o.Start = time.Date(2027, 5, 4, 13, 0, 0, 0, time.FixedZone("x", 3600))
	dir, _ := write(t, o)
	for name, b := range tree(t, dir) {
		if strings.HasSuffix(name, "/conn.log") && bytes.HasPrefix(b, []byte("#")) && !bytes.Contains(b, []byte("#open\t2027-05-04-00-00-00")) {
			t.Errorf("%s begins on another day", name)
		}
	}
}
