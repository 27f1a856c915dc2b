package httpin

import (
	"path"
	"strings"
)

// filterPath is Elasticsearch's ?filter_path=: which fields of an answer are wanted. The zero value wants all.
type filterPath struct {
	with    [][]string
	without [][]string
}

// maxFilters bounds how many patterns are looked at.
const maxFilters = 64

func parseFilterPath(value string) filterPath {
	var f filterPath
	for pattern := range strings.SplitSeq(value, ",") {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" || len(pattern) > 256 || len(f.with)+len(f.without) >= maxFilters {
			continue
		}
		if rest, found := strings.CutPrefix(pattern, "-"); found {
			f.without = append(f.without, strings.Split(rest, "."))
			continue
		}
		f.with = append(f.with, strings.Split(pattern, "."))
	}
	return f
}

// wants reports whether a field is wanted, whole or in part: lists on the way to it don't count as steps.
func (f filterPath) wants(field ...string) bool {
	wanted := len(f.with) == 0
	for _, p := range f.with {
		wanted = wanted || reaches(p, field, true)
	}
	for _, p := range f.without {
		wanted = wanted && !reaches(p, field, false)
	}
	return wanted
}

// reaches reports whether a pattern names the field or something above it, or below it where that is enough.
func reaches(pattern, field []string, below bool) bool {
	if len(pattern) == 0 {
		return true
	}
	if pattern[0] == "**" {
		if len(pattern) == 1 {
			return true
		}
		for i := range field { // what lies below the field is not known here
			if reaches(pattern[1:], field[i:], below) {
				return true
			}
		}
		return false
	}
	if len(field) == 0 {
		return below
	}
	ok, err := path.Match(pattern[0], field[0])
	return err == nil && ok && reaches(pattern[1:], field[1:], below)
}
