package cli

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// harm is one way in which a file comes to harm.
type harm struct {
	name string
	do   func(r *rand.Rand, data []byte) []byte // nil: the file is deleted
}

var harms = []harm{
	{"deleted", func(*rand.Rand, []byte) []byte { return nil }},
	{"emptied", func(*rand.Rand, []byte) []byte { return []byte{} }},
	{"garbage", func(r *rand.Rand, b []byte) []byte { return noiseLike(r, b) }},
	{"zeros", func(_ *rand.Rand, b []byte) []byte { return make([]byte, len(b)) }},
	{"first byte flipped", func(_ *rand.Rand, b []byte) []byte { return flipped(b, 0) }},
	{"a byte flipped early", func(r *rand.Rand, b []byte) []byte { return flipped(b, r.IntN(min(len(b), 128))) }},
	{"a byte flipped", func(r *rand.Rand, b []byte) []byte { return flipped(b, r.IntN(len(b))) }},
	{"last byte flipped", func(_ *rand.Rand, b []byte) []byte { return flipped(b, len(b)-1) }},
	{"cut by a byte", func(_ *rand.Rand, b []byte) []byte { return b[:len(b)-1] }},
	{"cut", func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }},
	{"a page of zeros", func(r *rand.Rand, b []byte) []byte {
		b = bytes.Clone(b)
		at := r.IntN(len(b))
		clear(b[at:min(len(b), at+4096)])
		return b
	}},
	{"lengthened", func(r *rand.Rand, b []byte) []byte { return append(bytes.Clone(b), noiseLike(r, make([]byte, 700))...) }},
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x24
	return b
}

func noiseLike(r *rand.Rand, b []byte) []byte {
	out := make([]byte, len(b))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// derived reports whether a file can be made anew from the others, so that its loss changes no answer.
func derived(rel string) bool {
	return strings.HasPrefix(rel, "checkpoints/") || rel == "installation.key" || strings.HasPrefix(filepath.Base(rel), "index") || strings.HasSuffix(rel, ".lock")
}

// TestDamageOfAnyFileIsFoundAndServed harms every file of a data folder in turn. Serve must start each time, answer,
// and take telemetry in; where only what can be made anew was harmed the answer is the one from before, and where the
// bus was, only events of what was harmed may be missing.
func TestDamageOfAnyFileIsFoundAndServed(t *testing.T) {
	t.Parallel()
	dir := story(t, "island-hop")
	data, tokens := applied(t, dir, "")
	list := parcels(feedOf(t, dir))
	switch {
	case sampled:
		list = list[:len(list)/8]
	case !long:
		list = list[:len(list)/2]
	}
	s := begin(t, data, false)
	s.deliverAll(list[:len(list)*2/3], tokens)
	s.settled()
	s.stop() // this keeps a checkpoint; what follows has none
	s = begin(t, data, true)
	s.deliverAll(list[len(list)*2/3:], tokens)
	s.settled()
	want, rows := s.concluded(), s.everyEvent()
	s.kill()

	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(11, seed))
	t.Logf("seed %d", seed)
	var files []string
	err := filepath.WalkDir(data, func(name string, e os.DirEntry, err error) error {
		if info, ierr := e.Info(); err == nil && ierr == nil && !e.IsDir() && info.Size() > 0 { // locks are empty
			rel, rerr := filepath.Rel(data, name)
			files, err = append(files, filepath.ToSlash(rel)), rerr
		}
		return err
	})
	if err != nil || len(files) < 8 {
		t.Fatalf("%v: %q", err, files)
	}
	for i, rel := range files {
		if sampled && i%3 != int(seed%3) {
			continue // a start takes seconds there; the others' turn comes
		}
		each := slices.Clone(harms)
		if !long { // two of them, or one, others each time
			r.Shuffle(len(each), func(i, j int) { each[i], each[j] = each[j], each[i] })
			if each = each[:2]; sampled {
				each = each[:1]
			}
		}
		for _, h := range each {
			t.Run(rel+"/"+h.name, func(t *testing.T) {
				at := filepath.Join(t.TempDir(), "data")
				if err := os.CopyFS(at, os.DirFS(data)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at+".admin", []byte(s.admin), 0o600); err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(at, rel)
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if b = h.do(r, b); b == nil {
					err = os.Remove(name)
				} else {
					err = os.WriteFile(name, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				afterHarm(t, at, rel, want, rows, list[0], tokens)
			})
		}
	}
}

// afterHarm starts serve on a harmed folder and looks at what it answers.
func afterHarm(t *testing.T, data, rel string, want map[string]any, rows int64, one parcel, tokens map[string]string) {
	t.Helper()
	began := time.Now()
	s := begin(t, data, false)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("ready after %s", took)
	}
	if a, err := s.ask("GET", "/healthz", "", ""); err != nil || a.status != 200 {
		t.Fatalf("healthz: %v %+v", err, a)
	}
	if strings.HasPrefix(rel, "state.db") {
		a, err := s.ask("GET", "/api/v1/coverage", s.admin, "")
		if err != nil || a.status != 200 && a.status != 401 {
			t.Fatalf("coverage: %v %+v\n%s", err, a, s.log)
		}
		if a.status == 401 && !strings.Contains(s.log.String(), "level=WARN") { // tokens are gone with it: it must say so
			t.Errorf("the state was lost without a word:\n%s", s.log)
		}
		if a.status == 401 {
			return
		}
	}
	s.quiet() // where the bus's first messages are lost, nothing can be put in order anew
	got := s.concluded()
	switch {
	case derived(rel):
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the answer differs though %s can be made anew (- before, + after):\n%.3000s\n%s", rel, diff, s.log)
		}
	case strings.HasPrefix(rel, "bus/"):
		if n := s.everyEvent(); n > rows {
			t.Errorf("%d events, more than the %d that were sent", n, rows)
		}
	}
	s.send(one.path, tokens[one.sensor], one.body) // again: it is known, and it must be acknowledged
	s.quiet()
	if n := s.everyEvent(); n > rows || !strings.HasPrefix(rel, "bus/") && n != rows {
		t.Errorf("%d events after one part was sent again, %d before", n, rows)
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.log)
	}
}
