package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// smallCheckpoint is a checkpoint that has something in each of its kinds of section.
func smallCheckpoint(seq uint64) *checkpoint {
	return &checkpoint{head: checkpointHead{Seq: seq, Written: time.Unix(1_790_000_000, 0).UTC(), Records: 7, Taken: time.Unix(1_780_000_000, 0).UTC(),
		Clock: map[tenant.ID]time.Time{"acme": time.Unix(1_780_000_000, 0).UTC()}},
		sections: map[string][]byte{"engine/recon": []byte("state of recon, state of recon, state of recon"), "graph": nil, "window": []byte("w")}, seen: []byte("seen")}
}

func TestCheckpointIsReadAsItWasWritten(t *testing.T) {
	p := &checkpoints{dir: t.TempDir()}
	want := smallCheckpoint(42)
	if err := p.write(want); err != nil {
		t.Fatal(err)
	}
	got, err := p.load(42)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.sections["engine/recon"]) != string(want.sections["engine/recon"]) || len(got.sections) != 3 || string(got.seen) != "seen" {
		t.Errorf("sections %q, seen %q", got.sections, got.seen)
	}
	if got.head.Seq != 42 || got.head.Records != 7 || !got.head.Clock["acme"].Equal(want.head.Clock["acme"]) || !got.head.clean() {
		t.Errorf("head %+v", got.head)
	}
}

func TestDamagedCheckpointIsNeverTaken(t *testing.T) {
	data, err := smallCheckpoint(1).encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for _, bit := range []byte{1, 0x80} {
			damaged := append([]byte(nil), data...)
			damaged[i] ^= bit
			if _, err := decodeCheckpoint(damaged, false); err == nil {
				t.Fatalf("bit %#x of byte %d is flipped and nobody notices", bit, i)
			}
		}
		if _, err := decodeCheckpoint(data[:i], false); err == nil {
			t.Fatalf("cut to %d of %d bytes it is taken for whole", i, len(data))
		}
	}
	if _, err := decodeCheckpoint(append(data, 0), false); err == nil {
		t.Error("what follows the end is not noticed")
	}
}

func FuzzDecodeCheckpoint(f *testing.F) {
	data, err := smallCheckpoint(3).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(checkpointMagic))
	f.Add([]byte(checkpointMagic + "\x04head\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := decodeCheckpoint(b, false)
		if err == nil && k.sections == nil {
			t.Error("a checkpoint without sections")
		}
	})
}

func TestDamagedCheckpointsAreSetAside(t *testing.T) {
	dir := t.TempDir()
	p := &checkpoints{dir: dir}
	for _, seq := range []uint64{3, 9} {
		if err := p.write(smallCheckpoint(seq)); err != nil {
			t.Fatal(err)
		}
	}
	name := p.name(9, "checkpoint")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(checkpointMagic)+10] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "5.checkpoint.tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said []string
	got, err := openCheckpoints(dir, func(what string) { said = append(said, what) })
	if err != nil || len(got.list) != 1 || got.list[0].Seq != 3 || len(said) != 1 {
		t.Fatalf("%v, %+v, %q", err, got.list, said)
	}
	if _, err := os.Stat(name + ".damaged"); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("half-written files stay: %v", left)
	}
}

func TestOlderCheckpointsLieFartherApart(t *testing.T) {
	p := &checkpoints{dir: t.TempDir()}
	start := time.Unix(1_790_000_000, 0)
	var seq uint64
	for at := time.Duration(0); at <= 30*time.Hour; at += 30 * time.Second {
		seq++
		h := checkpointHead{Seq: seq, Written: start.Add(at), Taken: start.Add(at)}
		if seq%10 == 3 {
			h.Debt = debt{Since: start, Events: 1}
		}
		p.add(h)
	}
	if n := len(p.list); n < 8 || n > 30 {
		t.Errorf("%d checkpoints are kept", n)
	}
	now := start.Add(30 * time.Hour)
	for _, back := range []time.Duration{2 * time.Minute, 10 * time.Minute, time.Hour, 5 * time.Hour, 20 * time.Hour} {
		h, ok := p.base(now.Add(-back))
		if age := now.Sub(h.Written); !ok || !h.clean() || age <= back || age > 2*back+2*time.Minute {
			t.Errorf("for what came %s late the base is %s old (%v)", back, age, ok)
		}
	}
	if _, ok := p.base(now.Add(-29 * time.Hour)); ok {
		t.Error("a base older than a day is kept")
	}
	if p.list[len(p.list)-1].Seq != seq {
		t.Error("the newest is not kept")
	}
}
