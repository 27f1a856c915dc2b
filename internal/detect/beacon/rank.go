package beacon

import "slices"

// ranked is a series by how much it matters.
type ranked struct {
	rank uint64
	key  pairKey
}

// rank orders series by what they are, then by when they last met. No time is before 1971.
func (s *series) rank() uint64 {
	class := uint64(1)
	switch {
	case s.Told != nil:
		class = 2
	case s.Count < MinContacts:
		class = 0
	}
	return class<<62 | uint64(s.Last)
}

// nth returns what stands at place n once the list is sorted, and leaves the list in some other order (Hoare,
// Algorithm 65: FIND, 1961). What it can't find in few steps it sorts.
func nth(list []uint64, n int) uint64 {
	for range 64 {
		if len(list) < 16 {
			break
		}
		pivot := middle(list[0], list[len(list)/2], list[len(list)-1])
		i, j := 0, len(list)-1
		for i <= j {
			for list[i] < pivot {
				i++
			}
			for list[j] > pivot {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			list = list[:j+1]
		case n >= i:
			list, n = list[i:], n-i
		default:
			return pivot
		}
	}
	slices.Sort(list)
	return list[n]
}

func middle(a, b, c uint64) uint64 { return max(min(a, b), min(max(a, b), c)) }
