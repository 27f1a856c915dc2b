package sigma

import (
	"encoding/binary"
	"slices"
	"sync"
)

// maxPlans bounds how many combinations of log sources are compiled together. Events have far fewer; beyond it, each
// log source is a plan of its own.
const maxPlans = 512

// plans are the groups of rules that are matched together, each compiled when the first event needs it. They are
// shared by all goroutines.
type plans struct {
	sync.Mutex
	byParts map[string]*group
}

// plan returns the groups for events that belong to the log sources of those parts: one, compiled for all of them
// together, so that an event's fields are read once.
func (s *RuleSet) plan(parts []int32) []*group {
	if len(parts) == 0 {
		return nil
	}
	s.plans.Lock()
	defer s.plans.Unlock()
	if s.plans.byParts == nil {
		s.plans.byParts = map[string]*group{}
	}
	if len(parts) == 1 || len(s.plans.byParts) < maxPlans {
		return []*group{s.compiled(parts)}
	}
	if g := s.plans.byParts[partsKey(parts)]; g != nil {
		return []*group{g}
	}
	var out []*group
	for i := range parts {
		out = append(out, s.compiled(parts[i:i+1]))
	}
	return out
}

func (s *RuleSet) compiled(parts []int32) *group {
	key := partsKey(parts)
	g := s.plans.byParts[key]
	if g == nil {
		var pos []int32
		for _, p := range parts {
			pos = append(pos, s.parts[p].rules...)
		}
		slices.Sort(pos)
		g = newGroup(s, len(s.plans.byParts), pos)
		s.plans.byParts[key] = g
	}
	return g
}

func partsKey(parts []int32) string {
	var b []byte
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint32(b, uint32(p))
	}
	return string(b)
}
