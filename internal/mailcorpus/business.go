package mailcorpus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// businessMessages is how much business mail is generated, and businessSenders by how many senders.
const (
	businessMessages = 1080
	businessSenders  = 180
)

// The time in which the generated senders are active, one after the other: a layout is used by neighbours, so that
// few layouts lie on both sides of a cut in time.
var (
	businessFrom = time.Date(2022, 3, 1, 6, 0, 0, 0, time.UTC)
	businessTo   = time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
)

// mailTemplate is one body of a layout, for one occasion.
type mailTemplate struct{ layout, occasion, body string }

// generateBusiness writes n messages with the archive's HTML bodies. Senders, people, subjects, sentences, links and
// programs are invented; the names of hosts are compounds that nobody is known to have, and nothing asks for them.
func generateBusiness(archive string, n int) ([]Message, error) {
	var templates []mailTemplate
	err := untar(archive, func(name string, raw []byte) error {
		if !strings.HasSuffix(name, ".html") || len(raw) > MaxMessage {
			return nil
		}
		dir := path.Dir(name)
		occasion := strings.TrimSuffix(path.Base(name), ".html")
		if occasion == "content" {
			occasion, dir = path.Base(dir), path.Dir(dir)
		}
		templates = append(templates, mailTemplate{dir, occasion, string(raw)})
		return nil
	})
	if err == nil && len(templates) == 0 {
		err = errors.New("no HTML template in it")
	}
	if err != nil {
		return nil, fmt.Errorf("generating business mail from %s: %w", archive, err)
	}
	slices.SortFunc(templates, func(a, b mailTemplate) int {
		return strings.Compare(a.layout+" "+a.occasion, b.layout+" "+b.occasion)
	})
	layouts := map[string][]mailTemplate{}
	var order []string
	for _, t := range templates {
		if layouts[t.layout] == nil {
			order = append(order, t.layout)
		}
		layouts[t.layout] = append(layouts[t.layout], t)
	}
	rng := rand.New(rand.NewPCG(2021, 7))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var out []Message
	for s := range businessSenders {
		v := newVendor(rng, s, layouts[order[s*len(order)/businessSenders]])
		begin := businessFrom.Add(time.Duration(s) * (businessTo.Sub(businessFrom) / businessSenders))
		for i := range n / businessSenders {
			at := begin.Add(time.Duration(rng.IntN(100*24*60)) * time.Minute)
			raw := v.write(rng, at)
			sum := sha256.Sum256(raw)
			id := hex.EncodeToString(sum[:8])
			out = append(out, Message{ID: id, Family: Business, Source: fmt.Sprintf("generated/%03d-%02d", s, i), Time: at, Campaign: campaign(raw), Raw: raw})
		}
	}
	return out, nil
}

// vendor is one sender with its habits.
type vendor struct {
	name, domain, clicks, files string
	local                       string
	texts                       *phraseBook
	templates                   []mailTemplate
	plain                       bool // writes a text part too
	encoding                    string
	mailer, ip                  string
	parameter                   string // of its click counter
}

func pick(rng *rand.Rand, list []string) string { return list[rng.IntN(len(list))] }

func newVendor(rng *rand.Rand, n int, layout []mailTemplate) *vendor {
	first, second := pick(rng, nameFirst), pick(rng, nameSecond)
	v := &vendor{
		name:      strings.ToUpper(first[:1]) + first[1:] + " " + strings.ToUpper(second[:1]) + second[1:],
		domain:    fmt.Sprintf("%s-%s%s", first, second, pick(rng, endings)),
		local:     pick(rng, mailboxes),
		texts:     &phrases[[]int{0, 0, 0, 1, 1, 2}[rng.IntN(6)]],
		templates: layout,
		plain:     rng.IntN(10) < 7,
		encoding:  pick(rng, []string{"quoted-printable", "quoted-printable", "base64", "8bit"}),
		mailer:    pick(rng, []string{"", "", "", "PHPMailer 6.6.0", "Microsoft Outlook 16.0", "Mailjet", "nodemailer", "SAP NetWeaver 7.50"}),
		ip:        fmt.Sprintf("198.18.%d.%d", n%256, 1+rng.IntN(250)),
		parameter: pick(rng, []string{"upn", "u", "id", "c", "elqTrackId", "e"}),
	}
	v.clicks, v.files = "click."+v.domain, "cdn."+v.domain
	if rng.IntN(3) == 0 { // a service sends for it
		v.clicks = pick(rng, senders) + "/" + first
	}
	return v
}

var (
	placeholder = regexp.MustCompile(`\{\{[^}]*\}\}|\{%[^%]*%\}|\[(?:Product Name|Company Name, LLC|Sender Name|email address|x|Name)\]|Awesome Inc|Your ?Site ?Name(?:\.com)?`)
	target      = regexp.MustCompile(`(?i)(href|src)\s*=\s*"([^"]*)"`)
	filler      = regexp.MustCompile(`(?i)lorem ipsum[^<]*|sed ut perspiciatis[^<]*`)
	tags        = regexp.MustCompile(`(?is)<(style|script|title)[^>]*>.*?</(style|script|title)>|<!--.*?-->|<[^>]+>`)
	blanks      = regexp.MustCompile(`\s*\n\s*`)
	paragraph   = regexp.MustCompile(`(?i)(<p[^>]*>)([^<]+)(</p>)`)
)

// write writes one message of the vendor.
func (v *vendor) write(rng *rand.Rand, at time.Time) []byte {
	t := v.templates[rng.IntN(len(v.templates))]
	reader := pick(rng, people)
	body := v.fill(rng, t.body, reader, at)
	subject := v.texts.subject(rng, t.occasion, v.name)
	boundary := fmt.Sprintf("=_%012x", rng.Uint64()&0xffffffffffff)
	var h strings.Builder
	fmt.Fprintf(&h, "Received: from mail.%s (mail.%s [%s])\n\tby mx.client.example (Postfix) with ESMTPS id 4XyZ12\n\tfor <%s>; %s\n",
		v.domain, v.domain, v.ip, recipient, at.Format(time.RFC1123Z))
	fmt.Fprintf(&h, "To: %s\n", recipient)
	fmt.Fprintf(&h, "From: %s <%s@%s>\nSubject: %s\nDate: %s\nMessage-ID: <%x.%d@%s>\n", v.name, v.local, v.domain,
		mime.QEncoding.Encode("utf-8", subject), at.Format(time.RFC1123Z), rng.Uint64(), at.Unix(), v.domain)
	if rng.IntN(4) == 0 {
		fmt.Fprintf(&h, "Reply-To: support@%s\n", v.domain)
	}
	if v.mailer != "" {
		fmt.Fprintf(&h, "X-Mailer: %s\n", v.mailer)
	}
	h.WriteString("MIME-Version: 1.0\n")
	if !v.plain {
		fmt.Fprintf(&h, "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: %s\n\n%s", v.encoding, encode(v.encoding, body))
		return []byte(h.String())
	}
	text := html.UnescapeString(blanks.ReplaceAllString(tags.ReplaceAllString(body, "\n"), "\n"))
	fmt.Fprintf(&h, "Content-Type: multipart/alternative; boundary=\"%s\"\n\n", boundary)
	for _, p := range []struct{ kind, text string }{{"plain", strings.TrimSpace(text) + "\n"}, {"html", body}} {
		fmt.Fprintf(&h, "--%s\nContent-Type: text/%s; charset=utf-8\nContent-Transfer-Encoding: %s\n\n%s\n", boundary, p.kind, v.encoding, encode(v.encoding, p.text))
	}
	fmt.Fprintf(&h, "--%s--\n", boundary)
	return []byte(h.String())
}

// fill puts the vendor's words and links into a template.
func (v *vendor) fill(rng *rand.Rand, body, reader string, at time.Time) string {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	body = filler.ReplaceAllStringFunc(body, func(string) string { return v.texts.sentences(rng, 1+rng.IntN(3), v.name) })
	body = paragraph.ReplaceAllStringFunc(body, func(p string) string {
		m := paragraph.FindStringSubmatch(p)
		if len(m[2]) >= 60 && (v.texts != &phrases[0] || rng.IntN(2) == 0) {
			return m[1] + html.EscapeString(v.texts.sentences(rng, 1+rng.IntN(3), v.name)) + m[3]
		}
		return p
	})
	body = target.ReplaceAllStringFunc(body, func(s string) string {
		m := target.FindStringSubmatch(s)
		return m[1] + `="` + v.link(rng, strings.EqualFold(m[1], "src"), m[2]) + `"`
	})
	return placeholder.ReplaceAllStringFunc(body, func(p string) string {
		switch word := strings.Trim(p, "{}[]% "); {
		case strings.HasPrefix(p, "{%"), strings.HasPrefix(word, "#"), strings.HasPrefix(word, "/"):
			return ""
		case strings.HasPrefix(word, "Product"), strings.HasPrefix(word, "Company"), strings.HasPrefix(word, "Awesome"), strings.HasPrefix(word, "Your"), strings.Contains(word, "organization"):
			return v.name
		case strings.Contains(word, "email"):
			return "support@" + v.domain
		case strings.Contains(word, "date"), strings.Contains(word, "timestamp"):
			return at.AddDate(0, 0, rng.IntN(20)).Format("2 January 2006")
		case strings.Contains(word, "total"), strings.Contains(word, "amount"), strings.Contains(word, "value"):
			return fmt.Sprintf("%d.%02d EUR", 3+rng.IntN(900), rng.IntN(100))
		case strings.Contains(word, "url"):
			return v.link(rng, false, "#")
		case strings.Contains(word, "_id"), word == "x", strings.Contains(word, "four"), strings.Contains(word, "size"):
			return fmt.Sprint(1 + rng.IntN(9000))
		case strings.Contains(word, "commenter"), strings.Contains(word, "sender"):
			return pick(rng, people)
		case strings.Contains(word, "name"):
			return reader
		}
		return v.texts.sentences(rng, 1, v.name)
	})
}

// link returns where a link of the template leads: to the vendor's site, mostly through its click counter.
func (v *vendor) link(rng *rand.Rand, picture bool, was string) string {
	switch {
	case picture:
		return fmt.Sprintf("https://%s/img/%06x.png", v.files, rng.Uint32()&0xffffff)
	case strings.HasPrefix(was, "mailto:"):
		return "mailto:support@" + v.domain
	case strings.HasPrefix(was, "tel:"), strings.Contains(was, "fonts.googleapis"):
		return was
	case rng.IntN(3) > 0:
		token := make([]byte, 24+rng.IntN(80))
		for i := range token {
			token[i] = byte(rng.Uint32())
		}
		return fmt.Sprintf("https://%s/ls/click?%s=%s", v.clicks, v.parameter, base64.RawURLEncoding.EncodeToString(token))
	}
	return fmt.Sprintf("https://www.%s/%s/%d", v.domain, pick(rng, paths), rng.IntN(100000))
}

func encode(encoding, text string) string {
	switch encoding {
	case "base64":
		return string(encodeLines([]byte(text)))
	case "quoted-printable":
		var b strings.Builder
		w := quotedprintable.NewWriter(&b)
		_, err := w.Write([]byte(text))
		if err = errors.Join(err, w.Close()); err != nil { // a strings.Builder takes everything
			return text
		}
		return strings.ReplaceAll(b.String(), "\r\n", "\n")
	}
	return text
}
