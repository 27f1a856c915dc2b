package attribute

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// savedMark is a mark as a snapshot holds it, in plain fields: gob takes long over types that encode themselves.
type savedMark struct {
	Tenant             tenant.ID
	At, Lasted         int64
	ID                 ocsf.EventID
	Kind, Source       string
	Addr, Public       string // bytes; empty where not told
	Name, Domain, UID  string
	Device             string
	Start, End         bool
	Lasts              int64
	Logon, Placed, New bool // Placed: it has an address; New: learned since the last Refresh
}

// Snapshot returns everything that was learned, and what of it Refresh has yet to take in.
func (s *Sessions) Snapshot() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []savedMark
	for k, list := range s.marks {
		for i := range list {
			out = append(out, save(learned{mark: list[i], on: k}))
		}
	}
	for k, list := range s.logons {
		for i := range list {
			out = append(out, save(learned{mark: list[i], on: k, logon: true}))
		}
	}
	for k, list := range s.unplaced {
		for i := range list {
			out = append(out, save(learned{mark: list[i], source: k}))
		}
	}
	for i := range s.fresh {
		m := save(s.fresh[i])
		m.New = true
		out = append(out, m)
	}
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	err := enc.Encode(out)
	if err == nil {
		err = enc.Encode(s.saveTranslations())
	}
	if err != nil {
		return nil, fmt.Errorf("writing the sessions that tell who held an address: %w", err)
	}
	return b.Bytes(), nil
}

// Restore takes what Snapshot returned; the store must be new.
func (s *Sessions) Restore(b []byte) error {
	var in []savedMark
	var nat savedTranslations
	dec := gob.NewDecoder(bytes.NewReader(b))
	err := dec.Decode(&in)
	if err == nil {
		err = dec.Decode(&nat)
	}
	if err != nil {
		return fmt.Errorf("reading the sessions that tell who held an address: %w", err)
	}
	var fresh []learned
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range in {
		m, err := in[i].learned()
		if err != nil {
			return fmt.Errorf("reading the sessions that tell who held an address: %w", err)
		}
		if in[i].New {
			fresh = append(fresh, m)
		} else {
			s.fresh = append(s.fresh, m)
		}
	}
	s.sort()
	s.sealAll()
	s.fresh = fresh
	if err := s.restoreTranslations(&nat); err != nil {
		return fmt.Errorf("reading the translations that tell who was behind an address: %w", err)
	}
	return nil
}

func save(m learned) savedMark {
	l := &m.lease
	out := savedMark{Tenant: m.on.tenant, At: m.at.UnixNano(), Lasted: int64(m.lasted), ID: m.id, Kind: l.Kind, Source: l.ID, Addr: rawAddr(l.Addr), Public: rawAddr(l.Public),
		Name: l.Holder.Name, Domain: l.Holder.Domain, UID: l.Holder.UID, Device: l.Device, Start: l.Start, End: l.End, Lasts: int64(l.Lasts), Logon: m.logon, Placed: m.source.id == ""}
	if !out.Placed {
		out.Tenant = m.source.tenant
	}
	return out
}

func (x *savedMark) learned() (m learned, err error) {
	m.mark = mark{at: time.Unix(0, x.At).UTC(), id: x.ID, lasted: time.Duration(x.Lasted), lease: ocsf.Lease{Kind: x.Kind, ID: x.Source,
		Holder: ocsf.User{Name: x.Name, Domain: x.Domain, UID: x.UID}, Device: x.Device, Start: x.Start, End: x.End, Lasts: time.Duration(x.Lasts)}}
	if err := m.lease.Addr.UnmarshalBinary([]byte(x.Addr)); err != nil {
		return m, err
	}
	if err := m.lease.Public.UnmarshalBinary([]byte(x.Public)); err != nil {
		return m, err
	}
	switch {
	case x.Logon:
		m.logon, m.on = true, holderKey{tenant: x.Tenant, addr: m.lease.Addr.Unmap()}
	case x.Placed:
		m.on = holderKey{x.Tenant, m.lease.Addr.Unmap(), x.Kind == "dhcp"}
	default:
		m.source = sourceKey{x.Tenant, x.Source}
	}
	return m, nil
}

func rawAddr(a netip.Addr) string {
	b, _ := a.MarshalBinary() // an address always encodes
	return string(b)
}
