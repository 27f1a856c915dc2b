package app

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Limits on fetching a pack of rules.
const (
	maxPackDownload = 256 << 20 // bytes, packed
	packTimeout     = 5 * time.Minute
	maxRedirects    = 5
)

// packManifest is the member of an updated pack that says where it came from.
const packManifest = "breakwater-pack.json"

// RuleUpdate says what a pack is to be replaced by.
type RuleUpdate struct {
	Source       string   // a folder, archive or https:// address
	SHA256       string   // of the archive, in hex; must be there for an address, may be for a file
	Target       string   // the pack that scan and serve read: one .zip file, replaced in one step
	Pipelines    []string // files that the pack takes along and whose rules they prepare
	Placeholders []string
	SkipBad      bool // leave out rules that don't load, instead of refusing the pack
	DryRun       bool // say what would change, and change nothing
	Private      bool // the address may be a private or loopback one

	roots *tls.Config // for tests; nil: the system's
}

// PackRule is a rule of a pack, by what people know it by.
type PackRule struct {
	ID, Title string
	sum       [sha256.Size]byte
}

// PackChange is what an update changes.
type PackChange struct {
	Rules                   int // that the new pack has
	SHA256                  string
	Added, Changed, Removed []PackRule        // by id
	Left                    []sigma.LoadError // what was left out
	OldUnreadable           string            // why there is nothing to compare with, though there is a pack
}

// BadRulesError says that a pack was refused because of rules that don't load.
type BadRulesError struct{ Errors []sigma.LoadError }

// Error says how many there are.
func (e *BadRulesError) Error() string {
	return fmt.Sprintf("%d rules do not load: the pack is as it was", len(e.Errors))
}

// UpdateRules puts a new pack in the place of an old one. The new one is read, checked and written beside the old one
// first; whatever goes wrong, the old one stays as it was.
func UpdateRules(ctx context.Context, u RuleUpdate) (*PackChange, error) {
	if st, err := os.Stat(u.Target); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: an updated pack is one .zip file, so that it can be replaced in one step", u.Target)
	}
	p, sum, err := u.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if len(p.problems) > 0 {
		return nil, fmt.Errorf("reading the new pack: %w", p.problems[0])
	}
	if err := u.takeAlong(p); err != nil {
		return nil, err
	}
	change := &PackChange{SHA256: sum}
	if err := u.check(p, change); err != nil {
		return nil, err
	}
	fresh, err := rulesOf(p)
	if err != nil {
		return nil, err
	}
	change.compare(u.old(ctx, change), fresh)
	if u.DryRun {
		return change, nil
	}
	return change, u.write(ctx, p, change)
}

// fetch reads the new pack and gives the checksum of its archive, "" of a folder.
func (u *RuleUpdate) fetch(ctx context.Context) (*rulePack, string, error) {
	if strings.Contains(u.Source, "://") {
		return u.download(ctx)
	}
	st, err := os.Stat(u.Source)
	if err != nil {
		return nil, "", fmt.Errorf("reading rules: %w", err)
	}
	if st.IsDir() {
		if u.SHA256 != "" {
			return nil, "", fmt.Errorf("%s is a folder, and a checksum is of one file", u.Source)
		}
		p, err := readRulePack(ctx, u.Source)
		return p, "", err
	}
	f, err := os.Open(u.Source)
	if err != nil {
		return nil, "", fmt.Errorf("reading rules: %w", err)
	}
	defer f.Close()
	return u.unpack(ctx, u.Source, f)
}

// unpack checks a file's checksum and reads the pack from the same open file.
func (u *RuleUpdate) unpack(ctx context.Context, name string, f *os.File) (*rulePack, string, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxPackDownload+1))
	if err != nil {
		return nil, "", fmt.Errorf("reading rules %s: %w", name, err)
	}
	if n > maxPackDownload {
		return nil, "", fmt.Errorf("reading rules %s: more than %d MiB", name, maxPackDownload>>20)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if u.SHA256 != "" && !strings.EqualFold(u.SHA256, sum) {
		return nil, "", fmt.Errorf("the checksum of %s is %s and should be %s: it is not the pack that was meant", name, sum, strings.ToLower(u.SHA256))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, "", fmt.Errorf("reading rules %s: %w", name, err)
	}
	p, err := rulePackFrom(name, func(limits bounded.Limits, visit func(bounded.File) error) error {
		_, err := bounded.Unpack(ctx, filepath.ToSlash(name), f, limits, visit)
		return err
	})
	return p, sum, err
}

// download fetches the archive into a file of its own beside the target.
func (u *RuleUpdate) download(ctx context.Context) (*rulePack, string, error) {
	at, err := url.Parse(u.Source)
	switch {
	case err != nil || at.Host == "" || at.Scheme != "https" || at.User != nil:
		return nil, "", errors.New("a pack is fetched from an https:// address without user and password")
	case len(u.SHA256) != sha256.Size*2:
		return nil, "", errors.New("a pack that is fetched needs --sha256, its SHA-256 in hex, from where its makers tell it")
	}
	ctx, cancel := context.WithTimeout(ctx, packTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.Source, nil)
	if err != nil {
		return nil, "", fmt.Errorf("fetching rules: %w", err)
	}
	resp, err := u.client().Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("fetching rules: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("fetching rules: %s answers %s", at.Host, resp.Status)
	}
	f, err := os.CreateTemp(filepath.Dir(u.Target), ".rules-*.part")
	if err != nil {
		return nil, "", fmt.Errorf("fetching rules: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := io.Copy(f, bounded.NewReader(resp.Body, maxPackDownload)); err != nil {
		return nil, "", fmt.Errorf("fetching rules from %s: %w", at.Host, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, "", fmt.Errorf("fetching rules: %w", err)
	}
	name := path.Base(at.Path)
	if name == "/" || name == "." {
		name = at.Host
	}
	return u.unpack(ctx, name, f)
}

func (u *RuleUpdate) client() *http.Client {
	conf := u.roots
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Scheme != "https" || len(via) > maxRedirects {
				return errors.New("it redirects to an address that is not https://, or too often")
			}
			return nil
		},
		Transport: &http.Transport{
			DialContext: (&bounded.Dialer{Private: u.Private}).DialContext, TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2: true, ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: 32 << 10, DisableKeepAlives: true,
		},
	}
}

// takeAlong adds the pipelines and placeholders that the pack is to keep.
func (u *RuleUpdate) takeAlong(p *rulePack) error {
	extra, err := readPipelines(u.Pipelines, u.Placeholders)
	if err != nil {
		return err
	}
	p.pipelines = append(p.pipelines, extra...)
	for i, name := range u.Pipelines {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a pipeline: %w", err)
		}
		p.others = append(p.others, packFile{rel: fmt.Sprintf("%s/%d/%s/pipeline.yml", givenFolder, i+1, pipelinesFolder), name: name, data: data})
	}
	for i, name := range u.Placeholders {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading placeholders: %w", err)
		}
		p.others = append(p.others, packFile{rel: fmt.Sprintf("%s/%d/%s.yml", givenFolder, i+1, placeholdersFile), name: name, data: data})
	}
	return nil
}

// check compiles the new pack, and leaves out what does not load where that is allowed.
func (u *RuleUpdate) check(p *rulePack, change *PackChange) error {
	seen := map[string]bool{}
	for _, f := range slices.Concat(p.rules, p.others) {
		if seen[f.rel] {
			return fmt.Errorf("the new pack has two files %s", f.rel)
		}
		seen[f.rel] = true
	}
	set, bad := sigma.Compile(p.documents(nil))
	if len(bad) > 0 && !u.SkipBad {
		return &BadRulesError{bad}
	}
	if set.Len() == 0 {
		return errors.New("the new pack has no rule that loads")
	}
	change.Rules, change.Left = set.Len(), bad
	if len(bad) == 0 {
		return nil
	}
	broken := map[string]bool{}
	for _, e := range bad {
		broken[e.File] = true
	}
	for _, r := range set.Rules() {
		delete(broken, r.File) // something of it loads
	}
	p.rules = slices.DeleteFunc(p.rules, func(f packFile) bool { return broken[f.name] })
	return nil
}

// rulesOf lists the documents of a pack that have an id, with a checksum of what each says.
func rulesOf(p *rulePack) (map[string]PackRule, error) {
	out := map[string]PackRule{}
	for _, f := range p.rules {
		for dec := yaml.NewDecoder(bytes.NewReader(f.data)); ; {
			var n yaml.Node
			if err := dec.Decode(&n); err != nil {
				break // its end, or what check has told and allowed
			}
			var head struct {
				ID    string `yaml:"id"`
				Title string `yaml:"title"`
			}
			if err := n.Decode(&head); err != nil || head.ID == "" {
				continue
			}
			text, err := yaml.Marshal(&n)
			if err != nil {
				return nil, fmt.Errorf("comparing %s: %w", f.name, err)
			}
			id := strings.ToLower(head.ID)
			out[id] = PackRule{id, head.Title, sha256.Sum256(text)}
		}
	}
	return out, nil
}

// old reads the pack that is there.
func (u *RuleUpdate) old(ctx context.Context, change *PackChange) map[string]PackRule {
	if _, err := os.Stat(u.Target); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	p, err := readRulePack(ctx, u.Target)
	if err == nil && len(p.problems) > 0 {
		err = p.problems[0]
	}
	var list map[string]PackRule
	if err == nil {
		list, err = rulesOf(p)
	}
	if err != nil {
		change.OldUnreadable = err.Error()
	}
	return list
}

func (c *PackChange) compare(old, fresh map[string]PackRule) {
	for id, r := range fresh {
		if before, ok := old[id]; !ok {
			c.Added = append(c.Added, r)
		} else if before.sum != r.sum {
			c.Changed = append(c.Changed, r)
		}
	}
	for id, r := range old {
		if _, ok := fresh[id]; !ok {
			c.Removed = append(c.Removed, r)
		}
	}
	for _, list := range [...][]PackRule{c.Added, c.Changed, c.Removed} {
		slices.SortFunc(list, func(a, b PackRule) int { return cmp.Compare(a.ID, b.ID) })
	}
}

// write writes the pack beside the target, reads it again, and renames it.
func (u *RuleUpdate) write(ctx context.Context, p *rulePack, change *PackChange) (err error) {
	dir := filepath.Dir(u.Target)
	f, err := os.CreateTemp(dir, ".rules-*.zip")
	if err != nil {
		return fmt.Errorf("writing the new pack: %w", err)
	}
	defer func() {
		f.Close()
		os.Remove(f.Name()) // gone already where all went well
		if err != nil {
			err = fmt.Errorf("writing the new pack, the old one stays: %w", err)
		}
	}()
	if err := u.archive(f, p, change); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	again, err := readRulePack(ctx, f.Name())
	if err != nil {
		return err
	}
	if set, _ := sigma.Compile(again.documents(nil)); len(again.problems) > 0 || set.Len() != change.Rules {
		return fmt.Errorf("it reads as %d rules and not %d", set.Len(), change.Rules)
	}
	if err := os.Rename(f.Name(), u.Target); err != nil {
		return err
	}
	if d, openErr := os.Open(dir); openErr == nil { // so that the new name outlives a power cut
		defer d.Close()
		_ = d.Sync() // not every file system can
	}
	return nil
}

// archive writes the same bytes for the same pack: files by name, without times.
func (u *RuleUpdate) archive(w io.Writer, p *rulePack, change *PackChange) error {
	manifest, err := json.MarshalIndent(map[string]any{"source": u.Source, "sha256": change.SHA256, "rules": change.Rules}, "", "  ")
	if err != nil {
		return err
	}
	files := append(slices.Concat(p.rules, p.others), packFile{rel: packManifest, data: manifest})
	slices.SortFunc(files, func(a, b packFile) int { return cmp.Compare(a.rel, b.rel) })
	z := zip.NewWriter(w)
	for _, f := range files {
		m, err := z.CreateHeader(&zip.FileHeader{Name: f.rel, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := m.Write(f.data); err != nil {
			return err
		}
	}
	return z.Close()
}
