package sigma

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/evtx"
)

// TestRegressionCasesMatchFromEVTX takes the cases as Windows keeps them: each rule matches what it must, and no pair
// fires beyond those that the reference engines agree on.
func TestRegressionCasesMatchFromEVTX(t *testing.T) {
	set := corpusSet(t)
	may := crossMatrix(t)
	format := evtx.Stream()
	cases := regressionCases(t)
	for _, c := range cases {
		raw, err := os.ReadFile(filepath.Join(c.dir, c.rule+".evtx"))
		if err != nil {
			t.Fatal(err)
		}
		s := &sink{t: t}
		if err := format.Read(context.Background(), c.rule+".evtx", bytes.NewReader(raw), s); err != nil {
			t.Fatalf("%s: %v", c.dir, err)
		}
		got := map[string]int{}
		set.Match(s.events, func(_ int, r *Rule) { got[r.ID]++ })
		if got[c.rule] < c.want {
			t.Errorf("%s: rule matches %d of %d events, want %d", filepath.Base(c.dir), got[c.rule], len(s.events), c.want)
		}
		for id := range got {
			if !may[c.rule][id] {
				t.Errorf("%s: %q (%s) fires and neither reference engine agrees", filepath.Base(c.dir), set.Rule(id).Title, id)
			}
		}
		for id := range may[c.rule] {
			if got[id] == 0 {
				t.Errorf("%s: rule %s doesn't fire and the reference engines do", filepath.Base(c.dir), id)
			}
		}
	}
	t.Logf("%d cases", len(cases))
}
