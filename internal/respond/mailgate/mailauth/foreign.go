package mailauth

import (
	"mime"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Field is one header field as a milter hands it over: the name, and the value with its folding.
type Field struct{ Name, Value string }

// Fields returns the header fields of a raw message, top-most first, up to the limits of a Check.
func Fields(raw []byte) []Field {
	m := readMessage(raw)
	out := make([]Field, 0, len(m.fields))
	for i := range m.fields {
		if f := &m.fields[i]; f.key >= 0 {
			out = append(out, Field{string(f.raw[:f.colon]), string(f.value())})
		}
	}
	return out
}

// Removal names one field that must go.
type Removal struct {
	Name     string // as the field spells it
	Index    int    // how many fields of that name, from the top and whatever their case, there are up to it: 1 is the first
	Position int    // in the list that was given
}

// ownName begins the names of all fields that Breakwater writes; a hyphen and more may follow.
const ownName = "x-breakwater"

// Strip returns the fields which a message from outside must not bring along (RFC 8601 5): Authentication-Results
// under our own authserv-id, in whatever spelling somebody might read as ours, and every X-Breakwater field. A
// field so malformed that its id cannot be told goes if our id stands anywhere in it. Fields that name no id are
// left: they claim nothing in our name.
//
// The lowest field comes first: a mail server that numbers the fields anew after each removal (Postfix) and one
// that does not (Sendmail) then both remove what is meant.
func Strip(fields []Field, ourID string) []Removal {
	count := map[string]int{}
	var out []Removal
	for i, f := range fields {
		name := strings.ToLower(strings.TrimSpace(f.Name))
		count[name]++
		ours := name == ownName || strings.HasPrefix(name, ownName+"-")
		if ours || name == "authentication-results" && claims(f.Value, ourID) {
			out = append(out, Removal{Name: f.Name, Index: count[name], Position: i})
		}
	}
	slices.Reverse(out)
	return out
}

// claims tells whether a value is, or may be read as, written under that id.
func claims(value, id string) bool {
	id = normID(id)
	if id == "" {
		return false
	}
	value = strings.ReplaceAll(value, "\x00", "")
	text, whole := withoutComments(value)
	if !whole {
		return strings.Contains(strings.ToLower(unquote(value)), id) || strings.Contains(normID(value), id)
	}
	head, _, _ := strings.Cut(text, "\x00")
	words := strings.Fields(unquote(head))
	if n := len(words); n > 1 && strings.Trim(words[n-1], "0123456789") == "" {
		words = words[:n-1] // the version
	}
	for _, reading := range []string{firstWord(unquote(head)), strings.Join(words, ""), firstWord(unquote(decodedWords(head)))} {
		if r, _, _ := strings.Cut(reading, "/"); normID(r) == id {
			return true
		}
	}
	return false
}

// normID returns an authserv-id as it is compared: lower case, A-labels, without what surrounds it.
func normID(s string) string {
	s = strings.Trim(strings.ToLower(strings.TrimFunc(s, unicode.IsSpace)), `."';`)
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			if a, err := idna.Lookup.ToASCII(s); err == nil {
				return a
			}
			break
		}
	}
	return s
}

func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

var (
	unquoter  = strings.NewReplacer(`"`, "", `\`, "")
	tightener = strings.NewReplacer(" = ", "=", " =", "=", "= ", "=")
)

func unquote(s string) string { return unquoter.Replace(s) }

func decodedWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	d, err := new(mime.WordDecoder).DecodeHeader(strings.TrimSpace(s))
	if err != nil {
		return s
	}
	return d
}

// withoutComments takes comments out and ends each part with a zero byte, which no part holds, instead of the
// semicolon: those inside of quotes are none. whole is false where a comment or a quote is not closed.
func withoutComments(v string) (text string, whole bool) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case 0:
		case '(':
			if i = skipComment(v, i); i >= len(v) {
				return b.String(), false
			}
			b.WriteByte(' ')
		case '"':
			end := skipQuoted(v, i)
			if end >= len(v) {
				return b.String(), false
			}
			b.WriteString(v[i : end+1])
			i = end
		case ';':
			b.WriteByte(0)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// Claim is one result that another server states.
type Claim struct {
	Method string            // spf, dkim, dmarc, arc, auth, iprev …, lower case
	Result Result            // as the server writes it, lower case
	Props  map[string]string // smtp.mailfrom, header.d, header.from …, lower-case names; values without quotes
}

// Claims are the results of one field.
type Claims []Claim

// Get returns the first result of a method, or None.
func (c Claims) Get(method string) Result {
	for i := range c {
		if c[i].Method == method {
			return c[i].Result
		}
	}
	return None
}

const (
	maxForeignBytes = 16 << 10
	maxClaims       = 32
)

// ParseResults reads the value of an Authentication-Results field. Comments and quotes are taken apart first: a
// server quotes what the sender wrote, and a reader that splits at every semicolon lets that text state results of
// its own. ok is false where the field is larger than 16 KiB, has no id, a version other than 1, or a quote or
// comment that never ends.
func ParseResults(value string) (id string, claims Claims, ok bool) {
	if len(value) > maxForeignBytes {
		return "", nil, false
	}
	text, whole := withoutComments(value)
	head, rest, _ := strings.Cut(text, "\x00")
	words := strings.Fields(head)
	if !whole || len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "1" || strings.Contains(words[0], "=") {
		return "", nil, false
	}
	claims, ok = parseParts(rest)
	return normID(unquote(words[0])), claims, ok
}

// parseClaims reads results without an id before them.
func parseClaims(value string) (Claims, bool) {
	if len(value) > maxForeignBytes {
		return nil, false
	}
	text, whole := withoutComments(value)
	if !whole {
		return nil, false
	}
	if _, rest, more := strings.Cut(text, "\x00"); more {
		return parseParts(rest)
	}
	return nil, true
}

func parseParts(text string) (Claims, bool) {
	var out Claims
	for part := range strings.SplitSeq(text, "\x00") {
		if len(out) == maxClaims {
			break
		}
		part = tight(part)
		if part == "" || part == "none" {
			continue
		}
		method, _, _ := strings.Cut(part, "=")
		method, _, _ = strings.Cut(strings.ToLower(method), "/") // method version, RFC 8601 2.2
		if value, props := details(part); method != "" && value != "" {
			out = append(out, Claim{Method: method, Result: value, Props: props})
		}
	}
	return out, true
}

// tight makes quoted strings single words, and takes out the spaces around equals signs and dots of properties.
func tight(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			end := skipQuoted(s, i)
			for _, q := range []byte(unquote(s[i:min(end+1, len(s))])) {
				if q <= ' ' || q == '=' || q == ';' {
					q = '_'
				}
				b.WriteByte(q)
			}
			i = end
		default:
			b.WriteByte(c)
		}
	}
	out := strings.Join(strings.Fields(b.String()), " ")
	return tightener.Replace(out)
}

// details reads the words of one result, which tight has made plain.
func details(part string) (Result, map[string]string) {
	var value Result
	props := map[string]string{}
	for i, w := range strings.Fields(part) {
		k, v, ok := strings.Cut(w, "=")
		switch {
		case !ok:
		case i == 0:
			value = Result(strings.ToLower(v))
		case len(props) < maxClaims:
			if _, twice := props[strings.ToLower(k)]; !twice {
				props[strings.ToLower(k)] = v
			}
		}
	}
	return value, props
}

// Trusted returns what the listed servers found, the top-most field of each server and method alone, since copies
// that a sender brought lie below it. hops is how many servers of the own side took the message before this one
// and wrote a Received field: 0 at the border itself, 1 behind one gateway. Fields below the Received field of the
// first of them are the sender's and are not looked at; those between it and the next are the gateway's own
// (RFC 8601 4.1). List only servers that remove copies of their own id from mail that comes in: of another, a
// sender's copy looks like its word.
func Trusted(fields []Field, ids []string, hops int) Claims {
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if id = normID(id); id != "" {
			list = append(list, id)
		}
	}
	var out Claims
	seen := map[[2]string]bool{}
	for _, f := range fields {
		switch name := strings.ToLower(strings.TrimSpace(f.Name)); name {
		case "received":
			if hops--; hops < 0 {
				return out
			}
		case "authentication-results":
			id, claims, ok := ParseResults(f.Value)
			if !ok || !contains(list, id) {
				continue
			}
			added := map[string]bool{} // a field may have several results of one method
			for _, c := range claims {
				if !seen[[2]string{id, c.Method}] && len(out) < maxClaims {
					out = append(out, c)
					added[c.Method] = true
				}
			}
			for m := range added {
				seen[[2]string{id, m}] = true
			}
		}
	}
	return out
}
