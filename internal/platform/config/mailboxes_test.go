package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMailboxesAreRead(t *testing.T) {
	pin := strings.Repeat("ab", 32)
	m, f, err := parseMail(t, `mail:
  mailboxes:
    - {name: all, tenant: acme, kind: sweep, host: imap.acme.example, users: [ana@acme.example, bo@acme.example], master: sweeper, password_file: /etc/bw/pw, pin: "`+strings.ToUpper(pin)+`"}
    - {name: phish, tenant: acme, kind: reports, host: imap.acme.example, tls: starttls, user: report@acme.example, token_file: /etc/bw/token, handled: Done,
       thanks: {from: security@acme.example, host: smtp.acme.example}}
    - {name: jour, tenant: borg, kind: journal, host: 127.0.0.1, port: 1143, tls: none, user: j, password_file: /etc/bw/pw}
  journal: {listen: "127.0.0.1:2525", bindings: [{source: 192.0.2.0/24, tenant: acme}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings()) > 0 {
		t.Errorf("warnings: %v", f.Warnings())
	}
	a := m.Mailboxes[0]
	if a.Port != 993 || a.TLS != MailTLS || a.Pin != pin || a.Master != "sweeper" || !slices.Equal(a.Users, []string{"ana@acme.example", "bo@acme.example"}) || a.Quarantine != "Breakwater Quarantine" {
		t.Errorf("the first is %+v", a)
	}
	r := m.Mailboxes[1]
	if r.Port != 143 || r.OAuth != OAuthXOAuth2 || r.Handled != "Done" || r.Thanks == nil || r.Thanks.Port != 587 || r.Thanks.TLS != MailStartTLS {
		t.Errorf("the second is %+v", r)
	}
	if j := m.Journal; j == nil || j.Bindings[0].Source.String() != "192.0.2.0/24" || j.Bindings[0].Tenant != "acme" || j.MaxMessage != 64<<20 {
		t.Errorf("the journal is %+v", m.Journal)
	}
	if got := m.MailboxesOf("acme", MailboxSweep); len(got) != 1 || got[0].Name != "all" {
		t.Errorf("the swept mailboxes of acme are %v", got)
	}
	if got := m.MailboxesOf("acme", MailboxJournal); len(got) != 0 {
		t.Errorf("acme has another tenant's mailbox: %v", got)
	}
}

func TestBadMailboxesAreRefused(t *testing.T) {
	const good = "name: a, tenant: acme, kind: sweep, host: imap.acme.example, user: ana, password_file: /p"
	for name, test := range map[string]struct{ section, want string }{
		"a tenant nobody declared":         {"mailboxes: [{" + strings.Replace(good, "acme,", "acmo,", 1) + "}]", "not declared"},
		"a kind nobody knows":              {"mailboxes: [{" + strings.Replace(good, "sweep", "swipe", 1) + "}]", "no kind of mailbox"},
		"no password":                      {"mailboxes: [{" + strings.Replace(good, ", password_file: /p", "", 1) + "}]", "either password_file or token_file"},
		"password and token":               {"mailboxes: [{" + good + ", token_file: /t}]", "either password_file or token_file"},
		"plain to another machine":         {"mailboxes: [{" + good + ", tls: none}]", "unencrypted"},
		"pin and ca":                       {"mailboxes: [{" + good + ", ca: /c, pin: " + strings.Repeat("a", 64) + "}]", "both given"},
		"a pin that is none":               {"mailboxes: [{" + good + ", pin: abc}]", "no SHA-256"},
		"one name twice":                   {"mailboxes: [{" + good + "}, {" + good + "}]", "earlier mailbox"},
		"a backslash in a user":            {"mailboxes: [{" + strings.Replace(good, "user: ana", `user: "a\\b"`, 1) + "}]", "no name to sign in"},
		"several users of reports":         {"mailboxes: [{" + strings.Replace(strings.Replace(good, "user: ana", "users: [a, b], master: m", 1), "sweep", "reports", 1) + "}]", "come to one mailbox"},
		"a folder with wild cards":         {"mailboxes: [{" + good + `, folders: ["*"]}]`, "no name of a folder"},
		"the quarantine among the swept":   {"mailboxes: [{" + good + ", quarantine: Q, folders: [INBOX, Q]}]", "quarantine itself"},
		"the inbox as quarantine":          {"mailboxes: [{" + good + ", quarantine: INBOX}]", "no name of a folder"},
		"thanks of a swept mailbox":        {"mailboxes: [{" + good + ", thanks: {from: a@b.example, host: h}}]", "kind reports"},
		"a password over a plain line":     {"mailboxes: [{" + strings.Replace(good, "sweep", "reports", 1) + ", thanks: {from: a@b.example, host: 127.0.0.1, tls: none, username: u, password_file: /p}}]", "password would be sent"},
		"an unknown key":                   {"mailboxes: [{" + good + ", foldres: [x]}]", "foldres"},
		"a journal without bindings":       {`journal: {listen: "127.0.0.1:25"}`, "every sender is refused"},
		"one sender's mail for two":        {`journal: {listen: "127.0.0.1:25", bindings: [{source: 192.0.2.1, tenant: acme}, {source: 192.0.2.1, tenant: borg}]}`, "bound to acme already"},
		"a journal tenant nobody declared": {`journal: {listen: "127.0.0.1:25", bindings: [{source: 192.0.2.1, tenant: x}]}`, "not declared"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseMail(t, "mail:\n  "+test.section+"\n")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestSweepsThatStartByThemselvesAreRead(t *testing.T) {
	const box = "  mailboxes:\n    - {name: a, tenant: acme, kind: sweep, host: h.example, user: ana, password_file: /p}\n    - {name: r, tenant: acme, kind: reports, host: h.example, user: r, password_file: /p}\n"
	m, _, err := parseMail(t, "mail:\n"+box+"  sweep: {}\n")
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Sweep; s == nil || len(s.On) != 3 || s.Act != SweepList || s.Since != 48*time.Hour || s.PerHour != 20 || s.Most != 200 || m.Poll != time.Minute {
		t.Errorf("the defaults are %+v, poll %s", m.Sweep, m.Poll)
	}
	m, _, err = parseMail(t, "mail:\n"+box+"  poll: 30s\n  thanks: {from: s@acme.example, host: smtp.acme.example}\n  sweep: {on: [indicator, indicator], act: apply, since: 12h, per_hour: 3, most: 5}\n")
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Sweep; !slices.Equal(s.On, []MailTrigger{SweepOnIndicator}) || s.Act != SweepApply || s.Since != 12*time.Hour || s.PerHour != 3 || s.Most != 5 || m.Poll != 30*time.Second {
		t.Errorf("read: %+v, poll %s", s, m.Poll)
	}
	if r := m.MailboxesOf("acme", MailboxReports)[0]; r.Thanks == nil || r.Thanks.From != "s@acme.example" {
		t.Errorf("the thanks of all are not those of a mailbox without its own: %+v", r.Thanks)
	}
	if a := m.MailboxesOf("acme", MailboxSweep)[0]; a.Thanks != nil {
		t.Error("a swept mailbox thanks")
	}
	if m, _, err = parseMail(t, "mail: {mode: observe}\n"); err != nil || m.Sweep != nil {
		t.Errorf("without the key: %+v, %v", m.Sweep, err)
	}
	for section, want := range map[string]string{"{on: [rumour]}": "starts no sweep", "{act: delete}": "no act of a sweep", "{since: 1s}": "since", "{per_hour: 0}": "per_hour", "{most: 100000}": "most"} {
		if _, _, err := parseMail(t, "mail:\n"+box+"  sweep: "+section+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
