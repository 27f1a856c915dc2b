package scenario

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/netip"
	"strings"
	"time"
)

// mailHouse is an organisation as its mail shows it.
type mailHouse struct {
	name, short, domain string
	street, phone       string
	gateway             string     // takes mail from outside, and stands in Authentication-Results
	out                 string     // sends to outside
	outIP               netip.Addr // its address
	inner               string     // mailbox server behind it; empty: none is seen
	innerIP             netip.Addr
	zone                *time.Location
	notice              bool // a sentence about confidentiality under each mail
}

// mailer is somebody who writes mail, or a desk, with habits.
type mailer struct {
	name, given, addr string
	role              string // job title, as the signature has it
	part              string // finance, hr, manager, desk; empty: one of the others
	house             *mailHouse
	lang              string
	prog              program
	greet, close      int
	desk, home        netip.Addr
	robot             bool
}

// where a message was written, where not at the sender's desk.
type origin struct {
	ip    netip.Addr
	name  string // how the border names the caller
	helo  string
	agent string // other program than usual
}

// message is one mail, complete enough to be written out and quoted.
type message struct {
	t        time.Time
	from, to *mailer
	fromName string // another display name
	cc       []*mailer
	hidden   bool // the recipients are not named
	replyTo  string
	subject  string
	lang     string
	text     string // with greeting, closing and signature; links are marked
	answers  *message
	refs     []string
	id       string
	prog     program
	origin   *origin
	files    []attachment
	bulk     string // what List-Unsubscribe names; empty: no bulk mail
	topic    words
	kind     string // label for the truth
	alone    bool   // doesn't quote what it answers
	auth     string // pass (also empty), fail, none
	inbound  bool   // stored by the recipient, also where it never left the house
}

const mailDate = "Mon, 02 Jan 2006 15:04:05 -0700"

// identify draws the Message-ID as the program forms it.
func (m *message) identify(r *rng) {
	h := m.from.house
	switch m.prog {
	case progOutlook:
		host := h.inner
		if host == "" {
			host = h.out
		}
		m.id = r.hex(16) + "@" + host
	case progWebmail:
		m.id = "CA" + r.token(9) + "=" + r.token(28) + "@mail." + h.domain
	case progPhone:
		m.id = upper(r.guid()) + "@" + h.domain
	case progBird:
		m.id = r.guid() + "@" + h.domain
	default:
		m.id = fmt.Sprintf("%d.%s.%d@%s", m.t.Unix(), r.token(6), r.between(1, 9), h.out)
	}
}

// in returns the time in the sender's zone.
func (h *mailHouse) in(t time.Time) time.Time {
	if h.zone == nil {
		return t
	}
	return t.In(h.zone)
}

// header writes a field whose value may need encoding (RFC 2047).
func header(b *bytes.Buffer, name, value string) {
	if value != "" {
		fmt.Fprintf(b, "%s: %s\n", name, mime.QEncoding.Encode("utf-8", value))
	}
}

func address(name, addr string) string {
	if name == "" {
		return "<" + addr + ">"
	}
	if n := mime.QEncoding.Encode("utf-8", name); n != name {
		return n + " <" + addr + ">"
	}
	if strings.ContainsAny(name, `.,()@:;<>"`) {
		name = `"` + strings.ReplaceAll(name, `"`, "") + `"`
	}
	return name + " <" + addr + ">"
}

// write renders the message as the gateway of the tenant stored it: received from outside, or, where the tenant wrote
// it, on its way out. r draws ids, boundaries and how long the servers took.
func (m *message) write(r *rng) []byte {
	var b bytes.Buffer
	f, out := m.from.house, m.from.house
	arrived := m.t
	handed := arrived.Add(-r.span(time.Second, 7*time.Second))
	sent := handed.Add(-r.span(time.Second, 12*time.Second))
	in := m.to.house
	received := m.from.addr
	fmt.Fprintf(&b, "Return-Path: <%s>\n", received)
	if in != f || m.inbound {
		fmt.Fprintf(&b, "Received: from %s (%s [%s])\n\tby %s (Postfix) with ESMTPS id 4%s\n\tfor <%s>; %s\n", out.out, out.out, out.outIP, in.gateway, r.token(12), m.to.addr, in.in(arrived).Format(mailDate))
		m.authenticated(&b, in)
	}
	m.submission(&b, r, handed)
	fmt.Fprintf(&b, "From: %s\n", address(orElse(m.fromName, m.from.name), m.from.addr))
	if m.hidden {
		b.WriteString("To: undisclosed-recipients:;\n")
	} else {
		fmt.Fprintf(&b, "To: %s\n", address(m.to.name, m.to.addr))
		for i, c := range m.cc {
			b.WriteString([]string{"Cc: ", ",\n\t"}[min(i, 1)] + address(c.name, c.addr))
		}
		if len(m.cc) > 0 {
			b.WriteByte('\n')
		}
	}
	if m.replyTo != "" {
		fmt.Fprintf(&b, "Reply-To: <%s>\n", m.replyTo)
	}
	header(&b, "Subject", m.subject)
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <%s>\n", m.stampOf(sent), m.id)
	if m.answers != nil {
		fmt.Fprintf(&b, "In-Reply-To: <%s>\nReferences: <%s>\n", m.answers.id, strings.Join(m.refs, ">\n\t<"))
	}
	m.programHeaders(&b, r)
	if m.bulk != "" {
		fmt.Fprintf(&b, "List-Unsubscribe: <%s>\nPrecedence: bulk\n", m.bulk)
	}
	b.WriteString("MIME-Version: 1.0\n")
	m.body(&b, r)
	return b.Bytes()
}

// stampOf is the Date header; an origin in another zone shows there.
func (m *message) stampOf(sent time.Time) string { return m.from.house.in(sent).Format(mailDate) }

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// authenticated writes what the tenant's gateway found (RFC 8601).
func (m *message) authenticated(b *bytes.Buffer, in *mailHouse) {
	d := m.from.house.domain
	if _, after, ok := strings.Cut(m.from.addr, "@"); ok {
		d = after
	}
	spf, dkim, dmarc := "pass", "pass header.d="+d+" header.s=s1", "pass (p=quarantine)"
	switch m.auth {
	case "fail":
		spf, dkim, dmarc = "softfail", "none", "fail (p=none)"
	case "none":
		dkim, dmarc = "none", "none"
	}
	fmt.Fprintf(b, "Authentication-Results: %s;\n\tspf=%s smtp.mailfrom=%s;\n\tdkim=%s;\n\tdmarc=%s header.from=%s\n", in.gateway, spf, d, dkim, dmarc, d)
}

// submission writes how the sender's own server got the message.
func (m *message) submission(b *bytes.Buffer, r *rng, handed time.Time) {
	h := m.from.house
	at := h.in(handed).Format(mailDate)
	switch {
	case m.origin != nil:
		fmt.Fprintf(b, "Received: from %s (%s [%s])\n\tby %s (Postfix) with ESMTPSA id %s\n\tfor <%s>; %s\n", m.origin.helo, m.origin.name, m.origin.ip, h.out, r.token(11), m.to.addr, at)
	case h.inner == "":
	case m.prog == progOutlook:
		fmt.Fprintf(b, "Received: from %s (%s [%s])\n\tby %s (Postfix) with ESMTPS id %s\n\tfor <%s>; %s\n", h.inner, h.inner, h.innerIP, h.out, r.token(11), m.to.addr, at)
		fmt.Fprintf(b, "Received: from %s ([fe80::%s]) by\n\t%s ([fe80::%s%%%d]) with mapi id 15.02.1544.0%02d; %s\n", h.inner, r.hex(2)+":"+r.hex(2), h.inner, r.hex(2)+":"+r.hex(2), r.between(3, 9), r.between(4, 36), h.in(handed.Add(-time.Second)).Format(mailDate))
	case m.from.robot:
		fmt.Fprintf(b, "Received: by %s (Postfix, from userid %d)\n\tid %s; %s\n", h.out, r.between(990, 1010), r.token(11), at)
	default:
		fmt.Fprintf(b, "Received: from [%s] (%s [%s])\n\tby %s (Postfix) with ESMTPSA id %s\n\tfor <%s>; %s\n", m.from.desk, "unknown", m.from.desk, h.out, r.token(11), m.to.addr, at)
	}
}

// body writes the MIME structure: mixed around related around alternative, as far as each is needed.
func (m *message) body(b *bytes.Buffer, r *rng) {
	var inline, files, calendar []attachment
	for i, f := range m.files {
		switch {
		case f.inline:
			inline = append(inline, m.files[i])
		case f.calendar:
			calendar = append(calendar, m.files[i])
		default:
			files = append(files, m.files[i])
		}
	}
	cid := ""
	if len(inline) > 0 {
		cid = "image001." + r.hex(4) + "@" + m.from.house.domain
	}
	var text, alternative, related bytes.Buffer
	textPart(&text, "text/plain; charset=utf-8", "", m.plain())
	if m.prog.html() || len(inline) > 0 || len(calendar) > 0 {
		edge := m.prog.edge(r)
		fmt.Fprintf(&alternative, "Content-Type: multipart/alternative; boundary=\"%s\"\n\n--%s\n%s--%s\n", edge, edge, text.Bytes(), edge)
		textPart(&alternative, "text/html; charset=utf-8", "", m.html(cid))
		for _, c := range calendar {
			fmt.Fprintf(&alternative, "--%s\n", edge)
			textPart(&alternative, "text/calendar; charset=utf-8; method=REQUEST; name=\""+c.name+"\"", "", string(c.content))
		}
		fmt.Fprintf(&alternative, "--%s--\n", edge)
		text = alternative
	}
	if len(inline) > 0 {
		edge := m.prog.edge(r)
		fmt.Fprintf(&related, "Content-Type: multipart/related; boundary=\"%s\"; type=\"multipart/alternative\"\n\n--%s\n%s", edge, edge, text.Bytes())
		for _, f := range inline {
			fmt.Fprintf(&related, "--%s\n", edge)
			binaryPart(&related, f, cid)
		}
		fmt.Fprintf(&related, "--%s--\n", edge)
		text = related
	}
	if len(files) == 0 {
		b.Write(text.Bytes())
		return
	}
	edge := m.prog.edge(r)
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\n--%s\n%s", edge, edge, text.Bytes())
	for _, f := range files {
		fmt.Fprintf(b, "--%s\n", edge)
		binaryPart(b, f, "")
	}
	fmt.Fprintf(b, "--%s--\n", edge)
}

// textPart writes a text part in the plainest encoding that holds it.
func textPart(b *bytes.Buffer, kind, more, text string) {
	text = strings.TrimRight(text, "\n") + "\n"
	ascii, long := true, false
	for _, line := range strings.Split(text, "\n") {
		long = long || len(line) > 900
	}
	for i := range len(text) {
		ascii = ascii && text[i] < 0x80
	}
	fmt.Fprintf(b, "Content-Type: %s\n%s", kind, more)
	if ascii && !long {
		fmt.Fprintf(b, "Content-Transfer-Encoding: 7bit\n\n%s", text)
		return
	}
	b.WriteString("Content-Transfer-Encoding: quoted-printable\n\n")
	var q bytes.Buffer
	w := quotedprintable.NewWriter(&q)
	w.Write([]byte(text))
	w.Close()
	b.Write(bytes.ReplaceAll(q.Bytes(), []byte("\r\n"), []byte("\n")))
}

func binaryPart(b *bytes.Buffer, f attachment, cid string) {
	fmt.Fprintf(b, "Content-Type: %s; name=\"%s\"\nContent-Transfer-Encoding: base64\n", f.mime, f.name)
	if cid != "" {
		fmt.Fprintf(b, "Content-ID: <%s>\nContent-Disposition: inline; filename=\"%s\"\n\n", cid, f.name)
	} else {
		fmt.Fprintf(b, "Content-Disposition: attachment; filename=\"%s\"\n\n", f.name)
	}
	b.WriteString(base64Lines(f.content))
}
