package tracing

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"

	"github.com/breakwater-project/breakwater/internal/platform/signing"
)

// CreateKey makes the key that signs trace requests and answers; see signing.CreateKey.
func CreateKey(name string) (ed25519.PrivateKey, error) { return signing.CreateKey(name) }

// ReadKey reads what CreateKey wrote.
func ReadKey(name string) (ed25519.PrivateKey, error) { return signing.ReadKey(name) }

// Fingerprint names a key as OpenSSH does; see signing.Fingerprint.
func Fingerprint(key ed25519.PublicKey) string { return signing.Fingerprint(key) }

// NewNonce returns 32 random hexadecimal digits.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
