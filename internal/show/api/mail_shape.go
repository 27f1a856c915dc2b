package api

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// mostRecipients is how many recipients of a message a list names.
const mostRecipients = 20

// HeldMail is what is known of a held message, without its text.
type HeldMail struct {
	Name           string       `json:"name"`
	Tenant         tenant.ID    `json:"tenant"`
	Time           time.Time    `json:"time"` // when it was held
	Expires        time.Time    `json:"expires"`
	State          string       `json:"state"` // held, releasing, released, deleting or deleted
	Place          string       `json:"place"` // mta, store, mailbox or report
	QueueID        string       `json:"queue_id,omitempty"`
	Mailbox        string       `json:"mailbox,omitempty"`
	EnvelopeFrom   string       `json:"envelope_from,omitempty"`
	Recipients     []string     `json:"recipients"`
	MoreRecipients int          `json:"more_recipients,omitempty"` // that are not named
	MessageID      string       `json:"message_id,omitempty"`
	From           string       `json:"from,omitempty"`
	FromName       string       `json:"from_name,omitempty"`
	Subject        string       `json:"subject,omitempty"`
	Hosts          []string     `json:"hosts,omitempty"` // that its links lead to
	SHA256         string       `json:"sha256"`
	Size           int64        `json:"size"`
	Verdict        string       `json:"verdict,omitempty"`
	Score          float64      `json:"score"` // probability of phishing
	Threshold      float64      `json:"threshold"`
	Reasons        []HeldReason `json:"reasons"`
	Feedback       string       `json:"feedback,omitempty"` // false-alarm or missed
	By             string       `json:"by,omitempty"`       // who did the last act
	Done           *time.Time   `json:"done,omitempty"`
	Problem        string       `json:"problem,omitempty"` // why the last act failed
}

// HeldReason is one thing that spoke for or against a message.
type HeldReason struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"` // log odds
	Text   string  `json:"text"`
}

// HeldText is a held message with its text, as it may safely be looked at.
type HeldText struct {
	HeldMail
	Kept        bool         `json:"kept"` // false: its text is gone, and what follows is empty
	Headers     []HeldHeader `json:"headers,omitempty"`
	MoreHeaders bool         `json:"more_headers,omitempty"`
	Text        string       `json:"text,omitempty"`
	Links       []HeldLink   `json:"links,omitempty"`
	Attachments []HeldFile   `json:"attachments,omitempty"`
	Problems    []string     `json:"problems,omitempty"` // of reading it
}

// HeldHeader is a header field.
type HeldHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HeldLink is a link: what it shows and where it leads.
type HeldLink struct {
	URL  string `json:"url"`
	Host string `json:"host,omitempty"`
	Text string `json:"text,omitempty"`
	From string `json:"from,omitempty"` // where it stands: empty the text, else qr, pdf, file or calendar
}

// HeldFile is an attachment.
type HeldFile struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// HeldSimilar is a held message that resembles another, and why.
type HeldSimilar struct {
	HeldMail
	Why []string `json:"why"`
}

func heldMail(it *quarantine.Item, recipients int) HeldMail {
	out := HeldMail{Name: it.Name, Tenant: it.Tenant, Time: it.Time, Expires: it.Expires, State: string(it.State), Place: string(it.Place), QueueID: it.QueueID, Mailbox: it.Mailbox,
		EnvelopeFrom: it.EnvelopeFrom, Recipients: []string{}, MessageID: it.MessageID, From: it.From, FromName: it.FromName, Subject: it.Subject, Hosts: it.Hosts, SHA256: it.SHA256,
		Size: it.Size, Reasons: []HeldReason{}, Feedback: it.Feedback, By: it.By, Problem: it.Problem}
	n := min(recipients, len(it.Recipients))
	out.Recipients = append(out.Recipients, it.Recipients[:n]...)
	out.MoreRecipients = len(it.Recipients) - n
	if !it.Done.IsZero() {
		out.Done = &it.Done
	}
	if v := it.Verdict; v != nil {
		out.Verdict, out.Score, out.Threshold = v.Verdict, v.Score, v.Threshold
		for _, r := range v.Reasons {
			out.Reasons = append(out.Reasons, HeldReason{r.Name, r.Weight, r.Text})
		}
	}
	return out
}

// maxRecipients is how many recipients one message shows.
const maxRecipients = 1000

func heldText(it *quarantine.Item, v *quarantine.View) HeldText {
	out := HeldText{HeldMail: heldMail(it, maxRecipients)}
	if v == nil {
		return out
	}
	out.Kept, out.Text, out.MoreHeaders, out.Problems = true, v.Text, v.More, v.Problems
	for _, f := range v.Headers {
		out.Headers = append(out.Headers, HeldHeader{f[0], f[1]})
	}
	for _, l := range v.Links {
		out.Links = append(out.Links, HeldLink{l.URL, l.Host, l.Text, l.From})
	}
	for _, a := range v.Attachments {
		out.Attachments = append(out.Attachments, HeldFile{a.Name, a.Type, a.Size, a.SHA256})
	}
	return out
}

// heldSchemas describe held mail for OpenAPI.
func heldSchemas(text, number, whole, yes, moment, texts object, list func(string) object, shape func(object, ...string) object) object {
	mail := func(more object, needed ...string) object {
		keys := object{"name": text, "tenant": text, "time": moment, "expires": moment, "state": object{"type": "string", "enum": quarantine.States},
			"place":    object{"type": "string", "enum": []quarantine.Place{quarantine.PlaceMTA, quarantine.PlaceStore, quarantine.PlaceMailbox, quarantine.PlaceReport}},
			"queue_id": text, "mailbox": text, "envelope_from": text, "recipients": texts, "more_recipients": whole, "message_id": text, "from": text, "from_name": text, "subject": text,
			"hosts": texts, "sha256": text, "size": whole, "verdict": text, "score": number, "threshold": number, "reasons": list("HeldReason"),
			"feedback": object{"type": "string", "enum": []string{quarantine.FalseAlarm, quarantine.Missed}}, "by": text, "done": moment, "problem": text}
		for k, v := range more {
			keys[k] = v
		}
		return shape(keys, append([]string{"name", "tenant", "time", "expires", "state", "place", "recipients", "sha256", "size", "score", "threshold", "reasons"}, needed...)...)
	}
	return object{
		"HeldMail":   mail(nil),
		"HeldReason": shape(object{"name": text, "weight": number, "text": text}, "name", "weight", "text"),
		"HeldMails":  shape(object{"messages": list("HeldMail"), "total": whole, "next": text}, "messages", "total"),
		"HeldText": mail(object{"kept": yes, "headers": list("HeldHeader"), "more_headers": yes, "text": text, "links": list("HeldLink"), "attachments": list("HeldFile"),
			"problems": texts}, "kept"),
		"HeldHeader":  shape(object{"name": text, "value": text}, "name", "value"),
		"HeldLink":    shape(object{"url": text, "host": text, "text": text, "from": text}, "url"),
		"HeldFile":    shape(object{"name": text, "type": text, "size": whole, "sha256": text}, "name", "type", "size", "sha256"),
		"HeldSimilar": mail(object{"why": texts}, "why"),
		"HeldAlike":   shape(object{"similar": list("HeldSimilar")}, "similar"),
		"HeldAct": shape(object{"seq": whole, "time": moment, "tenant": text, "item": text, "act": text, "by": text, "note": text, "prev": text, "hash": text},
			"seq", "time", "tenant", "item", "act", "by", "prev", "hash"),
		"HeldAudit": shape(object{"audit": list("HeldAct")}, "audit"),
	}
}
