package httpin

import (
	"fmt"
	"io"
	"net/http"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// refusedShown is how many refused lines an answer names.
const refusedShown = 20

// taken is the answer to a request that is on disk.
type taken struct {
	Accepted int           `json:"accepted"`
	Refused  int           `json:"refused,omitempty"`
	Errors   []refusedLine `json:"errors,omitempty"`
}

type refusedLine struct {
	Line  int64  `json:"line"`
	Error string `json:"error"`
}

// NDJSON takes a record a line, of any format that has that: JSON, key=value, syslog, CSV without a header. Lines
// that begin with # are no records: a Zeek log's header goes with every part of what follows it. It answers {"accepted":N} when all are on disk. A line over the limit is refused alone: its beginning is kept as a
// dead letter, and the answer names it.
func (h *Handler) NDJSON(w http.ResponseWriter, r *http.Request) {
	answer, err := h.takeLines(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (h *Handler) takeLines(w http.ResponseWriter, r *http.Request) (*taken, error) {
	stamp, err := h.stamped(w, r, http.MethodPost)
	if err != nil {
		return nil, err
	}
	l := &lease{of: h.memory}
	defer l.release()
	f, answer, err := h.readLines(w, r, stamp, l)
	if err != nil {
		return nil, err
	}
	if len(f.out) > 0 {
		if err := h.opt.Submit.Submit(r.Context(), f.out...); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (h *Handler) readLines(w http.ResponseWriter, r *http.Request, stamp bus.Frame, l *lease) (*frames, *taken, error) {
	in, err := h.open(w, r, l)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	f := &frames{stamp: stamp, most: h.opt.MaxRecords, lines: newLines(in, l, h.opt.MaxLine, plainLength(r))}
	answer := &taken{}
	for {
		line, err := f.lines.next()
		if err == io.EOF {
			return f, answer, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if !line.long && isBlank(line.data) {
			f.blank(line)
			continue
		}
		if !line.long && line.data[0] == '#' {
			if err := f.heading(line); err != nil {
				return nil, nil, err
			}
			continue
		}
		f.headed()
		if err := f.add(line, line.number); err != nil {
			return nil, nil, err
		}
		if !line.long {
			answer.Accepted++
			continue
		}
		answer.Refused++
		if len(answer.Errors) < refusedShown {
			answer.Errors = append(answer.Errors, refusedLine{line.number, fmt.Sprintf("longer than %d bytes: its beginning is kept as a dead letter", h.opt.MaxLine)})
		}
	}
}

// plainLength is the length of a body that is not compressed; 0 where that is not known.
func plainLength(r *http.Request) int64 {
	if r.Header.Get("Content-Encoding") != "" || r.ContentLength < 0 {
		return 0
	}
	return r.ContentLength
}
