package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Messages that the slower systems are measured on, drawn evenly from the whole mix.
const (
	rspamdBench       = 1500
	spamassassinBench = 150
)

// bench measures processor time a message, and prints docs/benchmarks-mail.md.
func bench(o options, s *sets) error {
	b, err := newBreakwater(o)
	if err != nil {
		return err
	}
	model, err := b.train(slices.Concat(s.blocks("")...), kind{words: true})
	if err != nil {
		return err
	}
	if err := os.Setenv("GOMAXPROCS", "1"); err != nil {
		return fmt.Errorf("running on one core: %w", err)
	}
	fmt.Print(`# Benchmarks of the mail layer

Written by ` + "`make bench-mail`" + `; nothing in it was entered by hand. Rates are messages per second of processor time, user and
system, of the process that works; Breakwater runs with GOMAXPROCS=1, garbage collection included. Each system reads the
same mix of phishing and legitimate mail (` + "`internal/mailcorpus`" + `).

`)
	header("", "")
	row("machine", machine())
	row("date", time.Now().UTC().Format("2006-01-02"))
	row("Go", runtime.Version())
	row("commit", o.commit)
	load, _ := os.ReadFile("/proc/loadavg") // a label; without it the line is empty
	row("load before", strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "))
	fmt.Println()
	header("system", "messages", "CPU seconds", "messages per CPU-second", "Breakwater is faster by", "memory")
	own := 0.0
	for _, x := range []struct{ name, model string }{{"Breakwater, decode and score, as shipped", ""}, {"Breakwater, decode and score, trained", model}} {
		var rates []float64
		var cpu float64
		for range 3 { // the middle one counts: other programs run on the machine
			if _, err := b.score(s.all, x.model); err != nil {
				return err
			}
			cpu = b.cpu.Seconds()
			rates = append(rates, float64(len(s.all))/cpu)
		}
		slices.Sort(rates)
		own = rates[1]
		row(x.name, fmt.Sprint(len(s.all)), fmt.Sprintf("%.1f", float64(len(s.all))/own), fmt.Sprintf("%.0f", own), "-", fmt.Sprintf("%d MiB at most, all events of the folder held", b.rss/1024))
	}
	if err := benchRspamd(o, s, own); err != nil {
		return err
	}
	if err := benchSpamassassin(o, s, own); err != nil {
		return err
	}
	fmt.Println()
	if o.milter != "" {
		data, err := os.ReadFile(o.milter)
		if err != nil {
			return fmt.Errorf("reading what the benchmarks printed: %w", err)
		}
		fmt.Printf("The milter's answer over a socket, and memory (`go test -bench`):\n\n```\n%s\n```\n", strings.TrimSpace(string(data)))
	}
	return nil
}

// every draws n messages evenly.
func every(list []*message, n int) []*message {
	var out []*message
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

func benchRspamd(o options, s *sets, own float64) error {
	r, err := startRspamd(o)
	if err != nil {
		return err
	}
	defer closeAll()
	if err := r.learn(s.blocks("")); err != nil {
		return err
	}
	list := every(s.all, rspamdBench)
	before, err := processorTime(r.worker)
	if err != nil {
		return err
	}
	err = parallel(list, func(m *message) error {
		raw, err := os.ReadFile(m.path)
		if err != nil {
			return fmt.Errorf("reading a message: %w", err)
		}
		_, err = r.scan(raw)
		return err
	})
	if err != nil {
		return err
	}
	after, err := processorTime(r.worker)
	if err != nil {
		return err
	}
	peak := 0
	if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.worker)); err == nil {
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
				peak, _ = strconv.Atoi(f[1])
			}
		}
	}
	peer(fmt.Sprintf("rspamd %s with Bayes, its scanning process", r.system), len(list), after-before, own, fmt.Sprintf("%d MiB at most, that process alone", peak/1024))
	return nil
}

func peer(name string, n int, cpu, own float64, memory string) {
	per := float64(n) / cpu
	row(name, fmt.Sprint(n), fmt.Sprintf("%.1f", cpu), fmt.Sprintf("%.1f", per), fmt.Sprintf("%.0f times", own/per), memory)
}

// processorTime reads the seconds that a process has used (proc(5), stat, fields 14 and 15).
func processorTime(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("reading the processor time of %d: %q", pid, data)
	}
	sum := 0.0
	for _, x := range f[11:13] {
		v, err := strconv.ParseFloat(x, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time of %d: %w", pid, err)
		}
		sum += v
	}
	ticks := 100.0
	if out, err := exec.Command("getconf", "CLK_TCK").Output(); err == nil {
		if v, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64); err == nil {
			ticks = v
		}
	}
	return sum / ticks, nil
}

func benchSpamassassin(o options, s *sets, own float64) error {
	fresh := o
	fresh.cache = filepath.Join(o.work, "bench-scores.tsv") // kept scores take no time
	if err := os.RemoveAll(fresh.cache); err != nil {
		return fmt.Errorf("clearing scores: %w", err)
	}
	sa, err := newSpamassassin(fresh)
	if err != nil {
		return err
	}
	if _, err := sa.score(every(s.all, spamassassinBench), s.blocks("")...); err != nil {
		return err
	}
	peer(fmt.Sprintf("SpamAssassin %s with Bayes, Perl API", sa.system), spamassassinBench, sa.cpu, own, "-")
	return nil
}
