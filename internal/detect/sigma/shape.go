package sigma

import "github.com/breakwater-project/breakwater/internal/record/ocsf"

const (
	maxShapes      = 256 // kinds of events whose field names are remembered together
	maxShapeFields = 128
)

// shape is what the field names of one kind of event mean: events of a kind have the same names in the same order.
type shape struct{ means []*meaning }

// fits reports whether the fields have those names.
func (s *shape) fits(fields ocsf.Fields) bool {
	if len(fields) != len(s.means) {
		return false
	}
	for i, m := range s.means {
		if fields[i].Name != m.name {
			return false
		}
	}
	return true
}

// mean resolves the names of the fields: all at once where an event of that shape was seen last, else one by one.
func (w *scratch) mean(fields ocsf.Fields) {
	n := len(fields)
	if n == 0 {
		return
	}
	at := &w.shapes[(n*31+len(fields[n/2].Name)*7+len(fields[n-1].Name)*3+len(fields[n/3].Name))%maxShapes]
	if at.fits(fields) {
		w.means = append(w.means, at.means...)
		return
	}
	whole := n <= maxShapeFields
	for i := range fields {
		m, ok := w.names[fields[i].Name]
		if !ok {
			m = w.learn(fields[i].Name)
		}
		whole = whole && m.name != ""
		w.means = append(w.means, m)
	}
	if whole {
		at.means = append(at.means[:0], w.means...)
	}
}
