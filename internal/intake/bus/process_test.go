package bus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The child publishes in a process of its own and writes a line for each acknowledgement.
const (
	childDir   = "BREAKWATER_TEST_BUS_DIR"
	childCount = "BREAKWATER_TEST_BUS_COUNT" // batches of each publisher
	childMany  = "BREAKWATER_TEST_BUS_PUBLISHERS"
	childFirst = "BREAKWATER_TEST_BUS_FIRST" // number of the first batch
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

// sized gives small batches and large ones in turn, so that kills fall into writes.
func sized(n int) *Batch {
	b := batch(n, 200)
	if n%4 == 0 {
		b.Frames[0].Data = noise(1+n*7919%(1<<20), uint64(n))
	}
	return b
}

func child(dir string) error {
	j, err := Open(dir, Options{Log: quiet(), MinFree: -1})
	if err != nil {
		return err
	}
	var next atomic.Int64
	next.Store(int64(number(childFirst)))
	errs := make(chan error, number(childMany))
	for range number(childMany) {
		go func() {
			for range number(childCount) {
				n := int(next.Add(1))
				place, err := j.Publish(context.Background(), sized(n))
				if err == nil {
					_, err = os.Stdout.WriteString(fmt.Sprintf("acked %d as %d\n", n, place))
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range number(childMany) {
		if err := <-errs; err != nil {
			return err
		}
	}
	return j.Close()
}

func childEnv(dir string, count, publishers, first int) []string {
	return append(os.Environ(), childDir+"="+dir, fmt.Sprint(childCount, "=", count), fmt.Sprint(childMany, "=", publishers), fmt.Sprint(childFirst, "=", first))
}

func TestKilledAtAnyMomentNothingAcknowledgedIsLost(t *testing.T) {
	rounds := 20
	if os.Getenv("BREAKWATER_LONG") != "" {
		rounds = 200
	}
	dir := t.TempDir()
	acked := map[uint64]int{}
	first := 0
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = childEnv(dir, 1_000_000, 3, first)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var kill sync.Once
		before := len(acked)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n int
			var place uint64
			if _, err := fmt.Sscanf(lines.Text(), "acked %d as %d", &n, &place); err != nil {
				continue // the last line may be cut off
			}
			if old, twice := acked[place]; twice {
				t.Errorf("place %d was given to batches %d and %d", place, old, n)
			}
			acked[place] = n
			first = max(first, n+100)
			kill.Do(func() {
				time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			})
		}
		_ = cmd.Wait() // it was killed
		if len(acked) == before {
			t.Fatalf("round %d: the child acknowledged nothing", round)
		}
		got, j, said := without(t, dir, 0)
		for place, n := range acked {
			b, kept := got[place]
			if !kept {
				t.Fatalf("round %d: batch %d, acknowledged as place %d, is lost; reported: %q", round, n, place, said)
			}
			if !reflect.DeepEqual(*sized(n), b) {
				t.Fatalf("round %d: place %d does not hold batch %d as it was published", round, place, n)
			}
		}
		for _, s := range said {
			if strings.Contains(s, "are lost") || strings.Contains(s, "missing") {
				t.Errorf("round %d: %s", round, s)
			}
		}
		// The store must not grow over all rounds.
		if len(acked) > 400 {
			_, last := j.Span()
			acked = map[uint64]int{}
			again, _ := open(t, dir, Options{})
			if err := again.Trim(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSyncedBeforeAcknowledged looks at the system calls: for each acknowledgement that leaves the process, the block
// was written and then synced before.
func TestSyncedBeforeAcknowledged(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: apt-get install strace")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-y", "-s", "32", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", trace, os.Args[0])
	cmd.Env = childEnv(t.TempDir(), 20, 1, 0)
	out, err := cmd.CombinedOutput()
	if err != nil {
		if strings.Contains(string(out), "ptrace") || strings.Contains(string(out), "PTRACE") {
			t.Skipf("tracing is not allowed here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	acks, written, synced, err := order(file)
	if err != nil {
		t.Error(err)
	}
	if acks != 20 || written < 20 || synced < 20 {
		t.Errorf("%d acknowledgements, %d writes and %d syncs of blocks, want 20 each", acks, written, synced)
	}
}

var (
	call    = regexp.MustCompile(`^(\d+) +(pwrite64|write|fsync|fdatasync)\((\d+)<([^>]*)>(.*)$`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (pwrite64|write|fsync|fdatasync) resumed>.*= (-?\d+)`)
)

// order reads a trace of one publisher and checks that before each acknowledgement there is a finished sync of a
// block that began after a finished write of it, both after the acknowledgement before.
func order(trace io.Reader) (acks, written, synced int, err error) {
	type open struct{ name, path string }
	pending := map[string]open{}
	var wrote, dirty, safe bool // since the last acknowledgement
	finish := func(o open, result string) {
		if !strings.HasSuffix(o.path, blockSuffix) || strings.HasPrefix(result, "-") {
			return
		}
		switch o.name {
		case "pwrite64", "write":
			written++
			wrote, dirty, safe = true, true, false
		default:
			synced++
			if wrote {
				dirty, safe = false, true
			}
		}
	}
	for lines := bufio.NewScanner(trace); lines.Scan(); {
		if m := resumed.FindStringSubmatch(lines.Text()); m != nil {
			finish(pending[m[1]], m[3])
			delete(pending, m[1])
			continue
		}
		m := call.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		o := open{m[2], m[4]}
		if o.name == "write" && m[3] == "1" && strings.HasPrefix(m[5], `, "acked `) {
			acks++
			if !safe || dirty {
				return acks, written, synced, fmt.Errorf("acknowledgement %d left before its block was synced: %s", acks, lines.Text())
			}
			wrote, safe = false, false
			continue
		}
		if strings.Contains(m[5], "<unfinished") {
			pending[m[1]] = o
			continue
		}
		_, result, _ := strings.Cut(m[5], "= ")
		finish(o, result)
	}
	return acks, written, synced, nil
}

func TestOrderSeesAnEarlyAcknowledgement(t *testing.T) {
	const (
		write = "7 pwrite64(9</d/1.blk>, \"x\", 1, 0) = 1\n"
		begun = "7 fsync(9</d/1.blk> <unfinished ...>\n"
		ended = "7 <... fsync resumed>) = 0\n"
		ack   = "8 write(1<pipe:[3]>, \"acked 1 as 1\\n\", 13) = 13\n"
	)
	for name, c := range map[string]struct {
		trace string
		fine  bool
	}{
		"write, sync, acknowledge":           {write + begun + ended + ack, true},
		"write, acknowledge":                 {write + ack, false},
		"acknowledged while syncing":         {write + begun + ack + ended, false},
		"synced before it was written":       {begun + ended + write + ack, false},
		"one sync for two acknowledgements":  {write + begun + ended + ack + ack, false},
		"two writes, two syncs, one by one":  {write + begun + ended + ack + write + begun + ended + ack, true},
		"a failed sync":                      {write + "7 fsync(9</d/1.blk>) = -1 EIO\n" + ack, false},
		"a sync of another file than blocks": {write + "7 fsync(9</d/meta>) = 0\n" + ack, false},
	} {
		if _, _, _, err := order(strings.NewReader(c.trace)); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}
