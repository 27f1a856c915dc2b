package app

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/attribute"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// stages is what every event passes once it is decoded and in order. Scan and serve share it.
type stages struct {
	setup      *Setup
	sessions   *attribute.Sessions
	attributor *attribute.Attributor
	telemetry  *campaign.Telemetry
	graph      *hop.Graph
	engine     *detect.Engine
	detectors  []detect.Detector // the engine's
}

func newStages(s *Setup) (*stages, error) {
	detectors, err := s.detectors()
	if err != nil {
		return nil, err
	}
	sessions := attribute.NewSessions()
	return &stages{
		setup:      s,
		sessions:   sessions,
		attributor: attribute.New(s.Model, sessions),
		telemetry:  campaign.NewTelemetry(),
		graph:      hop.NewGraph(),
		engine:     detect.NewEngine(s.Model.Version, detectors...),
		detectors:  detectors,
	}, nil
}

// take gives an event to attribution, the counts, the hop graph and the detectors. Events come in event time.
func (p *stages) take(e *ocsf.Event) {
	p.attributor.Attribute(e)
	p.telemetry.Add(e)
	p.graph.Add(e)
	p.engine.Process(e)
}

// takeLate gives an event that came after its time to whatever doesn't rest on order.
func (p *stages) takeLate(e *ocsf.Event) {
	p.attributor.Attribute(e)
	p.telemetry.Add(e)
	p.graph.Add(e)
	p.engine.ProcessLate(e)
}

// impossible tells why an event's time can't be right; it is empty where the time can.
func impossible(t time.Time) string {
	if t.Year() < 1971 || t.Year() >= 2100 {
		return "the time " + t.Format("2006-01-02") + " can't be right"
	}
	return ""
}
