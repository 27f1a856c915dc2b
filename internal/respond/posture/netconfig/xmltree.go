package netconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// element is an element of XML with the line that it begins on.
type element struct {
	line int64
	name string
	attr string // of the attribute name
	off  bool   // of the attribute disabled
	text string
	list []*element
}

// maxElements bounds the elements of one file.
const maxElements = 4_000_000

// readXML reads a document. Entities beyond those of XML itself are errors: no configuration has any. What comes
// before an error is kept, with the error.
func readXML(data []byte) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.Strict = true
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "us-ascii", "iso-8859-1", "utf-16": // UTF-16 was decoded before; the rest is not exact, but names are all that suffers
			return in, nil
		}
		return nil, fmt.Errorf("the character set %q is not read: save the file as UTF-8", charset)
	}
	c := &counter{data: data, line: 1}
	root := &element{}
	stack := []*element{root}
	for n := 0; ; n++ {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && len(stack) == 1 {
			return root, nil
		}
		if err != nil {
			return root, fmt.Errorf("line %d: %w", c.at(dec.InputOffset()), err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if n > maxElements || len(stack) > maxDepth {
				return root, fmt.Errorf("line %d: more than %d elements, or deeper than %d", c.at(dec.InputOffset()), maxElements, maxDepth)
			}
			e := &element{line: c.at(dec.InputOffset()), name: t.Name.Local}
			for _, a := range t.Attr {
				switch a.Name.Local {
				case "name", "uuid":
					e.attr = a.Value
				case "disabled":
					e.off = a.Value == "yes" || a.Value == "1"
				}
			}
			top := stack[len(stack)-1]
			top.list = append(top.list, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if top := stack[len(stack)-1]; len(top.list) == 0 && len(top.text) < maxFile {
				top.text += string(t)
			}
		}
	}
}

// get walks down by names, the first of each; nil where one is missing.
func (e *element) get(names ...string) *element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		var found *element
		for _, c := range e.list {
			if c.name == name {
				found = c
				break
			}
		}
		e = found
	}
	return e
}

// all are the children of a name.
func (e *element) all(name string) (out []*element) {
	if e == nil {
		return nil
	}
	for _, c := range e.list {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// string is the text within, without blanks around; empty for no element.
func (e *element) string() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

// members are the texts of the children <member>.
func (e *element) members() (out []string) {
	for _, m := range e.all("member") {
		if s := m.string(); s != "" {
			out = append(out, s)
		}
	}
	return out
}
