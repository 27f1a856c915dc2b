// Package mailverdict is the record that our own mail gateway writes of each message that it judged: one JSON object a
// line, with the message as the decoder of mail read it, its envelope, and the verdict that was reached and acted on.
// Append writes a record; Stream reads them back as mail events whose Mail.Verdict is set, so that nobody judges them
// again. A record is at most MaxRecord bytes: what is too long loses its text, links and fields in that order, and
// says so.
//
// Whoever may send telemetry of a tenant may write such records for that tenant, and for no other.
package mailverdict

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxRecord is the most bytes that a record has, its line end included.
const MaxRecord = 512 << 10

// Limits on what a record may list; what is beyond is left out when it is read.
const (
	maxList    = 1_000
	maxReasons = 64
	maxText    = 64 << 10
)

// Envelope is what the mail server told of a message beside its text.
type Envelope struct {
	Direction string     `json:"direction"` // inbound, outbound or journal
	Client    netip.Addr `json:"client,omitzero"`
	Helo      string     `json:"helo,omitempty"`
	From      string     `json:"from"`
	To        []string   `json:"to"` // of this tenant alone
	QueueID   string     `json:"queue_id,omitempty"`
	Login     string     `json:"login,omitempty"` // SASL login of the sender
	Results   string     `json:"authentication_results,omitempty"`
}

// record is the shape of a line. Its first key is its mark.
type record struct {
	Mark     int               `json:"breakwater_mail"` // version of the shape
	Time     time.Time         `json:"time"`
	SourceID string            `json:"source_id"`
	Activity string            `json:"activity"`
	Blocked  bool              `json:"blocked,omitempty"` // it did not reach its recipients
	Envelope Envelope          `json:"envelope"`
	Verdict  *ocsf.MailVerdict `json:"verdict"`
	Mail     ocsf.Mail         `json:"mail"`
	Fields   ocsf.Fields       `json:"fields,omitempty"`
	Cut      bool              `json:"cut,omitempty"`
}

const version = 1

// mark is how each record begins.
const mark = `{"breakwater_mail":`

// Append appends the record of a judged mail event, and a line end. The event must have Mail and Mail.Verdict.
func Append(b []byte, e *ocsf.Event, env Envelope) ([]byte, error) {
	if e.Mail == nil || e.Mail.Verdict == nil {
		return nil, fmt.Errorf("writing the record of a mail: it was not judged")
	}
	r := record{Mark: version, Time: e.Time.UTC(), SourceID: e.SourceID, Activity: e.Activity, Blocked: e.Status == ocsf.StatusFailure,
		Envelope: env, Verdict: e.Mail.Verdict, Mail: *e.Mail, Fields: e.Fields}
	r.Mail.Verdict = nil
	if len(r.Envelope.To) > maxList {
		r.Envelope.To, r.Cut = r.Envelope.To[:maxList], true
	}
	for step := 0; ; step++ {
		line, err := json.Marshal(&r)
		if err != nil {
			return nil, fmt.Errorf("writing the record of a mail: %w", err)
		}
		if len(line) < MaxRecord {
			return append(append(b, line...), '\n'), nil
		}
		if step == 8 {
			return nil, fmt.Errorf("writing the record of a mail: it has %d bytes and cannot be cut below %d", len(line), MaxRecord)
		}
		r.shorten(step)
	}
}

// shorten leaves more out at each step.
func (r *record) shorten(step int) {
	r.Cut = true
	m := &r.Mail
	switch step {
	case 0:
		m.Text = clip(m.Text, 16<<10)
		m.Links = shortLinks(m.Links, 200, 1<<10)
	case 1:
		r.Fields = shortFields(r.Fields, 60, 256)
	case 2:
		m.Links = shortLinks(m.Links, 50, 512)
		m.Attachments = slices.Clone(m.Attachments[:min(len(m.Attachments), 100)])
	case 3:
		m.To, r.Envelope.To = m.To[:min(len(m.To), 100)], r.Envelope.To[:min(len(r.Envelope.To), 100)]
	case 4:
		m.Text = clip(m.Text, 2<<10)
		m.ParseProblems = m.ParseProblems[:min(len(m.ParseProblems), 5)]
	default:
		m.Text, m.Links, m.Attachments, m.To, r.Fields = "", nil, nil, nil, nil
		m.Subject, m.FromName, m.MessageID, m.InReplyTo = clip(m.Subject, 500), clip(m.FromName, 200), clip(m.MessageID, 500), clip(m.InReplyTo, 500)
		v := *r.Verdict
		v.Reasons = shortReasons(v.Reasons)
		r.Verdict = &v
	}
}

func shortLinks(list []ocsf.Link, n, bytes int) []ocsf.Link {
	list = slices.Clone(list[:min(len(list), n)])
	for i := range list {
		list[i].URL, list[i].Text = clip(list[i].URL, bytes), clip(list[i].Text, 100)
	}
	return list
}

// shortFields keeps what the decoder found of body and attachments before header fields.
func shortFields(f ocsf.Fields, n, bytes int) ocsf.Fields {
	var out, headers ocsf.Fields
	for _, x := range f {
		x.Value = clip(x.Value, bytes)
		if strings.HasPrefix(x.Name, "header.") {
			headers = append(headers, x)
		} else {
			out = append(out, x)
		}
	}
	out = append(out, headers...)
	out = out[:min(len(out), n)]
	out.Sort()
	return out
}

func shortReasons(list []ocsf.MailReason) []ocsf.MailReason {
	list = slices.Clone(list[:min(len(list), 10)])
	for i := range list {
		list[i].Text = clip(list[i].Text, 500)
	}
	return list
}

// clip cuts s to n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Stream returns the format as intake sees it.
func Stream() decode.Stream {
	return decode.Stream{Name: "mailverdict", Recognise: func(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte(mark)) }, Read: read}
}

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		if len(bytes.TrimSpace(raw)) == 0 {
			return nil
		}
		e, reason := parse(raw)
		if reason != "" {
			return errors.New(reason)
		}
		sink.Event(e, n, raw)
		return nil
	})
}

// parse makes an event of a record, or says why it can't.
func parse(raw []byte) (*ocsf.Event, string) {
	if !bytes.HasPrefix(raw, []byte(mark)) {
		return nil, "not a record of the mail gateway"
	}
	if len(raw) > MaxRecord {
		return nil, fmt.Sprintf("a record of the mail gateway of more than %d bytes", MaxRecord)
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, "a record of the mail gateway that is broken: " + err.Error()
	}
	v := r.Verdict
	switch {
	case r.Mark != version:
		return nil, fmt.Sprintf("a record of the mail gateway of version %d; this program reads version %d", r.Mark, version)
	case v == nil || v.Verdict != "clean" && v.Verdict != "suspicious" && v.Verdict != "phish":
		return nil, "a record of the mail gateway without a verdict"
	case math.IsNaN(v.Score) || v.Score < 0 || v.Score > 1:
		return nil, "a record of the mail gateway whose score is no probability"
	case r.Time.IsZero():
		return nil, "a record of the mail gateway without a time"
	}
	m := r.Mail
	v.Reasons = v.Reasons[:min(len(v.Reasons), maxReasons)]
	m.Verdict = v
	m.Text = clip(m.Text, maxText)
	m.Links = m.Links[:min(len(m.Links), maxList)]
	m.Attachments = m.Attachments[:min(len(m.Attachments), maxList)]
	m.To = m.To[:min(len(m.To), maxList)]
	m.ParseProblems = m.ParseProblems[:min(len(m.ParseProblems), maxReasons)]
	r.Fields = append(r.Fields[:min(len(r.Fields), maxList)], ocsf.Field{Name: "envelope.direction", Value: r.Envelope.Direction})
	if r.Envelope.Login != "" {
		r.Fields = append(r.Fields, ocsf.Field{Name: "envelope.login", Value: r.Envelope.Login})
	}
	if r.Envelope.QueueID != "" {
		r.Fields = append(r.Fields, ocsf.Field{Name: "envelope.queue_id", Value: r.Envelope.QueueID})
	}
	r.Fields.Sort()
	e := &ocsf.Event{Time: r.Time.UTC(), SourceID: r.SourceID, Layer: tenant.LayerMail, Class: ocsf.ClassEmailActivity, Activity: r.Activity,
		Status: ocsf.StatusSuccess, Source: "mail", Mail: &m, Fields: r.Fields}
	if e.Activity != "send" {
		e.Activity = "receive"
	}
	if r.Blocked {
		e.Status = ocsf.StatusFailure
	}
	e.Src.IP, e.Src.Host = m.SendingIP, m.SendingHost
	if len(r.Envelope.To) > 0 {
		e.User.Name = r.Envelope.To[0]
	} else if len(m.To) > 0 {
		e.User.Name = m.To[0]
	}
	e.Actor.Name = m.From
	if m.MessageID != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "message-id", Value: m.MessageID})
	}
	return e, ""
}
