package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Limits on the examples of one file and the events of one example.
const (
	maxExamples      = 10_000
	maxExampleEvents = 100_000
	maxRegression    = 256 << 20 // bytes of one file of recorded events, unpacked
)

// RuleTest is one example of what a rule must or must not match, and what came of it.
type RuleTest struct {
	File   string // of the example
	Rule   string // id; empty where any rule of a file is meant
	Name   string
	Must   bool // match, or not match
	Passed bool
	Reason string // what was wrong; of a test that passed, what is worth a look
}

// RuleTests is what the examples of a pack say of its rules.
type RuleTests struct {
	Set      *sigma.RuleSet
	Errors   []sigma.LoadError
	Tests    []RuleTest
	Untested []*sigma.Rule // rules without any example that they must match
}

// TestRules runs the examples that lie beside the rules of each pack: examples/NAME.yml for NAME.yml, and regression
// data as the public corpus lays it out (regression_data/…/info.yml with recorded events), the latter in folders only.
// The source's own pack is not tested.
func TestRules(ctx context.Context, src RuleSource) (*RuleTests, error) {
	extra, err := readPipelines(src.Pipelines, src.Placeholders)
	if err != nil {
		return nil, err
	}
	t := &RuleTests{}
	var docs []sigma.Document
	packs := make([]*rulePack, len(src.Packs))
	for i, name := range src.Packs {
		if packs[i], err = readRulePack(ctx, name); err != nil {
			return nil, err
		}
		docs = append(docs, packs[i].documents(extra)...)
		t.Errors = append(t.Errors, packs[i].problems...)
	}
	set, bad := sigma.Compile(docs)
	t.Set, t.Errors = set, append(t.Errors, bad...)
	shown := map[string]bool{} // rules that some example must match
	for i, p := range packs {
		t.examples(p, shown)
		if err := t.regression(ctx, src.Packs[i], shown); err != nil {
			return nil, err
		}
	}
	for _, r := range t.heads() {
		if !shown[r.ID] {
			t.Untested = append(t.Untested, r)
		}
	}
	return t, nil
}

// heads returns the rules and then the correlations of the set.
func (t *RuleTests) heads() []*sigma.Rule {
	list := t.Set.Rules()
	for _, c := range t.Set.Correlations() {
		list = append(list, &c.Rule)
	}
	return list
}

// ruleExamples is a file of examples beside a rule.
type ruleExamples struct {
	Match   []ruleExample `yaml:"match"`
	NoMatch []ruleExample `yaml:"no_match"`
}

// ruleExample is one event, a record as it was logged, or several events in their order, for correlations.
type ruleExample struct {
	Name         string         `yaml:"name"`
	Rule         string         `yaml:"rule"` // id, name or title, where a file holds several rules
	Log          string         `yaml:"log"`
	Events       []exampleEvent `yaml:"events"`
	exampleEvent `yaml:",inline"`
}

// exampleEvent is an event as its decoder would make it: its fields, and what decoders and attribution say beside them.
type exampleEvent struct {
	Source    string            `yaml:"source"`
	Partner   string            `yaml:"partner"`
	Tenant    string            `yaml:"tenant"`
	Time      time.Time         `yaml:"time"`
	Host      string            `yaml:"host"`
	Actor     string            `yaml:"actor"`
	Account   string            `yaml:"account"`
	Country   string            `yaml:"country"`
	Status    string            `yaml:"status"` // success, failure
	Tool      string            `yaml:"tool"`
	Act       string            `yaml:"act"`
	Recipient string            `yaml:"recipient"`
	Links     []string          `yaml:"links"`
	Fields    map[string]string `yaml:"fields"`
}

func (x *exampleEvent) event(at time.Time) *ocsf.Event {
	e := &ocsf.Event{Tenant: LocalTenant, Time: at, Source: x.Source, Attribution: ocsf.Attribution{Partner: tenant.PartnerID(x.Partner)}}
	if !x.Time.IsZero() {
		e.Time = x.Time.UTC()
	}
	if x.Tenant != "" {
		e.Tenant = tenant.ID(x.Tenant)
	}
	e.Device, e.Actor.Name, e.User.Name = x.Host, x.Actor, x.Account
	e.Status = map[string]ocsf.Status{"success": ocsf.StatusSuccess, "failure": ocsf.StatusFailure}[x.Status]
	if x.Country != "" {
		e.Cloud = &ocsf.Cloud{Country: x.Country}
	}
	if x.Tool != "" || x.Act != "" {
		e.Remote = &ocsf.RemoteSession{Tool: x.Tool, Act: x.Act}
	}
	if x.Recipient != "" || len(x.Links) > 0 {
		e.Mail = &ocsf.Mail{To: []string{x.Recipient}}
		for _, url := range x.Links {
			e.Mail.Links = append(e.Mail.Links, ocsf.Link{URL: url})
		}
	}
	for k, v := range x.Fields {
		e.Fields = append(e.Fields, ocsf.Field{Name: k, Value: v})
	}
	e.Fields.Sort()
	return e
}

// examples runs the examples of a pack's rules.
func (t *RuleTests) examples(p *rulePack, shown map[string]bool) {
	byFile := map[string][]*sigma.Rule{}
	for _, r := range t.heads() {
		byFile[r.File] = append(byFile[r.File], r)
	}
	names := map[string]string{} // place in the pack → name for people
	for _, f := range p.rules {
		names[f.rel] = f.name
	}
	for _, f := range p.others {
		if kindOf(f.rel) != "example" {
			continue
		}
		// The rule lies beside the folder of its examples.
		folder, base := path.Split(f.rel)
		of := names[path.Join(path.Dir(strings.TrimSuffix(folder, "/")), base)]
		list := byFile[of]
		if len(list) == 0 {
			t.fail(f.name, "", "", "there is no rule %s beside it that loads", base)
			continue
		}
		t.exampleFile(f, list, shown)
	}
}

func (t *RuleTests) fail(file, rule, name, format string, args ...any) {
	t.Tests = append(t.Tests, RuleTest{File: file, Rule: rule, Name: name, Must: true, Reason: fmt.Sprintf(format, args...)})
}

func (t *RuleTests) exampleFile(f packFile, list []*sigma.Rule, shown map[string]bool) {
	var x ruleExamples
	dec := yaml.NewDecoder(bytes.NewReader(f.data))
	dec.KnownFields(true)
	if err := dec.Decode(&x); err != nil && !errors.Is(err, io.EOF) {
		t.fail(f.name, "", "", "reading the examples: %v", err)
		return
	}
	if len(x.Match)+len(x.NoMatch) > maxExamples {
		t.fail(f.name, "", "", "%d examples, at most %d are read", len(x.Match)+len(x.NoMatch), maxExamples)
		return
	}
	for i := range x.Match {
		t.example(f.name, &x.Match[i], true, list, shown)
	}
	for i := range x.NoMatch {
		t.example(f.name, &x.NoMatch[i], false, list, shown)
	}
}

// example runs one and notes the rules that it shows at work: those that it must match, and those of the file that
// these rest on.
func (t *RuleTests) example(file string, x *ruleExample, must bool, list []*sigma.Rule, shown map[string]bool) {
	one := RuleTest{File: file, Name: x.Name, Must: must}
	whole := list
	if x.Rule != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(r *sigma.Rule) bool {
			return !strings.EqualFold(r.ID, x.Rule) && r.Title != x.Rule && r.Name != x.Rule
		})
	} else {
		list = t.loud(list)
	}
	if len(list) == 1 {
		one.Rule = list[0].ID
	}
	var matched []*sigma.Rule
	events, reason := x.events()
	switch {
	case len(list) == 0:
		one.Reason = fmt.Sprintf("it is for rule %q, which is not in the file", x.Rule)
	case reason != "":
		one.Reason = reason
	default:
		hits := t.hits(events)
		for _, r := range list {
			if hits[r.ID] > 0 {
				matched = append(matched, r)
			}
		}
		one.Passed = (len(matched) > 0) == must
		for _, r := range whole {
			if must && one.Passed && hits[r.ID] > 0 {
				shown[r.ID] = true
			}
		}
		if !one.Passed && must {
			one.Reason = "it must match and does not"
		} else if !one.Passed {
			one.Reason = fmt.Sprintf("it must not match, and %q does", matched[0].Title)
		}
	}
	t.Tests = append(t.Tests, one)
}

// loud returns the rules of a file that an example means which names none: those that make findings of their own, where
// there are such. The others are there for their correlations.
func (t *RuleTests) loud(list []*sigma.Rule) []*sigma.Rule {
	out := slices.DeleteFunc(slices.Clone(list), func(r *sigma.Rule) bool { return t.Set.Quiet(r.ID) })
	if len(out) == 0 {
		return list
	}
	return out
}

// exampleStart is when the events of an example happen that gives no times: one a second from then on.
var exampleStart = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func (x *ruleExample) events() (list []*ocsf.Event, reason string) {
	given := 0
	for _, has := range [...]bool{x.Log != "", len(x.Events) > 0, len(x.Fields) > 0} {
		if has {
			given++
		}
	}
	if given != 1 {
		return nil, "an example has fields, events or log, one of them"
	}
	switch {
	case x.Log != "":
		return decodeExample(x.Log, x.Partner)
	case len(x.Events) > maxExampleEvents:
		return nil, fmt.Sprintf("%d events, at most %d are read", len(x.Events), maxExampleEvents)
	case len(x.Events) == 0:
		return []*ocsf.Event{x.event(exampleStart)}, ""
	}
	for i := range x.Events {
		list = append(list, x.Events[i].event(exampleStart.Add(time.Duration(i)*time.Second)))
	}
	slices.SortStableFunc(list, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	return list, ""
}

// collected is a sink that keeps what is decoded.
type collected struct {
	events []*ocsf.Event
	reason string
}

// Event keeps an event.
func (c *collected) Event(e *ocsf.Event, record int64, _ []byte) {
	e.Tenant = LocalTenant
	e.Raw.Record = record
	if len(c.events) < maxExampleEvents {
		c.events = append(c.events, e)
	}
}

// Bad keeps the first reason.
func (c *collected) Bad(record int64, reason string, _ []byte) {
	if c.reason == "" {
		c.reason = fmt.Sprintf("record %d can't be read: %s", record, reason)
	}
}

var _ decode.Sink = (*collected)(nil)

// decodeExample decodes records as a file of them would be.
func decodeExample(text, partner string) ([]*ocsf.Event, string) {
	c, err := decodeAll(context.Background(), "example", strings.NewReader(text))
	switch {
	case err != nil:
		return nil, err.Error()
	case c.reason != "":
		return nil, c.reason
	case len(c.events) == 0:
		return nil, "there is no record in its log"
	}
	for _, e := range c.events {
		e.Attribution.Partner = tenant.PartnerID(partner)
	}
	return c.events, ""
}

func decodeAll(ctx context.Context, name string, r io.Reader) (*collected, error) {
	format, head, err := recognise(Formats(), name, r)
	if err != nil {
		return nil, err
	}
	if format == nil {
		return nil, errors.New("the content is of no known format")
	}
	c := &collected{}
	return c, format.Read(ctx, name, io.MultiReader(bytes.NewReader(head), r), c)
}

// hits returns how many events each rule matches, and how often each correlation holds, quiet ones too.
func (t *RuleTests) hits(events []*ocsf.Event) map[string]int {
	hits := map[string]int{}
	replay := t.Set.NewReplay()
	replay.Match(events, func(_ int, r *sigma.Rule) { hits[r.ID]++ })
	replay.Correlate(func(c *sigma.Correlation, _ *ocsf.Event) { hits[c.ID]++ })
	return hits
}

// regressionInfo is an info.yml of the public corpus.
type regressionInfo struct {
	Rules []struct {
		ID    string `yaml:"id"`
		Title string `yaml:"title"`
	} `yaml:"rule_metadata"`
	Tests []struct {
		Name  string `yaml:"name"`
		Type  string `yaml:"type"`
		Count *int   `yaml:"match_count"`
		Path  string `yaml:"path"`
	} `yaml:"regression_tests_info"`
}

// regression runs the recorded cases in a folder. Nothing outside the folder is opened.
func (t *RuleTests) regression(ctx context.Context, folder string, shown map[string]bool) error {
	if st, err := os.Stat(folder); err != nil || !st.IsDir() {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("opening %s: %w", folder, err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.IsDir() && name != "." && strings.HasPrefix(path.Base(name), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Base(name) != "info.yml" || !slices.Contains(strings.Split(name, "/"), regressionFolder) {
			return nil
		}
		t.regressionCase(ctx, root, filepath.ToSlash(folder), name, shown)
		return nil
	})
}

func (t *RuleTests) regressionCase(ctx context.Context, root *os.Root, folder, name string, shown map[string]bool) {
	file := path.Join(folder, name)
	f, err := root.Open(name)
	if err != nil {
		t.fail(file, "", "", "opening it: %v", err)
		return
	}
	raw, err := bounded.ReadAll(f, sigma.MaxDocument)
	f.Close()
	var info regressionInfo
	if err == nil {
		err = yaml.Unmarshal(raw, &info)
	}
	switch {
	case err != nil:
		t.fail(file, "", "", "reading it: %v", err)
		return
	case len(info.Rules) != 1:
		t.fail(file, "", "", "it names %d rules under rule_metadata: one was expected", len(info.Rules))
		return
	}
	id := strings.ToLower(info.Rules[0].ID)
	for _, x := range info.Tests {
		one := RuleTest{File: file, Rule: id, Name: x.Name, Must: x.Count == nil || *x.Count > 0}
		want := 1
		if x.Count != nil {
			want = *x.Count
		}
		got, err := t.recorded(ctx, root, name, x.Path, id)
		switch {
		case t.Set.Rule(id) == nil:
			one.Reason = fmt.Sprintf("rule %s is not among those that load", id)
		case err != nil:
			one.Reason = err.Error()
		case !one.Must && got > 0, got < want:
			one.Reason = fmt.Sprintf("it matches %d events, and %d were expected", got, want)
		default:
			one.Passed = true
			if x.Count != nil && got > want {
				one.Reason = fmt.Sprintf("it matches %d events, more than the %d expected", got, want)
			}
		}
		if one.Must && got > 0 {
			shown[id] = true
		}
		t.Tests = append(t.Tests, one)
	}
}

// recorded counts the events of a file of the case that the rule matches. The path is the one within the corpus'
// repository; where the folder is a part of it, the file beside info.yml is meant.
func (t *RuleTests) recorded(ctx context.Context, root *os.Root, info, file, id string) (int, error) {
	file = strings.ReplaceAll(file, `\`, "/")
	f, err := root.Open(path.Clean(file))
	if err != nil {
		f, err = root.Open(path.Join(path.Dir(info), path.Base(file)))
	}
	if err != nil {
		return 0, fmt.Errorf("opening the recorded events: %w", err)
	}
	defer f.Close()
	c, err := decodeAll(ctx, path.Base(file), io.LimitReader(f, maxRegression))
	if err != nil {
		return 0, fmt.Errorf("decoding %s: %w", file, err)
	}
	n := 0
	t.Set.Match(c.events, func(_ int, r *sigma.Rule) {
		if r.ID == id {
			n++
		}
	})
	return n, nil
}
