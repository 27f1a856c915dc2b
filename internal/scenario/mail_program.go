package scenario

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// program is a mail program, as far as its messages differ.
type program int

// The usual ones: Outlook with Exchange, a webmail, a phone, Thunderbird, and what machines send.
const (
	progOutlook program = iota
	progWebmail
	progPhone
	progBird
	progMachine
)

// people's programs, by how usual they are.
var usualPrograms = []program{progOutlook, progOutlook, progOutlook, progWebmail, progWebmail, progBird, progPhone}

func (p program) html() bool { return p != progPhone }

func (p program) edge(r *rng) string {
	switch p {
	case progOutlook:
		return fmt.Sprintf("_00%d_%s_", r.between(2, 9), r.token(20))
	case progWebmail:
		return "0000000000" + r.hex(9)
	case progPhone:
		return "Apple-Mail-" + upper(r.guid())
	case progBird:
		return "------------" + r.token(24)
	}
	return "=_" + r.hex(8)
}

func (m *message) programHeaders(b *bytes.Buffer, r *rng) {
	switch m.prog {
	case progOutlook:
		header(b, "Thread-Topic", bareSubject(m.subject))
		fmt.Fprintf(b, "Accept-Language: %s, en-US\nContent-Language: %s\n", locales[m.lang], locales[m.lang])
		if len(m.files) > 0 {
			b.WriteString("X-MS-Has-Attach: yes\n")
		}
	case progPhone:
		fmt.Fprintf(b, "X-Mailer: iPhone Mail (22F%d)\n", 70+len(m.from.addr)%9)
	case progBird:
		b.WriteString("User-Agent: Mozilla Thunderbird\n")
	case progMachine:
		if m.from.robot {
			b.WriteString("Auto-Submitted: auto-generated\n")
		}
	}
	if m.origin != nil && m.origin.agent != "" {
		fmt.Fprintf(b, "X-Mailer: %s\n", m.origin.agent)
	}
}

var locales = map[string]string{"en": "en-GB", "de": "de-DE", "fr": "fr-FR"}

// bareSubject cuts what replies and forwards put before it.
func bareSubject(s string) string {
	for _, l := range languages {
		for _, p := range []string{tongues[l].reply, tongues[l].forward} {
			s = strings.TrimPrefix(s, p)
		}
	}
	return s
}

// marked cuts a text at its links and calls yield for each piece; address is empty outside a link.
func marked(text string, yield func(piece, address string)) {
	for {
		before, rest, ok := strings.Cut(text, string(linkOpen))
		if before != "" {
			yield(before, "")
		}
		if !ok {
			return
		}
		link, after, _ := strings.Cut(rest, string(linkClose))
		label, address, _ := strings.Cut(link, string(linkMid))
		yield(label, address)
		text = after
	}
}

// asPlain writes links as text.
func asPlain(text string) string {
	var b strings.Builder
	marked(text, func(piece, address string) {
		switch {
		case address == "":
			b.WriteString(piece)
		case piece == "":
			b.WriteString(address)
		default:
			b.WriteString(piece + " <" + address + ">")
		}
	})
	return b.String()
}

// plain is the text part, with the quote.
func (m *message) plain() string {
	text := asPlain(m.text)
	if m.answers == nil || m.alone {
		return text
	}
	return text + "\n\n" + m.quoteHead() + m.quoted()
}

// quoted is the answered message as the program repeats it; older ones it quoted go three deep.
func (m *message) quoted() string {
	old := m.answers.plainTo(3)
	if m.prog == progOutlook {
		return old
	}
	return "> " + strings.ReplaceAll(old, "\n", "\n> ")
}

func (m *message) plainTo(depth int) string {
	text := asPlain(m.text)
	if m.answers == nil || m.alone || depth == 0 {
		return text
	}
	return text + "\n\n" + m.quoteHead() + "> " + strings.ReplaceAll(m.answers.plainTo(depth-1), "\n", "\n> ")
}

// quoteHead introduces the quote in the writer's language.
func (m *message) quoteHead() string {
	l, q := tongues[m.from.lang], m.answers
	at := m.from.house.in(q.t)
	if m.prog == progOutlook {
		return fmt.Sprintf("%s\n%s %s <%s>\n%s %s %s\n%s %s\n%s %s\n\n", l.original, l.from, q.from.name, q.from.addr, l.sent, l.stamp(at), at.Format("15:04"), l.to, q.to.name, l.subject, q.subject)
	}
	return fmt.Sprintf(l.wrote, l.day(at)+" "+fmt.Sprint(at.Year()), at.Format("15:04"), q.from.name) + "\n"
}

// asHTML writes a text with its links as lines of HTML.
func asHTML(text string) string {
	var b strings.Builder
	marked(text, func(piece, address string) {
		if address == "" {
			b.WriteString(html.EscapeString(piece))
			return
		}
		fmt.Fprintf(&b, `<a href="%s">%s</a>`, html.EscapeString(address), html.EscapeString(orElse(piece, address)))
	})
	return b.String()
}

// html is the same text as the program formats it.
func (m *message) html(cid string) string {
	text := asHTML(m.text)
	picture := ""
	if cid != "" {
		picture = `<img src="cid:` + cid + `" width="220" height="220">`
	}
	quote := ""
	if m.answers != nil && !m.alone {
		quote = html.EscapeString(m.answers.plainTo(3))
	}
	var b strings.Builder
	switch m.prog {
	case progOutlook:
		b.WriteString("<html xmlns:o=\"urn:schemas-microsoft-com:office:office\" xmlns:w=\"urn:schemas-microsoft-com:office:word\">\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\n" +
			"<style><!--\np.MsoNormal {margin:0cm;font-size:11.0pt;font-family:\"Calibri\",sans-serif;}\na:link {color:#0563C1;text-decoration:underline;}\n--></style>\n</head>\n<body link=\"#0563C1\" vlink=\"#954F72\">\n<div class=\"WordSection1\">\n")
		b.WriteString(lines(text, `<p class="MsoNormal">`, "</p>", "&nbsp;"))
		b.WriteString(picture)
		if quote != "" {
			b.WriteString("<div style=\"border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm\">\n" + lines(html.EscapeString(m.quoteHead()), `<p class="MsoNormal">`, "</p>", "&nbsp;") + "</div>\n" + lines(quote, `<p class="MsoNormal">`, "</p>", "&nbsp;"))
		}
		b.WriteString("</div>\n</body>\n</html>\n")
	case progWebmail:
		b.WriteString("<div dir=\"ltr\">\n" + lines(text, "<div>", "</div>", "<br>") + picture + "</div>\n")
		if quote != "" {
			b.WriteString("<br><div class=\"gmail_quote\"><div dir=\"ltr\" class=\"gmail_attr\">" + html.EscapeString(strings.TrimSpace(m.quoteHead())) + "<br></div>\n<blockquote class=\"gmail_quote\" style=\"margin:0 0 0 .8ex;border-left:1px #ccc solid;padding-left:1ex\">\n" + lines(quote, "<div>", "</div>", "<br>") + "</blockquote></div>\n")
		}
	case progMachine:
		b.WriteString("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body style=\"margin:0;background:#f4f5f7\">\n<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\"><tr><td align=\"center\">\n<table width=\"600\" style=\"background:#ffffff;font-family:Arial,sans-serif;font-size:14px\"><tr><td style=\"padding:24px\">\n" +
			lines(text, "<p style=\"margin:0 0 6px\">", "</p>", "&nbsp;") + picture + "</td></tr></table>\n</td></tr></table>\n</body></html>\n")
	default:
		b.WriteString("<!DOCTYPE html>\n<html>\n  <head>\n    <meta http-equiv=\"content-type\" content=\"text/html; charset=UTF-8\">\n  </head>\n  <body>\n" + lines(text, "<p>", "</p>", "<br>") + picture)
		if quote != "" {
			b.WriteString("<div class=\"moz-cite-prefix\">" + html.EscapeString(strings.TrimSpace(m.quoteHead())) + "<br></div>\n<blockquote type=\"cite\">\n" + lines(quote, "<p>", "</p>", "<br>") + "</blockquote>\n")
		}
		b.WriteString("  </body>\n</html>\n")
	}
	return b.String()
}

// lines wraps each line in an element.
func lines(text, open, shut, empty string) string {
	var b strings.Builder
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		b.WriteString(open + orElse(l, empty) + shut + "\n")
	}
	return b.String()
}

// sign puts greeting, closing and signature around a text, as the writer always does.
func (m *message) sign(r *rng, body string, bare bool) {
	l := tongues[m.lang]
	body = strings.TrimSpace(strings.ReplaceAll(body, " \n", "\n"))
	if bare {
		m.text = capital(body)
		return
	}
	to := m.to.given
	if m.hidden || to == "" {
		to = map[string]string{"en": "all", "de": "zusammen", "fr": "à tous"}[m.lang]
	}
	greeting := words{"to": to}.say(r, l.greetings[m.from.greet%len(l.greetings)])
	if m.prog == progPhone && r.chance(0.5) {
		greeting = ""
	}
	if greeting == "" || m.lang == "en" {
		body = capital(body)
	}
	if greeting != "" {
		greeting += "\n\n"
	}
	m.text = greeting + body + "\n\n"
	if m.prog == progPhone {
		m.text += m.from.given + "\n\n" + l.phoneSig
		return
	}
	m.text += l.closings[m.from.close%len(l.closings)] + "\n\n" + m.from.name
	if m.answers != nil && m.from.close%2 == 0 { // short signature in replies
		return
	}
	h := m.from.house
	if m.from.role != "" {
		m.text += "\n" + m.from.role
	}
	m.text += "\n" + h.name
	if h.phone != "" {
		m.text += " | " + h.phone
	}
	if h.notice {
		m.text += "\n\n" + l.notice
	}
}
