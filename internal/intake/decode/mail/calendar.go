package mail

import (
	"strings"
)

// maxCalendar is how much of a calendar or visiting card is read.
const maxCalendar = 256 << 10

// calendar reads an invitation (RFC 5545) or a visiting card (RFC 6350): both are lines of "NAME;parameters:value".
// What it says is text of the message where it is shown with it; its links have From "calendar".
func (b *body) calendar(text string, shownWithText bool) {
	was := b.from
	b.from = "calendar"
	defer func() { b.from = was }()
	var shown strings.Builder
	for n, rest := 0, clip(text, maxCalendar); rest != "" && n < 5000; n++ {
		var line string
		line, rest = unfoldLine(rest)
		name, value, ok := cutProperty(line)
		if !ok {
			continue
		}
		name, params, _ := strings.Cut(name, ";")
		switch strings.ToUpper(name[strings.LastIndexByte(name, '.')+1:]) {
		case "METHOD":
			b.traits["calendar.method"] = strings.ToUpper(clip(decodeWords(value), 20))
		case "ORGANIZER":
			b.organizer(value)
		case "SUMMARY", "DESCRIPTION", "LOCATION", "COMMENT", "NOTE", "CONTACT", "ORG", "TITLE":
			v := unescapeText(value)
			if strings.Contains(strings.ToUpper(params), "QUOTED-PRINTABLE") {
				v = toUTF8(string(quotedPrintable([]byte(v))))
			}
			keep(&shown, b.cleanText(v), MaxText)
			b.textLinks(v)
		case "X-ALT-DESC":
			var out strings.Builder
			b.html(unescapeText(value), &out)
		case "URL", "ATTACH", "CONFERENCE", "SOURCE", "IMAGE", "PHOTO", "LOGO", "X-GOOGLE-CONFERENCE", "X-MICROSOFT-SKYPETEAMSMEETINGURL":
			if v := strings.TrimSpace(unescapeText(value)); len(v) < 16<<10 {
				b.link(v, "")
			}
			if strings.Contains(strings.ToUpper(params), "BASE64") || strings.Contains(strings.ToUpper(params), "ENCODING=B") {
				data, _ := base64Bytes([]byte(value))
				b.picture(data)
			}
		case "BEGIN":
			if strings.EqualFold(strings.TrimSpace(value), "VCARD") {
				b.trait("attachment.contact", b.where)
			}
		default:
			if strings.Contains(value, "://") && !strings.HasPrefix(value, "http://schemas") {
				b.textLinks(unescapeText(value))
			}
		}
	}
	if shownWithText {
		b.show(false, shown.String(), groupCalendar)
	} else {
		b.attachedText(shown.String())
	}
}

func (b *body) organizer(value string) {
	a := normAddress(value)
	if a == "" {
		return
	}
	b.traits["calendar.organizer"] = clip(a, 300)
	_, at, _ := strings.Cut(a, "@")
	_, from, _ := strings.Cut(b.mail.From, "@")
	if from != "" && !sameOrg(at, from) {
		b.traits["calendar.foreign"] = "yes"
	}
}

// unfoldLine returns the first content line with its continuations (RFC 5545 3.1), and what follows.
func unfoldLine(s string) (line, rest string) {
	line, rest, _ = strings.Cut(s, "\n")
	line = strings.TrimRight(line, "\r")
	if rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return line, rest
	}
	var b strings.Builder
	b.WriteString(line)
	for rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		line, rest, _ = strings.Cut(rest[1:], "\n")
		b.WriteString(strings.TrimRight(line, "\r"))
	}
	return b.String(), rest
}

// cutProperty splits at the colon outside of quotes.
func cutProperty(line string) (name, value string, ok bool) {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ':' && !quoted:
			return line[:i], line[i+1:], i > 0
		}
	}
	return "", "", false
}

var textEscapes = strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`)

func unescapeText(s string) string { return textEscapes.Replace(s) }
