package mail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// emit decodes one message and hands it to the sink.
func emit(raw []byte, env envelope, record int64, sink decode.Sink) {
	e, reason := message(raw, env)
	if reason != "" {
		sink.Bad(record, reason, raw)
		return
	}
	sink.Event(e, record, raw)
}

// Message decodes one message as it stands in a file or comes from a mail server. The reason is set, and the
// event nil, where the message has no usable time.
func Message(raw []byte) (e *ocsf.Event, reason string) { return message(raw, envelope{}) }

func message(raw []byte, env envelope) (*ocsf.Event, string) {
	m := &ocsf.Mail{}
	b := newBody(m)
	if len(raw) > decode.MaxMail {
		raw = raw[:decode.MaxMail]
		b.note(fmt.Sprintf("limit: message larger than %d bytes", decode.MaxMail))
	}
	h, rest := splitMessage(raw, b.note)
	if len(h) == 0 {
		return nil, "no mail header"
	}
	e := &ocsf.Event{Layer: tenant.LayerMail, Class: ocsf.ClassEmailActivity, Activity: "receive", Status: ocsf.StatusSuccess,
		Source: "mail", Mail: m}
	path := hops(h)
	at := border(path)
	if !receiptTime(e, h, path, at, env) {
		return nil, "no usable date: neither Received nor Date holds a time between 1971 and 2099"
	}
	people(m, h, env, b.note)
	_, fromDomain, _ := strings.Cut(m.From, "@")
	authenticate(m, h, path, at, fromDomain)
	b.entity(h, rest, place{})
	b.lookInside()
	m.Text = b.shown()
	b.countMixed(m.Text)
	m.BodyHash = bodyHash(m.Text)
	rcpt, queue := routed(e, h, path, at)
	e.SourceID = sourceID(m.MessageID, queue, rcpt, h, rest)
	if rcpt == "" && len(m.To) > 0 {
		rcpt = m.To[0]
	}
	e.User.Name, e.Actor.Name = rcpt, m.From
	if m.MessageID != "" {
		e.JoinKeys = append(e.JoinKeys, ocsf.JoinKey{Kind: "message-id", Value: m.MessageID})
	}
	if held(h) {
		e.Status = ocsf.StatusFailure
	}
	e.Fields = fields(h, path, b)
	return e, ""
}

// receiptTime takes the time at which the receiving organisation got the message, then any other the message
// carries. The sender's own Date comes last of the trustworthy ones: it is the sender's word.
func receiptTime(e *ocsf.Event, h header, path []hop, at int, env envelope) bool {
	if len(path) > 0 && !path[0].time.IsZero() {
		e.Time = path[0].time
		return true
	}
	if at > 0 && !path[at].time.IsZero() {
		e.Time = path[at].time
		return true
	}
	for _, v := range [...]string{h.get("date"), env.date, h.get("delivery-date"), h.get("resent-date")} {
		if t, ok := parseDate(v); ok {
			e.Time = t
			return true
		}
	}
	for i := range path {
		if !path[i].time.IsZero() {
			e.Time = path[i].time
			return true
		}
	}
	return false
}

func people(m *ocsf.Mail, h header, env envelope, note func(string)) {
	from := parseAddresses(h.get("from"), 10)
	switch {
	case len(from) == 0:
		note("odd: no address in From")
		if s := parseAddresses(h.get("sender"), 1); len(s) > 0 {
			from = s
		}
	case h.count("from") > 1:
		note("odd: more than one From header")
	}
	if len(from) > 0 {
		m.From, m.FromName = from[0].addr, clip(from[0].name, 300)
	} else {
		m.FromName = clip(displayName(h.get("from")), 300)
	}
	if rp := parseAddresses(h.get("return-path"), 1); len(rp) > 0 {
		m.EnvelopeFrom = rp[0].addr
	} else {
		m.EnvelopeFrom = env.sender
	}
	if r := parseAddresses(h.get("reply-to"), 1); len(r) > 0 {
		m.ReplyTo = r[0].addr
	}
	for _, name := range [...]string{"to", "cc", "resent-to"} {
		for i := range h {
			if h[i].name == name {
				for _, a := range parseAddresses(h[i].value, MaxRecipients) {
					addRecipient(m, a.addr)
				}
			}
		}
	}
	m.Subject = clip(decodeWords(h.get("subject")), 2000)
	m.MessageID = messageID(h.get("message-id"))
	m.InReplyTo = messageID(h.get("in-reply-to"))
	m.Bulk = h.get("list-unsubscribe") != "" || h.get("list-id") != "" ||
		slices.Contains([]string{"bulk", "list", "junk"}, strings.ToLower(strings.TrimSpace(h.get("precedence"))))
}

// messageID returns the first id of the field without brackets.
func messageID(v string) string {
	if i := strings.IndexByte(v, '<'); i >= 0 {
		v = v[i+1:]
	}
	if i := strings.IndexAny(v, "> \t"); i >= 0 {
		v = v[:i]
	}
	return clip(toUTF8(strings.TrimSpace(v)), 500)
}

// routed fills what the border's receipt tells, and returns the envelope's recipient and the queue id where they
// are known.
func routed(e *ocsf.Event, h header, path []hop, at int) (rcpt, queue string) {
	m := e.Mail
	for _, name := range [...]string{"delivered-to", "x-original-to", "x-rcpt-to", "envelope-to"} {
		if rcpt = normAddress(h.get(name)); rcpt != "" {
			break
		}
	}
	if at >= 0 {
		x := path[at]
		m.SendingHost, m.SendingIP = x.from, x.ip
		e.Src.IP, e.Src.Host, e.Dst.Host = x.ip, x.from, x.by
		queue = path[0].id
		if rcpt == "" {
			rcpt = x.rcpt
		}
	}
	if rcpt != "" && len(m.To) < MaxRecipients {
		addRecipient(m, rcpt)
	}
	return rcpt, queue
}

func addRecipient(m *ocsf.Mail, a string) {
	if a != "" && len(m.To) < MaxRecipients && !slices.Contains(m.To, a) {
		m.To = append(m.To, a)
	}
}

// held reports whether a gateway marked the message as not delivered.
func held(h header) bool {
	switch strings.ToLower(strings.TrimSpace(h.get("x-breakwater-action"))) {
	case "hold", "held", "reject", "rejected", "quarantine":
		return true
	}
	return h.get("x-quarantine-id") != ""
}

// bodyHash hashes the text so that one text sent to many is equal: in lower case, digits made 0, links and
// addresses cut to a mark (they carry the recipient's own token), a greeting line dropped (it carries the
// name), white space folded, quoted lines left out. Texts under 40 letters have none: they say nothing.
func bodyHash(text string) string {
	var out []byte
	first := true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '>' {
			continue
		}
		if first && len(line) < 60 && greets(line) {
			first = false
			continue
		}
		first = false
		for _, w := range strings.Fields(line) {
			switch {
			case strings.Contains(w, "://") || strings.HasPrefix(w, "www."):
				out = append(out, "(link)"...)
			case strings.Contains(w, "@"):
				out = append(out, "(address)"...)
			default:
				for _, r := range strings.ToLower(w) {
					if unicode.IsDigit(r) {
						r = '0'
					}
					out = append(out, string(r)...)
				}
			}
			out = append(out, ' ')
		}
	}
	if len(out) < 40 {
		return ""
	}
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:16])
}

func greets(line string) bool {
	w, _, _ := strings.Cut(strings.ToLower(line), " ")
	switch strings.Trim(w, ",:!") {
	case "dear", "hello", "hi", "hey", "good", "hallo", "guten", "liebe", "lieber", "liebes", "sehr", "bonjour", "cher", "chère", "madame", "monsieur",
		"moin", "servus", "hola", "estimado", "estimada", "ciao", "gentile", "beste", "hej", "greetings":
		return true
	}
	return false
}
