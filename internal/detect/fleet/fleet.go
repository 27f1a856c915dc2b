// Package fleet finds what comes to a provider's clients by the platform that runs their machines: a remote-management
// tool, or the console of an antivirus, patch or backup product (ATT&CK T1072). It looks at three places. At the
// clients it follows what the platform's agent starts on each host, and tells where that disarms the host and brings
// a program, destroys recovery, rewrites files, or is stopped as malware on several hosts (fleet/push). In the
// platform's own audit it tells an operator who signs in with one factor from a place where nobody was, and then reads
// out or orders at several customers or makes another operator (fleet/operator). At the platform's server it tells a
// shell under the server's program within minutes of the first request of an address (fleet/server;
// T1190).
//
// In: processes, files, antivirus events, console audits, connections and requests of all tenants in event time. Out:
// findings of the tenant concerned, by the trust that declares the platform. What no trust declares is left to package
// remotetool. State is bounded: hosts with what their agent started within ChainFor, places of operators, and
// addresses that spoke to a server.
package fleet

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the state.
const (
	MaxChains   = 50_000  // hosts whose agent started something of late
	MaxPushes   = 10_000  // findings that still grow
	MaxPlaces   = 100_000 // accounts with an address they got in from
	MaxCallers  = 200_000 // addresses that spoke to a server
	ForgetAfter = 90 * 24 * time.Hour
)

// Detector implements detect.Detector.
type Detector struct {
	model  *tenant.Model
	s      state
	trusts map[tenant.ID][]*tenant.Trust // those that declare a tool, into the tenant
	hosts  map[tenant.ID]bool            // tenants that are partners of others: their servers reach clients
}

// state is all that the detector remembers.
type state struct {
	Chains  map[string]*chain   // tenant and host
	Pushes  map[string]*push    // tenant, tool and whether it was approved
	Places  map[string]int64    // tenant, account and address → Unix seconds of the last success
	Began   map[tenant.ID]int64 // Unix seconds of the first sign-in at a tenant's consoles and directories
	Sits    map[string]*sitting // tenant and address of an operator who came from a new place with one factor
	Callers map[string]*caller  // tenant, service and address
	Knocks  map[tenant.ID][]knock
	Heard   map[string]int64 // tenant and service → Unix seconds of the first caller
	Swept   int64
}

func newState() state {
	return state{Chains: map[string]*chain{}, Pushes: map[string]*push{}, Places: map[string]int64{}, Began: map[tenant.ID]int64{}, Sits: map[string]*sitting{},
		Callers: map[string]*caller{}, Knocks: map[tenant.ID][]knock{}, Heard: map[string]int64{}}
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, s: newState(), trusts: map[tenant.ID][]*tenant.Trust{}, hosts: map[tenant.ID]bool{}}
	for i := range ctx.Model.Trusts {
		t := &ctx.Model.Trusts[i]
		if len(t.RemoteTools) > 0 {
			d.trusts[t.Tenant] = append(d.trusts[t.Tenant], t)
		}
		if p := ctx.Model.Partner(t.Partner); p != nil && p.Tenant != "" {
			d.hosts[p.Tenant] = true
		}
	}
	return d
}

// Name returns "fleet".
func (d *Detector) Name() string { return "fleet" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	switch {
	case e.Layer == tenant.LayerEndpoint && e.Device != "" && len(d.trusts[e.Tenant]) > 0:
		d.follow(e, emit)
	}
	if !d.hosts[e.Tenant] {
		return
	}
	switch {
	case e.Remote != nil:
		d.operator(e, emit)
	case e.Class == ocsf.ClassAuthentication && e.Cloud != nil:
		d.settle(e)
	case e.Class == ocsf.ClassHTTPActivity || e.Class == ocsf.ClassNetworkActivity:
		d.called(e)
	case e.Process != nil:
		d.shell(e, emit)
	}
}

// Advance forgets once an hour what can't matter any more.
func (d *Detector) Advance(now time.Time, _ detect.Emit) {
	at := now.Unix()
	if at-d.s.Swept < 3600 {
		return
	}
	d.s.Swept = at
	old := at - int64(ForgetAfter/time.Second)
	for k, c := range d.s.Chains {
		if at-c.Last > int64(ChainFor/time.Second) {
			delete(d.s.Chains, k)
		}
	}
	for k, p := range d.s.Pushes {
		if at-p.Last > int64(PushWindow/time.Second) {
			delete(d.s.Pushes, k)
		}
	}
	for k, t := range d.s.Places {
		if t < old {
			delete(d.s.Places, k)
		}
	}
	for k, s := range d.s.Sits {
		if at-s.Last > int64(SitFor/time.Second) {
			delete(d.s.Sits, k)
		}
	}
	for k, c := range d.s.Callers {
		if c.Last < old {
			delete(d.s.Callers, k)
		}
	}
	for id, list := range d.s.Knocks {
		if len(list) == 0 || at-list[len(list)-1].At > int64(KnockFor/time.Second) {
			delete(d.s.Knocks, id)
		}
	}
}

// Conclude emits nothing: all is told as it is found.
func (d *Detector) Conclude(detect.Emit) {}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) { return detect.EncodeState(d.s) }

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := newState()
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	d.s = s
	return nil
}
