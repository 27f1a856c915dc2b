package config

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// trace reads how a trust exchanges trace requests; the zero value where the section is missing: with nobody.
func (o *object) trace() tenant.TraceTerms {
	var t tenant.TraceTerms
	s, ok := o.section("trace", "peer", "answer", "account")
	if !ok {
		return t
	}
	if it := s.need("peer", "give the fingerprint that the other side's `breakwater trace key show` prints"); !it.bad {
		t.Peer = it.fingerprint()
	}
	switch it := s.text("answer"); it.text {
	case "", "approve":
	case "auto":
		t.Auto = true
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is no way to answer", printable(it.text)), "write approve (a person says yes to each answer) or auto")
		}
	}
	switch it := s.text("account"); it.text {
	case "", "false":
	case "true":
		t.Account = true
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is neither true nor false", printable(it.text)), "write true where answers may name the account")
		}
	}
	return t
}

// fingerprint reads SHA256: and 43 characters of base64 without padding, as OpenSSH prints a key's.
func (it item) fingerprint() string {
	digest, ok := strings.CutPrefix(it.text, "SHA256:")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(digest)
	if !ok || err != nil || len(raw) != 32 {
		it.fail(fmt.Sprintf("%q is no fingerprint", printable(it.text)), "write SHA256: and the 43 characters that `breakwater trace key show` prints")
		return ""
	}
	return it.text
}
