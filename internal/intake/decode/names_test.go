package decode

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Whoever writes records chooses their names: remembering them must not take memory without end, nor mix records up.
func TestNamesThatAreKeptAreBounded(t *testing.T) {
	f, p := &flattener{}, &fastjson.Parser{}
	for n := range 3 * maxNames {
		v, err := p.Parse(fmt.Sprintf(`{"a":{"n%d":"x"},"b":"%d","%0200d":1}`, n, n, n))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := f.flatten(v)
		want := ocsf.Fields{{Name: fmt.Sprintf("%0200d", n), Value: "1"}, {Name: fmt.Sprintf("a.n%d", n), Value: "x"}, {Name: "b", Value: fmt.Sprint(n)}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("record %d: %v, %s", n, err, diff)
		}
	}
	if len(f.names) > maxNames {
		t.Errorf("%d names are kept, at most %d may be", len(f.names), maxNames)
	}
	for name := range f.names {
		if len(name) > maxName {
			t.Fatalf("a name of %d bytes is kept, at most %d may be", len(name), maxName)
		}
	}
}

// A record that can't be taken must leave nothing to the next one of the same reader.
func TestBadRecordsLeaveNothingBehind(t *testing.T) {
	f, p := &flattener{}, &fastjson.Parser{}
	deep := `{"a":` + string(nested(MaxDepth+2)) + `}`
	for _, text := range []string{`{"secret":"one","x":1}`, deep, `{"x":2}`} {
		v, err := p.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := f.flatten(v)
		if text == deep {
			if err == nil {
				t.Error("a record nested too deep was taken")
			}
			continue
		}
		if want := parse(t, text).Fields(); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s gave %v, %v", text, got, err)
		}
	}
	for _, name := range f.odd[:cap(f.odd)] {
		if name != "" {
			t.Errorf("the name %q of an earlier record is kept", name)
		}
	}
	if cap(f.text) > maxText {
		t.Errorf("room for %d bytes of values is kept, at most %d may be", cap(f.text), maxText)
	}
}

// The order of the names is taken over from the record before; it must never be taken over wrongly.
func TestFieldsAreSortedWhateverCameBefore(t *testing.T) {
	f, p := &flattener{}, &fastjson.Parser{}
	for _, text := range []string{
		`{"b":1,"a":2}`, `{"b":3,"a":4}`, `{"a":5,"b":6}`, `{"a":5}`, `{"b":1,"a":2,"c":[1,{"x":"y"},"",[7]]}`, `{"b":1,"a":2,"c":["",""]}`,
		`{"b":null,"a":{"b":1,"a":""}}`, `{"a":{"b":1,"a":""},"b":true}`, `{"b":1,"b":2,"a":3}`, `{}`, `{"b":"` + strings.Repeat("x", 2*maxText) + `","a":1.50e3}`, `{"b":1,"a":2}`,
	} {
		v, err := p.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := f.flatten(v)
		if err != nil {
			t.Fatal(err)
		}
		want, _, err := (&flattener{}).flatten(v)
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%.80s gave %.80v, and %.80v where nothing came before (%v)", text, got, want, err)
		}
		if !slices.IsSortedFunc(got, func(a, b ocsf.Field) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%.80s gave fields out of order: %.80v", text, got)
		}
	}
}

// nested returns lists within lists.
func nested(depth int) []byte {
	b := make([]byte, 2*depth)
	for i := range depth {
		b[i], b[2*depth-1-i] = '[', ']'
	}
	return b
}

func TestDepthIsAskedOnlyWhereThereAreBrackets(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{string(nested(3)), false}, {string(nested(4)), true},
		{`{"a":"[[[[[[["}`, false}, {`{"a":"\"[[[[[","b":[[[1]]]}`, true},
	} {
		if got := DeeperThan([]byte(c.text), 3); got != c.want {
			t.Errorf("DeeperThan(%s, 3) is %v", c.text, got)
		}
	}
}
