package decode

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// JSON is one parsed JSON object. It is valid only during the call it is passed to; the strings it returns are
// copies and may be kept.
type JSON struct {
	v      *fastjson.Value // nil where fields hold all that there is
	fields ocsf.Fields
	layout *layout // of the fields; nil where it isn't remembered
	places columnPlaces
	flow   *ocsf.Flow // beside the event; nil where there is no room for one
}

// event returns a new event with the object's fields, in one piece with its flow where such objects have one.
func (o *JSON) event() *ocsf.Event {
	if o.layout == nil || !o.layout.flow {
		return &ocsf.Event{Fields: o.fields}
	}
	e := &struct {
		ocsf.Event
		flow ocsf.Flow
	}{}
	e.Fields, o.flow = o.fields, &e.flow
	return &e.Event
}

// Flow returns an empty flow for the object's event.
func (o *JSON) Flow() *ocsf.Flow {
	if o.layout != nil {
		o.layout.flow = true
	}
	if f := o.flow; f != nil {
		o.flow = nil
		return f
	}
	return &ocsf.Flow{}
}

// ParseJSON parses one object with the given parser and flattens it under the limits of this package.
func ParseJSON(p *fastjson.Parser, raw []byte) (*JSON, error) {
	v, err := p.ParseBytes(raw)
	if err != nil {
		return nil, errors.New(badJSON(err))
	}
	if v.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("a JSON %s where an object was expected", v.Type())
	}
	fields, _, err := (&flattener{}).flatten(v)
	if err != nil {
		return nil, err
	}
	return &JSON{v: v, fields: fields}, nil
}

// Fields returns the object's fields, flattened with dots and sorted. Arrays of plain values are joined with a
// comma and a space; arrays of objects get an index: targetResources.0.id.
func (o *JSON) Fields() ocsf.Fields { return o.fields }

// Has reports whether the flattened field or an object of that top-level name is there.
func (o *JSON) Has(name string) bool {
	if _, ok := o.fields.Get(name); ok {
		return true
	}
	return o.v != nil && o.v.Exists(name)
}

// Str returns the flattened field's value, or "".
func (o *JSON) Str(name string) string { return o.fields.Value(name) }

// First returns the first of the named fields that has a value other than "-".
func (o *JSON) First(names ...string) string {
	for _, n := range names {
		if v := o.fields.Value(n); v != "" && v != "-" {
			return v
		}
	}
	return ""
}

// Int returns the field as an integer; decimal and 0x hexadecimal are read, anything else is 0.
func (o *JSON) Int(name string) int64 {
	v, base := o.fields.Value(name), 10
	if digits, ok := strings.CutPrefix(strings.ToLower(v), "0x"); ok {
		v, base = digits, 16
	}
	n, err := strconv.ParseInt(v, base, 64)
	if err != nil {
		return 0
	}
	return n
}

// Array returns the elements of the array of that name, or of the one that lies under names within names. A field has
// them joined, so that what stands between them can't be told from what they hold.
func (o *JSON) Array(path ...string) []*fastjson.Value {
	if o.v == nil {
		return nil
	}
	return o.v.GetArray(path...)
}

// Time parses the first of the named fields that holds a time; it takes RFC 3339 with or without a zone (UTC
// then), "2006-01-02 15:04:05", seconds or milliseconds since 1970 as a number, and .NET's /Date(…)/.
func (o *JSON) Time(names ...string) (time.Time, error) {
	var seen string
	for _, n := range names {
		v := o.fields.Value(n)
		if v == "" {
			continue
		}
		seen = n
		if t, ok := ParseTime(v); ok {
			return t, nil
		}
	}
	if seen == "" {
		return time.Time{}, fmt.Errorf("no time: none of %s is there", strings.Join(names, ", "))
	}
	return time.Time{}, fmt.Errorf("field %s: %q is not a time", seen, shorten(o.fields.Value(seen), 40))
}

// ParseTime reads the time formats named at JSON.Time. The result is in UTC and within 1971 to 2099.
func ParseTime(v string) (time.Time, bool) {
	v = strings.TrimSpace(v)
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), plausible(t)
		}
	}
	if strings.HasPrefix(v, "/Date(") { // .NET's JSON dates, as AzureAD modules export them
		v = strings.TrimSuffix(strings.TrimPrefix(v, "/Date("), ")/")
		if i := strings.LastIndexAny(v, "+-"); i > 0 {
			v = v[:i] // the writer's zone; the number itself is UTC
		}
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f != f {
		return time.Time{}, false
	}
	if f > 1e11 { // milliseconds
		f /= 1000
	}
	if f < 0 || f > 1e10 {
		return time.Time{}, false
	}
	return EpochTime(v, f)
}

// EpochTime turns seconds since 1970 into a time, from the text where it is a plain decimal, so that
// microseconds are exact.
func EpochTime(text string, approx float64) (time.Time, bool) {
	sec, frac, _ := strings.Cut(text, ".")
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil || s > 1e10 || strings.Trim(frac, "0123456789") != "" { // 1.7e9 is no plain decimal
		t := time.UnixMicro(int64(approx * 1e6)).UTC()
		return t, plausible(t)
	}
	if len(frac) > 9 {
		frac = frac[:9]
	}
	n, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	t := time.Unix(s, n).UTC()
	return t, plausible(t)
}

// plausible keeps out clocks that were never set; such records go to the unparsed with that reason.
func plausible(t time.Time) bool { return t.Year() >= 1971 && t.Year() < 2100 }

func shorten(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
