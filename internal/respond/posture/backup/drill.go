package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Kind is the program that made a backup, or the sort of it.
type Kind string

// The kinds of backups that can be restored.
const (
	KindRestic   Kind = "restic"
	KindBorg     Kind = "borg"
	KindDatabase Kind = "pg_dump" // a dump of PostgreSQL: custom format, tar or plain SQL
	KindTree     Kind = "tree"    // files as they are, such as a mirror or a mounted share
)

// Drill is what a drill's file says.
type Drill struct {
	Name       string   `yaml:"name"`       // of the backup, as the board shows it
	Kind       Kind     `yaml:"kind"`       // restic, borg, pg_dump or tree
	Repository string   `yaml:"repository"` // folder or address of the repository; the dump; the tree
	Password   Password `yaml:"password"`
	Snapshot   string   `yaml:"snapshot"` // id or archive; empty: the newest
	Paths      []string `yaml:"paths"`    // what to restore of it; empty: all
	Root       string   `yaml:"root"`     // folder within what is restored that the manifest describes; empty: all of it
	Manifest   string   `yaml:"manifest"` // file of hashes, as sha256sum and `posture drill manifest` write it
	// Sample, where it is not 0, restores that many files of the manifest, others each day, instead of all.
	Sample   int              `yaml:"sample"`
	Canaries []string         `yaml:"canaries"` // files below Root that nobody may change
	Rows     map[string]int64 `yaml:"rows"`     // databases: schema.table → fewest rows
	AsUser   string           `yaml:"as_user"`  // databases: who runs the server, since it refuses to be root
	Copies   []Copy           `yaml:"copies"`   // of this backup, the one that is restored among them
	Limits   Limits           `yaml:"limits"`
	Scratch  string           `yaml:"scratch"`  // where the scratch folder is made; empty: the system's folder for temporary files
	Programs string           `yaml:"programs"` // folder of the backup programs; empty: as PATH finds them
	// Environment names variables of ours that the backup program is given, such as AWS_ACCESS_KEY_ID; it gets no others.
	Environment []string `yaml:"environment"`

	dir string // of the drill's file; relative names begin there
}

// Password says where the repository's password is; it is never in the drill itself.
type Password struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"` // name of an environment variable
}

// Copy is one copy of the data, for the rule of three copies, two media, one off site, one offline or immutable.
type Copy struct {
	Name    string `yaml:"name"`
	Medium  string `yaml:"medium"` // disk, tape, object storage …
	Offsite bool   `yaml:"offsite"`
	Offline bool   `yaml:"offline"` // offline, or immutable for at least the time an intruder stays unseen
}

// Limits bound a restore.
type Limits struct {
	Bytes int64         `yaml:"bytes"`
	Files int64         `yaml:"files"`
	Time  time.Duration `yaml:"time"`
}

// Limits of a drill that names none, and the size of a drill's file.
const (
	DefaultBytes = 100 << 30
	DefaultFiles = 5_000_000
	DefaultTime  = 6 * time.Hour
	maxDrillFile = 1 << 20
	maxListed    = 10_000 // paths, canaries, tables, copies
)

// ReadDrill reads a drill's file and checks all that can be known before a restore.
func ReadDrill(name string) (*Drill, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the drill: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDrillFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the drill %s: %w", name, err)
	}
	d, err := ParseDrill(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d.dir, err = filepath.Abs(filepath.Dir(name)); err != nil {
		return nil, fmt.Errorf("reading the drill %s: %w", name, err)
	}
	return d, nil
}

// ParseDrill reads a drill.
func ParseDrill(data []byte) (*Drill, error) {
	if len(data) > maxDrillFile {
		return nil, fmt.Errorf("a drill of more than %d bytes", maxDrillFile)
	}
	d := &Drill{Limits: Limits{DefaultBytes, DefaultFiles, DefaultTime}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(d); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the drill is empty")
		}
		return nil, err
	}
	return d, d.check()
}

func (d *Drill) check() error {
	var bad []error
	say := func(format string, args ...any) { bad = append(bad, fmt.Errorf(format, args...)) }
	if d.Name == "" || len(d.Name) > 200 || strings.ContainsFunc(d.Name, func(r rune) bool { return r < ' ' }) {
		say("name: give the backup a name of up to 200 characters in one line")
	}
	if d.Repository == "" || strings.HasPrefix(d.Repository, "-") {
		say("repository: name the repository, dump or tree")
	}
	if strings.HasPrefix(d.Snapshot, "-") || strings.Contains(d.Snapshot, "::") {
		say("snapshot: %q is no id of a snapshot", d.Snapshot)
	}
	switch d.Kind {
	case KindRestic, KindBorg:
	case KindDatabase:
		if d.Manifest != "" || len(d.Canaries) > 0 || d.Sample != 0 || len(d.Paths) > 0 {
			say("manifest, canaries, sample and paths are for files; for a database say under rows how many rows its tables have at least")
		}
	case KindTree:
		if d.Password != (Password{}) || d.Snapshot != "" {
			say("a tree has neither password nor snapshots")
		}
	default:
		say("kind: %q is none of restic, borg, pg_dump, tree", d.Kind)
	}
	if d.Kind != KindDatabase && (len(d.Rows) > 0 || d.AsUser != "") {
		say("rows and as_user are for databases (kind: pg_dump)")
	}
	if d.Password.File != "" && d.Password.Env != "" {
		say("password: name a file or an environment variable, not both")
	}
	if d.Sample < 0 || d.Sample > maxListed || d.Sample > 0 && d.Manifest == "" {
		say("sample: up to %d files, drawn from a manifest", maxListed)
	}
	if d.Sample > 0 && len(d.Paths) > 0 {
		say("sample and paths exclude each other")
	}
	if len(d.Canaries) > 0 && d.Manifest == "" {
		say("canaries need a manifest, which says what they hold")
	}
	if len(d.Paths) > maxListed || len(d.Canaries) > maxListed || len(d.Rows) > maxListed || len(d.Copies) > maxListed {
		say("more than %d paths, canaries, tables or copies", maxListed)
	}
	for _, p := range append(append([]string{d.Root}, d.Paths...), d.Canaries...) {
		if strings.HasPrefix(p, "-") || strings.ContainsAny(p, "\x00\n") || p != "" && !inside(p) {
			say("%q is no path within the backup", p)
		}
	}
	for _, name := range d.Environment {
		if !variable.MatchString(name) || slices.Contains(ownVariables, name) {
			say("environment: %q is no variable that can be passed on", name)
		}
	}
	for t := range d.Rows {
		if _, err := tableName(t); err != nil {
			bad = append(bad, err)
		}
	}
	for i, c := range d.Copies {
		if c.Name == "" || c.Medium == "" {
			say("copies: copy %d needs a name and a medium", i+1)
		}
	}
	if d.Limits.Bytes <= 0 || d.Limits.Files <= 0 || d.Limits.Time <= 0 {
		say("limits: bytes, files and time are more than 0")
	}
	return errors.Join(bad...)
}

// variable is the form of a variable's name; ownVariables are those that a drill sets itself.
var (
	variable     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	ownVariables = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR", "XDG_CACHE_HOME", "BORG_BASE_DIR"}
)

// passed adds the variables that the drill passes on.
func (d *Drill) passed(env []string) ([]string, error) {
	for _, name := range d.Environment {
		v, ok := os.LookupEnv(name)
		if !ok {
			return nil, fmt.Errorf("environment: the variable %s is not set", name)
		}
		env = append(env, name+"="+v)
	}
	return env, nil
}

// inside reports whether a path with slashes stays below where it begins, once a leading slash is off.
func inside(p string) bool {
	p = path.Clean(strings.TrimPrefix(filepath.ToSlash(p), "/"))
	return p != ".." && !strings.HasPrefix(p, "../")
}

// file returns a name of the drill's file as a path: relative names begin beside it.
func (d *Drill) file(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}

// repository returns the repository as the program is to be given it: a local folder as an absolute path, an address of
// a server as it stands.
func (d *Drill) repository() string {
	if strings.Contains(d.Repository, ":") && !filepath.IsAbs(d.Repository) {
		return d.Repository
	}
	return d.file(d.Repository)
}
