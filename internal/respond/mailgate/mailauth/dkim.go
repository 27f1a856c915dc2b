package mailauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
)

// signatures are the DKIM signatures of a message that will be verified.
type signatures struct {
	list    []signature
	ignored int
}

// scanSignatures is how many signature fields are read to find the aligned ones among them.
const scanSignatures = 50

// signatures chooses what to verify: those of From's organisation first, since they decide; then top-most first,
// since the last server signed there.
func (m *message) signatures(from fromField) signatures {
	at, n := m.all("dkim-signature", scanSignatures)
	var s signatures
	for _, i := range at {
		s.list = append(s.list, parseSignature(m, i, true, false))
	}
	slices.SortStableFunc(s.list, func(a, b signature) int {
		return from.order(a.domain) - from.order(b.domain)
	})
	if len(s.list) > MaxSignatures {
		s.list = s.list[:MaxSignatures]
	}
	s.ignored = n - len(s.list)
	return s
}

func (c *Checker) dkim(ctx context.Context, m *message, sigs signatures, from fromField) []DKIM {
	var out []DKIM
	for i := range sigs.list {
		s := &sigs.list[i]
		d := DKIM{
			Domain: s.domain, Selector: s.selector, Identity: s.identity, Algorithm: s.algorithm,
			Signed: s.made, Expires: s.expires, Aligned: from.order(s.domain) == 0,
		}
		if len(s.bytes) > 0 {
			d.Tag = base64.StdEncoding.EncodeToString(s.bytes[:min(9, len(s.bytes))])
			d.Tag = d.Tag[:min(10, len(d.Tag))]
		}
		d.Result, d.Reason = c.verify(ctx, m, s)
		if key, _, _ := c.key(ctx, s.keyName()); s.problem == "" && key != nil {
			d.Testing = key.testing
		}
		if d.Result == Pass {
			c.qualify(&d, m, s)
		}
		out = append(out, d)
	}
	return out
}

// qualify looks at what makes a right signature not count.
func (c *Checker) qualify(d *DKIM, m *message, s *signature) {
	if !s.expires.IsZero() && c.now().After(s.expires) {
		d.Result, d.Expired, d.Reason = Fail, true, "the signature has expired"
		return
	}
	if s.limit < 0 {
		return
	}
	// RFC 6376 8.2: whoever adds to the end of the body leaves such a signature right, so it does not count then.
	if _, length := m.bodySum(s.relaxedBody, -1); s.limit < length {
		d.Result, d.Partial = Policy, true
		d.Reason = fmt.Sprintf("only the first %d of %d octets of the body are signed (l=)", s.limit, length)
	} else {
		d.Reason = "signed with l=, which covers the whole body"
	}
}
