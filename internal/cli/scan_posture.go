package cli

import (
	"context"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

// investigate runs a scan, and returns what judges posture by the evidence in folders and by the scanned telemetry;
// without folders that judges nothing.
func investigate(ctx context.Context, s *app.Setup, paths, dirs []string) (*app.Case, func(context.Context, *console) (*report.Doors, error), error) {
	if len(dirs) == 0 {
		k, err := app.Investigate(ctx, s, paths, nil)
		return k, func(context.Context, *console) (*report.Doors, error) { return nil, nil }, err
	}
	t, k, err := app.Posture(ctx, s, paths)
	return k, func(ctx context.Context, c *console) (*report.Doors, error) { return scanDoors(ctx, c, s, t, dirs) }, err
}

// scanDoors judges the tenants of a scan's configuration.
func scanDoors(ctx context.Context, c *console, s *app.Setup, t *app.PostureTelemetry, dirs []string) (*report.Doors, error) {
	p, err := (&postureFlags{}).open(c)
	if err != nil {
		return nil, err
	}
	p.model, p.knowledge.Model, p.telemetry = s.Model, s.Model, t
	folder := posture.Folder{Dirs: dirs, Formats: posture.Formats(p.knowledge), Known: func(id tenant.ID) bool { return s.Model.Tenant(id) != nil }}
	if p.reading, err = folder.Read(ctx); err != nil {
		return nil, err
	}
	tellReading(c.err, p.reading)
	reports, err := p.check(ctx, p.library)
	if err != nil {
		return nil, err
	}
	d := &report.Doors{KEV: p.knowledge.KEV.AgeInWords(p.now)}
	for _, r := range reports {
		d.Reports = append(d.Reports, app.PostureForPeople(r))
	}
	return d, nil
}
