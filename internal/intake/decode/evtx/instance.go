package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// span is a field whose value stands in the record's text from one place to another.
type span struct {
	name     string
	from, to int
}

// event reads the BinXml of one record into fields, named as evtx_dump names them, and the time it was written.
func (c *chunk) event(begin, end int) (ocsf.Fields, time.Time, error) {
	c.text, c.spans, c.values, c.depth = c.text[:0], c.spans[:0], c.values[:0], 0
	when := filetime(binary.LittleEndian.Uint64(c.buf[begin-8:]))
	r := &reader{c: c, pos: begin, end: end}
	if err := c.fragment(r, "", &when); err != nil {
		return nil, when, err
	}
	if len(c.spans) == 0 {
		return nil, when, errors.New("it holds nothing")
	}
	if len(c.text) > decode.MaxRecord {
		return nil, when, fmt.Errorf("its values have more than %d bytes", decode.MaxRecord)
	}
	all := string(c.text) // one allocation for all values
	fields := make(ocsf.Fields, len(c.spans))
	for i, s := range c.spans {
		fields[i] = ocsf.Field{Name: s.name, Value: all[s.from:s.to]}
	}
	return fields, when, nil
}

// fragment reads a fragment: a template with its values, or elements without one.
func (c *chunk) fragment(r *reader, below string, when *time.Time) error {
	if c.depth++; c.depth > maxDepth {
		return fmt.Errorf("templates lie more than %d deep in values", maxDepth)
	}
	defer func() { c.depth-- }()
	for r.pos < r.end {
		switch tok := c.buf[r.pos]; tok &^ tokenMore {
		case tokenEOF:
			return nil
		case tokenFragment:
			if err := r.skip(4); err != nil {
				return err
			}
		case tokenTemplate:
			r.pos++
			if err := c.instance(r, below, when); err != nil {
				return err
			}
		case tokenOpen:
			sub := *r
			sub.bare = c.bareAt(r.pos, r.end)
			t, err := sub.compile(below)
			if err != nil {
				return err
			}
			r.pos = sub.pos
			return c.write(t, nil, when)
		default:
			return fmt.Errorf("0x%02x is no token where an event should begin", tok)
		}
	}
	return nil
}

// bareAt reports whether the element at pos comes without a dependency id, as it does outside of templates: then its
// size, read where it would stand, fits what there is, and with an id it would not.
func (c *chunk) bareAt(pos, end int) bool {
	fits := func(at int) bool {
		if at+8 > end {
			return false
		}
		size := int(binary.LittleEndian.Uint32(c.buf[at:]))
		name := int(binary.LittleEndian.Uint32(c.buf[at+4:]))
		return size <= end-at && name >= chunkHeader && name < chunkSize
	}
	return fits(pos+1) && !fits(pos+3)
}

// instance reads a template instance: which definition, its values, and writes its fields.
func (c *chunk) instance(r *reader, below string, when *time.Time) error {
	if err := r.skip(5); err != nil { // one byte, and the template's short id
		return err
	}
	at, err := r.u32()
	if err != nil {
		return err
	}
	inline := int(at) == r.pos
	if int(at) < chunkHeader || int(at)+24 > chunkSize {
		return fmt.Errorf("its template lies outside of the chunk, at %d", at)
	}
	size := int(binary.LittleEndian.Uint32(c.buf[at+20:])) // after the next one's offset and the GUID
	if size > chunkSize-int(at)-24 {
		return fmt.Errorf("its template of %d bytes reaches out of the chunk", size)
	}
	k := key{at, below}
	t := c.templates[k]
	if t == nil {
		def := &reader{c: c, pos: int(at) + 24, end: int(at) + 24 + size}
		if t, err = def.compile(below); err != nil {
			return fmt.Errorf("its template at %d: %w", at, err)
		}
		c.templates[k] = t
	}
	if inline {
		if err := r.skip(24 + size); err != nil {
			return err
		}
	}
	values, err := c.readValues(r)
	if err != nil {
		return err
	}
	return c.write(t, values, when)
}

func (c *chunk) readValues(r *reader) ([]value, error) {
	n, err := r.u32()
	if err != nil {
		return nil, err
	}
	if n > maxValues {
		return nil, fmt.Errorf("it has %d values, more than %d", n, maxValues)
	}
	first := len(c.values)
	at := r.pos + 4*int(n)
	if at > r.end {
		return nil, errShort
	}
	for i := range int(n) {
		d := c.buf[r.pos+4*i:]
		size := int(binary.LittleEndian.Uint16(d))
		if size > r.end-at {
			return nil, fmt.Errorf("value %d of %d reaches out of the record", i, n)
		}
		c.values = append(c.values, value{d[2], at, at + size})
		at += size
	}
	r.pos = at
	return c.values[first:len(c.values):len(c.values)], nil
}

// write puts the fields of a template with its values behind those there are.
func (c *chunk) write(t *template, values []value, when *time.Time) error {
	for i := range t.ops {
		el := &t.ops[i]
		if len(c.spans) > decode.MaxFields || len(c.text) > decode.MaxRecord {
			return fmt.Errorf("it has more than %d fields or %d bytes", decode.MaxFields, decode.MaxRecord)
		}
		before := len(c.spans)
		for j := range el.attrs {
			a := &el.attrs[j]
			from := len(c.text)
			if there := c.put(a.parts, values); there {
				c.spans = append(c.spans, span{a.name, from, len(c.text)})
				if a.name == "Event.System.TimeCreated.#attributes.SystemTime" {
					c.time(a, values, c.text[from:], when)
				}
			}
		}
		attributed := len(c.spans) > before
		if len(el.parts) == 1 && el.parts[0].sub >= 0 && el.parts[0].sub < len(values) && values[el.parts[0].sub].kind == typeBinXML {
			v := values[el.parts[0].sub]
			if err := c.fragment(&reader{c: c, pos: v.from, end: v.to}, el.path, when); err != nil {
				return err
			}
			continue
		}
		from := len(c.text)
		if n := len(c.spans); el.list && n > 0 && c.spans[n-1].name == el.path && c.spans[n-1].to == from {
			c.text = append(c.text, ", "...)
			if c.put(el.parts, values) {
				c.spans[n-1].to = len(c.text)
			} else {
				c.text = c.text[:from]
			}
			continue
		}
		there := c.put(el.parts, values)
		name := el.path
		switch {
		case el.named != nil:
			name = c.dynamicName(el, values)
		case attributed:
			name = el.text
		}
		if there && (len(c.text) > from || !el.inner && !attributed) { // what is null is not there: <Correlation/>
			c.spans = append(c.spans, span{name, from, len(c.text)})
		}
	}
	return nil
}

// dynamicName names the field of a Data element whose Name is a value. Its own value stands at the end of the text
// already; the name is taken off again.
func (c *chunk) dynamicName(el *element, values []value) string {
	at := len(c.text)
	c.put(el.named, values)
	name := string(c.text[at:])
	c.text = c.text[:at]
	return el.below + "." + name
}

// time takes the event's time, which values hold to 100 ns; in XML without a template it is text.
func (c *chunk) time(a *attribute, values []value, text []byte, when *time.Time) {
	if len(a.parts) == 1 && a.parts[0].sub >= 0 && a.parts[0].sub < len(values) {
		if v := values[a.parts[0].sub]; v.kind == typeFiletime && v.to-v.from == 8 {
			if t := filetime(binary.LittleEndian.Uint64(c.buf[v.from:])); !t.IsZero() {
				*when = t
			}
			return
		}
	}
	if t, ok := decode.ParseTime(string(text)); ok {
		*when = t
	}
}

// put writes pieces of a value; there is false where every piece is null.
func (c *chunk) put(parts []part, values []value) (there bool) {
	for i := range parts {
		p := &parts[i]
		if p.sub < 0 {
			c.text = append(c.text, p.text...)
			there = true
			continue
		}
		if p.sub >= len(values) {
			continue
		}
		if v := values[p.sub]; v.kind != typeNull {
			c.text = appendValue(c.text, v.kind, c.buf[v.from:v.to])
			there = true
		}
	}
	return there
}
