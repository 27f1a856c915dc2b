package netconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// node is a value of JSON with the line that it begins on.
type node struct {
	line int64
	kind byte // o object, a array, s string, n number, t true, f false, z null
	text string
	keys []string
	list []*node // of an array, or the values of an object's keys
}

// maxNodes bounds the values of one file of JSON.
const maxNodes = 8_000_000

// readJSON reads one value of JSON with its lines. What follows it is an error, as is more depth or values than a
// configuration has.
func readJSON(data []byte) (*node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	c := &counter{data: data, line: 1}
	left := maxNodes
	n, err := readNode(dec, c, 0, &left)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("line %d: something follows the end of the JSON value", c.at(dec.InputOffset()))
	}
	return n, nil
}

// counter tells lines of ascending offsets.
type counter struct {
	data []byte
	off  int64
	line int64
}

func (c *counter) at(off int64) int64 {
	off = min(off, int64(len(c.data)))
	if off > c.off {
		c.line += int64(bytes.Count(c.data[c.off:off], []byte{'\n'}))
		c.off = off
	}
	return c.line
}

func readNode(dec *json.Decoder, c *counter, depth int, left *int) (*node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, jsonError(err, c, dec)
	}
	if *left--; *left < 0 {
		return nil, fmt.Errorf("line %d: more than %d values", c.line, maxNodes)
	}
	n := &node{line: c.at(dec.InputOffset())}
	switch t := tok.(type) {
	case string:
		n.kind, n.text = 's', t
	case json.Number:
		n.kind, n.text = 'n', t.String()
	case bool:
		if n.kind = 'f'; t {
			n.kind = 't'
		}
	case nil:
		n.kind = 'z'
	case json.Delim:
		if depth > maxDepth {
			return nil, fmt.Errorf("line %d: values lie deeper than %d in one another", n.line, maxDepth)
		}
		n.kind = 'a'
		if t == '{' {
			n.kind = 'o'
		}
		for dec.More() {
			if n.kind == 'o' {
				key, err := dec.Token()
				if err != nil {
					return nil, jsonError(err, c, dec)
				}
				n.keys = append(n.keys, fmt.Sprint(key))
			}
			v, err := readNode(dec, c, depth+1, left)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, v)
		}
		if _, err := dec.Token(); err != nil {
			return nil, jsonError(err, c, dec)
		}
	}
	return n, nil
}

func jsonError(err error, c *counter, dec *json.Decoder) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("line %d: the JSON ends too soon: the file is cut off", c.at(int64(len(c.data))))
	}
	return fmt.Errorf("line %d: %w", c.at(dec.InputOffset()), err)
}

// get returns the value of a key, or nil. Keys are compared without case: exports of the same thing by different
// programs differ in it.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil || n.kind != 'o' {
			return nil
		}
		i := slices.IndexFunc(n.keys, func(k string) bool { return strings.EqualFold(k, key) })
		if i < 0 {
			return nil
		}
		n = n.list[i]
	}
	if n != nil && n.kind == 'z' {
		return nil
	}
	return n
}

// items are the members of an array; none of anything else.
func (n *node) items() []*node {
	if n == nil || n.kind != 'a' {
		return nil
	}
	return n.list
}

// string is the text of a string or number; empty for anything else.
func (n *node) string() string {
	if n == nil || n.kind != 's' && n.kind != 'n' {
		return ""
	}
	return n.text
}

// number is a whole number.
func (n *node) number() (int64, bool) {
	v, err := strconv.ParseInt(n.string(), 10, 64)
	return v, err == nil
}

// strings are the texts of an array of strings, or of one string.
func (n *node) strings() (out []string) {
	if n != nil && n.kind == 's' && n.text != "" {
		return []string{n.text}
	}
	for _, m := range n.items() {
		if s := m.string(); s != "" {
			out = append(out, s)
		}
	}
	return out
}
