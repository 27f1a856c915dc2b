package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ourConfig declares the one organisation that received the corpus, as a site would that begins.
const ourConfig = `tenants:
  - id: client
    name: Client
    role: client
    domains: [client.example]
`

// breakwater runs the program as a user would.
type breakwater struct {
	binary, work string
	config       string
	system       string
	withoutWords bool // the program can train without words
	models       map[string]string
	build        string // SHA-256 of the program
	kept         *kept
	cpu          time.Duration // of the last command
	rss          int64         // most memory of the last command, KiB
}

// answer is one line of `breakwater mail score -o jsonl`.
type answer struct {
	File    string
	Verdict string
	Score   float64
	Reasons []struct {
		Name   string
		Weight float64
	}
}

func newBreakwater(o options) (*breakwater, error) {
	b := &breakwater{binary: o.binary, work: o.work, config: filepath.Join(o.work, "breakwater.yaml"), system: o.commit, models: map[string]string{}}
	if err := os.WriteFile(b.config, []byte(ourConfig), 0o644); err != nil {
		return nil, fmt.Errorf("writing a configuration: %w", err)
	}
	program, err := os.ReadFile(o.binary)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	sum := sha256.Sum256(program)
	b.build = hex.EncodeToString(sum[:8])
	if b.kept, err = openKept(filepath.Join(o.work, "breakwater-scores.tsv")); err != nil {
		return nil, err
	}
	help, err := b.run("mail", "train", "--help")
	if err != nil {
		return nil, err
	}
	b.withoutWords = bytes.Contains(help, []byte("--without-words"))
	return b, nil
}

func (b *breakwater) run(args ...string) ([]byte, error) {
	cmd := exec.Command(b.binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("breakwater %s: %w: %.500s", strings.Join(args, " "), err, errs.String())
	}
	b.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		b.rss = u.Maxrss
	}
	return out.Bytes(), nil
}

// gather puts messages into an empty folder.
func (b *breakwater) gather(name string, list []*message) (string, error) {
	dir := filepath.Join(b.work, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clearing %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a folder of messages: %w", err)
	}
	for _, m := range list {
		if err := os.Link(m.path, filepath.Join(dir, filepath.Base(m.path))); err != nil {
			return "", fmt.Errorf("gathering messages: %w", err)
		}
	}
	return dir, nil
}

// kind is how the program is trained: with or without words, and for which rate of false positives ("": its own).
type kind struct {
	words bool
	fpr   string
}

// suffix tells kinds apart in names.
func (k kind) suffix() string {
	out := ""
	if !k.words {
		out = "-wordless"
	}
	if k.fpr != "" {
		out += "-fpr" + k.fpr
	}
	return out
}

// train returns a model of the messages.
func (b *breakwater) train(set []*message, k kind) (string, error) {
	name := setHash(set) + k.suffix()
	if m := b.models[name]; m != "" {
		return m, nil
	}
	ham, err := b.gather("ham", where(set, func(m *message) bool { return !m.phish }))
	if err != nil {
		return "", err
	}
	spam, err := b.gather("spam", where(set, func(m *message) bool { return m.phish }))
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.work, name+".model")
	args := []string{"mail", "train", ham, spam, "--config", b.config, "--model", file}
	if !k.words {
		args = append(args, "--without-words")
	}
	if k.fpr != "" {
		args = append(args, "--fpr", k.fpr)
	}
	say("Breakwater learns %d messages", len(set))
	if _, err := b.run(args...); err != nil {
		return "", err
	}
	b.models[name] = file
	return file, nil
}

// score scores messages by a model, "" for what ships; it learns no habits from what it scores, as the others don't.
func (b *breakwater) score(list []*message, model string) (map[string]answer, error) {
	dir, err := b.gather("score", list)
	if err != nil {
		return nil, err
	}
	args := []string{"mail", "score", "--config", b.config, "--no-learn", "-o", "jsonl", dir}
	if model != "" {
		args = append(args, "--model", model)
	}
	return b.answers(list, args)
}

func (b *breakwater) answers(list []*message, args []string) (map[string]answer, error) {
	out, err := b.run(args...)
	if err != nil {
		return nil, err
	}
	by := map[string]string{}
	for _, m := range list {
		by[filepath.Base(filepath.Dir(m.path))+"/"+filepath.Base(m.path)] = m.path
		by[filepath.Base(m.path)] = m.path
	}
	got := map[string]answer{}
	for line := range bytes.Lines(out) {
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("reading the answer %.100q: %w", line, err)
		}
		path := by[filepath.Base(filepath.Dir(a.File))+"/"+filepath.Base(a.File)]
		if path == "" {
			path = by[filepath.Base(a.File)]
		}
		if path == "" {
			return nil, fmt.Errorf("the answer names %s, which was not asked for", a.File)
		}
		got[path] = a
	}
	for _, m := range list {
		if _, ok := got[m.path]; !ok {
			return nil, fmt.Errorf("no answer for %s", m.path)
		}
	}
	return got, nil
}

// partner scores a partner's mail after its history, in service: habits are learned along the way.
func (b *breakwater) partner(p partnerSet, model string) (map[string]answer, error) {
	args := []string{"mail", "score", "--config", filepath.Join(p.dir, "breakwater.yaml"), "--history", filepath.Join(p.dir, "history"), "-o", "jsonl",
		filepath.Join(p.dir, "clean"), filepath.Join(p.dir, "lure")}
	if model != "" {
		args = append(args, "--model", model)
	}
	return b.answers(slices.Concat(p.clean, p.lure), args)
}

// verdictMark begins the last of the reasons that are kept of the program's answers: its verdict.
const verdictMark = "verdict="

// verdict is 1 where the program calls a message phish by its own threshold.
func verdict(r result) float64 {
	if n := len(r.reasons); n > 0 && r.reasons[n-1] == verdictMark+"phish" {
		return 1
	}
	return 0
}

// plain turns answers into the form that all systems share.
func plain(in map[string]answer) map[string]result {
	out := map[string]result{}
	for path, a := range in {
		r := result{score: a.Score, alone: a.Score}
		for _, x := range a.Reasons {
			r.reasons = append(r.reasons, fmt.Sprintf("%s=%.2f", x.Name, x.Weight))
		}
		r.reasons = append(r.reasons, verdictMark+a.Verdict)
		out[path] = r
	}
	return out
}
