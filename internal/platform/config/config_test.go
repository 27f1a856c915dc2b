package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// small is a file without errors; tests add to it.
const small = `tenants:
  - {id: acme, role: client, domains: [acme.example]}
  - {id: nord, role: client}
partners:
  - {id: msp}
  - {id: maker}
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParse_errorsNameLineFieldAndRemedy(t *testing.T) {
	trust := func(rest string) string {
		return small + "trusts:\n  - {id: a, partner: msp, tenant: acme, owner: o, " + rest + "}\n"
	}
	two := func(a, b string) string {
		return small + "trusts:\n  - {id: a, partner: msp, tenant: acme, " + a + "}\n  - {id: b, partner: maker, tenant: acme, " + b + "}\n"
	}
	sensor := func(s string) string { return small + "sensors:\n  - {" + s + "}\n" }
	approval := func(s string) string {
		return trust("networks: [192.0.2.0/24]") + "approvals:\n  - {" + s + "}\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty file", "", "t.yaml:1: tenants: the file declares nothing; start from"},
		{"only comments", "# nothing\n", "the file declares nothing"},
		{"no tenants", "partners: []\n", "tenants: no tenant is declared"},
		{"not YAML", "tenants: [\n", "not valid YAML: "},
		{"a list at the top", "- a\n", "t.yaml:1: a mapping is needed here"},
		{"two documents", small + "---\ntenants: []\n", "a second YAML document"},
		{"unknown key at the top", small + "sensor: []\n", `t.yaml:7: sensor: unknown key; did you mean "sensors"?`},
		{"unknown key in a tenant", "tenants:\n  - {id: a, role: client, nets: []}\n", "t.yaml:2: tenants[a].nets: unknown key; known here: id, name"},
		{"key given twice", "tenants:\n  - id: a\n    role: client\n    id: b\n", "t.yaml:4: tenants[a].id: given twice, first on line 2; keep one"},
		{"alias", "tenants:\n  - &x {id: a, role: client}\n  - *x\n", "t.yaml:3: tenants[1]: an alias"},
		{"merge key", "tenants:\n  - &x {id: a, role: client}\n  - {<<: *x, id: b, role: client}\n", "tenants[b].<<: unknown key"},
		{"tagged value", "tenants:\n  - {id: !!binary YQ==, role: client}\n", "tenants[YQ==].id: a tagged value"},
		{"text for a list", "tenants:\n  - {id: a, role: client, domains: a.example}\n", "tenants[a].domains: a list is needed here; write [a.example]"},
		{"list for text", "tenants:\n  - {id: [a], role: client}\n", "tenants[0].id: a single value is needed here"},
		{"control character", "tenants:\n  - {id: a, role: client, name: \"a\\eb\"}\n", "tenants[a].name: too long, or with control characters"},

		{"no id", "tenants:\n  - {role: client}\n", "t.yaml:2: tenants[0].id: missing"},
		{"id that is a path", "tenants:\n  - {id: ../a, role: client}\n", `tenants[../a].id: "../a" is no id`},
		{"id twice", "tenants:\n  - {id: a, role: client}\n  - {id: a, role: client}\n", `t.yaml:3: tenants[a].id: "a" is already the id of the entry on line 2`},
		{"ids that differ by case", "tenants:\n  - {id: a, role: client}\n  - {id: A, role: client}\n", `"A" differs only by case from "a" on line 2`},
		{"no role", "tenants:\n  - {id: a}\n", "tenants[a].role: missing; write provider, client or both"},
		{"wrong role", "tenants:\n  - {id: a, role: vendor}\n", `tenants[a].role: "vendor" is no role`},
		{"domain in capitals", "tenants:\n  - {id: a, role: client, domains: [A.example]}\n", `tenants[a].domains[0]: "A.example" is not in lower case; write a.example`},
		{"domain with a scheme", "tenants:\n  - {id: a, role: client, domains: [\"https://a.example\"]}\n", "is an address and not a domain"},
		{"domain that is a suffix", "tenants:\n  - {id: a, role: client, domains: [com]}\n", "is a single label and would claim every name below it"},
		{"domain with a wildcard", "tenants:\n  - {id: a, role: client, domains: [\"*.a.example\"]}\n", "has a wildcard"},
		{"network that is none", "tenants:\n  - {id: a, role: client, networks: [10.0.0.0/33]}\n", `tenants[a].networks[0]: "10.0.0.0/33" is neither a prefix nor an address`},

		{"partner of an unknown tenant", small + "  - {id: x, tenant: acm}\n", `t.yaml:7: partners[x].tenant: "acm" is not declared under tenants`},
		{"two partners that are one tenant", small + "  - {id: x, tenant: acme}\n  - {id: y, tenant: acme}\n", `partners[y].tenant: "acme" is already the partner "x"`},
		{"trust of an unknown partner", strings.ReplaceAll(trust("hours: mon"), "partner: msp", "partner: MSP"), `trusts[a].partner: "MSP" is not declared under partners; write msp`},
		{"trust into an unknown tenant", strings.ReplaceAll(trust("hours: mon"), "tenant: acme, owner", "tenant: x, owner"), `t.yaml:8: trusts[a].tenant: "x" is not declared`},
		{"trust through an unknown partner", trust("through: x"), `trusts[a].through: "x" is not declared under partners`},
		{"trust into itself", strings.ReplaceAll(trust("hours: mon"), "{id: msp}", "{id: msp, tenant: acme}"), `"msp" is the tenant "acme" itself`},
		{"partner through itself", trust("through: msp"), "in a circle: msp → msp"},
		{"partners through one another", two("through: maker", "through: msp"), "trusts[b].through: the partners come through one another in a circle: msp → maker → msp"},
		{"validity the wrong way round", trust("valid_from: 2026-02-01, valid_until: 2026-01-01"), "trusts[a].valid_until: lies not after valid_from"},
		{"time without a zone", trust(`valid_from: "2026-02-01T10:00:00"`), "is no time; write 2026-03-31"},
		{"account that claims all", trust(`accounts: ["*"]`), "claims every account"},
		{"account that is a class", trust(`accounts: ["isl-[0-9]"]`), "is no account pattern"},
		{"account of no domain", trust(`accounts: ["@a b"]`), "is no account pattern"},
		{"hours that are none", trust("hours: mo-fr 7-19"), "trusts[a].hours: "},
		{"two windows", trust(`hours: "mon 07:00-12:00, tue 08:00-12:00"`), "two windows of the day"},
		{"cloud principal of two kinds", trust("cloud_principals: [{app_id: a, role: b}]"), "trusts[a].cloud_principals[0]: 2 keys are given where one is needed"},
		{"empty cloud principal", trust("cloud_principals: [{}]"), "0 keys are given"},
		{"remote tool without a name", trust("remote_tools: [{instance: a}]"), "trusts[a].remote_tools[0].tool: missing"},
		{"jump host with a port", trust(`jump_hosts: ["10.0.0.1:22"]`), "neither a host name nor an address"},

		{"tie by network", two("networks: [192.0.2.0/24]", "networks: [192.0.2.9/24]"), `trusts[b].networks: network 192.0.2.0/24 is declared by "a" (line 8) and by "b" (line 9) into "acme" at the same time`},
		{"tie by account", two("accounts: [ISL-*]", "accounts: [isl-*]"), `account isl-* is declared by "a" (line 8) and by "b" (line 9)`},
		{"tie by account domain", two(`accounts: ["@m.example"]`, `accounts: ["*@m.example"]`), `is declared by "a" (line 8) and by "b" (line 9)`},
		{"tie by instance", two("remote_tools: [{tool: Screen Connect, instance: AB}]", "remote_tools: [{tool: screenconnect, instance: ab}]"), `remote-tool instance screenconnect ab is declared by "a"`},

		{"sensor without match", sensor("tenant: acme"), "sensors[0].match: missing"},
		{"sensor that matches nothing", sensor("match: {}, tenant: acme"), "sensors[0].match: matches nothing"},
		{"sensor without tenant", sensor("match: {path: a}"), "sensors[0].tenant: missing"},
		{"sensor with both", sensor("match: {path: a}, tenant: acme, tenant_by: {field: f, map: {a: acme}}"), "tenant and tenant_by are both given"},
		{"sensor of an unknown tenant", sensor("match: {path: a}, tenant: x"), `sensors[0].tenant: "x" is not declared`},
		{"map to an unknown tenant", sensor("match: {path: a}, tenant_by: {field: f, map: {a: x}}"), `sensors[0].tenant_by: "x" is not declared`},
		{"map without field", sensor("match: {path: a}, tenant_by: {map: {a: acme}}"), "sensors[0].tenant_by.field: missing"},
		{"empty map", sensor("match: {path: a}, tenant_by: {field: f, map: {}}"), "names no tenant"},
		{"map with two cases of one value", sensor("match: {path: a}, tenant_by: {field: f, map: {a: acme, A: nord}}"), "given twice for two tenants"},
		{"unknown layer", sensor("match: {path: a}, tenant: acme, layer: dns"), `sensors[0].layer: "dns" is no layer; write one of mail, network`},
		{"absolute pattern", sensor("match: {path: /var/log/*}, tenant: acme"), "is absolute"},
		{"pattern out of the folder", sensor("match: {path: ../x/*}, tenant: acme"), "has an empty, . or .. part"},
		{"stars beside characters", sensor(`match: {path: "a/**.log"}, tenant: acme`), "has ** beside other characters"},

		{"approval of an unknown trust", approval("trust: x, src: 10.0.0.1, kind: scan, from: 2026-01-01, until: 2026-01-02"), `approvals[0].trust: "x" is not declared under trusts`},
		{"approval without end", approval("trust: a, src: 10.0.0.1, kind: scan, from: 2026-01-01"), "approvals[0].until: missing"},
		{"approval without source", approval("trust: a, kind: scan, from: 2026-01-01, until: 2026-01-02"), "approvals[0].src: missing"},
		{"approval without kind", approval("trust: a, src: 10.0.0.1, from: 2026-01-01, until: 2026-01-02"), "approvals[0].kind: missing"},
		{"approval the wrong way round", approval("trust: a, src: 10.0.0.1, kind: scan, from: 2026-01-02, until: 2026-01-01"), "approvals[0].until: lies not after from"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(c.text))
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("err %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant a line with\n%s", err, c.want)
			}
			if len(all) != 1 {
				t.Errorf("one fault gave %d problems:\n%v", len(all), err)
			}
		})
	}
}

func TestParse_reportsEveryErrorInTheOrderOfLines(t *testing.T) {
	_, err := Parse("t.yaml", []byte("tenants:\n  - {id: a, role: x, domains: [A.b, c/d]}\n  - {id: a}\ntrusts:\n  - {id: t, partner: p, tenant: z}\n"))
	var all Errors
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	var lines []int
	for _, p := range all {
		lines = append(lines, p.Line)
	}
	if len(all) != 7 || lines[0] != 2 || lines[3] != 3 || lines[6] != 5 {
		t.Errorf("lines %v:\n%v", lines, err)
	}
	var one Problem
	if !errors.As(err, &one) || one.Line != 2 {
		t.Errorf("errors.As gave %+v", one)
	}
}

func TestParse_tiesNeedSameTenantSameTimeAndTwoPartners(t *testing.T) {
	for name, trusts := range map[string]string{
		"other tenants": "  - {id: a, partner: msp, tenant: acme, networks: [192.0.2.0/24]}\n  - {id: b, partner: maker, tenant: nord, networks: [192.0.2.0/24]}\n",
		"same partner":  "  - {id: a, partner: msp, tenant: acme, networks: [192.0.2.0/24]}\n  - {id: b, partner: msp, tenant: acme, networks: [192.0.2.0/24]}\n",
		"longer prefix": "  - {id: a, partner: msp, tenant: acme, networks: [192.0.2.0/24]}\n  - {id: b, partner: maker, tenant: acme, networks: [192.0.2.0/25]}\n",
		"one after another": "  - {id: a, partner: msp, tenant: acme, networks: [192.0.2.0/24], valid_until: 2026-01-01}\n" +
			"  - {id: b, partner: maker, tenant: acme, networks: [192.0.2.0/24], valid_from: 2026-01-01}\n",
	} {
		if _, err := Parse("t.yaml", []byte(small+"trusts:\n"+trusts)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse_normalises(t *testing.T) {
	f := parse(t, small+`trusts:
  - id: a
    partner: msp
    tenant: acme
    owner: o
    networks: [192.0.2.9/24, "::ffff:198.51.100.7", 2001:db8::1]
    accounts: [ISL-*, 'CORP\svc']
    remote_tools: [{tool: Screen Connect, instance: 0123, hosts: [Help.Example]}]
    cloud_principals: [{account_id: 012345678901}, {app_id: ABCD}]
    hours: mon-thu 22:00-06:00
    destinations: [10.1.2.3/8, 10.0.0.1, DC01]
    valid_from: 2026-01-01
    valid_until: 2026-06-30T12:00:00+02:00
`)
	tr := f.Model.Trust("a")
	var networks []string
	for _, p := range tr.Networks {
		networks = append(networks, p.String())
	}
	for what, pair := range map[string][2]string{
		"networks":     {strings.Join(networks, " "), "192.0.2.0/24 198.51.100.7/32 2001:db8::1/128"},
		"accounts":     {strings.Join(tr.Accounts, " "), `isl-* corp\svc`},
		"tool":         {tr.RemoteTools[0].Tool + tr.RemoteTools[0].Instance + tr.RemoteTools[0].Hosts[0], "screenconnect0123help.example"},
		"cloud":        {tr.CloudPrincipals[0].AccountID + tr.CloudPrincipals[1].AppID, "012345678901abcd"},
		"destinations": {strings.Join(tr.Destinations, " "), "10.0.0.0/8 10.0.0.1 dc01"},
		"validity":     {tr.ValidFrom.Format(time.RFC3339) + tr.ValidUntil.Format(time.RFC3339), "2026-01-01T00:00:00Z2026-06-30T10:00:00Z"},
		"name":         {f.Model.Tenant("acme").Name, "acme"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	var warnings strings.Builder
	for _, w := range f.Warnings() {
		warnings.WriteString(w.String() + "\n")
	}
	if !strings.Contains(warnings.String(), "t.yaml:12: trusts[a].networks[0]: 192.0.2.9/24 has bits set beyond its length and is read as 192.0.2.0/24") {
		t.Errorf("warnings %s", warnings.String())
	}
}

func TestParse_versionFollowsContentNotSpelling(t *testing.T) {
	a := parse(t, small).Model.Version
	b := parse(t, "# a comment\n"+strings.Replace(small, "{id: acme, role: client, domains: [acme.example]}", "{role: \"client\", domains: [ acme.example ], id: acme}", 1)).Model.Version
	c := parse(t, strings.Replace(small, "acme.example", "acme2.example", 1)).Model.Version
	if a != b || a == c || len(a) != 12 {
		t.Errorf("versions %s %s %s", a, b, c)
	}
}

func TestWarnings_nameWhatIsProbablyNotMeant(t *testing.T) {
	f := parse(t, small+`trusts:
  - {id: a, partner: msp, tenant: acme, through: maker, remote_tools: [{tool: anydesk}]}
  - {id: b, partner: msp, tenant: nord, owner: o, valid_until: 2026-01-01}
sensors:
  - {match: {path: "*.log"}, tenant: acme}
  - {match: {path: "*.log"}, tenant: nord}
approvals:
  - {trust: b, src: 10.0.0.1, kind: scan, from: 2026-02-01, until: 2026-02-02}
`)
	var all strings.Builder
	for _, w := range f.Warnings() {
		all.WriteString(w.String() + "\n")
	}
	for _, want := range []string{
		`t.yaml:8: trusts[a].through: "maker" has no trust of its own into "acme"`,
		"t.yaml:8: trusts[a].owner: missing",
		"trusts[a].remote_tools[0].instance: missing: every instance",
		"t.yaml:9: trusts[b]: declares no access",
		"t.yaml:12: sensors[1].match: matches exactly what the sensor on line 11 matches and is never reached; acme gets what may be nord's",
		`t.yaml:14: approvals[0].trust: "b" doesn't hold at any time of the approval`,
		"approvals[0].owner: missing",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no warning %q in\n%s", want, all.String())
		}
	}
	f = parse(t, small)
	if w := f.Warnings(); len(w) != 3 || !strings.Contains(w[0].Error(), "every tenant is blind") || !strings.Contains(w[1].Error(), "partners[msp]: has no trust") {
		t.Errorf("warnings %v", w)
	}
	f = parse(t, small+"sensors:\n  - {match: {path: a}, tenant: acme}\n")
	if w := f.Warnings(); !strings.Contains(w[0].Error(), "tenants[nord]: no sensor is this tenant's: it will be blind") {
		t.Errorf("warnings %v", w)
	}
}

func TestBomb_inputIsRefusedCheaply(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	for name, data := range map[string][]byte{
		"aliases of aliases":  []byte(laughs),
		"deep brackets":       bytes.Repeat([]byte("["), 1<<20),
		"deep mappings":       bytes.Repeat([]byte("{a: "), 1<<18),
		"deep indentation":    []byte("tenants:\n" + strings.Repeat(strings.Repeat(" ", 400)+"- ", 2000)),
		"many unknown keys":   []byte(strings.Repeat("k: 1\n", 100_000)),
		"one comment a line":  []byte(small + strings.Repeat("#\n", 500_000) + "x: 1\n"),
		"larger than the cap": make([]byte, MaxBytes+1),
		"not UTF-8":           []byte("tenants: \xff\xfe\xfd\n"),
	} {
		start := time.Now()
		if _, err := Parse("t.yaml", data); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 1<<20 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestLoad_saysWhichFileIsMissing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("err %v", err)
	}
}

func TestInit_passesParseWithoutWarnings(t *testing.T) {
	f, err := Parse("breakwater.yaml", Init())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings() {
		t.Errorf("warning in the starter file: %s", w)
	}
}

func TestParseHours_readsAWeeklyWindow(t *testing.T) {
	days := func(names string) (d [7]bool) {
		for i, n := range weekdays {
			d[i] = strings.Contains(names, n)
		}
		return d
	}
	for in, want := range map[string]tenant.Hours{
		"always":                           {},
		"mon-fri 07:00-19:00":              {Days: days("mon tue wed thu fri"), From: 420, To: 1140, Restricted: true},
		"Mon-Fri 7:00-19:00 UTC":           {Days: days("mon tue wed thu fri"), From: 420, To: 1140, Restricted: true},
		"mon-wed, fri 07:00-19:00":         {Days: days("mon tue wed fri"), From: 420, To: 1140, Restricted: true},
		"mon 01:00-02:00, sat 01:00-02:00": {Days: days("mon sat"), From: 60, To: 120, Restricted: true},
		"fri-mon 22:00-06:00":              {Days: days("fri sat sun mon"), From: 1320, To: 360, Restricted: true},
		"sat":                              {Days: days("sat"), To: 1440, Restricted: true},
		"00:00-24:00":                      {Days: days("sun mon tue wed thu fri sat"), To: 1440, Restricted: true},
		"daily 08:00-09:30":                {Days: days("sun mon tue wed thu fri sat"), From: 480, To: 570, Restricted: true},
	} {
		if got, err := ParseHours(in); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ",", "monday", "mon-fri 25:00-26:00", "mon 07:00", "mon 07:00-07:00", "mon 24:00-06:00", "mon 7-9", "mon tue 07:00-09:00", "mon 07:00-09:00 CET", "mon-fri-sat"} {
		if _, err := ParseHours(in); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Init())
	for _, s := range []string{small, wholeServe, "", "tenants: [{id: a, role: client}]", "- a", "a: &a [*a]", "tenants:\n  - {id: a, role: client, networks: [::/0, 1.2.3.4/5]}\nsensors: [{match: {path: '**', field: {a: b}, exporter: 1.2.3.4}, tenant_by: {field: a, map: {b: a}}}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f.yaml", data)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("an error without a problem: %v", err)
			}
			for _, p := range all {
				if strings.ContainsAny(p.Error(), "\n\x1b") {
					t.Errorf("a problem that is no line: %q", p.Error())
				}
			}
			return
		}
		if len(file.Model.Tenants) == 0 || file.Model.Version == "" {
			t.Error("a file without tenants or version")
		}
		file.SensorFor("a/b!c/d.gz")
	})
}
