package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// message is one line of the corpus's index, or one message of a partner set.
type message struct {
	path, id, family string
	phish            bool
	part             string // train, test, dropped
	block            int
	fresh, sampled   bool
	hash             string // SHA-256 of the file
}

// readCorpus reads what internal/mailcorpus/write wrote.
func readCorpus(dir string) ([]*message, error) {
	data, err := os.ReadFile(filepath.Join(dir, "corpus.tsv"))
	if err != nil {
		return nil, fmt.Errorf("reading the corpus's index: %w", err)
	}
	var out []*message
	for line := range strings.Lines(string(data)) {
		c := strings.Split(strings.TrimSpace(line), "\t")
		if len(c) < 8 {
			return nil, fmt.Errorf("reading the corpus's index: %q has %d columns, not 10: write it anew", line, len(c))
		}
		block, err := strconv.Atoi(c[5])
		if err != nil {
			return nil, fmt.Errorf("reading the corpus's index: %w", err)
		}
		m := &message{path: filepath.Join(dir, c[0]), id: c[1], family: c[2], phish: c[3] == "phish", part: c[4], block: block, fresh: c[6] == "1", sampled: c[7] == "1"}
		if err := m.sum(); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// folder reads the messages of a folder of a partner set.
func folder(dir string, phish bool) ([]*message, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	var out []*message
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		m := &message{path: path, id: filepath.Base(path), family: filepath.Base(dir), phish: phish}
		out = append(out, m)
		return m.sum()
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s with %d entries: %w", dir, len(names), err)
	}
	return out, nil
}

func (m *message) sum() error {
	raw, err := os.ReadFile(m.path)
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	s := sha256.Sum256(raw)
	m.hash = hex.EncodeToString(s[:12])
	return nil
}

func where(list []*message, is func(*message) bool) []*message {
	var out []*message
	for _, m := range list {
		if is(m) {
			out = append(out, m)
		}
	}
	return out
}

// setHash names a training set by its messages' bytes and classes.
func setHash(set []*message) string {
	lines := make([]string, 0, len(set))
	for _, m := range set {
		lines = append(lines, fmt.Sprintf("%s %v", m.hash, m.phish))
	}
	slices.Sort(lines)
	s := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(s[:8])
}
