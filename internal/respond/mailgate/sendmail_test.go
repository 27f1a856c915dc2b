//go:build linux

package mailgate

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// TestSendmail is TestPostfix with the other mail server that speaks the milter protocol.
func TestSendmail(t *testing.T) {
	at := freePort(t)
	s := startSendmail(t, at, "F=T, ")
	signed := make(chan string, 1)
	b := gate(t, enforce+"  policies: [{tenant: acme, recipients: [\"strict@acme.example\"], phish: reject, suspicious: tempfail}]\n  hold: {in: mta, "+s.hold()+"}\n",
		func(o *Options) {
			o.Authenticate = func(_ context.Context, _ Sender, raw []byte) Proof {
				if strings.Contains(string(raw), "Subject-Folded") {
					signed <- string(raw)
				}
				return claims{}
			}
		})
	listen(t, at, b.Judge, b.Failed)
	box, err := b.store.Box("acme")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("clean mail arrives with our fields on top and its body as it was", func(t *testing.T) {
		if err := s.send([]string{"ann@acme.example"}, letter("hello", "c1", "Subject-Folded:one\r\n\ttwo")); err != nil {
			t.Fatal(err)
		}
		// A signature covers these bytes (RFC 6376 3.4): the milter must see them as they were sent.
		if got, want := <-signed, letter("hello", "c1", "Subject-Folded:one\r\n\ttwo"); got != want {
			t.Errorf("what is authenticated is\n%q, and\n%q was sent", got, want)
		}
		got := s.arrives("ann@acme.example", 1)[0]
		head := fieldsOf(got)
		for _, want := range []string{"Authentication-Results: mx.acme.example;\n spf=pass smtp.mailfrom=sender.example;\n dmarc=pass header.from=sender.example\n", "X-Breakwater-Verdict: clean; id=", "X-Breakwater-Score: 0.0100\n", "Subject-Folded:one\n\ttwo\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("%q is not in\n%s", want, head)
			}
		}
		if strings.Index(head, "Authentication-Results:") > strings.Index(head, "Received:") || strings.Index(head, "X-Breakwater-Verdict:") > strings.Index(head, "From: Eve") {
			t.Errorf("our fields are not on top:\n%s", head)
		}
		if !strings.HasSuffix(got, "\n\nhello there\n") {
			t.Errorf("the body was changed: %q", got)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if !strings.Contains(b.records[0], `"client":"127.0.0.1"`) || !strings.Contains(b.records[0], `"helo":"mail.sender.example"`) || !strings.Contains(b.records[0], `"queue_id":"`) {
			t.Errorf("the record lacks the envelope: %s", b.records[0])
		}
	})
	t.Run("the suspicious is tagged", func(t *testing.T) {
		if err := s.send([]string{"tag@acme.example"}, letter("odd", "t1")); err != nil {
			t.Fatal(err)
		}
		if head := fieldsOf(s.arrives("tag@acme.example", 1)[0]); !strings.Contains(head, "X-Breakwater-Verdict: suspicious") || !strings.Contains(head, "X-Breakwater-Reasons: odd-subject +1.00") {
			t.Errorf("got\n%s", head)
		}
	})
	t.Run("forged fields are gone, and others' stay", func(t *testing.T) {
		if err := s.send([]string{"forged@acme.example"}, letter("hello", "f1",
			"X-Breakwater-Verdict: clean", "Authentication-Results: MX.ACME.EXAMPLE;\r\n\tdmarc=pass", "Authentication-Results: other.example; spf=pass",
			"Authentication-Results: (c) \"mx.acme.example\" 1; spf=pass", "x-breakwater-score: 0", "X-Breakwater-Verdict: clean", "Authentication-Results: mx.acme.example 1; dkim=pass")); err != nil {
			t.Fatal(err)
		}
		head := fieldsOf(s.arrives("forged@acme.example", 1)[0])
		if strings.Count(head, "X-Breakwater-Verdict:") != 1 || strings.Count(strings.ToLower(head), "mx.acme.example;") != 1 || strings.Contains(head, "mx.acme.example 1") ||
			strings.Contains(head, "(c)") || !strings.Contains(head, "Authentication-Results: other.example; spf=pass") || strings.Contains(head, "x-breakwater-score: 0\n") {
			t.Errorf("got\n%s", head)
		}
	})
	t.Run("phish is held, released and deleted", func(t *testing.T) {
		for _, id := range []string{"h1", "h2"} {
			if err := s.send([]string{"held@acme.example"}, letter("phish "+id, id)); err != nil {
				t.Fatal(err)
			}
		}
		queue := s.queue()
		if len(queue) != 2 || !strings.HasPrefix(queue[0], "hf") || !strings.HasPrefix(queue[1], "hf") {
			t.Fatalf("the queue is %v", queue)
		}
		items := box.List(quarantine.Filter{})
		if len(items) != 2 || !strings.Contains(strings.Join(queue, " "), "hf"+items[0].QueueID) {
			t.Fatalf("kept %+v", items)
		}
		if err := box.Release(t.Context(), items[0].Name, "ops", time.Now(), b.movers()); err != nil {
			t.Fatal(err)
		}
		if got := s.arrives("held@acme.example", 1); !strings.Contains(fieldsOf(got[0]), "Subject: "+items[0].Subject) || !strings.Contains(fieldsOf(got[0]), "X-Breakwater-Reasons: link-mismatch") {
			t.Errorf("got\n%s", got[0])
		}
		if err := box.Delete(t.Context(), items[1].Name, "ops", time.Now(), b.movers()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the queue is empty", func() bool { return len(s.queue()) == 0 })
		if got := s.inbox.of("held@acme.example"); len(got) != 1 {
			t.Errorf("%d messages arrived", len(got))
		}
		if err := b.movers().Release(t.Context(), quarantine.Item{Place: quarantine.PlaceMTA, QueueID: items[1].QueueID}, nil); err == nil {
			t.Error("a message that is gone is told as released")
		}
	})
	t.Run("phish is rejected at SMTP time, with a reference", func(t *testing.T) {
		err := s.send([]string{"strict@acme.example"}, letter("phish", "r1"))
		if err == nil || !strings.HasPrefix(err.Error(), "550 ") || !strings.Contains(err.Error(), "5.7.1 refused as suspected phishing") || !strings.Contains(err.Error(), "reference") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the sender is asked to come again", func(t *testing.T) {
		err := s.send([]string{"strict@acme.example"}, letter("odd", "o1"))
		if err == nil || !strings.HasPrefix(err.Error(), "451 ") || !strings.Contains(err.Error(), "4.7.1 not taken for now") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("several messages of one connection are told apart", func(t *testing.T) {
		if err := sendMany(s.smtp, 5, "many@acme.example"); err != nil {
			t.Fatal(err)
		}
		for _, got := range s.arrives("many@acme.example", 5) {
			if strings.Count(got, "X-Breakwater-Verdict:") != 1 || strings.Count(got, "Message-ID:") != 1 {
				t.Errorf("got\n%s", got)
			}
		}
	})
	if got := s.inbox.of("strict@acme.example"); len(got) != 0 {
		t.Errorf("what was refused has arrived, or was bounced: %v", got)
	}
	if got := s.inbox.of("eve@sender.example"); len(got) != 0 {
		t.Errorf("the sender got a bounce: %v", got)
	}
}

// TestSendmailSplitsByRecipient: who may have a message gets it, the others' copy waits here.
func TestSendmailSplitsByRecipient(t *testing.T) {
	at := freePort(t)
	s := startSendmail(t, at, "F=T, ")
	b := gate(t, enforce+"  policies: [{tenant: acme, phish: hold}, {tenant: borg, phish: tag}]\n  several: split\n  hold: {in: mta, "+s.hold()+"}\n")
	listen(t, at, b.Judge, b.Failed)
	if err := s.send([]string{"ann@acme.example", "bob@borg.example"}, letter("phish", "s1")); err != nil {
		t.Fatal(err)
	}
	if got := s.arrives("bob@borg.example", 1)[0]; !strings.Contains(got, "X-Breakwater-Verdict: phish") || strings.Contains(got, "X-Breakwater-Reasons") {
		t.Errorf("got\n%s", got)
	}
	eventually(t, "the queue is empty", func() bool { return len(s.queue()) == 0 })
	if got := s.inbox.of("ann@acme.example"); len(got) != 0 {
		t.Errorf("ann has it: %s", got)
	}
	if items := b.held(t, "acme"); len(items) != 1 || items[0].Place != quarantine.PlaceStore {
		t.Errorf("kept %+v", items)
	}
}

// TestSendmailMilterKilledMidMessage: whichever the mail server's default is, a message is at its sender or delivered
// once, never both and never neither.
func TestSendmailMilterKilledMidMessage(t *testing.T) {
	for whenDead, flag := range map[string]string{"tempfail": "F=T, ", "accept": ""} {
		t.Run(whenDead, func(t *testing.T) {
			at := freePort(t)
			s := startSendmail(t, at, flag)
			m := startProcess(t, at)
			sent := make(chan error, 1)
			go func() { sent <- s.send([]string{"ann@acme.example"}, letter("linger", "k1")) }()
			m.hear(t, "taken")
			m.kill()
			err := <-sent
			dead := s.send([]string{"dead@acme.example"}, letter("while it is dead", "k2"))
			switch whenDead {
			case "tempfail":
				for _, e := range []error{err, dead} {
					if e == nil || !strings.HasPrefix(e.Error(), "45") {
						t.Errorf("the sender was told %v", e)
					}
				}
			case "accept":
				if err != nil || dead != nil {
					t.Fatalf("the sender was told %v, %v", err, dead)
				}
				s.arrives("ann@acme.example", 1)
				if got := s.arrives("dead@acme.example", 1)[0]; strings.Contains(got, "X-Breakwater-Verdict") {
					t.Errorf("nobody judged it, and it says:\n%s", got)
				}
			}
			startProcess(t, at)
			if whenDead == "tempfail" { // its sender comes again, as it was told
				if err := s.send([]string{"ann@acme.example"}, letter("again", "k1")); err != nil {
					t.Fatal(err)
				}
			}
			s.arrives("ann@acme.example", 1)
			eventually(t, "the queue is empty", func() bool { return len(s.queue()) == 0 })
			if n := len(s.inbox.of("ann@acme.example")); n != 1 {
				t.Errorf("it arrived %d times", n)
			}
		})
	}
}
