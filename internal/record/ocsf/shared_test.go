package ocsf

import (
	"sync"
	"testing"
	"time"
)

// TestEncodingWritesNothingToWhatItEncodes encodes one finding from two goroutines: readers of an answer and the
// pipeline's checkpoints share findings, and the race detector tells if one of them writes.
func TestEncodingWritesNothingToWhatItEncodes(t *testing.T) {
	f := &Finding{ID: "f", Tenant: "acme", Layer: "mail", Confidence: 3, Severity: SeverityHigh, Time: time.Unix(1, 0), Suppressed: &Suppression{By: "x"},
		Entities: []Entity{{Type: "ip", Value: "10.0.0.1"}}, Evidence: []Evidence{{File: "a", Record: 1, Event: &Event{Tenant: "acme", Mail: &Mail{Bulk: true}, Lease: &Lease{Start: true}, Cloud: &Cloud{}}}}}
	var group sync.WaitGroup
	var got [2][]byte
	for i := range got {
		group.Go(func() { got[i], _ = f.MarshalBinary() })
	}
	group.Wait()
	if len(got[0]) == 0 || string(got[0]) != string(got[1]) {
		t.Errorf("%q and %q", got[0], got[1])
	}
}
