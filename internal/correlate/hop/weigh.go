package hop

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// step is what a choice of sessions has to explain: somebody was at work at a place.
type step struct {
	at     Place
	when   time.Time // when what came of it began
	until  time.Time // and ended, as far as that is known
	user   string    // under which account; "" where no record tells
	onward *edge     // the session that led on from there; nil where the trace starts there
}

// weights are what tells for a session as the cause of a step, in doublings of likelihood.
type weights struct {
	work    float64 // each doubling of packets is 1; 6, as much as 64 packets, where the record does not count them
	lease   float64 // who held a pool address is no guess: a lease beats everything
	told    float64 // the organisation itself answered so
	open    float64 // open at the time beats one that had ended
	lasted  float64 // as long as what came of it
	account float64 // the same account, or a switch of accounts (as in Hopper, Ho et al., USENIX Security 2021, section 4)
	rare    float64 // a pair that is seen seldom
	prompt  float64 // what came of it began soon after it was opened
	volume  float64 // it carried about as much as the session that led on: what is typed passes both
}

// How long after its begin a session is the likelier cause of what begins next.
const (
	promptAtOnce = 30 * time.Second
	promptSoon   = 2 * time.Minute
	promptLater  = 5 * time.Minute
)

func (w weights) sum() float64 {
	s := w.work + w.lease + w.told + w.open + w.lasted + w.account + w.rare + w.prompt + w.volume
	return math.Round(s*100) / 100
}

// weigh says how likely a session is the cause of a step.
func (ix *traceIndex) weigh(e *edge, s step) (w weights) {
	w.work = 6
	if e.packets > 0 {
		w.work = math.Log2(float64(e.packets))
	}
	if e.kind == string(KindVPN) {
		w.lease = 100
	}
	if e.told {
		w.told = 50 + math.Log2(max(e.share, 0.01))
	}
	if !e.end.Before(s.when) {
		w.open = 20
	}
	if !e.end.Before(s.until) {
		w.lasted = 1
	}
	if s.user != "" && e.user != "" {
		w.account = -2
		if strings.EqualFold(s.user, e.user) {
			w.account = 4
		}
	}
	w.rare = 2 / float64(ix.pairs(e))
	switch d := s.when.Sub(e.start); {
	case d < 0:
	case d <= promptAtOnce:
		w.prompt = 3
	case d <= promptSoon:
		w.prompt = 2
	case d <= promptLater:
		w.prompt = 1
	}
	if s.onward != nil && s.onward.packets > 0 && e.packets > 0 {
		switch apart := math.Log2(float64(e.packets) / float64(s.onward.packets)); {
		case apart < -2:
			w.volume = -1
		case math.Abs(apart) < 2:
			w.volume = 2 - math.Abs(apart)
		}
	}
	return w
}

// words says in plain words what tells for a session as the cause of a step, and what against it.
func (ix *traceIndex) words(e *edge, s step, w weights) (good, bad []string) {
	add := func(list *[]string, format string, args ...any) { *list = append(*list, fmt.Sprintf(format, args...)) }
	switch {
	case w.told > 0:
		add(&good, "%s answered so from its own telemetry", e.by)
	case w.lease > 0:
		add(&good, "the session log says who held %s", s.at.Name())
	}
	lasted := e.end.Sub(e.start).Round(time.Second)
	switch {
	case e.packets > 0:
		add(&good, "%d packets in %s", e.packets, lasted)
	case e.kind != string(KindVPN) && !e.told:
		add(&bad, "the record does not count packets")
	}
	switch {
	case w.open > 0 && e.packets > 0:
		add(&good, "open at the time")
	case w.open > 0:
	case e.packets > 0:
		add(&bad, "had ended %s before", s.when.Sub(e.end).Round(time.Second))
	default:
		add(&bad, "last heard of %s before", s.when.Sub(e.end).Round(time.Second))
	}
	if w.prompt > 0 {
		add(&good, "what came of it began %s after it was opened", s.when.Sub(e.start).Round(time.Second))
	}
	switch {
	case w.account > 0:
		add(&good, "the same account, %s", s.user)
	case w.account < 0:
		add(&bad, "a switch of accounts, from %s to %s", e.user, s.user)
	}
	switch n := ix.pairs(e); {
	case n == 1:
		add(&good, "the only session of this pair")
	case n > 4:
		add(&bad, "one of %d sessions of this pair", n)
	}
	switch {
	case w.volume < 0:
		add(&bad, "it carried %d packets, the session that led on %d", e.packets, s.onward.packets)
	case w.volume >= 1:
		add(&good, "it carried about as much as the session that led on (%d and %d packets)", e.packets, s.onward.packets)
	}
	if e.weak() {
		add(&bad, "a mounted share or a logon over the network needs nobody at work")
	}
	if e.key.Value != "" {
		add(&good, "both sides log %s %s", e.key.Kind, e.key.Value)
	}
	return good, bad
}

// pairs is how many sessions lead from where a session came from to where it went.
func (ix *traceIndex) pairs(e *edge) int {
	k := [2]Place{e.from, e.to}
	return max(1, ix.worked.pairs[k]+ix.held.pairs[k])
}
