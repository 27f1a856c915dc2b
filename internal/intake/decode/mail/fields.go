package mail

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// mainHeaders are kept as fields whatever else a message carries; others follow while there is room.
var mainHeaders = []string{"subject", "from", "to", "cc", "date", "reply-to", "sender", "return-path", "list-unsubscribe", "list-id", "precedence",
	"x-mailer", "user-agent", "in-reply-to", "references", "content-type", "received-spf", "authentication-results", "auto-submitted"}

const (
	maxFields     = 120
	maxFieldValue = 1 << 10
)

func fields(h header, path []hop, b *body) ocsf.Fields {
	f := make(ocsf.Fields, 0, 32)
	put := func(name, value string) {
		f = append(f, ocsf.Field{Name: name, Value: decodeWords(clip(value, maxFieldValue))})
	}
	for _, name := range mainHeaders {
		if v := h.get(name); v != "" {
			put("header."+name, v)
		}
	}
	for i := range h {
		if len(f) >= maxFields {
			break
		}
		if n := h[i].name; !slices.Contains(mainHeaders, n) && n != "received" && n != "dkim-signature" {
			put("header."+clip(n, 100), h[i].value)
		}
	}
	f = b.fields(f)
	if len(b.mail.Links) > b.inBody { // further links stand in attachments
		f = append(f, ocsf.Field{Name: "links.body", Value: strconv.Itoa(b.inBody)})
	}
	if len(path) > 0 {
		f = append(f, ocsf.Field{Name: "received.count", Value: strconv.Itoa(len(path))})
	}
	if n := len(path); n > 0 { // where the sender's own system says it was written
		if ip := path[n-1].ip; ip.IsValid() && n > 1 {
			f = append(f, ocsf.Field{Name: "origin.ip", Value: ip.String()})
		}
	}
	if d, ok := parseDate(h.get("date")); ok {
		f = append(f, ocsf.Field{Name: "date.sent", Value: d.Format(time.RFC3339)})
	}
	f.Sort()
	return f
}

// fields adds what was found in the text and in the attachments; the package documentation tells what each means.
func (b *body) fields(f ocsf.Fields) ocsf.Fields {
	for k, v := range b.traits {
		f = append(f, ocsf.Field{Name: k, Value: v})
	}
	put := func(name, v string) {
		if v = strings.TrimSpace(v); v != "" {
			f = append(f, ocsf.Field{Name: name, Value: strings.Clone(v)})
		}
	}
	num := func(name string, n int) {
		if n > 0 {
			f = append(f, ocsf.Field{Name: name, Value: strconv.Itoa(n)})
		}
	}
	num("body.hidden", b.hidden)
	num("body.images", b.images)
	num("body.split", b.glyphs.split)
	num("body.mixed", b.glyphs.mixed)
	num("body.fancy", b.glyphs.fancy)
	num("body.bidi", b.glyphs.bidi)
	num("attachment.members", b.members)
	num("qr.count", b.qr)
	num("qr.skipped", b.skipped)
	put("body.hiddentext", b.hiddenText.String())
	put("body.alternative", b.elsewhere.String())
	put("attachment.text", b.attached.String())
	put("links.odd", b.odd.String())
	slices.Sort(b.remotes)
	put("body.remote", strings.Join(b.remotes, ","))
	return f
}
