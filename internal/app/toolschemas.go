package app

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// loadSchemas reads the files of remote-tool schemas that the configuration names.
func (s *Setup) loadSchemas() error {
	for _, name := range s.Config.SchemaFiles() {
		data, err := readSchemas(name)
		if err != nil {
			return fmt.Errorf("reading remote-tool schemas: %w; correct remote_tools.schemas in %s", err, s.Config.Name)
		}
		site, err := remotetool.ParseSchemas(name, data)
		if err != nil {
			return err
		}
		if s.schemas == nil {
			s.schemas = site
			continue
		}
		s.schemas = s.schemas.With(site)
	}
	return nil
}

func readSchemas(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, remotetool.MaxSchemaBytes+1))
}

// formats are the formats as the site's configuration has them.
func (s *Setup) formats() []decode.Stream { return formatsWith(s.schemas) }

// schemaCount counts the events of each schema that nobody has held against its product.
type schemaCount map[string]int

func (c schemaCount) see(e *ocsf.Event) {
	if e.Remote == nil {
		return
	}
	if verified, ok := e.Fields.Get(remotetool.FieldVerified); ok && verified == "no" {
		c[e.Source]++
	}
}

// notes says which of what was read rests on schemas alone.
func (c schemaCount) notes() []string {
	var out []string
	for _, source := range slices.Sorted(maps.Keys(c)) {
		events := fmt.Sprintf("%d events are", c[source])
		if c[source] == 1 {
			events = "1 event is"
		}
		out = append(out, fmt.Sprintf("%s of %s, a form that nobody could hold against the product: check a few against the tool, correct its schema under remote_tools and set verified: true.", events, source))
	}
	return out
}
