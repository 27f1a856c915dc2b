package tail

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// How long a file that grew is looked at at every poll, and one that was renamed is kept.
const (
	warm   = time.Minute
	linger = time.Minute
)

// Looking for files takes one part in searchShare of the time at most, so that very many of them are looked for less
// often, but no less often than mostSearch.
const (
	searchShare = 50
	mostSearch  = 30 * time.Second
)

// set follows the files of one source.
type set struct {
	t       *Tailer
	source  Source
	pattern pattern
	files   map[string]*file // by their path
	retired []*file
	began   bool
	open    int
	buf     []byte
	took    time.Duration // the last look for files

	pending []bus.Frame // read, and not handed on yet
	begun   map[string]Place
	places  map[string]Place
	bytes   int
	records int
}

func (s *set) run(ctx context.Context) error {
	defer func() {
		for _, f := range s.files {
			f.close()
		}
		for _, f := range s.retired {
			f.close()
		}
		s.t.count.files.Add(-int64(len(s.files)))
	}()
	s.buf = make([]byte, bus.MaxBytes-len(CutMark)-1)
	s.begun, s.places = map[string]Place{}, map[string]Place{}
	var searched time.Time
	for {
		now := time.Now()
		look := s.poll
		if searched.IsZero() || now.Sub(searched) >= max(s.t.config.Search, min(searchShare*s.took, mostSearch)) {
			searched, look = now, s.search
		}
		if err := look(ctx, now); err != nil {
			return err
		}
		if err := listen.Pause(ctx, s.t.config.Poll); err != nil {
			return err
		}
	}
}

// poll looks at the files that grew lately, and the ones that were renamed.
func (s *set) poll(ctx context.Context, now time.Time) error {
	for _, f := range s.retired {
		if err := s.read(ctx, f, now); err != nil {
			return err
		}
	}
	for _, f := range s.files {
		if now.Sub(f.grew) < warm {
			if err := s.read(ctx, f, now); err != nil {
				return err
			}
		}
	}
	return s.handOn(ctx)
}

// search finds files that came, went and changed their names, and reads whatever has grown.
func (s *set) search(ctx context.Context, now time.Time) error {
	before := len(s.files)
	begin := time.Now()
	list, more := s.pattern.find(s.t.config.MaxFiles)
	s.took = time.Since(begin)
	s.t.count.left.Store(int64(more))
	paths := make(map[identity]string, len(list))
	infos := make(map[string]fs.FileInfo, len(list))
	for _, x := range list {
		infos[x.path] = x.info
		if id := identityOf(x.info); id.known() && paths[id] == "" {
			paths[id] = x.path
		}
	}
	s.moved(paths, infos, now)
	s.meet(list, paths, now)
	s.t.count.files.Add(int64(len(s.files) - before))
	s.began = true
	for _, f := range s.retired { // before what took their names
		if err := s.read(ctx, f, now); err != nil {
			return err
		}
	}
	for _, x := range list {
		if f := s.files[x.path]; f != nil && (f.size != x.info.Size() || now.Sub(f.grew) < warm) {
			if err := s.read(ctx, f, now); err != nil {
				return err
			}
		}
	}
	s.letGo(now)
	return s.handOn(ctx)
}

// moved follows files to the names that they have now.
func (s *set) moved(paths map[identity]string, infos map[string]fs.FileInfo, now time.Time) {
	var gone []*file
	for path, f := range s.files {
		if info := infos[path]; info == nil || identityOf(info) != f.id {
			delete(s.files, path)
			gone = append(gone, f)
		}
	}
	for _, f := range gone {
		s.t.count.rotated.Add(1)
		if path := paths[f.id]; path != "" {
			f.path = path
			s.files[path] = f
			s.rename(f)
			continue
		}
		if path := sibling(f.path, f.id); path != "" {
			f.path = path
			s.rename(f)
		} else if f.fd == nil {
			continue // removed: there is nothing left to read
		}
		f.retired, f.grew = true, now
		s.retired = append(s.retired, f)
	}
}

// sibling looks for a file by its identity among those beside a path.
func sibling(path string, id identity) string {
	if !id.known() {
		return ""
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(path), e.Name())
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && identityOf(info) == id && !compressed(name) {
			return name
		}
	}
	return ""
}

// meet takes in the files that are not followed yet, each where it was left, under whatever name that was.
func (s *set) meet(list []found, paths map[identity]string, now time.Time) {
	var fresh []*file
	left := map[identity]Place{} // by files that have lost their names since
	lost := map[identity]string{}
	for _, x := range list {
		id := identityOf(x.info)
		if s.files[x.path] != nil || id.known() && paths[id] != x.path { // the latter is a second name
			continue
		}
		f := newFile(x.path, id)
		place, ok, err := s.t.config.Offsets.Load(s.source.Binding.Sensor, x.path)
		if err != nil {
			s.t.config.Log.Error("asking how far a file was read; it is tried again", "path", x.path, "error", err)
			continue
		}
		s.files[x.path] = f
		if ok && s.resume(f, place) {
			continue
		}
		if old := (identity{place.Device, place.Inode}); ok && old.known() {
			left[old], lost[old] = place, x.path
		}
		fresh = append(fresh, f)
	}
	for _, f := range fresh {
		if place, ok := left[f.id]; ok && s.resume(f, place) {
			delete(left, f.id)
			s.rename(f)
			continue
		}
		if s.source.FromEnd && !s.began {
			s.skip(f)
		}
	}
	for _, f := range s.retired { // what was seen to move needs no memory
		delete(left, f.id)
	}
	for _, f := range s.files {
		delete(left, f.id)
	}
	for id, place := range left {
		if path := sibling(lost[id], id); path != "" && s.files[path] == nil {
			s.goOn(path, id, filepath.Base(lost[id]), place, now)
		}
	}
	if !s.began {
		s.remembered(list, now)
	}
}

// resume makes a file go on where it was left; false where it isn't that file.
func (s *set) resume(f *file, place Place) bool {
	if f.openFile() != nil {
		return false
	}
	defer f.close()
	info, err := f.fd.Stat()
	if err != nil || !place.is(f.fd, info.Size(), f.id) {
		return false
	}
	f.place, f.saved = place, true
	return true
}

// skip leaves out what a file holds.
func (s *set) skip(f *file) {
	if f.openFile() != nil {
		return
	}
	defer f.close()
	size, _, err := f.current()
	if err == nil {
		err = f.fromEnd(size)
	}
	if err != nil {
		s.t.config.Log.Warn("looking for the end of a file; it is read from its beginning", "path", f.path, "error", err)
		f.anew()
		return
	}
	s.begun[f.path], f.saved = f.place, true // else a restart would skip what comes until then
}

// goOn reads the rest of a file that no pattern names any more.
func (s *set) goOn(path string, id identity, name string, place Place, now time.Time) {
	f := newFile(path, id)
	if f.name = name; s.resume(f, place) {
		f.retired, f.grew = true, now
		s.retired = append(s.retired, f)
		s.rename(f)
		s.t.count.rotated.Add(1)
	}
}

// rename remembers the place under the file's name of now, before what took its old name overwrites that.
func (s *set) rename(f *file) {
	if f.saved {
		s.begun[f.path] = f.place
	}
}

// remembered goes on, after a start, with files that had been renamed and not read to their end: those beside the
// ones found whose names go on where those end, as app.log.1 does.
func (s *set) remembered(list []found, now time.Time) {
	names := make(map[string]bool, len(list))
	folders := map[string]bool{}
	for _, x := range list {
		names[x.path] = true
		folders[filepath.Dir(x.path)] = true
	}
	for folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if names[path] || !e.Type().IsRegular() || compressed(path) {
				continue
			}
			base := ""
			for i := len(path) - 1; i > len(folder) && base == ""; i-- {
				if names[path[:i]] {
					base = filepath.Base(path[:i])
				}
			}
			if base == "" {
				continue
			}
			info, err := e.Info()
			if err != nil {
				continue
			}
			id := identityOf(info)
			if slices.ContainsFunc(s.retired, func(f *file) bool { return f.id == id }) {
				continue
			}
			place, ok, err := s.t.config.Offsets.Load(s.source.Binding.Sensor, path)
			if err == nil && ok && place.Offset < info.Size() {
				s.goOn(path, id, base, place, now)
			}
		}
	}
}

// letGo forgets renamed files that have ceased to grow.
func (s *set) letGo(now time.Time) {
	kept := s.retired[:0]
	for _, f := range s.retired {
		if now.Sub(f.grew) < linger {
			kept = append(kept, f)
			continue
		}
		s.shut(f)
	}
	clear(s.retired[len(kept):])
	s.retired = kept
}

func (s *set) shut(f *file) {
	if f.fd != nil {
		f.close()
		s.open--
	}
}

// read collects the lines that a file has gained.
func (s *set) read(ctx context.Context, f *file, now time.Time) error {
	if f.fd == nil {
		if f.openFile() != nil {
			return nil // it went away, or isn't ours to read; the next search sees
		}
		s.open++
	}
	if err := s.lines(ctx, f, now); err != nil {
		return err
	}
	if s.open > s.t.config.MaxOpen/len(s.t.sets) {
		s.shut(f)
	}
	return nil
}

func (s *set) lines(ctx context.Context, f *file, now time.Time) error {
	size, anew, err := f.current()
	if err != nil {
		s.t.config.Log.Warn("reading a file", "path", f.path, "error", err)
		return nil
	}
	if anew {
		s.t.count.rotated.Add(1)
	}
	if size == f.size {
		return nil
	}
	if f.size >= 0 {
		f.grew = now
	}
	for ctx.Err() == nil {
		if err := f.header(); err != nil {
			s.t.config.Log.Warn("reading a file", "path", f.path, "error", err)
			return nil
		}
		before := f.place.Offset
		data, cut, err := f.chunk(s.buf, size)
		if err != nil {
			s.t.config.Log.Warn("reading a file", "path", f.path, "error", err)
			return nil
		}
		if !cut && (len(data) == 0 || data[len(data)-1] != '\n') {
			f.size = size // what is left is a line that is not whole
			if f.place.Offset != before {
				s.places[f.path] = f.place
			}
			return nil
		}
		if !f.saved { // its key must outlive us before anything bears it
			s.begun[f.path], f.saved = f.place, true
		}
		if cut {
			s.t.count.cut.Add(1)
		}
		f.grew = now
		for len(data) > 0 {
			end, records := batch(data)
			if s.records+records > bus.MaxRecords || s.bytes+end > bus.MaxBytes {
				if err := s.handOn(ctx); err != nil {
					return err
				}
			}
			s.pending = append(s.pending, f.frame(&s.source.Binding, data[:end], records, cut, now))
			s.places[f.path] = f.place
			s.records += records
			s.bytes += end
			data = data[end:]
		}
	}
	return ctx.Err()
}

// handOn gives what was read to the bus, and remembers it only then.
func (s *set) handOn(ctx context.Context) error {
	if len(s.begun) > 0 {
		if err := s.save(ctx, s.begun); err != nil {
			return err
		}
		clear(s.begun)
	}
	if len(s.pending) > 0 {
		if err := listen.Insist(ctx, s.t.to, s.t.config.Log, &s.t.count.busy, s.pending...); err != nil {
			return err
		}
		s.t.count.lines.Add(int64(s.records))
		s.t.count.bytes.Add(int64(s.bytes))
		s.pending, s.records, s.bytes = nil, 0, 0
	}
	if len(s.places) == 0 {
		return nil
	}
	if err := s.save(ctx, s.places); err != nil {
		return err
	}
	clear(s.places)
	return nil
}

// save tries until the places are remembered: going on without would repeat lines after a crash.
func (s *set) save(ctx context.Context, places map[string]Place) error {
	for {
		err := s.t.config.Offsets.Save(s.source.Binding.Sensor, maps.Clone(places))
		if err == nil {
			return nil
		}
		s.t.config.Log.Error("remembering how far files were read; it is tried again", "sensor", s.source.Binding.Sensor, "error", err)
		if err := listen.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
}
