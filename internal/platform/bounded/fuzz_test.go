package bounded

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// FuzzUnpack holds that no input makes unpacking fail, give more than its caps allow, or name a place outside
// the archive.
func FuzzUnpack(f *testing.F) {
	line := []byte("one line\n")
	for _, seed := range [][]byte{
		nil, line, gz(line), zst(line), tarOf(entry{"a/../../b", line}), zipOf(entry{"a", line}, entry{`..\b`, line}),
		zst(tarOf(entry{"a", gz(line)})), zipOf(entry{"a", zipOf(entry{"b", line})}), linkTar(), gz(line)[:12],
		sharedZip(deflateZeros(1<<20), 1<<20, 3), {0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00},
	} {
		f.Add(seed)
	}
	limits := Limits{MaxFileBytes: 1 << 20, RatioFrom: 1 << 20, MaxMembers: 100, MaxSpoolBytes: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits.SpoolDir = t.TempDir()
		limits.Problem = func(path, why string) {
			if strings.ContainsAny(path+why, "\n\x1b") || why == "" {
				t.Errorf("a problem that is no line: %q %q", path, why)
			}
		}
		stats, err := Unpack(context.Background(), "in", bytes.NewReader(data), limits, func(file File) error {
			for part := range strings.SplitSeq(strings.ReplaceAll(file.Path, "!", "/"), "/") {
				if part == ".." {
					t.Errorf("path %q", file.Path)
				}
			}
			n, err := io.Copy(io.Discard, file.Reader)
			if n > limits.MaxFileBytes {
				t.Errorf("%d bytes of %s", n, file.Path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if most := limits.RatioFrom + (int64(len(data))+1)*DefaultMaxRatio + 1<<20; stats.Bytes > most {
			t.Errorf("%d bytes out of %d", stats.Bytes, len(data))
		}
	})
}
