// Package config reads breakwater.yaml, the one file in which tenants, partners, trust relationships,
// sensors and approvals are declared. Bytes come in, an immutable tenant.Model and the sensors go out.
//
// The file is strict: an unknown key, a wrong value or a contradiction is an error. Load and Parse report
// every problem of a file at once, each with its line and what to do about it, and return no File when there
// is one; hints that don't stop anything are kept for Warnings. A file is at most 8 MiB; aliases are refused,
// and nothing in it is executed, fetched or expanded.
package config

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxBytes is the largest configuration file that is read: 8 MiB.
const MaxBytes = 8 << 20

// File is one configuration file that was read without errors. It doesn't change once read.
type File struct {
	Name    string        // as given to Load or Parse
	Dir     string        // absolute path of the folder of the file; sensor paths are relative to it
	Model   *tenant.Model // Version is a short hash of the content, not of its spelling
	Sensors []Sensor      // in declared order
	Serve   *Serve        // nil where the file has no serve section: see DefaultServe
	Mail    *MailGate     // nil where the file has no mail section: no mail is judged on its way
	Rules   *Rules        // nil where the file has no rules section: every match counts
	// RemoteTools is nil where the file has no remote_tools section: the built-in schemas count.
	RemoteTools *RemoteTools
	Posture     *Posture // nil where the file has no posture section: nothing is judged by serve

	warnings []Problem
}

// Load reads the file at that path. The error is of type Errors where the content is at fault.
func Load(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return Parse(name, data)
}

// Parse reads data as the content of the file called name. Any error is of type Errors.
func Parse(name string, data []byte) (*File, error) {
	r := &reader{name: name}
	root, ok := r.parse(data)
	if !ok {
		return nil, r.errs
	}
	f := r.file(root)
	if len(r.errs) > 0 {
		r.errs.sort()
		return nil, r.errs
	}
	f.Name = name
	f.Dir = absolute(filepath.Dir(name))
	f.Model.Version = version(f)
	f.warnings = r.warnings
	return f, nil
}

// Warnings returns hints that don't stop the file from being used, in the order of their lines.
func (f *File) Warnings() []Problem { return f.warnings }

// Rel returns the slash path of name relative to the folder of the file; a relative name is taken from the
// working directory. Members of archives ("a.zip!inner/x.log") keep their member part, and a member's ".."
// never leads out of its archive. A name outside the folder begins with "../".
func (f *File) Rel(name string) string {
	outer, member := splitMember(filepath.ToSlash(name))
	outer = absolute(filepath.FromSlash(outer))
	rel, err := filepath.Rel(f.Dir, outer)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		if real, err2 := filepath.Rel(resolved(f.Dir), resolved(outer)); err2 == nil {
			rel = real
		} else if err != nil {
			rel = outer
		}
	}
	rel = filepath.ToSlash(rel)
	if member != "" {
		parts := strings.Split(member, "!")
		for i, p := range parts {
			parts[i] = strings.TrimPrefix(path.Clean("/"+p), "/")
		}
		rel += "!" + strings.Join(parts, "!")
	}
	return rel
}

// splitMember cuts an archive member's path at the first "!" that begins a member name.
func splitMember(name string) (outer, member string) {
	for i := 0; i+1 < len(name); i++ {
		if name[i] == '!' && name[i+1] != '/' && i > 0 && name[i-1] != '/' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}

func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return filepath.Clean(name)
}

// resolved follows the symbolic links of name's folder, so that two spellings of one place compare equal.
func resolved(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		return filepath.Join(dir, filepath.Base(name))
	}
	return name
}

// version hashes what the file says; comments, spacing and key order don't count, list order does.
func version(f *File) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	// Encoding plain data into a hash can't fail.
	_ = enc.Encode(f.Model)
	for i := range f.Sensors {
		_ = enc.Encode(&f.Sensors[i])
	}
	if f.Rules != nil && len(f.Rules.Allow) > 0 {
		_ = enc.Encode(f.Rules)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

//go:embed starter.yaml
var starter []byte

// Init returns a commented starter file. It passes Parse as it is.
func Init() []byte { return append([]byte(nil), starter...) }
