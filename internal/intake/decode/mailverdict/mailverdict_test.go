package mailverdict

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

type got struct {
	events []*ocsf.Event
	bad    []string
}

func (g *got) Event(e *ocsf.Event, _ int64, _ []byte) { g.events = append(g.events, e) }
func (g *got) Bad(_ int64, reason string, _ []byte)   { g.bad = append(g.bad, reason) }
func (g *got) read(t testing.TB, text string) (list *got) {
	t.Helper()
	if err := Stream().Read(context.Background(), "x", strings.NewReader(text), g); err != nil {
		t.Fatal(err)
	}
	return g
}

func judged() *ocsf.Event {
	e := &ocsf.Event{Time: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), SourceID: "a@b|Q1|x", Layer: tenant.LayerMail, Class: ocsf.ClassEmailActivity,
		Activity: "receive", Status: ocsf.StatusFailure, Source: "mail",
		Mail: &ocsf.Mail{MessageID: "a@b", From: "eve@evil.example", To: []string{"ann@acme.example"}, Subject: "Your invoice\u0001", Text: "pay", SPF: "pass",
			SendingIP: netip.MustParseAddr("192.0.2.1"), SendingHost: "mx.evil.example", Links: []ocsf.Link{{URL: "https://evil.example/x", Host: "evil.example"}},
			Verdict: &ocsf.MailVerdict{Verdict: "phish", Action: "hold", Score: .97, Threshold: .9, Points: 70, Rule: "link-mismatch",
				Reasons: []ocsf.MailReason{{Name: "link-mismatch", Weight: 2.5, Text: "a link", Apex: "evil.example"}}, HeldAs: "Q1"}},
		Fields:   ocsf.Fields{{Name: "body.images", Value: "2"}},
		JoinKeys: []ocsf.JoinKey{{Kind: "message-id", Value: "a@b"}}}
	e.Src.IP, e.Src.Host = e.Mail.SendingIP, e.Mail.SendingHost
	e.User.Name, e.Actor.Name = "ann@acme.example", "eve@evil.example"
	return e
}

var envelope = Envelope{Direction: "inbound", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx", From: "bounce@evil.example", To: []string{"ann@acme.example"}, QueueID: "Q1"}

func TestARecordComesBackAsItWas(t *testing.T) {
	line, err := Append(nil, judged(), envelope)
	if err != nil {
		t.Fatal(err)
	}
	if !Stream().Recognise("", line) {
		t.Fatal("the record is not recognised")
	}
	g := (&got{}).read(t, string(line)+string(line))
	if len(g.events) != 2 || len(g.bad) > 0 {
		t.Fatalf("got %d events, bad %v", len(g.events), g.bad)
	}
	want := judged()
	want.Fields = append(want.Fields, ocsf.Field{Name: "envelope.direction", Value: "inbound"}, ocsf.Field{Name: "envelope.queue_id", Value: "Q1"})
	want.Fields.Sort()
	if diff := cmp.Diff(want, g.events[0], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestAMailThatNobodyJudgedHasNoRecord(t *testing.T) {
	e := judged()
	e.Mail.Verdict = nil
	if _, err := Append(nil, e, envelope); err == nil {
		t.Error("it was written")
	}
}

// A sender chooses nearly everything in a message, and control characters grow sixfold in JSON.
func TestBombRecordsStayBelowTheirLimit(t *testing.T) {
	long := strings.Repeat("\u0001", 64<<10)
	e := judged()
	e.Mail.Text, e.Mail.Subject, e.Mail.FromName, e.Mail.MessageID = long, long, long, long
	for i := range 1000 {
		e.Mail.Links = append(e.Mail.Links, ocsf.Link{URL: long[:2<<10], Host: "h", Text: long[:1000]})
		e.Mail.To = append(e.Mail.To, fmt.Sprintf("%s%d@acme.example", long[:200], i))
		e.Mail.Attachments = append(e.Mail.Attachments, ocsf.Attachment{Name: long[:255]})
		e.Mail.Verdict.Reasons = append(e.Mail.Verdict.Reasons, ocsf.MailReason{Name: "r", Text: long[:2000]})
	}
	for i := range 500 {
		e.Fields = append(e.Fields, ocsf.Field{Name: fmt.Sprintf("header.x%d", i), Value: long[:1000]})
	}
	env := envelope
	env.To = e.Mail.To
	line, err := Append(nil, e, env)
	if err != nil {
		t.Fatal(err)
	}
	if len(line) > MaxRecord {
		t.Errorf("the record has %d bytes", len(line))
	}
	g := (&got{}).read(t, string(line))
	if len(g.events) != 1 || g.events[0].Mail.Verdict.Verdict != "phish" || g.events[0].Mail.From != "eve@evil.example" {
		t.Errorf("got %+v", g)
	}
	if len(e.Mail.Links) != 1001 || e.Mail.Links[5].URL != long[:2<<10] || len(e.Mail.Text) != len(long) {
		t.Error("writing it changed the event")
	}
}

func TestWrongRecordsAreSetAside(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"cut":                 {`{"breakwater_mail":1,"time":`, "broken"},
		"a later version":     {`{"breakwater_mail":2,"time":"2026-01-01T00:00:00Z","verdict":{"Verdict":"clean"}}`, "version 2"},
		"no verdict":          {`{"breakwater_mail":1,"time":"2026-01-01T00:00:00Z"}`, "without a verdict"},
		"an unknown verdict":  {`{"breakwater_mail":1,"time":"2026-01-01T00:00:00Z","verdict":{"Verdict":"fine"}}`, "without a verdict"},
		"a score beyond one":  {`{"breakwater_mail":1,"time":"2026-01-01T00:00:00Z","verdict":{"Verdict":"clean","Score":1.1}}`, "no probability"},
		"no time":             {`{"breakwater_mail":1,"verdict":{"Verdict":"clean"}}`, "without a time"},
		"another format":      {`{"a":1}`, "not a record"},
		"a time of no format": {`{"breakwater_mail":1,"time":"yesterday","verdict":{"Verdict":"clean"}}`, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			g := (&got{}).read(t, c.line+"\n")
			if len(g.events) != 0 || len(g.bad) != 1 || !strings.Contains(g.bad[0], c.want) {
				t.Errorf("got %d events, %q; want %q", len(g.events), g.bad, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	line, err := Append(nil, judged(), envelope)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"breakwater_mail":1,"time":"2026-01-01T00:00:00Z","verdict":{"Verdict":"clean","Reasons":[{}]},"mail":{"Links":[{}],"To":[""]},"fields":[{"Name":"a"}]}`))
	f.Add([]byte(`{"breakwater_mail":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, reason := parse(b)
		if (e == nil) == (reason == "") {
			t.Fatalf("event %v, reason %q", e, reason)
		}
		if e == nil {
			return
		}
		again, err := Append(nil, e, Envelope{})
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(again) || len(again) > MaxRecord {
			t.Fatalf("%d bytes", len(again))
		}
	})
}
