package scenario

import (
	"hash/fnv"
	"path"
	"strings"
	"time"
)

const (
	// held is how many background records of one late file wait at most; beyond, they come when they are written, so
	// that a large scenario stays small in memory.
	held = 200_000
	// trickle is how long a record is under way where the sensor is not cut off but slow.
	trickle = 30 * time.Minute
)

// outage is a time in which a sensor could not deliver.
type outage struct{ from, to time.Time }

// outages draws when a late sensor is cut off: every second or third night over midnight, for five to nine hours.
func (w *world) outages(o *org, folder string) []outage {
	r := newRNG(w.o.Seed, "outages", o.idx, folder)
	var out []outage
	for d := r.IntN(2); d < w.o.Days; d += r.between(2, 3) {
		from := w.clock(r, d, 19.5, 22.5)
		out = append(out, outage{from, from.Add(r.span(5*time.Hour, 9*time.Hour))})
	}
	return out
}

// arrival is when a record of a late source reaches its file. It hangs on the record's own time and file alone, so that
// taking the intruder's records out moves no other.
func (tw *writer) arrival(name string, r rec) time.Time {
	folder, _, _ := strings.Cut(name, "/")
	outs, ok := tw.outs[folder]
	if !ok {
		outs = tw.w.outages(tw.o, folder)
		tw.outs[folder] = outs
	}
	x := chanceAt(tw.w.o.Seed, tw.o.idx, name, r.t.Sub(tw.w.start))
	for _, o := range outs {
		if !r.t.Before(o.from) && r.t.Before(o.to) {
			return o.to.Add(time.Duration(x % uint64(15*time.Minute)))
		}
	}
	if x%16 == 0 {
		return r.t.Add(time.Duration(x / 16 % uint64(trickle)))
	}
	return r.t
}

func chanceAt(seed uint64, idx int, name string, at time.Duration) uint64 {
	h := fnv.New64a()
	var b [24]byte
	for i := range 8 {
		b[i], b[8+i], b[16+i] = byte(seed>>(8*i)), byte(uint64(at)>>(8*i)), byte(idx>>(8*i))
	}
	h.Write(b[:])
	h.Write([]byte(name))
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// rotated is the file of one day's deliveries: conn.log becomes conn-20260302.log.
func rotated(name string, day time.Time) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + day.Format("20060102") + ext
}
