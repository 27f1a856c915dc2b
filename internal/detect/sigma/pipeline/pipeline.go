// Package pipeline changes parsed Sigma rules before they are compiled, as processing pipelines in pySigma's YAML
// say (SigmaHQ/pySigma, "Processing Pipelines"): other field names, more conditions, other log sources, values for
// placeholders. Log source mappings of the older sigmac form ("logsources:", as SigmaHQ's tests/thor.yml) are read
// too.
//
// The YAML of a pipeline comes in through Parse; a Chain of them changes one rule's YAML tree at a time, in place.
// The lines of the rule's file are kept, so that later errors name them. What a pipeline asks for and this package
// does not do is refused by its name when the pipeline is read, never skipped. A rule that a pipeline refuses, or
// that would grow beyond the limits, is an Error with the rule's line. A Chain is immutable and safe for use by
// several goroutines.
package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Limits on what a pipeline may be and make of a rule.
const (
	MaxFile         = 4 << 20 // bytes of one pipeline
	MaxSteps        = 2_000   // transformations of one pipeline
	MaxNesting      = 8       // transformations of type nest within each other
	MaxVariables    = 10_000  // variables of one pipeline or file of placeholders
	MaxListValues   = 100_000 // values of one variable
	MaxAlternatives = 512     // mappings that one selection may become where fields map to several
	MaxItemValues   = 20_000  // values that one item may have after placeholders were filled in
	MaxText         = 16_384  // bytes of one value after it was changed

	maxDepth = 32 // of a tree of the pipeline's YAML
)

// Error says where a pipeline or rule could not be taken, and why.
type Error struct {
	File   string // of the pipeline; empty where the rule is at fault
	At     int    // line, 1-based; 0 unknown
	Reason string
}

// Error returns file, line and reason.
func (e *Error) Error() string {
	if e.File == "" {
		return e.Reason
	}
	if e.At == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.At, e.Reason)
}

// Line returns the line of the rule's file that is meant, 1-based.
func (e *Error) Line() int { return e.At }

func refuse(line int, format string, args ...any) error {
	return &Error{At: line, Reason: fmt.Sprintf(format, args...)}
}

// Pipeline is one file of transformations. It is immutable.
type Pipeline struct {
	Name     string // as the file calls itself, else the file's name
	Priority int    // lower ones run first

	file  string
	vars  map[string][]string
	steps []*step
	// fill is set for a file of placeholders alone: whatever it names is filled in at the end.
	fill bool
}

// step is one transformation with the conditions under which it applies.
type step struct {
	id    string
	line  int
	rule  conditions[ruleCondition]
	item  conditions[itemCondition]
	field conditions[fieldCondition]
	do    transformation
}

// transformation changes a rule.
type transformation interface {
	apply(w *work, s *step) error
}

// Chain is an order of pipelines.
type Chain struct {
	pipelines []*Pipeline
	vars      map[string][]string
	fill      map[string][]string // of files of placeholders alone
}

// NewChain puts pipelines into the order of their priority; those of one priority stay in the order given. Of
// variables with one name, the last counts.
func NewChain(list ...*Pipeline) *Chain {
	c := &Chain{pipelines: slices.Clone(list), vars: map[string][]string{}, fill: map[string][]string{}}
	slices.SortStableFunc(c.pipelines, func(a, b *Pipeline) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, p := range c.pipelines {
		if p.fill {
			maps.Copy(c.fill, p.vars)
		} else {
			maps.Copy(c.vars, p.vars)
		}
	}
	maps.Copy(c.vars, c.fill) // what was given by hand for this site wins
	return c
}

// Len returns how many pipelines there are.
func (c *Chain) Len() int { return len(c.pipelines) }

// Apply changes one rule, filter or correlation in place. Its error is an *Error with the rule's line; the tree is
// then half changed and of no use.
func (c *Chain) Apply(rule *yaml.Node) error {
	if len(c.pipelines) == 0 || rule.Kind != yaml.MappingNode {
		return nil
	}
	w, err := open(rule, c.vars)
	if err != nil {
		return err
	}
	for _, p := range c.pipelines {
		for _, s := range p.steps {
			if err := w.run(s); err != nil {
				return p.told(s, err)
			}
		}
	}
	if err := fillKnown(w, c.fill); err != nil {
		return err
	}
	return w.close()
}

// told adds to an error which step of which pipeline is behind it; the line stays the rule's.
func (p *Pipeline) told(s *step, err error) error {
	name := s.id
	if name == "" {
		name = fmt.Sprintf("the transformation in line %d", s.line)
	}
	line := 0
	if e, ok := err.(*Error); ok {
		line = e.At
	}
	return &Error{At: line, Reason: fmt.Sprintf("pipeline %s, %s: %v", p.Name, name, err)}
}

// run applies one step where its rule conditions hold.
func (w *work) run(s *step) error {
	if !s.rule.hold(func(c ruleCondition) bool { return c.holds(w) }) {
		return nil
	}
	if err := s.do.apply(w, s); err != nil {
		return err
	}
	if s.id != "" {
		w.applied[s.id] = true
	}
	return nil
}
