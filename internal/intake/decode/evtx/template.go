package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Tokens of BinXml, without the flag that more follows (0x40).
const (
	tokenEOF       = 0x00
	tokenOpen      = 0x01
	tokenCloseOpen = 0x02
	tokenEmpty     = 0x03
	tokenEnd       = 0x04
	tokenText      = 0x05
	tokenAttribute = 0x06
	tokenCDATA     = 0x07
	tokenChar      = 0x08
	tokenEntity    = 0x09
	tokenTarget    = 0x0a
	tokenPIData    = 0x0b
	tokenTemplate  = 0x0c
	tokenNormal    = 0x0d // substitution
	tokenOptional  = 0x0e // substitution that vanishes where its value is null
	tokenFragment  = 0x0f
	tokenMore      = 0x40
)

// chunk is one chunk with what was read of it once for all its records.
type chunk struct {
	buf       []byte
	names     map[uint32]string
	templates map[key]*template
	strings   map[string]string // names and paths of all chunks, each once
	scratch   []byte
	ops       []element // of all templates of the chunk, as their attributes and parts: slabs that are used again
	attrs     []attribute
	parts     []part
	open      []part // of the values that are being read, innermost last
	openAttrs []attribute
	text      []byte // of the record being read
	spans     []span // its fields, as places in text
	values    []value
	depth     int
}

// key is a template where it stands, and below which element its fields are named.
type key struct {
	at    uint32
	below string
}

// What is kept of names and paths from chunk to chunk: how many, and of how many bytes at most.
const (
	maxStrings = 20_000
	maxOnce    = 256
)

func (c *chunk) reset() {
	if c.names == nil {
		c.names, c.templates = map[uint32]string{}, map[key]*template{}
	}
	if c.strings == nil || len(c.strings) > maxStrings {
		c.strings = map[string]string{}
	}
	clear(c.names)
	clear(c.templates)
	c.ops, c.attrs, c.parts, c.open, c.openAttrs = c.ops[:0], c.attrs[:0], c.parts[:0], c.open[:0], c.openAttrs[:0]
}

// closeParts moves the parts read since from into the slab.
func (c *chunk) closeParts(from int) []part {
	at := len(c.parts)
	c.parts = append(c.parts, c.open[from:]...)
	c.open = c.open[:from]
	return c.parts[at:len(c.parts):len(c.parts)]
}

func (c *chunk) closeAttrs(from int) []attribute {
	at := len(c.attrs)
	c.attrs = append(c.attrs, c.openAttrs[from:]...)
	c.openAttrs = c.openAttrs[:from]
	return c.attrs[at:len(c.attrs):len(c.attrs)]
}

// once returns the text of scratch as a string that is made once for all chunks.
func (c *chunk) once() string {
	if len(c.scratch) > maxOnce {
		return string(c.scratch)
	}
	if s, ok := c.strings[string(c.scratch)]; ok { // no copy is made for the look-up
		return s
	}
	s := string(c.scratch)
	c.strings[s] = s
	return s
}

// join returns the pieces as one string, made once.
func (c *chunk) join(pieces ...string) string {
	c.scratch = c.scratch[:0]
	for _, p := range pieces {
		c.scratch = append(c.scratch, p...)
	}
	return c.once()
}

func (c *chunk) utf16(b []byte) string {
	c.scratch = appendUTF16(c.scratch[:0], b)
	return c.once()
}

// template is a definition made ready: what to write for each element.
type template struct {
	ops []element
}

// element is one element of a template in the order of its end.
type element struct {
	path  string // of the element: Event.System.EventID
	text  string // path with .#text, for an element with attributes
	attrs []attribute
	parts []part
	named []part // the Name of a Data element whose value names the field
	below string // what a Data element's name is put behind
	inner bool   // it holds elements
	list  bool   // a Data element without a name: its value joins those of others before it
}

type attribute struct {
	name  string // whole: Event.System.Provider.#attributes.Name
	parts []part
}

// part is a piece of a value: text that stands in the template, or the number of what is put in.
type part struct {
	text string
	sub  int // -1: text
}

var (
	errShort = errors.New("it ends in the middle of an element")
	errDeep  = fmt.Errorf("elements lie more than %d deep", maxDepth)
)

// reader walks BinXml within a chunk.
type reader struct {
	c    *chunk
	pos  int
	end  int
	bare bool // elements have no dependency id: XML outside of a template
	ops  int
	seen []string // paths of the siblings on each level that is open
}

func (r *reader) u8() (byte, error) {
	if r.pos+1 > r.end {
		return 0, errShort
	}
	v := r.c.buf[r.pos]
	r.pos++
	return v, nil
}

func (r *reader) u16() (uint16, error) {
	if r.pos+2 > r.end {
		return 0, errShort
	}
	v := binary.LittleEndian.Uint16(r.c.buf[r.pos:])
	r.pos += 2
	return v, nil
}

func (r *reader) u32() (uint32, error) {
	if r.pos+4 > r.end {
		return 0, errShort
	}
	v := binary.LittleEndian.Uint32(r.c.buf[r.pos:])
	r.pos += 4
	return v, nil
}

func (r *reader) skip(n int) error {
	if n < 0 || n > r.end-r.pos {
		return errShort
	}
	r.pos += n
	return nil
}

// name reads a name, which stands here where it is used first and is referred to later.
func (r *reader) name() (string, error) {
	at, err := r.u32()
	if err != nil {
		return "", err
	}
	s, ok := r.c.names[at]
	size := 0
	if !ok || int(at) == r.pos {
		if s, size, err = r.c.nameAt(int(at)); err != nil {
			return "", err
		}
		r.c.names[at] = s
	}
	if int(at) == r.pos {
		return s, r.skip(size)
	}
	return s, nil
}

// nameAt reads the name record at an offset of the chunk: next one, hash, length, UTF-16, two zeros.
func (c *chunk) nameAt(at int) (string, int, error) {
	if at < chunkHeader || at+8 > chunkSize {
		return "", 0, fmt.Errorf("a name lies outside of the chunk, at %d", at)
	}
	n := int(binary.LittleEndian.Uint16(c.buf[at+6:]))
	if at+8+2*n+2 > chunkSize {
		return "", 0, fmt.Errorf("a name of %d characters reaches out of the chunk", n)
	}
	return c.utf16(c.buf[at+8 : at+8+2*n]), 8 + 2*n + 2, nil
}

// chars reads a counted UTF-16 text.
func (r *reader) chars() (string, error) {
	n, err := r.u16()
	if err != nil {
		return "", err
	}
	from := r.pos
	if err := r.skip(2 * int(n)); err != nil {
		return "", err
	}
	return r.c.utf16(r.c.buf[from:r.pos]), nil
}

// compile reads a template's elements, or those of XML that stands in a record without one.
func (r *reader) compile(below string) (*template, error) {
	from := len(r.c.ops)
	if err := r.elements(below); err != nil {
		r.c.ops = r.c.ops[:from]
		return nil, err
	}
	return &template{r.c.ops[from:len(r.c.ops):len(r.c.ops)]}, nil
}

func (r *reader) elements(below string) error {
	c := r.c
	for r.pos < r.end {
		tok, err := r.u8()
		if err != nil {
			return err
		}
		switch tok &^ tokenMore {
		case tokenEOF:
			return nil
		case tokenFragment:
			if err := r.skip(3); err != nil {
				return err
			}
		case tokenOpen:
			if err := r.element(below, tok&tokenMore != 0, 1, 0); err != nil {
				return err
			}
		case tokenNormal, tokenOptional:
			p, err := r.substitution()
			if err != nil {
				return err
			}
			first := len(c.open)
			c.open = append(c.open, p)
			c.ops = append(c.ops, element{path: below, text: c.join(below, ".#text"), parts: c.closeParts(first), inner: true})
		case tokenTarget, tokenPIData:
			if err := r.instruction(tok); err != nil {
				return err
			}
		default:
			return fmt.Errorf("0x%02x is no token where an element should begin", tok)
		}
	}
	return nil
}

// element reads one element whose opening token was read, with all that it holds.
func (r *reader) element(below string, attrs bool, depth, first int) error {
	if depth > maxDepth {
		return errDeep
	}
	if r.ops++; r.ops > maxOps {
		return fmt.Errorf("it has more than %d elements", maxOps)
	}
	if !r.bare {
		if err := r.skip(2); err != nil { // dependency id
			return err
		}
	}
	if err := r.skip(4); err != nil { // size of the element
		return err
	}
	name, err := r.name()
	if err != nil {
		return err
	}
	el := element{path: r.path(below, name, first), below: below}
	el.text = r.c.join(el.path, ".#text")
	if attrs {
		if err := r.attributes(&el, name); err != nil {
			return err
		}
	}
	if name == "Data" && el.named == nil && el.path == r.c.join(below, ".", name) {
		el.path, el.list = el.text, true
	}
	tok, err := r.u8()
	if err != nil {
		return err
	}
	switch tok {
	case tokenEmpty:
		r.c.ops = append(r.c.ops, el)
		return nil
	case tokenCloseOpen:
	default:
		return fmt.Errorf("0x%02x is no token where <%s> should be closed", tok, name)
	}
	inside := len(r.seen)
	parts := len(r.c.open)
	defer func() { r.seen, r.c.open = r.seen[:inside], r.c.open[:parts] }()
	for {
		tok, err := r.u8()
		if err != nil {
			return err
		}
		switch tok &^ tokenMore {
		case tokenEnd:
			el.parts = r.c.closeParts(parts)
			r.c.ops = append(r.c.ops, el)
			return nil
		case tokenOpen:
			el.inner = true
			if err := r.element(el.path, tok&tokenMore != 0, depth+1, inside); err != nil {
				return err
			}
		case tokenTarget, tokenPIData:
			if err := r.instruction(tok); err != nil {
				return err
			}
		default:
			p, ok, err := r.part(tok)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("0x%02x is no token within <%s>", tok, name)
			}
			r.c.open = append(r.c.open, p)
		}
	}
}

// path names an element below another, and tells siblings of one name apart as evtx_dump does: Item, Item_1, Item_2.
// Data elements without a name of their own stay alike: their values are one list.
func (r *reader) path(below, name string, first int) string {
	p := name
	if below != "" {
		p = r.c.join(below, ".", name)
	}
	if name == "Data" {
		return p
	}
	n := 0
	for _, s := range r.seen[first:] {
		if s == p {
			n++
		}
	}
	r.seen = append(r.seen, p)
	if n == 0 {
		return p
	}
	return r.c.join(p, "_", strconv.Itoa(n))
}

func (r *reader) attributes(el *element, name string) error {
	c := r.c
	if err := r.skip(4); err != nil { // size of the list
		return err
	}
	first, parts := len(c.openAttrs), len(c.open)
	defer func() { c.openAttrs, c.open = c.openAttrs[:first], c.open[:parts] }()
	for {
		if r.pos >= r.end {
			return errShort
		}
		tok := c.buf[r.pos]
		if tok&^tokenMore != tokenAttribute {
			break
		}
		r.pos++
		if r.ops++; r.ops > maxOps {
			return fmt.Errorf("it has more than %d attributes", maxOps)
		}
		key, err := r.name()
		if err != nil {
			return err
		}
		for r.pos < r.end {
			p, ok, err := r.attributePart()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			c.open = append(c.open, p)
		}
		value := c.closeParts(parts)
		switch {
		case name != "Data" || key != "Name":
			c.openAttrs = append(c.openAttrs, attribute{c.join(el.path, ".#attributes.", key), value})
		case len(value) == 1 && value[0].sub < 0:
			el.path = c.join(el.below, ".", value[0].text)
			el.text = el.path
		default:
			el.named = value
		}
		if tok&tokenMore == 0 {
			break
		}
	}
	el.attrs = c.closeAttrs(first)
	return nil
}

func (r *reader) attributePart() (part, bool, error) {
	switch tok := r.c.buf[r.pos]; tok &^ tokenMore {
	case tokenText, tokenChar, tokenEntity, tokenNormal, tokenOptional:
		r.pos++
		return r.part(tok)
	}
	return part{}, false, nil
}

// part reads a piece of a value whose token was read; ok is false where the token begins no value.
func (r *reader) part(tok byte) (part, bool, error) {
	switch tok &^ tokenMore {
	case tokenText:
		if err := r.skip(1); err != nil { // type: always a string
			return part{}, false, err
		}
		s, err := r.chars()
		return part{s, -1}, true, err
	case tokenCDATA:
		s, err := r.chars()
		return part{s, -1}, true, err
	case tokenChar:
		n, err := r.u16()
		return part{string(rune(n)), -1}, true, err
	case tokenEntity:
		s, err := r.name()
		return part{entity(s), -1}, true, err
	case tokenNormal, tokenOptional:
		p, err := r.substitution()
		return p, true, err
	}
	return part{}, false, nil
}

func entity(name string) string {
	switch strings.ToLower(name) {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	case "apos":
		return "'"
	}
	return "&" + name + ";"
}

func (r *reader) substitution() (part, error) {
	n, err := r.u16()
	if err != nil {
		return part{}, err
	}
	return part{sub: int(n)}, r.skip(1) // the type: the values tell their own
}

func (r *reader) instruction(tok byte) error {
	if tok == tokenTarget {
		_, err := r.name()
		return err
	}
	_, err := r.chars()
	return err
}
