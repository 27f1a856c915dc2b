package mailauth

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// publicKey is a key record (RFC 6376 3.6.1).
type publicKey struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
	hashes  []string // h=; nil: all
	strict  bool     // t=s: i= must be the domain itself
	testing bool     // t=y
	problem string   // why the record is no key
}

const (
	maxKeyRecord = 4 << 10
	minRSA       = 1024 // bits; RFC 8301 3.2
	maxRSA       = 8192 // a larger key costs more than a message is worth
)

// key asks for the key record of a name. Where there is none it returns nil, the result and the reason.
func (c *Checker) key(ctx context.Context, name string) (*publicKey, Result, string) {
	txt, err := c.dns.LookupTXT(ctx, name)
	switch {
	case isTemporary(err):
		return nil, TempError, "the key could not be had: " + err.Error()
	case isNotFound(err), err == nil && len(txt) == 0:
		return nil, PermError, "there is no key " + name
	case err != nil:
		return nil, PermError, "no key: " + err.Error()
	case len(txt) > 1: // RFC 6376 3.6.2.2: undefined
		return nil, PermError, "more than one key record"
	}
	k, ok := c.keys.get(txt[0])
	if !ok {
		k = parseKey(txt[0])
		c.keys.put(strings.Clone(txt[0]), k, len(txt[0])+1024)
	}
	if k.problem != "" {
		return nil, PermError, k.problem
	}
	return k, Pass, ""
}

func parseKey(record string) *publicKey {
	k := new(publicKey)
	if err := k.parse(record); err != nil {
		k.problem = err.Error()
	}
	return k
}

func (k *publicKey) parse(record string) error {
	if len(record) > maxKeyRecord {
		return errors.New("a key record of more than 4 KiB")
	}
	tags, err := parseTags([]byte(record))
	if err != nil {
		return fmt.Errorf("a key record with %w", err)
	}
	if v, there := tags.get("v"); there && (v != "DKIM1" || tags[0].name != "v") {
		return errors.New("a key record of another version than DKIM1")
	}
	if s := tags.words("s"); len(s) > 0 && !contains(s, "*") && !contains(s, "email") {
		return errors.New("a key that is not for mail (s=)")
	}
	k.hashes = tags.words("h")
	k.strict, k.testing = contains(tags.words("t"), "s"), contains(tags.words("t"), "y")
	p, there := tags.get("p")
	if !there {
		return errors.New("a key record without a key (p=)")
	}
	if p = noSpace(p); p == "" {
		return errors.New("the key is revoked")
	}
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return errors.New("a key that is no base64")
	}
	switch kind := tags.value("k"); kind {
	case "", "rsa":
		return k.parseRSA(der)
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			return fmt.Errorf("an Ed25519 key of %d octets", len(der))
		}
		k.ed25519 = der
		return nil
	}
	return errors.New("a key of an unknown kind (k=)")
}

// parseRSA takes both forms that are in use (RFC 6376, erratum 3017).
func (k *publicKey) parseRSA(der []byte) error {
	pub, err := x509.ParsePKIXPublicKey(der)
	key, ok := pub.(*rsa.PublicKey)
	if err != nil {
		key, err = x509.ParsePKCS1PublicKey(der)
		ok = err == nil
	}
	if !ok {
		return errors.New("a key that is no RSA key")
	}
	if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
		return fmt.Errorf("an RSA key of %d bits; %d to %d are accepted", bits, minRSA, maxRSA)
	}
	k.rsa = key
	return nil
}

// refuses says why the key may not be used for the signature, or "".
func (k *publicKey) refuses(s *signature) string {
	switch {
	case (k.rsa != nil) != (s.algorithm == "rsa-sha256"):
		return "the key is of another kind than a= says"
	case k.hashes != nil && !contains(k.hashes, "sha256"):
		return "the key may not be used with SHA-256 (h=)"
	case s.isDKIM && k.strict && domainOf(s.identity[strings.LastIndexByte(s.identity, '@')+1:]) != s.domain:
		return "i= is a subdomain, which the key forbids (t=s)"
	}
	return ""
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

func takeBuffer() *[]byte { return buffers.Get().(*[]byte) }

// giveBuffer keeps a buffer for the next signature, unless one message made it large.
func giveBuffer(b *[]byte) {
	if cap(*b) <= 256<<10 {
		buffers.Put(b)
	}
}
