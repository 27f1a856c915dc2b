package beacon

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// infected is the detector with an implant beside the shared events, which know none: with every event comes a
// contact at the beginning of its ten minutes, of which the detector takes the first.
type infected struct{ *Detector }

func (d infected) Process(e *ocsf.Event, emit detect.Emit) {
	d.Detector.Process(e, emit)
	at := e.Time.Truncate(10 * time.Minute)
	x := &ocsf.Event{ID: e.ID, Time: at, Seen: at, Tenant: "c1", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity,
		Src:  ocsf.Endpoint{IP: netip.MustParseAddr("10.1.4.4"), Port: 50000},
		Dst:  ocsf.Endpoint{IP: netip.MustParseAddr("192.0.2.80"), Port: 443},
		Flow: &ocsf.Flow{Proto: "tcp", State: "SF", OrigBytes: 300, RespBytes: 300}, Raw: e.Raw}
	d.Detector.Process(x, emit)
}

func fresh() detect.Detector { return infected{New(detect.Context{Model: detecttest.Model()})} }

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, fresh) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, fresh, 100) }
