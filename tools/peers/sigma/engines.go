package main

import (
	"context"
	"fmt"
	"strings"

	peer "github.com/bradleyjkemp/sigma-go"
	"github.com/bradleyjkemp/sigma-go/evaluator"
	other "github.com/markuskont/go-sigma-rule-engine"
	"gopkg.in/yaml.v2"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// engine is one that is measured. It is given events, with the ids of the rules for each, and then matches them.
type engine interface {
	name() string
	rules() int
	prepare(list []*ocsf.Event, routed [][]string)
	match() (matches int)
}

type ours struct {
	set  *sigma.RuleSet
	list []*ocsf.Event
}

func (o *ours) name() string                             { return "Breakwater" }
func (o *ours) rules() int                               { return o.set.Len() }
func (o *ours) prepare(list []*ocsf.Event, _ [][]string) { o.list = list }
func (o *ours) match() int                               { return match(o.set, o.list) }

// plain returns the fields of an event by name.
func plain(e *ocsf.Event) map[string]any {
	out := make(map[string]any, len(e.Fields))
	for _, f := range e.Fields {
		out[f.Name] = f.Value
	}
	return out
}

// careful keeps a peer's panic from ending the measurement; the event counts as one without a match.
func careful(work func() bool) (hit bool) {
	defer func() {
		if recover() != nil {
			hit = false
		}
	}()
	return work()
}

// markuskont is go-sigma-rule-engine.
type markuskont struct {
	label  string
	trees  map[string]*other.Tree
	events []fields
	routed [][]*other.Tree
}

// newMarkuskont compiles the rules; collapse is its default, to take any white space for one blank, which costs most
// of its time.
func newMarkuskont(docs []sigma.Document, collapse bool) engine {
	m := &markuskont{label: "go-sigma-rule-engine v0.3.0", trees: map[string]*other.Tree{}}
	if !collapse {
		m.label += ", NoCollapseWS"
	}
	for _, d := range docs {
		careful(func() bool {
			var r other.Rule
			if yaml.Unmarshal(d.Data, &r) != nil {
				return false
			}
			t, err := other.NewTree(other.RuleHandle{Rule: r, NoCollapseWS: !collapse})
			if err == nil {
				m.trees[strings.ToLower(r.ID)] = t
			}
			return true
		})
	}
	return m
}

// fields is an event as go-sigma-rule-engine takes it.
type fields struct {
	values map[string]any
	words  []string
}

func (f fields) Keywords() ([]string, bool)     { return f.words, true }
func (f fields) Select(name string) (any, bool) { v, ok := f.values[name]; return v, ok }

func (m *markuskont) name() string { return m.label }
func (m *markuskont) rules() int   { return len(m.trees) }

func (m *markuskont) prepare(list []*ocsf.Event, routed [][]string) {
	m.events, m.routed = m.events[:0], m.routed[:0]
	for i, e := range list {
		f := fields{values: plain(e)}
		for _, one := range e.Fields {
			f.words = append(f.words, one.Value)
		}
		var trees []*other.Tree
		for _, id := range routed[i] {
			if t := m.trees[id]; t != nil {
				trees = append(trees, t)
			}
		}
		m.events, m.routed = append(m.events, f), append(m.routed, trees)
	}
}

func (m *markuskont) match() (n int) {
	for i, e := range m.events {
		for _, t := range m.routed[i] {
			if careful(func() bool { _, hit := t.Eval(e); return hit }) {
				n++
			}
		}
	}
	return n
}

// sigmaGo is sigma-go, a rule at a time.
type sigmaGo struct {
	known  map[string]*evaluator.RuleEvaluator
	events []map[string]any
	routed [][]*evaluator.RuleEvaluator
}

func parsed(docs []sigma.Document) map[string]peer.Rule {
	out := map[string]peer.Rule{}
	for _, d := range docs {
		careful(func() bool {
			r, err := peer.ParseRule(d.Data)
			if err == nil {
				out[strings.ToLower(r.ID)] = r
			}
			return true
		})
	}
	return out
}

func newSigmaGo(docs []sigma.Document) engine {
	s := &sigmaGo{known: map[string]*evaluator.RuleEvaluator{}}
	for id, r := range parsed(docs) {
		s.known[id] = evaluator.ForRule(r)
	}
	return s
}

func (s *sigmaGo) name() string { return "sigma-go v0.6.6, rule by rule" }
func (s *sigmaGo) rules() int   { return len(s.known) }

func (s *sigmaGo) prepare(list []*ocsf.Event, routed [][]string) {
	s.events, s.routed = s.events[:0], s.routed[:0]
	for i, e := range list {
		var rules []*evaluator.RuleEvaluator
		for _, id := range routed[i] {
			if r := s.known[id]; r != nil {
				rules = append(rules, r)
			}
		}
		s.events, s.routed = append(s.events, plain(e)), append(s.routed, rules)
	}
}

func (s *sigmaGo) match() (n int) {
	ctx := context.Background()
	for i, e := range s.events {
		for _, r := range s.routed[i] {
			if careful(func() bool { got, err := r.Matches(ctx, e); return err == nil && got.Match }) {
				n++
			}
		}
	}
	return n
}

// sigmaGoBundle is sigma-go with its bundles, which search all rules' texts at once; one for each set of rules that is
// routed together.
type sigmaGoBundle struct {
	known   map[string]peer.Rule
	bundles map[string]evaluator.RuleEvaluatorBundle
	events  []map[string]any
	routed  []evaluator.RuleEvaluatorBundle
}

func newSigmaGoBundle(docs []sigma.Document) engine { return &sigmaGoBundle{known: parsed(docs)} }

func (s *sigmaGoBundle) name() string { return "sigma-go v0.6.6, bundled" }
func (s *sigmaGoBundle) rules() int   { return len(s.known) }

// prepare builds the bundles anew: they remember every text that they have seen.
func (s *sigmaGoBundle) prepare(list []*ocsf.Event, routed [][]string) {
	s.bundles, s.events, s.routed = map[string]evaluator.RuleEvaluatorBundle{}, s.events[:0], s.routed[:0]
	for i, e := range list {
		key := fmt.Sprint(routed[i])
		b, ok := s.bundles[key]
		if !ok {
			var rules []peer.Rule
			for _, id := range routed[i] {
				if r, ok := s.known[id]; ok {
					rules = append(rules, r)
				}
			}
			b = evaluator.ForRules(rules)
			s.bundles[key] = b
		}
		s.events, s.routed = append(s.events, plain(e)), append(s.routed, b)
	}
}

func (s *sigmaGoBundle) match() (n int) {
	ctx := context.Background()
	for i, e := range s.events {
		careful(func() bool {
			got, err := s.routed[i].Matches(ctx, e)
			if err != nil {
				return false
			}
			for _, r := range got {
				if r.Match {
					n++
				}
			}
			return true
		})
	}
	return n
}
