package main

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// page is docs/evaluation-mail.md.
type page struct {
	o        options
	s        *sets
	systems  []*system
	versions []string
	b        *breakwater
}

func newPage(o options, s *sets, systems []*system, versions []string, b *breakwater) *page {
	return &page{o, s, systems, versions, b}
}

// one and strict are the false positive rates that thresholds are set for.
const (
	one    = 0.01
	strict = 0.001
)

func (p *page) print() error {
	p.head()
	p.wanted()
	p.main()
	p.sample()
	p.oracle()
	p.families()
	p.leftOut()
	p.partners()
	p.confusion()
	p.reasons()
	p.missed()
	return nil
}

func row(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }

func header(cells ...string) {
	row(cells...)
	row(slices.Repeat([]string{"---"}, len(cells))...)
}

func (p *page) head() {
	count := func(list []*message, phish bool) int {
		return len(where(list, func(m *message) bool { return m.phish == phish }))
	}
	fmt.Printf(`# Evaluation of the mail layer

Written by %smake eval-mail%s; nothing in it was entered by hand. Every system reads the same normalised messages, learns
from the same training set and is offline: no block lists, no SPF, DKIM, DMARC or ARC, no feeds, no reputation. Peers with
their network tests would do better; so would Breakwater with its own.

`, "`", "`")
	header("", "")
	row("date", time.Now().UTC().Format("2006-01-02"))
	row("machine", machine())
	row("Breakwater", "commit "+p.o.commit+", "+runtime.Version())
	for _, v := range p.versions {
		row("peer", v)
	}
	row("training", fmt.Sprintf("%d phishing, %d legitimate; set %s", count(p.s.train, true), count(p.s.train, false), setHash(p.s.train)))
	row("test", fmt.Sprintf("%d phishing, %d legitimate", count(p.s.test, true), count(p.s.test, false)))
	row("commands", "`breakwater mail train HAM SPAM --config FILE --model OUT`; `breakwater mail score --config FILE --no-learn --model OUT -o jsonl FOLDER` (partners: `--history history/`, without `--no-learn`); rspamd: `/learnspam`, `/learnham` (`Learn-Type: bulk`) and `/checkv2`; SpamAssassin: `tools/evalmail/spamassassin.pl`")
	fmt.Print(`
How it is measured:

- **Division**: by time within each family, phishing at the turn of 2025, legitimate mail where 45 % of a family lie before. A
  campaign (sender's organisation and subject's shape) is on one side alone; what would be on both is left out.
- **Threshold**: set on the training part alone. It is cut into five blocks by time; blocks 2 to 5 are scored by models of the
  blocks before them, and the threshold is the score that 1 % (0.1 %) of their legitimate messages exceed. SpamAssassin's is
  set on block 5 alone, and it scores a sample of the test part, drawn by the messages' hashes, because it is slow. One
  model and one threshold serve all rows of a column.
- **Normalised**: what receivers, honeypots and lists left in the messages is removed (` + "`internal/mailcorpus`" + `, byte for byte as
  the data's normalise.py). Language and era still tell the classes apart: most legitimate mail is English or of 2002.
- **rspamd corrected**: its score less the symbols that absent DNS and the mail's age give (HFILTER_*, RDNS_*,
  DATE_IN_PAST, ONCE_RECEIVED). Its resolver answers SERVFAIL at once. The better of raw and corrected is the one to quote.
- *business* is generated from published templates with invented senders. It is no real mail; the rows without it count.
- Intervals are 95 % (Wilson).

`)
}

// limits returns a system's thresholds for a false positive rate of 1 % and 0.1 %; one that is judged by its own
// threshold has that alone.
func (x *system) limits(o *outcome) (t1, t01 float64) {
	if x.own {
		return 0.5, 0.5
	}
	ham := values(o.held, false, x.read)
	return threshold(ham, one), threshold(ham, strict)
}

func (p *page) main() {
	fmt.Print("## Thresholds from training alone\n\n")
	header("system", "recall at FPR 1 %", "FPR then", "FPR without generated mail", "recall at FPR 0.1 %", "FPR then", "FPR on hard ham at the 1 % threshold", "AUC")
	for _, x := range p.systems {
		t1, t01 := x.limits(x.outcome)
		phish, ham := values(x.outcome.test, true, x.read), values(x.outcome.test, false, x.read)
		cells := []string{x.name, above(phish, t1).String(), above(ham, t1).String(), above(p.some(x, func(m *message) bool { return !m.phish && m.family != "business" }), t1).String(),
			above(phish, t01).String(), above(ham, t01).String(), above(p.some(x, func(m *message) bool { return m.family == "sa-hard" }), t1).String(),
			fmt.Sprintf("%.4f", auc(phish, ham))}
		if x.own {
			cells[4], cells[5], cells[7] = "-", "-", "-"
		}
		row(cells...)
	}
	fmt.Print("\n*Own threshold* is the one that the program ships, or sets itself in `breakwater mail train --fpr 0.01` by cross-validation on\nthe training part.\n\n")
}

// sample shows all systems on the messages that the slowest of them scored.
func (p *page) sample() {
	fmt.Print("## All systems on the same sample\n\nThe thresholds are those of the first table. A rate of 0.1 % cannot be told from so few legitimate messages: that column is\nthe recall at the threshold for it.\n\n")
	header("system", "recall at FPR 1 %", "FPR then", "recall at the 0.1 % threshold", "FPR then", "AUC")
	in := map[*message]bool{}
	for _, m := range p.s.sample {
		in[m] = true
	}
	for _, x := range p.systems {
		if x.own {
			continue
		}
		t1, t01 := x.limits(x.outcome)
		phish := p.some(x, func(m *message) bool { return in[m] && m.phish })
		ham := p.some(x, func(m *message) bool { return in[m] && !m.phish })
		row(x.name, above(phish, t1).String(), above(ham, t1).String(), above(phish, t01).String(), above(ham, t01).String(), fmt.Sprintf("%.4f", auc(phish, ham)))
	}
	fmt.Println()
}

func (r *rate) add(hit bool) {
	r.n++
	if hit {
		r.k++
	}
}

// some returns the scores of the test messages that are asked for.
func (p *page) some(x *system, is func(*message) bool) []float64 {
	var out []float64
	for _, y := range x.outcome.test {
		if is(y.m) {
			out = append(out, x.read(y.result))
		}
	}
	return out
}

func (p *page) oracle() {
	fmt.Print("## Ranking alone\n\nThresholds read off the test ham itself: nobody has them in service, but they show how well a score ranks.\n\n")
	header("system", "recall at FPR 1 %", "recall at FPR 0.1 %", "at FPR 0.1 % without generated mail")
	for _, x := range p.systems {
		if x.own {
			continue
		}
		phish, ham := values(x.outcome.test, true, x.read), values(x.outcome.test, false, x.read)
		lived := p.some(x, func(m *message) bool { return !m.phish && m.family != "business" })
		row(x.name, above(phish, threshold(ham, one)).String(), above(phish, threshold(ham, strict)).String(), above(phish, threshold(lived, strict)).String())
	}
	fmt.Println()
}

func (p *page) families() {
	fmt.Print("## False positives by family\n\nAt the threshold for FPR 1 % of the first table.\n\n")
	names := p.s.families()
	header(append([]string{"system"}, names...)...)
	for _, x := range p.systems {
		t1, _ := x.limits(x.outcome)
		cells := []string{x.name}
		for _, f := range names {
			cells = append(cells, above(p.some(x, func(m *message) bool { return m.family == f }), t1).String())
		}
		row(cells...)
	}
	fmt.Println()
}

func (p *page) leftOut() {
	fmt.Print("## A family left out of training\n\nThe model and its threshold never saw the family; all of its messages are scored. Recall is that of the test phishing\nat the same threshold (for FPR 1 %). SpamAssassin is too slow for it, and rspamd was asked for hard ham alone.\n\n")
	names := p.s.families()
	header("system", "left out", "FPR on it", "recall")
	for _, x := range p.systems {
		if x.left == nil {
			continue
		}
		for _, f := range names {
			l := x.left[f]
			if l == nil {
				continue
			}
			t1, _ := x.limits(l.outcome)
			row(x.name, f, above(values(l.family, false, x.read), t1).String(), above(values(l.outcome.test, true, x.read), t1).String())
		}
	}
	fmt.Println()
}

func (p *page) partners() {
	if len(p.s.partners) == 0 {
		return
	}
	fmt.Print("## Phishing from a trusted partner\n\nThe partner's real domain, all authentication passes. Systems have seen the training part and the partner's history. The\nthreshold is the score that 1 % of the partner's clean mail exceeds; `verdict` is what the program says by its own threshold.\n\n")
	header("set", "system", "recall at FPR 1 %", "AUC", "verdict phish or suspicious: lures", "clean mail")
	for i, set := range p.s.partners {
		for _, x := range p.systems {
			if i >= len(x.sides) {
				continue
			}
			clean, lure := values(x.sides[i].clean, false, x.read), values(x.sides[i].lure, true, x.read)
			cells := []string{set.name, x.name, above(lure, threshold(clean, one)).String(), fmt.Sprintf("%.3f", auc(lure, clean)), "-", "-"}
			if x.verdicts != nil {
				var tp, fp rate
				for _, y := range slices.Concat(x.sides[i].clean, x.sides[i].lure) {
					told := x.verdicts[y.m.path].Verdict != "clean"
					if y.m.phish {
						tp.add(told)
					} else {
						fp.add(told)
					}
				}
				cells[4], cells[5] = tp.String(), fp.String()
			}
			row(cells...)
		}
	}
	fmt.Println()
}

func (p *page) confusion() {
	fmt.Print("## Confusion\n\nAt the thresholds of the first table: phishing told, phishing missed, legitimate told, legitimate passed.\n\n")
	header("system", "threshold 1 %", "told / missed / false / passed", "threshold 0.1 %", "told / missed / false / passed")
	for _, x := range p.systems {
		if x.own {
			continue
		}
		t1, t01 := x.limits(x.outcome)
		cells := []string{x.name}
		for _, t := range []float64{t1, t01} {
			a, b := above(values(x.outcome.test, true, x.read), t), above(values(x.outcome.test, false, x.read), t)
			cells = append(cells, fmt.Sprintf("%.4f", t), fmt.Sprintf("%d / %d / %d / %d", a.k, a.n-a.k, b.k, b.n-b.k))
		}
		row(cells...)
	}
	fmt.Println()
}

// reasons counts, for each of the program's columns, by what false positives were told and what spoke against
// missed phishing.
func (p *page) reasons() {
	fmt.Print("## Which reasons mislead\n\nThe strongest reason of each false positive, and of each missed message, at the threshold for FPR 1 %.\n\n")
	for _, x := range p.systems {
		if x.verdicts == nil {
			continue
		}
		t1, _ := x.limits(x.outcome)
		falsely, missed, told := map[string]int{}, map[string]int{}, map[string]int{}
		for _, y := range x.outcome.test {
			hit := x.read(y.result) > t1
			switch {
			case hit && !y.m.phish:
				falsely[y.m.family+": "+strongest(y.reasons)]++
			case !hit && y.m.phish:
				missed[strongest(y.reasons)]++
			case hit:
				told[strongest(y.reasons)]++
			}
		}
		fmt.Printf("- %s, false: %s.\n- %s, missed: %s.\n- %s, told rightly: %s.\n", x.name, top(falsely, 10), x.name, top(missed, 10), x.name, top(told, 10))
	}
	fmt.Println()
}

func strongest(reasons []string) string {
	if len(reasons) == 0 || strings.HasPrefix(reasons[0], verdictMark) {
		return "no reason"
	}
	name, _, _ := strings.Cut(reasons[0], "=")
	return name
}

func top(n map[string]int, most int) string {
	if len(n) == 0 {
		return "none"
	}
	keys := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(-cmp.Compare(n[a], n[b]), cmp.Compare(a, b)) })
	var out []string
	for _, k := range keys[:min(most, len(keys))] {
		out = append(out, fmt.Sprintf("%s %d", k, n[k]))
	}
	return strings.Join(out, ", ")
}

// missed tells what kinds of phishing are missed, by what the messages hold.
func (p *page) missed() {
	fmt.Print("## What is missed\n\nPhishing of the test part by what it holds, and what each of the program's columns misses of it at the threshold for FPR 1 %.\n\n")
	header(append([]string{"system"}, kindsOfPhish...)...)
	for _, x := range p.systems {
		if x.verdicts == nil {
			continue
		}
		by := p.missedBy(x)
		cells := []string{x.name}
		for _, r := range by {
			cells = append(cells, fmt.Sprintf("%d of %d", r.k, r.n))
		}
		row(cells...)
	}
	p.inWords()
}
