package scenario

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// TestOldScenariosKeepTheirBytes holds the first kinds to what they wrote when they were made: people keep seeds in
// their notes and judge versions of the program by the same folder. Change a digest only where a bug is mended.
func TestOldScenariosKeepTheirBytes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		o    Options
		want string
	}{
		{"island-hop", Options{Kind: "island-hop", Seed: 9, Clients: 4, Days: 3}, "9e6021782263914a"},
		{"delegated-admin", Options{Kind: "delegated-admin", Seed: 9, Clients: 4, Days: 3}, "1c32d4d488f1f7e0"},
		{"false-alarm", Options{Kind: "false-alarm", Seed: 9, Clients: 4, Days: 3}, "7e9f5b593ce014a5"},
		{"renamed", Options{Kind: "island-hop", Seed: 2, Clients: 3, Days: 4, Rename: 5}, "e09a6868033dcfe4"},
		{"begun on another day", Options{Kind: "delegated-admin", Seed: 3, Clients: 3, Days: 3, Start: time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)}, "ed25d3a3658301ad"},
		{"without mail", Options{Kind: "island-hop", Seed: 6, Clients: 3, Days: 3, WithoutLayers: []tenant.Layer{tenant.LayerMail}}, "e5aa53b01ab26a4a"},
		{"large", Options{Kind: "island-hop", Seed: 1, Clients: 7, Days: 11, Events: 90_000}, "34fbd41f504424b2"},
	}
	if sampled {
		cases = cases[:1]
	}
	for _, c := range cases {
		dir, _ := write(t, c.o)
		if got := digest(tree(t, dir))[:16]; got != c.want {
			t.Errorf("%s: digest %s, was %s", c.name, got, c.want)
		}
	}
}
