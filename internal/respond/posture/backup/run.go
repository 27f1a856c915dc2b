package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Outcome is what a drill showed.
type Outcome struct {
	Drill      *Drill
	At         time.Time // the drill began
	SnapshotAt time.Time // zero: not known
	Took       time.Duration
	Restored   bool
	Files      int64
	Bytes      int64
	// Of files, where there is a manifest; Hashed says whether there was.
	Hashed                            bool
	Compared, Missing, Changed, Extra int64
	Examples                          []string // paths of what is missing, changed or broken, at most 20; for the tenant's own eyes
	CanariesBroken                    int64
	RowsCompared, RowsWrong           int64
	Encrypted                         int64
	Signs                             []any
	Problem                           string // why it did not restore; empty: it did
}

// clockSlack is by how much the clock of whoever made a snapshot may be ahead of ours.
const clockSlack = 5 * time.Minute

// maxExamples bounds Outcome.Examples.
const maxExamples = 20

// OK reports whether the backup came back as it should.
func (o *Outcome) OK() bool {
	return o.Restored && o.Missing == 0 && o.Changed == 0 && o.CanariesBroken == 0 && o.RowsWrong == 0 && len(o.Signs) == 0
}

// Run restores a backup into a scratch folder, compares it and removes the folder. What is wrong with the backup is in
// the outcome; the error is for a drill that could not begin (a manifest that can't be read, no room for the folder) or
// whose folder could not be removed.
func (d *Drill) Run(ctx context.Context, now time.Time) (o *Outcome, err error) {
	o = &Outcome{Drill: d, At: now.UTC()}
	var want Manifest
	if d.Manifest != "" {
		f, err := os.Open(d.file(d.Manifest))
		if err != nil {
			return nil, fmt.Errorf("the drill %s: %w", d.Name, err)
		}
		want, err = ReadManifest(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("the drill %s: %s: %w", d.Name, d.Manifest, err)
		}
		for _, c := range d.Canaries {
			if _, ok := want[cleaned(c)]; !ok {
				return nil, fmt.Errorf("the drill %s: the manifest does not hold the canary %s", d.Name, c)
			}
		}
	}
	if d.Sample > 0 {
		want = want.draw(d.Sample, now.UTC().Format(time.DateOnly), d.Canaries)
	}
	s, inner, err := newScratch(ctx, d.file(d.Scratch), d.Limits)
	if err != nil {
		return nil, fmt.Errorf("the drill %s: %w", d.Name, err)
	}
	defer func() {
		if rerr := s.remove(); rerr != nil {
			err = errors.Join(err, fmt.Errorf("the drill %s: %w", d.Name, rerr))
		}
	}()
	begin := time.Now()
	var restoring error
	switch d.Kind {
	case KindRestic:
		o.SnapshotAt, restoring = d.restic(inner, s, d.wanted(want))
	case KindBorg:
		o.SnapshotAt, restoring = d.borg(inner, s, d.wanted(want))
	case KindTree:
		o.SnapshotAt, restoring = d.tree(inner, s, d.wanted(want))
	case KindDatabase:
		o.SnapshotAt, restoring = d.database(inner, s, o)
	}
	o.Took = time.Since(begin)
	if restoring == nil {
		restoring = s.within(inner, d.Limits) // it may have been faster than the watch
	}
	if restoring != nil {
		if cause := context.Cause(inner); inner.Err() != nil && ctx.Err() == nil {
			restoring = cause
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the drill %s: %w", d.Name, ctx.Err())
		}
		o.Problem = restoring.Error()
		return o, nil
	}
	o.Restored = true
	if d.Kind != KindDatabase {
		if err := d.compare(inner, s, want, o); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("the drill %s: %w", d.Name, ctx.Err())
			}
			o.Restored, o.Problem = false, fmt.Sprintf("what was restored cannot be read: %v", err)
		}
	}
	return o, nil
}

// compare holds what was restored against the manifest and looks for signs of encryption. Files are opened through a
// root, so that no link of the backup leads out of the scratch folder.
func (d *Drill) compare(ctx context.Context, s *scratch, want Manifest, o *Outcome) error {
	root, err := d.described(s)
	if errors.Is(err, fs.ErrNotExist) {
		o.Hashed, o.Missing = want != nil, int64(len(want))
		if want == nil {
			return fmt.Errorf("the backup holds no %s", d.Root)
		}
		o.CanariesBroken = int64(len(d.Canaries))
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	seen := map[string]bool{}
	broken := map[string]bool{}
	example := func(format, name string) {
		if len(o.Examples) < maxExamples {
			o.Examples = append(o.Examples, fmt.Sprintf(format, name))
		}
	}
	var sg signs
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			example("%s cannot be read", name)
			return nil
		}
		if e.IsDir() || !e.Type().IsRegular() {
			return nil
		}
		var first head
		sum, n, err := hashIn(ctx, root, name, &first)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			example("%s cannot be read", name) // in a manifest it counts as changed
			if _, ok := want[name]; ok {
				seen[name], broken[name] = true, true
				o.Compared++
				o.Changed++
			}
			return nil
		}
		o.Files++
		o.Bytes += n
		sg.look(name, first.data)
		if want == nil {
			return nil
		}
		should, ok := want[name]
		switch {
		case !ok && d.Sample == 0 && len(d.Paths) == 0:
			o.Extra++
		case !ok:
		default:
			seen[name] = true
			o.Compared++
			if sum != should {
				o.Changed++
				broken[name] = true
				example("%s is changed", name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var encrypted int
	o.Signs, encrypted = sg.words()
	o.Encrypted = int64(encrypted)
	if want == nil {
		if o.Files == 0 {
			return errors.New("not one file came out")
		}
		return nil
	}
	o.Hashed = true
	for _, name := range sortedNames(want) {
		if !seen[name] && d.asked(name) {
			o.Missing++
			broken[name] = true
			example("%s is missing", name)
		}
	}
	for _, c := range d.Canaries {
		if broken[cleaned(c)] {
			o.CanariesBroken++
		}
	}
	return nil
}

// asked reports whether a file of the manifest is among the paths that were to be restored.
func (d *Drill) asked(name string) bool {
	if len(d.Paths) == 0 {
		return true
	}
	full := path.Join(cleaned(d.Root), name)
	for _, p := range d.Paths {
		p = cleaned(p)
		if full == p || p == "." || len(full) > len(p) && full[:len(p)] == p && full[len(p)] == '/' {
			return true
		}
	}
	return false
}

// Items are the facts that an outcome is, for a tenant.
func (o *Outcome) Items(id tenant.ID) []evidence.Item {
	v := map[string]any{"tool": string(o.Drill.Kind), "restored": o.Restored, "read_data": o.Restored, "rto_seconds": o.Took.Seconds()}
	if !o.SnapshotAt.IsZero() {
		v["snapshot_at"] = o.SnapshotAt.UTC()
		// A snapshot from the future tells of a clock that is wrong, and not of how much would be lost.
		if age := o.At.Sub(o.SnapshotAt); age >= -clockSlack {
			v["rpo_hours"] = max(age, 0).Hours()
		}
	}
	if o.Restored && o.Drill.Kind != KindDatabase {
		v["files"], v["bytes"], v["encrypted"] = o.Files, o.Bytes, o.Encrypted
		if len(o.Signs) > 0 {
			v["signs"] = o.Signs
		}
	}
	if o.Hashed {
		v["compared"], v["missing"], v["changed"] = o.Compared, o.Missing, o.Changed
		if o.Drill.Sample == 0 && len(o.Drill.Paths) == 0 {
			v["extra"] = o.Extra
		}
	}
	if n := len(o.Drill.Canaries); n > 0 && o.Restored {
		v["canaries"], v["canaries_broken"] = int64(n), o.CanariesBroken
	}
	if len(o.Drill.Rows) > 0 && o.Restored {
		v["rows_compared"], v["rows_wrong"] = o.RowsCompared, o.RowsWrong
	}
	if o.Problem != "" {
		v["problem"] = o.Problem
	}
	items := []evidence.Item{{Tenant: id, Kind: KindDrill, Subject: o.Drill.Name, At: o.At, Values: v}}
	media, offsite, offline := map[string]bool{}, false, false
	for _, c := range o.Drill.Copies {
		items = append(items, evidence.Item{Tenant: id, Kind: KindCopy, Subject: o.Drill.Name + ": " + c.Name, At: o.At,
			Values: map[string]any{"set": o.Drill.Name, "name": c.Name, "medium": c.Medium, "offsite": c.Offsite, "offline": c.Offline}})
		media[c.Medium] = true
		offsite, offline = offsite || c.Offsite, offline || c.Offline
	}
	if n := len(o.Drill.Copies); n > 0 {
		items = append(items, evidence.Item{Tenant: id, Kind: KindCopies, Subject: o.Drill.Name, At: o.At,
			Values: map[string]any{"copies": int64(n), "media": int64(len(media)), "offsite": offsite, "offline": offline}})
	}
	return items
}
