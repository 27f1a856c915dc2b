package sigma

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func names(docs []Document) []string {
	var out []string
	for _, d := range docs {
		out = append(out, d.Name)
	}
	return out
}

func TestLoadersTakeRulesAndLeaveTheRest(t *testing.T) {
	files := map[string]string{"a.yml": "a", "sub/b.yaml": "b", "readme.md": "x", "examples/e.yml": "e", ".git/c.yml": "c"}
	fsys, dir := fstest.MapFS{}, t.TempDir()
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for name, body := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	fromFS, err1 := LoadFS(fsys)
	fromDir, err2 := LoadDir(dir)
	fromZip, err3 := LoadZip("r.zip", packed.Bytes())
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	slash := filepath.ToSlash(dir)
	for _, c := range []struct{ got, want []string }{
		{names(fromFS), []string{"a.yml", "sub/b.yaml"}}, {names(fromDir), []string{slash + "/a.yml", slash + "/sub/b.yaml"}},
		{names(fromZip), []string{"r.zip!a.yml", "r.zip!sub/b.yaml"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestLoadersRefuseWhatIsNoRules(t *testing.T) {
	if _, err := LoadZip("x.zip", []byte("no zip")); err == nil {
		t.Error("a file that is no archive was read")
	}
	if _, err := LoadDir(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent folder was read")
	}
}

func TestBombZipMemberIsCutAndRefused(t *testing.T) {
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	w, err := z.Create("bomb.yml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 8*MaxDocument)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	docs, err := LoadZip("bomb.zip", packed.Bytes())
	if err != nil || len(docs) != 1 || len(docs[0].Data) > MaxDocument+1 {
		t.Fatalf("%d documents, error %v", len(docs), err)
	}
	if set, errs := Compile(docs); set.Len() != 0 || len(errs) != 1 {
		t.Errorf("%d rules, errors %v", set.Len(), errs)
	}
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		sig  signature
		fits []LogSource
		not  []LogSource
	}{
		{signature{"windows/security", "Security", "4688", ""}, []LogSource{{Product: "windows", Service: "security"}, {Product: "windows", Category: "process_creation"}, {Product: "windows"}, {Category: "process_creation"}},
			[]LogSource{{Product: "linux", Category: "process_creation"}, {Product: "windows", Service: "sysmon"}, {Product: "windows", Service: "security", Category: "registry_set"}}},
		{signature{"windows/security", "", "4624", ""}, []LogSource{{Product: "windows", Service: "security"}}, []LogSource{{Product: "windows", Category: "process_creation"}}},
		{signature{"", "Microsoft-Windows-Sysmon/Operational", "12", "DeleteKey"}, []LogSource{{Product: "windows", Category: "registry_delete"}, {Category: "registry_event"}}, []LogSource{{Product: "windows", Category: "registry_add"}}},
		{signature{"windows/defender", "Microsoft-Windows-Windows Defender/Operational", "1116", ""}, []LogSource{{Category: "antivirus"}, {Product: "windows", Service: "windefend"}}, nil},
		{signature{"windows/terminalservices-rdpclient", "", "1102", ""}, []LogSource{{Product: "windows"}}, []LogSource{{Product: "windows", Service: "security"}}},
		{signature{source: "zeek/dns"}, []LogSource{{Product: "zeek", Service: "dns"}, {Category: "dns"}}, []LogSource{{Product: "windows"}}},
		{signature{source: "zeek/http"}, []LogSource{{Category: "proxy"}, {Category: "webserver"}, {Product: "zeek", Service: "http"}}, nil},
		{signature{source: "zeek/smb_files"}, []LogSource{{Product: "zeek", Service: "smb_files"}}, nil},
		{signature{source: "entra/signin"}, []LogSource{{Product: "azure", Service: "signinlogs"}}, []LogSource{{Product: "azure", Service: "auditlogs"}}},
		{signature{source: "m365/audit"}, []LogSource{{Product: "m365", Service: "exchange"}}, nil},
		{signature{source: "aws/cloudtrail"}, []LogSource{{Product: "aws", Service: "cloudtrail"}}, nil},
		{signature{source: "linux/auditd"}, []LogSource{{Product: "linux", Service: "auditd"}}, nil},
		{signature{source: "linux/process_creation"}, []LogSource{{Product: "linux", Category: "process_creation"}}, nil},
	} {
		f := classify(c.sig)
		for _, l := range c.fits {
			if !f.fits(l) {
				t.Errorf("%v: rules for %s aren't tried", c.sig, l)
			}
		}
		for _, l := range c.not {
			if f.fits(l) {
				t.Errorf("%v: rules for %s are tried", c.sig, l)
			}
		}
	}
}

func TestMatchAllocatesNothingOnceWarm(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	set := pack(t)
	var events []*ocsf.Event
	for _, r := range set.Rules() {
		for _, x := range packExamples(t, r.File).NoMatch {
			events = append(events, x.events()...)
		}
	}
	w := newScratch(set)
	all := func() {
		for _, e := range events {
			w.load(e)
			w.match()
		}
	}
	all()
	if n := testing.AllocsPerRun(20, all); n > 0 {
		t.Errorf("%.0f allocations for %d events", n, len(events))
	}
}

func TestSeveralGoroutinesShareARuleSet(t *testing.T) {
	set := pack(t)
	var events []*ocsf.Event
	for _, r := range set.Rules() {
		for _, x := range packExamples(t, r.File).Match {
			events = append(events, x.events()...)
		}
	}
	want := 0
	set.Match(events, func(int, *Rule) { want++ })
	done := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for range 20 {
				set.Match(events, func(int, *Rule) { n++ })
			}
			done <- n
		}()
	}
	for range 4 {
		if n := <-done; n != 20*want {
			t.Errorf("%d matches, want %d", n, 20*want)
		}
	}
}

func TestWholeCorpusStaysUnder200MB(t *testing.T) {
	if sampled {
		t.Skip("a compilation of its own takes long under the race detector; BREAKWATER_LONG=1 runs it")
	}
	docs := corpusDocuments(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	set, _ := Compile(docs)
	w := newScratch(set)
	// Every log source by itself, and every kind of Windows event, which belong to several.
	for i := range set.parts {
		w.load(&ocsf.Event{})
		w.matchGroup(set.plan([]int32{int32(i)})[0])
	}
	plans := 0
	for channel := range windowsServices {
		for id := range 30 {
			for _, how := range []string{"", "CreateKey", "DeleteKey"} {
				w.load(&ocsf.Event{Fields: ocsf.Fields{{Name: "Channel", Value: channel}, {Name: "EventID", Value: strconv.Itoa(id)}, {Name: "EventType", Value: how}}})
				w.match()
				plans++
			}
		}
	}
	used := int64(heap()) - int64(before)
	t.Logf("%d rules hold %.1f MB in %d plans for %d kinds of events", set.Len(), float64(used)/1e6, len(set.plans.byParts), plans)
	if used > 200_000_000 {
		t.Errorf("%d bytes", used)
	}
	runtime.KeepAlive(w)
	runtime.KeepAlive(docs)
}

func TestBombManyFieldNamesAreForgotten(t *testing.T) {
	w := newScratch(pack(t))
	for i := range 3 * maxNames {
		w.load(&ocsf.Event{Source: "windows/security", Fields: ocsf.Fields{
			{Name: "EventType", Value: strconv.Itoa(i)}, {Name: "n" + strconv.Itoa(i), Value: "x"}, {Name: strings.Repeat("n", maxKey+1), Value: "x"}}})
		w.match()
	}
	if len(w.names) > maxNames || len(w.routes) > maxRoutes {
		t.Errorf("%d names and %d routes are kept", len(w.names), len(w.routes))
	}
	for name := range w.names {
		if len(name) > maxKey {
			t.Errorf("a name of %d bytes is kept", len(name))
		}
	}
}
