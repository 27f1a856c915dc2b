package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// spool keeps messages between reading them, in the order of their files, and judging them, in the order of their
// times. It holds what they say in a file that is gone once closed, and some dozen bytes of each in memory, so that a
// folder of any size can be judged.
type spool struct {
	file    *os.File
	out     *bufio.Writer
	end     int64
	entries []spooled
	names   []string // of files, as the entries number them
	buf     []byte
}

// spooled is where one message lies.
type spooled struct {
	time   time.Time
	at     int64
	size   int32 // 0: it has no event
	name   int32
	broken string
}

// maxSpool is how much one run may keep, in bytes.
const maxSpool = 64 << 30

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "breakwater-mail-*")
	if err != nil {
		return nil, fmt.Errorf("making a file to keep messages in: %w", err)
	}
	return &spool{file: f, out: bufio.NewWriterSize(f, 256<<10)}, nil
}

// Close removes the file.
func (s *spool) Close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

// put keeps a message.
func (s *spool) put(m message) error {
	if len(s.names) == 0 || s.names[len(s.names)-1] != m.file {
		s.names = append(s.names, m.file)
	}
	e := spooled{at: s.end, name: int32(len(s.names) - 1), broken: m.broken}
	if m.event != nil {
		var err error
		if s.buf, err = m.event.AppendBinary(s.buf[:0]); err != nil {
			return fmt.Errorf("keeping %s: %w", m.file, err)
		}
		if s.end += int64(len(s.buf)); s.end > maxSpool {
			return fmt.Errorf("keeping %s: more than %d GiB of mail; give it in several runs", m.file, maxSpool>>30)
		}
		if _, err := s.out.Write(s.buf); err != nil {
			return fmt.Errorf("keeping %s: %w", m.file, err)
		}
		e.size, e.time = int32(len(s.buf)), m.event.Time
	}
	s.entries = append(s.entries, e)
	return nil
}

// inOrder visits all messages by their times, those without one first, with their number in the order of reading.
func (s *spool) inOrder(visit func(n int, m *message) error) error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("keeping messages: %w", err)
	}
	order := make([]int, len(s.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.entries[a].time.Compare(s.entries[b].time) })
	for _, i := range order {
		e := &s.entries[i]
		m := message{file: s.names[e.name], broken: e.broken}
		if e.size > 0 {
			b := make([]byte, e.size) // the event's strings share it
			if _, err := s.file.ReadAt(b, e.at); err != nil {
				return fmt.Errorf("reading %s again: %w", m.file, err)
			}
			m.event = new(ocsf.Event)
			if err := m.event.UnmarshalBinary(b); err != nil {
				return fmt.Errorf("reading %s again: %w", m.file, err)
			}
		}
		if err := visit(i, &m); err != nil {
			return err
		}
	}
	return nil
}

// mailAnswers keeps what is said of messages, in any order, and gives it in the order of reading.
type mailAnswers struct {
	spool *spool
	at    []spooled
	buf   []byte
}

func newAnswers(n int) (*mailAnswers, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	return &mailAnswers{spool: s, at: make([]spooled, n)}, nil
}

// Close removes the file.
func (a *mailAnswers) Close() error { return a.spool.Close() }

// put keeps the answer to a message by its number.
func (a *mailAnswers) put(n int, l *mailLine) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = a.spool.out.Write(b)
	}
	if err != nil {
		return fmt.Errorf("keeping the answer to %s: %w", l.File, err)
	}
	a.at[n] = spooled{at: a.spool.end, size: int32(len(b))}
	a.spool.end += int64(len(b))
	return nil
}

// each visits the answers in the order of reading.
func (a *mailAnswers) each(visit func(mailLine) error) error {
	if err := a.spool.out.Flush(); err != nil {
		return fmt.Errorf("keeping answers: %w", err)
	}
	for i := range a.at {
		a.buf = slices.Grow(a.buf[:0], int(a.at[i].size))[:a.at[i].size]
		if _, err := a.spool.file.ReadAt(a.buf, a.at[i].at); err != nil {
			return fmt.Errorf("reading answer %d again: %w", i+1, err)
		}
		var l mailLine
		if err := json.Unmarshal(a.buf, &l); err != nil {
			return fmt.Errorf("reading answer %d again: %w", i+1, err)
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// print prints the answers. Lines of JSON are written one by one; the other formats hold them all.
func (a *mailAnswers) print(w io.Writer, format string) error {
	if format != "jsonl" {
		rows := make([]mailLine, 0, len(a.at))
		err := a.each(func(l mailLine) error {
			rows = append(rows, l)
			return nil
		})
		if err != nil {
			return err
		}
		return printList(w, format, rows, mailColumns)
	}
	out := bufio.NewWriter(w)
	err := a.each(func(l mailLine) error { return printList(out, format, []mailLine{l}, mailColumns) })
	if err != nil {
		return err
	}
	return out.Flush()
}
