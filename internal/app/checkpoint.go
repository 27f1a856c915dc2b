package app

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// checkpoint is the state of a core after the messages up to Seq, as it is written: sections by name.
type checkpoint struct {
	head     checkpointHead
	sections map[string][]byte
	seen     []byte // beside the others, since only a restart needs it
}

// checkpointHead is what is known of a checkpoint without reading its state.
type checkpointHead struct {
	Seq      uint64
	Written  time.Time
	Snapshot string // version of the declared model
	Records  int64
	Events   int64
	Repeats  int64
	From, To time.Time
	Taken    time.Time // latest event time that was taken
	Clock    map[tenant.ID]time.Time
	Leads    map[string]bool
	Debt     debt
}

// clean reports whether the state is certain to be what the events in full order give.
func (h *checkpointHead) clean() bool { return h.Debt.Events == 0 }

// engineSection is before the name of a detector's state.
const engineSection = "engine/"

// snapshot encodes the core. It costs time in proportion to the state, and changes nothing.
func (c *core) snapshot(now time.Time) (*checkpoint, error) {
	k := &checkpoint{head: checkpointHead{Seq: c.seq, Written: now.UTC(), Snapshot: c.setup.Model.Version, Records: c.records, Events: c.events,
		Repeats: c.repeats, From: c.from, To: c.to, Taken: c.taken(), Clock: maps.Clone(c.clock), Leads: maps.Clone(c.leads), Debt: c.debt}, sections: map[string][]byte{}}
	states, err := c.engine.Snapshot()
	if err != nil {
		return nil, err
	}
	for name, b := range states {
		k.sections[engineSection+name] = b
	}
	var ledger []byte
	for _, f := range c.engine.Findings() {
		data, err := f.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encoding finding %s: %w", f.ID, err)
		}
		ledger = append(binary.AppendUvarint(ledger, uint64(len(data))), data...)
	}
	k.sections["ledger"] = ledger
	for name, part := range map[string]func() ([]byte, error){"graph": c.graph.Snapshot, "telemetry": c.telemetry.Snapshot,
		"sessions": c.sessions.Snapshot, "coverage": func() ([]byte, error) { return c.coverage.Snapshot(), nil },
		"window": func() ([]byte, error) { return order.EncodeEvents(c.window.Waiting()) }} {
		if k.sections[name], err = part(); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
	}
	k.seen = c.seen.Snapshot()
	return k, nil
}

// restore gives an empty core the state of a checkpoint. What a changed configuration no longer has is left out.
func (c *core) restore(k *checkpoint) error {
	h := &k.head
	c.seq, c.records, c.events, c.repeats, c.from, c.to, c.debt = h.Seq, h.Records, h.Events, h.Repeats, h.From, h.To, h.Debt
	if c.clock = maps.Clone(h.Clock); c.clock == nil {
		c.clock = map[tenant.ID]time.Time{}
	}
	c.leads = map[string]bool{}
	for sensor, lead := range h.Leads {
		c.lead(sensor, lead)
	}
	states := map[string][]byte{}
	for name, b := range k.sections {
		if rest, ok := strings.CutPrefix(name, engineSection); ok {
			states[rest] = b
		}
	}
	if err := c.engine.Restore(states); err != nil {
		return err
	}
	findings, err := decodeFindings(k.sections["ledger"])
	if err != nil {
		return err
	}
	c.engine.RestoreLedger(findings)
	for name, part := range map[string]func([]byte) error{"graph": c.graph.Restore, "telemetry": c.telemetry.Restore,
		"sessions": c.sessions.Restore, "coverage": c.coverage.Restore} {
		if err := part(k.sections[name]); err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
	}
	waiting, err := order.DecodeEvents(k.sections["window"])
	if err != nil {
		return err
	}
	for _, e := range waiting {
		c.window.Add(e, 0)
	}
	return nil
}

func decodeFindings(b []byte) ([]*ocsf.Finding, error) {
	var out []*ocsf.Finding
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, errors.New("a finding is cut short")
		}
		f := &ocsf.Finding{}
		if err := f.UnmarshalBinary(b[k : k+int(n)]); err != nil {
			return nil, fmt.Errorf("decoding a finding: %w", err)
		}
		out, b = append(out, f), b[k+int(n):]
	}
	return out, nil
}

// checkpointMagic begins every checkpoint; the number is the version of the framing.
const checkpointMagic = "breakwater checkpoint 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode frames the sections, each with its checksum, and ends with one that says how many there were.
func (k *checkpoint) encode() ([]byte, error) {
	var head bytes.Buffer
	if err := gob.NewEncoder(&head).Encode(k.head); err != nil {
		return nil, fmt.Errorf("encoding a checkpoint: %w", err)
	}
	out := []byte(checkpointMagic)
	out = appendSection(out, "head", head.Bytes())
	for _, name := range slices.Sorted(maps.Keys(k.sections)) {
		out = appendSection(out, name, k.sections[name])
	}
	return appendSection(out, "end", []byte(strconv.Itoa(len(k.sections)))), nil
}

func appendSection(out []byte, name string, data []byte) []byte {
	packed := s2.Encode(nil, data)
	start := len(out)
	out = append(binary.AppendUvarint(out, uint64(len(name))), name...)
	out = append(binary.AppendUvarint(out, uint64(len(packed))), packed...)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out[start:], castagnoli))
}

// maxSection bounds what a section may claim to unpack to.
const maxSection = 2 << 30

// decodeCheckpoint reads what encode wrote. Any damage is an error: an older checkpoint serves then. Only the head
// is unpacked where headOnly is set.
func decodeCheckpoint(b []byte, headOnly bool) (*checkpoint, error) {
	rest, ok := bytes.CutPrefix(b, []byte(checkpointMagic))
	if !ok {
		return nil, errors.New("it does not begin as a checkpoint does")
	}
	k := &checkpoint{sections: map[string][]byte{}}
	for n := 0; ; n++ {
		name, data, after, err := section(rest)
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", n+1, err)
		}
		rest = after
		switch {
		case n == 0 && name == "head":
			if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&k.head); err != nil {
				return nil, fmt.Errorf("reading its head: %w", err)
			}
			if headOnly {
				return k, nil
			}
		case n == 0:
			return nil, errors.New("its head is missing")
		case name == "end":
			if string(data) != strconv.Itoa(len(k.sections)) || len(rest) != 0 {
				return nil, errors.New("it has not the sections that it was written with")
			}
			return k, nil
		default:
			k.sections[name] = data
		}
	}
}

func section(b []byte) (name string, data, rest []byte, err error) {
	short := errors.New("it is cut short")
	n, w := binary.Uvarint(b)
	if w <= 0 || n > 256 || uint64(len(b)-w) < n {
		return "", nil, nil, short
	}
	at := w + int(n)
	name = string(b[w:at])
	m, w := binary.Uvarint(b[at:])
	if w <= 0 || uint64(len(b)-at-w) < m || uint64(len(b)-at-w)-m < 4 {
		return "", nil, nil, short
	}
	at += w
	packed := b[at : at+int(m)]
	at += int(m)
	if crc32.Checksum(b[:at], castagnoli) != binary.LittleEndian.Uint32(b[at:]) {
		return "", nil, nil, errors.New("its checksum is wrong")
	}
	if size, err := s2.DecodedLen(packed); err != nil || size > maxSection {
		return "", nil, nil, errors.New("it claims more than a section may hold")
	}
	if data, err = s2.Decode(nil, packed); err != nil {
		return "", nil, nil, fmt.Errorf("unpacking %s: %w", name, err)
	}
	return name, data, b[at+4:], nil
}

// checkpoints is the folder of checkpoints: the newest for a restart, and older clean ones for rebuilds.
type checkpoints struct {
	dir  string
	list []checkpointHead // by Seq
}

// openCheckpoints lists the folder. What can't be read is set aside with a word to damaged.
func openCheckpoints(dir string, damaged func(string)) (*checkpoints, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of checkpoints: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing checkpoints: %w", err)
	}
	p := &checkpoints{dir: dir}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(name, ".tmp"):
			os.Remove(name)
		case strings.HasSuffix(name, ".checkpoint"):
			head, err := readHead(name)
			if err != nil {
				damaged(fmt.Sprintf("checkpoint %s is damaged and was set aside: %v", e.Name(), err))
				os.Rename(name, name+".damaged")
				continue
			}
			p.list = append(p.list, head)
		}
	}
	slices.SortFunc(p.list, func(a, b checkpointHead) int { return int(int64(a.Seq) - int64(b.Seq)) })
	return p, nil
}

func readHead(name string) (checkpointHead, error) {
	f, err := os.Open(name)
	if err != nil {
		return checkpointHead{}, err
	}
	defer f.Close()
	head := make([]byte, 1<<20)
	n, _ := f.ReadAt(head, 0)
	k, err := decodeCheckpoint(head[:n], true)
	if err != nil {
		return checkpointHead{}, err
	}
	return k.head, nil
}

func (p *checkpoints) name(seq uint64, ext string) string {
	return filepath.Join(p.dir, fmt.Sprintf("%020d.%s", seq, ext))
}

// load reads the checkpoint of a place.
func (p *checkpoints) load(seq uint64) (*checkpoint, error) {
	name := p.name(seq, "checkpoint")
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading a checkpoint: %w", err)
	}
	k, err := decodeCheckpoint(b, false)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint %s: %w", filepath.Base(name), err)
	}
	k.seen, _ = os.ReadFile(p.name(seq, "seen"))
	return k, nil
}

// drop forgets a checkpoint and removes its files.
func (p *checkpoints) drop(seq uint64) {
	os.Remove(p.name(seq, "checkpoint"))
	os.Remove(p.name(seq, "seen"))
	p.list = slices.DeleteFunc(p.list, func(h checkpointHead) bool { return h.Seq == seq })
}

// write puts an encoded checkpoint on disk, whole or not at all.
func (p *checkpoints) write(k *checkpoint) error {
	data, err := k.encode()
	if err != nil {
		return err
	}
	if err := writeWhole(p.name(k.head.Seq, "seen"), k.seen); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	if err := writeWhole(p.name(k.head.Seq, "checkpoint"), data); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	return nil
}

// maxBase is how old a checkpoint may be that a rebuild begins with.
const maxBase = 24 * time.Hour

// add takes a written checkpoint into the list and lets go of those that are needed no more: beside the newest two,
// clean ones are kept, ever farther apart the older they are.
func (p *checkpoints) add(h checkpointHead) {
	p.list = slices.DeleteFunc(p.list, func(x checkpointHead) bool { return x.Seq == h.Seq })
	p.list = append(p.list, h)
	var clean []checkpointHead
	for _, x := range slices.Clone(p.list[:max(0, len(p.list)-2)]) {
		if age := h.Written.Sub(x.Written); x.clean() && age >= 0 && age <= maxBase {
			clean = append(clean, x)
			continue
		}
		p.drop(x.Seq)
	}
	for i := 1; i+1 < len(clean); {
		older, younger := h.Written.Sub(clean[i-1].Written), h.Written.Sub(clean[i+1].Written)
		if older-younger >= older/2 {
			i++
			continue
		}
		p.drop(clean[i].Seq)
		clean = slices.Delete(clean, i, i+1)
	}
	for i := 0; i+2 < len(p.list); i++ {
		os.Remove(p.name(p.list[i].Seq, "seen"))
	}
}

// base returns the youngest clean checkpoint that had taken nothing later than a moment.
func (p *checkpoints) base(since time.Time) (checkpointHead, bool) {
	for i := len(p.list) - 1; i >= 0; i-- {
		if h := p.list[i]; h.clean() && h.Taken.Before(since) {
			return h, true
		}
	}
	return checkpointHead{}, false
}

// writeWhole writes a file under another name, has it on disk, and renames it.
func writeWhole(name string, data []byte) error {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		os.Remove(name + ".tmp")
		return err
	}
	if d, err := os.Open(filepath.Dir(name)); err == nil { // not every system can sync a folder
		_ = d.Sync()
		d.Close()
	}
	return nil
}
