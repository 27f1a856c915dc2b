package detect

import "slices"

// roomPart is the part of a full map that goes at once, so that each newcomer does not cost a search.
const roomPart = 16

// MakeRoom drops the sixteenth of a map that was used longest ago, where the map holds that many entries or more.
// Last tells when an entry was used, in any unit.
func MakeRoom[K comparable, V any](m map[K]V, most int, last func(V) int64) {
	if len(m) < most {
		return
	}
	times := make([]int64, 0, len(m))
	for _, v := range m {
		times = append(times, last(v))
	}
	slices.Sort(times)
	n := min(len(times), most/roomPart+1)
	limit := times[n-1]
	for k, v := range m {
		if t := last(v); t < limit {
			delete(m, k)
			n--
		}
	}
	for k, v := range m {
		if n <= 0 {
			return
		}
		if last(v) == limit {
			delete(m, k)
			n--
		}
	}
}
