package scenario

import (
	"context"
	"testing"
)

// endpointKinds are the kinds of intrusion by tools, keys and desks rather than by networks.
var endpointKinds = []string{"rmm-flash", "rmm-server-takeover", "console-not-called-rmm", "app-or-key", "help-desk-reset", "contractor-laptop", "trojan-update"}

func TestEndpointScenariosAreFair(t *testing.T) {
	t.Parallel()
	seeds, list := []uint64{1, 2, 3, 4, 5, 6, 7, 8}, endpointKinds
	if sampled {
		seeds, list = seeds[:1], []string{"rmm-server-takeover"}
	}
	for _, name := range list {
		for i, seed := range seeds {
			o := small(name, seed)
			if i%2 == 1 {
				o = hard(o)
			}
			dir, truth := write(t, o)
			r, err := Check(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() || r.Attack < 10 || len(truth.Campaigns) != 1 {
				t.Errorf("%s, seed %d, hard %v: %d records of the intruder\n%s", name, seed, i%2 == 1, r.Attack, r.String())
			}
		}
	}
}
