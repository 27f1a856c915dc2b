// Package listen takes bytes from senders and hands them on as frames, nothing parsed. Each kind of sender is a
// package below; what they share is here: the gate through which every frame passes on its way to the bus.
//
// Every sender is bound on our side to a sensor, and the binding alone says whose telemetry it is.
package listen

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Binding is what our side knows of a sender: to which sensor it belongs, and whose telemetry that is.
type Binding struct {
	Sensor        string
	Tenant        tenant.ID // empty where the sensor's declared map decides for each record
	Layer         tenant.Layer
	Authenticated bool
}

// Lane is the queue that the binding's frames share.
func (b *Binding) Lane() string {
	if b.Tenant != "" {
		return string(b.Tenant)
	}
	return "sensor:" + b.Sensor
}

// Submitter takes frames. Submit returns when every frame is on disk; the frames of one call are acknowledged or
// refused together. A *Busy error says that nothing was kept and when to try again.
type Submitter interface {
	Submit(ctx context.Context, frames ...bus.Frame) error
}

// Busy is the answer to a sender that must wait: the disk is full, its tenant is over its share, or the bus stalls.
type Busy struct {
	Reason string
	Retry  time.Duration
	Full   bool // the disk, rather than the sender's share: 503 and not 429
}

// Error says why and for how long.
func (b *Busy) Error() string { return fmt.Sprintf("%s; try again in %s", b.Reason, b.Retry) }
