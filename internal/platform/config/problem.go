package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxShown is how many problems an Errors spells out.
const maxShown = 200

// Problem is one thing that is wrong, or at least odd, in a configuration file.
type Problem struct {
	File  string
	Line  int    // 1 is the first line; 0 where no line is at fault
	Field string // such as trusts[acme-north].networks[1]
	Wrong string // what is wrong
	Todo  string // what to do about it
}

// Error returns the problem as "FILE:LINE: field: what is wrong; what to do".
func (p Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Wrong)
	if p.Todo != "" {
		b.WriteString("; " + p.Todo)
	}
	return b.String()
}

// String returns the same line as Error; warnings are shown by it.
func (p Problem) String() string { return p.Error() }

// Errors holds every problem of one file, in the order of their lines.
type Errors []Problem

// Error returns one line a problem, at most 200 of them.
func (e Errors) Error() string {
	var b strings.Builder
	for i, p := range e {
		if i == maxShown {
			fmt.Fprintf(&b, "\nand %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap returns the problems one by one, for errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, p := range e {
		out[i] = p
	}
	return out
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}
