package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	processing "github.com/breakwater-project/breakwater/internal/detect/sigma/pipeline"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/rules"
)

// Limits on a pack of rules: a folder, an archive or a file.
const (
	maxPackBytes   = 512 << 20 // of all files in it that are read
	maxPackMembers = 400_000   // files in it, of whatever kind
	maxPackTime    = 2 * time.Minute
)

// RuleSource names the rules of a run.
type RuleSource struct {
	Own          bool     // our own pack, which the program holds
	Packs        []string // folders, archives (zip, tar, gz, zst) or single files of Sigma rules
	Pipelines    []string // processing pipelines for the rules of all Packs, beside those that a pack brings
	Placeholders []string // files of values for placeholders, likewise
}

// Rules reads and compiles the rules of a source. A rule that can't be loaded is a LoadError and the rest goes on; an
// error means that a pack or pipeline could not be read at all.
func Rules(ctx context.Context, src RuleSource) (*sigma.RuleSet, []sigma.LoadError, error) {
	docs, bad, err := src.documents(ctx)
	if err != nil {
		return nil, nil, err
	}
	set, errs := sigma.Compile(docs)
	return set, append(bad, errs...), nil
}

func (src RuleSource) documents(ctx context.Context) (docs []sigma.Document, bad []sigma.LoadError, err error) {
	if src.Own {
		if docs, err = sigma.LoadFS(rules.FS); err != nil {
			return nil, nil, fmt.Errorf("reading our own rules: %w", err)
		}
	}
	extra, err := readPipelines(src.Pipelines, src.Placeholders)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range src.Packs {
		p, err := readRulePack(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		bad = append(bad, p.problems...)
		docs = append(docs, p.documents(extra)...)
	}
	return docs, bad, nil
}

// readPipelines reads files of pipelines and of placeholders.
func readPipelines(pipelines, placeholders []string) ([]*processing.Pipeline, error) {
	var out []*processing.Pipeline
	read := func(name string, parse func(string, []byte) (*processing.Pipeline, error)) error {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("reading a pipeline: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, processing.MaxFile+1))
		if err != nil {
			return fmt.Errorf("reading pipeline %s: %w", name, err)
		}
		p, err := parse(filepath.ToSlash(name), data)
		if err == nil {
			out = append(out, p)
		}
		return err
	}
	for _, name := range pipelines {
		if err := read(name, processing.Parse); err != nil {
			return nil, err
		}
	}
	for _, name := range placeholders {
		if err := read(name, processing.ParsePlaceholders); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rulePack is what a folder or archive of rules holds.
type rulePack struct {
	rules     []packFile
	pipelines []*processing.Pipeline
	others    []packFile // pipelines, placeholders, examples and licences, as they are
	problems  []sigma.LoadError
	bytes     int64
}

// packFile is one file of a pack.
type packFile struct {
	rel  string // within the pack, slash-separated, without ".."
	name string // for people: with the pack's own name
	data []byte
}

// documents returns the pack's rules; its own pipelines and then the extra ones prepare them.
func (p *rulePack) documents(extra []*processing.Pipeline) []sigma.Document {
	var prepare func(*yaml.Node) error
	if chain := processing.NewChain(append(slices.Clone(p.pipelines), extra...)...); chain.Len() > 0 {
		prepare = chain.Apply
	}
	licence := p.licence()
	docs := make([]sigma.Document, len(p.rules))
	for i, f := range p.rules {
		docs[i] = sigma.Document{Name: f.name, Data: f.data, License: licence, Prepare: prepare}
	}
	return docs
}

// licence names what the pack's own licence file says of all its rules, so that it goes with every match: DRL-1.1 asks
// for that. Other licences are named by their file.
func (p *rulePack) licence() string {
	for _, f := range p.others {
		if kindOf(f.rel) != "licence" {
			continue
		}
		if bytes.Contains(f.data, []byte("Detection Rule License")) {
			return "DRL-1.1"
		}
		return "see " + f.rel + " of the pack"
	}
	return ""
}

// The folders of a pack whose files are no rules, wherever they lie in it, and the file that gives placeholders
// their values.
const (
	examplesFolder   = "examples"        // what our rules must and must not match
	testsFolder      = "tests"           // of the public corpus
	regressionFolder = "regression_data" // likewise
	pipelinesFolder  = "pipelines"
	placeholdersFile = "placeholders"
	givenFolder      = "given" // what `rule update` was given to take along
)

// kindOf says what a file of a pack is: rule, pipeline, placeholders, example, licence, or "" for anything else.
func kindOf(rel string) string {
	base := path.Base(rel)
	ext := strings.ToLower(path.Ext(base))
	isYAML := ext == ".yml" || ext == ".yaml"
	kind := ""
	for _, folder := range strings.Split(path.Dir(rel), "/") {
		switch {
		case folder == testsFolder, folder == regressionFolder, len(folder) > 1 && strings.HasPrefix(folder, "."):
			return ""
		case folder == examplesFolder && kind == "":
			kind = "example"
		case folder == pipelinesFolder && kind == "":
			kind = "pipeline"
		}
	}
	stem := strings.ToUpper(strings.TrimSuffix(base, path.Ext(base)))
	switch {
	case strings.HasPrefix(strings.ToUpper(base), "LICENSE"), strings.HasPrefix(strings.ToUpper(base), "LICENCE"), stem == "NOTICE":
		return "licence"
	case !isYAML, strings.HasPrefix(base, "."):
		return ""
	case kind != "":
		return kind
	case strings.EqualFold(stem, placeholdersFile):
		return "placeholders"
	}
	return "rule"
}

// readRulePack reads a folder, an archive or one file of rules. What of it can't be read is among its problems.
func readRulePack(ctx context.Context, name string) (*rulePack, error) {
	return rulePackFrom(name, func(limits bounded.Limits, visit func(bounded.File) error) error {
		_, err := bounded.Walk(ctx, []string{name}, limits, visit)
		return err
	})
}

// rulePackFrom reads what a walk over a pack visits.
func rulePackFrom(name string, walk func(bounded.Limits, func(bounded.File) error) error) (*rulePack, error) {
	p := &rulePack{}
	shown := filepath.ToSlash(name)
	limits := bounded.Limits{MaxMembers: maxPackMembers, MaxFileBytes: maxPackBytes, MaxTime: maxPackTime}
	limits.Problem = func(file, reason string) {
		p.problems = append(p.problems, sigma.LoadError{File: file, Reason: reason})
	}
	err := walk(limits, func(f bounded.File) error {
		rel := within(shown, f.Path)
		if f.Path == shown && kindOf(rel) != "rule" {
			return errors.New("it is neither a folder, nor an archive (zip, tar, gz, zst), nor a .yml file")
		}
		return p.take(f, rel)
	})
	if err == nil {
		err = p.readOwnPipelines()
	}
	if err != nil {
		return nil, fmt.Errorf("reading rules %s: %w", name, err)
	}
	return p, nil
}

// within returns a file's place in the pack.
func within(root, file string) string {
	file = strings.TrimPrefix(file, root)
	if i := strings.LastIndexByte(file, '!'); i >= 0 {
		file = file[i+1:]
	}
	file = strings.TrimPrefix(path.Clean("/"+file), "/")
	if file == "" {
		return path.Base(root)
	}
	return file
}

func (p *rulePack) take(f bounded.File, rel string) error {
	kind := kindOf(rel)
	if kind == "" {
		return nil
	}
	limit := int64(sigma.MaxDocument)
	if kind == "pipeline" || kind == "placeholders" {
		limit = processing.MaxFile
	}
	data, err := io.ReadAll(io.LimitReader(f.Reader, limit+1))
	if err != nil {
		return err
	}
	if p.bytes += int64(len(data)); p.bytes > maxPackBytes {
		return fmt.Errorf("more than %d MiB of rules", maxPackBytes>>20)
	}
	one := packFile{rel: rel, name: f.Path, data: data}
	if kind == "rule" {
		if len(p.rules) >= sigma.MaxDocuments {
			return fmt.Errorf("more than %d rule files", sigma.MaxDocuments)
		}
		p.rules = append(p.rules, one)
		return nil
	}
	if len(p.others) >= sigma.MaxDocuments {
		return fmt.Errorf("more than %d files beside the rules", sigma.MaxDocuments)
	}
	p.others = append(p.others, one)
	return nil
}

func given(rel string) int {
	if strings.HasPrefix(rel, givenFolder+"/") {
		return 1
	}
	return 0
}

// readOwnPipelines reads the pipelines and placeholders that the pack brings.
func (p *rulePack) readOwnPipelines() error {
	var errs []error
	// What an update was given for this site comes last, and wins.
	slices.SortStableFunc(p.others, func(a, b packFile) int {
		return cmp.Compare(given(a.rel), given(b.rel))
	})
	for _, f := range p.others {
		var one *processing.Pipeline
		var err error
		switch kindOf(f.rel) {
		case "pipeline":
			one, err = processing.Parse(f.name, f.data)
		case "placeholders":
			one, err = processing.ParsePlaceholders(f.name, f.data)
		default:
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.pipelines = append(p.pipelines, one)
	}
	return errors.Join(errs...)
}
