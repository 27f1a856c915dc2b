package sigma

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/cloudtrail"
	"github.com/breakwater-project/breakwater/internal/intake/decode/entra"
	"github.com/breakwater-project/breakwater/internal/intake/decode/m365"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// sink keeps decoded events.
type sink struct {
	t      testing.TB
	events []*ocsf.Event
}

func (s *sink) Event(e *ocsf.Event, _ int64, _ []byte) { s.events = append(s.events, e) }

func (s *sink) Bad(record int64, reason string, _ []byte) {
	s.t.Errorf("record %d can't be decoded: %s", record, reason)
}

func decoded(t testing.TB, name string) []*ocsf.Event {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{t: t}
	formats := decode.Objects(slices.Concat(windows.Objects(), entra.Objects(), m365.Objects(), cloudtrail.Objects()))
	if err := formats.Read(context.Background(), filepath.Base(name), bytes.NewReader(raw), s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s.events
}

// TestDecodedRegressionCasesMatch takes the way that events really go: through the decoder.
func TestDecodedRegressionCasesMatch(t *testing.T) {
	set := corpusSet(t)
	may := crossMatrix(t)
	for _, c := range regressionCases(t) {
		got := map[string]int{}
		set.Match(decoded(t, filepath.Join(c.dir, c.rule+".json")), func(_ int, r *Rule) { got[r.ID]++ })
		if got[c.rule] < c.want {
			t.Errorf("%s: rule matches %d events, want %d", filepath.Base(c.dir), got[c.rule], c.want)
		}
		for id := range got {
			if !may[c.rule][id] {
				t.Errorf("%s: %q (%s) fires and neither reference engine agrees", filepath.Base(c.dir), set.Rule(id).Title, id)
			}
		}
	}
}

// TestCloudSamplesMatch holds the counts that two engines agree on for the CloudTrail samples.
func TestCloudSamplesMatch(t *testing.T) {
	dir := dataDir(t)
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Skipf("no manifest: %v", err)
	}
	set := corpusSet(t)
	want := regexp.MustCompile(`([0-9a-f]{8}-[0-9a-f-]{27}) x(\d+)`)
	cases := 0
	for line := range strings.Lines(string(manifest)) {
		cols := strings.Split(strings.TrimSpace(line), "\t")
		if !strings.HasPrefix(cols[0], "cloud/") || len(cols) < 5 || !want.MatchString(cols[4]) {
			continue
		}
		cases++
		got := map[string]int{}
		set.Match(decoded(t, filepath.Join(dir, filepath.FromSlash(cols[0]))), func(_ int, r *Rule) { got[r.ID]++ })
		for _, m := range want.FindAllStringSubmatch(cols[4], -1) {
			n, _ := strconv.Atoi(m[2])
			if got[m[1]] != n {
				t.Errorf("%s: rule %s matches %d events, want %d", cols[0], m[1], got[m[1]], n)
			}
			delete(got, m[1])
		}
		for id, n := range got {
			t.Errorf("%s: %q (%s) matches %d events and neither reference engine agrees", cols[0], set.Rule(id).Title, id, n)
		}
	}
	t.Logf("cases %d", cases)
	if cases == 0 {
		t.Error("the manifest names no cloud sample")
	}
}
