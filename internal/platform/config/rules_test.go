package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestRuleAllowLists(t *testing.T) {
	const rest = `, until: 2027-01-31, owner: Ann, reason: agreed}`
	for name, c := range map[string]struct {
		entry string
		want  RuleAllow
		wrong string // part of the message
	}{
		"a rule at a tenant": {`{rule: tool, tenant: acme` + rest, RuleAllow{Rule: "tool", Tenant: "acme"}, ""},
		"all of it": {`{rule: tool, partner: msp, tool: Screen Connect, hosts: [SRV1, wks-*], hours: "sat 22:00-23:00"` + rest,
			RuleAllow{Rule: "tool", Partner: "msp", Tool: "screenconnect", Hosts: []string{"srv1", "wks-*"}, Hours: mustHours(t, "sat 22:00-23:00")}, ""},
		"no rule":            {`{tenant: acme` + rest, RuleAllow{}, "rules.allow[0].rule: missing"},
		"no end":             {`{rule: a, owner: Ann, reason: agreed}`, RuleAllow{}, "rules.allow[0].until: missing"},
		"no owner":           {`{rule: a, until: 2027-01-31, reason: agreed}`, RuleAllow{}, "rules.allow[0].owner: missing"},
		"no reason":          {`{rule: a, until: 2027-01-31, owner: Ann}`, RuleAllow{}, "rules.allow[0].reason: missing"},
		"an unknown tenant":  {`{rule: a, tenant: acne` + rest, RuleAllow{}, `"acne" is not declared under tenants`},
		"an unknown partner": {`{rule: a, partner: psm` + rest, RuleAllow{}, `"psm" is not declared under partners`},
		"any host":           {`{rule: a, hosts: ["*"]` + rest, RuleAllow{}, `"*" is no host name`},
		"a path as a host":   {`{rule: a, hosts: ["a/b"]` + rest, RuleAllow{}, `"a/b" is no host name`},
		"a tool of a letter": {`{rule: a, tool: x` + rest, RuleAllow{}, "part of too many names"},
		"hours":              {`{rule: a, hours: whenever` + rest, RuleAllow{}, "is no day"},
		"an unknown key":     {`{rule: a, host: srv1` + rest, RuleAllow{}, `did you mean "hosts"`},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("b.yaml", []byte("tenants:\n  - {id: acme, role: client}\npartners:\n  - {id: msp}\nrules:\n  allow:\n    - "+c.entry+"\n"))
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), ":7: ") {
					t.Errorf("got %v, want %q at line 7", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Until, c.want.Owner, c.want.Reason = time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), "Ann", "agreed"
			if diff := cmp.Diff([]RuleAllow{c.want}, f.Rules.Allow); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRulesChangeTheVersionOfTheModel(t *testing.T) {
	const head = "tenants:\n  - {id: acme, role: client}\n"
	version := func(more string) string {
		f, err := Parse("b.yaml", []byte(head+more))
		if err != nil {
			t.Fatal(err)
		}
		return f.Model.Version
	}
	with := version("rules: {allow: [{rule: a, until: 2027-01-31, owner: Ann, reason: agreed}]}\n")
	if with == version("") {
		t.Error("an allow-list leaves the version as it was, and findings would not tell by which they were made")
	}
	if version("rules: {}\n") != version("") {
		t.Error("an empty section changes the version")
	}
}

func TestAnEntryForEverythingIsHinted(t *testing.T) {
	f, err := Parse("b.yaml", []byte("tenants:\n  - {id: acme, role: client}\nrules: {allow: [{rule: a, until: 2027-01-31, owner: Ann, reason: agreed}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings() {
		if strings.Contains(w.String(), "covers the rule at every tenant") {
			return
		}
	}
	t.Errorf("hints: %v", f.Warnings())
}

func mustHours(t *testing.T, text string) tenant.Hours {
	t.Helper()
	h, err := ParseHours(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
