package hop

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what a trace walks over. File servers hold SMB connections open all day, so that one counts only where
// it lasted and carried more than a mounted share does at rest.
const (
	MaxFlows   = 1_000_000 // records of remote work kept of all tenants; beyond, the oldest go
	MaxPlaces  = 1_000_000 // addresses, names and hosts kept of all tenants, each; beyond, those seen longest ago go
	smbLasting = 60 * time.Second
	smbPackets = 200
	sameFlow   = time.Second // records of one connection by several sensors lie no farther apart
)

// Flow kinds beside those of Kind.
const (
	flowSSH    = "ssh"
	flowTelnet = "telnet"
	flowRDP    = "rdp"
	flowVNC    = "vnc"
	flowWinRM  = "winrm"
	flowSMB    = "smb"
	flowLogon  = "logon"         // remote interactive logon (Windows type 10)
	flowNet    = "network-logon" // Windows type 3
	flowNAT    = "nat"           // a translation: who stood behind a shared address
)

// flow is one record of somebody working on a host from another, as one tenant's telemetry tells it.
type flow struct {
	tenant       tenant.ID
	src, dst     netip.Addr
	srcHost      string // where the source's address is not told
	dstHost      string // where the target's address is not told
	sport, dport uint16
	start, end   time.Time
	packets      int64
	kind         string
	user         string // account, lower case; "" where the record tells none
	file         string
	record       int64
}

// flows collects what Trace walks over, of every tenant, whether a partner is involved or not: the hop before the
// one that crosses a trust is an ordinary session in somebody's own house.
type flows struct {
	list     []flow
	logons   map[logonID]int      // the logon record that a repeated logon extends
	seen     map[tenantAddr]int64 // when an address was last seen, seconds since 1970
	names    map[tenantHost]name
	hosts    map[tenantHost]int64 // hosts that report as a tenant's own, and when they last did
	machines map[tenantAddr]machine
	heard    map[tenant.ID]*heard
	words    map[string]string
	clocks   *clocks
	told     []*Told // what others answered; no part of a snapshot
	left     int64
	most     int         // MaxFlows and MaxPlaces, but for tests
	index    *traceIndex // built by the first Trace; nil where that would be another now
	touched  []int       // records that last longer than the index knows

	lately []tenantSeen // entries of seen, by a hash of the address; nil before the first
	at     house        // of the event before
}

// 1<<latelyBits addresses are found without a search. What is seen of them is written down when others take their
// places, or when it is asked for: the same few talk all day.
const latelyBits = 12

// tenantSeen is an entry of seen: an address without a zone.
type tenantSeen struct {
	addr  [2]uint64
	house *heard
	last  int64
	wrote int64 // last as seen has it
}

// house is what is kept of a tenant.
type house struct {
	id    tenant.ID // the one copy that is kept
	heard *heard
}

// name is a host's address; invalid where it had several.
type name struct {
	addr netip.Addr
	last int64 // when it was last told, seconds since 1970
}

type tenantAddr struct {
	tenant tenant.ID
	addr   netip.Addr
}

type tenantHost struct {
	tenant tenant.ID
	host   string
}

type logonID struct {
	tenantHost
	src  netip.Addr
	from string
	user string
	kind string
}

// heard says from when to when a tenant sent telemetry in which a session into a host would show.
type heard struct {
	id       tenant.ID // the one copy that is kept
	from, to time.Time
	network  bool
}

func newFlows() *flows {
	return &flows{logons: map[logonID]int{}, seen: map[tenantAddr]int64{}, names: map[tenantHost]name{},
		hosts: map[tenantHost]int64{}, machines: map[tenantAddr]machine{}, heard: map[tenant.ID]*heard{}, words: map[string]string{}, clocks: newClocks(), most: MaxFlows}
}

// FlowsLeft returns how many records of remote work had to go because MaxFlows was reached.
func (g *Graph) FlowsLeft() int64 { return g.flows.left }

// add takes what an event tells of remote work, of addresses and of names. Events come in event time.
func (fs *flows) add(e *ocsf.Event) {
	switch e.Layer {
	case tenant.LayerNetwork, tenant.LayerEndpoint, tenant.LayerAccess:
	default:
		return
	}
	if fs.at.heard == nil || fs.at.id != e.Tenant {
		fs.at = fs.house(e)
	}
	id := fs.at.id
	fs.at.heard.hear(e)
	fs.clocks.add(id, e)
	if e.Layer == tenant.LayerEndpoint && e.Device != "" {
		fs.own(id, Short(e.Device), e.Time)
	}
	switch {
	case e.Lease != nil:
		switch e.Lease.Kind {
		case "dhcp":
			fs.name(id, e.Lease.Device, e.Lease.Addr, e.Time)
		case "nat":
			fs.translation(id, e)
		}
	case e.Flow != nil && e.Layer == tenant.LayerNetwork:
		fs.see(id, e.Src.IP, e.Direction == ocsf.DirectionOut || e.Direction == ocsf.DirectionInternal, e.Time)
		fs.see(id, e.Dst.IP, e.Direction == ocsf.DirectionIn || e.Direction == ocsf.DirectionInternal, e.Time)
		if kind := worked(e); kind != "" {
			fs.keep(flow{tenant: id, src: e.Src.IP.Unmap(), dst: e.Dst.IP.Unmap(), sport: e.Src.Port, dport: e.Dst.Port,
				start: e.Time, end: e.Time.Add(e.Flow.Duration), packets: e.Flow.OrigPkts + e.Flow.RespPkts, kind: kind}, e)
		}
	case e.Class == ocsf.ClassAuthentication && e.Layer == tenant.LayerEndpoint:
		fs.machine(id, e)
		fs.logon(id, e)
	case e.Layer == tenant.LayerEndpoint && e.Class == ocsf.ClassNetworkActivity && e.Device != "" && Short(e.Src.Host) == Short(e.Device):
		fs.name(id, e.Device, e.Src.IP, e.Time)
	}
}

// worked returns the kind of a connection in which somebody was at work, or "". A connection that was open when the
// sensor started (Zeek's OTH) counts where both sides spoke.
func worked(e *ocsf.Event) string {
	f := e.Flow
	if f.Proto != "tcp" || !e.Src.IP.IsValid() || !e.Dst.IP.IsValid() || f.Duration < Interactive || f.OrigPkts+f.RespPkts < MinPackets {
		return ""
	}
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
	case "OTH", "":
		if f.OrigPkts == 0 || f.RespPkts == 0 {
			return ""
		}
	default:
		return ""
	}
	switch e.Dst.Port {
	case 22:
		return flowSSH
	case 23:
		return flowTelnet
	case 3389:
		return flowRDP
	case 5900:
		return flowVNC
	case 5985, 5986:
		return flowWinRM
	case 445:
		if f.Duration >= smbLasting && f.OrigPkts+f.RespPkts >= smbPackets {
			return flowSMB
		}
	}
	return ""
}

// logon takes a Windows logon over the network (types 3 and 10). Logons that follow one another within Gap are one.
func (fs *flows) logon(id tenant.ID, e *ocsf.Event) {
	kind := map[string]string{"3": flowNet, "10": flowLogon}[e.Fields.Value("LogonType")]
	user := strings.ToLower(e.User.Name)
	if kind == "" || e.Activity != "logon" || e.Status == ocsf.StatusFailure || e.Device == "" || user == "" || strings.HasSuffix(user, "$") || user == "anonymous logon" {
		return
	}
	f := flow{tenant: id, dstHost: fs.word(Short(e.Device)), start: e.Time, end: e.Time, kind: kind, user: fs.word(user)}
	if ip := e.Src.IP; ip.IsValid() && !ip.IsLoopback() && !ip.IsUnspecified() {
		f.src = ip.Unmap()
	} else if f.srcHost = fs.word(Short(e.Src.Host)); f.srcHost == "" || f.srcHost == "-" || f.srcHost == f.dstHost {
		return
	}
	k := logonID{tenantHost{f.tenant, f.dstHost}, f.src, f.srcHost, f.user, kind}
	if i, ok := fs.logons[k]; ok && e.Time.Sub(fs.list[i].end) <= Gap {
		if e.Time.After(fs.list[i].end) {
			fs.list[i].end = e.Time
			fs.touch(i)
		}
		return
	}
	fs.keep(f, e)
	fs.logons[k] = len(fs.list) - 1
}

// translation takes a record of who stood behind a shared address: Addr is what the others saw, Public who it was.
// Translations of one host that follow one another within Gap are one.
func (fs *flows) translation(id tenant.ID, e *ocsf.Event) {
	inner, outer := e.Lease.Public, e.Lease.Addr
	if !inner.IsValid() || !outer.IsValid() || inner == outer {
		return
	}
	f := flow{tenant: id, src: inner.Unmap(), dst: outer.Unmap(), start: e.Time, end: e.Time, kind: flowNAT}
	k := logonID{tenantHost{id, fs.word(f.dst.String())}, f.src, "", "", flowNAT}
	if i, ok := fs.logons[k]; ok && e.Time.Sub(fs.list[i].end) <= Gap {
		if e.Time.After(fs.list[i].end) {
			fs.list[i].end = e.Time
			fs.touch(i)
		}
		return
	}
	fs.keep(f, e)
	fs.logons[k] = len(fs.list) - 1
}

// touch notes that a record lasts longer than the index knows, where there is one.
func (fs *flows) touch(i int) {
	switch {
	case fs.index == nil:
	case fs.index.behind():
		fs.index, fs.touched = nil, nil
	default:
		fs.touched = append(fs.touched, i)
	}
}

func (fs *flows) keep(f flow, e *ocsf.Event) {
	if len(fs.list) >= fs.most {
		fs.makeRoom()
	}
	f.file, f.record = fs.word(e.Raw.File), e.Raw.Record
	fs.list = append(fs.list, f)
}

// house returns what is kept of the event's tenant.
func (fs *flows) house(e *ocsf.Event) house {
	id := tenant.ID(fs.word(string(e.Tenant)))
	h := fs.heard[id]
	if h == nil {
		h = &heard{from: e.Time, to: e.Time}
		fs.heard[id] = h
	}
	h.id = id
	return house{id, h}
}

// hear notes that the tenant sent something in which a session would show.
func (h *heard) hear(e *ocsf.Event) {
	if e.Time.Before(h.from) {
		h.from = e.Time
	}
	if e.Time.After(h.to) {
		h.to = e.Time
	}
	h.network = h.network || e.Flow != nil
}

// see notes that a tenant's own sensor saw one of its addresses; private ones count whatever is declared.
func (fs *flows) see(id tenant.ID, a netip.Addr, own bool, at time.Time) {
	if !a.IsValid() || (!own && !a.IsPrivate()) {
		return
	}
	if a.Zone() != "" {
		fs.enter(tenantAddr{id, a.Unmap()}, at.Unix())
		return
	}
	if fs.lately == nil {
		fs.lately = make([]tenantSeen, 1<<latelyBits)
	}
	p := pack(a)
	x := &fs.lately[(p[0]^p[1])*0x9E3779B97F4A7C15>>(64-latelyBits)]
	if x.house == fs.at.heard && x.addr == p {
		x.last = max(x.last, at.Unix())
		return
	}
	fs.write(x)
	last := fs.enter(tenantAddr{id, a.Unmap()}, at.Unix())
	*x = tenantSeen{p, fs.at.heard, last, last}
}

// enter notes when an address was seen, and returns when it was last.
func (fs *flows) enter(k tenantAddr, sec int64) int64 {
	last, known := fs.seen[k]
	if known && last >= sec {
		return last
	}
	if !known && len(fs.seen) >= fs.most {
		fs.settle()
		crowd(fs.seen, fs.most, func(t int64) int64 { return t })
	}
	fs.seen[k] = sec
	return sec
}

// write brings seen up to date by one entry.
func (fs *flows) write(x *tenantSeen) {
	if x.last != x.wrote {
		fs.seen[tenantAddr{x.house.id, unpack(x.addr)}] = x.last
		x.wrote = x.last
	}
}

// settle brings seen up to date, and forgets its entries that are found without a search: they may go.
func (fs *flows) settle() {
	for i := range fs.lately {
		fs.write(&fs.lately[i])
	}
	clear(fs.lately)
}

// own notes a host that reports as the tenant's.
func (fs *flows) own(id tenant.ID, host string, at time.Time) {
	k := tenantHost{id, host}
	last, known := fs.hosts[k]
	if !known {
		crowd(fs.hosts, fs.most, func(t int64) int64 { return t })
		k.host, fs.index = fs.word(host), nil
	}
	if !known || at.Unix() > last {
		fs.hosts[k] = at.Unix()
	}
}

// name learns a host's address, and forgets it for good where the host had another before.
func (fs *flows) name(id tenant.ID, host string, a netip.Addr, at time.Time) {
	host = Short(host)
	if host == "" || host == "-" || !a.IsValid() || a.IsUnspecified() || a.IsLoopback() {
		return
	}
	k := tenantHost{id, host}
	n, known := fs.names[k]
	switch {
	case !known:
		crowd(fs.names, fs.most, func(n name) int64 { return n.last })
		k.host, n.addr, fs.index = fs.word(host), a.Unmap(), nil
	case n.addr.IsValid() && n.addr != a.Unmap():
		n.addr, fs.index = netip.Addr{}, nil
	}
	n.last = max(n.last, at.Unix())
	fs.names[k] = n
}

// word returns the one copy that is kept of a string, so that no event's memory is held by a name in it.
func (fs *flows) word(s string) string {
	if w, ok := fs.words[s]; ok {
		return w
	}
	w := strings.Clone(s)
	fs.words[w] = w
	return w
}
