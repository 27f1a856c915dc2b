package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// mailFile stands for the folder of messages: each is a file of its own.
const mailFile = "mail/"

// letter is one received message.
type letter struct {
	t        time.Time
	from     string // display name
	addr     string
	helo     string // sending host
	ip       netip.Addr
	to       *person
	subject  string
	text     string
	link     string // optional
	linkText string
	dmarc    string // pass (default), fail, none
	bulk     bool   // carries List-Unsubscribe
	reply    string // Message-ID answered
	id       string // Message-ID, drawn when empty
	multi    bool   // more than one part even without a link
}

// letter writes a message as the recipient's mail server stored it.
func (s *scribe) letter(o *org, l letter) {
	_, domain, _ := strings.Cut(l.addr, "@")
	if l.id == "" {
		l.id = fmt.Sprintf("%s.%d@%s", s.n.hex(8), l.t.Unix(), l.helo)
	}
	spf, dkim, dmarc := "pass", "pass header.d="+domain+" header.s=s1", "pass (p=quarantine)"
	switch l.dmarc {
	case "fail":
		spf, dkim, dmarc = "softfail", "none", "fail (p=none)"
	case "none":
		dkim, dmarc = "none", "none"
	}
	var b strings.Builder
	date := l.t.Format("Mon, 02 Jan 2006 15:04:05 -0700")
	fmt.Fprintf(&b, "Return-Path: <%s>\nReceived: from %s (%s [%s])\n\tby mx1.%s (Postfix) with ESMTPS id 4%s\n\tfor <%s>; %s\n", l.addr, l.helo, l.helo, l.ip, o.domain, s.n.token(12), l.to.mail, date)
	fmt.Fprintf(&b, "Authentication-Results: mx1.%s;\n\tspf=%s smtp.mailfrom=%s;\n\tdkim=%s;\n\tdmarc=%s header.from=%s\n", o.domain, spf, domain, dkim, dmarc, domain)
	fmt.Fprintf(&b, "From: %s <%s>\nTo: %s\nSubject: %s\nDate: %s\nMessage-ID: <%s>\n", l.from, l.addr, l.to.mail, l.subject,
		l.t.Add(-s.n.span(time.Second, 20*time.Second)).Format("Mon, 02 Jan 2006 15:04:05 -0700"), l.id)
	if l.reply != "" {
		fmt.Fprintf(&b, "In-Reply-To: <%s>\nReferences: <%s>\n", l.reply, l.reply)
	}
	if l.bulk {
		fmt.Fprintf(&b, "List-Unsubscribe: <https://%s/unsubscribe>\nPrecedence: bulk\n", domain)
	}
	b.WriteString("MIME-Version: 1.0\n")
	if l.link == "" && !l.multi {
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\n\n%s\n", l.text)
	} else {
		edge := "=_" + s.n.hex(8)
		fmt.Fprintf(&b, "Content-Type: multipart/alternative; boundary=\"%s\"\n\n--%s\nContent-Type: text/plain; charset=utf-8\n\n%s\n\n%s\n", edge, edge, l.text, l.link)
		fmt.Fprintf(&b, "--%s\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>%s</p>", edge, strings.ReplaceAll(l.text, "\n", "<br>"))
		if l.link != "" {
			fmt.Fprintf(&b, "<p><a href=\"%s\">%s</a></p>", l.link, l.linkText)
		}
		fmt.Fprintf(&b, "</body></html>\n--%s--\n", edge)
	}
	name := fmt.Sprintf("%d.M%06dP%d.mx1", l.t.Unix(), s.n.IntN(1_000_000), s.n.between(1000, 99999))
	if !o.maildir {
		name = fmt.Sprintf("%s-%06d%05d.eml", l.t.Format("20060102-150405"), s.n.IntN(1_000_000), s.n.between(10000, 99999))
	}
	s.put(o, mailFile, rec{t: l.t, line: b.String(), name: name, step: s.step})
}

// from fills in a sender inside an organisation, sent through its own mail server.
func (l letter) fromPerson(o *org, p *person) letter {
	l.from, l.addr, l.helo, l.ip = p.full(), p.mail, "mail."+o.domain, o.mx
	return l
}

// stranger fills in a sender whose own domain has the given address.
func (l letter) stranger(name, addr string, ip netip.Addr) letter {
	_, domain, _ := strings.Cut(addr, "@")
	l.from, l.addr, l.helo, l.ip = name, addr, "mail."+domain, ip
	return l
}
