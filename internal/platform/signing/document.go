// Package signing makes and checks documents that the holder of a key stands by, and keeps that key in a file.
//
// In: the exact bytes of a payload and what kind of document it is, or a document that somebody else wrote. Out: a JSON
// object of four members (the kind, the Ed25519 public key, the payload, and the signature over the payload's exact
// bytes with the kind before them, so that a signature for one kind is none for another; RFC 8032 5.1.6), or the
// payload of one whose signature holds. Nobody has to agree on how JSON is spelt. What a payload means, and whether its
// signer is anybody we know, is not asked here.
package signing

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Document is a payload with whoever signed it.
type Document struct {
	Kind    string
	Key     ed25519.PublicKey
	Payload []byte
}

// envelope is a document as it travels.
type envelope struct {
	Breakwater string `json:"breakwater"` // kind
	Key        []byte `json:"key"`        // Ed25519 public key, 32 bytes
	Payload    []byte `json:"payload"`
	Signature  []byte `json:"signature"`
}

// ErrSignature is returned by Open where the signature does not fit the payload.
var ErrSignature = errors.New("the signature does not fit the payload: it was changed, or signed by another key")

// Seal signs a payload and writes it as it travels, in at most that many bytes.
func Seal(key ed25519.PrivateKey, kind string, payload []byte, most int) ([]byte, error) {
	e := envelope{Breakwater: kind, Key: key.Public().(ed25519.PublicKey), Payload: payload}
	e.Signature = ed25519.Sign(key, signed(kind, payload))
	out, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the document: %w", err)
	}
	if out = append(out, '\n'); len(out) > most {
		return nil, fmt.Errorf("the document has %d bytes where %d are the limit", len(out), most)
	}
	return out, nil
}

func signed(kind string, payload []byte) []byte {
	return append([]byte(kind+"\x00"), payload...)
}

// Open reads a document of at most that many bytes, of one of these kinds, and checks its signature. The error is
// ErrSignature where that does not hold; any other is about the document's form.
func Open(data []byte, most int, kinds ...string) (*Document, error) {
	if len(data) > most {
		return nil, fmt.Errorf("it has more than %d bytes", most)
	}
	var e envelope
	if err := Strict(data, &e); err != nil {
		return nil, fmt.Errorf("it is no signed document: %w", err)
	}
	if len(e.Key) != ed25519.PublicKeySize || len(e.Signature) != ed25519.SignatureSize {
		return nil, errors.New("its key or signature is not whole")
	}
	if !slices.Contains(kinds, e.Breakwater) {
		return nil, fmt.Errorf("%q is no kind of document that is wanted here and that this version knows", short(e.Breakwater))
	}
	if !ed25519.Verify(e.Key, signed(e.Breakwater, e.Payload), e.Signature) {
		return nil, ErrSignature
	}
	return &Document{e.Breakwater, e.Key, e.Payload}, nil
}

// Strict reads one JSON object without unknown members and with nothing behind it.
func Strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind it")
	}
	return nil
}

// Fingerprint names a key as OpenSSH does: SHA-256 of its wire form (RFC 8709 4), in base64 without padding.
func Fingerprint(key ed25519.PublicKey) string {
	var b []byte
	for _, part := range [][]byte{[]byte("ssh-ed25519"), key} {
		b = append(b, 0, 0, 0, byte(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
