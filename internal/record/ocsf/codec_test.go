package ocsf

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestCodecKeepsEveryField fills every field of an event by reflection, so that a field that is added to a
// record and forgotten in the codec fails here.
func TestCodecKeepsEveryField(t *testing.T) {
	var want Event
	fill(t, reflect.ValueOf(&want).Elem(), new(int))
	b, err := want.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("the event changed on its way (-want +got):\n%s", d)
	}
}

func TestCodecRefusesTruncatedEvents(t *testing.T) {
	var e Event
	fill(t, reflect.ValueOf(&e).Elem(), new(int))
	b, _ := e.AppendBinary(nil)
	for n := range b {
		if err := new(Event).UnmarshalBinary(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a whole event", n, len(b))
		}
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	e := Event{Time: time.Unix(1, 2).UTC(), Mail: &Mail{To: []string{"a"}}, Fields: Fields{{"a", "b"}}}
	b, _ := e.AppendBinary(nil)
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if e.UnmarshalBinary(b) != nil {
			return
		}
		again, _ := e.AppendBinary(nil)
		var e2 Event
		if err := e2.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
	})
}

func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(int64(*n), 5).UTC()
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{10, 0, 0, byte(*n)})
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(rune('a'+*n%26)) + "x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) / 4)
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	default:
		t.Fatalf("fill does not know %s", v.Type())
	}
}
