package campaign

import (
	"net/netip"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestIsolationWordsWithinNameNobodyElse(t *testing.T) {
	m := &tenant.Model{
		Tenants: []tenant.Tenant{{ID: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}},
			{ID: "borgdairies", Name: "Borg Dairies", Networks: []netip.Prefix{netip.MustParsePrefix("10.30.0.0/16")}}},
		Partners: []tenant.Partner{{ID: "nw", Name: "Northwind"}},
		Trusts:   []tenant.Trust{{ID: "nw-acme", Partner: "nw", Tenant: "acme"}},
	}
	words := WordsWithin(tenant.ScopeOf("acme"), m)
	for text, want := range map[string]string{
		"10.30.0.9":                        Elsewhere,
		"no session into 10.30.0.9 then":   "no session into " + Elsewhere + " then",
		"svc@borgdairies.example":          Elsewhere,
		"10.20.1.5 and 198.51.100.7 by nw": "10.20.1.5 and 198.51.100.7 by nw",
		"":                                 "",
	} {
		if got := words(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if all := WordsWithin(tenant.ScopeAll(), m); all("borgdairies 10.30.0.9") != "borgdairies 10.30.0.9" {
		t.Error("who sees everything is shown less")
	}
}
