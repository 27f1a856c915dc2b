package coverage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// magic begins a snapshot; its last byte is the version.
const magic = "BWCOV\x00\x01"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot returns the Table as bytes: a version, the content, and a checksum of both.
func (t *Table) Snapshot() []byte {
	b := append(make([]byte, 0, 64+len(t.rows)*448), magic...)
	b = binary.AppendVarint(b, int64(t.clock))
	b = putTime(b, t.ticked)
	b = binary.AppendUvarint(b, uint64(len(t.rows)))
	for i := range t.rows {
		r := &t.rows[i]
		b = putText(putText(putText(b, string(r.tenant)), string(r.layer)), r.sensor)
		b = putFlags(b, r.unproven, r.silent, r.alive)
		b = binary.AppendVarint(binary.AppendVarint(b, r.events), r.late)
		for _, at := range []time.Time{r.first, r.last, r.received, r.sign} {
			b = putTime(b, at)
		}
		b = r.rhythm.put(b)
	}
	b = binary.AppendUvarint(b, uint64(len(t.sources)))
	names := make([]source, len(t.sources))
	for name, i := range t.sensors {
		names[i] = name
	}
	for i, s := range t.sources {
		b = putText(putText(b, string(names[i].tenant)), names[i].sensor)
		b = binary.AppendVarint(putTime(b, s.latest), s.unparsed)
		b = binary.AppendUvarint(b, uint64(s.first))
	}
	b = binary.AppendUvarint(b, uint64(len(t.ended)))
	for _, s := range t.ended {
		b = putText(putText(putText(b, string(s.Tenant)), string(s.Layer)), s.Sensor)
		b = putFlags(binary.AppendVarint(putTime(putTime(b, s.Since), s.Until), int64(s.Usual)), s.WarmingUp)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (h *rhythm) put(b []byte) []byte {
	b = append(append(b, h.usual[:]...), h.seen[:]...)
	b = append(b, h.beats, h.hour)
	for _, d := range []time.Duration{h.longest, h.heard, h.quiet, h.sinceB} {
		b = binary.AppendVarint(b, int64(d))
	}
	return b
}

// Restore replaces the Table's content by that of a snapshot; its options stay. On an error it is unchanged, and the
// snapshot is best dropped: counts begin anew from the last good one.
func (t *Table) Restore(data []byte) error {
	if len(data) < len(magic)+4 || string(data[:len(magic)-1]) != magic[:len(magic)-1] {
		return errors.New("reading a coverage snapshot: this is none")
	}
	if v := data[len(magic)-1]; v != magic[len(magic)-1] {
		return fmt.Errorf("reading a coverage snapshot: version %d is unknown to this program; use the one that wrote it", v)
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return errors.New("reading a coverage snapshot: it is torn or altered (its checksum is wrong)")
	}
	r := &scanner{b: body[len(magic):]}
	n := NewTable(t.opt)
	n.clock, n.ticked = time.Duration(r.int()), r.time()
	for range r.count() {
		n.rows = append(n.rows, r.row())
		n.at[n.rows[len(n.rows)-1].place] = len(n.rows) - 1
	}
	for range r.count() {
		from := source{tenant.ID(r.text()), r.text()}
		s := sourceState{latest: r.time(), unparsed: r.int(), first: int(min(r.uint(), 1<<31))}
		r.bad = r.bad || s.first >= len(n.rows)
		n.sensors[from] = len(n.sources)
		n.sources = append(n.sources, s)
	}
	for range r.count() {
		n.ended = append(n.ended, Silence{Tenant: tenant.ID(r.text()), Layer: tenant.Layer(r.text()), Sensor: r.text(),
			Since: r.time(), Until: r.time(), Usual: Seconds(r.int()), WarmingUp: r.flags(1)[0]})
	}
	for p := range n.at {
		_, known := n.sensors[source{p.tenant, p.sensor}]
		r.bad = r.bad || !known
	}
	if r.bad || len(r.b) > 0 || len(n.at) != len(n.rows) || len(n.sensors) != len(n.sources) {
		return errors.New("reading a coverage snapshot: its content contradicts itself")
	}
	*t = *n
	return nil
}

func putText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// putTime writes seconds and nanoseconds: years far from ours don't fit into nanoseconds alone.
func putTime(b []byte, t time.Time) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
}

func putFlags(b []byte, flags ...bool) []byte {
	var x byte
	for i, f := range flags {
		if f {
			x |= 1 << i
		}
	}
	return append(b, x)
}

// scanner reads what Snapshot wrote; after the first fault it gives zeros, and bad is set.
type scanner struct {
	b   []byte
	bad bool
}

func (r *scanner) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *scanner) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *scanner) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

// count reads a number of things that follow, each of at least a byte.
func (r *scanner) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return int(n)
}

func (r *scanner) text() string { return string(r.take(r.count())) }

func (r *scanner) time() time.Time {
	sec, nsec := r.int(), r.int()
	if at := time.Unix(sec, nsec).UTC(); !r.bad && !at.IsZero() {
		return at
	}
	return time.Time{}
}

func (r *scanner) flags(n int) []bool {
	out := make([]bool, n)
	if b := r.take(1); b != nil {
		for i := range out {
			out[i] = b[0]&(1<<i) != 0
		}
	}
	return out
}

func (r *scanner) row() row {
	x := row{place: place{tenant.ID(r.text()), tenant.Layer(r.text()), r.text()}}
	f := r.flags(3)
	x.unproven, x.silent, x.alive = f[0], f[1], f[2]
	x.events, x.late = r.int(), r.int()
	x.first, x.last, x.received, x.sign = r.time(), r.time(), r.time(), r.time()
	h := &x.rhythm
	copy(h.usual[:], r.take(week))
	copy(h.seen[:], r.take(week))
	if b := r.take(2); b != nil {
		h.beats, h.hour = min(b[0], fewBeats), b[1]%week
	}
	for _, d := range []*time.Duration{&h.longest, &h.heard, &h.quiet, &h.sinceB} {
		*d = max(time.Duration(r.int()), 0)
	}
	return x
}
