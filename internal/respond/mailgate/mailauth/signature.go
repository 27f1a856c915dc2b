package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// signature is a DKIM-Signature or an ARC-Message-Signature, which differ in two tags alone (RFC 8617 4.1.2), or
// an ARC-Seal, which signs no body. One verifier serves all three.
type signature struct {
	field          int // in message.fields
	tags           tagList
	problem        string // why it cannot be verified
	domain         string
	selector       string
	identity       string
	algorithm      string
	relaxedHeader  bool
	relaxedBody    bool
	signed         []string // h=, lower case
	bodySum        []byte   // bh=
	bytes          []byte   // b=
	cut, end       int      // b= in the field's value
	limit          int64    // l=; -1: the whole body
	made, expires  time.Time
	isDKIM, isSeal bool
}

func (s *signature) keyName() string { return s.selector + "._domainkey." + s.domain }

// parseSignature reads the tags. What it returns has a problem where RFC 6376 6.1.1 says that it is void.
func parseSignature(m *message, at int, isDKIM, isSeal bool) signature {
	s := signature{field: at, limit: -1, isDKIM: isDKIM, isSeal: isSeal}
	v := m.fields[at].value()
	if len(v) > maxSignatureSize {
		s.problem = "the field is larger than 16 KiB"
		return s
	}
	var err error
	if s.tags, err = parseTags(v); err != nil {
		s.problem = err.Error()
	}
	s.algorithm = strings.ToLower(s.tags.value("a"))
	s.selector = strings.ToLower(s.tags.value("s"))
	s.domain = domainOf(s.tags.value("d"))
	s.identity = s.tags.value("i")
	for _, step := range []func() string{s.readNames, s.readTimes, s.readCanon, s.readSigned, s.readBytes} {
		if s.problem == "" {
			s.problem = step()
		}
	}
	return s
}

func (s *signature) readNames() string {
	if v, _ := s.tags.get("v"); s.isDKIM && v != "1" {
		return "v= is not 1"
	}
	if s.domain == "" {
		return "d= is no domain name"
	}
	if !plausibleName(s.keyName()) {
		return "s= is no selector"
	}
	if !s.isDKIM {
		return ""
	}
	if s.identity == "" {
		s.identity = "@" + s.domain
		return ""
	}
	at := strings.LastIndexByte(s.identity, '@')
	d := domainOf(s.identity[at+1:])
	if at < 0 || d != s.domain && !strings.HasSuffix(d, "."+s.domain) {
		return "i= is not of the domain d="
	}
	return ""
}

func (s *signature) readTimes() string {
	var ok bool
	if s.made, ok = tagTime(s.tags, "t"); !ok {
		return "t= is no time"
	}
	if s.isSeal {
		return ""
	}
	if s.expires, ok = tagTime(s.tags, "x"); !ok {
		return "x= is no time"
	}
	if !s.expires.IsZero() && !s.made.IsZero() && s.expires.Before(s.made) {
		return "x= is before t="
	}
	if q := s.tags.words("q"); len(q) > 0 && !contains(q, "dns/txt") {
		return "q= asks for another way to the key than DNS"
	}
	return ""
}

// tagTime reads seconds since 1970; a tag that is missing is the zero time. Twelve digits are the longest that
// RFC 6376 3.5 asks to be understood.
func tagTime(l tagList, name string) (time.Time, bool) {
	v := l.value(name)
	if _, there := l.get(name); !there {
		return time.Time{}, true
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > 999_999_999_999 {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0).UTC(), true
}

func (s *signature) readCanon() string {
	if s.isSeal { // RFC 8617 5.1.1: always relaxed
		s.relaxedHeader = true
		return ""
	}
	head, body, _ := strings.Cut(strings.ToLower(s.tags.value("c")), "/")
	for _, c := range []struct {
		word string
		set  *bool
	}{{head, &s.relaxedHeader}, {body, &s.relaxedBody}} {
		switch c.word {
		case "relaxed":
			*c.set = true
		case "", "simple":
		default:
			return "c= is neither simple nor relaxed"
		}
	}
	if l, there := s.tags.get("l"); there {
		n, err := strconv.ParseInt(noSpace(l), 10, 64)
		if err != nil || n < 0 {
			return "l= is no length"
		}
		s.limit = n
	}
	return ""
}

func (s *signature) readSigned() string {
	h, there := s.tags.get("h")
	if s.isSeal {
		if there { // RFC 8617 4.1.3
			return "a seal with h="
		}
		return ""
	}
	s.signed = strings.Split(strings.ToLower(noSpace(h)), ":")
	if len(s.signed) > MaxSignedFields {
		return "h= names more than 200 fields"
	}
	if !contains(s.signed, "from") {
		return "From is not signed"
	}
	if !s.isDKIM && contains(s.signed, "arc-seal") { // RFC 8617 4.1.2
		return "h= names ARC-Seal"
	}
	return ""
}

func (s *signature) readBytes() string {
	for _, t := range s.tags {
		if t.name == "b" {
			s.cut, s.end = t.start, t.end
		}
	}
	switch s.algorithm {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1": // RFC 8301 3.1
		return "rsa-sha1 is too weak to count"
	default:
		return "a= is no known algorithm"
	}
	var err error
	if !s.isSeal {
		if s.bodySum, err = base64.StdEncoding.DecodeString(s.tags.value("bh")); err != nil || len(s.bodySum) != sha256.Size {
			return "bh= is no SHA-256 hash"
		}
	}
	if s.bytes, err = base64.StdEncoding.DecodeString(s.tags.value("b")); err != nil || len(s.bytes) == 0 {
		return "b= is no signature"
	}
	return ""
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

// data appends what the signature was made over: the signed fields, from the bottom up where a name stands more
// than once, and the field of the signature itself with an empty b= (RFC 6376 3.7, 5.4.2).
func (s *signature) data(dst []byte, m *message) []byte {
	one, own := simpleField, simpleValue
	if s.relaxedHeader {
		one, own = relaxedField, relaxedValue
	}
	below := make(map[int32]int, len(s.signed)) // from where upwards the next of that name is sought
	for _, name := range s.signed {
		key, ok := m.keys[name]
		if !ok {
			continue // a field that must not be added later: it adds nothing
		}
		i, ok := below[key]
		if !ok {
			i = len(m.fields)
		}
		for i--; i >= 0 && m.fields[i].key != key; i-- {
		}
		below[key] = max(i, 0)
		if i >= 0 {
			dst = one(dst, &m.fields[i])
		}
	}
	return own(dst, &m.fields[s.field], s.cut, s.end)
}

// verify tells whether the signature is right, and why not.
func (c *Checker) verify(ctx context.Context, m *message, s *signature) (Result, string) {
	if m.problem != "" {
		return PermError, m.problem
	}
	if s.problem != "" {
		return PermError, s.problem
	}
	key, result, reason := c.key(ctx, s.keyName())
	if key == nil {
		return result, reason
	}
	if why := key.refuses(s); why != "" {
		return PermError, why
	}
	if sum, length := m.bodySum(s.relaxedBody, s.limit); s.limit > length {
		return Fail, fmt.Sprintf("l= covers %d octets of a body of %d", s.limit, length)
	} else if subtle.ConstantTimeCompare(sum[:], s.bodySum) != 1 {
		return Fail, "the body was changed"
	}
	buf := takeBuffer()
	defer giveBuffer(buf)
	*buf = s.data((*buf)[:0], m)
	return key.verify(s.bytes, *buf)
}

// verify tells whether the signature over the data was made with the key.
func (k *publicKey) verify(sig, data []byte) (Result, string) {
	sum := sha256.Sum256(data)
	switch {
	case k.rsa != nil && rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum[:], sig) == nil,
		k.ed25519 != nil && ed25519.Verify(k.ed25519, sum[:], sig): // RFC 8463 3: over the hash
		return Pass, ""
	}
	return Fail, "the signature does not fit: a signed header field was changed, or it was made with another key"
}
