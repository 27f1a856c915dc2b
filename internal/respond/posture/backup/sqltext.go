package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// plainDump copies a dump of SQL for psql without psql's own commands, which can run programs and write files here with
// our rights. pg_dump writes none but \connect, \restrict and \unrestrict, which are left out; any other is refused.
// The dump can make psql read text otherwise than is expected here (standard_conforming_strings), so psql is kept from
// its commands too; this says which line is wrong before anything was run.
//
// What counts as text is as in PostgreSQL's psqlscan.l: quotes of both sorts, E'…' with backslashes, dollar quotes,
// nested comments, and the data after COPY … FROM stdin up to a line of \. alone.
func plainDump(ctx context.Context, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s := &sqlText{in: bufio.NewReaderSize(&stoppable{ctx, f}, 64<<10), out: bufio.NewWriterSize(out, 64<<10), line: 1}
	return errors.Join(s.copy(), s.out.Flush(), out.Close())
}

// Bounds of what is held of a statement, and of a dollar quote's tag.
const (
	maxStmt   = 64 << 10
	maxDollar = 64
)

type sqlText struct {
	in   *bufio.Reader
	out  *bufio.Writer
	line int
	stmt strings.Builder // the statement so far, without texts and comments, capped: enough to know a COPY
}

var (
	errCut     = errors.New("the dump ends within a text or comment: it is cut off")
	fromStdin  = regexp.MustCompile(`(?is)^\s*COPY\s.*\sFROM\s+stdin\b`)
	harmless   = regexp.MustCompile(`^\\(connect|restrict|unrestrict)( [A-Za-z0-9_"-]+)?\s*$`)
	isTagFirst = func(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }
)

// next takes a byte and copies it.
func (s *sqlText) next() (byte, error) {
	c, err := s.in.ReadByte()
	if err != nil {
		return 0, err
	}
	if c == '\n' {
		s.line++
	}
	return c, s.out.WriteByte(c)
}

// peek is the byte that comes next, 0 at the end.
func (s *sqlText) peek() byte {
	b, err := s.in.Peek(1)
	if err != nil {
		return 0
	}
	return b[0]
}

// rest takes what is left of the line and copies it. At the end of the text err is io.EOF.
func (s *sqlText) rest() (string, error) {
	var b strings.Builder
	for {
		c, err := s.next()
		if err != nil || c == '\n' {
			return b.String(), err
		}
		if b.Len() < maxStmt {
			b.WriteByte(c)
		}
	}
}

func isName(c byte) bool { return isTagFirst(c) || c >= '0' && c <= '9' || c == '$' }

func (s *sqlText) copy() error {
	var before, earlier byte // the two characters before
	for {
		if s.peek() == '\\' {
			if err := s.command(); err != nil {
				return err
			}
			before, earlier = '\n', 0
			continue
		}
		c, err := s.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case c == '\'':
			err = s.quoted('\'', (before == 'E' || before == 'e') && !isName(earlier))
		case c == '"':
			err = s.quoted('"', false)
		case c == '$' && !isName(before):
			err = s.dollar()
		case c == '-' && s.peek() == '-':
			if _, err = s.rest(); err == io.EOF {
				return nil
			}
		case c == '/' && s.peek() == '*':
			err = s.comment()
		case c == ';':
			if fromStdin.MatchString(s.stmt.String()) {
				err = s.data()
			}
			s.stmt.Reset()
		default:
			if s.stmt.Len() < maxStmt {
				s.stmt.WriteByte(c)
			}
		}
		if err == io.EOF {
			return errCut
		}
		if err != nil {
			return err
		}
		earlier, before = before, c
	}
}

// quoted passes a text by; a doubled quote goes on.
func (s *sqlText) quoted(quote byte, escapes bool) error {
	for {
		c, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case c == '\\' && escapes:
			if _, err := s.next(); err != nil {
				return err
			}
		case c == quote && s.peek() == quote:
			if _, err := s.next(); err != nil {
				return err
			}
		case c == quote:
			return nil
		}
	}
}

// dollar passes $tag$ … $tag$ by; a $ that begins no such quote is a character.
func (s *sqlText) dollar() error {
	head, err := s.in.Peek(maxDollar + 1)
	if err != nil && len(head) == 0 {
		return nil
	}
	end := -1
	for i, c := range head {
		if c == '$' {
			end = i
			break
		}
		if !isTagFirst(c) && (i == 0 || c < '0' || c > '9') {
			return nil
		}
	}
	if end < 0 {
		return nil
	}
	tag := "$" + string(head[:end]) + "$"
	for range end + 1 {
		if _, err := s.next(); err != nil {
			return err
		}
	}
	matched := 0
	for matched < len(tag) {
		c, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case c == tag[matched]:
			matched++
		case c == '$': // every tag begins with $ and has no other within
			matched = 1
		default:
			matched = 0
		}
	}
	return nil
}

// comment passes a comment by, whose slash was taken; comments nest.
func (s *sqlText) comment() error {
	if _, err := s.next(); err != nil {
		return err
	}
	for depth := 1; depth > 0; {
		c, err := s.next()
		if err != nil {
			return err
		}
		if next := s.peek(); c == '/' && next == '*' || c == '*' && next == '/' {
			if c == '/' {
				depth++
			} else {
				depth--
			}
			if _, err := s.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// command leaves out one of psql's own commands, where it is one of those that pg_dump writes.
func (s *sqlText) command() error {
	at := s.line
	text, err := s.in.ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	s.line++
	if !harmless.MatchString(strings.TrimRight(text, "\r\n")) {
		if len(text) > 40 {
			text = text[:40]
		}
		return fmt.Errorf("line %d of the dump holds a command of psql's own (%s), which could run programs here; pg_dump writes none like it", at, lastWords(text))
	}
	return s.out.WriteByte('\n')
}

// data passes the rows of a COPY by, up to the line that ends them.
func (s *sqlText) data() error {
	if _, err := s.rest(); err != nil { // of the line of COPY
		return err
	}
	for {
		line, err := s.rest()
		if strings.TrimSuffix(line, "\r") == `\.` && (err == nil || err == io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
