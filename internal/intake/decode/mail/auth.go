package mail

import (
	"strings"

	"github.com/emersion/go-msgauth/authres"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// authenticate fills what the border found of SPF, DKIM and DMARC. It believes only Authentication-Results that
// the border itself can have written (RFC 8601 5): those above the next Received field below the border's, whose
// authserv-id is of the border's organisation or absent (Microsoft writes none). The top-most says what counts;
// a sender's own copies lie below it. Without any, Received-SPF at the same place is read.
func authenticate(m *ocsf.Mail, h header, list []hop, at int, fromDomain string) {
	end, by := len(h), ""
	if at >= 0 {
		by = list[at].by
		if at+1 < len(list) {
			end = list[at+1].index
		}
	}
	for i := 0; i < end; i++ {
		switch h[i].name {
		case "authentication-results":
			id, results, ok := parseResults(h[i].value)
			if ok && (id == "" || by == "" || sameOrg(id, by)) {
				merge(m, results, fromDomain)
			}
		case "received-spf":
			if w, _, _ := strings.Cut(strings.TrimSpace(h[i].value), " "); m.SPF == "" {
				m.SPF = resultWord(strings.Trim(w, ";("))
			}
		}
	}
}

// parseResults reads one field; comments go first, since they may hold semicolons.
func parseResults(v string) (id string, results []authres.Result, ok bool) {
	v = stripComments(v)
	first, _, _ := strings.Cut(v, ";")
	if strings.Contains(first, "=") { // no authserv-id
		v = "none.invalid;" + v
	}
	id, results, err := authres.Parse(strings.TrimRight(strings.TrimSpace(v), "; "))
	if err != nil {
		return "", nil, false
	}
	if id, _, _ = strings.Cut(strings.ToLower(id), " "); id == "none.invalid" {
		id = ""
	}
	return strings.TrimSuffix(id, "."), results, true
}

func stripComments(v string) string {
	if strings.IndexByte(v, '(') < 0 {
		return v
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '(':
			depth++
		case v[i] == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(v[i])
		}
	}
	return b.String()
}

// merge takes each method's first result; of several signatures the aligned one that passes counts.
func merge(m *ocsf.Mail, results []authres.Result, fromDomain string) {
	for _, r := range results {
		switch r := r.(type) {
		case *authres.SPFResult:
			if m.SPF == "" {
				m.SPF = resultWord(string(r.Value))
			}
		case *authres.DMARCResult:
			if m.DMARC == "" {
				m.DMARC = resultWord(string(r.Value))
			}
		case *authres.DKIMResult:
			d := strings.ToLower(strings.TrimPrefix(r.Domain, "@"))
			if d == "" {
				_, d, _ = strings.Cut(strings.ToLower(r.Identifier), "@")
			}
			v := resultWord(string(r.Value))
			better := v == "pass" && (m.DKIM != "pass" || (sameOrg(d, fromDomain) && !sameOrg(m.DKIMDomain, fromDomain)))
			if m.DKIM == "" || better {
				m.DKIM, m.DKIMDomain = v, d
			}
		}
	}
}

func resultWord(v string) string {
	switch v = strings.ToLower(v); v {
	case "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror":
		return v
	case "hardfail", "reject":
		return "fail"
	case "policy", "bestguesspass":
		return "none"
	}
	return ""
}
