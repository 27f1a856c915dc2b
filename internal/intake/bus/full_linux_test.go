package bus

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// tiny mounts a file system of a few MiB.
func tiny(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a small file system needs root to be mounted; run as root, or in a container with CAP_SYS_ADMIN")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("mounting a small file system is not allowed here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	return dir
}

// fill publishes until the disk is full and returns what was acknowledged.
func fill(t *testing.T, j *JetStream, from int, acked map[uint64]Batch) int {
	t.Helper()
	for n := from; n < from+1000; n++ {
		b := large(n)
		place, err := j.Publish(t.Context(), b)
		if errors.Is(err, ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("batch %d: %v, want ErrFull", n, err)
		}
		acked[place] = *b
	}
	t.Fatal("the disk does not get full")
	return 0
}

// eventually publishes until it succeeds.
func eventually(t *testing.T, j *JetStream, b *Batch) uint64 {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		place, err := j.Publish(t.Context(), b)
		if err == nil {
			return place
		}
		if !errors.Is(err, ErrFull) || time.Now().After(end) {
			t.Fatalf("with room again, Publish still returns %v", err)
		}
	}
}

func TestAFullDiskStopsWritingAndNothingElse(t *testing.T) {
	for name, options := range map[string]Options{
		"seen before writing": {MinFree: 4 << 20},
		"seen by the server":  {MinFree: -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t, "48m")
			j, d := open(t, filepath.Join(dir, "bus"), options)
			acked := map[uint64]Batch{}
			n := fill(t, j, 0, acked)
			if missing, err := lacks(readAll(t, j, 0), acked); err != nil || missing > 0 {
				t.Fatalf("full, %d acknowledged messages are lost, %v", missing, err)
			}
			if _, err := j.Publish(t.Context(), large(n)); !errors.Is(err, ErrFull) {
				t.Errorf("full, Publish returns %v", err)
			}
			for range 3 {
				_, last := j.Span()
				upTo := last - 10
				if err := j.Trim(t.Context(), upTo); err != nil {
					t.Fatalf("full, Trim returns %v", err)
				}
				for place := range acked {
					if place <= upTo {
						delete(acked, place)
					}
				}
				b := large(n + 1)
				acked[eventually(t, j, b)] = *b
				n = fill(t, j, n+2, acked)
			}
			got := readAll(t, j, 0)
			if missing, err := lacks(kept(got, acked), acked); err != nil || missing > 0 {
				t.Errorf("trimmed and filled three times, %d acknowledged messages are lost, %v", missing, err)
			}
			first, _ := j.Span()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j, d2 := open(t, filepath.Join(dir, "bus"), options)
			if missing, err := lacks(kept(readAll(t, j, first-1), acked), acked); err != nil || missing > 0 {
				t.Errorf("opened again on a full disk, %d acknowledged messages are lost, %v", missing, err)
			}
			t.Logf("reported: %q, %q", d.all(), d2.all())
		})
	}
}

// kept leaves out messages that nobody was told to be safe, and that are there all the same.
func kept(got, acked map[uint64]Batch) map[uint64]Batch {
	for place := range got {
		if _, told := acked[place]; !told {
			delete(got, place)
		}
	}
	return got
}

func TestAnotherProgramMayFillTheDisk(t *testing.T) {
	dir := tiny(t, "48m")
	j, _ := open(t, filepath.Join(dir, "bus"), Options{MinFree: -1})
	acked := map[uint64]Batch{}
	b := large(1)
	acked[publish(t, j, b)] = *b
	hog := filepath.Join(dir, "hog")
	if err := os.WriteFile(hog, make([]byte, 100<<20), 0o600); err == nil {
		t.Fatal("100 MiB fit on a disk of 48 MiB")
	}
	if _, err := j.Publish(t.Context(), large(2)); !errors.Is(err, ErrFull) {
		t.Errorf("Publish returns %v", err)
	}
	// A start on a disk without a byte left.
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, _ = open(t, filepath.Join(dir, "bus"), Options{MinFree: -1})
	if missing, err := lacks(kept(readAll(t, j, 0), acked), acked); err != nil || missing > 0 {
		t.Errorf("opened on a full disk, %d acknowledged messages are lost, %v", missing, err)
	}
	if _, err := j.Publish(t.Context(), large(2)); !errors.Is(err, ErrFull) {
		t.Errorf("opened on a full disk, Publish returns %v", err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	b = large(3)
	acked[eventually(t, j, b)] = *b
	if missing, err := lacks(kept(readAll(t, j, 0), acked), acked); err != nil || missing > 0 {
		t.Errorf("with room again, %d acknowledged messages are lost, %v", missing, err)
	}
}
