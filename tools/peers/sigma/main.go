// Command sigma measures how fast Sigma rules are matched, by us and by the other engines in Go, in turns in one process
// and on the same events. It is given the folder of endpoint data and prints Markdown.
//
// Each engine gets, of each event, the rules whose log source fits, as we route them, and the event in the form that it
// takes, made beforehand: what is measured is matching alone. A turn takes a sample of the events, another one each
// turn; the same for all.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func main() {
	rounds := flag.Int("rounds", 5, "how many turns each engine has; the middle one counts")
	sample := flag.Int("sample", 1500, "events of a turn")
	alone := flag.Bool("alone", false, "leave the other engines out")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sigma FOLDER (the folder that holds sigma-rules.tar.zst and otrf-background.jsonl.zst)")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *rounds, *sample, *alone); err != nil {
		fmt.Fprintln(os.Stderr, "sigma:", err)
		os.Exit(1)
	}
}

func run(dir string, rounds, sample int, alone bool) error {
	runtime.GOMAXPROCS(1)
	docs, err := corpus(dir)
	if err != nil {
		return err
	}
	before := heap()
	begin := cpu()
	set, problems := sigma.Compile(docs)
	load := cpu() - begin
	events, err := read(dir)
	if err != nil {
		return err
	}
	all := events.list
	match(set, all) // what it remembers of names and sources
	kept := heapWithout(before, events)
	fmt.Printf("| | |\n| --- | --- |\n| rules | %d of %d load; %d don't |\n| load time | %.2f CPU-s |\n| heap of the compiled rules, warm | %.0f MB |\n",
		set.Len(), len(docs), len(problems), load.Seconds(), float64(kept)/1e6)
	fmt.Printf("| events | %d, %.0f bytes of JSON or EVTX each |\n\n", len(all), float64(events.bytes)/float64(len(all)))
	for _, p := range problems {
		fmt.Printf("- not loaded: %s: %s\n", p.Rule, p.Reason)
	}
	if err := ourFigures(set, docs, events); err != nil {
		return err
	}
	if alone {
		return nil
	}
	return compare(set, docs, all, rounds, sample)
}

func match(set *sigma.RuleSet, list []*ocsf.Event) (matches int) {
	set.Match(list, func(int, *sigma.Rule) { matches++ })
	return matches
}

// rate runs work over n events until enough time has passed, and returns events by CPU-second and allocations an event.
func rate(n int, work func()) (perSecond, allocs float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin, passes := cpu(), 0
	for cpu()-begin < time.Second || passes == 0 {
		work()
		passes++
	}
	spent := (cpu() - begin).Seconds()
	runtime.ReadMemStats(&after)
	return float64(n*passes) / spent, float64(after.Mallocs-before.Mallocs) / float64(n*passes)
}

// ourFigures prints what concerns us alone.
func ourFigures(set *sigma.RuleSet, docs []sigma.Document, events *stream) error {
	var half [2][]sigma.Document
	for i, d := range docs {
		half[i%2] = append(half[i%2], d)
	}
	even, _ := sigma.Compile(half[0])
	odd, _ := sigma.Compile(half[1])
	twice, _ := sigma.Compile(append(slices.Clone(docs), shifted(docs)...))
	if twice.Len() < 2*set.Len()-set.Len()/50 {
		return fmt.Errorf("of the rules with other letters only %d load", twice.Len()-set.Len())
	}
	for _, s := range []*sigma.RuleSet{even, odd, twice} {
		match(s, events.list) // what is compiled when the first event comes
	}
	var whole, evens, odds, doubled, decoded, both []float64
	var allocs float64
	n := len(events.list)
	for range 5 {
		r, a := rate(n, func() { match(set, events.list) })
		whole, allocs = append(whole, r), a
		r, _ = rate(n, func() { match(even, events.list) })
		evens = append(evens, r)
		r, _ = rate(n, func() { match(odd, events.list) })
		odds = append(odds, r)
		r, _ = rate(n, func() { match(twice, events.list) })
		doubled = append(doubled, r)
		r, _ = rate(events.lines, func() { _, err := decodeLines(events.raw, nil); check(err) })
		decoded = append(decoded, r)
		r, _ = rate(events.lines, func() { _, err := decodeLines(events.raw, set); check(err) })
		both = append(both, r)
	}
	fmt.Printf("\n| Breakwater, one core | events/CPU-s, middle of 5 | lowest to highest |\n| --- | ---: | ---: |\n")
	for _, row := range []struct {
		name string
		list []float64
	}{{"matching alone, all rules", whole}, {"every other rule", evens}, {"the other rules", odds}, {"twice the rules (see below)", doubled}, {"decoding JSON lines alone", decoded}, {"decoding and matching", both}} {
		fmt.Printf("| %s | %.0f | %.0f to %.0f |\n", row.name, middle(row.list), row.list[0], row.list[len(row.list)-1])
	}
	fmt.Printf("\n- Allocations an event, matching: %.3f\n- %.3f matches an event\n", allocs, float64(match(set, events.list))/float64(n))
	fmt.Printf("- Cost of doubling the rules: %.2f times the time, for a set of %d rules whose second half has every letter of its\n  quoted values moved on by one, so that no text is shared. From every other rule to all: %.2f and %.2f times; a rule with\n  keywords for all of Windows is in one half only.\n",
		middle(whole)/middle(doubled), twice.Len(), middle(evens)/middle(whole), middle(odds)/middle(whole))
	return nil
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func compare(set *sigma.RuleSet, docs []sigma.Document, all []*ocsf.Event, rounds, sample int) error {
	engines := []engine{&ours{set: set}, newMarkuskont(docs, false), newMarkuskont(docs, true), newSigmaGo(docs), newSigmaGoBundle(docs)}
	rates, allocs, found := make([][]float64, len(engines)), make([]float64, len(engines)), make([]int, len(engines))
	for round := range rounds {
		var list []*ocsf.Event
		var routed [][]string
		step := max(1, len(all)/sample)
		for i := round % step; i < len(all) && len(list) < sample; i += step {
			list = append(list, all[i])
			var ids []string
			for _, r := range set.For(all[i]) {
				ids = append(ids, r.ID)
			}
			routed = append(routed, ids)
		}
		for i, e := range engines {
			e.prepare(list, routed)
			n := e.match() // also warms it up
			found[i] += n
			r, a := rate(len(list), func() { e.match() })
			rates[i], allocs[i] = append(rates[i], r), a
		}
	}
	fmt.Printf("\n| engine | rules loaded | events/CPU-s, middle of %d turns | lowest to highest | allocations an event | matches | Breakwater is faster by |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", rounds)
	for i, e := range engines {
		fmt.Printf("| %s | %d | %.0f | %.0f to %.0f | %.1f | %d | %.1f |\n", e.name(), e.rules(), middle(rates[i]), slices.Min(rates[i]), slices.Max(rates[i]), allocs[i], found[i], middle(rates[0])/middle(rates[i]))
	}
	return nil
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// heapWithout is what the heap has grown by since then, without the events.
func heapWithout(before uint64, s *stream) int64 {
	with := heap()
	return int64(with) - int64(before) - s.held
}

// cpu is the CPU time that the process has used, of user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
