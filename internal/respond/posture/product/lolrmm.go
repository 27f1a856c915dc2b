package product

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// lolrmmTable is made by tools/lolrmm from LOLRMM's descriptions (Apache-2.0, magicsword-io and contributors), which
// its first line names: name, other names, programs and makers' domains, parted by tabs and |.
//
//go:embed lolrmm.tsv
var lolrmmTable []byte

// Description is what LOLRMM says of one tool, cleaned.
type Description struct {
	Name     string
	Names    []string // others, lower case
	Programs []string // base names of its programs, lower case
	Domains  []string // of its makers, lower case; those below count too
}

// Descriptions lists the tools that LOLRMM describes, without clients that only reach out.
func Descriptions() ([]Description, error) { return readDescriptions(lolrmmTable) }

func readDescriptions(raw []byte) ([]Description, error) {
	if !bytes.HasPrefix(raw, []byte("# From LOLRMM")) || !bytes.Contains(raw[:min(len(raw), 200)], []byte("Apache-2.0")) {
		return nil, errors.New("its first line must say where it is from and under which licence")
	}
	var out []Description
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 4 || cells[0] == "" {
			return nil, fmt.Errorf("line %d: four cells are needed", n)
		}
		out = append(out, Description{cells[0], parts(cells[1]), parts(cells[2]), parts(cells[3])})
	}
	return out, nil
}

func parts(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "|")
}

// addListed takes up the names that the table of products hasn't.
func (c *Catalogue) addListed(raw []byte) error {
	list, err := readDescriptions(raw)
	if err != nil {
		return err
	}
	for _, d := range list {
		names := append([]string{strings.ToLower(d.Name)}, d.Names...)
		if slices.ContainsFunc(names, func(n string) bool { return c.Match(n, "") != nil }) {
			continue
		}
		p := &Product{ID: "lolrmm-" + slug(d.Name), Name: d.Name, Tool: tool(d.Name), Class: ClassAgent, Listed: true}
		for _, n := range names {
			if n = plainName(n); c.listed[n] == nil && len(n) >= 4 {
				c.listed[n] = p
				c.word(n)
			}
		}
		for _, suffix := range []string{" agent", " client", " host", " server", " viewer"} {
			if n := plainName(d.Name) + suffix; c.listed[n] == nil && len(n) >= 10 {
				c.listed[n] = p
				c.word(n)
			}
		}
	}
	return nil
}

// slug keeps letters and digits, with a hyphen for what is between them.
func slug(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "-")
}

func tool(s string) string { return strings.ReplaceAll(slug(s), "-", "") }
