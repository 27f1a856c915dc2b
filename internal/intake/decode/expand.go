package decode

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Inner parses an object that an exporter wrote as a string into a record, under the limits of this package.
func Inner(text string) (*JSON, error) {
	if len(text) > MaxRecord {
		return nil, fmt.Errorf("longer than %d bytes", MaxRecord)
	}
	if DeeperThan([]byte(text), MaxDepth) {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	return ParseJSON(&fastjson.Parser{}, []byte(text))
}

// Expand adds the fields of JSON objects and lists that the exporter wrote as strings into the named fields. The
// string stays as it is, and what can't be parsed adds nothing; no field that is there is replaced.
func Expand(e *ocsf.Event, names ...string) {
	for _, name := range names {
		e.Fields = expand(e.Fields, name)
	}
}

func expandAll(fields ocsf.Fields) ocsf.Fields {
	for _, f := range fields {
		if looksNested(f.Value) {
			fields = expand(fields, f.Name)
		}
	}
	return fields
}

func looksNested(text string) bool {
	return len(text) >= 2 && (text[0] == '{' && text[len(text)-1] == '}' || text[0] == '[' && text[len(text)-1] == ']')
}

func expand(fields ocsf.Fields, name string) ocsf.Fields {
	text := strings.TrimSpace(fields.Value(name))
	if !looksNested(text) || len(text) > MaxRecord || strings.ContainsAny(name, `"\`) {
		return fields
	}
	o, err := Inner(`{"` + name + `":` + text + `}`)
	if err != nil || len(fields)+len(o.Fields()) > MaxFields {
		return fields
	}
	var fresh ocsf.Fields
	for _, f := range o.Fields() {
		if _, there := fields.Get(f.Name); !there {
			fresh = append(fresh, f)
		}
	}
	return merged(fields, fresh)
}

// Lift gives the fields below prefix a second time without it, where no field of that name is there: what a
// shipper's envelope holds apart is then found under the source's own names too.
func Lift(e *ocsf.Event, prefix string) {
	var fresh ocsf.Fields
	for _, f := range e.Fields {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok || name == "" {
			continue
		}
		if _, there := e.Fields.Get(name); !there {
			fresh = append(fresh, ocsf.Field{Name: name, Value: f.Value})
		}
	}
	e.Fields = merged(e.Fields, fresh)
}

// AddFields adds fields that are not there yet and have a value, and keeps the order.
func AddFields(e *ocsf.Event, more ...ocsf.Field) {
	fresh := make(ocsf.Fields, 0, len(more))
	for _, f := range more {
		if f.Value == "" {
			continue
		}
		if _, there := e.Fields.Get(f.Name); !there {
			fresh = append(fresh, f)
		}
	}
	e.Fields = merged(e.Fields, fresh)
}

// merged returns the fields of both in order; those of the first are in order already.
func merged(fields, fresh ocsf.Fields) ocsf.Fields {
	if len(fresh) == 0 {
		return fields
	}
	fresh.Sort()
	out := make(ocsf.Fields, 0, len(fields)+len(fresh))
	for _, f := range fields {
		for len(fresh) > 0 && fresh[0].Name < f.Name {
			out, fresh = append(out, fresh[0]), fresh[1:]
		}
		out = append(out, f)
	}
	return append(out, fresh...)
}
