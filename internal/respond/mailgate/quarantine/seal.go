package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// partial ends the names of files that are being written.
const partial = ".partial"

// identity reads the key that messages are sealed with, and makes it where there is none. Whoever has the folder and
// this key reads the mail; a backup of the one without the other does not.
func identity(path string) (*age.X25519Identity, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		k, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, fmt.Errorf("making the key of held mail: %w", err)
		}
		if err := writeFile(path, []byte(k.String()+"\n")); err != nil {
			return nil, fmt.Errorf("keeping the key of held mail: %w", err)
		}
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of held mail: %w", err)
	}
	k, err := age.ParseX25519Identity(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("reading the key of held mail: %s is no age identity (%w); put it right from a copy, since without it held mail can't be read", path, err)
	}
	return k, nil
}

func seal(k *age.X25519Identity, raw []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, k.Recipient())
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unseal(k *age.X25519Identity, sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), k)
	if err != nil {
		return nil, fmt.Errorf("opening the seal: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("opening the seal: %w", err)
	}
	if len(raw) > MaxMessage {
		return nil, fmt.Errorf("opening the seal: more than %d bytes", MaxMessage)
	}
	return raw, nil
}

// readFile reads a file of at most most bytes.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return raw, err
}

// writeFile writes a file whole or not at all, and returns when it is on disk.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "*"+partial)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}
