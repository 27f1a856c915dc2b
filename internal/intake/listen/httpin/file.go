package httpin

import (
	"bytes"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

const (
	maxName = 255
	maxHead = 64 << 10 // header lines of a file
)

// File takes one file of any format that there is a decoder for, or a part of one that has records a line. Up to
// 7 MiB it is kept as a whole; a larger one must have records a line and is cut at line ends, and the parts are
// given the file's header lines. ?name= tells its name, which helps to tell its format.
func (h *Handler) File(w http.ResponseWriter, r *http.Request) {
	answer, err := h.takeFile(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (h *Handler) takeFile(w http.ResponseWriter, r *http.Request) (*taken, error) {
	f, err := h.stamped(w, r, http.MethodPost, http.MethodPut)
	if err != nil {
		return nil, err
	}
	if f.Name, err = fileName(r.URL.Query().Get("name")); err != nil {
		return nil, err
	}
	l := &lease{of: h.memory}
	defer l.release()
	if f.Data, err = h.readFile(w, r, l); err != nil {
		return nil, err
	}
	frames, err := framesOfFile(f, h.opt.MaxRecords)
	if err != nil || len(frames) == 0 {
		return &taken{}, err
	}
	if err := h.opt.Submit.Submit(r.Context(), frames...); err != nil {
		return nil, err
	}
	answer := &taken{}
	for i := range frames {
		answer.Accepted += frames[i].Records
	}
	return answer, nil
}

// fileName is the last element of a name, of either kind of path; it is a hint and never joined to a path.
func fileName(name string) (string, error) {
	if len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd }) {
		return "", refuse(http.StatusBadRequest, "illegal_argument_exception", "name must be at most %d characters, none of them a control character", maxName)
	}
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == ".." || name == "/" {
		return "", nil
	}
	for _, ending := range []string{".gz", ".zst"} { // undone by its first bytes
		name = strings.TrimSuffix(name, ending)
	}
	return name, nil
}

// readFile reads a body into one piece of memory.
func (h *Handler) readFile(w http.ResponseWriter, r *http.Request, l *lease) ([]byte, error) {
	in, err := h.open(w, r, l)
	if err != nil {
		return nil, err
	}
	defer func() { in.Close() }()
	if err := in.unwrap(r.Header.Get("Content-Encoding")); err != nil {
		return nil, err
	}
	size := max(plainLength(r)+1, firstChunk)
	if err := l.grow(size); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			size := int64(cap(buf))
			if err := l.grow(2 * size); err != nil {
				return nil, err
			}
			buf = append(make([]byte, 0, 2*size), buf...)
			l.shrink(size)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// framesOfFile makes frames of a file: one, or a part for each header in it. The gate cuts them to its size.
func framesOfFile(f bus.Frame, maxRecords int) ([]bus.Frame, error) {
	if isBlank(f.Data) {
		return nil, nil
	}
	f.First = 1
	if len(f.Data) <= listen.MaxSingle {
		f.Whole, f.Records = true, 1
		return []bus.Frame{f}, nil
	}
	if first := firstLine(f.Data); first[0] != '#' && (first[0] != '{' || first[len(first)-1] != '}') {
		return nil, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception",
			"a file over %d bytes must have header lines that start with # or a JSON object a line; send others in parts, or their lines to /ingest/ndjson", listen.MaxSingle)
	}
	return cutAtHeaders(f, maxRecords)
}

// firstLine is the first line that is not empty, without spaces around it. There is one.
func firstLine(data []byte) []byte {
	data = bytes.Trim(data, " \t\r\n")
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		data = data[:i]
	}
	return bytes.Trim(data, " \t\r\n")
}

// cutAtHeaders makes a frame of the records behind each header. Logs that were put behind one another have several;
// a lone comment, as Zeek's #close, is no header.
func cutAtHeaders(f bus.Frame, maxRecords int) ([]bus.Frame, error) {
	var out []bus.Frame
	part := f
	part.Data, part.Records = nil, 0
	data, total := f.Data, 0
	at, number := 0, int64(1) // of the line at hand
	begin := 0                // of the part
	flush := func(to int) {
		if part.Records > 0 {
			part.Data = data[begin:to:to]
			out = append(out, part)
		}
		part.Records = 0
	}
	for at < len(data) {
		if data[at] == '#' {
			end, lines, header := headerAt(data, at)
			if header || at == 0 {
				if end-at > maxHead {
					return nil, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the header lines at line %d have more than %d bytes", number, maxHead)
				}
				flush(at)
				part.Head, part.First = data[at:end:end], number+lines
				begin = end
			}
			at, number = end, number+lines
			continue
		}
		end := lineEnd(data, at)
		if end-at > bus.MaxBytes {
			return nil, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "line %d has more than %d bytes", number, bus.MaxBytes)
		}
		if !isBlank(data[at:end]) {
			part.Records++
			if total++; total > maxRecords {
				return nil, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the file has more than %d records; send it in parts", maxRecords)
			}
		}
		at, number = end, number+1
	}
	flush(len(data))
	return out, nil
}

// headerAt measures the lines from at on that start with #, and reports whether they name fields.
func headerAt(data []byte, at int) (end int, lines int64, header bool) {
	for end = at; end < len(data) && data[end] == '#'; lines++ {
		next := lineEnd(data, end)
		text := bytes.ToLower(data[end:min(next, end+16)])
		header = header || bytes.HasPrefix(text, []byte("#fields")) || bytes.HasPrefix(text, []byte("#separator"))
		end = next
	}
	return end, lines, header
}

func lineEnd(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}
