package main

import (
	"fmt"
	"math"
	"slices"
)

// threshold returns the score above which at most a share of the legitimate messages lies. A message counts as
// phishing where its score is above it.
func threshold(ham []float64, share float64) float64 {
	if len(ham) == 0 {
		return math.Inf(1)
	}
	s := slices.Clone(ham)
	slices.SortFunc(s, func(a, b float64) int { return -compare(a, b) })
	return s[min(len(s)-1, int(share*float64(len(s))))]
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// rate is so many of so many, with its 95 % interval by Wilson (1927, J. Am. Stat. Assoc. 22, 209).
type rate struct{ k, n int }

func (r rate) wilson() (low, high float64) {
	if r.n == 0 {
		return 0, 1
	}
	const z = 1.959964
	n, p := float64(r.n), float64(r.k)/float64(r.n)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, mid-half), min(1, mid+half)
}

func (r rate) share() float64 { return float64(r.k) / float64(max(1, r.n)) }

// String writes the share, its interval and the counts.
func (r rate) String() string {
	if r.n == 0 {
		return "-"
	}
	low, high := r.wilson()
	if r.share() < 0.1 {
		return fmt.Sprintf("%.2f %% (%.2f-%.2f; %d/%d)", 100*r.share(), 100*low, 100*high, r.k, r.n)
	}
	return fmt.Sprintf("%.3f (%.3f-%.3f; %d/%d)", r.share(), low, high, r.k, r.n)
}

func above(list []float64, t float64) rate {
	r := rate{n: len(list)}
	for _, x := range list {
		if x > t {
			r.k++
		}
	}
	return r
}

// auc is the share of pairs in which the phishing has the higher score; ties count half.
func auc(phish, ham []float64) float64 {
	type scored struct {
		s     float64
		phish bool
	}
	var all []scored
	for _, x := range phish {
		all = append(all, scored{x, true})
	}
	for _, x := range ham {
		all = append(all, scored{x, false})
	}
	slices.SortFunc(all, func(a, b scored) int { return compare(a.s, b.s) })
	below, sum := 0.0, 0.0
	for i := 0; i < len(all); {
		j, p, h := i, 0.0, 0.0
		for ; j < len(all) && all[j].s == all[i].s; j++ {
			if all[j].phish {
				p++
			} else {
				h++
			}
		}
		sum, below, i = sum+p*(below+h/2), below+h, j
	}
	return sum / max(1, float64(len(phish))*float64(len(ham)))
}
