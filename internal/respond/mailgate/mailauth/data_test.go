package mailauth

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// eachMessage reads the real messages of an archive in the data folder, or skips.
func eachMessage(t testing.TB, name string, visit func(raw []byte)) {
	t.Helper()
	dir := os.Getenv("BREAKWATER_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data at %s; set BREAKWATER_DATA to the data folder", dir)
	}
	f, err := os.Open(filepath.Join(dir, "mail", name))
	if err != nil {
		t.Fatalf("opening the messages: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		raw, err := io.ReadAll(io.LimitReader(r, 64<<20))
		if err != nil {
			t.Fatal(err)
		}
		visit(raw)
	}
}

// Keys of real mail are long gone from DNS, but the hash of the body stands in the signature: where the archive
// kept the bytes as they were sent, it must be what this package finds.
func TestData_bodiesOfRealMailHashAsTheirSignersSaid(t *testing.T) {
	for _, name := range []string{"phish.tar.zst", "ham-modern.tar.zst"} {
		c := checker(t, nil)
		var messages, signatures, read, match, seals, sealMatch int
		byCanon := map[bool]int{}
		eachMessage(t, name, func(raw []byte) {
			messages++
			r := c.Check(t.Context(), Envelope{}, raw)
			if r.Deciding().Result == Pass || r.ARC.Result == Pass || r.DMARC.Result == Pass {
				t.Errorf("a message passes without DNS: %+v", r)
			}
			m := readMessage(raw)
			at, _ := m.all("dkim-signature", scanSignatures)
			for _, i := range at {
				signatures++
				s := parseSignature(m, i, true, false)
				if s.problem != "" {
					continue
				}
				read++
				if sum, _ := m.bodySum(s.relaxedBody, s.limit); bytes.Equal(sum[:], s.bodySum) {
					match++
					byCanon[s.relaxedBody]++
				}
			}
			if chain := m.chain(); len(chain.sets) > 0 {
				seals++
				s := chain.sets[len(chain.sets)-1].sig
				if sum, _ := m.bodySum(s.relaxedBody, s.limit); bytes.Equal(sum[:], s.bodySum) {
					sealMatch++
				}
			}
		})
		t.Logf("%s: %d messages, %d signatures, %d well-formed, %d with this body (simple %d, relaxed %d); %d chains of right form, %d with this body",
			name, messages, signatures, read, match, byCanon[false], byCanon[true], seals, sealMatch)
		if byCanon[false] == 0 || byCanon[true] == 0 || sealMatch == 0 {
			t.Errorf("%s: no body hashes as its signer said in one of the canonicalisations", name)
		}
	}
}
