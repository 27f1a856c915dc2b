package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/beacon"
	"github.com/breakwater-project/breakwater/internal/detect/enumeration"
	"github.com/breakwater-project/breakwater/internal/detect/fanout"
	"github.com/breakwater-project/breakwater/internal/detect/firstcontact"
	"github.com/breakwater-project/breakwater/internal/detect/fleet"
	"github.com/breakwater-project/breakwater/internal/detect/indicator"
	"github.com/breakwater-project/breakwater/internal/detect/lateral"
	"github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/detect/recon"
	"github.com/breakwater-project/breakwater/internal/detect/remotetool"
	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	remotetoolformats "github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// LocalTenant is the tenant that everything belongs to where no configuration says otherwise.
const LocalTenant tenant.ID = "local"

// ConfigName is the name under which a configuration is looked for.
const ConfigName = "breakwater.yaml"

// Setup is what one run is made with.
type Setup struct {
	Config     *config.File // nil: one tenant, no partners
	Model      *tenant.Model
	Rules      *sigma.RuleSet
	Indicators *indicator.Set
	Limits     bounded.Limits
	Progress   func(read, total int64)
	TempDir    string // for sorted runs; empty: the system's
	SortBudget int    // bytes of events held in memory; 0: order.DefaultBudget
	RuleErrors []sigma.LoadError
	schemas    *remotetoolformats.Schemas // of the site; nil: the built-in ones alone
	late       time.Duration              // how far behind its sensor's latest an event is late; 0: the default
	base       string                     // what paths are shown relative to where there is no configuration
}

// Options name what a run is to be set up from.
type Options struct {
	ConfigPath string   // empty: breakwater.yaml in one of the paths, else none
	Rules      string   // a folder or archive of Sigma rules beside our own pack; empty: none
	Indicators []string // files of indicators
	Paths      []string
}

// NewSetup reads configuration, rules and indicators. It fails with an error that names the file and line.
func NewSetup(o Options) (*Setup, error) {
	s := &Setup{}
	name := o.ConfigPath
	if name == "" {
		name = findConfig(o.Paths)
	}
	if name != "" {
		f, err := config.Load(name)
		if err != nil {
			return nil, err
		}
		s.Config, s.Model = f, f.Model
	} else {
		s.Model = &tenant.Model{Version: "none", Tenants: []tenant.Tenant{{ID: LocalTenant, Name: "this organisation", Role: tenant.RoleBoth, Networks: privateNetworks()}}}
	}
	if len(o.Paths) == 1 {
		s.base = o.Paths[0]
	}
	if err := s.loadSchemas(); err != nil {
		return nil, err
	}
	if err := s.loadRules(o.Rules); err != nil {
		return nil, err
	}
	return s, s.loadIndicators(o.Indicators)
}

// findConfig returns a configuration that lies in one of the folders to be scanned, so that a folder that
// brings its own needs no flag.
func findConfig(paths []string) string {
	for _, p := range paths {
		name := filepath.Join(p, ConfigName)
		if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// privateNetworks are the tenant's own where nobody declared any.
func privateNetworks() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10", "127.0.0.0/8"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func (s *Setup) loadRules(extra string) (err error) {
	src := RuleSource{Own: true}
	if extra != "" {
		src.Packs = []string{extra}
	}
	s.Rules, s.RuleErrors, err = Rules(context.Background(), src)
	return err
}

func (s *Setup) loadIndicators(names []string) error {
	var sets []indicator.Set
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading indicators: %w", err)
		}
		set, bad := indicator.Load(f, name)
		f.Close()
		if len(bad) > 0 && set.Len() == 0 {
			return fmt.Errorf("reading indicators %s: none could be read; first problem: %w", name, errors.Join(bad[0]))
		}
		sets = append(sets, set)
	}
	if len(sets) > 0 {
		merged := indicator.Join(sets...)
		s.Indicators = &merged
	}
	return nil
}

func (s *Setup) detectors() ([]detect.Detector, error) {
	ctx := detect.Context{Model: s.Model}
	list := []detect.Detector{remotetool.New(ctx), fanout.New(ctx), fleet.New(ctx), beacon.New(ctx), firstcontact.New(ctx), recon.New(ctx), enumeration.New(ctx), lateral.New(ctx), phish.New(ctx), sigma.NewDetector(s.Rules, ctx, s.allowed()...)}
	if s.Indicators != nil {
		list = append(list, indicator.New(ctx, *s.Indicators))
	}
	return list, nil
}

// rel is how a path is shown and matched: relative to the configuration, else to the one path given.
func (s *Setup) rel(p string) string {
	if s.Config != nil {
		return s.Config.Rel(p)
	}
	p = filepath.ToSlash(p)
	if base := filepath.ToSlash(filepath.Clean(s.base)); s.base != "" && strings.HasPrefix(p, base+"/") {
		return p[len(base)+1:]
	}
	return path.Clean(p)
}

// ours reports whether a file is the configuration or one of its companions, which is not telemetry.
func (s *Setup) ours(rel string) bool {
	return slices.Contains([]string{ConfigName, "truth.json", "attack.tsv", "NOTES.md", "README.md", "labels.tsv"}, rel)
}

// byField reports whether a sensor is told by a field of the record, so that the path alone does not decide.
func (s *Setup) byField() bool {
	return slices.ContainsFunc(s.Config.Sensors, func(x config.Sensor) bool { return len(x.Fields) > 0 })
}

// assign gives the event its tenant, layer and sensor, or says why it can't. A record is never given to a
// tenant that its sensor does not declare.
func (s *Setup) assign(sensor *config.Sensor, e *ocsf.Event) (reason string) {
	if s.Config == nil {
		e.Tenant = LocalTenant
		return ""
	}
	if sensor == nil {
		var ok bool
		if sensor, ok = s.Config.SensorOf(config.Origin{Path: e.Raw.File, Field: e.Fields.Value}); !ok {
			return noSensor
		}
	}
	id, ok := sensor.TenantFor(e.Fields.Value)
	if !ok {
		return "the sensor's map names no tenant for this record's " + sensor.By
	}
	e.Tenant = id
	if sensor.Layer != "" {
		e.Layer = sensor.Layer
	}
	e.Sensor = sensor.Path + sensor.Exporter
	return ""
}

// notes says what could not be attributed and what would help.
func (p *pipeline) notes() []string {
	var out []string
	if p.setup.Config == nil {
		out = append(out, "No configuration was given: everything was taken for one tenant without partners, so nothing could be attributed to a partner. Write one with `breakwater config init`, and name your tenants, partners and their accesses.")
	} else {
		for _, w := range p.setup.Config.Warnings() {
			out = append(out, w.String())
		}
	}
	for i, e := range p.setup.RuleErrors {
		if i == 5 {
			out = append(out, fmt.Sprintf("%d more rules were not loaded; `breakwater rule check` lists them.", len(p.setup.RuleErrors)-5))
			break
		}
		out = append(out, "Rule not loaded: "+e.Error())
	}
	out = append(out, p.unverified.notes()...)
	out = append(out, p.ruleNotes()...)
	if p.sorter.Duplicates > 0 {
		out = append(out, fmt.Sprintf("%d records were delivered more than once and counted once.", p.sorter.Duplicates))
	}
	if p.graph.Left > 0 {
		out = append(out, fmt.Sprintf("%d events belonged to sessions beyond the limit of the hop graph and were left out of traces.", p.graph.Left))
	}
	return out
}

// failed tells of a bug that an event has shown; the event is left out, and the watch goes on.
func (s *Setup) failed(e *ocsf.Event, what any) {
	slog.Error("an event could not be taken, which is a bug of ours; it is left out", "event", e.ID.String(), "source", e.Source, "tenant", e.Tenant,
		"what", what, "stack", string(debug.Stack()))
}

// withStubs adds tenants that senders were given before any configuration declared them, so that what they send is
// kept under their names. The model's version tells of them.
func (s *Setup) withStubs(ids []tenant.ID) {
	m := *s.Model
	if s.Config == nil {
		m = tenant.Model{Version: "none"}
	}
	m.Tenants = slices.Clone(m.Tenants)
	for _, id := range ids {
		if m.Tenant(id) == nil {
			m.Tenants = append(m.Tenants, tenant.Tenant{ID: id, Name: string(id), Role: tenant.RoleClient, Networks: privateNetworks()})
			m.Version += "+" + string(id)
		}
	}
	s.Model = &m
}

// named returns the declared sensor of that name where it speaks for several tenants.
func (s *Setup) named(name string) (*config.Sensor, bool) {
	if s.Config == nil || name == "" {
		return nil, false
	}
	x, ok := s.Config.SensorNamed(name)
	return x, ok && x.By != ""
}
