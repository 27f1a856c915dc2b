package main

import (
	"errors"
	"fmt"
	"slices"
)

// system is one column of figures: how a system reads its answers.
type system struct {
	name     string
	outcome  *outcome
	read     func(result) float64
	sides    []partnerSides // by partner set; nil: not asked
	left     map[string]*leftOut
	verdicts map[string]answer // the program's own, where it gives any
	own      bool              // judged by the program's own threshold, which it set while training
}

// partnerSides are the scores of one partner's clean mail and lures.
type partnerSides struct{ clean, lure []scored }

// leftOut is what is needed to judge a family that the model never saw.
type leftOut struct {
	outcome *outcome // its test part is the phishing alone
	family  []scored
}

func score(r result) float64 { return r.score }
func alone(r result) float64 { return r.alone }

// evaluate asks every system and prints the page.
func evaluate(o options, s *sets) error {
	b, err := newBreakwater(o)
	if err != nil {
		return err
	}
	list, err := s.breakwater(b)
	if err != nil {
		return err
	}
	var versions []string
	for _, peer := range []func() ([]*system, string, error){
		func() ([]*system, string, error) { return s.rspamd(o) },
		func() ([]*system, string, error) { return s.spamassassin(o) },
	} {
		more, version, err := peer()
		if err != nil {
			return err
		}
		list, versions = append(list, more...), append(versions, version)
	}
	return newPage(o, s, list, versions, b).print()
}

// breakwater returns the program's columns: what ships, trained, and trained without words.
func (s *sets) breakwater(b *breakwater) ([]*system, error) {
	say("Breakwater scores what ships")
	everything := slices.Concat(s.train, s.test)
	shipped, err := b.score(everything, "")
	if err != nil {
		return nil, err
	}
	held := slices.Concat(s.blocks("")[1:]...)
	got := plain(shipped)
	priors := &system{name: "Breakwater, priors alone", read: score, outcome: &outcome{join(fresh(held), got), join(s.test, got)}, verdicts: shipped}
	out := []*system{priors}
	for _, p := range s.partners {
		if err := priors.partner(b, p, ""); err != nil {
			return nil, err
		}
	}
	out = append(out, priors.byOwnThreshold())
	for _, k := range []kind{{words: true}, {words: true, fpr: cautiousRate}, {}} {
		if !k.words && !b.withoutWords {
			continue
		}
		x := &system{name: "Breakwater, trained", read: score, left: map[string]*leftOut{}}
		if !k.words {
			x.name += ", without words"
		}
		l, firstHeld := ours{b, k}, 2
		if k.fpr != "" {
			firstHeld = lastBlock + 1 // its own threshold is all that is asked
		}
		if x.outcome, err = s.learned(l, s.test, "", firstHeld); err != nil {
			return nil, err
		}
		model, err := b.train(slices.Concat(s.blocks("")...), k)
		if err != nil {
			return nil, err
		}
		if x.verdicts, err = b.score(s.test, model); err != nil {
			return nil, err
		}
		for _, p := range s.partners {
			if err := x.partner(b, p, model); err != nil {
				return nil, err
			}
		}
		for _, f := range s.families() {
			if x.left[f], err = s.without(l, f, firstHeld); err != nil {
				return nil, err
			}
		}
		if k.fpr != "" {
			y := x.byOwnThreshold()
			y.name = cautious
			out = append(out, y)
			continue
		}
		out = append(out, x, x.byOwnThreshold())
	}
	return out, nil
}

// The column of a site that would rather miss something than hold mail of a kind that training never showed.
const (
	cautiousRate = "0.003"
	cautious     = "Breakwater, trained, own threshold for 0.3 %"
)

// byOwnThreshold is the same system, judged by the threshold that the program has or set itself.
func (x *system) byOwnThreshold() *system {
	return &system{name: x.name + ", own threshold", outcome: x.outcome, read: verdict, left: x.left, own: true}
}

func (x *system) partner(b *breakwater, p partnerSet, model string) error {
	got, err := b.partner(p, model)
	if err == nil {
		x.sides = append(x.sides, partnerSides{join(p.clean, plain(got)), join(p.lure, plain(got))})
		for path, a := range got {
			x.verdicts[path] = a
		}
	}
	return err
}

// without leaves a family out of training and of the threshold.
func (s *sets) without(l learner, family string, firstHeld int) (*leftOut, error) {
	of := where(s.all, func(m *message) bool { return m.family == family && m.part != "dropped" })
	phish := where(s.test, func(m *message) bool { return m.phish })
	o, err := s.learned(l, slices.Concat(phish, of), family, firstHeld)
	if err != nil {
		return nil, fmt.Errorf("leaving %s out: %w", family, err)
	}
	return &leftOut{&outcome{o.held, o.test[:len(phish)]}, o.test[len(phish):]}, nil
}

// hardest is the family that is told apart worst by those who have not seen it; rspamd is asked for it alone.
const hardest = "sa-hard"

// rspamd returns rspamd's columns: rules, and rules with Bayes, each raw and without the artefacts of absent DNS.
func (s *sets) rspamd(o options) ([]*system, string, error) {
	r, err := startRspamd(o)
	if err != nil {
		return nil, "", err
	}
	got, err := s.learned(r, s.test, "", 2)
	if err != nil {
		return nil, "", err
	}
	out := []*system{
		{name: "rspamd, rules", outcome: got, read: alone},
		{name: "rspamd, rules, corrected", outcome: got, read: func(x result) float64 { return corrected(x, false) }},
		{name: "rspamd + Bayes", outcome: got, read: score},
		{name: "rspamd + Bayes, corrected", outcome: got, read: func(x result) float64 { return corrected(x, true) }},
	}
	left := map[string]*leftOut{}
	if left[hardest], err = s.without(r, hardest, 2); err != nil { // an hour more for all families
		return nil, "", err
	}
	for _, p := range s.partners {
		clean, lure, err := s.partner(r, p)
		if err != nil {
			return nil, "", err
		}
		for _, x := range out {
			x.sides = append(x.sides, partnerSides{clean, lure})
		}
	}
	out[2].left, out[3].left = left, left
	version := "rspamd " + r.system + ", scores kept from an earlier run"
	if len(r.learned) > 0 {
		version = fmt.Sprintf("rspamd %s (found nothing to learn in %d messages that it was offered, in all models)", r.system, r.refused)
	}
	return out, version, nil
}

// spamassassin returns SpamAssassin's columns. It scores a fixed sample of the test part, and its threshold is read off
// the newest block alone, since it is slow.
func (s *sets) spamassassin(o options) ([]*system, string, error) {
	sa, err := newSpamassassin(o)
	if err != nil {
		return nil, "", err
	}
	got, err := s.learned(sa, s.sample, "", lastBlock)
	if err != nil {
		return nil, "", err
	}
	out := []*system{{name: "SpamAssassin, rules (sample)", outcome: got, read: alone}, {name: "SpamAssassin + Bayes (sample)", outcome: got, read: score}}
	for _, p := range s.partners {
		clean, lure, err := s.partner(sa, p)
		if err != nil {
			return nil, "", err
		}
		for _, x := range out {
			x.sides = append(x.sides, partnerSides{clean, lure})
		}
	}
	for _, x := range out {
		if len(x.outcome.held) == 0 {
			return nil, "", errors.New("SpamAssassin scored no training message: its threshold cannot be set")
		}
	}
	return out, "SpamAssassin " + sa.system, nil
}
