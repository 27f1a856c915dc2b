package bus

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// nats-server cuts a block at the first record whose checksum is wrong and so loses what follows, and passes over
// a stream whose description is damaged. So the store is put in order before the server sees it: bad bytes go to
// the folder damaged, good records stay with their places, and what the server can make anew is removed.

const (
	// leap is how far the numbering jumps where the end of the store is damaged: nobody knows how many places the
	// lost bytes had, and a reader's checkpoint may be among them. A block of 8 MiB has fewer records.
	leap = 1 << 20
	// keepDamaged bounds the bytes in the folder damaged.
	keepDamaged = 64 << 20

	indexName = "index.db"
)

func streamDir(dir string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", streamName)
}
func blockDir(dir string) string { return filepath.Join(streamDir(dir), "msgs") }
func setAside(dir string) string { return filepath.Join(dir, "damaged") }

// repair is one look over a store that no server has open.
type repair struct {
	dir    string
	floor  uint64
	report func(string)
	lost   *lostPlaces
	dirty  bool  // something changed: the server's index no longer fits
	full   error // what could not be written for want of room
}

// holding says which places a store has.
type holding struct {
	first, last uint64 // the first message, and the last place used up; first 0: no message
}

// mend puts the store in order and says what it holds. New messages are to take places after floor. With an error
// for which isFull holds, what the store holds can be read, and nothing may be written.
func mend(dir string, floor uint64, report func(string)) (holding, error) {
	r := &repair{dir: dir, floor: floor, report: report}
	if err := os.MkdirAll(blockDir(dir), 0o700); err != nil {
		return holding{}, fmt.Errorf("making the bus's folder: %w", err)
	}
	var err error
	if r.lost, err = readLost(filepath.Join(setAside(dir), "places"), report); err != nil {
		return holding{}, err
	}
	list, err := blocks(blockDir(dir))
	if err != nil {
		return holding{}, err
	}
	if err := r.mendDescription(len(list) > 0); err != nil {
		return holding{}, err
	}
	index, err := r.checkIndex()
	if err != nil {
		return holding{}, err
	}
	have, err := r.mendBlocks(list, index)
	if err == nil {
		err = r.full
	}
	return have, err
}

// mendDescription writes the stream's description anew where it is damaged.
func (r *repair) mendDescription(needed bool) error {
	dir := streamDir(r.dir)
	metaPath, sumPath := filepath.Join(dir, server.JetStreamMetaFile), filepath.Join(dir, server.JetStreamMetaFileSum)
	meta, err := readSmall(metaPath)
	if err != nil {
		return err
	}
	sum, err := readSmall(sumPath)
	if err != nil {
		return err
	}
	if meta == nil && sum == nil && !needed {
		return nil // a new store
	}
	h, err := hashOf(streamName)
	if err != nil {
		return err
	}
	_, _ = h.Write(meta)
	var info server.FileStreamInfo
	dec := json.NewDecoder(bytes.NewReader(meta))
	dec.DisallowUnknownFields()
	switch {
	case hex.EncodeToString(h.Sum(nil)) == string(sum) && dec.Decode(&info) == nil && info.Name == streamName:
		return nil
	case meta == nil || sum == nil:
		r.report(fmt.Sprintf("bus: the description of the stream in %s was not there and was written anew; no message is lost", dir))
	default:
		r.report(fmt.Sprintf("bus: the description of the stream in %s did not match its checksum and was written anew; no message is lost", dir))
	}
	meta, err = json.Marshal(server.FileStreamInfo{Created: time.Now().UTC(), StreamConfig: streamConfig()})
	if err != nil {
		return fmt.Errorf("describing the bus's stream: %w", err)
	}
	h.Reset()
	_, _ = h.Write(meta)
	if err := replace(metaPath, meta); err != nil {
		return r.unlessFull(err)
	}
	return r.unlessFull(replace(sumPath, []byte(hex.EncodeToString(h.Sum(nil)))))
}

func streamConfig() server.StreamConfig {
	return server.StreamConfig{
		Name: streamName, Subjects: []string{subjectPrefix + "*"}, Retention: server.LimitsPolicy, Storage: server.FileStorage,
		Discard: server.DiscardOld, MaxConsumers: -1, MaxMsgs: -1, MaxBytes: -1, MaxMsgsPer: -1, MaxMsgSize: -1, Replicas: 1,
	}
}

// readSmall reads a file of the server's that is small by nature; nil where it is not there.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the bus's %s: %w", path, err)
	}
	if info.Size() > 64<<20 || !info.Mode().IsRegular() {
		return []byte{}, nil // it can't be right, and is treated like any other damage
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the bus's %s: %w", path, err)
	}
	return b, nil
}

// checkIndex reads from the server's index which places were in use. The server makes the index anew where there is
// none; a damaged one is removed.
func (r *repair) checkIndex() (holding, error) {
	path := filepath.Join(blockDir(r.dir), indexName)
	b, err := readSmall(path)
	if err != nil || b == nil {
		return holding{}, err
	}
	if have, ok := indexed(b); ok {
		return have, nil
	}
	r.report(fmt.Sprintf("bus: the index %s did not match its checksum and is made anew; no message is lost", path))
	r.dirty = true
	return holding{}, nil
}

// indexed reads the front of the server's index (writeFullState): magic, version, messages, bytes, first place, its
// time, last place. It ends with a checksum.
func indexed(b []byte) (holding, bool) {
	if len(b) < recordSum+2 {
		return holding{}, false
	}
	h, err := hashOf(streamName)
	if err != nil {
		return holding{}, false
	}
	body := b[:len(b)-recordSum]
	_, _ = h.Write(body)
	if !bytes.Equal(h.Sum(nil), b[len(body):]) {
		return holding{}, false
	}
	p := cursor{rest: body[2:]}
	messages := p.place()
	p.place()
	first := p.place()
	p.signed()
	last := p.place()
	if p.bad {
		return holding{}, false
	}
	if messages == 0 {
		first = 0
	}
	return holding{first, last}, true
}

func (c *cursor) place() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// mendBlocks goes over all blocks and leaves them with good records only.
func (r *repair) mendBlocks(list []blockFile, index holding) (holding, error) {
	var have holding
	var newest uint32
	var at int64
	var cut bool // the end of the store is not as it was written
	var used uint64
	if index.first > 0 {
		used = index.first - 1
	}
	for _, b := range list {
		s, err := r.mendBlock(b, used)
		if err != nil {
			return have, err
		}
		if have.first == 0 && s.first > 0 {
			have.first = s.first
			if index.first > 0 {
				r.missing(index.first, s.first-1, "are missing at the front of the store")
			}
		}
		used, newest, at = s.used, b.index, s.time
		cut = len(s.bad) > 0 && s.bad[len(s.bad)-1].next == 0
	}
	have.last = used
	if index.last > used {
		r.missing(used+1, index.last, "are missing at the end of the store")
		have.last = index.last
	}
	have.last = max(have.last, r.floor)
	if cut {
		have.last = max(have.last, used+leap)
	}
	if have.last > used {
		r.lost.add(used+1, have.last)
		if err := r.leapTo(have.last, newest+1, at); err != nil {
			return have, err
		}
	}
	if err := r.unlessFull(r.lost.write()); err != nil {
		return have, err
	}
	if !r.dirty {
		return have, nil
	}
	if err := os.Remove(filepath.Join(blockDir(r.dir), indexName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return have, fmt.Errorf("removing the bus's index to have it made anew: %w", err)
	}
	return have, r.unlessFull(syncDir(blockDir(r.dir)))
}

// unlessFull keeps back the error of a full disk: the store can be read all the same.
func (r *repair) unlessFull(err error) error {
	if isFull(err) {
		r.full = err
		return nil
	}
	return err
}

// missing reports places that nobody will see again, once. What the floor covers was read and is not missed.
func (r *repair) missing(from, to uint64, why string) {
	for _, run := range r.lost.add(max(from, r.floor+1), to) {
		r.dirty = true
		r.report(fmt.Sprintf("bus: places %d to %d (%d) %s", run[0], run[1], run[1]-run[0]+1, why))
	}
}

// mendBlock leaves a block with good records only, and the rest in the folder damaged.
func (r *repair) mendBlock(b blockFile, used uint64) (survey, error) {
	name := filepath.Base(b.path)
	if b.size > blockMost {
		return survey{}, fmt.Errorf("block %s of the bus has %d bytes, at most %d are possible: move it out of the folder", b.path, b.size, blockMost)
	}
	buf, err := os.ReadFile(b.path)
	if err != nil {
		return survey{}, fmt.Errorf("reading block %s of the bus: %w", b.path, err)
	}
	f, err := newFrame(b.index)
	if err != nil {
		return survey{}, err
	}
	s := f.look(buf, used)
	for _, bad := range s.bad {
		r.dirty = true
		kept := r.keep(fmt.Sprintf("%s.%d.%08x", name, bad.from, crc32.Checksum(buf[bad.from:bad.to], castagnoli)), buf[bad.from:bad.to])
		what := fmt.Sprintf("bus: %d bytes at %d of block %s are damaged", bad.to-bad.from, bad.from, name)
		switch {
		case bad.next == 0:
			what += fmt.Sprintf("; they follow place %d and end the block: a write that was cut off, whose batch nobody was told to be safe, or lost messages", bad.before)
		case bad.next > bad.before+1:
			r.lost.add(bad.before+1, bad.next-1)
			what += fmt.Sprintf("; the messages at places %d to %d (%d) are lost", bad.before+1, bad.next-1, bad.next-bad.before-1)
		default:
			what += "; no message is lost"
		}
		r.report(what + "; " + kept)
	}
	for _, g := range s.gaps {
		r.missing(g[0], g[1], fmt.Sprintf("are missing before a record of block %s", name))
	}
	if len(s.bad) == 0 {
		return s, nil
	}
	if len(s.good) == 0 {
		if err := os.Remove(b.path); err != nil {
			return s, fmt.Errorf("removing block %s of the bus, of which nothing is left: %w", b.path, err)
		}
		return s, nil
	}
	whole := make([]byte, 0, len(buf))
	for _, g := range s.good {
		whole = append(whole, buf[g.from:g.to]...)
	}
	return s, r.unlessFull(replace(b.path, whole))
}

// keep puts damaged bytes aside and says where. Without room for them, they are let go: the store comes first.
func (r *repair) keep(name string, b []byte) string {
	dir := setAside(r.dir)
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return "they are kept as " + path
	}
	if taken(dir)+int64(len(b)) > keepDamaged {
		return fmt.Sprintf("they are not kept, since %s has its %d MiB", dir, keepDamaged>>20)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Sprintf("they are not kept: %v", err)
	}
	if err := replace(path, b); err != nil {
		return fmt.Sprintf("they are not kept: %v", err)
	}
	return "they are kept as " + path
}

// leapTo adds a block that says that all places up to one are used up.
func (r *repair) leapTo(place uint64, block uint32, at int64) error {
	f, err := newFrame(block)
	if err != nil {
		return err
	}
	r.dirty = true
	r.report(fmt.Sprintf("bus: new messages take places from %d on, so that none is taken for one that was read before", place+1))
	path := filepath.Join(blockDir(r.dir), fmt.Sprintf("%d%s", block, blockSuffix))
	return r.unlessFull(replace(path, f.appendMarker(nil, place, at)))
}

// replace writes a file as a whole, or not at all.
func replace(path string, b []byte) error {
	if err := replaceSynced(path, b); err != nil {
		_ = os.Remove(path + ".tmp")
		return fmt.Errorf("writing the bus's %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func replaceSynced(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// lostPlaces remembers which places were reported as lost or left out, so that it is said once. Its file has a line
// for each run: the first place, the last, and a checksum.
type lostPlaces struct {
	path    string
	runs    [][2]uint64
	changed bool
}

func readLost(path string, report func(string)) (*lostPlaces, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	l := &lostPlaces{path: path}
	for line := range strings.Lines(string(b)) {
		var from, to uint64
		if n, err := fmt.Sscanf(line, "%d %d", &from, &to); n == 2 && err == nil && from <= to && line == lostLine(from, to) {
			l.runs = append(l.runs, [2]uint64{from, to})
			continue
		}
		l.changed = true
	}
	if l.changed {
		report(fmt.Sprintf("bus: the list of lost places %s is damaged; losses that were reported before may be reported again", path))
	}
	return l, nil
}

func lostLine(from, to uint64) string {
	line := fmt.Sprintf("%d %d ", from, to)
	return fmt.Sprintf("%s%08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}

// add remembers a run and gives the parts of it that are news.
func (l *lostPlaces) add(from, to uint64) (news [][2]uint64) {
	slices.SortFunc(l.runs, func(a, b [2]uint64) int { return cmp.Compare(a[0], b[0]) })
	for _, r := range l.runs {
		if r[1] < from || r[0] > to {
			continue
		}
		if from < r[0] {
			news = append(news, [2]uint64{from, r[0] - 1})
		}
		from = r[1] + 1
		if r[1] >= to {
			from = to + 1
			break
		}
	}
	if from <= to {
		news = append(news, [2]uint64{from, to})
	}
	l.runs = append(l.runs, news...)
	l.changed = l.changed || len(news) > 0
	return news
}

// write keeps the highest thousand runs; what lies before them was trimmed long ago.
func (l *lostPlaces) write() error {
	if !l.changed {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("making the folder for damaged parts of the bus: %w", err)
	}
	slices.SortFunc(l.runs, func(a, b [2]uint64) int { return cmp.Compare(a[0], b[0]) })
	var b strings.Builder
	for _, r := range l.runs[max(0, len(l.runs)-1000):] {
		b.WriteString(lostLine(r[0], r[1]))
	}
	return replace(l.path, []byte(b.String()))
}
