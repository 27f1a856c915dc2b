package decode

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// plainObjects are texts around the border of what scan takes.
var plainObjects = []string{
	`{}`, `{ }`, `{`, `}`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":"`, `{"a":"x"`, `{"a":1,`, `{"a":1,}`, `{,"a":1}`, `{"a":1}}`, `{"a":1} `, `{"a" : 1 , "b"	:	"x"}`,
	`{"b":"x","a":2,"b":3}`, `{"a":-}`, `{"a":-1.5e+3,"b":1e5,"c":1.2.3-}`, `{"a":+1}`, `{"a":NaN}`, `{"a":-Inf}`, `{"a":nan}`, `{"a":null,"b":1}`, `{"a":true,"b":false}`, `{"a":tru}`, `{"a":falsee}`, `{"a":true`,
	`{"":1}`, `{"a\"b":1}`, `{"a":"x\u0041"}`, `{"a":[1,2]}`, `{"a":{"b":1}}`, `{"a":{}}`, "{\"a\":\"\x00\x01\xff\"}", "{\n\"a\":1,\r\n\"b\":2\n}", `{"a":"{[}"}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`,
	`{"ts":1.5,"uid":"C1","id.orig_h":"192.0.2.1","id.orig_p":40000,"proto":"tcp","local_orig":true}`, `{"ts":2.5,"uid":"C2","id.orig_h":"192.0.2.1","proto":"tcp","local_orig":false}`,
	`{"ts":1.5,"uid":"C1","id.orig_h":"192.0.2.1","id.orig_p":40000,"proto":"tcp","local_orig":true}`, `{"ts":1.5,"uidx":"C1","id.orig":"192.0.2.1"}`, `1`, `[1]`, ``, ` {"a":1}`,
}

// same reports what scan and the parser make of a text, where they differ.
func same(f *flattener, text string) string {
	if f.missed = 0; !f.scan([]byte(text)) {
		return ""
	}
	got, _ := f.fields()
	v, err := new(fastjson.Parser).Parse(text)
	if err != nil {
		return fmt.Sprintf("it is taken though it is no JSON: %v", err)
	}
	want, _, err := (&flattener{}).flatten(v)
	if err != nil {
		return err.Error()
	}
	if null := v.GetObject(); null.Len() != len(want) {
		return "members are missing"
	}
	return cmp.Diff(want, got)
}

func TestPlainObjectsAreReadAsTheParserReadsThem(t *testing.T) {
	f := &flattener{}
	taken := 0
	for range 3 { // what was read before changes where names are looked for
		for _, text := range plainObjects {
			if diff := same(f, text); diff != "" {
				t.Errorf("%s: %s", text, diff)
			}
			if f.missed == 0 {
				taken++
			}
		}
	}
	if want := 3 * 14; taken != want {
		t.Errorf("%d of the texts are taken, not %d", taken, want)
	}
}

func FuzzPlainObjects(f *testing.F) {
	for i, text := range plainObjects {
		f.Add(text, plainObjects[(i+1)%len(plainObjects)])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		if len(one)+len(two) > MaxRecord {
			t.Skip("longer than a record")
		}
		x := &flattener{}
		for _, text := range []string{one, two, one, two} {
			if diff := same(x, text); diff != "" {
				t.Errorf("%q: %s", text, diff)
			}
		}
	})
}

func TestColumnsAreTheFieldsOfTheirNames(t *testing.T) {
	c, d := NewColumns("a", "c", "missing", "b.x"), NewColumns("c")
	f, p := &flattener{}, &fastjson.Parser{}
	remembered := 0
	for range 3 {
		for _, text := range []string{`{"a":1,"b":2,"c":3}`, `{"c":3,"a":1}`, `{"c":1,"c":2}`, `{"b":{"x":1},"a":[1,2]}`, `{"z":{"` + strings.Repeat("n", 2*maxName) + `":1},"a":1}`, `{}`} {
			o := &JSON{}
			if f.missed = 0; f.scan([]byte(text)) {
				o.fields, o.layout = f.fields()
			} else {
				v, err := p.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				if o.fields, o.layout, err = f.flatten(v); err != nil {
					t.Fatal(err)
				}
			}
			for _, ask := range []*Columns{c, d, c} {
				for i, name := range ask.names {
					got, there := o.Column(ask, i)
					if want, ok := o.fields.Get(name); got != want || there != ok {
						t.Errorf("%.40s: column %s is %q, %v", text, name, got, there)
					}
				}
			}
			if o.places.at != nil {
				remembered++
			}
		}
	}
	if want := 2 * 5; remembered != want { // all but the first of each, and that of a name too long to keep
		t.Errorf("the places of %d objects are remembered, not of %d", remembered, want)
	}
}

func TestLayoutsThatAreKeptAreBounded(t *testing.T) {
	f := &flattener{}
	for n := range 3 * maxLayouts {
		if !f.scan(fmt.Appendf(nil, `{"a%d":1,"b%d":2}`, n%50, n%61)) {
			t.Fatal("a plain object is not taken")
		}
		fields, _ := f.fields()
		if want := (ocsf.Fields{{Name: fmt.Sprintf("a%d", n%50), Value: "1"}, {Name: fmt.Sprintf("b%d", n%61), Value: "2"}}); !cmp.Equal(want, fields) {
			t.Fatalf("%v, want %v", fields, want)
		}
	}
	if len(f.layouts) > maxLayouts {
		t.Errorf("%d layouts are kept, at most %d may be", len(f.layouts), maxLayouts)
	}
}

// A source whose objects are never plain pays little for their being tried.
func TestObjectsThatAreNeverPlainAreRarelyTried(t *testing.T) {
	f, tried := &flattener{}, 0
	for range 10 * tries {
		before := f.before
		f.before = -1
		f.scan([]byte(`{"a":null}`))
		if f.before != -1 {
			tried++
		}
		f.before = before
	}
	if tried > 3*tries {
		t.Errorf("%d of %d are tried", tried, 10*tries)
	}
	f.missed = 2*tries - 1
	first, second := f.scan([]byte(`{"a":1}`)), f.scan([]byte(`{"a":1}`))
	if !first || !second {
		t.Error("plain objects that follow many others are not taken once one is tried")
	}
}

func TestAFlowComesWithItsEventAndIsGivenOnce(t *testing.T) {
	f := &flattener{}
	for i := range 3 {
		o := &JSON{}
		if !f.scan([]byte(`{"a":1}`)) {
			t.Fatal("a plain object is not taken")
		}
		o.fields, o.layout = f.fields()
		e := o.event()
		if e.Flow != nil || len(e.Fields) != 1 || (o.flow != nil) != (i > 0) {
			t.Errorf("object %d: %+v, room for a flow %v", i, e, o.flow != nil)
		}
		one, two := o.Flow(), o.Flow()
		if one == nil || two == nil || one == two || *one != (ocsf.Flow{}) {
			t.Errorf("object %d: flows %p and %p", i, one, two)
		}
		one.Proto = "tcp"
	}
	if o := (&JSON{}); o.event() == nil || o.Flow() == nil {
		t.Error("an object without a layout has no event or no flow")
	}
}
