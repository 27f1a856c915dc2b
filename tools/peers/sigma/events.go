package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/evtx"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// stream is what is matched: the recorded background in JSON lines, and the samples in EVTX.
type stream struct {
	raw   []byte // the JSON lines
	lines int    // events of them
	list  []*ocsf.Event
	bytes int   // of JSON and EVTX
	held  int64 // heap
}

func read(dir string) (*stream, error) {
	before := heap()
	s := &stream{}
	packed, err := os.ReadFile(filepath.Join(dir, "otrf-background.jsonl.zst"))
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	if s.raw, err = z.DecodeAll(packed, nil); err != nil {
		return nil, fmt.Errorf("reading the background: %w", err)
	}
	k, err := decodeLines(s.raw, nil)
	if err != nil {
		return nil, err
	}
	s.lines, s.list, s.bytes = len(k.list), k.list, len(s.raw)
	formats := evtx.Stream()
	err = filepath.WalkDir(filepath.Join(dir, "evtx"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".evtx") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.bytes += len(raw)
		k := &keep{}
		err = formats.Read(context.Background(), path, bytes.NewReader(raw), k)
		s.list = append(s.list, k.list...)
		return err
	})
	s.held = int64(heap()) - int64(before)
	return s, err
}

// keep takes decoded events, and matches them if it has rules.
type keep struct {
	list    []*ocsf.Event
	set     *sigma.RuleSet
	batch   []*ocsf.Event
	matches int
}

func (k *keep) Event(e *ocsf.Event, _ int64, _ []byte) {
	if k.set == nil {
		k.list = append(k.list, e)
		return
	}
	if k.batch = append(k.batch, e); len(k.batch) == 256 {
		k.flush()
	}
}

func (k *keep) flush() {
	k.matches += match(k.set, k.batch)
	k.batch = k.batch[:0]
}

func (k *keep) Bad(int64, string, []byte) {}

func decodeLines(raw []byte, set *sigma.RuleSet) (*keep, error) {
	k := &keep{set: set}
	err := decode.Objects(windows.Objects()).Read(context.Background(), "background.jsonl", bytes.NewReader(raw), k)
	if set != nil {
		k.flush()
	}
	return k, err
}

// corpus reads the rules.
func corpus(dir string) ([]sigma.Document, error) {
	f, err := os.Open(filepath.Join(dir, "sigma-rules.tar.zst"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var docs []sigma.Document
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %w", err)
		}
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(r, sigma.MaxDocument+1))
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %w", err)
		}
		docs = append(docs, sigma.Document{Name: h.Name, Data: data})
	}
}

// shifted returns the rules under other ids, with every letter of the values in their detections moved on by one.
func shifted(docs []sigma.Document) []sigma.Document {
	out := make([]sigma.Document, len(docs))
	for i, d := range docs {
		var b strings.Builder
		in := false
		for line := range strings.Lines(string(d.Data)) {
			switch {
			case strings.HasPrefix(line, "id:"):
				line = strings.NewReplacer("a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "f", "a").Replace(strings.TrimPrefix(line, "id:"))
				line = "id: x" + strings.TrimSpace(line) + "\n"
			case strings.HasPrefix(line, "detection:"):
				in = true
			case line[0] != ' ' && line[0] != '\n' && line[0] != '\r' && line[0] != '#':
				in = false
			case in && !strings.Contains(line, "condition:") && !strings.Contains(line, "|re"):
				line = shiftValue(line)
			}
			b.WriteString(line)
		}
		out[i] = sigma.Document{Name: "shifted/" + d.Name, Data: []byte(b.String())}
	}
	return out
}

// shiftValue moves the letters between single quotes.
func shiftValue(line string) string {
	b := []byte(line)
	quoted := false
	for i, c := range b {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == '#' && !quoted:
			return string(b)
		case quoted && c >= 'a' && c < 'z', quoted && c >= 'A' && c < 'Z':
			b[i]++
		}
	}
	return string(b)
}
