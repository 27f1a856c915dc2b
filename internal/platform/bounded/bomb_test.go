package bounded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const bombReason = "zip bomb: expands more than 200:1; the rest is not read"

// zeros is a size of zeros in one compression after another, made without holding them.
func zeros(size int64, wrap func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := wrap(&b)
	chunk := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(chunk)) {
		w.Write(chunk)
	}
	w.Close()
	return b.Bytes()
}

func deflateZeros(size int64) []byte {
	return zeros(size, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })
}

func zstdZeros(size int64) []byte {
	return zeros(size, func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
}

// count drops what is read, so that the test itself holds nothing.
func count(data []byte, limits Limits) (paths, problems []string, stats Stats, err error) {
	limits.Problem = func(path, why string) { problems = append(problems, path+": "+why) }
	stats, err = Unpack(context.Background(), "in", bytes.NewReader(data), limits, func(f File) error {
		paths = append(paths, f.Path)
		_, err := io.Copy(io.Discard, f.Reader)
		return err
	})
	return paths, problems, stats, err
}

func TestBomb_expansionEndsAtTheRatio(t *testing.T) {
	const size = 96 << 20
	deflated := deflateZeros(size)
	member := func(name string) []byte { return rawZip(name, deflated, size) }
	for _, c := range []struct {
		name     string
		data     []byte
		problems []string
		most     int64
	}{
		{"zstd of zeros", zstdZeros(size), []string{"in: " + bombReason}, 80 << 20},
		{"gzip of zeros", gzipAround(deflated, size), []string{"in: " + bombReason}, 80 << 20},
		{"zip of zeros", member("a"), []string{"in!a: " + bombReason}, 80 << 20},
		{"zip in tar", tarOf(entry{"z", member("a")}, entry{"b", []byte("b")}), []string{"in!z!a: " + bombReason}, 80 << 20},
		{"gzip of gzip", gz(gzipAround(deflated, size)), []string{"in: " + bombReason}, 80 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems, stats, err := count(c.data, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "problems", problems, c.problems)
			if stats.Bytes > c.most || stats.Bytes < DefaultRatioFrom/2 {
				t.Errorf("%d MiB delivered", stats.Bytes>>20)
			}
		})
	}
}

// TestBomb_membersThatShareTheirBytes is the overlapping zip of Fifield (A better zip bomb, WOOT 2019): each
// member is modest, the sum isn't.
func TestBomb_membersThatShareTheirBytes(t *testing.T) {
	const size, members = 8 << 20, 200
	_, problems, stats, err := count(sharedZip(deflateZeros(size), size, members), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 1 || !strings.HasSuffix(problems[0], bombReason) {
		t.Errorf("problems %q", problems)
	}
	if stats.Bytes > 80<<20 {
		t.Errorf("%d MiB delivered", stats.Bytes>>20)
	}
}

func TestBomb_sparseTarMemberIsHeldToTheRatio(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	// PAX sparse 1.0: the map in the data says that one byte lies at the far end of a 1 TiB hole.
	const hole = 1 << 40
	sparse := make([]byte, 512+1)
	copy(sparse, fmt.Sprintf("1\n%d\n1\n", int64(hole)-1))
	w.WriteHeader(&tar.Header{Name: "x", Size: int64(len(sparse)), Typeflag: tar.TypeReg, Mode: 0o600, Format: tar.FormatPAX})
	w.Write(sparse)
	w.Close()
	records := ""
	for _, kv := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=hole", fmt.Sprintf("GNU.sparse.realsize=%d", int64(hole))} {
		n := len(kv) + 3
		if n = len(kv) + 2 + len(fmt.Sprint(n)); true {
			records += fmt.Sprintf("%d %s\n", n, kv)
		}
	}
	var out bytes.Buffer
	pax := tar.NewWriter(&out)
	pax.WriteHeader(&tar.Header{Name: "pax", Size: int64(len(records)), Typeflag: tar.TypeReg, Mode: 0o600})
	pax.Write([]byte(records))
	pax.Flush()
	head := out.Bytes()
	retype(head, tar.TypeXHeader)
	_, problems, stats, err := count(append(head, b.Bytes()...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "problems", problems, []string{"in!hole: " + bombReason})
	if stats.Bytes > 80<<20 {
		t.Errorf("%d MiB delivered", stats.Bytes>>20)
	}
}

func TestBomb_fileIsCutAtItsCap(t *testing.T) {
	paths, problems, stats, err := count(tarOf(entry{"a", make([]byte, 5000)}, entry{"b", make([]byte, 1000)}), Limits{MaxFileBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "paths", paths, []string{"in!a", "in!b"})
	equal(t, "problems", problems, []string{"in!a: larger than 1000 bytes: the rest is not read"})
	if stats.Bytes != 2000 {
		t.Errorf("%d bytes delivered", stats.Bytes)
	}
}

func TestBomb_membersAreCounted(t *testing.T) {
	var many []entry
	for i := range 100 {
		many = append(many, entry{fmt.Sprint(i), nil})
	}
	paths, problems, _, _ := count(tarOf(many...), Limits{MaxMembers: 10})
	equal(t, "tar", problems, []string{"in: more than 10 members: the rest is not read"})
	if len(paths) != 10 {
		t.Errorf("%d members visited", len(paths))
	}
	_, problems, _, _ = count(zipOf(many...), Limits{MaxMembers: 10})
	equal(t, "zip", problems, []string{"in: a zip that claims 100 members, more than 10: not read"})

	lying := zipOf(many...)
	end := bytes.LastIndex(lying, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint16(lying[end+8:], 1)
	binary.LittleEndian.PutUint16(lying[end+10:], 1)
	_, problems, _, _ = count(lying, Limits{MaxMembers: 10})
	equal(t, "lying zip", problems, []string{"in: a zip of more than 10 members: not read"})
}

func TestBomb_quineEndsAtTheDepth(t *testing.T) {
	data := []byte("x")
	for range 50 {
		data = gz(data)
	}
	paths, problems, _, _ := count(data, Limits{})
	if len(paths) > 0 {
		t.Errorf("visited %q", paths)
	}
	equal(t, "problems", problems, []string{"in: archives nested deeper than 4"})
}

func TestBomb_zstdWindowIsCapped(t *testing.T) {
	// A frame header that asks for a 1 GiB window (RFC 8878 3.1.1.1.2), then an empty last block.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, problems, _, _ := count(frame, Limits{})
	runtime.ReadMemStats(&after)
	equal(t, "problems", problems, []string{"in: needs more than 128 MiB of memory to unpack"})
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d MiB allocated", grown>>20)
	}
}

func TestReader_tellsACutFromTheEnd(t *testing.T) {
	for _, c := range []struct {
		max  int64
		want error
	}{{4, ErrTooLarge}, {5, nil}, {6, nil}, {0, ErrTooLarge}} {
		data, err := ReadAll(strings.NewReader("12345"), c.max)
		if !errors.Is(err, c.want) || int64(len(data)) != min(c.max, 5) {
			t.Errorf("max %d: %q, %v", c.max, data, err)
		}
	}
}

// rawZip makes a zip of one member from bytes that are compressed already.
func rawZip(name string, deflated []byte, size uint64) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(len(deflated)), UncompressedSize64: size})
	f.Write(deflated)
	w.Close()
	return b.Bytes()
}

// sharedZip makes a zip whose directory names one member many times.
func sharedZip(deflated []byte, size uint64, members int) []byte {
	one := rawZip("a", deflated, size)
	dir, end := bytes.LastIndex(one, []byte("PK\x01\x02")), bytes.LastIndex(one, []byte("PK\x05\x06"))
	header := one[dir:end]
	out := append([]byte(nil), one[:dir]...)
	for range members {
		out = append(out, header...)
	}
	tail := append([]byte(nil), one[end:]...)
	binary.LittleEndian.PutUint16(tail[8:], uint16(members))
	binary.LittleEndian.PutUint16(tail[10:], uint16(members))
	binary.LittleEndian.PutUint32(tail[12:], uint32(members*len(header)))
	return append(out, tail...)
}

// gzipAround puts a gzip header and an unchecked trailer around deflated bytes (RFC 1952 2.3).
func gzipAround(deflated []byte, size uint32) []byte {
	out := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, deflated...)
	out = append(out, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(out, size)
}

// retype changes the type of a tar header and mends its checksum.
func retype(header []byte, typeflag byte) {
	header[156] = typeflag
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header[:512] {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

func linkTar() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "soft", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})
	w.WriteHeader(&tar.Header{Name: "hard", Linkname: "../x", Typeflag: tar.TypeLink})
	w.WriteHeader(&tar.Header{Name: "device", Typeflag: tar.TypeChar})
	w.WriteHeader(&tar.Header{Name: "folder/", Typeflag: tar.TypeDir})
	w.WriteHeader(&tar.Header{Name: "plain", Size: 1, Typeflag: tar.TypeReg})
	w.Write([]byte("x"))
	w.Close()
	return b.Bytes()
}
