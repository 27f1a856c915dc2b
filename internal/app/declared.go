package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// declared is what people have written down for serve: the configuration that was applied last, the tenants that
// tokens name, rules and indicators. It notices changes of each.
type declared struct {
	store      *state.Store
	file       string // watched and applied when it changes; empty: only what is applied by command
	rules      string
	indicators []string

	seen  string // what the last setup was made of
	stamp string // of the watched files
}

// Apply checks a configuration and stores it as the one that holds. It returns what is declared, and whether that is
// new. A running serve on the same data takes it within seconds.
func Apply(ctx context.Context, store *state.Store, name string, text []byte, by string) (*config.File, bool, error) {
	f, err := config.Parse(name, text)
	if err != nil {
		return nil, false, err
	}
	before, err := store.LatestDocument(ctx)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, false, err
	}
	n, err := store.ApplyDocument(ctx, state.Document{Version: f.Model.Version, Name: absoluteName(name), Text: text, Applied: time.Now().UTC(), By: by})
	if err != nil {
		return nil, false, fmt.Errorf("applying %s: %w", name, err)
	}
	return f, n != before.Number, nil
}

func absoluteName(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// applyFile applies the watched file where there is one.
func (d *declared) applyFile(ctx context.Context) error {
	if d.file == "" {
		return nil
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	_, _, err = Apply(ctx, d.store, d.file, text, "file")
	return err
}

// setup makes a Setup of what is declared now, with the serve section of the configuration.
func (d *declared) setup(ctx context.Context) (*Setup, *config.Serve, error) {
	doc, err := d.store.LatestDocument(ctx)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, nil, fmt.Errorf("reading the applied configuration: %w", err)
	}
	s := &Setup{Model: &tenant.Model{Version: "none"}}
	settings := config.DefaultServe()
	if len(doc.Text) > 0 {
		f, err := config.Parse(doc.Name, doc.Text)
		if err != nil {
			return nil, nil, fmt.Errorf("the applied configuration is not valid any more: %w", err)
		}
		s.Config, s.Model = f, f.Model
		if f.Serve != nil {
			settings = f.Serve
		}
	}
	s.late = settings.Reorder.Window
	stubs, err := d.store.StubTenants(ctx, tenant.ScopeAll())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the tenants that tokens name: %w", err)
	}
	s.withStubs(stubs)
	if err := s.loadRules(d.rules); err != nil {
		return nil, nil, err
	}
	if err := s.loadIndicators(d.indicators); err != nil {
		return nil, nil, err
	}
	d.seen, d.stamp = fmt.Sprint(doc.Number, stubs), d.stamps()
	return s, settings, nil
}

// changed reports whether a new setup would differ from the last one.
func (d *declared) changed(ctx context.Context) bool {
	if now := d.stamps(); now != d.stamp {
		return true
	}
	doc, err := d.store.LatestDocument(ctx)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return false
	}
	stubs, err := d.store.StubTenants(ctx, tenant.ScopeAll())
	return err == nil && fmt.Sprint(doc.Number, stubs) != d.seen
}

// stamps tells the watched files apart from what they were: names, sizes and times of change.
func (d *declared) stamps() string {
	var out string
	for _, name := range slices.Concat([]string{d.file, d.rules}, d.indicators) {
		if name == "" {
			continue
		}
		n := 0
		filepath.WalkDir(name, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			if n++; n > 20_000 {
				return filepath.SkipAll
			}
			if info, err := e.Info(); err == nil {
				out += fmt.Sprint(path, info.Size(), info.ModTime().UnixNano(), "\n")
			}
			return nil
		})
	}
	return out
}

// installationKey reads this installation's own key, or makes it.
func installationKey(dir string) (key [16]byte, err error) {
	name := filepath.Join(dir, "installation.key")
	if b, err := os.ReadFile(name); err == nil && len(b) == len(key) {
		return [16]byte(b), nil
	}
	if _, err := rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("making a key: %w", err)
	}
	if err := writeWhole(name, key[:]); err != nil {
		return key, fmt.Errorf("writing %s: %w", name, err)
	}
	return key, nil
}
