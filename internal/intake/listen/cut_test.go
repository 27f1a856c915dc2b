package listen

import (
	"bytes"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

func FuzzCutKeepsEveryRecord(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), uint16(3))
	f.Add([]byte("\r\n \n"), uint16(700))
	f.Add([]byte("x\n"), uint16(3000))
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		data = bytes.Repeat(data, int(times%3000)+1)
		if len(data) > 8<<20 {
			t.Skip()
		}
		parts, err := cutAll([]bus.Frame{{Data: data, First: 1}})
		if err != nil {
			if i := bytes.IndexByte(data, '\n'); i >= 0 && len(data) <= MaxSingle {
				t.Error(err)
			}
			return
		}
		records := 0
		for _, p := range parts {
			records += p.Records
			if p.Records != countRecords(p.Data) || p.Records > bus.MaxRecords || p.Records > 1 && len(p.Data) > bus.MaxBytes {
				t.Fatalf("a part of %d records and %d bytes", p.Records, len(p.Data))
			}
			at := 0
			for range p.First - 1 {
				at += bytes.IndexByte(data[at:], '\n') + 1
			}
			if !bytes.HasPrefix(data[at:], p.Data) {
				t.Fatalf("the part that begins at line %d holds something else", p.First)
			}
		}
		if records != countRecords(data) {
			t.Errorf("%d records of %d", records, countRecords(data))
		}
	})
}
