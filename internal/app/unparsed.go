package app

import (
	"cmp"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
)

// maxUnparsed bounds how many different (file, reason) pairs are told apart; the rest is counted in one.
const maxUnparsed = 10_000

// unparsed counts what could not be read, by file and reason.
type unparsed struct {
	counts map[[2]string]int64
}

func newUnparsed() *unparsed { return &unparsed{counts: map[[2]string]int64{}} }

func (u *unparsed) add(file, reason string, n int64) {
	k := [2]string{file, oneLine(reason)}
	if _, ok := u.counts[k]; !ok && len(u.counts) >= maxUnparsed {
		k = [2]string{"", "further files and reasons"}
	}
	u.counts[k] += n
}

func (u *unparsed) list() []campaign.Unparsed {
	out := make([]campaign.Unparsed, 0, len(u.counts))
	for k, n := range u.counts {
		out = append(out, campaign.Unparsed{File: k[0], Reason: k[1], Count: n})
	}
	slices.SortFunc(out, func(a, b campaign.Unparsed) int {
		return cmp.Or(strings.Compare(a.File, b.File), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
