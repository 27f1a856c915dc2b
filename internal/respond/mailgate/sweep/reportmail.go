package sweep

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strings"
)

// Bounds of a report that a user sends.
const (
	maxReported      = 20        // messages in one report
	maxReportParts   = 300       // parts that are looked at
	maxReportDepth   = 12        // of parts in parts
	maxReportDecoded = 192 << 20 // bytes of parts together, before and after decoding
	maxReportHeader  = 1 << 20   // bytes of the report's own header section
)

// ReportMail is a mail to the mailbox for reported phishing, taken apart.
type ReportMail struct {
	Reporter  string // address of From, lower case; "" where it has none, or several
	Subject   string
	MessageID string // with angle brackets
	Automatic string // why nobody wrote it: a machine's answer, a bounce, a list, our own thanks; "" a person did
	Messages  []Reported
	Notes     []string // what of it could not be read
}

// Reported is one message that a report carries.
type Reported struct {
	Raw    []byte
	Inline bool // put together from a forwarded text; its header is what the reporter's program wrote
}

// ReadReport takes a report apart. It never fails: what can't be read is in Notes.
func ReadReport(raw []byte) *ReportMail {
	r := &ReportMail{}
	h, body, err := splitPart(raw)
	if err != nil {
		r.note("its header can't be read: " + err.Error())
		return r
	}
	list, err := (&netmail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: anyCharset}}).ParseList(strings.Join(h.Values("From"), ", "))
	if err == nil && len(list) == 1 {
		r.Reporter = strings.ToLower(list[0].Address)
	}
	head := readHeading(headPart(raw))
	r.Subject = head.subject
	if head.id != "" {
		r.MessageID = "<" + head.id + ">"
	}
	r.Automatic = automatic(h)
	w := &reportWalk{r: r, parts: maxReportParts, left: maxReportDecoded}
	w.entity(h, body, 0)
	if len(r.Messages) == 0 && w.text != "" {
		if m := forwarded(w.text); m != nil {
			r.Messages = append(r.Messages, Reported{Raw: m, Inline: true})
		}
	}
	return r
}

func anyCharset(_ string, r io.Reader) (io.Reader, error) { return r, nil }

func (r *ReportMail) note(s string) {
	if len(r.Notes) < 20 {
		r.Notes = append(r.Notes, clip(s))
	}
}

// automatic says why a mail is no person's (RFC 3834 2, RFC 5230 4.6, RFC 2919).
func automatic(h textproto.MIMEHeader) string {
	kind, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if v := strings.ToLower(strings.TrimSpace(h.Get("Auto-Submitted"))); v != "" && !strings.HasPrefix(v, "no") {
		return "Auto-Submitted: " + clip(v)
	}
	switch {
	case h.Get(thanksField) != "" || h.Get("X-Breakwater-Notification") != "":
		return "it is our own"
	case strings.TrimSpace(h.Get("Return-Path")) == "<>":
		return "its return path is empty"
	case kind == "multipart/report" && !strings.EqualFold(params["report-type"], "feedback-report"):
		return "it is a delivery report"
	case h.Get("List-Id") != "":
		return "it came by a list"
	case h.Get("X-Autoreply") != "" || h.Get("X-Autorespond") != "":
		return "it is an automatic answer"
	}
	switch v := strings.ToLower(strings.TrimSpace(h.Get("Precedence"))); v {
	case "bulk", "junk", "list", "auto_reply":
		return "Precedence: " + v
	}
	return ""
}

// splitPart reads the header section of a message or part.
func splitPart(raw []byte) (textproto.MIMEHeader, []byte, error) {
	head := headPart(raw)
	if len(head) > maxReportHeader {
		return nil, nil, fmt.Errorf("longer than %d bytes", maxReportHeader)
	}
	h := textproto.MIMEHeader{}
	// A broken line takes itself away and no other: the reported mail is an intruder's, and the report's may be too.
	var name, value string
	flush := func() {
		if name != "" && len(h) < 1000 {
			h.Add(name, strings.TrimSpace(value))
		}
		name, value = "", ""
	}
	for line := range bytes.Lines(head) {
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		if text[0] == ' ' || text[0] == '\t' {
			if name != "" {
				value += " " + strings.TrimSpace(text)
			}
			continue
		}
		flush()
		n, v, ok := strings.Cut(text, ":")
		if n = strings.TrimRight(n, " \t"); ok && n != "" && !strings.ContainsAny(n, " \t") {
			name, value = textproto.CanonicalMIMEHeaderKey(n), v
		}
	}
	flush()
	if len(h) == 0 {
		return nil, nil, fmt.Errorf("it has no header fields")
	}
	return h, raw[len(head):], nil
}

type reportWalk struct {
	r     *ReportMail
	parts int
	left  int64
	text  string // the first text of the report itself
}

func (w *reportWalk) entity(h textproto.MIMEHeader, body []byte, depth int) {
	if w.parts--; w.parts < 0 || depth > maxReportDepth {
		w.r.note("it has more parts than are looked at")
		return
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && kind == "" {
		kind = "text/plain"
		if v := h.Get("Content-Type"); v != "" {
			kind, _, _ = strings.Cut(strings.ToLower(v), ";")
		}
	}
	name := params["name"]
	if _, d, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && d["filename"] != "" {
		name = d["filename"]
	}
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		w.multipart(body, params["boundary"], depth)
	case kind == "message/rfc822" || kind == "message/global" || strings.HasSuffix(strings.ToLower(name), ".eml"):
		w.message(w.decode(h, body))
	case strings.HasSuffix(strings.ToLower(name), ".msg") || kind == "application/vnd.ms-outlook":
		w.r.note("it carries a message in Outlook's own format, which is not read; let the mail program forward it as .eml")
	case kind == "text/plain" && w.text == "":
		w.text = string(w.decode(h, body))
	case kind == "text/html" && w.text == "":
		w.text = barely(string(w.decode(h, body)))
	}
}

func (w *reportWalk) multipart(body []byte, boundary string, depth int) {
	if boundary == "" || len(boundary) > 200 {
		w.r.note("a multipart names no boundary")
		return
	}
	mr := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			return
		}
		if err != nil {
			w.r.note("a part can't be read: " + err.Error())
			return
		}
		data, err := io.ReadAll(io.LimitReader(p, max(0, w.left)+1))
		if w.left -= int64(len(data)); w.left < 0 {
			w.r.note("it is larger than what is looked at")
			return
		}
		if err != nil && len(data) == 0 {
			w.r.note("a part can't be read: " + err.Error())
			return
		}
		if w.entity(p.Header, data, depth+1); w.parts < 0 {
			return
		}
	}
}

// decode undoes the transfer encoding; for messages too, which should have none (RFC 2046 5.2.1) and often do.
func (w *reportWalk) decode(h textproto.MIMEHeader, body []byte) []byte {
	var in io.Reader
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding"))) {
	case "base64":
		in = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body))
	case "quoted-printable":
		in = quotedprintable.NewReader(bytes.NewReader(body))
	default:
		return body
	}
	out, err := io.ReadAll(io.LimitReader(in, max(0, w.left)))
	w.left -= int64(len(out))
	if err != nil {
		w.r.note("a part is encoded wrongly and was read in part")
	}
	return out
}

func (w *reportWalk) message(raw []byte) {
	raw = bytes.TrimLeft(raw, "\r\n")
	if len(raw) == 0 {
		return
	}
	if len(w.r.Messages) >= maxReported {
		w.r.note(fmt.Sprintf("it carries more than %d messages", maxReported))
		return
	}
	w.r.Messages = append(w.r.Messages, Reported{Raw: raw})
}

var tags = regexp.MustCompile(`(?is)<(?:style|script)\b.*?</(?:style|script)>|<br[^>]*>|</(?:p|div|tr|h[1-6])>|<[^>]*>`)

// barely turns HTML into lines; the decoder of mail reads it properly afterwards.
func barely(html string) string {
	if len(html) > 1<<20 {
		html = html[:1<<20]
	}
	text := tags.ReplaceAllStringFunc(html, func(t string) string {
		if t = strings.ToLower(t); strings.HasPrefix(t, "<br") || strings.HasPrefix(t, "</") {
			return "\n"
		}
		return ""
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&nbsp;", " ", "&quot;", `"`).Replace(text)
}

// forwardMark are the lines with which programs begin a forwarded message.
var forwardMark = regexp.MustCompile(`(?i)^\s*>?\s*(-{2,}\s*(original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|message transféré|message transmis|mensaje original|mensaje reenviado|messaggio inoltrato|messaggio originale|oorspronkelijk bericht|doorgestuurd bericht)\s*-*|begin forwarded message:|anfang der weitergeleiteten nachricht:|début du message réexpédié :?|_{20,})\s*$`)

// forwardField are the fields under such a line, by what they mean.
var forwardField = map[string]string{
	"from": "From", "von": "From", "de": "From", "da": "From", "van": "From",
	"sent": "Date", "date": "Date", "gesendet": "Date", "datum": "Date", "envoyé": "Date", "enviado": "Date", "fecha": "Date", "inviato": "Date", "data": "Date", "verzonden": "Date",
	"to": "To", "an": "To", "à": "To", "para": "To", "a": "To", "aan": "To",
	"subject": "Subject", "betreff": "Subject", "objet": "Subject", "asunto": "Subject", "oggetto": "Subject", "onderwerp": "Subject",
	"cc": "Cc", "kopie": "Cc",
}

// forwarded puts a message together from a text that forwards it; nil where it can't be told.
func forwarded(text string) []byte {
	if len(text) > 1<<20 {
		text = text[:1<<20]
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		if len(l) < 200 && forwardMark.MatchString(l) {
			if m := fromForwarded(lines[i+1:]); m != nil {
				return m
			}
		}
	}
	return nil
}

func fromForwarded(lines []string) []byte {
	field := map[string]string{}
	at := 0
	for ; at < len(lines) && at < 30; at++ {
		l := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(lines[at]), ">*"))
		if l == "" {
			if len(field) > 0 {
				break
			}
			continue
		}
		name, value, ok := strings.Cut(l, ":")
		meaning := forwardField[strings.ToLower(strings.Trim(name, "* \u00a0"))]
		if !ok || meaning == "" {
			if len(field) == 0 {
				return nil
			}
			break
		}
		if field[meaning] == "" {
			field[meaning] = strings.TrimSpace(strings.Trim(value, "* "))
		}
	}
	if field["From"] == "" || field["Subject"] == "" {
		return nil
	}
	var b strings.Builder
	for _, name := range []string{"From", "To", "Cc", "Date", "Subject"} {
		v := field[name]
		if v == "" {
			continue
		}
		if name == "Date" {
			// Programs write it in the reader's language; only one that is a mail's own is taken.
			if _, err := netmail.ParseDate(v); err != nil {
				continue
			}
		}
		if name == "Subject" {
			v = mime.BEncoding.Encode("utf-8", clip(v))
		}
		b.WriteString(name + ": " + strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, v) + "\r\n")
	}
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	b.WriteString(strings.Join(lines[at:], "\r\n"))
	return []byte(b.String())
}
