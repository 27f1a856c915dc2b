package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pinned = "SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo"

func TestPosture_takesEveryKey(t *testing.T) {
	f := parse(t, small+`posture:
  folders: [evidence, /srv/exports]
  tenants:
    - {tenant: acme, folders: [acme-exports, /mnt/acme]}
    - {tenant: nord, folders: [n]}
    - {tenant: acme, folders: [more]}
  controls: controls
  policy: policy.yaml
  kev: kev.json
  every: 2h
  issuer: North MSP
  statements: [{partner: msp, file: statements/msp.json, key: "`+pinned+`"}]
`)
	at := func(name string) string { return filepath.Join(f.Dir, name) }
	want := &Posture{Folders: []string{at("evidence"), "/srv/exports"},
		Tenants:  []PostureTenant{{"acme", []string{at("acme-exports"), "/mnt/acme"}}, {"nord", []string{at("n")}}, {"acme", []string{at("more")}}},
		Controls: at("controls"), Policy: at("policy.yaml"), KEV: at("kev.json"), Every: 2 * time.Hour, Issuer: "North MSP",
		Statements: []PostureStatement{{"msp", at("statements/msp.json"), pinned}}}
	if diff := cmp.Diff(want, f.Posture); diff != "" {
		t.Errorf("read otherwise (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(f.Posture.FoldersOf("acme")); got != fmt.Sprint([]string{at("acme-exports"), "/mnt/acme", at("more")}) {
		t.Errorf("acme's folders: %s", got)
	}
	if got := f.Posture.FoldersOf("other"); got != nil {
		t.Errorf("another's folders: %v", got)
	}
}

func TestPosture_defaults(t *testing.T) {
	if f := parse(t, small); f.Posture != nil {
		t.Errorf("a file without the section: %+v", f.Posture)
	}
	if diff := cmp.Diff(DefaultPosture(), parse(t, small+"posture: {}\n").Posture); diff != "" {
		t.Errorf("an empty section is not the default:\n%s", diff)
	}
}

func TestPosture_errorsSayWhatToDo(t *testing.T) {
	for in, wrong := range map[string]string{
		"posture: {folder: [a]}":                                                  `did you mean "folders"?`,
		"posture: {every: 10s}":                                                   "10s is out of bounds",
		"posture: {every: 8d}":                                                    "8d is out of bounds",
		"posture: {tenants: [{tenant: nobody, folders: [a]}]}":                    `tenants[0].tenant: "nobody"`,
		"posture: {tenants: [{tenant: acme}]}":                                    "folders: missing",
		"posture: {tenants: [{folders: [a]}]}":                                    "tenant: missing",
		"posture: {statements: [{partner: x, file: a, key: \"" + pinned + "\"}]}": `partner: "x"`,
		"posture: {statements: [{partner: msp, file: a}]}":                        "key: missing",
		"posture: {statements: [{partner: msp, file: a, key: abc}]}":              "is no fingerprint",
		"posture: {statements: [{partner: msp, key: \"" + pinned + "\"}]}":        "file: missing",
		"posture: {folders: [" + strings.Repeat("a, ", 101) + "]}":                "has 101 folders",
	} {
		if _, err := Parse("x.yaml", []byte(small+in+"\n")); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%.60q: %v, want %q", in, err, wrong)
		}
	}
}
