package attribute

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// savedTranslations is what a snapshot holds of translated addresses.
type savedTranslations struct {
	Outside []savedOutside
	Floors  map[tenant.ID]int64
	Asked   []savedQuestion
}

type savedOutside struct {
	Tenant         tenant.ID
	Addr           string   // bytes
	Inside         []string // bytes
	Settled, Fresh []byte   // translations, 32 bytes each
}

type savedQuestion struct {
	Tenant tenant.ID
	Addr   string
	Port   uint32
	At     int64
}

const savedTranslation = 32 // bytes

func packed(list []translation) []byte {
	b := make([]byte, 0, len(list)*savedTranslation)
	for _, r := range list {
		for _, n := range [...]uint32{r.port, r.inside, r.peer, uint32(r.told)} {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(r.from))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.to))
	}
	return b
}

var errDamaged = errors.New("the snapshot is damaged")

func unpacked(b []byte, inside int) ([]translation, error) {
	if len(b)%savedTranslation != 0 {
		return nil, errDamaged
	}
	out := make([]translation, 0, len(b)/savedTranslation)
	for ; len(b) > 0; b = b[savedTranslation:] {
		n := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
		r := translation{n(0), n(1), n(2), told(n(3)), int64(binary.LittleEndian.Uint64(b[16:])), int64(binary.LittleEndian.Uint64(b[24:]))}
		if int64(r.inside) >= int64(inside) || r.told > toldStart {
			return nil, errDamaged
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *Sessions) saveTranslations() savedTranslations {
	out := savedTranslations{Floors: map[tenant.ID]int64{}}
	for id, t := range s.nat {
		out.Floors[id] = t.floor
		for addr, o := range t.addrs {
			x := savedOutside{Tenant: id, Addr: rawAddr(addr), Settled: packed(slices.Concat(o.runs...)), Fresh: packed(o.fresh)}
			for _, in := range o.inside {
				x.Inside = append(x.Inside, rawAddr(in))
			}
			out.Outside = append(out.Outside, x)
		}
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	for q, at := range s.asked {
		out.Asked = append(out.Asked, savedQuestion{q.tenant, rawAddr(q.addr), q.port, at})
	}
	return out
}

func (s *Sessions) restoreTranslations(in *savedTranslations) error {
	for i := range in.Outside {
		x := &in.Outside[i]
		var addr netip.Addr
		if err := addr.UnmarshalBinary([]byte(x.Addr)); err != nil {
			return err
		}
		t := s.nat[x.Tenant]
		if t == nil {
			t = &translated{addrs: map[netip.Addr]*outside{}, floor: in.Floors[x.Tenant]}
			s.nat[x.Tenant] = t
		}
		o, n, err := x.outside()
		if err != nil {
			return err
		}
		t.addrs[addr], t.count = o, t.count+n
		if len(o.fresh) > 0 {
			s.touched[natKey{x.Tenant, addr}] = true
		}
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	for _, q := range in.Asked {
		var addr netip.Addr
		if err := addr.UnmarshalBinary([]byte(q.Addr)); err != nil {
			return err
		}
		s.asked[question{natKey{q.Tenant, addr}, q.Port}] = q.At
	}
	return nil
}

// outside makes the address anew, and counts its translations.
func (x *savedOutside) outside() (*outside, int, error) {
	o := &outside{index: map[netip.Addr]uint32{}, sharers: map[int64][]uint32{}}
	for _, b := range x.Inside {
		var in netip.Addr
		if err := in.UnmarshalBinary([]byte(b)); err != nil {
			return nil, 0, err
		}
		o.place(in)
	}
	settled, err := unpacked(x.Settled, len(o.inside))
	if err != nil {
		return nil, 0, err
	}
	fresh, err := unpacked(x.Fresh, len(o.inside))
	if err != nil {
		return nil, 0, err
	}
	o.fresh = settled
	o.settle()
	o.fresh = fresh
	n := len(fresh)
	for _, run := range o.runs {
		n += len(run)
	}
	for _, r := range slices.Concat(settled, fresh) {
		o.share(r)
	}
	return o, n, nil
}
