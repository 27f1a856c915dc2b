package decode

import (
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Columns are names that a format asks of each of its objects, numbered from 0.
type Columns struct{ names []string }

// NewColumns returns the columns of these names.
func NewColumns(names ...string) *Columns { return &Columns{names} }

// columnPlaces are where an object's fields of some columns stand, by column; -1 where there is none.
type columnPlaces struct {
	of *Columns
	at []int16
}

// Column returns the value of the field of a column and whether there is one, as Fields().Get does for its name. Where
// it stands is worked out once for all objects of the same names.
func (o *JSON) Column(c *Columns, i int) (string, bool) {
	if o.places.of != c {
		o.places = o.layout.find(c, o.fields)
	}
	if o.places.at == nil {
		return o.fields.Get(c.names[i])
	}
	if k := o.places.at[i]; k >= 0 {
		return o.fields[k].Value, true
	}
	return "", false
}

// find returns the places of columns in a layout that was seen before; none for one that is new, since it may never
// come again.
func (l *layout) find(c *Columns, fields ocsf.Fields) columnPlaces {
	if l == nil || !l.again {
		return columnPlaces{of: c}
	}
	for _, p := range l.places {
		if p.of == c {
			return p
		}
	}
	p := columnPlaces{c, make([]int16, len(c.names))}
	for i, name := range c.names {
		p.at[i] = int16(slices.IndexFunc(fields, func(f ocsf.Field) bool { return f.Name == name }))
	}
	l.places = append(l.places, p)
	return p
}
