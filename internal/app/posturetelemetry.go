package app

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// PostureTelemetry is what logs show of how the ways into tenants are used, and of consoles that the internet reaches.
type PostureTelemetry struct {
	model   *tenant.Model
	used    map[tenant.ID]*used
	exposed *exposures
}

// Posture runs the paths through the pipeline as Scan does, and keeps what posture is judged on. It needs a
// configuration: without one nobody is declared whose use could be held against anything.
func Posture(ctx context.Context, s *Setup, paths []string) (*PostureTelemetry, *Case, error) {
	if s.Config == nil {
		return nil, nil, errors.New("telemetry tells nothing of declared ways in without a configuration that declares them: name it with --config")
	}
	x := newExposures(s.Model)
	c, err := Investigate(ctx, s, paths, x.take)
	if err != nil {
		return nil, nil, err
	}
	return &PostureTelemetry{model: s.Model, used: usesOf(c.graph, s.Model), exposed: x}, c, nil
}

// Items returns the facts about one tenant. Access is what configurations let in, so that the facts name their lines.
// A nil PostureTelemetry knows nothing.
func (p *PostureTelemetry) Items(id tenant.ID, access []evidence.Item) []evidence.Item {
	if p == nil {
		return nil
	}
	return append(useItems(p.model, id, p.used[id], access), p.exposed.items(id, nil, time.Time{})...)
}

// PostureForPeople copies a report as people outside of a tenant may see it: accounts and persons under pseudonyms, and
// each control with its worst facts.
func PostureForPeople(r *posture.Report) *posture.Report { return forPeople(r, postureItems) }
