package cli

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// spool keeps messages between reading them, in the order of their files, and judging them, in the order of their
// times. It holds what they say in a file that is gone once closed, and twenty bytes of each in memory, so that any
// number of them can be judged.
type spool struct {
	file    *os.File
	out     *bufio.Writer
	end     int64
	entries []spooled
	buf     []byte
}

// spooled is where one message lies.
type spooled struct {
	time int64 // of the message, microseconds since 1970; math.MinInt64 where it has no event
	at   int64
}

// A record of the file is the lengths of three parts and these: the file's name, why it could not be read, the event.
const spoolHead = 12

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
	e := spooled{at: s.end, time: math.MinInt64}
	b := append(s.buf[:0], make([]byte, spoolHead)...)
	b = append(append(b, m.file...), m.broken...)
	text := len(b)
	if m.event != nil {
		var err error
		if b, err = m.event.AppendBinary(b); err != nil {
			return fmt.Errorf("keeping %s: %w", m.file, err)
		}
		e.time = m.event.Time.UnixMicro()
	}
	s.buf = b
	binary.LittleEndian.PutUint32(b, uint32(len(m.file)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(m.broken)))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-text))
	if s.end += int64(len(b)); s.end > maxSpool {
		return fmt.Errorf("keeping %s: more than %d GiB of mail; give it in several runs", m.file, maxSpool>>30)
	}
	if _, err := s.out.Write(b); err != nil {
		return fmt.Errorf("keeping %s: %w", m.file, err)
	}
	s.entries = append(s.entries, e)
	return nil
}

// get reads a message again.
func (s *spool) get(e spooled) (*message, error) {
	var head [spoolHead]byte
	if _, err := s.file.ReadAt(head[:], e.at); err != nil {
		return nil, fmt.Errorf("reading a message again: %w", err)
	}
	name, broken, event := int(binary.LittleEndian.Uint32(head[:])), int(binary.LittleEndian.Uint32(head[4:])), int(binary.LittleEndian.Uint32(head[8:]))
	b := make([]byte, name+broken+event) // the event's strings share it
	if _, err := s.file.ReadAt(b, e.at+spoolHead); err != nil {
		return nil, fmt.Errorf("reading a message again: %w", err)
	}
	m := &message{file: string(b[:name]), broken: string(b[name : name+broken])}
	if event > 0 {
		m.event = new(ocsf.Event)
		if err := m.event.UnmarshalBinary(b[name+broken:]); err != nil {
			return nil, fmt.Errorf("reading %s again: %w", m.file, err)
		}
	}
	return m, nil
}

// inOrder visits all messages by their times, those without one first, with their number in the order of reading.
func (s *spool) inOrder(visit func(n int, m *message) error) error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("keeping messages: %w", err)
	}
	order := make([]uint32, len(s.entries))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(s.entries[a].time, s.entries[b].time), cmp.Compare(a, b))
	})
	for _, i := range order {
		m, err := s.get(s.entries[i])
		if err != nil {
			return err
		}
		if err := visit(int(i), m); err != nil {
			return err
		}
	}
	return nil
}

// mailAnswers keeps what is said of messages, in any order, and gives it in the order of reading. Like spool it holds
// little of each in memory.
type mailAnswers struct {
	spool *spool
	at    []int64 // of each answer: its length, four bytes, and itself
	buf   []byte
}

func newAnswers(n int) (*mailAnswers, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	return &mailAnswers{spool: s, at: make([]int64, n)}, nil
}

// Close removes the file.
func (a *mailAnswers) Close() error { return a.spool.Close() }

// put keeps the answer to a message by its number.
func (a *mailAnswers) put(n int, l *mailLine) error {
	b, err := json.Marshal(l)
	if err == nil {
		a.buf = append(binary.LittleEndian.AppendUint32(a.buf[:0], uint32(len(b))), b...)
		_, err = a.spool.out.Write(a.buf)
	}
	if err != nil {
		return fmt.Errorf("keeping the answer to %s: %w", l.File, err)
	}
	a.at[n] = a.spool.end
	a.spool.end += int64(len(a.buf))
	return nil
}

// each visits the answers in the order of reading.
func (a *mailAnswers) each(visit func(mailLine) error) error {
	if err := a.spool.out.Flush(); err != nil {
		return fmt.Errorf("keeping answers: %w", err)
	}
	for i, at := range a.at {
		var size [4]byte
		if _, err := a.spool.file.ReadAt(size[:], at); err != nil {
			return fmt.Errorf("reading answer %d again: %w", i+1, err)
		}
		n := int(binary.LittleEndian.Uint32(size[:]))
		a.buf = slices.Grow(a.buf[:0], n)[:n]
		if _, err := a.spool.file.ReadAt(a.buf, at+4); err != nil {
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

// print prints the answers as printList would, one after the other: none but the one at hand is in memory. A table is
// gone through twice, first for how wide its columns are.
func (a *mailAnswers) print(w io.Writer, format string) error {
	out := bufio.NewWriter(w)
	err := a.printTo(out, format)
	return errors.Join(err, out.Flush())
}

func (a *mailAnswers) printTo(out *bufio.Writer, format string) error {
	switch format {
	case "json":
		between := "[\n  "
		err := a.each(func(l mailLine) error {
			b, err := json.MarshalIndent(l, "  ", "  ")
			if err != nil {
				return err
			}
			out.WriteString(between)
			between = ",\n  "
			_, err = out.Write(b)
			return err
		})
		if err == nil && len(a.at) == 0 {
			_, err = out.WriteString("[]\n")
		} else if err == nil {
			_, err = out.WriteString("\n]\n")
		}
		return err
	case "jsonl":
		return a.each(func(l mailLine) error { return printList(out, format, []mailLine{l}, mailColumns) })
	case "csv":
		rows := csv.NewWriter(out)
		cells := make([]string, len(mailColumns))
		for i, c := range mailColumns {
			cells[i] = c.name
		}
		if err := rows.Write(cells); err != nil {
			return err
		}
		err := a.each(func(l mailLine) error {
			for i, c := range mailColumns {
				cells[i] = noFormula(c.value(l))
			}
			return rows.Write(cells)
		})
		rows.Flush()
		return errors.Join(err, rows.Error())
	}
	widths := make([]int, len(mailColumns))
	for i, c := range mailColumns {
		widths[i] = utf8.RuneCountInString(c.name)
	}
	last := len(mailColumns) - 1
	err := a.each(func(l mailLine) error {
		for i, c := range mailColumns[:last] {
			widths[i] = max(widths[i], utf8.RuneCountInString(clean(c.value(l))))
		}
		return nil
	})
	if err != nil {
		return err
	}
	row := func(value func(c listColumn[mailLine]) string) error {
		for i, c := range mailColumns {
			cell := value(c)
			out.WriteString(cell)
			if i < last {
				out.WriteString(strings.Repeat(" ", widths[i]+2-utf8.RuneCountInString(cell)))
			}
		}
		return out.WriteByte('\n')
	}
	if err := row(func(c listColumn[mailLine]) string { return strings.ToUpper(c.name) }); err != nil {
		return err
	}
	return a.each(func(l mailLine) error {
		return row(func(c listColumn[mailLine]) string { return clean(c.value(l)) })
	})
}
