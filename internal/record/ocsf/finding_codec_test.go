package ocsf

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func filledFinding(t *testing.T) Finding {
	var f Finding
	v := reflect.ValueOf(&f).Elem()
	for i, n := 0, 0; i < v.NumField(); i++ {
		if x := v.Field(i); x.Kind() == reflect.Int {
			x.SetInt(int64(40 + i))
		} else {
			fill(t, x, &n)
		}
	}
	return f
}

func TestFindingCodecKeepsEveryField(t *testing.T) {
	far := filledFinding(t)
	far.Suppressed.Until = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	bytes := Finding{Title: "not UTF-8: \xff\xfe", Evidence: []Evidence{{File: "a"}}}
	for name, want := range map[string]Finding{"every field": far, "no field": {}, "odd text and no event": bytes} {
		t.Run(name, func(t *testing.T) {
			b, err := want.AppendBinary([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			var got Finding
			if err := got.UnmarshalBinary(b[len("before"):]); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(plain(want), plain(got), cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("the finding changed on its way (-want +got):\n%s", d)
			}
		})
	}
}

// plain has no methods of its own, so that cmp compares it field by field.
type plain Finding

func TestFindingCodecRefusesTruncatedFindings(t *testing.T) {
	f := filledFinding(t)
	b, _ := f.AppendBinary(nil)
	for n := range b {
		if err := new(Finding).UnmarshalBinary(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a whole finding", n, len(b))
		}
	}
}

func TestCloneSharesNothingThatGrows(t *testing.T) {
	f := filledFinding(t)
	c := f.Clone()
	f.Entities[0].Value, f.Evidence[0].File, f.Suppressed.Owner = "changed", "changed", "changed"
	if c.Entities[0].Value == "changed" || c.Evidence[0].File == "changed" || c.Suppressed.Owner == "changed" {
		t.Errorf("the clone changed with its model: %+v", c)
	}
}

func FuzzUnmarshalFinding(f *testing.F) {
	x := Finding{ID: "a", Time: time.Unix(1, 2).UTC(), Entities: []Entity{{Value: "a"}}, Evidence: []Evidence{{Event: &Event{Mail: &Mail{To: []string{"a"}}}}}}
	b, _ := x.AppendBinary(nil)
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var x, y Finding
		if x.UnmarshalBinary(b) != nil {
			return
		}
		again, _ := x.AppendBinary(nil)
		if err := y.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if third, _ := y.AppendBinary(nil); string(third) != string(again) {
			t.Fatal("what was read and written again reads otherwise")
		}
	})
}
