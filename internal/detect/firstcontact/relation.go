package firstcontact

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxMarks is how many first contacts of a window are counted.
const maxMarks = 256

// relation is what one partner did at one tenant.
type relation struct {
	Begun   minute
	Last    minute
	Visits  uint32 // contacts, told in the warm-up
	Past    map[dimension]*past
	Pairs   past // host with service
	Service past
	Source  past
	Hours   hours              // of its contacts with hosts
	Rate    rate               // of first contacts of one source
	All     rate               // of all sources together
	Windows map[uint64]*window // of each source; 0 is all sources together
	Came    uint32
}

// window is the recent first contacts of one source.
type window struct {
	Src     string
	Order   uint32
	Marks   []mark
	Events  []*ocsf.Event // the last of them
	Counted int           // how many hosts of this window the trust's distribution knows of
	names   map[uint64]int
	addrs   map[uint64]int
	from    map[uint64]int // marks of each source
}

// mark is one first contact.
type mark struct {
	Host    uint64
	At      int64 // nanoseconds since 1970
	Service float64
	Src     uint64
	Named   bool // the host is known by its name; else by its address
}

// contact is one source at one host.
type contact struct {
	event *ocsf.Event
	host  netip.Addr
	name  string
	port  uint16
}

// way names host and service.
func (c *contact) way() string {
	if c.name != "" {
		return c.name
	}
	return netip.AddrPortFrom(c.host, c.port).String()
}

func (c *contact) hostName() string {
	if c.name != "" {
		return c.name
	}
	return c.host.String()
}

// keys returns the hashes of the host and of the host with its service.
func (c *contact) keys() (host, pair uint64) {
	if c.name != "" {
		k := xxh3.HashString(c.name) | 1
		return k, k
	}
	var b [18]byte
	addr := c.host.As16()
	copy(b[:], addr[:])
	binary.BigEndian.PutUint16(b[16:], c.port)
	return xxh3.Hash(b[:16]) | 1, xxh3.Hash(b[:]) &^ 1
}

// met returns the host that a partner reached, where something answered.
func met(e *ocsf.Event) (contact, bool) {
	switch {
	case e.Flow != nil && e.Dst.IP.IsValid() && e.Flow.Proto == "tcp" && established(e.Flow.State):
		return contact{event: e, host: e.Dst.IP.Unmap(), port: e.Dst.Port}, true
	case e.Class == ocsf.ClassAuthentication && e.Layer == tenant.LayerEndpoint && e.Status == ocsf.StatusSuccess && e.Activity == "logon" && e.Device != "":
		return contact{event: e, name: e.Device}, true
	}
	return contact{}, false
}

func established(state string) bool {
	switch state {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		return true
	}
	return false
}

// sourceOf names who reaches: an address, an IPv6 one by its /64, since hosts change addresses within it; else the account.
func sourceOf(e *ocsf.Event) (string, uint64) {
	a := e.Src.IP.Unmap()
	if !a.IsValid() {
		return e.User.Name, hash(e.User.Name)
	}
	b := a.As16()
	if a.Is6() {
		clear(b[8:])
	}
	return a.String(), xxh3.Hash(b[:]) | 1
}

func (d *Detector) relation(e *ocsf.Event, now minute) *relation {
	k := relationKey{e.Tenant, e.Partner}
	r := d.relations[k]
	if r == nil {
		r = &relation{Begun: now, Past: map[dimension]*past{}, Windows: map[uint64]*window{}}
		d.relations[k] = r
	}
	r.Last = max(r.Last, now)
	return r
}

// acquainted reports whether the partner was known long enough at this tenant for new hosts to mean something.
func (r *relation) acquainted(now minute) bool {
	return r.Visits > 2*WarmEvents && now.since(r.Begun) >= 2*minutes(WarmTime)
}

func (r *relation) forget(now time.Time) {
	at := minuteOf(now)
	forget(r.Past, at)
	r.Pairs.forget(at)
	r.Service.forget(at)
	r.Source.forget(at)
	for k, w := range r.Windows {
		if now.UnixNano()-w.Marks[len(w.Marks)-1].At > int64(HitWindow) {
			delete(r.Windows, k)
		}
	}
}

// restored completes what gob leaves out, and reports whether the state is whole.
func (r *relation) restored() bool {
	if !whole(r.Past) {
		return false
	}
	r.Past, r.Windows = some(r.Past), some(r.Windows)
	for _, w := range r.Windows {
		if w == nil || len(w.Marks) == 0 {
			return false
		}
		w.count()
	}
	return true
}

// window returns the window of a source. Of too many sources the one goes that met somebody longest ago.
func (r *relation) window(key uint64, src string) *window {
	w := r.Windows[key]
	if w == nil {
		detect.MakeRoom(r.Windows, MaxSources, func(w *window) int64 {
			return w.Marks[len(w.Marks)-1].At/int64(time.Second)<<24 | int64(w.Order)
		})
		r.Came = (r.Came + 1) & (1<<24 - 1)
		w = &window{Src: src, Order: r.Came}
		w.count()
		r.Windows[key] = w
	}
	return w
}

func (w *window) count() {
	w.names, w.addrs, w.from = map[uint64]int{}, map[uint64]int{}, map[uint64]int{}
	for i := range w.Marks {
		w.side(&w.Marks[i])[w.Marks[i].Host]++
		w.from[w.Marks[i].Src]++
	}
}

// side returns the counts to which a mark belongs. A host shows by its address on the network and by its name in
// its own log, so that the two are not added up.
func (w *window) side(m *mark) map[uint64]int {
	if m.Named {
		return w.names
	}
	return w.addrs
}

// hosts counts the hosts of the window.
func (w *window) hosts() int { return max(len(w.names), len(w.addrs)) }

// add takes a first contact into the window, and drops those that left it.
func (w *window) add(m mark, e *ocsf.Event) {
	first := 0
	for first < len(w.Marks) && m.At-w.Marks[first].At > int64(HitWindow) {
		first++
	}
	first = max(first, len(w.Marks)+1-maxMarks)
	for i := range w.Marks[:first] {
		less(w.side(&w.Marks[i]), w.Marks[i].Host)
		less(w.from, w.Marks[i].Src)
	}
	if w.Marks = append(w.Marks[first:], m); len(w.Marks) == 1 {
		w.Counted = 0
	}
	w.side(&m)[m.Host]++
	w.from[m.Src]++
	begun := w.Marks[0].At
	gone := 0
	for gone < len(w.Events) && w.Events[gone].Time.UnixNano() < begun {
		gone++
	}
	gone = max(gone, len(w.Events)+1-ocsf.MaxEvidence)
	clear(w.Events[:gone])
	w.Events = append(w.Events[gone:], e)
}

// services returns how surprising the services of the window are that the trust never used before, the most
// surprising one's bits.
func (w *window) services() float64 {
	best := 0.0
	for i := range w.Marks {
		best = max(best, w.Marks[i].Service)
	}
	return best
}

// sources counts who met the hosts of the window.
func (w *window) sources() int { return len(w.from) }

func less(counts map[uint64]int, k uint64) {
	if counts[k] == 1 {
		delete(counts, k)
	} else {
		counts[k]--
	}
}
