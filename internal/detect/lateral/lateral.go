// Package lateral finds who moves from host to host through a trust: files written to administrative shares with an
// order to execute beside it, accounts that change within one session, and sessions that go on from the host on which
// they landed.
//
// In: attributed events in event time, of Zeek, Suricata, Windows, flow sensors and remote tools. One file a source
// reads them into acts (who did what on which host from where); nothing behind it knows a format. Out: one finding for
// each source, target and episode, which grows under one id:
//
//   - lateral/admin-share-exec: a transfer to an administrative share and an order to execute on the same host within
//     Window, in either order, as MITRE's BZAR combines them (T1021.002 with T1569.002, T1053.005, T1047);
//   - lateral/remote-exec: such an order alone;
//   - lateral/credential-switch: in a session that one account opened, another is used that never was, on hosts that
//     the first never reached. Both must be new, as in Ho et al., "Hopper: Modeling and Detecting Lateral Movement",
//     USENIX Security 2021; one of the two alone is daily life;
//   - lateral/onward-hop: from the host on which a session landed, hosts are reached that this host never reached;
//   - lateral/disarmed: while somebody from another host is at work on a host, its protection is stopped, and a program
//     comes to it;
//   - lateral/new-relay: a host asks for the relay of a remote tool that no trust of the tenant declares.
//
// What is done day by day is habit: it is learned for each source and mechanism, and told as such. What an approval or
// a declared fact of the trust explains is shown as suppressed. A failure to read an event is no finding: what can't be
// read into an act is passed over. An NTLM logon without a session key is no sign here: too much of daily life makes it.
package lateral

import (
	"fmt"
	"maps"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Windows, warm-up and bounds.
const (
	Window      = 10 * time.Minute     // between transfer and order, as BZAR has it
	EpisodeGap  = 30 * time.Minute     // a pair that is quiet for so long begins a new episode
	SessionIdle = 8 * time.Hour        // a source that is quiet for so long begins a new session
	LandingTime = 8 * time.Hour        // how long somebody whose leaving was not seen may stand on a host
	Grace       = 5 * time.Minute      // after somebody left
	WatchGap    = 45 * 24 * time.Hour  // without an event, after which watching a tenant begins anew
	WarmTime    = 3 * 24 * time.Hour   // a tenant watched for less has no past to compare with
	ForgetAfter = 45 * 24 * time.Hour  // what was not seen for so long is new again
	HabitDays   = 3                    // days on which something was done before, for it to be a habit
	HabitHosts  = 3                    // and hosts, for one more host to be part of it
	RunHosts    = 5                    // hosts within RunTime on which somebody executes who never did, where the partner's others do so host by host
	RunTime     = time.Hour            //
	MaxPairs    = 16_384               // pairs of hosts with an episode; beyond, those quiet longest go. So with all that follow
	MaxSources  = 32_768               // hosts from which somebody acts
	MaxTargets  = 16_384               // hosts on which somebody acts, for as long as Window
	MaxFound    = 16_384               // findings that may still grow
	MaxSeen     = 400_000              // contacts and uses of accounts
	MaxHabits   = 100_000              // habits
	MaxNames    = 50_000               // names of addresses
	MaxLogons   = 50_000               // logon sessions of hosts
	MaxBindings = 20_000               // RPC bindings
	maxSigns    = 6                    // transfers and orders kept of a pair until they are told
	maxLandings = 4                    // people who stand on one host
	maxRecent   = 8                    // sources kept of one target
	maxWords    = 24                   // hosts and accounts that a finding names
	maxGrowing  = 32                   // findings of one source that may still grow
	sweepEvery  = int64(1 * time.Hour) // how often what is over is thrown away
)

// Detector implements detect.Detector.
type Detector struct {
	model   *tenant.Model
	s       state
	held    map[string]struct{}
	pending uint64
}

// state is what the detector remembers; every field goes through Snapshot.
type state struct {
	First    map[tenant.ID]int64 // first event of each tenant since it was silent for WatchGap
	Latest   map[tenant.ID]int64 // its latest
	Labels   map[string]label
	Places   map[string]place
	Seen     map[uint64]int64
	Habits   map[uint64]habit
	Logons   map[uint64]logonSession
	Bindings map[uint64]binding
	Pairs    map[string]*pair
	Targets  map[string]*target
	Sources  map[string]*source
	Switches map[uint64]latest
	Found    map[string]*open
	Swept    int64
}

// latest is the finding of an account's use.
type latest struct {
	Finding string
	Last    int64
}

// logonSession is a logon as the host itself numbers it.
type logonSession struct {
	Source  host
	How     mechanism
	Account string
	Who     actor
	Last    int64
}

// binding is the interface that a connection was bound to.
type binding struct {
	Interface string
	Last      int64
}

// actor is through whom somebody acts.
type actor struct {
	Partner tenant.PartnerID
	Trust   tenant.TrustID
	Account string // who opened the session; else the account that acts
}

func emptyState() state {
	return state{First: map[tenant.ID]int64{}, Latest: map[tenant.ID]int64{}, Labels: map[string]label{}, Places: map[string]place{}, Seen: map[uint64]int64{}, Habits: map[uint64]habit{},
		Logons: map[uint64]logonSession{}, Bindings: map[uint64]binding{}, Pairs: map[string]*pair{}, Targets: map[string]*target{}, Sources: map[string]*source{},
		Switches: map[uint64]latest{}, Found: map[string]*open{}}
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	return &Detector{model: ctx.Model, s: emptyState(), held: map[string]struct{}{}}
}

// Name returns "lateral".
func (d *Detector) Name() string { return "lateral" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	d.watch(e)
	d.names(e)
	if a, ok := read(e); ok {
		d.take(&a, emit)
	}
	d.relay(e, emit)
	d.disarmed(e, emit)
}

// take puts an act where it belongs.
func (d *Detector) take(a *act, emit detect.Emit) {
	e := a.event
	d.complete(e.Tenant, &a.source)
	d.complete(e.Tenant, &a.target)
	switch a.step {
	case stepPrivileged:
		d.privileged(a, emit)
		return
	case stepBind:
		d.bind(a)
		return
	case stepLogoff:
		d.leave(a)
		return
	case stepCall:
		if a.how == byNone && !d.bound(a) {
			return
		}
	}
	who := d.who(a)
	if a.step == stepLogon && a.logonID != "" {
		d.remember(a, who)
	}
	if a.source.known() && a.target.known() && !a.source.same(a.target) {
		fresh := !d.between(e.Time, "hop", e.Tenant, "", a.source, a.target)
		s := d.source(a, true)
		d.onward(a, &who, s, fresh, emit)
		if a.security {
			d.switched(a, who, s, emit)
		}
	}
	switch a.step {
	case stepShare, stepPipe, stepWrite, stepCall, stepMade:
		d.execution(a, who, emit)
	}
	d.land(a, who)
}

// who says through whom an act was done: as the event is attributed, else as the logon that it belongs to was.
func (d *Detector) who(a *act) actor {
	e := a.event
	w := actor{Account: a.account}
	if e.Owner.Name != "" {
		w.Account = canonical(e.Owner.Name)
	}
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		w.Partner, w.Trust = e.Partner, e.Trust
		return w
	}
	if a.logonID != "" {
		if l, ok := d.s.Logons[logonKey(a)]; ok && l.Who.Partner != "" {
			return l.Who
		}
	}
	return w
}

func logonKey(a *act) uint64 {
	return digest(string(a.event.Tenant), a.target.Name, a.logonID)
}

func (d *Detector) remember(a *act, who actor) {
	detect.MakeRoom(d.s.Logons, MaxLogons, func(l logonSession) int64 { return l.Last })
	d.s.Logons[logonKey(a)] = logonSession{a.source, a.how, a.account, who, a.event.Time.UnixNano()}
}

// bind keeps the interface that a connection was bound to.
func (d *Detector) bind(a *act) {
	detect.MakeRoom(d.s.Bindings, MaxBindings, func(b binding) int64 { return b.Last })
	d.s.Bindings[flowKey(a)] = binding{a.detail, a.event.Time.UnixNano()}
}

// bound completes an order that was told by number alone.
func (d *Detector) bound(a *act) bool {
	b, ok := d.s.Bindings[flowKey(a)]
	if ok {
		*a = a.numbered(b.Interface, a.detail)
	}
	return a.how != byNone
}

func flowKey(a *act) uint64 {
	return digest(string(a.event.Tenant), a.event.Fields.Value("flow_id"), a.source.Addr.String(), a.target.Addr.String())
}

// Advance emits what was held back, and throws away what is over.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	d.Conclude(emit)
	for id := range d.held {
		d.s.Found[id].Held = false
	}
	clear(d.held)
	if now.UnixNano()-d.s.Swept < sweepEvery {
		return
	}
	t := now.UnixNano()
	d.s.Swept = t
	over := func(last int64, after time.Duration) bool { return t-last > int64(after) }
	maps.DeleteFunc(d.s.Pairs, func(_ string, p *pair) bool { return over(p.Last, EpisodeGap) })
	maps.DeleteFunc(d.s.Targets, func(_ string, x *target) bool { return over(x.Last, Window) })
	maps.DeleteFunc(d.s.Sources, func(_ string, s *source) bool { return over(s.Last, SessionIdle) })
	maps.DeleteFunc(d.s.Found, func(_ string, o *open) bool { return over(o.Last, 2*SessionIdle) })
	maps.DeleteFunc(d.s.Switches, func(_ uint64, p latest) bool { return over(p.Last, 2*SessionIdle) })
	maps.DeleteFunc(d.s.Bindings, func(_ uint64, b binding) bool { return over(b.Last, EpisodeGap) })
	maps.DeleteFunc(d.s.Logons, func(_ uint64, l logonSession) bool { return over(l.Last, 24*time.Hour) })
	maps.DeleteFunc(d.s.Labels, func(_ string, l label) bool { return over(l.Last, ForgetAfter) })
	maps.DeleteFunc(d.s.Places, func(_ string, p place) bool { return over(p.Last, ForgetAfter) })
	maps.DeleteFunc(d.s.Seen, func(_ uint64, last int64) bool { return t-last >= int64(ForgetAfter) })
	maps.DeleteFunc(d.s.Habits, func(_ uint64, h habit) bool { return t-h.Last >= int64(ForgetAfter) })
}

// Conclude emits what grew since it was last emitted.
func (d *Detector) Conclude(emit detect.Emit) {
	for id := range d.held {
		d.s.Found[id].tell(emit)
	}
}

// Pending counts what was held back.
func (d *Detector) Pending() uint64 { return d.pending }

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) { return detect.EncodeState(d.s) }

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := emptyState()
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	for id, o := range s.Found {
		if o == nil || o.Finding == nil {
			return fmt.Errorf("reading the state of lateral: %q has no finding; remove the state and begin anew", id)
		}
		if o.Held {
			d.held[id] = struct{}{}
			d.pending++
		}
	}
	for k, p := range s.Pairs {
		if p == nil {
			return fmt.Errorf("reading the state of lateral: pair %q is empty; remove the state and begin anew", k)
		}
	}
	d.s = s
	return nil
}

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	a, ok := read(e)
	if !ok {
		return []string{"no act of one host on another by an administrative way"}
	}
	d.complete(e.Tenant, &a.source)
	d.complete(e.Tenant, &a.target)
	line := fmt.Sprintf("%s by %s", a.step, a.how)
	if a.detail != "" {
		line += " (" + a.detail + ")"
	}
	if a.source.known() {
		line += " from " + a.source.String()
	}
	if a.target.known() {
		line += " on " + a.target.String()
	}
	if a.account != "" {
		line += " as " + a.account
	}
	out := []string{line}
	switch a.step {
	case stepWrite, stepShare:
		out = append(out, fmt.Sprintf("a finding needs an order to execute on the same host within %s", Window))
	case stepCall, stepMade:
		out = append(out, fmt.Sprintf("a finding weighs more with a transfer to an administrative share of the same host within %s", Window))
	case stepLogon, stepExplicit:
		out = append(out, "compared with who opened the session, and with the hosts that this account and this source reached before")
	}
	if !d.warm(e.Tenant, e.Time) {
		out = append(out, fmt.Sprintf("the tenant was watched for less than %s, so that little is known of its habits", WarmTime))
	}
	return out
}
