package drop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Limits of what is handed on.
const (
	maxWhole    = 7 << 20  // one whole file, or one part of an mbox
	maxHead     = 64 << 10 // header lines that every part gets
	maxProblems = 100      // lines of a reason file
	sumLength   = 128 / 8  // bytes of the content's hash in a key
)

// reading is one file on disk while it is read.
type reading struct {
	d        *Dropbox
	ctx      context.Context
	rel      string // as it is shown and bound
	name     string // as it is opened
	key      string // hash of the content on disk
	received time.Time
	member   int // of the archive; 1 for a file that is none
	parts    int // frames handed on
	problems []string
	more     int
}

// contentSum hashes a file on disk.
func contentSum(ctx context.Context, name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)[:sumLength]), nil
		}
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", name, err)
		}
	}
}

// problem notes what could not be read. Names in archives are somebody else's words: they stay one line.
func (r *reading) problem(where, why string) {
	if len(r.problems) == maxProblems {
		r.more++
		r.problems[maxProblems-1] = fmt.Sprintf("and %d more", r.more+1)
		return
	}
	r.problems = append(r.problems, oneLine(where)+": "+oneLine(why))
}

func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	return s[:min(len(s), 500)]
}

// shown is a path of the walk relative to the watched folder.
func (r *reading) shown(p string) string { return r.rel + strings.TrimPrefix(p, r.name) }

// visit hands on one file, on disk or in an archive.
func (r *reading) visit(f bounded.File) error {
	r.member++
	rel := r.shown(f.Path)
	b, ok := r.d.config.Bind(rel)
	if !ok || b == nil {
		r.problem(rel, "no sensor of the configuration matches, so nobody knows whose it is")
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f.Reader, maxWhole+1))
	if err != nil {
		return err
	}
	s := splitter{r: r, binding: b, base: path.Base(f.Name)}
	switch {
	case len(data) == 0:
		return nil
	case len(data) <= maxWhole:
		return s.send(data, 1, 1, true, nil)
	case bytes.HasPrefix(data, []byte("From ")):
		return s.mbox(rel, data, f.Reader)
	case hasLines(data):
		return s.lines(rel, data, f.Reader)
	}
	r.problem(rel, fmt.Sprintf("larger than %d MiB and not a record a line: split it, or write JSON with an object a line (jq -c '.[]')", maxWhole>>20))
	return nil
}

// hasLines tells a record a line from binary content, from objects that span lines and from lines that are too long
// to be records.
func hasLines(data []byte) bool {
	head := data[:min(len(data), 256<<10)]
	if bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(text) == 0 || text[0] == '[' && len(text) > 1 && strings.IndexByte(" \t\r\n{[", text[1]) >= 0 {
		return false
	}
	line, _, ok := bytes.Cut(data[:min(len(data), bus.MaxBytes)], []byte("\n"))
	if !ok {
		return false
	}
	line = bytes.TrimSpace(line)
	return text[0] != '{' || bytes.HasSuffix(line, []byte("}"))
}

// splitter hands on one file in parts.
type splitter struct {
	r       *reading
	binding *listen.Binding
	base    string
	part    int
}

func (s *splitter) send(data []byte, first int64, records int, whole bool, head []byte) error {
	s.part++
	err := s.r.d.submit(s.r.ctx, bus.Frame{
		Sensor: s.binding.Sensor, Tenant: s.binding.Tenant, Layer: s.binding.Layer, Authenticated: s.binding.Authenticated,
		Received: s.r.received, Name: s.base, Head: head, First: first,
		Key:  fmt.Sprintf("%s.%d.%d", s.r.key, s.r.member, s.part),
		Data: data, Records: records, Whole: whole,
	})
	if err == nil {
		s.r.parts++
	}
	return err
}

// lines sends parts of whole lines, a batch each.
func (s *splitter) lines(rel string, data []byte, rest io.Reader) error {
	in := io.MultiReader(bytes.NewReader(data), rest)
	head := headOf(s.base, data[:min(len(data), maxHead)])
	buf := make([]byte, 0, bus.MaxBytes)
	line := int64(1)
	tooLong := int64(0)
	for ended := false; !ended || len(buf) > 0; {
		for !ended && len(buf) < cap(buf) {
			n, err := in.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			if err != nil && err != io.EOF {
				return err
			}
			ended = err == io.EOF
		}
		end, records := 0, 0
		for records < bus.MaxRecords {
			i := bytes.IndexByte(buf[end:], '\n')
			if i < 0 {
				if ended && end < len(buf) {
					end = len(buf)
					records++
				}
				break
			}
			end += i + 1
			records++
		}
		if records == 0 && len(buf) > 0 { // a line longer than a batch
			tooLong++
			if err := skipLine(&buf, in, &ended); err != nil {
				return err
			}
			line++
			continue
		}
		if records == 0 {
			continue
		}
		part := bytes.Clone(buf[:end])
		var h []byte
		if line > 1 {
			h = head
		}
		if err := s.send(part, line, records, false, h); err != nil {
			return err
		}
		line += int64(records)
		buf = append(buf[:0], buf[end:]...)
	}
	if tooLong > 0 {
		s.r.problem(rel, fmt.Sprintf("%d lines are longer than %d bytes, and were left out", tooLong, bus.MaxBytes))
	}
	return nil
}

// skipLine reads on to the end of a line that fills the buffer.
func skipLine(buf *[]byte, in io.Reader, ended *bool) error {
	for {
		if i := bytes.IndexByte(*buf, '\n'); i >= 0 {
			*buf = append((*buf)[:0], (*buf)[i+1:]...)
			return nil
		}
		*buf = (*buf)[:0]
		if *ended {
			return nil
		}
		n, err := in.Read((*buf)[:cap(*buf)])
		*buf = (*buf)[:n]
		if err != nil && err != io.EOF {
			return err
		}
		*ended = err == io.EOF
	}
}

// headOf returns the leading lines that begin with '#', and of a CSV file its first line.
func headOf(name string, data []byte) []byte {
	end, column := 0, strings.EqualFold(path.Ext(name), ".csv")
	for end < len(data) {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 || data[end] != '#' && !column {
			break
		}
		if data[end] != '#' {
			column = false
		}
		end += i + 1
	}
	return bytes.Clone(data[:end])
}

// mbox sends as many whole mails at a time as fit.
func (s *splitter) mbox(rel string, data []byte, rest io.Reader) error {
	in := io.MultiReader(bytes.NewReader(data), rest)
	buf := make([]byte, 0, maxWhole)
	mail := int64(1)
	for ended := false; !ended || len(buf) > 0; {
		for !ended && len(buf) < cap(buf) {
			n, err := in.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			if err != nil && err != io.EOF {
				return err
			}
			ended = err == io.EOF
		}
		end := len(buf)
		if !ended {
			if end = bytes.LastIndex(buf, []byte("\n\nFrom ")) + 2; end < 2 {
				if end = bytes.LastIndex(buf, []byte("\n\r\nFrom ")) + 3; end < 3 {
					s.r.problem(rel, fmt.Sprintf("mail %d is larger than %d MiB: it and the rest were left out; send it as a file of its own", mail, maxWhole>>20))
					return nil
				}
			}
		}
		if end == 0 {
			return nil
		}
		n := bytes.Count(buf[:end], []byte("\nFrom ")) + 1
		if err := s.send(bytes.Clone(buf[:end]), mail, n, true, nil); err != nil {
			return err
		}
		mail += int64(n)
		buf = append(buf[:0], buf[end:]...)
	}
	return nil
}
