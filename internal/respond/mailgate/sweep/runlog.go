package sweep

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxLine bounds a line of a run's journal, maxRunBytes the journal.
const (
	maxLine     = 4 << 20
	maxRunBytes = 1 << 30
)

// Kind is what a run does.
type Kind string

// The kinds of runs.
const (
	KindSweep Kind = "sweep"
	KindUndo  Kind = "undo"
	KindOffer Kind = "offer" // a dry run that was kept: it moved nothing, and a person may accept it
	kindTake  Kind = "take"  // mail that was taken in goes to the folder of what is handled
)

// Run is one sweep that moved messages, or one that put them back.
type Run struct {
	ID     string    `json:"id"`
	Tenant tenant.ID `json:"tenant"`
	Kind   Kind      `json:"kind"`
	Of     string    `json:"of,omitempty"` // the run that is put back
	By     string    `json:"by"`
	Why    string    `json:"why"` // what was looked for, in words
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"` // zero: it was cut off, and the next run finishes it
	Moves  []Move    `json:"moves,omitempty"`
	// Criteria are those of an offer; empty for other runs.
	Criteria *Criteria `json:"criteria,omitempty"`
}

// State is where a message of a run stands.
type State string

// The states of a move.
const (
	Intended State = "intended" // written down before the server was asked; the next run finds out
	Moved    State = "moved"
	Gone     State = "gone"   // it lay in neither folder any more: somebody else moved or deleted it
	Refused  State = "failed" // the server refused; the message is where it was
)

// Move is one message on its way from a folder to another.
type Move struct {
	Seq       int       `json:"seq"`
	Mailbox   string    `json:"mailbox"` // name of the mailbox and the user: imap/ana@acme.example
	Folder    string    `json:"folder"`
	Valid     uint32    `json:"uid_validity"`
	UID       uint32    `json:"uid"`
	To        string    `json:"to"`
	ToValid   uint32    `json:"to_uid_validity"`
	ToNext    uint32    `json:"to_uid_next"` // the copy's UID is this or more
	ToUID     uint32    `json:"to_uid,omitempty"`
	Head      string    `json:"head"` // SHA-256 of the header section
	Size      int64     `json:"size"`
	Date      time.Time `json:"date"` // INTERNALDATE
	Flags     []string  `json:"flags,omitempty"`
	MessageID string    `json:"message_id,omitempty"`
	From      string    `json:"from,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Why       string    `json:"why,omitempty"`
	State     State     `json:"state"`
	Problem   string    `json:"problem,omitempty"`
}

// key is equal for one message wherever it lies, and for copies that nothing tells apart.
func (m *Move) key() string { return m.Head + " " + fmt.Sprint(m.Size, " ", m.Date.Unix()) }

// record is one line of a journal.
type record struct {
	Run    *Run       `json:"run,omitempty"`
	Intend []Move     `json:"intend,omitempty"`
	Done   []Move     `json:"done,omitempty"` // the whole move again, with its end
	Ended  *time.Time `json:"ended,omitempty"`
}

// journal is a run that is being written.
type journal struct {
	mu   sync.Mutex
	path string
	f    *os.File
	run  Run
	at   map[int]int // where the move of a number is in run.Moves
}

// create begins the journal of a run.
func create(dir string, run Run) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of sweeps: %w", err)
	}
	path := filepath.Join(dir, run.ID+".jsonl")
	// The mark stands while a run's end is not known, so that nobody has to read all journals to find it.
	if err := os.WriteFile(mark(path), nil, 0o600); err != nil {
		return nil, fmt.Errorf("beginning the journal of run %s: %w", run.ID, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("beginning the journal of run %s: %w", run.ID, err)
	}
	j := &journal{path: path, f: f, run: run, at: map[int]int{}}
	if err := j.write(record{Run: &run}); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("beginning the journal of run %s: %w", run.ID, err), f.Close())
	}
	return j, nil
}

func mark(path string) string { return strings.TrimSuffix(path, ".jsonl") + ".open" }

// errUnbegun is a journal whose first line was never written: no message of it was touched.
var errUnbegun = errors.New("the run was stopped before it began")

// cutOff lists the runs whose end is not known, oldest first.
func cutOff(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the folder of sweeps: %w", err)
	}
	var out []string
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name(), ".open"); ok && goodID(id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// forget takes a run away that never began, or whose end nobody asks for.
func forget(dir, id string) error {
	path := filepath.Join(dir, id+".jsonl")
	for _, p := range []string{path, mark(path)} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the journal of run %s: %w", id, err)
		}
	}
	return nil
}

// resume opens the journal of a run that was cut off.
func resume(dir, id string) (*journal, error) {
	path := filepath.Join(dir, id+".jsonl")
	run, whole, err := readRun(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err == nil {
		// Half a line is left where a process was stopped while writing; what it told did not happen yet.
		if err = f.Truncate(whole); err == nil {
			_, err = f.Seek(whole, io.SeekStart)
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the journal of run %s: %w", id, err)
	}
	j := &journal{path: path, f: f, run: run, at: map[int]int{}}
	for i := range run.Moves {
		j.at[run.Moves[i].Seq] = i
	}
	return j, nil
}

func (j *journal) write(r record) error {
	raw, err := json.Marshal(r)
	if err == nil {
		_, err = j.f.Write(append(raw, '\n'))
	}
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the journal %s: %w", j.path, err)
	}
	return nil
}

// intend writes down what is about to be moved, and numbers it. Nothing may be asked of the server before it returns.
func (j *journal) intend(list []Move) ([]Move, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := slices.Clone(list)
	for i := range out {
		if out[i].Seq == 0 {
			out[i].Seq = len(j.run.Moves) + i + 1
		}
		out[i].State = Intended
	}
	if err := j.write(record{Intend: out}); err != nil {
		return nil, err
	}
	for _, m := range out {
		j.put(m)
	}
	return out, nil
}

// end writes down what became of messages.
func (j *journal) end(list []Move) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if err := j.write(record{Done: list}); err != nil {
		return err
	}
	for _, m := range list {
		j.put(m)
	}
	return nil
}

func (j *journal) put(m Move) {
	if i, ok := j.at[m.Seq]; ok {
		j.run.Moves[i] = m
		return
	}
	j.at[m.Seq] = len(j.run.Moves)
	j.run.Moves = append(j.run.Moves, m)
}

// open lists the messages of a mailbox whose end is not known.
func (j *journal) open(mailbox string) []Move {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Move
	for _, m := range j.run.Moves {
		if m.State == Intended && (mailbox == "" || m.Mailbox == mailbox) {
			out = append(out, m)
		}
	}
	return out
}

// claimed lists the UIDs in a folder that moves of this run have come to.
func (j *journal) claimed(mailbox, folder string, valid uint32) map[uint32]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[uint32]bool{}
	for _, m := range j.run.Moves {
		if m.State == Moved && m.Mailbox == mailbox && m.To == folder && m.ToValid == valid && m.ToUID > 0 {
			out[m.ToUID] = true
		}
	}
	return out
}

// finish marks the run as complete, unless a message's end is not known, and closes the journal.
func (j *journal) finish(now time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	open := slices.ContainsFunc(j.run.Moves, func(m Move) bool { return m.State == Intended })
	var err error
	if !open {
		now = now.UTC()
		if err = j.write(record{Ended: &now}); err == nil {
			j.run.Ended = now
		}
	}
	if err == nil && !open {
		err = os.Remove(mark(j.path))
	}
	return errors.Join(err, j.f.Close())
}

// snapshot returns the run as it is known.
func (j *journal) snapshot() Run {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.run
	r.Moves = slices.Clone(r.Moves)
	return r
}

// readRun reads a journal, and where its last whole line ends.
func readRun(path string) (Run, int64, error) {
	var run Run
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return run, 0, errUnbegun
	}
	if err != nil {
		return run, 0, fmt.Errorf("reading the journal of a run: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.LimitReader(f, maxRunBytes), 64<<10)
	at := map[int]int{}
	var whole int64
	for n := 1; ; n++ {
		line, err := readWhole(r, maxLine)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return run, 0, fmt.Errorf("reading the journal %s, line %d: %w", path, n, err)
		}
		var rec record
		d := json.NewDecoder(bytes.NewReader(line))
		if err := d.Decode(&rec); err != nil {
			return run, 0, fmt.Errorf("the journal %s is damaged in line %d: %w; its messages lie in the folders it names", path, n, err)
		}
		if rec.Run != nil {
			run = *rec.Run
		}
		for _, list := range [][]Move{rec.Intend, rec.Done} {
			for _, m := range list {
				if i, ok := at[m.Seq]; ok {
					run.Moves[i] = m
				} else {
					at[m.Seq] = len(run.Moves)
					run.Moves = append(run.Moves, m)
				}
			}
		}
		if rec.Ended != nil {
			run.Ended = *rec.Ended
		}
		whole += int64(len(line)) + 1
	}
	if whole == 0 {
		return run, 0, errUnbegun
	}
	if run.ID == "" || run.ID+".jsonl" != filepath.Base(path) {
		return run, 0, fmt.Errorf("the journal %s does not say which run it is of; its first line is missing", path)
	}
	return run, whole, nil
}

// readWhole reads a line that ends; half a line is the end.
func readWhole(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return nil, fmt.Errorf("longer than %d bytes", most)
		}
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, err
		}
	}
}

// runIDs lists the runs in a folder, oldest first: their names begin with the time.
func runIDs(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the folder of sweeps: %w", err)
	}
	var out []string
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok && goodID(id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// goodID keeps a run's name from being a path.
func goodID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzTZ-") == ""
}
