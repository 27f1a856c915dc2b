package posture

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Bounds of the values of one fact that came as text.
const (
	maxValueDepth = 6
	maxValueCount = 10_000
	maxValueText  = 64 << 10 // bytes
)

// plainValues turns what a YAML or JSON reader gives into the types that evidence.Item.Values may hold: whole numbers
// become int64, texts in the form of RFC 3339 times. It refuses what is too deep or too much.
func plainValues(in map[string]any) (map[string]any, error) {
	left := maxValueCount
	out, err := plainValue(in, maxValueDepth, &left)
	if err != nil {
		return nil, err
	}
	return out.(map[string]any), nil
}

func plainValue(v any, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("more than %d values in one record", maxValueCount)
	}
	if depth < 0 {
		return nil, fmt.Errorf("values nested deeper than %d", maxValueDepth)
	}
	switch v := v.(type) {
	case bool, int64:
		return v, nil
	case int:
		return int64(v), nil
	case uint64:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d is larger than a whole number may be", v)
		}
		return int64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v is no number", v)
		}
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s is no number that can be held", cut(v.String(), 40))
		}
		return f, nil
	case time.Time:
		return v.UTC(), nil
	case string:
		if len(v) > maxValueText {
			return nil, fmt.Errorf("a text of more than %d bytes", maxValueText)
		}
		if t, ok := instant(v); ok {
			return t, nil
		}
		return v, nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = plainValue(x, depth-1, left); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if x == nil {
				continue // what is not known is absent
			}
			var err error
			if out[k], err = plainValue(x, depth-1, left); err != nil {
				return nil, err
			}
		}
		return out, nil
	case nil:
		return nil, fmt.Errorf("a null in a list; leave it out")
	}
	return nil, fmt.Errorf("a value of a kind that is not taken (%T)", v)
}

// instant reads a text that is a time and nothing else: RFC 3339 with a zone, such as 2026-03-02T15:04:05Z.
func instant(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || len(s) > 40 || s[4] != '-' || s[10] != 'T' && s[10] != 't' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err == nil
}
