package config

import (
	"fmt"
	"path"
	"strings"
)

// Glob is a compiled path pattern: * stands for any characters within a folder or file name, ** alone
// between slashes for any number of folders (at the end: for everything below, at any depth). A pattern
// without a slash is held against the last element of a path, at any depth. All other characters stand for
// themselves. Matching takes at most the product of both lengths, whatever the pattern.
type Glob struct {
	segments []string
	anywhere bool // no slash in the pattern
}

// CompileGlob compiles a pattern, or says why it can't match anything below the folder of the file.
func CompileGlob(pattern string) (Glob, error) {
	switch {
	case pattern == "":
		return Glob{}, fmt.Errorf("the pattern is empty")
	case strings.Contains(pattern, `\`):
		return Glob{}, fmt.Errorf("%q has a backslash where paths have slashes", printable(pattern))
	case strings.HasPrefix(pattern, "/") || len(pattern) > 1 && pattern[1] == ':':
		return Glob{}, fmt.Errorf("%q is absolute, and patterns are relative to the folder of the file", printable(pattern))
	}
	if !strings.Contains(pattern, "/") && pattern != "**" {
		if strings.Contains(pattern, "**") {
			return Glob{}, fmt.Errorf("%q has ** beside other characters", printable(pattern))
		}
		return Glob{segments: []string{pattern}, anywhere: true}, nil
	}
	g := Glob{}
	for s := range strings.SplitSeq(strings.TrimPrefix(pattern, "./"), "/") {
		switch {
		case s == "" || s == "." || s == "..":
			return Glob{}, fmt.Errorf("%q has an empty, . or .. part", printable(pattern))
		case s != "**" && strings.Contains(s, "**"):
			return Glob{}, fmt.Errorf("%q has ** beside other characters", printable(pattern))
		case s == "**" && len(g.segments) > 0 && g.segments[len(g.segments)-1] == "**":
			continue
		}
		g.segments = append(g.segments, s)
	}
	return g, nil
}

// Match reports whether the slash path matches.
func (g Glob) Match(name string) bool {
	if len(g.segments) == 0 || name == "" {
		return false
	}
	if g.anywhere {
		return matchName(g.segments[0], path.Base(name))
	}
	parts := strings.Split(name, "/")
	// After a ** the rest is tried further and further along; an earlier ** needn't be taken up again,
	// since the later one can swallow whatever the earlier would have.
	p, s, starP, starS := 0, 0, -1, 0
	for s < len(parts) {
		switch {
		case p < len(g.segments) && g.segments[p] == "**":
			if p == len(g.segments)-1 {
				return true
			}
			starP, starS = p, s
			p++
		case p < len(g.segments) && matchName(g.segments[p], parts[s]):
			p++
			s++
		case starP >= 0:
			starS++
			p, s = starP+1, starS
		default:
			return false
		}
	}
	return p == len(g.segments)
}

// matchName matches one path element against a pattern with *.
func matchName(pattern, name string) bool {
	p, s, starP, starS := 0, 0, -1, 0
	for s < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			starP, starS = p, s
			p++
		case p < len(pattern) && pattern[p] == name[s]:
			p++
			s++
		case starP >= 0:
			starS++
			p, s = starP+1, starS
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
