package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// find returns a column by its name; nil where it was not measured.
func (p *page) find(name string) *system {
	for _, x := range p.systems {
		if x.name == name {
			return x
		}
	}
	return nil
}

// wanted holds the program against the figures that were set for it before it was measured.
func (p *page) wanted() {
	priors, common, own, careful := p.find("Breakwater, priors alone, own threshold"), p.find("Breakwater, trained"), p.find("Breakwater, trained, own threshold"), p.find(cautious)
	if priors == nil || common == nil || own == nil || careful == nil {
		return
	}
	fmt.Print("## What is wanted, and what is reached\n\nThree thresholds, each set on training mail alone: the common one, by the procedure that all systems share, the one that the\nprogram sets itself, and the one that it sets with `--fpr 0.003`, for sites that would rather miss something than hold mail of a\nkind that training never showed. A figure is reached where the share itself is; the intervals are wide.\n\n")
	header("figure", "must", "common threshold", "reached", "own threshold", "reached", "own threshold for 0.3 %", "reached")
	line := func(name string, must string, least bool, want float64, cells ...*rate) {
		out := []string{name, must}
		for _, r := range cells {
			if r == nil {
				out = append(out, "-", "-")
				continue
			}
			out = append(out, r.String(), map[bool]string{true: "yes", false: "**no**"}[r.share() >= want && least || r.share() <= want && !least])
		}
		row(out...)
	}
	at := func(x *system, strictly bool, is func(*message) bool) *rate {
		t1, t01 := x.limits(x.outcome)
		if strictly {
			t1 = t01
		}
		r := above(p.some(x, is), t1)
		return &r
	}
	phish := func(m *message) bool { return m.phish }
	lived := func(m *message) bool { return !m.phish && m.family != "business" }
	hard := func(m *message) bool { return m.family == hardest }
	line("recall at the threshold for FPR 1 %", ">= .95", true, .95, at(common, false, phish), at(own, false, phish), at(careful, false, phish))
	line("recall at the threshold for FPR 0.1 %", ">= .60", true, .60, at(common, true, phish), nil, nil)
	line("shipped priors alone: recall", ">= .50", true, .50, nil, at(priors, false, phish), nil)
	line("shipped priors alone: FPR on real mail", "<= 1 %", false, .01, nil, at(priors, false, lived), nil)
	line("FPR on hard ham", "<= 2 %", false, .02, at(common, false, hard), at(own, false, hard), at(careful, false, hard))
	for _, f := range p.s.families() {
		var fpr, recall []*rate
		for _, x := range []*system{common, own, careful} {
			l := x.left[f]
			t1, _ := x.limits(l.outcome)
			a, b := above(values(l.family, false, x.read), t1), above(values(l.outcome.test, true, x.read), t1)
			fpr, recall = append(fpr, &a), append(recall, &b)
		}
		line("FPR on "+f+", left out of training", "<= 5 %", false, .05, fpr...)
		line("recall then", ">= .60", true, .60, recall...)
	}
	for i, set := range p.s.partners {
		x := common.sides[i]
		r := above(values(x.lure, true, score), threshold(values(x.clean, false, score), one))
		line("lures of "+set.name+" at 1 % of its clean mail", ">= .80", true, .80, &r, nil, nil)
	}
	fmt.Print("\nThe test part was looked at while the scorer was written, several times, and the partner's set was read: these are figures on\ndevelopment data, and better than what other mail will give.\n\n")
}

// kindsOfPhish are the kinds by which missed phishing is sorted.
var kindsOfPhish = []string{"no link", "link", "attachment", "plain text alone", "pictures and hardly any text"}

// missedBy counts what a system misses of each kind.
func (p *page) missedBy(x *system) []rate {
	t1, _ := x.limits(x.outcome)
	by := make([]rate, len(kindsOfPhish))
	for _, y := range x.outcome.test {
		if !y.m.phish {
			continue
		}
		h := holdings(y.m.path)
		for i, is := range []bool{!h.link, h.link, h.attachment, !h.html, h.picture && h.text < 200} {
			if is {
				by[i].add(x.read(y.result) <= t1)
			}
		}
	}
	return by
}

// inWords says in sentences what the tables show, and what they cannot show.
func (p *page) inWords() {
	fmt.Print("\nIn plain words:\n\n")
	if x := p.find("Breakwater, trained"); x != nil {
		worst := 0
		by := p.missedBy(x)
		for i := range by {
			if by[i].share() > by[worst].share() {
				worst = i
			}
		}
		fmt.Printf("- Trained, it misses most often: phishing with %s, %d of %d.\n", kindsOfPhish[worst], by[worst].k, by[worst].n)
	}
	for _, name := range []string{"Breakwater, trained", "Breakwater, trained, own threshold", cautious} {
		x := p.find(name)
		if x == nil {
			continue
		}
		family, most := "", rate{n: 1}
		for f, l := range x.left {
			t1, _ := x.limits(l.outcome)
			if r := above(values(l.family, false, x.read), t1); r.share() > most.share() || r.share() == most.share() && f < family {
				family, most = f, r
			}
		}
		fmt.Printf("- %s, is most often wrong about a kind of legitimate mail that training never saw in %s: %d of %d.\n", name, family, most.k, most.n)
	}
	fmt.Print(`- What is not in these corpora is not measured: real modern business mail with HTML (the generated family is no substitute,
  and its hosts, sentences and layouts are few), legitimate mail in other languages than English, and business mail
  compromise. Some of the phishing may be lawful advertising, its authors say: nobody should trust a recall above 98 % here.
  Begin in observe mode, and train on your own mail.
`)
}

func machine() string {
	cpu := "unknown"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	system, _ := exec.Command("uname", "-srm").Output() // a label; without it the line is shorter
	return fmt.Sprintf("%s, %d cores, %s", cpu, runtime.NumCPU(), strings.TrimSpace(string(system)))
}
