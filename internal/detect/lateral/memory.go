package lateral

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// digest is FNV-1a over the parts. What was seen is remembered by digests alone: eight bytes each, and nothing that an
// intruder wrote. Two parts of equal digest are rarer than one in a thousand million runs with full tables.
func digest(parts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * 1099511628211
		}
		h *= 1099511628211
	}
	return h
}

// habit is how often somebody did something: on how many days, and to how many hosts.
type habit struct {
	First, Last int64 // unix nanoseconds
	Day         int64 // of the last time
	Days        int   // distinct days
	Hosts       int   // distinct hosts
}

// before returns on how many days before this one it was done.
func (h habit) before(at time.Time) int {
	if h.Day == day(at) {
		return h.Days - 1
	}
	return h.Days
}

func day(at time.Time) int64 { return at.Unix() / 86400 }

// label is the name behind an address.
type label struct {
	Name string
	Last int64
}

// place is the address behind a name.
type place struct {
	Addr netip.Addr
	Last int64
}

// names takes from an event what it tells soundly of which name an address has: a machine account from its own
// address, a server's own answer, a share's path, a lease, a connection that a host says is its own.
func (d *Detector) names(e *ocsf.Event) {
	switch {
	case e.Lease != nil:
		if e.Lease.Kind == "dhcp" && e.Lease.Start {
			d.name(e, e.Lease.Addr, e.Lease.Device)
		}
	case e.Source == "zeek/ntlm":
		d.name(e, e.Dst.IP, e.Dst.Host)
	case e.Source == "zeek/smb_mapping":
		path := strings.TrimPrefix(e.Fields.Value("path"), `\\`)
		if server, _, ok := strings.Cut(path, `\`); ok && server != "*" {
			d.name(e, e.Dst.IP, server)
		}
	case e.Class == ocsf.ClassAuthentication && e.Status == ocsf.StatusSuccess && e.Activity == "logon":
		if strings.HasSuffix(e.User.Name, "$") && e.Src.IP.IsValid() {
			d.name(e, e.Src.IP, strings.TrimSuffix(e.User.Name, "$"))
		}
	case e.Source == "windows/sysmon" && e.Flow != nil && e.Fields.Value("Initiated") == "true":
		d.name(e, e.Src.IP, e.Device)
	}
}

func (d *Detector) name(e *ocsf.Event, addr netip.Addr, name string) {
	if name = short(name); name == "" || !remote(addr) {
		return
	}
	detect.MakeRoom(d.s.Labels, MaxNames, func(l label) int64 { return l.Last })
	detect.MakeRoom(d.s.Places, MaxNames, func(p place) int64 { return p.Last })
	at := e.Time.UnixNano()
	d.s.Labels[string(e.Tenant)+"\x00"+addr.String()] = label{strings.Clone(name), at}
	d.s.Places[string(e.Tenant)+"\x00"+name] = place{addr, at}
}

// complete adds to a host what is known of it.
func (d *Detector) complete(id tenant.ID, h *host) {
	switch {
	case h.Name == "" && h.Addr.IsValid():
		h.Name = d.s.Labels[string(id)+"\x00"+h.Addr.String()].Name
	case h.Name != "" && !h.Addr.IsValid():
		h.Addr = d.s.Places[string(id)+"\x00"+h.Name].Addr
	}
}

// seen reports whether something was seen within ForgetAfter, and remembers it.
func (d *Detector) seen(at time.Time, parts ...string) bool {
	k := digest(parts...)
	last, ok := d.s.Seen[k]
	if !ok {
		detect.MakeRoom(d.s.Seen, MaxSeen, func(t int64) int64 { return t })
	}
	d.s.Seen[k] = at.UnixNano()
	return ok && at.UnixNano()-last < int64(ForgetAfter)
}

// knows is seen without remembering.
func (d *Detector) knows(at time.Time, parts ...string) bool {
	last, ok := d.s.Seen[digest(parts...)]
	return ok && at.UnixNano()-last < int64(ForgetAfter)
}

// between reports whether something of a kind was seen between two hosts by any of their names, and remembers it by
// all: the network knows them by address, their own logs by name.
func (d *Detector) between(at time.Time, kind string, id tenant.ID, who string, from, to host) bool {
	known := false
	f1, f2 := "", ""
	if from.known() {
		f1, f2 = from.keys()
	}
	t1, t2 := to.keys()
	for _, f := range [...]string{f1, f2} {
		if f == "" && f1 != "" {
			continue
		}
		for _, t := range [...]string{t1, t2} {
			if t != "" && d.seen(at, kind, string(id), who, f, t) {
				known = true
			}
		}
		if f1 == "" {
			break
		}
	}
	return known
}

// practise counts that somebody did something to a host, and returns the habit as it was before. Fresh says that the
// host is new to it.
func (d *Detector) practise(at time.Time, fresh bool, parts ...string) habit {
	k := digest(parts...)
	old, ok := d.s.Habits[k]
	if ok && at.UnixNano()-old.Last >= int64(ForgetAfter) {
		old, ok = habit{}, false
	}
	h := old
	if !ok {
		detect.MakeRoom(d.s.Habits, MaxHabits, func(h habit) int64 { return h.Last })
		h = habit{First: at.UnixNano(), Day: -1}
	}
	if t := day(at); h.Day != t {
		h.Day, h.Days = t, h.Days+1
	}
	if fresh {
		h.Hosts++
	}
	h.Last = at.UnixNano()
	d.s.Habits[k] = h
	return old
}

// watch learns since when a tenant is watched. One record of a clock that is years off is no beginning.
func (d *Detector) watch(e *ocsf.Event) {
	at := e.Time.UnixNano()
	latest, ok := d.s.Latest[e.Tenant]
	if first := d.s.First[e.Tenant]; !ok || at < first || at-latest > int64(WatchGap) {
		d.s.First[e.Tenant] = at
	}
	d.s.Latest[e.Tenant] = max(at, latest)
}

// warm reports whether the tenant was watched long enough for something new to mean something.
func (d *Detector) warm(id tenant.ID, at time.Time) bool {
	return at.UnixNano()-d.s.First[id] >= int64(WarmTime)
}
