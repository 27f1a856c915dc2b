package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// fillSmall writes some rows into every table, long ones too, and returns every whole row as text.
func fillSmall(t testing.TB, s *Store) map[string]bool {
	t.Helper()
	ctx := context.Background()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		id := fmt.Sprint("id", i)
		check(s.AddToken(ctx, Token{ID: id, Hash: []byte(id), Role: "sensor", Sensor: id, Tenant: tenant.ID(id), By: "cli", Created: t0}))
		check(s.AddUser(ctx, User{Name: id, Password: "hash " + id, Role: "viewer", Tenants: []tenant.ID{"acme"}}, "cli"))
		check(s.AddSession(ctx, Session{Hash: []byte(id), User: id, Created: t0, Expires: t0.Add(time.Hour)}))
		_, err := s.ApplyDocument(ctx, Document{Version: id, Text: bytes.Repeat([]byte(id), 2000)})
		check(err)
		_, err = s.RaiseAlertLevel(ctx, AlertLevel{ID: id, Tenant: "acme", Level: "elevated", From: t0, Until: t0.Add(time.Hour)})
		check(err)
		check(s.AddDeadLetters(ctx, []DeadLetter{{ID: DeadLetterID{uint64(i), 0}, Sensor: "fw", Tenant: "acme", Raw: bytes.Repeat([]byte{byte(i), 0x0d}, 3000)}}))
		_, err = s.QueueNotifications(ctx, []Notification{{ID: id, Channel: "hook", Body: []byte("{}")}})
		check(err)
		check(s.PutTailOffsets(ctx, []TailOffset{{Sensor: "fw", Path: id, Offset: int64(i)}}))
		check(s.TakeFile(ctx, id, []byte(id)))
		check(s.ChangeAnswers(ctx, []Answer{answer(Finding, id, t0, "acme"), answer(Campaign, id, t0, "acme", "borg")}, nil))
	}
	return allRows(t, s)
}

// allRows reads every table through the store's own readers.
func allRows(t testing.TB, s *Store) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	add := func(v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for list, i := reflect.ValueOf(v), 0; i < list.Len(); i++ {
			out[fmt.Sprintf("%T %q", list.Index(i).Interface(), fmt.Sprint(list.Index(i).Interface()))] = true
		}
	}
	ctx := context.Background()
	add(s.Tokens(ctx, everything))
	add(s.Bindings(ctx, everything))
	add(s.StubTenants(ctx, everything))
	add(s.Users(ctx, everything))
	add(s.Documents(ctx, 100))
	add(s.AlertLevelHistory(ctx, everything, 100))
	add(s.DeadLetters(ctx, everything, DeadLetterQuery{}))
	add(s.Notifications(ctx, everything, 100))
	add(s.TailOffsets(ctx, "fw"))
	add(s.Answers(ctx, everything, AnswerQuery{Kind: Finding}))
	add(s.Answers(ctx, everything, AnswerQuery{Kind: Campaign}))
	add(s.AuditLog(ctx, everything, 1000))
	var sessions []string
	err := every(ctx, s, s.r, func(q *bun.SelectQuery) *bun.SelectQuery { return q }, func(r *sessionRow) bool {
		sessions = append(sessions, fmt.Sprint(*r))
		return true
	})
	add(sessions, err)
	return out
}

// damaged opens a copy of some files with a change, and checks what comes of it: the start goes on, each row is one
// of those written, and what is lost is told. It returns how many rows were lost.
func damaged(t *testing.T, files map[string][]byte, written map[string]bool, what string) (lost int, told []string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	s, err := Open(dir, Options{Now: func() time.Time { return t0 }, Damage: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, line)
	}})
	if err != nil {
		t.Fatalf("%s: the start is refused: %v", what, err)
	}
	rows := allRows(t, s)
	for row := range rows {
		if !written[row] {
			t.Errorf("%s: a row that nobody wrote: %.300s", what, row)
		}
	}
	lost = len(written) - len(rows)
	if lost > 0 && len(told) == 0 {
		t.Errorf("%s: %d rows are lost and nobody is told", what, lost)
	}
	if err := s.AddToken(context.Background(), Token{ID: "new", Hash: []byte("new"), All: true}); err != nil {
		t.Errorf("%s: nothing can be written any more: %v", what, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, fileName+".damaged-*Z"))
	if err != nil || lost > 0 && len(kept) != 1 {
		t.Errorf("%s: %d rows are lost, and %d damaged files kept (%v)", what, lost, len(kept), err)
	}
	return lost, told
}

func smallDatabase(t *testing.T) (data []byte, written map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, Options{Now: func() time.Time { return t0 }})
	ok(t, err)
	written = fillSmall(t, s)
	ok(t, s.Close())
	data, err = os.ReadFile(filepath.Join(dir, fileName))
	ok(t, err)
	return data, written
}

// stride is how far flipped bytes stand apart; a prime walks through all places of a page.
func stride(t *testing.T) int {
	if os.Getenv("BREAKWATER_LONG") != "" {
		return 61
	}
	if testing.Short() {
		return 4093
	}
	return 7919
}

func TestAnUndamagedFileLosesNothing(t *testing.T) {
	data, written := smallDatabase(t)
	if len(written) < 50 {
		t.Fatalf("only %d rows", len(written))
	}
	if lost, told := damaged(t, map[string][]byte{fileName: data}, written, "nothing"); lost != 0 || len(told) != 0 {
		t.Errorf("%d rows lost, told %q", lost, told)
	}
}

func TestFlippedBytesCostTheirOwnRows(t *testing.T) {
	data, written := smallDatabase(t)
	flips, lost, worst := 0, 0, 0
	for at := 0; at < len(data); at += stride(t) {
		broken := bytes.Clone(data)
		broken[at] ^= 0xff
		n, _ := damaged(t, map[string][]byte{fileName: broken}, written, fmt.Sprintf("byte %d of %d flipped", at, len(data)))
		flips, lost, worst = flips+1, lost+n, max(worst, n)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d flips over %d bytes lost %d of %d rows, at most %d at once", flips, len(data), lost, flips*len(written), worst)
	if worst > len(written)/2 {
		t.Errorf("one byte cost %d of %d rows", worst, len(written))
	}
}

// TestFlippedHeaderBytesCostNothing: what says where things are is not needed to find them.
func TestFlippedHeaderBytesCostNothing(t *testing.T) {
	data, written := smallDatabase(t)
	for _, at := range []int{0, 15, 16, 18, 21, 28, 44, 56, 100, 103, 105, 110, 4000} {
		broken := bytes.Clone(data)
		broken[at] ^= 0xff
		if n, _ := damaged(t, map[string][]byte{fileName: broken}, written, fmt.Sprintf("header byte %d flipped", at)); n != 0 {
			t.Errorf("byte %d of the first page cost %d rows", at, n)
		}
	}
}

func TestCutAndStrangeFilesAreNoReasonToRefuse(t *testing.T) {
	data, written := smallDatabase(t)
	for _, n := range []int{1, 99, 100, 4095, 4096, 5000, len(data) / 2, len(data) - 1} {
		damaged(t, map[string][]byte{fileName: data[:n]}, written, fmt.Sprintf("cut to %d bytes", n))
	}
	damaged(t, map[string][]byte{fileName: bytes.Repeat([]byte("not a database\n"), 1000)}, written, "a text file")
	damaged(t, map[string][]byte{fileName: bytes.Repeat([]byte{0x0d}, 20000)}, written, "all 0d")
	damaged(t, map[string][]byte{fileName: data, fileName + "-wal": []byte("not a log")}, written, "a short strange log")
	damaged(t, map[string][]byte{fileName: data, fileName + "-wal": bytes.Repeat([]byte("not a log\n"), 5000)}, written, "a long strange log")
	damaged(t, map[string][]byte{fileName: data, fileName + rebuilding: []byte("half")}, written, "a rebuild that was not finished")
}

// TestAFinishedRebuildTakesItsPlaceAfterACrash: the crash came between the rename of the old and of the new file.
func TestAFinishedRebuildTakesItsPlaceAfterACrash(t *testing.T) {
	data, written := smallDatabase(t)
	for what, files := range map[string]map[string][]byte{
		"before the old one went":          {fileName + rebuilt: data, fileName: []byte("damaged")},
		"after the old one went":           {fileName + rebuilt: data},
		"while the old one's log is there": {fileName + rebuilt: data, fileName: []byte("damaged"), fileName + "-wal": make([]byte, 9000)},
	} {
		if lost, _ := damaged(t, files, written, what); lost != 0 {
			t.Errorf("%s: %d rows lost", what, lost)
		}
	}
}

// logged is a database whose last rows stand in the log alone, as after a kill.
func logged(t *testing.T) (files map[string][]byte, written map[string]bool) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, Options{Now: func() time.Time { return t0 }})
	ok(t, err)
	defer func() { ok(t, s.Close()) }()
	written = fillSmall(t, s)
	files = map[string][]byte{}
	for _, side := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, fileName+side))
		ok(t, err)
		files[fileName+side] = data
	}
	return files, written
}

func TestFlippedBytesInTheLogAreFound(t *testing.T) {
	files, written := logged(t)
	log := files[fileName+"-wal"]
	if lost, told := damaged(t, files, written, "nothing"); lost != 0 || len(told) != 0 {
		t.Fatalf("an undamaged log: %d rows lost, told %q", lost, told)
	}
	frames := (len(log) - logHead) / (frameHead + pageSize)
	// The last transaction can't be told from one that was torn when the machine stopped.
	last, lastCommit := 0, 0
	for i := range frames {
		if binary.BigEndian.Uint32(log[logHead+i*(frameHead+pageSize)+4:]) != 0 {
			lastCommit, last = last, i
		}
	}
	var places []int
	for at := 0; at < logHead; at += 3 {
		places = append(places, at)
	}
	for i := 0; i <= lastCommit; i += 1 + frames*stride(t)/50000 {
		for _, off := range []int{0, 5, 9, 17, 24, 30, 2000, 4000} {
			places = append(places, logHead+i*(frameHead+pageSize)+off)
		}
	}
	worst := 0
	for _, at := range places {
		broken := map[string][]byte{fileName: files[fileName], fileName + "-wal": bytes.Clone(log)}
		broken[fileName+"-wal"][at] ^= 0xff
		n, _ := damaged(t, broken, written, fmt.Sprintf("byte %d of %d of the log flipped", at, len(log)))
		worst = max(worst, n)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d flips in a log of %d frames; at most %d of %d rows lost", len(places), frames, worst, len(written))
	if worst > len(written)/2 {
		t.Errorf("one byte of the log cost %d of %d rows", worst, len(written))
	}
}

// TestARowChangedBehindTheStoresBackIsSkippedAndTold: a row that changes while the file is open is not returned.
func TestARowChangedBehindTheStoresBackIsSkippedAndTold(t *testing.T) {
	var told []string
	s, err := Open(t.TempDir(), Options{Damage: func(line string) { told = append(told, line) }})
	ok(t, err)
	defer s.Close()
	ctx := t.Context()
	ok(t, s.AddToken(ctx, Token{ID: "a", Hash: []byte("a"), Role: "viewer", Tenants: []tenant.ID{"acme"}}))
	ok(t, s.AddToken(ctx, Token{ID: "b", Hash: []byte("b"), Role: "viewer", Tenants: []tenant.ID{"acme"}}))
	_, err = s.w.ExecContext(ctx, "UPDATE tokens SET role = 'admin' WHERE id = 'a'")
	ok(t, err)
	for range 3 {
		if list := must(s.Tokens(ctx, everything))(t); len(list) != 1 || list[0].ID != "b" {
			t.Errorf("%+v", list)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "tokens") {
		t.Errorf("told %q", told)
	}
}

// TestWhatWasDeletedDoesNotRise: pages are read without SQLite's own lists of what is free.
func TestWhatWasDeletedDoesNotRise(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := t.Context()
	var many []Answer
	for i := range 300 {
		many = append(many, answer(Finding, fmt.Sprint(i), t0, "acme"))
	}
	ok(t, s.ChangeAnswers(ctx, many, nil))
	var gone []AnswerID
	for _, a := range many[:290] {
		gone = append(gone, a.AnswerID)
	}
	ok(t, s.ChangeAnswers(ctx, nil, gone))
	ok(t, s.AddUser(ctx, User{Name: "ann", Password: "old"}, ""))
	ok(t, s.SetPassword(ctx, everything, "ann", "new", ""))
	_, err := s.w.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	ok(t, err)
	written := allRows(t, s)
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	ok(t, err)
	data[0] ^= 0xff
	if lost, _ := damaged(t, map[string][]byte{fileName: data}, written, "the first byte flipped"); lost != 0 {
		t.Errorf("%d rows lost", lost)
	}
}

func FuzzLeafPage(f *testing.F) {
	s, err := Open(f.TempDir(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	fillSmall(f, s)
	path := s.path()
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for at := 0; at+pageSize <= len(data); at += pageSize {
		f.Add(data[at : at+pageSize])
	}
	f.Add([]byte{0x0d, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		page := make([]byte, pageSize)
		copy(page, data)
		for _, first := range []bool{false, true} {
			for _, payload := range leafCells(page, first, func(_ uint32, n int) []byte { return make([]byte, n) }) {
				if values, ok := decodeRecord(payload); ok != (len(values) > 0) {
					t.Errorf("%d values, %v", len(values), ok)
				}
			}
		}
	})
}

func FuzzReadLog(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	if err := s.TakeFile(context.Background(), "a", nil); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(s.path() + "-wal")
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:logHead])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, bad, err := readLog(bytes.NewReader(data))
		if err != nil || bad < 0 {
			t.Fatalf("%d bad, %v", bad, err)
		}
		for _, x := range frames {
			if x.page == 0 || x.offset < logHead+frameHead || x.offset+pageSize > int64(len(data)) {
				t.Errorf("a frame outside the log: %+v of %d bytes", x, len(data))
			}
		}
	})
}
