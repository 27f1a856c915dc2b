package signing

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// maxKey bounds a key file in bytes.
const maxKey = 16 << 10

// CreateKey makes a key and writes it (PKCS #8 in PEM) to a file that only its owner can read. It never replaces one:
// peers have pinned it.
func CreateKey(name string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing the key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("making the key's folder: %w", err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already, and peers may have pinned it; move it away to make another", name)
	}
	if err != nil {
		return nil, fmt.Errorf("making the key file: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("writing the key to %s: %w", name, err)
	}
	return key, nil
}

// ReadKey reads what CreateKey wrote.
func ReadKey(name string) (ed25519.PrivateKey, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no key at %s; make one with `breakwater trace key create`", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, errors.Join(err, fmt.Errorf("others can read the key %s; take their rights away (chmod 600)", name))
	}
	data, err := bounded.ReadAll(f, maxKey)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", name, err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is no key in PEM", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", name, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is no Ed25519 key; make one with `breakwater trace key create`", name)
	}
	return key, nil
}
