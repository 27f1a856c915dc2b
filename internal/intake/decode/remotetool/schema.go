package remotetool

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a zone by name must mean the same on every machine

	"go.yaml.in/yaml/v3"
)

// Limits on a file of schemas.
const (
	MaxSchemaBytes = 256 << 10
	maxSchemas     = 200
	maxPattern     = 4 << 10
	maxNames       = 32 // of one field, columns, marks, times, acts
)

// Schemas say what logs of remote tools look like whose form nobody could verify, or that a site knows better. They
// don't change once read.
type Schemas struct {
	list []*schema
	zone *time.Location // of the tools' own logs that tell a local time without its zone; nil: UTC
}

// schemaFile is the file as it is written.
type schemaFile struct {
	Zone    string    `yaml:"zone"`
	Schemas []*schema `yaml:"schemas"`
}

// schema is one form.
type schema struct {
	Name     string   `yaml:"name"` // <tool>/<kind>, the events' source
	Tool     string   `yaml:"tool"` // as Tools names it
	Of       string   `yaml:"of"`   // where it comes from, for people
	Kind     string   `yaml:"kind"` // table, lines, object
	Verified bool     `yaml:"verified"`
	Columns  []string `yaml:"columns"` // a table's or object's names that must all be there
	Pattern  string   `yaml:"pattern"` // of a line; its named groups are the fields
	Marks    []string `yaml:"marks"`   // one of them must stand in the beginning of a file of lines
	Zone     string   `yaml:"zone"`    // of times without one: UTC, +02:00 or Europe/Vienna
	Times    []string `yaml:"times"`   // layouts as Go writes them, tried in order beside those with the year first
	Fields   columns  `yaml:"fields"`
	Act      string   `yaml:"act"` // where none of Acts fits
	Acts     []actRow `yaml:"acts"`
	Failed   []string `yaml:"failed"` // what a status holds that failed; without it: fail, denied, reject, error

	pattern *regexp.Regexp
	groups  []string
	zone    *time.Location
}

// columns name where each part stands; of several names the first with a value counts.
type columns struct {
	Time     []string `yaml:"time"`
	End      []string `yaml:"end"`
	Session  []string `yaml:"session"`
	Instance []string `yaml:"instance"`
	Operator []string `yaml:"operator"`
	Target   []string `yaml:"target"`
	Company  []string `yaml:"company"`
	Source   []string `yaml:"source"`
	Relay    []string `yaml:"relay"`
	Peer     []string `yaml:"peer"`
	User     []string `yaml:"user"`
	Act      []string `yaml:"act"`
	Command  []string `yaml:"command"`
	File     []string `yaml:"file"`
	Status   []string `yaml:"status"`
}

// actRow says which act it is where the act's field holds one of the words.
type actRow struct {
	Has []string `yaml:"has"`
	Act string   `yaml:"act"`
}

// acts are the words for what happened in a session.
var acts = []string{"connect", "disconnect", "command", "file", "install", "login", "logout", "settings"}

//go:embed schemas.yaml
var embedded []byte

// builtIn reads the embedded file once; the tests hold that it is sound.
var builtIn = sync.OnceValue(func() *Schemas {
	s, err := ParseSchemas("schemas.yaml", embedded)
	if err != nil {
		return &Schemas{}
	}
	return s
})

// BuiltInSchemas returns the schemas that come with the program.
func BuiltInSchemas() *Schemas { return builtIn() }

// BuiltInSchemaFile returns the text of the built-in schemas, to be copied and corrected.
func BuiltInSchemaFile() []byte { return bytes.Clone(embedded) }

// ParseSchemas reads a file of schemas, at most 256 KiB. Any error names the file and the schema, and says what to do.
func ParseSchemas(name string, data []byte) (*Schemas, error) {
	if len(data) > MaxSchemaBytes {
		return nil, fmt.Errorf("reading remote-tool schemas %s: it has %d bytes; keep it under %d", name, len(data), MaxSchemaBytes)
	}
	var f schemaFile
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading remote-tool schemas %s: %w", name, err)
	}
	if len(f.Schemas) > maxSchemas {
		return nil, fmt.Errorf("reading remote-tool schemas %s: %d entries; keep at most %d", name, len(f.Schemas), maxSchemas)
	}
	out := &Schemas{list: f.Schemas}
	var err error
	if out.zone, err = location(f.Zone); err != nil {
		return nil, fmt.Errorf("reading remote-tool schemas %s: zone: %w", name, err)
	}
	seen := map[string]bool{}
	for i, s := range f.Schemas {
		if s == nil {
			return nil, fmt.Errorf("reading remote-tool schemas %s: entry %d is empty; take it out", name, i+1)
		}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("reading remote-tool schemas %s: entry %d (%.60s): %w", name, i+1, s.Name, err)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("reading remote-tool schemas %s: %s stands twice; take one out", name, s.Name)
		}
		seen[s.Name] = true
	}
	return out, nil
}

// With returns s with those of site in place of its own of the same name, and site's others before all.
func (s *Schemas) With(site *Schemas) *Schemas {
	if site == nil {
		return s
	}
	out := &Schemas{list: slices.Clone(site.list), zone: site.zone}
	if out.zone == nil {
		out.zone = s.zone
	}
	for _, x := range s.list {
		if !slices.ContainsFunc(site.list, func(y *schema) bool { return y.Name == x.Name }) {
			out.list = append(out.list, x)
		}
	}
	return out
}

var schemaName = regexp.MustCompile(`^[a-z0-9]{2,32}/[a-z0-9-]{2,40}$`)

func (s *schema) check() (err error) {
	if !schemaName.MatchString(s.Name) {
		return errors.New("name must be <tool>/<kind> in lower case, such as splashtop/sessions")
	}
	if s.Tool == "" || letters(s.Tool) != s.Tool || !strings.HasPrefix(s.Name, s.Tool+"/") {
		return errors.New("tool must be the first part of the name")
	}
	if len(s.Fields.Time) == 0 {
		return errors.New("fields.time is missing; without a time nothing can be placed")
	}
	for _, list := range [][]string{s.Columns, s.Marks, s.Times, s.Failed, s.Fields.Time, s.Fields.Act, s.Fields.Operator, s.Fields.Target} {
		if len(list) > maxNames {
			return fmt.Errorf("a list of %d names; keep at most %d", len(list), maxNames)
		}
	}
	switch s.Kind {
	case "table", "object":
		if len(s.Columns) < 2 {
			return errors.New("columns needs at least two names by which the form is known")
		}
	case "lines":
		if len(s.Marks) == 0 {
			return errors.New("marks is missing: a word that the tool alone writes, or every log with a date would be taken for it")
		}
		if s.Pattern == "" || len(s.Pattern) > maxPattern {
			return fmt.Errorf("pattern is missing or longer than %d bytes", maxPattern)
		}
		if s.pattern, err = regexp.Compile(s.Pattern); err != nil {
			return fmt.Errorf("pattern: %w", err)
		}
		s.groups = s.pattern.SubexpNames()
	default:
		return fmt.Errorf("kind is %q; write table, lines or object", s.Kind)
	}
	if s.zone, err = location(s.Zone); err != nil {
		return fmt.Errorf("zone: %w", err)
	}
	if s.Act != "" && !slices.Contains(acts, s.Act) {
		return fmt.Errorf("act is %q; write one of %s", s.Act, strings.Join(acts, ", "))
	}
	if len(s.Acts) > maxNames {
		return fmt.Errorf("%d acts; keep at most %d", len(s.Acts), maxNames)
	}
	for i, a := range s.Acts {
		if !slices.Contains(acts, a.Act) || len(a.Has) == 0 || len(a.Has) > maxNames {
			return fmt.Errorf("acts[%d] needs words under has and an act of %s", i, strings.Join(acts, ", "))
		}
	}
	return nil
}

// location reads a zone: empty is none, else UTC, an offset, or a name of the IANA's list.
func location(zone string) (*time.Location, error) {
	switch {
	case zone == "":
		return nil, nil
	case zone[0] == '+' || zone[0] == '-':
		t, err := time.Parse("-07:00", zone)
		if err != nil {
			return nil, fmt.Errorf("%q is no offset; write +02:00", zone)
		}
		_, offset := t.Zone()
		return time.FixedZone(zone, offset), nil
	case zone == "Local" || len(zone) > 64:
		return nil, fmt.Errorf("%q is no zone; write UTC, +02:00 or Europe/Vienna", zone)
	}
	l, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("%q is no zone; write UTC, +02:00 or Europe/Vienna", zone)
	}
	return l, nil
}
