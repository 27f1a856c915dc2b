package signing

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const kind = "breakwater/test/1"

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func sealed(t testing.TB, payload string) []byte {
	t.Helper()
	doc, err := Seal(testKey(1), kind, []byte(payload), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestADocumentComesBackAsItWasSigned(t *testing.T) {
	d, err := Open(sealed(t, "what was said"), 1<<10, "breakwater/other/1", kind)
	if err != nil || d.Kind != kind || string(d.Payload) != "what was said" || !d.Key.Equal(testKey(1).Public()) {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := Seal(testKey(1), kind, make([]byte, 1<<10), 1<<10); err == nil {
		t.Error("a payload beyond the limit was sealed")
	}
}

func TestAChangedDocumentIsRefused(t *testing.T) {
	doc := sealed(t, "what was said")
	other, err := Seal(testKey(2), kind, []byte("what was said"), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	member := func(d []byte, name string) []byte {
		i := bytes.Index(d, []byte(`"`+name+`": "`)) + len(name) + 5
		return d[i : i+bytes.IndexByte(d[i:], '"')]
	}
	for name, c := range map[string]struct {
		doc       []byte
		signature bool // ErrSignature is wanted
	}{
		"another payload":     {bytes.Replace(doc, member(doc, "payload"), []byte("d2hhdCB3YXMgc2Fpbg=="), 1), true},
		"another key":         {bytes.Replace(doc, member(doc, "key"), member(other, "key"), 1), true},
		"another signature":   {bytes.Replace(doc, member(doc, "signature"), member(other, "signature"), 1), true},
		"another kind":        {bytes.Replace(doc, []byte(kind), []byte("breakwater/other/1"), 1), true},
		"a kind not wanted":   {bytes.Replace(doc, []byte(kind), []byte("breakwater/third/1"), 1), false},
		"half a signature":    {bytes.Replace(doc, member(doc, "signature"), member(doc, "signature")[:20], 1), false},
		"something behind it": {append(bytes.Clone(doc), "{}"...), false},
		"an unknown member":   {bytes.Replace(doc, []byte(`"key"`), []byte(`"more": 1, "key"`), 1), false},
		"too long":            {append(bytes.Clone(doc), bytes.Repeat([]byte(" "), 1<<10)...), false},
		"nothing":             {nil, false},
	} {
		_, err := Open(c.doc, 1<<10, kind, "breakwater/other/1")
		if err == nil || errors.Is(err, ErrSignature) != c.signature {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAFingerprintIsThatOfOpenSSH compares with what `ssh-keygen -lf` prints of the same key.
func TestAFingerprintIsThatOfOpenSSH(t *testing.T) {
	if got := Fingerprint(testKey(0).Public().(ed25519.PublicKey)); got != "SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo" {
		t.Errorf("got %s", got)
	}
}

func TestAKeyIsReadByItsOwnerAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys", "key.pem")
	if _, err := ReadKey(name); err == nil || !strings.Contains(err.Error(), "there is no key") {
		t.Errorf("without a key: %v", err)
	}
	key, err := CreateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadKey(name); err != nil || !got.Equal(key) {
		t.Errorf("read back: %v", err)
	}
	if _, err := CreateKey(name); err == nil {
		t.Error("a key was replaced")
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(name); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sealed(f, "what was said"))
	f.Add([]byte(`{"breakwater":"breakwater/test/1","key":"","payload":null,"signature":"AA=="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Open(data, 1<<10, kind)
		if (d == nil) == (err == nil) {
			t.Fatalf("got %v and %v", d, err)
		}
		if d != nil && (d.Kind != kind || len(d.Key) != ed25519.PublicKeySize) {
			t.Fatalf("opened %+v", d)
		}
	})
}
