package decode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// flattener makes fields of objects. What it needs for that it keeps for the next object: records of one source
// follow one another, with the same names in the same order.
type flattener struct {
	parts []part
	text  []byte // the values of the object at hand, one after the other
	err   error
	names map[string]string // each name once in memory, however many records have it
	path  []byte
	last  []string // the names of the object before, as they came
	order []int    // and their places, sorted by name
}

// part is a field whose value is a piece of the text.
type part struct {
	name     string
	from, to int
}

// Bounds of what is kept for the next object: whoever writes records chooses it.
const (
	maxNames = 4096
	maxName  = 128 // bytes
	maxText  = 64 << 10
)

// flatten returns the fields in the order of their names. Their values share one string: a record costs two
// allocations, however many fields it has.
func (f *flattener) flatten(v *fastjson.Value) (ocsf.Fields, error) {
	f.parts, f.text, f.err = f.parts[:0], f.text[:0], nil
	f.object("", v, 0)
	defer f.clean()
	if f.err != nil {
		return nil, f.err
	}
	f.sort()
	text := string(f.text)
	out := make(ocsf.Fields, len(f.parts))
	for i, k := range f.order {
		p := &f.parts[k]
		out[i] = ocsf.Field{Name: p.name, Value: text[p.from:p.to]}
	}
	return out, nil
}

// sort finds the order of the names, unless they are those of the object before.
func (f *flattener) sort() {
	same := len(f.last) == len(f.parts)
	for i := 0; same && i < len(f.last); i++ {
		same = f.last[i] == f.parts[i].name
	}
	if same {
		return
	}
	f.last, f.order = f.last[:0], f.order[:0]
	for i := range f.parts {
		f.last, f.order = append(f.last, f.parts[i].name), append(f.order, i)
	}
	slices.SortStableFunc(f.order, func(a, b int) int { return strings.Compare(f.last[a], f.last[b]) })
}

// clean drops what was large: names that are too long to be kept, and the room for many values.
func (f *flattener) clean() {
	if cap(f.text) > maxText {
		f.text = nil
	}
	if len(f.parts) > maxNames/8 || slices.ContainsFunc(f.last, func(name string) bool { return len(name) > maxName }) {
		f.last, f.order = nil, nil
	}
	clear(f.parts)
}

// name returns the name of a member below a prefix.
func (f *flattener) name(prefix string, key []byte) string {
	if i := len(f.parts); prefix == "" && i < len(f.last) && f.last[i] == string(key) {
		return f.last[i]
	}
	f.path = append(f.path[:0], prefix...)
	if prefix != "" {
		f.path = append(f.path, '.')
	}
	f.path = append(f.path, key...)
	if known, ok := f.names[string(f.path)]; ok {
		return known
	}
	name := string(f.path)
	if len(name) <= maxName && len(f.names) < maxNames {
		if f.names == nil {
			f.names = map[string]string{}
		}
		f.names[name] = name
	}
	return name
}

func (f *flattener) object(prefix string, v *fastjson.Value, depth int) {
	obj, err := v.Object()
	if err != nil || f.err != nil {
		return
	}
	obj.Visit(func(k []byte, x *fastjson.Value) { f.value(f.name(prefix, k), x, depth+1) })
}

func (f *flattener) value(name string, v *fastjson.Value, depth int) {
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

func (f *flattener) plain(name string, v *fastjson.Value, depth int) {
	switch v.Type() {
	case fastjson.TypeObject:
		f.object(name, v, depth)
	case fastjson.TypeArray:
		f.array(name, v, depth)
	case fastjson.TypeNull:
	default:
		from := len(f.text)
		f.scalar(v)
		f.parts = append(f.parts, part{name, from, len(f.text)})
	}
}

// array joins plain values; objects and arrays get an index. The plain ones are joined in a second pass, since what
// stands between them writes to the text too.
func (f *flattener) array(name string, v *fastjson.Value, depth int) {
	list, _ := v.Array()
	plain := false
	for i, x := range list {
		if t := x.Type(); t == fastjson.TypeObject || t == fastjson.TypeArray {
			f.value(join(name, strconv.Itoa(i)), x, depth+1)
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
	f.parts = append(f.parts, part{name, from, len(f.text)})
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
