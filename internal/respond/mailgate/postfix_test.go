package mailgate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// claims is a proof that a test makes up.
type claims struct{}

func (claims) Header(id string) string {
	return id + ";\r\n spf=pass smtp.mailfrom=sender.example;\r\n dmarc=pass header.from=sender.example"
}
func (claims) Apply(m *ocsf.Mail) { m.SPF, m.DMARC = "pass", "pass" }

func fieldsOf(text string) string { head, _, _ := strings.Cut(text, "\n\n"); return head }

func TestPostfix(t *testing.T) {
	needPostfix(t)
	at := freePort(t)
	p := startPostfix(t, at, "tempfail")
	b := gate(t, enforce+"  policies: [{tenant: acme, recipients: [\"strict@acme.example\"], phish: reject, suspicious: tempfail}]\n  hold: {in: mta, "+p.hold()+"}\n",
		func(o *Options) { o.Authenticate = provenAs(claims{}) })
	listen(t, at, b.Judge, b.Failed)
	mover := b.movers()
	box, err := b.store.Box("acme")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("clean mail arrives with our fields on top and its body as it was", func(t *testing.T) {
		if err := p.send("eve@sender.example", []string{"ann@acme.example"}, letter("hello", "c1")); err != nil {
			t.Fatal(err)
		}
		got := p.arrives("ann@acme.example", 1)[0]
		head := fieldsOf(got)
		for _, want := range []string{"Authentication-Results: mx.acme.example;\n spf=pass smtp.mailfrom=sender.example;\n dmarc=pass header.from=sender.example\n", "X-Breakwater-Verdict: clean; id=", "X-Breakwater-Score: 0.0100\n"} {
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
		if !strings.Contains(b.records[0], `"client":"192.0.2.7"`) || !strings.Contains(b.records[0], `"SendingIP":"192.0.2.7"`) || !strings.Contains(b.records[0], `"queue_id":"`) {
			t.Errorf("the record lacks the envelope: %s", b.records[0])
		}
	})
	t.Run("the suspicious is tagged", func(t *testing.T) {
		if err := p.send("eve@sender.example", []string{"tag@acme.example"}, letter("odd", "t1")); err != nil {
			t.Fatal(err)
		}
		if head := fieldsOf(p.arrives("tag@acme.example", 1)[0]); !strings.Contains(head, "X-Breakwater-Verdict: suspicious") || !strings.Contains(head, "X-Breakwater-Reasons: odd-subject +1.00") {
			t.Errorf("got\n%s", head)
		}
	})
	t.Run("forged fields are gone, and others' stay", func(t *testing.T) {
		if err := p.send("eve@sender.example", []string{"forged@acme.example"}, letter("hello", "f1",
			"X-Breakwater-Verdict: clean", "Authentication-Results: MX.ACME.EXAMPLE;\r\n\tdmarc=pass", "Authentication-Results: other.example; spf=pass",
			"Authentication-Results: (c) \"mx.acme.example\" 1; spf=pass", "x-breakwater-score: 0", "X-Breakwater-Verdict: clean", "Authentication-Results: mx.acme.example 1; dkim=pass")); err != nil {
			t.Fatal(err)
		}
		head := fieldsOf(p.arrives("forged@acme.example", 1)[0])
		if strings.Count(head, "X-Breakwater-Verdict:") != 1 || strings.Count(strings.ToLower(head), "mx.acme.example;") != 1 || strings.Contains(head, "mx.acme.example 1") ||
			strings.Contains(head, "(c)") || !strings.Contains(head, "Authentication-Results: other.example; spf=pass") || strings.Contains(head, "x-breakwater-score: 0\n") {
			t.Errorf("got\n%s", head)
		}
	})
	t.Run("phish is held, released and deleted", func(t *testing.T) {
		for _, id := range []string{"h1", "h2"} {
			if err := p.send("eve@sender.example", []string{"held@acme.example"}, letter("phish "+id, id)); err != nil {
				t.Fatal(err)
			}
		}
		queue := p.queue()
		if len(queue) != 2 || !strings.HasSuffix(queue[0], "!") || !strings.HasSuffix(queue[1], "!") {
			t.Fatalf("the queue is %v:\n%s", queue, p.log())
		}
		items := box.List(quarantine.Filter{})
		if len(items) != 2 || !slices.Contains(queue, items[0].QueueID+"!") {
			t.Fatalf("kept %+v", items)
		}
		if err := box.Release(t.Context(), items[0].Name, "ops", time.Now(), mover); err != nil {
			t.Fatal(err)
		}
		p.run("postqueue", "-c", p.dir+"/conf", "-f") // or Postfix waits for its next queue run
		if got := p.arrives("held@acme.example", 1); !strings.Contains(fieldsOf(got[0]), "Subject: "+items[0].Subject) || !strings.Contains(fieldsOf(got[0]), "X-Breakwater-Reasons: link-mismatch") {
			t.Errorf("got\n%s", got[0])
		}
		if err := box.Delete(t.Context(), items[1].Name, "ops", time.Now(), mover); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the queue is empty", func() bool { return len(p.queue()) == 0 })
		if got := p.box("held@acme.example"); len(got) != 1 {
			t.Errorf("%d messages arrived", len(got))
		}
	})
	t.Run("phish is rejected at SMTP time, with a reference", func(t *testing.T) {
		err := p.send("eve@sender.example", []string{"strict@acme.example"}, letter("phish", "r1"))
		if err == nil || !strings.HasPrefix(err.Error(), "550 ") || !strings.Contains(err.Error(), "5.7.1 refused as suspected phishing") || !strings.Contains(err.Error(), "reference") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the sender is asked to come again", func(t *testing.T) {
		err := p.send("eve@sender.example", []string{"strict@acme.example"}, letter("odd", "o1"))
		if err == nil || !strings.HasPrefix(err.Error(), "451 ") || !strings.Contains(err.Error(), "4.7.1 not taken for now") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("mail submitted on the mail server is judged too", func(t *testing.T) {
		before := len(b.records)
		c := command("sendmail", "-C", p.dir+"/conf", "-f", "ann@acme.example", "bob@borg.example")
		c.Stdin = strings.NewReader("From: ann@acme.example\nTo: bob@borg.example\nSubject: phish from within\n\nhello\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		eventually(t, "it is held\n"+p.log(), func() bool { q := p.queue(); return len(q) == 1 && strings.HasSuffix(q[0], "!") })
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.records) - before; n != 2 || !strings.HasPrefix(b.records[before], "acme ") || !strings.Contains(b.records[before], `"direction":"outbound"`) {
			t.Errorf("%d records: %v", n, b.records[before:])
		}
	})
	t.Run("several messages of one connection are told apart", func(t *testing.T) {
		if err := sendMany(p.smtp, 5, "many@acme.example"); err != nil {
			t.Fatal(err)
		}
		for _, got := range p.arrives("many@acme.example", 5) {
			if strings.Count(got, "X-Breakwater-Verdict:") != 1 || strings.Count(got, "Message-ID:") != 1 {
				t.Errorf("got\n%s", got)
			}
		}
	})
}

func TestPostfixTwoTenantsWithDifferentPolicies(t *testing.T) {
	needPostfix(t)
	policies := "  policies: [{tenant: acme, phish: hold}, {tenant: borg, phish: tag}]\n"
	both := []string{"ann@acme.example", "bob@borg.example"}
	at := freePort(t)
	p := startPostfix(t, at, "tempfail")
	for _, several := range []string{"strictest", "split"} {
		t.Run(several, func(t *testing.T) {
			b := gate(t, enforce+policies+"  several: "+several+"\n  hold: {in: mta, "+p.hold()+"}\n")
			listen(t, at, b.Judge, b.Failed)
			if err := p.send("eve@sender.example", both, letter("phish", several)); err != nil {
				t.Fatal(err)
			}
			if several == "strictest" {
				queue := p.queue()
				if len(queue) != 1 || !strings.HasSuffix(queue[0], "!") {
					t.Errorf("the queue is %v", queue)
				}
				p.run("postsuper", "-c", p.dir+"/conf", "-d", "ALL")
				return
			}
			if got := p.arrives("bob@borg.example", 1)[0]; !strings.Contains(got, "X-Breakwater-Verdict: phish") || strings.Contains(got, "X-Breakwater-Reasons") {
				t.Errorf("got\n%s", got)
			}
			eventually(t, "the queue is empty", func() bool { return len(p.queue()) == 0 })
			if got := p.box("ann@acme.example"); len(got) != 0 {
				t.Errorf("ann has it: %s", got)
			}
			box, _ := b.store.Box("acme")
			items := box.List(quarantine.Filter{})
			if len(items) != 1 {
				t.Fatalf("kept %+v", items)
			}
			if err := box.Release(t.Context(), items[0].Name, "ops", time.Now(), b.movers()); err != nil {
				t.Fatal(err)
			}
			if got := p.arrives("ann@acme.example", 1)[0]; !strings.Contains(got, "X-Breakwater-Released: "+items[0].Name) || !strings.Contains(got, "Subject: phish") {
				t.Errorf("got\n%s", got)
			}
			if got := p.box("bob@borg.example"); len(got) != 1 {
				t.Errorf("bob has %d", len(got))
			}
		})
	}
}

// TestPostfixHeldHereAndGivenBack: what the mail server gave away comes back whole, and without what was forged.
func TestPostfixHeldHereAndGivenBack(t *testing.T) {
	needPostfix(t)
	at := freePort(t)
	p := startPostfix(t, at, "tempfail")
	b := gate(t, enforce+"  hold: {in: store, "+p.hold()+"}\n")
	listen(t, at, b.Judge, b.Failed)
	text := letter("phish", "s1", "X-Breakwater-Verdict: clean", "Authentication-Results: mx.acme.example;\r\n spf=pass") + ".leading dot\r\n"
	if err := p.send("eve@sender.example", []string{"ann@acme.example"}, text); err != nil {
		t.Fatal(err)
	}
	if q := p.queue(); len(q) != 0 {
		t.Fatalf("the mail server keeps it: %v", q)
	}
	box, _ := b.store.Box("acme")
	items := box.List(quarantine.Filter{})
	if len(items) != 1 {
		t.Fatalf("kept %+v", items)
	}
	if err := box.Release(t.Context(), items[0].Name, "ops", time.Now(), b.movers()); err != nil {
		t.Fatal(err)
	}
	got := p.arrives("ann@acme.example", 1)[0]
	if strings.Contains(got, "X-Breakwater-Verdict") || strings.Contains(got, "spf=pass") || !strings.HasSuffix(got, "\n\nhello there\n.leading dot\n") || !strings.Contains(got, "Return-Path: <eve@sender.example>") {
		t.Errorf("got\n%s", got)
	}
	if len(p.box("ann@acme.example")) != 1 {
		t.Error("it came twice")
	}
}

func TestPostfixObserves(t *testing.T) {
	needPostfix(t)
	at := freePort(t)
	p := startPostfix(t, at, "tempfail")
	b := gate(t, "mail: {id: mx.acme.example, mode: observe}\n")
	listen(t, at, b.Judge, b.Failed)
	for i, subject := range []string{"phish", "odd", "hello"} {
		if err := p.send("eve@sender.example", []string{"ann@acme.example"}, letter(subject, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	p.arrives("ann@acme.example", 3)
	counted := map[string]int64{}
	for _, m := range b.Stats().Messages {
		counted[m.Verdict+" "+m.Action] = m.N
	}
	for _, want := range []string{"phish observe:hold", "suspicious observe:tag", "clean pass"} {
		if counted[want] != 1 {
			t.Errorf("counted %v, want one %s", counted, want)
		}
	}
}
