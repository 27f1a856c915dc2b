package decode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unique"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// flattener makes fields of objects. What it needs for that it keeps for the next object: records of one source
// follow one another, with the same names in the same order.
type flattener struct {
	parts  []part
	text   []byte // the values of the object at hand, one after the other
	odd    []string
	err    error
	path   []byte
	before int32            // the word before the one that comes next
	words  []word           // each name once in memory, however many records have it; the first stands before all others
	names  map[string]int32 // their places in words
	missed int              // objects one after the other that were not plain

	last    *layout
	layouts map[uint64]*layout // by the hash of their names
}

// part is a field whose value is a piece of the text. Its name is a word, or where that is negative, one of the odd
// names, counted from -1 down.
type part struct {
	name     int32
	from, to int32
}

// word is a name that is kept, with the one that followed it last.
type word struct {
	text  string
	next  int32
	plain bool // it needs no escape in JSON

	handle unique.Handle[string] // equal names of all readers are one in memory, so that they compare at a glance
}

// Bounds of what is kept for the next object: whoever writes records chooses it.
const (
	maxNames   = 4096
	maxName    = 128 // bytes
	maxText    = 64 << 10
	maxLayouts = 512
	maxKept    = maxNames / 8 // fields of a layout
)

// flatten returns the fields in the order of their names, and their layout. Their values share one string: a record
// costs two allocations, however many fields it has.
func (f *flattener) flatten(v *fastjson.Value) (ocsf.Fields, *layout, error) {
	f.begin()
	f.object("", v, 0)
	if f.err != nil {
		f.clean()
		return nil, nil, f.err
	}
	fields, l := f.fields()
	return fields, l, nil
}

// begin makes room for an object. Names are forgotten between objects only, since one refers to them by number.
func (f *flattener) begin() {
	if len(f.words) == 0 || len(f.words) > maxNames {
		f.words, f.names = append(f.words[:0:0], word{}), map[string]int32{}
		f.last, f.layouts = nil, map[uint64]*layout{}
	}
	f.parts, f.text, f.err, f.before = f.parts[:0], f.text[:0], nil, 0
}

// fields makes the fields of what was taken, and returns their layout.
func (f *flattener) fields() (ocsf.Fields, *layout) {
	l := f.layout()
	text := string(f.text)
	out := make(ocsf.Fields, len(f.parts))
	for i, k := range l.order {
		p := &f.parts[k]
		out[i] = ocsf.Field{Name: f.nameOf(p), Value: text[p.from:p.to]}
	}
	f.clean()
	return out, l
}

func (f *flattener) nameOf(p *part) string {
	if p.name < 0 {
		return f.odd[-1-p.name]
	}
	return f.words[p.name].text
}

// clean drops what was large: names that are not kept, and the room for many values.
func (f *flattener) clean() {
	if cap(f.text) > maxText {
		f.text = nil
	}
	if cap(f.parts) > 2*maxKept {
		f.parts = nil
	}
	clear(f.odd)
	f.odd = f.odd[:0]
}

// name returns the number of a member's name below a prefix.
func (f *flattener) name(prefix string, key []byte) int32 {
	if prefix == "" {
		return f.number(key)
	}
	f.path = append(f.path[:0], prefix...)
	f.path = append(f.path, '.')
	f.path = append(f.path, key...)
	return f.number(f.path)
}

// number returns the number of a name. The one that followed last is looked at first.
func (f *flattener) number(name []byte) int32 {
	expected := f.words[f.before].next
	if expected != 0 && f.words[expected].text == string(name) {
		f.before = expected
		return expected
	}
	id, known := f.names[string(name)]
	if !known {
		if len(name) > maxName || len(f.words) > maxNames {
			return f.oddName(string(name))
		}
		id = int32(len(f.words))
		handle := unique.Make(string(name))
		text := handle.Value()
		f.words = append(f.words, word{text: text, plain: !strings.ContainsAny(text, `"\`), handle: handle})
		f.names[text] = id
	}
	f.words[f.before].next, f.before = id, id
	return id
}

func (f *flattener) oddName(name string) int32 {
	f.odd = append(f.odd, name)
	return -int32(len(f.odd))
}

func (f *flattener) object(prefix string, v *fastjson.Value, depth int) {
	obj, err := v.Object()
	if err != nil || f.err != nil {
		return
	}
	obj.Visit(func(k []byte, x *fastjson.Value) { f.value(f.name(prefix, k), x, depth+1) })
}

func (f *flattener) value(name int32, v *fastjson.Value, depth int) {
	switch {
	case f.err != nil:
	case depth > MaxDepth:
		f.err = fmt.Errorf("nested deeper than %d", MaxDepth)
	case len(f.parts) >= MaxFields:
		f.err = fmt.Errorf("more than %d fields", MaxFields)
	default:
		f.plain(name, v, depth)
	}
}

func (f *flattener) plain(name int32, v *fastjson.Value, depth int) {
	switch v.Type() {
	case fastjson.TypeObject:
		f.object(f.nameOf(&part{name: name}), v, depth)
	case fastjson.TypeArray:
		f.array(name, v, depth)
	case fastjson.TypeNull:
	default:
		from := len(f.text)
		f.scalar(v)
		f.add(name, from)
	}
}

// add takes a field whose value is what was written to the text since.
func (f *flattener) add(name int32, from int) {
	f.parts = append(f.parts, part{name, int32(from), int32(len(f.text))})
}

// array joins plain values; objects and arrays get an index. The plain ones are joined in a second pass, since what
// stands between them writes to the text too.
func (f *flattener) array(name int32, v *fastjson.Value, depth int) {
	list, _ := v.Array()
	plain := false
	for i, x := range list {
		if t := x.Type(); t == fastjson.TypeObject || t == fastjson.TypeArray {
			f.value(f.oddName(join(f.nameOf(&part{name: name}), strconv.Itoa(i))), x, depth+1)
		} else {
			plain = true
		}
	}
	if !plain {
		return
	}
	from, first := len(f.text), true
	for _, x := range list {
		if t := x.Type(); t == fastjson.TypeObject || t == fastjson.TypeArray {
			continue
		}
		if !first {
			f.text = append(f.text, ", "...)
		}
		first = false
		f.scalar(x)
	}
	f.add(name, from)
}

// scalar appends a plain value to the text.
func (f *flattener) scalar(v *fastjson.Value) {
	if v.Type() == fastjson.TypeString {
		b, _ := v.StringBytes()
		f.text = append(f.text, b...)
		return
	}
	f.text = v.MarshalTo(f.text)
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// layout is the names of an object's fields in the order in which they came, and what follows from them alone.
type layout struct {
	names  []int32 // by number
	order  []int32 // their places, sorted by name
	again  bool    // more than one object had it
	flow   bool    // events of such objects have a flow
	places []columnPlaces
}

// layout returns the layout of what was taken: that of the object before or another known one where they are alike.
func (f *flattener) layout() *layout {
	if f.last != nil && f.fits(f.last) {
		f.last.again = true
		return f.last
	}
	hash, keep := uint64(14695981039346656037), len(f.parts) <= maxKept
	for i := range f.parts {
		hash = (hash ^ uint64(uint32(f.parts[i].name))) * 1099511628211
		keep = keep && f.parts[i].name > 0
	}
	if l := f.layouts[hash]; keep && l != nil && f.fits(l) {
		f.last, l.again = l, true
		return l
	}
	l := &layout{names: make([]int32, len(f.parts)), order: make([]int32, len(f.parts))}
	for i := range f.parts {
		l.names[i], l.order[i] = f.parts[i].name, int32(i)
	}
	slices.SortStableFunc(l.order, func(a, b int32) int {
		return strings.Compare(f.nameOf(&f.parts[a]), f.nameOf(&f.parts[b]))
	})
	if keep {
		if len(f.layouts) >= maxLayouts {
			clear(f.layouts)
		}
		f.last, f.layouts[hash] = l, l
	}
	return l
}

func (f *flattener) fits(l *layout) bool {
	if len(l.names) != len(f.parts) {
		return false
	}
	for i := range f.parts {
		if l.names[i] != f.parts[i].name {
			return false
		}
	}
	return true
}
