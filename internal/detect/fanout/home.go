package fanout

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Bounds of what is remembered of one account's places and devices.
const (
	homePlaces  = 8
	homeDevices = 6
	homeUses    = 2 // successes that make a place or a device the account's own
	maxHomes    = 50_000
)

// home is from where and with what an account gets in. A failure from there is its owner's, also while somebody
// sprays.
type home struct {
	Places  []used // addresses and networks
	Devices []used
	Last    int64
}

type used struct {
	What string
	Uses int
	Last int64
}

// settle learns from a success.
func (g *guesses) settle(user string, e *ocsf.Event) {
	h := g.Homes[user]
	if h == nil {
		detect.MakeRoom(g.Homes, maxHomes, func(h *home) int64 { return h.Last })
		h = &home{}
		g.Homes[strings.Clone(user)] = h
	}
	now := e.Time.Unix()
	h.Last = max(h.Last, now)
	use(&h.Places, e.Src.IP.String(), now, homePlaces)
	use(&h.Places, network(e.Src.IP), now, homePlaces)
	if dev := device(e); dev != "" {
		use(&h.Devices, dev, now, homeDevices)
	}
}

// use counts a use of a thing; the one unused longest gives way.
func use(list *[]used, what string, now int64, most int) {
	i := slices.IndexFunc(*list, func(u used) bool { return u.What == what })
	if i < 0 {
		if i = len(*list); i < most {
			*list = append(*list, used{})
		} else {
			i = 0
			for j := range *list {
				if (*list)[j].Last < (*list)[i].Last {
					i = j
				}
			}
		}
		(*list)[i] = used{What: strings.Clone(what)}
	}
	(*list)[i].Uses++
	(*list)[i].Last = max((*list)[i].Last, now)
}

func uses(list []used, what string) bool {
	return slices.ContainsFunc(list, func(u used) bool { return u.What == what && u.Uses >= homeUses })
}

// explains reports whether a failure comes from the account's own place, with a device of its own where the record
// tells one: the very address, or another of the same network with the same device.
func (h *home) explains(e *ocsf.Event) bool {
	if h == nil {
		return false
	}
	dev := device(e)
	own := dev != "" && uses(h.Devices, dev)
	if uses(h.Places, e.Src.IP.String()) {
		return own || dev == "" || len(h.Devices) == 0
	}
	return own && uses(h.Places, network(e.Src.IP))
}

// network is the address's /24 or /48.
func network(a netip.Addr) string {
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// device is what a sign-in tells of the device: its name, or the program's own words.
func device(e *ocsf.Event) string {
	if e.Src.Host != "" {
		return strings.ToLower(e.Src.Host)
	}
	if e.Cloud != nil && len(e.Cloud.UserAgent) <= 512 {
		return e.Cloud.UserAgent
	}
	return ""
}
