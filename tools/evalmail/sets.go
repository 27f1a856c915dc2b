package main

import (
	"fmt"
	"path/filepath"
	"slices"
)

// sets are the messages by what they are for.
type sets struct {
	all, train, test, sample []*message
	partners                 []partnerSet
}

// partnerSet is the mail of a partner to one tenant.
type partnerSet struct {
	name, dir            string
	history, clean, lure []*message
}

func readSets(o options) (*sets, error) {
	all, err := readCorpus(o.corpus)
	if err != nil {
		return nil, err
	}
	s := &sets{
		all:    all,
		train:  where(all, func(m *message) bool { return m.part == "train" }),
		test:   where(all, func(m *message) bool { return m.part == "test" }),
		sample: where(all, func(m *message) bool { return m.sampled }),
	}
	if len(s.train) == 0 || len(s.test) == 0 {
		return nil, fmt.Errorf("the corpus at %s has %d messages to train with and %d to test with", o.corpus, len(s.train), len(s.test))
	}
	dirs, err := filepath.Glob(filepath.Join(o.data, "mail", "partner", "*", "breakwater.yaml"))
	if err != nil {
		return nil, fmt.Errorf("listing partner sets: %w", err)
	}
	for _, d := range dirs {
		p := partnerSet{name: filepath.Base(filepath.Dir(d)), dir: filepath.Dir(d)}
		for _, x := range []struct {
			list *[]*message
			sub  string
		}{{&p.history, "history"}, {&p.clean, "clean"}, {&p.lure, "lure"}} {
			if *x.list, err = folder(filepath.Join(p.dir, x.sub), x.sub == "lure"); err != nil {
				return nil, err
			}
		}
		s.partners = append(s.partners, p)
	}
	return s, nil
}

// lastBlock is the newest block of the training part.
const lastBlock = 5

// blocks are the training messages, block by block, without a family ("": all families).
func (s *sets) blocks(without string) [][]*message {
	out := make([][]*message, lastBlock)
	for _, m := range s.train {
		if m.family != without && m.block >= 1 && m.block <= lastBlock {
			out[m.block-1] = append(out[m.block-1], m)
		}
	}
	return out
}

func fresh(block []*message) []*message {
	return where(block, func(m *message) bool { return m.fresh })
}

// outcome is what one system says with one training set.
type outcome struct {
	held []scored // training messages, each scored by a model of the blocks before its own
	test []scored
}

// scored is a message with what a system says of it.
type scored struct {
	m *message
	result
}

func join(list []*message, got map[string]result) []scored {
	out := make([]scored, 0, len(list))
	for _, m := range list {
		out = append(out, scored{m, got[m.path]})
	}
	return out
}

// learner is a system that scores messages with what it learned of sets.
type learner interface {
	score(list []*message, learned ...[]*message) (map[string]result, error)
}

// learned asks a system for scores of test messages with the whole training part less a family, and for those of the
// held-out blocks, from the first of them on.
func (s *sets) learned(l learner, test []*message, without string, firstHeld int) (*outcome, error) {
	blocks := s.blocks(without)
	out := &outcome{}
	for k := firstHeld; k <= lastBlock; k++ {
		list := fresh(blocks[k-1])
		got, err := l.score(list, blocks[:k-1]...)
		if err != nil {
			return nil, err
		}
		out.held = append(out.held, join(list, got)...)
	}
	got, err := l.score(test, blocks...)
	if err != nil {
		return nil, err
	}
	out.test = join(test, got)
	return out, nil
}

// partner asks a system for a partner's mail after the training part and the partner's history.
func (s *sets) partner(l learner, p partnerSet) (clean, lure []scored, err error) {
	got, err := l.score(slices.Concat(p.clean, p.lure), append(s.blocks(""), p.history)...)
	return join(p.clean, got), join(p.lure, got), err
}

// ours makes the program a learner.
type ours struct {
	b *breakwater
	kind
}

func (o ours) score(list []*message, learned ...[]*message) (map[string]result, error) {
	set := slices.Concat(learned...)
	name := o.b.build + o.suffix()
	if missing := o.b.kept.missing(list, name, setHash(set)); len(missing) > 0 {
		model, err := o.b.train(set, o.kind)
		if err != nil {
			return nil, err
		}
		got, err := o.b.score(missing, model)
		if err != nil {
			return nil, err
		}
		answers := plain(got)
		for _, m := range missing {
			if err := o.b.kept.put(key(name, setHash(set), m.hash), answers[m.path]); err != nil {
				return nil, err
			}
		}
	}
	return o.b.kept.all(list, name, setHash(set))
}

// values are the scores of a class, read by fn.
func values(list []scored, phish bool, fn func(result) float64) []float64 {
	var out []float64
	for _, x := range list {
		if x.m.phish == phish {
			out = append(out, fn(x.result))
		}
	}
	return out
}

// families lists the legitimate families.
func (s *sets) families() []string {
	var out []string
	for _, m := range s.all {
		if !m.phish && !slices.Contains(out, m.family) {
			out = append(out, m.family)
		}
	}
	slices.Sort(out)
	return out
}
