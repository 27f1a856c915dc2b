package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/inventory"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

func newPosture(c *console) *cobra.Command {
	cmd := noun("posture", "Are the doors locked: judge evidence by controls, and show it to clients",
		newPostureCheck(c), newPostureShow(c), newPostureExplain(c),
		noun("control", "List, show and test the controls", newPostureControlList(c), newPostureControlShow(c), newPostureControlTest(c)),
		noun("evidence", "Write evidence down, and see what is read of it", newPostureEvidenceAdd(c), newPostureEvidenceList(c), newPostureEvidenceFormats(c)),
		newPostureDrill(c), newPostureStatement(c), newPostureVerify(c), newPostureUpdate(c),
	)
	completePosture(cmd)
	cmd.Long = `Posture judges whether the doors of a provider and its clients are locked: remote access, network access, people's
training, and backups. Evidence is what exports, configurations and restore drills say, in a folder a tenant;
controls say what must hold of it. What is not known is never a pass, neither is what is old.`
	return cmd
}

// postureFlags are those of every command that judges evidence in folders.
type postureFlags struct {
	config, controls, policy, now, tenant, kev, columns string
	telemetry                                           []string
}

func (f *postureFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "the file that declares tenants, partners and trusts; without it each folder's name is a tenant")
	f.rules(cmd)
	cmd.Flags().StringVar(&f.policy, "policy", "", "a file of the site's settings and exceptions")
	cmd.Flags().StringVar(&f.kev, "kev", "", "CISA's catalogue of exploited vulnerabilities; what posture update has kept where it is left out")
	cmd.Flags().StringVar(&f.columns, "account-columns", "", "a YAML file of the column names that your consoles' exports of users have, a field with a list each, which replace ours")
	cmd.Flags().StringVar(&f.now, "now", "", "judge as of this time (RFC 3339, or a date) instead of the clock's")
	cmd.Flags().StringArrayVar(&f.telemetry, "telemetry", nil, "logs, read as scan does: how declared ways in are used, and which consoles the internet reaches (needs --config; may be repeated)")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "only this tenant; files directly in the folders are its own")
}

func (f *postureFlags) rules(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.controls, "controls", "", "a folder of the site's own controls, which replace ours of the same id")
}

// posturing is what a command judges with and by.
type posturing struct {
	library *posture.Library

	knowledge posture.Knowledge

	policy  *posture.Policy
	model   *tenant.Model // nil without a configuration
	now     time.Time
	reading *posture.Reading
	only    tenant.ID

	telemetry *app.PostureTelemetry // nil: no logs were given
}

// library loads the controls that ship, and the site's own. A control of the site's that does not load is an error: a
// check without it would be a check of less than was asked for.
func (f *postureFlags) library(c *console) (*posture.Library, error) {
	sources := []posture.Source{posture.Shipped()}
	if f.controls != "" {
		if info, err := os.Stat(f.controls); err != nil || !info.IsDir() {
			return nil, errors.Join(err, fmt.Errorf("--controls: %s is no folder", f.controls))
		}
		sources = append(sources, posture.Source{Files: os.DirFS(f.controls), Shown: filepath.ToSlash(filepath.Clean(f.controls)), Own: true})
	}
	l, problems, err := posture.Load(sources...)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		fmt.Fprintln(c.err, clean(p.Error()))
	}
	if len(problems) > 0 {
		return nil, errors.New("a control does not load: see above")
	}
	return l, nil
}

// open reads everything but the evidence.
func (f *postureFlags) open(c *console) (*posturing, error) {
	p := &posturing{now: time.Now().UTC().Truncate(time.Second), only: tenant.ID(f.tenant)}
	if f.now != "" {
		var err error
		if p.now, err = moment(f.now); err != nil {
			return nil, usage("--now: %v", err)
		}
	}
	var err error
	if p.library, err = f.library(c); err != nil {
		return nil, err
	}
	if f.policy != "" {
		data, err := readBounded(f.policy, 4<<20)
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		policy, problems := p.library.ParsePolicy(f.policy, data)
		for _, x := range problems {
			fmt.Fprintln(c.err, clean(x.Error()))
		}
		if policy == nil {
			return nil, fmt.Errorf("the policy %s is not taken: see above", f.policy)
		}
		p.policy = policy
	}
	if f.config != "" {
		file, err := config.Load(f.config)
		if err != nil {
			return nil, err
		}
		p.model = file.Model
		if p.only != "" && p.model.Tenant(p.only) == nil {
			return nil, fmt.Errorf("--tenant: %s is no tenant of %s", p.only, f.config)
		}
	}
	p.knowledge = posture.Knowledge{Model: p.model}
	if f.columns != "" {
		if p.knowledge.Columns, err = readAccountColumns(f.columns); err != nil {
			return nil, err
		}
	}
	if p.knowledge.KEV, p.knowledge.KEVFile, err = f.catalogue(); err != nil {
		return nil, err
	}
	return p, nil
}

// readAccountColumns reads under which names a site's exports of users hold what.
func readAccountColumns(name string) (inventory.AccountColumns, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--account-columns: %w", err)
	}
	defer file.Close()
	c, err := inventory.ReadAccountColumns(file)
	if err != nil {
		return nil, fmt.Errorf("--account-columns %s: %w", name, err)
	}
	return c, nil
}

// catalogue reads KEV's catalogue: the one that was named, or the one that is kept, where there is one.
func (f *postureFlags) catalogue() (*product.KEV, string, error) {
	name, kept := f.kev, f.kev == ""
	if kept {
		var err error
		if name, err = product.DefaultKEVFile(); err != nil {
			return nil, "", nil // without a home there is nothing kept
		}
	}
	k, err := product.LoadKEV(name)
	if kept && errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return k, name, nil
}

// read opens everything and reads the evidence in the folders; what could not be read is told, a line each.
func (f *postureFlags) read(ctx context.Context, c *console, dirs []string) (*posturing, error) {
	p, err := f.open(c)
	if err != nil {
		return nil, err
	}
	folder := posture.Folder{Dirs: dirs, Formats: posture.Formats(p.knowledge), Loose: p.only, Only: p.only}
	if p.model != nil {
		folder.Known = func(id tenant.ID) bool { return p.model.Tenant(id) != nil }
	}
	drawn := newReadingProgress(c.err)
	folder.Progress = drawn.read
	p.reading, err = folder.Read(ctx)
	drawn.done()
	if err != nil {
		return nil, err
	}
	tellReading(c.err, p.reading)
	if p.telemetry, err = f.logs(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// logs reads the telemetry that was named.
func (f *postureFlags) logs(ctx context.Context) (*app.PostureTelemetry, error) {
	if len(f.telemetry) == 0 {
		return nil, nil
	}
	s, err := app.NewSetup(app.Options{ConfigPath: f.config, Paths: f.telemetry})
	if err != nil {
		return nil, err
	}
	p, _, err := app.Posture(ctx, s, f.telemetry)
	if err != nil {
		return nil, fmt.Errorf("reading the telemetry: %w", err)
	}
	return p, nil
}

// tellReading says what of the evidence was left out.
func tellReading(w io.Writer, r *posture.Reading) {
	for _, f := range r.Files {
		for _, x := range f.Problems {
			fmt.Fprintln(w, clean(x.Error()))
		}
		if more := f.Bad - len(f.Problems); more > 0 {
			fmt.Fprintf(w, "%s: and %d more records left out\n", clean(f.File), more)
		}
	}
	if r.Bad > 0 {
		fmt.Fprintf(w, "%d records or files were left out; the rest was read.\n", r.Bad)
	}
}

// tenants returns whom to judge: those of the configuration, or those of whom there is evidence.
func (p *posturing) tenants() []tenant.Tenant {
	var out []tenant.Tenant
	if p.model != nil {
		out = slices.Clone(p.model.Tenants)
	} else {
		for _, e := range p.reading.Tenants {
			out = append(out, tenant.Tenant{ID: e.Tenant, Name: string(e.Tenant)})
		}
		if p.only != "" && len(out) == 0 {
			out = append(out, tenant.Tenant{ID: p.only, Name: string(p.only)})
		}
	}
	out = slices.DeleteFunc(out, func(t tenant.Tenant) bool { return p.only != "" && t.ID != p.only })
	slices.SortFunc(out, func(a, b tenant.Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

// check judges every tenant, each by a checker of its own.
func (p *posturing) check(ctx context.Context, l *posture.Library) ([]*posture.Report, error) {
	var out []*posture.Report
	for _, t := range p.tenants() {
		r, err := l.For(t, p.policy).Check(ctx, slices.Concat(p.reading.Of(t.ID).Items, p.knowledge.Facts(t.ID), p.telemetry.Items(t.ID, p.reading.Of(t.ID).Items)), p.now)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no evidence of any tenant: put files into a folder of the tenant's name, or name it with --tenant")
	}
	return out, nil
}

// moment reads a time as RFC 3339, or a date as its first moment in UTC.
func moment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write such as 2026-03-02T15:04:05Z or 2026-03-02", s)
}

func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}
