package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// spamassassin scores by the Perl API. It is slow, so that every score is kept by the hashes of the message and of
// the training set.
type spamassassin struct {
	script, work string
	system       string // name and version
	kept         *kept
	cpu, scored  float64 // of the scores that this run made
}

func newSpamassassin(o options) (*spamassassin, error) {
	out, err := exec.Command("perl", "-MMail::SpamAssassin", "-e", "print Mail::SpamAssassin::Version()").Output()
	if err != nil {
		return nil, fmt.Errorf("asking SpamAssassin's version: %w: apt-get install spamassassin", err)
	}
	k, err := openKept(o.cache)
	return &spamassassin{script: o.script, work: o.work, system: string(out), kept: k}, err
}

// score scores messages after learning the sets, one after the other. What has been scored before is not scored again.
func (s *spamassassin) score(list []*message, learned ...[]*message) (map[string]result, error) {
	hash := setHash(slices.Concat(learned...))
	if missing := s.kept.missing(list, s.system, hash); len(missing) > 0 {
		state, err := s.learn(learned)
		if err == nil {
			err = s.run(state, hash, missing)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.kept.all(list, s.system, hash)
}

// learn returns the folder of a database that has learned the sets; it goes on from one that knows most of them.
func (s *spamassassin) learn(sets [][]*message) (string, error) {
	folder := func(n int) string { return filepath.Join(s.work, "sa-"+setHash(slices.Concat(sets[:n]...))) }
	done := len(sets)
	for ; done > 0; done-- {
		if _, err := os.Stat(filepath.Join(folder(done), "learned")); err == nil {
			break
		}
	}
	for n := done + 1; n <= len(sets); n++ {
		dir, set := folder(n), sets[n-1]
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("clearing a Bayes database: %w", err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("making a Bayes database: %w", err)
		}
		if n > 1 {
			if err := exec.Command("cp", "-a", folder(n-1)+"/.", dir).Run(); err != nil {
				return "", fmt.Errorf("copying a Bayes database: %w", err)
			}
		}
		var in bytes.Buffer
		for _, m := range set {
			kind := "ham"
			if m.phish {
				kind = "spam"
			}
			fmt.Fprintln(&in, kind, m.path)
		}
		say("SpamAssassin learns %d messages", len(set))
		cmd := exec.Command("perl", s.script, dir, "learn")
		cmd.Stdin = &in
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("teaching SpamAssassin: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "learned"), out, 0o644); err != nil {
			return "", fmt.Errorf("noting that SpamAssassin learned: %w", err)
		}
	}
	return folder(len(sets)), nil
}

var cpuLine = regexp.MustCompile(`(?m)^cpu ([0-9.]+)$`)

func (s *spamassassin) run(state, hash string, list []*message) error {
	say("SpamAssassin scores %d messages", len(list))
	byPath := map[string]*message{}
	var in, errs bytes.Buffer
	for _, m := range list {
		byPath[m.path] = m
		fmt.Fprintln(&in, m.path)
	}
	cmd := exec.Command("perl", s.script, state, "score")
	cmd.Stdin, cmd.Stderr = &in, &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("starting SpamAssassin: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c := strings.Split(lines.Text(), "\t")
		if len(c) != 4 || byPath[c[0]] == nil {
			continue
		}
		r, err := parseResult(c[1], c[2], c[3])
		if err != nil {
			return fmt.Errorf("reading SpamAssassin's answer: %w", err)
		}
		if err := s.kept.put(key(s.system, hash, byPath[c[0]].hash), r); err != nil {
			return err
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("scoring with SpamAssassin: %w: %.300s", err, errs.String())
	}
	if m := cpuLine.FindStringSubmatch(errs.String()); m != nil {
		cpu, _ := strconv.ParseFloat(m[1], 64)
		s.cpu, s.scored = s.cpu+cpu, s.scored+float64(len(list))
	}
	return nil
}
