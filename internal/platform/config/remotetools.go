package config

import (
	"fmt"
	"path/filepath"
)

// maxSchemaFiles bounds the files of remote-tool schemas.
const maxSchemaFiles = 20

// RemoteTools is how logs of remote tools are read that the program can't know: the remote_tools section of the file.
type RemoteTools struct {
	Schemas []string // files as they are written; entries of later ones take the place of earlier ones of the same name
}

// remoteTools reads the remote_tools section; nil where the file has none.
func (d *declared) remoteTools(r *reader, root *object) *RemoteTools {
	if !root.has("remote_tools") {
		return nil
	}
	o, ok := r.object(root.fields["remote_tools"], "remote_tools", "schemas")
	if !ok {
		return nil
	}
	names := o.texts("schemas")
	if len(names) > maxSchemaFiles {
		o.fail("schemas", fmt.Sprintf("has %d files", len(names)), fmt.Sprintf("keep at most %d; one file holds many schemas", maxSchemaFiles))
		return nil
	}
	out := &RemoteTools{}
	for _, n := range names {
		if !n.bad {
			out.Schemas = append(out.Schemas, n.text)
		}
	}
	return out
}

// SchemaFiles returns the files of remote-tool schemas by their absolute paths; none where none is declared.
func (f *File) SchemaFiles() []string {
	if f == nil || f.RemoteTools == nil {
		return nil
	}
	out := make([]string, 0, len(f.RemoteTools.Schemas))
	for _, name := range f.RemoteTools.Schemas {
		if !filepath.IsAbs(name) {
			name = filepath.Join(f.Dir, name)
		}
		out = append(out, name)
	}
	return out
}
