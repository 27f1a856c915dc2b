package windows

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// maxShapes is how many kinds of events one Shapes remembers; beyond, it begins anew.
const maxShapes = 512

// Shapes makes events of the fields of nested events ({"Event":{"System":…,"EventData":…}}), flattened with dots.
// Package evtx comes in by it, so that an event is the same from either form. It remembers how the fields of each kind
// of event are named and sorted, since a log holds few kinds many times. It is one reader's.
type Shapes struct {
	known map[uint64]*shaped
}

// shaped is one kind of event: fields of these names, with these values empty, become those.
type shaped struct {
	names []string
	empty []bool
	out   []string
	from  []int // which field's value each of out has; -1: empty
}

// Event fills the event from fields in any order and the time it was written.
func (s *Shapes) Event(native ocsf.Fields, at time.Time, e *ocsf.Event) error {
	if at.Year() < 1971 || at.Year() > 2099 {
		return errors.New("its time is not between 1971 and 2099")
	}
	k := keyOf(native)
	x := s.known[k]
	if x == nil || !x.fits(native) {
		x = learn(native)
		if x == nil {
			native.Sort()
			return fill(e, at, canonical(shapeNested, native))
		}
		if s.known == nil || len(s.known) >= maxShapes {
			s.known = map[uint64]*shaped{}
		}
		s.known[k] = x
	}
	out := make(ocsf.Fields, len(x.out))
	for i, name := range x.out {
		out[i].Name = name
		if j := x.from[i]; j >= 0 {
			out[i].Value = native[j].Value
		}
	}
	return fill(e, at, out)
}

// keyOf is a quick sum of names and of which values are empty; kinds that share one take turns.
func keyOf(native ocsf.Fields) uint64 {
	k := uint64(14695981039346656037)
	for i := range native {
		n := native[i].Name
		x := uint64(len(n)) << 8
		if len(n) > 0 {
			x |= uint64(n[len(n)-1])
		}
		if native[i].Value == "" {
			x |= 1 << 40
		}
		k = (k ^ x) * 1099511628211
	}
	return k
}

func (x *shaped) fits(native ocsf.Fields) bool {
	if len(x.names) != len(native) {
		return false
	}
	for i := range native {
		if native[i].Name != x.names[i] || (native[i].Value == "") != x.empty[i] {
			return false
		}
	}
	return true
}

// learn finds out what becomes of fields of these names, by numbers in the place of values; nil where the values
// themselves decide.
func learn(native ocsf.Fields) *shaped {
	x := &shaped{names: make([]string, len(native)), empty: make([]bool, len(native))}
	numbered := make(ocsf.Fields, len(native))
	for i, f := range native {
		if rest, ok := strings.CutPrefix(f.Name, "Event.EventData.Data."); ok && rest != "#text" {
			return nil
		}
		x.names[i], x.empty[i] = f.Name, f.Value == ""
		numbered[i].Name = f.Name
		if f.Value != "" {
			numbered[i].Value = strconv.Itoa(i)
		}
	}
	numbered.Sort()
	for _, f := range canonical(shapeNested, numbered) {
		from := -1
		if f.Value != "" {
			n, err := strconv.Atoi(f.Value)
			if err != nil {
				return nil
			}
			from = n
		}
		x.out, x.from = append(x.out, f.Name), append(x.from, from)
	}
	return x
}
