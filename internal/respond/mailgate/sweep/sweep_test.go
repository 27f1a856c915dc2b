//go:build unix

package sweep

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

func letterText(id, from, subject, body string) string {
	return "Message-ID: <" + id + ">\r\nFrom: " + from + "\r\nTo: ana@acme.example\r\nSubject: " + subject + "\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n\r\n" + body + "\r\n"
}

func sweeper(t *testing.T, state string, boxes ...config.Mailbox) *Sweeper {
	t.Helper()
	s, err := New(Options{Tenant: "acme", Mailboxes: boxes, State: state})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRun(t *testing.T, s *Sweeper, r Request) *Result {
	t.Helper()
	r.By = "test"
	res, err := s.Run(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Problems) > 0 {
		t.Fatalf("problems: %q", res.Problems)
	}
	return res
}

func TestASweepFromDryRunToUndo(t *testing.T) {
	for name, capability := range map[string]string{"with MOVE": fullServer, "with COPY and UID EXPUNGE": copyServer} {
		t.Run(name, func(t *testing.T) {
			d := startDovecot(t, capability)
			ana, bo := d.client("ana"), d.client("bo")
			bad := letterText("bad@evil.example", "Eve <eve@evil.example>", "Pay now", "see https://login.evil.example/a?b=1 now")
			d.put(ana, "INBOX", letterText("one@x.example", "a@x.example", "one", "hello"), noon)
			d.put(ana, "INBOX", bad, noon.Add(-3*time.Hour), imap.FlagSeen, imap.FlagFlagged, "$Work")
			d.put(ana, "INBOX", letterText("two@x.example", "a@x.example", "two", "hello"), noon, imap.FlagDeleted)
			if err := ana.Create("Archive", nil).Wait(); err != nil {
				t.Fatal(err)
			}
			d.put(ana, "Archive", bad, noon.Add(-time.Hour))
			d.put(ana, "Sent", bad, noon)
			d.put(bo, "INBOX", bad, noon)
			before, archive, bos := d.folder(ana, "INBOX"), d.folder(ana, "Archive"), d.folder(bo, "INBOX")
			s := sweeper(t, t.TempDir(), d.box(d.port, "ana", "bo"))
			req := Request{Criteria: Criteria{MessageIDs: []string{"<bad@evil.example>"}}}

			res := mustRun(t, s, req)
			if len(res.Messages) != 3 || res.Applied || res.Run != "" || res.Messages[0].Subject != "Pay now" {
				t.Fatalf("the dry run found %+v", res)
			}
			if got := d.folder(ana, "INBOX"); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("the dry run changed the mailbox: %v", got)
			}
			if runs, _ := s.List(0); len(runs) != 0 {
				t.Errorf("the dry run left journals: %v", runs)
			}

			req.Apply = true
			res = mustRun(t, s, req)
			if len(res.Messages) != 3 || res.Messages[0].State != Moved || res.Messages[0].ToUID == 0 {
				t.Fatalf("the sweep did %+v", res)
			}
			if got := subjects(d.folder(ana, "INBOX")); got != "one, two" {
				t.Errorf("left in the inbox: %s", got)
			}
			if got := subjects(d.folder(ana, "Sent")); got != "Pay now" {
				t.Errorf("sent mail was swept: %s", got)
			}
			if got := subjects(d.folder(ana, "Breakwater Quarantine")); got != "Pay now, Pay now" {
				t.Errorf("in quarantine: %s", got)
			}
			run := res.Run
			if res = mustRun(t, s, req); len(res.Messages) != 0 || res.Run != "" {
				t.Errorf("a second sweep did %+v", res)
			}

			// Somebody looks at it in the quarantine: the undo restores what it was.
			if _, err := ana.Select("Breakwater Quarantine", nil).Wait(); err != nil {
				t.Fatal(err)
			}
			if err := ana.Store(imap.UIDSetNum(1, 2), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen, imap.FlagAnswered}}, nil).Close(); err != nil {
				t.Fatal(err)
			}
			undone, err := s.Undo(t.Context(), run, "test")
			if err != nil || len(undone.Problems) > 0 || len(undone.Messages) != 3 {
				t.Fatalf("the undo did %+v, %v", undone, err)
			}
			for _, c := range []struct {
				name      string
				got, want []note
			}{{"inbox", d.folder(ana, "INBOX"), before}, {"archive", d.folder(ana, "Archive"), archive}, {"bo's inbox", d.folder(bo, "INBOX"), bos}} {
				if !sameNotes(c.got, c.want) {
					t.Errorf("after the undo %s has\n%q\nwant\n%q", c.name, c.got, c.want)
				}
			}
			if q := d.folder(ana, "Breakwater Quarantine"); len(q) != 0 {
				t.Errorf("after the undo the quarantine holds %v", q)
			}
			if again, err := s.Undo(t.Context(), run, "test"); err != nil || len(again.Messages) != 0 || again.Run != "" {
				t.Errorf("a second undo did %+v, %v", again, err)
			}
			if res = mustRun(t, s, req); len(res.Messages) != 0 {
				t.Errorf("what a person put back was swept again: %+v", res)
			}
			req.Again = true
			if res = mustRun(t, s, req); len(res.Messages) != 3 {
				t.Errorf("with Again %d were swept", len(res.Messages))
			}
			if runs, err := s.List(0); err != nil || len(runs) != 3 || runs[0].Ended.IsZero() {
				t.Errorf("the list is %+v, %v", runs, err)
			}
		})
	}
}

// sameNotes compares folders without regard to order: a message that was put back comes last.
func sameNotes(a, b []note) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[note]int{}
	for i := range a {
		count[a[i]]++
		count[b[i]]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestACutAnywhereLeavesEachMessageInOnePlace(t *testing.T) {
	for name, capability := range map[string]string{"with MOVE": fullServer, "with COPY": copyServer} {
		t.Run(name, func(t *testing.T) {
			d := startDovecot(t, capability)
			cut := startCutter(t, d.port)
			box := d.box(cut.port(), "ana")
			c := d.client("ana")
			bad := letterText("bad@evil.example", "eve@evil.example", "bad", "x")
			fill := func() {
				// Two that nothing tells apart, one of another size, and one that stays.
				d.put(c, "INBOX", bad, noon)
				d.put(c, "INBOX", bad, noon)
				d.put(c, "INBOX", letterText("bad@evil.example", "eve@evil.example", "bad", "longer"), noon, imap.FlagSeen)
				d.put(c, "INBOX", letterText("good@x.example", "a@x.example", "good", "x"), noon, imap.FlagDeleted)
			}
			req := Request{Criteria: Criteria{MessageIDs: []string{"bad@evil.example"}}, Apply: true, By: "test"}
			cuts, state := 0, t.TempDir()
			for n := 1; ; n++ {
				if n > 60 {
					t.Fatal("a sweep has more than 60 commands")
				}
				missed := 0
				for _, after := range []bool{false, true} {
					fill()
					s := sweeper(t, state, box)
					cut.set(n, after)
					_, _ = s.Run(t.Context(), req)
					if !cut.wasCut() {
						missed++
					} else {
						cuts++
					}
					cut.set(0, false)
					mustRun(t, s, req)
					in, q := d.folder(c, "INBOX"), d.folder(c, "Breakwater Quarantine")
					if subjects(in) != "good" || subjects(q) != "bad, bad, bad" {
						t.Errorf("cut at line %d (server got it: %v): inbox %q, quarantine %q", n, after, subjects(in), subjects(q))
					}
					for _, m := range q {
						if strings.Contains(m.flags, "Deleted") || strings.Contains(m.raw, "longer") != (m.flags == `\Seen`) {
							t.Errorf("cut at line %d: flags %q of %q", n, m.flags, m.raw)
						}
					}
					empty(t, d, "ana")
				}
				if missed == 2 {
					break
				}
			}
			if cuts < 12 {
				t.Errorf("only %d cuts happened", cuts)
			}
		})
	}
}

func TestACutUndoIsFinishedByTheNext(t *testing.T) {
	d := startDovecot(t, copyServer)
	cut := startCutter(t, d.port)
	box := d.box(cut.port(), "ana")
	c := d.client("ana")
	state := t.TempDir()
	s := sweeper(t, state, box)
	bad := letterText("bad@evil.example", "eve@evil.example", "bad", "x")
	for n, cutSome := 1, true; cutSome; n++ {
		if n > 60 {
			t.Fatal("an undo has more than 60 commands")
		}
		cutSome = false
		for _, after := range []bool{false, true} {
			d.put(c, "INBOX", bad, noon, imap.FlagFlagged)
			cut.set(0, false)
			run := mustRun(t, s, Request{Criteria: Criteria{MessageIDs: []string{"bad@evil.example"}}, Apply: true, Again: true}).Run
			cut.set(n, after)
			_, _ = s.Undo(t.Context(), run, "test")
			cutSome = cutSome || cut.wasCut()
			cut.set(0, false)
			if _, err := s.Undo(t.Context(), run, "test"); err != nil {
				t.Fatalf("cut at line %d: %v", n, err)
			}
			in, q := d.folder(c, "INBOX"), d.folder(c, "Breakwater Quarantine")
			if len(in) != 1 || len(q) != 0 || in[0].flags != `\Flagged` || in[0].date != noon.Format(time.RFC3339) {
				t.Errorf("cut at line %d (server got it: %v): inbox %q, quarantine %q", n, after, in, q)
			}
			empty(t, d, "ana")
		}
	}
}

// empty removes all messages of a user.
func empty(t *testing.T, d *dovecot, who string) {
	t.Helper()
	c := d.client(who)
	defer c.Close()
	for _, f := range []string{"INBOX", "Breakwater Quarantine", "Handled"} {
		sel, err := c.Select(f, nil).Wait()
		if err != nil || sel.NumMessages == 0 {
			continue
		}
		var all imap.UIDSet
		all.AddRange(1, 0)
		if err := c.Store(all, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.Expunge().Close(); err != nil {
			t.Fatal(err)
		}
	}
}
