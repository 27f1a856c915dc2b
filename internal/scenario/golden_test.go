package scenario

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// TestOldScenariosKeepTheirBytes holds the first kinds to what they wrote since their mail has threads: people keep seeds in
// their notes and judge versions of the program by the same folder. Change a digest only where a bug is mended, or where
// the mail of all kinds is written anew.
func TestOldScenariosKeepTheirBytes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		o    Options
		want string
	}{
		{"island-hop", Options{Kind: "island-hop", Seed: 9, Clients: 4, Days: 3}, "ceac984dacc1d89f"},
		{"delegated-admin", Options{Kind: "delegated-admin", Seed: 9, Clients: 4, Days: 3}, "da2323d76e8da718"},
		{"false-alarm", Options{Kind: "false-alarm", Seed: 9, Clients: 4, Days: 3}, "6d7852ff46292ca0"},
		{"renamed", Options{Kind: "island-hop", Seed: 2, Clients: 3, Days: 4, Rename: 5}, "585027a7b078e2cf"},
		{"begun on another day", Options{Kind: "delegated-admin", Seed: 3, Clients: 3, Days: 3, Start: time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)}, "145a53e093d08af6"},
		{"without mail", Options{Kind: "island-hop", Seed: 6, Clients: 3, Days: 3, WithoutLayers: []tenant.Layer{tenant.LayerMail}}, "a235ca0ac387d8a8"},
		{"large", Options{Kind: "island-hop", Seed: 1, Clients: 7, Days: 11, Events: 90_000}, "2e2315e7b1037ea5"},
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

// TestEndpointScenariosKeepTheirBytes does the same for the kinds of tools, keys and desks; every other one has all
// options.
func TestEndpointScenariosKeepTheirBytes(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"rmm-flash":              "8694ff3803922b5a",
		"rmm-server-takeover":    "d3ac7521020077fa",
		"console-not-called-rmm": "a8ee354d98c98686",
		"app-or-key":             "6f6a6ecc730ec25e",
		"help-desk-reset":        "07d44cea4150e899",
		"contractor-laptop":      "b7cf33dd0d8f3d4d",
		"trojan-update":          "441edb87400502c8",
	}
	for i, name := range someEndpointKinds(0) {
		o := small(name, 9)
		if i%2 == 1 {
			o = hard(o)
		}
		dir, _ := write(t, o)
		if got := digest(tree(t, dir))[:16]; got != want[name] {
			t.Errorf("%s: digest %s, was %s", name, got, want[name])
		}
	}
}
