package product

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

func loadSnapshot(t testing.TB) *KEV {
	t.Helper()
	k, err := LoadKEV(dataFile(t, "intel", "kev", "known_exploited_vulnerabilities.json"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Every remote tool that KEV lists is one of the table's products with versions, or is named with the reason why not.
func TestEveryRemoteToolOfKEVIsMatchedOrNamed(t *testing.T) {
	kev := loadSnapshot(t)
	f, err := os.Open(dataFile(t, "intel", "kev", "rmm_kev.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	column := map[string]int{}
	for i, n := range rows[0] {
		column[n] = i
	}
	for _, row := range rows[1:] {
		get := func(n string) string { return row[column[n]] }
		e, ok := kev.Entries[get("cve")]
		if !ok {
			t.Errorf("%s is not in the catalogue", get("cve"))
			continue
		}
		m := c.MatchKEV(e)
		switch {
		case len(m.Products) == 0:
			t.Errorf("%s %s %s: no product: %s", e.CVE, e.Vendor, e.Product, m.Reason)
		case !m.Versions && m.Reason == "":
			t.Errorf("%s: neither versions nor a reason", e.CVE)
		}
		t.Logf("%s %s %s: %s %s", e.CVE, strings.TrimSpace(e.Vendor), strings.TrimSpace(e.Product), strings.Join(m.Products, ","), m.Reason)
		for _, id := range m.Products {
			for _, fl := range c.Product(id).Flaws {
				if fl.CVE != e.CVE {
					continue
				}
				if !fl.KEVAdded.Equal(e.Added) {
					t.Errorf("%s: the table says KEV listed it %s, KEV says %s", e.CVE, fl.KEVAdded.Format(time.DateOnly), e.Added.Format(time.DateOnly))
				}
				// Where the file read a range itself, the table must agree with it at its edge.
				if first, ok := ParseVersion(get("first_fixed")); ok {
					if state := fl.holds(first); state != No {
						t.Errorf("%s: %s, which the file calls first fixed, is %v", e.CVE, first, state)
					}
				}
				if b, ok := ParseBound(get("affected_as_read")); ok && b.With && fl.Branch.IsZero() {
					if state := fl.holds(b.Version); state != Yes {
						t.Errorf("%s: %s is affected by the file and %v by the table", e.CVE, b.Version, state)
					}
				}
			}
		}
	}
	if len(rows) < 18 {
		t.Errorf("%d rows, want 17 and a header", len(rows)-1)
	}
}

// What the table says of KEV agrees with the catalogue where that is new enough to have it.
func TestTheTablesDaysOfKEVAreKEVs(t *testing.T) {
	kev := loadSnapshot(t)
	for _, p := range Default().Products() {
		for _, f := range p.Flaws {
			e, listed := kev.Entries[f.CVE]
			if listed && !f.KEVAdded.Equal(e.Added) || !listed && !f.KEVAdded.IsZero() && !f.KEVAdded.After(kev.Released) {
				t.Errorf("%s %s: %v, KEV %v", p.ID, f.CVE, f.KEVAdded, e.Added)
			}
		}
	}
}

func TestKEVCountsWhatTheTableHasNoVersionsFor(t *testing.T) {
	text := catalogue("2026-11-20", entry("CVE-2026-9001", "ConnectWise ", " ScreenConnect"), entry("CVE-2026-9002", "Another", "Thing"))
	kev, err := ParseKEV(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	p := Default().Product("screenconnect")
	at := kev.Released
	a := p.Assess("26.1.1.1", "", kev, at)
	if a.BelowFixed != No || a.KEVClear != NotKnown || strings.Join(a.KEVUnjudged, ",") != "CVE-2026-9001" {
		t.Errorf("a new entry for a mended version: %+v", a)
	}
	if a := Default().Product("anydesk").Assess("9.5.6", PlatformWindows, kev, at); a.KEVClear != Yes {
		t.Errorf("no entry about it: %+v", a)
	}
	if a := Default().Product("anydesk").Assess("?", PlatformWindows, kev, at); a.KEVClear != NotKnown {
		t.Errorf("no entry, no version: %+v", a)
	}
	if a := Default().Product("anydesk").Assess("9.5.6", PlatformWindows, nil, at); a.KEVClear != NotKnown {
		t.Errorf("without a catalogue: %+v", a)
	}
	if a := p.Assess("23.9.7", "", nil, at); a.KEVClear != No {
		t.Errorf("an exploited version without a catalogue: %+v", a)
	}
}

func entry(cve, vendor, product string) string {
	return fmt.Sprintf(`{"cveID":%q,"vendorProject":%q,"product":%q,"vulnerabilityName":"n","dateAdded":"2026-11-01","shortDescription":"s","requiredAction":"r","dueDate":"2026-11-22","knownRansomwareCampaignUse":"Known","notes":"","cwes":["CWE-1"]}`, cve, vendor, product)
}

func catalogue(day string, entries ...string) string {
	return fmt.Sprintf(`{"title":"t","catalogVersion":%q,"dateReleased":"%sT12:00:00.0000Z","count":%d,"vulnerabilities":[%s]}`,
		strings.ReplaceAll(day, "-", "."), day, len(entries), strings.Join(entries, ","))
}

func TestACatalogueIsTakenWholeOrNotAtAll(t *testing.T) {
	good := catalogue("2026-11-20", entry("CVE-2026-1", "V", "P"), entry("CVE-2026-0001", "V", "P"))
	one := entry("CVE-2026-0001", "V", "P")
	for name, c := range map[string]struct{ text, want string }{
		"another file":              {`{"hello":1}`, "another file, or cut short"},
		"no JSON":                   {"<html>maintenance</html>", "not the JSON"},
		"cut short":                 {catalogue("2026-11-20", one)[:200], "not the JSON"},
		"a count that is wrong":     {strings.Replace(catalogue("2026-11-20", one), `"count":1`, `"count":2`, 1), "cut short or changed"},
		"no entries":                {catalogue("2026-11-20"), "no entries"},
		"an id that is none":        {good, `"CVE-2026-1" is no CVE id`},
		"an id twice":               {catalogue("2026-11-20", one, one), "twice"},
		"no vendor":                 {catalogue("2026-11-20", entry("CVE-2026-0001", " ", "P")), "no vendor"},
		"a day that is none":        {strings.Replace(catalogue("2026-11-20", one), "2026-11-22", "soon", 1), "not a day"},
		"a release that is no time": {strings.Replace(catalogue("2026-11-20", one), "T12:00:00.0000Z", "", 1), "is not a time"},
		"too much text":             {catalogue("2026-11-20", entry("CVE-2026-0001", strings.Repeat("v", 20<<10), "P")), "KiB of text"},
	} {
		if _, err := ParseKEV(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if k, err := ParseKEV(strings.NewReader("\ufeff" + catalogue("2026-11-20", one))); err != nil || k.Version != "2026.11.20" || !k.Entries["CVE-2026-0001"].Ransomware {
		t.Errorf("a good one with a byte order mark: %v %v", k, err)
	}
	big := strings.NewReader(strings.Repeat(" ", MaxKEVBytes+1))
	if _, err := ParseKEV(big); !errors.Is(err, bounded.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestAnUpdateKeepsTheOldCatalogueOnEveryError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "deeper", "kev.json")
	if _, err := LoadKEV(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	first := catalogue("2026-11-01", entry("CVE-2026-0001", "V", "P"), entry("CVE-2026-0002", "V", "P"))
	second := catalogue("2026-11-20", entry("CVE-2026-0001", "V", "P"), entry("CVE-2026-0002", "V", "P"), entry("CVE-2026-0003", "V", "P"))
	change, err := InstallKEV(strings.NewReader(first), name, false, false)
	if err != nil || change.Old != nil || len(change.Added) != 2 {
		t.Fatalf("the first: %+v %v", change, err)
	}
	if change, err = InstallKEV(strings.NewReader(second), name, false, true); err != nil || len(change.Added) != 1 || change.Added[0].CVE != "CVE-2026-0003" {
		t.Fatalf("dry: %+v %v", change, err)
	}
	is := func(want string) {
		t.Helper()
		if raw, err := os.ReadFile(name); err != nil || string(raw) != want {
			t.Errorf("the file changed: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), ".kev-*")); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	is(first)
	if _, err = InstallKEV(strings.NewReader(second), name, false, false); err != nil {
		t.Fatal(err)
	}
	is(second)
	for want, text := range map[string]string{
		"older than":        first,
		"lacks 2 of 3":      catalogue("2026-11-21", entry("CVE-2026-0001", "V", "P")),
		"not the JSON":      second[:300],
		"the old catalogue": "{}",
	} {
		if _, err := InstallKEV(strings.NewReader(text), name, false, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		is(second)
	}
	if change, err = InstallKEV(strings.NewReader(first), name, true, false); err != nil || len(change.Removed) != 1 {
		t.Errorf("forced: %+v %v", change, err)
	}
	is(first)
}

func TestTheAgeOfACatalogueIsSaid(t *testing.T) {
	kev, err := ParseKEV(strings.NewReader(catalogue("2026-10-01", entry("CVE-2026-0001", "V", "P"))))
	if err != nil {
		t.Fatal(err)
	}
	if got := kev.AgeInWords(kev.Released.AddDate(0, 0, 30)); got != "KEV 2026.10.01, 30 days old" {
		t.Error(got)
	}
	if got := kev.AgeInWords(kev.Released.AddDate(0, 0, 31)); !strings.HasPrefix(got, "KEV 2026.10.01, 31 days old: too old") {
		t.Error(got)
	}
	if got := (*KEV)(nil).AgeInWords(kev.Released); !strings.Contains(got, "posture update") {
		t.Error(got)
	}
}

func FuzzKEV(f *testing.F) {
	f.Add([]byte(catalogue("2026-11-20", entry("CVE-2026-0001", "V", "P"))))
	f.Add([]byte("\ufeff{}"))
	f.Add([]byte(`{"catalogVersion":"x","dateReleased":"2026-11-20T00:00:00Z","count":0,"vulnerabilities":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := ParseKEV(strings.NewReader(string(raw)))
		if err != nil {
			return
		}
		if len(k.Entries) == 0 || k.Released.IsZero() {
			t.Errorf("taken without entries or time")
		}
		for _, e := range k.Entries {
			Default().MatchKEV(e)
		}
	})
}
