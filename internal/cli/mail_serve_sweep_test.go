//go:build unix

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

const sweptFolder = "Breakwater Quarantine"

// deliveredMail is a message that a test gives both to a milter and to a mailbox.
type deliveredMail struct{ from, to, id, subject, text string }

// file is the letter as it lies in a mailbox.
func (l deliveredMail) file() string {
	now := time.Now().UTC().Format(time.RFC1123Z)
	return fmt.Sprintf("Received: from mail.sender.test (mail.sender.test [192.0.2.7]) by mx.acme.example; %s\nMessage-ID: <%s>\nFrom: %s\nTo: %s\nSubject: %s\nDate: %s\n\n%s\n", now, l.id, l.from, l.to, l.subject, now, l.text)
}

// pass gives the letter to a milter, and returns the fields that it is delivered with.
func (l deliveredMail) pass(t *testing.T, address string) map[string]string {
	t.Helper()
	client := milter.NewClientWithOptions("tcp", address, milter.ClientOptions{ReadTimeout: patience, WriteTimeout: patience, ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptRemoveRcpt})
	c, err := client.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(_ *milter.Action, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Conn("unknown", milter.FamilyInet, 4242, "192.0.2.7"))
	must(c.Helo("mail.sender.test"))
	must(c.Mail(l.from, nil))
	must(c.Rcpt(l.to, nil))
	for _, f := range [][2]string{{"Message-ID", "<" + l.id + ">"}, {"From", l.from}, {"To", l.to}, {"Subject", l.subject}, {"Date", time.Now().UTC().Format(time.RFC1123Z)}} {
		must(c.HeaderField(f[0], f[1]))
	}
	must(c.HeaderEnd())
	must(c.BodyChunk([]byte(l.text + "\r\n")))
	mods, act, err := c.End()
	if err != nil {
		t.Fatal(err)
	}
	if act.Code != milter.ActContinue {
		t.Fatalf("%s was not delivered: %+v", l.id, act)
	}
	out := map[string]string{}
	for _, m := range mods {
		out[m.HeaderName] = strings.TrimSpace(m.HeaderValue)
	}
	return out
}

// TestServeOffersWhatANewIndicatorFinds: a sweep starts by itself as a dry run; what it found is moved when somebody
// accepts it, and comes back by a command.
func TestServeOffersWhatANewIndicatorFinds(t *testing.T) {
	list := filepath.Join(t.TempDir(), "indicators.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first.example\n")
	d := startDelivered(t, false, func(box func(name, kind, user string) string) string {
		return "  sweep: {on: [indicator]}\n  mailboxes:\n" + box("imap", "sweep", "ana")
	}, "--indicators", list)
	d.give("ana/cur/1.M1.h:2,S", lureFor("ana@acme.example", "i1"))
	write("first.example\nevil.example\n")
	eventually(t, "the sweep is offered", patience, func() bool { return d.counter(`mail_sweeps_total{tenant="acme",outcome="offered"}`) == 1 })
	d.offerMovesAndComesBack("i1@evil.example", 1)
}

// offerMovesAndComesBack looks at the one offer of a sweep, accepts it, and undoes it; the inbox holds that many messages.
func (d *delivered) offerMovesAndComesBack(id string, inbox int) {
	d.t.Helper()
	runs := d.runs()
	if len(runs) != 1 || runs[0].Kind != sweep.KindOffer || d.files("ana", "") != inbox || d.files("ana", sweptFolder) != 0 {
		d.t.Fatalf("the runs are %+v, and the inbox has %d", runs, d.files("ana", ""))
	}
	if out := d.command("sweep", "show", runs[0].ID); strings.Count(out, "@") < 2 || !strings.Contains(out, id) {
		d.t.Errorf("the offer is\n%s", out)
	}
	d.command("sweep", "accept", runs[0].ID)
	if d.files("ana", "") != inbox-1 || d.files("ana", sweptFolder) != 1 {
		d.t.Errorf("accepted, and the inbox has %d, the quarantine %d", d.files("ana", ""), d.files("ana", sweptFolder))
	}
	for _, r := range d.runs() {
		if r.Kind != sweep.KindOffer {
			d.command("sweep", "undo", r.ID)
		}
	}
	if d.files("ana", "") != inbox || d.files("ana", sweptFolder) != 0 {
		d.t.Errorf("undone, and the inbox has %d, the quarantine %d", d.files("ana", ""), d.files("ana", sweptFolder))
	}
}

// TestServeSweepsForACampaign: a lure from a partner's house reaches two tenants while the gateway observes. What comes to
// be a campaign sweeps the delivered copy, as an offer or at once, and an undo at the command line holds.
func TestServeSweepsForACampaign(t *testing.T) {
	for _, act := range []string{"list", "apply"} {
		t.Run(act, func(t *testing.T) {
			at := "127.0.0.1:" + freePort(t)
			d := startDelivered(t, false, func(box func(name, kind, user string) string) string {
				return fmt.Sprintf("  milter: [{listen: %q}]\n  sweep: {on: [campaign], act: %s}\n  mailboxes:\n", at, act) + box("imap", "sweep", "ana") +
					"partners: [{id: northwind, name: Northwind IT}]\ntrusts:\n" +
					"  - {id: n-a, partner: northwind, tenant: acme, owner: it@acme.example, mail_domains: [northwind.example]}\n" +
					"  - {id: n-b, partner: northwind, tenant: borg, owner: it@borg.example, mail_domains: [northwind.example]}\n"
			})
			text := "Hello,\n\nyour mailbox password expires today. Sign in now to keep your account: https://login.%s.session-check.test/owa\n\nNorthwind IT"
			lure := deliveredMail{"it@northwind.example", "ana@acme.example", "c1@northwind.example", "Your password expires today", fmt.Sprintf(text, "acme.example")}
			honest := deliveredMail{"it@northwind.example", "ana@acme.example", "h1@northwind.example", "Minutes of Monday", "Hello Ana,\n\nthe minutes of our meeting are done. See you on Friday.\n\nTom"}
			for i, l := range []deliveredMail{honest, lure} {
				d.give(fmt.Sprintf("ana/cur/%d.M%d.h:2,S", i+1, i), l.file())
				l.pass(t, at)
			}
			other := lure
			other.to, other.id, other.text = "bo@borg.example", "c2@northwind.example", fmt.Sprintf(text, "borg.example")
			other.pass(t, at)
			outcome := map[string]string{"list": "offered", "apply": "applied"}[act]
			eventually(t, "a campaign has swept", 2*patience, func() bool {
				return d.counter(fmt.Sprintf(`mail_sweeps_total{tenant="acme",outcome=%q}`, outcome)) >= 1
			})
			if act == "list" {
				d.offerMovesAndComesBack(lure.id, 2)
				return
			}
			if d.files("ana", "") != 1 || d.files("ana", sweptFolder) != 1 {
				t.Fatalf("the inbox has %d, the quarantine %d", d.files("ana", ""), d.files("ana", sweptFolder))
			}
			eventually(t, "what was swept is held", patience, func() bool {
				held := d.held("mailbox")
				return len(held) == 1 && held[0].MessageID == lure.id && held[0].Tenant == "acme"
			})
			d.command("sweep", "undo", d.runs()[0].ID)
			d.restart(false)
			eventually(t, "nothing waits", patience, func() bool { return d.counter("mail_sweeps_waiting") == 0 })
			if d.files("ana", "") != 2 || d.files("ana", sweptFolder) != 0 {
				t.Errorf("undone, and the inbox has %d, the quarantine %d", d.files("ana", ""), d.files("ana", sweptFolder))
			}
			if out := d.command("sweep", "list"); !strings.Contains(out, "campaign") {
				t.Errorf("the runs say not what started them:\n%s", out)
			}
		})
	}
}

// TestServeSweepsWhatWasDeliveredUnscanned: without an antivirus' answer mail is delivered with a field that says so, and
// judged again where it lies.
func TestServeSweepsWhatWasDeliveredUnscanned(t *testing.T) {
	at := "127.0.0.1:" + freePort(t)
	d := startDelivered(t, false, func(box func(name, kind, user string) string) string {
		return fmt.Sprintf("  milter: [{listen: %q}]\n  clamd: \"127.0.0.1:%s\"\n  unscanned: accept\n  sweep: {on: [verdict], act: apply}\n  mailboxes:\n", at, freePort(t)) + box("imap", "sweep", "ana")
	})
	lure := deliveredMail{"help@evil.example", "ana@acme.example", "u1@evil.example", "Your mailbox is full", "Your mailbox is full and will be closed today. Sign in at https://login.acme.example.evil.example/mail to keep it."}
	honest := deliveredMail{"jo@quiet.example", "ana@acme.example", "u2@quiet.example", "Lunch", "Hello Ana,\n\nlunch at noon?\n\nJo"}
	for i, l := range []deliveredMail{lure, honest} {
		d.give(fmt.Sprintf("ana/cur/%d.M%d.h:2,S", i+1, i), l.file())
		if f := l.pass(t, at); f["X-Breakwater-Unscanned"] != "clamd" {
			t.Errorf("%s is delivered with %v", l.id, f)
		}
	}
	eventually(t, "the phish is moved", 3*patience, func() bool { return d.files("ana", sweptFolder) == 1 && d.files("ana", "") == 1 })
	eventually(t, "it is held", patience, func() bool { held := d.held("mailbox"); return len(held) == 1 && held[0].MessageID == lure.id })
	d.command("sweep", "undo", d.runs()[0].ID)
	if d.files("ana", "") != 2 || d.files("ana", sweptFolder) != 0 {
		t.Errorf("undone, and the inbox has %d, the quarantine %d", d.files("ana", ""), d.files("ana", sweptFolder))
	}
}
