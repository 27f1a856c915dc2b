package posture

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of reading a folder.
const (
	maxItems      = 1_000_000 // facts of one tenant
	maxBadKept    = 20        // bad records of one file that are named; all are counted
	headSize      = 64 << 10
	maxRewind     = 16 << 20 // bytes that a format may read before it says that the file is of another one
	maxFolderTime = 30 * time.Minute
	maxFileSize   = 4 << 30
)

// Folder is evidence that lies in folders: the first name below each folder is a tenant's, and what lies below it is
// about that tenant. Files directly in a folder belong to Loose.
type Folder struct {
	Dirs    []string
	Formats []evidence.Format
	Known   func(tenant.ID) bool // nil: every name is a tenant's
	Loose   tenant.ID            // whose the files directly in the folders are; empty: only facts that name a tenant count
	// Progress is told now and then how much was read, after what compressed files hold, and which file is being; may be nil.
	Progress func(bytes int64, file string)
	Only     tenant.ID // nothing of other tenants is opened; empty: all are read
}

// FileRead is what became of one file.
type FileRead struct {
	Tenant tenant.ID `json:"tenant,omitempty"`
	File   string    `json:"file"`
	Format string    `json:"format,omitempty"` // empty: nobody knew it
	SHA256 string    `json:"sha256,omitempty"`
	Items  int       `json:"items"`
	Bad    int       `json:"bad"` // records that were left out
	// Problems names what was left out and why, at most 20 a file.
	Problems []Problem `json:"problems,omitempty"`
	cut      bool      // it was not read to its end
}

// Evidence is what was read of one tenant.
type Evidence struct {
	Tenant tenant.ID
	Items  []evidence.Item
}

// Reading is what came out of a folder.
type Reading struct {
	Tenants []*Evidence // by id
	Files   []FileRead  // in the order of their names
	Bad     int         // records and files that were left out
}

// Of returns what was read of one tenant; never nil.
func (r *Reading) Of(id tenant.ID) *Evidence {
	for _, e := range r.Tenants {
		if e.Tenant == id {
			return e
		}
	}
	return &Evidence{Tenant: id}
}

// folderReading is the state of one Read.
type folderReading struct {
	f       *Folder
	out     *Reading
	tenants map[tenant.ID]*Evidence
	root    string
	bytes   int64
	told    int64           // of bytes, at the last word of progress
	unknown map[string]bool // folders that name no tenant, told once
}

// Read reads every file within the bounds, archives and compressed files included. What is wrong in a file is counted and
// named in Reading.Files and the rest is read; the error is for a folder that is not there, and for the context.
func (f *Folder) Read(ctx context.Context) (*Reading, error) {
	r := &folderReading{f: f, out: &Reading{}, tenants: map[tenant.ID]*Evidence{}, unknown: map[string]bool{}}
	limits := bounded.Limits{
		MaxFileBytes: maxFileSize, MaxMembers: 200_000, MaxTime: maxFolderTime,
		Problem: func(file, reason string) { r.broken(file, reason) },
	}
	for _, dir := range f.Dirs {
		r.root = filepath.ToSlash(filepath.Clean(dir))
		_, err := bounded.Walk(ctx, []string{dir}, limits, func(file bounded.File) error { return r.file(ctx, file) })
		if err != nil {
			return nil, fmt.Errorf("reading the evidence in %s: %w", dir, err)
		}
	}
	r.mark()
	for _, e := range r.tenants {
		r.out.Tenants = append(r.out.Tenants, e)
	}
	slices.SortFunc(r.out.Tenants, func(a, b *Evidence) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	for i := range r.out.Files {
		r.out.Bad += r.out.Files[i].Bad
	}
	return r.out, nil
}

// broken notes what could not be opened or read to its end.
func (r *folderReading) broken(file, reason string) {
	if !r.wanted(file) {
		return
	}
	owner, _ := r.owner(file)
	for i := range r.out.Files {
		if r.out.Files[i].File == file {
			r.out.Files[i].bad(0, reason)
			r.out.Files[i].cut = true
			return
		}
	}
	r.out.Files = append(r.out.Files, FileRead{Tenant: owner, File: file, Bad: 1, Problems: []Problem{{file, 0, reason}}, cut: true})
}

// mark says at the facts of files that were not read whole that they were not: what is not in them may be in the rest.
// It comes last, since a file's end, or that of the archive around it, is only seen then.
func (r *folderReading) mark() {
	torn := map[string]*FileRead{}
	for i := range r.out.Files {
		if f := &r.out.Files[i]; f.Bad > 0 {
			torn[f.File] = f
		}
	}
	if len(torn) == 0 {
		return
	}
	for _, e := range r.tenants {
		for i := range e.Items {
			it := &e.Items[i]
			name := it.From.File
			if f := torn[name]; f != nil {
				it.From.Cut, it.From.LeftOut = f.cut, int64(f.Bad)
			}
			for at := strings.LastIndexByte(name, '!'); at > 0 && !it.From.Cut; at = strings.LastIndexByte(name[:at], '!') {
				f := torn[name[:at]]
				it.From.Cut = f != nil && f.cut
			}
			if _, whole := it.Values["complete"]; whole && it.From.Cut {
				it.Values = maps.Clone(it.Values) // the reader could not know
				delete(it.Values, "complete")
			}
		}
	}
}

func (r *folderReading) wanted(file string) bool {
	owner, loose := r.owner(file)
	return r.f.Only == "" || owner == r.f.Only || loose && owner == ""
}

// owner says whose folder a file lies in. Members of archives that lie directly in the root are loose too.
func (r *folderReading) owner(file string) (id tenant.ID, loose bool) {
	rest := strings.TrimPrefix(strings.TrimPrefix(filepath.ToSlash(file), r.root), "/")
	if r.root == "." {
		rest = strings.TrimPrefix(filepath.ToSlash(file), "./")
	}
	rest = strings.TrimPrefix(rest, "!")  // an archive given by itself is a folder
	outer, _, _ := strings.Cut(rest, "!") // the member of an archive lies where the archive lies
	first, _, below := strings.Cut(outer, "/")
	if !below {
		return r.f.Loose, true
	}
	return tenant.ID(first), false
}

func (r *folderReading) file(ctx context.Context, file bounded.File) error {
	owner, loose := r.owner(file.Path)
	if !r.wanted(file.Path) {
		return nil
	}
	if !loose && r.f.Known != nil && !r.f.Known(owner) {
		if !r.unknown[string(owner)] {
			r.unknown[string(owner)] = true
			name := r.root + "/" + string(owner)
			r.out.Files = append(r.out.Files, FileRead{File: name, Bad: 1,
				Problems: []Problem{{name, 0, "the folder's name is no tenant of the configuration: nothing in it is read"}}})
		}
		return nil
	}
	r.out.Files = append(r.out.Files, FileRead{Tenant: owner, File: file.Path})
	at := len(r.out.Files) - 1
	got := FileRead{Tenant: owner, File: file.Path}
	items, err := r.read(ctx, file, owner, &got)
	got.Bad += r.out.Files[at].Bad // what the walk said meanwhile
	got.Problems = append(got.Problems, r.out.Files[at].Problems...)
	got.cut = got.cut || r.out.Files[at].cut
	got.Items = len(items)
	r.out.Files[at] = got
	if owner != "" {
		r.of(owner) // of whom there is a file that nobody can read, everything is unknown, and not unasked
	}
	if len(items) > 0 && ofOne(items) {
		if e := r.of(items[0].Tenant); len(e.Items) == 0 {
			e.Items = items // the first, and often the only, file of a tenant: no copy of a million facts
			return err
		}
	}
	for i := range items {
		e := r.of(items[i].Tenant)
		if len(e.Items) >= maxItems {
			r.out.Files[at].Items = i
			r.out.Files[at].bad(items[i].From.Line, fmt.Sprintf("more than %d facts of one tenant: the rest is not taken", maxItems))
			r.out.Files[at].cut = true
			break
		}
		e.Items = append(e.Items, items[i])
	}
	return err
}

// ofOne reports whether facts, as many as are taken, are all of one tenant.
func ofOne(items []evidence.Item) bool {
	for i := range items {
		if items[i].Tenant != items[0].Tenant {
			return false
		}
	}
	return len(items) <= maxItems
}

func (r *folderReading) of(id tenant.ID) *Evidence {
	e := r.tenants[id]
	if e == nil {
		e = &Evidence{Tenant: id}
		r.tenants[id] = e
	}
	return e
}

// bad counts a record that was left out.
func (f *FileRead) bad(line int64, reason string) {
	if f.Bad++; len(f.Problems) < maxBadKept {
		f.Problems = append(f.Problems, Problem{f.File, int(line), cut(oneLine(reason), 400)})
	}
}

// read finds the format of a file and takes its facts.
func (r *folderReading) read(ctx context.Context, file bounded.File, owner tenant.ID, got *FileRead) ([]evidence.Item, error) {
	sum := sha256.New()
	src := io.TeeReader(&counted{r, file.Reader, file.Path}, sum)
	head := make([]byte, headSize)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	var items taken
	back := &rewind{held: head, r: src}
	err = nil
	for _, format := range r.f.Formats {
		if !format.Recognise(file.Name, head) {
			continue
		}
		items = taken{}
		err = readAs(ctx, format, evidence.Input{Tenant: owner, Name: file.Path, At: file.Modified, Reader: back}, evidence.Sink{
			Item: func(i evidence.Item) error { back.keep(); return r.take(i, owner, got, &items) },
			Bad:  func(line int64, reason string) { got.bad(line, reason) },
		})
		if errors.Is(err, evidence.ErrNotThis) && items.n == 0 && back.rewind() {
			got.Bad, got.Problems = 0, nil
			continue
		}
		got.Format = format.Name
		break
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("reading %s: %w", file.Path, ctx.Err())
	case n == 0:
		got.bad(0, "the file is empty")
	case got.Format == "":
		got.bad(0, "of no format that is known; `breakwater posture evidence formats` lists them")
	case err != nil && !errors.Is(err, errEnough):
		got.bad(0, "read only in part: "+err.Error())
		got.cut = true
	}
	if _, err := io.Copy(io.Discard, src); err != nil { // the hash is of the whole file
		return nil, err
	}
	got.SHA256 = hex.EncodeToString(sum.Sum(nil))
	whole := slices.Concat(items.parts...)
	for i := range whole {
		whole[i].From.SHA256 = got.SHA256
	}
	return whole, nil
}

// counted tells of progress while a file is read.
type counted struct {
	of   *folderReading
	r    io.Reader
	file string
}

// progressEvery is how many bytes are read between two words of progress.
const progressEvery = 1 << 20

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.of.bytes += int64(n)
	if c.of.f.Progress != nil && c.of.bytes-c.of.told >= progressEvery {
		c.of.told = c.of.bytes
		c.of.f.Progress(c.of.bytes, c.file)
	}
	return n, err
}

// errEnough ends the reading of a file that holds more than is taken.
var errEnough = errors.New("more facts than are taken")

// readAs runs one format's reader. Whatever it panics on is a bad file and not the end of the program.
func readAs(ctx context.Context, f evidence.Format, in evidence.Input, sink evidence.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the reader of %s could not cope with it", f.Name)
		}
	}()
	return f.Read(ctx, in, sink)
}

// take checks whose a fact is. A file in one tenant's folder tells nothing of another's doors.
func (r *folderReading) take(i evidence.Item, owner tenant.ID, got *FileRead, items *taken) error {
	switch {
	case i.Tenant == "":
		i.Tenant = owner
	case owner != "" && i.Tenant != owner:
		got.bad(i.From.Line, fmt.Sprintf("a fact of the tenant %s in what is %s's", i.Tenant, owner))
		return nil
	}
	switch {
	case i.Tenant == "":
		got.bad(i.From.Line, "nobody says which tenant it is about; put the file into a folder of the tenant's name, or use --tenant")
		return nil
	case r.f.Only != "" && i.Tenant != r.f.Only:
		return nil
	case r.f.Known != nil && !r.f.Known(i.Tenant):
		got.bad(i.From.Line, fmt.Sprintf("%s is no tenant of the configuration", i.Tenant))
		return nil
	case i.Kind == "":
		got.bad(i.From.Line, "a fact without a kind")
		return nil
	}
	if i.From.File == "" {
		i.From.File = got.File
	}
	if items.add(i); items.n > maxItems {
		return errEnough
	}
	return nil
}

// taken are the facts of a file while it is read, in parts: a slice that grows to a million is copied forty times.
type taken struct {
	parts [][]evidence.Item
	n     int
}

// partSize is how many facts a part holds.
const partSize = 4096

func (t *taken) add(i evidence.Item) {
	last := len(t.parts) - 1
	if last < 0 || len(t.parts[last]) == partSize {
		size := partSize
		if last < 0 {
			size = 16 // most files are small
		}
		t.parts = append(t.parts, make([]evidence.Item, 0, size))
		last++
	}
	t.parts[last] = append(t.parts[last], i)
	t.n++
}

// rewind lets another format read from the beginning, as long as what was read fits.
type rewind struct {
	held []byte // from the beginning
	at   int    // within held
	r    io.Reader
	lost bool // more was read than is held
}

// Read implements io.Reader.
func (w *rewind) Read(p []byte) (int, error) {
	if w.at < len(w.held) {
		n := copy(p, w.held[w.at:])
		w.at += n
		return n, nil
	}
	n, err := w.r.Read(p)
	if w.lost = w.lost || len(w.held)+n > maxRewind; w.lost {
		w.held, w.at = nil, 0
	} else {
		w.held = append(w.held, p[:n]...)
		w.at = len(w.held)
	}
	return n, err
}

// keep lets go of what was held: a format has given a fact and may not change its mind.
func (w *rewind) keep() {
	if w.lost = true; w.at >= len(w.held) {
		w.held, w.at = nil, 0
	}
}

// rewind goes back to the beginning; false where that is no longer held.
func (w *rewind) rewind() bool {
	w.at = 0
	return !w.lost
}
