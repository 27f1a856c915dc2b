package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// result is what a system says of one message.
type result struct {
	score   float64
	alone   float64 // without what it learned from our training set
	reasons []string
}

// kept are scores that a system gave before, by its version and setting, the training set's hash and the message's
// hash: a message is not scored twice with the same knowledge.
type kept struct {
	path string
	mu   sync.Mutex
	by   map[string]result
	file *os.File
}

func openKept(path string) (*kept, error) {
	k := &kept{path: path, by: map[string]result{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading kept scores: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		c := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(c) != 6 {
			continue // the last line of a run that was stopped
		}
		r, err := parseResult(c[3], c[4], c[5])
		if err != nil {
			return nil, fmt.Errorf("reading kept scores: %w: delete %s", err, path)
		}
		k.by[strings.Join(c[:3], "\t")] = r
	}
	return k, nil
}

func parseResult(score, alone, reasons string) (result, error) {
	a, err := strconv.ParseFloat(score, 64)
	b, err2 := strconv.ParseFloat(alone, 64)
	var list []string
	if reasons != "" {
		list = strings.Split(reasons, ",")
	}
	return result{a, b, list}, errors.Join(err, err2)
}

// key names a score. The file's form is the key, the score, the score without learning, the reasons.
func key(system string, learned, message string) string {
	return system + "\t" + learned + "\t" + message
}

func (k *kept) get(key string) (result, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.by[key]
	return r, ok
}

func (k *kept) put(key string, r result) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		f, err := os.OpenFile(k.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("keeping scores: %w", err)
		}
		k.file = f
	}
	k.by[key] = r
	if _, err := fmt.Fprintf(k.file, "%s\t%.9g\t%.9g\t%s\n", key, r.score, r.alone, strings.Join(r.reasons, ",")); err != nil {
		return fmt.Errorf("keeping scores in %s: %w", k.path, err)
	}
	return nil
}

// missing returns the messages that have no kept score.
func (k *kept) missing(list []*message, system, learned string) []*message {
	return where(list, func(m *message) bool { _, ok := k.get(key(system, learned, m.hash)); return !ok })
}

// all returns the kept scores of messages, by path.
func (k *kept) all(list []*message, system, learned string) (map[string]result, error) {
	out := map[string]result{}
	for _, m := range list {
		r, ok := k.get(key(system, learned, m.hash))
		if !ok {
			return nil, fmt.Errorf("%s gave no score for %s", system, m.path)
		}
		out[m.path] = r
	}
	return out, nil
}
