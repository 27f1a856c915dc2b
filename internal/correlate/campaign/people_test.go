package campaign

import "testing"

func TestSamePerson(t *testing.T) {
	for _, c := range []struct {
		display, account string
		want             bool
	}{
		{"Hanna Moser", "moserh", true},
		{"Hanna Moser", "h.moser", true},
		{"Hanna Moser", "hmoser", true},
		{"Hanna Moser", "hanna.moser", true},
		{"Hanna Moser", "moser-hanna", true},
		{"Hanna Moser", "HMoser2", true},
		{"Hanna Moser", "han.moser", true},
		{"Moser, Hanna", "h.moser", true},
		{"hanna.moser", "h.moser", true},
		{"Hanna Moser", "moserk", false},
		{"Hanna Moser", "k.moser", false},
		{"Hanna Moser", "moser", false}, // there may be two
		{"Hanna Moser", "hanna", false},
		{"Hanna Moser", "moserhk", false},
		{"Hanna Moser", "hm", false},
		{"Hanna Moser", "", false},
		{"", "h.moser", false},
		{"", "", false},
		{"Moser", "moser", true},
		{"Moser", "h.moser", false},
		{"Anna Maria Berg", "a.berg", true},
		{"Anna Maria Berg", "m.berg", true},
		{"Anna Maria Berg", "b.anna", true},
		{"Bo Li", "b.li", false}, // too short to tell people apart
		{"Bo Lindqvist", "lindqvistb", true},
		{"Zoë Müller", "z.müller", true},
		{"Zoë Müller", "muellerz", false},
		{"Administrator", "admin", false},
		{"Service Desk", "svc-desk", false},
	} {
		if got := samePerson(c.display, c.account); got != c.want {
			t.Errorf("%q is %q: %v", c.display, c.account, got)
		}
	}
}
