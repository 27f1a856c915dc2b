package posture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxControlFile bounds the file of one control in bytes.
const maxControlFile = 256 << 10

// controlFile is a control as its YAML says it. Expressions keep their node for the line.
type controlFile struct {
	ID             string         `yaml:"id"`
	Title          string         `yaml:"title"`
	Pillar         string         `yaml:"pillar"`
	Severity       string         `yaml:"severity"`
	About          string         `yaml:"about"`
	References     []Reference    `yaml:"references"`
	Reads          []string       `yaml:"reads"`
	Fresh          string         `yaml:"fresh"`
	Counts         string         `yaml:"counts"`
	None           string         `yaml:"none"`
	Where          yaml.Node      `yaml:"where"`
	Require        yaml.Node      `yaml:"require"`
	Expect         yaml.Node      `yaml:"expect"`
	Says           yaml.Node      `yaml:"says"`
	Settings       map[string]any `yaml:"settings"`
	ContradictedBy []string       `yaml:"contradicted_by"`
	Examples       []yaml.Node    `yaml:"examples"`
}

type exampleFile struct {
	Name       string          `yaml:"name"`
	Want       string          `yaml:"want"`
	Now        time.Time       `yaml:"now"`
	Settings   map[string]any  `yaml:"settings"`
	Exceptions []exceptionFile `yaml:"exceptions"`
	Evidence   []struct {
		Kind    string         `yaml:"kind"`
		Subject string         `yaml:"subject"`
		At      time.Time      `yaml:"at"`
		Partner string         `yaml:"partner"`
		Trust   string         `yaml:"trust"`
		File    string         `yaml:"file"`
		Line    int64          `yaml:"line"`
		Values  map[string]any `yaml:"values"`
	} `yaml:"evidence"`
}

// exampleTenant is whom the evidence of examples is about.
const exampleTenant tenant.ID = "example"

var (
	idForm   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	kindForm = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// reading collects what is wrong in one control file.
type reading struct {
	file     string
	most     int            // bytes; zero: maxControlFile
	lines    map[string]int // of the members of the document
	problems []Problem
}

func (r *reading) bad(line int, format string, args ...any) {
	if len(r.problems) < 100 {
		r.problems = append(r.problems, Problem{r.file, line, cut(oneLine(fmt.Sprintf(format, args...)), 500)})
	}
}

// parseControl reads one control. Without problems the control is whole and its expressions are checked.
func (l *Library) parseControl(file string, data []byte) (*Control, []Problem) {
	r := &reading{file: file}
	var f controlFile
	if !r.yaml(data, &f) {
		return nil, r.problems
	}
	sum := sha256.Sum256(data)
	c := &Control{
		ID: f.ID, Title: f.Title, Pillar: evidence.Pillar(f.Pillar), About: strings.Join(strings.Fields(f.About), " "),
		References: f.References, Reads: f.Reads, Counts: Counting(f.Counts), ContradictedBy: f.ContradictedBy,
		File: file, Digest: hex.EncodeToString(sum[:]),
	}
	if c.Counts == "" {
		c.Counts = CountEach
	}
	r.words(c, &f)
	var err error
	if c.Severity, err = ocsf.ParseSeverity(f.Severity); err != nil || c.Severity == ocsf.SeverityUnknown {
		r.bad(r.lines["severity"], "severity %q: use informational, low, medium, high or critical", f.Severity)
	}
	if c.Fresh, err = parseAge(f.Fresh); err != nil {
		r.bad(r.lines["fresh"], "fresh: %v", err)
	}
	if c.Settings, err = plainValues(f.Settings); err != nil {
		r.bad(r.lines["settings"], "settings: %v", err)
	}
	l.expressions(r, c, &f)
	if len(r.problems) == 0 {
		r.examples(c, f.Examples)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return c, nil
}

// yaml decodes one document without aliases and unknown keys.
func (r *reading) yaml(data []byte, into any) bool {
	most := r.most
	if most == 0 {
		most = maxControlFile
	}
	if len(data) > most {
		r.bad(0, "it has more than %d bytes", most)
		return false
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		r.yamlError(err)
		return false
	}
	if line := aliasLine(&root, 0); line > 0 {
		r.bad(line, "aliases and deep nesting are not taken; write it out")
		return false
	}
	r.lines = map[string]int{}
	if len(root.Content) == 1 && root.Content[0].Kind == yaml.MappingNode {
		for i, k := range root.Content[0].Content {
			if i%2 == 0 {
				r.lines[k.Value] = k.Line
			}
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			r.bad(0, "it is empty")
			return false
		}
		r.yamlError(err)
		return false
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		r.bad(0, "it holds more than one document; write one a file")
		return false
	}
	return true
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+): `)
	typeNames = regexp.MustCompile(` in type posture\.\w+|yaml: `) // Go's names in what the YAML reader says
)

// yamlError names the lines that the YAML reader found wrong.
func (r *reading) yamlError(err error) {
	var list *yaml.TypeError
	reasons := []string{err.Error()}
	if errors.As(err, &list) {
		reasons = list.Errors
	}
	for _, reason := range reasons {
		line := 0
		if m := yamlLine.FindStringSubmatchIndex(reason); m != nil {
			_, _ = fmt.Sscan(reason[m[2]:m[3]], &line)
			reason = reason[m[1]:]
		}
		reason = typeNames.ReplaceAllString(reason, "")
		r.bad(line, "%s", reason)
	}
}

// aliasLine returns the line of the first alias, or of what is nested too deep; 0 for none.
func aliasLine(n *yaml.Node, depth int) int {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || depth > 16 {
		return max(n.Line, 1)
	}
	for _, c := range n.Content {
		if line := aliasLine(c, depth+1); line > 0 {
			return line
		}
	}
	return 0
}

// words checks everything of a control but its expressions and examples.
func (r *reading) words(c *Control, f *controlFile) {
	switch {
	case !idForm.MatchString(c.ID) || len(c.ID) > 80:
		r.bad(r.lines["id"], "id %q: use lower case words joined by hyphens, at most 80 characters", cut(c.ID, 80))
	case strings.TrimSpace(c.Title) == "" || len(c.Title) > 200 || oneLine(c.Title) != c.Title:
		r.bad(r.lines["title"], "title: write one line of at most 200 bytes")
	case c.About == "":
		r.bad(r.lines["about"], "about: say why it matters and what to do")
	}
	if !slices.Contains(evidence.Pillars, c.Pillar) {
		r.bad(r.lines["pillar"], "pillar %q: use remote-access, network, training or backup", f.Pillar)
	}
	if len(c.Reads) == 0 || len(c.Reads) > 20 {
		r.bad(r.lines["reads"], "reads: name one to twenty kinds of evidence")
	}
	for _, k := range c.Reads {
		if !kindForm.MatchString(k) {
			r.bad(r.lines["reads"], "reads: %q is no kind of evidence, such as network.rule", k)
		}
	}
	if !slices.Contains([]Counting{CountEach, CountLatest, CountRecent}, c.Counts) {
		r.bad(r.lines["counts"], "counts %q: use each, latest or recent", f.Counts)
	}
	switch f.None {
	case "", "unknown":
	case "pass":
		c.NonePass = true
	default:
		r.bad(r.lines["none"], "none %q: use pass or unknown", f.None)
	}
	for _, ref := range c.References {
		if ref.Source == "" || ref.ID == "" {
			r.bad(r.lines["references"], "references: each needs a source and an id")
		}
	}
}

// expressions checks and keeps them.
func (l *Library) expressions(r *reading, c *Control, f *controlFile) {
	if (f.Require.Kind == 0) == (f.Expect.Kind == 0) {
		r.bad(1, "write exactly one of require (of each fact) and expect (of all facts)")
		return
	}
	compile := func(name string, n *yaml.Node, in *language, want *cel.Type, text *string) *expression {
		if n.Kind == 0 {
			return nil
		}
		if n.Kind != yaml.ScalarNode || n.Value == "" || (n.Tag != "!!str" && n.Tag != "!!bool") {
			r.bad(n.Line, "%s: write an expression in CEL as a text in quotes", name)
			return nil
		}
		*text = strings.TrimSpace(n.Value)
		x, err := in.compile(n.Value, want, c.Settings)
		if err != nil {
			line := n.Line
			var b *badExpression
			if errors.As(err, &b) {
				line += b.line - 1
			}
			if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				line++
			}
			r.bad(line, "%s: %v", name, err)
		}
		return x
	}
	over := l.one
	if f.Expect.Kind != 0 {
		over = l.all
	}
	c.where = compile("where", &f.Where, l.one, cel.BoolType, &c.Where)
	c.require = compile("require", &f.Require, l.one, cel.BoolType, &c.Require)
	c.expect = compile("expect", &f.Expect, l.all, cel.BoolType, &c.Expect)
	c.says = compile("says", &f.Says, over, cel.StringType, &c.Says)
}

// examples reads those of a control; it must have one that passes, one that fails and one that is stale.
func (r *reading) examples(c *Control, nodes []yaml.Node) {
	seen := map[Status]bool{}
	if len(nodes) > 200 {
		r.bad(nodes[200].Line, "more than 200 examples")
		return
	}
	for i := range nodes {
		n := &nodes[i]
		var f exampleFile
		raw, err := yaml.Marshal(n)
		if err == nil {
			dec := yaml.NewDecoder(bytes.NewReader(raw))
			dec.KnownFields(true)
			err = dec.Decode(&f)
		}
		if err != nil {
			// The lines of what was written again are not those of the file.
			r.bad(n.Line, "example: %s", yamlLine.ReplaceAllString(err.Error(), ""))
			continue
		}
		e := Example{Name: f.Name, Want: Status(f.Want), Now: f.Now.UTC(), Line: n.Line}
		if !slices.Contains(Statuses, e.Want) || f.Now.IsZero() || f.Name == "" {
			r.bad(n.Line, "example %q: it needs a name, now, and a status to want (pass, fail, stale, unknown or excepted)", f.Name)
			continue
		}
		if e.Settings, err = c.overridden(f.Settings); err != nil {
			r.bad(n.Line, "example %q: settings: %v", f.Name, err)
		}
		for _, x := range f.Exceptions {
			exc, err := x.exception(c.ID)
			if err != nil {
				r.bad(n.Line, "example %q: %v", f.Name, err)
			}
			e.Exceptions = append(e.Exceptions, exc)
		}
		for j, v := range f.Evidence {
			values, err := plainValues(v.Values)
			if err != nil {
				r.bad(n.Line, "example %q: evidence %d: %v", f.Name, j+1, err)
				continue
			}
			if !slices.Contains(c.Reads, v.Kind) {
				r.bad(n.Line, "example %q: evidence %d is of kind %q, which the control does not read", f.Name, j+1, v.Kind)
			}
			e.Evidence = append(e.Evidence, evidence.Item{
				Tenant: exampleTenant, Partner: tenant.PartnerID(v.Partner), Trust: tenant.TrustID(v.Trust), Kind: v.Kind, Subject: v.Subject,
				At: v.At.UTC(), From: evidence.Origin{File: v.File, Line: v.Line}, Values: values,
			})
		}
		seen[e.Want] = true
		c.Examples = append(c.Examples, e)
	}
	for _, s := range []Status{Pass, Fail, Stale} {
		if !seen[s] {
			r.bad(0, "it has no example that must come to %q; write at least one each of pass, fail and stale", s)
		}
	}
}

// overridden lays a site's settings over the control's defaults. Each must be known and of the default's type.
func (c *Control) overridden(over map[string]any) (map[string]any, error) {
	plain, err := plainValues(over)
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 {
		return c.Settings, nil
	}
	out := make(map[string]any, len(c.Settings))
	for k, v := range c.Settings {
		out[k] = v
	}
	for k, v := range plain {
		old, ok := out[k]
		if !ok {
			return nil, fmt.Errorf("%s has no setting %q", c.ID, k)
		}
		if was, is := sort(old), sort(v); was != is {
			return nil, fmt.Errorf("%s: setting %q is a %s and not a %s", c.ID, k, was, is)
		}
		out[k] = v
	}
	return out, nil
}

// sort names the type of a value as a person would.
func sort(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case int64, float64:
		return "number"
	case time.Time:
		return "time"
	case []any:
		return "list"
	case map[string]any:
		return "group"
	}
	return "text"
}
