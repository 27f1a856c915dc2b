package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// Bounds of what a running server reads of evidence, tighter than those of a command: it has other work.
const (
	serveFacts   = 200_000          // of one tenant
	serveReading = 10 * time.Minute // of one tenant's folders
	maxStamped   = 50_000           // files of one tenant that are looked at for changes
	maxPolicy    = 4 << 20          // bytes
)

// postureRules is what a server judges by: controls, the site's policy, the catalogue of exploited vulnerabilities, and
// the statements of partners. It doesn't change once loaded.
type postureRules struct {
	library    *posture.Library
	policy     *posture.Policy
	kev        *product.KEV
	kevFile    string
	statements []partnerStatement
	problems   []string // what is wrong in what was loaded, a line each; the rest holds
}

// partnerStatement is a statement whose signature holds and whose key is the one that was pinned.
type partnerStatement struct {
	partner tenant.PartnerID
	file    string
	*posture.Verified
}

// loadPostureRules reads what the section names. The error is for what nothing can be judged without, or would be judged
// by less than was asked for; a statement or a catalogue that can't be read is a problem.
func loadPostureRules(p *config.Posture) (*postureRules, error) {
	r := &postureRules{}
	sources := []posture.Source{posture.Shipped()}
	if p.Controls != "" {
		if st, err := os.Stat(p.Controls); err != nil || !st.IsDir() {
			return nil, errors.Join(err, fmt.Errorf("posture.controls: %s is no folder", p.Controls))
		}
		sources = append(sources, posture.Source{Files: os.DirFS(p.Controls), Shown: filepath.ToSlash(p.Controls), Own: true})
	}
	library, problems, err := posture.Load(sources...)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%d controls do not load, the first: %w", len(problems), problems[0])
	}
	r.library = library
	if p.Policy != "" {
		data, err := readWhole(p.Policy, maxPolicy)
		if err != nil {
			return nil, fmt.Errorf("reading the policy of posture: %w", err)
		}
		policy, problems := library.ParsePolicy(p.Policy, data)
		if policy == nil {
			return nil, fmt.Errorf("the policy of posture is not taken: %w", problems[0])
		}
		r.policy = policy
	}
	r.catalogue(p)
	for _, s := range p.Statements {
		v, err := readStatement(s)
		if err != nil {
			r.problems = append(r.problems, err.Error())
			continue
		}
		r.statements = append(r.statements, partnerStatement{s.Partner, s.File, v})
	}
	return r, nil
}

// catalogue reads KEV's: the one that is named, or the one that posture update has kept.
func (r *postureRules) catalogue(p *config.Posture) {
	name := p.KEV
	if name == "" {
		kept, err := product.DefaultKEVFile()
		if err != nil {
			return // without a home nothing is kept
		}
		name = kept
	}
	k, err := product.LoadKEV(name)
	if p.KEV == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.problems = append(r.problems, err.Error())
		return
	}
	r.kev, r.kevFile = k, name
}

// readStatement reads a partner's statement. One that another key signed is not taken, whatever it says.
func readStatement(s config.PostureStatement) (*posture.Verified, error) {
	data, err := readWhole(s.File, posture.MaxStatement)
	if err != nil {
		return nil, fmt.Errorf("reading the statement of %s: %w", s.Partner, err)
	}
	v, err := posture.VerifyStatement(data)
	if err != nil {
		return nil, fmt.Errorf("the statement of %s (%s) is not taken: %w", s.Partner, s.File, err)
	}
	if v.Signer != s.Key {
		return nil, fmt.Errorf("the statement of %s (%s) is signed by %s and not by the pinned %s: ask the partner by another way", s.Partner, s.File, v.Signer, s.Key)
	}
	return v, nil
}

func readWhole(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, most)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// ruleStamp tells the files that rules are loaded from apart from what they were.
func ruleStamp(p *config.Posture) string {
	var b strings.Builder
	names := []string{p.Policy, p.KEV}
	if p.KEV == "" {
		if kept, err := product.DefaultKEVFile(); err == nil {
			names = append(names, kept)
		}
	}
	for _, s := range p.Statements {
		names = append(names, s.File)
	}
	for _, name := range names {
		if st, err := os.Stat(name); name != "" && err == nil {
			fmt.Fprintln(&b, name, st.Size(), st.ModTime().UnixNano())
		}
	}
	fmt.Fprintf(&b, "%+v\n", *p)
	if p.Controls != "" {
		b.WriteString(folderStamp([]string{p.Controls}))
	}
	return b.String()
}

// folderStamp tells the files in folders apart from what they were, by names, sizes and times of change. It follows no
// link out of them.
func folderStamp(dirs []string) string {
	var b strings.Builder
	n := 0
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			if n++; n > maxStamped {
				return filepath.SkipAll
			}
			if st, err := d.Info(); err == nil {
				fmt.Fprintln(&b, name, st.Size(), st.ModTime().UnixNano())
			}
			return nil
		})
	}
	return b.String()
}

// postureRoots are the folders of one tenant's evidence, each with what is cut off its files' names for people.
func postureRoots(p *config.Posture, data string, id tenant.ID) (dirs, hide []string) {
	name := string(id)
	add := func(dir, root string) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() && !slices.Contains(dirs, dir) {
			dirs, hide = append(dirs, dir), append(hide, filepath.ToSlash(root)+"/")
		}
	}
	if filepath.Base(name) == name && name != "." && name != ".." && !strings.ContainsAny(name, `/\`) {
		for _, root := range p.Folders {
			add(filepath.Join(root, name), root)
		}
		add(filepath.Join(addedFolder(data), name), addedFolder(data))
	}
	for _, dir := range p.FoldersOf(id) {
		add(dir, filepath.Dir(dir))
	}
	return dirs, hide
}

// addedFolder is where facts lie that came over the API, a folder a tenant.
func addedFolder(data string) string { return filepath.Join(data, "posture", "evidence") }

// errFacts ends the reading of a file where a tenant has more facts than a server holds.
var errFacts = fmt.Errorf("more than %d facts of one tenant: the rest is not read by serve", serveFacts)

// factsOf lets the formats read files that are all one tenant's, however they are sorted into folders below, and give no
// more than so many facts together. A fact that names another tenant is a bad record.
func factsOf(list []evidence.Format, id tenant.ID, most int) []evidence.Format {
	left := most
	out := slices.Clone(list)
	for i := range out {
		read := out[i].Read
		out[i].Read = func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			in.Tenant = id
			give := sink.Item
			sink.Item = func(it evidence.Item) error {
				if it.Tenant != "" && it.Tenant != id {
					sink.Bad(it.From.Line, fmt.Sprintf("a fact of the tenant %s in what is %s's", it.Tenant, id))
					return nil
				}
				if left--; left < 0 {
					return errFacts
				}
				it.Tenant = "" // the folder below decides nothing
				return give(it)
			}
			return read(ctx, in, sink)
		}
	}
	return out
}

// tenantReading is what was read of one tenant.
type tenantReading struct {
	items []evidence.Item
	files []posture.FileRead
}

// readEvidence reads one tenant's folders, and opens nothing of any other's.
func readEvidence(ctx context.Context, k posture.Knowledge, dirs []string, id tenant.ID, within time.Duration) (*tenantReading, error) {
	out := &tenantReading{}
	if len(dirs) == 0 {
		return out, nil
	}
	inner, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	f := posture.Folder{Dirs: dirs, Formats: factsOf(posture.Formats(k), id, serveFacts), Loose: id}
	reading, err := f.Read(inner)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("reading the evidence of %s: %w", id, ctx.Err())
	case inner.Err() != nil:
		return nil, fmt.Errorf("the evidence of %s was not read within %s: what was judged before stays", id, within)
	case err != nil:
		return nil, err
	}
	out.files = reading.Files
	for i := range out.files {
		out.files[i].Tenant = id
	}
	for _, e := range reading.Tenants {
		for i := range e.Items {
			e.Items[i].Tenant = id
		}
		out.items = append(out.items, e.Items...)
	}
	return out, nil
}
