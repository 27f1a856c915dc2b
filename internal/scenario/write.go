package scenario

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// folders are the sources of a tenant, each in its folder, with the layer it carries.
var folders = []struct {
	name  string
	layer tenant.Layer
}{
	{"azure", tenant.LayerCloud}, {"entra", tenant.LayerCloud}, {"m365", tenant.LayerCloud}, {"mail", tenant.LayerMail},
	{"screenconnect", tenant.LayerAccess}, {"vpn", tenant.LayerAccess}, {"windows", tenant.LayerEndpoint}, {"zeek", tenant.LayerNetwork},
	{"firewall", tenant.LayerNetwork}, {"web", tenant.LayerAccess}, {"console", tenant.LayerAccess},
	{"okta", tenant.LayerCloud}, {"aws", tenant.LayerCloud}, {"github", tenant.LayerCloud},
}

// rec is one native record on its way to its file.
type rec struct {
	t    time.Time
	due  time.Time // of a late source: when it arrives
	line string
	post string     // Windows: what follows the record number
	host string     // Windows: computer and channel, which count records together
	name string     // mail: the file's name
	step string     // the technique of an intruder's record, empty for the background
	mail *MailTruth // of a message
}

// placed is a record with its file, written before its day comes.
type placed struct {
	file string
	rec
}

func layerOf(file string) tenant.Layer {
	dir, _, _ := strings.Cut(file, "/")
	for _, f := range folders {
		if f.name == dir {
			return f.layer
		}
	}
	return ""
}

// keeps reports whether telemetry of that layer of o is written.
func (w *world) keeps(o *org, l tenant.Layer) bool {
	return o.tenant && o.layers[l] && !slices.Contains(w.o.WithoutLayers, l)
}

// hasFolder reports whether an organisation has such a source at all.
func (o *org) hasFolder(w *world, name string) bool {
	switch name {
	case "screenconnect":
		return !o.client
	case "vpn":
		return o.client
	case "firewall":
		return o.firewall != ""
	case "web":
		return !o.client && w.kind.web
	case "console":
		return !o.client && w.platform != nil
	case "okta", "aws", "github":
		return o.apps[name]
	}
	return true
}

// output is one open file of a tenant.
type output struct {
	f   *os.File
	w   *bufio.Writer
	buf []rec // in wait for their hour
	due []rec // of a late source: numbered, in wait for their delivery
	n   int   // records written
	day time.Time
}

// writer writes the files of one tenant, each in the order of time.
type writer struct {
	w      *world
	o      *org
	dir    string
	files  map[string]*output
	outs   map[string][]outage // folder → when a late source is cut off
	last   map[string]int64    // last background record number of a computer and channel
	attack *[]attackLine
}

type attackLine struct {
	file   string
	record int
	step   string
}

func (w *world) writeTelemetry(ctx context.Context, dir string) error {
	var attack []attackLine
	for _, o := range w.orgs {
		if !o.tenant {
			continue
		}
		tw := &writer{w: w, o: o, dir: dir, files: map[string]*output{}, outs: map[string][]outage{}, last: map[string]int64{}, attack: &attack}
		err := tw.run(ctx)
		if cerr := tw.close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("telemetry of %s: %w", o.id, err)
		}
	}
	slices.SortFunc(w.mailTruth, func(a, b MailTruth) int { return strings.Compare(a.File, b.File) })
	return writeAttack(dir, attack)
}

func (tw *writer) run(ctx context.Context) error {
	for _, f := range folders { // a silent source is an empty folder, not a missing one
		if tw.w.keeps(tw.o, f.layer) && tw.o.hasFolder(tw.w, f.name) {
			d := filepath.Join(tw.dir, "telemetry", tw.o.id, f.name)
			if f.name == "mail" && tw.o.maildir {
				d = filepath.Join(d, "new")
			}
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
	}
	put := func(o *org, file string, r rec) {
		if o == tw.o {
			tw.add(file, r)
		}
	}
	for d := range tw.w.o.Days {
		for _, p := range tw.w.plan[tw.o][d] {
			tw.add(p.file, p.rec)
		}
		for _, g := range tw.w.daily() {
			g.run(tw.w.scribe("day "+g.name, tw.o, d, put), tw.o, d)
		}
		for h := range 24 {
			if err := ctx.Err(); err != nil {
				return err
			}
			bulk(tw.w.scribe("hour "+strconv.Itoa(h), tw.o, d, put), tw.o, d, h)
			if err := tw.flush(tw.w.day(d).Add(time.Duration(h+1) * time.Hour)); err != nil {
				return err
			}
		}
	}
	if err := tw.flush(tw.w.end()); err != nil {
		return err
	}
	return tw.deliver(tw.w.end().AddDate(0, 0, 2))
}

func (tw *writer) add(file string, r rec) {
	if !tw.w.keeps(tw.o, layerOf(file)) || r.t.Before(tw.w.start) || !r.t.Before(tw.w.end()) {
		return
	}
	f := tw.files[file]
	if f == nil {
		f = &output{}
		tw.files[file] = f
	}
	f.buf = append(f.buf, r)
}

// flush writes what happened before t. Background records keep their order and numbers whether or not the
// intruder's stand among them.
func (tw *writer) flush(t time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(tw.files)) {
		f := tw.files[name]
		slices.SortStableFunc(f.buf, func(a, b rec) int {
			if c := a.t.Compare(b.t); c != 0 {
				return c
			}
			return strings.Compare(a.step, b.step)
		})
		n, _ := slices.BinarySearchFunc(f.buf, t, func(r rec, t time.Time) int { return r.t.Compare(t) })
		if n == 0 {
			continue
		}
		if err := tw.writeOut(name, f, f.buf[:n]); err != nil {
			return err
		}
		f.buf = append(f.buf[:0:0], f.buf[n:]...)
	}
	return tw.deliver(t)
}

// isLate reports whether a file's records arrive late.
func (tw *writer) isLate(name string) bool {
	folder, _, _ := strings.Cut(name, "/")
	return tw.o.late[folder]
}

func (tw *writer) writeOut(name string, f *output, recs []rec) error {
	if name == mailFile {
		return tw.writeMail(recs)
	}
	numbers := tw.number(name, recs)
	if tw.isLate(name) {
		for i, r := range recs {
			if r.host != "" {
				r.line += strconv.FormatInt(numbers[i], 10) + r.post
				r.host = ""
			}
			if r.due = tw.arrival(name, r); len(f.due) >= held && r.step == "" {
				r.due = r.t
			}
			f.due = append(f.due, r)
		}
		return nil
	}
	if err := tw.open(name, name, f, tw.w.start); err != nil {
		return err
	}
	for i, r := range recs {
		if r.host != "" {
			r.line += strconv.FormatInt(numbers[i], 10) + r.post
		}
		if err := tw.put(name, f, r); err != nil {
			return err
		}
	}
	return nil
}

// open begins a file, where it is not open yet.
func (tw *writer) open(name, as string, f *output, day time.Time) error {
	if f.w != nil {
		return nil
	}
	file, err := os.Create(filepath.Join(tw.dir, "telemetry", tw.o.id, filepath.FromSlash(as)))
	if err != nil {
		return err
	}
	f.f, f.w, f.day, f.n = file, bufio.NewWriterSize(file, 1<<16), day, 0
	f.w.WriteString(fileHeader(name, tw.o, day))
	return nil
}

func (tw *writer) put(as string, f *output, r rec) error {
	f.n++
	f.w.WriteString(r.line)
	if err := f.w.WriteByte('\n'); err != nil {
		return fmt.Errorf("writing %s of %s: %w", as, tw.o.id, err)
	}
	if r.step != "" {
		*tw.attack = append(*tw.attack, attackLine{"telemetry/" + tw.o.id + "/" + as, f.n, r.step})
	}
	return nil
}

// deliver writes what arrives before t from late sources, each day's arrivals into a file of their own.
func (tw *writer) deliver(t time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(tw.files)) {
		f := tw.files[name]
		if len(f.due) == 0 {
			continue
		}
		slices.SortStableFunc(f.due, func(a, b rec) int {
			return cmp.Or(a.due.Compare(b.due), a.t.Compare(b.t), strings.Compare(a.step, b.step))
		})
		n, _ := slices.BinarySearchFunc(f.due, t, func(r rec, t time.Time) int { return r.due.Compare(t) })
		for _, r := range f.due[:n] {
			day := r.due.Truncate(24 * time.Hour)
			if f.w != nil && !day.Equal(f.day) {
				if err := tw.shut(name, f, f.day.AddDate(0, 0, 1)); err != nil {
					return err
				}
			}
			as := rotated(name, day)
			if err := tw.open(name, as, f, day); err != nil {
				return err
			}
			if err := tw.put(as, f, r); err != nil {
				return err
			}
		}
		f.due = append(f.due[:0:0], f.due[n:]...)
	}
	return nil
}

// shut ends a file.
func (tw *writer) shut(name string, f *output, end time.Time) error {
	f.w.WriteString(fileFooter(name, tw.o, end))
	err := f.w.Flush()
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	f.f, f.w = nil, nil
	return err
}

// number gives Windows records their numbers: they grow with time, as if a busy log were forwarded in part, and an
// intruder's record takes a free one between.
func (tw *writer) number(name string, recs []rec) []int64 {
	if !strings.HasPrefix(name, "windows/") {
		return nil
	}
	out := make([]int64, len(recs))
	used := map[string]map[int64]bool{}
	of := func(r rec) int64 {
		base := newRNG(tw.w.names, "record number", r.host).Int64N(900_000)
		return base + r.t.Sub(tw.w.start).Milliseconds()
	}
	bases := map[string]int64{}
	for pass := range 2 {
		for i, r := range recs {
			if (pass == 1) != (r.step != "") {
				continue
			}
			base, ok := bases[r.host]
			if !ok {
				base = of(rec{t: tw.w.start, host: r.host})
				bases[r.host] = base
				used[r.host] = map[int64]bool{}
			}
			n := base + r.t.Sub(tw.w.start).Milliseconds()
			if pass == 0 {
				n = max(n, tw.last[r.host]+1)
				tw.last[r.host] = n
			}
			for used[r.host][n] {
				n++
			}
			used[r.host][n] = true
			out[i] = n
		}
	}
	return out
}

func (tw *writer) writeMail(recs []rec) error {
	for _, r := range recs {
		rel := "telemetry/" + tw.o.id + "/mail/" + r.name
		if tw.o.maildir {
			rel = "telemetry/" + tw.o.id + "/mail/new/" + r.name
		}
		if err := os.WriteFile(filepath.Join(tw.dir, filepath.FromSlash(rel)), []byte(r.line), 0o644); err != nil {
			return err
		}
		truth := *r.mail
		truth.File = rel
		tw.w.mailTruth = append(tw.w.mailTruth, truth)
		if r.step != "" {
			*tw.attack = append(*tw.attack, attackLine{rel, 1, r.step})
		}
	}
	return nil
}

func (tw *writer) close() error {
	var first error
	for name, f := range tw.files {
		if f.f == nil {
			continue
		}
		if err := tw.shut(name, f, tw.w.end()); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func writeAttack(dir string, lines []attackLine) error {
	slices.SortFunc(lines, func(a, b attackLine) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		return a.record - b.record
	})
	var b strings.Builder
	b.WriteString("# file\trecord\ttechnique\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\t%d\t%s\n", l.file, l.record, l.step)
	}
	return os.WriteFile(filepath.Join(dir, "attack.tsv"), []byte(b.String()), 0o644)
}
