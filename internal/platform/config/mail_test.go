package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const mailTenants = "tenants:\n  - {id: acme, role: client, domains: [acme.example], networks: [10.1.0.0/16]}\n  - {id: borg, role: client, networks: [10.2.0.0/16]}\n"

func parseMail(t *testing.T, section string) (*MailGate, *File, error) {
	t.Helper()
	f, err := Parse("b.yaml", []byte(mailTenants+section+"sensors: [{match: {path: x}, tenant: acme}, {match: {path: y}, tenant: borg}]\n"))
	if err != nil {
		return nil, nil, err
	}
	return f.Mail, f, nil
}

func TestTheMailSectionIsRead(t *testing.T) {
	m, _, err := parseMail(t, `mail:
  id: MX.Northwind.example
  trusted_ids: [mx1.acme.example]
  milter: [{listen: "127.0.0.1:8463"}, {listen: "unix:/run/bw.sock", outbound: true}]
  budget: 4s
  unscanned: accept
  clamd: unix:/run/clamav/clamd.ctl
  mode: enforce
  several: split
  policies:
    - {tenant: acme, recipients: ["Accounts@acme.example", "vip-*@acme.example"], phish: reject, suspicious: hold, threshold: 0.8, suspicious_threshold: 0.4, heightened: tag}
    - {tenant: acme, mode: observe}
  hold: {in: store, release: [sudo, postsuper, -H, "{id}"], reinject: "127.0.0.1:10025", retention: 10d}
`)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != "mx.northwind.example" || m.Unscanned != MailPass || m.Mode != MailEnforce || m.Several != MailSplit || m.Clamd != "unix:/run/clamav/clamd.ctl" {
		t.Errorf("got %+v", m)
	}
	if m.Budget != (MailBudget{4 * time.Second, 2 * time.Second, 2 * time.Second}) {
		t.Errorf("the budget is %+v", m.Budget)
	}
	if len(m.Milter) != 2 || !m.Milter[1].Outbound || m.Milter[0].Outbound {
		t.Errorf("the listeners are %+v", m.Milter)
	}
	if m.Hold.In != HoldStore || m.Hold.Retention != 240*time.Hour || !slices.Equal(m.Hold.Release, []string{"sudo", "postsuper", "-H", "{id}"}) {
		t.Errorf("hold is %+v", m.Hold)
	}
	for rcpt, want := range map[string]MailPolicy{
		"accounts@ACME.example": {Mode: MailEnforce, Phish: MailReject, Suspicious: MailHeld, Heightened: MailTag, Threshold: .8, SuspiciousThreshold: .4},
		"vip-1@acme.example":    {Mode: MailEnforce, Phish: MailReject, Suspicious: MailHeld, Heightened: MailTag, Threshold: .8, SuspiciousThreshold: .4},
		"other@acme.example":    {Mode: MailObserve, Phish: MailHeld, Suspicious: MailTag, Heightened: MailHeld},
	} {
		got := m.Policy("acme", rcpt)
		if got.Mode != want.Mode || got.Phish != want.Phish || got.Suspicious != want.Suspicious || got.Heightened != want.Heightened ||
			got.Threshold != want.Threshold || got.SuspiciousThreshold != want.SuspiciousThreshold {
			t.Errorf("%s has %+v, want %+v", rcpt, got, want)
		}
	}
	if p := m.Policy("borg", "accounts@acme.example"); p.Mode != MailEnforce || p.Phish != MailHeld || p.Tenant != "borg" {
		t.Errorf("another tenant's policy holds: %+v", p)
	}
}

func TestTheMailSectionHasSafeDefaults(t *testing.T) {
	m, f, err := parseMail(t, "mail: {}\n")
	if err != nil {
		t.Fatal(err)
	}
	if m.Mode != MailObserve || m.Unscanned != MailPass || m.Hold.In != HoldMTA || m.ID == "" || len(m.Milter) != 0 || m.Several != MailStrictest || m.Budget.Whole != 5*time.Second {
		t.Errorf("got %+v", m)
	}
	if p := m.Policy("acme", "x@acme.example"); p.Phish != MailHeld || p.Suspicious != MailTag || p.Mode != MailObserve {
		t.Errorf("the default policy is %+v", p)
	}
	if len(f.Warnings()) > 0 {
		t.Errorf("warnings: %v", f.Warnings())
	}
	if m, _, err := parseMail(t, ""); err != nil || m != nil {
		t.Errorf("without the section: %+v, %v", m, err)
	}
	if m, _, err := parseMail(t, "mail: {mode: enforce}\n"); err != nil || m.Unscanned != MailTempFail {
		t.Errorf("who enforces lets unscanned mail pass: %+v, %v", m, err)
	}
	short := "mail: {budget: 1s}\n"
	if m, _, err := parseMail(t, short); err != nil || m.Budget.DNS > m.Budget.Whole || m.Budget.Clamd > m.Budget.Whole {
		t.Errorf("parts exceed the whole: %+v, %v", m, err)
	}
}

func TestWrongMailSectionsAreToldWithTheirLine(t *testing.T) {
	for name, c := range map[string]struct{ section, want string }{
		"an unknown key":                    {"mail:\n  modus: observe\n", "b.yaml:5: mail.modus: unknown key"},
		"a mode that is none":               {"mail:\n  mode: active\n", `b.yaml:5: mail.mode: "active" is no mode`},
		"an undeclared tenant":              {"mail:\n  policies: [{tenant: nobody}]\n", `"nobody" is not declared`},
		"a tenant without domains":          {"mail:\n  policies: [{tenant: borg}]\n", `declares no domains`},
		"no tenant":                         {"mail:\n  policies: [{phish: hold}]\n", "mail.policies[0].tenant: missing"},
		"an action that is none":            {"mail:\n  policies: [{tenant: acme, phish: drop}]\n", `"drop" is no action`},
		"a threshold above one":             {"mail:\n  policies: [{tenant: acme, threshold: 90}]\n", `"90" is no probability`},
		"a threshold that is no number":     {"mail:\n  policies: [{tenant: acme, threshold: NaN}]\n", `is no probability`},
		"thresholds the wrong way round":    {"mail:\n  policies: [{tenant: acme, threshold: 0.5, suspicious_threshold: 0.6}]\n", "lies above threshold"},
		"a recipient that is no pattern":    {"mail:\n  policies: [{tenant: acme, recipients: [accounts]}]\n", `"accounts" is no pattern of recipients`},
		"two listeners at one place":        {"mail:\n  milter: [{listen: \"127.0.0.1:1\"}, {listen: \"127.0.0.1:1\"}]\n", "listened on already"},
		"a socket with a relative path":     {"mail:\n  milter: [{listen: \"unix:sock\"}]\n", "is no path of a socket"},
		"a listener without a place":        {"mail:\n  milter: [{outbound: true}]\n", "mail.milter[0].listen: missing"},
		"store without a way back":          {"mail:\n  hold: {in: store}\n", "mail.hold.reinject: missing"},
		"a way back to another machine":     {"mail:\n  hold: {reinject: \"192.0.2.1:25\"}\n", "is not this machine"},
		"a release without the id":          {"mail:\n  hold: {release: [postsuper, -H, ALL]}\n", "names no program with {id}"},
		"a release that is only the id":     {"mail:\n  hold: {release: [\"{id}\"]}\n", "names no program with {id}"},
		"our own id trusted":                {"mail:\n  id: mx.acme.example\n  trusted_ids: [mx.acme.example]\n", "holds our own id"},
		"a budget of nothing":               {"mail:\n  budget: 1ms\n", "out of bounds"},
		"a part that is more than whole":    {"mail:\n  budget: {whole: 1s, dns: 2s}\n", "is more than the whole"},
		"unscanned that is neither":         {"mail:\n  unscanned: pass\n", "is no way to treat mail"},
		"several that is neither":           {"mail:\n  several: mildest\n", "is no way to treat several policies"},
		"a retention that is none":          {"mail:\n  hold: {retention: forever}\n", "is no duration"},
		"a section that is a plain value":   {"mail: yes\n", "a mapping is needed"},
		"hold in a place that is none":      {"mail:\n  hold: {in: bin}\n", "is no place for held mail"},
		"clamd that is no place":            {"mail:\n  clamd: clamd\n", "is no host:port"},
		"an id that is neither name nor ip": {"mail:\n  id: \"a b\"\n", "is neither a host name nor an address"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := parseMail(t, c.section); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestOddMailSectionsAreHintedAt(t *testing.T) {
	for name, c := range map[string]struct{ section, want string }{
		"a policy that is never reached":         {"mail:\n  policies: [{tenant: acme}, {tenant: acme, recipients: [\"a@acme.example\"]}]\n", "is never reached"},
		"a listener that other machines reach":   {"mail:\n  milter: [{listen: \"0.0.0.0:8463\"}]\n", "is reached from other machines"},
		"a listener without a host is everybody": {"mail:\n  milter: [{listen: \":8463\"}]\n", "is reached from other machines"},
	} {
		t.Run(name, func(t *testing.T) {
			_, f, err := parseMail(t, c.section)
			if err != nil {
				t.Fatal(err)
			}
			if w := f.Warnings(); len(w) != 1 || !strings.Contains(w[0].String(), c.want) {
				t.Errorf("got %v, want %q", w, c.want)
			}
		})
	}
}
