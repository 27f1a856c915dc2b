package mailcorpus

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// recipient stands in place of every address that names the corpus a message is from.
const recipient = "user@client.example"

// kept are the header fields that survive: those that a sender writes and every corpus has. Receivers' fields give
// the class away, since each corpus had one receiver.
var kept = map[string]bool{
	"from": true, "subject": true, "date": true, "message-id": true, "reply-to": true, "mime-version": true,
	"content-type": true, "content-transfer-encoding": true, "content-disposition": true, "content-language": true,
	"in-reply-to": true, "references": true, "x-mailer": true, "user-agent": true, "x-priority": true,
	"importance": true, "x-msmail-priority": true, "sender": true,
}

// The patterns are those of normalise.py. Case is folded by hand where it is folded there: Go's (?i) folds beyond ASCII.
var (
	honeypots = []scrubber{caseless("phishing@pot"), caseless("phish.me.again@gmail.com")}
	owners    = []scrubber{
		{regexp.MustCompile(`[zZ]{3}[zZ]?@(?:[\w-]+\.)*(?:` + fold("spamassassin") + `|` + fold("example") + `|` + fold("netnoteinc") + `)[\w.-]*`), []string{"zzz@"}},
		{regexp.MustCompile(`(?:[jJ][mM]|[yY]{4}|[zZ]{3}[zZ]?)@[\w.-]+`), []string{"jm@", "yyyy@", "zzz@"}},
	}
	listTag       = regexp.MustCompile(`\[[\w+-]{2,20}\][ \t\n\r\f\v]*`)
	address       = regexp.MustCompile(`[\w.+-]+@[\w.-]+`)
	returnAddress = regexp.MustCompile(`[\w.+=-]+@[\w.-]+`)
	domainOf      = regexp.MustCompile(`@([\w.-]+)`)
	bracketedIP   = regexp.MustCompile(`[\[(](?:IPv6:)?((?:\d{1,3}\.){3}\d{1,3})[\])]`)
	privateIP     = regexp.MustCompile(`^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))`)
)

// scrubber is one pattern, and what a text must hold in lower case for it to match at all: Go's regexp is slow where
// a pattern begins with no literal, and few texts hold any.
type scrubber struct {
	pattern *regexp.Regexp
	needles []string
}

func caseless(literal string) scrubber {
	return scrubber{regexp.MustCompile(fold(literal)), []string{string(lowerASCII([]byte(literal)))}}
}

// fold writes a literal as a pattern that takes ASCII letters in either case.
func fold(literal string) string {
	var b strings.Builder
	for i := range len(literal) {
		c := literal[i]
		if l := c | 0x20; l >= 'a' && l <= 'z' {
			b.WriteString("[" + string(rune(l)) + string(rune(l-0x20)) + "]")
		} else {
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		}
	}
	return b.String()
}

// Normalise removes from a message what gives its class away: the fields of the receivers, the addresses of honeypots
// and of the corpus's owners (in base64 text as well), list tags and footers, and it gives every message one Received
// field and one recipient. It is normalise.py of the data folder, byte for byte; class is its word for the corpus.
// Line ends become LF. It never fails: what cannot be read stays as it is.
func Normalise(raw []byte, class Class) []byte {
	head, body := splitMessage(raw)
	fields := readFields(head)
	scrubbed := append([]scrubber(nil), honeypots...)
	if class != ClassPhish {
		scrubbed = append(scrubbed, owners...)
	}
	for _, name := range []string{"delivered-to", "x-original-to"} {
		for _, v := range fields.all(name) {
			if a := address.FindString(v); a != "" {
				scrubbed = append(scrubbed, caseless(a))
			}
		}
	}
	start := append(bytes.Clone(head), body[:min(len(body), 200_000)]...)
	if bytes.Contains(lowerASCII(start), []byte("base64")) {
		body = scrubEncoded(head, body, scrubbed)
	}
	out := []byte(received(fields, class) + "\nTo: " + recipient)
	for _, line := range unfolded(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		key := string(lowerASCII(bytes.TrimSpace(name)))
		if !kept[key] || key == "sender" && class != ClassPhish {
			continue
		}
		if key == "subject" && class != ClassPhish {
			line = dropTags(line, 2)
		}
		out = append(append(out, '\n'), scrub(line, scrubbed)...)
	}
	body = scrub(body, scrubbed)
	if class == ClassUSRP || class == ClassOpenBMC || class == ClassEasy {
		body = dropListFooter(body)
	}
	return append(append(out, '\n'), body...)
}

// splitMessage returns the header section and the body, which begins with the empty line's LF.
func splitMessage(raw []byte) (head, body []byte) {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	if bytes.HasPrefix(raw, []byte("From ")) {
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			raw = raw[i+1:]
		}
	}
	if i := bytes.Index(raw, []byte("\n\n")); i >= 0 {
		return raw[:i], raw[i+1:]
	}
	return raw, []byte("\n")
}

// unfolded returns the header lines, each with its continuations.
func unfolded(head []byte) [][]byte {
	var out [][]byte
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		switch {
		case len(line) == 0:
		case (line[0] == ' ' || line[0] == '\t') && len(out) > 0:
			last := len(out) - 1
			out[last] = append(append(out[last][:len(out[last]):len(out[last])], '\n'), line...)
		default:
			out = append(out, line)
		}
	}
	return out
}

func scrub(b []byte, scrubbers []scrubber) []byte {
	lower := lowerASCII(b)
	for _, s := range scrubbers {
		if slices.ContainsFunc(s.needles, func(n string) bool { return bytes.Contains(lower, []byte(n)) }) {
			b = s.pattern.ReplaceAllLiteral(b, []byte(recipient))
			lower = lowerASCII(b)
		}
	}
	return b
}

func dropTags(line []byte, most int) []byte {
	for ; most > 0; most-- {
		m := listTag.FindIndex(line)
		if m == nil {
			break
		}
		line = append(bytes.Clone(line[:m[0]]), line[m[1]:]...)
	}
	return line
}

// received writes the one Received field that every message gets: the real sender's address and domain.
func received(f fields, class Class) string {
	helo := "mail.example.net"
	from := f.get("return-path")
	if from == "" {
		from = f.get("from")
	}
	if a := returnAddress.FindString(from); a != "" {
		helo = strings.Split(a, "@")[1]
	}
	if class == ClassUSRP || class == ClassOpenBMC || class == ClassEasy { // else it would be the list's host
		if m := domainOf.FindStringSubmatch(f.get("from")); m != nil {
			helo = m[1]
		}
	}
	date := f.get("date")
	if date == "" {
		date = "Thu, 01 Jan 2026 00:00:00 +0000"
	}
	s := "Received: from mail." + helo + " (mail." + helo + " [" + senderIP(f) + "])\n\tby mx.client.example (Postfix) with ESMTPS id 4XyZ12\n\tfor <" +
		recipient + ">; " + strings.ReplaceAll(date, "\n", " ")
	return string(onlyASCII([]byte(s)))
}

func senderIP(f fields) string {
	if ip := f.get("x-sender-ip"); ip != "" {
		return strings.TrimSpace(ip)
	}
	for _, r := range f.all("received") {
		if m := bracketedIP.FindStringSubmatch(r); m != nil && !privateIP.MatchString(m[1]) {
			return m[1]
		}
	}
	return "198.51.100.7"
}

// scrubEncoded scrubs the texts that are encoded in base64, and encodes anew those that changed.
func scrubEncoded(head, body []byte, scrubbers []scrubber) []byte {
	full := append(append(bytes.Clone(head), '\n'), body...)
	for _, payload := range base64Texts(full) {
		plain, ok := decodeLoose(payload)
		if !ok {
			continue
		}
		if clean := scrub(plain, scrubbers); !bytes.Equal(clean, plain) {
			body = bytes.ReplaceAll(body, payload, encodeLines(clean))
		}
	}
	return body
}

// decodeLoose decodes base64 as Python's b64decode does: other characters are passed over, and a complete padding
// ends it. ok is false where one character is left, or there is anything beyond ASCII in it.
func decodeLoose(b []byte) (plain []byte, ok bool) {
	clean := make([]byte, 0, len(b)+4)
	pads := 0
	for _, c := range b {
		switch {
		case c >= 0x80:
			return nil, false
		case c == '=':
			if n := len(clean) % 4; n >= 2 {
				if pads++; n+pads >= 4 {
					return pad(clean)
				}
			}
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			clean, pads = append(clean, c), 0
		}
	}
	return pad(clean)
}

func pad(clean []byte) ([]byte, bool) {
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	return out[:n], err == nil
}

// encodeLines encodes in lines of 76 characters, each with a LF, as Python's encodebytes does.
func encodeLines(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := min(57, len(b))
		out = append(base64.StdEncoding.AppendEncode(out, b[:n]), '\n')
		b = b[n:]
	}
	return out
}

// dropListFooter removes a line of underscores, the line after it that speaks of a list, and at most 400 bytes more,
// to the next line that begins with "--" or to the end. Footers that reach further stay.
func dropListFooter(b []byte) []byte {
	var out []byte
	for {
		at, end := findFooter(b)
		if at < 0 {
			return append(out, b...)
		}
		out = append(append(out, b[:at]...), '\n')
		b = b[end:]
	}
}

func findFooter(b []byte) (at, end int) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte("\n____________________"))
		if i < 0 {
			return -1, -1
		}
		at = from + i
		p := at + 1
		for p < len(b) && b[p] == '_' {
			p++
		}
		from = at + 1
		if p >= len(b) || b[p] != '\n' {
			continue
		}
		line := b[p+1:]
		eol := bytes.IndexByte(line, '\n')
		if eol < 0 || !speaksOfList(line[:eol]) {
			continue
		}
		rest := line[eol+1:]
		for k := 0; k <= 400 && k <= len(rest); k++ {
			if k == len(rest) || bytes.HasPrefix(rest[k:], []byte("\n--")) {
				return at, p + 1 + eol + 1 + k
			}
		}
	}
}

// speaksOfList: "list" or "mailing list" begins within the first 80 bytes.
func speaksOfList(line []byte) bool {
	in := func(word string, last int) bool {
		return bytes.Contains(line[:min(len(line), last+len(word))], []byte(word))
	}
	return in("list", 80) || in("mailing list", 80)
}

func lowerASCII(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 0x20
		}
	}
	return out
}

func onlyASCII(b []byte) []byte {
	out := b[:0:0]
	for _, c := range b {
		if c < 0x80 {
			out = append(out, c)
		}
	}
	return out
}
