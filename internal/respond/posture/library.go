package posture

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/controls"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxControls bounds how many controls a library holds.
const maxControls = 2000

// Library is a set of controls by id. It doesn't change once loaded and serves several goroutines.
type Library struct {
	one, all *language
	controls map[string]*Control
	order    []*Control
}

// Source is a tree of control files.
type Source struct {
	Files fs.FS
	Shown string // before each file's path, for messages; such as the folder's name
	Own   bool   // its controls may replace those of earlier sources by their id
}

// Shipped returns the controls that are part of the program.
func Shipped() Source { return Source{Files: controls.Files, Shown: "controls"} }

// Load reads the controls of all sources: every *.yaml and *.yml below. What is wrong is told as problems, a line each,
// and the rest is loaded. The error is for what cannot be read at all.
func Load(sources ...Source) (*Library, []Problem, error) {
	l := &Library{controls: map[string]*Control{}}
	var err error
	if l.one, l.all, err = languages(); err != nil {
		return nil, nil, err
	}
	var problems []Problem
	for _, s := range sources {
		mine := map[string]string{} // id to file, within this source
		err := fs.WalkDir(s.Files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("reading controls in %s: %w", s.Shown, err)
			}
			if d.IsDir() && d.Name() != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			if ext := path.Ext(name); d.IsDir() || ext != ".yaml" && ext != ".yml" {
				return nil
			}
			shown := path.Join(s.Shown, name)
			data, err := read(s.Files, name)
			if err != nil {
				problems = append(problems, Problem{shown, 0, err.Error()})
				return nil
			}
			c, bad := l.parseControl(shown, data)
			problems = append(problems, bad...)
			if c == nil {
				return nil
			}
			if other, twice := mine[c.ID]; twice {
				problems = append(problems, Problem{shown, 0, fmt.Sprintf("the id %s is %s's already", c.ID, other)})
				return nil
			}
			if old := l.controls[c.ID]; old != nil && !s.Own {
				problems = append(problems, Problem{shown, 0, fmt.Sprintf("the id %s is %s's already", c.ID, old.File)})
				return nil
			}
			if mine[c.ID] = shown; len(l.controls) >= maxControls {
				return fmt.Errorf("reading controls in %s: more than %d", s.Shown, maxControls)
			}
			l.controls[c.ID] = c
			return nil
		})
		if err != nil {
			return nil, problems, err
		}
	}
	for _, c := range l.controls {
		l.order = append(l.order, c)
	}
	slices.SortFunc(l.order, func(a, b *Control) int {
		if x := slices.Index(evidence.Pillars, a.Pillar) - slices.Index(evidence.Pillars, b.Pillar); x != 0 {
			return x
		}
		return strings.Compare(a.ID, b.ID)
	})
	return l, problems, nil
}

// read reads one control file within its bound.
func read(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("it cannot be opened: %w", err)
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxControlFile)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	return data, nil
}

// Controls returns the controls by pillar, then id.
func (l *Library) Controls() []*Control { return slices.Clone(l.order) }

// Control returns the control of that id, or nil.
func (l *Library) Control(id string) *Control { return l.controls[id] }

// Only returns a library of the controls among these ids. The error names an id that there is not.
func (l *Library) Only(ids ...string) (*Library, error) {
	out := &Library{one: l.one, all: l.all, controls: map[string]*Control{}}
	for _, id := range ids {
		c := l.controls[id]
		if c == nil {
			return nil, fmt.Errorf("there is no control %q; `breakwater posture control list` shows which there are", id)
		}
		out.controls[id] = c
	}
	for _, c := range l.order {
		if out.controls[c.ID] != nil {
			out.order = append(out.order, c)
		}
	}
	return out, nil
}
