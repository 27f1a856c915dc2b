package mailauth

import (
	"strconv"
	"strings"
)

// HeaderName is the name of the field whose value Header returns.
const HeaderName = "Authentication-Results"

// Header returns the value of an Authentication-Results field (RFC 8601 2.2) under the given authserv-id, folded
// with CRLF and a tab. Everything in it that a sender chose is cut down to what the grammar allows. Methods that
// found nothing to evaluate say none; ARC is left out where there was no chain or a key could not be had, since
// RFC 8617 has no word for that.
func (r *Results) Header(authservID string) string {
	var b strings.Builder
	b.WriteString(token(authservID, 253))
	item := func(method string, result Result, reason string, props ...string) {
		b.WriteString(";\r\n\t" + method + "=" + string(result))
		if reason != "" && result != Pass {
			b.WriteString(" reason=" + quoted(reason))
		}
		for i := 0; i+1 < len(props); i += 2 {
			if props[i+1] != "" {
				b.WriteString(" " + props[i] + "=" + props[i+1])
			}
		}
	}
	if r.SPF.Identity == "helo" {
		item("spf", r.SPF.Result, r.SPF.reason(), "smtp.helo", token(r.SPF.Domain, 253))
	} else {
		item("spf", r.SPF.Result, r.SPF.reason(), "smtp.mailfrom", address(r.MailFrom, r.SPF.Domain))
	}
	for i := range r.DKIM {
		d := &r.DKIM[i]
		item("dkim", d.Result, d.Reason,
			"header.d", token(d.Domain, 253), "header.s", token(d.Selector, 63), "header.a", token(d.Algorithm, 32),
			"header.b", quotedIfNeeded(d.Tag))
	}
	if len(r.DKIM) == 0 {
		item("dkim", None, "")
	}
	if r.ARC.Result == Pass || r.ARC.Result == Fail {
		oldest := ""
		if r.ARC.Result == Pass {
			oldest = strconv.Itoa(r.ARC.OldestPass)
		}
		client := ""
		if r.Client.IsValid() {
			client = quotedIfNeeded(r.Client.WithZone("").String())
		}
		item("arc", r.ARC.Result, r.ARC.Reason, "header.oldest-pass", oldest, "smtp.remote-ip", client)
	}
	if r.DMARC.Result != "" {
		item("dmarc", r.DMARC.Result, r.DMARC.Reason,
			"header.from", token(r.DMARC.From, 253), "policy.dmarc", token(r.DMARC.Applied, 16))
	}
	return b.String()
}

// reason leaves out what the library says of a plain answer ("matched all").
func (s *SPF) reason() string {
	if s.Result == TempError || s.Result == PermError || s.Domain == "" {
		return s.Reason
	}
	return ""
}

// token keeps what needs no quotes (RFC 2045 5.1), which every domain name, selector and algorithm is.
func token(s string, max int) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < max; i++ {
		if tokenByte(s[i]) {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func tokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c))
}

// address returns the reverse path where it can stand without quotes, else its domain.
func address(path, domain string) string {
	at := strings.LastIndexByte(path, '@')
	if at < 1 || len(path) > 254 || domainOf(path[at+1:]) == "" {
		return token(domain, 253)
	}
	local := path[:at]
	for i := 0; i < len(local); i++ {
		if !tokenByte(local[i]) {
			return token(domain, 253)
		}
	}
	return local + "@" + domainOf(path[at+1:])
}

func quotedIfNeeded(s string) string {
	if s == "" || token(s, len(s)) == s {
		return s
	}
	return quoted(s)
}

// quoted returns a quoted string of at most 160 printable ASCII characters.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s) && i < 160; i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\'')
		case c < ' ' || c >= 0x7f:
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
