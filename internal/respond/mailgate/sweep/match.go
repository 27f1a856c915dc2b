package sweep

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	netmail "net/mail"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxWanted bounds the values of a request.
const maxWanted = 10_000

// Criteria say which messages are wanted. Within a field any value is enough; of several fields all must fit. At least
// one of MessageIDs, Indicators, From, Subjects and Verdict is needed.
type Criteria struct {
	MessageIDs []string `json:"message_ids,omitempty"`
	// Indicators are URLs, hosts and domains (with what is below them), addresses of senders, SHA-256 hashes of
	// attachments, hashes of texts (ocsf.Mail.BodyHash), and Message-IDs in angle brackets.
	Indicators []string `json:"indicators,omitempty"`
	From       []string `json:"from,omitempty"` // addresses, or domains with what is below them
	Subjects   []string `json:"subjects,omitempty"`
	// Verdict is phish, or suspicious, which is either: messages are judged anew as they lie in the mailbox.
	Verdict string    `json:"verdict,omitempty"`
	Since   time.Time `json:"since,omitzero"` // got at this time or later
	Until   time.Time `json:"until,omitzero"`
}

// Judge scores a message for a tenant as it lies in a mailbox.
type Judge func(ctx context.Context, id tenant.ID, raw []byte) ocsf.MailVerdict

// matcher is criteria, ready to be asked.
type matcher struct {
	c       Criteria
	ids     map[string]bool
	from    map[string]bool
	subject map[string]bool
	urls    map[string]bool
	hosts   map[string]bool // also domains
	senders map[string]bool
	hashes  map[string]bool
	anyID   map[string]bool // Message-IDs among the indicators
	judge   Judge
	tenant  tenant.ID
}

func newMatcher(c Criteria, id tenant.ID, judge Judge) (*matcher, error) {
	m := &matcher{c: c, tenant: id, judge: judge, ids: map[string]bool{}, from: map[string]bool{}, subject: map[string]bool{}, urls: map[string]bool{},
		hosts: map[string]bool{}, senders: map[string]bool{}, hashes: map[string]bool{}, anyID: map[string]bool{}}
	if n := len(c.MessageIDs) + len(c.Indicators) + len(c.From) + len(c.Subjects); n > maxWanted {
		return nil, fmt.Errorf("%d values are looked for, and at most %d can be at once", n, maxWanted)
	} else if n == 0 && c.Verdict == "" {
		return nil, errors.New("nothing says which messages are wanted: name a Message-ID, an indicator, a sender, a subject or a verdict")
	}
	switch c.Verdict {
	case "":
	case "phish", "suspicious":
		if judge == nil {
			return nil, errors.New("a verdict is asked for, and there is nothing to judge with")
		}
	default:
		return nil, fmt.Errorf("%q is no verdict: use phish or suspicious", clip(c.Verdict))
	}
	for _, v := range c.MessageIDs {
		id := bareID(v)
		if id == "" || strings.ContainsAny(id, " \t\r\n\x00") {
			return nil, fmt.Errorf("%q is no Message-ID", clip(v))
		}
		m.ids[id] = true
	}
	for _, v := range c.From {
		v = strings.ToLower(strings.Trim(strings.TrimSpace(v), "<>@"))
		if v == "" || strings.ContainsAny(v, " \t\r\n\x00") {
			return nil, fmt.Errorf("%q is neither an address nor a domain", clip(v))
		}
		m.from[v] = true
	}
	for _, v := range c.Subjects {
		if v = oneSpace(v); v == "" {
			return nil, errors.New("an empty subject would fit too much")
		}
		m.subject[strings.ToLower(v)] = true
	}
	for _, v := range c.Indicators {
		if err := m.indicator(strings.TrimSpace(v)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// indicator takes one value by what it looks like.
func (m *matcher) indicator(v string) error {
	low := strings.ToLower(v)
	switch {
	case v == "" || len(v) > 8<<10 || strings.ContainsAny(v, "\r\n\x00"):
		return fmt.Errorf("%q is no indicator", clip(v))
	case strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">"):
		m.anyID[bareID(v)] = true
	case strings.Contains(v, "://"):
		u, err := url.Parse(v)
		if err != nil || u.Host == "" {
			return fmt.Errorf("the indicator %q is no URL that can be read", clip(v))
		}
		m.urls[sameURL(v)] = true
	case strings.Contains(v, "@"):
		m.senders[strings.Trim(low, "@")] = true
	case len(low) >= 16 && strings.Trim(low, "0123456789abcdef") == "":
		m.hashes[low] = true
	case isAddress(low) || strings.Contains(low, ".") && !strings.ContainsAny(low, " /\\"):
		m.hosts[strings.Trim(low, ".")] = true
	default:
		return fmt.Errorf("%q is no indicator: write a URL, a host, an address, a SHA-256 or a Message-ID in angle brackets", clip(v))
	}
	return nil
}

func isAddress(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

// sameURL writes a URL so that two writings of one address are equal: host in lower case, no fragment, no final slash.
func sameURL(v string) string {
	u, err := url.Parse(v)
	if err != nil {
		return v
	}
	u.Fragment, u.RawFragment = "", ""
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimSuffix(u.String(), "/")
}

func bareID(v string) string { return strings.Trim(strings.TrimSpace(v), "<>") }

// deep says whether the text of messages must be read.
func (m *matcher) deep() bool {
	return m.c.Verdict != "" || len(m.urls)+len(m.hosts)+len(m.hashes) > 0
}

// searches are what the server is asked: each may name more than is wanted, and what it names is looked at. Values of
// letters beyond ASCII, and many values, are not asked for: then all of the time is read.
func (m *matcher) searches() []*imap.SearchCriteria {
	base := imap.SearchCriteria{}
	if !m.c.Since.IsZero() {
		base.Since = m.c.Since.UTC().AddDate(0, 0, -1) // a server compares days in its own zone
	}
	if !m.c.Until.IsZero() {
		base.Before = m.c.Until.UTC().AddDate(0, 0, 2)
	}
	field, values := "", map[string]bool(nil)
	switch {
	case len(m.ids) > 0:
		field, values = "Message-ID", m.ids
	case len(m.anyID) > 0 && len(m.anyID) == len(m.c.Indicators):
		field, values = "Message-ID", m.anyID
	case len(m.from) > 0:
		field, values = "From", m.from
	case len(m.subject) > 0:
		field, values = "Subject", m.subject
	}
	if field == "" || len(values) > 50 {
		return []*imap.SearchCriteria{&base}
	}
	var out []*imap.SearchCriteria
	for _, v := range sortedKeys(values) {
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			return []*imap.SearchCriteria{&base}
		}
		if field == "Subject" { // folded and encoded subjects are compared by us; a server looks for a word
			if v = longestWord(v); len(v) < 3 {
				return []*imap.SearchCriteria{&base}
			}
		}
		c := base
		c.Header = []imap.SearchCriteriaHeaderField{{Key: field, Value: v}}
		out = append(out, &c)
	}
	return out
}

func longestWord(s string) string {
	best := ""
	for _, w := range strings.Fields(s) {
		if len(w) > len(best) {
			best = w
		}
	}
	return best
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// heading is what a header section says of a message.
type heading struct {
	id, from, subject string
}

func readHeading(raw []byte) heading {
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.TrimRight(raw, "\r\n"), "\r\n\r\n"...)))).ReadMIMEHeader()
	var out heading
	out.id = bareID(h.Get("Message-Id"))
	if a, err := netmail.ParseAddress(h.Get("From")); err == nil {
		out.from = strings.ToLower(a.Address)
	} else if i := strings.LastIndexByte(h.Get("From"), '<'); i >= 0 {
		out.from, _, _ = strings.Cut(strings.ToLower(h.Get("From")[i+1:]), ">")
	} else {
		out.from = strings.ToLower(strings.TrimSpace(h.Get("From")))
	}
	d := mime.WordDecoder{}
	out.subject = h.Get("Subject")
	if s, err := d.DecodeHeader(out.subject); err == nil {
		out.subject = s
	}
	out.subject = oneSpace(out.subject)
	return out
}

func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// timely says whether a message came within the asked time.
func (m *matcher) timely(t time.Time) bool {
	return (m.c.Since.IsZero() || !t.Before(m.c.Since)) && (m.c.Until.IsZero() || t.Before(m.c.Until))
}

// head looks at the header: no means that the message is not wanted, whatever its text says.
func (m *matcher) head(h *heading) (why string, no bool) {
	if len(m.ids) > 0 {
		if !m.ids[h.id] {
			return "", true
		}
		why = "Message-ID " + h.id
	}
	if len(m.from) > 0 {
		if !under(m.from, h.from) {
			return "", true
		}
		why = add(why, "from "+h.from)
	}
	if len(m.subject) > 0 {
		if !m.subject[strings.ToLower(h.subject)] {
			return "", true
		}
		why = add(why, "subject "+h.subject)
	}
	if !m.deep() && len(m.c.Indicators) > 0 {
		w := m.headIndicator(h)
		if w == "" {
			return "", true
		}
		why = add(why, w)
	}
	return why, false
}

func (m *matcher) headIndicator(h *heading) string {
	switch {
	case m.anyID[h.id]:
		return "Message-ID " + h.id
	case under(m.senders, h.from) || under(m.hosts, h.from):
		return "sender " + h.from
	}
	return ""
}

// under says whether an address, or a domain that it lies under, is among the wanted.
func under(wanted map[string]bool, address string) bool {
	if wanted[address] {
		return true
	}
	_, host, ok := strings.Cut(address, "@")
	return ok && below(wanted, host)
}

func below(wanted map[string]bool, host string) bool {
	for host = strings.Trim(host, "."); host != ""; {
		if wanted[host] {
			return true
		}
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return false
		}
		host = rest
	}
	return false
}

// body looks at the whole message, after head.
func (m *matcher) body(ctx context.Context, h *heading, why string, raw []byte) (string, *ocsf.MailVerdict) {
	if len(m.c.Indicators) > 0 {
		w := m.headIndicator(h)
		if w == "" {
			w = m.textIndicator(raw)
		}
		if w == "" {
			return "", nil
		}
		why = add(why, w)
	}
	if m.c.Verdict == "" {
		return why, nil
	}
	v := m.judge(ctx, m.tenant, raw)
	if v.Verdict != "phish" && (m.c.Verdict != "suspicious" || v.Verdict != "suspicious") {
		return "", nil
	}
	text := fmt.Sprintf("%s, %.2f", v.Verdict, v.Score)
	if len(v.Reasons) > 0 {
		text += ": " + v.Reasons[0].Text
	}
	return add(why, text), &v
}

func (m *matcher) textIndicator(raw []byte) string {
	e, _ := mail.Message(raw)
	if e == nil {
		return ""
	}
	return m.event(e)
}

// event returns which indicator a decoded message bears.
func (m *matcher) event(e *ocsf.Event) string {
	for _, l := range e.Mail.Links {
		if why := m.place(l.URL, l.Host); why != "" {
			return why
		}
		if to, host, rewritten := l.Target(); rewritten {
			if why := m.place(to, host); why != "" {
				return why
			}
		}
	}
	for _, a := range e.Mail.Attachments {
		if m.hashes[strings.ToLower(a.SHA256)] {
			return "attachment " + a.SHA256
		}
	}
	if e.Mail.BodyHash != "" && m.hashes[strings.ToLower(e.Mail.BodyHash)] {
		return "text " + e.Mail.BodyHash
	}
	return ""
}

// place returns which indicator a link is.
func (m *matcher) place(address, host string) string {
	if len(m.urls) > 0 && m.urls[sameURL(address)] {
		return "link " + clip(address)
	}
	if host != "" && below(m.hosts, host) || m.hosts[host] {
		return "link to " + clip(host)
	}
	return ""
}

func add(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
