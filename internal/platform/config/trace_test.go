package config

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestTraceTerms(t *testing.T) {
	const pin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	for name, c := range map[string]struct {
		section string
		want    tenant.TraceTerms
		wrong   string // part of the message; with its line
	}{
		"left out":                        {"", tenant.TraceTerms{}, ""},
		"a pinned peer":                   {"{peer: \"" + pin + "\"}", tenant.TraceTerms{Peer: pin}, ""},
		"answered at once, with accounts": {"{peer: \"" + pin + "\", answer: auto, account: true}", tenant.TraceTerms{Peer: pin, Auto: true, Account: true}, ""},
		"without a peer":                  {"{answer: auto}", tenant.TraceTerms{}, "trace.peer: missing"},
		"a peer that is no fingerprint":   {"{peer: abc}", tenant.TraceTerms{}, `:8: trusts[t].trace.peer: "abc" is no fingerprint`},
		"a fingerprint that is cut":       {"{peer: \"" + pin[:len(pin)-1] + "\"}", tenant.TraceTerms{}, "is no fingerprint"},
		"another way to answer":           {"{peer: \"" + pin + "\", answer: always}", tenant.TraceTerms{}, `"always" is no way to answer`},
		"neither yes nor no":              {"{peer: \"" + pin + "\", account: maybe}", tenant.TraceTerms{}, "neither true nor false"},
		"an unknown key":                  {"{peer: \"" + pin + "\", accounts: true}", tenant.TraceTerms{}, `did you mean "account"`},
		"a plain value":                   {"yes", tenant.TraceTerms{}, "a mapping is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "tenants:\n  - {id: acme, role: client, networks: [10.1.0.0/16]}\npartners:\n  - {id: msp}\ntrusts:\n  - {id: t, partner: msp, tenant: acme, networks: [203.0.113.0/29],\n     owner: someone,\n"
			if c.section != "" {
				text += "     trace: " + c.section + ",\n"
			}
			f, err := Parse("b.yaml", []byte(text+"    }\nsensors:\n  - {match: {path: x}, tenant: acme}\n"))
			switch {
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("got %v, want %q", err, c.wrong)
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong == "" && f.Model.Trusts[0].Trace != c.want:
				t.Errorf("got %+v, want %+v", f.Model.Trusts[0].Trace, c.want)
			}
		})
	}
}
