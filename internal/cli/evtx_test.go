package cli

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScanReadsWindowsEventLogs reads a log as Windows keeps it: plain, packed, and torn in its chunk.
func TestScanReadsWindowsEventLogs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "intake", "decode", "evtx", "testdata", "rdp-logins.evtx"))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		data []byte
		says []string
	}{
		{"plain.evtx", raw, []string{"Read 11 events from 1 file"}},
		{"packed.evtx.gz", packed.Bytes(), []string{"Read 11 events from 1 file"}},
		{"torn.evtx", raw[:9000], []string{"Read 3 events from 1 file", "ends within the chunk at offset 4096"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.name), test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			var said, errs bytes.Buffer
			if code := Main([]string{"scan", dir}, strings.NewReader(""), &said, &errs); code != 0 || errs.Len() > 0 {
				t.Errorf("exit %d, %s", code, errs.String())
			}
			out := said.String()
			for _, want := range test.says {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
		})
	}
}
