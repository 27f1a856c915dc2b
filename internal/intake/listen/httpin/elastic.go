package httpin

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// Elastic answers senders to Elasticsearch at /, or below /es: _bulk, single documents, and what they ask before
// they send. Templates, policies and pipelines that they bring are acknowledged and not kept.
func (h *Handler) Elastic(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch") // clients from 7.14 on refuse to talk without it
	if err := h.elastic(w, r); err != nil {
		h.failElastic(w, r, err)
	}
}

func (h *Handler) elastic(w http.ResponseWriter, r *http.Request) error {
	p := r.URL.Path
	if p == "/es" || strings.HasPrefix(p, "/es/") {
		p = p[len("/es"):]
	}
	parts := strings.Split(strings.Trim(p, "/"), "/")
	if len(parts) > 8 {
		return noSuch(r)
	}
	last := parts[len(parts)-1]
	switch {
	case last == "_bulk" && len(parts) <= 3: // three with the type of versions up to 6
		return h.bulk(w, r, indexOf(parts[:len(parts)-1]))
	case len(parts) >= 2 && len(parts) <= 3 && (parts[1] == "_doc" || parts[1] == "_create"):
		return h.document(w, r, parts)
	}
	return h.handshake(w, r, parts)
}

func indexOf(parts []string) string {
	if len(parts) == 0 || len(parts[0]) > maxIndexName {
		return ""
	}
	return parts[0]
}

// bulk takes a _bulk request whole or not at all.
func (h *Handler) bulk(w http.ResponseWriter, r *http.Request, index string) error {
	begun := time.Now()
	stamp, err := h.stamped(w, r, http.MethodPost, http.MethodPut)
	if err != nil {
		return err
	}
	l := &lease{of: h.memory}
	defer l.release()
	in, err := h.open(w, r, l)
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := readBulk(in, l, stamp, index, &h.opt, plainLength(r))
	if err != nil {
		return err
	}
	if len(b.items) == 0 {
		return malformed("request body is required")
	}
	in.Close()
	if len(b.frames.out) > 0 {
		if err := h.opt.Submit.Submit(r.Context(), b.frames.out...); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", contentType(r))
	w.WriteHeader(http.StatusOK)
	return ignoreGone(newBulkAnswer(parseFilterPath(r.URL.Query().Get("filter_path"))).write(w, b, time.Since(begun)))
}

// ignoreGone drops an error of writing an answer: the records are on disk, and nobody is there to be told.
func ignoreGone(error) error { return nil }

// document takes one document: PUT or POST /{index}/_doc/{id}.
func (h *Handler) document(w http.ResponseWriter, r *http.Request, parts []string) error {
	f, err := h.stamped(w, r, http.MethodPost, http.MethodPut)
	if err != nil {
		return err
	}
	l := &lease{of: h.memory}
	defer l.release()
	if f.Data, err = h.readDocument(w, r, l); err != nil {
		return err
	}
	f.First, f.Records = 1, 1
	if err := h.opt.Submit.Submit(r.Context(), f); err != nil {
		return err
	}
	id := ""
	if len(parts) == 3 {
		id = parts[2]
	}
	if id == "" {
		ids := newIDMaker()
		id = strings.Trim(string(ids.append(nil, 0)), `"`)
	}
	replyElastic(w, r, http.StatusCreated, map[string]any{
		"_index": indexOf(parts), "_id": id, "_version": 1, "result": "created",
		"_shards": map[string]int{"total": 1, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1,
	})
	return nil
}

// readDocument reads a document as one line. Line ends in JSON can only stand between its tokens.
func (h *Handler) readDocument(w http.ResponseWriter, r *http.Request, l *lease) ([]byte, error) {
	data, err := h.readFile(w, r, l)
	switch {
	case err != nil:
		return nil, err
	case isBlank(data):
		return nil, malformed("request body is required")
	case len(data) > h.opt.MaxLine:
		return nil, tooLarge(int64(h.opt.MaxLine))
	}
	for i, c := range data {
		if c == '\n' || c == '\r' {
			data[i] = ' '
		}
	}
	return append(data, '\n'), nil
}

func noSuch(r *http.Request) error {
	return refuse(http.StatusNotFound, "resource_not_found_exception", "%s is not served here: this takes _bulk and what senders ask before it", r.Method)
}

// failElastic answers with a problem in Elasticsearch's shape. A sender that must wait is told 429, whatever the
// reason: that is what all of them know.
func (h *Handler) failElastic(w http.ResponseWriter, r *http.Request, err error) {
	p := h.problemOf(r.Context(), err)
	status := p.status
	if status == http.StatusServiceUnavailable && p.retry > 0 {
		status = http.StatusTooManyRequests
	}
	p.header(w)
	if losesRefused(r) && (p.retry > 0 || status == http.StatusUnauthorized || status == http.StatusForbidden) {
		w.Header().Set("Content-Length", "1") // of which nothing comes: to the sender the connection broke
		w.WriteHeader(status)
		return
	}
	cause := map[string]any{"type": p.kind, "reason": p.reason}
	replyElastic(w, r, status, map[string]any{
		"error":  map[string]any{"root_cause": []any{cause}, "type": p.kind, "reason": p.reason},
		"status": status,
	})
}

// losesRefused reports whether a sender throws away what is refused as a whole, as rsyslog's omelasticsearch does
// with every whole answer that is JSON, whatever its status. It keeps what it sent when the connection breaks, and
// tries again. It is known by giving no User-Agent; all others that we know give one.
func losesRefused(r *http.Request) bool {
	return r.Header.Get("User-Agent") == "" && strings.HasSuffix(r.URL.Path, "/_bulk")
}

func replyElastic(w http.ResponseWriter, r *http.Request, status int, answer any) {
	if r.Method == http.MethodHead {
		answer = nil
	}
	reply(contentTyped{w, contentType(r)}, status, answer)
}

// contentType is the type of JSON that the client asked for: those of version 8 ask for one of their own.
func contentType(r *http.Request) string {
	for _, version := range []string{"7", "8"} {
		t := "application/vnd.elasticsearch+json;compatible-with=" + version
		if strings.Contains(strings.ReplaceAll(r.Header.Get("Accept"), " ", ""), t) {
			return t
		}
	}
	return "application/json"
}

// contentTyped sets the content type as the header goes out.
type contentTyped struct {
	http.ResponseWriter
	value string
}

func (c contentTyped) WriteHeader(status int) {
	c.Header().Set("Content-Type", c.value)
	c.ResponseWriter.WriteHeader(status)
}

// drain reads a body that is not kept.
func (h *Handler) drain(w http.ResponseWriter, r *http.Request) error {
	l := &lease{of: h.memory}
	defer l.release()
	in, err := h.open(w, r, l)
	if err != nil {
		return err
	}
	defer in.Close()
	in.limit = min(in.limit, 8<<20)
	_, err = io.Copy(io.Discard, in)
	return err
}
