//go:build unix

package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var wanted = Criteria{MessageIDs: []string{"bad@evil.example"}}

func TestTheServerIsKnownBeforeAPasswordIsSent(t *testing.T) {
	d := startDovecot(t, fullServer)
	d.put(d.client("ana"), "INBOX", letterText("bad@evil.example", "e@evil.example", "bad", "x"), noon)
	for name, test := range map[string]struct {
		change func(*config.Mailbox)
		want   string // part of the problem; "" it works
	}{
		"TLS with a pin":              {func(b *config.Mailbox) { b.Port, b.TLS, b.Pin = d.ports, config.MailTLS, d.pin }, ""},
		"TLS with a certificate":      {func(b *config.Mailbox) { b.Port, b.TLS, b.CA = d.ports, config.MailTLS, d.cert }, ""},
		"STARTTLS with a pin":         {func(b *config.Mailbox) { b.TLS, b.Pin = config.MailStartTLS, d.pin }, ""},
		"a master user":               {func(b *config.Mailbox) { b.Master, b.Password = "sweeper", filepath.Join(d.dir, "master-password") }, ""},
		"TLS with the system's roots": {func(b *config.Mailbox) { b.Port, b.TLS = d.ports, config.MailTLS }, "certificate"},
		"TLS with another pin":        {func(b *config.Mailbox) { b.Port, b.TLS, b.Pin = d.ports, config.MailTLS, strings.Repeat("ab", 32) }, "not the pinned one"},
		"STARTTLS with another pin":   {func(b *config.Mailbox) { b.TLS, b.Pin = config.MailStartTLS, strings.Repeat("ab", 32) }, "not the pinned one"},
		"a wrong password":            {func(b *config.Mailbox) { b.Password = filepath.Join(d.dir, "master-password") }, "signing in"},
		"no password file":            {func(b *config.Mailbox) { b.Password = filepath.Join(d.dir, "none") }, "reading the password"},
		"a token the server refuses":  {func(b *config.Mailbox) { b.Token, b.OAuth = b.Password, config.OAuthXOAuth2 }, "signing in"},
	} {
		t.Run(name, func(t *testing.T) {
			box := d.box(d.port, "ana")
			test.change(&box)
			res, err := sweeper(t, t.TempDir(), box).Run(t.Context(), Request{Criteria: wanted})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(res.Problems, "; ")
			if test.want == "" && (got != "" || len(res.Messages) != 1) || !strings.Contains(got, test.want) {
				t.Errorf("%d found, problems %q, want %q", len(res.Messages), got, test.want)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("the password is in the problem %q", got)
			}
		})
	}
}

func TestAServerThatRemovesOnlyAllIsNotAskedTo(t *testing.T) {
	d := startDovecot(t, simpleServer)
	c := d.client("ana")
	d.put(c, "INBOX", letterText("bad@evil.example", "e@evil.example", "bad", "x"), noon, imap.FlagFlagged)
	d.put(c, "INBOX", letterText("good@x.example", "a@x.example", "good", "x"), noon, imap.FlagDeleted)
	req := Request{Criteria: wanted, Apply: true, By: "test"}
	state := t.TempDir()
	run := func(plain bool) *Result {
		s, err := New(Options{Tenant: "acme", Mailboxes: []config.Mailbox{d.box(d.port, "ana")}, State: state, PlainExpunge: plain})
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Run(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := run(false); !strings.Contains(strings.Join(res.Problems, ""), "neither MOVE nor UIDPLUS") || len(d.folder(c, "INBOX")) != 2 {
		t.Errorf("without leave: %+v", res)
	}
	if res := run(true); !strings.Contains(strings.Join(res.Problems, ""), "marked as deleted") || len(d.folder(c, "INBOX")) != 2 || len(d.folder(c, "Breakwater Quarantine")) != 0 {
		t.Errorf("with another's mark: %+v", res)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Store(imap.UIDSetNum(2), &imap.StoreFlags{Op: imap.StoreFlagsDel, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if res := run(true); len(res.Problems) > 0 || subjects(d.folder(c, "INBOX")) != "good" {
		t.Errorf("with leave: %+v, inbox %q", res, subjects(d.folder(c, "INBOX")))
	}
	if q := d.folder(c, "Breakwater Quarantine"); len(q) != 1 || q[0].flags != `\Flagged` {
		t.Errorf("in quarantine: %v", q)
	}
}

func TestMessagesAreKnownByWhatTheyHold(t *testing.T) {
	d := startDovecot(t, fullServer)
	c := d.client("ana")
	b64 := "Message-ID: <enc@x.example>\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@partner.example>\r\nTo: ana@acme.example\r\nSubject: =?utf-8?b?UmVjaG51bmcg4oKs?=\r\n  folded\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n" +
		"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGEgaHJlZj0iaHR0cHM6Ly9sb2dpbi5ldmlsLmV4YW1wbGUvYT9iPTEiPmhlcmU8L2E+\r\n"
	d.put(c, "INBOX", b64, noon)
	d.put(c, "INBOX", letterText("old@x.example", "j@sub.partner.example", "old", "https://login.evil.example/other"), noon.Add(-48*time.Hour))
	d.put(c, "INBOX", letterText("good@x.example", "k@notpartner.example", "good", "https://good.example/ and login.evil.example.good.example"), noon)
	judge := func(_ context.Context, id tenant.ID, raw []byte) ocsf.MailVerdict {
		v := ocsf.MailVerdict{Verdict: "clean"}
		if strings.Contains(string(raw), "<enc@") && id == "acme" {
			v = ocsf.MailVerdict{Verdict: "phish", Score: .9, Reasons: []ocsf.MailReason{{Text: "a link to evil"}}}
		} else if strings.Contains(string(raw), "<old@") {
			v.Verdict = "suspicious"
		}
		return v
	}
	s, err := New(Options{Tenant: "acme", Mailboxes: []config.Mailbox{d.box(d.port, "ana")}, State: t.TempDir(), Judge: judge})
	if err != nil {
		t.Fatal(err)
	}
	before := d.folder(c, "INBOX")
	for name, test := range map[string]struct {
		c    Criteria
		want string
	}{
		"a host, within base64":         {Criteria{Indicators: []string{"evil.example"}}, "enc old"},
		"a URL":                         {Criteria{Indicators: []string{"HTTPS://login.evil.example/a?b=1#x"}}, "enc"},
		"a host of which it is a part":  {Criteria{Indicators: []string{"n.evil.example"}}, ""},
		"a sender's address":            {Criteria{Indicators: []string{"j@partner.example"}}, "enc"},
		"a sender's domain":             {Criteria{From: []string{"partner.example"}}, "enc old"},
		"a Message-ID as indicator":     {Criteria{Indicators: []string{"<old@x.example>"}}, "old"},
		"one of several indicators":     {Criteria{Indicators: []string{"<good@x.example>", "https://login.evil.example/other"}}, "good old"},
		"sender and indicator together": {Criteria{From: []string{"partner.example"}, Indicators: []string{"https://login.evil.example/other"}}, "old"},
		"a subject, encoded and folded": {Criteria{Subjects: []string{"rechnung € folded"}}, "enc"},
		"a verdict":                     {Criteria{Verdict: "phish"}, "enc"},
		"a verdict or worse":            {Criteria{Verdict: "suspicious"}, "enc old"},
		"a verdict since a day ago":     {Criteria{Verdict: "suspicious", Since: noon.Add(-24 * time.Hour)}, "enc"},
		"a verdict until a day ago":     {Criteria{Verdict: "suspicious", Until: noon.Add(-24 * time.Hour)}, "old"},
		"a Message-ID that is a part":   {Criteria{MessageIDs: []string{"ld@x.example"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			res := mustRun(t, s, Request{Criteria: test.c})
			var got []string
			for _, m := range res.Messages {
				id, _, _ := strings.Cut(m.MessageID, "@")
				got = append(got, id)
			}
			if have := sortedWords(got); have != test.want {
				t.Errorf("found %q, want %q", have, test.want)
			}
		})
	}
	if got := d.folder(c, "INBOX"); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Error("looking changed the mailbox, perhaps it marked messages as read")
	}
}

func sortedWords(list []string) string {
	m := map[string]bool{}
	for _, x := range list {
		m[x] = true
	}
	return strings.Join(sortedKeys(m), " ")
}

func TestRequestsThatWouldTakeTooMuchAreRefused(t *testing.T) {
	s := sweeper(t, t.TempDir(), config.Mailbox{Name: "x", Tenant: "acme", Users: []string{"a"}})
	for name, c := range map[string]Criteria{
		"nothing":                      {},
		"a time alone":                 {Since: noon},
		"an empty subject":             {Subjects: []string{"  "}},
		"a line break in a Message-ID": {MessageIDs: []string{"a\r\nx LOGOUT"}},
		"a word as indicator":          {Indicators: []string{"invoice"}},
		"a verdict nobody gives":       {Verdict: "clean"},
		"a verdict without a judge":    {Verdict: "phish"},
		"too many":                     {MessageIDs: make([]string, maxWanted+1)},
	} {
		if _, err := s.Run(t.Context(), Request{Criteria: c}); err == nil {
			t.Errorf("%s is swept", name)
		}
	}
}

func TestIsolationASweeperHasItsTenantsMailboxesAlone(t *testing.T) {
	if _, err := New(Options{Tenant: "acme", State: t.TempDir(), Mailboxes: []config.Mailbox{{Name: "b", Tenant: "borg", Users: []string{"x"}}}}); err == nil {
		t.Error("another tenant's mailbox was taken")
	}
	if _, err := New(Options{State: t.TempDir()}); err == nil {
		t.Error("a sweeper of no tenant was made")
	}
	state := t.TempDir()
	j, err := create(filepath.Join(state, folderOf("borg")), Run{ID: "20260601T120000Z-aa", Tenant: "borg", Kind: KindSweep})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.finish(noon); err != nil {
		t.Fatal(err)
	}
	s := sweeper(t, state)
	if l, err := s.List(0); err != nil || len(l) != 0 {
		t.Errorf("another tenant's runs: %v, %v", l, err)
	}
	for _, id := range []string{"20260601T120000Z-aa", "../borg/20260601T120000Z-aa", ""} {
		if _, err := s.Show(id); !errors.Is(err, ErrNoRun) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if folderOf("../borg") == "../borg" {
		t.Error("a tenant's name is a path")
	}
}

func TestLimitsAndLocks(t *testing.T) {
	d := startDovecot(t, fullServer)
	c := d.client("ana")
	for i := range 5 {
		d.put(c, "INBOX", letterText("bad@evil.example", "e@evil.example", fmt.Sprint(i), "https://evil.example/"), noon)
	}
	s := sweeper(t, t.TempDir(), d.box(d.port, "ana"))
	res, err := s.Run(t.Context(), Request{Criteria: wanted, Apply: true, Limits: Limits{Messages: 2}})
	if err != nil || len(res.Messages) != 2 || len(res.Problems) != 1 || !strings.Contains(res.Problems[0], "limit") || len(d.folder(c, "INBOX")) != 3 {
		t.Errorf("with a limit of 2: %+v, %v", res, err)
	}
	if res, err = s.Run(t.Context(), Request{Criteria: Criteria{Indicators: []string{"evil.example"}}, Limits: Limits{Bytes: 1}}); err != nil || len(res.Messages) != 0 || len(res.Problems) != 1 {
		t.Errorf("with a limit of a byte: %+v, %v", res, err)
	}
	l, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), Request{Criteria: wanted, Apply: true}); !errors.Is(err, ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := s.Run(ctx, Request{Criteria: wanted, Apply: true}); err == nil && len(res.Problems) == 0 {
		t.Errorf("after its end it did %+v", res)
	}
	if mustRun(t, s, Request{Criteria: wanted, Apply: true}); len(d.folder(c, "INBOX")) != 0 {
		t.Error("the rest was not swept")
	}
}

func TestWhatWasTakenFromTheQuarantineIsTold(t *testing.T) {
	d := startDovecot(t, fullServer)
	c := d.client("ana")
	d.put(c, "INBOX", letterText("bad@evil.example", "e@evil.example", "bad", "x"), noon)
	s := sweeper(t, t.TempDir(), d.box(d.port, "ana"))
	run := mustRun(t, s, Request{Criteria: wanted, Apply: true}).Run
	empty(t, d, "ana")
	res, err := s.Undo(t.Context(), run, "test")
	if err != nil || len(res.Problems) != 1 || !strings.Contains(res.Problems[0], "no more") || len(res.Messages) != 0 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestAJournalThatWasCutOrDamaged(t *testing.T) {
	dir := t.TempDir()
	const id = "20260601T120000Z-aa"
	j, err := create(dir, Run{ID: id, Tenant: "acme", Kind: KindSweep})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.intend([]Move{{Mailbox: "m", Folder: "INBOX", UID: 1}, {Mailbox: "m", Folder: "INBOX", UID: 2}}); err != nil {
		t.Fatal(err)
	}
	if err := j.finish(noon); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, id+".jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		if err := os.WriteFile(path, raw[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		run, whole, err := readRun(path)
		if errors.Is(err, errUnbegun) && len(run.Moves) == 0 {
			continue
		}
		if err != nil || whole > int64(n) || len(run.Moves) != 0 && len(run.Moves) != 2 {
			t.Fatalf("cut after %d bytes: %+v, %d, %v", n, run, whole, err)
		}
	}
	if err := os.WriteFile(path, append([]byte("{not json}\n"), raw...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readRun(path); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("damage is told as %v", err)
	}
	if open, err := cutOff(dir); err != nil || len(open) != 1 {
		t.Errorf("open runs %v, %v", open, err)
	}
}

func TestFiveThousandMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 messages take seconds")
	}
	d := startDovecot(t, fullServer)
	c := d.client("ana")
	const n = 5000
	dir := filepath.Join(d.dir, "mail", "ana", "cur")
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(d.dir, "mail", "ana"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		from := "a@x.example"
		if i%5 == 0 {
			from = "eve@evil.example"
		}
		p := filepath.Join(dir, fmt.Sprintf("%d.M%dP1.host:2,S", noon.Unix(), i))
		if err := os.WriteFile(p, []byte(letterText(fmt.Sprintf("m%d@x.example", i), from, fmt.Sprint(i), strings.Repeat("some words ", 100))), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := chownLike(p, info); err != nil {
			t.Fatal(err)
		}
	}
	s := sweeper(t, t.TempDir(), d.box(d.port, "ana"))
	began := time.Now()
	res := mustRun(t, s, Request{Criteria: Criteria{From: []string{"x.example", "evil.example"}}, Apply: true})
	took := time.Since(began)
	t.Logf("%d of %d messages were moved in %v", len(res.Messages), n, took)
	if len(res.Messages) != n || took > time.Minute {
		t.Errorf("%d were moved in %v", len(res.Messages), took)
	}
	began = time.Now()
	if undone, err := s.Undo(t.Context(), res.Run, "test"); err != nil || len(undone.Messages) != n || len(undone.Problems) > 0 {
		t.Errorf("put back %d, %q, %v", len(undone.Messages), undone.Problems, err)
	}
	t.Logf("and put back in %v", time.Since(began))
	if got := len(d.folder(c, "INBOX")); got != n {
		t.Errorf("after the undo the inbox holds %d", got)
	}
}
