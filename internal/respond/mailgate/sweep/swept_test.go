//go:build unix

package sweep

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

func TestAnOfferMovesNothingUntilItIsAccepted(t *testing.T) {
	d := startDovecot(t, fullServer)
	ana := d.client("ana")
	d.put(ana, "INBOX", letterText("bad@evil.example", "e@evil.example", "bad", "x"), noon)
	d.put(ana, "INBOX", letterText("good@acme.example", "bo@acme.example", "good", "x"), noon)
	s := sweeper(t, t.TempDir(), d.box(d.port, "ana"))
	if res, err := s.Offer(t.Context(), Request{Criteria: Criteria{MessageIDs: []string{"none@evil.example"}}, By: "breakwater"}); err != nil || res.Run != "" {
		t.Fatalf("an offer of nothing: %+v, %v", res, err)
	}
	res, err := s.Offer(t.Context(), Request{Criteria: wanted, By: "breakwater", Why: "a test"})
	if err != nil || res.Run == "" || len(res.Messages) != 1 {
		t.Fatalf("the offer: %+v, %v", res, err)
	}
	if got := subjects(d.folder(ana, "INBOX")); got != "bad, good" {
		t.Fatalf("after the offer the inbox has %s", got)
	}
	runs, err := s.List(0)
	if err != nil || len(runs) != 1 || runs[0].Kind != KindOffer || runs[0].Ended.IsZero() || len(runs[0].Moves) != 1 || runs[0].Moves[0].State != "would be moved" {
		t.Fatalf("listed: %+v, %v", runs, err)
	}
	if open, _ := cutOff(s.dir); len(open) != 0 {
		t.Errorf("the offer counts as cut off: %v", open)
	}
	if _, err := s.Undo(t.Context(), res.Run, "ana"); err == nil || !strings.Contains(err.Error(), "moved nothing") {
		t.Errorf("undoing an offer: %v", err)
	}
	done, err := s.Accept(t.Context(), res.Run, "bo", Limits{})
	if err != nil || len(done.Messages) != 1 || done.Messages[0].State != Moved {
		t.Fatalf("accepted: %+v, %v", done, err)
	}
	if got := subjects(d.folder(ana, "INBOX")); got != "good" {
		t.Errorf("after it the inbox has %s", got)
	}
	if _, err := s.Accept(t.Context(), done.Run, "bo", Limits{}); err == nil || !strings.Contains(err.Error(), "is no offer") {
		t.Errorf("accepting a sweep: %v", err)
	}
	ended, err := s.Ended(func(id string) bool { return false })
	if err != nil || len(ended) != 1 || ended[0].ID != done.Run {
		t.Errorf("ended: %+v, %v", ended, err)
	}
	if ended, _ = s.Ended(func(id string) bool { return id == done.Run }); len(ended) != 0 {
		t.Errorf("a known run is told again: %+v", ended)
	}
}

func TestOldOffersGo(t *testing.T) {
	s, err := New(Options{Tenant: "acme", State: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := makeDir(s.dir); err != nil {
		t.Fatal(err)
	}
	for i := range maxOffers + 3 {
		name := noon.Add(time.Duration(i)*time.Second).Format("20060102T150405Z") + "-abcdef" + offerMark
		if err := os.WriteFile(filepath.Join(s.dir, name+".jsonl"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.forgetOffers(); err != nil {
		t.Fatal(err)
	}
	ids, err := runIDs(s.dir)
	if err != nil || len(ids) != maxOffers || !strings.HasPrefix(ids[0], noon.Add(3*time.Second).Format("20060102T150405Z")) {
		t.Errorf("%d are left, %v", len(ids), err)
	}
}

// TestSweptMessagesAreHeldReleasedAndDeleted goes the way of the quarantine, on servers of each ability.
func TestSweptMessagesAreHeldReleasedAndDeleted(t *testing.T) {
	for name, capability := range map[string]string{"with MOVE": fullServer, "with UIDPLUS": copyServer} {
		t.Run(name, func(t *testing.T) {
			d := startDovecot(t, capability)
			ana := d.client("ana")
			for _, id := range []string{"one", "two", "three"} {
				d.put(ana, "INBOX", letterText(id+"@evil.example", "e@evil.example", id, "text of "+id), noon, `\Seen`)
			}
			s := sweeper(t, t.TempDir(), d.box(d.port, "ana"))
			res, err := s.Run(t.Context(), Request{Criteria: Criteria{From: []string{"evil.example"}}, Apply: true, By: "bo"})
			if err != nil || len(res.Messages) != 3 {
				t.Fatalf("%+v, %v", res, err)
			}
			run, err := s.Show(res.Run)
			if err != nil {
				t.Fatal(err)
			}
			store, err := quarantine.Open(t.TempDir(), 24*time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			box, err := store.Box("acme")
			if err != nil {
				t.Fatal(err)
			}
			named := map[string]string{}
			for range 2 { // whoever was cut off does it again
				if err := s.Copies(t.Context(), &run, func(m Move, raw []byte) error {
					if !strings.Contains(string(raw), "text of "+m.Subject) {
						t.Errorf("of %s came %q", m.Subject, raw)
					}
					named[m.Subject], err = box.Keep(ItemOf(&run, &m, noon), raw)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if got := box.List(quarantine.Filter{}); len(got) != 3 || got[0].Place != quarantine.PlaceMailbox || !slices.Equal(got[0].Recipients, []string{"ana"}) {
				t.Fatalf("held: %+v", got)
			}
			movers := quarantine.Movers{Mailbox: Mover{Open: func(id tenant.ID) (*Sweeper, error) {
				if id != "acme" {
					return nil, errors.New("another tenant")
				}
				return s, nil
			}}}
			if err := box.Release(t.Context(), named["one"], "cy", noon, movers); err != nil {
				t.Fatal(err)
			}
			in, q := d.folder(ana, "INBOX"), d.folder(ana, "Breakwater Quarantine")
			if subjects(in) != "one" || in[0].flags != `\Seen` || subjects(q) != "three, two" {
				t.Errorf("after the release: inbox %s, quarantine %s", subjects(in), subjects(q))
			}
			if err := box.Delete(t.Context(), named["two"], "cy", noon, movers); err != nil {
				t.Fatal(err)
			}
			if in, q := subjects(d.folder(ana, "INBOX")), subjects(d.folder(ana, "Breakwater Quarantine")); in != "one" || q != "three" {
				t.Errorf("after the delete: inbox %s, quarantine %s", in, q)
			}
			seqOf := func(subject string) int {
				return run.Moves[slices.IndexFunc(run.Moves, func(m Move) bool { return m.Subject == subject })].Seq
			}
			if err := s.UndoMove(t.Context(), run.ID, seqOf("one"), "cy"); err != nil {
				t.Errorf("putting back what was put back: %v", err)
			}
			if err := s.ExpungeMove(t.Context(), run.ID, seqOf("one")); err == nil || !strings.Contains(err.Error(), "put back") {
				t.Errorf("deleting what was put back: %v", err)
			}
			if err := s.ExpungeMove(t.Context(), run.ID, seqOf("two")); err != nil {
				t.Errorf("deleting what is gone: %v", err)
			}
			if err := s.UndoMove(t.Context(), run.ID, seqOf("two"), "cy"); err == nil {
				t.Error("what was deleted came back")
			}
			for _, bad := range []string{"", "x", run.ID, run.ID + "/0", run.ID + "/9", "../x/1", "Z-unknown/1"} {
				it := quarantine.Item{Tenant: "acme", Place: quarantine.PlaceMailbox, QueueID: bad, By: "cy"}
				if movers.Release(t.Context(), it, nil) == nil || movers.Delete(t.Context(), it) == nil {
					t.Errorf("%q is taken for a swept message", bad)
				}
			}
			// The rest is put back as a whole, and what went before stays as it is.
			if _, err := s.Undo(t.Context(), run.ID, "cy"); err != nil {
				t.Fatal(err)
			}
			if got := subjects(d.folder(ana, "INBOX")); got != "one, three" {
				t.Errorf("after the undo: %s", got)
			}
		})
	}
}

func TestNotesOutliveARestart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notes")
	n, err := OpenNotes(name, noon)
	if err != nil {
		t.Fatal(err)
	}
	if n.Has("a key", "kept") {
		t.Error("noted before it was")
	}
	if err := errors.Join(n.Note("a key", "kept", noon), n.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err = OpenNotes(name, noon); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if !n.Has("a key", "kept") || n.Has("a key", "sent") || n.Has("another", "kept") {
		t.Error("what was noted is not what is known after a start")
	}
}

func TestTheLedgerKnowsACopyAgain(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLedger(dir, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Add(Delivered{Time: noon, Key: "k1", MessageID: "a@b"}), l.Add(Delivered{Time: noon, MessageID: "c@d"})); err != nil {
		t.Fatal(err)
	}
	if !l.Has("k1") || l.Has("") || l.Has("k2") {
		t.Error("wrong keys are known")
	}
	l.Close()
	if l, err = OpenLedger(dir, "acme"); err != nil || !l.Has("k1") {
		t.Errorf("after a start it is not known: %v", err)
	}
	l.Close()
}
