// Package journal takes in copies of mail that another system sends: Microsoft 365 and Exchange send journal reports (the
// envelope as text, and the message attached), Google and other servers send routing copies (the message itself with the
// envelope's recipients in a header field).
//
// Parse makes an envelope and the original message of either. Server is the SMTP receiver: who sends is bound to a tenant
// by address, everyone else is refused. A journal must not bounce: what can't be parsed is kept as a dead letter and
// answered with 250 only once it is on disk; where the disk is full, or the message can't be dealt with now, the answer is
// a 4xx, and the sender comes again.
package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strings"
)

// Bounds of a report.
const (
	maxParts      = 50        // of a report
	maxEnvelope   = 4 << 20   // bytes of its text part
	maxRecipients = 20_000    // that it names
	maxHeader     = 1 << 20   // bytes of a header section
	maxDecoded    = 150 << 20 // bytes of parts together
)

// Kind is the shape in which a copy came.
type Kind string

// The kinds.
const (
	Exchange Kind = "exchange" // journal report of Microsoft 365, of Exchange, or in their format
	Google   Kind = "google"   // routing copy with X-Gm-Original-To
	Copy     Kind = "copy"     // routing copy of another server
)

// Recipient is one recipient of the envelope.
type Recipient struct {
	Address string // lower case
	Field   string // to, cc, bcc, or recipient where the report does not say
	Via     string // the list that was expanded, or who had it forwarded; may be empty
}

// Report is a journalled message.
type Report struct {
	Kind       Kind
	Sender     string // of the envelope, lower case; empty for bounces
	OnBehalfOf string
	Subject    string
	MessageID  string // without angle brackets
	Recipients []Recipient
	Raw        []byte // the original message as it was
	Unread     string // why the message can't be read, though it is here: rights-protected
}

// Addresses lists the recipients' addresses, each once, in their order.
func (r *Report) Addresses() []string {
	var out []string
	seen := map[string]bool{}
	for _, x := range r.Recipients {
		if !seen[x.Address] {
			seen[x.Address] = true
			out = append(out, x.Address)
		}
	}
	return out
}

// Envelope is what the SMTP conversation said of a copy; empty where it came by a mailbox.
type Envelope struct {
	From string
	To   []string
}

// ErrParse is what every error of Parse is.
var ErrParse = errors.New("no journal report that can be read")

// Parse reads a journal report or a routing copy. Sources: Microsoft Learn, "Journaling in Exchange Online" and "Journal
// reports" (fields of the envelope part); Google Workspace Admin Help, "Add X-Gm-Original-To".
func Parse(raw []byte, env Envelope) (*Report, error) {
	h, body, err := split(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParse, err)
	}
	_, marked := h["X-Ms-Journal-Report"]
	parts, perr := partsOf(h, body)
	if len(parts) > 0 {
		r := envelopeOf(parts[0])
		if r != nil {
			if err := r.attach(parts[1:]); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrParse, err)
			}
			return r, nil
		}
	}
	if marked {
		if perr == nil {
			perr = errors.New("its first part names no envelope")
		}
		return nil, fmt.Errorf("%w: %w", ErrParse, perr)
	}
	return routed(h, raw, env)
}

// part is one part of a report, decoded.
type part struct {
	kind, name string
	data       []byte
}

// split reads a header section as far as it can be read; a broken line takes no other away.
func split(raw []byte) (textproto.MIMEHeader, []byte, error) {
	h := textproto.MIMEHeader{}
	at, count := 0, 0
	var name, value string
	flush := func() {
		if name != "" {
			h.Add(name, strings.TrimSpace(value))
			count++
		}
		name, value = "", ""
	}
	for at < len(raw) {
		n := bytes.IndexByte(raw[at:], '\n') + 1
		if n == 0 {
			n = len(raw) - at
		}
		line := strings.TrimRight(string(raw[at:at+n]), "\r\n")
		at += n
		if line == "" {
			break
		}
		if at > maxHeader || count > 2000 {
			return nil, nil, fmt.Errorf("its header is longer than %d bytes or 2,000 fields", maxHeader)
		}
		if line[0] == ' ' || line[0] == '\t' {
			if name != "" {
				value += " " + strings.TrimSpace(line)
			}
			continue
		}
		flush()
		k, v, ok := strings.Cut(line, ":")
		if k = strings.TrimRight(k, " \t"); ok && k != "" && !strings.ContainsAny(k, " \t") {
			name, value = textproto.CanonicalMIMEHeaderKey(k), v
		}
	}
	flush()
	if len(h) == 0 {
		return nil, nil, errors.New("it has no header")
	}
	return h, raw[at:], nil
}

// partsOf reads the parts of a multipart; none where it is something else.
func partsOf(h textproto.MIMEHeader, body []byte) ([]part, error) {
	kind, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, fmt.Errorf("it is %q and not a multipart", clip(h.Get("Content-Type")))
	}
	left := int64(maxDecoded)
	var out []part
	mr := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("reading its parts: %w", err)
		}
		if len(out) >= maxParts {
			return out, fmt.Errorf("it has more than %d parts", maxParts)
		}
		data, err := io.ReadAll(io.LimitReader(decoder(p.Header, p), left+1))
		if left -= int64(len(data)); left < 0 {
			return out, fmt.Errorf("its parts are larger than %d bytes", maxDecoded)
		}
		if err != nil {
			return out, fmt.Errorf("reading its parts: %w", err)
		}
		k, kp, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if k == "" {
			k = "text/plain"
		}
		name := kp["name"]
		if _, d, err := mime.ParseMediaType(p.Header.Get("Content-Disposition")); err == nil && d["filename"] != "" {
			name = d["filename"]
		}
		out = append(out, part{k, strings.ToLower(name), data})
	}
}

func decoder(h textproto.MIMEHeader, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding"))) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}

// envelopeOf reads the text part of a report; nil where it is none.
func envelopeOf(p part) *Report {
	if p.kind != "text/plain" || len(p.data) > maxEnvelope {
		return nil
	}
	r := &Report{Kind: Exchange}
	var sender, any bool
	for line := range strings.Lines(string(p.data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "sender":
			r.Sender, sender = address(value), true
		case "on-behalf-of":
			r.OnBehalfOf = address(value)
		case "subject":
			r.Subject = clip(decodeWords(value))
		case "message-id":
			r.MessageID = clip(strings.Trim(value, "<>"))
			any = true
		case "to", "cc", "bcc", "recipient":
			any = true
			if x, ok := recipient(strings.ToLower(strings.TrimSpace(name)), value); ok && len(r.Recipients) < maxRecipients {
				r.Recipients = append(r.Recipients, x)
			}
		}
	}
	if !sender || !any {
		return nil
	}
	return r
}

// recipient reads "b@acme.example, Expanded: all@acme.example".
func recipient(field, value string) (Recipient, bool) {
	who, rest, _ := strings.Cut(value, ",")
	x := Recipient{Address: address(who), Field: field}
	if how, via, ok := strings.Cut(rest, ":"); ok {
		switch strings.ToLower(strings.TrimSpace(how)) {
		case "expanded", "forwarded":
			x.Via = address(via)
		}
	}
	return x, x.Address != ""
}

// address reads a bare address, or one within angle brackets; empty where it is none.
func address(v string) string {
	v = strings.TrimSpace(v)
	if i := strings.LastIndexByte(v, '<'); i >= 0 {
		v, _, _ = strings.Cut(v[i+1:], ">")
	}
	v = strings.ToLower(strings.TrimSpace(v))
	v = strings.TrimPrefix(v, "smtp:")
	if len(v) > 320 || strings.Count(v, "@") < 1 || strings.HasPrefix(v, "@") || strings.HasSuffix(v, "@") ||
		strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ',' || r == '<' || r == '>' }) {
		return ""
	}
	return v
}

// attach finds the original among the attached messages. There are two where Exchange decrypted one: the message in clear
// and the message as it was.
func (r *Report) attach(parts []part) error {
	var list []part
	for _, p := range parts {
		if p.kind == "message/rfc822" || p.kind == "message/global" || strings.HasSuffix(p.name, ".eml") {
			p.data = bytes.TrimLeft(p.data, "\r\n")
			if h, _, err := split(p.data); err == nil && len(h) > 0 {
				list = append(list, p)
			}
		}
	}
	if len(list) == 0 {
		return errors.New("it carries no message")
	}
	rank := func(p part) int {
		n := 0
		h, _, _ := split(p.data)
		if r.MessageID == "" || strings.Trim(h.Get("Message-Id"), "<> ") == r.MessageID {
			n += 2
		}
		if !protected(h, p.data) {
			n++
		}
		return n
	}
	best := slices.MaxFunc(list, func(a, b part) int { return rank(a) - rank(b) }) // the first of equals
	r.Raw = best.data
	h, _, _ := split(best.data)
	if protected(h, best.data) {
		r.Unread = "the message is rights-protected and was not decrypted"
	}
	if r.MessageID == "" {
		r.MessageID = clip(strings.Trim(h.Get("Message-Id"), "<> "))
	}
	if r.Subject == "" {
		r.Subject = clip(decodeWords(h.Get("Subject")))
	}
	if len(r.Recipients) == 0 {
		return errors.New("its envelope names no recipient")
	}
	return nil
}

// protected tells a message whose text lies in an encrypted attachment.
func protected(h textproto.MIMEHeader, raw []byte) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Class")), "rpmsg.message") || bytes.Contains(raw[:min(len(raw), 256<<10)], []byte("application/x-microsoft-rpmsg-message"))
}

// routed reads a copy of the message itself.
func routed(h textproto.MIMEHeader, raw []byte, env Envelope) (*Report, error) {
	r := &Report{Kind: Copy, Raw: raw, Sender: address(env.From), Subject: clip(decodeWords(h.Get("Subject"))), MessageID: clip(strings.Trim(h.Get("Message-Id"), "<> "))}
	if r.Sender == "" {
		r.Sender = address(h.Get("Return-Path"))
	}
	// The first is the border's own; one further down is whatever a sender wrote.
	for _, f := range []struct {
		field string
		kind  Kind
	}{{"X-Gm-Original-To", Google}, {"X-Original-To", Copy}, {"Delivered-To", Copy}} {
		if v := h.Get(f.field); v != "" {
			for x := range strings.SplitSeq(v, ",") {
				if a := address(x); a != "" && len(r.Recipients) < 100 {
					r.Recipients = append(r.Recipients, Recipient{Address: a, Field: "recipient"})
				}
			}
			if len(r.Recipients) > 0 {
				r.Kind = f.kind
				return r, nil
			}
		}
	}
	for _, field := range []string{"To", "Cc"} {
		list, err := netmail.ParseAddressList(h.Get(field))
		if err != nil {
			continue
		}
		for _, a := range list {
			if x := address(a.Address); x != "" && len(r.Recipients) < 1000 {
				r.Recipients = append(r.Recipients, Recipient{Address: x, Field: strings.ToLower(field)})
			}
		}
	}
	if h.Get("From") == "" && h.Get("Date") == "" || len(r.Recipients) == 0 && len(env.To) == 0 {
		return nil, fmt.Errorf("%w: it is neither a journal report nor a copy with recipients", ErrParse)
	}
	if len(r.Recipients) == 0 {
		for _, a := range env.To {
			if x := address(a); x != "" {
				r.Recipients = append(r.Recipients, Recipient{Address: x, Field: "recipient"})
			}
		}
	}
	if len(r.Recipients) == 0 {
		return nil, fmt.Errorf("%w: it names no recipient", ErrParse)
	}
	return r, nil
}

func decodeWords(v string) string {
	if s, err := (&mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}).DecodeHeader(v); err == nil {
		return s
	}
	return v
}

// clip keeps what others wrote to one line of 500 letters.
func clip(v string) string {
	v = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, v), "?")
	if r := []rune(v); len(r) > 500 {
		v = string(r[:500])
	}
	return strings.TrimSpace(v)
}
