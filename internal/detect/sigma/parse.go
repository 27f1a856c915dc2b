package sigma

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lineError is an error at a line of the document.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }

func at(n *yaml.Node, format string, args ...any) error {
	return &lineError{n.Line, fmt.Errorf(format, args...)}
}

// parseDocument reads every rule of one file.
func parseDocument(d Document, values placeholders) (found parsed, errs []LoadError) {
	fail := func(line int, rule, reason string) {
		errs = append(errs, LoadError{File: d.Name, Line: line, Rule: rule, Reason: reason})
	}
	if len(d.Data) > MaxDocument {
		fail(0, "", fmt.Sprintf("%d bytes, at most %d are read", len(d.Data), MaxDocument))
		return found, errs
	}
	dec := yaml.NewDecoder(bytes.NewReader(d.Data))
	collection := 0 // the line on which a rule collection of old began: what follows means something with it alone
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fail(yamlLine(err), "", strings.TrimPrefix(err.Error(), "yaml: "))
			break
		}
		if len(n.Content) == 0 || n.Content[0].Tag == "!!null" {
			continue
		}
		if found.len()+len(errs) >= MaxRules {
			fail(n.Content[0].Line, "", fmt.Sprintf("more than %d rules in one file: this and all after it are left out", MaxRules))
			break
		}
		if v := entry(n.Content[0], "action"); v != nil && collection == 0 {
			collection = v.Line
		} else if v == nil && collection > 0 {
			fail(n.Content[0].Line, title(n.Content[0]), fmt.Sprintf("it belongs to the rule collection that begins in line %d: %s", collection, noCollections))
			continue
		}
		if err = found.add(n.Content[0], &d, values); err == nil {
			continue
		}
		line := n.Content[0].Line
		var le *lineError
		if errors.As(err, &le) {
			line = le.line
		}
		fail(line, title(n.Content[0]), err.Error())
	}
	if found.len() == 0 && len(errs) == 0 {
		fail(0, "", "no rule in this file")
	}
	return found, errs
}

// yamlLine reads the line out of a message of the YAML reader, which gives it in no other way.
func yamlLine(err error) int {
	var line int
	if _, scanErr := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); scanErr != nil {
		return 0
	}
	return line
}

func title(n *yaml.Node) string {
	if v := entry(n, "title"); v != nil && len(v.Value) <= 256 {
		return v.Value
	}
	return ""
}

// entry returns the value of a key of a mapping, or nil.
func entry(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// noCollections is why documents with the key action, which Sigma 2 no longer has, and those after them are refused.
const noCollections = "rule collections (action: global, reset, repeat) are not supported: write each rule out"

// admitted checks a document before anything is built from it, and lets what stands before the reader change it.
func admitted(n *yaml.Node, prepare func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "a rule is a mapping of keys and values")
	}
	budget := MaxValues * 4
	if err := checkTree(n, 0, &budget); err != nil {
		return err
	}
	if err := prepared(n, prepare); err != nil {
		return err
	}
	if v := entry(n, "action"); v != nil {
		return at(v, noCollections)
	}
	return nil
}

func parseRule(n *yaml.Node, values placeholders) (*Rule, error) {
	r, err := parseHead(n, true)
	if err != nil {
		return nil, err
	}
	det := entry(n, "detection")
	if det == nil || det.Kind != yaml.MappingNode {
		return nil, at(n, "no detection")
	}
	if r.ID == "" {
		r.ID = madeID(r, det)
	}
	return r, parseDetection(r, det, values)
}

// prepared lets what stands before the reader change the rule.
func prepared(n *yaml.Node, prepare func(*yaml.Node) error) error {
	if prepare == nil {
		return nil
	}
	err := prepare(n)
	if err == nil {
		return nil
	}
	line := n.Line
	var where interface{ Line() int }
	if errors.As(err, &where) {
		line = where.Line()
	}
	return &lineError{line, err}
}

// madeID gives a rule without an id one that stays as long as it looks for the same under the same title: the
// specification makes the id optional, findings need one. It has the form of a UUID of version 8 (RFC 9562 5.8).
func madeID(r *Rule, det *yaml.Node) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", r.Name, r.Title, r.LogSource)
	var write func(n *yaml.Node)
	write = func(n *yaml.Node) {
		fmt.Fprintf(h, "%d %s %q %d\n", n.Kind, n.Tag, n.Value, len(n.Content))
		for _, c := range n.Content {
			write(c)
		}
	}
	write(det)
	b := h.Sum(nil)
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// checkTree refuses anchors, depth, size and keys that are there twice, before anything is built from the tree.
func checkTree(n *yaml.Node, depth int, budget *int) error {
	if *budget--; *budget < 0 {
		return at(n, "more than %d values", MaxValues*4)
	}
	if depth > MaxDepth {
		return at(n, "nested deeper than %d", MaxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return at(n, "YAML aliases are not supported in rules")
	}
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i].Value; seen[k] {
				return at(n.Content[i], "key %q is there twice", k)
			} else {
				seen[k] = true
			}
		}
	}
	for _, c := range n.Content {
		if err := checkTree(c, depth+1, budget); err != nil {
			return err
		}
	}
	return nil
}

// parseHead reads what a document says of itself; sourced says that it must name a log source.
func parseHead(n *yaml.Node, sourced bool) (*Rule, error) {
	text := func(m *yaml.Node, key string) string {
		if v := entry(m, key); v != nil && v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
			return v.Value
		}
		return ""
	}
	r := &Rule{ID: strings.ToLower(text(n, "id")), Name: text(n, "name"), Title: text(n, "title"), Description: strings.TrimSpace(text(n, "description")),
		Status: text(n, "status"), Level: strings.ToLower(text(n, "level")), Author: text(n, "author"), Date: text(n, "date"),
		Modified: text(n, "modified"), License: text(n, "license"), Line: n.Line,
		Tags: texts(entry(n, "tags")), References: texts(entry(n, "references")),
		FalsePositives: texts(entry(n, "falsepositives")), Fields: texts(entry(n, "fields"))}
	if r.Title == "" {
		return nil, at(n, "no title")
	}
	if tax := text(n, "taxonomy"); tax != "" && !strings.EqualFold(tax, "sigma") {
		return nil, at(entry(n, "taxonomy"), "taxonomy %q: its names must be mapped to those of Sigma first, and the key removed", tax)
	}
	src := entry(n, "logsource")
	if sourced && (src == nil || src.Kind != yaml.MappingNode) {
		return nil, at(n, "no logsource")
	}
	r.LogSource = LogSource{Category: strings.ToLower(text(src, "category")), Product: strings.ToLower(text(src, "product")), Service: strings.ToLower(text(src, "service"))}
	if sourced && r.LogSource == (LogSource{}) {
		return nil, at(src, "logsource names no category, product or service")
	}
	switch r.Level {
	case "", "informational", "low", "medium", "high", "critical":
	default:
		return nil, at(entry(n, "level"), "unknown level %q: use informational, low, medium, high or critical", r.Level)
	}
	own := entry(n, "breakwater")
	switch r.Outcome = text(own, "outcome"); r.Outcome {
	case "", "attempted", "succeeded", "unknown":
	default:
		return nil, at(own, "unknown outcome %q: use attempted, succeeded or unknown", r.Outcome)
	}
	switch quiet := text(own, "quiet"); quiet {
	case "", "false":
	case "true":
		r.Silent = true
	default:
		return nil, at(own, "breakwater: quiet is true or false, not %q", quiet)
	}
	return r, nil
}

func texts(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return []string{n.Value}
	}
	var out []string
	for _, c := range n.Content {
		if n.Kind == yaml.SequenceNode && c.Kind == yaml.ScalarNode && c.Tag != "!!null" {
			out = append(out, c.Value)
		}
	}
	return out
}
