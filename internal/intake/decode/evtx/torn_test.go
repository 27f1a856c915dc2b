package evtx

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// sample returns a recorded log with several records in one chunk.
func sample(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "rdp-logins.evtx"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// offsets returns where the records of the first chunk begin.
func offsets(raw []byte) (out []int) {
	for pos := headerSize + chunkHeader; bytes.HasPrefix(raw[pos:], recordMagic); pos += int(binary.LittleEndian.Uint32(raw[pos+4:])) {
		out = append(out, pos)
	}
	return out
}

func reseal(raw []byte) {
	c := raw[headerSize : headerSize+chunkSize]
	binary.LittleEndian.PutUint32(c[52:], crc32.ChecksumIEEE(c[chunkHeader:binary.LittleEndian.Uint32(c[48:])]))
}

func TestDamageCostsWhatIsDamagedAlone(t *testing.T) {
	whole := len(decoded(t, sample(t)).Events)
	recs := offsets(sample(t))
	if whole < 5 || whole != len(recs) {
		t.Fatalf("the sample has %d events in %d records", whole, len(recs))
	}
	for _, test := range []struct {
		name   string
		damage func(raw []byte) []byte
		events int
		says   string
	}{
		{"header lost", func(raw []byte) []byte { clear(raw[:headerSize]); return raw }, whole, "header is damaged"},
		{"only chunks", func(raw []byte) []byte { return raw[headerSize:] }, whole, ""},
		{"sums of another time", func(raw []byte) []byte { raw[headerSize+52] ^= 1; return raw }, whole, ""},
		{"end of records not told", func(raw []byte) []byte {
			binary.LittleEndian.PutUint32(raw[headerSize+48:], 0xffffffff)
			return raw
		}, whole, ""},
		{"a record's size", func(raw []byte) []byte {
			binary.LittleEndian.PutUint32(raw[recs[2]+4:], 0x7fffffff)
			reseal(raw)
			return raw
		}, 2, "says it has 2147483647 bytes"},
		{"a record's end", func(raw []byte) []byte {
			raw[recs[3]-4] ^= 0xff
			reseal(raw)
			return raw
		}, whole - 1, "was cut"},
		{"a record's BinXml", func(raw []byte) []byte {
			raw[recs[2]+recordHeader+4] = 0x7f
			reseal(raw)
			return raw
		}, whole - 1, "no token"},
		{"cut within the chunk", func(raw []byte) []byte { return raw[:recs[3]+100] }, 3, "ends within the chunk"},
		{"a chunk without its mark", func(raw []byte) []byte { raw[headerSize] = 'X'; return raw }, 0, "does not begin as one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := decoded(t, test.damage(bytes.Clone(sample(t))))
			if len(c.Events) != test.events {
				t.Errorf("%d events of %d, want %d; bad: %q", len(c.Events), whole, test.events, c.Reasons)
			}
			if said := strings.Join(c.Reasons, "\n"); !strings.Contains(said, test.says) || test.says == "" && said != "" {
				t.Errorf("it says %q, want %q", said, test.says)
			}
		})
	}
}

// TestOverwrittenRecordsAreNotRead: behind a dirty chunk's last record lies what was there before.
func TestOverwrittenRecordsAreNotRead(t *testing.T) {
	raw := bytes.Clone(sample(t))
	recs := offsets(raw)
	raw[headerSize+52] ^= 1
	for _, at := range recs[4:] { // older ones
		binary.LittleEndian.PutUint64(raw[at+8:], binary.LittleEndian.Uint64(raw[at+8:])-1000)
	}
	if c := decoded(t, raw); len(c.Events) != 4 || len(c.Reasons) != 0 {
		t.Errorf("%d events and %q, want the 4 new ones", len(c.Events), c.Reasons)
	}
}

func TestADamagedChunkLeavesTheNext(t *testing.T) {
	one := sample(t)
	chunk := one[headerSize : headerSize+chunkSize]
	raw := append(bytes.Clone(one[:headerSize+chunkSize]), chunk...)
	copy(raw[headerSize:], "ElfXXXX")
	whole := len(decoded(t, one).Events)
	if c := decoded(t, raw); len(c.Events) != whole || len(c.Reasons) != 1 {
		t.Errorf("%d events of %d; %q", len(c.Events), whole, c.Reasons)
	}
	c := decoded(t, append(raw, make([]byte, 3*chunkSize)...)) // chunks that were never used
	if len(c.Events) != whole || len(c.Reasons) != 1 {
		t.Errorf("with unused chunks %d events; %q", len(c.Events), c.Reasons)
	}
}

func TestEndlessNestingEnds(t *testing.T) {
	// An element that opens itself again and again.
	c := &chunk{buf: make([]byte, chunkSize)}
	c.reset()
	copy(c.buf, chunkMagic)
	pos := chunkHeader + recordHeader
	name := chunkSize - 100
	binary.LittleEndian.PutUint16(c.buf[name+6:], 1)
	c.buf[name+8] = 'a'
	for pos+20 < name {
		c.buf[pos] = tokenOpen
		binary.LittleEndian.PutUint32(c.buf[pos+1:], 10)
		binary.LittleEndian.PutUint32(c.buf[pos+5:], uint32(name))
		c.buf[pos+9] = tokenCloseOpen
		pos += 10
	}
	_, _, err := c.event(chunkHeader+recordHeader, name)
	if err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("endless nesting gives %v", err)
	}
}

func TestMemoryIsOneChunkWhateverTheFile(t *testing.T) {
	one := sample(t)
	raw := bytes.Clone(one[:headerSize])
	for range 200 {
		raw = append(raw, one[headerSize:headerSize+chunkSize]...)
	}
	var before, after runtime.MemStats
	var c counter
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := Stream().Read(t.Context(), "x.evtx", bytes.NewReader(raw), &c); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if want := 200 * len(offsets(one)); int(c) != want {
		t.Errorf("%d events, want %d", c, want)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// values without the zero type: what appendValue writes.
func TestValues(t *testing.T) {
	le := binary.LittleEndian
	u64 := func(n uint64) []byte { return le.AppendUint64(nil, n) }
	utf := func(s string) (b []byte) {
		for _, r := range s {
			b = le.AppendUint16(b, uint16(r))
		}
		return b
	}
	sid := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}
	guid := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	for _, test := range []struct {
		name string
		kind byte
		in   []byte
		want string
	}{
		{"null", typeNull, []byte{1}, ""},
		{"text", typeString, utf("Grüße\x00"), "Grüße"},
		{"surrogates", typeString, []byte{0x3d, 0xd8, 0x00, 0xde}, "😀"},
		{"lone surrogate", typeString, []byte{0x3d, 0xd8, 'a', 0}, "\uFFFDa"},
		{"ANSI", typeANSI, []byte("caf\xe9 \x80\x00x"), "café €"},
		{"int8", typeInt8, []byte{0xff}, "-1"},
		{"uint8", typeUint8, []byte{0xff}, "255"},
		{"int16", typeInt16, []byte{0, 0x80}, "-32768"},
		{"uint16", typeUint16, []byte{0, 0x80}, "32768"},
		{"int32", typeInt32, le.AppendUint32(nil, 0xffffffff), "-1"},
		{"uint32", typeUint32, le.AppendUint32(nil, 0xffffffff), "4294967295"},
		{"int64", typeInt64, u64(1 << 63), "-9223372036854775808"},
		{"uint64", typeUint64, u64(1 << 63), "9223372036854775808"},
		{"double", typeDouble, u64(0x3ff8000000000000), "1.5"},
		{"bool", typeBool, le.AppendUint32(nil, 1), "true"},
		{"binary", typeBinary, []byte{0xde, 0xad}, "DEAD"},
		{"GUID", typeGUID, guid, "04030201-0605-0807-090A-0B0C0D0E0F10"},
		{"pointer", typeSize, u64(0xabc), "0xabc"},
		{"file time", typeFiletime, u64(132000000000000001), "2019-04-17T18:40:00.000000Z"},
		{"system time", typeSystem, []byte{0xe8, 7, 2, 0, 4, 0, 29, 0, 12, 0, 30, 0, 1, 0, 5, 0}, "2024-02-29T12:30:01.005000Z"},
		{"SID", typeSID, sid, "S-1-5-32-544"},
		{"hex 32", typeHex32, le.AppendUint32(nil, 0x1fffff), "0x1fffff"},
		{"hex 64", typeHex64, u64(1 << 63), "0x8000000000000000"},
		{"texts", typeArray | typeString, append(utf("a\x00"), utf("bc\x00")...), "a, bc"},
		{"numbers", typeArray | typeUint16, []byte{1, 0, 2, 0, 9}, "1, 2"},
		{"SIDs", typeArray | typeSID, append(sid, sid...), "S-1-5-32-544, S-1-5-32-544"},
		{"too short", typeUint64, []byte{1, 2}, "0102"},
		{"short SID", typeSID, []byte{1, 9, 0}, "010900"},
		{"unknown type", 0x55, []byte{7}, "07"},
	} {
		if got := string(appendValue(nil, test.kind, test.in)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzFile(f *testing.F) {
	raw := sample(f)
	f.Add(raw[:headerSize+chunkSize])
	f.Add(raw[headerSize : headerSize+8<<10])
	f.Add([]byte("ElfFile\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &decodetest.Collect{}
		_ = Stream().Read(t.Context(), "x.evtx", bytes.NewReader(raw), c) // an error is as good as events
		for _, e := range c.Events {
			decodetest.Check(t, e)
		}
	})
}

// FuzzRecord puts bytes where a record's BinXml stands, behind a sound frame, since the checks of the frame keep most
// of what FuzzFile makes away from it.
func FuzzRecord(f *testing.F) {
	raw := sample(f)
	recs := offsets(raw)
	for _, i := range []int{0, 1, len(recs) - 1} {
		size := int(binary.LittleEndian.Uint32(raw[recs[i]+4:]))
		f.Add(raw[recs[i]+recordHeader : recs[i]+size-4])
	}
	f.Fuzz(func(t *testing.T, xml []byte) {
		if len(xml) > chunkSize-chunkHeader-recordHeader {
			return
		}
		c := &chunk{buf: make([]byte, chunkSize)}
		c.reset()
		copy(c.buf, raw[headerSize:headerSize+chunkHeader])
		copy(c.buf[chunkHeader+recordHeader:], xml)
		_, _, _ = c.event(chunkHeader+recordHeader, chunkHeader+recordHeader+len(xml))
	})
}

// counter counts events and keeps none.
type counter int

func (c *counter) Event(*ocsf.Event, int64, []byte) { *c++ }
func (c *counter) Bad(int64, string, []byte)        {}

// BenchmarkDecode reads all recorded logs, as one process would, into nothing.
func BenchmarkDecode(b *testing.B) {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = "../../../../../shared/data"
	}
	var all [][]byte
	bytesIn := 0
	_ = filepath.WalkDir(filepath.Join(root, "endpoint", "evtx"), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".evtx") {
			raw, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, raw)
			bytesIn += len(raw)
		}
		return nil
	})
	if len(all) == 0 {
		b.Skip("no sample data: set BREAKWATER_DATA to its folder")
	}
	b.SetBytes(int64(bytesIn))
	b.ReportAllocs()
	var c counter
	stream := Stream()
	for b.Loop() {
		for _, raw := range all {
			if err := stream.Read(b.Context(), "x.evtx", bytes.NewReader(raw), &c); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(c)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(c)/float64(b.N), "events/op")
}
