package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// maxText is the longest single value, in bytes.
const maxText = 4096

// reader walks the YAML nodes of one file by the shape that the contract gives it and gathers every problem.
// It works on nodes and not on decoded structs: only nodes know their line, keep "0123" as it was written,
// and leave aliases unexpanded. The walk goes as deep as the contract and no deeper, whatever the file holds.
type reader struct {
	name     string
	errs     Errors
	warnings []Problem
}

func (r *reader) fail(line int, field, wrong, todo string) {
	r.errs = append(r.errs, Problem{File: r.name, Line: line, Field: field, Wrong: wrong, Todo: todo})
}

func (r *reader) warn(line int, field, wrong, todo string) {
	r.warnings = append(r.warnings, Problem{File: r.name, Line: line, Field: field, Wrong: wrong, Todo: todo})
}

var yamlLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s+)?(?:line (\d+): )?`)

// parse returns the root mapping of the one document in data.
func (r *reader) parse(data []byte) (root *yaml.Node, ok bool) {
	if len(data) > MaxBytes {
		r.fail(0, "", fmt.Sprintf("larger than %d MiB", MaxBytes>>20), "split the telemetry maps or check that this is the configuration file")
		return nil, false
	}
	// The YAML library reports broken input by panicking inside; what it should ever let through is
	// still a broken file and not a crash.
	defer func() {
		if v := recover(); v != nil {
			r.fail(0, "", fmt.Sprintf("not readable as YAML (%v)", v), "check the file's syntax")
			root, ok = nil, false
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || isNull(doc.Content[0])) {
		r.fail(1, "tenants", "the file declares nothing", "start from `breakwater config init`")
		return nil, false
	}
	if err != nil {
		r.fail(yamlProblem(err))
		return nil, false
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		line := more.Line
		if err != nil {
			line, _, _, _ = yamlProblem(err)
		}
		r.fail(line, "", "a second YAML document", "keep everything in one document, without ---")
		return nil, false
	}
	return doc.Content[0], true
}

func yamlProblem(err error) (line int, field, wrong, todo string) {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return line, "", "not valid YAML: " + text, "check indentation, quotes and brackets near this line"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// object is one mapping of the file with the keys that it may have.
type object struct {
	r      *reader
	path   string
	line   int
	fields map[string]*yaml.Node
}

// object reads n as a mapping; ok is false when it is none.
func (r *reader) object(n *yaml.Node, path string, keys ...string) (*object, bool) {
	o := &object{r: r, path: path, line: n.Line, fields: map[string]*yaml.Node{}}
	if !r.kind(n, path, yaml.MappingNode, "a mapping is needed here", "write key: value pairs: "+strings.Join(keys, ", ")) {
		return o, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		field := o.field(printable(k.Value))
		switch known := known(k.Value, keys); {
		case k.Kind != yaml.ScalarNode || !known:
			r.fail(k.Line, field, "unknown key", suggestion(k.Value, keys))
		case o.fields[k.Value] != nil:
			r.fail(k.Line, field, fmt.Sprintf("given twice, first on line %d", o.fields[k.Value].Line), "keep one")
		default:
			o.fields[k.Value] = v
		}
	}
	return o, true
}

// kind reports whether n is of that kind, and says so where not.
func (r *reader) kind(n *yaml.Node, path string, want yaml.Kind, wrong, todo string) bool {
	if n.Kind == yaml.AliasNode {
		r.fail(n.Line, path, "an alias (*name)", "write the value out; aliases are not expanded")
		return false
	}
	if n.Kind != want {
		r.fail(n.Line, path, wrong, todo)
		return false
	}
	return true
}

func (o *object) field(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// has reports whether the key is there with a value.
func (o *object) has(key string) bool { return o.fields[key] != nil && !isNull(o.fields[key]) }

func (o *object) lineOf(key string) int {
	if n := o.fields[key]; n != nil {
		return n.Line
	}
	return o.line
}

func (o *object) fail(key, wrong, todo string) { o.r.fail(o.lineOf(key), o.field(key), wrong, todo) }
func (o *object) warn(key, wrong, todo string) { o.r.warn(o.lineOf(key), o.field(key), wrong, todo) }

// list returns the elements of the list at key; a missing or null one is empty.
func (o *object) list(key string) []*yaml.Node {
	if !o.has(key) {
		return nil
	}
	n := o.fields[key]
	if !o.r.kind(n, o.field(key), yaml.SequenceNode, "a list is needed here", "write ["+printable(n.Value)+"] or one - a line") {
		return nil
	}
	return n.Content
}

// text returns the value of key; its text is empty where the key is missing.
func (o *object) text(key string) item {
	if !o.has(key) {
		return item{r: o.r, line: o.lineOf(key), path: o.field(key)}
	}
	return o.r.item(o.fields[key], o.field(key))
}

// need is text, with an error where the key is missing.
func (o *object) need(key, todo string) item {
	it := o.text(key)
	if it.text == "" && !it.bad {
		it.fail("missing", todo)
		it.bad = true
	}
	return it
}

// texts returns the values of the list at key, without those that were no plain values.
func (o *object) texts(key string) []item {
	var out []item
	for i, n := range o.list(key) {
		it := o.r.item(n, fmt.Sprintf("%s[%d]", o.field(key), i))
		if it.text == "" && !it.bad {
			it.fail("empty", "give it a value or take it out")
			it.bad = true
		}
		if !it.bad {
			out = append(out, it)
		}
	}
	return out
}

// item is one plain value with the place where it stands.
type item struct {
	r    *reader
	text string
	line int
	path string
	bad  bool // already reported; text is empty
}

func (it item) fail(wrong, todo string) { it.r.fail(it.line, it.path, wrong, todo) }
func (it item) warn(wrong, todo string) { it.r.warn(it.line, it.path, wrong, todo) }

// item reads n as a plain value, exactly as it was written.
func (r *reader) item(n *yaml.Node, path string) item {
	it := item{r: r, line: n.Line, path: path}
	if !r.kind(n, path, yaml.ScalarNode, "a single value is needed here", "write one value, in quotes if it holds : or #") {
		it.bad = true
		return it
	}
	text := strings.TrimSpace(n.Value)
	switch n.ShortTag() {
	case "!!null":
		text = ""
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
	default:
		it.fail("a tagged value ("+printable(n.Tag)+")", "take the tag away")
		it.bad = true
		return it
	}
	if len(text) > maxText || strings.IndexFunc(text, unicode.IsControl) >= 0 {
		it.fail("too long, or with control characters", fmt.Sprintf("write one line of at most %d bytes", maxText))
		it.bad = true
		return it
	}
	it.text = text
	return it
}

func known(key string, keys []string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// suggestion names the key that was probably meant, or all of them.
func suggestion(key string, keys []string) string {
	for _, k := range keys {
		if len(key) < 40 && distance(strings.ToLower(key), k) <= len(k)/3 {
			return fmt.Sprintf("did you mean %q?", k)
		}
	}
	return "known here: " + strings.Join(keys, ", ")
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// printable shortens and cleans text of the file for use in a message.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
